"""The doors for mail programs: those that are open, and those that open as soon as they can.

Purpose: a port that somebody else has costs the node one door, and nothing else. Such a door stays
shut, is a fact of health with its reason, and is tried again; letters come and go meanwhile.
Invariants: whoever comes where systemd listens is answered: by the door that is open, with the
reason why it is shut, or, where no door of ours is, by the end of the connection.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from socket import socket

from postroad.app.service import DOORS
from postroad.base.errors import ConfigurationError
from postroad.base.ids import HostPort
from postroad.base.seams import PeerUid
from postroad.doors import locked
from postroad.machine.arrivals import next_arrival

log = logging.getLogger(__name__)
AGAIN_SECONDS = 20.0  # until a door that is shut is tried again
Serve = Callable[[Sequence[socket]], Coroutine[None, None, None]]


@dataclass(frozen=True, slots=True)
class ShutDoor:
    """`reason`: why it could not be opened; `open` tries again, and raises ConfigurationError.
    `held`: where systemd listens for it all the same."""

    reason: str
    open: Callable[[], Sequence[socket]]
    held: Sequence[socket] = ()


@dataclass(frozen=True, slots=True)
class Sockets:
    """Listening sockets of the doors; a door without any stays shut."""

    submission: Sequence[socket] = ()
    imap: Sequence[socket] = ()
    control: socket | None = None
    pop3: Sequence[socket] = ()
    shut: Mapping[str, ShutDoor] = field(default_factory=dict)  # by the name of the door
    not_held: Sequence[str] = ()  # doors that systemd does not hold, though it holds others
    astray: Sequence[socket] = ()  # where systemd listens, and no door is

    def of(self, door: str) -> Sequence[socket]:
        return {"smtp": self.submission, "imap": self.imap, "pop3": self.pop3}[door]

    def mail_doors(self) -> Iterator[tuple[str, socket]]:
        """Each listening socket for mail programs, with the name of its door."""
        for name in DOORS:
            for listening in self.of(name):
                yield name, listening

    def mail_ports(self) -> dict[str, int]:
        """The port of each door that is open, by its name."""
        return {name: listening.getsockname()[1] for name, listening in self.mail_doors()}

    def close(self) -> None:
        """Harmless for those that are closed already."""
        for _, listening in self.mail_doors():
            listening.close()
        for door in self.shut.values():
            for listening in door.held:
                listening.close()
        for listening in self.astray:
            listening.close()


@contextmanager
def refused(
    sockets: Sockets, tasks: asyncio.TaskGroup, peer_uid: PeerUid, sentence: str
) -> Iterator[None]:
    """While within, each door says this, and a door that is shut why it is."""
    serving = [
        tasks.create_task(
            locked.refuse(door, listening, next_arrival, sentence, peer_uid), name="locked door"
        )
        for door, listening in sockets.mail_doors()
    ]
    for name, door in sockets.shut.items():
        serving += _refuse(tasks, name, door, peer_uid)
    serving += _turn_away(tasks, sockets)
    try:
        yield
    finally:
        for one in serving:
            one.cancel()


@dataclass
class MailDoors:
    """`serve`: what a door does with its sockets, by its name; `changed` hears when a door has
    opened, or cannot for another reason. `ports` and `shut` are what holds now."""

    sockets: Sockets
    peer_uid: PeerUid
    changed: Callable[[], None]
    ports: dict[str, int] = field(init=False)
    shut: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.ports = self.sockets.mail_ports()
        self.shut = {name: "" for name in DOORS if name not in self.ports}
        self.shut |= {name: door.reason for name, door in self.sockets.shut.items()}

    @property
    def not_held(self) -> list[str]:
        return [name for name in self.sockets.not_held if name not in self.shut]

    @property
    def astray(self) -> list[str]:
        """Address and port of each."""
        return [str(HostPort(*one.getsockname()[:2])) for one in self.sockets.astray]

    async def run(self, serve: Mapping[str, Serve]) -> None:
        """Serve them all until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for name in DOORS:
                if listening := self.sockets.of(name):
                    tasks.create_task(serve[name](listening), name=name)
            for name, door in self.sockets.shut.items():
                tasks.create_task(self._open_later(name, door, serve[name]), name=f"{name}, shut")
            _turn_away(tasks, self.sockets)

    async def _open_later(self, name: str, door: ShutDoor, serve: Serve) -> None:
        listening = await self._opened(name, door)
        with ExitStack() as cleanup:
            for one in listening:
                cleanup.callback(one.close)
            self.ports[name] = listening[0].getsockname()[1]
            del self.shut[name]
            log.info("the %s door is open now, at port %s", name, self.ports[name])
            self.changed()
            await serve(listening)

    async def _opened(self, name: str, door: ShutDoor) -> Sequence[socket]:
        async with asyncio.TaskGroup() as tasks:
            refusing = _refuse(tasks, name, door, self.peer_uid)
            while True:
                await asyncio.sleep(AGAIN_SECONDS)
                try:
                    listening = door.open()
                except ConfigurationError as error:
                    if str(error) != self.shut[name]:
                        self.shut[name] = str(error)
                        self.changed()
                    continue
                for one in refusing:
                    one.cancel()
                return listening


def _refuse(
    tasks: asyncio.TaskGroup, name: str, door: ShutDoor, peer_uid: PeerUid
) -> list[asyncio.Task[None]]:
    said = f"This door is shut: {door.reason}"
    return [
        tasks.create_task(locked.refuse(name, one, next_arrival, said, peer_uid), name="shut door")
        for one in door.held
    ]


def _turn_away(tasks: asyncio.TaskGroup, sockets: Sockets) -> list[asyncio.Task[None]]:
    return [
        tasks.create_task(locked.turn_away(one, next_arrival), name="no door of ours")
        for one in sockets.astray
    ]
