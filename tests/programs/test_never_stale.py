"""What a function reads from outside may change between two calls: the next call sees it, whatever it is
and however it is read.
"""

from __future__ import annotations

import math
import operator
import time

import numpy as np
import pytest

import tests.programs.outside as outside
import tracegrad as tg

X = np.array([1.0, 2.0, 3.0])


def put(**values):
    """Rebind names of the module."""

    def change():
        vars(outside).update(values)

    return change


def in_model(name, value):
    return lambda: setattr(outside.model, name, value)


def in_class(name, value):
    return lambda: setattr(outside.Model, name, value)


CASES = {
    "float": (lambda x: x.sum() * outside.number, put(number=3.0), put(number=2)),
    "float in a condition": (lambda x: x[0] if outside.number > 1 else x[1], put(number=0.5)),
    "float through math": (lambda x: x[0] * math.sin(outside.number), put(number=0.5)),
    "float as text": (lambda x: x[0] * len(f"{outside.number}"), put(number=0.0625)),
    "float as text by str": (lambda x: x[0] * len(str(outside.number)), put(number=0.0625)),
    "float as text by %": (lambda x: x[0] * len("%s" % outside.number), put(number=0.0625)),  # noqa: UP031
    "float as a key": (lambda x: x[0] * {1.5: 1.0, 2.5: 3.0}[outside.number], put(number=2.5)),
    "float sought in a list": (lambda x: x[0] if outside.number in [1.5, 2] else x[1], put(number=2.5)),
    "float made an int": (lambda x: x[0] * int(outside.number), put(number=7.9)),
    "NumPy float": (
        lambda x: x[0] * outside.single,
        put(single=np.float64(4.0)),
        put(single=np.float32(4.0)),
    ),
    "int": (lambda x: x.sum() * outside.whole, put(whole=3)),
    "int as a trip count": (lambda x: sum([x[0] * k for k in range(outside.whole)]), put(whole=5)),
    "int as an index": (lambda x: x[outside.whole], put(whole=0)),
    "bool": (lambda x: x[0] if outside.flag else x[1], put(flag=False)),
    "string": (lambda x: x[0] if outside.word == "a" else x[1], put(word="b")),
    "string with the same trace": (
        lambda x: x[0] * (len(outside.word) * (outside.word != "")),
        put(word="b"),
        put(word="a"),
    ),
    "None": (lambda x: x[0] if outside.nothing is None else x[1], put(nothing=3)),
    "array": (
        lambda x: (x * outside.vector).sum(),
        put(vector=np.array([3.0, 4, 5])),
        put(vector=np.arange(3)),
        put(vector=np.ones((2, 3))),
    ),
    "array in place": (lambda x: (x * outside.vector).sum(), lambda: outside.vector.__setitem__(0, 9.0)),
    "item of an array": (lambda x: x[0] * outside.vector[0], lambda: outside.vector.__setitem__(0, 9.0)),
    "length of an array": (lambda x: x[0] * len(outside.vector), put(vector=np.ones(5))),
    "shape of an array": (lambda x: x[0] * outside.vector.shape[0], put(vector=np.ones((5, 2)))),
    "method of an array": (
        lambda x: x[0] * outside.vector.mean(),
        lambda: outside.vector.__setitem__(0, 9.0),
    ),
    "list of an array": (
        lambda x: x[0] * outside.vector.tolist()[0],
        lambda: outside.vector.__setitem__(0, 9.0),
    ),
    "float of an array": (
        lambda x: x[0] * float(outside.vector[0]),
        lambda: outside.vector.__setitem__(0, 9.0),
    ),
    "index array": (lambda x: x[outside.indices] @ np.arange(3.0), lambda: outside.indices.__setitem__(0, 2)),
    "item of an index array": (lambda x: x[outside.indices[0]], lambda: outside.indices.__setitem__(0, 2)),
    "item of a list": (
        lambda x: x[0] * outside.items[1],
        lambda: outside.items.__setitem__(1, 7.0),
        lambda: outside.items.insert(0, 5.0),
        lambda: outside.items.clear(),
    ),
    "list run over": (
        lambda x: sum([x[0] * t for t in outside.items]),
        lambda: outside.items.append(7.0),
        lambda: outside.items.pop(0),
    ),
    "length of a list": (lambda x: x[0] * len(outside.items), lambda: outside.items.append(7.0)),
    "list as an array": (
        lambda x: x[0] * np.array(outside.items).sum(),
        lambda: outside.items.__setitem__(0, 8.0),
    ),
    "part of a list": (lambda x: (x * outside.items[:3]).sum(), lambda: outside.items.__setitem__(0, 8.0)),
    "list times an array": (lambda x: (x * outside.items).sum(), lambda: outside.items.__setitem__(0, 8.0)),
    "member of a list": (lambda x: x[0] if 3.0 in outside.items else x[1], lambda: outside.items.pop()),
    "sum of a list": (lambda x: x[0] * sum(outside.items), lambda: outside.items.append(4.0)),
    "largest of a list": (lambda x: x[0] * max(outside.items), lambda: outside.items.append(4.0)),
    "truth of a list": (lambda x: x[0] if outside.items else x[1], lambda: outside.items.clear()),
    "not a list": (lambda x: x[0] if not outside.items else x[1], lambda: outside.items.clear()),
    "copy of a list": (lambda x: x[0] * outside.items.copy()[0], lambda: outside.items.__setitem__(0, 4.0)),
    "equality of lists": (
        lambda x: x[0] if outside.items == [1.0, 2.0, 3.0] else x[1],
        lambda: outside.items.pop(),
    ),
    "index in a list": (lambda x: x[outside.items.index(2.0)], lambda: outside.items.insert(0, 5.0)),
    "count in a list": (lambda x: x[0] * outside.items.count(1.0), lambda: outside.items.append(1.0)),
    "list unpacked": (lambda x: x[0] * max([*outside.items]), lambda: outside.items.__setitem__(0, 4.0)),
    "list as arguments": (lambda x: x[0] * max(*outside.items), lambda: outside.items.append(9.0)),
    "list as text": (lambda x: x[0] * len(str(outside.items)), lambda: outside.items.append(9.0)),
    "list reduced by NumPy": (lambda x: x[0] * np.sum(outside.items), lambda: outside.items.append(9.0)),
    "list returned": (lambda x: (x[0], outside.items)[0], lambda: outside.items.append(9.0)),
    "value of a dict": (lambda x: x[0] * outside.table["k"], lambda: outside.table.__setitem__("k", 9.0)),
    "dict.get": (lambda x: x[0] * outside.table.get("k", 1.0), lambda: outside.table.pop("k")),
    "dict.items": (
        lambda x: sum([x[0] * v for _, v in outside.table.items()]),
        lambda: outside.table.__setitem__("z", 1.0),
        lambda: outside.table.__setitem__("z", 2.0),
    ),
    "member of a dict": (
        lambda x: x[0] if "z" in outside.table else x[1],
        lambda: outside.table.__setitem__("z", 1),
    ),
    "keys of a dict": (lambda x: x[0] * len(list(outside.table)), lambda: outside.table.__setitem__("z", 1)),
    "dict unpacked": (lambda x: x[0] * {**outside.table}["k"], lambda: outside.table.__setitem__("k", 9.0)),
    "dict as keywords": (
        lambda x: x[0] * dict(**outside.table)["k"],
        lambda: outside.table.__setitem__("k", 9.0),
    ),
    "itemgetter": (
        lambda x: x[0] * operator.itemgetter("k")(outside.table),
        lambda: outside.table.__setitem__("k", 9.0),
    ),
    "member of a set": (lambda x: x[0] if 2 in outside.members else x[1], lambda: outside.members.discard(2)),
    "size of a set": (lambda x: x[0] * len(outside.members), lambda: outside.members.add(9)),
    "tuple": (lambda x: x[0] * outside.pair[0], put(pair=(4.0, 2))),
    "tuple as arguments": (lambda x: x[0] * operator.add(*outside.pair), put(pair=(4.0, 2))),
    "function": (lambda x: outside.chosen(x).sum(), put(chosen=outside.triple)),
    "code of a function": (
        lambda x: outside.double(x).sum(),
        lambda: setattr(outside.double, "__code__", outside.triple.__code__),
    ),
    "global of a helper": (lambda x: outside.reads_a_global(x).sum(), put(number=4.0)),
    "default of a helper": (
        lambda x: outside.with_default(x).sum(),
        lambda: setattr(outside.with_default, "__defaults__", (5.0,)),
    ),
    "attribute": (lambda x: x[0] * outside.model.weight, in_model("weight", 4.0)),
    "array attribute": (
        lambda x: (x * outside.model.array).sum(),
        in_model("array", np.ones(3)),
        lambda: outside.model.array.__setitem__(0, 7.0),
    ),
    "int attribute": (lambda x: x[0] * outside.model.count, in_model("count", 5)),
    "attribute of an attribute": (
        lambda x: x[0] * outside.model.inner.value,
        lambda: setattr(outside.model.inner, "value", 5.0),
    ),
    "item of a list attribute": (
        lambda x: x[0] * outside.model.layers[0],
        lambda: outside.model.layers.__setitem__(0, 5.0),
    ),
    "method": (
        lambda x: outside.model.method(x),
        in_model("weight", 4.0),
        in_model("method", lambda x: x[2]),
    ),
    "property": (lambda x: x[0] * outside.model.twice, in_model("weight", 4.0)),
    "class attribute": (lambda x: x[0] * outside.Model.scale, in_class("scale", 4.0)),
    "class attribute of an object": (
        lambda x: x[0] * outside.model.scale,
        in_class("scale", 4.0),
        in_model("scale", 1.0),
    ),
    "class method": (lambda x: outside.Model.of_class(x), in_class("scale", 4.0)),
    "static method": (lambda x: outside.Model.of_nothing(x), in_class("scale", 4.0)),
    "callable object": (lambda x: outside.model(x), in_model("weight", 4.0)),
    "item of an object": (lambda x: x[0] * outside.model[2], in_model("weight", 4.0)),
    "operator of an object": (lambda x: outside.model * x[0], in_model("weight", 4.0)),
    "length of an object": (lambda x: x[0] * len(outside.model), in_model("count", 7)),
    "object run over": (lambda x: sum([x[0] * t for t in outside.model]), in_model("weight", 4.0)),
    "object compared": (lambda x: x[0] if outside.model == 2 else x[1], in_model("count", 7)),
    "member of an object": (lambda x: x[0] if 2 in outside.model else x[1], in_model("count", 7)),
    "truth of an object": (lambda x: x[0] if outside.model else x[1], in_model("count", 0)),
    "attribute made when asked": (lambda x: x[0] * outside.model.dynamic, in_model("weight", 4.0)),
    "getattr": (lambda x: x[0] * getattr(outside.model, "weight"), in_model("weight", 4.0)),  # noqa: B009
    "hasattr": (lambda x: x[0] if hasattr(outside.model, "new") else x[1], in_model("new", 4.0)),
    "vars": (lambda x: x[0] * vars(outside.model)["weight"], in_model("weight", 4.0)),
    "globals": (lambda x: x[0] * globals()["SETTING"], lambda: globals().update(SETTING=5.0)),
    "object made inside": (lambda x: outside.MadeInside(x[0]).get(), put(number=4.0)),
    "dataclass made inside": (lambda x: outside.MadeByDataclass(x[0]).z, put(number=4.0)),
    "identity": (lambda x: x[0] if outside.vector is outside.model.array else x[1], in_model("array", None)),
    "two lambdas in one line": (
        (lambda x: sum([x[0] * t for t in outside.items])),
        (lambda: outside.items.append(7.0)),
    ),
}
SETTING = 2.0


