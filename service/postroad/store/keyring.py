"""The node's own keys, in one file of the data folder: whole, or as it was before.

What stands in it never leaves it but for the 24 words, which are shown at set-up.
Layout: the keyring in `base.tlv`, wrapped as its owner chose (`sealing.wrapping`), and the SHA-256
of that: with a flipped bit in an epoch key all letters would come in vain, and a damaged file must
not look like a wrong passphrase.
Invariant: what is written once wrapped is never written otherwise, unless its owner asks.
See: docs/adr/0013-keys-at-rest.md.
A little long: what is in the file, who changes it and how it is written are one promise.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO

from postroad.base import limits
from postroad.base.bell import Bell
from postroad.base.errors import (
    ConfigurationError,
    DiskFull,
    Locked,
    NotSetUp,
    PeerMisbehaved,
    PermanentFailure,
    TemporaryFailure,
)
from postroad.base.ids import Fingerprint, Instant, SureInstant
from postroad.base.seams import Disk, Entropy
from postroad.base.tlv import decode, encode, fixed, hidden, nested, number, several, text
from postroad.message.address import Address
from postroad.sealing import backup, keys
from postroad.sealing import certificate as certificates
from postroad.sealing.backup import Sealer, keys_key
from postroad.sealing.certificate import Certificate
from postroad.sealing.keys import EpochKey, Identity, SigningKey
from postroad.sealing.password import PasswordVerifier
from postroad.sealing.wrapping import PLAIN, Wrapped, Wrapping, parse

FILE_NAME = "keys"
DIGEST_BYTES = 32
EPOCH_SECONDS = 7 * limits.DAY  # then a new one takes its place, while the node is on
EPOCH_KEPT_SECONDS = limits.RECORD_SECONDS_MAX  # after the record that dropped it, at least
EPOCH_KEPT_SECONDS_MAX = EPOCH_KEPT_SECONDS + limits.EXPIRY_SECONDS_MAX + limits.DAY
EPOCH_KEYS_MAX = 16
FORMER_MAX = 4  # identities that we were: of a fifth rotation the first is forgotten
_KEPT = b"keys"
CERTIFICATE_RENEWAL_SECONDS = 30 * limits.DAY  # before it ends


@dataclass(frozen=True, slots=True)
class StoredEpochKey:
    """`dropped`: when a record of ours was first kept that names it no more; 0: not yet. All
    moments are those of a confirmed clock, but for `since` of the first one."""

    secret: bytes = hidden(fixed(1, keys.EPOCH_SECRET_BYTES))
    since: int = number(2, 8)
    dropped: int = number(3, 8)

    def is_over(self, now: SureInstant, emptied_at: Instant | None) -> bool:
        """Whether no letter in time can need it any more.

        Whoever sealed to it had a record that was good for 45 days; then all drops had to be
        emptied. A letter of the last of these days has expired 30 days later, so a holder who never
        answers keeps no key for longer."""
        if not self.dropped or now < self.dropped + EPOCH_KEPT_SECONDS:
            return False
        fetched = emptied_at is not None and emptied_at >= self.dropped + EPOCH_KEPT_SECONDS
        return fetched or now > self.dropped + EPOCH_KEPT_SECONDS_MAX


@dataclass(frozen=True, slots=True)
class Former:
    """An identity that we were before: letters to it are still taken and receipted, and its
    rotation is signed afresh each month."""

    entropy: bytes = hidden(fixed(1, 32))
    certificate: Certificate = nested(2, Certificate)
    until: int = number(3, 8)

    @property
    def identity(self) -> Identity:
        return Identity(self.entropy)


@dataclass(frozen=True, slots=True)
class Keyring:
    """Everything secret that a node has. The last epoch key is the current one."""

    name: str = text(1, 31)
    entropy: bytes = hidden(fixed(2, 32))
    device_seed: bytes = hidden(fixed(3, 32))
    certificate: Certificate = nested(4, Certificate)
    stored_epoch_keys: tuple[StoredEpochKey, ...] = several(
        nested(5, StoredEpochKey), EPOCH_KEYS_MAX, 1
    )
    password: PasswordVerifier = nested(6, PasswordVerifier)
    former: tuple[Former, ...] = several(nested(7, Former), FORMER_MAX)  # the newest last

    @property
    def identity(self) -> Identity:
        return Identity(self.entropy)

    @property
    def device(self) -> SigningKey:
        return SigningKey(self.device_seed)

    @property
    def fingerprint(self) -> Fingerprint:
        return self.certificate.fingerprint

    @property
    def address(self) -> Address:
        return Address(self.name, self.fingerprint)

    @property
    def epoch(self) -> EpochKey:
        """The key that letters should be sealed to from now on."""
        return EpochKey(self.stored_epoch_keys[-1].secret)

    def epoch_keys(self) -> dict[bytes, EpochKey]:
        """All keys that letters may still be sealed to, by their ids."""
        found = [EpochKey(stored.secret) for stored in self.stored_epoch_keys]
        return {keys.epoch_key_id(key.public): key for key in found}

    def rotated(self, now: SureInstant, secret: bytes) -> "Keyring":
        """With a new epoch key when the current one is a week old, and there is room for it."""
        current = self.stored_epoch_keys[-1]
        if current.since > now:  # it was made by a wrong clock: its week begins now
            stored = (*self.stored_epoch_keys[:-1], replace(current, since=int(now)))
            return replace(self, stored_epoch_keys=stored)
        is_young = now - current.since < EPOCH_SECONDS
        if is_young or len(self.stored_epoch_keys) >= EPOCH_KEYS_MAX:
            return self
        new = StoredEpochKey(secret, int(now), 0)
        return replace(self, stored_epoch_keys=(*self.stored_epoch_keys, new))

    def dropped(self, now: SureInstant) -> "Keyring":
        """With the moment noted at which our record names the older epoch keys no more."""
        *older, current = self.stored_epoch_keys
        if all(one.dropped for one in older):
            return self
        noted = (one if one.dropped else replace(one, dropped=int(now)) for one in older)
        return replace(self, stored_epoch_keys=(*noted, current))

    def thinned(self, now: SureInstant, emptied_at: Instant | None) -> "Keyring":
        """Without the epoch keys that no letter in time can need. `emptied_at`: since when every
        drop of ours has been emptied; None: not all of them ever were."""
        kept = [one for one in self.stored_epoch_keys[:-1] if not one.is_over(now, emptied_at)]
        if len(kept) == len(self.stored_epoch_keys) - 1:
            return self
        return replace(self, stored_epoch_keys=(*kept, self.stored_epoch_keys[-1]))

    def renewed(self, now: Instant) -> "Keyring":
        """The same, with a fresh device certificate when the old one ends within 30 days.

        Also when it begins only later: it was made while the clock was wrong."""
        ours = (self.certificate, *(one.certificate for one in self.former))
        if all(_is_good(one, now) for one in ours):
            return self
        device = self.device.peer
        return replace(
            self,
            certificate=certificates.certify(self.identity, device, now),
            former=tuple(
                replace(one, certificate=certificates.certify(one.identity, device, now))
                for one in self.former
            ),
        )

    def handed_on(self, entropy: bytes, now: Instant) -> "Keyring":
        """The same device, and its epoch keys, under a new identity; what it was stays known."""
        was = Former(self.entropy, self.certificate, int(now))
        return replace(
            self,
            entropy=entropy,
            certificate=certificates.certify(Identity(entropy), self.device.peer, now),
            former=(*self.former, was)[-FORMER_MAX:],
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """What a backup keeps of a keyring, for `restored`: neither the identity, which the words give,
    nor the device's key, which speaks for one computer."""

    name: str = text(1, 31)
    stored_epoch_keys: tuple[StoredEpochKey, ...] = several(
        nested(2, StoredEpochKey), EPOCH_KEYS_MAX, 1
    )
    password: PasswordVerifier = nested(3, PasswordVerifier)
    former: tuple[Former, ...] = several(nested(4, Former), FORMER_MAX)


