"""The table of states: every state with every event, and whole lives of parcels."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fakes import NOW, sure
from postroad.base import limits
from postroad.base.ids import Instant
from postroad.message.bounce import Notice
from postroad.protocol.delivery import (
    OPEN,
    Cancelled,
    Event,
    Impossible,
    Leased,
    NotPlaced,
    Parcel,
    ReceiptCame,
    Revoked,
    SealedAnew,
    State,
    Step,
    advance,
    ends_at,
    look_at_clock,
)
from postroad.sealing.receipt import Verdict

EVENTS: list[Event] = [
    Leased(1),
    Leased(8),
    NotPlaced("nobody answered"),
    Cancelled(),
    SealedAnew(),
    Revoked("it was revoked"),
    Impossible("5.1.1", "There is nobody of this address."),
    *(ReceiptCame(verdict) for verdict in Verdict),
]
CLOSED = sorted(set(State) - OPEN)
REFUSED_VERDICTS = sorted(set(Verdict) - {Verdict.FILED, Verdict.REQUESTED})
MOMENTS = [-400 * limits.DAY, -1.0, 0.0, 3600.0, 86400.0, 30 * 86400.0, 400 * 86400.0]
dice = st.floats(0, 1, exclude_max=True)
lifetimes = st.floats(limits.EXPIRY_SECONDS_MIN, limits.EXPIRY_SECONDS_MAX)


def parcel(
    state: State = State.WAITING, *, lasts: float = 30 * limits.DAY, tries: int = 0
) -> Parcel:
    return Parcel(state, NOW, tries, NOW, Instant(NOW + lasts))


def at(seconds: float) -> Instant:
    return Instant(NOW + seconds)


@pytest.mark.parametrize("state", CLOSED)
@pytest.mark.parametrize("event", EVENTS, ids=str)
@pytest.mark.parametrize("seconds", MOMENTS)
def test_what_has_ended_stays_as_it_ended_but_for_a_late_receipt(
    state: State, event: Event, seconds: float
) -> None:
    ended = parcel(state)
    step = advance(ended, event, at(seconds), 0.5)
    if state is State.EXPIRED and event == ReceiptCame(Verdict.FILED):
        assert step == Step(replace(ended, state=State.DELIVERED), Notice.CORRECTED)
    elif state is State.EXPIRED and event == ReceiptCame(Verdict.REQUESTED):
        assert (step.parcel.state, step.notice) == (State.REQUESTED, Notice.REQUESTED)
    elif state is State.REQUESTED and event == ReceiptCame(Verdict.FILED):
        assert step == Step(replace(ended, state=State.DELIVERED), Notice.DELIVERED)
    elif (
        state is State.REQUESTED
        and isinstance(event, ReceiptCame)
        and event.verdict in REFUSED_VERDICTS
    ):
        assert (step.parcel.state, step.notice) == (State.REFUSED, Notice.REFUSED)
    else:
        assert step == Step(ended)
    assert look_at_clock(ended, at(seconds), sure(at(seconds))) == Step(ended)


@pytest.mark.parametrize("state", sorted(OPEN))
@pytest.mark.parametrize("seconds", MOMENTS)
def test_a_receipt_ends_an_open_parcel_at_any_time(state: State, seconds: float) -> None:
    step = advance(parcel(state), ReceiptCame(Verdict.FILED), at(seconds), 0.0)
    assert (step.parcel.state, step.notice, step.parcel.reason) == (
        State.DELIVERED,
        Notice.DELIVERED,
        "",
    )


@pytest.mark.parametrize("state", sorted(OPEN))
def test_a_revocation_ends_it_with_its_reason(state: State) -> None:
    step = advance(parcel(state), Revoked("it was revoked"), at(60), 0.0)
    assert (step.parcel.state, step.notice) == (State.REFUSED, Notice.REFUSED)
    assert (step.parcel.reason, step.status) == ("it was revoked", "5.7.13")


@pytest.mark.parametrize("state", sorted(OPEN))
def test_among_requests_it_waits_for_a_yes_or_no_and_is_tried_no_more(state: State) -> None:
    step = advance(parcel(state), ReceiptCame(Verdict.REQUESTED), at(60), 0.0)
    assert (step.parcel.state, step.notice) == (State.REQUESTED, Notice.REQUESTED)
    assert "does not know you yet" in step.parcel.reason
    assert advance(step.parcel, ReceiptCame(Verdict.REQUESTED), at(90), 0.0) == Step(step.parcel)


@pytest.mark.parametrize("state", sorted(OPEN))
def test_what_can_never_be_delivered_is_returned_at_once(state: State) -> None:
    step = advance(parcel(state), Impossible("5.1.1", "Nobody."), at(60), 0.0)
    assert (step.parcel.state, step.notice, step.status) == (
        State.REFUSED,
        Notice.REFUSED,
        "5.1.1",
    )
    assert step.parcel.reason == "Nobody."


def test_what_the_recipients_node_said_stands_beside_where_it_waits() -> None:
    step = advance(parcel(), Leased(2, "The recipient's node said: Later."), at(60), 0.0)
    assert step.parcel.reason == (
        "It waits at 2 of the recipient's holders. The recipient's node said: Later."
    )


@pytest.mark.parametrize("state", sorted(OPEN))
@pytest.mark.parametrize("verdict", REFUSED_VERDICTS)
def test_a_signed_refusal_ends_it_with_a_reason_for_its_owner(
    state: State, verdict: Verdict
) -> None:
    step = advance(parcel(state), ReceiptCame(verdict), at(60), 0.0)
    assert (step.parcel.state, step.notice) == (State.REFUSED, Notice.REFUSED)
    assert step.parcel.reason.endswith(".")
    others = {
        advance(parcel(state), ReceiptCame(other), at(60), 0.0).parcel.reason
        for other in REFUSED_VERDICTS
    }
    assert len(others) == len(REFUSED_VERDICTS)


@pytest.mark.parametrize("state", sorted(OPEN))
def test_its_owner_may_cancel_it_and_is_told_nothing_more(state: State) -> None:
    step = advance(parcel(state), Cancelled(), at(60), 0.0)
    assert (step.parcel.state, step.notice) == (State.CANCELLED, None)


@pytest.mark.parametrize("state", sorted(OPEN))
def test_leases_and_failures_never_end_it(state: State) -> None:
    held = advance(parcel(state), Leased(8), at(400 * 86400), 0.0)
    assert (held.parcel.state, held.notice) == (State.HELD, None)
    assert held.parcel.reason == "It waits at 8 of the recipient's holders."
    alone = advance(parcel(state), Leased(1), at(0), 0.0)
    assert alone.parcel.reason == "It waits at one of the recipient's holders."
    failed = advance(parcel(state), NotPlaced("no way"), at(400 * 86400), 0.0)
    assert (failed.parcel.state, failed.notice, failed.parcel.reason) == (state, None, "no way")


@given(st.sampled_from(sorted(OPEN)), lifetimes, st.floats(-1e8, 1e8), dice, st.integers(0, 10**6))
def test_the_next_try_is_never_later_than_the_end(
    state: State, lasts: float, seconds: float, thrown: float, tries: int
) -> None:
    """It is looked at again in time to be returned; later than that, for as long as no confirmed
    clock says that it is over, as often as before."""
    begun = parcel(state, lasts=lasts, tries=tries)
    for event in (Leased(3), NotPlaced("no")):
        moved = advance(begun, event, at(seconds), thrown).parcel
        assert moved.due_at > at(seconds)
        if at(seconds) < ends_at(moved):
            assert moved.due_at <= ends_at(moved)
        else:
            assert moved.due_at <= at(seconds) + 1.25 * limits.HELD_SECONDS_MAX


@given(dice)
def test_after_a_network_heals_a_waiting_parcel_moves_within_five_minutes(thrown: float) -> None:
    waits, now, moved = [], NOW, parcel()
    for _ in range(40):
        moved = advance(moved, NotPlaced("no"), now, thrown).parcel
        waits.append(moved.due_at - now)
        now = moved.due_at
    assert max(waits) <= 5 * limits.MINUTE
    assert waits[0] <= 2.5 * limits.RETRY_SECONDS_FIRST
    assert waits == sorted(waits)


@given(dice)
def test_while_holders_keep_it_the_looks_get_rarer_up_to_about_an_hour(thrown: float) -> None:
    now = NOW
    moved = advance(parcel(), Leased(1), now, thrown).parcel
    waits = [moved.due_at - now]
    for _ in range(20):
        now = moved.due_at
        moved = advance(moved, Leased(1), now, thrown).parcel
        waits.append(moved.due_at - now)
    assert waits[0] <= 1.25 * limits.HELD_SECONDS_FIRST
    assert 0.75 * limits.HELD_SECONDS_MAX <= waits[-1] <= 1.25 * limits.HELD_SECONDS_MAX


def test_two_parcels_do_not_come_back_at_the_same_moment() -> None:
    found = {advance(parcel(), NotPlaced("no"), NOW, one / 10).parcel.due_at for one in range(10)}
    assert len(found) == 10


@given(lifetimes)
def test_it_is_returned_at_its_expiry_and_the_grace_of_those_who_file(lasts: float) -> None:
    begun = parcel(lasts=lasts)
    end = ends_at(begun)
    assert end >= begun.expires_at + limits.EXPIRY_GRACE_SECONDS
    assert look_at_clock(begun, Instant(end - 1), sure(end - 1)).parcel.state in OPEN
    for late in (end, Instant(end + 400 * 86400)):
        step = look_at_clock(begun, late, sure(late))
        assert (step.parcel.state, step.notice) == (State.EXPIRED, Notice.EXPIRED)


def test_its_owner_hears_after_a_day_once_and_never_of_a_short_lived_one() -> None:
    begun = parcel()
    assert look_at_clock(begun, at(86399), sure(at(86399))) == Step(begun)
    step = look_at_clock(begun, at(86400), sure(at(86400)))
    assert (step.notice, step.parcel.state) == (Notice.DELAYED, State.WAITING)
    assert look_at_clock(step.parcel, at(20 * 86400), sure(at(20 * 86400))) == Step(step.parcel)
    short = parcel(lasts=3600.0)
    assert look_at_clock(short, at(3600), sure(at(3600))).notice is None
    assert look_at_clock(short, at(86400), sure(at(86400))).notice is Notice.EXPIRED


class OneParcel(RuleBasedStateMachine):
    """A parcel's whole life, with a clock that steps both ways and events in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.tried_at = float(NOW)
        self.parcel = parcel(lasts=3 * limits.DAY)
        self.notices: list[Notice] = []
        self.states = [self.parcel.state]
        self.receipts: list[Verdict] = []

    def take(self, step: Step) -> None:
        before, self.parcel = self.parcel, step.parcel
        if before.due_at != self.parcel.due_at:
            self.tried_at = self.now
        if before.state is not self.parcel.state:
            self.states.append(self.parcel.state)
        if step.notice is not None:
            assert before != step.parcel, "a notice is written with a step, or it is lost"
            self.notices.append(step.notice)

    @rule(holders=st.integers(1, 8), thrown=dice)
    def holders_keep_it(self, holders: int, thrown: float) -> None:
        self.take(advance(self.parcel, Leased(holders), Instant(self.now), thrown))

    @rule(thrown=dice)
    def nobody_takes_it(self, thrown: float) -> None:
        self.take(advance(self.parcel, NotPlaced("nobody"), Instant(self.now), thrown))

    @rule(verdict=st.sampled_from(Verdict))
    def a_receipt_comes(self, verdict: Verdict) -> None:
        self.receipts.append(verdict)
        self.take(advance(self.parcel, ReceiptCame(verdict), Instant(self.now), 0.0))

    @rule()
    def its_owner_cancels(self) -> None:
        self.take(advance(self.parcel, Cancelled(), Instant(self.now), 0.0))

    @rule(seconds=st.floats(-2e6, 2e6))
    def the_clock_moves(self, seconds: float) -> None:
        self.now += seconds
        self.take(look_at_clock(self.parcel, Instant(self.now), sure(self.now)))

    @precondition(lambda self: self.parcel.state in OPEN)
    @rule()
    def its_time_comes(self) -> None:
        self.now = max(self.now, self.parcel.due_at)
        self.take(look_at_clock(self.parcel, Instant(self.now), sure(self.now)))

    @invariant()
    def it_ends_in_one_end(self) -> None:
        ends = [state for state in self.states if state not in OPEN]
        assert ends in (
            [],
            [State.DELIVERED],
            [State.REFUSED],
            [State.CANCELLED],
            [State.EXPIRED],
            [State.EXPIRED, State.DELIVERED],
            *(
                [*first, State.REQUESTED, *then]
                for first in ([], [State.EXPIRED])
                for then in ([], [State.DELIVERED], [State.REFUSED])
            ),
        )
        assert self.states[0] is State.WAITING
        assert State.WAITING not in self.states[1:]

    @invariant()
    def only_receipts_deliver_and_refuse(self) -> None:
        if State.DELIVERED in self.states:
            assert Verdict.FILED in self.receipts
        if State.REFUSED in self.states:
            assert set(self.receipts) - {Verdict.FILED, Verdict.REQUESTED}

    @invariant()
    def its_owner_hears_each_thing_once(self) -> None:
        assert len(set(self.notices)) == len(self.notices)
        if Notice.CORRECTED in self.notices:
            assert self.notices[-2:] == [Notice.EXPIRED, Notice.CORRECTED]
        told = {
            State.DELIVERED: {Notice.DELIVERED, Notice.CORRECTED},
            State.REFUSED: {Notice.REFUSED},
            State.EXPIRED: {Notice.EXPIRED},
            State.REQUESTED: {Notice.REQUESTED},
        }
        ends = set(self.notices) - {Notice.DELAYED}
        if self.parcel.state in told:
            assert self.notices[-1] in told[self.parcel.state]
        else:
            assert not ends

    @invariant()
    def it_is_always_looked_at_again_before_its_end(self) -> None:
        if self.parcel.state in OPEN:
            latest = self.tried_at + 1.25 * limits.HELD_SECONDS_MAX
            assert self.parcel.due_at <= max(ends_at(self.parcel), latest)

    def teardown(self) -> None:
        """However it went, time alone ends it."""
        while self.parcel.state in OPEN:
            self.now = max(self.now, self.parcel.due_at)
            self.take(look_at_clock(self.parcel, Instant(self.now), sure(self.now)))
            if self.parcel.state in OPEN:
                self.take(advance(self.parcel, NotPlaced("no"), Instant(self.now), 0.99))
        self.it_ends_in_one_end()
        self.its_owner_hears_each_thing_once()


TestOneParcel = OneParcel.TestCase
