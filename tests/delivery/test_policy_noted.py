"""What the policy refuses while a node runs: in words for whoever asked, and as a line of the audit
log, one for each."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from delivery.test_requests import has_request, neighbours
from fakes import NOW, opened_store, someone
from postroad.app.compose import Settings
from postroad.base import limits
from postroad.base.errors import PermanentFailure, TemporaryFailure
from postroad.base.ids import Contact, DropId, Instant
from postroad.doors.keys import KeysDesk
from postroad.protocol.border import border
from postroad.protocol.helping import HelperLink, to_link
from postroad.protocol.holding import HoldFor
from postroad.store import audit, helpers, renters
from postroad.store.database import Sql
from postroad.store.locksmith import Locksmith, OwnersWord
from simulator import village as village_module
from simulator.village import Resident, Village, play, until

Narrowed = Callable[..., None]


def refusals(sql: Sql) -> list[dict[str, Any]]:
    lines = [json.loads(row.line) for row in audit.rows(sql)[0]]
    return [line["facts"] for line in lines if line["event"] == audit.REFUSED]


async def noted(resident: Resident) -> list[dict[str, Any]]:
    return await resident.node.database.read(refusals)


@pytest.fixture
def narrowed(monkeypatch: pytest.MonkeyPatch) -> Narrowed:
    """Whoever wakes from now on has this in their settings."""
    most: dict[str, Any] = {}
    monkeypatch.setattr(
        village_module, "Settings", lambda *of, **more: replace(Settings(*of, **more), **most)
    )

    def narrow(**settings: Any) -> None:
        most.clear()
        most.update(settings)

    return narrow


def test_a_letter_that_is_too_large_is_refused_before_custody(
    tmp_path: Path, narrowed: Narrowed
) -> None:
    async def scene(place: Village) -> None:
        narrowed(size_max=limits.MIB)
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(anna, bora)
        await anna.write(bora.address, subject="small")
        with pytest.raises(PermanentFailure, match=r"at most 1 MiB \(size_max_mib\)"):
            await anna.write(bora.address, subject="large", text="y\r\n" * limits.MIB)
        (fact,) = await noted(anna)
        assert fact["key"] == "size_max_mib"

    play(tmp_path, scene)


def test_bundles_are_neither_written_nor_read(tmp_path: Path, narrowed: Narrowed) -> None:
    async def scene(place: Village) -> None:
        narrowed(bundle_write=False, bundle_read=False)
        (anna,) = await place.settle_in("anna")

        async def nothing() -> AsyncIterator[bytes]:
            yield b"not looked at"

        with pytest.raises(PermanentFailure, match=r"may be written on this computer \(bundle_wri"):
            await anna.node.bundles.plan(None, invite=False)
        with pytest.raises(PermanentFailure, match=r"may be read on this computer \(bundle_read\)"):
            await anna.node.bundles.read(nothing(), accept=False)
        assert [fact["key"] for fact in await noted(anna)] == ["bundle_write", "bundle_read"]

    play(tmp_path, scene)


def test_helpers_are_not_added_and_those_that_served_do_no_more(
    tmp_path: Path, narrowed: Narrowed
) -> None:
    place_of_it = Contact(someone("helper").device.peer)

    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        await anna.node.database.run(
            lambda sql: helpers.keep(sql, place_of_it, "box", 0, Instant(NOW))
        )
        await anna.sleep()
        narrowed(helpers=False)
        await anna.wake()
        (row,) = await anna.node.helpers.all()
        assert "may serve nobody on this computer (helpers)" in row.refusal
        link = to_link(HelperLink(b"s" * 16, int(NOW) + limits.DAY, place_of_it))
        with pytest.raises(PermanentFailure, match="may serve nobody on this computer"):
            await anna.node.helpers.add(link)
        assert [fact["key"] for fact in await noted(anna)] == ["helpers", "helpers"]
        await anna.sleep()
        await anna.wake()
        assert len(await noted(anna)) == 2, "known is known"

    play(tmp_path, scene)


def test_who_is_kept_out_by_their_network_is_noted(tmp_path: Path, narrowed: Narrowed) -> None:
    async def scene(place: Village) -> None:
        narrowed(border=border(["192.0.2.0/24"]))
        (anna,) = await place.settle_in("anna")
        narrowed()
        (bora,) = await place.settle_in("bora")
        link, _, _ = await bora.node.introductions.invite()
        with pytest.raises(TemporaryFailure):
            await anna.node.introductions.accept(link)

        async def is_noted() -> bool:
            return "networks" in [fact["key"] for fact in await noted(anna)]

        await until(is_noted, 600)

    play(tmp_path, scene)


def test_a_stranger_who_is_refused_is_noted(tmp_path: Path, narrowed: Narrowed) -> None:
    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        await anna.write(bora.address, subject="first")
        await until(lambda: has_request(bora))
        bora.node.requests.is_open = False  # since; she has the record of before
        await anna.write(bora.address, subject="second")

        async def is_noted() -> bool:
            return {"key": "strangers", "address": anna.address} in await noted(bora)

        await until(is_noted, 3600)

    play(tmp_path, scene)


def test_who_may_rent_no_drop_is_noted(tmp_path: Path) -> None:
    with opened_store(tmp_path) as store:
        anna = someone("anna")
        refused = renters.rent(
            store.sql,
            (DropId(b"d" * 16), b"k" * 32, b""),
            None,
            anna.device.peer,
            someone("me").device.peer,
            HoldFor.OFF,
            Instant(NOW),
        )
        assert refused == renters.HOLDS_NO_MORE
        (fact,) = refusals(store.sql)
        assert fact["key"] == "hold_for"


def test_one_key_does_not_hide_another(tmp_path: Path) -> None:
    with opened_store(tmp_path) as store:
        for _ in range(2 * limits.AUDIT_OUTSIDE_PER_DAY):
            audit.note_refused(store.sql, Instant(NOW), "networks", what="x")
        audit.note_refused(store.sql, Instant(NOW), "contacts", address="x")
        keys = [fact["key"] for fact in refusals(store.sql)]
        assert keys == ["networks"] * limits.AUDIT_OUTSIDE_PER_DAY + ["contacts"]


def test_a_way_to_protect_keys_that_is_not_allowed_is_noted(tmp_path: Path) -> None:
    async def scene(place: Village) -> None:
        (anna,) = await place.settle_in("anna")
        node = anna.node
        smith = Locksmith(node.machine.entropy, None, lambda: b"", ("passphrase",))  # type: ignore[arg-type]
        desk = KeysDesk(
            node.keyring, smith, node.database, node.timekeeper, OwnersWord(node.keyring)
        )
        with pytest.raises(PermanentFailure, match="may not be protected by plain here"):
            await desk.questions["protect"]({"how": "plain"})
        assert await noted(anna) == [{"key": "keys_at_rest", "how": "plain"}]

    play(tmp_path, scene)
