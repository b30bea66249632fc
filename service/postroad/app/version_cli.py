"""`postroad version`: of what this program is made, for reports and for whoever compares."""

import platform
from importlib import metadata
from typing import Any

import click

from postroad import __version__
from postroad.app.asking import as_json, finish


@click.command()
@as_json
def version(json_wanted: bool) -> None:
    """Tell the versions of Postroad, of what it rests on, and of what it writes and speaks."""
    finish(told, json_wanted, _show)


def told() -> dict[str, Any]:
    """Nothing of it is anybody's secret, and nothing has to run."""
    from postroad.protocol import wire
    from postroad.sealing import letter
    from postroad.store import checkup

    return {
        "postroad": __version__,
        "python": platform.python_version(),
        "iroh": _of("iroh"),
        "cryptography": _of("cryptography"),
        "sqlite": checkup.sqlite_version(),
        "store_format": checkup.FORMAT,
        "letter_format": letter.VERSION,
        "protocol": wire.ALPN.decode(),
    }


def _of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # laid by somebody who left its description out
        return None


def _show(answer: dict[str, Any]) -> None:
    names = {"store_format": "store", "letter_format": "letters"}
    for name, value in answer.items():
        click.echo(f"{names.get(name, name):<13} {value or 'not known'}")
