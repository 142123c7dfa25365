"""What a value from outside is used as."""

from __future__ import annotations

import contextlib
import functools
import operator
import threading

import numpy as np

import tests.programs.outside as outside
from tests.programs.mutations.case import (
    Plain,
    Point,
    case,
    fresh_class,
    put,
)


@case("integer as a size of zeros")
def _():
    def function(x):
        made = np.zeros(outside.whole)
        made[0] = x[0]
        return made.sum() * made.size

    return function, put(whole=3), put(whole=0), put(whole=2.0)


@case("integer as a shape")
def _():
    outside.whole = 3
    return (
        lambda x: x.reshape(outside.whole, -1).sum() * x.reshape(outside.whole, -1).shape[0],
        put(whole=1),
        put(whole=2),
    )


@case("tuple as a shape")
def _():
    outside.pair = (3, 1)
    return lambda x: x.reshape(outside.pair).shape[0] * x[0], put(pair=(1, 3)), put(pair=(2, 2)), put(pair=3)


@case("integer as a trip count")
def _():
    def function(x):
        y = x[0]
        for _ in range(outside.whole):
            y = y * 1.5
        return y

    return function, put(whole=5), put(whole=0), put(whole=1), put(whole=2.0)


@case("integer as an axis")
def _():
    outside.whole = 0
    return lambda x: np.stack([x, x]).sum(axis=outside.whole)[1], put(whole=1), put(whole=-1), put(whole=None)


@case("string as a dtype")
def _():
    outside.word = "f8"
    return lambda x: x[0] * np.ones(3, outside.word).itemsize, put(word="f4"), put(word="i1")


@case("dtype from outside")
def _():
    outside.word = np.dtype("f8")
    return lambda x: x[0] * np.zeros(3, outside.word).itemsize, put(word=np.dtype("f4")), put(word=np.float32)


@case("string as subscripts of einsum")
def _():
    outside.word = "i,i->"
    return lambda x: np.einsum(outside.word, x, outside.vector).sum(), put(word="i,j->"), put(word="i,i->i")


@case("string as an attribute's name")
def _():
    outside.word = "weight"
    outside.model.count = 7.0
    return (
        lambda x: x[0] * getattr(outside.model, outside.word),
        put(word="count"),
        lambda: setattr(outside.model, "count", 3.0),
        put(word="absent"),
    )


@case("regular expression", tape="calls `group`")
def _():
    import re

    outside.word = "aab"
    outside.chosen = re.compile("a+")
    return (
        lambda x: x[0] * len(outside.chosen.match(outside.word).group()),
        put(word="aaab"),
        put(chosen=re.compile("a")),
    )


@case("exec and eval", tape="calls `eval`, and what that reads or writes is not seen")
def _():
    return lambda x: x[0] * eval("outside.number"), put(number=4.0)


@case("globals()", tape="calls `globals`, and what that reads or writes is not seen")
def _():
    return lambda x: x[0] * globals()["SETTING"], lambda: globals().update(SETTING=5.0)


@case("global statement", tape="writes a global or nonlocal name")
def _():
    def function(x):
        global counter
        counter += 1
        return x[0] * SETTING

    return function, lambda: globals().update(SETTING=5.0)


@case("nonlocal statement", tape="writes a global or nonlocal name")
def _():
    def make():
        count = 0

        def function(x):
            nonlocal count
            count += 1
            return x[0] * count

        return function

    return ("twice", make)


@case("list that grows inside", tape="`append` changes a list that outlives the call")
def _():
    def make():
        log = []

        def function(x):
            log.append(1.0)
            return x[0] * len(log)

        return function

    return ("twice", make)


@case("attribute that is counted up inside", tape="stores into `.count` of a Plain that outlives the call")
def _():
    def make():
        model = Plain()
        model.count = 0

        def function(x):
            model.count += 1
            return x[0] * model.count

        return function

    return ("twice", make)


@case("array from outside written inside", refused="`buffer` is written in place")
def _():
    def make():
        buffer = np.zeros(3)

        def function(x):
            buffer[0] += 1.0
            return x[0] * buffer[0]

        return function

    return ("twice", make)


@case("argument written inside", refused="`x` is written in place")
def _():
    def make():
        def function(x):
            x[0] += 1.0
            return (x * x).sum()

        return function

    return ("twice", make)


@case("gen.send", tape="uses up a generator from outside")
def _():
    def make():
        def numbers():
            k = 1.0
            while True:
                k += yield k

        it = numbers()
        next(it)
        return lambda x: x[0] * it.send(2.0)

    return ("twice", make)


@case("context manager of the user's", tape="calls `scaled`, which may answer differently each time")
def _():
    @contextlib.contextmanager
    def scaled():
        yield outside.number

    def function(x):
        with scaled() as k:
            return x[0] * k

    return function, put(number=4.0)


@case("open context on a stack")
def _():
    stack = contextlib.ExitStack()
    return lambda x: x[0] if stack is not None else x[1], stack.close


