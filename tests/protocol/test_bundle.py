"""Bundles as octets: one form, read at any pace, and clear words for what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.protocol import bundle
from postroad.protocol.bundle import BundleDamaged, Event, Piece, Reader, Writer
from vectors import files, of_bundle

WHOLE = of_bundle.whole()


def read(octets: bytes, step: int = 1 << 20) -> list[Event]:
    reader = Reader()
    found: list[Event] = []
    for at in range(0, len(octets), step):
        found += reader.feed(octets[at : at + step])
    reader.finish()
    return found


def joined(events: list[Event]) -> list[Event | bytes]:
    """The same with the pieces of each letter put together."""
    found: list[Event | bytes] = []
    letter = b""
    for event in events:
        if isinstance(event, Piece):
            letter += event.octets
            if event.is_last:
                found.append(letter)
                letter = b""
        else:
            found.append(event)
    return found


def letter_item(size: int) -> bytes:
    return Writer().item(bundle.Letter(bytes(32), size, 0, ()))


@pytest.mark.parametrize("step", [1, 2, 7, 1000, 1 << 20])
def test_it_says_the_same_however_it_comes(step: int) -> None:
    record, link, receipt, change, wish, letter, sealed = joined(read(WHOLE, step))
    assert isinstance(record, bundle.Record)
    assert link == bundle.Invitation(of_bundle.LINK)
    assert receipt == of_bundle.RECEIVED
    assert (change, wish) == (of_bundle.CHANGE, of_bundle.WISH)
    assert letter == of_bundle.LETTER
    assert sealed == of_bundle.SEALED


def test_a_bundle_may_be_empty() -> None:
    writer = Writer()
    assert read(writer.begin() + writer.end()) == []


@given(st.integers(0, len(WHOLE) - 1))
def test_each_cut_is_noticed(size: int) -> None:
    with pytest.raises(PermanentFailure, match=r"cut short|not a bundle"):
        read(WHOLE[:size])


@given(st.integers(8, len(WHOLE) - 1), st.integers(1, 255))
def test_each_changed_byte_is_noticed(at: int, change: int) -> None:
    octets = bytearray(WHOLE)
    octets[at] ^= change
    with pytest.raises(BundleDamaged):
        read(bytes(octets))


@given(st.binary(min_size=1, max_size=9))
def test_nothing_stands_behind_its_end(more: bytes) -> None:
    with pytest.raises(BundleDamaged, match="behind the end"):
        read(WHOLE + more)


def test_other_files_and_later_versions_are_told_apart() -> None:
    for other in (b"", b"PRBUNDX\x01", b"%PDF-1.7", b"\0" * 100, WHOLE[1:]):
        with pytest.raises(PermanentFailure, match="not a bundle of Postroad's"):
            read(other)
    with pytest.raises(PermanentFailure, match="needs a newer Postroad"):
        read(b"PRBUNDL\x02" + WHOLE[8:])


@pytest.mark.parametrize(
    "item",
    [
        b"\x06\0\0\0\0",  # a kind that there is not
        b"\x00\0\0\0\0",
        b"\x01\xff\xff\xff\xff",  # larger than any item
        b"\x04\0\0\0\x03\x01\0\0",
        letter_item(size=0),
        letter_item(size=limits.SEALED_BYTES_MAX + 1),
        letter_item(size=2**32 - 1),
    ],
)  # fmt: skip
def test_what_no_item_may_be_is_damage(item: bytes) -> None:
    with pytest.raises(BundleDamaged):
        read(b"PRBUNDL\x01" + item)


def test_there_is_an_end_to_what_one_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUNDLE_ITEMS_MAX", 3)
    with pytest.raises(BundleDamaged, match="more in it than any may have"):
        read(WHOLE)


def test_memory_does_not_grow_with_a_letter() -> None:
    """A letter is given on as it comes: the reader keeps back no more than one item."""
    writer, reader = Writer(), Reader()
    letter = bundle.Letter(bytes(32), limits.SEALED_BYTES_MAX, 0, ())
    assert list(reader.feed(writer.begin() + writer.item(letter))) == [letter]
    for _ in range(64):
        (piece,) = reader.feed(bytes(limits.BUNDLE_PIECE_BYTES))
        assert isinstance(piece, Piece)
        assert len(piece.octets) == limits.BUNDLE_PIECE_BYTES
        assert not reader._unread


def test_the_page_says_how_large_its_vector_is_and_shows_its_link() -> None:
    page = (files.FOLDER / "bundle.md").read_text()
    assert f"{len(WHOLE):,} bytes" in page
    assert of_bundle.LINK in page
