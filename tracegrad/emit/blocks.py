"""A function on its way to text: values, and blocks of nodes in the order they will be written.

A trace comes in; out comes a tree of blocks in which every nested trace has values of its own and sees outer values
directly (a loop's invariants and an arm's operands are the outer values themselves), loops have their carried values,
counters and stacks spelled out, and guards have their numbers. Nothing is decided here about names or about what stands in
one line: `nesting` and `lifetimes` do that, on these very objects. Begin with `Value`, then `Lowering.trace`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Trace, Var
from tracegrad.ir.types import ArrayType, array_type

INTEGER = array_type((), np.int64)


@dataclass(eq=False)
class Value:
    """What a name may be given to: computed once in the text of its block (loop-carried ones: once an iteration)."""

    type: ArrayType
    hint: str | None = None
    maker: Node | None = None
    block: Block | None = None
    readers: list[Node] = field(default_factory=list)
    expression: Any = None  # its ast where it is written inside its readers
    depth: int = 0
    start: int = -1  # life: from the position that assigns it to the last that reads it
    end: int = -1
    holes: list[tuple[int, int, int]] = field(default_factory=list)  # see `lifetimes.live_at`
    name: str = ""

    @property
    def is_derivative(self) -> bool:
        """Whether a sweep named it, and not the user."""
        return self.hint is not None and self.hint.endswith(("_bar", "_dot"))


Operand: TypeAlias = Value | Const


@dataclass(eq=False)
class Node:
    """One thing a block does. `reads` are its operands, `makes` the values it assigns."""

    location: Location | None

    @property
    def reads(self) -> Sequence[Operand]:
        return ()

    @property
    def makes(self) -> Sequence[Value]:
        return ()


@dataclass(eq=False)
class Block:
    """Nodes in order."""

    nodes: list[Node] = field(default_factory=list)


@dataclass(eq=False)
class Compute(Node):
    """A step of the trace as an expression."""

    instr: Instr
    inputs: tuple[Operand, ...]
    outputs: tuple[Value, ...]

    @property
    def reads(self) -> Sequence[Operand]:
        return self.inputs

    @property
    def makes(self) -> Sequence[Value]:
        return self.outputs


@dataclass(eq=False)
class Item(Node):
    """A loop's slice of a stack."""

    stack: Operand
    index: Value
    output: Value

    @property
    def reads(self) -> Sequence[Operand]:
        return (self.stack, self.index)

    @property
    def makes(self) -> Sequence[Value]:
        return (self.output,)


@dataclass(eq=False)
class Write(Node):
    """`index_add` or `index_set`: written into the source itself where nobody else can see it, into a copy otherwise."""

    instr: Instr
    source: Operand
    rest: tuple[Operand, ...]  # arrays of the slots, then the value
    output: Value
    in_place: bool = False

    @property
    def reads(self) -> Sequence[Operand]:
        return (self.source, *self.rest)

    @property
    def makes(self) -> Sequence[Value]:
        return (self.output,)


@dataclass(eq=False)
class Check(Node):
    """A guard: leaves through its side exit."""

    condition: Operand
    expected: Any
    number: int

    @property
    def reads(self) -> Sequence[Operand]:
        return (self.condition,)


@dataclass(eq=False)
class Push(Node):
    """One iteration's entry of a stack; by `index`, or appended to a list."""

    stack: Value
    value: Operand
    index: Value | None

    @property
    def reads(self) -> Sequence[Operand]:
        return (self.value,) if self.index is None else (self.value, self.index)


@dataclass(eq=False)
class Move(Node):
    """All targets get their sources at once."""

    targets: tuple[Value, ...]
    sources: tuple[Operand, ...]

    @property
    def reads(self) -> Sequence[Operand]:
        return self.sources


@dataclass(eq=False)
class Choice(Node):
    """A branch; each arm ends with a Move to the outputs."""

    condition: Operand
    arms: tuple[Block, Block]
    outputs: tuple[Value, ...]

    @property
    def reads(self) -> Sequence[Operand]:
        return (self.condition,)

    @property
    def makes(self) -> Sequence[Value]:
        return self.outputs


@dataclass(eq=False)
class Repeat(Node):
    """A loop. `enter` gives the carried values their first, the last node of `body` their next content."""

    limit: Operand
    reverse: bool
    carried: tuple[Value, ...]
    finals: tuple[Value, ...]
    enter: Move
    counter: Value  # the index of a `for`; what a `while` counts
    counts: bool  # a `while`, so the counter is counted by hand, and is the number of iterations afterwards
    test: Block | None
    condition: Operand | None
    body: Block
    stacks: list[Value]
    lists: list[Value]  # the stacks that are Python lists
    converted: list[Value]  # the stacks that are made, or cut to, plain arrays after the loop

    @property
    def limited(self) -> bool:
        """Whether the number of iterations is bounded by `limit`."""
        return not (isinstance(self.limit, Const) and self.limit.value == -1)

    @property
    def reads(self) -> Sequence[Operand]:
        return (self.limit,)

    @property
    def makes(self) -> Sequence[Value]:
        return self.finals


