"""Reading commands, names, sets and searches: the grammar, and what is outside of it."""

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base.errors import PermanentFailure
from postroad.base.ids import Instant
from postroad.protocol.imap import commands as c
from postroad.protocol.imap import search as s
from postroad.protocol.imap.arguments import STAR, BadCommand
from postroad.protocol.imap.flags import Flag, merged, read_flags, write_flags
from postroad.protocol.imap.names import checked_name, decode_name, encode_name, matches, parents
from postroad.protocol.imap.sections import Kind, Section


def read(text: bytes, *more: bytes) -> c.Command:
    return c.read((b"a " + text, *more))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"noop", c.Noop("NOOP")),
        (b"LOGIN anna secret", c.Login("anna", b"secret")),
        (b'login "an\\"na" "se cret" ', c.Login('an"na', b"se cret")),
        (b"AUTHENTICATE PLAIN AGE=", c.Authenticate("PLAIN", b"AGE=")),
        (b"authenticate plain", c.Authenticate("PLAIN", None)),
        (b"SELECT inbox", c.Select("INBOX", False)),
        (b'EXAMINE "Entw&APw-rfe"', c.Select("Entwürfe", True)),
        (b"RENAME a b", c.Rename("a", "b")),
        (b'LIST "" %', c.List("", "%", False)),
        (b'LSUB "" "*"', c.List("", "*", True)),
        (b"LIST a/ b*%", c.List("a/", "b*%", False)),
        (b"STATUS x (MESSAGES unseen)", c.Status("x", ("MESSAGES", "UNSEEN"))),
        (b"CLOSE", c.Close(True)),
        (b"UNSELECT", c.Close(False)),
        (b"UID EXPUNGE 1:3,7", c.Expunge(((1, 3), (7, 7)))),
        (b"EXPUNGE", c.Expunge(None)),
        (b"UID COPY *:4 x", c.Copy(True, ((4, STAR),), "x", False)),
        (b"MOVE 2 x", c.Copy(False, ((2, 2),), "x", True)),
        (b"STORE 1 +FLAGS (\\Seen work)",
         c.Store(False, ((1, 1),), c.Mode.ADD, False, (b"\\Seen", b"work"))),
        (b"UID STORE 1 -flags.silent \\Seen work",
         c.Store(True, ((1, 1),), c.Mode.REMOVE, True, (b"\\Seen", b"work"))),
        (b"STORE 1 FLAGS ()", c.Store(False, ((1, 1),), c.Mode.REPLACE, False, ())),
        (b'ID ("name" "x" "version" NIL)', c.Identify()),
        (b"ID NIL", c.Identify()),
        (b"FETCH 1 fast",
         c.Fetch(False, ((1, 1),), (c.Item.FLAGS, c.Item.INTERNAL_DATE, c.Item.SIZE))),
        (b"UID FETCH 1 FLAGS", c.Fetch(True, ((1, 1),), (c.Item.UID, c.Item.FLAGS))),
        (b"FETCH 1 (UID BODY BODYSTRUCTURE RFC822.SIZE)",
         c.Fetch(False, ((1, 1),), (c.Item.UID, c.Item.BODY, c.Item.BODY_STRUCTURE, c.Item.SIZE))),
        (b"FETCH 1 body.peek[1.2.mime]<10.20>",
         c.Fetch(False, ((1, 1),), (
             c.SectionItem(b"BODY[1.2.MIME]<10>", Section((1, 2), Kind.MIME), True, 10, 20),))),
        (b'FETCH 1 BODY[HEADER.FIELDS (From "To")]',
         c.Fetch(False, ((1, 1),), (
             c.SectionItem(b"BODY[HEADER.FIELDS (From To)]",
                           Section((), Kind.FIELDS, (b"From", b"To")), False),))),
        (b"SEARCH ALL", c.Search(False, s.Everything())),
        (b"UID SEARCH CHARSET utf-8 1:* NOT SEEN",
         c.Search(True, s.All((s.InSet(((1, STAR),), False), s.Not(s.HasFlag(Flag.SEEN)))))),
        (b'SEARCH OR (FROM "A B" LARGER 5) SENTSINCE 1-Feb-2026',
         c.Search(False, s.Or(
             s.All((s.InHeader(b"from", "a b"), s.Larger(5))),
             s.Dated(s.When.SINCE, date(2026, 2, 1), True)))),
        (b"SEARCH HEADER Message-ID <1@x> UNKEYWORD Work",
         c.Search(False, s.All((s.InHeader(b"message-id", "<1@x>"),
                                s.Not(s.HasKeyword("work")))))),
    ],
)  # fmt: skip
def test_commands_are_read(text: bytes, expected: c.Command) -> None:
    assert read(text) == expected


def test_literals_take_the_place_of_strings() -> None:
    assert c.read((b"a LOGIN {4}", b"an a", b" {2+}", b"\r\n", b"")) == c.Login("an a", b"\r\n")
    assert c.read(
        (b'a APPEND x (\\Seen) " 1-Feb-2026 01:00:00 +0100" {3}', b"abc", b"")
    ) == c.Append("x", (b"\\Seen",), Instant(1769904000.0), b"abc")


