"""What `make repo` laid out, served by a web server: installed from, upgraded from, and pinned."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import repository
from booted import Booted
from needed import skip_without
from system.conftest import PACKAGE
from system.packages import OLDER, forget_distribution, number_of, other_version
from throw_away_key import keyring, made

PORT = 18080
URL = f"http://127.0.0.1:{PORT}"
SERVED = "/srv/postroad"
HTTP_DATE_SECONDS = 1.0  # what is changed again within one second has not changed for who asks
PIN = "/etc/apt/preferences.d/postroad"


@pytest.fixture(scope="module")
def own(system: Booted) -> str:
    """The number of the package under test."""
    return number_of(PACKAGE)


@pytest.fixture(scope="module", autouse=True)
def served(system: Booted, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The repository, signed with a throw-away key; its folder out here."""
    skip_without("gpg")
    folder = tmp_path_factory.mktemp("repository")
    home = tmp_path_factory.mktemp("gnupg")
    with keyring(home):
        key = made("Somebody <somebody@postroad.invalid>")
        repository.lay_out([other_version(PACKAGE, OLDER, home)], key, URL, folder)
        put(system, folder)
        serve = ("python3", "-m", "http.server", str(PORT), "--bind=127.0.0.1")
        system.root(
            *("systemd-run", "--quiet", "--unit=served", "--collect"),
            *(f"--property=WorkingDirectory={SERVED}", *serve),
        )
        forget_distribution(system)
        if system.root("dpkg", "-s", "postroad", check=False).returncode == 0:
            system.apt("purge", "postroad")
        # Those that a newer version has written would keep out an older one, and rightly so.
        system.root("sh", "-c", "rm -rf /home/*/.local/share/postroad")
        yield folder


def put(system: Booted, folder: Path) -> None:
    time.sleep(HTTP_DATE_SECONDS)
    target = f"{system.tree}{SERVED}"
    system.outside("rm", "-rf", target)
    system.outside("cp", "-r", str(folder), target)
    system.outside("chmod", "-R", "a+rX", target)


def installed(system: Booted) -> str:
    asked = ("dpkg-query", "--show", "--showformat=${Version}", "postroad")
    return system.root(*asked, check=False).stdout


def test_one_package_brings_key_and_source_and_then_it_is_installed_by_name(
    system: Booted,
) -> None:
    system.root("curl", "--silent", "--fail", "--remote-name", f"{URL}/{repository.KEYRING}.deb")
    system.apt("install", f"./{repository.KEYRING}.deb")
    told = system.apt("update")
    assert "W:" not in told.stdout + told.stderr
    system.apt("install", "postroad")
    assert installed(system) == OLDER
    assert system.user("alice", "postroad", "--version").stdout.split()[-1] == OLDER


def test_a_new_version_in_it_is_an_upgrade(system: Booted, served: Path, own: str) -> None:
    repository.lay_out([PACKAGE], "somebody@postroad.invalid", URL, served)
    put(system, served)
    system.apt("update")
    system.apt("upgrade")
    assert installed(system) == own


def test_a_pinned_version_is_taken_and_kept(system: Booted, own: str) -> None:
    system.write(PIN, f"Package: postroad\nPin: version {OLDER}\nPin-Priority: 1001\n".encode())
    system.apt("upgrade")
    assert installed(system) == OLDER
    system.root("rm", PIN)
    system.apt("upgrade")
    assert installed(system) == own


def test_a_new_key_comes_as_an_upgrade_signed_by_the_old_one(
    system: Booted, served: Path
) -> None:
    new = made("Somebody else <else@postroad.invalid>")
    for signing in (f"somebody@postroad.invalid,{new}", new):
        repository.lay_out([], signing, URL, served)
        put(system, served)
        told = system.apt("update")
        assert not re.search("^[EW]:", told.stdout + told.stderr, re.MULTILINE), signing
        system.apt("upgrade")
    brought = system.root("sha256sum", repository.KEYRING_PATH).stdout.split()[0]
    public = (served / f"{repository.KEYRING}.gpg").read_bytes()
    assert brought == hashlib.sha256(public).hexdigest()


def test_what_another_key_has_signed_is_not_installed(
    system: Booted, served: Path, own: str, tmp_path: Path
) -> None:
    stranger = made("A stranger <stranger@postroad.invalid>")
    forged = tmp_path / "forged"
    shutil.copytree(served, forged)
    repository.lay_out([other_version(PACKAGE, "6.6.6", tmp_path)], stranger, URL, forged)
    put(system, forged)
    system.root("apt-get", "update", check=False)
    system.root("apt-get", "-y", "upgrade", check=False)
    assert installed(system) == own
    assert "6.6.6" not in system.root("apt-cache", "policy", "postroad").stdout


def test_a_purge_takes_all_of_it_away(system: Booted) -> None:
    system.apt("purge", "postroad", repository.KEYRING)
    for path in (repository.KEYRING_PATH, repository.SOURCE_PATH, "/etc/postroad"):
        assert system.root("test", "-e", path, check=False).returncode == 1
