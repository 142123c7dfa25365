"""Whether Python's own numbers could meet an operator in which they differ from NumPy's.

Array text writes `y = 0.0` for what a loop carries, and keeps Python's numbers as long as only they meet.
In `1.0 / y` that would raise where NumPy gives inf. Blocks go in, a bool comes out; where it is true such
constants are written `np.float64(0.0)`, and counters `np.int64(k)`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracegrad.emit.blocks import Choice, Compute, Item, Move, Node, Operand, Push, Repeat, Return, Value
from tracegrad.ir.trace import Const, Instr, Trace
from tracegrad.ir.walk import all_steps

DIFFERING = ("/", "//", "%", "**", "~")


def python_numbers_meet(
    inputs: Sequence[Value], nodes: Sequence[Node], backward: Trace | None = None
) -> bool:
    """Whether an operator of `DIFFERING` can be applied to nothing but Python's numbers.

    Parameters
    ----------
    inputs : arguments of a function; a number of steps that was counted is Python's
    nodes : all its nodes
    backward : what reads its residuals, where it returns any
    """
    plain: set[Value] = {v for v in inputs if v.counts}

    def is_plain(operand: Operand) -> bool:
        return isinstance(operand, Const) if not isinstance(operand, Value) else operand in plain

    def moved(move: Node) -> None:
        assert isinstance(move, Move)
        plain.update(
            t for t, s in zip(move.targets, move.sources, strict=True) if not t.type.shape and is_plain(s)
        )

    size = -1
    while size != len(plain):
        size = len(plain)
        for node in nodes:
            if isinstance(node, Compute):
                if node.instr.op.symbol and all(map(is_plain, node.inputs)):
                    plain.update(node.outputs)
            elif isinstance(node, Item):
                plain.update([node.output] if is_plain(node.stack) else [])
            elif isinstance(node, Push):
                plain.update([node.stack] if is_plain(node.value) else [])
            elif isinstance(node, Choice):
                for arm in node.arms:
                    moved(arm.nodes[-1])
            elif isinstance(node, Repeat):
                moved(node.enter)
                moved(node.body.nodes[-1])
                plain.update(f for c, f in zip(node.carried, node.finals, strict=True) if c in plain)
                plain.update(v for v in (node.counter, node.steps) if v is not None)
    handed = backward is not None and any(
        isinstance(step, Instr) and step.op.symbol in DIFFERING and not any(a.type.shape for a in step.inputs)
        for step in all_steps(backward)
    )
    return any(_differs(node, plain, handed) for node in nodes)


def _differs(node: Node, plain: set[Value], handed: bool) -> bool:
    if isinstance(node, Return):
        return handed and any(r in plain for r in node.residuals if isinstance(r, Value))
    if not isinstance(node, Compute):
        return False
    if node.instr.op.symbol in DIFFERING and all(isinstance(x, Const) or x in plain for x in node.inputs):
        return not _divides_by_number(node)
    return _is_narrower(node, plain)


def _divides_by_number(node: Compute) -> bool:
    """Whether the divisor is a constant other than 0, by which Python divides as NumPy does."""
    divisor = node.inputs[-1]
    divides = node.instr.op.symbol in ("/", "//", "%")
    return divides and isinstance(divisor, Const) and not divisor.shape and divisor.value != 0


def _is_narrower(node: Compute, plain: set[Value]) -> bool:
    """Whether a number that is Python's would leave the result the narrow dtype of what stands beside it."""
    weak = [isinstance(x, Value) and x in plain for x in node.inputs]
    if all(weak) or not any(weak) or node.instr.op.family not in ("elementwise", "bilinear"):
        return False
    atoms = [
        Const(a.dtype.type(1).item()) if flag else a for a, flag in zip(node.instr.inputs, weak, strict=True)
    ]
    return node.instr.op.result_types(atoms, node.instr.params)[0] != node.outputs[0].type
