"""What only the simulator's network promises: one seed is one history."""

import asyncio
import contextlib
import itertools
from random import Random

from contracts.networks import SECRETS, contact_of, join
from postroad.base.errors import LinkClosed, Unreachable
from postroad.base.seams import Link
from simulator.network import Weather, World


class _VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time jumps to whatever comes next."""

    _now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        due = [one.when() for one in self._scheduled if not one.cancelled()]  # type: ignore[attr-defined]
        if due and not self._ready:  # type: ignore[attr-defined]
            self._now = max(self._now, min(due))
        super()._run_once()  # type: ignore[misc]


def _history(seed: int) -> list[str]:
    """One simulated story with every misfortune, as who noticed what, and when."""
    told: list[str] = []

    async def watch(link: Link) -> None:
        with contextlib.suppress(LinkClosed):
            while True:
                stream = await link.accept()
                with contextlib.suppress(LinkClosed):
                    told.append(f"{_now()} {link.peer[:1].hex()} said {await stream.read(9)!r}")
        told.append(f"{_now()} lost {link.peer[:1].hex()}")

    def _now() -> str:
        return f"{asyncio.get_running_loop().time():.9f}"

    async def story() -> None:
        world = World(Random(seed), Weather(latency_seconds=(0.01, 0.2), break_chance=0.01))
        nodes = [await world.network().open(secret, 0) for secret in SECRETS]
        async with asyncio.TaskGroup() as tasks:
            links = []
            for one, other in itertools.combinations(nodes, 2):
                there, back = await join(one, other)
                links += [there, back]
                tasks.create_task(watch(back))
                tasks.create_task(watch(there))
            world.part([node.me for node in nodes[:3]], [node.me for node in nodes[3:5]])
            for n, link in enumerate(links):
                with contextlib.suppress(LinkClosed):
                    await (await link.open()).write(b"%d" % n)
            await asyncio.sleep(29)
            world.heal()
            world.part([nodes[0].me])
            world.crash(nodes[1].me)
            world.break_links(nodes[2].me)
            await asyncio.sleep(31)
            with contextlib.suppress(Unreachable):
                await nodes[3].dial(contact_of(nodes[0]))
            told.append(f"{_now()} dialled in vain")
            for node in nodes:
                await node.close()

    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        runner.run(story())
    return told


def test_one_seed_is_one_history() -> None:
    history = _history(1)
    assert history == _history(1)
    assert history != _history(2)
    said = [line for line in history if "said" in line]
    assert 20 < len(said) < 2 * len(SECRETS) * (len(SECRETS) - 1) // 2
    assert float(history[-1].split()[0]) > 60


def test_a_parted_link_goes_on_when_it_heals_in_time_and_else_is_lost() -> None:
    async def story() -> None:
        world = World(Random(1))
        one, other = [await world.network().open(secret, 0) for secret in SECRETS[:2]]
        there, back = await join(one, other)
        for parted_seconds in (20, 40):
            world.part([one.me])
            with contextlib.suppress(LinkClosed):
                await (await there.open()).write(b"held")
            await asyncio.sleep(parted_seconds)
            world.heal()
            if parted_seconds == 20:
                assert await (await back.accept()).read(10) == b"held"
        assert there.closed
        assert back.closed

    with asyncio.Runner(loop_factory=_VirtualLoop) as runner:
        runner.run(story())
