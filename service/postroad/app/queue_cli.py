"""`postroad queue ...`: the letters that are on their way, and what to do about one of them."""

from typing import Any

import click

from postroad.app import completing
from postroad.app import telling_queue as telling
from postroad.app.asking import as_json, ask_own, finish


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def queue(context: click.Context, json_wanted: bool) -> None:
    """List the letters that are on their way, and what they wait for."""
    if context.invoked_subcommand is None:
        finish(lambda: ask_own(context.obj.config, do="queue"), json_wanted, telling.queue)


@queue.command()
@click.argument("id", shell_complete=completing.letters_or_all)
@as_json
@click.pass_context
def retry(context: click.Context, id: str, json_wanted: bool) -> None:  # noqa: A002
    """Try the letter ID, a number from the list, or `all`, now.

    Your node tries by itself, ever less often: this is for when you know that they are on."""
    _do(context, json_wanted, "retry parcel", id, telling.tried)


@queue.command()
@click.argument("id", shell_complete=completing.letters)
@as_json
@click.pass_context
def cancel(context: click.Context, id: str, json_wanted: bool) -> None:  # noqa: A002
    """Give up the letter ID, a number from the list: it is sent no more, and does not come back.

    What holders or the recipient have of it by then, nobody can take back."""
    _do(context, json_wanted, "cancel parcel", id, telling.cancelled)


def _do(context: click.Context, json_wanted: bool, what: str, id: str, show: Any) -> None:  # noqa: A002
    finish(lambda: ask_own(context.obj.config, do=what, id=id), json_wanted, show)
