#!/usr/bin/env python3
"""Everything a person does in this tree, with nothing but git and Python: `make` is its thin face.

Purpose: say what each target runs, in which environment, on which network, and what was left out.
Invariants: a failure ends in one plain sentence and, where there is one, the line to type; what
could not be tested is counted in the closing line. Standard library only.
"""

from __future__ import annotations

import collections
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import catalogues
import deb as debian
import lab
import roots
from environment import CACHE, LOCKS, Stopped
from environment import environment as python_of

ROOT = Path(__file__).resolve().parent.parent
ALONE = [sys.executable, str(ROOT / "tools" / "alone.py")]
# Whoever is killed takes all processes along that it began: no node stays behind.
OWN_PROCESSES = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
CODE = ("service", "tray", "tests", "tools", "benchmarks")
CACHES_IN_TREE = (".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache")
SETTINGS = ("ARGS", "CI", "JOBS", "KEY", "LINK", "ONLY", "OUT", "SEED", "STAY", "URL", "WITH")
NOT_MEANT = "not for "  # a skip whose reason begins so lacks nothing (see tests/conftest.py)
PROGRAMS = {  # what tests drive, and the package it comes in
    "mutt": "mutt",
    "mbsync": "isync",
    "msmtp": "msmtp",
    "thunderbird": "thunderbird",
    "Xvfb": "xvfb",
    "import": "imagemagick",
    "strace": "strace",
    "gnome-keyring-daemon": "gnome-keyring",
    "dbus-monitor": "dbus",
    "zsh": "zsh",
    "fish": "fish",
    "groff": "groff",
    "gpg": "gnupg",
    "lintian": "lintian",
    "faketime": "faketime",
    "openbox": "openbox",
    "xdotool": "xdotool",
    "/usr/libexec/at-spi-bus-launcher": "at-spi2-core",
    "trayer": "trayer",
    "xfce4-panel": "xfce4-panel",
    "lxqt-panel": "lxqt-panel",
    "sway": "sway",
    "waybar": "waybar",
    "dunst": "dunst",
    "appstreamcli": "appstream",
    "desktop-file-validate": "desktop-file-utils",
    "fetchmail": "fetchmail",
    "curl": "curl",
    "dbus-daemon": "dbus",
    "busctl": "systemd",
    "systemd-analyze": "systemd",
    "journalctl": "systemd",
    "gdbus": "libglib2.0-bin",
    "msgfmt": "gettext",
    "man": "man-db",
    "bash": "bash",
    "setpriv": "util-linux",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "mkfs.ext4": "e2fsprogs",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "openssl": "openssl",
    **lab.PROGRAMS,
}
OF_SYSTEMS = (*lab.PROGRAMS, "gpg", "openssl")  # the ones that tests of booted systems drive

CAMEL = "import gi; gi.require_version('Camel', '1.2'); from gi.repository import Camel"
INDICATOR = """
import gi
gi.require_version("AyatanaAppIndicator3", "0.1")
from gi.repository import AyatanaAppIndicator3, GdkPixbuf
assert any(one.get_name() == "svg" for one in GdkPixbuf.Pixbuf.get_formats())
"""
INDICATOR_PACKAGES = (  # of the light icon, and of the panels of GTK that read its file
    "python3-gi", "gir1.2-ayatanaappindicator3-0.1", "librsvg2-common",
)  # fmt: skip
QT = """
import ctypes, pathlib, PySide6.QtWidgets
platforms = pathlib.Path(PySide6.__file__).parent / "Qt" / "plugins" / "platforms"
for name in ("libqxcb.so", "libqwayland.so"):
    ctypes.CDLL(str(platforms / name))
"""
QT_PACKAGES = (  # what Qt's binding, which is in our lock, wants of the distribution
    "libegl1", "libgl1", "libxkbcommon0", "libdbus-1-3", "libfontconfig1", "libglib2.0-0",
    "libx11-xcb1", "libxcb-cursor0", "libxcb-icccm4", "libxcb-image0", "libxcb-keysyms1",
    "libxcb-randr0", "libxcb-render-util0", "libxcb-shape0", "libxcb-sync1", "libxcb-xfixes0",
    "libxcb-xkb1", "libxkbcommon-x11-0", "libwayland-client0", "libwayland-cursor0",
    "fonts-dejavu-core",
)  # fmt: skip
CAMEL_PACKAGES = ("evolution-data-server", "gir1.2-camel-1.2", "python3-gi")  # Evolution's library


