"""What the service says of each vector: read with its own code, as its own callers do.

Each reader gives the octets again, written anew from what was read, where there is one form only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature

from postroad.base.errors import PeerMisbehaved, PermanentFailure, TemporaryFailure
from postroad.base.ids import Fingerprint, Instant, MailId, Nonce, PeerId
from postroad.base.tlv import decode, encode
from postroad.delivery.filing import Filing
from postroad.machine import tls_network
from postroad.protocol import (
    bundle,
    helping,
    invitation,
    mux,
    neighbourhood,
    safety_code,
    sheet,
    wire,
)
from postroad.protocol import wire_directory as directory_messages
from postroad.protocol.contacts import decode_contact, encode_contact
from postroad.protocol.directory import node_id, record_key
from postroad.protocol.identity_records import read_revoke, read_rotate
from postroad.protocol.records import PersonRecord, read_person
from postroad.protocol.wire_helping import SignedIn
from postroad.protocol.wire_holders import (
    Burial,
    Holders,
    Holding,
    Voucher,
    check_burial,
    check_voucher,
)
from postroad.protocol.wire_reach import DialledBack, Seen
from postroad.protocol.wire_reseal import LeaveReseal, Reseal, check_reseal
from postroad.sealing import certificate as certificates
from postroad.sealing import keys, safety, stamp
from postroad.sealing.certificate import Certificate
from postroad.sealing.keys import EpochKey, IdentityPublic
from postroad.sealing.letter import open_sealed
from postroad.sealing.proposal import SignedWord, check_word
from postroad.sealing.receipt import open_receipt

Given = Mapping[str, bytes]
REFUSES = (PeerMisbehaved, PermanentFailure, TemporaryFailure)


class Refused(Exception):
    """By the service, for the reason that it gives."""


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


def _equal(found: bytes, octets: bytes) -> bytes:
    if found != octets:
        raise Refused("something else")
    return octets


def _ed25519(octets: bytes, given: Given) -> bytes:
    return keys.load_ed25519(octets).public_bytes_raw()


def _epoch_key(octets: bytes, given: Given) -> bytes:
    keys.load_epoch_key(octets)
    return octets


def _signature(octets: bytes, given: Given) -> bytes:
    keys.verify(octets[:32], b"postroad/record/1", octets[96:], octets[32:96])
    return octets


def _fingerprint(octets: bytes, given: Given) -> bytes:
    found = IdentityPublic(octets[:32], octets[32:64]).fingerprint
    return octets[:64] + _equal(found.encode(), octets[64:])


def _contact(octets: bytes, given: Given) -> bytes:
    return encode_contact(decode_contact(octets))


def _certificate(octets: bytes, given: Given) -> bytes:
    found = decode(Certificate, octets)
    certificates.check(found, found.fingerprint, found.statement.begins)
    return encode(found)


def _person(octets: bytes, given: Given) -> bytes:
    return encode(read_person(octets, decode(PersonRecord, octets).fingerprint))


def _identity_record(read: Callable[[bytes, Fingerprint], Any]) -> Callable[[bytes, Given], bytes]:
    def check(octets: bytes, given: Given) -> bytes:
        key, mldsa = octets[10:42], octets[45 : 45 + 1952]  # of the old identity
        public = IdentityPublic(key, hashlib.sha256(mldsa).digest())
        return encode(read(octets, public.fingerprint))

    return check


def _sheet(octets: bytes, given: Given) -> bytes:
    wanted = given["sheet"]
    return _equal(sheet.from_text(octets.decode(), len(wanted)), wanted) and octets


class _Keyring:
    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.fingerprints = (fingerprint,)


def _letter(octets: bytes, given: Given) -> bytes:
    epoch = EpochKey(given["epoch-secret"])
    opened = open_sealed(
        lambda offset, size: octets[offset : offset + size],
        len(octets),
        {keys.epoch_key_id(epoch.public): epoch},
        Instant(float(_number(given["now"]))),
    )
    filing = Filing.__new__(Filing)  # the check of persons asks nothing but whose node this is
    filing._keyring = _Keyring(given["recipient"].decode())  # type: ignore[assignment]
    filing._check_persons(opened.header)
    return octets


def _word(octets: bytes, given: Given) -> bytes:
    introducer, me, other = (given[one].decode() for one in ("introducer", "recipient", "other"))
    now = Instant(float(_number(given["now"])))
    found = decode(SignedWord, octets)
    check_word(found, Fingerprint(introducer), {me, other}, now)
    return encode(found)


def _receipt(octets: bytes, given: Given) -> bytes:
    open_receipt(
        octets,
        content_key=given["content-key"],
        sender=Fingerprint(given["sender"].decode()),
        recipient=Fingerprint(given["recipient"].decode()),
        nonce=Nonce(given["nonce"]),
        letter=given["letter"],
    )
    return octets


def _invitation(octets: bytes, given: Given) -> bytes:
    found = invitation.to_link(invitation.from_link(octets.decode())).encode()
    return _equal(found, b"".join(octets.split())) and octets


def _helper_link(octets: bytes, given: Given) -> bytes:
    found = helping.to_link(helping.from_link(octets.decode())).encode()
    return _equal(found, b"".join(octets.split())) and octets


def _safety_keys(octets: bytes) -> safety.Keys:
    return safety.Keys(octets[:32], octets[32:])


def _compared(octets: bytes, shown_by: bytes, shown_to: bytes) -> bytes:
    mine, theirs = _safety_keys(shown_to), _safety_keys(shown_by)
    number = safety.safety_number(mine, theirs)
    found = safety_code.compare(octets.decode(), mine, theirs, number)
    if found is not safety_code.Comparison.MATCHES:
        raise Refused(found.value)
    return octets


def _safety(octets: bytes, given: Given) -> bytes:
    return _compared(octets, given["keys"], given["other-keys"])


def _bundle(octets: bytes, given: Given) -> bytes:
    reader, sealed, wanted = bundle.Reader(), b"", b""
    for event in reader.feed(octets):
        if isinstance(event, bundle.Letter):
            wanted, sealed = event.mail_id, b""
        elif isinstance(event, bundle.Piece):
            sealed += event.octets
            if event.is_last:
                _equal(hashlib.sha256(sealed).digest(), wanted)
    reader.finish()
    return octets


def _frame(octets: bytes, given: Given) -> bytes:
    return wire.frame(_message(octets))


def _message(octets: bytes) -> wire.Message:
    """A frame's message, its contents looked at as whoever answers it does."""
    if len(octets) < wire.FRAME_HEAD:
        raise Refused("no frame")
    head, body = octets[: wire.FRAME_HEAD], octets[wire.FRAME_HEAD :]
    if wire.body_size(head) != len(body):
        raise Refused("another size than was said")
    found = wire.unframe(head, body)
    match found:
        case wire.Tickets(hashes=hashes):
            if len(hashes) % 32:
                raise Refused("peers.holder says so")
        case Seen():
            str(found.seen_at)
        case DialledBack():
            str(found.knocked_at)
        case Holding():
            str(found.hold_for)
        case (
            directory_messages.Ping(me)
            | directory_messages.FindNode(me)
            | directory_messages.FindValue(me)
            | directory_messages.Store(me)
        ):
            if me is not None:
                decode_contact(me)
        case directory_messages.Nodes(nodes):
            for node in nodes:
                decode_contact(node)
        case Holders(introduced):
            for one in introduced:
                decode_contact(one.holder)
        case SignedIn(contact):
            decode_contact(contact)
        case _:
            pass
    return found


