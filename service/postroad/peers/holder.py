"""The holder's side of conversations: keep letters for contacts who are away.

Purpose: check who may do what, and speak only after the commit. What is kept, and how much, is the
business of `Shelves` and `Ledger`, which the store implements.
Invariants: a lease is signed only after the letter is durable; a letter is given only to who shows
the key of its drop, or to another holder whom its owner names; a holder is told nothing about a
letter but its size, its expiry and the hash of its ticket.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import DropId, Fingerprint, MailId, PeerId
from postroad.peers.exchange import Answer, Exchange
from postroad.peers.strangers import StrangersGate
from postroad.protocol import wire, wire_holders
from postroad.protocol.wire_reseal import LeaveReseal, Reseal
from postroad.sealing.keys import SigningKey

log = logging.getLogger(__name__)


class Shelves(Protocol):
    """What a holder keeps. Every method that changes something returns after the commit."""

    async def key_of(self, drop: DropId) -> bytes | None:
        """The public key of a drop here, or None."""

    async def rent(
        self,
        drop: DropId,
        key: bytes,
        record: bytes,
        asker: PeerId,
        voucher: wire_holders.Voucher | None = None,
    ) -> str | None:
        """Give the asker a drop when it is a contact's device, or a contact vouches for it; else
        why not, in words."""

    async def set_tickets(self, drop: DropId, hashes: list[bytes]) -> None: ...

    async def stranger(self, deposit: wire.Deposit) -> tuple[Fingerprint, int] | None:
        """For whom, and under a stamp of how many bits, this letter comes that shows no ticket of
        its drop; None: it shows one, or lies here already."""

    async def offer(
        self, deposit: wire.Deposit
    ) -> wire.Take | wire.Tombstone | Reseal | wire.No | None:
        """Whether the drop wants this letter; None when it lies there already."""

    async def put(self, deposit: wire.Deposit, chunks: AsyncIterator[bytes]) -> None:
        """Take the letter in and make it durable. PeerMisbehaved when it is not what was said."""

    async def list_drop(self, drop: DropId, after: int) -> tuple[wire.Listed, ...]: ...

    async def size_of(self, drop: DropId, mail_id: MailId) -> int | None:
        """The size of a letter that waits in this drop, or None."""

    def read(self, mail_id: MailId, size: int) -> AsyncIterator[bytes]:
        """The pieces of a letter of this size."""

    async def bury(
        self, drop: DropId, mail_id: MailId, receipt: bytes, burial: bytes | None = None
    ) -> None: ...

    async def ask_to_reseal(self, drop: DropId, reseal: Reseal) -> None: ...

    async def tombstone(self, drop: DropId, mail_id: MailId) -> bytes | Reseal | None:
        """What stands in a letter's place: its receipt, or that it has to be sealed anew."""

    async def record_of(self, fingerprint: Fingerprint) -> bytes | None: ...

    async def learn_record(self, record: bytes, teller: PeerId) -> bool:
        """Keep a contact's newer record; False: the teller is no contact's device."""


class Ledger(Protocol):
    """What a holder passes on to the other holders of an owner; None for anybody else."""

    async def changes(
        self, drop: DropId, asker: PeerId, its_drop: DropId, after: int
    ) -> tuple[wire_holders.Kept, ...] | None: ...

    async def passed_on(
        self, drop: DropId, asker: PeerId, its_drop: DropId, mail_id: MailId
    ) -> int | wire_holders.Burial | Reseal | None:
        """The size of the letter, or the owner's word that replaced it."""


