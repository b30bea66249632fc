"""A node that has its folder and its doors, from its keys to its end.

Purpose: open the keys, build the node, serve it, show it to the service manager and on the session
bus, and take over another configuration meanwhile. `app.lifecycle` gives it all that, and says what
becomes of a node that cannot start.
"""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from postroad import __version__
from postroad.app import log as lines
from postroad.app import machine_parts, policy_told, sandbox, status_line
from postroad.app import policy as policies
from postroad.app.compose import build_node
from postroad.app.config import Config
from postroad.app.machine_parts import advised
from postroad.app.mail_doors import Sockets
from postroad.app.node import Node
from postroad.app.opening import opened
from postroad.app.policy import Policy
from postroad.app.policy_watch import ended_by_another
from postroad.app.reloading import DONE, Reloading
from postroad.app.service import DOORS
from postroad.base import limits
from postroad.base.bell import Bell
from postroad.base.errors import ConfigurationError, TemporaryFailure
from postroad.base.ids import Instant
from postroad.base.seams import Machine
from postroad.doors.control import Question
from postroad.doors.dbus.door import STARTING, Door
from postroad.machine import credential, looks, memory
from postroad.machine.desktop_keyring import DesktopKeyring
from postroad.machine.disk import FolderDisk
from postroad.machine.supply import SystemSupply
from postroad.machine.systemd import Manager
from postroad.phrases import Phrase, phrase
from postroad.protocol.health import Verdict
from postroad.protocol.starting import Keeper
from postroad.sealing.wrapping import Wrapping
from postroad.store import audit
from postroad.store.database import Sql
from postroad.store.locksmith import Locksmith
from postroad.store.pauses import Pause

log = logging.getLogger(__name__)
NOTE_AGAIN_SECONDS = 60.0
Ready = Callable[[Sockets, Pause | None], None]
"""Hears when the doors are served, and of the pause that the node starts in."""


async def answer() -> None:
    """The event loop answers, and there is no database yet."""


@dataclass(slots=True)
class Hooks:
    """What the process calls of that which it runs just now."""

    pulse: Callable[[], Awaitable[object]] = answer  # what the watchdog asks
    reload: Callable[[], Awaitable[None]] = answer  # on SIGHUP
    was_served: bool = False  # whether the doors were once open
    stops: bool = False  # whether somebody wants the process to end, for whatever reason


@dataclass(frozen=True, slots=True)
class House:
    """What stays while nodes of one process begin and end. `load` reads configuration and policy,
    the former from `path`; `waiting` hears why, when the keys have to be unlocked first."""

    load: Callable[[], tuple[Config, Policy]]
    path: Path
    ready: Ready
    waiting: Callable[[str], None]
    manager: Manager
    bus: Door
    hooks: Hooks = field(default_factory=Hooks)


