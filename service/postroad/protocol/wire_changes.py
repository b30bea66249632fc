"""What nodes tell each other of an identity's end or change: records too large for `wire.Record`.

Kinds 37 to 39 of `protocol.wire`. A device that was revoked may say and ask this, and nothing else.
See: docs/adr/0015-devices.md, docs/protocol/records.md.
"""

from dataclasses import dataclass

from postroad.base import limits
from postroad.base.tlv import octets, optional, several, text

CHANGE_BYTES_MAX = max(limits.REVOKE_BYTES_MAX, limits.ROTATE_BYTES_MAX)
CHANGES_MAX = 2  # of one identity: its revocation, and its rotation


@dataclass(frozen=True, slots=True)
class Changed:
    """A revocation, or a rotation and the person record of its heir, told to whoever should have
    it. Answer: Ok, after the commit, or No."""

    record: bytes = octets(1, 1, CHANGE_BYTES_MAX)
    person: bytes | None = optional(octets(2, 1, limits.RECORD_BYTES_MAX))


@dataclass(frozen=True, slots=True)
class FindChanges:
    """Was this identity, or a device of it, revoked, or is it another one now? Answer: Changes."""

    fingerprint: str = text(1, 32, 32)


@dataclass(frozen=True, slots=True)
class Changes:
    """All that is kept here of that; nothing is an answer, too."""

    records: tuple[bytes, ...] = several(octets(1, 1, CHANGE_BYTES_MAX), CHANGES_MAX)


ChangeMessage = Changed | FindChanges | Changes
KINDS: dict[int, type[ChangeMessage]] = {37: Changed, 38: FindChanges, 39: Changes}
