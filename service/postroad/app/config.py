"""The owner's configuration: one TOML file, read once into a value that cannot be wrong.

An unknown key or a bad value refuses to start, with the file, the line, the key and the reason;
all that is wrong is said at once. Nothing below `app` reads a file or the environment: rooms
receive the numbers that they need. Longer than others, because each key is told
about here, and nowhere else.
Invariant: what the owner wrote into the file stays as it is, but for the values that we change.
"""

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from postroad.app import durable
from postroad.app.config_lines import lines_of
from postroad.base import limits
from postroad.base.errors import ConfigurationError, PermanentFailure
from postroad.base.ids import Fingerprint, is_fingerprint
from postroad.message import address
from postroad.protocol.border import ALL, border
from postroad.protocol.holding import HoldFor
from postroad.sealing.wrapping import Protection

FILE_NAME = "config.toml"
LINKS = ("iroh", "tls")
ANYBODY = "*"
RELAYS = ("contacts", "anybody", "off")
SPARING = ("mail-only", "as-usual")
STRANGERS = ("requests", "refuse")
CHOICES = {
    "link": LINKS,
    "relay": RELAYS,
    "hold_for": tuple(one.value for one in HoldFor),
    "strangers": STRANGERS,
    "metered": SPARING,
    "on_battery": SPARING,
}
# What `["*"]` means where a list is wanted: there is no other word for all, here or in the policy.
ALL_OF: dict[str, tuple[str, ...]] = {
    "peer_hosts": (),
    "networks": ALL,
    "contacts": (ANYBODY,),
    "keys_at_rest": tuple(one.value for one in Protection),
}
RELAY_KILOBYTES_MAX = 1_000_000
RESERVE_MIB_MAX = 1 << 20
SIZE_MIB_MIN = 0.1  # introductions and notices of ours are letters, too
SWITCHES = (
    "lan", "dial_private", "directory", "refuse_silently", "bundle_write", "bundle_read", "helpers",
)  # fmt: skip


# What a running node takes over when it is told to (`postroad config reload`); the rest is for its
# next start.
LIVE = frozenset({
    "expiry_days", "reserve_mib", "size_max_mib", "relay_kilobytes_per_second", "lan", "hold_for",
    "bundle_write", "bundle_read", "strangers", "refuse_silently", "log_level",
})  # fmt: skip


