"""What the command line says about contacts, in words."""

from pathlib import Path
from typing import Any

import click

from postroad.app import tables
from postroad.app.telling import moment, number_of, qr


def contacts(answer: dict[str, Any]) -> None:
    if not answer["contacts"]:
        click.echo("Nobody yet. Make an invitation with: postroad invite")
        return
    tables.show(
        ("name", "address", "", "last seen"),
        [
            (one["name"], one["address"], _standing(one), moment(one["seen_at"]))
            for one in answer["contacts"]
        ],
        lambda row: f"{row[0]:<12}  {row[1]}  {row[2]:<12}  last seen: {row[3]}",
    )


def _standing(person: dict[str, Any]) -> str:
    if person["revoked"]:
        return "revoked"
    if person["blocked"]:
        return "blocked"
    return "verified" if person["verified"] else "not verified"


def contact(answer: dict[str, Any]) -> None:
    click.echo(f"{answer['name']}")
    click.echo(f"   address     {answer['address']}")
    click.echo(f"   verified    {_verified_in_words(answer)}")
    click.echo(f"   contact     since {moment(answer['since'])}")
    click.echo(f"   last seen   {moment(answer['seen_at'])}")
    click.echo(f"   holds for you: {_yes(answer['holds_for_us'])}")
    click.echo(f"   you hold for them: {_yes(answer['we_hold_for_them'])}")
    click.echo(f"   letters on the way to them: {answer['letters_under_way']}")
    if answer["revoked"]:
        click.echo("   Their identity was revoked: ask them for an invitation to their new one.")
    elif answer["blocked"]:
        click.echo(f"   You have blocked them. See: postroad contacts unblock {_typed(answer)}")


def renamed(answer: dict[str, Any]) -> None:
    click.echo(f"{answer['before']} is called {answer['name']} now: {answer['address']}")


def blocked(answer: dict[str, Any]) -> None:
    name = answer["name"]
    click.echo(
        f"You have blocked {name}. Letters of theirs are refused, and their node is told that you "
        "do not take them; what is in your folders stays."
    )
    _tell_letters(answer, "{waits} until you unblock them or the time is over: postroad queue")
    _tell_holding(answer)


def unblocked(answer: dict[str, Any]) -> None:
    click.echo(f"{answer['name']} is not blocked any more: letters go both ways again.")
    if answer["letters_under_way"]:
        click.echo(f"{number_of(answer['letters_under_way'], 'letter')} of yours to them, now.")


def removed(answer: dict[str, Any]) -> None:
    name = answer["name"]
    click.echo(
        f"{name} is no contact of yours any more: letters of theirs are a stranger's. What they "
        "wrote before stays in your folders."
    )
    _tell_letters(answer, "{was} cancelled")
    _tell_holding(answer)


def _tell_letters(answer: dict[str, Any], fate: str) -> None:
    """What becomes of the owner's letters that are on the way to them."""
    count = answer["letters_under_way"]
    if count:
        verbs = ("waits", "was") if count == 1 else ("wait", "were")
        said = fate.format(waits=verbs[0], was=verbs[1])
        click.echo(
            f"{number_of(count, 'letter')} of yours to {answer['name']} {said}. What their holders "
            "have already, they may still get."
        )


def _tell_holding(answer: dict[str, Any]) -> None:
    """What becomes of letters that lie at one of the two for the other."""
    if answer["holds_for_us"]:
        click.echo(
            f"{answer['name']}'s node holds letters for you until another one does in its place."
        )
    if answer["we_hold_for_them"]:
        click.echo(
            "Your node takes no more letters for them; they can fetch those that lie here, and "
            "their node is told to look for another holder."
        )


def exported(answer: dict[str, Any], file: Path | None) -> None:
    if file is None:
        click.echo(answer["text"], nl=False)
        return
    click.echo(f"{file}: {number_of(answer['count'], 'contact')}.")
    if answer["left_out"]:
        click.echo(f"Left out: {number_of(answer['left_out'], 'blocked contact')}.")


def invitations(answer: dict[str, Any]) -> None:
    if not answer["invitations"]:
        click.echo("You made none that is remembered. Make one with: postroad invite")
        return
    tables.show(
        ("id", "what became of it", "for"),
        [(one["id"], _state_in_words(one), one["name"]) for one in answer["invitations"]],
        lambda row: f"{row[0]}  {row[1]} {f' for {row[2]}' if row[2] else ''}".rstrip(),
    )


def _state_in_words(one: dict[str, Any]) -> str:
    match one["state"]:
        case "open":
            return f"open until {moment(one['expires_at'])}"
        case "used":
            return f"used by {one['used_by']}, {moment(one['used_at'])}"
        case "withdrawn" if one["used_by"]:
            return f"used by {one['used_by']}, who is no contact any more"
        case "withdrawn":
            return f"withdrawn, {moment(one['withdrawn_at'])}"
        case _:
            return f"expired, {moment(one['expires_at'])}"


def _for_whom(one: dict[str, Any]) -> str:
    return f" for {one['name']}" if one["name"] else ""


def withdrawn(answer: dict[str, Any]) -> None:
    click.echo(
        f"Invitation {answer['id']}{_for_whom(answer)} is withdrawn: whoever shows it from now on "
        "is told that it is over."
    )


def verification(answer: dict[str, Any], *, with_qr: bool) -> None:
    name = answer["name"]
    if answer["compared"]:
        click.echo(f"It matches the safety number of you and {name}.")
        if answer["verified"]:
            click.echo(f"{name} is {_verified_in_words(answer)}.")
        else:
            click.echo(
                f"If it came from {name} themselves, face to face or on a call in which you knew "
                "their voice, and not by mail or chat, type:\n"
                f"   postroad verify {_typed(answer)} --matches"
            )
        return
    click.echo(f"The safety number of you and {name}:\n")
    groups = answer["number"]
    for at in range(0, len(groups), 4):
        click.echo("   " + "  ".join(groups[at : at + 4]))
    if with_qr:
        click.echo(f"\n{qr(answer['code'])}")
        click.echo(f"{answer['code']}\n")
        click.echo("What their camera reads here, they type after: postroad verify YOU --scan")
    if answer["verified"]:
        click.echo(f"\n{name} is {_verified_in_words(answer)}.")
        return
    click.echo(
        f"\n{name} sees the same number after postroad verify with your name. Compare all of it, "
        "face to face or on a call in which you know their voice; not by mail or chat. If it is "
        f"the same, nobody stands between you, and you type:\n"
        f"   postroad verify {_typed(answer)} --matches"
    )


def verification_forgotten(answer: dict[str, Any]) -> None:
    click.echo(f"{answer['name']} is not verified any more.")


def _verified_in_words(answer: dict[str, Any]) -> str:
    if answer["verified"]:
        return f"verified by you, on {moment(answer['verified_at'])}"
    return f"not yet. Compare the safety number: postroad verify {_typed(answer)}"


def _typed(answer: dict[str, Any]) -> str:
    """The name as it is typed into a shell: what is not plain, as the address."""
    name = str(answer["name"])
    plain = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if plain else str(answer["address"])


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"
