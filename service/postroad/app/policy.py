"""The administrator's policy: the widest that any user of this computer may choose.

Purpose: promise A6. `/etc/postroad/policy.toml` has the keys of the configuration; what a user's
file says beyond it is cut to it, and what lies within it stays as the user said.
Invariants: whatever the user says, no setting that comes out is wider than the policy; a policy
that cannot be read, understood or trusted (not root's, or others may write it) starts nothing; the
place is a constant, for an environment variable would be the user's.
A new setting is one line in RULES. See: docs/policy.md, docs/adr/0012-policy.md.
"""

import errno
import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

from postroad.app import config as configuration
from postroad.app.config import CHOICES, LINKS, Config
from postroad.base import limits
from postroad.base.errors import ConfigurationError
from postroad.machine.privacy import ROOT, folders_above, unmapped
from postroad.protocol.border import intersection

PATH = Path("/etc/postroad/policy.toml")
OWNERS = frozenset({ROOT})
POLICY_BYTES_MAX = 256 * limits.KIB
CHANGED = (
    "Your administrator changed the policy of this computer, so your node stopped; nothing is "
    "lost. Start it again."
)
WHAT_TO_DO = "Ask your administrator to mend it; until then Postroad does not start."


class Rule(Protocol):
    """How one key is bound. `most`: what `read` made of the policy's value."""

    def read(self, key: str, value: Any) -> Any:
        """The policy's value; ValueError says what it must be."""

    def narrowed(self, most: Any, wanted: Any) -> Any:
        """What the user wants as far as `most` lets them: itself where it is within."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One word of a row that goes from narrow to wide; narrower ones stay free to choose."""

    row: tuple[str, ...]

    def read(self, key: str, value: Any) -> str:
        if value not in self.row:
            raise ValueError(f"it must be one of {', '.join(self.row)}")
        return str(value)

    def narrowed(self, most: str, wanted: str) -> str:
        return self.row[min(self.row.index(most), self.row.index(wanted))]


