"""What the page Set-up says: of a backup, of the service, and of the settings that take effect.

Pure: from answers of the command and of the service to texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postroad_tray import plain
from postroad_tray.facts import tables
from postroad_tray.tongue import _, many, number
from postroad_tray.window.cells import Cell, Column, Row

SETTINGS_MAX = 200
MB = 1_000_000


def backed_up(answer: Mapping[str, Any]) -> str:
    """What is in the backup that was just made."""
    messages, octets = _whole(answer, "messages"), _whole(answer, "total_bytes")
    said = [
        many("{n} message is in the backup", "{n} messages are in the backup", messages)
        + f" ({_size(octets)})."
    ]
    if answer.get("same_disk") is True:
        said.append(
            _("It is on the disk of the mail itself: a broken disk would take both. Take another.")
        )
    missing = answer.get("missing")
    if isinstance(missing, list) and missing:
        said.append(
            many(
                "{n} file of the store was lost before, and is not in it.",
                "{n} files of the store were lost before, and are not in it.",
                len(missing),
            )
        )
    return " ".join(said)


def _whole(answer: Mapping[str, Any], key: str) -> int:
    found = answer.get(key)
    return found if isinstance(found, int) and found >= 0 else 0


def _size(octets: int) -> str:
    return _("{n} MB").format(n=number(octets / MB, 1))


def service(answer: Mapping[str, Any]) -> str:
    """How systemd has it."""
    if answer.get("enabled") is not True:
        return _("Your node does not start by itself.")
    if answer.get("linger") is True:
        return _("Your node starts by itself, and runs also while you are not logged in.")
    return _("Your node starts by itself whenever you log in, and stops when you log out.")


def columns() -> tuple[Column, ...]:
    return (
        Column(_("Setting"), letters=16),
        Column(_("Takes effect"), letters=18, stretches=True),
        Column(_("Who said so"), letters=16),
    )


def settings(fields: Mapping[str, Any]) -> list[Row]:
    """A row for each setting of `GetPolicy`."""
    rows = []
    for one in tables(fields.get("Settings"), SETTINGS_MAX):
        key = plain.line(one.get("Key"))
        value = _said(one.get("Value"))
        rows.append(Row(key, (Cell(key, key), Cell(value, value), Cell(_source(one)))))
    return rows


def _said(value: object) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list | tuple):
        return ", ".join(plain.apart(plain.line(str(one), 60)) for one in value[:20])
    return plain.line(str(value)) if isinstance(value, str | int | float) else ""


def _source(one: Mapping[str, Any]) -> str:
    match plain.line(one.get("Source")):
        case "configuration":
            return _("your configuration")
        case "policy":
            return _("the administrator")
        case _other:
            return _("Postroad itself")
