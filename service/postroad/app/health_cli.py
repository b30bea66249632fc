"""`postroad status` and `statistics`: how the node is doing, and what became of the letters.

The running node is asked. `status` starts nothing and waits for nobody: a node that is off is told
from its store, and from what systemd knows of it (exit code 3), one that hangs is given up after a
moment (exit code 1).
"""

from typing import Any

import click

from postroad.app import config as configuration
from postroad.app import keeper, telling_health
from postroad.app import service as services
from postroad.app.asking import (
    NotRunning,
    NotThere,
    Starting,
    as_json,
    ask_own,
    ask_soon,
    finish,
)
from postroad.app.config import Config
from postroad.base import limits
from postroad.base.errors import PostroadError
from postroad.protocol import starting
from postroad.protocol.health import Facts, judge
from postroad.protocol.starting import Keeper

WAIT_SECONDS = 1.2  # for the answer; a busy computer may take as long as 0.8 s to start us
SYSTEMD_SECONDS = 1.0  # for systemd's, when there is no node; the store is read beside it


@click.command()
@as_json
@click.pass_obj
def status(place: Any, json_wanted: bool) -> None:
    """Tell how your node is doing, and what to do about it.

    It answers within two seconds, and starts nothing."""

    def work() -> dict[str, Any]:
        config = place.config
        try:
            return ask_soon(config, WAIT_SECONDS, do="status")
        except (NotRunning, NotThere) as error:
            is_usual = place.path == configuration.default_path()  # no unit says another one
            seen = services.standing(SYSTEMD_SECONDS) if is_usual else None
            kept = keeper.of(config.control_path)
            if seen is not None:  # it knows of units that lie elsewhere
                kept = Keeper.SERVICE if seen["installed"] else Keeper.NOBODY_YET
            is_coming = seen is not None and is_on_its_way(seen)
            if isinstance(error, NotThere) and not is_coming:
                raise
            known = {**known_without_node(config, kept, is_coming=is_coming), "service": seen}
            if not json_wanted:
                telling_health.off(known)
            told = Starting() if is_coming else NotRunning(start=starting.start(kept))
            told.known = known
            raise told from None

    finish(work, json_wanted, telling_health.status)


@click.command()
@click.option(
    "--days",
    type=click.IntRange(1, limits.STATISTICS_DAYS),
    default=30,
    show_default=True,
    help="Of how many days, until now.",
)
@click.option("--by-day", is_flag=True, help="Also list each day (UTC).")
@as_json
@click.pass_obj
def statistics(place: Any, days: int, by_day: bool, json_wanted: bool) -> None:
    """Tell what became of your letters, how long they took, and which holders failed."""
    finish(
        lambda: ask_own(place.config, do="statistics", days=days),
        json_wanted,
        lambda answer: telling_health.statistics(answer, by_day=by_day),
    )


def is_on_its_way(seen: dict[str, object]) -> bool:
    """As systemd sees it; one that has failed and is to be started again is told as off, for then
    the reason matters."""
    return seen["state"] in starting.COMING and seen["result"] in ("", "success")


def known_without_node(config: Config, kept: Keeper, *, is_coming: bool) -> dict[str, Any]:
    """What the store of a node that does not answer says; it is only read, never waited for."""
    from postroad.doors.health import numbers
    from postroad.store.audit import read_file

    known = judge(Facts(is_running=False, is_coming=is_coming, keeper=kept)).told()
    try:
        return {**known, **read_file(config.data, numbers, "The store")}
    except PostroadError as error:
        return {**known, "store": str(error)}
