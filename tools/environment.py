#!/usr/bin/env python3
"""Make the virtual environment that holds exactly one of our locks, and print where its Python is.

Purpose: what a fresh machine lacks, without touching the machine. Standard library only.
Invariants: it lies outside the tree and is named by its lock and its Python, so a second clone has
it at once; it counts as made once its stamp is written; nothing gets in without a locked hash.

    tools/environment.py NAME       NAME of packaging/locks/NAME.lock; the path is the last line
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCKS = Path(__file__).resolve().parent.parent / "packaging" / "locks"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "postroad"
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
INSTALL_VENV = "sudo apt-get update && sudo apt-get install -y python3-venv ca-certificates"
# Debian's pip reads the system's certificates while it is imported, even where it is given others.
PIP_FROM_WHEEL = """
import sys
_, wheel, certificates, *sys.argv[1:] = sys.argv
sys.path.insert(0, wheel)
from pip._vendor import certifi
certifi.where = lambda: certificates
from pip._internal.cli.main import main
sys.exit(main())
"""


class Stopped(Exception):
    """We cannot go on: a sentence for a person, and the line to type if there is one."""

    def __init__(self, sentence: str, line: str = "") -> None:
        super().__init__(sentence + (f" Type:\n    {line}" if line else ""))


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def environment(name: str) -> Path:
    """The Python of the environment that holds the lock, made now if it was not there."""
    lock = LOCKS / f"{name}.lock"
    identity = f"{sys.version} {platform.machine()} {os.path.realpath(sys.executable)}"
    key = hashlib.sha256(lock.read_bytes() + identity.encode()).hexdigest()[:12]
    # Scripts in an environment name its path, so it cannot be made elsewhere and renamed: it is
    # made in its own place, and the stamp, written last, says that it is whole.
    place = CACHE / f"venv-{key}"
    python, stamp = place / "bin" / "python", place / "complete"
    if stamp.exists() and python.exists():
        return python
    with one_at_a_time(CACHE / f"venv-{key}.lock"):
        if not (stamp.exists() and python.exists()):
            shutil.rmtree(place, ignore_errors=True)
            say(f"Setting up {place} (once)")
            begun = time.monotonic()
            _build(place, lock)
            stamp.touch()
            say(f"Set up in {time.monotonic() - begun:.0f} s")
    return python


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Two runs that begin together make one environment, not two halves of one."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("w")
    except OSError as error:
        raise Stopped(
            f"The cache {path.parent} cannot be written ({error.strerror}); name another place.",
            "export XDG_CACHE_HOME=/a/folder/of/yours",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another run is setting up; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def readable_by_all() -> Iterator[None]:
    """What is made here may be read by everybody, whatever the caller's umask."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


def _build(place: Path, lock: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="postroad-") as scratch:
        without_pip = [] if _python_has_pip_inside() else ["--without-pip"]
        quietly(
            [sys.executable, "-m", "venv", *without_pip, str(place)],
            "Python could not make a virtual environment.",
            INSTALL_VENV,
        )
        install = ["install", "--no-compile", "--require-hashes", "-r", str(lock)]
        pip(place / "bin" / "python", install, Path(scratch))


def pip(python: Path, words: list[str], scratch: Path) -> None:
    """Have pip do something with locked wheels, and with nothing else.

    `python`: of an environment made here; `scratch`: an empty folder that may be filled."""
    variables = dict(os.environ, PIP_USER="0")
    if "SSL_CERT_FILE" in variables:  # pip does not look at it by itself
        variables.setdefault("PIP_CERT", variables["SSL_CERT_FILE"])
    program = ["-m", "pip"]
    if not _python_has_pip_inside():
        wheel, certificates = _pip_of_the_distribution(scratch)
        program = ["-c", PIP_FROM_WHEEL, str(wheel), variables.get("PIP_CERT", str(certificates))]
        variables.setdefault("PIP_CERT", str(certificates))
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check", "--progress-bar=off"]
    quietly(
        [str(python), *program, *words, *quiet, "--no-deps", "--only-binary=:all:"],
        "pip could not fetch the locked packages. See to the network, then try again; where a"
        " proxy has certificates of its own, name them: export PIP_CERT=/their/file",
        variables=variables,
    )


