"""Lists, tuples, dicts, sets, and what else holds several things."""

from __future__ import annotations

import array
import collections
import ctypes
import types

import numpy as np

import tests.programs.outside as outside
from tests.programs.mutations.case import (
    Plain,
    Point,
    case,
    put,
)


@case("list of floats")
def _():
    return (
        lambda x: x[0] * outside.items[1],
        lambda: outside.items.__setitem__(1, 7.0),
        lambda: outside.items.insert(0, 5.0),
        lambda: outside.items.reverse(),
        put(items=(1.0, 2.0)),
        put(items=np.array([3.0, 4.0])),
        lambda: vars(outside).update(items=[]),
    )


@case("last item of a list")
def _():
    return lambda x: x[0] * outside.items[-1], lambda: outside.items.append(9.0), lambda: outside.items.pop(0)


@case("list of lists")
def _():
    outside.items = [[1.0, 2.0], [3.0, 4.0]]
    return (
        lambda x: x[0] * outside.items[1][0],
        lambda: outside.items[1].__setitem__(0, 9.0),
        lambda: outside.items.reverse(),
        lambda: outside.items[1].clear(),
    )


@case("list of arrays run over")
def _():
    outside.items = [np.array([1.0, 2, 3]), np.array([2.0, 2, 2])]

    def function(x):
        total = 0.0
        for row in outside.items:
            total = total + (x * row).sum()
        return total

    return (
        function,
        lambda: outside.items[0].__setitem__(0, 9.0),
        lambda: outside.items.append(np.ones(3)),
        lambda: outside.items.reverse(),
        lambda: outside.items.__setitem__(0, 3.0),
        lambda: outside.items.clear(),
    )


@case("list of numbers run over")
def _():
    outside.items = [1.0, 2.0, 3.0]

    def function(x):
        total = x[0]
        for t in outside.items:
            total = total * t + x[1]
        return total

    return (
        function,
        lambda: outside.items.__setitem__(0, 9.0),
        lambda: outside.items.append(2.5),
        lambda: outside.items.__setitem__(1, 2),
        lambda: outside.items.clear(),
    )


@case("list of ints run over")
def _():
    outside.items = [0, 1, 2]

    def function(x):
        total = x[0]
        for k in outside.items:
            total = total + x[k] * k
        return total

    return (
        function,
        lambda: outside.items.__setitem__(0, 2),
        lambda: outside.items.append(1),
        lambda: outside.items.pop(0),
    )


@case("zip and enumerate of lists")
def _():
    outside.items = [1.0, 2.0, 3.0]
    outside.pair = [4.0, 5.0, 6.0]

    def function(x):
        total = x[0]
        for k, (a, b) in enumerate(zip(outside.items, outside.pair, strict=False)):
            total = total + a * b * k
        return total

    return (
        function,
        lambda: outside.items.__setitem__(1, 9.0),
        lambda: outside.pair.pop(),
        lambda: outside.items.reverse(),
    )


@case("length of a list as a size")
def _():
    return (
        lambda x: x[0] * np.zeros(len(outside.items)).size,
        lambda: outside.items.append(2.0),
        lambda: outside.items.clear(),
    )


@case("tuple")
def _():
    return (
        lambda x: x[0] * outside.pair[0],
        put(pair=(4.0, 2)),
        put(pair=(4, 2)),
        put(pair=[5.0]),
        put(pair=()),
    )


@case("named tuple")
def _():
    outside.pair = Point(2.0, 3.0)
    return (
        lambda x: x[0] * outside.pair.x + outside.pair[1],
        put(pair=Point(4.0, 3.0)),
        put(pair=Point(4.0, 8.0)),
        put(pair=(4.0, 8.0)),
    )


@case("named tuple unpacked")
def _():
    outside.pair = Point(2.0, 3.0)

    def function(x):
        a, b = outside.pair
        return x[0] * a + b

    return function, put(pair=Point(4.0, 3.0)), put(pair=[1.0, 2.0]), put(pair=(1.0, 2.0, 3.0))


@case("item of a dict")
def _():
    return (
        lambda x: x[0] * outside.table["k"],
        lambda: outside.table.__setitem__("k", 9.0),
        lambda: outside.table.__setitem__("other", 9.0),
        lambda: outside.table.__delitem__("k"),
        put(table=collections.defaultdict(float)),
    )


