"""`postroad doctor` where something is really wrong: it says what, and what to type.

What only root can put wrong is skipped for others.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import answer_check
from app.answering import doctor, node_that_says, set_up, typed
from app.test_keys import FIRST, lines
from needed import skip_without
from person import Person, meet, until
from postroad.protocol.health import Facts, judge
from service_manager import ServiceManager
from session_bus import session_bus

SLOT = 70
NOBODY = 65534
ROOT = Path(__file__).resolve().parents[2]
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can put that wrong")


@pytest.fixture
def anna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Person]:
    folder = Path("/tmp") / f"pr-{os.getpid()}-{tmp_path.name[-8:]}"  # a socket's path is short
    folder.mkdir(mode=0o755)
    (folder / "home").mkdir()
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    made = Person("anna", folder, SLOT, link="tls")
    try:
        made.config.chmod(0o600)
        made.set_up()
        yield made
    finally:
        made.kill()
        shutil.rmtree(folder)


def looked(person: Person, *, broken: bool) -> dict[str, list[dict[str, Any]]]:
    """What doctor finds, by what it is about. Its exit code is 1 if something is broken."""
    return told(doctor(person, "--json"), broken=broken)


def told(done: Any, *, broken: bool) -> dict[str, list[dict[str, Any]]]:
    answer = json.loads(done.stdout)
    assert answer_check.fault(["doctor"], answer) == ""
    assert (answer["health"] == "broken") == broken, answer
    code = done.returncode if hasattr(done, "returncode") else done.exit_code
    assert code == int(broken)
    found: dict[str, list[dict[str, Any]]] = {}
    for one in answer["findings"]:
        found.setdefault(one["about"], []).append(one)
    return found


def bad(found: dict[str, list[dict[str, Any]]], about: str) -> dict[str, Any]:
    """The one finding about it that is not well."""
    (one,) = [one for one in found[about] if one["health"] != "ok"]
    return one


LISTENER = "import socket, time; s = socket.create_server(('127.0.0.1', {})); print(1, flush=True)"


@needs_root
@pytest.mark.parametrize("door", ["smtp", "imap", "pop3"])
def test_a_port_that_another_user_took_is_told_for_each_door(anna: Person, door: str) -> None:
    port = getattr(anna, f"{door}_port")
    thief = subprocess.Popen(
        ["/usr/bin/python3", "-c", f"{LISTENER.format(port)}; time.sleep(600)"],
        user=NOBODY,
        stdout=subprocess.PIPE,
        cwd="/",
    )
    try:
        assert thief.stdout is not None
        thief.stdout.readline()
        found = looked(anna, broken=True)
    finally:
        thief.kill()
        thief.communicate()
    one = bad(found, "ports")
    assert f"Port {port} of 127.0.0.1 ({door.upper()}) is taken by another user" in one["summary"]
    assert f"Choose another {door}_port" in one["next_step"]
    assert one["next_step"].endswith("stop it with Ctrl-C, then type: postroad run")


@needs_root
def test_a_file_of_keys_that_another_user_has_is_told(anna: Person) -> None:
    keys = anna.folder / "data" / "keys"
    os.chown(keys, NOBODY, NOBODY)
    one = bad(looked(anna, broken=True), "permissions")
    assert one["summary"] == f"The file of your keys belongs to another user: {keys}"
    assert one["next_step"] == f"sudo chown -R \"$USER\" '{keys}'"


@pytest.mark.parametrize(
    ("name", "mode", "right", "is_broken"),
    [
        ("data", 0o750, "700", False),
        ("data/keys", 0o644, "600", False),
        ("data/keys", 0o400, "600", True),
    ],
)
def test_permissions_that_are_too_wide_or_too_narrow_are_told(
    anna: Person, name: str, mode: int, right: str, is_broken: bool
) -> None:
    path = anna.folder / name
    path.chmod(mode)
    found = json.loads(anna.type("doctor", "--json").stdout)["findings"]
    (one,) = [one for one in found if one["about"] == "permissions"]
    assert one["next_step"] == f"chmod {right} '{path}'"
    assert one["health"] == ("broken" if is_broken else "attention")


def test_a_folder_that_nobody_can_look_at_is_not_called_ones_own(anna: Person) -> None:
    away = anna.folder / "away"
    away.symlink_to(away)
    kept = anna.config.read_text()
    anna.config.write_text(kept.replace(f'"{anna.folder}/run"', f'"{away}/run"'))
    found = json.loads(anna.type("doctor", "--json").stdout)["findings"]
    (one,) = [one for one in found if one["about"] == "permissions"]
    assert one["health"] == "attention"
    assert one["summary"] == (
        "The node's runtime folder could not be looked at (Too many levels of symbolic links): "
        f"{away}/run"
    )


@pytest.mark.parametrize("seconds", [-3 * 366 * 86400, -2 * 86400])
def test_a_clock_that_went_back_is_told(anna: Person, seconds: int) -> None:
    """Before this program was made, and before the own keys were written."""
    wrong = [sys.executable, str(ROOT / "tools/wrong_clock.py"), str(seconds)]
    done = subprocess.run(
        [*wrong, *anna.command, "doctor", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "service")},
    )
    one = bad(told(done, broken=True), "clock")
    assert "shows a time that is long over" in one["summary"]
    assert one["next_step"] == "sudo timedatectl set-ntp true"


@needs_root
def test_a_full_disk_is_told(anna: Person) -> None:
    data = anna.folder / "data"
    kept = anna.folder / "kept"
    data.rename(kept)
    data.mkdir(mode=0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "none", str(data)], check=False
    )
    if mounted.returncode:
        pytest.skip("no file system may be mounted here")
    try:
        shutil.copytree(kept, data, dirs_exist_ok=True)
        anna.config.write_text(anna.config.read_text() + "reserve_mib = 4\n")
        with pytest.raises(OSError, match="No space"):
            fill(data / "ballast")
        found = looked(anna, broken=True)
        (data / "ballast").unlink()
        after = json.loads(anna.type("doctor", "--json").stdout)["findings"]
    finally:
        subprocess.run(["umount", str(data)], check=True)
    one = bad(found, "disk")
    assert one["summary"].startswith("The disk is almost full (0 MiB free, 4 MiB are kept back)")
    assert one["next_step"].startswith("Make room on the disk")
    assert "almost full" not in next(one for one in after if one["about"] == "disk")["summary"]


@needs_root
def test_a_firewall_that_keeps_others_out_is_told_with_the_line_that_lets_them_in(
    anna: Person,
) -> None:
    skip_without("nft")
    nft = shutil.which("nft", path="/usr/sbin:/usr/bin:/sbin:/bin")
    devices = Path("/proc/net/dev").read_text().splitlines()[2:]
    assert nft
    if [line.split(":")[0].strip() for line in devices] != ["lo"]:
        pytest.skip("a network of our own is not to be had here")
    rules = "table inet filter {\nchain input {\ntype filter hook input priority 0; policy drop\n"
    rules += "iif lo accept\n}\n}\n"
    subprocess.run([nft, "-f", "-"], input=rules, text=True, check=True)
    # Setup takes the next port where somebody has this one, as an outgoing connection may.
    port = tomllib.loads(anna.config.read_text())["peer_port"]
    try:
        found = looked(anna, broken=True)  # for the node does not run
        one = bad(found, "firewall")
        assert f"nftables keeps other nodes out at port {port}" in one["summary"]
        line = one["next_step"].partition("sudo nft insert")[2]
        subprocess.run([nft, "insert", *line.split()], check=True)
        found = looked(anna, broken=True)
    finally:
        subprocess.run([nft, "flush", "ruleset"], check=True)
    assert [one["summary"] for one in found["firewall"]] == [
        "The firewall nftables lets other nodes in."
    ]


def test_settings_of_mail_programs_with_a_wrong_port_are_told_with_their_lines(
    anna: Person,
) -> None:
    home = Path(os.environ["HOME"])
    profile = home / ".thunderbird" / "abc.default"
    profile.mkdir(parents=True)
    prefs = profile / "prefs.js"
    prefs.write_text(
        'user_pref("mail.server.server1.hostname", "127.0.0.1");\n'
        'user_pref("mail.server.server1.type", "imap");\n'
        f'user_pref("mail.server.server1.userName", "{anna.address}");\n'
        f'user_pref("mail.server.server1.port", {anna.smtp_port});\n'
        'user_pref("mail.server.server2.hostname", "localhost");\n'
        'user_pref("mail.server.server2.type", "pop3");\n'
        f'user_pref("mail.server.server2.userName", "{anna.address}");\n'
        'user_pref("mail.server.server2.port", 110);\n'
    )
    muttrc = home / ".muttrc"
    muttrc.write_text(f'set smtp_url = "smtp://{anna.address.replace("@", "%40")}@127.0.0.1:25/"\n')
    anna.start()
    found = looked(anna, broken=True)
    said = {one["summary"]: one["next_step"] for one in found["mail program"]}
    assert said == {
        f"Thunderbird reads with another port than your node's: {anna.smtp_port}, and not "
        f"{anna.imap_port} ({prefs}, line 4).": "Change it there, or see: postroad mail-client "
        "thunderbird",
        f"Thunderbird reads with another port than your node's: 110, and not {anna.pop3_port} "
        f"({prefs}, line 8).": "Change it there, or see: postroad mail-client thunderbird",
        f"mutt sends with another port than your node's: 25, and not {anna.smtp_port} "
        f"({muttrc}, line 1).": "Change it there, or see: postroad mail-client mutt",
    }


def test_a_stranger_with_our_name_on_the_session_bus_is_told(anna: Person) -> None:
    skip_without("busctl")
    script = (
        "import asyncio\n"
        "from dbus_next.aio import MessageBus\n"
        "async def main():\n"
        "    bus = await MessageBus().connect()\n"
        "    await bus.request_name('org.postroad.Postroad1')\n"
        "    print(1, flush=True)\n"
        "    await bus.wait_for_disconnect()\n"
        "asyncio.run(main())\n"
    )
    with session_bus(anna.folder):
        stranger = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        try:
            assert stranger.stdout is not None
            assert stranger.stdout.readline()
            anna.start()
            until(lambda: bad_bus(looked(anna, broken=False)), "doctor tells whose the name is not")
            one = bad(looked(anna, broken=False), "bus")
            assert one["summary"].startswith("The session bus answers, but your node is not there.")
            assert one["next_step"].endswith("busctl --user status org.postroad.Postroad1")
        finally:
            stranger.kill()
            stranger.communicate()
        until(lambda: not bad_bus(looked(anna, broken=False)), "the name is the node's now")


def bad_bus(found: dict[str, list[dict[str, Any]]]) -> bool:
    return any(one["health"] != "ok" for one in found["bus"])


def test_without_a_session_bus_the_doctor_says_what_to_type(
    anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    anna.start()
    one = bad(looked(anna, broken=False), "bus")
    assert "No session bus answers" in one["summary"]
    assert "sudo apt install dbus-user-session" in one["next_step"]


def test_a_node_that_stands_still_is_broken_and_nothing_else_of_it_is_claimed(
    anna: Person,
) -> None:
    anna.start()
    assert anna.process is not None
    anna.process.send_signal(signal.SIGSTOP)
    try:
        found = told(anna.type("doctor", "--json"), broken=True)
        report = anna.type("doctor", "--report").stdout
    finally:
        anna.process.send_signal(signal.SIGCONT)
    one = bad(found, "node")
    assert "gives no answer" in one["summary"]
    assert one["next_step"].endswith("then type: postroad run")
    assert {"holders", "sandbox", "mail"}.isdisjoint(found)
    assert not [one for one in found if one.startswith("network")]
    assert "X node: Your node is there, but gives no answer" in report


def test_a_node_that_waits_for_a_good_configuration_is_broken_and_says_why(anna: Person) -> None:
    systemd = ServiceManager(anna)
    try:
        text = anna.config.read_text()
        anna.config.write_text(text.replace('["127.0.0.1"]', '["192.0.2.7"]'))  # it is not ours
        systemd.start()
        systemd.heard("READY=1")
        found = looked(anna, broken=True)
    finally:
        systemd.close()
    one = bad(found, "node")
    assert one["health"] == "broken"
    assert "192.0.2.7" in one["summary"], one
    assert "runs and answers" not in str(found)
    assert "doctor" not in found, found["doctor"]
    assert {"holders", "sandbox"}.isdisjoint(found)


def test_a_store_that_the_node_cannot_read_is_told_and_no_holders_are_claimed() -> None:
    """Nothing that the store knows is in such a node's answers."""
    verdict = judge(Facts(store_trouble="database disk image is malformed")).told()
    status = {"ok": True, **verdict, "paused": False, "user_name": "anna.x@postroad.alt"}
    status |= {"smtp_port": 1, "imap_port": 2, "pop3_port": 3, "locked": False}
    with set_up() as config, node_that_says(config, *[json.dumps(status).encode() + b"\n"] * 5):
        done = typed(config, "doctor", "--json")
    found = told(done, broken=True)
    assert "malformed" in bad(found, "mail")["summary"]
    assert "holders" not in found
    assert "This could not be looked at: how your node sees itself." in [
        one["summary"] for one in found["doctor"]
    ]


