"""What the command line says, given what a node answers; and how it fails."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any, TypeGuard

import click
import pytest
from click.testing import CliRunner, Result

from postroad.app import asking, cli, telling
from postroad.app import config as configuration
from postroad.base import limits
from postroad.protocol.health import Facts, Room, judge

ADDRESS = "anna.giodrzd2xwwhpvmi76qht7fxae74ankj@postroad.alt"
STATUS = {
    "address": ADDRESS,
    "user_name": ADDRESS,
    "identity_trouble": "",
    "smtp_port": 10588,
    "imap_port": 10144,
    "pop3_port": 10111,
    "contact_count": 1,
    "letters_under_way": 1,
    "requests_waiting": 0,
    "holders": 1,
    "holders_wanted": 3,
    "holders_silent": 0,
    "holders_refused": [],
    "quarantine": [],
    "paused": False,
    "paused_until": None,
    "locked": False,
    **judge(Facts()).told(),
}
INVITED = {"link": "postroad:xyz", "id": "0badcafe", "name": "", "expires_at": 1_800_000_000}
Node = Callable[[dict[str, Any]], None]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="pr-"))  # a socket's path is short
    yield made
    shutil.rmtree(made)


@pytest.fixture
def config(folder: Path) -> Path:
    path = folder / "config.toml"
    (folder / "data").mkdir(mode=0o700)
    path.write_text(f'data = "{folder}/data"\nruntime = "{folder}/run"\nlink = "tls"\n')
    return path


@pytest.fixture
def node(folder: Path) -> Iterator[Node]:
    """Stands in for a running node that gives one answer."""
    threads = []

    def answers(answer: dict[str, Any]) -> None:
        (folder / "run").mkdir(exist_ok=True)
        path = folder / "run" / "control"
        path.unlink(missing_ok=True)
        listening = socket(AF_UNIX)
        listening.bind(str(path))
        listening.listen()

        def serve() -> None:
            with listening, listening.accept()[0] as client:
                client.makefile().readline()
                client.sendall(json.dumps({"ok": True, **answer}).encode() + b"\n")

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()

    yield answers
    for thread in threads:
        thread.join(10)


def typed(config: Path, *words: str, stdin: str = "") -> Result:
    return CliRunner().invoke(cli.main, ["--config", str(config), *words], input=stdin)


def failure(done: Result, code: int = 1) -> str:
    """The sentence of a failure that a program reads: one JSON object, and nothing else."""
    assert done.exit_code == code, done.output
    answer = json.loads(done.stdout)
    assert list(answer) == ["version", "error"]
    return str(answer["error"])


def test_a_group_lists_by_its_name_alone_and_has_no_other_way(config: Path, node: Node) -> None:
    groups = {
        name: command
        for name, command in cli.main.commands.items()
        if is_a_group_of_things(command)
    }
    assert {"contacts", "devices", "invitations", "peers", "proposals", "requests"} <= set(groups)
    assert not [name for name, group in groups.items() if "list" in group.commands]
    for name in ("contacts", "devices", "helpers", "invitations", "peers", "proposals", "queue",
                 "requests"):  # fmt: skip
        node({"here": name})
        assert json.loads(typed(config, name, "--json").stdout)["here"] == name


def is_a_group_of_things(command: click.Command) -> TypeGuard[click.Group]:
    return isinstance(command, click.Group) and command.invoke_without_command


# Failures


def test_what_is_too_long_to_be_asked_is_said_in_words(config: Path, node: Node) -> None:
    for command in ("accept", "ping"):
        words = ("peers", command) if command == "ping" else (command,)
        done = typed(config, *words, "x" * limits.CONTROL_LINE_BYTES_MAX)
        assert done.exit_code == 1
        assert "too long" in done.stderr


@pytest.mark.parametrize("command", ["status", "contacts", "queue", "invite", "accept x", "run"])
def test_whoever_is_not_set_up_hears_so_with_exit_code_4(config: Path, command: str) -> None:
    done = typed(config, *command.split())
    assert (done.exit_code, done.stdout) == (4, "")
    assert done.stderr == (
        "postroad: You are not set up yet. Run: postroad setup --name YOURNAME\n"
    )
    assert list((config.parent / "data").iterdir()) == []
    if command != "run":
        assert "postroad setup" in failure(typed(config, *command.split(), "--json"), 4)


@pytest.mark.parametrize("command", ["status", "run", "invite"])
def test_a_named_file_has_to_be_there(folder: Path, command: str) -> None:
    path = folder / "nosuch.toml"
    done = typed(path, command)
    assert done.exit_code == 1
    assert f"There is no file {path}" in done.stderr
    assert f"postroad --config {path} setup" in done.stderr


def test_setup_makes_the_named_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_DATA_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(folder / variable))
    path = folder / "new.toml"
    assert typed(path, "setup", "--name", "anna", "--json").exit_code == 0
    assert configuration.load(path).is_set_up


def test_setup_asks_nothing_of_a_program(config: Path) -> None:
    assert "--name" in failure(typed(config, "setup", "--json", stdin="anna\n"), 2)
    words = typed(config, "setup", "--json", "--name", "anna", "--restore", stdin="one two\n")
    assert failure(words) == "There should be 24 words; these are 2."
    assert words.stderr == ""
    assert not configuration.load(config).is_set_up


def test_a_question_that_nobody_answers_ends_in_words(config: Path) -> None:
    done = typed(config, "setup")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert "a question was not answered, and nothing was done" in done.stderr


def test_a_fault_of_our_own_is_one_json_object_too(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(configuration, "load", lambda _: 1 / 0)
    done = typed(config, "status", "--json")
    assert "fault of its own: ZeroDivisionError" in failure(done)
    assert "Traceback" in done.stderr  # for the report


def test_a_command_that_cannot_be_understood_is_told_by_click(config: Path) -> None:
    done = typed(config, "status", "--jsno")
    assert done.exit_code == 2
    assert "No such option" in done.stderr


def test_setting_up_twice_names_the_data_folder(config: Path) -> None:
    made = json.loads(typed(config, "setup", "--name", "anna", "--json").stdout)
    again = failure(typed(config, "setup", "--name", "anna", "--json"))
    data = config.parent / "data"
    assert again.startswith(f"You are set up already, as {made['address']}, in {data}.")


def test_whoever_was_not_shown_their_words_is_not_set_up(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(telling, "setup", interrupted)
        assert typed(config, "setup", "--name", "anna").exit_code == 1
    assert not configuration.load(config).is_set_up
    made = json.loads(typed(config, "setup", "--name", "anna", "--json").stdout)
    assert len(made["words"].split()) == 24


def test_keys_that_are_not_durable_leave_nobody_set_up(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    for step in ("FolderDisk.keep", "_fsync_folder"):  # before the file has its name, and after
        with monkeypatch.context() as patched:
            patched.setattr(f"postroad.machine.disk.{step}", fails)
            done = typed(config, "setup", "--name", "anna", "--json")
        assert done.exit_code == 1
        assert "You are not set up" in done.stderr
        assert "Traceback" not in done.stderr
        assert not configuration.load(config).is_set_up
    assert typed(config, "setup", "--name", "anna", "--json").exit_code == 0


def test_a_data_folder_that_cannot_be_used_is_told_with_what_to_change(config: Path) -> None:
    (config.parent / "data").rmdir()
    (config.parent / "data").write_text("in the way")
    setup = typed(config, "setup", "--name", "anna")
    assert setup.exit_code == 1
    assert "Choose another one with --data." in setup.stderr


def test_the_command_line_waits_longer_than_the_node_works() -> None:
    assert asking.WAIT_SECONDS_MAX > limits.CONTROL_SECONDS_MAX


# Words


def test_status_tells_what_a_mail_program_needs(config: Path, node: Node) -> None:
    node(STATUS)
    told = typed(config, "status").stdout
    assert f"user name   {ADDRESS}" in told
    assert "SMTP  127.0.0.1  port 10588" in told
    assert "IMAP  127.0.0.1  port 10144" in told
    assert "POP3  127.0.0.1  port 10111" in told
    assert "was shown once, by postroad setup" in told
    node(STATUS)
    assert json.loads(typed(config, "status", "--json").stdout) == {"version": 1, **STATUS}


@pytest.mark.parametrize(
    ("numbers", "sentences"),
    [
        (
            {"contact_count": 0, "letters_under_way": 0, "holders": 0},
            ["You have no contacts. No letters are on the way.\n"],
        ),
        (
            {"contact_count": 1, "letters_under_way": 1, "holders": 1},
            ["You have 1 contact. 1 letter is on the way. 1 holder keeps letters for you while"],
        ),
        (
            {"contact_count": 5, "letters_under_way": 2, "holders": 3},
            ["You have 5 contacts. 2 letters are on the way. 3 holders keep letters for you"],
        ),
    ],
)
def test_status_counts_as_people_do(
    config: Path, node: Node, numbers: dict[str, int], sentences: list[str]
) -> None:
    node({**STATUS, **numbers})
    told = typed(config, "status").stdout
    assert [one for one in sentences if one not in told] == []


@pytest.mark.parametrize(
    ("told", "holders", "sentence"),
    [
        (0, 0, "Nobody holds letters for you yet, so your node has to be running when they acc"),
        (0, 1, "Your holder could not be told of it just now, so keep your node running"),
        (0, 3, "None of your 3 holders could be told of it just now, so keep your node running"),
        (1, 3, "1 of your 3 holders knows of it already, so they can accept while you are away."),
        (2, 3, "2 of your 3 holders know of it already, so they can accept while you are away."),
        (1, 1, "Your holder knows of it, so they can accept while you are away."),
        (3, 3, "Your 3 holders know of it, so they can accept while you are away."),
    ],
)
def test_an_invitation_says_who_knows_of_it(
    config: Path, node: Node, told: int, holders: int, sentence: str
) -> None:
    node({**INVITED, "holders_told": told, "holders": holders})
    shown = typed(config, "invite").stdout
    assert "postroad invitations withdraw 0badcafe" in shown
    assert sentence in shown
    assert "1. Install it:      sudo apt-get install ./postroad_*.deb\n" in shown
    assert "or, elsewhere:   pipx install ./postroad\n" in shown


def test_an_invitation_is_drawn_for_a_camera_when_asked(config: Path, node: Node) -> None:
    node({**INVITED, "link": "postroad:AbC", "holders_told": 0, "holders": 0})
    drawn = typed(config, "invite", "--qr").stdout.splitlines()
    code = [line for line in drawn if line and set(line) <= set("█▀▄ ")]
    assert len(code) > 10
    assert len({len(line) for line in code}) == 1  # a square


def test_an_invitation_that_was_accepted_before_changes_nothing(config: Path, node: Node) -> None:
    node({"address": ADDRESS, "is_new": False})
    again = typed(config, "accept", "postroad:xyz")
    assert again.exit_code == 0
    assert again.stdout == f"You and {ADDRESS} are contacts already.\n"
    node({"address": ADDRESS, "is_new": True, "name": "anna"})
    told = typed(config, "accept", "postroad:xyz").stdout
    assert f"You can write to {ADDRESS} now." in told
    assert "Their node has yet to hear of you" in told
    assert "or somebody used the invitation before you, a notice there says so" in told
    assert "another key" not in told


def test_whoever_accepts_a_second_of_a_name_hears_that_the_key_is_another(
    config: Path, node: Node
) -> None:
    node({"address": ADDRESS, "is_new": True, "name": "anna-2"})
    told = typed(config, "accept", "postroad:xyz").stdout
    assert "You call them anna-2: another contact of yours has that name, and another key." in told
    assert "postroad verify anna-2" in told


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "Next try now."),
        (1, "Next try in 1 second."),
        (59, "Next try in 59 seconds."),
        (60, "Next try in 1 minute."),
        (200, "Next try in 3 minutes."),
        (3600, "Next try in 1 hour."),
        (8000, "Next try in 2 hours."),
    ],
)
def test_a_waiting_letter_says_why_and_until_when(
    config: Path, node: Node, seconds: int, words: str
) -> None:
    parcel = {"id": 7, "recipient": ADDRESS, "reason": "It waits.", "next_try_at": 1000 + seconds}
    for advice, told in (("", ""), ("Add a helper.", "   Add a helper.\n")):
        answer = {"queue": [{**parcel, "advice": advice}], "now": 1000, "paused": False}
        node({**answer, "paused_until": None})
        said = typed(config, "queue").stdout
        assert said == f"7. To {ADDRESS}\n   It waits. {words}\n{told}"


def test_status_says_first_how_it_is_and_what_to_do(config: Path, node: Node) -> None:
    facts = Facts(holders=2, damaged=(("message", 1),), room=Room.NONE)
    node({**STATUS, **judge(facts).told()})
    said = typed(config, "status").stdout.splitlines()
    assert said[0] == "Your node is running, but not all is as it should be."
    problems = [line for line in said if line[:2] in ("X ", "! ", "- ")]
    assert [line[0] for line in problems] == ["X", "!", "-"]
    assert problems[0].startswith("X The disk is almost full, so new letters are refused")
    after = said[said.index(problems[0]) + 1]
    assert after == "  Make room on the disk of your data folder, then look again: postroad status"
    assert said.index(problems[0]) < said.index(next(one for one in said if "mail program" in one))


def test_findings_about_the_network_are_listed(config: Path, node: Node) -> None:
    findings = [
        {"about": "udp", "state": "bad", "summary": "No UDP.", "next_step": "Add a helper."},
        {"about": "peers", "state": "good", "summary": "They answer.", "next_step": ""},
    ]
    node({"findings": findings, "mapped_by_router": ["192.88.99.1:46464"]})
    assert typed(config, "netcheck").stdout == (
        "! No UDP.\n  Add a helper.\n+ They answer.\n"
        "+ Your router opened a port for you: 192.88.99.1:46464.\n"
    )


def test_peers_are_told_with_their_ways(config: Path, node: Node) -> None:
    link = {"direct": True, "family": "IPv6", "round_trip_milliseconds": 12.5}
    nodes = [{"link": link}]
    roles = {"seen_at": None, "holds_for_us": True, "we_hold_for_them": False}
    node(
        {
            "peers": [
                {"name": "bora", "nodes": nodes, **roles},
                {"name": "carl", "nodes": [{"link": None}], **roles, "holds_for_us": False},
            ]
        }
    )
    assert typed(config, "peers").stdout == (
        "bora          linked, direct over IPv6, 12.5 ms; holds letters for you\n"
        "carl          last seen: never\n"
    )
    node({"name": "bora", "milliseconds": 3.5, **link, "direct": False, "family": None})
    assert (
        typed(config, "peers", "ping", "bora").stdout == "bora's node answers: relayed, 3.5 ms.\n"
    )


def test_a_pause_is_told_plainly_wherever_it_matters(config: Path, node: Node) -> None:
    paused = {"paused": True, "paused_until": None}
    sentence = "No letter comes or goes until you type: postroad resume."
    node(paused)
    assert sentence in typed(config, "pause").stdout
    node({**STATUS, **paused, "paused_until": 1000.0, **judge(Facts(is_paused=True)).told()})
    told = typed(config, "status").stdout
    assert told.startswith("Your node is paused: no letter comes or goes.\nThe pause ends at 1970-")
    assert "Be back on the network: postroad resume" in told
    parcel = {"id": 7, "recipient": ADDRESS, "reason": "", "next_try_at": 1000}
    node({"queue": [parcel], "now": 1000, **paused})
    assert typed(config, "queue").stdout.startswith(f"Your node is paused. {sentence}")
    node({"paused": True, "paused_until": 1000.0})
    assert re.search(r"until 1970-01-01 \d\d:\d\d, or", typed(config, "pause").stdout)


def test_a_pause_is_ended_once(config: Path, node: Node) -> None:
    node({"was_paused": True})
    assert typed(config, "resume").stdout.startswith("Your node is on the network again")
    node({"was_paused": False})
    assert typed(config, "resume").stdout == "Your node was not paused.\n"


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("2h", 7200), ("1d", 86400)])
def test_how_long_a_pause_lasts_is_said_as_people_do(text: str, seconds: int) -> None:
    assert asking.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2 h", "-2h", "2x", "²h", "9999999d"])
def test_what_is_no_time_is_refused_in_words(config: Path, text: str) -> None:
    assert f"{text!r} is no time." in failure(typed(config, "pause", "--for", text, "--json"), 2)


def test_a_contact_who_was_never_seen_is_told_so(config: Path, node: Node) -> None:
    anna = {
        "name": "anna",
        "address": ADDRESS,
        "seen_at": None,
        "verified": False,
        "blocked": False,
        "revoked": False,
    }
    node({"contacts": [anna]})
    told = f"anna          {ADDRESS}  not verified  last seen: never\n"
    assert typed(config, "contacts").stdout == told


# Bundles

NOTHING_FOUND = {
    "author": None,
    "inviter": None,
    "accepted": False,
    "trouble": None,
    **dict.fromkeys(
        ("records", "filed", "known", "refused", "left", "unreadable", "held", "for_others"), 0
    ),
    **dict.fromkeys(("changes", "to_be_sealed_anew", "sealed_anew"), 0),
    "receipts": 0,
    "receipts_for_others": 0,
    "to_be_sealed_anew": 0,
    "sealed_anew": 0,
    "changes": 0,
}


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({}, "There was nothing new for you in it."),
        ({"filed": 1}, "1 letter was filed."),
        ({"filed": 2, "known": 1}, "2 letters were filed.\n1 letter was here already."),
        ({"refused": 1}, "1 letter was refused; the receipt says why."),
        ({"left": 2, "trouble": "The disk is full."}, "read the bundle again.\nThe disk is full."),
        ({"unreadable": 3}, "3 things were damaged on the way."),
        ({"held": 1, "for_others": 2}, "1 letter is for somebody you hold for, and kept.\n2 let"),
        ({"receipts": 1}, "1 receipt came for letters of yours."),
        ({"inviter": ADDRESS}, f"It has an invitation of {ADDRESS}. If you trust it, type: post"),
        ({"inviter": ADDRESS, "accepted": True}, f"You can write to {ADDRESS} now."),
    ],
)
def test_a_bundle_that_was_read_is_told_as_people_do(
    config: Path, node: Node, found: dict[str, Any], sentence: str
) -> None:
    file = config.parent / "a.bundle"
    file.write_bytes(b"x")
    node({**NOTHING_FOUND, **found})
    done = typed(config, "bundle", "read", str(file))
    assert done.exit_code == 0
    assert sentence in done.stdout


def test_an_answer_is_written_only_to_a_contact(config: Path, node: Node) -> None:
    file, answer = config.parent / "a.bundle", config.parent / "answer.bundle"
    file.write_bytes(b"x")
    node(NOTHING_FOUND)
    done = typed(config, "bundle", "read", str(file), "--answer", str(answer))
    assert "No answer was written: its author is not among your contacts." in done.stdout
    assert not answer.exists()


def test_a_bundle_that_breaks_off_leaves_no_file(config: Path, node: Node) -> None:
    file = config.parent / "a.bundle"
    node({"octets": 10})  # and then the node is gone
    done = typed(config, "bundle", "write", str(file))
    assert done.exit_code == 1
    assert "gave no answer" in done.stderr
    assert [one.name for one in config.parent.iterdir() if "bundle" in one.name] == []


def test_who_gives_up_a_letter_hears_who_may_still_read_it(config: Path, node: Node) -> None:
    told = {"recipient": ADDRESS, "has_left": True, "readable_until": 1_800_000_000, "holders": 0}
    for more, says in (
        ({}, "if an answer was lost on the way"),
        ({"holders": 1}, "1 holder of theirs keeps a sealed copy"),
        ({"holders": 3}, "3 holders of theirs keep a sealed copy"),
        ({"has_left": False, "readable_until": None}, "It had not left this computer."),
    ):
        node({**told, **more})
        said = typed(config, "queue", "cancel", "7").stdout
        assert said.startswith(f"The letter to {ADDRESS} is given up")
        assert says in said
        assert ("2027" in said) == ("has_left" not in more)


def test_who_has_letters_tried_hears_which(config: Path, node: Node) -> None:
    node({"tried": [{"id": 7, "recipient": ADDRESS}]})
    assert typed(config, "queue", "retry", "all").stdout.startswith(f"The letter to {ADDRESS} is")
    node({"tried": []})
    assert typed(config, "queue", "retry", "all").stdout == "No letter is waiting.\n"
