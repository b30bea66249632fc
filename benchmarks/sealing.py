"""Sealing and opening: what they take beside the bare primitives, and a small letter on the wire.

    make bench ONLY=sealing [SEED=7] [LINK=tls] [ARGS="300 12"]      rounds of small ones, letters

Bounds: seal and open of 4 kB 1 ms, of 25 MiB 250 ms; a letter of 500 octets 6 kB on the wire, all
octets both ways. The floor is what the same algorithms take in the same run with keys that are
loaded already: HPKE, one Ed25519 signature made and checked, ChaCha20-Poly1305 once and SHA-256
twice over all of it. CPU time stands beside the clock's: a machine may have other work.
On the wire every packet between the two nodes is counted with its IP header, on a link that is
there; the first letter, after 45 s, may have to make one.
"""

from __future__ import annotations

import hashlib
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

import results
from fakes import NOW, someone
from person import PEER_PORT, meet, until
from person import Person as Somebody
from postroad.base import limits
from postroad.sealing import keys
from postroad.sealing.letter import CHUNK, SUITE, VERSION, Header, Kind, Person, open_sealed, seal

ANNA, BEN = someone("anna"), someone("ben")
HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
SMALL, LARGE = 4_000, limits.LETTER_BYTES_MAX
ROUNDS, LARGE_ROUNDS, LETTERS = 300, 7, 12
LETTER_BYTES = 500
BOUNDS_MS = {"4_kB": 1.0, "25_MiB": 250.0}
WIRE_BYTES_MAX = 6_000
QUIET_SECONDS = 2.0  # after a letter: until all that belongs to it has been said
OUTGOING = 4  # of socket.PACKET_*: on loopback each packet is seen twice


def timed(work: Callable[[], object], rounds: int) -> dict[str, float]:
    """Milliseconds by the clock and of CPU, for one."""
    work()
    clock = []
    began = time.process_time()
    for _ in range(rounds):
        at = time.perf_counter()
        work()
        clock.append((time.perf_counter() - at) * 1000)
    cpu = (time.process_time() - began) / rounds * 1000
    found = {"clock_p50": statistics.median(clock), "clock_min": min(clock), "cpu": cpu}
    return {name: round(value, 3) for name, value in found.items()}


