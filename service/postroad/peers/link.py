"""Links to other nodes: made when needed, shared, and closed when nobody needs them.

Purpose: hand out exchanges (one framed conversation on a stream of its own), and bring those that
peers begin to whoever answers their first message.
Invariants: every wait has an end; a dead link costs one deadline and is then dialled afresh; a peer
can neither hold more than its share of streams nor bring down the loop.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Container, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from postroad.base import limits, vigil
from postroad.base.errors import LinkClosed, PeerMisbehaved, TemporaryFailure, Unreachable
from postroad.base.ids import Contact, PeerId, short
from postroad.base.seams import Clock, Endpoint, Link, Path, Stream
from postroad.peers.admission import Admission
from postroad.peers.exchange import Answer, Counts, Exchange, deadline
from postroad.peers.sightings import Sightings
from postroad.protocol import wire, wire_changes
from postroad.timeouts import timeout

log = logging.getLogger(__name__)

OnLink = Callable[[PeerId, bool], None]
"""Hears of each new link: whose it is, and whether they came to us."""
OnMiss = Callable[[PeerId], None]
"""Hears of each peer that was dialled in vain."""


@dataclass(slots=True)
class _Entry:
    """A link in the cache, and how busy it is."""

    link: Link
    came: bool = False  # they made it
    busy: int = 0
    idle_since: float = 0.0
    retired: bool = False  # no new exchanges; closed when the last one ends


@dataclass(slots=True)
class _Dial:
    """A dial under way; it tells why there is no link."""

    task: asyncio.Task[str]
    came: asyncio.Future[None]  # a link, from either side


class Links:
    """All links of this node. Run `serve` for as long as the node lives."""

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        answers: Mapping[type[wire.Message], Answer],
        on_link: OnLink,
        on_miss: OnMiss = lambda _: None,
        sightings: Sightings | None = None,
        barred: Container[PeerId] = (),
        admission: Admission | None = None,
        may_use: Callable[[Link], bool] = lambda _: True,
    ) -> None:
        """`barred`: devices that were revoked. They are told, and may tell and ask, what was
        revoked, and nothing else. Without `admission` nobody is a stranger. `may_use`: whether this
        link's packets go a way that they may go."""
        self._admission = admission
        self._endpoint = endpoint
        self._clock = clock
        self._answers = answers
        self._on_link = on_link
        self._on_miss = on_miss
        self._sightings = sightings or Sightings()
        self._barred = barred
        self._may_use = may_use
        self._entries: defaultdict[PeerId, list[_Entry]] = defaultdict(list)
        self._dialling: dict[Contact, _Dial] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._served = asyncio.Event()
        self._idle = asyncio.Event()
        self.counts = Counts()
        self.on_end: Callable[[], None] = lambda: None  # hears that a link is out of use

    @property
    def me(self) -> PeerId:
        return self._endpoint.me

    def is_linked(self, peer: PeerId) -> bool:
        """Whether an open link to this peer is at hand."""
        return self._newest(peer) is not None

    @property
    def is_served(self) -> bool:
        """Whether the node is on the network, and can dial."""
        return self._served.is_set()

    @property
    def count(self) -> int:
        """How many links are open."""
        return sum(len(entries) for entries in self._entries.values())

    def path(self, peer: PeerId) -> Path | None:
        """How packets go to this peer over the link at hand; None without one."""
        entry = self._newest(peer)
        return None if entry is None else entry.link.path()

    def linked(self) -> list[PeerId]:
        """To whom an open link is at hand."""
        return [peer for peer in list(self._entries) if self.is_linked(peer)]

    def drop(self) -> None:
        """Take all links out of use: the other sides have given them up while we slept."""
        for entry in [entry for found in self._entries.values() for entry in found]:
            self._retire(entry, at_once=True)

    def is_near(self, peer: PeerId) -> bool:
        """Whether somebody who seems to be this peer is on our local network."""
        return self._sightings.is_near(peer)

    async def serve(self) -> None:
        """Take in links and exchanges until cancelled; then close them all."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                self._served.set()
                tasks.create_task(self._close_idle_links(), name="close idle links")
                try:
                    while True:
                        self._add(await self._endpoint.accept(), came=True)
                finally:
                    self._tasks = None  # a group that ends takes no more tasks
                    self._served.clear()
        except* LinkClosed:  # the endpoint is closed: the node is stopping
            pass
        finally:
            for entries in list(self._entries.values()):
                for entry in list(entries):
                    await entry.link.close()
            self._entries.clear()

    async def wait_until_served(self) -> None:
        """Until the node is on the network, and can dial."""
        await self._served.wait()

    @asynccontextmanager
    async def exchange(
        self, contact: Contact, *, of_changes: bool = False
    ) -> AsyncIterator[Exchange]:
        """A fresh exchange with this peer, over a link at hand or a new one.

        `of_changes`: it is about revocations, of which those may hear whom they concern. Raises
        Unreachable. When it ends with an error its stream is aborted; when the peer did not
        answer in time, the link is taken for dead and closed as well."""
        if contact.peer in self._barred and not of_changes:
            raise Unreachable("This device was revoked by its owner.")
        entry = self._newest(contact.peer) or await self._dial(contact)
        entry.busy += 1
        try:
            async with deadline(limits.ANSWER_SECONDS_MAX):
                stream = await entry.link.open()
            try:
                exchange = Exchange(stream, contact.peer, entry.link.path, self.counts)
                yield exchange
                with suppress(LinkClosed):  # all was said: how the stream ends does not matter
                    await exchange.finish()
            except BaseException:
                stream.abort()
                raise
        except LinkClosed:
            self._retire(entry)
            raise
        finally:
            self._release(entry)

    def _newest(self, peer: PeerId) -> _Entry | None:
        for entry in reversed(list(self._entries.get(peer, []))):
            if not self._may_use(entry.link):
                self._retire(entry, at_once=True)
            elif not entry.link.closed:
                return entry
        return None

    async def _dial(self, contact: Contact) -> _Entry:
        """Dial, or join a dial that is under way; LinkClosed and time-outs become Unreachable."""
        if self._tasks is None:
            raise Unreachable("The node is starting or stopping.")
        contact = self._sightings.widen(contact)
        # Shared only by who would dial the same addresses: somebody's record may name wrong ones.
        dial = self._dialling.get(contact)
        if dial is None:
            task = self._tasks.create_task(self._dial_once(contact), name="dial")
            dial = _Dial(task, asyncio.get_running_loop().create_future())
            self._dialling[contact] = dial
            dial.task.add_done_callback(lambda _: self._dialling.pop(contact, None))
        # Both may dial at once, and one of the two dials may hang: a link that comes in is as good.
        # Ours goes on: given up on both sides, both could be lost. Whoever stops waiting leaves it
        # to the others; it ends by its own deadline.
        either: set[asyncio.Future[Any]] = {dial.task, dial.came}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        entry = self._newest(contact.peer)
        if entry is None:
            raise Unreachable(_outcome(dial.task))
        return entry

    async def _dial_once(self, contact: Contact) -> str:
        """Add the link, or tell why there is none: an error here would end every other task."""
        try:
            async with timeout(limits.DIAL_SECONDS_MAX):
                link = await self._endpoint.dial(contact)
        except TimeoutError:
            self._on_miss(contact.peer)
            return "It did not answer in time."
        except (Unreachable, LinkClosed) as error:
            self._on_miss(contact.peer)
            return str(error)
        except Exception as error:
            log.exception("dialling failed", extra={"peer": short(contact.peer)})
            return f"It could not be dialled ({error})."
        self._add(link, came=False)
        return "It closed the link at once."

    def _add(self, link: Link, *, came: bool) -> None:
        assert self._tasks is not None
        entry = _Entry(link, came, idle_since=self._clock.elapsed())
        if came and self._is_stranger(link.peer):
            self._make_room_among_strangers()
        self._make_room()
        while len(self._entries[link.peer]) >= limits.LINKS_PER_PEER_MAX:
            self._retire(min(self._entries[link.peer], key=_use), at_once=True)
        self._entries[link.peer].append(entry)
        for contact, dial in self._dialling.items():
            if contact.peer == link.peer and not dial.came.done():
                dial.came.set_result(None)
        self._tasks.create_task(self._serve_link(entry), name=f"link {short(link.peer)}")
        self._idle.set()
        self._on_link(link.peer, came)

    def _make_room(self) -> None:
        """Retire the link that is missed the least. One in use goes only when there is no other,
        and not before its exchanges have ended; a few places stay free for those who come."""
        entries = [entry for found in self._entries.values() for entry in found]
        idle = [entry for entry in entries if not entry.busy]
        if idle and len(entries) >= limits.LINKS_MAX - limits.LINKS_SPARE:
            self._retire(min(idle, key=self._worth))
        elif len(entries) >= limits.LINKS_MAX:
            self._retire(min(entries, key=self._worth))

    def _make_room_among_strangers(self) -> None:
        """Strangers give way to each other only, and at once: whoever comes with many keys shall
        keep none of the places of those whom we know."""
        theirs = [
            entry
            for peer, found in self._entries.items()
            if self._is_stranger(peer)
            for entry in found
            if entry.came
        ]
        if len(theirs) >= limits.STRANGER_LINKS_MAX:
            self._retire(min(theirs, key=_use), at_once=True)

    def _is_stranger(self, peer: PeerId) -> bool:
        return self._admission is not None and not self._admission.knows(peer)

    def _worth(self, entry: _Entry) -> tuple[bool, bool, float]:
        """Sorts links by how little they are missed: those of strangers least."""
        return not self._is_stranger(entry.link.peer), *_use(entry)

    def _retire(self, entry: _Entry, *, at_once: bool = False) -> None:
        """Take the link out of use; it is closed as soon as no exchange is left on it."""
        self._forget(entry)
        entry.retired = True
        if at_once:
            entry.busy = 0
        self._close_if_done(entry)

    def _forget(self, entry: _Entry) -> None:
        entries = self._entries.get(entry.link.peer, [])
        if entry in entries:
            entries.remove(entry)
            self.on_end()
        if not entries:
            self._entries.pop(entry.link.peer, None)

    def _release(self, entry: _Entry) -> None:
        entry.busy -= 1
        entry.idle_since = self._clock.elapsed()
        self._close_if_done(entry)
        self._idle.set()

    def _close_if_done(self, entry: _Entry) -> None:
        if entry.retired and not entry.busy and self._tasks is not None:
            self._tasks.create_task(entry.link.close(), name="close retired link")

    async def _close_idle_links(self) -> None:
        while True:
            now = self._clock.elapsed()
            due = now + limits.LINK_IDLE_SECONDS
            for entry in [entry for found in self._entries.values() for entry in found]:
                ends = entry.idle_since + limits.LINK_IDLE_SECONDS
                if entry.link.closed or (not entry.busy and ends <= now):
                    self._retire(entry)
                elif not entry.busy:
                    due = min(due, ends)
            self._idle.clear()
            if self._entries:
                await asyncio.sleep(max(due - self._clock.elapsed(), 1.0))
            else:
                await self._idle.wait()

    async def _serve_link(self, entry: _Entry) -> None:
        """Answer what the peer begins on this link; ends with the link, never with an error."""
        room = asyncio.Semaphore(limits.STREAMS_PER_LINK_MAX)

        def answered(_: asyncio.Task[None]) -> None:
            room.release()
            self._release(entry)

        try:
            async with asyncio.TaskGroup() as tasks:
                while True:
                    await room.acquire()
                    stream = await entry.link.accept()
                    if self._admission is not None:
                        path = entry.link.path()
                        await asyncio.sleep(self._admission.pause(entry.link.peer, path.address))
                    entry.busy += 1
                    task = tasks.create_task(self._doorstep(stream, entry.link), name="answer")
                    task.add_done_callback(answered)
        except* LinkClosed:
            pass
        finally:
            self._forget(entry)

    async def _doorstep(self, stream: Stream, link: Link) -> None:
        """One exchange that a peer began: whatever goes wrong in it ends here."""
        peer = link.peer
        vigil.bringer.set(short(peer))  # this is a task of its own
        exchange = Exchange(stream, peer, link.path, self.counts)
        try:
            if not self._may_use(link):
                raise LinkClosed("its packets come from beyond the border by now")
            message = await exchange.receive()
            if peer in self._barred and not isinstance(message, wire_changes.ChangeMessage):
                reason = "This device was revoked by its owner."
                await exchange.refuse(wire.Refusal.REVOKED, reason)
                return
            answer = self._answers.get(type(message))
            if answer is None:
                raise PeerMisbehaved(f"began an exchange with {type(message).__name__}")
            try:
                await answer(message, exchange)
            except TemporaryFailure as error:
                if isinstance(error, LinkClosed):
                    raise
                await exchange.refuse(wire.Refusal.LATER, str(error))
            await exchange.finish()
        except LinkClosed:
            stream.abort()
        except PeerMisbehaved as error:
            log.warning("peer misbehaved: %s", error, extra={"peer": short(peer)})
            with suppress(LinkClosed):
                await exchange.refuse(wire.Refusal.FORBIDDEN, "not what the protocol allows")
            stream.abort()
        except Exception:
            log.exception("answering a peer failed", extra={"peer": short(peer)})
            stream.abort()


def _outcome(dial: asyncio.Task[str]) -> str:
    if not dial.done() or dial.cancelled():
        return "It came, and closed the link at once."
    return dial.result()


def _use(entry: _Entry) -> tuple[bool, float]:
    """Sorts links by how little they are missed."""
    return entry.busy > 0, entry.idle_since
