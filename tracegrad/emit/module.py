"""The emitted modules: forward and backward functions with their header.

Traces go in, a `Source` comes out: array text (what a person reads and the python tier runs) or native text
(what Numba compiles). Both are made by the same steps: blocks, nesting, lifetimes, names, statements,
printing. Begin with `emit_array`.
"""

from __future__ import annotations

import ast
import inspect
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tracegrad.emit.again import make_again
from tracegrad.emit.blocks import Return, Value
from tracegrad.emit.elements import called_kernel, vector_function
from tracegrad.emit.expressions import CallOut, Expressions, zeros
from tracegrad.emit.fusion import fuse
from tracegrad.emit.given import give, with_sizes
from tracegrad.emit.leaving import leave_at_once
from tracegrad.emit.lifetimes import walk
from tracegrad.emit.lowering import Lowering, pack, plainly_read
from tracegrad.emit.names import Unused, give_names, identifier
from tracegrad.emit.nesting import nest
from tracegrad.emit.nests import contract, nest_loops
from tracegrad.emit.outside import Outside, leaves, little_else, steps_called
from tracegrad.emit.printer import Line, Page, print_node
from tracegrad.emit.scalars import python_numbers_meet
from tracegrad.emit.slides import slide
from tracegrad.emit.statements import Writer
from tracegrad.emit.strips import in_strips
from tracegrad.emit.variables import measure
from tracegrad.emit.visits import visit_rows
from tracegrad.ir.source import Memory, Source
from tracegrad.ir.trace import Instr, Trace
from tracegrad.ir.types import ArrayType
from tracegrad.ir.walk import all_steps
from tracegrad.kernels import complex_numbers, numpy_fourier, special
from tracegrad.kernels.arithmetic import added, in_threads
from tracegrad.kernels.extremes import larger, smaller
from tracegrad.kernels.instructions import VECTOR_FUNCTIONS
from tracegrad.kernels.items import checked
from tracegrad.kernels.lapack import LAPACK
from tracegrad.kernels.outside import called_out
from tracegrad.kernels.products import product_over, put_product
from tracegrad.ops.op import literal

_ENDINGS = {"gradient": "_value_and_grad", "gradient alone": "_grad", "jvp": "_value_and_tangent"}
_GIVES = {
    "value": "",
    "gradient": ", value and gradient",
    "gradient alone": ", gradient",
    "jvp": ", value and tangent",
    "vjp": " and its derivative",
}

Finish = Callable[[Sequence[ast.expr], Sequence[ast.expr]], ast.expr]


def emit_array(forward: Trace, backward: Trace | None, outputs: int) -> Source:
    """NumPy text at array level, one module.

    Parameters
    ----------
    forward : Trace
        The first `outputs` of its outputs are the results, the others residuals.
    backward : Trace or None
        From residuals and cotangents to gradients.

    Returns
    -------
    Source
        With `<name>_forward(*inputs)`, which returns `(results, residuals)`, or `(None, k)` through side
        exit k; and with a backward `<name>_backward(residuals, *cotangents)`. One result stands alone,
        several are a tuple.
    """
    name = identifier(forward.name)
    kept = len(forward.outputs) - outputs
    lists: frozenset[int] = frozenset()
    if backward is not None:
        plain = plainly_read(backward) | set(backward.outputs)
        lists = frozenset(outputs + k for k, v in enumerate(backward.inputs[:kept]) if v not in plain)
    entries: tuple[str, ...] = (f"{name}_forward",)
    if backward is not None:
        entries = (*entries, f"{name}_backward")
    first = _Function(entries[0], forward, outputs, False, entries, lists, reader=backward)
    parameters = [v.name for v in first.inputs]
    functions = [(entries[0], parameters, first.lines(_leave_array, _forward_result))]
    if backward is not None:
        fixed = dict(zip(range(kept), first.residual_names(), strict=True))
        second = _Function(
            entries[1],
            backward,
            len(backward.outputs),
            False,
            entries,
            fixed=fixed,
            counted=first.counted_residuals(),
        )
        given = [v.name for v in second.inputs]
        lines = second.lines(None, _alone_or_tuple)
        if kept:
            unpacked: list[ast.expr] = [ast.Name(id=n, ctx=ast.Store()) for n in given[:kept]]
            target: ast.expr = ast.Tuple(elts=unpacked, ctx=ast.Store())
            if kept == 1:
                target = ast.List(elts=unpacked, ctx=ast.Store())
            lines.insert(
                0, Line(ast.Assign(targets=[target], value=ast.Name(id="residuals", ctx=ast.Load())))
            )
        functions.append((entries[1], ["residuals", *given[kept:]], lines))
    what = "" if backward is None else " and its derivative"
    return _module(forward, backward, what, functions, entries)


