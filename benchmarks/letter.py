"""One letter, both on: from the dot that ends DATA to the recipient's IDLE notice.

    make bench ONLY=letter [SEED=7] [LINK=tls] [ARGS=120]      letters in each of 3 rounds

Two real nodes for each link (LINK=iroh or LINK=tls takes one of them), one letter at a time, sizes
as in a mailbox. In the same run, where Debian's dovecot is installed and may be started: LMTP and
IMAP of one plain local store with mail_fsync=always, which neither seals nor crosses a network.
Dovecot waits for half a second before it tells an IDLE, so our time to the notice stands beside its
time to the answer, when the letter is in its mailbox for good.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import results
from mail_program import (
    Incoming,
    Outgoing,
    Wire,
    incoming,
    outgoing,
    quantiles,
    sizes,
    write_letter,
)
from person import Person, meet, until

ROUNDS = 3
WARM_UP = 20
PAUSE_SECONDS_MAX = 0.05  # between letters: those of a person do not come in step with anything
LMTP_PORT, DOVECOT_IMAP_PORT = 11024, 11143
USER = "bora@example.org"

DOVECOT = """
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/log
protocols = imap lmtp
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{base}/mail/%u
mail_fsync = always
first_valid_uid = 1
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={base}/mail/%u
}}
service lmtp {{
  process_min_avail = 1
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service imap-login {{
  inet_listener imap {{
    address = 127.0.0.1
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


class Pair:
    """An open session that sends, one that waits in IDLE, and what was measured between them."""

    def __init__(self, name: str, sending: Outgoing, watching: Incoming, to: str) -> None:
        self.name = name
        self.sending = sending
        self.watching = watching
        self.to = to
        self.accepted: list[list[float]] = []
        self.noticed: list[list[float]] = []

    def send(self, count: int, *, keep: bool = True) -> None:
        """One letter after the other; `keep`: these count."""
        dice = results.dice(f"letter {self.name} {len(self.noticed)} {keep}")
        accepted, noticed = [], []
        for number, size in enumerate(sizes(dice, count)):
            letter = write_letter(self.sending.sender, self.to, size, number, dice)
            time.sleep(dice.uniform(0, PAUSE_SECONDS_MAX))
            one = self.sending.hand_over(self.to, letter, self.watching)
            accepted.append(one[0])
            noticed.append(one[1])
        if keep:
            self.accepted.append(accepted)
            self.noticed.append(noticed)

    @property
    def figure(self) -> dict[str, object]:
        def told(rounds: list[list[float]]) -> dict[str, object]:
            medians = [round(statistics.median(one) * 1000, 2) for one in rounds]
            return {**quantiles([one for found in rounds for one in found]), "p50s": medians}

        return {
            "dot_to_250_ms": told(self.accepted),
            "dot_to_notice_ms": told(self.noticed),
        }


@contextlib.contextmanager
def postroad(link: str, base: Path, slot: int) -> Iterator[Pair]:
    anna = Person(f"anna{link}", base, slot, link=link)
    bora = Person(f"bora{link}", base, slot + 1, link=link)
    try:
        for person in (anna, bora):
            person.set_up()
            person.start()
        meet(bora, anna)
        with outgoing(anna) as sending, incoming(bora) as watching:
            yield Pair(link, sending, watching, bora.address)
    finally:
        for person in (anna, bora):
            person.kill()


def why_no_dovecot() -> str:
    """Why the ratio is left out, or nothing."""
    if shutil.which("dovecot") is None:
        return "dovecot is not installed (apt-get install dovecot-lmtpd dovecot-imapd)"
    if os.geteuid() != 0:
        return "dovecot is started by root only"
    return ""


@contextlib.contextmanager
def dovecot(base: Path) -> Iterator[Pair]:
    """Dovecot from a folder of its own, with nothing of the machine's configuration."""
    folder = base / "dovecot"
    folder.mkdir(mode=0o755)
    base.chmod(0o755)  # its processes run as users of their own
    mail = folder / "mail"
    mail.mkdir(mode=0o777)
    mail.chmod(0o777)
    config = folder / "dovecot.conf"
    config.write_text(DOVECOT.format(base=folder, lmtp=LMTP_PORT, imap=DOVECOT_IMAP_PORT))
    process = subprocess.Popen(["dovecot", "-F", "-c", str(config)])
    try:
        until(lambda: _greets(LMTP_PORT) and _greets(DOVECOT_IMAP_PORT), "dovecot starts")
        sending = Outgoing(LMTP_PORT, "anna@example.org", hello=b"LHLO")
        with sending, Incoming(DOVECOT_IMAP_PORT, USER, "secret") as watching:
            yield Pair("dovecot", sending, watching, USER)
    finally:
        process.terminate()
        process.wait(10)


def _greets(port: int) -> bool:
    with contextlib.suppress(OSError), Wire(port) as wire:
        return bool(wire.lines())
    return False


def ratio(ours: Pair, theirs: Pair, which: Callable[[Pair], list[list[float]]]) -> float:
    """The median of the rounds' ratios: our notice against `which` of theirs."""
    rounds = zip(ours.noticed, which(theirs), strict=True)
    return round(
        statistics.median(statistics.median(mine) / statistics.median(its) for mine, its in rounds),
        2,
    )


def main() -> None:
    results.must_be_alone()
    count = int(sys.argv[1]) if sys.argv[1:] else 120
    links = [os.environ["LINK"]] if os.environ.get("LINK") else ["iroh", "tls"]
    base = Path(tempfile.mkdtemp(prefix="postroad-letter-"))
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(postroad(link, base, 2 * at)) for at, link in enumerate(links)]
        peer = None
        if missing := why_no_dovecot():
            print(f"letter: the ratio is left out: {missing}")
        else:
            peer = stack.enter_context(dovecot(base))
            pairs.append(peer)
        for pair in pairs:
            pair.send(WARM_UP, keep=False)
        order = results.dice("letter order")
        for _ in range(ROUNDS):
            order.shuffle(pairs)
            for pair in pairs:
                pair.send(count)
        figure: dict[str, object] = {pair.name: pair.figure for pair in sorted(pairs, key=_name)}
        if peer is not None:
            for pair in sorted(pairs, key=_name):
                if pair is not peer:
                    figure[f"{pair.name}_notice_over_dovecot_250"] = ratio(
                        pair, peer, lambda one: one.accepted
                    )
                    figure[f"{pair.name}_notice_over_dovecot_notice"] = ratio(
                        pair, peer, lambda one: one.noticed
                    )
    shutil.rmtree(base)
    results.write("letter" if len(links) > 1 else f"letter_{links[0]}", figure, ROUNDS * count)


def _name(pair: Pair) -> str:
    return pair.name


if __name__ == "__main__":
    main()
