"""What a look at the computer comes to: for each part of it, what is, and the line to type.

Purpose: `postroad doctor`. The node's own verdict (`protocol.health`) is one part of it; the rest
is what only a look at the machine can answer, also while no node runs. Pure: `app.examining` looks.
Invariants: total; what could not be looked at is said to be unknown, and is never good or broken.
`plain` says the same for a report that is sent to others: no name, address, key, host or folder.
It is long because each part of a computer has its own facts and its own sentences.
See: docs/adr/0024-doctor-and-configuration.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from postroad.base import limits
from postroad.contract import BUS_NAME, Health, Severity
from postroad.phrases import joined, phrase
from postroad.protocol.health import LITTLE_ROOM_BYTES, Code, too_few_holders
from postroad.protocol.netcheck import State, Way
from postroad.protocol.starting import IN_UNITS, Keeper, again, in_words, start

# Whether a lock on such a file system is one for all who see it, nobody can promise.
LOCKLESS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "davfs", "vboxsf"}
)
FUSE = "fuse."  # whatever stands behind it
USUAL_FUSE = frozenset({"fuse.gocryptfs", "fuse.cryfs", "fuse.encfs", "fuse.fuse-overlayfs"})
INODES_FEW = 1000
OK, ATTENTION, BROKEN = Health.OK, Health.ATTENTION, Health.BROKEN


@dataclass(frozen=True, slots=True)
class Finding:
    """`about`: the part, for programs; `summary` and `next_step`: for a person, the latter may be
    empty. `plain` and `plain_step`: the same with nothing private in them, where it differs."""

    about: str
    health: Health
    summary: str
    next_step: str = ""
    plain: str = ""
    plain_step: str | None = None

    @property
    def for_report(self) -> tuple[str, str]:
        step = self.next_step if self.plain_step is None else self.plain_step
        return self.plain or self.summary, step


@dataclass(frozen=True, slots=True)
class Port:
    """Where a door should be. `taken`: whether anybody listens there; `by_us`: our node, or systemd
    for it, None while the node does not say; `program`: who it is as far as /proc says;
    `other_user`: somebody else's."""

    door: str
    number: int
    taken: bool = True
    by_us: bool | None = True
    program: str = ""
    other_user: bool = False


@dataclass(frozen=True, slots=True)
class Firewall:
    """`kind`: ufw, firewalld or nftables; `lets_in`: what its rules say of our port, None where
    only root may read them."""

    kind: str
    lets_in: bool | None = None