def emit_native(
    kind: str, forward: Trace, backward: Trace | None = None, contract: bool = True
) -> Source | list[str]:
    """Text that Numba compiles, or the reasons why it cannot.

    Parameters
    ----------
    kind : "value", "gradient", "gradient alone", "jvp" or "vjp"
        For "vjp" `forward` is the forward program, with `backward` beside it; for the others it is the
        whole program.
    contract : bool
        Whether a multiplication and an addition may be fused; the head of the text says where not.

    Returns
    -------
    Source or list of str
        Functions return flat tuples: a code, which is -1 or the number of the side exit, then all outputs of
        the trace but those they are given memory for; the backward function of "vjp", called with residuals and
        cotangents, the gradients alone.
    """
    traces = [t for t in (forward, backward) if t is not None]
    reasons = list(dict.fromkeys(reason for t in traces for reason in _not_native(t)))
    reasons += little_else(traces)
    if reasons:
        return reasons
    outside = Outside()
    called_outside = [outside.name(step) for trace in traces for step in steps_called(trace)]
    name = identifier(forward.name)
    vectors = {function.__name__ for function in _vector_functions(traces)}
    if kind == "vjp":
        entries: tuple[str, ...] = (f"{name}_forward", f"{name}_backward")
    else:
        entries = (name + (("_value" if name in vectors else "") if kind == "value" else _ENDINGS[kind]),)
    others = _kernels(
        traces, (checked, added, in_threads, larger, smaller, called_out, put_product, product_over)
    )
    reserved = (*entries, *vectors, *called_outside, *(k.__name__ for k in others))
    functions: list[tuple[str, list[str], list[Line]]] = []
    called: dict[Any, None] = {}
    memory: tuple[Memory, ...] = ()
    parts: list[str] = []
    for entry, trace in zip(entries, traces, strict=True):
        function = _Function(entry, trace, len(trace.outputs), True, reserved, call_out=outside.call)
        if trace is backward:
            lines = function.lines(
                None, lambda results, residuals: ast.Tuple(elts=list(results), ctx=ast.Load())
            )
        else:
            types = [a.type for a in trace.outputs]
            lines = function.lines(lambda number, types=types: _leave_native(number, types), _coded)  # type: ignore[misc]
        parameters = [v.name for v in function.inputs]
        if kind != "vjp":
            lines, function.parts, given, memory = give(
                lines, function.parts, parameters, function.expressions.kernels
            )
            parameters += given
        function.parts = with_sizes(lines, function.parts)
        known = (*reserved, *parameters)
        lines = in_strips(lines, known)
        function.parts = [
            replace(part, lines=in_strips(part.lines, (*known, *part.parameters))) for part in function.parts
        ]
        functions.extend((part.name, part.parameters, part.lines) for part in function.parts)
        functions.append((entry, parameters, lines))
        parts.extend(part.name for part in function.parts)
        called.update(function.expressions.kernels)
    what = _GIVES[kind]
    if called_outside:
        called[called_out] = None
    kernels = _kernels(traces, tuple(called))
    what += ", for Numba" if contract else ", for Numba, without fused multiply-add"
    made = _module(forward, backward, what, functions, entries, kernels, outside)
    repeatable = not any(step.op.family == "called" for trace in traces for step in steps_called(trace))
    return replace(made, contract=contract, memory=memory, parts=tuple(parts), repeatable=repeatable)


