"""A trace as blocks.

A trace comes in; out comes a tree of blocks in which every nested trace has values of its own and sees
outer values directly (a loop's invariants and an arm's operands are the outer values themselves), loops
have their carried values, counters and stacks spelled out, and guards have their numbers. Begin with
`Lowering.trace`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tracegrad.emit.blocks import (
    Block,
    Check,
    Choice,
    Compute,
    Item,
    Move,
    Node,
    Operand,
    Pack,
    Push,
    Repeat,
    Return,
    Value,
    Write,
)
from tracegrad.emit.elements import fills_result, has_loop, writes_in_loop
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Trace, Var
from tracegrad.ir.types import array_type
from tracegrad.ops.shape import copy

INTEGER = array_type((), np.int64)
LARGEST_PACK = 16  # items of an array that is written as a whole


class Lowering:
    """Rewrites one trace as blocks.

    Parameters
    ----------
    native : bool
        For the native text: stacks are buffers, not lists.
    list_outputs : set of int
        Outputs of the trace that may leave as Python lists, as the other function reads them by slices alone.
    """

    def __init__(self, native: bool = False, list_outputs: frozenset[int] = frozenset()) -> None:
        self.native = native
        self.list_outputs = list_outputs
        self.guards = 0
        self.constants: dict[tuple[str, bytes], tuple[Const, Value]] = {}

    def trace(self, trace: Trace, results: int) -> tuple[tuple[Value, ...], Block]:
        """The inputs and the body of the function; the first `results` outputs of the trace are its results."""
        known: dict[Var, Operand] = {v: Value(v.type, v.name) for v in trace.inputs}
        inputs = tuple(v for v in known.values() if isinstance(v, Value))
        wanted = {a for k, a in enumerate(trace.outputs) if isinstance(a, Var) and k not in self.list_outputs}
        block = self.block(trace, known, wanted)
        for constant, value in reversed(self.constants.values()):
            made = Instr(copy, (constant,), (Var(value.type),))
            self.add(block, Compute(None, made, (constant,), (value,)), 0)
        outputs = [_operand(a, known) for a in trace.outputs]
        self.add(block, Return(None, tuple(outputs[:results]), tuple(outputs[results:])))
        return inputs, block

    def block(self, trace: Trace, known: dict[Var, Operand], plain: set[Var]) -> Block:
        """The steps of a trace; `known` gains its variables, `plain` are those that are read as whole arrays."""
        block = Block()
        plain = plain | plainly_read(trace)
        for step in trace.steps:
            if isinstance(step, Guard):
                number, self.guards = self.guards, self.guards + 1
                self.add(block, Check(step.location, _operand(step.condition, known), step.expected, number))
            elif step.op.name == "branch":
                self.branch(block, step, known)
            elif step.op.name == "loop":
                self.loop(block, step, known, plain)
            else:
                self.step(block, step, known)
        return block

    def add(self, block: Block, node: Node, place: int | None = None) -> None:
        """Put a node at the end of a block, or at a place in it."""
        block.nodes.insert(len(block.nodes) if place is None else place, node)
        for operand in node.reads:
            if isinstance(operand, Value):
                operand.readers.append(node)
        for value in node.makes:
            value.maker, value.block = node, block

    def step(self, block: Block, instr: Instr, known: dict[Var, Operand]) -> None:
        inputs = tuple(self.operand(a, known) for a in instr.inputs)
        outputs = tuple(Value(v.type, v.name) for v in instr.outputs)
        known.update(zip(instr.outputs, outputs, strict=True))
        if instr.op.name in ("index_add", "index_set") and outputs[0].type.shape:
            loop = self.native and writes_in_loop(instr)
            self.add(block, Write(instr.location, instr, inputs[0], inputs[1:], outputs[0], loop=loop))
        elif self.native and instr.op.name == "stack" and not inputs[0].type.shape:
            self.add(block, Pack(instr.location, inputs, outputs[0]))
        else:
            loop = self.native and has_loop(instr)
            fills = self.native and fills_result(instr)
            self.add(block, Compute(instr.location, instr, inputs, outputs, loop, fills))

    def operand(self, atom: Atom, known: Mapping[Var, Operand]) -> Operand:
        """What a step reads; arrays that are constants are made once in native text, at the start of the function."""
        if not self.native or isinstance(atom, Var) or not atom.shape:
            return _operand(atom, known)
        value = np.asarray(atom.value)
        key = f"{value.dtype} {value.shape}", value.tobytes()
        if key not in self.constants:
            self.constants[key] = atom, Value(atom.type)
        return self.constants[key][1]

    def branch(self, block: Block, instr: Instr, known: dict[Var, Operand]) -> None:
        condition, *operands = (self.operand(a, known) for a in instr.inputs)
        names = instr.params["names"]
        outputs = tuple(
            Value(v.type, v.name or (names[i] if i < len(names) else None) or None)
            for i, v in enumerate(instr.outputs)
        )
        arms = []
        for arm in instr.params["arms"]:
            inside: dict[Var, Operand] = dict(zip(arm.inputs, operands, strict=True))
            lowered = self.block(arm, inside, {a for a in arm.outputs if isinstance(a, Var)})
            self.add(lowered, Move(None, outputs, tuple(_operand(a, inside) for a in arm.outputs)))
            arms.append(lowered)
        self.add(block, Choice(instr.location, condition, (arms[0], arms[1]), outputs))
        known.update(zip(instr.outputs, outputs, strict=True))

    def loop(self, block: Block, instr: Instr, known: dict[Var, Operand], plain: set[Var]) -> None:
        params = instr.params
        body, test, n = params["body"], params["condition"], params["carried"]
        limit, *rest = (self.operand(a, known) for a in instr.inputs)
        initial, end = rest[:n], len(rest) - params["sliced"]
        invariants, sliced = rest[n:end], rest[end:]
        names = params["names"]
        carried = tuple(
            Value(v.type, (names[i] if i < len(names) else None) or v.name)
            for i, v in enumerate(body.inputs[1 : 1 + n])
        )
        endless = isinstance(limit, Const) and limit.value < 0
        if endless and test is None and self.native:
            # Numba finds no type for a number that is counted up both where a `while True` goes on and where it ends.
            limit, endless = Const(ENDLESS), False
        counter = Value(INTEGER, body.inputs[0].name or "k", counts=True)
        steps: Value | None = None
        if test is not None or endless:
            steps = counter
            counter.hint = "steps"
        elif params["stop"] is not None:
            steps = Value(INTEGER, "steps", counts=True)
        lowered_test: Block | None = None
        condition: Operand | None = None
        if test is not None:
            inside: dict[Var, Operand] = dict(zip(test.inputs, (counter, *carried, *invariants), strict=True))
            lowered_test = self.block(test, inside, set())
            condition = _operand(test.outputs[0], inside)
        slices = [Value(v.type, v.name) for v in body.inputs[1 + n + len(invariants) :]]
        inside = dict(zip(body.inputs, (counter, *carried, *invariants, *slices), strict=True))
        lowered = self.block(body, inside, {a for a in body.outputs if isinstance(a, Var)})
        stacks = [
            Value(v.type, v.name or _stack_name(a), pushed=_operand(a, inside))
            for v, a in zip(instr.outputs[1 + n :], body.outputs[n:], strict=True)
        ]
        as_lists = not self.native and not params["reverse"]
        by_index = None if as_lists else counter
        for stack, atom in zip(stacks, body.outputs[n:], strict=True):
            pushed = _operand(atom, inside)
            place, where = 0, instr.location
            if isinstance(pushed, Value) and pushed.block is lowered and pushed.maker is not None:
                place, where = 1 + lowered.nodes.index(pushed.maker), pushed.maker.location
            self.add(lowered, Push(where, stack, pushed, by_index), place)
        for item, source in zip(reversed(slices), reversed(sliced), strict=True):
            if item.readers or item in (inside[a] for a in body.outputs if isinstance(a, Var)):
                self.add(lowered, Item(None, source, counter, item), 0)
        self.add(lowered, Move(None, carried, tuple(_operand(a, inside) for a in body.outputs[:n])))
        if condition is not None and isinstance(condition, Value):
            condition.block = condition.block or lowered_test
        finals = tuple(
            Value(v.type, v.name or inner.hint)
            for v, inner in zip(instr.outputs[1 : 1 + n], carried, strict=True)
        )
        read_whole = [s for s, v in zip(stacks, instr.outputs[1 + n :], strict=True) if v in plain]
        repeat = Repeat(
            instr.location,
            limit,
            params["reverse"],
            carried,
            finals,
            Move(None, carried, tuple(initial)),
            counter,
            steps,
            lowered_test,
            condition,
            None if params["stop"] is None else carried[params["stop"]],
            lowered,
            stacks,
            stacks if as_lists else [],
            read_whole if as_lists or steps is not None else [],
        )
        self.add(block, repeat)
        for operand in initial:
            if isinstance(operand, Value):
                operand.readers.append(repeat.enter)
        if isinstance(condition, Value):
            condition.readers.append(repeat)
        for made in (counter, *stacks, *([] if steps is None else [steps])):
            made.maker, made.block = repeat, block
        known[instr.outputs[0]] = limit if steps is None else steps
        known.update(zip(instr.outputs[1:], (*finals, *stacks), strict=True))


ENDLESS = 2**62  # more steps than anybody waits for


def pack(block: Block) -> None:
    """Turn chains of writes that fill fresh zeros place by place into one `Pack` each, in this block and all in it."""
    packs: dict[Node, Pack] = {}
    dropped: set[Node] = set()
    for node in block.nodes:
        if isinstance(node, Choice):
            for arm in node.arms:
                pack(arm)
        elif isinstance(node, Repeat):
            if node.test is not None:
                pack(node.test)
            pack(node.body)
        chain = _filling(node, block)
        if chain:
            last = chain[-1]
            places = {w.instr.params["index"][0]: w.rest[-1] for w in chain}
            packs[last] = Pack(last.location, tuple(places[k] for k in range(len(chain))), last.output)
            dropped.update([node, *chain[:-1]])
    if not packs:
        return
    for end, made in packs.items():
        made.output.maker = made
        for operand in made.items:
            if isinstance(operand, Value):
                operand.readers = [made if r is end or r in dropped else r for r in operand.readers]
    block.nodes = [packs.get(n, n) for n in block.nodes if n not in dropped]


def _filling(node: Node, block: Block) -> list[Write]:
    """The writes that fill the zeros made by this node, one for each place; empty where it is not so."""
    if not isinstance(node, Compute) or node.instr.op.name != "zeros":
        return []
    shape = node.outputs[0].type.shape
    if len(shape) != 1 or not 0 < shape[0] <= LARGEST_PACK:
        return []
    chain: list[Write] = []
    value = node.outputs[0]
    places: set[int] = set()
    while len(chain) < shape[0]:
        reader = value.readers[0] if len(value.readers) == 1 else None
        if not isinstance(reader, Write) or reader.source is not value or reader.output.block is not block:
            return []
        index = reader.instr.params["index"]
        scalar = not reader.rest[-1].type.shape
        if (
            len(reader.rest) != 1
            or len(index) != 1
            or type(index[0]) is not int
            or index[0] < 0
            or not scalar
        ):
            return []
        places.add(index[0])
        chain.append(reader)
        value = reader.output
    return chain if len(places) == shape[0] else []


def _operand(atom: Atom, known: Mapping[Var, Operand]) -> Operand:
    return known[atom] if isinstance(atom, Var) else atom


def _stack_name(atom: Atom) -> str | None:
    name = getattr(atom, "name", None)
    return f"{name}_stack" if name else None


def plainly_read(trace: Trace) -> set[Var]:
    """Variables that a step reads other than as a loop's slices."""
    found: set[Var] = set()
    for step in trace.steps:
        inputs = step.inputs
        if isinstance(step, Instr) and step.op.name == "loop":
            inputs = inputs[: len(inputs) - step.params["sliced"]]
        found.update(a for a in inputs if isinstance(a, Var))
    return found
