"""What must be true of a town's mail, told with sets: the oracle that the real nodes are held to.

Purpose: remember what was promised (accepted letters, messages seen, flags acknowledged) and say
where the nodes broke it, each time with the promise's number.
Invariants: it knows nothing of how the nodes work; it believes only what a mail program could see,
and at the end what stands in the stores. What was in hand when a node crashed is *unknown*: it may
have happened or not, but not twice.
See: docs/architecture.md, promises M1 to M6 and M10.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from postroad.base import limits
from postroad.message.bounce import Notice
from postroad.message.envelope import Notify

CLOCK_ERROR_SECONDS_MAX = 300.0  # of a computer of the town
SEEN, DELETED = 1, 8  # the stored flag bits that a mail program of the town sets
TRACE = re.compile(  # the fields that may stand on top of a letter: promise M5
    rb"(?:Return-Path: <[^>\r\n]*>\r\n)(?:Delivered-To: [^\r\n]*\r\n)"
    rb"(?:Received: from [^\r\n]*\r\n\t\(Postroad\) id [^\r\n]*\r\n)"
    rb"(?:Postroad-Result: (?:[^\r\n]|\r\n\t)*\r\n)"
)
SUBJECT = re.compile(rb"^Subject: (?:([A-Z][a-z ]+): )?letter (\d+)\r\n", re.MULTILINE)
FINAL_RECIPIENT = re.compile(rb"^Final-Recipient: rfc822; *([^\r\n]+)\r\n", re.MULTILINE)


class Answer(Enum):
    """What the mail program heard when it handed the letter over."""

    ACCEPTED = auto()
    REFUSED = auto()
    UNKNOWN = auto()  # the node crashed before it answered


@dataclass(slots=True)
class Written:
    """A letter that somebody wrote."""

    number: int
    sender: str
    recipients: tuple[str, ...]
    octets_hash: bytes
    notify: Notify
    expires_at: float  # by the right clock
    answer: Answer = Answer.UNKNOWN
    nonce: str = ""  # by which its sender's node calls it, if it was accepted


@dataclass(frozen=True, slots=True)
class Pair:
    """A letter for one of its recipients, as it stands in the sender's store."""

    number: int
    recipient: str
    state: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a mail program sees of an INBOX: flags by UID, and the octets of what is new to it."""

    uid_validity: int
    uid_next: int
    modseq: int
    flags: Mapping[int, int]
    new: Mapping[int, bytes]
    dates: Mapping[int, float]  # when each new one was filed, by that computer's clock


@dataclass(slots=True)
class Inbox:
    """What one person's mail program knows from all its looks."""

    uid_validity: int = 0
    uid_next: int = 1
    modseq: int = 0
    flags: dict[int, set[int]] = field(default_factory=dict)  # by UID; several: unknown which
    expunged: set[int] = field(default_factory=set)
    perhaps_expunged: set[int] = field(default_factory=set)
    letters: Counter[int] = field(default_factory=Counter)
    notices: Counter[tuple[Notice, int, str]] = field(default_factory=Counter)
    greetings: Counter[bytes] = field(default_factory=Counter)


