"""The administrator's policy: users narrow it, and nothing widens it."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import fields, replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes import someone
from postroad.app import cli, policy
from postroad.app import config as configuration
from postroad.app.config import Config
from postroad.app.policy import (
    RULES,
    AnyOf,
    AtMost,
    Choice,
    Circle,
    Hosts,
    Networks,
    Port,
    Some,
    Switch,
    load,
    narrowed,
)
from postroad.base.errors import ConfigurationError
from postroad.machine import privacy

PORTS = st.integers(1, 65535)
HOSTS = st.lists(
    st.sampled_from(["192.0.2.7", "2001:db8::7", "127.0.0.1"]), min_size=1, unique=True
)
ANNA, BEN = someone("anna"), someone("ben")
NETS = [
    "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.1.2.0/24", "192.0.2.7/32",
    "::/0", "2001:db8::/32", "2001:db8:1::/48", "::/1",
]  # fmt: skip
NETWORKS = st.lists(st.sampled_from(NETS), unique=True)
WORDS = {
    "keys_at_rest": st.lists(
        st.sampled_from(["plain", "passphrase", "keyring", "credential"]), min_size=1, unique=True
    ),
    "contacts": st.lists(
        st.sampled_from(["*", str(ANNA.address), ANNA.fingerprint, str(BEN.address)]), unique=True
    ),
}
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="pr-", dir=Path.home()))  # /tmp is everybody's to write
    made.chmod(0o755)
    monkeypatch.setattr(policy, "OWNERS", frozenset({0, os.getuid()}))
    monkeypatch.setattr(privacy, "UID_MAP", made / "uid_map")
    (made / "uid_map").write_text("0 0 4294967295\n")
    monkeypatch.setattr(policy, "PATH", made / "policy.toml")
    yield made
    shutil.rmtree(made)


def written(folder: Path, text: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(text)
    path.chmod(0o644)
    return path


def refused(folder: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as found:
        load(written(folder, text))
    sentence = str(found.value)
    assert str(folder / "policy.toml") in sentence
    assert sentence.endswith(policy.WHAT_TO_DO)
    return sentence


def default() -> Config:
    return Config(Path("/data"), Path("/run/x"))


# What a user may say, and what an administrator may


def wanted_of(key: str) -> st.SearchStrategy[Any]:
    rule = RULES[key]
    match rule:
        case Choice():
            return st.sampled_from(rule.row)
        case AnyOf():
            return st.sampled_from(rule.words)
        case Switch():
            return st.booleans()
        case Port():
            return st.integers(0, 65535)
        case Hosts():
            return HOSTS.map(tuple) | st.just(())
        case Networks():
            return NETWORKS.map(tuple)
        case Some() | Circle():
            return WORDS[key].map(tuple)
        case AtMost():
            if "kilobytes" in key:
                return st.integers(1, 1_000_000)
            return st.floats(0.1, 25) if key == "size_max_mib" else st.floats(0.05, 30)
        case _:
            pass
    raise AssertionError(f"say here what a user may write for {key}")


def allowed_of(key: str) -> st.SearchStrategy[Any]:
    """As it stands in the file."""
    rule = RULES[key]
    match rule:
        case AnyOf():
            return st.lists(st.sampled_from(rule.words), min_size=1, unique=True)
        case Port():
            ranges = st.tuples(PORTS, PORTS).map(lambda two: f"{min(two)}-{max(two)}")
            return PORTS | ranges
        case Hosts():
            return HOSTS | st.just(["*"])
        case Networks():
            return NETWORKS | st.just(["*"])
        case Some() | Circle():
            return WORDS[key] | st.just(["*"])
        case _:
            pass
    return wanted_of(key)


def is_within(key: str, value: Any, most: Any) -> bool:
    """Written down once more, by what the words mean and not by how `narrowed` works."""
    match key:
        case "relay":
            return (most, value) not in {
                ("off", "contacts"), ("off", "anybody"), ("contacts", "anybody"),
            }  # fmt: skip
        case "hold_for":
            return (most, value) not in {
                ("off", "contacts"), ("off", "vouched"), ("contacts", "vouched"),
            }  # fmt: skip
        case "strangers":
            return (most, value) != ("refuse", "requests")
        case "link":
            return bool(value in most)
        case "lan" | "dial_private" | "directory" | "bundle_write" | "bundle_read" | "helpers":
            return bool(most or not value)
        case "relay_kilobytes_per_second" | "expiry_days" | "size_max_mib":
            return bool(value <= most)
        case "smtp_port" | "imap_port" | "pop3_port" | "peer_port":
            low, _, high = str(most).partition("-")
            return bool(int(low) <= value <= int(high or low))
        case "networks":
            if most == ["*"]:
                return True
            known = [ip_network(text) for text in (*NETS, *value)]
            probes = {net[at] for net in known for at in (0, -1)}
            return all(
                any(ip in ip_network(text) for text in most)
                for ip in probes
                if any(ip in ip_network(text) for text in value)
            )
        case "contacts":
            people = {one.rpartition("@")[0].rpartition(".")[2] or one for one in most}
            said = {one.rpartition("@")[0].rpartition(".")[2] or one for one in value}
            return "*" in most or ("*" not in value and said <= people)
        case "keys_at_rest":
            return most == ["*"] or set(value) <= set(most)
        case "peer_hosts":
            return most == ["*"] or bool(value and set(value) <= set(most))
        case _:
            pass
    raise AssertionError(f"say here what is within the policy for {key}")


CONFIGS = st.fixed_dictionaries({}, optional={key: wanted_of(key) for key in RULES})
POLICIES = st.fixed_dictionaries({}, optional={key: allowed_of(key) for key in RULES})


@given(CONFIGS, POLICIES)
@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_the_user_says_nothing_is_wider_than_the_policy(
    wants: dict[str, Any], most: dict[str, Any]
) -> None:
    config = replace(default(), **wants)
    read = policy.Policy({key: RULES[key].read(key, value) for key, value in most.items()}, "x")
    cut = narrowed(config, read)
    for each in fields(Config):
        key = each.name
        value, wanted = getattr(cut, key), getattr(config, key)
        if key not in most:
            assert value == wanted
        else:
            assert is_within(key, value, most[key])
            assert value == wanted or not is_within(key, wanted, most[key])
    assert narrowed(cut, read) == cut
    said = policy.effective(config, frozenset(wants), read)
    assert [one.key for one in said] == [each.name for each in fields(Config)]
    assert {one.key for one in said if one.source == "policy"} == set(
        policy.narrowed_keys(config, read)
    )


# The file


def test_without_a_policy_the_configuration_decides(folder: Path) -> None:
    assert load() == policy.NO_POLICY
    assert narrowed(default(), load()) == default()
    for says_nothing in ("", "# lan = false\n"):  # as a package lays it
        load(written(folder, says_nothing))
        assert load() == policy.NO_POLICY
    load(written(folder, "lan = true\n"))
    assert load().is_there


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("relay = ", "not valid TOML"),
        ("a = " + "9" * 5000, "not valid TOML"),
        ("expiry_days = 0x" + "f" * 5000, "thousands of digits"),
        ("relays = 'off'", "a key that is not known here, relays. The keys are: link,"),
        ("[relay]\nfor = 'off'", "must be one of off, contacts, anybody"),
        ("relay = 'nobody'", "must be one of off, contacts, anybody"),
        ("hold_for = true", "must be one of off, contacts, vouched"),
        ("link = []", "a list of one or more of iroh, tls"),
        ("link = ['tls', 'http']", "a list of one or more of iroh, tls"),
        ("lan = 0", "must be true or false"),
        ("expiry_days = 31", "a number of days"),
        ("expiry_days = nan", "a number of days"),
        ("peer_port = 0", "a port like 46464"),
        ("peer_port = [46464]", "no value for it"),
        ("smtp_port = '7-5'", "a port like 46464"),
        ("peer_hosts = ['everywhere']", "a list of addresses"),
        ("peer_hosts = []", """or ["*"] for all"""),
        ("size_max_mib = 26", "a number of MiB, 0.1 to 25"),
        ("size_max_mib = true", "a number of MiB"),
        ("bundle_write = 'off'", "must be true or false"),
        ("helpers = []", "must be true or false"),
        ("networks = '10.0.0.0/8'", "a list of networks"),
        ("networks = ['10.0.0.1/8']", "a list of networks"),
        ("networks = [10]", "a list of networks"),
        ("contacts = ['anna@example.org']", "a list of addresses or fingerprints"),
        ("contacts = '*'", "a list of addresses or fingerprints"),
        ("keys_at_rest = ['sealed']", "one or more of plain, passphrase, keyring, credential"),
        ("data = '/tmp'", "a key that is not known here, data"),
    ],
)
def test_what_cannot_be_understood_starts_nothing(folder: Path, text: str, why: str) -> None:
    assert why in refused(folder, text)


def test_what_cannot_be_read_starts_nothing(folder: Path) -> None:
    path = folder / "policy.toml"
    path.write_bytes(b"relay = '\xff'")
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        load()
    path.write_bytes(b"#" * (policy.POLICY_BYTES_MAX + 1))
    with pytest.raises(ConfigurationError, match="longer than"):
        load()
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigurationError, match="is not a file"):
        load()
    path.rmdir()
    os.mkfifo(path)  # nobody waits for whoever would write into it
    with pytest.raises(ConfigurationError, match="is not a file"):
        load()
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load()
    path.unlink()
    path.symlink_to(folder / "uid_map" / "policy.toml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load()
    path.unlink()
    path.symlink_to(folder / "a disk that is not there" / "policy.toml")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load()


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_policy_that_others_may_write_starts_nothing(folder: Path, mode: int) -> None:
    path = written(folder, "relay = 'off'\n")
    assert load().most == {"relay": "off"}
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match="others than root may write"):
        load()
    path.chmod(0o644)
    folder.chmod(0o777)
    with pytest.raises(ConfigurationError, match="others than root may write"):
        load()


def test_a_policy_of_anybody_but_root_starts_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(folder, "relay = 'off'\n")
    me = os.getuid()
    monkeypatch.setattr(policy, "OWNERS", frozenset({me + 1}))
    with pytest.raises(ConfigurationError, match=f"belongs to user {me}, not root"):
        load()
    # In the sandbox root has no number of its own; ours is still not root's.
    (folder / "uid_map").write_text(f"{me + 1} {me + 1} 1\n")
    with pytest.raises(ConfigurationError, match=f"{path} belongs to user {me}, not root"):
        load()
    monkeypatch.setattr(privacy, "OVERFLOW_UID", folder / "overflow")
    (folder / "overflow").write_text(f"{me}\n")  # as root's files look in there
    monkeypatch.setattr(policy, "OWNERS", frozenset({0, me + 1}))
    assert load().most == {"relay": "off"}
    (folder / "uid_map").write_text("0 0 4294967295\n")
    monkeypatch.setattr(policy, "OWNERS", frozenset({me + 1}))
    with pytest.raises(ConfigurationError, match="not root"):
        load()


def test_who_could_have_taken_the_policy_away_starts_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No policy is one thing, and a folder whose owner removed it another."""
    inner = folder / "etc" / "postroad"
    inner.mkdir(parents=True)
    monkeypatch.setattr(policy, "PATH", inner / "policy.toml")
    assert load() == policy.NO_POLICY
    for writable in (inner, folder / "etc"):
        writable.chmod(0o775)
        with pytest.raises(ConfigurationError) as found:
            load()
        assert str(found.value) == (
            f"The policy {inner}/policy.toml is not there, and may have been taken: others than "
            f"root may write {writable}. {policy.WHAT_TO_DO}"
        )
        assert policy.has_changed(policy.NO_POLICY)
        writable.chmod(0o755)
    inner.rmdir()
    assert load() == policy.NO_POLICY
    me = os.getuid()
    monkeypatch.setattr(policy, "OWNERS", frozenset({me + 1}))
    with pytest.raises(ConfigurationError, match=f"may have been taken: .* belongs to user {me}"):
        load()


