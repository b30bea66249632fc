"""Write what the server says: capability lists, mailbox lists, FETCH data.

See: RFC 3501 section 7, RFC 9051 section 7.
"""

from collections.abc import Iterable

from postroad.base.ids import Instant
from postroad.protocol.imap.arguments import MONTHS
from postroad.protocol.imap.commands import Item, SectionItem
from postroad.protocol.imap.events import Column, FlagsOf, MailboxInfo, Row
from postroad.protocol.imap.flags import write_flags
from postroad.protocol.imap.names import SEPARATOR, encode_name, matches, parents
from postroad.protocol.imap.render import string
from postroad.protocol.imap.search import moment
from postroad.protocol.imap.sections import Letter, in_header

BEFORE_LOGIN = (b"IMAP4rev1", b"LITERAL+", b"SASL-IR", b"ID", b"AUTH=PLAIN")
AFTER_LOGIN = (
    b"IMAP4rev1", b"LITERAL+", b"ID", b"IDLE", b"NAMESPACE", b"CHILDREN", b"UNSELECT", b"UIDPLUS",
    b"MOVE", b"SPECIAL-USE",
)  # fmt: skip
_COLUMNS = {
    Item.BODY: Column.BODY,
    Item.BODY_STRUCTURE: Column.BODY_STRUCTURE,
    Item.ENVELOPE: Column.ENVELOPE,
}
_NO_ROW = (Item.FLAGS, Item.UID)

COPIED_BYTES_MAX = 4096  # larger sections go out as they lie in memory

Pieces = list[bytes | memoryview]
Plan = tuple[tuple[bytes, Item | SectionItem], ...]


def mailbox_name(name: str) -> bytes:
    return string(encode_name(name))


def printable(sentence: str) -> bytes:
    """A sentence as the text of a response: one line of ASCII."""
    plain = sentence.encode("ascii", "replace")
    return plain.translate(None, b"\r\n\x00") or b"?"


def listing(
    mailboxes: Iterable[MailboxInfo], reference: str, pattern: str, *, subscribed_only: bool
) -> Iterable[bytes]:
    """The lines of LIST or LSUB; a level that is no mailbox itself is named as one without."""
    known = {mailbox.name: mailbox for mailbox in mailboxes}
    with_children = {level for name in known for level in parents(name)}
    shown = {
        name: mailbox
        for name, mailbox in known.items()
        if mailbox.subscribed or not subscribed_only
    }
    levels = {level for name in shown for level in parents(name)}
    wanted = reference + pattern
    for name in sorted(shown.keys() | levels, key=lambda name: (name != "INBOX", name)):
        if not matches(wanted, name):
            continue
        if name not in shown and not (name not in known or wanted.endswith("%")):
            continue  # RFC 3501 section 6.3.9: a level of LSUB is named only behind a `%`
        attributes = [b"\\HasChildren" if name in with_children else b"\\HasNoChildren"]
        if name not in shown:
            attributes.append(b"\\Noselect")
        elif shown[name].special_use:
            attributes.append((shown[name].special_use or "").encode())
        yield b'* %b (%b) "%b" %b\r\n' % (
            b"LSUB" if subscribed_only else b"LIST",
            b" ".join(attributes),
            SEPARATOR.encode(),
            mailbox_name(name),
        )


def internal_date(instant: Instant) -> bytes:
    when = moment(instant)
    month = MONTHS[when.month - 1].capitalize()
    return b'"%02d-%b-%04d %02d:%02d:%02d +0000"' % (
        when.day,
        month,
        when.year,
        when.hour,
        when.minute,
        when.second,
    )


def uid_set(uids: Iterable[int]) -> bytes:
    """UIDs in their order, runs of neighbours as ranges."""
    runs: list[list[int]] = []
    for uid in uids:
        if runs and uid == runs[-1][1] + 1:
            runs[-1][1] = uid
        else:
            runs.append([uid, uid])
    return b",".join(b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in runs)


# FETCH --------------------------------------------------------------------------------------------


def columns(items: Iterable[Item | SectionItem]) -> Column:
    """What must be loaded to answer these items."""
    wanted = Column.NONE
    for item in items:
        if isinstance(item, Item):
            wanted |= _COLUMNS.get(item, Column.NONE)
        else:
            wanted |= Column.HEADER if item.section.in_header else Column.OCTETS
    return wanted


def needs_rows(items: Iterable[Item | SectionItem]) -> bool:
    return any(item not in _NO_ROW for item in items)


def plan(items: Iterable[Item | SectionItem]) -> Plan:
    """The items with the words that stand before their values, made once for a whole FETCH."""
    return tuple(
        (item.value + b" ", item) if isinstance(item, Item) else (item.label, item)
        for item in items
    )


def fetched(number: int, planned: Plan, flags: FlagsOf, row: Row | None) -> Pieces:
    """One FETCH response, in pieces that need not be copied together."""
    pieces: Pieces = []
    text = [b"* %d FETCH (" % number]
    letter: Letter | None = None
    space = b""
    for label, item in planned:
        text += (space, label)
        space = b" "
        if isinstance(item, Item):
            text.append(_value(item, flags, row))
            continue
        assert row is not None
        letter = letter or Letter(row.octets)
        content = _section(item, row, letter)
        if content is None:
            text.append(b" NIL")
            continue
        text.append(b" {%d}\r\n" % len(content))
        if len(content) > COPIED_BYTES_MAX:
            pieces += [b"".join(text), content]
            text = [b""]
        else:
            text.append(bytes(content))
    text.append(b")\r\n")
    pieces.append(b"".join(text))
    return pieces


def _value(item: Item, flags: FlagsOf, row: Row | None) -> bytes:
    if item is Item.FLAGS:
        return b"(%b)" % write_flags(flags.bits, flags.keywords)
    if item is Item.UID:
        return b"%d" % flags.uid
    assert row is not None
    if item is Item.ENVELOPE:
        return row.envelope
    if item is Item.INTERNAL_DATE:
        return internal_date(row.date)
    if item is Item.SIZE:
        return b"%d" % row.size
    return row.body if item is Item.BODY else row.body_structure


def _section(item: SectionItem, row: Row, letter: Letter) -> bytes | memoryview | None:
    content: bytes | memoryview | None
    if item.section.in_header:
        content = in_header(row.header, item.section)
    else:
        content = letter.section(item.section)
        if content is None and row.damaged:
            content = row.octets  # a part of a letter that is no more: say so there too
    if content is not None and item.offset is not None and item.count is not None:
        return content[item.offset : item.offset + item.count]
    return content
