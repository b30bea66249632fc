"""The network over TLS 1.3 on TCP, from the standard library.

Purpose: `base.seams.Network` for rings that allow nothing but TCP to a named host, and the way out
should iroh fail us. It punches no holes and follows no address change.
Invariants: TLS proves the listener's key; the dialler signs the listener's nonce and certificate,
because the standard library cannot accept an unknown client certificate. A peer that falls silent
is noticed by machine/mux_link.py, and what it can make us keep is bounded.
See: docs/adr/0001-iroh-behind-a-seam.md; protocol/mux.py for what is said after the proof.
"""

import asyncio
import contextlib
import datetime
import hashlib
import logging
import os
import secrets
import socket
import ssl
from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from postroad.base import limits
from postroad.base.errors import ConfigurationError, LinkClosed, PeerMisbehaved, Unreachable
from postroad.base.ids import Contact, HostPort, PeerId, Relay, short
from postroad.base.seams import Admits, SocketAddress
from postroad.machine import listeners
from postroad.machine.arrivals import next_arrival
from postroad.machine.kernel_news import KernelNews
from postroad.machine.knocking import knock_tcp
from postroad.machine.mux_link import MuxLink
from postroad.machine.own_addresses import EVERYWHERE, own_addresses
from postroad.protocol import border as border_module
from postroad.protocol import wire
from postroad.protocol.border import Border
from postroad.sealing.keys import load_ed25519
from postroad.timeouts import timeout

log = logging.getLogger(__name__)

NONCE_BYTES = 32
PROOF_BYTES = 32 + 64  # key, signature
PROOF_CONTEXT = b"postroad tls 1\0"
Connection = tuple[asyncio.Transport, asyncio.StreamReader, asyncio.StreamWriter]  # TCP, and TLS
FAILURES_OF_A_PEER = (
    OSError,  # and with it ssl.SSLError
    asyncio.IncompleteReadError,
    TimeoutError,
    InvalidSignature,
    UnsupportedAlgorithm,
    ValueError,  # a certificate that is none
    PeerMisbehaved,
)


class TlsNetwork:
    """`base.seams.Network`. `hosts`: the local addresses to listen on, all on one port.

    `announced`: where others may dial us; by default where we listen, and for a node that listens
    everywhere the addresses that this machine has."""

    def __init__(
        self,
        hosts: Sequence[str] = EVERYWHERE,
        announced: Sequence[HostPort] = (),
        border: Border = border_module.EVERYWHERE,
    ) -> None:
        self._hosts = tuple(hosts)
        self._announced = tuple(announced)
        self._border = border

    async def open(self, secret: bytes, port: int) -> "TlsEndpoint":
        listening: list[socket.socket] = []
        try:
            for host in self._hosts:
                at = listening[0].getsockname()[1] if listening else port
                with _optional(bool(listening) and ":" in host):
                    listening.append(listeners.bind(host, at, door="The port for peers"))
                    listening[-1].listen(listeners.BACKLOG)
        except BaseException:
            for one in listening:
                one.close()
            raise
        key = Ed25519PrivateKey.from_private_bytes(secret)
        return TlsEndpoint(key, listening, self._announced, self._border)


@contextlib.contextmanager
def _optional(is_optional: bool) -> Iterator[None]:
    """A machine without IPv6 does without it."""
    try:
        yield
    except ConfigurationError as error:
        cause = error.__cause__
        missing = isinstance(cause, OSError) and cause.errno in listeners.NO_SUCH_ADDRESS
        if not (is_optional and missing):
            raise


