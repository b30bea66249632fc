"""Hear of revocations, and obey them: from whoever tells, and out of the directory.

Purpose: one place that believes such a record, whatever way it came. A record proves itself, so
anybody may tell it: a thief's word that somebody is revoked is no word without the signature.
Invariants: only what concerns us is kept, so nobody fills our disk; kept, obeyed and told to the
owner is one commit.
See: docs/adr/0015-devices.md.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence

from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Fingerprint, PeerId
from postroad.base.seams import Clock
from postroad.base.tlv import decode
from postroad.peers.exchange import Answer, Exchange
from postroad.protocol import wire, wire_changes
from postroad.protocol.identity_records import REVOKE, RevokeRecord, kind_of, read_revoke
from postroad.store import changes, revoked
from postroad.store.changes import Obeyed
from postroad.store.database import Database, Sql
from postroad.store.mailboxes import Added

log = logging.getLogger(__name__)
Tell = Callable[[Sql, Obeyed], Added | None]
"""Files what the owner is told, in the same transaction."""


class Obeying:
    """Answers for `Links`. `mine`: our own identities; `barred` is kept up to date for `Links`;
    `after` hears of each change, and of what was filed about it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        mine: Callable[[], Collection[Fingerprint]],
        barred: set[PeerId],
        tell: Tell,
        after: Callable[[Obeyed, Added | None], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._mine = mine
        self._barred = barred
        self._tell = tell
        self._after = after

    @property
    def answers(self) -> Mapping[type[wire.Message], Answer]:
        return {
            wire_changes.Changed: self._answer_changed,
            wire_changes.FindChanges: self._answer_find,
        }

    async def load(self) -> None:
        """With whom we do not speak; to be called before anybody can reach us."""
        self._barred.clear()
        self._barred |= await self._database.read(revoked.barred)

    async def hear(self, records: Sequence[bytes]) -> bool:
        """Obey those of these that concern us; whether any did. Raises PeerMisbehaved for one that
        is not genuine."""
        heard = False
        for octets in records:
            heard |= await self.obey(octets)
        return heard

    async def obey(self, octets: bytes, *, is_asked_for: bool = False) -> bool:
        """Verify, keep and obey one record; False: it does not concern us. What was known before is
        harmless. `is_asked_for`: the owner wants it kept, whomever it concerns."""
        if kind_of(octets) != REVOKE:
            raise PeerMisbehaved("a change is of an unknown kind")
        record = read_revoke(octets, decode(RevokeRecord, octets).fingerprint)
        now, mine = self._clock.now(), self._mine()

        def work(sql: Sql) -> tuple[bool, Obeyed | None, Added | None]:
            if not (is_asked_for or changes.concerns_us(sql, record.fingerprint, mine)):
                return False, None, None
            obeyed = changes.revoke(sql, record, now, mine)
            return True, obeyed, None if obeyed is None else self._tell(sql, obeyed)

        def committed(done: tuple[bool, Obeyed | None, Added | None]) -> None:
            _, obeyed, added = done
            if obeyed is not None:
                self._barred.update(obeyed.barred)
                what = "identity" if obeyed.is_whole else "device"
                log.warning("%s revoked", what, extra={"contact": obeyed.fingerprint})
                self._after(obeyed, added)

        concerns, _, _ = await self._database.run(work, then=committed)
        return concerns

    async def _answer_changed(self, message: wire.Message, exchange: Exchange) -> None:
        assert isinstance(message, wire_changes.Changed)
        if await self.obey(message.record):
            await exchange.send(wire.Ok())
        else:
            reason = "This person is not known here."
            await exchange.send(wire.No.because(wire.Refusal.UNKNOWN, reason))

    async def _answer_find(self, message: wire.Message, exchange: Exchange) -> None:
        assert isinstance(message, wire_changes.FindChanges)
        asked = Fingerprint(message.fingerprint)
        found = await self._database.read(lambda sql: changes.served(sql, asked, exchange.peer))
        await exchange.send(wire_changes.Changes(tuple(found)))
