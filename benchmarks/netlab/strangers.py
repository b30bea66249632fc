"""A stranger names addresses, and Anna's node goes to none where it has no business.

    make netlab ONLY=strangers [SEED=7] [ARGS="invitation"]      only these ways

Mallory, with a public address, gets addresses in front of Anna's node by each way that he has.
Each kind of target (loopback, private, link-local, multicast, privileged ports) has a port of its
own, and nftables counts what leaves Anna's node for it, UDP and TCP alike.

directory: many nodes of his say that they are at these places, and one answers Anna's questions
with such contacts. He is a stranger: nothing but public unicast may be dialled.
invitation: Anna accepts a link of his, so he is nobody strange any more. He may be in a private
network, but not in her computer, on her cable, a group, or behind a privileged port.
candidates: what iroh itself probes, because a connected peer names it as an address of its own. It
is counted and written down; only somebody who has a link with Anna's node can cause it.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Set

import results
from lab import Host
from person import ClaimFailed, Person
from postroad.base import limits
from postroad.base.ids import Contact, HostPort, PeerId, Relay, Ticket, fingerprint_from_digest
from postroad.peers.exchange import Exchange
from postroad.peers.link import Links
from postroad.protocol import invitation, wire, wire_directory
from postroad.protocol.contacts import encode_contact
from postroad.protocol.directory import ID_BYTES
from postroad.protocol.invitation import Invitation
from postroad.sealing.keys import SigningKey
from town import Town

PROBING_SECONDS = 12.0
LINKS = 3  # that Mallory makes, one after the other

# A port of its own for each, unless the port is the matter; for iroh the same, plus 1000.
TARGETS = {
    "loopback": HostPort("127.0.0.1", 7001),
    "loopback6": HostPort("::1", 7002),
    "private 10": HostPort("10.77.0.1", 7003),
    "private 172": HostPort("172.20.0.1", 7004),
    "private 192": HostPort("192.168.77.1", 7005),
    "private6": HostPort("fd00:77::1", 7006),
    "shared": HostPort("100.64.0.77", 7007),
    "link-local": HostPort("169.254.77.1", 7008),
    "link-local6": HostPort("fe80::77", 7009),
    "multicast": HostPort("224.0.0.77", 7010),
    "multicast6": HostPort("ff02::77", 7011),
    "broadcast": HostPort("255.255.255.255", 7012),
    "unspecified": HostPort("0.0.0.0", 7013),
    "mapped": HostPort("::ffff:127.0.0.1", 7014),
    "ssh": HostPort("{victim}", 22),
    "smtp": HostPort("{victim}", 25),
    "dns": HostPort("{victim}", 53),
}
# Where a person may be whom Anna accepted.
OF_A_PERSON = {"private 10", "private 172", "private 192", "private6", "shared"}
PUBLIC = "public"  # the counter has to see what is allowed, too
IROH_PORTS = 1000


def targets(victim: Host, more: int = 0) -> dict[str, HostPort]:
    """`more` is added to the ports that are ours to choose."""
    found = {PUBLIC: HostPort(victim.address, 7000 + more)}
    for name, at in TARGETS.items():
        port = at.port + (more if at.port > 1023 else 0)
        found[name] = HostPort(at.host.replace("{victim}", victim.address), port)
    return found


class Counters:
    """What left a host for each target since the counters were made."""

    def __init__(self, host: Host, found: dict[str, HostPort], prefix: str) -> None:
        self._counts: dict[str, Callable[[], int]] = {}
        for number, (name, at) in enumerate(found.items()):
            match = f"meta l4proto {{ tcp, udp }} th dport {at.port}"
            self._counts[name] = host.count_packets(f"{prefix}{number}", "output", match)

    def read(self) -> dict[str, int]:
        return {name: count() for name, count in self._counts.items()}


def forged_invitation(contacts: list[Contact], dice: random.Random) -> str:
    fingerprint = fingerprint_from_digest(dice.randbytes(32))
    expires = int(time.time()) + 86400  # noqa: TID251  (a real node reads it)
    made = Invitation(
        fingerprint, dice.randbytes(16), Ticket(dice.randbytes(16)), expires, tuple(contacts)
    )
    return invitation.to_link(made)


def by_invitation(town: Town, anna: Person, mallory: Host, victim: Host) -> dict[str, int]:
    """As the address of the inviter, and as the relay of one."""
    dice = results.dice("strangers invitation")
    found = targets(victim)
    counters = Counters(town.host_of(anna), found, "named")
    for at in dice.sample(list(found.values()), len(found)):
        peers = [PeerId(SigningKey(dice.randbytes(32)).peer) for _ in range(3)]
        contacts = [Contact(peers[0], (at,)), Contact(peers[1], (), Relay(peers[2], at))]
        anna.type("accept", forged_invitation(contacts, dice))
    time.sleep(1)
    return nothing_but(counters.read(), OF_A_PERSON)


def nothing_but(counts: dict[str, int], allowed: Set[str]) -> dict[str, int]:
    if not counts[PUBLIC]:
        raise ClaimFailed("Not even the public address was dialled: the counters are blind.")
    gone = {name for name, count in counts.items() if count} - allowed - {PUBLIC}
    if gone:
        raise ClaimFailed(f"Packets left for what Mallory named ({sorted(gone)}): {counts}.")
    return counts


def by_directory(town: Town, anna: Person, mallory: Host, victim: Host) -> dict[str, int]:
    """As the place of the asker, and in the answers to Anna's questions."""
    found = targets(victim)
    counters = Counters(town.host_of(anna), found, "found")
    where = invitation.from_link(anna.postroad("invite")["link"]).contacts[0]
    named = [str(at) for at in found.values()]
    at = str(where.addresses[0])
    run_mallory(mallory, "liar", where.peer.hex(), "0", at, mallory.address, *named)
    return nothing_but(counters.read(), set())


