"""Collect letters: from senders who bring them, and out of our drops; and tell senders so.

Purpose: nothing that lies in a drop waits longer than it must. A drop is looked into at start, when
its holder has news, when its holder's node comes that had not come for hours, when somebody becomes
a contact, soon after a letter had to be left lying, and every few minutes without a reason. A
holder that came to us by itself within the last hours can tell us of news, and tries for longer
than an hour (`herald`): into its drop we look every hour only, for a look costs both a link. When
one fails, the holder could not have told us either, and the next one is soon.
Invariants: a letter is deleted at a holder only with its receipt, after it was filed or refused;
one letter that lies in several drops is fetched once; what is wrong with one stops no other.
"""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from postroad.base import limits
from postroad.base.errors import NotDecided, PeerMisbehaved, TemporaryFailure
from postroad.base.ids import (
    Contact,
    DropId,
    Fingerprint,
    Instant,
    MailId,
    PeerId,
    Ticket,
    short,
)
from postroad.base.seams import Entropy, SureClock
from postroad.delivery.epochs import Epochs
from postroad.delivery.filing import Filing
from postroad.delivery.herald import Sighting
from postroad.delivery.requests import REQUESTS_ARE_FULL, NotMet, TooMany
from postroad.peers.client import Client
from postroad.peers.exchange import Answer, Exchange, Refused
from postroad.peers.rates import Allowance
from postroad.peers.strangers import StrangersGate
from postroad.protocol import wire, wire_holders
from postroad.protocol.records import read_person
from postroad.sealing.keys import SigningKey
from postroad.sealing.letter import NotOpened, UnknownKey
from postroad.store import filed, people, rented, renters, requests
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.rented import MyDrop
from postroad.store.sealed import Arriving, SealedStore
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
RECEIPTS_AT_ONCE = 16
HAS_ENDED = wire.No(wire.Refusal.ENDED, "The recipient's device or identity has ended.")
# A small one is opened, and refused with a receipt.
UNWANTED = wire.No(wire.Refusal.UNWANTED, "The recipient does not want letters from you.")
NOT_OPENED = wire.No(wire.Refusal.FORBIDDEN, "It cannot be opened.")  # whatever is wrong with it