def _about(text: str) -> dict[str, str]:
    """What a new file says about a key."""
    return {"about": text}


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with one key of a file, or with the file itself, where `key` is ""."""

    line: int | None
    key: str
    reason: str

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        return f"{where}{self.key}{self.reason}"


@dataclass(frozen=True, slots=True)
class Config:
    """One value for each key of the file, named and told about as in the file."""

    data: Path = field(metadata=_about("The folder of your keys and your mail."))
    runtime: Path = field(metadata=_about("The folder of the socket at which your node is asked."))
    smtp_port: int = field(
        default=10587, metadata=_about("Where your mail program sends: a TCP port of 127.0.0.1.")
    )
    imap_port: int = field(
        default=10143, metadata=_about("Where your mail program reads: a TCP port of 127.0.0.1.")
    )
    pop3_port: int = field(
        default=10110,
        metadata=_about("Where a program that fetches mail by POP3 does: a TCP port of 127.0.0.1."),
    )
    peer_port: int = field(
        default=limits.PEER_PORT_DEFAULT,
        metadata=_about("Where other nodes reach yours: UDP for iroh, TCP for tls and the relay."),
    )
    peer_hosts: tuple[str, ...] = field(
        default=ALL_OF["peer_hosts"],
        metadata=_about('Addresses of this machine for other nodes; "*" for all.'),
    )
    link: str = field(
        default="iroh", metadata=_about("How nodes reach each other: iroh (QUIC) or tls (TCP).")
    )
    expiry_days: float = field(
        default=limits.EXPIRY_SECONDS_DEFAULT / limits.DAY,
        metadata=_about("How long a letter is tried before it is returned."),
    )
    reserve_mib: float = field(
        default=limits.DISK_RESERVE_BYTES / limits.MIB,
        metadata=_about("With less disk space, new letters are refused to finish the old ones."),
    )
    dial_private: bool = field(
        default=False,
        metadata=_about(
            "Whether addresses of private networks are dialled when strangers name them: true only "
            "where all nodes share such a network."
        ),
    )
    relay: str = field(
        default="contacts",
        metadata=_about(
            "For whom you pass on packets where there is no direct way: contacts, anybody or off."
        ),
    )
    relay_kilobytes_per_second: int = field(
        default=limits.RELAY_BYTES_PER_SECOND // 1000,
        metadata=_about("How much of that you pass on, all together."),
    )
    lan: bool = field(
        default=True,
        metadata=_about(
            "Whether contacts on your local network find you; others see that some node is there."
        ),
    )
    metered: str = field(
        default="mail-only",
        metadata=_about(
            "What your node does for others while NetworkManager calls the connection metered: "
            "mail-only, or as-usual."
        ),
    )
    on_battery: str = field(
        default="mail-only",
        metadata=_about("The same while the computer runs on its battery: mail-only, or as-usual."),
    )
    networks: tuple[str, ...] = field(
        default=ALL_OF["networks"],
        metadata=_about(
            'With which networks your node speaks at all, like 10.0.0.0/8, or "*" for all; what '
            "lies outside is neither dialled nor answered."
        ),
    )
    directory: bool = field(
        default=True,
        metadata=_about(
            "Whether your node takes part in the directory, where people are found who have moved."
        ),
    )
    contacts: tuple[str, ...] = field(
        default=ALL_OF["contacts"],
        metadata=_about(
            'Who may be a contact: addresses or their fingerprints, or "*" for anybody.'
        ),
    )
    keys_at_rest: tuple[str, ...] = field(
        default=ALL_OF["keys_at_rest"],
        metadata=_about(
            'By what your keys may be protected on the disk (postroad keys); "*" for all ways.'
        ),
    )
    size_max_mib: float = field(
        default=limits.LETTER_BYTES_MAX / limits.MIB,
        metadata=_about("How large a letter that is sent from here may be."),
    )
    bundle_write: bool = field(
        default=True,
        metadata=_about("Whether letters may leave as a file, to be carried (postroad bundle)."),
    )
    bundle_read: bool = field(
        default=True, metadata=_about("Whether letters may come in as such a file.")
    )
    helpers: bool = field(
        default=True,
        metadata=_about("Whether helpers may serve you, whose links postroad accept takes."),
    )
    hold_for: str = field(
        default=HoldFor.VOUCHED.value,
        metadata=_about(
            "For whom your node keeps letters: contacts; vouched, also for those whom they vouch "
            "for; or off."
        ),
    )
    strangers: str = field(
        default="requests",
        metadata=_about(
            "What becomes of letters from strangers: requests (a folder, until you accept them), "
            "or refuse."
        ),
    )
    refuse_silently: bool = field(
        default=False,
        metadata=_about("Whether a stranger whose request you refuse is told nothing."),
    )
    log_level: str = field(
        default="info", metadata=_about("What is logged: debug, info, warning or error.")
    )

    @property
    def control_path(self) -> Path:
        """The socket at which a running node answers its owner's commands."""
        return self.runtime / "control"

    @property
    def is_set_up(self) -> bool:
        """Whether there are keys. ConfigurationError where that cannot be known: whoever set up
        once more below a disk that is not mounted would have a second identity."""
        try:
            os.stat(self.data / "keys")
        except FileNotFoundError:
            is_usual = self.data == default().data and not self.data.is_symlink()
            if is_usual or self.data.is_dir():
                return False
            raise ConfigurationError(
                f"Your data folder {self.data} is not there. If it is on a disk that is not "
                "mounted, mount that, and all goes on. If you were never set up, make the folder, "
                f"then set up: mkdir -m 700 {self.data}"
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"Your data folder {self.data} cannot be looked into ({error.strerror}). See what "
                f"it is, and whose: ls -ld {self.data}"
            ) from error
        return True


KEYS = tuple(each.name for each in fields(Config))
assert set(KEYS) >= LIVE


def default_path() -> Path:
    return _xdg("XDG_CONFIG_HOME", ".config") / "postroad" / FILE_NAME


