"""Products of arrays as the native text computes them: tiny ones as loops, large ones as products of two matrices.

A step comes in, a term goes out: sums of products, which join the loops around them, or reshaped `matmul`, which BLAS
computes; None where the step stays as it is. All sizes are known, so the way is chosen once. Begin with `matrices`,
then see `contraction` for `einsum`.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tracegrad.ir.trace import Instr, Var
from tracegrad.ir.types import ArrayType
from tracegrad.ops.arithmetic import multiply
from tracegrad.ops.contraction import CALLED, SIDE, Products, as_products, einsum
from tracegrad.ops.families import broadcast_to
from tracegrad.ops.index import getitem, index_arrays, whole
from tracegrad.ops.linalg import matmul
from tracegrad.ops.reduce import sum_
from tracegrad.ops.shape import expand_dims, flip, reshape, transpose
from tracegrad.ops.windows import windows
from tracegrad.passes.pairs import in_pairs
from tracegrad.passes.rewrite import Expression, Made, Term, expression

_STACKS = "abcdefghijklmnopqrstuvw"  # letters for the axes of a stack
TINY = 8  # a side of matrices whose product is a loop
FEW = 128  # elements whose sum is a loop along any axis
COPIED = 2**20  # items of windows that are not copied for BLAS


def _is_real(step: Instr) -> bool:
    """Arrays of one dtype of floats, of known sizes."""
    return _is_of_one_dtype(step) and step.outputs[0].dtype.kind == "f"


def _is_of_one_dtype(step: Instr) -> bool:
    """Arrays of one dtype, of known sizes."""
    arrays = all(a.shape and -1 not in a.shape for a in step.inputs)
    return arrays and len({a.dtype for a in step.inputs}) == 1


def matrices(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x @ y of vectors, tiny matrices, a matrix and a short vector -> sums of products; a stack @ a matrix -> of two"""
    x, y = step.inputs
    if not _is_real(step):
        return None
    if x.type.ndim == 1 and y.type.ndim == 1:
        return expression(sum_, expression(multiply, x, y), axis=(0,), keepdims=False)
    if 1 in (x.type.ndim, y.type.ndim):
        stack = _STACKS[: max(x.type.ndim, y.type.ndim) - 2]
        terms, output = (
            ([f"{stack}xy", "y"], f"{stack}x") if y.type.ndim == 1 else (["x", f"{stack}xy"], f"{stack}y")
        )
        found = _of_windows(step.inputs, terms, output, made)
        if found is not None:
            return found
    if max(x.type.ndim, y.type.ndim) > 2 or (x.type.ndim == y.type.ndim and 1 in (*x.shape, *y.shape)):
        stacks = [_STACKS[len(_STACKS) - max(a.type.ndim - 2, 0) :] for a in (x, y)]
        sides = ["xy"[-x.type.ndim :], "yz"[: y.type.ndim]]
        output = max(stacks, key=len) + sides[0][:-1] + sides[1][1:]
        terms = [stack + side for stack, side in zip(stacks, sides, strict=True)]
        found = _of_parts(step.inputs, terms, output, step, made)
        if found is not None:
            return found
    if x.type.ndim > 2 and y.type.ndim == 2 and max(x.shape[-1], *y.shape) > TINY and x.type.size:
        rows = expression(reshape, x, shape=(math.prod(x.shape[:-1]), x.shape[-1]))
        return expression(reshape, expression(matmul, rows, y), shape=tuple(step.outputs[0].shape))
    if y.type.ndim == 1:
        if x.shape[-1] >= FEW or x.type.size > CALLED:
            return None
        return _summed(expression(multiply, x, y), x.type.ndim - 1)
    if x.type.ndim == 1:
        if y.type.ndim > 2 or y.type.size > CALLED:
            return None
        return _summed(expression(multiply, expression(expand_dims, x, axis=(1,)), y), 0)
    if max(*x.shape[-2:], *y.shape[-2:]) > TINY:
        return None
    ndim = step.outputs[0].type.ndim
    left = expression(expand_dims, x, axis=(x.type.ndim,))
    right = expression(expand_dims, y, axis=(y.type.ndim - 2,))
    return _summed(expression(multiply, left, right), ndim - 1)


def _summed(products: Term, axis: int) -> Term:
    return expression(sum_, products, axis=(axis,), keepdims=False)