def outcome(function):
    try:
        return function(X)
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("case", CASES)
def test_the_next_call_sees_the_change(case):
    outside.reset()
    function, *changes = CASES[case]
    gradient = tg.value_and_grad(function, jit="python")

    def agree():
        wanted = outcome(function)
        for _ in range(2):
            found = outcome(lambda x: gradient(x)[0])
            assert found is wanted if isinstance(wanted, type) else found == pytest.approx(wanted, rel=1e-12)

    agree()
    for change in changes:
        change()
        agree()


def free_float():
    factor = 2.0

    def set_factor(value):
        nonlocal factor
        factor = value

    return (lambda x: x.sum() * factor), set_factor


def test_a_closure_cell_that_is_rebound():
    function, set_factor = free_float()
    gradient = tg.value_and_grad(function, jit="python")
    for value in (2.0, 5.0, 7):
        set_factor(value)
        assert gradient(X)[0] == function(X)


@pytest.mark.parametrize("draw", [np.random.rand, np.random.normal, lambda: np.random.default_rng().normal()])
def test_random_numbers_are_drawn_at_every_call(draw):
    def function(x):
        return x[0] * draw()

    gradient = tg.value_and_grad(function, jit="python")
    values = {float(gradient(X)[0]) for _ in range(4)}
    assert len(values) == 4


