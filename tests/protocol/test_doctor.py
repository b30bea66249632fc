"""What a look at the computer comes to: each fact, by itself, in words and with what to type."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from postroad.contract import Health, Severity
from postroad.protocol.doctor import (
    Facts,
    Finding,
    Firewall,
    Folder,
    Port,
    Setting,
    Trouble,
    findings,
    worst,
)
from postroad.protocol.health import Code
from postroad.protocol.netcheck import State, Way
from postroad.protocol.starting import Keeper

OK, ATTENTION, BROKEN = Health.OK, Health.ATTENTION, Health.BROKEN
WELL = Facts(
    keeper=Keeper.SERVICE,
    runs=True,
    mistakes=(),
    firewalls=(),
    clock_is_kept=True,
    free_bytes=1 << 40,
    free_inodes=1 << 20,
    file_system="ext4",
    folders=(),
    has_systemd=True,
    is_service=True,
    is_enabled=True,
    lingers=True,
    mail_programs=(),
    holders=8,
    contacts=1,
    ways=(),
    bus=True,
    bus_name=True,
    installed="1",
    running="1",
    sandbox_wanted=True,
    sandbox_missing=(),
    troubles=(),
)
TAKEN = Port("SMTP", 10587, by_us=False, program="postfix")
THEIRS = Port("IMAP", 10143, by_us=False, other_user=True)
SETTING = Setting("mutt", "/home/anna/.muttrc", 7, "port", "IMAP", "10143", "10144")
DATA = Folder("Your data folder", "/home/anna/x", 0o700)
TROUBLE = Trouble("door-shut", Severity.BROKEN, "Anna's door is shut.", "postroad run")

# The facts that are not well, what it is about, how bad that is, what is said, and what to type.
TABLE: list[tuple[dict[str, Any], str, Health, str, str]] = [
    ({"is_set_up": False}, "node", ATTENTION, "no address", "postroad setup"),
    ({"runs": False}, "node", BROKEN, "does not run", "postroad service restart"),
    (
        {"runs": False, "keeper": Keeper.NOBODY_YET},
        "node",
        BROKEN,
        "does not run",
        "postroad service enable",
    ),
    ({"runs": False, "keeper": Keeper.TERMINAL}, "node", BROKEN, "does not run", "postroad run"),
    ({"runs": False, "is_starting": True}, "node", ATTENTION, "is starting", "postroad doctor"),
    ({"hangs": True}, "node", BROKEN, "gives no answer", "type: postroad service restart"),
    ({"refusal": "Anna's store."}, "node", BROKEN, "its work: Anna's store.", "postroad status"),
    ({"is_locked": True}, "node", ATTENTION, "waits for your keys", "postroad unlock"),
    ({"is_paused": True}, "node", OK, "you paused it", "postroad resume"),
    ({"mistakes": ("x: line 3: y.",)}, "configuration", BROKEN, "line 3", "postroad config check"),
    ({"not_reloaded": True}, "configuration", ATTENTION, "older", "postroad config reload"),
    (
        {"after_restart": ("link",)},
        "configuration",
        ATTENTION,
        "link",
        "postroad service restart",
    ),
    (
        {"after_restart": ("link", "imap_port")},
        "configuration",
        ATTENTION,
        "imap_port",
        "postroad service enable",
    ),
    (
        {"after_restart": ("data",), "keeper": Keeper.TERMINAL},
        "configuration",
        ATTENTION,
        "data",
        "postroad run",
    ),
    ({"ports": (TAKEN,)}, "ports", BROKEN, "taken by the program postfix", "smtp_port"),
    ({"ports": (THEIRS,)}, "ports", BROKEN, "another user of this computer", "imap_port"),
    (
        {"ports": (Port("SMTP", 1, taken=False),)},
        "ports",
        BROKEN,
        "Nobody listens",
        "postroad service restart",
    ),
    (
        {"ports": (Port("SMTP", 1, taken=False),), "runs": False},
        "ports",
        OK,
        "is free for your node",
        "",
    ),
    (
        {"settings": (SETTING,)},
        "mail program",
        BROKEN,
        "10143, and not 10144 (/home/anna/.muttrc, line 7)",
        "postroad mail-client mutt",
    ),
    (
        {"folders": (replace(DATA, is_ours=False),)},
        "permissions",
        BROKEN,
        "another user",
        "sudo chown",
    ),
    (
        {"folders": (replace(DATA, leads_elsewhere=True),)},
        "permissions",
        BROKEN,
        "is a link",
        "place",
    ),
    (
        {"folders": (replace(DATA, mode=0o755),)},
        "permissions",
        ATTENTION,
        "mode 0755",
        "chmod 700 '/home/anna/x'",
    ),
    (
        {"folders": (replace(DATA, mode=0o500),)},
        "permissions",
        BROKEN,
        "may not be written",
        "chmod 700",
    ),
    (
        {"folders": (DATA, replace(DATA, mode=None, hidden="Permission denied"))},
        "permissions",
        ATTENTION,
        "could not be looked at (Permission denied)",
        "namei -l '/home/anna/x'",
    ),
    ({"file_system": "nfs4"}, "disk", BROKEN, "locks are not to be relied on", "Stop your node"),
    ({"file_system": "fuse.sshfs"}, "disk", BROKEN, "(fuse.sshfs). Its locks", "Stop your node"),
    ({"free_bytes": 0}, "disk", BROKEN, "almost full", "Make room"),
    ({"free_inodes": 0}, "disk", BROKEN, "almost full", "Make room"),
    ({"free_bytes": 300 << 20}, "disk", ATTENTION, "filling up", "Make room"),
    ({"free_inodes": 20}, "disk", ATTENTION, "filling up", "Make room"),
    ({"clock_is_past": True}, "clock", BROKEN, "is wrong", "sudo timedatectl set-ntp true"),
    ({"clock_is_kept": False}, "clock", ATTENTION, "Nothing keeps", "sudo timedatectl"),
    ({"is_service": False}, "service", ATTENTION, "not start by itself", "postroad service enable"),
    ({"is_enabled": False}, "service", ATTENTION, "not start by itself", "postroad service enable"),
    ({"restarts": 3}, "service", ATTENTION, "3 times", "postroad log"),
    ({"has_systemd": False}, "service", OK, "No systemd of yours", ""),
    (
        {"lingers": False, "linger_line": "sudo loginctl enable-linger anna"},
        "linger",
        ATTENTION,
        "only while you are logged in",
        "sudo loginctl enable-linger anna",
    ),
    ({"sandbox_wanted": False}, "sandbox", ATTENTION, "is off", "postroad service enable"),
    (
        {"sandbox_wanted": False, "namespaces_line": "sudo sysctl a=1"},
        "sandbox",
        ATTENTION,
        "denies user namespaces",
        "sudo sysctl a=1 && postroad service enable",
    ),
    (
        {"sandbox_missing": ("users of its own",), "namespaces_line": "sudo sysctl a=1"},
        "sandbox",
        ATTENTION,
        "does not hold: users of its own",
        "sudo sysctl a=1",
    ),
    (
        {"sandbox_fits": False},
        "sandbox",
        ATTENTION,
        "not the one of this version",
        "postroad service restart",
    ),
    ({"sandbox_missing": None}, "sandbox", OK, "only a running node says", ""),
    ({"bus": False}, "bus", ATTENTION, "No session bus", "dbus-user-session"),
    ({"bus_name": False}, "bus", ATTENTION, "not on the session bus", "service restart"),
    (
        {"bus_trouble": "Another program has its name."},
        "bus",
        ATTENTION,
        "your node is not there. Another program",
        "busctl --user status org.postroad.Postroad1",
    ),
    (
        {"bus_trouble": "It was closed.", "bus_name": False},
        "bus",
        ATTENTION,
        "It was closed.",
        "postroad service restart",
    ),
    (
        {"firewalls": (Firewall("ufw"),)},
        "firewall",
        ATTENTION,
        "only the administrator can see",
        "sudo ufw allow 46464",
    ),
    (
        {"firewalls": (Firewall("firewalld", False),)},
        "firewall",
        ATTENTION,
        "keeps other nodes out",
        "sudo firewall-cmd",
    ),
    ({"firewalls": (Firewall("nftables", True),)}, "firewall", OK, "lets other nodes in", ""),
    (
        {
            "firewalls": (Firewall("ufw"),),
            "ways": (Way("incoming", State.GOOD, "You are reached."),),
        },
        "firewall",
        OK,
        "lets other nodes in",
        "",
    ),
    (
        {"ways": (Way("udp", State.BAD, "UDP is blocked.", "Use tls."),)},
        "network: udp",
        ATTENTION,
        "UDP is blocked.",
        "Use tls.",
    ),
    ({"holders": 0}, "holders", ATTENTION, "Nobody holds letters for you", "postroad invite"),
    ({"holders": 1}, "holders", OK, "1 holder of 8 keeps letters", "postroad invite"),
    ({"contacts": 0, "holders": 0}, "holders", OK, "no contacts", "postroad invite"),
    ({"troubles": (TROUBLE,)}, "mail", BROKEN, "Anna's door is shut.", "postroad run"),
    ({"running": "0"}, "versions", ATTENTION, "still runs version 0", "service restart"),
    ({"unseen": ("the disk",)}, "doctor", ATTENTION, "not be looked at: the disk", "postroad log"),
]


@pytest.mark.parametrize(("what", "about", "health", "says", "step"), TABLE)
def test_each_fact_is_told_with_what_to_do(
    what: dict[str, Any], about: str, health: Health, says: str, step: str
) -> None:
    found = findings(replace(WELL, **what))
    matching = [one for one in found if one.about == about and says in one.summary]
    assert len(matching) == 1, found
    assert matching[0].health is health
    assert step in matching[0].next_step
    assert bool(step) == bool(matching[0].next_step)
    assert worst(found) is worst(matching) or health is OK


def test_all_is_well_where_all_is_well_and_nothing_is_to_be_typed() -> None:
    found = findings(WELL)
    assert worst(found) is OK
    assert {one.next_step for one in found} == {"", "postroad mail-client"}


def test_every_fact_is_looked_at() -> None:
    tried = {name for what, *_ in TABLE for name in what}
    plain = {"peer_port", "transport", "reserve_bytes", "mail_programs", "installed", "versions"}
    assert {one.name for one in fields(Facts)} == tried | plain | {"mistaken_keys"}


def test_what_nobody_could_find_out_is_neither_good_nor_broken() -> None:
    found = findings(Facts())
    assert worst(found) is OK
    assert [one.about for one in found] == ["versions"]  # nothing else is claimed


def test_what_could_not_be_looked_at_is_never_called_well() -> None:
    found = findings(Facts(unseen=("your node", "the disk")))
    assert worst(found) is ATTENTION
    assert not [one for one in found if one.health is OK and one.about != "versions"]


@pytest.mark.parametrize("about", ["ways", "holders", "free_bytes"])
def test_a_problem_of_the_node_is_told_where_nobody_looked_at_that_part(about: str) -> None:
    codes = {"ways": Code.UDP, "holders": Code.NO_HOLDERS, "free_bytes": Code.DISK_LOW}
    trouble = Trouble(codes[about], Severity.ATTENTION, "It is so.", "postroad status")
    unknown: dict[str, Any] = {about: None}
    found = findings(replace(WELL, **unknown, troubles=(trouble,)))
    assert [one.summary for one in found if one.about == "mail"] == ["It is so."]


def test_a_node_that_does_not_say_which_ports_are_its_own_is_not_called_a_thief() -> None:
    found = findings(replace(WELL, is_locked=True, ports=(Port("SMTP", 1, by_us=None),)))
    assert "ports" not in {one.about for one in found}


@pytest.mark.parametrize(("what", "about", "health", "says", "step"), TABLE)
def test_a_report_has_the_same_findings_with_nothing_private(
    what: dict[str, Any], about: str, health: Health, says: str, step: str
) -> None:
    told = " ".join(" ".join(one.for_report) for one in findings(replace(WELL, **what)))
    for private in ("anna", "Anna", "/home", "127.0.0.1", "10144"):
        assert private not in told


def test_a_problem_that_has_its_own_part_here_is_told_once() -> None:
    double = Trouble("disk-full", Severity.BROKEN, "The disk is almost full.", "Make room.")
    found = findings(replace(WELL, free_bytes=0, troubles=(double,)))
    assert [one.about for one in found if "full" in one.summary] == ["disk"]


def test_the_worst_finding_decides() -> None:
    some = [Finding("a", OK, "x"), Finding("b", BROKEN, "y"), Finding("c", ATTENTION, "z")]
    assert worst(some) is BROKEN
    assert worst(some[::2]) is ATTENTION
    assert worst([]) is OK
