"""State of the process, iterators, files, and what changes at every call."""

from __future__ import annotations

import contextvars
import io
import itertools
import logging
import os
import threading
import warnings
import weakref

import numpy as np

import tests.programs.outside as outside
from tests.programs.mutations.case import (
    case,
    put,
)


@case("weak reference", tape="calls `ReferenceType`, which may answer differently each time")
def _():
    model = outside.Model()
    other = outside.Model()
    other.weight = 9.0
    outside.model = weakref.ref(model)
    return (
        lambda x: x[0] * outside.model().weight,
        lambda: setattr(model, "weight", 5.0),
        put(model=weakref.ref(other)),
    )


@case("weak reference that dies", tape="calls `ReferenceType`, which may answer differently each time")
def _():
    held = [outside.Model()]
    outside.model = weakref.ref(held[0])
    return lambda x: x[0] if outside.model() is not None else x[1], held.clear


@case("weak proxy")
def _():
    model = outside.Model()
    outside.model = weakref.proxy(model)
    return lambda x: x[0] * outside.model.weight, lambda: setattr(model, "weight", 5.0)


@case("thread local")
def _():
    local = threading.local()
    local.value = 2.0
    return lambda x: x[0] * local.value, lambda: setattr(local, "value", 5.0), lambda: delattr(local, "value")


@case("context variable", tape="hands a ContextVar from outside to code whose reads are not seen")
def _():
    variable = contextvars.ContextVar("variable", default=2.0)
    return lambda x: x[0] * variable.get(), lambda: variable.set(5.0), lambda: variable.set(6)


@case("generator object", tape="uses up a generator from outside")
def _():
    def numbers():
        k = 0.0
        while True:
            k += 1.0
            yield k

    return ("twice", lambda: (lambda it: lambda x: x[0] * next(it))(numbers()))


@case("iterator of a list", tape="uses up a list_iterator from outside")
def _():
    return ("twice", lambda: (lambda it: lambda x: x[0] * next(it, 0.0))(iter([1.0, 2.0, 3.0])))


@case("itertools.count", tape="uses up a count from outside")
def _():
    return ("twice", lambda: (lambda it: lambda x: x[0] * next(it))(itertools.count(1)))


@case("itertools.cycle run over", tape="uses up a cycle from outside")
def _():
    def make():
        it = itertools.cycle([1.0, 2.0, 5.0])

        def function(x):
            total = x[0]
            for t in itertools.islice(it, 2):
                total = total * t
            return total

        return function

    return ("twice", make)


@case("file object", tape="uses up a StringIO from outside")
def _():
    return ("twice", lambda: (lambda f: lambda x: x[0] * float(f.readline() or 0))(io.StringIO("1\n2\n3\n")))


@case("os.environ")
def _():
    os.environ["TRACEGRAD_TEST"] = "2"
    return (
        lambda x: x[0] * float(os.environ["TRACEGRAD_TEST"]),
        lambda: os.environ.__setitem__("TRACEGRAD_TEST", "5"),
        lambda: os.environ.__delitem__("TRACEGRAD_TEST"),
    )


@case("os.environ.get", tape="calls `get`, which may answer differently each time")
def _():
    os.environ["TRACEGRAD_TEST"] = "2"
    return (
        lambda x: x[0] * float(os.environ.get("TRACEGRAD_TEST", "1")),
        lambda: os.environ.__setitem__("TRACEGRAD_TEST", "5"),
        lambda: os.environ.__delitem__("TRACEGRAD_TEST"),
    )


@case("os.getenv", tape="calls `getenv`, which may answer differently each time")
def _():
    os.environ["TRACEGRAD_TEST"] = "2"
    return (
        lambda x: x[0] * float(os.getenv("TRACEGRAD_TEST", "1")),
        lambda: os.environ.__setitem__("TRACEGRAD_TEST", "5"),
        lambda: os.environ.__delitem__("TRACEGRAD_TEST"),
    )


@case("logging level")
def _():
    logger = logging.getLogger("tests.mutations")
    logger.setLevel(logging.INFO)
    return (
        lambda x: x[0] if logger.level == logging.INFO else x[1],
        lambda: logger.setLevel(logging.DEBUG),
    )


@case("logging isEnabledFor")
def _():
    logger = logging.getLogger("tests.mutations")
    logger.setLevel(logging.INFO)
    return (
        lambda x: x[0] if logger.isEnabledFor(logging.DEBUG) else x[1],
        lambda: logger.setLevel(logging.DEBUG),
    )


@case("warnings filters")
def _():
    def function(x):
        return x[0] * len(warnings.filters)

    return function, lambda: warnings.simplefilter("ignore", DeprecationWarning, append=True)


@case("recursion limit", tape="calls `getrecursionlimit`, which may answer differently each time")
def _():
    import sys

    before = sys.getrecursionlimit()
    return (
        lambda x: x[0] * sys.getrecursionlimit(),
        lambda: sys.setrecursionlimit(before + 7),
        lambda: sys.setrecursionlimit(before),
    )


@case("np.seterr", tape="calls `geterr`, which may answer differently each time")
def _():
    return (
        lambda x: x[0] if np.geterr()["divide"] == "warn" else x[1],
        lambda: np.seterr(divide="ignore"),
        lambda: np.seterr(divide="warn"),
    )


@case("np.errstate inside")
def _():
    def function(x):
        with np.errstate(all="ignore"):
            return x[0] * outside.number

    return function, put(number=4.0)


@case("np.errstate that raises", tape="calls `errstate`, which may answer differently each time")
def _():
    def function(x):
        with np.errstate(divide="raise"):
            return x[0] / (x[1] - outside.number)

    outside.number = 1.0
    return function, put(number=2.25), put(number=1.0)


@case(
    "np.errstate outside that raises",
    tape="raises on floating-point errors, as np.seterr or np.errstate says",
)
def _():
    outside.number = 1.0
    return (
        lambda x: x[0] / (x[1] - outside.number),
        lambda: np.seterr(divide="raise"),
        put(number=2.25),
        put(number=1.5),
        lambda: np.seterr(divide="warn"),
    )


@case("print options", tape="makes text of an array, which looks as np.set_printoptions says")
def _():
    return (
        lambda x: x[0] * len(str(outside.vector / 3)),
        lambda: np.set_printoptions(precision=2),
        lambda: np.set_printoptions(precision=8),
    )
