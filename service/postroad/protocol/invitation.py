"""Invitations: a link that makes two people contacts, used once.

Layout of the bytes behind `postroad:` (base64url, no padding): version u8 = 1 | fingerprint 20 |
secret 16 | ticket 16 | expiry u40 | up to 3 x (size u8, contact) | first 4 bytes of SHA-256 of all
before. Whoever has the link can use it, so it is shown to its owner and logged nowhere.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, PermanentFailure
from postroad.base.ids import Contact, Fingerprint, Ticket, is_fingerprint
from postroad.protocol.contacts import decode_contact, encode_contact

SCHEME = "postroad:"
VERSION = 1
CONTACTS_MAX = 3
_FIXED = 1 + 20 + 16 + 16 + 5
_CHECK = 4
_BYTES_MAX = (limits.INVITATION_CHARACTERS_MAX - len(SCHEME)) * 6 // 8


@dataclass(frozen=True, slots=True)
class Invitation:
    fingerprint: Fingerprint
    secret: bytes  # 16 bytes; the inviter knows only its hash once the link was shown
    ticket: Ticket  # becomes the acceptor's ticket
    expires: int  # seconds UTC
    contacts: tuple[Contact, ...]  # the inviter, then holders: where the record is to be had


def to_link(invitation: Invitation) -> str:
    """The link, of at most 400 characters."""
    written = bytes([VERSION]) + base64.b32decode(invitation.fingerprint.upper())
    written += invitation.secret + invitation.ticket + invitation.expires.to_bytes(5, "big")
    for place, contact in enumerate(invitation.contacts[:CONTACTS_MAX]):
        encoded = encode_contact(contact)
        # The last ones are left out where relays make them large: the first is the inviter.
        if place and len(written) + 1 + len(encoded) > _BYTES_MAX - _CHECK:
            break
        written += bytes([len(encoded)]) + encoded
    written += hashlib.sha256(written).digest()[:_CHECK]
    link = SCHEME + base64.urlsafe_b64encode(written).decode().rstrip("=")
    assert len(link) <= limits.INVITATION_CHARACTERS_MAX
    return link


def from_link(link: str) -> Invitation:
    """The invitation in a link; PermanentFailure tells a person what is wrong with it."""
    text = "".join(link.split())  # mail programs wrap long lines
    if not text.startswith(SCHEME):
        raise PermanentFailure(f"An invitation begins with {SCHEME} ; this one does not.")
    if len(text) > limits.INVITATION_CHARACTERS_MAX:
        raise PermanentFailure("This invitation is too long; copy exactly the line with the link.")
    try:
        body = text.removeprefix(SCHEME)
        octets = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise PermanentFailure("This invitation has strange characters; copy it again.") from error
    body_octets, check = octets[:-_CHECK], octets[-_CHECK:]
    if len(octets) < _FIXED + _CHECK or hashlib.sha256(body_octets).digest()[:_CHECK] != check:
        raise PermanentFailure("This invitation is not complete; copy the whole link again.")
    if body_octets[0] != VERSION:
        raise PermanentFailure("This invitation needs a newer Postroad; update yours and retry.")
    return _read(body_octets, link=text)


def _read(octets: bytes, link: str) -> Invitation:
    fingerprint = base64.b32encode(octets[1:21]).decode().lower()
    contacts = []
    at = _FIXED
    try:
        while at < len(octets):
            end = at + 1 + octets[at]
            contacts.append(decode_contact(octets[at + 1 : end]))
            at = end
        if not is_fingerprint(fingerprint) or not 1 <= len(contacts) <= CONTACTS_MAX:
            raise PeerMisbehaved("an invitation without a valid identity or contact")
    except PeerMisbehaved as error:
        raise PermanentFailure("This invitation is not valid; ask for a new one.") from error
    found = Invitation(
        Fingerprint(fingerprint),
        octets[21:37],
        Ticket(octets[37:53]),
        int.from_bytes(octets[53:58], "big"),
        tuple(contacts),
    )
    if to_link(found) != link:
        raise PermanentFailure("This invitation is not valid; ask for a new one.")
    return found
