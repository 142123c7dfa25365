"""Arrays that a native loop makes anew at each step get their memory once, before the loop.

Blocks with lives and owners go in; afterwards `Repeat.buffers` holds the results of loops over elements, and of BLAS,
whose memory nothing sees after the step that made it, and the stacks of loops inside; their lives span the whole loop,
so that nothing else takes their names. Begin with `hoist`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from tracegrad.emit.blocks import Block, Choice, Compute, Item, Node, Repeat, Value, Visit, Write
from tracegrad.emit.lifetimes import Groups, walk
from tracegrad.emit.memory import Memory
from tracegrad.emit.reuse import makers
from tracegrad.emit.sizes import is_large
from tracegrad.ir.trace import Const
from tracegrad.ir.types import ArrayType


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
            or value.window
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
    _keep_stacks(block, memory, groups, inside)


def _keep_stacks(
    block: Block, memory: Memory, groups: Groups, inside: Mapping[Repeat, Collection[Value]]
) -> None:
    """Stacks of loops inside of others, read entry by entry alone, get their memory before those, where it is known how
    long they may be: a new one would be made before the old one is dropped."""
    for repeat, around in _stacking(block, ()):
        most = _most(repeat)
        if most is None or repeat.counts:
            continue
        for stack in repeat.stacks:
            items = [reader.output for reader in stack.readers if isinstance(reader, Item)]
            room = ArrayType((most, *stack.type.shape[1:]), stack.type.dtype)
            if len(items) < len(stack.readers) or len(groups.of(stack)) > 1 or not is_large(room):
                continue
            seen = {*items, *memory.downstream(items)}
            outermost = next((loop for loop in around if seen.issubset(inside[loop])), None)
            # Of a loop that may make no step, the room may never be needed.
            if outermost is not None and isinstance(outermost.limit, Const):
                outermost.buffers.append(stack)
                stack.is_buffer, stack.rows = True, most
                stack.start, stack.end, stack.holes = outermost.counter.start, outermost.counter.end, []
                groups.lengthened(stack)


def _stacking(block: Block, loops: tuple[Repeat, ...]) -> Iterator[tuple[Repeat, tuple[Repeat, ...]]]:
    """Every loop that others come to at each of their steps, with those, outermost first."""
    for node in block.nodes:
        if isinstance(node, Repeat):
            if loops:
                yield node, loops
            yield from _stacking(node.body, (*loops, node))


def _most(loop: Repeat) -> int | None:
    """How many steps a loop makes at most, where its limit says it: that of a segment is the smaller one of two."""
    if isinstance(loop.limit, Const):
        return loop.room
    maker = loop.limit.maker
    if not isinstance(maker, Compute) or maker.instr.op.name != "minimum":
        return None
    return next((int(x.value) for x in maker.inputs if isinstance(x, Const) and not x.shape), None)


def _is_written_in(value: Value) -> bool:
    """Whether it is another array after a write into that."""
    return isinstance(value.maker, Write) and value.maker.in_place


def _products(block: Block, loops: tuple[Repeat, ...]) -> Iterator[tuple[Compute, tuple[Repeat, ...]]]:
    """What BLAS and kernels compute, with the loops around it."""
    for node in block.nodes:
        if isinstance(node, Compute) and node.fills:
            yield node, loops
        elif isinstance(node, Visit):
            yield from ((step, loops) for step in node.nodes if isinstance(step, Compute) and step.fills)
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
