"""What the command line says of backups."""

from shlex import quote
from typing import Any

import click

from postroad.app.telling import door_at, moment, rows
from postroad.app.telling_store import octets
from postroad.app.tongue import _, grouped, many

SHOWN_MAX = 20


def last(answer: dict[str, Any]) -> None:
    found = answer["last"]
    if found is None:
        click.echo(_("There is no backup that this computer knows of."))
        click.echo(_("To make one, on another disk: postroad backup to FOLDER"))
        return
    made = _("The last backup was made on {time}, in {folder}: {messages}.")
    click.echo(
        made.format(
            time=moment(found["made_at"]),
            folder=found["folder"],
            messages=_messages(found["messages"]),
        )
    )
    folder = quote(found["folder"])
    click.echo(_("Make the next: postroad backup to {folder}").format(folder=folder))
    check = _("See whether it can be read: postroad backup check {folder}")
    click.echo(check.format(folder=folder))


def written(answer: dict[str, Any]) -> None:
    done = _("{messages} and all else are in {folder} now: {size}, of which {new} were new.")
    click.echo(
        done.format(
            messages=_messages(answer["messages"]),
            folder=answer["folder"],
            size=octets(answer["total_bytes"]),
            new=octets(answer["written_bytes"]),
        )
    )
    _list(_("These files of your store could not be read:"), answer["missing"])
    if answer["same_disk"]:
        click.echo(
            _(
                "That folder is on the disk of your mail itself: when the disk is lost, so is the "
                "backup. If it should be on another one, see whether that is plugged in."
            )
        )
    click.echo(
        _(
            "Your 24 words open it, and nothing else does. To have it back, type on a computer\n"
            "where you are not set up: postroad setup --restore {folder}"
        ).format(folder=quote(answer["folder"]))
    )


def checked(answer: dict[str, Any]) -> None:
    if answer["whole"]:
        whole = _("All of it can be read: {messages} as they were on {time}, {size}.")
        click.echo(
            whole.format(
                messages=_messages(answer["messages"]),
                time=moment(answer["made_at"]),
                size=octets(answer["total_bytes"]),
            )
        )
        return
    if not answer["catalogue_is_whole"]:
        click.echo(_("The list of what it holds is damaged; its copy is whole, and was read."))
    if not answer["database_is_whole"]:
        click.echo(_("The database in it is damaged: folders, flags, contacts and most letters."))
    filed = sum(one.startswith("bodies/") for one in answer["damaged_files"])
    if filed and not answer["letters"]:
        click.echo(many("Damaged are {n} large letters.", "Damaged are {n} large letters.", filed))
    _list(_("These letters cannot be restored from it:"), answer["letters"])
    if others := len(answer["damaged_files"]) - filed:
        click.echo(
            many(
                "Damaged, too: {n} letters on their way.",
                "Damaged, too: {n} letters on their way.",
                others,
            )
        )
    if answer["mends"]:
        mend = _(
            "While your mail is still here, back up again into the same folder: what is damaged is "
            "written anew. But do not trust that disk."
        )
    else:
        mend = _(
            "It cannot be mended there, for nothing can be written into that folder. While your "
            "mail is still here, back up to another disk: postroad backup to FOLDER"
        )
    click.echo(mend)


def restored(made: dict[str, Any]) -> None:
    click.echo(_("Your address: {address}").format(address=made["address"]) + "\n")
    back = _(
        "{messages}, your folders, contacts and waiting letters are back, as they were on {time}."
    )
    click.echo(back.format(messages=_messages(made["messages"]), time=moment(made["made_at"])))
    _list(_("These could not be read from the backup:"), made["missing"])
    click.echo(_("Your mailbox password is the one of before. For your mail program:"))
    pop3 = _("{door}   (the INBOX alone)").format(door=door_at("POP3", made["pop3_port"]))
    rows(
        (_("incoming"), door_at("IMAP", made["imap_port"])),
        (_("or"), pop3),
        (_("outgoing"), door_at("SMTP", made["smtp_port"])),
        width_min=9,
    )
    if not made["service"]:
        click.echo("\n" + _("Next: {line}").format(line="postroad run"))
    lost = _("If the old computer was lost or stolen, revoke it: postroad devices")
    click.echo(f"\n{lost}")


def _list(title: str, found: list[str]) -> None:
    if not found:
        return
    click.echo(title)
    for one in found[:SHOWN_MAX]:
        click.echo(f"   {one}")
    if len(found) > SHOWN_MAX:
        more = many("... and {n} more", "... and {n} more", len(found) - SHOWN_MAX)
        click.echo(f"   {more}")


def _messages(count: int) -> str:
    if count == 1:
        return _("1 message")
    return _("{count} messages").format(count=grouped(count))
