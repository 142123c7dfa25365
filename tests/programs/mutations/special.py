"""Special methods, and values of other types than Python's and NumPy's own."""

from __future__ import annotations

import datetime
import decimal
import enum
import fractions

import numpy as np

import tests.programs.outside as outside
from tests.programs.mutations.case import (
    case,
    fresh_class,
    put,
)


@case("hash of an object")
def _():
    made = fresh_class(__hash__=lambda self: self.weight)
    model = made()
    model.weight = 2
    return lambda x: x[0] * hash(model), lambda: setattr(model, "weight", 3)


@case("repr of an object")
def _():
    made = fresh_class(__repr__=lambda self: "a" * self.weight)
    model = made()
    model.weight = 2
    return lambda x: x[0] * len(repr(model)), lambda: setattr(model, "weight", 3)


@case("text of an object in an f-string", tape="hands a Made from outside to code whose reads are not seen")
def _():
    made = fresh_class(__str__=lambda self: "a" * self.weight)
    model = made()
    model.weight = 2
    return lambda x: x[0] * len(f"{model}"), lambda: setattr(model, "weight", 3)


@case("text of an object with %", tape="hands a Made from outside to code whose reads are not seen")
def _():
    made = fresh_class(__str__=lambda self: "a" * self.weight)
    model = made()
    model.weight = 2
    return lambda x: x[0] * len("%s" % model), lambda: setattr(model, "weight", 3)  # noqa: UP031


@case("object with __float__")
def _():
    made = fresh_class(__float__=lambda self: self.weight)
    model = made()
    model.weight = 2.0
    return lambda x: x[0] * float(model), lambda: setattr(model, "weight", 3.0)


@case("object with __index__", tape="hands a Made from outside to code whose reads are not seen")
def _():
    made = fresh_class(__index__=lambda self: self.weight)
    model = made()
    model.weight = 1
    return lambda x: x[model], lambda: setattr(model, "weight", 2)


@case("object with __array__", tape="hands a Made from outside to code whose reads are not seen")
def _():
    made = fresh_class(__array__=lambda self, dtype=None, copy=None: self.weight)
    model = made()
    model.weight = np.ones(3)
    return (
        lambda x: (x * np.asarray(model)).sum(),
        lambda: setattr(model, "weight", np.arange(3.0)),
        lambda: model.weight.__setitem__(0, 9.0),
    )


@case("object sorted by __lt__", tape="hands a Made from outside to code whose reads are not seen")
def _():
    made = fresh_class(__lt__=lambda self, other: self.weight < other.weight)
    a, b = made(), made()
    a.weight, b.weight = 1.0, 2.0
    return lambda x: x[0] * sorted([b, a])[0].weight, lambda: setattr(a, "weight", 3.0)


@case("object with __enter__", tape="enters a Made, and what that reads or writes is not seen")
def _():
    made = fresh_class(__enter__=lambda self: self.weight, __exit__=lambda self, *rest: None)
    model = made()
    model.weight = 2.0

    def function(x):
        with model as w:
            return x[0] * w

    return function, lambda: setattr(model, "weight", 3.0)


@case("object with __missing__")
def _():
    class Table(dict):
        def __missing__(self, key):
            return outside.number

    table = Table()
    return lambda x: x[0] * table["k"], put(number=4.0), lambda: table.__setitem__("k", 8.0)


@case("list of a subclass")
def _():
    class Items(list):
        pass

    items = Items([1.0, 2.0])
    return lambda x: x[0] * items[0], lambda: items.__setitem__(0, 5.0), items.clear


@case("list of a subclass run over", tape="looks at the whole of a Items from outside")
def _():
    class Items(list):
        pass

    items = Items([1.0, 2.0])
    return (
        lambda x: sum([x[0] * t for t in items]),
        lambda: items.__setitem__(0, 5.0),
        lambda: items.append(3.0),
    )


@case("dict of a subclass run over", tape="looks at the whole of a Table from outside")
def _():
    class Table(dict):
        pass

    table = Table(a=1.0)
    return (
        lambda x: sum([x[0] * table[k] for k in table]),
        lambda: table.__setitem__("a", 5.0),
        lambda: table.__setitem__("b", 5.0),
    )


@case("float of a subclass")
def _():
    made = type("Kilo", (float,), {"factor": 2.0})
    outside.number = made(2.0)
    return lambda x: x[0] * outside.number, put(number=made(3.0)), put(number=4.0)


@case("int of a subclass")
def _():
    made = type("Count", (int,), {})
    outside.whole = made(2)
    return lambda x: x[0] * outside.whole, put(whole=made(3)), put(whole=4)


@case("IntEnum")
def _():
    kinds = enum.IntEnum("Kinds", "a b c")
    outside.whole = kinds.a
    return lambda x: x[0] * outside.whole, put(whole=kinds.b), put(whole=4)


@case("string of a subclass")
def _():
    made = type("Word", (str,), {})
    outside.word = made("a")
    return lambda x: x[0] * len(outside.word), put(word=made("abc")), put(word="abcd")


@case("fraction")
def _():
    outside.number = fractions.Fraction(1, 2)
    return lambda x: x[0] * float(outside.number), put(number=fractions.Fraction(1, 3)), put(number=2)


@case("decimal")
def _():
    outside.number = decimal.Decimal("0.5")
    return lambda x: x[0] * float(outside.number), put(number=decimal.Decimal("0.25"))


@case("date")
def _():
    outside.number = datetime.date(2020, 1, 1)
    return lambda x: x[0] * outside.number.year, put(number=datetime.date(2021, 1, 1))


@case("date compared")
def _():
    outside.number = datetime.date(2020, 1, 1)
    border = datetime.date(2020, 6, 1)
    return lambda x: x[0] if outside.number < border else x[1], put(number=datetime.date(2021, 1, 1))


@case("time delta divided")
def _():
    outside.number = datetime.timedelta(2)
    return lambda x: x[0] * outside.number.total_seconds(), put(number=datetime.timedelta(3))


@case("NumPy polynomial")
def _():
    outside.model = np.polynomial.Polynomial([1.0, 2.0])
    return (
        lambda x: x[0] * outside.model(2.0),
        put(model=np.polynomial.Polynomial([1.0, 3.0])),
        lambda: outside.model.coef.__setitem__(0, 5.0),
    )