def _python_has_pip_inside() -> bool:
    """Whether ensurepip works: without python3-venv, Debian's is absent or only explains itself."""
    if importlib.util.find_spec("ensurepip") is None:
        return False
    check = [sys.executable, "-m", "ensurepip", "--version"]
    return subprocess.run(check, capture_output=True, check=False).returncode == 0


def _pip_of_the_distribution(scratch: Path) -> tuple[Path, Path]:
    """pip's wheel, and certificates if this machine has none, out of Debian's signed packages.

    Nothing gets installed, so an ordinary user may do this, and root's machine stays as it is.
    """
    if shutil.which("apt-get") is None:
        raise Stopped("This Python has no pip: install your system's packages for pip and venv.")
    say("This Python has no pip: taking it out of the distribution's package (not installing it)")
    wanted = ["python3-pip-whl"]
    if not SYSTEM_CERTIFICATES.exists():
        wanted.append("ca-certificates")
    _download_packages(wanted, scratch)
    sentence = "This Python has no pip, and the distribution's could not be unpacked."
    for package in scratch.glob("*.deb"):
        quietly(["dpkg-deb", "-x", str(package), str(scratch / "root")], sentence, INSTALL_VENV)
    wheels = sorted(scratch.glob("root/usr/share/python-wheels/pip-*.whl"))
    if not wheels:
        raise Stopped(sentence, INSTALL_VENV)
    if SYSTEM_CERTIFICATES.exists():
        return wheels[-1], SYSTEM_CERTIFICATES
    authorities = sorted(scratch.glob("root/usr/share/ca-certificates/mozilla/*.crt"))
    bundle = scratch / "certificates.pem"
    bundle.write_text("\n".join(each.read_text() for each in authorities))
    return wheels[-1], bundle


def _download_packages(wanted: list[str], scratch: Path) -> None:
    """Fetch .debs with the machine's package lists, else with fresh lists of our own."""
    apt = ["apt-get", "-qq", "-o", "APT::Sandbox::User="]
    with_lists = [*apt, "download", *wanted]
    if subprocess.run(with_lists, cwd=scratch, capture_output=True, check=False).returncode == 0:
        return
    lists, archives = scratch / "lists", scratch / "archives"
    (lists / "partial").mkdir(parents=True)
    (archives / "partial").mkdir(parents=True)
    apt += ["-o", f"Dir::State::Lists={lists}", "-o", f"Dir::Cache={archives}"]
    sentence = "This Python has no pip, and apt could not fetch it."
    quietly([*apt, "update"], sentence, INSTALL_VENV)
    quietly([*apt, "download", *wanted], sentence, INSTALL_VENV, where=scratch)


def quietly(
    command: list[str],
    sentence: str,
    line: str = "",
    *,
    variables: dict[str, str] | None = None,
    where: Path | None = None,
) -> None:
    """Run a command in silence; where it fails, show its last words before ours."""
    try:
        done = subprocess.run(
            command,
            env=variables,
            cwd=where,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    except OSError as error:
        raise Stopped(f"{sentence} ({error.strerror}: {command[0]})", line) from error
    if done.returncode != 0:
        for last in done.stdout.strip().splitlines()[-6:]:
            say(f"    {last}")
        raise Stopped(sentence, line)


def main(arguments: list[str]) -> int:
    names = sorted(each.stem for each in LOCKS.glob("*.lock"))
    if len(arguments) != 1 or arguments[0] not in names:
        print(f"usage: tools/environment.py {'|'.join(names)}", file=sys.stderr)
        return 2
    try:
        print(environment(arguments[0]))
    except Stopped as stopped:
        say(f"\n{stopped}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
