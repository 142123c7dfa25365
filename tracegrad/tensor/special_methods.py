"""Operators and questions in a marked clone: `a + b`, `a < b`, `not a`, `for x in a`.

On traced values and plain numbers they are Python's own. A container from outside is read to its last item
when it is used in one piece; a special method that the user's class defines in Python runs as a marked
clone. Begin with `Operators.binary`.
"""

from __future__ import annotations

import decimal
import functools
import operator
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tracegrad.ops import arithmetic as a
from tracegrad.ops import compare as c
from tracegrad.ops import linalg
from tracegrad.tensor.callables import is_of_package, may_clone
from tracegrad.tensor.outside import CONTAINERS
from tracegrad.tensor.reads import MISSING
from tracegrad.tensor.showing import plain
from tracegrad.tensor.standins import is_traced
from tracegrad.tensor.traced import LoopItem, TracedArray

UPDATES: dict[str, tuple[Any, Callable[[Any, Any], Any]]] = {
    "Add": (a.add, operator.iadd),
    "Sub": (a.subtract, operator.isub),
    "Mult": (a.multiply, operator.imul),
    "Div": (a.divide, operator.itruediv),
    "FloorDiv": (a.floor_divide, operator.ifloordiv),
    "Mod": (a.remainder, operator.imod),
    "Pow": (a.power, operator.ipow),
    "MatMult": (linalg.matmul, operator.imatmul),
    "BitAnd": (c.bitwise_and, operator.iand),
    "BitOr": (c.bitwise_or, operator.ior),
    "BitXor": (c.bitwise_xor, operator.ixor),
    "LShift": (c.left_shift, operator.ilshift),
    "RShift": (c.right_shift, operator.irshift),
}
BINARY: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "Add": (operator.add, "add"),
    "Sub": (operator.sub, "sub"),
    "Mult": (operator.mul, "mul"),
    "Div": (operator.truediv, "truediv"),
    "FloorDiv": (operator.floordiv, "floordiv"),
    "Mod": (operator.mod, "mod"),
    "Pow": (operator.pow, "pow"),
    "MatMult": (operator.matmul, "matmul"),
    "BitAnd": (operator.and_, "and"),
    "BitOr": (operator.or_, "or"),
    "BitXor": (operator.xor, "xor"),
    "LShift": (operator.lshift, "lshift"),
    "RShift": (operator.rshift, "rshift"),
}
UNARY: dict[str, tuple[Callable[[Any], Any], str]] = {
    "USub": (operator.neg, "__neg__"),
    "UAdd": (operator.pos, "__pos__"),
    "Invert": (operator.invert, "__invert__"),
}
COMPARE: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "Lt": (operator.lt, "__lt__"),
    "LtE": (operator.le, "__le__"),
    "Gt": (operator.gt, "__gt__"),
    "GtE": (operator.ge, "__ge__"),
    "Eq": (operator.eq, "__eq__"),
    "NotEq": (operator.ne, "__ne__"),
    "Is": (operator.is_, "is"),
    "IsNot": (operator.is_not, "is not"),
    "In": (lambda item, items: item in items, "in"),
    "NotIn": (lambda item, items: item not in items, "not in"),
}
# Types with nothing inside that could change, and no special methods of the user's.
WITHOUT_PARTS = {
    TracedArray, LoopItem, float, int, bool, str, bytes, complex, type(None), np.ndarray, np.float64, np.float32,
    np.int64, np.bool_, slice, range,
}  # fmt: skip

_SPECIAL = {
    len: "__len__",
    iter: "__iter__",
    abs: "__abs__",
    float: "__float__",
    int: "__int__",
    bool: "__bool__",
    repr: "__repr__",
    str: "__str__",
    hash: "__hash__",
}
_STORES = {setattr, operator.setitem}
BY_NAME = {getattr, hasattr, vars, *_SPECIAL, *_STORES}
_OF_CLASSES = {"__class__", "__dict__", "__name__", "__qualname__", "__mro__", "__bases__"}


def _never_equal(left: Any, right: Any) -> bool:
    """A number and a text."""
    return isinstance(right, (str, bytes)) and is_traced(left) and not left.shape


def _is_by_identity(value: Any) -> bool:
    """Whether `==` of this object asks for identity."""
    equal: Any = type(value).__eq__
    return equal is object.__eq__


