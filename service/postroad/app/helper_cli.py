"""`postroad helper ...`: run a helper on a box, and name the people whom it serves.

Whoever runs it is asked nothing and has no mailbox there. `enable` writes a unit of systemd and is
for root; the other commands work as root or as the user whom the helper runs as.
"""

import ipaddress
import os
import socket
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any

import click

from postroad.app import telling
from postroad.app.asking import NotRunning, as_json, ask, finish
from postroad.app.units import program
from postroad.base import limits
from postroad.base.errors import ConfigurationError
from postroad.phrases import phrase

HELPER_RELAY_KILOBYTES = 5000  # a second: a rented box has more to give than somebody at home
UNIT = "postroad-helper.service"
UNIT_PATH = Path("/etc/systemd/system") / UNIT
START_SECONDS_MAX = 20.0
ASK_AGAIN_SECONDS = 0.1
HOMES = ("/home", "/root", "/run/user")  # what ProtectHome= hides
SYSTEM_DATA, SYSTEM_RUNTIME = Path("/var/lib/postroad-helper"), Path("/run/postroad-helper")

runtime_option = click.option(
    "--runtime",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of the socket at which the helper is asked.",
)


@click.group()
def helper() -> None:
    """Run a helper for people you name: it relays and holds for them, and reads nothing."""


@helper.command()
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Its data folder.")
@runtime_option
@click.option("--name", help="What its people see; by default the name of this computer.")
@click.option("--port", default=limits.PEER_PORT_DEFAULT, help="Where nodes reach it, UDP.")
@click.option("--relay-port", default=limits.HELPER_RELAY_PORT, help="Where it relays, TCP.")
@click.option("--address", help="The IP address by which others know it, if not its own.")
@click.option("--host", "hosts", multiple=True, help="Listen at this address of it only.")
@click.option(
    "--relay-rate",
    type=click.IntRange(1, 1_000_000),
    default=HELPER_RELAY_KILOBYTES,
    help="How many kilobytes a second it passes on, all together.",
)
@click.option(
    "--dial-private",
    is_flag=True,
    help="Dial private addresses that strangers name: where all nodes share such a network.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning"]),
    default="info",
    help="What is logged.",
)
def run(
    data: Path | None,
    runtime: Path | None,
    name: str | None,
    port: int,
    relay_port: int,
    address: str | None,
    hosts: tuple[str, ...],
    relay_rate: int,
    dial_private: bool,
    log_level: str,
) -> None:
    """Run the helper in the foreground, until Ctrl-C."""

    def work() -> dict[str, Any]:
        from postroad.app import helper as running
        from postroad.app import log
        from postroad.app import policy as policies
        from postroad.app.config import Config
        from postroad.peers.relay import Rules
        from postroad.protocol.border import border

        for text in (*hosts, *([address] if address else ())):
            _expect_ip(text)
        policy = policies.load()
        wanted = Config(
            data or _data(),
            runtime or _runtime(),
            peer_port=port,
            peer_hosts=hosts,
            relay_kilobytes_per_second=relay_rate,
            dial_private=dial_private,
        )
        cut = policies.for_helper(wanted, policy)
        within = border(cut.networks)
        config = running.HelperConfig(
            cut.data,
            cut.runtime,
            name_to_show(name),
            cut.peer_port,
            relay_port,
            cut.peer_hosts,
            address,
            Rules(bytes_per_second=1000 * cut.relay_kilobytes_per_second, border=within),
            cut.dial_private,
            within,
            cut.directory,
            policy,
        )
        log.start(log_level)
        running.run(config, lambda config: telling.helper_ready(config.relay_port))
        return {}

    finish(work, False, lambda _: None)


@helper.command()
@click.option("--address", help="The IP address by which others know this box, if not its own.")
def enable(address: str | None) -> None:
    """Start a helper, now and whenever this computer starts (root), and show its first link."""

    def work() -> dict[str, Any]:
        if os.geteuid() != 0:
            raise ConfigurationError("This is for root. Type: sudo postroad helper enable")
        if address:
            _expect_ip(address)
        _expect_readable()
        _systemd(unit(address))
        return _first_link()

    finish(work, False, telling.helper_link)


@helper.command()
def disable() -> None:
    """Stop the helper, now and for good (root); /var/lib/postroad-helper stays as it is."""

    def work() -> dict[str, Any]:
        if os.geteuid() != 0:
            raise ConfigurationError("This is for root. Type: sudo postroad helper disable")
        _systemctl("disable", "--now", UNIT)
        UNIT_PATH.unlink(missing_ok=True)
        _systemctl("daemon-reload")
        return {}

    finish(work, False, lambda _: click.echo("The helper is off. Its people will look for others."))


@helper.command()
@runtime_option
@as_json
def invite(runtime: Path | None, json_wanted: bool) -> None:
    """Make a link for one person, who is served from when they use it."""
    finish(lambda: _asked("invite", runtime), json_wanted, telling.helper_link)


