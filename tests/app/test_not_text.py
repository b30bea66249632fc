"""Octets that are no text: whoever types them reads a sentence, and no node ever sees them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import person
from postroad.app import asking, cli
from postroad.base.errors import PostroadError

LATIN1 = os.fsdecode(b"caf\xe9")  # as an argument comes that was typed in another encoding
HALF = "\ud83d"  # and half of a character that needs two in UTF-16


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in sorted(group.commands.items()):
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def command_at(path: tuple[str, ...]) -> click.Command:
    found: click.Command = cli.main
    for name in path:
        assert isinstance(found, click.Group)
        found = found.commands[name]
    return found


def ways(path: tuple[str, ...], said: str) -> Iterator[list[str]]:
    """Everywhere where something can be said to this command, it is said."""
    yield [*path, said]
    for parameter in command_at(path).params:
        if isinstance(parameter, click.Option) and not parameter.is_flag:
            yield [*path, parameter.opts[0], said]
            yield [*path, f"{parameter.opts[0]}={said}"]


@pytest.mark.parametrize("path", list(commands(cli.main)), ids=" ".join)
def test_no_command_takes_what_is_no_text(tmp_path: Path, path: tuple[str, ...]) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'data = "{tmp_path}/data"\nruntime = "{tmp_path}/run"\n')
    for said in (LATIN1, HALF):
        for words in ways(path, said):
            done = CliRunner().invoke(cli.main, ["--config", str(config), *words])
            assert done.exit_code == 2, (words, done)
            assert "is not UTF-8, and Postroad takes nothing else" in done.stderr
    assert sorted(tmp_path.iterdir()) == [config]


def typed(*words: bytes, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "postroad", *words],
        env={**person.surroundings(), "LC_ALL": "C.UTF-8"},
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
    )


def test_octets_in_a_real_argument_end_as_one_sentence(tmp_path: Path) -> None:
    for words in (
        (b"--config", os.fsencode(tmp_path) + b"/caf\xe9", b"status"),
        (b"invite", b"--name", b"caf\xe9"),
        (b"contacts", b"show", b"caf\xe9", b"--json"),
        (b"caf\xe9",),
    ):
        done = typed(*words)
        assert done.returncode == 2, done
        told = done.stderr.decode()
        if b"--json" in words:
            told = json.loads(done.stdout)["error"]
        assert 'caf\\udce9" is not UTF-8' in told
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["accept", "verify anna --scan", "identity rotate --finish"])
def test_octets_on_stdin_end_as_one_sentence(tmp_path: Path, words: str) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'data = "{tmp_path}/data"\nruntime = "{tmp_path}/run"\n')
    where = (b"--config", os.fsencode(config))
    done = typed(*where, *words.encode().split(), b"--json", stdin=b"caf\xe9\n")
    assert done.returncode == 1, done
    assert json.loads(done.stdout)["error"].endswith("on stdin is not UTF-8.")
    assert b"Traceback" not in done.stderr


def test_what_was_typed_at_a_terminal_goes_to_no_node(tmp_path: Path) -> None:
    with pytest.raises(PostroadError, match="What you typed is not UTF-8"):
        asking.ask(tmp_path / "control", do="accept", link=LATIN1)
