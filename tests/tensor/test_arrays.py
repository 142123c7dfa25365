"""What NumPy makes without asking its items, for tensors; and NumPy's methods and keywords beside PyTorch's."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.errors import LeakError, ShapeError, UnsupportedError

V = np.array([1.2, -0.7, 0.4])
M = np.array([[0.3, -1.2, 2.0], [1.1, 0.4, -0.6]])


def check(function, plainly, *values):
    """The value of `function` on tensors is that of `plainly` on arrays, its gradient that of differences."""
    tensors = [tg.tensor(v, requires_grad=True) for v in values]
    result = function(*tensors)
    wanted = plainly(*values)
    assert result.value.dtype == np.asarray(wanted).dtype
    np.testing.assert_allclose(result.detach().numpy(), wanted, rtol=1e-12)
    weights = np.cos(np.arange(np.size(wanted))).reshape(np.shape(wanted))
    (result * weights).sum().backward()
    for k, tensor in enumerate(tensors):
        found = np.zeros(values[k].shape)
        for place in np.ndindex(values[k].shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = [v.copy() for v in values]
                moved[k][place] += step
                sides.append(np.sum(plainly(*moved) * weights))
            found[place] = (sides[0] - sides[1]) / 2e-6
        np.testing.assert_allclose(
            0.0 if tensor.grad is None else tensor.grad.numpy(), found, rtol=1e-6, atol=1e-7
        )


MAKERS = {
    "array": lambda np_, x, m: np_.array([[[x[0], 1.0], [2, x[1]]], [x[:2], [m[0, 0], 3.0]]]),
    "array_of_rows": lambda np_, x, m: np_.array((x, [x[2], x[1] * 2, 0], m[1])),
    "array_of_one": lambda np_, x, m: np_.array(x) * np_.asarray(m),
    "dtype": lambda np_, x, m: np_.array([x[0], 1], dtype=np.complex128).real,
    "asarray": lambda np_, x, m: np_.asarray([x, m[0], m[1]]),
    "fromiter": lambda np_, x, m: np_.fromiter((t * t for t in x), float, 2),
    "r_": lambda np_, x, m: np_.r_[x, m[0, 0], 1.0, 0:3],
    "c_": lambda np_, x, m: np_.c_[m, m[:, :1], [5.0, 6.0]],
    "vectorize": lambda np_, x, m: np_.vectorize(lambda t, u: t * u if t > 0 else u)(m, x),
}


@pytest.mark.parametrize("name", MAKERS)
def test_what_numpy_makes_of_its_items(name):
    maker = MAKERS[name]
    check(lambda x, m: maker(tg, x, m), lambda x, m: maker(np, x, m), V, M)


def test_filled_and_evenly_spaced():
    check(lambda x: tg.full((2, 3), x), lambda x: np.full((2, 3), x), V)
    check(lambda x: tg.full(4, x[1]), lambda x: np.full(4, x[1]), V)
    check(lambda x: tg.linspace(x[0], x[1], 5), lambda x: np.linspace(x[0], x[1], 5), V)
    check(lambda x: tg.linspace(0.0, x[1], 5), lambda x: np.linspace(0.0, x[1], 5), V)


def test_functions_that_numpy_hands_over():
    check(lambda x, m: np.stack([x, *m], axis=1), lambda x, m: np.stack([x, *m], axis=1), V, M)
    along = lambda m: np.apply_along_axis(lambda r: r[0] * r, 1, m)  # noqa: E731
    check(along, along, M)
    picked = lambda m: m[np.ix_([1, 0], [2, 2])]  # noqa: E731
    check(picked, picked, M)
    check(lambda x: np.linspace(x, x * 2, 3), lambda x: np.linspace(x, x * 2, 3), V)


def test_memory_of_its_own_or_shared():
    x = tg.tensor(V)
    assert tg.asarray(x) is x
    copy = tg.array(x)
    copy[0] = 9.0
    assert x[0].item() == 1.2
    assert isinstance(tg.array([1, 2]), tg.Tensor) and tg.array([1, 2]).dtype == np.int64


def test_numpy_s_own_makers_name_ours():
    x = tg.tensor(V, requires_grad=True)
    for make in (lambda: np.array([x[0], 1.0]), lambda: np.full(3, x[0]), lambda: np.r_[x, 1.0]):
        with pytest.raises(LeakError, match=r"tracegrad\.array"):
            make()
    with pytest.raises(UnsupportedError, match=r"np\.frompyfunc"):
        np.frompyfunc(lambda t: t, 1, 1)(x)


def test_storing_into_numpy_s_own_arrays_names_ours():
    x, plain = tg.tensor(V, requires_grad=True), np.zeros(len(V))
    with pytest.raises(LeakError, match=r"(?s)test_arrays\.py.*tracegrad\.zeros"):
        plain[:] = x * 2
    with pytest.raises(LeakError, match=r"(?s)written into a plain array.*`a = a \+ x`.*tracegrad\.zeros"):
        plain += x
    with pytest.warns(UserWarning, match=r"x\.item\(\) .*tracegrad\.zeros") as caught:
        plain[0] = x[0]
    assert caught[0].filename == __file__ and plain[0] == V[0]


KEYWORDS = {
    "sum": lambda m: m.sum(axis=0, keepdims=True),
    "sum_where": lambda m: m.sum(axis=1, where=np.array([True, False, True]), initial=2.0),
    "sum_dtype": lambda m: m.sum(axis=0, dtype=np.float64),
    "mean": lambda m: m.mean(axis=(0, 1)),
    "std": lambda m: m.std(axis=0),
    "var": lambda m: m.var(axis=1, ddof=1),
    "max": lambda m: m.max(axis=1),
    "min": lambda m: m.min(axis=0, initial=0.1),
    "prod": lambda m: m.prod(axis=1, keepdims=True),
    "cumsum": lambda m: m.cumsum(axis=0) * m.cumsum()[4],
    "argmax": lambda m: m * m.argmax(axis=0),
    "take": lambda m: m.take([0, 2], axis=1),
    "copy": lambda m: m.copy() * 2,
    "repeat": lambda m: m.repeat(2, axis=0),
    "reshape": lambda m: m.reshape((3, 2), order="F"),
    "flatten": lambda m: m.flatten("F") + m.ravel(order="F"),
    "transpose": lambda m: m.transpose() @ m + m[None].transpose(1, 2, 0)[0, :, 0],
    "clip": lambda m: m.clip(-0.5, 0.5),
    "dot": lambda m: m.dot(m[0]) + m[1].dot(m[1]),
    "ptp": lambda m: m.ptp(axis=1) if hasattr(m, "ptp") else np.ptp(m, axis=1),
    "diagonal": lambda m: m.diagonal(offset=1),
    "trace": lambda m: m.trace(offset=1),
    "astype": lambda m: m.astype(np.float64, copy=False) * 3,
    "sum_of_T": lambda m: m.sum().T * m.T,
    "flat": lambda m: m.flat[1] * m.flat[2:4],
    "unpacked": lambda m: np.maximum(*m) + sum(m) + sum(a * b for a, b in zip(*m, strict=True)),
    "divmod": lambda m: divmod(m, 0.7)[1] + round(m[0, 0] * 10, 0) * m,
    "python": lambda m: m * len(m) if 5.0 not in m else m,
}


@pytest.mark.parametrize("name", KEYWORDS)
def test_a_keyword_of_numpy_makes_the_method_numpy_s(name):
    check(KEYWORDS[name], KEYWORDS[name], M)


def test_without_it_the_method_is_pytorch_s():
    m = tg.tensor(M)
    np.testing.assert_allclose(m.std().item(), M.std(ddof=1))
    assert m.max(1).indices.tolist() == [2, 0] and m.repeat(2, 1).shape == (4, 3)
    assert m.sort().values.tolist() == np.sort(M).tolist() and m.tolist() == M.tolist()
    assert m.sort(axis=0) is None and m.tolist() == np.sort(M, axis=0).tolist()


def test_results_of_methods_go_where_out_says():
    x, out = tg.tensor(M, requires_grad=True), tg.zeros(3)
    assert x.sum(axis=0, out=out) is out
    (out * tg.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert x.grad.tolist() == [[1.0, 2.0, 3.0]] * 2


def test_methods_that_write():
    x = tg.tensor(V, requires_grad=True)
    y = x * 1
    y.partition(1)
    y.put([2], x[0] * 5)
    y[:1].fill(3.0)
    y.flat[1:2] = y.flat[1] * 2
    assert y.tolist() == [3.0, 0.8, 6.0]
    y.flat = y.flat[2]
    y.sum().backward()
    assert x.grad.tolist() == [15.0, 0.0, 0.0]


def test_a_view_in_another_shape_is_one():
    m = tg.tensor(M)
    m.view(3, 2)[0, 1] = 7.0
    m.view()[0, 0] = 8.0
    assert m[0].tolist() == [8.0, 7.0, 2.0]
    with pytest.raises(ShapeError, match=r"view size is not compatible"):
        m.t().view(6)
    with pytest.raises(UnsupportedError):
        m.view(np.int64)


def test_ndenumerate_and_nditer():
    def weighted(x):
        return sum(v * v * (i + 2 * j) for (i, j), v in np.ndenumerate(x))

    x = np.arange(6.0).reshape(2, 3)
    expected = 2 * x * (np.arange(2.0)[:, None] + 2 * np.arange(3.0))
    np.testing.assert_allclose(tg.grad(weighted, jit="python")(x), expected)
    with pytest.raises(tg.errors.UnsupportedError, match=r"np.nditer(.|\n)*test_arrays.py(.|\n)*x.flat"):
        tg.grad(lambda x: sum(v * v for v in np.nditer(x)))(x)


def test_fromiter_is_recorded_in_a_captured_function():
    made = {"np": np}
    exec("def without_source(x):\n    return np.fromiter((v * v for v in x), float).sum()", made)
    x = np.array([1.0, 2.0, 3.0])

    def helper(y):
        return np.fromiter((v**2 for v in y), dtype=np.float64, count=2)

    with tg.config.using(jit="python"):
        for _ in range(2):
            np.testing.assert_array_equal(tg.grad(made["without_source"])(x), 2 * x)
            np.testing.assert_array_equal(tg.grad(lambda y: helper(y).sum())(x), [2.0, 4.0, 0.0])


def test_a_plain_number_of_a_tensor_says_that_its_derivative_is_lost():
    t = tg.tensor(V, requires_grad=True)
    for asks in (lambda: float(t[0]), lambda: math.sin(t[0]), lambda: np.fromiter((v * v for v in t), float)):
        with pytest.warns(
            UserWarning, match=r"float\(\) of a Tensor that requires grad.*x\.item\(\)"
        ) as found:
            asks()
        assert found[0].filename == __file__
    assert t[0].item() == float(t[0].detach()) == float(tg.tensor(V)[0])
    with tg.no_grad():
        float(t[0] * 2)
