"""File a notice in the owner's INBOX about keys that changed or ended, theirs or a contact's.

Purpose: no key changes silently (promise I2). Filed in the commit that obeys the change.
"""

from dataclasses import dataclass

from postroad.base.ids import Instant
from postroad.base.seams import Clock, Entropy
from postroad.message import changed
from postroad.protocol.imap.render import render
from postroad.store import revoked
from postroad.store.changes import Obeyed
from postroad.store.database import Sql
from postroad.store.keyring import OwnKeys
from postroad.store.mailboxes import Added, Mailboxes
from postroad.store.rotations import Followed, Outcome


@dataclass(frozen=True, slots=True)
class ChangeNotices:
    mailboxes: Mailboxes
    keyring: OwnKeys
    clock: Clock
    entropy: Entropy

    def tell(self, sql: Sql, change: Obeyed | Followed) -> Added | None:
        """File what the owner has to know of it; nothing, when there is nothing to know."""
        now, token = self.clock.now(), self.entropy.token(changed.TOKEN_BYTES)
        if isinstance(change, Obeyed):
            written = self._ended(sql, change, now, token)
        else:
            written = self._rotated(change, now, token)
        if written is None:
            return None
        return self.mailboxes.add(sql, "INBOX", written, render(written), date=now)

    def _ended(self, sql: Sql, obeyed: Obeyed, now: Instant, token: bytes) -> bytes | None:
        """A contact ended, or we did. That a contact gave up a device is theirs alone."""
        mine = str(self.keyring.address)
        if obeyed.fingerprint == self.keyring.fingerprint:
            if revoked.speaks(sql, obeyed.fingerprint, self.keyring.device.peer):
                return None
            return changed.own_ended(mine, is_whole=obeyed.is_whole, now=now, token=token)
        if obeyed.person is None or not obeyed.is_whole:
            return None
        name, address = obeyed.person.name, obeyed.person.address
        if obeyed.person.fingerprint != obeyed.fingerprint:
            return changed.root_ended(name, address, mine, now=now, token=token)
        return changed.ended(name, address, mine, now=now, token=token)

    def _rotated(self, followed: Followed, now: Instant, token: bytes) -> bytes | None:
        mine, before, person = str(self.keyring.address), followed.before, followed.person
        match followed.outcome:
            case Outcome.FOLLOWED if before is not None and person is not None:
                return changed.rotated(
                    person.name, before.address, person.address, mine, now=now, token=token
                )
            case Outcome.FORKED if person is not None and followed.heir is not None:
                return changed.forked(
                    person.name, person.address, followed.heir, mine, now=now, token=token
                )
            case Outcome.TAKEN if followed.heir is not None:
                return changed.taken(mine, followed.heir, now=now, token=token)
            case _:
                return None
