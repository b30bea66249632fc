"""What a client of the relay may say, and what each of its words means."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as some

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import PeerId
from postroad.protocol import relay as protocol
from postroad.protocol.relay import (
    DATAGRAM_BYTES_MAX,
    HEAD_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    SEGMENTS_MAX,
    Event,
    Kind,
    Over,
    Packets,
    Proven,
    Session,
    Unfit,
)
from relay_client import REQUEST, batch, frame, keys, packet, proof

CHALLENGE = bytes(range(16))
ANNA, BORA = keys(2)


def ready() -> Session:
    """A session of Anna's, let in."""
    session = Session(CHALLENGE)
    assert session.receive(REQUEST) == []
    assert session.receive(proof(ANNA, CHALLENGE)) == [Proven(ANNA.peer)]
    session.confirm()
    session.take()
    return session


def hear(session: Session, octets: bytes, *cuts: int) -> list[Event]:
    """The events of these bytes, which come in pieces."""
    ends = [*sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    found, at = [], 0
    for end in ends:
        found += session.receive(octets[at:end])
        at = end
    return found


def test_the_handshake_is_what_iroh_expects() -> None:
    session = Session(CHALLENGE)
    session.receive(REQUEST)
    head, _, rest = session.take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head  # RFC 6455, 1.3
    assert b"\r\nSec-WebSocket-Protocol: iroh-relay-v2" in head
    assert rest == b"\x82\x11\x00" + CHALLENGE
    session.receive(proof(ANNA, CHALLENGE))
    assert session.take() == b""  # not before the caller's verdict
    session.confirm()
    assert session.take() == b"\x82\x01\x02"
    assert session.is_ready


def test_what_is_signed_is_what_iroh_signs() -> None:
    """By iroh-relay, protos/handshake.rs: derive_key over the challenge, and no other bytes."""
    from blake3 import blake3

    context = "iroh-relay handshake v1 challenge signature"
    assert protocol.signed(CHALLENGE) == blake3(CHALLENGE, derive_key_context=context).digest()


def test_who_is_sent_away_hears_why_in_a_form_that_iroh_reads() -> None:
    session = Session(CHALLENGE)
    session.receive(REQUEST + proof(ANNA, CHALLENGE))
    session.take()
    session.deny("no")
    assert session.take() == b"\x82\x04\x03\x02no"
    assert session.receive(packet(BORA.public, b"x")) == []


def test_a_key_is_proven_or_nothing_is_said() -> None:
    for wrong in (
        proof(ANNA, bytes(16)),  # of another challenge
        proof(ANNA, CHALLENGE)[:-1] + b"\0",
        frame(bytes([Kind.PROOF]) + bytes(32) + b"\x40" + bytes(64)),  # a key of small order
        frame(bytes([Kind.PROOF]) + b"\x01" + bytes(31) + b"\x40" + b"\x01" + bytes(63)),
        frame(bytes([Kind.PROOF]) + ANNA.public + b"\x41" + bytes(64)),
        frame(bytes([Kind.PROOF]) + ANNA.public),
        packet(BORA.public, b"x"),  # before the proof
    ):
        session = Session(CHALLENGE)
        session.receive(REQUEST)
        with pytest.raises(PeerMisbehaved):
            session.receive(wrong)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n"),
        (b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 404 "),
        (b"GET /relay HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 "),
        (REQUEST.replace(b"v2, iroh-relay-v1", b"v1"), b"HTTP/1.1 400 "),
        (REQUEST.replace(b": 13", b": 12"), b"HTTP/1.1 400 "),
        (REQUEST.replace(b": websocket", b": h2c"), b"HTTP/1.1 400 "),
    ],
)
def test_other_requests_are_answered_and_over(request_: bytes, answer: bytes) -> None:
    session = Session(CHALLENGE)
    assert session.receive(request_) == [Over()]
    assert session.take().startswith(answer)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00",  # TLS
        b"POST /relay HTTP/1.1\r\n\r\n",
        b"GET /relay\r\n\r\n",
        b"GET /relay HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /relay HTTP/1.1\r\nfolded: a\r\n b\r\n\r\n",
        b"GET /relay HTTP/1.1\r\nx: " + b"y" * HEAD_BYTES_MAX,
        REQUEST + b"\x82\x05hello",  # without a mask
        REQUEST + frame(b"hello", first=0xC2),  # with an extension
        REQUEST + frame(bytes(100)),  # longer than a proof
        REQUEST + frame(b"", length=2**63),
        REQUEST + frame(b"text", first=0x81),
        REQUEST + frame(b"", first=0x80),  # goes on with nothing
        REQUEST + frame(b"", first=0x83),
        REQUEST + frame(b"", first=0x09),  # a control frame in pieces
        REQUEST + b"\x82\xfe\x00\x05" + bytes(9),  # a length written too long
        REQUEST + frame(b""),
        REQUEST + frame(bytes([14])),
    ],
)
def test_what_no_client_says_ends_the_connection(garbage: bytes) -> None:
    with pytest.raises(PeerMisbehaved):
        Session(CHALLENGE).receive(garbage)


