"""Two people of one computer set up, meet, and write to each other."""

from person import until
from system.people import Resident
from together.mail_programs import read_by_curl, write_settings_of_curl


def test_set_up_makes_the_node_a_service_in_its_sandbox(alice: Resident) -> None:
    told = alice.postroad("service", "status")
    assert told["enabled"] is told["sandbox"] is told["linger"] is True
    assert told["state"] == "active"
    assert told["ports"] == sorted([alice.smtp_port, alice.imap_port, alice.pop3_port])
    assert alice.shown("UnitFileState", "postroad.socket") == "enabled"


def test_the_first_connect_of_a_mail_program_starts_the_service(alice: Resident) -> None:
    alice.systemctl("stop", "postroad.service")
    assert alice.shown("ActiveState") == "inactive"
    assert alice.greeting(alice.smtp_port).startswith("220 ")
    assert alice.shown("ActiveState") == "active"
    assert alice.greeting(alice.imap_port).startswith("* OK ")


def test_systemd_shows_how_the_node_is(alice: Resident) -> None:
    assert alice.shown("Type") == "notify"
    told = alice.postroad("status")
    assert told["address"] == alice.address
    until(
        lambda: alice.shown("StatusText").startswith(alice.postroad("status")["sentence"]),
        "systemd shows the verdict",
    )


def test_the_doors_are_there_by_ipv6_too(alice: Resident) -> None:
    assert alice.greeting(alice.smtp_port, "::1").startswith("220 ")
    assert alice.greeting(alice.imap_port, "::1").startswith("* OK ")
    assert alice.greeting(alice.pop3_port, "::1").startswith("+OK ")


def test_two_people_of_one_computer_have_doors_of_their_own(
    alice: Resident, bora: Resident
) -> None:
    assert {alice.smtp_port, alice.imap_port}.isdisjoint({bora.smtp_port, bora.imap_port})
    assert alice.shown("ActiveState") == bora.shown("ActiveState") == "active"


def test_letters_go_both_ways(alice: Resident, bora: Resident) -> None:
    alice.send(bora, "Lunch?")
    bora.expect("Lunch?")
    bora.send(alice, "Yes, at one")
    alice.expect("Yes, at one")


def test_curl_fetches_a_letter(alice: Resident, bora: Resident) -> None:
    bora.send(alice, "For curl")
    alice.expect("For curl")
    write_settings_of_curl(alice)
    assert "This is For curl." in read_by_curl(alice, "For curl")
