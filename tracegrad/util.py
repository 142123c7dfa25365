"""What HIPS autograd has in `autograd.util` for programs: tuples with other items, a quick check of a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tracegrad.testing.gradcheck import check_grads

__all__ = ["quick_grad_check", "subval", "subvals"]


def subvals(x: Iterable[Any], ivs: Iterable[tuple[int, Any]]) -> tuple[Any, ...]:
    """The items of `x`, but `v` in the place `i` for each `(i, v)`."""
    items = list(x)
    for i, v in ivs:
        items[i] = v
    return tuple(items)


def subval(x: Iterable[Any], i: int, v: Any) -> tuple[Any, ...]:
    """The items of `x`, but `v` in the place `i`."""
    return subvals(x, [(i, v)])


def quick_grad_check(
    fun: Callable[..., Any],
    arg0: Any,
    extra_args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    **others: Any,
) -> None:
    """The gradient with respect to the first argument against differences.

    Other keywords are taken as autograd 1.9 takes them: the tolerances are those of `check_grads`.
    """
    check_grads(lambda x: fun(x, *extra_args, **(kwargs or {})), modes=["rev"], order=1)(arg0)
