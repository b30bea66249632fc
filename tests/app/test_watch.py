"""`postroad watch`: what changes is shown, on a terminal, in a pipe and for programs."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import answer_check
from app.answering import node_that_says, set_up
from person import Person, meet, surroundings, until
from postroad.app import config as configuration
from postroad.app import news, telling_watch, watch_cli
from postroad.protocol.health import Facts, judge

SLOT = 64
SECONDS_MAX = 30.0
QUIET: news.Scene = {
    **judge(Facts()).told(),
    "contact_count": 1,
    "holders": 8,
    "letters_under_way": 0,
    "letters": [],
    "peers": [],
}
LETTER = {
    "id": 7,
    "letter": "0f" * 16,
    "recipient": "ben.f@postroad.alt",
    "size": 9,
    "state": "waiting",
    "holders": 0,
    "tries": 0,
    "accepted_at": 0.0,
    "expires_at": 9.0,
    "next_try_at": 5.0,
    "reason": "",
}
PEER = {
    "name": "ben",
    "seen_at": None,
    "path": "none",
    "milliseconds": None,
    "holds_for_us": True,
    "we_hold_for_them": False,
}
LINKED = {**PEER, "path": "direct", "milliseconds": 1.5}
PAUSED = judge(Facts(is_paused=True)).told()
FULL = judge(Facts(contacts=0, requests=1)).told()


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (None, {}, ["Your node is online: letters come and go."]),
        ({}, {}, []),
        ({}, PAUSED, ["Your node is paused", "info: You pause"]),
        (FULL, {}, ["over: You have no contacts yet", "over: 1 letter of a stranger"]),
        ({}, {"letters": [LETTER]}, ["letter 7 to ben.f@postroad.alt: waiting"]),
        ({"letters": [LETTER]}, {"letters": [LETTER]}, []),
        (
            {"letters": [LETTER]},
            {"letters": [{**LETTER, "state": "held", "holders": 1}]},
            ["letter 7 to ben.f@postroad.alt: held, by 1 holder"],
        ),
        (
            {"letters": [LETTER]},
            {"letters": [{**LETTER, "state": "late", "holders": 2}]},
            ["letter 7 to ben.f@postroad.alt: late, by 2 holders"],
        ),
        (
            {"letters": [LETTER]},
            {"letters": [{**LETTER, "state": "delivered", "next_try_at": None}]},
            ["letter 7 to ben.f@postroad.alt: delivered"],
        ),
        ({"letters": [LETTER]}, {}, []),  # it was told when it came to its end
        ({"peers": [PEER]}, {"peers": [LINKED]}, ["ben's node: linked, direct, 1.5 ms"]),
        ({"peers": [LINKED]}, {"peers": [PEER]}, ["ben's node: no link any more"]),
        ({}, {"peers": [PEER]}, ["ben is a contact now"]),
        (None, {"peers": [PEER]}, ["Your node is online"]),
    ],
)
def test_what_is_new_is_a_line_and_nothing_else_is(
    before: dict[str, Any] | None, after: dict[str, Any], lines: list[str]
) -> None:
    old = None if before is None else {**QUIET, **before}
    told = list(news.between(old, {**QUIET, **after}))
    assert len(told) == len(lines), told
    assert [one for one, says in zip(told, lines, strict=True) if not one.startswith(says)] == []


def drawn(scene: news.Scene, width: int = 100) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, height=60, force_terminal=True, color_system=None)
    console.print(telling_watch.picture(scene))
    return out.getvalue()


def test_the_view_shows_state_problems_letters_and_nodes() -> None:
    said = drawn({**QUIET, **FULL, "letters": [LETTER], "peers": [PEER, LINKED]})
    assert said.startswith("Your node is online")
    for part in ("- You have no contacts yet", "postroad requests", "ben.f@postroad.alt", "1.5 ms"):
        assert part in said
    many = drawn({**QUIET, "letters": [{**LETTER, "id": n} for n in range(25)]})
    assert "and 5 more: postroad queue" in many


def test_words_of_others_command_no_terminal() -> None:
    evil = "[bold red]x[/]\x1b[2J\x07"
    scene = {
        **QUIET,
        "letters": [{**LETTER, "reason": evil}],
        "peers": [{**PEER, "name": evil}],
        "problems": [
            {"code": "x", "severity": "of tomorrow", "summary": evil, "next_step": evil},
        ],
    }
    said = drawn(scene)
    assert "\x1b[2J" not in said
    assert "\x07" not in said
    assert said.count("[bold red]x[/]") == 4


@pytest.fixture
def people(tmp_path: Path) -> Iterator[list[Person]]:
    made = [Person(name, tmp_path, SLOT + n, link="tls") for n, name in enumerate(("ann", "bob"))]
    try:
        for one in made:
            one.set_up()
            one.start()
        meet(*made)
        yield made
    finally:
        for one in made:
            one.kill()


class Watching:
    """A command that goes on until it is told to stop, and what it wrote."""

    def __init__(self, person: Person, *words: str, terminal: bool = False) -> None:
        read, write = pty.openpty() if terminal else os.pipe()
        if terminal:
            fcntl.ioctl(read, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
        self.process = subprocess.Popen(
            [*person.command, "watch", *words],
            stdin=write if terminal else subprocess.DEVNULL,
            stdout=write,
            stderr=subprocess.PIPE,
            env={**surroundings(), "TERM": "xterm"},
            start_new_session=True,
        )
        os.close(write)
        self.read, self.seen = read, ""

    def until_it_says(self, words: str) -> None:
        ends = time.monotonic() + SECONDS_MAX
        while words not in self.seen:
            assert time.monotonic() < ends, self.seen
            if select.select([self.read], [], [], 0.2)[0]:
                self.seen += os.read(self.read, 65536).decode()

    def stop(self) -> None:
        """With Ctrl-C; it ends well, and says nothing about it."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stderr is not None
        with self.process.stderr as errors:
            said = errors.read()
        while True:
            try:
                some = os.read(self.read, 65536)
            except OSError:  # a terminal that nobody has open any more
                break
            if not some:
                break
            self.seen += some.decode()
        os.close(self.read)
        assert (self.process.wait(SECONDS_MAX), said) == (0, b"")

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.seen.splitlines()]


