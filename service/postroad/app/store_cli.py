"""`postroad store ...`: how large your mail is, whether it is whole, and how it gets smaller."""

from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from postroad.app import policy as policies
from postroad.app import telling_store as telling
from postroad.app.asking import NotRunning, as_json, ask, finish
from postroad.app.config import Config
from postroad.app.keys_cli import with_folder
from postroad.app.terminal import progress
from postroad.base import limits
from postroad.base.errors import ConfigurationError, Locked, NotSetUp, NotToBeHad, PostroadError

if TYPE_CHECKING:
    from postroad.machine.disk import FolderDisk


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def store(context: click.Context, json_wanted: bool) -> None:
    """Show how much mail you have, how large it is, and what room is left."""
    if context.invoked_subcommand is None:
        finish(lambda: _sizes(context.obj.config), json_wanted, telling.sizes)


@store.command()
@as_json
@click.pass_context
def check(context: click.Context, json_wanted: bool) -> None:
    """Read all of your mail, and tell what is not as it was written; exit code 1 if something is.

    While your node runs, too: it is not held up."""
    finish(
        lambda: _checked(context.obj.config, json_wanted),
        json_wanted,
        telling.checked,
        is_good=lambda answer: bool(answer["whole"]),
    )


@store.command()
@as_json
@click.pass_context
def compact(context: click.Context, json_wanted: bool) -> None:
    """Write the store anew without the room of what you deleted; your node has to be stopped."""

    def work() -> dict[str, Any]:
        from postroad.store import checkup

        def in_folder(disk: "FolderDisk") -> dict[str, Any]:
            before, after = checkup.compact(Path(disk.folder))
            return {"before_bytes": before, "after_bytes": after}

        try:
            return with_folder(context.obj.config, in_folder)
        except NotToBeHad as error:
            raise ConfigurationError(f"{error} Stop your node first.") from error

    finish(work, json_wanted, telling.compacted)


def _sizes(config: Config) -> dict[str, Any]:
    from postroad.store import checkup

    _expect_set_up(config)
    folder = config.data

    def read(sql: Any) -> dict[str, Any]:
        size = {f"{name}_bytes": value for name, value in asdict(checkup.size(sql, folder)).items()}
        return {
            "folder": str(folder),
            "format": checkup.written_format(sql),
            **size,
            "reserve_bytes": _reserve(config),
            **asdict(checkup.count(sql)),
        }

    return checkup.read_file(folder, read)


def _checked(config: Config, json_wanted: bool) -> dict[str, Any]:
    from postroad.store import checkup

    _expect_set_up(config)

    def read(sql: Any) -> dict[str, Any]:
        wanted = checkup.octets_to_check(sql)
        done = 0

        def told(octets: int) -> None:
            nonlocal done
            done += octets
            seen(done, wanted)

        with progress("Reading your mail", json_wanted) as seen:
            found = checkup.faults(sql, config.data, told)
            some = list(islice(found, checkup.FAULTS_MAX))
            more = sum(1 for _ in found)
        return {
            "whole": not some,
            "read_bytes": wanted,
            "faults": [asdict(one) for one in some],
            "more_faults": more,
        }

    answer = checkup.read_file(config.data, read)
    promises = _promises(config)
    if promises is not None and promises != PROMISED:
        answer["whole"] = False
    return {**answer, "running": promises is not None, **(promises or dict.fromkeys(PROMISED))}


PROMISED = {"journal_mode": "wal", "synchronous": 2}  # FULL


def _promises(config: Config) -> dict[str, Any] | None:
    """How the running node writes; None when none runs, or it is locked and writes nothing."""
    try:
        return ask(config.control_path, do="store promises")
    except (NotRunning, Locked):
        return None
    except PostroadError as error:
        raise ConfigurationError(f"Your node does not say how it writes: {error}") from error


def _reserve(config: Config) -> int:
    return round(policies.narrowed(config, policies.load()).reserve_mib * limits.MIB)


def _expect_set_up(config: Config) -> None:
    if not config.is_set_up:
        raise NotSetUp
