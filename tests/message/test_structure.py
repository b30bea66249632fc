"""The MIME scan: offsets, limits, and letters that no standard describes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base import limits
from postroad.message.structure import Part, structure, value_and_parameters, walk


def kinds(part: Part) -> list[bytes]:
    return [one.type.lower() + b"/" + one.subtype.lower() for one in walk(part)]


def bodies(octets: bytes) -> list[bytes]:
    return [octets[part.body : part.end] for part in structure(octets).parts]


MIXED = (
    b'Content-Type: multipart/mixed; boundary="b 1"\r\n\r\n'
    b"preamble\r\n"
    b"--b 1\r\n\r\none\r\n"
    b"--b 1 \r\nContent-Type: text/html; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: QUOTED-PRINTABLE\r\nContent-ID: <x@y>\r\n"
    b"Content-Disposition: attachment; filename=my file.html\r\n"
    b"Content-Language: de, en\r\n\r\ntwo\r\nlines\r\n\r\n"
    b"--b 1--\r\nepilogue\r\n--b 1\r\n\r\nnot a part\r\n"
)


def test_parts_lie_between_the_delimiters() -> None:
    assert bodies(MIXED) == [b"one", b"two\r\nlines\r\n"]
    second = structure(MIXED).parts[1]
    assert (second.type, second.subtype, second.lines) == (b"text", b"html", 2)
    assert second.encoding == b"QUOTED-PRINTABLE"
    assert second.id == b"<x@y>"
    assert second.disposition == (b"attachment", ((b"filename", b"my file.html"),))
    assert second.language == (b"de", b"en")


def test_a_letter_without_content_type_is_plain_text() -> None:
    part = structure(b"Subject: x\r\n\r\none\r\ntwo")
    assert (part.type, part.subtype, part.lines) == (b"text", b"plain", 1)
    assert part.parameters == ((b"charset", b"us-ascii"),)


def test_a_delimiter_may_stand_right_behind_the_header() -> None:
    assert bodies(b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--b\n--b--") == [
        b"1",
        b"",
    ]


def test_a_longer_boundary_is_another_boundary() -> None:
    letter = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: multipart/alternative; boundary=bb\r\n\r\n"
        b"--bb\r\n\r\n1\r\n--bb\r\n\r\n2\r\n--bb--\r\n--b\r\n\r\n3\r\n--b--\r\n"
    )
    assert kinds(structure(letter)) == [
        b"multipart/mixed",
        b"multipart/alternative",
        b"text/plain",
        b"text/plain",
        b"text/plain",
    ]


def test_a_multipart_that_nobody_closed_ends_with_the_letter() -> None:
    assert bodies(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n") == [
        b"one\r\n"
    ]


@pytest.mark.parametrize("parameters", [b"", b"; boundary=b", b'; boundary=""'])
def test_a_multipart_without_parts_is_shown_as_text(parameters: bytes) -> None:
    part = structure(b"Content-Type: multipart/mixed" + parameters + b"\r\n\r\nread me\r\n")
    assert (part.type, part.subtype, part.lines) == (b"text", b"plain", 1)


def test_a_letter_in_a_letter_is_scanned() -> None:
    letter = b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nhello\r\n"
    top = structure(letter)
    assert top.is_letter
    assert top.lines == 3
    assert letter[top.parts[0].start : top.parts[0].body] == b"Subject: inner\r\n\r\n"
    assert letter[top.parts[0].body : top.parts[0].end] == b"hello\r\n"


def test_parts_of_a_digest_are_letters() -> None:
    letter = (
        b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: x\r\n\r\nhi\r\n"
    )
    assert kinds(structure(letter)) == [b"multipart/digest", b"message/rfc822", b"text/plain"]


def test_more_parts_than_the_limit_stay_readable_in_the_last_one() -> None:
    letter = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5000
    top = structure(letter)
    assert len(list(walk(top))) == limits.MIME_PARTS_MAX
    assert top.parts[-1].end == len(letter)


def test_deeper_parts_than_the_limit_are_text() -> None:
    letter = b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(500)
    )
    top = structure(letter)
    assert len(list(walk(top))) == limits.MIME_DEPTH_MAX + 1
    assert list(walk(top))[-1].is_text
    letter = b"Content-Type: message/rfc822\r\n\r\n" * 500
    assert len(list(walk(structure(letter)))) == limits.MIME_DEPTH_MAX + 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" text/plain ; charset = utf-8", (b"text/plain", ((b"charset", b"utf-8"),))),
        (b'a/b; n="x;y=\\"z"; m', (b"a/b", ((b"n", b'x;y="z'),))),
        (b"a/b; (note) n=x (note)", (b"a/b", ((b"n", b"x"),))),
        (b"a/b;n*0*=utf-8''a;n*1=b", (b"a/b", ((b"n*0*", b"utf-8''a"), (b"n*1", b"b")))),
        (b"a/b; boundary=----=_P:1@x", (b"a/b", ((b"boundary", b"----=_P:1@x"),))),
        (b"attachment; filename=\r\n two words.txt", (
            b"attachment", ((b"filename", b"two words.txt"),))),
        (b"", (b"", ())),
        (b";;;=;", (b"", ())),
    ],
)  # fmt: skip
def test_values_and_their_parameters(value: bytes, expected: object) -> None:
    assert value_and_parameters(value) == expected


def check(octets: bytes) -> None:
    top = structure(octets)
    assert (top.start, top.end) == (0, len(octets))
    for part in walk(top):
        assert part.start <= part.body <= part.end
        for inner in part.parts:
            assert part.body <= inner.start
            assert inner.end <= part.end
        for one, next_one in zip(part.parts, part.parts[1:], strict=False):
            assert one.end <= next_one.start
        assert bool(part.parts) == (part.is_multipart or part.is_letter)


PIECES = [
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: multipart/digest; boundary=c\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Type: text/html\r\n",
    b"\r\n", b"\n", b"\r", b"--b\r\n", b"--b--\r\n", b"--c\n", b"--c--", b"--b", b" ", b"x", b"\0",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join))
def test_any_arrangement_of_mime_lines_gives_a_sound_tree(octets: bytes) -> None:
    check(octets)


@given(st.binary(max_size=400))
def test_any_octets_give_a_sound_tree(octets: bytes) -> None:
    check(octets)
    check(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + octets)


def test_a_damaged_letter_gives_a_sound_tree() -> None:
    dice = random.Random(5)
    for _ in range(300):
        damaged = bytearray(MIXED)
        for _ in range(dice.randint(1, 20)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        check(bytes(damaged))
