"""Meet the other holders of those who rent here: what lies at one of us comes to lie at all.

Purpose: a letter that was left with a holder who is on in the evening reaches the one who is on in
the morning, with its owner. We ask, and take what we lack: nothing is pushed at anybody. We ask
when we come on, and when a letter has been lying for a quarter of an hour; whoever is asked asks
back. Nothing is asked by the clock.
Invariants: at most so many siblings are asked at once; each letter is listed to a sibling once in
the life of a node, and drawn only by who lacks it; what is wrong with one sibling stops no other.
See: docs/adr/0007-holders.md.
"""

import asyncio
import logging
from collections.abc import Callable

from postroad.base import limits
from postroad.base.errors import PeerMisbehaved, PostroadError, TemporaryFailure
from postroad.base.ids import DropId, MailId, PeerId, short
from postroad.base.seams import Clock, Entropy
from postroad.peers.client import Client
from postroad.peers.exchange import Refused
from postroad.protocol import wire, wire_holders
from postroad.protocol.wire_reseal import Reseal
from postroad.store.siblings import Ledger, Sibling
from postroad.timeouts import timeout

log = logging.getLogger(__name__)
ASKED_AT_ONCE = 4
BACK_SECONDS = 1 * limits.MINUTE  # whoever we asked in this time is not asked back
AWAY_SECONDS = 2 * limits.COLLECT_TOLD_SECONDS  # without a link we were off the network
SETTLING_SECONDS = 20.0  # after the start, until we ask
BAD_LETTERS_MAX = 8  # of one sibling in one asking: a damaged disk has some, a liar without end


