"""README's install section happens word by word: installed in each way, used, and gone again.

Somebody new reads it on a system of their own, where they may use sudo, and types each line as it
stands; tests/system/newcomer.py has all lines and words. The repository is served by https under
the address that stands in the section.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import booted
import repository
from booted import Booted
from needed import skip_without
from programs.transcript import Replay, Somebody
from roots import Unavailable
from system import journals
from system.conftest import PACKAGE, SUITE
from system.newcomer import FILE, HOST, README, REPOSITORY, SERVED, URL, Story, parts
from system.packages import forget_distribution
from system.people import Inhabitant
from throw_away_key import keyring, made

SECONDS_MAX = 400.0
PEOPLE = {FILE: ("anna", "boris"), REPOSITORY: ("carla", "dirk")}
CERTIFICATE = "/srv/certificate.pem"
SERVE = f"""
import http.server, ssl
served = http.server.SimpleHTTPRequestHandler
served.protocol_version = "HTTP/1.1"  # for Python ends a TLS connection without a word
server = http.server.ThreadingHTTPServer(("", 443), served)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain({CERTIFICATE!r})
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    """No package yet, people who may use sudo, and the address of the section."""
    skip_without("gpg", "openssl")
    try:
        with booted.booted(SUITE) as system:
            system.add("mutt", "sudo", "wget")
            forget_distribution(system)
            name = system.root("hostname").stdout.strip()
            system.write("/etc/hosts", f"127.0.0.1 localhost {HOST} {name}\n".encode())
            for reader, guest in PEOPLE.values():
                for each in (reader, guest):
                    system.root("useradd", "--create-home", each)
                    system.root("loginctl", "enable-linger", each)
                rights = f"{reader} ALL=(ALL) NOPASSWD: ALL\n"
                system.write(f"/etc/sudoers.d/{reader}", rights.encode(), mode=0o440)
            serve(system, tmp_path_factory.mktemp("served"))
            yield system
    except Unavailable as why:
        pytest.skip(str(why))


def serve(system: Booted, work: Path) -> None:
    """The repository with the package, by https, with a certificate that the system trusts."""
    with keyring(work / "gnupg"):
        key = made("Somebody <somebody@postroad.invalid>")
        laid = repository.lay_out([PACKAGE], key, URL, work / "repository")
    system.root("mkdir", "-p", SERVED)
    target = f"{system.tree}{SERVED}/{URL.rpartition('/')[2]}"
    system.outside("cp", "-r", str(laid), target)
    system.outside("chmod", "-R", "a+rX", target)
    name = ("-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}")
    files = ("-keyout", str(work / "key"), "-out", str(work / "certificate"))
    asked = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    subprocess.run([*asked, "-noenc", *name, *files], capture_output=True, check=True)
    certificate = (work / "certificate").read_bytes()
    system.write(CERTIFICATE, (work / "key").read_bytes() + certificate, mode=0o600)
    system.write("/usr/local/share/ca-certificates/served.crt", certificate)
    system.root("update-ca-certificates")
    system.root(
        *("systemd-run", "--quiet", "--unit=served", "--collect"),
        *(f"--property=WorkingDirectory={SERVED}", "python3", "-c", SERVE),
    )


@pytest.mark.parametrize("way", list(PEOPLE))
def test_the_install_section_happens_word_by_word(fresh: Booted, way: str) -> None:
    reader, guest = PEOPLE[way]
    people: dict[str, Somebody] = {name: Inhabitant(fresh, name) for name in (reader, guest)}
    if way == FILE:
        fresh.write(f"/home/{reader}/{PACKAGE.name}", PACKAGE.read_bytes())
    replay = Replay(people, time.monotonic() + SECONDS_MAX)
    Story(fresh, replay, way).tell(parts(README.read_text("utf-8")))


def test_its_journal_has_no_traceback_and_no_warning_of_ours(fresh: Booted) -> None:
    assert journals.tracebacks(fresh) == []
    assert journals.warnings_of_ours(fresh) == []
