"""What the command line says about introductions, in words."""

from typing import Any

import click

from postroad.app.telling import moment
from postroad.app.tongue import _


def introduced(answer: dict[str, Any]) -> None:
    one, other = answer["names"]
    said = _(
        "{one} and {other} each get a letter that proposes it. Nothing happens unless both say "
        "yes; you do not hear which of them did."
    )
    click.echo(said.format(one=one, other=other))


def proposals(answer: dict[str, Any]) -> None:
    if not answer["proposals"]:
        click.echo(_("Nobody proposes anybody to you."))
    for one in answer["proposals"]:
        said = _("{introducer} proposes {address}")
        proposed = said.format(introducer=one["introducer"], address=one["address"])
        click.echo(f"{one['id']}  {proposed}")
        click.echo(f"          {_state_in_words(one)}")
        if one["state"] == "open":
            for remark in one["remarks"]:
                click.echo(f"          {remark}")


def _state_in_words(one: dict[str, Any]) -> str:
    match one["state"]:
        case "open":
            said = _("open until {time}: postroad proposals accept {id}, or decline {id}")
            return said.format(time=moment(one["expires_at"]), id=one["id"])
        case "accepted":
            said = _("you said yes; they have not yet. Until {time}")
            return said.format(time=moment(one["expires_at"]))
        case "declined":
            return _("you said no")
        case "refused":
            return _("you said yes; they did not")
        case _:
            return _("you are contacts")


def accepted(answer: dict[str, Any]) -> None:
    if answer["state"] == "met":
        click.echo(_("You and {address} are contacts.").format(address=answer["address"]))
        return
    said = _(
        "You said yes to {address}. When they do, too, a letter of theirs is in your INBOX, and "
        "you can write to each other. It is not proven yet that this is {name}: compare the safety "
        "number then, with postroad verify."
    )
    click.echo(said.format(address=answer["address"], name=answer["name"]))


def declined(answer: dict[str, Any]) -> None:
    said = _(
        "You said no to {address}. {introducer} does not hear of it; {name} does if they said yes."
    )
    click.echo(
        said.format(address=answer["address"], introducer=answer["introducer"], name=answer["name"])
    )
