"""Hear of revocations and rotations, and obey them: from whoever tells, and out of the directory.

Purpose: one place that believes such a record, whatever way it came. A record proves itself, so
anybody may tell it: a thief's word that somebody is revoked is no word without the signature.
Invariants: only what concerns us is kept, so nobody fills our disk; kept, obeyed and told to the
owner is one commit.
See: docs/adr/0015-devices.md.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Fingerprint
from postroad.base.seams import Clock
from postroad.base.tlv import decode
from postroad.peers.exchange import Answer, Exchange
from postroad.peers.rates import Allowance
from postroad.protocol import identity_records, wire, wire_changes
from postroad.protocol.identity_records import (
    RevokeRecord,
    RotateRecord,
    kind_of,
    read_revoke,
    read_rotate,
)
from postroad.protocol.records import PersonRecord, read_person
from postroad.store import changes
from postroad.store.changes import Obeyed
from postroad.store.database import Database, Sql
from postroad.store.mailboxes import Added
from postroad.store.rotations import Followed, Outcome, catch_up, hear

log = logging.getLogger(__name__)
Change = Obeyed | Followed
TELLS_MAX = 20  # of one peer at once, and then
TELLS_PER_SECOND = 1 / limits.MINUTE
Tell = Callable[[Sql, Change], Added | None]
"""Files what the owner is told, in the same transaction."""


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of a record: whether it concerns us, what it changed, what was filed of that."""

    concerns_us: bool
    change: Change | None = None
    added: Added | None = None


class Obeying:
    """Answers for `Links`. `mine`: our own identities; `after` hears of each change, and of what
    was filed about it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        mine: Callable[[], Collection[Fingerprint]],
        tell: Tell,
        after: Callable[[Change, Added | None], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._mine = mine
        self._tell = tell
        self._after = after
        self._allowance = Allowance(TELLS_MAX, TELLS_PER_SECOND)

    @property
    def answers(self) -> Mapping[type[wire.Message], Answer]:
        return {
            wire_changes.Changed: self._answer_changed,
            wire_changes.FindChanges: self._answer_find,
        }

    async def hear(self, records: Sequence[bytes]) -> bool:
        """Obey those of these that concern us; whether any did. Raises PeerMisbehaved for one that
        is not genuine."""
        heard = False
        for octets in records:
            heard |= await self.obey(octets)
        return heard

    async def obey(
        self, octets: bytes, person: bytes | None = None, *, is_asked_for: bool = False
    ) -> bool:
        """Verify, keep and obey one record; False: it does not concern us. What was known before is
        harmless. `person`: with a rotation, the new identity's record. `is_asked_for`: the owner
        wants it kept, whomever it concerns."""
        match kind_of(octets):
            case identity_records.REVOKE:
                return await self._revoke(octets, is_asked_for=is_asked_for)
            case identity_records.ROTATE:
                rotation = read_rotate(octets, decode(RotateRecord, octets).old.fingerprint)
                new = rotation.new.fingerprint
                record = None if person is None else read_person(person, new)
                return await self.follow([rotation], record)
            case _:
                raise PeerMisbehaved("a change is of an unknown kind")

    async def _revoke(self, octets: bytes, *, is_asked_for: bool) -> bool:
        record = read_revoke(octets, decode(RevokeRecord, octets).fingerprint)
        now, mine = self._clock.now(), self._mine()

        def work(sql: Sql) -> _Done:
            if not (is_asked_for or changes.concerns_us(sql, record.fingerprint, mine)):
                return _Done(concerns_us=False)
            obeyed = changes.revoke(sql, record, now, mine)
            return _Done(True, obeyed, None if obeyed is None else self._tell(sql, obeyed))

        def committed(done: _Done) -> None:
            obeyed = done.change
            if isinstance(obeyed, Obeyed):
                what = "identity" if obeyed.is_whole else "device"
                log.warning("%s revoked", what, extra={"contact": obeyed.fingerprint})
                self._after(obeyed, done.added)

        return (await self._database.run(work, then=committed)).concerns_us

    async def follow(self, rotations: Sequence[RotateRecord], record: PersonRecord | None) -> bool:
        """Obey rotations that were verified, of which each begins where the one before ends."""
        now, mine = self._clock.now(), self._mine()

        def work(sql: Sql) -> _Done:
            if not changes.concerns_us(sql, rotations[0].old.fingerprint, mine):
                return _Done(concerns_us=False)
            followed = hear(sql, rotations, record, now, mine)
            is_news = followed.outcome is not Outcome.NOTHING
            return _Done(True, followed if is_news else None, self._tell(sql, followed))

        def committed(done: _Done) -> None:
            followed = done.change
            if isinstance(followed, Followed):
                extra = {"contact": rotations[0].old.fingerprint}
                log.warning("identity rotated: %s", followed.outcome.name.lower(), extra=extra)
                self._after(followed, done.added)

        return (await self._database.run(work, then=committed)).concerns_us

    def catch_up(self, sql: Sql, whose: Fingerprint) -> None:
        """Obey what was heard before of somebody who is a contact only now, in the transaction that
        made them one."""
        followed = catch_up(sql, whose, self._clock.now(), self._mine())
        if followed is not None:
            self._tell(sql, followed)

    async def _answer_changed(self, message: wire.Message, exchange: Exchange) -> None:
        assert isinstance(message, wire_changes.Changed)
        # Two or four signatures of the slow kind to check: so often only, and not for nobody.
        if not self._allowance.takes(exchange.peer, self._clock.elapsed()):
            reason = "You have told too much; tell it again later."
            await exchange.send(wire.No.because(wire.Refusal.LATER, reason))
        elif await self._may_concern_us(message.record) and await self.obey(
            message.record, message.person
        ):
            await exchange.send(wire.Ok())
        else:
            reason = "This person is not known here."
            await exchange.send(wire.No.because(wire.Refusal.UNKNOWN, reason))

    async def _may_concern_us(self, octets: bytes) -> bool:
        """Whether it speaks of somebody we know; nothing of it is verified yet."""
        match kind_of(octets):
            case identity_records.REVOKE:
                whose = decode(RevokeRecord, octets).fingerprint
            case identity_records.ROTATE:
                whose = decode(RotateRecord, octets).old.fingerprint
            case _:
                return True  # `obey` says what is wrong with it
        mine = self._mine()
        return await self._database.read(lambda sql: changes.concerns_us(sql, whose, mine))

    async def _answer_find(self, message: wire.Message, exchange: Exchange) -> None:
        assert isinstance(message, wire_changes.FindChanges)
        asked = Fingerprint(message.fingerprint)
        found = await self._database.read(lambda sql: changes.served(sql, asked, exchange.peer))
        await exchange.send(wire_changes.Changes(tuple(found)))
