"""What the command line says to a person about how their node is doing."""

import shutil
import sys
import textwrap
from typing import Any

import click

from postroad.app.telling import moment, number_of

MARKS = {"broken": "!", "attention": "~", "info": "-"}


def status(answer: dict[str, Any]) -> None:
    """The state first, then what to do, then the rest."""
    click.echo(answer["sentence"])
    if answer.get("locked"):
        _problems(answer["problems"])
        return
    if answer["paused"] and answer["paused_until"] is not None:
        click.echo(f"The pause ends at {moment(answer['paused_until'])}.")
    click.echo(f"You are {answer['address']}.")
    if "contact_count" in answer:
        click.echo(" ".join(_numbers(answer)))
    if answer["problems"]:
        click.echo()
        _problems(answer["problems"])
    click.echo("\nFor your mail program (no encryption: it never leaves this computer):")
    click.echo(f"   user name   {answer['user_name']}")
    click.echo("   password    was shown once, by postroad setup; a new one: postroad password")
    for way, door in (("incoming    IMAP", "imap_port"), ("outgoing    SMTP", "smtp_port")):
        if answer[door] is not None:
            click.echo(f"   {way}  127.0.0.1  port {answer[door]}")


def _numbers(answer: dict[str, Any]) -> list[str]:
    """What a node that runs, or its store, counts."""
    waiting, holders = answer["letters_waiting"], answer["holders"]
    on_the_way = f"{number_of(waiting, 'letter')} {'is' if waiting == 1 else 'are'} on the way."
    said = [
        f"You have {number_of(answer['contact_count'], 'contact')}.",
        on_the_way.capitalize(),
    ]
    if holders:
        keep = "keeps" if holders == 1 else "keep"
        said.append(f"{number_of(holders, 'holder')} {keep} letters for you while you are away.")
    return said


def off(known: dict[str, Any]) -> None:
    """What the store says of a node that is not running."""
    click.echo("Your node is off: no letter comes or goes.")
    if "contact_count" in known:
        click.echo(" ".join(_numbers(known)))
        if known["parcels_held"] and known["parcels_waiting"]:
            click.echo("Some of them wait at holders, the others on this computer alone.")
        elif known["parcels_held"]:
            click.echo("They wait at holders, and arrive without you.")
        elif known["parcels_waiting"]:
            click.echo("They wait on this computer alone, until your node runs.")
    if "store" in known:
        click.echo(known["store"])


def _problems(problems: list[dict[str, Any]]) -> None:
    for one in problems:
        click.echo(wrapped(one["summary"], f"{MARKS.get(one['severity'], '!')} "))
        click.echo(wrapped(one["next_step"], "  "))


def wrapped(text: str, mark: str) -> str:
    """The text behind its mark, in lines that the terminal has room for; whole in a pipe."""
    if not sys.stdout.isatty():
        return mark + text
    width = min(shutil.get_terminal_size().columns, 100)
    return textwrap.fill(
        text,
        width,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )
