"""Addresses: `name.<fingerprint>@postroad.alt`, and what a person may have meant.

`.alt` is reserved for names outside the DNS (RFC 9476). A tag is accepted as
`name+tag.<fingerprint>` and, where 64 octets allow it, as `name.<fingerprint>+tag`.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from postroad.base.errors import PermanentFailure
from postroad.base.ids import FINGERPRINT_CHARACTERS, Fingerprint, is_fingerprint

DOMAIN = "postroad.alt"
NAME_CHARACTERS_MAX = 31  # name and tag together
LOCAL_CHARACTERS_MAX = 64  # RFC 5321 section 4.5.3.1.1
_NAME = re.compile(r"[a-z0-9_-]+")
_LOCAL = re.compile(
    r"(?P<name>[a-z0-9_-]+)(?:\+(?P<tag>[a-z0-9_-]+))?\."
    rf"(?P<fingerprint>[^.+@]{{1,{FINGERPRINT_CHARACTERS + 8}}})(?:\+(?P<last>[a-z0-9_-]+))?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Somebody's address; two are the same person's when their fingerprints are equal."""

    name: str
    fingerprint: Fingerprint
    tag: str = ""

    def __str__(self) -> str:
        tag = f"+{self.tag}" if self.tag else ""
        return f"{self.name}{tag}.{self.fingerprint}@{DOMAIN}"

    @property
    def canonical(self) -> "Address":
        """The same without the tag."""
        return Address(self.name, self.fingerprint)


def is_name(text: str) -> bool:
    """Whether a person may call themselves so: 1 to 31 of a-z, 0-9, - and _."""
    return len(text) <= NAME_CHARACTERS_MAX and _NAME.fullmatch(text) is not None


def parse(text: str) -> Address:
    """The address that this says; PermanentFailure tells in words what is wrong with it."""
    local, at, domain = text.rpartition("@")
    if not at or domain.lower() != DOMAIN:
        raise PermanentFailure(
            f"{text}: Postroad carries letters to addresses that end in @{DOMAIN} only."
        )
    if len(local) > LOCAL_CHARACTERS_MAX:
        raise PermanentFailure(f"{text}: the part before the @ is too long.")
    # Only then in lower case: the Kelvin sign would become a k.
    found = _LOCAL.fullmatch(local.lower()) if local.isascii() else None
    if found is None or (found["tag"] and found["last"]):
        raise PermanentFailure(f"{text} is not an address of the form name.fingerprint@{DOMAIN}.")
    tag = found["tag"] or found["last"] or ""
    if len(found["name"]) + len(tag) > NAME_CHARACTERS_MAX:
        raise PermanentFailure(f"{text}: the part before the fingerprint is too long.")
    if not is_fingerprint(found["fingerprint"]):
        raise PermanentFailure(f"{text} is mistyped: its fingerprint does not add up.")
    return Address(found["name"], Fingerprint(found["fingerprint"]), tag)


def did_you_mean(text: str, known: Iterable[str]) -> str | None:
    """The known address that a mistyped one most likely meant, if any is near."""
    near = difflib.get_close_matches(text.lower(), list(known), n=1, cutoff=0.8)
    return near[0] if near else None
