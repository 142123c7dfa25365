"""Writing into an eager tensor: what is allowed, and what has to be remembered first.

A write changes memory at once, as in PyTorch, and is a node like any other when a derivative passes through it.
Every write is counted in the `Version` of the memory, so that a backward which needs an overwritten value can say
so. Views share memory: a recorded write into one of two tensors that look at the same memory cannot be seen through
the other, and is refused. Begin with `check_write`.
"""

from __future__ import annotations

from typing import Any

from tracegrad.errors import InPlaceError
from tracegrad.record.frames import user_location
from tracegrad.tensor.modes import is_grad_enabled


def check_write(target: Any, recorded: bool) -> None:
    """Refuse a write that would make a gradient wrong.

    Parameters
    ----------
    target : Tensor
    recorded : bool
        Whether the write is to be part of the graph.

    Raises
    ------
    InPlaceError : `target` is a leaf that requires a gradient, a view in a recorded write, or read-only memory
    """
    if is_grad_enabled() and target.active and target.node is None:
        raise InPlaceError(
            "a leaf Variable that requires grad is being used in an in-place operation.",
            user_location(),
            "write inside `with no_grad():`, or make a new tensor: `x = x + y` instead of `x += y`",
        )
    base = target.base
    if recorded and base is not None:
        if base.active and base.node is None:
            raise InPlaceError(
                "a view of a leaf Variable that requires grad is being used in an in-place operation.",
                user_location(),
                "write inside `with no_grad():`, or into a clone(): `x = x.clone()`",
            )
        raise InPlaceError(
            "a recorded write into a view of another tensor is not supported: the other would not know of it.",
            user_location(),
            "write through the tensor itself, `x[1:] = v` instead of `v_of_x[:] = v`; or take a clone() first",
        )
    if not target.value.flags.writeable:
        raise InPlaceError(
            "this tensor cannot be written to: several of its elements are one memory location, or it is read-only.",
            user_location(),
            "clone() the tensor before writing into it",
        )


def check_view(tensor: Any) -> None:
    """Refuse a view that was taken before a recorded write into its base: it does not know its new derivative."""
    if tensor.base is not None and tensor.version.recorded != tensor.born:
        raise InPlaceError(
            "a view is used whose tensor was changed, after the view was taken, by a recorded in-place operation.",
            user_location(),
            "take the view again after the write, or write out of place",
        )
