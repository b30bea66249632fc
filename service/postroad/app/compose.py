"""Build the node: the only place where every wire can be read.

`build_node` is given a machine and never asks which one: the simulator calls it with its own.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from socket import socket

from postroad.app.compose_directory import directory_of
from postroad.app.surroundings import around_reach
from postroad.base import limits
from postroad.base.errors import PostroadError, TemporaryFailure
from postroad.base.ids import DropId, PeerId
from postroad.base.seams import Clock, Machine
from postroad.delivery.bundles import Bundles
from postroad.delivery.filing import Filing
from postroad.delivery.helpers import Helpers
from postroad.delivery.herald import Herald
from postroad.delivery.introductions import Introductions
from postroad.delivery.neighbours import Neighbours
from postroad.delivery.notices import Notices
from postroad.delivery.outbox import Outbox
from postroad.delivery.packing import Packer
from postroad.delivery.receiver import Receiver
from postroad.delivery.renter import Renter
from postroad.delivery.rounds import Rounds
from postroad.delivery.sender import Sender
from postroad.delivery.siblings import Siblings
from postroad.delivery.watch import Watch
from postroad.doors import bundles as bundle_door
from postroad.doors import control, imap, submission
from postroad.doors.network import NetworkDesk
from postroad.peers.client import Client
from postroad.peers.directory.service import Directory
from postroad.peers.gate import Gate
from postroad.peers.holder import Holder
from postroad.peers.link import Answer, Links
from postroad.peers.reach import Reach
from postroad.peers.relay import Relay, Rules
from postroad.peers.sightings import Sightings
from postroad.protocol import wire
from postroad.protocol.holding import HoldFor
from postroad.store import filed, housekeeping, keyring, people, queue
from postroad.store.contents import Contents
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.mailboxes import Mailboxes
from postroad.store.pauses import Pauses
from postroad.store.sealed import SealedStore
from postroad.store.shelves import Shelves
from postroad.store.siblings import Ledger

log = logging.getLogger(__name__)
TIDY_SECONDS = limits.HOUR
RESTART_SECONDS_FIRST = 1.0
RESTART_SECONDS_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What of the configuration the node itself needs."""

    peer_port: int
    expiry_seconds: float
    relay: Rules | None = None  # whether, and how, this node is a relay for others
    relay_port: int = 0  # TCP; 0: of the same number as the port at which peers reach us
    hold_for: HoldFor = HoldFor.VOUCHED
    dial_private: bool = False


