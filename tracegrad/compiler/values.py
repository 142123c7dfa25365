"""What the words of native text are in machine code: values, variables, and the functions of one LLVM module.

In: Numba's contexts, the AST of a text, and what its names outside of functions mean. Out: functions as they are asked
for, each translated once for its types. Begin with `Module`.
"""

from __future__ import annotations

import ast
import functools
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.errors import NumbaError
from numba.np import npyimpl

from tracegrad.compiler.arrays import WORD, Array
from tracegrad.compiler.instructions import AS_WRITTEN

DEEP = 3  # loops inside of each other: a call costs little beside what they do
COPIES = 4  # of them that LLVM may write out at their calls, each for its sizes, which takes it a while


class Unknown(NumbaError):
    """Something in the text that is not translated here."""


class _Missing:
    """No value that is known before the program runs."""


MISSING = _Missing()


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """What an expression is.

    Attributes
    ----------
    type : Numba's type; None of an object that only the text knows (a module, a function, a dtype)
    code : what LLVM calls it
    constant : the object, where it is known before the program runs
    items : its parts, of a tuple that stands in the text
    owned : whether somebody has to give back its reference
    shape : the sizes of an array, where the text says them
    """

    type: Any
    code: Any = None
    constant: Any = MISSING
    items: tuple[Value, ...] | None = None
    owned: bool = False
    shape: tuple[int, ...] | None = None


@dataclass(slots=True)
class Variable:
    """Where the value of a name stands.

    Attributes
    ----------
    type : Numba's type
    place : pointer to the value; of an array that `is_settled`, and counted, to what its memory is counted by
    counted : whether it holds references
    is_settled : whether all reads see one binding: the value is what is bound, and stands nowhere
    stays : whether it is an array on the stack
    shape : its sizes, where the text says them
    order : the axes of an array on the stack, as they lie in memory
    code : the value of a name that is settled
    shared : whether other pieces of the function see it, where it stands
    parts : of an array that is shared, the parts of its description that stand there one after the other
    lent : whether it is bound to what others hold, too; then it holds nothing
    """

    type: Any
    place: Any
    counted: bool
    is_settled: bool = False
    stays: bool = False
    shape: tuple[int, ...] | None = None
    order: tuple[int, ...] | None = None
    code: Any = None
    shared: bool = False
    parts: tuple[tuple[int, ...], ...] = ()
    lent: bool = False


class Module:
    """One LLVM module with all functions of a text that call each other.

    Parameters
    ----------
    context, typing : Numba's contexts
    code : the LLVM module
    names : what the names outside of functions mean
    text : the functions of the text by name
    lying_apart : names of functions whose arguments lie apart in memory
    any_order : names of functions that add one more term to a sum
    sums : flags of the additions of `any_order`
    translate : what makes a function: module, AST, types, symbol, whether others may not see it -> what it is, and
        what it returns
    """

    def __init__(
        self,
        context: Any,
        typing: Any,
        code: Any,
        names: dict[str, Any],
        text: dict[str, ast.FunctionDef],
        lying_apart: frozenset[str],
        any_order: frozenset[str],
        sums: Sequence[str],
        translate: Callable[..., tuple[Any, Any]],
    ) -> None:
        self.context, self.typing, self.code = context, typing, code
        self.names, self.text = names, text
        self.lying_apart, self.any_order = lying_apart, any_order
        self.sums, self.translate = sums, translate
        self.made: dict[Any, tuple[Any, Any] | None] = {}
        self.calls: Counter[Any] = Counter()
        self.operations: dict[Any, tuple[Any, Any]] = {}

    def function(self, name: str, arguments: tuple[Any, ...], symbol: str | None = None) -> tuple[Any, Any]:
        """The function for these types, and what it returns; translated when it is first asked for."""
        key = name, arguments
        if key not in self.made:
            self.made[key] = None
            symbol_here = symbol or self.code.get_unique_name(f"{self.code.name}.{name}")
            try:
                self.made[key] = self.translate(self, self.text[name], arguments, symbol_here, symbol is None)
            except NumbaError:
                self.code.globals.pop(symbol_here)
                raise
        found = self.made[key]
        if found is None:
            raise Unknown(f"{name} is not known, or calls itself")
        self.calls[key] += 1
        if self.calls[key] > COPIES and _depth(self.text[name].body) >= DEEP:
            found[0].attributes.add("noinline")
        return found

    def operation(self, what: Any, given: tuple[Any, ...]) -> tuple[Any, Any]:
        """Numba's signature of an operation or a function for these types, and what writes it."""
        key = what, given
        try:
            return self.operations[key]
        except KeyError:
            pass
        except TypeError:
            raise Unknown(f"{what!r} cannot be looked up") from None
        try:
            kind = what if isinstance(what, types.Type) else self.typing.resolve_value_type(what)
            signature = self.typing.resolve_function_type(kind, given, {})
            if signature is None:
                raise Unknown(f"no {what!r} of {given}")
            found = signature, self._of_numbers(what, signature) or self.context.get_function(kind, signature)
        except (ValueError, NotImplementedError) as error:  # Numba says so in several ways
            raise Unknown(str(error)) from error
        self.operations[key] = found
        return found

    def _of_numbers(self, what: Any, signature: Any) -> Callable[..., Any] | None:
        """What writes a ufunc of numbers: the one round of what Numba writes as a loop. Many loops in one function take
        LLVM more than their share of time. Complex products and quotients Numba compiles from Python, for half a
        second; and its quotient raises where NumPy's is not finite."""
        kinds = (*signature.args, signature.return_type)
        if isinstance(signature.return_type, types.Complex):
            if what in (operator.mul, np.multiply):
                return functools.partial(_product, self.context, signature)
            what = np.divide if what is operator.truediv else what
        if not isinstance(what, np.ufunc) or len(signature.args) != what.nin or what.nout != 1:
            return None
        if not all(isinstance(t, types.Number | types.Boolean) for t in kinds):
            return None
        round_of = npyimpl._ufunc_db_function(what)
        return lambda builder, codes: round_of(self.context, builder, signature).generate(*codes)


