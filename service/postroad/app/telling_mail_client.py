"""What the command line says of mail programs: their settings, and a new password."""

from typing import Any

import click

from postroad.app.mail_clients import CLIENTS


def settings(answer: dict[str, Any]) -> None:
    if answer["written"]:
        for path in answer["written"]:
            click.echo(f"Written: {path} (only you can read it)")
        click.echo(f"Now type: {answer['then']}")
        return
    if answer["text"] is not None:
        click.echo(answer["text"], nl=False)
        name = answer["program"]
        click.echo(
            f"\nThat is a file for {answer['title']}. To have it written, with your password in a "
            f"file beside it: postroad mail-client {name} --write",
            err=True,
        )
        return
    for number, step in enumerate(answer["steps"], 1):
        click.echo(f"{number}. {step}")
    click.echo()
    incoming, outgoing, by_pop3 = (
        answer[way] for way in ("incoming", "outgoing", "incoming_pop3")
    )
    rows = [
        ("address", answer["address"]),
        ("user name", incoming["user_name"]),
        ("password", "your mailbox password (a new one: postroad password)"),
        ("incoming", f"IMAP  {incoming['host']}  port {incoming['port']}"),
        *((("or", f"POP3  {by_pop3['host']}  port {by_pop3['port']}"),) if by_pop3 else ()),
        ("outgoing", f"SMTP  {outgoing['host']}  port {outgoing['port']}"),
        ("security", "none, for both: it never leaves this computer"),
        ("authentication", "normal password"),
    ]
    for name, value in rows:
        click.echo(f"   {name:<15} {value}")
    if answer["program"] == "other":
        known = ", ".join(name for name in CLIENTS if name != "other")
        click.echo(f"\nMore is known of: {known}. Type: postroad mail-client NAME")


def new_password(answer: dict[str, Any]) -> None:
    click.echo(f"Your new mailbox password: {answer['password']}\n")
    click.echo("It is shown once, and the old one is good for nothing any more. Put it into every")
    click.echo("mail program of yours, for incoming and outgoing mail. What they had open ended,")
    click.echo("so each asks for the new one when it connects again.")
    if answer["kept_in"]:
        click.echo(
            f"\nPrograms that read it from {answer['kept_in']} (mutt, mbsync, msmtp) have it."
        )
