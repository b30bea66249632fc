"""A letter of the greatest size is in memory once: sealing and opening need a few chunks more."""

import hashlib
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from fakes import NOW
from postroad.base import limits
from postroad.sealing import keys
from postroad.sealing.letter import CHUNK, Header, open_sealed
from sealing.test_letter import BEN, header_for, sealed_pieces

T = TypeVar("T")
SIZE = limits.LETTER_BYTES_MAX
FEW_CHUNKS = 8 * CHUNK  # half a MiB beside 25


def most_needed(work: Callable[[], T]) -> tuple[T, int]:
    """What it gives, and the most memory that it took while it ran, that of the answer included."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        done = work()
        return done, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module")
def letter(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Header, bytes]:
    """A file with a sealed letter, and what was sealed."""
    body = hashlib.sha256(b"letter").digest() * (SIZE // 32)
    header = header_for(body)
    path = tmp_path_factory.mktemp("memory") / "sealed"
    write(path, header, body)
    return path, header, body


def write(path: Path, header: Header, body: bytes) -> None:
    with path.open("wb") as file:
        file.writelines(sealed_pieces(header, body))


def test_sealing_takes_a_few_chunks_beyond_the_letter(letter: tuple[Path, Header, bytes]) -> None:
    path, header, body = letter
    _, needed = most_needed(lambda: write(path, replace(header, nonce=b"n" * 16), body))
    assert needed <= FEW_CHUNKS


def test_opening_takes_the_letter_and_a_few_chunks(letter: tuple[Path, Header, bytes]) -> None:
    path, _, body = letter
    with path.open("rb") as file:

        def read(offset: int, size: int) -> bytes:
            file.seek(offset)
            return file.read(size)

        found, needed = most_needed(
            lambda: open_sealed(
                read,
                path.stat().st_size,
                {keys.epoch_key_id(BEN.epoch.public): BEN.epoch},
                NOW,
                lambda _: b"Received: here\r\n",
            )
        )
    assert found.octets[found.above :] == body
    assert needed <= SIZE + FEW_CHUNKS
