"""The locked wheels and the package itself, where they are to be had without a network."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import deb
from needed import skip_without


@pytest.fixture(scope="session")
def wheels() -> Path:
    place = deb.at_hand()
    if place is None:
        pytest.skip("the locked wheels of the package, which `make deb` fetches")
    return place


@pytest.fixture(scope="session")
def tray_wheels() -> Path:
    if not deb.has_tray():
        pytest.skip("not for this processor: Qt's binding has no wheel for it")
    place = deb.at_hand(deb.tray_lock())
    if place is None:
        pytest.skip("the locked wheels of the tray, which `make deb` fetches")
    return place


@pytest.fixture(scope="session")
def commit() -> str:
    """Of which the package is built."""
    named = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=deb.ROOT, capture_output=True, text=True, check=True
    )
    return named.stdout.strip()


@pytest.fixture(scope="session")
def package(wheels: Path, tray_wheels: Path, commit: str) -> Iterator[Path]:
    """The package of the last commit; the tray's lies beside it."""
    if lacking := deb.lacking():
        pytest.skip(", ".join(lacking))
    with tempfile.TemporaryDirectory(prefix="postroad-") as folder:
        yield deb.build(wheels, Path(folder), tray_wheels=tray_wheels)


@pytest.fixture(scope="session")
def unpacked(package: Path) -> Path:
    """What is in it, as it would lie on a disk."""
    folder = package.parent / "unpacked"
    subprocess.run(["dpkg-deb", "--extract", package, folder], check=True)
    return folder


@pytest.fixture(scope="session")
def tray(package: Path) -> Path:
    return deb.tray_beside(package)


@pytest.fixture(scope="session")
def unpacked_tray(tray: Path) -> Path:
    folder = tray.parent / "unpacked-tray"
    subprocess.run(["dpkg-deb", "--extract", tray, folder], check=True)
    return folder


@pytest.fixture
def lintian() -> str:
    skip_without("lintian")
    return "lintian"
