"""The keys that letters are sealed to: replaced each week, deleted when nothing can need them, and
what is said of letters to those that are gone.

Purpose: forward secrecy in steps. Whoever takes this computer reads letters of some weeks that they
had copied before, and no older ones; and a month's holiday bounces nothing.
Invariants: a new key is durable before a record names it; none is deleted but by a confirmed clock,
45 days after the record that dropped it, when every drop has been emptied since (`store.keyring`);
a letter to a key that is gone is answered with a signed wish to seal it anew, and is not lost.
See: docs/adr/0018-epoch-keys.md.
"""

import logging
from collections.abc import Awaitable, Callable

from postroad.base.ids import MailId, SureInstant
from postroad.base.seams import Entropy, SureClock
from postroad.base.tlv import decode
from postroad.protocol.records import PersonRecord
from postroad.protocol.wire_reseal import Reseal, sign_reseal
from postroad.sealing.keys import EPOCH_SECRET_BYTES
from postroad.store import audit, people, rented
from postroad.store.database import Database, Sql
from postroad.store.keyring import OwnKeys
from postroad.store.rented import MyDrop

log = logging.getLogger(__name__)
REMEMBERED_MAX = 1_000


class Epochs:
    def __init__(
        self, database: Database, keyring: OwnKeys, clock: SureClock, entropy: Entropy
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._entropy = entropy
        self._unreadable: dict[MailId, bytes] = {}  # and the key that each names

    async def turn(self, record: Callable[[], Awaitable[PersonRecord]]) -> None:
        """Replace the key when it is a week old, and delete those that nothing can need.

        `record`: makes and keeps our record as it should be now."""
        now = self._clock.sure_now()
        if now is None:
            return
        await self._keyring.rotate(now, self._entropy.token(EPOCH_SECRET_BYTES))
        if (await record()).epoch_key == self._keyring.epoch_public:
            await self._keyring.drop_old_epochs(now)
        if self._keyring.are_waiting_for_fetch(now):
            await self._delete(now)

    async def _delete(self, now: SureInstant) -> None:
        emptied_at = await self._database.read(lambda sql: rented.emptied_at(sql, now))
        gone = await self._keyring.forget_old_epochs(now, emptied_at)
        for key in gone:
            log.info("epoch key deleted", extra={"key": key.hex()})

        def note(sql: Sql) -> None:
            for key in gone:
                audit.note(sql, now, "epoch key deleted", key=key.hex())

        if gone:
            await self._database.run(note)

    async def emptied(self, drop: MyDrop) -> None:
        """All that lay in this drop was taken: perhaps a key can go now."""
        now = self._clock.sure_now()
        if now is not None and self._keyring.are_waiting_for_fetch(now):
            await self._database.run(lambda sql: rented.emptied(sql, drop.drop, now))

    async def reseal(self, mail_id: MailId, epoch_key: bytes) -> Reseal:
        """Our word to its sender that this letter has to be sealed anew; remembered."""
        self._unreadable[mail_id] = epoch_key
        if len(self._unreadable) > REMEMBERED_MAX:
            del self._unreadable[next(iter(self._unreadable))]
        return sign_reseal(mail_id, epoch_key, await self._sequence(), self._keyring.device)

    async def wishes(self) -> list[Reseal]:
        """The same of all letters that came since the node was started."""
        sequence, device = await self._sequence(), self._keyring.device
        return [sign_reseal(*one, sequence, device) for one in self._unreadable.items()]

    async def _sequence(self) -> int:
        mine = self._keyring.fingerprint
        octets = await self._database.read(lambda sql: people.kept_record(sql, mine))
        assert octets is not None, "our own record is made before the network is joined"
        return decode(PersonRecord, octets).sequence

    def names(self, mail_id: MailId) -> bytes | None:
        """The key that this letter names, if it was here and could not be read."""
        return self._unreadable.get(mail_id)
