"""Targets: what is sealed, signed, framed or written as a link.

A fuzzer cannot guess a key. So behind a first pass over the octets as they came, most of these make
signature, seal or check right again, and feed what no outsider could have reached."""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

import postroad
from fakes import NOW, FakeEntropy, someone
from fuzzing.target import Target, pieces, text
from postroad.base import limits, tlv
from postroad.base.errors import PeerMisbehaved, PermanentFailure, TemporaryFailure
from postroad.base.ids import Nonce, Ticket
from postroad.protocol import (
    bundle,
    helping,
    identity_records,
    invitation,
    link_text,
    wire,
    wire_holders,
    wire_reach,
)
from postroad.protocol.contacts import decode_contact, encode_contact
from postroad.protocol.directory import check_time, read_statement
from postroad.protocol.helping import HelperLink
from postroad.protocol.holding import hours_said
from postroad.protocol.identity_records import kind_of, read_record
from postroad.protocol.invitation import Invitation
from postroad.protocol.records import CONTEXT, PersonRecord, is_from_the_future, read_person
from postroad.sealing import certificate as certificates
from postroad.sealing import keys, letter, stamp, wrapping
from postroad.sealing.backup import KEY_BYTES, BackupDamaged, Sealer
from postroad.sealing.certificate import Certificate
from postroad.sealing.letter import Header, NotOpened, Person, open_sealed, sealed_to
from postroad.sealing.password import verifier
from postroad.sealing.receipt import PLAIN_BYTES, Receipt, Verdict, open_receipt, seal_receipt
from postroad.store import backup_format
from postroad.store.keyring import Keyring, new_keyring
from sealing import forger

ANNA, BEN = someone("anna"), someone("ben")
KNOWN = {keys.epoch_key_id(BEN.epoch.public): BEN.epoch}
NONCE = Nonce(b"n" * 16)
LETTER = b"h" * 32


@cache
def structures() -> list[type[Any]]:
    """Every dataclass of the service that is read and written by `base.tlv`, by name."""
    found: dict[str, type[Any]] = {}
    for module in pkgutil.walk_packages(postroad.__path__, "postroad."):
        if module.name.endswith("__main__") or ".machine" in module.name:
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if (
                isinstance(value, type)
                and is_dataclass(value)
                and any("tlv" in one.metadata for one in fields(value))
            ):
                found[f"{value.__module__}.{value.__qualname__}"] = value
    return [found[name] for name in sorted(found)]


def _structure(octets: bytes) -> None:
    known = structures()
    kind = known[int.from_bytes(octets[:2], "big") % len(known)]
    read = tlv.decode(kind, octets[2:])
    assert tlv.encode(read) == octets[2:]
    for name in dir(kind):  # what is made of a field only when it is asked for
        if isinstance(getattr(kind, name), property) and kind is not Keyring:
            with suppress(PeerMisbehaved, StopIteration):
                getattr(read, name)


def _structure_seeds() -> list[bytes]:
    known = structures()
    whole = [ANNA.record(3, drops=2), ANNA.certificate, _header(b"x"), _receipt(), BEN.record()]
    return [known.index(type(one)).to_bytes(2, "big") + tlv.encode(one) for one in whole]


def _wire(octets: bytes) -> None:
    head, body = octets[: wire.FRAME_HEAD], octets[wire.FRAME_HEAD :]
    if len(head) < wire.FRAME_HEAD or len(body) < wire.body_size(head):
        return  # more is waited for
    body = body[: wire.body_size(head)]
    message = wire.unframe(head, body)
    assert wire.frame(message) == head + body
    match message:
        case wire_reach.Seen():
            assert message.seen_at is None or message.seen_at.port
        case wire_reach.DialledBack():
            assert message.knocked_at.port
        case wire_holders.Holding():
            hours_said(message.hours or b"")
            assert message.hold_for
        case wire_holders.Holders(introduced):
            for one in introduced:
                decode_contact(one.holder)
        case _:
            pass


