"""What the command line says to a person: each answer of the node, in words.

Plurals and moments are made here; what is said twice is said in one way.
"""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from postroad.app import tongue
from postroad.app.tongue import _, many, shown
from postroad.base import limits

if TYPE_CHECKING:
    from postroad.app.mail_doors import Sockets
    from postroad.store.pauses import Pause

INSTALL_LINE = "sudo apt-get install ./postroad_*.deb"
INSTALL_LINE_ELSEWHERE = "pipx install ./postroad"


def ready(sockets: "Sockets", pause: "Pause | None") -> None:
    for door, listening in sockets.mail_doors():
        host, port = listening.getsockname()[:2]
        said = _("{door} for your mail program: {host} port {port}")
        click.echo(said.format(door=door.upper(), host=host, port=port))
    for name, shut in sockets.shut.items():
        said = _("{door} is shut, and tried again: {reason}")
        click.echo(said.format(door=name.upper(), reason=shown(shut.reason)))
    click.echo(_("Your node is running. Ctrl-C stops it; your mail stays safe."))
    if pause is not None:
        click.echo(f"{_('It is paused.')} {pause_in_words(pause.until)}")


def rows(*pairs: tuple[str, str], width_min: int = 0) -> None:
    """Names and values in two columns."""
    width = max(width_min, *(len(name) for name, _value in pairs))
    for name, value in pairs:
        click.echo(f"   {name:<{width}}   {value}")


def door_at(protocol: str, port: int, host: str = "127.0.0.1") -> str:
    """Where a mail program finds it."""
    return _("{protocol}  {host}  port {port}").format(protocol=protocol, host=host, port=port)


def for_mail_program() -> None:
    said = _("For your mail program (no encryption: it never leaves this computer):")
    click.echo(f"\n{said}")


def setup(made: dict[str, Any]) -> None:
    click.echo(_("Your address: {address}").format(address=made["address"]) + "\n")
    click.echo(_("Your 24 words. Write them on paper: they are the only way back to this address."))
    words_in_rows(made["words"])
    if made["sheet"]:
        sheet = _("Print {file}: it ends this identity if its keys are ever stolen.")
    else:
        sheet = _("For the day on which keys are stolen, print: postroad identity sheet FILE")
    click.echo("\n" + sheet.format(file=made["sheet"]))
    for_mail_program()
    pop3 = _("{door}   (the INBOX alone)").format(door=door_at("POP3", made["pop3_port"]))
    password = _("{password}   (normal password)").format(password=made["password"])
    rows(
        (_("user name"), made["address"]),
        (_("password"), password),
        (_("incoming"), door_at("IMAP", made["imap_port"])),
        (_("or"), pop3),
        (_("outgoing"), door_at("SMTP", made["smtp_port"])),
    )
    more = _("More about Thunderbird, Evolution, mutt and others: postroad mail-client")
    click.echo(f"   {more}")
    invite = _("postroad invite    or, if somebody invited you: postroad accept")
    if made.get("service"):
        click.echo("\n" + _("Next: {line}").format(line=invite) + "\n")
    else:
        run = _("postroad run    which stays in this terminal. Then, in another one:")
        click.echo("\n" + _("Next: {line}").format(line=run))
        click.echo(f"      {invite}")


def words_in_rows(said: str) -> None:
    words = said.split()
    for at in range(0, len(words), 6):
        row = (f"{at + place + 1:2} {word:<10}" for place, word in enumerate(words[at : at + 6]))
        click.echo("   " + " ".join(row).rstrip())


def invitation(answer: dict[str, Any]) -> None:
    until = moment(answer["expires_at"])
    if answer["name"]:
        send = _("Send this to {whom}, by a way you trust; it works once, until {time}:")
    else:
        send = _("Send this to one person, by a way you trust; it works once, until {time}:")
    click.echo(send.format(whom=answer["name"], time=until) + "\n")
    click.echo(
        _(
            "Let us write to each other with Postroad: email with no mail server.\n"
            "1. Install it:      {line}\n"
            "   or, elsewhere:   {line_elsewhere}\n"
            "                    (a package for Debian 12 and 13 and Ubuntu 24.04, or the\n"
            "                    folder with Postroad, comes with this)\n"
            "2. Make an address: postroad setup\n"
            "3. Start it:        postroad run    (unless setup says that it runs)\n"
            "4. Then type:       postroad accept\n"
            "5. And paste this:  {link}"
        ).format(line=INSTALL_LINE, line_elsewhere=INSTALL_LINE_ELSEWHERE, link=answer["link"])
    )
    click.echo(f"\n{_told_in_words(answer['holders_told'], answer['holders'])}")
    click.echo(_("To withdraw it: postroad invitations withdraw {id}").format(id=answer["id"]))


