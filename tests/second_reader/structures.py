"""Structures of fields, read by the tables of the pages.

Nothing about a structure stands here but how its tables are to be read (docs/protocol/tlv.md).
"""

from __future__ import annotations

from second_reader import page, tlv
from second_reader.page import Field
from second_reader.tlv import must, sized

Value = bytes | int | bool | str | dict[str, "Values"] | None
Values = Value | list[Value]


def read(where: str, name: str, octets: bytes) -> dict[str, Values]:
    """A structure by its name: that of this page, else the only one of that name."""
    found, at = tlv.split(octets), 0
    values: dict[str, Values] = {}
    for field in _fields(where, name):
        mine: list[Value] = []
        while at < len(found) and found[at][0] == field.tag and len(mine) < field.count_max:
            mine.append(_value(where, field, found[at][1]))
            at += 1
        must(len(mine) >= field.count_min, f"{name}: {field.name} is missing")
        values[field.name] = mine if field.count_max > 1 else mine[0] if mine else None
    must(at == len(found), f"{name}: a field that does not belong there")
    return values


def write(where: str, name: str, values: dict[str, Values]) -> bytes:
    """The one encoding of a structure with these values; absent ones are None, or not there."""
    written: list[tuple[int, bytes]] = []
    for field in _fields(where, name):
        value = values.get(field.name)
        found = value if isinstance(value, list) else [] if value is None else [value]
        assert field.count_min <= len(found) <= field.count_max, f"{name}: {field.name}"
        written += [(field.tag, _octets(where, field, one)) for one in found]
    return tlv.tlv(*written)


def _octets(where: str, field: Field, value: Value) -> bytes:
    if isinstance(value, bytes):
        return sized(value, field.size_min, field.size_max)
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict):
        return write(where, field.form, value)
    assert isinstance(value, int)
    return int(value).to_bytes(field.size_min, "big")


def _fields(where: str, name: str) -> tuple[Field, ...]:
    here = page.structures(where).get(name)
    if here is not None:
        return here
    pages = {table.page for table in page.tables() if table.head[:2] == ("tag", name)}
    assert len(pages) < 2, f"which {name} {where}.md means, it has to say by a name of its own"
    return page.structures(pages.pop())[name] if pages else ()


def _value(where: str, field: Field, value: bytes) -> Value:
    if field.form == "bytes":
        return sized(value, field.size_min, field.size_max)
    if field.form == "number":
        return tlv.number(value, field.size_min)
    if field.form == "flag":
        return tlv.flag(value)
    if field.form == "text":
        return tlv.text(value, field.size_min, field.size_max)
    return read(where, field.form, value)


class Fields:
    """The values of a structure, each asked for as what it is."""

    def __init__(self, values: Values) -> None:
        assert isinstance(values, dict)
        self.values = values

    def octets(self, name: str) -> bytes:
        value = self.values[name]
        assert isinstance(value, bytes)
        return value

    def number(self, name: str) -> int:
        value = self.values[name]
        assert isinstance(value, int)
        return value

    def text(self, name: str) -> str:
        value = self.values[name]
        assert isinstance(value, str)
        return value

    def of(self, name: str) -> Fields:
        return Fields(self.values[name])

    def each(self, name: str) -> list[Fields]:
        values = self.values[name]
        assert isinstance(values, list)
        return [Fields(one) for one in values]
