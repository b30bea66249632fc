"""A helper: the same program on a small box, for the people whom its owner names.

Purpose: relay, meeting place and holder, without mail of its own: it has one key, no identity and
no doors for mail programs. What it keeps is sealed for others.
See: docs/adr/0008-helper.md.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

from postroad import __version__
from postroad.app import policy as policies
from postroad.app.compose_directory import build_directory
from postroad.app.machine_parts import advised
from postroad.app.node import TIDY_SECONDS
from postroad.app.policy import NO_POLICY, Policy
from postroad.app.policy_watch import ended_by_another
from postroad.app.supervision import keep_running
from postroad.app.surroundings import around_reach
from postroad.base import limits, vigil
from postroad.base.errors import ConfigurationError, TemporaryFailure
from postroad.base.ids import Contact, DropId, HostPort, PeerId, Relay
from postroad.base.seams import Machine, SocketAddress
from postroad.delivery.herald import Herald
from postroad.delivery.obeying import Obeying
from postroad.delivery.siblings import Siblings
from postroad.doors import control
from postroad.doors.helping import HelperDesk
from postroad.machine import listeners
from postroad.machine.clock import SystemClock
from postroad.machine.disk import FolderDisk
from postroad.machine.entropy import SystemEntropy
from postroad.machine.iroh_network import IrohNetwork
from postroad.machine.listeners import SystemListeners
from postroad.peers.admission import Admission
from postroad.peers.client import Client
from postroad.peers.directory.service import Directory
from postroad.peers.exchange import Answer
from postroad.peers.gate import Gate
from postroad.peers.helping import Helping
from postroad.peers.holder import Holder
from postroad.peers.link import Links
from postroad.peers.reach import Reach
from postroad.peers.relay import RelayServer, Rules
from postroad.peers.strangers import StrangersGate
from postroad.peers.timekeeper import Timekeeper
from postroad.phrases import phrase
from postroad.protocol import wire
from postroad.protocol.border import EVERYWHERE, Border
from postroad.protocol.holding import HoldFor
from postroad.sealing.keys import SigningKey
from postroad.store import acquaintances, audit, helper_key, housekeeping, people
from postroad.store.clock_memory import ClockMemory
from postroad.store.contents import Contents
from postroad.store.database import Database
from postroad.store.helpers import GuestBook
from postroad.store.revoked import Barred
from postroad.store.sealed import SealedStore
from postroad.store.shelves import Shelves
from postroad.store.siblings import Ledger

log = logging.getLogger(__name__)
ROOT = 0  # who may ask a helper besides the user it runs as: its own user may be nobody's


@dataclass(frozen=True, slots=True)
class HelperConfig:
    """`address`: the IP address by which others know this box; None: what it finds by itself."""

    data: Path
    runtime: Path
    name: str
    peer_port: int = limits.PEER_PORT_DEFAULT
    relay_port: int = limits.HELPER_RELAY_PORT
    peer_hosts: tuple[str, ...] = ()
    address: str | None = None
    rules: Rules = Rules()
    dial_private: bool = False  # see `protocol.dialable`
    border: Border = EVERYWHERE
    directory: bool = True
    policy: Policy = NO_POLICY  # what of all this it allows is here already

    @property
    def control_path(self) -> Path:
        return self.runtime / "control"


class _NoMailDoors:
    """`base.seams.PeerUid` where no mail program is served."""

    def is_owner(self, client: SocketAddress, server: SocketAddress) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Helper:
    """A helper that is put together. `serve` runs it."""

    machine: Machine
    timekeeper: Timekeeper
    config: HelperConfig
    endpoint: Gate
    database: Database
    contents: Contents
    sealed: SealedStore
    links: Links
    herald: Herald
    siblings: Siblings
    relay: RelayServer
    reach: Reach
    directory: Directory
    admission: Admission

    def where_i_am(self) -> Contact:
        """As its people should know it: its addresses, and itself as the relay on TCP."""
        found = self.endpoint.addresses()
        if self.config.address is not None:
            port = found[0].port if found else self.config.peer_port
            found = (HostPort(self.config.address, port),)
        relay = None
        if found:
            relay = Relay(self.endpoint.me, HostPort(found[0].host, self.config.relay_port))
        return Contact(self.endpoint.me, found, relay)

    async def serve(
        self,
        asked_at: socket.socket,
        relays_at: Sequence[socket.socket],
        ready: Callable[[], None],
    ) -> None:
        """Run until cancelled. `asked_at`: the control socket; `relays_at`: the relay's."""
        desk = HelperDesk(
            self.database,
            self.machine.clock,
            self.machine.entropy,
            self.where_i_am,
            self.facts,
            self.relay.review_soon,
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.database.watch(), name="database")
            tasks.create_task(keep_running("tidy", self._tidy), name="tidy")
            tasks.create_task(self._follow_clock(), name="clock")
            tasks.create_task(keep_running("links", self.serve_links), name="links")
            tasks.create_task(keep_running("herald", self.herald.run), name="herald")
            tasks.create_task(keep_running("admission", self.admission.run), name="admission")
            tasks.create_task(keep_running("siblings", self.siblings.run), name="siblings")
            tasks.create_task(keep_running("directory", self.directory.run), name="directory")
            tasks.create_task(self.relay.serve(relays_at), name="relay")
            await self.reach.begin()
            tasks.create_task(keep_running("reach", self.reach.run), name="reach")
            tasks.create_task(
                control.serve_questions(asked_at, desk.questions, {os.getuid(), ROOT}),
                name="control",
            )
            ready()

    async def serve_links(self) -> None:
        """Raises TemporaryFailure when the endpoint was lost, NotToBeHad while somebody else has
        its port: then it is opened anew. A helper that is deaf looks as if it ran."""
        if not self.endpoint.is_open:
            await self.endpoint.open()
            await self.reach.begin()
        await self.links.serve()
        await self.endpoint.close()
        raise TemporaryFailure("The endpoint was closed.")

    async def _follow_clock(self) -> None:
        while True:
            if not await self.timekeeper.changed():
                self.herald.greet()

    async def _tidy(self) -> None:
        while True:
            await self.timekeeper.keep()
            await housekeeping.tidy(self.database, self.contents, self.sealed, self.timekeeper)
            await asyncio.sleep(TIDY_SECONDS)

    def facts(self) -> dict[str, object]:
        contact = self.where_i_am()
        return {
            "helper": self.config.name,
            "postroad": __version__,
            "addresses": [str(at) for at in contact.addresses],
            "relay": None if contact.relay is None else str(contact.relay.address),
            "messages_sent": self.links.counts.sent,
            "messages_heard": self.links.counts.heard,
        }


