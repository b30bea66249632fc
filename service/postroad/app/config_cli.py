"""`postroad config ...`: a sample, what is wrong with yours, and a running node takes it over."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from postroad.app import config as configuration
from postroad.app import keeper
from postroad.app import policy as policies
from postroad.app.asking import as_json, ask_own, finish
from postroad.base.errors import ConfigurationError
from postroad.protocol import starting
from postroad.protocol.starting import Keeper


@click.group()
def config() -> None:
    """Show, check and reload your configuration; `postroad policy` shows what takes effect."""


@config.command()
@as_json
def sample(json_wanted: bool) -> None:
    """Print a configuration that says nothing yet, and tells of every key there is."""
    finish(
        lambda: {"text": configuration.sample()},
        json_wanted,
        lambda answer: click.echo(answer["text"], nl=False),
    )


@config.command()
@click.argument("file", required=False, type=click.Path(dir_okay=False, path_type=Path))
@as_json
@click.pass_context
def check(context: click.Context, file: Path | None, json_wanted: bool) -> None:
    """Tell all that is wrong with FILE, or with your configuration; exit code 1 if something is.

    Nothing is started or changed."""
    finish(
        lambda: checked(file or context.obj.path, must_be_there=file is not None),
        json_wanted,
        _show_check,
        is_good=lambda answer: bool(answer["good"]),
    )


@config.command()
@as_json
@click.pass_context
def reload(context: click.Context, json_wanted: bool) -> None:
    """Have your running node take over your configuration; no mail program is disconnected.

    With a mistake in it nothing changes, and the exit code is 1."""

    def work() -> dict[str, Any]:
        try:
            asked = context.obj.config
        except ConfigurationError:
            # The node has to hear of it all the same; where it listens is not for this file to say.
            asked = known(context.obj.path)
        answer = ask_own(asked, do="reload")
        assert context.obj.config  # a node that waits has not read it yet
        return answer

    def show(answer: dict[str, Any]) -> None:
        _show_reload(answer, keeper.of(known(context.obj.path).control_path))

    finish(work, json_wanted, show)


def known(path: Path) -> configuration.Config:
    """What the file says as far as it can be understood."""
    try:
        return configuration.looked_through(path)[0]
    except ConfigurationError:
        return configuration.default()


def checked(path: Path, *, must_be_there: bool) -> dict[str, Any]:
    """What is wrong with this file; ConfigurationError when it cannot be read at all."""
    if must_be_there and not path.exists():
        raise ConfigurationError(f"There is no file {path}. Check its name.")
    found, mistakes = configuration.looked_through(path)
    narrowed = [] if mistakes else policies.narrowed_keys(found, policies.load())
    return {
        "file": str(path),
        "good": not mistakes,
        "mistakes": [{**asdict(one), "says": f"{one}."} for one in mistakes],
        "narrowed": narrowed,
        "keys": list(configuration.KEYS),
    }


def _show_check(answer: dict[str, Any]) -> None:
    for one in answer["mistakes"]:
        click.echo(f"{answer['file']}: {one['says']}")
    if any(one["key"] not in answer["keys"] for one in answer["mistakes"]):
        click.echo(f"The keys are: {', '.join(answer['keys'])}.")
    if answer["mistakes"]:
        click.echo("Mend that, then type again: postroad config check")
    else:
        click.echo(f"{answer['file']} is good.")
    for key in answer["narrowed"]:
        click.echo(f"{key}: the policy of this computer allows less. See: postroad policy")


def _show_reload(answer: dict[str, Any], kept: Keeper) -> None:
    if answer["changed"]:
        click.echo(f"Your node goes by it now: {', '.join(answer['changed'])}.")
    elif not answer["after_restart"]:
        click.echo("Your node goes by all of it already.")
    if answer["after_restart"]:
        click.echo(
            f"What waits for a new start of your node: {', '.join(answer['after_restart'])}. To "
            f"start it again, {starting.in_words(kept, answer['after_restart'])}"
        )
