"""Whose memory is whose: ops that look at their argument's, views that outlive a loop, constants written."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
from scipy.ndimage import _nd_image

import tracegrad as tg
import tracegrad.ops.functions
from tracegrad.errors import InPlaceError
from tracegrad.ir.verify import verify
from tracegrad.ops.op import REGISTRY
from tracegrad.tensor import capture
from tracegrad.testing.samples import samples

OPS = [
    op
    for _, op in sorted(REGISTRY.items())
    if op.family not in ("control", "called") and op.sample is not None
]


@pytest.mark.parametrize("op", [op for op in OPS if not op.view], ids=lambda op: op.name)
def test_an_op_that_is_not_declared_a_view_has_memory_of_its_own(op):
    for sample in samples(op):
        given = [np.array(v) for v in sample.values]
        results = op.evaluate(*given, **sample.params)
        for result in results if isinstance(results, tuple) else (results,):
            if isinstance(result, np.ndarray) and result.size:
                assert not any(np.shares_memory(result, value) for value in given)


def check(function, x, gradient=None):
    value, bar = (gradient or tg.value_and_grad(function, jit="python"))(x)
    assert value == pytest.approx(function(x), rel=1e-12)
    wanted = [(function(x + e) - function(x - e)) / 2e-6 for e in np.eye(len(x)) * 1e-6]
    assert bar == pytest.approx(np.array(wanted), rel=1e-6, abs=1e-6)


X = np.array([1.2, -0.7, 0.4])


def test_a_constant_written_through_a_view():
    def function(x):
        c = np.arange(3.0)
        v = c[1:]
        v[0] = x[0]
        return (c * x).sum() + v.sum()

    check(function, X)


def test_a_view_of_a_view():
    def function(x):
        c = x * 1.0
        v = c[1:]
        w = v[1:]
        w[0] = 5 * x[0]
        v[0] = w[0] * x[1]
        return (c * x).sum() + v.sum() * w.sum()

    check(function, X)


def test_an_array_updated_with_itself():
    def function(x):
        c = x * 1.0
        c[1:] += c[:-1]
        c *= c
        c[:] = c[::-1] * 2
        return (c * x).sum()

    check(function, X)


def test_a_view_that_a_loop_hands_on_is_refused_when_it_is_written():
    def function(x):
        a = x * 1.0
        for _ in range(3):
            a = a[::-1]
        a[0] = x[1]
        return (a * x).sum()

    with pytest.raises(InPlaceError, match=r"a\.copy\(\)"):
        tg.grad(function, jit="python")(X)


def rows_read_later(x):
    b, rows = np.outer(x, x), []
    for i in range(3):
        rows.append(b[i])
    b *= 0.5
    return sum(r.sum() * r[0] for r in rows)


def rows_of_a_comprehension(x):
    b = np.outer(x, x)
    rows = [b[i] for i in range(3)]
    b *= 2.0
    return sum((r.sum() for r in rows), 0.0)


def rows_written_later(x):
    b, rows = np.outer(x, x), []
    for i in range(3):
        rows.append(b[i])
    for r in rows:
        r *= 2.0
    return (b**2).sum()


@pytest.mark.parametrize("function", [rows_read_later, rows_of_a_comprehension, rows_written_later])
def test_views_that_a_loop_put_into_a_list_are_refused_once_their_array_is_another(function):
    with pytest.raises(InPlaceError, match=r"copy the view"):
        tg.grad(function)(X)


def test_functions_of_math_compute_in_double_precision():
    def f(x):
        return 0.1 * math.cos(x[1])

    x = np.array([0.3, 0.7], np.float32)
    traced = tg.jit(f, jit="python")
    assert traced(x) == f(x) and type(traced(x)) is float
    verify(traced.last.built.trace)


def test_a_view_that_a_loop_hands_on_of_an_array_that_it_hands_on_too():
    def function(x):
        a = x * 1.0
        for _ in range(3):
            c = a
            a = a * 0.5
        c *= 2 * x
        return (a * c).sum()

    check(function, X)


def test_the_parts_of_an_array_are_views_of_it():
    def function(x):
        c = x * 1.0
        first, second = np.split(c, [1])
        first[0] = x[1] * 3
        second += x[0]
        return (c * x).sum() + first.sum() * second.sum()

    check(function, X)


def test_a_matrix_in_another_order_is_another_program():
    def function(m):
        a = m * 1.0
        r = a.ravel()  # a view of a matrix in C order, a copy of any other
        r[0] = 5.0
        r[1] = 7.0
        return (a * np.arange(4.0).reshape(2, 2)).sum() + r[0] * a[0, 0]

    m = np.array([[1.0, 2.0], [3.0, 4.0]])
    gradient = tg.value_and_grad(function, jit="python")
    for given in (m, np.asfortranarray(m), m.T, m.copy()):
        assert gradient(given)[0] == function(given)
    assert gradient.stats.captures == 2


def test_one_number_in_an_array_of_the_callers_is_refused():
    def function(x):
        x += 1.0
        return x * x

    with pytest.raises(InPlaceError, match=r"x\.copy\(\)"):
        tg.grad(function, jit="python")(np.array(1.5))
    assert tg.grad(function, jit="python")(1.5) == 5.0


def test_of_items_written_to_one_place_the_last_has_the_derivative():
    def function(x, k):
        c = np.zeros(4)
        c[k] = x[:3] * np.arange(1.0, 4.0)  # which places there are is known when it runs
        c[[1, 1, 2]] *= x
        return (c * c).sum()

    gradient = tg.value_and_grad(function, jit="python")
    for k in (np.array([1, 1, 3]), np.array([2, 0, 2]), np.array([0, 1, 2])):
        value, bar = gradient(X, k)
        steps = np.eye(3) * 1e-6
        wanted = [(function(X + e, k) - function(X - e, k)) / 2e-6 for e in steps]
        assert value == pytest.approx(function(X, k)) and bar == pytest.approx(np.array(wanted), abs=1e-6)
    assert gradient.stats.captures == 1


MASK = np.array([True, False])
WRONG_MASKS = {
    "read": lambda x: x[MASK].sum(),
    "of a list": lambda x: x[[True, False]].sum(),
    "computed": lambda x: x[(x > 0)[:2]].sum(),
    "of rows": lambda x: (x[:, None] * np.ones(2))[MASK, 0].sum(),
    "written": lambda x: _written_under_a_mask(x * 1.0),
}


def _written_under_a_mask(a):
    a[MASK] = 0.0
    return a.sum()


@pytest.mark.parametrize("name", WRONG_MASKS)
def test_a_mask_of_another_length_is_numpys_error(name):
    """It was taken as the positions where it is true, and gave a number."""
    function, x = WRONG_MASKS[name], np.array([1.0, 2.0, 3.0])
    with pytest.raises(IndexError) as wanted:
        function(x)
    for call in (tg.grad(function, jit="python"), tg.jit(function, jit="python")):
        with pytest.raises(IndexError) as found:
            call(x)
        assert str(found.value).startswith(str(wanted.value))
    tensor = tg.tensor(x, requires_grad=True)
    with pytest.raises(IndexError) as found:
        function(tensor)
    assert str(found.value).startswith(str(wanted.value))


def test_a_single_truth_value_is_an_index_as_numpy_has_it():
    def f(x):
        y = x * 2
        z = np.zeros(3)
        z[y.sum() > 0] = y
        z[y.sum() > 1000] = 5 * y
        one = np.array(3.0) * x[0]
        return np.sum(y[np.True_] ** 2) + np.sum(y[y.sum() > 100]) + np.sum(z) + np.sum(one[one > 0])

    gradient, x = tg.grad(f, jit="python"), np.array([1.0, 2.0, 3.0])
    for at in (x, -x, 100 * x):
        wanted = [(f(at + s) - f(at - s)) / 2e-3 for s in 1e-3 * np.eye(3)]
        np.testing.assert_allclose(gradient(at), wanted, rtol=1e-8)
    assert tg.jit(lambda x: x[x.sum() > 100])(x).shape == x[False].shape


CORNER = np.eye(3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.eye(3),
        lambda: np.ones((3, 3)),
        lambda: np.array([[1.0, 0.0], [2.0, 3.0]]),
        lambda: 2.0 * np.identity(2),
        lambda: np.full((5, 5), 0.3),
        lambda: CORNER.copy(),
    ],
    ids=["eye", "ones", "array", "product", "large", "copy"],
)
def test_a_constant_that_a_step_makes_is_written_there(make):
    """The loop stays one, whatever is in the array: a robot's joint is the unit matrix with numbers in it."""

    def moved(x):
        shift = make()
        shift[0, 1] = x
        row = shift[1]
        row[0] += x * x
        if x > 0.5:
            shift[0, 0] = x
        return shift

    def function(x):
        total = make()
        for v in x:
            total = total @ moved(v) / 10.0
        return np.sum(total**2)

    x = np.array([0.3, 0.7, -0.2, 1.1])
    check(function, x)
    program = tg.value_and_grad(function, jit="python")
    program(x)
    assert "Not generalised" not in str(program.explain())


