"""File a notice in the owner's INBOX about keys that changed or ended, theirs or a contact's.

Purpose: no key changes silently (promise I2). Filed in the commit that obeys the change.
"""

from dataclasses import dataclass

from postroad.base.seams import Clock, Entropy
from postroad.message import changed
from postroad.protocol.imap.render import render
from postroad.store import revoked
from postroad.store.changes import Obeyed
from postroad.store.database import Sql
from postroad.store.keyring import OwnKeys
from postroad.store.mailboxes import Added, Mailboxes


@dataclass(frozen=True, slots=True)
class ChangeNotices:
    mailboxes: Mailboxes
    keyring: OwnKeys
    clock: Clock
    entropy: Entropy

    def revoked(self, sql: Sql, obeyed: Obeyed) -> Added | None:
        """A contact ended, or we did. That a contact gave up a device is theirs alone."""
        now, token = self.clock.now(), self.entropy.token(changed.TOKEN_BYTES)
        mine = str(self.keyring.address)
        if obeyed.fingerprint == self.keyring.fingerprint:
            if revoked.speaks(sql, obeyed.fingerprint, self.keyring.device.peer):
                return None
            written = changed.own_ended(mine, is_whole=obeyed.is_whole, now=now, token=token)
        elif obeyed.person is not None and obeyed.is_whole:
            name, address = obeyed.person.name, obeyed.person.address
            written = changed.ended(name, address, mine, now=now, token=token)
        else:
            return None
        return self.mailboxes.add(sql, "INBOX", written, render(written), date=now)
