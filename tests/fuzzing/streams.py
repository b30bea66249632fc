"""Targets: conversations whose octets may come in any pieces."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from contextlib import suppress

from fakes import someone
from fuzzing.target import Target, pieces, text
from postroad.base.errors import PeerMisbehaved, PermanentFailure
from postroad.message import notify
from postroad.protocol import relay, smtp
from postroad.protocol.imap import commands, names
from postroad.protocol.imap import events as e
from postroad.protocol.imap.arguments import BadCommand
from postroad.protocol.imap.flags import read_flags
from postroad.protocol.imap.lexer import Lexer, LiteralOffered, Overlong, Whole
from postroad.protocol.imap.session import Session
from postroad.protocol.mux import Mux
from protocol.pop3_world import World, talk

ANNA = someone("anna")
CHALLENGE = bytes(range(16))
REQUESTS_MAX = 300  # of one input: a search over many messages goes on for long, and should


def _relay(octets: bytes) -> None:
    """What came is the same in any pieces; with a head that is right; and after a proof."""

    def heard(begin: bytes, chunks: list[bytes]) -> tuple[list[object], str]:
        session = relay.Session(CHALLENGE)
        events: list[object] = []
        try:
            for chunk in [begin, *chunks] if begin else chunks:
                for event in session.receive(chunk):
                    if isinstance(event, relay.Proven):
                        session.confirm()
                    if isinstance(event, relay.Packets):
                        relay.passed_on(event, ANNA.device.peer)
                    events.append(event)
                session.take()
        except PeerMisbehaved as error:
            return events, str(error)
        return events, ""

    for begin in (b"", _HEAD, _HEAD + _proof()):
        whole, parts = heard(begin, [octets]), heard(begin, pieces(octets, octets[:3]))
        # What came before a fault in one piece is not told, nor is more taken than one proof.
        if not (whole[1] or any(isinstance(one, relay.Proven) for one in whole[0])):
            assert str(whole) == str(parts)


_HEAD = (
    b"GET /relay HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: " + relay.VERSION.encode() + b"\r\n\r\n"
)


def _masked(payload: bytes) -> bytes:
    """A client's frame, with a mask of zeros."""
    size = len(payload)
    length = bytes([128 | size]) if size < 126 else bytes([254]) + size.to_bytes(2, "big")
    return b"\x82" + length + bytes(4) + payload


def _proof() -> bytes:
    said = relay.signed(CHALLENGE)
    signature = ANNA.device._key().sign(said)
    kind = bytes([relay.Kind.PROOF])
    return _masked(kind + ANNA.device.public + bytes([64]) + signature)


def _relay_seeds() -> list[bytes]:
    to = bytes([relay.Kind.TO]) + ANNA.device.public + b"\0" + b"datagram"
    many = bytes([relay.Kind.TO_MANY]) + ANNA.device.public + b"\0\0\4" + b"datagram"
    ping = bytes([relay.Kind.PING]) + bytes(8)
    return [_HEAD, _proof(), *map(_masked, (to, many, ping)), _HEAD + _proof() + _masked(to)]


def _mux(octets: bytes) -> None:
    def heard(chunks: list[bytes]) -> tuple[str, bytes]:
        mux = Mux(dialled=True)
        mine = mux.begin()
        mux.send(mine, b"hello")
        events: list[object] = []
        try:
            for chunk in chunks:
                events += mux.receive(chunk)
        except PeerMisbehaved:
            events.append("misbehaved")
        out = b""
        while taken := mux.take():
            out += taken
        return str(events), out

    heard([octets])
    heard(pieces(octets, octets[:3]))


def _mux_seeds() -> list[bytes]:
    theirs = Mux(dialled=False)
    number = theirs.begin()
    theirs.send(number, b"hello")
    theirs.finish(number)
    theirs.ping()
    return [theirs.take()]


def _smtp(octets: bytes) -> None:
    said = text(octets)
    for read in (
        smtp.read_mail,
        lambda argument: smtp.read_rcpt(argument, utf8=True),
        lambda argument: smtp.read_rcpt(argument, utf8=False),
    ):
        try:
            read(said)
        except smtp.Refused as error:
            smtp.written(error.reply, utf8=False).encode("ascii")
            smtp.written(error.reply, utf8=True)
    for look in (
        notify.read_notify,
        notify.read_envelope_id,
        notify.read_return_full,
        notify.decode_original,
        notify.decode_xtext,
    ):
        look(said)


