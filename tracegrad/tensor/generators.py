"""The random generator behind random tensors, and how it is started anew. Begin with `manual_seed`."""

from __future__ import annotations

import numpy as np


class Generator:
    """A source of random numbers: NumPy's default one."""

    def __init__(self) -> None:
        self.numpy = np.random.default_rng()

    def manual_seed(self, seed: int) -> Generator:
        """Start anew from a seed."""
        self.numpy = np.random.default_rng(seed)
        return self


_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Start the random numbers anew; the same seed gives the same tensors."""
    return _generator.manual_seed(seed)


def source(generator: Generator | None) -> np.random.Generator:
    """NumPy's generator behind this one, or behind the default one."""
    return (generator or _generator).numpy
