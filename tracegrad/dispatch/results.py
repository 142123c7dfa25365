"""What comes back to the user: values and gradients in the types and structures the user knows.

Begin with `value_tree` and `gradient_leaf`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tracegrad import tree
from tracegrad.dispatch.signature import Call
from tracegrad.errors import ArgumentError, NotScalarError
from tracegrad.ir.location import Location
from tracegrad.ir.types import ArrayType
from tracegrad.labels import Apart
from tracegrad.later import later
from tracegrad.record.frames import user_location
from tracegrad.tensor.captured import Captured, Static

if TYPE_CHECKING:
    from tracegrad.tensor import traced
else:
    traced = later("tracegrad.tensor.traced")


def definition(function: Callable[..., Any]) -> Location | None:
    """Where a function is written."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return None if code is None else Location(code.co_filename, code.co_firstlineno, code.co_name)


def seeded_outputs(
    captured: Captured, mode: str, has_aux: bool, label: str, function: Callable[..., Any], holomorphic: bool
) -> tuple[int, ...]:
    """The outputs of the trace that get a cotangent.

    Raises
    ------
    NotScalarError : a gradient is asked of a result that is not one real number
    """
    if mode == "vjp":
        return tuple(i for i, a in enumerate(captured.outputs) if a.is_inexact)
    if mode == "jacobian":
        return _differentiated_array(captured, label, function)
    if mode != "gradient":
        return ()
    returned = tree.unflatten(captured.structure, captured.results)
    first = returned
    if has_aux:
        if not isinstance(returned, tuple) or len(returned) != 2:
            raise NotScalarError(
                f"`{label}(..., has_aux=True)` needs a function that returns `(value, aux)`.",
                definition(function),
                "return a pair, or leave has_aux out",
            )
        first = returned[0]
    name = getattr(function, "__name__", "the function")
    if isinstance(first, Apart) and len(first.leaves) == 1:  # a container with labels, around one array
        first = first.leaves[0]
    if isinstance(first, (tuple, list, dict)) or not isinstance(first, (int, Static)):
        raise NotScalarError(
            f"`{label}` needs a scalar, but `{name}` returns a {getattr(first, 'kind', type(first)).__name__} of "
            f"{len(captured.results)} values.",
            definition(function),
            "return one number; for further results use has_aux=True, for all derivatives tracegrad.vjp",
        )
    if isinstance(first, Static):
        raise NotScalarError(
            f"`{label}` needs a scalar, but `{name}` returns {first.value!r}.",
            definition(function),
            "return the number to differentiate",
        )
    kind = captured.outputs[first]
    if kind.size != 1 or not kind.is_inexact:
        what = f"an array of shape {kind.shape}" if kind.shape else f"a number of type {kind.dtype}"
        raise NotScalarError(
            f"`{label}` needs a scalar, but `{name}` returns {what}.",
            definition(function),
            "reduce it, for example with np.sum(...), or use tracegrad.vjp"
            if kind.size != 1
            else "return a float",
        )
    if (kind.dtype.kind == "c") is not holomorphic:
        raise NotScalarError(
            f"`{label}(..., holomorphic=True)` needs a complex number, but `{name}` returns a real one."
            if holomorphic
            else f"`{label}` needs a real number, but `{name}` returns a complex one.",
            definition(function),
            "leave holomorphic out"
            if holomorphic
            else "take a real number of it, np.abs(z) or z.real; for the derivative of a holomorphic function say "
            "holomorphic=True",
        )
    return (first,)


def _differentiated_array(captured: Captured, label: str, function: Callable[..., Any]) -> tuple[int, ...]:
    """The output that is the one array a function returns; none, for what never changes.

    Raises
    ------
    ArgumentError : it returns several, or one with labels
    """
    returned = tree.unflatten(captured.structure, captured.results)
    if isinstance(returned, int):
        return (returned,)
    if isinstance(returned, Static):
        return ()
    name, labelled = getattr(function, "__name__", "the function"), isinstance(returned, Apart)
    kind = getattr(returned, "kind", type(returned)).__name__
    raise ArgumentError(
        f"`{label}` needs a number or an array, but `{name}` returns a {kind}.",
        user_location(),
        "return its values, .to_numpy()"
        if labelled
        else "stack what it returns, np.stack(...), or use tracegrad.vjp",
    )


def check_unlabelled(call: Call) -> None:
    """Refuse a matrix of derivatives by a container with labels."""
    if any(structure is not None and tree.has_labels(structure) for structure, _ in call.groups):
        raise ArgumentError(
            "a matrix of derivatives does not have the labels of its argument.",
            user_location(),
            "differentiate by the values, `jacobian(lambda x: f(pd.Series(x, index)))(s.to_numpy())`",
        )


