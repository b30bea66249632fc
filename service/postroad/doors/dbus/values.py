"""What goes over the bus: typed values, and words that are fit to be shown.

Purpose: desks answer in plain Python (`dict[str, Any]`, the same that `--json` prints); here that
becomes what D-Bus calls a{sv}. Keys are spelt as D-Bus spells them: `expires_at` is "ExpiresAt".
Invariants: no subject and no text of a letter gets through; whatever a desk says has a type; what
others wrote (names, reasons) carries no control character, no sign that turns the direction of
writing and no half character, and has an end.
See: D-Bus Specification, "Type System".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from postroad.base import limits
from postroad.message.plain import is_seen

PRIVATE = frozenset({"subject", "text"})  # any program of the session may listen to the bus
_LINE_ENDS = "\n\r\t\u2028\u2029"
_MOMENTS = ("At", "Since", "Until")  # how the key of a moment ends
LISTS_OF_TABLES = {  # of these an empty one has a type, too
    "ByContact",
    "ByDay",
    "Entries",
    "Faults",
    "Findings",
    "Helpers",
    "HoursByContact",
    "IncomingByDay",
    "Invitations",
    "NextStepParts",
    "Outside",
    "Problems",
    "Proposals",
    "Quarantine",
    "ReasonParts",
    "Settings",
    "SummaryParts",
    "Tried",
}
LITERAL = "Arguments"  # what belongs into a sentence, by names that are spelt as there


@dataclass(frozen=True, slots=True)
class Typed:
    """What a variant carries: a value and its D-Bus type."""

    signature: str
    value: Any


def clean(words: object, length_max: int = limits.BUS_WORDS_MAX) -> str:
    """Fit to be shown in one line by any program."""
    text = str(words)[: 4 * length_max]
    fit = "".join(" " if one in _LINE_ENDS else one for one in text if _fits(one))
    return fit if len(fit) <= length_max else fit[: length_max - 1] + "…"


def _fits(character: str) -> bool:
    return character in _LINE_ENDS or is_seen(character)


def camel(key: str) -> str:
    """`round_trip_milliseconds` as D-Bus spells it."""
    return "".join(part[:1].upper() + part[1:] for part in key.replace("-", "_").split("_"))


def table(found: Mapping[str, Any]) -> dict[str, Typed]:
    """a{sv} of what a desk answered; what it does not know is left out, and what is private."""
    named = {
        camel(clean(key)): value
        for key, value in found.items()
        if value is not None and key not in PRIVATE
    }
    return {key: typed(value, key) for key, value in named.items()}


def typed(value: Any, key: str = "") -> Typed:
    """This value with the type that it has on the bus. `key`: under which it is told."""
    if isinstance(value, Typed):
        return value
    if isinstance(value, bool):
        return Typed("b", value)
    if isinstance(value, int):
        return Typed("t", value) if value >= 0 else Typed("x", value)
    if isinstance(value, float):  # seconds UTC are told in whole ones
        return Typed("t", int(value)) if key.endswith(_MOMENTS) else Typed("d", value)
    if isinstance(value, Mapping) and key == LITERAL:
        return Typed("a{ss}", {clean(name): clean(said) for name, said in value.items()})
    if isinstance(value, Mapping):
        return Typed("a{sv}", table(value))
    if isinstance(value, list | tuple):
        return _listed(value, key)
    return Typed("s", clean(value))


def _listed(values: list[Any] | tuple[Any, ...], key: str) -> Typed:
    if all(isinstance(one, Mapping) for one in values) and (values or key in LISTS_OF_TABLES):
        return Typed("aa{sv}", [table(one) for one in values])
    if all(type(one) is int and one >= 0 for one in values) and values:
        return Typed("at", list(values))
    if all(type(one) in (int, float) for one in values) and values:
        return Typed("ad", [float(one) for one in values])
    return Typed("as", [clean(one) for one in values])
