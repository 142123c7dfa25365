"""What it costs to keep a value, and what to compute a step again: the two sides that `keep.py` weighs.

The unit is a hundredth of the time that a byte takes to be written onto a stack and read back. Measured on scalars in
compiled loops, a double kept costs as much as some fifty sums and products, and less than one `exp`. Begin with `work`.
"""

from __future__ import annotations

import math

from tracegrad.ad.cut import INFINITE
from tracegrad.ir.trace import Const, Instr, Trace
from tracegrad.ir.types import ArrayType

_LIGHT, _SLOW, _HEAVY = 2, 50, 150  # for each byte of the result
_COMPARING = """greater greater_equal less less_equal equal not_equal logical_and logical_or logical_not logical_xor
    bitwise_and bitwise_or bitwise_xor left_shift right_shift invert isnan isinf isfinite signbit"""
_ARITHMETIC = """add subtract multiply negative positive square absolute fabs sign copysign floor ceil rint trunc
    heaviside where maximum minimum fmax fmin clip deg2rad rad2deg radians degrees stop_gradient"""
_MOVING = """zeros zeros_like full_like getitem index_add index_set concatenate stack pad reshape expand_dims transpose
    broadcast_to astype copy flip tile repeat roll tril triu diagonal diag"""
_CHEAP = frozenset(f"{_COMPARING} {_ARITHMETIC} {_MOVING}".split())
_DIVIDING = frozenset(("divide", "floor_divide", "remainder", "fmod", "reciprocal", "sqrt"))
_SUMMING = frozenset(
    ("sum_to", "sum", "mean", "trace", "max", "min", "any", "all", "prod", "norm", "var", "std")
)
_MOST = INFINITE >> 20
LARGE = 1 << 16  # bytes of an array that is worth being computed again for its memory
_OFTEN = 100  # steps of a loop whose number of steps is not known


def keeping(type: ArrayType) -> int:
    """What a value of this type costs on a stack; infinite where its size is not known."""
    return INFINITE if -1 in type.shape else max(1, 100 * bytes_of(type))


def bytes_of(type: ArrayType) -> int:
    """The size of a value; 0 where it is not known."""
    return 0 if -1 in type.shape else type.size * type.dtype.itemsize


def work(step: Instr) -> int:
    """What computing this step again costs."""
    if step.op.name == "branch":
        return max(map(_of_trace, step.params["arms"]))
    if step.op.name == "loop":
        limit = step.inputs[0]
        steps = int(limit.value) if isinstance(limit, Const) and limit.value >= 0 else _OFTEN
        return min(_MOST, steps * (_LIGHT + _of_trace(step.params["body"])))
    made = sum(bytes_of(v.type) for v in step.outputs)
    read = sum(bytes_of(a.type) for a in step.inputs)
    if step.op.name in _CHEAP:
        return _LIGHT * made
    if step.op.name in _DIVIDING or _is_small_power(step):
        return _SLOW * made
    if step.op.family == "elementwise":
        return _HEAVY * made
    if step.op.name in _SUMMING:
        return _LIGHT * (made + read)
    if step.op.family == "bilinear":
        left, right = (a.type.size for a in step.inputs)
        inner = math.isqrt(left * right // max(1, step.outputs[0].type.size)) if made else 0
        return _LIGHT * (made * inner + read)
    return _HEAVY * (made + read)  # solutions, factors, sorted arrays


def quick_work(step: Instr) -> int:
    """The same where memory is short: functions of the elements of large arrays count as sums and products do."""
    made = sum(bytes_of(v.type) for v in step.outputs)
    return _LIGHT * made if step.op.family == "elementwise" and made >= LARGE else work(step)


def _is_small_power(step: Instr) -> bool:
    exponent = step.inputs[-1]
    return (
        step.op.name == "power"
        and isinstance(exponent, Const)
        and not exponent.shape
        and exponent.value in (2, 3)
    )


def _of_trace(trace: Trace) -> int:
    return sum(work(step) for step in trace.steps if isinstance(step, Instr))
