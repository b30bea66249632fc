"""A node that is put together: run it, on the network and off it.

Purpose: which services run when, and that each begins again when the disk failed it.
Invariant: a pause ends all that uses the network, and nothing else. Long, because each part of the
node has a line here, and who is asked for what is one list.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from postroad.app.condition import Condition, Troubles
from postroad.app.mail_doors import MailDoors, Sockets
from postroad.app.supervision import Service, keep_running
from postroad.base import limits
from postroad.base.bell import Bell
from postroad.base.errors import TemporaryFailure
from postroad.base.seams import Clock, Machine
from postroad.delivery.bundles import Bundles
from postroad.delivery.changes import Changes
from postroad.delivery.contact_book import ContactBook
from postroad.delivery.helpers import Helpers
from postroad.delivery.herald import Herald
from postroad.delivery.introductions import Introductions
from postroad.delivery.neighbours import Neighbours
from postroad.delivery.outbox import Outbox
from postroad.delivery.outgoing import Outgoing
from postroad.delivery.own_devices import OwnDevices
from postroad.delivery.proposals import Proposals
from postroad.delivery.receiver import Receiver
from postroad.delivery.renter import Renter
from postroad.delivery.requests import RequestBox
from postroad.delivery.sender import Sender
from postroad.delivery.siblings import Siblings
from postroad.delivery.watch import Watch
from postroad.doors import control, imap, pop3, submission
from postroad.doors.audit import AuditDesk
from postroad.doors.backup import BackupDesk
from postroad.doors.bundles import BundleDesk
from postroad.doors.contacts import ContactsDesk
from postroad.doors.health import HealthDesk
from postroad.doors.identity import IdentityDesk
from postroad.doors.keys import KeysDesk
from postroad.doors.messages import MessagesDesk
from postroad.doors.network import NetworkDesk
from postroad.doors.password import PasswordDesk
from postroad.doors.proposals import ProposalsDesk
from postroad.doors.queue import QueueDesk
from postroad.doors.requests import RequestsDesk
from postroad.doors.statistics import StatisticsDesk
from postroad.doors.store import StoreDesk
from postroad.doors.trial import TrialDesk
from postroad.machine.arrivals import next_arrival
from postroad.peers.admission import Admission
from postroad.peers.directory.service import Directory
from postroad.peers.gate import Gate
from postroad.peers.link import Links
from postroad.peers.reach import Reach
from postroad.peers.relay import RelayServer
from postroad.peers.timekeeper import Timekeeper
from postroad.store import filed, housekeeping, queue
from postroad.store.contents import Contents
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.locksmith import Locksmith, OwnersWord
from postroad.store.mailboxes import Mailboxes
from postroad.store.maildrop import Inbox
from postroad.store.pauses import Pauses
from postroad.store.sealed import SealedStore

if TYPE_CHECKING:
    from postroad.app.compose import Settings

log = logging.getLogger(__name__)
TIDY_SECONDS = limits.HOUR
Follow = Callable[[Mapping[str, control.Question], Bell], Coroutine[None, None, None]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """The owner's name at the doors, and the mailbox password."""

    keyring: OwnKeys

    def check(self, user: str, password: bytes) -> bool:
        """`user` may be the whole address, the part before the @, or the plain name."""
        names = {self.keyring.name}
        for mine in self.keyring.addresses:  # a mail program may not have heard of a rotation
            names |= {str(mine), str(mine).partition("@")[0]}
        return user.lower() in names and self.keyring.password.verify(password)

    @property
    def changed(self) -> Bell:
        return self.keyring.password_changed


