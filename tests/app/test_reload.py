"""A running node takes over another configuration, and nobody at its doors notices."""

from __future__ import annotations

import imaplib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.test_node import letter
from person import Person, ended, meet, surroundings, until
from service_manager import ServiceManager

SLOT = 40


@pytest.fixture
def people(short_folder: Path) -> Iterator[list[Person]]:
    made = [Person("anna", short_folder, SLOT), Person("bora", short_folder, SLOT + 1)]
    with ended(made):
        for one in made:
            one.set_up()
        yield made


def say(person: Person, *lines: str) -> None:
    """Write these lines into the configuration, in place of those of the same keys."""
    keys = [line.partition(" ")[0] for line in lines]
    kept = [
        line
        for line in person.config.read_text().splitlines()
        if line.partition(" ")[0] not in keys
    ]
    person.config.write_text("\n".join([*kept, *lines]) + "\n")


def log_of(person: Person) -> str:
    return (person.folder / "log").read_text()


def test_who_is_idle_at_the_door_stays_and_hears_of_the_next_letter(people: list[Person]) -> None:
    anna, bora = people
    for one in people:
        one.start()
    meet(anna, bora)
    with anna.imap() as reader:
        idle(reader)
        say(anna, "size_max_mib = 0.2", 'log_level = "warning"', 'hold_for = "contacts"')
        told = anna.postroad("config", "reload")
        assert told == {"changed": ["size_max_mib", "hold_for", "log_level"], "after_restart": []}
        before = log_of(anna)
        bora.submit(anna.address, letter(bora, anna, "after the reload"))
        assert b"EXISTS" in reader.readline()
        reader.send(b"DONE\r\n")
        until(lambda: b"OK" in reader.readline(), "the same connection goes on")
    big = letter(anna, bora, "large", "a" * 300_000)
    with pytest.raises(Exception, match="size_max_mib"):
        anna.submit(bora.address, big)
    assert " INFO " not in log_of(anna)[len(before) :]
    assert anna.postroad("config", "reload") == {"changed": [], "after_restart": []}


def idle(reader: imaplib.IMAP4) -> None:
    reader.send(b"i1 IDLE\r\n")
    while not reader.readline().startswith(b"+"):
        pass


def test_a_signal_does_the_same_and_what_cannot_change_now_waits_for_a_start(
    people: list[Person],
) -> None:
    anna, _ = people
    anna.start()
    say(anna, "refuse_silently = true", "dial_private = false", 'relay = "off"')
    assert anna.process is not None
    anna.process.send_signal(signal.SIGHUP)
    until(lambda: "configuration read; changed: refuse_silently;" in log_of(anna), "it was read")
    assert "after a new start: dial_private, relay" in log_of(anna)
    said = anna.type("config", "reload").stdout
    assert "What waits for a new start of your node: dial_private, relay. To start it " in said
    assert said.endswith("again, stop it with Ctrl-C, then type: postroad run\n")


def test_a_mistake_leaves_all_as_it_was_and_is_told_everywhere(people: list[Person]) -> None:
    anna, _ = people
    systemd = ServiceManager(anna)
    try:
        systemd.start()
        systemd.heard("READY=1")
        good = anna.config.read_text()
        say(anna, 'log_level = "debug"', "smtp_prot = 1", "lan = 3")
        done = anna.type("config", "reload")
        assert done.returncode == 1
        assert "smtp_prot is not a key (did you mean smtp_port?)" in done.stderr
        assert "lan = 3: it must be true or false" in done.stderr
        heard = systemd.heard("READY=1")
        assert "RELOADING=1" in heard
        assert any("its configuration has a mistake" in line for line in heard)
        assert "the one before counts" in log_of(anna)
        assert " DEBUG " not in log_of(anna)
        anna.config.write_text(good)
        assert "configuration" in [one["code"] for one in anna.postroad("status")["problems"]]
        assert anna.postroad("config", "reload") == {"changed": [], "after_restart": []}
        assert "STATUS=running" in systemd.heard("READY=1")
        assert "configuration" not in [one["code"] for one in anna.postroad("status")["problems"]]
    finally:
        systemd.close()


def test_a_node_that_waits_for_its_configuration_is_told_to_look_at_once(
    people: list[Person],
) -> None:
    anna, _ = people
    systemd = ServiceManager(anna)
    good = anna.config.read_text()
    try:
        say(anna, "lan = 3")
        systemd.start(more={"XDG_RUNTIME_DIR": str(anna.folder / "x")})
        systemd.heard("READY=1")
        anna.config.write_text(good)
        assert systemd.process is not None
        systemd.process.send_signal(signal.SIGHUP)
        systemd.heard("READY=1")
        assert anna.postroad("status")["address"] == anna.address
    finally:
        systemd.close()


def test_a_closed_terminal_still_ends_the_node(people: list[Person]) -> None:
    import pty

    anna, _ = people
    leader, terminal = pty.openpty()
    program = (
        "import os,sys,fcntl,termios\n"
        "os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *anna.command, "run"],
        stdin=terminal,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=surroundings(),
    )
    os.close(terminal)
    try:
        until(lambda: anna.answers(), "the node is up")
        os.close(leader)
        assert process.wait(20) == 0
    finally:
        process.kill()


def test_with_no_node_the_answer_is_what_it_is_for_every_command(people: list[Person]) -> None:
    anna, _ = people
    done = anna.type("config", "reload", "--json")
    assert done.returncode == 3
    assert "is not running" in json.loads(done.stdout)["error"]
