"""Watch which nodes are on, and when: by what happens anyway.

Purpose: know the hours of those who hold for us, or could, and how long one has been silent while
we were on. Each link is a sighting; each dial in vain is a miss, unless we may be off the network
ourselves. Nothing is sent to learn it.
Invariants: of one node one sighting and one miss counts in an hour; strangers are not noted.
"""

from postroad.base import limits
from postroad.base.ids import Instant, PeerId
from postroad.base.seams import Clock
from postroad.protocol.holding import HOURS
from postroad.store import hours, rented
from postroad.store.database import Database, Sql

ON_NETWORK_SECONDS = 10 * limits.MINUTE  # after a sighting, of whomever
REACHED_SECONDS = 1.5 * limits.COLLECT_TOLD_SECONDS  # the same, where we look once an hour
FLUSH_SECONDS = 30 * limits.MINUTE
NOTES_MAX = 1024  # between two flushes
AWAY_HOURS_MAX = 14 * HOURS  # of ours that are noted when we come back


class Watch:
    """`seen` and `missed` are told by `Links`; `flush` is called once an hour or oftener."""

    def __init__(self, database: Database, clock: Clock, me: PeerId) -> None:
        self._database = database
        self._clock = clock
        self._me = me
        self._notes: dict[tuple[PeerId, int], bool] = {}  # seen, by node and hour since 1970
        self._noted: dict[tuple[PeerId, int], bool] = {}  # the same, in the store already
        self._seen: dict[PeerId, None] = {}  # since the last flush
        self._seen_any_at: float | None = None
        self._flushed_at: float | None = None
        self._own_slot: int | None = None  # the last hour that was noted as one of ours
        self._unanswered: set[PeerId] = set()  # dialled in vain since anybody was seen

    @property
    def unanswered(self) -> int:
        """How many nodes were dialled in vain since any was seen."""
        return len(self._unanswered)

    def seen(self, peer: PeerId) -> None:
        """This node proved itself over a link."""
        self._unanswered.clear()
        self._seen_any_at = self._clock.elapsed()
        self._seen[peer] = None
        self._note(peer, True)

    def missed(self, peer: PeerId) -> None:
        """It was dialled in vain."""
        if len(self._unanswered) < NOTES_MAX:
            self._unanswered.add(peer)
        if self._is_on_network():
            self._note(peer, False)

    def _is_on_network(self) -> bool:
        seen_at = self._seen_any_at
        return seen_at is not None and self._clock.elapsed() - seen_at <= ON_NETWORK_SECONDS

    def _note(self, peer: PeerId, seen: bool) -> None:
        key = peer, _slot(self._clock.now())
        if len(self._notes) < NOTES_MAX and self._noted.get(key) is not True:
            self._notes[key] = seen or self._notes.get(key, False)

    async def flush(self) -> None:
        """Write down what was seen; count how long holders were silent while we were on."""
        now, elapsed = self._clock.now(), self._clock.elapsed()
        if self._flushed_at is not None and elapsed - self._flushed_at < FLUSH_SECONDS:
            return
        notes, self._notes = self._notes, {}
        seen, self._seen = self._seen, {}
        before, self._flushed_at = self._flushed_at, elapsed
        # Without a sighting nobody can say that we were on the network.
        reached = self._seen_any_at is not None and elapsed - self._seen_any_at <= REACHED_SECONDS
        seconds = elapsed - before if before is not None and reached else 0.0

        def work(sql: Sql) -> None:
            interesting = hours.are_of_interest(sql)
            for (peer, slot), is_seen in notes.items():
                if peer in interesting and self._noted.get((peer, slot)) != is_seen:
                    hours.note(sql, peer, slot % HOURS, is_seen, not is_seen, now)
            self._note_own(sql, now)
            rented.were_seen(sql, list(seen), min(seconds, 2.0 * limits.HOUR))

        await self._database.run(work)
        slot = _slot(now)
        kept = {**self._noted, **notes}
        self._noted = {key: value for key, value in kept.items() if key[1] >= slot}
        self._own_slot = slot

    def _note_own(self, sql: Sql, now: Instant) -> None:
        """The hours in which we ran; and those since we last did, in which we were off."""
        slot = _slot(now)
        if self._own_slot is not None:
            for since in range(max(self._own_slot + 1, slot - HOURS), slot + 1):
                hours.note(sql, self._me, since % HOURS, 1.0, 0.0, now)
            return
        last = hours.last_noted(sql, self._me)
        was_on = None if last is None else _slot(last)
        if was_on is not None:
            for since in range(max(was_on + 1, slot - AWAY_HOURS_MAX), slot):
                hours.note(sql, self._me, since % HOURS, 0.0, 1.0, now)
        if was_on != slot:
            hours.note(sql, self._me, slot % HOURS, 1.0, 0.0, now)


def _slot(now: Instant) -> int:
    """The hour since 1970, UTC."""
    return int(now // limits.HOUR)
