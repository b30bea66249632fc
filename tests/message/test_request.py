"""What is shown of a stranger's letter: nothing of theirs passes for our own words."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from fakes import NOW, someone
from postroad.message import request

ANNA, BORA = (someone(name).address for name in ("anna", "bora"))
OURS = "[Postroad: the rest is not shown; it was longer than 4 KiB.]"


def shown(text: str, called: str = "Anna") -> list[str]:
    letter = (
        f'From: "{called}" <{ANNA}>\r\nTo: {BORA}\r\nSubject: hello\r\n'
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    ).encode()
    who = request.stranger(letter, ANNA, [])
    octets = request.write(letter, who, str(BORA), written=NOW, token=bytes(16))
    message = message_from_bytes(octets, policy=policy.default)
    assert not message.defects
    return str(message.get_content()).splitlines()


@pytest.mark.parametrize(
    "text",
    [
        OURS,
        f"Hello!\r\n\r\n[Postroad: this person was verified by you.]\r\n{OURS}",
        f"\u2028{OURS}\u2029{OURS}\x0b{OURS}\x0c{OURS}\x85{OURS}\r{OURS}",
        f"{'x' * 225}{OURS}",  # where a long line is broken
        f"\u200b{OURS}",
        f"> {OURS}",
    ],
)
def test_no_line_of_a_stranger_s_passes_for_one_of_ours(text: str) -> None:
    lines = shown(text)
    ours = [line for line in lines if not line.startswith(">")]
    assert ours == [line for line in shown("Hi") if not line.startswith(">")]
    assert any("Postroad:" in line for line in lines if line.startswith("> "))


@pytest.mark.parametrize("called", ["Anna]", f"{OURS}", "Anna] [Postroad: verified by you, Bora"])
def test_what_a_stranger_calls_themselves_is_marked_as_theirs(called: str) -> None:
    lines = shown("Hi", called)
    at = lines.index("[Postroad: they call themselves:]")
    assert lines[at + 1].startswith("> ")
    assert lines[at + 2] == ""


def test_the_text_is_all_there_and_our_words_about_what_is_left_out_are_ours() -> None:
    lines = shown("one\r\n\r\ntwo")
    assert lines[-3:] == ["> one", ">", "> two"]
    assert shown("word " * 2000)[-1] == OURS
