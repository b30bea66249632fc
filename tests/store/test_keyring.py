"""The node's own keys: one file, whole or as it was, and never in a log."""

import asyncio
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fakes import NOW, FakeEntropy, someone
from postroad.base import limits
from postroad.base.errors import ConfigurationError, DiskFull, Locked
from postroad.base.ids import Instant
from postroad.machine.disk import FolderDisk
from postroad.sealing import certificate as certificates
from postroad.sealing import keys, wrapping
from postroad.sealing.password import verifier
from postroad.sealing.wrapping import PLAIN, Protection
from postroad.store import keyring
from postroad.store.keyring import FILE_NAME, Keyring, OwnKeys, StoredEpochKey

WRAPPING = wrapping.by_secret(
    wrapping.new_header(Protection.KEYRING, bytes(range(16))), bytes(range(32))
)
IDENTITY = someone("anna").identity


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FolderDisk]:
    made = FolderDisk(tmp_path, reserve_bytes=0)
    yield made
    made.close()


def new(seed: int = 1) -> Keyring:
    password = verifier("secret", bytes(16))
    return keyring.new_keyring("anna", IDENTITY, password, FakeEntropy(seed), NOW)


def test_keys_are_there_after_a_restart(disk: FolderDisk) -> None:
    assert not keyring.exists(disk)
    made = new()
    keyring.save(disk, made)
    assert keyring.exists(disk)
    assert keyring.load(disk) == made
    assert made.identity == IDENTITY
    assert made.address == someone("anna").address
    assert made.device.peer == made.certificate.device
    certificates.check(made.certificate, made.fingerprint, NOW)


def test_two_devices_of_one_person_have_nothing_but_the_identity_in_common() -> None:
    one, other = new(1), new(2)
    assert one.fingerprint == other.fingerprint
    assert one.device.public != other.device.public
    assert one.epoch.public != other.epoch.public


def test_without_keys_the_owner_is_told_to_set_up(disk: FolderDisk) -> None:
    with pytest.raises(ConfigurationError, match="postroad setup"):
        keyring.load(disk)


def test_a_damaged_file_is_refused_in_words_at_whatever_byte(
    disk: FolderDisk, tmp_path: Path
) -> None:
    keyring.save(disk, new())
    octets = (tmp_path / FILE_NAME).read_bytes()
    for broken in (
        b"",
        octets[:-1],
        octets + b"\0",
        octets[1:],
        bytes(len(octets)),
        bytes(100_000),
    ):
        (tmp_path / FILE_NAME).write_bytes(broken)
        with pytest.raises(ConfigurationError, match="24 words") as refused:
            keyring.load(disk)
        assert str(tmp_path / FILE_NAME) in str(refused.value)
    for at in range(0, len(octets), 5):
        changed = bytearray(octets)
        changed[at] ^= 0x55
        (tmp_path / FILE_NAME).write_bytes(changed)
        with pytest.raises(ConfigurationError, match="24 words"):
            keyring.load(disk)


