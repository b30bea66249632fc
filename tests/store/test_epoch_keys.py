"""The life of epoch keys in the keyring: replaced each week, kept for as long as a letter may need
them, and then gone from the file."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest

from fakes import NOW, FakeEntropy, someone, sure
from postroad.base import limits
from postroad.base.errors import DiskFull
from postroad.base.ids import Instant
from postroad.machine.disk import FolderDisk
from postroad.sealing import keys
from postroad.sealing.password import verifier
from postroad.store import keyring
from postroad.store.keyring import (
    EPOCH_KEPT_SECONDS,
    EPOCH_KEPT_SECONDS_MAX,
    EPOCH_KEYS_MAX,
    EPOCH_SECONDS,
    FILE_NAME,
    Keyring,
    OwnKeys,
)

DICE = FakeEntropy(9)


def secret() -> bytes:
    return DICE.token(keys.EPOCH_SECRET_BYTES)


def new() -> Keyring:
    password = verifier("secret", bytes(16))
    return keyring.new_keyring("anna", someone("anna").identity, password, FakeEntropy(1), NOW)


def a_week_on() -> Keyring:
    """With a second key, whose record was kept at once."""
    moment = sure(NOW + EPOCH_SECONDS)
    return new().rotated(moment, secret()).dropped(moment)


def test_a_key_is_replaced_after_a_week_and_not_before() -> None:
    made = new()
    assert made.rotated(sure(NOW + EPOCH_SECONDS - 1), secret()) is made
    rotated = made.rotated(sure(NOW + EPOCH_SECONDS), secret())
    assert rotated.epoch.public != made.epoch.public
    assert set(made.epoch_keys()) < set(rotated.epoch_keys())
    assert rotated.rotated(sure(NOW + 2 * EPOCH_SECONDS - 1), secret()) is rotated


def test_the_week_of_a_key_that_a_wrong_clock_made_begins_when_the_clock_is_right() -> None:
    now = sure(NOW - 365 * limits.DAY)
    made = new().rotated(now, secret())
    assert len(made.stored_epoch_keys) == 1
    assert made.rotated(sure(now + EPOCH_SECONDS - 1), secret()) is made
    assert len(made.rotated(sure(now + EPOCH_SECONDS), secret()).stored_epoch_keys) == 2


def test_a_key_goes_45_days_after_its_record_did_if_all_drops_were_emptied_since() -> None:
    made = a_week_on()
    over = NOW + EPOCH_SECONDS + EPOCH_KEPT_SECONDS
    after = Instant(over + 1)
    assert made.thinned(sure(over - 1), after) is made
    now = sure(over + 2)
    assert made.thinned(now, None) is made
    assert made.thinned(now, Instant(over - 1)) is made
    thinned = made.thinned(now, after)
    assert list(thinned.epoch_keys()) == [keys.epoch_key_id(made.epoch.public)]
    assert thinned.epoch.public == made.epoch.public


def test_a_holder_that_never_answers_keeps_no_key_for_longer_than_letters_last() -> None:
    made = a_week_on()
    last = NOW + EPOCH_SECONDS + EPOCH_KEPT_SECONDS_MAX
    assert made.thinned(sure(last), None) is made
    assert len(made.thinned(sure(last + 1), None).stored_epoch_keys) == 1


def test_a_key_that_a_record_may_still_name_never_goes() -> None:
    made = new().rotated(sure(NOW + EPOCH_SECONDS), secret())  # a crash came before the record
    assert made.thinned(sure(NOW + 400 * limits.DAY), Instant(NOW + 400 * limits.DAY)) is made
    noted = made.dropped(sure(NOW + 400 * limits.DAY))
    assert [one.dropped for one in noted.stored_epoch_keys] == [int(NOW + 400 * limits.DAY), 0]
    assert noted.dropped(sure(NOW + 401 * limits.DAY)) is noted
    assert new().thinned(sure(NOW + 400 * limits.DAY), None) == new(), "nor the current one"


def test_there_is_room_for_all_keys_of_a_person_whose_holder_never_answers() -> None:
    made = new()
    most = 0
    for day in range(400):
        now = sure(NOW + day * limits.DAY)
        made = made.rotated(now, secret()).dropped(now).thinned(now, None)
        most = max(most, len(made.stored_epoch_keys))
        assert now - made.stored_epoch_keys[-1].since <= EPOCH_SECONDS + limits.DAY
    assert most < EPOCH_KEYS_MAX


def test_a_full_keyring_keeps_all_it_has_and_makes_no_more() -> None:
    made = new()
    for week in range(1, 2 * EPOCH_KEYS_MAX):
        made = made.rotated(sure(NOW + week * EPOCH_SECONDS), secret())
    assert len(made.stored_epoch_keys) == EPOCH_KEYS_MAX


def test_a_deleted_key_is_in_no_file_of_the_folder_and_a_failed_deletion_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(disk: FolderDisk) -> None:
        made = a_week_on()
        old = made.stored_epoch_keys[0].secret
        keyring.save(disk, made)
        own = OwnKeys(disk, made)
        now = sure(NOW + 400 * limits.DAY)
        assert own.are_waiting_for_fetch(now)

        def fails(_: int) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fails)
            with pytest.raises(DiskFull):
                await own.forget_old_epochs(now, now)
        assert len(own.epoch_keys()) == 2
        assert keyring.load(disk) == made
        (gone,) = await own.forget_old_epochs(now, now)
        assert gone not in own.epoch_keys()
        assert not own.are_waiting_for_fetch(now)
        assert len(keyring.load(disk).stored_epoch_keys) == 1
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert FILE_NAME in [path.name for path in files]
        assert not [path for path in files if old in path.read_bytes()]

    disk = FolderDisk(tmp_path, reserve_bytes=0)
    try:
        asyncio.run(work(disk))
    finally:
        disk.close()


def test_a_new_key_is_durable_before_anybody_hears_of_it(tmp_path: Path) -> None:
    async def work(disk: FolderDisk) -> None:
        made = new()
        keyring.save(disk, made)
        own = OwnKeys(disk, made)
        await own.rotate(sure(NOW + EPOCH_SECONDS), secret())
        assert own.epoch_public == keyring.load(disk).epoch.public != made.epoch.public
        assert set(own.epoch_keys()) == set(keyring.load(disk).epoch_keys())

    disk = FolderDisk(tmp_path, reserve_bytes=0)
    try:
        asyncio.run(work(disk))
    finally:
        disk.close()


def test_the_moments_of_keys_are_kept(tmp_path: Path) -> None:
    disk = FolderDisk(tmp_path, reserve_bytes=0)
    try:
        made = replace(a_week_on(), name="anna")
        keyring.save(disk, made)
        assert keyring.load(disk).stored_epoch_keys == made.stored_epoch_keys
    finally:
        disk.close()
