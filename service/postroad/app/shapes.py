"""How the form of an answer is written down once: for a JSON Schema, a page, and the tests.

Purpose: a field is what it holds and a sentence about it. Pure, and of no answer in particular.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from postroad.contract import JSON_VERSION

DRAFT = "http://json-schema.org/draft-07/schema#"


@dataclass(frozen=True, slots=True)
class Field:
    """What one field holds. `kind`: of JSON. `items`: of a list; `fields`: of an object."""

    kind: str
    about: str
    choices: tuple[str, ...] = ()
    items: "Field | None" = None
    fields: "Mapping[str, Field]" = field(default_factory=dict)
    is_null_too: bool = False
    is_left_out_too: bool = False

    def or_null(self) -> "Field":
        return replace(self, is_null_too=True)

    def or_absent(self) -> "Field":
        return replace(self, is_left_out_too=True)


Shape = Mapping[str, Field]


def text(about: str, *choices: str) -> Field:
    return Field("string", about, tuple(map(str, choices)))  # also of an enum


def whole(about: str) -> Field:
    return Field("integer", about)


def number(about: str) -> Field:
    return Field("number", about)


def truth(about: str) -> Field:
    return Field("boolean", about)


def moment(about: str) -> Field:
    return Field("number", f"{about} (seconds since 1970, UTC)")


def many(items: Field, about: str) -> Field:
    return Field("array", about, items=items)


def nested(fields: Shape, about: str = "") -> Field:
    return Field("object", about, fields=fields)


def anything(about: str) -> Field:
    return Field("", about)


def schema(variants: Sequence[Shape], title: str, *, strict: bool = False) -> dict[str, Any]:
    """The JSON Schema of an answer that has one of these forms. `strict`: nothing else may stand
    in it; a reader allows for fields that are new."""
    head = {"$schema": DRAFT, "title": title}
    versioned = [{"version": _VERSION, **shape} for shape in variants]
    made = [_object(shape, strict) for shape in versioned]
    return {**head, **made[0]} if len(made) == 1 else {**head, "anyOf": made}


def _object(shape: Shape, strict: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "object",
        "properties": {name: _of(one, strict) for name, one in shape.items()},
        "required": [name for name, one in shape.items() if not one.is_left_out_too],
    }
    return {**found, "additionalProperties": False} if strict else found


def _of(one: Field, strict: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if one.kind == "object" and one.fields:
        found = _object(one.fields, strict)
    elif one.kind:
        found = {"type": one.kind}
    if one.items is not None:
        found["items"] = _of(one.items, strict)
    if one.choices:
        found["enum"] = [*one.choices, *([None] if one.is_null_too else [])]
    if one.is_null_too:
        found["type"] = [one.kind, "null"]
    if one.about:
        found["description"] = one.about
    if one is _VERSION:
        found["const"] = JSON_VERSION
    return found


_VERSION = whole("of the form of this answer")
