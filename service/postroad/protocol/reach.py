"""From what peers told us of ourselves to a picture: where we can be reached, and how well.

Purpose: decide which outside addresses hold, what kind of NAT stands before us, which relay to
wait at, and when to tell others. Touches nothing; the caller asks, knocks and keeps the time.
Invariants: one peer alone never overrules two that agree (a router that got another address is
believed when two say so), nor many of one network those of two; what was seen from one network only
is used, marked as not sure, and told after a public address that this machine has; and nobody has
us tell others an address that no node can have.
What a knock proves: a peer sends from a port to which nothing was ever sent from here. If that is
answered, whoever knows the address can begin, unless the router lets in all ports of a host that
we wrote to: of the two kinds of filter that RFC 4787 section 5 calls address-dependent, only the
stricter one shows. If it is not answered, only those can begin whom we wrote to, or nobody.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from postroad.base import limits
from postroad.base.ids import Contact, HostPort, PeerId, Relay
from postroad.protocol.dialable import is_public, may_dial

TOGETHER_SECONDS = 60.0  # within this, a NAT keeps a mapping that is in use
ANNOUNCE_SECONDS_FIRST = 0.5
ANNOUNCE_SECONDS_MAX = 10 * limits.MINUTE
NEAR_SECONDS = 0.02  # a relay has to be nearer by this, and by a third, to be worth a move


class Nat(StrEnum):
    """What a router between us and others does with our port."""

    UNKNOWN = "unknown"  # nobody has seen us yet
    NONE = "none"  # others see the address that this machine has
    SOME = "some"  # there is one; a second peer has to see us to know more
    CONE = "cone"  # the same outside port for all
    SYMMETRIC = "symmetric"  # another outside port for each


@dataclass(frozen=True, slots=True)
class Observation:
    """`by` saw us at `address`, or through a relay (None), when `elapsed` was `at`.

    `seen_from`: the address that we saw them at."""

    by: PeerId
    seen_from: HostPort | None
    address: HostPort | None
    at: float


@dataclass(frozen=True, slots=True)
class Knock:
    """A peer knocked at `at` from a port unknown to us: whether UDP, and the relay, answered.

    `tcp` is None where we do not relay."""

    at: HostPort
    udp: bool
    tcp: bool | None


@dataclass(frozen=True, slots=True)
class Outside:
    """An address of ours as others see it."""

    address: HostPort
    is_sure: bool  # seen from at least two networks
    is_open: bool | None  # to strangers; None: nobody has tried


@dataclass(frozen=True, slots=True)
class Picture:
    """What is known of the ways to us. `udp`: whether it goes out at all; None: not known."""

    outside: tuple[Outside, ...]
    nat4: Nat
    nat6: Nat
    udp: bool | None
    relay_is_open: bool | None

    @property
    def is_open(self) -> bool:
        """Whether somebody whom we never wrote to has reached us."""
        return any(one.is_open for one in self.outside)


def look(
    observations: Sequence[Observation],
    knocks: Sequence[Knock],
    own: Iterable[HostPort],
    udp_tried: Iterable[tuple[bool, bool]] = (),
) -> Picture:
    """The picture that all this gives. `own`: the addresses of this machine itself.

    `udp_tried`: for nodes that should be open, whether UDP and TCP answered."""
    mine = set(own)
    outside: list[Outside] = []
    kinds = {}
    for version in (4, 6):
        address, nat, is_sure = _family(_of_family(observations, version, mine), mine)
        kinds[version] = nat
        if address is not None:
            outside.append(Outside(address, is_sure, _answered(knocks, address)))
    tcp = [knock.tcp for knock in knocks if knock.tcp is not None]
    return Picture(
        tuple(outside), kinds[4], kinds[6], _udp(observations, udp_tried), any(tcp) if tcp else None
    )


def _of_family(
    observations: Sequence[Observation], version: int, own: set[HostPort]
) -> list[Observation]:
    """The newest of each peer, newest first; without what neighbours on our own network see, and
    without what would have our contacts knock where no node is: whoever sees us at an address that
    is not public is at none itself."""
    found: dict[PeerId, Observation] = {}
    for one in sorted(observations, key=lambda one: -one.at):
        if one.address is None or one.address.ip.version != version:
            continue
        at = one.address
        is_ours = at in own and not is_public(at)
        is_odd = at.ip.is_loopback or at.ip.is_link_local or not may_dial(at, private=True)
        is_near = one.seen_from is None or not is_public(one.seen_from)
        if not (is_ours or is_odd) and (is_public(at) or is_near):
            found.setdefault(one.by, one)
    return list(found.values())


def _family(seen: list[Observation], own: set[HostPort]) -> tuple[HostPort | None, Nat, bool]:
    """The address that holds, what the NAT does, and whether two networks agree on it."""
    if not seen:
        return None, Nat.UNKNOWN, False
    voices = Counter(one.address for one in seen)  # in the order of the newest
    apart = Counter(where for where, _ in {(one.address, network(one.seen_from)) for one in seen})
    address = max(voices, key=lambda one: (apart[one], voices[one]))
    count = voices[address]
    assert address is not None
    if count == 1 and len(seen) > 1:
        together = [one for one in seen if seen[0].at - one.at <= TOGETHER_SECONDS]
        if len({one.address for one in together}) > 1:
            return None, Nat.SYMMETRIC, False
        address = seen[0].address
        assert address is not None
    nat = Nat.NONE if address in own else Nat.CONE if count > 1 else Nat.SOME
    networks = {network(one.seen_from) for one in seen if one.address == address}
    return address, nat, len(networks) > 1


def _answered(knocks: Sequence[Knock], address: HostPort) -> bool | None:
    found = [knock.udp for knock in knocks if knock.at == address]
    return any(found) if found else None


def _udp(observations: Sequence[Observation], tried: Iterable[tuple[bool, bool]]) -> bool | None:
    answers = list(tried)
    if any(one.address is not None for one in observations) or any(udp for udp, _ in answers):
        return True
    return False if any(tcp for _, tcp in answers) else None


def network(at: HostPort | None) -> str:
    """Its neighbourhood: hosts of one /24, or /48, are taken for one voice in what counts two."""
    if at is None:
        return ""
    host = at.ip
    prefix = 24 if host.version == 4 else 48
    return str(ipaddress.ip_network((host, prefix), strict=False))


def is_contradicted(observations: Iterable[Observation], own: Iterable[HostPort]) -> bool:
    """Whether peers disagree about one of our addresses: the others should be asked again."""
    mine, everything = set(own), list(observations)
    return any(
        len({one.address for one in _of_family(everything, version, mine)}) > 1
        for version in (4, 6)
    )


def best_first(picture: Picture, own: Sequence[HostPort]) -> tuple[HostPort, ...]:
    """All our addresses: those that peers of two networks saw, or that this machine has, too; then
    this machine's public ones, then those that somebody saw, then the rest; of each those proven
    open first. A contact in bytes has room for the first of each family only: one peer that lies
    must not take the place of an address that is ours."""
    outside = sorted(picture.outside, key=lambda one: (not one.is_open, not one.is_sure))
    sure = [one.address for one in outside if one.is_sure or one.address in own]
    public = [at for at in own if is_public(at)]
    return tuple(dict.fromkeys((*sure, *public, *(one.address for one in outside), *own)))


def choose_relay(seconds: Mapping[Relay, float], home: Relay | None) -> Relay | None:
    """The relay to wait at: the nearest, but the one at which we wait unless that is clearly
    farther. None when none answered."""
    if not seconds:
        return None
    best = min(seconds, key=lambda relay: (seconds[relay], relay.peer))
    if home in seconds:
        assert home is not None
        gain = seconds[home] - seconds[best]
        if gain < NEAR_SECONDS or seconds[best] > seconds[home] * 2 / 3:
            return home
    return best


def announce_pause(announced: Sequence[float], now: float) -> float:
    """How long a change has to last before others are told, in seconds: twice as long after each
    change of the last hour. `announced`: when, by `elapsed`."""
    lately = sum(now - at < limits.HOUR for at in announced)
    return float(min(ANNOUNCE_SECONDS_FIRST * 2**lately, ANNOUNCE_SECONDS_MAX))


def clock_error(differences: Sequence[float]) -> float | None:
    """By how many seconds our clock is wrong, when more than half of the peers say so.

    `differences`: ours minus theirs."""
    ahead = [one for one in differences if one > limits.CLOCK_DRIFT_SECONDS]
    behind = [one for one in differences if one < -limits.CLOCK_DRIFT_SECONDS]
    for wrong in (ahead, behind):
        if 2 * len(wrong) > len(differences):
            return sorted(wrong)[len(wrong) // 2]
    return None


def can_meet(us: Picture, our_relay: Relay | None, them: Iterable[Contact]) -> bool:
    """Whether something that we know of lets us and these nodes meet at any time: a relay of one of
    us, or our being open. That they are open shows only when they are on."""
    return us.is_open or our_relay is not None or any(one.relay is not None for one in them)
