"""The vector functions of `kernels` as machine code for Numba.

Nothing goes in; after `register`, code that Numba compiles may call them as the Python functions they are. Begin with
`register`.

A vector function has no branch and no loop but over its coefficients, so running it once on `Operand`s writes all of
it, at the place of the call. LLVM then sees one loop without calls, computes several elements at once, and what two
functions have in common once: the sine and the cosine of a number share its reduction and both polynomials.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.kernels import instructions

AS_WRITTEN = ("",)
"""Flags of an operation that say nothing. Numba gives those of the caller (fused multiply-add) to operations without
any flag; here the functions themselves say what is fused, and count on the rounding of all else."""

LANES = {64: (2, 4, 8), 32: (4, 8, 16)}
"""Numbers in a vector register, by their width."""


def register() -> None:
    """Teach Numba the vector functions that are declared by now; each once in a process."""
    for function in instructions.VECTOR_FUNCTIONS:
        _register(function)


@functools.cache
def _register(function: Callable[..., Any]) -> None:
    """For float32 and float64; other numbers are cast to float64."""
    from numba import float32, float64
    from numba.core.typing.templates import signature
    from numba.extending import lower_builtin, type_callable

    arity = len(inspect.signature(function).parameters)

    @type_callable(function)
    def typed(context: Any) -> Any:
        def one(x: Any) -> Any:
            kind = float32 if x == float32 else float64
            return signature(kind, kind)

        def two(x: Any, y: Any) -> Any:
            kind = float32 if x == y == float32 else float64
            return signature(kind, kind, kind)

        return one if arity == 1 else two

    def written(context: Any, builder: Any, sig: Any, args: Sequence[Any]) -> Any:
        return Writer(builder, args[0].type).write(function, args)

    for kind in (float32, float64):
        lower_builtin(function, *[kind] * arity)(written)


class Operand:
    """A number, an integer or a condition in machine code; Python's operators on it are written down."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, writer: Writer, value: Any) -> None:
        self.writer = writer
        self.value = value

    def __add__(self, other: Any) -> Operand:
        return self.writer.binary("add", self, other)

    def __radd__(self, other: Any) -> Operand:
        return self.writer.binary("add", other, self)

    def __sub__(self, other: Any) -> Operand:
        return self.writer.binary("sub", self, other)

    def __rsub__(self, other: Any) -> Operand:
        return self.writer.binary("sub", other, self)

    def __mul__(self, other: Any) -> Operand:
        return self.writer.binary("mul", self, other)

    def __rmul__(self, other: Any) -> Operand:
        return self.writer.binary("mul", other, self)

    def __truediv__(self, other: Any) -> Operand:
        return self.writer.binary("div", self, other)

    def __rtruediv__(self, other: Any) -> Operand:
        return self.writer.binary("div", other, self)

    def __and__(self, other: Any) -> Operand:
        return self.writer.binary("and_", self, other)

    def __or__(self, other: Any) -> Operand:
        return self.writer.binary("or_", self, other)

    def __xor__(self, other: Any) -> Operand:
        return self.writer.binary("xor", self, other)

    def __lshift__(self, places: Any) -> Operand:
        return self.writer.binary("shl", self, places)

    def __neg__(self) -> Operand:
        return Operand(self.writer, self.writer.builder.fneg(self.value))

    def __abs__(self) -> Operand:
        return self.writer.call("llvm.fabs", self)

    def __lt__(self, other: Any) -> Operand:
        return self.writer.compare("<", self, other)

    def __gt__(self, other: Any) -> Operand:
        return self.writer.compare(">", self, other)

    def __eq__(self, other: Any) -> Operand:  # type: ignore[override]
        return self.writer.compare("==", self, other)

    def __ne__(self, other: Any) -> Operand:  # type: ignore[override]
        return self.writer.compare("!=", self, other)


