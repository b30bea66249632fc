"""When something goes wrong at the submission door, or much comes at once."""

import itertools
import logging
import re
import threading
from email import message_from_bytes

import pytest

from doors.submission_fixture import (
    ANNA,
    BORA,
    LETTER,
    LOGGED_IN,
    PASSWORD,
    MemoryOutbox,
    Office,
    opened,
    plain,
    talk,
)
from postroad.base.errors import DiskFull, PermanentFailure, TemporaryFailure


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (DiskFull("The disk is full."), b"4.3.1 The disk is full."),
        (TemporaryFailure("Not now."), b"4.3.0 Not now."),
        (PermanentFailure("Never\r\n250 ok."), b"5.0.0 Never 250 ok."),
    ],
)
def test_what_the_outbox_refuses_is_said_with_its_code_and_words(
    error: Exception, reply: bytes
) -> None:
    with opened(MemoryOutbox(fails=error)) as office, office.login() as client:
        client.mail(ANNA)
        client.rcpt(BORA)
        code, said = client.data(LETTER)
        assert (code // 100, said) == (reply[0] - ord("0"), reply)
        assert client.noop()[0] == 250


def test_a_fault_of_ours_is_logged_once_and_not_shown(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    with office.login() as client:
        client.mail(ANNA)
        code, said = client.rcpt("broken@example.org")
        assert code == 451
        assert b"secret" not in said
        assert client.rcpt(BORA)[0] == 250
    assert [one.getMessage() for one in caplog.records if one.levelno >= logging.ERROR] == [
        "a command failed"
    ]


def test_no_log_line_holds_an_address_a_password_or_a_subject(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with office.login() as client:
        client.sendmail(ANNA, [BORA], LETTER)
        client.docmd("nonsense anna@example.org")
    with office.smtp() as client:
        client.ehlo()
        client.docmd("AUTH", "PLAIN " + plain(password="wrong").decode())
    logged = " ".join(f"{one.getMessage()} {vars(one)}" for one in caplog.records)
    assert "wrong mailbox password" in logged
    for secret in ("anna@", "bora@", "Hello", PASSWORD, plain().decode(), "wrong\\0"):
        assert secret not in logged


def test_every_reply_carries_an_enhanced_status(office: Office) -> None:
    commands = [
        "NOOP", "RSET", "RSET x", "VRFY anna", "EXPN all", "HELP", "NONSENSE", "DATA", "RCPT", "",
        "MAIL FROM:<anna@example.org>", "DATA x", "EHLO", "HELO", "STARTTLS", "QUIT x", "QUIT",
    ]  # fmt: skip
    said = talk(office, LOGGED_IN + "\r\n".join([*commands, ""]).encode())
    for line in said[said.index("235 2.7.0 Welcome.") :]:
        assert re.match(r"([245])\d\d[ -]\1\.\d{1,3}\.\d{1,3} \S", line), line


def test_reset_drops_the_letter_that_was_begun(office: Office) -> None:
    with office.login() as client:
        client.mail(ANNA)
        client.rcpt(BORA)
        client.rset()
        assert client.docmd("DATA")[0] == 503
        assert client.mail(ANNA)[0] == 250
        client.ehlo()
        assert client.docmd("DATA")[0] == 503


def test_letters_from_several_programs_at_once_do_not_mix(office: Office) -> None:
    def send(number: int) -> None:
        with office.login() as client:
            for turn in range(10):
                text = LETTER.replace("Hello", f"{number}-{turn}") + "x" * 50_000 + "\r\n"
                client.sendmail(ANNA, [f"p{number}@example.org"], text)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    found = {
        (one.recipients[0].address, message_from_bytes(one.octets)["Subject"])
        for one in office.outbox.accepted
    }
    wanted = {
        (f"p{number}@example.org", f"{number}-{turn}")
        for number, turn in itertools.product(range(4), range(10))
    }
    assert found == wanted


def test_more_large_letters_than_fit_in_memory_wait_for_each_other(office: Office) -> None:
    text = LETTER + ("x" * 998 + "\r\n") * 3000
    failed: list[BaseException] = []

    def send() -> None:
        try:
            with office.login() as client:
                client.sendmail(ANNA, [BORA], text)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    assert len(office.outbox.accepted) == 6
