"""An older version is wanted where a newer one has written people's mail: that is refused in words.

The next release was installed before, and has brought their stores up to date.
"""

import re
from pathlib import Path

from booted import Booted
from next_release import VERSION as NEWER
from system.conftest import PACKAGE
from system.packages import number_of
from system.people import Resident
from system.test_removed import HELPERS
from system.test_upgraded import until_runs
from whole_system import Done

EXPECTED = re.compile(
    r"cannot start yet: The (store was written by a newer|sandbox of the service is closed)"
)


def installed(system: Booted) -> str:
    asked = ("dpkg-query", "--show", "--showformat=${Version} ${db:Status-Status}", "postroad")
    return system.root(*asked).stdout


def test_an_older_version_is_refused_where_it_could_not_read_the_mail(
    system: Booted, alice: Resident, bora: Resident, newer: Path
) -> None:
    system.install(newer)
    until_runs(NEWER, alice, bora)
    processes = alice.process(), bora.process()
    refused = downgrade(system)
    assert refused.returncode != 0
    own = number_of(PACKAGE)
    told = " ".join(refused.stdout.split())
    assert f"Postroad {own} cannot read what version {NEWER} has written for: alice bora." in told
    assert "POSTROAD_DOWNGRADE=yes" in told
    assert installed(system) == f"{NEWER} installed"
    assert (alice.process(), bora.process()) == processes
    alice.send(bora, "nothing has changed")
    bora.expect("nothing has changed")
    assert system.root("dpkg", "--audit").stdout == ""


def test_a_helper_is_named_whose_store_it_could_not_read(
    system: Booted, newer: Path
) -> None:
    store = f"{HELPERS}/postroad.sqlite"
    write = "import contextlib, sqlite3, sys\n"
    write += "with contextlib.closing(sqlite3.connect(sys.argv[1])) as sql:\n"
    write += "    print(sql.execute('PRAGMA user_version').fetchone()[0])\n"
    write += "    sql.execute(f'PRAGMA user_version = {sys.argv[2]}')\n"
    before = system.root("python3", "-c", write, store, "99").stdout.strip()
    try:
        told = " ".join(downgrade(system).stdout.split())
    finally:
        system.root("python3", "-c", write, store, before)
    assert f"version {NEWER} has written for: postroad-helper alice bora." in told


def test_whoever_insists_gets_it_and_the_mail_is_there_again_with_the_newer_one(
    system: Booted, alice: Resident, bora: Resident, newer: Path
) -> None:
    assert downgrade(system, "POSTROAD_DOWNGRADE=yes").returncode == 0
    own = installed(system).split()[0]
    until_runs(own, alice)
    told = alice.type("postroad", "status", check=False)
    assert "newer Postroad" in told.stdout + told.stderr
    system.install(newer)
    until_runs(NEWER, alice, bora)
    bora.expect("nothing has changed")
    alice.send(bora, "back and forth")
    bora.expect("back and forth")


def test_a_home_keeps_nobody_from_a_newer_version(
    system: Booted, bora: Resident, newer: Path
) -> None:
    """Whatever somebody writes into their own file, or puts in its place."""
    script = """
        mkdir -p fake && printf 'data = "%s/fake"\n' "$HOME" > .config/postroad/config.toml.fake
        mkfifo fake/postroad.sqlite
        mv .config/postroad/config.toml saved && mv .config/postroad/config.toml.fake \
            .config/postroad/config.toml
    """
    bora.type("sh", "-c", script)
    system.apt("install", "--reinstall", f"/packages/{newer.name}")
    done = downgrade(system)
    assert "has written for: alice." in " ".join(done.stdout.split())  # and nobody waited for bora
    bora.type("sh", "-c", "mv saved .config/postroad/config.toml; rm -r fake")


def downgrade(system: Booted, *before: str) -> Done:
    apt = ("apt-get", "-q", "-y", "--allow-downgrades", "install", f"/packages/{PACKAGE.name}")
    return system.root("env", "DEBIAN_FRONTEND=noninteractive", *before, *apt, check=False)
