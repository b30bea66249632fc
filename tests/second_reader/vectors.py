"""Files of vectors: what stands in them, and what this reader says of each.

The first words of a name say what a vector is; `given-...` stands beside those that need it; what
begins with `no-` has to be refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from second_reader import (
    bundle,
    directory,
    keys,
    letter,
    links,
    receipt,
    records,
    sheet,
    stamp,
    tls,
    tlv,
    wire,
)
from second_reader.tlv import Refused

NO, GIVEN = "no-", "given-"
RUN_MAX = 1_000_000
Given = Mapping[str, bytes]


def read_file(text: str) -> dict[str, bytes]:
    """The vectors of a file: `name =`, and hexadecimal in indented lines."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        plain = line.partition("#")[0].rstrip()
        if plain.endswith("="):
            name = plain[:-1].strip()
            if name in found:
                raise Refused(f"{name} stands there twice")
            found[name] = ""
        elif plain and name:
            found[name] += _run(plain.strip())
        elif plain:
            raise Refused(f"hexadecimal without a name: {plain[:20]}")
    try:
        return {name: bytes.fromhex(octets) for name, octets in found.items()}
    except ValueError as error:
        raise Refused("not hexadecimal") from error


def _run(line: str) -> str:
    """Hexadecimal as it stands there; `00*100` is a hundred bytes."""
    octet, star, times = line.partition("*")
    if not star:
        return line
    if len(octet) != 2 or not times.isascii() or not times.isdigit() or int(times) > RUN_MAX:
        raise Refused(f"not a run of one byte: {line[:20]}")
    return octet * int(times)


def _number(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


def _signature(octets: bytes, given: Given) -> object:
    tlv.must(len(octets) >= 96, "no key and signature")
    key, signature, message = octets[:32], octets[32:96], octets[96:]
    keys.verify(key, b"postroad/record/1", message, signature)
    return "holds"


def _letter(octets: bytes, given: Given) -> object:
    me = given["recipient"].decode("ascii")
    return letter.read(octets, given["epoch-secret"], me, _number(given["now"]))


def _word(octets: bytes, given: Given) -> object:
    introducer, me, other = (
        given[one].decode("ascii") for one in ("introducer", "recipient", "other")
    )
    return letter.read_word(octets, introducer, me, other, _number(given["now"]))


def _receipt(octets: bytes, given: Given) -> object:
    return receipt.read(
        octets,
        content_key=given["content-key"],
        sender=given["sender"].decode("ascii"),
        recipient=given["recipient"].decode("ascii"),
        nonce=given["nonce"],
        letter=given["letter"],
    )


def _reseal(octets: bytes, given: Given) -> object:
    newest = _number(given["sequence"]), given["newest-key"]
    sealed_for = _number(given["sealed-for"])
    mail_id, key, device = given["mail-id"], given["old-key"], given["owner"]
    return wire.reseal(octets, mail_id, key, sealed_for, device, newest)


def _voucher(octets: bytes, given: Given) -> object:
    renter = given["renter"].decode("ascii")
    return wire.voucher(octets, renter, given["holder"], _number(given["now"]))


def _place(kind: int) -> Callable[[bytes, Given], object]:
    def read(octets: bytes, given: Given) -> object:
        fingerprint = given["fingerprint"].decode("ascii")
        tlv.must(octets == directory.record_key(kind, fingerprint), "another place")
        return "lies there"

    return read


def _is(found: bytes, octets: bytes) -> object:
    tlv.must(octets == found, "another place")
    return "is so"


READERS: dict[str, Callable[[bytes, Given], object]] = {
    "ed25519": lambda octets, given: keys.ed25519(octets),
    "epoch-key": lambda octets, given: keys.epoch_key(octets),
    "signature": _signature,
    "fingerprint": lambda octets, given: _is(
        keys.fingerprint(octets[:32], octets[32:64]).encode(), octets[64:]
    ),
    "contact": lambda octets, given: records.contact(octets),
    "certificate": lambda octets, given: records.certificate(octets),
    "person": lambda octets, given: records.person(octets),
    "revoke": lambda octets, given: records.revoke(octets),
    "rotate": lambda octets, given: records.rotate(octets),
    "sheet": lambda octets, given: sheet.vector(octets, given["sheet"]),
    "letter": _letter,
    "word": _word,
    "receipt": _receipt,
    "invitation": lambda octets, given: links.invitation(octets),
    "helper-link": lambda octets, given: links.helper_link(octets),
    "safety-number": lambda octets, given: links.safety_number(
        octets, given["keys"], given["other-keys"]
    ),
    "safety-code": lambda octets, given: links.safety_code(
        octets, given["keys"], given["other-keys"]
    ),
    "bundle": lambda octets, given: bundle.read(octets),
    "frame": lambda octets, given: wire.frame(octets),
    "owner": lambda octets, given: wire.owner(
        octets, given["drop-key"], given["holder"], given["asker"]
    ),
    "lease": lambda octets, given: wire.lease(octets, given["deposit"], given["holder"]),
    "reseal": _reseal,
    "voucher": _voucher,
    "burial": lambda octets, given: wire.burial(octets, given["owner"]),
    "stamp": lambda octets, given: stamp.read(
        octets,
        given["device"],
        given["fingerprint"].decode("ascii"),
        _number(given["bits"]),
        _number(given["now"]),
    ),
    "tls-proof": lambda octets, given: tls.proof(octets, given["nonce"], given["certificate"]),
    "mux": lambda octets, given: tls.read(octets),
    "node-id": lambda octets, given: _is(directory.node_id(given["device"]), octets),
    "record-key-person": _place(1),
    "record-key-revoke": _place(2),
    "record-key-rotate": _place(3),
    "lan-tag": lambda octets, given: _is(
        directory.lan_tag(given["device"], _number(given["day"])), octets
    ),
}


def kind_of(name: str) -> str:
    """What a vector of this name is."""
    plain = name.removeprefix(NO)
    found = [kind for kind in READERS if plain == kind or plain.startswith(f"{kind}-")]
    if not found:
        raise Refused(f"{name} is of no kind that these pages know")
    return max(found, key=len)


@dataclass(frozen=True)
class Result:
    """`said`: what it was read as, None when it was refused, and `why` says so."""

    name: str
    said: object | None
    why: str = ""

    @property
    def is_as_it_should_be(self) -> bool:
        return (self.said is None) == self.name.startswith(NO)


def check(found: Mapping[str, bytes]) -> Iterator[Result]:
    """Read each vector of a file."""
    given = {
        name.removeprefix(GIVEN): octets for name, octets in found.items() if name.startswith(GIVEN)
    }
    for name, octets in found.items():
        if name.startswith(GIVEN):
            continue
        try:
            yield Result(name, READERS[kind_of(name)](octets, given))
        except Refused as error:
            yield Result(name, None, str(error))
        except KeyError as error:
            yield Result(name, None, f"{GIVEN}{error.args[0]} is missing in the file")