def _wire_seeds() -> list[bytes]:
    contact = encode_contact(ANNA.contact)
    messages: list[wire.Message] = [
        wire.Deliver(bytes(32), 1000, None, None),
        wire.Deposit(bytes(16), bytes(32), 1000, int(NOW), None, None),
        wire.Known((wire.Tombstone(bytes(32), bytes(1052)),), ()),
        wire.No(wire.Refusal.LATER, "Später."),
        wire.Record(tlv.encode(ANNA.record())),
        wire_reach.Seen(int(NOW), bytes([192, 0, 2, 1, 0, 80]), None),
        wire_holders.Holding(2, bytes(3)),
        wire.FindRecord(ANNA.fingerprint),
        wire.Listing((wire.Listed(bytes(32), 9, 1), wire.Listed(bytes(32), 9, 2))),
        wire_holders.Sync(bytes(16), bytes(16), 0),
    ]
    from postroad.protocol.wire_directory import FindNode, Nodes

    messages += [FindNode(contact, bytes(20)), Nodes((contact,), None)]
    return [wire.frame(message) for message in messages]


def _record(octets: bytes) -> None:
    who = ANNA.fingerprint
    kind = kind_of(octets)
    try:
        read_record(octets, kind, who)
    except PeerMisbehaved:
        if kind != 1:
            check_time(read_statement(octets, NOW), NOW)
    if kind == 1:
        said = tlv.decode(PersonRecord, octets)
        blank = replace(said, certificate=ANNA.certificate, signature=bytes(64))
        signature = ANNA.device.sign(CONTEXT, tlv.encode(blank))
        record = read_person(tlv.encode(replace(blank, signature=signature)), who)
        assert record.signer is not None
        assert record.address.fingerprint == who
        assert len([drop.contact for drop in record.drops]) == len(record.drops)
        is_from_the_future(record, NOW)


def _record_seeds() -> list[bytes]:
    signed = identity_records
    devices = [ANNA.device.peer]
    return [
        tlv.encode(one)
        for one in (
            ANNA.record(3, drops=2),
            ANNA.record(3),
            signed.sign_revoke(ANNA.identity),
            signed.sign_revoke_devices(ANNA.identity, devices, 5 << 32),
            signed.sign_rotate(ANNA.identity, BEN.identity, 5 << 32, NOW),
        )
    ]


def _header(body: bytes) -> Header:
    ben = Person(str(BEN.address), BEN.fingerprint)
    return Header(
        letter.VERSION,
        letter.SUITE,
        letter.Kind.PERSON,
        Person(str(ANNA.address), ANNA.fingerprint),
        ANNA.device.public,
        (ben,),
        ben,
        keys.epoch_key_id(BEN.epoch.public),
        False,
        bytes(16),
        int(NOW),
        int(NOW) + limits.DAY,
        len(body),
        hashlib.sha256(body).digest(),
        None,
        None,
    )


def _open(octets: bytes) -> None:
    def read(at: int, size: int) -> bytes:
        return octets[at : at + size]

    sealed_to(read, len(octets))
    opened = open_sealed(read, len(octets), KNOWN, NOW)
    header = opened.header
    assert hashlib.sha256(opened.body).digest() == header.digest
    assert (header.version, header.suite) == (1, 1)
    assert opened.certificate.fingerprint == header.sender.fingerprint
    assert header.blind == (header.recipient not in header.visible) or header.visible


def _letter(octets: bytes) -> None:
    """As it came; then as content that somebody with a recipient's public key sealed; then with a
    header that its author signed."""
    for sealed in (octets, forger.sealed_to(BEN.epoch.public, octets)):
        with suppress(NotOpened):
            _open(sealed)
    size = int.from_bytes(octets[:2], "big")
    said, body = octets[2 : 2 + size], octets[2 + size :]
    try:
        header = replace(tlv.decode(Header, said), size=len(body))
    except PeerMisbehaved:
        return
    header = replace(header, digest=hashlib.sha256(body).digest(), device=ANNA.device.public)
    content = forger.content_by(ANNA.device, ANNA.certificate, header, body)
    _open(forger.sealed_to(BEN.epoch.public, content))


def _letter_seeds() -> list[bytes]:
    body = b"From: a\r\n\r\nx"
    header = _header(body)
    content = forger.content_by(ANNA.device, ANNA.certificate, header, body)
    said = tlv.encode(header)
    framed = len(said).to_bytes(2, "big") + said + body
    return [forger.sealed_to(BEN.epoch.public, content), content, framed]


def _receipt() -> Receipt:
    return Receipt(ANNA.fingerprint, NONCE, LETTER, BEN.fingerprint, int(Verdict.FILED), int(NOW))


