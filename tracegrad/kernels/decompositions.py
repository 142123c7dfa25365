"""Decompositions of one matrix, by LAPACK, for arrays of any layout. Begin with `eigenvectors`."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np


def eigenvectors(x):
    """`np.linalg.eigh`."""
    return np.linalg.eigh(np.ascontiguousarray(x))


def singular_vectors(x):
    """`np.linalg.svd` without the vectors that only complete a basis."""
    return np.linalg.svd(np.ascontiguousarray(x), False)


def orthogonal_factors(x):
    """`np.linalg.qr`."""
    return np.linalg.qr(np.ascontiguousarray(x))
