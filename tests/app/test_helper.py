"""`postroad helper`: a real one, asked as its owner would; and the unit that runs it."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

import person
from person import Person, until
from postroad.app import helper_cli
from postroad.app.cli import main
from postroad.base import limits
from postroad.base.errors import ConfigurationError

HELPER = [sys.executable, "-m", "postroad", "helper"]


class Box:
    """A helper's process, and its folders."""

    def __init__(self, folder: Path, slot: int = 0) -> None:
        self.folder = folder
        self.port, self.relay_port = 47060 + slot, 47443 + slot
        self.log = folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(*HELPER, "run", "--data", str(self.folder / "data"), *self.runtime),
                    *("--name", "box", "--port", str(self.port)),
                    *("--relay-port", str(self.relay_port)),
                    *("--host", "127.0.0.1"),
                ],
                stdout=log,
                stderr=log,
                env=person.surroundings(),
            )
        until(lambda: self.type("status", "--json").returncode == 0, "the helper answers")

    @property
    def runtime(self) -> list[str]:
        return ["--runtime", str(self.folder / "run")]

    def type(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*HELPER, *words, *self.runtime],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=person.surroundings(),
        )

    def link(self) -> str:
        link: str = json.loads(self.type("invite", "--json").stdout)["link"]
        return link

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(20)


@pytest.fixture
def box() -> Iterator[Box]:
    with tempfile.TemporaryDirectory(prefix="pr-") as folder:
        made = Box(Path(folder))
        made.start()
        yield made
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait()


@pytest.fixture
def anna() -> Iterator[Person]:
    with tempfile.TemporaryDirectory(prefix="pr-") as folder:
        made = Person("anna", Path(folder), slot=60)
        made.set_up()
        made.start()
        yield made
        made.kill()


def test_a_helper_serves_whom_its_owner_names_and_nobody_else(box: Box, anna: Person) -> None:
    told = box.type("invite").stdout
    assert "postroad accept" in told
    link = box.link()
    assert anna.type("accept", link).stdout.startswith("The helper box serves you now")
    (one,) = anna.postroad("helpers")["helpers"]
    assert (one["name"], one["refusal"]) == ("box", "")
    (served,) = json.loads(box.type("people", "--json").stdout)["people"]
    assert served["address"] == anna.address
    used = anna.type("accept", link)
    assert used.returncode == 0  # known already: the link is not needed any more

    assert box.stop() == 0
    box.start()  # it is the same helper
    assert anna.type("accept", box.link()).returncode == 0
    assert f"{anna.address} is not served" in box.type("remove", "anna").stdout
    assert "Nobody yet" in box.type("people").stdout
    again = anna.type("accept", link)
    assert again.returncode == 1
    assert 'The helper said: "This link to the helper was used' in again.stderr
    assert anna.type("helpers", "remove", "box").returncode == 0
    assert "You have no helper." in anna.type("helpers").stdout


def test_a_helper_holds_for_whom_it_serves_and_tells_nobody(box: Box, anna: Person) -> None:
    ben = Person("ben", anna.folder.parent, slot=61)
    ben.set_up()
    ben.start()
    try:
        anna.postroad("accept", box.link())
        until(lambda: anna.postroad("status")["holders"] == 1, "Anna rents a drop at the helper")
        database = f"file:{anna.folder}/data/postroad.sqlite?mode=ro"
        with closing(sqlite3.connect(database, uri=True)) as sql:
            (place,) = sql.execute("SELECT place FROM my_drop").fetchone()
        assert place is not None, "where the helper is stands in one row only"
        person.meet(anna, ben)
        until(lambda: not ben.postroad("status")["letters_under_way"], "Ben introduced himself")
        anna.stop()
        letter = f"From: {ben.address}\r\nTo: {anna.address}\r\nSubject: held\r\n\r\nHello.\r\n"
        ben.submit(anna.address, letter.encode())
        until(
            lambda: [one["holders"] for one in ben.postroad("queue")["queue"]] == [1],
            "the helper signs a lease",
        )
        ben.kill()
        (served,) = json.loads(box.type("people", "--json").stdout)["people"]
        assert served["letters_held"] == 1
        assert ben.address not in box.log.read_text()
        anna.start()
        until(lambda: anna.find("held") is not None, "Anna fetches it from the helper")
    finally:
        ben.kill()


