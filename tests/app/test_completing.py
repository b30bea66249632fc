"""TAB offers what the running node knows, in real shells; without one nothing, and silently."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import manuals
from app.answering import node_that_says, set_up
from needed import skip_without
from person import Person, meet
from postroad.app import completing
from postroad.app.cli import main
from shells import Terminal, begun

SLOT = 67


@pytest.fixture(scope="module")
def anna(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """Somebody with a contact and a letter on its way, whose node runs."""
    folder = tmp_path_factory.mktemp("completing")
    anna, bora = (Person(n, folder, SLOT + at, link="tls") for at, n in enumerate(("anna", "bora")))
    try:
        for one in (anna, bora):
            one.set_up()
            one.start()
        meet(anna, bora)
        bora.stop()
        anna.submit(bora.address, f"From: {anna.address}\r\n\r\nHello!\r\n".encode())
        yield anna
    finally:
        anna.kill()
        bora.kill()


def offered(config: Path, *words: str, begin: str = "") -> list[str]:
    """What a shell is told, for a TAB after these words."""
    from click.shell_completion import ShellComplete

    asked = ShellComplete(main, {}, "postroad", "_POSTROAD_COMPLETE")
    found = asked.get_completions(["--config", str(config), *words], begin)
    return [one.value for one in found]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_tab_completes_contacts_and_letters(anna: Person, tmp_path: Path, shell: str) -> None:
    skip_without(shell)
    file = tmp_path / "completion"
    file.write_text(manuals.completion(shell))
    (letter,) = anna.postroad("queue")["queue"]
    asked = f"postroad --config {anna.config}"
    with Terminal(shell, tmp_path) as terminal:
        terminal.type(begun(shell, file, tmp_path))
        terminal.read_until("ready")
        terminal.type(f"{asked} contacts show b\t")
        terminal.read_until("contacts show bora ")
        terminal.type(f"\x15{asked} queue cancel \t")
        terminal.read_until(f"queue cancel {letter['id']}")
        anna.stop()
        terminal.type(f"\x15{asked} contacts show b\t")
        terminal.type("\x15echo do''ne\n")
        terminal.read_until("done")
        assert "bora" not in terminal.before
        assert "postroad:" not in terminal.before
    anna.start()


def test_each_place_offers_what_belongs_there(anna: Person) -> None:
    (letter,) = anna.postroad("queue")["queue"]
    (device,) = anna.postroad("devices")["devices"]
    invited = anna.postroad("invite")["id"]
    for words in (
        *(("contacts", one) for one in ("show", "rename", "block", "unblock", "remove")),
        *(("verify",), ("introduce",), ("peers", "ping")),
    ):
        assert offered(anna.config, *words) == ["bora"], words
    assert offered(anna.config, "contacts", "show", begin="x") == []
    assert offered(anna.config, "introduce", "bora", begin="bo") == ["bora"]
    assert offered(anna.config, "queue", "retry") == [str(letter["id"]), "all"]
    for words in (("queue", "cancel"), ("log",)):
        assert offered(anna.config, *words) == [str(letter["id"])], words
    assert offered(anna.config, "devices", "revoke") == [device["id"]]
    assert invited in offered(anna.config, "invitations", "withdraw")
    for words in (("requests", "show"), ("proposals", "accept"), ("helpers", "remove")):
        assert offered(anna.config, *words) == []


def test_a_node_that_hangs_is_not_waited_for(anna: Person) -> None:
    """`status` gives it up, too, in words; neither starts anything."""
    assert anna.process is not None
    os.kill(anna.process.pid, signal.SIGSTOP)
    try:
        assert offered(anna.config, "contacts", "show") == []
        done = anna.type("status")
    finally:
        os.kill(anna.process.pid, signal.SIGCONT)
    assert done.returncode == 1
    assert "gives no answer within 1.2 s" in done.stderr
    assert offered(anna.config, "contacts", "show") == ["bora"]


def test_where_nobody_is_set_up_or_the_file_is_bad_nothing_is_offered(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("nonsense = 1\n")
    for path in (bad, tmp_path / "nosuch.toml"):
        assert offered(path, "contacts", "show") == []


def test_a_name_that_a_shell_would_read_otherwise_is_not_offered() -> None:
    told = (
        b'{"ok": true, "contacts": [{"name": "$(rm -r ~)", "address": "ben.x@postroad.alt"},'
        b' {"name": "-rf", "address": "eve.x@postroad.alt"}]}\n'
    )
    with set_up() as config, node_that_says(config, told):
        words = ["ben.x@postroad.alt", "eve.x@postroad.alt"]
        assert offered(config, "contacts", "show") == words


def test_every_word_that_a_node_could_know_is_completed() -> None:
    """Whoever adds a command that takes a name, an id or a letter is told of it here."""
    free = {"contacts rename new_name", "helper remove name"}  # its own word; another computer
    known = {"name", "other", "new_name", "id", "device", "parcel"}
    left = set(_arguments(main, ""))
    assert {path for path, done in left if path.split()[-1] in known and not done} == free


def _arguments(group: click.Group, path: str) -> Iterator[tuple[str, bool]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _arguments(command, f"{path}{name} ")
        for one in command.params:
            if isinstance(one, click.Argument):
                yield f"{path}{name} {one.name}", one._custom_shell_complete is not None


def test_the_wait_is_short() -> None:
    assert completing.WAIT_SECONDS <= 0.5
