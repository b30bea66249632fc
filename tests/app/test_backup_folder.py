"""The folder of a backup, on a disk that others write to as well, that fails, and that rots."""

from __future__ import annotations

import errno
import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from mail_to_back_up import Mail, Seam
from postroad.app import backup_folder, durable, telling_backup
from postroad.base.errors import ConfigurationError, DiskFull
from postroad.store import backup_format as form
from postroad.store import checkup, snapshot

LARGE = bytes(range(256)) * 400  # 100 kB: it has a file of its own


@pytest.fixture
def mail(tmp_path: Path) -> Mail:
    made = Mail(tmp_path / "data")
    made.add(b"small", LARGE)
    return made


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    return tmp_path / "stick"


def packs(stick: Path) -> list[Path]:
    return sorted((stick / form.PACKS).iterdir())


def damage(mail: Mail, stick: Path, name: str) -> None:
    """Flip a bit in the first block of this file."""
    folder = backup_folder.Folder(stick, mail.using.sealer, mail.using.mark)
    catalogue = folder.catalogue()
    assert catalogue is not None
    folder.look()
    pack, place = folder._places[catalogue.files[name][1][0]]
    with (stick / form.PACKS / pack).open("r+b") as file:
        file.seek(place.offset + 30)
        (octet,) = file.read(1)
        file.seek(place.offset + 30)
        file.write(bytes([octet ^ 1]))


def large_letter(mail: Mail) -> str:
    (name,) = os.listdir(mail.data / "bodies")
    return f"bodies/{name}"


# What rots


def test_a_flipped_bit_in_the_database_is_written_anew_by_the_next_backup(
    mail: Mail, stick: Path
) -> None:
    mail.back_up(stick)
    damage(mail, stick, form.DATABASE)
    mail.back_up(stick)
    assert mail.check(stick)["whole"]
    assert mail.messages_in(stick) == 2


def test_a_flipped_bit_in_a_letter_that_a_check_found_is_written_anew(
    mail: Mail, stick: Path
) -> None:
    mail.back_up(stick)
    damage(mail, stick, large_letter(mail))
    found = mail.check(stick)
    assert (found["whole"], found["mends"]) == (False, True)
    assert found["damaged_files"] == [large_letter(mail)]
    mail.back_up(stick)
    assert mail.check(stick)["whole"]
    assert mail.messages_in(stick) == 2
    assert not (stick / backup_folder.DOUBTS).exists()


def test_a_flipped_bit_in_what_is_gathered_is_written_anew(mail: Mail, stick: Path) -> None:
    mail.add(*(os.urandom(50_000) for _ in range(3)))
    mail.back_up(stick)
    damage(mail, stick, large_letter(mail))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup_folder, "SMALL_MAX", 0)  # so that every pack is gathered
        mail.back_up(stick)
    assert mail.messages_in(stick) == 5
    assert mail.check(stick)["whole"]


def test_a_block_that_was_mended_is_kept_though_the_damaged_one_is_still_there(
    mail: Mail, stick: Path
) -> None:
    """The run that mended it was killed before it removed the old pack."""
    mail.back_up(stick)
    damage(mail, stick, large_letter(mail))
    (old,) = packs(stick)
    first = old.with_name("0" * 32)  # of two, this one is looked at first
    rename_pack(mail, old, first)
    rotten = first.read_bytes()
    assert not mail.check(stick)["whole"]
    mail.back_up(stick)
    assert mail.check(stick)["whole"]
    first.write_bytes(rotten)
    mail.add(b"one more")
    mail.back_up(stick)
    assert mail.check(stick)["whole"]
    assert not first.exists()


def rename_pack(mail: Mail, old: Path, new: Path) -> None:
    """With the index sealed for its new name."""
    octets, sealer = old.read_bytes(), mail.using.sealer
    size = form.index_bytes(octets[:4])
    index = sealer.open(b"index " + old.name.encode(), octets[4 : 4 + size])
    sealed = sealer.seal(b"index " + new.name.encode(), index)
    new.write_bytes(octets[:4] + sealed + octets[4 + size :])
    old.unlink()