def test_a_helper_that_is_off_is_told_in_words(box: Box, anna: Person) -> None:
    link = box.link()
    box.stop()
    done = anna.type("accept", link)
    assert done.returncode == 1
    assert "could not be reached" in done.stderr
    assert box.type("status").returncode == 3
    assert "sudo postroad helper enable" in box.type("status").stderr
    assert "Traceback" not in box.log.read_text()


def test_a_helper_keeps_no_key_but_its_own(box: Box) -> None:
    names = {path.name for path in (box.folder / "data").iterdir()}
    assert "helper-key" in names
    assert "keys" not in names


def test_the_unit_runs_this_program_with_no_right_but_one_port() -> None:
    text = helper_cli.unit("203.0.113.7")
    assert re.search(r"^ExecStart=\S.* helper run --address 203\.0\.113\.7$", text, re.MULTILINE)
    assert "@" not in text.replace("@system-service", "").replace("@privileged", "").replace(
        "@resources", ""
    )
    # Where the program was removed nothing starts it again and again.
    started = re.search(r"^ExecStart=(\S+)", text, re.MULTILINE)
    assert started is not None
    assert f"\nConditionFileIsExecutable={started[1]}\n" in text
    assert re.findall(r"CAP_\w+", text) == ["CAP_NET_BIND_SERVICE"] * 2
    assert "DynamicUser=yes" in text


@pytest.mark.skipif(os.geteuid() == 0, reason="not for root: it would start a service")
def test_enabling_is_for_root() -> None:
    done = CliRunner().invoke(main, ["helper", "enable"])
    assert done.exit_code == 1
    assert "sudo postroad helper enable" in done.stderr


def test_an_address_that_is_none_is_refused() -> None:
    done = CliRunner().invoke(main, ["helper", "run", "--address", "example"])
    assert done.exit_code == 1
    assert "'example' is no IP address." in done.stderr


def test_a_helper_relays_on_its_port(box: Box) -> None:
    with urllib.request.urlopen("http://127.0.0.1:47443/ping", timeout=10) as answer:
        assert answer.status == 200
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", 443), 1):
        pass


def test_a_relay_port_that_is_not_ours_to_take_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*HELPER, "run", "--data", str(tmp_path / "data"), "--relay-port", port]
        command += ["--runtime", str(tmp_path / "run"), "--host", "127.0.0.1", "--port", "47061"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env=person.surroundings()
        )
    assert done.returncode == 1
    assert "The relay cannot use" in done.stderr
    assert "--relay-port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["a" * 64, "é" * 32, "box\n", "box\x1b[2J"])
def test_a_name_that_its_people_could_not_be_shown_is_refused_at_the_start(name: str) -> None:
    with pytest.raises(ConfigurationError, match="--name"):
        helper_cli.name_to_show(name)


def test_without_a_name_a_helper_is_called_as_its_computer() -> None:
    assert helper_cli.name_to_show("é" * 31) == "é" * 31
    assert helper_cli.name_to_show(None) == socket.gethostname()[: limits.HELPER_NAME_BYTES_MAX]


def test_a_helpers_key_is_its_owners_alone(box: Box) -> None:
    """As a node's: made so, closed again where somebody opened it, and no link."""
    key = box.folder / "data" / "helper-key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert (box.folder / "data").stat().st_mode & 0o777 == 0o700
    assert box.process is not None
    box.process.terminate()
    box.process.wait(20)
    key.chmod(0o640)
    box.start()
    assert key.stat().st_mode & 0o777 == 0o600
    assert f"{key} could be reached by others (mode 0640)" in box.log.read_text()
    box.process.terminate()
    box.process.wait(20)
    key.rename(box.folder / "elsewhere")
    key.symlink_to(box.folder / "elsewhere")
    done = box.type("run", "--data", str(box.folder / "data"), "--name", "box")
    assert done.returncode == 1
    assert f"{key} is a link to" in done.stderr
