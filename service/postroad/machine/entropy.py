"""The kernel's randomness."""

import os
import random


class SystemEntropy:
    """`base.seams.Entropy`."""

    def token(self, size: int) -> bytes:
        return os.urandom(size)

    def uniform(self) -> float:
        return random.random()  # noqa: S311  (spreads work; secrets come from `token`)
