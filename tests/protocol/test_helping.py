"""Links to a helper: they survive mail programs, and what is wrong with one is said in words."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import peer
from postroad.base.errors import PermanentFailure
from postroad.base.ids import Contact, HostPort, Relay
from postroad.protocol.helping import (
    CHARACTERS_MAX,
    SCHEME,
    HelperLink,
    from_link,
    is_link,
    to_link,
)

BOX = HostPort("203.0.113.7", 46464)
LARGEST = Contact(
    peer(1),
    (BOX, HostPort("2001:db8:1111:2222:3333:4444:5555:6666", 46464)),
    Relay(peer(1), HostPort("2001:db8:1111:2222:3333:4444:5555:6666", 443)),
)
LINK = to_link(HelperLink(bytes(range(16)), 1_771_000_000, LARGEST))


def rewritten(octets: bytes) -> str:
    octets += hashlib.sha256(octets).digest()[:4]
    return SCHEME + base64.urlsafe_b64encode(octets).decode().rstrip("=")


def octets_of(link: str) -> bytes:
    body = link.removeprefix(SCHEME)
    return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))[:-4]


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**40 - 1), st.booleans())
def test_a_link_says_what_was_put_into_it(secret: bytes, expires: int, is_small: bool) -> None:
    made = HelperLink(secret, expires, Contact(peer(2), (BOX,)) if is_small else LARGEST)
    link = to_link(made)
    assert len(link) <= CHARACTERS_MAX
    assert from_link(link) == made
    assert from_link(f" {link[:40]}\r\n {link[40:]} \n") == made
    assert is_link(link)


@pytest.mark.parametrize(
    "link",
    [
        "",
        "postroad:abc",
        SCHEME,
        SCHEME + "!!!",
        LINK[:-1],
        LINK + "A",
        LINK[:60] + LINK[61:],
        LINK[:-3] + "AAA",
        SCHEME + "A" * 1000,
        rewritten(octets_of(LINK)[:22]),
        rewritten(octets_of(LINK) + b"\0"),
    ],
)
def test_a_damaged_link_is_refused_in_words(link: str) -> None:
    with pytest.raises(PermanentFailure, match="whole link to a helper"):
        from_link(link)


def test_a_newer_link_asks_for_a_newer_program() -> None:
    with pytest.raises(PermanentFailure, match="newer Postroad"):
        from_link(rewritten(b"\2" + octets_of(LINK)[1:]))


@given(st.integers(0, len(LINK) - 1), st.characters(codec="ascii"))
def test_one_changed_character_is_refused(at: int, other: str) -> None:
    changed = LINK[:at] + other + LINK[at + 1 :]
    if "".join(changed.split()) != LINK:
        with pytest.raises(PermanentFailure):
            from_link(changed)
