"""`postroad test-letter`: a letter in one's own INBOX, to see that a mail program reads it."""

from typing import Any

import click

from postroad.app.asking import as_json, ask_own, finish
from postroad.app.tongue import _


@click.command("test-letter")
@as_json
@click.pass_context
def test_letter(context: click.Context, json_wanted: bool) -> None:
    """Put a letter into your own INBOX, to see that your mail program reads it.

    It never leaves this computer."""
    finish(lambda: ask_own(context.obj.config, do="test letter"), json_wanted, _tell)


def _tell(answer: dict[str, Any]) -> None:
    said = _("A letter is in your {mailbox} now. Does your mail program show it?")
    click.echo(said.format(mailbox=answer["mailbox"]))
