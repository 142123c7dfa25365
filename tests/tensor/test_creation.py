"""Making tensors: dtypes, sizes, random numbers."""

import copy
import pickle

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.errors import ArgumentError, BackwardError


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([1.0, 2.0], tg.float64),
        ([1, 2], tg.int64),
        ([True, False], tg.bool),
        ([1, 2.5], tg.float64),
        (3.0, tg.float64),
        (3, tg.int64),
        ([], tg.float64),
        (1 + 2j, tg.complex128),
        (np.ones(2, np.float32), tg.float32),
        (np.float32(1), tg.float32),
        ([np.float32(1), np.float32(2)], tg.float32),
        ([[1.0], [2.0]], tg.float64),
    ],
)
def test_the_dtype_of_data(data, dtype):
    assert tg.tensor(data).dtype == dtype


def test_tensor_copies_and_from_numpy_shares():
    a = np.zeros(2)
    copied, shared, also = tg.tensor(a), tg.from_numpy(a), tg.as_tensor(a)
    a[0] = 1.0
    assert copied.tolist() == [0, 0] and shared.tolist() == also.tolist() == [1, 0]
    shared[1] = 5.0
    assert a.tolist() == [1, 5] and shared.numpy() is a
    assert tg.as_tensor(shared) is shared and tg.as_tensor(shared, tg.float32).dtype == tg.float32
    assert tg.as_tensor([1, 2]).dtype == tg.int64
    with pytest.raises(ArgumentError):
        tg.from_numpy([1.0])
    with pytest.raises(ArgumentError):
        tg.tensor(["a"])


def test_tensors_inside_the_data():
    x = tg.arange(3.0)
    assert tg.tensor([x[1], x[2]]).tolist() == [1.0, 2.0] and tg.tensor(x).tolist() == [0, 1, 2]


def test_sizes_in_every_form():
    for x in (
        tg.ones(2, 3),
        tg.zeros((2, 3)),
        tg.empty([2, 3]),
        tg.rand(size=(2, 3)),
        tg.randn(tg.ones(2, 3).shape),
    ):
        assert x.shape == (2, 3) and x.dtype == tg.float64
    assert (
        tg.ones(()).shape == ()
        and tg.randn(size=()).shape == ()
        and tg.zeros(2, dtype=tg.int64).dtype == tg.int64
    )


def test_filled_and_spaced():
    assert tg.full((2,), 7).tolist() == [7, 7] and tg.full((2,), 7).dtype == tg.int64
    assert tg.full((), 1.5).item() == 1.5 and tg.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert tg.arange(3).dtype == tg.int64 and tg.arange(1.0, 2.0, 0.5).tolist() == [1.0, 1.5]
    assert tg.arange(1, 7, 2).tolist() == [1, 3, 5] and tg.arange(start=1, end=3).tolist() == [1, 2]
    assert tg.arange(0, 1, 0.25, dtype=tg.float32).dtype == tg.float32
    assert tg.linspace(0, 1, 3).tolist() == [0, 0.5, 1] and tg.arange(tg.tensor(3)).tolist() == [0, 1, 2]
    assert tg.arange(4.0, requires_grad=True).requires_grad


def test_like_another():
    x = tg.ones(2, 3, dtype=tg.float32)
    for make in (
        tg.ones_like,
        tg.zeros_like,
        tg.empty_like,
        tg.rand_like,
        tg.randn_like,
        lambda x: tg.full_like(x, 2),
    ):
        y = make(x)
        assert y.shape == x.shape and y.dtype == tg.float32 and not y.requires_grad
    assert tg.ones_like(x, dtype=tg.int64).dtype == tg.int64


def test_the_same_seed_gives_the_same_numbers():
    def draw():
        return [
            tg.rand(3),
            tg.randn(3),
            tg.randint(0, 9, (3,)),
            tg.randint(9, (3,)),
            tg.randperm(5),
            tg.normal(0.0, 1.0, (2,)),
        ]

    tg.manual_seed(5)
    first = draw()
    tg.manual_seed(5)
    assert all(tg.equal(a, b) for a, b in zip(first, draw(), strict=True))
    own = tg.Generator().manual_seed(1)
    assert tg.equal(tg.rand(2, generator=own), tg.rand(2, generator=tg.Generator().manual_seed(1)))
    assert sorted(tg.randperm(6).tolist()) == list(range(6))
    assert tg.randint(3, 5, size=(100,)).dtype == tg.int64
    assert tg.normal(tg.zeros(2), tg.ones(2)).shape == (2,)


def test_the_default_dtype():
    tg.set_default_dtype(tg.float32)
    try:
        assert (
            tg.tensor(1.0).dtype
            == tg.ones(2).dtype
            == tg.randn(2).dtype
            == tg.arange(2.0).dtype
            == tg.float32
        )
    finally:
        tg.set_default_dtype(tg.float64)
    with pytest.raises(TypeError):
        tg.set_default_dtype(tg.int64)
    assert (
        tg.float == tg.float32 and tg.double == tg.float64 and tg.long == tg.int64 and tg.half == tg.float16
    )


def test_requires_grad_is_for_floats_and_leaves():
    with pytest.raises(ArgumentError, match="floating point"):
        tg.tensor([1, 2], requires_grad=True)
    x = tg.ones(2)
    x.requires_grad = True
    assert x.requires_grad_(False) is x and not x.requires_grad
    y = x.requires_grad_() * 2
    with pytest.raises(BackwardError, match="leaf variables"):
        y.requires_grad = False
    assert y.detach_() is y and y.is_leaf and not y.requires_grad


def test_grad_can_be_set():
    x = tg.ones(2, requires_grad=True)
    x.grad = tg.zeros(2)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    with pytest.raises(ArgumentError):
        x.grad = tg.ones(3)
    x.data = tg.tensor([5.0, 6.0])
    assert x.tolist() == [5.0, 6.0] and x.requires_grad


def test_copies_and_pickles_of_leaves():
    x = tg.ones(2, requires_grad=True)
    (x * 2).sum().backward()
    other = copy.deepcopy(x)
    assert other.requires_grad and other.grad.tolist() == [2.0, 2.0] and other.grad is not x.grad
    with pytest.raises(BackwardError):
        copy.deepcopy(x * 2)
    again = pickle.loads(pickle.dumps(x))
    assert again.requires_grad and again.tolist() == [1.0, 1.0]
    assert tg.is_tensor(again) and not tg.is_tensor(np.ones(1))
