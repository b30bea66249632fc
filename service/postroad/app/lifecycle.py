"""Start and stop: the real machine, the doors' sockets, signals, the service manager.

Crash is the normal shutdown: nothing that matters waits for stop. SIGTERM and SIGINT end the node
politely; what is accepted is on disk either way. Under a service manager a node that cannot start
yet stays up (`app.waiting`), and the same process goes on when it can.
"""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from socket import socket
from typing import Any

from postroad import __version__
from postroad.app import config as configuration
from postroad.app import log as lines
from postroad.app import policy as policies
from postroad.app import policy_told, session_bus, status_line
from postroad.app.compose import Settings, build_node
from postroad.app.config import Config
from postroad.app.node import Node, Sockets
from postroad.app.opening import opened
from postroad.app.policy import Policy
from postroad.app.reloading import DONE, Reloading
from postroad.app.service import DOORS
from postroad.app.setup_desk import SetupDesk
from postroad.app.waiting import Waiting, sentence, until_told
from postroad.base import limits
from postroad.base.bell import Bell
from postroad.base.errors import ConfigurationError, NotSetUp, NotToBeHad, PostroadError
from postroad.base.ids import Fingerprint, Instant
from postroad.base.seams import Lan, Machine, Network
from postroad.doors.control import Request
from postroad.doors.dbus.door import STARTING, Door, served
from postroad.machine import credential, listeners, looks
from postroad.machine.clock import SystemClock
from postroad.machine.desktop_keyring import DesktopKeyring
from postroad.machine.disk import FolderDisk
from postroad.machine.entropy import SystemEntropy
from postroad.machine.iroh_network import IrohNetwork
from postroad.machine.lan import ZeroconfLan
from postroad.machine.listeners import SystemListeners
from postroad.machine.own_addresses import EVERYWHERE
from postroad.machine.peer_uid import KernelPeerUid
from postroad.machine.supply import SystemSupply
from postroad.machine.systemd import Manager, feed_watchdog
from postroad.machine.tls_network import TlsNetwork
from postroad.peers.relay import Rules
from postroad.protocol.border import border
from postroad.protocol.health import Verdict
from postroad.protocol.holding import HoldFor
from postroad.store import audit, keyring
from postroad.store.database import Sql
from postroad.store.locksmith import Locksmith
from postroad.store.pauses import Pause

log = logging.getLogger(__name__)
POLICY_LOOK_SECONDS = 60.0
ENABLE_ANEW = "make its unit anew: postroad service enable"
Ready = Callable[[Sockets, Pause | None], None]
"""Hears when the doors are served, and of the pause that the node starts in."""


def run(
    load: Callable[[], tuple[Config, Policy]],
    path: Path,
    ready: Ready,
    waiting: Callable[[str], None] = lambda _: None,
) -> None:
    """Run the node in the foreground until it is told to stop. `load` reads the configuration,
    which comes from `path`, and the policy to which it is cut; `waiting` hears why, when the node
    has to wait until its keys are unlocked.

    Raises NotSetUp, or PostroadError when it cannot start; the sentence says what to do. Under a
    service manager it waits instead, and says so there."""
    os.umask(0o077)  # whatever is written is the owner's alone
    lines.start("info")  # until the configuration is read
    manager = Manager()
    life = _Life(load, path, ready, waiting, manager, SystemListeners())
    try:
        asyncio.run(life.live())
    except BaseExceptionGroup as group:
        log.exception("the node failed")
        raise PostroadError(
            "Your node stopped because of a fault of its own; nothing accepted is lost. "
            "Start it again, and report the lines above."
        ) from group