def _data(octets: bytes) -> None:
    def read(chunks: list[bytes]) -> tuple[bytes | None, bytes]:
        reader = smtp.LetterReader()
        for number, chunk in enumerate(chunks):
            rest = reader.feed(chunk)
            if rest is not None:
                return reader.letter(), rest + b"".join(chunks[number + 1 :])
        return None, b""

    whole = read([octets])
    assert whole == read(pieces(octets, octets[:3]))
    if whole[0] is not None:
        head, found, _ = (b"\r\n" + octets).partition(b"\r\n.\r\n")
        assert found
        assert whole[0] == (head + b"\r\n").replace(b"\r\n.", b"\r\n")[2:]


def _imap_command(octets: bytes) -> None:
    """Cut into commands, in any pieces; and each of them read."""

    def cut(chunks: list[bytes]) -> list[object]:
        lexer = Lexer()
        found: list[object] = []
        for chunk in chunks:
            lexer.feed(chunk)
            while (said := lexer.next()) is not None:
                if isinstance(said, LiteralOffered):
                    (lexer.accept if said.size < 500 else lexer.refuse)()
                    continue
                found.append(said)
                if isinstance(said, Overlong):
                    return found
        return found

    whole = cut([octets])
    assert whole == cut(pieces(octets, octets[:3]))
    for said in whole:
        if isinstance(said, Whole):
            commands.tag_of(said.pieces[0])
            commands.is_append(said.pieces[0])
            with suppress(BadCommand, commands.BadCharset):
                commands.read(said.pieces)


def _names(octets: bytes) -> None:
    with suppress(BadCommand, PermanentFailure):
        names.parents(names.checked_name(text(octets)))
    with suppress(BadCommand, PermanentFailure):
        read_flags(bytes(one for one in octets if one < 128).split(b" "))  # as atoms are
    names.matches("*%" * 6 + text(octets), "a/b/" * 20)
    name = names.decode_name(octets)
    assert names.decode_name(names.encode_name(name)) == name
    names.matches(text(octets[:40]), name)


def _session(octets: bytes) -> None:
    """A client who has logged in, and a mailbox of three."""
    session = Session()
    request = session.receive(b"a LOGIN anna secret\r\nb SELECT INBOX\r\n")
    asked = 0
    for chunk in ["", *pieces(octets, b"\xff")]:
        if chunk:
            request = session.receive(chunk)  # type: ignore[arg-type]
        while request is not None and asked < REQUESTS_MAX:
            asked += 1
            session.take_output()
            request = session.answer(_answer(request))
        if asked >= REQUESTS_MAX or session.closing:
            break
    while session.take_output():
        pass


def _pop3(octets: bytes) -> None:
    """The same is said, and removed, in any pieces; and a letter of these octets stays whole."""
    one, other = World(), World()
    login = b"USER anna\r\nPASS se cret\r\n"
    for begin in (b"", login):
        said = talk([begin + octets], one)
        assert said == talk([begin, *pieces(octets, octets[:3])], other)
        assert one.removed == other.removed
    letter = talk([login + b"RETR 1\r\nTOP 1 1\r\nQUIT\r\n"], World({1: octets}, piece_bytes=5))
    read_by_lf = [line.removesuffix(b"\r") for line in letter.split(b"\n")]
    assert read_by_lf.count(b".") == 2
    assert letter.endswith(b"\r\n.\r\n+OK Goodbye.\r\n")


def _answer(request: e.Request) -> e.Answer:
    match request:
        case e.CheckPassword():
            return e.PasswordChecked(True)
        case e.OpenMailbox():
            uids = array("I", [1, 5, 9])
            return e.Opened(1, 7, 10, 3, 9, uids, bytearray(3), {5: "$Important"})
        case e.ListMailboxes():
            return e.Listing(())
        case e.AskStatus():
            return e.StatusInfo(3, 0, 3, 10, 7)
        case e.LoadRows():
            return e.Rows((), len(request.uids))
        case e.ChangeFlags():
            return e.FlagsChanged(())
        case e.AppendLetter():
            return e.Appended(7, 11)
        case e.CopyMessages():
            return e.Copied(7, (), ())
        case e.LookForChanges():
            return e.Changes(3, 9, (), ())
        case e.MakeRoom():
            return e.Done()
        case _:
            return e.Failed("It is not there.", "NONEXISTENT")


