"""Recipients of a letter, and what its sender wants to be told."""

import pytest

from doors.submission_fixture import ANNA, BORA, LETTER, LOGGED_IN, Office, talk
from postroad.base import limits
from postroad.message.envelope import NOTIFY_DEFAULT, Notify


def test_a_recipient_who_is_not_there_is_told_in_the_outboxs_words(office: Office) -> None:
    with office.login() as client:
        client.mail(ANNA)
        assert client.rcpt("bara@example.org") == (
            550,
            b"5.1.1 No such person: did you mean Bora <bora@example.org>?",
        )
        assert client.rcpt("offline@example.org")[0] == 451
        assert client.docmd("DATA")[0] == 554


def test_a_recipient_named_twice_gets_one_parcel(office: Office) -> None:
    with office.login() as client:
        client.sendmail(ANNA, [BORA, "Bora@example.org"], LETTER)
    assert len(office.outbox.accepted[0].recipients) == 1


def test_recipients_beyond_the_limit_are_put_off_and_the_others_served(office: Office) -> None:
    people = [f"p{number}@example.org" for number in range(limits.RECIPIENTS_MAX + 1)]
    with office.login() as client:
        refused = client.sendmail(ANNA, people, LETTER)
    assert {code for code, _ in refused.values()} == {452}
    assert list(refused) == people[-1:]
    assert len(office.outbox.accepted[0].recipients) == limits.RECIPIENTS_MAX


def test_what_the_sender_wants_to_be_told_reaches_the_outbox(office: Office) -> None:
    with office.login() as client:
        assert client.mail(ANNA, ["RET=FULL", "ENVID=QQ+2B314159"])[0] == 250
        for address, options in [
            ("never@example.org", ["NOTIFY=NEVER"]),
            ("all@example.org", ["notify=success,FAILURE,delay", "ORCPT=rfc822;All+40example.org"]),
            ("default@example.org", []),
        ]:
            assert client.rcpt(address, options)[0] == 250
        assert client.data(LETTER)[0] == 250
    (letter,) = office.outbox.accepted
    assert (letter.return_full, letter.envelope_id) == (True, "QQ+314159")
    assert [(one.notify, one.original) for one in letter.recipients] == [
        (Notify.NEVER, None),
        (Notify.SUCCESS | Notify.FAILURE | Notify.DELAY, "rfc822;All+40example.org"),
        (NOTIFY_DEFAULT, None),
    ]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (f"MAIL FROM:<{ANNA}> RET=SOME", 501),
        (f"MAIL FROM:<{ANNA}> ENVID=a+2", 501),
        (f"MAIL FROM:<{ANNA}> ENVID={'x' * 101}", 501),
        (f"MAIL FROM:<{ANNA}> ENVID=+0D+0A", 501),
        (f"MAIL FROM:<{ANNA}> SIZE=many", 501),
        (f"MAIL FROM:<{ANNA}> SIZE=1 SIZE=1", 501),
        (f"MAIL FROM:<{ANNA}> BODY=BINARYMIME", 501),
        (f"MAIL FROM:<{ANNA}> SMTPUTF8=yes", 501),
        (f"MAIL FROM:<{ANNA}> HOLDFOR=60", 555),
        (f"MAIL FROM:<{ANNA}>SIZE=1", 501),
        (f"MAIL FROM:{ANNA}", 501),
        (f"MAIL TO:<{ANNA}>", 501),
        ("MAIL", 501),
        (f"MAIL FROM: <{ANNA}> SIZE=1000 BODY=8BITMIME AUTH=<>", 250),
        (f"MAIL FROM:<@relay.example:{ANNA}>", 250),
        (f"MAIL FROM:<{ANNA}> {'X' * 3000}", 500),
    ],
)
def test_mail_from_is_read_strictly(office: Office, command: str, code: int) -> None:
    with office.login() as client:
        found, said = client.docmd(command)
        assert found == code, said


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("<bora>", 501),
        ("<>", 501),
        ("<bora@example.org", 501),
        ("<bo ra@example.org>", 501),
        (f"<{'x' * 65}@example.org>", 501),
        ("<börä@example.org>", 553),
        ("<bora@example.org> NOTIFY=NEVER,DELAY", 501),
        ("<bora@example.org> NOTIFY=", 501),
        ("<bora@example.org> NOTIFY=SOMETIMES", 501),
        ("<bora@example.org> ORCPT=bora", 501),
        ("<bora@example.org> ORCPT=rfc822;bo+ra", 501),
        ("<bora@example.org> WHAT=ELSE", 555),
        ('<"bo ra > x"@example.org> NOTIFY=DELAY', 250),
        ("<bora@[127.0.0.1]>", 250),
    ],
)
def test_rcpt_to_is_read_strictly(office: Office, argument: str, code: int) -> None:
    said = talk(
        office, LOGGED_IN + f"MAIL FROM:<{ANNA}>\r\nRCPT TO:{argument}\r\nNOOP\r\n".encode()
    )
    assert said[-2].startswith(f"{code} "), said
    assert said[-1].startswith("250")


def test_addresses_beyond_ascii_travel_with_smtputf8(office: Office) -> None:
    with office.login() as client:
        client.sendmail(ANNA, ["börä@example.org"], LETTER, ["SMTPUTF8"])
    assert office.outbox.accepted[0].recipients[0].address == "börä@example.org"
