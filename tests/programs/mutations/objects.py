"""Attributes of objects and classes, and what objects are asked."""

from __future__ import annotations

import dataclasses
import types

import numpy as np

import tests.programs.outside as outside
from tests.programs.mutations.case import (
    Base,
    Color,
    Frozen,
    Plain,
    Scaled,
    Settings,
    Slotted,
    case,
    fresh_class,
    put,
)


@case("attribute of self")
def _():
    class Model:
        def __init__(self):
            self.weight = 2.0

        def loss(self, x):
            return x[0] * self.weight

    model = Model()
    return (
        model.loss,
        lambda: setattr(model, "weight", 5.0),
        lambda: setattr(model, "weight", 5),
        lambda: setattr(model, "weight", np.ones(3)[0]),
        lambda: delattr(model, "weight"),
    )


@case("array attribute")
def _():
    model = outside.Model()
    return (
        lambda x: (x * model.array).sum(),
        lambda: model.array.__setitem__(0, 5.0),
        lambda: setattr(model, "array", np.ones(3)),
        lambda: setattr(model, "array", np.ones((2, 3))),
        lambda: setattr(model, "array", None),
    )


@case("nested object")
def _():
    model = outside.Model()
    return (
        lambda x: x[0] * model.inner.value,
        lambda: setattr(model.inner, "value", 5.0),
        lambda: setattr(model, "inner", types.SimpleNamespace(value=6.0)),
        lambda: setattr(model, "inner", Plain()),
        lambda: setattr(model.inner, "value", 7.0),
    )


@case("object replaced by another of its class")
def _():
    other = outside.Model()
    other.weight = 9.0
    return (
        lambda x: x[0] * outside.model.weight,
        put(model=other),
        put(model=types.SimpleNamespace(weight=4.0)),
    )


@case("class of an object changed")
def _():
    first = fresh_class(factor=2.0, compute=lambda self, x: x[0] * self.factor)
    second = fresh_class(factor=5.0, compute=lambda self, x: x[1] * self.factor)
    model = first()
    return lambda x: model.compute(x), lambda: setattr(model, "__class__", second)


@case("property")
def _():
    model = outside.Model()
    return lambda x: x[0] * model.twice, lambda: setattr(model, "weight", 5.0)


@case("property replaced")
def _():
    made = fresh_class(value=property(lambda self: 2.0))
    model = made()
    return (
        lambda x: x[0] * model.value,
        lambda: setattr(made, "value", property(lambda self: 3.0)),
        lambda: setattr(made, "value", 4.0),
        lambda: delattr(made, "value"),
    )


@case("property with state of its own")
def _():
    state = {"k": 2.0}
    made = fresh_class(value=property(lambda self: state["k"]))
    model = made()
    return lambda x: x[0] * model.value, lambda: state.update(k=5.0)


@case("slots")
def _():
    model = Slotted(2.0)
    return (
        lambda x: x[0] * model.weight,
        lambda: setattr(model, "weight", 5.0),
        lambda: delattr(model, "weight"),
    )


@case("__getattr__")
def _():
    model = outside.Model()
    return (
        lambda x: x[0] * model.dynamic,
        lambda: setattr(model, "weight", 5.0),
        lambda: setattr(model, "dynamic", 1.5),
    )


@case("__getattr__ with state of its own")
def _():
    state = {"k": 2.0}
    made = fresh_class(__getattr__=lambda self, name: state[name])
    model = made()
    return lambda x: x[0] * model.k, lambda: state.update(k=5.0), lambda: setattr(model, "k", 9.0)


@case("__getattribute__")
def _():
    state = {"k": 2.0}

    class Made:
        def __getattribute__(self, name):
            return state[name] if name in state else object.__getattribute__(self, name)

    model = Made()
    return lambda x: x[0] * model.k, lambda: state.update(k=5.0)


@case("descriptor")
def _():
    made = fresh_class(scaled=Scaled(2.0), weight=3.0)
    model = made()
    return (
        lambda x: x[0] * model.scaled,
        lambda: setattr(model, "weight", 5.0),
        lambda: setattr(vars(made)["scaled"], "factor", 7.0),
        lambda: setattr(made, "scaled", Scaled(1.0)),
    )


@case("dataclass")
def _():
    settings = Settings()

    def function(x):
        total = x.sum() if settings.mode == "sum" else x[0]
        return total * settings.rate**settings.steps

    return (
        function,
        lambda: setattr(settings, "rate", 5.0),
        lambda: setattr(settings, "steps", 3),
        lambda: setattr(settings, "mode", "first"),
    )


