"""`postroad contacts ...` and `verify`: the people you can write to, and whether they are they."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from postroad.app import completing
from postroad.app import telling_contacts as telling
from postroad.app.asking import Misused, as_json, ask_own, finish, line_of_stdin, list_all
from postroad.app.owners_file import WrittenFile
from postroad.app.tongue import _
from postroad.phrases import phrase

FORMATS = ("thunderbird", "vcard")
named = click.argument("name", shell_complete=completing.contacts)


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def contacts(context: click.Context, json_wanted: bool) -> None:
    """List the people you can write to, and do something about one of them."""
    list_all(context, "contacts", json_wanted, telling.contacts)


@contacts.command()
@named
@as_json
@click.pass_context
def show(context: click.Context, name: str, json_wanted: bool) -> None:
    """Tell all about the contact NAME: their name, address or fingerprint."""
    _do(context, "contact", name, json_wanted, telling.contact)


@contacts.command()
@named
@click.argument("new_name")
@as_json
@click.pass_context
def rename(context: click.Context, name: str, new_name: str, json_wanted: bool) -> None:
    """Call the contact NAME by a NEW_NAME of your own; they do not hear of it."""
    _do(context, "rename contact", name, json_wanted, telling.renamed, to=new_name)


@contacts.command()
@named
@as_json
@click.pass_context
def block(context: click.Context, name: str, json_wanted: bool) -> None:
    """Refuse all letters of the contact NAME, and do nothing for them, until `unblock`."""
    _do(context, "block contact", name, json_wanted, telling.blocked)


@contacts.command()
@named
@as_json
@click.pass_context
def unblock(context: click.Context, name: str, json_wanted: bool) -> None:
    """Let letters go both ways again with the contact NAME."""
    _do(context, "unblock contact", name, json_wanted, telling.unblocked)


@contacts.command()
@named
@click.option("--cancel-letters", is_flag=True, help="Give up what is on its way to them, too.")
@as_json
@click.pass_context
def remove(context: click.Context, name: str, cancel_letters: bool, json_wanted: bool) -> None:
    """Have no more to do with the contact NAME: they are a stranger again.

    What they wrote stays in your folders; letters that they write now are a stranger's."""
    _do(
        context, "remove contact", name, json_wanted, telling.removed, cancel_letters=cancel_letters
    )


@contacts.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    required=True,
    help="thunderbird: an LDIF file for its Import; vcard: vCard 4.0.",
)
@click.option(
    "--to",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it into this new file, not to the terminal.",
)
@as_json
@click.pass_context
def export(context: click.Context, form: str, file: Path | None, json_wanted: bool) -> None:
    """Write your contacts for another program's address book; blocked ones are left out."""

    def work() -> dict[str, Any]:
        if file is not None:
            WrittenFile.check_is_new(file)
        answer = ask_own(context.obj.config, do="export contacts", format=form)
        if file is not None:
            with WrittenFile(file) as opened:
                opened.take(answer["text"].encode())
                opened.keep()
        return answer

    finish(work, json_wanted, lambda answer: telling.exported(answer, file))


@click.command()
@named
@click.option("--qr", is_flag=True, help="Show it as a code for the other's camera, too.")
@click.option("--code", metavar="TEXT", help="Compare with what they read out, or with their code.")
@click.option("--scan", is_flag=True, help="The same with what a camera reads: it is asked for.")
@click.option("--matches", is_flag=True, help="You compared it, and it is the same: mark them.")
@click.option("--forget", is_flag=True, help="Take that mark away.")
@as_json
@click.pass_context
def verify(
    context: click.Context,
    name: str,
    qr: bool,
    code: str | None,
    scan: bool,
    matches: bool,
    forget: bool,
    json_wanted: bool,
) -> None:
    """Show the safety number of you and the contact NAME, and mark them when it is the same."""

    def work() -> dict[str, Any]:
        if forget and (qr or code or scan or matches):
            raise Misused(phrase("--forget goes with no other option."))
        if scan and code:
            raise Misused(phrase("Say --code or --scan, not both."))
        return ask_own(
            context.obj.config,
            do="verify contact",
            name=name,
            code=_read_code() if scan else code,
            matches=matches,
            forget=forget,
        )

    def show(answer: dict[str, Any]) -> None:
        if forget:
            telling.verification_forgotten(answer)
        else:
            telling.verification(answer, with_qr=qr)

    finish(work, json_wanted, show)


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def invitations(context: click.Context, json_wanted: bool) -> None:
    """List the invitations that you made: open, used, withdrawn or expired."""
    list_all(context, "invitations", json_wanted, telling.invitations)


@invitations.command()
@click.argument("id", shell_complete=completing.invitations)
@as_json
@click.pass_context
def withdraw(context: click.Context, id: str, json_wanted: bool) -> None:  # noqa: A002
    """Withdraw the open invitation ID: whoever shows it is told that it is over."""
    finish(
        lambda: ask_own(context.obj.config, do="withdraw invitation", id=id),
        json_wanted,
        telling.withdrawn,
    )


def _do(
    context: click.Context,
    what: str,
    name: str,
    json_wanted: bool,
    show: Callable[[dict[str, Any]], None],
    **more: str | bool,
) -> None:
    """Ask the node for this about one contact."""
    finish(lambda: ask_own(context.obj.config, do=what, name=name, **more), json_wanted, show)


def _read_code() -> str:
    """What a camera read: one line of a program that scans, or pasted."""
    if sys.stdin.isatty():
        asked = _("What does your camera read from their code?")
        click.echo(f"{asked} ", nl=False, err=True)
    return line_of_stdin("What your camera read").strip()
