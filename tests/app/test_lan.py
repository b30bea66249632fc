"""Contacts find each other on a local network: real nodes, a cable, and nothing else."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import wires
from person import Person, until
from wires import Computer

pytestmark = pytest.mark.skipif(
    not wires.are_allowed(), reason="network namespaces with a cable need root and iproute2"
)
SUBMIT = """
import smtplib, sys
user, password, port, to, subject = sys.argv[1:]
with smtplib.SMTP("127.0.0.1", int(port), timeout=20) as smtp:
    smtp.login(user, password)
    letter = f"From: {user}\\r\\nTo: {to}\\r\\nSubject: {subject}\\r\\n\\r\\nHello!\\r\\n"
    smtp.sendmail(user, [to], letter)
"""


class Neighbour:
    """A person whose node runs on a computer of its own."""

    def __init__(self, person: Person, computer: Computer) -> None:
        self.person = person
        self.computer = computer

    def start(self) -> None:
        """It answers at its control socket: its doors are on its own loopback."""
        self.person.begin_start(*self.computer.enter)
        until(
            lambda: self.person.type("status").returncode == 0,
            f"{self.person.title}'s node starts\n{self.person.last_words()}",
        )

    def write(self, to: Person, subject: str) -> None:
        me = self.person
        words = (me.address, me.password, str(me.smtp_port), to.address, subject)
        self.computer.python(SUBMIT, *words)

    def waiting(self) -> int:
        return len(self.person.postroad("queue")["queue"])

    def has_filed(self, subject: str) -> bool:
        path = self.person.folder / "data" / "postroad.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as sql:
            found = sql.execute(
                "SELECT count(*) FROM rendering WHERE instr(header, ?)",
                (f"Subject: {subject}\r\n".encode(),),
            )
            return bool(found.fetchone()[0])


@pytest.fixture
def link(request: pytest.FixtureRequest) -> str:
    return str(getattr(request, "param", "iroh"))


@pytest.fixture
def neighbours(tmp_path: Path, link: str) -> Iterator[tuple[Neighbour, Neighbour]]:
    """Anna and Bora, contacts by bundles: each knows of the other no address that is any use."""
    folder = Path("/tmp") / f"pr-{os.getpid()}-{tmp_path.name[-8:]}"  # a socket's path is short
    folder.mkdir(mode=0o700)
    with wires.two_computers() as computers:
        people = [
            Person(name, folder, slot, link=link) for slot, name in enumerate(("anna", "bora"))
        ]
        anna, bora = (
            Neighbour(person, computer) for person, computer in zip(people, computers, strict=True)
        )
        try:
            for one in (anna, bora):
                config = one.person.config
                config.write_text(config.read_text().replace('peer_hosts = ["127.0.0.1"]\n', ""))
                one.person.set_up()
                one.start()
            meet_by_bundles(folder, bora.person, anna.person)
            yield anna, bora
        finally:
            for one in (anna, bora):
                one.person.kill()
    subprocess.run(["rm", "-r", str(folder)], check=True)


def meet_by_bundles(folder: Path, inviter: Person, guest: Person) -> None:
    files = [str(folder / f"{number}.bundle") for number in range(3)]
    inviter.postroad("bundle", "write", files[0], "--invite")
    guest.postroad("bundle", "read", files[0], "--accept", "--answer", files[1])
    inviter.postroad("bundle", "read", files[1], "--answer", files[2])
    guest.postroad("bundle", "read", files[2])
    assert guest.postroad("contacts")["contacts"][0]["seen_at"] is None


@pytest.mark.parametrize("link", ["iroh", "tls"], indirect=True)
def test_two_on_one_cable_find_each_other_and_a_letter_goes(
    neighbours: tuple[Neighbour, Neighbour],
) -> None:
    anna, bora = neighbours
    anna.write(bora.person, "by-cable")
    time.sleep(3)
    assert anna.waiting() >= 1
    assert not bora.has_filed("by-cable")
    for one in (anna, bora):
        one.computer.plug_in()
    began = time.monotonic()
    until(lambda: bora.has_filed("by-cable"), "the letter goes over the cable", 30)
    until(lambda: anna.waiting() == 0, "and its receipt comes back")
    print(f"{time.monotonic() - began:.1f} s after the cable was plugged in")
    for one, other in ((anna, bora), (bora, anna)):
        assert one.person.postroad("contacts")["contacts"][0]["seen_at"] is not None
        one.write(other.person, "again")
        until(lambda: other.has_filed("again"), "the next letter goes", 10)  # noqa: B023


def test_a_node_that_starts_later_or_comes_back_is_found(
    neighbours: tuple[Neighbour, Neighbour],
) -> None:
    anna, bora = neighbours
    for one in (anna, bora):
        one.computer.plug_in()
    anna.write(bora.person, "first")
    until(lambda: bora.has_filed("first"), "the first letter goes", 30)
    bora.person.stop()
    anna.write(bora.person, "second")
    bora.start()
    until(lambda: bora.has_filed("second"), "the second goes when Bora's node is back", 30)
    anna.computer.pull_out()
    anna.computer.plug_in()
    anna.write(bora.person, "third")
    until(lambda: bora.has_filed("third"), "the third goes over a cable that was out", 40)


def test_who_does_not_want_to_be_found_is_not(neighbours: tuple[Neighbour, Neighbour]) -> None:
    """The same cable, and `lan = false`: so it is by their calling that they found each other."""
    anna, bora = neighbours
    for one in (anna, bora):
        one.person.stop()
        with one.person.config.open("a") as config:
            config.write("lan = false\n")
        one.start()
        one.computer.plug_in()
    anna.write(bora.person, "hello")
    time.sleep(10)
    assert not bora.has_filed("hello")


def test_a_paused_node_calls_nothing(neighbours: tuple[Neighbour, Neighbour]) -> None:
    anna, bora = neighbours
    for one in (anna, bora):
        one.computer.plug_in()
    until(lambda: called(bora.computer), "somebody calls")
    for one in (anna, bora):
        assert one.person.postroad("pause")["paused"]
    time.sleep(2)  # for the goodbyes
    assert not called(bora.computer)
    assert anna.person.postroad("resume")["was_paused"]
    until(lambda: called(bora.computer), "Anna calls again", 15)


LISTEN = """
import asyncio, json, sys
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf
async def listen():
    names, type_ = [], "_postroad._udp.local."
    multicast = AsyncZeroconf(interfaces=["10.77.0.2"])
    def changed(zeroconf, service_type, name, state_change): names.append(name)
    browser = AsyncServiceBrowser(multicast.zeroconf, type_, handlers=[changed])
    await asyncio.sleep(3)
    found = {}
    for name in names:
        info = AsyncServiceInfo(type_, name)
        if await info.async_request(multicast.zeroconf, 1000):
            found[name] = [info.server, info.port, info.parsed_addresses(), len(info.text)]
    print(json.dumps(found))
    await browser.async_cancel()
    await multicast.async_close()
asyncio.run(listen())
"""


def called(computer: Computer) -> dict[str, list[object]]:
    """What anybody hears who listens there."""
    found = json.loads(computer.python(LISTEN))
    assert isinstance(found, dict)
    return found


def test_what_is_called_out_names_nobody(neighbours: tuple[Neighbour, Neighbour]) -> None:
    anna, bora = neighbours
    for one in (anna, bora):
        one.computer.plug_in()
    until(lambda: len(called(bora.computer)) == 2, "both call")
    first = called(bora.computer)
    told = json.dumps(first)
    host = os.uname().nodename
    for secret in ("anna", "bora", anna.person.address.partition(".")[2][:32], f'"{host}.'):
        assert secret not in told
    for server, _, addresses, text in first.values():
        assert addresses in (["10.77.0.1"], ["10.77.0.2"])
        assert text in (0, 1)
        assert len(str(server)) == len("0123456789abcdef.local.")
    anna.person.stop()
    anna.start()
    until(lambda: len(called(bora.computer)) == 2, "both call again")
    second = called(bora.computer)
    assert len(set(first) & set(second)) == 1  # Bora's; Anna's is another, with the same tag
    assert {name[:16] for name in first} == {name[:16] for name in second}