@asynccontextmanager
async def build_helper(config: HelperConfig, machine: Machine) -> AsyncIterator[Helper]:
    """A helper over this machine, its store open and its endpoint bound; closed on leaving."""
    key = helper_key.load(machine.disk, machine.entropy)
    async with Database(machine.disk) as database:
        vigil.watch.set(audit.WeakKeys(database, machine.clock))
        endpoint = Gate(machine.network, key.seed, key.peer, config.peer_port, config.border)
        await endpoint.open()
        try:
            clock = Timekeeper(machine.clock, ClockMemory(database))
            await clock.begin()
            try:
                yield await _wire(config, machine, clock, key, database, endpoint)
            finally:
                await clock.keep_quietly()
        finally:
            await endpoint.close()


async def _wire(
    config: HelperConfig,
    machine: Machine,
    clock: Timekeeper,
    key: SigningKey,
    database: Database,
    endpoint: Gate,
) -> Helper:
    sealed = SealedStore(machine.disk)
    # `answers` and the lambdas are the only threads that lead back upstairs: filled in below.
    answers: dict[type[wire.Message], Answer] = {}

    def linked(peer: PeerId, came: bool) -> None:
        herald.peer_seen(peer, came)
        siblings.peer_seen()

    def deposited(drop: DropId) -> None:
        herald.news(drop)
        siblings.deposited(drop)

    barred = Barred()
    await database.keep_fresh(barred.look)
    admission = Admission(clock, lambda: database.read(acquaintances.known))
    await admission.refresh()
    endpoint.ask_first(admission.admits)
    links = Links(
        endpoint,
        clock,
        answers,
        linked,
        barred=barred,
        admission=admission,
        may_use=endpoint.lets,
    )
    client = Client(links, clock.heard)
    herald = Herald(database, client, clock)
    ledger = Ledger(database, sealed, clock, key.peer, HoldFor.CONTACTS)
    siblings = Siblings(ledger, client, clock, machine.entropy, herald.news)
    contents = Contents(machine.disk)

    async def may_relay(peer: PeerId) -> bool:
        return peer == key.peer or await database.read(lambda sql: people.is_served(sql, peer))

    async def moved() -> None:
        """Whoever waits is told again in time by the herald."""

    relay = RelayServer(may_relay, machine.entropy, config.rules)

    async def nothing_of_its_own() -> list[bytes]:
        return []

    directory, tell_directory = build_directory(
        machine,
        database,
        links,
        endpoint,
        clock,
        lambda: helper.where_i_am(),
        nothing_of_its_own,
        dial_private=config.dial_private,
        takes_part=config.directory,
    )
    around = around_reach(
        machine.disk,
        database,
        lambda: config.relay_port,
        lambda: None,
        moved,
        own_relay=lambda: helper.where_i_am().relay,
    )
    reach = Reach(endpoint, links, client, clock, around)
    helper = Helper(
        machine,
        clock,
        config,
        endpoint,
        database,
        contents,
        sealed,
        links,
        herald,
        siblings,
        relay,
        reach,
        directory,
        admission,
    )
    obeying = Obeying(
        database,
        clock,
        tuple,  # no identity of its own
        lambda sql, obeyed: None,
        lambda obeyed, added: None,
    )
    answers.update(obeying.answers)
    answers.update(reach.answers)
    herald.listeners = (lambda seen: reach.peer_linked(seen.peer), tell_directory)
    shelves = Shelves(database, sealed, clock, key.peer, HoldFor.CONTACTS)
    gate = StrangersGate(clock)
    holder = Holder(shelves, ledger, key, deposited, siblings.asked, strangers=gate)
    answers.update(holder.answers)
    answers.update(directory.answers)
    book = GuestBook(database, clock)

    async def signed_in() -> None:
        admission.wake()
        await relay.review()

    answers.update(Helping(book, config.name, helper.where_i_am, signed_in).answers)
    return helper


