"""What the command line says to a person about how their node is doing."""

import shutil
import sys
import textwrap
from typing import Any

import click

from postroad.app.marks import mark
from postroad.app.telling import door_at, for_mail_program, letters, moment, rows
from postroad.app.tongue import _, many, number, retold, said
from postroad.base import limits


def status(answer: dict[str, Any]) -> None:
    """The state first, then what to do, then the rest."""
    click.echo(said(answer["sentence"]))
    if answer.get("locked") or "cannot_start" in answer:
        _problems(answer["problems"])
        return
    if answer["paused"] and answer["paused_until"] is not None:
        click.echo(_("The pause ends at {time}.").format(time=moment(answer["paused_until"])))
    click.echo(_("You are {address}.").format(address=answer["address"]))
    if "contact_count" in answer:
        click.echo(" ".join(_numbers(answer)))
    if answer["problems"]:
        click.echo()
        _problems(answer["problems"])
    for_mail_program()
    doors = ((_("incoming"), "IMAP"), (_("or"), "POP3"), (_("outgoing"), "SMTP"))
    ports = {name: answer[f"{name.lower()}_port"] for _way, name in doors}
    rows(
        (_("user name"), answer["user_name"]),
        (_("password"), _("was shown once, by postroad setup; a new one: postroad password")),
        *((way, door_at(name, ports[name])) for way, name in doors if ports[name] is not None),
    )


def _numbers(answer: dict[str, Any]) -> list[str]:
    """What a node that runs, or its store, counts."""
    contacts, waiting = answer["contact_count"], answer["letters_under_way"]
    holders = answer["holders"]
    told = [_("You have no contacts."), _("No letters are on the way.")]
    if contacts:
        told[0] = many("You have {n} contact.", "You have {n} contacts.", contacts)
    if waiting:
        told[1] = many("{n} letter is on the way.", "{n} letters are on the way.", waiting)
    if holders:
        told.append(
            many(
                "{n} holder keeps letters for you while you are away.",
                "{n} holders keep letters for you while you are away.",
                holders,
            )
        )
    return told


def off(known: dict[str, Any]) -> None:
    """What the store says of a node that is not running."""
    click.echo(said(known["sentence"]))
    if "contact_count" in known:
        click.echo(" ".join(_numbers(known)))
        if known["parcels_held"] and known["parcels_waiting"]:
            click.echo(_("Some of them wait at holders, the others on this computer alone."))
        elif known["parcels_held"]:
            click.echo(_("They wait at holders, and arrive without you."))
        elif known["parcels_waiting"]:
            click.echo(_("They wait on this computer alone, until your node runs."))
    if "store" in known:
        click.echo(known["store"])
    _as_service(known["service"])


def _as_service(seen: dict[str, Any] | None) -> None:
    """What systemd knows of a node that does not answer."""
    if seen is None:
        return
    if not seen["installed"]:
        click.echo(_("It is no service of systemd; in a terminal it is started with: postroad run"))
        return
    state, result = seen["state"], seen["result"]
    why = "" if result in ("", "success") else f" ({result})"
    as_service = _("As a service of systemd it is {state}{why}.")
    click.echo(as_service.format(state=state, why=why))
    if seen["status"] and state != "inactive":
        click.echo(_("It says: {words}").format(words=seen["status"]))
    if why:
        click.echo(_("What it said before that: journalctl --user -u postroad -n 20"))


def _problems(problems: list[dict[str, Any]]) -> None:
    for one in problems:
        click.echo(wrapped(retold(one, "summary"), f"{mark(one['severity'])} "))
        click.echo(wrapped(retold(one, "next_step"), "  "))


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
    _tell_incoming(answer, by_day=by_day)
    days = answer["days"]
    if not answer["accepted"]:
        click.echo(
            many(
                "You wrote no letters in the last {n} day.",
                "You wrote no letters in the last {n} days.",
                days,
            )
        )
        return
    click.echo(
        many(
            "Your letters of the last {n} day, one for each recipient:",
            "Your letters of the last {n} days, one for each recipient:",
            days,
        )
    )
    to_holder = _times(answer["seconds_to_holder"])
    at_holder = _("at a holder: {times}").format(times=to_holder) if to_holder else ""
    fates = {
        "accepted": (_("accepted"), ""),
        "delivered": (_("delivered"), _times(answer["seconds_to_receipt"])),
        "held": (_("held"), at_holder),
        "requested": (
            _("requested"),
            _("they lie among the requests of people who do not know you yet"),
        ),
        "late": (_("late"), _("under way for more than a day, whatever became of them")),
        "failed": (
            _("failed"),
            _("refused, or not answered in time; a notice in your INBOX said so"),
        ),
        "cancelled": (_("cancelled"), ""),
        "under_way": (_("under way"), ""),
    }
    width = max(10, *(len(name) for name, _more in fates.values()))
    for key, (name, more) in fates.items():
        if answer[key] or key in ("accepted", "delivered", "failed"):
            click.echo(f"   {name:<{width}}{answer[key]:>7}  {more}".rstrip())
    click.echo(_outages(answer["outages"]))
    _table(_("To whom"), [(one["name"] or _("(no contact)"), one) for one in answer["by_contact"]])
    if by_day:
        _table(_("Day (UTC)"), [(one["day"], one) for one in answer["by_day"]])


