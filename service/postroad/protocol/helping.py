"""Links to a helper: whoever shows one to the helper is served by it from then on.

Layout of the bytes behind `postroad-helper:` (`link_text`): version u8 = 1 | secret 16 |
expiry u40 | contact. The link is for one person, and used once; it gives no right but that of being
relayed and held for.
"""

from dataclasses import dataclass, field

from postroad.base.errors import PeerMisbehaved, UnusableLink
from postroad.base.ids import Contact
from postroad.phrases import phrase
from postroad.protocol import link_text
from postroad.protocol.contacts import CONTACT_BYTES_MAX, decode_contact, encode_contact

SCHEME = "postroad-helper:"
VERSION = 1
SECRET_BYTES = 16
_FIXED = 1 + SECRET_BYTES + 5
CHARACTERS_MAX = len(SCHEME) + 4 * (_FIXED + CONTACT_BYTES_MAX + link_text.CHECK_BYTES + 2) // 3


@dataclass(frozen=True, slots=True)
class HelperLink:
    secret: bytes = field(repr=False)  # 16 bytes; the helper keeps only its hash
    expires: int  # seconds UTC
    contact: Contact


def to_link(helper: HelperLink) -> str:
    written = bytes([VERSION]) + helper.secret + helper.expires.to_bytes(5, "big")
    written += encode_contact(helper.contact)
    return link_text.write(SCHEME, written)


def is_link(text: str) -> bool:
    """Whether this is meant to be one, so that whoever pastes it is told what is wrong with it."""
    return link_text.unwrapped(text).startswith(SCHEME)


def from_link(link: str) -> HelperLink:
    """The helper in a link; PermanentFailure tells a person what is wrong with it."""
    text = link_text.unwrapped(link)
    try:
        if not text.startswith(SCHEME) or len(text) > CHARACTERS_MAX:
            raise link_text.LinkDamaged("it has another beginning or is too long")
        written = link_text.read(SCHEME, text)
        if written[0] != VERSION:
            raise UnusableLink(
                phrase("This helper needs a newer Postroad; update yours and retry.")
            )
        secret, expires = written[1 : 1 + SECRET_BYTES], written[1 + SECRET_BYTES : _FIXED]
        found = HelperLink(secret, int.from_bytes(expires, "big"), decode_contact(written[_FIXED:]))
        if to_link(found) != text:
            raise link_text.LinkDamaged("it is not in its one form")
    except (link_text.LinkDamaged, PeerMisbehaved) as error:
        raise UnusableLink(
            phrase(
                "This is not a whole link to a helper ({how}). Copy it again: it begins with "
                "{scheme}",
                how=error,
                scheme=SCHEME,
            )
        ) from error
    return found
