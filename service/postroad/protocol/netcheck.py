"""What the ways to and from this node mean for its owner, in words, and what can be done.

Pure: from facts to findings. `netcheck` shows all of them, `queue` and `peers ping` one sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from postroad.base import limits
from postroad.base.ids import Contact, HostPort, Relay
from postroad.phrases import Phrase, counted, joined, phrase
from postroad.protocol import reach
from postroad.protocol.reach import Nat, Picture

ONE_OF_THESE = phrase("One of these will do:")
ADD_HELPER = phrase(
    "add a helper (postroad helper enable, on a small box that both of you can reach);"
)
OPEN_CONTACT = phrase("be contacts with somebody whose computer is open to everybody;")
BOTH_ON = phrase("have both computers on at the same time: the nodes try each other every minute;")
OR_BUNDLE = phrase("or carry the letters as a file (postroad bundle write).")


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
        phrase("This computer has no network: no letter comes or goes."),
        phrase("Connect it; your node notices by itself, and what waits goes at once."),
    )


def _of_ways(facts: Facts) -> list[Way]:
    found = [_peers(facts), _udp(facts), _incoming(facts), _relay(facts), *_clock(facts)]
    return sorted(found, key=lambda one: one.state is not State.BAD)


def _peers(facts: Facts) -> Way:
    if not facts.contacts:
        return Way(
            "peers",
            State.UNKNOWN,
            phrase(
                "Your node knows no other node yet, so nobody can say how it is seen from outside."
            ),
            phrase(
                "Invite somebody (postroad invite), and type this again when they have accepted."
            ),
        )
    if not facts.reached:
        return Way(
            "peers",
            State.LIMITED,
            counted(
                "The one node of your contacts does not answer now: they are off, or this network "
                "blocks UDP.",
                "None of the {n} nodes of your contacts answers now: they are off, or this network "
                "blocks UDP.",
                facts.contacts,
            ),
            joined(
                phrase("Letters wait here."),
                phrase(
                    "Where UDP is blocked they need a helper (postroad helper enable, on a small "
                    "box), or a file (postroad bundle write)."
                ),
            ),
        )
    return Way(
        "peers",
        State.GOOD,
        phrase(
            "Nodes of your contacts that answer now: {reached} of {all}.",
            reached=facts.reached,
            all=facts.contacts,
        ),
    )


def _udp(facts: Facts) -> Way:
    if facts.picture.udp is None:
        return Way("udp", State.UNKNOWN, phrase("Whether UDP gets out is not known yet."))
    if facts.picture.udp:
        return Way("udp", State.GOOD, phrase("Packets go out and come back directly (UDP)."))
    says = phrase("This network blocks UDP, so letters can only pass through a relay (TCP).")
    if facts.relay is not None:
        works = phrase("You have one: all works, a little slower.")
        return Way("udp", State.LIMITED, joined(says, works))
    return Way("udp", State.BAD, says, _ways_out(facts))


def _incoming(facts: Facts) -> Way:
    picture = facts.picture
    seen = ", ".join(str(one.address) for one in picture.outside)
    if picture.is_open:
        is_open = phrase("Others can begin: you are open to everybody at {places}.", places=seen)
        return Way("incoming", State.GOOD, is_open)
    nats = {picture.nat4, picture.nat6}
    if nats <= {Nat.UNKNOWN}:
        if picture.udp:
            unknown = phrase(
                "Only neighbours on your own network have seen you; how you look from outside is "
                "not known."
            )
        else:
            unknown = phrase("Nobody has said yet how your computer is seen from outside.")
        return Way("incoming", State.UNKNOWN, unknown)
    if nats <= {Nat.SYMMETRIC, Nat.UNKNOWN}:
        says = phrase(
            "Your router takes another port for each destination (a symmetric NAT), so others can "
            "reach you only while you have a relay."
        )
    elif Nat.NONE in nats and not any(one.is_open for one in picture.outside):
        says = phrase(
            "Your address {places} is your own, but a firewall keeps away whoever begins.",
            places=seen,
        )
    else:
        if any(one.is_sure for one in picture.outside):
            says = phrase("You are seen at {places}.", places=seen)
        else:
            says = phrase("You are seen at {places} (one network says so).", places=seen)
        says = joined(
            says,
            phrase(
                "Your router lets in only those whom you write to: others meet you through a "
                "relay, and go on directly."
            ),
        )
    if facts.relay is not None:
        return Way("incoming", State.LIMITED, joined(says, phrase("You have one.")))
    return Way("incoming", State.BAD, says, _ways_out(facts))


def _relay(facts: Facts) -> Way:
    if facts.relay is not None:
        return Way("relay", State.GOOD, _at_relay(facts.relay, facts))
    if facts.picture.is_open:
        return Way(
            "relay",
            State.LIMITED,
            phrase(
                "You have no relay, and need none but for people whose network lets no UDP out."
            ),
            phrase(
                "If you know such people, open TCP at the same port in your router, or add a "
                "helper."
            ),
        )
    if facts.helpers:
        return Way(
            "relay",
            State.BAD,
            phrase(
                "Your helper does not answer, so whoever cannot reach you directly has to wait."
            ),
            joined(
                phrase("Look whether it is on, and whether its ports are open (TCP 443)."),
                phrase("Until it answers, carry the letters as a file (postroad bundle write)."),
            ),
        )
    return Way(
        "relay",
        State.LIMITED,
        phrase("None of your contacts is a relay for you."),
        _ways_out(facts),
    )


def _at_relay(relay: Relay, facts: Facts) -> Phrase:
    at = relay.address
    if facts.relay_seconds is None:
        if facts.is_own_relay:
            return phrase("You wait at a relay, your own.")
        return phrase("You wait at a relay, at {place}.", place=at)
    ms = round(facts.relay_seconds * 1000)
    if facts.is_own_relay:
        return phrase("You wait at a relay, your own ({ms} ms).", ms=ms)
    return phrase("You wait at a relay, at {place} ({ms} ms).", place=at, ms=ms)


def _clock(facts: Facts) -> list[Way]:
    error = facts.clock_error
    if error is None:
        return []
    step = phrase("Set it: letters from the future are left lying, and yours may be.")
    return [Way("clock", State.BAD, _out_by(error), step)]


def _out_by(error: float) -> Phrase:
    """`error`: seconds that our clock is ahead of others."""
    seconds, is_ahead = abs(error), error > 0
    if seconds >= 2 * limits.DAY:
        days = round(seconds / limits.DAY)
        if is_ahead:
            return phrase("Your clock is {days} days ahead of those of your contacts.", days=days)
        return phrase("Your clock is {days} days behind those of your contacts.", days=days)
    if seconds >= 2 * limits.HOUR:
        hours = round(seconds / limits.HOUR)
        if is_ahead:
            return phrase(
                "Your clock is {hours} hours ahead of those of your contacts.", hours=hours
            )
        return phrase("Your clock is {hours} hours behind those of your contacts.", hours=hours)
    minutes = round(seconds / limits.MINUTE)
    if is_ahead:
        return phrase(
            "Your clock is {minutes} minutes ahead of those of your contacts.", minutes=minutes
        )
    return phrase("Your clock is {minutes} minutes behind those of your contacts.", minutes=minutes)


def _ways_out(facts: Facts) -> Phrase:
    ways = [ADD_HELPER]
    if facts.picture.udp is not False:
        ways.append(OPEN_CONTACT)
        if Nat.SYMMETRIC not in (facts.picture.nat4, facts.picture.nat6):
            ways.append(BOTH_ON)
    return joined(ONE_OF_THESE, *ways, OR_BUNDLE)


def why_not_met(us: Picture, our_relay: Relay | None, them: Sequence[Contact], udp: bool) -> str:
    """Why somebody who does not answer may not be reached, and what will do; "" when all depends
    on their being on. `udp`: whether it gets out at all."""
    their_relay = any(one.relay is not None for one in them)
    if their_relay:
        return ""
    if not udp:
        blocked = phrase("Your network blocks UDP, and they have no relay.")
        return joined(blocked, ONE_OF_THESE, ADD_HELPER, OR_BUNDLE)
    if reach.can_meet(us, our_relay, them):
        return ""
    between = phrase(
        "If they are on, a router or firewall stands between you, and no third node passes letters "
        "on."
    )
    is_hard = Nat.SYMMETRIC in (us.nat4, us.nat6)
    ways = [ADD_HELPER] if is_hard else [ADD_HELPER, BOTH_ON]
    return joined(between, ONE_OF_THESE, *ways, OR_BUNDLE)
