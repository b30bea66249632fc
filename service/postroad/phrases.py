"""Sentences that know of which parts they are made, so that whoever shows them can say them in
another language.

Purpose: the service speaks English, to programs and over the bus, with names and numbers in its
sentences; `phrase` and `counted` keep beside the English what was put into which words, `told`
gives that to whoever asks, `heard` reads it there, and `said` says it anew, by a catalogue whose
keys are those words.
Invariants: a `Phrase` is its English, also as the sentence of an error. Neither `heard` nor `said`
raises; no parts are believed that do not come to the English beside them: that is shown as it
stands then. Fields are {name} alone: nothing is looked up in what is put in. Imports nothing of the
house, as `contract`.
See: docs/adr/0030-sentences-in-parts.md; packaging/po/README.md.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

PARTS_MAX = 12  # of one text; what is beyond these bounds is shown in English
ARGUMENTS_MAX = 8
LENGTH_MAX = 1000  # of one template or argument
_FIELD = re.compile(r"\{([a-z_]+)\}")
_AS_IT_IS = "{text}"  # of what has no other language: the words of others, of systems

Say = Callable[[str], str]
Count = Callable[[str, str, int], str]
Put = Callable[[str], str]  # how a name, or whatever else is put in, is written


def _as_it_is(text: str) -> str:
    return text


@dataclass(frozen=True, slots=True)
class Part:
    """`plural`: the template for any number but one, where `count` decides."""

    template: str
    plural: str = ""
    count: int = 0
    arguments: Mapping[str, str] = field(default_factory=dict)

    def said(self, say: Say, count: Count, put: Put = _as_it_is) -> str:
        """By these, which know a language. KeyError: it has a field that nothing is known for."""
        arguments = {name: put(text) for name, text in self.arguments.items()}
        if not self.plural:
            return _filled(say(self.template), arguments)
        form = count(self.template, self.plural, self.count)
        return _filled(form, {**arguments, "n": str(self.count)})

    def told(self) -> dict[str, Any]:
        counted = {"plural": self.plural, "count": self.count} if self.plural else {}
        return {"template": self.template, **counted, "arguments": dict(self.arguments)}


class Phrase(str):
    """English, and its parts."""

    __slots__ = ("parts",)
    parts: tuple[Part, ...]

    def __new__(cls, parts: tuple[Part, ...]) -> "Phrase":
        made = super().__new__(cls, _joined(parts, _as_it_is, _in_english))
        made.parts = parts
        return made

    def __reduce__(self) -> tuple[type["Phrase"], tuple[tuple[Part, ...]]]:  # for copies
        return Phrase, (self.parts,)

    def __str__(self) -> "Phrase":  # so that str(error) keeps them
        return self


def phrase(template: str, **arguments: object) -> Phrase:
    """With each {name} in it replaced."""
    return Phrase((Part(template, arguments=_as_texts(arguments)),))


def counted(one: str, more: str, n: int, **arguments: object) -> Phrase:
    """The form for so many, with {n} in it replaced, too."""
    return Phrase((Part(one, more, n, _as_texts(arguments)),))


def joined(*texts: str) -> Phrase:
    """One text, of those that say something; what is no phrase stays as it is in any language."""
    return Phrase(tuple(part for text in texts if text for part in _parts(text)))


def told(text: str) -> list[dict[str, Any]]:
    """Its parts, for whoever asks over a socket or a bus."""
    return [one.told() for one in _parts(text)] if text else []


def heard(english: str, parts: object) -> str:
    """The phrase that was told; only its English where these parts are not of it. `parts`: as
    `told` has them, or as the bus spells them."""
    try:
        found = Phrase(_read(parts))
    except (KeyError, ValueError):  # of another release, or nonsense
        return english
    return found if found == english else english


def said(text: str, say: Say, count: Count, put: Put = _as_it_is) -> str:
    """It by `say` and `count`, of a reader's language, with what is put in as `put` gives it; as
    it is, where it is no phrase."""
    if not isinstance(text, Phrase):
        return text
    try:
        return _joined(text.parts, say, count, put)
    except KeyError:  # a catalogue with other fields
        return "".join(text)


def _read(parts: object) -> tuple[Part, ...]:
    """ValueError: these are none."""
    if not isinstance(parts, list | tuple) or not 0 < len(parts) <= PARTS_MAX:
        raise ValueError("no parts")
    return tuple(map(_part, parts))


def _part(one: object) -> Part:
    if not isinstance(one, Mapping):
        raise ValueError("no part")
    template, plural, count, arguments = (
        one.get(name, one.get(name.capitalize(), default))
        for name, default in (("template", ""), ("plural", ""), ("count", 0), ("arguments", {}))
    )
    if not isinstance(arguments, Mapping) or len(arguments) > ARGUMENTS_MAX or not template:
        raise ValueError("no part")
    texts = (template, plural, *arguments, *arguments.values())
    if not all(isinstance(one, str) and len(one) <= LENGTH_MAX for one in texts):
        raise ValueError("no text, or a long one")
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < 2**53:
        raise ValueError("no number of things")
    return Part(template, plural, count, arguments)


def _parts(text: str) -> tuple[Part, ...]:
    if isinstance(text, Phrase):
        return text.parts
    return (Part(_AS_IT_IS, arguments={"text": text}),)


def _joined(parts: tuple[Part, ...], say: Say, count: Count, put: Put = _as_it_is) -> str:
    return " ".join(one.said(say, count, put) for one in parts)


def _in_english(one: str, more: str, n: int) -> str:
    return one if n == 1 else more


def _filled(template: str, arguments: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda found: arguments[found[1]], template)


def _as_texts(arguments: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in arguments.items()}
