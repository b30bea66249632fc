"""What the first page says: what to do next, how the last day was, where the doors are. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from postroad.contract import Severity, State
from postroad_tray.ages import ahead
from postroad_tray.client import Question
from postroad_tray.deeds import UNLOCK, Place
from postroad_tray.facts import Endpoints, Picture, Problem
from postroad_tray.numbers import Came, Numbers
from postroad_tray.tongue import _, many
from postroad_tray.window.shapes import Mark
from postroad_tray.window.telling import SEVERITY_MARKS, link_banner, worth_a_banner

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class NextStep:
    """What to do next, in words; and a button that does it, or shows where it is done."""

    mark: Mark
    sentence: str
    next_step: str = ""
    label: str = ""
    label_meanwhile: str = ""  # until there is an answer
    place: Place | None = None
    question: Question | None = None
    starts: bool = False  # the service


@dataclass(frozen=True, slots=True)
class Figure:
    number: str
    label: str


@dataclass(frozen=True, slots=True)
class Door:
    """A line of the card for mail programs; without a value it is shut."""

    label: str
    value: str = ""
    shut: str = ""


def steps(picture: Picture) -> tuple[NextStep, ...]:
    """The most pressing first."""
    banner = link_banner(picture)
    if banner is not None:
        label = _("&Start Postroad") if banner.may_start else ""
        step = NextStep(
            banner.mark,
            banner.next_step,
            label=label,
            label_meanwhile=_("Starting …"),
            starts=banner.may_start,
        )
        return (step,) if banner.next_step else ()
    node = picture.node
    match node.state:
        case State.SETUP_NEEDED:
            return (
                NextStep(
                    Mark.ATTENTION,
                    _("You choose a name, and write down 24 words. It takes a few minutes."),
                    label=_("&Set up Postroad …"),
                    place=Place.FIRST_RUN,
                ),
            )
        case State.LOCKED:
            return (
                NextStep(
                    Mark.ATTENTION,
                    _("No letter comes or goes until your keys are open."),
                    _("Where they are kept by your desktop's keyring, the button opens them; with "
                      "a passphrase of their own, type in a terminal: postroad unlock"),
                    label=_("&Unlock"),
                    label_meanwhile=_("Unlocking …"),
                    question=UNLOCK,
                ),
            )  # fmt: skip
        case _other:
            grave = tuple(map(_of_problem, worth_a_banner(picture)))
            return grave or _calm(picture)


def _of_problem(problem: Problem) -> NextStep:
    label, place = _help(problem.code)
    mark = SEVERITY_MARKS[problem.severity]
    return NextStep(mark, problem.summary, problem.next_step, label, place=place)


def _calm(picture: Picture) -> tuple[NextStep, ...]:
    """All is well: is there anything that the owner may like to do?"""
    node = picture.node
    if node.paused:
        return (
            NextStep(
                Mark.OFF,
                _("You can read and write; letters wait until you are back."),
                label=_("&Resume"),
                label_meanwhile=_("Resuming …"),
                question=Question("Resume"),
            ),
        )
    if node.requests_waiting:
        said = many(
            "{n} letter of somebody whom you do not know waits for your answer.",
            "{n} letters of people whom you do not know wait for your answer.",
            node.requests_waiting,
        )
        return (NextStep(Mark.WAITING, said, label=_("&Look at them"), place=Place.REQUESTS),)
    if not node.contact_count:
        return (
            NextStep(
                Mark.WAITING,
                _("You have no contacts yet: invite the first person."),
                label=_("&Invite someone …"),
                place=Place.INVITE,
            ),
        )
    return tuple(_of_problem(one) for one in node.problems if one.severity is Severity.INFO)[:1]


def _help(code: str) -> tuple[str, Place | None]:
    """Which page helps, by the code of a problem; others say in words what to type."""
    match code:
        case "no-contacts" | "no-holders" | "few-holders" | "silent-holders":
            return _("&Invite someone …"), Place.INVITE
        case "late-here" | "late-held":
            return _("&Look at the queue"), Place.QUEUE
        case "requests" | "proposals":
            return _("&Look at them"), Place.REQUESTS
        case "network" | "nobody-answers" | "udp" | "incoming" | "relay":
            return _("&Check the connection …"), Place.CONNECTION
        case "backup-old":
            return _("&Back up …"), Place.SETUP
        case _other:
            return "", None


def pause_words(picture: Picture, now: float) -> str:
    """When a pause ends, below the sentence that there is one."""
    if picture.node.state is not State.PAUSED:
        return ""
    when = ahead(picture.node.paused_until, now)
    return _("It is back on the network {when}.").format(when=when) if when else ""


def figures(wrote: Numbers, came: Came) -> tuple[Figure, ...]:
    """Of the letters of a day."""
    return (
        Figure(str(wrote.accepted), _("written")),
        Figure(str(wrote.arrived), _("arrived")),
        Figure(str(wrote.under_way), _("under way")),
        Figure(str(wrote.late + wrote.failed), _("late or returned")),
        Figure(str(came.letters), _("received")),
    )


def doors(endpoints: Endpoints) -> tuple[Door, ...]:
    """What a mail program asks for, in the order in which most do."""
    shut = _("shut")
    return (
        Door(_("User name"), endpoints.user_name, shut),
        Door(_("Incoming mail, IMAP"), _place(endpoints.imap), shut),
        Door(_("Outgoing mail, SMTP"), _place(endpoints.smtp), shut),
        Door(_("Incoming mail, POP3"), _place(endpoints.pop3), shut),
    )


def _place(port: int) -> str:
    return f"{HOST}:{port}" if port else ""


def doors_hint() -> str:
    return _(
        "Encryption: none, for this never leaves your computer. Authentication: normal password."
    )
