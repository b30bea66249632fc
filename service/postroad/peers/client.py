"""What we ask of other nodes, each as one call with one answer.

Purpose: the asking side of `protocol.wire`. Every call raises Unreachable, LinkClosed, Refused or
PeerMisbehaved; a call over a link that turns out dead is made once more over a fresh one.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from postroad.base import limits
from postroad.base.errors import LinkClosed, PeerMisbehaved
from postroad.base.ids import Contact, DropId, Fingerprint, MailId, PeerId, Ticket
from postroad.base.seams import Path
from postroad.peers.exchange import Refused
from postroad.peers.link import Links
from postroad.protocol import wire, wire_changes, wire_holders, wire_reach
from postroad.protocol.contacts import decode_contact
from postroad.protocol.records import PersonRecord, read_person
from postroad.protocol.wire_helping import SignedIn, SignIn
from postroad.protocol.wire_reseal import LeaveReseal, Reseal
from postroad.sealing.keys import SigningKey

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed letter to hand over. `whole`: its octets, when it is small enough to go at once;
    `pieces`: the same in pieces, from the beginning each time it is called."""

    mail_id: MailId
    size: int
    whole: bytes
    pieces: Callable[[], AsyncIterator[bytes]]


async def _tell_nobody(peer: PeerId, now: int) -> None:
    """For who does not want to know the time."""


