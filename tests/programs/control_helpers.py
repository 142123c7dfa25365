"""Returns, comprehensions, helpers, objects, and what stays a path: programs for `CONTROLS`, as in `control.py`."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tests.programs.control import SQUARE, control
from tests.programs.program import X

# --- returns


@control(0.8, -0.5, 3.0, captures=3, native=True)
def returns_in_branches(x):
    if x < 0:
        return x**2
    if x > 2:
        return np.log(x)
    return np.sin(x) * x


@control(0.8, 0.1, 3.0, captures=2, loops=1, native=True)
def returns_from_a_loop(x):
    y = x
    for i in range(9):
        y = y * 1.5
        if y > 5:
            return y - i * x
    return y * 10


@control(0.8, 0.05, 3.0, captures=2, loops=2)
def returns_from_nested_loops(x):
    y = x
    for i in range(4):
        for _ in range(3):
            y = y * 1.3 + 0.01 * i
            if y > 3:
                return y * x
        y = y - 0.1
    return y


def clipped(x, low, high):
    if x < low:
        return low + 0.1 * (x - low)
    if x > high:
        return high + 0.1 * (x - high)
    return x


@control(0.4, 1.9, -2.0, captures=2, loops=1, native=True)
def helper_with_early_returns(x):
    y = x
    for _ in range(7):
        y = clipped(1.7 * y + 0.2 * x, -0.6, 0.9)
    return y


def root(a, start):
    x = start
    for _ in range(40):
        better = 0.5 * (x + a / x)
        if abs(better - x) < 1e-13:
            return better
        x = better
    return x


@control(0.4, 1.9, 30.0, captures=1, loops=2)
def helper_that_returns_from_its_loop(x):
    total = 0.0
    for k in range(4):
        total = total + root(x + k, 1.0 + 0.2 * k)
    return total


# --- comprehensions, generators


@control(0.3, 1.0, captures=1, loops=1)
def sum_of_a_comprehension(x):
    return sum([np.sin(k * x) / (k + 1) for k in range(8)])


@control(X, captures=1, loops=1)
def sum_of_a_generator(x):
    return sum(a * b for a, b in zip(x, x[::-1], strict=True)) + sum(np.sin(v) for v in x)


@control((SQUARE, X), captures=1, loops=3)
def matrix_product_by_comprehensions(a, x):
    product = [sum(a[i, j] * x[j] for j in range(3)) for i in range(3)]
    return sum(np.tanh(p) for p in product)


@control(X, -X, 2 * X, captures=2)
def comprehension_that_chooses(x):
    kept = [v * v for v in x if v > 0]
    return sum(kept) + len(kept) * x[0]


@control(X, captures=1, loops=2)
def all_any_and_dict_comprehension(x):
    table = {k: v * k for k, v in enumerate(x)}
    scale = 2.0 if all(v < 5 for v in x) and any(v > 1 for v in x) else 1.0
    return scale * (table[1] + table[2] ** 2)


# --- helpers, recursion, classes, closures


def power(x, n):
    if n == 0:
        return 1.0
    half = power(x, n // 2)
    return half * half * (x if n % 2 else 1.0)


@control((1.1, 6), (0.4, 6), captures=1, second=True)
def recursion_on_an_integer(x, n):
    return power(x, n) + power(x, 3)


def halved(x):
    return x if x < 0.5 else halved(0.5 * x) + 0.1 * x * x


@control(0.3, 0.9, 7.0, 0.8, captures=3)
def recursion_on_a_value(x):
    return halved(x) * x


class Oscillator:
    def __init__(self, x, v):
        self.x, self.v = x, v

    def step(self, h):
        self.v = self.v - h * np.sin(self.x)
        self.x = self.x + h * self.v

    @property
    def energy(self):
        return 0.5 * self.v**2 - np.cos(self.x)


@control((0.9, 0.2), (0.1, 1.5), captures=1)
def object_with_a_state(x, v):
    pendulum = Oscillator(x, v)
    for _ in range(10):
        pendulum.step(0.1)
    return pendulum.energy


class Point(NamedTuple):
    x: float
    y: float


@control((0.9, 0.2), (0.1, 1.5), captures=1, loops=1)
def named_tuple_carried(a, b):
    p = Point(a, b)
    for _ in range(6):
        p = Point(p.x + 0.1 * p.y, p.y - 0.1 * p.x * p.x)
    return p.x * p.y


@control(0.9, -0.4, captures=1, loops=1, native=True)
def closure_called_in_a_loop(x):
    gain = 0.5 + x * x

    def step(y, t):
        return gain * np.sin(y + t)

    y = x
    for i in range(8):
        y = step(y, 0.1 * i)
    return y


@control(0.9, -0.4, captures=1, loops=2)
def functions_chosen_and_passed(x):
    def run(step, y, n):
        for _ in range(n):
            y = step(y)
        return y

    return run(np.sin, x, 4) + run(lambda y: y * y + 0.1, 0.5 * x, 3)


# --- what stays a path, and is right


@control(1.2, 0.3, captures=1)
def try_in_the_body(x):
    y = x
    for k in range(4):
        try:
            if k == 2:
                raise ValueError
            y = y * 1.1 + x
        except ValueError:
            y = np.sin(y)
    return y


@control(1.2, 0.3, captures=1)
def generator_of_values(x):
    def walk(y):
        for k in range(5):
            y = 0.9 * y + 0.1 * k
            yield y

    return sum(v * v for v in walk(x))


@control(1.2, 0.3, 0.9, captures=2, loops=1)
def history_that_decides(x):
    seen = []
    while len(seen) < 6 and sum(seen) < 4:
        seen.append(x * (1 + len(seen)))
    return sum(v * v for v in seen)


@control(np.array([0.3, 0.4]), captures=1)
def grown_by_an_item(x):
    for _ in range(3):
        x = np.concatenate([x, x[-1:] * x[:1]])
    return np.sum(np.sin(x))


@control(1.0, -1.0, captures=1, loops=1)
def nan_takes_pythons_arm(x):
    y = x * math.nan
    z = x
    while not y > 0 and z < 4:
        z = 2 * z + 3
    return z * x


@control((X, 0), (X, 1), (X, 3), captures=2, loops=1)
def none_one_or_more_steps(x, n):
    y = x * 1.0
    for _ in range(n):
        y = np.sin(y) * x
    return y.sum()


@control(([],), ([0.4],), ([0.4, 1.2],), captures=3, loops=1)
def empty_list(xs):
    total = 0.0
    for v in xs:
        total = total + v * v
    return total


@control((0.7, 1.3), (1.3, 0.7), captures=1, loops=1, native=True)
def bisected(a, b):
    low, high = 0.0, 3.0
    for _ in range(40):
        middle = 0.5 * (low + high)
        if middle**3 + b * middle > a:
            high = middle
        else:
            low = middle
    # one Newton step: bisection alone has no derivative
    return middle - (middle**3 + b * middle - a) / (3 * middle**2 + b)


@control(X, np.abs(X), -X, captures=3)
def names_that_begin_to_share_an_array(x):
    c = x * 1.0
    a = 0.5 * x
    for i in range(3):
        if a[i] < 0.0:
            c = a
            a[0] += 1.0
    return np.sum(c * c)


@control(X, -X, captures=2)
def written_in_an_arm_and_read_by_a_view(x):
    b = np.zeros(3)
    view = b[1:]
    if x[0] > 0:
        b[1] += 1.5 * x[0]
        b = b + x
    return np.sum(b * b) + np.sum(view) * x[2]
