"""The command line: `postroad setup`, `run`, `invite`, `accept`, `status`, `contacts`, `queue`.

Exit codes: 0 ok, 1 failed, 2 usage, 3 the node is not running, 4 not set up. With --json nothing is
asked, and the answer is one JSON object on stdout, a failure likewise: {"error": "a sentence"}.
Only a command that cannot be understood (exit code 2) is told by click, in words on stderr.
"""

# Most commands only ask the running node; the two that need a node import what it is made of.
import json
import socket
import sys
import traceback
from collections import Counter
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
from postroad.base.errors import ConfigurationError, NotSetUp, PostroadError

FAILED, NOT_RUNNING, NOT_SET_UP = 1, 3, 4
INSTALL_LINE = "pipx install ./postroad"
WAIT_SECONDS_MAX = limits.CONTROL_SECONDS_MAX + 5  # the node's own word comes first
WORDS_BYTES_MAX = 4096

if TYPE_CHECKING:
    from postroad.app.compose import Sockets

as_json = click.option("--json", "json_wanted", is_flag=True, help="Answer with one JSON object.")


class _NotRunning(PostroadError):
    """Nobody answers at the control socket."""

    def __init__(self) -> None:
        super().__init__("Your node is not running. Start it with: postroad run")


class _Place:
    """Where this invocation finds its configuration."""

    def __init__(self, named: Path | None) -> None:
        self.path = named or configuration.default_path()
        self._is_named = named is not None

    @property
    def config(self) -> Config:
        """Raises ConfigurationError also when the file was named and is not there."""
        if self._is_named and not self.path.exists():
            raise ConfigurationError(
                f"There is no file {self.path}. Check its name, or make it with: "
                f"postroad --config {self.path} setup --name YOURNAME"
            )
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
    context.obj = _Place(path)


@main.command()
@click.option("--name", help="The part of your address before the dot: a-z, 0-9, - and _.")
@click.option(
    "--restore",
    is_flag=True,
    help="Ask for the 24 words of an identity you have; with --json they come on stdin.",
)
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
        config = configuration.load(place.path)  # it need not be there yet
        if data is not None:
            config = replace(config, data=data.absolute())
        if link is not None:
            config = replace(config, link=link)
        chosen = name or _ask_for_name(json_wanted)
        words = _ask_for_words(json_wanted) if restore else None
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
        lifecycle.run(config, place.path, _ready)
        return {}

    _finish(work, False, lambda _: None)


@main.command()
@as_json
@click.pass_obj
def invite(place: _Place, json_wanted: bool) -> None:
    """Make an invitation for one person, to send them by any way you trust."""
    _finish(lambda: _ask(place.config, do="invite"), json_wanted, _show_invitation)


