"""Which notification is due, and that none is due twice or for each letter."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad import contract
from postroad.contract import Health, MessageState, Severity, State
from postroad_tray.client import Signal
from postroad_tray.deeds import Ask, Open, Place, StartService
from postroad_tray.facts import Link, Message, Node, Picture, Problem, Request
from postroad_tray.notices import (
    AWAY_SECONDS,
    STUCK_SECONDS,
    TOLD_MAX,
    Memory,
    Notice,
    Outcome,
    Slot,
    hear,
    look,
    once,
)

START = 1_795_694_400.0
MINUTE, HOUR = 60.0, 3600.0
ONLINE = Picture(Link.THERE, Node(state=State.ONLINE))


class Watched:
    """Somebody who looks whenever the picture changes, and whenever they wanted to."""

    def __init__(self, picture: Picture = ONLINE) -> None:
        self.now = START
        self.picture = picture
        self.memory = Memory()
        self.told: list[Notice] = []
        self.gone: list[Slot] = []
        self.look()

    def look(self) -> Outcome:
        outcome = look(self.memory, self.picture, self.now)
        self.memory = outcome.memory
        self.told += outcome.notices
        self.gone += outcome.gone
        return outcome

    def see(self, picture: Picture) -> None:
        self.picture = picture
        self.look()

    def hear(self, member: str, *values: object) -> None:
        signal = Signal(contract.MANAGER_INTERFACE, member, contract.ROOT_PATH, values)
        self.memory = hear(self.memory, signal, self.picture)
        self.look()

    def wait(self, seconds: float) -> None:
        ends = self.now + seconds
        while (wanted := self.memory.look_at) is not None and wanted <= ends:
            assert wanted > self.now
            self.now = wanted
            self.look()
        self.now = ends

    def titles(self) -> list[str]:
        return [one.title for one in self.told]


def failing(*codes: str, severity: Severity = Severity.ATTENTION) -> Picture:
    problems = tuple(Problem(code, severity, f"About {code}.", "Do.") for code in codes)
    return Picture(Link.THERE, Node(state=State.ONLINE, problems=problems, health=Health.ATTENTION))


def asking(*numbers: int) -> Picture:
    requests = tuple(Request(f"/r/{one}", f"stranger{one}@postroad.alt") for one in numbers)
    return dataclasses.replace(ONLINE, requests=requests)


def stuck(*numbers: int, **more: object) -> Picture:
    known = {"accepted_at": int(START - STUCK_SECONDS), "tries": 5, "state": MessageState.WAITING}
    letters = tuple(
        Message(f"/m/{one}", recipient=f"bora{one}", **{**known, **more})  # type: ignore[arg-type]
        for one in numbers
    )
    return dataclasses.replace(ONLINE, messages=letters)


def test_a_node_that_is_well_has_nothing_to_tell_and_wakes_nobody() -> None:
    watched = Watched()
    assert watched.look().look_at is None
    letters = stuck(*range(100), accepted_at=int(START), tries=0)
    watched.see(letters)  # a hundred letters that have just been written
    assert watched.told == []
    assert watched.memory.look_at is None


def test_letters_that_came_back_together_are_one_notice() -> None:
    watched = Watched(stuck(1, 2, accepted_at=int(START)))
    for number in range(1, 41):
        watched.hear("MessageFailed", f"/m/{number}", "failed", "They do not take it.")
    assert watched.told == []
    watched.wait(30)
    (notice,) = watched.told
    assert notice.title == "40 letters came back"
    assert notice.body == "bora1: They do not take it.\nAnd 39 more."
    assert notice.deed == Open(Place.QUEUE)


def test_one_that_comes_back_soon_after_waits_and_is_not_lost() -> None:
    watched = Watched()
    watched.hear("MessageFailed", "/m/1", "failed", "No.")
    watched.wait(60)
    watched.hear("MessageFailed", "/m/2", "failed", "No.")
    watched.wait(60)
    assert watched.titles() == ["A letter came back"]
    watched.wait(10 * MINUTE)
    assert watched.titles() == ["A letter came back"] * 2


@pytest.mark.parametrize(
    ("member", "values"),
    [
        ("MessageFailed", ("/m/1", "cancelled", "You did.")),
        ("MessageFailed", ("/m/1",)),
        ("MessageFailed", (1, "failed", "odd")),
        ("MessageQueued", ("/m/1",)),
        ("MessageDelivered", ("/m/1", {})),
    ],
)
def test_what_else_happens_to_letters_is_not_told(member: str, values: tuple[object, ...]) -> None:
    watched = Watched()
    watched.hear(member, *values)
    watched.wait(HOUR)
    assert watched.told == []


def test_another_service_cannot_say_that_a_letter_came_back() -> None:
    signal = Signal("org.example.Other", "MessageFailed", "/", ("/m/1", "failed", "No."))
    assert hear(Memory(), signal, ONLINE).returned == ()


def test_a_stranger_who_writes_is_told_once_and_taken_back_when_answered() -> None:
    watched = Watched()
    watched.see(asking(1))
    watched.wait(10)
    (notice,) = watched.told
    assert notice.title == "Somebody new has written to you"
    assert "stranger1@postroad.alt" in notice.body
    assert notice.buttons[0].deed == Open(Place.REQUESTS)
    watched.wait(5 * HOUR)
    watched.see(asking(1))
    assert len(watched.told) == 1
    watched.see(ONLINE)
    assert watched.gone == [Slot.REQUESTS]


def test_a_flood_of_strangers_is_a_notice_each_half_hour() -> None:
    watched = Watched()
    for number in range(1, 121):  # one each minute
        watched.see(asking(*range(1, number + 1)))
        watched.wait(MINUTE)
    assert len(watched.told) <= 5
    assert watched.titles()[1] == "30 new people have written to you"


def test_a_letter_that_cannot_leave_is_told_after_hours_and_not_before() -> None:
    watched = Watched(stuck(1, accepted_at=int(START - HOUR)))
    watched.wait(HOUR)
    assert watched.told == []
    watched.see(stuck(1))
    watched.wait(20 * MINUTE)
    assert watched.titles() == ["A letter could not leave yet"]
    assert "bora1" in watched.told[0].body
    watched.see(ONLINE)
    assert watched.gone == [Slot.STUCK]


@pytest.mark.parametrize("more", [{"holders": 1}, {"state": MessageState.HELD}, {"tries": 1}])
def test_a_letter_that_others_hold_or_that_was_hardly_tried_is_not_stuck(
    more: dict[str, object],
) -> None:
    watched = Watched(stuck(1, **more))
    watched.wait(HOUR)
    assert watched.told == []


def test_what_needs_attention_is_told_once_it_has_lasted() -> None:
    watched = Watched(failing("disk-low"))
    watched.wait(29 * MINUTE)
    assert watched.told == []
    watched.wait(2 * MINUTE)
    assert watched.titles() == ["Postroad needs your attention"]
    assert watched.told[0].body == "About disk-low."
    watched.wait(30 * 24 * HOUR)
    watched.see(failing("disk-low", "clock-wrong"))
    watched.wait(HOUR)
    assert [one.body for one in watched.told] == ["About disk-low.", "About clock-wrong."]


def test_what_breaks_the_mail_is_told_within_minutes() -> None:
    watched = Watched(failing("door-shut", severity=Severity.BROKEN))
    watched.wait(4 * MINUTE)
    assert watched.titles() == ["Postroad cannot do its work"]


def test_what_comes_and_goes_is_told_once_a_day_part() -> None:
    watched = Watched()
    for _number in range(20):
        watched.see(failing("nobody", severity=Severity.BROKEN))
        watched.wait(5 * MINUTE)
        watched.see(ONLINE)
        watched.wait(5 * MINUTE)
    assert len(watched.told) == 1
    watched.wait(AWAY_SECONDS)
    watched.see(failing("nobody", severity=Severity.BROKEN))
    watched.wait(5 * MINUTE)
    assert len(watched.told) == 2


def test_information_and_what_is_said_otherwise_is_no_notice() -> None:
    watched = Watched(failing("few-holders", severity=Severity.INFO))
    watched.see(failing("not-set-up", "late-here"))
    watched.wait(HOUR)
    assert watched.told == []


def test_hours_in_which_the_computer_slept_do_not_count() -> None:
    watched = Watched(failing("disk-low"))
    watched.now += 8 * HOUR  # no timer fired
    watched.look()
    assert watched.told == []
    watched.wait(31 * MINUTE)
    assert len(watched.told) == 1


def test_a_service_that_stops_is_told_and_one_that_never_ran_is_not() -> None:
    absent = Picture(Link.ABSENT)
    never = Watched(absent)
    never.wait(HOUR)
    assert never.told == []
    watched = Watched()
    watched.see(absent)
    watched.wait(11 * MINUTE)
    assert watched.titles() == ["Postroad is off"]
    assert watched.told[0].buttons[0].deed == StartService()
    watched.see(ONLINE)
    assert watched.gone == [Slot.SERVICE]


def test_a_restart_of_the_service_is_not_told() -> None:
    watched = Watched()
    for link in (Link.ABSENT, Link.ASKED, Link.SILENT, Link.THERE) * 3:
        watched.see(dataclasses.replace(ONLINE, link=link))
        watched.wait(MINUTE)
    watched.wait(HOUR)
    assert watched.told == []


def test_a_service_that_is_silent_or_locked_is_told() -> None:
    watched = Watched(Picture(Link.SILENT))
    watched.wait(4 * MINUTE)
    assert watched.titles() == ["Postroad does not answer"]
    locked = Watched(Picture(Link.THERE, Node(state=State.LOCKED, health=Health.ATTENTION)))
    locked.wait(2 * MINUTE)
    deed = locked.told[0].deed
    assert isinstance(deed, Ask)
    assert deed.question.member == "Unlock"


def test_what_was_told_before_the_last_logout_is_not_told_again() -> None:
    watched = Watched(asking(1))
    watched.wait(10)
    after = Watched(asking(1, 2))
    after.memory, after.told = Memory(told=watched.memory.told), []
    after.now = START + HOUR
    after.look()
    after.wait(10)
    assert [one.body for one in after.told] == [
        "A letter of stranger2@postroad.alt waits until you have accepted them."
    ]


def test_what_is_said_once_is_said_once_for_good() -> None:
    memory, is_new = once(Memory(), "no icon", START)
    assert is_new
    later = look(memory, ONLINE, START + 400 * 24 * HOUR).memory
    assert not once(later, "no icon", START)[1]


PICTURES = st.builds(
    Picture,
    link=st.sampled_from(Link),
    node=st.builds(
        Node,
        state=st.sampled_from(State),
        problems=st.lists(
            st.builds(Problem, st.sampled_from(["a", "b"]), st.sampled_from(Severity)), max_size=2
        ).map(tuple),
    ),
    messages=st.lists(
        st.builds(
            Message,
            st.sampled_from(["/m/1", "/m/2"]),
            state=st.sampled_from(MessageState),
            tries=st.integers(0, 9),
        ),
        max_size=2,
    ).map(tuple),
    requests=st.lists(
        st.builds(Request, st.sampled_from(["/r/1", "/r/2"])), max_size=2
    ).map(tuple),
)  # fmt: skip


@given(st.lists(st.tuples(PICTURES, st.floats(-1e4, 1e5)), max_size=12))
def test_whatever_happens_a_look_ends_and_wants_the_next_one_later(
    steps: list[tuple[Picture, float]],
) -> None:
    memory, now = Memory(), START
    for picture, seconds in steps:
        now += seconds
        outcome = look(memory, picture, now)
        memory = outcome.memory
        assert outcome.look_at is None or outcome.look_at > now
        assert len({one.slot for one in outcome.notices}) == len(outcome.notices)
        again = look(memory, picture, now)
        assert again.notices == ()


def test_what_was_told_is_kept_within_bounds() -> None:
    memory = Memory(told={f"cause {one}": START - one for one in range(5 * TOLD_MAX)})
    assert len(look(memory, ONLINE, START).memory.told) == TOLD_MAX


@pytest.mark.parametrize("count", [1, 3])
def test_without_names_a_notice_tells_neither_whom_it_is_about_nor_why(count: int) -> None:
    secret = Problem("x", Severity.BROKEN, "The helper secret does not serve you.", "Ask secret.")
    for slot in (Slot.RETURNED, Slot.STUCK, Slot.REQUESTS, Slot.CARE):
        letters = tuple(
            dataclasses.replace(one, recipient=f"secret{one.recipient}")
            for one in stuck(*range(count)).messages
        )
        watched = Watched()
        if slot is Slot.RETURNED:
            fresh = (dataclasses.replace(one, tries=0) for one in letters)
            watched.see(dataclasses.replace(ONLINE, messages=tuple(fresh)))
            for letter in letters:
                watched.hear("MessageFailed", letter.object_path, "failed", "secret: No.")
        elif slot is Slot.STUCK:
            watched.see(dataclasses.replace(ONLINE, messages=letters))
        elif slot is Slot.REQUESTS:
            new = tuple(Request(f"/r/{n}", f"secret{n}@postroad.alt") for n in range(count))
            watched.see(dataclasses.replace(ONLINE, requests=new))
        else:
            node = Node(state=State.ONLINE, problems=(secret,) * count)
            watched.see(Picture(Link.THERE, node))
        watched.wait(HOUR)
        (notice,) = watched.told
        assert notice.slot is slot
        assert "secret" in notice.words(shows_names=True) or count > 1
        assert "secret" not in notice.title
        assert "secret" not in notice.words(shows_names=False)
        assert notice.words(shows_names=False)


def test_a_notice_without_names_says_the_same_either_way() -> None:
    watched = Watched()
    watched.see(Picture(Link.SILENT))
    watched.wait(HOUR)
    (notice,) = watched.told
    assert notice.words(shows_names=False) == notice.words(shows_names=True) == notice.body


def test_a_clock_that_is_set_back_keeps_no_notice_from_its_time() -> None:
    watched = Watched(failing("one"))
    watched.wait(HOUR)
    assert len(watched.told) == 1
    watched.now -= 30 * 24 * HOUR
    watched.see(failing("one", "two"))
    watched.wait(HOUR)
    assert watched.told[-1].body == "About two."
