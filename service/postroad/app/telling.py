"""What the command line says to a person: each answer of the node, in words.

Plurals and moments are made here; what is said twice is said in one way.
"""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from postroad.base import limits

if TYPE_CHECKING:
    from postroad.app.mail_doors import Sockets
    from postroad.store.pauses import Pause

INSTALL_LINE = "sudo apt-get install ./postroad_*.deb"
INSTALL_LINE_ELSEWHERE = "pipx install ./postroad"


def ready(sockets: "Sockets", pause: "Pause | None") -> None:
    for door, listening in sockets.mail_doors():
        host, port = listening.getsockname()[:2]
        click.echo(f"{door.upper()} for your mail program: {host} port {port}")
    for name, shut in sockets.shut.items():
        click.echo(f"{name.upper()} is shut, and tried again: {shut.reason}")
    click.echo("Your node is running. Ctrl-C stops it; your mail stays safe.")
    if pause is not None:
        click.echo(f"It is paused. {pause_in_words(pause.until)}")


def setup(made: dict[str, Any]) -> None:
    click.echo(f"Your address: {made['address']}\n")
    click.echo("Your 24 words. Write them on paper: they are the only way back to this address.")
    words_in_rows(made["words"])
    if made["sheet"]:
        click.echo(f"\nPrint {made['sheet']}: it ends this identity if its keys are ever stolen.")
    else:
        click.echo("\nFor the day on which keys are stolen, print: postroad identity sheet FILE")
    click.echo("\nFor your mail program (no encryption: it never leaves this computer):")
    click.echo(f"   user name   {made['address']}")
    click.echo(f"   password    {made['password']}   (normal password)")
    click.echo(f"   incoming    IMAP  127.0.0.1  port {made['imap_port']}")
    click.echo(f"   or          POP3  127.0.0.1  port {made['pop3_port']}   (the INBOX alone)")
    click.echo(f"   outgoing    SMTP  127.0.0.1  port {made['smtp_port']}")
    click.echo("   More about Thunderbird, Evolution, mutt and others: postroad mail-client")
    if made.get("service"):
        click.echo("\nNext: postroad invite    or, if somebody invited you: postroad accept\n")
    else:
        click.echo("\nNext: postroad run    which stays in this terminal. Then, in another one:")
        click.echo("      postroad invite    or, if somebody invited you: postroad accept")


def words_in_rows(said: str) -> None:
    words = said.split()
    for at in range(0, len(words), 6):
        row = (f"{at + place + 1:2} {word:<10}" for place, word in enumerate(words[at : at + 6]))
        click.echo("   " + " ".join(row).rstrip())


def invitation(answer: dict[str, Any]) -> None:
    whom = answer["name"] or "one person"
    click.echo(
        f"Send this to {whom}, by a way you trust; it works once, until "
        f"{moment(answer['expires_at'])}:\n"
    )
    click.echo("Let us write to each other with Postroad: email with no mail server.")
    click.echo(f"1. Install it:      {INSTALL_LINE}")
    click.echo(f"   or, elsewhere:   {INSTALL_LINE_ELSEWHERE}")
    click.echo("                    (a package for Debian 12 and 13 and Ubuntu 24.04, or the")
    click.echo("                    folder with Postroad, comes with this)")
    click.echo("2. Make an address: postroad setup")
    click.echo("3. Start it:        postroad run    (unless setup says that it runs)")
    click.echo("4. Then type:       postroad accept")
    click.echo(f"5. And paste this:  {answer['link']}")
    click.echo(f"\n{_told_in_words(answer['holders_told'], answer['holders'])}")
    click.echo(f"To withdraw it: postroad invitations withdraw {answer['id']}")


