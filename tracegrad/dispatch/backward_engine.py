"""The backward of eager tensors as an emitted program: what `.backward()` runs, and `y.backward_source()` shows.

The sweep of `tensor/engine.py` writes the backward trace; here it goes through the passes, is emitted and compiled
like any other. The program reads only primals that the backward needs, and those are what version counters watch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tracegrad import collector
from tracegrad.compiler.python_backend import compile_python
from tracegrad.dispatch.build import function_text
from tracegrad.dispatch.events import say_failed
from tracegrad.emit.module import emit_array
from tracegrad.ir.interpret import interpret
from tracegrad.ir.source import Source
from tracegrad.ir.trace import Trace, Var
from tracegrad.passes.lower import own_outputs
from tracegrad.passes.pipeline import optimised
from tracegrad.tensor.engine import Interpreted


class EmittedBackward:
    """The backward program of one structure of eager operations; see `tensor.engine.BackwardProgram`."""

    @collector.paused()
    def __init__(self, trace: Trace, active: tuple[bool, ...]) -> None:
        swept = Interpreted(trace, active)
        self._present = swept.present
        self._failed = False
        backward = swept.trace
        try:
            backward = own_outputs(optimised(backward), len(backward.outputs))
        except Exception as error:
            self._fail(error)
        count = len(swept.reads)
        read: set[object] = {a for step in backward.steps for a in step.inputs}
        read.update(backward.outputs)
        self.reads: tuple[Var, ...] = tuple(v for v in swept.reads if v in read)
        self._backward = replace(backward, inputs=(*self.reads, *backward.inputs[count:]))
        self._several = len(backward.outputs) != 1
        self._met = False

    def _fail(self, error: Exception) -> None:
        """An error of ours: the steps are run one by one, each time."""
        self._failed = True
        say_failed("a backward of tensors has no program", error)

    @functools.cached_property
    @collector.paused()
    def _text(self) -> Source:
        kept = Trace(self.reads, (), self.reads, self._backward.name)
        return emit_array(kept, self._backward, 0)

    @functools.cached_property
    def _function(self) -> Callable[..., Any] | None:
        try:
            return list(compile_python(self._text, self._backward.name).values())[-1]
        except Exception as error:
            self._fail(error)
            return None

    @property
    def source(self) -> str:
        """The backward function alone: the primals it reads are what the forward operations left."""
        return function_text(self._text, 1)

    def run(self, values: Sequence[Any], cotangents: Sequence[Any]) -> tuple[Any, ...]:
        """Cotangents of the active inputs, None for zero."""
        with np.errstate(all="ignore"):
            # Emission pays for a structure that comes again; the steps are the same, so is every bit.
            function = self._function if self._met and not self._failed else None
            self._met = True
            if function is None:
                results = iter(interpret(self._backward, (*values, *cotangents)))
                if self._failed:  # maybe before results had memory of their own
                    results = iter([np.array(result)[()] for result in results])
            else:
                found = function(tuple(values), *cotangents)
                results = iter(found if self._several else (found,))
        return tuple(next(results) if present else None for present in self._present)
