"""A stranger with ten thousand keys in twenty subnets floods one node; a contact writes to it.

    make bench ONLY=flood [SEED=7] [ARGS="1000000 420"]      requests, and seconds to make them in

Bora's node is flooded, Anna, a contact of Bora's, writes one letter after the other: first while
all is quiet, then in the flood. Both nodes are real; links are TLS over TCP, because there a
process may come from any address of 127.0.0.0/8. The stranger runs with the lowest priority: in the
world it has a computer of its own. What it does, by the layer that answers it:

- connections with no handshake behind them, from twenty subnets: turned away, or taken and silent;
- links with one of the ten thousand keys: turned away, or let in;
- on each link letters, one after the other: real requests with their stamps (as many as could be
  taken at all, and more), and noise with none.

A request is any of these that asked for something. `counts` says which layer refused how many.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import results
from mail_program import incoming, outgoing, quantiles, write_letter
from person import Person, meet, surroundings, until
from postroad.base import limits
from postroad.base.errors import PostroadError
from postroad.base.ids import Contact, Fingerprint, HostPort, Instant, PeerId
from postroad.base.tlv import encode
from postroad.machine.clock import SystemClock
from postroad.machine.mux_link import MuxLink
from postroad.machine.tls_network import PROOF_CONTEXT
from postroad.message.address import Address
from postroad.peers.exchange import Exchange
from postroad.protocol import wire
from postroad.protocol.records import read_person, sign_person
from postroad.sealing import keys, letter, stamp
from postroad.sealing.certificate import certify
from postroad.sealing.keys import Identity, SigningKey

IDENTITIES = 10_000
SUBNETS = 20
REAL_REQUESTS = 150  # sealed and stamped; more than any node takes in a day
LETTERS_QUIET, QUIET_SECONDS = 150, 40.0
LETTERS_FLOODED = 300  # with those before: what a contact may bring at once
WORKERS = 24  # of the stranger's, that shake hands
ANSWER_SECONDS_MAX = 20.0
LINK_SECONDS_MAX = 5.0  # then the next key
TARGET_REQUESTS, TARGET_SECONDS = 100_000, 60


# The stranger ---------------------------------------------------------------------------------


def source(number: int) -> str:
    """An address of one of the subnets."""
    return f"127.{20 + number % SUBNETS}.7.{1 + number // SUBNETS % 250}"


def device(seed: int, number: int) -> SigningKey:
    return SigningKey(hashlib.sha256(f"flood {seed} {number}".encode()).digest())


@dataclass(frozen=True, slots=True)
class Request:
    """A letter to bring, its stamp, and by which key."""

    number: int
    octets: bytes
    stamp: bytes | None


class Stranger:
    def __init__(self, port: int, fingerprint: Fingerprint, seed: int, ends: float) -> None:
        self._port = port
        self._to = fingerprint
        self._seed = seed
        self._ends = ends
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.set_alpn_protocols([wire.ALPN.decode()])
        self._next = 0
        self._real: list[Request] = []
        self.counts: Counter[str] = Counter()

    async def link(self, number: int) -> MuxLink:
        """A link with the key of that number, from an address of its subnet; OSError and the like
        when the node does not want it."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._port, ssl=self._context, local_addr=(source(number), 0),
            ssl_handshake_timeout=limits.HANDSHAKE_SECONDS_MAX,
        )  # fmt: skip
        try:
            certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            x509.load_der_x509_certificate(certificate)
            nonce = await reader.readexactly(32)
            key = device(self._seed, number)
            raw = Ed25519PrivateKey.from_private_bytes(key.seed)
            proof = PROOF_CONTEXT + nonce + hashlib.sha256(certificate).digest()
            writer.write(key.public + raw.sign(proof))
            await writer.drain()
        except BaseException:
            writer.transport.abort()
            raise
        return MuxLink(
            PeerId(bytes(32)), HostPort("127.0.0.1", self._port), writer.transport, reader, writer,
            dialled=True, gone=lambda _: None,
        )  # fmt: skip

    async def prepare(self) -> None:
        """Ask for the recipient's record, and write real requests to them."""
        link = await self.link(0)
        exchange = Exchange(await link.open(), link.peer, link.path)
        await exchange.send(wire.FindRecord(self._to))
        record = read_person((await exchange.expect(wire.Record)).record, self._to)
        await link.close()
        now = SystemClock().now()
        for number in range(1, REAL_REQUESTS + 1):
            self._real.append(self._request(number, record.epoch_key, record.name, now))

    def _request(self, number: int, epoch_key: bytes, name: str, now: Instant) -> Request:
        dice = hashlib.shake_256(f"flood {self._seed} {number}".encode()).digest(200)
        mine = device(self._seed, number)
        identity = Identity(dice[:32])
        certificate = certify(identity, mine.peer, now)
        me, to = Address("mallory", certificate.fingerprint), Address(name, self._to)
        record = sign_person(
            name="mallory", devices=(Contact(mine.peer, (HostPort("198.51.100.7", 46464),)),),
            drops=(), epoch_key=epoch_key, sequence=1 << 32 | number, certificate=certificate,
            expires=now + limits.RECORD_SECONDS_MAX, device=mine, strangers=limits.STAMP_BITS,
        )  # fmt: skip
        body = (
            f"From: Mallory <{me}>\r\nTo: <{to}>\r\nSubject: offer {number}\r\n\r\n"
            + "Buy now! " * 300 + "\r\n"
        ).encode()  # fmt: skip
        person = letter.Person(str(to), to.fingerprint)
        header = letter.Header(
            letter.VERSION, letter.SUITE, letter.Kind.REQUEST,
            letter.Person(str(me), me.fingerprint), mine.public, (person,), person,
            keys.epoch_key_id(epoch_key), False, dice[32:48], int(now), int(now) + limits.DAY,
            len(body), hashlib.sha256(body).digest(),
            letter.Introduction(None, dice[48:64], encode(record), None), None,
        )  # fmt: skip
        sealed = b"".join(
            letter.seal(
                header, body, device=mine, certificate=certificate, epoch_public=epoch_key,
                content_key=dice[64:96],
            )
        )  # fmt: skip
        work = stamp.search(mine.peer, self._to, limits.STAMP_BITS, stamp.today(now), 0, 1 << 24)
        return Request(number, sealed, work)

    async def flood(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WORKERS):
                tasks.create_task(self._worker())

    async def _worker(self) -> None:
        while time.monotonic() < self._ends:
            self._next += 1
            number = 1 + self._next % IDENTITIES
            self.counts["links tried"] += 1
            try:
                link = await self.link(number)
            except (OSError, EOFError, TimeoutError, ValueError):
                self.counts["links turned away, or ended in the handshake"] += 1
                await asyncio.sleep(0.02)
                continue
            self.counts["links let in"] += 1
            with contextlib.suppress(OSError, EOFError, TimeoutError, PostroadError):
                await self._ask_on(link, number)
            await link.close()

    async def _ask_on(self, link: MuxLink, number: int) -> None:
        ends = min(self._ends, time.monotonic() + LINK_SECONDS_MAX)
        mine = [one for one in self._real if one.number == number]
        asked = 0
        while time.monotonic() < ends and not link.closed:
            asked += 1
            noise = hashlib.shake_256(f"{number} {asked} {self._next}".encode()).digest(3000)
            request = mine.pop() if mine else Request(number, noise, noise[:12])
            self.counts["letters brought"] += 1
            offer = wire.Deliver(
                hashlib.sha256(request.octets).digest(), len(request.octets), None, request.stamp
            )
            try:
                exchange = Exchange(await link.open(), link.peer, link.path)
                await exchange.send(offer, request.octets)
                answer = await exchange.receive(ANSWER_SECONDS_MAX)
                await exchange.finish()
            except (OSError, EOFError, TimeoutError, PostroadError):
                self.counts["letters not answered: made to wait, or the link taken away"] += 1
                raise
            if isinstance(answer, wire.No):
                self.counts[f"letters refused: {wire.Refusal(answer.refusal).name}"] += 1
            else:
                self.counts["letters answered by a receipt"] += 1


