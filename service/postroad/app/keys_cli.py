"""`postroad keys ...` and `unlock`: how the keys lie on the disk, and what opens them.

The running node is asked; while none runs, its folder is taken for the moment. Passphrases are
typed at a terminal or come on stdin, never as an argument or in the environment: those others see.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

import click

from postroad.app import telling_keys as telling
from postroad.app.asking import (
    Misused,
    NotRunning,
    as_json,
    ask,
    ask_own,
    finish,
    is_text,
    line_of_stdin,
)
from postroad.app.config import Config
from postroad.app.tongue import _
from postroad.base import limits
from postroad.base.errors import (
    ConfigurationError,
    NotSetUp,
    PermanentFailure,
    PostroadError,
    WrongPassphrase,
)
from postroad.phrases import phrase

if TYPE_CHECKING:
    from postroad.machine.disk import FolderDisk
    from postroad.sealing.wrapping import Wrapping
    from postroad.store.locksmith import Locksmith

T = TypeVar("T")
LINE_BYTES_MAX = 2 * limits.PASSPHRASE_BYTES_MAX
WAYS = ("passphrase", "keyring", "credential", "plain")


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def keys(context: click.Context, json_wanted: bool) -> None:
    """Show how your keys are protected on the disk."""
    if context.invoked_subcommand is None:
        finish(lambda: protection(context.obj.config), json_wanted, telling.protection)


@keys.command()
@click.option("--passphrase", "how", flag_value="passphrase", help="By one that you type.")
@click.option("--keyring", "how", flag_value="keyring", help="By your desktop keyring.")
@click.option(
    "--credential", "how", flag_value="credential", help="By systemd's credential postroad-keys."
)
@click.option("--plain", "how", flag_value="plain", help="By the modes of the file alone.")
@as_json
@click.pass_context
def protect(context: click.Context, how: str | None, json_wanted: bool) -> None:
    """Choose what opens your keys when your node starts.

    Passphrases are asked for; without a terminal, or with --json, they are read from stdin, one a
    line: the one of now, where there is one, then the new one."""

    def work() -> dict[str, Any]:
        config: Config = context.obj.config
        if how is None:
            ways = ", ".join(f"--{way}" for way in WAYS)
            raise Misused(f"Say how, by one of these: {ways}.")
        now = protection(config)
        if now["locked"]:
            raise ConfigurationError("Your node is locked. Type first: postroad unlock")
        given = Passphrases(json_wanted)
        current = given.current() if now["protection"] == "passphrase" else ""
        new = given.new() if how == "passphrase" else ""
        try:
            return ask(config.control_path, do="protect", how=how, current=current, passphrase=new)
        except NotRunning:
            return _protect_here(config, how, current, new)

    finish(work, json_wanted, telling.protected)


@click.command()
@as_json
@click.pass_context
def unlock(context: click.Context, json_wanted: bool) -> None:
    """Open the keys of a node that has started locked; it goes on then.

    A passphrase is asked for, or read from stdin without a terminal or with --json."""

    def work() -> dict[str, Any]:
        config: Config = context.obj.config
        now = ask_own(config, do="keys")
        if now["locked"] and now["protection"] == "passphrase":
            return ask_own(config, do="unlock", passphrase=Passphrases(json_wanted).current())
        return ask_own(config, do="unlock")

    finish(work, json_wanted, telling.unlocked)


def owners_passphrase(config: Config, json_wanted: bool) -> str:
    """What the running node wants to hear before it does what only its owner may; "" where no
    passphrase opens the keys, or nothing else can be asked before `unlock`."""
    now = ask_own(config, do="keys")
    if now["protection"] != "passphrase" or now["locked"]:
        return ""
    return Passphrases(json_wanted).current()


class Passphrases:
    """Asked for one after the other, at the terminal or on stdin."""

    def __init__(self, json_wanted: bool) -> None:
        self._asks = sys.stdin.isatty() and not json_wanted

    def current(self) -> str:
        wanted = phrase("The passphrase of your keys is wanted on stdin, in a line of its own.")
        return self._given(_("The passphrase of your keys"), wanted, confirm=False)

    def new(self) -> str:
        wanted = phrase("A new passphrase for your keys is wanted on stdin, in a line of its own.")
        return self._given(_("A new passphrase for your keys"), wanted, confirm=True)

    def _given(self, question: str, wanted: str, *, confirm: bool) -> str:
        if self._asks:
            again = _("Repeat for confirmation") if confirm else False
            typed = str(
                click.prompt(question, err=True, hide_input=True, confirmation_prompt=again)
            )
            if not is_text(typed):
                raise ConfigurationError(phrase("What you typed is not UTF-8. Type it again."))
            return typed
        said = line_of_stdin("The passphrase", LINE_BYTES_MAX)
        if not said:
            raise ConfigurationError(wanted)
        return said


def protection(config: Config) -> dict[str, Any]:
    file = str(config.data / "keys")
    try:
        return {**ask(config.control_path, do="keys"), "file": file, "running": True}
    except NotRunning:
        from postroad.doors.keys import told
        from postroad.store import keyring

        def look(disk: "FolderDisk") -> dict[str, Any]:
            return told(keyring.stored(disk).header, locked=False)

        return {**with_folder(config, look), "file": file, "running": False}


def _protect_here(config: Config, how: str, current: str, new: str) -> dict[str, Any]:
    """Where no node runs, we do what it would do."""
    from postroad.doors.keys import EVENT, facts, told
    from postroad.machine.clock import SystemClock
    from postroad.sealing.wrapping import Protection
    from postroad.store import keyring
    from postroad.store.audit import REFUSED

    smith = locksmith_of(config)

    def change(disk: "FolderDisk") -> "tuple[Wrapping, Wrapping]":
        before = opener_here(smith, disk, current)
        opened = keyring.load(disk, before)
        try:
            smith.expect_allowed(Protection(how))
        except PermanentFailure:
            note_here(disk, SystemClock().now(), REFUSED, {"key": "keys_at_rest", "how": how})
            raise
        made = smith.make(Protection(how), new)
        keyring.save(disk, opened, made)
        note_here(disk, SystemClock().now(), EVENT, facts(made, before))
        smith.forget(before)
        return made, before

    made, before = with_folder(config, change)
    return {**told(made.header, locked=False), "before": before.protection.value}


def opener_here(smith: "Locksmith", disk: "FolderDisk", passphrase: str) -> "Wrapping":
    """What opens the keys in this folder; WrongPassphrase, after a while, when this does not."""
    from postroad.store import keyring

    try:
        return smith.by_passphrase(keyring.stored(disk), passphrase)
    except WrongPassphrase:
        # As a running node does: whoever finds a terminal open guesses no faster without one.
        time.sleep(limits.WRONG_PASSPHRASE_SECONDS_FIRST)
        raise


def wrapping_asked(how: str, json_wanted: bool, config: Config) -> "Callable[[], Wrapping]":
    """What makes the wrapping of a new keyring; a passphrase for it is asked for at once."""
    from postroad.sealing.wrapping import Protection
    from postroad.store import locksmith

    passphrase = ""
    if how == "passphrase":
        passphrase = Passphrases(json_wanted).new()
        locksmith.check(passphrase)
    return lambda: locksmith_of(config).make(Protection(how), passphrase)


def locksmith_of(config: Config) -> "Locksmith":
    from postroad.app import policy as policies
    from postroad.machine import credential
    from postroad.machine.desktop_keyring import DesktopKeyring
    from postroad.machine.entropy import SystemEntropy
    from postroad.store.locksmith import Locksmith

    ways = policies.narrowed(config, policies.load()).keys_at_rest
    return Locksmith(SystemEntropy(), DesktopKeyring(), credential.fetch, ways)


def note_here(disk: "FolderDisk", now: Any, event: str, noted: dict[str, str]) -> None:
    """In the audit log, where there is a store already; what fails here undoes nothing."""
    from postroad.store import audit

    try:
        asyncio.run(audit.note_alone(disk, now, event, **noted))
    except PostroadError as error:
        click.echo(f"postroad: It was not noted in the audit log. {error}", err=True)


def with_folder(config: Config, work: "Callable[[FolderDisk], T]") -> T:
    """Do it with the data folder taken; NotSetUp where there are no keys."""
    from postroad.machine.disk import FolderDisk

    if not config.is_set_up:
        raise NotSetUp
    with closing(FolderDisk(config.data)) as disk:
        for line in disk.mended:
            click.echo(f"postroad: {line}", err=True)
        return work(disk)