def test_a_link_on_the_way_is_looked_at_where_it_lies(folder: Path) -> None:
    safe, open_to_all = folder / "safe", folder / "open"
    safe.mkdir(mode=0o755)
    open_to_all.mkdir()
    (safe / "policy.toml").write_text("relay = 'off'\n")
    (open_to_all / "link").symlink_to(safe)
    (folder / "policy.toml").symlink_to(open_to_all / "link" / "policy.toml")
    assert load().most == {"relay": "off"}
    open_to_all.chmod(0o777)
    with pytest.raises(ConfigurationError, match=f"others than root may write {open_to_all}"):
        load()


def test_a_changed_or_broken_policy_is_noticed(folder: Path) -> None:
    assert not policy.has_changed(policy.NO_POLICY)
    path = written(folder, "relay = 'off'\n")
    assert policy.has_changed(policy.NO_POLICY)
    now = load()
    assert not policy.has_changed(now)
    path.write_text("relay = ")
    assert policy.has_changed(now)
    path.unlink()
    assert policy.has_changed(now)


# The command line


@pytest.fixture
def config(folder: Path) -> Path:
    path = folder / "config.toml"
    path.write_text(
        f'data = "{folder}/data"\nruntime = "{folder}/run"\nrelay = "anybody"\nlan = false\n'
    )
    return path