def knock(port: int, count: int, ends: float) -> Counter[str]:
    """So many connections, evenly until then, with nothing said on any of them."""
    counts: Counter[str] = Counter()
    began = time.monotonic()
    per_second = count / (ends - began)
    open_ones: list[socket.socket] = []
    for number in range(count):
        now = time.monotonic()
        if now > ends:
            break
        if number > (now - began) * per_second + 100:
            time.sleep(0.02)
        one = socket.socket()
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        with contextlib.suppress(BlockingIOError):
            one.bind((source(number), 0))
            one.connect(("127.0.0.1", port))
        counts["connections with nothing behind them"] += 1
        open_ones.append(one)
        if len(open_ones) > 50:
            open_ones.pop(0).close()
    for one in open_ones:
        one.close()
    return counts


def attack(role: str, port: int, fingerprint: str, count: int, seconds: float) -> None:
    """The stranger's side, in a process of its own; its counts go to stdout."""
    os.nice(19)
    if role == "knock":
        print(json.dumps(knock(port, count, time.monotonic() + seconds)))
        return

    async def run() -> None:
        stranger = Stranger(port, Fingerprint(fingerprint), results.seed(), 0.0)
        await stranger.prepare()
        print("ready", flush=True)
        sys.stdin.readline()
        stranger._ends = time.monotonic() + seconds
        await stranger.flood()
        print(json.dumps(stranger.counts))

    asyncio.run(run())


