"""The vectors of docs/protocol/tls.md: a proof, and what who dialled says first."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from postroad.machine.tls_network import PROOF_CONTEXT, _certify
from postroad.protocol.mux import Kind
from vectors.world import DEVICE, FITS_ALL, HOLDER, OTHER, WEAK

NONCE = b"\x1a" * 32
CERTIFICATE = _certify(Ed25519PrivateKey.from_private_bytes(HOLDER.seed))


def frame(kind: int, stream: int, body: bytes = b"") -> bytes:
    return bytes([kind]) + stream.to_bytes(4, "big") + len(body).to_bytes(2, "big") + body


def proof(nonce: bytes = NONCE, certificate: bytes = CERTIFICATE) -> bytes:
    context = PROOF_CONTEXT.removesuffix(b"\0")
    return DEVICE.public + DEVICE.sign(context, nonce + hashlib.sha256(certificate).digest())


def _bad() -> dict[str, bytes]:
    data = frame(Kind.DATA, 0, b"hello")
    end = frame(Kind.FINISH, 0)
    many = b"".join(frame(Kind.DATA, 2 * one, b"x") for one in range(33))
    return {
        "unknown-kind": frame(7, 0),
        "too-large": frame(Kind.DATA, 0, bytes(16_385)),
        "data-empty": frame(Kind.DATA, 0),
        "finish-full": frame(Kind.FINISH, 0, b"x"),
        "abort-full": data + frame(Kind.ABORT, 0, b"x"),
        "never-begun": frame(Kind.DATA, 2, b"hello"),
        "odd": frame(Kind.DATA, 1, b"hello"),
        "behind-finish": data + end + data,
        "without-credit": frame(Kind.DATA, 0, bytes(16_384)) * 8 + data,
        "credit-short": data + frame(Kind.CREDIT, 0, b"\0\0\1"),
        "credit-none": data + frame(Kind.CREDIT, 0, bytes(4)),
        "credit-unsaid": data + frame(Kind.CREDIT, 0, (1).to_bytes(4, "big")),
        "too-many": many,
        "ping-stream": frame(Kind.PING, 1, bytes(8)),
        "ping-short": frame(Kind.PING, 0, bytes(7)),
    }


def vectors() -> dict[str, bytes]:
    data, end = frame(Kind.DATA, 0, b"hello"), frame(Kind.FINISH, 0)
    return {
        "given-nonce": NONCE,
        "given-certificate": CERTIFICATE,
        "tls-proof": proof(),
        "mux-exchange": data + data + end,
        "mux-two": data + frame(Kind.DATA, 2, b"too") + end + frame(Kind.FINISH, 2),
        "mux-abort": data + frame(Kind.ABORT, 0) + data + frame(Kind.CREDIT, 0, b"\0\0\0\1"),
        "mux-ping": frame(Kind.PING, 0, b"12345678") + frame(Kind.PONG, 0, bytes(8)),
        "mux-part": data + end[:-1],
        "no-tls-proof-nonce": proof(bytes(32)),
        "no-tls-proof-certificate": proof(certificate=b"another"),
        "no-tls-proof-key": OTHER.public + proof()[32:],
        "no-tls-proof-weak": WEAK + FITS_ALL,
        "no-tls-proof-short": proof()[:-1],
        **{f"no-mux-{name}": octets for name, octets in _bad().items()},
    }
