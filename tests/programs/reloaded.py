"""A module that `test_mutations.py` changes and loads again."""

from __future__ import annotations

factor = 2.0


def compute(x):
    return x[0] * factor
