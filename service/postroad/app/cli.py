"""The command line: `postroad setup`, `run`, `invite`, `accept`, `status`, `pause` and so on.

Exit codes: 0 ok, 1 failed, 2 usage, 3 the node is not running, 4 not set up. With --json nothing is
asked, and the answer is one JSON object on stdout, a failure likewise: {"error": "a sentence"}.
Only a command that cannot be understood (exit code 2) is told by click, in words on stderr. Where
`setup` cannot keep its keys after it showed them, the answer is out already: the sentence is on
stderr, the exit code is 1, and what was shown counts for nothing.
"""

# Most commands only ask the running node; the two that need a node import what it is made of.
import json
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import click

from postroad import __version__
from postroad.app import config as configuration
from postroad.app import telling
from postroad.app.config import LINKS, Config
from postroad.app.owners_file import ReadFile, WrittenFile, converse
from postroad.base import limits
from postroad.base.errors import ConfigurationError, NotSetUp, PostroadError

FAILED, NOT_RUNNING, NOT_SET_UP = 1, 3, 4
WAIT_SECONDS_MAX = limits.CONTROL_SECONDS_MAX + 5  # the node's own word comes first
WORDS_BYTES_MAX = 4096

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

    def prepare() -> dict[str, Any]:
        config = configuration.load(place.path)  # it need not be there yet
        if data is not None:
            config = replace(config, data=data.absolute())
        if link is not None:
            config = replace(config, link=link)
        chosen = name or _ask_for_name(json_wanted)
        words = _ask_for_words(json_wanted) if restore else None
        made = until_shown.enter_context(
            setting_up.set_up(place.path, config, chosen, words, SystemClock(), SystemEntropy())
        )
        return {
            "address": str(made.address),
            "words": made.words,
            "password": made.password,
            "smtp_port": made.config.smtp_port,
            "imap_port": made.config.imap_port,
        }

    def settle() -> dict[str, Any]:
        until_shown.pop_all().close()
        return {}

    with ExitStack() as until_shown:
        _finish(prepare, json_wanted, telling.setup)
        _finish(settle, False, lambda _: None)  # an error here is told beside the answer


@main.command()
@click.pass_obj
def run(place: _Place) -> None:
    """Run your node in the foreground, until Ctrl-C."""
    from postroad.app import lifecycle, log

    def work() -> dict[str, Any]:
        config = place.config
        log.start(config.log_level)
        lifecycle.run(config, place.path, telling.ready)
        return {}

    _finish(work, False, lambda _: None)


@main.command()
@as_json
@click.pass_obj
def invite(place: _Place, json_wanted: bool) -> None:
    """Make an invitation for one person, to send them by any way you trust."""
    _finish(lambda: _ask(place.config, do="invite"), json_wanted, telling.invitation)


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
        telling.acceptance,
    )


@main.command()
@as_json
@click.pass_obj
def status(place: _Place, json_wanted: bool) -> None:
    """Tell how your node is doing."""
    _finish(lambda: _ask(place.config, do="status"), json_wanted, telling.status)


@main.command()
@as_json
@click.pass_obj
def contacts(place: _Place, json_wanted: bool) -> None:
    """List the people you can write to."""
    _finish(lambda: _ask(place.config, do="contacts"), json_wanted, telling.contacts)


@main.command()
@as_json
@click.pass_obj
def queue(place: _Place, json_wanted: bool) -> None:
    """List the letters that are on their way, and what they wait for."""
    _finish(lambda: _ask(place.config, do="queue"), json_wanted, telling.queue)


@main.command()
@click.option("--for", "duration", metavar="TIME", help="How long, like 30m, 2h or 1d.")
@as_json
@click.pass_obj
def pause(place: _Place, duration: str | None, json_wanted: bool) -> None:
    """Take your node off the network, until `postroad resume` or for a TIME.

    You can still read and write; letters wait on both sides."""
    _finish(
        lambda: _ask(place.config, do="pause", seconds=_seconds(duration)),
        json_wanted,
        telling.pause,
    )


