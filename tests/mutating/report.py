"""What was tried, and what became of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Mutation:
    """`target`: of what; `how`: what was done to it. `keyed`: afterwards it was signed, or sealed
    anew, with a valid key of whoever did it."""

    target: str
    how: str
    keyed: bool
    octets: bytes = field(repr=False)


@dataclass(slots=True)
class Report:
    tried: Counter[str] = field(default_factory=Counter)
    keyed: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, mutation: Mutation, outcome: str, *, fits: bool) -> None:
        """`fits`: that it came to this is as it should be."""
        self.tried[mutation.target] += 1
        self.keyed[mutation.target] += mutation.keyed
        self.ways[f"{mutation.target}: {mutation.how}"] += 1
        self.outcomes[f"{mutation.target}: {outcome}"] += 1
        if not fits:
            self.wrong.append(f"{mutation.target}: {mutation.how}: {outcome}")

    @property
    def keyed_share(self) -> float:
        return self.keyed.total() / self.tried.total()
