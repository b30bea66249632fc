"""The configuration: what is wrong with it is said with the file, the key and the reason."""

import tomllib
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postroad.app import config as configuration
from postroad.app.config import Config, load, write
from postroad.base import limits
from postroad.base.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config" / "config.toml"


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def refused(path: Path, text: str) -> str:
    with pytest.raises(ConfigurationError) as found:
        load(written(path, text))
    sentence = str(found.value)
    assert str(path) in sentence
    return sentence


def test_without_a_file_the_documented_defaults_hold(path: Path, tmp_path: Path) -> None:
    config = load(path)
    assert (config.smtp_port, config.imap_port, config.peer_port) == (10587, 10143, 46464)
    assert config.pop3_port == 10110
    assert config.data == tmp_path / "home/.local/share/postroad"
    assert config.expiry_days * limits.DAY == limits.EXPIRY_SECONDS_MAX
    assert config.control_path == config.data / "run" / "control"
    assert configuration.default_path() == tmp_path / "home/.config/postroad/config.toml"
    assert load(written(path, "")) == config


def test_folders_follow_the_desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable))
    config = configuration.default()
    assert config.data == tmp_path / "XDG_DATA_HOME/postroad"
    assert config.runtime == tmp_path / "XDG_RUNTIME_DIR/postroad"
    assert configuration.default_path() == tmp_path / "XDG_CONFIG_HOME/postroad/config.toml"
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    assert configuration.default().data == tmp_path / "home/.local/share/postroad"


def test_a_file_changes_what_it_names_and_nothing_else(path: Path) -> None:
    text = 'smtp_port = 2525\npeer_hosts = ["192.0.2.7", "2001:db8::7"]\nlog_level = "debug"\n'
    assert load(written(path, text)) == replace(
        load(path.with_name("none")),
        smtp_port=2525,
        peer_hosts=("192.0.2.7", "2001:db8::7"),
        log_level="debug",
    )


@pytest.mark.parametrize("key", ["smtp-port", "SMTP_PORT", "port", "doors", "control_path", '""'])
def test_an_unknown_key_is_named_with_those_there_are(path: Path, key: str) -> None:
    sentence = refused(path, f"smtp_port = 2525\n{key} = 1\n")
    assert f"{key.strip(chr(34))} is not a key" in sentence
    for field in fields(Config):
        assert field.name in sentence


