"""Kernels that loop over arrays, run as Python: long vectors, where they take a stretch at a time."""

from __future__ import annotations

import numpy as np
import pytest

from tracegrad.kernels import vectors

generator = np.random.default_rng(2)


@pytest.mark.parametrize(("n", "m"), [(4090, 3), (4100, 4), (8200, 6), (5, 5), (9, 1)])
def test_long_convolutions_are_those_of_numpy(n, m):
    x, y = generator.normal(size=n), generator.normal(size=m)
    full = np.convolve(x, y)
    np.testing.assert_allclose(vectors.convolved(x, y, 0, n + m - 1, 0.0), full, atol=1e-13)
    np.testing.assert_allclose(vectors.convolved_by_longer(y, x, 0, n + m - 1, 0.0), full, atol=1e-13)
    np.testing.assert_allclose(
        vectors.convolved(x, y, m - 1, n - m + 1, 0.0), full[m - 1 : n], rtol=1e-10, atol=1e-13
    )


def test_an_infinity_reaches_only_what_it_meets():
    x, y = np.arange(1.0, 9.0), np.array([1.0, np.inf, 1.0, 2.0, 1.0])
    np.testing.assert_array_equal(vectors.convolved(x, y, 0, 12, 0.0), np.convolve(x, y))