def say(text: str) -> None:
    print(text, flush=True)


# --- running something of ours --------------------------------------------------------------------


def environment(name: str = "dev") -> str:
    """The Python that has the packages of packaging/locks/NAME.lock."""
    return str(python_of(name))


def variables(**more: str) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if value or name not in SETTINGS}
    ours["PYTHONPATH"] = os.pathsep.join([str(ROOT / "service"), str(ROOT / "tray")])
    ours["PYTHONUNBUFFERED"] = "1"
    # Hypothesis keeps notes; they do not belong in the tree.
    ours["HYPOTHESIS_STORAGE_DIRECTORY"] = str(CACHE / "hypothesis")
    keep_compiled(ours)
    ours.update(more)
    return ours


def keep_compiled(surroundings: dict[str, str]) -> None:
    """Modules are compiled once, as those of an installed node are, and outside the tree.

    Where the environment says not to, each of the thousands of processes compiles all it imports.
    """
    surroundings["PYTHONPYCACHEPREFIX"] = str(CACHE / "compiled")
    surroundings.pop("PYTHONDONTWRITEBYTECODE", None)


def alone(command: list[str]) -> tuple[list[str], dict[str, str]]:
    """The command as it runs with loopback as its only network, and the variables it gets."""
    if may_be_alone():
        return [*ALONE, *command], variables()
    if os.environ.get("POSTROAD_OPEN_NETWORK") == "1":
        say("No network namespace is allowed; POSTROAD_OPEN_NETWORK=1: nodes use this network.")
        return command, variables()
    if os.environ.get("LINK") == "iroh":
        raise Stopped(
            "No network namespace is allowed, and iroh would send discovery packets outside:"
            " use LINK=tls, or allow it with POSTROAD_OPEN_NETWORK=1."
        )
    say("No network namespace is allowed: nodes speak TLS over loopback, and iroh is left out.")
    return command, variables(LINK="tls")


def may_be_alone() -> bool:
    """Whether network namespaces are allowed to us."""
    return subprocess.run([*ALONE, "--allowed"], check=False).returncode == 0


def become(command: list[str], surroundings: dict[str, str]) -> int:
    """Replace this program, so that signals and the exit status need no middleman."""
    os.execve(command[0], command, surroundings)


def run_each(commands: dict[str, list[str]], surroundings: dict[str, str]) -> list[str]:
    """Run all of them, a red one too, and name the red ones."""
    red = []
    for name, command in commands.items():
        say(f"-- {name}")
        if subprocess.run(command, cwd=ROOT, env=surroundings, check=False).returncode != 0:
            red.append(name)
    return red


def arguments_asked() -> list[str]:
    return shlex.split(os.environ.get("ARGS", ""))


# --- the targets ----------------------------------------------------------------------------------


def demo() -> int:
    """the main job before your eyes (LINK=tls|iroh; STAY=1 stays for your own mail program)"""
    command = [environment(), str(ROOT / "tools" / "demo.py"), *arguments_asked()]
    if os.environ.get("STAY"):
        say("STAY=1: the nodes use this machine's network, where your mail program can reach them.")
        return become(command, variables())
    return become(*alone(command))


def run() -> int:
    """your own node in the foreground (ARGS="--config FILE" uses another configuration)"""
    return become([environment(), "-m", "postroad", *arguments_asked(), "run"], variables())


