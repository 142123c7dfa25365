"""Pandas, SciPy, files, and functions of NumPy's that call Python."""

from __future__ import annotations

import array
import decimal
import functools
import os
import types

import numpy as np
import scipy.interpolate
import scipy.optimize
import scipy.sparse

import tests.programs.outside as outside
import tracegrad as tg
from tests.programs.mutations.case import (
    case,
    fresh_class,
    put,
)
from tracegrad.ops import elementary


@case("pandas series")
def _():
    import pandas

    outside.vector = pandas.Series([1.0, 2.0, 3.0])
    return (
        lambda x: (x * outside.vector.to_numpy()).sum(),
        lambda: outside.vector.__setitem__(0, 5.0),
        put(vector=pandas.Series([4.0, 4.0, 4.0])),
    )


@case("pandas values")
def _():
    import pandas

    outside.vector = pandas.DataFrame({"a": [1.0, 2.0, 3.0]})
    return (
        lambda x: (x * outside.vector["a"].values).sum(),
        lambda: outside.vector.__setitem__("a", [5.0, 6.0, 7.0]),
    )


@case("pandas series as an array")
def _():
    import pandas

    outside.vector = pandas.Series([1.0, 2.0, 3.0])
    return (
        lambda x: (x * np.asarray(outside.vector)).sum(),
        lambda: outside.vector.__setitem__(0, 5.0),
    )


@case("pandas mean")
def _():
    import pandas

    outside.vector = pandas.Series([1.0, 2.0, 3.0])
    return lambda x: x[0] * outside.vector.mean(), lambda: outside.vector.__setitem__(0, 5.0)


@case("sparse matrix", tape="calls `toarray`, which may answer differently each time")
def _():
    import scipy.sparse

    outside.vector = scipy.sparse.csr_matrix(np.eye(3))
    return (
        lambda x: (x * outside.vector.toarray()).sum(),
        lambda: outside.vector.data.__setitem__(0, 5.0),
    )


@case("sparse matrix times a vector")
def _():
    import scipy.sparse

    outside.vector = scipy.sparse.csr_matrix(np.eye(3))
    weights = np.arange(3.0)
    return (
        lambda x: (x * (outside.vector @ weights)).sum(),
        lambda: outside.vector.data.__setitem__(0, 5.0),
        lambda: weights.__setitem__(0, 7.0),
    )


@case("scipy interpolator", tape="calls `CubicSpline`, which may answer differently each time")
def _():
    import scipy.interpolate

    outside.model = scipy.interpolate.CubicSpline(np.arange(4.0), np.arange(4.0) ** 2)
    return (
        lambda x: x[0] * float(outside.model(1.5)),
        lambda: outside.model.c.__setitem__(slice(None), 1.0),
    )


@case("ufunc of the user's", tape="calls `<lambda> (vectorized)`, which may answer differently each time")
def _():
    state = {"k": 2.0}
    made = np.frompyfunc(lambda v: v * state["k"], 1, 1)
    return lambda x: x[0] * float(made(2.0)), lambda: state.update(k=5.0)


@case("vectorized function", tape="calls `<lambda>`, which may answer differently each time")
def _():
    made = np.vectorize(lambda v: v * outside.number)
    return lambda x: x[0] * float(made(2.0)), put(number=5.0)


@case("np.apply_along_axis")
def _():
    return (
        lambda x: (x * np.apply_along_axis(lambda v: v * outside.number, 0, np.ones(3))).sum(),
        put(number=5.0),
    )


@case("np.fromfunction")
def _():
    return (
        lambda x: (x * np.fromfunction(lambda i: i * outside.number, (3,))).sum(),
        put(number=5.0),
    )


@case("np.piecewise with functions")
def _():
    return (
        lambda x: x[0] * float(np.piecewise(2.0, [True], [lambda v: v * outside.number])),
        put(number=5.0),
    )


@case("np.loadtxt", tape="calls `loadtxt`, which may answer differently each time")
def _():
    text = ["1.0 2.0 3.0"]
    return lambda x: (x * np.loadtxt(list(text))).sum(), lambda: text.__setitem__(0, "4.0 5.0 6.0")


