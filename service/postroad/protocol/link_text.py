"""What people send each other as a link: bytes as text that survives mail programs.

Layout: scheme | base64url, no padding, of the bytes and the first 4 bytes of their SHA-256.
A link gives rights to whoever has it, so no error repeats any of it.
"""

import base64
import binascii
import hashlib

CHECK_BYTES = 4


class LinkDamaged(Exception):
    """Strange characters, or not complete; the text says which."""


def write(scheme: str, octets: bytes) -> str:
    octets += hashlib.sha256(octets).digest()[:CHECK_BYTES]
    return scheme + base64.urlsafe_b64encode(octets).decode().rstrip("=")


def unwrapped(link: str) -> str:
    """The link in one line: mail programs wrap long ones."""
    return "".join(link.split())


def read(scheme: str, text: str) -> bytes:
    """The bytes behind the scheme of a link in one line; LinkDamaged.

    Several texts say the same bytes; who reads them compares with what `write` makes."""
    body = text.removeprefix(scheme)
    try:
        octets = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise LinkDamaged("it has strange characters") from error
    written, check = octets[:-CHECK_BYTES], octets[-CHECK_BYTES:]
    if not written or hashlib.sha256(written).digest()[:CHECK_BYTES] != check:
        raise LinkDamaged("it is not complete")
    return written
