"""Commands as values: read once, in full, before anything is done.

Purpose: `read` turns the pieces of one command into one of a closed union of dataclasses.
Longer than 400 lines, because all of that union and what reads it stand together.
See: RFC 3501 section 6 and RFC 9051 section 6; RFC 2177 (IDLE), 2342 (NAMESPACE), 2971 (ID), 3691
(UNSELECT), 4315 (UIDPLUS), 4959 (SASL-IR), 6851 (MOVE).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from postroad.base.ids import Instant
from postroad.message.headers import known_charset
from postroad.protocol.imap.arguments import Arguments, BadCommand, Ranges
from postroad.protocol.imap.search import Key, Reader
from postroad.protocol.imap.sections import Kind, Section, read_section


@dataclass(frozen=True, slots=True)
class Capability:
    pass


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP, and CHECK: what is acknowledged is already durable."""

    name: str


@dataclass(frozen=True, slots=True)
class Logout:
    pass


@dataclass(frozen=True, slots=True)
class Identify:
    pass


@dataclass(frozen=True, slots=True)
class Namespace:
    pass


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Authenticate:
    mechanism: str
    initial: bytes | None = field(repr=False)  # base64 as it came; `=` is an empty answer


@dataclass(frozen=True, slots=True)
class Select:
    name: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Create:
    name: str


@dataclass(frozen=True, slots=True)
class Delete:
    name: str


@dataclass(frozen=True, slots=True)
class Rename:
    name: str
    new_name: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    name: str
    subscribed: bool


@dataclass(frozen=True, slots=True)
class List:
    reference: str
    pattern: str
    subscribed_only: bool  # LSUB


@dataclass(frozen=True, slots=True)
class Status:
    name: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Append:
    name: str
    flags: tuple[bytes, ...]
    date: Instant | None
    octets: bytes


@dataclass(frozen=True, slots=True)
class Idle:
    pass


@dataclass(frozen=True, slots=True)
class Close:
    expunge: bool  # CLOSE; otherwise UNSELECT


@dataclass(frozen=True, slots=True)
class Expunge:
    ranges: Ranges | None  # of UIDs


@dataclass(frozen=True, slots=True)
class Search:
    uids: bool
    key: Key


class Item(Enum):
    """What FETCH can ask for besides sections; the values are the words of the answer."""

    BODY = b"BODY"
    BODY_STRUCTURE = b"BODYSTRUCTURE"
    ENVELOPE = b"ENVELOPE"
    FLAGS = b"FLAGS"
    INTERNAL_DATE = b"INTERNALDATE"
    SIZE = b"RFC822.SIZE"
    UID = b"UID"


@dataclass(frozen=True, slots=True)
class SectionItem:
    label: bytes  # the word of the answer, with its brackets
    section: Section
    peek: bool
    offset: int | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True)
class Fetch:
    uids: bool
    ranges: Ranges
    items: tuple[Item | SectionItem, ...]


class Mode(Enum):
    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


@dataclass(frozen=True, slots=True)
class Store:
    uids: bool
    ranges: Ranges
    mode: Mode
    silent: bool
    flags: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    uids: bool
    ranges: Ranges
    name: str
    move: bool


Command = (
    Capability | Noop | Logout | Identify | Namespace | Login | Authenticate | Select | Create
    | Delete | Rename | Subscribe | List | Status | Append | Idle | Close | Expunge | Search
    | Fetch | Store | Copy
)  # fmt: skip


class BadCharset(Exception):
    """SEARCH in a character set that nobody knows."""


def tag_of(text: bytes) -> bytes:
    """The tag of a command's first line, or `*` when there is no proper one."""
    tag = text.split(b" ", 1)[0]
    proper = 0 < len(tag) <= 64 and all(33 <= octet < 127 for octet in tag)
    return tag if proper and not set(tag) & set(b'(){%*"\\+') else b"*"


def is_append(text: bytes) -> bool:
    return text[:128].upper().split(b" ", 2)[1:2] == [b"APPEND"]