def for_backup(keyring: Keyring) -> bytes:
    """What a backup keeps of it, sealed so that the 24 words open it."""
    kept = Kept(keyring.name, keyring.stored_epoch_keys, keyring.password, keyring.former)
    return Sealer(keys_key(keyring.identity)).seal(_KEPT, encode(kept))


def restored(sealed: bytes, identity: Identity, entropy: Entropy, now: Instant) -> Keyring:
    """The keyring of a new device, with what a backup kept; BackupDamaged when it is damaged."""
    kept = backup.read(Kept, Sealer(keys_key(identity)).open(_KEPT, sealed))
    device = SigningKey(entropy.token(32))
    certified = tuple(
        replace(one, certificate=certificates.certify(one.identity, device.peer, now))
        for one in kept.former
    )
    return Keyring(
        kept.name,
        identity.entropy,
        device.seed,
        certificates.certify(identity, device.peer, now),
        kept.stored_epoch_keys,
        kept.password,
        certified,
    )


def _is_good(certificate: Certificate, now: Instant) -> bool:
    statement = certificate.statement
    return statement.begins <= now <= statement.ends - CERTIFICATE_RENEWAL_SECONDS


class OwnKeys:
    """The node's own keys as they are now: what is renewed, everybody signs with from then on."""

    def __init__(self, disk: Disk, keyring: Keyring, wrapping: Wrapping = PLAIN) -> None:
        self._disk = disk
        self._keyring = keyring
        self._wrapping = wrapping
        self.password_changed = Bell()
        # Made once: each takes its time, and none of them changes when the certificate is renewed.
        self._epoch_keys = keyring.epoch_keys()
        self._epoch_public = keyring.epoch.public
        self._device = keyring.device
        self._fingerprint = keyring.fingerprint
        self._address = keyring.address

    async def renew(self, now: Instant) -> None:
        """Make what will soon expire anew; to be called before anything is signed."""
        await self._change(lambda keyring: keyring.renewed(now))

    async def rotate(self, now: SureInstant, secret: bytes) -> None:
        """Have a new epoch key when it is time; it is durable before any record names it."""
        await self._change(lambda keyring: keyring.rotated(now, secret))

    async def drop_old_epochs(self, now: SureInstant) -> None:
        """Our newest record, which is durable, names the current epoch key."""
        await self._change(lambda keyring: keyring.dropped(now))

    def are_waiting_for_fetch(self, now: SureInstant) -> bool:
        """Whether an epoch key could go if all drops were emptied now."""
        return self._keyring.thinned(now, now) is not self._keyring

    async def forget_old_epochs(self, now: SureInstant, emptied_at: Instant | None) -> list[bytes]:
        """Delete epoch keys whose time is over, for good: the ids of those that went."""
        before = self._epoch_keys
        await self._change(lambda keyring: keyring.thinned(now, emptied_at))
        return [one for one in before if one not in self._epoch_keys]

    def for_backup(self) -> tuple[bytes, bytes, bytes]:
        """What a backup keeps of the keys, sealed; the key for its mail, and its mark."""
        identity = self._keyring.identity
        return for_backup(self._keyring), backup.mail_key(identity), backup.mark(identity)

    async def protect(self, wrapping: Wrapping) -> None:
        """From now on they lie on the disk in this wrapping, and only in it."""
        await self._change(lambda keyring: keyring, wrapping)

    async def change_password(self, verifier: PasswordVerifier) -> None:
        """From now on this is the mailbox password, and the one before is none: who came in with
        that one hears `password_changed`, also if nobody waits for us any more."""
        loop = asyncio.get_running_loop()
        await self._change(
            lambda keyring: replace(keyring, password=verifier),
            then=lambda: loop.call_soon_threadsafe(self.password_changed.ring),
        )

    async def _change(
        self,
        change: Callable[[Keyring], Keyring],
        wrapping: Wrapping | None = None,
        then: Callable[[], object] = lambda: None,
    ) -> None:
        """Save what `change` makes of them. Two changes at once do not undo each other, nor does
        one that nobody waits for any more: else keys could be written back unwrapped."""
        saved = False
        while not saved:
            keyring, before = self._keyring, self._wrapping
            changed, new = change(keyring), wrapping or before
            if changed is keyring and new is before:
                return

            def work(
                keyring: Keyring = keyring,
                before: Wrapping = before,
                changed: Keyring = changed,
                new: Wrapping = new,
            ) -> bool:
                if self._keyring is not keyring or self._wrapping is not before:
                    return False
                save(self._disk, changed, new)
                if changed.stored_epoch_keys != keyring.stored_epoch_keys:
                    self._epoch_keys = changed.epoch_keys()
                    self._epoch_public = changed.epoch.public
                self._keyring, self._wrapping = changed, new
                self._fingerprint, self._address = changed.fingerprint, changed.address
                then()
                return True

            saved = await self._disk.run(work)

    async def hand_on(self, entropy: bytes, now: Instant) -> None:
        """Be another identity from now on: one write, so a crash leaves us the old one or the new.

        Everything that follows from it (telling, publishing) is done again after a start."""
        await self._change(lambda keyring: keyring.handed_on(entropy, now))

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """Whoever we are and were: letters to any of them are ours."""
        former = [one.certificate.fingerprint for one in reversed(self._keyring.former)]
        return (self._fingerprint, *former)

    @property
    def addresses(self) -> tuple[Address, ...]:
        return tuple(Address(self.name, one) for one in self.fingerprints)

    def certificate_of(self, fingerprint: Fingerprint) -> Certificate:
        """This device's, by the identity that we are or were."""
        ours = (self._keyring.certificate, *(one.certificate for one in self._keyring.former))
        return next(one for one in ours if one.fingerprint == fingerprint)

    def rotations(self) -> tuple[tuple[Identity, Identity], ...]:
        """Who we were and who we were next, the oldest first."""
        were = [one.identity for one in self._keyring.former]
        return tuple(zip(were, [*were[1:], self._keyring.identity], strict=True)) if were else ()

    @property
    def wrapping(self) -> Wrapping:
        return self._wrapping

    @property
    def name(self) -> str:
        return self._keyring.name

    @property
    def address(self) -> Address:
        return self._address

    @property
    def fingerprint(self) -> Fingerprint:
        return self._fingerprint

    @property
    def identity(self) -> Identity:
        """Both keys of the identity itself: it certifies, revokes and hands itself on with them."""
        return self._keyring.identity

    @property
    def device(self) -> SigningKey:
        if self._device.seed != self._keyring.device_seed:
            self._device = self._keyring.device
        return self._device

    @property
    def certificate(self) -> Certificate:
        return self._keyring.certificate

    @property
    def epoch_public(self) -> bytes:
        """What letters should be sealed to from now on."""
        return self._epoch_public

    @property
    def password(self) -> PasswordVerifier:
        return self._keyring.password

    def epoch_keys(self) -> dict[bytes, EpochKey]:
        return self._epoch_keys


