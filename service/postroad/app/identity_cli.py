"""`postroad devices`, `identity` and `revoke`: what speaks for you, and how that ends."""

import base64
import sys
from pathlib import Path
from typing import Any

import click

from postroad.app import completing
from postroad.app import telling_identity as telling
from postroad.app.asking import Misused, as_json, ask_own, finish, line_of_stdin, list_all
from postroad.app.keys_cli import owners_passphrase
from postroad.app.owners_file import WrittenFile
from postroad.app.tongue import _, shown
from postroad.base.errors import ConfigurationError
from postroad.phrases import joined, phrase

a_new_file = click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
sure = click.option("--yes", is_flag=True, help="Do not ask whether you are sure.")


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def devices(context: click.Context, json_wanted: bool) -> None:
    """List the computers that were set up from your 24 words, as far as this one knows."""
    list_all(context, "devices", json_wanted, telling.devices)


@devices.command("revoke")
@click.argument("device", shell_complete=completing.devices)
@sure
@as_json
@click.pass_context
def revoke_device(context: click.Context, device: str, yes: bool, json_wanted: bool) -> None:
    """Revoke DEVICE, a number from the list: from then on nobody takes anything from it.

    For a computer that was lost, and whose keys nobody can read. If somebody can, they have your
    identity: then rotate it (`identity rotate`), or end it with the printed sheet. The passphrase
    of your keys, where they have one, is asked for, or read from stdin."""

    def work() -> dict[str, Any]:
        config = context.obj.config
        passphrase = owners_passphrase(config, json_wanted)
        revokes = phrase("Revoke {device} for ever?", device=device)
        _expect_sure(yes, json_wanted, revokes)
        return ask_own(config, do="revoke device", device=device, passphrase=passphrase)

    finish(work, json_wanted, telling.device_revoked)


@click.group(invoke_without_command=True)
@as_json
@click.pass_context
def identity(context: click.Context, json_wanted: bool) -> None:
    """Show who you are and were; print what ends your identity, or hand it on to a new one."""
    list_all(context, "identity", json_wanted, telling.identity)


@identity.command()
@click.option("--finish", "words_are_kept", is_flag=True, help="The new words are on paper.")
@as_json
@click.pass_context
def rotate(context: click.Context, words_are_kept: bool, json_wanted: bool) -> None:
    """Hand your identity on to a new one, with new 24 words and a new address.

    Your contacts are told, and see that your key is new. Letters to the old address still reach
    you. The passphrase of your keys, where they have one, is asked for first, or read from stdin.
    With --json the new words are shown by one call, and the words it asks for come on stdin of a
    second one, with --finish."""

    def begin() -> dict[str, Any]:
        config = context.obj.config
        passphrase = owners_passphrase(config, json_wanted)
        return ask_own(config, do="rotate begin", passphrase=passphrase)

    def end(asked: list[int]) -> dict[str, Any]:
        words = _asked_words(asked, json_wanted)
        return ask_own(context.obj.config, do="rotate finish", words=words)

    if words_are_kept:
        finish(lambda: end([]), json_wanted, telling.rotated)
        return
    begun: dict[str, Any] = {}

    def show(answer: dict[str, Any]) -> None:
        telling.new_words(answer)
        begun.update(answer)

    finish(begin, json_wanted, show)
    if begun:
        finish(lambda: end(begun["asked"]), json_wanted, telling.rotated)


@identity.command("sheet")
@a_new_file
@as_json
@click.pass_context
def print_sheet(context: click.Context, file: Path, json_wanted: bool) -> None:
    """Write the revocation sheet into FILE, a page to open in a browser and print.

    Whoever has it can end your identity, and can do nothing else with it. The passphrase of your
    keys, where they have one, is asked for, or read from stdin."""
    from postroad.app import sheet
    from postroad.machine.clock import SystemClock

    def work() -> dict[str, Any]:
        WrittenFile.check_is_new(file)
        passphrase = owners_passphrase(context.obj.config, json_wanted)
        answer = ask_own(context.obj.config, do="sheet", passphrase=passphrase)
        record = base64.b64decode(answer["record"])
        sheet.write(file, record, answer["address"], SystemClock().now())
        return {"address": answer["address"], "file": str(file)}

    finish(work, json_wanted, telling.sheet_written)


@click.command()
@click.option(
    "--from-sheet",
    "file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page itself, or a copy of its lines or of what its codes say.",
)
@sure
@as_json
@click.pass_context
def revoke(context: click.Context, file: Path, yes: bool, json_wanted: bool) -> None:
    """End an identity for ever with its printed sheet, from any computer where Postroad runs.

    Neither its keys nor its 24 words are needed. Whoever has it as a contact learns it within a
    day."""
    from postroad.app import sheet

    def work() -> dict[str, Any]:
        record = sheet.read(file)
        whose = sheet.whose(record)
        ends = phrase("End the identity {fingerprint} for ever?", fingerprint=whose)
        _expect_sure(yes, json_wanted, ends)
        encoded = base64.b64encode(record).decode()
        return ask_own(context.obj.config, do="publish revocation", record=encoded)

    finish(work, json_wanted, telling.identity_revoked)


def _asked_words(numbers: list[int], json_wanted: bool) -> str:
    """Words of the new 24, never as an argument: those others see."""
    if json_wanted or not sys.stdin.isatty():
        return line_of_stdin("What was said").strip()
    if not numbers:
        return str(click.prompt(_("The words that were asked for"), err=True))
    asked = [_("Word {number}").format(number=number) for number in numbers]
    return " ".join(str(click.prompt(one, err=True)) for one in asked)


def _expect_sure(yes: bool, json_wanted: bool, question: str) -> None:
    """Raises an error unless whoever types this is sure: it cannot be taken back."""
    if yes:
        return
    if json_wanted:
        raise Misused(phrase("This cannot be taken back. Say that you are sure with --yes."))
    asked = joined(question, phrase("This cannot be taken back."))
    if not click.confirm(shown(asked), err=True):
        raise ConfigurationError(phrase("Nothing was done."))
