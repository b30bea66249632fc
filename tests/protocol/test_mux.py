"""The mux: whatever the network cuts and the streams interleave, each says what was said on it."""

import contextlib
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as some

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved
from postroad.protocol.mux import (
    DATA_BYTES_MAX,
    WINDOW_BYTES,
    Aborted,
    Began,
    Event,
    Finished,
    Granted,
    Kind,
    Mux,
    Refused,
    Said,
)


def frame(kind: int, stream: int, body: bytes = b"") -> bytes:
    return bytes([kind]) + stream.to_bytes(4, "big") + len(body).to_bytes(2, "big") + body


def misbehaves(mux: Mux, octets: bytes) -> None:
    with pytest.raises(PeerMisbehaved):
        mux.receive(octets)


@dataclass
class End:
    """One end as its driver sees it, which checks what must hold at every event."""

    mux: Mux
    began: list[int] = field(default_factory=list)
    said: dict[int, bytes] = field(default_factory=lambda: defaultdict(bytes))
    unread: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    over: set[int] = field(default_factory=set)
    broken: set[int] = field(default_factory=set)

    def hear(self, octets: bytes) -> None:
        for event in self.mux.receive(octets):
            self._note(event)

    def read(self, number: int, size: int) -> None:
        size = min(size, self.unread[number])
        self.unread[number] -= size
        self.mux.consumed(number, size)

    def _note(self, event: Event) -> None:
        match event:
            case Began(number):
                assert number not in self.began
                self.began.append(number)
            case Said(number, octets):
                assert number not in self.over | self.broken
                self.said[number] += octets
                self.unread[number] += len(octets)
                assert self.unread[number] <= WINDOW_BYTES
            case Finished(number):
                assert number not in self.over | self.broken
                self.over.add(number)
            case Aborted(number):
                assert number not in self.over
                self.broken.add(number)
            case Refused(number):
                assert number in self.over
            case Granted(number):
                assert 0 < self.mux.credit(number) <= WINDOW_BYTES


SIZES = some.one_of(
    some.integers(1, 64), some.sampled_from([DATA_BYTES_MAX, DATA_BYTES_MAX - 1]), some.just(0)
)
STEPS = some.lists(
    some.tuples(
        some.sampled_from(["open", "send", "finish", "abort", "read", "carry", "ping"]),
        some.booleans(),  # which end does it
        some.integers(0, 5),  # on which of its streams
        SIZES,
    ),
    max_size=120,
)


@given(STEPS, some.integers(1, 5000))
def test_any_interleaving_and_any_split_says_the_same(
    steps: list[tuple[str, bool, int, int]], cut: int
) -> None:
    ends = [End(Mux(dialled=True)), End(Mux(dialled=False))]
    wire = [b"", b""]  # towards each end
    sent: list[dict[int, bytes]] = [defaultdict(bytes), defaultdict(bytes)]
    mine: list[list[int]] = [[], []]
    closed: list[set[int]] = [set(), set()]

    def carry(at: int, size: int) -> None:
        wire[at] += ends[1 - at].mux.take()
        part, wire[at] = wire[at][:size], wire[at][size:]
        ends[at].hear(part)

    for step, which, pick, size in steps:
        at = int(which)
        end, known = ends[at], mine[at] + ends[at].began
        number = known[pick % len(known)] if known else -1
        dead = number in closed[at] | end.broken or number < 0
        match step:
            case "open" if len(mine[at]) < limits.INCOMING_STREAMS_MAX:
                number = end.mux.begin()
                mine[at].append(number)
                end.mux.send(number, b"\0")
                sent[at][number] += b"\0"
            case "send" if not dead and 0 < size <= end.mux.credit(number):
                octets = bytes([len(sent[at][number]) % 256]) * size
                end.mux.send(number, octets)
                sent[at][number] += octets
            case "finish" if not dead and end.mux.credit(number):
                end.mux.finish(number)
                closed[at].add(number)
            case "abort" if number >= 0:
                end.mux.abort(number)
                closed[at].add(number)
                end.broken.add(number)
            case "read" if number >= 0:
                end.read(number, size)
            case "carry":
                carry(at, size * 3)
            case "ping":
                end.mux.ping()
            case _:
                pass
    for at in (0, 1, 0, 1):
        while ends[1 - at].mux.pending or wire[at]:
            carry(at, cut)
        carry(at, cut)
    for at in (0, 1):
        for number, octets in sent[1 - at].items():
            if number in closed[1 - at] and number in ends[at].over:
                assert ends[at].said[number] == octets
            else:
                assert octets.startswith(ends[at].said[number])


@given(some.lists(some.integers(1, 40), max_size=30))
def test_a_split_in_any_place_changes_nothing(cuts: list[int]) -> None:
    speaker = Mux(dialled=True)
    for body in (b"first", b"second"):
        number = speaker.begin()
        speaker.send(number, body)
        speaker.finish(number)
    speaker.ping()
    octets = speaker.take()
    whole = Mux(dialled=False).receive(octets)
    mux, parts = Mux(dialled=False), []
    for cut in [*cuts, len(octets)]:
        parts += mux.receive(octets[:cut])
        octets = octets[cut:]
    assert parts == whole
    assert parts == [
        Began(0),
        Said(0, b"first"),
        Finished(0),
        Began(2),
        Said(2, b"second"),
        Finished(2),
    ]
    assert mux.take() == frame(Kind.PONG, 0, bytes(8))


@given(some.binary(max_size=200))
def test_noise_is_refused_or_understood_but_nothing_else(octets: bytes) -> None:
    mux = Mux(dialled=False)
    try:
        mux.receive(octets)
    except PeerMisbehaved:
        return
    mux.take()


