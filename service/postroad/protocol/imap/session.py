"""One client's conversation, as a state machine that touches nothing.

Purpose: `receive` bytes, and get back what the door must do next (at most one request at a time);
`answer` it; `take_output` in bounded pieces. Each command is a generator that yields requests and
is resumed with their answers, so that its story reads from top to bottom.
Streaming: a long FETCH asks for a bounded batch of rows, gives their responses to the output, and
asks for the next batch only when the door answers; the door answers when the client has taken what
was sent. So no more than a batch, or one letter, is ever in memory.
Invariants: commands are done in their order; EXPUNGE responses are sent only where sequence numbers
may change (RFC 9051 section 7.5.1); nothing is said to be done before the door said that it is.
Longer than 400 lines because it holds one short story for each command.
See: RFC 3501 and RFC 9051, and the RFCs named in commands.py.
"""

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from typing import TypeVar, assert_never

from postroad.base import limits
from postroad.base.errors import PermanentFailure
from postroad.protocol.imap import commands as c
from postroad.protocol.imap import events as e
from postroad.protocol.imap.arguments import BadCommand, Ranges
from postroad.protocol.imap.flags import STORED_FLAGS, read_flags, write_flags
from postroad.protocol.imap.lexer import Dropped, Lexer, LiteralOffered, Overlong, Whole
from postroad.protocol.imap.responses import (
    AFTER_LOGIN,
    BEFORE_LOGIN,
    columns,
    fetched,
    listing,
    mailbox_name,
    needs_rows,
    plan,
    printable,
    uid_set,
)
from postroad.protocol.imap.search import Candidate, evaluate, levels
from postroad.protocol.imap.view import View
from postroad.protocol.sasl import read_plain

ROWS_MAX = 256  # messages in one batch with rows
LINES_MAX = 2000  # messages in one batch without
MATCHES_MAX = 5000  # messages looked at by one step of a search
OUTPUT_BYTES_MAX = 128 * limits.KIB  # waiting for the client before a long answer pauses
A = TypeVar("A", bound=e.Answer)
Steps = Generator[e.Request, e.Answer, None]


class _Refused(Exception):
    """The door could not do it: the command ends with NO."""

    def __init__(self, failed: e.Failed) -> None:
        super().__init__(failed.sentence)
        self.failed = failed


class _MailboxGone(Exception):
    pass


