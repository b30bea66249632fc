"""The lexer: every split of the input means the same, and nothing grows without limit."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base import limits
from postroad.protocol.imap.lexer import Dropped, Lexer, LiteralOffered, Overlong, Whole

Seen = list[Whole | Dropped | LiteralOffered | Overlong]


def lex(chunks: Iterable[bytes], accepted_max: int = 1000) -> Seen:
    """All that comes out; literals up to a size are accepted."""
    lexer = Lexer()
    seen: Seen = []
    for chunk in chunks:
        lexer.feed(chunk)
        while (found := lexer.next()) is not None:
            seen.append(found)
            if isinstance(found, LiteralOffered):
                (lexer.accept if found.size <= accepted_max else lexer.refuse)()
            if isinstance(found, Overlong):
                return seen
    return seen


def splits(octets: bytes) -> list[list[bytes]]:
    return [[octets[:at], octets[at:]] for at in range(len(octets) + 1)]


DIALOGUE = (
    b"a NOOP\r\n"
    b"b LOGIN {4}\r\nan\r\n {2+}\r\n\r\n\r\n"
    b"c APPEND x {2000+}\r\n" + b"{9}\r\n" * 400 + b" {3+}\r\nabc\r\n"
    b"d SEARCH {5000}\r\n"
    b"e NOOP\n"
)
EXPECTED: Seen = [
    Whole((b"a NOOP",)),
    LiteralOffered(b"b LOGIN {4}", 4, True, 11),
    LiteralOffered(b"b LOGIN {4}", 2, False, 20),
    Whole((b"b LOGIN {4}", b"an\r\n", b" {2+}", b"\r\n", b"")),
    LiteralOffered(b"c APPEND x {2000+}", 2000, False, 18),
    LiteralOffered(b"c APPEND x {2000+}", 3, False, 23),
    Dropped(b"c APPEND x {2000+}"),
    LiteralOffered(b"d SEARCH {5000}", 5000, True, 15),
    Whole((b"e NOOP",)),
]


def test_commands_and_literals_are_cut() -> None:
    assert lex([DIALOGUE]) == EXPECTED


def test_one_octet_at_a_time_means_the_same() -> None:
    assert lex(DIALOGUE[at : at + 1] for at in range(len(DIALOGUE))) == EXPECTED


def test_every_split_in_two_means_the_same() -> None:
    for chunks in splits(DIALOGUE):
        assert lex(chunks) == EXPECTED


@given(st.lists(st.integers(0, len(DIALOGUE)), max_size=8))
def test_any_split_means_the_same(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(DIALOGUE)]
    chunks = [DIALOGUE[one:other] for one, other in pairwise(edges)]
    assert lex(chunks) == EXPECTED


PIECES = [b"a", b" ", b"{3}", b"{3+}", b"{2000+}", b"{0}", b"\r\n", b"\n", b'"', b"{", b"}", b"\0"]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join), st.data())
def test_any_input_means_the_same_however_it_is_split(octets: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(octets)))
    whole = lex([octets])
    assert lex([octets[:at], octets[at:]]) == whole
    assert lex(octets[n : n + 1] for n in range(len(octets))) == whole


@pytest.mark.parametrize("step", [1 << 20, 1000])
def test_a_line_without_end_is_overlong(step: int) -> None:
    octets = b"a" * (limits.IMAP_LINE_BYTES_MAX + 1)
    seen = lex(octets[at : at + step] for at in range(0, len(octets), step))
    assert seen == [Overlong()]


def test_many_literals_do_not_get_around_the_limit_of_a_line() -> None:
    octets = (b"x" * 1000 + b"{1+}\r\ny") * 100 + b"\r\n"
    assert lex([octets])[-1] == Overlong()


def test_a_refused_literal_is_not_kept() -> None:
    lexer = Lexer()
    lexer.feed(b"a APPEND x {1000000+}\r\n")
    assert isinstance(lexer.next(), LiteralOffered)
    lexer.refuse()
    for _ in range(10):
        lexer.feed(b"x" * 100_000)
        assert lexer.next() is None
        assert lexer.waiting_bytes == 0
    lexer.feed(b"\r\n")
    assert lexer.next() == Dropped(b"a APPEND x {1000000+}")
