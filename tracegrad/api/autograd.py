"""The PyTorch style: `autograd.grad`, `autograd.backward`, `autograd.Function`, and `Variable` of the oldest
tutorials.

Begin with `grad`; a derivative of one's own is a `Function`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracegrad.errors import ArgumentError, BackwardError, InPlaceError, ShapeError, UnsupportedError
from tracegrad.record.frames import user_location
from tracegrad.record.node import Input, Node
from tracegrad.tensor.backward import accumulate, gone, place_of, run_backward, seeds
from tracegrad.tensor.inplace import whole
from tracegrad.tensor.modes import (
    allow_mutation_on_saved_tensors,
    enable_grad,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from tracegrad.tensor.tensor import EAGER, Tensor

__all__ = [
    "Function",
    "FunctionContext",
    "Variable",
    "allow_mutation_on_saved_tensors",
    "backward",
    "enable_grad",
    "grad",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]


def _several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _matching(gradients: Any, count: int) -> list[Any]:
    found = [None] * count if gradients is None else _several(gradients)
    if len(found) != count:
        raise ArgumentError(
            f"got {count} tensors and {len(found)} gradients.",
            user_location(),
            "give one gradient a tensor, or None",
        )
    return found


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of outputs with respect to inputs; no `.grad` is touched.

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
    inputs : Tensor or sequence of Tensor
        Leaves, or values computed on the way.
    grad_outputs : Tensor or sequence of Tensor, optional
        Cotangents of the outputs; 1 for scalars.
    retain_graph : bool, optional
        Keep the values for another backward; default `create_graph`.
    create_graph : bool, default False
        Record the backward, so that the gradients can be differentiated again.
    allow_unused : bool, default False
        Give None for an input that no output depends on, instead of raising.
    materialize_grads : bool, default False
        Give zeros for it.

    Returns
    -------
    tuple of Tensor, one an input

    Raises
    ------
    BackwardError : an input does not require a gradient, or is not used; or the values were let go
    """
    tensors, wanted = _several(outputs), _several(inputs)
    for k, tensor in enumerate(wanted):
        if not tensor.requires_grad:
            raise BackwardError(
                f"One of the differentiated Tensors (number {k}) does not require grad.",
                user_location(),
                "make it with requires_grad=True, before the outputs are computed",
            )
    start = seeds(tensors, _matching(grad_outputs, len(tensors)), Tensor, create_graph)
    keep = create_graph if retain_graph is None else retain_graph
    found = run_backward(start, wanted, Tensor, keep, create_graph)
    results: list[Tensor | None] = []
    for k, tensor in enumerate(wanted):
        bar = found.get(place_of(tensor))
        if bar is None and materialize_grads:
            results.append(Tensor(np.zeros_like(tensor.value)))
        elif bar is None:
            if not allow_unused:
                raise BackwardError(
                    f"One of the differentiated Tensors (number {k}) appears to not have been used in the graph.",
                    user_location(),
                    "set allow_unused=True if this is the desired behavior",
                )
            results.append(None)
        else:
            results.append(
                bar if create_graph else Tensor(np.array(bar, dtype=tensor.value.dtype, order="C"))
            )
    return tuple(results)


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradients of several tensors together to `.grad` of the leaves: `Tensor.backward` of their sum."""
    given = _several(tensors)
    start = seeds(given, _matching(grad_tensors, len(given)), Tensor, create_graph)
    keep = create_graph if retain_graph is None else retain_graph
    accumulate(
        run_backward(start, inputs and _several(inputs), Tensor, keep, create_graph), Tensor, create_graph
    )


def Variable(data: Any, requires_grad: bool = False) -> Tensor:
    """A tensor that shares memory with `data`; what tutorials of the oldest kind wrap tensors in."""
    return (data.detach() if isinstance(data, Tensor) else Tensor(np.asarray(data))).requires_grad_(
        requires_grad
    )


# --- a derivative of one's own ------------------------------------------------------------------------------


class FunctionContext:
    """What a `Function` hands from `forward` to `backward`; any attribute may be set on it.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        For each argument of `apply`, whether its gradient is wanted.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad
        self._saved: tuple[tuple[Tensor | None, int], ...] = ()
        self._no_derivative: tuple[Any, ...] = ()
        self._zeros = True
        self._node: Node | None = None

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for `backward`, which finds them in `saved_tensors`."""
        self._saved = tuple((t, 0 if t is None else t.version.count) for t in tensors)

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """What was saved, if it still is what it was."""
        node = self._node
        if self._saved and node is not None and node.released:
            raise gone(node.location)
        for tensor, seen in self._saved:
            if tensor is not None and tensor.version.count != seen:
                raise InPlaceError(
                    "one of the variables needed for gradient computation has been modified by an inplace operation: "
                    f"a saved tensor of shape {tuple(tensor.shape)} is at version {tensor.version.count}; expected "
                    f"version {seen} instead.",
                    node.location if node is not None else None,
                    "write out of place, or save a clone()",
                )
        return tuple(tensor for tensor, _ in self._saved)

    def mark_non_differentiable(self, *outputs: Tensor) -> None:
        """Say that these results carry no derivative."""
        self._no_derivative = outputs

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (True) or None for a result that nothing depends on."""
        self._zeros = value


