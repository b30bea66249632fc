"""A real node under a service manager: what it says, and how it waits for what it needs."""

from __future__ import annotations

import json
import poplib
import smtplib
import socket
from typing import Any

from person import Person, until
from postroad.app import asking, status_line
from postroad.protocol.health import Facts, judge
from service_manager import ServiceManager, greeting


def test_a_node_that_is_not_set_up_is_up_and_says_so_and_goes_on_by_itself(
    anna: Person, systemd: ServiceManager
) -> None:
    systemd.start()
    heard = systemd.heard(
        "STATUS=Postroad is not set up yet: you have no address. There are no keys and no address "
        "here yet. Make them: postroad setup"
    )
    assert "READY=1" in heard
    assert greeting(systemd.port("smtp")) == (
        b"421 4.3.2 This node is not set up: type postroad setup\r\n"
    )
    assert greeting(systemd.port("imap")) == (
        b"* BYE [UNAVAILABLE] This node is not set up: type postroad setup\r\n"
    )
    assert greeting(systemd.port("pop3")) == (
        b"-ERR [SYS/TEMP] This node is not set up: type postroad setup\r\n"
    )
    told = anna.type("status", "--json")
    assert told.returncode == 4
    assert "not set up yet" in json.loads(told.stdout)["error"]
    verdict = asking.ask(anna.folder / "run" / "control", do="health")
    assert (verdict["state"], verdict["problems"][0]["code"]) == ("setup-needed", "not-set-up")
    assert systemd.process is not None
    before = systemd.process.pid
    anna.set_up()
    systemd.heard("READY=1")
    with smtplib.SMTP("127.0.0.1", systemd.port("smtp"), timeout=30) as smtp:
        smtp.login(anna.address, anna.password)
    client = poplib.POP3("127.0.0.1", systemd.port("pop3"), timeout=30)
    assert client.quit() == b"+OK Goodbye."
    status = anna.postroad("status")
    for door in ("smtp", "imap", "pop3"):
        assert status[f"{door}_port"] == systemd.port(door)
    assert systemd.process.poll() is None
    assert systemd.process.pid == before


def test_a_stop_is_announced_and_ends_at_once_with_clients_at_the_doors(
    anna: Person, systemd: ServiceManager
) -> None:
    anna.set_up()
    systemd.start()
    systemd.heard("READY=1")
    with (
        smtplib.SMTP("127.0.0.1", systemd.port("smtp"), timeout=30) as smtp,
        socket.create_connection(("127.0.0.1", systemd.port("imap")), timeout=30) as imap,
    ):
        smtp.ehlo()
        assert imap.recv(4096).startswith(b"* OK")
        systemd.stop()
        assert systemd.heard("STOPPING=1")
        assert smtp.getreply()[0] == 421
        assert imap.recv(4096).startswith(b"* BYE")
        smtp.close()
    # The ports are held all the same: whoever comes now waits for the next start.
    with socket.create_connection(("127.0.0.1", systemd.port("imap")), timeout=30) as waits:
        systemd.start()
        assert waits.recv(4096).startswith(b"* OK")


def test_the_status_is_the_sentence_of_the_verdict_and_follows_it(
    anna: Person, systemd: ServiceManager
) -> None:
    anna.set_up()
    systemd.start()
    systemd.heard("READY=1")

    def verdict() -> dict[str, Any]:
        return asking.ask(anna.folder / "run" / "control", do="health")

    until(lambda: verdict()["state"] != "starting", "the node is on the network")
    running = verdict()
    systemd.heard(f"STATUS={status_line.line(running)}")
    anna.postroad("pause")
    systemd.heard("STATUS=Your node is paused: no letter comes or goes.")
    assert status_line.line(verdict()) == verdict()["sentence"]
    anna.postroad("resume")
    systemd.heard(f"STATUS={status_line.line(running)}")
    systemd.stop()
    assert "STOPPING=1" in systemd.heard("STATUS=stopping")


def test_a_problem_is_in_the_status_and_a_remark_is_not() -> None:
    locked = judge(Facts(locked_because="A reason."))
    assert status_line.line(locked.told()) == (
        "Your node is locked: its keys wait for you. No letter comes or goes until your keys are "
        "open. A reason. Open them: postroad unlock"
    )
    lonely = judge(Facts(contacts=0))
    assert lonely.problems
    assert status_line.line(lonely.told()) == lonely.sentence


def test_a_taken_folder_is_waited_for_in_words(anna: Person, systemd: ServiceManager) -> None:
    anna.set_up()
    anna.start()
    first = anna.process
    assert first is not None
    systemd.start()
    heard = systemd.heard("READY=1")
    assert any("Another Postroad already runs in" in line for line in heard)
    assert b"421 4.3.2 This node cannot start yet: Another" in greeting(systemd.port("smtp"))
    assert systemd.process is not None
    assert systemd.process.poll() is None
    first.terminate()
    first.wait(30)


def test_a_broken_configuration_is_waited_for_in_words(
    anna: Person, systemd: ServiceManager
) -> None:
    anna.set_up()
    good = anna.config.read_text()
    anna.config.write_text(good + "smtp_prot = 1\n")
    systemd.start(more={"XDG_RUNTIME_DIR": str(anna.folder / "x")})
    heard = systemd.heard("READY=1")
    assert any("smtp_prot is not a key" in line for line in heard)
    assert b"smtp_prot is not a key" in greeting(systemd.port("smtp"))


def test_without_a_manager_a_node_that_is_not_set_up_ends_as_before(anna: Person) -> None:
    assert anna.type("run").returncode == 4


def test_the_watchdog_is_fed_by_a_real_node_and_not_by_one_that_stands_still(
    anna: Person, systemd: ServiceManager
) -> None:
    import signal

    anna.set_up()
    systemd.start(more={"WATCHDOG_USEC": "200000"})
    systemd.heard("READY=1")
    for _ in range(3):
        systemd.heard("WATCHDOG=1")
    assert systemd.process is not None
    systemd.process.send_signal(signal.SIGSTOP)
    until(lambda: systemd.hearing.nothing_for(0.5), "it says nothing more")
    systemd.process.send_signal(signal.SIGCONT)
    systemd.heard("WATCHDOG=1")
