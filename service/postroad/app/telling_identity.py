"""What the command line says of devices and identities; see `telling`."""

from typing import Any

import click

from postroad.app.telling import moment, words_in_rows
from postroad.app.tongue import _


def devices(answer: dict[str, Any]) -> None:
    if answer["is_ended"]:
        said = _("Your identity was revoked; nobody takes letters from {address}")
        click.echo(said.format(address=answer["address"]))
    for one in answer["devices"]:
        click.echo(f"{one['id']}  {_state(one)}")
    others = [one for one in answer["devices"] if not one["is_this"] and not one["is_revoked"]]
    if any(one["takes_mail"] for one in others):
        said = _(
            "Another computer was set up from your 24 words after this one, and your letters go "
            "there now. If it is not yours: postroad identity rotate"
        )
        click.echo(f"\n{said}")


def _state(one: dict[str, Any]) -> str:
    if one["is_revoked"]:
        return _("revoked: this computer") if one["is_this"] else _("revoked")
    if one["is_this"]:
        said = _("this computer, certified until {time}")
        return said.format(time=moment(one["certified_until"]))
    if one["takes_mail"]:
        said = _("another one, takes your letters, seen in the directory: {time}")
    else:
        said = _("another one, seen in the directory: {time}")
    return said.format(time=moment(one["seen_at"]))


def device_revoked(answer: dict[str, Any]) -> None:
    click.echo(
        _(
            "The device {id} is revoked: whoever knows it takes nothing from it any\n"
            "more. Your contacts are told now, or find it out within a day."
        ).format(id=answer["id"])
    )


def sheet_written(answer: dict[str, Any]) -> None:
    said = _("The revocation sheet of {address} is in {file}.")
    click.echo(said.format(address=answer["address"], file=answer["file"]))
    click.echo(
        _(
            "Open it in a browser and print it; keep it where your 24 words are not. Whoever\n"
            "has it can end your identity, and can do nothing else with it."
        )
    )


def identity_revoked(answer: dict[str, Any]) -> None:
    if answer["is_yours"]:
        said = _(
            "Your identity is revoked, for ever. This node makes it known; whoever has it as a\n"
            "contact learns it within a day. Leave the node running until then."
        )
    else:
        said = _(
            "The identity {fingerprint} is revoked, for ever. This node makes it known; whoever "
            "has it as a\ncontact learns it within a day. Leave the node running until then."
        )
    click.echo(said.format(fingerprint=answer["fingerprint"]))


def identity(answer: dict[str, Any]) -> None:
    click.echo(_("You are {address}").format(address=answer["address"]))
    for address in answer["former"]:
        said = _("before: {address}   (letters to it still reach you)")
        click.echo(said.format(address=address))
    if answer["is_ended"]:
        click.echo(_("This identity was revoked: nobody takes letters from it."))


def new_words(answer: dict[str, Any]) -> None:
    said = _("Your new address will be: {address}")
    click.echo(said.format(address=answer["new_address"]) + "\n")
    click.echo(_("Your new 24 words. Write them on paper: the old ones end with the old address."))
    words_in_rows(answer["words"])
    said = _("Nothing is changed yet. Show that you have them: words {numbers}.")
    click.echo("\n" + said.format(numbers=", ".join(map(str, answer["asked"]))))


def rotated(answer: dict[str, Any]) -> None:
    click.echo(_("You are {address} now.").format(address=answer["address"]))
    click.echo(_("Before: {address}; letters to it still reach you.").format(address=answer["was"]))
    click.echo(
        _(
            "Your contacts are told, and see that your key is new: let them compare the safety\n"
            "number (postroad verify). Change your address in your mail program; its user name\n"
            "and password still work. Then print a new sheet: postroad identity sheet FILE"
        )
    )
