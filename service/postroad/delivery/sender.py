"""Bring the letters in the queue to their end: delivered, or returned with a reason.

Purpose: drive `protocol.delivery` for every open parcel. New work, a receipt and the return of a
peer wake it at once; nothing waits for a polling tick.
Invariants: a lease never ends custody, only a receipt does; a step of the table and the notice that
it causes are one commit; what fails for one parcel disturbs no other.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, PostroadError, TemporaryFailure
from postroad.base.ids import Contact, Fingerprint, Instant, MailId, PeerId
from postroad.base.seams import Clock, Entropy
from postroad.delivery.notices import Notices
from postroad.delivery.packing import Packer
from postroad.delivery.rounds import Rounds
from postroad.peers.client import Client
from postroad.peers.link import Exchange
from postroad.protocol import wire
from postroad.protocol.delivery import (
    OPEN,
    Leased,
    NotPlaced,
    Parcel,
    ReceiptCame,
    Step,
    advance,
    look_at_clock,
)
from postroad.protocol.records import PersonRecord
from postroad.sealing.receipt import Verdict, open_receipt
from postroad.store import people, quarantine, queue
from postroad.store.contents import Damaged
from postroad.store.database import Database, Sql
from postroad.store.keyring import Keyring
from postroad.store.mailboxes import Added, Mailboxes

log = logging.getLogger(__name__)


class Myself(Protocol):
    """Takes the letters that the owner writes to themselves: the receiver."""

    async def take_own(self, mail_id: MailId) -> bytes:
        """Open and file a sealed letter of ours; its sealed receipt."""


class Sender:
    """Run `run` for as long as the node lives."""

    def __init__(
        self,
        database: Database,
        packer: Packer,
        rounds: Rounds,
        notices: Notices,
        mailboxes: Mailboxes,
        client: Client,
        keyring: Keyring,
        clock: Clock,
        entropy: Entropy,
        myself: Myself,
    ) -> None:
        self._database = database
        self._packer = packer
        self._rounds = rounds
        self._notices = notices
        self._mailboxes = mailboxes
        self._client = client
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy
        self._myself = myself
        self._wake = asyncio.Event()
        self._in_hand: set[int] = set()

    def wake(self) -> None:
        """Something may be due now."""
        self._wake.set()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                due = await self._due()
                for row in due:
                    self._in_hand.add(row.id)
                    tasks.create_task(self._doorstep(row), name=f"send parcel {row.id}")
                if not due:
                    await self._sleep()

    async def _due(self) -> list[queue.Row]:
        room = limits.SENDING_MAX - len(self._in_hand)
        now, in_hand = self._clock.now(), set(self._in_hand)
        found = await self._database.read(lambda sql: queue.due(sql, now, room, in_hand))
        for parcel_id in found.damaged:
            await self._set_aside(parcel_id, "Its row in the queue is damaged.")
        return found.rows

    async def _set_aside(self, parcel_id: int, reason: str) -> None:
        """Show the owner a parcel that cannot be sent as it is; nothing of it is removed."""
        now = self._clock.now()
        await self._database.run(
            lambda sql: quarantine.note(sql, queue.QUARANTINE, str(parcel_id), reason, now)
        )
        log.error("parcel set aside: %s", reason, extra={"parcel": parcel_id})

    async def _sleep(self) -> None:
        """Until something is due, or somebody wakes us."""
        in_hand = set(self._in_hand)
        seconds = None
        if len(in_hand) < limits.SENDING_MAX:
            due_at = await self._database.read(lambda sql: queue.next_due(sql, in_hand))
            seconds = None if due_at is None else max(due_at - self._clock.now(), 0.05)
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _doorstep(self, row: queue.Row) -> None:
        """One round for one parcel: whatever goes wrong in it ends here."""
        try:
            try:
                await self._attend(row)
            except Damaged as error:
                await self._set_aside(row.id, str(error))
            except PostroadError as error:
                log.warning("parcel put off: %s", error, extra={"parcel": row.id})
                await self._put_off(row, str(error))
        except TemporaryFailure as error:  # the disk does not even take that: leave it a while
            log.error("parcel cannot be put off: %s", error, extra={"parcel": row.id})
            await asyncio.sleep(limits.RETRY_SECONDS_FIRST)
        except Exception:
            log.exception("sending failed", extra={"parcel": row.id})
            await asyncio.sleep(limits.RETRY_SECONDS_FIRST)
        finally:
            self._in_hand.discard(row.id)
            self.wake()

    async def _put_off(self, row: queue.Row, reason: str) -> None:
        now, dice = self._clock.now(), self._entropy.uniform()
        await self._step(row.id, lambda parcel: advance(parcel, NotPlaced(reason), now, dice))

    async def _attend(self, row: queue.Row) -> None:
        now = self._clock.now()
        if look_at_clock(row.parcel, now).parcel != row.parcel:
            await self._step(row.id, lambda parcel: look_at_clock(parcel, now))
            if look_at_clock(row.parcel, now).parcel.state not in OPEN:
                return
        if row.fingerprint == self._keyring.fingerprint:
            mail_id = await self._packer.pack(row, None)
            await self.take_receipt(mail_id, await self._myself.take_own(mail_id))
            return
        person = await self._database.read(lambda sql: people.contact(sql, row.fingerprint))
        if person is None:
            raise TemporaryFailure("This person is no longer among your contacts.")
        mail_id = await self._packer.pack(row, person.record)
        row = await self._database.read(lambda sql: queue.get(sql, row.id))  # now it has its key
        outcome = await self._rounds.attempt(
            row,
            mail_id,
            person,
            lambda receipt: self._read_receipt(row, receipt),
            lambda lease: self._take_lease(row.id, lease),
        )
        if outcome.receipt is not None:
            await self.take_receipt(mail_id, outcome.receipt)
            return
        holders = len(await self._database.read(lambda sql: queue.leases(sql, row.id)))
        now, dice = self._clock.now(), self._entropy.uniform()
        event = Leased(holders) if holders else NotPlaced(outcome.reason)
        await self._step(row.id, lambda parcel: advance(parcel, event, now, dice))
        if outcome.drop_is_gone or not holders:
            await self._look_for_newer_record(person)

    async def _take_lease(self, parcel_id: int, lease: queue.LeaseRow) -> None:
        """Note that a holder keeps the parcel's letter: it counts from now on."""

        def work(sql: Sql) -> None:
            queue.add_lease(sql, parcel_id, lease)
            parcel = queue.get(sql, parcel_id).parcel
            event = Leased(len(queue.leases(sql, parcel_id)))
            step = advance(parcel, event, self._clock.now(), self._entropy.uniform())
            queue.record(sql, parcel_id, step.parcel, self._clock.now())

        await self._database.run(work)
        log.info("parcel held", extra={"parcel": parcel_id, "holder": lease.holder.hex()[:8]})

    async def _look_for_newer_record(self, person: people.Person) -> None:
        """Ask the person's devices and holders; with a newer record, try again at once."""
        places = [*person.record.contacts, *(drop.contact for drop in person.record.drops)]
        found = await asyncio.gather(
            *(self._find_record(place, person.fingerprint) for place in places)
        )
        newer = [record for record in found if record and record.sequence > person.record.sequence]
        if newer:
            newest = max(newer, key=lambda record: record.sequence)
            now = self._clock.now()

            def work(sql: Sql) -> None:
                people.learn(sql, newest, now)
                queue.wake(sql, person.fingerprint, now)

            await self._database.run(work)

    async def _find_record(self, place: Contact, fingerprint: Fingerprint) -> PersonRecord | None:
        try:
            return await self._client.find_record(place, fingerprint)
        except (TemporaryFailure, PeerMisbehaved):
            return None

    # Receipts

    async def answer_receipt(self, message: wire.Message, exchange: Exchange) -> None:
        """A recipient tells what became of a letter; the receipt itself proves who says so."""
        assert isinstance(message, wire.Receipt)
        await self.take_receipt(MailId(message.mail_id), message.receipt)
        await exchange.send(wire.Ok())

    async def take_receipt(self, mail_id: MailId, sealed: bytes) -> None:
        """End a parcel by its receipt; PeerMisbehaved when it is not one. Idempotent."""
        row = await self._database.read(lambda sql: queue.by_mail_id(sql, mail_id))
        if row is None:
            return  # pruned long ago, or never ours
        event = ReceiptCame(self._read_receipt(row, sealed))
        now = self._clock.now()
        await self._step(row.id, lambda parcel: advance(parcel, event, now, 0.0), sealed)
        self.wake()

    def _read_receipt(self, row: queue.Row, sealed: bytes) -> Verdict:
        """What this receipt says of the parcel; PeerMisbehaved when it is not its receipt."""
        assert row.content_key is not None
        receipt = open_receipt(
            sealed,
            content_key=row.content_key,
            sender=self._keyring.fingerprint,
            recipient=row.fingerprint,
            nonce=row.nonce,
        )
        return Verdict(receipt.verdict)

    # Steps of the table

    async def _step(
        self, parcel_id: int, take: Callable[[Parcel], Step], receipt: bytes | None = None
    ) -> None:
        """Take a step from where the parcel stands now, and write it down with its notice."""

        def work(sql: Sql) -> tuple[queue.Row, Step, Added | None]:
            row = queue.get(sql, parcel_id)
            step = take(row.parcel)
            added = None
            if step.parcel != row.parcel:
                queue.record(sql, parcel_id, step.parcel, self._clock.now())
                if receipt is not None:
                    queue.keep_receipt(sql, parcel_id, receipt)
                added = self._notices.file(sql, row, step)
            return row, step, added

        row, step, added = await self._database.run(work)
        if step.parcel.state is not row.parcel.state:
            log.info("parcel %s", step.parcel.state, extra={"parcel": parcel_id})
        if added is not None:
            self._mailboxes.announce(added)

    async def peer_seen(self, _: PeerId, fingerprint: Fingerprint, now: Instant) -> None:
        """A node of this person just proved itself: what waits for them is due now."""
        await self._database.run(lambda sql: queue.wake(sql, fingerprint, now))
        self.wake()
