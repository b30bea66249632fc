"""`postroad invite` and `accept`: how two people become contacts."""

import sys
from typing import Any

import click

from postroad.app import telling
from postroad.app.asking import as_json, ask_own, finish, line_of_stdin, seconds_of
from postroad.app.tongue import _


@click.command()
@click.option("--qr", is_flag=True, help="Show it as a QR code too, for a camera nearby.")
@click.option("--expires", metavar="TIME", help="How long it works, like 2h or 7d; else 14d.")
@click.option("--name", help="For whom it is: what you will call them.")
@as_json
@click.pass_obj
def invite(
    place: Any, qr: bool, expires: str | None, name: str | None, json_wanted: bool
) -> None:
    """Make an invitation for one person, to send them by any way you trust."""

    def show(answer: dict[str, Any]) -> None:
        telling.invitation(answer)
        if qr:
            click.echo(telling.qr(answer["link"]))

    finish(
        lambda: ask_own(place.config, do="invite", seconds=seconds_of(expires), name=name),
        json_wanted,
        show,
    )


@click.command()
@click.argument("link", required=False)
@as_json
@click.pass_obj
def accept(place: Any, link: str | None, json_wanted: bool) -> None:
    """Accept the invitation LINK of a person or a helper; without LINK, it is asked for.

    Other users of this computer can see what is typed after a command, so prefer to be asked."""
    finish(
        lambda: ask_own(place.config, do="accept", link=link or _ask_for_link()),
        json_wanted,
        telling.acceptance,
    )


def _ask_for_link() -> str:
    if not sys.stdin.isatty():
        return line_of_stdin("The link").strip()
    asked = _("The invitation, or the link to a helper (it begins with postroad)")
    return str(click.prompt(asked, err=True))
