"""A second reader of everything that docs/protocol/ specifies, written from those pages alone.

Purpose: page and service cannot be wrong in the same way, and whoever writes a second
implementation has something small to hold it against. It says no with `Refused` alone.
Invariants: it shares no code with the service (a test takes its imports apart), and needs the
standard library and `cryptography` only.
See: docs/protocol/README.md.
"""
