"""What the command line says about contacts, in words."""

from pathlib import Path
from typing import Any

import click

from postroad.app import tables
from postroad.app.telling import moment, qr, rows
from postroad.app.tongue import _, many


def contacts(answer: dict[str, Any]) -> None:
    if not answer["contacts"]:
        click.echo(_("Nobody yet. Make an invitation with: postroad invite"))
        return
    tables.show(
        (_("name"), _("address"), "", _("last seen")),
        [
            (one["name"], one["address"], _standing(one), moment(one["seen_at"]))
            for one in answer["contacts"]
        ],
        lambda row: (
            f"{row[0]:<12}  {row[1]}  {row[2]:<12}  {_('last seen: {time}').format(time=row[3])}"
        ),
    )


def _standing(person: dict[str, Any]) -> str:
    if person["revoked"]:
        return _("revoked")
    if person["blocked"]:
        return _("blocked")
    return _("verified") if person["verified"] else _("not verified")


def contact(answer: dict[str, Any]) -> None:
    click.echo(f"{answer['name']}")
    rows(
        (_("address"), answer["address"]),
        (_("verified"), _verified_in_words(answer)),
        (_("contact"), _("since {time}").format(time=moment(answer["since"]))),
        (_("last seen"), moment(answer["seen_at"])),
    )
    for said in (
        _("holds for you: {yes}").format(yes=_yes(answer["holds_for_us"])),
        _("you hold for them: {yes}").format(yes=_yes(answer["we_hold_for_them"])),
        _("letters on the way to them: {n}").format(n=answer["letters_under_way"]),
    ):
        click.echo(f"   {said}")
    if answer["revoked"]:
        said = _("Their identity was revoked: ask them for an invitation to their new one.")
        click.echo(f"   {said}")
    elif answer["blocked"]:
        said = _("You have blocked them. See: postroad contacts unblock {name}")
        click.echo(f"   {said.format(name=_typed(answer))}")


def renamed(answer: dict[str, Any]) -> None:
    said = _("{before} is called {name} now: {address}")
    click.echo(said.format(before=answer["before"], name=answer["name"], address=answer["address"]))


def blocked(answer: dict[str, Any]) -> None:
    said = _(
        "You have blocked {name}. Letters of theirs are refused, and their node is told that you "
        "do not take them; what is in your folders stays."
    )
    click.echo(said.format(name=answer["name"]))
    _tell_letters(
        answer,
        many(
            "{n} letter of yours to {name} waits until you unblock them or the time is over: "
            "postroad queue.",
            "{n} letters of yours to {name} wait until you unblock them or the time is over: "
            "postroad queue.",
            answer["letters_under_way"],
        ),
    )
    _tell_holding(answer)


def unblocked(answer: dict[str, Any]) -> None:
    said = _("{name} is not blocked any more: letters go both ways again.")
    click.echo(said.format(name=answer["name"]))
    if answer["letters_under_way"]:
        click.echo(
            many(
                "{n} letter of yours to them, now.",
                "{n} letters of yours to them, now.",
                answer["letters_under_way"],
            )
        )


def removed(answer: dict[str, Any]) -> None:
    said = _(
        "{name} is no contact of yours any more: letters of theirs are a stranger's. What they "
        "wrote before stays in your folders."
    )
    click.echo(said.format(name=answer["name"]))
    _tell_letters(
        answer,
        many(
            "{n} letter of yours to {name} was cancelled.",
            "{n} letters of yours to {name} were cancelled.",
            answer["letters_under_way"],
        ),
    )
    _tell_holding(answer)


def _tell_letters(answer: dict[str, Any], fate: str) -> None:
    """What becomes of the owner's letters that are on the way to them."""
    if answer["letters_under_way"]:
        more = _("What their holders have already, they may still get.")
        click.echo(f"{fate.format(name=answer['name'])} {more}")


def _tell_holding(answer: dict[str, Any]) -> None:
    """What becomes of letters that lie at one of the two for the other."""
    if answer["holds_for_us"]:
        said = _("{name}'s node holds letters for you until another one does in its place.")
        click.echo(said.format(name=answer["name"]))
    if answer["we_hold_for_them"]:
        click.echo(
            _(
                "Your node takes no more letters for them; they can fetch those that lie here, and "
                "their node is told to look for another holder."
            )
        )


