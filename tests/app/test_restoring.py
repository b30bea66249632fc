"""A restoration that meets trouble: a medium that does not answer, a full disk, an older one that
was broken off, a letter that is damaged. Nobody is set up by half, and nothing is written over."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from crash import points
from crash.test_backup import begin
from mail_to_back_up import add
from person import Person, surroundings
from postroad.app import config as configuration
from postroad.app import telling_backup
from postroad.app.backing_up import back_up
from postroad.app.setting_up import DRAFT, RESTORING
from postroad.base.ids import Instant
from postroad.store import backup_format as form
from postroad.store.database import FILE_NAME, Sql, connect

SLOT = 54
NO_CACHE = {"PYTHONDONTWRITEBYTECODE": "1"}  # what Python keeps of our modules is renamed, too
INCOMPLETE = "type the same again with --incomplete"
needs_strace = pytest.mark.skipif(
    not points.can_inject(), reason="needs Debian packages: strace (and leave to trace)"
)


class Scene:
    """A backup of Anna's with a small letter and a large one, and another computer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.anna = Person("anna", folder, SLOT)
        self.words, using = begin(self.anna)
        self.backup = folder / "stick"
        self._using = using
        self.back_up()
        self.other = Person("other", folder, SLOT + 1)
        self.data = self.other.folder / "data"

    def back_up(self) -> None:
        back_up(configuration.load(self.anna.config), self.backup, self._using, Instant(1_000.0))

    def back_up_anew(self) -> None:
        shutil.rmtree(self.backup)
        self.back_up()

    @property
    def command(self) -> list[str]:
        return [*self.other.command, "setup", "--restore", str(self.backup), "--json"]

    def restore(self, *more: str, under: tuple[str, ...] = ()) -> tuple[int, dict[str, Any]]:
        done = subprocess.run(
            [*under, *self.command, *more],
            input=self.words,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
            env=surroundings() | NO_CACHE,
        )
        return done.returncode, json.loads(done.stdout or "{}")

    def renames(self) -> int:
        """How many a restoration has, from its first to its last."""
        told = self.folder / "counted"
        spare = Person("spare", self.folder, SLOT + 2)
        command = [*spare.command, "setup", "--restore", str(self.backup), "--json"]
        subprocess.run(
            [*STRACE, str(told), "-e", "trace=rename", *command],
            input=self.words, capture_output=True, text=True, timeout=90, check=True,
            env=surroundings() | NO_CACHE,
        )  # fmt: skip
        return sum("rename(" in line for line in told.read_text().splitlines())

    def is_whole(self) -> None:
        found = self.other.postroad("store", "check")
        assert (found["whole"], found["read_bytes"]) == (True, 100_005)

    def packs(self) -> list[Path]:
        return sorted((self.backup / form.PACKS).iterdir())

    def begin_and_break_off(self) -> None:
        """As a restoration that is killed before it keeps the keys leaves it."""
        # With the last rename the keys get their name.
        named = ("-e", "trace=rename", "-e", f"inject=rename:signal=SIGKILL:when={self.renames()}")
        code, _ = self.restore(under=(*STRACE, "/dev/null", *named))
        assert code < 0
        names = {path.name for path in self.data.iterdir()}
        assert {RESTORING, FILE_NAME} <= names, names
        assert "keys" not in names


STRACE = ("strace", "-f", "-qq", "-o")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.other.kill()


def failing(*paths: Path, when: str) -> tuple[str, ...]:
    """Reads of these files fail so, in strace's words."""
    named = [word for path in paths for word in ("-P", str(path))]
    inject = f"inject=read:error=EIO:when={when}"
    return (*STRACE, "/dev/null", *named, "-e", "trace=read", "-e", inject)


@needs_strace
def test_a_read_that_fails_once_costs_nothing(scene: Scene) -> None:
    (pack,) = scene.packs()
    code, made = scene.restore(under=failing(pack, when="5"))
    assert (code, made.get("missing")) == (0, []), made
    scene.is_whole()


@needs_strace
def test_a_medium_that_goes_away_meanwhile_is_no_damage_and_the_same_goes_on(scene: Scene) -> None:
    (pack,) = scene.packs()
    catalogue = scene.backup / form.CATALOGUE
    # Its catalogue could be read at first, and cannot when it is asked for again.
    gone = failing(pack, when="5+")
    both = (*gone[:5], "-P", str(catalogue), *gone[5:])
    code, made = scene.restore(under=both)
    assert (code, "Was the disk unplugged?" in made["error"]) == (1, True), made
    assert not (scene.data / "keys").exists()
    code, made = scene.restore()
    assert (code, made.get("missing")) == (0, []), made
    scene.is_whole()