@dataclass(frozen=True, slots=True)
class Sockets:
    """Listening sockets of the doors; a door without any stays shut."""

    submission: Sequence[socket] = ()
    imap: Sequence[socket] = ()
    control: socket | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """The owner's name at the doors, and the mailbox password."""

    keyring: OwnKeys

    def check(self, user: str, password: bytes) -> bool:
        """`user` may be the whole address, the part before the @, or the plain name."""
        mine = self.keyring.address
        names = (str(mine), str(mine).partition("@")[0], mine.name)
        return user.lower() in names and self.keyring.password.verify(password)


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is put together. `serve` runs it; the rest is for doors and tests."""

    machine: Machine
    keyring: OwnKeys
    endpoint: Gate
    pauses: Pauses
    database: Database
    contents: Contents
    sealed: SealedStore
    mailboxes: Mailboxes
    outbox: Outbox
    introductions: Introductions
    renter: Renter
    links: Links
    helpers: Helpers
    herald: Herald
    siblings: Siblings
    receiver: Receiver
    sender: Sender
    reach: Reach
    relay: Relay | None
    relay_port: int
    bundles: Bundles
    neighbours: Neighbours | None
    directory: Directory

    async def serve(self, sockets: Sockets, ready: Callable[[], None] = lambda: None) -> None:
        """Run until cancelled. `ready` is called when the doors are served; unless the node is
        paused, the network is joined by then."""
        if self.endpoint.is_open:
            await _wake_all(self.database, self.machine.clock)
            await self.reach.begin()
            await self.renter.record()  # others ask for it as soon as they can reach us
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.database.watch(), name="database")
            tasks.create_task(keep_running("tidy", self._tidy), name="tidy")
            tasks.create_task(self._keep_to_pauses(tasks), name="pauses")
            self._open_doors(tasks, sockets)
            ready()

    async def _keep_to_pauses(self, tasks: asyncio.TaskGroup) -> None:
        """Be on the network whenever the node is not paused. The doors do not care."""
        while True:
            await self.pauses.wait_for_end()
            serving = keep_running("network", self._serve_peers)
            network = tasks.create_task(serving, name="network")
            await self.pauses.wait_for_begin()
            network.cancel()
            await asyncio.wait({network})
            await self.endpoint.close()
            log.info("paused")

    async def _serve_peers(self) -> None:
        # Whether there was a pause just now is not the question: one may have ended while we left.
        if not self.endpoint.is_open:
            await self._join_again()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._serve_links(), name="links")
            if self.neighbours is not None:
                finding = keep_running("neighbours", self.neighbours.run)
                tasks.create_task(finding, name="neighbours")
            for name, service in (
                ("herald", self.herald.run),
                ("sender", self.sender.run),
                ("receiver", self.receiver.run),
                ("renter", self.renter.run),
                ("directory", self.directory.run),
                ("siblings", self.siblings.run),
                ("reach", self.reach.run),
            ):
                tasks.create_task(keep_running(name, service), name=name)
            if self.relay is not None:
                tasks.create_task(keep_running("relay", self._serve_relay), name="relay")

    async def _serve_relay(self) -> None:
        """Raises NotToBeHad while somebody else has the port; the node does without, and tries
        again."""
        assert self.relay is not None
        port = self.relay_port or self.endpoint.addresses()[-1].port
        await self.relay.serve(self.machine.listeners.relay(port))

    async def _join_again(self) -> None:
        """Open the endpoint after a pause; all that waited is due now.

        Raises NotToBeHad while somebody else has the port."""
        await _wake_all(self.database, self.machine.clock)
        await self.endpoint.open()
        await self.reach.begin()
        await self.renter.record()
        log.info("on the network again")

    async def _serve_links(self) -> None:
        await self.links.serve()
        await self.endpoint.close()
        raise TemporaryFailure("The endpoint was closed, and nobody paused the node.")

    def _open_doors(self, tasks: asyncio.TaskGroup, sockets: Sockets) -> None:
        credentials = Credentials(self.keyring)
        own = (str(self.keyring.address),)
        machine = self.machine
        if sockets.submission:
            tasks.create_task(
                submission.serve(
                    sockets.submission,
                    self.outbox,
                    credentials,
                    machine.peer_uid,
                    own,
                    machine.clock,
                    machine.entropy,
                ),
                name="submission",
            )
        if sockets.imap:
            tasks.create_task(
                imap.serve(sockets.imap, self.mailboxes, credentials, machine.peer_uid),
                name="imap",
            )
        if sockets.control is not None:
            tasks.create_task(
                control.serve(
                    sockets.control,
                    self.database,
                    self.introductions,
                    self.keyring,
                    machine.clock,
                    self.pauses,
                    self.links.counts,
                    self.helpers,
                    NetworkDesk(
                        self.database,
                        self.reach,
                        self.endpoint.me,
                        self.links.path,
                        self.relay is not None,
                        lambda: self.pauses.pause is not None,
                    ),
                    {
                        name: door[0].getsockname()[1]
                        for name, door in (("smtp", sockets.submission), ("imap", sockets.imap))
                        if door
                    },
                    bundle_door.requests(self.bundles),
                ),
                name="control",
            )

    async def _tidy(self) -> None:
        while True:
            now = self.machine.clock.now()
            await housekeeping.tidy(self.database, self.contents, self.sealed, now)
            if self.pauses.pause is not None:  # promise M1 holds in a pause, too
                await self.sender.look_at_clocks()
            await asyncio.sleep(TIDY_SECONDS)


async def _wake_all(database: Database, clock: Clock) -> None:
    """All that waits is due now: whoever was away when it was put off may be on for minutes."""
    now = clock.now()

    def wake(sql: Sql) -> None:
        queue.wake_all(sql, now)
        filed.wake_all_receipts(sql, now)

    try:
        await database.run(wake)
    except TemporaryFailure as error:  # then each goes when its own time has come
        log.warning("what waited was not woken: %s", error)


async def keep_running(name: str, service: Callable[[], Awaitable[None]]) -> None:
    """Begin again when the disk failed a service; a fault of our own ends the node, loudly."""
    time = asyncio.get_running_loop().time
    wait = RESTART_SECONDS_FIRST
    while True:
        began = time()
        try:
            await service()
            raise AssertionError(f"{name} ended")
        except* PostroadError as group:
            log.error("%s begins again: %s", name, _first(group))
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # a group of errors can swallow a cancellation
            raise asyncio.CancelledError
        if time() - began > RESTART_SECONDS_MAX:
            wait = RESTART_SECONDS_FIRST
        await asyncio.sleep(wait)
        wait = min(2 * wait, RESTART_SECONDS_MAX)


def _first(group: BaseExceptionGroup[PostroadError]) -> BaseException:
    first: BaseException = group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first


@asynccontextmanager
async def build_node(settings: Settings, machine: Machine) -> AsyncIterator[Node]:
    """A node over this machine, its store open and, unless it is paused, its endpoint bound; closed
    on leaving.

    Raises ConfigurationError when the node is not set up, or its folder or port is taken."""
    disk, clock = machine.disk, machine.clock
    keys = OwnKeys(disk, keyring.load(disk))
    await keys.renew(clock.now())
    async with Database(disk) as database:
        device = keys.device
        endpoint = Gate(machine.network, device.seed, device.peer, settings.peer_port)
        pauses = Pauses(disk, clock)
        if pauses.pause is None:
            await endpoint.open()
        try:
            yield await _wire(settings, machine, keys, database, endpoint, pauses)
        finally:
            await endpoint.close()


async def _wire(
    settings: Settings,
    machine: Machine,
    keys: OwnKeys,
    database: Database,
    endpoint: Gate,
    pauses: Pauses,
) -> Node:
    clock, entropy = machine.clock, machine.entropy
    contents = Contents(machine.disk)
    sealed = SealedStore(machine.disk)
    mailboxes = Mailboxes(database, contents, clock)
    await database.run(lambda sql: mailboxes.ensure_standard(sql, clock.now()))

    # `answers` and the lambdas are the only threads that lead back upstairs: filled in below.
    answers: dict[type[wire.Message], Answer] = {}
    watch = Watch(database, clock, endpoint.me)

    def linked(peer: PeerId, came: bool) -> None:
        watch.seen(peer)
        herald.peer_seen(peer, came)
        siblings.peer_seen()

    def missed(peer: PeerId) -> None:
        watch.missed(peer)
        reach.doubt_relay()

    sightings = Sightings()
    links = Links(endpoint, clock, answers, linked, missed, sightings)
    client = Client(links)
    private = settings.dial_private
    herald = Herald(database, client, clock, dial_private=private)
    ledger = Ledger(database, sealed, clock, endpoint.me, settings.hold_for, dial_private=private)
    siblings = Siblings(ledger, client, clock, entropy, herald.news)

    def deposited(drop: DropId) -> None:
        herald.news(drop)
        siblings.deposited(drop)

    shelves = Shelves(database, sealed, clock, endpoint.me, settings.hold_for)
    holder = Holder(
        shelves,
        ledger,
        keys.device,
        deposited,
        siblings.asked,
        lambda: sender.wake(),  # letters that wait may have other holders now
    )

    async def may_relay(peer: PeerId) -> bool:
        contact = await database.read(lambda sql: people.at_device(sql, peer))
        return peer == keys.device.peer or (contact is not None and not contact.blocked)

    relay = None if settings.relay is None else Relay(may_relay, entropy, settings.relay)

    def relay_port() -> int | None:
        if settings.relay is None or not endpoint.is_open:
            return None
        return settings.relay_port or endpoint.addresses()[-1].port

    async def moved() -> None:
        await _wake_all(database, clock)
        receiver.moved()
        sender.wake()
        directory.look_again()

    reach = Reach(
        endpoint,
        links,
        clock,
        around_reach(machine.disk, database, relay_port, lambda: renter.wake(), moved),
    )
    renter = Renter(
        database,
        client,
        keys,
        clock,
        entropy,
        reach,
        watch,
        settings.hold_for,
        dial_private=private,
    )
    outbox = Outbox(
        database,
        contents,
        keys,
        clock,
        entropy,
        lambda: sender.wake(),
        expiry_seconds=settings.expiry_seconds,
    )

    def met() -> None:
        herald.met()
        receiver.met()
        sender.wake()
        reach.met()
        if relay is not None:
            relay.review_soon()
        if neighbours is not None:
            neighbours.met()

    directory, tell_directory = directory_of(
        renter,
        machine,
        database,
        links,
        endpoint,
        lambda: reach.here,
        dial_private=settings.dial_private,
    )
    introductions = Introductions(
        database, outbox, renter, client, keys, clock, entropy, met, directory.find
    )

    def helpers_changed() -> None:
        renter.wake()
        reach.met()

    helpers = Helpers(database, client, clock, renter.record, helpers_changed)
    renter.tell_helpers = helpers.settle
    filing = Filing(database, mailboxes, introductions, keys, clock, entropy)
    receiver = Receiver(
        database, sealed, filing, client, clock, entropy, keys, renter.holders.lost_drop
    )
    packer = Packer(database, contents, sealed, keys, clock, entropy)
    sender = Sender(
        database,
        packer,
        Rounds(database, sealed, client, clock),
        Notices(mailboxes, contents, keys, clock, entropy),
        mailboxes,
        client,
        keys,
        clock,
        entropy,
        receiver,
        directory.find_newer,
    )
    neighbours = None
    if machine.lan is not None:
        neighbours = Neighbours(
            database, client, sightings, clock, machine.lan, partial(_port_of, endpoint, settings)
        )
    bundles = Bundles(
        database,
        sealed,
        packer,
        filing,
        sender,
        introductions,
        renter,
        shelves,
        keys,
        clock,
        deposited,
        receiver.wake,
    )

    answers.update(holder.answers)
    answers.update(directory.answers)
    answers.update(receiver.answers)
    answers.update(renter.duty.answers)
    answers[wire.Receipt] = sender.answer_receipt
    answers.update(reach.answers)
    herald.listeners = (
        renter.peer_seen,
        receiver.peer_seen,
        sender.peer_seen,
        lambda seen: reach.peer_linked(seen.peer),
        tell_directory,
    )
    return Node(
        machine,
        keys,
        endpoint,
        pauses,
        database,
        contents,
        sealed,
        mailboxes,
        outbox,
        introductions,
        renter,
        links,
        helpers,
        herald,
        siblings,
        receiver,
        sender,
        reach,
        relay,
        settings.relay_port or settings.peer_port,
        bundles,
        neighbours,
        directory,
    )


def _port_of(endpoint: Gate, settings: Settings) -> int:
    """Where other nodes reach us; 0 when nobody knows."""
    return next((at.port for at in endpoint.addresses()), settings.peer_port)