class Function:
    """A function with a derivative of its own.

    Subclasses define two static methods, `forward(ctx, *args)`, and `backward(ctx, *grad_outputs)`, which returns a
    gradient, or None, for each argument. They are called by `apply`.

    Examples
    --------
    >>> class Exp(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         y = x.exp()
    ...         ctx.save_for_backward(y)
    ...         return y
    ...     @staticmethod
    ...     def backward(ctx, y_bar):
    ...         (y,) = ctx.saved_tensors
    ...         return y_bar * y
    >>> y = Exp.apply(x)
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the result, of tensors, unrecorded."""
        raise NotImplementedError("a Function defines forward(ctx, *args) as a static method")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Compute the gradients of the arguments from those of the results."""
        raise NotImplementedError("a Function defines backward(ctx, *grad_outputs) as a static method")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Save what `backward` needs; for a `forward` that does not take `ctx`."""

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Call the function.

        Raises
        ------
        UnsupportedError : inside a function that is being captured
        """
        if any(getattr(getattr(a, "recorder", None), "level", 0) > 0 for a in args):
            raise UnsupportedError(
                f"`{cls.__name__}` is an autograd.Function, whose backward only Python knows: it cannot be captured.",
                user_location(),
                "use it with eager tensors and .backward(), or write the function in NumPy",
            )
        ctx = FunctionContext(tuple(isinstance(a, Tensor) and a.requires_grad for a in args))
        with no_grad():
            if cls.setup_context is Function.setup_context:
                output = cls.forward(ctx, *args)
            else:
                output = cls.forward(*args)
                cls.setup_context(ctx, args, output)
        results = tuple(output) if isinstance(output, (tuple, list)) else (output,)
        if not (is_grad_enabled() and any(ctx.needs_input_grad)):
            return output
        given = [a for a in args if isinstance(a, Tensor)]
        results = tuple(r.detach() if any(r is a for a in given) else r for r in results)
        cls._record(ctx, args, results)
        return results[0] if not isinstance(output, (tuple, list)) else results

    @classmethod
    def _record(cls, ctx: FunctionContext, args: Sequence[Any], results: Sequence[Any]) -> None:
        tensors = [r for r in results if isinstance(r, Tensor)]
        memory = [whole(a) for a in args if isinstance(a, Tensor)]
        for tensor in tensors:
            if tensor.base is not None and not any(tensor.base is m for m in memory):
                tensor.base = tensor.window = None  # a part of what forward made for itself

        def pull(cotangents: tuple[Any, ...]) -> tuple[Any, ...]:
            if ctx._zeros:
                cotangents = tuple(
                    Tensor(np.zeros_like(t)) if g is None else g
                    for g, t in zip(cotangents, templates, strict=True)
                )
            given = iter(cotangents)
            return cls._checked(cls.backward(ctx, *(next(given) if k else None for k in is_tensor)), args)

        templates = [np.broadcast_to(np.zeros((), t.value.dtype), t.value.shape) for t in tensors]
        is_tensor = [isinstance(r, Tensor) for r in results]
        inputs = tuple(EAGER.as_input(a) if isinstance(a, Tensor) else Input(None) for a in args)
        ctx._node = EAGER.leave_node(None, {}, inputs, tensors, pull=pull, label=f"{cls.__name__}Backward")
        for tensor in tensors:
            if any(tensor is t for t in ctx._no_derivative):
                tensor.detach_()

    @classmethod
    def _checked(cls, found: Any, args: Sequence[Any]) -> tuple[Any, ...]:
        """What the user's backward returned: one gradient an argument, each of the right shape."""
        bars = list(found) if isinstance(found, (tuple, list)) else [found]
        extra = bars[len(args) :]
        if len(bars) < len(args) or any(bar is not None for bar in extra):
            raise BackwardError(
                f"function {cls.__name__}Backward returned an incorrect number of gradients (expected {len(args)}, got "
                f"{len(bars)}).",
                user_location(),
                "return one gradient for each argument of forward, None where there is none",
            )
        checked: list[Any] = []
        for k, (bar, arg) in enumerate(zip(bars, args, strict=False)):
            if bar is None or not isinstance(arg, Tensor):
                checked.append(None)
                continue
            bar = bar if isinstance(bar, Tensor) else Tensor(np.asarray(bar))
            if bar.value.shape != arg.value.shape:
                raise ShapeError(
                    f"function {cls.__name__}Backward returned an invalid gradient at index {k} - got "
                    f"{list(bar.value.shape)} but expected shape compatible with {list(arg.value.shape)}.",
                    user_location(),
                    "return a gradient with the shape of the argument",
                )
            if bar.is_complex() and not arg.is_complex():
                bar = bar.real
            checked.append(bar.to(arg.value.dtype))
        return tuple(checked)