def _told_in_words(told: int, holders: int) -> str:
    """Who takes the answer to an invitation while we are off."""
    if not holders:
        return "Nobody holds letters for you yet, so your node has to be running when they accept."
    if not told:
        whom = "Your holder" if holders == 1 else f"None of your {holders} holders"
        could = "could not be" if holders == 1 else "could be"
        return (
            f"{whom} {could} told of it just now, so keep your node running: it tells them as soon "
            "as they can be reached."
        )
    if told < holders:
        one = "1 of your {} holders knows" if told == 1 else f"{told} of your {{}} holders know"
        return f"{one.format(holders)} of it already, so they can accept while you are away."
    if holders == 1:
        return "Your holder knows of it, so they can accept while you are away."
    return f"Your {holders} holders know of it, so they can accept while you are away."


def acceptance(answer: dict[str, Any]) -> None:
    if "helper" in answer:
        click.echo(f"The helper {answer['helper']} serves you now: it relays and holds for you.")
        return
    if not answer["is_new"]:
        click.echo(f"You and {answer['address']} are contacts already.")
        return
    click.echo(f"You can write to {answer['address']} now.")
    click.echo("Do it in your mail program. What to type into that: postroad mail-client")
    if answer["name"] != answer["address"].partition(".")[0]:
        click.echo(
            f"You call them {answer['name']}: another contact of yours has that name, and another "
            "key. Compare the safety number before you trust either: postroad verify "
            f"{answer['name']}"
        )
    click.echo(
        "Their node has yet to hear of you: then a letter of theirs comes to your INBOX. When it "
        "does not want you, or somebody used the invitation before you, a notice there says so."
    )


def pause(answer: dict[str, Any]) -> None:
    click.echo(pause_in_words(answer["paused_until"]))


def resumption(answer: dict[str, Any]) -> None:
    if answer["was_paused"]:
        click.echo("Your node is on the network again; what waited comes and goes now.")
    else:
        click.echo("Your node was not paused.")


def pause_in_words(until: float | None) -> str:
    resume = "you type: postroad resume"
    end = resume if until is None else f"{moment(until)}, or until {resume}"
    return (
        f"No letter comes or goes until {end}. You can read and write meanwhile; letters wait, "
        "those to you with their senders and your holders."
    )


def helper_ready(relay_port: int) -> None:
    click.echo(f"The helper is running, and relays on TCP port {relay_port}. Ctrl-C stops it.")


