"""Contacts as the policy limits them: whoever is outside is refused in words, both ways."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from delivery.test_requests import has_request, move, neighbours
from delivery.test_road import ended, has_notice
from postroad.app.compose import Settings
from postroad.base.errors import PermanentFailure
from postroad.base.ids import Fingerprint
from postroad.store import audit, people, queue, requests, standing
from postroad.store.database import Sql
from simulator import village as village_module
from simulator.village import Resident, Village, play, until


def refusals(sql: Sql) -> list[str]:
    lines = [json.loads(row.line) for row in audit.rows(sql)[0]]
    return [line["facts"]["address"] for line in lines if line["event"] == "policy refused"]


def writes(sql: Sql, circle: frozenset[Fingerprint] | None) -> int:
    """How many rows a start with this circle changes: on a full disk it can change none."""
    before = sql.total_changes
    standing.keep_to(sql, circle)
    return sql.total_changes - before


async def again(resident: Resident) -> None:
    await resident.sleep()
    await resident.wake()


def test_only_those_within_are_contacts_or_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: dict[str, Any] = {"circle": None}
    monkeypatch.setattr(
        village_module, "Settings", lambda *of, **more: replace(Settings(*of, **more), **allowed)
    )

    async def scene(place: Village) -> None:
        anna, mallory, stella = await place.settle_in("anna", "mallory", "stella")
        allowed["circle"] = frozenset({anna.node.keyring.fingerprint})
        (bora,) = await place.settle_in("bora")
        allowed["circle"] = None
        await place.meet(bora, anna)
        link, _, _ = await mallory.node.introductions.invite()
        with pytest.raises(PermanentFailure, match="may not be a contact of yours"):
            await bora.node.introductions.accept(link)
        with pytest.raises(PermanentFailure, match="may not be a contact of yours"):
            await bora.node.outbox.check_recipient(mallory.address)
        link, _, _ = await bora.node.introductions.invite()
        await stella.node.introductions.accept(link)

        async def is_refused() -> bool:
            return await ended(stella, "refused") and await has_notice(
                stella, "does not allow letters"
            )

        await until(is_refused, 3600)
        assert await bora.contacts() == {anna.address}
        assert stella.address in await bora.node.database.read(refusals)
        assert not await bora.with_subject("Stella accepted")

    play(tmp_path, scene)


def test_whoever_was_a_contact_before_is_none_while_the_policy_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: dict[str, Any] = {"circle": None}
    monkeypatch.setattr(
        village_module, "Settings", lambda *of, **more: replace(Settings(*of, **more), **allowed)
    )

    async def scene(place: Village) -> None:
        anna, bora = await place.settle_in("anna", "bora")
        await place.meet(bora, anna)
        allowed["circle"] = frozenset()
        await again(bora)
        allowed["circle"] = None
        (person,) = await bora.node.database.read(people.contacts)
        assert person.blocked
        assert person.outside
        assert await bora.node.database.run(lambda sql: writes(sql, frozenset())) == 0
        with pytest.raises(PermanentFailure, match="may not be a contact"):
            await bora.write(anna.address)
        with pytest.raises(PermanentFailure, match="may not be a contact"):
            await bora.node.contact_book.unblock("anna")
        await anna.write(bora.address)
        await until(lambda: has_notice(anna, "does not allow letters"), 3600)
        await again(bora)
        (person,) = await bora.node.database.read(people.contacts)
        assert not person.blocked
        assert await bora.node.database.run(lambda sql: writes(sql, None)) == 0
        await anna.write(bora.address, subject="again")

        async def has_come() -> bool:
            return bool(await bora.with_subject("again"))

        await until(has_come, 3600)
        assert not await bora.node.database.read(queue.waiting)

    play(tmp_path, scene)


def test_a_request_accepted_when_the_policy_has_shut_it_out_ends_nobodys_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed: dict[str, Any] = {"circle": None}
    monkeypatch.setattr(
        village_module, "Settings", lambda *of, **more: replace(Settings(*of, **more), **allowed)
    )

    async def scene(place: Village) -> None:
        anna, bora = await neighbours(place, "anna", "bora")
        await anna.write(bora.address)
        await until(lambda: has_request(bora))
        allowed["circle"] = frozenset()
        await again(bora)
        allowed["circle"] = None
        await move(bora, requests.FOLDER, "INBOX")

        async def is_noted() -> bool:
            return anna.address in await bora.node.database.read(refusals)

        await until(is_noted, 3600)
        assert anna.address not in await bora.contacts()
        assert not await bora.node.database.read(requests.unanswered)
        await until(lambda: ended(anna, "refused"), 3600)

    play(tmp_path, scene)
