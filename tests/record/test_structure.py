"""What becomes a loop or a branch of the trace and what stays a path, told from the printed trace and the
number of captures.
"""

from __future__ import annotations

import random

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.record.recording import Recording


def steps(transformed):
    """The outermost steps of the trace used last, without what they are made of."""
    lines = transformed.trace.splitlines()[1:]
    return [line.strip() for line in lines if line.startswith("  ") and not line.startswith("    ")]


def count(transformed, word):
    return sum(
        f"{word}(" in line or f" {word} " in line or line.startswith(f"{word} ")
        for line in transformed.trace.splitlines()
    )


def captured(function, *inputs, grad=True):
    """The transform after these calls, each checked against plain Python."""
    made = tg.value_and_grad(function, jit="python") if grad else tg.jit(function, jit="python")
    for x in inputs:
        value = made(x)[0] if grad else made(x)
        assert value == pytest.approx(function(x), rel=1e-12)
    return made


def doubled_until_large(x):
    y = x * 2
    while np.linalg.norm(y) < 1000:
        y = y * 2
    return y.sum()


def test_a_while_loop_is_captured_once_for_every_trip_count():
    draws = random.Random(0)
    inputs = [np.array([10 ** draws.uniform(-4, 2), 0.3]) for _ in range(60)]
    made = captured(doubled_until_large, *inputs)
    assert made.stats.captures == 1
    assert count(made, "loop") == 1


def test_two_arms_need_two_captures():
    def function(x):
        if x > 0:
            y = x**2
        else:
            y = -3 * x
        return y + 1

    made = captured(function, 1.0, 2.0, -1.0, 3.0, -2.0, 0.5)
    assert made.stats.captures == 2
    assert count(made, "branch") == 1


def test_fifty_steps_with_four_arms_need_at_most_four_captures():
    def function(x):
        y = x
        for _ in range(50):
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

    draws = random.Random(1)
    made = captured(function, *(draws.uniform(-2, 2) for _ in range(1000)))
    assert made.stats.captures <= 4


def test_a_while_loop_that_was_never_entered_grows_a_body():
    def function(x):
        y = x
        while y < 2:
            y = y * 1.5
        return y * x

    made = captured(function, 5.0, 1.0, 0.3, 6.0, 1.9)
    assert made.stats.captures == 2


def test_a_for_loop_of_one_step_or_none_is_straight():
    def once(x):
        for _ in range(1):
            x = x * 2
        return x

    def never(x):
        for _ in range(0):
            x = x * 2
        return x

    for function in (once, never):
        made = captured(function, 1.5)
        assert count(made, "loop") == 0


@pytest.mark.parametrize("trips", [2, 3, 50])
def test_a_for_loop_of_equal_steps_is_rolled(trips):
    def function(x):
        y = x
        for _ in range(trips):
            y = np.sin(y) + x
        return y

    made = captured(function, 0.3, 1.2)
    assert made.stats.captures == 1
    assert count(made, "loop") == 1
    assert count(made, "sin") == 1


def test_a_first_step_that_differs_is_peeled_off():
    def function(x):
        total = 0
        for _ in range(6):
            total = total + np.exp(-x)
            x = x * 1.1
        return total

    made = captured(function, 0.3)
    assert count(made, "loop") == 1
    assert count(made, "exp") <= 2


def test_a_loop_whose_value_changes_its_shape_stays_a_path():
    def function(x):
        for _ in range(3):
            x = np.concatenate([x, x[:1]])
        return x.sum()

    made = captured(function, np.ones(2))
    assert count(made, "loop") == 0
    assert count(made, "concatenate") == 3


def test_a_loop_whose_value_changes_its_dtype_in_the_third_step_stays_a_path():
    def function(x):
        y = np.float32(1.0) * np.ones(2, np.float32)
        for k in range(4):
            y = y * (x if k == 2 else np.float32(2.0))
        return y.sum()

    made = captured(function, 1.5)
    assert count(made, "loop") == 0


def test_the_loop_counter_is_a_value_of_the_loop():
    def function(x):
        total = 0.0
        for k in range(4):
            total = total + x**k
        return total

    made = captured(function, 1.5, 0.5)
    assert count(made, "loop") == 1


