"""What a forger with valid keys makes, judged by service and second reader: they say the same.

`mutations` signs and seals most of what it changes anew, so this goes past every signature.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random

import pytest

import results
from fakes import NOW, Someone, someone
from mutating import invitations
from mutating.letters import Keys, Letters, Scene
from mutating.receipts import Receipts
from mutating.records import Records
from postroad.sealing.letter import Person
from postroad.sealing.receipt import Receipt, Verdict
from second_reader import vectors as second
from second_reader.tlv import Refused
from vectors import of_invitation, service
from vectors.world import seconds

ANNA, BEN, CARL, MALLORY = (someone(name) for name in ("anna", "ben", "carl", "mallory"))
CONTENT_KEY = b"\x11" * 32
Judged = tuple[str, str, bytes, dict[str, bytes]]  # the kind of thing, how it was made, what, given
KINDS_OF_RECORDS = {1: "person", 2: "revoke", 3: "rotate"}


def keys(of: Someone) -> Keys:
    return Keys(Person(str(of.address), of.fingerprint), of.device, of.certificate, of.identity)


def letters(dice: Random) -> Iterator[Judged]:
    given = {
        "epoch-secret": BEN.epoch.secret,
        "recipient": BEN.fingerprint.encode(),
        "now": seconds(NOW),
    }
    reader, other = keys(BEN).person, keys(CARL).person
    scene = Scene(keys(ANNA), reader, other, keys(MALLORY), BEN.epoch.public, int(NOW))
    for one in Letters(scene, dice).mutations():
        yield "letter", one.how, one.octets, given


def receipts(dice: Random) -> Iterator[Judged]:
    right = Receipt(
        ANNA.fingerprint, b"n" * 16, b"h" * 32, BEN.fingerprint, Verdict.FILED, int(NOW)
    )
    given = {
        "content-key": CONTENT_KEY,
        "sender": ANNA.fingerprint.encode(),
        "recipient": BEN.fingerprint.encode(),
        "nonce": right.nonce,
        "letter": right.letter,
    }
    for one in Receipts(right, keys(BEN), keys(MALLORY), CONTENT_KEY, dice).mutations():
        yield "receipt", one.how, one.octets, given


def records(dice: Random) -> Iterator[Judged]:
    for kind, one in Records(ANNA, MALLORY, dice).mutations():
        yield KINDS_OF_RECORDS[kind], one.how, one.octets, {}


def links(dice: Random) -> Iterator[Judged]:
    for one in invitations.mutations(of_invitation.invitation("contact-full"), dice):
        yield "invitation", one.how, one.octets, {}


def takes(kind: str, octets: bytes, given: dict[str, bytes]) -> tuple[bool, bool]:
    """Whether the second reader and the service do."""
    try:
        second.READERS[kind](octets, given)
        second_takes = True
    except Refused:
        second_takes = False
    try:
        return second_takes, service.read(kind, octets, given) == octets
    except (service.Refused, UnicodeDecodeError):
        return second_takes, False


@pytest.mark.parametrize(
    ("made", "count"), [(letters, 250), (receipts, 250), (records, 150), (links, 250)]
)
def test_service_and_second_reader_judge_forgeries_alike(
    made: Callable[[Random], Iterator[Judged]], count: int
) -> None:
    forgeries = made(Random(f"forgeries {results.seed()}"))
    said: Counter[str] = Counter()
    for kind, how, octets, given in islice(forgeries, count):
        second_takes, service_takes = takes(kind, octets, given)
        assert second_takes == service_takes, (how, octets.hex())
        said["taken" if second_takes else "refused"] += 1
    assert said["refused"] > count // 2
