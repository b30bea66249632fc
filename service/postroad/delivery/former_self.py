"""Answer as whom we were to those who know us by no other name yet.

Purpose: whoever wrote to, or was proposed, an identity that we handed on since knows nothing of the
new one, and a word of it would be a stranger's. So we answer as the old one, and they hear of the
rotation as every contact does: seen, and unverified.
See: docs/adr/0015-devices.md.
"""

from dataclasses import replace

from postroad.base.ids import Fingerprint
from postroad.message.address import Address
from postroad.protocol.records import PersonRecord, sign_again
from postroad.store.keyring import OwnKeys


def address_as(keyring: OwnKeys, who: Fingerprint) -> Address:
    """Our address as one of those whom we are or were."""
    return replace(keyring.address, fingerprint=who)


def record_as(keyring: OwnKeys, mine: PersonRecord, who: Fingerprint) -> PersonRecord:
    """Our record as it is, said by one of those whom we are or were; it is published nowhere."""
    if who == mine.fingerprint:
        return mine
    return sign_again(mine, keyring.certificate_of(who), keyring.device)
