"""Other versions of the package under test: what an upgrade comes from, and a downgrade leaves.

They are the same files with another number; a newer one may write its stores in a newer form.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

OLDER, NEWER = "0.0.9", "9.9.0"
SITE = "usr/lib/postroad/site/postroad"


def other_version(package: Path, version: str, folder: Path, *, newer_stores: bool = False) -> Path:
    """Make it out of this package, into a folder."""
    made = folder / f"postroad_{version}_other.deb"
    with tempfile.TemporaryDirectory(prefix="postroad-") as scratch:
        raw = Path(scratch) / "raw"
        subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(raw)], check=True)
        own = _change(raw / "DEBIAN" / "control", r"^Version: (.*)$", f"Version: {version}")
        _change(raw / "DEBIAN" / "preinst", re.escape(own), version)
        _change(raw / SITE / "__init__.py", rf'"{re.escape(own)}"', f'"{version}"')
        if newer_stores:
            _change(raw / "DEBIAN" / "preinst", r"KNOWN = (\d+), (\d+)", r"KNOWN = \1, 1\2")
            with (raw / SITE / "store" / "schema.py").open("a") as schema:
                schema.write('MIGRATIONS += ("CREATE TABLE newer (one INTEGER) STRICT",)\n')
        pack = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(raw), str(made)]
        subprocess.run(pack, stdout=subprocess.DEVNULL, check=True)
    return made


def _change(path: Path, pattern: str, replacement: str) -> str:
    """Replace each place of a file that matches, at least one; what the first one's group held."""
    text = path.read_text("utf-8")
    found = re.search(pattern, text, re.MULTILINE)
    assert found is not None, f"{path.name} has no {pattern}"
    path.write_text(re.sub(pattern, replacement, text, flags=re.MULTILINE), "utf-8")
    return found[found.lastindex or 0]
