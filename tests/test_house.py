"""The house stands as it is drawn: contracts, locks, and a README whose every line can be typed."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import errno
import importlib
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import alone
import dev
import pages
import postroad
from postroad.app.cli import main
from postroad.base.seams import Entropy
from postroad.sealing.wrapping import PLAIN, Wrapped

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (ROOT / "service", ROOT / "tray")
SETTING = re.compile(r"[A-Z_]+=.*")
# Names that hold what nobody else may know, wherever they stand.
SECRET = re.compile(
    r"(^|_)(seed|secret|entropy|words|passphrase|password|content_key|tickets?|salted|link)$"
)
HARMLESS = {
    "Keyring.password",  # a PasswordVerifier: it hides its own fields
    "Kept.password",  # likewise
    "MyDrop.tickets",  # a digest of hashes
    "Config.link",  # iroh or tls
    "_Entry.link",  # a connection
    "AnyOf.words",  # what a key of the policy may say
}


def run(*command: str) -> subprocess.CompletedProcess[str]:
    ours = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ROOMS))}
    return subprocess.run(
        command, cwd=ROOT, env=ours, capture_output=True, text=True, check=False, timeout=120
    )


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def modules() -> Iterator[str]:
    for room in ROOMS:
        for path in sorted(room.rglob("*.py")):
            parts = path.relative_to(room).with_suffix("").parts
            if parts[-1] != "__main__":
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def written_files() -> Iterator[Path]:
    """Every text that people write in this tree."""
    for name in (".ci", "benchmarks", "docs", "packaging", "service", "tests", "tools", "tray"):
        for path in (ROOT / name).rglob("*"):
            if path.suffix in {".py", ".md", ".sh", ".toml", ".sql", ""} and path.is_file():
                yield path
    yield from (path for path in ROOT.glob("*") if path.suffix in {".md", ".toml"})


def readme_lines() -> list[str]:
    text = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if line.strip()]


def test_the_contracts_between_the_rooms_hold() -> None:
    done = run(str(Path(sys.executable).parent / "lint-imports"), "--no-logo", "--no-cache")
    assert done.returncode == 0, done.stdout


def test_whatever_tests_drive_can_be_installed_for_them() -> None:
    """One that asks by itself whether a program is here is left out on each new machine."""
    asks = re.compile(r"shutil\.which\((?![^)]*path=)")  # where, not whether
    asking = [each.name for each in (ROOT / "tests").rglob("*.py") if asks.search(each.read_text())]
    assert asking == [], "tests/needed.py knows what `make test` installs: ask it"


def test_a_command_that_runs_alone_reaches_itself_and_nobody_else() -> None:
    program = """
import os, socket
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname()).close()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
    print(os.getuid(), outside.connect_ex(("192.0.2.1", 9)))
"""
    done = run(sys.executable, "tools/alone.py", sys.executable, "-c", program)
    if done.returncode == 125:
        pytest.skip("no network namespace is allowed here")
    assert done.stdout == f"{os.getuid()} {errno.ENETUNREACH}\n", done.stderr


def test_nobody_who_runs_alone_is_given_a_port_of_the_nodes() -> None:
    program = """
import socket, sys
first, last = map(int, sys.argv[1].split("-"))
taken = []
for _ in range(500):  # of the range around them there are not many more
    taken.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    taken[-1].bind(("127.0.0.1", 0))
