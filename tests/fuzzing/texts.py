"""Targets: letters as people and programs write them, addresses, and what owners type and keep."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from fakes import NOW, someone
from fuzzing.target import Target, text
from postroad.app import config, policy
from postroad.base import limits
from postroad.base.errors import ConfigurationError, PermanentFailure
from postroad.base.ids import is_fingerprint
from postroad.delivery.outbox import visible_recipients
from postroad.message import (
    address,
    bounce,
    damaged,
    headers,
    names,
    nicknames,
    plain,
    request,
    result,
    structure,
    submitted,
)
from postroad.protocol import audit, link_text, safety_code, sheet
from postroad.protocol.imap import render, search, sections
from postroad.sealing import keys
from postroad.sealing.password import verifier
from postroad.sealing.safety import Keys, safety_number

ANNA, BEN = someone("anna"), someone("ben")
MINE, THEIRS = (
    Keys(who.identity.public.ed25519, who.identity.public.mldsa_hash) for who in (ANNA, BEN)
)
NUMBER = safety_number(MINE, THEIRS)
PASSWORD = verifier("secret", bytes(16))


def _headers(octets: bytes) -> None:
    found = headers.fields(octets)
    kept = b"".join(one.octets for one in found)
    assert octets.startswith(kept)
    for one in found[:20]:
        headers.address_list(one.value)
        headers.decode_words(one.value)
        headers.unfold(one.value)
        assert headers.all_of(octets, one.name) or not one.name
    items = headers.address_list(octets)
    begins = sum(isinstance(one, headers.GroupBegins) for one in items)
    assert begins == sum(isinstance(one, headers.GroupEnds) for one in items)
    headers.addresses(octets)
    list(headers.tokens(octets))
    headers.first(octets, b"from")
    headers.first_of(octets, headers.wanted(b"from", b"to", b"date"))
    assert 0 <= headers.header_size(octets) <= len(octets)
    headers.decode_text(octets, text(octets[:10]))
    headers.known_charset(text(octets[:40]))
    headers.decode_base64(octets)
    headers.decode_words(octets)
    bounce.is_notification(octets)
    search.sent_day(octets)
    render.envelope(octets)
    visible_recipients(octets)
    damaged.note(octets, "It is damaged.")
    names = (b"from", b"x")
    sections.in_header(octets, sections.Section((), sections.Kind.FIELDS, names))


def _submitted(octets: bytes) -> None:
    own = (str(ANNA.address),)
    ready = submitted.prepare(octets, own, now=NOW, token=bytes(16))
    head = submitted.checked_header(ready, 80 * 1024)
    submitted.check_author(head, own)
    blind = [one for one in headers.fields(head) if one.name.lower() in submitted.TAKEN_OUT]
    assert not blind
    assert ready.endswith(octets[headers.header_size(octets) :])


def _structure(octets: bytes) -> None:
    top = structure.structure(octets)
    count = 0
    for part in structure.walk(top):
        count += 1
        assert 0 <= part.body <= part.end <= len(octets)
        plain.part_text(octets, part)
    assert count <= 101
    shown = render.render(octets)
    assert shown.body.count(b"(") >= 1
    structure.value_and_parameters(octets)


def _request(octets: bytes) -> None:
    """A stranger's letter, as it becomes a request."""
    said = plain.plain(octets)
    assert len(said.text.encode()) <= limits.REQUEST_TEXT_BYTES_MAX
    shown = plain.readable(plain.without_markup(text(octets)))
    assert all(one in "\n\t" or plain.is_seen(one) for one in shown)
    who = request.stranger(octets, BEN.address, [("anna", str(ANNA.address))])
    made = request.write(octets, who, str(ANNA.address), written=NOW, token=bytes(16))
    submitted.check_text(made)
    head = octets[: headers.header_size(octets)]
    request.subject_of(head)
    result.request_of(head)
    result.stands_in(head)
    found = submitted.author(head)
    if found is not None:
        called = headers.decode_words(found.name)
        names.like(called, [("anna", "anna")])
        names.named_address(called, str(ANNA.address))
    with suppress(PermanentFailure):
        submitted.check_result(head)


def _address(octets: bytes) -> None:
    said = text(octets)
    address.is_name(said)
    is_fingerprint(said)
    submitted.is_own(said, (str(ANNA.address),))
    address.did_you_mean(said[:80], [str(ANNA.address)])
    nicknames.key(said)
    nicknames.free(said, ())
    with suppress(PermanentFailure):
        nicknames.checked(said)
    found = address.parse(said)
    assert address.parse(str(found)) == found
    assert is_fingerprint(found.fingerprint)


@cache
def _scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="postroad-fuzz-")) / "config.toml"


def _config(octets: bytes) -> None:
    path = _scratch()
    path.write_bytes(octets)
    loaded = config.load(path)
    config.shown(loaded.hold_for)


def _policy(octets: bytes) -> None:
    real, policy._octets = policy._octets, lambda path: octets
    try:
        found = policy.load(Path("/etc/postroad/policy.toml"))
        policy.narrowed(config.default(), found)
    finally:
        policy._octets = real


