"""The command line: `postroad setup`, `run`, `invite`, `accept`, `status`, `pause` and so on.

Exit codes: 0 ok, 1 failed, 2 usage, 3 the node is not running, 4 not set up, 5 the keys are locked.
With --json nothing is asked, and the answer is one JSON object on stdout, a failure likewise:
{"version": 1, "error": "a sentence"}.
"""

import io
import sys
from pathlib import Path

import click

from postroad import __version__
from postroad.app import config as configuration
from postroad.app import tongue
from postroad.app.asking import FAILED, fail
from postroad.app.config import Config
from postroad.app.program import Program
from postroad.base.errors import ConfigurationError, NotToBeHad
from postroad.machine import hardening

COMMANDS = {  # each is imported when it is typed: one answers sooner, and a node stays smaller
    "accept": "invite_cli:accept",
    "audit": "audit_cli:audit",
    "backup": "backup_cli:backup",
    "bundle": "bundle_cli:bundle",
    "config": "config_cli:config",
    "contacts": "contacts_cli:contacts",
    "devices": "identity_cli:devices",
    "doctor": "doctor_cli:doctor",
    "helper": "helper_cli:helper",
    "helpers": "network_cli:helpers",
    "identity": "identity_cli:identity",
    "introduce": "proposals_cli:introduce",
    "invitations": "contacts_cli:invitations",
    "invite": "invite_cli:invite",
    "keys": "keys_cli:keys",
    "log": "log_cli:log_command",
    "mail-client": "mail_client_cli:mail_client",
    "netcheck": "network_cli:netcheck",
    "password": "password_cli:password",
    "pause": "network_cli:pause",
    "peers": "network_cli:peers",
    "policy": "policy_cli:policy",
    "proposals": "proposals_cli:proposals",
    "queue": "queue_cli:queue",
    "requests": "requests_cli:requests",
    "resume": "network_cli:resume",
    "revoke": "identity_cli:revoke",
    "run": "run_cli:run",
    "schema": "schema_cli:schema",
    "service": "service_cli:service",
    "setup": "setup_cli:setup",
    "statistics": "health_cli:statistics",
    "status": "health_cli:status",
    "store": "store_cli:store",
    "test-letter": "trial_cli:test_letter",
    "unlock": "keys_cli:unlock",
    "verify": "contacts_cli:verify",
    "version": "version_cli:version",
    "watch": "watch_cli:watch",
}


class _Place:
    """Where this invocation finds its configuration."""

    def __init__(self, named: Path | None) -> None:
        self._named = named

    @property
    def path(self) -> Path:
        return self._named or configuration.default_path()  # a helper's user has no home

    @property
    def config(self) -> Config:
        """Raises ConfigurationError also when the file was named and is not there."""
        if self._named is not None and not self.path.exists():
            raise ConfigurationError(
                f"There is no file {self.path}. Check its name, or make it with: "
                f"postroad --config {self.path} setup --name YOURNAME"
            )
        return configuration.load(self.path)


def program() -> None:
    """`postroad`, as it is started; `main` is what it does, and leaves the process as it is."""
    try:
        hardening.keep_memory_private()
    except NotToBeHad as error:
        fail(str(error), FAILED, json_wanted=False)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that a terminal cannot show ends nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    tongue.speak()
    tongue.help_of(main)
    main(prog_name="postroad")


@click.group(
    cls=Program,
    modules={name: f"postroad.app.{where}" for name, where in COMMANDS.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.option(
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration file to use.",
)
@click.version_option(__version__, prog_name="postroad")
@click.pass_context
def main(context: click.Context, path: Path | None) -> None:
    """Postroad: email with no mail server."""
    context.obj = _Place(path)
