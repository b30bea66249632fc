"""Links and safety numbers, as docs/protocol/invitation.md and safety.md say."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from second_reader.keys import base32, is_fingerprint
from second_reader.records import Contact, contact
from second_reader.tlv import Refused, must, sized


def _unwrapped(scheme: str, octets: bytes, characters_max: int) -> bytes:
    try:
        link = octets.decode("ascii")
    except UnicodeDecodeError as error:
        raise Refused("not ASCII") from error
    link = "".join(link.split())
    must(link.startswith(scheme), "another scheme")
    must(len(link) <= characters_max, "too long")
    body = link.removeprefix(scheme)
    try:
        found = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused("not base64url") from error
    again = base64.urlsafe_b64encode(found).decode().rstrip("=")
    must(again == body, "not the one text of these octets")
    must(hashlib.sha256(found[:-4]).digest()[:4] == found[-4:], "damaged")
    return found[:-4]


@dataclass(frozen=True)
class Invitation:
    fingerprint: str
    secret: bytes
    ticket: bytes
    expires: int
    contacts: tuple[Contact, ...]


def invitation(octets: bytes) -> Invitation:
    found = _unwrapped("postroad:", octets, 400)
    must(len(found) > 58 and found[0] == 1, "too short, or another version")
    who = base32(found[1:21], 32)
    must(is_fingerprint(who), "a fingerprint that does not add up")
    contacts, at = [], 58
    while at < len(found):
        one = found[at + 1 : at + 1 + found[at]]
        must(len(one) == found[at], "a contact is cut short")
        contacts.append(contact(one))
        at += 1 + len(one)
    must(1 <= len(contacts) <= 3, "none, or more than three contacts")
    expires = int.from_bytes(found[53:58], "big")
    return Invitation(who, found[21:37], found[37:53], expires, tuple(contacts))


@dataclass(frozen=True)
class HelperLink:
    secret: bytes
    expires: int
    contact: Contact


def helper_link(octets: bytes) -> HelperLink:
    found = _unwrapped("postroad-helper:", octets, 196)
    must(len(found) > 22 and found[0] == 1, "too short, or another version")
    return HelperLink(found[1:17], int.from_bytes(found[17:22], "big"), contact(found[22:]))


def safety_half(keys: bytes) -> list[str]:
    slow = Argon2id(
        salt=b"postroad/safety1", length=30, iterations=3, lanes=1, memory_cost=32768
    ).derive(sized(keys, 64))
    return [f"{int.from_bytes(slow[at : at + 5], 'big') % 100_000:05}" for at in range(0, 30, 5)]


def safety_number(octets: bytes, keys: bytes, other: bytes) -> str:
    lesser, greater = sorted([safety_half(keys), safety_half(other)])
    number = " ".join(lesser + greater)
    must(octets == number.encode(), "another number")
    return number


def safety_code(octets: bytes, shown_by: bytes, shown_to: bytes) -> str:
    """What somebody with the keys `shown_by` shows to somebody with the keys `shown_to`."""
    found = sized(_unwrapped("postroad-verify:", octets, 400), 65)
    must(found[0] == 1, "another version")
    digests = [hashlib.sha256(b"postroad/safety/1" + one).digest() for one in (shown_by, shown_to)]
    must(found[1:33] == digests[0], "shown by somebody with other keys")
    must(found[33:] == digests[1], "for somebody with other keys")
    return "they are who they are"
