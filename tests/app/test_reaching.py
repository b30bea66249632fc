"""Real nodes and helpers: a home relay is found, lost and replaced; and what their owner reads."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.test_helper import Box
from person import ClaimFailed, Person, meet, until

pytestmark = pytest.mark.usefixtures("quiet_network")


@pytest.fixture
def folder() -> Iterator[Path]:
    if os.environ.get("LINK") == "tls":
        pytest.skip("not for tls: it has no relays")
    with tempfile.TemporaryDirectory(prefix="pr-") as made:
        yield Path(made)


@pytest.fixture
def two(folder: Path) -> Iterator[tuple[Person, Person]]:
    anna, bora = (Person(name, folder, slot) for slot, name in ((61, "anna"), (62, "bora")))
    try:
        for person in (anna, bora):
            person.set_up()
            person.start()
        meet(anna, bora)
        yield anna, bora
    finally:
        for person in (anna, bora):
            person.kill()


@pytest.fixture
def boxes(folder: Path) -> Iterator[list[Box]]:
    made = []
    for number in (0, 1):
        (folder / f"box{number}").mkdir()
        made.append(Box(folder / f"box{number}", number))
    try:
        for box in made:
            box.start()
        yield made
    finally:
        for box in made:
            if box.process is not None and box.process.poll() is None:
                box.process.kill()
                box.process.wait()


def relay_of(person: Person) -> str | None:
    relay: str | None = person.postroad("netcheck")["relay"]
    return relay


def test_a_home_relay_is_found_lost_and_replaced(
    two: tuple[Person, Person], boxes: list[Box]
) -> None:
    anna, _ = two
    assert relay_of(anna) is None
    for box in boxes:
        assert anna.type("accept", box.link()).returncode == 0
    until(lambda: relay_of(anna) is not None, "Anna waits at a relay", 10)
    first = relay_of(anna)
    assert first is not None
    home = next(box for box in boxes if first.endswith(str(box.relay_port)))
    assert home.process is not None
    home.process.kill()
    home.process.wait()
    began = time.monotonic()
    until(lambda: relay_of(anna) not in (None, first), "Anna waits at another relay", 20)
    assert time.monotonic() - began < 15
    (told,) = [one for one in anna.postroad("netcheck")["findings"] if one["about"] == "relay"]
    assert told["state"] == "good"


def test_peers_and_their_ways_are_told(two: tuple[Person, Person]) -> None:
    anna, bora = two
    answer = anna.postroad("peers", "ping", "bora")
    assert answer["direct"]
    assert answer["family"] in ("IPv4", "IPv6")
    assert 0 < answer["milliseconds"] < 1000
    (told,) = anna.postroad("peers")["peers"]
    assert told["name"] == "bora"
    assert told["nodes"][0]["link"]["direct"]
    bora.stop()
    with pytest.raises(ClaimFailed, match="bora's node cannot be reached"):
        anna.postroad("peers", "ping", "bora")
    with pytest.raises(ClaimFailed, match="no contact called 'carl'"):
        anna.postroad("peers", "ping", "carl")


def test_netcheck_ends_in_time_whoever_answers(two: tuple[Person, Person]) -> None:
    anna, bora = two
    assert bora.process is not None
    subprocess.run(["kill", "-STOP", str(bora.process.pid)], check=True)
    began = time.monotonic()
    answer = anna.postroad("netcheck")
    assert time.monotonic() - began < 10
    assert answer["nodes"] == 1
    assert [one["about"] for one in answer["findings"]] == ["network"]  # there is only loopback
    subprocess.run(["kill", "-CONT", str(bora.process.pid)], check=True)
    anna.postroad("pause")
    with pytest.raises(ClaimFailed, match="Your node is paused"):
        anna.postroad("netcheck")