def test_a_loop_that_is_left_early_is_one_program():
    def function(x):
        for _ in range(8):
            x = x * 1.4
            if x > 4:
                break
        return x

    made = captured(function, 1.0, 3.0, 1.0)
    assert made.stats.captures == 1
    assert count(made, "loop") == 1


def test_an_item_that_is_no_number_does_in_an_arm_what_it_did_there_and_nothing_else():
    weights = {"a": 1.0, "b": 2.0, "c": 3.0}

    def by_key(x):
        y = x
        for name in weights:
            if y > 5:
                y = y - weights[name]
            else:
                y = y * 1.5
        return y

    def by_function(x):
        y = x
        for f in (np.sin, np.cos, np.exp):
            if y > 0.5:
                y = f(y)
            else:
                y = y + 0.4
        return y

    captured(by_key, 3.0, 7.0, 4.0, 5.5, 1.0)
    captured(by_function, 0.3, 0.7, 0.2, -0.5, 1.9)


def test_a_value_of_the_step_before_that_no_name_hands_on_stays_a_path():
    def function(x):
        y, z = x, 0.0
        for k in range(5):
            if k > 0:
                z = z + w * y  # noqa: F821  (bound in the step before)
            w = np.sin(y)
            y = w + x
        return z

    made = captured(function, 0.4, 1.3)
    assert made.stats.captures == 1


def test_a_list_that_grows_holds_items_of_the_loop():
    def function(x):
        history = []
        for _ in range(4):
            x = x * 1.1
            history.append(x)
        return history[0] * history[-1]

    made = captured(function, 1.0, 2.0)
    assert count(made, "loop") == 1


def test_a_list_holds_its_own_items_after_a_loop_that_was_not_entered():
    """Its last items stood for variables of the loop while its condition was asked."""

    def function(x):
        history = []
        k = 0
        while k < 2:
            k = k + 1
            for _ in range(3):
                while x < 0:
                    history.append(x)
                    x = x + 1.0
                history.append(x * x)
        return sum(history)

    captured(function, 1.5, 2.0, -1.5, -3.5, 1.0)


def test_a_tuple_is_carried_item_by_item():
    def function(x):
        pair = (x, x)
        for _ in range(3):
            pair = (pair[0] * 1.1, pair[1] + pair[0])
        return pair[0] * pair[1]

    made = captured(function, 1.0, 2.0)
    assert count(made, "loop") == 1


def test_nested_loops_are_rolled_in_one_another():
    def function(x):
        total = x
        for _ in range(5):
            y = total
            for _ in range(7):
                y = np.sin(y)
            total = total + y
        return total

    made = captured(function, 0.5)
    assert count(made, "loop") == 2
    assert count(made, "sin") == 1


def halved(v):
    while v > 1:
        v = v * 0.5
    return v


def test_a_loop_in_a_helper_is_rolled_in_the_callers_loop():
    def function(x):
        for _ in range(4):
            x = x * 1.7 + halved(x)
        return x

    made = captured(function, 0.1, 1.0, 2.0, 3.0)
    assert made.stats.captures <= 2
    assert count(made, "loop") == 2


def test_a_branch_in_a_loop_in_a_branch():
    def function(x):
        y = x
        if x > 0:
            for _ in range(6):
                if y > 1:
                    y = y - 0.7
                else:
                    y = y * 1.6
        else:
            y = 2 * x
        return y * x

    made = captured(function, 0.5, -0.5, 2.0, 0.1, -1.0)
    assert made.stats.captures <= 3


def failing(v, forbidden):
    while v > 0.1:
        v = v * 0.8
        assert v < forbidden
    return v


def test_an_exception_that_passes_through_open_structures_leaves_straight_steps():
    def function(x):
        total = 0.0
        for limit in (10.0, 0.0, 10.0):
            try:
                total = total + failing(x, limit)
            except AssertionError:
                total = total + x
        return total

    captured(function, 1.0, 2.0, 0.3)


def test_a_condition_that_is_nan_takes_pythons_arm():
    def function(x):
        y = np.log(x)
        if y > 0:
            return x**2
        return 3 * x

    with np.errstate(invalid="ignore"):
        made = captured(function, -1.0, 2.0, 0.5)
    assert made.stats.captures == 2