@dataclass(frozen=True, slots=True)
class Folder:
    """One of our places on the disk. `mode`: its permission bits; None: it is not there, or
    it could not be looked at, and why is in `hidden`."""

    what: str
    path: str
    mode: int | None
    is_ours: bool = True
    leads_elsewhere: bool = False
    is_folder: bool = True
    hidden: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value in the settings of a mail program that is not that of the node."""

    program: str
    file: str
    line: int
    what: str  # port or user name
    door: str
    found: str
    wanted: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem of the node's own verdict; `code` is all of it that a report tells."""

    code: str
    severity: Severity
    summary: str
    next_step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known. The defaults say that it is not: whoever could not look says nothing."""

    is_set_up: bool = True
    keeper: Keeper = Keeper.TERMINAL
    runs: bool | None = None
    hangs: bool = False  # it is there, and gives no answer
    refusal: str = ""  # what it said in place of an answer
    is_locked: bool = False
    is_paused: bool = False
    mistakes: tuple[str, ...] | None = None  # of the configuration, in words
    mistaken_keys: tuple[str, ...] = ()
    not_reloaded: bool = False  # whether the node goes by an older one
    after_restart: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    peer_port: int = limits.PEER_PORT_DEFAULT
    transport: str = "udp"  # at that port
    firewalls: tuple[Firewall, ...] | None = None
    clock_is_kept: bool | None = None  # set by the network, says the kernel
    clock_is_past: bool = False  # earlier than this program was made, or our own mail was written
    free_bytes: int | None = None
    reserve_bytes: int = limits.DISK_RESERVE_BYTES
    free_inodes: int | None = None
    file_system: str = ""
    folders: tuple[Folder, ...] | None = None
    has_systemd: bool | None = None
    is_service: bool = False  # its unit is there
    is_starting: bool = False  # by systemd, just now
    is_enabled: bool = False
    restarts: int = 0
    lingers: bool | None = None
    linger_line: str = ""
    mail_programs: tuple[str, ...] | None = None
    settings: tuple[Setting, ...] = ()
    holders: int | None = None
    contacts: int = 0
    ways: tuple[Way, ...] | None = None
    bus: bool | None = None  # whether a session bus answers
    bus_name: bool | None = None  # whether somebody has the node's name there
    bus_trouble: str = ""  # why the node itself is not there, as it says
    installed: str = ""
    running: str = ""
    versions: tuple[tuple[str, str], ...] = ()  # of what it rests on
    sandbox_wanted: bool = False  # the drop-in is there
    sandbox_fits: bool = True  # it is the one that this version would lay for this configuration
    sandbox_missing: tuple[str, ...] | None = None  # what does not hold in the running process
    namespaces_line: str = ""  # to type where user namespaces are denied
    troubles: tuple[Trouble, ...] | None = None
    unseen: tuple[str, ...] = ()  # looks that failed, or did not end in time


def findings(facts: Facts) -> list[Finding]:
    """All of them, in the order in which they are best read."""
    return [
        *_node(facts),
        *_configuration(facts),
        *_ports(facts),
        *_mail_programs(facts),
        *_folders(facts),
        *_disk(facts),
        *_clock(facts),
        *_service(facts),
        *_sandbox(facts),
        *_bus(facts),
        *_firewall(facts),
        *_ways(facts),
        *_holders(facts),
        *_troubles(facts),
        *_versions(facts),
        *(
            Finding(
                "doctor",
                ATTENTION,
                phrase("This could not be looked at: {what}.", what=each),
                phrase(
                    "Try again; if it stays so, look at what your node and your system say: "
                    "postroad log, journalctl --user -n 50"
                ),
            )
            for each in facts.unseen
        ),
    ]


def worst(found: list[Finding]) -> Health:
    order = (OK, ATTENTION, BROKEN)
    return max((one.health for one in found), key=order.index, default=OK)


def _node(facts: Facts) -> Iterator[Finding]:
    if not facts.is_set_up:
        yield Finding(
            "node", ATTENTION, phrase("You have no address and no keys yet."), "postroad setup"
        )
    elif facts.hangs:
        yield Finding(
            "node",
            BROKEN,
            phrase("Your node is there, but gives no answer: it hangs, or is very busy."),
            joined(phrase("Try again in a minute. If it stays so,"), in_words(facts.keeper)),
        )
    elif facts.refusal:
        yield Finding(
            "node",
            BROKEN,
            joined(phrase("Your node is up, but does not do its work:"), facts.refusal),
            phrase("Mend that; what else it says: postroad status, postroad log"),
            "The node is up, but does not do its work.",
        )
    elif facts.runs is False and facts.is_starting:
        yield Finding(
            "node",
            ATTENTION,
            phrase("Your node is starting, and does not answer yet."),
            "postroad doctor",
        )
    elif facts.runs is False:
        yield Finding(
            "node",
            BROKEN,
            phrase("Your node does not run: no letter comes or goes."),
            start(facts.keeper),
        )
    elif facts.is_locked:
        yield Finding(
            "node", ATTENTION, phrase("Your node waits for your keys."), "postroad unlock"
        )
    elif facts.is_paused:
        yield Finding("node", OK, phrase("Your node runs; you paused it."), "postroad resume")
    elif facts.runs:
        yield Finding("node", OK, phrase("Your node runs and answers."))


def _configuration(facts: Facts) -> Iterator[Finding]:
    if facts.mistakes:
        keys = ", ".join(facts.mistaken_keys)
        yield Finding(
            "configuration",
            BROKEN,
            joined(phrase("Your configuration has a mistake:"), *facts.mistakes),
            "postroad config check",
            f"The configuration has {len(facts.mistakes)} mistake(s){f': {keys}' if keys else ''}.",
        )
    elif facts.not_reloaded:
        yield Finding(
            "configuration",
            ATTENTION,
            phrase("Your node goes by an older configuration: the last one had a mistake."),
            "postroad config reload",
        )
    elif facts.after_restart:
        yield Finding(
            "configuration",
            ATTENTION,
            phrase(
                "What you changed counts after a new start: {keys}.",
                keys=", ".join(facts.after_restart),
            ),
            again(facts.keeper, facts.after_restart),
        )
    elif facts.mistakes is not None:
        yield Finding("configuration", OK, phrase("Your configuration has no mistake."))


def _ports(facts: Facts) -> Iterator[Finding]:
    for one in facts.ports:
        where = {"port": one.number, "door": one.door}
        plain = f"Port {one.number} ({one.door})"
        if one.taken and one.by_us is None:
            continue  # most likely it is the node, which does not say
        if one.taken and not one.by_us:
            if one.other_user:
                taken = phrase(
                    "Port {port} of 127.0.0.1 ({door}) is taken by another user of this computer: "
                    "your mail program would show it your password.",
                    **where,
                )
            elif one.program:
                taken = phrase(
                    "Port {port} of 127.0.0.1 ({door}) is taken by the program {program}: your "
                    "mail program would show it your password.",
                    program=one.program,
                    **where,
                )
            else:
                taken = phrase(
                    "Port {port} of 127.0.0.1 ({door}) is taken by another program of yours: your "
                    "mail program would show it your password.",
                    **where,
                )
            yield Finding(
                "ports",
                BROKEN,
                taken,
                joined(
                    phrase(
                        "Choose another {key} in your configuration, and in your mail program; "
                        "then",
                        key=f"{one.door.lower()}_port",
                    ),
                    in_words(facts.keeper, IN_UNITS),
                ),
                f"{plain} is taken by another {'user' if one.other_user else 'program'}.",
            )
        elif one.taken:
            ours = phrase("Port {port} of 127.0.0.1 ({door}) is your node's.", **where)
            yield Finding("ports", OK, ours, plain=f"{plain} is the node's.")
        elif facts.runs and not (facts.is_locked or facts.hangs or facts.refusal):
            yield Finding(
                "ports",
                BROKEN,
                phrase(
                    "Nobody listens at Port {port} of 127.0.0.1 ({door}): your mail program cannot "
                    "reach your node.",
                    **where,
                ),
                again(facts.keeper),
                f"Nobody listens at {plain}.",
            )
        else:
            free = phrase("Port {port} of 127.0.0.1 ({door}) is free for your node.", **where)
            yield Finding("ports", OK, free, plain=f"{plain} is free.")


def _mail_programs(facts: Facts) -> Iterator[Finding]:
    for one in facts.settings:
        verb = "sends" if one.door == "SMTP" else "reads"
        yield Finding(
            "mail program",
            BROKEN,
            _astray(one),
            phrase(
                "Change it there, or see: postroad mail-client {name}", name=one.program.lower()
            ),
            f"{one.program} {verb} with another {one.what} than the node's.",
        )
    if facts.mail_programs and not facts.settings:
        names = ", ".join(facts.mail_programs)
        found = phrase("Found to be set up for your node: {programs}.", programs=names)
        yield Finding("mail program", OK, found)
    elif facts.mail_programs == ():
        yield Finding(
            "mail program",
            OK,
            phrase("No settings of Thunderbird, mutt, mbsync or msmtp for your node were found."),
            "postroad mail-client",
        )


def _astray(one: Setting) -> str:
    """What stands in the settings of a program, and is not the node's."""
    known = {
        "program": one.program,
        "found": one.found,
        "wanted": one.wanted,
        "file": one.file,
        "line": one.line,
    }
    match one.door, one.what:
        case "SMTP", "port":
            return phrase(
                "{program} sends with another port than your node's: {found}, and not {wanted} "
                "({file}, line {line}).",
                **known,
            )
        case "SMTP", _:
            return phrase(
                "{program} sends with another user name than your node's: {found}, and not "
                "{wanted} ({file}, line {line}).",
                **known,
            )
        case _, "port":
            return phrase(
                "{program} reads with another port than your node's: {found}, and not {wanted} "
                "({file}, line {line}).",
                **known,
            )
        case _:
            return phrase(
                "{program} reads with another user name than your node's: {found}, and not "
                "{wanted} ({file}, line {line}).",
                **known,
            )


