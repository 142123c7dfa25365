"""A module whose functions and values the tests of `test_never_stale.py` read, replace and change."""

from __future__ import annotations

import dataclasses
import types

import numpy as np

number = 1.5


class Model:
    """An object with everything that can be read of one."""

    scale = 2.0

    def __init__(self):
        self.weight = 2.0
        self.array = np.array([1.0, 2.0, 3.0])
        self.count = 2
        self.inner = types.SimpleNamespace(value=3.0)
        self.layers = [1.0, 2.0]

    def method(self, x):
        return self.weight * x.sum()

    @property
    def twice(self):
        return self.weight * 2

    @classmethod
    def of_class(cls, x):
        return cls.scale * x.sum()

    @staticmethod
    def of_nothing(x):
        return Model.scale * x.sum()

    def __call__(self, x):
        return self.weight * x.sum()

    def __getitem__(self, k):
        return self.weight * k

    def __mul__(self, other):
        return self.weight * other

    def __len__(self):
        return self.count

    def __iter__(self):
        return iter([self.weight, 1.0])

    def __eq__(self, other):
        return self.count == other

    __hash__ = object.__hash__

    def __contains__(self, other):
        return self.count == other

    def __bool__(self):
        return self.count > 1

    def __getattr__(self, name):
        if name == "dynamic":
            return self.weight * 5
        raise AttributeError(name)


class MadeInside:
    def __init__(self, x):
        self.x = x * number

    def get(self):
        return self.x


@dataclasses.dataclass
class MadeByDataclass:
    w: float

    def __post_init__(self):
        self.z = self.w * number


def double(x):
    return x * 2


def triple(x):
    return x * 3


def reads_a_global(x):
    return x * number


def uses_abs(x):
    return abs(x).sum()


def with_default(x, k=2.0, *, table=(1.0, 2.0)):
    return x * k * table[0]


def reset():
    """Every value as it was in the beginning."""
    globals().update(
        number=1.5,
        whole=2,
        flag=True,
        word="a",
        nothing=None,
        vector=np.array([1.0, 2.0, 3.0]),
        single=np.float64(2.5),
        indices=np.array([1, 2, 0]),
        items=[1.0, 2.0, 3.0],
        table={"k": 2.0, "n": 3},
        pair=(1.0, 2),
        members={1, 2},
        model=Model(),
        chosen=double,
        counter=0,
    )
    Model.scale = 2.0
    with_default.__defaults__ = (2.0,)
    for function, code in _CODES:
        function.__code__ = code


_CODES = [(f, f.__code__) for f in (double, Model.method, Model.twice.fget, Model.of_class.__func__)]
reset()
