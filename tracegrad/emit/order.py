"""What must not move past a write: reads of an array that is written in place.

Nesting writes a value where it is read, which may be after a write into what it reads. The text would stay right, as
the array would be copied first (see `memory`), but a copy costs more than a name. Begin with `passes_write`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tracegrad.emit.blocks import Compute, Either, Item, Node, Value, Write
from tracegrad.emit.lifetimes import leaves


def passes_write(node: Compute | Item | Either, reader: Node, places: Mapping[Node, int]) -> bool:
    """Whether an array that a node reads is written between it and its reader, or by its reader element by element.

    Parameters
    ----------
    node, reader : of one block
    places : where the nodes of the block stand
    """
    first, last = places[node], places.get(reader, -1)
    for operand in node.reads:
        for array in {a for leaf in leaves(operand) for a in _arrays(leaf)}:
            for write in array.readers:
                if not isinstance(write, Write) or write.source is not array:
                    continue
                if first < places.get(write, -1) < last or (write is reader and write.loop):
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
