"""What somebody writes who has only the pages, the service takes; where nothing is random, each
octet is the one that the service would have written."""

from __future__ import annotations

import hashlib

from postroad.base.tlv import decode
from postroad.protocol import wire
from postroad.protocol.invitation import from_link
from postroad.protocol.records import PersonRecord, read_person
from postroad.sealing import letter as sealed
from postroad.sealing.receipt import RECEIPT_BYTES
from second_reader import vectors as second
from second_reader import writer
from second_reader.structures import Value, Values
from vectors import files, of_invitation, of_letter, of_receipt, of_records, service
from vectors.world import (
    CARL,
    DAY,
    DEVICE,
    DROP,
    DROP_KEY,
    EPOCH,
    EXPIRES,
    HOLDER,
    NOW,
    OTHER,
    contact,
    seconds,
)

BEGINS = int(NOW)
ANNA = writer.Person("anna", b"\x01" * 32, DEVICE.seed)
BEN = writer.Person("ben", b"\x02" * 32, OTHER.seed)


def header(**changes: Values) -> dict[str, Values]:
    """What anna chose for the letter of the vectors."""
    said: dict[str, Values] = {
        "kind": 1,
        "visible": [BEN.named],
        "recipient": BEN.named,
        "blind": False,
        "nonce": b"\x12" * 16,
        "created": BEGINS,
        "expires": BEGINS + 30 * DAY,
    }
    return {**said, **changes}


def letter(body: bytes, **changes: Values) -> bytes:
    certified = ANNA.certificate(BEGINS)
    return ANNA.letter(header(**changes), body, certified, EPOCH.public, of_letter.KEY)


def test_a_certificate_and_a_record_are_those_of_the_service() -> None:
    known = files.load("records")
    certified = ANNA.certificate(BEGINS)
    assert certified == known["certificate"]
    record = ANNA.record(
        [contact("contact-full")],
        [(DROP, contact("contact-relay-6"))],
        EPOCH.public,
        of_records.SEQUENCE,
        int(EXPIRES),
        certified,
    )
    assert record == known["person"]
    assert read_person(record, decode(PersonRecord, record).fingerprint).name == "anna"


def test_a_letter_is_the_service_s_but_for_its_wrap_and_opens_there() -> None:
    known, given = files.load("letter"), {}
    for name, octets in known.items():
        if name.startswith(second.GIVEN):
            given[name.removeprefix(second.GIVEN)] = octets
    tagged: Value = {
        "address": BEN.address.replace("ben", "ben+tea"),
        "fingerprint": BEN.fingerprint,
    }
    carl: Value = {"address": CARL.address, "fingerprint": CARL.fingerprint}
    for name, made in {
        "letter-short": letter(of_letter.BODY),
        "letter-empty": letter(b""),
        "letter-long": letter(of_letter.LONG),
        "letter-tag": letter(of_letter.BODY, visible=[tagged, carl], recipient=tagged),
        "letter-blind": letter(of_letter.BODY, visible=[carl], blind=True),
    }.items():
        assert made[: -sealed.WRAP] == known[name][: -sealed.WRAP], name
        assert made[-sealed.WRAP :][:16] == known[name][-sealed.WRAP :][:16]
        assert made != known[name], "HPKE draws randomness"
        assert service.read("letter", made, given) == made


def test_a_receipt_is_that_of_the_service() -> None:
    said: dict[str, Values] = {
        "sender": ANNA.fingerprint,
        "nonce": b"\x12" * 16,
        "letter": hashlib.sha256(of_receipt.HEADER).digest(),
        "verdict": 0,
        "at": BEGINS,
    }
    made = BEN.receipt(said, BEN.certificate(BEGINS), of_letter.KEY, of_receipt.NONCE)
    assert len(made) == RECEIPT_BYTES
    assert made == files.load("receipt")["receipt-filed"]


def test_an_invitation_is_that_of_the_service() -> None:
    link = writer.invitation(
        ANNA.fingerprint,
        b"\x0a" * 16,
        b"\x0b" * 16,
        of_invitation.EXPIRES,
        [contact("contact-bare"), contact("contact-relay-6")],
    )
    assert link.encode() == files.load("invitation")["invitation-two"]
    assert from_link(link).fingerprint == ANNA.fingerprint


def test_frames_and_what_a_drop_s_owner_signs_are_those_of_the_service() -> None:
    known = files.load("holders")
    listed: dict[str, Values] = {"drop": DROP, "after": 7}
    made = writer.owner(11, "List", listed, DROP_KEY.seed, HOLDER.public, DEVICE.public)
    assert made == known["owner-list"]
    offer: dict[str, Values] = {"mail id": b"m" * 32, "size": 5000}
    frame = writer.frame(1, "Deliver", offer)
    assert wire.unframe(frame[:5], frame[5:]) == wire.Deliver(b"m" * 32, 5000, None, None)
    assert seconds(NOW) == BEGINS.to_bytes(8, "big")