def default() -> Config:
    """The configuration of somebody who wrote none."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    data = _xdg("XDG_DATA_HOME", ".local/share") / "postroad"
    return Config(data, Path(runtime) / "postroad" if runtime else data / "run")


def load(path: Path) -> Config:
    """What the file says, over the defaults; ConfigurationError tells all mistakes, and where."""
    config, mistakes = looked_through(path)
    if mistakes:
        raise ConfigurationError(told(path, mistakes))
    return config


def told(path: Path, mistakes: Sequence[Mistake]) -> str:
    """All of them in sentences, and each key that there is, where one is unknown."""
    said = [f"{one}." for one in mistakes]
    if len(said) > 1:
        said = ["", *said]
    return f"{path}: " + "\n  ".join(said) + _keys_told(mistakes)


def _keys_told(mistakes: Sequence[Mistake]) -> str:
    if not any(one.reason.startswith(NO_KEY) for one in mistakes):
        return ""
    between = "\n  " if len(mistakes) > 1 else " "
    return f"{between}The keys are: {', '.join(KEYS)}."


NO_KEY = " is not a key"


def looked_through(path: Path) -> tuple[Config, list[Mistake]]:
    """What the file says as far as it is right, and what is not, in the order of its lines.

    Raises ConfigurationError when it cannot be read, or is no TOML."""
    text = _text(path)
    lines = lines_of(text)
    config, mistakes = default(), []
    for key, value in _parsed(path, text).items():
        try:
            if key not in KEYS:
                raise ValueError(NO_KEY + _meant(key))
            config = replace(config, **{key: valid(key, value)})
        except ValueError as error:
            reason = f"{error}" if key not in KEYS else f" = {shown(value)}: {error}"
            mistakes.append(Mistake(lines.get(key), key, reason))
    mistakes += _doubled(config, lines)
    return config, sorted(mistakes, key=lambda one: one.line or 0)


def _doubled(config: Config, lines: Mapping[str, int]) -> Iterator[Mistake]:
    """What should be at one port: only one of them could be."""
    taken: dict[int, str] = {}
    for key in (name for name in KEYS if name.endswith("_port")):
        port = getattr(config, key)
        other = taken.setdefault(port, key)
        if port and other != key:
            reason = f" = {port}: it must be another port than {other}"
            yield Mistake(lines.get(key, lines.get(other)), key, reason)


def _meant(key: str) -> str:
    """The key that was most likely meant."""
    near = difflib.get_close_matches(key.lower().replace("-", "_"), KEYS, 1)
    return f" (did you mean {near[0]}?)" if near else ""


def written_in(path: Path) -> dict[str, Any]:
    """The keys and values that stand in the file, unchecked; none when there is no file."""
    return _parsed(path, _text(path))


def _text(path: Path) -> str:
    """What stands in the file; nothing when there is none. ConfigurationError."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is no TOMLDecodeError
        raise ConfigurationError(f"{path} is not valid TOML: {error}. Mend that line.") from error


def write(path: Path, config: Config) -> None:
    """Make the file say this: a new one tells of every key, in an old one only values change.

    Raises ConfigurationError when it cannot be written."""
    path = path.resolve()  # a link of the owner's stays a link

    def check(draft: Path) -> None:
        if not _says(draft, config):
            lines = "; ".join(
                f"{each.name} = {written_as(said(each.name, value))}"
                for each, value in _differing(path, config)
            )
            raise ConfigurationError(
                f"{path} cannot be changed by a program. Write there: {lines}."
            )

    try:
        changed = _changed(path, config) if path.exists() else sample(config)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        durable.write(path, changed.encode(), 0o666, check)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error


def _says(path: Path, config: Config) -> bool:
    try:
        return load(path) == config
    except ConfigurationError:
        return False


def _differing(path: Path, config: Config) -> list[tuple[Field[Any], Any]]:
    """The keys for which this file says something else, with the values that they should have."""
    before = load(path)
    wanted = [(each, getattr(config, each.name)) for each in fields(Config)]
    return [(each, value) for each, value in wanted if value != getattr(before, each.name)]


HEAD = """\
# Postroad's configuration. To change a value, take away the # before its line.
# `postroad config check` says what is wrong with it; `postroad config reload` has your running node
# take it over. What is marked (*) waits until you start your node again.
"""


def sample(config: Config | None = None) -> str:
    """Every key with what it is; those that have their default are commented out."""
    standard = default()
    lines = [HEAD.rstrip()]
    for each in fields(Config):
        value = getattr(config or standard, each.name)
        line = f"{each.name} = {written_as(said(each.name, value))}"
        is_usual = value == getattr(standard, each.name)
        star = "" if each.name in LIVE else " (*)"
        lines += ["", f"# {each.metadata['about']}{star}", f"# {line}" if is_usual else line]
    return "\n".join(lines) + "\n"


# A value as one line of TOML holds it: a string of either kind, a list, or a bare word.
_VALUE = r"""("(?:[^"\\]|\\.)*"|'[^']*'|\[[^\]]*\]|[^\s#"'\[]+)"""


