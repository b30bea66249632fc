"""A letter to somebody whose computer is off arrives when it is on, by whoever else is on then."""

from together import mail_programs as by
from together.computers import Computer


def test_with_the_writer_off_a_third_hands_it_over(computers: dict[str, Computer]) -> None:
    alice, bora, cleo = (computers[name] for name in ("alice", "bora", "cleo"))
    bora.switch_off()
    by.send_by_msmtp(alice.owner, bora.owner.address, "kept by a third")
    alice.until_on_their_way("held")
    alice.switch_off()
    bora.switch_on()
    bora.owner.expect("kept by a third")
    assert cleo.process()
    alice.switch_on()
    alice.until_on_their_way()  # it knows


def test_with_nobody_to_keep_it_its_writer_brings_it_when_both_are_on(
    computers: dict[str, Computer],
) -> None:
    alice, bora, cleo = (computers[name] for name in ("alice", "bora", "cleo"))
    cleo.switch_off()
    alice.switch_off()
    by.send_by_mutt(bora.owner, alice.owner.address, "kept by its writer")
    bora.until_on_their_way("waiting")
    bora.switch_off()
    alice.switch_on()
    assert "kept by its writer" not in alice.owner.mail("subjects")["subjects"]
    bora.switch_on()
    alice.owner.expect("kept by its writer")
    bora.until_on_their_way()
    cleo.switch_on()
