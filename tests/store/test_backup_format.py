"""The format of a backup: what docs/backup.md says, and nothing that was changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeEntropy
from postroad.base import tlv
from postroad.base.ids import Instant
from postroad.sealing import backup
from postroad.sealing.backup import BackupDamaged, Sealer
from postroad.sealing.keys import Identity
from postroad.store import backup_format as form
from postroad.store import keyring
from postroad.store.backup_format import Catalogue, File, Head

IDENTITY = Identity(bytes(range(32)))
SEALER = Sealer(backup.mail_key(IDENTITY))
MARK = backup.mark(IDENTITY)
HEAD = Head(3, 1_795_000_000, "postroad 0.1.0", 12, 10587, 10143, b"sealed keys", 10110)
PAGE = Path(__file__).resolve().parents[2] / "docs" / "backup.md"


def test_the_page_says_what_the_code_does() -> None:
    page = PAGE.read_text()
    said = re.findall(r"`([0-9a-f]{20,})`", page)
    _, sealed = form.seal_block(SEALER, b"a postroad")
    key = backup.mail_key(IDENTITY).hex()
    assert said == [key[:64], key[64:], MARK.hex(), sealed.hex()]
    for message in (Head, File):
        for name, kind in tlv.plan(message):
            assert re.search(
                rf"^\| [\d, ]*{kind.tag}[\d, ]* \| .*{name.replace('_', ' ')}", page, re.M
            )


def test_a_catalogue_and_a_pack_read_back_as_they_were_written() -> None:
    blocks = [bytes([number]) * form.BLOCK_BYTES for number in range(5)]
    sealed = dict(form.seal_block(SEALER, block) for block in blocks)
    pack = form.write_pack(SEALER, "ab", list(sealed.values()))
    size = form.index_bytes(pack[:4])
    index = form.read_index(SEALER, "ab", pack[4 : 4 + size])
    for name, block in zip(sealed, blocks, strict=True):
        place = index[name]
        found = pack[place.offset : place.offset + place.size]
        assert form.open_block(SEALER, name, found) == block
    file = File("database", 5 * form.BLOCK_BYTES, bytes(32))
    made = Catalogue(HEAD, {"database": (file, tuple(sealed))})
    octets = form.write_catalogue(SEALER, MARK, made)
    assert form.mark_of(octets) == MARK
    assert form.read_catalogue(SEALER, octets) == made


def test_a_pack_under_another_name_and_a_block_in_anothers_place_are_refused() -> None:
    first, second = (form.seal_block(SEALER, octets) for octets in (b"one", b"two"))
    pack = form.write_pack(SEALER, "ab", [first[1]])
    index = pack[4 : 4 + form.index_bytes(pack[:4])]
    with pytest.raises(BackupDamaged):
        form.read_index(SEALER, "cd", index)
    with pytest.raises(BackupDamaged):
        form.open_block(SEALER, first[0], second[1])


@pytest.mark.parametrize("behind", [b"\0\0\0\1x", b"\0\0\0\0", b"x", b"\0\0\0\2x"])
def test_what_is_no_message_behind_a_good_seal_is_damage_and_nobodys_misbehaviour(
    behind: bytes,
) -> None:
    octets = form.MAGIC + MARK + SEALER.seal(b"catalogue", behind)
    with pytest.raises(BackupDamaged):
        form.read_catalogue(SEALER, octets)
    with pytest.raises(BackupDamaged):
        keyring.restored(
            Sealer(backup.keys_key(IDENTITY)).seal(b"keys", behind),
            IDENTITY,
            FakeEntropy(),
            Instant(0.0),
        )


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_one_flipped_bit_is_never_believed(at: int, bit: int) -> None:
    octets = bytearray(form.write_catalogue(SEALER, MARK, Catalogue(HEAD, {})))
    at %= len(octets)
    octets[at] ^= 1 << bit
    in_mark = len(form.MAGIC) <= at < len(form.MAGIC) + len(MARK)
    if in_mark:  # it says whose it is, before anything is opened
        assert form.mark_of(bytes(octets)) != MARK
        return
    with pytest.raises(BackupDamaged):
        form.read_catalogue(SEALER, bytes(octets))


def test_the_same_block_has_the_same_name_under_one_key_and_another_under_another() -> None:
    other = Sealer(backup.mail_key(Identity(bytes(32))))
    assert form.seal_block(SEALER, b"same") == form.seal_block(SEALER, b"same")
    assert form.seal_block(SEALER, b"same")[0] != form.seal_block(other, b"same")[0]