def test_no_more_than_the_window_goes_out_before_something_is_read() -> None:
    speaker, hearer = Mux(dialled=True), Mux(dialled=False)
    number = speaker.begin()
    while room := min(speaker.credit(number), DATA_BYTES_MAX):
        speaker.send(number, bytes(room))
    events = hearer.receive(speaker.take())
    assert sum(len(event.octets) for event in events if isinstance(event, Said)) == WINDOW_BYTES
    assert hearer.take() == b""
    hearer.consumed(number, WINDOW_BYTES)
    assert speaker.receive(hearer.take()) == [Granted(number)]
    assert speaker.credit(number) == WINDOW_BYTES


def test_a_stuck_stream_takes_nothing_from_the_others() -> None:
    speaker = Mux(dialled=True)
    stuck, free = speaker.begin(), speaker.begin()
    while speaker.credit(stuck):
        speaker.send(stuck, bytes(DATA_BYTES_MAX))
    assert speaker.credit(free) == WINDOW_BYTES


def test_what_was_finished_counts_although_an_abort_follows() -> None:
    asking, refusing = Mux(dialled=True), Mux(dialled=False)
    number = asking.begin()
    asking.send(number, b"may I?")
    refusing.receive(asking.take())
    refusing.send(number, b"no")
    refusing.finish(number)
    refusing.abort(number)
    heard = asking.receive(refusing.take())
    assert heard == [Said(number, b"no"), Finished(number), Refused(number)]
    assert asking.credit(number) == 0


def test_what_still_comes_for_an_aborted_stream_is_let_pass() -> None:
    mux = Mux(dialled=True)
    number = mux.begin()
    mux.send(number, b"x")
    mux.abort(number)
    mux.abort(number)
    late = frame(Kind.DATA, number, b"y") + frame(Kind.CREDIT, number, bytes([0, 0, 0, 1]))
    assert mux.receive(late + frame(Kind.FINISH, number) + frame(Kind.ABORT, number)) == []
    mux.consumed(number, 5)
    assert mux.take() == frame(Kind.DATA, number, b"x") + frame(Kind.ABORT, number)


def test_a_peer_that_only_asks_makes_us_keep_nothing() -> None:
    mux = Mux(dialled=True)
    for n in range(1000):
        mux.receive(frame(Kind.PING, 0, n.to_bytes(8, "big")))
    assert mux.take() == frame(Kind.PONG, 0, (999).to_bytes(8, "big"))
    assert mux.take() == b""


def test_a_place_is_free_again_when_a_stream_is_over() -> None:
    mux, peer = Mux(dialled=False), Mux(dialled=True)
    for _ in range(3 * limits.INCOMING_STREAMS_MAX):
        number = peer.begin()
        peer.finish(number)
        mux.receive(peer.take())
        mux.finish(number)
        peer.receive(mux.take())


def test_more_streams_at_once_than_allowed_are_refused() -> None:
    mux = Mux(dialled=False)
    for n in range(limits.INCOMING_STREAMS_MAX):
        mux.receive(frame(Kind.DATA, 2 * n, b"x"))
    misbehaves(mux, frame(Kind.DATA, 2 * limits.INCOMING_STREAMS_MAX, b"x"))


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(frame(0, 0), id="an unknown kind"),
        pytest.param(frame(255, 0), id="another unknown kind"),
        pytest.param(frame(Kind.DATA, 2, b"x"), id="a stream that skips a number"),
        pytest.param(frame(Kind.DATA, 1, b"x"), id="a stream of ours that we never began"),
        pytest.param(frame(Kind.CREDIT, 0, bytes(3) + b"x"), id="credit for no stream"),
        pytest.param(frame(Kind.ABORT, 0), id="an abort of no stream"),
        pytest.param(frame(Kind.DATA, 0), id="data without any"),
        pytest.param(frame(Kind.FINISH, 0, b"x"), id="an end with data"),
        pytest.param(frame(Kind.DATA, 0, bytes(DATA_BYTES_MAX + 1))[:7], id="a frame too large"),
        pytest.param(frame(Kind.FINISH, 0) + frame(Kind.DATA, 0, b"x"), id="data after the end"),
        pytest.param(frame(Kind.FINISH, 0) + frame(Kind.FINISH, 0), id="a second end"),
        pytest.param(
            frame(Kind.DATA, 0, bytes(DATA_BYTES_MAX)) * (WINDOW_BYTES // DATA_BYTES_MAX)
            + frame(Kind.DATA, 0, b"x"),
            id="more than the credit",
        ),
        pytest.param(
            frame(Kind.DATA, 0, b"x") + frame(Kind.CREDIT, 0, bytes([0, 0, 0, 1])),
            id="credit for what was never sent",
        ),
        pytest.param(frame(Kind.DATA, 0, b"x") + frame(Kind.CREDIT, 0, bytes(4)), id="no credit"),
        pytest.param(frame(Kind.DATA, 0, b"x") + frame(Kind.CREDIT, 0, b"x"), id="odd credit"),
        pytest.param(frame(Kind.DATA, 0, b"x") + frame(Kind.ABORT, 0, b"x"), id="abort with data"),
        pytest.param(frame(Kind.PING, 1, bytes(8)), id="a ping on a stream"),
        pytest.param(frame(Kind.PONG, 0, bytes(9)), id="a long pong"),
    ],
)
def test_a_peer_that_breaks_the_rules_is_refused(hostile: bytes) -> None:
    misbehaves(Mux(dialled=False), hostile)
    mux, heard = Mux(dialled=False), 0
    while heard < len(hostile) - 1:
        with contextlib.suppress(PeerMisbehaved):
            mux.receive(hostile[heard : heard + 1])
        heard += 1
    misbehaves(mux, hostile[heard:])
