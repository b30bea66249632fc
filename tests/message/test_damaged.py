"""What is shown in the place of a letter that the disk has lost."""

from email import message_from_bytes, policy

from postroad.message.bounce import AUTHOR
from postroad.message.damaged import note

HEADER = (
    "From: Börä <bora@example.org>\r\nTo: anna@example.org\r\nSubject: Good morning\r\n"
    "X-Other: 1\r\nDate: Mon, 01 Jan 2029 10:00:00 +0000\r\n\r\n"
).encode()


def test_what_is_left_of_the_header_says_whose_letter_it_was() -> None:
    read = message_from_bytes(note(HEADER, "The file is missing."), policy=policy.default)
    assert read["To"] == "anna@example.org"
    assert read["Date"] == "Mon, 01 Jan 2029 10:00:00 +0000"
    assert read["X-Other"] is None
    assert read.get_all("Subject") == ["[damaged letter]"]
    text = read.get_content()
    assert "Its subject: Good morning" in text
    assert "What was found: The file is missing." in text


def test_with_no_header_left_postroad_itself_is_the_author() -> None:
    octets = note(b"", "The file is missing.")
    read = message_from_bytes(octets, policy=policy.default)
    assert read["From"] == AUTHOR
    assert "Its subject: (unknown)" in read.get_content()
    assert octets.count(b"\r\n") == octets.count(b"\n")
