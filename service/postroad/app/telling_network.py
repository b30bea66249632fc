"""What the command line says to a person about the network."""

from typing import Any

import click

from postroad.app import tables
from postroad.app.marks import mark
from postroad.app.telling import last_seen
from postroad.app.tongue import _, number, retold


def peers(answer: dict[str, Any]) -> None:
    if not answer["peers"]:
        click.echo(_("Nobody yet. Make an invitation with: postroad invite"))
        return
    tables.show(
        (_("name"), _("now"), _("letters")),
        [(one["name"], _how(one), holding(one)) for one in answer["peers"]],
        lambda row: f"{row[0]:<12}  {'; '.join(filter(None, row[1:]))}",
    )


def _how(person: dict[str, Any]) -> str:
    links = [node["link"] for node in person["nodes"] if node["link"] is not None]
    if links:
        ms = number(links[0]["round_trip_milliseconds"], 1)
        return _("linked, {way}, {ms} ms").format(way=_way(links[0]), ms=ms)
    return last_seen(person["seen_at"])


def holding(person: dict[str, Any]) -> str:
    if person["holds_for_us"] and person["we_hold_for_them"]:
        return _("you hold letters for each other")
    if person["holds_for_us"]:
        return _("holds letters for you")
    return _("you hold letters for them") if person["we_hold_for_them"] else ""


def ping(answer: dict[str, Any]) -> None:
    said = _("{name}'s node answers: {way}, {ms} ms.")
    click.echo(
        said.format(name=answer["name"], way=_way(answer), ms=number(answer["milliseconds"], 1))
    )


def _way(path: dict[str, Any]) -> str:
    if path["direct"]:
        return _("direct over {family}").format(family=path["family"])
    return _("relayed")


def netcheck(answer: dict[str, Any]) -> None:
    for one in answer["findings"]:
        click.echo(f"{mark(one['state'])} {retold(one, 'summary')}")
        if one["next_step"]:
            click.echo(f"  {retold(one, 'next_step')}")
    if answer["mapped_by_router"]:
        said = _("Your router opened a port for you: {places}.")
        click.echo(f"+ {said.format(places=', '.join(answer['mapped_by_router']))}")
