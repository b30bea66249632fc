"""What the command line says to a person about the network."""

from typing import Any

import click

from postroad.app import tables
from postroad.app.marks import mark
from postroad.app.telling import moment


def peers(answer: dict[str, Any]) -> None:
    if not answer["peers"]:
        click.echo("Nobody yet. Make an invitation with: postroad invite")
        return
    tables.show(
        ("name", "now", "letters"),
        [(one["name"], _how(one), holding(one)) for one in answer["peers"]],
        lambda row: f"{row[0]:<12}  {'; '.join(filter(None, row[1:]))}",
    )


def _how(person: dict[str, Any]) -> str:
    links = [node["link"] for node in person["nodes"] if node["link"] is not None]
    if links:
        return f"linked, {_way(links[0])}, {links[0]['round_trip_milliseconds']} ms"
    return f"last seen: {moment(person['seen_at'])}"


def holding(person: dict[str, Any]) -> str:
    if person["holds_for_us"] and person["we_hold_for_them"]:
        return "you hold letters for each other"
    if person["holds_for_us"]:
        return "holds letters for you"
    return "you hold letters for them" if person["we_hold_for_them"] else ""


def ping(answer: dict[str, Any]) -> None:
    click.echo(f"{answer['name']}'s node answers: {_way(answer)}, {answer['milliseconds']} ms.")


def _way(path: dict[str, Any]) -> str:
    return f"direct over {path['family']}" if path["direct"] else "relayed"


def netcheck(answer: dict[str, Any]) -> None:
    for one in answer["findings"]:
        click.echo(f"{mark(one['state'])} {one['summary']}")
        if one["next_step"]:
            click.echo(f"  {one['next_step']}")
    if answer["mapped_by_router"]:
        click.echo(f"+ Your router opened a port for you: {', '.join(answer['mapped_by_router'])}.")
