"""The network over iroh: QUIC, dialled by Ed25519 public key.

Purpose: `base.seams.Network` on the `iroh` package, and all that we had to learn about it. Nothing
of iroh leaves this module; its errors become Unreachable, LinkClosed or NotToBeHad. What its Python
side gets wrong is put right in `iroh_binding`.
Invariants: no vendor's relay, name server or preset is ever used; whatever waits here ends when its
link, its endpoint or its caller does; what a peer can make us keep is bounded. Not fork-safe.
Longer than 400 lines, because an endpoint, its links and their streams end together.
See: docs/adr/0001-iroh-behind-a-seam.md.
"""

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import iroh
from iroh import IrohError

from postroad.base import limits
from postroad.base.errors import (
    LinkClosed,
    NotToBeHad,
    PeerMisbehaved,
    PostroadError,
    Unreachable,
)
from postroad.base.ids import Contact, HostPort, PeerId, Relay, short
from postroad.base.seams import Admits, Path
from postroad.machine.iroh_binding import free
from postroad.machine.kernel_news import KernelNews
from postroad.machine.knocking import ask_relay, knock_quic
from postroad.machine.own_addresses import EVERYWHERE
from postroad.phrases import phrase
from postroad.protocol import border as border_module
from postroad.protocol import wire
from postroad.protocol.border import Border
from postroad.sealing.keys import load_ed25519

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOPBACK = ("127.0.0.1", "::1")
CLOSING_SECONDS_MAX = 8.0  # iroh gives goodbyes 3 s, when a dial was still without an answer
REOPEN_WAIT_SECONDS = (0.0, 0.05, 0.25)  # a closed endpoint frees its port some ms later
PIECE_BYTES_MAX = 256 * limits.KIB  # one crossing into Rust: the loop stands still while it copies
ROUND_TRIP_MS_MIN = 0.5  # iroh counts whole ones, and has measured each link that is up
RELAY_LOOK_SECONDS = 5.0  # between looks at what iroh counts of its home relay, while it has one
RELAY_SECONDS_MAX = 3.0  # to be let in at a relay
RELAY_POLL_SECONDS = 0.05
RELAY_TROUBLE = ("socket:relay_conns_closed", "socket:relay_conns_failed")
GIVEN_UP = 1  # the error code of a reset or stopped stream; the number means nothing to us


def _free_when_done(handle: Any, _: "asyncio.Task[None]") -> None:
    free(handle)


class IrohNetwork:
    """`base.seams.Network`. `hosts`: the local addresses to bind, at most one of each family.

    iroh binds the other family everywhere when only one is given."""

    def __init__(
        self, hosts: Sequence[str] = EVERYWHERE, border: Border = border_module.EVERYWHERE
    ) -> None:
        self._hosts = tuple(hosts)
        self._border = border

    async def open(self, secret: bytes, port: int) -> "IrohEndpoint":
        assert len(secret) == 32
        ours = [task for task, at in _closing.items() if port and at == port]
        if ours:  # an endpoint of our own still has it, for seconds
            await asyncio.wait(ours, timeout=CLOSING_SECONDS_MAX)
        for wait_seconds in REOPEN_WAIT_SECONDS:
            await asyncio.sleep(wait_seconds)
            # A machine without IPv6 refuses the second address, but can do with the first.
            for hosts in (self._hosts, self._hosts[:1]):
                with contextlib.suppress(IrohError):
                    bound = await _bind(secret, hosts, port)
                    return IrohEndpoint(bound, port, self._border)
        raise NotToBeHad(
            phrase(
                "UDP port {port} for peers cannot be opened: most likely another program has it; "
                "stop that program if you can.",
                port=port,
            )
        )


async def _bind(secret: bytes, hosts: Sequence[str], port: int) -> iroh.Endpoint:
    builder = iroh.EndpointBuilder()  # type: ignore[no-untyped-call]
    builder.apply_minimal()  # the crypto provider; the other presets bring the vendor's servers
    builder.secret_key(secret)
    builder.alpns([wire.ALPN])
    # With relays disabled, a relay that a peer's address names would not be dialled either.
    builder.relay_mode(iroh.RelayMode.custom(iroh.RelayMap.empty()))
    for host in hosts:
        builder.bind_addr(str(HostPort(host, port)))
    return await builder.bind()


_closing: dict[asyncio.Task[None], int] = {}  # endpoints that are not closed yet, and their ports


