"""The next release: the very tree of this one, with what a release really brings changed in it.

It has a second migration that rewrites each row of a table and adds another, a module that is new
in the place of one that is gone, a key of the configuration and of the policy, another unit and
another sandbox. So an upgrade is one between two programs, and not between two numbers.
Invariant: a change that finds no place in the tree any more is an error that names the file.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

VERSION = "0.2.0"
FORMAT = 2
"""Of its stores."""
GONE, NEW = "base/bell.py", "base/doorbell.py"
KEY = "correspondents"
PAUSE = "700ms"
"""Before its service is started again after a crash, in its unit."""
CLOSED = "/srv"
"""What its sandbox closes, beside what it did before."""

MIGRATION = """
    -- How often each person was written to, also when the statistics have forgotten it.
    ALTER TABLE statistics ADD COLUMN month TEXT NOT NULL DEFAULT '';
    UPDATE statistics SET month = strftime('%Y-%m', accepted_at, 'unixepoch');
    CREATE TABLE correspondent (
        fingerprint TEXT PRIMARY KEY,
        letters     INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    INSERT INTO correspondent SELECT fingerprint, count(*) FROM statistics GROUP BY fingerprint;
"""
SETTING = f"""    {KEY}: bool = field(
        default=True, metadata=_about("Whether your node counts how often you write to whom.")
    )
"""
CHANGELOG = f"""\
postroad ({VERSION}) unstable; urgency=medium

  * Counts how often its owner writes to whom.

 -- The Postroad authors <authors@postroad.invalid>  Thu, 31 Dec 2026 06:00:00 +0000

"""


def change(tree: Path) -> None:
    """Make the next release of an exported tree, with debian/ at its top."""
    change_service(tree / "service" / "postroad")
    _replace(tree / "pyproject.toml", r'^version = ".*"$', f'version = "{VERSION}"')
    _replace(tree / "debian" / "changelog", r"\A", CHANGELOG)


def changed_service(service: Path, into: Path) -> Path:
    """A source root with the next release of this package `postroad`, for a node that runs from
    sources."""
    shutil.copytree(service, into / "postroad", ignore=shutil.ignore_patterns("__pycache__"))
    change_service(into / "postroad")
    return into


def change_service(package: Path) -> None:
    _replace(package / "__init__.py", r'^__version__ = ".*"$', f'__version__ = "{VERSION}"')
    _append(package / "store" / "schema.py", f'\nMIGRATIONS += (\n    """{MIGRATION}    """,\n)\n')
    (package / GONE).rename(package / NEW)
    users = [path for path in package.rglob("*.py") if _module(GONE) in path.read_text("utf-8")]
    for path in users:
        _replace(path, rf"\b{re.escape(_module(GONE))}\b", _module(NEW))
    assert users, f"nobody imports {_module(GONE)} any more: another module has to be moved"
    app, units = package / "app", package / "units"
    _replace(app / "config.py", r"^    log_level: str = field\($", SETTING + r"\g<0>")
    _replace(app / "config.py", r'"helpers",$', rf'\g<0> "{KEY}",')
    _replace(app / "policy.py", r'^    "helpers": Switch\(\),$', rf'\g<0>\n    "{KEY}": Switch(),')
    about = f'    "{KEY}": "false: no node counts to whom its owner writes.",'
    _replace(app / "policy_sample.py", r'^    "helpers": .*$', rf"\g<0>\n{about}")
    _replace(units / "postroad.service", r"^RestartSec=.*$", f"RestartSec={PAUSE}")
    _append(units / "50-sandbox.conf", f"InaccessiblePaths=-{CLOSED}\n")


def _module(path: str) -> str:
    return "postroad." + path.removesuffix(".py").replace("/", ".")


def _replace(path: Path, pattern: str, replacement: str) -> None:
    text = path.read_text("utf-8")
    changed, number = re.subn(pattern, replacement, text, flags=re.MULTILINE)
    assert number, f"the next release changes {pattern} in {path}, which is not there any more"
    path.write_text(changed, "utf-8")


def _append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