class TlsEndpoint:
    """`base.seams.Endpoint`."""

    def __init__(
        self,
        key: Ed25519PrivateKey,
        listening: Sequence[socket.socket],
        announced: tuple[HostPort, ...],
        border: Border,
    ) -> None:
        self._key = key
        self._border = border
        self._me = PeerId(key.public_key().public_bytes_raw())
        self._certificate = _certify(key)
        self._for_listening, self._for_dialling = _contexts(key, self._certificate)
        bound = [HostPort(*one.getsockname()[:2]) for one in listening]
        self._announced = announced or tuple(at for at in bound if at.host not in EVERYWHERE)
        self._port = bound[0].port
        self._listening = listening
        self._links: set[MuxLink] = set()
        self._incoming: set[MuxLink] = set()
        self._shaking = asyncio.Semaphore(limits.HANDSHAKES_MAX)  # more wait in the kernel
        self._arrived: asyncio.Queue[MuxLink | None] = asyncio.Queue()  # bounded by _incoming
        self._closed = False
        self._admits: Admits = lambda at, peer: True
        self._news = asyncio.Event()
        self._kernel_news = KernelNews(self._news.set)
        self._doors = {asyncio.create_task(self._keep_door(one)) for one in listening}

    @property
    def me(self) -> PeerId:
        return self._me

    def addresses(self) -> tuple[HostPort, ...]:
        if self._announced:
            return self._announced
        return tuple(HostPort(host, self._port) for host in own_addresses())

    async def use_relays(self, relays: Sequence[Relay]) -> None:
        """Relays pass iroh's packets only."""

    def home_relay(self) -> Relay | None:
        return None

    async def set_outside(self, addresses: Sequence[HostPort]) -> None:
        """A connection comes from another port than the one we listen on, so it tells nothing."""

    def ask_first(self, admits: Admits) -> None:
        self._admits = admits

    async def changed(self) -> None:
        await self._news.wait()
        if self._is_closed():
            raise LinkClosed("this node's endpoint is closed")
        self._news.clear()

    async def knock(self, at: HostPort) -> float:
        return await knock_tcp(at)

    async def try_relay(self, relay: Relay) -> float:
        raise Unreachable("there are no relays on this network")

    async def dial(self, contact: Contact) -> "MuxLink":
        failures: list[BaseException] = []
        for at in contact.addresses if contact.peer != self._me else ():
            if self._is_closed() or not at.port:
                break
            try:
                async with timeout(limits.HANDSHAKE_SECONDS_MAX):
                    transport, reader, writer = await self._connect(contact.peer, at)
            except FAILURES_OF_A_PEER as error:
                failures.append(error)
                continue
            if self._is_closed():
                writer.transport.abort()
                break
            return self._keep(
                MuxLink(
                    contact.peer, at, transport, reader, writer, dialled=True, gone=self._forget
                )
            )
        cause = failures[-1] if failures else None
        raise Unreachable(f"{short(contact.peer)} does not answer") from cause

    async def accept(self) -> "MuxLink":
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
        self._news.set()
        for door in self._doors:
            door.cancel()
        try:
            if self._doors:
                await asyncio.wait(self._doors)
            await asyncio.gather(*[link.close() for link in list(self._links)])
        finally:
            for one in self._listening:
                one.close()

    def _is_closed(self) -> bool:
        return self._closed

    def _keep(self, link: "MuxLink") -> "MuxLink":
        self._links.add(link)
        return link

    def _forget(self, link: "MuxLink") -> None:
        self._links.discard(link)
        self._incoming.discard(link)

    async def _connect(self, peer: PeerId, at: HostPort) -> Connection:
        expected = load_ed25519(peer)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(_Silent, at.host, at.port)
        reader, writer = await _encrypted(transport, self._for_dialling, is_listener=False)
        try:
            certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            if x509.load_der_x509_certificate(certificate).public_key() != expected:
                raise PeerMisbehaved("another key answers there")
            _check_alpn(writer)
            nonce = await reader.readexactly(NONCE_BYTES)
            writer.write(self._me + self._key.sign(_to_sign(nonce, certificate)))
            await writer.drain()
        except BaseException:
            writer.transport.abort()
            raise
        return transport, reader, writer

    async def _keep_door(self, listening: socket.socket) -> None:
        async with asyncio.TaskGroup() as handshakes:
            while True:
                await self._shaking.acquire()
                try:
                    arrived, address = await next_arrival(listening)
                except OSError as error:
                    # Out of descriptors, most likely: links will end and give some back.
                    self._shaking.release()
                    log.warning("no peer can be let in now", exc_info=error)
                    await asyncio.sleep(1.0)
                except BaseException:
                    self._shaking.release()
                    raise
                else:
                    at = _seen_at(address)
                    if not self._admits(at, None):
                        self._shaking.release()
                        arrived.close()
                        continue
                    handshakes.create_task(self._let_in(arrived, at), name="tls handshake")

    async def _let_in(self, arrived: socket.socket, at: HostPort) -> None:
        """The doorstep of one stranger: whatever goes wrong here stays here."""
        try:
            async with timeout(limits.HANDSHAKE_SECONDS_MAX):
                await self._shake_hands(arrived, at)
        except FAILURES_OF_A_PEER as error:
            log.debug("a peer did not complete its handshake: %r", error)
        except Exception:
            log.exception("a handshake failed by our own fault")
        finally:
            self._shaking.release()

    async def _shake_hands(self, arrived: socket.socket, at: HostPort) -> None:
        if len(self._incoming) >= limits.LINKS_MAX or not self._border.lets(at):
            arrived.close()
            return
        # asyncio does it only where the socket was made with IPPROTO_TCP; else 40 ms are lost.
        arrived.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.connect_accepted_socket(_Silent, arrived)
        except BaseException:
            arrived.close()
            raise
        reader, writer = await _encrypted(transport, self._for_listening, is_listener=True)
        try:
            _check_alpn(writer)
            nonce = secrets.token_bytes(NONCE_BYTES)
            writer.write(nonce)
            proof = await reader.readexactly(PROOF_BYTES)
            load_ed25519(proof[:32]).verify(proof[32:], _to_sign(nonce, self._certificate))
            if self._closed or len(self._incoming) >= limits.LINKS_MAX:
                raise PeerMisbehaved("more links than we keep")
        except BaseException:
            writer.transport.abort()
            raise
        peer = PeerId(proof[:32])
        link = self._keep(
            MuxLink(peer, at, transport, reader, writer, dialled=False, gone=self._forget)
        )
        self._incoming.add(link)
        self._arrived.put_nowait(link)


