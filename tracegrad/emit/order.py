"""What must not move past a write: reads of an array that is written in place.

Nesting writes a value where it is read, which may be after a write into what it reads. The text would stay right, as
the array would be copied first (see `memory`), but a copy costs more than a name. Begin with `passes_write`.
"""

from __future__ import annotations

from collections.abc import Iterable

from tracegrad.emit.blocks import Block, Compute, Either, Item, Node, Operand, Value, Write
from tracegrad.emit.lifetimes import leaves, reads_own_place

COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


def compares_arrays(node: Node) -> bool:
    """Whether it makes truth values of the elements of arrays."""
    return (
        isinstance(node, Compute) and node.instr.op.symbol in COMPARISONS and bool(node.outputs[0].type.shape)
    )


class Places(dict[Node, int]):
    """Where the nodes of a block stand, which of them write into an array, and whether any compares arrays."""

    def __init__(self, block: Block) -> None:
        super().__init__((node, k) for k, node in enumerate(block.nodes))
        self.writes: dict[Operand, list[Write]] = {}
        self.compare = any(map(compares_arrays, block.nodes))
        for node in block.nodes:
            if isinstance(node, Write):
                self.writes.setdefault(node.source, []).append(node)


def passes_write(node: Compute | Item | Either, reader: Node, places: Places) -> bool:
    """Whether an array that a node reads is written between it and its reader, or by its reader element by element;
    each element may be read where it is written.

    Parameters
    ----------
    node, reader : of one block
    places : of the block
    """
    first, last = places[node], places.get(reader, -1)
    for leaf in {leaf for operand in node.reads for leaf in leaves(operand)}:
        for array in _arrays(leaf):
            for write in places.writes.get(array, ()):
                if first < places.get(write, -1) < last:
                    return True
                own = leaf is array and reads_own_place(write, node.makes[0])
                if write is reader and write.loop and not own:
                    return True
    return False


def _arrays(value: Value) -> Iterable[Value]:
    """An array, and those it is a view of."""
    while value.type.shape:
        yield value
        maker = value.maker
        if not isinstance(maker, Compute) or not maker.instr.op.view or maker.loop:
            return
        source = maker.inputs[0]
        if not isinstance(source, Value):
            return
        value = source
