"""Loops left early, branches, and one inside the other: programs for `CONTROLS`, as in `control.py`."""

from __future__ import annotations

import math

import numpy as np

from tests.programs.control import WEIGHTS, X, control

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


@control(0.3, 1.7, 0.01, captures=1, loops=1, native=True)
def while_true_and_break(x):
    y = x
    while True:
        y = y * 1.3 + 0.1
        if y > 4:
            break
    return y * y


@control((2.0, 1.0), (3.0, 0.4), (0.5, 2.0), (1.7, 1.3), captures=1, loops=1, native=True, second=True)
def newton_until_small(a, x):
    for _ in range(30):
        step = (x**3 - a) / (3 * x * x)
        x = x - step
        if abs(step) < 1e-12:
            break
    return x


@control(0.9, 0.2, 3.0, captures=1, loops=1)
def break_before_the_rest(x):
    y, total = x, 0.0
    for i in range(12):
        if y > 4:
            break
        total = total + y * i
        y = y * 1.4 + 0.1
    return total + y


@control(1.1, -2.0, 0.3, captures=1, loops=1, native=True)
def continue_on_condition(x):
    total = 0.0
    for i in range(8):
        wave = np.sin((i + 1) * x)
        if wave < 0:
            continue
        total = total + wave * wave
    return total


@control(0.9, 3.0, 0.1, captures=2, loops=1)
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


@control(0.9, 3.0, 0.1, 5.0, captures=2, loops=1)
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


@control(0.9, 3.0, 0.3, captures=1, loops=2)
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


@control(0.9, 3.0, 0.3, -1.0, captures=1, loops=1)
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


@control(0.5, -0.5, 1.5, captures=2, native=True, second=True)
def conditional_expressions(x):
    y = x * x if x > 0 else -3 * x
    return y + (np.sin(y) if y > 1.2 else np.cos(y))


@control(0.5, -0.5, 1.5, 3.0, captures=2)
def and_or_not(x):
    if (x > 0 and x < 1) or not x < 2:
        return x * x
    return 5 * np.sin(x)


@control((X,), (-X,), captures=2, native=True)
def a_list_filled_in_an_arm(x):
    if np.sum(x) > 0.1:
        parts = [np.sin(part) for part in (x, 2.0 * x)]
    else:
        parts = [x, np.cos(x)]
    return np.sum(parts[0] * parts[1])


@control(0.5, -0.5, 1.5, captures=3)  # true; false at the first comparison; false at the second
def chained_comparisons(x):
    y = 3 * x
    if 0 < x < 1 < 2 * x + 1:
        y = np.exp(x) + y
    return y * y


@control((0.5, 0.2), (0.2, 0.5), (-0.5, 0.3), captures=2)
def extremes(x, y):
    return max(x, y, 0.3) * min(x * y, 2.0) + abs(x - y)


@control((0.8, 2.0), (-0.8, 2.0), (0.8, -2.0), (-0.8, -2.0), captures=3, loops=1, native=True)
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


@control(0.7, -1.2, 2.2, captures=2, loops=1, native=True, second=True)
def arms_in_a_loop(x):
    y = x
    for i in range(12):
        if y > 0.5:
            y = 0.6 * y - 0.1 * i
        elif y > -0.5:
            y = y + 0.7
        else:
            y = -1.2 * y
    return y


@control(3.1, 7.3, 1.1, 4.1, 20.3, captures=1, loops=1, native=True)
def arms_that_read_the_counter(x):
    y = x
    for i in range(6):
        if y > 5:
            y = y - 2.0 * i
        else:
            y = y * 1.5
    return y


@control(3.1, 7.3, 1.1, 4.1, 20.3, captures=4, loops=1)
def arms_that_read_a_key(x):
    y = x
    for name in WEIGHTS:
        if y > 5:
            y = y - WEIGHTS[name] * x
        else:
            y = y * 1.5
    return y


@control(3.1, 7.3, 1.1, 4.1, 2.6, captures=4, loops=1)
def arms_that_call_an_item(x):
    y = x
    for function in [np.sin, np.cos, np.tanh]:
        if y > 5:
            y = function(y) * x
        else:
            y = y * 1.5
    return y


@control(3.1, 7.3, 1.1, 4.1, 2.6, captures=4)
def helpers_given_an_item(x):
    def moved(y, name):
        if y > 5:
            return y - WEIGHTS[name] * x
        return y * 1.5

    y = x
    for name in WEIGHTS:
        y = moved(y, name)
    return y


@control(3.1, 7.3, 1.1, 4.1, 2.6, captures=2, loops=3)
def inner_loop_entered_for_an_item(x):
    y = x
    for name in WEIGHTS:
        while y > 5:
            y = y - WEIGHTS[name]
        y = y * 1.5
    return y


@control((0.5, 1), (0.5, 4), (2.5, 1), (2.5, 4), (7.0, 2), captures=3)
def arms_that_read_what_a_counter_made(x, n):
    y = x
    for i in range(5):
        weight = math.factorial(i) / (i + n)
        if y > 2:
            y = 0.4 * y + weight * np.sin(x)
        else:
            y = y * 1.5 + 0.3
    return y
