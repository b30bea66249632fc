"""Tell the reader of a letter that its octets are damaged on this disk.

Purpose: a letter that stands in the place of the damaged one, and says what to do. What is left of
its header stays, so that a mail program shows it where the reader looks for it.
See: RFC 5322.
"""

from postroad.message.bounce import AUTHOR
from postroad.message.headers import decode_words, fields, first

_KEPT = frozenset({b"from", b"to", b"cc", b"date", b"message-id"})


def note(header: bytes, damage: str) -> bytes:
    """What is shown in place of a letter of which this header is left, perhaps nothing."""
    left = [one for one in fields(header) if one.name.lower() in _KEPT]
    kept = b"".join(one.octets for one in left)
    kept += b"" if kept.endswith(b"\n") or not kept else b"\r\n"
    if not any(one.name.lower() == b"from" for one in left):
        kept += f"From: {AUTHOR}\r\n".encode()
    subject = decode_words(first(header, b"subject") or b"") or "(unknown)"
    sentences = (
        "This letter is damaged on this computer's disk, and Postroad cannot show it.",
        f"Its subject: {subject}",
        f"What was found: {damage}",
        "What you can do: restore Postroad's data folder from a backup, or ask the sender to send "
        "the letter again. Your other letters are not affected. What is left of this one stays "
        "where it is until you delete it.",
    )
    return (
        kept
        + b"Subject: [damaged letter]\r\nMIME-Version: 1.0\r\n"
        + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + "\r\n\r\n".join(sentences).encode()
        + b"\r\n"
    )
