"""A real node as a relay: on while the node is, off in a pause, no trouble where it cannot be."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from person import PEER_PORT, Person, until

SLOT = 7
PORT = PEER_PORT + SLOT


@pytest.fixture
def folder(tmp_path: Path, quiet_network: None) -> Iterator[Path]:
    made = Path("/tmp") / f"pr-{os.getpid()}-{tmp_path.name[-8:]}"  # a socket's path is short
    made.mkdir(mode=0o700)
    try:
        yield made
    finally:
        subprocess.run(["rm", "-r", str(made)], check=True)


@pytest.fixture
def anna(folder: Path) -> Iterator[Person]:
    if os.environ.get("LINK") == "tls":
        pytest.skip("not for tls: its nodes speak on the relay's port")
    made = Person("anna", folder, SLOT)
    made.set_up()
    try:
        yield made
    finally:
        made.kill()


def answer() -> bytes:
    """What the relay says to the question by which iroh measures how near it is."""
    try:
        with socket.create_connection(("127.0.0.1", PORT), timeout=5) as asked:
            asked.sendall(b"GET /ping HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            return asked.recv(100).partition(b"\r\n")[0]
    except ConnectionError:
        return b""


def test_a_node_is_a_relay_unless_it_is_paused(anna: Person) -> None:
    anna.start()
    until(lambda: answer() == b"HTTP/1.1 200 OK", "the relay answers")
    anna.postroad("pause")
    until(lambda: answer() == b"", "the relay is gone in a pause")
    anna.postroad("resume")
    until(lambda: answer() == b"HTTP/1.1 200 OK", "the relay answers again")


def test_an_owner_may_want_no_relay(anna: Person) -> None:
    anna.config.write_text(anna.config.read_text() + 'relay = "off"\n')
    anna.start()
    assert answer() == b""


def test_where_another_program_has_the_port_the_node_does_without_and_says_so(
    anna: Person,
) -> None:
    with socket.create_server(("127.0.0.1", PORT)):
        anna.start()

        def log() -> str:
            return (anna.folder / "log").read_text()

        until(lambda: "another program has this port" in log(), "the log says why")
        assert f"The relay cannot use 127.0.0.1:{PORT} (TCP)" in log()
    until(lambda: answer() == b"HTTP/1.1 200 OK", "the relay tries again")