class Operators:
    """The part of `Marks` that stands for syntax."""

    recording: Any
    reads: Any
    session: Any
    call: Callable[..., Any]
    attr: Callable[[Any, str], Any]
    item: Callable[[Any, Any], Any]
    adopted: Callable[[Any], Any]
    set_attr: Callable[[Any, str, Any], None]
    set_item: Callable[[Any, Any, Any], None]
    of_scipy: Callable[[Any, str], Callable[..., Any] | None]

    def iterate(self, value: Any) -> Any:
        """What a `for` runs over."""
        own = self.own_method(value, "__iter__")
        made = self.whole(self.session.iterators.used(value)) if own is None else own(value)
        if self.own_member(type(made), "__next__") is not None:
            self.recording.not_repeatable(f"runs over a {type(made).__name__}, whose reads are not seen")
        return made

    def generator(self, made: Any) -> Any:
        """A generator expression."""
        return self.session.iterators.made(made)

    def whole(self, value: Any) -> Any:
        """A value used in one piece: a container from outside is read to its last item."""
        if type(value) in WITHOUT_PARTS:
            return value
        return self.reads.contents(value, "parts" if isinstance(value, CONTAINERS) else "whole")

    def shown(self, value: Any) -> Any:
        """A value that is only shown."""
        return plain(value)

    def text_of(self, value: Any) -> Any:
        """A value that becomes part of a text: of a traced number a guard."""
        if type(value) is tuple:
            return tuple(map(self.text_of, value))
        if type(value) is dict:
            return {k: self.text_of(v) for k, v in value.items()}
        return self.recording.text(value) if is_traced(value) else value

    def own_member(self, kind: type, name: str) -> Any:
        """A function that the user's class defines in Python, or None; a guard that it stays so."""
        if kind in WITHOUT_PARTS:
            return None
        found = getattr(kind, name, MISSING)
        self.reads.member(kind, name, found)
        own = type(found) is types.FunctionType and may_clone(found) and not is_of_package(found)
        return found if own else None

    def own_method(self, value: Any, name: str) -> Callable[..., Any] | None:
        """A special method that the user's class defines in Python, as its marked clone; None for anything
        else.
        """
        found = self.own_member(type(value), name)
        return None if found is None else functools.partial(self.call, found)

    def members_of_making(self, cls: type) -> None:
        """Guard what runs when an instance of a user's class is made."""
        for name in ("__init__", "__new__", "__post_init__"):
            self.own_member(cls, name)

    def own_attribute(self, value: Any, name: str) -> Any:
        """An attribute that the object's class computes or holds for it: a property, a method; `MISSING` for any other.

        What belongs to an object from outside is read by its path; this is for what no path shows.
        """
        if type(value) is super:
            return self._above(value, name)
        if name in _OF_CLASSES:
            return MISSING  # asked of the class, it is the class's own
        kind = type(value)
        found = getattr(kind, name, MISSING)
        from_outside = self.reads.path_of(value) is not None
        if type(found) is property and type(found.fget) is types.FunctionType and may_clone(found.fget):
            self.reads.member(kind, name, found)
            if not from_outside or not is_of_package(found.fget):
                return self.call(found.fget, value)
        if found is MISSING or not isinstance(kind, type) or from_outside:
            return MISSING
        if name in getattr(value, "__dict__", ()) or isinstance(value, (type, types.ModuleType)):
            return MISSING
        # An object made inside: what it finds in its class is from outside.
        if isinstance(found, (types.FunctionType, types.MethodType)):
            self.reads.member(kind, name, found)
        elif not hasattr(type(found), "__get__"):
            self.reads.track(kind, kind, ())
            return self.reads.read(found, kind, (("attr", name),), kind)
        return MISSING

    def _above(self, value: Any, name: str) -> Any:
        """`super().name`: found in a class above."""
        order = value.__self_class__.__mro__
        above = order[order.index(value.__thisclass__) + 1 :]
        cls = next((c for c in above if name in vars(c)), None)
        if cls is None or not cls.__flags__ & (1 << 9):
            return MISSING
        found = vars(cls)[name]
        if type(found) is property and type(found.fget) is types.FunctionType:
            self.reads.member(cls, name, found)
            return self.call(found.fget, value.__self__)
        if hasattr(type(found), "__get__"):
            self.reads.member(cls, name, getattr(cls, name))
            return MISSING
        return self.reads.read(found, cls, (("attr", name),), cls)

    def binary(self, operator_name: str, left: Any, right: Any) -> Any:
        """`left + right` and its kind."""
        compute, name = BINARY[operator_name]
        if type(left) is str and operator_name == "Mod":
            return left % self.text_of(self.whole(right))
        if type(left) not in WITHOUT_PARTS or type(right) not in WITHOUT_PARTS:
            own = self.own_method(left, f"__{name}__")
            if own is not None:
                result = own(left, right)
                if result is not NotImplemented:
                    return result
            own = (
                None if own is None and type(left) is type(right) else self.own_method(right, f"__r{name}__")
            )
            if own is not None and not (is_traced(left) and left.shape):
                result = own(right, left)
                if result is not NotImplemented:
                    return result
            ours = self.of_scipy(left, f"__{name}__") if is_traced(right) else None
            if ours is not None:
                return ours(right)
            ours = self.of_scipy(right, f"__r{name}__") if is_traced(left) else None
            if ours is not None:
                return ours(left)
            left, right = self.adopted(self.whole(left)), self.adopted(self.whole(right))
            if isinstance(left, decimal.Decimal) or isinstance(right, decimal.Decimal):
                self.recording.not_repeatable("computes with decimal numbers, to a precision set outside")
        return compute(left, right)

    def unary(self, operator_name: str, value: Any) -> Any:
        """`-value` and its kind."""
        compute, name = UNARY[operator_name]
        own = self.own_method(value, name)
        return compute(self.whole(value)) if own is None else own(value)

    def compare(self, operator_name: str, left: Any, right: Any) -> Any:
        """`left < right` and its kind."""
        compute, name = COMPARE[operator_name]
        if name in ("__eq__", "__ne__") and (_never_equal(left, right) or _never_equal(right, left)):
            return name == "__ne__"
        if type(left) in WITHOUT_PARTS and type(right) in WITHOUT_PARTS and not name.startswith("is"):
            return compute(left, right)
        if name.startswith("is"):
            if is_traced(left) and isinstance(right, bool) and left.weak and left.dtype.kind == "b":
                return compute(self.recording.truth(left), right)
            self.reads.pin(left)
            self.reads.pin(right)
            if is_traced(left) and is_traced(right) and left is not right:
                self.recording.not_repeatable("asks whether two arrays are one object")
                return compute(left.value, right.value)
            return compute(left, right)
        if name in ("in", "not in"):
            own = self.own_method(right, "__contains__")
            if own is not None:
                return bool(own(right, left)) is (name == "in")
            if type(left) is str and type(right) is dict and self.reads.path_of(right) is not None:
                return self._has_item(right, left) is (name == "in")
            left = self.reads.contents(left, "same")
            return compute(left, self.reads.contents(self.iterate(right), "same"))
        own = self.own_method(left, name)
        if own is not None:
            result = own(left, right)
            if result is not NotImplemented:
                return result
        if name in ("__eq__", "__ne__") and _is_by_identity(left) and _is_by_identity(right):
            self.reads.pin(left)
            self.reads.pin(right)
            return compute(left, right)
        return compute(self.adopted(self.whole(left)), self.adopted(self.whole(right)))

    def _has_item(self, table: dict[str, Any], key: str) -> bool:
        """Whether a dict from outside has this name: a guard on what stands under it, not on all other names."""
        if key in table:
            self.item(table, key)
            return True
        root, path = self.reads.path_of(table)
        self.reads.absent(root, (*path, ("item", key)))
        return False

    def got(self, table: Any, args: tuple[Any, ...]) -> Any:
        """`table.get(name)` of a dict from outside, as `_has_item` has it; `MISSING` for anything else."""
        if (
            type(table) is not dict
            or not args
            or type(args[0]) is not str
            or self.reads.path_of(table) is None
        ):
            return MISSING
        if self._has_item(table, args[0]):
            return self.item(table, args[0])
        return table.get(*args)

    def asked(self, value: Any) -> Any:
        """A value that is asked whether it is true."""
        kind = type(value)
        if kind in WITHOUT_PARTS:
            return value
        own = self.own_method(value, "__bool__")
        if own is not None:
            return own(value)
        own = self.own_method(value, "__len__")
        if own is not None:
            return own(value)
        return self.whole(value) if hasattr(kind, "__bool__") or hasattr(kind, "__len__") else True

    def asked_by_name(self, function: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
        """`getattr`, `hasattr`, `vars`, `len`, `iter`, ... as the syntax they stand for; `MISSING`: call it
        as it is.
        """
        if not args or keywords:
            return MISSING
        value = args[0]
        if function is getattr and len(args) in (2, 3):
            if len(args) == 2 or self._has(value, args[1]):
                return self.attr(value, args[1])
            return args[2]
        if function is hasattr and len(args) == 2:
            return self._has(value, args[1])
        if function is vars and len(args) == 1:
            return self.attr(value, "__dict__")
        if function is len and len(args) == 1 and type(value) in CONTAINERS:
            return self.reads.length(value)
        if function in _SPECIAL and len(args) == 1:
            own = self.own_method(value, _SPECIAL[function])
            if own is not None:
                return own(value)
        if function in _STORES and len(args) == 3:
            self.set_item(*args) if function is operator.setitem else self.set_attr(*args)
            return None
        return MISSING

    def _has(self, value: Any, name: str) -> bool:
        """Whether there is an attribute; of an object from outside a guard."""
        if hasattr(value, name):
            self.attr(value, name)
            return True
        origin = self.reads.path_of(value)
        if origin is None and isinstance(value, types.ModuleType):
            origin = (value, ())
        if origin is not None:
            self.reads.read(MISSING, origin[0], (*origin[1], ("attr", name)))
        return False
