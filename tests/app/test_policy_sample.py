"""The policy that a package lays into /etc: it says nothing, and tells of every key."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from postroad.app import config as configuration
from postroad.app import policy
from postroad.app.policy import NO_POLICY, RULES, narrowed
from postroad.app.policy_sample import ABOUT, HEAD, sample
from postroad.machine import privacy


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's user is root."""
    monkeypatch.setattr(policy, "OWNERS", frozenset({tmp_path.stat().st_uid, privacy.ROOT}))
    monkeypatch.setattr(policy, "folders_above", lambda path: [path.parent])
    return tmp_path / "policy.toml"


def test_it_is_no_policy(place: Path) -> None:
    place.write_text(sample())
    assert policy.load(place) == NO_POLICY


def test_it_tells_of_every_key_and_of_no_other() -> None:
    keys = re.findall(r"^# (\w+) = ", sample().removeprefix(HEAD), re.MULTILINE)
    assert keys == list(RULES)
    assert set(ABOUT) == set(RULES)
    assert all(line.startswith("#") or not line for line in sample().splitlines())
    assert max(map(len, sample().splitlines())) <= 100


def test_its_lines_allow_everything(place: Path) -> None:
    uncommented = re.sub(r"^# (\w+ = )", r"\1", sample(), flags=re.MULTILINE)
    place.write_text(uncommented)
    found = policy.load(place)
    assert set(found.most) == set(RULES)
    usual = configuration.default()
    wide = replace(
        usual,
        relay="anybody",
        hold_for="vouched",
        dial_private=True,
        expiry_days=30.0,
        peer_port=1,
        smtp_port=65535,
        relay_kilobytes_per_second=configuration.RELAY_KILOBYTES_MAX,
    )
    for config in (usual, wide):
        assert narrowed(config, found) == config


def test_one_line_of_it_binds_what_it_says(place: Path) -> None:
    place.write_text(sample().replace("# relay = ", "relay = ").replace('"anybody"', '"off"'))
    found = policy.load(place)
    assert (found.is_there, dict(found.most)) == (True, {"relay": "off"})
    assert narrowed(configuration.default(), found).relay == "off"
