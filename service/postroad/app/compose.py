"""Build the node: the only place where every wire can be read.

`build_node` is given a machine and never asks which one: the simulator calls it with its own.
Long, because wires of which half are elsewhere cannot be followed; what hangs together by itself
is built in `compose_*`.
"""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from postroad.app.compose_changes import changes_of, obeying_of
from postroad.app.compose_directory import directory_of
from postroad.app.condition import Troubles
from postroad.app.node import Node, wake_all
from postroad.app.surroundings import around_reach
from postroad.base import limits, vigil
from postroad.base.bell import Bell
from postroad.base.errors import TemporaryFailure
from postroad.base.ids import DropId, Fingerprint, PeerId
from postroad.base.seams import Machine
from postroad.delivery.bundled_words import BundledWords
from postroad.delivery.bundles import Bundles
from postroad.delivery.contact_book import ContactBook
from postroad.delivery.epochs import Epochs
from postroad.delivery.filing import Filing
from postroad.delivery.helpers import Helpers
from postroad.delivery.herald import Herald
from postroad.delivery.introductions import Introductions
from postroad.delivery.neighbours import Neighbours
from postroad.delivery.notices import Notices
from postroad.delivery.outbox import Outbox
from postroad.delivery.packing import Packer
from postroad.delivery.progress import Progress
from postroad.delivery.proposals import Proposals
from postroad.delivery.receiver import Receiver
from postroad.delivery.renter import Renter
from postroad.delivery.requests import RequestBox
from postroad.delivery.rounds import Rounds
from postroad.delivery.sender import Sender
from postroad.delivery.siblings import Siblings
from postroad.delivery.stamps import Stamps
from postroad.delivery.strangers import Strangers
from postroad.delivery.watch import Watch
from postroad.peers.admission import Admission
from postroad.peers.client import Client
from postroad.peers.exchange import Answer
from postroad.peers.gate import Gate
from postroad.peers.holder import Holder
from postroad.peers.link import Links
from postroad.peers.reach import Reach
from postroad.peers.relay import RelayServer, Rules
from postroad.peers.sightings import Sightings
from postroad.peers.strangers import StrangersGate
from postroad.peers.timekeeper import Timekeeper
from postroad.protocol import wire
from postroad.protocol.border import EVERYWHERE, Border
from postroad.protocol.holding import HoldFor
from postroad.sealing.wrapping import PLAIN, Wrapping
from postroad.store import acquaintances, audit, keyring, people, rotations, standing
from postroad.store.clock_memory import ClockMemory
from postroad.store.contents import Contents
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.locksmith import Locksmith
from postroad.store.mailboxes import Mailboxes
from postroad.store.pauses import Pauses
from postroad.store.revoked import Barred
from postroad.store.sealed import SealedStore
from postroad.store.shelves import Shelves
from postroad.store.siblings import Ledger

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What of the configuration the node itself needs."""

    peer_port: int
    expiry_seconds: float
    relay: Rules | None = None  # whether, and how, this node is a relay for others
    relay_port: int = 0  # TCP; 0: of the same number as the port at which peers reach us
    hold_for: HoldFor = HoldFor.VOUCHED
    dial_private: bool = False
    takes_requests: bool = True
    refuses_silently: bool = False
    border: Border = EVERYWHERE
    directory: bool = True  # whether the node takes part in it
    circle: frozenset[Fingerprint] | None = None  # who may be a contact; None: anybody
    size_max: int = limits.LETTER_BYTES_MAX  # of a letter that is sent from here
    bundle_write: bool = True
    bundle_read: bool = True
    helpers: bool = True  # whether any may serve us
    lan: bool = True  # whether contacts on the local network find us, where the machine has one


@asynccontextmanager
async def build_node(
    settings: Settings,
    machine: Machine,
    wrapping: Wrapping = PLAIN,
    locksmith: Locksmith | None = None,
    opening: Callable[[], None] = lambda: None,
) -> AsyncIterator[Node]:
    """A node over this machine, its store open and, unless it is paused, its endpoint bound; closed
    on leaving. `wrapping`: what opens its keys; `locksmith` makes others;
    `opening` is told, in the database thread, that a long migration goes on.

    Raises ConfigurationError when the node is not set up, or its folder or port is taken."""
    disk, clock = machine.disk, machine.clock
    async with Database(disk, opening) as database:
        vigil.watch.set(audit.WeakKeys(database, clock))
        await database.run(lambda sql: standing.keep_to(sql, settings.circle))
        keys = OwnKeys(disk, keyring.load(disk, wrapping), wrapping)
        try:
            await keys.renew(clock.now())
        except TemporaryFailure as error:  # a full disk: whoever signs asks again
            log.error("the certificate of this device was not made anew: %s", error)
        device = keys.device

        def kept_out(what: str) -> None:
            now = clock.now()
            database.later(lambda sql: audit.note_refused(sql, now, "networks", what=what))

        endpoint = Gate(
            machine.network,
            device.seed,
            device.peer,
            settings.peer_port,
            settings.border,
            kept_out,
        )
        pauses = Pauses(disk, clock)
        if pauses.pause is None:
            await endpoint.open()
        try:
            node = await _wire(settings, machine, keys, database, endpoint, pauses, locksmith)
            try:
                yield node
            finally:
                await node.timekeeper.keep_quietly()
        finally:
            await endpoint.close()


async def _wire(
    settings: Settings,
    machine: Machine,
    keys: OwnKeys,
    database: Database,
    endpoint: Gate,
    pauses: Pauses,
    locksmith: Locksmith | None,
) -> Node:
    entropy = machine.entropy
    clock = Timekeeper(machine.clock, ClockMemory(database))
    await clock.begin()
    contents = Contents(machine.disk)
    sealed = SealedStore(machine.disk)
    mailboxes = Mailboxes(database, contents, clock)
    bell = Bell()
    database.on_commit = pauses.on_change = bell.ring
    await database.run(lambda sql: mailboxes.ensure_standard(sql, clock.now()))

    # `answers` and the lambdas are the only threads that lead back upstairs: filled in below.
    answers: dict[type[wire.Message], Answer] = {}
    watch = Watch(database, clock, endpoint.me)

    def linked(peer: PeerId, came: bool) -> None:
        watch.seen(peer)
        herald.peer_seen(peer, came)
        siblings.peer_seen()
        bell.ring()

    def missed(peer: PeerId) -> None:
        watch.missed(peer)
        bell.ring()
        reach.doubt_relay()

    sightings, barred = Sightings(), Barred()
    await database.keep_fresh(barred.look)
    admission = Admission(clock, lambda: database.read(acquaintances.known))
    await admission.refresh()
    endpoint.ask_first(admission.admits)
    links = Links(
        endpoint,
        clock,
        answers,
        linked,
        missed,
        sightings,
        barred,
        admission,
        may_use=endpoint.lets,
    )
    links.on_end = bell.ring
    client = Client(links, clock.heard)
    private = settings.dial_private
    herald = Herald(database, client, clock, dial_private=private)
    ledger = Ledger(database, sealed, clock, endpoint.me, settings.hold_for, dial_private=private)
    siblings = Siblings(ledger, client, clock, entropy, herald.news)

    def deposited(drop: DropId) -> None:
        herald.news(drop)
        siblings.deposited(drop)

    gate = StrangersGate(clock)
    shelves = Shelves(database, sealed, clock, endpoint.me, settings.hold_for)
    holder = Holder(
        shelves,
        ledger,
        keys.device,
        deposited,
        siblings.asked,
        lambda: sender.wake(),  # letters that wait may have other holders now
        gate,
    )

    async def may_relay(peer: PeerId) -> bool:
        return peer == endpoint.me or await database.read(lambda sql: people.is_served(sql, peer))

    relay = None if settings.relay is None else RelayServer(may_relay, entropy, settings.relay)

    def relay_port() -> int | None:
        if settings.relay is None or not endpoint.is_open:
            return None
        return settings.relay_port or endpoint.addresses()[-1].port

    async def moved() -> None:
        await wake_all(database, clock)
        receiver.moved()
        sender.wake()
        directory.look_again()

    reach = Reach(
        endpoint,
        links,
        client,
        clock,
        around_reach(machine.disk, database, relay_port, lambda: renter.wake(), moved),
    )
    epochs = Epochs(database, keys, clock, entropy)
    renter = Renter(
        database,
        client,
        keys,
        clock,
        entropy,
        reach,
        watch,
        epochs,
        settings.hold_for,
        dial_private=private,
        strangers=_stamp_bits(settings),
    )
    strangers = Strangers(
        database,
        contents,
        clock,
        entropy,
        lambda fingerprint: changes.find_stranger(fingerprint),
        lambda: directory.has_joined,
        lambda: written(),
    )
    outbox = Outbox(
        database,
        contents,
        keys,
        clock,
        entropy,
        lambda: sender.wake(),
        strangers,
        expiry_seconds=settings.expiry_seconds,
        size_max=settings.size_max,
    )

    def written() -> None:
        renter.wake()
        requests.wake()
        requests.told()

    def met() -> None:
        requests.told()
        admission.wake()
        herald.met()
        receiver.met()
        sender.wake()
        reach.met()
        changes.wake()  # they may know us as whom we were
        if relay is not None:
            relay.review_soon()
        if neighbours is not None:
            neighbours.met()

    def stand_otherwise() -> None:
        renter.wake()
        sender.wake()
        if relay is not None:
            relay.review_soon()

    directory, tell_directory = directory_of(
        renter,
        machine,
        database,
        links,
        endpoint,
        clock,
        lambda: reach.here,
        lambda: own_devices.look_first(),
        dial_private=settings.dial_private,
        takes_part=settings.directory,
    )

    def changed() -> None:
        requests.told()
        renter.wake()
        receiver.wake()
        sender.wake()
        changes.wake()
        directory.record_changed()

    obeying = obeying_of(
        database,
        mailboxes,
        keys,
        clock,
        entropy,
        changed,
        lambda sql, who: requests.settle(sql, who),
    )
    changes, own_devices = changes_of(
        database, client, keys, clock, entropy, obeying, directory, changed
    )

    def met_or_decided() -> None:
        met()
        renter.wake()

    proposals = Proposals(database, outbox, keys, clock, entropy, met_or_decided)
    introductions = Introductions(
        database, outbox, renter, client, keys, clock, entropy, met, proposals, directory.find
    )
    introductions.look_up = changes.ask_about

    def helpers_changed() -> None:
        renter.wake()
        reach.met()

    helpers = Helpers(
        database, client, clock, renter.record, helpers_changed, allowed=settings.helpers
    )
    await helpers.keep_to_policy()
    renter.tell_changes, changes.make_record = changes.settle, renter.record
    renter.tell_helpers = helpers.settle
    requests = RequestBox(
        database,
        mailboxes,
        introductions,
        keys,
        clock,
        entropy,
        directory.find,
        lambda: receiver.wake(),
        is_open=settings.takes_requests,
        refuses_silently=settings.refuses_silently,
    )
    mailboxes.on_accepted = requests.wake

    def on_contact(sql: Sql, who: Fingerprint) -> None:
        obeying.catch_up(sql, who)
        requests.settle(sql, rotations.heir(sql, who))

    strangers.answers = requests.answers
    introductions.on_contact = proposals.on_contact = on_contact
    filing = Filing(database, mailboxes, introductions, requests, proposals, keys, clock, entropy)
    receiver = Receiver(
        database,
        sealed,
        filing,
        client,
        clock,
        entropy,
        keys,
        renter.holders.lost_drop,
        epochs,
        strangers=gate,
        dial_private=private,
    )
    packer = Packer(database, contents, sealed, keys, clock, entropy, dial_private=private)
    sender = Sender(
        database,
        packer,
        Rounds(
            database, sealed, client, clock, Stamps(database, clock, endpoint.me), Progress(bell)
        ),
        Notices(mailboxes, contents, keys, clock, entropy),
        mailboxes,
        client,
        keys,
        clock,
        entropy,
        receiver,
        directory.find_newer,
        strangers,
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
        BundledWords(database, changes, obeying, epochs, sender),
        shelves,
        keys,
        clock,
        deposited,
        receiver.wake,
        writes=settings.bundle_write,
        reads=settings.bundle_read,
    )

    directory.is_scarce = lambda: machine.is_scarce
    if relay is not None:
        relay.is_scarce = lambda: machine.is_scarce

    def adapt(new: Settings) -> None:
        outbox.expiry_seconds, outbox.size_max = new.expiry_seconds, new.size_max
        requests.is_open, requests.refuses_silently = new.takes_requests, new.refuses_silently
        bundles.allow(writes=new.bundle_write, reads=new.bundle_read)
        shelves.hold_for = ledger.hold_for = new.hold_for
        renter.duty.change(new.hold_for)
        renter.strangers = _stamp_bits(new)
        renter.wake()
        if relay is not None and new.relay is not None:
            relay.change(new.relay)
            relay.review_soon()
        if neighbours is not None:
            neighbours.want(new.lan)

    if neighbours is not None:
        neighbours.want(settings.lan)
    answers.update(holder.answers)
    answers.update(directory.answers)
    answers.update(obeying.answers)
    answers.update(receiver.answers)
    answers.update(renter.duty.answers)
    answers[wire.Receipt] = sender.answer_receipt
    answers.update(reach.answers)
    herald.listeners = (
        renter.peer_seen,
        receiver.peer_seen,
        sender.peer_seen,
        changes.peer_seen,
        lambda seen: reach.peer_linked(seen.peer),
        tell_directory,
    )
    return Node(
        machine,
        clock,
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
        proposals,
        ContactBook(database, keys, clock, stand_otherwise),
        neighbours,
        directory,
        locksmith,
        changes,
        own_devices,
        requests,
        admission,
        bell,
        watch,
        adapt,
        Troubles(bell.ring),
    )


def _stamp_bits(settings: Settings) -> int:
    """What our record says of strangers."""
    return limits.STAMP_BITS if settings.takes_requests else 0


def _port_of(endpoint: Gate, settings: Settings) -> int:
    """Where other nodes reach us; 0 when nobody knows."""
    return next((at.port for at in endpoint.addresses()), settings.peer_port)