def _seen_at(address: SocketAddress) -> HostPort:
    """Where a connection comes from; IPv4 is IPv4, whichever socket took it."""
    host = address[0].partition("%")[0]
    return HostPort(host.removeprefix("::ffff:") if "." in host else host, address[1])


def _to_sign(nonce: bytes, certificate: bytes) -> bytes:
    """What a dialler signs: of use to nobody but this listener, and only now."""
    return PROOF_CONTEXT + nonce + hashlib.sha256(certificate).digest()


class _Silent(asyncio.Protocol):
    """A connection of which nothing is read before TLS has it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()


class _Talk(asyncio.StreamReaderProtocol):
    """What was said under TLS. Its end can come before `connection_made` tells that it is TLS."""

    def eof_received(self) -> bool:
        super().eof_received()
        return False  # TLS has no half of a connection


async def _encrypted(
    transport: asyncio.Transport, context: ssl.SSLContext, *, is_listener: bool
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """TLS over a connection, which is closed when that fails or is broken off.

    asyncio does both steps in one, too. But cancelled as the handshake ends, it says goodbye in its
    own time, and whoever closes the socket meanwhile leaves its number watched: the next one's.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limits.LINK_READ_BYTES, loop)
    protocol = _Talk(reader, loop=loop)
    try:
        encrypted = await loop.start_tls(
            transport,
            protocol,
            context,
            server_side=is_listener,
            ssl_handshake_timeout=limits.HANDSHAKE_SECONDS_MAX,
            ssl_shutdown_timeout=limits.LINK_CLOSE_SECONDS_MAX,
        )
        if encrypted is None:  # in that very turn
            raise ConnectionResetError("the connection ended as its handshake did")
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(encrypted)
    return reader, asyncio.StreamWriter(encrypted, protocol, reader, loop)


def _check_alpn(writer: asyncio.StreamWriter) -> None:
    if writer.get_extra_info("ssl_object").selected_alpn_protocol() != wire.ALPN.decode():
        raise PeerMisbehaved("it does not speak our protocol")


def _certify(key: Ed25519PrivateKey) -> bytes:
    """A certificate that says nothing but the key: always the same one for the same key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "postroad")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC))
        .sign(key, None)
    )
    return certificate.public_bytes(Encoding.DER)


def _contexts(key: Ed25519PrivateKey, certificate: bytes) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For listening, for dialling."""
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    dialling = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    dialling.check_hostname = False
    dialling.verify_mode = ssl.CERT_NONE  # we compare the key itself, which no authority signed
    for context in (listening, dialling):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([wire.ALPN.decode()])
    listening.num_tickets = 0
    # ssl takes keys from files only: this one is memory, and gone when it is closed.
    handle = os.memfd_create("tls")
    try:
        os.write(handle, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        os.write(handle, ssl.DER_cert_to_PEM_cert(certificate).encode())
        listening.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
    return listening, dialling
