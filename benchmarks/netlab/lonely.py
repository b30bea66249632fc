"""Two behind NATs and nobody else in the world: they meet, or read within 10 s what would help.

    make netlab ONLY=lonely [SEED=7] [ARGS="cone-cone open-symmetric"]      only these pairs

First Anna and Bora never had anybody else: one invites, the other accepts. Then they are contacts,
made with the help of Hana, and Hana is destroyed: both start afresh and write to each other. Each
time either it works, or somebody who looks into status, queue and netcheck within 10 seconds of the
failure finds one of the three ways out: a helper, a bundle, or being on at the same time.
"""

from __future__ import annotations

import itertools
import re
import sys
import time

import results
from lab import Kind
from mail_program import write_letter
from person import ClaimFailed, Person
from town import Town, befriend_both, make_contacts, told, wait_for

WORDS_SECONDS_MAX = 10.0
KINDS = (Kind.CONE, Kind.SYMMETRIC, Kind.UDP_BLOCKED, Kind.OPEN)
PAIRS = {
    f"{a.value}-{b.value}": (a, b) for a, b in itertools.combinations_with_replacement(KINDS, 2)
}
WAYS_OUT = re.compile(r"[^.:]*(?:postroad helper|a helper|bundle|at the same time)[^.]*\.")


def way_out(*texts: str) -> str | None:
    """The first sentence that names one of the three."""
    for text in texts:
        if found := WAYS_OUT.search(text):
            return found[0].strip()
    return None


def never_had_anybody(a: Kind, b: Kind) -> dict[str, object]:
    """One invites and the other accepts, either way round; who fails reads a way out."""
    found: dict[str, object] = {}
    for name in ("anna", "bora"):
        with Town("lonely") as town:
            anna, bora = town.move_in("anna", a), town.move_in("bora", b)
            town.start(anna, bora)
            inviter, guest = (anna, bora) if name == "anna" else (bora, anna)
            found[f"{name} invites"] = invite_or_read_why_not(inviter, guest)
    return found


def invite_or_read_why_not(inviter: Person, guest: Person) -> dict[str, object]:
    invited = inviter.type("invite", "--json")
    heard, reader = [invited.stdout + invited.stderr], inviter
    began = time.monotonic()
    if link := re.search(r"postroad:[^\s\"]+", invited.stdout):
        accepted = guest.type("accept", link[0])
        if accepted.returncode == 0:
            wait_for(inviter, f"{guest.title} accepted")
            wait_for(guest, f"You and {inviter.title}")
            return {"way": "they met", "seconds": round(time.monotonic() - began, 1)}
        heard, reader = [*heard, accepted.stdout + accepted.stderr], guest
    sentence = way_out(*(" ".join(each.split()) for each in heard)) or way_out(told(reader))
    took = time.monotonic() - began
    if sentence is None or took > WORDS_SECONDS_MAX:
        raise ClaimFailed(f"after {took:.1f} s {reader.title} reads only: {heard}")
    return {"words": sentence, "seconds": round(took, 1)}


def lost_everybody(a: Kind, b: Kind) -> dict[str, object]:
    """They are contacts; then whoever brought them together is gone for good."""
    with Town("lonely") as town:
        anna, bora = town.move_in("anna", a), town.move_in("bora", b)
        town.start(anna, bora)
        hana = befriend_both(town, anna, bora)
        make_contacts(anna, bora)
        hana.kill()
        for person in (anna, bora):
            person.stop()
        town.start(anna, bora)
        found: dict[str, object] = {}
        for sender, to in ((anna, bora), (bora, anna)):
            found[f"{sender.name} writes"] = write_or_read_why_not(sender, to)
        return found


def write_or_read_why_not(sender: Person, to: Person) -> dict[str, object]:
    subject = f"letter {sender.name}"
    dice = results.dice(f"lonely {sender.name}")
    octets = write_letter(sender.address, to.address, 4096, 0, dice)
    began = time.monotonic()
    sender.submit(to.address, octets.replace(b"letter 0", subject.encode()))
    sentence = None
    while sentence is None and time.monotonic() < began + WORDS_SECONDS_MAX:
        if to.find(subject) is not None:
            break
        sentence = way_out(told(sender))
    took = round(time.monotonic() - began, 1)
    if to.find(subject) is not None:
        return {"way": "it arrived", "seconds": took}
    if sentence is None or took > WORDS_SECONDS_MAX:
        raise ClaimFailed(f"after {took} s {sender.title} reads only: {told(sender)!r}")
    return {"words": sentence, "seconds": took}


def main() -> None:
    results.must_be_alone()
    chosen = sys.argv[1:] or list(PAIRS)
    chosen = results.dice("lonely").sample(chosen, len(chosen))
    table: dict[str, dict[str, object]] = {}
    failed = []
    for name in chosen:
        for case in (never_had_anybody, lost_everybody):
            try:
                found: object = case(*PAIRS[name])
            except ClaimFailed as error:
                found = f"failed: {error}"
                failed.append(name)
            table.setdefault(name, {})[case.__name__] = found
            print(f"{name}, {case.__name__}: {found}", flush=True)
    results.write("netlab_lonely", dict(sorted(table.items())), 2 * len(table))
    if failed:
        sys.exit(f"Somebody was left without a word: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