@case("np.fromfile and load", tape="calls `load`, which may answer differently each time")
def _():
    import tempfile

    path = os.path.join(tempfile.mkdtemp(), "data.npy")
    np.save(path, np.ones(3))
    return lambda x: (x * np.load(path)).sum(), lambda: np.save(path, np.arange(3.0))


@case("memory-mapped array", tape="reads a memmap from outside")
def _():
    import tempfile

    path = os.path.join(tempfile.mkdtemp(), "data.npy")
    np.save(path, np.ones(3))
    mapped = np.load(path, mmap_mode="r+")
    return lambda x: (x * mapped).sum(), lambda: mapped.__setitem__(0, 5.0)


@case("np.get_printoptions", tape="calls `get_printoptions`, which may answer differently each time")
def _():
    return (
        lambda x: x[0] * np.get_printoptions()["precision"],
        lambda: np.set_printoptions(precision=3),
        lambda: np.set_printoptions(precision=8),
    )


@case("decimal context", tape="computes with decimal numbers, to a precision set outside")
def _():
    return (
        lambda x: x[0] * float(decimal.Decimal(1) / 3),
        lambda: decimal.getcontext().__setattr__("prec", 3),
        lambda: decimal.getcontext().__setattr__("prec", 28),
    )


@case("queue", tape="enters a Condition, and what that reads or writes is not seen")
def _():
    import queue

    def make():
        waiting = queue.Queue()
        for k in range(40):
            waiting.put(float(k))
        return lambda x: x[0] * waiting.get()

    return ("twice", make)


@case("popped from a list", tape="`pop` changes a list that outlives the call")
def _():
    def make():
        waiting = [float(k) for k in range(40)]
        return lambda x: x[0] * waiting.pop()

    return ("twice", make)


@case("function made by a factory at each call")
def _():
    def factory():
        k = outside.number
        return lambda x: x[0] * k

    return lambda x: factory()(x), put(number=4.0), put(number=4)


@case("decorated helper")
def _():
    def scaled(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args) * outside.number

        return wrapper

    @scaled
    def inner(x):
        return x[0] * 2

    return lambda x: inner(x), put(number=4.0)


@case("callable object with state")
def _():
    return (
        lambda x: outside.model(x),
        lambda: setattr(outside.model, "weight", 4.0),
        lambda: setattr(outside.model, "weight", 4),
    )


@case("callable object as the function itself")
def _():
    model = outside.Model()
    return model, lambda: setattr(model, "weight", 4.0), lambda: setattr(model, "weight", np.float32(0.1))


@case("static and class methods")
def _():
    made = fresh_class(
        scale=2.0,
        of_class=classmethod(lambda cls, x: x[0] * cls.scale),
        of_nothing=staticmethod(lambda x: x[1]),
    )
    return (
        lambda x: made.of_class(x) + made().of_nothing(x),
        lambda: setattr(made, "scale", 5.0),
        lambda: setattr(made, "of_nothing", staticmethod(lambda x: x[2] * 3)),
    )


@case("metaclass attribute")
def _():
    meta = type("Meta", (type,), {"scale": 2.0})
    made = meta("Made", (), {})
    return (
        lambda x: x[0] * made.scale,
        lambda: setattr(meta, "scale", 5.0),
        lambda: setattr(made, "scale", 7.0),
    )


@case("op of ours")
def _():
    outside.model = elementary.sin
    return lambda x: outside.model(x).sum(), put(model=elementary.exp), put(model=elementary.tanh)


@case("derivative of another function")
def _():
    outside.model = tg.elementwise_grad(np.sin)
    return lambda x: outside.model(x).sum(), put(model=tg.elementwise_grad(np.exp))


@case("np.vectorize")
def _():
    outside.model = np.vectorize(lambda v: v * outside.number)
    return (
        lambda x: outside.model(x).sum(),
        put(number=4.0),
        put(model=np.vectorize(lambda v: v * v)),
        lambda: setattr(outside.model, "pyfunc", np.sin),
    )


@case("spline")
def _():
    def through(values):
        return scipy.interpolate.CubicSpline(np.linspace(-9.0, 9.0, len(values)), values)

    outside.model = through([1.0, 2.0, 4.0, 3.0])
    return (
        lambda x: outside.model(x).sum(),
        put(model=through([3.0, 1.0, 2.0, 3.0])),
        put(model=through([3.0, 1.0, 2.0, 3.0, 5.0])),
    )


