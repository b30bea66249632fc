"""A blind copy leaves no trace: what all the others get and keep is the same with it and without.

Two villages of one seed, all real but network and clock: Anna writes to Ben, and Carl gets a copy;
Hana holds for both. In one of them Dora gets a blind copy, too.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from postroad.base import limits
from postroad.delivery import filing
from postroad.message import submitted
from postroad.message.envelope import NOTIFY_DEFAULT, Recipient, Submission
from postroad.peers.exchange import Exchange
from postroad.protocol import wire
from postroad.protocol.holding import HoldFor
from postroad.sealing import letter
from postroad.sealing.letter import Header, Opened
from simulator.village import Resident, Village, play, until

# What of a letter's life is said to recipients and holders. How often each asks whether there is
# news is thrown by lot, and says nothing of a letter.
TOLD: tuple[type[wire.Message], ...] = (
    wire.Deliver, wire.Deposit, wire.Fetch, wire.Delete, wire.Receipt
)  # fmt: skip
SECONDS_APART = 0.5  # the latencies of the simulated network are thrown, and it throws on for Dora


@dataclass(frozen=True, slots=True)
class Said:
    """A message that somebody got, with all that does not come from dice of the moment."""

    kind: str
    by: str
    size: int  # of the message
    letter: int | None = None  # the announced size
    drop: bytes | None = None
    lives: int | None = None  # seconds until it expires
    ticket: bool | None = None


@dataclass(slots=True)
class Seen:
    """By who heard it, and what happened in one drop by itself."""

    said: dict[str, dict[bytes | None, list[Said]]] = field(default_factory=dict)
    at: dict[tuple[str, bytes | None], list[float]] = field(default_factory=dict)
    headers: dict[str, Header] = field(default_factory=dict)
    filed: dict[str, list[bytes]] = field(default_factory=dict)


def listen(seen: Seen, to: Resident, names: dict[bytes, str], began: Callable[[], float]) -> None:
    """Note what this node is told from now on."""
    answers = dict(to.node.links._answers)

    async def heard(kind: type[wire.Message], message: wire.Message, exchange: Exchange) -> None:
        by = names.get(exchange.peer, "somebody")
        one = Said(kind.__name__, by, len(wire.frame(message)))
        if isinstance(message, wire.Deliver | wire.Deposit):
            one = replace(one, letter=message.size)
        if isinstance(message, wire.Deposit | wire.Fetch | wire.Delete):
            one = replace(one, drop=message.drop)
        if isinstance(message, wire.Deposit):
            one = replace(one, ticket=message.ticket is not None)
            one = replace(one, lives=round(message.expires - to.clock.now()))
        place = seen.said.setdefault(to.name, {}).setdefault(one.drop, [])
        place.append(one)
        seen.at.setdefault((to.name, one.drop), []).append(began())
        await answers[kind](message, exchange)

    for kind in TOLD:
        if kind in answers:
            to.node.links._answers = {**to.node.links._answers, kind: partial(heard, kind)}


def history(folder: Path, monkeypatch: pytest.MonkeyPatch, *, blind: bool, asleep: bool) -> Seen:
    seen = Seen()

    async def scene(place: Village) -> None:
        people = [Resident(place, name) for name in ("ben", "carl", "anna", "dora")]
        for person in people:
            person.hold_for = HoldFor.OFF  # only Hana holds
            place.residents.append(person)
            await person.wake()
        ben, carl, anna, dora = people
        (hana,) = await place.with_holders(ben, "hana")
        await place.meet(carl, hana)
        for person in (ben, carl, dora):
            await place.meet(person, anna)
        await asyncio.sleep(3 * limits.HOUR)  # all has been told that is new
        everybody = (ben, carl, hana, anna, dora)
        names: dict[bytes, str] = {person.node.endpoint.me: person.name for person in everybody}
        addresses = {person.name: person.address for person in everybody}
        began = 0.0

        def since() -> float:
            return asyncio.get_running_loop().time() - began

        def spy(*given: object) -> Opened:
            opened = real(*given)  # type: ignore[arg-type]
            who = opened.header.recipient.address.partition(".")[0]
            seen.headers[who] = replace(opened.header, nonce=bytes(16), created=0, expires=0)
            return opened

        real = letter.open_sealed
        monkeypatch.setattr(filing, "open_sealed", spy)
        for person in (ben, carl, hana):
            listen(seen, person, names, since)
        if asleep:
            await ben.sleep()
            await carl.sleep()
        began = asyncio.get_running_loop().time()
        await write(anna, addresses, blind=blind)
        if asleep:
            await asyncio.sleep(limits.HOUR)
            await anna.sleep()  # else it is a race between her and the holder
            await ben.wake()
            await carl.wake()
        for person in (ben, carl, *((dora,) if blind else ())):
            await until(partial(is_there, person), 3 * limits.HOUR)
        await asyncio.sleep(2 * limits.HOUR)
        for person in (ben, carl):
            (octets,) = await person.with_subject("to both")
            seen.filed[person.name] = [octets[octets.index(b"From: ") :]]
        monkeypatch.setattr(filing, "open_sealed", real)

    play(folder, scene)
    return seen


async def is_there(person: Resident) -> bool:
    return bool(await person.with_subject("to both"))


async def write(anna: Resident, to: dict[str, str], *, blind: bool) -> None:
    """As the submission door does it; the blind recipient is named first to it."""
    typed = (
        f"From: {to['anna']}\r\nTo: {to['ben']}\r\nCc: {to['carl']}\r\nSubject: to both\r\n"
        f"Date: Thu, 26 Nov 2026 05:00:00 +0000\r\nMessage-ID: <1@test>\r\n"
    )
    if blind:
        typed += f"Bcc: {to['dora']}\r\n"
    octets = submitted.prepare(
        f"{typed}\r\nHi\r\n".encode(), (to["anna"],), now=anna.clock.now(), token=bytes(16)
    )
    names = ("dora", "ben", "carl") if blind else ("ben", "carl")
    recipients = tuple(Recipient(to[name], NOTIFY_DEFAULT) for name in names)
    await anna.node.outbox.accept(Submission(recipients, octets))


@pytest.mark.parametrize("asleep", [False, True], ids=["awake", "away"])
def test_recipients_and_holders_see_nothing_of_a_blind_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asleep: bool
) -> None:
    without = history(tmp_path / "without", monkeypatch, blind=False, asleep=asleep)
    with_it = history(tmp_path / "with", monkeypatch, blind=True, asleep=asleep)
    assert "dora" in with_it.headers
    assert with_it.headers.pop("dora").blind
    assert with_it.headers == without.headers
    assert with_it.filed == without.filed
    assert with_it.said == without.said
    heard = {
        who: [one.kind for drop in places.values() for one in drop]
        for who, places in without.said.items()
    }
    if asleep:
        assert sorted(heard["hana"]) == ["Delete"] * 2 + ["Deposit"] * 2 + ["Fetch"] * 2
    else:
        assert heard["ben"] == heard["carl"] == ["Deliver"]
    for who, moments in without.at.items():
        for one, other in zip(moments, with_it.at[who], strict=True):
            if one < limits.MINUTE:  # what is later was thrown when it was put off
                assert abs(one - other) < SECONDS_APART, (who, moments, with_it.at[who])


def test_a_blind_recipient_who_is_left_in_the_letter_would_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = history(tmp_path / "without", monkeypatch, blind=False, asleep=False)
    monkeypatch.setattr(submitted, "TAKEN_OUT", frozenset())
    with_it = history(tmp_path / "with", monkeypatch, blind=True, asleep=False)
    assert with_it.filed != without.filed
    assert with_it.headers["ben"] != without.headers["ben"]
