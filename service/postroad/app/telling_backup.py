"""What the command line says of backups."""

from shlex import quote
from typing import Any

import click

from postroad.app.telling import moment
from postroad.app.telling_store import octets

SHOWN_MAX = 20


def last(answer: dict[str, Any]) -> None:
    found = answer["last"]
    if found is None:
        click.echo("There is no backup that this computer knows of.")
        click.echo("To make one, on another disk: postroad backup to FOLDER")
        return
    click.echo(
        f"The last backup was made on {moment(found['made_at'])}, in {found['folder']}: "
        f"{_messages(found['messages'])}."
    )
    click.echo(f"Make the next: postroad backup to {quote(found['folder'])}")
    click.echo(f"See whether it can be read: postroad backup check {quote(found['folder'])}")


def written(answer: dict[str, Any]) -> None:
    click.echo(
        f"{_messages(answer['messages'])} and all else are in {answer['folder']} now: "
        f"{octets(answer['total_bytes'])}, of which {octets(answer['written_bytes'])} were new."
    )
    _list("These files of your store could not be read:", answer["missing"])
    if answer["same_disk"]:
        click.echo(
            "That folder is on the disk of your mail itself: when the disk is lost, so is the "
            "backup. If it should be on another one, see whether that is plugged in."
        )
    click.echo("Your 24 words open it, and nothing else does. To have it back, type on a computer")
    click.echo(f"where you are not set up: postroad setup --restore {quote(answer['folder'])}")


def checked(answer: dict[str, Any]) -> None:
    made = moment(answer["made_at"])
    if answer["whole"]:
        click.echo(
            f"All of it can be read: {_messages(answer['messages'])} as they were on {made}, "
            f"{octets(answer['total_bytes'])}."
        )
        return
    if not answer["catalogue_is_whole"]:
        click.echo("The list of what it holds is damaged; its copy is whole, and was read.")
    if not answer["database_is_whole"]:
        click.echo("The database in it is damaged: folders, flags, contacts and most letters.")
    filed = sum(one.startswith("bodies/") for one in answer["damaged_files"])
    if filed and not answer["letters"]:
        click.echo(f"Damaged are {filed} large letters.")
    _list("These letters cannot be restored from it:", answer["letters"])
    if others := len(answer["damaged_files"]) - filed:
        click.echo(f"Damaged, too: {others} letters on their way.")
    if answer["mends"]:
        click.echo(
            "While your mail is still here, back up again into the same folder: what is damaged is "
            "written anew. But do not trust that disk."
        )
    else:
        click.echo(
            "It cannot be mended there, for nothing can be written into that folder. While your "
            "mail is still here, back up to another disk: postroad backup to FOLDER"
        )


def restored(made: dict[str, Any]) -> None:
    click.echo(f"Your address: {made['address']}\n")
    click.echo(
        f"{_messages(made['messages'])}, your folders, contacts and waiting letters are back, as "
        f"they were on {moment(made['made_at'])}."
    )
    _list("These could not be read from the backup:", made["missing"])
    click.echo("Your mailbox password is the one of before. For your mail program:")
    click.echo(f"   incoming    IMAP  127.0.0.1  port {made['imap_port']}")
    click.echo(f"   or          POP3  127.0.0.1  port {made['pop3_port']}   (the INBOX alone)")
    click.echo(f"   outgoing    SMTP  127.0.0.1  port {made['smtp_port']}")
    if not made["service"]:
        click.echo("\nNext: postroad run")
    click.echo("\nIf the old computer was lost or stolen, revoke it: postroad devices")


def _list(title: str, found: list[str]) -> None:
    if not found:
        return
    click.echo(title)
    for one in found[:SHOWN_MAX]:
        click.echo(f"   {one}")
    if len(found) > SHOWN_MAX:
        click.echo(f"   ... and {len(found) - SHOWN_MAX} more")


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count:,} messages"
