"""Records: whose they are, without asking anybody."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOW, Someone, peer, someone
from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import Instant
from postroad.base.tlv import encode
from postroad.protocol.contacts import encode_contact
from postroad.protocol.records import (
    DEVICES_MAX,
    Drop,
    PersonRecord,
    next_sequence,
    read_person,
)
from postroad.sealing import keys
from postroad.sealing.certificate import certify
from postroad.sealing.keys import SigningKey

ANNA, BEN = someone("anna"), someone("ben")
RECORD = ANNA.record(drops=2)


def signed(record: PersonRecord, device: SigningKey = ANNA.device) -> bytes:
    blank = replace(record, signature=bytes(keys.SIGNATURE_BYTES))
    signature = device.sign(b"postroad/record/1", encode(blank))
    return encode(replace(blank, signature=signature))


def test_anybody_can_check_a_record_with_the_fingerprint_alone() -> None:
    read = read_person(encode(RECORD), ANNA.fingerprint)
    assert read == RECORD
    assert read.address == ANNA.address
    assert read.contacts == (ANNA.contact,)
    assert [drop.contact for drop in read.drops] == [ANNA.contact] * 2
    assert read.epoch_key == ANNA.epoch.public


def test_the_largest_record_fits() -> None:
    full = ANNA.record(
        name="n" * 31,
        drops=limits.DROPS_IN_RECORD_MAX,
        also=tuple(peer(number) for number in range(2, DEVICES_MAX + 1)),
    )
    assert len(encode(full)) <= limits.RECORD_BYTES_MAX
    assert read_person(encode(full), ANNA.fingerprint) == full


def test_a_record_of_somebody_else_is_refused() -> None:
    with pytest.raises(PeerMisbehaved):
        read_person(encode(RECORD), BEN.fingerprint)


def test_nobody_signs_a_record_for_somebody_else() -> None:
    stolen = replace(RECORD, certificate=BEN.certificate)
    for octets in (
        signed(RECORD, BEN.device),
        signed(stolen),
        signed(replace(RECORD, certificate=certify(BEN.identity, ANNA.device.peer, NOW))),
    ):
        with pytest.raises(PeerMisbehaved):
            read_person(octets, ANNA.fingerprint)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_byte_passes(at: int, change: int) -> None:
    octets = bytearray(encode(RECORD))
    octets[at % len(octets)] ^= change
    with pytest.raises(PeerMisbehaved):
        read_person(bytes(octets), ANNA.fingerprint)


def test_a_record_cut_short_or_with_something_behind_it_is_refused() -> None:
    octets = encode(RECORD)
    for wrong in (*(octets[:size] for size in range(0, len(octets), 41)), octets + b"\0"):
        with pytest.raises(PeerMisbehaved):
            read_person(wrong, ANNA.fingerprint)
    with pytest.raises(PeerMisbehaved, match="too large"):
        read_person(octets.ljust(limits.RECORD_BYTES_MAX + 1, b"\0"), ANNA.fingerprint)


BAD_CONTACT = b"\0" + b"\1" + bytes(31)  # a key of small order


@pytest.mark.parametrize(
    "change",
    [
        {"kind": 2},
        {"name": ""},
        {"name": "Anna"},
        {"name": "an.na"},
        {"name": "an na"},
        {"name": "\u0430nna"},
        {"devices": (BAD_CONTACT,)},
        {"devices": (encode_contact(ANNA.contact)[:-1],)},
        {"drops": (Drop(bytes(16), BAD_CONTACT),)},
        {"epoch_key": bytes(1216)},
        {"epoch_key": b"\xff" * 1216},
        {"expires": 2**63 - 1},
        {"expires": 0},
    ],
)  # fmt: skip
def test_a_record_that_its_owner_signed_may_still_be_refused(change: dict[str, Any]) -> None:
    changed = replace(RECORD, **change)
    with pytest.raises(PeerMisbehaved):
        read_person(signed(changed), ANNA.fingerprint)


def test_a_record_names_the_device_that_signed_it() -> None:
    """Who shows a record over a link is known by the devices in it: this one is proven."""
    without = replace(RECORD, devices=(encode_contact(BEN.contact),))
    with pytest.raises(PeerMisbehaved):
        read_person(signed(without), ANNA.fingerprint)


@pytest.mark.parametrize("days", [0, 45, 89, 400])
def test_an_expired_record_may_be_used_by_whoever_holds_it(days: int) -> None:
    """Reading asks no clock: it is good if its device was certified when it was issued."""
    issued = Instant(NOW + days * limits.DAY)
    person = someone("dora", issued)
    record = person.record(expires=issued + limits.RECORD_SECONDS_MAX)
    assert read_person(encode(record), person.fingerprint) == record


def test_a_record_issued_after_its_certificate_ended_is_refused() -> None:
    late = ANNA.record(
        expires=NOW + limits.DEVICE_CERTIFICATE_SECONDS + limits.RECORD_SECONDS_MAX + limits.DAY
    )
    with pytest.raises(PeerMisbehaved):
        read_person(encode(late), ANNA.fingerprint)


@given(st.integers(0, 2**31 - 2), st.integers(0, 2**32 - 1))
def test_the_next_sequence_is_higher_and_no_other_devices(counter: int, low: int) -> None:
    previous = counter << 32 | low
    mine = next_sequence(previous, ANNA.device.peer, NOW)
    other = next_sequence(previous, peer(5), NOW)
    assert mine > previous
    assert other > previous
    assert mine != other


def test_a_device_that_knows_no_sequence_is_believed_after_the_lost_one() -> None:
    before = 0
    for minute in range(100):  # a record each minute, and then the device is lost
        before = next_sequence(before, ANNA.device.peer, Instant(NOW + 60 * minute))
    assert next_sequence(0, peer(5), Instant(NOW + 60 * 101)) > before


def rewrite(who: Someone, change: Callable[[PersonRecord], PersonRecord]) -> bytes:
    return signed(change(who.record()), who.device)


@pytest.mark.parametrize("sequence", [0, 1, 2**62, 2**63 - 1])
def test_any_sequence_that_can_be_kept_is_read(sequence: int) -> None:
    octets = rewrite(ANNA, lambda record: replace(record, sequence=sequence))
    assert read_person(octets, ANNA.fingerprint).sequence == sequence
