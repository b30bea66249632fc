"""Octets that somebody sends: cut into messages whatever they are, read or refused, never kept in
a heap; and buses that are none."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus_scene import folder_of
from drawing import drawn
from postroad_tray import library, values, wire
from postroad_tray.client import Typed
from postroad_tray.connection import Kit, Sent
from postroad_tray.facts import Link
from postroad_tray.library import Library
from postroad_tray.wire import Kind, Piece, Stream
from postroad_tray.worker import Worker

KITS = {one: library.kit(one) for one in Library}
SIGNAL = Sent(
    Kind.SIGNAL,
    path="/org/postroad/Postroad1",
    interface="org.freedesktop.DBus.Properties",
    member="PropertiesChanged",
    signature="sa{sv}as",
    body=("an.interface", {"A": Typed("s", "ä"), "B": Typed("a{sv}", {"C": Typed("d", 0.5)})}, []),
)
ANSWER = Sent(Kind.RETURN, destination=":1.7", reply_to=5, signature="t", body=(2**63,))


def pieces(octets: bytes, cuts: list[int] | None = None, length_max: int = 10_000) -> list[Piece]:
    """The messages in these octets, fed in parts."""
    stream = Stream(length_max)
    found: list[Piece] = []
    places = sorted({min(cut, len(octets)) for cut in cuts or []} | {0, len(octets)})
    for begin, end in pairwise(places):
        found += stream.feed(octets[begin:end])
        assert stream.held <= length_max + wire.FIELDS_BYTES_MAX
    return found


@pytest.fixture(params=list(Library))
def kit(request: pytest.FixtureRequest) -> Kit:
    return KITS[request.param]


def test_what_is_written_is_read_as_it_was(kit: Kit) -> None:
    octets = kit.write(7, SIGNAL) + kit.write(8, ANSWER)
    first, second = pieces(octets)
    assert (first.head.kind, first.head.serial) == (Kind.SIGNAL, 7)
    assert (second.head.kind, second.head.serial, second.head.reply_to) == (Kind.RETURN, 8, 5)
    came = first.read()
    assert came.body == ["an.interface", {"A": "ä", "B": {"C": 0.5}}, []]
    assert (came.path, came.member, came.signature) == (SIGNAL.path, SIGNAL.member, "sa{sv}as")
    assert second.read().body == [2**63]


def test_both_libraries_write_the_same() -> None:
    for sent in (SIGNAL, ANSWER):
        assert KITS[Library.NEXT].write(3, sent) == KITS[Library.FAST].write(3, sent)


@given(st.lists(st.integers(0, 600), max_size=8))
def test_wherever_the_stream_is_cut_the_messages_are_the_same(cuts: list[int]) -> None:
    octets = b"".join(KITS[Library.NEXT].write(number, SIGNAL) for number in (1, 2, 3))
    assert pieces(octets, cuts) == pieces(octets)
    assert [piece.head.serial for piece in pieces(octets, cuts)] == [1, 2, 3]


@given(st.integers(1, 20_000), st.lists(st.integers(0, 25_000), max_size=5))
def test_a_message_that_is_too_long_is_passed_over_and_the_next_one_is_read(
    length: int, cuts: list[int]
) -> None:
    kit = KITS[Library.NEXT]
    long = Sent(Kind.RETURN, reply_to=9, signature="ay", body=(bytes(length),))
    octets = kit.write(1, long) + kit.write(2, ANSWER)
    first, second = pieces(octets, cuts, length_max=2_000)
    is_too_long = len(kit.write(1, long)) > 2_000
    assert (first.octets is None, first.head.reply_to) == (is_too_long, 9)
    assert second == pieces(kit.write(2, ANSWER))[0]


@given(st.binary(max_size=2_000), st.lists(st.integers(0, 2_000), max_size=4))
def test_nonsense_is_no_stream_of_messages(octets: bytes, cuts: list[int]) -> None:
    with suppress(ValueError):
        pieces(octets, cuts)


@settings(max_examples=300)
@given(
    st.sampled_from([SIGNAL, ANSWER]),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_a_message_with_wrong_octets_is_read_or_refused(
    sent: Sent, wrong: list[tuple[int, int]]
) -> None:
    octets = bytearray(KITS[Library.NEXT].write(1, sent))
    for at, octet in wrong:
        octets[at % len(octets)] = octet
    with suppress(ValueError):
        for piece in pieces(bytes(octets)):
            piece.read()


@settings(max_examples=300)
@given(st.binary(max_size=300), st.text("ybnqiuxtdsogavh(){}", max_size=20), st.booleans())
def test_octets_are_values_or_refused_whatever_the_signature(
    octets: bytes, signature: str, is_big: bool
) -> None:
    with suppress(ValueError):
        values.read(octets, signature, order=">" if is_big else "<")


BASIC: dict[str, st.SearchStrategy[Any]] = {
    "y": st.integers(0, 255), "n": st.integers(-(2**15), 2**15 - 1), "q": st.integers(0, 2**16 - 1),
    "i": st.integers(-(2**31), 2**31 - 1), "u": st.integers(0, 2**32 - 1),
    "x": st.integers(-(2**63), 2**63 - 1), "t": st.integers(0, 2**64 - 1), "b": st.booleans(),
    "d": st.floats(allow_nan=False),
    "s": st.text(st.characters(codec="utf-8", exclude_characters="\0")),
    "o": st.just("/a/b"), "g": st.just("a{sv}"),
}  # fmt: skip
TEXTS = BASIC["s"]
SIGNATURES = [*BASIC, "ay", "as", "ad", "at", "aas", "a{ss}", "a{sas}", "(sdy)", "a(yt)", "a(sb)"]


def of(signature: str) -> st.SearchStrategy[Any]:
    """Values of one complete type."""
    if signature in BASIC:
        return BASIC[signature]
    if signature == "v":
        return st.sampled_from(SIGNATURES).flatmap(
            lambda one: of(one).map(lambda value: Typed(one, value))
        )
    if signature == "ay":
        return st.binary(max_size=20)
    if signature.startswith("a{s"):
        return st.dictionaries(TEXTS, of(signature[3:-1]), max_size=3)
    if signature.startswith("a"):
        return st.lists(of(signature[1:]), max_size=3)
    return st.tuples(*(of(one) for one in signature[1:-1])).map(list)


@settings(max_examples=300)
@given(
    st.sampled_from(list(Library)),
    st.sampled_from([*SIGNATURES, "v", "a{sv}", "a{sa{sv}}", "aa{sv}", "a(yv)"]).flatmap(
        lambda one: st.tuples(st.just(one), of(one), st.text("xyz", max_size=9))
    ),
)
def test_what_a_library_writes_is_read_as_it_was_meant(
    which: Library, said: tuple[str, Any, str]
) -> None:
    signature, value, before = said
    sent = Sent(Kind.RETURN, reply_to=1, signature=f"s{signature}", body=(before, value))
    (piece,) = pieces(KITS[which].write(1, sent))
    assert piece.read().body == [before, _bare(value)]


def _bare(value: Any) -> Any:
    if isinstance(value, Typed):
        return _bare(value.value)
    if isinstance(value, dict):
        return {key: _bare(one) for key, one in value.items()}
    return [_bare(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("signature", "octets"),
    [
        ("as", struct.pack("<I", 2**32 - 1)),
        ("as", struct.pack("<II", 8, 2**32 - 1) + bytes(8)),
        ("s", struct.pack("<I", 4) + b"ab"),
        ("s", struct.pack("<I", 2) + b"\xff\xfe\0"),
        ("v", b"\x02ss\0" + bytes(20)),
        ("v", b"\x00\0" + bytes(20)),
        ("a{vs}", bytes(4)),
        ("a()", bytes(4)),
        ("((((", b""),
        ("a" * 50 + "y", bytes(400)),
        ("y" * 300, bytes(300)),
        ("z", bytes(4)),
    ],
)
def test_what_is_no_value_is_refused(signature: str, octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        values.read(octets, signature)


def test_values_in_values_have_an_end() -> None:
    with pytest.raises(ValueError, match="deep"):
        values.read(b"\x01v\0" * 100_000, "v")
    with pytest.raises(ValueError, match="many"):
        values.read(struct.pack("<I", 4_000_000) + b"\x01y\0\0" * 1_000_000, "av")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("unix:path=/run/user/1000/bus", ["/run/user/1000/bus"]),
        ("unix:path=/run/user/1000/bus,guid=0f", ["/run/user/1000/bus"]),
        ("unix:abstract=/tmp/dbus-x", ["\0/tmp/dbus-x"]),
        ("tcp:host=127.0.0.1,port=1;unix:path=/a%20b", ["/a b"]),
        ("unix:path=/a;unix:path=/b", ["/a", "/b"]),
    ],
)
def test_an_address_is_read(text: str, found: list[str]) -> None:
    assert wire.addresses(text) == found


@pytest.mark.parametrize("text", ["", "unix:", "tcp:host=x", "unix:path=/a%00b", "autolaunch:"])
def test_an_address_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        wire.addresses(text)


# Buses that are none ------------------------------------------------------------------------------


@contextmanager
def bus_of_ours(talk: Callable[[socket.socket], None]) -> Iterator[tuple[str, list[float]]]:
    """Its address, and when it was connected to; each connection is dealt with by `talk`."""
    folder = folder_of("no-bus")
    path = folder / "bus"
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(path))
    door.listen()
    came: list[float] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = door.accept()
            except OSError:
                return
            came.append(time.monotonic())
            with connection, suppress(OSError):
                connection.settimeout(5.0)
                talk(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"unix:path={path}", came
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        thread.join(10)
        path.unlink()
        folder.rmdir()


def hangs_up(connection: socket.socket) -> None:
    connection.recv(100)


def refuses(connection: socket.socket) -> None:
    connection.recv(100)
    connection.sendall(b"REJECTED DBUS_COOKIE_SHA1\r\n")


def greets_without_an_end(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"OK " * 10_000)


def talks_nonsense(connection: socket.socket) -> None:
    connection.recv(100)
    connection.sendall(b"OK 00\r\n")
    connection.sendall(os.urandom(1_000_000))


def breaks_off(connection: socket.socket) -> None:
    connection.recv(100)
    connection.sendall(b"OK 00\r\n" + KITS[Library.NEXT].write(1, ANSWER)[:30])


def promises_much(connection: socket.socket) -> None:
    """The head of a message of nearly 4 GiB, and some of it."""
    connection.recv(100)
    connection.sendall(b"OK 00\r\n" + struct.pack("<BBBBIII", ord("l"), 2, 0, 1, 2**32 - 64, 1, 0))
    for _ in range(50):
        connection.sendall(bytes(100_000))


@pytest.mark.parametrize(
    "talk",
    [hangs_up, refuses, greets_without_an_end, talks_nonsense, breaks_off, promises_much],
)
def test_a_bus_that_is_none_is_no_bus_and_is_tried_again_with_pauses(
    talk: Callable[[socket.socket], None],
) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with bus_of_ours(talk) as (address, came), drawn(bus_address=address) as found:
        found.drawing.until_link(Link.NO_BUS)
        ends = time.monotonic() + 20.0
        while len(came) < 2 and time.monotonic() < ends:
            found.drawing.pump(0.1)
        assert came[1] - came[0] > 0.9
        found.drawing.pump(0.5)
        assert len(came) <= 3
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_a_line_that_is_closed_while_the_bus_is_being_lost_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The group of errors swallows the cancellation."""
    losing = threading.Event()

    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise ConnectionError("It has gone.")

    async def tidy() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            losing.set()
            await asyncio.sleep(0.5)

    async def lose(_: Worker) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(tidy())
            tasks.create_task(fail())

    monkeypatch.setattr(Worker, "_on_the_bus", lose)
    with drawn(bus_address="unix:path=/nowhere"):
        assert losing.wait(10)
