"""What a package holds, and how it is made: the same bytes wherever, whenever and by whomever."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import deb
from needed import skip_without

ROOT = Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"  # the distribution's, which the package is built and run with
PACKAGE_BYTES_MAX = 12_000_000
INSTALLED_BYTES_MAX = 40_000_000
PLACES = (
    "/etc/postroad/policy.toml",
    "/etc/ufw/applications.d/postroad",
    "/usr/bin/postroad",
    "/usr/lib/firewalld/services/postroad.xml",
    "/usr/lib/postroad/",
    "/usr/lib/systemd/user/postroad.service",
    "/usr/lib/systemd/user/postroad.socket",
    "/usr/share/bash-completion/completions/postroad",
    "/usr/share/dbus-1/interfaces/org.postroad.Postroad1.",
    "/usr/share/dbus-1/services/org.postroad.Postroad1.service",
    "/usr/share/doc/postroad/",
    "/usr/share/fish/vendor_completions.d/postroad.fish",
    "/usr/share/lintian/overrides/postroad",
    "/usr/share/locale/de/LC_MESSAGES/postroad.mo",
    "/usr/share/man/man1/postroad",
    "/usr/share/python3/runtime.d/postroad.rtupdate",
    "/usr/share/thunderbird/isp/postroad.alt.xml",
    "/usr/share/zsh/vendor-completions/_postroad",
)


def files(unpacked: Path) -> list[Path]:
    return [path for path in unpacked.rglob("*") if not path.is_dir()]


def test_nothing_lies_outside_of_the_places_of_the_package(unpacked: Path) -> None:
    found = ["/" + str(path.relative_to(unpacked)) for path in files(unpacked)]
    assert [path for path in found if not path.startswith(PLACES)] == []
    assert [one for one in PLACES if not any(path.startswith(one) for path in found)] == []


def test_it_is_small_enough_for_a_slow_line_and_a_full_disk(package: Path, unpacked: Path) -> None:
    installed = sum(path.lstat().st_size for path in files(unpacked))
    print(f"package: {package.stat().st_size / 1e6:.1f} MB, installed: {installed / 1e6:.1f} MB")
    assert package.stat().st_size <= PACKAGE_BYTES_MAX
    assert installed <= INSTALLED_BYTES_MAX


def test_everything_belongs_to_root_and_nobody_else_may_write_there(
    package: Path, tray: Path
) -> None:
    listed = [
        subprocess.run(["dpkg-deb", "--contents", one], capture_output=True, text=True, check=True)
        for one in (package, tray)
    ]
    for line in "".join(one.stdout for one in listed).splitlines():
        mode, owner, *_, name = line.split()
        expected = r"drwxr-xr-x" if name.endswith("/") else r"-rw[-x]r-[-x]r-[-x]"
        assert owner == "root/root", line
        assert re.fullmatch(expected, mode), line


def test_no_symbols_of_debugging_and_nothing_compiled_for_one_python_are_in_it(
    unpacked: Path, unpacked_tray: Path
) -> None:
    for one in (unpacked, unpacked_tray):
        names = [path.name for path in files(one)]
        assert [name for name in names if name.endswith((".pyc", ".pyi", ".debug"))] == []
        assert list(one.rglob("__pycache__")) == []


def test_the_bill_of_materials_lies_in_it_as_programs_read_it(unpacked: Path) -> None:
    bill = unpacked / "usr/share/doc/postroad/postroad.cdx.json"
    assert bill.read_bytes().startswith(b'{\n "$schema": "http://cyclonedx.org/')


def test_the_whole_program_can_be_loaded_from_it_and_from_nothing_else(unpacked: Path) -> None:
    script = """
import importlib, pkgutil, sys
site = sys.argv[1]
sys.path.insert(0, site)
import postroad
for one in pkgutil.walk_packages(postroad.__path__, "postroad."):
    if not one.name.endswith("__main__"):
        importlib.import_module(one.name)