def _typed(octets: bytes) -> None:
    said = text(octets)
    for read in (keys.identity_from_words, audit.head_from):
        with suppress(PermanentFailure):
            read(said)
    PASSWORD.verify(octets)
    for size in (20, 5400):
        with suppress(PermanentFailure):
            assert len(sheet.from_text(said, size)) == size
    for shown in (said, link_text.write(safety_code.SCHEME, octets)):
        with suppress(PermanentFailure):
            safety_code.compare(shown, MINE, THEIRS, NUMBER)


def _lines(*said: str) -> Callable[[], list[bytes]]:
    return lambda: [one.encode() for one in said]


_LETTER = (
    f"From: Anna <{ANNA.address}>\r\nTo: a:b, c;, =?utf-8?q?=C3=A4?= <d@e>\r\nCc: x@y\r\n"
    "Subject: =?utf-8?b?w6Q=?=\r\nDate: Thu, 26 Nov 2026 05:00:00 +0000\r\nBcc: z@z\r\n"
    'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    "--b\r\nContent-Type: text/plain; charset=x\r\n\r\nhi\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: q@r\r\n\r\nx\r\n--b--\r\n"
)

TARGETS = (
    Target(
        "headers",
        _headers,
        (
            "message.headers.header_size",
            "message.headers.body_start",
            "message.headers.fields",
            "message.headers.first_of",
            "message.headers.all_of",
            "message.headers.first",
            "message.headers.unfold",
            "message.headers.addresses",
            "message.headers.address_list",
            "message.headers.tokens",
            "message.headers.known_charset",
            "message.headers.decode_text",
            "message.headers.decode_words",
            "message.headers.decode_base64",
            "message.bounce.is_notification",
            "message.damaged.note",
            "protocol.imap.render.envelope",
            "protocol.imap.search.sent_day",
            "protocol.imap.sections.in_header",
            "delivery.outbox.visible_recipients",
        ),
        _lines(_LETTER, "To: a:b:;;\r\n", "To: " + "(" * 300 + "\r\n", "From: <@a,@b:c@d>\r\n"),
    ),
    Target(
        "submitted",
        _submitted,
        (
            "message.submitted.prepare",
            "message.submitted.checked_header",
            "message.submitted.check_text",
            "message.submitted.trace_fields",
            "message.submitted.check_author",
        ),
        _lines(_LETTER),
        (PermanentFailure,),
    ),
    Target(
        "structure_of_mime",
        _structure,
        (
            "message.structure.structure",
            "message.structure.value_and_parameters",
            "protocol.imap.render.render",
            "message.plain.part_text",
        ),
        _lines(_LETTER, "Content-Type: multipart/mixed; boundary*=utf-8''b\r\n\r\n--b\r\n"),
    ),
    Target(
        "request",
        _request,
        (
            "message.plain.plain",
            "message.plain.readable",
            "message.plain.without_markup",
            "message.plain.is_seen",
            "message.request.stranger",
            "message.request.write",
            "message.request.subject_of",
            "message.result.request_of",
            "message.result.stands_in",
            "message.names.like",
            "message.names.named_address",
            "message.submitted.author",
            "message.submitted.check_result",
        ),
        _lines(
            _LETTER,
            "From: =?utf-8?q?anna=40example=2Eorg?= <a@b>\r\nSubject: x\r\n"
            "Content-Type: text/html\r\n\r\n<style>a{}</style><p>hi<br>&amp;<!-- x -->\r\n",
        ),
    ),
    Target(
        "address",
        _address,
        (
            "message.address.parse",
            "message.address.is_name",
            "message.address.did_you_mean",
            "message.submitted.is_own",
            "message.nicknames.checked",
            "message.nicknames.key",
            "message.nicknames.free",
            "base.ids.is_fingerprint",
        ),
        _lines(str(ANNA.address), str(ANNA.address).replace(".", "+tag.", 1), "a@b", "Jörg"),
        (PermanentFailure,),
        bytes_max=512,
    ),
    Target(
        "config",
        _config,
        ("app.config.load", "app.config.written_in", "app.config.valid"),
        _lines(
            'data = "/x"\nsmtp_port = 1\npeer_hosts = ["127.0.0.1"]\nlink = "tls"\n',
            'hold_for = "off"\nrelay = "anybody"\nexpiry_days = 2.5\nlan = true\n',
        ),
        (ConfigurationError,),
        bytes_max=2048,
    ),
    Target(
        "policy",
        _policy,
        ("app.policy.load",),
        _lines('hold_for = "off"\nlan = false\n', 'peer_port = [1, 2]\nrelay = "contacts"\n'),
        (ConfigurationError,),
        bytes_max=2048,
    ),
    Target(
        "typed",
        _typed,
        (
            "sealing.keys.identity_from_words",
            "protocol.audit.head_from",
            "protocol.safety_code.compare",
            "protocol.sheet.from_text",
            "sealing.password.PasswordVerifier.verify",
        ),
        lambda: [
            ANNA.identity.words.encode(),
            b"12:" + b"ab" * 32,
            " ".join(NUMBER).encode(),
            "\n".join(sheet.to_lines(bytes(20))).encode(),
            safety_code.code(THEIRS, MINE).encode(),
            b"\1" + THEIRS.digest + MINE.digest,
        ],
        bytes_max=1024,
    ),
)