def sealing(size: int, rounds: int) -> dict[str, object]:
    """Of a letter of this size: ours, the primitives alone, and how many times theirs ours take."""
    body = (b"%060d\r\n" % 7) * (size // 62 + 1)
    body = body[:size]
    known = {keys.epoch_key_id(BEN.epoch.public): BEN.epoch}

    def seal_it() -> bytes:
        """Of a letter that comes for the first time: its digest is made, too."""
        pieces = seal(
            header_for(body),
            body,
            device=ANNA.device,
            certificate=ANNA.certificate,
            epoch_public=BEN.epoch.public,
            content_key=bytes(range(32)),
        )
        return b"".join(pieces)

    octets = seal_it()

    def read(at: int, count: int) -> bytes:
        return octets[at : at + count]

    ours = {
        "seal": timed(seal_it, rounds),
        "open": timed(lambda: open_sealed(read, len(octets), known, NOW), rounds),
    }
    bare = primitives(size, rounds)
    figure: dict[str, object] = {"bytes": size, "sealed_bytes": len(octets), **ours}
    for clock in ("clock_p50", "clock_min", "cpu"):
        mine = sum(one[clock] for one in ours.values())
        floor = sum(one[clock] for one in bare.values())
        figure[f"seal_and_open_{clock}_ms"] = round(mine, 3)
        figure[f"primitives_{clock}_ms"] = round(floor, 3)
        figure[f"over_primitives_{clock}"] = round(mine / floor, 2)
    return figure


def header_for(body: bytes) -> Header:
    ben = Person(str(BEN.address), BEN.fingerprint)
    return Header(
        VERSION,
        SUITE,
        Kind.PERSON,
        Person(str(ANNA.address), ANNA.fingerprint),
        ANNA.device.public,
        (ben,),
        ben,
        keys.epoch_key_id(BEN.epoch.public),
        False,
        bytes(16),
        int(NOW),
        int(NOW) + limits.EXPIRY_SECONDS_MAX,
        len(body),
        hashlib.sha256(body).digest(),
        introduction=None,
        proposal=None,
    )


def primitives(size: int, rounds: int) -> dict[str, dict[str, float]]:
    """The same cryptography without a letter around it: keys loaded, nothing read or checked."""
    device = Ed25519PrivateKey.from_private_bytes(bytes(32))
    device_public = device.public_key()
    public, private = keys.load_epoch_key(BEN.epoch.public), BEN.epoch.private()
    secret, said = bytes(64), bytes(400)
    cipher = ChaCha20Poly1305(bytes(32))
    chunks = [bytes(min(CHUNK, size - at)) for at in range(0, size, CHUNK)]
    sealed = [cipher.encrypt(bytes(12), one, b"") for one in chunks]
    wrapped = HPKE.encrypt(secret, public, info=bytes(64))
    signature = device.sign(said)

    def seal() -> None:
        body, payload = hashlib.sha256(), hashlib.sha256()
        for chunk in chunks:
            body.update(chunk)
            payload.update(cipher.encrypt(bytes(12), chunk, b""))
        device.sign(said)
        HPKE.encrypt(secret, public, info=bytes(64))

    def open_it() -> None:
        body, payload = hashlib.sha256(), hashlib.sha256()
        HPKE.decrypt(wrapped, private, info=bytes(64))
        for chunk in sealed:
            payload.update(chunk)
            body.update(cipher.decrypt(bytes(12), chunk, b""))
        device_public.verify(signature, said)

    return {"seal": timed(seal, rounds), "open": timed(open_it, rounds)}


class Listener:
    """Counts the octets of all packets between nodes: TCP from or to these ports, and UDP, of which
    nobody else has any here (iroh takes other ports beside the one that it is given)."""

    def __init__(self, ports: set[int]) -> None:
        self.octets = 0
        self.packets = 0
        self._ports = ports
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            packet, (_, _, kind, *_) = self._socket.recvfrom(65536)
            version = packet[0] >> 4
            start = (packet[0] & 15) * 4 if version == 4 else 40
            protocol = packet[9] if version == 4 else packet[6]
            found = packet[start : start + 4]
            ports = {int.from_bytes(found[:2], "big"), int.from_bytes(found[2:], "big")}
            multicast = packet[16] >= 224 if version == 4 else packet[24] == 255
            ours = (protocol == 17 and not multicast) or (protocol == 6 and ports & self._ports)
            if kind == OUTGOING and ours:
                self.octets += len(packet)
                self.packets += 1


def on_the_wire(link: str, base: Path, slot: int, letters: int) -> dict[str, object]:
    anna, bora = (
        Somebody(f"{name}{link}", base, slot + at, link=link)
        for at, name in enumerate(("anna", "bora"))
    )
    try:
        for person in (anna, bora):
            person.set_up()
            person.start()
        meet(bora, anna)
        listener = Listener({PEER_PORT + slot, PEER_PORT + slot + 1})
        time.sleep(limits.LINK_IDLE_SECONDS + 15)  # a link without work has been closed
        first = _counted(listener, lambda: _send(anna, bora, 0))
        each = [_counted(listener, lambda n=n: _send(anna, bora, n)) for n in range(1, letters)]  # type: ignore[misc]
        return {
            "first_after_45_s": first,
            "on_a_link_that_is_there": {
                "median": round(statistics.median(each)),
                "min": min(each),
                "max": max(each),
            },
        }
    finally:
        for person in (anna, bora):
            person.kill()


def _counted(listener: Listener, work: Callable[[], None]) -> int:
    before = listener.octets
    work()
    return listener.octets - before


def _send(anna: Somebody, bora: Somebody, number: int) -> None:
    subject = f"wire {number}"
    head = (
        f"From: {anna.address}\r\nTo: {bora.address}\r\nSubject: {subject}\r\n"
        f"Date: Thu, 26 Nov 2026 05:00:00 +0000\r\nMessage-ID: <{number}@bench>\r\n\r\n"
    ).encode()
    anna.submit(bora.address, head + b"x" * (LETTER_BYTES - len(head) - 2) + b"\r\n")
    until(lambda: bora.find(subject) is not None, f"letter {number} is filed")
    time.sleep(QUIET_SECONDS)


def over_bounds(figure: dict[str, Any]) -> list[str]:
    """What is over the bounds, by the fastest of the rounds: others' work does not count."""
    least = "seal_and_open_clock_min_ms"
    broken = [name for name, most in BOUNDS_MS.items() if figure[name][least] > most]
    for link, wire in figure["wire_bytes_of_a_500_byte_letter"].items():
        if wire["on_a_link_that_is_there"]["median"] > WIRE_BYTES_MAX:
            broken.append(f"the wire by {link}")
    return broken


def main() -> None:
    results.must_be_alone()
    rounds, letters = [int(one) for one in sys.argv[1:]] or (ROUNDS, LETTERS)
    links = [os.environ["LINK"]] if os.environ.get("LINK") else ["iroh", "tls"]
    figure: dict[str, Any] = {
        "500_bytes": sealing(LETTER_BYTES, rounds),
        "4_kB": sealing(SMALL, rounds),
        "25_MiB": sealing(LARGE, LARGE_ROUNDS),
    }
    with tempfile.TemporaryDirectory(prefix="postroad-sealing-") as base:
        figure["wire_bytes_of_a_500_byte_letter"] = {
            link: on_the_wire(link, Path(base), 2 * at, letters) for at, link in enumerate(links)
        }
    results.write("sealing", figure, rounds)
    broken = over_bounds(figure)
    if broken:
        sys.exit(f"sealing: over its bounds: {', '.join(broken)}")


if __name__ == "__main__":
    main()