def _told_in_words(told: int, holders: int) -> str:
    """Who takes the answer to an invitation while we are off."""
    if not holders:
        return _(
            "Nobody holds letters for you yet, so your node has to be running when they accept."
        )
    if not told:
        return many(
            "Your holder could not be told of it just now, so keep your node running: it tells "
            "them as soon as they can be reached.",
            "None of your {n} holders could be told of it just now, so keep your node running: it "
            "tells them as soon as they can be reached.",
            holders,
        )
    if told < holders:
        return many(
            "{n} of your {all} holders knows of it already, so they can accept while you are away.",
            "{n} of your {all} holders know of it already, so they can accept while you are away.",
            told,
        ).format(all=holders)
    return many(
        "Your holder knows of it, so they can accept while you are away.",
        "Your {n} holders know of it, so they can accept while you are away.",
        holders,
    )


def acceptance(answer: dict[str, Any]) -> None:
    if "helper" in answer:
        said = _("The helper {helper} serves you now: it relays and holds for you.")
        click.echo(said.format(helper=answer["helper"]))
        return
    if not answer["is_new"]:
        said = _("You and {address} are contacts already.")
        click.echo(said.format(address=answer["address"]))
        return
    click.echo(_("You can write to {address} now.").format(address=answer["address"]))
    click.echo(_("Do it in your mail program. What to type into that: postroad mail-client"))
    if answer["name"] != answer["address"].partition(".")[0]:
        click.echo(
            _(
                "You call them {name}: another contact of yours has that name, and another key. "
                "Compare the safety number before you trust either: postroad verify {name}"
            ).format(name=answer["name"])
        )
    click.echo(
        _(
            "Their node has yet to hear of you: then a letter of theirs comes to your INBOX. When "
            "it does not want you, or somebody used the invitation before you, a notice there says "
            "so."
        )
    )


def pause(answer: dict[str, Any]) -> None:
    click.echo(pause_in_words(answer["paused_until"]))


def resumption(answer: dict[str, Any]) -> None:
    if answer["was_paused"]:
        click.echo(_("Your node is on the network again; what waited comes and goes now."))
    else:
        click.echo(_("Your node was not paused."))


def pause_in_words(until: float | None) -> str:
    if until is None:
        first = _("No letter comes or goes until you type: postroad resume.")
    else:
        first = _("No letter comes or goes until {time}, or until you type: postroad resume.")
    meanwhile = _(
        "You can read and write meanwhile; letters wait, those to you with their senders and your "
        "holders."
    )
    return f"{first.format(time=moment(until))} {meanwhile}"


def helper_ready(relay_port: int) -> None:
    said = _("The helper is running, and relays on TCP port {port}. Ctrl-C stops it.")
    click.echo(said.format(port=relay_port))


def helper_link(answer: dict[str, Any]) -> None:
    click.echo(
        many(
            "Give this to one person whom the helper shall serve; it works once, for {n} day.",
            "Give this to one person whom the helper shall serve; it works once, for {n} days.",
            limits.INVITATION_SECONDS_DEFAULT // limits.DAY,
        )
    )
    said = _("They type postroad accept and paste it, or read the code with their camera:")
    click.echo(f"{said}\n")
    click.echo(f"{answer['link']}\n")
    click.echo(qr(answer["link"]))


def helper_people(answer: dict[str, Any]) -> None:
    if not answer["people"]:
        click.echo(_("Nobody yet. Make a link for somebody with: postroad helper invite"))
    for person in answer["people"]:
        said = _("{address}  last seen: {time}  {letters} kept")
        click.echo(
            said.format(
                address=person["address"],
                time=moment(person["seen_at"]),
                letters=letters(person["letters_held"]),
            )
        )


def helper_status(answer: dict[str, Any]) -> None:
    where = ", ".join(answer["addresses"]) or _("no address that it knows")
    said = _("The helper {helper} is running, at {places}.")
    click.echo(said.format(helper=answer["helper"], places=where))
    if answer["relay"]:
        click.echo(_("It relays at {place} (TCP).").format(place=answer["relay"]))
    people = _("no people")
    if answer["people"]:
        people = many("{n} person", "{n} people", answer["people"])
    said = _("It serves {people} and keeps {letters} for them.")
    click.echo(said.format(people=people, letters=letters(answer["letters_held"])))


def helpers(answer: dict[str, Any]) -> None:
    if not answer["helpers"]:
        click.echo(
            _(
                "You have no helper. Whoever runs one (sudo postroad helper enable) can give you a "
                "link: paste it after postroad accept."
            )
        )
    for one in answer["helpers"]:
        click.echo(f"{one['name']:<16}  {last_seen(one['seen_at'])}")
        if one["refusal"]:
            refusal = _("It does not serve you any more: {reason}").format(reason=one["refusal"])
            click.echo(f"   {refusal}")


def helper_removed(name: str) -> None:
    click.echo(_("{name} is no helper of yours any more.").format(name=name))


def last_seen(at: float | None) -> str:
    return _("last seen: {time}").format(time=moment(at))


def qr(text: str) -> str:
    """The text as a QR code, drawn with half blocks for a terminal."""
    import segno

    out = io.StringIO()
    segno.make(text, error="m").terminal(out=out, compact=True)
    return out.getvalue()


