"""What a door hands to the outbox: a letter and for whom it is.

See: RFC 5321 section 2.3.1, RFC 3461.
"""

from dataclasses import dataclass
from enum import IntFlag


class Notify(IntFlag):
    """When the sender wants a delivery status notification (RFC 3461 section 4.1)."""

    NEVER = 0
    SUCCESS = 1
    FAILURE = 2
    DELAY = 4


NOTIFY_DEFAULT = Notify.FAILURE | Notify.DELAY


@dataclass(frozen=True, slots=True)
class Recipient:
    address: str
    notify: Notify = NOTIFY_DEFAULT
    original: str | None = None  # ORCPT, as the client wrote it


@dataclass(frozen=True, slots=True)
class Submission:
    """A letter as it came through the door: checked by it, not yet accepted.

    Whose it is, its From says, which the door compared with the owner's addresses. The return path
    is not kept: notices go to the owner's own INBOX."""

    recipients: tuple[Recipient, ...]
    octets: bytes  # RFC 5322, every line ended by CRLF, no NUL
    envelope_id: str | None = None  # ENVID
    return_full: bool = False  # RET=FULL
