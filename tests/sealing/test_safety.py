"""Safety numbers: the same on both sides, and another one for anybody else."""

from __future__ import annotations

from fakes import someone
from postroad.sealing import safety
from postroad.sealing.safety import Keys, safety_number

ANNA = Keys.of(someone("anna").certificate.statement)
BORA = Keys.of(someone("bora").certificate.statement)
MALLORY = Keys.of(someone("mallory").certificate.statement)


def test_both_sides_see_twelve_groups_of_five_digits_and_the_same_ones() -> None:
    number = safety_number(ANNA, BORA)
    assert number == safety_number(BORA, ANNA)
    assert len(number) == 12
    assert all(len(group) == 5 and group.isdigit() for group in number)


def test_each_key_of_both_identities_counts() -> None:
    number = safety_number(ANNA, BORA)
    half_mallory = Keys(BORA.ed25519, MALLORY.mldsa_hash)
    assert len({number, safety_number(ANNA, MALLORY), safety_number(ANNA, half_mallory)}) == 3
    assert half_mallory.digest != BORA.digest


def test_a_number_is_what_it_was_in_every_version() -> None:
    """People write them down. Argon2id, 3 passes over 32 MiB, 1 lane, salt `postroad/safety1`."""
    one, other = Keys(bytes(32), bytes(32)), Keys(bytes([1]) * 32, bytes([2]) * 32)
    assert " ".join(safety_number(one, other)) == VECTOR


def test_trying_keys_costs_an_attacker_memory_and_passes() -> None:
    assert (safety._PASSES, safety._KIBIBYTES) >= (3, 32 * 1024)


VECTOR = "10073 68420 30473 08127 67489 14106 75736 12789 82902 14080 58810 96135"
