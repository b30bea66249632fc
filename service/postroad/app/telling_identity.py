"""What the command line says of devices and identities; see `telling`."""

from typing import Any

import click

from postroad.app.telling import moment


def devices(answer: dict[str, Any]) -> None:
    if answer["is_ended"]:
        click.echo(f"Your identity was revoked; nobody takes letters from {answer['address']}")
    for one in answer["devices"]:
        click.echo(f"{one['id']}  {_state(one)}")
    others = [one for one in answer["devices"] if not one["is_this"] and not one["is_revoked"]]
    if any(one["takes_mail"] for one in others):
        click.echo(
            "\nAnother computer was set up from your 24 words after this one, and your letters go "
            "there now. If it is not yours: postroad identity rotate"
        )


def _state(one: dict[str, Any]) -> str:
    if one["is_revoked"]:
        return "revoked" + (": this computer" if one["is_this"] else "")
    if one["is_this"]:
        return f"this computer, certified until {moment(one['certified_until'])}"
    mail = ", takes your letters" if one["takes_mail"] else ""
    return f"another one{mail}, seen in the directory: {moment(one['seen_at'])}"


def device_revoked(answer: dict[str, Any]) -> None:
    click.echo(f"The device {answer['id']} is revoked: whoever knows it takes nothing from it any")
    click.echo("more. Your contacts are told now, or find it out within a day.")


def sheet_written(answer: dict[str, Any]) -> None:
    click.echo(f"The revocation sheet of {answer['address']} is in {answer['file']}.")
    click.echo("Open it in a browser and print it; keep it where your 24 words are not. Whoever")
    click.echo("has it can end your identity, and can do nothing else with it.")


def identity_revoked(answer: dict[str, Any]) -> None:
    whose = "Your identity" if answer["is_yours"] else f"The identity {answer['fingerprint']}"
    click.echo(f"{whose} is revoked, for ever. This node makes it known; whoever has it as a")
    click.echo("contact learns it within a day. Leave the node running until then.")
