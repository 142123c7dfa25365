"""Stochastic optimisers of nested parameters: `sgd`, `rmsprop`, `adam`.

Each takes `grad(x, i)`, the gradient at step `i`, and where to begin; `callback(x, i, gradient)` is told each step.
Begin with `adam`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.misc.flatten import flatten

Optimizer = Callable[..., Any]


def unflatten_optimizer(optimize: Optimizer) -> Optimizer:
    """An optimiser of vectors as one of nested values."""

    @functools.wraps(optimize)
    def nested(
        grad: Callable[..., Any],
        x0: Any,
        callback: Callable[..., Any] | None = None,
        *args: Any,
        **keywords: Any,
    ) -> Any:
        start, unflatten = flatten(x0)

        def tell(x: Any, i: int, g: Any) -> None:
            if callback is not None:
                callback(unflatten(x), i, unflatten(g))

        return unflatten(
            optimize(lambda x, i: flatten(grad(unflatten(x), i))[0], start, tell, *args, **keywords)
        )

    return nested


def _descended(
    grad: Callable[..., Any],
    x: Any,
    callback: Callable[..., Any] | None,
    steps: int,
    step: Callable[..., Any],
) -> Any:
    """`x` after so many steps; `step(i, g)` is what is added to it."""
    for i in range(steps):
        g = grad(x, i)
        if callback is not None:
            callback(x, i, g)
        x = x + step(i, g)
    return x


@unflatten_optimizer
def sgd(
    grad: Callable[..., Any],
    x: Any,
    callback: Callable[..., Any] | None = None,
    num_iters: int = 200,
    step_size: float = 0.1,
    mass: float = 0.9,
) -> Any:
    """Gradient descent with momentum `mass`."""
    velocity = np.zeros(len(x))

    def step(i: int, g: Any) -> Any:
        velocity[:] = mass * velocity - (1.0 - mass) * g
        return step_size * velocity

    return _descended(grad, x, callback, num_iters, step)


@unflatten_optimizer
def rmsprop(
    grad: Callable[..., Any],
    x: Any,
    callback: Callable[..., Any] | None = None,
    num_iters: int = 100,
    step_size: float = 0.1,
    gamma: float = 0.9,
    eps: float = 1e-8,
) -> Any:
    """Each step over the root of a moving mean of squares, which forgets at the rate `gamma`."""
    squares = np.ones(len(x))

    def step(i: int, g: Any) -> Any:
        squares[:] = gamma * squares + (1.0 - gamma) * g**2
        return -step_size * g / (np.sqrt(squares) + eps)

    return _descended(grad, x, callback, num_iters, step)


@unflatten_optimizer
def adam(
    grad: Callable[..., Any],
    x: Any,
    callback: Callable[..., Any] | None = None,
    num_iters: int = 100,
    step_size: float = 0.001,
    b1: float = 0.9,
    b2: float = 0.999,
    eps: float = 1e-8,
) -> Any:
    """Moving means of the gradient and of its square, both corrected for their start at zero.

    References
    ----------
    Kingma and Ba, Adam: A method for stochastic optimization, arXiv:1412.6980, 2014.
    """
    mean, square = np.zeros(len(x)), np.zeros(len(x))

    def step(i: int, g: Any) -> Any:
        mean[:] = (1.0 - b1) * g + b1 * mean
        square[:] = (1.0 - b2) * g**2 + b2 * square
        return -step_size * (mean / (1.0 - b1 ** (i + 1))) / (np.sqrt(square / (1.0 - b2 ** (i + 1))) + eps)

    return _descended(grad, x, callback, num_iters, step)
