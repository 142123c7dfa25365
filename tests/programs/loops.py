"""Programs with loops and branches of every kind."""

from __future__ import annotations

import numpy as np

from tests.programs.program import X, program


@program(X, 3 * X, 0.1 * X, native=True, captures=2, eager=True)
def tutorial(a):
    b = a * 2
    while np.linalg.norm(b) < 1000:
        b = b * 2
    c = b if b.sum() > 0 else 100 * b
    return c.sum()


@program(X, -X, 2 * X, native=True, captures=3)
def tutorial_with_an_if_statement(a):
    b = a * 2
    while np.linalg.norm(b) < 1000:
        b = b * 2
    if b.sum() > 0:
        c = b
    else:
        c = 100 * b
    return c.sum()


@program(1.3, -0.4, 3.0, native=True, captures=2)
def two_arms(x):
    y = x * x
    if x > 0:
        y = y + np.sin(x)
    else:
        y = y - 2 * x
    return y


@program(1.3, -0.4, 0.1, -3.0, captures=4)
def elif_chain(x):
    if x > 1:
        y = x**2
    elif x > 0:
        y = 3 * x
    elif x > -1:
        y = np.cos(x)
    else:
        y = x
    return y * x


@program((0.3, 1.4), (-0.3, 1.4), (0.3, -1.4), (-0.3, -1.4), native=True, captures=4)
def nested_branches(x, y):
    if x > 0:
        if y > 0:
            z = x * y
        else:
            z = x - y * x
    else:
        if y > 0:
            z = x**2 * y
        else:
            z = np.exp(x * y)
    return z + x


@program(1.1, 0.3, native=True, captures=1)
def fixed_for(x):
    y = x
    for _ in range(7):
        y = y * 0.9 + np.sin(x)
    return y


@program(1.1, -0.3, native=True, captures=2)
def for_with_branch(x):
    y, total = x, 0.0
    for _ in range(12):
        y = np.cos(1.3 * y + x)
        if y > 0.2:
            total = total + y
        else:
            total = total - 0.5 * y * x
    return total


@program(0.7, -1.2, 0.1, native=True, captures=4)
def four_arms(x):
    y = x
    for _ in range(20):
        if y > 0:
            if y > 0.5:
                y = y * 0.7 - 0.3
            else:
                y = y - 0.9 * x
        else:
            if y < -0.5:
                y = y + 0.8
            else:
                y = np.sin(y) + 0.4
    return y


@program(0.4, 0.9, native=True, captures=1)
def nested_for(x):
    total = x
    for _ in range(4):
        y = total * 0.5
        for _ in range(3):
            y = np.sin(y) + x
        total = total + y
    return total


@program(0.4, 0.9, 2.4, native=True, captures=3)
def while_in_for(x):
    total = 0.0
    y = x
    for _ in range(4):
        while y < 2.0:
            y = y * 1.5 + 0.1
        total = total + y
        y = y - 1.9
    return total


@program(0.4, 1.7, 5.0, native=True, captures=3)
def zero_trip_while(x):
    y = x
    while y < 2:
        y = y * 1.5
    return y * x


@program((1.1, 3), (1.1, 1), (1.1, 0), (1.1, 3))
def for_over_an_argument(x, n):
    y = x
    for i in range(n):
        y = y * x + i
    return y


@program(1.1, 4.0)
def while_with_a_counter(x):
    n = 0
    while x < 10:
        x = x * 1.7
        n += 1
    return x * n


@program(1.1, 0.2)
def counter_as_an_index(x):
    weights = [1.0, 0.5, 0.25, 0.125]
    i, total = 0, 0.0
    while i < 4:
        total += weights[i] * x**i
        i += 1
    return total


@program(1.1, 5.0, 0.2)
def break_out(x):
    y = x
    for i in range(10):
        if y > 4:
            break
        y = y * 1.4 + 0.1 * i
    return y * i


@program(1.1, -5.0)
def continue_on(x):
    total = 0.0
    for i in range(6):
        if np.sin(i * x) < 0:
            continue
        total = total + np.sin(i * x)
    return total


