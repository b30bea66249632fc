"""What the owner is told about a letter of theirs, read as a mail program reads it."""

import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base.ids import Instant
from postroad.message.bounce import Facts, Fate, Notice, is_notification, notification

NOON = Instant(1_861_963_200.0)  # 1 January 2029, 12:00 UTC
DAY = 86400
TOKEN = bytes(range(16))
ANNA = "anna.aaaa@postroad.alt"
BORA = "bora.bbbb@postroad.alt"
LETTER = (
    f"From: {ANNA}\r\nTo: {BORA}\r\nSubject: =?utf-8?q?Sch=C3=B6ne_Gr=C3=BC=C3=9Fe?=\r\n"
    "Message-ID: <1@postroad.alt>\r\n\r\nThe text.\r\n"
).encode()


def facts(notice: Notice, *fates: Fate, letter: bytes = LETTER, full: bool = False) -> Facts:
    return Facts(
        notice,
        fates or (Fate(BORA, "waits at 8 holders"),),
        ANNA,
        letter,
        NOON,
        Instant(NOON + 30 * DAY),
        "QQ+314159",
        full,
    )


def told(about: Facts) -> Message:
    octets = notification(about, now=Instant(NOON + DAY), token=TOKEN)
    assert octets == notification(about, now=Instant(NOON + DAY), token=TOKEN)
    assert octets.count(b"\n") == octets.count(b"\r\n") == octets.count(b"\r")
    read = message_from_bytes(octets, policy=policy.compat32)
    assert not read.defects
    return read


def parts(read: Message) -> list[Message]:
    found = read.get_payload()
    assert isinstance(found, list)
    assert len(found) == 3
    return [one for one in found if isinstance(one, Message)]


def text(read: Message) -> str:
    octets = parts(read)[0].get_payload(decode=True)
    assert isinstance(octets, bytes)
    return octets.decode()


def groups(read: Message) -> list[Message]:
    """The field groups of the machine-readable part: one for the letter, one for each recipient."""
    found = parts(read)[1].get_payload()
    assert isinstance(found, list)
    return [one for one in found if isinstance(one, Message)]


@pytest.mark.parametrize(
    ("notice", "action", "status", "words"),
    [
        (Notice.DELAYED, "delayed", "4.4.1", "goes on trying until 31 January 2029, 12:00 UTC"),
        (Notice.DELIVERED, "delivered", "2.0.0", "has arrived in the mailbox"),
        (Notice.REFUSED, "failed", "5.0.0", "was not delivered"),
        (Notice.EXPIRED, "failed", "4.4.7", "It may have been delivered all the same."),
        (Notice.CORRECTED, "delivered", "2.0.0", "Your letter has arrived after all."),
    ],
)
def test_each_notice_says_the_same_to_people_and_to_programs(
    notice: Notice, action: str, status: str, words: str
) -> None:
    read = told(facts(notice))
    assert words in " ".join(text(read).split())
    assert "Schöne Grüße" in text(read)
    assert BORA in text(read)
    about_letter, about_bora = groups(read)
    assert (about_bora["Action"], about_bora["Status"]) == (action, status)
    assert about_bora["Final-Recipient"] == f"rfc822; {BORA}"
    assert about_letter["Arrival-Date"] == "Mon, 01 Jan 2029 12:00:00 +0000"
    assert about_letter["Original-Envelope-Id"] == "QQ+314159"
    assert about_letter["Reporting-MTA"] == "dns; localhost"
    assert bool(about_bora["Will-Retry-Until"]) == (notice is Notice.DELAYED)


def test_a_notification_has_the_headers_of_one() -> None:
    read = told(facts(Notice.EXPIRED))
    assert read.get_content_type() == "multipart/report"
    assert read.get_param("report-type") == "delivery-status"
    assert read["Return-Path"] == "<>"
    assert read["From"] == "Postroad <postroad@postroad.alt>"
    assert read["To"] == ANNA
    assert read["Auto-Submitted"] == "auto-replied"
    assert read["In-Reply-To"] == read["References"] == "<1@postroad.alt>"
    assert read["Message-ID"] == f"<{TOKEN.hex()}@postroad.alt>"
    assert read["Date"] == "Tue, 02 Jan 2029 12:00:00 +0000"
    subject = str(make_header(decode_header(read["Subject"])))
    assert subject == "Delivery not confirmed: Schöne Grüße"


def test_a_refusal_says_why_and_carries_its_own_status() -> None:
    reason = "The recipient takes letters from contacts only; ask for an invitation."
    read = told(facts(Notice.REFUSED, Fate(BORA, reason, "5.7.1")))
    assert reason in " ".join(text(read).split())
    assert groups(read)[1]["Status"] == "5.7.1"
    assert groups(read)[1]["Diagnostic-Code"] == f"x-postroad; {reason}"


def test_a_permanent_status_cannot_be_made_up_for_what_only_expired() -> None:
    read = told(facts(Notice.EXPIRED, Fate(BORA, "no receipt", "5.1.1")))
    assert groups(read)[1]["Status"] == "4.4.7"
    with pytest.raises(AssertionError):
        told(facts(Notice.REFUSED, Fate(BORA, "no receipt", "4.4.7")))


