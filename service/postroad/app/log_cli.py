"""`postroad log`: what your node did, out of the journal; one letter's story by any of its ids.

Purpose: the same for whoever does not know journalctl. It asks for lines of your own node only: of
your user, under its name. A letter is followed from one id to the others: its number in the queue,
the id that the door said, and the mail id under which holders and its recipient know it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any, NoReturn

import click

from postroad.app import completing
from postroad.app import telling_log as telling
from postroad.app.asking import Misused, as_json, finish
from postroad.app.journal import IDENTIFIER, is_there
from postroad.base.errors import ConfigurationError

LINES = 100
IDS = ("PARCEL", "LETTER", "MAIL_ID")
NAMES = {
    "MESSAGE": "text",
    "ROOM": "room",
    "PARCEL": "parcel",
    "LETTER": "letter",
    "MAIL_ID": "mail",
    "STATE": "state",
    "HOLDER": "holder",
    "PEER": "peer",
}
LEVELS = {2: "error", 3: "error", 4: "warning", 5: "info", 6: "info", 7: "debug"}
Entry = dict[str, Any]


@click.command("log")
@click.argument("parcel", required=False, shell_complete=completing.letters)
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(1, 100_000),
    default=LINES,
    show_default=True,
    help="How many of the last lines are shown; of one letter, all are.",
)
@as_json
def log_command(parcel: str | None, follow: bool, lines: int, json_wanted: bool) -> None:
    """Show what your node did lately, or the story of the letter PARCEL.

    PARCEL is its number in `postroad queue`, the id that your mail program was told when it was
    queued, or its mail id. No subject, text or password is ever in the log."""

    def work() -> dict[str, Any]:
        if follow and json_wanted:
            raise Misused("One JSON object has an end, and --follow has none: leave out one.")
        _expect_journal()
        if parcel is None:
            if follow:
                _follow([*_ours(), f"--lines={lines}"])
            found = list(_entries([*_ours(), f"--lines={lines}"]))
        else:
            ids = _ids_of(parcel)
            if follow:
                _follow(["--lines=all", *_any_of(ids)])
            found = [one for one in _entries(_any_of(ids)) if _is_of(one, parcel)]
        return {"lines": [_told(one) for one in found]}

    finish(work, json_wanted, lambda answer: telling.lines(answer, parcel))


def _expect_journal() -> None:
    if shutil.which("journalctl") is None or not is_there():
        raise ConfigurationError(
            "This computer has no journal of systemd. A node that runs in a terminal (postroad "
            "run) tells its log there."
        )


def _ours() -> list[str]:
    """What the lines of the node of this user have in common, as matches for journalctl."""
    return [f"_UID={os.getuid()}", f"SYSLOG_IDENTIFIER={IDENTIFIER}"]


def _ids_of(wanted: str) -> set[tuple[str, str]]:
    """All names of this letter that the journal knows, beginning with the one that was typed."""
    if not (wanted.isascii() and wanted.isalnum()):
        raise Misused(f"{wanted!r} is no id of a letter. The numbers stand in: postroad queue")
    ids = {(name, wanted.lower()) for name in IDS}
    for entry in _entries(_any_of(ids)):
        if _is_of(entry, wanted):
            ids |= {(name, entry[name]) for name in IDS if isinstance(entry.get(name), str)}
    return ids


def _is_of(entry: Entry, wanted: str) -> bool:
    """Whether it is about this parcel, and not another one of the same letter."""
    return not wanted.isdigit() or len(wanted) > 18 or entry.get("PARCEL") in (None, wanted)


def _any_of(ids: set[tuple[str, str]]) -> list[str]:
    matches: list[str] = []
    for name, value in sorted(ids):
        matches += [*(["+"] if matches else []), *_ours(), f"{name}={value}"]
    return matches


def _entries(matches: list[str]) -> Iterator[Entry]:
    """What the journal has that matches, oldest first."""
    done = subprocess.run(  # noqa: S603  (matches are made here)
        _journalctl(matches), capture_output=True, check=False
    )
    if done.returncode not in (0, 1) or (done.stderr and not done.stdout):
        _fail(done.stderr)
    for line in done.stdout.splitlines():
        yield _parsed(line)


def _follow(matches: list[str]) -> NoReturn:
    """Show what matches, and what comes, until Ctrl-C."""
    command = [*_journalctl(matches), "--follow"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603
        assert process.stdout is not None
        try:
            for line in process.stdout:
                telling.line(_told(_parsed(line)))
        except (KeyboardInterrupt, BrokenPipeError):
            process.terminate()
    raise SystemExit(0)


def _journalctl(matches: list[str]) -> list[str]:
    return ["journalctl", "--no-pager", "--all", "--output=json", *matches]


def _fail(said: bytes) -> NoReturn:
    reason = said.decode(errors="replace").strip().partition("\n")[0]
    raise ConfigurationError(
        f"The journal cannot be read ({reason}). Who may read it: the group systemd-journal."
    )


def _parsed(line: bytes) -> Entry:
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def _told(entry: Entry) -> Entry:
    told = {new: _text(entry[old]) for old, new in NAMES.items() if old in entry}
    return {
        "at": int(entry["__REALTIME_TIMESTAMP"]) / 1e6,
        "level": LEVELS.get(int(entry.get("PRIORITY", 6)), "info"),
        **told,
    }


def _text(value: Any) -> str:
    """journalctl gives a list of octets for what is no text, and of all values for a field that
    stands twice."""
    if isinstance(value, list):
        if all(isinstance(one, int) for one in value):
            return bytes(value).decode(errors="replace")
        return " ".join(map(str, value))
    return str(value)