def typed(config: Path, *words: str) -> Result:
    return CliRunner().invoke(cli.main, ["--config", str(config), *words])


def test_policy_shows_each_setting_and_who_said_so(folder: Path, config: Path) -> None:
    assert "has no policy" in typed(config, "policy").stdout
    written(folder, "relay = 'contacts'\nlan = true\nlink = ['tls']\n")
    told = json.loads(typed(config, "policy", "--json").stdout)
    assert told["policy"] == str(folder / "policy.toml")
    found = {one["key"]: one for one in told["settings"]}
    assert found["relay"] == {
        "key": "relay",
        "value": "contacts",
        "wanted": "anybody",
        "source": "policy",
        "bound": True,
    }
    assert (found["lan"]["value"], found["lan"]["source"]) == (False, "configuration")
    assert (found["link"]["value"], found["link"]["source"]) == ("tls", "policy")
    assert (found["hold_for"]["source"], found["hold_for"]["bound"]) == ("default", False)
    shown = typed(config, "policy").stdout
    assert "POLICY; you wanted anybody" in shown
    assert "your configuration, which the policy allows" in shown


def test_all_is_said_in_one_way_in_the_file_in_json_and_in_words(
    folder: Path, config: Path
) -> None:
    """Four keys take lists, and each had a way of its own to say that all are meant."""
    keys = ("peer_hosts", "networks", "contacts", "keys_at_rest")
    found = {
        one["key"]: one for one in json.loads(typed(config, "policy", "--json").stdout)["settings"]
    }
    assert [found[key]["value"] for key in keys] == [["*"]] * 4
    shown = typed(config, "policy").stdout
    for key in keys:
        assert re.search(rf"^{key} +all  +default$", shown, re.MULTILINE)
    written(folder, "".join(f"{key} = ['*']\n" for key in keys))
    assert narrowed(default(), load()) == default()
    written(folder, "networks = []\n")
    assert re.search(r"^networks +none +POLICY; you wanted all$", typed(config, "policy").stdout,
                     re.MULTILINE)  # fmt: skip
    new = folder / "new.toml"
    configuration.write(new, configuration.default())
    for key in keys:
        assert f'\n# {key} = ["*"]\n' in new.read_text()
    configuration.write(new, replace(configuration.default(), networks=("10.0.0.0/8",)))
    configuration.write(new, configuration.default())
    assert '\nnetworks = ["*"]\n' in new.read_text()
    assert configuration.load(new) == configuration.default()


