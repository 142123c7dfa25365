"""The eager recorder: computes with NumPy at once, and leaves a node where a gradient may be asked for.

In: an op and its arguments. Out: tensors. Of recorders this is the lowest, level 0: beside a capture's value, the
capture records. Begin with `Eager.apply`.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import LeakError, NotScalarError, ShapeError
from tracegrad.ir.types import WEAK
from tracegrad.ops import arithmetic, families, index
from tracegrad.ops.op import Op
from tracegrad.record.frames import user_location
from tracegrad.record.node import AccumulateGrad, Input, Node, Output, Version
from tracegrad.tensor.inplace import check_view, check_write
from tracegrad.tensor.modes import is_grad_enabled

_KEEP_NOTHING = (
    arithmetic.add,
    arithmetic.subtract,
)  # their derivative reads no value, so an overwritten one may go


class Eager:
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
            made = [self._wrap(results if type(results) is np.ndarray else np.asarray(results), args)]
        else:
            made = [self._wrap(np.asarray(r), args) for r in results]
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
                if arg.active:
                    active = True
                elif arg.base is not None:
                    check_view(arg)
            else:
                values.append(arg)
        return values, active and is_grad_enabled()

    def _evaluate(self, op: Op, values: Sequence[Any], params: Mapping[str, Any]) -> Any:
        try:
            return op.evaluate(*values, **params)
        except np.linalg.LinAlgError:
            raise
        except ValueError as error:
            raise ShapeError(
                f"`{op.name}`: {error}",
                user_location(),
                "make the shapes fit, with reshape, unsqueeze or an index",
            ) from error

    def _wrap(self, value: np.ndarray[Any, Any], args: Sequence[Any]) -> Any:
        """A new tensor; one that looks at the memory of an argument shares its version."""
        tensor = self.make(value)
        for arg in args:
            if not isinstance(arg, self.make):
                continue
            if value is arg.value or (value.base is not None and np.may_share_memory(value, arg.value)):
                tensor.base = arg if arg.base is None else arg.base
                tensor.version = arg.version
                tensor.born = arg.version.recorded
                break
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
        for k, tensor in enumerate(results):
            if tensor.value.dtype.kind in "fc":
                tensor.node, tensor.index, tensor.active = node, k, True
        return node

    def as_input(self, arg: Any) -> Input:
        """What a node keeps of an argument."""
        if not isinstance(arg, self.make):
            return Input(arg if type(arg) in WEAK else np.array(arg))  # a copy: nobody counts writes into it
        tensor: Any = arg
        if not tensor.active:
            return Input(tensor.value, tensor.version)
        if tensor.node is None:
            check_view(tensor)
            return Input(tensor.value, tensor.version, accumulator(tensor))
        output = tensor.node.outputs[tensor.index]
        if output.version is tensor.version and output.seen == tensor.version.count:
            return Input(None, tensor.version, tensor.node, tensor.index)
        # Written unrecorded (under no_grad, through .data): the value is another, the derivative the same.
        check_view(tensor)
        return self._alias(tensor, tensor.value, tensor.version)

    def _alias(self, tensor: Any, value: np.ndarray[Any, Any], version: Version) -> Input:
        """The tensor's place in the graph, with this value."""
        before = Input(None, tensor.version, tensor.node, tensor.index)
        node = Node(arithmetic.positive_, {}, (before,), (Output(value, version),), user_location())
        return Input(None, version, node, 0)

    # --- writing --------------------------------------------------------------------------------------------

    def plain_key(self, key: Any, shape: tuple[int, ...]) -> Any:
        """An index without tensors, into an array of this shape."""
        if isinstance(key, tuple):
            key = tuple(part.value if isinstance(part, self.make) else part for part in key)
        elif isinstance(key, self.make):
            key = key.value
        index.check_masks(key, shape)
        return key

    def assign(self, target: Any, key: Any, value: Any) -> None:
        """`target[key] = value`."""
        key = self.plain_key(key, target.shape)
        template, arrays = index.split(key)
        (raw, *raw_arrays), active = self._values((value, *arrays))
        active = is_grad_enabled() and (active or target.active) and target.value.dtype.kind in "fc"
        check_write(target, active)
        inputs = tuple(map(self.as_input, (target, *arrays, value))) if active else ()
        try:
            target.value[index.fill(template, raw_arrays)] = raw
        except ValueError as error:
            raise ShapeError(str(error), user_location(), "make the shapes fit") from error
        target.version.count += 1
        if active:
            self._rebind(target, index.index_set, {"index": template}, inputs)

    def update(self, target: Any, op: Op, other: Any) -> Any:
        """`target += other` and its kind."""
        (mine, raw), active = self._values((target, other))
        check_write(target, active)
        with np.errstate(all="ignore"):
            result = np.asarray(self._evaluate(op, (mine, raw), {}))
        if result.shape != mine.shape:
            raise ShapeError(
                f"output with shape {list(mine.shape)} doesn't match the broadcast shape {list(result.shape)}.",
                user_location(),
                "write out of place, `x = x + y`",
            )
        if not np.can_cast(result.dtype, mine.dtype, "same_kind"):
            raise ShapeError(
                f"result type {result.dtype} can't be cast to the desired output type {mine.dtype}.",
                user_location(),
                "write out of place, `x = x + y`, which has the wider type",
            )
        inputs: tuple[Input, ...] = ()
        if active and not op.passes_zero:
            inputs = self._kept(op, target, other)
        if result.dtype != mine.dtype and inputs:
            widened = self.make(result)
            self.leave_node(op, {}, inputs, (widened,))
            op, params, inputs = families.astype, {"dtype": mine.dtype}, (self.as_input(widened),)
        else:
            params = {}
        np.copyto(target.value, result, casting="same_kind")
        target.version.count += 1
        if inputs:
            self._rebind(target, op, params, inputs)
        return target

    def _kept(self, op: Op, target: Any, other: Any) -> tuple[Input, ...]:
        """The inputs of an update, with a copy of the value that is about to be overwritten."""
        if op in _KEEP_NOTHING:
            return self.as_input(target), self.as_input(other)
        copy, version = target.value.copy(), Version()
        old = self._alias(target, copy, version) if target.node is not None else Input(copy, version)
        return old, old if other is target else self.as_input(other)

    def _rebind(self, target: Any, op: Op, params: Mapping[str, Any], inputs: tuple[Input, ...]) -> None:
        """The tensor now stands for the result of the write."""
        target.version.recorded = target.born = target.version.count
        self.leave_node(op, params, inputs, (target,))

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
        return kind(value.item())

    def array(self, tensor: Any) -> np.ndarray[Any, Any]:
        if tensor.active:
            raise LeakError(
                "Can't call numpy() on Tensor that requires grad.",
                user_location(),
                "use tensor.detach().numpy() instead",
            )
        return tensor.value


def accumulator(leaf: Any) -> AccumulateGrad:
    """The end of the graph at this leaf; the same object while anything refers to it."""
    found = leaf.end() if leaf.end is not None else None
    if found is None:
        found = AccumulateGrad(leaf)
        leaf.end = weakref.ref(found)
    return found
