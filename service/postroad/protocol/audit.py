"""The audit log as a chain: each entry names the hash of the one before it.

Purpose: write an entry as the line that is hashed, and find what was changed, taken out, moved or
cut off. A line is JSON with sorted keys and no spaces, so that whoever keeps the lines can check
them with any SHA-256.
What a chain cannot show: whoever may write the store can write all of it anew, or cut off its end
and what was noted of it. Only a head that was kept elsewhere tells then.
See: docs/policy.md.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from postroad.base.errors import PermanentFailure
from postroad.base.ids import Instant

NO_HASH = bytes(32)  # what the first entry of all names
PRUNED = "audit pruned"
FACT_CHARACTERS_MAX = 120
FACTS_MAX = 8
FAULTS_MAX = 100
MOMENT_MAX = 2**37  # some 4,000 years from now: every calendar can still show it
Fact = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Head:
    """An entry by its number and hash: what an administrator keeps elsewhere."""

    number: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it is stored."""

    number: int
    line: bytes
    hash: bytes

    @property
    def head(self) -> Head:
        return Head(self.number, self.hash)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a line says."""

    number: int
    at: Instant
    event: str
    facts: Mapping[str, Fact]
    previous: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was written; `number` 0: the log as a whole."""

    number: int
    says: str


@dataclass(frozen=True, slots=True)
class Report:
    entries: int
    first: int  # 0: there are none
    head: Head | None
    pruned: int  # entries that were forgotten to keep the log small; the chain goes on over them
    faults: tuple[Fault, ...]


def head_from(text: str) -> Head:
    """The head that a person typed; PermanentFailure when it is none."""
    number, _, digest = text.strip().partition(":")
    try:
        found = Head(int(number), bytes.fromhex(digest))
    except ValueError:
        found = Head(0, b"")
    if len(found.hash) != 32 or found.number < 1 or not number.isascii():
        raise PermanentFailure(
            "A head is a number, a colon and 64 hexadecimal digits, as `postroad audit verify` "
            "prints it."
        )
    return found


def written(before: Head | None, at: Instant, event: str, facts: Mapping[str, Fact]) -> Row:
    """The entry that follows `before`. Texts are cut: an entry is a note, not a letter."""
    assert len(facts) <= FACTS_MAX
    number = 1 if before is None else before.number + 1
    content = {
        "number": number,
        "at": float(at),
        "event": event,
        "facts": {name: _cut(value) for name, value in facts.items()},
        "previous": (NO_HASH if before is None else before.hash).hex(),
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    line = text.encode("ascii")
    return Row(number, line, hashlib.sha256(line).digest())


def _cut(value: Fact) -> Fact:
    if isinstance(value, str) and len(value) > FACT_CHARACTERS_MAX:
        return value[: FACT_CHARACTERS_MAX - 1] + "…"
    return value


def entry_of(row: Row) -> Entry | None:
    """What the row says; None when it was changed or is damaged."""
    if hashlib.sha256(row.line).digest() != row.hash:
        return None
    try:
        said: dict[str, Any] = json.loads(row.line)
        entry = Entry(
            int(said["number"]),
            Instant(float(said["at"])),
            str(said["event"]),
            dict(said["facts"]),
            bytes.fromhex(said["previous"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_ours = entry.number == row.number and 0 <= entry.at < MOMENT_MAX  # nor is it no number
    return entry if is_ours else None


def examine(
    rows: Sequence[Row], newest: Head | None, kept: Head | None = None, unreadable: int = 0
) -> Report:
    """Check the rows, in the order of their numbers.

    `newest`: what was noted beside the log with its last entry; `kept`: a head from elsewhere;
    `unreadable`: rows that the disk did not give back."""
    faults = [*_unreadable(unreadable), *_in_the_chain(rows), *_at_the_end(rows, newest)]
    if kept is not None:
        faults += _against(rows, kept)
    pruned = rows[0].number - 1 if rows and _was_pruned_before(rows) else 0
    return Report(
        len(rows),
        rows[0].number if rows else 0,
        rows[-1].head if rows else None,
        pruned,
        tuple(faults[:FAULTS_MAX]),
    )


def _unreadable(count: int) -> Iterator[Fault]:
    if count:
        yield Fault(0, f"The disk did not give back {count} of its entries.")


def _in_the_chain(rows: Sequence[Row]) -> Iterator[Fault]:
    before: Row | None = None
    for row in rows:
        number = row.number
        entry = entry_of(row)
        if entry is None:
            yield Fault(number, f"Entry {number} was changed or is damaged.")
        if before is None:
            if (number > 1 and not _was_pruned_before(rows)) or (
                number == 1 and entry is not None and entry.previous != NO_HASH
            ):
                yield Fault(number, f"What stood before entry {number} was taken out.")
        elif number != before.number + 1:
            gap = f"{before.number + 1} to {number - 1}"
            yield Fault(before.number + 1, f"Entries are missing: {gap}.")
        elif entry is not None and entry.previous not in _hashes(before):
            says = f"Entry {number} does not follow entry {before.number}: one was replaced."
            yield Fault(number, says)
        before = row


def _hashes(row: Row) -> tuple[bytes, bytes]:
    """Which of its two halves was damaged does not matter to the entry that follows."""
    return row.hash, hashlib.sha256(row.line).digest()


def _was_pruned_before(rows: Sequence[Row]) -> bool:
    """Whether the log itself says that it was cut off right before its first entry."""
    first = entry_of(rows[0])
    if first is None or first.number == 1:
        return False
    want = {"up_to": first.number - 1, "hash": first.previous.hex()}
    return any(
        entry.event == PRUNED and all(entry.facts.get(name) == want[name] for name in want)
        for row in rows
        if b'"audit pruned"' in row.line and (entry := entry_of(row)) is not None
    )


def _at_the_end(rows: Sequence[Row], newest: Head | None) -> Iterator[Fault]:
    last = rows[-1].number if rows else 0
    if newest is None:
        if rows:
            yield Fault(0, "What is noted beside the log of its newest entry is missing.")
    elif newest.number > last:
        yield Fault(newest.number, f"The newest entries, {last + 1} to {newest.number}, are gone.")
    elif newest.number < last:
        yield Fault(last, f"Entries after {newest.number} were not added by this program.")
    elif newest.hash not in _hashes(rows[-1]):
        yield Fault(last, f"Entry {last} is not the one that was written last.")


def _against(rows: Sequence[Row], kept: Head) -> Iterator[Fault]:
    if not rows or kept.number > rows[-1].number:
        says = f"The log does not reach entry {kept.number} of the head that you kept: it was cut."
        yield Fault(kept.number, says)
    elif kept.number < rows[0].number:
        yield Fault(
            kept.number,
            f"Entry {kept.number} of the head that you kept is not in the log any more, which "
            f"begins at {rows[0].number}. Nothing can be said by it; keep a newer head.",
        )
    elif not any(row.number == kept.number and kept.hash in _hashes(row) for row in rows):
        says = f"Entry {kept.number} is not the one of the head that you kept: it was replaced."
        yield Fault(kept.number, says)
