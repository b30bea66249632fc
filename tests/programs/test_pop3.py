"""POP3 on a real node: poplib, curl and fetchmail, real mail octet for octet, and kill -9."""

from __future__ import annotations

import poplib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from needed import needs
from person import Person, until
from programs.test_corpus import read


@contextmanager
def pop3(person: Person) -> Iterator[poplib.POP3]:
    """Logged in; cut off at the end unless it has said QUIT."""
    client = poplib.POP3("127.0.0.1", person.pop3_port, timeout=60)
    try:
        client.user(person.address)
        client.pass_(person.password)
        yield client
    finally:
        client.close()


def append(person: Person, *letters: bytes) -> None:
    with person.imap() as imap:
        for octets in letters:
            assert imap.append("INBOX", "", "", octets)[0] == "OK"


def letter(subject: str) -> bytes:
    return f"From: anna@example.org\r\nSubject: {subject}\r\n\r\nHello.\r\n.\r\n".encode()


def test_the_port_is_told(single: Person) -> None:
    assert single.postroad("status")["pop3_port"] == single.pop3_port
    told = single.postroad("mail-client", "other")["incoming_pop3"]
    assert (told["protocol"], told["port"]) == ("pop3", single.pop3_port)
    log = (single.folder / "log").read_text()
    assert f"POP3 for your mail program: 127.0.0.1 port {single.pop3_port}" in log
    assert f"pop3_port={single.pop3_port}" in log


def test_real_mail_comes_out_as_by_imap(single: Person, corpus: Path) -> None:
    letters = [octets for octets in read(corpus).values() if octets and b"\0" not in octets]
    append(single, *letters)
    with single.imap() as imap, pop3(single) as client:
        sizes = [int(line.split()[1]) for line in client.list()[1]]
        assert len(sizes) == len(letters) > 300
        for number, size in enumerate(sizes, 1):
            answer = imap.fetch(str(number), "(BODY.PEEK[])")[1][0]
            assert isinstance(answer, tuple)
            by_imap: bytes = answer[1]
            assert size == len(by_imap)
            end = b"" if by_imap.endswith(b"\r\n") else b"\r\n"
            assert retrieved(client, number) == by_imap + end


def retrieved(client: poplib.POP3, number: int) -> bytes:
    """The octets, by the letter of RFC 1939: poplib itself ends lines at a bare LF, too."""
    client.sock.sendall(b"RETR %d\r\n" % number)
    assert client.file.readline().startswith(b"+OK ")
    found = bytearray(b"\r\n")
    while not found.endswith(b"\r\n.\r\n"):
        found += client.file.readline()
    return bytes(found[:-3].replace(b"\r\n..", b"\r\n.")[2:])


def test_curl_lists_and_fetches(single: Person) -> None:
    append(single, letter("For curl"))
    assert b"1 " in curl(single, "")
    assert curl(single, "1") == letter("For curl")


def curl(person: Person, number: str) -> bytes:
    settings = (
        f'url = "pop3://127.0.0.1:{person.pop3_port}/{number}"\n'
        f'user = "{person.address}:{person.password}"\n'
    )
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--config", "-"],
        input=settings.encode(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@needs("fetchmail")
def test_fetchmail_takes_the_mail_away(single: Person, tmp_path: Path) -> None:
    append(single, letter("one"), letter("two"))
    kept = tmp_path / "mail"
    settings = tmp_path / "fetchmailrc"
    settings.write_text(
        f'poll 127.0.0.1 protocol POP3 port {single.pop3_port} auth password user '
        f'"{single.address}" password "{single.password}" sslproto "" no keep no rewrite\n'
        f'mda "cat >> {kept}"\n'
    )
    settings.chmod(0o600)
    done = subprocess.run(
        ["fetchmail", "--fetchmailrc", str(settings), "--nosyslog"],
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "USER": "anna"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert kept.read_text().count("Subject: ") == 2
    assert kept.read_text().count("Hello.\n.\n") == 2
    with pop3(single) as client:
        assert client.stat() == (0, 0)


def test_kill_between_dele_and_quit_loses_nothing(single: Person) -> None:
    append(single, letter("one"), letter("two"))
    with pop3(single) as client:
        before = client.uidl()[1]
        client.dele(1)
        client.dele(2)
        single.kill()
        single.start()
    with pop3(single) as client:
        assert client.uidl()[1] == before
        client.dele(2)
        client.quit()
    until(lambda: _subjects(single) == ["one"], "the other one is gone")


def _subjects(person: Person) -> list[str]:
    with pop3(person) as client:
        count = client.stat()[0]
        heads = [b"\n".join(client.top(number, 0)[1]) for number in range(1, count + 1)]
    return [head.decode().partition("Subject: ")[2].strip() for head in heads]
