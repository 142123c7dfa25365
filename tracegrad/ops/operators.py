"""A mixin that binds Python's operators to ops: what makes `x * y + x[0]` work on a `Tensor` and on a `Symbol`."""

from __future__ import annotations

from typing import Any

from tracegrad.ops import arithmetic as a
from tracegrad.ops import compare as c
from tracegrad.ops import index, linalg


class Operators:
    """`+ - * / // % ** @`, comparisons, negation, `abs` and reading items, for any value that carries a recorder."""

    __slots__ = ()
    __array_priority__ = 1000.0

    def __add__(self, other: Any) -> Any:
        return a.add(self, other)

    def __radd__(self, other: Any) -> Any:
        return a.add(other, self)

    def __sub__(self, other: Any) -> Any:
        return a.subtract(self, other)

    def __rsub__(self, other: Any) -> Any:
        return a.subtract(other, self)

    def __mul__(self, other: Any) -> Any:
        return a.multiply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return a.multiply(other, self)

    def __truediv__(self, other: Any) -> Any:
        return a.divide(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return a.divide(other, self)

    def __floordiv__(self, other: Any) -> Any:
        return a.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return a.floor_divide(other, self)

    def __mod__(self, other: Any) -> Any:
        return a.remainder(self, other)

    def __rmod__(self, other: Any) -> Any:
        return a.remainder(other, self)

    def __pow__(self, other: Any) -> Any:
        return a.power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return a.power(other, self)

    def __matmul__(self, other: Any) -> Any:
        return linalg.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return linalg.matmul(other, self)

    def __neg__(self) -> Any:
        return a.negative(self)

    def __pos__(self) -> Any:
        return a.positive_(self)

    def __abs__(self) -> Any:
        return c.absolute(self)

    def __invert__(self) -> Any:
        return c.invert(self)

    def __and__(self, other: Any) -> Any:
        return c.bitwise_and(self, other)

    def __rand__(self, other: Any) -> Any:
        return c.bitwise_and(other, self)

    def __or__(self, other: Any) -> Any:
        return c.bitwise_or(self, other)

    def __ror__(self, other: Any) -> Any:
        return c.bitwise_or(other, self)

    def __xor__(self, other: Any) -> Any:
        return c.bitwise_xor(self, other)

    def __rxor__(self, other: Any) -> Any:
        return c.bitwise_xor(other, self)

    def __lshift__(self, other: Any) -> Any:
        return c.left_shift(self, other)

    def __rlshift__(self, other: Any) -> Any:
        return c.left_shift(other, self)

    def __rshift__(self, other: Any) -> Any:
        return c.right_shift(self, other)

    def __rrshift__(self, other: Any) -> Any:
        return c.right_shift(other, self)

    def __lt__(self, other: Any) -> Any:
        return c.less(self, other)

    def __le__(self, other: Any) -> Any:
        return c.less_equal(self, other)

    def __gt__(self, other: Any) -> Any:
        return c.greater(self, other)

    def __ge__(self, other: Any) -> Any:
        return c.greater_equal(self, other)

    def __eq__(self, other: Any) -> Any:
        return c.equal(self, other)

    def __ne__(self, other: Any) -> Any:
        return c.not_equal(self, other)

    __hash__ = object.__hash__

    def __getitem__(self, key: Any) -> Any:
        return index.read(self, key)
