"""A letter's way in by the submission door: real sockets, smtplib, and raw bytes."""

import threading

from doors.submission_fixture import (
    ANNA,
    BORA,
    ENVELOPE,
    LETTER,
    LOGGED_IN,
    MemoryOutbox,
    Office,
    opened,
    read_all,
    talk,
)
from postroad.base import limits


def test_a_letter_from_the_owner_is_queued_and_nothing_but_trace_is_put_on_top(
    office: Office,
) -> None:
    with office.login() as client:
        client.mail(ANNA)
        client.rcpt(BORA)
        code, said = client.data(LETTER)
    assert (code, said) == (250, b"2.0.0 queued as letter-1")
    (letter,) = office.outbox.accepted
    assert [one.address for one in letter.recipients] == [BORA]
    assert letter.octets.endswith(LETTER.encode())
    trace = letter.octets.removesuffix(LETTER.encode())
    assert trace.startswith(b"Received: from localhost by localhost (Postroad) with ESMTPA;\r\n\t")
    assert trace.count(b"\r\n") == 2  # one folded field


def test_both_loopback_addresses_are_served(office: Office) -> None:
    for one in office.sockets:
        with office.raw(one.family) as client:
            assert client.recv(100) == b"220 localhost ESMTP Postroad\r\n"


def test_what_the_door_offers_is_what_it_does(office: Office) -> None:
    with office.smtp() as client:
        client.ehlo()
        assert client.esmtp_features == {
            "size": str(limits.LETTER_BYTES_MAX),
            "8bitmime": "",
            "smtputf8": "",
            "pipelining": "",
            "enhancedstatuscodes": "",
            "dsn": "",
            "auth": " PLAIN LOGIN",
        }


def test_one_connection_can_hand_over_many_letters(office: Office) -> None:
    with office.login() as client:
        for number in range(20):
            text = LETTER.replace("Hello", f"Number {number}")
            assert client.sendmail(ANNA, [BORA], text) == {}
    assert len(office.outbox.accepted) == 20


def test_a_whole_session_may_come_in_one_write(office: Office) -> None:
    said = talk(office, LOGGED_IN + ENVELOPE + LETTER.encode() + b".\r\nNOOP\r\nQUIT\r\n")
    assert [line[:3] for line in said if line[3:4] == " "] == [
        "220", "250", "235", "250", "250", "354", "250", "250", "221",
    ]  # fmt: skip
    assert len(office.outbox.accepted) == 1


def test_a_client_that_ends_its_input_early_is_still_answered(office: Office) -> None:
    said = talk(office, LOGGED_IN + ENVELOPE + LETTER.encode() + b".\r\n")
    assert said[-1] == "250 2.0.0 queued as letter-1"


def test_a_letter_cut_off_before_its_end_is_not_a_letter(office: Office) -> None:
    said = talk(office, LOGGED_IN + ENVELOPE + LETTER.encode())
    assert said[-1].startswith("354")
    assert office.outbox.accepted == []


def test_a_large_letter_with_long_lines_and_dots_arrives_whole(office: Office) -> None:
    lines = [b".", b"..", b".a", b"a" * 100_000, b"\xff" * 3000, b"", b"."]
    body = b"\r\n".join(lines * 60) + b"\r\n"
    octets = LETTER.encode() + body
    with office.login() as client:
        client.mail(ANNA, ["BODY=8BITMIME"])
        client.rcpt(BORA)
        assert client.data(octets)[0] == 250
    assert office.outbox.accepted[0].octets.endswith(b"\r\n\r\nGood morning.\r\n" + body)


def test_the_reply_250_waits_for_the_outbox() -> None:
    outbox = MemoryOutbox(waits=threading.Event())
    with opened(outbox) as office, office.raw() as client:
        client.sendall(LOGGED_IN + ENVELOPE + LETTER.encode() + b".\r\n")
        assert outbox.entered.wait(10)
        client.settimeout(0.2)
        assert read_all(client)[-1].startswith("354")
        client.settimeout(10)
        assert outbox.waits is not None
        outbox.waits.set()
        assert client.recv(1000) == b"250 2.0.0 queued as letter-1\r\n"


def test_when_the_node_stops_an_unfinished_letter_is_not_acknowledged() -> None:
    outbox = MemoryOutbox(waits=threading.Event())
    with opened(outbox) as office:
        client = office.raw()
        client.sendall(LOGGED_IN + ENVELOPE + LETTER.encode() + b".\r\n")
        assert outbox.entered.wait(10)
    with client:
        said = read_all(client)
    assert said[-1].startswith("421 4.3.2 Postroad is stopping")
    assert not any(line.startswith("250 2.0.0 queued") for line in said)


def test_when_the_node_stops_a_letter_that_was_written_down_is_answered_first() -> None:
    """Else its client sends it again, and the recipient has it twice."""
    outbox = MemoryOutbox(waits=threading.Event())
    assert outbox.waits is not None
    with opened(outbox) as office:
        client = office.raw()
        client.sendall(LOGGED_IN + ENVELOPE + LETTER.encode() + b".\r\n")
        assert outbox.entered.wait(10)
        threading.Timer(0.1, outbox.waits.set).start()  # while it is being stopped
    with client:
        said = read_all(client)
    assert said[-2] == "250 2.0.0 queued as letter-1"
    assert said[-1].startswith("421 4.3.2 Postroad is stopping")
