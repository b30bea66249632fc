"""What the ways to and from this node mean for its owner, in words, and what can be done.

Pure: from facts to findings. `netcheck` shows all of them, `queue` and `peers ping` one sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from postroad.base import limits
from postroad.base.ids import Contact, HostPort, Relay
from postroad.protocol import reach
from postroad.protocol.reach import Nat, Picture

ADD_HELPER = "add a helper (postroad helper enable, on a small box that both of you can reach)"
BOTH_ON = "have both computers on at the same time: the nodes try each other every minute"
BUNDLE = "carry the letters as a file (postroad bundle write)"


class State(StrEnum):
    GOOD = "good"
    LIMITED = "limited"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Way:
    """`about` is for programs; `summary` and `next_step` are sentences, the latter may be empty."""

    about: str
    state: State
    summary: str
    next_step: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known when the owner asks."""

    own: tuple[HostPort, ...]
    picture: Picture
    relay: Relay | None
    relay_seconds: float | None
    is_own_relay: bool  # it is our own
    relays: bool  # whether this node is a relay for others at all
    helpers: int
    contacts: int
    reached: int  # of the contacts' nodes, just now
    clock_error: float | None


def findings(facts: Facts) -> list[Way]:
    """All of them, the most important first."""
    if not any(not at.ip.is_loopback for at in facts.own):
        found = _no_network()
        return [found] if not facts.reached else [*_of_ways(facts)]
    return _of_ways(facts)


def _no_network() -> Way:
    return Way(
        "network",
        State.BAD,
        "This computer has no network: no letter comes or goes.",
        "Connect it; your node notices by itself, and what waits goes at once.",
    )


def _of_ways(facts: Facts) -> list[Way]:
    found = [_peers(facts), _udp(facts), _incoming(facts), _relay(facts), *_clock(facts)]
    return sorted(found, key=lambda one: one.state is not State.BAD)


def _peers(facts: Facts) -> Way:
    if not facts.contacts:
        return Way(
            "peers",
            State.UNKNOWN,
            "Your node knows no other node yet, so nobody can say how it is seen from outside.",
            "Invite somebody (postroad invite), and type this again when they have accepted.",
        )
    if not facts.reached:
        nobody = "The one node" if facts.contacts == 1 else f"None of the {facts.contacts} nodes"
        does = "does not answer" if facts.contacts == 1 else "answers"
        return Way(
            "peers",
            State.LIMITED,
            f"{nobody} of your contacts {does} now: they are off, or this network blocks UDP.",
            "Letters wait here. Where UDP is blocked they need a helper (postroad helper enable, "
            "on a small box), or a file (postroad bundle write).",
        )
    return Way(
        "peers",
        State.GOOD,
        f"Nodes of your contacts that answer now: {facts.reached} of {facts.contacts}.",
    )


def _udp(facts: Facts) -> Way:
    if facts.picture.udp is None:
        return Way("udp", State.UNKNOWN, "Whether UDP gets out is not known yet.")
    if facts.picture.udp:
        return Way("udp", State.GOOD, "Packets go out and come back directly (UDP).")
    says = "This network blocks UDP, so letters can only pass through a relay (TCP)."
    if facts.relay is not None:
        return Way("udp", State.LIMITED, f"{says} You have one: all works, a little slower.")
    return Way("udp", State.BAD, says, _ways_out(facts))


def _incoming(facts: Facts) -> Way:
    picture = facts.picture
    seen = ", ".join(str(one.address) for one in picture.outside)
    if picture.is_open:
        return Way(
            "incoming", State.GOOD, f"Others can begin: you are open to everybody at {seen}."
        )
    nats = {picture.nat4, picture.nat6}
    if nats <= {Nat.UNKNOWN}:
        if picture.udp:
            return Way(
                "incoming",
                State.UNKNOWN,
                "Only neighbours on your own network have seen you; how you look from outside is "
                "not known.",
            )
        return Way(
            "incoming", State.UNKNOWN, "Nobody has said yet how your computer is seen from outside."
        )
    if nats <= {Nat.SYMMETRIC, Nat.UNKNOWN}:
        says = (
            "Your router takes another port for each destination (a symmetric NAT), so others can "
            "reach you only while you have a relay."
        )
    elif Nat.NONE in nats and not any(one.is_open for one in picture.outside):
        says = f"Your address {seen} is your own, but a firewall keeps away whoever begins."
    else:
        sure = "" if any(one.is_sure for one in picture.outside) else " (one network says so)"
        says = (
            f"You are seen at {seen}{sure}. Your router lets in only those whom you write to: "
            "others meet you through a relay, and go on directly."
        )
    if facts.relay is not None:
        return Way("incoming", State.LIMITED, f"{says} You have one.")
    return Way("incoming", State.BAD, says, _ways_out(facts))


def _relay(facts: Facts) -> Way:
    if facts.relay is not None:
        where = "your own" if facts.is_own_relay else f"at {facts.relay.address}"
        ms = "" if facts.relay_seconds is None else f" ({round(facts.relay_seconds * 1000)} ms)"
        return Way("relay", State.GOOD, f"You wait at a relay, {where}{ms}.")
    if facts.picture.is_open:
        return Way(
            "relay",
            State.LIMITED,
            "You have no relay, and need none but for people whose network lets no UDP out.",
            "If you know such people, open TCP at the same port in your router, or add a helper.",
        )
    if facts.helpers:
        return Way(
            "relay",
            State.BAD,
            "Your helper does not answer, so whoever cannot reach you directly has to wait.",
            "Look whether it is on, and whether its ports are open (TCP 443). Until it answers, "
            f"{BUNDLE}.",
        )
    return Way(
        "relay", State.LIMITED, "None of your contacts is a relay for you.", _ways_out(facts)
    )


def _clock(facts: Facts) -> list[Way]:
    error = facts.clock_error
    if error is None:
        return []
    ahead = "ahead of" if error > 0 else "behind"
    return [
        Way(
            "clock",
            State.BAD,
            f"Your clock is {_span(abs(error))} {ahead} those of your contacts.",
            "Set it: letters from the future are left lying, and yours may be.",
        )
    ]


def _span(seconds: float) -> str:
    for unit, size in (("days", limits.DAY), ("hours", limits.HOUR)):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{round(seconds / limits.MINUTE)} minutes"


def _ways_out(facts: Facts) -> str:
    ways = [ADD_HELPER, BUNDLE]
    if facts.picture.udp is not False:
        ways.insert(1, "be contacts with somebody whose computer is open to everybody")
        if Nat.SYMMETRIC not in (facts.picture.nat4, facts.picture.nat6):
            ways.insert(2, BOTH_ON)
    return f"One of these will do: {'; '.join(ways[:-1])}; or {ways[-1]}."


def why_not_met(us: Picture, our_relay: Relay | None, them: Sequence[Contact], udp: bool) -> str:
    """Why somebody who does not answer may not be reached, and what will do; "" when all depends
    on their being on. `udp`: whether it gets out at all."""
    their_relay = any(one.relay is not None for one in them)
    if their_relay:
        return ""
    if not udp:
        return (
            "Your network blocks UDP, and they have no relay. One of these will do: "
            f"{ADD_HELPER}; or {BUNDLE}."
        )
    if reach.can_meet(us, our_relay, them):
        return ""
    ways = [ADD_HELPER, BUNDLE]
    if Nat.SYMMETRIC not in (us.nat4, us.nat6):
        ways.insert(1, BOTH_ON)
    return (
        "If they are on, a router or firewall stands between you, and no third node passes letters "
        f"on. One of these will do: {'; '.join(ways[:-1])}; or {ways[-1]}."
    )
