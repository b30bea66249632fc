"""Our own devices: which there are, as far as we know, and which of them do not speak for us.

Purpose: whoever lost a computer sets up another one from the 24 words, finds the lost one, and
revokes it. One device at a time takes the mail: the one whose record of us is the newest.
Invariant: a revocation names all devices that ever were revoked, and is obeyed here before anybody
hears of it.
See: docs/adr/0015-devices.md.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from postroad.base.errors import PeerMisbehaved, PermanentFailure, Unknown
from postroad.base.ids import Fingerprint, Instant, PeerId
from postroad.base.seams import Clock
from postroad.base.tlv import decode, encode
from postroad.delivery.obeying import Obeying
from postroad.phrases import phrase
from postroad.protocol.identity_records import REVOKE, sign_revoke_devices
from postroad.protocol.records import PersonRecord, next_sequence
from postroad.sealing.keys import load_ed25519
from postroad.store import changes, people, revoked
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys

DIGITS_MIN = 8  # of a device's key: as many as are shown


@dataclass(frozen=True, slots=True)
class OwnDevice:
    """`takes_mail`: its record of us is the newest; `seen_at`: when we found that record."""

    peer: PeerId
    is_revoked: bool
    takes_mail: bool
    seen_at: Instant | None
    certified_until: float | None


class OwnDevices:
    """`find`: looks in the directory; `on_change` hears that there is something to tell, or one
    more whom to tell it."""

    def __init__(
        self,
        database: Database,
        keyring: OwnKeys,
        clock: Clock,
        obeying: Obeying,
        find: Callable[[Fingerprint], Awaitable[PersonRecord | None]],
        on_change: Callable[[], None],
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._obeying = obeying
        self._find_own = find
        self._on_change = on_change
        self._has_looked = False

    async def revoke(self, devices: Sequence[PeerId]) -> None:
        """Take the word of these devices of ours from them, for ever; durable when it returns."""
        mine, me = self._keyring.fingerprint, self._keyring.device.peer
        if await self.is_ended():
            raise PermanentFailure(phrase("Your identity has ended, and all its devices with it."))

        def before(sql: Sql) -> tuple[list[PeerId], int]:
            return revoked.of(sql, mine), changes.last_sequence(sql, mine, REVOKE)

        known, last = await self._database.read(before)
        sequence = next_sequence(last, me, self._clock.now())
        record = sign_revoke_devices(self._keyring.identity, {*known, *devices}, sequence)
        await self._obeying.obey(encode(record))
        self._on_change()

    async def is_ended(self) -> bool:
        """Whether our whole identity was revoked."""
        mine = self._keyring.fingerprint
        return await self._database.read(lambda sql: revoked.is_ended(sql, mine))

    async def all(self) -> list[OwnDevice]:
        """This device, and others of ours that we know of, the revoked ones last."""
        return await self._database.read(self._devices)

    def _devices(self, sql: Sql) -> list[OwnDevice]:
        mine, me = self._keyring.fingerprint, self._keyring.device.peer
        octets = people.kept_record(sql, mine)
        ours = 0 if octets is None else decode(PersonRecord, octets).sequence
        seen = {record.certificate.device: (record, at) for record, at in changes.own_seen(sql)}
        newest = max((record.sequence for record, _ in seen.values()), default=0)
        ends = float(self._keyring.certificate.statement.ends)
        this = OwnDevice(me, not revoked.speaks(sql, mine, me), newest <= ours, None, ends)
        others = [
            OwnDevice(
                peer,
                not revoked.speaks(sql, mine, peer),
                record.sequence == newest > ours,
                at,
                float(record.certificate.statement.ends),
            )
            for peer, (record, at) in seen.items()
            if peer != me
        ]
        unseen = [
            OwnDevice(peer, True, False, None, None)
            for peer in revoked.of(sql, mine)
            if peer != me and peer not in seen
        ]
        return sorted([this, *others, *unseen], key=lambda one: (one.is_revoked, one.peer != me))

    async def called(self, wanted: str) -> PeerId:
        """The device of ours whose key begins so, or is so; PermanentFailure says why there is
        none to revoke."""
        wanted = wanted.strip().lower()
        found = [one for one in await self.all() if one.peer.hex().startswith(wanted)]
        if len(wanted) == 64 and not found:  # one that we never saw; its owner has it in writing
            try:
                key = PeerId(bytes.fromhex(wanted))
                load_ed25519(key)
            except (ValueError, PeerMisbehaved) as error:
                raise Unknown(f"{wanted} is no device's key.") from error
            return key
        if len(wanted) < DIGITS_MIN or len(found) != 1:
            several = len(wanted) >= DIGITS_MIN and len(found) > 1
            none = f"None of your devices has the number {wanted!r}."
            raise Unknown(
                f"{f'Several of your devices have numbers like {wanted!r}.' if several else none} "
                "See: postroad devices"
            )
        if found[0].peer == self._keyring.device.peer:
            raise PermanentFailure(
                "That is this computer. Revoke it from another one that has your 24 words, or end "
                "the identity itself with its printed sheet."
            )
        if found[0].is_revoked:
            raise PermanentFailure(phrase("This device is revoked already."))
        return found[0].peer

    async def look_first(self) -> None:
        """Look once in each life for what other devices of ours published, before we do: a computer
        set up from the 24 words alone learns so of the lost one, and of those who held for it."""
        if not self._has_looked:
            self._has_looked = True
            await self.look()

    async def look(self) -> None:
        """Look what other devices of ours published."""
        record = await self._find_own(self._keyring.fingerprint)
        if record is not None and record.certificate.device != self._keyring.device.peer:
            found, now = record, self._clock.now()
            await self._database.run(lambda sql: changes.saw_own(sql, found, now))
            self._on_change()
