"""The door through which the owner's mail program hands over letters: SMTP submission.

Purpose: take a letter in, check it, give it to the outbox, and answer 250 when it is durable.
Invariants: only the owner's own processes are greeted, and without the mailbox password they get
no further; 250 is said after `Outbox.accept` returned and never otherwise; a command that fails,
for whatever reason, is answered in words and leaves the door open.

aiosmtpd keeps the conversation: command lines, timeouts, replies, the exchange of AUTH. The
commands are ours, because it knows neither DSN nor enhanced status codes and reads DATA a line at
a time. It has no say in the log: at INFO it would write addresses. Longer than most modules,
because one conversation is one class of aiosmtpd's; what can be told without it is in
`protocol/smtp.py` and `message/submitted.py`.
See: RFC 5321, 6409, 4954, 3461, 2034, 2920, 6531.
"""

import asyncio
import logging
import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from socket import socket
from typing import Protocol

from aiosmtpd import smtp

from postroad.base import limits
from postroad.base.bell import Bell
from postroad.base.errors import PermanentFailure
from postroad.base.seams import Arrivals, Clock, Entropy, PeerUid
from postroad.message import submitted
from postroad.message.envelope import Notify, Recipient, Submission
from postroad.protocol.smtp import (
    FAILED_HERE,
    LetterReader,
    Mail,
    Refused,
    Reply,
    answer,
    read_mail,
    read_rcpt,
    written,
)
from postroad.timeouts import timeout

log = logging.getLogger(__name__)

HOST = "localhost"  # no other name would tell a loopback client more
COMMAND_BYTES_MAX = 2048  # RFC 5321's 512, with room for what RFC 3461 adds
AUTH_BYTES_MAX = 12 * limits.KIB  # RFC 4954 section 4
BUFFER_BYTES = 64 * limits.KIB  # the transport pauses at twice this
READ_BYTES = 64 * limits.MIB  # more than the reader ever holds: "all that there is"
SMALL_LETTER_BYTES = limits.MIB
LARGE_LETTERS_MAX = 2  # in memory at once; the next one waits on the wire
LAST_WORD_SECONDS = 10
STOP_SECONDS = 1.0  # for the letter that is being written down when the node stops
CUSTODY_SECONDS = 600  # RFC 5321 section 4.5.3.2.6: so long the client waits for our 250
SILENCE = ""  # in place of a reply: aiosmtpd pushes whatever `handle_exception` returns
ACCEPT_PAUSE_SECONDS = 0.5  # when there is no descriptor for another connection
CAPABILITIES = (
    f"SIZE {limits.LETTER_BYTES_MAX}",
    "8BITMIME",
    "SMTPUTF8",
    "PIPELINING",
    "ENHANCEDSTATUSCODES",
    "DSN",
    "AUTH PLAIN LOGIN",
)
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?: |$)")
_ENHANCED_FOR = {  # for the replies that aiosmtpd makes by itself
    "250": "2.0.0", "221": "2.0.0", "500": "5.5.2", "501": "5.5.4", "502": "5.5.1", "503": "5.5.1",
}  # fmt: skip


class Outbox(Protocol):
    """Where letters go. What it raises is told to the client in the words of the exception."""

    async def check_recipient(self, address: str) -> str:
        """The address in its normal form, when a letter to it may be accepted."""

    async def accept(self, submission: Submission) -> str:
        """Take custody: durable when it returns the id by which the owner can ask for it."""


class Credentials(Protocol):
    def check(self, user: str, password: bytes) -> bool:
        """Whether this is the owner's mailbox name and password."""

    @property
    def changed(self) -> Bell:
        """Rings when what was right before is not any more: whoever came in with it has to go."""


class _Answered(Exception):
    """The command has failed and was answered already."""


@dataclass(frozen=True, slots=True)
class _House:
    """What every connection needs."""

    outbox: Outbox
    credentials: Credentials
    own_addresses: Collection[str]
    clock: Clock
    entropy: Entropy
    large_letters: asyncio.Semaphore


