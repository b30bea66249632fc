"""Start and stop: signals, the service manager, the doors' sockets, the wait for what is missing.

Crash is the normal shutdown: nothing that matters waits for stop. SIGTERM and SIGINT end the node
politely; what is accepted is on disk either way. Under a service manager a node that cannot start
yet stays up (`app.waiting`), and the same process goes on when it can; `app.running` is the node
that has started.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from socket import socket

from postroad.app import config as configuration
from postroad.app import log as lines
from postroad.app import machine_parts, sandbox, session_bus, status_line
from postroad.app import policy as policies
from postroad.app.config import Config
from postroad.app.machine_parts import advised
from postroad.app.mail_doors import ShutDoor, Sockets
from postroad.app.policy import Policy
from postroad.app.running import House, Ready, Running, answer
from postroad.app.service import DOORS
from postroad.app.setting_up import end_restoration
from postroad.app.setup_desk import SetupDesk
from postroad.app.waiting import Waiting, sentence, until_told
from postroad.base import limits
from postroad.base.errors import ConfigurationError, NotSetUp, PostroadError
from postroad.doors.dbus.door import served
from postroad.machine import listeners
from postroad.machine.clock import SystemClock
from postroad.machine.disk import FolderDisk
from postroad.machine.listeners import SystemListeners
from postroad.machine.peer_uid import KernelPeerUid
from postroad.machine.systemd import Manager, feed_watchdog
from postroad.phrases import phrase
from postroad.store import audit, checkup, keyring

log = logging.getLogger(__name__)


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
    manager, doors = Manager(), SystemListeners()

    async def live() -> None:
        try:
            async with served(session_bus.address(), session_bus.library()) as bus:
                house = House(load, path, ready, waiting, manager, bus)
                await _Life(house, doors).live()
        except asyncio.CancelledError:
            log.info("stopped")

    try:
        asyncio.run(live())
    except BaseExceptionGroup as group:
        log.exception("the node failed")
        raise PostroadError(
            "Your node stopped because of a fault of its own; nothing accepted is lost. "
            "Start it again, and report the lines above."
        ) from group


class _Life:
    """One process, from its start to its stop."""

    def __init__(self, house: House, doors: SystemListeners) -> None:
        self._house = house
        self._hooks = house.hooks
        self._manager = house.manager
        self._doors = doors
        self._peer_uid = KernelPeerUid()
        self._waited = False  # whether it could not start before
        self._look = asyncio.Event()  # there may be a reason to try again
        self._setup = SetupDesk(house.path, self._look.set, doors.ports)  # its words outlive a look
        self._asked_at: tuple[Path, socket] | None = None  # the control socket, and its path

    async def live(self) -> None:
        main = asyncio.current_task()
        assert main is not None
        loop = asyncio.get_running_loop()

        def stop() -> None:
            self._hooks.stops = True
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
                task = asyncio.create_task(_await(self._hooks.reload), name="reload")
                reloads.add(task)
                task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, hang_up)
        feeding = feed_watchdog(self._manager, lambda: self._hooks.pulse())
        watchdog = asyncio.create_task(feeding, name="watchdog")
        try:
            while True:
                try:
                    await self._start()
                except PostroadError as error:
                    if self._hooks.was_served or not self._manager.listens:
                        raise
                    await self._wait(error)
        finally:
            watchdog.cancel()
            for task in reloads:
                task.cancel()
            if self._asked_at is not None:
                self._asked_at[1].close()

    async def _wait(self, reason: PostroadError) -> None:
        """Be up and say why the node is not, until it is time to try again."""
        config = _understood(self._house.path)
        questions = self._setup.questions if isinstance(reason, NotSetUp) else {}
        waiting = Waiting(reason, self._look, questions)
        shown = status_line.line(waiting.verdict.told())
        again = self._manager.has_said(shown)
        log.log(logging.DEBUG if again else logging.WARNING, "%s", sentence(reason))
        self._waited = True
        self._hooks.pulse = answer
        asked_at: socket | None = None
        with suppress(ConfigurationError):  # it may be the very reason
            asked_at = self._control_at(config.control_path)
        sockets = replace(_held(config, self._doors), control=asked_at)

        async def look() -> None:
            self._look.set()

        self._hooks.reload = look
        self._manager.ready(shown)
        self._house.bus.say(waiting.verdict, waiting.questions)
        try:
            await until_told(waiting, sockets, self._peer_uid)
        finally:
            self._hooks.reload = answer
            sockets.close()

    async def _start(self) -> None:
        """Run the node until it is told to stop; PostroadError when it cannot start."""
        self._look.clear()  # whatever changes from now on is seen by the next look
        config, policy = self._house.load()
        lines.start(config.log_level)
        sandbox.expect_reach(config)
        if not config.is_set_up:
            raise NotSetUp
        cut = policies.narrowed_keys(config, policy)
        config = policies.narrowed(config, policy)
        with ExitStack() as cleanup:
            with advised(
                phrase("To use another folder, change data in {path}.", path=self._house.path)
            ):
                disk = FolderDisk(config.data, reserve_bytes=round(config.reserve_mib * limits.MIB))
            cleanup.callback(disk.close)
            for line in disk.mended:
                log.warning("%s", line)
            with suppress(OSError):
                await disk.run(partial(checkup.remove_left, config.data))
            await disk.run(partial(end_restoration, disk))
            await _expect_protection(disk, config, again=self._waited)
            machine = machine_parts.machine(config, disk, self._doors, self._peer_uid)
            # Doors first: a mail program never waits for peers.
            sockets = _doors(config, self._house.path, self._doors)
            cleanup.callback(sockets.close)
            sockets = replace(sockets, control=self._control_at(config.control_path))
            self._hooks.pulse = lambda: disk.run(_nothing)
            await Running(self._house, config, policy, cut, machine, disk, sockets).run()

    def _control_at(self, path: Path) -> socket:
        """The control socket at this path, which stays when the node begins anew."""
        if self._asked_at is not None:
            known, listening = self._asked_at
            if known == path and listening.fileno() >= 0:
                return listening
            listening.close()
        with advised(
            phrase(
                "Give it a folder of your own with a short name: runtime in {path}.",
                path=self._house.path,
            )
        ):
            self._asked_at = path, listeners.unix(path)
        return self._asked_at[1]


def _doors(config: Config, path: Path, doors: SystemListeners) -> Sockets:
    """The sockets of the doors: what systemd holds for them, else bound here; a door whose port is
    not to be had is shut. `path`: of the configuration."""
    found: dict[str, Sequence[socket]] = dict.fromkeys(DOORS, ())
    shut: dict[str, ShutDoor] = {}
    ports = {name: getattr(config, f"{name}_port") for name in DOORS}
    for name, port in ports.items():
        door = partial(_bound, name, port, path, doors)
        try:
            found[name] = door()
        except ConfigurationError as error:
            log.error("the %s door is shut: %s", name, error)
            shut[name] = ShutDoor(str(error), door, doors.held_if_any(name, port))
    return Sockets(
        found["smtp"],
        found["imap"],
        pop3=found["pop3"],
        shut=shut,
        not_held=[
            name for name, port in ports.items() if doors.ports and not doors.is_held(name, port)
        ],
        astray=doors.astray(ports),
    )


def _held(config: Config, doors: SystemListeners) -> Sockets:
    """What systemd holds for the doors of this configuration, and whatever else it holds."""
    ports = {name: getattr(config, f"{name}_port") for name in DOORS}
    smtp, imap, pop3 = (doors.held_if_any(name, port) for name, port in ports.items())
    return Sockets(smtp, imap, pop3=pop3, astray=doors.astray(ports))


def _understood(path: Path) -> Config:
    """The configuration as far as it can be understood, cut to the policy where that can be."""
    try:
        config, _mistakes = configuration.looked_through(path)
    except ConfigurationError:
        config = configuration.default()
    with suppress(ConfigurationError):
        config = policies.narrowed(config, policies.load())
    return config


def _bound(name: str, port: int, path: Path, doors: SystemListeners) -> Sequence[socket]:
    advice = phrase(
        "To use another one, change {key} in {path}, and in your mail program.",
        key=f"{name}_port",
        path=path,
    )
    with advised(advice):
        return doors.loopback(name, port)


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
