"""What the command line says to a person about the keys and what opens them."""

from typing import Any

import click

from postroad.app.tongue import _, later, retold, said, shown

_WAYS = {
    "plain": later("are readable by your own programs, and by whoever gets a copy of the file"),
    "passphrase": later("are wrapped, and your passphrase opens them"),
    "keyring": later("are wrapped, and your desktop keyring opens them"),
    "credential": later("are wrapped, and systemd's credential postroad-keys opens them"),
}


def protection(answer: dict[str, Any]) -> None:
    how = said(_WAYS[answer["protection"]])
    click.echo(_("Your keys in {file} {how}.").format(file=answer["file"], how=how))
    if answer["locked"]:
        click.echo(f"{_('They are locked now.')} {retold(answer, 'reason')}")
    if answer["protection"] == "plain":
        click.echo(_("To wrap them, type one of these:"))
        for way in ("--passphrase", "--keyring"):
            click.echo(f"   postroad keys protect {way}")


def protected(answer: dict[str, Any]) -> None:
    how = said(_WAYS[answer["protection"]])
    click.echo(_("From now on your keys {how}.").format(how=how))
    if answer["protection"] == "passphrase":
        click.echo(_("After each start your node waits for it: postroad unlock"))
    if answer["protection"] != "plain":
        click.echo(_("Without it only your 24 words help, with which you set up again."))
    if answer["before"] == "plain" != answer["protection"]:
        click.echo(_("Copies of the old file, in backups or snapshots, still open without it."))


def unlocked(answer: dict[str, Any]) -> None:
    if answer["was_locked"]:
        click.echo(_("Your node is unlocked, and goes on."))
    else:
        click.echo(_("Your node was not locked."))


def locked(reason: str) -> None:
    click.echo(f"{_('Your node is locked.')} {shown(reason)}")