async def serve(
    sockets: Sequence[socket],
    outbox: Outbox,
    credentials: Credentials,
    arrivals: Arrivals,
    peer_uid: PeerUid,
    own_addresses: Collection[str],
    clock: Clock,
    entropy: Entropy,
) -> None:
    """Serve on these listening sockets until cancelled; then close them and every connection.

    `own_addresses` is looked into for each letter, so it may change meanwhile."""
    logging.getLogger("mail.log").setLevel(logging.ERROR)
    permits = asyncio.Semaphore(LARGE_LETTERS_MAX)
    house = _House(outbox, credentials, own_addresses, clock, entropy, permits)
    door = _Door(house, arrivals, peer_uid)
    try:
        async with asyncio.TaskGroup() as tasks:
            for listening in sockets:
                listening.setblocking(False)
                tasks.create_task(door.listen(listening, tasks), name="submission door")
    finally:
        for listening in sockets:
            listening.close()


class _Door:
    """Accepts connections, and waits for the end of each."""

    def __init__(self, house: _House, arrivals: Arrivals, peer_uid: PeerUid) -> None:
        self._house = house
        self._arrivals = arrivals
        self._peer_uid = peer_uid
        self._connections = 0

    async def listen(self, listening: socket, tasks: asyncio.TaskGroup) -> None:
        while True:
            try:
                client, address = await self._arrivals(listening)
            except OSError as error:  # no descriptor, no memory, or gone again: the others go on
                log.warning("a connection was not accepted: %s", error.strerror)
                await asyncio.sleep(ACCEPT_PAUSE_SECONDS)
                continue
            if self._peer_uid.is_owner(address, client.getsockname()):
                tasks.create_task(self._attend(client), name="submission connection")
            else:
                log.warning("closed a connection that is not the owner's")
                client.close()

    async def _attend(self, client: socket) -> None:
        """One connection from greeting to end; its errors stop on this doorstep."""
        full = self._connections >= limits.DOOR_CONNECTIONS_MAX
        self._connections += 1
        try:
            _, conversation = await asyncio.get_running_loop().connect_accepted_socket(
                lambda: _Conversation(self._house, full=full), client
            )
            await conversation.ended()
        except Exception:
            log.exception("a connection ended in an error")
            client.close()
        finally:
            self._connections -= 1


class _Envelope(smtp.Envelope):
    """One letter's envelope while the client speaks it."""

    def __init__(self) -> None:
        super().__init__()
        self.mail: Mail | None = None
        self.recipients: dict[str, Recipient] = {}