@main.command()
@as_json
@click.pass_obj
def resume(place: _Place, json_wanted: bool) -> None:
    """End a pause: what waited is sent and fetched at once."""
    _finish(lambda: _ask(place.config, do="resume"), json_wanted, telling.resumption)


@main.group()
def bundle() -> None:
    """Carry letters by hand: as a file, on a stick or by any other way."""


@bundle.command("write")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--for", "name", metavar="NAME", help="Only what waits for this contact.")
@click.option("--invite", is_flag=True, help="With an invitation for whoever reads it first.")
@as_json
@click.pass_obj
def write_bundle(
    place: _Place, file: Path, name: str | None, invite: bool, json_wanted: bool
) -> None:
    """Write all letters and receipts that wait into FILE.

    They go on waiting, and being tried, until a receipt comes by whatever way. Letters in it are
    sealed: whoever carries it can read none."""

    def work() -> dict[str, Any]:
        return _write_bundle(place.config, file, {"for": name, "invite": invite})

    _finish(work, json_wanted, lambda answer: telling.bundle_written(answer, file))


@bundle.command("read")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--answer",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what should go back to its author into this file.",
)
@click.option("--accept", is_flag=True, help="Accept an invitation that is in it.")
@as_json
@click.pass_obj
def read_bundle(
    place: _Place, file: Path, answer: Path | None, accept: bool, json_wanted: bool
) -> None:
    """Take in what FILE brings: letters for you, receipts for yours. Reading twice is harmless."""

    def work() -> dict[str, Any]:
        config = place.config
        if answer is not None and answer.exists():
            WrittenFile(answer)  # raises: before anything is done
        with ReadFile(file) as opened:
            found = _ask(config, opened, do="bundle read", accept=accept)
        found["answer"] = None
        if answer is not None and found["author"] is not None:
            back = {"for": found["author"], "invite": False, "if_any": True}
            found["answer"] = _write_bundle(config, answer, back)
        return found

    _finish(work, json_wanted, lambda found: telling.bundle_read(found, file, answer))


# How it is done


def _write_bundle(config: Config, file: Path, request: dict[str, Any]) -> dict[str, Any]:
    with WrittenFile(file) as opened:
        return _ask(config, opened, do="bundle write", **request)


def _seconds(duration: str | None) -> int | None:
    """How long that is; ConfigurationError when it is no time."""
    if duration is None:
        return None
    units = {"m": limits.MINUTE, "h": limits.HOUR, "d": limits.DAY}
    number, unit = duration[:-1], duration[-1:]
    if not (number.isascii() and number.isdigit() and len(number) <= 6 and unit in units):
        raise ConfigurationError(f"{duration!r} is no time. Say it like 30m, 2h or 1d.")
    return int(number) * units[unit]


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


def _answer(
    connection: socket.socket, line: bytes, file: WrittenFile | ReadFile | None
) -> dict[str, Any]:
    try:
        if file is not None:
            return converse(connection, line, file)
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


def _ask_for_link() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline(limits.CONTROL_LINE_BYTES_MAX).strip()
    return str(click.prompt("The invitation (it begins with postroad:)", err=True))


def _ask(
    config: Config, file: WrittenFile | ReadFile | None = None, **request: str | int | None
) -> dict[str, Any]:
    """What the running node answers to this request; `file`: what it is to write or read."""
    path = config.control_path
    line = json.dumps(request).encode() + b"\n"
    assert len(line) <= limits.CONTROL_LINE_BYTES_MAX
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(WAIT_SECONDS_MAX)
            connection.connect(str(path))
            answer = _answer(connection, line, file)
    except OSError as error:
        if not config.is_set_up:
            raise NotSetUp from error
        raise _NotRunning from error
    if not answer.pop("ok"):
        raise PostroadError(answer["error"])
    return dict(answer)
