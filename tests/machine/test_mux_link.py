"""What a peer cannot do over TLS: pile up what nobody takes up, stay for ever, fill the log."""

import asyncio
import contextlib
import logging
import os
import socket
import ssl

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.networks import SECRETS, SOON
from fakes import someone
from postroad.base.errors import LinkClosed
from postroad.base.ids import Contact
from postroad.base.seams import Link, Stream
from postroad.machine.mux_link import ARRIVED_MAX
from postroad.machine.tls_network import NONCE_BYTES, TlsNetwork, _to_sign
from postroad.protocol import mux, wire
from postroad.timeouts import timeout


async def take_up_slowly(link: Link) -> None:
    for _ in range(2 * ARRIVED_MAX):
        async with timeout(5):
            await link.accept()
        await asyncio.sleep(0.01)


def test_exchanges_begun_and_aborted_at_once_end_the_link() -> None:
    async def test() -> None:
        network = TlsNetwork(("127.0.0.1",))
        mallory = await network.open(someone("mallory").device.seed, 0)
        bora = await network.open(someone("bora").device.seed, 0)
        attack = await mallory.dial(Contact(bora.me, bora.addresses()))
        link = await bora.accept()
        for _ in range(3 * ARRIVED_MAX):
            number = attack.mux.begin()
            attack.mux.send(number, b"x")
            attack.mux.abort(number)
        attack.send()
        with pytest.raises(LinkClosed):
            await take_up_slowly(link)
        assert link.closed
        await mallory.close()
        await bora.close()

    asyncio.run(test())


class Stranger:
    """A TLS client that says and reads what it likes, in a thread, and keeps its TCP connection."""

    def __init__(self, port: int) -> None:
        self._tcp = socket.socket()
        self._tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        self._tcp.settimeout(SOON)
        self._tcp.connect(("127.0.0.1", port))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([wire.ALPN.decode()])
        self._heard, self._unsent = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._heard, self._unsent)

    def shake_hands(self) -> None:
        """What ends the handshake goes out with what is said next."""
        while True:
            try:
                return self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.send()
                self._heard.write(self._tcp.recv(4096))

    def prove(self, secret: bytes) -> None:
        self.send()
        nonce = b""
        while len(nonce) < NONCE_BYTES:
            try:
                nonce += self._tls.read(NONCE_BYTES - len(nonce))
            except ssl.SSLWantReadError:
                self._heard.write(self._tcp.recv(4096))
        certificate = self._tls.getpeercert(binary_form=True)
        assert certificate is not None
        key = Ed25519PrivateKey.from_private_bytes(secret)
        self.say(key.public_key().public_bytes_raw() + key.sign(_to_sign(nonce, certificate)))

    def say(self, octets: bytes) -> None:
        self._tls.write(octets)
        self.send()

    def take_leave(self) -> None:
        """By close_notify only."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()
        self.send()

    def send(self) -> None:
        self._tcp.sendall(self._unsent.read())

    def hang_up(self) -> None:
        self._tcp.close()


def test_a_peer_that_reads_nothing_and_does_not_hang_up_leaves_no_socket() -> None:
    def ask_for_much(stranger: Stranger) -> None:
        stranger.shake_hands()
        stranger.prove(SECRETS[1])
        for number in range(0, 64, 2):
            said = bytes(16_000)
            head = bytes([mux.Kind.DATA]) + number.to_bytes(4, "big") + len(said).to_bytes(2, "big")
            for _ in range(8):
                stranger.say(head + said)

    async def echo(stream: Stream) -> None:
        with contextlib.suppress(LinkClosed):
            while octets := await stream.read(16_000):
                await stream.write(octets)

    async def echo_all(link: Link) -> None:
        async with asyncio.TaskGroup() as echoes:
            with contextlib.suppress(LinkClosed):
                while True:
                    echoes.create_task(echo(await link.accept()))

    async def test() -> None:
        bora = await TlsNetwork(("127.0.0.1",)).open(SECRETS[0], 0)
        before = len(os.listdir("/proc/self/fd"))
        stranger = Stranger(bora.addresses()[0].port)
        asking = asyncio.create_task(asyncio.to_thread(ask_for_much, stranger))
        link = await bora.accept()
        echoing = asyncio.create_task(echo_all(link))
        await asking
        await asyncio.sleep(1.5)  # until what the kernel takes of the answers is full
        await asyncio.to_thread(stranger.take_leave)
        async with timeout(SOON):
            await echoing
            while len(os.listdir("/proc/self/fd")) > before + 1:  # the stranger's
                await asyncio.sleep(0.01)
        stranger.hang_up()
        await bora.close()

    asyncio.run(test())


def test_a_peer_that_leaves_as_it_comes_is_not_worth_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test() -> None:
        bora = await TlsNetwork(("127.0.0.1",)).open(SECRETS[0], 0)
        stranger = Stranger(bora.addresses()[0].port)

        def come_and_go() -> None:
            stranger.shake_hands()
            stranger.take_leave()  # in one segment

        await asyncio.to_thread(come_and_go)
        await asyncio.sleep(0.1)
        stranger.hang_up()
        await bora.close()

    with caplog.at_level(logging.INFO):
        asyncio.run(test())
    assert caplog.records == []
