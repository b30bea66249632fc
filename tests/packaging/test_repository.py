"""A repository that `make repo` laid out, read by the real apt in a root of its own."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import repository
from environment import Stopped
from needed import needs
from throw_away_key import keyring, made

pytestmark = needs("gpg", "dpkg-deb", "apt-get")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A throw-away key, in a keyring of its own."""
    with keyring(tmp_path_factory.mktemp("gnupg")):
        yield made("Somebody <somebody@postroad.invalid>")


def package(folder: Path, version: str, more: str = "") -> Path:
    """A small one that is called as ours is."""
    tree = folder / f"tree-{version}"
    (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
    (tree / "DEBIAN").chmod(0o755)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: postroad\nVersion: {version}\nArchitecture: amd64\nMaintainer: A <a@b.invalid>\n"
        f"Description: something{more}\n"
    )
    path = folder / f"postroad_{version}_amd64.deb"
    subprocess.run(["dpkg-deb", "-b", tree, path], stdout=subprocess.DEVNULL, check=True)
    return path


class Apt:
    """apt with lists, caches and settings of its own."""

    def __init__(self, folder: Path, served: Path) -> None:
        self.folder = folder
        for name in ("lists/partial", "cache/archives/partial", "etc/preferences.d"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        sources = folder / "etc" / "postroad.sources"
        keys = served / f"{repository.KEYRING}.gpg"
        text = (served / "postroad.sources").read_text()
        sources.write_text(text.replace(repository.KEYRING_PATH, str(keys)))

    def __call__(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        options = {
            "Dir::Etc": self.folder / "etc",
            "Dir::Etc::SourceParts": "/nowhere",
            "Dir::Etc::SourceList": "postroad.sources",
            "Dir::Etc::Trusted": "/nowhere",
            "Dir::Etc::TrustedParts": "/nowhere",
            "Dir::State": self.folder,
            "Dir::State::Lists": self.folder / "lists",
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder / "cache",
            "APT::Architecture": "amd64",
            "APT::Architectures": "amd64",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
        }
        settings = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        return subprocess.run(
            [program, *settings, *words],
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def candidate(self) -> str:
        told = self("apt-cache", "policy", "postroad").stdout
        return next(line.split()[1] for line in told.splitlines() if "Candidate:" in line)


@pytest.fixture
def served(key: str, tmp_path: Path) -> Path:
    folder = tmp_path / "served"
    folder.mkdir()
    packages = [package(tmp_path, "1.0"), package(tmp_path, "1.1")]
    return repository.lay_out(packages, key, f"file://{folder}", folder)


@pytest.fixture
def apt(served: Path, tmp_path: Path) -> Apt:
    return Apt(tmp_path / "apt", served)


def test_apt_trusts_it_and_takes_the_newest(apt: Apt) -> None:
    updated = apt("apt-get", "update")
    assert (updated.returncode, updated.stderr) == (0, "")
    assert apt.candidate() == "1.1"
    fetched = apt("apt-get", "download", "postroad")
    assert fetched.returncode == 0, fetched.stderr
    assert (apt.folder / "postroad_1.1_amd64.deb").exists()


def test_an_older_version_can_be_pinned(apt: Apt) -> None:
    assert apt("apt-get", "update").returncode == 0
    pin = apt.folder / "etc" / "preferences.d" / "postroad"
    pin.write_text("Package: postroad\nPin: version 1.0\nPin-Priority: 1001\n")
    assert apt.candidate() == "1.0"
    pin.write_text("Package: *\nPin: release o=Postroad\nPin-Priority: -1\n")
    assert apt.candidate() == "(none)"


def test_what_is_given_out_later_comes_beside_what_is_there(
    key: str, served: Path, apt: Apt, tmp_path: Path
) -> None:
    assert apt("apt-get", "update").returncode == 0
    before = {path.name for path in served.rglob("by-hash/SHA256/*")}
    repository.lay_out([package(tmp_path, "2.0")], key, f"file://{served}", served)
    assert apt("apt-get", "update").returncode == 0
    assert apt.candidate() == "2.0"
    told = apt("apt-cache", "madison", "postroad").stdout
    assert [line.split("|")[1].strip() for line in told.splitlines()] == ["2.0", "1.1", "1.0"]
    assert before < {path.name for path in served.rglob("by-hash/SHA256/*")}
    assert not list(served.glob("making-*"))


def test_the_same_number_never_gets_other_bytes(key: str, served: Path, tmp_path: Path) -> None:
    other = package(tmp_path, "1.1", " else")
    with pytest.raises(Stopped, match="with other contents"):
        repository.lay_out([other], key, f"file://{served}", served)


def test_nor_does_it_under_another_name_of_the_file(
    key: str, served: Path, tmp_path: Path
) -> None:
    other = package(tmp_path, "1.1", " else").rename(tmp_path / "postroad_mine.deb")
    with pytest.raises(Stopped, match=r"postroad_1\.1_amd64\.deb is in .* with other contents"):
        repository.lay_out([other], key, f"file://{served}", served)


@pytest.mark.parametrize("what", ["Packages", "InRelease", "another key"])
def test_whatever_was_changed_behind_the_signers_back_is_refused(
    served: Path, apt: Apt, tmp_path: Path, key: str, what: str
) -> None:
    suite = served / "dists" / "stable"
    if what == "Packages":
        for path in [*suite.rglob("Packages*"), *suite.rglob("by-hash/SHA256/*")]:
            path.write_bytes(path.read_bytes().replace(b"1.1", b"6.6") + b"\n")
    elif what == "InRelease":
        signed = suite / "InRelease"
        signed.write_bytes(signed.read_bytes().replace(b"Origin: Postroad", b"Origin: Postman."))
    else:
        with keyring(tmp_path / "other"):
            stranger = made("A stranger <stranger@postroad.invalid>")
            release = (suite / "Release").read_bytes()
            forged = repository._gpg("--local-user", stranger, "--clear-sign", octets=release)
            (suite / "InRelease").write_bytes(forged)
    done = apt("apt-get", "-o", "APT::Update::Error-Mode=any", "update")
    assert done.returncode != 0
    assert "postroad" not in apt("apt-cache", "pkgnames").stdout.split()


def test_the_package_of_the_key_brings_key_and_source(served: Path, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    keyring_package = served / f"{repository.KEYRING}.deb"
    subprocess.run(["dpkg-deb", "-x", keyring_package, inside], check=True)
    key = inside / repository.KEYRING_PATH[1:]
    assert key.read_bytes() == (served / f"{repository.KEYRING}.gpg").read_bytes()
    source = (inside / repository.SOURCE_PATH[1:]).read_text()
    assert source == (served / "postroad.sources").read_text()
    assert f"Signed-By: {repository.KEYRING_PATH}" in source
    listed = subprocess.run(
        ["gpg", "--show-keys", key], capture_output=True, text=True, check=True
    ).stdout
    assert "sec" not in listed


def test_it_is_one_package_for_one_key_and_place(key: str, served: Path) -> None:
    def names() -> set[str]:
        return {path.name for path in (served / "pool").rglob(f"{repository.KEYRING}_*")}

    (first,) = names()
    repository.lay_out([], key, f"file://{served}", served)
    assert names() == {first}
    repository.lay_out([], key, "https://elsewhere.invalid/postroad", served)
    assert len(names()) == 2


def test_the_newest_of_them_is_always_the_one_that_counts(key: str, served: Path) -> None:
    """A host that moved, and moved back: apt takes the highest number, wherever that leads."""
    for url in ("https://elsewhere.invalid/postroad", f"file://{served}"):
        repository.lay_out([], key, url, served)
    numbered = served / "dists" / "stable" / "main" / "binary-amd64" / "Packages"
    paths = re.findall(rf"^Filename: (.*{repository.KEYRING}_.*)$", numbered.read_text(), re.M)
    assert len(paths) == 3
    newest = max(paths, key=lambda path: int(path.partition("+")[2].partition("_")[0] or 0))
    assert (served / newest).read_bytes() == (served / f"{repository.KEYRING}.deb").read_bytes()


def test_whoever_may_see_files_may_read_all_of_it(key: str, tmp_path: Path) -> None:
    """A web server is another user than the one who laid it out."""
    before = os.umask(0o077)
    try:
        packages = [package(tmp_path, "1.0")]
        folder = repository.lay_out(packages, key, "https://host.invalid", tmp_path / "new")
    finally:
        os.umask(before)
    closed = [one for one in [folder, *folder.rglob("*")] if not one.stat().st_mode & 0o004]
    assert closed == []


# --- the keys -------------------------------------------------------------------------------------


@pytest.fixture
def of_a_stranger(key: str, tmp_path: Path) -> Iterator[bytes]:
    """The public key of somebody with the same name lies in the signer's keyring, too."""
    with keyring(tmp_path / "stranger"):
        public = repository._gpg("--export", made("Somebody <somebody@postroad.invalid>"))
    repository._gpg("--import", octets=public)
    yield public
    (stranger,) = set(primaries(public)) - {key}
    repository._gpg("--delete-keys", stranger)


def primaries(public: bytes) -> list[str]:
    """The fingerprints of the keys."""
    rows = repository._gpg("--show-keys", "--with-colons", octets=public).decode().splitlines()
    pairs = itertools.pairwise(row.split(":") for row in rows)
    return [row[9] for before, row in pairs if (before[0], row[0]) == ("pub", "fpr")]


def test_nobody_is_told_to_trust_a_stranger_of_the_same_name(
    key: str, of_a_stranger: bytes, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    assert primaries(of_a_stranger) != [key]
    repository.lay_out([], "somebody@postroad.invalid", "https://host.invalid", folder)
    assert primaries((folder / f"{repository.KEYRING}.gpg").read_bytes()) == [key]


def test_a_new_key_comes_while_the_old_one_still_signs(tmp_path: Path) -> None:
    """Whoever has only the old one gets the new one by it, and then needs it no more."""
    served = tmp_path / "served"
    url = f"file://{served}"
    with keyring(tmp_path / "gnupg"):
        old, new = made("Old <old@postroad.invalid>"), made("New <new@postroad.invalid>")
        repository.lay_out([package(tmp_path, "1.0")], old, url, served)
        apt = Apt(tmp_path / "apt", served)
        trusted = tmp_path / "trusted.gpg"
        sources = apt.folder / "etc" / "postroad.sources"
        keys = served / f"{repository.KEYRING}.gpg"
        sources.write_text(sources.read_text().replace(str(keys), str(trusted)))
        trusted.write_bytes(keys.read_bytes())
        for version, signing in (("1.1", f"{old},{new}"), ("1.2", new)):
            repository.lay_out([package(tmp_path, version)], signing, url, served)
            updated = apt("apt-get", "-o", "APT::Update::Error-Mode=any", "update")
            assert updated.returncode == 0, updated.stderr
            assert apt.candidate() == version
            fetched = apt("apt-get", "download", repository.KEYRING)  # the newest
            assert fetched.returncode == 0, fetched.stderr
            inside = tmp_path / version
            (brought,) = apt.folder.glob(f"{repository.KEYRING}_*.deb")
            subprocess.run(["dpkg-deb", "-x", brought, inside], check=True)
            trusted.write_bytes((inside / repository.KEYRING_PATH[1:]).read_bytes())
            assert sorted(primaries(trusted.read_bytes())) == sorted(signing.split(","))
            brought.unlink()


def test_a_name_that_several_keys_have_is_not_guessed_at(tmp_path: Path) -> None:
    with keyring(tmp_path / "gnupg"):
        both = [made(f"{name} <{name}@postroad.invalid>") for name in ("One", "Other")]
        with pytest.raises(Stopped, match="by its fingerprint") as stopped:
            repository.lay_out([], "postroad.invalid", "https://host.invalid", tmp_path / "new")
    assert all(one in str(stopped.value) for one in both)
    assert not (tmp_path / "new").exists()


def test_a_key_that_has_expired_is_told_with_what_to_type(tmp_path: Path) -> None:
    with keyring(tmp_path / "gnupg"):
        key = made("Somebody <somebody@postroad.invalid>", "2000-01-01")
        with pytest.raises(Stopped, match=f"gpg --quick-set-expire {key}"):
            repository.lay_out([], key, "https://host.invalid", tmp_path / "new")


def test_lintian_finds_no_error_in_it(served: Path, lintian: str) -> None:
    (path,) = (served / "pool").rglob(f"{repository.KEYRING}_*")
    done = subprocess.run([lintian, path], capture_output=True, text=True, check=False)
    assert [line for line in done.stdout.splitlines() if line[:1] == "E"] == []


def test_without_a_key_nothing_is_laid_out_and_a_line_says_how_to_make_one(
    key: str, tmp_path: Path
) -> None:
    with pytest.raises(Stopped, match="gpg --quick-generate-key"):
        repository.lay_out([], "nobody@postroad.invalid", "https://host.invalid", tmp_path)
    with pytest.raises(Stopped, match="no address of a host"):
        repository.lay_out([], key, "host", tmp_path)
    assert list(tmp_path.iterdir()) == []