def by_candidates(town: Town, anna: Person, mallory: Host, victim: Host) -> dict[str, int]:
    """Mallory links with Anna's node, and his iroh names all these as addresses of his."""
    found = targets(victim, IROH_PORTS)
    counters = Counters(town.host_of(anna), found, "probed")
    link = invitation.from_link(anna.postroad("invite")["link"])
    (where,) = (one for one in link.contacts[:1])
    named = [str(at) for name, at in found.items() if name != "mapped"]
    for number in range(LINKS):
        at = str(where.addresses[0])
        run_mallory(mallory, "prober", where.peer.hex(), str(number), at, mallory.address, *named)
    return counters.read()


def run_mallory(mallory: Host, *arguments: str) -> None:
    command = [sys.executable, __file__, *arguments]
    done = mallory.inside(
        lambda: subprocess.run(command, timeout=300, check=False, capture_output=True, text=True)
    )
    if done.returncode:
        raise ClaimFailed(f"Mallory could not link with Anna's node: {done.stderr}")


async def be_liar(key: str, number: int, at: str, own: str, named: list[str]) -> None:
    """A node of the directory, and many that it says there are, whom Anna's node should ask."""
    from postroad.machine.clock import SystemClock
    from postroad.machine.iroh_network import IrohNetwork

    dice = results.dice(f"liar {number}")
    there = Contact(PeerId(bytes.fromhex(key)), (address(at),))
    forged = [Contact(SigningKey(dice.randbytes(32)).peer, (address(each),)) for each in named]
    questions = 0

    async def answer(_: wire.Message, exchange: Exchange) -> None:
        nonlocal questions
        questions += 1
        some = dice.sample(forged, min(len(forged), limits.DIRECTORY_NEIGHBOURS))
        named = tuple(encode_contact(one) for one in some)
        await exchange.send(wire_directory.Nodes(named, None))

    kinds = (wire_directory.Ping, wire_directory.FindNode, wire_directory.FindValue)
    network = IrohNetwork((own,))
    for many, place in enumerate((HostPort(own, 5000), *(address(each) for each in named))):
        secret = dice.randbytes(32)
        endpoint = await network.open(secret, 5000 + many)
        links = Links(endpoint, SystemClock(), dict.fromkeys(kinds, answer), lambda *_: None)
        serving = asyncio.create_task(links.serve())
        await asyncio.sleep(0.1)  # until it does
        me = encode_contact(Contact(endpoint.me, (place,)))
        for _ in range(2):
            request = wire_directory.FindNode(me, dice.randbytes(ID_BYTES))
            async with links.exchange(there) as exchange:
                await exchange.send(request)
                await exchange.expect(wire_directory.Nodes)
        if many == 0:
            await asyncio.sleep(PROBING_SECONDS)  # Anna's node asks the one that can be asked
        else:
            await asyncio.sleep(1)
        serving.cancel()
        await asyncio.wait({serving})
        await endpoint.close()
    if not questions:
        sys.exit("Anna's node never asked Mallory's.")


async def be_prober(key: str, number: int, at: str, own: str, named: list[str]) -> None:
    """Link with this node, say that all these are our addresses, and stay for a while."""
    from postroad.machine.iroh_network import IrohNetwork

    there = Contact(PeerId(bytes.fromhex(key)), (address(at),))
    secret = results.dice(f"mallory {number}").randbytes(32)
    endpoint = await IrohNetwork((own,)).open(secret, 5000 + number)
    await endpoint.set_outside([address(each) for each in named])
    link = await endpoint.dial(there)
    await asyncio.sleep(PROBING_SECONDS)
    await link.close()
    await endpoint.close()


def address(text: str) -> HostPort:
    host, _, port = text.rpartition(":")
    return HostPort(host.strip("[]"), int(port))


MALLORYS = {"liar": be_liar, "prober": be_prober}
WAYS = {"directory": by_directory, "invitation": by_invitation, "candidates": by_candidates}


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in MALLORYS:
        who, key, number, at, own, *named = sys.argv[1:]
        asyncio.run(MALLORYS[who](key, int(number), at, own, named))
        os._exit(0)
    results.must_be_alone()
    chosen = sys.argv[1:] or list(WAYS)
    found: dict[str, object] = {"links": LINKS}
    failed = []
    for name in chosen:
        try:
            with Town("strangers", v6=True) as town:
                anna = town.move_in("anna", more='log_level = "debug"\n')
                mallory, victim = town.lab.host("mallory"), town.lab.host("victim")
                anna.start()
                found[name] = WAYS[name](town, anna, mallory, victim)
        except ClaimFailed as error:
            found[name] = f"failed: {error}"
            failed.append(name)
        print(f"{name}: {found[name]}", flush=True)
    results.write("netlab_strangers", found, len(TARGETS))
    if failed:
        sys.exit(f"A stranger made Anna's node speak: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