def test_a_constant_made_by_the_step_before_is_not_the_steps_own():
    def function(x):
        kept, total = np.eye(2), 0.0
        for k in range(len(x)):
            if k % 2 == 0:
                kept = np.eye(2)
            kept[0, k % 2] += x[k]
            total = total + np.sum(kept**2)
        return total

    check(function, np.array([0.3, 0.7, -0.2, 1.1, 0.4]))


def test_a_constant_that_two_names_hold_is_written_for_both():
    def function(x):
        total = 0.0
        for v in x:
            a = np.ones(2)
            b = a
            b[0] = v
            total = total + a[0] * v + np.sum(b**2)
        return total

    check(function, X)


def blurred(x):
    return scipy.ndimage.uniform_filter(x, 3)


def blurred_in_part(x):
    out = np.zeros((4, 2))
    out[0] = x[1]
    _nd_image.uniform_filter1d(x, 3, 0, out[1:3], 4, 0.0, 0)
    return out + x[0]


def scaled_twice(x):
    y = x * 2.0
    scipy.linalg.blas.dscal(2.0, y[0])
    return y


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize("function", [blurred, blurred_in_part, scaled_twice])
def test_what_compiled_code_writes_into_an_array_is_there(function, jit):
    """It was written into a copy that nobody read: the results were zeros."""
    compiled, x = tg.jit(function, jit=jit), np.array([[1.0, 2.0], [3.0, 5.5]])
    for given in (x, x, x * 1.5 + 1.0, x):
        np.testing.assert_array_equal(compiled(given), function(given))


