"""The vectors of docs/protocol/holders.md: what is signed between holders and those who rent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from postroad.base.ids import Instant, MailId
from postroad.base.tlv import encode
from postroad.protocol import wire, wire_holders, wire_reseal
from postroad.sealing import keys
from postroad.sealing.keys import SigningKey
from vectors import of_records
from vectors.of_wire import ID
from vectors.world import (
    ANNA,
    BEN,
    DAY,
    DEVICE,
    DROP,
    DROP_KEY,
    EPOCH,
    FITS_ALL,
    HOLDER,
    NOW,
    OTHER,
    OTHER_EPOCH,
    RECEIPT,
    WEAK,
    seconds,
)

DEPOSIT = wire.Deposit(DROP, ID, 5000, int(NOW) + 30 * DAY, b"\x19" * 16, None)
SEALED_FOR, SEQUENCE = 7 << 32, 9 << 32
OLD_KEY, NEWEST_KEY = (keys.epoch_key_id(one.public) for one in (OTHER_EPOCH, EPOCH))
LEASE = wire.Lease(DROP, ID, 5000, int(NOW) + 30 * DAY + 600)


def owner(
    request: Any,
    *,
    key: SigningKey = DROP_KEY,
    holder: SigningKey = HOLDER,
    asker: SigningKey = DEVICE,
) -> bytes:
    return wire.frame(wire.sign_owner(request, key, holder.peer, asker.peer))


def voucher(
    renter: Any = ANNA.fingerprint,
    holder: SigningKey = HOLDER,
    expires: float = NOW + 30 * DAY,
    device: SigningKey = OTHER,
) -> wire_holders.Voucher:
    return wire_holders.vouch(renter, holder.peer, Instant(expires), device)


def _burial(device: SigningKey = DEVICE, receipt: bytes = RECEIPT) -> bytes:
    signature = wire_holders.sign_burial(MailId(ID), receipt, device)
    return wire.frame(wire_holders.Burial(ID, RECEIPT, signature))


def _leased(signer: SigningKey = HOLDER, **changes: Any) -> bytes:
    return wire.frame(wire.sign_lease(replace(LEASE, **changes), signer))


def reseal(
    device: SigningKey = DEVICE,
    mail_id: bytes = ID,
    epoch_key: bytes = OLD_KEY,
    sequence: int = SEQUENCE,
) -> wire_reseal.Reseal:
    return wire_reseal.sign_reseal(MailId(mail_id), epoch_key, sequence, device)


def vectors() -> dict[str, bytes]:
    blank = bytes(64)
    record = encode(of_records.records()["person"])
    rent = wire.Rent(DROP, DROP_KEY.public, record, blank, None)
    listed = wire.List(DROP, 7, blank)
    fetch = wire.Fetch(DROP, ID, blank)
    signature = wire.sign_owner(fetch, DROP_KEY, HOLDER.peer, DEVICE.peer).signature
    burial = wire_holders.sign_burial(MailId(ID), RECEIPT, DEVICE)
    signed = wire.sign_owner(listed, DROP_KEY, HOLDER.peer, DEVICE.peer)
    other_name = replace(
        voucher(), voucher=BEN.device.public, signature=voucher(device=DEVICE).signature
    )
    return {
        "given-now": seconds(NOW),
        "given-holder": HOLDER.public,
        "given-asker": DEVICE.public,
        "given-owner": DEVICE.public,
        "given-drop-key": DROP_KEY.public,
        "given-renter": ANNA.fingerprint.encode(),
        "given-deposit": wire.frame(DEPOSIT),
        "owner-rent": owner(rent),
        "owner-rent-vouched": owner(replace(rent, voucher=voucher())),
        "owner-tickets": owner(wire.Tickets(DROP, b"\x17" * 64, blank)),
        "owner-list": owner(listed),
        "owner-fetch": owner(fetch),
        "owner-delete": owner(wire.Delete(DROP, ID, RECEIPT, blank, burial)),
        "owner-leave-reseal": owner(wire_reseal.LeaveReseal(DROP, reseal(), blank)),
        "lease": _leased(),
        "voucher": encode(voucher()),
        "burial": _burial(),
        "no-owner-other-key": owner(listed, key=OTHER),
        "no-owner-other-holder": owner(listed, holder=OTHER),
        "no-owner-other-asker": owner(listed, asker=OTHER),
        "no-owner-changed": wire.frame(replace(signed, after=8)),
        "no-owner-other-kind": wire.frame(replace(listed, signature=signature)),
        "no-owner-key-weak": wire.frame(replace(rent, key=WEAK, signature=FITS_ALL)),
        "no-lease-other-drop": _leased(drop=bytes(16)),
        "no-lease-other-letter": _leased(mail_id=bytes(32)),
        "no-lease-other-size": _leased(size=5001),
        "no-lease-too-short": _leased(until=DEPOSIT.expires - 1),
        "no-lease-other-holder": _leased(OTHER),
        "no-voucher-other-renter": encode(voucher(BEN.fingerprint)),
        "no-voucher-other-holder": encode(voucher(holder=DEVICE)),
        "no-voucher-expired": encode(voucher(expires=NOW)),
        "no-voucher-too-long": encode(voucher(expires=NOW + 31 * DAY + 1)),
        "no-voucher-signature": encode(other_name),
        "given-mail-id": ID,
        "given-old-key": OLD_KEY,
        "given-sealed-for": seconds(SEALED_FOR),
        "given-sequence": seconds(SEQUENCE),
        "given-newest-key": NEWEST_KEY,
        "reseal": wire.frame(reseal()),
        "no-reseal-other-letter": wire.frame(reseal(mail_id=bytes(32))),
        "no-reseal-other-key": wire.frame(reseal(epoch_key=NEWEST_KEY)),
        "no-reseal-old": wire.frame(reseal(sequence=SEALED_FOR)),
        "no-reseal-unseen": wire.frame(reseal(sequence=SEQUENCE + 1)),
        "no-reseal-other-device": wire.frame(reseal(OTHER)),
        "no-reseal-changed": wire.frame(replace(reseal(), sequence=SEQUENCE - 1)),
        "no-burial-other-device": _burial(OTHER),
        "no-burial-other-receipt": _burial(receipt=bytes(1052)),
    }