class Session:
    def __init__(self) -> None:
        self._lexer = Lexer()
        self._output: deque[bytes | memoryview] = deque()
        self._output_size = 0
        self._running: Steps | None = None
        self._tag = b"*"
        self._line: bytes | None = None
        self._line_wanted = False  # a command waits for one raw line: DONE, or a SASL answer
        self._logged_in = False
        self._view: View | None = None
        self._read_only = False
        self._stale = False  # the mailbox may have changed since the view was brought up to date
        self._idling = False
        self.closing = False
        self.last_word = ""  # said in place of the next command: the client has to go
        self._say(b"* OK [CAPABILITY %b] Postroad is ready.\r\n" % b" ".join(BEFORE_LOGIN))

    # For the door ---------------------------------------------------------------------------------

    def receive(self, octets: bytes) -> e.Request | None:
        """Take bytes from the client; the next request to act on, if any."""
        self._lexer.feed(octets)
        return self._advance()

    def answer(self, answer: e.Answer) -> e.Request | None:
        """What became of the request; the next one, if any."""
        request = self._resume(answer)
        return self._advance() if request is None else request

    def news(self) -> e.Request | None:
        """The watched mailbox changed. An idling client is told now, others when they ask next."""
        self._stale = self._view is not None
        return self._advance()

    def take_output(self, size: int = 64 * limits.KIB) -> bytes:
        """Up to about `size` octets for the client; empty when there is nothing to send."""
        pieces: list[bytes | memoryview] = []
        taken = 0
        while self._output and taken < size:
            piece = self._output.popleft()
            if taken + len(piece) > size and len(piece) > 4096:
                rest = memoryview(piece)[size - taken :]
                piece = memoryview(piece)[: size - taken]
                self._output.appendleft(rest)
            pieces.append(piece)
            taken += len(piece)
        self._output_size -= taken
        return b"".join(pieces)

    @property
    def watching(self) -> int | None:
        """The id of the selected mailbox."""
        return None if self._view is None else self._view.mailbox_id

    @property
    def logged_in(self) -> bool:
        return self._logged_in

    def bye(self, sentence: str) -> None:
        """Say goodbye; the door closes when the output is sent."""
        if not self.closing:
            self._say(b"* BYE " + printable(sentence) + b"\r\n")
            self.closing = True

    # Running commands -----------------------------------------------------------------------------

    def _say(self, *pieces: bytes | memoryview) -> None:
        for piece in pieces:
            self._output.append(piece)
            self._output_size += len(piece)

    def _advance(self) -> e.Request | None:
        """Go on as far as the input reaches; a loop, since a client may send many at once."""
        while not self.closing:
            if self._running is None:
                if self.last_word:
                    self.bye(self.last_word)
                    return None
                found = self._lexer.next()
                if found is None:
                    return None
                request = self._begin(found)
            elif self._line_wanted and self._line_came():
                request = self._resume(e.Done())
            else:
                return None
            if request is not None:
                return request
        return None

    def _begin(self, found: Whole | Dropped | LiteralOffered | Overlong) -> e.Request | None:
        match found:
            case Overlong():
                self._say(b"* BAD That line is too long.\r\n")
                self.bye("The next command cannot be found.")
            case LiteralOffered():
                self._consider(found)
            case Dropped(text):
                self._say(c.tag_of(text) + b" NO [TOOBIG] That is too large.\r\n")
            case Whole(pieces):
                self._tag = c.tag_of(pieces[0])
                self._running = self._command(pieces)
                return self._resume(None)
            case _:
                assert_never(found)
        return None

    def _line_came(self) -> bool:
        """Whether the line that a command waits for is there, or news for an idling client."""
        if self._idling and self._stale:
            self._line = None
            return True
        self._line = self._lexer.next_line()
        if self._line is None and self._lexer.waiting_bytes > limits.IMAP_LINE_BYTES_MAX:
            self.bye("That line is too long.")
        return self._line is not None

    def _consider(self, offered: LiteralOffered) -> None:
        if not self._logged_in:
            most = limits.IMAP_LITERAL_BYTES_BEFORE_LOGIN_MAX - offered.held
        elif c.is_append(offered.text):
            most = limits.LETTER_BYTES_MAX
        else:
            most = limits.IMAP_LINE_BYTES_MAX - offered.held
        fits = offered.size <= most and offered.held <= limits.IMAP_LINE_BYTES_MAX
        if fits:
            self._lexer.accept()
            if offered.waits:
                self._say(b"+ Go on.\r\n")
            return
        if offered.waits:
            self._say(c.tag_of(offered.text) + b" NO [TOOBIG] That is too large.\r\n")
        elif offered.size > 2 * limits.LETTER_BYTES_MAX:
            self.bye("That is far too large.")
        self._lexer.refuse()

    def _resume(self, answer: e.Answer | None) -> e.Request | None:
        """Let the running command go on (None: begin it); its next request, if it has one now."""
        assert self._running is not None
        try:
            if answer is None:
                request = next(self._running)
            elif isinstance(answer, e.Failed):
                request = self._running.throw(_Refused(answer))
            elif isinstance(answer, e.Gone):
                request = self._running.throw(_MailboxGone())
            else:
                request = self._running.send(answer)
        except StopIteration:
            self._running = None
            return None
        return None if self._line_wanted else request

    def _wait_for_line(self) -> Steps:
        """Stop until the client's next line, or news while idling; found in `_line`."""
        self._line_wanted = True
        yield e.MakeRoom()  # seen by nobody: `_resume` keeps it back
        self._line_wanted = False

    def _command(self, pieces: tuple[bytes, ...]) -> Steps:
        """One command from reading it to its tagged response."""
        said: bytes
        try:
            command = c.read(pieces)
            said = yield from self._do(command)
        except BadCommand as error:
            said = b"BAD " + printable(str(error))
        except c.BadCharset:
            said = b"NO [BADCHARSET (US-ASCII UTF-8)] Nobody knows that character set."
        except PermanentFailure as error:
            said = b"NO [CANNOT] " + printable(str(error))
        except _Refused as error:
            code = b"[%b] " % error.failed.code.encode() if error.failed.code else b""
            said = b"NO " + code + printable(error.failed.sentence)
        except _MailboxGone:
            self.bye("The mailbox was deleted.")
            return
        self._line_wanted = self._idling = False
        self._say(b"%b %b\r\n" % (self._tag, said))

    def _do(self, command: c.Command) -> Generator[e.Request, e.Answer, bytes]:
        """Do it; the tagged response without its tag."""
        name = type(command).__name__.upper()
        match command:
            case c.Capability():
                self._say(b"* CAPABILITY %b\r\n" % b" ".join(self._capabilities()))
            case c.Identify():
                self._say(b'* ID ("name" "Postroad")\r\n')
            case c.Noop():
                name = command.name
            case c.Logout():
                self.bye("Goodbye.")
                return b"OK LOGOUT completed."
            case c.Login(user, password):
                self._only_before_login()
                return (yield from self._log_in(user, password))
            case c.Authenticate():
                self._only_before_login()
                return (yield from self._authenticate(command))
            case _:
                if not self._logged_in:
                    raise BadCommand("Log in first.")
                return (yield from self._do_logged_in(command))
        yield from self._bring_up_to_date(expunges=True)
        return b"OK %b completed." % name.encode()

    def _do_logged_in(self, command: c.Command) -> Generator[e.Request, e.Answer, bytes]:
        name = type(command).__name__.upper()
        match command:
            case c.Namespace():
                self._say(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
            case c.Select():
                return (yield from self._select(command))
            case c.Create(mailbox):
                yield e.CreateMailbox(mailbox)
            case c.Delete(mailbox):
                yield e.DeleteMailbox(mailbox)
            case c.Rename(mailbox, new_name):
                yield e.RenameMailbox(mailbox, new_name)
            case c.Subscribe(mailbox, subscribed):
                name = "SUBSCRIBE" if subscribed else "UNSUBSCRIBE"
                yield e.SubscribeMailbox(mailbox, subscribed)
            case c.List():
                name = "LSUB" if command.subscribed_only else "LIST"
                yield from self._list(command)
            case c.Status():
                yield from self._status(command)
            case c.Append():
                return (yield from self._append(command))
            case c.Idle():
                yield from self._idle()
            case c.Close() | c.Expunge() | c.Search() | c.Fetch() | c.Store() | c.Copy():
                if self._view is None:
                    raise BadCommand("Select a mailbox first.")
                return (yield from self._do_selected(command, self._view))
            case _:
                raise AssertionError(command)
        yield from self._bring_up_to_date(expunges=True)
        return b"OK %b completed." % name.encode()

    def _do_selected(
        self,
        command: c.Close | c.Expunge | c.Search | c.Fetch | c.Store | c.Copy,
        view: View,
    ) -> Generator[e.Request, e.Answer, bytes]:
        match command:
            case c.Close(expunge):
                if expunge and not self._read_only:
                    yield e.ExpungeMessages(view.mailbox_id, None)
                self._leave()
                return b"OK Closed."
            case c.Expunge(ranges):
                self._only_writable()
                uids = None if ranges is None else self._uids(view, ranges, by_uid=True)
                yield e.ExpungeMessages(view.mailbox_id, uids)
                self._stale = True
                name = b"EXPUNGE"
            case c.Search():
                yield from self._search(command, view)
                name = b"SEARCH"
            case c.Fetch():
                complete = yield from self._fetch(command, view)
                if not complete:
                    yield from self._bring_up_to_date(expunges=command.uids)
                    return b"NO [EXPUNGEISSUED] Some of these messages are gone."
                name = b"FETCH"
            case c.Store():
                self._only_writable()
                yield from self._store(command, view)
                name = b"STORE"
            case c.Copy():
                return (yield from self._copy(command, view))
            case _:
                assert_never(command)
        numbered = isinstance(command, c.Search | c.Fetch | c.Store) and not command.uids
        yield from self._bring_up_to_date(expunges=not numbered)
        return b"OK %b completed." % name

    def _capabilities(self) -> Sequence[bytes]:
        return AFTER_LOGIN if self._logged_in else BEFORE_LOGIN

    def _only_before_login(self) -> None:
        if self._logged_in:
            raise BadCommand("You are logged in already.")

    def _only_writable(self) -> None:
        if self._read_only:
            raise _Refused(e.Failed("The mailbox was opened for reading only.", "CANNOT"))

    def _leave(self) -> None:
        self._view = None
        self._stale = False

    # Logging in -----------------------------------------------------------------------------------

    def _log_in(self, user: str, password: bytes) -> Generator[e.Request, e.Answer, bytes]:
        checked = _expect(e.PasswordChecked, (yield e.CheckPassword(user, password)))
        if not checked.right:
            return b"NO [AUTHENTICATIONFAILED] Wrong user name or password."
        self._logged_in = True
        return b"OK [CAPABILITY %b] Welcome." % b" ".join(self._capabilities())

    def _authenticate(self, command: c.Authenticate) -> Generator[e.Request, e.Answer, bytes]:
        if command.mechanism != "PLAIN":
            return b"NO [CANNOT] Only PLAIN is spoken here."
        coded = command.initial
        if coded is None:
            self._say(b"+ \r\n")
            yield from self._wait_for_line()
            coded = self._line or b""
        if coded == b"*":
            raise BadCommand("Given up.")
        try:
            given = read_plain(coded)
        except ValueError as error:
            raise BadCommand("That is not base64.") from error
        if given is None:
            return b"NO [AUTHENTICATIONFAILED] Wrong user name or password."
        return (yield from self._log_in(*given))

    # Mailboxes ------------------------------------------------------------------------------------

    def _select(self, command: c.Select) -> Generator[e.Request, e.Answer, bytes]:
        self._leave()
        opened = _expect(e.Opened, (yield e.OpenMailbox(command.name, command.read_only)))
        self._view = view = View(opened)
        self._read_only = command.read_only
        flags = write_flags(STORED_FLAGS, "")
        kept = b"" if command.read_only else flags + b" \\*"
        keywords = sorted({word for words in view.keywords.values() for word in words.split()})
        listed = b" ".join([flags, *(word.encode() for word in keywords)])
        self._say(
            b"* FLAGS (%b)\r\n" % listed,
            b"* OK [PERMANENTFLAGS (%b)] These are kept.\r\n" % kept,
            b"* %d EXISTS\r\n* %d RECENT\r\n" % (len(view), view.recent),
        )
        unseen = view.first_unseen()
        if unseen is not None:
            self._say(b"* OK [UNSEEN %d] The first unseen message.\r\n" % unseen)
        self._say(
            b"* OK [UIDVALIDITY %d] UIDs hold.\r\n" % opened.uid_validity,
            b"* OK [UIDNEXT %d] The next UID.\r\n" % opened.uid_next,
        )
        if command.read_only:
            return b"OK [READ-ONLY] EXAMINE completed."
        return b"OK [READ-WRITE] SELECT completed."

    def _list(self, command: c.List) -> Steps:
        if not command.pattern and not command.subscribed_only:
            self._say(b'* LIST (\\Noselect) "/" ""\r\n')
            return
        found = _expect(e.Listing, (yield e.ListMailboxes()))
        self._say(
            *listing(
                found.mailboxes,
                command.reference,
                command.pattern,
                subscribed_only=command.subscribed_only,
            )
        )

    def _status(self, command: c.Status) -> Steps:
        status = _expect(e.StatusInfo, (yield e.AskStatus(command.name)))
        values = {
            "MESSAGES": status.messages,
            "RECENT": status.recent,
            "UIDNEXT": status.uid_next,
            "UIDVALIDITY": status.uid_validity,
            "UNSEEN": status.unseen,
        }
        told = b" ".join(b"%b %d" % (item.encode(), values[item]) for item in command.items)
        self._say(b"* STATUS %b (%b)\r\n" % (mailbox_name(command.name), told))

    def _append(self, command: c.Append) -> Generator[e.Request, e.Answer, bytes]:
        bits, keywords = read_flags(list(command.flags))
        if not command.octets or b"\0" in command.octets:
            raise PermanentFailure("A letter has at least one octet, and no NUL among them.")
        request = e.AppendLetter(command.name, command.octets, bits, keywords, command.date)
        added = _expect(e.Appended, (yield request))
        yield from self._bring_up_to_date(expunges=True)
        return b"OK [APPENDUID %d %d] APPEND completed." % (added.uid_validity, added.uid)

    # News -----------------------------------------------------------------------------------------

    def _bring_up_to_date(self, *, expunges: bool) -> Steps:
        """Tell what changed in the selected mailbox, by us or by others."""
        view = self._view
        if view is None:
            return
        if self._stale:
            self._stale = False
            request = e.LookForChanges(view.mailbox_id, view.modseq, claim=not self._read_only)
            changes = _expect(e.Changes, (yield request))
            changed, arrived = view.take_changes(changes)
            for index in changed:
                self._tell_flags(view, index, with_uid=True)
        else:
            arrived = False
        if expunges:
            for number in view.take_expunged():
                self._say(b"* %d EXPUNGE\r\n" % number)
        if arrived:
            self._say(b"* %d EXISTS\r\n* %d RECENT\r\n" % (len(view), view.recent))

    def _tell_flags(self, view: View, index: int, *, with_uid: bool) -> None:
        items = (c.Item.UID, c.Item.FLAGS) if with_uid else (c.Item.FLAGS,)
        self._say(*fetched(index + 1, plan(items), view.flags_of(index), None))

    def _idle(self) -> Steps:
        self._say(b"+ Idling.\r\n")
        while True:
            yield from self._bring_up_to_date(expunges=True)
            self._idling = True
            yield from self._wait_for_line()
            self._idling = False
            if self._line is not None:
                break
        if self._line.upper() != b"DONE":
            raise BadCommand("Expected DONE.")

    # Messages -------------------------------------------------------------------------------------

    def _uids(self, view: View, ranges: Ranges, *, by_uid: bool) -> list[int]:
        return [view.uids[index] for index in view.chosen(ranges, by_uid=by_uid)]

    def _fetch(self, command: c.Fetch, view: View) -> Generator[e.Request, e.Answer, bool]:
        """Answer batch by batch; whether all messages were there, if they were numbered."""
        wanted = columns(command.items)
        marks = any(isinstance(item, c.SectionItem) and not item.peek for item in command.items)
        marks = marks and not self._read_only
        planned = plan(command.items)
        with_flags = planned
        if c.Item.FLAGS not in command.items:
            with_flags = plan((*command.items, c.Item.FLAGS))
        indexes = view.chosen(command.ranges, by_uid=command.uids)
        if not needs_rows(command.items):
            for batch in _batches(indexes, LINES_MAX):
                for index in batch:
                    self._say(*fetched(index + 1, planned, view.flags_of(index), None))
                yield from self._make_room()
            return True
        complete = True
        at = 0
        while at < len(indexes):
            batch = indexes[at : at + ROWS_MAX]
            uids = [view.uids[index] for index in batch]
            loaded = _expect(e.Rows, (yield e.LoadRows(view.mailbox_id, uids, wanted, marks)))
            assert loaded.taken > 0
            at += loaded.taken
            complete = complete and len(loaded.rows) == loaded.taken
            seen = {flags.uid for flags in loaded.seen if view.take_flags(flags)}
            for row in loaded.rows:
                found = view.index(row.uid)
                assert found is not None  # expunges are told only between commands
                told = with_flags if row.uid in seen else planned
                self._say(*fetched(found + 1, told, view.flags_of(found), row))
            del loaded
            yield from self._make_room()
        return complete or command.uids

    def _make_room(self) -> Steps:
        """Wait for the client when enough is waiting for it."""
        if self._output_size >= OUTPUT_BYTES_MAX:
            yield e.MakeRoom()

    def _store(self, command: c.Store, view: View) -> Steps:
        bits, keywords = read_flags(list(command.flags))
        uids = self._uids(view, command.ranges, by_uid=command.uids)
        if not uids:
            return
        request = e.ChangeFlags(view.mailbox_id, uids, command.mode.value, bits, keywords)
        changed = _expect(e.FlagsChanged, (yield request))
        for flags in changed.flags:
            view.take_flags(flags)
            index = view.index(flags.uid)
            if index is not None and not command.silent:
                self._tell_flags(view, index, with_uid=command.uids)

    def _copy(self, command: c.Copy, view: View) -> Generator[e.Request, e.Answer, bytes]:
        name = b"MOVE" if command.move else b"COPY"
        if command.move:
            self._only_writable()
        uids = self._uids(view, command.ranges, by_uid=command.uids)
        if not uids:
            return b"OK %b: no such messages." % name
        request = e.CopyMessages(view.mailbox_id, uids, command.name, command.move)
        copied = _expect(e.Copied, (yield request))
        code = b"" if not copied.uids else b"[COPYUID %d %b %b] " % (
            copied.uid_validity, uid_set(copied.uids), uid_set(copied.new_uids),
        )  # fmt: skip
        if command.move:  # RFC 6851 section 4.3: before the EXPUNGE responses
            self._say(b"* OK %bMoved.\r\n" % code)
            code = b""
            self._stale = True
        yield from self._bring_up_to_date(expunges=True)
        if len(copied.uids) < len(uids) and not command.uids:
            return b"NO [EXPUNGEISSUED] Some of these messages are gone; the others were copied."
        return b"OK %b%b completed." % (code, name)

    def _search(self, command: c.Search, view: View) -> Steps:
        """First by what the view knows, then with rows, then with whole letters."""
        matching: list[int] = []
        for batch in _batches(range(len(view)), MATCHES_MAX):
            unknown: list[int] = []
            for index in batch:
                found = evaluate(command.key, _candidate(view, index))
                if found is None:
                    unknown.append(index)
                elif found:
                    matching.append(index)
            for level in levels(command.key):
                unknown = yield from self._search_rows(command, view, unknown, level, matching)
            assert not unknown
        told = [index + 1 for index in matching] if not command.uids else [
            view.uids[index] for index in matching
        ]  # fmt: skip
        self._say(b"* SEARCH%b\r\n" % b"".join(b" %d" % number for number in sorted(told)))

    def _search_rows(
        self,
        command: c.Search,
        view: View,
        indexes: list[int],
        level: e.Column,
        matching: list[int],
    ) -> Generator[e.Request, e.Answer, list[int]]:
        """Add what matches to `matching`; what must be asked again with more loaded."""
        unknown: list[int] = []
        at = 0
        most = ROWS_MAX if level else LINES_MAX
        while at < len(indexes):
            uids = [view.uids[index] for index in indexes[at : at + most]]
            loaded = _expect(e.Rows, (yield e.LoadRows(view.mailbox_id, uids, level)))
            at += loaded.taken
            for row in loaded.rows:
                index = view.index(row.uid)
                assert index is not None
                candidate = _candidate(view, index)
                candidate.date, candidate.size = row.date, row.size
                if e.Column.HEADER in level:
                    candidate.header = row.header
                if e.Column.OCTETS in level:
                    candidate.octets = row.octets
                found = evaluate(command.key, candidate)
                if found is None:
                    unknown.append(index)
                elif found:
                    matching.append(index)
        return unknown


def _candidate(view: View, index: int) -> Candidate:
    uid = view.uids[index]
    return Candidate(
        index + 1, uid, len(view), view.uids[-1], view.bits[index], view.keywords.get(uid, "")
    )


def _batches(indexes: Sequence[int], size: int) -> Iterable[Sequence[int]]:
    for at in range(0, len(indexes), size):
        yield indexes[at : at + size]


def _expect(kind: type[A], answer: e.Answer) -> A:
    assert isinstance(answer, kind), answer
    return answer
