"""Stamps: a little work that paces strangers."""

import hashlib
import re
from pathlib import Path

import pytest

from fakes import NOW, peer, someone
from postroad.base import limits
from postroad.base.ids import Instant
from postroad.sealing import stamp

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol" / "strangers.md"
ANNA, ME = someone("anna").fingerprint, peer(1)
BITS = 10


def made(bits: int = BITS) -> bytes:
    found = stamp.search(ME, ANNA, bits, stamp.today(NOW), 0, 1 << 20)
    assert found is not None
    return found


def test_a_stamp_counts_for_one_device_one_recipient_and_about_one_day() -> None:
    good = made()
    assert stamp.is_good(good, ME, ANNA, BITS, NOW)
    for days in (-1, 1):
        assert stamp.is_good(good, ME, ANNA, BITS, Instant(NOW + days * limits.DAY))
    for days in (-2, 2):
        assert not stamp.is_good(good, ME, ANNA, BITS, Instant(NOW + days * limits.DAY))
    assert not stamp.is_good(good, peer(2), ANNA, BITS, NOW)
    assert not stamp.is_good(good, ME, someone("bora").fingerprint, BITS, NOW)
    assert not stamp.is_good(good, ME, ANNA, 40, NOW)


@pytest.mark.parametrize("octets", [b"", bytes(11), bytes(13), bytes(12), b"\xff" * 12])
def test_what_is_no_stamp_is_not_good(octets: bytes) -> None:
    assert not stamp.is_good(octets, ME, ANNA, BITS, NOW)


def test_work_that_was_done_in_pieces_is_the_same() -> None:
    whole = made()
    number = int.from_bytes(whole[4:], "big")
    assert stamp.search(ME, ANNA, BITS, stamp.today(NOW), 0, number) is None
    assert stamp.search(ME, ANNA, BITS, stamp.today(NOW), number, 1) == whole


def test_the_page_says_how_so_that_a_stranger_could_do_it() -> None:
    """Computed from the page alone."""
    row = re.search(
        r"^\| 32 times 07 \| (\w{32}) \| (\d+) \| (\w{24}) \|$", PAGE.read_text(), re.MULTILINE
    )
    assert row is not None
    octets = bytes.fromhex(row[3])
    covered = b"postroad/stamp/1\0" + b"\x07" * 32 + row[1].encode() + octets[:4] + octets[4:]
    assert int.from_bytes(hashlib.sha256(covered).digest(), "big") < 1 << (256 - int(row[2]))
