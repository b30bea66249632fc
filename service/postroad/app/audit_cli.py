"""`postroad audit ...`: what was decided about people, keys and policy, and whether it is whole.

The running node is asked; while none runs, its store is read as it lies there.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from postroad.app import telling_audit
from postroad.app.asking import Misused, NotRunning, as_json, ask, finish, seconds_in
from postroad.app.config import Config
from postroad.base.errors import NotSetUp


@click.group(invoke_without_command=True)
@click.option("--since", metavar="TIME", help="Only since then: like 2h or 7d, or 2026-11-30.")
@as_json
@click.pass_context
def audit(context: click.Context, since: str | None, json_wanted: bool) -> None:
    """Show what was decided about people, keys and policy. No subject or text is in it."""
    if context.invoked_subcommand is not None:
        return

    def work() -> dict[str, Any]:
        moment = 0.0 if since is None else _moment(since)

        def read(sql: Any) -> dict[str, Any]:
            from postroad.doors.audit import entries

            return entries(sql, moment)

        return _asked_or_read(context.obj.config, read, do="audit", since=str(moment))

    finish(work, json_wanted, telling_audit.entries)


@audit.command()
@click.option("--head", metavar="HEAD", help="A head that this printed earlier, kept elsewhere.")
@as_json
@click.pass_context
def verify(context: click.Context, head: str | None, json_wanted: bool) -> None:
    """Check that no entry was changed, removed, moved or cut off; exit code 1 if one was.

    It prints the log's head. Keep that on another machine and give it back with --head: whoever
    can write your files could write the whole log anew, and only that would show it."""

    def work() -> dict[str, Any]:
        from postroad.protocol.audit import head_from

        kept = None if head is None else head_from(head)

        def read(sql: Any) -> dict[str, Any]:
            from postroad.doors.audit import verified

            return verified(sql, kept)

        return _asked_or_read(context.obj.config, read, do="audit verify", head=head)

    finish(
        work, json_wanted, telling_audit.verified, is_good=lambda answer: bool(answer["whole"])
    )


def _asked_or_read(
    config: Config, read: Callable[[Any], dict[str, Any]], **request: str | None
) -> dict[str, Any]:
    try:
        return ask(config.control_path, **request)
    except NotRunning:
        if not config.is_set_up:
            raise NotSetUp from None
        from postroad.store.audit import read_file

        return read_file(config.data, read)


def _moment(text: str) -> float:
    """Misused when it is none."""
    from postroad.machine.clock import SystemClock

    seconds = seconds_in(text)
    if seconds is not None:
        return SystemClock().now() - seconds
    try:
        day = datetime.fromisoformat(text)
    except ValueError:
        raise Misused(
            f"{text!r} is no time. Say it like 2h or 7d, or as a day like 2026-11-30."
        ) from None
    return (day if day.tzinfo else day.astimezone(UTC)).timestamp()