def _folders(facts: Facts) -> Iterator[Finding]:
    if facts.folders is None:
        return
    good = True
    for one in facts.folders:
        if one.mode is None:
            continue
        if not one.is_ours:
            good = False
            yield Finding(
                "permissions",
                BROKEN,
                f"{one.what} belongs to another user: {one.path}",
                f"sudo chown -R \"$USER\" '{one.path}'",
                f"{one.what} belongs to another user.",
                "",
            )
        elif one.leads_elsewhere and one.what.startswith("Your data"):
            good = False
            yield Finding(
                "permissions",
                BROKEN,
                f"{one.what} is a link, and could lead elsewhere tomorrow: {one.path}",
                phrase("Put what it leads to in its place."),
                f"{one.what} is a link.",
            )
        elif one.mode & 0o077:
            good = False
            right = "700" if one.is_folder else "600"
            yield Finding(
                "permissions",
                ATTENTION,
                f"Others can reach {one.what[0].lower()}{one.what[1:]} (mode {one.mode:04o}).",
                f"chmod {right} '{one.path}'",
                plain_step=f"chmod {right}",
            )
        elif one.mode & 0o600 != 0o600:
            good = False
            right = "700" if one.is_folder else "600"
            yield Finding(
                "permissions",
                BROKEN,
                f"{one.what} may not be written even by you (mode {one.mode:04o}).",
                f"chmod {right} '{one.path}'",
                plain_step=f"chmod {right}",
            )
    if not good:
        return  # what could not be looked at may lie in one of those
    hidden = [one for one in facts.folders if one.hidden]
    for one in hidden:
        yield Finding(
            "permissions",
            ATTENTION,
            f"{one.what} could not be looked at ({one.hidden}): {one.path}",
            f"namei -l '{one.path}'",
            f"{one.what} could not be looked at ({one.hidden}).",
            "namei -l",
        )
    if not hidden:
        yield Finding("permissions", OK, phrase("Your folders are yours alone."))


