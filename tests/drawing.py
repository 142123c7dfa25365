"""Draws for property tests that are the same in every run.

Hypothesis mixes numbers that stand in the imported modules into those it draws, so that what a test tries would
depend on what else its process has imported. Bits are drawn from its seed alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st


def bits(count: int) -> st.SearchStrategy[int]:
    """A strategy for the numbers below `2**count`."""
    digits = st.lists(st.booleans(), min_size=count, max_size=count)
    return digits.map(lambda drawn: sum(digit << place for place, digit in enumerate(drawn)))


def one_of(options: Sequence[Any]) -> st.SearchStrategy[Any]:
    """A strategy for the items of a sequence."""
    return bits(16).map(lambda number: options[number % len(options)])