class Holder:
    """Answers for `Links`. `on_news` hears of each drop that got a letter, `on_sibling` of each
    other holder who asked what lies in a drop, `on_record` when somebody told their record."""

    def __init__(
        self,
        shelves: Shelves,
        ledger: Ledger,
        device: SigningKey,
        on_news: Callable[[DropId], None],
        on_sibling: Callable[[DropId, PeerId], None],
        on_record: Callable[[], None] = lambda: None,
        strangers: StrangersGate | None = None,
    ) -> None:
        """Without a gate for `strangers`, their letters take what room there is."""
        self._strangers = strangers
        self._shelves = shelves
        self._ledger = ledger
        self._device = device
        self._on_news = on_news
        self._on_sibling = on_sibling
        self._on_record = on_record

    @property
    def answers(self) -> Mapping[type[wire.Message], Answer]:
        return {
            wire.Deposit: self._deposit,
            wire.Ask: self._ask,
            wire.Rent: self._rent,
            wire.Tickets: self._tickets,
            wire.List: self._list,
            wire.Fetch: self._fetch,
            wire.Delete: self._delete,
            LeaveReseal: self._leave_reseal,
            wire.FindRecord: self._find_record,
            wire.Record: self._record,
            wire_holders.Sync: self._sync,
            wire_holders.Draw: self._draw,
        }

    async def _deposit(self, deposit: wire.Message, exchange: Exchange) -> None:
        assert isinstance(deposit, wire.Deposit)
        whole = await exchange.receive_at_once(deposit.size)
        if self._strangers is not None and (found := await self._shelves.stranger(deposit)):
            objection = self._strangers.objection(exchange, *found, deposit.stamp)
            if objection is not None:
                await exchange.send(objection)
                return
        answer = await self._shelves.offer(deposit)
        if isinstance(answer, wire.Take):
            if whole is None:
                await exchange.send(answer)
                await self._shelves.put(deposit, exchange.receive_bulk(deposit.size))
            else:
                await self._shelves.put(deposit, _in_one_piece(whole))
            _tell_log("letter held", deposit.mail_id)
            self._on_news(DropId(deposit.drop))
        elif answer is not None:
            await exchange.send(answer)
            return
        lease = wire.Lease(
            deposit.drop,
            deposit.mail_id,
            deposit.size,
            deposit.expires + limits.EXPIRY_GRACE_SECONDS,
        )
        await exchange.send(wire.sign_lease(lease, self._device))

    async def _ask(self, ask: wire.Message, exchange: Exchange) -> None:
        assert isinstance(ask, wire.Ask)
        graves, reseals = [], []
        for mail_id in ask.mail_ids:
            found = await self._shelves.tombstone(DropId(ask.drop), MailId(mail_id))
            if isinstance(found, Reseal):
                reseals.append(found)
            elif found is not None:
                graves.append(wire.Tombstone(mail_id, found))
        await exchange.send(wire.Known(tuple(graves), tuple(reseals)))

    async def _rent(self, rent: wire.Message, exchange: Exchange) -> None:
        assert isinstance(rent, wire.Rent)
        wire.check_owner(rent, rent.key, self._device.peer, exchange.peer)
        drop, asker = DropId(rent.drop), exchange.peer
        refusal = await self._shelves.rent(drop, rent.key, rent.record, asker, rent.voucher)
        if refusal is None:
            await exchange.send(wire.Ok())
        else:
            await exchange.send(wire.No(wire.Refusal.FORBIDDEN, refusal))

    async def _tickets(self, tickets: wire.Message, exchange: Exchange) -> None:
        assert isinstance(tickets, wire.Tickets)
        if await self._is_owner(tickets, exchange):
            if len(tickets.hashes) % 32:
                raise PeerMisbehaved("a list of hashes is cut short")
            hashes = [tickets.hashes[at : at + 32] for at in range(0, len(tickets.hashes), 32)]
            await self._shelves.set_tickets(DropId(tickets.drop), hashes)
            await exchange.send(wire.Ok())

    async def _list(self, request: wire.Message, exchange: Exchange) -> None:
        assert isinstance(request, wire.List)
        if await self._is_owner(request, exchange):
            letters = await self._shelves.list_drop(DropId(request.drop), request.after)
            await exchange.send(wire.Listing(letters))

    async def _fetch(self, request: wire.Message, exchange: Exchange) -> None:
        assert isinstance(request, wire.Fetch)
        if not await self._is_owner(request, exchange):
            return
        mail_id = MailId(request.mail_id)
        size = await self._shelves.size_of(DropId(request.drop), mail_id)
        if size is None:
            await exchange.send(_unknown("This letter does not lie in this drop."))
            return
        await exchange.send(wire.Letter(size))
        await exchange.send_bulk(self._shelves.read(mail_id, size))
        _tell_log("letter fetched", mail_id)

    async def _delete(self, request: wire.Message, exchange: Exchange) -> None:
        assert isinstance(request, wire.Delete)
        if await self._is_owner(request, exchange):
            drop, mail_id = DropId(request.drop), MailId(request.mail_id)
            await self._shelves.bury(drop, mail_id, request.receipt, request.burial)
            _tell_log("letter replaced by its receipt", request.mail_id)
            await exchange.send(wire.Ok())

    async def _leave_reseal(self, request: wire.Message, exchange: Exchange) -> None:
        assert isinstance(request, LeaveReseal)
        if await self._is_owner(request, exchange):
            await self._shelves.ask_to_reseal(DropId(request.drop), request.reseal)
            _tell_log("letter to be sealed anew", request.reseal.mail_id)
            await exchange.send(wire.Ok())

    async def _find_record(self, request: wire.Message, exchange: Exchange) -> None:
        assert isinstance(request, wire.FindRecord)
        record = await self._shelves.record_of(Fingerprint(request.fingerprint))
        if record is None:
            await exchange.send(_unknown("This person's record is not kept here."))
        else:
            await exchange.send(wire.Record(record))

    async def _record(self, told: wire.Message, exchange: Exchange) -> None:
        assert isinstance(told, wire.Record)
        if await self._shelves.learn_record(told.record, exchange.peer):
            self._on_record()
            await exchange.send(wire.Ok())
        else:
            await exchange.send(wire.No(wire.Refusal.FORBIDDEN, "We are not contacts yet."))

    # To the other holders of an owner

    async def _sync(self, sync: wire.Message, exchange: Exchange) -> None:
        assert isinstance(sync, wire_holders.Sync)
        drop, mine = DropId(sync.drop), DropId(sync.mine)
        letters = await self._ledger.changes(drop, exchange.peer, mine, sync.after)
        if letters is None:
            await exchange.send(_unknown("You do not hold for the owner of this drop."))
            return
        await exchange.send(wire_holders.Synced(letters))
        self._on_sibling(drop, exchange.peer)

    async def _draw(self, draw: wire.Message, exchange: Exchange) -> None:
        assert isinstance(draw, wire_holders.Draw)
        drop, mine, mail_id = DropId(draw.drop), DropId(draw.mine), MailId(draw.mail_id)
        found = await self._ledger.passed_on(drop, exchange.peer, mine, mail_id)
        if found is None:
            await exchange.send(_unknown("This letter is not for you to pass on."))
        elif isinstance(found, wire_holders.Burial | Reseal):
            await exchange.send(found)
        else:
            await exchange.send(wire.Letter(found))
            await exchange.send_bulk(self._shelves.read(mail_id, found))
            _tell_log("letter passed on", mail_id)

    async def _is_owner(
        self,
        request: wire.Tickets | wire.List | wire.Fetch | wire.Delete | LeaveReseal,
        exchange: Exchange,
    ) -> bool:
        """Whether the asker has this drop's key; a drop that is not here is said so."""
        key = await self._shelves.key_of(DropId(request.drop))
        if key is None:
            await exchange.send(_unknown("This drop is not kept here."))
            return False
        wire.check_owner(request, key, self._device.peer, exchange.peer)
        return True


async def _in_one_piece(octets: bytes) -> AsyncIterator[bytes]:
    yield octets


def _tell_log(step: str, mail_id: bytes) -> None:
    """One line for each step of a letter's life; who brought it for whom is nobody's business."""
    log.info(step, extra={"mail": mail_id.hex()})


def _unknown(reason: str) -> wire.No:
    return wire.No(wire.Refusal.UNKNOWN, reason)