def test_a_name_bound_in_one_arm_only_is_unbound_after_the_other():
    def function(x):
        y = x
        if x > 1:
            bonus = 2 * x
            y = y + bonus
        return y + bonus

    made = tg.value_and_grad(function, jit="python")
    assert made(2.0) == (10.0, 5.0)
    for _ in range(2):
        with pytest.raises(UnboundLocalError):
            made(0.5)
    assert made(3.0) == (15.0, 5.0)


def test_ten_thousand_steps_that_fold_make_a_short_trace():
    def function(x):
        y = x
        for _ in range(10_000):
            y = np.sin(y) * 0.9 + x
        return y

    made = captured(function, 0.4, grad=False)
    assert len(steps(made)) <= 3


def test_a_wrong_turn_after_many_equal_steps_gives_all_of_them_straight():
    def function(x):
        y = x
        kinds = {}
        for k in range(30):
            y = np.sin(y) + x
            kinds[str(k)] = y
            if len(kinds) == 30:
                y = y * 2
        return y

    made = captured(function, 0.4)
    assert count(made, "sin") == 30


def test_a_wrong_turn_after_steps_that_took_other_arms():
    def function(x):
        y, kind = x, "a"
        for _ in range(6):
            if y > 1.0:
                y = y * 0.5
            else:
                y = y * 1.7 + (0.1 if kind == "a" else 0.2)
            if len(str(float(np.floor(y * 1e6)))) == 0:
                kind = "c"
        for name in ("a", "b", "c", "d", "e"):
            y = np.sin(y) if name > "c" else y * 1.1
        return y

    captured(function, 0.4, 3.0, 1.5, 0.9, -0.5)


# --- arrays that keep their identity through structures -----------------------------------------


def test_a_write_after_a_branch_reaches_the_other_name_of_the_array():
    def function(x):
        v = x * 1.0
        w = v
        if x[0] > 0:
            y = 1.0
        else:
            v = v * 1
            y = 2.0
        v[0] = 5 * x[1]
        return (v * w).sum() * y

    captured(function, np.array([1.0, 2.0, 3.0]), np.array([-1.0, 0.5, 1.0]), np.array([2.0, 2.0, 3.0]))


def test_a_write_to_the_first_name_after_an_arm_made_the_second_another_array():
    def function(x):
        v = x * 1.0
        w = v
        if x[0] > 0:
            w = w + 0.0
        v[0] = 5 * x[1]
        return (v * w).sum()

    captured(function, np.array([1.0, 2.0, 3.0]), np.array([-1.0, 0.5, 1.0]), np.array([2.0, 2.0, 3.0]))


def test_a_write_through_a_view_after_a_branch():
    def function(x):
        v = x * 1.0
        w = v[1:]
        if x[0] > 0:
            v = v + 1
        w[0] = x[0] * 7
        return v.sum() + w.sum()

    captured(function, np.array([1.0, 2.0, 3.0]), np.array([-1.0, 0.5, 1.0]))


def test_a_write_after_a_loop_that_may_not_have_run():
    def function(x):
        v = x * 1.0
        w = v
        k = x[0]
        while k < 10:
            k = k * 2 + 1
            v = v + 0.0
        v[0] = x[1]
        return (v * w).sum() * k

    captured(function, np.array([1.0, 2.0, 3.0]), np.array([11.0, 2.0, 3.0]), np.array([3.0, 2.0, 3.0]))


def test_a_write_after_arms_nested_in_a_loop_runs_on_the_tape(caplog):
    def function(x):
        v = x * 1.0
        w = v
        k = x[0]
        while k < 10:
            k = k * 2 + 1
            if k > 8:
                v = v * 2
        v[0] = x[1]
        return (v * w).sum() * k

    captured(function, np.array([1.0, 2.0, 3.0]), np.array([0.0, 2.0, 3.0]), np.array([11.0, 2.0, 3.0]))
    assert "nested loop or branch" in caplog.text


def test_arrays_made_after_nested_arms_may_be_written(caplog):
    """One of them lies where the array lay that the loop began with, and that is gone."""

    def function(x):
        y = x * 0.0
        for i in range(3):
            if x[i] > 0:
                y = y + x[i]
        a, b, c, d = x * 2.0, x * 3.0, x * 4.0, x * 5.0
        a[0], b[0], c[0], d[0] = x[1], x[2], x[1] * x[2], x[0] * x[2]
        return (a * b * c * d * y).sum()

    captured(function, np.array([1.0, 2.0, 3.0]), np.array([-1.0, 2.0, 3.0]), np.array([-11.0, 2.0, -3.0]))
    assert not caplog.text