class _Conversation(smtp.SMTP):
    """One connection. Each `smtp_…` method obeys a command, or raises what `_answer` translates."""

    line_length_limit = BUFFER_BYTES
    command_size_limit = COMMAND_BYTES_MAX

    def __init__(self, house: _House, *, full: bool) -> None:
        # aiosmtpd keeps these in the class, where one connection would change them for all.
        self.command_size_limits = defaultdict(lambda: COMMAND_BYTES_MAX)
        super().__init__(
            None,
            data_size_limit=limits.LETTER_BYTES_MAX,
            enable_SMTPUTF8=True,
            hostname=HOST,
            ident="ESMTP Postroad",
            timeout=limits.SMTP_IDLE_SECONDS,
            auth_require_tls=False,  # loopback; our own commands ask for AUTH
            loop=asyncio.get_running_loop(),
        )
        self.command_size_limits["AUTH"] = AUTH_BYTES_MAX
        self._house = house
        self._full = full
        self._authenticated = False
        self._login_failures = 0
        self._unwelcome = False  # the password that it came in with was changed
        self._at_rest = asyncio.Event()  # no letter is being written down
        self._at_rest.set()

    async def ended(self) -> None:
        """Wait for the end of the conversation; when cancelled, say so and end it."""
        conversation = self._handler_coroutine
        assert conversation is not None
        try:
            with self._house.credentials.changed.heard_by(self._password_changed):
                await asyncio.wait([conversation])
        except asyncio.CancelledError:
            # A letter that is being written down is answered first: whoever hears 421 instead
            # sends it again, and its recipient would have it twice.
            with suppress(TimeoutError):
                async with timeout(STOP_SECONDS):
                    await self._at_rest.wait()
            self._say_goodbye("4.3.2 Postroad is stopping; try again in a minute.")
            await asyncio.wait([conversation])
            raise
        await self._hung_up()
        error = None if conversation.cancelled() else conversation.exception()
        if error is not None and not isinstance(error, ConnectionError):
            raise error

    async def _hung_up(self) -> None:
        """Give the last reply some time to be read."""
        if self.transport is None:
            return
        assert isinstance(self.transport, asyncio.Transport)
        transport = self.transport
        transport.close()
        try:
            async with timeout(LAST_WORD_SECONDS):
                await self._writer.wait_closed()
        except (TimeoutError, ConnectionError):
            transport.abort()

    def _password_changed(self) -> None:
        self._unwelcome = self._authenticated
        if self._unwelcome and self._at_rest.is_set():
            self._show_out()

    def _show_out(self) -> None:
        self._say_goodbye("4.7.0 The mailbox password was changed: log in with the new one.")

    # What aiosmtpd calls --------------------------------------------------------------------------

    def _create_envelope(self) -> smtp.Envelope:
        return _Envelope()

    async def _handle_client(self) -> None:
        if self._full:
            self._say_goodbye("4.3.2 Too many connections; close one, then try again.")
            return
        await super()._handle_client()

    def eof_received(self) -> bool:
        # aiosmtpd would stop at once; what came before the end of input is still obeyed.
        asyncio.StreamReaderProtocol.eof_received(self)
        return True

    def _timeout_cb(self) -> None:
        self._say_goodbye("4.4.2 Nothing was heard for too long; closing.")

    async def push(self, status: str | bytes) -> None:
        """Send a reply, with an enhanced status where aiosmtpd's own has none."""
        text = status.decode() if isinstance(status, bytes) else status
        if text == SILENCE:  # after the end of input: let the cancellation come through
            await asyncio.sleep(0)
            return
        code, rest = text[:3], text[4:]
        if code in _ENHANCED_FOR and not text.startswith("250-") and not _ENHANCED.match(rest):
            text = f"{code} {_ENHANCED_FOR[code]} {rest}"
        await super().push(text)

    async def handle_exception(self, error: Exception) -> str:
        """The reply to a command that raised."""
        if isinstance(error, asyncio.IncompleteReadError | ConnectionError):  # the client has gone
            self._close()
            return SILENCE
        if isinstance(error, _Answered):
            return SILENCE
        reply = answer(error)
        if reply is None:
            log.error("a command failed", exc_info=error)
            reply = FAILED_HERE
        return self._in_words(reply)

    # Commands -------------------------------------------------------------------------------------

    async def smtp_HELO(self, hostname: str) -> None:
        self._greeted(hostname, extended=False)
        await super().push(f"250 {HOST}")

    async def smtp_EHLO(self, hostname: str) -> None:
        self._greeted(hostname, extended=True)
        lines = (HOST, *CAPABILITIES)
        joined = "\r\n".join(f"250-{line}" for line in lines[:-1])
        await super().push(f"{joined}\r\n250 {lines[-1]}")

    async def smtp_AUTH(self, arg: str | None) -> None:
        mechanism, _, initial = (arg or "").partition(" ")
        self._expect_greeting()
        if self._authenticated or self._begun().mail is not None:
            raise Refused(503, "5.5.1", "Not now: log in once, before MAIL FROM.")
        match mechanism.upper():
            case "PLAIN":
                given = (await self._credential(initial, "")).split(b"\0")
                if len(given) != 3:
                    raise Refused(501, "5.5.2", "AUTH PLAIN needs NUL, user, NUL, password.")
                acting, user, password = given
                allowed = acting in (b"", user)
            case "LOGIN":
                user = await self._credential(initial, "Username:")
                password = await self._credential("", "Password:")
                allowed = True
            case _:
                raise Refused(504, "5.5.4", "Use AUTH PLAIN or AUTH LOGIN.")
        if allowed and self._house.credentials.check(user.decode("utf-8", "replace"), password):
            self._authenticated = True
            await self._reply(235, "2.7.0", "Welcome.")
            return
        await self._wrong_password()

    async def smtp_MAIL(self, arg: str | None) -> None:
        self._expect_login()
        if self._begun().mail is not None:
            raise Refused(503, "5.5.1", "A letter has begun already; RSET drops it.")
        mail = read_mail(arg or "")
        # The null path is for what wants no answer, like the read receipts of a mail program
        # (RFC 8098 section 3); whose letter it is, its From says.
        if mail.address and not submitted.is_own(mail.address, self._house.own_addresses):
            raise Refused(553, "5.7.1", f"You are not {mail.address}: write as yourself.")
        self._begun().mail = mail
        await self._reply(250, "2.1.0", "Sender accepted.")

    async def smtp_RCPT(self, arg: str | None) -> None:
        self._expect_login()
        mail = self._expect_mail()
        rcpt = read_rcpt(arg or "", utf8=mail.utf8)
        recipients = self._begun().recipients
        if len(recipients) >= limits.RECIPIENTS_MAX:
            raise Refused(452, "4.5.3", f"A letter has at most {limits.RECIPIENTS_MAX} recipients.")
        try:
            address = await self._house.outbox.check_recipient(rcpt.address)
        except PermanentFailure as error:
            raise Refused(550, "5.1.1", str(error)) from error
        notify = rcpt.notify if mail.address else Notify.NEVER
        recipients.setdefault(address, Recipient(address, notify, rcpt.original))
        await self._reply(250, "2.1.5", "Recipient accepted.")

    async def smtp_DATA(self, arg: str | None) -> None:
        self._expect_login()
        mail = self._expect_mail()
        recipients = tuple(self._begun().recipients.values())
        if arg:
            raise Refused(501, "5.5.4", "DATA takes nothing after it.")
        if not recipients:
            raise Refused(554, "5.5.1", "No recipient was accepted, so there is nobody to send to.")
        await self.push("354 Go ahead; end with a dot alone on a line.")
        self.envelope = _Envelope()
        async with AsyncExitStack() as held:
            letter = (await self._read_letter(held)).letter()
            house = self._house
            octets = submitted.prepare(
                letter,
                house.own_addresses,
                now=house.clock.now(),
                token=house.entropy.token(submitted.TOKEN_BYTES),
            )
            del letter
            self._reset_timeout(CUSTODY_SECONDS)
            self._at_rest.clear()
            try:
                letter_id = await house.outbox.accept(
                    Submission(recipients, octets, mail.envelope_id, mail.return_full)
                )
                # Only now: the client forgets the letter when it reads this.
                await self._reply(250, "2.0.0", f"queued as {letter_id}")
            finally:
                self._at_rest.set()
                if self._unwelcome:
                    self._show_out()

    async def smtp_VRFY(self, arg: str | None) -> None:
        await self._reply(252, "2.5.0", "Nobody is named here; RCPT TO says whom letters reach.")

    async def smtp_EXPN(self, arg: str | None) -> None:
        raise Refused(502, "5.5.1", "There are no lists here.")

    async def smtp_HELP(self, arg: str | None) -> None:
        await self._reply(214, "2.0.0", "See RFC 6409, or type: postroad --help")

    async def smtp_STARTTLS(self, arg: str | None) -> None:
        raise Refused(
            502,
            "5.5.1",
            "No STARTTLS here: choose no encryption; this connection never leaves your computer.",
        )

    async def smtp_POST(self, arg: str | None) -> None:
        """A web page that makes the owner's browser talk to us gets no second line."""
        log.warning("closed a connection that speaks HTTP")
        self._say_goodbye("4.7.0 This is SMTP.")
        await asyncio.sleep(0)  # the cancellation comes through here

    smtp_GET = smtp_HEAD = smtp_PUT = smtp_OPTIONS = smtp_CONNECT = smtp_POST

    # Their parts ----------------------------------------------------------------------------------

    def _begun(self) -> _Envelope:  # no property: aiosmtpd looks at all of them too early
        assert isinstance(self.envelope, _Envelope)
        return self.envelope

    def _greeted(self, hostname: str | None, *, extended: bool) -> None:
        if not hostname:
            raise Refused(501, "5.5.4", "Say who you are: EHLO localhost")
        assert self.session is not None
        self.envelope = _Envelope()
        self.session.host_name = hostname
        self.session.extended_smtp = extended

    def _expect_greeting(self) -> None:
        assert self.session is not None
        if not self.session.extended_smtp:
            raise Refused(503, "5.5.1", "Say EHLO first.")

    def _expect_login(self) -> None:
        if not self._authenticated:
            self._expect_greeting()
            raise Refused(530, "5.7.0", "Log in first, with the mailbox password.")

    def _expect_mail(self) -> Mail:
        mail = self._begun().mail
        if mail is None:
            raise Refused(503, "5.5.1", "Say MAIL FROM first.")
        return mail

    async def _credential(self, initial: str, challenge: str) -> bytes:
        """What the client sends with the command, or when it is asked."""
        if not initial:
            answer = await self.challenge_auth(challenge)
            if not isinstance(answer, bytes):  # it gave up, and was answered
                raise _Answered
            return answer
        try:
            return b"" if initial == "=" else b64decode(initial, validate=True)
        except (NotBase64, ValueError) as error:
            raise Refused(501, "5.5.2", "That is not base64.") from error

    async def _wrong_password(self) -> None:
        self._login_failures += 1
        log.warning("a wrong mailbox password", extra={"times": self._login_failures})
        await asyncio.sleep(limits.LOGIN_FAILURE_SECONDS)
        if self._login_failures >= limits.LOGIN_FAILURES_MAX:
            self._say_goodbye("4.7.0 Too many wrong passwords; try again later.")
            await asyncio.sleep(0)
        raise Refused(535, "5.7.8", "The mailbox name or password is wrong.")

    async def _read_letter(self, held: AsyncExitStack) -> LetterReader:
        """All of DATA, however wrong it is, so that the next command is taken for a command."""
        reader = LetterReader()
        large = False
        while True:
            chunk = await self._reader.read(READ_BYTES)
            if not chunk:
                raise asyncio.IncompleteReadError(b"", None)
            self._reset_timeout()
            rest = reader.feed(chunk)
            if rest is not None:
                self._put_back(rest)
                return reader
            if reader.hopeless:
                self._say_goodbye("5.3.4 The letter is far too large.", code=552)
                await asyncio.sleep(0)
            if not large and reader.size > SMALL_LETTER_BYTES:
                # One permit at most for each connection, so nobody waits for one who waits.
                await held.enter_async_context(self._house.large_letters)
                large = True

    def _put_back(self, rest: bytes) -> None:
        """Commands that were sent along with the end of the letter (RFC 2920)."""
        if self._reader.at_eof():
            self._reader = asyncio.StreamReader(limit=BUFFER_BYTES, loop=self.loop)
            self._reader.feed_data(rest)
            self._reader.feed_eof()
        elif rest:
            self._reader.feed_data(rest)  # its buffer is empty: `read` took all there was

    async def _reply(self, code: int, enhanced: str, text: str) -> None:
        await self.push(self._in_words(Reply(code, enhanced, text)))

    def _in_words(self, reply: Reply) -> str:
        mail = self._begun().mail
        return written(reply, utf8=mail is not None and mail.utf8)

    def _say_goodbye(self, text: str, *, code: int = 421) -> None:
        """A last word, and the end; what the client sent meanwhile is not obeyed."""
        if self.transport is not None:
            assert isinstance(self.transport, asyncio.Transport)
            self.transport.write(f"{code} {text}\r\n".encode())
        self._close()

    def _close(self) -> None:
        assert self._handler_coroutine is not None
        self._handler_coroutine.cancel()
        if self.transport is not None:
            self.transport.close()
