"""What the command line says about letters that are under way, tried again, or given up."""

from typing import Any

import click

from postroad.app.telling import moment, pause_in_words
from postroad.app.tongue import _, many, number, retold
from postroad.base import limits

BAR_CELLS = 20


def queue(answer: dict[str, Any]) -> None:
    if not answer["queue"]:
        click.echo(_("No letter is waiting."))
        return
    if answer["paused"]:
        paused = _("Your node is paused.")
        click.echo(f"{paused} {pause_in_words(answer['paused_until'])}")
    for parcel in answer["queue"]:
        seconds = max(0, round(parcel["next_try_at"] - answer["now"]))
        to = _("{id}. To {recipient}")
        click.echo(to.format(id=parcel["id"], recipient=parcel["recipient"]))
        bundled = parcel.get("bundled_at")
        if answer["paused"]:
            reason = retold(parcel, "reason") or _("It has not been tried yet.")
            click.echo(f"   {reason}")
        else:
            reason = retold(parcel, "reason") or _("It is being sent.")
            click.echo(f"   {reason} {_next_try(seconds)}")
            if parcel["advice"]:
                click.echo(f"   {retold(parcel, 'advice')}")
        if bar := how_much(parcel):
            click.echo(f"   {bar}")
        if bundled is not None:
            said = _("It is also in a bundle, written on {time}.")
            click.echo(f"   {said.format(time=moment(bundled))}")


def how_much(letter: dict[str, Any]) -> str:
    """A bar of what has gone of a large letter that is being sent; else empty."""
    gone, size = letter.get("gone_bytes"), letter.get("sealed_bytes")
    if gone is None or not size:
        return ""
    full = BAR_CELLS * gone // size
    done, of = (number(octets / limits.MIB, 1) for octets in (gone, size))
    said = _("{done} of {all} MiB").format(done=done, all=of)
    return f"[{'#' * full}{'.' * (BAR_CELLS - full)}] {said}"


def tried(answer: dict[str, Any]) -> None:
    if not answer["tried"]:
        click.echo(_("No letter is waiting."))
    for one in answer["tried"]:
        said = _("The letter to {recipient} is being tried. See: postroad queue")
        click.echo(said.format(recipient=one["recipient"]))


def cancelled(answer: dict[str, Any]) -> None:
    said = _("The letter to {recipient} is given up, and is sent no more.")
    click.echo(said.format(recipient=answer["recipient"]))
    if not answer["has_left"]:
        click.echo(_("It had not left this computer."))
        return
    if answer["holders"]:
        said = many(
            "{n} holder of theirs keeps a sealed copy. Only the recipient can take it away from "
            "it, and may have done so: they can read the letter until {time}.",
            "{n} holders of theirs keep a sealed copy. Only the recipient can take it away from "
            "them, and may have done so: they can read the letter until {time}.",
            answer["holders"],
        )
    else:
        said = _(
            "Nobody has said that they have it. But if an answer was lost on the way, its "
            "recipient, or a holder of theirs, has a copy that can be read until {time}."
        )
    click.echo(said.format(time=moment(answer["readable_until"])))


def _next_try(seconds: int) -> str:
    if seconds == 0:
        return _("Next try now.")
    if seconds >= limits.HOUR:
        hours = round(seconds / limits.HOUR)
        return many("Next try in {n} hour.", "Next try in {n} hours.", hours)
    if seconds >= limits.MINUTE:
        minutes = round(seconds / limits.MINUTE)
        return many("Next try in {n} minute.", "Next try in {n} minutes.", minutes)
    return many("Next try in {n} second.", "Next try in {n} seconds.", seconds)
