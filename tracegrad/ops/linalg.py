"""Linear algebra: matmul, dot, outer, einsum; solve, inv, det, slogdet, cholesky.

A rule that works on the last two axes works on stacks of matrices too. Begin with `matmul`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.ir.trace import Instr
from tracegrad.ir.types import ArrayType, broadcast_shapes, promote
from tracegrad.kernels import products as kernels
from tracegrad.ops.families import bilinear, broadcast_to, case, cast, linear, memory_steps, sum_to
from tracegrad.ops.index import Slot, index_add, set_along, zeros_like
from tracegrad.ops.op import Op, call, literal
from tracegrad.ops.reduce import sum_
from tracegrad.ops.shape import diagonal_length, diagonal_transpose, expand_dims, reshape, transpose, tril

CALLED = 4096  # multiplications that are worth a call of BLAS

# --- products ---------------------------------------------------------------------------------------------------------


def _matmul_type(x: Any, y: Any) -> ArrayType:
    dtype = promote(x.dtype, y.dtype)
    if not x.shape or not y.shape or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        np.matmul(np.empty(x.shape, bool), np.empty(y.shape, bool))  # raises NumPy's own error
    if x.ndim == 1 and y.ndim == 1:
        return ArrayType((), dtype)
    lead = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    return ArrayType((*lead, *x.shape[-2:-1], *(y.shape[-1:] if y.ndim > 1 else ())), dtype)


def adjoint(x: Any) -> Any:
    """The last two axes exchanged."""
    return transpose(x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


def _matmul_vjp(g: Any, x: Any, y: Any) -> tuple[Any, Any]:
    if x.ndim == 1 and y.ndim == 1:
        return g * y, g * x
    if x.ndim == 1 and y.ndim == 2:
        return y @ g, outer(x, g)
    if x.ndim == 2 and y.ndim == 1:
        return outer(g, y), g @ x
    left = expand_dims(x, axis=(0,)) if x.ndim == 1 else x
    right = expand_dims(y, axis=(1,)) if y.ndim == 1 else y
    if x.ndim == 1:
        g = expand_dims(g, axis=(g.ndim - 1,))
    if y.ndim == 1:
        g = expand_dims(g, axis=(g.ndim,))
    return _fitted(g @ adjoint(right), left, x), _fitted(adjoint(left) @ g, right, y)


def _fitted(bar: Any, grown: Any, x: Any) -> Any:
    """A cotangent of `grown`, which is `x` with an axis more, as one of `x`: summed over what was repeated."""
    if bar.shape != grown.shape:
        bar = sum_to(bar, shape=grown.shape)
    return reshape(bar, shape=x.shape) if bar.shape != x.shape else bar


def _stacks(x: Any, y: Any) -> tuple[tuple[int, ...], ...]:
    """The shapes of `x` and `y` as matrices, and those with the batch that both share."""
    x_grown = tuple(x.shape) if x.ndim > 1 else (1, *x.shape)
    y_grown = tuple(y.shape) if y.ndim > 1 else (*y.shape, 1)
    lead = broadcast_shapes(x_grown[:-2], y_grown[:-2])
    return x_grown, y_grown, (*lead, *x_grown[-2:]), (*lead, *y_grown[-2:])


def _native_stack(x: Any, y: Any, out: Any) -> tuple[Any, ...]:
    """A product of stacks: each with its own matrices or one for all, or any broadcast of them."""
    x_grown, y_grown, x_full, y_full = _stacks(x, y)
    zero, shape = out.dtype.type(0), tuple(out.shape)
    counts = [math.prod(grown[:-2]) for grown in (x_grown, y_grown)]
    if any(n not in (1, math.prod(x_full[:-2])) for n in counts):
        return (kernels.spread_product, x_grown, y_grown, x_full, y_full, shape, zero)
    stacks = [(n, *grown[-2:]) for n, grown in zip(counts, (x_grown, y_grown), strict=True)]
    static = (*stacks, *(int(n > 1) for n in counts), shape)
    same = x.dtype == y.dtype == out.dtype and out.dtype.kind == "f"
    if same and math.prod(x_full[-2:]) * y_full[-1] > CALLED:
        return (kernels.batched_blas_product, *static)
    return (kernels.batched_product, *static, zero)


def _native_product(instr: Instr) -> Any:
    x, y = instr.inputs
    out = instr.outputs[0]
    zero = out.dtype.type(0)
    if out.dtype.kind == "b":
        return False
    if x.ndim > 2 or y.ndim > 2:
        if not x.type.size or not y.type.size:
            return False
        return _native_stack(x, y, out)
    steps = math.prod(x.shape) * (y.shape[1] if y.ndim == 2 else 1)
    if steps > CALLED and x.dtype == y.dtype and x.dtype.kind == "f":
        return True
    if x.ndim == 1:
        return (kernels.dot_vectors if y.ndim == 1 else kernels.vector_times_matrix, zero)
    return (kernels.matrix_times_vector if y.ndim == 1 else kernels.matrix_product, zero)


_SMALL = (case((3,), (3,)), case((2, 3), (3,)), case((3,), (3, 2)), case((2, 3), (3, 4)))

matmul: Op = bilinear(
    np.matmul,
    _matmul_vjp,
    result_type=_matmul_type,
    symbol="@",
    native=_native_product,
    sample=(
        *_SMALL,
        case((2, 3, 4), (2, 4, 2)),
        case((2, 3, 4), (4, 2)),
        case((3, 4), (2, 4, 2)),
        case((2, 3, 4), (4,)),
        case((4,), (2, 4, 3)),
        case((2, 1, 3, 2), (3, 2, 2)),
        case((0, 2), (2, 3)),
    ),
)

dot: Op = bilinear(
    np.dot, _matmul_vjp, result_type=_matmul_type, native=_native_product, sample=(*_SMALL, case((0,), (0,)))
)
"""`np.dot` of vectors and matrices; for more dimensions see `numpy_linalg.dot`."""

outer: Op = bilinear(
    np.outer,
    lambda g, x, y: (g @ y, x @ g),
    result_type=lambda x, y: ArrayType((*x.shape, *y.shape), promote(x.dtype, y.dtype)),
    native=lambda instr: (kernels.outer_product, instr.outputs[0].dtype.type(0)),
    sample=(case((3,), (2,)), case((1,), (2,)), case((0,), (2,))),
)
"""Of two vectors."""

trace: Op = linear(
    np.trace,
    transpose=lambda g, x, offset: diagonal_transpose(
        broadcast_to(g, shape=(diagonal_length(x.shape[0], x.shape[1], offset),)), x, offset
    ),
    result_type=lambda x, offset: ArrayType((), promote(x.dtype)),
    emit=lambda inputs, instr: call(
        "np.trace", inputs[0], **({"offset": instr.params["offset"]} if instr.params["offset"] else {})
    ),
    native=lambda instr: (kernels.sum_of_diagonal, instr.params["offset"], instr.outputs[0].dtype.type(0)),
    sample=(case((3, 3), offset=0), case((2, 4), offset=1), case((4, 3), offset=-1)),
)
"""Of a matrix; the sum over a stack of diagonals is `numpy_linalg.trace`."""


# --- einsum -----------------------------------------------------------------------------------------------------------


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
    if kept != wanted:
        found = broadcast_to(found, shape=tuple(sizes[letter] for letter in wanted))
    own = dict(zip(terms[k], x.shape, strict=True))
    if found.shape != tuple(own[letter] for letter in wanted):
        found = sum_to(found, shape=tuple(own[letter] for letter in wanted))
    if wanted == terms[k]:
        return found
    grids = dict(zip(wanted, np.ogrid[tuple(slice(own[letter]) for letter in wanted)], strict=True))
    index = tuple(Slot(i) for i in range(x.ndim))
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


def _native_einsum(instr: Instr) -> Any:
    """One kernel contracts any two operands; a third is contracted with what the first two give."""
    terms, output = _letters(instr.params["subscripts"])
    operands, out = instr.inputs, instr.outputs[0]
    if len(terms) > 3 or out.dtype.kind == "b" or any(not a.ndim or not a.type.size for a in operands):
        return False
    sizes, zero = _sizes(terms, operands), out.dtype.type(0)
    whole = (tuple(out.shape), zero)
    if len(terms) == 1:
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
    """The lengths of all indices; how far each moves through the memory of each operand, and of the result."""
    letters = [*output, *(letter for letter in dict.fromkeys("".join(terms)) if letter not in output)]

    def steps(term: str, shape: Sequence[int]) -> tuple[int, ...]:
        each = list(zip(memory_steps(shape), term, strict=True))
        return tuple(sum(step for step, t in each if t == letter) for letter in letters)

    lengths = tuple(sizes[letter] for letter in letters)
    moved = [steps(term, shape) for term, shape in zip(terms, shapes, strict=True)]
    return lengths, moved, steps(output, [sizes[letter] for letter in output])


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
        case((3, 3), subscripts="ii->i"),
        case((3, 3), (3,), subscripts="ii,i->i"),
        case((2, 3, 4), (2, 4), subscripts="bij,bj->bi"),
        case((2, 3), (3, 2), (2, 2), subscripts="ij,jk,kl->il"),
        case((2, 3), (3, 2), (2, 2), subscripts="ij,jk,ki->"),
        case((2,), (2,), (3,), subscripts="i,i,j->j"),
        case((1, 3), (2, 3), subscripts="ij,ij->ij"),
    ),
)
"""Multilinear; `subscripts` is complete: letters alone, and `->`."""


# --- equations and decompositions -------------------------------------------------------------------------------------


def definite(*shape: int) -> Any:
    """A sample: symmetric, positive definite, well conditioned."""

    def draw(generator: np.random.Generator) -> Any:
        root = generator.uniform(-1, 1, shape)
        return root @ np.swapaxes(root, -1, -2) + 2 * np.eye(shape[-1])

    return draw


def regular(*shape: int) -> Any:
    """A sample: well conditioned, not symmetric."""
    return lambda generator: generator.uniform(-1, 1, shape) + 3 * np.eye(shape[-1])


def check_square(x: Any) -> None:
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise np.linalg.LinAlgError(
            f"the last two axes of an array of shape {x.shape} are not a square matrix"
        )


def float_dtype(*inputs: Any) -> np.dtype[Any]:
    dtype = promote(*(x.dtype for x in inputs))
    return dtype if dtype.kind in "fc" else np.dtype(np.float64)


def _solve_type(a: Any, b: Any) -> ArrayType:
    check_square(a)
    dtype = float_dtype(a, b)
    if (b.shape[-1] if b.ndim == 1 else b.shape[-2]) != a.shape[-1]:
        raise ValueError(f"solve: {b.shape} does not fit {a.shape}")
    if b.ndim == 1:
        return ArrayType(a.shape[:-1], dtype)
    return ArrayType((*broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), dtype)


def _solve_vjp(g: Any, z: Any, a: Any, b: Any) -> tuple[Any, Any]:
    if a.ndim == 2 and b.ndim == 1:
        b_bar = solve(adjoint(a), g)
        return cast(-outer(b_bar, z), a.dtype), cast(b_bar, b.dtype)
    right = expand_dims(b, axis=(1,)) if b.ndim == 1 else b
    if b.ndim == 1:
        g, z = (expand_dims(x, axis=(x.ndim,)) for x in (g, z))
    b_bar = solve(adjoint(a), g)
    return cast(_fitted(-(b_bar @ adjoint(z)), a, a), a.dtype), cast(_fitted(b_bar, right, b), b.dtype)


def _solve_jvp(tangents: Any, z: Any, a: Any, b: Any) -> Any:
    a_dot, b_dot = tangents
    right = b_dot
    if a_dot is not None:
        moved = (
            a_dot @ z
            if b.ndim > 1 or a.ndim == 2
            else reshape(a_dot @ expand_dims(z, axis=(z.ndim,)), shape=z.shape)
        )
        right = -moved if b_dot is None else b_dot - moved
    if b.ndim == 1 and right.ndim > 1:
        return cast(reshape(solve(a, expand_dims(right, axis=(right.ndim,))), shape=z.shape), z.dtype)
    found = solve(a, right)
    return cast(found, z.dtype)


def _native_lapack(one: Any, many: Any) -> Any:
    """Numba has LAPACK for one matrix of one float dtype: `one` calls it, `many` does so for each of a stack."""

    def native(instr: Instr) -> Any:
        dtype = instr.inputs[0].dtype
        if any(x.dtype.kind != "f" or x.dtype != dtype or not x.type.size for x in instr.inputs):
            return False
        if all(x.ndim <= 2 for x in instr.inputs):
            return (one,)
        if len(instr.inputs) == 1:
            return (many,)
        return (many, *_stacks(*instr.inputs), tuple(instr.outputs[0].shape))

    return native


solve: Op = Op(
    "solve",
    np.linalg.solve,
    result_type=_solve_type,
    vjp=_solve_vjp,
    jvp=_solve_jvp,
    callee="np.linalg.solve",
    native=_native_lapack(kernels.solution, kernels.solutions),
    sample=(
        case(regular(3, 3), (3,)),
        case(regular(3, 3), (3, 2)),
        case(regular(2, 3, 3), (2, 3, 2)),
        case(regular(2, 3, 3), (3, 2)),
        case(regular(3, 3), (2, 3, 2)),
        case(regular(2, 3, 3), (3,)),
    ),
)


def _square_type(x: Any) -> ArrayType:
    check_square(x)
    return ArrayType(x.shape, float_dtype(x))


inv: Op = Op(
    "inv",
    np.linalg.inv,
    result_type=_square_type,
    vjp=lambda g, z, x: (cast(-(adjoint(z) @ g @ adjoint(z)), x.dtype),),
    jvp=lambda tangents, z, x: cast(-(z @ tangents[0] @ z), z.dtype),
    callee="np.linalg.inv",
    native=_native_lapack(kernels.inverse, kernels.inverses),
    sample=(case(regular(3, 3)), case(regular(2, 2, 2))),
)


def _scalar_type(x: Any) -> ArrayType:
    check_square(x)
    return ArrayType(x.shape[:-2], float_dtype(x))


def _on_matrix(g: Any) -> Any:
    """A scalar for each matrix, so that it multiplies the matrix."""
    return expand_dims(g, axis=(g.ndim, g.ndim + 1)) if g.ndim else g


def _trace_of_product(x: Any, y: Any) -> Any:
    """trace(x @ y) of stacks of matrices, without the product."""
    return sum_(x * adjoint(y), axis=(x.ndim - 2, x.ndim - 1), keepdims=False)


det: Op = Op(
    "det",
    np.linalg.det,
    result_type=_scalar_type,
    vjp=lambda g, z, x: (cast(_on_matrix(g * z) * adjoint(inv(x)), x.dtype),),
    jvp=lambda tangents, z, x: cast(z * _trace_of_product(inv(x), tangents[0]), z.dtype),
    callee="np.linalg.det",
    native=_native_lapack(kernels.determinant, kernels.determinants),
    sample=(case(regular(3, 3)), case(regular(2, 2, 2))),
)
"""Its derivative needs the inverse: of a singular matrix NumPy's `LinAlgError` is raised."""

