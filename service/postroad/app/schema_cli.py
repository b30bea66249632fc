"""`postroad schema`: the form of an answer, as a JSON Schema."""

import json
from typing import Any

import click

from postroad.app import shapes
from postroad.app.answers import ANSWERS, ERROR
from postroad.app.asking import Misused, finish


@click.command()
@click.argument("command", nargs=-1)
def schema(command: tuple[str, ...]) -> None:
    """Print the JSON Schema of what COMMAND answers with --json; of an error without COMMAND.

    Within one version fields may be added, and none goes or changes its meaning."""

    def work() -> dict[str, Any]:
        name = " ".join(command)
        variants = ANSWERS.get(name) if name else (ERROR,)
        if variants is None:
            raise Misused(f"There is no answer of: postroad {name}. See: postroad --help")
        return shapes.schema(variants, f"postroad {name} --json" if name else "an error")

    finish(work, False, lambda found: click.echo(json.dumps(found, indent=2)))
