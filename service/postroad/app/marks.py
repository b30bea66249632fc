"""The sign before a line that says how something is: the same one for the same gravity everywhere.

`status`, `watch`, `doctor` and `netcheck` take it from here.
"""

from enum import StrEnum

from postroad.contract import Health, Severity
from postroad.protocol.netcheck import State

BROKEN, ATTENTION, LESS, GOOD, NEWS, NOT_KNOWN = "X", "!", "~", "+", "-", "?"
_MARKS: dict[str, str] = {
    Severity.BROKEN: BROKEN,
    Health.BROKEN: BROKEN,
    Severity.ATTENTION: ATTENTION,
    Health.ATTENTION: ATTENTION,
    State.BAD: ATTENTION,
    State.LIMITED: LESS,
    Severity.INFO: NEWS,
    Health.OK: GOOD,
    State.GOOD: GOOD,
    State.UNKNOWN: NOT_KNOWN,
}


def mark(how: str | StrEnum) -> str:
    """Of a severity, a health, or the state of a way; what nobody knows yet deserves a look."""
    return _MARKS.get(str(how), ATTENTION)
