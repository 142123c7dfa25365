"""Products of vectors and matrices, and functions of matrices, under PyTorch's names.

As in `functions.py`, the first argument is `input`, so that a function is also the method of the same name. Begin with
`matmul`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tracegrad.ops.compare import where as choose
from tracegrad.ops.functions import FUNCTIONS, SCIPY_FUNCTIONS
from tracegrad.tensor.arrangement import labelled
from tracegrad.tensor.functions import add, binary


def _product(input: Any, other: Any, name: str, dims: tuple[tuple[int, int], ...]) -> Any:
    if (input.ndim, other.ndim) not in dims:
        wanted = " and ".join(f"{d}-D" for d in dims[0])
        raise ValueError(
            f"{name}: expected {wanted} tensors, but got {input.ndim}-D and {other.ndim}-D tensors"
        )
    return FUNCTIONS[np.matmul](input, other)


def dot(input: Any, tensor: Any) -> Any:
    """The inner product of two vectors."""
    return _product(input, tensor, "dot", ((1, 1),))


def mv(input: Any, vec: Any) -> Any:
    """A matrix times a vector."""
    return _product(input, vec, "mv", ((2, 1),))


def mm(input: Any, mat2: Any) -> Any:
    """A matrix times a matrix."""
    return _product(input, mat2, "mm", ((2, 2),))


def bmm(input: Any, mat2: Any) -> Any:
    """A batch of matrices times a batch of matrices."""
    return labelled(_product(input, mat2, "bmm", ((3, 3),)), "BmmBackward0")


matmul, outer, inner, vdot = binary(np.matmul), binary(np.outer), binary(np.inner), binary(np.vdot)


def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """`beta * input + alpha * (mat1 @ mat2)`."""
    return add(input if beta == 1 else beta * input, mm(mat1, mat2), alpha=alpha)


def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """`beta * input + alpha * (mat @ vec)`."""
    return add(input if beta == 1 else beta * input, mv(mat, vec), alpha=alpha)


def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """`beta * input + alpha * (batch1 @ batch2)`."""
    return add(input if beta == 1 else beta * input, bmm(batch1, batch2), alpha=alpha)


def cross(input: Any, other: Any, dim: int = -1) -> Any:
    """The vector product."""
    return FUNCTIONS[np.cross](input, other, axis=dim)


def tensordot(a: Any, b: Any, dims: Any = 2) -> Any:
    """The contraction of the last `dims` dimensions with the first, or of these lists of dimensions."""
    return FUNCTIONS[np.tensordot](a, b, dims)


def matrix_power(input: Any, n: int) -> Any:
    """A matrix times itself `n` times."""
    return FUNCTIONS[np.linalg.matrix_power](input, n)


def matrix_exp(input: Any) -> Any:
    """The exponential of a matrix."""
    return SCIPY_FUNCTIONS["scipy.linalg.expm"](input)


def slogdet(input: Any) -> tuple[Any, Any]:
    """The sign of the determinant and the logarithm of its size."""
    sign_, size = FUNCTIONS[np.linalg.slogdet](input)
    return sign_, size


def logdet(input: Any) -> Any:
    """The logarithm of the determinant, NaN where that is negative."""
    sign_, size = slogdet(input)
    return choose(sign_ < 0, math.nan, size)


def einsum(equation: str, *operands: Any) -> Any:
    """Einstein's summation."""
    return FUNCTIONS[np.einsum](equation, *operands)


def trace(input: Any, offset: int = 0) -> Any:
    """The sum of the diagonal."""
    return FUNCTIONS[np.trace](input, offset)


def diag(input: Any, diagonal: int = 0) -> Any:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal."""
    return FUNCTIONS[np.diag](input, diagonal)


def tril(input: Any, diagonal: int = 0) -> Any:
    """The lower triangle."""
    return FUNCTIONS[np.tril](input, diagonal)


def triu(input: Any, diagonal: int = 0) -> Any:
    """The upper triangle."""
    return FUNCTIONS[np.triu](input, diagonal)


def det(input: Any) -> Any:
    """The determinant."""
    return FUNCTIONS[np.linalg.det](input)


def inverse(input: Any) -> Any:
    """The inverse of a matrix."""
    return FUNCTIONS[np.linalg.inv](input)
