"""The assembly line: a captured trace to a program that runs. Passes, emission, compilation.

Begin with `Built`: the traces of one program, its text, and its callables in the two tiers. Both tiers are called
alike: `run(*inputs)` gives `(code, *results, *gradients)`, where code is -1 or the number of the side exit.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tracegrad import collector
from tracegrad.compiler.by_address import MOST_WORDS, Program, words_of
from tracegrad.compiler.numba_backend import compile_native, entry_point, machine_code, prepare, was_loaded
from tracegrad.compiler.pool import take
from tracegrad.compiler.python_backend import compile_python
from tracegrad.config import config
from tracegrad.dispatch.events import say_failed
from tracegrad.ir.interpret import interpret
from tracegrad.ir.source import Memory, Source
from tracegrad.ir.trace import Guard, Instr, Trace
from tracegrad.ir.types import ArrayType
from tracegrad.ir.walk import all_steps, guards
from tracegrad.later import later

if TYPE_CHECKING:
    from tracegrad.emit import module as emission
    from tracegrad.passes import pipeline
else:
    emission = later("tracegrad.emit.module")
    pipeline = later("tracegrad.passes.pipeline")

FITS = -1
RELEASED = 20e-6  # seconds of a call, above which it lets other threads run: that costs 0.07 microseconds
ONCE = 1e-3  # seconds of a call that is not made a second time to learn how long it takes


@dataclass(frozen=True, slots=True)
class Outline:
    """What must be known of a program to call it; of one that was kept on disk all that is looked at.

    Attributes
    ----------
    name : str
    inputs, bars : tuple of ArrayType
        What the program takes; what its native backward function takes.
    outputs, gradients : int
        How many results there are, and how many values the backward function gives.
    kept : int
        How many residuals the readable text leaves: the first of those that the native program does.
    guards : int
        How many side exits there are.
    seconds : float
        What compiling may take.
    """

    name: str
    inputs: tuple[ArrayType, ...]
    bars: tuple[ArrayType, ...]
    outputs: int
    gradients: int
    kept: int
    guards: int
    seconds: float


class Built:
    """One program in its tiers.

    Parameters
    ----------
    mode : "value", "gradient", "vjp", "jvp" or "jacobian"
    trace : Trace, or callable that makes it when it is first asked for
    wrt : places of the differentiated inputs
    seeded : places of the differentiated outputs
    passes : "all", "few" or "none"
        "few": the program will run once, and passes that pay later are left out; "none": those that can be.
    memory : int or None
        Bytes that loops may keep for their reverse; None follows `config.loop_memory`.
    valued : bool
        Somebody wants the results of "gradient" too. Without it the native program has None in their places.
    """

    def __init__(
        self,
        mode: str,
        trace: Trace | Callable[[], Trace],
        wrt: Sequence[int],
        seeded: Sequence[int],
        passes: str = "all",
        memory: int | None = None,
        valued: bool = True,
    ) -> None:
        self.mode = mode
        self.valued = valued
        self.passes = passes
        self._trace = trace
        self._planned = (wrt, seeded, passes, memory or config.loop_memory, valued)
        self.contract = config.contract
        self.native: Program | None = None  # takes values of its types alone (`tree.as_native`)
        self.compiled: Any = None  # what Numba made of it, for those who look into its machine code
        self.native_backward: Callable[..., Any] | None = None
        self.native_seconds: float | None = None  # what a call takes, about
        self.native_text: Source | None = None
        self.reasons: list[str] | None = None  # why there is no native program; None while nobody asked
        self.was_kept = False  # the machine code was found on disk

    @functools.cached_property
    def trace(self) -> Trace:
        return self._trace() if callable(self._trace) else self._trace

    @functools.cached_property
    def outline(self) -> Outline:
        plan = self.plan
        backward = plan.native_halves[1] if plan.native_halves else plan.backward
        return Outline(
            self.trace.name,
            tuple(v.type for v in (plan.forward if self.mode == "vjp" else plan.joint).inputs),
            () if backward is None else tuple(v.type for v in backward.inputs),
            plan.outputs,
            0 if backward is None else len(backward.outputs),
            len(plan.forward.outputs) - plan.outputs,
            len(self.guards),
            self._compile_seconds(),
        )

    @functools.cached_property
    def plan(self) -> pipeline.Plan:
        """The traces of the derivative; made when they are first asked for."""
        return _plan(self.mode, self.trace, *self._planned)

    @functools.cached_property
    def guards(self) -> list[Guard]:
        return guards(self.plan.forward)

    # --- the python tier
    # ----------------------------------------------------------------------------------------------------

    @functools.cached_property
    @collector.paused()
    def source(self) -> Source:
        """The text to read, which the python tier runs."""
        return emission.emit_array(self.plan.forward, self.plan.backward, self.plan.outputs)

    @functools.cached_property
    def _functions(self) -> list[Callable[..., Any]]:
        return list(compile_python(self.source, self.outline.name).values())

    def write(self) -> None:
        """Make the readable text and its functions now."""
        _ = self._functions

    @property
    def forward(self) -> Callable[..., Any]:
        return self._functions[0]

    @property
    def backward(self) -> Callable[..., Any] | None:
        return self._functions[1] if len(self._functions) > 1 else None

    def run_python(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """Results, and gradients or residuals after them."""
        with np.errstate(all="ignore"):
            results, residuals = self.forward(*map(_as_numpy, inputs))
            if results is None and not isinstance(residuals, tuple):
                return (residuals,)
            flat = (results,) if self.outline.outputs == 1 else tuple(results)
            if self.mode == "gradient":
                assert self.backward is not None
                gradients = self.backward(residuals)
                several = self.outline.gradients != 1
                return (FITS, *flat, *(gradients if several else (gradients,)))
            return (FITS, *flat, *residuals)

    def pull_python(self, residuals: Sequence[Any], cotangents: Sequence[Any]) -> tuple[Any, ...]:
        """Gradients from residuals and cotangents, for "vjp"."""
        assert self.backward is not None
        with np.errstate(all="ignore"):
            gradients = self.backward(tuple(residuals), *cotangents)
        return gradients if self.outline.gradients != 1 else (gradients,)

    # --- with no text: a program that runs once
    # ----------------------------------------------------------------------------------------------------

    def interpreted(self, inputs: Sequence[Any]) -> list[Any]:
        """What `run_python` gives, step by step, in memory of its own."""
        trace = self.plan.forward if self.mode == "vjp" else self.plan.joint
        with np.errstate(all="ignore"):
            found = (np.array(result)[()] for result in interpret(trace, inputs))
            return [FITS, *[None] * self.left_out, *found]

    # --- the native tier
    # ----------------------------------------------------------------------------------------------------

    def _compile_seconds(self) -> float:
        """What compiling may take, from what was measured: BLAS calls and loops over arrays are what costs."""
        seconds = 0.5
        for step in all_steps(self.plan.joint):
            shaped = any(a.type.shape for a in (*step.inputs, *step.outputs))
            product = shaped and isinstance(step, Instr) and step.op.family == "bilinear"
            seconds += 0.6 if product else 0.045 if shaped else 0.002
        return seconds

    @functools.cached_property
    def machine_code(self) -> tuple[int, tuple[tuple[str, int | None, str], ...]]:
        """Where the native program stands, and what it returns: dtype, dimensions and layout of each result."""
        assert self.native is not None
        return machine_code(self.compiled, self._parameters)

    @property
    def _parameters(self) -> list[ArrayType]:
        return [*self.outline.inputs, *(ArrayType(shape, dtype) for dtype, shape, _ in self.memory)]

    @property
    def memory(self) -> tuple[Memory, ...]:
        """The arrays that the native program writes into, its last parameters."""
        source = self.native_source()
        return () if source is None else source.memory

    @property
    def left_out(self) -> int:
        """How many results the native program does not give."""
        return 0 if self.valued else self.outline.outputs

    def run_native(self, inputs: Sequence[Any]) -> tuple[Any, ...]:
        """Results, and gradients or residuals after them."""
        assert self.native is not None
        arrays = [take(dtype, shape) for dtype, shape, _ in self.memory]
        flat = list(self._timed((*inputs, *arrays)))
        outputs = {
            output: a for (_, _, output), a in zip(self.memory, arrays, strict=True) if output is not None
        }
        for output in sorted(outputs):
            flat.insert(1 + output, outputs[output])
        flat[1:1] = [None] * self.left_out
        return tuple(flat)

    def _timed(self, given: tuple[Any, ...]) -> tuple[Any, ...]:
        """What the native program returns; the first time that it fits, how long that takes is found out."""
        assert self.native is not None
        found: tuple[Any, ...]
        if self.native_seconds is None:
            for _ in range(2 if self._is_repeatable() else 1):  # the first call finds nothing in the caches
                found = self.native(*given)
                seconds = self.native.seconds
                if found[0] != FITS or seconds > ONCE:
                    break
            self.native_seconds = seconds if found[0] == FITS else None
        else:
            found = self.native(*given)
        return found

    def _is_repeatable(self) -> bool:
        source = self.native_source()
        return source is not None and source.repeatable

    def learn(self, inputs: Sequence[Any]) -> None:
        """Find out how long the native program takes, if there is one."""
        if self.native is not None:
            self.run_native(inputs)

    @property
    def releases(self) -> bool:
        """Whether other threads of Python may run while the native program does."""
        return self.native_seconds is not None and self.native_seconds > RELEASED

    def native_source(self) -> Source | None:
        """The text for Numba; None, with `reasons` set, where an op has no native form, or our own code fails."""
        if self.native_text is None and self.reasons is None:
            plan = self.plan  # no tier goes on without it
            try:
                made = self._emitted(plan)
            except Exception as error:  # the python tier goes on, as where Numba fails
                made = self._without_native(error)
            if isinstance(made, Source):
                self.native_text = made
            else:
                self.reasons = list(made)
        return self.native_text

    def _emitted(self, plan: pipeline.Plan) -> Source | Sequence[str]:
        if self.mode == "vjp":
            assert plan.native_halves is not None
            forward, backward = map(pipeline.for_loops, plan.native_halves)
            return emission.emit_native("vjp", forward, backward, contract=self.contract)
        return emission.emit_native(plan.kind, pipeline.for_loops(plan.joint), contract=self.contract)

    def _without_native(self, error: Exception) -> list[str]:
        return [say_failed(f"there is no native program of `{self.outline.name}`", error)]

    @collector.paused()
    def compile(self) -> bool:
        """Make the native program; whether there is one now."""
        if self.native is not None:
            return True
        source = self.native_source()
        if source is None:
            return False
        try:
            return self._compiled(source)
        except Exception as error:
            self.reasons = self._without_native(error)
            return False

    def _compiled(self, source: Source) -> bool:
        if (words := words_of(self._parameters)) > MOST_WORDS:
            self.reasons = [f"its arguments are {words:,} words, and a call passes {MOST_WORDS:,} at most"]
            return False
        made = compile_native(source, self.outline.name, self._parameters, by_address=True)
        if isinstance(made, str):
            self.reasons = [made]
            return False
        functions = list(made.values())
        if len(functions) > 1:
            reason = prepare(functions[1], self.outline.bars)
            if reason is not None:
                self.reasons = [reason]
                return False
            self.native_backward = entry_point(functions[1], self.outline.bars)
        self.was_kept = all(map(was_loaded, functions))
        self.compiled = functions[0]
        address, outputs = machine_code(self.compiled, self._parameters)
        self.native = Program(address, self._parameters, outputs, self.compiled)
        return True


@collector.paused()
def _plan(
    mode: str,
    trace: Trace,
    wrt: Sequence[int],
    seeded: Sequence[int],
    passes: str,
    memory: int | None,
    valued: bool,
) -> pipeline.Plan:
    if passes == "none":
        return pipeline.plan_plainly(mode, trace, wrt, seeded)
    once = passes == "few"
    if mode == "gradient":
        return pipeline.plan_gradient(trace, wrt, seeded, once, memory, valued)
    if mode == "vjp":
        return pipeline.plan_vjp(trace, wrt, seeded, once, memory)
    if mode == "jvp":
        return pipeline.plan_jvp(trace, wrt, once)
    if mode == "jacobian":
        return pipeline.plan_jacobian(trace, wrt, seeded, once, memory)
    return pipeline.plan_value(trace, once)


def _as_numpy(value: Any) -> Any:
    """Python numbers as NumPy's: the text divides by zero as NumPy does."""
    return np.asarray(value)[()] if isinstance(value, (float, int, complex)) else value


def function_text(source: Source, number: int) -> str:
    """One function of an emitted module, with what it needs of the module's head before it."""
    lines = source.text.split("\n")
    starts = [i for i, line in enumerate(lines) if line.startswith("def ")]
    ends = [*starts[1:], len(lines)]
    own = lines[starts[number] : ends[number]]
    code = "\n".join(line for line in own if not line.lstrip().startswith("#"))
    words = {"np", *re.findall(r"\w+", code)}
    head = [
        line
        for line in lines[: starts[0]]
        if not line.startswith(("import ", "from ")) or words.issuperset(_asked(line))
    ]
    return "\n".join([*head, *own]).rstrip() + "\n"


def _asked(line: str) -> list[str]:
    """The words under which a text uses what this line imports: `scipy` and `special` for `import scipy.special`."""
    return line.split()[-1].split(".")