def test() -> int:
    """the tests (ARGS="-k word"; JOBS=1 one by one; WITH=programs installs what some drive)"""
    python = environment()
    install_programs([*missing_programs(), *debian.lacking()])
    fetch_wheels()
    command = [python, "-m", "pytest", *(["--color=yes"] if sys.stdout.isatty() else [])]
    command += arguments_asked()
    workers = workers_asked()
    if workers > 1 and may_be_alone():
        status, told = show_and_keep([*command, *spread(python, workers)], variables())
    else:
        status, told = show_and_keep(*alone(command))
    closings = [line.strip("= ") for line in told if re.search(r" in [\d.]+s\b", line)]
    closing = closings[-1] if closings else f"pytest ended with status {status}"
    left_out = reasons_of_skips(told)
    if not left_out:
        say(f"{closing}; none was left out")
        return status
    reasons = ", ".join(f"{reason} ({count})" for reason, count in left_out.most_common())
    packages = [each for each in missing_programs() if each.lower() in reasons.lower()]
    if packages:
        say(f"To run what needs them: sudo apt-get install -y {' '.join(packages)}")
    if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        say("CI is set, so a test that could not run counts as failed.")
        status = status or 1
    say(f"{closing}; {left_out.total()} could not run here: {reasons}")
    return status


def workers_asked() -> int:
    """How many run tests at once: what JOBS says, else one where ARGS chooses, else several."""
    asked = os.environ.get("JOBS", "")
    if asked and not (asked.isdecimal() and int(asked)):
        raise Stopped(f"JOBS is how many tests run at once, and {asked!r} is no such number.")
    if asked:
        return int(asked)
    # No more than cores: tests have limits of time, and those are no tests of a full machine.
    return 1 if arguments_asked() else len(os.sched_getaffinity(0))


def spread(python: str, workers: int) -> list[str]:
    """What has pytest spread the tests over workers, as tests/spread.py says.

    Each is alone on its own loopback, since nodes of tests have ports that are written down."""
    worker = shlex.join([*ALONE, python])
    spec = f"--tx={workers}*popen//python={worker}"
    return ["-p", "tests.spread", spec, "--dist=loadfile", "--no-loadscope-reorder"]


def fetch_wheels() -> None:
    """Some tests build the package, which have no network any more."""
    if not debian.lacking():
        try:
            debian.fetched()
            if debian.has_tray():
                debian.fetched(debian.tray_lock())
        except Stopped as why:  # they will be counted as left out
            say(str(why))


def show_and_keep(command: list[str], surroundings: dict[str, str]) -> tuple[int, list[str]]:
    """Pass the output on as it comes; the exit status, and the last lines without their colours."""
    tail = b""
    with subprocess.Popen(command, cwd=ROOT, env=surroundings, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        while chunk := os.read(child.stdout.fileno(), 65536):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
            tail = (tail + chunk)[-(2**20) :]
        status = child.wait()
    return status, re.sub(r"\x1b\[[0-9;]*m", "", tail.decode(errors="replace")).splitlines()


def reasons_of_skips(told: list[str]) -> collections.Counter[str]:
    """From pytest's summary, where -ra has it say `SKIPPED [2] tests/test_x.py:58: reason`."""
    reasons: collections.Counter[str] = collections.Counter()
    for line in told:
        skip = re.match(r"SKIPPED \[(\d+)\] [^ ]+: (.*)", line)
        if skip and not skip[2].startswith(NOT_MEANT):
            reasons[skip[2]] += int(skip[1])
    return reasons


def lacking(*programs: str) -> list[str]:
    """The Debian packages of those programs that are not here; KeyError for one not in PROGRAMS."""
    packages = {program: PROGRAMS[program] for program in programs}
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return sorted(
        {package for name, package in packages.items() if not shutil.which(name, path=places)}
    )


def missing_programs() -> list[str]:
    missing = lacking(*PROGRAMS)
    missing += () if has_camel() else CAMEL_PACKAGES
    missing += () if has_indicator() else INDICATOR_PACKAGES
    missing += () if has_qt() else QT_PACKAGES
    return missing


def has_camel() -> bool:
    """Whether the system's Python can drive Evolution's mail library."""
    return _system_python_can(CAMEL)


def has_indicator() -> bool:
    """Whether it can show an application indicator."""
    return _system_python_can(INDICATOR)


def _system_python_can(words: str) -> bool:
    python = Path("/usr/bin/python3")
    if not python.exists():
        return False
    return subprocess.run([python, "-c", words], capture_output=True, check=False).returncode == 0


def has_qt() -> bool:
    """Whether the libraries are here that the tray's windows stand on."""
    command = [environment(), "-c", QT]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def asked_for_programs() -> bool:
    return "programs" in os.environ.get("WITH", "").split()


def install_programs(packages: list[str]) -> None:
    """Install packages with apt if asked to; where that is not for us, say the line."""
    packages = list(dict.fromkeys(packages))
    if not packages or not asked_for_programs():
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        say("Installing programs is for root. Type:")
        say(f"    sudo apt-get install -y {' '.join(packages)}")
        return
    say(f"Installing {' '.join(packages)}")
    apt("update")
    wanted = [package for package in packages if not only_a_snap(package)]
    apt("install", "-y", "--no-install-recommends", *wanted)


def apt(*words: str) -> None:
    command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *words]
    silent = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=silent, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        say(done.stderr.strip())
        raise Stopped("apt-get could not install these programs.")


