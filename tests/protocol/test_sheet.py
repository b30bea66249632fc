"""A revocation comes back from paper: from all of it, in any order, and never half."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import NOW
from postroad.app import sheet as pages
from postroad.base.errors import ConfigurationError, PermanentFailure
from postroad.protocol import sheet
from postroad.protocol.identity_records import read_revoke, sign_revoke
from postroad.sealing.keys import Identity

IDENTITY = Identity(b"\x01" * 32)
RECORD = pages.record_of(IDENTITY)
LINES = sheet.to_lines(RECORD)


def read(text: str) -> bytes:
    return sheet.from_text(text, len(RECORD))


def test_a_sheet_says_its_record_whatever_stands_around_the_lines() -> None:
    assert len(LINES) == 135
    assert read("\n".join(LINES)) == RECORD
    shuffled = [f"On the page: {line} (folded)" for line in LINES]
    random.Random(1).shuffle(shuffled)
    assert read("\r\n\r\n".join(shuffled).lower()) == RECORD
    assert read_revoke(RECORD, IDENTITY.public.fingerprint).devices == ()


def test_the_codes_say_the_same_as_the_lines_each_in_one_that_a_camera_can_read() -> None:
    codes = sheet.to_codes(LINES)
    random.Random(2).shuffle(codes)
    assert read(" ".join(codes)) == RECORD
    assert all(len(code) <= 1663 for code in codes)  # version 24 at the lowest level of repair


def test_letters_that_look_like_digits_may_be_read_as_those() -> None:
    confused = [
        line[:4] + line[4:].replace("O", "0").replace("I", "1").replace("B", "8") for line in LINES
    ]
    assert read("\n".join(confused)) == RECORD


def test_what_is_wrong_or_missing_is_named() -> None:
    text = "\n".join(LINES)
    with pytest.raises(PermanentFailure, match="line 7 is missing"):
        read(text.replace(LINES[6], ""))
    wrong = LINES[8][:6] + ("C" if LINES[8][6] != "C" else "D") + LINES[8][7:]
    with pytest.raises(PermanentFailure, match="line 9 is not copied rightly"):
        read(text.replace(LINES[8], wrong))
    with pytest.raises(PermanentFailure, match="lines 2, 3 are missing"):
        read(text.replace(LINES[1], "").replace(LINES[2], ""))
    with pytest.raises(PermanentFailure, match="no line of a revocation sheet"):
        read("Dear all, the meeting begins at 10.")
    assert read(text + "\n" + wrong) == RECORD  # a copy that is right stands beside it


def test_a_file_of_nothing_but_beginnings_of_lines_is_put_away_at_once() -> None:
    """4 MiB of them were looked at one by one, for 8 seconds."""
    with pytest.raises(PermanentFailure, match="more than 2700 lines in it, and a sheet has 135"):
        read("001: " * 2701)
    with pytest.raises(PermanentFailure, match="no line of a revocation sheet"):
        read("001: " * 2700)
    assert read("\n".join(LINES * sheet.TIMES_MAX)) == RECORD


def test_a_page_is_far_smaller_than_what_is_read(tmp_path: Path) -> None:
    pages.write(tmp_path / "page", RECORD, "anna.of@postroad", NOW)
    assert (tmp_path / "page").stat().st_size < pages.READ_BYTES_MAX / 4
    (tmp_path / "large").write_bytes(bytes(pages.READ_BYTES_MAX + 1))
    with pytest.raises(ConfigurationError, match="too large to be a revocation sheet"):
        pages.read(tmp_path / "large")


def test_a_line_under_another_number_is_not_taken() -> None:
    moved = "\n".join([*LINES[:4], f"005{LINES[5][3:]}", *LINES[5:]])
    with pytest.raises(PermanentFailure, match="line 5 is not copied rightly"):
        read(moved)


@given(st.text(max_size=400), st.integers(1, 6000))
def test_no_text_does_worse_than_a_sentence(text: str, size: int) -> None:
    with pytest.raises(PermanentFailure):
        sheet.from_text(text + " 001: AAAA", size)


def test_an_end_that_somebody_else_signed_is_refused_by_name() -> None:
    forged = RECORD[:-1] + bytes([RECORD[-1] ^ 1])
    with pytest.raises(PermanentFailure, match="no revocation"):
        pages.whose(forged)
    assert pages.whose(RECORD) == IDENTITY.public.fingerprint
    assert sign_revoke(IDENTITY).fingerprint == IDENTITY.public.fingerprint