@pytest.mark.parametrize("command", ["run", "setup --name anna", "policy"])
def test_nothing_starts_under_a_policy_that_is_broken(
    folder: Path, config: Path, command: str
) -> None:
    written(folder, "relay = 'of'\n")
    done = typed(config, *command.split())
    assert done.exit_code == 1
    assert "must be one of off, contacts, anybody" in done.stderr
    assert not (folder / "data").exists()


def test_setup_keeps_to_the_policy(folder: Path, config: Path) -> None:
    written(folder, "link = ['tls']\nsmtp_port = '20587-20600'\n")
    wrong = typed(config, "setup", "--name", "anna", "--link", "iroh")
    assert wrong.exit_code == 1
    assert "does not allow --link iroh" in wrong.stderr
    made = json.loads(typed(config, "setup", "--name", "anna", "--json").stdout)
    assert 20587 <= made["smtp_port"] <= 20600
    assert configuration.load(config).smtp_port == made["smtp_port"]
    assert configuration.load(config).link == "iroh"  # the policy may be another one tomorrow


# The documentation


def test_each_key_is_documented_and_the_example_is_a_policy(folder: Path) -> None:
    text = (ROOT / "docs" / "policy.md").read_text()
    for key in RULES:
        assert f"`{key}`" in text, f"docs/policy.md does not say what {key} does"
    example = text.partition("```toml\n")[2].partition("```")[0]
    assert set(load(written(folder, example)).most) == set(tomllib.loads(example))
    assert len(tomllib.loads(example)) > 5


# Keys at rest, and helpers


def test_keys_lie_on_the_disk_only_as_the_policy_says(folder: Path, config: Path) -> None:
    written(folder, "keys_at_rest = ['passphrase', 'keyring']\n")
    refused_words = typed(config, "setup", "--name", "anna", "--json")
    assert "may not be protected by plain here (keys_at_rest)" in refused_words.stdout
    assert not configuration.load(config).is_set_up
    (folder / "policy.toml").unlink()
    assert typed(config, "setup", "--name", "anna", "--json").exit_code == 0
    written(folder, "keys_at_rest = ['passphrase', 'keyring']\n")
    done = typed(config, "run")
    assert done.exit_code == 1
    assert "Your keys are protected by: plain." in done.stderr
    assert "postroad keys protect --passphrase" in done.stderr
    again = typed(config, "keys", "protect", "--plain", "--json")
    assert "may not be protected by plain" in again.stdout
    words = CliRunner().invoke(
        cli.main,
        ["--config", str(config), "keys", "protect", "--passphrase", "--json"],
        input="correct horse battery staple\n",
    )
    assert json.loads(words.stdout)["protection"] == "passphrase"


@pytest.mark.parametrize("text", ["relay = 'off'", "hold_for = 'off'", "link = ['tls']"])
def test_no_helper_runs_where_the_policy_wants_none(folder: Path, config: Path, text: str) -> None:
    written(folder, text)
    done = typed(config, "helper", "run", "--data", str(folder / "h"), "--runtime", str(folder))
    assert done.exit_code == 1
    assert "does not allow a helper" in done.stderr
    assert not (folder / "h").exists()
