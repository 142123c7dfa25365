"""Derivatives of any function against differences, and of both modes against each other.

In: a function and where. Out: nothing, or an AssertionError. Begin with `check_grads`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.api.derived import unary_to_nary
from tracegrad.api.makers import make_jvp, make_vjp
from tracegrad.api.spaces import vspace

STEP = 1e-5
TOLERANCE = 1e-6

Function = Callable[..., Any]


def make_numerical_jvp(f: Function, x: Any) -> Function:
    """`make_numerical_jvp(f, x)(v)`: the change of `f` at `x` along `v`, by central differences.

    `x`, `v` and the result may be nested, real and complex.
    """
    space = vspace(x)

    def along(v: Any) -> Any:
        after, before = (f(space.add(x, space.scalar_mul(v, half))) for half in (0.5 * STEP, -0.5 * STEP))
        results = vspace(after)
        return results.scalar_mul(results.add(after, results.scalar_mul(before, -1.0)), 1.0 / STEP)

    return along


def _drawn(like: Any, seed: int) -> Any:
    """A nested value like this one, of normal numbers, the same for the same seed."""
    return vspace(like).randn(np.random.default_rng(seed))


def _close(found: Any, expected: Any, what: str, f: Function, x: Any) -> None:
    numbers, by_differences = tree.as_vector(found)[0], tree.as_vector(expected)[0]
    error = np.max(np.abs(numbers - by_differences), initial=0.0)
    if not (error < TOLERANCE or error < TOLERANCE * np.max(np.abs(by_differences), initial=0.0)):
        name = getattr(f, "__name__", "the function")
        raise AssertionError(f"the {what} of `{name}` at {x} is {found}, by differences {expected}")


def scalar_close(a: Any, b: Any) -> bool:
    """Whether two numbers are one but for what differences leave uncertain."""
    return bool(abs(a - b) < TOLERANCE or abs(a - b) < TOLERANCE * abs(a + b))


def check_equivalent(x: Any, y: Any) -> None:
    """Two nested values against each other: structure, shapes, dtypes, and numbers along one direction."""
    space = vspace(x)
    assert space == vspace(y), f"{x} is not like {y}"
    along = _drawn(x, 5)
    assert scalar_close(space.inner_prod(x, along), space.inner_prod(y, along)), f"{x} is not {y}"


def check_vjp(f: Function, x: Any) -> None:
    """The pullback of `f` at `x` against differences, along one direction and for one cotangent."""
    pull, value = make_vjp(f)(x)
    arguments, results = vspace(x), vspace(value)
    v, g = _drawn(x, 1), _drawn(value, 2)
    bar = arguments.covector(pull(results.covector(g)))
    assert vspace(bar) == arguments, f"{bar} is not like {x}"
    assert results == vspace(f(x)), f"{value} is not like {f(x)}"
    along = make_numerical_jvp(f, x)(v)
    _close(arguments.inner_prod(bar, v), results.inner_prod(g, along), "vjp", f, x)


def check_jvp(f: Function, x: Any) -> None:
    """The tangent of `f` at `x` against differences, along one direction."""
    v = _drawn(x, 3)
    _close(make_jvp(f)(x)(v)[1], make_numerical_jvp(f, x)(v), "jvp", f, x)


@unary_to_nary
def check_grads(f: Function, x: Any, modes: Sequence[str] = ("fwd", "rev"), order: int = 2) -> None:
    """Derivatives up to an order against differences: `check_grads(f, modes=["rev"], order=2)(*args)`.

    Parameters
    ----------
    f : callable
    argnum : int or tuple of int, default 0
        Which of the arguments.
    modes : sequence of "fwd" and "rev", default both
    order : int, default 2
        At order two the derivatives of the tangent and of the pullback are checked, and so on.

    Raises
    ------
    AssertionError : one is not what differences say
    """
    assert set(modes) <= {"fwd", "rev"}, modes
    checks = {"fwd": check_jvp, "rev": check_vjp}
    derivatives: dict[str, Function] = {
        "fwd": lambda x, v: make_jvp(f)(x)(v)[1],
        "rev": lambda x, v: make_vjp(f)(x)[0](v),
    }
    for mode in modes:
        checks[mode](f, x)
        if order > 1:
            direction = _drawn(x if mode == "fwd" else f(x), 4)
            check_grads(derivatives[mode], (0, 1), modes, order=order - 1)(x, direction)


def combo_check(function: Function, *options: Any, **settings: Any) -> Function:
    """`check_grads` on all combinations: `combo_check(f, 0)([x1, x2], axis=[0, 1])`."""

    def check(*choices: Sequence[Any], **named: Sequence[Any]) -> None:
        for args in itertools.product(*choices):
            for values in itertools.product(*named.values()):
                keywords = dict(zip(named, values, strict=True))
                check_grads(function, *options, **settings)(*args, **keywords)

    return check
