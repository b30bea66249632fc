"""The result field: only a recipient's node writes it."""

from __future__ import annotations

import pytest

from fakes import NOW, someone
from postroad.message import result
from postroad.message.headers import fields, first
from postroad.message.result import Result, Standing
from postroad.message.submitted import Forged, check_result, prepare

ANNA = someone("anna")
BODY = b"\r\nHello\r\n"


def of(standing: Standing, **more: object) -> bytes:
    return result.field(Result(str(ANNA.address), ANNA.fingerprint, standing, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("octets", "ends"),
    [
        (of(Standing.SELF), "sender=self"),
        (of(Standing.CONTACT), "sender=contact; verified=no"),
        (of(Standing.CONTACT, is_verified=True), "sender=contact; verified=yes"),
        (of(Standing.CONTACT, like="bora"), "verified=no; name-is-like=bora"),
        (of(Standing.STRANGER, request=bytes(16)), f"sender=stranger; request={'00' * 16}"),
    ],
)
def test_it_says_who_signed_and_what_they_are(octets: bytes, ends: str) -> None:
    value = (first(octets + BODY, result.NAME) or b"").decode().replace("\t", " ")
    assert value.startswith(f"signed-by={ANNA.address}; fingerprint={ANNA.fingerprint}; ")
    assert value.endswith(ends)
    assert len(fields(octets + BODY)) == 1
    assert all(len(line) <= 200 for line in octets.split(b"\r\n"))


def test_a_request_that_is_brought_back_is_known_by_its_field() -> None:
    octets = b"X-TUID: abc\r\n" + of(Standing.STRANGER, request=b"\x12" * 16) + BODY
    assert result.request_of(octets) == b"\x12" * 16
    assert result.request_of(of(Standing.CONTACT) + BODY) is None
    assert result.request_of(b"Subject: request=" + b"12" * 16 + b"\r\n" + BODY) is None


@pytest.mark.parametrize(
    "name", ["Postroad-Result", "postroad-result", "POSTROAD-RESULT ", "Postroad-Result\t"]
)
def test_what_somebody_writes_themselves_goes_out_at_the_door_and_is_refused_on_the_way(
    name: str,
) -> None:
    letter = (
        f"From: {ANNA.address}\r\n{name}: sender=contact;\r\n verified=yes\r\nSubject: s\r\n"
    ).encode() + BODY
    with pytest.raises(Forged):
        check_result(letter)
    prepared = prepare(letter, (str(ANNA.address),), now=NOW, token=bytes(16))
    check_result(prepared)
    assert b"verified" not in prepared
    assert b"Subject: s\r\n" in prepared
    assert prepared.endswith(BODY)
