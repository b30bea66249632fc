"""One computer has the next release already, the others this one: letters go on. Promise M14."""

from __future__ import annotations

import itertools
from pathlib import Path

import next_release
from system.conftest import PACKAGE
from system.packages import number_of
from system.test_upgraded import until_runs
from together import mail_programs as by
from together.computers import OWNERS, Computer


def test_two_releases_write_to_one_another(computers: dict[str, Computer], newer: Path) -> None:
    ahead, *others = computers.values()
    ahead.system.install(newer)
    until_runs(next_release.VERSION, ahead.owner)
    until_runs(number_of(PACKAGE), *(computer.owner for computer in others))
    pairs = list(itertools.permutations(OWNERS.values(), 2))
    for writer, reader in pairs:
        to = computers[reader].owner.address
        by.send_by_msmtp(computers[writer].owner, to, f"{writer} to {reader}, two releases")
    for writer, reader in pairs:
        computers[reader].owner.expect(f"{writer} to {reader}, two releases")
    for computer in computers.values():
        computer.until_on_their_way()  # the receipts have come, too


def test_each_release_keeps_letters_for_somebody_of_the_other(
    computers: dict[str, Computer],
) -> None:
    alice, bora, cleo = (computers[name] for name in ("alice", "bora", "cleo"))
    for reader, keeper in ((bora, alice), (alice, bora)):
        reader.switch_off()
        subject = f"kept by {keeper.owner.name}, of another release"
        by.send_by_msmtp(cleo.owner, reader.owner.address, subject)
        cleo.until_on_their_way("held")
        cleo.switch_off()
        reader.switch_on()
        reader.owner.expect(subject)
        cleo.switch_on()
        cleo.until_on_their_way()
