"""`postroad mail-client`: the settings of a mail program, shown, or written where that is safe."""

import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import click

from postroad.app import durable, mail_clients
from postroad.app import policy as policies
from postroad.app import telling_mail_client as telling
from postroad.app.asking import Misused, NotRunning, as_json, ask, ask_own, finish, line_of_stdin
from postroad.app.config import Config
from postroad.app.mail_clients import CLIENTS, HOST, PASSWORD_FILE, Account, Client
from postroad.app.owners_file import WrittenFile
from postroad.app.tongue import _
from postroad.base.errors import ConfigurationError, Locked, PostroadError
from postroad.phrases import joined, phrase


@click.command("mail-client")
@click.argument("program", type=click.Choice(list(CLIENTS)), required=False)
@click.option(
    "--write",
    is_flag=True,
    help="Write a file of its own for mutt, mbsync or msmtp, beside your configuration, and your "
    "mailbox password, which is asked for, into another one that only you can read.",
)
@as_json
@click.pass_context
def mail_client(
    context: click.Context, program: str | None, write: bool, json_wanted: bool
) -> None:
    """Show what to type into PROGRAM so that it reads and sends by your node.

    Nothing that is there already is written over. With --json the password is read from stdin."""

    def work() -> dict[str, Any]:
        config, folder = context.obj.config, context.obj.path.absolute().parent
        client = CLIENTS[program or "other"]
        account = _account(config, folder)
        if not write:
            return _told(program or "other", client, account, folder, [])
        if client.file is None:
            files = ", ".join(name for name, one in CLIENTS.items() if one.file)
            raise Misused(
                phrase(
                    "{program} keeps its settings by itself: type them there. --write is for "
                    "{programs}.",
                    program=client.title,
                    programs=files,
                )
            )
        written = _written(client, account, folder, config, json_wanted)
        return _told(program or "other", client, account, folder, written)

    finish(work, json_wanted, telling.settings)


def _account(config: Config, folder: Path) -> Account:
    try:
        found = ask_own(config, do="status")
        if found.get("locked"):
            raise Locked(phrase("Your node is locked. Type first: postroad unlock"))
        if "cannot_start" in found:
            raise ConfigurationError(
                joined(phrase("Your node cannot start yet."), found["cannot_start"])
            )
        address = str(found["address"])
        imap_port, smtp_port = found["imap_port"], found["smtp_port"]
        pop3_port = found["pop3_port"]
    except NotRunning:
        cut = policies.narrowed(config, policies.load())
        address = _address_in(config)
        imap_port, smtp_port, pop3_port = cut.imap_port, cut.smtp_port, cut.pop3_port or None
        if not imap_port or not smtp_port:  # any free one, which only a running node knows
            raise
    if not imap_port or not smtp_port:
        raise ConfigurationError(phrase("Your node has no door for mail programs open."))
    name, kept = address.partition(".")[0], folder / PASSWORD_FILE
    return Account(address, name, imap_port, smtp_port, pop3_port, kept)


def _address_in(config: Config) -> str:
    """The address as the keys say it; NotRunning when they are wrapped."""
    from postroad.machine.disk import FolderDisk
    from postroad.store import keyring

    with closing(FolderDisk(config.data)) as disk:
        try:
            return str(keyring.load(disk).address)
        except Locked as error:
            raise NotRunning from error


def _told(
    program: str, client: Client, account: Account, folder: Path, written: list[Path]
) -> dict[str, Any]:
    common = {
        "host": HOST,
        "user_name": account.address,
        "security": "none",
        "authentication": "password",
    }
    path = folder / client.file_name
    return {
        "program": program,
        "title": client.title,
        "address": account.address,
        "name": account.name,
        "incoming": {"protocol": "imap", "port": account.imap_port, **common},
        "incoming_pop3": (
            {"protocol": "pop3", "port": account.pop3_port, **common} if account.pop3_port else None
        ),
        "outgoing": {"protocol": "smtp", "port": account.smtp_port, **common},
        "steps": list(client.steps),
        "file": str(path) if client.file else None,
        "text": client.file(account) if client.file else None,
        "password_file": str(account.password_file),
        "written": [str(one) for one in written],
        "then": client.then.format(path=path) if client.file else None,
    }


def _written(
    client: Client, account: Account, folder: Path, config: Config, json_wanted: bool
) -> list[Path]:
    """Write the program's file, unless it is there just so, and the password's."""
    assert client.file is not None
    path, text = folder / client.file_name, client.file(account)
    is_there = path.exists() and path.read_text("utf-8", errors="replace") == text
    if not is_there:
        WrittenFile.check_is_new(path)
    password = _right_password(config, json_wanted)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be made: {error.strerror}.") from error
    keep_password(account.password_file, password)
    written = [account.password_file]
    if not is_there:
        with WrittenFile(path) as opened:
            opened.take(text.encode())
            opened.keep()
        written.append(path)
    return written


def _right_password(config: Config, json_wanted: bool) -> str:
    if sys.stdin.isatty() and not json_wanted:
        given = str(click.prompt(_("Your mailbox password"), err=True, hide_input=True))
    else:
        given = line_of_stdin("The mailbox password")
    given = given.strip()
    if not given:
        raise Misused(
            phrase("Your mailbox password is wanted on stdin, in a line of its own.")
        )
    with suppress(NotRunning):  # then nobody can say whether it is the right one
        if not ask(config.control_path, do="check password", password=given)["is_right"]:
            raise PostroadError(
                phrase(
                    "That is not your mailbox password. It was shown once, by postroad setup; a "
                    "new one is made by: postroad password"
                )
            )
    return given


def keep_password(path: Path, password: str) -> None:
    """Write the file from which mutt, mbsync and msmtp read it: ours, so an old one goes."""
    try:
        durable.write(path, f"{password}\n".encode())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}.") from error


def renew_kept_password(folder: Path, password: str) -> Path | None:
    """Write a new password where the old one is kept for programs; None where it is not."""
    path = folder / mail_clients.PASSWORD_FILE
    if not path.is_file():
        return None
    keep_password(path, password)
    return path
