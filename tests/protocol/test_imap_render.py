"""ENVELOPE and BODYSTRUCTURE: exact examples, well-formed whatever comes in, and the corpus."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from postroad.protocol.imap.render import Rendered, render, string


def check_balance(rendered: bytes) -> None:
    """Read one parenthesised value as a client does: exactly one, and nothing behind it."""
    at, depth = 0, 0
    while at < len(rendered):
        octet = rendered[at : at + 1]
        if octet == b'"':
            at += 1
            while rendered[at : at + 1] != b'"':
                assert rendered[at] not in b"\0\r\n"
                assert rendered[at] < 128
                at += 2 if rendered[at : at + 1] == b"\\" else 1
        elif octet == b"{":
            end = rendered.index(b"}\r\n", at)
            size = int(rendered[at + 1 : end])
            at = end + 3 + size - 1
            assert b"\0" not in rendered[end + 3 : at + 1]
        elif octet == b"(":
            depth += 1
        elif octet == b")":
            depth -= 1
            assert depth > 0 or at == len(rendered) - 1
        else:
            assert octet in b" NIL0123456789"
        at += 1
    assert depth == 0
    assert rendered.startswith(b"(")


def check(rendered: Rendered, octets: bytes) -> None:
    for one in (rendered.envelope, rendered.body, rendered.body_structure):
        check_balance(one)
    assert octets.startswith(rendered.header)


def test_an_envelope_in_full() -> None:
    letter = (
        b"Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)\r\n"
        b'From: "Fred \\"F\\" Foobar" <foobar@Blurdybloop.example>\r\n'
        b"Subject: afternoon\r\n meeting\r\n"
        b'To: friends: mooch@owatagu.example, "M N"@x;\r\nCc: gr\xc3\xbc <@a:b@c>\r\n'
        b"Message-ID: <1@x>\r\n\r\nbody"
    )
    foobar = b'(("Fred \\"F\\" Foobar" NIL "foobar" "Blurdybloop.example"))'
    assert render(letter).envelope == (
        b'("Mon, 7 Feb 1994 21:52:25 -0800 (PST)" "afternoon meeting" '
        + foobar + b" " + foobar + b" " + foobar
        + b' ((NIL NIL "friends" NIL)(NIL NIL "mooch" "owatagu.example")(NIL NIL "M N" "x")'
        b'(NIL NIL NIL NIL)) (({4}\r\ngr\xc3\xbc "@a" "b" "c")) NIL NIL "<1@x>")'
    )  # fmt: skip


def test_an_empty_letter_has_an_envelope_too() -> None:
    assert render(b"").envelope == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    assert render(b"").body == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'


def test_a_body_structure_in_full() -> None:
    letter = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-MD5: abc\r\n\r\nhello\r\n\r\n"
        b"--b\r\nContent-Type: image/png; name=x.png\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: inline; filename=x.png\r\nContent-Language: de, en\r\n"
        b"Content-Location: a b\r\n\r\nAAAA\r\n"
        b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n"
        b"--b--\r\n"
    )
    rendered = render(letter)
    text = b'"text" "plain" ("charset" "utf-8") NIL NIL "7bit" 7 1'
    image = b'"image" "png" ("name" "x.png") NIL NIL "base64" 4'
    inner = b'(NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL)'
    plain = b'"text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 1 0'
    message = b'"message" "rfc822" NIL NIL NIL "7bit" 16 ' + inner
    assert rendered.body == (b"((%b)(%b)(%b (%b) 2) " % (text, image, message, plain) + b'"mixed")')
    assert rendered.body_structure == (
        b'((%b "abc" NIL NIL NIL)' % text
        + b'(%b NIL ("inline" ("filename" "x.png")) ("de" "en") "ab")' % image
        + b"(%b (%b NIL NIL NIL NIL) 2 NIL NIL NIL NIL)" % (message, plain)
        + b' "mixed" ("boundary" "b") NIL NIL NIL)'
    )


def test_strings_choose_the_form_that_can_hold_them() -> None:
    assert string(None) == b"NIL"
    assert string(b"") == b'""'
    assert string(b'a"b\\c') == b'"a\\"b\\\\c"'
    assert string("ü".encode()) == b"{2}\r\n\xc3\xbc"
    assert string(b"a\rb") == b"{3}\r\na\rb"
    assert string(b"a\0b\n") == b"{3}\r\nab\n"


@given(st.binary(max_size=300))
def test_any_octets_render_well_formed(octets: bytes) -> None:
    check(render(octets), octets)
    header = b"From: " + octets + b"\r\nSubject: " + octets[::-1] + b"\r\n"
    check(render(header), header)
    mime = b"Content-Type: multipart/mixed; boundary=b; x=" + octets + b"\r\n\r\n--b\r\n\r\n"
    check(render(mime), mime)


def test_every_letter_of_the_corpus_renders_well_formed(corpus: Path) -> None:
    for path in sorted(corpus.glob("*.eml")):
        octets = path.read_bytes()
        check(render(octets), octets)
        crlf = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        check(render(crlf), crlf)
