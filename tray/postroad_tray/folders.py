"""Where this program keeps what it keeps, in the user's home.

Invariant: its folders are its own: `postroad` there is the service's, and is left to it.
See: XDG Base Directory Specification 0.8.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

OURS = "postroad-tray"


def configuration(variables: Mapping[str, str] = os.environ) -> Path:
    """Of all programs: what a user has chosen."""
    return _home(variables, "XDG_CONFIG_HOME", ".config")


def state(variables: Mapping[str, str] = os.environ) -> Path:
    """Of all programs: what they remember."""
    return _home(variables, "XDG_STATE_HOME", ".local/state")


def keep(file: Path, told: object) -> None:
    """As JSON, whole or as it was. OSError: it cannot be kept."""
    beside = file.with_suffix(".new")
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside.write_text(json.dumps(told), encoding="utf-8")
    beside.replace(file)


def kept(file: Path, bytes_max: int) -> Any:
    """What is kept there. OSError: nothing to read; ValueError: not to be understood."""
    with file.open("rb") as opened:
        read = opened.read(bytes_max)
    try:
        return json.loads(read)
    except RecursionError as error:
        raise ValueError(f"{file.name} is nested too deep") from error


def _home(variables: Mapping[str, str], name: str, otherwise: str) -> Path:
    chosen = variables.get(name)
    return Path(chosen) if chosen else Path(variables.get("HOME") or Path.home()) / otherwise
