"""What the command line says of devices and identities; see `telling`."""

from typing import Any

import click

from postroad.app.telling import moment, words_in_rows


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


def identity(answer: dict[str, Any]) -> None:
    click.echo(f"You are {answer['address']}")
    for address in answer["former"]:
        click.echo(f"before: {address}   (letters to it still reach you)")
    if answer["is_ended"]:
        click.echo("This identity was revoked: nobody takes letters from it.")


def new_words(answer: dict[str, Any]) -> None:
    click.echo(f"Your new address will be: {answer['new_address']}\n")
    click.echo("Your new 24 words. Write them on paper: the old ones end with the old address.")
    words_in_rows(answer["words"])
    asked = ", ".join(map(str, answer["asked"]))
    click.echo(f"\nNothing is changed yet. Show that you have them: words {asked}.")


def rotated(answer: dict[str, Any]) -> None:
    click.echo(f"You are {answer['address']} now.")
    click.echo(f"Before: {answer['was']}; letters to it still reach you.")
    click.echo("Your contacts are told, and see that your key is new: let them compare the safety")
    click.echo("number (postroad verify). Change your address in your mail program; its user name")
    click.echo("and password still work. Then print a new sheet: postroad identity sheet FILE")
