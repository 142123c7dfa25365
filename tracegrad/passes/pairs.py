"""Products of several arrays as products of two, in an order that is chosen once.

The operands of `einsum` and their letters go in, a term of products of two comes out. All sizes are known, so the work
of each order is, too: of each set of operands the best way to split it is found once. Begin with `in_pairs`.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tracegrad.ops.arithmetic import multiply
from tracegrad.ops.contraction import einsum
from tracegrad.passes.rewrite import Term, expression

MOST = 8  # operands whose best order is looked for

_Some = tuple[int, ...]  # operands, by their numbers


class _Way(NamedTuple):
    """The multiplications it takes, and which operands come together last; none of one operand."""

    work: int
    split: tuple[_Some, ...]


def in_pairs(operands: Sequence[Any], terms: Sequence[str], output: str, sizes: Mapping[str, int]) -> Term:
    """Products of two, in the order that takes the fewest multiplications; the first such order.

    Of very many operands the first few are multiplied first.
    """
    every = tuple(range(len(terms)))

    @functools.cache
    def letters(some: _Some) -> str:
        """Those of the product of some operands that are read afterwards."""
        wanted = {*output, *(a for k in every if k not in some for a in terms[k])}
        return "".join(a for a in dict.fromkeys("".join(terms[k] for k in some)) if a in wanted)

    @functools.cache
    def best(some: _Some) -> _Way:
        if len(some) == 1:
            return _Way(0, ())
        found = []
        for count in range(1, len(some)):
            for chosen in itertools.combinations(some[:0:-1], count):
                last = tuple(sorted(chosen))
                first = tuple(k for k in some if k not in last)
                work = math.prod(sizes[a] for a in {*letters(first), *letters(last)})
                found.append(_Way(work + best(first).work + best(last).work, (first, last)))
        return min(found, key=lambda way: way.work)

    def product(some: _Some, output: str) -> Any:
        if len(some) == 1:
            (k,) = some
            return _single(operands[k], terms[k], output)
        parts = best(some).split
        factors = [product(part, letters(part)) for part in parts]
        left, right = map(letters, parts)
        if left and right:
            return expression(einsum, *factors, subscripts=f"{left},{right}->{output}")
        return _single(expression(multiply, *factors), left + right, output)

    first, rest = every[:MOST], every[MOST:]
    if not rest:
        return product(first, output)
    factors = [product(first, letters(first)), *(operands[k] for k in rest)]
    subscripts = ",".join((letters(first), *(terms[k] for k in rest)))
    return expression(einsum, *factors, subscripts=f"{subscripts}->{output}")


def _single(x: Any, term: str, output: str) -> Any:
    """One array, without the letters that nobody else has and in the order that is wanted."""
    return x if term == output else expression(einsum, x, subscripts=f"{term}->{output}")