class Running:
    """`cut`: the keys in which `policy` narrowed what the owner wanted."""

    def __init__(
        self,
        house: House,
        config: Config,
        policy: Policy,
        cut: Sequence[str],
        machine: Machine,
        disk: FolderDisk,
        sockets: Sockets,
    ) -> None:
        self._house = house
        self._config = config
        self._policy = policy
        self._cut = cut
        self._machine = machine
        self._disk = disk
        self._sockets = sockets
        self._desktop_keyring = DesktopKeyring()
        self._locksmith = Locksmith(
            machine.entropy, self._desktop_keyring, credential.fetch, config.keys_at_rest
        )

    async def run(self) -> None:
        """Run the node until it is told to stop; PostroadError when it cannot start."""
        try:
            wrapping = await opened(
                self._disk,
                self._locksmith,
                self._machine.peer_uid,
                self._sockets,
                self._house.waiting,
                self._say_locked,
            )
            self._house.bus.say(STARTING)
            async with AsyncExitStack() as stack:
                await self._serve(await self._built(stack, wrapping))
        except asyncio.CancelledError:
            # Only what `ended_by_another` cancelled may be a reason to wait and to begin anew.
            if not self._house.hooks.stops and policies.has_changed(self._policy):
                log.info("stopped")
                if main := asyncio.current_task():
                    main.uncancel()  # what was asked for is done: it goes on
                raise ConfigurationError(policies.CHANGED) from None
            raise
        finally:
            self._house.hooks.reload = answer
            self._desktop_keyring.close()  # a stop waits for no thread that waits for it

    async def _built(self, stack: AsyncExitStack, wrapping: Wrapping) -> Node:
        main = asyncio.current_task()
        assert main is not None
        machine, config = self._machine, self._config
        with advised(another_port(self._house.path, has_hosts=bool(config.peer_hosts))):
            settings = machine_parts.settings(config)
            node = await stack.enter_async_context(
                build_node(settings, machine, wrapping, self._locksmith, self._opening())
            )
        if self._house.manager.listens:
            node.troubles.keeper = Keeper.SERVICE
        node.troubles.sandbox_lost = sandbox.lost()
        now = machine.clock.now()
        noted = partial(node.database.run, lambda sql: self._note_start(sql, now))
        await stack.enter_async_context(done_once_there_is_room(noted, "the start"))
        await stack.enter_async_context(ended_by_another(self._policy, main.cancel))
        if isinstance(machine.supply, SystemSupply):
            await stack.enter_async_context(machine.supply.watched())
        return node

    async def _serve(self, node: Node) -> None:
        house = self._house

        def apply(new: Config) -> None:
            lines.start(new.log_level)
            self._disk.reserve_bytes = round(new.reserve_mib * limits.MIB)
            node.adapt(machine_parts.settings(new))

        def announce(how: str) -> None:
            if not how:
                house.manager.reloading()
                return
            house.manager.ready(how)
            node.troubles.not_reloaded = how != DONE
            node.bell.ring()  # the verdict is another one, and so is the status

        reloading = Reloading(house.load, self._policy, self._config, apply, announce)
        house.hooks.reload = reloading.quietly

        async def examined(_: dict[str, Any]) -> dict[str, Any]:
            return {
                "version": __version__,
                "sandbox": looks.own_sandbox(),
                "configuration_trouble": reloading.trouble,
                "after_restart": reloading.waiting,
                "bus_trouble": house.bus.trouble,
            }

        await node.serve(
            self._sockets,
            lambda: self._started(node),
            self._follow,
            {"policy": self._told_policy, "reload": reloading.answer, "examined": examined},
        )

    def _started(self, node: Node) -> None:
        # What was imported and built stays: the collector need not walk over it again.
        gc.collect()
        gc.freeze()
        memory.give_back()
        log.info("node started", extra=self._facts(node))
        house = self._house
        house.hooks.was_served = True
        house.hooks.pulse = node.database.answers
        house.ready(self._sockets, node.pauses.pause)
        house.manager.ready(status_line.line(STARTING.told()))

    async def _follow(self, questions: Mapping[str, Question], bell: Bell) -> None:
        """Show the node to other programs."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._house.bus.follow(questions, bell), name="session bus")
            tasks.create_task(memory.stay_small(), name="memory")
            showing = status_line.follow(self._house.manager, questions, bell)
            tasks.create_task(showing, name="status line")

    def _say_locked(self, verdict: Verdict, questions: Mapping[str, Question]) -> None:
        self._house.manager.ready(status_line.line(verdict.told()))
        self._house.bus.say(verdict, questions)

    def _opening(self) -> Callable[[], None]:
        """What the database thread calls while the store is brought up to date."""
        loop, manager = asyncio.get_running_loop(), self._house.manager

        def opening() -> None:
            # By the loop: what it cannot say any more, the manager should not hear.
            loop.call_soon_threadsafe(manager.still_starting)

        return opening

    async def _told_policy(self, _: dict[str, Any]) -> dict[str, Any]:
        config, _policy = self._house.load()
        return policy_told.told(self._house.path, config)

    def _note_start(self, sql: Sql, now: Instant) -> None:
        audit.note(
            sql,
            now,
            "started",
            version=__version__,
            policy=self._policy.digest[:16] or "none",
            narrowed=", ".join(self._cut),
        )
        mended = self._disk.mended
        if mended:
            audit.note(sql, now, "closed to others", what=mended[0], and_more=len(mended) - 1)

    def _facts(self, node: Node) -> dict[str, object]:
        """What a reader of the log wants to know first; nothing of it is secret."""
        ports = self._sockets.mail_ports()
        peers = sorted({at.port for at in node.endpoint.addresses()})
        return {
            "version": __version__,
            "address": node.keyring.address,
            "link": self._config.link,
            **{f"{door}_port": ports.get(door) for door in DOORS},
            "peer_port": peers[0] if len(peers) == 1 else self._config.peer_port,
            "paused": node.pauses.pause is not None,
        }


@asynccontextmanager
async def done_once_there_is_room(
    note: Callable[[], Awaitable[object]], what: str
) -> AsyncIterator[None]:
    """Note it, now if the disk takes it; else while within, as soon as it does: a full disk keeps
    nobody from reading."""
    try:
        await note()
    except TemporaryFailure as error:
        log.error("%s is not in the audit log yet: %s", what, error)
    else:
        yield
        return

    async def later() -> None:
        while True:
            await asyncio.sleep(NOTE_AGAIN_SECONDS)
            with suppress(TemporaryFailure):
                await note()
                log.info("%s is in the audit log now", what)
                return

    noting = asyncio.create_task(later(), name=f"note {what}")
    try:
        yield
    finally:
        noting.cancel()
        await asyncio.wait({noting})


def another_port(path: Path, *, has_hosts: bool) -> Phrase:
    if has_hosts:
        return phrase(
            "To use another one, change {key} or {other} in {path}.",
            key="peer_port",
            other="peer_hosts",
            path=path,
        )
    return phrase("To use another one, change {key} in {path}.", key="peer_port", path=path)
