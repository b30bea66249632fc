"""`postroad doctor`: what is wrong, in plain words, with the line to type."""

import platform
import re
from pathlib import Path
from typing import Any

import click

from postroad.app.asking import as_json, finish
from postroad.app.marks import ATTENTION, BROKEN, mark
from postroad.app.tongue import later, said, shown
from postroad.contract import Health
from postroad.protocol.doctor import Finding, findings, worst

LEFT_OUT = "***"


@click.command()
@click.option(
    "--report",
    is_flag=True,
    help="Tell it so that it can be shown to others: no address, name, key, host or folder in it.",
)
@as_json
@click.pass_context
def doctor(context: click.Context, report: bool, json_wanted: bool) -> None:
    """Look at your node and this computer, and tell what is wrong and what to type.

    Also while no node runs; nothing is started or changed. Exit code 1 if something is broken."""
    finish(
        lambda: told(context.obj.path, report=report),
        json_wanted,
        _show,
        is_good=lambda answer: answer["health"] != Health.BROKEN.value,
    )


def told(path: Path, *, report: bool) -> dict[str, Any]:
    """What was found; with `report`, nothing of it is private. `path`: of the configuration."""
    from postroad.app.examining import examine

    examined = examine(path)
    found = findings(examined.facts)
    return {
        "health": worst(found).value,
        "findings": [
            _finding(
                one, *(_clean(one, examined.private) if report else (one.summary, one.next_step))
            )
            for one in found
        ],
        "report": report,
        "system": _system() if report else None,
    }


def _finding(one: Finding, summary: str, step: str) -> dict[str, Any]:
    return {"about": one.about, "health": one.health.value, "summary": summary, "next_step": step}


def _clean(one: Finding, private: frozenset[str]) -> tuple[str, str]:
    """Both sentences of it for others. They were made with nothing private in them; what is known
    to be private, or looks like it, is taken out once more."""
    summary, step = one.for_report
    return scrubbed(summary, private), scrubbed(step, private)


_LOOKS_PRIVATE = re.compile(
    r"[^\s,;]+@[^\s,;]+"  # addresses
    r"|(?<![\w.])/(?:home|root|run/user|tmp|mnt|media|srv|var/home)(?:/[^\s,:;']*)?"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b"
    r"|(?i:\b(?:[0-9a-f]{1,4}:){2,}[0-9a-f:]*)"  # IPv6
    r"|\b[a-z2-7]{32}\b"  # a fingerprint
    r"|\b[0-9a-f]{16,}\b"  # a key, an id
)


def scrubbed(text: str, private: frozenset[str]) -> str:
    """The same without these words, and without what looks like an address, a key or a folder."""
    for word in sorted(private, key=len, reverse=True):
        text = re.sub(rf"(?i)(?<!\w){re.escape(word)}(?!\w)", LEFT_OUT, text)
    return _LOOKS_PRIVATE.sub(LEFT_OUT, text)


def _system() -> str:
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    return f"{name or platform.system()}, {platform.machine()}"


def _show(answer: dict[str, Any]) -> None:
    if answer["report"]:
        click.echo(f"postroad doctor --report, on {answer['system']}\n")
    for one in answer["findings"]:
        click.echo(f"{mark(one['health'])} {one['about']}: {shown(one['summary'])}")
        if one["next_step"]:
            click.echo(f"     {shown(one['next_step'])}")
    sum_of_all = said(_SUMS[Health(answer["health"])])
    click.echo("\n" + sum_of_all.format(attention=ATTENTION, broken=BROKEN))


_SUMS = {
    Health.OK: later("All is well."),
    Health.ATTENTION: later("Nothing is broken; what is marked with {attention} deserves a look."),
    Health.BROKEN: later("What is marked with {broken} is broken. Begin there."),
}