def _tell_incoming(answer: dict[str, Any], *, by_day: bool) -> None:
    """What came in; nothing of it, of days on which nothing came."""
    days = answer["days"]
    counts = [answer[name] for name in ("from_contacts", "from_strangers", "refused_here")]
    if None in counts:
        click.echo(
            _(
                "How many letters came in cannot be told just now: these numbers are damaged. "
                "Within an hour your node sets them aside and counts anew; no letter is touched."
            )
        )
        return
    if not any(counts):
        click.echo(
            many(
                "No letter came in during the last {n} day.",
                "No letter came in during the last {n} days.",
                days,
            )
        )
        return
    contacts, strangers, refused = counts
    came = many(
        "Came in during the last {n} day: {letters} of contacts, {strangers} of strangers;",
        "Came in during the last {n} days: {letters} of contacts, {strangers} of strangers;",
        days,
    ).format(letters=letters(contacts), strangers=strangers)
    more = many("{n} more was refused.", "{n} more were refused.", refused)
    click.echo(f"{came} {more}")
    if by_day:
        line = _("{day}  of contacts {contacts}, of strangers {strangers}, refused {refused}")
        for one in answer["incoming_by_day"]:
            told = line.format(
                day=one["day"],
                contacts=one["from_contacts"],
                strangers=one["from_strangers"],
                refused=one["refused_here"],
            )
            click.echo(f"   {told}")


def _times(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    half, most = seconds(found["median"]), seconds(found["percentile_95"])
    return _("half within {half}, 95 % within {most}").format(half=half, most=most)


def _outages(found: dict[str, Any]) -> str:
    if not found["holders_failed"]:
        return _("No holder failed.")
    failed = many(
        "{n} holder failed {letters} of them",
        "{n} holders failed {letters} of them",
        found["holders_failed"],
    ).format(letters=found["letters"])
    lost = _("nothing was lost")
    if found["lost"]:
        lost = _("{n} of those expired without an answer").format(n=found["lost"])
    told = f"{failed}, {lost}"
    if found["slowest_seconds"] is not None:
        slowest = seconds(found["slowest_seconds"])
        told = _("{told}; the slowest was safe after {time}").format(told=told, time=slowest)
    return f"{told}."


def _table(title: str, lines: list[tuple[str, dict[str, Any]]]) -> None:
    width = max(len(title), *(len(name) for name, _one in lines))
    heads = {
        "accepted": _("accepted"),
        "delivered": _("delivered"),
        "late": _("late"),
        "failed": _("failed"),
    }
    click.echo(f"\n{title:<{width}}  {'  '.join(heads.values())}  {_('half within')}")
    for name, one in lines:
        numbers = "  ".join(f"{one[key]:>{len(head)}}" for key, head in heads.items())
        times = one["seconds_to_receipt"]
        half = "-" if times is None else seconds(times["median"])
        click.echo(f"{name:<{width}}  {numbers}  {half}")


def seconds(found: float) -> str:
    """A span as people say it, with two or three digits that matter."""
    if found >= 2 * limits.DAY:
        return _("{n} days").format(n=number(found / limits.DAY, 1))
    if found >= 2 * limits.HOUR:
        return _("{n} h").format(n=number(found / limits.HOUR, 1))
    if found >= 2 * limits.MINUTE:
        return _("{n} min").format(n=number(found / limits.MINUTE, 1))
    if found >= 1:
        return _("{n} s").format(n=number(found, 1))
    return _("{n} ms").format(n=number(found * 1000, 0))