def only_a_snap(package: str) -> bool:
    """Ubuntu's Thunderbird package is a pointer to a snap, which no minimal machine can install."""
    command = ["apt-cache", "show", "--no-all-versions", package]
    shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return re.search(r"^Version: .*snap", shown, re.MULTILINE) is not None


def check() -> int:
    """ruff, mypy --strict and the contracts between the rooms; prints the ten longest modules"""
    python = environment()
    holding_code = [each for each in CODE if next((ROOT / each).rglob("*.py"), None)]
    red = run_each(
        {
            "ruff": [python, "-m", "ruff", "check", "--quiet", *holding_code],
            "mypy --strict": [python, "-m", "mypy", *holding_code],
            "import-linter": [str(Path(python).parent / "lint-imports"), "--no-logo"],
        },
        variables(),
    )
    say("-- the ten longest modules")
    modules = [each for room in CODE for each in (ROOT / room).rglob("*.py")]
    lengths = sorted(((len(each.read_text().splitlines()), each) for each in modules), reverse=True)
    for length, path in lengths[:10]:
        say(f"{length:6} {path.relative_to(ROOT)}")
    say(f"check: red: {', '.join(red)}" if red else "check: green")
    return 1 if red else 0


def bench() -> int:
    """measure what benchmarks/ has programs for, 40 min (SEED=1 LINK=tls; ONLY=name ARGS="...")"""
    return measure("bench", ROOT / "benchmarks")


def soak() -> int:
    """the long proofs of benchmarks/soak/, hours (SEED=1 LINK=tls; ONLY=name ARGS="...")"""
    return measure("soak", ROOT / "benchmarks" / "soak")


def netlab() -> int:
    """people meet behind NATs and firewalls, as root, 30 min (SEED=1; ONLY=name ARGS="...")"""
    if reason := lab.lacking():
        raise Stopped(reason)
    return measure("netlab", ROOT / "benchmarks" / "netlab", OWN_PROCESSES)


