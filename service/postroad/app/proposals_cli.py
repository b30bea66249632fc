"""`postroad introduce` and `proposals ...`: two contacts come to know each other by a third."""

import click

from postroad.app import completing
from postroad.app import telling_proposals as telling
from postroad.app.asking import as_json, ask_own, finish, list_all


@click.command()
@click.argument("name", shell_complete=completing.contacts)
@click.argument("other", shell_complete=completing.contacts)
@as_json
@click.pass_context
def introduce(context: click.Context, name: str, other: str, json_wanted: bool) -> None:
    """Propose to your contacts NAME and OTHER that they write to each other.

    Each gets a letter with the other's address, and both have to say yes."""
    finish(
        lambda: ask_own(context.obj.config, do="introduce", name=name, other=other),
        json_wanted,
        telling.introduced,
    )


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def proposals(context: click.Context, json_wanted: bool) -> None:
    """List whom your contacts propose to you, and what became of it."""
    list_all(context, "proposals", json_wanted, telling.proposals)


@proposals.command()
@click.argument("id", shell_complete=completing.proposals)
@as_json
@click.pass_context
def accept(context: click.Context, id: str, json_wanted: bool) -> None:  # noqa: A002
    """Say yes to the proposal ID: when the other does so, too, you are contacts."""
    finish(
        lambda: ask_own(context.obj.config, do="accept proposal", id=id),
        json_wanted,
        telling.accepted,
    )


@proposals.command()
@click.argument("id", shell_complete=completing.proposals)
@as_json
@click.pass_context
def decline(context: click.Context, id: str, json_wanted: bool) -> None:  # noqa: A002
    """Say no to the proposal ID; the introducer does not hear of it."""
    finish(
        lambda: ask_own(context.obj.config, do="decline proposal", id=id),
        json_wanted,
        telling.declined,
    )
