"""DATA cut into chunks in every way, and the words of replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base import limits
from postroad.base.errors import DiskFull, PermanentFailure
from postroad.protocol import smtp
from postroad.protocol.smtp import END, LetterReader, Refused, Reply, answer, written

tricky = st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"\r\n.\r\n", b"a", b"\0"])).map(
    b"".join
)


def read(chunks: list[bytes]) -> tuple[bytes, bytes] | None:
    """The letter and what followed it, or None when it did not end."""
    reader = LetterReader()
    for number, chunk in enumerate(chunks):
        rest = reader.feed(chunk)
        if rest is not None:
            return reader.letter(), rest + b"".join(chunks[number + 1 :])
    return None


def as_rfc_5321_says(octets: bytes) -> tuple[bytes, bytes] | None:
    """Section 4.5.2, line by line, where only CR LF ends a line."""
    lines: list[bytes] = []
    while b"\r\n" in octets:
        line, _, octets = octets.partition(b"\r\n")
        if line == b".":
            return b"".join(lines), octets
        lines.append(line.removeprefix(b".") + b"\r\n")
    return None


@given(octets=tricky, data=st.data())
def test_a_letter_is_the_same_however_it_is_cut(octets: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(octets)))))
    chunks = [octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
    assert read(chunks) == as_rfc_5321_says(octets)


@given(before=tricky, after=tricky)
def test_byte_by_byte_is_as_good_as_all_at_once(before: bytes, after: bytes) -> None:
    octets = before + END + after
    one_by_one = [octets[at : at + 1] for at in range(len(octets))]
    assert read(one_by_one) == read([octets]) == as_rfc_5321_says(octets)


def test_a_letter_too_large_is_forgotten_and_still_read_to_its_end() -> None:
    reader = LetterReader()
    chunk = b"x" * limits.MIB
    while not reader.oversized:
        assert reader.feed(chunk) is None
    assert reader.feed(b"\r\n.\r") is None
    assert reader.feed(b"\nNOOP") == b"NOOP"
    with pytest.raises(Refused, match="larger than 25 MiB"):
        reader.letter()


def test_dots_of_transit_do_not_count_as_size() -> None:
    """The greatest letter of dots alone takes a third more in transit, and is still taken."""
    lines = limits.LETTER_BYTES_MAX // 3
    reader = LetterReader()
    assert reader.feed(b"..\r\n" * lines + b".\r\n") == b""
    assert len(reader.letter()) == lines * 3


def test_long_words_to_the_client_are_cut_into_lines_of_one_reply() -> None:
    reply = written(Reply(550, "5.1.1", "No such person. " * 60), utf8=False)
    lines = reply.split("\r\n")
    assert all(line.startswith("550-5.1.1 ") for line in lines[:-1])
    assert lines[-1].startswith("550 5.1.1 ")
    assert max(map(len, lines)) < 512


def test_names_beyond_ascii_are_shown_to_those_who_asked_for_them() -> None:
    reply = Reply(550, "5.1.1", "Did you mean Börä?")
    assert written(reply, utf8=True) == "550 5.1.1 Did you mean Börä?"
    assert written(reply, utf8=False) == "550 5.1.1 Did you mean B?r??"


def test_what_nobody_foresaw_is_not_shown() -> None:
    assert answer(KeyError("secret")) is None
    disk, never = answer(DiskFull("full")), answer(PermanentFailure("never"))
    assert disk is not None
    assert never is not None
    assert (disk.code, never.code, smtp.FAILED_HERE.code) == (452, 550, 451)
