"""Notices that somebody's keys changed: letters that every program reads, whatever a name is."""

from __future__ import annotations

from fakes import NOW
from postroad.message import changed
from postroad.message.headers import decode_words, first


def test_a_name_of_any_script_stands_in_the_subject_and_all_of_the_header_is_ascii() -> None:
    name = "Zo\u00eb \u0416\u0443\u043a\u043e\u0432\u0430 " + "\u4e2d" * 40
    token = bytes(changed.TOKEN_BYTES)
    for octets, says in (
        (changed.ended(name, "z@x", "me@x", now=NOW, token=token), "has revoked their identity"),
        (changed.root_ended(name, "z@x", "me@x", now=NOW, token=token), "had before was revoked"),
        (changed.rotated(name, "z@x", "z@y", "me@x", now=NOW, token=token), "has a new key"),
        (changed.forked(name, "z@x", "z@y", "me@x", now=NOW, token=token), "claim to be"),
    ):
        head = octets.partition(b"\r\n\r\n")[0] + b"\r\n"
        assert head.isascii()
        assert all(len(line) <= 78 for line in head.split(b"\r\n"))
        subject = decode_words(first(head, b"subject") or b"")
        assert name in subject
        assert says in subject
