"""Whoever has the service's name may say what they like, and as much as they like: nothing breaks,
nothing grows, nothing is believed that was said by somebody else; with each library."""

from __future__ import annotations

import asyncio
import importlib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus_scene import folder_of, impostor
from drawing import Asking, drawn
from needed import skip_without
from postroad import contract
from postroad.contract import MANAGER_INTERFACE, ROOT_PATH, State
from postroad_tray import errors, instance
from postroad_tray.client import Question
from postroad_tray.facts import OBJECTS_MAX, Link
from session_bus import SessionBus, closed, connected

SHOWN_SECONDS_MAX = 2.0
FLOODED_SECONDS = 4.0
SHARE_MAX = 0.5  # of a core, for all of our process, while somebody floods us
GROWTH_KIB_MAX = 60_000
ALIVE = (Link.THERE, Link.ASKED, Link.SILENT)


@pytest.fixture(scope="module", params=["dbus-next", "dbus-fast"])
def bus(request: pytest.FixtureRequest) -> Iterator[SessionBus]:
    skip_without("dbus-daemon")
    folder = folder_of(f"impostors-{request.param[-4:]}")
    found = SessionBus(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBUS_SESSION_BUS_ADDRESS", found.address)
        patch.setenv("POSTROAD_DBUS_LIBRARY", request.param)
        found.start()
        yield found
        found.kill()
    shutil.rmtree(folder)


@pytest.fixture
def asking(bus: SessionBus) -> Iterator[Asking]:
    with drawn() as found:
        found.drawing.until_link(Link.ABSENT)
        yield found


def resident_kib() -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def test_a_burst_of_a_thousand_changes_is_a_few_pictures_and_the_last_one(asking: Asking) -> None:
    drawing = asking.drawing
    began = time.monotonic()
    with impostor("a_burst"):
        drawing.until(lambda: drawing.now.node.parcels_under_way == 1000, "the last one is seen")
    took = time.monotonic() - began
    assert len(drawing.pictures) <= 3 + 10 * took


@pytest.mark.parametrize("what", ["a_flood", "hints", "ever_more_objects", "ever_other_types"])
def test_a_flood_costs_little_and_ends(asking: Asking, what: str) -> None:
    drawing = asking.drawing
    with impostor(what):
        drawing.until_link(Link.THERE)
        drawing.pump(1.0)
        used, memory, pictures = time.process_time(), resident_kib(), len(drawing.pictures)
        began, signals = time.monotonic(), len(drawing.signals)
        drawing.pump(FLOODED_SECONDS)
        took = time.monotonic() - began
        assert (time.process_time() - used) / took < SHARE_MAX
        assert resident_kib() - memory < GROWTH_KIB_MAX
        assert len(drawing.pictures) - pictures <= 2 + 10 * took
        assert len(drawing.signals) - signals <= 10 + 20 * took
        assert len(drawing.now.peers) <= OBJECTS_MAX
    drawing.until(lambda: drawing.now.link in (Link.ABSENT, Link.SILENT), "it is seen")
    with impostor("honest"):
        asking.line.look_closely(True)
        drawing.until(lambda: drawing.now.node.address == "of.the@impostor", "the next one")


def test_answers_of_wrong_types_are_nothing_told(asking: Asking) -> None:
    drawing = asking.drawing
    asking.line.look_closely(True)
    for _ in range(3):
        with impostor("odd_answers"):
            drawing.until_link(Link.THERE)
            assert drawing.now.node.state is State.STARTING
            drawing.pump(0.5)
        drawing.until_link(Link.ABSENT)


def test_what_is_too_long_is_passed_over(asking: Asking) -> None:
    drawing = asking.drawing
    memory = resident_kib()
    with impostor("huge"):
        asking.line.look_closely(True)
        drawing.until(lambda: drawing.now.node.address == "of.normal@size", "what follows is read")
    assert resident_kib() - memory < GROWTH_KIB_MAX


def test_a_hundred_thousand_values_do_not_hold_up_whoever_draws(asking: Asking) -> None:
    drawing = asking.drawing
    with impostor("many_small_things"):
        drawing.until(lambda: drawing.now.link in (Link.THERE, Link.SILENT), "it is read")
        drawing.pump(1.0)
    assert drawing.took < 0.05


def test_values_in_values_are_passed_over(asking: Asking) -> None:
    drawing = asking.drawing
    with impostor("deep"):
        asking.line.look_closely(True)
        drawing.until(lambda: drawing.now.node.address == "of.normal@depth", "what follows is read")
    assert drawing.now.node.sentence == ""


def test_what_is_not_ours_is_not_looked_at_and_what_is_is_plain(asking: Asking) -> None:
    drawing = asking.drawing
    with impostor("elsewhere"):
        drawing.until_link(Link.THERE)
        drawing.pump(0.5)
        seen = drawing.now
    assert (seen.node.address, seen.node.sentence) == ("gnp.exe", "<b>bold</b> and more")
    assert not seen.peers


def test_who_is_slow_is_seen_to_be_silent(asking: Asking) -> None:
    drawing = asking.drawing
    asking.line.look_closely(True)
    with impostor("slow"):
        assert drawing.until_link(Link.SILENT) < SHOWN_SECONDS_MAX + 0.5
        drawing.pump(3.0)
        assert drawing.now.link is Link.SILENT
    drawing.until_link(Link.ABSENT)


def test_who_talks_and_does_not_listen_is_asked_no_more_than_others(asking: Asking) -> None:
    drawing = asking.drawing
    asking.line.look_closely(True)
    with impostor("deaf"):
        drawing.until_link(Link.SILENT)
        used, began = time.process_time(), time.monotonic()
        drawing.pump(FLOODED_SECONDS)
        assert (time.process_time() - used) / (time.monotonic() - began) < SHARE_MAX
        assert drawing.now.link is Link.SILENT


def test_a_name_that_comes_and_goes_is_a_few_pictures(asking: Asking) -> None:
    drawing = asking.drawing
    began = time.monotonic()
    with impostor("now_and_then"):
        drawing.pump(3.0)
        took = time.monotonic() - began
        assert len(drawing.pictures) <= 5 + 10 * took
        drawing.until(lambda: drawing.now.link in ALIVE, "it has it")
        drawing.until_link(Link.THERE)


def test_who_dies_while_asked_has_said_nothing(asking: Asking) -> None:
    drawing = asking.drawing
    with impostor("honest"):
        drawing.until_link(Link.THERE)
        began = time.monotonic()
        assert not asking.answer(Question("Exit")).is_good
        assert time.monotonic() - began < SHOWN_SECONDS_MAX


def test_the_next_one_with_the_name_is_another_one(asking: Asking) -> None:
    drawing = asking.drawing
    with impostor("a_burst"):
        drawing.until(lambda: drawing.now.node.parcels_under_way == 1000, "it has told all")
        with impostor("honest"):
            drawing.pump(0.3)
            assert drawing.now.node.address == ""  # it waits for the name
            assert not asking.answer(Question("Exit")).is_good
            drawing.until(lambda: drawing.now.node.address == "of.the@impostor", "the next one")
            assert drawing.now.node.parcels_under_way == 0


def test_what_a_stranger_sends_is_not_what_the_service_said(bus: SessionBus) -> None:
    offer = instance.offer(instance.NAME, lambda page, token: None)
    with impostor("honest"), drawn(offer=offer) as found:
        drawing = found.drawing
        drawing.until(lambda: drawing.now.node.address == "of.the@impostor", "the service is seen")
        asyncio.run(_forge())
        drawing.pump(0.5)
        assert drawing.now.node.address == "of.the@impostor"
        assert not drawing.now.peers
        assert not drawing.signals
        assert found.answer(Question("GetStatus")).is_good


async def _forge() -> None:
    """All that the service might say, sent to the tray alone by somebody else."""
    library: Any = importlib.import_module("dbus_fast")
    bus = await connected(importlib.import_module("dbus_fast.aio"))
    try:
        whose = await bus.call(
            library.Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="GetNameOwner",
                signature="s",
                body=[instance.NAME],
            )
        )
        properties = {"Address": library.Variant("s", "of.a@stranger")}
        signal, kind = library.MessageType.SIGNAL, library.MessageType.METHOD_RETURN
        forged = [
            (signal, ROOT_PATH, "org.freedesktop.DBus.Properties", "PropertiesChanged",
             "sa{sv}as", [MANAGER_INTERFACE, properties, []]),
            (signal, ROOT_PATH, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded",
             "oa{sa{sv}}", [f"{contract.PEER_PATH}/1", {contract.PEER_INTERFACE: {}}]),
            (signal, ROOT_PATH, MANAGER_INTERFACE, "ContactRequested", "o",
             [f"{contract.REQUEST_PATH}/1"]),
            (signal, "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", "sss",
             [contract.BUS_NAME, "", bus.unique_name]),
        ]  # fmt: skip
        for one, path, interface, member, signature, body in forged:
            bus.send(
                library.Message(
                    destination=whose.body[0], path=path, interface=interface, member=member,
                    message_type=one, signature=signature, body=body,
                )
            )  # fmt: skip
        tree = [{ROOT_PATH: {MANAGER_INTERFACE: properties}}]
        for serial in range(1, 50):
            bus.send(
                library.Message(
                    destination=whose.body[0], message_type=kind, reply_serial=serial,
                    signature="a{oa{sa{sv}}}", body=tree,
                )
            )  # fmt: skip
        await asyncio.sleep(0.3)
    finally:
        await closed(bus)


def test_refusals_have_a_sentence_whatever_is_said(asking: Asking) -> None:
    absent = asking.answer(Question("GetStatus"))
    assert (absent.error_name, bool(absent.sentence)) == (errors.NO_OWNER, True)
