"""The seams between the house and the machine it stands on.

Everything that is not a pure function of its inputs comes in through one of these, so that the
simulator can play hundreds of nodes from one seed. `machine/` has the real bodies, the tests have
others, and one contract suite holds for all. Waiting is the event loop's: `asyncio.sleep` and
`timeouts.timeout` follow the loop's clock, which a simulator may turn by hand.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar

from postroad.base.ids import Contact, HostPort, Instant, PeerId, Relay, SureInstant

if TYPE_CHECKING:
    from socket import socket

T = TypeVar("T")


class Clock(Protocol):
    def now(self) -> Instant:
        """The wall clock, UTC; it may step."""

    def elapsed(self) -> float:
        """Seconds since some fixed start; counts suspend, never steps (CLOCK_BOOTTIME)."""


class SureClock(Clock, Protocol):
    """The same clock, and whether it may be believed (promise M12, `protocol.clock`)."""

    def sure_now(self) -> SureInstant | None:
        """The wall clock while it is confirmed; None: nothing may be destroyed now."""


class Entropy(Protocol):
    def token(self, size: int) -> bytes:
        """`size` bytes that nobody can guess."""

    def uniform(self) -> float:
        """A number in [0, 1) to spread work with; not for secrets."""


class Disk(Protocol):
    """One data folder. `run` and `require_room` are for the event loop; the others block.

    Names are relative, `/`-separated, and never chosen by a peer. Writers raise `DiskFull` when
    there is no space at all; other I/O errors stay `OSError`, which the store turns into words.
    """

    @property
    def folder(self) -> str:
        """The absolute path of the data folder."""

    async def run(self, work: Callable[[], T]) -> T:
        """Run blocking work in the one database thread, in the order of the calls."""

    def open(self, name: str) -> BinaryIO:
        """A file open for reading; FileNotFoundError when there is none."""

    def spool(self) -> BinaryIO:
        """A new unnamed file open for writing and reading; gone when closed, unless kept."""

    def keep(self, spool: BinaryIO, name: str) -> None:
        """Make a spooled file durable under this name, whole or not at all; an old one goes.

        It and its folder are fsynced when this returns; the spool is closed."""

    def write(self, name: str, octets: bytes, *, blot: bool = False) -> None:
        """`spool`, fill and `keep` in one: durable when it returns.

        `blot`: the octets of the old one are overwritten then, as far as the disk lets us."""

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens when there is none."""

    def names(self, folder: str) -> Iterable[str]:
        """The names of the files in one sub-folder, in sorted order; none when it is absent."""

    def require_room(self, size: int) -> None:
        """Raise DiskFull unless `size` more bytes leave the reserve free.

        For what may still be refused; what was accepted is finished out of the reserve."""


class Stream(Protocol):
    """One exchange on a link: an ordered byte stream each way, with back-pressure.

    It is over when both sides have finished. A cancelled `read` or `write` aborts it: nobody knows
    how much was done."""

    async def read(self, size: int) -> bytes:
        """1 to `size` bytes, or b"" when the peer has finished; LinkClosed when it broke off."""

    async def write(self, octets: bytes) -> None:
        """Hand over bytes; waits while the peer is slow. LinkClosed when nobody will read them."""

    async def finish(self) -> None:
        """Say that no more will be written; quiet when the peer reads no more.

        Both sides must finish (or abort) a stream."""

    def abort(self) -> None:
        """Give up both directions; the peer sees LinkClosed, but may still read what was finished
        before. Harmless after the end."""


@dataclass(frozen=True, slots=True)
class Path:
    """How the packets of a link travel at this moment.

    `address`: where the peer's packets come from; None when they come through a relay.
    `round_trip_seconds`: as measured by the transport; 0.0 while it does not know."""

    is_direct: bool
    address: HostPort | None
    round_trip_seconds: float


class Link(Protocol):
    """An encrypted connection to one peer whose key was proven when it was made."""

    @property
    def peer(self) -> PeerId:
        """The device key that the other side proved."""

    @property
    def closed(self) -> bool:
        """Whether either side has closed it, or it was found dead."""

    def path(self) -> Path:
        """How its packets travel now: a link may begin over a relay and become direct. Of one that
        has no way any more, how they travelled when that was last asked; if it never was, as over a
        relay."""

    async def open(self) -> Stream:
        """Begin an exchange; waits while as many are open as allowed.

        The peer sees it when the first byte is written."""

    async def accept(self) -> Stream:
        """The next exchange that the peer began; LinkClosed when there will be none."""

    async def close(self) -> None:
        """End all exchanges; the peer sees LinkClosed, and may lose what it had not read.

        Harmless the second time."""


Admits = Callable[[HostPort | None, PeerId | None], bool]
"""Whether somebody at this address may shake hands; None: they come over a relay, and say that they
are this peer, which nothing has proven yet."""


