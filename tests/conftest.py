"""What every test shares: the corpus of real mail, and how Hypothesis behaves.

A skip says that this machine lacks something, and `make test` counts it in its closing line; with
CI set it counts as failed. A test that has no meaning somewhere is not collected there, or is
skipped with a reason that begins with "not for ".
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "postroad",
    deadline=None,  # the machine is shared; a slow moment is no finding
    database=None,  # what Hypothesis finds becomes a named test, not a file in the tree
    derandomize=bool(os.environ.get("CI")),
)
hypothesis.settings.load_profile("postroad")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real messages: $POSTROAD_CORPUS, else ../shared/corpus beside the tree."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "corpus"
    folder = Path(os.environ.get("POSTROAD_CORPUS") or beside)
    if not folder.is_dir():
        pytest.skip("the corpus of real mail is not here (POSTROAD_CORPUS=folder)")
    return folder


@pytest.fixture(scope="session")
def quiet_network() -> None:
    """An iroh endpoint looks for routers by multicast, and tests send nothing out of this machine:
    iroh only where loopback is the only network, as under `make test`."""
    if [name for _, name in socket.if_nameindex()] != ["lo"]:
        os.environ.setdefault("LINK", "tls")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """For nodes: the path of a socket is short."""
    with tempfile.TemporaryDirectory(prefix="pr-", dir="/tmp") as folder:
        yield Path(folder)
