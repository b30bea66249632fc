"""What the command line says about letters that were tried again or given up."""

from typing import Any

import click

from postroad.app.telling import moment


def tried(answer: dict[str, Any]) -> None:
    if not answer["tried"]:
        click.echo("No letter is waiting.")
    for one in answer["tried"]:
        click.echo(f"The letter to {one['recipient']} is being tried. See: postroad queue")


def cancelled(answer: dict[str, Any]) -> None:
    click.echo(f"The letter to {answer['recipient']} is given up, and is sent no more.")
    if not answer["has_left"]:
        click.echo("It had not left this computer.")
        return
    until = moment(answer["readable_until"])
    holders = answer["holders"]
    if holders:
        keep = "1 holder of theirs keeps" if holders == 1 else f"{holders} holders of theirs keep"
        them = "it" if holders == 1 else "them"
        click.echo(
            f"{keep} a sealed copy. Only the recipient can take it away from {them}, and may have "
            f"done so: they can read the letter until {until}."
        )
    else:
        click.echo(
            "Nobody has said that they have it. But if an answer was lost on the way, its "
            f"recipient, or a holder of theirs, has a copy that can be read until {until}."
        )