class _Life:
    """One process, from its start to its stop."""

    def __init__(
        self,
        load: Callable[[], tuple[Config, Policy]],
        path: Path,
        ready: Ready,
        waiting: Callable[[str], None],
        manager: Manager,
        doors: SystemListeners,
    ) -> None:
        self._load = load
        self._path = path
        self._ready = ready
        self._waiting = waiting
        self._manager = manager
        self._doors = doors
        self._peer_uid = KernelPeerUid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._served = False  # whether the doors were once open
        self._waited = False  # whether it could not start before
        self._asked_at: tuple[Path, socket] | None = None  # the control socket, and its path
        self._pulse: Callable[[], Awaitable[object]] = _answer  # what the watchdog asks
        self._reload: Callable[[], Awaitable[None]] = _answer  # on SIGHUP

    async def live(self) -> None:
        main = asyncio.current_task()
        assert main is not None
        loop = self._loop = asyncio.get_running_loop()

        def stop() -> None:
            self._manager.stopping()
            main.cancel()

        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, stop)
        had_terminal = has_terminal()
        reloads: set[asyncio.Task[None]] = set()

        def hang_up() -> None:
            # From a terminal that was closed it means what it always did.
            if had_terminal and not has_terminal():
                stop()
            elif not reloads:
                task = asyncio.create_task(_await(self._reload), name="reload")
                reloads.add(task)
                task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, hang_up)
        feeding = feed_watchdog(self._manager, lambda: self._pulse())
        watchdog = asyncio.create_task(feeding, name="watchdog")
        try:
            async with served(session_bus.address(), session_bus.library()) as bus:
                while True:
                    try:
                        await self._start(bus)
                    except PostroadError as error:
                        if self._served or not self._manager.listens:
                            raise
                        await self._wait(error, bus)
        except asyncio.CancelledError:
            log.info("stopped")
        finally:
            watchdog.cancel()
            for task in reloads:
                task.cancel()
            if self._asked_at is not None:
                self._asked_at[1].close()

    async def _wait(self, reason: PostroadError, bus: Door) -> None:
        """Be up and say why the node is not, until it is time to try again."""
        try:
            config, _ = self._load()
        except PostroadError:
            config = configuration.default()
        waiting = Waiting(reason)
        shown = status_line.line(waiting.verdict.told())
        again = self._manager.has_said(shown)
        log.log(logging.DEBUG if again else logging.WARNING, "%s", sentence(reason))
        self._manager.ready(shown)
        self._waited = True
        self._pulse = _answer
        held: list[tuple[str, socket]] = []
        asked_at: socket | None = None
        with suppress(ConfigurationError):  # it may be the very reason
            asked_at = self._control_at(config.control_path)
        with suppress(ConfigurationError):
            for door in DOORS:
                port = getattr(config, f"{door}_port")
                held += [(door, one) for one in self._doors.held(door, port)]
        desk = SetupDesk(self._path, waiting.look.set, self._doors.ports)
        waiting.requests.update(desk.requests)

        async def look() -> None:
            waiting.look.set()

        self._reload = look
        bus.say(waiting.verdict, waiting.requests)
        try:
            await until_told(waiting, held, asked_at, self._peer_uid)
        finally:
            self._reload = _answer
            for _, one in held:
                one.close()

    async def _start(self, bus: Door) -> None:
        """Run the node until it is told to stop; PostroadError when it cannot start."""
        bus.say(STARTING)
        config, policy = self._load()
        lines.start(config.log_level)
        if not config.is_set_up:
            raise NotSetUp
        cut = policies.narrowed_keys(config, policy)
        config = policies.narrowed(config, policy)
        with ExitStack() as cleanup:
            with advised(f"To use another folder, change data in {self._path}."):
                disk = FolderDisk(config.data, reserve_bytes=round(config.reserve_mib * limits.MIB))
            cleanup.callback(disk.close)
            for line in disk.mended:
                log.warning("%s", line)
            await _expect_protection(disk, config, again=self._waited)
            machine = Machine(
                SystemClock(),
                SystemEntropy(),
                disk,
                _network(config),
                self._doors.at(config.peer_hosts),
                self._peer_uid,
                _lan(config),
                _supply(config),
            )
            # Doors first: a mail program never waits for peers.
            sockets = self._sockets(config, machine)
            cleanup.callback(sockets.close)
            self._pulse = lambda: disk.run(_nothing)
            await self._run(config, policy, cut, machine, sockets, disk.mended, bus)

    async def _run(
        self,
        config: Config,
        policy: Policy,
        cut: Sequence[str],
        machine: Machine,
        sockets: Sockets,
        mended: Sequence[str],
        bus: Door,
    ) -> None:
        """`cut`: the keys in which `policy` narrowed what the owner wanted; `mended`: what others
        could reach until now."""
        main = asyncio.current_task()
        assert main is not None
        locksmith = Locksmith(
            machine.entropy, DesktopKeyring(), credential.fetch, config.keys_at_rest
        )

        def locked(verdict: Verdict, requests: Mapping[str, Request]) -> None:
            self._manager.ready(status_line.line(verdict.told()))
            bus.say(verdict, requests)

        wrapping = await opened(
            machine.disk, locksmith, machine.peer_uid, sockets, self._waiting, locked
        )
        bus.say(STARTING)
        try:
            async with AsyncExitStack() as stack:
                keys = "peer_port" + (" or peer_hosts" if config.peer_hosts else "")
                with advised(f"To use another one, change {keys} in {self._path}."):
                    node = await stack.enter_async_context(
                        build_node(_settings(config), machine, wrapping, locksmith, self._opening)
                    )
                now = machine.clock.now()
                await node.database.run(lambda sql: _note_start(sql, now, policy, cut, mended))
                await stack.enter_async_context(ended_by_another(policy, main.cancel))
                if isinstance(machine.supply, SystemSupply):
                    await stack.enter_async_context(machine.supply.watched())

                disk = machine.disk
                assert isinstance(disk, FolderDisk)

                def apply(new: Config) -> None:
                    lines.start(new.log_level)
                    disk.reserve_bytes = round(new.reserve_mib * limits.MIB)
                    node.adapt(_settings(new))

                def announce(how: str) -> None:
                    self._announce(how)
                    if how:
                        node.troubles.not_reloaded = how != DONE
                        node.bell.ring()  # the verdict is another one, and so is the status

                reloading = Reloading(self._load, policy, config, apply, announce)
                self._reload = reloading.quietly

                async def examined(_: dict[str, Any]) -> dict[str, Any]:
                    return {
                        "version": __version__,
                        "sandbox": looks.own_sandbox(),
                        "configuration_trouble": reloading.trouble,
                        "after_restart": reloading.waiting,
                    }

                def started() -> None:
                    # What was imported and built stays: the collector need not walk over it again.
                    gc.collect()
                    gc.freeze()
                    log.info("node started", extra=_facts(config, node, sockets))
                    self._served = True
                    self._pulse = lambda: node.database.read(_look)
                    self._ready(sockets, node.pauses.pause)
                    self._manager.ready(status_line.line(STARTING.told()))

                async def follow(requests: Mapping[str, Request], bell: Bell) -> None:
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(bus.follow(requests, bell), name="session bus")
                        showing = status_line.follow(self._manager, requests, bell)
                        tasks.create_task(showing, name="status line")

                await node.serve(
                    sockets,
                    started,
                    follow,
                    {"policy": self._policy, "reload": reloading.answer, "examined": examined},
                )
        except asyncio.CancelledError:
            if policies.has_changed(policy):
                log.info("stopped")
                raise ConfigurationError(policies.CHANGED) from None
            raise
        finally:
            self._reload = _answer

    def _announce(self, how: str) -> None:
        """To the service manager, before a new configuration is read and afterwards."""
        if how:
            self._manager.ready(how)
        else:
            self._manager.reloading()

    async def _policy(self, _: dict[str, Any]) -> dict[str, Any]:
        config, _policy = self._load()
        return policy_told.told(self._path, config)

    def _opening(self) -> None:
        """The store is being brought up to date; told by the database thread."""
        loop = self._loop
        if loop is not None:  # what the loop cannot say, the manager should not hear
            loop.call_soon_threadsafe(self._manager.still_starting)

    def _sockets(self, config: Config, machine: Machine) -> Sockets:
        def door(name: str, port: int) -> Sequence[socket]:
            with advised(
                f"To use another one, change {name}_port in {self._path}, and in your mail program."
            ):
                return machine.listeners.loopback(name, port)

        sockets = Sockets()
        try:
            sockets = replace(sockets, submission=door("smtp", config.smtp_port))
            sockets = replace(sockets, imap=door("imap", config.imap_port))
            sockets = replace(sockets, pop3=door("pop3", config.pop3_port))
            for at in self._doors.unclaimed(sockets.mail_ports().values()):
                log.warning("systemd listens at %s, where no door of yours is; %s", at, ENABLE_ANEW)
            return replace(sockets, control=self._control_at(config.control_path))
        except BaseException:
            sockets.close()
            raise

    def _control_at(self, path: Path) -> socket:
        """The control socket at this path, which stays when the node begins anew."""
        if self._asked_at is not None:
            known, listening = self._asked_at
            if known == path and listening.fileno() >= 0:
                return listening
            listening.close()
        with advised(f"Give it a folder of your own with a short name: runtime in {self._path}."):
            self._asked_at = path, listeners.unix(path)
        return self._asked_at[1]