def test_what_code_in_python_writes_into_an_array_by_means_of_its_own_is_refused():
    """It may have read the array after that, as it was before."""

    def writing(out, source):
        _nd_image.uniform_filter1d(source, 3, 0, out, 4, 0.0, 0)
        return float(np.sum(out))

    writing.__module__ = "pandas.of_somebody"  # the functions of other packages are recorded

    def user(x):
        out = x * 0.0
        writing(out, np.ones((2, 2)))
        return out

    with pytest.raises(InPlaceError, match="writes into an array by means that are not recorded"):
        tg.jit(user, jit="python")(np.ones((2, 2)))


RECORDS = np.zeros(3, dtype=[("w", float), ("k", int)])


def writes_a_field(x):
    RECORDS["w"][0] = 7.0


def writes_a_row(x):
    row = RECORDS[0]
    row["w"] = 5.0


def adds_to_a_field(x):
    w = RECORDS["w"]
    w += 1.0


def fills_a_field(x):
    RECORDS["w"].fill(4.0)


def copies_to_a_field(x):
    np.copyto(RECORDS["w"], 2.0)


def computes_into_a_field(x):
    np.add(RECORDS["w"], 1.0, out=RECORDS["w"])


@pytest.mark.parametrize(
    "write",
    [writes_a_field, writes_a_row, adds_to_a_field, fills_a_field, copies_to_a_field, computes_into_a_field],
)
def test_records_from_outside_are_written_at_each_call(write):
    """They were written by the first call alone, where they were the same before each."""

    def f(x):
        write(x)
        return np.sum(x * RECORDS["w"])

    gradient, x = tg.grad(f, jit="python"), np.ones(3)
    try:
        write(x)
        wanted = RECORDS.copy()
        for _ in range(3):
            RECORDS["w"] = 0.0
            np.testing.assert_array_equal(gradient(x), wanted["w"])
            assert RECORDS.tolist() == wanted.tolist()
    finally:
        RECORDS["w"] = 0.0


