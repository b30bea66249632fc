"""The plain text of a stranger's letter: nothing that hides, draws or turns comes through."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base import limits
from postroad.message.plain import is_seen, plain, readable, without_markup

HEAD = b"From: a@example.org\r\nMIME-Version: 1.0\r\n"


def of(body: str, kind: str = "text/html") -> str:
    return plain(HEAD + f"Content-Type: {kind}; charset=utf-8\r\n\r\n{body}".encode()).text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Hello <b>you</b></p><p>Bye</p>", "Hello you\nBye\n"),
        ("<style>p{color:red}</style>Hi<script>alert(1)</script>", "Hi\n"),
        ("a<!-- hidden <b> -->b<!-- without end", "a b\n"),
        ("1 &lt; 2 &amp; 3 &#x41;", "1 < 2 & 3 A\n"),
        ("<img src=x onerror=alert(1)>text", "text\n"),
        ("<a href='https://evil.example'>https://bank.example</a>", "https://bank.example\n"),
        ("<SCRIPT>x</SCRIPT >y", "y\n"),
        ("a<br>b<BR/>c", "a\nb\nc\n"),
    ],
)
def test_what_html_says_in_words(html: str, text: str) -> None:
    assert of(html) == text


def test_entities_make_no_markup_that_comes_through() -> None:
    """It is shown as text, so angle brackets are only signs; none of them was a tag."""
    assert of("&lt;script&gt;alert(1)&lt;/script&gt;") == "<script>alert(1)</script>\n"


@pytest.mark.parametrize(
    "bomb",
    [
        "<" * 60_000,
        "<!--" * 15_000,
        "<style>" * 8_000,
        "<style" * 8_000,
        "<a " * 20_000,
        "&" * 60_000,
        "&#" * 30_000,
        "<p>" * 20_000,
        "<script><style>" * 4_000,
        " \n" * 30_000,
        "\r" * 60_000,
        "<table>" * 9_000 + "x",
    ],
    ids=lambda bomb: bomb[:8].strip() or "white",
)
def test_a_bomb_takes_no_time(bomb: str) -> None:
    began = time.perf_counter()
    for kind in ("text/html", "text/plain"):
        assert len(of(bomb, kind).encode()) <= limits.REQUEST_TEXT_BYTES_MAX
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("kind", ["text/plain", "text/html"])
@pytest.mark.parametrize("piece", ["\n", "\u200b", "a ", "=\r\n"])
def test_a_letter_of_25_mib_is_not_read_to_its_end(piece: str, kind: str) -> None:
    """A contact may bring what a stranger wrote, as large as any letter."""
    octets = HEAD + f"Content-Type: {kind}; charset=utf-8\r\n\r\n{piece}".encode()
    octets += piece.encode() * (limits.LETTER_BYTES_MAX // len(piece.encode()))
    begun = time.process_time()
    assert plain(octets).is_cut
    assert time.process_time() - begun < 1.0


def test_the_plain_part_is_taken_before_the_html_one_and_attachments_are_counted() -> None:
    letter = HEAD + (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
        b"Content-Type: multipart/alternative; boundary=y\r\n\r\n--y\r\n"
        b"Content-Type: text/html\r\n\r\n<b>html</b>\r\n--y\r\n"
        b"Content-Type: text/plain\r\n\r\nplain\r\n--y--\r\n--x\r\n"
        b"Content-Type: application/pdf\r\nContent-Disposition: attachment\r\n\r\nPDF\r\n--x\r\n"
        b"Content-Type: text/plain\r\nContent-Disposition: attachment\r\n\r\nx\r\n--x--\r\n"
    )
    found = plain(letter)
    assert (found.text, found.attachments, found.is_whole) == ("plain\n", 2, False)


def test_what_is_longer_is_cut_between_characters() -> None:
    found = plain(HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + "ä".encode() * 5000)
    assert found.is_cut
    assert len(found.text.encode()) <= limits.REQUEST_TEXT_BYTES_MAX
    assert set(found.text) <= {"ä", "\n"}


@pytest.mark.parametrize(
    "hidden",
    [
        "\u202e",
        "\u2066",
        "\u200b",
        "\u200d",
        "\ufeff",
        "\x07",
        "\x1b",
        "\u00ad",
        "\ufe0f",
        "\u3164",
    ],
)
def test_what_turns_or_hides_is_taken_out(hidden: str) -> None:
    assert not is_seen(hidden)
    assert readable(f"pay{hidden}pal") == "paypal\n"


@given(st.text(max_size=3000))
def test_every_line_fits_into_a_letter_and_nothing_unseen_is_left(text: str) -> None:
    for found in (readable(text), without_markup(text)):
        assert found.endswith("\n")
    for line in readable(text).split("\n"):
        assert len(line.encode()) <= 998
        assert all(one == "\t" or is_seen(one) for one in line)


@given(st.binary(max_size=3000))
def test_whatever_comes_in_a_text_comes_out(octets: bytes) -> None:
    found = plain(octets)
    assert len(found.text.encode()) <= limits.REQUEST_TEXT_BYTES_MAX
