"""`postroad policy`: which settings take effect, and who said so."""

from typing import Any

import click

from postroad.app import config as configuration
from postroad.app import policy as policies
from postroad.app.asking import as_json, finish
from postroad.app.policy_told import told


@click.command()
@as_json
@click.pass_context
def policy(context: click.Context, json_wanted: bool) -> None:
    """Show the settings that take effect, and what your administrator's policy makes of yours.

    Also while no node runs; one that runs keeps to the policy, or stops when it changes."""

    finish(lambda: told(context.obj.path, context.obj.config), json_wanted, _show)


def _show(answer: dict[str, Any]) -> None:
    if answer["policy"] is None:
        click.echo(
            f"This computer has no policy that says anything ({policies.PATH}): your configuration "
            "decides.\n"
        )
    else:
        click.echo(f"The policy of this computer is {answer['policy']}.\n")
    for one in answer["settings"]:
        source = {"default": "default", "configuration": "your configuration"}.get(one["source"])
        if source is None:
            source = f"POLICY; you wanted {_told(one['wanted'])}"
        elif one["bound"]:
            source += ", which the policy allows"
        click.echo(f"{one['key']:<27} {_told(one['value']):<34}  {source}")


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        all_there_are = list(value) == [configuration.ANYBODY]
        return "all" if all_there_are else ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else str(value)