def test_a_table_is_an_unknown_key(path: Path) -> None:
    assert "smtp is not a key" in refused(path, "[smtp]\nport = 1\n")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("smtp_port = 70000", "port, 1 to 65535"),
        ("smtp_port = -1", "port, 1 to 65535"),
        ('imap_port = "10143"', "port, 1 to 65535"),
        ("peer_port = 1.5", "port, 1 to 65535"),
        ("peer_port = true", "port, 1 to 65535"),
        ("peer_port = [1]", "port, 1 to 65535"),
        ('data = "relative"', "absolute path"),
        ('runtime = ""', "absolute path"),
        ("data = 7", "absolute path"),
        ('peer_hosts = "192.0.2.7"', "list of addresses"),
        ("peer_hosts = [7]", "list of addresses"),
        ('link = "carrier pigeon"', "one of iroh, tls"),
        ("link = 1", "one of iroh, tls"),
        ('link = ["tls"]', "one of iroh, tls"),
        ('relay = "friends"', "one of contacts, anybody, off"),
        ("relay = false", "one of contacts, anybody, off"),
        ("relay_kilobytes_per_second = 0", "whole number, 1 to"),
        ("relay_kilobytes_per_second = 1.5", "whole number, 1 to"),
        ('lan = "yes"', "true or false"),
        ("lan = 1", "true or false"),
        ('log_level = "DEBUG"', "one of debug, info"),
        ("log_level = {}", "one of debug, info"),
        ('hold_for = "everybody"', "one of off, contacts, vouched"),
        ("hold_for = true", "one of off, contacts, vouched"),
        ("expiry_days = 0", "number of days"),
        ("expiry_days = 31", "number of days"),
        ("expiry_days = 30.001", "number of days"),
        ("expiry_days = nan", "number of days"),
        ("expiry_days = -inf", "number of days"),
        ("expiry_days = true", "number of days"),
        ('expiry_days = "30"', "number of days"),
        ("reserve_mib = -1", "number of MiB"),
        ("dial_private = 1", "true or false"),
        ('dial_private = "yes"', "true or false"),
        ("reserve_mib = false", "number of MiB"),
        ("reserve_mib = nan", "number of MiB"),
        ("reserve_mib = inf", "number of MiB"),
        ('data = "~nobody-of-that-name/x"', "nobody has that home folder"),
        ('data = "/a\\u0000b"', "absolute path"),
        ('peer_hosts = ["localhost"]', "list of addresses"),
        ('reserve_mib = "64"', "number of MiB"),
        ("reserve_mib = 1979-05-27", "number of MiB"),
    ],
)
def test_a_bad_value_is_named_with_its_key_and_the_reason(
    path: Path, line: str, reason: str
) -> None:
    sentence = refused(path, f"# mine\n{line}\n")
    assert line.partition(" ")[0] in sentence
    assert reason in sentence


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("smtp_port = 0", "smtp_port", 0),
        ("smtp_port = 65535", "smtp_port", 65535),
        ("expiry_days = 30", "expiry_days", 30.0),
        ("expiry_days = 0.042", "expiry_days", 0.042),
        ("reserve_mib = 0", "reserve_mib", 0.0),
        ('peer_hosts = ["*"]', "peer_hosts", ()),
        ("lan = false", "lan", False),
    ],
)
def test_values_at_the_edge_are_taken(path: Path, line: str, key: str, value: Any) -> None:
    assert getattr(load(written(path, line)), key) == value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("smtp_port = 1\nsmtp_port =\n", 2),
        ("\n\nsmtp_port 1\n", 3),
        ("smtp_port = 1\nsmtp_port = 2\n", 2),
        ('data = "never closed\n', 1),
    ],
)
def test_a_broken_line_is_named_by_its_number(path: Path, text: str, line: int) -> None:
    sentence = refused(path, text)
    assert "not valid TOML" in sentence
    assert f"line {line}" in sentence


def test_a_file_that_cannot_be_read_is_said_so(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(path)
    path.rmdir()
    path.write_bytes(b"data = '\xff'\n")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(path)


def test_a_folder_with_a_line_end_in_its_name_is_not_written_down(path: Path) -> None:
    config = replace(configuration.default(), data=Path("/post\nroad"))
    with pytest.raises(ConfigurationError, match="rename it"):
        configuration.write(path, config)


ports = st.integers(0, 65535)
folders = (
    st.text(
        st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs", "Cc"]),
        max_size=20,
    )
    .filter(str.isprintable)
    .map(lambda name: Path("/postroad") / name.replace("/", "").replace("~", ""))
)
configs = st.builds(
    Config,
    data=folders,
    runtime=folders,
    smtp_port=ports,
    imap_port=ports,
    pop3_port=ports,
    peer_port=ports,
    peer_hosts=st.lists(st.ip_addresses().map(str), max_size=3).map(tuple),
    link=st.sampled_from(configuration.LINKS),
    expiry_days=st.floats(limits.EXPIRY_SECONDS_MIN / limits.DAY, 30),
    reserve_mib=st.floats(0, configuration.RESERVE_MIB_MAX),
    relay=st.sampled_from(configuration.RELAYS),
    relay_kilobytes_per_second=st.integers(1, configuration.RELAY_KILOBYTES_MAX),
    lan=st.booleans(),
    hold_for=st.sampled_from(["off", "contacts", "vouched"]),
    log_level=st.sampled_from(["debug", "info", "warning", "error"]),
)


def at_ports_of_their_own(config: configuration.Config) -> bool:
    ports = [config.smtp_port, config.imap_port, config.pop3_port, config.peer_port]
    given = [port for port in ports if port]
    return len(given) == len(set(given))


configs = configs.filter(at_ports_of_their_own)


@given(configs)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_set_up_writes_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, config: Config
) -> None:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    write(path, config)
    assert load(path) == config


