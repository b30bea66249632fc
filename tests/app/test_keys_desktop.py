"""Keys that the desktop keyring opens: GNOME's own, on a bus of ours that is listened to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import desktop
from app.test_keys import answer, entropy_of, locked, secrets_on_disk, start_locked
from desktop import Desktop
from person import Person, until
from postroad.base.errors import NotToBeHad
from postroad.machine.desktop_keyring import ANSWER_SECONDS_MAX, DesktopKeyring
from postroad.machine.disk import FolderDisk
from postroad.store import keyring
from service_manager import ServiceManager

SLOT = 75
SECRET = bytes(range(200, 232))


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Desktop]:
    with desktop.session(tmp_path) as made:
        yield made


@pytest.fixture
def anna(tmp_path: Path, session: Desktop, quiet_network: None) -> Iterator[Person]:
    person = Person("anna", tmp_path, SLOT, link="tls")
    person.set_up()
    yield person
    person.kill()


def entry_of(person: Person) -> str:
    disk = FolderDisk(person.folder / "data")
    try:
        return keyring.stored(disk).header.salt.hex()
    finally:
        disk.close()


def test_the_keyring_keeps_a_secret_gives_it_back_and_forgets_it(session: Desktop) -> None:
    kept = DesktopKeyring()
    kept.keep("one", SECRET)
    kept.keep("two", bytes(32))
    assert kept.fetch("one", ask=False) == SECRET
    kept.forget("one")
    kept.forget("one")
    with pytest.raises(NotToBeHad, match="no entry of Postroad"):
        kept.fetch("one", ask=False)
    assert kept.fetch("two", ask=False) == bytes(32)


def test_a_locked_keyring_is_told_and_asked_about_only_when_its_owner_is_there(
    session: Desktop,
) -> None:
    kept = DesktopKeyring()
    kept.keep("one", SECRET)
    before = session.heard()
    session.lock()
    for ask in (False, True):  # here nobody can draw the question, which is like a refusal
        with pytest.raises(NotToBeHad, match="The desktop keyring is locked"):
            kept.fetch("one", ask=ask)
        asked = session.heard()[len(before) :].count(b"/secrets/prompt/")
        assert bool(asked) == ask
    session.log_in()
    assert kept.fetch("one", ask=False) == SECRET


def test_no_secret_crosses_the_bus(session: Desktop) -> None:
    kept = DesktopKeyring()
    kept.keep("one", SECRET)
    assert kept.fetch("one", ask=False) == SECRET
    heard = session.heard()
    assert b"CreateItem" in heard, "the monitor heard nothing"
    assert b"GetSecret" in heard
    for shown in (SECRET, SECRET[:16], SECRET[16:], SECRET.hex().encode()):
        assert shown not in heard


def test_a_node_whose_keys_the_keyring_opens(anna: Person, session: Desktop) -> None:
    """Nobody is asked while it is unlocked; else the node waits, and goes on with the login."""
    entropy = entropy_of(anna)
    answer(anna, "keys", "protect", "--keyring")
    assert secrets_on_disk(anna, entropy) == []
    entry = entry_of(anna)
    secret = DesktopKeyring().fetch(entry, ask=False)
    anna.start()
    assert answer(anna, "status")["protection"] == "keyring"
    anna.stop()

    session.lock()
    start_locked(anna)
    assert "desktop keyring is locked" in answer(anna, "status")["reason"]
    assert "desktop keyring" in answer(anna, "unlock", code=5)["error"]
    session.log_in()
    until(lambda: not locked(anna), "the node goes on by itself")
    anna.end_start()
    assert secret not in session.heard()

    answer(anna, "keys", "protect", "--plain")
    with pytest.raises(NotToBeHad, match="no entry"):
        DesktopKeyring().fetch(entry, ask=False)
    anna.stop()
    anna.start()


def test_whoever_waits_for_a_keyring_that_hangs_is_let_go_with_a_sentence(session: Desktop) -> None:
    kept = DesktopKeyring()
    session.hang()
    before = session.heard().count(b"OpenSession")
    with ThreadPoolExecutor(1) as waiting:
        asked = waiting.submit(kept.fetch, "one", ask=True)
        until(lambda: session.heard().count(b"OpenSession") > before, "it waits for the keyring")
        kept.close()
        with pytest.raises(NotToBeHad, match="your node is stopping"):
            asked.result()
    with pytest.raises(NotToBeHad, match="your node is stopping"):
        kept.forget("one")


def test_a_node_that_waits_for_a_keyring_that_hangs_stops_all_the_same(
    anna: Person, session: Desktop
) -> None:
    answer(anna, "keys", "protect", "--keyring")
    session.hang()
    before = session.heard().count(b"OpenSession")
    anna.begin_start()
    until(lambda: session.heard().count(b"OpenSession") > before, "it waits for the keyring")
    assert anna.process is not None
    anna.process.terminate()
    assert anna.process.wait(ANSWER_SECONDS_MAX / 2) == 0


def test_what_the_keyring_lost_is_told(anna: Person, session: Desktop) -> None:
    answer(anna, "keys", "protect", "--keyring")
    DesktopKeyring().forget(entry_of(anna))
    start_locked(anna)
    assert "no entry of Postroad" in answer(anna, "status")["reason"]
    anna.stop()
    DesktopKeyring().keep(entry_of(anna), bytes(32))  # another secret under its name
    start_locked(anna)
    assert "does not open your keys" in answer(anna, "status")["reason"]


def test_another_reason_why_the_keys_are_locked_is_told_everywhere(
    anna: Person, session: Desktop
) -> None:
    answer(anna, "keys", "protect", "--keyring")
    entry = entry_of(anna)
    DesktopKeyring().forget(entry)
    systemd = ServiceManager(anna)
    try:
        systemd.start()
        assert any("no entry of Postroad" in line for line in systemd.heard("READY=1"))
        DesktopKeyring().keep(entry, bytes(32))  # another secret under its name
        assert "does not open your keys" in answer(anna, "unlock", code=5)["error"]
        assert any("does not open your keys" in line for line in systemd.heard("READY=1"))
    finally:
        systemd.close()


def test_a_set_up_may_use_the_keyring_at_once(
    tmp_path: Path, session: Desktop, quiet_network: None
) -> None:
    person = Person("bora", tmp_path, SLOT + 1, link="tls")
    person.take_answer(answer(person, "setup", "--name", "bora", "--protect", "keyring"))
    assert answer(person, "keys")["protection"] == "keyring"
    try:
        person.start()
    finally:
        person.kill()
