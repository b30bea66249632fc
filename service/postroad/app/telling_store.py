"""What the command line says of the store."""

from typing import Any

import click


def sizes(answer: dict[str, Any]) -> None:
    click.echo(f"Your mail is in {answer['folder']} (format {answer['format']}).\n")
    rows = [
        ("messages", f"{answer['messages']:,} in {answer['mailboxes']} folders"),
        ("on their way", f"{answer['parcels_under_way']:,} letters of yours"),
        ("held", f"{answer['letters_held']:,} letters for others"),
        ("database", octets(answer["database_bytes"])),
        ("large letters", octets(answer["bodies_bytes"])),
        ("sealed letters", octets(answer["sealed_bytes"])),
        ("free on the disk", octets(answer["free_bytes"])),
        ("kept free", f"{octets(answer['reserve_bytes'])} (reserve_mib), to finish what is begun"),
    ]
    for name, value in rows:
        click.echo(f"{name:<17} {value}")
    if answer["free_bytes"] < answer["reserve_bytes"]:
        click.echo("\nThe disk is almost full: new letters are refused until there is more room.")
    if answer["unused_bytes"] > max(answer["database_bytes"] // 4, 10_000_000):
        click.echo(
            f"\n{octets(answer['unused_bytes'])} of the database are unused. With your node "
            "stopped, this gives them back: postroad store compact"
        )
    if answer["quarantine"]:
        click.echo(f"\n{answer['quarantine']} things are damaged and set aside: postroad status")


def checked(answer: dict[str, Any]) -> None:
    for one in answer["faults"]:
        concerns = f"; it is {one['where']}" if one["where"] else ""
        click.echo(f"{one['what']} {one['name']}: {one['reason']}{concerns}")
    if answer["more_faults"]:
        click.echo(f"... and {answer['more_faults']} more")
    if answer["running"]:
        full = {2: "FULL", 3: "EXTRA"}.get(answer["synchronous"], answer["synchronous"])
        mode = str(answer["journal_mode"]).upper()
        click.echo(f"Your node writes with journal {mode} and synchronous {full}.")
    if answer["whole"]:
        click.echo(
            f"All is as it was written: {octets(answer['read_bytes'])} of letters were read."
        )
    else:
        click.echo(
            "Something is damaged. Check the disk, then put back what you have a backup of; the "
            "rest of your mail goes on working."
        )


def compacted(answer: dict[str, Any]) -> None:
    click.echo(
        f"The database has {octets(answer['after_bytes'])} now; it had "
        f"{octets(answer['before_bytes'])}."
    )


def octets(count: float) -> str:
    """Like 4.2 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