class Siblings:
    """Run `run` for as long as the node is on the network."""

    def __init__(
        self,
        ledger: Ledger,
        client: Client,
        clock: Clock,
        entropy: Entropy,
        on_news: Callable[[DropId], None],
    ) -> None:
        self._ledger = ledger
        self._client = client
        self._clock = clock
        self._entropy = entropy
        self._on_news = on_news
        self._wake = asyncio.Event()
        self._hands = asyncio.Semaphore(ASKED_AT_ONCE)
        self._due: dict[DropId, float] = {}  # when a drop's siblings are asked, elapsed
        self._arrived: dict[DropId, float] = {}  # when a letter last came into a drop
        self._met: dict[tuple[DropId, PeerId], float] = {}  # when we last asked
        self._back: dict[tuple[DropId, PeerId], None] = {}  # to be asked at once
        self._after: dict[tuple[DropId, DropId], int] = {}  # what of theirs we have seen
        self._is_on_anew = False  # all siblings are to be asked
        self._is_alone = False  # nobody at all could be reached when we came on
        self._seen_at: float | None = None  # when somebody was last reached, since we came on

    def deposited(self, drop: DropId) -> None:
        """A letter came into a drop here; its siblings hear of it if it stays there."""
        now = self._clock.elapsed()
        self._arrived[drop] = now
        self._put_due(drop, now + limits.SIBLINGS_SECONDS * (0.5 + self._entropy.uniform()))

    def asked(self, drop: DropId, peer: PeerId) -> None:
        """A sibling asked what lies in our drop: it is on, and may have what we lack."""
        last = self._met.get((drop, peer))
        if last is None or self._clock.elapsed() - last > BACK_SECONDS:
            self._back[drop, peer] = None
            self._wake.set()

    def peer_seen(self) -> None:
        """Somebody is there. If nobody was when we came on, or for long, we are on only now."""
        now = self._clock.elapsed()
        before, self._seen_at = self._seen_at, now
        if self._is_alone or (before is not None and now - before > AWAY_SECONDS):
            self._is_alone = False
            self._is_on_anew = True
            self._wake.set()

    def _put_due(self, drop: DropId, at: float) -> None:
        self._due[drop] = min(self._due.get(drop, at), at)
        self._wake.set()

    async def run(self) -> None:
        self._back.clear()
        self._is_on_anew, self._seen_at = True, None
        time = asyncio.get_running_loop().time
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                now, awake = self._clock.elapsed(), time()
                if self._is_on_anew:
                    self._is_on_anew = False
                    tasks.create_task(self._come_on(), name="come on")
                back, self._back = self._back, {}
                for drop, peer in back:
                    tasks.create_task(self._ask_back(drop, peer), name="ask back")
                for drop in [drop for drop, at in self._due.items() if at <= now]:
                    del self._due[drop]
                    tasks.create_task(self._spread(drop), name="ask siblings")
                next_at = min(self._due.values(), default=None)
                # The loop's clock stands still while the computer sleeps, so it waits in pieces.
                wait = limits.SIBLINGS_SECONDS if next_at is None else max(next_at - now, 0.05)
                await self._sleep(min(wait, limits.SIBLINGS_SECONDS))
                asleep = (self._clock.elapsed() - now) - (time() - awake)
                self._is_on_anew |= asleep > limits.SIBLINGS_SECONDS

    async def _sleep(self, seconds: float) -> None:
        try:
            async with timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _come_on(self) -> None:
        """Ask all siblings of all drops: they may have got letters while we were off."""
        await asyncio.sleep(SETTLING_SECONDS * (0.5 + self._entropy.uniform()))
        try:
            found = [
                sibling
                for drop in await self._ledger.drops()
                for sibling in await self._ledger.siblings(drop)
            ]
        except PostroadError as error:
            log.warning("siblings not asked: %s", error)
            return
        answered = await asyncio.gather(*map(self._ask, found))
        self._is_alone = bool(found) and not any(answered) and self._seen_at is None

    async def _spread(self, drop: DropId) -> None:
        """Ask all siblings that we have not asked since the letter came; they ask back."""
        try:
            if not await self._ledger.has_letters(drop):
                return
            arrived = self._arrived.pop(drop, 0.0)
            found = [
                one
                for one in await self._ledger.siblings(drop)
                if self._met.get((drop, one.contact.peer), -1.0) < arrived
            ]
        except PostroadError as error:
            log.warning("siblings not asked: %s", error)
            return
        await asyncio.gather(*map(self._ask, found))

    async def _ask_back(self, drop: DropId, peer: PeerId) -> None:
        try:
            siblings = await self._ledger.siblings(drop)
        except PostroadError as error:
            log.warning("a sibling was not asked: %s", error)
            return
        await asyncio.gather(*(self._ask(one) for one in siblings if one.contact.peer == peer))

    async def _ask(self, sibling: Sibling) -> bool:
        """Take from one sibling what we lack; whether it answered. What goes wrong ends here."""
        peer = sibling.contact.peer
        async with self._hands:
            try:
                self._met[sibling.mine, peer] = self._clock.elapsed()
                if await self._take_all(sibling):
                    self._on_news(sibling.mine)
                return True
            except Refused as error:
                log.info("nothing passed on: %s", error, extra={"holder": short(peer)})
                return True
            except TemporaryFailure as error:
                log.info("nothing passed on: %s", error, extra={"holder": short(peer)})
            except PeerMisbehaved as error:  # it is left alone for a while, whatever it asks
                log.warning("nothing passed on: %s", error, extra={"holder": short(peer)})
                self._met[sibling.mine, peer] = self._clock.elapsed() + limits.HOUR
            except Exception:  # one sibling's doorstep
                log.exception("asking a sibling failed", extra={"holder": short(peer)})
        return False

    async def _take_all(self, sibling: Sibling) -> bool:
        """Whether we got a letter that we had not."""
        key, got, seen, bad = (sibling.mine, sibling.drop), False, 0, 0
        after = self._after.get(key, 0)
        while True:
            letters = await self._client.sync(sibling.contact, sibling.drop, sibling.mine, after)
            for kept in await self._ledger.wanted(sibling, letters):
                try:
                    got |= await self._take(sibling, kept)
                except PeerMisbehaved as error:  # the next one may be good
                    log.warning(
                        "letter not passed on: %s", error, extra={"mail": kept.mail_id.hex()}
                    )
                    bad += 1
                    if bad > BAD_LETTERS_MAX:
                        raise
            if not letters:
                return got
            seen += len(letters)
            if letters[-1].arrival <= after or seen > 2 * limits.DROP_LETTERS_MAX:
                raise PeerMisbehaved("a listing does not go on, or has no end")
            after = self._after[key] = letters[-1].arrival
            if len(letters) < limits.SYNC_LISTING_MAX:
                return got

    async def _take(self, sibling: Sibling, kept: wire_holders.Kept) -> bool:
        """Draw one letter, or its owner's word; True: a letter lies here now. PeerMisbehaved when
        it is not what was listed."""
        mail_id = MailId(kept.mail_id)
        try:
            async with self._client.draw(
                sibling.contact, sibling.drop, sibling.mine, mail_id
            ) as drawn:
                if isinstance(drawn, wire_holders.Burial | Reseal):
                    await self._ledger.take_word(sibling, kept, drawn)
                    return False
                size, pieces = drawn
                if kept.lies != wire_holders.Lies.LETTER or size != kept.size:
                    raise PeerMisbehaved("gives another letter than it listed")
                await self._ledger.take(sibling, kept, pieces)
        except Refused as error:  # it was fetched or buried meanwhile
            if error.refusal != wire.Refusal.UNKNOWN:
                raise
            return False
        log.info("letter held, passed on by another holder", extra={"mail": mail_id.hex()})
        return True