# The people -------------------------------------------------------------------------------------


def write_for(anna: Person, bora: Person, name: str, seconds: float, count: int) -> list[float]:
    """So many letters within so long: seconds from the dot to the notice, each."""
    dice = results.dice(f"flood {name}")
    found: list[float] = []
    ends = time.monotonic() + seconds
    with outgoing(anna) as sending, incoming(bora) as watching:
        while time.monotonic() < ends and len(found) < count:
            time.sleep(dice.uniform(0, 2 * seconds / count))
            octets = write_letter(anna.address, bora.address, 3000, len(found), dice)
            found.append(sending.hand_over(bora.address, octets, watching)[1])
    return found


def cpu_seconds(person: Person) -> float:
    assert person.process is not None
    fields = Path(f"/proc/{person.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def disk_bytes(person: Person) -> int:
    files = [one for one in (person.folder / "data").rglob("*") if one.is_file()]
    return sum(one.stat().st_blocks * 512 for one in files)


@contextlib.contextmanager
def stranger(
    role: str, bora: Person, count: int, seconds: float
) -> Iterator[subprocess.Popen[str]]:
    port = int(bora.config.read_text().split("peer_port = ")[1].split()[0])
    fingerprint = bora.address.partition(".")[2].partition("@")[0]
    words = (role, str(port), fingerprint, str(count), str(seconds))
    process = subprocess.Popen(
        [sys.executable, __file__, "attack", *words],
        env={**surroundings(), "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def play(requests: int, seconds: float) -> dict[str, object]:
    base = Path("/tmp") / f"postroad-flood-{os.getpid()}"
    base.mkdir(mode=0o700)
    anna, bora = (
        Person(name, base, slot, link="tls") for slot, name in enumerate(("anna", "bora"))
    )
    try:
        for one in (anna, bora):
            one.set_up()
            one.start()
        meet(bora, anna)
        quiet = write_for(anna, bora, "quiet", QUIET_SECONDS, LETTERS_QUIET)
        with stranger("links", bora, 0, seconds) as linking:
            assert linking.stdout is not None
            assert linking.stdin is not None
            linking.stdout.readline()  # it has written its letters
            cpu, disk, began = cpu_seconds(bora), disk_bytes(bora), time.monotonic()
            with stranger("knock", bora, requests, seconds) as knocking:
                linking.stdin.write("go\n")
                linking.stdin.flush()
                flooded = write_for(anna, bora, "flooded", seconds, LETTERS_FLOODED)
                took = time.monotonic() - began
                used = cpu_seconds(bora) - cpu
                counts = Counter(json.loads(knocking.communicate()[0]))
            counts.update(json.loads(linking.communicate()[0]))
        until(bora.answers, "Bora's node still serves")
        waiting = len(bora.postroad("requests")["requests"])
        knocks = counts["connections with nothing behind them"]
        total = knocks + counts["links tried"] + counts["letters brought"]
        return {
            "requests": total,
            "identities": IDENTITIES,
            "seconds": round(took, 1),
            "in_requests": waiting,
            "disk_grew_bytes": disk_bytes(bora) - disk,
            "letters_meanwhile": len(flooded),
            "quiet_ms": quantiles(quiet),
            "flooded_ms": quantiles(flooded),
            "p99_ratio": round(p99(flooded) / p99(quiet), 2),
            "cores_used": round(used / took, 3),
            "counts": dict(sorted(counts.items())),
        }
    finally:
        for one in (anna, bora):
            one.kill()
        subprocess.run(["rm", "-r", str(base)], check=True)


def p99(found: list[float]) -> float:
    return sorted(found)[min(int(0.99 * len(found)), len(found) - 1)]


def main() -> None:
    if sys.argv[1:2] == ["attack"]:
        role, port, fingerprint, count, lasts = sys.argv[2:]
        attack(role, int(port), fingerprint, int(count), float(lasts))
        return
    words = [int(word) for word in sys.argv[1:]] or [TARGET_REQUESTS, TARGET_SECONDS]
    requests, seconds = words[0], float(words[1] if words[1:] else TARGET_SECONDS)
    results.write("flood", play(requests, seconds), requests)


if __name__ == "__main__":
    main()
