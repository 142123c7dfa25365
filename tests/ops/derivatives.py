"""Every derivative of a function of arrays against differences: reverse mode, forward mode, and of the second order."""

from __future__ import annotations

import warnings

import numpy as np

import tracegrad as tg
from tracegrad import config

STEP = 1e-5


def weighted(function, shape):
    weights = np.random.default_rng(5).uniform(0.5, 1.5, shape)
    return lambda *args: np.sum(function(*args) * weights)


def moved(args, along, step):
    return [a + step * d for a, d in zip(args, along, strict=True)]


def slope(function, args, along, step=STEP):
    """Of fourth order in the step."""
    near, far = (
        function(*moved(args, along, k * step)) - function(*moved(args, along, -k * step)) for k in (1, 2)
    )
    return (8 * near - far) / (12 * step)


def check(function, *args, rtol=1e-6, atol=1e-8, second=True, exact=1e-10, step=STEP):
    """Compare value and derivatives of `function` in all of `args`, arrays of float64; values to `exact`."""
    with warnings.catch_warnings(), config.using(jit="python"):
        warnings.simplefilter("ignore", RuntimeWarning)
        args = [np.asarray(a, float) for a in args]
        generator = np.random.default_rng(3)
        along = [generator.uniform(-1, 1, a.shape) for a in args]
        plain = np.asarray(function(*args))
        loss = weighted(function, plain.shape)
        wrt = tuple(range(len(args)))
        found, gradients = tg.value_and_grad(loss, argnums=wrt)(*args)
        np.testing.assert_allclose(found, loss(*args), rtol=exact, atol=exact / 100)
        wanted = slope(loss, args, along, step)
        total = sum(np.sum(g * d) for g, d in zip(gradients, along, strict=True))
        np.testing.assert_allclose(total, wanted, rtol=rtol, atol=atol)
        result, tangent = tg.jvp(function, tuple(args), tuple(along))
        assert np.shape(result) == plain.shape
        np.testing.assert_allclose(result, plain, rtol=exact, atol=exact / 100)
        np.testing.assert_allclose(weighted(lambda: tangent, plain.shape)(), total, rtol=1e-9, atol=1e-10)
        if second:
            forward = tg.jvp(lambda *a: tg.jvp(function, a, tuple(along))[1], tuple(args), tuple(along))[1]
            wanted = slope(lambda *a: tg.jvp(loss, tuple(a), tuple(along))[1], args, along, step)
            np.testing.assert_allclose(
                weighted(lambda: forward, plain.shape)(), wanted, rtol=10 * rtol, atol=100 * atol
            )

            def directional(*a):
                return sum(np.sum(g * d) for g, d in zip(tg.grad(loss, argnums=wrt)(*a), along, strict=True))

            mixed = tg.grad(directional, argnums=wrt)(*args)
            total = sum(np.sum(g * d) for g, d in zip(mixed, along, strict=True))
            np.testing.assert_allclose(total, wanted, rtol=10 * rtol, atol=100 * atol)
