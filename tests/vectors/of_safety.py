"""The vectors of docs/protocol/safety.md."""

from __future__ import annotations

from postroad.protocol import link_text
from postroad.protocol.safety_code import SCHEME, code
from postroad.sealing.keys import IdentityPublic
from postroad.sealing.safety import Keys, safety_number
from vectors.world import CARL, NEW, OLD


def _keys(public: IdentityPublic) -> Keys:
    return Keys(public.ed25519, public.mldsa_hash)


ANNA, BEN = _keys(OLD.public), _keys(NEW.public)


def vectors() -> dict[str, bytes]:
    other = _keys(CARL.identity.public)
    good = code(ANNA, BEN)
    version = link_text.write(SCHEME, b"\2" + ANNA.digest + BEN.digest)
    short = link_text.write(SCHEME, b"\1" + ANNA.digest + BEN.digest[:-1])
    found = {
        "safety-number": " ".join(safety_number(ANNA, BEN)),
        "safety-code": good,
        "no-safety-code-version": version,
        "no-safety-code-short": short,
        "no-safety-code-damaged": good[:-1] + ("A" if good[-1] != "A" else "E"),
        "no-safety-code-scheme": good.replace(SCHEME, "postroad:"),
        "no-safety-code-turned-round": code(BEN, ANNA),
        "no-safety-number-other": " ".join(safety_number(ANNA, other)),
    }
    return {
        "given-keys": ANNA.ed25519 + ANNA.mldsa_hash,
        "given-other-keys": BEN.ed25519 + BEN.mldsa_hash,
        **{name: text.encode() for name, text in found.items()},
    }
