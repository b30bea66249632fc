"""What the command line says about letters that are under way, tried again, or given up."""

from typing import Any

import click

from postroad.app.telling import moment, number_of, pause_in_words
from postroad.base import limits

BAR_CELLS = 20


def queue(answer: dict[str, Any]) -> None:
    if not answer["queue"]:
        click.echo("No letter is waiting.")
        return
    if answer["paused"]:
        click.echo(f"Your node is paused. {pause_in_words(answer['paused_until'])}")
    for parcel in answer["queue"]:
        seconds = max(0, round(parcel["next_try_at"] - answer["now"]))
        click.echo(f"{parcel['id']}. To {parcel['recipient']}")
        bundled = parcel.get("bundled_at")
        if answer["paused"]:
            click.echo(f"   {parcel['reason'] or 'It has not been tried yet.'}")
        else:
            reason = parcel["reason"] or "It is being sent."
            click.echo(f"   {reason} Next try {_wait_in_words(seconds)}.")
            if parcel["advice"]:
                click.echo(f"   {parcel['advice']}")
        if bar := how_much(parcel):
            click.echo(f"   {bar}")
        if bundled is not None:
            click.echo(f"   It is also in a bundle, written on {moment(bundled)}.")


def how_much(letter: dict[str, Any]) -> str:
    """A bar of what has gone of a large letter that is being sent; else empty."""
    gone, size = letter.get("gone_bytes"), letter.get("sealed_bytes")
    if gone is None or not size:
        return ""
    full = BAR_CELLS * gone // size
    done, of = (f"{octets / limits.MIB:.1f}" for octets in (gone, size))
    return f"[{'#' * full}{'.' * (BAR_CELLS - full)}] {done} of {of} MiB"


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


def _wait_in_words(seconds: int) -> str:
    if seconds == 0:
        return "now"
    for unit, size in (("hour", limits.HOUR), ("minute", limits.MINUTE)):
        if seconds >= size:
            return f"in {number_of(round(seconds / size), unit)}"
    return f"in {number_of(seconds, 'second')}"
