"""What the command line says about introductions, in words."""

from typing import Any

import click

from postroad.app.telling import moment


def introduced(answer: dict[str, Any]) -> None:
    one, other = answer["names"]
    click.echo(
        f"{one} and {other} each get a letter that proposes it. Nothing happens unless both say "
        "yes; you do not hear which of them did."
    )


def proposals(answer: dict[str, Any]) -> None:
    if not answer["proposals"]:
        click.echo("Nobody proposes anybody to you.")
    for one in answer["proposals"]:
        click.echo(f"{one['id']}  {one['introducer']} proposes {one['address']}")
        click.echo(f"          {_state_in_words(one)}")
        if one["state"] == "open":
            for remark in one["remarks"]:
                click.echo(f"          {remark}")


def _state_in_words(one: dict[str, Any]) -> str:
    match one["state"]:
        case "open":
            return (
                f"open until {moment(one['expires_at'])}: postroad proposals accept {one['id']}, "
                f"or decline {one['id']}"
            )
        case "accepted":
            return f"you said yes; they have not yet. Until {moment(one['expires_at'])}"
        case "declined":
            return "you said no"
        case "refused":
            return "you said yes; they did not"
        case _:
            return "you are contacts"


def accepted(answer: dict[str, Any]) -> None:
    if answer["state"] == "met":
        click.echo(f"You and {answer['address']} are contacts.")
        return
    click.echo(
        f"You said yes to {answer['address']}. When they do, too, a letter of theirs is in your "
        f"INBOX, and you can write to each other. It is not proven yet that this is "
        f"{answer['name']}: compare the safety number then, with postroad verify."
    )


def declined(answer: dict[str, Any]) -> None:
    click.echo(
        f"You said no to {answer['address']}. {answer['introducer']} does not hear of it; "
        f"{answer['name']} does if they said yes."
    )
