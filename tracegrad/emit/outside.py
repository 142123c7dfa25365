"""Steps without a compiled form in native text: functions of NumPy's and SciPy's, which the program calls and goes on.

    def python_dct(x) -> "float64[8]":
        return scipy.fft.dct(x, type=2, axis=0, norm='backward')
    ...
        y = called_out(python_dct, (x,))

    def python_rfft(x, out) -> None:
        rfft_by_columns(x, out=out)
    ...
        y = np.empty(1_000_001, np.complex128)
        called_out(python_rfft, (x, y))

Such a step goes in, its call comes out, and the function it calls, in array text, is kept for the head of the module.
Begin with `Outside.call`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence

from tracegrad.emit.elements import fills_result, has_loop, writes_in_loop
from tracegrad.emit.expressions import Expressions, is_called_out
from tracegrad.emit.printer import WIDTH, print_node
from tracegrad.ir.trace import Const, Instr, Trace, Var
from tracegrad.ir.walk import all_steps, nested
from tracegrad.kernels.outside import called_out
from tracegrad.ops.op import call, named

NAMES = "xyzabcdefghijklmnopqrstuvw"


class Outside:
    """The functions that one module calls out to.

    Attributes
    ----------
    functions : dict from the text of a function, without its name, to the name
    imports : dict of the lines they need at the head of the module
    """

    def __init__(self) -> None:
        self.functions: dict[str, str] = {}
        self.imports: dict[str, None] = {}

    def call(self, instr: Instr, inputs: Sequence[ast.expr]) -> ast.expr:
        """The call of a step's function with these operands, and the memory of the result if the function fills it."""
        given = [x for a, x in zip(instr.inputs, inputs, strict=False) if not _is_written_inside(a)]
        given.extend(inputs[len(instr.inputs) :])
        function = self.name(instr) if leaves(instr) else instr.op.name  # a loop is written of its elements
        name = named(function)
        return call(called_out.__name__, name, ast.Tuple(elts=given, ctx=ast.Load()))

    def name(self, instr: Instr) -> str:
        """What the function of a step is called; steps that do the same share it."""
        text = _function(instr)
        if text not in self.functions:
            name, number = f"python_{instr.op.name}", 1
            while name in self.functions.values():
                number += 1
                name = f"python_{instr.op.name}_{number}"
            self.functions[text] = name
            kernel = _kernel(instr)
            if kernel is not None:
                self.imports[f"from {kernel.__module__} import {kernel.__name__}"] = None
            elif instr.op.imports:
                self.imports[instr.op.imports] = None
        return self.functions[text]

    def texts(self) -> list[str]:
        """The functions as they stand in the module."""
        return [f"def {name}{text}" for text, name in self.functions.items()]


def leaves(step: Instr) -> bool:
    """Whether native text calls NumPy for a step."""
    return not has_loop(step) and not writes_in_loop(step) and is_called_out(step)


def steps_called(trace: Trace) -> Iterator[Instr]:
    """All steps for which native text calls NumPy."""
    return (step for step in all_steps(trace) if isinstance(step, Instr) and leaves(step))


def little_else(traces: Sequence[Trace]) -> list[str]:
    """The reason not to compile a program whose loops call NumPy in more than every third step.

    A call out of compiled code costs some 2.5 microseconds beside what NumPy takes, as much as two or three other steps
    of array text; the call of the program as a whole gains as much.
    """
    loops = [body for trace in traces for step in all_steps(trace) for body in nested(step)]
    called = [step for body in loops for step in body.steps if isinstance(step, Instr) and leaves(step)]
    steps = [step for trace in traces for step in all_steps(trace) if isinstance(step, Instr)]
    if 2 * len(called) <= sum(step.op.family != "control" and not leaves(step) for step in steps):
        return []
    names = dict.fromkeys(step.op.name for step in called)
    return [f"`{name}` has no compiled form, and its loop does little else" for name in names]


def _kernel(instr: Instr) -> Callable[..., None] | None:
    """What fills the result in the place of NumPy's function."""
    return instr.op.fills(instr) if fills_result(instr) else None


def _is_written_inside(atom: Var | Const) -> bool:
    """Whether an operand is a constant that the function itself has: a number."""
    return isinstance(atom, Const) and not atom.shape


def _function(instr: Instr) -> str:
    """The function of a step, from the bracket of its parameters on."""
    writer = Expressions(native=False)
    parameters: list[str] = []
    operands: list[ast.expr] = []
    for place, atom in enumerate(instr.inputs):
        if isinstance(atom, Const) and _is_written_inside(atom):
            operands.append(writer.operand(atom, place, instr))
            continue
        name = NAMES[len(parameters)] if len(instr.inputs) <= len(NAMES) else f"x_{place}"
        parameters.append(name)
        given: ast.expr = named(name)
        if not atom.shape:  # compiled code hands over a number of Python's
            given = call(f"np.{'bool_' if atom.dtype.kind == 'b' else atom.dtype.name}", given)
        elif instr.op.family == "called":  # the user's function may keep it
            given = ast.Call(func=ast.Attribute(given, "copy", ast.Load()), args=[], keywords=[])
        operands.append(given)
    found = writer.combine(instr, operands)
    if fills_result(instr):
        assert isinstance(found, ast.Call)
        kernel = _kernel(instr)
        if kernel is not None:
            found.func = named(kernel.__name__)
        found.keywords.append(ast.keyword(arg="out", value=ast.Name(id="out", ctx=ast.Load())))
        filled = print_node(ast.Expr(value=found), WIDTH - 4)
        return "\n    ".join([f"({', '.join([*parameters, 'out'])}) -> None:", *filled])
    results = ", ".join(f"{v.dtype.name}[{', '.join(map(str, v.shape))}]" for v in instr.outputs)
    returned = print_node(ast.Return(value=found), WIDTH - 4)
    return "\n    ".join([f'({", ".join(parameters)}) -> "{results}":', *returned])
