"""The binary encoding: one meaning has one encoding, and nothing but PeerMisbehaved comes out."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base.errors import PeerMisbehaved
from postroad.base.tlv import (
    decode,
    encode,
    fixed,
    flag,
    nested,
    number,
    octets,
    optional,
    plan,
    several,
    sizes,
    text,
)


@dataclass(frozen=True, slots=True)
class Inner:
    key: bytes = fixed(1, 4)
    note: str | None = optional(text(2, 20))


@dataclass(frozen=True, slots=True)
class Outer:
    drop: bytes = fixed(1, 16)
    until: int = number(2, 8)
    flags: int = number(3, 1)
    body: bytes = octets(4, 0, 300)
    name: str = text(5, 30)
    inner: Inner = nested(6, Inner)
    perhaps: bytes | None = optional(octets(7, 0, 9))
    many: tuple[Inner, ...] = several(nested(8, Inner), 3)
    some: tuple[int, ...] = several(number(9, 2), 4, 1)


@dataclass(frozen=True, slots=True)
class Nothing:
    pass


names = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
inners = st.builds(
    Inner, st.binary(min_size=4, max_size=4), st.none() | names.filter(lambda one: len(one) <= 20)
)
outers = st.builds(
    Outer,
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**63 - 1),
    st.integers(0, 255),
    st.binary(max_size=300),
    names,
    inners,
    st.none() | st.binary(max_size=9),
    st.lists(inners, max_size=3).map(tuple),
    st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=4).map(tuple),
)


def refused_or_canonical(kind: type[Any], said: bytes) -> None:
    """What a stranger says is refused, or it is the one encoding of what we understood."""
    try:
        understood = decode(kind, said)
    except PeerMisbehaved:
        return
    assert encode(understood) == said


def fields_of(said: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(said):
        end = at + 3 + int.from_bytes(said[at + 1 : at + 3], "big")
        found.append(said[at:end])
        at = end
    return found


@given(outers)
def test_what_is_written_is_read_again(message: Outer) -> None:
    assert decode(Outer, encode(message)) == message


def test_the_bytes_are_the_documented_ones() -> None:
    message = Inner(b"\x01\x02\x03\x04", "é")
    assert encode(message) == b"\x01\x00\x04\x01\x02\x03\x04\x02\x00\x02\xc3\xa9"
    assert encode(Inner(bytes(4), None)) == b"\x01\x00\x04" + bytes(4)
    assert encode(Nothing()) == b""


def test_an_absent_field_and_an_empty_one_are_two_things() -> None:
    absent, empty = encode(Inner(bytes(4), None)), encode(Inner(bytes(4), ""))
    assert absent != empty
    assert decode(Inner, absent).note is None
    assert decode(Inner, empty).note == ""


@given(outers, st.data())
def test_a_message_with_one_changed_byte_is_refused_or_means_just_that(
    message: Outer, data: st.DataObject
) -> None:
    said = bytearray(encode(message))
    at = data.draw(st.integers(0, len(said) - 1))
    said[at] ^= data.draw(st.integers(1, 255))
    refused_or_canonical(Outer, bytes(said))


def test_each_single_byte_change_of_one_message_is_refused_or_means_just_that() -> None:
    inner = Inner(b"four", "note")
    message = Outer(bytes(16), 7, 1, b"body", "name", inner, b"p", (inner, inner), (1, 2))
    whole = encode(message)
    for at in range(len(whole)):
        for value in range(256):
            refused_or_canonical(Outer, whole[:at] + bytes([value]) + whole[at + 1 :])


@given(outers)
def test_a_message_cut_short_anywhere_is_refused_or_means_just_that(message: Outer) -> None:
    whole = encode(message)
    for size in range(len(whole)):
        refused_or_canonical(Outer, whole[:size])


@given(outers, st.binary(min_size=1, max_size=30))
def test_whatever_follows_a_message_is_refused_or_means_just_that(
    message: Outer, extra: bytes
) -> None:
    refused_or_canonical(Outer, encode(message) + extra)
    refused_or_canonical(Outer, extra + encode(message))


@given(outers)
def test_fields_in_another_order_are_refused(message: Outer) -> None:
    found = fields_of(encode(message))
    for one, other in combinations(range(len(found)), 2):
        swapped = list(found)
        swapped[one], swapped[other] = swapped[other], swapped[one]
        if found[one][0] == found[other][0]:  # two of one list: another list
            refused_or_canonical(Outer, b"".join(swapped))
        else:
            with pytest.raises(PeerMisbehaved):
                decode(Outer, b"".join(swapped))


@given(outers)
def test_a_field_that_stands_twice_or_not_at_all_is_refused(message: Outer) -> None:
    found = fields_of(encode(message))
    for at, field in enumerate(found):
        if field[0] in (8, 9):
            continue  # lists
        with pytest.raises(PeerMisbehaved):
            decode(Outer, b"".join([*found[:at], field, *found[at:]]))
        if field[0] != 7:
            with pytest.raises(PeerMisbehaved):
                decode(Outer, b"".join([*found[:at], *found[at + 1 :]]))


@given(st.binary(max_size=200))
def test_noise_is_refused_or_means_just_that(noise: bytes) -> None:
    for kind in (Inner, Outer, Nothing):
        refused_or_canonical(kind, noise)


@pytest.mark.parametrize("count", [0, 5, 20_000])
def test_a_list_outside_its_bounds_is_refused(count: int) -> None:
    message = Outer(bytes(16), 7, 1, b"", "", Inner(bytes(4), None), None, (), (1,))
    said = encode(message)[: -len(b"\x09\x00\x02\x00\x01")]
    with pytest.raises(PeerMisbehaved):
        decode(Outer, said + b"\x09\x00\x02\x00\x01" * count)


def test_a_list_outside_its_bounds_is_not_written() -> None:
    inner = Inner(bytes(4), None)
    for many, some in (((inner,) * 4, (1,)), ((), ()), ((), (1,) * 5)):
        with pytest.raises(AssertionError):
            encode(Outer(bytes(16), 7, 1, b"", "", inner, None, many, some))


@pytest.mark.parametrize("value", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf"])
def test_text_that_is_not_utf8_is_refused(value: bytes) -> None:
    said = b"\x01\x00\x04" + bytes(4) + b"\x02" + len(value).to_bytes(2, "big") + value
    with pytest.raises(PeerMisbehaved):
        decode(Inner, said)


@pytest.mark.parametrize(
    "character",
    [
        "\0",
        "\r",
        "\n",
        "\t",
        "\x1b",
        "\x7f",
        "\x85",
        "\x9b",
        "\u2028",
        "\u2029",
        "\u202e",
        "\u2066",
    ],
)
def test_text_that_could_forge_a_line_or_move_a_cursor_is_refused(character: str) -> None:
    """Reasons and addresses of strangers are shown to people, on terminals and in letters."""
    value = f"a{character}b".encode()
    said = b"\x01\x00\x04" + bytes(4) + b"\x02" + len(value).to_bytes(2, "big") + value
    with pytest.raises(PeerMisbehaved):
        decode(Inner, said)


@pytest.mark.parametrize("value", [2**63, 2**64 - 1])
def test_a_number_that_no_database_can_keep_is_refused(value: int) -> None:
    """SQLite's integers end at 2^63 - 1: a letter with a larger one must not get that far."""
    message = Outer(bytes(16), 7, 1, b"", "", Inner(bytes(4), None), None, (), (1,))
    said = encode(message).replace((7).to_bytes(8, "big"), value.to_bytes(8, "big"))
    with pytest.raises(PeerMisbehaved):
        decode(Outer, said)