class _Function:
    """One trace made ready to be written: nested, measured and named."""

    def __init__(
        self,
        name: str,
        trace: Trace,
        results: int,
        native: bool,
        reserved: Sequence[str],
        lists: frozenset[int] = frozenset(),
        fixed: Mapping[int, str | None] | None = None,
        reader: Trace | None = None,
        counted: Sequence[int] = (),
        call_out: CallOut | None = None,
    ) -> None:
        self.inputs, self.block = Lowering(native, lists).trace(trace, results)
        for k in counted:
            self.inputs[k].counts = True
        pack(self.block)
        leave_at_once(self.block)
        nodes = list(walk(self.block))
        careful = not native and python_numbers_meet(self.inputs, nodes, reader)
        self.expressions = Expressions(native, careful, call_out)
        nest(self.block, self.expressions)
        if native:
            fuse(self.block)
            nest_loops(self.block)
            make_again(self.block, self.expressions)
            slide(self.block)
            contract(self.block)
            visit_rows(self.block)
            nodes = list(walk(self.block))
        groups = measure(self.inputs, self.block, native)
        decided = {self.inputs[k]: given for k, given in (fixed or {}).items() if given}
        give_names(self.inputs, nodes, groups, reserved, decided, native)
        self.expressions.give_names()
        self.unused = Unused(name, self.inputs, nodes, reserved)

    def lines(self, leave: Callable[[int], ast.stmt] | None, finish: Finish) -> list[Line]:
        """The body; without `leave`, what the forward function checked is not checked again."""
        writer = Writer(self.expressions, leave, finish, self.unused)
        lines = writer.block(self.block)
        self.parts = writer.loops.rounds.shares
        return lines

    def residual_names(self) -> list[str | None]:
        """The names of the residuals, for the backward function; a name is used once."""
        end = self.block.nodes[-1]
        assert isinstance(end, Return)
        names: dict[str, None] = {}
        found: list[str | None] = []
        for operand in end.residuals:
            name = (
                operand.name if isinstance(operand, Value) else "steps" if operand.dtype.kind == "i" else None
            )
            found.append(None if name in names else name)
            names[name or ""] = None
        return found

    def counted_residuals(self) -> list[int]:
        """The places of the residuals that are numbers of steps, counted by Python."""
        end = self.block.nodes[-1]
        assert isinstance(end, Return)
        return [k for k, v in enumerate(end.residuals) if isinstance(v, Value) and v.counts]


def _module(
    forward: Trace,
    backward: Trace | None,
    what: str,
    functions: Sequence[tuple[str, list[str], list[Line]]],
    entries: tuple[str, ...],
    kernels: Sequence[Any] | None = None,
    outside: Outside | None = None,
) -> Source:
    traces = [t for t in (forward, backward) if t is not None]
    file = _file(traces)
    origin = f" of {os.path.basename(file)}" if file else ""
    page = Page(file)
    page.text(f'"""`{forward.name}`{origin}{what}; written by tracegrad."""', "")
    vectors = [] if kernels is None else _vector_functions(traces)
    vectors += [k for k in kernels or () if _is_imported(k)]
    sources = [inspect.getsource(k).rstrip() for k in kernels or () if not _is_imported(k)]
    texts = [] if outside is None else outside.texts()
    page.text(*_imports(traces, sources, vectors, outside))
    for kernel in (*sources, *texts):
        page.text("", "", *kernel.split("\n"))
    for name, parameters, lines in functions:
        page.text("", "")
        arguments = ast.arguments(
            posonlyargs=[],
            args=[ast.arg(arg=p) for p in parameters],
            kwonlyargs=[],
            kw_defaults=[],
            defaults=[],
        )
        page.head(
            ast.FunctionDef(name=name, args=arguments, body=[ast.Pass()], decorator_list=[], returns=None)
        )
        page.write(lines, 1)
    return Source("\n".join(page.lines) + "\n", entries, tuple(page.line_map))


def _is_imported(kernel: Any) -> bool:
    """Whether the compiler knows a kernel by itself."""
    by_address = any(
        kernel in known.FUNCTIONS.values() for known in (complex_numbers, numpy_fourier, special)
    )
    return by_address or kernel in VECTOR_FUNCTIONS or kernel in LAPACK


