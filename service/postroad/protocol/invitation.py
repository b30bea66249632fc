"""Invitations: a link that makes two people contacts, used once.

Layout of the bytes behind `postroad:` (`link_text`): version u8 = 1 | fingerprint 20 | secret 16 |
ticket 16 | expiry u40 | up to 3 x (size u8, contact). Whoever has the link can use it, so it is
shown to its owner and logged nowhere.
"""

import base64
from dataclasses import dataclass, field

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, UnusableLink
from postroad.base.ids import Contact, Fingerprint, Ticket, is_fingerprint
from postroad.phrases import phrase
from postroad.protocol import link_text
from postroad.protocol.contacts import decode_contact, encode_contact

SCHEME = "postroad:"
VERSION = 1
CONTACTS_MAX = 3
_FIXED = 1 + 20 + 16 + 16 + 5
_BYTES_MAX = (limits.INVITATION_CHARACTERS_MAX - len(SCHEME)) * 6 // 8


@dataclass(frozen=True, slots=True)
class Invitation:
    fingerprint: Fingerprint
    # 16 bytes; the inviter knows only its hash once the link was shown
    secret: bytes = field(repr=False)
    ticket: Ticket = field(repr=False)  # becomes the acceptor's ticket
    expires: int  # seconds UTC
    contacts: tuple[Contact, ...]  # the inviter, then holders: where the record is to be had


def to_link(invitation: Invitation) -> str:
    """The link, of at most 400 characters."""
    written = bytes([VERSION]) + base64.b32decode(invitation.fingerprint.upper())
    written += invitation.secret + invitation.ticket + invitation.expires.to_bytes(5, "big")
    for place, contact in enumerate(invitation.contacts[:CONTACTS_MAX]):
        encoded = encode_contact(contact)
        # The last ones are left out where relays make them large: the first is the inviter.
        if place and len(written) + 1 + len(encoded) > _BYTES_MAX - link_text.CHECK_BYTES:
            break
        written += bytes([len(encoded)]) + encoded
    link = link_text.write(SCHEME, written)
    assert len(link) <= limits.INVITATION_CHARACTERS_MAX
    return link


def from_link(link: str) -> Invitation:
    """The invitation in a link; PermanentFailure tells a person what is wrong with it."""
    text = link_text.unwrapped(link)
    if not text.startswith(SCHEME):
        raise UnusableLink(
            phrase("An invitation begins with {scheme} ; this one does not.", scheme=SCHEME)
        )
    if len(text) > limits.INVITATION_CHARACTERS_MAX:
        raise UnusableLink(
            phrase("This invitation is too long; copy exactly the line with the link.")
        )
    try:
        octets = link_text.read(SCHEME, text)
        if len(octets) < _FIXED:
            raise link_text.LinkDamaged("it is not complete")
    except link_text.LinkDamaged as error:
        raise UnusableLink(
            phrase(
                "This invitation was damaged on the way ({how}); copy the whole link again.",
                how=error,
            )
        ) from error
    if octets[0] != VERSION:
        raise UnusableLink(
            phrase("This invitation needs a newer Postroad; update yours and retry.")
        )
    return _read(octets, link=text)


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
        raise UnusableLink(phrase("This invitation is not valid; ask for a new one.")) from error
    found = Invitation(
        Fingerprint(fingerprint),
        octets[21:37],
        Ticket(octets[37:53]),
        int.from_bytes(octets[53:58], "big"),
        tuple(contacts),
    )
    if to_link(found) != link:
        raise UnusableLink(phrase("This invitation is not valid; ask for a new one."))
    return found
