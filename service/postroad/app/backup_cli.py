"""`postroad backup ...`: your mail in a folder of yours, sealed so that your 24 words open it."""

from pathlib import Path
from typing import Any

import click

from postroad.app import telling_backup as telling
from postroad.app.asking import as_json, finish
from postroad.app.config import Config
from postroad.app.terminal import identity_asked, progress
from postroad.base.errors import ConfigurationError, NotSetUp

a_folder = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


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
        with progress("Writing the backup", json_wanted) as seen:
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
        with progress("Reading the backup", json_wanted) as seen:
            data = config.data if config.is_set_up else None
            return backing_up.check(folder.absolute(), sealer, mark, seen, data)

    finish(work, json_wanted, telling.checked, is_good=lambda answer: bool(answer["whole"]))


def _last(config: Config) -> dict[str, Any]:
    from postroad.app import backing_up

    if not config.is_set_up:
        raise NotSetUp
    return {"last": backing_up.last_one(config)}
