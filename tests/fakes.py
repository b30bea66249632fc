"""A clock to turn by hand, dice with a seed, and people with their keys, for every test."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from postroad.base import limits
from postroad.base.ids import Contact, DropId, Fingerprint, HostPort, Instant, PeerId, SureInstant
from postroad.base.seams import Entropy, SureClock
from postroad.machine.disk import FolderDisk
from postroad.message.address import Address
from postroad.protocol.clock import Because, Judgement
from postroad.protocol.contacts import encode_contact
from postroad.protocol.records import Drop, PersonRecord, sign_person
from postroad.sealing.certificate import Certificate, certify
from postroad.sealing.keys import EpochKey, Identity, SigningKey
from postroad.store.contents import Contents
from postroad.store.database import FILE_NAME, Database, Sql, connect
from postroad.store.sealed import SealedStore

NOW = Instant(1_770_000_000.0)


class FakeClock:
    """`base.seams.SureClock`. Stands still until it is turned, and is confirmed until somebody says
    otherwise."""

    def __init__(self, now: float = NOW) -> None:
        self._now = float(now)
        self._elapsed = 1000.0
        self.confirmed = True

    def sure_now(self) -> SureInstant | None:
        return sure(self._now) if self.confirmed else None

    def now(self) -> Instant:
        return Instant(self._now)

    def elapsed(self) -> float:
        return self._elapsed

    def judgement(self) -> Judgement:
        because = Because.VOICES if self.confirmed else Because.STARTED
        return Judgement(self.confirmed, because, 3 * self.confirmed, 0)

    def errors(self) -> list[float]:
        return [0.0] * 3 * self.confirmed

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self._now += seconds
        self._elapsed += seconds

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self._now += seconds


def sure(moment: float) -> SureInstant:
    """A moment as a confirmed clock would tell it."""
    return SureInstant(Instant(moment))


class FakeEntropy:
    """`base.seams.Entropy`. One seed, one sequence."""

    def __init__(self, seed: int | str = 1) -> None:
        self._random = Random(seed)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def uniform(self) -> float:
        return self._random.random()


@dataclass(frozen=True, slots=True)
class Someone:
    """A person with one device."""

    name: str
    identity: Identity
    device: SigningKey
    certificate: Certificate
    epoch: EpochKey

    @property
    def fingerprint(self) -> Fingerprint:
        return self.certificate.fingerprint

    @property
    def address(self) -> Address:
        return Address(self.name, self.fingerprint)

    @property
    def contact(self) -> Contact:
        return contact(self.device.peer)

    def record(
        self,
        counter: int = 1,
        *,
        also: tuple[PeerId, ...] = (),
        name: str | None = None,
        drops: int = 0,
        expires: float = NOW + limits.RECORD_SECONDS_MAX,
    ) -> PersonRecord:
        """A record of that age; `also` are devices that it names besides the one that signs."""
        return sign_person(
            name=self.name if name is None else name,
            devices=(self.contact, *map(contact, also)),
            drops=tuple(
                Drop(DropId(bytes([n]) * 16), encode_contact(self.contact)) for n in range(drops)
            ),
            epoch_key=self.epoch.public,
            sequence=counter << 32 | int.from_bytes(self.device.public[:4], "big"),
            expires=expires,
            certificate=self.certificate,
            device=self.device,
        )


@cache
def someone(name: str, now: Instant = NOW) -> Someone:
    """The same person each time, whose device was certified at `now`."""
    entropy = FakeEntropy(int.from_bytes(name.encode(), "big"))
    identity = Identity(entropy.token(32))
    device = SigningKey(entropy.token(32))
    certificate = certify(identity, device.peer, now)
    return Someone(name, identity, device, certificate, EpochKey(entropy.token(96)))


def contact(peer: PeerId) -> Contact:
    """A node at addresses of both families: the largest contact there is for now."""
    return Contact(peer, (HostPort("192.0.2.7", 46464), HostPort("2001:db8::7", 46464)))


def peer(number: int) -> PeerId:
    """Some device key that is valid."""
    return SigningKey(number.to_bytes(32, "big")).peer


@dataclass(frozen=True, slots=True)
class Store:
    """A data folder with its database, to be used in the thread of the test."""

    disk: FolderDisk
    sql: Sql
    contents: Contents
    sealed: SealedStore


@contextmanager
def opened_store(folder: Path) -> Iterator[Store]:
    disk = FolderDisk(folder, reserve_bytes=0)
    sql = connect(f"{disk.folder}/{FILE_NAME}")
    try:
        yield Store(disk, sql, Contents(disk), SealedStore(disk))
    finally:
        sql.close()
        disk.close()


def with_database(folder: Path, work: Callable[[Database, FolderDisk], Awaitable[None]]) -> None:
    """Run `work` over a data folder, in an event loop of its own."""

    async def run() -> None:
        disk = FolderDisk(folder, reserve_bytes=0)
        try:
            async with Database(disk) as database:
                await work(database, disk)
        finally:
            disk.close()

    asyncio.run(run())


clock_keeps_the_protocol: type[SureClock] = FakeClock
entropy_keeps_the_protocol: type[Entropy] = FakeEntropy
