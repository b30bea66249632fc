"""`postroad doctor` on a real computer, with the node on, off, or out of order."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.answering import doctor
from person import Person, ended, meet
from postroad.app.doctor_cli import scrubbed

SLOT = 44


@pytest.fixture
def people(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Person]]:
    home = short_folder / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    made = [Person("anna", short_folder, SLOT), Person("bora", short_folder, SLOT + 1)]
    with ended(made):
        for one in made:
            one.config.chmod(0o600)
            one.set_up()
        yield made


def examined(person: Person, *words: str) -> dict[str, Any]:
    done = doctor(person, *words, "--json")
    answer: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if answer["health"] == "broken" else 0), answer
    return answer


def about(answer: dict[str, Any], what: str) -> list[dict[str, Any]]:
    return [one for one in answer["findings"] if one["about"] == what]


def test_a_node_that_runs_is_well_and_one_that_is_off_is_told_what_to_type(
    people: list[Person],
) -> None:
    anna, bora = people
    anna.start()
    bora.start()
    meet(anna, bora)
    answer = examined(anna)
    assert answer["health"] != "broken", answer
    assert about(answer, "node")[0]["summary"] == "Your node runs and answers."
    for one in about(answer, "ports"):
        assert one["summary"].endswith("is your node's.")
    assert {one["health"] for one in about(answer, "permissions")} == {"ok"}
    assert any(one["about"].startswith("network: ") for one in answer["findings"])
    anna.stop()
    answer = examined(anna)
    (node,) = about(answer, "node")
    assert node["health"] == "broken"
    assert node["next_step"] in ("postroad run", "postroad service enable")
    for one in about(answer, "ports"):
        assert one["summary"].endswith("is free for your node.")
    assert anna.type("status").returncode == 3  # it was not started


def test_what_is_out_of_order_is_found_all_at_once(people: list[Person]) -> None:
    anna, _ = people
    settings = Path(os.environ["HOME"]) / ".msmtprc"
    settings.write_text(f"account postroad\nhost 127.0.0.1\nport 2525\nuser {anna.address}\n")
    anna.config.write_text(anna.config.read_text() + "smtp_prot = 1\n")
    (anna.folder / "data").chmod(0o755)
    with socket.create_server(("127.0.0.1", anna.imap_port)):
        answer = examined(anna)
    assert answer["health"] == "broken"
    assert "smtp_prot is not a key" in about(answer, "configuration")[0]["summary"]
    (mail,) = about(answer, "mail program")
    assert f"2525, and not {anna.smtp_port} ({settings}, line 3)" in mail["summary"]
    assert about(answer, "permissions")[0]["next_step"] == f"chmod 700 '{anna.folder}/data'"
    taken = [one for one in about(answer, "ports") if one["health"] == "broken"]
    assert "is taken by the program" in taken[0]["summary"]
    assert stat.S_IMODE((anna.folder / "data").stat().st_mode) == 0o755  # nothing was changed
    in_words = doctor(anna)
    assert in_words.returncode == 1
    assert "X mail program: msmtp sends with another port" in in_words.stdout
    assert "What is marked with X is broken. Begin there." in in_words.stdout


def test_a_report_says_all_that_and_nothing_private(people: list[Person]) -> None:
    anna, bora = people
    anna.start()
    bora.start()
    meet(anna, bora)
    (Path(os.environ["HOME"]) / ".msmtprc").write_text(
        f"account postroad\nhost 127.0.0.1\nport 2525\nuser {anna.address}\n"
    )
    (anna.folder / "data").chmod(0o755)
    report = doctor(anna, "--report").stdout
    report += doctor(anna, "--report", "--json").stdout
    bora.stop()
    anna.config.write_text(anna.config.read_text() + f'log_level = "{anna.folder}"\nnetworks = 3\n')
    anna.type("config", "reload")
    report += doctor(anna, "--report").stdout
    anna.stop()
    report += doctor(anna, "--report").stdout
    assert "msmtp sends with another port" in report
    assert "The configuration has 2 mistake(s): log_level, networks" in report
    contact = bora.address.partition("@")[0]
    secrets = [anna.address, bora.address, *contact.split("."), "anna", anna.password]
    secrets += [str(anna.folder), os.environ["HOME"], os.uname().nodename, "127.0.0.1"]
    if getpass.getuser() != "root":
        secrets.append(getpass.getuser())
    for secret in secrets:
        assert not re.search(rf"(?i)(?<!\w){re.escape(secret)}(?!\w)", report), secret
    assert not re.search(r"\d+\.\d+\.\d+\.\d+|[0-9a-f]{16}|[a-z2-7]{32}|@|/home|/tmp", report)


@pytest.mark.parametrize(
    "private",
    [
        "anna.giodrzd2xwwhpvmi76qht7fxae74ankj@postroad.alt",
        "giodrzd2xwwhpvmi76qht7fxae74ankj",
        "192.0.2.7:46464",
        "[2001:db8::7]:46464",
        "/home/anna/.local/share/postroad",
        "/run/user/1000/postroad/control",
        "ed4928c628d1c2c6eae90338905995612959273a5c63f93636c14614ac8737d1",
        "Bora's node",
    ],
)
def test_what_looks_private_is_taken_out_wherever_it_stands(private: str) -> None:
    told = scrubbed(f"It is {private}, version 1.2.0, port 10587.", frozenset({"bora"}))
    assert "***" in told
    assert told.endswith(", version 1.2.0, port 10587.")
    for part in ("anna", "Bora", "giod", "192", "db8", "1000", "ed49"):
        assert part not in told


def test_a_node_that_hangs_holds_nobody_up(people: list[Person]) -> None:
    anna, _ = people
    at = anna.folder / "run"
    at.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(at / "control"))
        silent.listen()
        answer = examined(anna)
    (node,) = about(answer, "node")
    assert node["health"] == "broken"
    assert "gives no answer" in node["summary"]
    assert node["next_step"].endswith("then type: postroad run")
    for part in ("holders", "sandbox", "network: peers"):
        assert not about(answer, part)


def test_who_is_not_set_up_is_told_so_and_nothing_is_broken(tmp_path: Path) -> None:
    nobody = Person("nora", tmp_path, SLOT + 2)
    answer = examined(nobody)
    assert about(answer, "node")[0]["next_step"] == "postroad setup"
    assert answer["health"] != "broken"