def _receipts(octets: bytes) -> None:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    given = {
        "content_key": forger.KEY,
        "sender": ANNA.fingerprint,
        "recipient": BEN.fingerprint,
        "nonce": NONCE,
        "letter": LETTER,
    }
    once = bytes(12)
    cipher = ChaCha20Poly1305(letter.receipt_key(forger.KEY))
    plain = octets[:PLAIN_BYTES].ljust(PLAIN_BYTES, b"\0")
    said = [octets, once + cipher.encrypt(once, plain, None)]
    try:
        receipt = tlv.decode(Receipt, octets)
        said.append(
            seal_receipt(
                receipt,
                device=BEN.device,
                certificate=BEN.certificate,
                content_key=forger.KEY,
                nonce=once,
            )
        )
    except PeerMisbehaved:
        pass
    for sealed in said:
        try:
            receipt = open_receipt(sealed, **given)  # type: ignore[arg-type]
            assert receipt.verdict in list(Verdict)
        except PeerMisbehaved:
            pass


def _receipt_seeds() -> list[bytes]:
    sealed = seal_receipt(
        _receipt(),
        device=BEN.device,
        certificate=BEN.certificate,
        content_key=forger.KEY,
        nonce=bytes(12),
    )
    return [sealed, tlv.encode(_receipt())]


def _certificate(octets: bytes) -> None:
    found = tlv.decode(Certificate, octets)
    keys.load_ed25519(found.statement.device)
    again = keys.SigningKey(bytes(32))
    identity = replace(found.statement, identity=again.public)
    signature = again.sign(certificates.CONTEXT, tlv.encode(identity))
    right = Certificate(identity, signature)
    certificates.check(right, right.fingerprint, identity.begins)


def _contact(octets: bytes) -> None:
    with suppress(PeerMisbehaved):
        assert wire_reach.read_address(octets).port
    found = decode_contact(octets)
    assert encode_contact(found) == octets


def _keys(octets: bytes) -> None:
    for load in (keys.load_ed25519, keys.load_epoch_key, keys.load_mldsa):
        with suppress(PeerMisbehaved):
            load(octets)
    stamp.is_good(octets, ANNA.device.peer, BEN.fingerprint, 8, NOW)
    keys.verify(octets[:32], b"context", b"said", octets[32:])


def _link(octets: bytes) -> None:
    """As text; and as octets whose check is right."""
    for link in (
        text(octets),
        link_text.write(invitation.SCHEME, octets),
        link_text.write(helping.SCHEME, octets),
    ):
        for read in (invitation.from_link, helping.from_link):
            with suppress(PermanentFailure):
                read(link)
        helping.is_link(link)


def _link_seeds() -> list[bytes]:
    found = Invitation(
        ANNA.fingerprint, bytes(16), Ticket(bytes(16)), int(NOW), (ANNA.contact, BEN.contact)
    )
    links = [invitation.to_link(found), helping.to_link(HelperLink(bytes(16), 5, ANNA.contact))]
    inside = [link_text.read(one.partition(":")[0] + ":", one) for one in links]
    return [*(one.encode() for one in links), *inside]


def _bundle(octets: bytes) -> None:
    """In one piece, in pieces, and with its end made right."""

    def read(chunks: list[bytes]) -> tuple[list[object], str]:
        reader = bundle.Reader()
        events: list[object] = []
        try:
            for chunk in chunks:
                for event in reader.feed(chunk):
                    if isinstance(event, bundle.Piece):
                        events += [bytes([one]) for one in event.octets]
                    else:
                        events.append(event)
            reader.finish()
        except PermanentFailure as error:
            return events, str(error)
        return events, ""

    assert read([octets]) == read(pieces(octets, octets[:3]))
    end = tlv.encode(bundle.End(hashlib.sha256(octets).digest()))
    read([octets + bytes([5]) + len(end).to_bytes(4, "big") + end])


def _bundle_seeds() -> list[bytes]:
    writer = bundle.Writer()
    items: list[bundle.Item] = [
        bundle.Record(tlv.encode(ANNA.record())),
        bundle.Invitation("postroad:x"),
        bundle.Receipt(bytes(32), bytes(1052)),
        bundle.Letter(bytes(32), 5, int(NOW), (bytes(16),)),
    ]
    made = [writer.begin(), *(writer.item(one) for one in items), writer.piece(b"12345")]
    return [b"".join((*made, writer.end())), writer.begin()]


def _keyring(octets: bytes) -> None:
    wrapped = wrapping.parse(octets)
    content = wrapping.PLAIN.unwrap(wrapped)
    tlv.decode(Keyring, content)


def _keyring_seeds() -> list[bytes]:
    password = verifier("secret", bytes(16))
    ring = new_keyring("anna", ANNA.identity, password, FakeEntropy(), NOW)
    plain = wrapping.PLAIN.wrap(tlv.encode(ring))
    header = wrapping.new_header(wrapping.Protection.PASSPHRASE, bytes(16))
    return [plain, tlv.encode(wrapping.Wrapped(header, b"y" * 60))]


