"""How the node is doing: from every fact about it to a state, a health, and problems in words.

Purpose: one place decides and says it; the command line, D-Bus and the tray only show it.
Invariants: total and deterministic; the worst problem decides the health; a worse fact never gives
a better health. What the owner wants (a pause), and what begins, is no worse fact: while the node
is off the network nothing is said about the ways to others. Each problem ends in a next step that
names a command. It is long because it is a table: each problem has its fact and its two sentences.
See: docs/adr/0020-health.md.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from postroad import phrases
from postroad.base import limits
from postroad.contract import Health, Severity, State
from postroad.phrases import counted, joined, phrase
from postroad.protocol import starting
from postroad.protocol.clock import Because, Judgement
from postroad.protocol.netcheck import Way
from postroad.protocol.starting import Keeper

LITTLE_ROOM_BYTES = 10 * limits.LETTER_BYTES_MAX  # beside the reserve
UNANSWERED_MANY = 3  # nodes dialled in vain, and nobody heard since: most likely it is we
MAIL_SERVICES = frozenset({"network", "sender", "receiver"})  # without which no mail goes or comes


class Code(StrEnum):
    """What a problem is called, for programs; a name once released keeps its meaning."""

    NOT_SET_UP = "not-set-up"
    OFF = "off"
    CANNOT_START = "cannot-start"
    LOCKED = "locked"
    PAUSED = "paused"
    DOOR_SHUT = "door-shut"
    PORT_NOT_HELD = "port-not-held"
    PORT_ASTRAY = "port-astray"
    STORE = "store"
    DISK_FULL = "disk-full"
    DISK_LOW = "disk-low"
    DAMAGED = "damaged"
    UNREADABLE = "unreadable"
    IDENTITY = "identity"
    SERVICE = "service"
    CONFIGURATION = "configuration"
    SANDBOX = "sandbox"
    NETWORK = "network"
    NOBODY_ANSWERS = "nobody-answers"
    UDP = "udp"
    INCOMING = "incoming"
    RELAY = "relay"
    CLOCK_WRONG = "clock-wrong"
    CLOCK_UNCONFIRMED = "clock-unconfirmed"
    NO_CONTACTS = "no-contacts"
    NO_HOLDERS = "no-holders"
    FEW_HOLDERS = "few-holders"
    SILENT_HOLDERS = "silent-holders"
    UNWILLING_HOLDER = "unwilling-holder"
    UNWILLING_HELPER = "unwilling-helper"
    LATE_HERE = "late-here"
    LATE_HELD = "late-held"
    BACKUP_OLD = "backup-old"
    REQUESTS = "requests"
    PROPOSALS = "proposals"


class Room(IntEnum):
    """What is free on the disk, beside the reserve; from the best to the worst."""

    ENOUGH = 0
    LITTLE = 1  # for a few letters of the greatest size
    NONE = 2  # new letters are refused


@dataclass(frozen=True, slots=True)
class Unwilling:
    """Somebody who does not hold for us, and what they said. `name`: a contact of ours; not
    `is_contact`: somebody whom that contact vouches for."""

    name: str
    is_contact: bool
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a node. The defaults are those of one that is well, so whoever knows less
    says less."""

    is_set_up: bool = True
    is_running: bool = True
    is_coming: bool = False  # it does not answer yet, but is being started
    keeper: Keeper = Keeper.TERMINAL  # who starts it: what is typed for it depends on that
    cannot_start_because: str = ""  # what it needs and has not got; it looks again by itself
    locked_because: str = ""  # why the keys wait for their owner
    is_paused: bool = False
    is_joined: bool = True  # on the network; until then a node that is not paused is starting
    # Peers and the ways to them
    contacts: int = 1
    linked: int = 0  # open links, which a node at rest has none of
    unanswered: int = 0  # nodes that were dialled in vain since any was heard
    bad_ways: tuple[Way, ...] = ()  # what `netcheck` calls bad
    # Who holds for us
    holders: int = limits.HOLDERS_WANTED  # that are not silent
    holders_silent: int = 0
    unwilling: tuple[Unwilling, ...] = ()
    helpers_refusing: tuple[tuple[str, str], ...] = ()  # name and reason
    # The queue: letters under way for more than a day, to this or that recipient
    late_here: int = 0  # which no holder has
    late_held: int = 0
    # Store and disk
    store_trouble: str = ""  # why it was not read or written the last time
    damaged: tuple[tuple[str, int], ...] = ()  # kinds of the quarantine, how many of each
    room: Room = Room.ENOUGH
    # Clock, doors, keys
    clock: Judgement = Judgement(True, Because.VOICES, limits.CLOCK_VOICES, 0)
    waits_for_clock: bool = False  # a letter whose time is over, and which is not returned yet
    doors_shut: tuple[tuple[str, str], ...] = ()  # SMTP, IMAP, POP3: that should be open, and why
    doors_not_held: tuple[str, ...] = ()  # by systemd, which holds others
    astray: tuple[str, ...] = ()  # where systemd listens, and no door is
    identity_trouble: str = ""  # why nothing is sent or taken in as who we are
    failing: tuple[tuple[str, str], ...] = ()  # services that begin again and again, and why
    not_reloaded: bool = False  # the configuration has a mistake, so the one before it counts
    sandbox_lost: str = ""  # what the system denied, so that the node runs without its sandbox
    # The last backup, where one was ever made
    backup_days: int = 0  # how old it is
    backup_folder: str = ""
    # What waits for the owner's word
    requests: int = 0
    proposals: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """`summary` says what is, `next_step` what to do; sentences in parts (`phrases`), free of
    anything private but the names that the owner gave their contacts."""

    code: Code
    severity: Severity
    summary: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`sentence`: the state in words. The gravest problem comes first."""

    state: State
    health: Health
    problems: tuple[Problem, ...]
    sentence: str

    def told(self) -> dict[str, Any]:
        """As every answer that shows it has it."""
        return {
            "state": self.state.value,
            "health": self.health.value,
            "sentence": str(self.sentence),
            "problems": [
                {
                    "code": one.code.value,
                    "severity": one.severity.value,
                    "summary": str(one.summary),
                    "next_step": str(one.next_step),
                    "summary_parts": phrases.told(one.summary),
                    "next_step_parts": phrases.told(one.next_step),
                }
                for one in self.problems
            ],
        }


# Those without which mail moves as it should: late letters may be somebody else's absence.
_HARMLESS = frozenset(
    {
        Code.CONFIGURATION,
        Code.SANDBOX,
        Code.PORT_NOT_HELD,
        Code.PORT_ASTRAY,
        Code.DAMAGED,
        Code.UNREADABLE,
        Code.LATE_HERE,
        Code.LATE_HELD,
    }
)
_GRAVITY = {severity: rank for rank, severity in enumerate(Severity)}
_HEALTHS = {
    Severity.INFO: Health.OK,
    Severity.ATTENTION: Health.ATTENTION,
    Severity.BROKEN: Health.BROKEN,
}
_SENTENCES = {
    State.SETUP_NEEDED: phrase("Postroad is not set up yet: you have no address."),
    State.LOCKED: phrase("Your node is locked: its keys wait for you."),
    State.STARTING: phrase("Your node is starting."),
    State.ONLINE: phrase("Your node is online: letters come and go."),
    State.OFFLINE: phrase("Your node is offline: letters wait until it reaches other nodes."),
    State.DEGRADED: phrase("Your node is running, but not all is as it should be."),
    State.PAUSED: phrase("Your node is paused: no letter comes or goes."),
}


def judge(facts: Facts) -> Verdict:
    """What these facts come to."""
    found = sorted(_problems(facts), key=lambda one: -_GRAVITY[one.severity])
    worst = found[0].severity if found else Severity.INFO
    state = _state(facts, found)
    return Verdict(state, _HEALTHS[worst], tuple(found), _sentence(facts, state))


def _sentence(facts: Facts, state: State) -> str:
    if facts.is_set_up and facts.is_coming:
        return _SENTENCES[State.STARTING]
    if facts.is_set_up and not facts.is_running:
        return phrase("Your node is off: no letter comes or goes.")
    if state is State.OFFLINE and facts.cannot_start_because:
        return phrase("Your node cannot start: no letter comes or goes.")
    return _SENTENCES[state]


def _state(facts: Facts, problems: list[Problem]) -> State:
    if not facts.is_set_up:
        return State.SETUP_NEEDED
    if facts.is_coming:
        return State.STARTING
    if not facts.is_running:
        return State.OFFLINE
    if facts.locked_because:
        return State.LOCKED
    if facts.cannot_start_because:
        return State.OFFLINE
    if facts.is_paused:
        return State.PAUSED
    if any(name == "network" for name, _ in facts.failing):
        return State.OFFLINE
    if not facts.is_joined:
        return State.STARTING
    codes = {one.code for one in problems}
    if codes & {Code.NETWORK, Code.NOBODY_ANSWERS}:
        return State.OFFLINE
    if any(one.severity is not Severity.INFO and one.code not in _HARMLESS for one in problems):
        return State.DEGRADED
    return State.ONLINE


def _problems(facts: Facts) -> Iterator[Problem]:
    """All of them; of one severity in the order in which they are best read."""
    yield from _of_owner(facts)
    yield from _of_house(facts)
    if not facts.is_paused and facts.is_joined:
        yield from _of_ways(facts)
    yield from _of_clock(facts)
    yield from _of_queue(facts)
    yield from _of_holders(facts)
    yield from _of_backup(facts)
    yield from _of_requests(facts)


def _of_owner(facts: Facts) -> Iterator[Problem]:
    if not facts.is_set_up:
        yield Problem(
            Code.NOT_SET_UP,
            Severity.ATTENTION,
            phrase("There are no keys and no address here yet."),
            phrase("Make them: postroad setup"),
        )
    elif not facts.is_running and not facts.is_coming:
        yield Problem(
            Code.OFF,
            Severity.BROKEN,
            phrase(
                "While your node is off, letters to you wait with their senders and your holders, "
                "and your mail program can neither send nor read."
            ),
            phrase("Start it: {command}", command=starting.start(facts.keeper)),
        )
    if facts.cannot_start_because:
        yield Problem(
            Code.CANNOT_START,
            Severity.BROKEN,
            joined(phrase("Your node cannot start."), facts.cannot_start_because),
            joined(
                phrase("It looks again by itself, and starts when it can."),
                phrase("Look again: postroad status"),
            ),
        )
    if facts.locked_because:
        yield Problem(
            Code.LOCKED,
            Severity.ATTENTION,
            joined(
                phrase("No letter comes or goes until your keys are open."), facts.locked_because
            ),
            phrase("Open them: postroad unlock"),
        )
    if facts.identity_trouble:
        yield Problem(
            Code.IDENTITY,
            Severity.BROKEN,
            joined(facts.identity_trouble),
            phrase(
                "See who you are, and which devices speak for you: postroad identity, "
                "postroad devices"
            ),
        )
    if facts.is_paused:
        yield Problem(
            Code.PAUSED,
            Severity.INFO,
            joined(
                phrase("You paused your node."),
                phrase(
                    "You can read and write; letters wait, those to you with their senders and "
                    "your holders."
                ),
            ),
            phrase("Be back on the network: postroad resume"),
        )


def _failing(name: str, reason: str) -> str:
    """What a service that begins again and again means."""
    match name:
        case "network":
            fails = phrase("Your node fails to be on the network, and goes on trying:")
        case "sender":
            fails = phrase("Your node fails to send letters, and goes on trying:")
        case "receiver":
            fails = phrase("Your node fails to receive letters, and goes on trying:")
        case "renter":
            fails = phrase("Your node fails to keep holders, and goes on trying:")
        case "relay":
            fails = phrase("Your node fails to be a relay for others, and goes on trying:")
        case "neighbours":
            fails = phrase(
                "Your node fails to find contacts on the local network, and goes on trying:"
            )
        case "directory":
            fails = phrase("Your node fails to take part in the directory, and goes on trying:")
        case "tidy":
            fails = phrase("Your node fails to tidy up, and goes on trying:")
        case _:
            fails = phrase(
                "Your node fails at a part of its work ({name}), and goes on trying:", name=name
            )
    return joined(fails, reason)


def _of_house(facts: Facts) -> Iterator[Problem]:
    make_room = phrase(
        "Make room on the disk of your data folder, then look again: postroad status"
    )
    if facts.store_trouble:
        yield Problem(
            Code.STORE,
            Severity.BROKEN,
            joined(
                phrase("Your store did not take or give what it was asked for:"),
                facts.store_trouble,
            ),
            joined(
                phrase("Nothing that was accepted is lost."),
                phrase("Check the disk and its free space, then look again: postroad status"),
            ),
        )
    if facts.room is Room.NONE:
        yield Problem(
            Code.DISK_FULL,
            Severity.BROKEN,
            phrase(
                "The disk is almost full, so new letters are refused; nothing that was accepted is "
                "lost."
            ),
            make_room,
        )
    elif facts.room is Room.LITTLE:
        yield Problem(
            Code.DISK_LOW,
            Severity.ATTENTION,
            phrase("The disk is filling up: soon new letters will be refused."),
            make_room,
        )
    yield from _of_doors(facts)
    for name, reason in facts.failing:
        yield Problem(
            Code.SERVICE,
            Severity.BROKEN if name in MAIL_SERVICES else Severity.ATTENTION,
            _failing(name, reason),
            joined(
                phrase("Look again in a minute: postroad status."),
                phrase("If it stays so, start your node again:"),
                starting.again(facts.keeper),
            ),
        )
    if facts.not_reloaded:
        yield Problem(
            Code.CONFIGURATION,
            Severity.ATTENTION,
            phrase(
                "Your configuration has a mistake and was not taken over; the one before it counts."
            ),
            phrase(
                "See what is wrong, mend it, and say so: postroad config check, "
                "postroad config reload"
            ),
        )
    if facts.sandbox_lost:
        yield Problem(
            Code.SANDBOX,
            Severity.ATTENTION,
            phrase(
                "This system denies your node its sandbox, which it had before ({reason}); your "
                "node runs without it, and mail flows.",
                reason=facts.sandbox_lost,
            ),
            joined(
                phrase("See what denies it: postroad doctor."),
                phrase("To have it again: postroad service enable"),
            ),
        )
    for kind, count in facts.damaged:
        yield _damage(kind, count)


def _of_doors(facts: Facts) -> Iterator[Problem]:
    for door, reason in facts.doors_shut:
        if door == "SMTP":
            shut = phrase("The {door} door is shut: your mail program cannot send.", door=door)
        else:
            shut = phrase("The {door} door is shut: your mail program cannot read.", door=door)
        yield Problem(
            Code.DOOR_SHUT,
            Severity.BROKEN,
            joined(shut, reason),
            joined(
                phrase("It opens by itself as soon as it can."),
                phrase("With another port in your configuration:"),
                starting.again(facts.keeper, {"smtp_port"}),
            ),
        )
    if facts.doors_not_held:
        yield Problem(
            Code.PORT_NOT_HELD,
            Severity.ATTENTION,
            counted(
                "{doors} has no port that systemd holds: whenever your node is started again, "
                "another user of this computer could listen there, and be shown your mailbox "
                "password.",
                "{doors} have no ports that systemd holds: whenever your node is started again, "
                "another user of this computer could listen there, and be shown your mailbox "
                "password.",
                len(facts.doors_not_held),
                doors=", ".join(facts.doors_not_held),
            ),
            phrase("Make the unit anew: postroad service enable"),
        )
    if facts.astray:
        yield Problem(
            Code.PORT_ASTRAY,
            Severity.ATTENTION,
            phrase(
                "systemd listens at {places}, where no door of yours is: a mail program that still "
                "comes there is turned away.",
                places=", ".join(facts.astray),
            ),
            joined(
                phrase("Make the unit anew: postroad service enable."),
                phrase("The ports that count: postroad status"),
            ),
        )


def _damage(kind: str, count: int) -> Problem:
    """What of one kind stands in the quarantine, and what its owner can do."""
    look = phrase("Check the disk.")
    which = phrase("Which they are: postroad status --json")
    match kind:
        case "letter":  # anybody can send such a thing: no reason for the owner to worry
            return Problem(
                Code.UNREADABLE,
                Severity.INFO,
                counted(
                    "{n} letter that came in could not be opened and is set aside.",
                    "{n} letters that came in could not be opened and are set aside.",
                    count,
                ),
                joined(phrase("If you miss a letter, ask its sender to send it again."), which),
            )
        case "letter to send":
            return _on_disk(
                counted(
                    "{n} letter of yours is damaged on this disk and cannot be sent.",
                    "{n} letters of yours are damaged on this disk and cannot be sent.",
                    count,
                ),
                look,
                phrase("Send again what does not leave your queue: postroad queue"),
            )
        case "parcel":
            return _on_disk(
                counted(
                    "{n} entry of your queue is damaged on this disk, so some letter of yours is "
                    "not sent.",
                    "{n} entries of your queue are damaged on this disk, so some letter of yours "
                    "is not sent.",
                    count,
                ),
                look,
                phrase("Ask your recipients. What is still under way: postroad queue"),
            )
        case "message":
            return _on_disk(
                counted(
                    "{n} message in your folders is damaged on this disk; your mail program shows "
                    "a note in place of it.",
                    "{n} messages in your folders are damaged on this disk; your mail program "
                    "shows a note in place of each.",
                    count,
                ),
                look,
                phrase("Ask the senders."),
                which,
            )
        case "contact":
            return _on_disk(
                counted(
                    "{n} entry of your contacts is damaged on this disk, and cannot be used.",
                    "{n} entries of your contacts are damaged on this disk, and cannot be used.",
                    count,
                ),
                look,
                phrase("Invite whom you miss again: postroad invite"),
            )
        case _:
            what = counted(
                "{n} thing of the kind {kind} is damaged and set aside.",
                "{n} things of the kind {kind} are damaged and set aside.",
                count,
                kind=repr(kind),
            )
            return _on_disk(what, look, which)


def _on_disk(summary: str, *next_step: str) -> Problem:
    return Problem(Code.DAMAGED, Severity.ATTENTION, summary, joined(*next_step))


_WAYS = {"network": Code.NETWORK, "udp": Code.UDP, "incoming": Code.INCOMING, "relay": Code.RELAY}


def _of_ways(facts: Facts) -> Iterator[Problem]:
    for one in facts.bad_ways:
        code = Code.CLOCK_WRONG if one.about == "clock" else _WAYS.get(one.about, Code.INCOMING)
        more = joined(one.next_step, phrase("See: postroad netcheck"))
        yield Problem(code, Severity.ATTENTION, joined(one.summary), more)
    all_of_few = 0 < facts.contacts <= facts.unanswered
    if not facts.linked and (facts.unanswered >= UNANSWERED_MANY or all_of_few):
        tried = counted(
            "No other node answers now; {n} was tried.",
            "No other node answers now; {n} were tried.",
            facts.unanswered,
        )
        yield Problem(
            Code.NOBODY_ANSWERS,
            Severity.INFO,
            joined(tried, phrase("They are off, or something between you and them is.")),
            joined(
                phrase("Letters wait, and go by themselves."),
                phrase("See what is open: postroad netcheck"),
            ),
        )


def _of_clock(facts: Facts) -> Iterator[Problem]:
    clock = facts.clock
    if not clock.is_worth_a_word(something_waits=facts.waits_for_clock):
        return
    agreeing, disagreeing = clock.agreeing, clock.disagreeing
    until_confirmed = phrase(
        "Until then nothing expires, and nothing old is removed; letters come and go as always."
    )
    if clock.because is Because.CONTRADICTED:
        others = counted(
            "{n} of your contacts' nodes says another time than this computer.",
            "{n} of your contacts' nodes say another time than this computer.",
            disagreeing,
        )
        same = phrase("None says the same.")
        if agreeing:
            same = counted("{n} says the same.", "{n} say the same.", agreeing)
        yield Problem(
            Code.CLOCK_WRONG,
            Severity.ATTENTION,
            joined(others, same, until_confirmed),
            phrase(
                "Look at the date of this computer and set it; then look again: postroad status"
            ),
        )
        return
    if clock.because is Because.STEPPED:
        begins = phrase("The clock of this computer was set, and is not confirmed since:")
    else:
        begins = phrase("The clock of this computer is not confirmed yet:")
    needed = {"needed": limits.CLOCK_VOICES}
    agree = phrase(
        "no contacts' nodes agree with it, and {needed} are needed, or a day of running.", **needed
    )
    if agreeing:
        agree = counted(
            "{n} contact's node agrees with it, and {needed} are needed, or a day of running.",
            "{n} contacts' nodes agree with it, and {needed} are needed, or a day of running.",
            agreeing,
            **needed,
        )
    yield Problem(
        Code.CLOCK_UNCONFIRMED,
        Severity.INFO,
        joined(begins, agree, until_confirmed),
        phrase("There is nothing to do. Who could say the time: postroad peers"),
    )


def _of_queue(facts: Facts) -> Iterator[Problem]:
    if facts.late_here:
        yield Problem(
            Code.LATE_HERE,
            Severity.ATTENTION,
            counted(
                "{n} letter of yours has been under way for more than a day, and no holder has it "
                "yet: this computer alone does.",
                "{n} letters of yours have been under way for more than a day, and no holder has "
                "them yet: this computer alone does.",
                facts.late_here,
            ),
            phrase("See why, and what will do: postroad queue"),
        )
    if facts.late_held:
        yield Problem(
            Code.LATE_HELD,
            Severity.INFO,
            counted(
                "{n} letter of yours waits at holders for more than a day: the recipient has been "
                "away.",
                "{n} letters of yours wait at holders for more than a day: the recipient has been "
                "away.",
                facts.late_held,
            ),
            joined(phrase("Nothing is lost."), phrase("See which: postroad queue")),
        )


def too_few_holders(contacts: int, holders: int) -> Problem | None:
    """What it means to have so many; None: they are enough."""
    if not contacts:
        return Problem(
            Code.NO_CONTACTS,
            Severity.INFO,
            phrase("You have no contacts yet, so nobody can write to you or hold letters for you."),
            phrase("Invite somebody: postroad invite"),
        )
    return _few_holders(holders) if holders < limits.HOLDERS_SAFE else None


def _of_holders(facts: Facts) -> Iterator[Problem]:
    few = too_few_holders(facts.contacts, facts.holders)
    if few is not None:
        yield few
    if facts.holders_silent:
        yield Problem(
            Code.SILENT_HOLDERS,
            Severity.INFO,
            counted(
                "{n} more holder has not been seen for days, and will be replaced as soon as "
                "somebody else can hold for you.",
                "{n} more holders have not been seen for days, and will be replaced as soon as "
                "somebody else can hold for you.",
                facts.holders_silent,
            ),
            phrase("See who was seen when: postroad peers"),
        )
    for one in facts.unwilling:
        if one.is_contact:
            whose = phrase("{name}'s node does not hold for you:", name=one.name)
        else:
            whose = phrase("A contact of {name}'s does not hold for you:", name=one.name)
        yield Problem(
            Code.UNWILLING_HOLDER,
            Severity.INFO,
            joined(whose, one.reason),
            phrase("Others will do. See who holds: postroad peers"),
        )
    for name, reason in facts.helpers_refusing:
        yield Problem(
            Code.UNWILLING_HELPER,
            Severity.INFO,
            joined(phrase("The helper {name} does not serve you any more:", name=name), reason),
            phrase("Ask its owner for another link, or forget it: postroad helpers"),
        )


def _few_holders(holders: int) -> Problem:
    if not holders:
        return Problem(
            Code.NO_HOLDERS,
            Severity.ATTENTION,
            joined(
                phrase("Nobody holds letters for you while this computer is off."),
                counted(
                    "Safe: each letter to you stays on its sender's computer, which tries again "
                    "until you are both on, for up to {n} day.",
                    "Safe: each letter to you stays on its sender's computer, which tries again "
                    "until you are both on, for up to {n} days.",
                    limits.EXPIRY_SECONDS_MAX // limits.DAY,
                ),
                phrase("Not safe: if that computer is lost before, the letter is lost with it."),
            ),
            phrase("Invite people; their nodes will hold for you: postroad invite"),
        )
    return Problem(
        Code.FEW_HOLDERS,
        Severity.INFO,
        joined(
            counted(
                "{n} holder of {wanted} keeps letters for you while you are away. That is few.",
                "{n} holders of {wanted} keep letters for you while you are away. That is few.",
                holders,
                wanted=limits.HOLDERS_WANTED,
            ),
            phrase(
                "Safe: each letter to you stays on its sender's computer, too, until it is in your "
                "INBOX; one that a holder took comes without its sender."
            ),
            counted(
                "Not safe: while your holder cannot be reached, letters wait until you and their "
                "sender are both on; and one is lost if its sender's computer and your holder are "
                "lost before you have it.",
                "Not safe: while your holders cannot be reached, letters wait until you and their "
                "sender are both on; and one is lost if its sender's computer and your holders are "
                "lost before you have it.",
                holders,
            ),
        ),
        phrase(
            "Invite more people (postroad invite): {safe} holders are enough for every day, "
            "{wanted} for a disaster.",
            safe=limits.HOLDERS_SAFE,
            wanted=limits.HOLDERS_WANTED,
        ),
    )


def _of_backup(facts: Facts) -> Iterator[Problem]:
    if facts.backup_days > limits.BACKUP_DAYS_MAX:
        folder = shlex.quote(facts.backup_folder) if facts.backup_folder else "FOLDER"
        yield Problem(
            Code.BACKUP_OLD,
            Severity.INFO,
            counted(
                "Your last backup is {n} day old; what came since is only here.",
                "Your last backup is {n} days old; what came since is only here.",
                facts.backup_days,
            ),
            phrase("Plug in its disk, and type: postroad backup to {folder}", folder=folder),
        )


def _of_requests(facts: Facts) -> Iterator[Problem]:
    if facts.requests:
        yield Problem(
            Code.REQUESTS,
            Severity.INFO,
            counted(
                "{n} letter of a stranger waits for your answer.",
                "{n} letters of strangers wait for your answer.",
                facts.requests,
            ),
            phrase("See: postroad requests"),
        )
    if facts.proposals:
        yield Problem(
            Code.PROPOSALS,
            Severity.INFO,
            counted(
                "{n} introduction waits for your answer.",
                "{n} introductions wait for your answer.",
                facts.proposals,
            ),
            phrase("See: postroad proposals"),
        )