def test_a_write_that_fails_leaves_the_keys_as_they_were(
    disk: FolderDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = new()
    keyring.save(disk, made)

    def fails(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fails)
        with pytest.raises(DiskFull):
            keyring.save(disk, new(2))
    assert keyring.load(disk) == made


def test_nobody_else_reads_the_keys(disk: FolderDisk, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keyring.save(disk, new())
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600


def test_no_secret_reaches_a_log_by_accident() -> None:
    made = new()
    for shown in (repr(made), str(made), f"{made}", repr([made])):
        assert shown.count("Keyring(name='anna',") == 1
        for secret in (made.entropy, made.device_seed, made.stored_epoch_keys[0].secret):
            assert repr(secret)[2:-1] not in shown
            assert secret.hex() not in shown


def test_a_certificate_is_renewed_a_month_before_it_ends() -> None:
    made = new()
    ends = made.certificate.statement.ends
    assert made.renewed(NOW) is made
    assert made.renewed(Instant(ends - 30 * limits.DAY - 1)) is made
    for now in (ends - 30 * limits.DAY, ends, ends + 400 * limits.DAY):
        again = made.renewed(Instant(now))
        certificates.check(again.certificate, made.fingerprint, now)
        assert again.certificate.device == made.certificate.device
        assert replace(again, certificate=made.certificate) == made


def test_letters_to_older_epoch_keys_still_open() -> None:
    made = new()
    newer = StoredEpochKey(FakeEntropy(9).token(keys.EPOCH_SECRET_BYTES), int(NOW) + 7, 0)
    both = replace(made, stored_epoch_keys=(*made.stored_epoch_keys, newer))
    assert both.epoch.secret == newer.secret
    known = both.epoch_keys()
    assert set(known) == {
        keys.epoch_key_id(made.epoch.public),
        keys.epoch_key_id(both.epoch.public),
    }
    assert known[keys.epoch_key_id(made.epoch.public)] == made.epoch


def test_a_keyring_with_all_the_epoch_keys_it_may_have_fits_its_file(disk: FolderDisk) -> None:
    entropy = FakeEntropy(3)
    many = tuple(
        StoredEpochKey(entropy.token(keys.EPOCH_SECRET_BYTES), number, number)
        for number in range(keyring.EPOCH_KEYS_MAX)
    )
    full = replace(new(), name="n" * 31, stored_epoch_keys=many)
    keyring.save(disk, full)
    assert keyring.load(disk) == full


def test_wrapped_keys_open_by_their_wrapping_only(disk: FolderDisk, tmp_path: Path) -> None:
    made = new()
    keyring.save(disk, made, WRAPPING)
    assert keyring.stored(disk).protection is Protection.KEYRING
    assert keyring.load(disk, WRAPPING) == made
    for wrong in (PLAIN, replace(WRAPPING, key=bytes(64))):
        with pytest.raises(Locked, match="does not open them"):
            keyring.load(disk, wrong)
    octets = (tmp_path / FILE_NAME).read_bytes()
    for secret in (made.entropy, made.device_seed, made.stored_epoch_keys[0].secret):
        assert secret[:16] not in octets


def test_a_damaged_wrapped_file_is_not_taken_for_a_wrong_passphrase(
    disk: FolderDisk, tmp_path: Path
) -> None:
    keyring.save(disk, new(), WRAPPING)
    octets = bytearray((tmp_path / FILE_NAME).read_bytes())
    octets[100] ^= 1
    (tmp_path / FILE_NAME).write_bytes(octets)
    with pytest.raises(ConfigurationError, match="it is damaged"):
        keyring.load(disk, WRAPPING)


def test_what_is_wrapped_stays_so_when_the_node_changes_its_keys(
    disk: FolderDisk, tmp_path: Path
) -> None:
    """Also when both happen at once: who saves the old wrapping again would unwrap them."""
    made = new()
    keyring.save(disk, made)
    later = Instant(made.certificate.statement.ends - 1)

    async def change() -> None:
        own = OwnKeys(disk, made)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(own.protect(WRAPPING))
            tasks.create_task(own.renew(later))
        assert own.wrapping is WRAPPING

    asyncio.run(change())
    found = keyring.load(disk, WRAPPING)
    assert found == made.renewed(later)
    assert made.device_seed not in (tmp_path / FILE_NAME).read_bytes()


def test_what_nobody_waits_for_any_more_does_not_come_undone(
    disk: FolderDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one who protects the keys is cancelled while they are written: what is on the disk then
    counts, and the next change is wrapped as well."""
    made = new()
    keyring.save(disk, made)
    later = Instant(made.certificate.statement.ends - 1)
    begun, go_on = threading.Event(), threading.Event()
    write = disk.write

    def slowly(name: str, octets: bytes, *, blot: bool = False) -> None:
        begun.set()
        assert go_on.wait(10)
        write(name, octets, blot=blot)

    async def change() -> None:
        own = OwnKeys(disk, made)
        monkeypatch.setattr(disk, "write", slowly)
        protecting = asyncio.create_task(own.protect(WRAPPING))
        await asyncio.to_thread(begun.wait, 10)
        protecting.cancel()
        await asyncio.wait({protecting})
        renewing = asyncio.create_task(own.renew(later))  # made of what was before
        await asyncio.sleep(0)
        go_on.set()
        await renewing
        assert own.wrapping is WRAPPING

    asyncio.run(change())
    assert keyring.load(disk, WRAPPING) == made.renewed(later)