def _backup(octets: bytes) -> None:
    """What stands behind the seal of a backup; and the seal itself, which lets nothing by."""
    sealer = Sealer(bytes(range(KEY_BYTES)))
    mark = bytes(16)
    with suppress(BackupDamaged):
        sealer.open(b"block", octets)
        raise AssertionError("it was never sealed")
    with suppress(BackupDamaged):
        backup_format.read_index(sealer, "a", sealer.seal(b"index a", octets or b"x"))
    sealed = sealer.seal(b"catalogue", octets or b"x")
    backup_format.read_catalogue(sealer, backup_format.MAGIC + mark + sealed)


def _backup_seeds() -> list[bytes]:
    head = backup_format.Head(1, int(NOW), "postroad", 1, 1, 1, b"k", 1)
    file = backup_format.File("database", 5, bytes(32))
    sealer = Sealer(bytes(range(KEY_BYTES)))
    whole = backup_format.Catalogue(head, {"database": (file, (bytes(16),))})
    written = backup_format.write_catalogue(sealer, bytes(16), whole)
    behind = sealer.open(b"catalogue", written[len(backup_format.MAGIC) + 16 :])
    return [behind, bytes(16) + (5).to_bytes(4, "big")]


TARGETS = (
    Target(
        "structure",
        _structure,
        ("base.tlv.decode",),
        _structure_seeds,
        (PeerMisbehaved,),
        bytes_max=8192,
    ),
    Target(
        "wire",
        _wire,
        (
            "protocol.wire.body_size",
            "protocol.wire.unframe",
            "protocol.holding.hours_said",
            "protocol.wire_reach.read_address",
        ),
        _wire_seeds,
        (PeerMisbehaved,),
        bytes_max=8192,
    ),
    Target(
        "record",
        _record,
        (
            "protocol.records.read_person",
            "protocol.identity_records.read_revoke",
            "protocol.identity_records.read_rotate",
            "protocol.identity_records.read_record",
            "protocol.identity_records.kind_of",
            "protocol.directory.read_statement",
        ),
        _record_seeds,
        (PeerMisbehaved,),
        bytes_max=12_288,
    ),
    Target(
        "letter",
        _letter,
        ("sealing.letter.open_sealed", "sealing.letter.sealed_to"),
        _letter_seeds,
        (NotOpened, TemporaryFailure),
        bytes_max=8192,
    ),
    Target("receipt", _receipts, ("sealing.receipt.open_receipt",), _receipt_seeds, ()),
    Target(
        "certificate",
        _certificate,
        ("sealing.certificate.check",),
        lambda: [tlv.encode(ANNA.certificate)],
        (PeerMisbehaved,),
        bytes_max=512,
    ),
    Target(
        "contact",
        _contact,
        ("protocol.contacts.decode_contact",),
        lambda: [encode_contact(ANNA.contact), b"\0" + ANNA.device.public],
        (PeerMisbehaved,),
        bytes_max=256,
    ),
    Target(
        "keys",
        _keys,
        (
            "sealing.keys.load_ed25519",
            "sealing.keys.load_epoch_key",
            "sealing.keys.load_mldsa",
            "sealing.keys.verify",
            "sealing.stamp.is_good",
        ),
        lambda: [ANNA.device.public + ANNA.device.sign(b"context", b"said"), BEN.epoch.public],
        (PeerMisbehaved,),
        bytes_max=2048,
    ),
    Target(
        "link",
        _link,
        (
            "protocol.invitation.from_link",
            "protocol.helping.from_link",
            "protocol.helping.is_link",
            "protocol.link_text.read",
            "protocol.link_text.unwrapped",
        ),
        _link_seeds,
        bytes_max=1024,
    ),
    Target("bundle", _bundle, ("protocol.bundle.Reader.feed",), _bundle_seeds, bytes_max=12_288),
    Target(
        "keyring",
        _keyring,
        ("sealing.wrapping.parse", "sealing.wrapping.Wrapping.unwrap"),
        _keyring_seeds,
        (PeerMisbehaved, PermanentFailure),
    ),
    Target(
        "backup",
        _backup,
        ("sealing.backup.Sealer.open", "sealing.backup.Sealer.seal", "sealing.backup.read"),
        _backup_seeds,
        (BackupDamaged,),
    ),
)
