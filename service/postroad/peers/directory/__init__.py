"""The directory: who keeps which record, found by asking node after node.

Purpose: PyPI `kademlia`, un-forked, with its calls carried over our links. This package is the only
one that imports it. What it takes from the library, what it overrides and why: ADR 5; each override
names the fault that it repairs.
Invariants: nothing here reads a clock, dice or socket of its own, as the library does: one seed
replays in the simulator.
"""

import logging

# The library tells of each question at the level at which we tell of each letter.
logging.getLogger("kademlia").setLevel(logging.ERROR)
