"""Kernels stand in emitted modules under their own names, from whichever file they come."""

from __future__ import annotations

import types
from collections import Counter

from tracegrad.kernels import (
    arithmetic,
    decompositions,
    elements,
    items,
    lapack,
    products,
    reductions,
    shapes,
)


def test_no_two_kernels_have_one_name():
    files = (arithmetic, decompositions, elements, items, lapack, products, reductions, shapes)
    counted = Counter(
        name
        for file in files
        for name, value in vars(file).items()
        if isinstance(value, types.FunctionType)
        and value.__module__ == file.__name__
        and not name.startswith("_")
    )
    assert [name for name, times in counted.items() if times > 1] == []
