"""Numbers, strings and arrays, as globals of another module."""

from __future__ import annotations

import numpy as np

import tests.programs.outside as outside
from tests.programs.mutations.case import (
    case,
    put,
    removed,
)


@case("global float")
def _():
    return (
        lambda x: x.sum() * outside.number,
        put(number=3.0),
        put(number=2),
        put(number="a"),
        removed("number"),
    )


@case("global int")
def _():
    return lambda x: x.sum() * outside.whole, put(whole=3), put(whole=3.0), put(whole=True), removed("whole")


@case("global int in a power")
def _():
    return lambda x: (x**outside.whole).sum(), put(whole=3), put(whole=4), put(whole=2.0)


@case("global bool")
def _():
    return lambda x: x[0] if outside.flag else x[1], put(flag=False), put(flag=1), put(flag=None)


@case("global string as a switch")
def _():
    return lambda x: x[0] if outside.word == "a" else x[1], put(word="b"), put(word=None), removed("word")


@case("global None")
def _():
    return lambda x: x[0] if outside.nothing is None else x[1], put(nothing=0.0), put(nothing=None)


@case("global complex")
def _():
    outside.number = 1 + 2j
    return lambda x: x[0] * outside.number.real, put(number=3 + 1j), put(number=3.0)


@case("global NumPy scalar")
def _():
    return (
        lambda x: x[0] * outside.single,
        put(single=np.float64(4)),
        put(single=np.float32(0.1)),
        put(single=4.0),
    )


@case("global NumPy int")
def _():
    outside.single = np.int64(2)
    return lambda x: x[0] * outside.single, put(single=np.int64(3)), put(single=np.int32(4)), put(single=4)


@case("global NumPy bool")
def _():
    outside.single = np.bool_(True)
    return lambda x: x[0] if outside.single else x[1], put(single=np.bool_(False)), put(single=True)


@case("array rebound")
def _():
    return (
        lambda x: (x * outside.vector).sum(),
        put(vector=np.array([3.0, 4, 5])),
        put(vector=np.arange(3)),
        put(vector=np.array([0.1, 0.2, 0.3], np.float32)),
        put(vector=np.ones((2, 3))),
        put(vector=[1.0, 2.0, 3.0]),
        put(vector=2.0),
        removed("vector"),
    )


@case("array changed in place")
def _():
    def resized():
        outside.vector = np.array([9.0, 8.0, 7.0])

    return (
        lambda x: (x * outside.vector).sum(),
        lambda: outside.vector.__setitem__(0, 9.0),
        lambda: outside.vector.sort(),
        lambda: outside.vector.fill(2.0),
        resized,
        lambda: outside.vector.__imul__(3.0),
    )


@case("array made non-writable")
def _():
    return (
        lambda x: (x * outside.vector).sum(),
        lambda: outside.vector.setflags(write=False),
        lambda: outside.vector.setflags(write=True),
        lambda: outside.vector.__setitem__(0, 5.0),
    )


@case("strided array")
def _():
    outside.vector = np.arange(6.0)[::2]
    return (
        lambda x: (x * outside.vector).sum(),
        lambda: outside.vector.base.__setitem__(2, 9.0),
        put(vector=np.arange(3.0)),
        put(vector=np.arange(9.0)[::-3]),
    )


@case("view of a global buffer")
def _():
    buffer = np.arange(5.0)
    outside.vector = buffer[1:4]
    return lambda x: (x * outside.vector).sum(), lambda: buffer.__setitem__(2, 9.0), lambda: buffer.fill(1.0)


@case("slice of a global buffer taken inside")
def _():
    outside.vector = np.arange(5.0)
    return (
        lambda x: (x * outside.vector[1:4]).sum(),
        lambda: outside.vector.__setitem__(2, 9.0),
        put(vector=np.arange(6.0) * 2),
    )


@case("0-d array")
def _():
    outside.vector = np.array(2.0)
    return (
        lambda x: x[0] * outside.vector,
        lambda: outside.vector.__setitem__((), 5.0),
        put(vector=np.array(7.0)),
        put(vector=np.array(7, np.float32)),
        put(vector=7.0),
    )


@case("array of bools as a mask")
def _():
    outside.vector = np.array([True, False, True])
    return (
        lambda x: np.where(outside.vector, x, 0).sum(),
        lambda: outside.vector.__setitem__(0, False),
        put(vector=np.array([1, 0, 0])),
    )


@case("boolean indexing by an array from outside")
def _():
    outside.vector = np.array([True, False, True])
    return (
        lambda x: x[outside.vector].sum(),
        lambda: outside.vector.__setitem__(0, False),
        lambda: outside.vector.fill(True),
    )


@case("array of strings")
def _():
    outside.vector = np.array(["a", "b", "c"])
    return (
        lambda x: x[0] if outside.vector[0] == "a" else x[1],
        lambda: outside.vector.__setitem__(0, "z"),
        put(vector=np.array(["a", "q"])),
    )


@case("array of objects", tape="reads an array of objects from outside")
def _():
    outside.vector = np.array([1.0, "b", None], object)
    return (
        lambda x: x[0] * outside.vector[0],
        lambda: outside.vector.__setitem__(0, 4.0),
        lambda: outside.vector.__setitem__(0, 4),
    )


@case("complex array")
def _():
    outside.vector = np.array([1 + 1j, 2.0, 3.0])
    return (
        lambda x: x[0] * outside.vector[0].real,
        lambda: outside.vector.__setitem__(0, 4 + 2j),
    )


@case("structured array")
def _():
    outside.vector = np.array([(1.0, 2)], dtype=[("a", "f8"), ("b", "i8")])
    return (
        lambda x: x[0] * outside.vector["a"][0],
        lambda: outside.vector["a"].__setitem__(0, 4.0),
    )


@case("array of dates")
def _():
    outside.vector = np.array(["2020-01-01", "2021-01-01"], "M8[D]")
    return (
        lambda x: x[0] if outside.vector[0] < outside.vector[1] else x[1],
        lambda: outside.vector.__setitem__(0, np.datetime64("2022-01-01")),
    )


@case("subclass of array", tape="reads a MaskedArray from outside")
def _():
    outside.vector = np.ma.masked_array([1.0, 2.0, 3.0], [False, False, True])
    return (
        lambda x: x[0] * float(outside.vector.sum()),
        lambda: outside.vector.__setitem__(0, 4.0),
        lambda: outside.vector.mask.__setitem__(0, True),
    )


@case("flat iterator of an array")
def _():
    return (
        lambda x: x[0] * outside.vector.flat[1],
        lambda: outside.vector.__setitem__(1, 7.0),
    )


@case("real part, transpose and base of an array")
def _():
    return (
        lambda x: x[0] * outside.vector.real[1] * outside.vector.T[0],
        lambda: outside.vector.__setitem__(1, 7.0),
        lambda: outside.vector.__setitem__(0, 7.0),
    )


@case("dtype of an array")
def _():
    return (
        lambda x: x[0] if outside.vector.dtype == np.float64 else x[1],
        put(vector=np.ones(3, np.float32)),
        put(vector=np.ones(3)),
        put(vector=np.ones(5, int)),
    )
