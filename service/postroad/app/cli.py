"""The command line: `postroad setup`, `run`, `invite`, `accept`, `status`, `pause` and so on.

Exit codes: 0 ok, 1 failed, 2 usage, 3 the node is not running, 4 not set up, 5 the keys are locked.
With --json nothing is asked, and the answer is one JSON object on stdout, a failure likewise:
{"version": 1, "error": "a sentence"}.
"""

# Most commands only ask the running node; the two that need a node import what it is made of.
import io
import sys
from pathlib import Path
from typing import Any

import click

from postroad import __version__
from postroad.app import config as configuration
from postroad.app import telling, telling_keys, telling_network
from postroad.app.asking import (
    FAILED,
    Misused,
    as_json,
    fail,
    finish,
    line_of_stdin,
    seconds_in,
)
from postroad.app.asking import ask_own as _ask
from postroad.app.audit_cli import audit
from postroad.app.backup_cli import backup
from postroad.app.bundle_cli import bundle
from postroad.app.config import Config
from postroad.app.config_cli import config
from postroad.app.contacts_cli import contacts, invitations, verify
from postroad.app.doctor_cli import doctor
from postroad.app.health_cli import statistics, status
from postroad.app.helper_cli import helper
from postroad.app.identity_cli import devices, identity, revoke
from postroad.app.keys_cli import keys, unlock
from postroad.app.log_cli import log_command
from postroad.app.mail_client_cli import mail_client
from postroad.app.password_cli import password
from postroad.app.policy_cli import policy
from postroad.app.program import Program
from postroad.app.proposals_cli import introduce, proposals
from postroad.app.queue_cli import queue
from postroad.app.requests_cli import requests
from postroad.app.schema_cli import schema
from postroad.app.service_cli import service
from postroad.app.setup_cli import setup
from postroad.app.store_cli import store
from postroad.app.version_cli import version
from postroad.app.watch_cli import watch
from postroad.base.errors import ConfigurationError, NotToBeHad
from postroad.machine import hardening


class _Place:
    """Where this invocation finds its configuration."""

    def __init__(self, named: Path | None) -> None:
        self._named = named

    @property
    def path(self) -> Path:
        return self._named or configuration.default_path()  # a helper's user has no home

    @property
    def config(self) -> Config:
        """Raises ConfigurationError also when the file was named and is not there."""
        if self._named is not None and not self.path.exists():
            raise ConfigurationError(
                f"There is no file {self.path}. Check its name, or make it with: "
                f"postroad --config {self.path} setup --name YOURNAME"
            )
        return configuration.load(self.path)


def program() -> None:
    """`postroad`, as it is started; `main` is what it does, and leaves the process as it is."""
    try:
        hardening.keep_memory_private()
    except NotToBeHad as error:
        fail(str(error), FAILED, json_wanted=False)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that a terminal cannot show ends nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    main(prog_name="postroad")


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
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
@click.pass_obj
def run(place: _Place) -> None:
    """Run your node in the foreground, until Ctrl-C."""
    from postroad.app import lifecycle
    from postroad.app import policy as policies

    def load() -> tuple[Config, policies.Policy]:
        policy = policies.load()
        return place.config, policy

    def work() -> dict[str, Any]:
        lifecycle.run(load, place.path, telling.ready, telling_keys.locked)
        return {}

    finish(work, False, lambda _: None)


@main.command()
@click.option("--qr", is_flag=True, help="Show it as a QR code too, for a camera nearby.")
@click.option("--expires", metavar="TIME", help="How long it works, like 2h or 7d; else 14d.")
@click.option("--name", help="For whom it is: what you will call them.")
@as_json
@click.pass_obj
def invite(
    place: _Place, qr: bool, expires: str | None, name: str | None, json_wanted: bool
) -> None:
    """Make an invitation for one person, to send them by any way you trust."""

    def show(answer: dict[str, Any]) -> None:
        telling.invitation(answer)
        if qr:
            click.echo(telling.qr(answer["link"]))

    finish(
        lambda: _ask(place.config, do="invite", seconds=_seconds(expires), name=name),
        json_wanted,
        show,
    )


