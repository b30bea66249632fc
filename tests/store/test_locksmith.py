"""What opens the keys is kept before they need it, and forgotten only after."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes import NOW, FakeEntropy, someone
from postroad.base.errors import Locked, NotToBeHad, PermanentFailure, WrongPassphrase
from postroad.machine.disk import FolderDisk
from postroad.sealing.password import verifier
from postroad.sealing.wrapping import PLAIN, Protection, Wrapping
from postroad.store import keyring
from postroad.store.keyring import Keyring
from postroad.store.locksmith import Locksmith, Tries

CREDENTIAL = bytes(range(64))


class Killed(BaseException):
    """The process ends here."""


class Keeper:
    """`base.seams.SecretKeeper`. `dies_at` counts down the steps, before and after each."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.dies_at = 0
        self.is_locked = False

    def step(self) -> None:
        self.dies_at -= 1
        if self.dies_at == 0:
            raise Killed

    def fetch(self, name: str, *, ask: bool) -> bytes:
        if self.is_locked and not ask:
            raise NotToBeHad("The desktop keyring is locked.")
        try:
            return self.kept[name]
        except KeyError as error:
            raise NotToBeHad("The desktop keyring has no entry.") from error

    def keep(self, name: str, secret: bytes) -> None:
        self.step()
        self.kept[name] = secret
        self.step()

    def forget(self, name: str) -> None:
        self.step()
        self.kept.pop(name, None)
        self.step()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[FolderDisk]:
    made = FolderDisk(tmp_path, reserve_bytes=0)
    yield made
    made.close()


def new() -> Keyring:
    password = verifier("secret", bytes(16))
    return keyring.new_keyring("anna", someone("anna").identity, password, FakeEntropy(1), NOW)


def protect(smith: Locksmith, disk: FolderDisk, how: Protection, passphrase: str = "") -> Wrapping:
    """As `postroad keys protect` does it where no node runs."""
    before = smith.by_passphrase(keyring.stored(disk), passphrase)
    opened = keyring.load(disk, before)
    made = smith.make(how, passphrase)
    keyring.save(disk, opened, made)
    smith.forget(before)
    return made


def smith_with(keeper: Keeper) -> Locksmith:
    return Locksmith(FakeEntropy(7), keeper, lambda: CREDENTIAL)


@pytest.mark.parametrize("first", list(Protection))
@pytest.mark.parametrize("second", list(Protection))
def test_each_way_follows_each_other_way(
    disk: FolderDisk, first: Protection, second: Protection
) -> None:
    keeper = Keeper()
    smith = smith_with(keeper)
    keyring.save(disk, new())
    for how in (first, second):
        made = protect(smith, disk, how, "some passphrase")
        assert keyring.load(disk, made) == new()
        assert keyring.stored(disk).protection is how
    assert len(keeper.kept) == (second is Protection.KEYRING)


@pytest.mark.parametrize("first", [Protection.PLAIN, Protection.KEYRING])
@pytest.mark.parametrize("second", [Protection.PLAIN, Protection.KEYRING])
@pytest.mark.parametrize("dies_at", range(1, 7))
def test_whoever_is_killed_can_still_open_the_keys(
    disk: FolderDisk, first: Protection, second: Protection, dies_at: int
) -> None:
    keeper = Keeper()
    smith = smith_with(keeper)
    keyring.save(disk, new())
    protect(smith, disk, first)
    keeper.dies_at = dies_at
    try:
        protect(smith, disk, second)
    except Killed:
        keeper.dies_at = 0
    assert keyring.load(disk, smith.opener(keyring.stored(disk))) == new()


def test_each_lock_says_what_opens_it(disk: FolderDisk) -> None:
    keeper = Keeper()
    smith = smith_with(keeper)
    keyring.save(disk, new(), smith.make(Protection.KEYRING))
    keeper.is_locked = True
    with pytest.raises(Locked, match=r"is locked.*log in to your desktop.*postroad unlock"):
        smith.opener(keyring.stored(disk))
    assert keyring.load(disk, smith.opener(keyring.stored(disk), ask=True)) == new()

    keyring.save(disk, new(), smith.make(Protection.CREDENTIAL))
    assert smith.opener(keyring.stored(disk)).protection is Protection.CREDENTIAL
    other = Locksmith(FakeEntropy(7), keeper, lambda: bytes(32))
    with pytest.raises(Locked, match=r"does not open your keys.*LoadCredentialEncrypted"):
        other.opener(keyring.stored(disk))

    keyring.save(disk, new(), smith.make(Protection.PASSPHRASE, "some passphrase"))
    with pytest.raises(Locked, match="postroad unlock"):
        smith.opener(keyring.stored(disk), ask=True)
    with pytest.raises(WrongPassphrase):
        smith.by_passphrase(keyring.stored(disk), "another passphrase")


@pytest.mark.parametrize("octets", [b"", bytes(31)])
def test_a_credential_that_could_be_guessed_is_refused(octets: bytes) -> None:
    with pytest.raises(PermanentFailure, match="at least 32"):
        Locksmith(FakeEntropy(7), Keeper(), lambda: octets).make(Protection.CREDENTIAL)


def test_wrong_passphrases_wait_longer_and_longer_and_in_one_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asking ten times at once helps nobody; a right one ends the waiting."""
    slept: list[float] = []
    under_way = 0

    async def sleep(seconds: float) -> None:
        nonlocal under_way
        under_way += 1
        assert under_way == 1
        slept.append(seconds)
        under_way -= 1

    async def wrong() -> None:
        raise WrongPassphrase

    async def right() -> int:
        return 7

    async def play() -> None:
        tries = Tries()
        done = await asyncio.gather(*(tries.give(wrong) for _ in range(10)), return_exceptions=True)
        assert all(isinstance(each, WrongPassphrase) for each in done)
        assert await tries.give(right) == 7
        with pytest.raises(WrongPassphrase):
            await tries.give(wrong)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    asyncio.run(play())
    assert slept == [1, 2, 4, 8, 16, 30, 30, 30, 30, 30, 1]


def test_a_wrapping_of_nothing_is_found_without_asking_anybody(disk: FolderDisk) -> None:
    keyring.save(disk, new())
    assert smith_with(Keeper()).opener(keyring.stored(disk)) is PLAIN