def _disk(facts: Facts) -> Iterator[Finding]:
    kind = facts.file_system
    if kind in LOCKLESS or (kind.startswith(FUSE) and kind not in USUAL_FUSE):
        yield Finding(
            "disk",
            BROKEN,
            phrase(
                "Your data folder is on a file system of the network ({kind}). Its locks are not "
                "to be relied on: two nodes could write there, and mail would be lost.",
                kind=kind,
            ),
            phrase(
                "Stop your node, move the folder to a disk of this computer, and change data in "
                "your configuration."
            ),
        )
    if facts.free_bytes is None:
        return
    free, reserve = _mib(facts.free_bytes), _mib(facts.reserve_bytes)
    room = facts.free_bytes - facts.reserve_bytes
    advice = phrase(
        "Make room on the disk of your data folder. What is large in it: postroad store"
    )
    if room <= 0 or facts.free_inodes == 0:
        yield Finding(
            "disk",
            BROKEN,
            phrase(
                "The disk is almost full ({free} free, {reserve} are kept back): new letters are "
                "refused.",
                free=free,
                reserve=reserve,
            ),
            advice,
        )
    elif room < LITTLE_ROOM_BYTES or (facts.free_inodes or INODES_FEW) < INODES_FEW:
        filling = phrase(
            "The disk is filling up: {free} free, {reserve} kept back.", free=free, reserve=reserve
        )
        yield Finding("disk", ATTENTION, filling, advice)
    else:
        has_room = phrase(
            "The disk has room: {free} free, {reserve} kept back ({kind}).",
            free=free,
            reserve=reserve,
            kind=kind,
        )
        yield Finding("disk", OK, has_room)


def _mib(octets: int) -> str:
    return f"{octets / limits.MIB:,.0f} MiB"


def _clock(facts: Facts) -> Iterator[Finding]:
    if facts.clock_is_past:
        yield Finding(
            "clock",
            BROKEN,
            phrase("The clock of this computer is wrong: it shows a time that is long over."),
            "sudo timedatectl set-ntp true",
        )
    elif facts.clock_is_kept is False:
        yield Finding(
            "clock",
            ATTENTION,
            phrase("Nothing keeps the clock of this computer right, says the kernel."),
            "sudo timedatectl set-ntp true",
        )
    elif facts.clock_is_kept:
        yield Finding(
            "clock", OK, phrase("The clock of this computer is kept right by the network.")
        )