def new_keyring(
    name: str, identity: Identity, password: PasswordVerifier, entropy: Entropy, now: Instant
) -> Keyring:
    """A keyring for a new device of this identity."""
    device = SigningKey(entropy.token(32))
    return Keyring(
        name,
        identity.entropy,
        device.seed,
        certificates.certify(identity, device.peer, now),
        (StoredEpochKey(entropy.token(keys.EPOCH_SECRET_BYTES), int(now), 0),),
        password,
        (),
    )


def exists(disk: Disk) -> bool:
    return FILE_NAME in disk.names("")


def stored(disk: Disk) -> Wrapped:
    """The keyring as it lies there; NotSetUp when there is none yet, ConfigurationError when it
    cannot be read."""
    try:
        with disk.open(FILE_NAME) as file:
            octets = file.read(limits.FRAME_BYTES_MAX)
        encoded, digest = octets[:-DIGEST_BYTES], octets[-DIGEST_BYTES:]
        if hashlib.sha256(encoded).digest() != digest:
            raise PeerMisbehaved("it is damaged")
        return parse(encoded)
    except FileNotFoundError as error:
        raise NotSetUp from error
    except (OSError, PeerMisbehaved) as error:
        raise _unreadable(disk, error) from error


def load(disk: Disk, wrapping: Wrapping = PLAIN) -> Keyring:
    """The keyring. As `stored`; Locked when it is wrapped, and this is not what it was wrapped
    with."""
    wrapped = stored(disk)
    try:
        content = wrapping.unwrap(wrapped)
    except PermanentFailure as error:
        raise Locked(
            f"The keys in {disk.folder}/{FILE_NAME} are wrapped, and this does not open them."
        ) from error
    try:
        found = decode(Keyring, content)
        # A copy of this file comes back from wherever it was kept, too.
        keys.load_ed25519(found.certificate.statement.identity)
        keys.load_ed25519(found.certificate.device)
        return found
    except PeerMisbehaved as error:
        raise _unreadable(disk, error) from error


