"""A helper's one secret: the key of its device, in one file of its data folder.

With it nothing can be read or signed in anybody's name; who takes it can only be this helper.
Layout: the seed and its SHA-256: with a flipped bit the helper would be a stranger to its people.
"""

import hashlib

from postroad.base.errors import ConfigurationError
from postroad.base.seams import Disk, Entropy
from postroad.sealing.keys import SigningKey

FILE_NAME = "helper-key"
SEED_BYTES = 32


def load(disk: Disk, entropy: Entropy) -> SigningKey:
    """The helper's key; a new one the first time. ConfigurationError when it cannot be read."""
    if FILE_NAME not in disk.names(""):
        seed = entropy.token(SEED_BYTES)
        disk.write(FILE_NAME, seed + hashlib.sha256(seed).digest())
    with disk.open(FILE_NAME) as file:
        octets = file.read()
    seed, digest = octets[:SEED_BYTES], octets[SEED_BYTES:]
    if hashlib.sha256(seed).digest() != digest:
        raise ConfigurationError(
            f"The helper's key in {disk.folder}/{FILE_NAME} is damaged. Restore it from a backup; "
            "or remove it, and give your people new links: the helper will be another one to them."
        )
    return SigningKey(seed)
