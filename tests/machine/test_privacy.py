"""The data folder is its owner's alone: mended where that helps, refused in words where not."""

import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from postroad.base.errors import NotToBeHad
from postroad.machine import listeners, privacy
from postroad.machine.disk import FOLDERS, FolderDisk

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    FolderDisk(folder).close()
    for name in ("keys", "postroad.sqlite", "postroad.sqlite-wal"):
        (folder / name).write_bytes(b"octets")
        (folder / name).chmod(0o600)
    return folder


def opened(data: Path) -> tuple[str, ...]:
    disk = FolderDisk(data)
    disk.close()
    return disk.mended


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_is_private_already_is_left_as_it_is(data: Path) -> None:
    assert opened(data) == ()


@pytest.mark.parametrize("wide", [0o644, 0o640, 0o604, 0o660, 0o666, 0o777, 0o611])
@pytest.mark.parametrize("name", ["keys", "postroad.sqlite", "postroad.sqlite-wal", "lock"])
def test_a_file_that_others_could_reach_is_closed_and_told(
    data: Path, name: str, wide: int
) -> None:
    (data / name).chmod(wide)
    (told,) = opened(data)
    assert told.startswith(f"{data / name} could be reached by others (mode {wide:04o})")
    assert mode(data / name) == 0o600


@pytest.mark.parametrize("name", ["", *FOLDERS])
def test_a_folder_that_others_could_reach_is_closed_and_told(data: Path, name: str) -> None:
    (data / name).chmod(0o755)
    (told,) = opened(data)
    assert "(mode 0755)" in told
    assert mode(data / name) == 0o700


def test_what_is_made_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        disk = FolderDisk(tmp_path / "new")
        disk.write("keys", b"octets")
        disk.close()
    finally:
        os.umask(before)
    assert disk.mended == ()
    for path in (tmp_path / "new").rglob("*"):
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


def test_an_access_control_list_lets_nobody_in(data: Path) -> None:
    """One that grants user 1 to read, as setfacl -m u:1:r writes it."""
    entries = ((1, 6, -1), (2, 4, 1), (4, 0, -1), (16, 4, -1), (32, 0, -1))
    listed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(data / "keys", "system.posix_acl_access", listed)
    except OSError:
        pytest.skip("needs a file system with access control lists")
    assert mode(data / "keys") == 0o640  # the mask stands where the group's bits did
    (told,) = opened(data)
    assert "(mode 0640)" in told
    after = os.getxattr(data / "keys", "system.posix_acl_access")
    masks = [each for each in struct.iter_unpack("<HHi", after[4:]) if each[0] == 16]
    assert [permissions for _, permissions, _ in masks] == [0]


def linked(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("keys", linked, "is a link to"),
        ("helper-key", lambda path: path.symlink_to("/nowhere"), "is a link to /nowhere"),
        ("postroad.sqlite", linked, "is a link to"),
        ("lock", linked, "is a link to"),
        ("bodies", linked, "is a link to"),
        ("keys", a_folder, "is not a file"),
        ("postroad.sqlite-wal", a_pipe, "is not a file"),
        ("keys", lambda path: os.link(path, path.with_name("copy")), "has another name as well"),
    ],
)
def test_what_cannot_be_mended_is_refused_in_words(
    data: Path, name: str, change: Callable[[Path], None], words: str
) -> None:
    change(data / name)
    with pytest.raises(NotToBeHad, match=words) as refused:
        FolderDisk(data)
    assert str(data / name) in str(refused.value)


@AS_ROOT
@pytest.mark.parametrize("name", ["", "keys", "postroad.sqlite", "sealed"])
def test_what_belongs_to_somebody_else_is_refused(data: Path, name: str) -> None:
    os.chown(data / name, 65534, 65534)
    with pytest.raises(NotToBeHad, match="belongs to nobody, and you are root"):
        FolderDisk(data)


