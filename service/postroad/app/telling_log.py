"""What the command line says of the log."""

from datetime import UTC, datetime
from typing import Any

import click

from postroad.app.log import in_one_line


def lines(answer: dict[str, Any], parcel: str | None) -> None:
    for one in answer["lines"]:
        line(one)
    if not answer["lines"]:
        if parcel is None:
            click.echo(
                "The journal has nothing of your node. One that runs in a terminal (postroad run) "
                "tells its log there."
            )
        else:
            click.echo(f"The journal has nothing of a letter {parcel}, or not any more.")


def line(one: dict[str, Any]) -> None:
    at = datetime.fromtimestamp(one["at"], UTC).astimezone()
    level = "" if one["level"] in ("info", "debug") else f"{one['level'].upper()} "
    first, *others = one.get("text", "").split("\n")
    click.echo(f"{at:%Y-%m-%d %H:%M:%S} {level}{in_one_line(first)}")
    for each in others:
        click.echo(f"  {in_one_line(each)}")