def helper_link(answer: dict[str, Any]) -> None:
    days = _number(limits.INVITATION_SECONDS_DEFAULT // limits.DAY, "day")
    click.echo(f"Give this to one person whom the helper shall serve; it works once, for {days}.")
    click.echo("They type postroad accept and paste it, or read the code with their camera:\n")
    click.echo(f"{answer['link']}\n")
    click.echo(qr(answer["link"]))


def helper_people(answer: dict[str, Any]) -> None:
    if not answer["people"]:
        click.echo("Nobody yet. Make a link for somebody with: postroad helper invite")
    for person in answer["people"]:
        keeps = _number(person["letters_held"], "letter")
        seen = moment(person["seen_at"])
        click.echo(f"{person['address']}  last seen: {seen}  {keeps} kept")


def helper_status(answer: dict[str, Any]) -> None:
    where = ", ".join(answer["addresses"]) or "no address that it knows"
    click.echo(f"The helper {answer['helper']} is running, at {where}.")
    if answer["relay"]:
        click.echo(f"It relays at {answer['relay']} (TCP).")
    click.echo(
        f"It serves {_number(answer['people'], 'person', 'people')} and keeps "
        f"{_number(answer['letters_held'], 'letter')} for them."
    )


def helpers(answer: dict[str, Any]) -> None:
    if not answer["helpers"]:
        click.echo(
            "You have no helper. Whoever runs one (sudo postroad helper enable) can give you a "
            "link: paste it after postroad accept."
        )
    for one in answer["helpers"]:
        click.echo(f"{one['name']:<16}  last seen: {moment(one['seen_at'])}")
        if one["refusal"]:
            click.echo(f"   It does not serve you any more: {one['refusal']}")


def qr(text: str) -> str:
    """The text as a QR code, drawn with half blocks for a terminal."""
    import segno

    out = io.StringIO()
    segno.make(text, error="m").terminal(out=out, compact=True)
    return out.getvalue()


def bundle_written(answer: dict[str, Any], file: Path) -> None:
    parts = [_number(answer["letters"], "letter"), _number(answer["receipts"], "receipt")]
    if answer["invitation"]:
        parts.append("an invitation")
    click.echo(f"{file}: {_listed(parts)}. Bring it to whom it is for, who types:")
    accept = " --accept" if answer["invitation"] else ""
    click.echo(f"   postroad bundle read {file.name} --answer back.bundle{accept}")
    if answer["letters"]:
        click.echo("Your letters go on waiting here as well, until their receipts come.")
    if answer["invitation"]:
        click.echo("Whoever has this file first can use the invitation, so show it to nobody else.")
    if answer["left_out"]:
        are = "is" if answer["left_out"] == 1 else "are"
        click.echo(
            f"{_number(answer['left_out'], 'letter')} {are} not in it; postroad queue says why."
        )


def bundle_read(found: dict[str, Any], file: Path, answer: Path | None) -> None:
    told = [
        _about(found["filed"], "letter", "was", "were", "filed."),
        _about(found["known"], "letter", "was", "were", "here already."),
        _about(found["refused"], "letter", "was", "were", "refused; the receipt says why."),
        _about(found["left"], "letter", "was", "were", "not taken now; read the bundle again."),
        _about(found["unreadable"], "thing", "was", "were", "damaged on the way."),
        _about(found["held"], "letter", "is", "are", "for somebody you hold for, and kept."),
        _about(found["for_others"], "letter", "is", "are", "for somebody else."),
        _about(found["to_be_sealed_anew"], "letter", "is", "are", "for keys not here; answer it."),
        _about(found["sealed_anew"], "letter", "is", "are", "sealed anew, for the next bundle."),
        _about(found["changes"], "change", "of keys", "of keys", "came."),
        _about(found["receipts"], "receipt", "came", "came", "for letters of yours."),
        _about(found["receipts_for_others"], "receipt", "is", "are", "for somebody else."),
    ]
    told = [sentence for sentence in told if sentence]
    if found["accepted"]:
        told.append(f"You can write to {found['inviter']} now.")
    elif found["inviter"]:
        told.append(
            f"It has an invitation of {found['inviter']}. If you trust it, type: "
            f"postroad bundle read {file} --accept"
        )
    for sentence in told or ["There was nothing new for you in it."]:
        click.echo(sentence)
    if found["trouble"]:
        click.echo(found["trouble"])
    if answer is not None:
        _tell_answer(found, answer)


def _tell_answer(found: dict[str, Any], answer: Path) -> None:
    back = found["answer"]
    if back is None:
        click.echo("No answer was written: its author is not among your contacts.")
    elif not back["written"]:
        click.echo("No answer was written: there is nothing to bring back.")
    else:
        parts = [_number(back["letters"], "letter"), _number(back["receipts"], "receipt")]
        if back["wishes"]:
            parts.append(_number(back["wishes"], "letter") + " to be sealed anew")
        click.echo(f"{answer}: {_listed(parts)} to bring back to {found['author']}.")


def _about(count: int, noun: str, verb: str, verbs: str, rest: str) -> str:
    if not count:
        return ""
    return f"{_number(count, noun)} {verb if count == 1 else verbs} {rest}"


def _listed(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + " and " + parts[-1]


def _number(count: int, noun: str, nouns: str = "") -> str:
    return f"{count or 'no'} {noun if count == 1 else nouns or noun + 's'}"


number_of = _number  # for those who tell of one thing in a module of its own


def moment(at: float | None) -> str:
    if at is None:
        return "never"
    return datetime.fromtimestamp(at, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
