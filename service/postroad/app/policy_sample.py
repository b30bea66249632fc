"""A policy that says nothing yet and tells of every key: what a package lays into /etc/postroad.

Invariant: each line allows all that there is, so that taking away its # alone changes nothing; an
administrator narrows the value.
See: docs/policy.md.

    python3 -m postroad.app.policy_sample > policy.toml
"""

import sys

from postroad.app.config import ANYBODY, LINKS, RELAY_KILOBYTES_MAX, written_as
from postroad.app.policy import RULES, AnyOf, Choice, Port, Switch
from postroad.base import limits

HEAD = """\
# Postroad's policy for this computer: the widest that any of its users may choose. As it stands it
# says nothing. To bind a setting, take away the # before its line and narrow its value: as they
# are, the lines allow everything. Nodes that run notice it within a minute, and start again.
# `postroad policy` shows what takes effect, and why. There is more in the manual page
# postroad-policy(1).
"""
ABOUT = {
    "link": "The ways in which nodes may reach each other: iroh (UDP) and tls (TCP).",
    "relay": "For whom packets may be passed on: off, contacts or anybody.",
    "relay_kilobytes_per_second": "How much of that at most.",
    "hold_for": "For whom letters may be kept here: off, contacts, or vouched (whom those vouch "
    "for, too).",
    "strangers": '"refuse": nothing of anybody who is no contact is shown.',
    "lan": "false: nothing is called out on the local network, and nobody listened to.",
    "dial_private": "false: private addresses that strangers name are never dialled.",
    "expiry_days": "How many days a letter is tried, and kept for others, at most.",
    "smtp_port": "Where mail programs may send: a port of 127.0.0.1, or a range of them.",
    "imap_port": "Where they may read.",
    "pop3_port": "Where they may fetch by POP3.",
    "peer_port": "Where other nodes may reach those of this computer: a port, or a range.",
    "peer_hosts": "At which addresses of this computer.",
    "networks": 'With which networks nodes speak at all, like "10.0.0.0/8".',
    "contacts": "Who may be a contact of users here: addresses, or their fingerprints.",
    "directory": "false: nodes take no part in the directory.",
    "keys_at_rest": "By what keys may be protected on the disk: plain, passphrase, keyring or "
    "credential.",
    "size_max_mib": "How large a letter may be that is sent from here, in MiB.",
    "bundle_write": "false: no letters leave as a file that is carried by hand.",
    "bundle_read": "false: none come in so.",
    "helpers": "false: no helper serves users here.",
}
MOST = {
    "relay_kilobytes_per_second": RELAY_KILOBYTES_MAX,
    "expiry_days": limits.EXPIRY_SECONDS_MAX / limits.DAY,
    "size_max_mib": limits.LETTER_BYTES_MAX / limits.MIB,
}


def sample() -> str:
    """The file, with every key of a policy."""
    lines = [HEAD.rstrip()]
    for key in RULES:
        lines += ["", f"# {ABOUT[key]}", f"# {key} = {written_as(_widest(key))}"]
    return "\n".join(lines) + "\n"


def _widest(key: str) -> object:
    match RULES[key]:
        case Switch():
            return True
        case Choice(row):
            return row[-1]
        case AnyOf():
            return LINKS
        case Port():
            return "1-65535"
        case _:
            return MOST.get(key, (ANYBODY,))


if __name__ == "__main__":
    sys.stdout.write(sample())
