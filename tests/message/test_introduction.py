"""The letter in which two people are introduced."""

from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

import pytest

from fakes import NOW, someone
from postroad.message import introduction
from postroad.message.address import Address, parse
from postroad.message.introduction import Occasion

ANNA, BEN = someone("anna").address, someone("ben").address


def written(occasion: Occasion, author: Address = ANNA, to: Address = BEN) -> bytes:
    return introduction.write(author, to, occasion, now=NOW, token=bytes(range(16)))


@pytest.mark.parametrize("occasion", Occasion)
def test_reply_goes_to_the_new_contact(occasion: Occasion) -> None:
    letter = message_from_bytes(written(occasion), policy=policy.default)
    (author,) = letter["From"].addresses
    (to,) = letter["To"].addresses
    assert parse(author.addr_spec) == ANNA
    assert parse(to.addr_spec) == BEN
    assert author.display_name == "Anna"
    assert letter["Reply-To"] is None
    assert parsedate_to_datetime(letter["Date"]).timestamp() == NOW


@pytest.mark.parametrize("occasion", Occasion)
def test_it_says_in_words_what_happened_and_how_to_go_on(occasion: Occasion) -> None:
    letter = message_from_bytes(written(occasion), policy=policy.default)
    text = letter.get_content()
    assert ("accepted your invitation" in letter["Subject"]) == (
        occasion is Occasion.INVITATION_ACCEPTED
    )
    assert "just reply" in text
    assert str(ANNA) in text
    assert "signed" in text


@pytest.mark.parametrize("occasion", Occasion)
@pytest.mark.parametrize("name", ["a", "n" * 31, "-", "_", "0-0"])
def test_it_is_a_letter_that_every_program_reads(occasion: Occasion, name: str) -> None:
    odd = Address(name, ANNA.fingerprint)
    octets = written(occasion, author=odd, to=odd)
    assert octets.endswith(b"\r\n")
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert octets.isascii()
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    letter = message_from_bytes(octets, policy=policy.default)
    assert not letter.defects
    assert letter["From"].addresses[0].addr_spec == str(odd)


def test_no_program_answers_it_by_itself() -> None:
    """RFC 3834 section 5."""
    letter = message_from_bytes(written(Occasion.INVITATION_ACCEPTED), policy=policy.default)
    assert letter["Auto-Submitted"] == "auto-generated"


def test_two_of_them_are_two_letters() -> None:
    why = Occasion.REQUEST_ACCEPTED
    one = introduction.write(ANNA, BEN, why, now=NOW, token=bytes(16))
    other = introduction.write(ANNA, BEN, why, now=NOW, token=bytes(15) + b"\1")
    assert one != other
