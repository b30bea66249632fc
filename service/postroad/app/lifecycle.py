"""Start and stop: the real machine, the doors' sockets, signals.

Crash is the normal shutdown: nothing that matters waits for stop. SIGTERM and SIGINT end the node
politely; what is accepted is on disk either way.
"""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from socket import socket

from postroad import __version__
from postroad.app import config as configuration
from postroad.app import policy as policies
from postroad.app.compose import Settings, build_node
from postroad.app.config import Config
from postroad.app.node import Node, Sockets
from postroad.app.opening import opened
from postroad.app.policy import Policy
from postroad.base import limits
from postroad.base.errors import ConfigurationError, NotSetUp, NotToBeHad, PostroadError
from postroad.base.ids import Fingerprint, Instant
from postroad.base.seams import Lan, Machine, Network
from postroad.machine import credential, listeners
from postroad.machine.clock import SystemClock
from postroad.machine.desktop_keyring import DesktopKeyring
from postroad.machine.disk import FolderDisk
from postroad.machine.entropy import SystemEntropy
from postroad.machine.iroh_network import IrohNetwork
from postroad.machine.lan import ZeroconfLan
from postroad.machine.listeners import SystemListeners
from postroad.machine.own_addresses import EVERYWHERE
from postroad.machine.peer_uid import KernelPeerUid
from postroad.machine.systemd import Manager, feed_watchdog
from postroad.machine.tls_network import TlsNetwork
from postroad.peers.relay import Rules
from postroad.protocol.border import border
from postroad.protocol.holding import HoldFor
from postroad.store import audit, keyring
from postroad.store.database import Sql
from postroad.store.locksmith import Locksmith
from postroad.store.pauses import Pause

log = logging.getLogger(__name__)
POLICY_LOOK_SECONDS = 60.0
Ready = Callable[[Sockets, Pause | None], None]
"""Hears when the doors are served, and of the pause that the node starts in."""


def run(
    config: Config,
    path: Path,
    ready: Ready,
    policy: Policy,
    waiting: Callable[[str], None] = lambda _: None,
) -> None:
    """Run the node in the foreground until it is told to stop. `path`: where `config` comes from;
    `policy`: to which it is cut; `waiting` hears why, when the node has to wait until its keys are
    unlocked.

    Raises NotSetUp, or ConfigurationError when it cannot start; the sentence says what to do."""
    if not config.is_set_up:
        raise NotSetUp
    os.umask(0o077)  # whatever is written is the owner's alone
    manager = Manager()

    def must_wait(reason: str) -> None:
        waiting(reason)
        manager.ready(reason)

    cut = policies.narrowed_keys(config, policy)
    config = policies.narrowed(config, policy)
    with ExitStack() as cleanup:
        with advised(f"To use another folder, change data in {path}."):
            disk = FolderDisk(config.data, reserve_bytes=round(config.reserve_mib * limits.MIB))
        cleanup.callback(disk.close)
        for line in disk.mended:
            log.warning("%s", line)
        _expect_protection(disk, config)
        machine = Machine(
            SystemClock(),
            SystemEntropy(),
            disk,
            _network(config),
            SystemListeners(peer_hosts=config.peer_hosts),
            KernelPeerUid(),
            _lan(config),
        )
        try:
            asyncio.run(
                _run(config, path, machine, ready, policy, cut, disk.mended, must_wait, manager)
            )
        except BaseExceptionGroup as group:
            log.exception("the node failed")
            raise PostroadError(
                "Your node stopped because of a fault of its own; nothing accepted is lost. "
                "Start it again, and report the lines above."
            ) from group


def _expect_protection(disk: FolderDisk, config: Config) -> None:
    """Raise ConfigurationError when the keys lie there in a way that is not allowed."""
    found = keyring.stored(disk).protection.value
    if found not in config.keys_at_rest:
        now = SystemClock().now()
        asyncio.run(audit.note_alone(disk, now, audit.REFUSED, key="keys_at_rest", how=found))
        raise ConfigurationError(
            f"Your keys are protected by: {found}. Allowed (keys_at_rest) is: "
            f"{', '.join(config.keys_at_rest)}. Type: postroad keys protect "
            f"--{config.keys_at_rest[0]}"
        )


