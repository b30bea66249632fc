"""Where this program keeps what it keeps, in the user's home.

Invariant: its folders are its own: `postroad` there is the service's, and is left to it.
See: XDG Base Directory Specification 0.8.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

OURS = "postroad-tray"


def configuration(variables: Mapping[str, str] = os.environ) -> Path:
    """Of all programs: what a user has chosen."""
    return _home(variables, "XDG_CONFIG_HOME", ".config")


def state(variables: Mapping[str, str] = os.environ) -> Path:
    """Of all programs: what they remember."""
    return _home(variables, "XDG_STATE_HOME", ".local/state")


def _home(variables: Mapping[str, str], name: str, otherwise: str) -> Path:
    chosen = variables.get(name)
    return Path(chosen) if chosen else Path(variables.get("HOME") or Path.home()) / otherwise