@dataclass(frozen=True, slots=True)
class Said:
    yes: bool = flag(1)
    word: str = text(2, 5, 2)


def test_a_flag_is_yes_or_no_and_nothing_else() -> None:
    for yes, octet in ((True, 1), (False, 0)):
        written = bytes([1, 0, 1, octet, 2, 0, 2]) + b"so"
        assert encode(Said(yes, "so")) == written
        assert decode(Said, written) == Said(yes, "so")
    for bad in (b"\x01\x00\x01\x02", b"\x01\x00\x01\xff", b"\x01\x00\x02\x00\x01", b"\x01\x00\x00"):
        with pytest.raises(PeerMisbehaved):
            decode(Said, bad + b"\x02\x00\x02so")


def test_a_text_may_be_too_short() -> None:
    with pytest.raises(PeerMisbehaved):
        decode(Said, b"\x01\x00\x01\x01\x02\x00\x01s")


def test_how_much_a_message_has_at_least_and_at_most_is_known() -> None:
    assert sizes(Inner) == (7, 7 + 23)
    kinds = dict(plan(Outer))
    assert (kinds["inner"].message, kinds["inner"].size_max) == (Inner, 30)
    assert (kinds["many"].count_min, kinds["many"].count_max) == (0, 3)
    assert sizes(Nothing) == (0, 0)
