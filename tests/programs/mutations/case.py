"""What a mutation case is: a function of a vector, and changes of what it reads from outside.

Begin with `case`.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Callable

import tests.programs.outside as outside

Case = Callable[[], tuple]
CASES: dict[str, Case] = {}
TAPE: dict[str, str] = {}
REFUSED: dict[str, str] = {}  # cases that raise an error which names the value, with a part of it


def case(name: str, tape: str = "", refused: str = "") -> Callable[[Case], Case]:
    """Register a case; `tape` is a part of the reason why it runs on the tape."""

    def register(make: Case) -> Case:
        assert name not in CASES
        CASES[name] = make
        if tape:
            TAPE[name] = tape
        if refused:
            REFUSED[name] = refused
        return make

    return register


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Point(typing.NamedTuple):
    x: float
    y: float


@dataclasses.dataclass
class Settings:
    rate: float = 2.0
    steps: int = 2
    mode: str = "sum"


@dataclasses.dataclass(frozen=True)
class Frozen:
    rate: float = 2.0


class Slotted:
    __slots__ = ("other", "weight")

    def __init__(self, weight):
        self.weight = weight


class Scaled:
    """A descriptor with a memory of its own."""

    def __init__(self, factor):
        self.factor = factor

    def __get__(self, instance, owner=None):
        return self if instance is None else self.factor * instance.weight


class Plain:
    pass


class Base:
    inherited = 2.0
    kind = "a"

    def compute(self, x):
        return x.sum() * self.inherited


class Derived(Base):
    own = 3.0


def fresh_class(**members):
    """A new class, so that a test may change it."""
    return type("Made", (Plain,), members)


def module_with(**values):
    made = types.ModuleType("made_for_a_test")
    vars(made).update(values)
    return made


def put(**values):
    return lambda: vars(outside).update(values)


def removed(name):
    return lambda: delattr(outside, name)
