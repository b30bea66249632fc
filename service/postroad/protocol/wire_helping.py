"""What people and their helpers say to each other, beside what everybody says (see `wire`)."""

from dataclasses import dataclass

from postroad.base import limits
from postroad.base.tlv import fixed, hidden, octets, optional, text
from postroad.protocol.contacts import CONTACT_BYTES_MAX, CONTACT_BYTES_MIN


@dataclass(frozen=True, slots=True)
class SignIn:
    """To a helper: serve me. With the secret of its link the first time, and later without, to
    tell it the newest record. Answer: SignedIn or No."""

    record: bytes = octets(1, 1, limits.RECORD_BYTES_MAX)
    secret: bytes | None = hidden(optional(fixed(2, 16)))


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The helper serves you; where it is, and what its owner calls it."""

    contact: bytes = octets(1, CONTACT_BYTES_MIN, CONTACT_BYTES_MAX)
    name: str = text(2, limits.HELPER_NAME_BYTES_MAX)