def test_a_folder_that_everybody_may_replace_is_refused(tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(0o777)
    with pytest.raises(NotToBeHad, match=f"chmod o-w {above}"):
        FolderDisk(above / "data")
    above.chmod(0o1777)  # as /tmp: nobody can rename another's there
    FolderDisk(above / "data").close()


@AS_ROOT
def test_a_folder_above_that_a_group_may_replace_is_refused_but_not_one_of_our_own(
    tmp_path: Path,
) -> None:
    above = tmp_path / "above"
    (above / "between").mkdir(parents=True)
    above.chmod(0o775)
    FolderDisk(above / "between" / "data").close()  # of the group that is its owner's alone
    os.chown(above, 0, 4711)
    with pytest.raises(NotToBeHad, match=f"group 4711 .*chmod g-w {above}"):
        FolderDisk(above / "between" / "data")
    above.chmod(0o1775)
    FolderDisk(above / "between" / "data").close()


@AS_ROOT
def test_the_group_of_our_own_does_not_hide_an_access_control_list(tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    entries = ((1, 7, -1), (2, 7, 1), (4, 5, -1), (16, 7, -1), (32, 0, -1))
    listed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in entries)
    try:
        os.setxattr(above, "system.posix_acl_access", listed)
    except OSError:
        pytest.skip("needs a file system with access control lists")
    with pytest.raises(NotToBeHad, match=f"chmod g-w {above}"):
        FolderDisk(above / "data")
    above.chmod(0o700)
    FolderDisk(above / "data").close()


@AS_ROOT
def test_a_folder_above_that_is_somebody_elses_is_refused(tmp_path: Path) -> None:
    above = tmp_path / "above"
    above.mkdir()
    FolderDisk(above / "data").close()
    os.chown(above, 65534, 65534)
    with pytest.raises(NotToBeHad, match=f"{above} belongs to nobody, who may rename what is in"):
        FolderDisk(above / "data")


def test_in_a_namespace_of_our_own_the_folders_of_root_have_the_number_of_everybody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "overflow").write_text("4711\n")
    monkeypatch.setattr(privacy, "OVERFLOW_UID", tmp_path / "overflow")
    monkeypatch.setattr(privacy, "UID_MAP", tmp_path / "map")
    for text, others in (
        ("0 0 4294967295\n", set()),
        ("0 524288 65536\n", set()),  # a container with a root of its own
        ("1000 1000 1\n", {4711}),  # systemd's PrivateUsers for a user
        ("0 1000 1\n", {4711}),  # unshare -r
    ):
        (tmp_path / "map").write_text(text)
        assert privacy.unmapped() == others


def test_the_way_to_a_linked_folder_is_looked_at_also_where_the_link_lies(
    tmp_path: Path, data: Path
) -> None:
    there = tmp_path / "there"
    there.mkdir()
    (there / "link").symlink_to(data)
    assert opened(there / "link") == ()
    there.chmod(0o777)
    with pytest.raises(NotToBeHad, match=f"chmod o-w {there}"):
        opened(there / "link")


def test_the_owner_may_keep_the_folder_on_another_disk(tmp_path: Path, data: Path) -> None:
    (tmp_path / "here").symlink_to(data)
    assert opened(tmp_path / "here") == ()


def test_other_things_in_the_folder_are_none_of_our_business(data: Path) -> None:
    (data / "notes.txt").symlink_to("/etc/hostname")
    (data / "lost+found").mkdir(0o755)
    assert opened(data) == ()


def test_the_control_socket_is_made_in_no_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "real")
    with pytest.raises(NotToBeHad, match="is a link to"):
        listeners.unix(tmp_path / "run" / "control")
    (tmp_path / "wide").mkdir()
    (tmp_path / "wide").chmod(0o777)
    with pytest.raises(NotToBeHad, match=f"chmod o-w {tmp_path / 'wide'}"):
        listeners.unix(tmp_path / "wide" / "run" / "control")
    listening = listeners.unix(tmp_path / "real" / "control")
    listening.close()
    assert mode(tmp_path / "real") == 0o700
    assert mode(tmp_path / "real" / "control") == 0o600


def test_the_old_keys_are_overwritten_and_a_copy_of_the_owners_is_not(data: Path) -> None:
    disk = FolderDisk(data)
    old = (data / "keys").open("rb")
    copied = (data / "postroad.sqlite").open("rb")
    disk.write("keys", b"new", blot=True)
    assert old.read() == bytes(len(b"octets"))
    os.link(data / "postroad.sqlite", data / "backup")
    disk.write("postroad.sqlite", b"new", blot=True)
    assert copied.read() == (data / "backup").read_bytes() == b"octets"
    assert (data / "keys").read_bytes() == b"new"
    old.close()
    copied.close()
    disk.close()