def test_an_array_written_in_a_loop_keeps_its_other_name():
    def function(x):
        v = x * 1.0
        w = v
        for _ in range(4):
            u = w * 2
            w += u
        return v.sum()

    made = captured(function, np.ones(3), np.arange(3.0))
    assert count(made, "loop") == 1


def test_an_arm_recorded_for_an_integer_is_not_used_for_a_float():
    def function(x):
        c = 1
        for _ in range(4):
            d = np.sin(c - x)
            if np.sin(c) >= d:
                if c > x:
                    c = np.sin(c - c) + 0.1 * x
                else:
                    c = np.cos(c * x)
            x = x + 0.5 * c
        return x + c

    gradient = tg.value_and_grad(function, jit="python")
    for x in (0.3, -1.2, 1.7, 0.9, 2.5, -0.4):
        value, derivative = gradient(x)
        h = 1e-6
        assert value == pytest.approx(function(x))
        assert derivative == pytest.approx((function(x + h) - function(x - h)) / (2 * h), rel=1e-6)


def test_names_that_begin_to_share_an_array_in_a_loop():
    def function(x):
        c = x * 1.0
        a = 0.5 * x
        for i in range(3):
            if a[i] < 0.0:
                c = a
                a[0] += 1.0
        return 0.3 * c.sum()

    points = ([0.66, -1.12, 0.17], [0.36, 1.29, 0.54], [0.36, 1.29, -0.54], [-0.36, 1.29, 0.54])
    captured(function, *map(np.array, points))


def test_an_array_that_has_another_name_is_handed_on_when_its_first_name_is_rebound():
    def function(x):
        b = x * 1.0
        v = b[1:]
        if x.sum() > 0:
            b[1] += 1.5
            b = b + x
        return b.sum() + 2 * v.sum()

    captured(function, np.array([0.3, 0.2, 0.1]), np.array([-0.3, 0.2, -0.1]), np.array([0.9, 0.2, 0.1]))


def test_a_long_loop_is_computed_ahead_and_recorded_once():
    def function(x):
        history, total = [x], 0.0
        for i in range(2000):
            if i == 1500:
                x = x * 2.0
            if total > 3e3:
                total = total - 1.0
            x = 0.999 * x + 0.001 * np.sin(0.1 * i)
            total = total + x * history[-1]
            history.append(x)
        return total + sum(history)

    made = captured(function, 1.3, 0.4, -2.0)
    assert count(made, "loop") == 2


@pytest.mark.parametrize(
    ("rows", "writes", "ahead"),
    [(100, False, True), (100, True, True), (2000, False, True), (2000, True, False)],
)
def test_a_loop_over_large_arrays_is_computed_ahead_where_copies_take_less_than_recording(
    monkeypatch, rows, writes, ahead
):
    applied = []
    apply = Recording.apply
    monkeypatch.setattr(Recording, "apply", lambda *args: (applied.append(1), apply(*args))[1])

    def function(x):
        y = x * 1.0
        for _ in range(60):
            z = np.sin(y)
            if writes:
                z[0] = 0.5
            y = np.reshape(z.reshape(rows, 80).T * 0.5, rows * 80)
        return np.sum(y)

    x = np.linspace(0.0, 1.0, rows * 80)
    value, bar = tg.value_and_grad(function, jit="python")(x)
    assert (len(applied) < 60) is ahead
    assert np.isclose(value, function(x))
    step = 1e-6 * np.cos(np.arange(rows * 80))
    slope = (function(x + step) - function(x - step)) / 2
    np.testing.assert_allclose(slope, bar @ step, rtol=1e-4, atol=1e-16)


def test_the_larger_of_two_numbers_is_a_branch():
    def function(x):
        total = 0.0
        for i in range(5):
            total += max(0, x - i) * min(x, 3)
        return total

    made = captured(function, 0.3, 2.5, 5.2, -1.1, 1.7, 4.4)
    assert made.stats.captures <= 2


