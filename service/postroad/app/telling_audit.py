"""What the command line says to a person about the audit log."""

from typing import Any

import click

from postroad.app.telling import moment


def entries(answer: dict[str, Any]) -> None:
    for entry in answer["entries"]:
        if entry.get("damaged"):
            click.echo(f"{entry['number']:>6}  (cannot be read, or was changed)")
            continue
        facts = ", ".join(f"{_fact(name)} {_fact(value)}" for name, value in entry["facts"].items())
        event = _fact(entry["event"])
        told = f"{entry['number']:>6}  {moment(entry['at'])}  {event:<22}  {facts}"
        click.echo(told.rstrip())
    if not answer["entries"]:
        click.echo("Nothing was noted.")


def _fact(value: object) -> str:
    """Names in it may come from others, and all of it from whoever may write the store that an
    administrator looks at: nothing that a terminal would obey."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value) or "nothing"
    return text if text.isprintable() else repr(text)


def verified(answer: dict[str, Any]) -> None:
    count = answer["entries"]
    if not answer["whole"]:
        click.echo("The audit log is NOT whole:")
        for fault in answer["faults"]:
            click.echo(f"   {fault['says']}")
    elif not count:
        click.echo("The audit log is empty.")
    else:
        last = f"{answer['first']} to {answer['head'].partition(':')[0]}"
        entries = "1 entry" if count == 1 else f"{count} entries, {last}"
        click.echo(f"The chain is whole: {entries}.")
    if answer["pruned"]:
        click.echo(f"{answer['pruned']} older entries were forgotten to keep it small.")
    if answer["head_kept"] and answer["whole"]:
        click.echo("The head that you kept is in it: nothing up to there was written anew.")
    if answer["head"]:
        click.echo(f"Head: {answer['head']}")
    if answer["head"] and not answer["head_kept"]:
        click.echo(
            "Keep the head on another machine, and give it back with --head: whoever can write "
            "these files could write the whole log anew, or cut off its end."
        )