def items_written_under_their_own_name(x):
    a = x * 1.0
    b, w = a, a[:2]
    for item in (a, b):
        item[0] *= 0.5
        a -= 0.3
    return w[1] + b[0]


def an_item_that_another_name_changed(x):
    a, s = x * 1.0, 0.0
    for item in (x * 2.0, a, a, a):
        s = s + item.sum()
        a -= 0.3
    return s


def an_item_read_in_many_steps(x):
    a = x * 1.0
    for item in (a,) * 40:
        a -= 0.01 * item
    return a.sum()


@pytest.mark.parametrize(
    "function",
    [items_written_under_their_own_name, an_item_that_another_name_changed, an_item_read_in_many_steps],
)
def test_an_item_of_a_list_is_the_array_as_the_loop_has_written_it(function):
    """It was the array as it was before the loop: values and gradients were wrong, and many steps a KeyError."""
    check(function, X)


def a_view_bound_in_an_arm(x):
    d, w = x * 1.0, x * 2.0
    for _ in range(1):
        if d.sum() > 0.5:
            for _ in range(2):
                d[1] = 3.0
            w = d[1:]
    return w[1]


def a_name_bound_in_an_arm(x):
    d, w = x * 1.0, x * 2.0
    if x[0] > 0:  # noqa: SIM102 - two structures
        if d.sum() > 0.5:
            for _ in range(2):
                d[1] = 3.0
            w = d
    return w[2] + w[1] * d[0]


@pytest.mark.parametrize("function", [a_view_bound_in_an_arm, a_name_bound_in_an_arm])
def test_a_structure_that_fails_as_it_ends_is_recorded_once(function, monkeypatch):
    """Its steps were there twice, of a loop with the same variables: what shares equal steps never ended."""
    taken = capture.capture

    def verified(*args):
        captured = taken(*args)
        verify(captured.trace)
        return captured

    monkeypatch.setattr(capture, "capture", verified)
    check(function, X)


def written_through_a_view_of_one_of_its_names(x):
    a = x * 1.0
    b, d = a[::-1], a
    v, w = b[1:], d[:2]
    d -= 0.3 * b
    c = np.sin(b)
    if d[0] > 1.0:
        for _ in range(2):
            c, d = d, c
        for i in range(1):
            v[i % 2] = c[0]
    return w[1]


def test_an_array_under_names_of_several_structures_is_written():
    """Which of its names was asked for the structures that do not follow it was a matter of addresses: a KeyError in
    every other run.
    """
    kept = []
    for k in range(16):
        kept.append([object() for _ in range(7 * k)])
        check(written_through_a_view_of_one_of_its_names, X)


def a_name_for_what_an_earlier_step_wrote(x):
    a, q = x * 1.0, x * 2.0
    for i in range(2):
        if x[i] < 0:
            a[0] = a[0] * 0.5
        if x[i] > 0:
            q = a
        else:
            q = q * 3.0
    return q.sum() + 10 * a.sum()


def test_names_of_one_array_at_the_end_of_a_step_are_names_of_it_in_each_call():
    """In a loop whose arms are both known, `q` may be `a` in the last step of one call and not in that of the next."""
    gradient = tg.value_and_grad(a_name_for_what_an_earlier_step_wrote, jit="python")
    for signs in ([-1, 1, -1], [1, 1, -1], [-1, -1, 1], [1, -1, 1], [-1, 1, 1]):
        check(a_name_for_what_an_earlier_step_wrote, np.abs(X) * signs, gradient)
