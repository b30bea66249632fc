"""Letters that are wrong in themselves, brought to a real node by whoever has keys to make them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from delivery.test_road import bora_address, ended, is_filed
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import MailId
from postroad.base.tlv import encode
from postroad.delivery.outbox import parcels_for, visible_recipients
from postroad.message.envelope import Recipient
from postroad.peers.client import Client, Sealed
from postroad.peers.exchange import Refused
from postroad.protocol.wire_reseal import Reseal
from postroad.sealing import keys, letter
from postroad.sealing.letter import Header, Kind, Opened, Person, open_sealed
from postroad.sealing.receipt import Receipt, Verdict, open_receipt, seal_receipt
from postroad.store import people, quarantine, queue
from simulator.village import Resident, Village, play, until

KEY = bytes(range(32))


def person(who: Resident) -> Person:
    return Person(who.address, who.node.keyring.fingerprint)


def header_for(sender: Resident, recipient: Resident, body: bytes, /, **changes: Any) -> Header:
    now = int(sender.clock.now())
    plain = Header(
        letter.VERSION,
        letter.SUITE,
        Kind.PERSON,
        person(sender),
        sender.node.keyring.device.public,
        (person(recipient),),
        person(recipient),
        keys.epoch_key_id(recipient.node.keyring.epoch_public),
        False,
        hashlib.sha256(body).digest()[:16],
        now,
        now + limits.DAY,
        len(body),
        hashlib.sha256(body).digest(),
        None,
        None,
    )
    return replace(plain, **changes)


def sealed(sender: Resident, recipient: Resident, header: Header, body: bytes) -> bytes:
    return b"".join(
        letter.seal(
            header,
            body,
            device=sender.node.keyring.device,
            certificate=sender.node.keyring.certificate,
            epoch_public=recipient.node.keyring.epoch_public,
            content_key=KEY,
        )
    )


def opened(octets: bytes, owner: Resident) -> Opened:
    known, now = owner.node.keyring.epoch_keys(), owner.clock.now()
    return open_sealed(lambda at, size: octets[at : at + size], len(octets), known, now)


async def bring(bringer: Resident, to: Resident, octets: bytes) -> bytes:
    """Deliver it as a sender does; the sealed receipt."""
    receipt = await offer(bringer, to, octets)
    if isinstance(receipt, bytes):
        return receipt
    raise PeerMisbehaved("it is for a key that this node does not have")


async def offer(bringer: Resident, to: Resident, octets: bytes) -> bytes | Reseal:
    """The same, where the recipient may wish to have it sealed anew."""

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(octets), limits.BULK_CHUNK_BYTES):
            yield octets[at : at + limits.BULK_CHUNK_BYTES]

    mail_id = MailId(hashlib.sha256(octets).digest())
    whole = octets if len(octets) <= limits.AT_ONCE_BYTES_MAX else b""
    (there,) = (await to.node.renter.record()).contacts
    letter = Sealed(mail_id, len(octets), whole, pieces)
    return await Client(bringer.node.links).deliver(there, letter)


async def verdict(
    sender: Resident,
    recipient: Resident,
    header: Header,
    body: bytes,
    bringer: Resident | None = None,
) -> Verdict:
    """What the recipient's receipt says of a letter that this sender signed."""
    octets = sealed(sender, recipient, header, body)
    receipt = await bring(bringer or sender, recipient, octets)
    return Verdict(
        open_receipt(
            receipt,
            content_key=KEY,
            sender=sender.node.keyring.fingerprint,
            recipient=recipient.node.keyring.fingerprint,
            nonce=header.nonce,  # type: ignore[arg-type]
            letter=letter.header_hash(header),
        ).verdict
    )


async def set_aside(owner: Resident) -> int:
    noted = await owner.node.database.read(quarantine.noted)
    return sum(one.kind == "letter" for one in noted)