import rich.console, rich.live, rich.table, rich.text
own = [m.__file__ for m in sys.modules.values() if getattr(m, "__file__", None)]
print(*(path for path in own if not path.startswith((site, "/usr/lib/python3"))))
"""
    site = unpacked / "usr/lib/postroad/site"
    done = subprocess.run(
        [PYTHON, "-B", "-IS", "-c", script, site], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_lintian_finds_no_error_and_every_override_has_a_reason(
    package: Path, tray: Path, lintian: str
) -> None:
    for one in (package, tray):
        name = one.name.partition("_")[0]
        assert complaints(lintian, one) == []
        reason = ""
        overrides = ROOT / "packaging" / "debian" / f"{name}.lintian-overrides"
        for line in overrides.read_text().splitlines():
            if line.startswith("# "):
                reason = line
            assert len(reason) > 40, f"{line} has no reason"
            reason = reason if line else ""


def complaints(lintian: str, package: Path) -> list[str]:
    done = subprocess.run(
        [lintian, "--info", "--display-info", package], capture_output=True, text=True, check=False
    )
    told = [line for line in done.stdout.splitlines() if re.match("[EWI]: ", line)]
    return [line for line in told if line[0] in "EW" or "override" in line]


# --- the same bytes -------------------------------------------------------------------------------


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder with a long name that anybody may go into."""
    with tempfile.TemporaryDirectory(prefix="postroad elsewhere-") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def test_another_user_elsewhere_at_another_time_makes_the_same_bytes(
    package: Path, tray: Path, commit: str, wheels: Path, tray_wheels: Path, elsewhere: Path
) -> None:
    skip_without("faketime")
    clone, theirs = elsewhere / "a clone", elsewhere / "wheels"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, clone], check=True)
    subprocess.run(["git", "-C", clone, "checkout", "--quiet", "--detach", commit], check=True)
    shutil.copytree(wheels, theirs)
    shutil.copytree(tray_wheels, elsewhere / "wheels of the tray")
    settings = f"[core]\nautocrlf = true\nattributesFile = {elsewhere}/attributes\n"
    (elsewhere / ".gitconfig").write_text(settings)
    (elsewhere / "attributes").write_text("*.xml export-ignore\n")
    become = ["unshare", "--user", "--map-root-user"]
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "nobody", elsewhere], check=True)
        become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    build = [PYTHON, "tools/deb.py", "--wheels", str(theirs), "--into", str(elsewhere / "made")]
    build += ["--tray-wheels", str(elsewhere / "wheels of the tray")]
    done = subprocess.run(
        [*become, "faketime", "2003-03-03 03:03:03", *build],
        cwd=clone,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(elsewhere),
            "LANG": "tr_TR.UTF-8",
            "TZ": "Pacific/Kiritimati",
            "DEB_BUILD_OPTIONS": "nostrip noopt",
            "GIT_DIR": str(elsewhere / "the repository of a hook"),
            "TAR_OPTIONS": "--exclude=*.ufw",
            "PYTHONHASHSEED": "1",
        },
        umask=0o077,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    made = Path(done.stdout.splitlines()[-1])
    assert made.name == package.name
    assert digest(made) == digest(package), difference(made, package)
    also_made = deb.tray_beside(made)
    assert digest(also_made) == digest(tray), difference(also_made, tray)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def difference(one: Path, other: Path) -> str:
    """Where two packages differ, for whoever has to find out why."""
    listed = []
    for package in (one, other):
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["dpkg-deb", "--raw-extract", package, folder], check=True)
            found = sorted(path for path in Path(folder).rglob("*") if path.is_file())
            listed.append(
                {
                    str(path.relative_to(folder)): (digest(path), oct(path.stat().st_mode))
                    for path in found
                }
            )
    names = sorted(listed[0].keys() | listed[1].keys())
    return "\n".join(name for name in names if listed[0].get(name) != listed[1].get(name))
