"""What cannot be recorded is refused with what happened, where in the user's file, and what to do; and
nothing is left behind.
"""

from __future__ import annotations

import traceback

import numpy as np
import pytest
import scipy.linalg

import tracegrad as tg
from tracegrad.errors import InPlaceError, LeakError, NotScalarError, TracegradError, UnsupportedError
from tracegrad.tensor.captured import is_capturing

X = np.array([1.2, -0.7, 0.4])
FOREIGN = np.zeros(3)
OBJECTS = np.zeros(3, object)
MATRIX = np.eye(3).view(np.matrix)


def writes_into_its_argument(x):
    x[0] = 2.0
    return x.sum()


def updates_its_argument(x):
    x += 2.0
    return x.sum()


def writes_through_a_view_of_its_argument(x):
    v = x[1:]
    v[0] = 1.0
    return x.sum()


def writes_into_its_argument_after_a_branch(x):
    if x[0] > 0:
        y = x
    else:
        y = x * 2
    y[0] = 3.0
    return y.sum()


def writes_into_an_array_from_outside(x):
    FOREIGN[0] = x[0]
    return FOREIGN.sum()


def gives_an_array_another_shape(x):
    a = x * 2
    a.shape = (3, 1)
    return a.sum()


def resizes_an_array(x):
    a = x * 2
    a.resize((1, 3))
    return a.sum()


def gives_an_array_from_outside_as_out(x):
    np.multiply(x, 2, out=FOREIGN)
    return FOREIGN.sum()


def stores_into_an_integer_array(x):
    a = np.zeros(3, int)
    a[0] = x[0]
    return a.sum() * x[1]


def makes_an_array_of_objects(x):
    return np.array([x[0], None], dtype=object)[0]


def stores_into_an_array_of_objects(x):
    OBJECTS[0] = x[0]
    return OBJECTS[0]


def calls_np_frompyfunc(x):
    return np.frompyfunc(lambda t: t * 2, 1, 1)(x).sum()


def adds_objects(x):
    return (np.zeros(3, dtype=object) + x).sum()


def fills_records(x):
    table = np.zeros(3, dtype=[("a", float), ("b", int)])
    table["a"] = x
    return table["a"].sum()


def fills_objects(x):
    cells = np.empty(3, object)
    cells[0] = x
    return cells[0].sum()


def multiplies_a_matrix(x):
    return np.sum(MATRIX * x.reshape(3, 1))


def multiplies_a_masked_array(x):
    return np.ma.masked_array(np.ones(3), mask=[0, 1, 0]) * x[0]


def multiplies_wide_numbers(x):
    return np.sum(np.longdouble(2.0) * x)


def calls_an_unknown_function(x):
    return np.packbits(x > 0).sum() * x[0]


def calls_an_unknown_method(x):
    a = x * 1.0
    a.byteswap(inplace=True)
    return a[0]


def calls_scipy(x):
    return scipy.linalg.schur(np.outer(x, x))[0].sum()


def makes_objects(x):
    return x.astype(object).sum()


def returns_an_array(x):
    return x * 2


def returns_text(x):
    return "a"


REFUSED = [
    (writes_into_its_argument, InPlaceError, "`x` is written in place"),
    (updates_its_argument, InPlaceError, "`x` is written in place"),
    (writes_through_a_view_of_its_argument, InPlaceError, "`x` is written in place"),
    (writes_into_its_argument_after_a_branch, InPlaceError, "`x` is written in place"),
    (writes_into_an_array_from_outside, InPlaceError, "`FOREIGN` is written in place"),
    (gives_an_array_another_shape, InPlaceError, "`a.shape = ...`"),
    (resizes_an_array, InPlaceError, "`resize`"),
    (gives_an_array_from_outside_as_out, InPlaceError, "`FOREIGN`"),
    (stores_into_an_integer_array, LeakError, "int64"),
    (makes_an_array_of_objects, LeakError, "array of objects"),
    (stores_into_an_array_of_objects, LeakError, "plain array of objects"),
    (calls_np_frompyfunc, LeakError, "np.frompyfunc"),
    (adds_objects, UnsupportedError, "would give object"),
    (fills_records, LeakError, "plain array of [('a', '<f8'), ('b', '<i8')]"),
    (fills_objects, LeakError, "plain array of objects"),
    (multiplies_a_matrix, UnsupportedError, "a matrix"),
    (multiplies_a_masked_array, LeakError, "a plain array"),
    (multiplies_wide_numbers, UnsupportedError, "float128"),
    (calls_an_unknown_function, UnsupportedError, "np.packbits"),
    (calls_an_unknown_method, UnsupportedError, "ndarray.byteswap"),
    (calls_scipy, UnsupportedError, "schur"),
    (makes_objects, UnsupportedError, "would become object"),
    (returns_an_array, NotScalarError, "scalar"),
    (returns_text, NotScalarError, "scalar"),
]