@dataclass(eq=False)
class Return(Node):
    """The end of a function: its results, and for a forward function its residuals."""

    results: tuple[Operand, ...]
    residuals: tuple[Operand, ...]

    @property
    def reads(self) -> Sequence[Operand]:
        return (*self.results, *self.residuals)


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

    def trace(self, trace: Trace, results: int) -> tuple[tuple[Value, ...], Block]:
        """The inputs and the body of the function; the first `results` outputs of the trace are its results."""
        known: dict[Var, Operand] = {v: Value(v.type, v.name) for v in trace.inputs}
        inputs = tuple(v for v in known.values() if isinstance(v, Value))
        wanted = {a for k, a in enumerate(trace.outputs) if isinstance(a, Var) and k not in self.list_outputs}
        block = self.block(trace, known, wanted)
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
        inputs = tuple(_operand(a, known) for a in instr.inputs)
        outputs = tuple(Value(v.type, v.name) for v in instr.outputs)
        known.update(zip(instr.outputs, outputs, strict=True))
        if instr.op.name in ("index_add", "index_set") and outputs[0].type.shape and not self.by_kernel(instr):
            self.add(block, Write(instr.location, instr, inputs[0], inputs[1:], outputs[0]))
        else:
            self.add(block, Compute(instr.location, instr, inputs, outputs))

    def by_kernel(self, instr: Instr) -> bool:
        """Whether the native text calls a kernel for this step."""
        native = instr.op.native
        return self.native and callable(native) and isinstance(native(instr), tuple)

    def branch(self, block: Block, instr: Instr, known: dict[Var, Operand]) -> None:
        condition, *operands = (_operand(a, known) for a in instr.inputs)
        names = instr.params["names"]
        outputs = tuple(
            Value(v.type, v.name or (names[i] if i < len(names) else None)) for i, v in enumerate(instr.outputs)
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
        limit, *rest = (_operand(a, known) for a in instr.inputs)
        initial, end = rest[:n], len(rest) - params["sliced"]
        invariants, sliced = rest[n:end], rest[end:]
        names = params["names"]
        carried = tuple(
            Value(v.type, (names[i] if i < len(names) else None) or v.name) for i, v in enumerate(body.inputs[:n])
        )
        counts = test is not None
        counter = Value(INTEGER, "steps" if counts else "k")
        lowered_test, condition = None, None
        if test is not None:
            inside: dict[Var, Operand] = dict(zip(test.inputs, (*carried, *invariants), strict=True))
            lowered_test = self.block(test, inside, set())
            condition = _operand(test.outputs[0], inside)
        slices = [Value(v.type, v.name) for v in body.inputs[n + len(invariants) :]]
        inside = dict(zip(body.inputs, (*carried, *invariants, *slices), strict=True))
        lowered = self.block(body, inside, {a for a in body.outputs if isinstance(a, Var)})
        stacks = [Value(v.type, v.name or _stack_name(a)) for v, a in zip(instr.outputs[1 + n :], body.outputs[n:], strict=True)]
        as_lists = not self.native and not params["reverse"]
        by_index = None if as_lists else counter
        for stack, atom in zip(stacks, body.outputs[n:], strict=True):
            value = _operand(atom, inside)
            place = 0
            if isinstance(value, Value) and value.block is lowered and value.maker is not None:
                place = 1 + lowered.nodes.index(value.maker)
            self.add(lowered, Push(instr.location, stack, value, by_index), place)
        for item, stack in zip(reversed(slices), reversed(sliced), strict=True):
            if item.readers or item in (inside[a] for a in body.outputs if isinstance(a, Var)):
                self.add(lowered, Item(None, stack, counter, item), 0)
        self.add(lowered, Move(None, carried, tuple(_operand(a, inside) for a in body.outputs[:n])))
        if condition is not None and isinstance(condition, Value):
            condition.block = condition.block or lowered_test
        finals = tuple(
            Value(v.type, v.name or inner.hint) for v, inner in zip(instr.outputs[1 : 1 + n], carried, strict=True)
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
            counts,
            lowered_test,
            condition,
            lowered,
            stacks,
            stacks if as_lists else [],
            read_whole if as_lists or counts else [],
        )
        self.add(block, repeat)
        for operand in initial:
            if isinstance(operand, Value):
                operand.readers.append(repeat.enter)
        if isinstance(condition, Value):
            condition.readers.append(repeat)
        for value in (counter, *stacks):
            value.maker, value.block = repeat, block
        known[instr.outputs[0]] = counter if counts else limit
        known.update(zip(instr.outputs[1:], (*finals, *stacks), strict=True))


def _operand(atom: Atom, known: Mapping[Var, Operand]) -> Operand:
    return known[atom] if isinstance(atom, Var) else atom


def _stack_name(atom: Atom) -> str:
    return f"{getattr(atom, 'name', None) or 'value'}_stack"


def plainly_read(trace: Trace) -> set[Var]:
    """Variables that a step reads other than as a loop's slices."""
    found: set[Var] = set()
    for step in trace.steps:
        inputs = step.inputs
        if isinstance(step, Instr) and step.op.name == "loop":
            inputs = inputs[: len(inputs) - step.params["sliced"]]
        found.update(a for a in inputs if isinstance(a, Var))
    return found