def _owner(octets: bytes, given: Given) -> bytes:
    found = _message(octets)
    owners = wire.Rent | wire.Tickets | wire.List | wire.Fetch | wire.Delete | LeaveReseal
    if not isinstance(found, owners):
        raise Refused("not a request of a drop's owner")
    key = given["drop-key"]
    if isinstance(found, wire.Rent):
        key = found.key
    wire.check_owner(found, key, PeerId(given["holder"]), PeerId(given["asker"]))
    return octets


def _lease(octets: bytes, given: Given) -> bytes:
    found, deposit = _message(octets), _message(given["deposit"])
    assert isinstance(deposit, wire.Deposit)
    if not isinstance(found, wire.Leased):
        raise Refused("no lease")
    wire.check_lease(found, PeerId(given["holder"]), deposit)
    return octets


def _reseal(octets: bytes, given: Given) -> bytes:
    found = _message(octets)
    if not isinstance(found, Reseal):
        raise Refused("no word to seal anew")
    check_reseal(
        found,
        MailId(given["mail-id"]),
        given["old-key"],
        sealed_for=_number(given["sealed-for"]),
        device=PeerId(given["owner"]),
        sequence=_number(given["sequence"]),
        newest_key=given["newest-key"],
    )
    return octets


def _voucher(octets: bytes, given: Given) -> bytes:
    found = decode(Voucher, octets)
    renter, holder = Fingerprint(given["renter"].decode()), PeerId(given["holder"])
    check_voucher(found, renter, holder, Instant(float(_number(given["now"]))))
    return encode(found)


