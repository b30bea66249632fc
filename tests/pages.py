"""Hold docs/protocol/ to the code: the same structures, numbers, strings and limits in both.

`differences` says each one in a sentence, with the lines that a page lacks.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from typing import Any

from postroad.base import limits, tlv
from postroad.protocol import bundle, identity_records, mux, records, relay, wire
from postroad.protocol.delivery import REFUSALS
from postroad.sealing import letter, receipt
from second_reader import page
from second_reader.page import Field

SERVICE = Path(__file__).parents[1] / "service" / "postroad"
# What each page specifies; whatever stands nested in it belongs to the first page that has it.
ROOTS: dict[str, list[type[Any]]] = {
    "records": [
        records.PersonRecord,
        identity_records.RevokeRecord,
        identity_records.RotateRecord,
    ],
    "letter": [letter._Signed],
    "receipt": [receipt._Signed],
    "wire": list(wire._KINDS.values()),
    "bundle": list(bundle._KINDS.values()),
}
NAMES = {letter._Signed: "Front", receipt._Signed: "Signed"}


def _of(numbers: type[IntEnum]) -> dict[int, str]:
    return {one.value: one.name for one in numbers}


NUMBERS: list[tuple[str, str, dict[int, str]]] = [
    ("wire", "message", {kind: message.__name__ for kind, message in wire._KINDS.items()}),
    ("wire", "refusal", _of(wire.Refusal)),
    ("letter", "letter", _of(letter.Kind)),
    ("receipt", "verdict", _of(receipt.Verdict)),
    ("bundle", "item", {kind: item.__name__ for kind, item in bundle._KINDS.items()}),
    ("tls", "frame", _of(mux.Kind)),
    ("relay", "frame", _of(relay.Kind)),
    (
        "records",
        "record",
        {
            kind: reader.__name__.removeprefix("read_")
            for kind, reader in identity_records._READERS.items()
        },
    ),
]


def name_of(message: type[Any]) -> str:
    return NAMES.get(message, message.__name__)


def owners() -> dict[type[Any], str]:
    """Every structure of the code, and the page in which its table should stand."""
    found: dict[type[Any], str] = {}

    def add(message: type[Any], where: str) -> None:
        if message not in found:
            found[message] = where
            for _, kind in tlv.plan(message):
                if kind.message is not None:
                    add(kind.message, where)

    for where, roots in ROOTS.items():
        for root in roots:
            add(root, where)
    return found


def fields_of(message: type[Any]) -> tuple[Field, ...]:
    """The fields of a structure of the code, as a page says them."""
    return tuple(
        Field(
            kind.tag,
            name.replace("_", " "),
            kind.form if kind.message is None else name_of(kind.message),
            kind.size_min,
            kind.size_max,
            kind.count_min,
            kind.count_max,
        )
        for name, kind in tlv.plan(message)
    )


def table_of(message: type[Any]) -> str:
    """The table that a page should have of this structure."""
    lines = [f"| tag | {name_of(message)} | is | bytes | |", "| --- | --- | --- | --- | --- |"]
    for field in fields_of(message):
        form, size = field.form, str(field.size_min)
        if field.count_max > 1:
            form += f", {field.count_min} to {field.count_max} times"
        elif not field.count_min:
            form += ", optional"
        if field.size_max != field.size_min:
            size += f" to {field.size_max}"
        lines.append(f"| {field.tag} | {field.name} | {form} | {size} | |")
    return "\n".join(lines)


def differences() -> Iterator[str]:
    """Each thing that page and code do not agree on."""
    yield from _structures()
    yield from _numbers()
    yield from _statuses()
    yield from _limits()
    yield from _strings()


def _structures() -> Iterator[str]:
    there = {
        (where, name): fields for where in ROOTS for name, fields in page.structures(where).items()
    }
    for message, where in owners().items():
        known = there.pop((where, name_of(message)), ())
        if known != fields_of(message):
            yield f"docs/protocol/{where}.md should say:\n{table_of(message)}"
    for where, name in there:
        yield f"docs/protocol/{where}.md has a table of {name}, which the code has not."


def _numbers() -> Iterator[str]:
    for where, word, code in NUMBERS:
        text = page.numbers(where, word)
        for number in sorted(code.keys() | text.keys()):
            if code.get(number) != text.get(number):
                yield (
                    f"docs/protocol/{where}.md, table of each {word}: {number} is "
                    f"{text.get(number)} there, and {code.get(number)} in the code."
                )


def _statuses() -> Iterator[str]:
    (table,) = [one for one in page.tables() if one.head[:3] == ("verdict", "name", "status")]
    said = {int(row[0]): row[2] for row in table.rows if row[2]}
    sent = {verdict.value: status for verdict, (status, _) in REFUSALS.items()}
    if said != sent:
        yield f"docs/protocol/receipt.md, statuses of verdicts: {said} there, {sent} in the code."


def _limits() -> Iterator[str]:
    for where, name, value in page.limits():
        room, _, plain = name.rpartition(".")
        holder = importlib.import_module(_module(room)) if room else limits
        if getattr(holder, plain, None) != value:
            found = getattr(holder, plain, None)
            yield f"docs/protocol/{where}.md: {name} is {value} there, and {found} in the code."


def _module(name: str) -> str:
    """The module of this name, in the room where formats are most likely to be."""
    for room in ("protocol", "sealing", "store", "machine"):
        if (SERVICE / room / f"{name}.py").exists():
            return f"postroad.{room}.{name}"
    raise AssertionError(f"a page names a limit of a module {name} that there is not")


def _strings() -> Iterator[str]:
    """Every string that is signed or hashed keeps its place apart from all others."""
    code = {found for path in SERVICE.rglob("*.py") for found in _strings_of(path)}
    code.discard("postroad/2")  # the ALPN
    code.discard("postroad/letter/1 ")  # three uses, which the page tells one by one
    code |= {f"postroad/letter/1 {use}" for use in ("payload", "commitment", "receipt")}
    for one in sorted(code ^ page.strings()):
        there = "code" if one in code else "page"
        yield f"docs/protocol/tlv.md, strings kept apart: {one!r} stands in the {there} only."


def _strings_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, bytes):
            found = node.value.rstrip(b"\0").decode("latin-1")
            if found.startswith("postroad") and found != "postroad":
                yield found