@case("nested dict")
def _():
    outside.table = {"a": {"b": 2.0}}
    return (
        lambda x: x[0] * outside.table["a"]["b"],
        lambda: outside.table["a"].__setitem__("b", 5.0),
        lambda: outside.table.__setitem__("a", {"b": 7.0}),
        lambda: outside.table.__setitem__("a", Plain()),
        lambda: outside.table.clear(),
    )


@case("dict iterated over")
def _():
    def function(x):
        total = 0.0
        for name, value in outside.table.items():
            total = total + x[0] * value * len(name)
        return total

    return (
        function,
        lambda: outside.table.__setitem__("long", 1.0),
        lambda: outside.table.__setitem__("long", 3.0),
        lambda: outside.table.pop("k"),
        lambda: outside.table.clear(),
    )


@case("keys of a dict sorted")
def _():
    outside.table = {"b": 2.0, "a": 3.0}
    return (
        lambda x: x[0] * outside.table[sorted(outside.table)[0]],
        lambda: outside.table.__setitem__("A", 9.0),
        lambda: outside.table.__delitem__("A"),
    )


@case("dict with tuples and ints as keys")
def _():
    outside.table = {(0, 1): 2.0, 3: 4.0}
    return (
        lambda x: x[0] * outside.table[0, 1] + outside.table[3],
        lambda: outside.table.__setitem__((0, 1), 9.0),
        lambda: outside.table.__setitem__(3, 9.0),
        lambda: outside.table.pop(3),
    )


@case("dict keyed by objects")
def _():
    key = Plain()
    outside.table = {key: 2.0}
    return (
        lambda x: x[0] * outside.table[key],
        lambda: outside.table.__setitem__(key, 9.0),
        lambda: outside.table.pop(key),
    )


@case("ordered dict")
def _():
    outside.table = collections.OrderedDict(a=2.0, b=3.0)
    return (
        lambda x: x[0] * outside.table["a"],
        lambda: outside.table.__setitem__("a", 9.0),
        lambda: outside.table.pop("a"),
    )


@case("ordered dict iterated over", tape="looks at the whole of a OrderedDict from outside")
def _():
    outside.table = collections.OrderedDict(a=2.0, b=3.0)

    def function(x):
        total = x[0]
        for value in outside.table.values():
            total = total * value + x[1]
        return total

    return (
        function,
        lambda: outside.table.move_to_end("a"),
        lambda: outside.table.__setitem__("a", 9.0),
    )


@case("default dict")
def _():
    outside.table = collections.defaultdict(lambda: 1.0, a=2.0)
    return (
        lambda x: x[0] * outside.table["a"],
        lambda: outside.table.__setitem__("a", 9.0),
        lambda: outside.table.pop("a"),
    )


@case("counter")
def _():
    outside.table = collections.Counter("aab")
    return (
        lambda x: x[0] * outside.table["a"],
        lambda: outside.table.update("a"),
        lambda: outside.table.clear(),
    )


@case("chain map")
def _():
    outside.table = collections.ChainMap({"a": 2.0}, {"b": 3.0})
    return (
        lambda x: x[0] * outside.table["a"],
        lambda: outside.table.__setitem__("a", 9.0),
        lambda: outside.table.maps.__setitem__(0, {}),
    )


@case("mapping proxy")
def _():
    inner = {"a": 2.0}
    outside.table = types.MappingProxyType(inner)
    return (
        lambda x: x[0] * outside.table["a"],
        lambda: inner.__setitem__("a", 9.0),
        lambda: inner.pop("a"),
    )


@case(
    "mapping proxy asked with get", tape="hands a mappingproxy from outside to code whose reads are not seen"
)
def _():
    inner = {"a": 2.0}
    outside.table = types.MappingProxyType(inner)
    return (
        lambda x: x[0] * outside.table.get("a", 1.0),
        lambda: inner.__setitem__("a", 9.0),
        lambda: inner.pop("a"),
    )


@case("dict asked for a name")
def _():
    outside.table = {"a": 2.0}
    return (
        lambda x: (
            x[0] * outside.table.get("b", 3.0) if "a" in outside.table else x[1] * outside.table.get("a", 1.0)
        ),
        lambda: outside.table.__setitem__("b", 9.0),
        lambda: outside.table.__setitem__("b", 7.0),
        lambda: outside.table.pop("b"),
        lambda: outside.table.pop("a"),
    )


