"""What the command line says to a person about the keys and what opens them."""

from typing import Any

import click

_WAYS = {
    "plain": "are readable by your own programs, and by whoever gets a copy of the file",
    "passphrase": "are wrapped, and your passphrase opens them",
    "keyring": "are wrapped, and your desktop keyring opens them",
    "credential": "are wrapped, and systemd's credential postroad-keys opens them",
}


def protection(answer: dict[str, Any]) -> None:
    click.echo(f"Your keys in {answer['file']} {_WAYS[answer['protection']]}.")
    if answer["locked"]:
        click.echo(f"They are locked now. {answer['reason']}")
    if answer["protection"] == "plain":
        click.echo("To wrap them, type one of these:")
        for way in ("--passphrase", "--keyring"):
            click.echo(f"   postroad keys protect {way}")


def protected(answer: dict[str, Any]) -> None:
    click.echo(f"From now on your keys {_WAYS[answer['protection']]}.")
    if answer["protection"] == "passphrase":
        click.echo("After each start your node waits for it: postroad unlock")
    if answer["protection"] != "plain":
        click.echo("Without it only your 24 words help, with which you set up again.")
    if answer["before"] == "plain" != answer["protection"]:
        click.echo("Copies of the old file, in backups or snapshots, still open without it.")


def unlocked(answer: dict[str, Any]) -> None:
    if answer["was_locked"]:
        click.echo("Your node is unlocked, and goes on.")
    else:
        click.echo("Your node was not locked.")


def locked(reason: str) -> None:
    click.echo(f"Your node is locked. {reason}")
