"""What a peer cannot do over a TLS link: pile up what nobody takes up."""

import asyncio

import pytest

from fakes import someone
from postroad.base.errors import LinkClosed
from postroad.base.ids import Contact
from postroad.base.seams import Link
from postroad.machine.mux_link import ARRIVED_MAX
from postroad.machine.tls_network import TlsNetwork


async def take_up_slowly(link: Link) -> None:
    for _ in range(2 * ARRIVED_MAX):
        async with asyncio.timeout(5):
            await link.accept()
        await asyncio.sleep(0.01)


def test_exchanges_begun_and_aborted_at_once_end_the_link() -> None:
    async def test() -> None:
        network = TlsNetwork(("127.0.0.1",))
        mallory = await network.open(someone("mallory").device.seed, 0)
        bora = await network.open(someone("bora").device.seed, 0)
        attack = await mallory.dial(Contact(bora.me, bora.addresses()))
        link = await bora.accept()
        for _ in range(3 * ARRIVED_MAX):
            number = attack.mux.begin()
            attack.mux.send(number, b"x")
            attack.mux.abort(number)
        attack.send()
        with pytest.raises(LinkClosed):
            await take_up_slowly(link)
        assert link.closed
        await mallory.close()
        await bora.close()

    asyncio.run(test())
