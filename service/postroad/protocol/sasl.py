"""Read what a mail program answers to AUTH or AUTHENTICATE PLAIN.

See: RFC 4616; how it is coded: RFC 4954, 5034, 9051 section 6.2.2.
"""

import binascii


def read_plain(coded: bytes) -> tuple[str, bytes] | None:
    """User and password of a line in base64, where "=" stands for nothing; None when they are not
    there, or are for acting as somebody else. Raises ValueError: that is not base64."""
    octets = binascii.a2b_base64(b"" if coded == b"=" else coded, strict_mode=True)
    acting_for, _, rest = octets.partition(b"\0")
    user, nul, password = rest.partition(b"\0")
    if not nul or acting_for not in (b"", user):
        return None
    return user.decode("utf-8", "replace"), password
