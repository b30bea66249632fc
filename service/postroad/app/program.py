"""The command `postroad` as a whole: how it is listed, and how it refuses what makes no sense.

Purpose: `--help` shows the commands by what they are for; and a command that cannot be understood
is told in JSON to whoever asked for JSON, with exit code 2 either way.
"""

import importlib
import sys
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import click

from postroad.app import tongue
from postroad.app.asking import FAILED, LOCKED, NOT_RUNNING, NOT_SET_UP, USAGE, fail, is_text
from postroad.app.tongue import later

EXIT_CODES = {
    0: "All went well.",
    FAILED: "It failed; the sentence says why, and what to do.",
    USAGE: "What was typed cannot be understood.",
    NOT_RUNNING: "Your node is not running, and this needs it.",
    NOT_SET_UP: "You are not set up yet.",
    LOCKED: "Your keys are locked: postroad unlock.",
}
SECTIONS = {
    later("Begin"): ("setup", "run", "service", "mail-client", "test-letter", "doctor"),
    later("People"): (
        *("invite", "accept", "contacts", "requests", "verify", "introduce", "proposals"),
        "invitations",
    ),
    later("Letters"): ("status", "watch", "queue", "statistics", "log", "bundle"),
    later("The network"): ("peers", "netcheck", "pause", "resume", "helpers", "helper"),
    later("Keys and devices"): ("keys", "unlock", "password", "identity", "devices", "revoke"),
    later("Upkeep"): ("store", "backup", "config", "policy", "audit", "version", "schema"),
}
OTHERS = later("Other commands")


class Program(click.Group):
    """The group of all commands; `modules`: where each is, like "package.module:name"."""

    def __init__(self, *, modules: Mapping[str, str], **attributes: Any) -> None:
        self._modules = modules
        self._imported: dict[str, click.Command] = {}
        super().__init__(**attributes)

    @property
    def commands(self) -> MutableMapping[str, click.Command]:
        """All of them, which imports them all."""
        for name in self._modules:
            self._command(name)
        return self._imported

    @commands.setter
    def commands(self, given: MutableMapping[str, click.Command]) -> None:
        assert not given, "this group takes its commands from modules"

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self._command(cmd_name) if cmd_name in self._modules else None

    def _command(self, name: str) -> click.Command:
        if name not in self._imported:
            module, _colon, attribute = self._modules[name].partition(":")
            found = getattr(importlib.import_module(module), attribute)
            assert isinstance(found, click.Command)
            assert found.name == name
            tongue.all_help_of(found)
            self._imported[name] = found
        return self._imported[name]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in self.by_section().items():
            with formatter.section(tongue.said(title)):
                formatter.write_dl(
                    [(name, self.commands[name].get_short_help_str(120)) for name in names]
                )

    def by_section(self) -> dict[str, list[str]]:
        """The names of all commands that are shown, each in one section."""
        shown = {name for name, command in self.commands.items() if not command.hidden}
        found = {
            title: [name for name in names if name in shown] for title, names in SECTIONS.items()
        }
        known = {name for names in SECTIONS.values() for name in names}
        found[OTHERS] = sorted(shown - known)
        return {title: names for title, names in found.items() if names}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Octets that are no text end here: neither a node nor a terminal could say them again."""
        for each in args:
            if not is_text(each):
                said = each.encode(errors="backslashreplace").decode()
                raise click.UsageError(
                    f'"{said}" is not UTF-8, and Postroad takes nothing else: set your terminal to '
                    "UTF-8, or give the file another name."
                )
        return super().parse_args(ctx, args)

    def main(self, args: Sequence[str] | None = None, *more: Any, **options: Any) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        if not _wants_json(words):
            return super().main(words, *more, **options)
        try:
            code = super().main(words, *more, **{**options, "standalone_mode": False})
        except click.UsageError as error:
            fail(_sentence(error), USAGE, json_wanted=True)
        except click.ClickException as error:
            fail(error.format_message(), FAILED, json_wanted=True)
        except click.Abort:
            fail("Stopped.", FAILED, json_wanted=True)
        sys.exit(code if isinstance(code, int) else 0)


def _wants_json(words: list[str]) -> bool:
    """As far as that can be said of a command that was not understood."""
    meant = words[: words.index("--")] if "--" in words else words
    return "--json" in meant


def _sentence(error: click.UsageError) -> str:
    context = error.ctx
    path = "postroad" if context is None else context.command_path
    return f"{error.format_message()} See: {path} --help"