def test_the_doubts_about_a_block_go_when_the_damaged_one_is_gone_for_good(
    mail: Mail, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail.back_up(stick)
    damage(mail, stick, large_letter(mail))
    assert mail.check(stick)["mends"]
    changes: list[str] = []
    monkeypatch.setattr(durable, "os", Seam(lambda _, name: changes.append(name)))
    mail.back_up(stick)
    noted = ["unlink", "write", "fsync", "rename", "fsync"]  # in the data folder: it is done
    assert changes[-8:] == ["unlink", "fsync", "unlink", *noted]


def test_a_letter_that_has_rotted_in_the_store_is_missing_and_not_backed_up_as_whole(
    mail: Mail, stick: Path, tmp_path: Path
) -> None:
    name = large_letter(mail)
    octets = bytearray((mail.data / name).read_bytes())
    mail.back_up(stick)  # while it was whole
    octets[50_000] ^= 1
    (mail.data / name).write_bytes(octets)
    assert mail.back_up(tmp_path / "second")["missing"] == [name]
    assert mail.back_up(stick)["missing"] == []
    assert mail.check(stick)["damaged_files"] == []


def test_where_nothing_can_be_noted_nobody_promises_that_it_is_mended(
    mail: Mail, stick: Path
) -> None:
    mail.back_up(stick)
    damage(mail, stick, large_letter(mail))
    (stick / backup_folder.DOUBTS).mkdir()
    found = mail.check(stick)
    assert (found["whole"], found["mends"]) == (False, False)


def test_a_catalogue_on_a_bad_place_of_the_disk_is_read_from_its_copy(
    mail: Mail, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail.back_up(stick)
    read, bad = durable.read_plain, {form.CATALOGUE}

    def failing_there(path: Path) -> BinaryIO:
        if path.name in bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(path)

    monkeypatch.setattr(durable, "read_plain", failing_there)
    found = mail.check(stick)
    assert (found["catalogue_is_whole"], found["database_is_whole"]) == (False, True)
    bad.add(form.CATALOGUE_COPY)
    with pytest.raises(ConfigurationError, match="has gone"):
        mail.check(stick)


def test_a_damaged_store_without_a_backup_is_told_in_words(mail: Mail, stick: Path) -> None:
    path = mail.data / "postroad.sqlite"
    octets = bytearray(path.read_bytes())
    octets[4096:] = b"\1" * (len(octets) - 4096)
    path.write_bytes(octets)
    with pytest.raises(ConfigurationError, match="The store is damaged"):
        mail.back_up(stick)


# What others have put there


def test_a_folder_with_things_of_its_owner_is_refused_and_left_as_it_is(
    mail: Mail, stick: Path
) -> None:
    (stick / form.PACKS).mkdir(parents=True)
    kept = stick / form.PACKS / "holiday.jpg"
    kept.write_bytes(b"a picture")
    with pytest.raises(ConfigurationError, match=r"not empty: .*stick/postroad"):
        mail.back_up(stick)
    assert [path.name for path in stick.rglob("*")] == [form.PACKS, "holiday.jpg"]
    with pytest.raises(ConfigurationError, match="not empty"):
        mail.back_up(mail.data.parent)
    strange = stick / form.PACKS / ("0" * 32)
    kept.rename(strange)  # called like a pack, and none
    with pytest.raises(ConfigurationError, match="not empty"):
        mail.back_up(stick)
    assert strange.read_bytes() == b"a picture"


def test_a_new_disks_own_folder_will_do(mail: Mail, stick: Path) -> None:
    for name in ("lost+found", ".Trash-1000", "System Volume Information"):
        (stick / name).mkdir(parents=True)
    mail.back_up(stick)
    assert mail.messages_in(stick) == 2


def test_nothing_but_packs_is_removed_from_among_the_packs(mail: Mail, stick: Path) -> None:
    mail.back_up(stick)
    others = [stick / form.PACKS / name for name in ("note.txt", "x.part", "a" * 64, ".n.1.part")]
    for path in others:
        path.write_bytes(b"mine")
    mail.add(b"one more")
    mail.back_up(stick)
    assert all(path.read_bytes() == b"mine" for path in others)


@pytest.mark.parametrize("has_backup", [False, True])
def test_a_link_in_the_place_of_the_packs_leads_nowhere(
    mail: Mail, stick: Path, has_backup: bool
) -> None:
    bodies = mail.data / "bodies"
    if has_backup:
        mail.back_up(stick)
        for path in packs(stick):
            path.unlink()
        (stick / form.PACKS).rmdir()
    else:
        stick.mkdir()
    (stick / form.PACKS).symlink_to(bodies)
    before = {path.name: path.read_bytes() for path in bodies.iterdir()}
    with pytest.raises(ConfigurationError, match=r"Choose another folder|not empty"):
        mail.back_up(stick)
    assert {path.name: path.read_bytes() for path in bodies.iterdir()} == before != {}


@pytest.mark.parametrize("name", [*backup_folder.CATALOGUES, "packs/" + "0" * 32])
def test_a_link_in_the_place_of_a_draft_has_nothing_written_over(
    mail: Mail, stick: Path, tmp_path: Path, name: str
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"of the owner's")
    mail.back_up(stick)
    path = stick / name
    for draft in (f"{path.name}.part", f".{path.name}.{os.getpid()}.part"):
        path.with_name(draft).symlink_to(victim)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("postroad.app.backup_folder.secrets.token_hex", lambda _: "0" * 32)
        mail.add(b"one more")
        mail.back_up(stick)
    assert victim.read_bytes() == b"of the owner's"
    assert mail.messages_in(stick) == 3


@pytest.mark.parametrize("name", [*backup_folder.CATALOGUES, backup_folder.LOCK, "pack"])
def test_a_pipe_in_the_folder_holds_nobody_up(mail: Mail, stick: Path, name: str) -> None:
    mail.back_up(stick)
    path = packs(stick)[0] if name == "pack" else stick / name
    path.unlink()
    os.mkfifo(path)
    if name == backup_folder.LOCK:
        assert mail.check(stick)["whole"]
    elif name == "pack":
        assert not mail.check(stick)["database_is_whole"]
        mail.back_up(stick)  # all of it anew
        assert mail.messages_in(stick) == 2
        return
    elif name == form.CATALOGUE:
        with pytest.raises(ConfigurationError, match="is not what a backup has there"):
            mail.check(stick)
    if name != form.CATALOGUE_COPY:
        with pytest.raises(ConfigurationError, match="is not what a backup has there"):
            mail.back_up(stick)


def test_a_huge_catalogue_is_not_read_into_memory(mail: Mail, stick: Path) -> None:
    mail.back_up(stick)
    with (stick / form.CATALOGUE).open("r+b") as file:
        file.truncate(form.CATALOGUE_BYTES_MAX)
    tracemalloc.start()
    try:
        assert not mail.check(stick)["catalogue_is_whole"]
        assert tracemalloc.get_traced_memory()[1] < 4 * form.CATALOGUE_BYTES_ALWAYS
    finally:
        tracemalloc.stop()
    mail.back_up(stick)
    assert mail.check(stick)["whole"]


def test_of_two_peoples_first_backups_into_one_folder_the_second_is_refused(
    mail: Mail, stick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Mail(tmp_path / "other", owner=2)
    lock = backup_folder._lock

    def after_the_other(handle: int, path: Path, **named: Any) -> None:
        monkeypatch.setattr(backup_folder, "_lock", lock)
        other.back_up(stick)
        lock(handle, path, **named)

    monkeypatch.setattr(backup_folder, "_lock", after_the_other)
    with pytest.raises(ConfigurationError, match="is not yours"):
        mail.back_up(stick)
    assert other.check(stick)["whole"]


def test_a_check_while_a_backup_is_written_says_so(mail: Mail, stick: Path) -> None:
    mail.back_up(stick)
    told: list[str] = []

    def meanwhile(*_: int) -> None:
        with pytest.raises(ConfigurationError) as raised:
            mail.check(stick)
        told.append(str(raised.value))

    mail.back_up(stick, meanwhile)
    assert "is being written just now" in told[0]


# What the copy of the database needs


def test_a_backup_on_the_disk_of_the_mail_itself_says_so(
    mail: Mail, stick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in the empty folder of a stick that is not plugged in."""
    telling_backup.written(mail.back_up(stick))
    assert "on the disk of your mail itself" in capsys.readouterr().out
    elsewhere = Path("/dev/shm")  # another file system
    if os.stat(elsewhere).st_dev == os.stat(mail.data).st_dev:
        pytest.skip("there is one file system alone")
    with tempfile.TemporaryDirectory(dir=elsewhere) as other:
        telling_backup.written(mail.back_up(Path(other)))
    assert "on the disk of your mail itself" not in capsys.readouterr().out


def test_two_backups_at_once_to_two_folders_do_not_meet(
    mail: Mail, stick: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second"

    def meanwhile(*_: int) -> None:
        if not second.exists():
            mail.back_up(second)

    mail.back_up(stick, meanwhile)
    assert mail.messages_in(stick) == mail.messages_in(second) == 2
    assert not list(mail.data.glob("*.backup"))


def test_the_copy_leaves_the_reserve_and_says_what_is_needed(tmp_path: Path, stick: Path) -> None:
    mail = Mail(tmp_path / "data", reserve_mib=1e9)
    with pytest.raises(DiskFull, match=r"MiB more are needed\. Make room in"):
        mail.back_up(stick)
    assert not list(mail.data.glob("*.backup"))


def test_what_a_killed_backup_left_goes_and_what_one_uses_stays(mail: Mail, stick: Path) -> None:
    left = mail.data / f"postroad.sqlite.{'0' * 16}.backup"
    journal = left.with_name(left.name + "-journal")
    orphan = mail.data / f"postroad.sqlite.{'1' * 16}.backup-journal"  # its copy was removed
    drafts = [left, journal, orphan, mail.data / checkup.DRAFT]
    for path in drafts:
        path.write_bytes(b"half")
    with ExitStack() as stack:
        used = stack.enter_context(snapshot.taken(mail.data, 0))
        assert not any(path.exists() for path in drafts[:-1])
        written = used.with_name(used.name + "-journal")
        for path in (left, journal, orphan, written):
            path.write_bytes(b"half")
        checkup.remove_left(mail.data)
        assert used.exists()
        assert written.exists()
        written.unlink()
        assert not any(path.exists() for path in drafts)


# What fails


@pytest.fixture
def failing() -> Iterator[Any]:
    """Has what changes a disk fail from its n-th time on, at `durable`'s one seam."""
    with pytest.MonkeyPatch.context() as patch:

        def begin(n: int, number: int, count: int = 1_000_000) -> Seam:
            def meet(at: int, name: str) -> None:
                if n <= at < n + count and name != "unlink":
                    raise OSError(number, os.strerror(number))

            seam = Seam(meet)
            patch.setattr(durable, "os", seam)
            return seam

        yield begin
        patch.undo()


WORDS = {
    errno.ENOSPC: "There is no room left in",
    errno.EIO: "has gone .*unplugged",
    errno.EROFS: "cannot be written",
    errno.ESTALE: "has gone .*unplugged",
}


@pytest.mark.parametrize("number", list(WORDS), ids=errno.errorcode.get)
def test_a_disk_that_fails_anywhere_is_told_in_words_and_leaves_a_whole_backup(
    mail: Mail, stick: Path, failing: Any, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form, "PACK_BYTES", 64 << 10)
    mail.back_up(stick)
    have = 2
    seam = failing(0, 0, 0)
    for n in range(1, 300):
        mail.add(b"number %d" % n, b"%04d" % n * 40_000)
        seam = failing(n, number)
        try:
            with pytest.raises(ConfigurationError, match=WORDS[number]):
                mail.back_up(stick)
        except pytest.fail.Exception:
            break
        finally:
            failing(0, 0, 0)
        assert mail.messages_in(stick) in (have, have + 2)
        have += 2
        assert mail.back_up(stick)["missing"] == []
        assert mail.messages_in(stick) == have
        assert mail.check(stick)["whole"]
    assert 12 < n < 300
    assert seam.count >= n - 1


def test_a_disk_that_fails_while_letters_are_copied_has_lost_no_letter(
    mail: Mail, stick: Path, failing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is whole: what failed is the disk that is written to."""
    monkeypatch.setattr(form, "PACK_BYTES", 64 << 10)
    mail.add(*(bytes([at]) + os.urandom(300_000) for at in range(3)))
    failing(30, errno.EIO, 1)
    with pytest.raises(ConfigurationError, match="has gone"):
        mail.back_up(stick)


def test_a_letter_that_cannot_be_read_is_missing_and_all_else_is_there(
    mail: Mail, stick: Path
) -> None:
    path = mail.data / large_letter(mail)
    path.unlink()
    path.mkdir()
    assert mail.back_up(stick)["missing"] == [f"bodies/{path.name}"]
    assert mail.messages_in(stick) == 2


def test_packs_of_a_killed_run_give_way_when_the_disk_is_full(
    mail: Mail, stick: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail.back_up(stick)
    before = packs(stick)
    with backup_folder.Folder(stick, mail.using.sealer, mail.using.mark).writing() as writer:
        writer.add(os.urandom(form.BLOCK_BYTES))  # a letter that is deleted since
        writer.flush()
    (waste,) = set(packs(stick)) - set(before)
    mail.add(b"one more")

    def full(_: int, name: str) -> None:
        if name == "write" and waste.exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(durable, "os", Seam(full))
    mail.back_up(stick)
    monkeypatch.undo()
    assert mail.messages_in(stick) == 3