class IrohEndpoint:
    """`base.seams.Endpoint`."""

    def __init__(self, endpoint: iroh.Endpoint, port: int, border: Border) -> None:
        """`port`: as it was asked for; 0: any."""
        self._endpoint = endpoint
        self._port = port
        self._border = border
        self._me = PeerId(endpoint.id().to_bytes())
        self._relays: dict[str, Relay] = {}
        self._outside: tuple[HostPort, ...] = ()
        self._links: set[IrohLink] = set()
        self._incoming: set[IrohLink] = set()
        self._shaking = 0
        self._admits: Admits = lambda at, peer: True
        self._arrived: asyncio.Queue[IrohLink | None] = asyncio.Queue()  # bounded by _incoming
        self._closed = False
        self._news = asyncio.Event()
        self._kernel_news = KernelNews(self._news.set)
        self._relay_look: asyncio.TimerHandle | None = None
        self._relay_trouble = 0  # as counted at the last look
        self._home: Relay | None = None
        self._is_let_in = False  # iroh names its home also while that refuses it
        self._door = asyncio.create_task(self._keep_door(), name="iroh door")

    @property
    def me(self) -> PeerId:
        return self._me

    def addresses(self) -> tuple[HostPort, ...]:
        known = [] if self._closed else self._endpoint.addr().direct_addresses()
        found = [_parse(text) for text in known]
        usable = [
            HostPort(str(host), port)
            for host, port in found
            if not (host.is_link_local or host.is_multicast or host.is_unspecified)
        ]
        public = [at for at in usable if not at.ip.is_loopback]
        outside = () if self._closed else self._outside
        return tuple(dict.fromkeys((*outside, *(public or usable))))

    async def use_relays(self, relays: Sequence[Relay]) -> None:
        wanted = {_url(relay): relay for relay in relays}
        with contextlib.suppress(IrohError):  # closed meanwhile
            for url in self._relays.keys() - wanted.keys():
                await self._endpoint.remove_relay(url)
            for url in wanted.keys() - self._relays.keys():
                await self._endpoint.insert_relay(iroh.RelayConfig(url=url))
            if wanted.keys() != self._relays.keys():
                self._is_let_in = False
            self._relays = wanted
            if wanted and not self._is_let_in:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(RELAY_SECONDS_MAX):
                        await self._wait_until_let_in()
            if self._relay_look is None:
                self._look_at_relay()

    async def _wait_until_let_in(self) -> None:
        # iroh is "online" also while it still holds the relay that it was just told to leave.
        while self._endpoint.addr().relay_url() not in self._relays:  # noqa: ASYNC110  (it is iroh's)
            await asyncio.sleep(RELAY_POLL_SECONDS)
        await self._endpoint.online()
        self._is_let_in = True

    def _look_at_relay(self) -> None:
        """Tell of trouble with the home relay: iroh counts it, and would itself wait for 52 s.

        Its own callbacks are of no use: the one for changes of network reports without end in
        1.2.0, and any of them can abort the process when the interpreter exits."""
        self._relay_look = None
        if self._closed or not self._relays:
            return
        counters = self._endpoint.stats()
        trouble = sum(counters[name].value for name in RELAY_TROUBLE)
        if trouble != self._relay_trouble or self.home_relay() != self._home:
            self._relay_trouble, self._home = trouble, self.home_relay()
            self._news.set()
        loop = asyncio.get_running_loop()
        self._relay_look = loop.call_later(RELAY_LOOK_SECONDS, self._look_at_relay)

    def home_relay(self) -> Relay | None:
        if self._closed or not self._is_let_in:
            return None
        url = self._endpoint.addr().relay_url()
        return None if url is None else self._relays.get(url)

    async def set_outside(self, addresses: Sequence[HostPort]) -> None:
        with contextlib.suppress(IrohError):
            for gone in set(self._outside) - set(addresses):
                await self._endpoint.remove_external_addr(str(gone))
            for new in set(addresses) - set(self._outside):
                await self._endpoint.add_external_addr(str(new))
            self._outside = tuple(addresses)

    def ask_first(self, admits: Admits) -> None:
        self._admits = admits

    async def changed(self) -> None:
        await self._news.wait()
        if self._closed:
            raise LinkClosed("this node's endpoint is closed")
        self._news.clear()

    async def knock(self, at: HostPort) -> float:
        return await knock_quic(at)

    async def try_relay(self, relay: Relay) -> float:
        return await ask_relay(relay.address)

    async def dial(self, contact: Contact) -> "IrohLink":
        addresses = [str(at) for at in contact.addresses if at.port and _is_ip(at.host)]
        relay = None if contact.relay is None else _url(contact.relay)
        if not (addresses or relay) or contact.peer == self._me or self._is_closed():
            raise Unreachable(f"no address to reach {short(contact.peer)} at")
        try:
            load_ed25519(contact.peer)
            peer = iroh.EndpointId.from_bytes(contact.peer)
            address = iroh.EndpointAddr(peer, relay, addresses)
            connection = await self._endpoint.connect(address, wire.ALPN)
        except (IrohError, PeerMisbehaved) as error:
            raise Unreachable(f"{short(contact.peer)} does not answer") from error
        if self._is_closed():
            connection.close(0, b"")
            free(connection)
            raise Unreachable("this node is closing")
        return self._keep(connection)

    async def accept(self) -> "IrohLink":
        while (link := await self._arrived.get()) is not None:
            if not link.closed:
                return link
        self._arrived.put_nowait(None)  # for the next who asks
        raise LinkClosed("this node's endpoint is closed")

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._arrived.put_nowait(None)
        self._kernel_news.close()
        if self._relay_look is not None:
            self._relay_look.cancel()
        self._news.set()
        # iroh may wait 3 s for goodbyes, and longer for a relay. Broken off, it would keep the port
        # for ever, so it goes on when we do not wait any more.
        closing = asyncio.create_task(self._shut(), name="iroh close")
        _closing[closing] = self._port
        closing.add_done_callback(lambda _: free(self._endpoint))
        closing.add_done_callback(_closing.pop)  # who waited finds the port free
        await asyncio.wait({closing}, timeout=limits.LINK_CLOSE_SECONDS_MAX)

    async def _shut(self) -> None:
        try:
            for link in list(self._links):
                await link.close()
            await self._endpoint.close()
            # The door ends by itself then, and with it the handshakes that are going on.
            await asyncio.wait({self._door}, timeout=limits.LINK_CLOSE_SECONDS_MAX)
        except Exception:  # nobody waits for this any more
            log.exception("an endpoint was not closed as it should")
        finally:
            self._door.cancel()
            await asyncio.wait({self._door})

    def _is_closed(self) -> bool:
        return self._closed

    def _keep(self, connection: iroh.Connection) -> "IrohLink":
        link = IrohLink(connection, self._forget)
        self._links.add(link)
        return link

    def _forget(self, link: "IrohLink") -> None:
        self._links.discard(link)
        self._incoming.discard(link)

    async def _keep_door(self) -> None:
        async with asyncio.TaskGroup() as handshakes:
            while (incoming := await self._endpoint.accept_next()) is not None:
                shaking = handshakes.create_task(self._let_in(incoming), name="iroh handshake")
                # Also of a task that was cancelled before it began, and of one whose error keeps
                # this frame.
                shaking.add_done_callback(partial(_free_when_done, incoming))

    async def _let_in(self, incoming: iroh.Incoming) -> None:
        """The doorstep of one stranger: whatever goes wrong here stays here."""
        self._shaking += 1
        is_busy = self._shaking > limits.HANDSHAKES_MAX // 2
        try:
            async with asyncio.timeout(limits.HANDSHAKE_SECONDS_MAX):
                came_from = await incoming.remote_addr()
                if isinstance(came_from, iroh.IncomingAddr.IP) and not self._border.lets(
                    _host_port(came_from.addr)
                ):
                    await incoming.ignore()  # whoever asks from there hears nothing at all
                elif self._shaking > limits.HANDSHAKES_MAX:
                    await incoming.ignore()  # an honest peer asks again within a second
                elif len(self._incoming) >= limits.LINKS_MAX:
                    await incoming.refuse()
                elif is_busy and not await incoming.remote_addr_validated():
                    await incoming.retry()  # who forged its address never sees this answer
                elif not self._admits(*_seen_at(await incoming.remote_addr())):
                    await incoming.ignore()
                else:
                    await self._shake_hands(incoming)
        except (IrohError, TimeoutError, PostroadError) as error:
            log.debug("a peer did not complete its handshake: %r", error)
        except Exception:
            log.exception("a handshake failed by our own fault")
        finally:
            self._shaking -= 1

    async def _shake_hands(self, incoming: iroh.Incoming) -> None:
        accepting = await incoming.accept()
        try:
            connection = await accepting.connect()
        finally:
            free(accepting)
        try:
            if self._closed or len(self._incoming) >= limits.LINKS_MAX:
                raise LinkClosed("there is no room for it")
            load_ed25519(connection.remote_id().to_bytes())  # for a weak key anybody can sign
        except PostroadError:
            connection.close(0, b"")
            free(connection)
            raise
        link = self._keep(connection)
        self._incoming.add(link)
        self._arrived.put_nowait(link)