def read(pieces: tuple[bytes, ...]) -> Command:
    """The command behind the tag; raises BadCommand, BadCharset."""
    arguments = Arguments(pieces)
    arguments.skip_tag()
    arguments.space()
    name = arguments.word("a command")
    uids = name == "UID"
    if uids:
        arguments.space()
        name = arguments.word("a command")
    reader = (_WITH_UIDS if uids else _READERS).get(name)
    if reader is None:
        raise BadCommand("There is no such command here.")
    command = reader(arguments, uids)
    arguments.end()
    return command


def _login(arguments: Arguments, _: bool) -> Command:
    arguments.space()
    user = arguments.astring("a user name").decode("utf-8", "replace")
    arguments.space()
    return Login(user, arguments.astring("a password"))


def _authenticate(arguments: Arguments, _: bool) -> Command:
    arguments.space()
    mechanism = arguments.word("a mechanism")
    initial = None
    if arguments.skip(b" "):
        initial = arguments.rest()
    return Authenticate(mechanism, initial)


def _identify(arguments: Arguments, _: bool) -> Command:
    arguments.space()
    if arguments.peek(b"("):
        arguments.listed(arguments.nstring)
    else:
        arguments.nstring()
    return Identify()


def _mailbox(arguments: Arguments) -> str:
    arguments.space()
    return arguments.mailbox()


def _rename(arguments: Arguments, _: bool) -> Command:
    return Rename(_mailbox(arguments), _mailbox(arguments))


def _list(arguments: Arguments, subscribed_only: bool) -> Command:
    reference = _mailbox(arguments)
    arguments.space()
    return List(reference, arguments.list_pattern(), subscribed_only)


def _status(arguments: Arguments, _: bool) -> Command:
    name = _mailbox(arguments)
    arguments.space()
    items = tuple(dict.fromkeys(arguments.listed(arguments.word)))
    known = {"MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN"}
    if not items or not known.issuperset(items):
        raise BadCommand("STATUS knows MESSAGES, RECENT, UIDNEXT, UIDVALIDITY and UNSEEN.")
    return Status(name, items)


def _append(arguments: Arguments, _: bool) -> Command:
    name = _mailbox(arguments)
    arguments.space()
    flags: tuple[bytes, ...] = ()
    date = None
    if arguments.peek(b"("):
        flags = tuple(arguments.listed(arguments.flag))
        arguments.space()
    if arguments.peek(b'"'):
        date = arguments.date_time()
        arguments.space()
    return Append(name, flags, date, arguments.literal())


def _expunge(arguments: Arguments, uids: bool) -> Command:
    if not uids:
        return Expunge(None)
    arguments.space()
    return Expunge(arguments.number_set())


def _search(arguments: Arguments, uids: bool) -> Command:
    arguments.space()
    charset = "utf-8"
    if arguments.skip_word(b"CHARSET"):
        charset = arguments.astring("a character set").decode("ascii", "replace")
        if not known_charset(charset):
            raise BadCharset
        arguments.space()
    return Search(uids, Reader(arguments, charset).keys())


_MACROS: dict[str, tuple[Item, ...]] = {
    "ALL": (Item.FLAGS, Item.INTERNAL_DATE, Item.SIZE, Item.ENVELOPE),
    "FAST": (Item.FLAGS, Item.INTERNAL_DATE, Item.SIZE),
    "FULL": (Item.FLAGS, Item.INTERNAL_DATE, Item.SIZE, Item.ENVELOPE, Item.BODY),
}
_OLD_SECTIONS = {
    "RFC822": SectionItem(b"RFC822", Section(), peek=False),
    "RFC822.HEADER": SectionItem(b"RFC822.HEADER", Section(kind=Kind.HEADER), peek=True),
    "RFC822.TEXT": SectionItem(b"RFC822.TEXT", Section(kind=Kind.TEXT), peek=False),
}


