"""What the command line says of mail programs: their settings, and a new password."""

from typing import Any

import click


def new_password(answer: dict[str, Any]) -> None:
    click.echo(f"Your new mailbox password: {answer['password']}\n")
    click.echo("It is shown once, and the old one is good for nothing any more. Put it into every")
    click.echo("mail program of yours, for incoming and outgoing mail; each asks for it when it")
    click.echo("connects the next time. A file that postroad mail-client wrote has to be written")
    click.echo("anew: postroad mail-client")