@case("set")
def _():
    return (
        lambda x: x[0] if 2 in outside.members else x[1],
        lambda: outside.members.discard(2),
        lambda: outside.members.add(7),
        put(members=frozenset({2})),
        put(members={"a", 2}),
    )


@case("set of objects", tape="looks at the whole of a set from outside")
def _():
    thing = Plain()
    outside.members = {thing}
    return (
        lambda x: x[0] if thing in outside.members else x[1],
        lambda: outside.members.discard(thing),
        lambda: outside.members.add(thing),
    )


@case("deque")
def _():
    outside.items = collections.deque([1.0, 2.0])
    return (
        lambda x: x[0] * outside.items[0],
        lambda: outside.items.rotate(),
        lambda: outside.items.appendleft(9.0),
        lambda: outside.items.clear(),
    )


@case("length of a deque", tape="looks at the whole of a deque from outside")
def _():
    outside.items = collections.deque([1.0, 2.0])
    return (
        lambda x: x[0] * len(outside.items),
        lambda: outside.items.append(9.0),
        lambda: outside.items.clear(),
    )


@case("array.array")
def _():
    outside.items = array.array("d", [1.0, 2.0])
    return (
        lambda x: x[0] * outside.items[0],
        lambda: outside.items.__setitem__(0, 9.0),
        lambda: outside.items.append(1.0),
    )


@case("array.array summed", tape="hands a array from outside to code whose reads are not seen")
def _():
    outside.items = array.array("d", [1.0, 2.0])
    return (
        lambda x: x[0] * sum(outside.items),
        lambda: outside.items.__setitem__(0, 9.0),
        lambda: outside.items.append(1.0),
    )


@case("bytearray")
def _():
    outside.items = bytearray(b"abc")
    return (
        lambda x: x[0] * outside.items[0],
        lambda: outside.items.__setitem__(0, 5),
        lambda: outside.items.clear(),
    )


@case("bytearray summed", tape="looks at the whole of a bytearray from outside")
def _():
    outside.items = bytearray(b"abc")
    return lambda x: x[0] * sum(outside.items), lambda: outside.items.__setitem__(0, 5)


@case("memoryview")
def _():
    buffer = bytearray(b"abc")
    outside.items = memoryview(buffer)
    return lambda x: x[0] * outside.items[0], lambda: buffer.__setitem__(0, 5)


@case("memoryview as an array", tape="hands a memoryview from outside to code whose reads are not seen")
def _():
    buffer = array.array("d", [1.0, 2.0, 3.0])
    outside.items = memoryview(buffer)
    return lambda x: (x * np.asarray(outside.items)).sum(), lambda: buffer.__setitem__(0, 5.0)


@case("array.array as an array", tape="hands a array from outside to code whose reads are not seen")
def _():
    outside.items = array.array("d", [1.0, 2.0, 3.0])
    return lambda x: (x * np.array(outside.items)).sum(), lambda: outside.items.__setitem__(0, 5.0)


@case("ctypes number")
def _():
    outside.items = ctypes.c_double(2.0)
    return lambda x: x[0] * outside.items.value, lambda: setattr(outside.items, "value", 5.0)


@case("ctypes array")
def _():
    outside.items = (ctypes.c_double * 2)(1.0, 2.0)
    return lambda x: x[0] * outside.items[1], lambda: outside.items.__setitem__(1, 5.0)


@case("range")
def _():
    outside.items = range(3)
    return (
        lambda x: sum([x[0] * k for k in outside.items]),
        put(items=range(1, 4)),
        put(items=range(5)),
        put(items=[7]),
    )


@case("slice from outside")
def _():
    outside.items = slice(0, 2)
    return lambda x: x[outside.items].sum(), put(items=slice(1, 3)), put(items=slice(None)), put(items=0)


@case("ellipsis and newaxis from outside")
def _():
    outside.items = ...
    return lambda x: x[outside.items].sum(), put(items=None), put(items=1)


@case("tuple as an index")
def _():
    outside.items = (slice(0, 2),)
    return lambda x: x[outside.items].sum(), put(items=(slice(1, 3),)), put(items=(0,))


@case("list as an index")
def _():
    outside.items = [0, 2]
    return (
        lambda x: x[outside.items].sum(),
        lambda: outside.items.append(1),
        lambda: outside.items.__setitem__(0, 1),
    )


SETTING = 2.0
counter = 0