def _unreadable(disk: Disk, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"The keys in {disk.folder}/{FILE_NAME} cannot be read ({error}). Restore that file "
        "from a backup, or move the folder away and set up again with your 24 words."
    )


def save(disk: Disk, keyring: Keyring, wrapping: Wrapping = PLAIN) -> None:
    """Make it durable in the old one's place; the old one's octets are overwritten.

    Raises DiskFull or TemporaryFailure; then the old one is there, or the new one, whole."""
    try:
        disk.write(FILE_NAME, _file(keyring, wrapping), blot=True)
    except OSError as error:
        raise TemporaryFailure(
            f"The disk did not take the keys ({error}). They open as before, or as they should "
            "from now on. Mend that, then try again."
        ) from error


def draft(disk: Disk, keyring: Keyring, wrapping: Wrapping = PLAIN) -> BinaryIO:
    """A first keyring on the disk, which nobody finds yet: `keep` it, or close it to forget it."""
    spool = disk.spool()
    try:
        spool.write(_file(keyring, wrapping))
        spool.flush()
    except OSError:
        spool.close()
        raise
    return spool


def keep(disk: Disk, drafted: BinaryIO) -> None:
    """Make the first keyring durable, or leave none."""
    try:
        disk.keep(drafted, FILE_NAME)
    except (OSError, DiskFull):
        disk.remove(FILE_NAME)  # its name may stand there, only not for sure
        raise


def _file(keyring: Keyring, wrapping: Wrapping) -> bytes:
    encoded = wrapping.wrap(encode(keyring))
    return encoded + hashlib.sha256(encoded).digest()
