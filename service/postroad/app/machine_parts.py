"""What a configuration means: the parts of the real machine, and the settings of the node.

Purpose: the one place where a key of the configuration becomes a network, a local network, a
supply, or what `compose.build_node` is given. Nothing is opened or bound here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from postroad.app import config as configuration
from postroad.app.compose import Settings
from postroad.app.config import Config
from postroad.base import limits
from postroad.base.errors import ConfigurationError, NotToBeHad
from postroad.base.ids import Fingerprint
from postroad.base.seams import Lan, Machine, Network, PeerUid
from postroad.machine.clock import SystemClock
from postroad.machine.disk import FolderDisk
from postroad.machine.entropy import SystemEntropy
from postroad.machine.iroh_network import IrohNetwork
from postroad.machine.lan import ZeroconfLan
from postroad.machine.listeners import SystemListeners
from postroad.machine.own_addresses import EVERYWHERE
from postroad.machine.supply import SystemSupply
from postroad.machine.tls_network import TlsNetwork
from postroad.peers.relay import Rules
from postroad.phrases import Phrase, joined
from postroad.protocol.border import border
from postroad.protocol.holding import HoldFor


def machine(
    config: Config, disk: FolderDisk, listeners: SystemListeners, peer_uid: PeerUid
) -> Machine:
    """The computer as this node is to use it."""
    return Machine(
        SystemClock(),
        SystemEntropy(),
        disk,
        _network(config),
        listeners.at(config.peer_hosts),
        peer_uid,
        _lan(config),
        _supply(config),
    )


def settings(config: Config) -> Settings:
    """What of the configuration the node itself needs."""
    return Settings(
        config.peer_port,
        config.expiry_days * limits.DAY,
        _relay_rules(config),
        hold_for=HoldFor(config.hold_for),
        dial_private=config.dial_private,
        takes_requests=config.strangers == "requests",
        refuses_silently=config.refuse_silently,
        border=border(config.networks),
        directory=config.directory,
        circle=_circle(config),
        size_max=round(config.size_max_mib * limits.MIB),
        bundle_write=config.bundle_write,
        bundle_read=config.bundle_read,
        helpers=config.helpers,
        lan=config.lan,
    )


@contextmanager
def advised(advice: Phrase) -> Iterator[None]:
    """Add to the machine's fact what its owner can do about it."""
    try:
        yield
    except NotToBeHad as error:
        raise ConfigurationError(joined(str(error), advice)) from error


def _network(config: Config) -> Network:
    hosts = config.peer_hosts
    within = border(config.networks)
    if config.link == "tls":
        return TlsNetwork(hosts or EVERYWHERE, border=within)
    return IrohNetwork(hosts or EVERYWHERE, within)


def _lan(config: Config) -> Lan:
    """Also where it is off: the owner may want it while the node runs."""
    transport = "tcp" if config.link == "tls" else "udp"
    return ZeroconfLan(SystemEntropy(), transport, config.peer_hosts)


def _supply(config: Config) -> SystemSupply:
    return SystemSupply(
        spare_battery=config.on_battery == "mail-only",
        spare_connection=config.metered == "mail-only",
    )


def _relay_rules(config: Config) -> Rules | None:
    """What the owner wants of the relay; None where there is none.

    With `link = "tls"` nodes speak to each other on its port, and need no relay of iroh's."""
    if config.relay == "off" or config.link == "tls":
        return None
    return Rules(
        serves_anybody=config.relay == "anybody",
        bytes_per_second=config.relay_kilobytes_per_second * 1000,
        border=border(config.networks),
    )


def _circle(config: Config) -> frozenset[Fingerprint] | None:
    if configuration.ANYBODY in config.contacts:
        return None
    found = map(configuration.fingerprint_in, config.contacts)
    return frozenset(one for one in found if one is not None)
