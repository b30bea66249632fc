"""Names in From: do they look like somebody else's?

Purpose: a display name is what people read, and nobody vouches for it. What pretends to be another
address is refused; what reads like the name of another contact is told.
Invariants: pure, and linear in the length of the name.
See: docs/adr/0011-strangers.md for the rules, `nicknames` for what looks alike.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import pairwise

from postroad.base.errors import PermanentFailure
from postroad.base.ids import is_fingerprint
from postroad.message import address as addresses
from postroad.message import nicknames
from postroad.message.plain import is_seen

CHARACTERS_MAX = 1000  # of a name, without what is not seen, are compared with other names
_AROUND_AT = re.compile(r"(?<! ) *@ *")  # only from where the spaces begin: one look at each
_BETWEEN = re.compile(r"[\s<>\"'(),;:\[\]]+")
_WORD = re.compile(r"[a-z2-7]{32}")


def named_address(name: str, own: str) -> str | None:
    """An address, or a whole fingerprint, that stands in a display name and is not `own`.

    Invisible characters, however many, other forms of the same letters and spaces around the @ do
    not hide it."""
    plain = _plain(name)
    for found in _addresses(plain):
        if not _is_same(found, own):
            return found
    for word in _WORD.findall(plain):
        if is_fingerprint(word) and word not in own:
            return str(word)
    return None


def like(name: str, others: Iterable[tuple[str, str]]) -> str | None:
    """Whose name (of pairs: name, who) this one is read as; None when nobody's, or it is empty."""
    mine = nicknames.key("".join(filter(is_seen, name))[:CHARACTERS_MAX])
    if not mine:
        return None
    return next((who for other, who in others if nicknames.key(other) == mine), None)


def _plain(name: str) -> str:
    """Without marks, too: thousands on one letter would take their time to be put in order."""
    seen = "".join(
        one for one in name if is_seen(one) and not unicodedata.category(one).startswith("M")
    )
    return _AROUND_AT.sub("@", unicodedata.normalize("NFKC", seen).casefold())


def _addresses(plain: str) -> Iterator[str]:
    for word in _BETWEEN.split(plain):
        pieces = word.split("@")
        for local, domain in pairwise(pieces):
            if local and "." in domain[1:-1]:
                yield f"{local}@{domain}"


def _is_same(found: str, own: str) -> bool:
    """Whether a name says the very address that it stands beside, with or without a tag."""
    try:
        return addresses.parse(found).canonical == addresses.parse(own).canonical
    except PermanentFailure:
        return found == own.casefold()
