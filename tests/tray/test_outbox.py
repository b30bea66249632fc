"""What waits for the thread that draws: in order, never a heap, and nothing after the end; and how
a second tray finds the first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad_tray import instance
from postroad_tray.bus import Line
from postroad_tray.facts import Link, Picture
from postroad_tray.outbox import HINTS_MAX, Outbox
from postroad_tray.pace import Bucket
from postroad_tray.post import Post


class Thread:
    """That of whoever draws, which runs when the test says so."""

    def __init__(self) -> None:
        self.posted: list[Callable[[], None]] = []
        self.seen: list[str] = []

    def post(self, deliver: Callable[[], None]) -> None:
        self.posted.append(deliver)

    def run(self) -> None:
        posted, self.posted = self.posted, []
        for each in posted:
            each()

    def note(self, what: str) -> Callable[[], None]:
        return lambda: self.seen.append(what)


def test_what_happened_comes_in_its_order_and_the_last_picture_alone() -> None:
    thread = Thread()
    outbox = Outbox(thread.post)
    outbox.put_picture(thread.note("picture 1"))
    outbox.put(thread.note("answer"))
    outbox.put_hint(thread.note("signal"))
    outbox.put_picture(thread.note("picture 2"))
    assert len(thread.posted) == 1
    thread.run()
    assert thread.seen == ["answer", "signal", "picture 2"]
    outbox.put_picture(thread.note("picture 3"))
    thread.run()
    assert thread.seen[-1] == "picture 3"


@given(st.lists(st.sampled_from(["picture", "answer", "hint", "run"]), max_size=60))
def test_every_answer_comes_once_and_of_pictures_the_last(what: list[str]) -> None:
    thread = Thread()
    outbox = Outbox(thread.post)
    put = {"picture": outbox.put_picture, "answer": outbox.put, "hint": outbox.put_hint}
    given_in: list[str] = []
    for number, one in enumerate(what):
        if one == "run":
            thread.run()
        else:
            given_in.append(f"{one} {number}")
            put[one](thread.note(given_in[-1]))
        assert len(thread.posted) <= 1
    thread.run()
    others = [one for one in given_in if not one.startswith("picture")]
    assert [one for one in thread.seen if not one.startswith("picture")] == others
    pictures = [one for one in given_in if one.startswith("picture")]
    assert [one for one in thread.seen if one.startswith("picture")][-1:] == pictures[-1:]
    assert thread.seen == sorted(thread.seen, key=given_in.index)


def test_of_signals_there_is_room_for_so_many() -> None:
    thread = Thread()
    outbox = Outbox(thread.post)
    for number in range(2 * HINTS_MAX):
        outbox.put_hint(thread.note(str(number)))
    thread.run()
    assert thread.seen == [str(number) for number in range(HINTS_MAX)]


def test_what_cannot_be_shown_is_logged_and_the_rest_is_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    thread = Thread()
    outbox = Outbox(thread.post)

    def fails() -> None:
        raise ValueError("no")

    outbox.put(fails)
    outbox.put(thread.note("answer"))
    with caplog.at_level(logging.ERROR):
        thread.run()
    assert (thread.seen, len(caplog.records)) == (["answer"], 1)


def test_after_the_end_nothing_is_delivered() -> None:
    thread = Thread()
    outbox = Outbox(thread.post)
    outbox.put(thread.note("before"))
    outbox.shut()
    outbox.put(thread.note("after"))
    thread.run()
    assert not thread.seen


def test_whoever_has_ended_is_posted_to_no_more() -> None:
    tried: list[object] = []

    def gone(deliver: object) -> None:
        tried.append(deliver)
        raise RuntimeError("deleted")

    outbox = Outbox(gone)
    outbox.put(lambda: None)
    outbox.put(lambda: None)
    assert len(tried) == 1


def test_a_line_that_never_began_leaves_nothing_behind() -> None:
    seen: list[Picture] = []
    line = Line(lambda deliver: None, bus_address="")
    line.watch(seen.append)
    line.close()
    line.join(1.0)
    assert [one.link for one in seen] == [Link.ASKED]


def test_what_comes_before_it_is_known_who_draws_waits() -> None:
    thread = Thread()
    post = Post()
    post(thread.note("first"))
    post(thread.note("second"))
    post.to(thread.posted.append)
    post(thread.note("third"))
    thread.run()
    assert thread.seen == ["first", "second", "third"]


def test_of_a_kind_there_are_so_many_at_once_and_so_many_a_second() -> None:
    bucket = Bucket(3, 2.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(101.0) for _ in range(3)] == [True, True, False]
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]


# One in each session ------------------------------------------------------------------------------


def test_a_lock_is_one_programs_until_it_ends(tmp_path: Path) -> None:
    session = {"XDG_RUNTIME_DIR": str(tmp_path)}
    first = instance.Lock.taken("unix:path=/a", session)
    assert first is not None
    assert instance.Lock.taken("unix:path=/a", session) is None
    other = instance.Lock.taken("unix:path=/b", session)
    assert other is not None
    first.free()
    again = instance.Lock.taken("unix:path=/a", session)
    assert again is not None
    again.free()
    other.free()
    assert {one.stat().st_mode & 0o777 for one in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize("where", ["", "/nowhere/at/all"])
def test_without_a_folder_for_it_everybody_has_a_lock(where: str) -> None:
    for _ in range(2):
        assert instance.Lock.taken("unix:path=/a", {"XDG_RUNTIME_DIR": where}) is not None


def test_a_link_in_the_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    session = {"XDG_RUNTIME_DIR": str(tmp_path)}
    lock = instance.Lock.taken("unix:path=/a", session)
    assert lock is not None
    lock.free()
    (name,) = tmp_path.iterdir()
    name.unlink()
    target = tmp_path / "somebody's file"
    name.symlink_to(target)
    assert instance.Lock.taken("unix:path=/a", session) is not None
    assert not target.exists()


@pytest.mark.parametrize(
    ("page", "options", "heard"),
    [
        ("queue", {}, ("queue", "")),
        ("", {instance.TOKEN: "gnome-shell/1234"}, ("", "gnome-shell/1234")),
        ("", {instance.TOKEN: "two\nlines"}, ("", "")),
        ("", {instance.TOKEN: "x" * 1000}, ("", "")),
        ("", {instance.TOKEN: 7}, ("", "")),
        ("x" * 1000, {"other": [1]}, ("x" * instance.PAGE_LENGTH_MAX, "")),
    ],
)
def test_what_a_second_start_says_is_taken_as_far_as_it_is_fit(
    page: str, options: dict[str, Any], heard: tuple[str, str]
) -> None:
    said: list[tuple[str, str]] = []
    offer = instance.offer(instance.NAME, lambda *both: said.append(both))
    _, activate = offer.methods["Activate"]
    activate([page, options])
    assert said == [heard]