class Switch:
    """Off is narrower than on."""

    def read(self, key: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError("it must be true or false")
        return value

    def narrowed(self, most: bool, wanted: bool) -> bool:
        return most and wanted


class AtMost:
    """A number, at most so great."""

    def read(self, key: str, value: Any) -> Any:
        return configuration.valid(key, value)

    def narrowed(self, most: float, wanted: float) -> float:
        return min(most, wanted)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of those that are listed; the first one for whoever wants another."""

    words: tuple[str, ...]

    def read(self, key: str, value: Any) -> tuple[str, ...]:
        listed = [value] if isinstance(value, str) else value
        good = isinstance(listed, list) and listed and all(one in self.words for one in listed)
        if not good:
            raise ValueError(f"it must be a list of one or more of {', '.join(self.words)}")
        return tuple(listed)

    def narrowed(self, most: tuple[str, ...], wanted: str) -> str:
        return wanted if wanted in most else most[0]


class Port:
    """A port, or a range like "46464-46470"; its first one for whoever wants another, or any."""

    def read(self, key: str, value: Any) -> tuple[int, int]:
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        found = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", text, re.ASCII)
        low, high = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
        if not 1 <= low <= high <= 65535:
            raise ValueError('it must be a port like 46464, or a range like "46464-46470"')
        return low, high

    def narrowed(self, most: tuple[int, int], wanted: int) -> int:
        return wanted if most[0] <= wanted <= most[1] else most[0]


class Hosts:
    """Addresses of this machine, none meaning all; all allowed ones for whoever wants others."""

    def read(self, key: str, value: Any) -> tuple[str, ...]:
        return tuple(configuration.valid(key, value))

    def narrowed(self, most: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
        if not most or not wanted:  # one of them is all there are
            return most or wanted
        return tuple(one for one in wanted if one in most) or most


class Networks:
    """Networks; what lies in both for whoever wants others too, which may be nothing at all."""

    def read(self, key: str, value: Any) -> tuple[str, ...]:
        return tuple(configuration.valid(key, value))

    def narrowed(self, most: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
        return intersection(most, wanted)


class Circle:
    """People, by their fingerprints; those of both lists for whoever wants others, too."""

    def read(self, key: str, value: Any) -> tuple[str, ...]:
        return tuple(configuration.valid(key, value))

    def narrowed(self, most: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
        if configuration.ANYBODY in most:
            return wanted
        if configuration.ANYBODY in wanted:
            return most
        allowed = {configuration.fingerprint_in(one) for one in most}
        return tuple(one for one in wanted if configuration.fingerprint_in(one) in allowed)


class Some:
    """Words of a list; all that are allowed for whoever wants none of them."""

    def read(self, key: str, value: Any) -> tuple[str, ...]:
        return tuple(configuration.valid(key, value))

    def narrowed(self, most: tuple[str, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(one for one in wanted if one in most) or most


# From narrow to wide, where the order of the configuration's own list is another.
RULES: Mapping[str, Rule] = {
    "link": AnyOf(LINKS),
    "relay": Choice(("off", "contacts", "anybody")),
    "relay_kilobytes_per_second": AtMost(),
    "hold_for": Choice(("off", "contacts", "vouched")),
    "strangers": Choice(("refuse", "requests")),
    "lan": Switch(),
    "dial_private": Switch(),
    "expiry_days": AtMost(),
    "smtp_port": Port(),
    "imap_port": Port(),
    "pop3_port": Port(),
    "peer_port": Port(),
    "peer_hosts": Hosts(),
    "networks": Networks(),
    "contacts": Circle(),
    "directory": Switch(),
    "keys_at_rest": Some(),
    "size_max_mib": AtMost(),
    "bundle_write": Switch(),
    "bundle_read": Switch(),
    "helpers": Switch(),
}
assert all(
    set(rule.row) == set(CHOICES[key]) for key, rule in RULES.items() if isinstance(rule, Choice)
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the file says. `digest`: its SHA-256 in hexadecimal digits; "" where it says nothing."""

    most: Mapping[str, Any]
    digest: str = ""

    @property
    def is_there(self) -> bool:
        return bool(self.digest)


@dataclass(frozen=True, slots=True)
class Setting:
    """One key as it takes effect. `source`: "default", "configuration", or "policy" where that
    narrowed what the user wanted. `bound`: whether the policy says anything about it."""

    key: str
    value: Any
    wanted: Any
    source: str
    bound: bool


NO_POLICY = Policy({})


def load(path: Path | None = None) -> Policy:
    """The policy of this computer; ConfigurationError when there is one that cannot be trusted."""
    path = path or PATH
    octets = _octets(path)
    if octets is None:
        return NO_POLICY
    try:
        written = tomllib.loads(octets.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"is not valid TOML: {error}") from error
    most: dict[str, Any] = {}
    for key, value in written.items():
        rule = RULES.get(key)
        if rule is None:
            keys = ", ".join(RULES)
            raise _wrong(path, f"has a key that is not known here, {key}. The keys are: {keys}")
        try:
            most[key] = rule.read(key, value)
        except (ValueError, TypeError) as error:
            shown = configuration.shown(value)
            raise _wrong(path, f"says {key} = {shown}, but {_reason(error)}") from error
    # The file of a package, in which nothing is said yet, binds nobody and starts no node again.
    return Policy(most, hashlib.sha256(octets).hexdigest()) if most else NO_POLICY


def has_changed(policy: Policy) -> bool:
    """Whether the computer's policy is another one by now, or cannot be read any more."""
    try:
        return load().digest != policy.digest
    except ConfigurationError:
        return True


def narrowed(config: Config, policy: Policy) -> Config:
    """The configuration as far as the policy lets it."""
    cut = {
        key: RULES[key].narrowed(most, getattr(config, key)) for key, most in policy.most.items()
    }
    return replace(config, **cut)


def to_set_up(config: Config, policy: Policy, link: str | None) -> Config:
    """What `setup` begins with: the ports where the policy wants them, for they are printed.

    Raises ConfigurationError when the link that was asked for is not allowed."""
    cut = narrowed(config, policy)
    if link is not None and cut.link != link:
        raise ConfigurationError(
            f"The policy of this computer ({PATH}) does not allow --link {link}. Leave it out: "
            f"nodes here use {cut.link}."
        )
    return replace(
        config,
        smtp_port=cut.smtp_port,
        imap_port=cut.imap_port,
        pop3_port=cut.pop3_port,
        peer_port=cut.peer_port,
    )


def for_helper(config: Config, policy: Policy) -> Config:
    """What a helper may do here of what its options want; ConfigurationError when it may not run:
    it passes on and holds, over iroh."""
    cut = narrowed(config, policy)
    for key, needed in (("relay", "contacts"), ("hold_for", "contacts"), ("link", "iroh")):
        most = policy.most.get(key)
        if most is not None and RULES[key].narrowed(most, needed) != needed:
            raise ConfigurationError(
                f"The policy of this computer ({PATH}) does not allow a helper: {key} would have "
                f"to be {needed}."
            )
    return cut


def narrowed_keys(config: Config, policy: Policy) -> list[str]:
    """Where the user wants more than the policy lets them have."""
    cut = narrowed(config, policy)
    return [key for key in policy.most if getattr(cut, key) != getattr(config, key)]


def effective(config: Config, written: frozenset[str], policy: Policy) -> list[Setting]:
    """Every key, in the order of the file. `written`: the keys that the user's file names."""
    cut = narrowed(config, policy)
    found = []
    for each in fields(Config):
        key = each.name
        value, wanted = getattr(cut, key), getattr(config, key)
        source = "configuration" if key in written else "default"
        if value != wanted:
            source = "policy"
        found.append(Setting(key, value, wanted, source, key in policy.most))
    return found


def _octets(path: Path) -> bytes | None:
    """What the file holds; None when there is none. It is asked whose it is while it is open."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENOENT and not _leads_nowhere(path):
            for folder in folders_above(path):
                _check_hands(path, folder.stat(), folder, "is not there, and may have been taken")
            return None
        raise _wrong(path, f"cannot be read ({error.strerror})") from error
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise _wrong(path, "is not a file")
        _check_hands(path, found, path)
        for folder in folders_above(path):
            _check_hands(path, folder.stat(), folder)
        octets = os.pread(handle, POLICY_BYTES_MAX + 1, 0)
    except OSError as error:
        raise _wrong(path, f"cannot be read ({error.strerror})") from error
    finally:
        os.close(handle)
    if len(octets) > POLICY_BYTES_MAX:
        raise _wrong(path, f"is longer than {POLICY_BYTES_MAX} bytes")
    return octets


def _leads_nowhere(path: Path) -> bool:
    """Whether there is a policy whose link, or that of a folder above it, leads to nothing: its
    disk is not there, perhaps, and what it says nobody knows."""
    return any(one.is_symlink() and not one.exists() for one in (path, *path.parents))


def _check_hands(
    policy: Path, found: os.stat_result, path: Path, so: str = "cannot be trusted"
) -> None:
    """Only the administrator may write there: whoever can write a folder can exchange what is in
    it, or take it away."""
    if found.st_uid not in OWNERS | unmapped():
        raise _wrong(policy, f"{so}: {path} belongs to user {found.st_uid}, not root")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise _wrong(policy, f"{so}: others than root may write {path}")


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else "that is no value for it"


def _wrong(path: Path, what: str) -> ConfigurationError:
    return ConfigurationError(f"The policy {path} {what}. {WHAT_TO_DO}")
