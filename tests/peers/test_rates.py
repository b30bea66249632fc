"""How fast something may go."""

from hypothesis import given
from hypothesis import strategies as some

from postroad.peers.rates import Allowance, Bucket


def test_a_burst_passes_at_once_and_the_rest_at_the_rate() -> None:
    bucket = Bucket(100, 400, now=10.0)
    assert bucket.draw(400, 10.0) == 0
    assert bucket.draw(50, 10.0) == 0.5
    assert bucket.draw(50, 10.0) == 1.0  # the next one waits behind
    assert bucket.draw(0, 11.0) == 0
    assert bucket.draw(500, 1000.0) == 1.0  # it never holds more than the burst


def test_what_is_refused_is_not_owed() -> None:
    bucket = Bucket(1, 2, now=0.0)
    assert [bucket.draw_if_there(1, 0.0) for _ in range(4)] == [True, True, False, False]
    assert bucket.draw_if_there(1, 1.0)
    assert not bucket.draw_if_there(1, 0.5)  # and a clock that went back gives nothing


@given(
    some.lists(some.tuples(some.floats(0, 5), some.integers(0, 1000)), max_size=60),
    some.integers(1, 500),
    some.integers(1, 2000),
)
def test_who_waits_as_told_never_takes_more_than_the_rate_and_a_burst(
    draws: list[tuple[float, int]], per_second: int, burst: int
) -> None:
    bucket = Bucket(per_second, burst, now=0.0)
    now, taken = 0.0, 0
    for pause, size in draws:
        now += pause
        taken += size
        now += bucket.draw(size, now)
        assert taken <= burst + per_second * now + 1e-6 * (1 + taken)


def test_an_allowance_is_for_each_who_comes_and_grows_again() -> None:
    allowance = Allowance(3, 0.5, 10)
    assert [allowance.takes("anna", 0.0) for _ in range(4)] == [True, True, True, False]
    assert allowance.takes("bora", 0.0)
    assert not allowance.takes("anna", 1.0)
    assert allowance.takes("anna", 2.5)
    assert not allowance.takes("anna", 2.5)


def test_whoever_was_quiet_longest_is_forgotten_when_too_many_come() -> None:
    allowance = Allowance(1, 1e-6, 3)
    assert all(allowance.takes(who, 0.0) for who in "abc")
    assert not allowance.takes("a", 0.0)  # so that b is the quietest
    assert allowance.takes("d", 0.0)
    assert not allowance.takes("a", 0.0)
    assert allowance.takes("b", 0.0)  # it was forgotten, and is new
