"""An iterator that several steps of a loop use up: its items are not the same in the next call."""

from __future__ import annotations

import numpy as np
import pytest

import tracegrad as tg

ITEMS = [1.0, 1.0, 1.0, 5.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]


def next_of_an_iterator(x):
    items = iter(ITEMS)
    while x < 10:
        x = x * 2 + next(items)
    return x


def an_inner_loop_uses_it_up(x):
    items = iter([1.0, 2.0, 3.0])
    while x < 10:
        x = x * 2
        for item in items:
            x = x + 0.1 * item
    return x


def a_generator_expression(x):
    items = (item for item in ITEMS)
    for _ in range(2):
        x = x + next(items)
    while x < 20:
        x = x + next(items)
    return x


def pairs_left_over(x):
    pairs = zip(ITEMS, range(10), strict=True)
    while x < 10:
        for value, _ in pairs:
            x = x + value
            if value > 3:
                break
    return x


def pairs_in_two_loops(x):
    pairs = zip(ITEMS, range(10), strict=False)
    for value, k in pairs:
        x = x + value * k
        if k == 3:
            break
    for value, _ in pairs:
        x = x * 0.5 + value
    return x + sum(value for value, _ in pairs) + len(list(pairs))


def numbered_until_it_is_large(x):
    numbered = enumerate(ITEMS, start=2)
    for _, value in numbered:
        x = x + value
        if x > 20:
            break
    for k, value in numbered:
        x = x + k * value
    return x


def parts_of_a_pair(x):
    """`zip` takes one more of its first part before it finds that the second has no more."""
    numbered, others = enumerate(ITEMS), zip(ITEMS[:3], ITEMS[2:5], strict=False)
    for (k, value), (a, b) in zip(numbered, others, strict=False):
        x = x + k * value * a - b
    return x + sum(k * value for k, value in numbered) + len(list(others))


def an_arm_uses_it_up(x):
    pairs = zip(ITEMS, range(4), strict=False)
    if x > 3.2:
        for value, k in pairs:
            x = x + value * k
    for value, _ in pairs:
        x = x * value * 0.1
    return x


def an_iterator_in_a_list(x):
    items = [iter(ITEMS)]
    while x < 10:
        x = x + next(items[0])
    return x


def a_generator_of_ones_own(x):
    def growing():
        value = 1.0
        while True:
            yield value
            value = value * 1.1 if value > 1.2 else value + 0.1

    items = growing()
    while x < 20:
        x = x + next(items)
    return x


FUNCTIONS = [
    next_of_an_iterator,
    an_inner_loop_uses_it_up,
    a_generator_expression,
    pairs_left_over,
    pairs_in_two_loops,
    numbered_until_it_is_large,
    parts_of_a_pair,
    an_arm_uses_it_up,
    an_iterator_in_a_list,
    a_generator_of_ones_own,
]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_later_calls_get_the_items_that_python_gets(function):
    gradient = tg.value_and_grad(function, jit="python")
    for x in (6.0, 3.0, 1.0, 0.3, 9.0, 11.0, 2.0, 4.5, 0.1, 5.1):
        value, derivative = gradient(x)
        assert value == pytest.approx(function(x))
        h = 1e-7
        assert derivative == pytest.approx((function(x + h) - function(x)) / h, rel=1e-5)


def test_an_iterator_made_and_used_up_in_one_step_leaves_the_loop_a_loop():
    def function(x):
        while x < 100:
            x = x + sum(0.1 * t * x for t in (1.0, 2.0))
        return np.sum(x)

    gradient = tg.grad(function, jit="python")
    for x in (6.0, 3.0, 90.0):
        gradient(x)
    assert gradient.stats.captures == 1
