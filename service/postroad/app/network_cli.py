"""`postroad peers`, `helpers`, `netcheck`, `pause` and `resume`: the node on the network."""

from typing import Any

import click

from postroad.app import completing, telling, telling_network
from postroad.app.asking import as_json, ask_own, finish, seconds_of


@click.command()
@click.option("--for", "duration", metavar="TIME", help="How long, like 30m, 2h or 1d.")
@as_json
@click.pass_obj
def pause(place: Any, duration: str | None, json_wanted: bool) -> None:
    """Take your node off the network, until `postroad resume` or for a TIME.

    You can still read and write; letters wait on both sides."""
    finish(
        lambda: ask_own(place.config, do="pause", seconds=seconds_of(duration)),
        json_wanted,
        telling.pause,
    )


@click.command()
@as_json
@click.pass_obj
def resume(place: Any, json_wanted: bool) -> None:
    """End a pause: what waited is sent and fetched at once."""
    finish(lambda: ask_own(place.config, do="resume"), json_wanted, telling.resumption)


@click.group("helpers", invoke_without_command=True)
@as_json
@click.pass_context
def helpers(context: click.Context, json_wanted: bool) -> None:
    """List the helpers that serve you; `accept` adds one."""
    if context.invoked_subcommand is None:
        place: Any = context.obj
        finish(lambda: ask_own(place.config, do="helpers"), json_wanted, telling.helpers)


@helpers.command("remove")
@click.argument("name", shell_complete=completing.helpers)
@as_json
@click.pass_obj
def remove_helper(place: Any, name: str, json_wanted: bool) -> None:
    """Be served by the helper NAME no more."""
    finish(
        lambda: ask_own(place.config, do="remove helper", name=name),
        json_wanted,
        lambda _answer: telling.helper_removed(name),
    )


@click.group("peers", invoke_without_command=True)
@as_json
@click.pass_context
def peers(context: click.Context, json_wanted: bool) -> None:
    """List the nodes of your contacts: how they are reached, and who holds for whom."""
    place: Any = context.obj
    if context.invoked_subcommand is None:
        finish(lambda: ask_own(place.config, do="peers"), json_wanted, telling_network.peers)


@peers.command("ping")
@click.argument("name", shell_complete=completing.contacts)
@as_json
@click.pass_obj
def ping(place: Any, name: str, json_wanted: bool) -> None:
    """Try to reach the node of the contact NAME: direct or relayed, and how far."""
    finish(lambda: ask_own(place.config, do="ping", name=name), json_wanted, telling_network.ping)


@click.command()
@as_json
@click.pass_obj
def netcheck(place: Any, json_wanted: bool) -> None:
    """Tell what is open between you and others, what is blocked, and what that means."""
    finish(lambda: ask_own(place.config, do="netcheck"), json_wanted, telling_network.netcheck)