def _imports(
    traces: Sequence[Trace], kernels: Sequence[str], vectors: Sequence[Any], outside: Outside | None
) -> list[str]:
    """The imports of array text, or with `outside` of native text."""
    lines = {"import numpy as np", *(() if outside is None else outside.imports)}
    for trace in traces:
        for step in all_steps(trace):
            if isinstance(step, Instr) and step.op.imports and outside is None:
                lines.add(step.op.imports)
    if any("math." in text for text in kernels):
        lines.add("import math")
    named: dict[str, set[str]] = {}
    for function in vectors:
        named.setdefault(function.__module__, set()).add(function.__name__)
    lines.update(f"from {module} import {', '.join(sorted(names))}" for module, names in named.items())
    ordered = sorted(
        lines,
        key=lambda line: (
            not line.startswith("import math"),
            line != "import numpy as np",
            line.startswith("from"),
            line,
        ),
    )
    return [part for line in ordered for part in print_node(ast.parse(line).body[0])]


def _vector_functions(traces: Sequence[Trace]) -> list[Any]:
    """The vector functions that traces call in native text, each once."""
    steps = (step for trace in traces for step in all_steps(trace) if isinstance(step, Instr))
    return [f for f in dict.fromkeys(map(vector_function, steps)) if f is not None]


def _file(traces: Sequence[Trace]) -> str | None:
    """The file most steps come from."""
    count = Counter(step.location.file for t in traces for step in all_steps(t) if step.location is not None)
    return min(count, key=lambda f: (-count[f], f)) if count else None


# --- results and side exits -------------------------------------------------------------------------------------------


def _tuple(items: Sequence[ast.expr]) -> ast.expr:
    return ast.Tuple(elts=list(items), ctx=ast.Load())


def _alone_or_tuple(results: Sequence[ast.expr], residuals: Sequence[ast.expr]) -> ast.expr:
    return results[0] if len(results) == 1 else _tuple(results)


def _forward_result(results: Sequence[ast.expr], residuals: Sequence[ast.expr]) -> ast.expr:
    return _tuple([_alone_or_tuple(results, ()), _tuple(residuals)])


def _coded(results: Sequence[ast.expr], residuals: Sequence[ast.expr]) -> ast.expr:
    return _tuple([literal(-1), *results])


def _leave_array(number: int) -> ast.stmt:
    return ast.Return(value=literal((None, number)))


def _leave_native(number: int, types: Sequence[ArrayType]) -> ast.stmt:
    """The number, then values of the right types that nobody reads."""
    dummies = []
    for type in types:
        if type.shape:
            dummies.append(zeros(ArrayType((0,) * len(type.shape), type.dtype), "np.empty"))
        else:
            zero = literal({"b": False, "i": 0, "u": 0, "c": 0j}.get(type.dtype.kind, 0.0))
            own = type.dtype.name in ("float64", "int64", "bool", "complex128")
            dummies.append(zero if own else ast.Call(func=literal(type.dtype), args=[zero], keywords=[]))
    return ast.Return(value=_tuple([literal(number), *dummies]))


# --- what is native ---------------------------------------------------------------------------------------------------


def _not_native(trace: Trace) -> list[str]:
    """Why Numba cannot compile this trace; empty if it can."""
    reasons = []
    for step in all_steps(trace):
        if not isinstance(step, Instr) or step.op.family == "control":
            continue
        logical = step.op.symbol in ("+", "*", "**") and step.outputs[0].type.dtype.kind == "b"
        write = step.op.name in ("index_set", "index_add")
        if (logical and step.op.native is True) or (write and leaves(step)):
            reasons.append(f"`{step.op.name}` has no compiled form")
    return reasons


def _kernels(traces: Sequence[Trace], others: Sequence[Any]) -> list[Any]:
    """The kernels that traces call, and `others`, and what all those call, callees first."""
    found: dict[Any, None] = {}

    def visit(function: Any) -> None:
        if function in found:
            return
        if inspect.isfunction(function) and not _is_imported(function):  # or the class of an error
            for inner in map(function.__globals__.get, function.__code__.co_names):
                if str(getattr(inner, "__module__", "")).startswith("tracegrad.kernels"):
                    visit(inner)
        found[function] = None

    for step in (step for trace in traces for step in all_steps(trace)):
        kernel = called_kernel(step) if isinstance(step, Instr) else None
        if kernel is not None:
            visit(kernel[0])
    for other in others:
        visit(other)
    return list(found)