class Writer:
    """Writes the instructions of `kernels.instructions` where a builder stands."""

    def __init__(self, builder: Any, kind: Any) -> None:
        from llvmlite import ir

        self.builder = builder
        self.constant = ir.Constant
        self.width = 32 if isinstance(kind, ir.FloatType) else 64
        self.word, self.float = ir.IntType(self.width), kind
        _allow(
            builder.function, '"prefer-vector-width"="512"'
        )  # twice the elements, where there are such registers

    def write(self, function: Callable[..., Any], args: Sequence[Any]) -> Any:
        """What a vector function makes of these values."""
        return function(*(Operand(self, x) for x in args)).value

    def value(self, operand: Any, kind: Any = None) -> Any:
        """An operand, or a constant of this kind."""
        return operand.value if isinstance(operand, Operand) else self.constant(kind or self.float, operand)

    def _values(self, *operands: Any) -> list[Any]:
        kind = next((x.value.type for x in operands if isinstance(x, Operand)), None)
        return [self.value(x, kind) for x in operands]

    def binary(self, name: str, x: Any, y: Any) -> Operand:
        x, y = self._values(x, y)
        if x.type == self.float:
            return Operand(self, getattr(self.builder, f"f{name}")(x, y, flags=AS_WRITTEN))
        return Operand(self, getattr(self.builder, name)(x, y))

    def compare(self, symbol: str, x: Any, y: Any) -> Operand:
        x, y = self._values(x, y)
        if x.type == self.word:
            return Operand(self, self.builder.icmp_signed(symbol, x, y))
        if symbol == "!=":
            return Operand(self, self.builder.fcmp_unordered(symbol, x, y))
        return Operand(self, self.builder.fcmp_ordered(symbol, x, y))

    def call(self, name: str, *operands: Any, flags: Sequence[str] = ()) -> Operand:
        """One of LLVM's own functions, from numbers to a number."""
        from llvmlite import ir

        kinds = ir.FunctionType(self.float, [self.float] * len(operands))
        function = self.builder.module.declare_intrinsic(name, [self.float], kinds)
        given = [self.value(x) for x in operands]
        return Operand(self, self.builder.call(function, given, fastmath=flags))

    def extreme(self, name: str, x: Any, y: Any) -> Operand:
        """Without asking for the signs of zeros, which takes three more instructions."""
        return self.call(name, x, y, flags=("nsz",))

    def fused(self, x: Any, y: Any, z: Any) -> Operand:
        return self.call("llvm.fma", x, y, z)

    def with_sign(self, x: Any, y: Any) -> Operand:
        return self.call("llvm.copysign", x, y)

    def root(self, x: Any) -> Operand:
        return self.call("llvm.sqrt", x)

    def floor(self, x: Any) -> Operand:
        return self.call("llvm.floor", x)

    def bits(self, x: Any) -> Operand:
        return Operand(self, self.builder.bitcast(x.value, self.word))

    def number(self, word: Any) -> Operand:
        return Operand(self, self.builder.bitcast(word.value, self.float))

    def shifted_down(self, word: Any, places: Any) -> Operand:
        return Operand(self, self.builder.lshr(word.value, self.value(places, self.word)))

    def product_of_words(self, x: Any, y: Any) -> tuple[Operand, Operand]:
        from llvmlite import ir

        wide = ir.IntType(128)
        product = self.builder.mul(*(self.builder.zext(v.value, wide) for v in (x, y)))
        words = (product, self.builder.lshr(product, self.constant(wide, 64)))
        low, high = (self.builder.trunc(v, self.word) for v in words)
        return Operand(self, low), Operand(self, high)

    def entry(self, words: Sequence[int], place: Any) -> Operand:
        return Operand(
            self, self.builder.load(self.builder.gep(_table(self.builder.module, words), [place.value]))
        )

    def choose(self, condition: Any, x: Any, y: Any) -> Operand:
        return Operand(self, self.builder.select(condition.value, *self._values(x, y)))

    def unless_far(self, x: Any, limit: float, found: Any, function: Callable[..., Any]) -> Operand:
        called = far(self.builder.module, function, limit, self.float)
        return Operand(self, self.builder.call(called, [x.value, found.value]))


# --- rare arguments ---------------------------------------------------------------------------------------------------


def far(module: Any, function: Callable[..., Any], limit: float, number: Any, lanes: int = 1) -> Any:
    """A function (x, found): `found`, or what `function` says of an `x` whose size is above the limit, in float64.

    For several `lanes` that is one of its forms: it has one for each length of register, which LLVM's vectoriser
    calls instead (attribute `vector-function-abi-variant`): that looks at all its elements at once, and nearly
    always returns.
    """
    from llvmlite import ir

    symbol = f"tracegrad_{function.__name__}_{32 if isinstance(number, ir.FloatType) else 64}"
    if symbol not in module.globals:
        _write_far(module, symbol, function, limit, number)
    return module.globals[f"{symbol}_{lanes}" if lanes > 1 else symbol]