def _lines(*said: str) -> Callable[[], list[bytes]]:
    return lambda: [one.encode() for one in said]


_COMMANDS = _lines(
    "a1 FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (FROM TO)]<0.100>)\r\n",
    "a2 UID SEARCH CHARSET UTF-8 OR NOT SUBJECT x (SINCE 1-Feb-2026 UID 1:9)\r\n",
    'a3 APPEND INBOX (\\Seen) "01-Feb-2026 10:00:00 +0100" {5+}\r\nhello\r\n',
    'a4 LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN))\r\n',
    "a5 STORE 1,3:5 +FLAGS.SILENT (\\Deleted $Junk)\r\n",
    "a6 IDLE\r\nDONE\r\na7 LOGOUT\r\n",
    "a8 AUTHENTICATE PLAIN\r\nAGFubmEAc2VjcmV0\r\n",
    'a9 ID ("name" "x")\r\na10 COPY 1 "&AOQ-"\r\na11 UID EXPUNGE 1:5\r\n',
    "b1 STATUS INBOX (MESSAGES UIDNEXT)\r\nb2 RENAME a b\r\nb3 MOVE 1 Trash\r\n",
)

TARGETS = (
    Target(
        "relay",
        _relay,
        ("protocol.relay.Session.receive", "protocol.relay.signed"),
        _relay_seeds,
        bytes_max=2048,
    ),
    Target("mux", _mux, ("protocol.mux.Mux.receive",), _mux_seeds, bytes_max=2048),
    Target(
        "smtp",
        _smtp,
        (
            "protocol.smtp.read_mail",
            "protocol.smtp.read_rcpt",
            "message.notify.read_notify",
            "message.notify.read_envelope_id",
            "message.notify.read_return_full",
            "message.notify.decode_original",
            "message.notify.decode_xtext",
        ),
        _lines(
            "FROM:<anna@example.org> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=a+20b SMTPUTF8",
            'TO:<"a b"@example.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+40b',
            "NEVER",
            "rfc822;bora+2Bx@example.org",
        ),
        bytes_max=1024,
    ),
    Target(
        "data",
        _data,
        ("protocol.smtp.LetterReader.feed",),
        _lines("a\r\n..b\r\n.\r\nQUIT\r\n", ".\r\n", "\r\n.\n\r\n.\r\n"),
        bytes_max=2048,
    ),
    Target(
        "imap_command",
        _imap_command,
        (
            "protocol.imap.lexer.Lexer.feed",
            "protocol.imap.commands.read",
            "protocol.imap.commands.tag_of",
            "protocol.imap.commands.is_append",
        ),
        _COMMANDS,
        bytes_max=2048,
    ),
    Target(
        "imap_session",
        _session,
        ("protocol.imap.session.Session.receive",),
        _COMMANDS,
        bytes_max=2048,
    ),
    Target(
        "pop3",
        _pop3,
        (
            "protocol.pop3.Session.receive",
            "protocol.pop3.Stuffing.feed",
            "protocol.pop3._Top.feed",
            "protocol.sasl.read_plain",
        ),
        _lines(
            "USER anna\r\nPASS se cret\r\nSTAT\r\nUIDL\r\nRETR 1\r\nDELE 2\r\nLIST\r\nQUIT",
            "AUTH PLAIN AGFubmEAc2UgY3JldA==\r\nTOP 1 1\r\nDELE 1\r\nRSET\r\nRETR 3",
            "CAPA\r\nUTF8\r\nAUTH PLAIN\r\nAGFubmEAc2UgY3JldA==\r\nLIST 2\r\nUIDL 3",
            "A: 1\r\n\r\n.\r\n\n.\n..\r\n",
        ),
        bytes_max=2048,
    ),
    Target(
        "imap_names",
        _names,
        (
            "protocol.imap.names.decode_name",
            "protocol.imap.names.checked_name",
            "protocol.imap.names.matches",
            "protocol.imap.flags.read_flags",
        ),
        _lines("INBOX", "&AOQ-rger/b", "a/b/c", "\\Seen $Junk x"),
        (BadCommand, PermanentFailure),
        bytes_max=512,
    ),
)
