"""The command line: `postroad setup`, `run`, `invite`, `accept`, `status`, `contacts`, `queue`.

Exit codes: 0 ok, 1 failed, 2 usage, 3 the node is not running, 4 not set up. With --json the answer
is one JSON object on stdout, an error likewise: {"error": "a sentence"}.
"""

# Most commands only ask the running node; the two that need a node import what it is made of.
import json
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from postroad import __version__
from postroad.app import config as configuration
from postroad.app.config import LINKS, Config
from postroad.base import limits
from postroad.base.errors import PostroadError

FAILED = 1
INSTALL_LINE = "sudo apt install ./postroad_*.deb"
CONTROL_SECONDS_MAX = 60.0

if TYPE_CHECKING:
    from postroad.app.compose import Sockets

as_json = click.option("--json", "json_wanted", is_flag=True, help="Answer with one JSON object.")


class _Place:
    """Where this invocation finds its configuration."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def config(self) -> Config:
        return configuration.load(self.path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration file to use.",
)
@click.version_option(__version__, prog_name="postroad")
@click.pass_context
def main(context: click.Context, path: Path | None) -> None:
    """Postroad: email with no mail server."""
    context.obj = _Place(path or configuration.default_path())


@main.command()
@click.option("--name", help="The part of your address before the dot: a-z, 0-9, - and _.")
@click.option("--restore", is_flag=True, help="Ask for the 24 words of an identity you have.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder.")
@click.option("--link", type=click.Choice(LINKS), help="How nodes reach each other.")
@as_json
@click.pass_obj
def setup(
    place: _Place,
    name: str | None,
    restore: bool,
    data: Path | None,
    link: str | None,
    json_wanted: bool,
) -> None:
    """Make your address and keys; shows your 24 words and mailbox password, once."""
    from postroad.app import setting_up
    from postroad.machine.clock import SystemClock
    from postroad.machine.entropy import SystemEntropy

    def work() -> dict[str, Any]:
        config = place.config
        if data is not None:
            config = replace(config, data=data.absolute())
        if link is not None:
            config = replace(config, link=link)
        chosen = name or click.prompt("Your name in your address (like anna)", err=True)
        words = click.prompt("Your 24 words", err=True, hide_input=True) if restore else None
        made = setting_up.set_up(place.path, config, chosen, words, SystemClock(), SystemEntropy())
        return {
            "address": str(made.address),
            "words": made.words,
            "password": made.password,
            "smtp_port": made.config.smtp_port,
            "imap_port": made.config.imap_port,
        }

    _finish(work, json_wanted, _show_setup)


@main.command()
@click.pass_obj
def run(place: _Place) -> None:
    """Run your node in the foreground, until Ctrl-C."""
    from postroad.app import lifecycle, log

    def work() -> dict[str, Any]:
        config = place.config
        log.start(config.log_level)
        lifecycle.run(config, _ready)
        return {}

    _finish(work, False, lambda _: None)


@main.command()
@as_json
@click.pass_obj
def invite(place: _Place, json_wanted: bool) -> None:
    """Make an invitation for one person, to send them by any way you trust."""
    _finish(lambda: _ask(place.config, do="invite"), json_wanted, _show_invitation)


@main.command()
@click.argument("link")
@as_json
@click.pass_obj
def accept(place: _Place, link: str, json_wanted: bool) -> None:
    """Accept the invitation LINK that somebody sent you."""
    _finish(
        lambda: _ask(place.config, do="accept", link=link),
        json_wanted,
        lambda answer: click.echo(
            f"You can write to {answer['address']} now.\n"
            "A letter of theirs will be in your INBOX as soon as their node has heard of you."
        ),
    )


@main.command()
@as_json
@click.pass_obj
def status(place: _Place, json_wanted: bool) -> None:
    """Tell how your node is doing."""
    _finish(lambda: _ask(place.config, do="status"), json_wanted, _show_status)


@main.command()
@as_json
@click.pass_obj
def contacts(place: _Place, json_wanted: bool) -> None:
    """List the people you can write to."""
    _finish(lambda: _ask(place.config, do="contacts"), json_wanted, _show_contacts)


@main.command()
@as_json
@click.pass_obj
def queue(place: _Place, json_wanted: bool) -> None:
    """List the letters that are on their way, and what they wait for."""
    _finish(lambda: _ask(place.config, do="queue"), json_wanted, _show_queue)


# How it is done


def _finish(
    work: Callable[[], dict[str, Any]], json_wanted: bool, show: Callable[[dict[str, Any]], None]
) -> None:
    """Do the work and show its answer; every error ends as one sentence and an exit code."""
    try:
        answer = work()
    except PostroadError as error:
        _fail(str(error), getattr(error, "exit_code", FAILED), json_wanted)
    if json_wanted:
        click.echo(json.dumps(answer))
    else:
        show(answer)


def _fail(sentence: str, code: int, json_wanted: bool) -> NoReturn:
    if json_wanted:
        click.echo(json.dumps({"error": sentence}))
    else:
        click.echo(f"postroad: {sentence}", err=True)
    sys.exit(code)


def _answer(connection: socket.socket, line: bytes) -> dict[str, Any]:
    try:
        connection.sendall(line)
        with connection.makefile("rb") as answers:
            answer = json.loads(answers.readline())
    except (OSError, ValueError) as error:
        raise PostroadError("Your node gave no answer. Is it stopping? Try again.") from error
    assert isinstance(answer, dict)
    return answer


class _NotRunning(PostroadError):
    exit_code = 3


class _NotSetUp(PostroadError):
    exit_code = 4


def _ask(config: Config, **request: str) -> dict[str, Any]:
    """What the running node answers to this request."""
    path = config.control_path
    line = json.dumps(request).encode() + b"\n"
    assert len(line) <= limits.CONTROL_LINE_BYTES_MAX
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(CONTROL_SECONDS_MAX)
            connection.connect(str(path))
            answer = _answer(connection, line)
    except OSError as error:
        if not (config.data / "keys").exists():
            raise _NotSetUp(
                "You are not set up yet. Run: postroad setup --name YOURNAME"
            ) from error
        raise _NotRunning("Your node is not running. Start it with: postroad run") from error
    if not answer.pop("ok"):
        raise PostroadError(answer["error"])
    return dict(answer)


# What a person sees


def _ready(sockets: "Sockets") -> None:
    for door, listening in (("SMTP", sockets.submission), ("IMAP", sockets.imap)):
        for one in listening:
            host, port = one.getsockname()[:2]
            click.echo(f"{door} for your mail program: {host} port {port}")
    click.echo("Your node is running. Ctrl-C stops it; your mail stays safe.")


def _show_setup(made: dict[str, Any]) -> None:
    click.echo(f"Your address: {made['address']}\n")
    click.echo("Your 24 words. Write them on paper: they are the only way back to this address.")
    words = made["words"].split()
    for at in range(0, len(words), 6):
        row = (f"{at + place + 1:2} {word:<10}" for place, word in enumerate(words[at : at + 6]))
        click.echo("   " + " ".join(row).rstrip())
    click.echo("\nFor your mail program (no encryption: it never leaves this computer):")
    click.echo(f"   user name   {made['address']}")
    click.echo(f"   password    {made['password']}   (normal password)")
    click.echo(f"   incoming    IMAP  127.0.0.1  port {made['imap_port']}")
    click.echo(f"   outgoing    SMTP  127.0.0.1  port {made['smtp_port']}")
    click.echo("\nNext: postroad run    and then, in another terminal: postroad invite")


def _show_invitation(answer: dict[str, Any]) -> None:
    days = limits.INVITATION_SECONDS_DEFAULT // limits.DAY
    click.echo(f"Send this to one person, by a way you trust; it works once, for {days} days:\n")
    click.echo("Let us write to each other with Postroad: email with no mail server.")
    click.echo(f"1. Install it:      {INSTALL_LINE}")
    click.echo("2. Make an address: postroad setup")
    click.echo("3. Start it:        postroad run")
    click.echo(f"4. Then type:       postroad accept {answer['link']}")
    if not answer["holders"]:
        click.echo(
            "\nNobody holds letters for you yet, so your node has to be running when they accept."
        )


def _show_status(answer: dict[str, Any]) -> None:
    click.echo(f"You are {answer['address']}.")
    click.echo(f"Contacts: {answer['contacts']}. Letters on their way: {answer['queue']}.")
    click.echo(_holders_in_words(answer["holders"]))
    for one in answer["quarantine"]:
        click.echo(
            f"Set aside, because it is damaged: {one['kind']} {one['name']}: {one['reason']}"
        )


def _holders_in_words(holders: int) -> str:
    if not holders:
        return (
            "Nobody holds letters for you while this computer is off: senders keep them and try "
            "again. Invite people; their nodes will hold for you."
        )
    if holders < limits.HOLDERS_WANTED:
        return (
            f"{holders} of {limits.HOLDERS_WANTED} holders keep letters while you are away. "
            "With so few, letters may have to wait until their sender is on as well."
        )
    return f"{holders} holders keep letters for you while you are away."


def _show_contacts(answer: dict[str, Any]) -> None:
    if not answer["contacts"]:
        click.echo("Nobody yet. Make an invitation with: postroad invite")
        return
    for person in answer["contacts"]:
        seen = _moment(person["seen_at"])
        click.echo(f"{person['name']:<12}  {person['address']}  last seen: {seen}")


def _show_queue(answer: dict[str, Any]) -> None:
    if not answer["queue"]:
        click.echo("No letter is waiting.")
        return
    for parcel in answer["queue"]:
        seconds = max(0, round(parcel["next_try_at"] - answer["now"]))
        click.echo(f"To {parcel['recipient']}")
        click.echo(f"   {parcel['state']}: {parcel['reason']}; next try in {seconds} s")


def _moment(at: float | None) -> str:
    if at is None:
        return "never"
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
