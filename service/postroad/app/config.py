"""The owner's configuration: one TOML file, read once into a value that cannot be wrong.

An unknown key or a bad value refuses to start, with the file, the key and the reason. Nothing below
`app` reads a file or the environment: rooms receive the numbers that they need.
"""

import ipaddress
import os
import tomllib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from postroad.base import limits
from postroad.base.errors import ConfigurationError

FILE_NAME = "config.toml"
LINKS = ("iroh", "tls")
RESERVE_MIB_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Config:
    """`data` and `runtime` are folders; ports are TCP on loopback, `peer_port` is for other nodes.

    `peer_hosts`: the addresses to bind for other nodes; empty for all of the machine's.
    `expiry_days`: how long a letter is tried before it is returned. `reserve_mib`: with less disk
    space than this, new letters are refused, so that accepted ones can be finished."""

    data: Path
    runtime: Path
    smtp_port: int = 10587
    imap_port: int = 10143
    peer_port: int = 46464
    peer_hosts: tuple[str, ...] = ()
    link: str = "iroh"
    expiry_days: float = limits.EXPIRY_SECONDS_DEFAULT / limits.DAY
    reserve_mib: float = limits.DISK_RESERVE_BYTES / limits.MIB
    log_level: str = "info"

    @property
    def control_path(self) -> Path:
        """The socket at which a running node answers its owner's commands."""
        return self.runtime / "control"


def default_path() -> Path:
    return _xdg("XDG_CONFIG_HOME", ".config") / "postroad" / FILE_NAME


def default() -> Config:
    """The configuration of somebody who wrote none."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    data = _xdg("XDG_DATA_HOME", ".local/share") / "postroad"
    return Config(data, Path(runtime) / "postroad" if runtime else data / "run")


def load(path: Path) -> Config:
    """What the file says, over the defaults; ConfigurationError names file, key and reason."""
    try:
        written = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return default()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}. Mend that line.") from error
    config = default()
    for key, value in written.items():
        config = replace(config, **{_known(path, key): _checked(path, key, value)})
    return config


def write(path: Path, config: Config) -> None:
    """Write the values that differ from the defaults; an existing file is replaced whole."""
    standard = default()
    lines = ["# Postroad's configuration; `postroad run` says what is wrong with it."]
    for field in fields(Config):
        value = getattr(config, field.name)
        if value != getattr(standard, field.name):
            lines.append(f"{field.name} = {_toml(value)}")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_suffix(".draft")
    draft.write_text("\n".join(lines) + "\n", "utf-8")
    draft.replace(path)


def _toml(value: Any) -> str:
    if isinstance(value, str | Path):
        if not str(value).isprintable():
            raise ConfigurationError(f"{str(value)!r} cannot be a folder of Postroad's: rename it.")
        escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return str(value)


def _known(path: Path, key: str) -> str:
    names = [field.name for field in fields(Config)]
    if key not in names:
        raise ConfigurationError(f"{path}: {key} is not a key. The keys are: {', '.join(names)}.")
    return key


def _checked(path: Path, key: str, value: Any) -> Any:
    def wrong(reason: str) -> ConfigurationError:
        return ConfigurationError(f"{path}: {key} = {value!r}: {reason}.")

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
        if not isinstance(value, list) or not all(map(_is_address, value)):
            raise wrong('it must be a list of addresses, like ["192.0.2.7"]')
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
    choices = LINKS if key == "link" else ("debug", "info", "warning", "error")
    if value not in choices:
        raise wrong(f"it must be one of {', '.join(choices)}")
    return value


def _is_address(value: Any) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return isinstance(value, str)


def _xdg(variable: str, fallback: str) -> Path:
    given = os.environ.get(variable, "")
    return Path(given) if given.startswith("/") else Path.home() / fallback