async def not_opened(bringer: Resident, to: Resident, octets: bytes) -> None:
    """It is refused in the words of all such letters, the first time and again; counted once."""
    before, filed = await set_aside(to), len(await to.inbox())
    for _ in range(2):
        with pytest.raises(Refused, match=r'^"It cannot be opened\."$'):
            await bring(bringer, to, octets)
    assert await set_aside(to) == before + 1
    assert len(await to.inbox()) == filed


def body_of(sender: Resident, recipient: Resident, more: str = "") -> bytes:
    return (
        f"From: {sender.address}\r\nTo: {recipient.address}\r\nSubject: forged\r\n{more}\r\nHi\r\n"
    ).encode()


def test_a_second_author_far_down_in_the_header_is_seen(tmp_path: Path) -> None:
    """Below the 64 KiB that the submission door takes, and above what a recipient still takes."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        for field in ("From", "Sender"):
            for size in (60, 65, 67):
                more = "".join(f"X-{n}: {'x' * 900}\r\n" for n in range(size * 1024 // 908))
                body = body_of(anna, bora, f"{more}{field}: {bora.address}\r\n")
                said = await verdict(anna, bora, header_for(anna, bora, body), body)
                assert said is Verdict.FORGED, (field, size)
        more = "".join(f"X-{n}: {'x' * 900}\r\n" for n in range(67 * 1024 // 908))
        body = body_of(anna, bora, more)
        assert await verdict(anna, bora, header_for(anna, bora, body), body) is Verdict.FILED

    play(tmp_path, scene)


def test_persons_who_are_not_written_in_their_one_form_are_refused(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(bora, anna)
        body = body_of(anna, bora)
        shouted = Person(carl.address.upper(), person(carl).fingerprint)
        for changes in (
            {"visible": (person(bora), shouted)},
            {"visible": (person(bora), Person("carl@example.org", person(carl).fingerprint))},
            {"visible": (person(bora), Person(carl.address, person(anna).fingerprint))},
            {"sender": Person(anna.address.replace(".", "+tag.", 1), person(anna).fingerprint)},
            {"sender": Person(carl.address, person(anna).fingerprint)},
            {"recipient": Person(bora.address.upper(), person(bora).fingerprint)},
        ):
            header = header_for(anna, bora, body, **changes)
            await not_opened(anna, bora, sealed(anna, bora, header, body))

    play(tmp_path, scene)


def test_a_letter_passed_on_by_its_recipient_is_not_taken_for_one_to_somebody_else(
    tmp_path: Path,
) -> None:
    """Surreptitious forwarding: Carl has Anna's signature, and says that she wrote to Bora."""

    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        await place.meet(bora, anna, carl)
        body = body_of(anna, bora)
        to_carl = header_for(
            anna,
            carl,
            body,
            visible=(person(carl), person(bora)),
        )
        has = opened(sealed(anna, carl, to_carl, body), carl)
        device, certificate = anna.node.keyring.device, has.certificate
        real = device.sign(letter.SIGNATURE_CONTEXT, encode(has.header))
        to_bora = replace(
            has.header,
            recipient=person(bora),
            epoch_key=keys.epoch_key_id(bora.node.keyring.epoch_public),
        )
        carls = carl.node.keyring
        forward = SealedAnew(bora, has.body, certificate)
        await not_opened(carl, bora, forward.with_signature(has.header, real))
        await not_opened(carl, bora, forward.with_signature(to_bora, real))
        mine = carls.device.sign(letter.SIGNATURE_CONTEXT, encode(to_bora))
        await not_opened(carl, bora, forward.with_signature(to_bora, mine))
        as_carl = replace(to_bora, device=carls.device.public)
        signed = carls.device.sign(letter.SIGNATURE_CONTEXT, encode(as_carl))
        theirs = SealedAnew(bora, has.body, carls.certificate)
        await not_opened(carl, bora, theirs.with_signature(as_carl, signed))
        # In his own name it is his letter, and its From is not his.
        honest = replace(as_carl, sender=person(carl))
        assert await verdict(carl, bora, honest, has.body) is Verdict.FORGED
        assert not await bora.with_subject("forged")

    play(tmp_path, scene)