@case("frozen dataclass")
def _():
    outside.model = Frozen()
    return lambda x: x[0] * outside.model.rate, put(model=Frozen(3.0)), put(model=Settings(4.0))


@case("dataclass replaced inside")
def _():
    outside.model = Frozen()
    return (
        lambda x: x[0] * dataclasses.replace(outside.model, rate=outside.number).rate,
        put(number=4.0),
    )


@case("class attribute")
def _():
    made = fresh_class(scale=2.0)
    return (
        lambda x: x[0] * made.scale,
        lambda: setattr(made, "scale", 5.0),
        lambda: setattr(
            Plain,
            "scale",
            7.0,
        ),
        lambda: delattr(made, "scale"),
        lambda: delattr(Plain, "scale"),
    )


@case("class attribute shadowed by an instance")
def _():
    made = fresh_class(scale=2.0)
    model = made()
    return (
        lambda x: x[0] * model.scale,
        lambda: setattr(made, "scale", 5.0),
        lambda: setattr(model, "scale", 7.0),
        lambda: setattr(made, "scale", 9.0),
        lambda: delattr(model, "scale"),
        lambda: delattr(made, "scale"),
    )


@case("inherited attribute")
def _():
    base = type("B", (), {"scale": 2.0, "compute": Base.compute, "inherited": 3.0})
    made = type("D", (base,), {})
    model = made()
    return (
        lambda x: model.compute(x) * model.scale,
        lambda: setattr(base, "scale", 5.0),
        lambda: setattr(made, "inherited", 7.0),
        lambda: setattr(made, "compute", lambda self, x: x[0]),
    )


@case("method through super")
def _():
    class A:
        def compute(self, x):
            return x[0] * outside.number

    class B(A):
        def compute(self, x):
            return super().compute(x) * 2

    model = B()
    return (
        lambda x: model.compute(x),
        put(number=4.0),
        lambda: setattr(A, "compute", lambda self, x: x[1]),
    )


@case("enum as a switch")
def _():
    outside.whole = Color.RED
    return (
        lambda x: x[0] if outside.whole is Color.RED else x[1],
        put(whole=Color.BLUE),
        put(whole=None),
    )


@case("enum compared with ==")
def _():
    outside.whole = Color.RED
    return lambda x: x[0] if outside.whole == Color.RED else x[1], put(whole=Color.BLUE), put(whole=Color.RED)


@case("value of an enum")
def _():
    outside.whole = Color.RED
    return lambda x: x[0] * outside.whole.value, put(whole=Color.BLUE)


@case("enum as a key")
def _():
    outside.whole = Color.RED
    outside.table = {Color.RED: 2.0, Color.BLUE: 3.0}
    return (
        lambda x: x[0] * outside.table[outside.whole],
        put(whole=Color.BLUE),
        lambda: outside.table.__setitem__(Color.BLUE, 9.0),
    )


@case("object compared with is")
def _():
    first, second = Plain(), Plain()
    outside.model = first
    return lambda x: x[0] if outside.model is first else x[1], put(model=second), put(model=first)


@case("list compared with is")
def _():
    kept = [1.0]
    outside.items = kept
    return lambda x: x[0] if outside.items is kept else x[1], put(items=[1.0]), put(items=kept)


@case("array compared with is", tape="asks whether two arrays are one object")
def _():
    kept = np.ones(3)
    outside.vector = kept
    return lambda x: x[0] if outside.vector is kept else x[1], put(vector=np.ones(3)), put(vector=kept)


@case("float compared with is", tape="asks whether two arrays are one object")
def _():
    kept = float("2.5")
    outside.number = kept
    return lambda x: x[0] if outside.number is kept else x[1], put(number=float("2.5")), put(number=kept)


@case("object truth")
def _():
    outside.model = Plain()
    return lambda x: x[0] if outside.model else x[1], put(model=None), put(model=[]), put(model=[0])


@case("object compared by default equality")
def _():
    first, second = Plain(), Plain()
    outside.model = first
    return lambda x: x[0] if outside.model == first else x[1], put(model=second)


@case("object in a tuple")
def _():
    first, second = Plain(), Plain()
    outside.model = first
    return lambda x: x[0] if outside.model in (second, first) else x[1], put(model=Plain()), put(model=second)


@case("id of an object", tape="calls `id`, which may answer differently each time")
def _():
    first = Plain()
    outside.model = first
    return lambda x: x[0] if id(outside.model) == id(first) else x[1], put(model=Plain())
