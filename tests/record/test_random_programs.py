"""Random structured programs: value and gradient against dual numbers run by plain Python, on inputs of
many paths.
"""

from __future__ import annotations

import linecache
import random
import warnings

import numpy as np
import pytest

import tracegrad as tg
from tests.record import random_arrays
from tests.record.random_programs import write
from tracegrad.errors import InPlaceError


class Dual:
    """A value with its tangents by x and y, for plain Python to compute with."""

    def __init__(self, value, dot=(0.0, 0.0)):
        self.value, self.dot = float(value), dot

    @staticmethod
    def of(other):
        return other if isinstance(other, Dual) else Dual(other)

    def _by(self, value, *parts):
        return Dual(value, tuple(sum(p * d.dot[i] for p, d in parts) for i in (0, 1)))

    def __add__(self, other):
        other = Dual.of(other)
        return self._by(self.value + other.value, (1.0, self), (1.0, other))

    def __sub__(self, other):
        other = Dual.of(other)
        return self._by(self.value - other.value, (1.0, self), (-1.0, other))

    def __mul__(self, other):
        other = Dual.of(other)
        return self._by(self.value * other.value, (other.value, self), (self.value, other))

    def __truediv__(self, other):
        other = Dual.of(other)
        z = self.value / other.value
        return self._by(z, (1.0 / other.value, self), (-z / other.value, other))

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other):
        return Dual.of(other) - self

    def __rtruediv__(self, other):
        return Dual.of(other) / self

    def __neg__(self):
        return self * -1.0

    def __abs__(self):
        return self if self.value > 0 else -self

    def __bool__(self):
        return self.value != 0

    def __eq__(self, other):
        return self.value == Dual.of(other).value

    def __hash__(self):
        return hash(self.value)

    def sin(self):
        return self._by(np.sin(self.value), (np.cos(self.value), self))

    def tanh(self):
        t = np.tanh(self.value)
        return self._by(t, (1.0 - t * t, self))

    def __lt__(self, other):
        return self.value < Dual.of(other).value

    def __le__(self, other):
        return self.value <= Dual.of(other).value

    def __gt__(self, other):
        return self.value > Dual.of(other).value

    def __ge__(self, other):
        return self.value >= Dual.of(other).value


def made(text, name):
    """The function of a module text, with its source where `inspect` finds it."""
    file = f"<random program {name}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    scope = {"__name__": "random_program"}
    exec(compile(text, file, "exec"), scope)
    return scope["f"]


def expected(text, x, y, m):
    """Value and gradient by dual numbers; the exception's type where plain Python raises."""
    dual = made(
        text.replace("np.zeros(3)", "[0.0, 0.0, 0.0]").replace(
            "np.array([x, 0.5 * y, x * y])", "[x, 0.5 * y, x * y]"
        ),
        f"dual {hash(text)}",
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = Dual.of(dual(Dual(x, (1.0, 0.0)), Dual(y, (0.0, 1.0)), m))
    except NameError as error:
        return type(error)
    return result.value, result.dot


def on_tape(gradient):
    """Its calls, each answered on the tape."""
    return lambda *args: gradient._taped(gradient.signature.flat_call(args, {}))


def check(seed, size, calls, tape=False, **options):
    text = write(random.Random(seed), size)
    gradient = tg.value_and_grad(made(text, seed), argnums=(0, 1), **options)
    gradient = on_tape(gradient) if tape else gradient
    inputs = random.Random(seed + 1)
    points = [(inputs.uniform(-2, 2), inputs.uniform(-2, 2), inputs.randrange(5)) for _ in range(calls)]
    for x, y, m in [*points, *points[: calls // 2]]:
        wanted = expected(text, x, y, m)
        where = f"seed {seed} at {(x, y, m)}\n{text}"
        if isinstance(wanted, type):
            with pytest.raises(wanted):
                gradient(x, y, m)
            continue
        value, bars = gradient(x, y, m)
        if not np.all(np.abs([wanted[0], *wanted[1]]) < 1e8):
            continue  # overflowing: the order of operations decides between infinity and NaN
        assert value == pytest.approx(wanted[0], rel=1e-9, abs=1e-9), where
        assert bars == pytest.approx(wanted[1], rel=1e-7, abs=1e-7), where
    return gradient


@pytest.mark.parametrize("seed", range(40))
def test_value_and_gradient_are_those_of_dual_numbers(seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(seed, 4 + seed % 14, 6, jit="python")


@pytest.mark.parametrize("seed", range(40))
def test_runs_on_the_tape_are_those_of_dual_numbers(seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(seed, 4 + seed % 14, 6, tape=True)


def smooth_gradient(function, x):
    """Central differences; None where two steps disagree: a condition changes close by."""
    near, far = (
        np.array([(function(x + e) - function(x - e)) / (2 * h) for e in np.eye(3) * h]) for h in (1e-6, 1e-5)
    )
    return near if np.allclose(near, far, rtol=1e-4, atol=1e-4) else None


@pytest.mark.parametrize("tape", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_arrays_written_in_place_are_those_of_plain_numpy(seed, tape):
    text = random_arrays.write(random.Random(seed), 3 + seed % 14)
    function = made(text, f"arrays {seed}")
    gradient = tg.value_and_grad(function, jit="python")
    gradient = on_tape(gradient) if tape else gradient
    draws = np.random.default_rng(seed)
    points = [draws.uniform(-1.5, 1.5, 3) for _ in range(5)]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for x in [*points, *points[:2]]:
            where = f"seed {seed} at {x}\n{text}"
            try:
                wanted = function(x.copy())
            except (ValueError, IndexError, TypeError) as error:
                with pytest.raises(type(error)):
                    gradient(x)
                continue
            before = x.copy()
            try:
                value, bar = gradient(x)
            except InPlaceError:  # a view that came out of a loop: refused, not guessed
                continue
            assert np.array_equal(x, before), where
            if abs(wanted) < 1e6:
                assert value == pytest.approx(wanted, rel=1e-9, abs=1e-9), where
                slope = smooth_gradient(function, x)
                if slope is not None and np.all(np.abs(slope) < 1e6):
                    assert bar == pytest.approx(slope, rel=1e-3, abs=1e-3), where
