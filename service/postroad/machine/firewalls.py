"""The firewalls of this computer, and whether they let other nodes in, as far as we may see.

Purpose: facts for `postroad doctor`. Whoever is not root seldom may read the rules; then it is only
known that there are some.
Invariants: nothing is changed; what is not understood is unknown, and is neither open nor shut.
See: nft(8), libnftables-json(5), firewall-cmd(1), ufw(8).
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND_SECONDS_MAX = 2.0
UFW, FIREWALLD, NFTABLES = "ufw", "firewalld", "nftables"


@dataclass(frozen=True, slots=True)
class Found:
    """`lets_in`: others, at the port that was asked about; None: only root can see, or we do not
    understand the rules."""

    kind: str
    lets_in: bool | None = None


def at_work(port: int, transport: str) -> Iterator[Found]:
    """Those that can be seen. `transport`: udp or tcp."""
    of_others = False
    with suppress(OSError):
        if "ENABLED=yes" in Path("/etc/ufw/ufw.conf").read_text(errors="replace").splitlines():
            of_others = True
            yield Found(UFW)
    if _is_running("firewalld"):
        of_others = True
        asked = _said("firewall-cmd", f"--query-port={port}/{transport}")
        yield Found(FIREWALLD, {"yes": True, "no": False}.get((asked or "").strip()))
    if of_others:
        return  # the rules are theirs
    if (rules := _said("nft", "--json", "list", "ruleset")) is not None:
        yield from _of_nftables(rules, port, transport)
    elif Path("/etc/systemd/system/sysinit.target.wants/nftables.service").exists():
        yield Found(NFTABLES)


def _of_nftables(rules: str, port: int, transport: str) -> Iterator[Found]:
    try:
        found = list(_hooked(json.loads(rules)["nftables"]))
        lets_in = _all_let_in(found, port, transport)
    except (ValueError, KeyError, TypeError, AttributeError):  # there is something, and no more
        yield Found(NFTABLES)
    else:
        if found:
            yield Found(NFTABLES, lets_in)


def _is_running(program: str) -> bool:
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError):
                if (process / "comm").read_text(errors="replace").strip() == program:
                    return True
    return False


def _said(*words: str) -> str | None:
    """None when it is not there, fails, or takes too long."""
    program = shutil.which(words[0], path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603  (fixed words)
            [program, *words[1:]],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 or done.stdout.strip() == "no" else None


@dataclass(frozen=True, slots=True)
class _Chain:
    """One through which goes whatever comes to this computer."""

    policy: str
    rules: tuple[list[dict[str, Any]], ...]


def _hooked(told: list[dict[str, Any]]) -> Iterator[_Chain]:
    """The chains at the input hook that could refuse something."""
    for one in told:
        chain = one.get("chain", {})
        if chain.get("type") == "filter" and chain.get("hook") == "input":
            place = tuple(chain[key] for key in ("family", "table", "name"))
            rules = [
                each["rule"]["expr"]
                for each in told
                if "rule" in each
                and tuple(each["rule"][key] for key in ("family", "table", "chain")) == place
            ]
            if rules or chain.get("policy") != "accept":
                yield _Chain(chain.get("policy", "accept"), tuple(rules))


def _all_let_in(chains: list[_Chain], port: int, transport: str) -> bool | None:
    """A packet has to pass all of them."""
    found = [_lets_in(one, port, transport) for one in chains]
    if False in found:
        return False
    return None if None in found else True


def _lets_in(chain: _Chain, port: int, transport: str) -> bool | None:
    """What the chain does with the first packet of somebody new; None where a rule before that is
    not understood."""
    for rule in chain.rules:
        ends = _ends(rule, port, transport)
        if ends == "return":
            break
        if ends is None or ends in _ELSEWHERE:
            return None
        if ends:
            return ends == "accept"
    return chain.policy == "accept"


_QUIET = frozenset({"counter", "log", "comment"})
_ELSEWHERE = frozenset({"jump", "goto"})
_VERDICTS = frozenset({"accept", "drop", "reject", "return"}) | _ELSEWHERE


def _ends(rule: list[dict[str, Any]], port: int, transport: str) -> str | None:
    """The verdict of a rule on such a packet, from outside; empty: it goes on with the next one;
    None where that is not understood."""
    is_sure = True
    for statement in rule:
        ((kind, said),) = statement.items()
        if kind == "match":
            fits = _fits_one(said, port, transport)
            if fits is False:
                return ""
            is_sure &= fits is True
        elif kind in _VERDICTS:
            return kind if is_sure else None
        elif kind not in _QUIET:
            return None
    return ""


def _fits_one(match: dict[str, Any], port: int, transport: str) -> bool | None:
    left, right = match["left"], match["right"]
    if match.get("op") not in ("==", "in"):
        return None
    if "payload" in left and left["payload"].get("field") == "dport":
        if left["payload"].get("protocol") not in (transport, "th"):
            return False
        return _holds(right, port)
    if left.get("meta", {}).get("key") == "l4proto":
        return _holds(right, transport)
    if left.get("meta", {}).get("key") in ("iif", "iifname"):
        return False if right == "lo" else None
    if left.get("ct", {}).get("key") == "state":
        return _holds(right, "new")
    return None


def _holds(right: Any, wanted: int | str) -> bool | None:
    """Whether a value, a list, a set or a range of them has this one in it; None where that is not
    understood: a set with a name, a number by its name, whatever else there is."""
    match right:
        case list():
            found = [_holds(one, wanted) for one in right]
            return True if True in found else None if None in found else False
        case {"range": [int(low), int(high)]} if isinstance(wanted, int):
            return low <= wanted <= high
        case {"set": several}:
            return _holds(several, wanted)
        case int() | str() if type(right) is type(wanted) and not str(right).startswith("@"):
            return right == wanted
        case _:
            return None
