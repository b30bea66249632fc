"""`postroad requests ...`: letters of strangers, and what you say to them."""

from collections.abc import Callable
from typing import Any

import click

from postroad.app import completing
from postroad.app import telling_requests as telling
from postroad.app.asking import as_json, ask_own, finish

named = click.argument("name", shell_complete=completing.requests)


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def requests(context: click.Context, json_wanted: bool) -> None:
    """List the letters of strangers that wait for your answer.

    They lie in the folder Requests of your mail program, too: moving one to INBOX accepts it, and
    deleting it leaves it unanswered."""
    if context.invoked_subcommand is None:
        _do(context, json_wanted, telling.requests, do="requests")


@requests.command()
@named
@as_json
@click.pass_context
def show(context: click.Context, name: str, json_wanted: bool) -> None:
    """Show the letter of NAME: a number from the list, an address, or its first part."""
    _do(context, json_wanted, telling.letter, do="request", name=name)


@requests.command()
@named
@as_json
@click.pass_context
def accept(context: click.Context, name: str, json_wanted: bool) -> None:
    """Make who wrote it a contact; the letter moves to your INBOX, and they are told."""
    _do(context, json_wanted, telling.accepted, do="accept request", name=name)


@requests.command()
@named
@click.option(
    "--silently/--answer",
    "silently",
    default=None,
    help="Whether they are told nothing, or that you do not want it; without, as configured.",
)
@as_json
@click.pass_context
def refuse(context: click.Context, name: str, silently: bool | None, json_wanted: bool) -> None:
    """Take the letter away, and let its writer know unless you keep silent."""
    _do(
        context,
        json_wanted,
        telling.refused,
        do="refuse request",
        name=name,
        silently=None if silently is None else int(silently),
    )


def _do(
    context: click.Context,
    json_wanted: bool,
    show_it: Callable[[dict[str, Any]], None],
    **request: str | int | None,
) -> None:
    finish(lambda: ask_own(context.obj.config, **request), json_wanted, show_it)
