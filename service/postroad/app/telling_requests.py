"""What the command line says about letters of strangers."""

from typing import Any

import click

from postroad.app.telling import moment


def requests(answer: dict[str, Any]) -> None:
    if not answer["open"]:
        click.echo("Letters of strangers are refused (strangers in your configuration).")
    if not answer["requests"]:
        click.echo("No letter of a stranger waits for you.")
        return
    for one in answer["requests"]:
        click.echo(f"{one['id'][:8]}  {one['address']}")
        click.echo(f"          > {one['subject']}")  # the stranger's words, marked as theirs
        click.echo(f"          {moment(one['came_at'])}; gone {moment(one['expires_at'])}")
    click.echo("\nTo read one: postroad requests show NUMBER. Then: accept, or refuse, NUMBER.")


def letter(answer: dict[str, Any]) -> None:
    click.echo(f"From:    {answer['address']} (not a contact)")
    click.echo(f"Subject: > {answer['subject']}")
    click.echo(f"Came:    {moment(answer['came_at'])}\n")
    click.echo(answer["text"].rstrip("\n"))


def accepted(answer: dict[str, Any]) -> None:
    click.echo(f"{answer['address']} is being made a contact, and is told so.")
    click.echo("Their letter is in your INBOX.")


def refused(answer: dict[str, Any]) -> None:
    told = "is told nothing" if answer["silently"] else "is told that you do not want it"
    click.echo(f"The letter is gone. {answer['address']} {told}.")
