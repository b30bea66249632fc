"""Our helpers: add one by its link, and tell each what it should know of us.

Purpose: a helper relays and holds for those whom its owner named. It learns our newest record,
because it serves it to whoever accepts an invitation of ours, and tells us of letters; we learn
where it is now.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, PermanentFailure, TemporaryFailure, Unknown
from postroad.base.ids import PeerId, short
from postroad.base.seams import Clock
from postroad.base.tlv import encode
from postroad.peers.client import Client
from postroad.peers.exchange import Refused
from postroad.protocol import helping, wire
from postroad.protocol.records import PersonRecord
from postroad.store import audit, helpers
from postroad.store.database import Database
from postroad.store.helpers import HelperRow

log = logging.getLogger(__name__)
NOT_ALLOWED = "Helpers may serve nobody on this computer (helpers). See: postroad policy"


class Helpers:
    """`record` gives our newest record; `on_change` hears that a helper came or went; `allowed`:
    whether any may serve us."""

    def __init__(
        self,
        database: Database,
        client: Client,
        clock: Clock,
        record: Callable[[], Awaitable[PersonRecord]],
        on_change: Callable[[], None],
        *,
        allowed: bool = True,
    ) -> None:
        self._allowed = allowed
        self._database = database
        self._client = client
        self._clock = clock
        self._record = record
        self._on_change = on_change

    async def all(self) -> list[HelperRow]:
        return await self._database.read(helpers.helpers)

    async def add(self, link: str) -> str:
        """Be served by the helper of this link; its name.

        PermanentFailure or TemporaryFailure say in words why not, and what to do."""
        found = helping.from_link(link)
        if not self._allowed:
            await self._note_policy(found.contact.peer)
            raise PermanentFailure(NOT_ALLOWED)
        known = await self.all()
        if len(known) >= limits.HELPERS_MAX and found.contact.peer not in {h.peer for h in known}:
            raise PermanentFailure(
                f"You have {limits.HELPERS_MAX} helpers, which is as many as one can have. Remove "
                "one first: postroad helpers remove NAME"
            )
        record = await self._record()
        try:
            contact, name = await self._client.sign_in(found.contact, encode(record), found.secret)
        except Refused as error:
            raise PermanentFailure(f"The helper said: {error}") from error
        except PeerMisbehaved as error:
            raise PermanentFailure(f"What answered there is no helper: {error}.") from error
        except TemporaryFailure as error:
            raise TemporaryFailure(
                "The helper could not be reached. Is it on, and are its ports open (TCP "
                f"{limits.HELPER_RELAY_PORT}, and UDP {limits.PEER_PORT_DEFAULT}, unless its owner "
                "chose others)? Try again then; the link stays good."
            ) from error
        now = self._clock.now()
        await self._database.run(lambda sql: helpers.keep(sql, contact, name, record.sequence, now))
        log.info("helper added", extra={"peer": short(contact.peer)})
        self._on_change()
        return name

    async def keep_to_policy(self) -> None:
        """Those that served us until now do no more, where none may; what lies there is fetched."""
        if self._allowed:
            return
        for row in await self.all():
            if row.refusal != NOT_ALLOWED:
                await self._note_policy(row.peer)
                now, peer = self._clock.now(), row.peer
                await self._database.run(
                    partial(helpers.refused, peer=peer, reason=NOT_ALLOWED, now=now)
                )

    async def _note_policy(self, peer: PeerId) -> None:
        now = self._clock.now()
        await self._database.run(
            lambda sql: audit.note_refused(sql, now, "helpers", id=short(peer))
        )

    async def remove(self, name: str) -> None:
        """Be served by this helper no more; PermanentFailure when there is none of this name."""
        named = [row for row in await self.all() if name in (row.name, short(row.peer))]
        if len(named) != 1:
            count = "no helper" if not named else "several helpers"
            raise Unknown(f"You have {count} called {name!r}. See: postroad helpers")
        await self._database.run(lambda sql: helpers.forget(sql, named[0].peer, self._clock.now()))
        self._on_change()

    async def settle(self, record: PersonRecord) -> bool:
        """Tell each helper our newest record; whether all that serve us have it now."""
        told = await asyncio.gather(
            *(self._tell(row, record) for row in await self.all() if not row.refusal)
        )
        return all(told)

    async def _tell(self, row: HelperRow, record: PersonRecord) -> bool:
        if row.told >= record.sequence:
            return True
        try:
            contact, name = await self._client.sign_in(row.contact, encode(record), None)
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.info("helper not told: %s", error, extra={"peer": short(row.peer)})
            if isinstance(error, Refused) and error.refusal == wire.Refusal.FORBIDDEN:
                await self._note_refusal(row.peer, str(error))
            return False
        now = self._clock.now()
        await self._database.run(lambda sql: helpers.keep(sql, contact, name, record.sequence, now))
        return True

    async def _note_refusal(self, peer: PeerId, reason: str) -> None:
        await self._database.run(lambda sql: helpers.refused(sql, peer, reason, self._clock.now()))
        self._on_change()
