"""Addresses as people type them, and what they are told when they mistype one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import someone
from postroad.base.errors import PermanentFailure
from postroad.base.ids import FINGERPRINT_CHARACTERS, is_fingerprint
from postroad.message.address import (
    DOMAIN,
    NAME_CHARACTERS_MAX,
    Address,
    did_you_mean,
    is_name,
    parse,
)

ANNA, BEN = someone("anna"), someone("ben")
FP = ANNA.fingerprint
allowed = "abcdefghijklmnopqrstuvwxyz0123456789-_"
names = st.text(allowed, min_size=1, max_size=NAME_CHARACTERS_MAX)


@given(names, st.text(allowed, max_size=NAME_CHARACTERS_MAX))
def test_an_address_is_read_as_it_is_written(name: str, tag: str) -> None:
    address = Address(name, FP, tag)
    if len(name) + len(tag) <= NAME_CHARACTERS_MAX - bool(tag):
        assert parse(str(address)) == address
        assert parse(str(address).upper()) == address
        assert parse(str(address.canonical)) == Address(name, FP)
        assert len(str(address).partition("@")[0]) <= 64
    else:
        with pytest.raises(PermanentFailure, match="too long"):
            parse(str(address))


@given(names, st.text(allowed, min_size=1, max_size=20))
def test_a_tag_may_stand_at_either_place(name: str, tag: str) -> None:
    if len(name) + len(tag) < NAME_CHARACTERS_MAX:
        within, behind = f"{name}+{tag}.{FP}@{DOMAIN}", f"{name}.{FP}+{tag}@{DOMAIN}"
        assert parse(within) == parse(behind) == Address(name, FP, tag)
        assert str(parse(behind)) == within


def test_a_mistyped_fingerprint_is_said_to_be_one() -> None:
    local = str(ANNA.address).partition("@")[0]
    for at in range(len("anna."), len(local)):
        other = "a" if local[at] != "a" else "b"
        wrong = local[:at] + other + local[at + 1 :]
        with pytest.raises(PermanentFailure, match=r"mistyped|not an address"):
            parse(f"{wrong}@{DOMAIN}")
    for wrong in (FP[:-1], FP + "a", FP[1:]):
        with pytest.raises(PermanentFailure, match="mistyped"):
            parse(f"anna.{wrong}@{DOMAIN}")


@pytest.mark.parametrize(
    "text",
    ["", "anna", "anna@example.org", f"anna.{FP}", f"anna.{FP}@", f"anna.{FP}@postroad.alt.",
     f"anna.{FP}@xpostroad.alt", f"anna.{FP}@postroad.alt@example.org", "@", "@@"],
)  # fmt: skip
def test_an_address_elsewhere_is_told_what_postroad_carries(text: str) -> None:
    with pytest.raises(PermanentFailure, match=r"end in @postroad\.alt only"):
        parse(text)


@pytest.mark.parametrize(
    "local",
    ["", FP, f".{FP}", f"an.na.{FP}", f"an na.{FP}", f"anna+.{FP}", f"+tag.{FP}", f"anna+a+b.{FP}",
     f"anna+a.{FP}+b", f"anna.{FP}+", f'"anna".{FP}', f"änna.{FP}", f"anna.{FP}\n", f"anna\r.{FP}",
     f"anna..{FP}", f"anna.{FP}.", f"anna@x.{FP}", f"\u0430nna.{FP}"],
)  # fmt: skip
def test_what_has_not_the_form_of_an_address_is_told_the_form(local: str) -> None:
    with pytest.raises(PermanentFailure, match=r"name\.fingerprint@postroad\.alt|mistyped"):
        parse(f"{local}@{DOMAIN}")


def test_a_letter_that_only_looks_like_an_ascii_one_is_not_taken_for_it() -> None:
    """The Kelvin sign is k in lower case, and looks like it."""
    assert "\u212a".lower() == "k"
    with pytest.raises(PermanentFailure):
        parse(f"\u212aarl.{FP}@{DOMAIN}")
    changed = FP.replace("k", "\u212a", 1)
    if changed != FP:
        with pytest.raises(PermanentFailure):
            parse(f"anna.{changed}@{DOMAIN}")


@given(st.text(max_size=100))
def test_no_text_is_answered_with_anything_but_words(text: str) -> None:
    for said in (text, f"{text}@{DOMAIN}", f"{text}.{FP}@{DOMAIN}", f"anna.{FP}+{text}@{DOMAIN}"):
        try:
            found = parse(said)
        except PermanentFailure:
            continue
        assert is_name(found.name)
        assert is_fingerprint(found.fingerprint)
        assert parse(str(found)) == found


def test_who_may_call_themselves_how() -> None:
    for name in ("a", "anna", "anna-2", "_", "0", "n" * 31):
        assert is_name(name)
    for name in ("", "Anna", "n" * 32, "an.na", "an+na", "an na", "anna\n", "änna", "an@na"):
        assert not is_name(name)


def test_two_addresses_are_the_same_persons_when_their_fingerprints_are_equal() -> None:
    assert len(FP) == FINGERPRINT_CHARACTERS
    assert parse(f"anna.{FP}@{DOMAIN}") != parse(f"annie.{FP}@{DOMAIN}")
    assert parse(f"anna.{FP}@{DOMAIN}").fingerprint == parse(f"x.{FP}@{DOMAIN}").fingerprint


def test_a_near_miss_is_told_whom_it_may_have_meant() -> None:
    known = [str(ANNA.address), str(BEN.address)]
    typed = str(ANNA.address)
    for wrong in (
        typed.replace("anna", "ana"),
        typed[:10] + typed[11:],
        typed.upper(),
        typed.replace(".alt", ".ALT "),
    ):
        assert did_you_mean(wrong, known) == typed
    assert did_you_mean("somebody@example.org", known) is None
    assert did_you_mean("", known) is None
    assert did_you_mean(typed, []) is None
