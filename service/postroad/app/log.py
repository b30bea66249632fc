"""Logging: one line per step of a letter's life, with the same names everywhere, on stderr.

Never bodies, subjects, keys, passwords or invitations; addresses at debug only,
but for the owner's own when the node starts.
"""

import logging
import sys

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Line(logging.Formatter):
    """`time LEVEL room: text key=value ...`."""

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        extra = " ".join(
            f"{name}={value}" for name, value in vars(record).items() if name not in _STANDARD
        )
        return f"{line} {extra}" if extra else line


def start(level: str) -> None:
    """Send all log lines of at least this level to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Line("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
