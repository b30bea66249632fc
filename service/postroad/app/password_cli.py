"""`postroad password`: a new mailbox password, in the place of the old one."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from postroad.app import telling_mail_client as telling
from postroad.app.asking import NotRunning, as_json, ask, finish
from postroad.app.config import Config
from postroad.app.keys_cli import (
    Passphrases,
    locksmith_of,
    note_here,
    opener_here,
    protection,
    with_folder,
)
from postroad.app.mail_client_cli import renew_kept_password
from postroad.app.tongue import _, shown
from postroad.base.errors import ConfigurationError, Locked
from postroad.phrases import phrase

if TYPE_CHECKING:
    from postroad.machine.disk import FolderDisk


@click.command()
@as_json
@click.pass_context
def password(context: click.Context, json_wanted: bool) -> None:
    """Make a new mailbox password, and show it once; the old one is good for nothing then.

    Where a passphrase opens your keys it is asked for, or with --json read from stdin."""

    def work() -> dict[str, Any]:
        config: Config = context.obj.config
        now = protection(config)
        if now["locked"]:
            raise Locked(phrase("Your node is locked. Type first: postroad unlock"))
        by_passphrase = now["protection"] == "passphrase"
        current = Passphrases(json_wanted).current() if by_passphrase else ""
        try:
            made = ask(config.control_path, do="new password", current=current)
        except NotRunning:
            made = _change_here(config, current)
        return {**made, "kept_in": _kept(context.obj.path.absolute().parent, made["password"])}

    finish(work, json_wanted, telling.new_password)


def _kept(folder: Path, password: str) -> str | None:
    """Where programs read it from; what fails there undoes nothing, and is told beside it."""
    try:
        path = renew_kept_password(folder, password)
    except ConfigurationError as error:
        old = _("Programs that read it there have the old one.")
        click.echo(f"postroad: {shown(str(error))} {old}", err=True)
        return None
    return None if path is None else str(path)


def _change_here(config: Config, current: str) -> dict[str, Any]:
    """Where no node runs, we do what it would do."""
    from postroad.doors.password import EVENT, made
    from postroad.machine.clock import SystemClock
    from postroad.machine.entropy import SystemEntropy
    from postroad.store import keyring

    smith = locksmith_of(config)

    def change(disk: "FolderDisk") -> dict[str, Any]:
        opener = opener_here(smith, disk, current)
        opened = keyring.load(disk, opener)
        password, kept = made(SystemEntropy())
        keyring.save(disk, replace(opened, password=kept), opener)
        note_here(disk, SystemClock().now(), EVENT, {})
        return {"password": password, "user_name": str(opened.address)}

    return with_folder(config, change)