class OnStack(Array):
    """An array that lives on the stack: its sizes are constants, and it has no description."""

    def __init__(self, context: Any, builder: Any, variable: Variable) -> None:
        assert variable.shape is not None
        self.context, self.builder, self.type = context, builder, variable.type
        self.known, self.place = variable.shape, variable.place
        self.order = variable.order or tuple(range(len(variable.shape)))

    def nearest(self) -> int | None:
        return self.order[-1]

    def offset(self, indices: Sequence[Any]) -> Any:
        """How many elements lie before the one at these indices."""
        builder, offset = self.builder, indices[self.order[0]]
        for axis in self.order[1:]:
            offset = builder.add(
                builder.mul(offset, self.size(axis), flags=("nsw",)), indices[axis], flags=("nsw",)
            )
        return offset

    def element(self, indices: Sequence[Any]) -> Any:
        return self.builder.gep(self.place, [WORD(0), self.offset(indices)], inbounds=True)


def _product(context: Any, signature: Any, builder: Any, codes: Sequence[Any]) -> Any:
    """A complex one; each product of two parts is rounded, as Python's and Numba's."""
    kind = signature.return_type
    given = [context.cast(builder, code, t, kind) for code, t in zip(codes, signature.args, strict=True)]
    x, y, out = (context.make_complex(builder, kind, code) for code in (*given, None))

    def times(a: Any, b: Any) -> Any:
        return builder.fmul(a, b, flags=AS_WRITTEN)

    out.real = builder.fsub(times(x.real, y.real), times(x.imag, y.imag), flags=AS_WRITTEN)
    out.imag = builder.fadd(times(x.real, y.imag), times(x.imag, y.real), flags=AS_WRITTEN)
    return out._getvalue()


def _depth(statements: Sequence[ast.stmt]) -> int:
    """How many loops stand inside of each other."""
    return max(
        (
            isinstance(s, ast.For | ast.While) + _depth([*getattr(s, "body", ()), *getattr(s, "orelse", ())])
            for s in statements
        ),
        default=0,
    )


def done(returned: Any) -> Any:
    """What a function says that ended well."""
    return ir.Constant(ir.IntType(32), -2 if returned == types.none else 0)


def tuple_of(items: Sequence[Value]) -> Value:
    kinds = [v.type for v in items]
    return Value(
        None if None in kinds else types.Tuple([types.unliteral(k) for k in kinds]), items=tuple(items)
    )


def holds_references(context: Any, type: Any) -> bool:
    found: bool = context.data_model_manager[type].contains_nrt_meminfo()
    return found


def is_contiguous(values: Sequence[Value]) -> bool:
    return len(values) == 1 and isinstance(values[0].type, types.Array) and values[0].type.layout == "C"


def constant_of(code: Any) -> Any:
    return code.constant if isinstance(code, ir.Constant) else MISSING
