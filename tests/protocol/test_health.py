"""How a node is doing: every fact, and what its owner is told of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.app.cli import main
from postroad.base import limits
from postroad.contract import Health, Severity, State
from postroad.protocol import netcheck
from postroad.protocol.clock import Because, Judgement
from postroad.protocol.health import Code, Facts, Problem, Room, Unwilling, Verdict, judge
from postroad.protocol.netcheck import Way
from postroad.protocol.starting import Keeper

WELL = Facts()
NO_NETWORK = Way("network", netcheck.State.BAD, "This computer has no network.", "Connect it.")
NO_UDP = Way("udp", netcheck.State.BAD, "This network blocks UDP.", "Add a helper.")
NO_WAY_IN = Way("incoming", netcheck.State.BAD, "A firewall keeps others away.", "")
NO_RELAY = Way("relay", netcheck.State.BAD, "Your helper does not answer.", "Look at it.")
AHEAD = Way("clock", netcheck.State.BAD, "Your clock is 2 days ahead.", "Set it.")
SURE = Judgement(True, Because.UPTIME, 0, 0)
STARTED = Judgement(False, Because.STARTED, 1, 0, limits.HOUR)
NEW = Judgement(False, Because.STARTED, 1, 0, 60.0)
STEPPED = Judgement(False, Because.STEPPED, 2, 1, limits.HOUR)
CONTRADICTED = Judgement(False, Because.CONTRADICTED, 1, 3)

# Every fact, from the best to the worst, and what each comes to when all else is well: the state,
# the health, and the code of the problem.
ONLINE, OFFLINE, DEGRADED = State.ONLINE, State.OFFLINE, State.DEGRADED
OK, ATTENTION, BROKEN = Health.OK, Health.ATTENTION, Health.BROKEN
Row = tuple[dict[str, Any], State, Health, Code | None]
TABLE: dict[str, list[Row]] = {
    "is_set_up": [
        ({}, ONLINE, OK, None),
        ({"is_set_up": False}, State.SETUP_NEEDED, ATTENTION, Code.NOT_SET_UP),
    ],
    "is_running": [
        ({}, ONLINE, OK, None),
        ({"is_running": False}, OFFLINE, BROKEN, Code.OFF),
    ],
    "is_coming": [
        ({}, ONLINE, OK, None),
        ({"is_running": False, "is_coming": True}, State.STARTING, OK, None),
    ],
    "keeper": [
        ({}, ONLINE, OK, None),
        ({"is_running": False, "keeper": Keeper.NOBODY_YET}, OFFLINE, BROKEN, Code.OFF),
        (
            {"doors_shut": (("SMTP", ""),), "keeper": Keeper.SERVICE},
            DEGRADED,
            BROKEN,
            Code.DOOR_SHUT,
        ),
    ],
    "cannot_start_because": [
        ({}, ONLINE, OK, None),
        ({"cannot_start_because": "Taken."}, OFFLINE, BROKEN, Code.CANNOT_START),
    ],
    "locked_because": [
        ({}, ONLINE, OK, None),
        ({"locked_because": "A passphrase."}, State.LOCKED, ATTENTION, Code.LOCKED),
    ],
    "is_paused": [({}, ONLINE, OK, None), ({"is_paused": True}, State.PAUSED, OK, Code.PAUSED)],
    "is_joined": [({}, ONLINE, OK, None), ({"is_joined": False}, State.STARTING, OK, None)],
    "contacts": [({}, ONLINE, OK, None), ({"contacts": 0}, ONLINE, OK, Code.NO_CONTACTS)],
    "linked": [
        ({"contacts": 9, "unanswered": 3, "linked": 1}, ONLINE, OK, None),
        ({"contacts": 9, "unanswered": 3, "linked": 0}, OFFLINE, OK, Code.NOBODY_ANSWERS),
    ],
    "unanswered": [
        ({"contacts": 9}, ONLINE, OK, None),
        ({"contacts": 9, "unanswered": 2}, ONLINE, OK, None),
        ({"contacts": 9, "unanswered": 3}, OFFLINE, OK, Code.NOBODY_ANSWERS),
        ({"contacts": 9, "unanswered": 8}, OFFLINE, OK, Code.NOBODY_ANSWERS),
    ],
    "bad_ways": [
        ({}, ONLINE, OK, None),
        ({"bad_ways": (NO_RELAY,)}, DEGRADED, ATTENTION, Code.RELAY),
        ({"bad_ways": (NO_RELAY, NO_WAY_IN)}, DEGRADED, ATTENTION, Code.INCOMING),
        ({"bad_ways": (NO_RELAY, NO_WAY_IN, NO_UDP)}, DEGRADED, ATTENTION, Code.UDP),
        ({"bad_ways": (NO_RELAY, NO_WAY_IN, AHEAD)}, DEGRADED, ATTENTION, Code.CLOCK_WRONG),
        ({"bad_ways": (NO_NETWORK,)}, OFFLINE, ATTENTION, Code.NETWORK),
    ],
    "holders": [
        ({}, ONLINE, OK, None),
        ({"holders": limits.HOLDERS_SAFE}, ONLINE, OK, None),
        ({"holders": 2}, ONLINE, OK, Code.FEW_HOLDERS),
        ({"holders": 1}, ONLINE, OK, Code.FEW_HOLDERS),
        ({"holders": 0}, DEGRADED, ATTENTION, Code.NO_HOLDERS),
    ],
    "holders_silent": [
        ({}, ONLINE, OK, None),
        ({"holders_silent": 1}, ONLINE, OK, Code.SILENT_HOLDERS),
        ({"holders_silent": 5}, ONLINE, OK, Code.SILENT_HOLDERS),
    ],
    "unwilling": [
        ({}, ONLINE, OK, None),
        ({"unwilling": (Unwilling("ben", True, "No."),)}, ONLINE, OK, Code.UNWILLING_HOLDER),
        ({"unwilling": (Unwilling("ben", False, "No."),)}, ONLINE, OK, Code.UNWILLING_HOLDER),
    ],
    "helpers_refusing": [
        ({}, ONLINE, OK, None),
        ({"helpers_refusing": (("box", "No."),)}, ONLINE, OK, Code.UNWILLING_HELPER),
    ],
    "late_here": [
        ({}, ONLINE, OK, None),
        ({"late_here": 1}, ONLINE, ATTENTION, Code.LATE_HERE),
        ({"late_here": 70}, ONLINE, ATTENTION, Code.LATE_HERE),
    ],
    "late_held": [
        ({}, ONLINE, OK, None),
        ({"late_held": 1}, ONLINE, OK, Code.LATE_HELD),
        ({"late_held": 70}, ONLINE, OK, Code.LATE_HELD),
    ],
    "store_trouble": [
        ({}, ONLINE, OK, None),
        ({"store_trouble": "The disk did not take it."}, DEGRADED, BROKEN, Code.STORE),
    ],
    "damaged": [
        ({}, ONLINE, OK, None),
        ({"damaged": (("letter", 9),)}, ONLINE, OK, Code.UNREADABLE),
        ({"damaged": (("message", 1),)}, ONLINE, ATTENTION, Code.DAMAGED),
        ({"damaged": (("letter to send", 1),)}, ONLINE, ATTENTION, Code.DAMAGED),
        ({"damaged": (("contact", 1),)}, ONLINE, ATTENTION, Code.DAMAGED),
        ({"damaged": (("parcel", 1), ("what is new", 2))}, ONLINE, ATTENTION, Code.DAMAGED),
    ],
    "room": [
        ({}, ONLINE, OK, None),
        ({"room": Room.LITTLE}, DEGRADED, ATTENTION, Code.DISK_LOW),
        ({"room": Room.NONE}, DEGRADED, BROKEN, Code.DISK_FULL),
    ],
    "clock": [
        ({}, ONLINE, OK, None),
        ({"clock": SURE}, ONLINE, OK, None),
        ({"clock": STARTED}, ONLINE, OK, Code.CLOCK_UNCONFIRMED),
        ({"clock": STEPPED}, ONLINE, OK, Code.CLOCK_UNCONFIRMED),
        ({"clock": CONTRADICTED}, DEGRADED, ATTENTION, Code.CLOCK_WRONG),
    ],
    "waits_for_clock": [
        ({"clock": NEW}, ONLINE, OK, None),
        ({"clock": NEW, "waits_for_clock": True}, ONLINE, OK, Code.CLOCK_UNCONFIRMED),
    ],
    "doors_shut": [
        ({}, ONLINE, OK, None),
        ({"doors_shut": (("SMTP", ""),)}, DEGRADED, BROKEN, Code.DOOR_SHUT),
        (
            {"doors_shut": (("SMTP", "It is taken."), ("IMAP", ""))},
            DEGRADED,
            BROKEN,
            Code.DOOR_SHUT,
        ),
    ],
    "doors_not_held": [
        ({}, ONLINE, OK, None),
        ({"doors_not_held": ("SMTP",)}, ONLINE, ATTENTION, Code.PORT_NOT_HELD),
        ({"doors_not_held": ("SMTP", "IMAP")}, ONLINE, ATTENTION, Code.PORT_NOT_HELD),
    ],
    "astray": [
        ({}, ONLINE, OK, None),
        ({"astray": ("[::1]:1",)}, ONLINE, ATTENTION, Code.PORT_ASTRAY),
        ({"astray": ("[::1]:1", "127.0.0.1:1")}, ONLINE, ATTENTION, Code.PORT_ASTRAY),
    ],
    "identity_trouble": [
        ({}, ONLINE, OK, None),
        ({"identity_trouble": "It was revoked."}, DEGRADED, BROKEN, Code.IDENTITY),
    ],
    "failing": [
        ({}, ONLINE, OK, None),
        ({"failing": (("relay", "Taken."),)}, DEGRADED, ATTENTION, Code.SERVICE),
        ({"failing": (("what is new", "Taken."),)}, DEGRADED, ATTENTION, Code.SERVICE),
        ({"failing": (("sender", "Taken."),)}, DEGRADED, BROKEN, Code.SERVICE),
        ({"failing": (("network", "Taken."),)}, OFFLINE, BROKEN, Code.SERVICE),
    ],
    "not_reloaded": [
        ({}, ONLINE, OK, None),
        ({"not_reloaded": True}, ONLINE, ATTENTION, Code.CONFIGURATION),
    ],
    "sandbox_lost": [
        ({}, ONLINE, OK, None),
        ({"sandbox_lost": "user namespaces"}, ONLINE, ATTENTION, Code.SANDBOX),
    ],
    "backup_days": [
        ({}, ONLINE, OK, None),
        ({"backup_days": limits.BACKUP_DAYS_MAX}, ONLINE, OK, None),
        ({"backup_days": limits.BACKUP_DAYS_MAX + 1}, ONLINE, OK, Code.BACKUP_OLD),
        ({"backup_days": 400}, ONLINE, OK, Code.BACKUP_OLD),
    ],
    "backup_folder": [
        ({}, ONLINE, OK, None),
        ({"backup_folder": "/media/a stick"}, ONLINE, OK, None),
    ],
    "requests": [
        ({}, ONLINE, OK, None),
        ({"requests": 1}, ONLINE, OK, Code.REQUESTS),
        ({"requests": 9}, ONLINE, OK, Code.REQUESTS),
    ],
    "proposals": [
        ({}, ONLINE, OK, None),
        ({"proposals": 1}, ONLINE, OK, Code.PROPOSALS),
        ({"proposals": 9}, ONLINE, OK, Code.PROPOSALS),
    ],
}
ROWS = [
    pytest.param(row, id=f"{name} {at}") for name in TABLE for at, row in enumerate(TABLE[name])
]
# What the owner wants and what begins is no worse fact, and who has no contacts needs no holders;
# a row that sets more than its own fact is not a step in one of them alone.
NOT_WORSE = {"is_coming", "is_paused", "is_joined", "contacts", "linked", "unanswered", "keeper"}
CHAINS = {name: [row[0].get(name, getattr(WELL, name)) for row in TABLE[name]] for name in TABLE}
CHAINS["keeper"] = list(Keeper)
CHAINS["linked"] = [1, 0]
CHAINS["unanswered"] = [0, 1, 2, 3, 8]
WORSE = sorted((set(CHAINS) - NOT_WORSE) | {"linked", "unanswered"})
FACTS = st.fixed_dictionaries({name: st.sampled_from(CHAINS[name]) for name in CHAINS}).map(
    lambda values: Facts(**values)
)
HEALTHS = list(Health)


def codes(verdict: Verdict) -> list[Code]:
    return [one.code for one in verdict.problems]


def test_the_table_names_every_fact_and_every_problem() -> None:
    assert set(TABLE) == {one.name for one in fields(Facts)}
    assert {code for rows in TABLE.values() for *_, code in rows} - {None} == set(Code)


@pytest.mark.parametrize("row", ROWS)
def test_each_fact_has_its_state_health_and_problem(row: Row) -> None:
    changed, state, health, code = row
    verdict = judge(replace(WELL, **changed))
    assert (verdict.state, verdict.health) == (state, health)
    assert codes(verdict) == [] if code is None else code in codes(verdict)


def commands_in(text: str) -> list[str]:
    """The commands of ours that a text names, as they are typed."""
    found = []
    for said in re.findall(r"postroad((?: [a-z-]+)+)", text):
        words: list[str] = []
        command: click.Command | None = main
        for word in said.split():
            command = command.commands.get(word) if isinstance(command, click.Group) else None
            if command is None:
                break
            words.append(word)
        found.append(" ".join(words))
    return found


def check(problem: Problem) -> None:
    named = commands_in(problem.next_step)
    assert named, problem
    assert all(named), problem  # none of them is one that does not exist
    assert "\n" not in problem.summary + problem.next_step
    assert problem.next_step[0].isupper()
    assert problem.summary.endswith("."), problem


@given(FACTS)
def test_every_problem_is_told_with_a_command_that_exists(facts: Facts) -> None:
    verdict = judge(facts)
    for problem in verdict.problems:
        check(problem)
    assert verdict.sentence.endswith(".")


@given(FACTS)
def test_the_worst_problem_comes_first_and_decides(facts: Facts) -> None:
    verdict = judge(facts)
    assert judge(replace(facts)) == verdict
    grave = [list(Severity).index(one.severity) for one in verdict.problems]
    assert grave == sorted(grave, reverse=True)
    worst = max(grave, default=0)
    assert HEALTHS.index(verdict.health) == worst
    if verdict.state in (State.ONLINE, State.STARTING):
        assert verdict.health is not Health.BROKEN or verdict.state is State.STARTING


@given(FACTS, st.data())
def test_a_worse_fact_never_gives_a_better_health(facts: Facts, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(WORSE))
    values: Sequence[Any] = CHAINS[name]
    at = values.index(getattr(facts, name))
    worse = replace(facts, **{name: data.draw(st.sampled_from(values[at:]))})
    assert HEALTHS.index(judge(worse).health) >= HEALTHS.index(judge(facts).health)


@given(FACTS)
def test_a_pause_hides_what_is_wrong_with_the_ways_and_nothing_else(facts: Facts) -> None:
    paused, running = judge(replace(facts, is_paused=True)), judge(replace(facts, is_paused=False))
    ways = {Code.NETWORK, Code.UDP, Code.INCOMING, Code.RELAY, Code.NOBODY_ANSWERS}
    hidden = set(codes(running)) - set(codes(paused))
    assert hidden <= ways | {Code.CLOCK_WRONG}
    assert set(codes(paused)) - set(codes(running)) == {Code.PAUSED}


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (replace(WELL, clock=replace(STARTED, agreeing=0)), "not confirmed yet: no contacts'"),
        (replace(WELL, clock=STARTED), "1 contact's node agrees with it"),
        (replace(WELL, clock=STEPPED), "was set, and is not confirmed since: 2 contacts' nodes"),
        (replace(WELL, clock=CONTRADICTED), "3 of your contacts' nodes say another time"),
        (replace(WELL, holders=0), "Not safe: if that computer is lost before"),
        (replace(WELL, holders=1), "1 holder of 8 keeps letters for you while you are away. That"),
        (replace(WELL, holders=2), "while your holders cannot be reached"),
        (replace(WELL, holders_silent=1), "1 more holder has not been seen for days"),
        (replace(WELL, unwilling=(Unwilling("ben", True, "It is full."),)), "ben's node does not"),
        (replace(WELL, unwilling=(Unwilling("ben", False, "No."),)), "A contact of ben's does not"),
        (replace(WELL, damaged=(("letter", 1),)), "1 letter that came in could not be opened and"),
        (replace(WELL, damaged=(("parcel", 2),)), "2 entries of your queue are damaged"),
        (replace(WELL, damaged=(("message", 1),)), "1 message in your folders is damaged"),
        (replace(WELL, requests=1), "1 letter of a stranger waits for your answer."),
        (replace(WELL, late_here=1), "1 letter of yours has been under way for more than a day"),
        (replace(WELL, late_here=2), "no holder has them yet"),
        (replace(WELL, doors_shut=(("IMAP", ""),)), "your mail program cannot read."),
        (replace(WELL, unanswered=1), "1 was tried"),
    ],
)
def test_problems_count_as_people_do(facts: Facts, says: str) -> None:
    (problem,) = judge(facts).problems
    assert says in problem.summary


@pytest.mark.parametrize(
    ("keeper", "off", "shut"),
    [
        (Keeper.SERVICE, "Start it: postroad service restart", ": postroad service restart"),
        (Keeper.NOBODY_YET, "Start it: postroad service enable", "then type: postroad run"),
        (Keeper.TERMINAL, "Start it: postroad run", "then type: postroad run"),
    ],
)
def test_what_is_typed_to_start_it_is_what_works_for_this_node(
    keeper: Keeper, off: str, shut: str
) -> None:
    (problem,) = judge(Facts(is_running=False, keeper=keeper)).problems
    assert problem.next_step == off
    (problem,) = judge(Facts(failing=(("relay", "Taken."),), keeper=keeper)).problems
    assert problem.next_step.endswith(shut)
    (problem,) = judge(Facts(doors_shut=(("IMAP", ""),), keeper=keeper)).problems
    assert problem.next_step.endswith(shut.replace("restart", "enable"))  # another port


def test_a_node_that_is_off_or_cannot_start_says_that_no_letter_goes() -> None:
    off, cannot = judge(Facts(is_running=False)), judge(Facts(cannot_start_because="Taken."))
    assert off.sentence == "Your node is off: no letter comes or goes."
    assert cannot.sentence == "Your node cannot start: no letter comes or goes."
    assert judge(Facts(is_set_up=False, is_running=False)).state is State.SETUP_NEEDED