def test_a_systemd_that_hangs_is_told_and_the_service_is_not_called_well(
    anna: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd" / "private").touch()
    program = tmp_path / "systemctl"
    program.write_text("#!/bin/sh\nexec sleep 20\n")
    program.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = looked(anna, broken=True)  # for the node does not run
    assert {"service", "linger", "sandbox"}.isdisjoint(found)
    assert "This could not be looked at: the service (it took longer than 4 s)." in [
        one["summary"] for one in found["doctor"]
    ]


def test_a_node_that_was_started_with_another_runtime_is_not_called_off(anna: Person) -> None:
    anna.start()
    text = anna.config.read_text()
    anna.config.write_text(text.replace(f"{anna.folder}/run", f"{anna.folder}/run2"))
    for words in (("config", "reload"), ("status",), ("queue",)):
        done = anna.type(*words, "--json")
        assert done.returncode == 1, words
        said = json.loads(done.stdout)["error"]
        assert f"but a node works in {anna.folder}/data: " in said
        assert said.endswith("if it stays so, stop it with Ctrl-C, then type: postroad run")
    anna.config.write_text(text)
    anna.stop()
    assert anna.type("status").returncode == 3


def test_a_report_of_a_node_with_mail_has_nothing_of_it(anna: Person) -> None:
    bora = Person("bora", anna.folder.parent, SLOT + 1, link="tls")
    try:
        bora.set_up()
        anna.start()
        bora.start()
        meet(anna, bora)
        bora.submit(anna.address, letter(bora, "Aubergine", "the cellar door is green"))
        until(lambda: in_inbox(anna), "the letter is there")
        bora.stop()
        anna.submit(bora.address, letter(anna, "Rhubarb", "come by night"))
        report = doctor(anna, "--report").stdout
        report += doctor(anna, "--report", "--json").stdout
        anna.stop()
        report += doctor(anna, "--report").stdout
    finally:
        bora.kill()
    with sqlite3.connect(f"file:{anna.folder}/data/postroad.sqlite?mode=ro", uri=True) as sql:
        keys = [
            value.hex()
            for table in tables(sql)
            for row in sql.execute(f'SELECT * FROM "{table}"')
            for value in row
            if isinstance(value, bytes) and len(value) == 32
        ]
    assert keys
    secrets = ["Aubergine", "Rhubarb", "cellar", "night", anna.address, bora.address]
    secrets += [anna.password, os.environ["HOME"], str(anna.folder), "anna", "bora"]
    secrets += [anna.address.partition("@")[0].partition(".")[2], *keys]
    lowered = report.lower()
    assert [one for one in secrets if one.lower() in lowered] == []
    assert "postroad doctor --report" in report


def tables(sql: sqlite3.Connection) -> list[str]:
    found = sql.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return [name for (name,) in found]


def fill(path: Path) -> None:
    """Write until there is no room any more."""
    with path.open("wb", buffering=0) as ballast:
        while True:
            ballast.write(bytes(1 << 20))


def letter(author: Person, subject: str, words: str) -> bytes:
    return f"From: {author.address}\r\nSubject: {subject}\r\n\r\n{words}\r\n".encode()


def in_inbox(person: Person) -> bool:
    with person.imap() as imap:
        return imap.select("INBOX")[1][0] != b"0"


def test_a_locked_node_is_not_called_a_thief_of_its_own_ports(anna: Person) -> None:
    anna.start()
    done = anna.type("keys", "protect", "--passphrase", "--json", stdin=lines(FIRST))
    assert done.returncode == 0, done.stdout
    anna.stop()
    anna.begin_start()
    until(lambda: '"locked"' in anna.type("status", "--json").stdout, "it is locked")
    found = looked(anna, broken=False)
    assert bad(found, "node")["next_step"] == "postroad unlock"
    assert "ports" not in found