@dataclass(frozen=True, slots=True)
class _OwnAddress(Collection[str]):
    """The address that the owner writes as now: another one after a rotation."""

    keyring: OwnKeys

    def __iter__(self) -> Iterator[str]:
        return iter((str(self.keyring.address),))

    def __len__(self) -> int:
        return 1

    def __contains__(self, address: object) -> bool:
        return address == str(self.keyring.address)


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is put together. `serve` runs it; the rest is for doors and tests."""

    machine: Machine
    timekeeper: Timekeeper
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
    relay: RelayServer | None
    relay_port: int
    bundles: Bundles
    proposals: Proposals
    contact_book: ContactBook
    neighbours: Neighbours | None
    directory: Directory
    locksmith: Locksmith | None
    changes: Changes
    own_devices: OwnDevices
    requests: RequestBox
    admission: Admission
    bell: Bell
    watch: Watch
    adapt: "Callable[[Settings], None]"  # to others, of which it takes what it can
    troubles: Troubles

    async def serve(
        self,
        sockets: Sockets,
        ready: Callable[[], None] = lambda: None,
        follow: Follow | None = None,
        more: Mapping[str, control.Question] = MappingProxyType({}),
    ) -> None:
        """Run until cancelled. `ready` is called when the doors are served; unless the node is
        paused, the network is joined by then. `follow`: shows the node to other
        programs; `more`: what else may be asked."""
        if self.endpoint.is_open:
            await wake_all(self.database, self.machine.clock)
            await self.reach.begin()
            try:
                await self.renter.record()  # others ask for it as soon as they can reach us
            except TemporaryFailure as error:  # a full disk: the renter makes it later
                log.error("what others are told of this node was not made anew: %s", error)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.database.watch(), name="database")
            for name, service in (
                ("tidy", self._tidy),
                ("requests", self.requests.run),
                ("clock", self._follow_clock),
            ):
                tasks.create_task(self._keep_running(name, service), name=name)
            tasks.create_task(self._keep_to_pauses(tasks), name="pauses")
            doors = self.doors(sockets)
            tasks.create_task(self._serve_mail(doors), name="mail doors")
            questions = {**self.desks(doors), **more}
            if sockets.control is not None:
                serving = control.serve(
                    sockets.control, questions, BundleDesk(self.bundles).questions
                )
                tasks.create_task(serving, name="control")
            if follow is not None:
                tasks.create_task(follow(questions, self.bell), name="follow")
            ready()

    async def _keep_to_pauses(self, tasks: asyncio.TaskGroup) -> None:
        """Be on the network whenever the node is not paused. The doors do not care."""
        while True:
            await self.pauses.wait_for_end()
            serving = self._keep_running("network", self._serve_peers)
            network = tasks.create_task(serving, name="network")
            await self.pauses.wait_for_begin()
            network.cancel()
            await asyncio.wait({network})
            await self.endpoint.close()
            log.info("paused")

    async def _keep_running(self, name: str, service: Service) -> None:
        await keep_running(name, service, self.troubles.note)

    async def _serve_peers(self) -> None:
        # Whether there was a pause just now is not the question: one may have ended while we left.
        if not self.endpoint.is_open:
            await self._join_again()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._serve_links(), name="links")
            self.bell.ring()
            if self.neighbours is not None:
                finding = self._keep_running("neighbours", self.neighbours.run)
                tasks.create_task(finding, name="neighbours")
            for name, service in (
                ("herald", self.herald.run),
                ("admission", self.admission.run),
                ("sender", self.sender.run),
                ("receiver", self.receiver.run),
                ("renter", self.renter.run),
                ("directory", self.directory.run),
                ("changes", self.changes.run),
                ("siblings", self._meet_siblings),
                ("reach", self.reach.run),
            ):
                tasks.create_task(self._keep_running(name, service), name=name)
            if self.relay is not None:
                relaying = self._keep_running("relay", self._serve_relay)
                tasks.create_task(relaying, name="relay")

    async def _meet_siblings(self) -> None:
        """Letters that others left here are passed on among their holders while there is plenty;
        their owners are served at any time."""
        supply = self.machine.supply
        if supply is None:
            await self.siblings.run()
            return
        while True:
            meeting: asyncio.Task[None] | None = None
            async with asyncio.TaskGroup() as tasks:
                if not supply.is_scarce:
                    meeting = tasks.create_task(self.siblings.run(), name="siblings meet")
                await supply.changed()
                if meeting is not None:
                    meeting.cancel()

    async def _serve_relay(self) -> None:
        """Raises NotToBeHad while somebody else has the port; the node does without, and tries
        again."""
        assert self.relay is not None
        port = self.relay_port or self.endpoint.addresses()[-1].port
        await self.relay.serve(self.machine.listeners.relay(port))

    async def _join_again(self) -> None:
        """Open the endpoint after a pause; all that waited is due now.

        Raises NotToBeHad while somebody else has the port."""
        await wake_all(self.database, self.machine.clock)
        await self.endpoint.open()
        await self.reach.begin()
        await self.renter.record()
        log.info("on the network again")

    async def _serve_links(self) -> None:
        await self.links.serve()
        await self.endpoint.close()
        raise TemporaryFailure("The endpoint was closed, and nobody paused the node.")

    def doors(self, sockets: Sockets) -> MailDoors:
        """These sockets, as they are served and shown."""
        return MailDoors(sockets, self.machine.peer_uid, self.bell.ring)

    async def _serve_mail(self, doors: MailDoors) -> None:
        credentials = Credentials(self.keyring)
        own = _OwnAddress(self.keyring)
        uid, clock = self.machine.peer_uid, self.machine.clock
        inbox = Inbox(self.database, self.contents, self.mailboxes, clock)
        await doors.run(
            {
                "smtp": lambda sockets: submission.serve(
                    sockets,
                    self.outbox,
                    credentials,
                    next_arrival,
                    uid,
                    own,
                    clock,
                    self.machine.entropy,
                ),
                "imap": lambda sockets: imap.serve(sockets, self.mailboxes, credentials, uid),
                "pop3": lambda sockets: pop3.serve(sockets, inbox, credentials, uid),
            }
        )

    def desks(self, doors: MailDoors) -> dict[str, control.Question]:
        """All that may be asked of this node: the control socket answers it, and the bus."""
        network = NetworkDesk(
            self.database,
            self.reach,
            self.endpoint.me,
            self.links.path,
            self.relay is not None,
            lambda: self.pauses.pause is not None,
            self.links.wait_until_served,
        )
        keyring, entropy = self.keyring, self.machine.entropy
        owners_word = OwnersWord(keyring)
        asked: dict[str, control.Question] = {}
        for questions in (
            control.OwnersDesk(
                self.database,
                self.introductions,
                self.timekeeper,
                self.pauses,
                self.helpers,
                network,
                self.sender.progress,
            ).questions,
            HealthDesk(
                self.database,
                self.machine.disk,
                keyring,
                self.timekeeper,
                self.pauses,
                self.links,
                network,
                Condition(doors, self.watch, self.troubles),
                self.bell,
            ).questions,
            StatisticsDesk(self.database, keyring, self.timekeeper).questions,
            network.questions,
            MessagesDesk(self.database, self.sender.progress).questions,
            AuditDesk(self.database).questions,
            ContactsDesk(self.contact_book).questions,
            ProposalsDesk(self.proposals, self.renter.record).questions,
            KeysDesk(
                keyring, self.locksmith, self.database, self.machine.clock, owners_word
            ).questions,
            RequestsDesk(self.requests).questions,
            PasswordDesk(
                keyring, self.database, self.machine.clock, entropy, owners_word
            ).questions,
            StoreDesk(self.database).questions,
            TrialDesk(
                self.database, self.mailboxes, keyring, self.machine.clock, entropy
            ).questions,
            BackupDesk(keyring, self.database, self.machine.clock).questions,
            QueueDesk(Outgoing(self.database, self.sender, self.timekeeper), self.pauses).questions,
            IdentityDesk(self.changes, self.own_devices, keyring, entropy, owners_word).questions,
        ):
            assert asked.keys().isdisjoint(questions), "a question has one desk"
            asked.update(questions)
        return asked

    async def _follow_clock(self) -> None:
        """When the wall clock was set, no moment that was planned by it means anything; when it is
        confirmed, what is over has an end, and what was left lying may be filed or refused."""
        while True:
            confirmed = await self.timekeeper.changed()
            self.bell.ring()
            await wake_all(self.database, self.timekeeper)
            if (now := self.timekeeper.sure_now()) is not None:
                await self.database.run(partial(queue.redate, now=now))
            if confirmed:
                await self.sender.look_at_clocks()
            else:
                self.herald.greet()
            self.sender.wake()
            self.receiver.moved()

    async def _tidy(self) -> None:
        while True:
            await self.timekeeper.keep()
            mine = self.keyring.fingerprints
            await housekeeping.tidy(
                self.database, self.contents, self.sealed, self.timekeeper, mine
            )
            if self.pauses.pause is not None:  # promise M1 holds in a pause, too
                await self.sender.look_at_clocks()
            await asyncio.sleep(TIDY_SECONDS)


async def wake_all(database: Database, clock: Clock) -> None:
    """All that waits is due now: whoever was away when it was put off may be on for minutes."""
    now = clock.now()

    def wake(sql: Sql) -> None:
        queue.wake_all(sql, now)
        filed.wake_all_receipts(sql, now)

    try:
        await database.run(wake)
    except TemporaryFailure as error:  # then each goes when its own time has come
        log.warning("what waited was not woken: %s", error)
