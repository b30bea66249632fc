"""Which addresses a node announces that listens everywhere."""

import asyncio
import ipaddress
import socket

from postroad.machine.own_addresses import own_addresses
from postroad.machine.tls_network import TlsNetwork


def test_they_are_addresses_of_this_machine() -> None:
    found = own_addresses()
    assert found
    for text in found:
        family = socket.AF_INET6 if ipaddress.ip_address(text).version == 6 else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as mine:
            mine.bind((text, 0))  # only an address of our own can be bound


def test_a_tls_node_that_listens_everywhere_can_be_dialled() -> None:
    async def test() -> None:
        endpoint = await TlsNetwork().open(bytes(range(32)), 0)
        addresses = endpoint.addresses()
        await endpoint.close()
        assert addresses
        assert all(one.port and one.host not in ("0.0.0.0", "::") for one in addresses)

    asyncio.run(test())