def test_a_long_loop_that_prints_runs_step_by_step(capsys):
    def said(k):
        print("step", int(k))

    def function(x):
        for k in range(100):
            x = 0.9 * x + 0.1
            said(k)
        return x

    tg.grad(function, jit="python")(2.0)
    assert capsys.readouterr().out.count("step") == 100


def test_a_while_that_always_returns_in_its_first_step():
    def function(x):
        n, w = 0, 0.35
        while w < 0.5 and (n > 0.5 or n < 0.1) and not x < -0.5:
            w = w * 1.5 + 0.1
            return x * 3.0
        return x * 2.0

    captured(function, 1.29, -0.7, 0.3)


def test_an_array_written_in_an_arm_and_seen_through_a_view_or_another_name():
    def reversed_view(x):
        c = x * 2
        a = c
        if x.sum() > -9:
            a[0] = a[2]
            a = a[::-1]
        return c.sum() + 2 * a[0]

    def shared_in_a_loop(x):
        a = x * 1.0
        b = np.zeros(3)
        if x[1] < 0.5:
            for _ in range(4):
                b = a
            b[1:] = b[:2] * 1.0
        return (a * b).sum()

    for function in (reversed_view, shared_in_a_loop):
        captured(function, np.array([0.5, -0.4, 0.2]), np.array([0.5, 0.9, 0.2]))


def test_a_loop_that_only_its_break_ends_compiles():
    def function(x):
        n = 0
        while True:
            x = np.sin(x) * 0.9 + 0.1 * x * x
            n += 1
            if x < 0.3:
                break
        return x * n

    made = tg.value_and_grad(function, jit="native")
    for x in (2.0, 1.1, 0.5):
        value, derivative = made(x)
        assert value == pytest.approx(function(x), rel=1e-12)
        assert derivative == pytest.approx((function(x + 1e-6) - function(x - 1e-6)) / 2e-6, rel=1e-6)
    assert made.stats.compiles == 1


def test_a_name_of_the_users_may_be_locals():
    def f(x, locals=None):
        if x[0] > 0:
            y = x * 2
        else:
            y = x
        while np.sum(y) < 10:
            y = y * 2
        return np.sum(y)

    def g(x):
        locals = 3.0

        def inner(y):
            z = y * locals if y[0] > 0 else y
            return np.sum(z)

        return inner(x)

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(tg.grad(f, jit="python")(x), [4.0, 4.0])
    np.testing.assert_allclose(tg.grad(g, jit="python")(x), [3.0, 3.0])


def test_a_function_without_source_calls_its_defaults_with_marks():
    made = eval(
        "lambda x, f=polyder: np.sum(f(x) ** 2)", {"np": np, "polyder": np.polynomial.polynomial.polyder}
    )
    np.testing.assert_allclose(tg.grad(made, jit="python")(np.array([1.0, 2.0, 3.0])), [0.0, 4.0, 24.0])


def test_the_last_item_of_a_list_with_items_that_a_while_appends_to():
    def f(x, order):
        orders, current = [order], order
        while current > 2:
            current = current - 1
            orders.append(current)
        return np.sum(x**3 if orders[-1] == 1 else x ** orders[0] * orders[-1])

    x = np.array([1.0, 2.0])
    gradient = tg.grad(f, jit="python")
    for order in (3, 5, 2, 1, 3):
        wanted = 3 * x**2 if order == 1 else 2 * order * x ** (order - 1)
        np.testing.assert_allclose(gradient(x, order), wanted)


def test_tables_filled_item_by_item_are_computed_ahead(monkeypatch):
    applied = []
    apply = Recording.apply
    monkeypatch.setattr(Recording, "apply", lambda *args: (applied.append(1), apply(*args))[1])

    def function(x):
        n = len(x)
        table = np.zeros((n + 1, n + 1))
        for i in range(n):
            for j in range(n):
                left = np.maximum(table[i + 1, j], table[i, j + 1])
                table[i + 1, j + 1] = np.maximum(table[i, j] + np.sin(3.0 * x[i] * x[j]), left)
        return table[n, n]

    x = np.cos(np.arange(100.0))
    value, bar = tg.value_and_grad(function, jit="python")(x)
    assert len(applied) < 10_000
    assert value == function(x)
    step = 1e-6 * np.cos(np.arange(100.0))
    np.testing.assert_allclose((function(x + step) - function(x - step)) / 2, bar @ step, rtol=1e-6)