def _fetch(arguments: Arguments, uids: bool) -> Command:
    arguments.space()
    ranges = arguments.number_set()
    arguments.space()
    items: list[Item | SectionItem] = []
    if arguments.peek(b"("):
        items = arguments.listed(lambda: _fetch_item(arguments))
        if not items:
            raise BadCommand("Fetch what?")
    else:
        for macro, meant in _MACROS.items():
            if arguments.skip_word(macro.encode()):
                items = list(meant)
                break
        else:
            items = [_fetch_item(arguments)]
    if uids and Item.UID not in items:
        items.insert(0, Item.UID)
    return Fetch(uids, ranges, tuple(dict.fromkeys(items)))


def _fetch_item(arguments: Arguments) -> Item | SectionItem:
    name = arguments.item_name()
    if arguments.peek(b"[") and name in ("BODY", "BODY.PEEK"):
        section = read_section(arguments)
        offset = count = None
        label = b"BODY[%b]" % section.label()
        if arguments.skip(b"<"):
            offset = arguments.number()
            arguments.expect(b".")
            count = arguments.number()
            arguments.expect(b">")
            if not count or max(offset, count) >= 1 << 32:
                raise BadCommand("A part of a section has a start and a length above 0.")
            label += b"<%d>" % offset
        return SectionItem(label, section, name == "BODY.PEEK", offset, count)
    if name in _OLD_SECTIONS:
        return _OLD_SECTIONS[name]
    try:
        return Item(name.encode())
    except ValueError as error:
        raise BadCommand(f"{name} cannot be fetched here.") from error


def _store(arguments: Arguments, uids: bool) -> Command:
    arguments.space()
    ranges = arguments.number_set()
    arguments.space()
    mode = Mode.ADD if arguments.skip(b"+") else Mode.REMOVE if arguments.skip(b"-") else None
    item = arguments.word("FLAGS")
    if item not in ("FLAGS", "FLAGS.SILENT"):
        raise BadCommand("Only FLAGS can be stored.")
    arguments.space()
    flags = tuple(arguments.one_or_listed(arguments.flag))
    return Store(uids, ranges, mode or Mode.REPLACE, item == "FLAGS.SILENT", flags)


def _copy(arguments: Arguments, uids: bool, *, move: bool = False) -> Command:
    arguments.space()
    ranges = arguments.number_set()
    return Copy(uids, ranges, _mailbox(arguments), move)


def _move(arguments: Arguments, uids: bool) -> Command:
    return _copy(arguments, uids, move=True)


_READERS: dict[str, Callable[[Arguments, bool], Command]] = {
    "CAPABILITY": lambda _, __: Capability(),
    "NOOP": lambda _, __: Noop("NOOP"),
    "CHECK": lambda _, __: Noop("CHECK"),
    "LOGOUT": lambda _, __: Logout(),
    "ID": _identify,
    "NAMESPACE": lambda _, __: Namespace(),
    "LOGIN": _login,
    "AUTHENTICATE": _authenticate,
    "SELECT": lambda arguments, _: Select(_mailbox(arguments), read_only=False),
    "EXAMINE": lambda arguments, _: Select(_mailbox(arguments), read_only=True),
    "CREATE": lambda arguments, _: Create(_mailbox(arguments)),
    "DELETE": lambda arguments, _: Delete(_mailbox(arguments)),
    "RENAME": _rename,
    "SUBSCRIBE": lambda arguments, _: Subscribe(_mailbox(arguments), subscribed=True),
    "UNSUBSCRIBE": lambda arguments, _: Subscribe(_mailbox(arguments), subscribed=False),
    "LIST": lambda arguments, _: _list(arguments, False),
    "LSUB": lambda arguments, _: _list(arguments, True),
    "STATUS": _status,
    "APPEND": _append,
    "IDLE": lambda _, __: Idle(),
    "CLOSE": lambda _, __: Close(expunge=True),
    "UNSELECT": lambda _, __: Close(expunge=False),
    "EXPUNGE": _expunge,
    "SEARCH": _search,
    "FETCH": _fetch,
    "STORE": _store,
    "COPY": _copy,
    "MOVE": _move,
}
_WITH_UIDS = {
    name: _READERS[name] for name in ("EXPUNGE", "SEARCH", "FETCH", "STORE", "COPY", "MOVE")
}