def _burial(octets: bytes, given: Given) -> bytes:
    found = _message(octets)
    if not isinstance(found, Burial):
        raise Refused("no burial")
    check_burial(found, MailId(found.mail_id), PeerId(given["owner"]))
    return octets


def _stamp(octets: bytes, given: Given) -> bytes:
    recipient, bits = Fingerprint(given["fingerprint"].decode()), _number(given["bits"])
    now = Instant(float(_number(given["now"])))
    if not stamp.is_good(octets, PeerId(given["device"]), recipient, bits, now):
        raise Refused("not good")
    return octets


def _proof(octets: bytes, given: Given) -> bytes:
    if len(octets) != tls_network.PROOF_BYTES:
        raise Refused("it reads so many")
    signed = tls_network._to_sign(given["nonce"], given["certificate"])
    try:
        keys.load_ed25519(octets[:32]).verify(octets[32:], signed)
    except InvalidSignature as error:
        raise Refused("not proven") from error
    return octets


def _mux(octets: bytes, given: Given) -> bytes:
    mux.Mux(dialled=False).receive(octets)
    return octets


def _place(kind: int) -> Callable[[bytes, Given], bytes]:
    return lambda octets, given: _equal(
        record_key(kind, Fingerprint(given["fingerprint"].decode())), octets
    )


READERS: dict[str, Callable[[bytes, Given], bytes]] = {
    "ed25519": _ed25519,
    "epoch-key": _epoch_key,
    "signature": _signature,
    "fingerprint": _fingerprint,
    "contact": _contact,
    "certificate": _certificate,
    "person": _person,
    "revoke": _identity_record(read_revoke),
    "rotate": _identity_record(read_rotate),
    "sheet": _sheet,
    "letter": _letter,
    "word": _word,
    "receipt": _receipt,
    "invitation": _invitation,
    "helper-link": _helper_link,
    "safety-number": _safety,
    "safety-code": _safety,
    "bundle": _bundle,
    "frame": _frame,
    "owner": _owner,
    "lease": _lease,
    "reseal": _reseal,
    "voucher": _voucher,
    "burial": _burial,
    "stamp": _stamp,
    "tls-proof": _proof,
    "mux": _mux,
    "node-id": lambda octets, given: _equal(node_id(PeerId(given["device"])), octets),
    "record-key-person": _place(1),
    "record-key-revoke": _place(2),
    "record-key-rotate": _place(3),
    "lan-tag": lambda octets, given: _equal(
        neighbourhood.tag(PeerId(given["device"]), _number(given["day"])), octets
    ),
}


def read(kind: str, octets: bytes, given: Given) -> bytes:
    """The octets that were read and written again; raises Refused."""
    try:
        return READERS[kind](octets, given)
    except REFUSES as error:
        raise Refused(str(error)) from error
