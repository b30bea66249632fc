"""Two people who share no network: all that the wire does, by files that somebody carries."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivery.test_road import ended, has_notice, is_filed
from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.delivery.bundles import Found, Planned
from postroad.message.envelope import Notify
from postroad.protocol import bundle
from postroad.store import bundled, filed, held, people, quarantine
from simulator.network import World
from simulator.village import Resident, Village, play, until


async def island(place: Village, name: str) -> Resident:
    """Somebody whose network reaches nobody else's."""
    new = Resident(place, name)
    new._network = World(Random(name)).network()
    place.residents.append(new)
    await new.wake()
    return new


async def write(who: Resident, name: str | None = None, *, invite: bool = False) -> bytes:
    """The octets of a bundle that was written to its end."""
    planned = await who.node.bundles.plan(name, invite=invite)
    octets = b"".join([piece async for piece in who.node.bundles.pieces(planned)])
    await who.node.bundles.written(planned)
    return octets


async def read(who: Resident, octets: bytes, *, accept: bool = False, step: int = 7919) -> Found:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(octets), step):
            yield octets[at : at + step]

    return await who.node.bundles.read(pieces(), accept=accept)


def items(octets: bytes) -> list[bundle.Event]:
    reader = bundle.Reader()
    found = list(reader.feed(octets))
    reader.finish()
    return found


def assembled(events: Iterable[bundle.Event]) -> bytes:
    writer = bundle.Writer()
    pieces = [writer.begin()]
    for event in events:
        is_piece = isinstance(event, bundle.Piece)
        pieces.append(writer.piece(event.octets) if is_piece else writer.item(event))  # type: ignore[union-attr,arg-type]
    return b"".join([*pieces, writer.end()])


async def befriended(place: Village) -> tuple[Resident, Resident]:
    """Two on islands of their own who became contacts by bundles, all of it done."""
    anna, bora = await island(place, "anna"), await island(place, "bora")
    found = await read(anna, await write(bora, invite=True), accept=True)
    assert found.accepted
    await read(bora, await write(anna, "bora"))
    await read(anna, await write(bora, "anna"))
    await read(bora, await write(anna, "bora"))
    assert await anna.states() == ["delivered"]
    assert await bora.states() == ["delivered"]
    for one in (anna, bora):  # else each bundle brings the receipts of the introductions again
        await one.node.database.run(
            lambda sql: sql.execute("UPDATE receipt_due SET told_sender = 1").rowcount
        )
    return anna, bora


