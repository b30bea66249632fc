"""`postroad setup`: an address and keys, new ones or those of 24 words, with a backup or without.

Where it cannot keep its keys after it showed them, the answer is out already: the sentence is on
stderr, the exit code is 1, and what was shown counts for nothing.
"""

from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from postroad.app import config as configuration
from postroad.app import policy as policies
from postroad.app import service as services
from postroad.app import telling, telling_backup, telling_service
from postroad.app.asking import Misused, as_json, ask, finish
from postroad.app.config import LINKS, Config
from postroad.app.keys_cli import WAYS, wrapping_asked
from postroad.app.policy import Policy
from postroad.app.service_cli import enabled, own_config
from postroad.app.terminal import identity_asked, progress
from postroad.app.tongue import _
from postroad.base.errors import PostroadError
from postroad.phrases import phrase

if TYPE_CHECKING:
    from postroad.app.setting_up import Means

WORDS_ALONE = "--"  # what `--restore` without a folder says
DOORS = ("smtp_port", "imap_port", "pop3_port")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was typed. `restore`: a folder, WORDS_ALONE, or None for a new identity."""

    name: str | None
    restore: str | None
    incomplete: bool
    data: Path | None
    link: str | None = field(repr=False)  # no secret, but elsewhere what is called so is one
    protect: str
    sheet: Path | None

    @property
    def backup(self) -> Path | None:
        return None if self.restore in (None, WORDS_ALONE) else Path(str(self.restore))


@click.command()
@click.option("--name", help="The part of your address before the dot: a-z, 0-9, - and _.")
@click.option(
    "--restore",
    is_flag=False,
    flag_value=WORDS_ALONE,
    metavar="[FOLDER]",
    help="Ask for the 24 words of an identity you have, and restore the backup in FOLDER, if you "
    "name one; with --json the words come on stdin.",
)
@click.option(
    "--incomplete",
    is_flag=True,
    help="Restore also a backup in which letters are damaged, and do without those.",
)
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder.")
@click.option("--link", type=click.Choice(LINKS), help="How nodes reach each other.")
@click.option(
    "--protect",
    type=click.Choice(WAYS),
    default="plain",
    help="What opens your keys (see: postroad keys protect); a passphrase is asked for, and with "
    "--json read from the first line of stdin.",
)
@click.option(
    "--sheet",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the revocation sheet into this file, to be printed; see: postroad identity.",
)
@click.option("--no-service", is_flag=True, help="Leave it to you to start your node.")
@as_json
@click.pass_obj
def setup(place: Any, /, no_service: bool, json_wanted: bool, **options: Any) -> None:
    """Make your address and keys; shows your 24 words and mailbox password, once."""
    asked = _Asked(**options)
    # The unit of the service says no other file.
    is_usual = place.path == configuration.default_path()
    with_service = not no_service and is_usual and services.is_to_be_had()

    def prepare() -> dict[str, Any]:
        way = _new if asked.backup is None else _restored
        return {**way(until_shown, place.path, asked, json_wanted), "service": with_service}

    def settle() -> dict[str, Any]:
        until_shown.pop_all().close()
        with suppress(PostroadError):  # no node runs yet that would wait for this
            ask(configuration.load(place.path).control_path, do="look again")
        return enabled(own_config(place)) if with_service else {}

    def settled(answer: dict[str, Any]) -> None:
        if answer and not json_wanted:
            telling_service.enabled(answer)

    with ExitStack() as until_shown:
        show = telling.setup if asked.backup is None else telling_backup.restored
        finish(prepare, json_wanted, show)
        finish(settle, False, settled)  # an error here is told beside the answer


def _new(until_shown: ExitStack, path: Path, asked: _Asked, json_wanted: bool) -> dict[str, Any]:
    """A new identity, or a new device of that of 24 words; it counts when `until_shown` is left
    without an error."""
    from postroad.app import setting_up
    from postroad.app import sheet as sheets
    from postroad.sealing.keys import SEED_BYTES, Identity

    if asked.incomplete:
        raise Misused(
            phrase("--incomplete is about a backup: say where it is with --restore FOLDER.")
        )
    config, policy = _config(path, asked)
    name = asked.name or _ask_for_name(json_wanted)
    means = _means(config, asked, json_wanted)
    if asked.restore is None:
        identity = Identity(means.entropy.token(SEED_BYTES))
    else:
        identity = identity_asked(json_wanted)
    made = until_shown.enter_context(setting_up.set_up(path, config, name, identity, means))
    if asked.sheet is not None:
        sheets.write_at_set_up(asked.sheet, made.words, made.address, means.clock.now())
    return {
        "sheet": None if asked.sheet is None else str(asked.sheet),
        "address": str(made.address),
        "words": made.words,
        "password": made.password,
        **_ports(made.config, policy),
    }


def _restored(
    until_shown: ExitStack, path: Path, asked: _Asked, json_wanted: bool
) -> dict[str, Any]:
    """The same with all that is in a backup."""
    from postroad.app import restoring

    assert asked.backup is not None
    if asked.name is not None or asked.sheet is not None:
        raise Misused(phrase("The backup has your name, and your sheet is printed: leave those."))
    config, policy = _config(path, asked)
    means = _means(config, asked, json_wanted)
    identity = identity_asked(json_wanted)
    source = restoring.Source(asked.backup.absolute(), identity, asked.incomplete)
    with progress(_("Restoring your mail"), json_wanted) as seen:
        made = until_shown.enter_context(restoring.restored(path, config, source, means, seen))
    return {
        "address": str(made.address),
        **_ports(made.config, policy),
        "made_at": made.made_at,
        "messages": made.messages,
        "missing": made.missing,
    }


def _config(path: Path, asked: _Asked) -> tuple[Config, Policy]:
    """What is to be written down, and the policy that allows it."""
    config = configuration.load(path)  # it need not be there yet
    if asked.data is not None:
        config = replace(config, data=asked.data.absolute())
    if asked.link is not None:
        config = replace(config, link=asked.link)
    policy = policies.load()
    return policies.to_set_up(config, policy, asked.link), policy


def _means(config: Config, asked: _Asked, json_wanted: bool) -> "Means":
    from postroad.app.setting_up import Means
    from postroad.machine.clock import SystemClock
    from postroad.machine.entropy import SystemEntropy

    wrapping = wrapping_asked(asked.protect, json_wanted, config)
    return Means(SystemClock(), SystemEntropy(), wrapping, services.held_ports())


def _ports(config: Config, policy: Policy) -> dict[str, int]:
    narrowed = policies.narrowed(config, policy)
    return {door: getattr(narrowed, door) for door in DOORS}


def _ask_for_name(json_wanted: bool) -> str:
    if json_wanted:
        raise Misused("Say your name in your address with --name: --json asks nothing.")
    return str(click.prompt(_("Your name in your address (like anna)"), err=True))