def exported(answer: dict[str, Any], file: Path | None) -> None:
    if file is None:
        click.echo(answer["text"], nl=False)
        return
    count, left_out = answer["count"], answer["left_out"]
    said = many("{file}: {n} contact.", "{file}: {n} contacts.", count)
    if not count:
        said = _("{file}: no contacts.")
    click.echo(said.format(file=file))
    if left_out:
        click.echo(
            many("Left out: {n} blocked contact.", "Left out: {n} blocked contacts.", left_out)
        )


def invitations(answer: dict[str, Any]) -> None:
    if not answer["invitations"]:
        click.echo(_("You made none that is remembered. Make one with: postroad invite"))
        return

    def line(row: tables.Row) -> str:
        whom = " " + _("for {name}").format(name=row[2]) if row[2] else ""
        return f"{row[0]}  {row[1]} {whom}".rstrip()

    tables.show(
        (_("id"), _("what became of it"), _("for")),
        [(one["id"], _state_in_words(one), one["name"]) for one in answer["invitations"]],
        line,
    )


def _state_in_words(one: dict[str, Any]) -> str:
    match one["state"]:
        case "open":
            return _("open until {time}").format(time=moment(one["expires_at"]))
        case "used":
            said = _("used by {name}, {time}")
            return said.format(name=one["used_by"], time=moment(one["used_at"]))
        case "withdrawn" if one["used_by"]:
            return _("used by {name}, who is no contact any more").format(name=one["used_by"])
        case "withdrawn":
            return _("withdrawn, {time}").format(time=moment(one["withdrawn_at"]))
        case _:
            return _("expired, {time}").format(time=moment(one["expires_at"]))


def withdrawn(answer: dict[str, Any]) -> None:
    if answer["name"]:
        said = _(
            "Invitation {id} for {name} is withdrawn: whoever shows it from now on is told that it "
            "is over."
        )
    else:
        said = _(
            "Invitation {id} is withdrawn: whoever shows it from now on is told that it is over."
        )
    click.echo(said.format(id=answer["id"], name=answer["name"]))


def verification(answer: dict[str, Any], *, with_qr: bool) -> None:
    name = answer["name"]
    verified = _("{name} is {verified}.").format(name=name, verified=_verified_in_words(answer))
    mark = f"   postroad verify {_typed(answer)} --matches"
    if answer["compared"]:
        click.echo(_("It matches the safety number of you and {name}.").format(name=name))
        if answer["verified"]:
            click.echo(verified)
        else:
            said = _(
                "If it came from {name} themselves, face to face or on a call in which you knew "
                "their voice, and not by mail or chat, type:"
            )
            click.echo(f"{said.format(name=name)}\n{mark}")
        return
    click.echo(_("The safety number of you and {name}:").format(name=name) + "\n")
    groups = answer["number"]
    for at in range(0, len(groups), 4):
        click.echo("   " + "  ".join(groups[at : at + 4]))
    if with_qr:
        click.echo(f"\n{qr(answer['code'])}")
        click.echo(f"{answer['code']}\n")
        click.echo(_("What their camera reads here, they type after: postroad verify YOU --scan"))
    if answer["verified"]:
        click.echo(f"\n{verified}")
        return
    said = _(
        "{name} sees the same number after postroad verify with your name. Compare all of it, "
        "face to face or on a call in which you know their voice; not by mail or chat. If it is "
        "the same, nobody stands between you, and you type:"
    )
    click.echo(f"\n{said.format(name=name)}\n{mark}")


def verification_forgotten(answer: dict[str, Any]) -> None:
    click.echo(_("{name} is not verified any more.").format(name=answer["name"]))


def _verified_in_words(answer: dict[str, Any]) -> str:
    if answer["verified"]:
        return _("verified by you, on {time}").format(time=moment(answer["verified_at"]))
    said = _("not yet. Compare the safety number: postroad verify {name}")
    return said.format(name=_typed(answer))


def _typed(answer: dict[str, Any]) -> str:
    """The name as it is typed into a shell: what is not plain, as the address."""
    name = str(answer["name"])
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if plain else str(answer["address"])


def _yes(fact: bool) -> str:
    return _("yes") if fact else _("no")
