"""Programs over every construct of control flow that is rolled, merged or left a path.

`CONTROLS` holds them. Each says what the structure should come to once all its inputs were seen: how many
captures that took, and how many `loop`s its program has. Where that is not reached, `test_control.py` says
what is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tests.programs.program import Program, X

CONTROLS: list[Program] = []
SQUARE = np.array([[0.3, -1.1, 0.4], [0.8, 0.2, -0.6], [-0.5, 0.9, 1.3]])
RATES = [0.5, -0.25, 1.5, 0.75]


def control(*inputs: Any, captures: int, loops: int = 0, **options: Any) -> Callable[..., Any]:
    """Register a function; an input that is not a tuple is its one argument."""
    given = tuple(i if type(i) is tuple else (i,) for i in inputs)

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        CONTROLS.append(Program(function, given, captures=captures, loops=loops, **options))
        return function

    return register


# --- for


@control(1.1, 0.3, captures=1, loops=1, native=True, second=True)
def counter_in_arithmetic(x):
    y = x
    for i in range(9):
        y = y + np.sin(i * x) / (i + 1)
    return y


@control(0.7, 1.2, captures=1, loops=1, second=True)
def counter_from_a_start_by_steps(x):
    total = 0.0
    for k in range(3, 40, 4):
        total += np.cos(0.1 * k * x) * k
    return total


@control(0.7, 1.2, captures=1, loops=1)
def counter_downwards(x):
    y = 1.0
    for k in range(8, 0, -1):
        y = x + k / (y * y + 1)
    return y


@control(1.1, 0.4, captures=1, loops=1)
def counter_as_a_power(x):
    total = 0.0
    for k in range(6):
        total = total + x**k / (1 + k)
    return total


@control(1.1, -0.4, captures=1, loops=1)
def counter_after_the_loop(x):
    for i in range(7):
        x = 0.5 * x + 0.1 * i
    return x * (i + 1)


@control(0.9, -0.4, captures=1, loops=1, native=True)
def counter_decides(x):
    y = x
    for i in range(10):
        if i % 3 == 0:
            y = np.sin(y) + x
        else:
            y = 0.9 * y
    return y


@control(X, 2 * X, captures=1, loops=1, native=True, second=True)
def items_by_counter(x):
    total = 0.0
    for i in range(3):
        total = total + x[i] * np.sin(x[i] * (i + 1))
    return total


@control(X, 2 * X, captures=1, loops=1)
def items_up_to_the_length(x):
    total = 0.0
    for i in range(len(x)):
        total += x[i] ** 3
    return total


@control(np.linspace(0.2, 1.4, 8), captures=1, loops=1, native=True)
def item_and_the_one_before(x):
    total = 0.0
    for i in range(1, 8):
        total = total + (x[i] - x[i - 1] ** 2) ** 2 + 0.1 * x[-i]
    return total


@control((SQUARE, X), captures=1, loops=2, native=True, second=True)
def matrix_items_by_two_counters(a, x):
    total = 0.0
    for i in range(3):
        row = 0.0
        for j in range(3):
            row = row + a[i, j] * x[j]
        total = total + np.tanh(row) * (i + 1)
    return total


@control((SQUARE, X), captures=1, loops=2)
def triangle_of_a_matrix(a, x):
    total = 0.0
    for i in range(3):
        for j in range(i + 1):
            total += a[i][j] * x[i] * x[j]
    return total


@control(X, -X, captures=1, loops=1, native=True, second=True)
def stores_by_counter(x):
    out = np.zeros(3)
    for i in range(3):
        out[i] = x[i] ** 2 + 0.5 * i
    return np.sum(np.sin(out))


@control(np.linspace(0.2, 1.4, 6), captures=1, loops=1)
def stores_that_read_the_store_before(x):
    out = np.zeros(6)
    out[0] = x[0]
    for i in range(1, 6):
        out[i] = 0.5 * out[i - 1] + np.sin(x[i])
    return out[5] + np.sum(out * out)


@control(SQUARE, captures=1, loops=2)
def stores_into_a_matrix(a):
    out = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            out[i, j] = np.sin(a[j, i]) * (i + 2 * j)
    return np.sum(out**2)


@control(SQUARE, captures=1, loops=1)
def rows_added_in_place(a):
    out = np.zeros(3)
    for i in range(3):
        out += a[i] * np.cos(a[:, i])
    return np.sum(out**2)


@control(SQUARE, captures=1, loops=1, native=True)
def over_the_rows_of_an_array(a):
    y = np.ones(3)
    for row in a:
        y = np.tanh(row * y) + 0.5 * row
    return y.sum()


@control(X, 2 * X, captures=1, loops=1, native=True)
def over_the_items_of_an_array(x):
    y = 0.3
    for item in x:
        y = np.sin(item * y) + item
    return y


@control((X, np.array([0.3, 0.1, -0.8])), captures=1, loops=1)
def enumerated_and_zipped(x, w):
    total = 0.0
    for i, (a, b) in enumerate(zip(x, w, strict=True)):
        total += (i + 1) * np.sin(a * b) + a
    return total


@control(X, captures=1, loops=1)
def reversed_items(x):
    y = 0.5
    for item in reversed(x):
        y = 0.7 * y * item + np.cos(item)
    for i in reversed(range(3)):
        y = y * 0.5 + x[i]
    return y


@control(1.1, 0.2, captures=1, loops=1, native=True)
def over_a_list_of_numbers(x):
    y = x
    for rate in RATES:
        y = np.sin(y * rate) + x
    return y


@control(1.1, 0.2, captures=1, loops=1)
def over_pairs_of_numbers(x):
    y = x
    for rate, shift in [(0.5, 1.0), (1.5, -0.25), (-0.75, 0.3)]:
        y = np.sin(y * rate + shift)
    return y


@control(([0.3, 0.9, -0.4, 1.2],), ([1.3, -0.9, 0.4, 0.2],), captures=1, loops=1)
def over_a_list_given(xs):
    y = 1.0
    for x in xs:
        y = 0.5 * y + x * x
    return y


@control(({"a": 0.3, "b": 1.2, "c": -0.7},), captures=1)
def over_the_items_of_a_dict(p):
    y = 1.0
    for name, value in p.items():
        y = np.sin(value) * y + (2.0 if name == "b" else value)
    return y


@control((1.1, 5), (1.1, 2), (0.3, 9), (0.4, 0), captures=2, loops=1, native=True)
def other_lengths(x, n):
    y = x
    for i in range(n):
        y = 0.8 * y + np.sin(x * i)
    return y


@control((0.4, 3, 2), (0.4, 2, 5), (0.7, 4, 3), captures=1, loops=2)
def other_lengths_of_both(x, n, m):
    total = x
    for _ in range(n):
        y = total * 0.5
        for j in range(m):
            y = np.sin(y) + x * j
        total = total + y
    return total


# --- what is carried, and what is collected


@control((0.9, 0.2), captures=1, loops=1, native=True, second=True)
def tuple_carried(x, v):
    state = (x, v)
    for _ in range(12):
        position, speed = state
        state = (position + 0.1 * speed, speed - 0.1 * np.sin(position))
    return state[0] ** 2 + state[1]


@control((0.9, 0.2), captures=1, loops=1)
def dict_carried(x, v):
    state = {"x": x, "v": v}
    for _ in range(12):
        state = {"x": state["x"] + 0.1 * state["v"], "v": state["v"] - 0.1 * state["x"] ** 3}
    return state["x"] * state["v"]


@control((0.9, 0.2), captures=1, loops=1)
def list_carried_and_written(x, v):
    state = [x, v]
    for _ in range(8):
        state[0] = state[0] + 0.1 * state[1]
        state[1] = state[1] - 0.1 * np.sin(state[0])
    return state[0] * state[1]


@control(0.8, -0.3, captures=1, loops=1)
def collected_and_summed(x):
    seen = []
    y = x
    for k in range(10):
        y = np.sin(y + 0.1 * k) + 0.5 * x
        seen.append(y)
    return sum(seen) + seen[-1] * x


@control(0.8, -0.3, captures=1, loops=1, native=True)
def collected_and_stacked(x):
    seen = []
    y = x
    for _ in range(10):
        y = np.sin(y) + 0.5 * x
        seen.append(y * y)
    path = np.array(seen)
    return np.sum(path[1:] * path[:-1])


@control(X, captures=1, loops=1)
def arrays_collected_and_stacked(x):
    seen = [x]
    for _ in range(5):
        seen.append(np.tanh(seen[-1]) + 0.1 * x)
    return np.sum(np.stack(seen) ** 2)


@control((0.9, 1.3), (1.3, 0.9), captures=1, loops=1, native=True)
def exchanged(a, b):
    for _ in range(5):
        a, b = b, np.sin(a) + b * 0.5
    return a * b


@control(0.6, 1.4, captures=1, loops=1)
def previous_value_kept(x):
    before, now = x, np.sin(x)
    for _ in range(6):
        before, now = now, 0.5 * now + 0.25 * before * before
    return now - before


# --- while, break, continue, else


@control(0.3, 1.7, 0.01, 2.5, captures=1, loops=1, native=True, second=True)
def while_below(x):
    y = x
    while y < 3:
        y = y * 1.4 + 0.05
    return y * x


@control(0.3, 1.7, 0.01, captures=1, loops=1)
def while_that_counts(x):
    y, n = x, 0
    while y < 3:
        y = y * 1.4 + 0.05
        n += 1
    return y * n


@control(0.3, 1.7, 0.01, captures=2, loops=1, native=True)
def while_true_and_break(x):
    y = x
    while True:
        y = y * 1.3 + 0.1
        if y > 4:
            break
    return y * y


@control((2.0, 1.0), (3.0, 0.4), (0.5, 2.0), (1.7, 1.3), captures=2, loops=1, native=True, second=True)
def newton_until_small(a, x):
    for _ in range(30):
        step = (x**3 - a) / (3 * x * x)
        x = x - step
        if abs(step) < 1e-12:
            break
    return x


@control(0.9, 0.2, 3.0, captures=3, loops=1)
def break_before_the_rest(x):
    y, total = x, 0.0
    for i in range(12):
        if y > 4:
            break
        total = total + y * i
        y = y * 1.4 + 0.1
    return total + y


@control(1.1, -2.0, 0.3, captures=3, loops=1, native=True)
def continue_on_condition(x):
    total = 0.0
    for i in range(8):
        wave = np.sin((i + 1) * x)
        if wave < 0:
            continue
        total = total + wave * wave
    return total


@control(0.9, 3.0, 0.1, captures=3, loops=1)
def for_with_else(x):
    y = x
    for _ in range(5):
        y = y * 1.5
        if y > 6:
            y = y - x * x
            break
    else:
        y = np.sin(y)
    return y + x


@control(0.9, 3.0, 0.1, 5.0, captures=4, loops=1)
def while_with_else(x):
    y, n = x, 0
    while n < 6:
        y = y * 1.4
        n += 1
        if y > 5:
            break
    else:
        y = 10 - y
    return y * x


@control(0.9, 3.0, 0.3, captures=3, loops=2)
def break_of_the_inner_loop(x):
    total = 0.0
    for i in range(4):
        y = x + 0.2 * i
        for _ in range(6):
            y = y * 1.3
            if y > 3:
                break
            total = total + 0.1 * y
        total = total + y
    return total


@control(0.9, 3.0, 0.3, -1.0, captures=4, loops=1)
def break_and_continue(x):
    y, total = x, 0.0
    for _ in range(15):
        y = 1.1 * y + 0.3
        if np.sin(3 * y) > 0.8:
            continue
        if y > 5:
            break
        total = total + y * x
    return total + y


# --- branches


@control(0.5, -0.5, 2.0, captures=2)
def one_sided(x):
    y = np.sin(x)
    if x > 1:
        y = y * x
    return y + x


@control(0.5, -0.5, 2.0, -3.0, captures=4, native=True, second=True)
def four_ways(x):
    if x > 1:
        y = x**2
    elif x > 0:
        y = np.exp(x)
    elif x > -1:
        y = np.cos(x)
    else:
        y = 2.5 * x
    return y * x


@control(0.5, -0.5, 1.5, captures=3, native=True, second=True)
def conditional_expressions(x):
    y = x * x if x > 0 else -3 * x
    return y + (np.sin(y) if y > 1.2 else np.cos(y))


@control(0.5, -0.5, 1.5, 3.0, captures=3)
def and_or_not(x):
    if (x > 0 and x < 1) or not x < 2:
        return x * x
    return 5 * np.sin(x)


@control(0.5, -0.5, 1.5, captures=2)
def chained_comparisons(x):
    y = 3 * x
    if 0 < x < 1 < 2 * x + 1:
        y = np.exp(x) + y
    return y * y


@control((0.5, 0.2), (0.2, 0.5), (-0.5, 0.3), captures=2)
def extremes(x, y):
    return max(x, y, 0.3) * min(x * y, 2.0) + abs(x - y)


@control((0.8, 2.0), (-0.8, 2.0), (0.8, -2.0), (-0.8, -2.0), captures=2, loops=1, native=True)
def loop_in_one_arm(x, y):
    if x > 0:
        total = x
        for i in range(5):
            total = total + np.sin(y * i)
    else:
        total = x * y
    if y > 0:
        total = total * y
    return total


@control(0.4, 0.9, 2.4, captures=2, loops=2, native=True)
def while_inside_for_inside_if(x):
    total = x
    if x > 0.5:
        for _ in range(3):
            y = total
            while y < 4:
                y = y * 1.6
            total = 0.3 * y + 0.5 * total
    return total * x


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


@control(0.8, 0.05, 3.0, captures=3, loops=2)
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


@control(0.4, 1.9, -2.0, captures=3, loops=1, native=True)
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


@control(0.4, 1.9, 30.0, captures=2, loops=2)
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


@control((SQUARE, X), captures=1, loops=2)
def matrix_product_by_comprehensions(a, x):
    product = [sum(a[i, j] * x[j] for j in range(3)) for i in range(3)]
    return sum(np.tanh(p) for p in product)


@control(X, -X, 2 * X, captures=2)
def comprehension_that_chooses(x):
    kept = [v * v for v in x if v > 0]
    return sum(kept) + len(kept) * x[0]


@control(X, captures=1)
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


@control(0.9, -0.4, captures=1, loops=1)
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


@control(1.2, 0.3, 0.9, captures=2)
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


@control(([],), ([0.4],), ([0.4, 1.2],), captures=3)
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