@given(configs, configs)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_set_up_changes_is_read_again_and_no_line_is_lost(
    tmp_path_factory: pytest.TempPathFactory, before: Config, after: Config
) -> None:
    path = tmp_path_factory.mktemp("config") / "config.toml"
    write(path, before)
    comments = [line for line in path.read_text().splitlines() if line.startswith("#")]
    write(path, after)
    assert load(path) == after
    assert [line for line in path.read_text().splitlines() if line.startswith("#")] == comments


def test_a_new_file_tells_of_every_key_and_changes_nothing(path: Path) -> None:
    write(path, configuration.default())
    text = path.read_text()
    assert load(path) == configuration.default()
    assert not [line for line in text.splitlines() if line and not line.startswith("#")]
    uncommented = text
    for field in fields(Config):
        about = field.metadata["about"]
        star = "" if field.name in configuration.LIVE else " (*)"
        assert f"\n# {about}{star}\n# {field.name} = " in text
        uncommented = uncommented.replace(f"# {field.name} = ", f"{field.name} = ")
    assert load(written(path, uncommented)) == configuration.default()
    assert set(tomllib.loads(uncommented)) == {field.name for field in fields(Config)}
    assert [one.name for one in path.parent.iterdir()] == ["config.toml"]


def test_in_a_new_file_only_what_differs_from_the_defaults_is_said(path: Path) -> None:
    write(path, replace(configuration.default(), smtp_port=2525))
    lines = path.read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["smtp_port = 2525"]


HAND_WRITTEN = """# Anna's. Do not touch the ports: exim has 25.
smtp_port = 2525  # not 25
  'imap_port'=2143
peer_hosts = [
    "192.0.2.7",  # the cable
]
# imap_port = 143

log_level = "debug" # for a while"""


def test_a_hand_written_file_keeps_all_but_the_values_that_change(path: Path) -> None:
    config = load(written(path, HAND_WRITTEN))
    write(path, config)
    assert path.read_text() == HAND_WRITTEN
    write(path, replace(config, smtp_port=2526, imap_port=2144, data=Path('/m "#" n'), link="tls"))
    assert path.read_text() == (
        HAND_WRITTEN.replace("smtp_port = 2525 ", "smtp_port = 2526 ").replace("=2143", "=2144")
        + '\ndata = "/m \\"#\\" n"\nlink = "tls"\n'
    )


def test_a_value_that_cannot_be_replaced_is_left_to_its_owner(path: Path) -> None:
    text = 'data = """\n/home/anna/mail"""\n'
    config = load(written(path, text))
    with pytest.raises(ConfigurationError, match=r'Write there: data = "/mail"') as refused:
        write(path, replace(config, data=Path("/mail")))
    assert str(path) in str(refused.value)
    assert path.read_text() == text
    assert [one.name for one in path.parent.iterdir()] == ["config.toml"]


def test_a_file_that_is_a_link_stays_one(path: Path, tmp_path: Path) -> None:
    kept = written(tmp_path / "dotfiles" / "postroad.toml", "# mine\n")
    path.parent.mkdir()
    path.symlink_to(kept)
    write(path, replace(configuration.default(), smtp_port=2525))
    assert path.is_symlink()
    assert kept.read_text() == "# mine\nsmtp_port = 2525\n"


def test_a_file_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write(tmp_path / "file" / "config.toml", configuration.default())


def test_keys_that_cannot_be_looked_for_are_not_keys_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    usual = replace(configuration.default(), runtime=tmp_path)
    named = replace(usual, data=tmp_path / "another disk" / "mail")
    assert set_up(usual) == "False"  # on a new computer there is no folder
    usual.data.symlink_to(tmp_path / "another disk")
    assert "is not there. If it is on a disk that is not mounted" in set_up(usual)
    assert f"mkdir -m 700 {named.data}" in set_up(named)
    named.data.mkdir(parents=True)
    assert set_up(named) == "False"
    (named.data / "keys").touch()
    assert set_up(named) == "True"
    assert "cannot be looked into" in set_up(replace(usual, data=named.data / "keys"))


def set_up(config: Config) -> str:
    try:
        return str(config.is_set_up)
    except ConfigurationError as error:
        return str(error)
