"""Who is chosen to hold, and how much room renters have."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import peer
from postroad.base import limits
from postroad.protocol.holding import (
    HOURS,
    Candidate,
    Hours,
    Relation,
    better,
    choose,
    hours_said,
    quota,
    say_hours,
)

PEERS = [peer(number) for number in range(1, 51)]


def on_at(*hours: int, days: int = 14) -> Hours:
    """What is known of a node that was on in these hours, and off in the others, for days."""
    return Hours(
        tuple(float(days) if hour in hours else 0.0 for hour in range(HOURS)),
        tuple(0.0 if hour in hours else float(days) for hour in range(HOURS)),
    )


def shift(begins: int, long: int = 8) -> Hours:
    return on_at(*((begins + hour) % HOURS for hour in range(long)))


weights = st.tuples(*[st.floats(0, 30)] * HOURS)
some_hours = st.builds(Hours, weights, weights, st.none() | st.binary(min_size=3, max_size=3))
some_candidates = st.lists(
    st.builds(Candidate, st.sampled_from(PEERS), some_hours, st.booleans()),
    max_size=12,
    unique_by=lambda one: one.peer,
)


@given(some_candidates, st.integers(0, 12), st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_the_candidates(
    candidates: list[Candidate], wanted: int, dice: Random
) -> None:
    shuffled = list(candidates)
    dice.shuffle(shuffled)
    chosen = choose(candidates, wanted)
    assert chosen == choose(shuffled, wanted)
    assert len(chosen) == min(wanted, len(candidates))
    assert set(chosen) <= set(candidates)
    assert len({one.peer for one in chosen}) == len(chosen)


@given(some_candidates, st.integers(0, 12))
def test_whoever_is_always_on_is_chosen_first(candidates: list[Candidate], wanted: int) -> None:
    order = [one.hours.is_always_on for one in choose(candidates, wanted)]
    assert order == sorted(order, reverse=True)
    if len(candidates) > wanted and not all(order):
        assert sum(order) == sum(one.hours.is_always_on for one in candidates)


@given(some_candidates, st.integers(1, 8))
def test_fewer_are_the_first_of_more(candidates: list[Candidate], wanted: int) -> None:
    """Letters above 1 MiB go to the first five."""
    assert choose(candidates, wanted + 1)[:wanted] == choose(candidates, wanted)


@given(some_hours)
def test_chances_are_chances(hours: Hours) -> None:
    assert all(0 <= chance <= 1 for chance in hours.chances())


def test_the_next_one_is_on_when_the_others_are_not() -> None:
    kept = [Candidate(PEERS[0], shift(0)), Candidate(PEERS[1], shift(4))]
    unlike, alike = Candidate(PEERS[2], shift(14)), Candidate(PEERS[3], shift(2))
    assert choose([alike, unlike], 1, kept=kept) == (unlike,)
    assert choose([alike, unlike], 1, kept=[Candidate(PEERS[1], shift(14))]) == (alike,)


def test_a_holder_is_needed_most_while_its_owner_is_off() -> None:
    with_me, without_me = Candidate(PEERS[1], shift(8)), Candidate(PEERS[2], shift(16))
    assert choose([with_me, without_me], 1, mine=shift(8)) == (without_me,)
    assert choose([with_me, without_me], 1, mine=shift(16)) == (with_me,)


def test_of_two_alike_the_contact_is_chosen() -> None:
    vouched, contact = Candidate(PEERS[0], is_contact=False), Candidate(PEERS[1])
    assert choose([vouched, contact], 1) == choose([contact, vouched], 1) == (contact,)


def test_what_a_node_says_counts_until_it_is_seen_to_be_wrong() -> None:
    """It says that it is always on; in the eight hours that we see of a day it never is."""
    always = b"\xff\xff\xff"
    assert Hours(said=always).is_always_on
    seen_on = tuple(10.0 if hour < 8 else 0.0 for hour in range(HOURS))
    assert Hours(on=seen_on, said=always).is_always_on
    lie = Hours(off=seen_on, said=always)
    assert not lie.is_always_on
    assert max(lie.chances()) < 0.2


def test_a_node_says_the_hours_in_which_it_is_mostly_on() -> None:
    assert say_hours(Hours()) is None
    said = say_hours(shift(22))
    assert said is not None
    assert [hour for hour, is_on in enumerate(hours_said(said)) if is_on] == [
        0,
        1,
        2,
        3,
        4,
        5,
        22,
        23,
    ]


def test_one_holder_is_left_for_a_better_one_and_not_for_one_alike() -> None:
    chosen = [Candidate(one, shift(0)) for one in PEERS[:4]]
    alike, unlike = Candidate(PEERS[5], shift(1)), Candidate(PEERS[6], shift(12))
    found = better(chosen, [alike, unlike])
    assert found is not None
    assert found[1] == unlike
    settled = [Candidate(one, shift(3 * n)) for n, one in enumerate(PEERS[:8])]
    assert better(settled, [alike, unlike]) is None
    assert better(chosen, [Candidate(PEERS[7])]) is None, "nothing is known of it"


@given(some_candidates, some_candidates)
def test_a_change_for_the_better_does_not_change_back(
    chosen: list[Candidate], others: list[Candidate]
) -> None:
    others = [one for one in others if one.peer not in {each.peer for each in chosen}]
    found = better(chosen, others)
    if found is not None:
        leave, take = found
        after = [one for one in chosen if one is not leave] + [take]
        again = better(after, [leave])
        assert again is None or again[0] != take


# Room


def test_strangers_have_no_room_and_the_vouched_less_than_contacts() -> None:
    assert quota(Relation.STRANGER).octets == quota(Relation.STRANGER).open_letters == 0
    vouched, contact = quota(Relation.VOUCHED), quota(Relation.CONTACT)
    assert contact.octets == limits.DROP_BYTES_MAX
    assert quota(Relation.RING) == contact
    for part in ("octets", "letters", "ticket_octets", "ticket_letters", "open_octets"):
        assert 0 < getattr(vouched, part) < getattr(contact, part)
    for one in (vouched, contact):
        assert one.ticket_octets <= one.octets - one.passed_octets, (
            "passed on letters displace none"
        )


# The choice is worth it: the model of the p2p note, with the real choice

STEP_HOURS, DAYS, SESSION_HOURS = 0.25, 10, 8


class Machine:
    """A desktop: eight hours a day from its own hour on, which jitters by an hour; or always on."""

    def __init__(self, dice: Random, always_on_share: float) -> None:
        self.is_always_on = dice.random() < always_on_share
        self.begins = dice.uniform(0, HOURS)
        self._jitter = [dice.uniform(-1, 1) for _ in range(DAYS + 4)]

    def is_on(self, hour: float) -> bool:
        if self.is_always_on:
            return True
        late = self._jitter[int(hour // HOURS)]
        return (hour - self.begins - late) % HOURS < SESSION_HOURS

    def hours(self) -> Hours:
        """As somebody would know them who saw it for two weeks."""
        if self.is_always_on:
            return on_at(*range(HOURS))
        return shift(round(self.begins))


def by_choice(pool: list[Machine], wanted: int) -> list[Machine]:
    named = {PEERS[number]: machine for number, machine in enumerate(pool)}
    candidates = [Candidate(one, machine.hours()) for one, machine in named.items()]
    return [named[one.peer] for one in choose(candidates, wanted)]


def at_random(pool: list[Machine], wanted: int) -> list[Machine]:
    return pool[:wanted]


def comes_in_first_session(
    dice: Random,
    always_on_share: float,
    wanted: int,
    pick: Callable[[list[Machine], int], list[Machine]],
) -> bool:
    """Whether a letter is there by the end of the recipient's first session after its sending."""
    sender, recipient = Machine(dice, always_on_share), Machine(dice, always_on_share)
    pool = [Machine(dice, always_on_share) for _ in range(6 * wanted)]
    holders = pick(pool, wanted)
    now = next(at for at in iter(lambda: dice.uniform(0, 48), None) if sender.is_on(at))
    ends = now + HOURS * DAYS
    has: set[int] = set()
    was_on = False
    while now < ends:
        on = {number for number, holder in enumerate(holders) if holder.is_on(now)}
        if sender.is_on(now) or on & has:
            has |= on  # deposited, or passed on
        if recipient.is_on(now):
            if sender.is_on(now) or on & has:
                return True
            was_on = True
        elif was_on:
            return False
        now += STEP_HOURS
    return False


@pytest.mark.parametrize(
    ("always_on_share", "at_least"), [(0.0, 0.99), (0.2, 0.995)], ids=["desktops", "some servers"]
)
def test_chosen_holders_bring_more_letters_than_any(
    always_on_share: float, at_least: float
) -> None:
    trials = 250

    def share(pick: Callable[[list[Machine], int], list[Machine]]) -> float:
        found = [
            comes_in_first_session(Random(f"{trial}"), always_on_share, 5, pick)
            for trial in range(trials)
        ]
        return sum(found) / trials

    chosen, any_five = share(by_choice), share(at_random)
    assert chosen >= at_least
    assert chosen > any_five
