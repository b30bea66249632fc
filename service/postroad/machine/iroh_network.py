"""The network over iroh: QUIC, dialled by Ed25519 public key.

Purpose: `base.seams.Network` on the `iroh` package, and all that we had to learn about it. Nothing
of iroh leaves this module and `iroh_link`; its errors become Unreachable, LinkClosed or NotToBeHad.
What its Python side gets wrong is put right in `iroh_binding`.
Invariants: no vendor's relay, name server or preset is ever used; whatever waits here ends when its
link, its endpoint or its caller does; what a peer can make us keep is bounded. Not fork-safe.
See: docs/adr/0001-iroh-behind-a-seam.md.
"""

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

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
from postroad.base.seams import Admits
from postroad.machine.iroh_binding import GONE, free
from postroad.machine.iroh_link import IrohLink, host_port, parse_address
from postroad.machine.kernel_news import KernelNews
from postroad.machine.knocking import ask_relay, knock_quic
from postroad.machine.own_addresses import EVERYWHERE
from postroad.phrases import phrase
from postroad.protocol import border as border_module
from postroad.protocol import wire
from postroad.protocol.border import Border
from postroad.sealing.keys import load_ed25519
from postroad.timeouts import timeout

log = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "::1")
CLOSING_SECONDS_MAX = 8.0  # iroh gives goodbyes 3 s, when a dial was still without an answer
REOPEN_WAIT_SECONDS = (0.0, 0.05, 0.25)  # a closed endpoint frees its port some ms later
RELAY_LOOK_SECONDS = 5.0  # between looks at what iroh counts of its home relay, while it has one
RELAY_SECONDS_MAX = 3.0  # to be let in at a relay
RELAY_POLL_SECONDS = 0.05
FORGET_SECONDS_MAX = 1.0  # iroh forgets in some ms; an address that is our own as well it does not
FORGET_POLL_SECONDS = 0.005
RELAY_TROUBLE = ("socket:relay_conns_closed", "socket:relay_conns_failed")


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
        found = [parse_address(text) for text in known]
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
        with contextlib.suppress(*GONE):  # closed meanwhile
            for url in self._relays.keys() - wanted.keys():
                await self._endpoint.remove_relay(url)
            for url in wanted.keys() - self._relays.keys():
                await self._endpoint.insert_relay(iroh.RelayConfig(url=url))
            if wanted.keys() != self._relays.keys():
                self._is_let_in = False
            self._relays = wanted
            if wanted and not self._is_let_in:
                with contextlib.suppress(TimeoutError):
                    async with timeout(RELAY_SECONDS_MAX):
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
        with contextlib.suppress(*GONE):
            gone = set(self._outside) - set(addresses)
            for address in gone:
                await self._endpoint.remove_external_addr(str(address))
            for address in set(addresses) - set(self._outside):
                await self._endpoint.add_external_addr(str(address))
            self._outside = tuple(addresses)
            with contextlib.suppress(TimeoutError):
                async with timeout(FORGET_SECONDS_MAX):
                    await self._wait_until_forgotten(gone)

    async def _wait_until_forgotten(self, gone: set[HostPort]) -> None:
        # iroh tells of them until a task of its own has run, and says nothing when it has.
        while (gone - set(self._outside)) & set(self.addresses()):  # noqa: ASYNC110
            await asyncio.sleep(FORGET_POLL_SECONDS)

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
            self._door.cancel()
            await asyncio.wait({self._door})
            for link in list(self._links):
                await link.close()
            await self._endpoint.close()
        except Exception:  # nobody waits for this any more
            log.exception("an endpoint was not closed as it should")

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
            async with timeout(limits.HANDSHAKE_SECONDS_MAX):
                came_from = await incoming.remote_addr()
                if isinstance(came_from, iroh.IncomingAddr.IP) and not self._border.lets(
                    host_port(came_from.addr)
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
        host, port = parse_address(address.addr)
        return HostPort(str(host), port), None
    if isinstance(address, iroh.IncomingAddr.RELAY):
        return None, PeerId(address.endpoint_id.to_bytes())
    return None, None


def _url(relay: Relay) -> str:
    """As iroh writes it. Plain HTTP: what passes through is QUIC's, encrypted from end to end, and
    a certificate would have to be one of the public authorities'."""
    host = str(replace(relay.address, port=0)).removesuffix(":0")
    return f"http://{host}/" if relay.address.port == 80 else f"http://{relay.address}/"


def _is_ip(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.ip_address(host))
    return False