def _service(facts: Facts) -> Iterator[Finding]:
    if facts.has_systemd is None:
        return
    if not facts.has_systemd:
        yield Finding(
            "service",
            OK,
            phrase("No systemd of yours answers here: your node runs while you run it."),
        )
        return
    if not facts.is_service or not facts.is_enabled:
        yield Finding(
            "service",
            ATTENTION,
            phrase("Your node does not start by itself when you log in."),
            "postroad service enable",
        )
    elif facts.restarts:
        yield Finding(
            "service",
            ATTENTION,
            phrase("systemd had to start your node again ({n} times).", n=facts.restarts),
            phrase("See why: postroad log"),
        )
    else:
        yield Finding("service", OK, phrase("Your node starts by itself when you log in."))
    if facts.lingers is False:
        yield Finding(
            "linger",
            ATTENTION,
            phrase(
                "Your node runs only while you are logged in, and keeps its ports only so long."
            ),
            facts.linger_line,
            plain_step="sudo loginctl enable-linger",
        )
    elif facts.lingers:
        yield Finding("linger", OK, phrase("Your node also runs while you are not logged in."))


def _sandbox(facts: Facts) -> Iterator[Finding]:
    if not facts.has_systemd or not facts.is_service:
        return
    if not facts.sandbox_wanted:
        is_off = phrase("The sandbox is off.")
        if facts.namespaces_line:
            is_off = phrase(
                "The sandbox is off: this computer denies user namespaces, which it needs."
            )
        step = f"{facts.namespaces_line} && " if facts.namespaces_line else ""
        yield Finding(
            "sandbox",
            ATTENTION,
            joined(is_off, phrase("What needs none of that is on.")),
            f"{step}postroad service enable",
        )
    elif facts.sandbox_missing:
        missing = ", ".join(facts.sandbox_missing)
        lacks = phrase("The sandbox is on, but this does not hold: {what}.", what=missing)
        if facts.namespaces_line:
            lacks = phrase(
                "The sandbox is on, but this does not hold: {what}; this computer denies user "
                "namespaces, which it needs.",
                what=missing,
            )
        yield Finding(
            "sandbox",
            ATTENTION,
            lacks,
            facts.namespaces_line or "postroad service enable",
        )
    elif not facts.sandbox_fits:
        yield Finding(
            "sandbox",
            ATTENTION,
            phrase("The sandbox is on, but not the one of this version and configuration."),
            "postroad service restart",
        )
    elif facts.sandbox_missing is None:
        yield Finding(
            "sandbox",
            OK,
            phrase("The sandbox is in place; what holds of it, only a running node says."),
        )
    else:
        yield Finding("sandbox", OK, phrase("The sandbox is on, and holds."))


def _bus(facts: Facts) -> Iterator[Finding]:
    if facts.bus is False:
        yield Finding(
            "bus",
            ATTENTION,
            phrase("No session bus answers: desktop programs cannot show your node. Mail goes on."),
            phrase("Log in to your desktop again, or: sudo apt install dbus-user-session"),
        )
    elif facts.bus and facts.bus_trouble:
        yield Finding(
            "bus",
            ATTENTION,
            joined(
                phrase("The session bus answers, but your node is not there."), facts.bus_trouble
            ),
            phrase(
                "Close whatever has its name. To see who it is: {command}",
                command=WHO_HAS_THE_NAME,
            )
            if facts.bus_name
            else again(facts.keeper),
            "The session bus answers, but the node is not there.",
        )
    elif facts.bus and facts.runs and facts.bus_name is False:
        yield Finding(
            "bus",
            ATTENTION,
            phrase("Your node is not on the session bus, though there is one."),
            again(facts.keeper),
        )
    elif facts.bus:
        yield Finding("bus", OK, phrase("The session bus answers."))


