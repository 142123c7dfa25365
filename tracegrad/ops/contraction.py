"""einsum: sums over products of any number of arrays.

Its derivative is einsum again, with the cotangent in the place of the array. Begin with `einsum`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType, promote
from tracegrad.kernels import products as kernels
from tracegrad.ops.families import broadcast_to, case, cast, sum_to
from tracegrad.ops.index import Slot, index_add, set_along, zeros_like
from tracegrad.ops.op import Op, call, literal
from tracegrad.ops.shape import expand_dims, transpose
from tracegrad.ops.strides import memory_steps, memory_walk

CALLED = 4096  # multiplications that are worth a call of BLAS
PRODUCT = 512  # those of two matrices that are
SIDE = 16  # of a product that is one of several, where it could be part of a larger one of transposed arrays


def _letters(subscripts: str) -> tuple[list[str], str]:
    inputs, _, output = subscripts.partition("->")
    return inputs.split(","), output


def _sizes(terms: Sequence[str], operands: Sequence[Any]) -> dict[str, int]:
    """The length each letter stands for; a length of one gives way."""
    sizes: dict[str, int] = {}
    for term, x in zip(terms, operands, strict=True):
        if len(term) != x.ndim:
            raise ValueError(f"einsum subscripts {term!r} do not fit an array with {x.ndim} axes")
        for letter, n in zip(term, x.shape, strict=True):
            known = sizes.setdefault(letter, n)
            if known != n and 1 not in (known, n):
                raise ValueError(f"einsum index {letter!r} stands for both {known} and {n}")
            sizes[letter] = n if known == 1 else known
    return sizes


def _einsum_type(*operands: Any, subscripts: str) -> ArrayType:
    terms, output = _letters(subscripts)
    sizes = _sizes(terms, operands)
    return ArrayType(tuple(sizes[letter] for letter in output), promote(*(x.dtype for x in operands)))


def _einsum_bar(k: int, g: Any, terms: Sequence[str], output: str, operands: Sequence[Any]) -> Any:
    """The cotangent of operand `k`: the sum of products of `g` with all others, over what `k` does not have."""
    x, sizes = operands[k], _sizes(terms, operands)
    others = [j for j in range(len(terms)) if j != k]
    there = {*output, *(letter for j in others for letter in terms[j])}
    wanted = "".join(dict.fromkeys(terms[k]))
    kept = "".join(letter for letter in wanted if letter in there)
    factors, inputs = [operands[j] for j in others], [terms[j] for j in others]
    if output:
        factors, inputs = [g, *factors], [output, *inputs]
    found = _product(factors, inputs, kept)
    if not output:
        found = g if found is None else g * found
    if kept and kept != wanted:
        found = expand_dims(found, axis=tuple(i for i, letter in enumerate(wanted) if letter not in there))
    full = tuple(sizes[letter] for letter in wanted)
    if found.shape != full:  # what only `k` has, or the others have with a length of one
        found = broadcast_to(found, shape=full)
    own = dict(zip(terms[k], x.shape, strict=True))
    if found.shape != tuple(own[letter] for letter in wanted):
        found = sum_to(found, shape=tuple(own[letter] for letter in wanted))
    if wanted == terms[k]:
        return found
    grids = dict(zip(wanted, np.ogrid[tuple(slice(own[letter]) for letter in wanted)], strict=True))
    index = tuple(Slot(i) for i in range(x.ndim))
    found = cast(found, x.dtype)
    return index_add(zeros_like(x), *(grids[letter] for letter in terms[k]), found, index=index)


def _product(factors: Sequence[Any], terms: Sequence[str], output: str) -> Any:
    """`einsum`, or the factor itself where that is what it gives; None where there is no factor."""
    if not factors or (len(factors) == 1 and terms[0] == output):
        return factors[0] if factors else None
    return einsum(*factors, subscripts=f"{','.join(terms)}->{output}")


def _einsum_vjp(g: Any, z: Any, *operands: Any, subscripts: str) -> tuple[Any, ...]:
    terms, output = _letters(subscripts)
    return tuple(
        cast(_einsum_bar(k, g, terms, output, operands), x.dtype) if x.dtype.kind in "fc" else None
        for k, x in enumerate(operands)
    )


def _einsum_jvp(tangents: Any, z: Any, *operands: Any, subscripts: str) -> Any:
    total = None
    for k, t in enumerate(tangents):
        if t is not None:
            term = einsum(*operands[:k], t, *operands[k + 1 :], subscripts=subscripts)
            total = term if total is None else total + term
    return cast(total, z.dtype)


def _einsum_written(x: Any, part: Any, subscripts: str) -> Any:
    """`ii->i` and `ij->ji` are the argument, looked at along other axes."""
    (term,), output = _letters(subscripts)
    if sorted(term) == sorted(output):
        return transpose(part, axes=tuple(output.index(letter) for letter in term))
    return set_along(x, part, [output.index(letter) for letter in term])


class Products(NamedTuple):
    """A contraction of two arrays as products of matrices that are parts of them, by the letters.

    Parameters
    ----------
    rows, length, columns : the axes of one product, a letter each
    loops : there is a product for each of these
    summed : and a sum of products over this, or ""
    swapped : whether the second operand has the rows
    """

    rows: str
    length: str
    columns: str
    loops: str
    summed: str
    swapped: bool


def as_products(
    subscripts: str, operands: Sequence[Any], dtype: Any, narrow: bool = False
) -> Products | None:
    """The largest products of matrices that make up a contraction, where arrays are contiguous; None if there are none
    that BLAS knows, or they are not worth a call.

    If they may be `narrow`, few rows or columns are taken where there are no larger products.
    """
    terms, output = _letters(subscripts)
    if len(terms) != 2 or dtype.kind != "f" or any(x.dtype != dtype or -1 in x.shape for x in operands):
        return None
    if any(len(set(term)) != len(term) for term in (*terms, output)):
        return None
    sizes = _sizes(terms, operands)
    if any(tuple(sizes[a] for a in term) != tuple(x.shape) for term, x in zip(terms, operands, strict=True)):
        return None
    every = dict.fromkeys("".join(terms))
    if any((a in terms[0]) + (a in terms[1]) + (a in output) < 2 for a in every):
        return None
    found: list[tuple[bool, int, Products]] = []
    for swapped, (left, right) in enumerate((terms, terms[::-1])):
        columns = output[-1:]
        if columns in left or columns not in right:
            continue
        lengths = [a for a in left if a in right and a not in output]
        for rows in (a for a in left if a in output and a not in right):
            for length in lengths:
                summed = "".join(a for a in lengths if a != length)
                sides = [sizes[a] for a in (rows, length, columns)]
                loops = "".join(a for a in output if a not in (rows, columns))
                is_stack = not summed and all(a in left and a in right for a in loops)
                lies_so = left[-1] in (rows, length) and right[-1] in (length, columns)
                is_wide, work = is_stack or min(sides) >= SIDE, math.prod(sides)
                if lies_so and len(summed) < 2 and (is_wide or (narrow and work > CALLED)):
                    made = Products(rows, length, columns, loops, summed, bool(swapped))
                    found.append((is_wide and work > PRODUCT, work, made))
    _, work, best = max(found, key=lambda way: way[:2], default=(False, 0, None))
    return best if work > PRODUCT else None


def _native_einsum(instr: Instr) -> Any:
    """Products of matrices; else one kernel contracts any two operands, and a third is contracted with what the first
    two give."""
    terms, output = _letters(instr.params["subscripts"])
    operands, out = instr.inputs, instr.outputs[0]
    if as_products(instr.params["subscripts"], operands, out.dtype, narrow=True) is not None:
        return True
    if len(terms) > 3 or out.dtype.kind == "b" or any(not a.ndim or not a.type.size for a in operands):
        return False
    sizes, zero = _sizes(terms, operands), out.dtype.type(0)
    whole = (tuple(out.shape), zero)
    if len(terms) == 1:
        if sorted(terms[0]) == sorted(output):
            found = dict(zip(terms[0], memory_steps(operands[0].shape), strict=True))
            return memory_walk(operands[0], out.shape, [found[letter] for letter in output], out)
        kernel: Any = kernels.contract_one if output else kernels.contract_one_all
        lengths, steps, out_steps = _contraction((*terms, ""), output, sizes, operands[0].shape, ())
        return (kernel, lengths, *steps, out_steps, *whole)
    shapes = [x.shape for x in operands]
    if len(terms) == 2:
        kernel = kernels.contract if output else kernels.contract_all
        lengths, steps, out_steps = _contraction(terms, output, sizes, *shapes)
        return (kernel, lengths, *steps, out_steps, *whole)
    between = "".join(letter for letter in dict.fromkeys(terms[0] + terms[1]) if letter in output + terms[2])
    shape = tuple(sizes[letter] for letter in between)
    first, first_steps, between_steps = _contraction(terms[:2], between, sizes, *shapes[:2])
    second, second_steps, out_steps = _contraction((between, terms[2]), output, sizes, shape, shapes[2])
    kernel = kernels.contract_three if output else kernels.contract_three_all
    start = (first, *first_steps, between_steps, shape or (1,))
    return (kernel, *start, second, *second_steps, out_steps, *whole)


def _contraction(
    terms: Sequence[str], output: str, sizes: Mapping[str, int], *shapes: Sequence[int]
) -> tuple[tuple[int, ...], list[tuple[int, ...]], tuple[int, ...]]:
    """The lengths of all indices; how far each moves through the memory of each operand, and of the result.

    The last is the one along which most of them lie side by side; indices that all pass through like one are one.
    """
    letters = [*output, *(letter for letter in dict.fromkeys("".join(terms)) if letter not in output)]

    def steps(term: str, shape: Sequence[int]) -> tuple[int, ...]:
        each = list(zip(memory_steps(shape), term, strict=True))
        return tuple(sum(step for step, t in each if t == letter) for letter in letters)

    arrays = (*zip(terms, shapes, strict=True), (output, [sizes[letter] for letter in output]))
    moved = list(zip(*(steps(term, shape) for term, shape in arrays), strict=True))
    indices = [(sizes[letter], *each) for letter, each in zip(letters, moved, strict=True)]
    nearest = max(indices, key=lambda index: sum(2 - min(step, 2) if step else 1 for step in index[1:]))
    indices.remove(nearest)
    merged: list[tuple[int, ...]] = []
    for n, *each in (*indices, nearest):
        if merged and all(before == n * step for before, step in zip(merged[-1][1:], each, strict=True)):
            merged[-1] = (merged[-1][0] * n, *each)
        else:
            merged.append((n, *each))
    lengths, *walks = (tuple(column) for column in zip(*merged, strict=True))
    return lengths, walks[:-1], walks[-1]


einsum: Op = Op(
    "einsum",
    lambda *operands, subscripts: np.einsum(subscripts, *operands, optimize=len(operands) > 2),
    result_type=_einsum_type,
    vjp=_einsum_vjp,
    jvp=_einsum_jvp,
    emit=lambda inputs, instr: call(
        "np.einsum",
        literal(instr.params["subscripts"]),
        *inputs,
        **({"optimize": True} if len(inputs) > 2 else {}),
    ),
    native=_native_einsum,
    view=_einsum_written,
    sample=(
        case((2, 3), (3, 4), subscripts="ij,jk->ik"),
        case((2, 3), (2, 3), subscripts="ij,ij->"),
        case((2, 3), subscripts="ij->j"),
        case((2, 3, 4), subscripts="ijk->kij"),
        case((2, 3, 4), (2, 3, 4), subscripts="bij,bij->b"),
        case((3, 3), subscripts="ii->i"),
        case((3, 3), (3,), subscripts="ii,i->i"),
        case((2, 3, 4), (2, 4), subscripts="bij,bj->bi"),
        case((2, 3), (3, 2), (2, 2), subscripts="ij,jk,kl->il"),
        case((2, 3), (3, 2), (2, 2), subscripts="ij,jk,ki->"),
        case((2,), (2,), (3,), subscripts="i,i,j->j"),
        case((1, 3), (2, 3), subscripts="ij,ij->ij"),
        case((3,), (4, 1), subscripts="i,ai->a"),
        case((2, 1), (2, 3), (1, 3), subscripts="ij,ij,ij->"),
    ),
)
"""Multilinear; `subscripts` is complete: letters alone, and `->`."""
