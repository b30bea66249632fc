"""A node that cannot start yet, under a service manager: what it says, and what survives a look."""

from __future__ import annotations

import json
import smtplib
from contextlib import suppress
from typing import Any

import pytest

import answer_check
from person import Person, until
from postroad.app import asking
from postroad.base.errors import PostroadError
from service_manager import ServiceManager, greeting


def ask(anna: Person, do: str, **more: str) -> dict[str, Any]:
    return asking.ask(anna.folder / "run" / "control", do=do, **more)


def runs(anna: Person) -> bool:
    """Not while one who serves the control socket hands it to the next."""
    with suppress(PostroadError):
        return "address" in ask(anna, "status")
    return False


def listening_there(anna: Person, systemd: ServiceManager) -> None:
    """The doors of the configuration are where systemd listens, as after `service enable`."""
    ports = "".join(f"{door}_port = {systemd.port(door)}\n" for door in ("smtp", "imap", "pop3"))
    kept = [line for line in anna.config.read_text().splitlines() if "_port" not in line]
    anna.config.write_text("\n".join(kept) + f"\npeer_port = 0\n{ports}")


OF_ONE_UNIT = (
    "postroad:postroad:postroad"  # FileDescriptorName=: the doors are known by their ports
)


def test_the_words_of_a_set_up_outlive_each_look(anna: Person, systemd: ServiceManager) -> None:
    systemd.start()
    systemd.heard("READY=1")
    drafted = ask(anna, "setup", name="anna")
    for _ in range(2):
        ask(anna, "look again")
        systemd.heard("READY=1")
    words = drafted["words"].split()
    three = " ".join(words[number - 1] for number in drafted["asked"])
    made = ask(anna, "finish setup", words=three)
    systemd.heard("STATUS=Your node is starting.")  # it looked at once
    until(lambda: runs(anna), "the node runs")
    assert ask(anna, "status")["address"] == made["address"]


def test_status_of_a_node_that_cannot_start_is_its_verdict(
    anna: Person, systemd: ServiceManager
) -> None:
    anna.set_up()
    listening_there(anna, systemd)
    anna.config.write_text(anna.config.read_text() + "smtp_prot = 1\n")
    systemd.start(OF_ONE_UNIT)
    systemd.heard("READY=1")
    told = ask(anna, "status")
    assert "smtp_prot is not a key" in told["cannot_start"]
    assert told.pop("cannot_start")
    told.pop("ok", None)
    assert told == ask(anna, "health")
    assert told["problems"][0]["code"] == "cannot-start"
    anna.config.write_text(anna.config.read_text().replace("smtp_prot = 1\n", ""))
    ask(anna, "look again")
    until(lambda: runs(anna), "the node runs")


def test_a_data_folder_that_is_away_is_not_called_not_set_up(
    anna: Person, systemd: ServiceManager
) -> None:
    anna.set_up()
    data = anna.folder / "data"
    data.rename(anna.folder / "on another disk")
    systemd.start()
    heard = systemd.heard("READY=1")
    assert any("mounted" in line for line in heard)
    assert b"Your data folder" in greeting(systemd.port("imap"))
    shown = anna.postroad("status")
    assert answer_check.fault(("status",), {"version": 1, **shown}) == ""
    assert (shown["state"], shown["problems"][0]["code"]) == ("offline", "cannot-start")
    with pytest.raises(PostroadError, match="mounted"):  # nobody makes a second identity there
        ask(anna, "setup", name="anna")
    written = anna.type("mail-client", "--json")
    assert written.returncode == 1
    assert "cannot start yet. Your data folder" in json.loads(written.stdout)["error"]
    (anna.folder / "on another disk").rename(data)
    ask(anna, "look again")
    until(lambda: runs(anna), "the node goes on by itself")
    assert ask(anna, "status")["address"] == anna.address


@pytest.mark.parametrize("broken", ["smtp_prot = 1\n", "reserve_mib = 'much'\n"])
def test_doors_at_other_ports_say_what_is_wrong_with_the_configuration(
    anna: Person, systemd: ServiceManager, broken: str
) -> None:
    anna.set_up()
    listening_there(anna, systemd)
    anna.config.write_text(anna.config.read_text() + broken)
    systemd.start(OF_ONE_UNIT)
    systemd.heard("READY=1")
    for door in ("smtp", "imap", "pop3"):
        assert broken.partition(" ")[0].encode() in greeting(systemd.port(door))
    assert ask(anna, "health")["problems"][0]["code"] == "cannot-start"


def test_doors_of_a_configuration_that_nobody_can_read_let_nobody_wait(
    anna: Person, systemd: ServiceManager
) -> None:
    anna.set_up()
    listening_there(anna, systemd)
    anna.config.write_text(anna.config.read_text() + "]\n")
    systemd.start(OF_ONE_UNIT, more={"XDG_RUNTIME_DIR": str(anna.folder / "x")})
    systemd.heard("READY=1")
    for door in ("smtp", "imap", "pop3"):
        assert greeting(systemd.port(door)) == b""  # and not a silence without end


def test_where_systemd_listens_and_no_door_is_nobody_waits_and_it_is_told(
    anna: Person, systemd: ServiceManager
) -> None:
    anna.set_up()
    listening_there(anna, systemd)
    old = systemd.port("smtp")
    anna.config.write_text(
        anna.config.read_text().replace(f"smtp_port = {old}", f"smtp_port = {anna.smtp_port}")
    )
    systemd.start(OF_ONE_UNIT)
    systemd.heard("READY=1")
    until(lambda: runs(anna), "the node runs")
    status = anna.postroad("status")
    assert status["smtp_port"] == anna.smtp_port
    found = {one["code"]: one for one in status["problems"]}
    assert f"127.0.0.1:{old}" in found["port-astray"]["summary"]
    assert found["port-not-held"]["summary"].startswith("SMTP has no port that systemd holds")
    assert greeting(old) == b""
    with smtplib.SMTP("127.0.0.1", anna.smtp_port, timeout=30) as smtp:
        smtp.login(anna.address, anna.password)
