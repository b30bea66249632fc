"""The command line as a whole: exit codes, JSON for whoever asks, and the list of commands."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from person import surroundings
from postroad.app import asking
from postroad.app.cli import main
from postroad.app.program import EXIT_CODES, OTHERS, SECTIONS
from postroad.base.errors import ConfigurationError, Locked, NotSetUp
from postroad.contract import JSON_VERSION


def typed(*words: str) -> Result:
    return CliRunner().invoke(main, words)


def every_command(group: click.Group = main, path: str = "") -> dict[str, click.Command]:
    found = {}
    for name, command in group.commands.items():
        found[f"{path}{name}"] = command
        if isinstance(command, click.Group):
            found |= every_command(command, f"{path}{name} ")
    return found


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("Nobody is there."), 1),
        (asking.Misused("Not like that."), 2),
        (asking.NotRunning(), 3),
        (NotSetUp(), 4),
        (Locked("They are locked."), 5),
    ],
)
def test_each_way_to_fail_has_its_exit_code_and_its_sentence_in_json(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> dict[str, object]:
        raise error

    for json_wanted in (True, False):
        with pytest.raises(SystemExit) as ended:
            asking.finish(fails, json_wanted, lambda _: None)
        assert ended.value.code == code
    said = capsys.readouterr()
    assert json.loads(said.out) == {"version": JSON_VERSION, "error": str(error)}
    assert said.err == f"postroad: {error}\n"
    assert code in EXIT_CODES


def test_an_answer_says_which_version_it_keeps_to(capsys: pytest.CaptureFixture[str]) -> None:
    asking.finish(lambda: {"contacts": []}, True, lambda _: None)
    assert json.loads(capsys.readouterr().out) == {"version": JSON_VERSION, "contacts": []}
    with pytest.raises(AssertionError, match="the version is of the answer's form"):
        asking.finish(lambda: {"version": "0.1.0"}, True, lambda _: None)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["stauts", "--json"], "No such command 'stauts'."),
        (["status", "--json", "--jsno"], "No such option '--jsno'. Did you mean '--json'?"),
        (["peers", "ping", "--json"], "Missing argument 'NAME'."),
        (["contacts", "export", "--json", "--format", "xml"], "'xml' is not one of"),
        (["pause", "--json", "--for", "5x"], "'5x' is no time."),
        (["verify", "bora", "--scan", "--code", "1", "--json"], "not both"),
    ],
)
def test_what_cannot_be_understood_is_told_in_json_to_whoever_asked_for_json(
    words: list[str], says: str, tmp_path: Path
) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'data = "{tmp_path}/data"\nruntime = "{tmp_path}/run"\n')
    done = typed("--config", str(config), *words)
    assert (done.exit_code, done.stderr) == (asking.USAGE, "")
    answer = json.loads(done.stdout)
    assert list(answer) == ["version", "error"]
    assert says in answer["error"]
    in_words = typed("--config", str(config), *(word for word in words if word != "--json"))
    assert (in_words.exit_code, in_words.stdout) == (asking.USAGE, "")


def test_a_word_behind_two_dashes_asks_for_no_json() -> None:
    done = typed("peers", "ping", "--nosuch", "--", "--json")
    assert done.exit_code == asking.USAGE
    assert done.stdout == ""
    assert "No such option" in done.stderr


def test_help_is_for_people_whatever_they_asked_for() -> None:
    done = typed("status", "--help", "--json")
    assert done.exit_code == 0
    assert done.stdout.startswith("Usage:")


def test_the_installed_command_ends_with_the_same_codes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "postroad", "--config", str(tmp_path / "nosuch.toml")]
    for words, code in ((["status", "--json", "x"], 2), (["status", "--json"], 1)):
        done = subprocess.run(
            [*command, *words], capture_output=True, text=True, env=surroundings(), check=False
        )
        assert done.returncode == code
        assert "error" in json.loads(done.stdout)


def test_every_command_is_listed_once_and_says_what_it_is_for() -> None:
    listed = [name for names in main.by_section().values() for name in names]
    assert sorted(listed) == sorted(main.commands)
    assert OTHERS not in main.by_section(), "put new commands into SECTIONS of app/program.py"
    assert len({name for names in SECTIONS.values() for name in names}) == sum(
        map(len, SECTIONS.values())
    )
    for path, command in every_command().items():
        assert command.help, path
        assert command.help.strip().partition("\n")[0].endswith("."), path
        for one in command.params:
            if isinstance(one, click.Option):
                assert one.help, f"{path} {one.opts}"


def test_every_command_that_answers_can_do_so_in_json() -> None:
    without = {"run", "schema", "bundle", "helper", "helper run", "helper enable", "helper disable"}
    without |= {"config", "service"}
    told = {
        path
        for path, command in every_command().items()
        if not any("--json" in one.opts for one in command.params)
    }
    assert told == without