class SealedAnew:
    """What somebody seals who has another's certificate, but not their key."""

    def __init__(self, to: Resident, body: bytes, certificate: Any) -> None:
        self._to, self._body, self._certificate = to, body, certificate

    def with_signature(self, header: Header, signature: bytes) -> bytes:
        class Known:
            public = header.device

            @staticmethod
            def sign(context: bytes, signed: bytes) -> bytes:
                return signature

        # The writer insists on agreement; a forger writes what they like.
        epoch = self._to.node.keyring.epoch_public
        named = replace(header, epoch_key=keys.epoch_key_id(epoch))
        certificate = replace(
            self._certificate,
            statement=replace(self._certificate.statement, device=header.device),
        )
        pieces = letter.seal(
            named,
            self._body,
            device=Known,  # type: ignore[arg-type]
            certificate=certificate,
            epoch_public=epoch,
            content_key=KEY,
        )
        return b"".join(pieces)


def test_a_letter_dated_in_the_future_is_not_filed_before_its_day(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        body, now = body_of(anna, bora), int(place.clock.now())
        created = now + 3 * limits.DAY
        header = header_for(anna, bora, body, created=created, expires=created + limits.DAY)
        octets = sealed(anna, bora, header, body)
        with pytest.raises(Refused, match="clocks is wrong"):
            await bring(anna, bora, octets)
        assert await set_aside(bora) == 0
        assert not await bora.with_subject("forged")
        place.put_forward(3 * limits.DAY)
        await bring(anna, bora, octets)
        assert len(await bora.with_subject("forged")) == 1
        later = header_for(anna, bora, body, expires=now + 100 * limits.DAY)
        await not_opened(anna, bora, sealed(anna, bora, later, body))

    play(tmp_path, scene)


@pytest.mark.parametrize("first", [Verdict.FILED, Verdict.STRANGER])
def test_of_two_receipts_for_one_parcel_the_first_one_counts(
    tmp_path: Path, first: Verdict
) -> None:
    """Twin receipts: both are signed by the recipient, and say different things."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        bora_is, keyring = bora_address(anna), bora.node.keyring
        await bora.sleep()
        await anna.write(bora_is)

        async def is_sealed() -> bool:
            return any(row.sealed for row in await anna.waiting())

        await until(is_sealed)
        (row,) = [one for one in await anna.waiting() if one.sealed]
        assert row.sealed is not None
        twins = []
        for said in (first, *(one for one in Verdict if one is not first)):
            receipt = Receipt(
                anna.node.keyring.fingerprint,
                row.nonce,
                row.sealed.header_hash,
                keyring.fingerprint,
                said,
                int(place.clock.now()),
            )
            twins.append(
                seal_receipt(
                    receipt,
                    device=keyring.device,
                    certificate=keyring.certificate,
                    content_key=row.sealed.content_key,
                    nonce=bytes([said]) * 12,
                )
            )
        wanted = "delivered" if first is Verdict.FILED else "refused"
        assert await anna.node.sender.take_receipt(row.sealed.mail_id, twins[0])
        notices = len(await anna.inbox())
        for _ in range(2):
            for twin in twins:
                assert not await anna.node.sender.take_receipt(row.sealed.mail_id, twin)
                assert await ended(anna, wanted)
        assert len(await anna.inbox()) == notices
        kept = await anna.node.database.read(
            lambda sql: sql.execute("SELECT receipt FROM parcel WHERE id = ?", (row.id,)).fetchone()
        )
        assert bytes(kept[0]) == twins[0]

    play(tmp_path, scene)


def test_the_quarantine_does_not_hinder_the_next_letter(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        for number in range(3):
            await not_opened(anna, bora, letter.MAGIC + bytes([number]) * 2000)
        await anna.write(bora.address)
        await until(lambda: is_filed(bora, "hello"))
        assert not await anna.node.database.read(queue.waiting)

    play(tmp_path, scene)


def test_a_person_is_named_once_and_the_blind_copies_go_out_last(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        anna, bora, carl = await place.settle_in("anna", "bora", "carl")
        tagged = bora.address.replace(".", "+work.", 1)
        octets = (
            f"From: {anna.address}\r\nTo: {tagged}, ann@example.org\r\n"
            f"Cc: {bora.address.upper()}\r\n\r\nHi\r\n"
        ).encode()
        visible = visible_recipients(octets)
        assert visible == (tagged,)
        asked = tuple(map(Recipient, (carl.address, bora.address, tagged)))
        made = [(one.recipient.address, one.blind) for one in parcels_for(asked, visible)]
        assert made == [(bora.address, False), (tagged, False), (carl.address, True)]

    play(tmp_path, scene)


async def sequence_known(owner: Resident, of: Resident) -> int:
    fingerprint = of.node.keyring.fingerprint
    person = await owner.node.database.read(lambda sql: people.contact(sql, fingerprint))
    assert person is not None
    return person.record.sequence


def test_a_record_dated_in_the_future_is_learnt_from_nobody_and_the_next_one_is(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        (bora,) = await place.settle_in("bora")
        anna, hana = await place.settle_in("anna", "hana")
        await place.meet(bora, anna, hana)
        await asyncio.sleep(limits.HOUR)
        knows = await sequence_known(anna, bora)
        bora.clock.wrong_by = 30.0 * limits.DAY
        early = await bora.node.renter.record()
        assert early.sequence > knows
        await asyncio.sleep(2 * limits.HOUR)
        (there,) = early.contacts
        asking = Client(anna.node.links)
        assert (await asking.find_record(there, early.fingerprint)).sequence == early.sequence
        await Client(bora.node.links).tell_record(
            (await anna.node.renter.record()).contacts[0], encode(early)
        )
        assert await sequence_known(anna, bora) == knows
        assert await sequence_known(hana, bora) == knows
        await anna.write(bora.address)
        await until(lambda: is_filed(bora, "hello"), limits.HOUR)

        bora.clock.wrong_by = 0.0
        right = await bora.node.renter.record()
        assert right.sequence > early.sequence

        async def known_again() -> bool:
            return await sequence_known(anna, bora) == right.sequence

        bora.node.renter.wake()
        await until(known_again, 2 * limits.HOUR)

    play(tmp_path, scene)


def test_whoever_introduces_themselves_with_a_clock_ahead_is_met_on_its_day(
    tmp_path: Path,
) -> None:
    async def scene(place: Village) -> None:
        bora, anna = await place.settle_in("bora", "anna")
        link, _, _ = await bora.node.introductions.invite()
        anna.clock.wrong_by = 3.0 * limits.DAY
        await anna.node.renter.record()
        await anna.node.introductions.accept(link)
        await asyncio.sleep(limits.HOUR)
        assert not await bora.contacts()
        assert await set_aside(bora) == 0
        bora.clock.wrong_by = 2.5 * limits.DAY
        anna.node.sender.wake()
        await until(lambda: is_filed(bora, "Anna accepted your invitation"), limits.HOUR)

    play(tmp_path, scene)


def test_a_nonce_stands_for_one_letter_and_brings_no_receipt_for_another(tmp_path: Path) -> None:
    """Else its sender would have our word for having got what we never saw."""

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        one, other = body_of(anna, bora), body_of(anna, bora, "X-More: I owe you much.\r\n")
        header = header_for(anna, bora, one)
        assert await verdict(anna, bora, header, one) is Verdict.FILED
        again = replace(header, created=header.created + 1)  # sealed anew: it is still the same
        assert await verdict(anna, bora, again, one) is Verdict.FILED
        twin = header_for(anna, bora, other, nonce=header.nonce)
        await not_opened(anna, bora, sealed(anna, bora, twin, other))
        assert len(await bora.with_subject("forged")) == 1

    play(tmp_path, scene)
