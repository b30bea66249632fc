"""What the command line says of the service, in words."""

from typing import Any

import click


def enabled(answer: dict[str, Any]) -> None:
    click.echo("Your node runs now, and starts by itself whenever you log in.")
    if not answer["sandbox"]:
        click.echo(f"Its sandbox is left out: {answer['sandbox_reason']}. What needs none is on.")
    if not answer["linger"]:
        click.echo("So that it also runs while you are not logged in, and keeps its ports, type:")
        click.echo(f"   {answer['linger_line']}")


def restarted(answer: dict[str, Any]) -> None:
    if answer["laid_anew"]:
        click.echo("Your node was started again, with the ports and folders of your configuration.")
    else:
        click.echo("Your node was started again.")


def disabled(answer: dict[str, Any]) -> None:
    click.echo("Your node is off, and starts no more by itself.")
    if answer["set_up"]:
        click.echo(f"Your mail and your keys stay in {answer['data']}.")


def status(answer: dict[str, Any]) -> None:
    if not answer["installed"]:
        click.echo("Your node is no service. To make it one: postroad service enable")
        return
    itself = "starts by itself" if answer["enabled"] else "does not start by itself"
    click.echo(f"The service is {answer['state']}, and {itself}.")
    if answer["status"]:
        click.echo(f"It says: {answer['status']}")
    if answer["restarts"]:
        times = answer["restarts"]
        click.echo(f"systemd had to start it again {times} time{'s' if times > 1 else ''}.")
    if answer["ports"]:
        ports = ", ".join(map(str, answer["ports"]))
        click.echo(f"systemd holds these ports of 127.0.0.1 and [::1] for it: {ports}")
    click.echo(f"The sandbox is {'on' if answer['sandbox'] else 'off'}.")
    if not answer["linger"]:
        click.echo("It runs only while you are logged in.")


def trial(answer: dict[str, Any]) -> None:
    for one in answer["holds"]:
        click.echo(f"{'holds' if one['holds'] else 'does NOT hold'}: {one['what']}")