class Model:
    def __init__(self, addresses: Mapping[str, str]) -> None:
        """`addresses`: of each person by name."""
        self._names = {address: name for name, address in addresses.items()}
        self._written: dict[int, Written] = {}
        self._inboxes = {name: Inbox() for name in addresses}
        self.broken: list[str] = []

    def wrote(self, letter: Written) -> None:
        self._written[letter.number] = letter

    def letter(self, number: int) -> Written:
        return self._written[number]

    def inbox(self, name: str) -> Inbox:
        return self._inboxes[name]

    def breaks(self, promise: str, what: str) -> None:
        self.broken.append(f"{promise}: {what}")

    # Mail programs ------------------------------------------------------------------------------

    def looked(self, name: str, look: Look) -> None:
        """Take in what a mail program sees, and hold it against all that it saw before (M10)."""
        inbox = self._inboxes[name]
        if inbox.uid_validity not in (0, look.uid_validity):
            self.breaks("M10", f"{name}'s INBOX has another UIDVALIDITY")
        if look.uid_next < inbox.uid_next or look.modseq < inbox.modseq:
            self.breaks("M10", f"{name}'s UIDNEXT or HIGHESTMODSEQ went back")
        for uid in look.flags.keys() & inbox.expunged:
            self.breaks("M10", f"{name}'s expunged message {uid} came back")
        for uid in inbox.perhaps_expunged - look.flags.keys():
            inbox.flags.pop(uid, None)
            inbox.expunged.add(uid)
        inbox.perhaps_expunged.clear()
        for uid, expected in inbox.flags.items():
            if uid not in look.flags:
                self.breaks("M10", f"{name}'s message {uid} is gone")
            elif look.flags[uid] not in expected:
                self.breaks("M10", f"{name}'s message {uid} lost a flag that was acknowledged")
        for uid, octets in look.new.items():
            if uid < inbox.uid_next:
                self.breaks("M10", f"{name}'s UID {uid} was given to another message")
            self._found(name, inbox, octets, look.dates[uid])
        inbox.uid_validity, inbox.modseq = look.uid_validity, look.modseq
        inbox.uid_next = look.uid_next
        inbox.flags = {uid: {bits} for uid, bits in look.flags.items()}

    def _found(self, name: str, inbox: Inbox, octets: bytes, filed_at: float) -> None:
        subject = SUBJECT.search(octets)
        if subject is None:
            inbox.greetings[octets.partition(b"\r\nSubject: ")[2].partition(b"\r\n")[0]] += 1
            return
        number = int(subject[2])
        if subject[1] is not None:
            kind = next(one for one in Notice if one.subject == subject[1].decode())
            of = FINAL_RECIPIENT.search(octets)
            recipient = self._names.get(of[1].decode() if of else "", "nobody")
            inbox.notices[kind, number, recipient] += 1
            return
        inbox.letters[number] += 1
        letter = self._written.get(number)
        if letter is None or name not in letter.recipients:
            self.breaks("I1", f"{name} has letter {number}, which nobody wrote to them")
            return
        trace = TRACE.match(octets)
        if trace is None or hashlib.sha256(octets[trace.end() :]).digest() != letter.octets_hash:
            self.breaks("M5", f"letter {number} is not for {name} what was submitted")
        latest = letter.expires_at + limits.EXPIRY_GRACE_SECONDS + 2 * CLOCK_ERROR_SECONDS_MAX
        if filed_at > latest:
            self.breaks("M3", f"letter {number} was filed for {name} after it had expired")

    def flags_set(self, name: str, uid: int, bits: int, *, acknowledged: bool) -> None:
        flags = self._inboxes[name].flags[uid]
        now = {before | bits for before in flags}
        self._inboxes[name].flags[uid] = now if acknowledged else flags | now

    def expunged(self, name: str, uid: int, *, acknowledged: bool) -> None:
        inbox = self._inboxes[name]
        if acknowledged:
            inbox.flags.pop(uid)
            inbox.expunged.add(uid)
        else:
            inbox.perhaps_expunged.add(uid)

    def must_come_from_holders(self, nonce: bytes, recipient: str, now: float) -> int | None:
        """The number of a letter that lies at a holder, if nobody has it yet and it is in time."""
        for letter in self._written.values():
            in_time = letter.expires_at > now + 2 * CLOCK_ERROR_SECONDS_MAX
            if letter.nonce == nonce.hex() and in_time:
                return None if self._inboxes[recipient].letters[letter.number] else letter.number
        return None

    # The end ------------------------------------------------------------------------------------

    def unfiled(self, living: set[str]) -> list[tuple[int, str]]:
        """The accepted letters, by recipient, that no mail program has seen yet."""
        return [
            (letter.number, recipient)
            for letter in self._written.values()
            if letter.answer is Answer.ACCEPTED and letter.sender in living
            for recipient in letter.recipients
            if recipient in living and not self._inboxes[recipient].letters[letter.number]
        ]

    def ended(self, stores: Mapping[str, list[Pair]], now: float) -> None:
        """Hold the stores of all who live against what was promised, when all had time to end."""
        living = stores.keys()
        for name, inbox in self._inboxes.items():
            for number, count in inbox.letters.items():
                if count > 1:
                    self.breaks("M2", f"letter {number} was filed for {name} {count} times")
            for subject, count in inbox.greetings.items():
                if count > 1:
                    self.breaks("M2", f"{name} was told {count} times: {subject.decode()}")
            for (kind, number, recipient), count in inbox.notices.items():
                if count > 1:
                    told = f"{kind.name} of letter {number} for {recipient}"
                    self.breaks("M3", f"{name} was told {count} times: {told}")
        for letter in self._written.values():
            pairs = {
                one.recipient: one
                for one in stores.get(letter.sender, ())
                if one.number == letter.number
            }
            for recipient in letter.recipients if letter.sender in living else ():
                self._end_of_pair(letter, recipient, pairs.get(recipient), living, now)

    def _end_of_pair(
        self,
        letter: Written,
        recipient: str,
        pair: Pair | None,
        living: Iterable[str],
        now: float,
    ) -> None:
        what = f"letter {letter.number} from {letter.sender} to {recipient}"
        filed = self._inboxes[recipient].letters[letter.number]
        if letter.answer is Answer.REFUSED and (pair or filed):
            self.breaks("M4", f"{what} was refused at the door, and sent all the same")
        if pair is None:
            if letter.answer is Answer.ACCEPTED:
                self.breaks("M1", f"{what} was accepted and is not in the store")
            elif filed:
                self.breaks("M6", f"{what} was filed, and its sender's store does not know it")
            return
        notices = self._inboxes[letter.sender].notices

        def told(kind: Notice) -> bool:
            return bool(notices[kind, letter.number, recipient])

        wants_failures = bool(letter.notify & Notify.FAILURE)
        match pair.state:
            case "delivered":
                if recipient in living and not filed:
                    self.breaks("M3", f"{what} is said to be delivered, and is not filed")
                if letter.notify & Notify.SUCCESS and not (
                    told(Notice.DELIVERED) or told(Notice.CORRECTED) or told(Notice.EXPIRED)
                ):
                    self.breaks("M1", f"{what} was delivered, and its sender was not told")
                if told(Notice.EXPIRED) and not told(Notice.CORRECTED):
                    self.breaks("M3", f"{what} was delivered after all; this was not told")
            case "expired":
                if now < letter.expires_at - 2 * CLOCK_ERROR_SECONDS_MAX:
                    self.breaks("M3", f"{what} was given up before its time")
                if wants_failures and not told(Notice.EXPIRED):
                    self.breaks("M1", f"{what} expired without a notice")
                if recipient in living and filed:
                    self.breaks("M3", f"{what} was filed, and its sender never heard of it")
            case "refused":
                if filed:
                    self.breaks("M3", f"{what} is said to be refused, and is filed")
                if now < letter.expires_at - 2 * CLOCK_ERROR_SECONDS_MAX:
                    self.breaks("M3", f"{what} was refused")
                if wants_failures and not told(Notice.REFUSED):
                    self.breaks("M1", f"{what} was refused without a notice")
            case "waiting" | "held":
                if recipient in living:
                    self.breaks("M1", f"{what} is still {pair.state}")
                over = letter.expires_at + limits.EXPIRY_GRACE_SECONDS + limits.HOUR
                if now > over + 2 * CLOCK_ERROR_SECONDS_MAX:
                    self.breaks("M1", f"{what} expired, and nothing was said")
            case state:
                self.breaks("M1", f"{what} is {state}")
