"""Invitations: a link that survives mail programs, and errors that a person can act on."""

import base64
import hashlib
import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import contact, peer, someone
from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.base.ids import Contact, Fingerprint, Relay, Ticket
from postroad.protocol.contacts import encode_contact
from postroad.protocol.invitation import SCHEME, Invitation, from_link, to_link

ANNA = someone("anna")
INVITATION = Invitation(
    ANNA.fingerprint,
    bytes(range(16)),
    Ticket(bytes(range(16, 32))),
    1_771_000_000,
    tuple(contact(peer(number)) for number in (1, 2, 3)),
)
LINK = to_link(INVITATION)


def rewritten(octets: bytes) -> str:
    """A link around these bytes whose check is right."""
    octets += hashlib.sha256(octets).digest()[:4]
    return SCHEME + base64.urlsafe_b64encode(octets).decode().rstrip("=")


def octets_of(link: str) -> bytes:
    body = link.removeprefix(SCHEME)
    return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))[:-4]


def told(link: str, words: str) -> None:
    with pytest.raises(PermanentFailure, match=words) as refused:
        from_link(link)
    assert str(refused.value).endswith((".", "not."))


def test_an_invitation_with_three_full_contacts_fits_a_short_message() -> None:
    assert len(LINK) <= limits.INVITATION_CHARACTERS_MAX
    assert from_link(LINK) == INVITATION


@given(
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**40 - 1),
    st.integers(1, 3),
)
def test_a_link_says_what_was_put_into_it(
    secret: bytes, ticket: bytes, expires: int, contacts: int
) -> None:
    made = Invitation(
        ANNA.fingerprint, secret, Ticket(ticket), expires, INVITATION.contacts[:contacts]
    )
    assert from_link(to_link(made)) == made


def test_contacts_beyond_the_third_are_left_out() -> None:
    many = Invitation(
        ANNA.fingerprint, bytes(16), Ticket(bytes(16)), 1, INVITATION.contacts + INVITATION.contacts
    )
    assert from_link(to_link(many)).contacts == INVITATION.contacts


@pytest.mark.parametrize("width", [1, 20, 72, 76])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r\n  ", " \n\t", "\u00a0"])
def test_a_link_that_a_mail_program_wrapped_is_whole_again(width: int, newline: str) -> None:
    wrapped = newline.join(LINK[at : at + width] for at in range(0, len(LINK), width))
    assert from_link(f"  {wrapped}\n") == INVITATION


def test_a_link_cut_short_anywhere_is_told_so() -> None:
    for size in range(len(LINK)):
        with pytest.raises(PermanentFailure):
            from_link(LINK[:size])
    told(LINK[:-1], "copy")
    told(LINK[:200], "copy the whole link again|copy it again")


def test_a_flipped_character_anywhere_is_noticed() -> None:
    alphabet = string.ascii_letters + string.digits + "-_"
    for at in range(len(LINK)):
        other = alphabet[(alphabet.find(LINK[at]) + 1) % 64]
        with pytest.raises(PermanentFailure):
            from_link(LINK[:at] + other + LINK[at + 1 :])


@pytest.mark.parametrize("junk", [".", ">", "=", "==", "A", "AAAA", "/", "\0", "é", "postroad:"])
def test_whatever_is_copied_along_with_the_link_is_noticed(junk: str) -> None:
    with pytest.raises(PermanentFailure):
        from_link(LINK + junk)
    with pytest.raises(PermanentFailure):
        from_link(junk + LINK)


@pytest.mark.parametrize(
    "link", ["", "hello", "mailto:anna@example.org", "https://postroad:x", ":"]
)
def test_something_else_than_an_invitation_is_told_what_one_begins_with(link: str) -> None:
    told(link, "An invitation begins with postroad:")


def test_an_endless_link_is_refused_before_it_is_read() -> None:
    told(SCHEME + "A" * 10_000_000, "too long")


def test_an_invitation_of_a_later_version_asks_for_an_update() -> None:
    told(rewritten(b"\2" + octets_of(LINK)[1:]), "newer Postroad")


def test_a_link_with_a_good_check_and_bad_contents_asks_for_a_new_one() -> None:
    good = octets_of(LINK)
    full = encode_contact(INVITATION.contacts[0])
    for bad in (
        good[:58],  # no contact
        good[:58] + (bytes([len(full)]) + full) * 4,
        good[:58] + b"\0",
        good[:58] + b"\xff" + full,
        good[:58] + bytes([len(full)]) + full + b"\x21",
        good[:-1],
        good[:1] + bytes(20) + good[21:],  # a fingerprint that does not add up
        good[:58] + bytes([33]) + b"\0" + b"\1" + bytes(31),  # a key of small order
    ):
        if len(rewritten(bad)) <= limits.INVITATION_CHARACTERS_MAX:
            told(rewritten(bad), "ask for a new one")
    told(rewritten(good[:57]), "not complete")


@given(st.binary(max_size=240))
def test_noise_is_refused_in_words_or_is_the_one_link_of_what_it_says(noise: bytes) -> None:
    for octets in (noise, octets_of(LINK)[:58] + noise):
        link = rewritten(octets)
        try:
            found = from_link(link)
        except PermanentFailure:
            continue
        assert to_link(found) == link


@given(st.text(max_size=300))
def test_no_text_is_answered_with_anything_but_words(text: str) -> None:
    for link in (text, SCHEME + text):
        with pytest.raises(PermanentFailure):
            from_link(link)


def test_the_secret_is_shown_by_nothing_but_the_link() -> None:
    """An error must not repeat the link: it is shown, and perhaps logged."""
    for bad in (LINK[:-4], LINK + "AAAA", rewritten(octets_of(LINK)[:-1])):
        with pytest.raises(PermanentFailure) as refused:
            from_link(bad)
        assert LINK[20:40] not in str(refused.value)


def test_an_invitation_without_any_contact_is_not_made_for_others() -> None:
    lonely = Invitation(Fingerprint(ANNA.fingerprint), bytes(16), Ticket(bytes(16)), 1, ())
    told(to_link(lonely), "ask for a new one")
    bare = Invitation(ANNA.fingerprint, bytes(16), Ticket(bytes(16)), 1, (Contact(peer(1)),))
    assert from_link(to_link(bare)) == bare


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=3))
def test_contacts_that_relays_make_large_are_left_out_from_the_end(
    shapes: list[tuple[int, int]],
) -> None:
    """Each shape: how many addresses, and no relay, one at an IPv4 or one at an IPv6 address."""
    contacts = []
    for number, (addresses, relay) in enumerate(shapes, 1):
        whole = contact(peer(number))
        at = Relay(peer(9), whole.addresses[relay - 1]) if relay else None
        contacts.append(Contact(whole.peer, whole.addresses[:addresses], at))
    made = replace(INVITATION, contacts=tuple(contacts))
    link = to_link(made)
    found = from_link(link).contacts
    assert len(link) <= limits.INVITATION_CHARACTERS_MAX
    assert found
    assert found == made.contacts[: len(found)]
    if len(found) < len(contacts):  # the next one really had no room
        missing = len(encode_contact(contacts[len(found)])) + 1
        assert len(link) + missing * 8 / 6 > limits.INVITATION_CHARACTERS_MAX
