"""Look for the newer record of somebody whom a letter did not reach: they may have moved.

Purpose: for the sender, who tries again at once with what is found. Devices and holders of the
person are asked first; the directory, which may take a while, when none of them knows more.
Invariants: a record is believed by its own signatures, whoever gave it; each person is looked for
in the directory once at a time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.base.ids import Contact, Fingerprint, Ticket
from postroad.base.seams import Clock, Entropy
from postroad.peers.client import Client
from postroad.protocol.records import PersonRecord
from postroad.store import people, proposals, queue, strangers
from postroad.store.database import Database, Sql

log = logging.getLogger(__name__)


class NewerRecords:
    def __init__(
        self,
        database: Database,
        client: Client,
        clock: Clock,
        entropy: Entropy,
        find_newer: Callable[[Fingerprint, int], Awaitable[PersonRecord | None]],
        on_found: Callable[[], None],
    ) -> None:
        """`find_newer`: looks in the directory for a record of a higher sequence; `on_found` hears
        when that gave one."""
        self._database = database
        self._client = client
        self._clock = clock
        self._entropy = entropy
        self._find_newer = find_newer
        self._on_found = on_found
        self._looking_for: set[Fingerprint] = set()

    async def ask_theirs(self, person: people.Person) -> bool:
        """Ask the person's devices and holders; whether there was a newer one, kept by now."""
        places = [*person.record.contacts, *(drop.contact for drop in person.record.drops)]
        found = await asyncio.gather(
            *(self._find_record(place, person.fingerprint) for place in places)
        )
        newer = [record for record in found if record and record.sequence > person.record.sequence]
        if not newer:
            return False
        return await self._learn(max(newer, key=lambda record: record.sequence))

    def look_in_directory(self, person: people.Person, tasks: asyncio.TaskGroup) -> None:
        """Look for a newer record of somebody whom nobody was found to know of.

        That may take a while: no letter waits for it, since they may come by themselves."""
        if person.fingerprint not in self._looking_for:
            self._looking_for.add(person.fingerprint)
            tasks.create_task(self._look(person), name="look in directory")

    def stopped(self) -> None:
        """The group has ended: a task of it that had not begun forgot nobody."""
        self._looking_for.clear()

    async def _look(self, person: people.Person) -> None:
        try:
            shown = await self._find_newer(person.fingerprint, person.record.sequence)
            if shown is not None:
                await self._learn(shown)
                self._on_found()
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.info("not found in the directory: %s", error)
        except Exception:  # strangers' answers are not worth the node: a doorstep (A7)
            log.exception("looking in the directory failed")
        finally:
            self._looking_for.discard(person.fingerprint)

    async def _learn(self, newest: PersonRecord) -> bool:
        """Keep a newer record; False: it was not taken, because it is dated in the future. Then
        nothing is tried at once for it, or that would not end."""
        now = self._clock.now()
        ticket = Ticket(self._entropy.token(16))

        def work(sql: Sql) -> bool:
            is_new = people.learn(sql, newest, now)
            if strangers.stranger(sql, newest.fingerprint) is not None:
                strangers.learn(sql, newest, ticket, now)
                is_new = True
            is_new |= proposals.learn(sql, newest)
            if is_new:
                queue.wake(sql, newest.fingerprint, now)
            return is_new

        return await self._database.run(work)

    async def _find_record(self, place: Contact, fingerprint: Fingerprint) -> PersonRecord | None:
        try:
            return await self._client.find_record(place, fingerprint)
        except (TemporaryFailure, PeerMisbehaved):
            return None
