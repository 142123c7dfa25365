"""Programs over every construct of control flow that is rolled, merged or left a path.

`CONTROLS` holds them. Each says what the structure should come to once all its inputs were seen: how many
captures that took, and how many `loop`s its program has. Where that is not reached, `test_control.py` says
what is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.programs.program import Program, X

CONTROLS: list[Program] = []
SQUARE = np.array([[0.3, -1.1, 0.4], [0.8, 0.2, -0.6], [-0.5, 0.9, 1.3]])
RATES = [0.5, -0.25, 1.5, 0.75]
WEIGHTS = {"a": 1.0, "b": 2.0, "c": 3.0}


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


@control(0.7, 1.2, captures=1, loops=1)
def large_table_made_in_each_iteration(x):
    y = x
    for _ in range(6):
        columns, rows = np.meshgrid(np.arange(40), np.arange(40))
        y = np.mean(np.sin(y * columns + 0.1 * rows)) + x
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
def numbered_from_three(x):
    total = 0.0
    for i, (a, b) in enumerate(zip(x, x[::-1], strict=True), start=3):
        total += i * np.sin(a * b)
    return total


@control(X, captures=1, loops=2)
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


@control((1.1, 5), (1.1, 2), (0.3, 9), (0.4, 0), captures=1, loops=1, native=True)
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
