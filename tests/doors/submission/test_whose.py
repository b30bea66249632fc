"""Whose letter it is: the sender of the envelope, and what the header says."""

import re
from email import message_from_bytes

import pytest

from doors.submission_fixture import ANNA, BORA, ENVELOPE, LETTER, LOGGED_IN, Office, talk
from postroad.base import limits
from postroad.message.envelope import Notify


@pytest.mark.parametrize("sender", ["eve@example.org", "anna@example.com", "xanna@example.org"])
def test_nobody_else_can_be_the_envelopes_sender(office: Office, sender: str) -> None:
    with office.login() as client:
        code, said = client.docmd(f"MAIL FROM:<{sender}>")
        assert (code, said[:5]) == (553, b"5.7.1")


def test_a_read_receipt_is_taken_and_asks_for_no_notice(office: Office) -> None:
    with office.login() as client:
        client.docmd("MAIL FROM:<>")
        client.docmd(f"RCPT TO:<{BORA}> NOTIFY=SUCCESS,FAILURE")
        assert client.data(LETTER)[0] == 250
    (accepted,) = office.outbox.accepted
    assert [one.notify for one in accepted.recipients] == [Notify.NEVER]


@pytest.mark.parametrize("sender", ["Anna@Example.ORG", "anna+shop@example.org"])
def test_case_and_a_tag_do_not_make_a_stranger_of_the_owner(office: Office, sender: str) -> None:
    with office.login() as client:
        text = LETTER.replace(f"<{ANNA}>", f"<{sender}>")
        assert client.sendmail(sender, [BORA], text) == {}
    assert len(office.outbox.accepted) == 1


@pytest.mark.parametrize(
    ("header", "reply"),
    [
        (b"From: eve@example.org", "554 5.7.1 The letter says that it is from eve@example.org"),
        (b"From: anna@example.org, eve@example.org", "554 5.7.1"),
        (b"From: anna@example.org\r\nFrom: eve@example.org", "554 5.7.1"),
        (b"From: anna@example.org\r\nFROM : anna@example.org", "554 5.7.1"),
        (b"From: friends: anna@example.org;", "554 5.7.1"),
        (b"From: a:b:;;", "554 5.7.1"),
        (b"From: <@eve.example:anna@example.org>", "554 5.7.1"),
        (b"From:", "554 5.7.1"),
        (b'From: "anna@example.org" <eve@example.org>', "554 5.7.1"),
        (b"From: anna@example.org\r\nSender: eve@example.org", "554 5.7.1"),
        (b"From: eve@example.org\r\nResent-From: anna@example.org", "554 5.7.1"),
        (b"To: bora@example.org", "554 5.6.0 The letter has no From field."),
        (b"From: anna@example.org\r\nno field at all", "554 5.6.0"),
        (b" From: anna@example.org", "554 5.6.0"),
        (b"From: anna@example.org\r\nX: " + b"x" * limits.HEADER_BYTES_MAX, "552 5.3.4"),
        (b"From: anna@example.org\r\nSender: Anna <anna@example.org>", "250 2.0.0"),
        (b"from:\r\n =?utf-8?q?Anna?= (at home)\r\n <ANNA@example.org>", "250 2.0.0"),
        (
            b'From: "eve@example.org" <anna@example.org>',
            "554 5.7.1 The name in the letter's From says eve@example.org",
        ),
        (b'From: "Anna@example.org" <anna@example.org>', "250 2.0.0"),
    ],
)
def test_the_header_says_truly_who_wrote_it(office: Office, header: bytes, reply: str) -> None:
    said = talk(office, LOGGED_IN + ENVELOPE + header + b"\r\n\r\nHello.\r\n.\r\nNOOP\r\n")
    assert said[-2].startswith(reply), said
    assert said[-1].startswith("250")


@pytest.mark.parametrize(
    ("before", "reply"),
    [
        (b"From anna Tue Jul  7 22:47:39 2009", "The letter begins with the line of an mbox file"),
        (b">From anna Tue Jul  7", "The letter begins with the line of an mbox file"),
        (b"  \t ", "Line 1 of the letter, of white space only, is not a header field."),
        (b"To: x\r\n folded\r\n--foo", "Line 3 of the letter, '--foo', is not a header field."),
        (b"X: y\r\nGr\xfc\xdfe!", "Line 2 of the letter, 'Gr??e!', is not a header field."),
        (b"X: y\r\n" + b"x" * 5000, f"Line 2 of the letter, '{'x' * 60}', is not a header field."),
    ],
)
def test_a_line_that_is_no_header_field_is_shown_to_its_writer(
    office: Office, before: bytes, reply: str
) -> None:
    sent = LOGGED_IN + ENVELOPE + before + b"\r\nFrom: anna@example.org\r\n\r\nHi.\r\n.\r\n"
    assert talk(office, sent)[-1].startswith(f"554 5.6.0 {reply}")


def test_blind_copies_stay_blind(office: Office) -> None:
    """The one thing that is taken out of a letter (RFC 5322 section 3.6.3)."""
    head, _, body = LETTER.partition("\r\n\r\n")
    text = f"Bcc: eve@example.org\r\n{head}\r\nBCC: a@b.example,\r\n c@d.example\r\n\r\n{body}"
    with office.login() as client:
        client.sendmail(ANNA, [BORA, "eve@example.org"], text)
    (letter,) = office.outbox.accepted
    assert letter.octets.endswith(LETTER.encode())
    assert b"eve" not in letter.octets
    assert len(letter.recipients) == 2


def test_a_missing_date_and_message_id_are_put_on_top(office: Office) -> None:
    text = f"From: {ANNA}\r\nTo: {BORA}\r\n\r\nHello.\r\n".encode()
    with office.login() as client:
        for _ in range(2):
            client.mail(ANNA)
            client.rcpt(BORA)
            assert client.data(text)[0] == 250
    first, second = (one.octets for one in office.outbox.accepted)
    assert first.endswith(text)
    read = message_from_bytes(first)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000", read["Date"])
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.org>", read["Message-ID"])
    assert read["Message-ID"] != message_from_bytes(second)["Message-ID"]