@case("product with a sparse matrix")
def _():
    outside.model = scipy.sparse.csr_array(np.diag([1.0, 2.0, 3.0])).dot
    return (
        lambda x: outside.model(x).sum(),
        put(model=scipy.sparse.csr_array(np.diag([4.0, 2.0, 3.0])).dot),
    )


@case("objects that say they are equal")
def _():
    class Equal:
        def __init__(self, weight):
            self.weight = weight

        def __eq__(self, other):
            return True

        def __hash__(self):
            return 1

    one, two = Equal(2), Equal(3)
    outside.model = one
    return lambda x: x[0] * (2.0 if outside.model is one else 5.0), put(model=two), put(model=one)


@case("list of an object")
def _():
    class Weights:
        def __init__(self, *items):
            self.items = items

        def __iter__(self):
            return iter([self.items[0], self.items[1]])

    outside.model = Weights(2.0, 3.0)
    return (
        lambda x: x[0] * list(outside.model)[1] + sum(a * b for a, b in zip(outside.model, x, strict=False)),
        put(model=Weights(2.0, 5.0)),
        put(model=Weights(7.0, 5.0)),
    )


@case("product with an array.array", tape="hands a array from outside to code whose reads are not seen")
def _():
    outside.vector = array.array("d", [1.0, 2.0, 3.0])
    return (
        lambda x: np.multiply(outside.vector, x).sum(),
        lambda: outside.vector.__setitem__(0, 5.0),
        put(vector=array.array("d", [4.0, 2.0, 3.0])),
    )


@case("slice of an array.array", tape="hands a array from outside to code whose reads are not seen")
def _():
    outside.vector = array.array("d", [1.0, 2.0, 3.0])
    return lambda x: x[0] * outside.vector[:2][1], lambda: outside.vector.__setitem__(1, 5.0)


@case("dot of an object with __array__", tape="from outside to code whose reads are not seen")
def _():
    class Weights:
        def __init__(self, items):
            self.items = items

        def __array__(self, dtype=None, copy=None):
            return np.array(self.items)

    outside.model = Weights([1.0, 2.0, 3.0])
    return lambda x: np.dot(outside.model, x), put(model=Weights([4.0, 2.0, 3.0]))


@case("negative of a sparse matrix", tape="from outside to code whose reads are not seen")
def _():
    outside.model = scipy.sparse.csr_array(np.diag([1.0, 2.0, 3.0]))
    return (
        lambda x: (-outside.model @ x).sum(),
        put(model=scipy.sparse.csr_array(np.diag([4.0, 2.0, 3.0]))),
    )


def _unknown(x, scale, model):
    return x**3 + x - scale * model.weight


@case("object among the arguments of a solver")
def _():
    return (
        lambda x: scipy.optimize.brentq(_unknown, -9.0, 9.0, args=(x[0] + x[1] * x[2], outside.model)),
        lambda: setattr(outside.model, "weight", 4.0),
        lambda: setattr(outside.model, "weight", 5),
        put(model=types.SimpleNamespace(weight=7.0)),
    )


@case("method given to a solver")
def _():
    class Equation:
        def __init__(self, weight):
            self.weight = weight

        def asked(self, x, scale):
            return x**3 + x - scale * self.weight

    outside.model = Equation(2.0)
    return (
        lambda x: scipy.optimize.brentq(outside.model.asked, -9.0, 9.0, args=(x[0] + x[1] * x[2],)),
        lambda: setattr(outside.model, "weight", 4.0),
        put(model=Equation(7.0)),
    )


@case("object in residuals that a solver makes small")
def _():
    def residuals(y, scale, model):
        return np.stack([y[0] - scale * model.weight, y[1] ** 3 - y[0]])

    close = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    return (
        lambda x: scipy.optimize.least_squares(
            residuals, [1.0, 1.0], args=(x[0] * x[1], outside.model), **close
        ).x[1],
        lambda: setattr(outside.model, "weight", 4.0),
        lambda: setattr(outside.model, "weight", 5),
    )
