"""Whole matrices of derivatives, and products with them: jacobian, hessian, and what is cheaper than either.

Each takes a function of plain NumPy code and returns one with the same arguments. A Jacobian is one program: a loop
over the items of the result, or over those of the argument if it has no more of them. Begin with `jacobian`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tracegrad import tree
from tracegrad.api.derivatives import Function, Places, places
from tracegrad.api.derived import Derived
from tracegrad.containers import is_container
from tracegrad.dispatch.dispatcher import Dispatcher
from tracegrad.errors import ArgumentError
from tracegrad.record.frames import user_location


def jacobian(function: Function, argnum: Places = 0) -> Function:
    """All first derivatives of a function of an array.

    Parameters
    ----------
    function : callable
        Plain NumPy code that returns a number or an array.
    argnum : int or str, default 0
        Which argument to differentiate by; an array, a number, or a structure of them.

    Returns
    -------
    callable
        With the arguments of `function`. Returns an array of the shape of the result followed by that of the
        argument; in the argument's structure, if it has one.

    Examples
    --------
    >>> jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    array([[2., 0.],
           [0., 4.]])
    """
    return Dispatcher(function, "jacobian", argnums=places(argnum), label="jacobian")


def hessian(function: Function, argnum: Places = 0) -> Function:
    """All second derivatives of a function of an array.

    Parameters
    ----------
    function : callable
        Plain NumPy code; for a scalar the result is the symmetric matrix, for an array one of them for each item.
    argnum : int or str, default 0
        Which argument to differentiate by: an array or a number.

    Returns
    -------
    callable
        With the arguments of `function`. Returns an array of the shape of the result followed twice by that of the
        argument.
    """
    return Derived(function, "hessian", jacobian(jacobian(function, argnum), argnum))


def hessian_tensor_product(function: Function, argnum: Places = 0) -> Function:
    """The Hessian of a scalar function times a tensor, without the Hessian: about the cost of two gradients.

    Returns
    -------
    callable
        Takes the arguments of `function` and, last, the tensor, which has the shape of the differentiated argument.
        The result has the same shape.
    """
    gradient = Dispatcher(function, "gradient", argnums=places(argnum), label="grad")
    pushed = Dispatcher(gradient, "jvp", argnums=places(argnum), label="hessian_tensor_product")

    def product(*args: Any, **keywords: Any) -> Any:
        *primals, tensor = args
        return pushed(primals, directions(argnum, tensor), **keywords)[1]

    # Called as any compiled function is; the two transforms are part of what is recorded.
    return Derived(
        function, "hessian_tensor_product", Dispatcher(product, "value", label="hessian_tensor_product")
    )


hessian_vector_product = hessian_tensor_product


def tensor_jacobian_product(function: Function, argnum: Places = 0) -> Function:
    """A tensor times the Jacobian of a function, without the Jacobian: one pullback where all axes are summed over.

    Returns
    -------
    callable
        Takes the arguments of `function` and, last, the tensor; its axes are summed over with the first axes of the
        result. Returns an array of the shape of the other axes of the result followed by that of the argument.
    """
    pulled = Dispatcher(function, "vjp", argnums=places(argnum), label="tensor_jacobian_product")

    def product(*args: Any, **keywords: Any) -> Any:
        *primals, tensor = args
        value, pull = pulled(*primals, **keywords)
        _one_array(value, "tensor_jacobian_product", function)
        rest = np.shape(value)[np.ndim(tensor) :]
        if not rest:
            return pull(tensor)
        left = np.reshape(tensor, np.shape(tensor) + (1,) * len(rest))
        rows = [pull(left * e) for e in _basis(np.zeros(rest))]
        return _stacked(rows, rest, lambda: pull(_zeros(value)))

    return Derived(function, "tensor_jacobian_product", product)


vector_jacobian_product = tensor_jacobian_product


def directions(argnum: Places, tangent: Any) -> Sequence[Any]:
    """What `jvp` takes as tangents: one for each differentiated argument."""
    return tuple(tangent) if isinstance(argnum, (list, tuple)) else (tangent,)


def _one_array(value: Any, label: str, function: Any) -> None:
    if isinstance(value, (list, tuple, dict)) or is_container(type(value)):
        name = getattr(function, "__name__", "the function")
        raise ArgumentError(
            f"`{label}` needs a number or an array, but `{name}` returns a {type(value).__name__}.",
            user_location(),
            "return its values, .to_numpy()"
            if is_container(type(value))
            else "stack what it returns, np.stack(...), or use tracegrad.vjp",
        )


def _zeros(value: Any) -> Any:
    return np.zeros(np.shape(value), value.dtype if hasattr(value, "dtype") else float)[()]


def _basis(value: Any) -> Iterator[Any]:
    """One after the other the arrays like this that are zero but for one item."""
    for k in range(int(np.prod(np.shape(value), dtype=int))):
        unit = np.zeros(np.shape(value), value.dtype if hasattr(value, "dtype") else float)
        unit.flat[k] = 1
        yield unit[()]


def _stacked(rows: Sequence[Any], shape: tuple[int, ...], empty: Callable[[], Any]) -> Any:
    """Derivatives for each item of a result of this shape as one array, leaf by leaf."""
    flat, structure = tree.flatten(rows[0] if rows else empty())
    columns = list(zip(*(tree.flatten(row)[0] for row in rows), strict=True)) or [()] * len(flat)
    if tree.has_labels(structure):
        raise ArgumentError(
            "a matrix of derivatives does not have the labels of its argument.",
            user_location(),
            "differentiate by the values, `jacobian(lambda x: f(pd.Series(x, index)))(s.to_numpy())`",
        )
    leaves = [
        np.reshape(np.stack(column), shape + np.shape(leaf)) if column else np.zeros(shape + np.shape(leaf))
        for column, leaf in zip(columns, flat, strict=True)
    ]
    return tree.unflatten(structure, leaves)
