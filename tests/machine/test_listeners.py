"""Who may listen where."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from postroad.base.errors import ConfigurationError, NotToBeHad
from postroad.base.seams import Listeners
from postroad.machine import listeners
from postroad.machine.listeners import SystemListeners


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


def close(sockets: "list[socket.socket] | tuple[socket.socket, ...]") -> None:
    for one in sockets:
        one.close()


def test_a_door_listens_on_loopback_alone_and_on_one_port_for_both_families() -> None:
    doors: Listeners = SystemListeners({})
    found = list(doors.loopback("smtp", 0))
    try:
        assert [one.getsockname()[0] for one in found] == ["127.0.0.1", "::1"][: len(found)]
        assert len(found) == (2 if has_ipv6() else 1)
        assert len({one.getsockname()[1] for one in found}) == 1
        for one in found:
            with socket.create_connection(one.getsockname()[:2], timeout=5):
                pass
    finally:
        close(found)


def test_short_replies_are_not_held_back() -> None:
    """Without this each command of a letter waits 40 ms for the client's acknowledgement."""
    found = list(SystemListeners({}).loopback("smtp", 0))
    try:
        with socket.create_connection(found[0].getsockname()):
            accepted, _ = found[0].accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    finally:
        close(found)


def test_a_taken_port_is_told_as_a_fact_with_the_door() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(NotToBeHad) as refused:
            SystemListeners({}).loopback("smtp", port)
        sentence = str(refused.value)
        assert "smtp" in sentence
        assert f"127.0.0.1:{port}" in sentence
        assert "another program has this port" in sentence
        assert "config" not in sentence  # which file and key it is, only `app` knows
        with pytest.raises(NotToBeHad, match="TCP"):
            listeners.bind("127.0.0.1", port).listen()


@needs_ipv6
def test_a_stranger_on_the_ipv6_half_of_our_port_is_not_overlooked() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        with pytest.raises(NotToBeHad, match=r"\[::1\]"):
            SystemListeners({}).loopback("imap", port)
        with socket.create_server(("127.0.0.1", port)):
            pass  # our IPv4 half was given back


def test_a_taken_udp_port_is_refused_and_not_shared() -> None:
    first = listeners.bind("127.0.0.1", 0, socket.SOCK_DGRAM)
    try:
        with pytest.raises(NotToBeHad, match="UDP"):
            listeners.bind("127.0.0.1", first.getsockname()[1], socket.SOCK_DGRAM)
    finally:
        first.close()


@needs_ipv6
def test_an_ipv6_socket_leaves_ipv4_alone() -> None:
    six = listeners.bind("::", 0)
    try:
        assert six.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 1
        listeners.bind("0.0.0.0", six.getsockname()[1]).close()
    finally:
        six.close()


def test_an_address_that_is_not_ours_is_told_in_words() -> None:
    with pytest.raises(NotToBeHad, match="no such address"):
        listeners.bind("192.0.2.77", 0)


CHILD = """
import sys
from postroad.machine.listeners import SystemListeners
from postroad.base.errors import ConfigurationError
import os
try:
    found = SystemListeners().loopback(sys.argv[1], int(sys.argv[2]))
except ConfigurationError as error:
    print("refused:", error)
else:
    print(*(one.getsockname()[:2] for one in found))
    print(found[0].fileno(), found[0].get_inheritable(), [n for n in os.environ if "LISTEN" in n])
"""


TWICE = """
from postroad.machine.listeners import SystemListeners
doors = SystemListeners()
first = doors.loopback("smtp", 0)
for one in first:
    one.close()
again = doors.at(["127.0.0.1"]).loopback("smtp", 0)
ports = [one[0].getsockname()[1] for one in (first, again) if one[0].fileno() >= 0]
port = again[0].getsockname()[1]
astray = [":".join(map(str, one.getsockname()[:2])) for one in doors.astray({})]
print(*(2 * ports)[:2], astray, doors.astray({"any": port}), doors.astray({"smtp": 0}))
"""


LAUNCHER = """
import os, sys
passed, names, process, *command = sys.argv[1:]
os.dup2(int(passed), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": process or str(os.getpid())}
if names != "-":
    os.environ["LISTEN_FDNAMES"] = names
os.execv(sys.executable, [sys.executable, "-c", *command])
"""


