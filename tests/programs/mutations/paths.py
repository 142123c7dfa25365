"""Several ways to one thing, special values, and what is missing."""

from __future__ import annotations

import dataclasses
import math
import types

import numpy as np

import tests.programs.outside as outside
from tests.programs.mutations.case import (
    Point,
    case,
    put,
)


@case("two names of one array")
def _():
    outside.vector = outside.single = np.ones(3)
    return (
        lambda x: (x * outside.vector * outside.single).sum(),
        lambda: outside.vector.__setitem__(0, 5.0),
        put(single=np.full(3, 2.0)),
    )


@case("two names of one list")
def _():
    outside.items = outside.pair = [1.0, 2.0]
    return (
        lambda x: x[0] * outside.items[0] * outside.pair[0],
        lambda: outside.items.__setitem__(0, 5.0),
        put(pair=[2.0]),
        put(items=[3.0]),
    )


@case("two names of one object")
def _():
    outside.chosen = outside.model
    other = outside.Model()
    other.weight = 7.0
    return (
        lambda x: x[0] * outside.model.weight * outside.chosen.weight,
        put(chosen=other),
        lambda: setattr(outside.model, "weight", 3.0),
        put(model=other),
    )


@case("object reached by two ways")
def _():
    first, second = outside.Model(), outside.Model()
    second.weight = 5.0
    outside.items = [first]
    outside.model = first
    return (
        lambda x: x[0] * outside.items[0].weight + outside.model.weight,
        lambda: outside.items.__setitem__(0, second),
        put(model=second),
        lambda: setattr(second, "weight", 6.0),
    )


@case("array in an object in a dict in a list")
def _():
    holder = types.SimpleNamespace(array=np.ones(3))
    outside.items = [{"h": holder}]
    return (
        lambda x: (x * outside.items[0]["h"].array).sum(),
        lambda: holder.array.__setitem__(0, 4.0),
        lambda: setattr(holder, "array", np.full(3, 3.0)),
        lambda: outside.items[0].__setitem__("h", types.SimpleNamespace(array=np.arange(3.0))),
        lambda: outside.items[0].clear(),
    )


@case("returned constant")
def _():
    return lambda x: x[0] * 0 + np.asarray(outside.number), put(number=4.0), put(number=4)


@case("only a global returned")
def _():
    return lambda x: outside.number + 0 * x[0], put(number=4.0), put(number=np.float64(5.0))


@case("NaN from outside")
def _():
    outside.number = math.nan
    return lambda x: x[0] if outside.number != outside.number else x[1], put(number=1.0), put(number=math.nan)


@case("negative zero")
def _():
    outside.number = 0.0
    return lambda x: x[0] * math.copysign(1.0, outside.number), put(number=-0.0), put(number=0.0)


@case("negative zero as text")
def _():
    outside.number = 0.0
    return lambda x: x[0] * len(str(outside.number)), put(number=-0.0), put(number=0.0)


@case("negative zero as a guarded value")
def _():
    outside.table = {0.0: 1.0}
    outside.number = 0.0
    return (
        lambda x: x[0] * len(f"{outside.number}"),
        put(number=-0.0),
        put(number=0.0),
    )


@case("complex with a negative zero")
def _():
    outside.number = complex(1.0, 0.0)
    return (
        lambda x: x[0] * math.copysign(1.0, outside.number.imag),
        put(number=complex(1.0, -0.0)),
    )


@case("bool in place of an int")
def _():
    outside.whole = 1
    return lambda x: x[0] * len(str(outside.whole)), put(whole=True), put(whole=1)


@case("string interned and not")
def _():
    return lambda x: x[0] if outside.word == "a" * 3 else x[1], put(word="".join(["a", "aa"])), put(word="b")


@case("large int")
def _():
    outside.whole = 2**70
    return lambda x: x[0] * (outside.whole % 1000), put(whole=2**70 + 1), put(whole=3)


@case("default factory of a dataclass", tape="calls `Made`, which may answer differently each time")
def _():
    @dataclasses.dataclass
    class Made:
        items: list = dataclasses.field(default_factory=lambda: [outside.number])

    return lambda x: x[0] * Made().items[0], put(number=4.0)


@case("method of a named tuple")
def _():
    outside.pair = Point(2.0, 3.0)
    return lambda x: x[0] * outside.pair._replace(x=outside.number).x, put(number=4.0)


@case("attribute of a NumPy module")
def _():
    return lambda x: x[0] * np.pi, lambda: None


@case("nested functions sharing a cell")
def _():
    def function(x):
        k = outside.number

        def first(y):
            return y * k

        def second(y):
            return first(y) + k

        return second(x[0])

    return function, put(number=4.0)


@case("recursion over a nested list")
def _():
    outside.items = [1.0, [2.0, [3.0]]]

    def total(tree):
        if isinstance(tree, list):
            return sum([total(t) for t in tree])
        return tree

    return (
        lambda x: x[0] * total(outside.items),
        lambda: outside.items[1].append(5.0),
        lambda: outside.items[1][1].__setitem__(0, 7.0),
        lambda: outside.items.append([]),
    )


@case("try around a missing key")
def _():
    def function(x):
        try:
            return x[0] * outside.table["absent"]
        except KeyError:
            return x[1]

    return function, lambda: outside.table.__setitem__("absent", 4.0), lambda: outside.table.pop("absent")


@case("try around a missing attribute")
def _():
    def function(x):
        try:
            return x[0] * outside.model.absent
        except AttributeError:
            return x[1]

    return function, lambda: setattr(outside.model, "absent", 4.0), lambda: delattr(outside.model, "absent")


@case("try around a missing item of a list")
def _():
    def function(x):
        try:
            return x[0] * outside.items[3]
        except IndexError:
            return x[1]

    return function, lambda: outside.items.append(4.0), lambda: outside.items.pop()


@case("try around a missing global")
def _():
    def function(x):
        try:
            return x[0] * absent_name
        except NameError:
            return x[1]

    return function, lambda: globals().update(absent_name=3.0), lambda: globals().pop("absent_name")


@case("getattr with a default")
def _():
    return (
        lambda x: x[0] * getattr(outside.model, "absent", 2.0),
        lambda: setattr(outside.model, "absent", 4.0),
        lambda: delattr(outside.model, "absent"),
    )


@case("dict.get of a missing key")
def _():
    return (
        lambda x: x[0] * outside.table.get("absent", 2.0),
        lambda: outside.table.__setitem__("absent", 4.0),
        lambda: outside.table.pop("absent"),
    )


@case("dict.setdefault", tape="`setdefault` changes a dict that outlives the call")
def _():
    return (
        lambda x: x[0] * outside.table.setdefault("absent", 2.0),
        lambda: outside.table.__setitem__("absent", 4.0),
        lambda: outside.table.pop("absent"),
    )
