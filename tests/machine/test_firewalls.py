"""Whether a firewall lets other nodes in: real rules of nftables, in a network of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from needed import skip_without
from postroad.machine import firewalls
from postroad.machine.firewalls import Found

NFT = shutil.which("nft", path="/usr/sbin:/usr/bin:/sbin:/bin")
PORT = 46464
NAT = "nat hook postrouting"
INPUT = """table {} {{
chain input {{
type filter hook input priority 0; policy {}
}}
}}
"""


def has_only_loopback() -> bool:
    """Whether this is the network of `tools/alone.py`, where rules are nobody else's."""
    return [
        line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]
    ] == ["lo"]


@pytest.fixture
def rules() -> Iterator[Callable[[str], None]]:
    skip_without("nft")
    assert NFT
    if not has_only_loopback():
        pytest.skip("a network of our own is not to be had here")

    def lay(text: str) -> None:
        done = subprocess.run(
            [NFT, "-f", "-"], input=text, text=True, capture_output=True, check=False
        )
        if "not permitted" in done.stderr:
            pytest.skip("rules may be laid by root only")
        assert done.returncode == 0, done.stderr

    yield lay
    subprocess.run([NFT, "flush", "ruleset"], check=False, capture_output=True)


@pytest.mark.parametrize(
    ("chain", "lets_in"),
    [
        ("drop", False),
        ("accept; udp dport 46464 drop", False),
        ("accept; udp dport 46464 accept; drop", True),
        ("drop; ct state { established, related } accept; iif lo accept", False),
        ("drop; ct state established,related accept; udp dport 46464 accept", True),
        ("drop; udp dport { 53, 46000-47000 } counter accept", True),
        ("drop; tcp dport 46464 accept", False),
        ("drop; meta l4proto udp accept", True),
        ("drop; meta l4proto { tcp, udp } th dport 46464 accept", True),
        ("accept; udp dport 22 drop", True),
        ("accept; counter", True),
        ("drop; ip saddr 192.0.2.0/24 accept", None),  # it depends on who comes
        ("drop; udp dport != 22 accept", None),
        ("accept; jump elsewhere", None),
        ("accept; reject", False),
        ("accept; return; drop", True),
        ("drop; ct state vmap { established : accept, new : drop }; accept", None),
        ("drop; ct state vmap { established : accept, new : jump elsewhere }", None),
        ("drop; udp dport vmap { 46464 : accept }", None),
        ("drop; udp dport 46464 limit rate 5/second accept", None),
        ("drop; udp dport 22 limit rate 5/second accept; accept", True),
        ("drop; udp dport @open accept", None),
        ("drop; udp dport 0-1023 accept; udp dport 46464 log accept", True),
        ("accept; ip saddr 192.0.2.0/24 udp dport 22 drop", True),
    ],
)
def test_the_rules_are_read_as_the_kernel_obeys_them(
    rules: Callable[[str], None], chain: str, lets_in: bool | None
) -> None:
    rules(
        "table inet filter {\nset open {\ntype inet_service\nelements = { 46464 }\n}\n"
        "chain elsewhere {\n}\n}\n"
    )
    rules(INPUT.format("inet filter", chain.replace("; ", "\n")))
    assert list(firewalls.at_work(PORT, "udp")) == [Found("nftables", lets_in)]


def test_all_chains_have_to_let_a_packet_in(rules: Callable[[str], None]) -> None:
    rules(INPUT.format("inet filter", "drop\nudp dport 46464 accept"))
    rules(INPUT.format("ip other", "drop"))
    assert list(firewalls.at_work(PORT, "udp")) == [Found("nftables", False)]


def test_chains_that_refuse_nothing_are_no_firewall(rules: Callable[[str], None]) -> None:
    rules(INPUT.format("inet filter", "accept"))
    rules(INPUT.format("ip nat", "accept\nmasquerade").replace("filter hook input", NAT))
    assert list(firewalls.at_work(PORT, "udp")) == []


CHAIN = {
    "chain": {
        "family": "ip",
        "table": "filter",
        "name": "INPUT",
        "type": "filter",
        "hook": "input",
        "policy": "drop",
    }
}
DPORT = {"payload": {"protocol": "udp", "field": "dport"}}


def of_port(right: object) -> dict[str, object]:
    return {"match": {"op": "==", "left": DPORT, "right": right}}


@pytest.mark.parametrize(
    "statements",
    [
        [{"xt": {"type": "match", "name": "owner"}}, {"accept": None}],  # as of iptables
        [of_port({"prefix": {"addr": "::", "len": 8}}), {"accept": None}],
        [of_port({"set": [22, {"elem": {"val": 46464, "timeout": 9}}]}), {"accept": None}],
        [of_port("ssh"), {"accept": None}],
        [{"match": {}}, {"accept": None}],
        ["accept"],
    ],
)
def test_what_is_not_understood_is_neither_open_nor_shut(statements: list[object]) -> None:
    rule = {"family": "ip", "table": "filter", "chain": "INPUT", "expr": statements}
    told = json.dumps({"nftables": [{"metainfo": {}}, CHAIN, {"rule": rule}]})
    assert list(firewalls._of_nftables(told, PORT, "udp")) == [Found("nftables")]


@pytest.mark.parametrize("told", ["{}", "", '{"nftables": [{"rule": 1}, 2]}'])
def test_what_cannot_be_read_is_not_called_no_firewall(told: str) -> None:
    assert list(firewalls._of_nftables(told, PORT, "udp")) == [Found("nftables")]


def test_where_nobody_may_look_nothing_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firewalls, "_said", lambda *_: None)
    assert all(one.lets_in is None for one in firewalls.at_work(PORT, "udp"))