class Endpoint(Protocol):
    """This node's one place in the network: it dials, and is dialled."""

    @property
    def me(self) -> PeerId:
        """The public half of the key it was opened with."""

    def addresses(self) -> tuple[HostPort, ...]:
        """Where other nodes may dial it, best first, as far as it knows."""

    async def use_relays(self, relays: Sequence[Relay]) -> None:
        """From now on, wait at the best of these relays for those who cannot dial us directly.

        What it was told before is forgotten. It returns when one of them has let us in, or none
        has within 3 s. Nothing happens where the network has no relays."""

    def home_relay(self) -> Relay | None:
        """The relay that has let us in, and at which this node waits; None without one."""

    async def set_outside(self, addresses: Sequence[HostPort]) -> None:
        """Peers saw us at these addresses: tell others of them, and use them to be reached.

        What it was told before is forgotten, and has gone from `addresses` when this returns, or
        within a second at most."""

    def ask_first(self, admits: "Admits") -> None:
        """From now on, ask before each handshake with somebody who comes; whoever is not admitted
        is turned away with as little work as can be."""

    async def changed(self) -> None:
        """Wait for a change of our place in the network: other addresses, another home relay or
        trouble with it, or the machine slept. Returns at once for what came since the last time;
        LinkClosed once the endpoint is closed. It may also return when nothing has changed."""

    async def knock(self, at: HostPort) -> float:
        """Seconds until the node at this address answered somebody of whom it never heard.

        It comes from a port of ours that nothing was sent from before, so no hole that our links
        made in a router lets it pass. Says nothing of who answered. Unreachable within
        `limits.KNOCK_SECONDS_MAX`."""

    async def try_relay(self, relay: Relay) -> float:
        """Seconds until this relay answered on a fresh connection; Unreachable within
        `limits.KNOCK_SECONDS_MAX`."""

    async def dial(self, contact: Contact) -> Link:
        """A link to exactly that peer, or Unreachable (also when another key answers).

        The caller sets the deadline with `timeout` and may cancel."""

    async def accept(self) -> Link:
        """The next link that a peer made to us; LinkClosed once the endpoint is closed."""

    async def close(self) -> None:
        """Close all links and free the port."""


class Network(Protocol):
    async def open(self, secret: bytes, port: int) -> Endpoint:
        """Open the endpoint of the Ed25519 secret key `secret` (32 bytes) on `port` (0: any).

        Raises NotToBeHad when the port is taken."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Somebody on the local network who shows this tag. `addresses`: where they say that they are;
    none: they have gone."""

    tag: bytes
    addresses: tuple[HostPort, ...]


class Lan(Protocol):
    async def serve(
        self,
        tag: bytes,
        port: Callable[[], int],
        wanted: Callable[[bytes], bool],
        heard: Callable[[Neighbour], None],
    ) -> None:
        """Show `tag` on the local network, and listen to others, until cancelled.

        `port`: where we are to be reached; 0 while nowhere. `wanted` is asked of each tag that is
        called out, and `heard` told of those that are, with addresses of our own networks only.
        Changes of the network are its own business."""


class Listeners(Protocol):
    def loopback(self, door: str, port: int) -> "Sequence[socket]":
        """Listening sockets for one door on 127.0.0.1 and, where the machine has it, ::1.

        Inherited from systemd where it holds them, else bound here; `port` 0 takes any free one,
        the same for both families. Raises NotToBeHad when the port is taken."""

    def relay(self, port: int) -> "Sequence[socket]":
        """Listening TCP sockets for the relay, where other nodes reach this machine.

        Inherited from systemd where it holds them, else bound here. Raises NotToBeHad when the
        port is taken."""


class PeerUid(Protocol):
    def is_owner(self, client: "SocketAddress", server: "SocketAddress") -> bool:
        """Whether the process at the client's end of this loopback TCP connection has our own UID.

        `client` and `server` are what getpeername() and getsockname() of our end say. False in
        every case of doubt: no entry, more than one, or an entry without an inode."""


class SecretKeeper(Protocol):
    """A place outside of the data folder that keeps small secrets for this user. All of it blocks,
    for as long as its owner takes to type a password; NotToBeHad says as a fact why it failed."""

    def fetch(self, name: str, *, ask: bool) -> bytes:
        """The secret kept under this name. `ask`: whether its owner may be asked to unlock it."""

    def keep(self, name: str, secret: bytes) -> None:
        """Keep it durably; its owner may be asked."""

    def forget(self, name: str) -> None:
        """Nothing happens when there is none."""


class Supply(Protocol):
    """What the computer lives on: whether battery and connection are to be spared."""

    @property
    def is_scarce(self) -> bool:
        """Whether a node should do for others only what mail needs."""

    async def changed(self) -> None:
        """Wait until something has changed since the last time."""


SocketAddress = tuple[str, int] | tuple[str, int, int, int]
Arrivals = Callable[["socket"], Awaitable[tuple["socket", SocketAddress]]]
"""Whoever connects next to this listening socket, and from where; OSError: they cannot be taken.

Cancelled, it has taken nobody: who comes just then waits for the next who asks. There is one who
asks at a time: whoever is next begins once the one before has ended."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the composition root hands to the house."""

    clock: Clock
    entropy: Entropy
    disk: Disk
    network: Network
    listeners: Listeners
    peer_uid: PeerUid
    lan: Lan | None = None
    supply: Supply | None = None  # None: there is always plenty

    @property
    def is_scarce(self) -> bool:
        return self.supply is not None and self.supply.is_scarce