@pytest.mark.parametrize("case", REFUSED, ids=[f.__name__ for f, _, _ in REFUSED])
def test_what_where_and_what_to_do(case):
    function, kind, what = case
    before = FOREIGN.copy()
    x = X.copy()
    gradient = tg.grad(function, jit="python")
    for _ in range(2):
        with pytest.raises(kind) as found:
            gradient(x)
    error = found.value
    assert isinstance(error, TracegradError)
    assert what in error.what
    assert error.do
    assert error.where.file == __file__
    assert error.where.function == function.__name__
    assert error.where.text
    assert not is_capturing()
    assert np.array_equal(x, X)
    assert np.array_equal(FOREIGN, before)


def test_an_exception_of_the_function_goes_through_with_its_line_and_the_next_call_works():
    def function(x):
        if x < 0:
            raise KeyError("negative")
        y = x
        while y < 10:
            y = y * 2
            if y == 4:
                raise LookupError("four")
        return y

    gradient = tg.value_and_grad(function, jit="python")
    for _ in range(2):
        with pytest.raises(KeyError, match="negative") as found:
            gradient(-1.0)
        last = traceback.extract_tb(found.value.__traceback__)[-1]
        assert last.filename == __file__ and last.line == 'raise KeyError("negative")'
        with pytest.raises(LookupError, match="four"):
            gradient(1.0)
        assert gradient(3.0) == (12.0, 4.0)


def test_numpys_own_message_with_the_users_line():
    def function(x):
        return (x + np.ones(4)).sum()

    with pytest.raises(ValueError, match="broadcast") as found:
        tg.grad(function)(X)
    assert any("test_bad_input.py" in note for note in found.value.__notes__)


def test_an_interrupt_leaves_nothing_behind():
    stop = [True]

    def function(x):
        for _ in range(3):
            x = x * 2
            if stop[0]:
                raise KeyboardInterrupt
        return x

    gradient = tg.value_and_grad(function, jit="python")
    with pytest.raises(KeyboardInterrupt):
        gradient(1.0)
    assert not is_capturing()
    stop[0] = False
    assert gradient(1.0) == (8.0, 8.0)
    assert gradient.stats.captures == 1


def test_recursion_without_an_end_says_how_deep():
    def function(x):
        return function(x)

    with pytest.raises(RecursionError, match=r"`.*function` calls itself more than 200 deep"):
        tg.grad(function)(1.0)


def test_stop_gradient_counts_as_a_constant():
    def function(x):
        return (tg.stop_gradient(x) * x).sum() + tg.stop_gradient(3.0) * x[0]

    assert tg.stop_gradient(2.5) == 2.5
    value, bar = tg.value_and_grad(function, jit="python")(X)
    assert value == pytest.approx((X * X).sum() + 3 * X[0])
    assert bar == pytest.approx(X + [3.0, 0.0, 0.0])


@pytest.mark.parametrize("jit", ["python", "native"])
def test_stop_gradient_takes_nested_values(jit):
    def function(x):
        kept = tg.stop_gradient({"first": x[0], "rest": [x[1:], "a word", None]})
        return kept["first"] * x[0] + np.sum(kept["rest"][0] * x[1:])

    assert tg.grad(function, jit=jit)(X) == pytest.approx(X)
    assert tg.stop_gradient(([1, 2.5], None)) == ([1, 2.5], None)


def test_stop_gradient_in_the_native_tier_and_on_tensors():
    def function(x):
        return (tg.stop_gradient(x) * x).sum()

    assert tg.grad(function, jit="native")(X) == pytest.approx(X)
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    (tg.stop_gradient(x) * x).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]