def plain(value: Any, type: ArrayType, weak: bool) -> Any:
    """A result as the user's own function would have returned it."""
    if getattr(value, "recorder", None) is not None:
        return traced.weak(value) if weak else value
    if type.shape:
        return value
    if weak:
        return value.item() if hasattr(value, "item") else value
    return type.dtype.type(value)


def value_tree(captured: Captured, outputs: Sequence[Any]) -> Any:
    """The function's result from the outputs of its program."""
    leaves = [
        r.value if isinstance(r, Static) else plain(outputs[r], captured.outputs[r], captured.weak[r])
        for r in captured.results
    ]
    return tree.unflatten(captured.structure, leaves)


def gradient_leaf(value: Any, given: Any) -> Any:
    """A gradient in the kind of its argument: a float for a float, an array of its own for an array."""
    if getattr(value, "recorder", None) is not None:
        return value
    if isinstance(given, np.ndarray):
        return value if given.ndim and isinstance(value, np.ndarray) else np.array(value, given.dtype)
    if isinstance(given, np.generic):
        return given.dtype.type(value)
    return complex(value) if isinstance(given, complex) else float(value)


def jacobian_leaf(value: Any, given: Any) -> Any:
    """All derivatives by one argument, as an array whatever its shape."""
    return np.asarray(value, getattr(given, "dtype", None))


def derivatives(call: Call, flat: Sequence[Any], single: bool, whole: bool) -> Any:
    """Flat gradients, or Jacobians if they are whole, in the structure of the differentiated arguments."""
    kind, found = jacobian_leaf if whole else gradient_leaf, iter(flat)
    parts = [
        tree.unflatten(structure, [kind(next(found), call.leaves[p].value) for p in places])
        for structure, places in call.groups
    ]
    return parts[0] if single else tuple(parts)


def tangent_leaves(call: Call, directions: Sequence[Any]) -> list[Any]:
    """What a user passes to `jvp` as directions, as one value for each leaf of the primals.

    Raises
    ------
    ArgumentError : another structure, another shape than the primal's, or complex where the primal is real
    """
    if len(directions) != len(call.groups):
        raise ArgumentError(
            f"`jvp` got {len(call.groups)} primals and {len(directions)} tangents.",
            user_location(),
            "pass one tangent for each primal",
        )
    out: list[Any] = []
    for (structure, places), direction in zip(call.groups, directions, strict=True):
        flat, found = tree.flatten(direction)
        if found != structure:
            raise ArgumentError(
                "a tangent has another structure than its primal.",
                user_location(),
                "nest it as the primal is nested",
            )
        for place, given in zip(places, flat, strict=True):
            primal = call.leaves[place]
            shape = np.shape(getattr(primal.value, "value", primal.value))
            if getattr(given, "recorder", None) is None:
                kind = complex if isinstance(primal.value, complex) else float
                dtype = getattr(primal.value, "dtype", np.dtype(kind))
                given = _of_dtype(given, dtype, f"the tangent of `{primal.name}`", "its primal")
            if given.shape != shape:
                raise ArgumentError(
                    f"the tangent of `{primal.name}` has shape {given.shape}, its primal has shape {shape}.",
                    user_location(),
                    "pass an array of the shape of the primal",
                )
            out.append(given if shape or getattr(given, "recorder", None) is not None else given[()])
    return out


def _of_dtype(given: Any, dtype: np.dtype[Any], what: str, belongs: str) -> Any:
    """A number or an array of the user's as an array of a dtype, where nothing is lost."""
    array = np.asarray(given)
    if array.dtype.kind not in "biuf" + dtype.kind:
        raise ArgumentError(
            f"{what} is of {array.dtype}, {belongs} of {dtype}.",
            user_location(),
            "pass real numbers, as `.real` of complex ones gives them"
            if array.dtype.kind == "c"
            else "pass a number or an array of numbers",
        )
    return array.astype(dtype, copy=False)


def cotangent_leaves(captured: Captured, seeded: Sequence[int], cotangent: Any) -> list[Any]:
    """What a user passes to a pullback, as one array for each seeded output.

    Raises
    ------
    ArgumentError : another structure, another shape than the result's, or complex where the result is real
    """
    flat, structure = tree.flatten(cotangent)
    if structure != captured.structure or len(flat) != len(captured.results):
        raise ArgumentError(
            "the cotangent has another structure than the result.",
            user_location(),
            f"pass one value for each of the {len(captured.results)} results, nested as they are",
        )
    out: list[Any] = []
    for place in seeded:
        given = flat[captured.results.index(place)]
        type = captured.outputs[place]
        if getattr(given, "recorder", None) is None:
            given = _of_dtype(given, type.dtype, "the cotangent", "the result")
        if given.shape != type.shape:
            raise ArgumentError(
                f"the cotangent has shape {given.shape}, but the result has shape {type.shape}.",
                user_location(),
                "pass an array of the shape of the result",
            )
        out.append(given if getattr(given, "recorder", None) is not None or type.shape else given[()])
    return out
