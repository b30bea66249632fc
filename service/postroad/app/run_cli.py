"""`postroad run`: the node itself, in the foreground.

A module of its own, because all that is imported here stays with the node for as long as it runs.
"""

from typing import Any

import click

from postroad.app import telling, telling_keys
from postroad.app.asking import finish
from postroad.app.config import Config


@click.command()
@click.pass_obj
def run(place: Any) -> None:
    """Run your node in the foreground, until Ctrl-C."""
    from postroad.app import lifecycle
    from postroad.app import policy as policies

    def load() -> tuple[Config, policies.Policy]:
        policy = policies.load()
        return place.config, policy

    def work() -> dict[str, Any]:
        lifecycle.run(load, place.path, telling.ready, telling_keys.locked)
        return {}

    finish(work, False, lambda _: None)
