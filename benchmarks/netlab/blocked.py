"""Somebody whose UDP is blocked takes part in the directory: puts, and gets what others put.

    make netlab ONLY=blocked [SEED=7]

Anna and Bora have nothing but TCP 443 out; Carl is behind a NAT, Hana and Hugo are on public
addresses, and a helper serves all of them. An invitation is kept until nobody named in it can be
reached any more: its contacts are replaced by one of a node that never was. Whoever accepts it
finds the inviter by the directory or not at all. Carl accepts Anna's (who is blocked has put), Bora
accepts Carl's (who is blocked gets), and Bora accepts Anna's (both are blocked).
"""

from __future__ import annotations

import random
import time
from dataclasses import replace

import results
from lab import Kind
from person import Person
from postroad.base.ids import Contact, HostPort
from postroad.protocol import invitation
from postroad.sealing.keys import SigningKey
from town import Town, wait_for, write_both_ways

SETTLED_SECONDS_MAX = 60.0


def outdated(link: str, dice: random.Random) -> str:
    """The same invitation, but all that it says of places has changed since."""
    nobody = Contact(SigningKey(dice.randbytes(32)).peer, (HostPort("192.88.200.1", 46464),))
    return invitation.to_link(replace(invitation.from_link(link), contacts=(nobody,)))


def find_and_meet(inviter: Person, guest: Person, dice: random.Random) -> dict[str, object]:
    link = outdated(inviter.postroad("invite")["link"], dice)
    began = time.monotonic()
    while True:  # a record is put when its node has settled
        done = guest.type("accept", link)
        if done.returncode == 0 or time.monotonic() > began + SETTLED_SECONDS_MAX:
            break
        time.sleep(1)
    guest.postroad("accept", link)  # else fails with its sentence
    found = time.monotonic() - began
    wait_for(inviter, f"{guest.title} accepted")
    wait_for(guest, f"You and {inviter.title}")
    return {"found_s": round(found, 2), "letters_s": write_both_ways(inviter, guest, 4096, dice)}


def play() -> dict[str, object]:
    dice = results.dice("blocked")
    with Town("blocked") as town:
        helper = town.add_helper("heli")
        kinds = {
            "anna": Kind.UDP_BLOCKED,
            "bora": Kind.UDP_BLOCKED,
            "carl": Kind.CONE,
            "hana": Kind.OPEN,
            "hugo": Kind.OPEN,
        }
        people = {name: town.move_in(name, kind) for name, kind in kinds.items()}
        town.start(*people.values())
        for person in people.values():
            helper.serve(person)
        anna, bora, carl = people["anna"], people["bora"], people["carl"]
        return {
            f"{guest.name} finds {inviter.name}": find_and_meet(inviter, guest, dice)
            for inviter, guest in ((anna, carl), (carl, bora), (anna, bora))
        }


def main() -> None:
    results.must_be_alone()
    figure = play()
    results.write("netlab_blocked", figure, len(figure))


if __name__ == "__main__":
    main()
