"""`postroad backup ...`: your mail in a folder of yours, sealed so that your 24 words open it."""

import sys
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from postroad.app import telling_backup as telling
from postroad.app.asking import as_json, finish
from postroad.app.config import Config
from postroad.base.errors import ConfigurationError, NotSetUp

if TYPE_CHECKING:
    from postroad.sealing.keys import Identity
    from postroad.sealing.wrapping import Wrapping

a_folder = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
WORDS_BYTES_MAX = 4096


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def backup(context: click.Context, json_wanted: bool) -> None:
    """Keep your mail in a second place; tells when you last did."""
    if context.invoked_subcommand is None:
        finish(lambda: _last(context.obj.config), json_wanted, telling.last)


@backup.command()
@a_folder
@as_json
@click.pass_context
def to(context: click.Context, folder: Path, json_wanted: bool) -> None:
    """Write all of your mail into FOLDER, or what is new since the last time.

    It is sealed: your 24 words open it, and nothing else does. Your node may go on running. To
    have the mail back, also on another computer, type: postroad setup --restore FOLDER"""
    from postroad.app import backing_up
    from postroad.machine.clock import SystemClock

    def work() -> dict[str, Any]:
        config: Config = context.obj.config
        path, data = folder.absolute(), config.data.resolve()
        if data in (path.resolve(), *path.resolve().parents):
            raise ConfigurationError(
                f"{folder} is in the folder of your mail itself. Choose another disk."
            )
        using = backing_up.opener(config, json_wanted)
        with _bar("Writing the backup", json_wanted) as seen:
            return backing_up.back_up(config, path, using, SystemClock().now(), seen)

    finish(work, json_wanted, telling.written)


@backup.command()
@a_folder
@click.option("--words", is_flag=True, help="Ask for the 24 words, though a node is set up here.")
@as_json
@click.pass_context
def check(context: click.Context, folder: Path, words: bool, json_wanted: bool) -> None:
    """Read all of the backup in FOLDER, and tell what is not as it was written.

    By the keys of your node; where none is set up, the 24 words are asked for, or read from stdin.
    The exit code is 1 if something is damaged."""
    from postroad.app import backing_up
    from postroad.sealing import backup as keys_of
    from postroad.sealing.backup import Sealer

    def work() -> dict[str, Any]:
        config: Config = context.obj.config
        if words or not config.is_set_up:
            identity = identity_asked(json_wanted)
            sealer, mark = Sealer(keys_of.mail_key(identity)), keys_of.mark(identity)
        else:
            using = backing_up.opener(config, json_wanted)
            sealer, mark = using.sealer, using.mark
        with _bar("Reading the backup", json_wanted) as seen:
            return backing_up.check(folder.absolute(), sealer, mark, seen)

    finish(work, json_wanted, telling.checked, is_good=lambda answer: bool(answer["whole"]))


def identity_asked(json_wanted: bool) -> "Identity":
    """Who the 24 words say that it is; PermanentFailure in words when they are none."""
    from postroad.sealing.keys import identity_from_words

    if json_wanted or not sys.stdin.isatty():
        return identity_from_words(sys.stdin.buffer.read(WORDS_BYTES_MAX).decode(errors="replace"))
    return identity_from_words(str(click.prompt("Your 24 words", err=True, hide_input=True)))


def restore(
    until_kept: ExitStack,
    path: Path,
    config: Config,
    folder: Path,
    wrapping: "Callable[[], Wrapping]",
    held: Container[int],
    json_wanted: bool,
) -> dict[str, Any]:
    """Restore the backup in this folder; it counts when `until_kept` is left without an error."""
    from postroad.app import restoring
    from postroad.machine.clock import SystemClock
    from postroad.machine.entropy import SystemEntropy

    identity = identity_asked(json_wanted)
    with _bar("Restoring your mail", json_wanted) as seen:
        made = until_kept.enter_context(
            restoring.restored(
                path,
                config,
                folder.absolute(),
                identity,
                SystemClock(),
                SystemEntropy(),
                wrapping,
                held,
                seen,
            )
        )
    return {
        "address": str(made.address),
        "smtp_port": made.config.smtp_port,
        "imap_port": made.config.imap_port,
        "pop3_port": made.config.pop3_port,
        "made_at": made.made_at,
        "messages": made.messages,
        "missing": made.missing,
    }


def _last(config: Config) -> dict[str, Any]:
    from postroad.app import backing_up

    if not config.is_set_up:
        raise NotSetUp
    return {"last": backing_up.last_one(config)}


@contextmanager
def _bar(label: str, json_wanted: bool) -> "Iterator[Callable[[int, int], None]]":
    """How far it is, on a terminal; nothing for programs."""
    hidden = json_wanted or not sys.stderr.isatty()
    with click.progressbar(length=1, label=label, file=sys.stderr, hidden=hidden) as bar:

        def seen(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(max(0, done - bar.pos))

        yield seen
