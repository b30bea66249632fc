"""The keyring's wrapping: what opens it, what does not, and what a file may ask for."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, PermanentFailure
from postroad.base.tlv import encode
from postroad.sealing import wrapping
from postroad.sealing.wrapping import PLAIN, Header, Protection, Wrapped, Wrapping

SALT = bytes(range(16))
CONTENT = b"all that is secret" * 100
SECRET = bytes(range(32))
CHEAP = replace(wrapping.new_header(Protection.PASSPHRASE, SALT), memory_kib=64, passes=1)
ALL = (
    PLAIN,
    wrapping.by_passphrase(CHEAP, "correct horse"),
    wrapping.by_secret(wrapping.new_header(Protection.KEYRING, SALT), SECRET),
    wrapping.by_secret(wrapping.new_header(Protection.CREDENTIAL, SALT), SECRET),
)


@pytest.mark.parametrize("made", ALL, ids=lambda made: made.protection.value)
def test_what_wrapped_it_opens_it_and_nothing_else_does(made: Wrapping) -> None:
    wrapped = wrapping.parse(made.wrap(CONTENT))
    assert made.unwrap(wrapped) == CONTENT
    assert wrapped.protection is made.protection
    assert made.is_same(made)
    for other in ALL:
        if other is not made:
            assert not other.is_same(made)
            with pytest.raises(PermanentFailure):
                other.unwrap(wrapped)
    if made is not PLAIN:
        assert CONTENT[:18] not in made.wrap(CONTENT)
        with pytest.raises(PermanentFailure):
            replace(made, key=bytes(64)).unwrap(wrapped)


@pytest.mark.parametrize("wrong", ["", "correct hors", "correct horse ", "Correct horse"])
def test_a_wrong_passphrase_opens_nothing(wrong: str) -> None:
    wrapped = wrapping.parse(ALL[1].wrap(CONTENT))
    with pytest.raises(PermanentFailure, match="does not open"):
        wrapping.by_passphrase(wrapped.header, wrong).unwrap(wrapped)


def test_a_passphrase_is_the_same_from_whatever_keyboard() -> None:
    one, other = "Za\u0308hne und Café", "Zähne und Cafe\u0301"
    assert one != other
    assert wrapping.by_passphrase(CHEAP, one).is_same(wrapping.by_passphrase(CHEAP, other))


def test_another_salt_makes_another_key_of_the_same_passphrase_or_secret() -> None:
    fresh = replace(CHEAP, salt=bytes(16))
    assert wrapping.by_passphrase(fresh, "correct horse").key != ALL[1].key
    there = wrapping.new_header(Protection.KEYRING, bytes(16))
    assert wrapping.by_secret(there, SECRET).key != ALL[2].key


def test_a_passphrase_costs_64_mib_and_a_short_secret_is_refused() -> None:
    """What RFC 9106 section 4 recommends where memory is short."""
    header = wrapping.new_header(Protection.PASSPHRASE, SALT)
    assert (header.memory_kib, header.passes, header.lanes) == (65536, 3, 4)
    with pytest.raises(PermanentFailure, match="31 bytes"):
        wrapping.by_secret(wrapping.new_header(Protection.CREDENTIAL, SALT), bytes(31))


def parsed(header: Header) -> Wrapped:
    return wrapping.parse(encode(Wrapped(header, CONTENT)))


@pytest.mark.parametrize(
    "header",
    [
        replace(CHEAP, memory_kib=64 * 1024 * 1024),  # 64 GiB
        replace(CHEAP, memory_kib=limits.ARGON2_MEMORY_KIB_MAX + 1),
        replace(CHEAP, memory_kib=8 * CHEAP.lanes - 1),
        replace(CHEAP, memory_kib=0),
        replace(CHEAP, passes=0),
        replace(CHEAP, passes=limits.ARGON2_PASSES_MAX + 1),
        replace(CHEAP, lanes=0),
        replace(CHEAP, lanes=limits.ARGON2_LANES_MAX + 1),
        replace(CHEAP, way=0),
        replace(CHEAP, way=5),
        replace(PLAIN.header, memory_kib=1),
        replace(wrapping.new_header(Protection.KEYRING, SALT), lanes=1),
    ],
)
def test_a_file_that_asks_for_too_much_or_says_nonsense_is_refused(header: Header) -> None:
    with pytest.raises(PeerMisbehaved):
        parsed(header)


def test_the_bounds_themselves_are_let_in() -> None:
    most = replace(
        CHEAP,
        memory_kib=limits.ARGON2_MEMORY_KIB_MAX,
        passes=limits.ARGON2_PASSES_MAX,
        lanes=limits.ARGON2_LANES_MAX,
    )
    assert parsed(most).header == most


@given(st.binary(max_size=300))
def test_any_octets_are_taken_apart_or_refused(octets: bytes) -> None:
    with suppress(PeerMisbehaved):
        assert encode(wrapping.parse(octets)) == octets


@given(st.data())
def test_no_changed_octet_goes_unnoticed(data: st.DataObject) -> None:
    made = data.draw(st.sampled_from(ALL[1:]))
    octets = bytearray(made.wrap(CONTENT))
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= data.draw(st.integers(1, 255))
    try:
        wrapped = wrapping.parse(bytes(octets))
    except PeerMisbehaved:
        return
    # Also with the key itself under the changed header: the header is bound to the content.
    for opener in (made, Wrapping(wrapped.header, made.key)):
        if opener.protection is not Protection.PLAIN:
            with pytest.raises(PermanentFailure):
                opener.unwrap(wrapped)


def test_a_wrapping_shows_no_key() -> None:
    for made in ALL[1:]:
        assert made.key.hex() not in repr(made)
        assert repr(made.key)[2:-1] not in repr(made)