def run(config: HelperConfig, ready: Callable[[HelperConfig], None]) -> None:
    """Run the helper in the foreground until it is told to stop.

    Raises ConfigurationError when it cannot start; the sentence says what to do."""
    os.umask(0o077)
    with closing(FolderDisk(config.data)) as disk:
        for line in disk.mended:
            log.warning("%s", line)
        machine = Machine(
            SystemClock(),
            SystemEntropy(),
            disk,
            IrohNetwork(config.peer_hosts) if config.peer_hosts else IrohNetwork(),
            SystemListeners(peer_hosts=config.peer_hosts),
            _NoMailDoors(),
        )
        asyncio.run(_run(config, machine, ready))


async def _run(
    config: HelperConfig, machine: Machine, ready: Callable[[HelperConfig], None]
) -> None:
    main = asyncio.current_task()
    assert main is not None
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, main.cancel)
    try:
        asked_at = listeners.unix(config.control_path)
        with advised(
            phrase("--relay-port takes another one, but only TCP 443 is open everywhere.")
        ):
            relays_at = machine.listeners.relay(config.relay_port)
        async with AsyncExitStack() as stack:
            with advised(phrase("--port takes another one.")):
                helper = await stack.enter_async_context(build_helper(config, machine))
            await stack.enter_async_context(ended_by_another(config.policy, main.cancel))

            def started() -> None:
                log.info("helper started", extra=helper.facts())
                ready(config)

            await helper.serve(asked_at, relays_at, started)
    except asyncio.CancelledError:
        log.info("stopped")
        if policies.has_changed(config.policy):
            raise ConfigurationError(policies.CHANGED) from None