def _changed(path: Path, config: Config) -> str:
    """The text of the file with those values replaced that differ, or a line added."""
    text = path.read_bytes().decode()
    for each, value in _differing(path, config):
        written = written_as(said(each.name, value))
        line = re.compile(rf"""^([ \t]*["']?{each.name}["']?[ \t]*=[ \t]*){_VALUE}""", re.MULTILINE)
        found = line.search(text)
        if found:
            text = text[: found.start(2)] + written + text[found.end(2) :]
        else:
            text += "" if text.endswith("\n") or not text else "\n"
            text += f"{each.name} = {written}\n"
    return text


def written_as(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, str | Path):
        if not str(value).isprintable():
            raise ConfigurationError(f"{str(value)!r} cannot be a folder of Postroad's: rename it.")
        escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(written_as(one) for one in value) + "]"
    return str(value)


def shown(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:  # more digits than Python prints
        return "a number with thousands of digits"


def said(key: str, value: Any) -> Any:
    """The value as a file says it."""
    return (ANYBODY,) if key in ALL_OF and set(value) == set(ALL_OF[key]) else value


def valid(key: str, value: Any) -> Any:
    """What the value of this key means; ValueError says what it must be."""
    wrong = ValueError
    if key in ALL_OF and value == [ANYBODY]:
        return ALL_OF[key]
    if key in ("data", "runtime"):
        if (
            not isinstance(value, str)
            or not value.isprintable()
            or not value.startswith(("/", "~"))
        ):
            raise wrong("it must be an absolute path in quotes")
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            raise wrong("nobody has that home folder") from error
    if key.endswith("_port"):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 65535:
            raise wrong("it must be a port, 1 to 65535, or 0 for any")
        return value
    if key == "peer_hosts":
        if not isinstance(value, list) or not value or not all(map(_is_address, value)):
            raise wrong('it must be a list of addresses, like ["192.0.2.7"], or ["*"] for all')
        return tuple(value)
    if key == "expiry_days":
        shortest, longest = (
            limits.EXPIRY_SECONDS_MIN / limits.DAY,
            limits.EXPIRY_SECONDS_MAX / limits.DAY,
        )
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not shortest <= value <= longest:
            raise wrong(f"it must be a number of days, {shortest:.3f} to {longest:.0f}")
        return float(value)
    if key == "reserve_mib":
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value <= RESERVE_MIB_MAX:
            raise wrong(f"it must be a number of MiB, 0 to {RESERVE_MIB_MAX}")
        return float(value)
    if key == "networks":
        try:
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise ValueError(value)
            border(value)
            return tuple(value)
        except ValueError as error:
            raise wrong('it must be a list of networks, like ["10.0.0.0/8"], or ["*"]') from error
    if key == "contacts":
        if not isinstance(value, list) or not all(map(_is_person, value)):
            raise wrong('it must be a list of addresses or fingerprints, or ["*"]')
        return tuple(value)
    if key == "keys_at_rest":
        ways = [one.value for one in Protection]
        if not isinstance(value, list) or not value or not all(one in ways for one in value):
            raise wrong(f'it must be a list of one or more of {", ".join(ways)}, or ["*"]')
        return tuple(value)
    if key in SWITCHES:
        if not isinstance(value, bool):
            raise wrong("it must be true or false")
        return value
    if key == "size_max_mib":
        most = limits.LETTER_BYTES_MAX / limits.MIB
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not SIZE_MIB_MIN <= value <= most:
            raise wrong(f"it must be a number of MiB, {SIZE_MIB_MIN} to {most:.0f}")
        return float(value)
    if key == "relay_kilobytes_per_second":
        number = isinstance(value, int) and not isinstance(value, bool)
        if not number or not 1 <= value <= RELAY_KILOBYTES_MAX:
            raise wrong(f"it must be a whole number, 1 to {RELAY_KILOBYTES_MAX}")
        return value
    choices = CHOICES.get(key, ("debug", "info", "warning", "error"))
    if value not in choices:
        raise wrong(f"it must be one of {', '.join(choices)}")
    return value


def _is_person(value: Any) -> bool:
    return isinstance(value, str) and (value == ANYBODY or fingerprint_in(value) is not None)


def fingerprint_in(text: str) -> Fingerprint | None:
    """The fingerprint that stands here by itself or in an address; None when there is none."""
    if is_fingerprint(text):
        return Fingerprint(text)
    try:
        return address.parse(text).fingerprint
    except PermanentFailure:
        return None


def _is_address(value: Any) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return isinstance(value, str)


def _xdg(variable: str, fallback: str) -> Path:
    given = os.environ.get(variable, "")
    return Path(given) if given.startswith("/") else Path.home() / fallback
