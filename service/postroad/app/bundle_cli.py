"""`postroad bundle ...`: letters as a file, to be carried by hand."""

from pathlib import Path
from typing import Any

import click

from postroad.app import telling
from postroad.app.asking import as_json, ask_about, finish
from postroad.app.config import Config
from postroad.app.owners_file import ReadFile, WrittenFile

file_argument = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def bundle() -> None:
    """Carry letters by hand: as a file, on a stick or by any other way."""


@bundle.command()
@file_argument
@click.option("--for", "name", metavar="NAME", help="Only what waits for this contact.")
@click.option("--invite", is_flag=True, help="With an invitation for whoever reads it first.")
@as_json
@click.pass_context
def write(
    context: click.Context, file: Path, name: str | None, invite: bool, json_wanted: bool
) -> None:
    """Write all letters and receipts that wait into FILE.

    They go on waiting, and being tried, until a receipt comes by whatever way. Letters in it are
    sealed: whoever carries it can read none."""

    def work() -> dict[str, Any]:
        return _write(context.obj.config, file, {"for": name, "invite": invite})

    finish(work, json_wanted, lambda answer: telling.bundle_written(answer, file))


@bundle.command()
@file_argument
@click.option(
    "--answer",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what should go back to its author into this file.",
)
@click.option("--accept", is_flag=True, help="Accept an invitation that is in it.")
@as_json
@click.pass_context
def read(
    context: click.Context, file: Path, answer: Path | None, accept: bool, json_wanted: bool
) -> None:
    """Take in what FILE brings: letters for you, receipts for yours. Reading twice is harmless."""

    def work() -> dict[str, Any]:
        config: Config = context.obj.config
        if answer is not None:
            WrittenFile.check_is_new(answer)
        with ReadFile(file) as opened:
            found = ask_about(opened, config, do="bundle read", accept=accept)
        found["answer"] = None
        if answer is not None and found["author"] is not None:
            back = {"for": found["author"], "invite": False, "if_any": True}
            found["answer"] = _write(config, answer, back)
        return found

    finish(work, json_wanted, lambda found: telling.bundle_read(found, file, answer))


def _write(config: Config, file: Path, request: dict[str, Any]) -> dict[str, Any]:
    with WrittenFile(file) as opened:
        return ask_about(opened, config, do="bundle write", **request)
