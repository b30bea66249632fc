"""There is one loader of keys from outside, and nothing else in the house makes a key of bytes."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from postroad.base import vigil
from postroad.base.errors import PeerMisbehaved
from postroad.sealing.keys import EpochKey, load_ed25519, load_epoch_key
from weak_keys import ED25519, X25519

SERVICE = Path(__file__).resolve().parents[2] / "service" / "postroad"
LOADER = "sealing/keys.py"
# What makes a public key of bytes, in the libraries that we have.
MAKERS = {
    "from_public_bytes",
    "load_der_public_key",
    "load_pem_public_key",
    "load_ssh_public_key",
    "load_der_x509_certificate",
    "load_pem_x509_certificate",
    "Ed25519PublicKey",
    "X25519PublicKey",
    "MLDSA65PublicKey",
    "MLKEM768PublicKey",
    "MLKEM768X25519PublicKey",
    "EndpointId",
    "VerifyKey",
}
ALLOWED = {
    # The certificate's key is only compared with the one that the loader let in.
    ("machine/tls_network.py", "load_der_x509_certificate"),
    # Right behind the loader: iroh wants an object of its own.
    ("machine/iroh_network.py", "EndpointId"),
}


def used(path: Path) -> set[str]:
    """Every name that the module says, as a name, an attribute or an import."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Name(name) | ast.Attribute(_, name) | ast.alias(name):
                found.add(name.rpartition(".")[2])
            case ast.Constant(str(text)):  # getattr(module, "from_public_bytes")
                found.add(text)
            case _:
                pass
    return found


def test_nothing_else_makes_a_public_key_of_bytes() -> None:
    modules = sorted(SERVICE.rglob("*.py"))
    assert len(modules) > 100
    made = {
        (str(path.relative_to(SERVICE)), name) for path in modules for name in used(path) & MAKERS
    }
    elsewhere = {one for one in made if one[0] != LOADER}
    assert elsewhere == ALLOWED, "load it by sealing.keys, and add its place to tests/weak_places/"
    assert {name for path, name in made if path == LOADER} >= {
        "from_public_bytes",
        "Ed25519PublicKey",
        "X25519PublicKey",
    }


def test_the_exceptions_ask_the_loader_first() -> None:
    for module, _ in ALLOWED:
        assert "load_ed25519" in used(SERVICE / module)


# Where a device key gets its type. It says nothing of the key: each of these is proven by a link,
# read by the loader, or our own. The store reads its rows, which were written after one of them.
PEER_IDS = {
    "delivery/changes.py",
    "delivery/own_devices.py",
    "machine/iroh_link.py",
    "machine/iroh_network.py",
    "machine/tls_network.py",
    "protocol/contacts.py",
    "protocol/relay.py",
    "sealing/certificate.py",
    "sealing/keys.py",
    "sealing/letter.py",
}


def test_each_place_where_bytes_are_called_a_device_is_known() -> None:
    found = {
        str(path.relative_to(SERVICE))
        for path in SERVICE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "PeerId"
        if path.parent.name != "store"
    }
    assert found <= PEER_IDS, "say here where that key was checked"


@pytest.mark.parametrize("key", ED25519, ids=bytes.hex)
def test_the_loader_tells_whoever_keeps_watch(key: bytes) -> None:
    heard: list[tuple[str, bytes, str]] = []
    token = vigil.watch.set(lambda *said: heard.append(said))
    try:
        with pytest.raises(PeerMisbehaved):
            load_ed25519(key)
    finally:
        vigil.watch.reset(token)
    assert heard == [("ed25519", key, "")]


@pytest.mark.parametrize("key", X25519, ids=bytes.hex)
def test_the_half_of_an_epoch_key_that_could_be_weak_is_looked_at(key: bytes) -> None:
    good = EpochKey(bytes(range(96))).public
    load_epoch_key(good)
    with pytest.raises(PeerMisbehaved, match="X25519"):
        load_epoch_key(good[:1184] + key)


@pytest.mark.parametrize("u", range(2**255 - 19, 2**255))
def test_each_x25519_key_has_one_encoding(u: int) -> None:
    good = EpochKey(bytes(range(96))).public
    for bit in (0, 1):
        bad = (u | bit << 255).to_bytes(32, "little")
        with pytest.raises(PeerMisbehaved, match="X25519"):
            load_epoch_key(good[:1184] + bad)
    with_bit = good[:-1] + bytes([good[-1] | 128])
    with pytest.raises(PeerMisbehaved, match="X25519"):
        load_epoch_key(with_bit)
