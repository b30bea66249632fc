"""`postroad service ...`: the node as a service of its user's systemd, and `setup`'s part in it."""

from typing import Any

import click

from postroad.app import config as configuration
from postroad.app import policy as policies
from postroad.app import service as services
from postroad.app import telling_service
from postroad.app.asking import as_json, finish
from postroad.app.config import Config
from postroad.base.errors import ConfigurationError, NotSetUp


@click.group()
def service() -> None:
    """Run your node as a service: it starts by itself, and again if it fails."""


@service.command()
@as_json
@click.pass_obj
def enable(place: Any, json_wanted: bool) -> None:
    """Start your node now and whenever you log in; also after ports were changed."""
    finish(lambda: enabled(own_config(place)), json_wanted, telling_service.enabled)


@service.command()
@as_json
@click.pass_obj
def disable(place: Any, json_wanted: bool) -> None:
    """Stop your node, now and for good; your mail and your keys stay where they are."""

    def work() -> dict[str, Any]:
        services.disable()
        config = own_config(place)
        return {"data": str(config.data), "set_up": config.is_set_up}

    finish(work, json_wanted, telling_service.disabled)


@service.command()
@as_json
@click.pass_obj
def restart(place: Any, json_wanted: bool) -> None:
    """Stop your node and start it again; nothing is lost, and its ports stay yours meanwhile.

    Where ports or folders of your configuration are others now, its units are laid anew."""

    def work() -> dict[str, Any]:
        return {"laid_anew": services.restart(own_config(place))}

    finish(work, json_wanted, telling_service.restarted)


@service.command()
@as_json
def status(json_wanted: bool) -> None:
    """Tell how systemd sees your node; it is not started for it."""
    finish(services.shown, json_wanted, telling_service.status)


@service.command(hidden=True)
@as_json
def trial(json_wanted: bool) -> None:
    """What holds in here: run by `enable`, as a unit in the sandbox."""
    from postroad.app import trial as trying

    def work() -> dict[str, Any]:
        found = trying.holds(configuration.load(configuration.default_path()))
        return {"holds": [{"what": what, "holds": holds} for what, holds in found.items()]}

    finish(work, json_wanted, telling_service.trial)


def own_config(place: Any) -> Config:
    """What the service runs with: the usual file, for no unit says another one."""
    if place.path != configuration.default_path():
        raise ConfigurationError(
            f"A service uses {configuration.default_path()}, and no other file. Type it without "
            "--config."
        )
    loaded: Config = place.config
    return policies.narrowed(loaded, policies.load())


def enabled(config: Config) -> dict[str, Any]:
    if not config.is_set_up:
        raise NotSetUp
    done = services.enable(config)
    return {
        "sandbox": not done.sandbox_reason,
        "sandbox_reason": done.sandbox_reason,
        "linger": not done.linger_line,
        "linger_line": done.linger_line,
    }
