"""Why a letter waits, or came back: sentences that the queue keeps as text, found again in it.

Purpose: the queue has one column for the reason, which is English as the log is; whoever reads
another language is told it in parts, as all else (`phrases`).
Invariants: `in_parts` is the same text, whatever it is; what is none of our sentences (the words of
another node) stays as it is.
See: docs/adr/0030-sentences-in-parts.md.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from postroad.phrases import Part, Phrase, joined, phrase
from postroad.protocol.delivery import (
    AMONG_REQUESTS,
    CANCELLED,
    REFUSALS,
    SEALED_ANEW,
    where,
)
from postroad.store import circle
from postroad.store.own_standing import ENDED, HANDED_ON

NOBODY_REACHED = phrase("Neither the recipient nor a holder of theirs could be reached.")
NO_ROOM = phrase(
    "A holder has no room for more letters to them, until they have fetched those that lie there."
)
NOBODY = joined(
    phrase("Nobody of this address is to be found."),
    phrase("Compare it with what they gave you, letter by letter, or ask them for an invitation."),
)
TAKES_NONE = joined(
    phrase("They take letters from their contacts only."),
    phrase("Ask them for an invitation, accept it, and send the letter again."),
)
THEIRS_IS_REVOKED = joined(
    phrase(
        "The recipient has revoked their identity: no letter to this address can be answered for "
        "any more."
    ),
    phrase("Ask them in another way for an invitation to their new one."),
)
A_REVOKED_WORD = phrase("A device that the recipient has revoked answered for them.")
NOT_BELIEVED = phrase("What the directory said of them cannot be believed.")
NOT_LOOKED_UP = phrase(
    "You are no contacts, so they have to be looked up in the directory, and your node has not "
    "reached that yet."
)
NOT_FOUND = phrase("They were not found in the directory yet; your node looks again.")


def blocked(name: str) -> Phrase:
    return phrase(
        "You have blocked {name}, so it waits: until you unblock them (postroad contacts unblock), "
        "or it expires.",
        name=name,
    )


def no_key(name: str) -> Phrase:
    return joined(
        phrase("{name} has revoked the device that letters to them went to.", name=name),
        phrase("This one waits until their other device is found."),
    )


def holder_said(words: str) -> Phrase:
    return phrase("A holder said: {words}", words=words)


def holder_misbehaved(words: str) -> Phrase:
    return phrase("A holder did not keep to the protocol: {words}", words=words)


def node_said(words: str) -> Phrase:
    return phrase("The recipient's node said: {words}", words=words)


def node_misbehaved(words: str) -> Phrase:
    return phrase("The recipient's node did not keep to the protocol: {words}", words=words)


_OURS = (
    *(NOBODY_REACHED, NO_ROOM, NOBODY, TAKES_NONE, THEIRS_IS_REVOKED, A_REVOKED_WORD),
    *(NOT_BELIEVED, NOT_LOOKED_UP, NOT_FOUND, ENDED, HANDED_ON),
    *(AMONG_REQUESTS, CANCELLED, SEALED_ANEW),
    *(reason for _status, reason in REFUSALS.values()),
    *(blocked(""), no_key(""), circle.refusal("")),
    *(holder_said(""), holder_misbehaved(""), node_said(""), node_misbehaved("")),
)
_WORD = r"(.+)"
LENGTH_MAX = 2000  # of a text that is looked at: ours are shorter


def _pattern(text: Phrase) -> re.Pattern[str]:
    """What such a sentence looks like, whatever was put into it."""
    whole = " ".join(one.template for one in text.parts)
    return re.compile(_WORD.join(map(re.escape, re.split(r"\{[a-z_]+\}", whole))), re.DOTALL)


_PATTERNS = tuple((_pattern(one), one) for one in _OURS)
_WHERE = re.compile(
    r"It waits at (one|[0-9]{1,9}) of the recipient's holders\.(?: (.+))?", re.DOTALL
)


def in_parts(reason: str) -> str:
    """The same, as a phrase where it is one of ours."""
    if len(reason) > LENGTH_MAX:
        return reason
    if found := _WHERE.fullmatch(reason):
        holders = 1 if found[1] == "one" else int(found[1])
        told: str = joined(where(holders), _why(found[2] or ""))
    else:
        told = _why(reason)
    return told if told == reason else reason


def _why(reason: str) -> str:
    """Without where it waits."""
    for pattern, ours in _PATTERNS:
        if found := pattern.fullmatch(reason):
            words = iter(found.groups())
            return Phrase(tuple(_filled(part, words) for part in ours.parts))
    return reason


def _filled(part: Part, words: Iterator[str]) -> Part:
    names = re.findall(r"\{([a-z_]+)\}", part.template)
    return replace(part, arguments={name: next(words) for name in names})
