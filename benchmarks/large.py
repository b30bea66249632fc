"""The largest letter, 25 MiB: that it passes, how long it takes, and what memory each node needs.

    make bench ONLY=large [SEED=7] [LINK=tls] [ARGS=3]      rounds

Direct and through holders, each round with nodes that have just started, so that the peak (VmHWM)
is this letter's. A holder is compared with itself after 1 MiB. One byte more than the submission
door's SIZE has to be refused.
"""

from __future__ import annotations

import smtplib
import statistics
import sys
import time

import results
from mail_program import incoming, outgoing, write_letter
from person import ClaimFailed, Person, meet, people, until

MIB = 1024 * 1024
PEAK_BYTES_MAX = 100 * 10**6 + 2 * 25 * MIB
HOLDERS = ("hana", "hugo")


def peak_bytes(person: Person) -> int:
    return person.memory_bytes("VmHWM")


def letter(anna: Person, bora: Person, size: int, name: str) -> bytes:
    octets = write_letter(anna.address, bora.address, size, 0, results.dice(f"large {name} {size}"))
    assert len(octets) == size
    return octets


def size_limit(anna: Person) -> int:
    """What the submission door says at EHLO."""
    with smtplib.SMTP("127.0.0.1", anna.smtp_port) as smtp:
        smtp.ehlo()
        return int(smtp.esmtp_features["size"])


def must_refuse(anna: Person, bora: Person, size: int) -> None:
    with smtplib.SMTP("127.0.0.1", anna.smtp_port, timeout=60) as smtp:
        smtp.login(anna.address, anna.password)
        smtp.mail(anna.address)  # without SIZE=: the door has to count
        smtp.rcpt(bora.address)
        code, text = smtp.data(letter(anna, bora, size, "too much"))
    if code != 552:
        raise ClaimFailed(f"A letter of {size} bytes was answered with {code} {text!r}.")


def start_afresh(*people: Person) -> None:
    for person in people:
        person.stop()
    for person in people:
        person.start()


def direct(anna: Person, bora: Person, size: int, number: int) -> dict[str, float]:
    """Both on: dot to notice, and the peaks of both."""
    start_afresh(anna, bora)
    before = {person.name: peak_bytes(person) for person in (anna, bora)}
    octets = letter(anna, bora, size, f"direct {number}")
    with outgoing(anna) as sending, incoming(bora) as watching:
        accepted, noticed = sending.hand_over(bora.address, octets, watching)
    return {
        "dot_to_250_s": accepted,
        "dot_to_notice_s": noticed,
        **{f"{name}_before_mb": peak / 1e6 for name, peak in before.items()},
        "sender_peak_mb": peak_bytes(anna) / 1e6,
        "recipient_peak_mb": peak_bytes(bora) / 1e6,
    }


def held(
    anna: Person, bora: Person, holders: list[Person], size: int, number: int
) -> dict[str, float]:
    """The recipient away, then the sender: seconds to the holders and from them, and the peaks."""
    start_afresh(anna, bora, *holders)
    with incoming(bora) as watching:
        wanted = watching.count + 1
    bora.stop()
    octets = letter(anna, bora, size, f"held {size} {number}")
    began = time.perf_counter()
    anna.submit(bora.address, octets)

    def placed() -> bool:
        queue = anna.postroad("queue")["queue"]
        return len(queue) == 1 and queue[0]["holders"] == len(holders)

    until(placed, "the holders keep the letter", 60)
    took = time.perf_counter() - began
    sender_peak = peak_bytes(anna)
    anna.stop()
    began = time.perf_counter()
    bora.start()
    with incoming(bora) as watching:
        watching.wait_for(wanted)
    return {
        "submitted_to_held_s": took,
        "started_to_visible_s": time.perf_counter() - began,
        "sender_peak_mb": sender_peak / 1e6,
        "holder_peak_mb": max(map(peak_bytes, holders)) / 1e6,
        "recipient_peak_mb": peak_bytes(bora) / 1e6,
    }


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(one[name] for one in rounds), 2) for name in rounds[0]}


def play(rounds: int) -> dict[str, object]:
    with people("large", "anna", "bora", *HOLDERS) as (anna, bora, *holders):
        for holder in holders:
            meet(bora, holder)
        until(lambda: bora.postroad("status")["holders"] == len(holders), "two hold for Bora")
        meet(bora, anna)
        size = size_limit(anna)
        if size != 25 * MIB:
            raise ClaimFailed(f"The door takes letters of {size} bytes, not of 25 MiB.")
        must_refuse(anna, bora, size + 1)
        found: dict[str, object] = {"letter_bytes": size, "one_byte_more": "refused with 552"}
        largest = medians([direct(anna, bora, size, number) for number in range(rounds)])
        found["direct, 25 MiB"] = largest
        small = medians([held(anna, bora, holders, MIB, number) for number in range(rounds)])
        large = medians([held(anna, bora, holders, size, number) for number in range(rounds)])
        found |= {"held, 1 MiB": small, "held, 25 MiB": large}
        found["holder_grows_mb"] = round(large["holder_peak_mb"] - small["holder_peak_mb"], 2)
        found["bound_mb"] = PEAK_BYTES_MAX / 1e6
        return found


def main() -> None:
    results.must_be_alone()
    rounds = int(sys.argv[1]) if sys.argv[1:] else 3
    results.write("large", play(rounds), rounds)


if __name__ == "__main__":
    main()