def _write_far(module: Any, symbol: str, function: Callable[..., Any], limit: float, number: Any) -> None:
    from llvmlite import ir

    double, pointer = ir.DoubleType(), ir.IntType(8).as_pointer()
    width = 64 if number == double else 32
    forms = {lanes: f"{symbol}_{lanes}" for lanes in LANES[width]}
    alone = _rare(module, symbol, number)
    names = ",".join(f"_ZGV_LLVM_N{lanes}vv_{symbol}({form})" for lanes, form in forms.items())
    _allow(alone, f'"vector-function-abi-variant"="{names}"')
    builder = _where_far(alone, limit)
    x = alone.args[0]
    found = Writer(builder, double).write(function, [x if width == 64 else builder.fpext(x, double)])
    builder.ret(found if width == 64 else builder.fptrunc(found, number))
    kept = []
    for lanes, form in forms.items():
        several = _rare(module, form, ir.VectorType(number, lanes))
        builder = _where_far(several, limit)
        found = several.args[1]
        for k in range(lanes):
            place = ir.Constant(ir.IntType(32), k)
            element = builder.call(alone, [builder.extract_element(x, place) for x in several.args])
            found = builder.insert_element(found, element, place)
        builder.ret(found)
        kept.append(several.bitcast(pointer))
    _keep(module, kept)


def _keep(module: Any, functions: Sequence[Any]) -> None:
    """Functions that nobody calls yet stay until the vectoriser has run."""
    from llvmlite import ir

    name = "llvm.compiler.used"
    used = module.globals.get(name)
    if used is None:
        used = ir.GlobalVariable(module, ir.ArrayType(functions[0].type, 0), name)
        used.linkage, used.section = "appending", "llvm.metadata"
        used.initializer = ir.Constant(used.value_type, [])
    kept = [*used.initializer.constant, *functions]
    used.value_type = ir.ArrayType(functions[0].type, len(kept))
    used.initializer = ir.Constant(used.value_type, kept)


def _table(module: Any, words: Sequence[int]) -> Any:
    """Words as constants of the module; a pointer to the first."""
    from llvmlite import ir

    kind = ir.ArrayType(ir.IntType(64), len(words))
    table = ir.GlobalVariable(module, kind, module.get_unique_name("tracegrad_words"))
    table.linkage, table.global_constant, table.initializer = "private", True, ir.Constant(kind, list(words))
    return table.bitcast(ir.IntType(64).as_pointer())


def _rare(module: Any, symbol: str, kind: Any) -> Any:
    from llvmlite import ir

    function = ir.Function(module, ir.FunctionType(kind, [kind, kind]), symbol)
    function.linkage = "linkonce_odr"
    for attribute in ("noinline", "nounwind", "readnone", "willreturn", "speculatable"):
        _allow(function, attribute)
    return function


def _where_far(function: Any, limit: float) -> Any:
    """The second argument is returned unless an element of the first is far and finite; a builder for what is done
    then."""
    from llvmlite import ir

    start, far, done = (function.append_basic_block(name) for name in ("start", "far", "done"))
    builder = ir.IRBuilder(start)
    x, found = function.args
    lanes = getattr(x.type, "count", None)
    single = isinstance(x.type.element if lanes else x.type, ir.FloatType)
    width, words = (32, np.float32) if single else (64, float)
    kind = ir.VectorType(ir.IntType(width), lanes) if lanes else ir.IntType(width)

    def each(value: int) -> Any:
        return ir.Constant(kind, [value] * lanes if lanes else value)

    size = builder.and_(builder.bitcast(x, kind), each((1 << (width - 1)) - 1))
    above, infinity = (instructions.bits(words(v)) for v in (limit, math.inf))
    beyond = builder.icmp_unsigned("<", builder.sub(size, each(above + 1)), each(infinity - above - 1))
    if lanes:
        mask = ir.IntType(lanes)
        beyond = builder.icmp_unsigned("!=", builder.bitcast(beyond, mask), mask(0))
    builder.cbranch(beyond, far, done)
    ir.IRBuilder(done).ret(found)
    return ir.IRBuilder(far)


def _allow(function: Any, attribute: str) -> None:
    """An attribute of a function, also one that llvmlite has no name for."""
    set.add(function.attributes, attribute)
