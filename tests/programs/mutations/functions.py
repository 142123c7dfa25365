"""Functions, classes, modules, closures, defaults, partial."""

from __future__ import annotations

import functools
import importlib

import numpy as np

import tests.programs.outside as outside
from tests.programs.mutations.case import (
    case,
    fresh_class,
    module_with,
    put,
)


@case("function replaced")
def _():
    return lambda x: outside.chosen(x).sum(), put(chosen=outside.triple), put(chosen=np.exp), put(chosen=abs)


@case("code of a function replaced")
def _():
    return (
        lambda x: outside.double(x).sum(),
        lambda: setattr(outside.double, "__code__", outside.triple.__code__),
    )


@case("code of methods and of the function itself replaced")
def _():
    def itself(x):
        return outside.model.method(x) + outside.model.twice * x[0] + outside.Model.of_class(x)

    def successor(x):
        return outside.model.method(x * x)

    def with_code(function, code):
        return lambda: setattr(function, "__code__", code.__code__)

    model = outside.Model
    return (
        itself,
        with_code(model.method, lambda self, x: self.weight * x.sum() ** 2),
        with_code(model.twice.fget, lambda self: self.weight * 5.0),
        with_code(model.of_class.__func__, lambda cls, x: cls.scale * x[1] ** 2),
        with_code(itself, successor),
    )


@case("NumPy function under a name of the user's")
def _():
    outside.chosen = np.sin
    return lambda x: outside.chosen(x).sum(), put(chosen=np.cos), put(chosen=np.sum)


@case("builtin shadowed by a global")
def _():
    return (
        lambda x: outside.uses_abs(x),
        lambda: vars(outside).update(abs=lambda v: v * 3),
        lambda: vars(outside).pop("abs"),
    )


@case("lambda in a dict")
def _():
    outside.table = {"f": lambda x: x * 2}
    return (
        lambda x: outside.table["f"](x).sum(),
        lambda: outside.table.__setitem__("f", lambda x: x * 3),
        lambda: outside.table.__setitem__("f", np.exp),
        lambda: outside.table.pop("f"),
    )


@case("functions in a list")
def _():
    outside.items = [outside.double, outside.triple]

    def function(x):
        for f in outside.items:
            x = f(x)
        return x.sum()

    return function, lambda: outside.items.pop(), lambda: outside.items.append(np.sin)


@case("class replaced")
def _():
    class First:
        def __init__(self, x):
            self.value = x * 2

    class Second:
        def __init__(self, x):
            self.value = x * 3

    outside.chosen = First
    return (
        lambda x: outside.chosen(x[0]).value,
        put(chosen=Second),
        lambda: setattr(Second, "__init__", First.__init__),
    )


@case("class with __new__", tape="calls `First`, which may answer differently each time")
def _():
    class First:
        factor = 2.0

        def __new__(cls, x):
            made = object.__new__(cls)
            made.value = x * cls.factor
            return made

    return lambda x: First(x[0]).value, lambda: setattr(First, "factor", 5.0)


@case("method of a class replaced")
def _():
    made = fresh_class(compute=lambda self, x: x[0] * 2)
    model = made()
    return (
        lambda x: model.compute(x),
        lambda: setattr(made, "compute", lambda self, x: x[0] * 3),
        lambda: setattr(model, "compute", lambda x: x[0] * 4),
        lambda: delattr(model, "compute"),
        lambda: delattr(made, "compute"),
    )


@case("method called twice")
def _():
    outside.model.weight = 2.0
    return (
        lambda x: outside.model.method(x) + outside.model.method(x * 2),
        lambda: setattr(outside.model, "weight", 3.0),
        lambda: setattr(outside.model, "method", lambda x: x[0]),
    )


@case("bound method of another object")
def _():
    first, second, third = outside.Model(), outside.Model(), outside.Model()
    second.weight = 7.0
    third.weight = 9.0
    outside.chosen = first.method
    return (
        lambda x: outside.chosen(x),
        put(chosen=second.method),
        lambda: setattr(second, "weight", 8.0),
        put(chosen=third.method),
        put(chosen=outside.Model.of_class),
    )


