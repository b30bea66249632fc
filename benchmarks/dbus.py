"""A thousand calls a second over the session bus, against quiet: what letters and NOOPs feel.

    make bench ONLY=dbus [SEED=7] [ARGS="6 8"]      rounds, and seconds of each half

Anna's node is on a bus of its own. In each round there is a quiet half and one in which a program
calls it 1,000 times a second (properties, all objects, methods that ask the node); which comes
first is thrown. That program runs with the lowest priority: what it costs itself is not the node's.
All the time Anna's mail program says NOOP, and Bora gets letters of hers; measured
is how long each takes. `ratio` is loaded against quiet, in the same run.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import results
from bus_scene import wait_for_name
from mail_program import incoming, outgoing, quantiles, write_letter
from person import Person, meet
from postroad.contract import BUS_NAME, MANAGER_INTERFACE, ROOT_PATH, BusError
from postroad.doors.dbus.interfaces import OBJECT_MANAGER, PROPERTIES
from session_bus import connected, session_bus

CALLS_A_SECOND = 1000
AT_ONCE = 10  # every so many milliseconds
CATCH_UP = 5  # times as many, when the program came late: the library cannot wait for room
PAUSE_SECONDS = 0.05  # between two NOOPs
LETTER_PAUSE_SECONDS = 0.2  # a contact takes 500 letters at once, and then one a minute


# The program that calls: a process of its own ---------------------------------------------------


async def call(seconds: float) -> None:
    """Print how many calls were made, answered and refused."""
    import dbus_fast
    import dbus_fast.aio

    bus = await connected(dbus_fast.aio)
    counts = {"made": 0, "answered": 0, "refused": 0}

    async def one(number: int) -> None:
        kind = number % 20
        body: list[Any] = []
        interface, member, signature = PROPERTIES, "Get", "ss"
        if kind == 0:
            interface, member, signature = OBJECT_MANAGER, "GetManagedObjects", ""
        elif kind == 1:
            interface, member, signature = MANAGER_INTERFACE, "GetStatus", ""
        elif kind < 5:
            member, signature, body = "GetAll", "s", [MANAGER_INTERFACE]
        else:
            body = [MANAGER_INTERFACE, "ParcelsUnderWay"]
        message = dbus_fast.Message(
            destination=BUS_NAME,
            path=ROOT_PATH,
            interface=interface,
            member=member,
            signature=signature,
            body=body,
        )
        reply = await bus.call(message)
        refused = reply.message_type == dbus_fast.MessageType.ERROR
        assert not refused or reply.error_name == BusError.BUSY, reply.body
        counts["refused" if refused else "answered"] += 1

    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        while (now := time.monotonic() - began) < seconds:
            begun = counts["made"]
            due = min(now, seconds) * CALLS_A_SECOND  # late ones are made up for, not all at once
            while counts["made"] < min(due, begun + CATCH_UP * AT_ONCE):
                tasks.create_task(one(counts["made"]))
                counts["made"] += 1
            await asyncio.sleep(AT_ONCE / 1000)
    print(counts["made"], counts["answered"], counts["refused"], flush=True)


# What is measured ---------------------------------------------------------------------------------


def noops(anna: Person, ends: float, found: list[float]) -> None:
    with anna.imap() as imap:
        while time.monotonic() < ends:
            began = time.perf_counter()
            imap.noop()
            found.append(time.perf_counter() - began)
            time.sleep(PAUSE_SECONDS)


def letters(anna: Person, bora: Person, ends: float, found: list[float], dice: Any) -> None:
    with incoming(bora) as watching, outgoing(anna) as door:
        number = 0
        while time.monotonic() < ends:
            octets = write_letter(anna.address, bora.address, 4000, number, dice)
            _, filed = door.hand_over(bora.address, octets, watching)
            found.append(filed)
            number += 1
            time.sleep(LETTER_PAUSE_SECONDS)


def half(
    anna: Person, bora: Person, seconds: float, *, loaded: bool, name: str
) -> tuple[list[float], list[float], list[int]]:
    """NOOPs, letters, and what became of the calls."""
    found_noops: list[float] = []
    found_letters: list[float] = []
    caller = None
    if loaded:
        caller = subprocess.Popen(
            ["nice", "-n", "19", sys.executable, __file__, "call", str(seconds)],
            stdout=subprocess.PIPE,
            text=True,
        )
        time.sleep(0.7)  # it has begun
    ends = time.monotonic() + seconds - 0.7
    beside = threading.Thread(target=noops, args=(anna, ends, found_noops))
    beside.start()
    letters(anna, bora, ends, found_letters, results.dice(name))
    beside.join()
    counts = [0, 0, 0]
    if caller is not None:
        told, _ = caller.communicate()
        counts = [int(one) for one in told.split()]
    return found_noops, found_letters, counts


def main() -> None:
    if sys.argv[1:2] == ["call"]:
        asyncio.run(call(float(sys.argv[2])))
        return
    results.must_be_alone()
    rounds = int(sys.argv[1]) if sys.argv[1:] else 6
    seconds = float(sys.argv[2]) if sys.argv[2:] else 8.0
    taken: dict[str, dict[bool, list[float]]] = {
        "noop": {False: [], True: []},
        "letter": {False: [], True: []},
    }
    calls = [0, 0, 0]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pr-")))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.delenv("XDG_RUNTIME_DIR", raising=False)
        anna, bora = Person("anna", folder, 0), Person("bora", folder, 1)
        for one in (anna, bora):
            one.set_up()
            stack.callback(one.kill)
        bora.start()
        stack.enter_context(session_bus(folder))
        anna.start()
        wait_for_name()
        meet(bora, anna)
        half(anna, bora, 2.0, loaded=False, name="warm-up")
        for number in range(rounds):
            order = results.dice(f"dbus order {number}").sample((False, True), 2)
            for loaded in order:
                noop, letter, counts = half(
                    anna, bora, seconds, loaded=loaded, name=f"dbus {number} {loaded}"
                )
                taken["noop"][loaded] += noop
                taken["letter"][loaded] += letter
                calls = [sum(pair) for pair in zip(calls, counts, strict=True)]
    figure: dict[str, object] = {
        "calls_a_second": round(calls[0] / (rounds * seconds)),
        "calls": dict(zip(("made", "answered", "refused_as_busy"), calls, strict=True)),
    }
    for what, found in taken.items():
        quiet, loud = quantiles(found[False]), quantiles(found[True])
        figure[what] = {
            "quiet_ms": quiet,
            "loaded_ms": loud,
            "ratio_p99": round(_p99(found[True]) / _p99(found[False]), 2),
            "n": {"quiet": len(found[False]), "loaded": len(found[True])},
        }
    results.write("dbus", figure, rounds)


def _p99(found: list[float]) -> float:
    return sorted(found)[min(int(len(found) * 0.99), len(found) - 1)]


if __name__ == "__main__":
    main()