def test_a_generator_of_random_numbers_goes_on_as_plain_python_lets_it():
    generator = np.random.default_rng(0)

    def function(x):
        return x[0] * generator.normal() + generator.normal()

    values = [function(X) for _ in range(3)]
    generator = np.random.default_rng(0)
    gradient = tg.value_and_grad(function, jit="python")
    assert [gradient(X)[0] for _ in range(3)] == pytest.approx(values, rel=1e-12)


def test_the_clock_is_asked_at_every_call():
    def function(x):
        return x[0] * time.perf_counter()

    gradient = tg.value_and_grad(function, jit="python")
    assert gradient(X)[0] < gradient(X)[0] < gradient(X)[0]


def test_what_is_written_outside_is_written_at_every_call():
    log = []

    def function(x):
        log.append(1)
        outside.counter += 1
        return x[0] * 2

    outside.reset()
    gradient = tg.value_and_grad(function, jit="python")
    for _ in range(3):
        gradient(X)
    assert len(log) == 3
    assert outside.counter == 3


def test_an_item_deleted_outside_is_deleted_at_every_call():
    def function(x):
        del outside.items[0]
        return x[0] * outside.items[0]

    outside.reset()
    gradient = tg.value_and_grad(function, jit="python")
    assert [gradient(X)[0] for _ in range(2)] == [2.0, 3.0]