slogdet: Op = Op(
    "slogdet",
    lambda x: tuple(np.linalg.slogdet(x)),
    result_type=lambda x: (_scalar_type(x), _scalar_type(x)),
    vjp=lambda g, z, x: (None if g[1] is None else cast(_on_matrix(g[1]) * adjoint(inv(x)), x.dtype),),
    jvp=lambda tangents, z, x: (None, cast(_trace_of_product(inv(x), tangents[0]), z[1].dtype)),
    callee="np.linalg.slogdet",
    n_outputs=2,
    native=_native_lapack(kernels.log_determinant, kernels.log_determinants),
    sample=(case(regular(3, 3)), case(regular(2, 2, 2))),
)


def halved(x: Any) -> Any:
    """The lower triangle with half the diagonal."""
    return 0.5 * (tril(x, k=0) + tril(x, k=-1))


def _cholesky_vjp(g: Any, z: Any, x: Any) -> tuple[Any, ...]:
    """Murray, Differentiation of the Cholesky decomposition, 2016, equation 10, for the triangle that is read."""
    upper = adjoint(z)
    inner = solve(upper, adjoint(solve(upper, halved(upper @ g))))
    return (cast(halved(inner + adjoint(inner)), x.dtype),)


def _cholesky_jvp(tangents: Any, z: Any, x: Any) -> Any:
    change = tril(tangents[0], k=0) + adjoint(tril(tangents[0], k=-1))
    return cast(z @ halved(solve(z, adjoint(solve(z, change)))), z.dtype)


cholesky: Op = Op(
    "cholesky",
    np.linalg.cholesky,
    result_type=_square_type,
    vjp=_cholesky_vjp,
    jvp=_cholesky_jvp,
    callee="np.linalg.cholesky",
    native=_native_lapack(kernels.cholesky_factor, kernels.cholesky_factors),
    sample=(case(definite(3, 3)), case(definite(2, 2, 2))),
)
"""NumPy reads the lower triangle alone, so the derivative with respect to what is above the diagonal is 0."""