def test_while_a_backup_is_written_into_the_folder_nothing_is_restored_from_it(
    scene: Scene,
) -> None:
    """It may remove what the restoration is about to read."""
    with (scene.backup / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, told = scene.restore()
        assert (code, "is being written just now" in told["error"]) == (1, True), told
    assert scene.restore()[0] == 0


def damage_a_letter(scene: Scene) -> None:
    """The large letter was added last."""
    (pack,) = scene.packs()
    octets = bytearray(pack.read_bytes())
    octets[-1_000] ^= 1
    pack.write_bytes(octets)


def test_where_letters_are_damaged_nobody_is_set_up_before_they_say_so(scene: Scene) -> None:
    pristine = {path: path.read_bytes() for path in scene.packs()}
    damage_a_letter(scene)
    code, told = scene.restore()
    assert (code, INCOMPLETE in told["error"]) == (1, True), told
    assert "message 2 in INBOX" in told["error"]
    assert not (scene.data / "keys").exists()
    for path, octets in pristine.items():  # another copy is found
        path.write_bytes(octets)
    code, made = scene.restore()
    assert (code, made["missing"]) == (0, [])
    scene.is_whole()


def test_who_does_without_damaged_letters_has_the_others(scene: Scene) -> None:
    damage_a_letter(scene)
    assert scene.restore()[0] == 1
    code, made = scene.restore("--incomplete")
    assert (code, made["missing"]) == (0, ["message 2 in INBOX"])
    assert made["messages"] == 2
    checked = scene.other.type("backup", "check", str(scene.backup), "--json")
    assert json.loads(checked.stdout)["letters"] == ["message 2 in INBOX"]
    assert "Damaged" not in scene.other.type("backup", "check", str(scene.backup)).stdout


def test_a_large_letter_under_way_that_is_damaged_is_told_of(scene: Scene) -> None:
    with closing(connect(str(scene.anna.folder / "data" / FILE_NAME))) as sql:
        put_in_the_outbox(sql)
    scene.back_up_anew()
    damage_a_letter(scene)
    code, told = scene.restore()
    assert (code, INCOMPLETE in told["error"]) == (1, True), told
    assert "a letter of yours on its way to bora.x@postroad.alt" in told["error"]
    assert scene.restore("--incomplete")[1]["missing"] == [OUTBOX]
    checked = scene.other.type("backup", "check", str(scene.backup), "--json")
    assert json.loads(checked.stdout)["letters"] == [OUTBOX]


def test_a_letter_that_no_row_tells_of_is_counted(scene: Scene) -> None:
    with closing(connect(str(scene.anna.folder / "data" / FILE_NAME))) as sql:
        sql.execute("DELETE FROM message WHERE uid = 2")
    scene.back_up_anew()
    damage_a_letter(scene)
    assert "1 other large letters" in scene.restore()[1]["error"]


def test_a_letter_that_could_not_be_backed_up_is_told_of(scene: Scene) -> None:
    (letter,) = (scene.anna.folder / "data" / "bodies").iterdir()
    letter.write_bytes(b"rotten")
    scene.back_up_anew()
    assert "message 2 in INBOX" in scene.restore()[1]["error"]
    assert scene.restore("--incomplete")[1]["missing"] == ["message 2 in INBOX"]


OUTBOX = "a letter of yours on its way to bora.x@postroad.alt"


def put_in_the_outbox(sql: Sql) -> None:
    """The large letter is in no folder any more, and waits to be sent."""
    sql.execute("DELETE FROM message WHERE uid = 2")
    sql.execute(
        """INSERT INTO letter (id, nonce, kind, content_id, accepted_at, expires_at, visible)
           SELECT 1, randomblob(16), 0, id, 0, 1e12, '[]' FROM content WHERE octets IS NULL"""
    )
    sql.execute(
        """INSERT INTO parcel (letter_id, recipient, fingerprint, blind, notify, state, due_at)
           VALUES (1, 'bora.x@postroad.alt', 'x', 0, 0, 'waiting', 1e12)"""
    )


def test_after_a_refused_restoration_nobody_else_is_set_up_over_that_mail(scene: Scene) -> None:
    damage_a_letter(scene)
    assert scene.restore()[0] == 1
    done = scene.other.type("setup", "--name", "bob", "--json")
    assert (done.returncode, "the mail there is of other 24 words" in done.stdout) == (1, True)
    assert not (scene.data / "keys").exists()
    assert scene.restore("--incomplete")[0] == 0


@pytest.mark.parametrize("octets", [60_000, 150_000, 420_000], ids=["letter", "database", "more"])
def test_a_full_disk_is_told_in_words_and_the_same_goes_on(scene: Scene, octets: int) -> None:
    """No file of this process may grow above that."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (octets, octets))

    done = subprocess.run(
        scene.command, input=scene.words, capture_output=True, text=True, timeout=90, check=False,
        env=surroundings(), preexec_fn=limit,
    )  # fmt: skip
    told = json.loads(done.stdout)
    if done.returncode:
        assert "Traceback" not in done.stderr
        assert "type the same again: it goes on" in told["error"], told
        assert not (scene.data / "keys").exists()
        code, made = scene.restore()
        assert (code, made.get("missing")) == (0, []), made
    else:
        assert octets > 400_000
    scene.is_whole()


@needs_strace
def test_who_sets_up_by_the_words_after_a_broken_restoration_never_loses_the_mail_of_then(
    scene: Scene,
) -> None:
    scene.begin_and_break_off()
    done = scene.other.type("setup", "--name", "anna", "--restore", "--json", stdin=scene.words)
    assert done.returncode == 0, done
    assert RESTORING not in os.listdir(scene.data)
    add(scene.data, b"new mail")
    is_kept(scene)


def is_kept(scene: Scene) -> None:
    """The keys are damaged, and their owner does what the program says; the new mail is there."""
    (scene.data / "keys").rename(scene.folder / "damaged keys")
    before = (scene.data / FILE_NAME).read_bytes()
    code, told = scene.restore()
    assert (code, "There is a store in" in told["error"]) == (1, True), told
    assert (scene.data / FILE_NAME).read_bytes() == before
    with closing(connect(str(scene.data / FILE_NAME))) as sql:
        assert sql.execute("SELECT count(*) FROM message").fetchone() == (3,)


def test_a_node_that_starts_ends_a_restoration(scene: Scene) -> None:
    """It was killed when its keys had their name already."""
    code, made = scene.restore()
    assert code == 0
    scene.other.imap_port = made["imap_port"]
    for name in (RESTORING, DRAFT, DRAFT + "-wal"):
        (scene.data / name).write_bytes(b"left over")
    scene.other.begin_start()
    scene.other.end_start()
    scene.other.stop()
    assert not {name for name in os.listdir(scene.data) if RESTORING in name}


def test_a_store_that_a_node_has_opened_is_no_half_made_one(scene: Scene) -> None:
    """Though the marker came back with a copy of the folder."""
    assert scene.restore()[0] == 0
    (scene.data / RESTORING).write_bytes(form.mark_of((scene.backup / form.CATALOGUE).read_bytes()))
    add(scene.data, b"new mail")
    is_kept(scene)


@needs_strace
@pytest.mark.parametrize("octets", [b"somebody else's", b"", b"\0" * 17])
def test_a_restoration_of_somebody_else_is_not_gone_on_with(scene: Scene, octets: bytes) -> None:
    scene.begin_and_break_off()
    (scene.data / RESTORING).write_bytes(octets)
    before = (scene.data / FILE_NAME).read_bytes()
    code, told = scene.restore()
    assert (code, "There is a store in" in told["error"]) == (1, True), told
    assert (scene.data / FILE_NAME).read_bytes() == before


@needs_strace
def test_a_broken_restoration_goes_on(scene: Scene) -> None:
    scene.begin_and_break_off()
    code, made = scene.restore()
    assert (code, made["missing"]) == (0, [])
    assert RESTORING not in os.listdir(scene.data)
    scene.is_whole()


def test_all_three_ports_that_mail_programs_know_come_back(scene: Scene) -> None:
    """Where there is no configuration yet."""
    fresh = scene.folder / "fresh"
    fresh.mkdir()
    done = subprocess.run(
        [
            *scene.other.command[:3], "--config", str(fresh / "config.toml"), "setup", "--json",
            "--restore", str(scene.backup), "--data", str(fresh / "data"),
        ],
        input=scene.words, capture_output=True, text=True, timeout=90, check=False,
        env=surroundings(),
    )  # fmt: skip
    made, was = json.loads(done.stdout), configuration.load(scene.anna.config)
    for door in ("smtp_port", "imap_port", "pop3_port"):
        assert made[door] == getattr(was, door), made
    assert made["service"] is False


def test_who_has_a_service_is_not_told_to_start_the_node(
    capsys: pytest.CaptureFixture[str],
) -> None:
    made = {
        "address": "anna.x@postroad.alt", "smtp_port": 1, "imap_port": 2, "pop3_port": 3,
        "made_at": 1_000.0, "messages": 1, "missing": [],
    }  # fmt: skip
    telling_backup.restored({**made, "service": True})
    assert "postroad run" not in capsys.readouterr().out
    telling_backup.restored({**made, "service": False})
    assert "Next: postroad run" in capsys.readouterr().out


def test_incomplete_without_a_backup_is_a_slip(scene: Scene) -> None:
    done = scene.other.type("setup", "--name", "anna", "--incomplete")
    assert (done.returncode, "--restore FOLDER" in done.stderr) == (2, True)
