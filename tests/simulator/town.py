"""What all who play a day share: the people, what they are called, the model, and the trace.

Invariants: everything that is told of a day goes through `note`, in order; its digest is the day's.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from simulator.model import Model
from simulator.network import Weather, World
from simulator.village import Resident, Village


class Town:
    def __init__(
        self, folder: Path, seed: int, people: int, trace: Callable[[str], None] | None
    ) -> None:
        self.village = Village(
            folder, seed, World(Random(f"{seed} weather"), Weather(), self._arrived)
        )
        self.names = [f"p{number:02}" for number in range(people)]
        self.addresses: dict[str, str] = {}  # by name
        self.knows: dict[str, list[str]] = {}  # whose contacts are who
        self.dead: set[str] = set()
        self.arrivals = 0
        self.counts: Counter[str] = Counter()
        self._model: Model | None = None
        self._trace = trace
        self._digest = hashlib.sha256()

    @property
    def people(self) -> list[Resident]:
        return self.village.residents

    @property
    def model(self) -> Model:
        assert self._model is not None, "nobody lives here yet"
        return self._model

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()

    async def settle(
        self, dice: Random, steps: Sequence[int] = (1, 2), strangers: Sequence[str] = ()
    ) -> None:
        """All are there and know who is so many steps from them in the ring, and some others: few
        know all. `strangers` live here, too, and know nobody."""
        town = await self.village.settle_in(*self.names)
        pairs = {(n, (n + step) % len(town)) for n in range(len(town)) for step in steps}
        for _ in range(len(town) // 2):
            one, other = dice.sample(range(len(town)), 2)
            pairs.add((one, other))
        met: set[frozenset[int]] = set()
        for one, other in sorted(pairs):
            if one != other and frozenset((one, other)) not in met:
                met.add(frozenset((one, other)))
                await self.village.meet(town[one], town[other])
        await self.village.settle_in(*strangers)
        self.addresses = {one.name: one.address for one in self.people}
        names = {address: name for name, address in self.addresses.items()}
        for person in town:
            self.knows[person.name] = sorted(names[one] for one in await person.contacts())
        self._model = Model(self.addresses)

    def happened(self, what: str, who: str = "") -> None:
        """Count it, and tell the trace."""
        self.counts[what] += 1
        self.note(f"{who} {what}")

    def note(self, what: str) -> None:
        line = f"{asyncio.get_running_loop().time():.6f} {what}"
        self._digest.update(line.encode() + b"\n")
        if self._trace is not None:
            self._trace(line)

    def _arrived(self, what: str) -> None:
        self.arrivals += 1
        self.note(what)
