"""Writing into an eager tensor: what is allowed, what is recorded, and what views see of it.

A write changes memory at once, as in PyTorch, and is a node like any other when a derivative passes through it. Every
write is counted in the `Version` of the memory, so that a backward which needs an overwritten value can say so.

Views share memory, and look at it through a `Window`. A recorded write into a view goes into the history of its base:
what was written is put into what the base was, by the same rule (`Op.view`) with which a capture does it. From then on
every view of that base, the written one too, has an old history; the next time one is used it is read from its base
anew (`Writes.catch_up`), so that a view nobody uses again costs nothing. Begin with `Writes.assign`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tracegrad.errors import InPlaceError, ShapeError, add_line
from tracegrad.ops import arithmetic, families, index
from tracegrad.ops.numpy_forms import value as as_value
from tracegrad.ops.op import Op
from tracegrad.record.frames import user_location
from tracegrad.record.node import Input, Node, Output, Version
from tracegrad.tensor.modes import is_grad_enabled, keeps_overwritten

_KEEP_NOTHING = (
    arithmetic.add,
    arithmetic.subtract,
)  # their derivative reads no value, so an overwritten one may go


class Window(NamedTuple):
    """How a view looks at the memory of `parent`, one of `args`: it is `op(*args, **params)`.

    `tracked` says whether it was taken while operations were recorded.
    """

    parent: Any
    op: Op
    args: Sequence[Any]
    params: Mapping[str, Any]
    tracked: bool


def check_write(target: Any, recorded: bool) -> None:
    """Refuse a write that would make a gradient wrong.

    Parameters
    ----------
    target : Tensor
    recorded : bool
        Whether the write is to be part of the graph.

    Raises
    ------
    InPlaceError : `target` is a leaf that requires a gradient or a view of one, a view of unknown form, or read-only
    """
    window = target.window
    if window is None:
        if is_grad_enabled() and target.active and target.node is None:
            raise InPlaceError(
                "a leaf Variable that requires grad is being used in an in-place operation.",
                user_location(),
                "write inside `with no_grad():`, or make a new tensor: `x = x + y` instead of `x += y`",
            )
    elif is_grad_enabled() and (recorded or target.base.active):
        if not window.tracked:
            raise _taken_unrecorded("is being modified inplace")
        if target.base.active and target.base.node is None:
            raise InPlaceError(
                "a view of a leaf Variable that requires grad is being used in an in-place operation.",
                user_location(),
                "write inside `with no_grad():`, or into a clone(): `x = x.clone()`",
            )
    if not target.value.flags.writeable:
        raise InPlaceError(
            "this tensor cannot be written to: several of its elements are one memory location, or it is read-only. "
            "An item, `x[0]`, is a number of its own, as in NumPy.",
            user_location(),
            "clone() the tensor before writing into it; write an item as `x[0] = v`",
        )
    while recorded and window is not None:
        if window.op.view is None or window.args[0] is not window.parent:
            raise InPlaceError(
                f"a view made by `{window.op.name}` is written in place.",
                user_location(),
                "write into the tensor itself, or clone() the view first",
            )
        window = window.parent.window


def _taken_unrecorded(what: str) -> InPlaceError:
    return InPlaceError(
        f"A view was created in no_grad mode and {what} with grad mode enabled. Given that this use case is ambiguous "
        "and error-prone, it is forbidden.",
        user_location(),
        "move the view and the inplace either both inside the no_grad block (then the write is not tracked), or both "
        "outside",
    )


def whole(target: Any) -> Any:
    """The tensor whose memory this one looks at; one that is no view itself."""
    return target if target.base is None else target.base


class Writes:
    """The part of the eager recorder that writes into tensors."""

    make: Any
    _values: Any
    _evaluate: Any
    as_input: Any
    alias: Any
    leave_node: Any
    new_node: Any

    def plain_key(self, key: Any, shape: tuple[int, ...]) -> Any:
        """An index without tensors, into an array of this shape."""
        if isinstance(key, tuple):
            key = tuple(part.value if isinstance(part, self.make) else part for part in key)
        elif isinstance(key, self.make):
            key = key.value
        try:
            index.check_masks(key, shape)
        except IndexError as error:
            add_line(error, user_location())
            raise
        return key

    def split_key(self, key: Any) -> tuple[tuple[Any, ...], list[Any]]:
        """An index as template and arrays; what is none, NumPy refuses."""
        try:
            return index.split(key)
        except (IndexError, TypeError) as error:
            add_line(error, user_location())
            raise

    def as_array(self, value: Any) -> Any:
        """What NumPy takes for an array, with the tensors that stand in its lists."""
        return as_value(value)

    def reshaped(self, base: Any, made: Any) -> None:
        """Memory lies as it lies: what an eager tensor shares is known, and asked for by nobody later."""

    def assign(self, target: Any, key: Any, value: Any) -> None:
        """`target[key] = value`."""
        key, value = self.plain_key(key, target.shape), self.as_array(value)
        template, arrays = self.split_key(key)
        try:
            value = index.without_leading(value, target.value, index.fill(template, arrays))
        except IndexError as error:
            add_line(error, user_location())
            raise
        (_, raw), active = self._values((target, value))
        if _is_in_place(target, template, arrays, value):
            return
        active = active and target.value.dtype.kind in "fc"
        check_write(target, active)
        params: dict[str, Any] = {"index": template}
        inputs: tuple[Input, ...] = ()
        if active:
            inputs = tuple(map(self.as_input, (target, *arrays, value)))
            if arrays and (_is_mask(key) or index.names_once(target.shape, template, arrays)):
                params["once"] = True
        if keeps_overwritten():
            target.version.rescue()
        try:
            target.value[index.fill(template, arrays)] = raw
        except ValueError as error:
            raise ShapeError(str(error), user_location(), "make the shapes fit") from error
        except (IndexError, TypeError) as error:
            add_line(error, user_location())
            raise
        target.version.count += 1
        if active:
            self._rebind(target, index.index_set, params, inputs)

    def update(self, target: Any, op: Op, other: Any) -> Any:
        """`target += other` and its kind. An item read from a tensor is a number, which is replaced."""
        if not target.value.ndim and not target.value.flags.writeable and target.window is None:
            return op(target, other)
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
        if active and target.value.dtype.kind in "fc":
            inputs = self._kept(op, target, other)
        if result.dtype != mine.dtype and inputs:
            widened = self.make(result)
            self.leave_node(op, {}, inputs, (widened,))
            op, params, inputs = families.astype, {"dtype": mine.dtype}, (self.as_input(widened),)
        else:
            params = {}
        if keeps_overwritten():
            target.version.rescue()
        np.copyto(target.value, result, casting="same_kind")
        target.version.count += 1
        if inputs:
            self._rebind(target, op, params, inputs)
        return target

    def _kept(self, op: Op, target: Any, other: Any) -> tuple[Input, ...]:
        """The inputs of an update, with a copy of the values that are about to be overwritten."""
        if op in _KEEP_NOTHING or op.passes_zero:
            return self.as_input(target), self.as_input(other)
        old = self._copied(target)
        if other is target:
            return old, old
        shared = isinstance(other, self.make) and other.version is target.version
        return old, self._copied(other) if shared else self.as_input(other)

    def _copied(self, tensor: Any) -> Input:
        """What a node keeps of a tensor whose memory is about to be overwritten."""
        copy, version = tensor.value.copy(), Version()
        return self.alias(tensor, copy, version) if tensor.node is not None else Input(copy, version)

    # --- the history after a write --------------------------------------------------------------------------

    def _rebind(self, target: Any, op: Op, params: Mapping[str, Any], inputs: tuple[Input, ...]) -> None:
        """The tensor now stands for the result of the write, as its base does for what that result is put into."""
        version = target.version
        version.recorded = version.count
        node = self.new_node(op, params, inputs, Output(target.value, version))
        while target.window is not None:
            parent, view, args, params, _ = target.window
            if view is index.getitem:  # without the copy that computing it would make
                before = Input(parent.value, version)
                if parent.node is not None:
                    before = Input(None, version, parent.node, parent.index)
                inputs, made, params = (before, Input(None, version, node)), index.index_set, dict(params)
            else:
                part = self.make(target.value)
                part.version, part.node, part.active = version, node, True
                last = view.view(parent, part, *args[1:], **params).node
                made, params, inputs = last.op, last.params, last.inputs
            node = self.new_node(made, params, inputs, Output(parent.value, version))
            target = parent
        target.born = version.recorded
        _takes_over(target, node)

    def catch_up(self, tensor: Any) -> None:
        """Give a view the history that recorded writes into its memory have left it.

        Raises
        ------
        InPlaceError : the view was taken under `no_grad`
        """
        version, stale = tensor.version, []
        while tensor.window is not None and tensor.born != version.recorded:
            stale.append(tensor)
            tensor = tensor.window.parent
        for view in reversed(stale):
            parent, op, args, params, tracked = view.window
            if not tracked:
                raise _taken_unrecorded("its base or another view of its base has been modified inplace")
            view.born = version.recorded
            if parent.active and view.value.dtype.kind in "fc":
                inputs = tuple(map(self.as_input, args))
                _takes_over(view, self.new_node(op, params, inputs, Output(view.value, version)))


def _takes_over(tensor: Any, node: Node) -> None:
    """The tensor is the result of this node from here on; so a gradient to be retained is the one that arrives here."""
    before = tensor.node.retained if tensor.node is not None else None
    if before and tensor.index in before and before[tensor.index]() is tensor:
        node.retained = {0: before.pop(tensor.index)}
    tensor.node, tensor.index, tensor.active = node, 0, True


def _is_in_place(target: Any, template: Sequence[Any], arrays: Sequence[Any], value: Any) -> bool:
    """Whether what is written is the view of that very place: the last step of `a[1:] += b`."""
    window = getattr(value, "window", None)
    if window is None or arrays or window.op is not index.getitem or window.parent is not target:
        return False
    return bool(window.params["index"] == template)


def _is_mask(key: Any) -> bool:
    return isinstance(key, np.ndarray) and key.dtype.kind == "b"
