"""Comparisons, logic, selection: `where`, `minimum`, `clip`, `abs`. Ties share the derivative equally."""

from __future__ import annotations

from typing import Any

import numpy as np

from tracegrad.ops.families import broadcast_type, cast, elementwise, promote, sum_to
from tracegrad.ops.op import Op

greater: Op = elementwise(np.greater, passes_zero=True, symbol=">")
greater_equal: Op = elementwise(np.greater_equal, passes_zero=True, symbol=">=")
less: Op = elementwise(np.less, passes_zero=True, symbol="<")
less_equal: Op = elementwise(np.less_equal, passes_zero=True, symbol="<=")
equal: Op = elementwise(np.equal, passes_zero=True, symbol="==")
not_equal: Op = elementwise(np.not_equal, passes_zero=True, symbol="!=")
logical_and: Op = elementwise(np.logical_and, passes_zero=True)
logical_or: Op = elementwise(np.logical_or, passes_zero=True)
logical_not: Op = elementwise(np.logical_not, passes_zero=True)
logical_xor: Op = elementwise(np.logical_xor, passes_zero=True)
bitwise_and: Op = elementwise(np.bitwise_and, passes_zero=True, symbol="&")
bitwise_or: Op = elementwise(np.bitwise_or, passes_zero=True, symbol="|")
bitwise_xor: Op = elementwise(np.bitwise_xor, passes_zero=True, symbol="^")
invert: Op = elementwise(np.invert, passes_zero=True, symbol="~")
sign: Op = elementwise(np.sign, passes_zero=True)
absolute: Op = elementwise(np.absolute, lambda z, x: sign(x), callee="np.abs")


def _where_vjp(g: Any, z: Any, condition: Any, x: Any, y: Any) -> tuple[Any, ...]:
    def back(part: Any, primal: Any) -> Any:
        if primal.dtype.kind not in "fc":
            return None
        return cast(sum_to(part, shape=primal.shape) if part.shape != primal.shape else part, primal.dtype)

    return None, back(where(condition, g, 0.0), x), back(where(condition, 0.0, g), y)


def _where_jvp(tangents: Any, z: Any, condition: Any, x: Any, y: Any) -> Any:
    _, x_dot, y_dot = tangents
    if x_dot is None and y_dot is None:
        return None
    return cast(where(condition, 0.0 if x_dot is None else x_dot, 0.0 if y_dot is None else y_dot), z.dtype)


where: Op = Op(
    "where",
    np.where,
    result_type=broadcast_type(lambda condition, x, y: promote(x, y)),
    vjp=_where_vjp,
    jvp=_where_jvp,
    family="elementwise",
)
