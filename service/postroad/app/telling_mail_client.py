"""What the command line says of mail programs: their settings, and a new password."""

from typing import Any

import click

from postroad.app.mail_clients import CLIENTS
from postroad.app.telling import door_at
from postroad.app.tongue import _, said


def settings(answer: dict[str, Any]) -> None:
    if answer["written"]:
        for path in answer["written"]:
            click.echo(_("Written: {file} (only you can read it)").format(file=path))
        click.echo(_("Now type: {command}").format(command=answer["then"]))
        return
    if answer["text"] is not None:
        click.echo(answer["text"], nl=False)
        how = _(
            "That is a file for {program}. To have it written, with your password in a file beside "
            "it: postroad mail-client {name} --write"
        )
        click.echo(f"\n{how.format(program=answer['title'], name=answer['program'])}", err=True)
        return
    for number, step in enumerate(answer["steps"], 1):
        click.echo(f"{number}. {said(step)}")
    click.echo()
    incoming, outgoing, by_pop3 = (answer[way] for way in ("incoming", "outgoing", "incoming_pop3"))
    pairs = (
        (_("address"), answer["address"]),
        (_("user name"), incoming["user_name"]),
        (_("password"), _("your mailbox password (a new one: postroad password)")),
        (_("incoming"), _at("IMAP", incoming)),
        *(((_("or"), _at("POP3", by_pop3)),) if by_pop3 else ()),
        (_("outgoing"), _at("SMTP", outgoing)),
        (_("security"), _("none, for both: it never leaves this computer")),
        (_("authentication"), _("normal password")),
    )
    width = max(15, *(len(name) for name, _value in pairs))
    for name, value in pairs:
        click.echo(f"   {name:<{width}} {value}")
    if answer["program"] == "other":
        known = ", ".join(name for name in CLIENTS if name != "other")
        more = _("More is known of: {programs}. Type: postroad mail-client NAME")
        click.echo(f"\n{more.format(programs=known)}")


def _at(protocol: str, way: dict[str, Any]) -> str:
    return door_at(protocol, way["port"], way["host"])


def new_password(answer: dict[str, Any]) -> None:
    new = _("Your new mailbox password: {password}").format(password=answer["password"])
    click.echo(f"{new}\n")
    click.echo(
        _(
            "It is shown once, and the old one is good for nothing any more. Put it into every\n"
            "mail program of yours, for incoming and outgoing mail. What they had open ended,\n"
            "so each asks for the new one when it connects again."
        )
    )
    if answer["kept_in"]:
        kept = _("Programs that read it from {file} (mutt, mbsync, msmtp) have it.")
        click.echo(f"\n{kept.format(file=answer['kept_in'])}")
