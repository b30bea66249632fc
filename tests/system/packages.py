"""Other versions of the package under test: what an upgrade comes from, and what it leads to.

An older one is the same files with another number; the next one is another program.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import deb
import next_release
from booted import Booted
from environment import CACHE, one_at_a_time

OLDER = "0.0.9"
SITE = "usr/lib/postroad/site/postroad"
KEPT_MAX = 3  # another run may use one of them


def other_version(package: Path, version: str, folder: Path) -> Path:
    """Make it out of this package, into a folder."""
    made = folder / f"postroad_{version}_other.deb"
    with tempfile.TemporaryDirectory(prefix="postroad-") as scratch:
        raw = Path(scratch) / "raw"
        subprocess.run(["dpkg-deb", "--raw-extract", str(package), str(raw)], check=True)
        own = _change(raw / "DEBIAN" / "control", r"^Version: (.*)$", f"Version: {version}")
        _change(raw / "DEBIAN" / "preinst", re.escape(own), version)
        _change(raw / SITE / "__init__.py", rf'"{re.escape(own)}"', f'"{version}"')
        pack = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", str(raw), str(made)]
        subprocess.run(pack, stdout=subprocess.DEVNULL, check=True)
    return made


def forget_distribution(system: Booted) -> None:
    """There is no network, so what its distribution has is not asked."""
    system.root("sh", "-c", "mkdir /etc/apt/away; mv /etc/apt/sources.list* /etc/apt/away")
    system.root("mkdir", "/etc/apt/sources.list.d")


def _change(path: Path, pattern: str, replacement: str) -> str:
    """Replace each place of a file that matches, at least one; what the first one's group held."""
    text = path.read_text("utf-8")
    found = re.search(pattern, text, re.MULTILINE)
    assert found is not None, f"{path.name} has no {pattern}"
    path.write_text(re.sub(pattern, replacement, text, flags=re.MULTILINE), "utf-8")
    return found[found.lastindex or 0]


def next_version() -> Path:
    """The next release, built of the last commit as the package under test is, once for all
    suites."""
    folder = CACHE / "next-release"
    asked = ["git", "rev-parse", "HEAD"]
    commit = subprocess.check_output(asked, cwd=deb.ROOT)
    changes = Path(next_release.__file__).read_bytes()
    place = folder / hashlib.sha256(commit + changes).hexdigest()[:12]
    with one_at_a_time(folder / "lock"):
        if not place.exists():
            made_before = filter(Path.is_dir, folder.iterdir())
            for each in sorted(made_before, key=lambda one: one.stat().st_mtime)[:-KEPT_MAX]:
                shutil.rmtree(each, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix="making-") as making:
                made = Path(making) / "made"
                deb.build(into=made, change=next_release.change, with_tray=False)
                made.rename(place)
    (package,) = place.glob("*.deb")
    return package


def number_of(package: Path) -> str:
    """Its version."""
    asked = ["dpkg-deb", "--field", str(package), "Version"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