@program(1.1, 5.0)
def for_else(x):
    for i in range(3):
        if x * i > 4:
            y = x**2
            break
    else:
        y = 3 * x
    return y


@program(1.1, 5.0, -2.0)
def early_return(x):
    if x < 0:
        return x**2
    for _ in range(3):
        x = x * 1.1
        if x > 5:
            return 2 * x
    return np.log(x)


@program(1.1, 5.0)
def while_true(x):
    while True:
        x = x * 1.5
        if x > 20:
            break
    return x


@program(1.1, -1.0)
def pass_and_assert(x):
    for _ in range(2):
        pass
    if x > 0:
        pass
    else:
        x = -x
    assert x > 0
    return np.sqrt(x)


@program((0.8, 0.3), (0.1, 0.9), native=True, captures=2)
def newton(a, start):
    x = start + 1.0
    while abs(x * x - a) > 1e-10:
        x = 0.5 * (x + a / x)
    return x


@program((np.array([1.0, 0.5]), 0.1), (np.array([0.2, 0.7]), 0.1), native=True, captures=1)
def runge_kutta(y, h):
    def slope(u):
        return np.array([u[0] - u[0] * u[1], u[0] * u[1] - u[1]])

    for _ in range(5):
        k1 = slope(y)
        k2 = slope(y + h / 2 * k1)
        k3 = slope(y + h / 2 * k2)
        k4 = slope(y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return y.sum()


@program((1.0, 0.5), (0.2, 0.7), native=True, captures=1)
def lotka_volterra(x, y):
    dt, alpha, beta, gamma, delta = 0.05, 1.1, 0.4, 0.4, 0.1
    for _ in range(30):
        dx = alpha * x - beta * x * y
        dy = delta * x * y - gamma * y
        x = x + dt * dx
        y = y + dt * dy
    return x + 2 * y


@program(1.3, 0.2, captures=2)
def sum_from_an_integer(x):
    total = 0
    for _ in range(4):
        x = x * 0.8
        total += x
    return total


@program(1.3, 0.2)
def name_unbound_after_an_arm(x):
    if x > 1:
        bonus = x * 3
    y = x
    if x > 1:
        y = y + bonus
    return y


@program(1.3, 0.2)
def value_of_the_step_before(x):
    previous = x
    total = 0.0
    for _ in range(5):
        current = np.sin(previous) + 0.1 * x
        total = total + current * previous
        previous = current
    return total


@program(np.array([0.3, 0.4]))
def growing_shape(x):
    for _ in range(3):
        x = np.concatenate([x, x[:1] * 2])
    return (x**2).sum()


@program(0.3, 1.0)
def comprehension(x):
    return sum([np.sin(k * x) for k in range(4)]) + sum(x * k for k in range(3))


@program(X, -X)
def comprehension_with_a_condition(x):
    kept = [xi for xi in x if xi > 0]
    return sum(kept) * len(kept)


@program(0.5, 2.5)
def walrus(x):
    total = 0.0
    while (y := x * 1.3) < 5:
        x = y
        total = total + y
    return total + x


@program(0.5, 2.5, -1.0)
def chained_comparison(x):
    return x**2 if 0 < x < 1 else -3 * x


@program(0.5, 2.5, -1.0)
def and_or_not(x):
    if x > 0 and (x < 1 or not x < 2):
        return x * x
    return 5 * x


@program(0.5, -0.5, native=True)
def conditional_expression(x):
    y = x * 2 if x > 0 else x * 3
    return y + (1.0 if y > 0 else x)


@program(1.0, -1.0)
def nan_in_a_condition(x):
    y = x * np.nan
    if y > 0:
        return x**2
    return 3 * x


@program(1.2, 0.3)
def loop_in_a_helper_in_a_loop(x):
    for _ in range(3):
        x = relaxed(x, 2.0)
    return x


def relaxed(x, target):
    while abs(x - target) > 0.5:
        x = x + 0.3 * (target - x)
    return x * 0.6


@program(1.2, 0.3, captures=4)
def branches_in_a_helper(x):
    return kinked(x) + 2 * kinked(1 - x)


def kinked(x):
    if x > 0.5:
        y = x**2
    else:
        y = x
    return y


@program(0.9, native=True, captures=1)
def swapped(x):
    a, b = x, 1.0
    for _ in range(6):
        a, b = b, a + 0.5 * b
    return a * b


@program((0.9, 5), (0.9, 3))
def bisection(target, steps):
    low, high = 0.0, 2.0
    for _ in range(20):
        middle = 0.5 * (low + high)
        if middle**3 < target:
            low = middle
        else:
            high = middle
    return target * middle + steps


@program(np.array([0.1, 2.0]), np.array([2.0, 0.1]))
def arrays_and_scalars_in_a_loop(x):
    total, y = 0.0, x
    for k in range(4):
        y = y * 0.5 + x
        total = total + y.sum() * k
        if total > 3:
            y = y - 0.1
    return total


@program(1.5, 0.3)
def a_list_of_values_in_a_loop(x):
    history = []
    for _ in range(4):
        x = x * 0.9 + 1
        history.append(x)
    return sum(history) + history[-1] * history[0]


@program(
    np.array([[0.3, 0.1], [-0.4, 0.2], [-0.3, 0.7], [0.4, 0.1]]),
    np.array([[-0.4, 0.2], [0.7, 0.9], [0.4, 0.1], [2.0, 0.1]]),
    native=True,
)
def rows_left_out_and_a_break(x):
    """The branch that leaves rows out hands nothing on."""
    total = np.zeros(2)
    for i in range(len(x)):
        if x[i, 0] > 0:
            total = total + x[i]
        elif x[i, 1] > 0.5:
            continue
        if np.max(total) > 1.0:
            break
    return np.sum(total**2)


@program(X, -X, 2 * X)
def left_in_a_round_that_hands_on_another_array_than_it_wrote(x):
    y = x * 1.0
    for i in range(3):
        y[i] = 0.3 * x[0]
        y = y[::-1] * 1.5
        if x.sum() > 0:
            break
    return np.sum(y * x)


@program(np.array([0.5, 1.5, 2.5]), np.array([0.1, 0.2, 0.3]))
def a_list_of_arrays_that_may_have_no_items(x):
    large, history = x[x > 1], []
    for _ in range(3):
        large = np.tanh(large)
        history.append(large)
    return np.sum(0.3 * np.stack(history)) + large.sum() + x.sum()


@program(1.5, 0.3)
def a_name_rebound_to_something_else(x):
    kind = "small"
    if x > 1:
        kind = "large"
    return x**2 if kind == "large" else 4 * x


@program(1.5, 0.3)
def deleted_name(x):
    for _ in range(2):
        t = x * 2
        x = t + 0.1
        del t
    return x


@program(2.0, 7.0, captures=2)
def collatz_like(x):
    total = x * 0.0
    while x > 1.0:
        if x > 3.0:
            x = x / 2.0
        else:
            x = x - 0.7
        total = total + x * x
    return total


PAIRS = np.array([[0.3, 0.9], [0.5, 0.2], [0.8, 0.4], [0.1, 0.7]])


@program(PAIRS, PAIRS[::-1], loops=1, native=True, captures=1, eager=True)
def rows_taken_apart(table):
    y = 1.0
    for a, b in table:
        y = a * y + b
    return y * b


@program(PAIRS, PAIRS[::-1], loops=1, captures=1)
def counted_rows_taken_apart(table):
    y = 1.0
    for k, (a, b) in enumerate(table):
        y = a * y + b * k
    return y + a + k


@program((PAIRS, PAIRS[0]), loops=1, captures=1)
def rows_taken_apart_beside_numbers(table, weights):
    y = 1.0
    for (a, *rest), w in zip(table, (*weights, *weights), strict=True):
        y = a * y + rest[0] * w
    return y