def test_several_recipients_share_one_notification() -> None:
    read = told(facts(Notice.EXPIRED, Fate("a@postroad.alt"), Fate("b@postroad.alt")))
    assert [one["Final-Recipient"] for one in groups(read)[1:]] == [
        "rfc822; a@postroad.alt",
        "rfc822; b@postroad.alt",
    ]


@pytest.mark.parametrize(
    ("notice", "full", "content_type"),
    [
        (Notice.REFUSED, True, "message/rfc822"),
        (Notice.EXPIRED, True, "message/rfc822"),
        (Notice.EXPIRED, False, "text/rfc822-headers"),
        (Notice.DELAYED, True, "text/rfc822-headers"),  # RFC 3461 section 4.3
        (Notice.DELIVERED, True, "text/rfc822-headers"),
    ],
)
def test_the_whole_letter_comes_back_only_with_a_failure_and_when_asked_for(
    notice: Notice, full: bool, content_type: str
) -> None:
    octets = notification(facts(notice, full=full), now=NOON, token=TOKEN)
    returned = parts(message_from_bytes(octets))[2]
    assert returned.get_content_type() == content_type
    assert (b"The text." in octets) == (content_type == "message/rfc822")
    assert (b"\r\n\r\n" + LETTER + b"\r\n--" in octets) == (content_type == "message/rfc822")
    assert b"Subject: =?utf-8?q?Sch=C3=B6ne_Gr=C3=BC=C3=9Fe?=\r\n" in octets


def test_addresses_beyond_ascii_are_safe_in_every_part() -> None:
    fate = Fate("börä@postroad.alt", "Börä ist fort.", "5.1.1", "utf-8;b\\x{F6}rä@a.example")
    read = told(facts(Notice.REFUSED, fate))
    about = groups(read)[1]
    assert about["Final-Recipient"] == r"utf-8; b\x{F6}r\x{E4}@postroad.alt"
    assert about["Original-Recipient"] == r"utf-8; b\x{F6}r\x{E4}@a.example"
    assert about["Diagnostic-Code"] == "x-postroad; B?r? ist fort."
    assert "börä@postroad.alt" in text(read)


def test_the_original_recipient_is_shown_decoded() -> None:
    read = told(facts(Notice.DELIVERED, Fate(BORA, original="rfc822;bo+2Bra@example.org")))
    assert groups(read)[1]["Original-Recipient"] == "rfc822; bo+ra@example.org"


def test_a_letter_that_quotes_our_boundary_does_not_break_the_notification() -> None:
    hostile = LETTER + b"--postroad-" + TOKEN.hex().encode() + b"--\r\n"
    read = told(facts(Notice.EXPIRED, letter=hostile, full=True))
    returned = parts(read)[2].get_payload()
    assert isinstance(returned, list)
    assert isinstance(returned[0], Message)
    assert returned[0]["Subject"] is not None


@pytest.mark.parametrize(
    "letter",
    [b"", b"\r\n", b"no header\r\n\r\n", b"Subject: x\r\n", b"Subject: \xff\xfe\r\n\r\n"],
)
def test_even_an_odd_letter_gets_its_notification(letter: bytes) -> None:
    assert groups(told(facts(Notice.EXPIRED, letter=letter)))[1]["Status"] == "4.4.7"


@given(st.text(), st.text(), st.text())
def test_no_words_of_others_can_add_a_header_or_a_status(a: str, b: str, c: str) -> None:
    letter = f"Subject: {a}\r\nMessage-ID: {b}\r\n\r\n".replace("\n", "\r\n").encode(
        "utf-8", "replace"
    )
    about = facts(Notice.REFUSED, Fate(c, a, "5.0.0", b), letter=b"".join(_lines(letter)))
    octets = notification(about, now=NOON, token=TOKEN)
    read = message_from_bytes(octets)
    allowed = {
        "return-path", "from", "to", "subject", "date", "message-id", "in-reply-to", "references",
        "auto-submitted", "mime-version", "content-type", "content-transfer-encoding",
    }  # fmt: skip
    assert {name.lower() for name in read} <= allowed
    assert [one["Action"] for one in groups(read)] == [None, "failed"]


def _lines(octets: bytes) -> list[bytes]:
    """With no bare CR or LF, as every letter that the door took."""
    return [line + b"\r\n" for line in re.split(rb"[\r\n]+", octets)]


def test_nothing_is_written_about_a_notification() -> None:
    assert is_notification(notification(facts(Notice.EXPIRED), now=NOON, token=TOKEN))
    assert is_notification(b"Return-Path: <>\r\nSubject: x\r\n\r\n")
    assert is_notification(b"content-type: Multipart/Report; report-type=disposition\r\n\r\n")
    assert not is_notification(LETTER)
    assert not is_notification(b"Auto-Submitted: auto-generated\r\nFrom: a@b.example\r\n\r\n")
    assert not is_notification(b"")
