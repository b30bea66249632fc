"""Start and stop: the real machine, the doors' sockets, signals.

Crash is the normal shutdown: nothing that matters waits for stop. SIGTERM and SIGINT end the node
politely; what is accepted is on disk either way.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack

from postroad.app.compose import Settings, Sockets, build_node
from postroad.app.config import Config
from postroad.base import limits
from postroad.base.errors import PostroadError
from postroad.base.seams import Machine, Network
from postroad.machine import listeners
from postroad.machine.clock import SystemClock
from postroad.machine.disk import FolderDisk
from postroad.machine.entropy import SystemEntropy
from postroad.machine.iroh_network import IrohNetwork
from postroad.machine.listeners import LoopbackListeners
from postroad.machine.peer_uid import KernelPeerUid
from postroad.machine.tls_network import TlsNetwork

log = logging.getLogger(__name__)


def run(config: Config, ready: Callable[[Sockets], None]) -> None:
    """Run the node in the foreground until it is told to stop.

    Raises ConfigurationError when it cannot start; the sentence says what to do."""
    os.umask(0o077)  # whatever is written is the owner's alone
    with ExitStack() as cleanup:
        disk = FolderDisk(config.data, reserve_bytes=round(config.reserve_mib * limits.MIB))
        cleanup.callback(disk.close)
        machine = Machine(
            SystemClock(),
            SystemEntropy(),
            disk,
            _network(config),
            LoopbackListeners(),
            KernelPeerUid(),
        )
        try:
            asyncio.run(_run(config, machine, ready))
        except BaseExceptionGroup as group:
            log.exception("the node failed")
            raise PostroadError(
                "Your node stopped because of a fault of its own; nothing accepted is lost. "
                "Start it again, and report the lines above."
            ) from group


async def _run(config: Config, machine: Machine, ready: Callable[[Sockets], None]) -> None:
    main = asyncio.current_task()
    assert main is not None
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, main.cancel)
    settings = Settings(config.peer_port, config.expiry_days * limits.DAY)
    try:
        # Doors first: a mail program never waits for peers.
        sockets = Sockets(
            machine.listeners.loopback("smtp", config.smtp_port),
            machine.listeners.loopback("imap", config.imap_port),
            listeners.unix(config.control_path),
        )
        async with build_node(settings, machine) as node:
            await node.serve(sockets, lambda: ready(sockets))
    except asyncio.CancelledError:
        log.info("stopped")


def _network(config: Config) -> Network:
    hosts = config.peer_hosts
    if config.link == "tls":
        return TlsNetwork(hosts) if hosts else TlsNetwork()
    return IrohNetwork(hosts) if hosts else IrohNetwork()
