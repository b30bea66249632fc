"""Bring the letters in the queue to their end: delivered, or returned with a reason.

Purpose: drive `protocol.delivery` for every open parcel. New work, a receipt and the return of a
peer wake it at once; nothing waits for a polling tick.
Invariants: a lease never ends custody, only a receipt does; a step of the table and the notice that
it causes are one commit; what fails for one parcel disturbs no other.
Long, because every event that moves a parcel comes together here, and goes through one `_step`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from math import inf
from typing import Protocol

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, PostroadError, TemporaryFailure
from postroad.base.ids import Fingerprint, Instant, MailId, PeerId, short
from postroad.base.seams import Entropy, SureClock
from postroad.delivery.herald import Sighting
from postroad.delivery.newer_records import NewerRecords
from postroad.delivery.notices import Notices
from postroad.delivery.packing import NoKeyNow, Packer, TooLarge
from postroad.delivery.reasons import A_REVOKED_WORD, THEIRS_IS_REVOKED
from postroad.delivery.rounds import Outcome, Rounds
from postroad.delivery.strangers import Strangers
from postroad.message.address import parse
from postroad.peers.client import Client
from postroad.peers.exchange import Exchange
from postroad.protocol import wire
from postroad.protocol.delivery import (
    OPEN,
    REFUSALS,
    Impossible,
    Leased,
    NotPlaced,
    Parcel,
    ReceiptCame,
    Revoked,
    SealedAnew,
    State,
    Step,
    advance,
    look_at_clock,
)
from postroad.protocol.records import PersonRecord
from postroad.protocol.wire_reseal import Reseal, check_reseal
from postroad.sealing.keys import epoch_key_id
from postroad.sealing.letter import UnknownKey
from postroad.sealing.receipt import Verdict, open_receipt, signer
from postroad.store import own_standing, people, quarantine, queue, revoked
from postroad.store.contents import Damaged
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.mailboxes import Added, Mailboxes
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
TOO_LARGE_STATUS = "5.2.3"  # message length exceeds the mailbox's limit (RFC 3463)
DAMAGED_LETTER = "letter to send"  # as the quarantine calls it


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
        keyring: OwnKeys,
        clock: SureClock,
        entropy: Entropy,
        myself: Myself,
        find_newer: Callable[[Fingerprint, int], Awaitable[PersonRecord | None]],
        strangers: Strangers,
    ) -> None:
        """`find_newer`: looks in the directory for a record of a higher sequence."""
        self._newer = NewerRecords(database, client, clock, entropy, find_newer, self.wake)
        self._database = database
        self._packer = packer
        self._rounds = rounds
        self.progress = rounds.progress  # of what is in hand
        self._notices = notices
        self._mailboxes = mailboxes
        self._client = client
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy
        self._myself = myself
        self._strangers = strangers
        self._wake = asyncio.Event()
        self._in_hand: dict[int, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._came_at: dict[Fingerprint, float] = {}  # when a contact last came to us, elapsed

    def wake(self) -> None:
        """Something may be due now."""
        self._wake.set()

    def break_off(self, parcel_id: int) -> None:
        """This parcel has ended by its owner's word: a round for it that is under way ends, too."""
        if (trying := self._in_hand.get(parcel_id)) is not None:
            trying.cancel()

    async def peer_seen(self, seen: Sighting) -> None:
        """A node of this person just proved itself: what waits for them is due now."""
        fingerprint = seen.fingerprint
        if fingerprint is None:
            return
        if seen.came:
            self._came_at[fingerprint] = self._clock.elapsed()
        await self._database.run(lambda sql: queue.wake(sql, fingerprint, seen.at))
        self.wake()

    async def look_at_clocks(self) -> None:
        """Do what time alone does, when the node is paused or its clock was just confirmed."""
        now, sure_now = self._clock.now(), self._clock.sure_now()
        for row in await self._database.read(queue.waiting):
            if look_at_clock(row.parcel, now, sure_now).parcel == row.parcel:
                continue
            try:
                await self._step(row, lambda _, parcel: look_at_clock(parcel, now, sure_now))
            except PostroadError as error:
                log.warning("its time was not looked at: %s", error, extra=row.ids)
            except Exception:  # one letter's doorstep, as in `_doorstep`
                log.exception("looking at the clock failed", extra=row.ids)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                while True:
                    self._wake.clear()
                    due, next_at = await self._due()
                    for row in due:
                        trying = self._doorstep(row)
                        self._in_hand[row.id] = tasks.create_task(
                            trying, name=f"send parcel {row.id}"
                        )
                    await self._sleep(next_at)
            finally:
                self._tasks = None  # a group that ends takes no more tasks
                self._newer.stopped()

    async def _due(self) -> tuple[list[queue.Row], Instant | None]:
        """What is due now, as far as there are hands; and when there will be something to do.

        None: not before one of those in hand is done, or somebody wakes us."""
        now, in_hand = self._clock.now(), set(self._in_hand)
        room = limits.SENDING_MAX - len(in_hand)

        def look(sql: Sql) -> tuple[queue.Found, Instant | None]:
            found = queue.due(sql, now, room, in_hand)
            busy = in_hand.union(row.id for row in found.rows)
            all_hands_full = len(busy) >= limits.SENDING_MAX
            return found, None if all_hands_full else queue.next_due(sql, busy)

        found, next_at = await self._database.read(look)
        for parcel_id in found.damaged:
            reason = "Its row in the queue is damaged."
            await self._show(queue.QUARANTINE, str(parcel_id), reason)
        return found.rows, next_at

    async def _show(self, kind: str, name: str, reason: str) -> None:
        """Put something that is damaged before its owner; nothing of it is removed."""
        now = self._clock.now()
        await self._database.run(lambda sql: quarantine.note(sql, kind, name, reason, now))
        log.error("%s %s is damaged: %s", kind, name, reason)

    async def _sleep(self, until: Instant | None) -> None:
        """Until something is due, or somebody wakes us."""
        seconds = None if until is None else max(until - self._clock.now(), 0.05)
        try:
            async with timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _doorstep(self, row: queue.Row) -> None:
        """One round for one parcel: whatever goes wrong in it ends here."""
        try:
            try:
                async with timeout(limits.ROUND_SECONDS_MAX):
                    await self._attend(row)
            except TimeoutError:
                await self._put_off(row, "A peer took too long.")
            except PostroadError as error:
                if isinstance(error, Damaged):  # it stays in the queue, and is returned in time
                    await self._show(DAMAGED_LETTER, row.nonce.hex(), str(error))
                await self._put_off(row, str(error))
        except TemporaryFailure as error:  # the disk does not even take that: leave it a while
            log.error("parcel cannot be put off: %s", error, extra=row.ids)
            await asyncio.sleep(limits.RETRY_SECONDS_FIRST)
        except Exception:
            log.exception("sending failed", extra=row.ids)
            await asyncio.sleep(limits.RETRY_SECONDS_FIRST)
        finally:
            self._in_hand.pop(row.id, None)
            self.wake()

    async def _put_off(self, row: queue.Row, reason: str) -> None:
        now, dice = self._clock.now(), self._entropy.uniform()
        parcel = await self._step(row, lambda _, old: advance(old, NotPlaced(reason), now, dice))
        if parcel.state in OPEN and parcel.due_at <= now:
            # Its time is over, and the disk is too full for the notice: not again at once.
            await asyncio.sleep(limits.RETRY_SECONDS_FIRST)

    async def _attend(self, row: queue.Row) -> None:
        now, sure_now = self._clock.now(), self._clock.sure_now()
        looked = look_at_clock(row.parcel, now, sure_now)
        if looked.parcel != row.parcel:
            await self._step(row, lambda _, parcel: look_at_clock(parcel, now, sure_now))
            if looked.parcel.state not in OPEN:
                return
        if await self._end_revoked(row):
            return
        if row.sealed is None and row.fingerprint not in self._keyring.fingerprints:
            impossible = await self._strangers.prepare(row)
            if impossible is not None:
                await self._step(row, lambda _, parcel: advance(parcel, impossible, now, 0.0))
                return
        try:
            row, person = await self._packer.pack(row)
        except NoKeyNow as missing:
            await self._put_off(row, str(missing))
            await self._look_for_newer_record(missing.person)
            return
        except TooLarge as error:  # it was not, when it was accepted
            too_large = Impossible(TOO_LARGE_STATUS, str(error))
            await self._step(row, lambda _, parcel: advance(parcel, too_large, now, 0.0))
            return
        if person is None:
            assert row.sealed is not None
            mail_id = row.sealed.mail_id
            try:
                await self.take_receipt(mail_id, await self._myself.take_own(mail_id))
            except UnknownKey:  # sealed before our keys were set up anew
                await self._seal_anew(row)
            return
        began = self._clock.elapsed()
        with self.progress.of_a_round(row.id):
            outcome = await self._rounds.attempt(
                row,
                person,
                lambda receipt: self._read_receipt(row, receipt),
                lambda lease: self._take_lease(row, lease),
            )
        if outcome.receipt is not None:
            await self._end(row, outcome.verdict, outcome.receipt, outcome.failed)
            return
        if outcome.is_unwanted:
            device = person.record.certificate.device
            unwanted = Impossible(*REFUSALS[Verdict.UNWANTED])
            await self._step(
                row,
                lambda sql, parcel: (
                    _if_revoked(sql, row, device, parcel, now)
                    or advance(parcel, unwanted, now, 0.0)
                ),
            )
            return
        if outcome.reseals and await self._obey(row, outcome.reseals):
            return
        await self._end_round(row, outcome, began)
        if outcome.drop_is_gone or not outcome.leased:
            is_lost = outcome.drop_is_gone or not outcome.was_answered
            await self._look_for_newer_record(person, in_directory=is_lost)

    async def _obey(self, row: queue.Row, reseals: list[Reseal], *, is_asking: bool = True) -> bool:
        """Seal the parcel anew when its recipient may wish that; whether so. If their record is not
        new enough for it, a newer one is looked for (`is_asking`), and they are heard again in the
        next round."""
        assert row.sealed is not None
        person = await self._packer.recipient(row)
        if person.record.sequence <= row.sealed.sequence:
            if not (is_asking and await self._look_for_newer_record(person)):
                return False
            person = await self._packer.recipient(row)
        for reseal in reseals:
            try:
                check_reseal(
                    reseal,
                    row.sealed.mail_id,
                    row.sealed.epoch_key,
                    sealed_for=row.sealed.sequence,
                    device=person.record.certificate.device,
                    sequence=person.record.sequence,
                    newest_key=epoch_key_id(person.record.epoch_key),
                )
            except PeerMisbehaved as error:
                log.warning("not sealed anew: %s", error, extra=row.ids)
                continue
            await self._seal_anew(row)
            return True
        return False

    async def _seal_anew(self, row: queue.Row) -> None:
        """Under the same nonce and expiry, with a new content key, in the next round."""
        now = self._clock.now()

        def take(sql: Sql, parcel: Parcel) -> Step:
            step = advance(parcel, SealedAnew(), now, 0.0)
            if step.parcel != parcel:
                queue.unhold(sql, row.id)
            return step

        log.info("parcel to be sealed anew", extra=row.ids)
        await self._step(row, take)
        self.wake()

    async def _end_revoked(self, row: queue.Row) -> bool:
        """End a parcel whose recipient's identity, or our own device, was revoked; whether so."""
        mine, device = self._keyring.fingerprint, self._keyring.device.peer

        def why(sql: Sql) -> str:
            ours = own_standing.trouble(sql, mine, device)
            if ours:
                return ours
            if row.fingerprint not in self._keyring.fingerprints and revoked.is_ended(
                sql, row.fingerprint
            ):
                return THEIRS_IS_REVOKED
            return ""

        reason, now = await self._database.read(why), self._clock.now()
        if reason:
            await self._step(row, lambda _, parcel: advance(parcel, Revoked(reason), now, 0.0))
        return bool(reason)

    async def _end_round(self, row: queue.Row, outcome: Outcome, began: float) -> None:
        """Note when the next round is due; at once for somebody who came meanwhile."""
        now, dice = self._clock.now(), self._entropy.uniform()
        came_meanwhile = self._came_at.get(row.fingerprint, -inf) >= began

        def take(sql: Sql, parcel: Parcel) -> Step:
            queue.holders_failed(sql, row.id, outcome.failed)
            holders = len(queue.leases(sql, row.id))
            if outcome.seal_is_damaged and not holders:
                queue.unseal(sql, row.id)  # sealed anew in the next round, under the same nonce
            event = Leased(holders, outcome.said) if holders else NotPlaced(outcome.reason)
            step = advance(parcel, event, now, dice)
            if came_meanwhile and step.parcel.state in OPEN:  # perhaps after we had tried them
                return replace(step, parcel=replace(step.parcel, due_at=now))
            return step

        await self._step(row, take)

    async def _take_lease(self, row: queue.Row, lease: queue.LeaseRow) -> None:
        """Note that a holder keeps the parcel's letter: it counts from now on."""
        now, dice = self._clock.now(), self._entropy.uniform()

        def take(sql: Sql, parcel: Parcel) -> Step:
            sealed = queue.get(sql, row.id).sealed
            if sealed is None or sealed.mail_id != lease.mail_id:
                return Step(parcel)  # it is sealed anew meanwhile
            queue.add_lease(sql, row.id, lease)
            step = advance(parcel, Leased(len(queue.leases(sql, row.id))), now, dice)
            if parcel.state is not State.HELD:
                return step
            # Only the round's end counts as a try.
            return Step(replace(parcel, reason=step.parcel.reason))

        log.info("parcel leased", extra={**row.ids, "holder": short(lease.holder)})
        await self._step(row, take)

    async def _look_for_newer_record(
        self, person: people.Person, *, in_directory: bool = True
    ) -> bool:
        """Whether there is one; else the directory may find one yet."""
        is_found = await self._newer.ask_theirs(person)
        if in_directory and not is_found and self._tasks is not None:
            self._newer.look_in_directory(person, self._tasks)
        return is_found

    # Receipts

    async def answer_receipt(self, message: wire.Message, exchange: Exchange) -> None:
        """A recipient tells what became of a letter; the receipt itself proves who says so."""
        assert isinstance(message, wire.Receipt)
        await self.take_receipt(MailId(message.mail_id), message.receipt)
        await exchange.send(wire.Ok())

    async def take_receipt(self, mail_id: MailId, sealed: bytes) -> bool | None:
        """End a parcel by its receipt; PeerMisbehaved when it is not one. Idempotent.

        Whether that was news; None when we know no such letter."""
        row = await self._database.read(lambda sql: queue.by_mail_id(sql, mail_id))
        if row is None:
            return None  # pruned long ago, or never ours
        parcel = await self._end(row, self._read_receipt(row, sealed), sealed)
        self.wake()
        return parcel.state is not row.parcel.state

    async def take_reseal(self, wish: Reseal) -> bool | None:
        """Obey a wish that came without its letter; whether so. None: we know no such letter."""
        row = await self._database.read(lambda sql: queue.by_mail_id(sql, MailId(wish.mail_id)))
        if row is None or row.sealed is None or row.fingerprint in self._keyring.fingerprints:
            return None
        # Whoever wrote it shows their record with it; a carrier of many forged ones shall not make
        # us dial for each.
        return row.parcel.state in OPEN and await self._obey(row, [wish], is_asking=False)

    async def _end(
        self,
        row: queue.Row,
        verdict: Verdict,
        sealed: bytes,
        failed_holders: Collection[PeerId] = (),
    ) -> Parcel:
        event, now = ReceiptCame(verdict), self._clock.now()
        assert row.sealed is not None
        device = signer(sealed, row.sealed.content_key)
        if verdict in (Verdict.REVOKED, Verdict.ROTATED):
            await self._ask_why(row.fingerprint)

        def take(sql: Sql, parcel: Parcel) -> Step:
            queue.holders_failed(sql, row.id, failed_holders)
            void = _if_revoked(sql, row, device, parcel, now)
            if void is not None:
                return void
            step = advance(parcel, event, now, 0.0)
            if step.parcel != parcel:
                queue.keep_receipt(sql, row.id, sealed, now)
            return step

        return await self._step(row, take)

    async def _ask_why(self, fingerprint: Fingerprint) -> None:
        """A recipient says that we do not speak for ourselves: their node can show the record."""
        person = await self._database.read(lambda sql: people.contact(sql, fingerprint))
        for place in () if person is None else person.record.contacts:
            self._client.on_revoked(place)

    def _read_receipt(self, row: queue.Row, sealed: bytes) -> Verdict:
        """What this receipt says of the parcel; PeerMisbehaved when it is not its receipt."""
        assert row.sealed is not None
        recipient = parse(row.recipient).fingerprint  # as it was written; they may have rotated
        failed: PeerMisbehaved | None = None
        for mine in self._keyring.fingerprints:  # we, too: it was sealed by whom we were then
            try:
                receipt = open_receipt(
                    sealed,
                    content_key=row.sealed.content_key,
                    sender=mine,
                    recipient=recipient,
                    nonce=row.nonce,
                    letter=row.sealed.header_hash,
                )
                return Verdict(receipt.verdict)
            except PeerMisbehaved as error:
                failed = failed or error
        assert failed is not None
        raise failed

    # Steps of the table

    async def _step(self, row: queue.Row, take: Callable[[Sql, Parcel], Step]) -> Parcel:
        """Take a step from where the parcel stands now: it, what `take` writes, and the notice
        that it causes are one commit. The parcel as it stands then."""

        def work(sql: Sql) -> tuple[Parcel, Step, Added | None]:
            now = queue.get(sql, row.id)
            step = take(sql, now.parcel)
            added = None
            if step.parcel != now.parcel:
                queue.record(sql, row.id, step.parcel, self._clock.now())
                added = self._notices.file(sql, now, step)
            return now.parcel, step, added

        def committed(done: tuple[Parcel, Step, Added | None]) -> None:
            before, step, added = done
            _tell_log(row, before, step.parcel)
            if added is not None:
                self._mailboxes.announce(added)

        _, step, _ = await self._database.run(work, then=committed)
        return step.parcel


def _if_revoked(
    sql: Sql, row: queue.Row, device: PeerId, parcel: Parcel, now: Instant
) -> Step | None:
    """What becomes of the parcel when the device that spoke for its recipient was revoked, perhaps
    since it did; None: it was not, and its word counts."""
    if revoked.speaks(sql, row.fingerprint, device):
        return None
    return advance(parcel, NotPlaced(A_REVOKED_WORD), now, dice=0.5)


def _tell_log(row: queue.Row, before: Parcel, after: Parcel) -> None:
    """One line for each step of a letter's life."""
    if after.state is not before.state:
        log.info("parcel %s", after.state, extra={**row.ids, "state": after.state.value})
    elif after.tries != before.tries:
        wait = round(after.due_at - before.due_at)
        extra = {**row.ids, "state": after.state.value, "wait": wait}
        log.info("parcel %s still: %s", after.state, after.reason, extra=extra)
