"""What somebody reads when their network, clock, port or holder is not as it should be.

    make netlab ONLY=words [SEED=7] [ARGS="clock quota"]      only these cases

Each case makes one thing wrong for a real node, and looks for the sentence that tells of it, and of
what to do, in what the owner can read: status, queue, netcheck, or what a failing command says. The
sentences are kept in the results.
"""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Callable

import results
from lab import Host, Kind
from mail_program import write_letter
from person import ROOT, ClaimFailed, Person
from town import MIB, Town, make_contacts, told, wait_for, wait_for_holders

READ_SECONDS_MAX = 20.0
DAY = 86400


def must_read(person: Person, pattern: str, *, seconds: float = READ_SECONDS_MAX) -> str:
    """The sentence that matches, as soon as it can be read in status, queue or netcheck."""
    ends = time.monotonic() + seconds
    while True:
        text = told(person)
        if sentence := find_sentence(pattern, text):
            return sentence
        if time.monotonic() > ends:
            raise ClaimFailed(f"{person.title} looks for {pattern!r} and reads: {text!r}")
        time.sleep(0.5)


def find_sentence(pattern: str, text: str) -> str | None:
    """The first sentence that matches; a dot inside of a word or a number ends none."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", text)
    return next((one for one in sentences if re.search(pattern, one, re.IGNORECASE)), None)


def must_say(said: str, pattern: str) -> str:
    sentence = find_sentence(pattern, " ".join(said.split()))
    if sentence is None:
        raise ClaimFailed(f"no {pattern!r} in {said!r}")
    return sentence


def no_network(town: Town) -> dict[str, str]:
    anna = town.move_in("anna", Kind.CONE)
    town.lab.unplug(town.host_of(anna))
    anna.start()
    return {"read": must_read(anna, "no network"), "invite": anna.type("invite").stderr.strip()}


def network_goes(town: Town) -> dict[str, str]:
    """It was there when the node started."""
    anna = town.move_in("anna", Kind.CONE)
    anna.start()
    town.lab.unplug(town.host_of(anna))
    return {"read": must_read(anna, "no network")}


def udp_blocked(town: Town) -> dict[str, str]:
    """With a helper on TCP 443, by which it shows that UDP alone is missing."""
    anna = town.move_in("anna", Kind.UDP_BLOCKED)
    anna.start()
    town.add_helper("hana").serve(anna)
    return {"read": must_read(anna, "blocks UDP|UDP is blocked")}


def udp_becomes_blocked(town: Town) -> dict[str, str]:
    """Without one: nothing answers any more, and a helper is named as a way out."""
    hana, anna = town.move_in("hana"), town.move_in("anna", Kind.CONE)
    town.start(hana, anna)
    make_contacts(hana, anna)
    router = town.host_of(anna).router
    assert router is not None
    anna.stop()
    router.kind = Kind.UDP_BLOCKED
    router.take_up()
    router.forget_connections()
    anna.start()
    return {"read": must_read(anna, "network blocks UDP"), "way": must_read(anna, "add a helper")}


def no_peers(town: Town) -> dict[str, str]:
    anna = town.move_in("anna", Kind.CONE)
    anna.start()
    return {
        "read": must_read(
            anna, "know(s|n)? .*(no|any) (peer|other node|node)|(no|any) (peer|other node) .*known"
        )
    }


def wrong_clock(town: Town) -> dict[str, str]:
    hana, anna, bora = (town.move_in(name) for name in ("hana", "anna", "bora"))
    town.start(hana, anna, bora)
    make_contacts(hana, anna)
    make_contacts(bora, anna)
    anna.stop()
    sentences = {}
    for name, days in (("behind", -40), ("ahead", 40)):
        deceive = [sys.executable, str(ROOT / "tools" / "wrong_clock.py"), str(days * DAY)]
        anna.begin_start(*deceive)
        anna.end_start()
        sentences[name] = must_read(anna, "clock")
        anna.stop()
    return sentences


def socket_at(host: Host, kind: socket.SocketKind) -> socket.socket:
    return host.inside(lambda: socket.socket(socket.AF_INET, kind))


def port_taken(town: Town) -> dict[str, str]:
    """The one for peers, and the one for the mail program."""
    anna = town.move_in("anna")
    host = town.host_of(anna)
    sentences = {}
    for name, kind, port in (
        ("peers", socket.SOCK_DGRAM, 46464),
        ("smtp", socket.SOCK_STREAM, anna.smtp_port),
    ):
        with socket_at(host, kind) as taken:
            taken.bind(("0.0.0.0", port))
            if kind == socket.SOCK_STREAM:
                taken.listen()
            anna.begin_start()
            assert anna.process is not None
            status = anna.process.wait(30)
            if status == 0:
                raise ClaimFailed("The node started on a port that was taken.")
            sentences[name] = must_say(anna.last_words(), str(port))
    return sentences


def quota_full(town: Town) -> dict[str, str]:
    """One sender may leave 50 MiB with a holder: of three letters of 20 MiB, one has to wait."""
    hana, anna, bora = (town.move_in(name) for name in ("hana", "anna", "bora"))
    town.start(hana, anna, bora)
    make_contacts(hana, anna)
    make_contacts(hana, bora)
    wait_for_holders(bora, 1)
    make_contacts(anna, bora)
    bora.stop()
    dice = results.dice("words quota")
    for number in range(3):
        octets = write_letter(anna.address, bora.address, 20 * MIB, number, dice)
        anna.submit(bora.address, octets)
    sentence = must_read(anna, "full|quota|no room|no more", seconds=60)
    bora.start()
    for number in range(3):
        wait_for(bora, f"letter {number}", 120)  # the refused one, too
    return {"read": sentence}


CASES: dict[str, Callable[[Town], dict[str, str]]] = {
    "no network": no_network,
    "network goes": network_goes,
    "udp blocked": udp_blocked,
    "udp becomes blocked": udp_becomes_blocked,
    "no peers": no_peers,
    "clock": wrong_clock,
    "port taken": port_taken,
    "quota": quota_full,
}


def main() -> None:
    results.must_be_alone()
    chosen = [name.replace("-", " ") for name in sys.argv[1:]] or list(CASES)
    found: dict[str, object] = {}
    failed = []
    for name in chosen:
        try:
            with Town("words") as town:
                found[name] = CASES[name](town)
        except ClaimFailed as error:
            found[name] = f"failed: {error}"
            failed.append(name)
        print(f"{name}: {found[name]}", flush=True)
    results.write("netlab_words", found, len(found))
    if failed:
        sys.exit(f"No clear word for: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