def from_behind(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """x[::-1] @ v -> (x @ v)[::-1]; x[:, ::-1] @ v -> x @ v[::-1]; v @ x so, too: a vector is turned, not the matrix"""
    if not _is_real(step) or sorted(a.type.ndim for a in step.inputs) != [1, 2]:
        return None
    place = 0 if step.inputs[0].type.ndim == 2 else 1
    matrix, vector = step.inputs[place], step.inputs[1 - place]
    found = _forwards(matrix, made) if matrix.type.size > CALLED else None
    if found is None:
        return None
    forwards, turned = found
    back = {"index": (slice(None, None, -1),)}
    given: Term = expression(getitem, vector, **back) if 1 - place in turned else vector
    product = expression(step.op, *((forwards, given) if place == 0 else (given, forwards)))
    return expression(getitem, product, **back) if place in turned else product


def _forwards(x: Any, made: Made) -> tuple[Any, set[int]] | None:
    """What a read, flip or transpose takes, without turning an axis, and the axes that are turned; None if none is."""
    step = made.get(x) if isinstance(x, Var) else None
    if step is None or step.op not in (getitem, flip, transpose):
        return None
    source = step.inputs[0]
    if step.op is flip:
        return source, set(step.params["axis"])
    if step.op is transpose:
        found = _forwards(source, made)
        axes = step.params["axes"]
        return found and (expression(transpose, found[0], axes=axes), {axes.index(k) for k in found[1]})
    index = step.params["index"]
    if None in index or any(a.shape for a in index_arrays(step)):
        return None
    turned, parts, axis = set(), [], 0
    for part, n in zip(whole(index, source.type.ndim), source.shape, strict=True):
        if isinstance(part, slice):
            numbers = range(n)[part]
            if numbers.step < 0:
                turned.add(axis)
                part = slice(numbers[-1], numbers[0] + 1, -numbers.step)
            axis += 1
        parts.append(slice(None) if part == slice(0, n, 1) else part)
    if not turned:
        return None
    whole_source = all(part == slice(None) for part in parts)
    forwards = (
        source if whole_source else expression(getitem, source, *index_arrays(step), index=tuple(parts))
    )
    return forwards, turned


def outer_products(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """outer(x, y) -> x as a column * y"""
    if not _is_real(step):
        return None
    x, y = step.inputs
    return expression(multiply, expression(expand_dims, x, axis=(1,)), y)


# --- einsum -----------------------------------------------------------------------------------------------------------


def contraction(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """einsum of one -> its sum, transposed; of two -> elements, or matmul of them as matrices, where the letters allow;
    of more -> of two and two"""
    inputs, _, output = step.params["subscripts"].partition("->")
    terms = inputs.split(",")
    if not (
        _is_real(step) or (len(terms) > 2 and _is_of_one_dtype(step) and step.inputs[0].dtype.kind != "b")
    ):
        return None
    if any(not a.type.size for a in step.inputs) or any(len(set(term)) != len(term) for term in terms):
        return None
    sizes: dict[str, int] = {}
    for term, x in zip(terms, step.inputs, strict=True):
        for letter, n in zip(term, x.shape, strict=True):
            if sizes.setdefault(letter, n) != n:
                return None
    if len(terms) == 1:
        return _summed_and_turned(step.inputs[0], terms[0], output)
    if len(terms) > 2:
        return in_pairs(step.inputs, terms, output, sizes)
    found = _as_elements(step.inputs, terms, output, sizes)
    if found is None and max(a.type.size for a in step.inputs) >= COPIED:
        found = _of_windows(step.inputs, terms, output, made)
    if found is None:
        found = _of_parts(step.inputs, terms, output, step, made)
    if found is None:
        found = _of_windows(step.inputs, terms, output, made)
    if found is None:
        found = _as_matrices(step.inputs, terms, output, sizes)
    if found is not None:
        return None if _is_written_so(found, step) else found
    subscripts, dtype = step.params["subscripts"], step.outputs[0].dtype
    if as_products(subscripts, step.inputs, dtype, narrow=True) is not None:
        return None
    return _as_matrices(step.inputs, terms, output, sizes, turned=True)


def _is_written_so(found: Term, step: Instr) -> bool:
    """Whether a step is a term already."""
    return isinstance(found, Expression) and (found.op, found.inputs, found.params) == (
        step.op,
        step.inputs,
        step.params,
    )


def _summed_and_turned(x: Any, term: str, output: str) -> Term:
    """`ijk->kj`: without the letters that are summed, in the order of the result."""
    left = [a for a in term if a in output]
    found = x
    if len(left) < len(term):
        found = expression(
            sum_, x, axis=tuple(k for k, a in enumerate(term) if a not in output), keepdims=False
        )
    return expression(transpose, found, axes=tuple(map(left.index, output)))


def _as_elements(
    operands: Sequence[Any], terms: Sequence[str], output: str, sizes: Mapping[str, int]
) -> Term | None:
    """A sum over few products of elements, or a product of elements alone: a loop over all letters."""
    summed = [a for a in sizes if a not in output]
    count = math.prod(sizes[a] for a in summed)
    if count >= FEW or (summed and math.prod(sizes.values()) > CALLED):
        return None
    order = [*output, *summed]
    factors: list[Any] = []
    for x, term in zip(operands, terms, strict=True):
        letters = [a for a in order if a in term]
        if letters != list(term):
            x = expression(transpose, x, axes=tuple(term.index(a) for a in letters))
        missing = tuple(k for k, a in enumerate(order) if a not in term)
        factors.append(expression(expand_dims, x, axis=missing) if missing else x)
    found = expression(multiply, *factors)
    return (
        expression(sum_, found, axis=tuple(range(len(output), len(order))), keepdims=False)
        if summed
        else found
    )


def _as_matrices(
    operands: Sequence[Any], terms: Sequence[str], output: str, sizes: Mapping[str, int], turned: bool = False
) -> Term | None:
    """One product of matrices or vectors, or of stacks: rows from one operand, columns from the other.

    The stack comes first in the result, unless all of it may be `turned`.
    """
    (x, y), (left, right) = operands, terms
    own = [[k for k, a in enumerate(output) if a not in other] for other in (right, left)]
    if own[0] and own[1] and own[1][0] < own[0][0]:
        x, y, left, right = y, x, right, left  # what comes first in the result is rows
    stack = [a for a in output if a in left and a in right]
    summed = [a for a in left if a in right and a not in output]
    rows = [a for a in output if a in left and a not in right]
    columns = [a for a in output if a in right and a not in left]
    alone = len(sizes) > len(stack) + len(summed) + len(rows) + len(columns)  # summed in one operand
    if alone or not summed or not (turned or list(output[: len(stack)]) == stack):
        return None
    first = _matrix(x, left, stack, (rows, summed), sizes)
    second = _matrix(y, right, stack, (summed, columns), sizes)
    found: Term = expression(matmul, first, second)
    letters = [*stack, *rows, *columns]
    if len(stack) > 1 or not _is_axis(rows, stack) or not _is_axis(columns, stack):
        found = expression(reshape, found, shape=tuple(sizes[a] for a in letters))
    if letters != list(output):
        found = expression(transpose, found, axes=tuple(letters.index(a) for a in output))
    return found


def _is_axis(letters: Sequence[str], stack: Sequence[str]) -> bool:
    """Whether letters are an axis of `matmul` as they are: one letter, or none, of a vector."""
    return len(letters) == 1 or not (letters or stack)


def _matrix(
    x: Any, term: str, stack: Sequence[str], groups: Sequence[Sequence[str]], sizes: Mapping[str, int]
) -> Term:
    """An operand as vector, matrix or stack of matrices; flipped afterwards if its letters come the other way round."""
    first, second = groups
    flipped = bool(first and second) and list(term) == [*stack, *second, *first]
    order = [*stack, *second, *first] if flipped else [*stack, *first, *second]
    if list(term) != order:
        x = expression(transpose, x, axes=tuple(term.index(a) for a in order))
    if len(stack) > 1 or not _is_axis(first, stack) or not _is_axis(second, stack):
        lead = (math.prod(sizes[a] for a in stack),) if stack else ()
        axes = [math.prod(sizes[a] for a in group) for group in groups if group or stack]
        x = expression(reshape, x, shape=(*lead, *(reversed(axes) if flipped else axes)))
    if flipped:
        lead_axes = range(min(len(stack), 1))
        x = expression(transpose, x, axes=(*lead_axes, len(lead_axes) + 1, len(lead_axes)))
    return x


# --- products of parts of arrays --------------------------------------------------------------------------------------


def turned_products(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """transpose(einsum(x, y)) -> einsum(x, y), where products are as well written where they are wanted"""
    inner = _products_read_once(step, made, counts)
    if inner is None:
        return None
    inputs, _, output = inner.params["subscripts"].partition("->")
    turned = f"{inputs}->{''.join(output[k] for k in step.params['axes'])}"
    if as_products(turned, inner.inputs, step.outputs[0].dtype) is None:
        return None
    return expression(einsum, *inner.inputs, subscripts=turned)


def turned_product(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """transpose(reshape(x @ y)) -> reshape(transpose(y) @ transpose(x)), where there are more axes of one element"""
    (x,), shape = step.inputs, tuple(step.outputs[0].shape)
    between = made.get(x) if isinstance(x, Var) and counts[x] <= 1 else None
    if between is None or between.op is not reshape:
        return None
    (found,) = between.inputs
    product = made.get(found) if isinstance(found, Var) and counts[found] <= 1 else None
    if product is None or product.op is not matmul or 1 in product.outputs[0].shape:
        return None
    moved = [k for k in step.params["axes"] if x.shape[k] != 1]
    if len(moved) != 2 or any(a.type.ndim != 2 for a in product.inputs):
        return None
    if moved[0] < moved[1]:
        return expression(reshape, found, shape=shape)
    left, right = (expression(transpose, a, axes=(1, 0)) for a in product.inputs[::-1])
    return expression(reshape, expression(matmul, left, right), shape=shape)


def summed_products(step: Instr, made: Made, counts: Counter[Var]) -> Term | None:
    """sum(einsum(x, y)) -> einsum(x, y), where products are as well added to each other"""
    inner = _products_read_once(step, made, counts)
    if inner is None:
        return None
    inputs, _, output = inner.params["subscripts"].partition("->")
    if step.op is sum_:
        kept = [a for k, a in enumerate(output) if k not in step.params["axis"]]
    else:
        before, after = inner.outputs[0].shape, step.outputs[0].shape
        lead = len(before) - len(after)
        kept = [a for a, n, m in zip(output[lead:], before[lead:], after, strict=True) if n == m]
    return _of_parts(inner.inputs, inputs.split(","), "".join(kept), step, made)


def _products_read_once(step: Instr, made: Made, counts: Counter[Var]) -> Instr | None:
    (x,) = step.inputs
    inner = made.get(x) if isinstance(x, Var) else None
    if inner is None or inner.op is not einsum or counts[inner.outputs[0]] > 1 or len(inner.inputs) != 2:
        return None
    found = as_products(inner.params["subscripts"], inner.inputs, inner.outputs[0].dtype)
    return None if found is None else inner


def _of_parts(
    operands: Sequence[Any], terms: Sequence[str], output: str, step: Instr, made: Made
) -> Term | None:
    """A contraction as products of matrices that are parts of the operands, or of what these are views of."""
    sources = [_source(x, term, made) for x, term in zip(operands, terms, strict=True)]
    for given in (sources, list(zip(operands, terms, strict=True))):
        found = _products(given, output, step)
        if found is not None:
            return found
    return None


def _source(x: Any, term: str, made: Made) -> tuple[Any, str]:
    """What an operand is a view of, with the letters of its axes: transposed, repeated, with axes of one element."""
    while isinstance(x, Var) and (maker := made.get(x)) is not None:
        if maker.op is transpose:
            axes = maker.params["axes"]
            term = "".join(term[axes.index(k)] for k in range(len(axes)))
        elif maker.op is expand_dims or (
            maker.op is reshape and tuple(maker.inputs[0].shape) == tuple(n for n in x.shape if n != 1)
        ):
            lost = maker.params.get("axis", [k for k, n in enumerate(x.shape) if n == 1])
            term = "".join(a for k, a in enumerate(term) if k not in lost)
        elif (
            maker.op is broadcast_to
            and (n := maker.inputs[0].type.ndim)
            and x.shape[-n:] == maker.inputs[0].shape
        ):
            term = term[-n:]
        else:
            break
        x = maker.inputs[0]
    return x, term


def _products(given: Sequence[tuple[Any, str]], output: str, step: Instr) -> Term | None:
    """Axes of one element are left out; those that lie behind each other everywhere are one, if that is more work."""
    dtype = step.outputs[0].dtype
    sizes: dict[str, int] = {}
    terms = []
    for x, term in given:
        longer = [(a, n) for a, n in zip(term, x.shape, strict=True) if n != 1]
        sizes.update(longer)
        terms.append("".join(a for a, _ in longer))
    arrays = [*terms, "".join(a for a in output if a in sizes)]
    apart = arrays, dict(sizes), _found(arrays, sizes, dtype)
    while (pair := next((p for p in _neighbours(arrays) if _lie_together(p, arrays)), None)) is not None:
        sizes[pair[0]] *= sizes.pop(pair[1])
        arrays = [term.replace(pair, pair[0]) for term in arrays]
    together = arrays, sizes, _found(arrays, sizes, dtype)
    if any(x.dtype != dtype for x, _ in given):
        return None
    operands = [x for x, _ in given]
    arrays, sizes, found = max(apart, together, key=_work)
    if found is not None:
        x, y = (_of_shape(x, [sizes[a] for a in term]) for x, term in zip(operands, arrays, strict=False))
        if found.loops or found.summed:
            made: Term | None = expression(einsum, x, y, subscripts=_subscripts(arrays))
        else:
            if found.swapped:
                x, y, arrays = y, x, [*arrays[1::-1], arrays[2]]
            x = x if arrays[0][0] == found.rows else expression(transpose, x, axes=(1, 0))
            y = y if arrays[1][0] == found.length else expression(transpose, y, axes=(1, 0))
            made = expression(matmul, x, y)
    else:
        arrays, sizes, _ = together
        made = _matrix_and_vector(operands, arrays, sizes)
        if made is None:
            arrays, sizes, _ = apart
            made = _each_once(operands, arrays, sizes)
    if made is None:
        return None
    shape = tuple(step.outputs[0].shape)
    return made if tuple(sizes[a] for a in arrays[2]) == shape else expression(reshape, made, shape=shape)


def _matrix_and_vector(
    operands: Sequence[Any], arrays: Sequence[str], sizes: Mapping[str, int]
) -> Term | None:
    """A product of one matrix that is not slim and one vector, which BLAS takes from either side."""
    order = sorted(range(2), key=lambda k: -len(arrays[k]))
    matrix, vector = (_of_shape(operands[k], [sizes[a] for a in arrays[k]]) for k in order)
    left, right = (arrays[k] for k in order)
    if len(left) != 2 or len(right) != 1 or sorted(right + arrays[2]) != sorted(left):
        return None
    if min(sizes.values()) < SIDE or math.prod(sizes.values()) <= CALLED:
        return None
    return expression(matmul, matrix, vector) if left[1] == right else expression(matmul, vector, matrix)


def _each_once(operands: Sequence[Any], arrays: Sequence[str], sizes: Mapping[str, int]) -> Term | None:
    """Products of elements where each element of the larger operand, or of the result, is in one of them: stacks of
    matrices times vectors. The larger array is read as it lies, unless sums are so short that they need no loop."""
    output, order = arrays[2], max(arrays, key=len)
    if not order or not set("".join(arrays)) <= set(order):
        return None
    summed = [a for a in order if a not in output]
    if math.prod(sizes[a] for a in summed) <= TINY:
        order = "".join([*output, *summed])
    factors = []
    for x, term in zip(operands, arrays, strict=False):
        found = _of_shape(x, [sizes[a] for a in term])
        letters = [a for a in order if a in term]
        if letters != list(term):
            found = expression(transpose, found, axes=tuple(map(term.index, letters)))
        missing = tuple(k for k, a in enumerate(order) if a not in term)
        factors.append(expression(expand_dims, found, axis=missing) if missing else found)
    made: Term = expression(multiply, *factors)
    if summed:
        made = expression(sum_, made, axis=tuple(map(order.index, summed)), keepdims=False)
    left = [a for a in order if a in output]
    return made if left == list(output) else expression(transpose, made, axes=tuple(map(left.index, output)))


def _of_windows(operands: Sequence[Any], terms: Sequence[str], output: str, made: Made) -> Term | None:
    """Products with the items of windows, each in one of them: read where they lie, windows need no memory."""
    given = [_source(x, term, made) for x, term in zip(operands, terms, strict=True)]
    makers = [made.get(x) if isinstance(x, Var) else None for x, _ in given]
    if not any(maker is not None and maker.op is windows for maker in makers):
        return None
    sizes = {a: n for x, term in given for a, n in zip(term, x.shape, strict=True)}
    return _each_once([x for x, _ in given], [*(term for _, term in given), output], sizes)


def _of_shape(x: Any, shape: Sequence[int]) -> Any:
    """An operand under these sizes."""
    return x if list(x.shape) == list(shape) else expression(reshape, x, shape=tuple(shape))


def _subscripts(arrays: Sequence[str]) -> str:
    return f"{arrays[0]},{arrays[1]}->{arrays[2]}"


def _found(arrays: Sequence[str], sizes: Mapping[str, int], dtype: Any) -> Products | None:
    operands = [ArrayType(tuple(sizes[a] for a in term), dtype) for term in arrays[:2]]
    return as_products(_subscripts(arrays), operands, dtype)


def _work(option: tuple[Any, Mapping[str, int], Products | None]) -> int:
    """How large each product is."""
    _, sizes, found = option
    return 0 if found is None else sizes[found.rows] * sizes[found.length] * sizes[found.columns]


def _neighbours(arrays: Sequence[str]) -> list[str]:
    return [a + b for term in arrays for a, b in itertools.pairwise(term)]


def _lie_together(pair: str, arrays: Sequence[str]) -> bool:
    """Whether two axes that are no stack's are one wherever they are."""
    within = [term for term in arrays if pair[0] in term or pair[1] in term]
    return len(within) < len(arrays) and all(pair in term for term in within)
