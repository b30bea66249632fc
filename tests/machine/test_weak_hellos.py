"""A weak key in the hello of a link, at the relay, in a dial, and in the node's own files."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

import weak_keys
from fakes import NOW, FakeClock, FakeEntropy, opened_store, someone, with_database
from postroad.app.compose import Settings, build_node
from postroad.base import vigil
from postroad.base.errors import ConfigurationError, PeerMisbehaved, Unreachable
from postroad.base.seams import Machine, Network
from postroad.machine.disk import FolderDisk
from postroad.machine.iroh_network import IrohNetwork
from postroad.machine.listeners import SystemListeners
from postroad.machine.peer_uid import KernelPeerUid
from postroad.machine.tls_network import NONCE_BYTES, TlsNetwork
from postroad.protocol import relay, wire
from postroad.protocol.audit import entry_of
from postroad.sealing.password import verifier
from postroad.store import audit, keyring
from postroad.store.database import Database, Sql
from postroad.timeouts import timeout
from weak_keys import ED25519, EVERYBODYS_SIGNATURE

HOST = "127.0.0.1"
SECRET = bytes(range(32))


def noted(sql: Sql) -> list[object]:
    found = [entry_of(row) for row in audit.rows(sql)[0]]
    return [one.facts["key"] for one in found if one and one.event == "weak key refused"]


def watched(folder: Path, work: Callable[[], Awaitable[None]]) -> list[object]:
    """The keys that were noted while `work` was done in a node's task."""
    heard: list[object] = []

    async def run(database: Database, _: FolderDisk) -> None:
        vigil.watch.set(audit.WeakKeys(database, FakeClock()))
        await work()
        await asyncio.sleep(0.05)
        heard.extend(await database.read(noted))

    with_database(folder, run)
    return heard


def test_tls_lets_in_nobody_who_proves_a_weak_key(tmp_path: Path) -> None:
    async def work() -> None:
        endpoint = await TlsNetwork([HOST]).open(SECRET, 0)
        (at,) = endpoint.addresses()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([wire.ALPN.decode()])
        try:
            for key in ED25519:
                reader, writer = await asyncio.open_connection(at.host, at.port, ssl=context)
                await reader.readexactly(NONCE_BYTES)
                writer.write(key + EVERYBODYS_SIGNATURE)
                assert await reader.read(1) == b""  # and closed
                writer.transport.abort()
            with pytest.raises(TimeoutError):
                async with timeout(0.1):
                    await endpoint.accept()
        finally:
            await endpoint.close()

    assert watched(tmp_path, work) == [key.hex() for key in ED25519]


@pytest.mark.parametrize("network", [TlsNetwork([HOST]), IrohNetwork([HOST])], ids=["tls", "iroh"])
def test_nobody_with_a_weak_key_is_dialled(network: Network, tmp_path: Path) -> None:
    async def work() -> None:
        endpoint = await network.open(SECRET, 0)
        try:
            for key in ED25519:
                with pytest.raises(Unreachable):
                    await endpoint.dial(weak_keys.contact(key))
        finally:
            await endpoint.close()

    assert watched(tmp_path, work) == [key.hex() for key in ED25519]


def test_the_relay_lets_in_nobody_who_proves_a_weak_key(tmp_path: Path) -> None:
    head = (
        "GET /relay HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Sec-WebSocket-Protocol: {relay.VERSION}\r\n\r\n"
    ).encode()

    async def work() -> None:
        for key in ED25519:
            session = relay.Session(bytes(relay.CHALLENGE_BYTES))
            session.receive(head)
            proof = bytes([relay.Kind.PROOF]) + key + b"\x40" + EVERYBODYS_SIGNATURE
            mask = bytes(4)
            with pytest.raises(PeerMisbehaved):
                session.receive(bytes([0x82, 0x80 | len(proof)]) + mask + proof)
            assert not session.is_ready

    assert watched(tmp_path, work) == [key.hex() for key in ED25519]


@pytest.mark.parametrize("key", ED25519, ids=bytes.hex)
@pytest.mark.parametrize("of_identity", [False, True], ids=["device", "identity"])
def test_a_keyring_that_comes_back_with_a_weak_key_starts_nothing(
    key: bytes, of_identity: bool, tmp_path: Path
) -> None:
    disk = FolderDisk(tmp_path, reserve_bytes=0)
    anna, password = someone("anna"), verifier("secret", bytes(16))
    good = keyring.new_keyring("anna", anna.identity, password, FakeEntropy(), NOW)
    change = weak_keys.certificate_by if of_identity else weak_keys.certificate_of_device
    keyring.save(disk, replace(good, certificate=change(good.certificate, key)))
    machine = Machine(
        FakeClock(), FakeEntropy(), disk, TlsNetwork([HOST]), SystemListeners(), KernelPeerUid()
    )

    async def work() -> None:
        async with build_node(Settings(0, 3600.0), machine):
            raise AssertionError("it started")

    with pytest.raises(ConfigurationError, match="not canonical or of small order"):
        asyncio.run(work())
    disk.close()
    with opened_store(tmp_path) as store:
        assert noted(store.sql) == [key.hex()]
        assert store.sql.execute("SELECT count(*) FROM mailbox").fetchone() == (0,)