def _seen_at(address: iroh.IncomingAddr) -> tuple[HostPort | None, PeerId | None]:
    """Where somebody comes from; over a relay, who they say that they are."""
    if isinstance(address, iroh.IncomingAddr.IP):
        host, port = _parse(address.addr)
        return HostPort(str(host), port), None
    if isinstance(address, iroh.IncomingAddr.RELAY):
        return None, PeerId(address.endpoint_id.to_bytes())
    return None, None


class IrohLink:
    """`base.seams.Link`."""

    def __init__(self, connection: iroh.Connection, gone: Callable[["IrohLink"], None]) -> None:
        self._connection = connection
        self._peer = PeerId(connection.remote_id().to_bytes())
        self._gone = gone
        self._closed = False
        self._streams: set[IrohStream] = set()
        self._accepted_alive = 0
        self._opening = asyncio.Semaphore(limits.STREAMS_PER_LINK_MAX)
        self._arrived: asyncio.Queue[IrohStream | None] = asyncio.Queue()  # by _accepted_alive
        self._tasks: set[asyncio.Task[Any]] = set()
        self._door = self.start(self._keep_door())

    @property
    def peer(self) -> PeerId:
        return self._peer

    @property
    def closed(self) -> bool:
        return self._closed or self._connection.close_reason() is not None

    def path(self) -> Path:
        paths = [] if self.closed else self._connection.paths()
        for path in paths:
            if path.is_selected:
                at = _host_port(path.remote_addr) if path.is_ip else None
                return Path(path.is_ip, at, max(path.rtt_ms, ROUND_TRIP_MS_MIN) / 1000)
        return Path(False, None, 0.0)

    async def open(self) -> "IrohStream":
        await self._opening.acquire()
        try:
            if self._closed:
                raise LinkClosed(f"the link to {short(self._peer)} is closed")
            stream = IrohStream(self, await self._connection.open_bi(), self._end_opened)
        except IrohError as error:
            self._opening.release()
            raise LinkClosed(f"the link to {short(self._peer)} has ended") from error
        except BaseException:
            self._opening.release()
            raise
        self._streams.add(stream)
        if self.closed:
            stream.lose()
        return stream

    async def accept(self) -> "IrohStream":
        stream = await self._arrived.get()
        if stream is None or self.closed:
            self._arrived.put_nowait(None)  # for the next who asks
            raise LinkClosed(f"the link to {short(self._peer)} has ended")
        return stream

    async def close(self) -> None:
        self._end()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Let something run that ends with this link at the latest; `close` waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _keep_door(self) -> None:
        try:
            while True:
                stream = IrohStream(self, await self._connection.accept_bi(), self._end_accepted)
                self._streams.add(stream)
                self._accepted_alive += 1
                if self._accepted_alive > limits.INCOMING_STREAMS_MAX:
                    stream.abort()  # iroh lets a peer begin 100, and 1.25 MB wait on each
                else:
                    self._arrived.put_nowait(stream)
        except IrohError as error:
            log.debug("link ended: %r", error, extra={"peer": short(self._peer)})
        finally:
            self._end()

    def _end(self) -> None:
        if not self._closed:
            self._closed = True
            if self._connection.close_reason() is None:
                self._connection.close(0, b"")
            free(self._connection)
            self._door.cancel()
            for stream in list(self._streams):
                stream.lose()  # and with it, those who wait for a place to open one
            self._arrived.put_nowait(None)
            self._gone(self)

    def _end_opened(self, stream: "IrohStream") -> None:
        if stream in self._streams:
            self._streams.remove(stream)
            self._opening.release()

    def _end_accepted(self, stream: "IrohStream") -> None:
        if stream in self._streams:
            self._streams.remove(stream)
            self._accepted_alive -= 1