def test_packets_are_passed_on_as_they_are_with_the_sender_in_the_place_of_the_receiver() -> None:
    session = ready()
    [one, many] = session.receive(packet(BORA.public, b"one") + batch(BORA.public, 2, b"abcde"))
    assert isinstance(one, Packets)
    assert isinstance(many, Packets)
    assert (one.to, one.count, many.to, many.count) == (BORA.peer, 1, BORA.peer, 3)
    assert protocol.passed_on(one, ANNA.peer) == b"\x82\x25\x06" + ANNA.public + b"\0one"
    assert protocol.passed_on(many, ANNA.peer) == b"\x82\x29\x07" + ANNA.public + b"\0\0\2abcde"


@pytest.mark.parametrize(
    "unfit",
    [
        packet(BORA.public, b""),
        packet(BORA.public, bytes(DATAGRAM_BYTES_MAX + 1)),
        batch(BORA.public, 0, b"x"),
        batch(BORA.public, 100, b""),
        batch(BORA.public, DATAGRAM_BYTES_MAX + 1, bytes(3000)),
        batch(BORA.public, 65535, bytes(60000)),  # iroh before 1.1.0 spins on it for ever
        batch(BORA.public, 1, bytes(SEGMENTS_MAX + 1)),
        batch(BORA.public, 1, bytes(60000)),
    ],
)
def test_packets_over_which_a_receiver_could_stumble_go_no_further(unfit: bytes) -> None:
    session = ready()
    assert session.receive(unfit) == [Unfit()]
    assert len(session.receive(packet(BORA.public, b"x"))) == 1  # and the connection lives


