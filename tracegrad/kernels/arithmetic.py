"""Arithmetic that is compiled in a way of its own, and which functions these are.

`ANY_ORDER` and `EXACT` hold names of kernels; the compiler goes by them. Begin with `added`.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations


def added(total, x):
    """One more term of a sum; the compiler may take the terms in another order, to add several at once."""
    return total + x


def in_threads(count, part, given):
    """`part(first, last, *given)` for all blocks, `count` of them; the compiler shares them among threads."""
    part(0, count, *given)


ANY_ORDER = frozenset({added.__name__})
"""Kernels whose operations may be reassociated: where they are inlined into a loop, it can be vectorised."""

EXACT: frozenset[str] = frozenset()
"""Kernels that count on the rounding of every operation, so that no multiplication is fused with an addition."""