def bundle_written(answer: dict[str, Any], file: Path) -> None:
    parts = [letters(answer["letters"]), receipts(answer["receipts"])]
    if answer["invitation"]:
        parts.append(_("an invitation"))
    said = _("{file}: {things}. Bring it to whom it is for, who types:")
    click.echo(said.format(file=file, things=_listed(parts)))
    accept = " --accept" if answer["invitation"] else ""
    click.echo(f"   postroad bundle read {file.name} --answer back.bundle{accept}")
    if answer["letters"]:
        click.echo(_("Your letters go on waiting here as well, until their receipts come."))
    if answer["invitation"]:
        click.echo(
            _("Whoever has this file first can use the invitation, so show it to nobody else.")
        )
    if answer["left_out"]:
        click.echo(
            many(
                "{n} letter is not in it; postroad queue says why.",
                "{n} letters are not in it; postroad queue says why.",
                answer["left_out"],
            )
        )


def bundle_read(found: dict[str, Any], file: Path, answer: Path | None) -> None:
    told = [said for name, said in _brought(found).items() if found[name]]
    if found["accepted"]:
        told.append(_("You can write to {address} now.").format(address=found["inviter"]))
    elif found["inviter"]:
        said = _(
            "It has an invitation of {inviter}. If you trust it, type: postroad bundle read {file} "
            "--accept"
        )
        told.append(said.format(inviter=found["inviter"], file=file))
    for sentence in told or [_("There was nothing new for you in it.")]:
        click.echo(sentence)
    if found["trouble"]:
        click.echo(found["trouble"])
    if answer is not None:
        _tell_answer(found, answer)


def _tell_answer(found: dict[str, Any], answer: Path) -> None:
    back = found["answer"]
    if back is None:
        click.echo(_("No answer was written: its author is not among your contacts."))
    elif not back["written"]:
        click.echo(_("No answer was written: there is nothing to bring back."))
    else:
        parts = [letters(back["letters"]), receipts(back["receipts"])]
        if back["wishes"]:
            anew = many(
                "{n} letter to be sealed anew", "{n} letters to be sealed anew", back["wishes"]
            )
            parts.append(anew)
        said = _("{file}: {things} to bring back to {author}.")
        click.echo(said.format(file=answer, things=_listed(parts), author=found["author"]))


def _brought(found: dict[str, Any]) -> dict[str, str]:
    """What is said of each kind of thing that was in it."""
    return {
        "filed": many("{n} letter was filed.", "{n} letters were filed.", found["filed"]),
        "known": many(
            "{n} letter was here already.", "{n} letters were here already.", found["known"]
        ),
        "refused": many(
            "{n} letter was refused; the receipt says why.",
            "{n} letters were refused; the receipt says why.",
            found["refused"],
        ),
        "left": many(
            "{n} letter was not taken now; read the bundle again.",
            "{n} letters were not taken now; read the bundle again.",
            found["left"],
        ),
        "unreadable": many(
            "{n} thing was damaged on the way.",
            "{n} things were damaged on the way.",
            found["unreadable"],
        ),
        "held": many(
            "{n} letter is for somebody you hold for, and kept.",
            "{n} letters are for somebody you hold for, and kept.",
            found["held"],
        ),
        "for_others": many(
            "{n} letter is for somebody else.",
            "{n} letters are for somebody else.",
            found["for_others"],
        ),
        "to_be_sealed_anew": many(
            "{n} letter is for keys not here; answer it.",
            "{n} letters are for keys not here; answer it.",
            found["to_be_sealed_anew"],
        ),
        "sealed_anew": many(
            "{n} letter is sealed anew, for the next bundle.",
            "{n} letters are sealed anew, for the next bundle.",
            found["sealed_anew"],
        ),
        "changes": many("{n} change of keys came.", "{n} changes of keys came.", found["changes"]),
        "receipts": many(
            "{n} receipt came for letters of yours.",
            "{n} receipts came for letters of yours.",
            found["receipts"],
        ),
        "receipts_for_others": many(
            "{n} receipt is for somebody else.",
            "{n} receipts are for somebody else.",
            found["receipts_for_others"],
        ),
    }


def _listed(parts: list[str]) -> str:
    if len(parts) == 1:
        return parts[0]
    return _("{these} and {last}").format(these=", ".join(parts[:-1]), last=parts[-1])


def letters(count: int) -> str:
    return many("{n} letter", "{n} letters", count) if count else _("no letters")


def receipts(count: int) -> str:
    return many("{n} receipt", "{n} receipts", count) if count else _("no receipts")


def _number(count: int, noun: str, nouns: str = "") -> str:
    return f"{count or 'no'} {noun if count == 1 else nouns or noun + 's'}"


number_of = _number  # for those who tell of one thing in a module of its own


def moment(at: float | None) -> str:
    return _("never") if at is None else tongue.moment(at)