def test_two_who_share_no_network_do_everything_by_bundles(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await island(place, "anna"), await island(place, "bora")
        invitation = await write(bora, invite=True)

        seen = await read(anna, invitation)
        assert (seen.inviter, seen.accepted) == (bora.address, False)
        assert not await anna.contacts()  # nobody becomes a contact by reading a file

        found = await read(anna, invitation, accept=True)
        assert (found.inviter, found.accepted, found.trouble) == (bora.address, True, None)
        assert await anna.contacts() == {bora.address}
        octets = await anna.write(bora.address)

        found = await read(bora, await write(anna))
        assert (found.filed, found.author) == (2, anna.address)
        assert await is_filed(bora, "Anna accepted your invitation")
        (filed_octets,) = await bora.with_subject("hello")
        assert filed_octets.endswith(octets)
        assert await anna.states() == ["waiting", "waiting"]  # custody ends with a receipt only

        answer = await bora.write(anna.address, subject="answer")
        found = await read(anna, await write(bora, "anna"))
        assert (found.filed, found.receipts, found.author) == (2, 2, bora.address)
        assert await anna.states() == ["delivered", "delivered"]
        assert await is_filed(anna, "You and Bora can write to each other now")
        assert (await anna.with_subject("answer"))[0].endswith(answer)

        found = await read(bora, await write(anna, "bora"))
        assert found.receipts == 2
        assert await bora.states() == ["delivered", "delivered"]

    play(tmp_path, scene)


def test_a_paused_node_writes_and_reads_bundles(tmp_path: Path) -> None:
    """Off the network is where they are for; and the record in them keeps its last address."""

    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        before = await anna.node.renter.record()
        for one in (anna, bora):
            await one.node.pauses.begin(None)
        await until(lambda: _is_shut(anna, bora))
        await anna.write(bora.address)
        found = await read(bora, await write(anna))
        assert found.filed == 1
        assert await anna.node.renter.record() == before
        found = await read(anna, await write(bora))
        assert found.receipts == 1
        assert await ended(anna, "delivered")

    play(tmp_path, scene)


async def _is_shut(*people: Resident) -> bool:
    return not any(one.node.endpoint.is_open for one in people)


def test_a_bundle_read_twice_files_once_and_answers_again(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        await anna.write(bora.address)
        octets = await write(anna)
        assert (await read(bora, octets)).filed == 1
        lost = await write(bora, "anna")
        assert any(isinstance(item, bundle.Receipt) for item in items(lost))
        again = await read(bora, octets, step=1)
        assert (again.filed, again.known) == (0, 1)
        assert len(await bora.with_subject("hello")) == 1
        assert (await read(anna, await write(bora, "anna"))).receipts == 1
        assert await ended(anna, "delivered")

    play(tmp_path, scene)


def test_a_receipt_that_was_told_is_given_again_when_its_sender_shows_they_miss_it(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        await anna.write(bora.address)
        octets = await write(anna)
        await read(bora, octets)
        mail_id = next(one.mail_id for one in items(octets) if isinstance(one, bundle.Letter))
        await bora.node.database.run(lambda sql: filed.told(sql, mail_id))  # type: ignore[arg-type]
        assert not [one for one in items(await write(bora)) if isinstance(one, bundle.Receipt)]
        await read(bora, octets)
        assert (await read(anna, await write(bora))).receipts == 1

    play(tmp_path, scene)


def test_a_letter_in_a_bundle_also_goes_by_wire_and_is_filed_once(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        bora_is = bora.address
        await bora.sleep()
        await anna.write(bora_is)
        octets = await write(anna)
        rows = await anna.waiting()
        when = await anna.node.database.run(bundled.when)
        assert when == {rows[0].id: place.clock.now()}
        await bora.wake()
        found = await read(bora, octets)
        await until(lambda: ended(anna, "delivered"))
        assert found.filed + found.known == 1
        assert len(await bora.with_subject("hello")) == 1

    play(tmp_path, scene)


def test_a_large_letter_and_many_small_ones(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        await anna.write(bora.address, subject="large", text="x" * 3_000_000)
        for number in range(20):
            await anna.write(bora.address, subject=f"small {number}")
        found = await read(bora, await write(anna), step=limits.BUNDLE_PIECE_BYTES)
        assert found.filed == 21
        assert (await bora.with_subject("large"))[0].count(b"x") >= 3_000_000

    play(tmp_path, scene)


def test_for_somebody_means_nothing_of_others(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        carl = await island(place, "carl")
        await read(carl, await write(anna, invite=True), accept=True)
        await read(anna, await write(carl))
        await anna.write(bora.address)
        await anna.write(carl.address)
        for name, found in (("bora", await write(anna, "bora")), ("all", await write(anna))):
            letters = [one for one in items(found) if isinstance(one, bundle.Letter)]
            receipts = [one for one in items(found) if isinstance(one, bundle.Receipt)]
            # For Carl: our introduction, the letter, and the receipt of his introduction.
            expected = (1, 0) if name == "bora" else (3, 1)
            assert (len(letters), len(receipts)) == expected
        for wrong, told in (("nobody", "You have no contact"), ("", "You have no contact")):
            with pytest.raises(PermanentFailure, match=told):
                await write(anna, wrong)
        assert await write(anna, carl.address)

    play(tmp_path, scene)


def test_a_bundle_for_somebody_else_is_counted_and_not_set_aside(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        carl = await island(place, "carl")
        await anna.write(bora.address)
        found = await read(carl, await write(anna))
        assert (found.for_others, found.filed, found.author) == (1, 0, None)
        assert not await carl.node.database.run(quarantine.noted)
        assert (await read(carl, await write(bora))).receipts_for_others == 0
        await read(bora, await write(anna))
        assert (await read(carl, await write(bora))).receipts_for_others == 1

    play(tmp_path, scene)


def test_a_holder_who_reads_a_bundle_keeps_the_letters_of_its_renters(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        (hana,) = await place.with_holders(bora, "hana")
        anna = await island(place, "anna")
        await read(anna, await write(bora, invite=True), accept=True)
        await bora.sleep()
        bora_is = next(iter(await anna.contacts()))
        await anna.write(bora_is)
        found = await read(hana, await write(anna))
        assert (found.held, found.for_others) == (2, 0)
        assert (await read(hana, await write(anna))).held == 2  # they lie there already
        assert len(await hana.node.database.run(held.drops_with_letters)) == 1
        await bora.wake()
        await until(lambda: is_filed(bora, "hello"))
        assert anna.address in await bora.contacts()

    play(tmp_path, scene)


def test_a_stranger_s_letter_in_a_bundle_is_refused_as_on_the_wire(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        await bora.node.database.run(
            lambda sql: sql.execute("DELETE FROM contact").rowcount  # Bora forgot Anna
        )
        await anna.write(bora.address)
        found = await read(bora, await write(anna))
        assert (found.refused, found.filed) == (1, 0)
        assert not await bora.with_subject("hello")

    play(tmp_path, scene)


def test_an_expired_letter_is_not_written_and_its_sender_hears_so(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        octets = await anna.write(bora.address, notify=Notify.FAILURE)
        assert octets
        late = await write(anna)
        place.put_forward(limits.EXPIRY_SECONDS_DEFAULT + limits.HOUR)
        found = await read(bora, late)
        assert (found.refused, found.filed) == (1, 0)
        planned = await anna.node.bundles.plan("bora", invite=False)
        assert not planned.letters
        await until(lambda: has_notice(anna, "Delivery not confirmed"))

    play(tmp_path, scene)


def test_a_bundle_cut_anywhere_brings_what_came_before_and_says_so(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        for number in range(3):
            await anna.write(bora.address, subject=f"letter {number}")
        whole = await write(anna)
        with pytest.raises(PermanentFailure, match=r"not a bundle"):
            await read(bora, whole[:7])
        with pytest.raises(PermanentFailure, match=r"cut short. Ask for it again"):
            await read(bora, whole[:100])
        counts = []
        for size in (*range(2000, len(whole), 500), len(whole) - 1):
            found = await read(bora, whole[:size])
            assert found.trouble is not None
            assert "cut short" in found.trouble
            assert "Ask for it again" in found.trouble
            counts.append(found.known + found.filed)
        assert counts == sorted(counts)
        assert set(counts) == {0, 1, 2, 3}
        found = await read(bora, whole)
        assert (found.trouble, found.known + found.filed) == (None, 3)
        assert all([len(await bora.with_subject(f"letter {n}")) == 1 for n in range(3)])

    play(tmp_path, scene)


def test_what_was_changed_on_the_way_is_not_believed(tmp_path: Path) -> None:
    """Letters by their mail id, receipts by the letter's key, records by their signature."""

    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        await anna.write(bora.address)
        await bora.write(anna.address)
        letter_bundle = items(await write(anna))
        await read(bora, assembled(letter_bundle))
        receipt_bundle = items(await write(bora))
        await anna.write(bora.address, subject="second")
        events = items(await write(anna))
        for number, event in enumerate(events):
            if isinstance(event, bundle.Record):
                bad = bundle.Record(event.record[:-1] + bytes([event.record[-1] ^ 1]))
                found = await read(bora, assembled([bad]))
                assert (found.author, found.records) == (None, 0)
            if isinstance(event, bundle.Piece):
                last = event.octets[-1] ^ 1
                events[number] = bundle.Piece(event.octets[:-1] + bytes([last]), event.is_last)
        found = await read(bora, assembled(events))
        assert (found.filed, found.known, found.unreadable) == (0, 1, 1)
        assert not await bora.with_subject("second")
        for number, event in enumerate(receipt_bundle):
            if isinstance(event, bundle.Receipt):
                changed = bytes([event.receipt[0] ^ 1]) + event.receipt[1:]
                receipt_bundle[number] = bundle.Receipt(event.mail_id, changed)
        found = await read(anna, assembled(receipt_bundle))
        assert (found.receipts, found.unreadable) == (0, 1)
        assert (await anna.states())[1] == "waiting"

    play(tmp_path, scene)


def test_a_full_disk_leaves_letters_to_be_read_again(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        await anna.write(bora.address, text="x" * 100_000)
        octets = await write(anna)
        await bora.fill_disk()
        found = await read(bora, octets)
        assert (found.filed, found.left) == (0, 1)
        assert found.trouble is not None
        await bora.make_room()
        assert (await read(bora, octets)).filed == 1

    play(tmp_path, scene)


@given(st.binary(max_size=400))
@settings(max_examples=150)
def test_noise_is_no_bundle(noise: bytes) -> None:
    for octets in (noise, b"PRBUNDL\x01" + noise):
        with pytest.raises(PermanentFailure):
            items(octets)


def test_noise_behind_a_good_beginning_does_not_trouble_a_node(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        await anna.write(bora.address)
        whole = await write(anna)
        dice = Random(5)
        for _ in range(200):
            octets = bytearray(whole)
            for _ in range(dice.randrange(1, 4)):
                octets[dice.randrange(len(octets))] = dice.randrange(256)
            with contextlib.suppress(PermanentFailure):
                await read(bora, bytes(octets))
        await read(bora, whole)
        assert len(await bora.with_subject("hello")) == 1
        assert await bora.contacts() == {anna.address}

    play(tmp_path, scene)


def test_somebody_who_reads_the_invitation_second_stays_a_stranger(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await island(place, "anna"), await island(place, "bora")
        mallory = await island(place, "mallory")
        invitation = await write(bora, invite=True)
        await read(anna, invitation, accept=True)
        await read(mallory, invitation, accept=True)
        await read(bora, await write(anna))
        found = await read(bora, await write(mallory))
        assert (found.refused, found.filed) == (1, 0)
        assert await bora.contacts() == {anna.address}

    play(tmp_path, scene)


def test_what_was_learnt_of_a_contact_and_of_nobody_else(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await befriended(place)
        carl = await island(place, "carl")
        place.put_forward(8 * limits.DAY)  # records are made anew each week
        newer = await write(bora)
        assert (await read(anna, newer)).records == 1
        assert (await read(anna, newer)).records == 0
        assert (await read(anna, await write(carl))).records == 0
        known = await anna.node.database.run(people.contacts)
        assert [person.name for person in known] == ["bora"]
        planned: Planned = await anna.node.bundles.plan(None, invite=False)
        assert planned.is_empty

    play(tmp_path, scene)
