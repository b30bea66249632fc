"""What stands in a backup: a catalogue of files, and packs of the blocks that they are cut into.

Purpose: write and read both; all of it without a disk. A file is cut at fixed places, so that a
database of which a few pages changed has few new blocks. The catalogue is sealed whole, and names
each block of each file in order; a pack is a sealed index, and behind it the sealed blocks.
Invariants: nothing is believed that does not open under the owner's key and for its own purpose.
See: docs/backup.md.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from postroad.base.tlv import encode, fixed, number, octets, text
from postroad.sealing import backup
from postroad.sealing.backup import MARK_BYTES, NAME_BYTES, BackupDamaged, Sealer

MAGIC = b"postroad backup 1" + b"\n"
CATALOGUE = "postroad-backup"
CATALOGUE_COPY = "postroad-backup.copy"
PACKS = "packs"
BLOCK_BYTES = 16 << 10
PACK_BYTES = 16 << 20  # a pack is written when it has so many, at least
PACK_BYTES_MAX = PACK_BYTES + BLOCK_BYTES + (1 << 20)
CATALOGUE_BYTES_MAX = 1 << 30
CATALOGUE_BYTES_ALWAYS = 64 << 20  # that one may have, however little is in the packs
CATALOGUE_SHARE = 16  # of the packs' octets; it needs a 200th, and more where many blocks are equal
DATABASE = "database"
_U32 = struct.Struct(">I")
_BLOCK, _INDEX, _LIST = b"block", b"index ", b"catalogue"


@dataclass(frozen=True, slots=True)
class Head:
    """What a backup says of itself. `keys`: sealed under a key of their own (`store.keyring`)."""

    count: int = number(1, 8)  # how many were made before it in this folder, and one
    made_at: int = number(2, 8)
    program: str = text(3, 40)
    messages: int = number(4, 8)
    smtp_port: int = number(5, 2)
    imap_port: int = number(6, 2)
    keys: bytes = octets(7, 1, 60_000)
    pop3_port: int = number(8, 2)


@dataclass(frozen=True, slots=True)
class File:
    """`sha256`: of its octets; those of the database are as SQLite copied it."""

    name: str = text(1, 100, 1)
    size: int = number(2, 8)
    sha256: bytes = fixed(3, 32)


@dataclass(frozen=True, slots=True)
class Catalogue:
    head: Head
    files: dict[str, tuple[File, tuple[bytes, ...]]]  # with the names of their blocks, in order

    def blocks(self) -> Iterator[bytes]:
        for _, names in self.files.values():
            yield from names


@dataclass(frozen=True, slots=True)
class Place:
    """Where a block stands in its pack."""

    offset: int
    size: int


def seal_block(sealer: Sealer, block: bytes) -> tuple[bytes, bytes]:
    """Its name, and what stands in a pack."""
    sealed = sealer.seal(_BLOCK, block)
    return sealed[:NAME_BYTES], sealed


def open_block(sealer: Sealer, name: bytes, sealed: bytes) -> bytes:
    if sealed[:NAME_BYTES] != name:
        raise BackupDamaged("another block stands where this one should")
    return sealer.open(_BLOCK, sealed)


def write_pack(sealer: Sealer, pack: str, blocks: list[bytes]) -> bytes:
    """The octets of a pack of this name with these sealed blocks."""
    entries = b"".join(one[:NAME_BYTES] + _U32.pack(len(one)) for one in blocks)
    index = sealer.seal(_INDEX + pack.encode(), entries)
    return b"".join([_U32.pack(len(index)), index, *blocks])


def index_bytes(head: bytes) -> int:
    """How long the sealed index is, by the first four octets of a pack."""
    if len(head) != _U32.size:
        raise BackupDamaged("a pack is cut short")
    (size,) = _U32.unpack(head)
    if size > PACK_BYTES_MAX:
        raise BackupDamaged("a pack is damaged")
    return int(size)


def read_index(sealer: Sealer, pack: str, sealed: bytes) -> dict[bytes, Place]:
    """Where which block stands in the pack of this name."""
    entries = sealer.open(_INDEX + pack.encode(), sealed)
    offset, found = _U32.size + len(sealed), {}
    width = NAME_BYTES + _U32.size
    if len(entries) % width:
        raise BackupDamaged("the index of a pack is cut short")
    for at in range(0, len(entries), width):
        (size,) = _U32.unpack(entries[at + NAME_BYTES : at + width])
        found[entries[at : at + NAME_BYTES]] = Place(offset, size)
        offset += size
    return found


def catalogue_bytes_max(packs_bytes: int) -> int:
    """How large a catalogue may be beside packs of so many octets: whoever can write to the folder
    cannot have us read more into memory than they have filled."""
    return min(CATALOGUE_BYTES_ALWAYS + packs_bytes // CATALOGUE_SHARE, CATALOGUE_BYTES_MAX)


def write_catalogue(sealer: Sealer, mark: bytes, catalogue: Catalogue) -> bytes:
    """The octets of the file CATALOGUE."""
    out = [_framed(encode(catalogue.head))]
    for file, names in catalogue.files.values():
        out += [_framed(encode(file)), _framed(b"".join(names))]
    return MAGIC + mark + sealer.seal(_LIST, b"".join(out))


def mark_of(octets: bytes) -> bytes:
    """Whose backup it is (`sealing.backup.mark`); BackupDamaged where it is no backup."""
    mark = octets[len(MAGIC) : len(MAGIC) + MARK_BYTES]
    if not octets.startswith(MAGIC) or len(mark) != MARK_BYTES:
        raise BackupDamaged("it is no catalogue of a backup")
    return mark


def read_catalogue(sealer: Sealer, octets: bytes) -> Catalogue:
    """BackupDamaged unless it is, octet for octet, what was written."""
    mark_of(octets)
    frames = _frames(sealer.open(_LIST, octets[len(MAGIC) + MARK_BYTES :]))
    found = Catalogue(backup.read(Head, next(frames, b"")), {})
    for frame in frames:
        file, names = backup.read(File, frame), next(frames, b"")
        if len(names) != -(-file.size // BLOCK_BYTES) * NAME_BYTES:
            raise BackupDamaged("a file of the catalogue has too few blocks, or too many")
        found.files[file.name] = (
            file,
            tuple(names[at : at + NAME_BYTES] for at in range(0, len(names), NAME_BYTES)),
        )
    return found


def _framed(octets: bytes) -> bytes:
    return _U32.pack(len(octets)) + octets


def _frames(octets: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(octets):
        if at + _U32.size > len(octets):
            raise BackupDamaged("the catalogue is cut short")
        (size,) = _U32.unpack_from(octets, at)
        at += _U32.size
        if at + size > len(octets):
            raise BackupDamaged("the catalogue is cut short")
        yield octets[at : at + size]
        at += size
