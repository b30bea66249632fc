"""Who may come in by the submission door, and who is closed out."""

import base64
import smtplib

import pytest

from doors.submission_fixture import (
    ANNA,
    BORA,
    ENVELOPE,
    LOGGED_IN,
    PASSWORD,
    Nobody,
    Office,
    opened,
    plain,
    read_all,
    talk,
)
from postroad.base import limits


def test_another_users_process_is_closed_without_a_word() -> None:
    with opened(uid=Nobody()) as office, office.raw() as client:
        assert read_all(client) == []


@pytest.mark.parametrize("command", [f"MAIL FROM:<{ANNA}>", f"RCPT TO:<{BORA}>", "DATA"])
def test_nothing_is_taken_before_the_login(office: Office, command: str) -> None:
    with office.smtp() as client:
        client.ehlo()
        assert client.docmd(command)[0] == 530


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("at_once", [True, False])
def test_the_mailbox_password_opens_by_either_mechanism(
    office: Office, mechanism: str, at_once: bool
) -> None:
    with office.smtp() as client:
        client.ehlo()
        client.user, client.password = ANNA, PASSWORD
        ask = client.auth_plain if mechanism == "PLAIN" else client.auth_login
        assert client.auth(mechanism, ask, initial_response_ok=at_once)[0] == 235
        assert client.docmd("AUTH", "PLAIN")[0] == 503


def test_mechanism_names_are_read_in_any_case(office: Office) -> None:
    said = talk(office, b"ehlo localhost\r\nauth plain " + plain() + b"\r\n")
    assert said[-1].startswith("235 2.7.0")


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (b"AUTH PLAIN " + plain(password="wrong"), "535 5.7.8"),
        (b"AUTH PLAIN " + plain(user="eve@example.org"), "535 5.7.8"),
        (b"AUTH PLAIN " + plain(acting="eve@example.org"), "535 5.7.8"),
        (b"AUTH PLAIN " + plain(acting=ANNA), "235 2.7.0"),
        (b"AUTH PLAIN =", "501 5.5.2"),
        (b"AUTH PLAIN !!!", "501 5.5.2"),
        (b"AUTH PLAIN\r\n*", "501 5.7.0"),
        (b"AUTH LOGIN\r\n*", "501 5.7.0"),
        (b"AUTH LOGIN\r\n" + base64.b64encode(b"\xff\xfe") + b"\r\nAAAA", "535 5.7.8"),
        (b"AUTH CRAM-MD5", "504 5.5.4"),
        (b"AUTH", "504 5.5.4"),
    ],
)
def test_a_login_is_answered_by_what_was_wrong(office: Office, command: bytes, reply: str) -> None:
    said = talk(office, b"EHLO localhost\r\n" + command + b"\r\nNOOP\r\n")
    assert said[-2].startswith(reply), said
    assert said[-1].startswith("250")


def test_after_five_wrong_passwords_the_door_is_closed(office: Office) -> None:
    guesses = b"".join(b"AUTH PLAIN " + plain(password=f"guess {n}") + b"\r\n" for n in range(5))
    said = talk(
        office, b"EHLO localhost\r\n" + guesses + b"AUTH PLAIN " + plain() + b"\r\nNOOP\r\n"
    )
    assert [line[:3] for line in said][-5:] == ["535"] * 4 + ["421"]


def test_a_wrong_password_is_answered_slowly(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOGIN_FAILURE_SECONDS", 0.4)
    with office.smtp() as client:
        client.ehlo()
        client.sock.settimeout(0.2)  # type: ignore[union-attr]
        with pytest.raises(smtplib.SMTPServerDisconnected):
            client.docmd("AUTH", "PLAIN " + plain(password="wrong").decode())


def test_there_is_no_starttls(office: Office) -> None:
    with office.smtp() as client:
        client.ehlo()
        assert client.docmd("STARTTLS")[0] == 502


def test_a_web_page_cannot_speak_through_the_browser(office: Office) -> None:
    request = b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n" + LOGGED_IN + ENVELOPE
    said = talk(office, request)
    assert [line[:3] for line in said] == ["220", "421"]


def test_one_connection_too_many_is_told_to_come_later(office: Office) -> None:
    clients = [office.smtp() for _ in range(limits.DOOR_CONNECTIONS_MAX)]
    try:
        with office.raw() as client:
            assert read_all(client)[0].startswith("421 4.3.2 Too many connections")
        clients.pop().quit()
        with office.smtp() as client_again:
            assert client_again.noop()[0] == 250
    finally:
        for one in clients:
            one.quit()


def test_silence_is_ended_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SMTP_IDLE_SECONDS", 0.3)
    with opened() as office, office.raw() as client:
        said = read_all(client)
    assert said[-1].startswith("421 4.4.2 ")