@main.command()
@click.argument("link", required=False)
@as_json
@click.pass_obj
def accept(place: _Place, link: str | None, json_wanted: bool) -> None:
    """Accept the invitation LINK that somebody sent you; without LINK, it is asked for.

    Other users of this computer can see what is typed after a command, so prefer to be asked."""
    _finish(
        lambda: _ask(place.config, do="accept", link=link or _ask_for_link()),
        json_wanted,
        _show_acceptance,
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
    except _NotRunning as error:
        _fail(str(error), NOT_RUNNING, json_wanted)
    except NotSetUp as error:
        _fail(str(error), NOT_SET_UP, json_wanted)
    except PostroadError as error:
        _fail(str(error), FAILED, json_wanted)
    except click.Abort:
        _fail("Stopped: a question was not answered, and nothing was done.", FAILED, json_wanted)
    except Exception as error:  # the doorstep of a program that reads our answer
        if not json_wanted:
            raise
        traceback.print_exc()
        _fail(f"Postroad failed by a fault of its own: {error!r}.", FAILED, json_wanted)
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


def _ask_for_name(json_wanted: bool) -> str:
    if json_wanted:
        raise ConfigurationError("Say your name in your address with --name: --json asks nothing.")
    return str(click.prompt("Your name in your address (like anna)", err=True))


def _ask_for_words(json_wanted: bool) -> str:
    if json_wanted:
        return sys.stdin.buffer.read(WORDS_BYTES_MAX).decode(errors="replace")
    return str(click.prompt("Your 24 words", err=True, hide_input=True))


def _ask(config: Config, **request: str) -> dict[str, Any]:
    """What the running node answers to this request."""
    path = config.control_path
    line = json.dumps(request).encode() + b"\n"
    assert len(line) <= limits.CONTROL_LINE_BYTES_MAX
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(WAIT_SECONDS_MAX)
            connection.connect(str(path))
            answer = _answer(connection, line)
    except OSError as error:
        if not config.is_set_up:
            raise NotSetUp from error
        raise _NotRunning from error
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


def _ask_for_link() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline(limits.CONTROL_LINE_BYTES_MAX).strip()
    return str(click.prompt("The invitation (it begins with postroad:)", err=True))


def _show_invitation(answer: dict[str, Any]) -> None:
    days = _number(limits.INVITATION_SECONDS_DEFAULT // limits.DAY, "day")
    click.echo(f"Send this to one person, by a way you trust; it works once, for {days}:\n")
    click.echo("Let us write to each other with Postroad: email with no mail server.")
    click.echo(f"1. Install it:      {INSTALL_LINE}")
    click.echo("                    (the folder with Postroad that comes with this)")
    click.echo("2. Make an address: postroad setup")
    click.echo("3. Start it:        postroad run")
    click.echo("4. Then type:       postroad accept")
    click.echo(f"5. And paste this:  {answer['link']}")
    click.echo(f"\n{_told_in_words(answer['holders_told'], answer['holders'])}")


def _told_in_words(told: int, holders: int) -> str:
    """Who takes the answer to an invitation while we are off."""
    if not holders:
        return "Nobody holds letters for you yet, so your node has to be running when they accept."
    if not told:
        whom = "Your holder" if holders == 1 else f"None of your {holders} holders"
        could = "could not be" if holders == 1 else "could be"
        return (
            f"{whom} {could} told of it just now, so keep your node running: it tells them as soon "
            "as they can be reached."
        )
    if told < holders:
        one = "1 of your {} holders knows" if told == 1 else f"{told} of your {{}} holders know"
        return f"{one.format(holders)} of it already, so they can accept while you are away."
    if holders == 1:
        return "Your holder knows of it, so they can accept while you are away."
    return f"Your {holders} holders know of it, so they can accept while you are away."


def _show_acceptance(answer: dict[str, Any]) -> None:
    if not answer["is_new"]:
        click.echo(f"You and {answer['address']} are contacts already.")
        return
    click.echo(f"You can write to {answer['address']} now.")
    click.echo("A letter of theirs will be in your INBOX as soon as their node has heard of you.")


def _show_status(answer: dict[str, Any]) -> None:
    click.echo(f"You are {answer['address']}, and your node is running.")
    click.echo(f"You have {_number(answer['contact_count'], 'contact')}.")
    waiting = answer["letters_waiting"]
    on_the_way = f"{_number(waiting, 'letter')} {'is' if waiting == 1 else 'are'} on the way."
    click.echo(on_the_way.capitalize())
    click.echo(_holders_in_words(answer["holders"], answer["holders_wanted"]))
    click.echo("\nFor your mail program (no encryption: it never leaves this computer):")
    click.echo(f"   user name   {answer['user_name']}")
    click.echo("   password    was shown once, by postroad setup, and cannot be shown again")
    for way, door in (("incoming    IMAP", "imap_port"), ("outgoing    SMTP", "smtp_port")):
        if answer[door] is not None:
            click.echo(f"   {way}  127.0.0.1  port {answer[door]}")
    for kind, count in Counter(one["kind"] for one in answer["quarantine"]).items():
        click.echo(f"\n{_damage_in_words(kind, count)}")


def _damage_in_words(kind: str, count: int) -> str:
    """What of one kind stands in the quarantine, and what its owner can do."""
    are = "is" if count == 1 else "are"
    match kind:
        case "letter":
            return (
                f"{_number(count, 'letter')} that came in could not be opened and {are} set aside. "
                "If you miss a letter, ask its sender to send it again."
            )
        case "letter to send":
            return (
                f"{_number(count, 'letter')} of yours {are} damaged on this disk and cannot be "
                "sent. Check the disk, and send again what your queue does not get rid of."
            )
        case "parcel":
            return (
                f"{_number(count, 'entry', 'entries')} of your queue {are} damaged on this disk, "
                "so some letter of yours is not sent. Check the disk, and ask your recipients."
            )
        case "message":
            return (
                f"{_number(count, 'message')} in your folders {are} damaged on this disk; your "
                "mail program shows a note in place of each. Check the disk, and ask the senders."
            )
        case _:
            return f"{_number(count, 'thing')} of the kind {kind!r} {are} damaged and set aside."


def _holders_in_words(holders: int, wanted: int) -> str:
    if not holders:
        return (
            "Nobody holds letters for you while this computer is off: senders keep them and try "
            "again. Invite people; their nodes will hold for you."
        )
    if holders < wanted:
        keep = "holder of {} keeps" if holders == 1 else "holders of {} keep"
        return (
            f"{holders} {keep.format(wanted)} letters for you while you are away. "
            "With so few, letters may have to wait until their sender is on as well."
        )
    keep = "keeps" if holders == 1 else "keep"
    return f"{_number(holders, 'holder')} {keep} letters for you while you are away."


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
        reason = parcel["reason"] or "It is being sent."
        click.echo(f"   {reason} Next try {_wait_in_words(seconds)}.")


def _wait_in_words(seconds: int) -> str:
    if seconds == 0:
        return "now"
    for unit, size in (("hour", limits.HOUR), ("minute", limits.MINUTE)):
        if seconds >= size:
            return f"in {_number(round(seconds / size), unit)}"
    return f"in {_number(seconds, 'second')}"


def _number(count: int, noun: str, nouns: str = "") -> str:
    return f"{count or 'no'} {noun if count == 1 else nouns or noun + 's'}"


def _moment(at: float | None) -> str:
    if at is None:
        return "never"
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