def start_as_systemd_does(
    passed: socket.socket | BinaryIO,
    names: str | None,
    door: str,
    port: int,
    *,
    process: str = "",
    child: str = CHILD,
) -> str:
    """Run the child with `passed` as descriptor 3, in the way of sd_listen_fds(3)."""
    settings = [str(passed.fileno()), names or "-", process]
    service = Path(listeners.__file__).parents[2]
    return subprocess.run(
        [sys.executable, "-c", LAUNCHER, *settings, child, door, str(port)],
        pass_fds=[passed.fileno()],
        env=os.environ | {"PYTHONPATH": str(service)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


@pytest.mark.parametrize("names", ["smtp", None, "postroad.socket"])
def test_a_socket_that_systemd_holds_is_used_by_its_name_or_by_its_port(names: str | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        said = start_as_systemd_does(held, names, "smtp", 0 if names == "smtp" else port)
    assert f"('127.0.0.1', {port})" in said
    assert said.endswith(" False []\n")  # not inheritable, and no word of it in the environment
    if has_ipv6():
        assert f"('::1', {port})" in said  # the half that systemd does not hold


def test_sockets_meant_for_another_process_are_not_touched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        said = start_as_systemd_does(held, "smtp", "smtp", 0, process="1")
        assert f"('127.0.0.1', {held.getsockname()[1]})" not in said


def udp() -> socket.socket:
    made = socket.socket(type=socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made


def of_unix() -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(f"\0postroad-test-{os.getpid()}")
    made.listen()
    return made


def not_listening() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    return made


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: socket.create_server(("0.0.0.0", 0)), "where others could come in"),
        (udp, "that is not one of TCP"),
        (of_unix, "that is not one of TCP"),
        (not_listening, "that does not listen"),
    ],
)
def test_a_unit_that_passes_anything_else_is_refused_in_words(
    make: Callable[[], socket.socket], told: str
) -> None:
    with make() as held:
        said = start_as_systemd_does(held, "smtp", "smtp", 0)
    assert said.startswith("refused: systemd passed a socket at ")
    assert told in said
    assert "Correct ListenStream= in postroad.socket" in said


def test_what_is_no_socket_is_refused_in_words() -> None:
    with open(os.devnull, "rb") as held:
        said = start_as_systemd_does(held, "smtp", "smtp", 0)
    assert said.startswith("refused: systemd passed something that is no socket")


def test_what_systemd_holds_is_there_for_a_node_that_is_begun_anew() -> None:
    """And a port of a door that is elsewhere is told, for whoever connects there waits."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        said = start_as_systemd_does(held, "smtp", "smtp", 0, child=TWICE)
    assert said == f"{port} {port} ['127.0.0.1:{port}'] [] []\n"


def test_the_control_socket_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "postroad" / "control"
    listening = listeners.unix(path)
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
        with pytest.raises(ConfigurationError, match="Another Postroad answers"):
            listeners.unix(path)
    finally:
        listening.close()


def test_a_control_socket_that_a_crash_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control"
    listeners.unix(path).close()
    assert path.exists()
    listeners.unix(path).close()


def test_a_file_in_place_of_the_control_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "control"
    path.write_text("precious")
    with pytest.raises(ConfigurationError, match="in the way"):
        listeners.unix(path)
    assert path.read_text() == "precious"


def test_a_path_too_long_for_a_socket_is_told_in_words(tmp_path: Path) -> None:
    with pytest.raises(NotToBeHad, match="cannot be made"):
        listeners.unix(tmp_path / ("x" * 120))


def test_the_relay_listens_where_other_nodes_reach_the_machine() -> None:
    doors = SystemListeners({}, ("127.0.0.1", "::1"))
    found = list(doors.relay(0))
    try:
        assert {one.getsockname()[0] for one in found} <= {"127.0.0.1", "::1"}
        port = found[0].getsockname()[1]
        assert {one.getsockname()[1] for one in found} == {port}
        with pytest.raises(NotToBeHad, match=r"relay.*another program has this port"):
            doors.relay(port)
    finally:
        for one in found:
            one.close()
