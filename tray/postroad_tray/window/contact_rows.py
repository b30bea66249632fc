"""What the page of contacts says: of each contact a row, of requests, invitations and proposals a
line, and what is asked before something is done. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from postroad_tray import plain
from postroad_tray.ages import ago, lasting
from postroad_tray.facts import Contact, Picture, Request, Trust, items, read
from postroad_tray.tongue import _, many
from postroad_tray.window import letter_rows, peer_rows
from postroad_tray.window.cells import Cell, Column, Row

OPEN = "open"  # the state of an invitation or a proposal on which something can be done
LISTED_MAX = 100
DIGITS_A_LINE = 4  # groups of the safety number


@dataclass(frozen=True, slots=True)
class Invitation:
    """One that the owner made; its link is told when it is made, and never again."""

    id: str = ""
    name: str = ""
    state: str = ""
    created_at: int = 0
    expires_at: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """Somebody whom a contact proposed."""

    id: str = ""
    introducer: str = ""
    name: str = ""
    address: str = ""
    state: str = ""
    expires_at: int = 0


def invitations(told: object, now: float) -> list[Invitation]:
    """Those that somebody may still accept."""
    found = [read(Invitation, one) for one in items(told, LISTED_MAX)]
    return [one for one in found if one.state == OPEN and one.expires_at > now]


def proposals(told: object, now: float) -> list[Proposal]:
    found = [read(Proposal, one) for one in items(told, LISTED_MAX)]
    return [one for one in found if one.state == OPEN and one.expires_at > now]


def columns() -> tuple[Column, ...]:
    return (
        Column(_("Name"), _("What you call them"), letters=14, stretches=True),
        Column(_("Trust"), _("Whether you have compared the safety numbers"), letters=14),
        Column(_("Last seen"), _("When a node of theirs last proved itself"), letters=12),
        Column(_("Holds letters"), _("Who keeps letters for whom, while they are off")),
        Column(_("Address"), _("Their mail address"), letters=20),
    )


def row(contact: Contact, now: float) -> Row:
    name = contact.name or _("without a name")
    seen = _("now") if contact.online else ago(contact.seen_at, now)
    return Row(
        contact.object_path,
        (
            Cell(name, name.casefold()),
            peer_rows.trust_cell(contact.trust),
            Cell(seen, -float(contact.seen_at)),
            peer_rows.holding_cell(contact.holds_for_us, contact.we_hold_for_them),
            Cell(letter_rows.short(contact.address), contact.address, spoken=contact.address),
        ),
    )


def summary(picture: Picture) -> str:
    if not picture.is_there and not picture.contacts:
        return _("Your contacts are not known while Postroad does not answer.")
    if not picture.contacts:
        return _("You have no contacts yet. Invite somebody: they need Postroad, too.")
    said = many("You have {n} contact", "You have {n} contacts", len(picture.contacts))
    verified = sum(one.trust is Trust.VERIFIED for one in picture.contacts)
    if not verified:
        return _("{contacts}; nobody's safety number was compared.").format(contacts=said)
    more = many(
        "{n} safety number was compared", "{n} safety numbers were compared", verified
    )
    return f"{said}; {more}."


def sentence(contact: Contact, now: float) -> str:
    """All of the row, for reading."""
    name = contact.name or _("without a name")
    return " ".join(
        one
        for one in (
            _("{name}, {address}.").format(
                name=plain.apart(name), address=plain.apart(contact.address)
            ),
            trust_sentence(contact, now),
            peer_rows.holding_sentence(contact.holds_for_us, contact.we_hold_for_them),
        )
        if one
    )


def trust_sentence(contact: Contact, now: float) -> str:
    match contact.trust:
        case Trust.VERIFIED:
            return _("You compared the safety number {when}.").format(
                when=ago(contact.verified_at, now)
            )
        case Trust.UNVERIFIED:
            return _("Their safety number was never compared: whoever passed the invitation on "
                     "could have put themselves between you.")
        case Trust.BLOCKED:
            return _("They are blocked: nothing is taken from them and nothing done for them.")
        case Trust.REVOKED:
            return _("Their identity has ended: nothing can be sent there any more.")


def request_line(request: Request, now: float, *, is_short: bool = False) -> str:
    return _("{address} wrote to you {when}. Their letter is in your mailbox Requests.").format(
        address=_shown(request.address, is_short), when=ago(request.came_at, now)
    )


def _shown(address: str, is_short: bool) -> str:
    """In a sentence of ours."""
    return plain.apart(plain.middle(address) if is_short else address)


def invitation_line(one: Invitation, now: float) -> str:
    return _("For {whom}, made {when}; it works for {time} more.").format(
        whom=plain.apart(one.name) or _("whoever has its link"),
        when=ago(one.created_at, now),
        time=lasting(one.expires_at - now),
    )


def proposal_line(one: Proposal, *, is_short: bool = False) -> str:
    return _("{introducer} proposes {name} to you ({address}).").format(
        introducer=plain.apart(one.introducer),
        name=plain.apart(one.name),
        address=_shown(one.address, is_short),
    )


def remove_question(contact: Contact) -> str:
    return _("Remove {name} from your contacts?").format(name=plain.apart(contact.name))


def remove_warning() -> str:
    return _(
        "Letters of theirs come as requests from then on, and letters on their way to them are "
        "given up. They can be invited again."
    )


def block_question(contact: Contact) -> str:
    return _("Block {name}?").format(name=plain.apart(contact.name))


def block_warning() -> str:
    return _("Nothing is taken from them and nothing done for them, until you unblock them.")


def refuse_question(request: Request) -> str:
    return _("Refuse the letter of {address}?").format(address=plain.apart(request.address))


def refuse_warning() -> str:
    return _("It goes from your mailbox Requests, and they do not become a contact.")


def number_lines(groups: object) -> str:
    """The safety number as it is read out: four groups of five digits in each line."""
    shown = [plain.line(one, 8) for one in items(groups, 12)]
    lines = [shown[n : n + DIGITS_A_LINE] for n in range(0, len(shown), DIGITS_A_LINE)]
    return "\n".join("  ".join(one) for one in lines)


def accepted(details: Mapping[str, object]) -> str:
    """What came of an invitation that was accepted."""
    helper = plain.apart(plain.line(details.get("Helper")))
    if helper:
        return _("{name} helps you from now on.").format(name=helper)
    name = plain.apart(plain.line(details.get("Name")))
    if details.get("IsNew") is False:
        return _("{name} was your contact already.").format(name=name)
    return _("{name} is your contact now. Write to them: {address}").format(
        name=name, address=plain.apart(plain.line(details.get("Address")))
    )
