"""Fixed points, differentiated by what they satisfy and not through the iterations: `fixed_point`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.api.extend import defvjp, primitive
from tracegrad.api.makers import make_vjp


@primitive
def fixed_point(
    f: Callable[[Any], Callable[[Any], Any]],
    a: Any,
    x0: Any,
    distance: Callable[[Any, Any], Any],
    tol: float,
) -> Any:
    """The `x` with `f(a)(x) = x`, by iteration from `x0` until `distance` of two iterates is at most `tol`.

    The derivative with respect to `a` follows from the equation: it is a fixed point itself, and nothing of the
    iterations is kept.

    References
    ----------
    Christianson, Reverse accumulation and attractive fixed points, Optimization Methods and Software 3, 1994.
    """
    step = f(a)
    x, before = step(x0), x0
    while distance(x, before) > tol:
        x, before = step(x), x
    return x


def _cotangent(x: Any, f: Any, a: Any, x0: Any, distance: Any, tol: float) -> Callable[[Any], Any]:
    """Of `a`: that of one step, for the sum of what all steps would pull back."""

    def pulled(given: Any) -> Callable[[Any], Any]:
        a, x, g = given
        pull = make_vjp(f(a))(x)[0]
        return lambda bar: pull(bar) + g

    def pull(g: Any) -> Any:
        bar = fixed_point(pulled, (a, x, g), np.zeros(np.shape(x)), distance, tol)
        return make_vjp(lambda a: f(a)(x))(a)[0](bar)

    return pull


defvjp(fixed_point, None, _cotangent, None)