async def _run(
    config: Config,
    path: Path,
    machine: Machine,
    ready: Ready,
    policy: Policy,
    cut: Sequence[str],
    mended: Sequence[str],
    waiting: Callable[[str], None],
    manager: Manager,
) -> None:
    """`cut`: the keys in which `policy` narrowed what the owner wanted; `mended`: what others could
    reach until now."""
    main = asyncio.current_task()
    assert main is not None
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, main.cancel)
    settings = Settings(
        config.peer_port,
        config.expiry_days * limits.DAY,
        relay_rules(config),
        hold_for=HoldFor(config.hold_for),
        dial_private=config.dial_private,
        takes_requests=config.strangers == "requests",
        refuses_silently=config.refuse_silently,
        border=border(config.networks),
        directory=config.directory,
        circle=_circle(config),
        size_max=round(config.size_max_mib * limits.MIB),
        bundle_write=config.bundle_write,
        bundle_read=config.bundle_read,
        helpers=config.helpers,
    )
    watchdog = asyncio.create_task(
        feed_watchdog(manager, lambda: machine.disk.run(lambda: None)), name="watchdog"
    )
    try:
        # Doors first: a mail program never waits for peers.
        sockets = _sockets(config, path, machine)
        locksmith = Locksmith(
            machine.entropy, DesktopKeyring(), credential.fetch, config.keys_at_rest
        )
        wrapping = await opened(machine.disk, locksmith, machine.peer_uid, sockets, waiting)
        async with AsyncExitStack() as stack:
            keys = "peer_port" + (" or peer_hosts" if config.peer_hosts else "")
            with advised(f"To use another one, change {keys} in {path}."):
                node = await stack.enter_async_context(
                    build_node(settings, machine, wrapping, locksmith)
                )
            now = machine.clock.now()
            await node.database.run(lambda sql: _note_start(sql, now, policy, cut, mended))
            await stack.enter_async_context(ended_by_another(policy, main.cancel))

            def started() -> None:
                # What was imported and built stays: the collector need not walk over it again.
                gc.collect()
                gc.freeze()
                log.info("node started", extra=_facts(config, node, sockets))
                ready(sockets, node.pauses.pause)
                manager.ready("paused" if node.pauses.pause else "running")

            await node.serve(sockets, started)
    except asyncio.CancelledError:
        log.info("stopped")
        manager.stopping()
        if policies.has_changed(policy):
            raise ConfigurationError(policies.CHANGED) from None
    finally:
        watchdog.cancel()


def _circle(config: Config) -> frozenset[Fingerprint] | None:
    if configuration.ANYBODY in config.contacts:
        return None
    found = map(configuration.fingerprint_in, config.contacts)
    return frozenset(one for one in found if one is not None)


def _note_start(
    sql: Sql, now: Instant, policy: Policy, cut: Sequence[str], mended: Sequence[str]
) -> None:
    audit.note(
        sql,
        now,
        "started",
        version=__version__,
        policy=policy.digest[:16] or "none",
        narrowed=", ".join(cut),
    )
    if mended:
        audit.note(sql, now, "closed to others", what=mended[0], and_more=len(mended) - 1)


@asynccontextmanager
async def ended_by_another(policy: Policy, stop: Callable[[], object]) -> AsyncIterator[None]:
    """While within: `stop` is called when the computer's policy is another one than this, or one
    that nobody can read. A node that goes on with the old one would be wider than allowed."""

    async def watch() -> None:
        while not policies.has_changed(policy):  # noqa: ASYNC110  (it is a file of somebody else's)
            await asyncio.sleep(POLICY_LOOK_SECONDS)
        stop()

    watching = asyncio.create_task(watch(), name="policy")
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.wait({watching})


def _sockets(config: Config, path: Path, machine: Machine) -> Sockets:
    def door(name: str, port: int) -> Sequence[socket]:
        with advised(
            f"To use another one, change {name}_port in {path}, and in your mail program."
        ):
            return machine.listeners.loopback(name, port)

    smtp, imap = door("smtp", config.smtp_port), door("imap", config.imap_port)
    with advised(f"Give it a folder of your own with a short name: runtime in {path}."):
        return Sockets(smtp, imap, listeners.unix(config.control_path))


@contextmanager
def advised(advice: str) -> Iterator[None]:
    """Add to the machine's fact what its owner can do about it."""
    try:
        yield
    except NotToBeHad as error:
        raise ConfigurationError(f"{error} {advice}") from error


def _facts(config: Config, node: Node, sockets: Sockets) -> dict[str, object]:
    """What a reader of the log wants to know first; nothing of it is secret."""
    smtp, imap = (
        door[0].getsockname()[1] if door else None for door in (sockets.submission, sockets.imap)
    )
    peers = sorted({at.port for at in node.endpoint.addresses()})
    return {
        "version": __version__,
        "address": node.keyring.address,
        "link": config.link,
        "smtp_port": smtp,
        "imap_port": imap,
        "peer_port": peers[0] if len(peers) == 1 else config.peer_port,
        "paused": node.pauses.pause is not None,
    }


def relay_rules(config: Config) -> Rules | None:
    """What the owner wants of the relay; None where there is none.

    With `link = "tls"` nodes speak to each other on its port, and need no relay of iroh's."""
    if config.relay == "off" or config.link == "tls":
        return None
    return Rules(
        serves_anybody=config.relay == "anybody",
        bytes_per_second=config.relay_kilobytes_per_second * 1000,
        border=border(config.networks),
    )


def _lan(config: Config) -> Lan | None:
    if not config.lan:
        return None
    transport = "tcp" if config.link == "tls" else "udp"
    return ZeroconfLan(SystemEntropy(), transport, config.peer_hosts)


def _network(config: Config) -> Network:
    hosts = config.peer_hosts
    within = border(config.networks)
    if config.link == "tls":
        return TlsNetwork(hosts or EVERYWHERE, border=within)
    return IrohNetwork(hosts or EVERYWHERE, within)
