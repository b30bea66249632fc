"""Letters to people who are no contacts yet: find them, and see that a letter can go as a request.

Purpose: the sender's half of first contact. At RCPT an unknown address is looked up for some
seconds; offline, the letter waits and is looked up for later. It goes as a request, which takes the
owner's record along and a ticket for the answer.
Invariants: that somebody does not exist is said only when a joined directory did not show them, at
RCPT once and for an accepted letter again and again over an hour; a record that says that it takes
no letters from strangers is their signed word.
See: docs/adr/0011-strangers.md.
"""

import logging
from collections.abc import Awaitable, Callable

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, PermanentFailure, TemporaryFailure
from postroad.base.ids import Fingerprint, Instant, Ticket
from postroad.base.seams import Clock, Entropy
from postroad.delivery.reasons import (
    NOBODY,
    NOT_BELIEVED,
    NOT_FOUND,
    NOT_LOOKED_UP,
    TAKES_NONE,
)
from postroad.message.address import Address
from postroad.message.plain import plain
from postroad.protocol.delivery import Impossible
from postroad.protocol.records import PersonRecord
from postroad.sealing.letter import Kind
from postroad.store import people, proposals, strangers
from postroad.store.contents import Contents
from postroad.store.database import Database, Sql
from postroad.store.queue import Row
from postroad.store.strangers import Stranger
from postroad.timeouts import timeout

log = logging.getLogger(__name__)


class Strangers:
    def __init__(
        self,
        database: Database,
        contents: Contents,
        clock: Clock,
        entropy: Entropy,
        find: Callable[[Fingerprint], Awaitable[PersonRecord | None]],
        has_joined: Callable[[], bool],
        on_written: Callable[[], None],
    ) -> None:
        """`find`: looks in the directory; `has_joined`: whether it can be believed when it finds
        nobody; `on_written`: there is a ticket that our holders should know."""
        self._database = database
        self._contents = contents
        self._clock = clock
        self._entropy = entropy
        self._find = find
        self._has_joined = has_joined
        self._on_written = on_written
        # Hears to whom the owner writes, in a transaction: a request of theirs may wait. Set by the
        # composition root.
        self.answers: Callable[[Sql, Fingerprint], None]

    async def check_address(self, wanted: Address) -> None:
        """Look a stranger up before a letter to them is accepted; PermanentFailure says why none
        can go. Without an answer in time the letter is accepted, and they are looked for later."""
        now = self._clock.now()
        known = await self._known(wanted.fingerprint)
        if known is None or known.record is None or not _is_fresh(known, now):
            try:
                async with timeout(limits.LOOK_UP_SECONDS_MAX):
                    found = await self._find(wanted.fingerprint)
            except (TimeoutError, TemporaryFailure, PeerMisbehaved) as error:
                log.info("an address was not looked up in time: %s", error)
                return
            if found is None and (known is None or known.record is None):
                if self._has_joined():
                    raise PermanentFailure(f"{wanted}: {NOBODY}")
                return
            if found is not None:
                known = await self._learn(found)
        if known is not None and known.record is not None and not known.record.strangers:
            raise PermanentFailure(f"{wanted}: {TAKES_NONE}")

    async def check_letter(self, octets: bytes, to: list[Fingerprint]) -> None:
        """Refuse a letter to a stranger of which they would see a part only."""

        def work(sql: Sql) -> bool:
            return any(people.contact(sql, one) is None for one in to)

        if await self._database.read(work):
            reason = await self._database.outside(lambda: unfit(octets))
            if reason is not None:
                raise PermanentFailure(reason)

    async def prepare(self, row: Row) -> Impossible | None:
        """See that a parcel for a stranger can be sealed, or say why it never will.

        TemporaryFailure while they have not been found yet. Nothing is done for a contact, or for
        whom a contact introduced: their record came with the proposal."""

        def is_known(sql: Sql) -> bool:
            if people.contact(sql, row.fingerprint) is not None:
                return True
            proposed = proposals.person(sql, row.fingerprint, private=False)
            return row.kind is Kind.INTRODUCTION and proposed is not None

        if await self._database.read(is_known):
            return None
        known = await self._known(row.fingerprint)
        if known is None or known.record is None:
            known = await self._look_for(row.fingerprint)
            if known is None:
                return Impossible("5.1.1", NOBODY)
        assert known.record is not None
        if not known.record.strangers:
            return Impossible("5.7.1", TAKES_NONE)

        def work(sql: Sql) -> str | None:
            strangers.written_to(sql, row.fingerprint)
            reason = unfit(self._contents.get(sql, row.content_id))
            if reason is None:
                self.answers(sql, row.fingerprint)
            return reason

        reason = await self._database.run(work)
        if reason is not None:
            return Impossible("5.7.1", reason)
        if not known.is_written_to:
            self._on_written()
        return None

    async def _look_for(self, fingerprint: Fingerprint) -> Stranger | None:
        """Them, or None: they do not exist. TemporaryFailure while that is not known."""
        had_joined = self._has_joined()
        try:
            found = await self._find(fingerprint)
        except PeerMisbehaved as error:
            raise TemporaryFailure(NOT_BELIEVED) from error
        if found is not None:
            return await self._learn(found)
        if not had_joined:
            raise TemporaryFailure(NOT_LOOKED_UP)
        now, ticket = self._clock.now(), Ticket(self._entropy.token(16))
        looked = await self._database.run(
            lambda sql: strangers.not_found(sql, fingerprint, ticket, now)
        )
        if (
            looked.looks >= limits.STRANGER_LOOKS_MIN
            and now - looked.learnt_at >= limits.STRANGER_LOOK_SECONDS_MIN
        ):
            return None
        raise TemporaryFailure(NOT_FOUND)

    async def _known(self, fingerprint: Fingerprint) -> Stranger | None:
        return await self._database.read(lambda sql: strangers.stranger(sql, fingerprint))

    async def _learn(self, found: PersonRecord) -> Stranger:
        now, ticket = self._clock.now(), Ticket(self._entropy.token(16))

        def work(sql: Sql) -> Stranger:
            strangers.learn(sql, found, ticket, now)
            known = strangers.stranger(sql, found.fingerprint)
            assert known is not None
            return known

        return await self._database.run(work)


def unfit(octets: bytes) -> str | None:
    """Why a letter cannot be somebody's first to a stranger, in words; None: it can."""
    kilobytes = limits.REQUEST_TEXT_BYTES_MAX // limits.KIB
    text = plain(octets)
    if text.is_whole and text.text.strip():
        return None
    what = (
        "something is attached to this one"
        if text.attachments
        else f"this one is longer than {kilobytes} KiB"
        if text.is_cut
        else "there is no text in this one"
    )
    return (
        f"A first letter to somebody who does not know you is text of at most {kilobytes} KiB with "
        f"nothing attached, but {what}. Write a short one first, or accept an "
        "invitation of theirs."
    )


def _is_fresh(known: Stranger, now: Instant) -> bool:
    return 0 <= now - known.learnt_at < limits.STRANGER_RECORD_SECONDS
