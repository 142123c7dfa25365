"""The eager recorder: computes with NumPy at once, and leaves a node where a gradient may be asked for.

In: an op and its arguments. Out: tensors. Of recorders this is the lowest, level 0: beside a capture's value, the
capture records. Begin with `Eager.apply`.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import LeakError, NotScalarError, ShapeError, add_line
from tracegrad.ir.location import Location
from tracegrad.ir.types import WEAK
from tracegrad.ops import arithmetic, index
from tracegrad.ops.op import Op
from tracegrad.record.frames import stores_an_item, user_location
from tracegrad.record.node import AccumulateGrad, Input, Node, Output, Version
from tracegrad.tensor.inplace import Window, Writes, whole
from tracegrad.tensor.modes import is_grad_enabled, keeps_overwritten


class Eager(Writes):
    """The recorder of eager tensors.

    Parameters
    ----------
    make : type
        The class of the results, `Tensor`.
    """

    level = 0

    def __init__(self, make: Any) -> None:
        self.make: Any = make

    def apply(self, op: Op, args: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """Compute `op(*args, **params)`; record it where an argument requires a gradient."""
        values, active = self._values(args)
        with np.errstate(all="ignore"):
            results = self._evaluate(op, values, params)
        if op.n_outputs == 1:
            made = [
                self._wrap(results if type(results) is np.ndarray else np.asarray(results), op, args, params)
            ]
            if op is index.getitem and type(results) is not np.ndarray:
                made[0].value.flags.writeable = False  # an item is a number of its own, as in NumPy
        else:
            made = [self._wrap(np.asarray(r), op, args, params) for r in results]
        # Of the ops whose derivative is zero, floor and its kind are recorded, since PyTorch's have a grad_fn.
        if active and (not op.passes_zero or op.family == "elementwise"):
            for tensor in made:
                if tensor.value.dtype.kind in "fc":
                    self.leave_node(op, params, tuple([self.as_input(a) for a in args]), made)
                    break
        return made[0] if op.n_outputs == 1 else tuple(made)

    def _values(self, args: Sequence[Any]) -> tuple[list[Any], bool]:
        """The arrays of the arguments, and whether what is done with them is recorded."""
        make, values, active = self.make, [], False
        for arg in args:
            if isinstance(arg, make):
                values.append(arg.value)
                if arg.born != arg.version.recorded:
                    self.catch_up(arg)
                if arg.active:
                    active = True
            else:
                values.append(arg)
        return values, active and is_grad_enabled()

    def _evaluate(self, op: Op, values: Sequence[Any], params: Mapping[str, Any]) -> Any:
        try:
            return op.evaluate(*values, **params)
        except Exception as error:
            if type(error) is not ValueError:
                add_line(error, user_location())
                raise
            said = str(error) if str(error).startswith(op.name) else f"`{op.name}`: {error}"
            raise ShapeError(
                said,
                user_location(),
                "make the shapes fit, with reshape, unsqueeze or an index",
            ) from error

    def _wrap(
        self, value: np.ndarray[Any, Any], op: Op, args: Sequence[Any], params: Mapping[str, Any]
    ) -> Any:
        """A new tensor; one that looks at the memory of an argument is a view of it, and shares its version."""
        tensor = self.make(value)
        for arg in args:
            if not isinstance(arg, self.make):
                continue
            if value is arg.value or (value.base is not None and np.may_share_memory(value, arg.value)):
                tensor.base, tensor.version, tensor.born = whole(arg), arg.version, arg.version.recorded
                tensor.window = Window(arg, op, args, params, is_grad_enabled())
                break
        return tensor

    def seen_as(
        self, view: np.ndarray[Any, Any], op: Op, args: Sequence[Any], params: Mapping[str, Any]
    ) -> Any:
        """A view of the memory of `args[0]` that NumPy makes in another way than by `op(*args, **params)`."""
        _, active = self._values(args)
        tensor = self._wrap(view, op, args, params)
        if active and view.dtype.kind in "fc":
            self.leave_node(op, params, tuple([self.as_input(a) for a in args]), (tensor,))
        return tensor

    def leave_node(
        self,
        op: Op | None,
        params: Mapping[str, Any],
        inputs: tuple[Input, ...],
        results: Sequence[Any],
        **more: Any,
    ) -> Node:
        """Record what was done; each result that can carry a derivative now requires a gradient."""
        outputs = tuple([Output(t.value, t.version) for t in results])
        node = Node(op, params, inputs, outputs, user_location(), **more)
        if keeps_overwritten():
            node.watch()
        for k, tensor in enumerate(results):
            if tensor.value.dtype.kind in "fc":
                tensor.node, tensor.index, tensor.active = node, k, True
        return node

    def new_node(self, op: Op, params: Mapping[str, Any], inputs: tuple[Input, ...], output: Output) -> Node:
        """A node with one result, which no tensor stands for yet."""
        node = Node(op, params, inputs, (output,), user_location())
        if keeps_overwritten():
            node.watch()
        return node

    def as_input(self, arg: Any) -> Input:
        """What a node keeps of an argument."""
        if not isinstance(arg, self.make):
            return Input(arg if type(arg) in WEAK else np.array(arg))  # a copy: nobody counts writes into it
        tensor: Any = arg
        if not tensor.active:
            return Input(tensor.value, tensor.version)
        if tensor.node is None:
            return Input(tensor.value, tensor.version, accumulator(tensor))
        output = tensor.node.outputs[tensor.index]
        if output.version is tensor.version and output.seen == tensor.version.count:
            return Input(None, tensor.version, tensor.node, tensor.index)
        # Written unrecorded (under no_grad, through .data): the value is another, the derivative the same.
        return self.alias(tensor, tensor.value, tensor.version)

    def alias(self, tensor: Any, value: np.ndarray[Any, Any], version: Version) -> Input:
        """The tensor's place in the graph, with this value."""
        before = Input(None, tensor.version, tensor.node, tensor.index)
        node = self.new_node(arithmetic.positive_, {}, (before,), Output(value, version))
        return Input(None, version, node, 0)

    def location(self) -> Location | None:
        """The user's line."""
        return user_location()

    # --- leaving --------------------------------------------------------------------------------------------

    def truth(self, tensor: Any) -> bool:
        value = tensor.value
        if value.size != 1:
            raise NotScalarError(
                "Boolean value of Tensor with more than one value is ambiguous."
                if value.size
                else "Boolean value of Tensor with no values is ambiguous.",
                user_location(),
                "say which is meant: (x > 0).any() or (x > 0).all()",
            )
        return bool(value.item())

    def number(self, tensor: Any, kind: Any) -> Any:
        value = tensor.value
        if value.size != 1:
            raise NotScalarError(
                f"a Tensor with {value.size} elements cannot be converted to Scalar.",
                user_location(),
                "take one element first, `x[0]`, or use tolist()",
            )
        if kind == "item":
            return value.item()
        if kind == "index":
            if value.dtype.kind not in "iub":
                raise TypeError("only integer tensors of a single element can be converted to an index")
            return int(value.item())
        if tensor.active:
            _warn_of_number(kind.__name__)
        return kind(value.item())

    def array(self, tensor: Any) -> np.ndarray[Any, Any]:
        if tensor.active:
            if stores_an_item():
                raise LeakError(
                    "a Tensor that requires grad is stored into an array that has no derivative.",
                    user_location(),
                    f"{_AS_TENSOR}; or let tracegrad.grad(f) run the function, which knows NumPy's arrays",
                )
            raise LeakError(
                "Can't call numpy() on Tensor that requires grad.",
                user_location(),
                "use tensor.detach().numpy() instead; or tracegrad.array([...]), which keeps the derivative",
            )
        return tensor.value


_AS_TENSOR = "make the array a Tensor: tracegrad.zeros(...), tracegrad.array(...), np.zeros_like(tensor)"


def _warn_of_number(kind: str) -> None:
    """As PyTorch: what NumPy and `math` ask a tensor for, without a word in the user's line, has no derivative."""
    where = user_location()
    instead = (
        _AS_TENSOR if stores_an_item() else "a function of tracegrad's (tracegrad.fromiter, tracegrad.sin)"
    )
    warnings.warn_explicit(
        f"{kind}() of a Tensor that requires grad is a plain number, through which no derivative passes: write "
        f"x.item() or x.detach() if that is meant; if not, {instead}",
        UserWarning,
        "<tracegrad>" if where is None else where.file,
        0 if where is None else where.line,
    )


def accumulator(leaf: Any) -> AccumulateGrad:
    """The end of the graph at this leaf; the same object while anything refers to it."""
    found = leaf.end() if leaf.end is not None else None
    if found is None:
        found = AccumulateGrad(leaf)
        leaf.end = weakref.ref(found)
    return found