WHO_HAS_THE_NAME = f"busctl --user status {BUS_NAME}"
_OPEN = {
    "ufw": "sudo ufw allow {port}",
    "firewalld": "sudo firewall-cmd --permanent --add-port={port}/udp --add-port={port}/tcp && "
    "sudo firewall-cmd --reload",
    "nftables": "sudo nft list ruleset    shows it; to let them in: sudo nft insert rule inet "
    "filter input {transport} dport {port} accept",
}


def _firewall(facts: Facts) -> Iterator[Finding]:
    if facts.firewalls is None:
        return
    ways = facts.ways or ()
    is_reached = any(one.about == "incoming" and one.state is State.GOOD for one in ways)
    for one in facts.firewalls:
        line = _OPEN[one.kind].format(port=facts.peer_port, transport=facts.transport)
        if one.lets_in or is_reached:
            lets = phrase("The firewall {kind} lets other nodes in.", kind=one.kind)
            yield Finding("firewall", OK, lets)
        elif one.lets_in is False:
            yield Finding(
                "firewall",
                ATTENTION,
                phrase(
                    "The firewall {kind} keeps other nodes out at port {port}: they reach yours "
                    "only when it reached them first, or by way of a relay.",
                    kind=one.kind,
                    port=facts.peer_port,
                ),
                line,
            )
        else:
            yield Finding(
                "firewall",
                ATTENTION,
                phrase(
                    "The firewall {kind} is on. Whether it lets other nodes in at port {port}, "
                    "only the administrator can see.",
                    kind=one.kind,
                    port=facts.peer_port,
                ),
                line,
            )
    if not facts.firewalls:
        yield Finding(
            "firewall", OK, phrase("No firewall was found, as far as can be seen without root.")
        )


def _ways(facts: Facts) -> Iterator[Finding]:
    """A report tells which of them it is, and nothing of the addresses in it."""
    for one in facts.ways or ():
        health = ATTENTION if one.state is State.BAD else OK
        yield Finding(
            f"network: {one.about}",
            health,
            one.summary,
            one.next_step,
            f"netcheck calls this {one.state}.",
            "",
        )


def _holders(facts: Facts) -> Iterator[Finding]:
    if facts.holders is None:
        return
    few = too_few_holders(facts.contacts, facts.holders)
    if few is None:
        enough = phrase("{n} holders keep letters while you are away.", n=facts.holders)
        yield Finding("holders", OK, enough)
    else:
        yield Finding("holders", _HEALTHS[few.severity], few.summary, few.next_step)


_HEALTHS = {Severity.INFO: OK, Severity.ATTENTION: ATTENTION, Severity.BROKEN: BROKEN}
_OF_NODE = frozenset({Code.NOT_SET_UP, Code.LOCKED, Code.PAUSED, Code.OFF})
_OF_WAYS = frozenset({Code.NETWORK, Code.UDP, Code.INCOMING, Code.RELAY})
_OF_HOLDERS = frozenset({Code.NO_CONTACTS, Code.NO_HOLDERS, Code.FEW_HOLDERS})
_OF_DISK = frozenset({Code.DISK_FULL, Code.DISK_LOW})


def _told_above(facts: Facts) -> frozenset[str]:
    """The codes whose part was looked at by ourselves, so that it is told already."""
    return (
        _OF_NODE
        | (_OF_WAYS if facts.ways else frozenset())
        | (_OF_HOLDERS if facts.holders is not None else frozenset())
        | (_OF_DISK if facts.free_bytes is not None else frozenset())
    )


def _troubles(facts: Facts) -> Iterator[Finding]:
    above = _told_above(facts)
    for one in facts.troubles or ():
        if one.code not in above:
            plain = f"It says: {one.code}."
            health = _HEALTHS[one.severity]
            yield Finding("mail", health, one.summary, one.next_step, plain, "")


def _versions(facts: Facts) -> Iterator[Finding]:
    on = ", ".join(f"{name} {value}" for name, value in facts.versions)
    if facts.running and facts.running != facts.installed:
        yield Finding(
            "versions",
            ATTENTION,
            phrase(
                "Your node still runs version {running}; installed is {installed}.",
                running=facts.running,
                installed=facts.installed,
            ),
            again(facts.keeper),
        )
    yield Finding("versions", OK, f"Postroad {facts.installed}; {on}.")
