"""The selected mailbox as this client knows it: sequence numbers, UIDs, flags.

Purpose: sequence numbers are ours alone, and change only when the client was told. UIDs and flags
are flat arrays: 5 octets a message, so that a hundred thousand of them are half a megabyte.
See: RFC 9051 sections 2.3.1.2, 5.2 and 7.5.1.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator

from postroad.protocol.imap.arguments import STAR, BadCommand, Ranges
from postroad.protocol.imap.events import Changes, FlagsOf, Opened
from postroad.protocol.imap.flags import STORED_FLAGS, Flag


class View:
    def __init__(self, opened: Opened) -> None:
        self.mailbox_id = opened.mailbox_id
        self.uids = opened.uids
        self.bits = opened.bits
        self.keywords = opened.keywords
        self.modseq = opened.modseq
        for index in range(bisect_left(self.uids, opened.recent_from), len(self.uids)):
            self.bits[index] |= Flag.RECENT
        self._expunged: list[int] = []  # UIDs that are gone, and the client was not told

    def __len__(self) -> int:
        return len(self.uids)

    @property
    def recent(self) -> int:
        return sum(bits >= Flag.RECENT for bits in self.bits)

    def first_unseen(self) -> int | None:
        """The sequence number of the first message without Seen."""
        return next((at for at, bits in enumerate(self.bits, 1) if not bits & Flag.SEEN), None)

    def index(self, uid: int) -> int | None:
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else None

    def chosen(self, ranges: Ranges, *, by_uid: bool) -> list[int]:
        """The indexes that a set names, rising, each once; unknown UIDs name nothing.

        Raises BadCommand for a sequence number that no message has (RFC 9051 section 9)."""
        spans = []
        for low, high in ranges:
            if not by_uid:
                if (high if high != STAR else low if low != STAR else 1) > len(self.uids):
                    raise BadCommand("There are not so many messages.")
                spans.append((min(low, len(self.uids)) - 1, min(high, len(self.uids))))
            elif self.uids:
                # `n:*` names the last message also when n is above its UID.
                low = min(low, self.uids[-1]) if high == STAR else low
                spans.append(
                    (bisect_left(self.uids, low), bisect_right(self.uids, min(high, STAR - 1)))
                )
        return list(_merged(spans))

    def flags_of(self, index: int) -> FlagsOf:
        uid = self.uids[index]
        return FlagsOf(uid, self.bits[index], self.keywords.get(uid, ""))

    def take_flags(self, flags: FlagsOf) -> bool:
        """Take over flags that the client is told; whether they were news."""
        index = self.index(flags.uid)
        if index is None:
            return False
        bits = (flags.bits & STORED_FLAGS) | (self.bits[index] & Flag.RECENT)
        if bits == self.bits[index] and flags.keywords == self.keywords.get(flags.uid, ""):
            return False
        self.bits[index] = bits
        if flags.keywords:
            self.keywords[flags.uid] = flags.keywords
        else:
            self.keywords.pop(flags.uid, None)
        return True

    def take_changes(self, changes: Changes) -> tuple[list[int], bool]:
        """The indexes whose flags changed, and whether messages arrived."""
        last = self.uids[-1] if self.uids else 0
        changed = []
        arrived = False
        for flags in changes.flags:
            if flags.uid > last:
                recent = Flag.RECENT if flags.uid >= changes.recent_from else 0
                self.uids.append(flags.uid)
                self.bits.append((flags.bits & STORED_FLAGS) | recent)
                if flags.keywords:
                    self.keywords[flags.uid] = flags.keywords
                arrived = True
            elif self.take_flags(flags):
                index = self.index(flags.uid)
                assert index is not None
                changed.append(index)
        self._expunged += changes.expunged
        self.modseq = changes.modseq
        return changed, arrived

    def take_expunged(self) -> Iterator[int]:
        """Forget what is gone; the sequence number of each as it stands when told."""
        gone, self._expunged = self._expunged, []
        for uid in sorted(set(gone), reverse=True):  # from the end: earlier numbers stay true
            index = self.index(uid)
            if index is not None:
                del self.uids[index]
                del self.bits[index]
                self.keywords.pop(uid, None)
                yield index + 1


def _merged(spans: list[tuple[int, int]]) -> Iterator[int]:
    done = 0
    for start, stop in sorted(spans):
        yield from range(max(start, done), stop)
        done = max(done, stop)