@case("bound method put on an object")
def _():
    first, second = outside.Model(), outside.Model()
    second.weight = 7.0
    first.method = outside.Model().method
    return (
        lambda x: first.method(x),
        lambda: setattr(first, "method", second.method),
        lambda: setattr(second, "weight", 5.0),
        lambda: delattr(first, "method"),
    )


@case("method of a list from outside")
def _():
    count = outside.items.count
    return lambda x: x[0] * count(1.0), lambda: outside.items.append(1.0)


@case("method of a dict from outside")
def _():
    get = outside.table.get
    return lambda x: x[0] * get("k"), lambda: outside.table.__setitem__("k", 9.0)


@case("module attribute")
def _():
    module = module_with(value=2.0)
    return (
        lambda x: x[0] * module.value,
        lambda: setattr(module, "value", 5.0),
        lambda: setattr(module, "value", 5),
        lambda: delattr(module, "value"),
    )


@case("module function monkeypatched")
def _():
    module = module_with(f=lambda x: x[0] * 2)
    return (
        lambda x: module.f(x),
        lambda: setattr(module, "f", lambda x: x[0] * 3),
        lambda: setattr(module, "f", np.sum),
    )


@case("module with __getattr__")
def _():
    values = {"value": 2.0}
    module = module_with(__getattr__=lambda name: values[name])
    return lambda x: x[0] * module.value, lambda: values.update(value=5.0)


@case("module reloaded")
def _():
    import tests.programs.reloaded as reloaded

    return (
        lambda x: reloaded.compute(x),
        lambda: setattr(reloaded, "factor", 5.0),
        lambda: importlib.reload(reloaded),
    )


@case("function of a module imported inside")
def _():
    def function(x):
        import tests.programs.reloaded as module

        return module.compute(x) * module.factor

    import tests.programs.reloaded as reloaded

    return function, lambda: setattr(reloaded, "factor", 5.0), lambda: importlib.reload(reloaded)


@case("name imported from a module inside")
def _():
    def function(x):
        from tests.programs.reloaded import factor

        return x[0] * factor

    import tests.programs.reloaded as reloaded

    return function, lambda: setattr(reloaded, "factor", 5.0), lambda: importlib.reload(reloaded)


@case("closure cell")
def _():
    factor = 2.0

    def bind(value):
        def change():
            nonlocal factor
            factor = value

        return change

    def unbind():
        nonlocal factor
        del factor

    return (
        lambda x: x[0] * factor,
        bind(3.0),
        bind(4),
        bind(np.float64(5)),
        unbind,
        bind(2.0),
    )


@case("closure over an array")
def _():
    weights = np.array([1.0, 2.0, 3.0])

    def bind(value):
        def change():
            nonlocal weights
            weights = value

        return change

    return (
        lambda x: x @ weights,
        lambda: weights.__setitem__(0, 9.0),
        bind(np.ones(3)),
        bind(np.ones((3, 2))[:, 0]),
        bind(np.ones(3, np.float32)),
        bind([1.0, 1.0, 4.0]),
    )


@case("closure over a function")
def _():
    def inner(x):
        return x * 2

    def bind(value):
        def change():
            nonlocal inner
            inner = value

        return change

    return lambda x: inner(x).sum(), bind(lambda x: x * 3), bind(np.exp), bind(outside.double)


@case("closure bound later")
def _():
    def function(x):
        try:
            return x[0] * later
        except NameError:
            return x[1]

    def bind():
        nonlocal later
        later = 3.0

    def unbind():
        nonlocal later
        del later

    later = 1.0
    del later
    return function, bind, unbind


@case("closure of a closure")
def _():
    factor = 2.0

    def outer():
        def inner(x):
            return x[0] * factor

        return inner

    def bind():
        nonlocal factor
        factor = 5.0

    made = outer()
    return lambda x: made(x), bind


@case("default argument")
def _():
    def function(x, k=2.0):
        return x[0] * k

    def inner(x):
        return function(x)

    return (
        inner,
        lambda: setattr(function, "__defaults__", (5.0,)),
        lambda: setattr(function, "__defaults__", (5,)),
        lambda: setattr(function, "__defaults__", None),
    )


