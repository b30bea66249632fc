"""BODY[...] sections, cut out of a letter with a letter in it (RFC 9051 section 6.4.5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.protocol.imap.arguments import Arguments
from postroad.protocol.imap.sections import Letter, Section, read_section

INNER = b"Subject: inner\r\nX: y\r\n\r\n"
LETTER = (
    b"From: a@b\r\nSubject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nfirst\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\nX-Mime: yes\r\n\r\n" + INNER + b"inner body\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: nested\r\nContent-Type: multipart/alternative; boundary=c\r\n\r\n"
    b"--c\r\n\r\nplain\r\n--c\r\nContent-Type: text/html\r\n\r\n<p>\r\n--c--\r\n"
    b"--b--\r\n"
)


def cut(section: bytes, letter: bytes = LETTER) -> bytes | None:
    found = Letter(letter).section(read_section(Arguments((section,))))
    return None if found is None else bytes(found)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (b"[]", LETTER),
        (b"[HEADER]", LETTER[: LETTER.index(b"\r\n\r\n") + 4]),
        (b"[TEXT]", LETTER[LETTER.index(b"\r\n\r\n") + 4 :]),
        (b"[HEADER.FIELDS (SUBJECT x-no)]", b"Subject: outer\r\n\r\n"),
        (b"[HEADER.FIELDS.NOT (From Content-Type)]", b"Subject: outer\r\n\r\n"),
        (b"[HEADER.FIELDS (x)]", b"\r\n"),
        (b"[1]", b"first"),
        (b"[1.MIME]", b"Content-Type: text/plain\r\n\r\n"),
        (b"[1.1]", None),
        (b"[1.TEXT]", None),
        (b"[1.HEADER]", None),
        (b"[2]", INNER + b"inner body"),
        (b"[2.MIME]", b"Content-Type: message/rfc822\r\nX-Mime: yes\r\n\r\n"),
        (b"[2.HEADER]", INNER),
        (b"[2.HEADER.FIELDS (X)]", b"X: y\r\n\r\n"),
        (b"[2.TEXT]", b"inner body"),
        (b"[2.1]", b"inner body"),
        (b"[2.1.MIME]", INNER),
        (b"[2.2]", None),
        (b"[2.1.1]", None),
        (b"[3.HEADER.FIELDS (Subject)]", b"Subject: nested\r\n\r\n"),
        (b"[3.1]", b"plain"),
        (b"[3.2]", b"<p>"),
        (b"[3.2.MIME]", b"Content-Type: text/html\r\n\r\n"),
        (b"[3.3]", None),
        (b"[4]", None),
    ],
)
def test_sections_are_cut_out(section: bytes, expected: bytes | None) -> None:
    assert cut(section) == expected


def test_a_letter_without_parts_has_itself_as_part_one() -> None:
    letter = b"Subject: x\r\n\r\nbody\r\n"
    assert cut(b"[1]", letter) == b"body\r\n"
    assert cut(b"[1.MIME]", letter) == b"Subject: x\r\n\r\n"
    assert cut(b"[2]", letter) is None
    assert cut(b"[1.1]", letter) is None


def test_a_letter_that_is_a_letter_has_its_parts_below_one() -> None:
    letter = b"Content-Type: message/rfc822\r\n\r\n" + INNER + b"body"
    assert cut(b"[1]", letter) == INNER + b"body"
    assert cut(b"[1.HEADER]", letter) == INNER
    assert cut(b"[1.1]", letter) == b"body"
    assert cut(b"[HEADER]", letter) == b"Content-Type: message/rfc822\r\n\r\n"


@given(
    st.binary(max_size=200),
    st.lists(st.integers(1, 3), max_size=4),
    st.sampled_from([b"", b"HEADER", b"TEXT", b"MIME", b"HEADER.FIELDS (a)"]),
)
def test_any_section_of_any_letter_is_cut_or_absent(
    octets: bytes, numbers: list[int], kind: bytes
) -> None:
    words = [b"%d" % number for number in numbers] + ([kind] if kind else [])
    if kind == b"MIME" and not numbers:
        return
    section: Section = read_section(Arguments((b"[%b]" % b".".join(words),)))
    for letter in (octets, LETTER[: len(octets)] + octets, LETTER.replace(b"first", octets)):
        Letter(letter).section(section)