class Receiver:
    """Run `run` for as long as the node lives."""

    def __init__(
        self,
        database: Database,
        sealed: SealedStore,
        filing: Filing,
        client: Client,
        clock: SureClock,
        entropy: Entropy,
        keyring: OwnKeys,
        on_lost: Callable[[MyDrop], Awaitable[None]],
        epochs: Epochs,
        *,
        strangers: StrangersGate,
        dial_private: bool = False,
    ) -> None:
        """`on_lost` hears of a drop of which its holder knows nothing."""
        self._database = database
        self._sealed = sealed
        self._filing = filing
        self._client = client
        self._clock = clock
        self._entropy = entropy
        self._keyring = keyring
        self._on_lost = on_lost
        self._epochs = epochs
        self._private = dial_private
        self._strangers = strangers
        self._letters = Allowance(limits.CONTACT_LETTERS_AT_ONCE, limits.CONTACT_LETTERS_PER_SECOND)
        self._look = asyncio.Event()
        self._tell = asyncio.Event()
        self._news: set[DropId] = set()
        self._look_at: dict[DropId, float] = {}  # by the clock that counts suspend
        self._came_at: dict[PeerId, float] = {}  # the same, of holders
        self._fetching: dict[MailId, asyncio.Lock] = {}
        self._meetings = 0  # how often somebody became a contact
        self._left: dict[MailId, float] = {}  # strangers' letters, and until when

    @property
    def answers(self) -> Mapping[type[wire.Message], Answer]:
        return {wire.Deliver: self._answer_deliver, wire.News: self._answer_news}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._collect(), name="collect")
            tasks.create_task(self._tell_senders(), name="tell senders")

    async def take_own(self, mail_id: MailId) -> bytes:
        """File a letter that the owner wrote to themselves; its sealed receipt."""
        size = await self._database.read(lambda sql: self._sealed.size(sql, mail_id))
        arriving = self._sealed.arriving(size)
        try:
            return await self._take(
                mail_id, arriving, self._sealed.pieces(self._database, mail_id, size), told=True
            )
        finally:
            arriving.discard()

    async def peer_seen(self, seen: Sighting) -> None:
        """A node proved itself: look into the drop that it holds, tell it what is due."""
        drops = await self._database.read(rented.my_drops)
        held_there = {drop.drop for drop in drops if drop.agreed and drop.holder == seen.peer}
        if held_there and seen.came:
            if not self._reaches_us(seen.peer):  # one that does would have told us
                self._news |= held_there
                self._look.set()
            self._came_at[seen.peer] = self._clock.elapsed()
        fingerprint = seen.fingerprint
        if fingerprint is not None:
            await self._database.run(lambda sql: filed.wake_receipts(sql, fingerprint, seen.at))
            self._tell.set()

    def wake(self) -> None:
        """There may be receipts that senders should have now."""
        self._tell.set()

    def met(self) -> None:
        """Somebody became a contact: a letter that we left as a stranger's may be theirs."""
        self._meetings += 1
        self._left.clear()
        self._look_at.clear()
        self._look.set()

    def moved(self) -> None:
        """The node is somewhere else, or slept: look everywhere, and rely on no holder's word."""
        self._came_at.clear()
        self._look_at.clear()
        self._look.set()
        self._tell.set()

    # From senders

    async def _answer_deliver(self, message: wire.Message, exchange: Exchange) -> None:
        assert isinstance(message, wire.Deliver)
        mail_id, size = MailId(message.mail_id), message.size
        whole = await exchange.receive_at_once(size)
        ended, before, bearer, is_full = await self._database.read(
            lambda sql: (
                self._filing.trouble(sql),
                self._filing.before(sql, mail_id),
                self._bearer(sql, message, exchange),
                requests.count_waiting(sql) >= limits.REQUESTS_MAX,
            )
        )
        size_max = bearer.size_max if bearer else limits.OPEN_LETTER_BYTES_MAX
        if before.receipt is not None:
            receipt = before.receipt
        elif ended:
            await exchange.send(HAS_ENDED)
            return
        elif bearer is not None and bearer.is_blocked and whole is None:
            await exchange.send(UNWANTED)
            return
        elif (objection := self._objection(message, exchange, bearer, is_full=is_full)) is not None:
            await exchange.send(objection)
            return
        elif size > size_max:
            await exchange.send(wire.No(wire.Refusal.TOO_LARGE, "It is too large for me."))
            return
        elif before.is_bad:
            await exchange.send(NOT_OPENED)
            return
        else:
            try:
                receipt = await self._take_offered(mail_id, size, whole, exchange)
            except UnknownKey as error:
                await exchange.send(await self._epochs.reseal(mail_id, error.epoch_key))
                return
            except NotOpened:
                await exchange.send(NOT_OPENED)
                return
        await exchange.send(wire.Tombstone(mail_id, receipt))

    async def _take_offered(
        self, mail_id: MailId, size: int, whole: bytes | None, exchange: Exchange
    ) -> bytes:
        """File a letter that a sender offers, `whole` when it came at once; the sealed receipt."""
        self._sealed.disk.require_room(2 * size)
        if whole is not None:
            return await self._take_whole(mail_id, whole)
        await exchange.send(wire.Take())
        arriving = self._sealed.arriving(size)
        try:
            return await self._take(mail_id, arriving, exchange.receive_bulk(size), told=True)
        finally:
            arriving.discard()

    def _bearer(self, sql: Sql, message: wire.Deliver, exchange: Exchange) -> "_Bearer | None":
        """Who brings a letter, if it is somebody whom the owner let write; else a stranger."""
        person = people.at_device(sql, exchange.peer)
        if person is not None:
            # Anybody can name somebody else's device in their record, and then be blocked.
            is_theirs = exchange.peer == person.record.certificate.device
            return _Bearer(
                person.fingerprint, limits.SEALED_BYTES_MAX, person.blocked and is_theirs
            )
        ticket = None if message.ticket is None else Ticket(message.ticket)
        if ticket is not None and ticket in people.tickets(sql, self._clock.sure_now()):
            return _Bearer(ticket, limits.OPEN_LETTER_BYTES_MAX)
        return None

    def _objection(
        self,
        message: wire.Deliver,
        exchange: Exchange,
        bearer: "_Bearer | None",
        *,
        is_full: bool,
    ) -> wire.No | None:
        """Why this letter is not even opened now; None: it is, and is counted. `is_full`: there is
        no place for a stranger's."""
        if bearer is None and is_full:
            return wire.No.because(wire.Refusal.RATE, REQUESTS_ARE_FULL)
        if bearer is None:
            me = self._keyring.fingerprint
            return self._strangers.objection(exchange, me, 0, message.stamp)
        if self._letters.takes(bearer.who, self._clock.elapsed()):
            return None
        return wire.No(
            wire.Refusal.RATE,
            f"You sent more than {limits.CONTACT_LETTERS_AT_ONCE} letters in a short time; the "
            "rest is taken one by one, about one a minute.",
        )

    async def _take_whole(self, mail_id: MailId, whole: bytes) -> bytes:
        """File a letter that came with its offer; the sealed receipt."""
        if hashlib.sha256(whole).digest() != mail_id:
            raise PeerMisbehaved("a letter is not the one announced")

        def read(offset: int, size: int) -> bytes:
            return whole[offset : offset + size]

        return await self._filing.take(mail_id, read, len(whole), told=True)

    async def _answer_news(self, message: wire.Message, exchange: Exchange) -> None:
        """A holder tells of a letter. Only the holder of a drop of ours makes us look."""
        assert isinstance(message, wire.News)
        drops = await self._database.read(rented.my_drops)
        if not any((one.drop, one.holder) == (message.drop, exchange.peer) for one in drops):
            await exchange.send(wire.No(wire.Refusal.UNKNOWN, "That is no drop of mine."))
            return
        self._news.add(DropId(message.drop))
        self._look.set()
        await exchange.send(wire.Ok())

    async def _take(
        self, mail_id: MailId, arriving: Arriving, pieces: AsyncIterator[bytes], *, told: bool
    ) -> bytes:
        async for piece in pieces:
            await self._database.outside(partial(arriving.write, piece))
        if arriving.mail_id != mail_id:
            raise PeerMisbehaved("a letter is not the one announced")
        return await self._filing.take(mail_id, arriving.read, arriving.received, told=told)

    # Out of our drops

    async def _collect(self) -> None:
        looking: set[DropId] = set()
        self._look_at.clear()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._look.clear()
                news, self._news = self._news, set()
                drops = await self._database.read(self._drops)
                now = self._clock.elapsed()
                self._look_at = {one.drop: self._look_at.get(one.drop, now) for one in drops}
                for drop in drops:
                    if drop.drop in looking and drop.drop in news:
                        self._news.add(drop.drop)  # it will look once more: the news may be newer
                    if drop.drop in looking or not (
                        drop.drop in news or self._look_at[drop.drop] <= now
                    ):
                        continue
                    self._put_off(drop, limits.COLLECT_TOLD_SECONDS)
                    looking.add(drop.drop)
                    tasks.create_task(self._look_into(drop, looking), name="look into drop")
                # The loop's clock stands still while the computer sleeps, so it waits in pieces.
                free = [at for drop, at in self._look_at.items() if drop not in looking]
                next_at = min(free, default=now + limits.COLLECT_SECONDS)
                await self._wait_for_news(min(next_at - now, limits.COLLECT_SECONDS))

    def _drops(self, sql: Sql) -> list[MyDrop]:
        """Ours, as long as we may take in what lies there."""
        if self._filing.trouble(sql):
            return []
        return [one for one in rented.my_drops(sql) if one.agreed]

    def _put_off(self, drop: MyDrop, seconds_max: float) -> None:
        """Look into this drop again after some minutes; after an hour if its holder can tell us of
        news, or has been silent all day, and `seconds_max` allows."""
        can_tell = self._reaches_us(drop.holder) or drop.silent_seconds > limits.DAY
        often = limits.COLLECT_TOLD_SECONDS if can_tell else limits.COLLECT_SECONDS
        seconds = min(often, seconds_max) * (0.75 + self._entropy.uniform() / 2)
        self._look_at[drop.drop] = self._clock.elapsed() + seconds

    def _reaches_us(self, holder: PeerId) -> bool:
        came_at = self._came_at.get(holder)
        return came_at is not None and self._clock.elapsed() - came_at < limits.REACHED_SECONDS

    async def _wait_for_news(self, seconds: float) -> None:
        try:
            async with timeout(max(seconds, 0.05)):
                await self._look.wait()
        except TimeoutError:
            return

    async def _look_into(self, drop: MyDrop, looking: set[DropId]) -> None:
        """Empty one drop: whatever goes wrong with it ends here."""
        try:
            holder = await self._database.read(lambda sql: rented.holder_of(sql, drop))
            if holder is not None:
                await self._empty(drop, holder)
        except (TemporaryFailure, PeerMisbehaved) as error:
            self._put_off(drop, limits.COLLECT_SECONDS)
            self._came_at.pop(drop.holder, None)
            log.info("drop not emptied: %s", error, extra={"holder": short(drop.holder)})
            if isinstance(error, Refused) and error.refusal == wire.Refusal.UNKNOWN:
                await self._on_lost(drop)
        except Exception:
            log.exception("emptying a drop failed", extra={"holder": short(drop.holder)})
        finally:
            looking.discard(drop.drop)
            self._look.set()

    async def _empty(self, drop: MyDrop, holder: Contact) -> None:
        key = SigningKey(drop.seed)
        after, seen, is_empty = 0, 0, True
        while letters := await self._client.list_drop(holder, drop.drop, key, after):
            for listed in letters:
                done = await self._collect_one(drop, holder, key, MailId(listed.mail_id))
                is_empty = is_empty and done
            seen += len(letters)
            if letters[-1].arrival <= after or seen > limits.DROP_LETTERS_MAX:
                raise PeerMisbehaved("a listing does not go on, or has no end")
            after = letters[-1].arrival
        if is_empty:
            await self._epochs.emptied(drop)

    async def _collect_one(
        self, drop: MyDrop, holder: Contact, key: SigningKey, mail_id: MailId
    ) -> bool:
        """Fetch one letter unless it is here already, and leave its receipt in its place, or that
        it has to be sealed anew. Whether it is done with; False: it lies there on."""
        if self._left.get(mail_id, 0.0) > self._clock.elapsed():
            return False
        meetings = self._meetings
        lock = self._fetching.setdefault(mail_id, asyncio.Lock())
        try:
            async with lock:  # it may lie in other drops too: fetch it from one
                before = await self._database.read(lambda sql: self._filing.before(sql, mail_id))
                if before.is_bad and before.receipt is None:
                    return True
                if before.receipt is None and (named := self._epochs.names(mail_id)) is not None:
                    raise UnknownKey(named)
                receipt = before.receipt or await self._fetch(drop, holder, key, mail_id)
        except UnknownKey as error:
            reseal = await self._epochs.reseal(mail_id, error.epoch_key)
            await self._client.leave_reseal(holder, drop.drop, key, reseal)
            log.info("letter to be sealed anew", extra={"mail": mail_id.hex()})
            return True
        except (TooMany, NotMet) as error:
            log.info("letter left where it lies: %s", error, extra={"mail": mail_id.hex()})
            if self._meetings == meetings:  # else it may be theirs, and we look at once
                self._leave(mail_id)
            return False
        except (PeerMisbehaved, TemporaryFailure) as error:  # the next one may be good
            log.warning("letter not taken: %s", error, extra={"mail": mail_id.hex()})
            if not isinstance(error, NotDecided):  # nobody tells us when we could take it
                self._put_off(drop, limits.COLLECT_SECONDS)
            return False
        finally:
            if not lock.locked():
                self._fetching.pop(mail_id, None)
        self._tell.set()
        burial = wire_holders.sign_burial(mail_id, receipt, self._keyring.device)
        await self._client.delete(holder, drop.drop, key, mail_id, receipt, burial)
        return True

    def _leave(self, mail_id: MailId) -> None:
        """Nothing is done with this stranger's letter now: it is not fetched again for some hours,
        unless somebody becomes a contact."""
        self._left[mail_id] = self._clock.elapsed() + limits.REQUEST_LATER_SECONDS
        if len(self._left) > limits.REQUESTS_REMEMBERED_MAX:
            del self._left[next(iter(self._left))]

    async def _fetch(
        self, drop: MyDrop, holder: Contact, key: SigningKey, mail_id: MailId
    ) -> bytes:
        async with self._client.fetch(holder, drop.drop, key, mail_id) as (size, pieces):
            self._sealed.disk.require_room(2 * size)
            arriving = self._sealed.arriving(size)
            try:
                return await self._take(mail_id, arriving, pieces, told=False)
            finally:
                arriving.discard()

    # To senders

    async def _tell_senders(self) -> None:
        """Bring receipts to the senders' nodes; holders keep them for those who are away."""
        while True:
            self._tell.clear()
            now = self._clock.now()
            due = await self._database.read(
                lambda sql: filed.receipts_due(sql, self._clock.now(), RECEIPTS_AT_ONCE)
            )
            await asyncio.gather(*(self._tell_one(one) for one in due))
            if due:
                continue
            next_at = await self._database.read(filed.next_receipt)
            try:
                async with timeout(None if next_at is None else max(next_at - now, 0.05)):
                    await self._tell.wait()
            except TimeoutError:
                continue

    async def _tell_one(self, due: filed.ReceiptDue) -> None:
        contacts = await self._database.read(
            lambda sql: _nodes_of_sender(sql, due, private=self._private)
        )
        try:
            for contact in contacts:
                if contact.peer == due.device:
                    await self._client.tell_receipt(contact, due.mail_id, due.sealed)
                    await self._database.run(lambda sql: filed.told(sql, due.mail_id))
                    return
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.info("receipt not told: %s", error, extra={"mail": due.mail_id.hex()})
        wait = min(limits.HELD_SECONDS_FIRST * 2 ** min(due.tries, 20), limits.HELD_SECONDS_MAX)
        again = Instant(self._clock.now() + wait * (0.75 + self._entropy.uniform() / 2))
        await self._database.run(lambda sql: filed.not_told(sql, due.mail_id, again))


@dataclass(frozen=True, slots=True)
class _Bearer:
    """Who brings a letter, as they are counted: a contact, or whoever has a ticket of ours."""

    who: Fingerprint | Ticket
    size_max: int
    is_blocked: bool = False


def _nodes_of_sender(sql: Sql, due: filed.ReceiptDue, *, private: bool) -> tuple[Contact, ...]:
    """Where a sender's nodes are: by a contact's newest record, or by what a request brought."""
    person = people.contact(sql, due.fingerprint)
    if person is not None:
        return person.record.contacts
    request = requests.by_mail_id(sql, due.mail_id)
    if request is None or request.record is None:
        return ()
    with suppress(PeerMisbehaved):  # the row is damaged
        named = read_person(request.record, due.fingerprint).contacts
        return tuple(renters.dialled_for(sql, due.fingerprint, named, private=private))
    return ()