async def _answer() -> None:
    """The event loop answers, and there is no database yet."""


async def _await(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def has_terminal() -> bool:
    """Whether this process still has the terminal that it was started from."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _nothing() -> None:
    """The database thread answers."""


def _look(sql: Sql) -> None:
    sql.execute("SELECT 1").fetchone()


def _supply(config: Config) -> SystemSupply:
    return SystemSupply(
        spare_battery=config.on_battery == "mail-only",
        spare_connection=config.metered == "mail-only",
    )


def _settings(config: Config) -> Settings:
    return Settings(
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
        lan=config.lan,
    )


async def _expect_protection(disk: FolderDisk, config: Config, *, again: bool) -> None:
    """Raise ConfigurationError when the keys lie there in a way that is not allowed.

    `again`: that was refused before, and is noted in the audit log once."""
    found = keyring.stored(disk).protection.value
    if found not in config.keys_at_rest:
        if not again:
            now = SystemClock().now()
            await audit.note_alone(disk, now, audit.REFUSED, key="keys_at_rest", how=found)
        raise ConfigurationError(
            f"Your keys are protected by: {found}. Allowed (keys_at_rest) is: "
            f"{', '.join(config.keys_at_rest)}. Type: postroad keys protect "
            f"--{config.keys_at_rest[0]}"
        )


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


@contextmanager
def advised(advice: str) -> Iterator[None]:
    """Add to the machine's fact what its owner can do about it."""
    try:
        yield
    except NotToBeHad as error:
        raise ConfigurationError(f"{error} {advice}") from error


def _facts(config: Config, node: Node, sockets: Sockets) -> dict[str, object]:
    """What a reader of the log wants to know first; nothing of it is secret."""
    ports = sockets.mail_ports()
    peers = sorted({at.port for at in node.endpoint.addresses()})
    return {
        "version": __version__,
        "address": node.keyring.address,
        "link": config.link,
        **{f"{door}_port": ports.get(door) for door in DOORS},
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


def _lan(config: Config) -> Lan:
    """Also where it is off: the owner may want it while the node runs."""
    transport = "tcp" if config.link == "tls" else "udp"
    return ZeroconfLan(SystemEntropy(), transport, config.peer_hosts)


def _network(config: Config) -> Network:
    hosts = config.peer_hosts
    within = border(config.networks)
    if config.link == "tls":
        return TlsNetwork(hosts or EVERYWHERE, border=within)
    return IrohNetwork(hosts or EVERYWHERE, within)
