"""The pullback that `vjp` returns: residuals of one call, and the backward program that reads them.

Begin with `Pullback`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from tracegrad import tree
from tracegrad.dispatch.build import function_text
from tracegrad.dispatch.events import say_failed
from tracegrad.dispatch.results import cotangent_leaves, gradient_leaf
from tracegrad.dispatch.signature import Call
from tracegrad.dispatch.tree import Path, as_native, without_contents
from tracegrad.errors import UnsupportedError
from tracegrad.ir.interpret import interpret


class Template:
    """What all pullbacks of one path share: the backward program, and the structures on both sides of it.

    Parameters
    ----------
    path : Path
    call : Call
        The arguments that are differentiated, for their structures and types.
    seeded : outputs that have a cotangent
    single : bool
        One argument is differentiated: its cotangent stands alone, not in a tuple.
    """

    def __init__(self, path: Path, call: Call, seeded: Sequence[int], single: bool) -> None:
        self.built, self.captured = path.built, path.captured
        self.native = path.built.native_backward
        self.seeded, self.single = seeded, single
        self.groups = [
            (structure, [without_contents(call.leaves[p].value) for p in places])
            for structure, places in call.groups
        ]
        self.dtypes = [bar.dtype for bar in self.built.outline.bars]

    def pull(
        self, residuals: Sequence[Any], cotangents: Sequence[Any], passed: Callable[[], Sequence[Any]]
    ) -> Sequence[Any]:
        """Flat gradients; `passed` gives the residuals as the native program takes them.

        The program may have been compiled since the readable text left the residuals, which may be fewer.
        """
        if any(getattr(bar, "recorder", None) is not None for bar in cotangents):
            return self._step_by_step(residuals, cotangents)
        failed: Exception | None = None
        if self.built.passes == "all":
            try:
                if self.native is None or len(residuals) + len(cotangents) < len(self.dtypes):
                    return self.built.pull_python(residuals[: self.built.outline.kept], cotangents)
                seeds = map(as_native, cotangents, self.dtypes[len(residuals) :])
                found: Sequence[Any] = self.native(*passed(), *seeds)
                return found
            except Exception as error:
                failed = error
        with np.errstate(all="ignore"):
            found = self._step_by_step(residuals, cotangents)  # with the user's line, where this raises too
        if failed is not None:
            say_failed(f"`{self.captured.name}` is pulled back without its program", failed)
        return found

    def as_native(self, residuals: Sequence[Any]) -> Sequence[Any]:
        """Residuals as the native program takes them."""
        return [*map(as_native, self._stacked(residuals), self.dtypes)]

    def _step_by_step(self, residuals: Sequence[Any], cotangents: Sequence[Any]) -> Sequence[Any]:
        backward = self.built.plan.backward
        assert backward is not None
        return interpret(backward, [*self._stacked(residuals[: self.built.outline.kept]), *cotangents])

    def _stacked(self, residuals: Sequence[Any]) -> list[Any]:
        """Residuals as arrays, also where the readable text appends them to lists."""
        return [
            np.array(r, t.dtype).reshape((len(r), *t.shape[1:])) if isinstance(r, list) else r
            for r, t in zip(residuals, self.built.outline.bars, strict=False)
        ]


class Pullback:
    """Cotangents of the result to cotangents of the arguments, for one `vjp` call. May be called again, as for the rows
    of a Jacobian: what the native program takes is made of the residuals once."""

    __slots__ = ("_passed", "_residuals", "_template")

    def __init__(self, template: Template, residuals: Sequence[Any]) -> None:
        self._template, self._residuals = template, residuals
        self._passed: Sequence[Any] | None = None

    def __call__(self, cotangent: Any) -> Any:
        """Cotangents of the differentiated arguments, with their structure."""
        shared = self._template
        bars = cotangent_leaves(shared.captured, shared.seeded, cotangent)
        gradients = iter(shared.pull(self._residuals, bars, self._residuals_passed))
        parts = [
            tree.unflatten(structure, [gradient_leaf(next(gradients), like) for like in given])
            for structure, given in shared.groups
        ]
        return parts[0] if shared.single else tuple(parts)

    def _residuals_passed(self) -> Sequence[Any]:
        if self._passed is None:
            self._passed = self._template.as_native(self._residuals)
        return self._passed

    def __reduce__(self) -> Any:
        raise UnsupportedError(
            f"a pullback of `{self._template.captured.name}` is pickled: it belongs to a program of this process.",
            None,
            "call tracegrad.vjp where the pullback is wanted, or pickle the cotangents that it gives",
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    @property
    def backward_source(self) -> str:
        """The emitted backward function."""
        return function_text(self._template.built.source, 1)