print(sum(first <= one.getsockname()[1] <= last for one in taken))
"""
    narrow = "echo 46300 46999 > /proc/sys/net/ipv4/ip_local_port_range"
    script = f'{narrow} && exec {sys.executable} -c "$0" "$1"'
    done = run(sys.executable, "tools/alone.py", "sh", "-c", script, program, alone.NODES_PORTS)
    if done.returncode == 125:
        pytest.skip("no network namespace is allowed here")
    assert done.stdout == "0\n", done.stderr


def test_each_module_imports_alone_in_a_fresh_interpreter() -> None:
    names = list(modules())
    assert len(names) > 20
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        done = pool.map(lambda name: run(sys.executable, "-c", f"import {name}"), names)
    failed = {name: each.stderr for name, each in zip(names, done, strict=True) if each.returncode}
    assert not failed, "\n".join(f"{name}:\n{why}" for name, why in failed.items())


@pytest.mark.parametrize("name", ["service", "tray", "dev", "fuzz"])
def test_the_lock_covers_what_the_project_depends_on(name: str) -> None:
    asked = list(project()["project"]["dependencies"])
    if name in ("tray", "dev"):
        asked += project()["project"]["optional-dependencies"]["tray"]
    asked += project()["dependency-groups"].get(name, [])
    text = (ROOT / "packaging" / "locks" / f"{name}.lock").read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)==([^ ]+)", text, flags=re.MULTILINE))
    for requirement in asked:
        package = re.split(r"[^A-Za-z0-9_.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")
        assert package in locked, f"{requirement} is not in {name}.lock: make lock"
    pinned = re.findall(r"^[a-z0-9-]+==.*\\$", text, flags=re.MULTILINE)
    assert len(pinned) == len(locked), "a package without a hash"
    assert "://" not in text


def test_the_locks_were_made_from_the_dependencies_of_today() -> None:
    program = "import dev; print(dev.inputs_of_locks())"
    ours = {**os.environ, "PYTHONPATH": str(ROOT / "tools")}
    digest = subprocess.check_output([sys.executable, "-c", program], env=ours, text=True).strip()
    for path in sorted((ROOT / "packaging" / "locks").glob("*.lock")):
        assert digest in path.read_text().splitlines()[0], f"{path.name} fell behind: make lock"


def test_each_direct_dependency_has_its_line_of_reason() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text().lower()
    asked = list(project()["project"]["dependencies"])
    for group in project()["dependency-groups"].values():
        asked += group
    for extra in project()["project"]["optional-dependencies"].values():
        asked += extra
    names = [re.split(r"[^A-Za-z0-9_.-]", each, maxsplit=1)[0].lower() for each in asked]
    assert [name for name in names if f"| `{name}` |" not in text] == []


def make_targets() -> list[str]:
    shown = run(sys.executable, "tools/dev.py", "help").stdout
    return re.findall(r"^  ([a-z-]+) ", shown, re.MULTILINE)


def test_every_command_of_the_readme_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    # click takes each line apart, sub-command and all, but nothing is run.
    monkeypatch.setattr(click.Command, "invoke", lambda *_: None)
    targets = make_targets()
    assert "test" in targets
    assert [line for line in readme_lines() if not can_be_typed(line, targets)] == []
    strange = [
        "postroad frobnicate",
        "postroad status --bogus",
        "postroad accept one two",
        "postroad run x",
    ]
    assert [line for line in strange if can_be_typed(line, targets)] == []


def can_be_typed(line: str, targets: list[str]) -> bool:
    words = shlex.split(line, comments=True)
    if words[:1] != ["export"]:
        words = [word for word in words if not SETTING.fullmatch(word)]
    match words:
        case []:
            return True
        case ["make", *asked]:
            return set(asked) <= set(targets)
        case ["python3", "tools/dev.py", asked]:
            return asked in targets
        case ["export", "PATH=$PWD/tools:$PATH"]:  # tools/postroad
            return True
        case ["git", "clone", *_] | ["cd", _] | ["sudo", "apt-get", *_]:
            return True
        case ["wget", _] | ["mutt", "-F", _]:  # tests/system/test_readme.py types them
            return True
        case ["sudo", "pipx", "install", "."]:
            return True
        case ["postroad", *asked] | ["sudo", "postroad", *asked]:
            try:
                main.main(asked, prog_name="postroad", standalone_mode=False)
            except click.UsageError:
                return False
            return True
        case _:
            return False


def test_the_arguments_of_make_run_reach_postroad(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` takes none of its own: what is asked for stands before it."""
    became: list[list[str]] = []

    def become(command: list[str], _: object) -> int:
        became.append(command)
        return 0

    monkeypatch.setenv("ARGS", "--config 'my file.toml'")
    monkeypatch.setattr(dev, "environment", lambda: "python")
    monkeypatch.setattr(dev, "become", become)
    assert dev.run() == 0
    assert became == [["python", "-m", "postroad", "--config", "my file.toml", "run"]]
    monkeypatch.setattr(click.Command, "invoke", lambda *_: None)
    main.main(became[0][3:], prog_name="postroad", standalone_mode=False)


def test_the_pages_of_the_protocol_say_what_the_code_does() -> None:
    """A message, field, verdict or limit that only one of them has: docs/protocol/ comes along."""
    assert list(pages.differences()) == []


def ours() -> Iterator[type]:
    for module in pkgutil.walk_packages(postroad.__path__, "postroad."):
        if not module.name.endswith("__main__"):
            for thing in vars(importlib.import_module(module.name)).values():
                if isinstance(thing, type) and dataclasses.is_dataclass(thing):
                    yield thing


def test_no_secret_is_shown_in_a_repr() -> None:
    """It would be one careless log line away."""
    found = {
        f"{one.__name__}.{field.name}"
        for one in ours()
        if one.__module__.startswith("postroad.")
        for field in dataclasses.fields(one)
        if SECRET.search(field.name) and field.repr and field.type is not Entropy
    }
    assert found - HARMLESS == set()
    assert "as they are" not in repr(Wrapped(PLAIN.header, b"plain keys, as they are"))
    names = {one.__name__ for one in ours()}
    assert {"Keyring", "SigningKey", "Identity", "SetUp", "Invitation", "MyDrop", "Login"} <= names


def test_no_marker_was_left_behind() -> None:
    words = ["[T]ODO", "[F]IXME", r"\b[X]XX\b", r"[b]reakpoint\(", "^[<]{7} ", "^[>]{7} "]
    marker = re.compile("|".join(words), re.MULTILINE)
    left = [str(path) for path in written_files() if marker.search(path.read_text())]
    assert left == []
