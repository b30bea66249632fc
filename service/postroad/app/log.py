"""Logging: one line per step of a letter's life, with the same names everywhere: as a line of the
journal where systemd runs us (`app.journal`), else as text on stderr.

Never bodies, subjects, keys, passwords or invitations; addresses at debug only,
but for the owner's own when the node starts.
"""

import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Line(logging.Formatter):
    """`time LEVEL room: text key=value ...`.

    Words of others may stand in it: none of them begins a line, such as one with the head of the
    audit log, or is obeyed by a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = super().formatMessage(record)
        extra = "".join(f" {name}={value}" for name, value in facts(record))
        return in_one_line(line + extra)

    def formatException(self, ei: Any) -> str:
        return "\n".join(f"  {in_one_line(one)}" for one in super().formatException(ei).split("\n"))


def facts(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    """What the line says besides its text: `extra` of who wrote it."""
    return ((name, value) for name, value in vars(record).items() if name not in _STANDARD)


def in_one_line(text: str) -> str:
    """The same, with what cannot be printed written as Python writes it."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def start(level: str) -> None:
    """Send all log lines of at least this level to stderr, or to the journal behind it."""
    from postroad.app import journal  # which is made of what stands here

    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    if journal.is_stderr(os.environ):
        handler = journal.JournalHandler(handler)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