def measure(target: str, folder: Path, more_prefix: Sequence[str] = ()) -> int:
    """Run the programs of a folder one after the other, each on loopback only."""
    programs = {each.stem: each for each in sorted(folder.glob("*.py"))}
    only = os.environ.get("ONLY")
    if arguments_asked() and not only:
        raise Stopped(f"ARGS is for one program: say which with ONLY={'|'.join(programs)}.")
    if only and only not in programs:
        raise Stopped(f"There is no {only!r} to run; there is {', '.join(programs)}.")
    python = environment()
    prefix, surroundings = alone([*more_prefix])
    rooms = [surroundings["PYTHONPATH"], str(ROOT / "tests"), str(ROOT / "tools")]
    surroundings["PYTHONPATH"] = os.pathsep.join(rooms)
    chosen = [only] if only else list(programs)
    arguments = arguments_asked()
    commands = {name: [*prefix, python, str(programs[name]), *arguments] for name in chosen}
    red = run_each(commands, surroundings)
    say(f"{target}: failed: {', '.join(red)}" if red else f"{target}: {len(commands)} ran")
    return 1 if red else 0


def deb() -> int:
    """the Debian package of the last commit, into dist/ (WITH=programs installs what builds it)"""
    install_programs(debian.lacking())
    return become([sys.executable, str(ROOT / "tools" / "deb.py")], variables())


def repo() -> int:
    """a signed apt repository for any host of files, in dist/repo (KEY=your-key URL=https://...)"""
    key, url = (os.environ.get(name, "") for name in ("KEY", "URL"))
    if not (key and url):
        raise Stopped(
            "A repository is signed with a key of yours, and names the host that will serve it.",
            "make repo KEY=FINGERPRINT URL=https://your.host/postroad",
        )
    dist = ROOT / "dist"
    names = ("postroad_*.deb", "postroad-tray_*.deb")
    packages = [str(one) for name in names for one in sorted(dist.glob(name))]
    if not packages:
        raise Stopped("There is no package to give out yet.", "make deb")
    command = [sys.executable, str(ROOT / "tools" / "repository.py"), "--key", key, "--url", url]
    if into := os.environ.get("OUT"):
        command += ["--into", into]
    return become([*command, *packages], variables())


def test_system() -> int:
    """the package in booted Debian 12, 13, Ubuntu 24.04, as root (ONLY=noble, together or forky)"""
    install_programs([*debian.lacking(), *roots.lacking(), *lacking(*OF_SYSTEMS)])
    return become([sys.executable, str(ROOT / "tools" / "systems.py")], variables())


def test_apparmor() -> int:
    """the package on Ubuntu's own kernel in qemu, as root, 5 to 8 min emulated (ARGS=...)"""
    return become([sys.executable, str(ROOT / "tools" / "emulated.py")], variables())


def lock() -> int:
    """make the locks again from pyproject.toml (ARGS=--upgrade takes the newest versions)"""
    uv = str(Path(environment("locker")).parent / "uv")
    index = os.environ.get("PIP_INDEX_URL")  # uv does not ask pip's settings by itself
    surroundings = dict(os.environ, **({"UV_DEFAULT_INDEX": index} if index else {}))
    resolve = [uv, "--no-config", "pip", "compile", "--quiet", "--universal", "--no-header"]
    resolve += ["--no-annotate", "--python-version=3.11", "--generate-hashes"]
    resolve += ["--only-binary=:all:", *arguments_asked()]
    with_service = ["pyproject.toml", "--constraints", "packaging/locks/service.lock"]
    sources = {
        "service": ["pyproject.toml"],
        "tray": [*with_service, "--extra", "tray"],
        # What is shared has one version.
        "dev": [*with_service, "--extra", "tray", "--group", "pyproject.toml:dev"],
        "fuzz": [*with_service, "--group", "pyproject.toml:fuzz"],
        "locker": ["-"],
        "build": ["-"],
    }
    asked = {"locker": "uv\n", "build": "hatchling\npip\n"}  # what "-" reads
    for name, source in sources.items():
        path = LOCKS / f"{name}.lock"
        command = [*resolve, *source, "--output-file", str(path)]
        done = subprocess.run(
            command, cwd=ROOT, env=surroundings, input=asked.get(name), text=True, check=False
        )
        if done.returncode != 0:
            raise Stopped(f"uv could not resolve {path.name}.")
        text = path.read_text()
        assert "://" not in text, "a lock names packages and hashes, never a host"
        path.write_text(f"# Made by `make lock` from pyproject.toml {inputs_of_locks()}\n{text}")
        say(f"{path.relative_to(ROOT)}: {text.count('==')} packages")
    return 0


