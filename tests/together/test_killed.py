"""A node is killed, a plug is pulled: mail flows again, and nobody has to log in for it."""

from __future__ import annotations

from together import mail_programs as by
from together.computers import Computer


def test_a_node_that_is_killed_takes_letters_again_with_nobody_logged_in(
    computers: dict[str, Computer],
) -> None:
    alice, bora = computers["alice"], computers["bora"]
    for writer, reader in ((alice, bora), (bora, alice)):
        killed = reader.process()
        reader.system.root("kill", "-KILL", str(killed))
        by.send_by_msmtp(writer.owner, reader.owner.address, f"for killed {reader.owner.name}")
        writer.until_on_their_way()
        assert reader.sessions() == []
        assert reader.process() not in (0, killed)
    alice.owner.expect("for killed alice")
    bora.owner.expect("for killed bora")


def test_after_the_plug_was_pulled_mail_flows_with_nobody_logged_in(
    computers: dict[str, Computer],
) -> None:
    alice, bora, cleo = (computers[name] for name in ("alice", "bora", "cleo"))
    by.send_by_msmtp(bora.owner, alice.owner.address, "accepted just before")
    for computer in (bora, cleo):
        computer.pull_the_plug()
    for computer in (bora, cleo):
        computer.switch_on()
    for reader in (bora, cleo):
        by.send_by_msmtp(alice.owner, reader.owner.address, f"after {reader.owner.name}'s plug")
    alice.until_on_their_way()
    assert bora.sessions() == cleo.sessions() == []
    alice.owner.expect("accepted just before")
    for reader in (bora, cleo):
        reader.owner.expect(f"after {reader.owner.name}'s plug")
