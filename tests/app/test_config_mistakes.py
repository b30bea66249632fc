"""All that is wrong with a configuration is told at once, each with its line and what was meant."""

from __future__ import annotations

import json
import string
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from postroad.app import config as configuration
from postroad.app.cli import main
from postroad.app.config_lines import lines_of
from postroad.base.errors import ConfigurationError

MISTAKEN = """\
# a comment with smtp_port = 1
smtp_port = "later"
peer_hosts = [
    "192.0.2.7",  # ] no end
    "::1",
]
smtp_prot = 2525

log_level = "loud"
hold-for = "off"
expiry_days = 3
"""


def typed(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture
def mistaken(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(MISTAKEN)
    return path


def test_all_mistakes_are_told_at_once_with_their_lines(mistaken: Path) -> None:
    with pytest.raises(ConfigurationError) as found:
        configuration.load(mistaken)
    said = str(found.value).splitlines()
    assert said[0] == f"{mistaken}: "
    assert said[1].startswith("  line 2: smtp_port = 'later': it must be a port")
    assert said[2] == "  line 7: smtp_prot is not a key (did you mean smtp_port?)."
    assert said[3].startswith("  line 9: log_level = 'loud': it must be one of debug")
    assert said[4] == "  line 10: hold-for is not a key (did you mean hold_for?)."
    assert said[5].startswith("  The keys are: data, runtime, smtp_port")
    assert len(said) == 6


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("smtp_port = 10143\n", 1, "imap_port = 10143: it must be another port than smtp_port"),
        (
            "lan = true\npop3_port = 2525\nsmtp_port = 2525\n",
            2,
            "pop3_port = 2525: it must be another port than smtp_port",
        ),
        ("peer_port = 10110\n", 1, "peer_port = 10110: it must be another port than pop3_port"),
    ],
)
def test_two_doors_at_one_port_are_a_mistake(
    tmp_path: Path, text: str, line: int, says: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    done = typed("config", "check", str(path), "--json")
    assert done.exit_code == 1
    (found,) = json.loads(done.stdout)["mistakes"]
    assert (found["line"], found["says"]) == (line, f"line {line}: {says}.")


def test_doors_that_take_any_port_do_not_quarrel(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("smtp_port = 0\nimap_port = 0\npop3_port = 0\n")
    assert typed("config", "check", str(path)).exit_code == 0


def test_check_tells_the_same_and_ends_with_1(mistaken: Path) -> None:
    done = typed("config", "check", str(mistaken))
    assert done.exit_code == 1
    assert f"{mistaken}: line 9: log_level = 'loud': it must be one of" in done.output
    assert "postroad config check" in done.output
    answer = json.loads(typed("config", "check", str(mistaken), "--json").output)
    assert [one["line"] for one in answer["mistakes"]] == [2, 7, 9, 10]
    assert not answer["good"]


def test_a_good_file_ends_with_0_and_one_that_is_not_there_with_1(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    assert "There is no file" in typed("config", "check", str(path)).output
    path.write_text("smtp_port = 2525\n")
    done = typed("config", "check", str(path))
    assert (done.exit_code, done.output) == (0, f"{path} is good.\n")


def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("smtp_port = 2525\nlan = maybe\n")
    done = typed("config", "check", str(path))
    assert done.exit_code == 1
    assert "is not valid TOML: Invalid value (at line 2, column 7)" in done.output


def test_the_sample_is_good_and_tells_of_every_key(tmp_path: Path) -> None:
    sample = typed("config", "sample").output
    assert tomllib.loads(sample) == {}
    told = [line for line in sample.splitlines() if line.startswith("# ") and " = " in line]
    assert [line[2:].partition(" = ")[0] for line in told] == list(configuration.KEYS)
    path = tmp_path / "config.toml"
    path.write_text("\n".join(line[2:] if line in told else line for line in sample.splitlines()))
    assert configuration.load(path) == configuration.default()


def test_the_sample_marks_what_waits_for_a_new_start() -> None:
    lines = typed("config", "sample").output.splitlines()
    for key in configuration.KEYS:
        at = next(at for at, line in enumerate(lines) if line.startswith(f"# {key} = "))
        assert lines[at - 1].endswith("(*)") is (key not in configuration.LIVE), key


_STRINGS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)
_BASIC = _STRINGS.map(lambda one: json.dumps(one, ensure_ascii=False))
_VALUES = st.one_of(
    st.integers().map(str),
    _BASIC,
    st.text("ab#[]{}=\"' ,", max_size=8).map(lambda one: f"'''\n{one.replace(chr(39), '')}\n'''"),
    st.text("ab#[]{}=' \n", max_size=8).map(lambda one: f'"""{one}\\""""'),
    st.lists(_BASIC, max_size=3).map(lambda some: "[\n" + ", # ]\n".join(some) + "\n]"),
    st.just('{ a = "}", b = 1 }'),
)
_BARE = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=6)
_KEYS = st.one_of(_BARE, _BARE.map(lambda one: f'"{one}"'), _BARE.map(lambda one: f"'{one}.'"))
_BETWEEN = st.sampled_from(["\n", "\n\n", " # and = so\n", "\t\n  \n# [a]\n"])


@given(st.lists(st.tuples(_KEYS, _VALUES, _BETWEEN), max_size=6))
def test_every_key_of_any_file_is_found_where_it_stands(parts: list[tuple[str, str, str]]) -> None:
    text, expected = "", {}
    for key, value, between in parts:
        name = key.strip("\"'")
        if name in expected:
            continue
        expected[name] = text.count("\n") + 1
        text += f"{key} = {value}{between}"
    assert set(tomllib.loads(text)) == set(expected)
    assert lines_of(text) == expected


def test_tables_and_dotted_keys_are_found_by_their_first_word() -> None:
    text = 'a.b = 1\n[ "doors" ]\nsmtp = 1\n\n[[hold.er]]\nx = [\n[1]]\n'
    assert lines_of(text) == {"a": 1, "doors": 2, "hold": 5}
    assert set(lines_of(text)) == set(tomllib.loads(text))
