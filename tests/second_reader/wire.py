"""Frames of the wire, by the tables of docs/protocol/wire.md, and what holders.md says of them.

Nothing about a message stands here but what its fields mean beyond their sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from second_reader import page, records, structures, tlv
from second_reader.keys import ed25519, verify
from second_reader.structures import Fields, Values
from second_reader.tlv import must, sized

FRAME_MAX = 65536
DAY = 86400


@dataclass(frozen=True)
class Message:
    kind: int
    name: str
    values: dict[str, Values]
    body: bytes

    def octets(self, name: str) -> bytes:
        return Fields(self.values).octets(name)

    def number(self, name: str) -> int:
        return Fields(self.values).number(name)


def frame(octets: bytes) -> Message:
    """The message of a frame, its contents included as far as anybody can judge them."""
    must(len(octets) >= 5, "no frame")
    kind, size = octets[0], int.from_bytes(octets[1:5], "big")
    must(size <= FRAME_MAX, "too large a frame")
    names = page.numbers("wire", "message")
    must(kind in names, f"a message of unknown kind {kind}")
    body = sized(octets[5:], size)
    found = Message(kind, names[kind], structures.read("wire", names[kind], body), body)
    check = CHECKS.get(found.name)
    if check is not None:
        check(found)
    return found


def _each(values: Values) -> list[bytes]:
    found = values if isinstance(values, list) else [values]
    return [one for one in found if isinstance(one, bytes)]


def _address(value: Values) -> None:
    for octets in _each(value):
        must(len(octets) in (6, 18) and octets[-2:] != b"\0\0", "not an address")


def _contacts(name: str) -> Callable[[Message], None]:
    def check(message: Message) -> None:
        for one in _each(message.values[name]):
            records.contact(one)

    return check


def _hashes(message: Message) -> None:
    must(len(message.octets("hashes")) % 32 == 0, "a hash is cut short")


def _holders(message: Message) -> None:
    for one in Fields(message.values).each("introduced"):
        records.contact(one.octets("holder"))


CHECKS: dict[str, Callable[[Message], None]] = {
    "Tickets": _hashes,
    "Seen": lambda message: _address(message.values["address"]),
    "DialledBack": lambda message: _address(message.values["address"]),
    "Holding": lambda message: must(message.number("duty") < 3, "an unknown duty"),
    "Ping": _contacts("me"),
    "FindNode": _contacts("me"),
    "FindValue": _contacts("me"),
    "Store": _contacts("me"),
    "Nodes": _contacts("nodes"),
    "Holders": _holders,
    "SignedIn": _contacts("contact"),
}


def owner(octets: bytes, drop_key: bytes, holder: bytes, asker: bytes) -> Message:
    """A request that the owner of a drop signed, for this holder on this link."""
    found = frame(octets)
    must({"drop", "signature"} <= found.values.keys(), "not a request of a drop's owner")
    if found.name == "Rent":
        must(ed25519(found.octets("key")) == drop_key, "a drop with another key")
    (tag,) = [one.tag for one in page.structures("wire")[found.name] if one.name == "signature"]
    unsigned = octets[:5]
    for one, value in tlv.split(found.body):
        unsigned += bytes([one]) + len(value).to_bytes(2, "big")
        unsigned += bytes(64) if one == tag else value
    signed = holder + asker + unsigned
    verify(drop_key, b"postroad/drop-request/1", signed, found.octets("signature"))
    return found


def lease(octets: bytes, deposit: bytes, holder: bytes) -> Message:
    """What a holder answered to this deposit."""
    found, asked = frame(octets), frame(deposit)
    must((found.name, asked.name) == ("Leased", "Deposit"), "no lease, or no deposit")
    said = Fields(found.values["lease"])
    for name in ("drop", "mail id", "size"):
        must(said.values[name] == asked.values[name], f"leased for another {name}")
    must(said.number("until") >= asked.number("expires"), "too short a lease")
    leased, signature = tlv.fields(found.body, 1, 2)
    verify(holder, b"postroad/lease/1", leased, signature)
    return found


def reseal(
    octets: bytes,
    mail_id: bytes,
    epoch_key: bytes,
    sealed_for: int,
    device: bytes,
    newest: tuple[int, bytes],
) -> Message:
    """A recipient's word about the letter that was sealed to this key for the record of this
    sequence. `newest`: sequence and epoch key id of their newest record, which `device` signed."""
    found = frame(octets)
    must(found.name == "Reseal", "no word to seal anew")
    named = (found.octets("mail id"), found.octets("epoch key"))
    must(named == (mail_id, epoch_key), "about another letter, or another key")
    sequence, key = newest
    must(sealed_for < found.number("sequence") <= sequence, "without a newer record")
    must(key != epoch_key, "to the same key")
    signed = found.body[:-64] + bytes(64)
    verify(device, b"postroad/reseal/1", signed, found.octets("signature"))
    return found


def voucher(octets: bytes, renter: str, holder: bytes, now: int) -> dict[str, Values]:
    """A word for this renter at this holder."""
    values = structures.read("wire", "Voucher", octets)
    found = Fields(values)
    must((found.text("renter"), found.octets("holder")) == (renter, holder), "for somebody else")
    must(now < found.number("expires") <= now + 31 * DAY, "not good at this time")
    signed = octets[:-64] + bytes(64)
    verify(found.octets("voucher"), b"postroad/voucher/1", signed, found.octets("signature"))
    return values


def burial(octets: bytes, owner_device: bytes) -> Message:
    """The word of a drop's owner that a letter is done."""
    found = frame(octets)
    must(found.name == "Burial", "no burial")
    signed = found.octets("mail id") + found.octets("receipt")
    verify(owner_device, b"postroad/burial/1", signed, found.octets("signature"))
    return found
