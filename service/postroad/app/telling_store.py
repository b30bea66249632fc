"""What the command line says of the store."""

from typing import Any

import click

from postroad.app.tongue import _, grouped, many, number


def sizes(answer: dict[str, Any]) -> None:
    place = _("Your mail is in {folder} (format {format}).")
    click.echo(place.format(folder=answer["folder"], format=answer["format"]) + "\n")
    filed = _("{count} in {n} folders")
    yours, others = _("{count} letters of yours"), _("{count} letters for others")
    kept = _("{size} (reserve_mib), to finish what is begun")
    lines = (
        (
            _("messages"),
            filed.format(count=grouped(answer["messages"]), n=answer["mailboxes"]),
        ),
        (_("on their way"), yours.format(count=grouped(answer["parcels_under_way"]))),
        (_("held"), others.format(count=grouped(answer["letters_held"]))),
        (_("database"), octets(answer["database_bytes"])),
        (_("large letters"), octets(answer["bodies_bytes"])),
        (_("sealed letters"), octets(answer["sealed_bytes"])),
        (_("free on the disk"), octets(answer["free_bytes"])),
        (_("kept free"), kept.format(size=octets(answer["reserve_bytes"]))),
    )
    width = max(17, *(len(name) for name, _value in lines))
    for name, value in lines:
        click.echo(f"{name:<{width}} {value}")
    if answer["free_bytes"] < answer["reserve_bytes"]:
        full = _("The disk is almost full: new letters are refused until there is more room.")
        click.echo(f"\n{full}")
    if answer["unused_bytes"] > max(answer["database_bytes"] // 4, 10_000_000):
        unused = _(
            "{size} of the database are unused. With your node stopped, this gives them back: "
            "postroad store compact"
        )
        click.echo("\n" + unused.format(size=octets(answer["unused_bytes"])))
    if answer["quarantine"]:
        damaged = many(
            "{n} things are damaged and set aside: postroad status",
            "{n} things are damaged and set aside: postroad status",
            answer["quarantine"],
        )
        click.echo(f"\n{damaged}")


def checked(answer: dict[str, Any]) -> None:
    for one in answer["faults"]:
        concerns = _("; it is {where}").format(where=one["where"]) if one["where"] else ""
        click.echo(f"{one['what']} {one['name']}: {one['reason']}{concerns}")
    if answer["more_faults"]:
        click.echo(many("... and {n} more", "... and {n} more", answer["more_faults"]))
    if answer["running"]:
        full = {2: "FULL", 3: "EXTRA"}.get(answer["synchronous"], answer["synchronous"])
        mode = str(answer["journal_mode"]).upper()
        said = _("Your node writes with journal {mode} and synchronous {full}.")
        click.echo(said.format(mode=mode, full=full))
    if answer["whole"]:
        said = _("All is as it was written: {size} of letters were read.")
        click.echo(said.format(size=octets(answer["read_bytes"])))
    else:
        click.echo(
            _(
                "Something is damaged. Check the disk, then put back what you have a backup of; "
                "the rest of your mail goes on working."
            )
        )


def compacted(answer: dict[str, Any]) -> None:
    said = _("The database has {now} now; it had {before}.")
    click.echo(
        said.format(now=octets(answer["after_bytes"]), before=octets(answer["before_bytes"]))
    )


def octets(count: float) -> str:
    """Like 4.2 MB."""
    if count < 1000:
        return _("{n} bytes").format(n=f"{count:.0f}")
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:
            return f"{number(count, 1)} {unit}"
    return f"{number(count / 1000, 1)} TB"
