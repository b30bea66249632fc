"""What the command line says to a person about how their node is doing."""

import shutil
import sys
import textwrap
from typing import Any

import click

from postroad.app.marks import mark
from postroad.app.telling import moment, number_of
from postroad.base import limits


def status(answer: dict[str, Any]) -> None:
    """The state first, then what to do, then the rest."""
    click.echo(answer["sentence"])
    if answer.get("locked") or "cannot_start" in answer:
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
    for way, door in (
        ("incoming    IMAP", "imap_port"),
        ("or          POP3", "pop3_port"),
        ("outgoing    SMTP", "smtp_port"),
    ):
        if answer[door] is not None:
            click.echo(f"   {way}  127.0.0.1  port {answer[door]}")


def _numbers(answer: dict[str, Any]) -> list[str]:
    """What a node that runs, or its store, counts."""
    waiting, holders = answer["letters_under_way"], answer["holders"]
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
    click.echo(known["sentence"])
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
    _as_service(known["service"])


def _as_service(seen: dict[str, Any] | None) -> None:
    """What systemd knows of a node that does not answer."""
    if seen is None:
        return
    if not seen["installed"]:
        click.echo("It is no service of systemd; in a terminal it is started with: postroad run")
        return
    state, result = seen["state"], seen["result"]
    why = "" if result in ("", "success") else f" ({result})"
    click.echo(f"As a service of systemd it is {state}{why}.")
    if seen["status"] and state != "inactive":
        click.echo(f"It says: {seen['status']}")
    if why:
        click.echo("What it said before that: journalctl --user -u postroad -n 20")


def _problems(problems: list[dict[str, Any]]) -> None:
    for one in problems:
        click.echo(wrapped(one["summary"], f"{mark(one['severity'])} "))
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


def statistics(answer: dict[str, Any], *, by_day: bool) -> None:
    days = number_of(answer["days"], "day")
    _tell_incoming(answer, days, by_day=by_day)
    if not answer["accepted"]:
        click.echo(f"You wrote no letters in the last {days}.")
        return
    click.echo(f"Your letters of the last {days}, one for each recipient:")
    to_holder, to_receipt = answer["seconds_to_holder"], answer["seconds_to_receipt"]
    for name, more in (
        ("accepted", ""),
        ("delivered", _times(to_receipt)),
        ("held", _times(to_holder, "at a holder: ")),
        ("requested", "  they lie among the requests of people who do not know you yet"),
        ("late", "  under way for more than a day, whatever became of them"),
        ("failed", "  refused, or not answered in time; a notice in your INBOX said so"),
        ("cancelled", ""),
        ("under_way", ""),
    ):
        if answer[name] or name in ("accepted", "delivered", "failed"):
            click.echo(f"   {name.replace('_', ' '):<10}{answer[name]:>7}{more}")
    click.echo(_outages(answer["outages"]))
    _table("To whom", [(one["name"] or "(no contact)", one) for one in answer["by_contact"]])
    if by_day:
        _table("Day (UTC)", [(one["day"], one) for one in answer["by_day"]])


def _tell_incoming(answer: dict[str, Any], days: str, *, by_day: bool) -> None:
    """What came in; nothing of it, of days on which nothing came."""
    counts = [answer[name] for name in ("from_contacts", "from_strangers", "refused_here")]
    if None in counts:
        click.echo(
            "How many letters came in cannot be told just now: these numbers are damaged. Within "
            "an hour your node sets them aside and counts anew; no letter is touched."
        )
        return
    if not any(counts):
        click.echo(f"No letter came in during the last {days}.")
        return
    contacts, strangers, refused = counts
    click.echo(
        f"Came in during the last {days}: {number_of(contacts, 'letter')} of contacts, {strangers} "
        f"of strangers; {refused} more {'was' if refused == 1 else 'were'} refused."
    )
    if by_day:
        for one in answer["incoming_by_day"]:
            click.echo(
                f"   {one['day']}  of contacts {one['from_contacts']}, of strangers "
                f"{one['from_strangers']}, refused {one['refused_here']}"
            )


def _times(found: dict[str, Any] | None, what: str = "") -> str:
    if found is None:
        return ""
    half, most = seconds(found["median"]), seconds(found["percentile_95"])
    return f"  {what}half within {half}, 95 % within {most}"


def _outages(found: dict[str, Any]) -> str:
    if not found["holders_failed"]:
        return "No holder failed."
    failed = f"{number_of(found['holders_failed'], 'holder')} failed {found['letters']} of them"
    lost = "nothing was lost"
    if found["lost"]:
        lost = f"{found['lost']} of those expired without an answer"
    slowest = ""
    if found["slowest_seconds"] is not None:
        slowest = f"; the slowest was safe after {seconds(found['slowest_seconds'])}"
    return f"{failed}, {lost}{slowest}."


def _table(title: str, rows: list[tuple[str, dict[str, Any]]]) -> None:
    width = max(len(title), *(len(name) for name, _ in rows))
    heads = ("accepted", "delivered", "late", "failed")
    click.echo(f"\n{title:<{width}}  {'  '.join(heads)}  half within")
    for name, one in rows:
        numbers = "  ".join(f"{one[head]:>{len(head)}}" for head in heads)
        times = one["seconds_to_receipt"]
        half = "-" if times is None else seconds(times["median"])
        click.echo(f"{name:<{width}}  {numbers}  {half}")


def seconds(found: float) -> str:
    """A span as people say it, with two or three digits that matter."""
    for unit, size in (("days", limits.DAY), ("h", limits.HOUR), ("min", limits.MINUTE)):
        if found >= 2 * size:
            return f"{found / size:.1f} {unit}"
    if found >= 1:
        return f"{found:.1f} s"
    return f"{found * 1000:.0f} ms"
