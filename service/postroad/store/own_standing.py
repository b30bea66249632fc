"""Whether we still speak for ourselves: one answer for all that send, take in, and tell the owner.

Functions run in the database thread, inside a transaction of `Database.run`.
See: docs/adr/0015-devices.md.
"""

import sqlite3

from postroad.base.errors import PermanentFailure
from postroad.base.ids import Fingerprint, PeerId
from postroad.phrases import joined, phrase
from postroad.store import revoked
from postroad.store.keyring import OwnKeys

ENDED = joined(
    phrase(
        "This device, or your identity, was revoked: nobody takes letters from it any more, and it "
        "takes none in."
    ),
    phrase("See: postroad devices"),
)
HANDED_ON = joined(
    phrase(
        "Your identity was handed on to another key, so nothing is sent or taken in as this "
        "address any more."
    ),
    phrase("A letter in your INBOX says what to do."),
    phrase("See: postroad identity"),
)


def trouble(sql: sqlite3.Connection, mine: Fingerprint, device: PeerId) -> str:
    """Why nothing is sent or taken in as this identity by this device; empty: all is well."""
    if not revoked.speaks(sql, mine, device):
        return ENDED
    # Only what its own keys signed is noted there, and only an heir that is not ours.
    heir = sql.execute("SELECT 1 FROM fork WHERE fingerprint = ?", (mine,)).fetchone()
    return "" if heir is None else HANDED_ON


def expect_none(sql: sqlite3.Connection, keyring: OwnKeys) -> None:
    """PermanentFailure in words where nobody would believe what we say, so it is not said."""
    if why := trouble(sql, keyring.fingerprint, keyring.device.peer):
        raise PermanentFailure(why)
