"""What the command line says about letters of strangers."""

from typing import Any

import click

from postroad.app.telling import moment
from postroad.app.tongue import _


def requests(answer: dict[str, Any]) -> None:
    if not answer["open"]:
        click.echo(_("Letters of strangers are refused (strangers in your configuration)."))
    if not answer["requests"]:
        click.echo(_("No letter of a stranger waits for you."))
        return
    for one in answer["requests"]:
        click.echo(f"{one['id'][:8]}  {one['address']}")
        click.echo(f"          > {one['subject']}")  # the stranger's words, marked as theirs
        times = _("{came}; gone {gone}").format(
            came=moment(one["came_at"]), gone=moment(one["expires_at"])
        )
        click.echo(f"          {times}")
    said = _("To read one: postroad requests show NUMBER. Then: accept, or refuse, NUMBER.")
    click.echo(f"\n{said}")


def letter(answer: dict[str, Any]) -> None:
    heads = {
        _("From:"): _("{address} (not a contact)").format(address=answer["address"]),
        _("Subject:"): f"> {answer['subject']}",
        _("Came:"): moment(answer["came_at"]),
    }
    width = max(len(name) for name in heads)
    for name, value in heads.items():
        click.echo(f"{name:<{width}} {value}")
    click.echo()
    click.echo(answer["text"].rstrip("\n"))


def accepted(answer: dict[str, Any]) -> None:
    said = _("{address} is being made a contact, and is told so.")
    click.echo(said.format(address=answer["address"]))
    click.echo(_("Their letter is in your INBOX."))


def refused(answer: dict[str, Any]) -> None:
    if answer["silently"]:
        said = _("The letter is gone. {address} is told nothing.")
    else:
        said = _("The letter is gone. {address} is told that you do not want it.")
    click.echo(said.format(address=answer["address"]))