class Client:
    """`on_time` hears what each peer that is asked where it sees us says of the time."""

    def __init__(
        self, links: Links, on_time: Callable[[PeerId, int], Awaitable[None]] = _tell_nobody
    ) -> None:
        self._links = links
        # Hears of each node that calls our device revoked; set by the composition root.
        self.on_revoked: Callable[[Contact], None] = lambda _: None
        self.on_ended: Callable[[Contact], None] = lambda _: None  # of each that has ended itself
        self._on_time = on_time

    @property
    def me(self) -> PeerId:
        return self._links.me

    def is_linked(self, peer: PeerId) -> bool:
        return self._links.is_linked(peer)

    def path(self, peer: PeerId) -> Path | None:
        """How packets go to this peer over the link at hand; None without one."""
        return self._links.path(peer)

    def is_near(self, peer: PeerId) -> bool:
        return self._links.is_near(peer)

    async def deliver(
        self,
        to: Contact,
        letter: Sealed,
        ticket: Ticket | None = None,
        stamp: bytes | None = None,
    ) -> bytes | Reseal:
        """Bring a letter to a device of its recipient; the sealed receipt, or that it has to be
        sealed anew."""
        offer = wire.Deliver(letter.mail_id, letter.size, ticket, stamp)
        answer = await self._hand_over(to, offer, letter)
        if isinstance(answer, wire.Tombstone) and answer.mail_id == letter.mail_id:
            return answer.receipt
        if isinstance(answer, Reseal):
            return answer
        raise _unexpected(answer)

    async def deposit(
        self, to: Contact, deposit: wire.Deposit, letter: Sealed
    ) -> wire.Leased | bytes | Reseal:
        """Leave a letter with a holder; its verified lease, or what lies there in its place."""
        answer = await self._hand_over(to, deposit, letter)
        match answer:
            case wire.Leased():
                wire.check_lease(answer, to.peer, deposit)
                return answer
            case wire.Tombstone(mail_id, receipt) if mail_id == deposit.mail_id:
                return receipt
            case Reseal():
                return answer
            case _:
                raise _unexpected(answer)

    async def ask(
        self, to: Contact, drop: DropId, mail_ids: list[MailId]
    ) -> dict[MailId, bytes | Reseal]:
        """What lies in a drop in the place of these letters: receipts, or that one has to be sealed
        anew."""
        known = await self._call(to, wire.Ask(drop, tuple(mail_ids)), wire.Known)
        found: dict[MailId, bytes | Reseal] = {MailId(one.mail_id): one for one in known.reseals}
        return found | {MailId(grave.mail_id): grave.receipt for grave in known.tombstones}

    async def leave_reseal(
        self, at: Contact, drop: DropId, key: SigningKey, reseal: Reseal
    ) -> None:
        request = LeaveReseal(drop, reseal, bytes(64))
        await self._call(at, wire.sign_owner(request, key, at.peer, self.me), wire.Ok)

    async def tell_receipt(self, to: Contact, mail_id: MailId, receipt: bytes) -> None:
        await self._call(to, wire.Receipt(mail_id, receipt), wire.Ok)

    async def tell_news(self, to: Contact, drop: DropId) -> None:
        await self._call(to, wire.News(drop), wire.Ok)

    async def tell_record(self, to: Contact, record: bytes) -> None:
        await self._call(to, wire.Record(record), wire.Ok)

    async def find_record(self, at: Contact, fingerprint: Fingerprint) -> PersonRecord:
        """The newest record of this person that the node has; verified."""
        found = await self._call(at, wire.FindRecord(fingerprint), wire.Record)
        return read_person(found.record, fingerprint)

    async def tell_change(self, to: Contact, record: bytes, person: bytes | None) -> None:
        await self._call(to, wire_changes.Changed(record, person), wire.Ok)

    async def find_changes(self, at: Contact, fingerprint: Fingerprint) -> tuple[bytes, ...]:
        """What the node knows of revocations and rotations of this identity; not verified."""
        request = wire_changes.FindChanges(fingerprint)
        return (await self._call(at, request, wire_changes.Changes)).records

    async def rent(
        self,
        at: Contact,
        drop: DropId,
        key: SigningKey,
        record: bytes,
        voucher: wire_holders.Voucher | None = None,
    ) -> None:
        request = wire.Rent(drop, key.public, record, bytes(64), voucher)
        await self._call(at, wire.sign_owner(request, key, at.peer, self.me), wire.Ok)

    async def set_tickets(
        self, at: Contact, drop: DropId, key: SigningKey, hashes: list[bytes]
    ) -> None:
        request = wire.Tickets(drop, b"".join(hashes), bytes(64))
        await self._call(at, wire.sign_owner(request, key, at.peer, self.me), wire.Ok)

    async def list_drop(
        self, at: Contact, drop: DropId, key: SigningKey, after: int
    ) -> tuple[wire.Listed, ...]:
        request = wire.List(drop, after, bytes(64))
        signed = wire.sign_owner(request, key, at.peer, self.me)
        return (await self._call(at, signed, wire.Listing)).letters

    async def sign_in(
        self, at: Contact, record: bytes, secret: bytes | None
    ) -> tuple[Contact, str]:
        """Be served by a helper; where it says that it is, and what it is called."""
        answer = await self._call(at, SignIn(record, secret), SignedIn)
        contact = decode_contact(answer.contact)
        if contact.peer != at.peer:
            raise PeerMisbehaved("a helper told where somebody else is")
        return contact, answer.name

    @asynccontextmanager
    async def fetch(
        self, at: Contact, drop: DropId, key: SigningKey, mail_id: MailId
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """The size and the pieces of a letter that lies in our drop."""
        request = wire.sign_owner(wire.Fetch(drop, mail_id, bytes(64)), key, at.peer, self.me)
        async with self._links.exchange(at) as exchange:
            await exchange.send(request)
            size = (await exchange.expect(wire.Letter)).size
            if size > limits.SEALED_BYTES_MAX:
                raise PeerMisbehaved("announced a letter larger than any may be")
            yield size, exchange.receive_bulk(size)

    async def delete(
        self,
        at: Contact,
        drop: DropId,
        key: SigningKey,
        mail_id: MailId,
        receipt: bytes,
        burial: bytes,
    ) -> None:
        request = wire.Delete(drop, mail_id, receipt, bytes(64), burial)
        await self._call(at, wire.sign_owner(request, key, at.peer, self.me), wire.Ok)

    async def who(self, to: Contact) -> tuple[wire_reach.Seen, Path]:
        """Where the peer sees us, and how we see it over the same link."""
        async with self._links.exchange(to) as exchange:
            await exchange.send(wire_reach.Who())
            seen, path = await exchange.expect(wire_reach.Seen), exchange.path()
        await self._on_time(to.peer, seen.now)
        return seen, path

    async def dial_back(self, to: Contact, relay_port: int | None) -> wire_reach.DialledBack:
        """Let the peer knock at the address where it sees us."""
        async with self._links.exchange(to) as exchange:
            await exchange.send(wire_reach.DialBack(wire_reach.write_port(relay_port)))
            seconds = limits.ANSWER_SECONDS_MAX + limits.KNOCK_SECONDS_MAX
            return await exchange.expect(wire_reach.DialledBack, seconds)

    # Holders and those who rent from them

    async def tell_holding(self, to: Contact, holding: wire_holders.Holding) -> None:
        await self._call(to, holding, wire.Ok)

    async def find_holders(self, at: Contact) -> tuple[wire_holders.Introduced, ...]:
        """Those of a contact's contacts who agreed to hold for us."""
        request = wire_holders.FindHolders()
        return (await self._call(at, request, wire_holders.Holders)).introduced

    async def sync(
        self, at: Contact, drop: DropId, mine: DropId, after: int
    ) -> tuple[wire_holders.Kept, ...]:
        """What lies at another holder of the same owner, after that arrival."""
        request = wire_holders.Sync(drop, mine, after)
        return (await self._call(at, request, wire_holders.Synced)).letters

    @asynccontextmanager
    async def draw(
        self, at: Contact, drop: DropId, mine: DropId, mail_id: MailId
    ) -> AsyncIterator[wire_holders.Burial | Reseal | tuple[int, AsyncIterator[bytes]]]:
        """A letter that lies there, its size and its pieces; or what its owner left in its
        place."""
        async with self._links.exchange(at) as exchange:
            await exchange.send(wire_holders.Draw(drop, mine, mail_id))
            answer = await exchange.receive()
            if isinstance(answer, wire_holders.Burial | Reseal):
                yield answer
            elif isinstance(answer, wire.Letter) and answer.size <= limits.SEALED_BYTES_MAX:
                yield answer.size, exchange.receive_bulk(answer.size)
            else:
                raise _unexpected(answer)

    async def _hand_over(
        self, to: Contact, offer: wire.Deliver | wire.Deposit, letter: Sealed
    ) -> wire.Message:
        """Offer a letter, send it at once or if it is wanted, and hear what became of it."""
        at_once = letter.size <= limits.AT_ONCE_BYTES_MAX

        async def once() -> wire.Message:
            async with self._links.exchange(to) as exchange:
                if at_once:
                    await exchange.send(offer, letter.whole)
                    return await exchange.receive(limits.BULK_PAUSE_SECONDS_MAX)
                await exchange.send(offer)
                answer = await exchange.receive()
                if isinstance(answer, wire.Take):
                    await exchange.send_bulk(letter.pieces())
                    answer = await exchange.receive(limits.BULK_PAUSE_SECONDS_MAX)
                return answer

        return await self._again(to, once)

    async def _call(self, to: Contact, request: wire.Message, kind: type[T]) -> T:
        of_changes = isinstance(request, wire_changes.ChangeMessage)

        async def once() -> T:
            async with self._links.exchange(to, of_changes=of_changes) as exchange:
                await exchange.send(request)
                return await exchange.expect(kind)

        return await self._again(to, once)

    async def _again(self, to: Contact, once: Callable[[], Awaitable[T]]) -> T:
        """Once more when a link that was at hand turned out dead: its peer may have restarted."""
        at_hand = self._links.is_linked(to.peer)
        try:
            try:
                return self._heard(to, await once())
            except LinkClosed:
                if not at_hand:
                    raise
                return self._heard(to, await once())
        except Refused as error:
            self._refused(to, error.refusal)
            raise

    def _heard(self, to: Contact, answer: T) -> T:
        if isinstance(answer, wire.No):
            self._refused(to, answer.refusal)
        return answer

    def _refused(self, to: Contact, refusal: int) -> None:
        if refusal == wire.Refusal.REVOKED:
            self.on_revoked(to)
        elif refusal == wire.Refusal.ENDED:
            self.on_ended(to)


def _unexpected(answer: wire.Message) -> Exception:
    if isinstance(answer, wire.No):
        return Refused(answer.refusal, answer.reason)
    return PeerMisbehaved(f"answered with {type(answer).__name__}")
