"""What the parts that keep us reachable need to hear of the rest of the house."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from postroad.base.ids import Contact, HostPort, PeerId, Relay


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Filled in by `app`, from the store."""

    is_contact: Callable[[PeerId], Awaitable[bool]]
    contacts: Callable[[], Awaitable[Sequence[Contact]]]  # the devices of all contacts
    helpers: Callable[[], Awaitable[Sequence[Contact]]]  # that serve us
    relay_port: Callable[[], int | None]  # where we relay ourselves
    own_relay: Callable[[], Relay | None]  # a relay of ours that needs no proof: a helper's
    last: Callable[[tuple[HostPort, ...]], Contact | None]  # told when we had these addresses
    keep: Callable[[tuple[HostPort, ...], Contact], Awaitable[None]]  # what is told from now on
    announce: Callable[[], None]  # `here` has changed
    moved: Callable[[], Awaitable[None]]  # the network is another one, or we slept
