"""NumPy and SciPy called with tensors."""

import math

import numpy as np
import pytest
import scipy.special

import tracegrad as tg
from tracegrad.errors import LeakError, NotScalarError, UnsupportedError
from tracegrad.tensor.tensor import Tensor

A = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 7.0], [8.0, 9.0, 11.0]])


@pytest.mark.parametrize(
    "function",
    [
        np.exp,
        np.sum,
        np.linalg.inv,
        np.linalg.norm,
        scipy.special.erf,
        lambda x: np.mean(x, axis=0, keepdims=True),
        lambda x: np.add(x, A),
        lambda x: np.subtract(A, x),
        lambda x: A * x,
        lambda x: A @ x,
        lambda x: np.float64(3.0) / x,
        lambda x: np.add.reduce(x),
        lambda x: np.maximum.reduce(x, axis=1),
        lambda x: np.add.reduce(x, axis=None),
        lambda x: np.add.accumulate(x),
        lambda x: np.multiply.outer(x, A),
        lambda x: np.concatenate([x, A], axis=1),
        lambda x: np.stack([x[0], x[1]]),
        lambda x: np.where(A > 3, x, 0.0),
        lambda x: np.einsum("ij,kj->ik", x, A),
        lambda x: np.dot(x, A),
        lambda x: np.reshape(x, (9,)),
        lambda x: np.transpose(x),
        lambda x: np.clip(x, 2.0, 5.0),
        lambda x: np.linalg.solve(x, A[0]),
    ],
)
def test_numpy_computes_with_tensors_and_records(function):
    x = tg.tensor(A, requires_grad=True)
    y = function(x)
    assert isinstance(y, Tensor) and y.requires_grad
    np.testing.assert_allclose(y.detach().numpy(), function(A))
    y.sum().backward()
    assert x.grad is not None


def test_numpy_asks_about_a_tensor():
    x = tg.ones(2, 3)
    assert np.shape(x) == (2, 3) and np.ndim(x) == 2 and np.size(x) == 6 and np.size(x, 1) == 3
    assert np.result_type(x, np.float32) == np.float64
    assert not np.iscomplexobj(x) and np.isrealobj(x)
    assert x.size == 6 and x.size() == (2, 3) and x.size(1) == 3 and x.nbytes == 48 and x.itemsize == 8
    assert np.shape([x[0, 0], x[0, 1]]) == (2,)


def test_out_and_where_results_go():
    x = tg.ones(3, requires_grad=True)
    target = tg.zeros(3)
    assert np.multiply(x, 2.0, out=target) is target
    target.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]
    plain = np.zeros(3)
    np.add(tg.ones(3), 1.0, out=plain)
    plain += tg.ones(3)
    assert plain.tolist() == [3.0, 3.0, 3.0]
    with pytest.raises(LeakError):
        plain += x
    np.copyto(target, np.arange(3.0)) if not target.requires_grad else None
    np.sum(tg.ones(2, 3), axis=0, out=plain)
    assert plain.tolist() == [2.0, 2.0, 2.0]


def test_adding_at_repeated_indices():
    x, total = tg.tensor([1.0, 2.0, 3.0], requires_grad=True), tg.zeros(2)
    np.add.at(total, np.array([0, 1, 0]), x)
    assert total.tolist() == [4.0, 2.0]
    (total * tg.tensor([1.0, 10.0])).sum().backward()
    assert x.grad.tolist() == [1.0, 10.0, 1.0]
    with pytest.raises(LeakError):
        np.add.at(np.zeros(2), [0], x[0])


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: np.packbits(x > 0), "np.packbits"),
        (lambda x: np.busday_count(x, x), "np.busday_count"),
        (lambda x: scipy.special.zetac(x), "scipy.special.zetac"),
    ],
)
def test_what_has_no_op_is_named(function, name):
    with pytest.raises(UnsupportedError) as error:
        function(tg.tensor(A))
    message = str(error.value)
    assert f"`{name}`" in message and "test_numpy_protocol.py" in message and "do:" in message


def test_arrays_numbers_and_truth():
    x = tg.tensor([2.0])
    assert float(x) == 2.0 and int(x) == 2 and bool(x) and complex(x) == 2 and x.item() == 2.0
    assert math.sqrt(x) == math.sqrt(2.0) and tg.tensor([[1, 2]]).item(0, 1) == 2
    assert tg.tensor([5, 6]).item(1) == 6
    assert np.asarray(x) is x.numpy() and np.array(x, dtype=np.float32).dtype == np.float32
    assert [10, 20, 30][tg.tensor(1)] == 20 and list(range(tg.tensor(3))) == [0, 1, 2]
    with pytest.raises(NotScalarError, match="ambiguous"):
        bool(tg.ones(2))
    with pytest.raises(NotScalarError, match="ambiguous"):
        bool(tg.ones(0))
    with pytest.raises(NotScalarError, match="cannot be converted to Scalar"):
        float(tg.ones(2))
    with pytest.raises(TypeError, match="integer tensors"):
        [1, 2][tg.tensor(1.0)]


def test_a_gradient_is_not_dropped_quietly():
    x = tg.ones(2, requires_grad=True)
    for take in (x.numpy, lambda: np.asarray(x), lambda: np.array(x * 2)):
        with pytest.raises(LeakError, match="requires grad"):
            take()
    assert x.numpy(force=True).tolist() == [1.0, 1.0] and x[0].item() == 1.0


def test_iteration_length_and_membership():
    x = tg.arange(3.0).requires_grad_()
    assert len(x) == 3 and [v.item() for v in x] == [0.0, 1.0, 2.0]
    first, *_ = x
    assert first.requires_grad and 2.0 in x and 5.0 not in x
    for ask in (len, iter):
        with pytest.raises(TypeError, match="0-d"):
            ask(tg.tensor(1.0))


def test_operators_on_both_sides():
    i, x = tg.tensor([6, 3]), tg.tensor([2.0, 3.0])
    assert (7 // i).tolist() == [1, 2] and (7 % i).tolist() == [1, 1] and (2**i).tolist() == [64, 8]
    assert (1 - x).tolist() == [-1.0, -2.0] and (+x).tolist() == [2.0, 3.0] and abs(-x).tolist() == [2.0, 3.0]
    assert (i & 2).tolist() == [2, 2] and (1 | i).tolist() == [7, 3] and (i ^ i).tolist() == [0, 0]
    assert (~tg.tensor([True, False])).tolist() == [False, True]
    assert (
        (x >= 3).tolist() == [False, True] and (x != 2).tolist() == [False, True] and (x == 2).dtype == bool
    )
    assert (np.ones(2) < x).tolist() == [True, True]
    assert [1.0, 2.0] @ x == 8.0


def test_infinities_and_nans_come_without_warnings():
    x = tg.tensor([0.0, -1.0], requires_grad=True)
    (1 / x + x.log() + x.sqrt()).sum().backward()
