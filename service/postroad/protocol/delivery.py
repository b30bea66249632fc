"""Decide what to do next for one parcel: one letter on its way to one recipient.

Purpose: the table of states, and nothing else. The caller keeps the time, seals and sends.
Invariants: a parcel ends in exactly one of delivered, refused, cancelled, requested or expired;
only a late receipt moves an expired one, once, to delivered or requested, and a requested one to
delivered or refused; only a receipt makes one delivered or requested.
See: docs/architecture.md (state table), RFC 5321 section 4.5.4.1, RFC 3464.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from postroad.base import limits
from postroad.base.ids import Instant, SureInstant
from postroad.message.bounce import Notice
from postroad.phrases import Phrase, counted, joined, phrase
from postroad.sealing.receipt import Verdict


class State(StrEnum):
    WAITING = "waiting"  # no holder has it yet
    HELD = "held"  # at least one lease
    REQUESTED = "requested"  # it lies among the requests of somebody whom we do not know yet
    DELIVERED = "delivered"
    REFUSED = "refused"  # by the recipient, signed
    EXPIRED = "expired"  # no receipt in time; it may have been delivered
    CANCELLED = "cancelled"  # by its owner


OPEN = frozenset({State.WAITING, State.HELD})
ANSWERABLE = OPEN | {State.REQUESTED}  # the recipient may still say yes or no


@dataclass(frozen=True, slots=True)
class Parcel:
    """What the table needs to know; moments in seconds UTC."""

    state: State
    due_at: Instant
    tries: int
    accepted_at: Instant
    expires_at: Instant
    delayed_at: Instant | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Leased:
    """A round in which holders keep it, `holders` of them so far; `said`: why the recipient's own
    node does not take it now."""

    holders: int
    said: str = ""


@dataclass(frozen=True, slots=True)
class NotPlaced:
    """A round that found nobody to take it; the reason is a sentence for its owner."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReceiptCame:
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The owner does not want it sent any more."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """Nobody may be written to in this way any more: the recipient's identity was revoked, or ours
    was; the reason is a sentence for the owner."""

    reason: str


@dataclass(frozen=True, slots=True)
class Impossible:
    """There is no such person, or they have said, in their signed record or by their own device
    over a link that has proven its key, that they do not take it: it cannot be delivered. `status`
    as in RFC 3463."""

    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class SealedAnew:
    """The recipient has no key for the sealed letter any more: it is sealed again."""


Event = Leased | NotPlaced | ReceiptCame | Cancelled | Revoked | Impossible | SealedAnew


@dataclass(frozen=True, slots=True)
class Step:
    """`notice`: what its owner is told in a letter; `status`: of a refusal, the enhanced status
    code (RFC 3463) that the letter says."""

    parcel: Parcel
    notice: Notice | None = None
    status: str | None = None


def advance(parcel: Parcel, event: Event, now: Instant, dice: float) -> Step:
    """The parcel after this event. `dice` in [0, 1) spreads the next try."""
    match event:
        case ReceiptCame(verdict):
            return _receipt(parcel, verdict)
        case Leased(holders, said) if parcel.state in OPEN:
            reason = joined(where(holders), said)
            return Step(_again(parcel, State.HELD, now, dice, reason))
        case NotPlaced(reason) if parcel.state in OPEN:
            return Step(_again(parcel, parcel.state, now, dice, reason))
        case Impossible(status, reason) if parcel.state in OPEN:
            step = replace(parcel, state=State.REFUSED, reason=reason)
            return Step(step, Notice.REFUSED, status)
        case Cancelled() if parcel.state in OPEN:
            return Step(replace(parcel, state=State.CANCELLED, reason=CANCELLED))
        case Revoked(reason) if parcel.state in OPEN:
            ended = replace(parcel, state=State.REFUSED, reason=reason)
            return Step(ended, Notice.REFUSED, REVOKED_STATUS)
        case SealedAnew() if parcel.state in OPEN:
            again = replace(parcel, state=State.WAITING, tries=0, due_at=now, reason=SEALED_ANEW)
            return Step(again)
        case _:  # a lease or a failure that came too late changes nothing
            return Step(parcel)


def look_at_clock(parcel: Parcel, now: Instant, sure_now: SureInstant | None) -> Step:
    """The parcel after the passing of time alone: expiry, by a confirmed clock only, and one notice
    when it is late."""
    if parcel.state not in OPEN:
        return Step(parcel)
    if sure_now is not None and sure_now >= ends_at(parcel):
        return Step(replace(parcel, state=State.EXPIRED), Notice.EXPIRED)
    late_at = parcel.accepted_at + limits.DELAYED_NOTICE_SECONDS
    if parcel.delayed_at is None and late_at <= now < parcel.expires_at:
        return Step(replace(parcel, delayed_at=now), Notice.DELAYED)
    return Step(parcel)


def ends_at(parcel: Parcel) -> Instant:
    """When nobody files it any more: the signed expiry, its grace, and a minute to hear of it."""
    return Instant(parcel.expires_at + limits.EXPIRY_GRACE_SECONDS + limits.MINUTE)


def _receipt(parcel: Parcel, verdict: Verdict) -> Step:
    if verdict is Verdict.REQUESTED:
        if parcel.state in OPEN or parcel.state is State.EXPIRED:
            requested = replace(parcel, state=State.REQUESTED, reason=AMONG_REQUESTS)
            return Step(requested, Notice.REQUESTED)
    elif verdict is Verdict.FILED:
        if parcel.state in ANSWERABLE:
            return Step(replace(parcel, state=State.DELIVERED, reason=""), Notice.DELIVERED)
        if parcel.state is State.EXPIRED:
            return Step(replace(parcel, state=State.DELIVERED, reason=""), Notice.CORRECTED)
    elif parcel.state in ANSWERABLE:
        status, reason = REFUSALS[verdict]
        return Step(replace(parcel, state=State.REFUSED, reason=reason), Notice.REFUSED, status)
    return Step(parcel)


INVITATION_USED = phrase("Somebody else has used this invitation before; each works once.")
REVOKED_STATUS = "5.7.13"  # account disabled, "evidence of a break-in attempt" (RFC 5248)
AMONG_REQUESTS = joined(
    phrase("The recipient does not know you yet: it lies among their requests, as text."),
    phrase("If they accept it, a letter from them tells you."),
)
CANCELLED = phrase("You cancelled it.")
SEALED_ANEW = phrase("The recipient has new keys; it is sealed anew.")
REFUSALS: Mapping[Verdict, tuple[str, Phrase]] = {
    Verdict.ROTATED: (
        "5.7.7",
        phrase(
            "Its sender has another key now, and it was signed with the old one by another device."
        ),
    ),
    Verdict.REVOKED: (
        REVOKED_STATUS,
        phrase("The recipient's node knows that the device or identity that signed it is revoked."),
    ),
    Verdict.EXPIRED: (
        "5.4.7",
        phrase("It reached the recipient's node only after it had expired."),
    ),
    Verdict.STRANGER: (
        "5.7.1",
        phrase("The recipient takes letters from contacts only; ask for an invitation."),
    ),
    Verdict.POLICY: (
        "5.7.1",
        phrase(
            "The administrator of the recipient's computer does not allow letters from you there."
        ),
    ),
    Verdict.UNWANTED: ("5.7.1", phrase("The recipient does not want letters from you.")),
    Verdict.INVITATION_USED: ("5.7.1", joined(INVITATION_USED, phrase("Ask for a new one."))),
    Verdict.INVITATION_OVER: (
        "5.7.1",
        joined(
            phrase("This invitation is over: it has expired, or was withdrawn."),
            phrase("Ask for a new one."),
        ),
    ),
    Verdict.NOT_INTRODUCED: (
        "5.7.1",
        phrase("The recipient did not say yes to this introduction, or not in time."),
    ),
    Verdict.FORGED: ("5.7.7", phrase("Its From is not the address of the key that signed it.")),
    Verdict.DECLINED: (
        "5.7.1",
        phrase(
            "The recipient has seen it among their requests, and does not want to be written to."
        ),
    ),
    Verdict.DISGUISED: (
        "5.7.7",
        phrase("The name in its From looks like another address than yours; put your name there."),
    ),
}


def where(holders: int) -> Phrase:
    return counted(
        "It waits at one of the recipient's holders.",
        "It waits at {n} of the recipient's holders.",
        holders,
    )


def _again(parcel: Parcel, state: State, now: Instant, dice: float, reason: str) -> Parcel:
    tries = 0 if state is not parcel.state else parcel.tries + 1
    first, last = (
        (limits.HELD_SECONDS_FIRST, limits.HELD_SECONDS_MAX)
        if state is State.HELD
        else (limits.RETRY_SECONDS_FIRST, limits.RETRY_SECONDS_MAX)
    )
    wait = min(first * 2 ** min(tries, 20), last) * (0.75 + dice / 2)
    due_at = now + wait
    if now < ends_at(parcel):  # later than that only a confirmed clock ends it
        due_at = min(due_at, ends_at(parcel))
    return replace(parcel, state=state, tries=tries, due_at=Instant(due_at), reason=reason)
