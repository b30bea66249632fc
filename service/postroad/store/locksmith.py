"""Make what opens the keys, and find it again: passphrase, desktop keyring, credential of systemd.

Purpose: the same for a node that runs, one that starts locked, and the command line beside one that
is stopped. Everything here blocks: a passphrase takes 64 MiB and some tenths of a second, and a
desktop keyring may ask its owner.
Invariants: what opens the new wrapping is kept before the keys are written in it, and what opened
the old one is forgotten only afterwards: whenever we are killed, one of the two opens them.
See: docs/adr/0013-keys-at-rest.md.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from typing import TypeVar

from postroad.base import limits
from postroad.base.errors import Locked, NotToBeHad, PermanentFailure, WrongPassphrase
from postroad.base.seams import Entropy, SecretKeeper
from postroad.phrases import joined, phrase
from postroad.sealing import wrapping
from postroad.sealing.wrapping import PLAIN, Protection, Wrapped, Wrapping
from postroad.store.keyring import OwnKeys

log = logging.getLogger(__name__)
ALL_WAYS = tuple(one.value for one in Protection)
T = TypeVar("T")


class Locksmith:
    """`keeper`: the desktop keyring; `credential` gives systemd's, or raises NotToBeHad; `ways`:
    by what keys may be protected here."""

    def __init__(
        self,
        entropy: Entropy,
        keeper: SecretKeeper,
        credential: Callable[[], bytes],
        ways: Collection[str] = ALL_WAYS,
    ) -> None:
        self._ways = ways
        self._entropy = entropy
        self._keeper = keeper
        self._credential = credential

    def opener(self, wrapped: Wrapped, *, ask: bool = False) -> Wrapping:
        """What opens this without a passphrase; Locked says what is missing, and what to do.

        `ask`: whether the desktop keyring may ask its owner for its own password."""
        header = wrapped.header
        if header.protection is Protection.PLAIN:
            return PLAIN
        if header.protection is Protection.PASSPHRASE:
            raise Locked(_WAIT_FOR_PASSPHRASE)
        try:
            if header.protection is Protection.KEYRING:
                secret = self._keeper.fetch(header.salt.hex(), ask=ask)
            else:
                secret = self._credential()
            found = wrapping.by_secret(header, secret)
            found.unwrap(wrapped)
        except NotToBeHad as error:
            raise Locked(joined(str(error), _ADVICE[header.protection])) from error
        except PermanentFailure as error:
            what = _OPENS_NOTHING[header.protection]
            raise Locked(joined(what, _ADVICE[header.protection])) from error
        return found

    def by_passphrase(self, wrapped: Wrapped, passphrase: str) -> Wrapping:
        """What opens this with the passphrase; WrongPassphrase when it does not."""
        if wrapped.protection is not Protection.PASSPHRASE:
            return self.opener(wrapped, ask=True)
        found = wrapping.by_passphrase(wrapped.header, passphrase)
        try:
            found.unwrap(wrapped)
        except PermanentFailure as error:
            raise WrongPassphrase from error
        return found

    def expect_allowed(self, protection: Protection) -> None:
        """PermanentFailure in words unless keys may be protected so here."""
        if protection.value not in self._ways:
            raise PermanentFailure(
                f"Keys may not be protected by {protection.value} here (keys_at_rest), but by: "
                f"{', '.join(self._ways)}. See: postroad policy"
            )

    def make(self, protection: Protection, passphrase: str = "") -> Wrapping:
        """A new wrapping; what opens it is kept where it belongs by the time this returns.

        Raises PermanentFailure or NotToBeHad in words."""
        self.expect_allowed(protection)
        if protection is Protection.PLAIN:
            return PLAIN
        header = wrapping.new_header(protection, self._entropy.token(wrapping.SALT_BYTES))
        if protection is Protection.PASSPHRASE:
            check(passphrase)
            return wrapping.by_passphrase(header, passphrase)
        if protection is Protection.CREDENTIAL:
            return wrapping.by_secret(header, self._credential())
        secret = self._entropy.token(wrapping.SECRET_BYTES_MIN)
        self._keeper.keep(header.salt.hex(), secret)
        return wrapping.by_secret(header, secret)

    def forget(self, old: Wrapping) -> None:
        """The keys are written in another wrapping: what opened this one is not needed any more.

        Where it cannot be removed, it opens nothing."""
        if old.protection is Protection.KEYRING:
            try:
                self._keeper.forget(old.header.salt.hex())
            except NotToBeHad as error:
                log.warning("the desktop keyring keeps an entry that opens nothing: %s", error)


class Tries:
    """One passphrase after the other, and after each wrong one a longer wait before the answer."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._seconds = limits.WRONG_PASSPHRASE_SECONDS_FIRST

    async def give(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives; the wait comes before WrongPassphrase goes on."""
        async with self._one_at_a_time:
            try:
                found = await work()
            except WrongPassphrase:
                log.warning("a wrong passphrase was given for the keys")
                await asyncio.sleep(self._seconds)
                self._seconds = min(2 * self._seconds, limits.WRONG_PASSPHRASE_SECONDS_MAX)
                raise
            self._seconds = limits.WRONG_PASSPHRASE_SECONDS_FIRST
            return found


class OwnersWord:
    """Whoever found a terminal open shall not end, hand on or unwrap what is the owner's.

    One for the whole node, so that who guesses waits wherever they do it."""

    def __init__(self, keyring: OwnKeys) -> None:
        self._keyring = keyring
        self._tries = Tries()

    async def expect(self, passphrase: str) -> None:
        """WrongPassphrase, after a while, unless this opens the keys, or no passphrase does."""
        wrapping_now = self._keyring.wrapping
        if wrapping_now.protection is not Protection.PASSPHRASE:
            return

        async def work() -> None:
            header = wrapping_now.header
            given = await asyncio.to_thread(wrapping.by_passphrase, header, passphrase)
            if not wrapping_now.is_same(given):
                raise WrongPassphrase

        await self._tries.give(work)


def check(passphrase: str) -> None:
    """Raise PermanentFailure in words when this will not do as a new one."""
    if len(passphrase) < limits.PASSPHRASE_CHARACTERS_MIN:
        raise PermanentFailure(
            f"A passphrase has at least {limits.PASSPHRASE_CHARACTERS_MIN} characters; "
            "five words that nobody would guess are better."
        )
    if len(passphrase.encode(errors="replace")) > limits.PASSPHRASE_BYTES_MAX:
        raise PermanentFailure(f"A passphrase has at most {limits.PASSPHRASE_BYTES_MAX} bytes.")
    if not passphrase.isprintable():
        raise PermanentFailure(phrase("A passphrase has no characters that cannot be seen."))


_WAIT_FOR_PASSPHRASE = joined(
    phrase("Your keys wait for their passphrase."), phrase("Type: postroad unlock")
)
_OPENS_NOTHING = {
    Protection.KEYRING: phrase("What the desktop keyring keeps does not open your keys."),
    Protection.CREDENTIAL: phrase("What the credential of systemd keeps does not open your keys."),
}
_ADVICE = {
    Protection.KEYRING: phrase(
        "Your keys are opened by it: unlock it, or log in to your desktop, then type: "
        "postroad unlock"
    ),
    Protection.CREDENTIAL: phrase(
        "Your keys are opened by it: see to LoadCredentialEncrypted= of the service, and restart it"
    ),
}
