"""Whether Python's own numbers could meet an operator in which they differ from NumPy's.

Array text writes `y = 0.0` for what a loop carries, and keeps Python's numbers as long as only they meet.
In `1.0 / y` that would raise where NumPy gives inf. Blocks go in, a bool comes out; where it is true such
constants are written `np.float64(0.0)`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tracegrad.emit.blocks import Choice, Compute, Item, Move, Node, Operand, Push, Repeat, Return, Value
from tracegrad.ir.trace import Const, Instr, Trace
from tracegrad.ir.walk import all_steps

DIFFERING = ("/", "//", "%", "**", "~")


def python_numbers_meet(nodes: Sequence[Node], backward: Trace | None = None) -> bool:
    """Whether an operator of `DIFFERING` can be applied to nothing but Python's numbers.

    Parameters
    ----------
    nodes : all nodes of a function
    backward : what reads its residuals, where it returns any
    """
    plain: set[Value] = set()

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
                plain.add(node.counter)
    handed = backward is not None and any(
        isinstance(step, Instr) and step.op.symbol in DIFFERING and not any(a.type.shape for a in step.inputs)
        for step in all_steps(backward)
    )
    return any(_differs(node, plain, handed) for node in nodes)


def _differs(node: Node, plain: set[Value], handed: bool) -> bool:
    if isinstance(node, Return):
        return handed and any(r in plain for r in node.residuals if isinstance(r, Value))
    if not isinstance(node, Compute) or node.instr.op.symbol not in DIFFERING:
        return False
    return all(isinstance(x, Const) or x in plain for x in node.inputs)
