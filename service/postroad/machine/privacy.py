"""Keep the data folder from others: 0600 in 0700, its owner's own, and no links (promise C3).

Purpose: at each start, mend what can be mended without a loss, and refuse the rest in words.
Where an access control list lets somebody in, the kernel shows its mask in the mode's group bits,
and a chmod closes it; what a list of defaults would grant to new files their mode 0600 takes away.
Above the folder nobody but its owner and root may rename: as OpenSSH wants it of the way to
authorized_keys, on every folder that the way leads through, also by links.
"""

import grp
import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from postroad.base.errors import NotToBeHad
from postroad.phrases import Phrase, joined, phrase

OTHERS = 0o077
KEYS = ("keys", "helper-key")
DATABASE = "postroad.sqlite"  # and what SQLite puts beside it
OURS = (*KEYS, "lock", "pause", "place")
ROOT = 0
OVERFLOW_UID = Path("/proc/sys/fs/overflowuid")
UID_MAP = Path("/proc/self/uid_map")
_ACCESS_LIST = "system.posix_acl_access"


def close_to_others(folder: Path, below: Sequence[str] = ()) -> Iterator[str]:
    """Make the folder and those `below` it where they are missing, and mend their modes and those
    of the files in it; gives a sentence for each thing that others could reach until now.

    Raises NotToBeHad where that could not help, OSError where the disk does not let us."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _expect_safe_way(folder)
    yield from _close(folder.resolve(), is_folder=True)
    for name in below:
        with_name = folder / name
        with_name.mkdir(mode=0o700, exist_ok=True)
        yield from _close(with_name, is_folder=True)
    for name in sorted(os.listdir(folder)):
        path = folder / name
        if name in OURS or name.startswith(DATABASE) or _is_private_file(path):
            yield from _close(path, is_folder=False)


def expect_own_folder(folder: Path) -> None:
    """Raise NotToBeHad unless this is a folder of ours, itself and not a link, and stays it."""
    _expect_ours(folder, folder.lstat(), is_folder=True)
    _expect_safe_way(folder)


def folders_above(path: Path) -> list[Path]:
    """Every folder in which a name is looked up on the way to this path, also by links; those that
    are there."""
    found: set[Path] = set()
    ways, known = [path.absolute()], set[Path]()
    while ways:
        way = ways.pop()
        if way in known:  # links that lead to each other lead nowhere
            continue
        known.add(way)
        found.update(Path(os.path.realpath(above)) for above in way.parents)
        ways += [one.parent / os.readlink(one) for one in (way, *way.parents) if one.is_symlink()]
    return sorted(one for one in found if one.exists())


def unmapped() -> frozenset[int]:
    """Where a sandbox gives us a user namespace without root, or with nobody but us: the number
    that stands for everybody who is not in it, root too. We ourselves are in it."""
    try:
        maps = [list(map(int, line.split())) for line in UID_MAP.read_text().splitlines()]
        has_root = any(first <= ROOT < first + count for first, _, count in maps)
        if not has_root or sum(count for _, _, count in maps) == 1:
            return frozenset({int(OVERFLOW_UID.read_text())})
    except (OSError, ValueError):
        pass
    return frozenset()


def _close(path: Path, *, is_folder: bool) -> Iterator[str]:
    found = path.lstat()
    _expect_ours(path, found, is_folder=is_folder)
    if path.name in KEYS and found.st_nlink > 1:
        raise NotToBeHad(
            joined(
                phrase(
                    "{path} has another name as well, under which the keys would stay when they "
                    "change.",
                    path=path,
                ),
                phrase(
                    "Find it with: find / -xdev -samefile {path}    and remove that one.",
                    path=path,
                ),
            )
        )
    mode, right = stat.S_IMODE(found.st_mode), 0o700 if is_folder else 0o600
    if mode & OTHERS or mode & right != right:  # a umask may have taken from us, too
        path.chmod(right)
    if mode & OTHERS:
        yield f"{path} could be reached by others (mode {mode:04o}); now it is yours alone."


def _expect_ours(path: Path, found: os.stat_result, *, is_folder: bool) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise NotToBeHad(
            joined(
                phrase(
                    "{path} is a link to {target}, and could lead elsewhere tomorrow.",
                    path=path,
                    target=os.readlink(path),
                ),
                phrase("Put what it leads to in its place."),
            )
        )
    if found.st_uid != os.geteuid():
        raise NotToBeHad(
            joined(
                phrase(
                    "{path} belongs to {owner}, and you are {name}.",
                    path=path,
                    owner=_name(found.st_uid),
                    name=_name(os.geteuid()),
                ),
                phrase(
                    "If it is yours, make it so: sudo chown -R {name} {path}",
                    name=_name(os.geteuid()),
                    path=path,
                ),
            )
        )
    right = stat.S_ISDIR(found.st_mode) if is_folder else stat.S_ISREG(found.st_mode)
    if not right:
        no_folder = phrase("{path} is not a folder, as it should be. Move it away.", path=path)
        no_file = phrase("{path} is not a file, as it should be. Move it away.", path=path)
        raise NotToBeHad(no_folder if is_folder else no_file)


def _expect_safe_way(folder: Path) -> None:
    """Whoever may write to a folder above ours can put another one in its place."""
    trusted = {ROOT, os.geteuid()} | unmapped()
    for above in folders_above(folder):
        found = above.stat()
        if found.st_uid not in trusted:
            raise NotToBeHad(
                joined(
                    phrase(
                        "{above} belongs to {owner}, who may rename what is in it, and so put "
                        "another folder in the place of {folder}.",
                        above=above,
                        owner=_name(found.st_uid),
                        folder=folder,
                    ),
                    phrase("Keep yours in a folder of your own."),
                )
            )
        if found.st_mode & stat.S_ISVTX:  # as /tmp: nobody can rename there what is not theirs
            continue
        if found.st_mode & stat.S_IWOTH:
            who = phrase(
                "Everybody may rename what is in {above}, and so put another folder in the place "
                "of yours.",
                above=above,
            )
            raise _open_above(above, who, "o-w")
        if found.st_mode & stat.S_IWGRP and not _is_own_group(above, found.st_gid):
            who = phrase(
                "The group {group} may rename what is in {above}, and so put another folder in "
                "the place of yours.",
                group=_group_name(found.st_gid),
                above=above,
            )
            raise _open_above(above, who, "g-w")


def _open_above(above: Path, who: Phrase, closing: str) -> NotToBeHad:
    close = phrase("Close it: chmod {closing} {above}", closing=closing, above=above)
    return NotToBeHad(joined(who, close))


def _is_own_group(folder: Path, gid: int) -> bool:
    """Whether it is the group of our user alone, which some systems give to each, and no access
    control list stands behind the mode's bits."""
    try:
        group, user = grp.getgrgid(gid), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    is_own = user.pw_gid == gid and group.gr_name == user.pw_name
    return is_own and set(group.gr_mem) <= {user.pw_name} and not _has_access_list(folder)


def _has_access_list(path: Path) -> bool:
    try:
        return bool(os.getxattr(path, _ACCESS_LIST))
    except OSError:  # there is none, or none can be
        return False


def _is_private_file(path: Path) -> bool:
    """Whether it is a file of ours, whatever it is for; of what else lies there we know nothing."""
    found = path.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)  # chown takes that, too