def test_the_greatest_message_passes_and_a_greater_one_is_not_even_waited_for() -> None:
    session = ready()
    size = MESSAGE_BYTES_MAX - 36
    [event] = session.receive(batch(BORA.public, 1200, bytes(size)))
    assert isinstance(event, Packets)
    assert event.count == -(-size // 1200)
    with pytest.raises(PeerMisbehaved):
        session.receive(frame(b"", length=MESSAGE_BYTES_MAX + 1))
    session = ready()
    session.receive(frame(bytes(MESSAGE_BYTES_MAX), first=0x02))
    with pytest.raises(PeerMisbehaved):  # in pieces neither
        session.receive(frame(b"", first=0x80, length=1))


def test_a_frame_of_packets_without_a_whole_key_is_refused() -> None:
    """iroh's own relay before 1.0.2 died of it."""
    for size in range(34):
        with pytest.raises(PeerMisbehaved):
            ready().receive(frame(bytes([Kind.TO]) + bytes(size)[:32]))


def test_signs_of_life_are_answered_and_only_the_last_of_many() -> None:
    session = ready()
    session.receive(b"".join(frame(bytes([Kind.PING]) + bytes([n] * 8)) for n in range(50)))
    assert session.take() == b"\x82\x09\x0a" + bytes([49] * 8)
    session.receive(frame(b"hi", first=0x89))
    assert session.take() == b"\x8a\x02hi"
    session.receive(frame(b"hi", first=0x8A) + frame(bytes([Kind.PONG]) + bytes(8)))
    assert session.take() == b""


def test_a_close_is_answered_and_is_the_end() -> None:
    session = ready()
    assert session.receive(frame(b"\x03\xe8bye", first=0x88) + packet(BORA.public, b"x")) == [
        Over()
    ]
    assert session.take() == b"\x88\x02\x03\xe8"


def test_the_relay_s_own_words_are_what_iroh_reads() -> None:
    assert protocol.gone(ANNA.peer) == b"\x82\x21\x08" + ANNA.public
    assert protocol.status(protocol.Status.SAME_KEY) == b"\x82\x02\x0d\x01"
    assert protocol.ping() == b"\x82\x09\x09" + bytes(8)
    assert protocol.message(bytes(70000))[:10] == b"\x82\x7f" + (70000).to_bytes(8, "big")


octets = some.binary(max_size=2000)
speech = some.one_of(
    some.builds(lambda body: packet(BORA.public, body), octets),
    some.builds(lambda size, body: batch(BORA.public, size, body), some.integers(0, 2000), octets),
    some.builds(lambda body: frame(body, first=0x89), some.binary(max_size=125)),
    some.builds(
        lambda body, mask: frame(body[:9], first=0x02, mask=mask) + frame(body[9:], first=0x80),
        some.builds(lambda body: bytes([Kind.TO]) + BORA.public + b"\0" + body, octets),
        some.binary(min_size=4, max_size=4),
    ),
)


@given(some.lists(speech, max_size=6), some.lists(some.integers(0, 14000), max_size=8))
def test_any_cut_of_the_bytes_means_the_same(said: list[bytes], cuts: list[int]) -> None:
    whole = REQUEST + proof(ANNA, CHALLENGE)
    session = Session(CHALLENGE)
    assert hear(session, whole, *cuts) == [Proven(ANNA.peer)]
    session.confirm()
    together = ready().receive(b"".join(said))
    assert hear(session, b"".join(said), *cuts) == together
    pieces = ready()
    assert [event for each in said for event in hear(pieces, each, *range(0, 70))] == together


@given(
    some.lists(
        some.one_of(
            some.binary(max_size=200), speech, some.just(REQUEST), some.just(proof(ANNA, CHALLENGE))
        ),
        max_size=12,
    ),
    some.booleans(),
)
def test_garbage_is_misbehaviour_or_silence_and_never_anything_else(
    said: list[bytes], begins_ready: bool
) -> None:
    session = ready() if begins_ready else Session(CHALLENGE)
    for each in said:
        try:
            session.receive(each)
        except PeerMisbehaved:
            return
        assert len(session._received) + len(session._pieces) <= 2 * MESSAGE_BYTES_MAX
        assert len(session.take()) <= 1024


def test_what_one_connection_keeps_is_bounded_whatever_it_says() -> None:
    session = ready()
    chunk = bytes(64 * limits.KIB)
    piece = frame(b"", first=0x00)
    start = frame(bytes([Kind.TO]) + BORA.public, first=0x02)
    tracemalloc.start()
    try:
        session.receive(start)
        for _ in range(20):  # pieces without end and without content
            session.receive(piece * 2000)
        session.receive(frame(chunk[:1000], first=0x00) + frame(b"", first=0x80))
        for _ in range(10):
            session.receive(frame(b"x" * 125, first=0x89) * 500)
        assert tracemalloc.get_traced_memory()[1] < 4 * limits.MIB
    finally:
        tracemalloc.stop()


def test_a_policy_sees_the_key_and_nothing_that_a_client_could_choose() -> None:
    session = Session(CHALLENGE)
    [event] = session.receive(REQUEST + proof(BORA, CHALLENGE))
    assert event == Proven(PeerId(BORA.public))