@helper.command()
@runtime_option
@as_json
def people(runtime: Path | None, json_wanted: bool) -> None:
    """List the people whom the helper serves."""
    finish(lambda: _asked("people", runtime), json_wanted, telling.helper_people)


@helper.command()
@click.argument("name")
@runtime_option
@as_json
def remove(name: str, runtime: Path | None, json_wanted: bool) -> None:
    """Serve NAME no more; what it holds for them stays until they fetch it or it expires."""
    finish(
        lambda: _asked("remove", runtime, name=name),
        json_wanted,
        lambda answer: click.echo(f"{answer['address']} is not served any more."),
    )


@helper.command()
@runtime_option
@as_json
def status(runtime: Path | None, json_wanted: bool) -> None:
    """Tell how the helper is doing."""
    finish(lambda: _asked("status", runtime), json_wanted, telling.helper_status)


def _first_link() -> dict[str, Any]:
    """A link, as soon as the helper answers."""
    ends = time.monotonic() + START_SECONDS_MAX
    while True:
        try:
            return _asked("invite", SYSTEM_RUNTIME)
        except NotRunning as error:
            if time.monotonic() > ends:
                raise ConfigurationError(
                    f"The helper does not start. See why: journalctl -u {UNIT}"
                ) from error
        # systemd calls it started once the process is there, and its socket comes a moment later.
        # A person waits for this command, START_SECONDS_MAX at most.
        time.sleep(ASK_AGAIN_SECONDS)


def unit(address: str | None) -> str:
    """The unit that runs this very program."""
    template = resources.files("postroad.app").joinpath("helper.service").read_text("utf-8")
    options = f" --address {address}" if address else ""
    words = program()
    template = template.replace("@PATH@", words[0]).replace("@PROGRAM@", " ".join(words))
    return template.replace("@OPTIONS@", options)


def name_to_show(wanted: str | None) -> str:
    """What the helper's people see; ConfigurationError when a screen could not show it."""
    name = wanted or socket.gethostname()[: limits.HELPER_NAME_BYTES_MAX] or "helper"
    if len(name.encode()) > limits.HELPER_NAME_BYTES_MAX or not name.isprintable():
        raise ConfigurationError(
            f"A helper cannot be called {name!r}: choose a name (--name) of at most "
            f"{limits.HELPER_NAME_BYTES_MAX} letters that can be seen."
        )
    return name


def _expect_readable() -> None:
    """Raise ConfigurationError when the service could not read this very program."""
    for path in (Path(sys.argv[0]).resolve(), Path(sys.executable).resolve()):
        if any(path.is_relative_to(home) for home in HOMES):
            raise ConfigurationError(
                f"The helper runs as a user of its own, who cannot read {path}. Install Postroad "
                "for everybody first: the package (sudo apt-get install ./postroad_*.deb), or sudo "
                "PIPX_HOME=/opt/pipx PIPX_BIN_DIR=/usr/local/bin pipx install ./postroad"
            )


def _systemd(text: str) -> None:
    """Make this the unit, start it, and wait until it answers."""
    try:
        UNIT_PATH.write_text(text, "utf-8")
    except OSError as error:
        raise ConfigurationError(f"{UNIT_PATH} cannot be written ({error.strerror}).") from error
    _systemctl("daemon-reload")
    _systemctl("enable", "--now", UNIT)


def _systemctl(*words: str) -> None:
    import subprocess

    try:
        done = subprocess.run(  # noqa: S603  (fixed words)
            ["systemctl", *words],  # noqa: S607  (found as the administrator's own commands are)
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(
            f"systemd does not answer ({error}). Without it, run: postroad helper run"
        ) from error
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ConfigurationError(f"systemctl {words[0]} failed: {reason}")


def _asked(do: str, runtime: Path | None, **more: str) -> dict[str, Any]:
    try:
        return ask((runtime or _runtime()) / "control", do=do, **more)
    except NotRunning as error:
        what = phrase("The helper is not running.")
        raise NotRunning(what, "sudo postroad helper enable") from error


def _expect_ip(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is no IP address.") from error


def _data() -> Path:
    return _place("STATE_DIRECTORY", SYSTEM_DATA, "XDG_DATA_HOME", ".local/share")


def _runtime() -> Path:
    return _place("RUNTIME_DIRECTORY", SYSTEM_RUNTIME, "XDG_RUNTIME_DIR", ".local/run")


def _place(of_systemd: str, of_root: Path, of_user: str, in_home: str) -> Path:
    """The folder that systemd gives a unit; else root's, or the user's own."""
    if given := os.environ.get(of_systemd):
        return Path(given.partition(":")[0])
    if os.geteuid() == 0:
        return of_root
    base = os.environ.get(of_user)
    return (Path(base) if base else Path.home() / in_home) / "postroad-helper"
