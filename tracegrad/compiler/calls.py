"""Arrays and calls of native text as LLVM instructions: elements, new arrays, products, other functions.

An expression goes in (its AST), a `Value` comes out. What NumPy's functions are is asked of Numba; the few that most
programs are made of are written here. Begin with `Calls._of_call`.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import callconv, cgutils, types
from numba.core.errors import NumbaError
from numba.np.numpy_support import from_dtype

from tracegrad.compiler import arrays, blas, outside
from tracegrad.compiler.arrays import BYTE, WORD, Array
from tracegrad.compiler.numbers import Numbers
from tracegrad.compiler.outlook import dtype_of, filled, integer, is_natural, made_shape
from tracegrad.compiler.threads import share_out
from tracegrad.compiler.values import (
    MISSING,
    OnStack,
    Unknown,
    Value,
    constant_of,
    done,
    is_contiguous,
    tuple_of,
)
from tracegrad.kernels.numpy_fourier import TRANSFORMS
from tracegrad.kernels.products import add_product, put_product


class Calls(Numbers):
    """One function on its way, as far as expressions go."""

    def _of_attribute(self, node: ast.Attribute) -> Value:
        base = self.value(node.value)
        if base.type is None:
            if not isinstance(base.constant, ModuleType):
                raise Unknown(ast.unparse(node))
            return self._known(getattr(base.constant, node.attr))
        if isinstance(base.type, types.Array):
            array = self._array(base)
            if node.attr == "size":
                count = WORD(1)
                for size in array.sizes():
                    count = self.builder.mul(count, size)
                return Value(types.int64, count)
            if node.attr == "shape":
                sizes = tuple(Value(types.int64, n, constant_of(n)) for n in array.sizes())
                return Value(types.UniTuple(types.int64, len(sizes)), items=sizes)
            if node.attr == "T":
                return Value(arrays.turned_type(base.type), array.turned())
            if node.attr == "dtype":
                return Value(types.DType(base.type.dtype), self.context.get_dummy_value())
        if isinstance(base.type, types.Complex) and node.attr in ("real", "imag"):
            parts = self.context.make_complex(self.builder, base.type, value=base.code)
            return Value(base.type.underlying_float, getattr(parts, node.attr))
        raise Unknown(ast.unparse(node))

    def _of_binop(self, node: ast.BinOp) -> Value:
        x, y = self.value(node.left), self.value(node.right)
        if isinstance(node.op, ast.MatMult):
            product = self._product(x, y, None)
            if product is None:
                raise Unknown(ast.unparse(node))
            return product
        return self.binary(node.op, x, y)

    def _array(self, value: Value) -> Array:
        """An array value, to look into."""
        return Array(self.context, self.builder, value.type, value.code, value.shape)

    def _base(self, node: ast.expr) -> Array | OnStack:
        if isinstance(node, ast.Name) and (variable := self.variables.get(node.id)) is not None:
            if variable.stays:
                return OnStack(self.context, self.builder, variable)
            if isinstance(variable.type, types.Array):
                code = variable.place if variable.code is None else variable.code
                return Array(self.context, self.builder, variable.type, code, variable.shape)
        value = self.value(node)
        if not isinstance(value.type, types.Array):
            raise Unknown(ast.unparse(node))
        return self._array(value)

    def _element(self, node: ast.Subscript, array: Any = None) -> tuple[Any, list[Any]]:
        """An array and integers that pick an element or a part of it; `array`, if it was computed already."""
        array = self._base(node.value) if array is None else array
        nodes = _indices(node)
        if len(nodes) > array.type.ndim or array.type.ndim == 0:
            raise Unknown(ast.unparse(node))
        indices = []
        for axis, item in enumerate(nodes):
            index = self.value(item)
            code = self._integer(index)
            if not is_natural(item, self.outlook.natural):
                code = array.from_end(axis, code)
            indices.append(code)
        return array, indices

    def _of_subscript(self, node: ast.Subscript) -> Value:
        array = None
        if not isinstance(node.value, ast.Name) or node.value.id not in self.variables:
            base = self.value(node.value)
            if base.items is not None or isinstance(base.type, types.BaseTuple):
                return self._item(base, node)
            if isinstance(base.type, types.Array):
                array = self._array(base)  # computed once: a call in it may write
        elif isinstance(self.variables[node.value.id].type, types.BaseTuple):
            return self._item(self.value(node.value), node)
        if any(isinstance(item, ast.Slice) for item in _indices(node)):
            return self._view(node, array)
        array, indices = self._element(node, array)
        if len(indices) == array.type.ndim:
            return Value(array.type.dtype, array.load(indices))
        return Value(arrays.part_type(array.type, len(indices)), array.part(indices))

    def _view(self, node: ast.Subscript, array: Any) -> Value:
        """A part of an array by slices with numbers in them, or some of its rows."""
        array = self._base(node.value) if array is None else array
        nodes = _indices(node)
        rows = nodes[0] if len(nodes) == 1 and array.type.layout == "C" else None
        if isinstance(rows, ast.Slice) and rows.step is None and not isinstance(array, OnStack):
            return self._rows(array, rows)
        if len(nodes) > array.type.ndim or isinstance(array, OnStack):
            raise Unknown(ast.unparse(node))
        starts, sizes, strides = [], array.sizes()[len(nodes) :], array.strides()[len(nodes) :]
        kept = 0
        for axis, item in enumerate(nodes):
            size, stride = array.sizes()[axis], array.strides()[axis]
            if not isinstance(item, ast.Slice):
                code = self._integer(self.value(item))
                natural = is_natural(item, self.outlook.natural)
                starts.append(code if natural else array.from_end(axis, code))
                continue
            start, count, step = arrays.cut(self.builder, size, _numbers(item))
            starts.append(start)
            sizes.insert(kept, count)
            strides.insert(kept, self.builder.mul(stride, WORD(step)))
            kept += 1
        return Value(types.Array(array.type.dtype, len(sizes), "A"), array.seen(starts, sizes, strides))

    def _rows(self, array: Any, rows: ast.Slice) -> Value:
        """`x[start:stop]`, which is contiguous as the whole is."""
        builder, size = self.builder, array.sizes()[0]
        ends = []
        for place, left_out in ((rows.lower, WORD(0)), (rows.upper, size)):
            end = left_out
            if place is not None:
                end = self._integer(self.value(place))
                if not is_natural(place, self.outlook.natural):
                    from_end = array.from_end(0, end)
                    below = builder.icmp_signed("<", from_end, WORD(0))
                    end = builder.select(below, WORD(0), from_end)
                end = builder.select(builder.icmp_signed(">", end, size), size, end)
            ends.append(end)
        count = builder.sub(ends[1], ends[0])
        count = builder.select(builder.icmp_signed("<", count, WORD(0)), WORD(0), count)
        sizes = [count, *array.sizes()[1:]]
        return Value(array.type, array.seen([ends[0]], sizes, array.strides(), array.type))

    def _item(self, base: Value, node: ast.Subscript) -> Value:
        """One of a tuple."""
        if isinstance(node.slice, ast.Slice):
            return tuple_of(self._parts(base, self._length(base).constant)[_numbers(node.slice)])
        number = integer(node.slice)
        count = len(base.items) if base.items is not None else len(base.type)
        if number is None:
            return self._one_of(self._parts(base, count), node)
        if not -count <= number < count:
            raise Unknown(ast.unparse(node))
        return self._parts(base, count)[number]

    def _one_of(self, items: Sequence[Value], node: ast.Subscript) -> Value:
        """One of several whole numbers; which one is known when the program runs."""
        index = self._integer(self.value(node.slice))
        codes = [self._integer(item) for item in items]
        from_end = self.builder.add(index, WORD(len(codes)))
        index = self.builder.select(self.builder.icmp_signed("<", index, WORD(0)), from_end, index)
        place = cgutils.alloca_once(self.builder, ir.ArrayType(WORD, len(codes)))
        for k, code in enumerate(codes):
            self.builder.store(code, cgutils.gep_inbounds(self.builder, place, 0, k))
        return Value(types.int64, self.builder.load(cgutils.gep_inbounds(self.builder, place, 0, index)))

    def _sizes(self, value: Value) -> list[Any]:
        """Sizes from a number or a tuple."""
        if value.items is None and not isinstance(value.type, types.BaseTuple):
            return [self._integer(value)]
        count = len(value.items) if value.items is not None else len(value.type)
        return [self._integer(v) for v in self._parts(value, count)]

    def _make(self, node: ast.Call) -> Value:
        """A new array."""
        shape = made_shape(node)
        sizes = self._sizes(self.value(node.args[0]))
        dtype, value = self._filling(node)
        kind = types.Array(dtype, len(sizes), "C")
        made = Value(kind, self._fresh(kind, sizes), shape=shape)
        if filled(node):
            array = self._array(made)
            arrays.fill(self.context, self.builder, dtype, array.data, array.count(), value)
        return self._owning(made)

    def _written_out(self, node: ast.expr, named: ast.expr | None = None) -> Value:
        """`np.array([[x, y], [z, w]], np.float32)`: an array of numbers that the text has one by one."""
        shape, items = [], [node]
        while isinstance(items[0], ast.List):
            lists = [i.elts for i in items if isinstance(i, ast.List)]
            if len(lists) != len(items) or len(set(map(len, lists))) != 1:
                raise Unknown(ast.unparse(node))
            shape.append(len(lists[0]))
            items = [i for one in lists for i in one]
            if not items:
                raise Unknown(ast.unparse(node))
        values = [self.value(i) for i in items]
        if named is None:
            kinds = {types.unliteral(v.type) if v.type is not None else None for v in values}
            dtype = kinds.pop()
            if kinds or not isinstance(dtype, types.Number | types.Boolean):
                raise Unknown(ast.unparse(node))
        else:
            dtype = self._dtype(named)
        if not shape:
            raise Unknown(ast.unparse(node))
        kind = types.Array(dtype, len(shape), "C")
        made = Value(kind, self._fresh(kind, [WORD(n) for n in shape]), shape=tuple(shape))
        data = self._array(made).data
        for k, value in enumerate(values):
            place = self.builder.gep(data, [WORD(k)], inbounds=True)
            self.context.pack_value(self.builder, dtype, self._cast(value, dtype), place)
        return self._owning(made)

    def _of_call(self, node: ast.Call) -> Value:
        if node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise Unknown(ast.unparse(node))
        if isinstance(node.func, ast.Attribute):
            called = self._method(node)
            if called is not None:
                return called
        function = self.value(node.func).constant
        if function is MISSING:
            raise Unknown(ast.unparse(node))
        if function in (np.empty, np.zeros, np.full):
            return self._make(node)
        if function is np.array and len(node.args) in (1, 2):
            return self._written_out(*node.args)
        if isinstance(node.func, ast.Name) and node.func.id in (put_product.__name__, add_product.__name__):
            left, right = map(self._matrix, node.args[:2])
            result = self._matrix(node.args[2], written=True)
            blas.matrices(
                self.context, self.builder, left, right, result, node.func.id == add_product.__name__
            )
            return Value(None)
        given = [self.value(a) for a in node.args]
        if function is np.ascontiguousarray and len(given) == 1 and isinstance(given[0].type, types.Array):
            return given[0] if is_contiguous(given) else self._copied(given[0])
        if function in (min, max) and len(given) == 2 and all(v.type == types.int64 for v in given):
            x, y = given
            first = self.builder.icmp_signed("<" if function is min else ">", y.code, x.code)
            return Value(types.int64, self.builder.select(first, y.code, x.code))
        if function is np.dot and len(given) in (2, 3):
            product = self._product(given[0], given[1], given[2] if len(given) == 3 else None)
            if product is None and len(given) == 3:
                product = self._product_of_part(node.args, given)
            if product is not None:
                return product
        if function is np.empty_like and is_contiguous(given):
            sizes = self._array(given[0]).sizes()
            return self._owning(Value(given[0].type, self._fresh(given[0].type, sizes)))
        if function is np.concatenate and len(given) == 1 and given[0].items is not None:
            joined = self._joined(given[0].items)
            if joined is not None:
                return joined
        if function is len and len(given) == 1:
            return self._length(given[0])
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name == "in_threads":
            return self._in_threads(*node.args)
        if name == "called_out":
            return self._called_out(*node.args)
        if name in TRANSFORMS:
            return self.transformed(name, *given)
        if name in self.module.any_order:
            x, y = given
            if x.type == y.type and isinstance(x.type, types.Float):
                return Value(x.type, self.builder.fadd(x.code, y.code, flags=self.module.sums))
        elif name in self.module.text:
            return self._call(name, given)
        return self.operation(function, *given)

    def _length(self, value: Value) -> Value:
        if isinstance(value.type, types.Array):
            return Value(types.int64, self._array(value).sizes()[0])
        if value.items is None and not isinstance(value.type, types.BaseTuple):
            raise Unknown("the length of what is no array and no tuple")
        return self._known(len(value.items if value.items is not None else value.type))

    def _fresh(self, kind: Any, sizes: Sequence[Any]) -> Any:
        return arrays.fresh(self.context, self.builder, kind, sizes)

    def _product(self, x: Value, y: Value, out: Value | None, added: bool = False) -> Value | None:
        """`x @ y` through BLAS, or added to what stands in `out`; None where that is nothing BLAS knows."""
        kinds = [v.type for v in (x, y)]
        if not all(isinstance(k, types.Array) for k in kinds) or not blas.fits(*kinds):
            return None
        left, right = self._array(x), self._array(y)
        if out is None:
            sizes = [*left.sizes()[:-1], *right.sizes()[1:]]
            kind = types.Array(kinds[0].dtype, len(sizes), "C")
            out = self._owning(Value(kind, self._fresh(kind, sizes)))
        elif not is_contiguous([out]) or out.type.dtype != kinds[0].dtype:
            return None
        blas.product(self.context, self.builder, left, right, self._array(out), added)
        return out

    def _add_product(self, total: Value, node: ast.AugAssign) -> bool:
        """`total += np.dot(x, y)` through BLAS, without memory between; False where it is another addition."""
        match node:
            case ast.AugAssign(op=ast.Add(), value=ast.Call(func=function, args=[x, y], keywords=[])):
                if self.value(function).constant is np.dot:
                    return self._product(self.value(x), self.value(y), total, True) is not None
        return False

    def _product_of_part(self, given: Sequence[ast.expr], values: Sequence[Value]) -> Value | None:
        """`np.dot(x[:, :k], y, out)`, of a part of an array and a vector; None where it is another product."""
        kinds = [v.type for v in values]
        if not all(isinstance(kind, types.Array) and kind.dtype == kinds[0].dtype for kind in kinds):
            return None
        dims, out = [kind.ndim for kind in kinds], values[2]
        if sorted(dims[:2]) != [1, 2] or kinds[0].dtype not in blas.KINDS or not is_contiguous([out]):
            return None
        place = dims.index(2)
        matrix, vector = self._matrix(given[place]), values[1 - place]
        if place:
            matrix = matrix.transposed
        if not is_contiguous([vector]):
            vector = self._copied(vector)
        read, to = self._array(vector), self._array(out)
        blas.matrix_and_vector(self.context, self.builder, matrix, read, to, False)
        return out

    def _matrix(self, node: ast.expr, written: bool = False) -> blas.Matrix:
        """A part of an array, or that transposed, as a matrix; a copy if elements of a row may lie apart, which cannot
        be `written`."""
        part = node.value if isinstance(node, ast.Attribute) else node
        value, turned = self.value(part), part is not node
        kind = value.type
        if not isinstance(kind, types.Array) or kind.ndim != 2 or kind.dtype not in blas.KINDS:
            raise Unknown(ast.unparse(node))
        if not self._has_rows(part, kind):
            if written:
                raise Unknown(ast.unparse(node))
            value = self._copied(value)
        array = self._array(value)
        rows, columns = array.sizes()[::-1] if turned else array.sizes()
        step = self.builder.sdiv(array.strides()[0], WORD(arrays.itemsize_of(kind.dtype)))
        return blas.Matrix(kind.dtype, array.data, rows, columns, step, turned)

    def _has_rows(self, node: ast.expr, kind: Any) -> bool:
        """Whether it is known that the elements of each row lie side by side."""
        if kind.layout == "C" or not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name):
            return bool(kind.layout == "C")
        base, parts = self._base(node.value).type, _indices(node)
        last = parts[-1]
        whole = len(parts) < base.ndim or (isinstance(last, ast.Slice) and last.step is None)
        return base.layout == "C" and whole

    def _joined(self, items: Sequence[Value]) -> Value | None:
        """Arrays of one dtype and as many axes, one behind the other."""
        kinds = {(v.type.dtype, v.type.ndim) if isinstance(v.type, types.Array) else None for v in items}
        if len(kinds) != 1 or None in kinds:
            return None
        kind = types.Array(items[0].type.dtype, items[0].type.ndim, "C")
        parts = [self._array(v if is_contiguous([v]) else self._copied(v)) for v in items]
        sizes = parts[0].sizes()
        for part in parts[1:]:
            sizes[0] = self.builder.add(sizes[0], part.sizes()[0])
        made = Value(kind, self._fresh(kind, sizes))
        start, target = WORD(0), self._array(made)
        for part in parts:
            arrays.copy(self.context, self.builder, part, target, start)
            start = self.builder.add(start, part.count())
        return self._owning(made)

    def _method(self, node: ast.Call) -> Value | None:
        """`x.copy()`; of arrays that are contiguous `x.reshape(shape)`, and `x.view(dtype)` for one as wide."""
        assert isinstance(node.func, ast.Attribute)
        if node.func.attr not in ("reshape", "copy", "view"):
            return None
        base = self.value(node.func.value)
        if node.func.attr == "copy" and isinstance(base.type, types.Array) and base.type.ndim:
            return self._copied(base)
        if not is_contiguous([base]):
            return None
        if node.func.attr == "view":
            dtype = self._dtype(node.args[0])
            if dtype.bitwidth != base.type.dtype.bitwidth:
                raise Unknown(ast.unparse(node))
            return Value(types.Array(dtype, base.type.ndim, "C"), self._array(base).read_as(dtype))
        given = [self.value(a) for a in node.args]
        sizes = self._sizes(given[0] if len(given) == 1 else tuple_of(given))
        if any(constant_of(n) == -1 for n in sizes):
            raise Unknown(ast.unparse(node))
        return Value(types.Array(base.type.dtype, len(sizes), "C"), self._array(base).reshaped(sizes))

    def _copied(self, base: Value) -> Value:
        """The same elements in memory of their own, contiguous."""
        array = self._array(base)
        kind = types.Array(base.type.dtype, base.type.ndim, "C")
        made = Value(kind, self._fresh(kind, array.sizes()), shape=base.shape)
        arrays.copy(self.context, self.builder, array, self._array(made))
        return self._owning(made)

    def _call(self, name: str, given: Sequence[Value]) -> Value:
        """Another function of the text, in the same module."""
        given = [self._whole(v) for v in given]
        if any(v.type is None for v in given):
            raise Unknown(f"what `{name}` is given")
        kinds = tuple(types.unliteral(v.type) for v in given)
        try:
            callee, returned = self.module.function(name, kinds)
        except NumbaError:
            return self.operation(self.module.names[name], *given)
        builder, convention = self.builder, self.context.call_conv
        place = cgutils.alloca_once(builder, self.context.get_return_type(returned))
        error = cgutils.alloca_once(builder, callee.args[1].type.pointee)
        codes = [self._cast(v, k) for v, k in zip(given, kinds, strict=True)]
        packed = convention._get_arg_packer(kinds).as_arguments(builder, codes)
        status = builder.call(callee, [builder.bitcast(place, BYTE.as_pointer()), error, *packed])
        with builder.if_then(builder.icmp_signed("!=", status, done(returned)), likely=False):
            builder.store(builder.load(error), self.code.args[1])
            self._fail(status)
        if returned == types.none:
            return Value(None)
        code = self.context.get_returned_value(builder, returned, builder.load(place))
        return self._owning(Value(returned, code))

    def _called_out(self, function: ast.expr, given: ast.expr) -> Value:
        """A function of the text that Python runs."""
        dispatcher = self.value(function).constant
        values = self._whole(self.value(given))
        kinds = values.type.types
        codes = [v.code for v in self._parts(values, len(kinds))]
        found = outside.write_call(
            self.context, self.builder, dispatcher, kinds, codes, lambda: self._fail(callconv.RETCODE_EXC)
        )
        return self._owning(Value(outside.result_type(dispatcher), found))

    def _in_threads(self, count: ast.expr, part: ast.expr, given: ast.expr) -> Value:
        """A loop over blocks, by a function of the text, shared among threads."""
        assert isinstance(part, ast.Name)
        number, values = self._integer(self.value(count)), self._whole(self.value(given))
        leaf = (types.int64, types.int64, *values.type.types)
        callee, _ = self.module.function(part.id, leaf)
        share_out(self.context, self.builder, callee, leaf, number, values.code)
        return Value(None)

    def _filling(self, made: ast.Call) -> tuple[Any, Any]:
        """The dtype of a new array, and the number it is filled with, if that is said."""
        assert isinstance(made.func, ast.Attribute)
        if made.func.attr == "full":
            if len(made.args) != 2:
                raise Unknown(ast.unparse(made))
            value = self.value(made.args[1])
            kind = types.unliteral(value.type) if value.type is not None else None
            if not isinstance(kind, types.Number | types.Boolean):
                raise Unknown(ast.unparse(made))
            return kind, self._cast(value, kind)
        if len(made.args) not in (1, 2):
            raise Unknown(ast.unparse(made))
        return (self._dtype(made.args[1]) if len(made.args) == 2 else types.float64), None

    def _dtype(self, node: ast.expr) -> Any:
        """The dtype that an expression names."""
        named = self.value(node)
        if isinstance(named.type, types.DType):
            return named.type.dtype
        found: Any = dtype_of(named.constant)
        if found is None:
            raise Unknown(ast.unparse(node))
        return from_dtype(found)


def _numbers(node: ast.Slice) -> slice:
    """A slice with numbers that stand in the text."""
    parts = (node.lower, node.upper, node.step)
    ends = [None if part is None else integer(part) for part in parts]
    if any(part is not None and end is None for part, end in zip(parts, ends, strict=True)):
        raise Unknown(ast.unparse(node))
    return slice(*ends)


def _indices(node: ast.Subscript) -> list[ast.expr]:
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
