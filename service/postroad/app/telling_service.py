"""What the command line says of the service, in words."""

from typing import Any

import click

from postroad.app.tongue import _, many


def enabled(answer: dict[str, Any]) -> None:
    click.echo(_("Your node runs now, and starts by itself whenever you log in."))
    if not answer["sandbox"]:
        said = _("Its sandbox is left out: {reason}. What needs none is on.")
        click.echo(said.format(reason=answer["sandbox_reason"]))
    if not answer["linger"]:
        said = _("So that it also runs while you are not logged in, and keeps its ports, type:")
        click.echo(said)
        click.echo(f"   {answer['linger_line']}")


def restarted(answer: dict[str, Any]) -> None:
    if answer["laid_anew"]:
        said = _("Your node was started again, with the ports and folders of your configuration.")
    else:
        said = _("Your node was started again.")
    click.echo(said)


def disabled(answer: dict[str, Any]) -> None:
    click.echo(_("Your node is off, and starts no more by itself."))
    if answer["set_up"]:
        said = _("Your mail and your keys stay in {folder}.")
        click.echo(said.format(folder=answer["data"]))


def status(answer: dict[str, Any]) -> None:
    if not answer["installed"]:
        click.echo(_("Your node is no service. To make it one: postroad service enable"))
        return
    if answer["enabled"]:
        said = _("The service is {state}, and starts by itself.")
    else:
        said = _("The service is {state}, and does not start by itself.")
    click.echo(said.format(state=answer["state"]))
    if answer["status"]:
        click.echo(_("It says: {words}").format(words=answer["status"]))
    if answer["restarts"]:
        click.echo(
            many(
                "systemd had to start it again {n} time.",
                "systemd had to start it again {n} times.",
                answer["restarts"],
            )
        )
    if answer["ports"]:
        ports = ", ".join(map(str, answer["ports"]))
        said = _("systemd holds these ports of 127.0.0.1 and [::1] for it: {ports}")
        click.echo(said.format(ports=ports))
    click.echo(_("The sandbox is on.") if answer["sandbox"] else _("The sandbox is off."))
    if not answer["linger"]:
        click.echo(_("It runs only while you are logged in."))


def trial(answer: dict[str, Any]) -> None:
    for one in answer["holds"]:
        said = _("holds: {what}") if one["holds"] else _("does NOT hold: {what}")
        click.echo(said.format(what=one["what"]))
