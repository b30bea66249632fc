"""Which settings take effect, and who said so: for the command line, and other programs."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from postroad.app import config as configuration
from postroad.app import policy as policies
from postroad.app.config import Config


def told(path: Path, config: Config) -> dict[str, Any]:
    """`config`: what was read from the file at `path`."""
    found = policies.load()
    written = frozenset(configuration.written_in(path))
    settings = [asdict(one) for one in policies.effective(config, written, found)]
    for one in settings:
        for name in ("value", "wanted"):
            value = configuration.said(one["key"], one[name])
            one[name] = str(value) if one["key"] in ("data", "runtime") else value
    return {
        "policy": str(policies.PATH) if found.is_there else None,
        "digest": found.digest or None,
        "settings": settings,
    }
