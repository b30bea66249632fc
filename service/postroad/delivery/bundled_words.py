"""What a bundle carries besides letters and receipts: revocations and rotations, and wishes to have
letters sealed anew.

Purpose: two people who share no network learn of each other's changes, too, and lose no letter to
a key that is gone.
Invariants: all of it proves itself, and is believed where the wire would believe it; what concerns
nobody here is forgotten; so many changes of one bundle are looked at, for each costs signatures.
See: docs/protocol/bundle.md, docs/adr/0015-devices.md, docs/adr/0018-epoch-keys.md.
"""

import logging

from postroad.base.errors import PeerMisbehaved
from postroad.base.ids import DropId, Fingerprint, MailId
from postroad.delivery.changes import Changes
from postroad.delivery.epochs import Epochs
from postroad.delivery.obeying import Obeying
from postroad.delivery.sender import Sender
from postroad.protocol import bundle
from postroad.protocol.identity_records import REVOKE
from postroad.protocol.wire_reseal import Reseal
from postroad.store import changes as kept_changes
from postroad.store import people, rented
from postroad.store.database import Database, Sql

log = logging.getLogger(__name__)
CHANGES_READ_MAX = 16  # of one bundle


class BundledWords:
    def __init__(
        self,
        database: Database,
        changes: Changes,
        obeying: Obeying,
        epochs: Epochs,
        sender: Sender,
    ) -> None:
        self._database = database
        self._changes = changes
        self._obeying = obeying
        self._epochs = epochs
        self._sender = sender

    # Writing

    async def changes(self, whom: Fingerprint | None) -> list[bundle.Change]:
        """Our own, as all who know us should hear of them, and what ended whoever it is for: their
        other computers may not know it."""
        await self._changes.sign_rotations()

        def work(sql: Sql) -> list[bundle.Change]:
            mine = [bundle.Change(one.octets, one.person) for one in self._changes.owed(sql)]
            theirs = None if whom is None else kept_changes.kept(sql, whom, REVOKE)
            return mine if theirs is None else [*mine, bundle.Change(theirs, None)]

        return await self._database.read(work)

    async def wishes(self) -> list[bundle.Wish]:
        """About letters that came since the node was started, whosever: who wrote one that cannot
        be opened is not to be seen."""
        return [bundle.Wish(one) for one in await self._epochs.wishes()]

    # Reading

    async def hear(self, change: bundle.Change) -> bool | None:
        """Obey a change if it concerns us; whether it does, None when it is not genuine."""
        try:
            return await self._obeying.obey(change.record, change.person)
        except PeerMisbehaved as error:
            log.warning("a change in a bundle is not one: %s", error)
            return None

    async def obey(self, wish: Reseal) -> bool | None:
        """Seal a letter of ours anew, if its recipient may wish it; None: it is not ours."""
        return await self._sender.take_reseal(wish)

    async def miss(
        self,
        mail_id: MailId,
        epoch_key: bytes,
        drops: tuple[bytes, ...],
        author: Fingerprint | None,
    ) -> bool:
        """A letter is for a key that we do not have; whether it may be ours all the same: it names
        a drop of ours, or a contact wrote the bundle and its recipient had no drop."""

        def may_be_ours(sql: Sql) -> bool:
            mine = {drop.drop for drop in rented.my_drops(sql)}
            if drops:
                return any(DropId(one) in mine for one in drops)
            return author is not None and people.contact(sql, author) is not None

        if not await self._database.read(may_be_ours):
            return False
        await self._epochs.reseal(mail_id, epoch_key)
        return True
