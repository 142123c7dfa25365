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

STEP = 1e-5
TOLERANCE = 1e-6

Function = Callable[..., Any]


def make_numerical_jvp(f: Function, x: Any) -> Function:
    """`make_numerical_jvp(f, x)(v)`: the change of `f` at `x` along `v`, by central differences.

    `x`, `v` and the result may be nested.
    """
    start, rebuild = tree.as_vector(x)

    def along(v: Any) -> Any:
        step = 0.5 * STEP * tree.as_vector(v)[0]
        after, restore = tree.as_vector(f(rebuild(start + step)))
        before, _ = tree.as_vector(f(rebuild(start - step)))
        return restore((after - before) / STEP)

    return along


def _drawn(like: Any, seed: int) -> Any:
    """A nested value like this one, of normal numbers, the same for the same seed."""
    vector, rebuild = tree.as_vector(like)
    return rebuild(np.random.default_rng(seed).standard_normal(vector.shape))


def _inner(x: Any, y: Any) -> Any:
    return np.dot(tree.as_vector(x)[0], tree.as_vector(y)[0])


def _close(found: Any, expected: Any, what: str, f: Function, x: Any) -> None:
    error = np.max(np.abs(found - expected), initial=0.0)
    if not (error < TOLERANCE or error < TOLERANCE * np.max(np.abs(expected), initial=0.0)):
        name = getattr(f, "__name__", "the function")
        raise AssertionError(f"the {what} of `{name}` at {x} is {found}, by differences {expected}")


def check_vjp(f: Function, x: Any) -> None:
    """The pullback of `f` at `x` against differences, along one direction and for one cotangent."""
    pull, value = make_vjp(f)(x)
    v, g = _drawn(x, 1), _drawn(value, 2)
    bar = pull(g)
    for given, belongs in ((bar, x), (value, f(x))):
        assert np.shape(tree.as_vector(given)[0]) == np.shape(tree.as_vector(belongs)[0]), (
            f"{given} is not like {belongs}"
        )
    _close(_inner(bar, v), _inner(g, make_numerical_jvp(f, x)(v)), "vjp", f, x)


def check_jvp(f: Function, x: Any) -> None:
    """The tangent of `f` at `x` against differences, along one direction."""
    v = _drawn(x, 3)
    found = make_jvp(f)(x)(v)[1]
    _close(tree.as_vector(found)[0], tree.as_vector(make_numerical_jvp(f, x)(v))[0], "jvp", f, x)


@unary_to_nary
def check_grads(f: Function, x: Any, modes: Sequence[str] = ("fwd", "rev"), order: int = 2) -> None:
    """Derivatives up to an order against differences: `check_grads(f, modes=["rev"], order=2)(*args)`.

    Parameters
    ----------
    f : callable
    modes : sequence of "fwd" and "rev"
    order : int
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