def letter(author: Person) -> bytes:
    return f"From: {author.address}\r\nSubject: secret\r\n\r\nHello!\r\n".encode()


def test_a_program_gets_an_object_for_each_change_also_over_a_restart(people: list[Person]) -> None:
    ann, bob = people
    watching = Watching(ann, "--json")
    watching.until_it_says("\n")
    ann.submit(bob.address, letter(ann))
    watching.until_it_says('"state": "delivered"')
    ann.stop()
    watching.until_it_says('"sentence": "Your node is off')
    before = len(watching.seen)
    ann.start()
    until(lambda: ann.postroad("status")["state"] in ("online", "degraded"), "it is back")
    ann.postroad("pause")
    watching.until_it_says('"state": "paused"')
    watching.stop()
    found = watching.objects()
    assert [fault for one in found if (fault := answer_check.fault(["watch"], one))] == []
    assert all(one != next_ for one, next_ in pairwise(found))
    ended = [one for scene in found for one in scene["letters"] if one["state"] == "delivered"]
    assert len(ended) == 1  # whatever comes to its end is told of once
    assert len(watching.seen) > before
    assert "secret" not in watching.seen


def test_a_pipe_gets_a_line_for_each_change(people: list[Person]) -> None:
    ann, bob = people
    bob.stop()
    watching = Watching(ann)
    watching.until_it_says("Your node is ")
    ann.submit(bob.address, letter(ann))
    watching.until_it_says(f"to {bob.address}: waiting")
    ann.postroad("pause")
    watching.until_it_says("Your node is paused: no letter comes or goes.\n")
    watching.stop()
    assert all(line[2] == line[5] == ":" for line in watching.seen.splitlines())
    assert "\x1b" not in watching.seen


def test_a_terminal_shows_one_view_and_is_left_as_it_was(people: list[Person]) -> None:
    ann, bob = people
    watching = Watching(ann, terminal=True)
    watching.until_it_says("Ctrl-C ends this.")
    assert "\x1b[?1049h" in watching.seen
    bob.stop()
    ann.submit(bob.address, letter(ann))
    watching.until_it_says("letter to")
    watching.stop()
    assert watching.seen.rstrip().endswith(("\x1b[?1049l", "\x1b[?25h"))
    assert "\x1b[?1049l" in watching.seen


def test_a_node_that_is_off_from_the_start_is_not_watched(tmp_path: Path) -> None:
    ann = Person("ann", tmp_path, SLOT, link="tls")
    assert ann.type("watch").returncode == 4
    ann.set_up()
    done = ann.type("watch", "--json")
    assert done.returncode == 3
    assert "Start it with: postroad run" in json.loads(done.stdout)["error"]


def test_a_locked_node_that_stops_is_waited_for(people: list[Person]) -> None:
    ann, _ = people
    words = "five words that nobody guesses\n"
    done = ann.type("keys", "protect", "--passphrase", "--json", stdin=words)
    assert done.returncode == 0, done.stdout
    ann.stop()
    ann.begin_start()
    until(lambda: '"locked": true' in ann.type("status", "--json").stdout, "it is locked")
    watching = Watching(ann)
    watching.until_it_says("Your node is locked: its keys wait for you.")
    ann.stop()
    watching.until_it_says("Your node is off: no letter comes or goes.")
    watching.until_it_says("Start it: postroad run")
    ann.begin_start()
    ends = time.monotonic() + SECONDS_MAX
    while watching.seen.count("Your node is locked") < 2:
        assert time.monotonic() < ends, watching.seen
        watching.until_it_says("Your node is locked")
        if select.select([watching.read], [], [], 0.2)[0]:
            watching.seen += os.read(watching.read, 65536).decode()
    watching.stop()


def test_a_store_that_cannot_be_read_is_shown_by_what_the_node_says_of_it() -> None:
    broken = judge(Facts(store_trouble="database disk image is malformed")).told()
    answers = [
        {"ok": True, "seen": 1},
        {"ok": True, **broken, "paused": False},
        {"ok": False, "error": "The store cannot be read."},
    ]
    octets = [json.dumps(one).encode() + b"\n" for one in answers]
    with set_up() as config, node_that_says(config, *octets):
        scene = next(watch_cli.scenes(configuration.load(config)))
    assert answer_check.fault(["watch"], {"version": 1, **scene}) == ""
    assert scene["sentence"] == broken["sentence"]
    assert "malformed" in scene["problems"][0]["summary"]
    assert (scene["contact_count"], scene["letters"]) == (0, [])