@case("default argument that is an array")
def _():
    weights = np.ones(3)

    def function(x, w=weights):
        return (x * w).sum()

    return (
        function,
        lambda: weights.__setitem__(0, 5.0),
        lambda: setattr(function, "__defaults__", (np.full(3, 2.0),)),
        lambda: setattr(function, "__defaults__", (2.0,)),
    )


@case("default argument that is a list")
def _():
    def function(x, w=[1.0, 2.0]):  # noqa: B006
        return x[0] * w[0]

    return (
        function,
        lambda: function.__defaults__[0].__setitem__(0, 5.0),
        lambda: function.__defaults__[0].clear(),
    )


@case("keyword default")
def _():
    def function(x, *, k=2.0):
        return x[0] * k

    return (
        function,
        lambda: function.__kwdefaults__.__setitem__("k", 5.0),
        lambda: setattr(function, "__kwdefaults__", {"k": 7.0}),
        lambda: setattr(function, "__kwdefaults__", None),
    )


@case("default of a lambda made inside")
def _():
    def function(x):
        inner = lambda y, k=outside.number: y * k  # noqa: E731
        return inner(x[0])

    return function, put(number=4.0), put(number=4)


@case("partial of positional arguments")
def _():
    weights = np.ones(3)
    function = functools.partial(lambda w, x: (x * w).sum(), weights)
    return (lambda x: function(x)), lambda: weights.__setitem__(0, 4.0)


@case("partial with keywords")
def _():
    function = functools.partial(lambda x, k: x[0] * k, k=2.0)
    return (
        (lambda x: function(x)),
        lambda: function.keywords.__setitem__("k", 5.0),
        lambda: function.__setstate__((function.func, (), {"k": 9.0}, {})),
    )


@case("partial with another function")
def _():
    function = functools.partial(outside.double)
    return (
        (lambda x: function(x).sum()),
        lambda: function.__setstate__((outside.triple, (), {}, {})),
    )


@case("partial of a NumPy function")
def _():
    function = functools.partial(np.power, 2.0)
    return (
        (lambda x: function(x).sum()),
        lambda: function.__setstate__((np.power, (3.0,), {}, {})),
    )


@case("partial as the function itself")
def _():
    weights = np.ones(3)
    function = functools.partial(lambda w, x: (x * w).sum(), weights)
    return function, lambda: weights.__setitem__(0, 4.0)


@case("partial method")
def _():
    class Made:
        weight = 2.0

        def compute(self, k, x):
            return x[0] * self.weight * k

        tripled = functools.partialmethod(compute, 3.0)

    made = Made()
    return lambda x: made.tripled(x), lambda: setattr(made, "weight", 5.0)


@case("cached function")
def _():
    @functools.lru_cache
    def table(n):
        return outside.number * n

    return lambda x: x[0] * table(3), put(number=5.0), table.cache_clear


@case("cached function replaced")
def _():
    @functools.lru_cache
    def doubled(v):
        return 2 * v

    @functools.lru_cache
    def tripled(v):
        return 3 * v

    outside.function = doubled
    return lambda x: outside.function(x[0]), put(function=tripled)


@case("cached property")
def _():
    class Made:
        weight = 2.0

        @functools.cached_property
        def twice(self):
            return 2 * self.weight

    made = Made()
    return (
        lambda x: x[0] * made.twice,
        lambda: setattr(made, "weight", 5.0),
        lambda: vars(made).pop("twice"),
        lambda: setattr(made, "twice", 9.0),
    )


@case("function with attributes")
def _():
    def function(x):
        return x[0] * function.factor

    function.factor = 2.0
    return function, lambda: setattr(function, "factor", 5.0), lambda: delattr(function, "factor")


@case("single dispatch", tape="calls `chosen`, which chooses by the class of its argument")
def _():
    @functools.singledispatch
    def chosen(kind, x):
        return x[0]

    return (
        lambda x: chosen(outside.whole, x),
        put(whole=2.0),
        lambda: chosen.register(float, lambda kind, x: x[0] * 5),
        lambda: chosen.register(float, lambda kind, x: x[0] * 7),
    )