@case("lock")
def _():
    lock = threading.Lock()

    def function(x):
        with lock:
            return x[0] * outside.number

    return function, put(number=4.0)


@case("operator.attrgetter", tape="hands a Model from outside to code whose reads are not seen")
def _():
    get = operator.attrgetter("inner.value")
    return lambda x: x[0] * get(outside.model), lambda: setattr(outside.model.inner, "value", 7.0)


@case("operator.methodcaller", tape="calls `methodcaller`, which may answer differently each time")
def _():
    call = operator.methodcaller("get", "k")
    return lambda x: x[0] * call(outside.table), lambda: outside.table.__setitem__("k", 9.0)


@case("map over a list")
def _():
    return (
        lambda x: x[0] * sum(map(lambda t: t * outside.number, outside.items)),  # noqa: C417
        put(number=4.0),
        lambda: outside.items.append(2.0),
    )


@case("sorted with a key")
def _():
    return (
        lambda x: x[0] * sorted(outside.items, key=lambda t: t * outside.number)[0],
        put(number=-4.0),
        lambda: outside.items.append(9.0),
    )


@case("functools.reduce")
def _():
    return (
        lambda x: x[0] * functools.reduce(lambda a, b: a * b, outside.items),
        lambda: outside.items.append(2.0),
        lambda: outside.items.__setitem__(0, 3),
    )


@case("star-arguments")
def _():
    return (
        lambda x: max(*outside.items) * x[0],
        lambda: outside.items.append(9.0),
        lambda: outside.items.pop(0),
    )


@case("keyword arguments from a dict")
def _():
    def inner(x, k, n):
        return x[0] * k**n

    return (
        lambda x: inner(x, **outside.table),
        lambda: outside.table.__setitem__("k", 5.0),
        lambda: outside.table.__setitem__("n", 2),
        lambda: outside.table.pop("n"),
    )


@case("list comprehension over a dict of arrays")
def _():
    outside.table = {"a": np.ones(3), "b": np.arange(3.0)}
    return (
        lambda x: sum([(x * v).sum() for v in outside.table.values()]),
        lambda: outside.table["a"].__setitem__(0, 5.0),
        lambda: outside.table.__setitem__("c", np.full(3, 2.0)),
        lambda: outside.table.pop("b"),
    )


@case("match on an object")
def _():
    outside.pair = Point(1.0, 2.0)

    def function(x):
        match outside.pair:
            case Point(x=1.0, y=b):
                return x[0] * b
            case (a, b):
                return x[1] * a * b
        return x[2]

    return (
        function,
        put(pair=Point(1.0, 5.0)),
        put(pair=Point(2.0, 5.0)),
        put(pair=(3.0, 4.0)),
        put(pair=None),
    )


@case("match on a string and a dict")
def _():
    def function(x):
        match outside.table:
            case {"k": k, "n": 3}:
                return x[0] * k
            case {"k": k}:
                return x[1] * k
        return x[2]

    return (
        function,
        lambda: outside.table.__setitem__("k", 5.0),
        lambda: outside.table.__setitem__("n", 4),
        lambda: outside.table.clear(),
    )


@case("isinstance of an object")
def _():
    return (
        lambda x: x[0] if isinstance(outside.number, float) else x[1],
        put(number=3),
        put(number=np.float64(3)),
        put(number="a"),
    )


@case("isinstance of a class from outside")
def _():
    outside.chosen = float
    return lambda x: x[0] if isinstance(outside.number, outside.chosen) else x[1], put(chosen=int)


@case("type compared")
def _():
    return (
        lambda x: x[0] if type(outside.number) is float else x[1],
        put(number=3),
        put(number=None),
    )


@case("issubclass")
def _():
    made = fresh_class()
    outside.chosen = made
    return lambda x: x[0] if issubclass(outside.chosen, Plain) else x[1], put(chosen=int)


@case("callable")
def _():
    return lambda x: x[0] if callable(outside.chosen) else x[1], put(chosen=3.0)


@case("dir and vars")
def _():
    return (
        lambda x: x[0] * len(vars(outside.model)),
        lambda: setattr(outside.model, "added", 1.0),
        lambda: delattr(outside.model, "added"),
    )


@case("__dict__ of an object")
def _():
    return (
        lambda x: x[0] * outside.model.__dict__["weight"],
        lambda: setattr(outside.model, "weight", 4.0),
        lambda: delattr(outside.model, "weight"),
    )


@case("dir of an object", tape="calls `dir`, and what that reads or writes is not seen")
def _():
    return lambda x: x[0] * len(dir(outside.model)), lambda: setattr(outside.model, "added", 1.0)


@case("__doc__, __name__ and __defaults__ of a function")
def _():
    def inner(x, k=2.0):
        return x

    return (
        lambda x: x[0] * len(inner.__name__) * inner.__defaults__[0],
        lambda: setattr(inner, "__name__", "longer_name"),
        lambda: setattr(inner, "__defaults__", (5.0,)),
    )


SETTING = 2.0
counter = 0
