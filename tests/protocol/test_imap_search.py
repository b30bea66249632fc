"""SEARCH decides as early as it can, and the same when it knows more."""

from typing import Any

import pytest

from postroad.base.ids import Instant
from postroad.protocol.imap import commands as c
from postroad.protocol.imap.events import Column
from postroad.protocol.imap.flags import Flag
from postroad.protocol.imap.search import Candidate, evaluate, in_ranges, levels, sent_day

OCTETS = (
    b"From: =?utf-8?Q?J=C3=BCrgen?= <j@b>\r\nTo: anna@x\r\nDate: Tue, 3 Feb 2026 23:00:00 -0800\r\n"
    b"Subject: Report\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"R3LDvMOfZSBhdXMgQmVybGlu\r\n"
    b"--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"<p>soft=\r\nbreak</p>\r\n"
    b"--b\r\nContent-Type: application/octet-stream\r\n\r\nbinary\r\n--b--\r\n"
)
HEADER = OCTETS[: OCTETS.index(b"\r\n\r\n") + 4]


def message(**known: Any) -> Candidate:
    return Candidate(3, 30, 9, 90, Flag.SEEN | Flag.RECENT, "Work $Junk", **known)


LOADED: dict[str, Any] = {
    "date": Instant(1770300000.0),  # 2026-02-05 14:00 UTC
    "size": len(OCTETS),
    "header": HEADER,
    "octets": OCTETS,
}


def program(text: str) -> Any:
    command = c.read((b"a SEARCH " + text.encode(),))
    assert isinstance(command, c.Search)
    return command.key


@pytest.mark.parametrize(
    ("text", "expected", "knows_early"),
    [
        ("ALL", True, True), ("SEEN", True, True), ("UNSEEN", False, True), ("NEW", False, True),
        ("OLD", False, True), ("RECENT", True, True), ("DELETED", False, True),
        ("KEYWORD work", True, True), ("UNKEYWORD $junk", False, True),
        ("KEYWORD wor", False, True),
        ("3", True, True), ("4:*", False, True), ("UID 30", True, True), ("UID 31:*", False, True),
        ("NOT 3", False, True), ("OR 4 3", True, True), ("(3 SEEN)", True, True),
        ("UNSEEN BODY x", False, True), ("OR SEEN BODY x", True, True),
        ("SINCE 5-Feb-2026", True, False), ("ON 5-Feb-2026", True, False),
        ("BEFORE 5-Feb-2026", False, False), ("SENTON 3-Feb-2026", True, False),
        ("SENTBEFORE 3-Feb-2026", False, False), ("SENTSINCE 3-Feb-2026", True, False),
        ("LARGER 10", True, False), ("SMALLER 10", False, False),
        ("SUBJECT report", True, False), ("SUBJECT x", False, False), ("TO ANNA", True, False),
        ('FROM "J"', True, False), ("CC x", False, False),
        ('HEADER Subject ""', True, False), ('HEADER X-None ""', False, False),
        ('BODY "aus berlin"', True, False), ("BODY softbreak", True, False),
        ("BODY binary", False, False), ("BODY Report", False, False), ("TEXT Report", True, False),
        ("TEXT berlin", True, False), ("NOT TEXT berlin", False, False),
        ("NOT (SUBJECT report BODY nothing)", True, False),
    ],
)  # fmt: skip
def test_keys(text: str, expected: bool, knows_early: bool) -> None:
    key = program(text)
    assert evaluate(key, message(**LOADED)) is expected
    assert evaluate(key, message()) is (expected if knows_early else None)


def test_text_in_another_charset_is_found() -> None:
    for charset, octets in (("utf-8", "jürgen".encode()), ("iso-8859-1", b"J\xdcRGEN")):
        pieces = (
            b"a SEARCH CHARSET " + charset.encode() + b" FROM {%d}" % len(octets), octets, b"",
        )  # fmt: skip
        command = c.read(pieces)
        assert isinstance(command, c.Search)
        assert evaluate(command.key, message(**LOADED)) is True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SEEN 1:*", ()),
        ("LARGER 5", (Column.NONE,)),
        ("SUBJECT x", (Column.HEADER,)),
        (
            "OR SINCE 1-Feb-2026 NOT BODY x",
            (Column.NONE, Column.HEADER | Column.OCTETS),
        ),
    ],
)
def test_only_what_is_needed_is_loaded(text: str, expected: tuple[Column, ...]) -> None:
    assert levels(program(text)) == expected


@pytest.mark.parametrize(
    ("value", "day"),
    [
        (b"Mon, 2 Feb 2026 10:00:00 +0000", (2026, 2, 2)), (b"2 Feb 26", (2026, 2, 2)),
        (b"2-Feb-1999", (1999, 2, 2)), (b"31 Feb 2026", None), (b"never", None), (b"", None),
        (b"Mon, 02 February 2026", (2026, 2, 2)), (b"1 Feb 99", (1999, 2, 1)),
    ],
)  # fmt: skip
def test_days_in_date_headers(value: bytes, day: tuple[int, int, int] | None) -> None:
    found = sent_day(b"Date: " + value + b"\r\n")
    assert (found and (found.year, found.month, found.day)) == day


def test_a_star_is_the_greatest_number_from_both_sides() -> None:
    star = 1 << 32
    assert in_ranges(((500, star),), 9, 9)
    assert not in_ranges(((500, star),), 8, 9)
    assert in_ranges(((star, star),), 9, 9)
    assert not in_ranges(((star, star),), 8, 9)
    assert in_ranges(((2, star),), 5, 9)