@main.command()
@click.argument("link", required=False)
@as_json
@click.pass_obj
def accept(place: _Place, link: str | None, json_wanted: bool) -> None:
    """Accept the invitation LINK of a person or a helper; without LINK, it is asked for.

    Other users of this computer can see what is typed after a command, so prefer to be asked."""
    finish(
        lambda: _ask(place.config, do="accept", link=link or _ask_for_link()),
        json_wanted,
        telling.acceptance,
    )


@main.command()
@click.option("--for", "duration", metavar="TIME", help="How long, like 30m, 2h or 1d.")
@as_json
@click.pass_obj
def pause(place: _Place, duration: str | None, json_wanted: bool) -> None:
    """Take your node off the network, until `postroad resume` or for a TIME.

    You can still read and write; letters wait on both sides."""
    finish(
        lambda: _ask(place.config, do="pause", seconds=_seconds(duration)),
        json_wanted,
        telling.pause,
    )


@main.command()
@as_json
@click.pass_obj
def resume(place: _Place, json_wanted: bool) -> None:
    """End a pause: what waited is sent and fetched at once."""
    finish(lambda: _ask(place.config, do="resume"), json_wanted, telling.resumption)


@main.group("helpers", invoke_without_command=True)
@as_json
@click.pass_context
def helpers(context: click.Context, json_wanted: bool) -> None:
    """List the helpers that serve you; `accept` adds one."""
    if context.invoked_subcommand is None:
        place: _Place = context.obj
        finish(lambda: _ask(place.config, do="helpers"), json_wanted, telling.helpers)


@helpers.command("remove")
@click.argument("name")
@as_json
@click.pass_obj
def remove_helper(place: _Place, name: str, json_wanted: bool) -> None:
    """Be served by the helper NAME no more."""
    finish(
        lambda: _ask(place.config, do="remove helper", name=name),
        json_wanted,
        lambda _: click.echo(f"{name} is no helper of yours any more."),
    )


main.add_command(setup)
main.add_command(status)
main.add_command(statistics)
main.add_command(watch)
main.add_command(helper)
main.add_command(config)
main.add_command(doctor)
main.add_command(service)
main.add_command(bundle)
main.add_command(queue)
main.add_command(log_command)
main.add_command(mail_client)
main.add_command(password)
main.add_command(store)
main.add_command(backup)
main.add_command(version)
main.add_command(schema)
main.add_command(audit)
main.add_command(keys)
main.add_command(unlock)
main.add_command(contacts)
main.add_command(requests)
main.add_command(verify)
main.add_command(policy)
main.add_command(invitations)
main.add_command(devices)
main.add_command(identity)
main.add_command(revoke)
main.add_command(introduce)
main.add_command(proposals)


@main.group("peers", invoke_without_command=True)
@as_json
@click.pass_context
def peers(context: click.Context, json_wanted: bool) -> None:
    """List the nodes of your contacts: how they are reached, and who holds for whom."""
    place: _Place = context.obj
    if context.invoked_subcommand is None:
        finish(lambda: _ask(place.config, do="peers"), json_wanted, telling_network.peers)


@peers.command("ping")
@click.argument("name")
@as_json
@click.pass_obj
def ping(place: _Place, name: str, json_wanted: bool) -> None:
    """Try to reach the node of the contact NAME: direct or relayed, and how far."""
    finish(lambda: _ask(place.config, do="ping", name=name), json_wanted, telling_network.ping)


@main.command()
@as_json
@click.pass_obj
def netcheck(place: _Place, json_wanted: bool) -> None:
    """Tell what is open between you and others, what is blocked, and what that means."""
    finish(lambda: _ask(place.config, do="netcheck"), json_wanted, telling_network.netcheck)


# How it is done


def _seconds(duration: str | None) -> int | None:
    """How long that is; Misused when it is no time."""
    if duration is None:
        return None
    seconds = seconds_in(duration)
    if seconds is None:
        raise Misused(f"{duration!r} is no time. Say it like 30m, 2h or 1d.")
    return seconds


def _ask_for_link() -> str:
    if not sys.stdin.isatty():
        return line_of_stdin("The link").strip()
    asked = "The invitation, or the link to a helper (it begins with postroad)"
    return str(click.prompt(asked, err=True))