@pytest.mark.parametrize(
    "text",
    [
        b"", b"NOSUCH", b"STARTTLS", b"NOOP x", b"LOGIN anna", b'LOGIN "anna', b"UID NOOP",
        b"FETCH 0 FLAGS", b"FETCH 1 ()", b"FETCH 1 BODY[", b"FETCH 1 BODY[0]",
        b"FETCH 1 BODY[MIME]", b"LOGIN anna {12345678901}",
        b"FETCH 1 BODY[]<0.0>", b"FETCH 4294967296 FLAGS", b"FETCH 1, FLAGS", b"FETCH 1 BODY[x]",
        b"FETCH 1 BODY[HEADER.FIELDS]", b"FETCH 1 MODSEQ", b"STORE 1 SIZE 3", b"STORE 1 FLAGS (\\)",
        b"SEARCH", b"SEARCH (", b"SEARCH " + b"(" * 1000, b"SEARCH " + b"NOT " * 1000 + b"ALL",
        b"SEARCH SINCE 31-Feb-2026", b"SEARCH ON x", b"SEARCH NOSUCH", b"STATUS x ()",
        b"STATUS x (NOSUCH)", b'APPEND x "no date" {1}', b"APPEND x", b"LIST x", b"IDLE x",
        b"SEARCH " + b"ALL " * 1001 + b"ALL",
    ],
)  # fmt: skip
def test_what_is_not_in_the_grammar_is_bad(text: bytes) -> None:
    with pytest.raises(BadCommand):
        read(text)


def test_an_unknown_charset_is_told_apart() -> None:
    with pytest.raises(c.BadCharset):
        read(b"SEARCH CHARSET nosuch SUBJECT x")


@given(st.binary(max_size=80))
def test_any_line_is_read_or_bad(line: bytes) -> None:
    for pieces in ((line,), (b"a FETCH 1 " + line,), (b"a SEARCH " + line,), (line, b"x", line)):
        with contextlib.suppress(BadCommand, c.BadCharset):
            c.read(pieces)


@pytest.mark.parametrize(
    ("line", "tag"), [(b"a1 NOOP", b"a1"), (b"", b"*"), (b"{1} x", b"*"), (b"\xff x", b"*")]
)
def test_a_tag_that_is_none_is_answered_with_a_star(line: bytes, tag: bytes) -> None:
    assert c.tag_of(line) == tag


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_names_survive_modified_utf7(name: str) -> None:
    decoded = decode_name(encode_name(name))
    assert encode_name(decoded) == encode_name(decode_name(encode_name(decoded)))
    assert encode_name(name).isascii()


@pytest.mark.parametrize(
    ("name", "wire"),
    [("Entwürfe", b"Entw&APw-rfe"), ("a&b", b"a&-b"), ("台北", b"&U,BTFw-"), ("😀", b"&2D3eAA-")],
)
def test_names_on_the_wire(name: str, wire: bytes) -> None:
    assert encode_name(name) == wire
    assert decode_name(wire) == name


def test_inbox_is_the_same_in_every_case() -> None:
    assert decode_name(b"inBox") == "INBOX"
    assert decode_name(b"inbox/Sub") == "INBOX/Sub"
    assert decode_name(b"inboxes") == "inboxes"


@given(st.binary(max_size=40))
def test_any_octets_are_some_name(octets: bytes) -> None:
    encode_name(decode_name(octets)).decode("ascii")


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "a/b", True), ("%", "a/b", False), ("%", "a", True), ("a/%", "a/b", True),
        ("a*", "a", True), ("%/%", "a/b", True), ("", "a", False), ("*b*", "abc", True),
        ("a", "a/b", False), ("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*ab", "a" * 200, False),
    ],
)  # fmt: skip
def test_patterns(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


def test_bad_names_are_refused() -> None:
    for name in ("", "/", "a//b", "/a", "a*", "a%", "a\nb", "a\0", "x" * 256, "a/" * 20):
        with pytest.raises(PermanentFailure):
            checked_name(name)
    assert checked_name("a/b/") == "a/b"
    assert parents("a/b/c") == ["a", "a/b"]


def test_flags_are_read_and_written() -> None:
    bits, keywords = read_flags([b"\\SEEN", b"$Forwarded", b"\\Recent"])
    assert (bits, keywords) == (Flag.SEEN, ("$Forwarded",))
    assert write_flags(bits | Flag.RECENT, "a b") == b"\\Seen \\Recent a b"
    with pytest.raises(PermanentFailure):
        read_flags([b"\\Nosuch"])
    with pytest.raises(PermanentFailure):
        read_flags([b"k%d" % n for n in range(100)])


def test_keywords_are_merged_without_regard_to_case() -> None:
    assert merged("Work b", ("work", "a"), "+") == "Work a b"
    assert merged("Work b", ("WORK",), "-") == "b"
    assert merged("Work b", ("z", "Z"), "") == "z"
