"""What is overlaid to be multiplied and added up alone, as the gradient in a product with it, is not made.

    w = overlay(b, a, starts=((1,), (0,)), shape=(n,))    ->    s = sum(b * v[1:] + a * v[:-1])
    s = sum(w * v)

This is for native text, after `overlays`. Begin with `multiply_parts`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial, reduce
from itertools import pairwise, product

from tracegrad.ir.trace import Atom, Const, Instr, Trace, Var
from tracegrad.ir.walk import map_control
from tracegrad.ops.arithmetic import add, multiply
from tracegrad.ops.index import getitem
from tracegrad.ops.op import Op
from tracegrad.ops.overlay import overlay
from tracegrad.ops.reduce import sum_
from tracegrad.passes.rewrite import Heads, Made, Rule, Term, expression, rewrite

PIECES = 8  # of what no part covers


def multiply_parts(trace: Trace) -> Trace:
    """Multiply parts, where what they lie over each other in is only multiplied and added up."""
    return rewrite(map_control(trace, multiply_parts), _rules_for)


def _rules_for(op: Op, heads: Heads) -> tuple[Rule, ...]:
    return (_product_of_parts,) if op is sum_ and multiply in heads else ()


def _product_of_parts(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """sum(overlay(a, b) * v) -> sum(a * v[1:] + b * v[:-1]): nothing is overlaid

    What no part covers stays 0 * v, which is NaN where v is infinite.
    """
    times = _only_use(step.inputs[0], multiply, made, counts)
    if times is None or len(step.params["axis"]) != len(times.outputs[0].shape) or step.params["keepdims"]:
        return None
    for x, v in (times.inputs, times.inputs[::-1]):
        laid = _only_use(x, overlay, made, counts)
        if laid is None or v.type != x.type or times.outputs[0].type != x.type or isinstance(v, Const):
            continue
        shape, starts = laid.inputs[0].shape, laid.params["starts"]
        bare = list(_bare(x.shape, shape, starts))
        if len(bare) > PIECES:
            return None
        terms = [
            expression(multiply, part, expression(getitem, v, index=_box(start, shape)))
            for part, start in zip(laid.inputs, starts, strict=True)
        ]
        zero = Const(x.dtype.type(0))
        sums = [
            reduce(partial(expression, add), terms),
            *(expression(multiply, expression(getitem, v, index=index), zero) for index in bare),
        ]
        return reduce(partial(expression, add), [expression(sum_, total, **step.params) for total in sums])
    return None


def _box(start: Sequence[int], shape: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(first, first + n) for first, n in zip(start, shape, strict=True))


def _bare(
    whole: Sequence[int], part: Sequence[int], starts: Sequence[Sequence[int]]
) -> Iterator[tuple[slice, ...]]:
    """What no part covers, in pieces."""
    cuts = [
        sorted({0, n, *(s[k] for s in starts), *(s[k] + m for s in starts)})
        for k, (n, m) in enumerate(zip(whole, part, strict=True))
    ]
    boxes = [_box(start, part) for start in starts]
    for piece in product(*map(pairwise, cuts)):
        if not any(
            all(b.start <= first and last <= b.stop for (first, last), b in zip(piece, box, strict=True))
            for box in boxes
        ):
            yield tuple(slice(first, last) for first, last in piece)


def _only_use(x: Atom, op: Op, made: Made, counts: Counter[Var]) -> Instr | None:
    """The step that makes a value which nothing else reads, if it is such a one."""
    maker = made.get(x) if isinstance(x, Var) and counts[x] == 1 else None
    return maker if maker is not None and maker.op is op else None
