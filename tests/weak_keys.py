"""The weak keys, and whoever has one: for each of them, anybody can sign.

What is built here is right in all but the one key, and is signed wherever a good key signs.
"""

from __future__ import annotations

from dataclasses import replace

from postroad.base.ids import Contact, HostPort, PeerId, Relay
from postroad.base.tlv import encode
from postroad.protocol.records import CONTEXT, PersonRecord
from postroad.sealing.certificate import Certificate, Statement
from postroad.sealing.keys import SigningKey

P = 2**255 - 19
ORDER_EIGHT = 2707385501144840649318225287225658788936804267575313519463743609750303402022
# Of order 1, 2, 4 and 8 with either sign of x, and 0 and 1 written a second way (RFC 8032 5.1.3).
SMALL_Y = (0, 1, P - 1, ORDER_EIGHT, P - ORDER_EIGHT, P, P + 1)
ED25519 = tuple((y | sign << 255).to_bytes(32, "little") for y in SMALL_Y for sign in (0, 1))
# The same of Curve25519 and its twist (https://cr.yp.to/ecdh.html), with the bit that RFC 7748
# ignores clear and set.
SMALL_U = (
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    P - 1,
    P,
    P + 1,
)
X25519 = tuple((u | bit << 255).to_bytes(32, "little") for u in SMALL_U for bit in (0, 1))
assert len(set(ED25519)) == len(set(X25519)) == 14

EVERYBODYS_SIGNATURE = b"\x01" + bytes(31) + bytes(32)  # R the identity, S zero
AT = HostPort("192.0.2.9", 46464)


class WeakSigner(SigningKey):
    """A "device" whose public key is the weak one that it is made with."""

    __slots__ = ()

    @property
    def public(self) -> bytes:
        return self.seed

    def sign(self, context: bytes, signed: bytes) -> bytes:
        return EVERYBODYS_SIGNATURE


def contact(key: bytes) -> Contact:
    return Contact(PeerId(key), (AT,))


def behind(key: bytes, peer: PeerId) -> Contact:
    """A good node at a relay with the weak key."""
    return Contact(peer, (AT,), Relay(PeerId(key), AT))


def certificate_of_device(good: Certificate, key: bytes) -> Certificate:
    """Whoever has the weak key, as a device of a real identity; that one did not sign it."""
    return replace(good, statement=replace(good.statement, device=key))


def certificate_by(good: Certificate, key: bytes) -> Certificate:
    """A real device, certified by the weak identity."""
    said = good.statement
    statement = Statement(key, said.mldsa_hash, said.device, said.begins, said.ends)
    return Certificate(statement, EVERYBODYS_SIGNATURE)


def signed(record: PersonRecord, device: SigningKey) -> PersonRecord:
    blank = replace(record, signature=bytes(64))
    return replace(blank, signature=device.sign(CONTEXT, encode(blank)))