class IrohStream:
    """`base.seams.Stream`."""

    def __init__(
        self, link: IrohLink, stream: iroh.BiStream, ended: Callable[["IrohStream"], None]
    ) -> None:
        self._link = link
        self._receiving = stream.recv()
        self._sending = stream.send()
        free(stream)
        self._ended = ended
        self._ahead = b""  # received, and not yet read
        self._looking: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_heard = False  # to the end that the peer made
        self._is_written = False  # to the end that we made
        self._is_refused = False  # the peer wants no more, but what it said can still be read
        self._is_lost = False  # by abort, by the peer's, or with the link

    async def read(self, size: int) -> bytes:
        while not self._ahead and not self._is_heard:
            self._check()
            await self._join(self._look_ahead())
        octets, self._ahead = self._ahead[:size], self._ahead[size:]
        self._watch_for_the_end()
        return octets

    async def write(self, octets: bytes) -> None:
        assert not self._is_written, "written after finish"
        for start in range(0, len(octets), PIECE_BYTES_MAX):
            self._check()
            piece = octets[start : start + PIECE_BYTES_MAX]
            if self._is_refused or not await self._say(self._sending.write_all(piece)):
                raise LinkClosed(f"{short(self._link.peer)} does not read any more")

    async def finish(self) -> None:
        if not self._is_written:
            self._check()
            if not self._is_refused:  # else the peer has enough, and need not be told
                await self._say(self._sending.finish())
            self._is_written = True
            self._settle()
            self._watch_for_the_end()

    def abort(self) -> None:
        if not self._is_lost and not self._is_over:
            self._link.start(self._give_up())
            self._break_off()

    def lose(self) -> None:
        """Nothing more can come or go, for the link has ended."""
        if not self._is_lost and not self._is_over:
            self._break_off()
            free(self._receiving, self._sending)

    def _break_off(self) -> None:
        self._is_lost = True
        self._ahead = b""
        for task in self._tasks:
            task.cancel()
        self._ended(self)

    @property
    def _is_over(self) -> bool:
        """Both have said all, whether or not anybody asked for the end."""
        return self._is_heard and (self._is_written or self._is_refused)

    def _settle(self) -> None:
        if self._is_over and not self._is_lost:
            self._ended(self)
            free(self._receiving, self._sending)

    def _check(self) -> None:
        if self._is_lost:
            raise LinkClosed(f"the exchange with {short(self._link.peer)} was broken off")

    def _watch_for_the_end(self) -> None:
        """Who has said all may not ask for the end, but the stream's place must become free."""
        if self._is_written and not (self._ahead or self._is_heard or self._is_lost):
            self._look_ahead()

    def _look_ahead(self) -> asyncio.Task[None]:
        if self._looking is None:
            self._looking = self._start(self._receive())
        return self._looking

    async def _receive(self) -> None:
        try:
            self._ahead = await self._receiving.read(limits.LINK_READ_BYTES)
        except IrohError as error:
            # After a reset iroh would answer the next read with b"", as if all had been said.
            log.debug("a stream was broken off: %r", error, extra={"peer": short(self._link.peer)})
            self.abort()
        else:
            self._is_heard = not self._ahead
            self._settle()
        finally:
            self._looking = None

    async def _say(self, words: Coroutine[Any, Any, None]) -> bool:
        """Whether the peer still reads."""

        async def attempt() -> bool:
            with contextlib.suppress(IrohError):
                await words
                return True
            return False

        task = self._start(attempt())
        await self._join(task)
        self._check()
        if task.result():
            return True
        if self._link.closed:
            raise LinkClosed(f"the link to {short(self._link.peer)} has ended")
        if not self._is_refused:
            self._is_refused = True
            self._settle()
        return False

    async def _give_up(self) -> None:
        # What was finished stays readable for the peer: only the unfinished halves are cut off.
        try:
            if not self._is_written:
                with contextlib.suppress(IrohError):
                    await self._sending.reset(GIVEN_UP)
            if not self._is_heard:
                with contextlib.suppress(IrohError):
                    await self._receiving.stop(GIVEN_UP)
        finally:
            free(self._receiving, self._sending)

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """One operation of iroh's, in a task that `abort` and the end of the link cancel."""
        task = self._link.start(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _join(self, task: asyncio.Task[Any]) -> None:
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            self.abort()  # nobody knows how much of it was done
            raise


def _parse(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    host, _, port = text.rpartition(":")
    return ipaddress.ip_address(host.strip("[]")), int(port)


def _host_port(text: str) -> HostPort:
    host, port = _parse(text)
    if isinstance(host, ipaddress.IPv6Address) and host.ipv4_mapped is not None:
        host = host.ipv4_mapped
    return HostPort(str(host), port)


def _url(relay: Relay) -> str:
    """As iroh writes it. Plain HTTP: what passes through is QUIC's, encrypted from end to end, and
    a certificate would have to be one of the public authorities'."""
    host = str(replace(relay.address, port=0)).removesuffix(":0")
    return f"http://{host}/" if relay.address.port == 80 else f"http://{relay.address}/"


def _is_ip(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False
