"""The header scanner: what the RFCs show, and what no RFC allows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroad.base import limits
from postroad.message import damaged, headers
from postroad.message.headers import (
    Field,
    GroupBegins,
    GroupEnds,
    Mailbox,
    address_list,
    addresses,
    decode_text,
    decode_words,
    fields,
    first,
    header_size,
)


def test_a_header_ends_with_its_empty_line() -> None:
    assert header_size(b"Subject: x\r\n\r\nbody\r\n\r\nmore") == len(b"Subject: x\r\n\r\n")
    assert header_size(b"Subject: x\n\nbody") == len(b"Subject: x\n\n")
    assert header_size(b"\r\nbody") == 2
    assert header_size(b"Subject: no body") == len(b"Subject: no body")
    assert header_size(b"") == 0


def test_fields_keep_their_octets_and_folds() -> None:
    header = b"From: a@b\r\nSubject: one\r\n two\r\nno field at all\r\n\r\nbody: x\r\n"
    assert fields(header) == [
        Field(b"From", b" a@b", b"From: a@b\r\n"),
        Field(b"Subject", b" one\r\n two", b"Subject: one\r\n two\r\n"),
        Field(b"", b"no field at all", b"no field at all\r\n"),
    ]
    assert first(header, b"SUBJECT") == b"one two"
    assert first(header, b"Bcc") is None


def test_a_space_before_the_colon_is_obsolete_and_allowed() -> None:
    assert first(b"Subject : x\r\n", b"subject") == b"x"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"anna@example.org", [(b"", b"anna", b"example.org")]),
        (b"Anna B. <anna@example.org>", [(b"Anna B.", b"anna", b"example.org")]),
        (b'"B, Anna" <anna@example.org>', [(b"B, Anna", b"anna", b"example.org")]),
        (b"anna@example.org (Anna)", [(b"Anna", b"anna", b"example.org")]),
        (b"a (one) @ (two (deep)) b.c", [(b"two (deep)", b"a", b"b.c")]),
        (b'"a b"@c', [(b"", b"a b", b"c")]),
        (b'"a\\"b"@c', [(b"", b'a"b', b"c")]),
        (b"x@[127.0.0.1]", [(b"", b"x", b"[127.0.0.1]")]),
        (b"a@b, c@d,, e@f", [(b"", b"a", b"b"), (b"", b"c", b"d"), (b"", b"e", b"f")]),
        (b"<a@b> <c@d>", [(b"", b"a", b"b"), (b"", b"c", b"d")]),
        (b"N <a@b, c@d", [(b"N", b"a", b"b"), (b"", b"c", b"d")]),
        (b"<a@b@c>", [(b"", b"a@b", b"c")]),
        (b"undisclosed", [(b"", b"undisclosed", b"")]),
        (b"<>", [(b"", b"", b"")]),
        (b"", []),
        (b" , ;", []),
        (b'"open <a@b>', [(b"", b"open <a@b>", b"")]),
        (b'"\\', [(b"", b" \\", b"")]),
    ],
)
def test_address_lists(value: bytes, expected: list[tuple[bytes, bytes, bytes]]) -> None:
    assert [(m.name, m.local, m.domain) for m in addresses(value)] == expected


def test_an_obsolete_route_is_kept_apart() -> None:
    assert addresses(b"N <@one,@two:a@b>") == [Mailbox(b"N", b"a", b"b", b"@one,@two")]


def test_groups_begin_and_end() -> None:
    assert address_list(b"friends: a@b, N <c@d>; e@f") == [
        GroupBegins(b"friends"),
        Mailbox(b"", b"a", b"b"),
        Mailbox(b"N", b"c", b"d"),
        GroupEnds(),
        Mailbox(b"", b"e", b"f"),
    ]
    assert address_list(b"undisclosed-recipients:;") == [
        GroupBegins(b"undisclosed-recipients"),
        GroupEnds(),
    ]


def test_the_list_that_the_standard_library_dies_of_is_read() -> None:
    assert address_list(b"a:b:;;") == [GroupBegins(b"a"), Mailbox(b"", b"b", b""), GroupEnds()]


def test_comments_nested_thousands_deep_are_read() -> None:
    assert addresses(b"(" * 30_000 + b")" * 30_000 + b"a@b")[0].address == "a@b"
    assert addresses(b"(" * 60_000) == []


def test_no_more_addresses_than_the_limit_are_given() -> None:
    assert len(addresses(b"a@b," * 5000)) == limits.ADDRESSES_MAX
    assert address_list(b"g:" + b"a@b," * 5000)[-1] == GroupEnds()


@given(st.binary(max_size=300))
def test_no_octets_break_the_address_scanner(value: bytes) -> None:
    depth = 0
    for item in address_list(value):
        depth += isinstance(item, GroupBegins) - isinstance(item, GroupEnds)
        assert depth in (0, 1)
    assert depth == 0


@given(st.text('a@<>,;:"\\()[] .\r\n', max_size=60))
def test_no_arrangement_of_specials_breaks_the_address_scanner(value: str) -> None:
    address_list(value.encode())


@given(st.binary(max_size=300))
def test_fields_and_rest_together_are_the_header(octets: bytes) -> None:
    header = octets[: header_size(octets)]
    joined = b"".join(field.octets for field in fields(header))
    assert header.startswith(joined)
    assert header[len(joined) :] in (b"", b"\n", b"\r\n")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?Q?Gr=C3=BC=C3=9Fe_an?= Bob", "Grüße an Bob"),
        (b"=?utf-8?B?R3LDvMOfZQ==?=", "Grüße"),
        (b"=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),
        (b"=?iso-8859-1?Q?a?= \r\n =?iso-8859-1?Q?b?= c", "ab c"),
        (b"=?utf-8*de?Q?a?=", "a"),
        (b"=?no-such-charset?Q?=E4?=", "ä"),
        (b"=?idna?Q?abc?=", "abc"),
        (b"=?utf-8?Q?a=0D=0ABcc:_x?=", "a Bcc: x"),
        ("Grüße".encode(), "Grüße"),
        (b"caf\xe9", "caf\ufffd"),
        (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
    ],
)
def test_encoded_words(value: bytes, expected: str) -> None:
    assert decode_words(value) == expected


@given(st.binary(max_size=200), st.text(max_size=50))
def test_no_octets_in_no_charset_break_decoding(octets: bytes, charset: str) -> None:
    decode_text(octets, charset)
    decode_words(octets)
    decode_words(b"=?" + charset.encode("utf-8", "replace") + b"?B?" + octets + b"?=")


def test_every_known_charset_can_be_used() -> None:
    from postroad.message import headers

    for name in headers._CHARSETS:
        decode_text(b"+AGE-a\xe4\xff\x80 \\u12 =?", name)


@pytest.mark.parametrize("charset", sorted(set(headers._CHARSETS)))
def test_no_charset_says_what_cannot_be_written(charset: str) -> None:
    """Else a notice about such a letter could not be made."""
    for octets in (b"+2AA-", b"+2AAA-x", b"\xd8\x00\x00\xd8", b"\x00\xd8", b"\xed\xa0\x80", b"~{"):
        decode_text(octets, charset).encode()


def test_a_subject_of_half_a_character_can_be_told_of() -> None:
    for subject in (b"=?utf-7?q?+2AA-?=", b"=?utf-7?q?+2A?= =?utf-7?q?A-?="):
        assert decode_words(subject) == "\ufffd"
        assert "\ufffd" in damaged.note(b"Subject: " + subject + b"\r\n\r\n", "torn").decode()
