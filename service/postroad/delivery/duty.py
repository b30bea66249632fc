"""Our own duty as a holder: tell for whom we hold, hear for whom others do, and vouch.

Purpose: consent, in both directions. A contact hears for whom we hold and when we are mostly on; a
contact who asks hears of those of our contacts who agreed to hold for people they do not know, and
gets our word for each.
Invariants: nobody is named who did not agree to it, and to nobody but a contact; a node that does
not hold for the vouched itself asks that of nobody else.
See: docs/adr/0007-holders.md.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, TemporaryFailure
from postroad.base.ids import Contact, Fingerprint, Instant, PeerId, short
from postroad.base.seams import Clock
from postroad.base.tlv import decode, encode
from postroad.peers.client import Client
from postroad.peers.exchange import Answer, Exchange, Refused
from postroad.protocol import wire, wire_holders
from postroad.protocol.contacts import encode_contact
from postroad.protocol.holding import HoldFor, Hours, say_hours
from postroad.protocol.wire_holders import Holding, Introduced
from postroad.store import held, hours, people, rented, renters
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.people import Person

log = logging.getLogger(__name__)
HOURS_CHANGED_MIN = 3  # hours of ours that are others than we told


@dataclass(frozen=True, slots=True)
class _State:
    """What a round begins with: our hours, what contacts were told, who rents here, and the devices
    of those for whom we hold no more."""

    mine: Hours
    told: dict[Fingerprint, bytes | None]
    renting: set[Fingerprint]
    held_no_more: list[Contact]


class Duty:
    """`on_said` hears of each node that told for whom it holds."""

    def __init__(
        self,
        database: Database,
        client: Client,
        keyring: OwnKeys,
        clock: Clock,
        hold_for: HoldFor,
        on_said: Callable[[PeerId, HoldFor], None],
        *,
        dial_private: bool,
    ) -> None:
        self._database = database
        self._client = client
        self._keyring = keyring
        self._clock = clock
        self.hold_for = hold_for
        self._on_said = on_said
        self._private = dial_private
        self._told_renters: set[PeerId] = set()  # that we hold no more for them

    def change(self, hold_for: HoldFor) -> None:
        """Hold for others than before; who should know is told in the renter's next round."""
        if hold_for is not self.hold_for:
            self.hold_for = hold_for
            self._told_renters.clear()

    @property
    def answers(self) -> Mapping[type[wire.Message], Answer]:
        return {Holding: self._answer_holding, wire_holders.FindHolders: self._answer_find}

    async def tell_holding(self, persons: Sequence[Person]) -> bool:
        """Tell contacts for whom we hold, and vouched renters when it is no more for them; whether
        all that are due know."""

        def work(sql: Sql) -> _State:
            mine = hours.known(sql, self._clock.now()).get(self._client.me, Hours())
            told = {one: told for one, (_, told) in rented.holdings(sql).items()}
            renting = {drop.fingerprint for drop in held.drops(sql)}
            return _State(mine, told, renting, self._renters_to_tell(sql))

        state = await self._database.read(work)
        holding = Holding.of(self.hold_for, say_hours(state.mine))
        nothing = Holding.of(HoldFor.OFF, None)  # a blocked renter shall look for another holder
        due = [
            (person, says)
            for person in persons
            for says in [nothing if person.blocked else holding]
            if (not person.blocked or person.fingerprint in state.renting)
            and _is_news(says, state.told.get(person.fingerprint))
        ]
        answers = await asyncio.gather(
            *(self._tell_person(person, says) for person, says in due),
            *(self._tell_renter(at, nothing) for at in state.held_no_more),
        )
        return all(answers)

    def _renters_to_tell(self, sql: Sql) -> list[Contact]:
        """Renters for whom we hold no more: vouched ones, and those who were contacts."""
        found = []
        for drop in held.drops(sql):
            record = renters.record_of(sql, drop.fingerprint)
            if drop.voucher is None:
                ended = people.contact(sql, drop.fingerprint) is None
            else:
                ended = self.hold_for is not HoldFor.VOUCHED
            if not ended or record is None or drop.device in self._told_renters:
                continue
            named = [one for one in record.contacts if one.peer == drop.device]
            found += renters.dialled_for(sql, drop.fingerprint, named, private=self._private)
        return found

    async def _tell_person(self, person: Person, holding: Holding) -> bool:
        said = encode(holding)
        for device in person.record.contacts:
            try:
                await self._client.tell_holding(device, holding)
            except Refused:
                return True  # we are not their contact yet: they will come
            except (TemporaryFailure, PeerMisbehaved) as error:
                log.info("not told for whom we hold: %s", error, extra={"peer": short(device.peer)})
                continue
            await self._database.run(lambda sql: rented.told_holding(sql, person.fingerprint, said))
            return True
        return False

    async def _tell_renter(self, at: Contact, holding: Holding) -> bool:
        try:
            await self._client.tell_holding(at, holding)
        except Refused:
            pass  # it rents here no more
        except (TemporaryFailure, PeerMisbehaved) as error:
            log.info("renter not told: %s", error, extra={"peer": short(at.peer)})
            return False
        self._told_renters.add(at.peer)
        return True

    async def _answer_holding(self, message: wire.Message, exchange: Exchange) -> None:
        """Somebody says for whom they hold: a contact, or a holder of ours."""
        assert isinstance(message, Holding)
        holds, peer, now = message.hold_for, exchange.peer, self._clock.now()

        def work(sql: Sql) -> tuple[bool, bool] | None:
            """None: nobody we know; else whether it is news, and whether a drop was left."""
            person = people.at_device(sql, peer)
            drop = next((one for one in rented.my_drops(sql) if one.holder == peer), None)
            is_news = False
            if person is not None:
                before, _ = rented.holdings(sql).get(person.fingerprint, (None, None))
                is_news = before != encode(message)
                rented.said_holding(sql, person.fingerprint, encode(message))
            elif drop is None:
                return None
            enough = HoldFor.VOUCHED if person is None else HoldFor.CONTACTS
            ends = holds is HoldFor.OFF or (enough is HoldFor.VOUCHED and holds is not enough)
            if drop is None or not drop.is_ours or not ends:
                return is_news, False
            rented.leave(sql, drop.drop, now)
            return is_news, True

        done = await self._database.run(work)
        if done is None:
            await exchange.send(wire.No(wire.Refusal.FORBIDDEN, "We are not contacts yet."))
            return
        is_news, left = done
        if left:
            log.info("holder left: it holds no more", extra={"holder": short(peer)})
        if is_news or left:  # who says the same again and again keeps nobody busy
            self._on_said(peer, holds)
        await exchange.send(wire.Ok())

    async def _answer_find(self, message: wire.Message, exchange: Exchange) -> None:
        """Name those of our contacts who agreed to it, to a contact, and vouch for the asker."""
        now = self._clock.now()
        expires = Instant(now + limits.VOUCHER_SECONDS)

        def work(sql: Sql) -> list[Introduced] | None:
            asker = people.at_device(sql, exchange.peer)
            if asker is None or asker.blocked or self.hold_for is not HoldFor.VOUCHED:
                return None
            said_by = said_holdings(sql)
            willing = [
                (person, said)
                for person in people.contacts(sql)
                if (said := said_by.get(person.fingerprint)) is not None
                and said.hold_for is HoldFor.VOUCHED
                and not person.blocked
                and person.fingerprint != asker.fingerprint
            ]
            # Each asker has an order of their own: not all shall rent at the same few.
            willing.sort(key=lambda one: _order(asker.fingerprint, one[0].fingerprint))
            return [
                Introduced(
                    encode_contact(at),
                    said.hours,
                    wire_holders.vouch(asker.fingerprint, at.peer, expires, self._keyring.device),
                )
                for person, said in willing[: limits.VOUCHERS_MAX]
                if (at := person.record.signer) is not None
            ]

        found = await self._database.read(work)
        if found is None:
            refusal = wire.No(wire.Refusal.FORBIDDEN, "This node introduces nobody to you.")
            await exchange.send(refusal)
            return
        await exchange.send(wire_holders.Holders(tuple(found)))


def said_holdings(sql: Sql) -> dict[Fingerprint, Holding]:
    """What contacts said of their holding."""
    found = {one: _holding(said) for one, (said, _) in rented.holdings(sql).items()}
    return {fingerprint: holding for fingerprint, holding in found.items() if holding is not None}


def _holding(written: bytes | None) -> Holding | None:
    """What a row says; a damaged one says nothing, and is told or heard anew."""
    if written is None:
        return None
    try:
        holding = decode(Holding, written)
        return holding if holding.hold_for in HoldFor else None
    except PeerMisbehaved as error:
        log.warning("for whom somebody holds cannot be read: %s", error)
        return None


def _is_news(holding: Holding, told: bytes | None) -> bool:
    """Whether it differs from what was told by more than habits do from week to week."""
    before = _holding(told)
    if before is None:
        return True
    if holding.duty != before.duty:
        return True
    if holding.hours is None or before.hours is None:
        return holding.hours is not None
    changed = int.from_bytes(holding.hours, "big") ^ int.from_bytes(before.hours, "big")
    return changed.bit_count() >= HOURS_CHANGED_MIN


def _order(asker: Fingerprint, person: Fingerprint) -> bytes:
    return hashlib.sha256(f"{asker} {person}".encode()).digest()
