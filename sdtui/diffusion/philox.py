"""Normal random numbers as CUDA's generator gives them, in numpy: the same on every machine.

Philox4x32-10 (Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3") turns a counter
and a key into four 32-bit words; Box-Muller makes them normal, the way cuRAND does. Element i of
draw number k has counter (k, 0, i, 0) and the key is the seed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
LOW = 0xFFFFFFFF
ANGLE_STEP = float(np.float32(2 * np.pi * 2.0**-32))

Words = NDArray[np.uint64]


def philox4x32(counter: list[Words], seed: int) -> list[Words]:
    """Four words for every counter: arrays (n,) of 32-bit values held in 64 bits."""
    c0, c1, c2, c3 = counter
    key0, key1 = seed & LOW, seed >> 32 & LOW
    for _ in range(ROUNDS):
        product0, product1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0, c1, c2, c3 = (
            product1 >> np.uint64(32) ^ c1 ^ np.uint64(key0),
            product1 & np.uint64(LOW),
            product0 >> np.uint64(32) ^ c3 ^ np.uint64(key1),
            product0 & np.uint64(LOW),
        )
        key0, key1 = key0 + KEY_STEPS[0] & LOW, key1 + KEY_STEPS[1] & LOW
    return [c0, c1, c2, c3]


class Philox:
    """The generator of one picture: `normal` gives one draw, as torch.randn(device="cuda")."""

    def __init__(self, seed: int) -> None:
        self.seed = seed & 2**64 - 1
        self.draws = 0

    def normal(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """The next draw: `shape`, float32, mean 0, variance 1."""
        count = int(np.prod(shape))
        zeros = np.zeros(count, dtype=np.uint64)
        counter = [zeros + np.uint64(self.draws & LOW), zeros, np.arange(count, dtype=np.uint64)]
        words = philox4x32([*counter, zeros], self.seed)
        self.draws += 1
        radius = (words[0] + 0.5) * 2.0**-32
        angle = (words[1] + 0.5) * ANGLE_STEP
        normal = np.sqrt(-2 * np.log(radius)) * np.sin(angle)
        return normal.astype(np.float32).reshape(shape)

    def skip(self) -> None:
        """Pass over one draw without making it."""
        self.draws += 1
