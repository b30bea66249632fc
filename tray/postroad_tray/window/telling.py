"""What the window says of the picture as a whole: whether the service answers, and what is wrong.

Pure: from a picture to words, a mark, and what a button may do about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from postroad.contract import Severity, State
from postroad_tray.facts import Link, Picture, Problem
from postroad_tray.state import link_sentence, stopped
from postroad_tray.tongue import _, many
from postroad_tray.window.shapes import Mark


@dataclass(frozen=True, slots=True)
class Banner:
    """What stands above every page. `may_start`: a button that starts the service belongs there."""

    mark: Mark
    sentence: str
    next_step: str = ""
    more: str = ""
    may_start: bool = False


SEVERITY_MARKS: Mapping[Severity, Mark] = {
    Severity.INFO: Mark.WAITING,
    Severity.ATTENTION: Mark.ATTENTION,
    Severity.BROKEN: Mark.BROKEN,
}
STATE_MARKS: Mapping[State, Mark] = {
    State.SETUP_NEEDED: Mark.ATTENTION,
    State.LOCKED: Mark.ATTENTION,
    State.STARTING: Mark.WORKING,
    State.ONLINE: Mark.OK,
    State.OFFLINE: Mark.WAITING,
    State.DEGRADED: Mark.ATTENTION,
    State.PAUSED: Mark.OFF,
}


def link_banner(picture: Picture) -> Banner | None:
    """Why what is shown may be old; None where the service answers."""
    sentence = stopped(link_sentence(picture.link))
    match picture.link:
        case Link.THERE:
            return None
        case Link.ASKED:
            return Banner(Mark.WORKING, sentence)
        case Link.ABSENT:
            return Banner(
                Mark.OFF,
                sentence,
                _("Letters to you wait with their senders and your holders. Start it to get them."),
                may_start=True,
            )
        case Link.SILENT:
            return Banner(
                Mark.ATTENTION,
                sentence,
                _(
                    "It may be busy or just starting; what you see is from before, and this goes "
                    "away when it answers. If it stays, type in a terminal: "
                    "postroad service restart"
                ),
            )
        case Link.NO_BUS:
            return Banner(
                Mark.OFF,
                sentence,
                _(
                    "Mail goes on without it. Log in to a desktop, or type in a terminal: "
                    "postroad status"
                ),
            )


def problem_banner(picture: Picture) -> Banner | None:
    """The worst problem and what to do about it; None where nothing wants its owner."""
    if not picture.is_there:
        return None
    grave = worth_a_banner(picture)
    if not grave:
        return None
    more = many("and {n} more", "and {n} more", len(grave) - 1) if len(grave) > 1 else ""
    return Banner(SEVERITY_MARKS[grave[0].severity], grave[0].summary, grave[0].next_step, more)


def worth_a_banner(picture: Picture) -> tuple[Problem, ...]:
    """The service tells the worst first."""
    return tuple(one for one in picture.node.problems if one.severity is not Severity.INFO)


def headline(picture: Picture) -> tuple[Mark, str]:
    """How everything is, in one sentence."""
    banner = link_banner(picture)
    if banner is not None:
        return banner.mark, banner.sentence
    state = picture.node.state
    grave = worth_a_banner(picture)
    mark = STATE_MARKS[state]
    if grave and (mark is Mark.OK or grave[0].severity is Severity.BROKEN):
        mark = SEVERITY_MARKS[grave[0].severity]
    return mark, state_sentence(state)


def state_sentence(state: State) -> str:
    """As the service says it, in the language of whoever reads it."""
    return {
        State.SETUP_NEEDED: _("Postroad is not set up yet: you have no address."),
        State.LOCKED: _("Your node is locked: its keys wait for you."),
        State.STARTING: _("Your node is starting."),
        State.ONLINE: _("Your node is online: letters come and go."),
        State.OFFLINE: _("Your node is offline: letters wait until it reaches other nodes."),
        State.DEGRADED: _("Your node is running, but not all is as it should be."),
        State.PAUSED: _("Your node is paused: no letter comes or goes."),
    }[state]
