"""Arrays that a native loop makes anew at each step get their memory once, before the loop.

Blocks with lives and owners go in; afterwards `Repeat.buffers` holds the results of loops over elements, and of BLAS,
whose memory nothing sees after the step that made it, and their lives span the whole loop, so that nothing else takes
their names. Begin with `hoist`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tracegrad.emit.blocks import Block, Choice, Compute, Node, Repeat, Value, Visit, Write
from tracegrad.emit.lifetimes import Groups, walk
from tracegrad.emit.memory import Memory
from tracegrad.emit.reuse import makers


def hoist(block: Block, memory: Memory, groups: Groups) -> None:
    """Move the memory of what loops make out of them, as far as it may go."""
    loops = [n for n in walk(block) if isinstance(n, Repeat)]
    sharers: dict[Value | None, list[Value]] = {}
    for value in memory.values:
        for owner in memory.owners(value):
            sharers.setdefault(owner, []).append(value)
    inside = {loop: {v for n in walk(loop.body) for v in _made(n)} for loop in loops}
    made = [(node, around) for node, _, around in makers(block, ())]
    for node, around in [*made, *_products(block, ())]:
        value = node.outputs[0]
        if (
            value.is_buffer
            or value.inner
            or value.expression is not None
            or not value.type.shape
            or not all(other is value or _is_written_in(other) for other in groups.of(value))
        ):
            continue
        outermost: Repeat | None = None
        for loop in reversed(around):
            if not all(other in inside[loop] for other in sharers.get(value, ())):
                break
            outermost = loop
        if outermost is not None:
            outermost.buffers.append(value)
            value.is_buffer = True
            counter = outermost.counter
            value.start, value.end, value.holes = counter.start, counter.end, []
            groups.lengthened(value)


def _is_written_in(value: Value) -> bool:
    """Whether it is another array after a write into that."""
    return isinstance(value.maker, Write) and value.maker.in_place


def _products(block: Block, loops: tuple[Repeat, ...]) -> Iterator[tuple[Compute, tuple[Repeat, ...]]]:
    """What BLAS and kernels compute, with the loops around it."""
    for node in block.nodes:
        if isinstance(node, Compute) and node.fills:
            yield node, loops
        elif isinstance(node, Visit):
            yield from ((product, loops) for product in (*node.before, *node.after))
        elif isinstance(node, Choice):
            for arm in node.arms:
                yield from _products(arm, loops)
        elif isinstance(node, Repeat):
            yield from _products(node.body, (*loops, node))


def _made(node: Node) -> Iterable[Value]:
    """What a node assigns, the values that a loop in it carries among them."""
    yield from node.makes
    if isinstance(node, Repeat):
        yield from node.carried
