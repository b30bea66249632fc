"""Whom a sender obeys who is asked to seal a letter anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fakes import someone
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import MailId
from postroad.protocol.wire_reseal import check_reseal, sign_reseal
from postroad.sealing.keys import epoch_key_id

BORA, MALLORY = someone("bora"), someone("mallory")
MAIL = MailId(b"m" * 32)
OLD, NEW = b"o" * 16, epoch_key_id(BORA.epoch.public)
WISH = sign_reseal(MAIL, OLD, 8, BORA.device)
KNOWN: dict[str, Any] = {
    "sealed_for": 7,
    "device": BORA.device.peer,
    "sequence": 8,
    "newest_key": NEW,
}


def test_the_recipient_is_obeyed_by_whoever_has_their_newer_record() -> None:
    check_reseal(WISH, MAIL, OLD, **KNOWN)
    check_reseal(WISH, MAIL, OLD, **KNOWN | {"sequence": 9})


@pytest.mark.parametrize(
    "known",
    [
        {"sequence": 7},  # the record is not newer than the one it was sealed for
        {"sealed_for": 8},  # it was obeyed for this record before
        {"sealed_for": 9, "sequence": 10},  # it is older than the seal
        {"newest_key": OLD},  # the record names the very key that is said to be missing
        {"device": MALLORY.device.peer},
    ],
)
def test_nobody_is_obeyed_without_a_newer_record_of_the_same_device(known: dict[str, Any]) -> None:
    with pytest.raises(PeerMisbehaved):
        check_reseal(WISH, MAIL, OLD, **KNOWN | known)


@pytest.mark.parametrize(
    "wish",
    [
        sign_reseal(MAIL, OLD, 8, MALLORY.device),  # a holder, say
        sign_reseal(MailId(b"n" * 32), OLD, 8, BORA.device),
        sign_reseal(MAIL, NEW, 8, BORA.device),
        replace(WISH, sequence=9),
        replace(WISH, signature=bytes(64)),
    ],
)
def test_a_wish_that_the_recipient_did_not_sign_for_this_letter_is_nobodys(wish: Any) -> None:
    with pytest.raises(PeerMisbehaved):
        check_reseal(wish, MAIL, OLD, **KNOWN | {"sequence": 9})