def inputs_of_locks() -> str:
    """A digest of what the locks are made from, so that a lock which fell behind is seen."""
    import tomllib

    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    inputs = [table["project"]["requires-python"], *sorted(table["project"]["dependencies"])]
    inputs += sorted(table["project"]["optional-dependencies"]["tray"])
    inputs += sorted(table["dependency-groups"]["dev"])
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()[:16]


def manuals() -> int:
    """manual pages and completions (OUT=FOLDER; else build/manuals), and docs/cli.md made anew"""
    target = os.environ.get("OUT") or str(ROOT / "build" / "manuals")
    command = [environment(), str(ROOT / "tools" / "manuals.py")]
    page = [*command, "--page", str(ROOT / "docs" / "cli.md")]
    ours = variables()
    return (
        subprocess.run([*command, target], env=ours, check=False).returncode
        or subprocess.run(page, env=ours, check=False).returncode
    )


def translations() -> int:
    """what is to be translated, found anew in packaging/po, and compiled into build/locale"""
    try:
        for line in catalogues.update():
            say(line)
    except catalogues.Wrong as wrong:
        raise Stopped(str(wrong)) from wrong
    say(f"export POSTROAD_CATALOGUES={catalogues.compiled_here()}")
    return 0


def screenshots() -> int:
    """each page of the tray's window, from nodes that run, into build/screenshots (OUT=FOLDER)"""
    target = os.environ.get("OUT") or str(ROOT / "build" / "screenshots")
    command, surroundings = alone([environment(), str(ROOT / "tools" / "screenshots.py"), target])
    rooms = [surroundings["PYTHONPATH"], str(ROOT / "tests"), str(ROOT / "tools")]
    surroundings["PYTHONPATH"] = os.pathsep.join(rooms)
    return become(command, surroundings)


def clean() -> int:
    """remove the caches in the tree, and the environments in the cache folder"""
    places = [ROOT / name for name in CACHES_IN_TREE] + list(CACHE.glob("*"))
    for place in places + [each for room in CODE for each in (ROOT / room).rglob("__pycache__")]:
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)
    return 0


def show_help() -> int:
    """this list"""
    say("make TARGET [NAME=value ...]    (without make: python3 tools/dev.py TARGET ...)\n")
    width = max(map(len, TARGETS))
    for name, target in TARGETS.items():
        say(f"  {name:{width}} {target.__doc__}")
    return 0


TARGETS: dict[str, Callable[[], int]] = {
    "demo": demo,
    "run": run,
    "test": test,
    "check": check,
    "bench": bench,
    "soak": soak,
    "netlab": netlab,
    "deb": deb,
    "repo": repo,
    "test-system": test_system,
    "test-apparmor": test_apparmor,
    "lock": lock,
    "manuals": manuals,
    "translations": translations,
    "screenshots": screenshots,
    "clean": clean,
    "help": show_help,
}


def main(arguments: list[str]) -> int:
    asked = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name in SETTINGS:
            os.environ[name] = value
        else:
            asked.append(argument)
    if asked[:1] == ["manuals"] and len(asked) == 2:  # what it writes into, as a word of its own
        os.environ["OUT"] = asked.pop()
    target = " ".join(asked) or "help"
    try:
        if target not in TARGETS:
            raise Stopped(f"There is no target {target!r}; `make help` lists them.")
        if sys.version_info < (3, 11):  # noqa: UP036 - whoever has an older one deserves a sentence
            raise Stopped(
                f"Postroad needs Python 3.11 or newer, and {sys.executable} is"
                f" {platform.python_version()}. Where a newer one is installed, name it.",
                f"make {target} PYTHON=python3.11",
            )
        os.chdir(ROOT)
        return TARGETS[target]()
    except Stopped as stopped:
        print(f"\n{stopped}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
