"""Our result field: who signed a letter, and what they are to the owner.

Purpose: what a reader of the letter, and their mail program, may rely on. Nobody else may write it:
the submission door takes it out of what the owner sends (like Bcc), a letter that comes with one in
it is refused, and ours is put on top.
See: docs/adr/0011-strangers.md, docs/protocol/letter.md.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from postroad.base.ids import Fingerprint
from postroad.message import headers

FIELD = "Postroad-Result"
NAME = FIELD.lower().encode()
ID_BYTES = 16
_REQUEST = re.compile(rb"(?:^|;)\s*request=([0-9a-f]{32})\s*(?:;|$)")


class Standing(StrEnum):
    """What the signer of a letter is to the owner of the mailbox."""

    SELF = "self"
    CONTACT = "contact"
    STRANGER = "stranger"


@dataclass(frozen=True, slots=True)
class Result:
    """`like`: the address of a contact whose name the author's is read as; `request`: by which a
    request is known when a mail program brings it back."""

    address: str
    fingerprint: Fingerprint
    standing: Standing
    is_verified: bool = False
    like: str | None = None
    request: bytes | None = None


def field(result: Result) -> bytes:
    """The field as it is filed, with its line end."""
    told = [
        f"signed-by={result.address}",
        f"fingerprint={result.fingerprint}",
        f"sender={result.standing.value}",
    ]
    if result.standing is Standing.CONTACT:
        told.append(f"verified={'yes' if result.is_verified else 'no'}")
    if result.like is not None:
        told.append(f"name-is-like={result.like}")
    if result.request is not None:
        told.append(f"request={result.request.hex()}")
    return (f"{FIELD}: " + ";\r\n\t".join(told) + "\r\n").encode()


def request_of(header: bytes) -> bytes | None:
    """By which id a message that the owner's program brings was a request; None: it was none."""
    for value in headers.all_of(header, NAME):
        found = _REQUEST.search(value)
        if found:
            return bytes.fromhex(found[1].decode())
    return None


def stands_in(header: bytes) -> bool:
    """Whether somebody wrote the field themselves."""
    return any(one.name.lower() == NAME for one in headers.fields(header))
