"""Where a letter ends, however it is cut, and which sizes are taken."""

import socket
from contextlib import suppress

import pytest

from doors.submission_fixture import ANNA, BORA, ENVELOPE, LETTER, LOGGED_IN, Office, talk
from postroad.base import limits

ENDS = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\r\n\0.\r\n",
    b"\r\n.\0\r\n", b"\n\r.\r\n", b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\n.\r",
]  # fmt: skip
SMUGGLED = f"MAIL FROM:<{ANNA}>\r\nRCPT TO:<eve@example.org>\r\nDATA\r\n{LETTER}".encode()


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_no_end_but_the_right_one_ends_a_letter_however_it_is_cut(
    office: Office, end: bytes
) -> None:
    """SMTP smuggling: a second letter hidden in the first one's text, behind a doubtful end."""
    octets = LETTER.encode() + b"one" + end + SMUGGLED + b"\r\n.\r\n"
    hidden = len(LETTER.encode()) + 3
    with office.raw() as client, client.makefile("rb") as replies:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(LOGGED_IN)
        while not replies.readline().startswith(b"235"):
            pass
        for cut in [0, *range(hidden - 2, hidden + len(end) + 3), *range(-6, 0)]:
            client.sendall(ENVELOPE)
            while not replies.readline().startswith(b"354"):
                pass
            client.sendall(octets[:cut])
            client.sendall(octets[cut:])
            assert replies.readline().startswith(b"554 5.6.0 "), cut
        client.sendall(b"NOOP\r\n")
        assert replies.readline().startswith(b"250 2.0.0 ")  # nothing was taken for a command
    assert office.outbox.accepted == []


def test_a_line_of_more_than_one_dot_does_not_end_a_letter(office: Office) -> None:
    text = LETTER.encode() + b"..\r\n...\r\n.. \r\n"
    said = talk(office, LOGGED_IN + ENVELOPE + text + b".\r\n")
    assert said[-1].startswith("250 2.0.0 queued")
    assert office.outbox.accepted[0].octets.endswith(b"Good morning.\r\n.\r\n..\r\n. \r\n")


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
def test_chunks_of_any_size_make_the_same_letter(office: Office, size: int) -> None:
    whole = LETTER.encode() + b"..dots\r\n.\r\n"
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    said = talk(office, LOGGED_IN + ENVELOPE, *pieces)
    assert said[-1].startswith("250 2.0.0 queued")
    assert office.outbox.accepted[0].octets.endswith(b"Good morning.\r\n.dots\r\n")


def test_an_empty_letter_is_refused_in_words(office: Office) -> None:
    said = talk(office, LOGGED_IN + ENVELOPE + b".\r\nNOOP\r\n")
    assert said[-2].startswith("554 5.6.0 The letter has no From field.")
    assert said[-1].startswith("250")


def test_a_letter_of_exactly_the_limit_is_taken_and_one_octet_more_is_not(
    office: Office,
) -> None:
    filling = b"x" * (limits.LETTER_BYTES_MAX - len(LETTER) - 2) + b"\r\n"
    with office.login() as client:
        for more, code in [(b"", 250), (b"x", 552)]:
            client.mail(ANNA)
            client.rcpt(BORA)
            assert client.data(LETTER.encode() + more + filling)[0] == code
        assert client.sendmail(ANNA, [BORA], LETTER) == {}  # and the door is still in step
    assert len(office.outbox.accepted) == 2


def test_a_letter_announced_as_too_large_is_refused_before_it_is_sent(office: Office) -> None:
    with office.login() as client:
        code, said = client.mail(ANNA, [f"SIZE={limits.LETTER_BYTES_MAX + 1}"])
        assert (code, said[:5]) == (552, b"5.3.4")


def test_somebody_who_never_stops_sending_is_cut_off(office: Office) -> None:
    with office.raw() as client:
        client.sendall(LOGGED_IN + ENVELOPE)
        chunk = b"x" * (4 * limits.MIB)
        sent = 0
        with suppress(ConnectionError):
            while sent < 8 * limits.LETTER_BYTES_MAX:
                client.sendall(chunk)
                sent += len(chunk)
        assert sent < 5 * limits.LETTER_BYTES_MAX
    assert office.outbox.accepted == []
