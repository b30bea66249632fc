"""Messages as octets: both libraries read what is written here, and their calls are cut apart."""

from __future__ import annotations

import io
from typing import Any

import dbus_fast
import dbus_next
import pytest
from dbus_fast._private.unmarshaller import Unmarshaller as FastUnmarshaller
from dbus_next._private.marshaller import Marshaller
from dbus_next._private.unmarshaller import Unmarshaller as NextUnmarshaller
from hypothesis import given
from hypothesis import strategies as st

from postroad.base.errors import PeerMisbehaved
from postroad.doors.dbus import wire

NUMBERS = st.integers(1, 2**32 - 1)
NAMES = st.sampled_from(["", ":1.5", ":1.123456", "org.example.A"])
CALL = dbus_next.Message(
    destination="org.postroad.Postroad1",
    path="/org/postroad/Postroad1",
    interface="org.freedesktop.DBus.Properties",
    member="Get",
    signature="ss",
    body=["org.postroad.Postroad1.Manager", "State"],
    serial=7,
)


def calls(*serials: int) -> bytes:
    found = b""
    for one in serials:
        CALL.serial = one
        found += bytes(CALL._marshall())
    return found


@pytest.mark.parametrize("reader", [NextUnmarshaller, FastUnmarshaller])
@given(
    NUMBERS,
    NUMBERS,
    NAMES,
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
    st.sampled_from(["", "a.b", "org.postroad.Postroad1.Error.Busy"]),
)
def test_both_libraries_read_a_reply(
    reader: Any, serial: int, reply_to: int, destination: str, text: str, error: str
) -> None:
    body = bytes(Marshaller("s", [text]).marshall())
    octets = wire.reply(serial, reply_to, destination, "s", body, error)
    message = reader(io.BytesIO(octets)).unmarshall()
    assert (message.serial, message.reply_serial, message.body) == (serial, reply_to, [text])
    assert (message.destination or "", message.error_name or "") == (destination, error)
    kinds = (dbus_next.MessageType, dbus_fast.MessageType)
    assert message.message_type in [one.ERROR if error else one.METHOD_RETURN for one in kinds]


@pytest.mark.parametrize("reader", [NextUnmarshaller, FastUnmarshaller])
def test_an_answer_may_say_nothing(reader: Any) -> None:
    message = reader(io.BytesIO(wire.reply(9, 8, ":1.5", "", b""))).unmarshall()
    assert (message.signature, message.body, message.reply_serial) == ("", [], 8)


@pytest.mark.parametrize("at_once", [1, 7, 16, 1000])
def test_a_stream_is_cut_into_its_messages_however_it_comes(at_once: int) -> None:
    octets = calls(1, 2, 3)
    stream = wire.Stream()
    found = []
    for at in range(0, len(octets), at_once):
        stream.feed(octets[at : at + at_once])
        while stream.has_one:
            taken = stream.take(2)
            assert 1 <= len(taken) <= 2
            found += taken
    assert found == [calls(one) for one in (1, 2, 3)]
    assert stream.take(1) == []


def test_what_is_repeated_differs_by_its_serial_alone() -> None:
    first, second = calls(1), calls(70_000)
    assert first != second
    assert wire.without_serial(first) == wire.without_serial(second)
    assert (wire.serial_of(first), wire.serial_of(second)) == (1, 70_000)
    assert wire.is_call(first)
    assert not wire.is_call(wire.reply(1, 2, "", "", b""))


@pytest.mark.parametrize("order", [b"l", b"B"])
def test_a_message_that_is_too_long_is_refused_before_it_is_kept(order: bytes) -> None:
    endian = "little" if order == b"l" else "big"
    length = (wire.MESSAGE_BYTES_MAX + 1).to_bytes(4, endian)  # type: ignore[arg-type]
    stream = wire.Stream()
    stream.feed(order + b"\1\0\1" + length + bytes(8))
    with pytest.raises(PeerMisbehaved, match="over the session bus"):
        stream.take(1)


@given(st.binary(max_size=200), st.integers(1, 20))
def test_whatever_comes_is_cut_into_pieces_of_it_or_refused(octets: bytes, at_once: int) -> None:
    stream = wire.Stream()
    found = b""
    try:
        for at in range(0, len(octets), at_once):
            stream.feed(octets[at : at + at_once])
            for message in stream.take(3):
                assert len(message) >= wire.FIXED_BYTES
                wire.serial_of(message)
                found += message
    except PeerMisbehaved:
        pass
    assert octets.startswith(found)
