"""Stop flags that are nothing but a `break`.

A loop that is left early carries a flag, which is asked after the body. Blocks come in; where the flag is set in an arm
of the last branch of the body, the arm ends with `break`, and the flag goes where nobody else reads it. Where it is a
condition, a branch on that condition does nothing but leave. Begin with `leave_at_once`.
"""

from __future__ import annotations

from typing import Any

from tracegrad.emit.blocks import Block, Choice, Move, Operand, Push, Repeat, Value
from tracegrad.ir.trace import Const


def leave_at_once(block: Block) -> None:
    """Do away with the flags of the loops in a block, and in all blocks in it."""
    for node in block.nodes:
        if isinstance(node, Choice):
            for arm in node.arms:
                leave_at_once(arm)
        elif isinstance(node, Repeat):
            if node.test is not None:
                leave_at_once(node.test)
            leave_at_once(node.body)
            if node.stop is not None:
                _leave(node, node.stop)


def _leave(node: Repeat, flag: Value) -> None:
    place = node.carried.index(flag)
    move = node.body.nodes[-1]
    assert isinstance(move, Move)
    source = move.sources[place]
    if flag.readers or not isinstance(source, Value):
        return
    kept = bool(node.finals[place].readers)  # asked after the loop, too
    if source.readers == [move] and _can_leave(node.body, source):
        _set_leaving(node.body, source, kept)
    else:
        arms = (Block([Move(None, (), ())]), Block([Move(None, (), ())]))
        choice = Choice(node.location, source, arms, (), leaving=(True, False))
        node.body.nodes.insert(-1, choice)
        source.readers.append(choice)
        if not kept:
            source.readers.remove(move)
    node.stop = None
    _drop_constants(node, move)
    if kept:
        return
    node.carried, node.finals = _without(node.carried, place), _without(node.finals, place)
    for moved in (node.enter, move):
        moved.targets, moved.sources = _without(moved.targets, place), _without(moved.sources, place)


def _drop_constants(node: Repeat, move: Move) -> None:
    """A carried number that is a constant at first, and again wherever the loop goes on, is not set again there."""
    choice = _last_choice(node.body)
    if choice is None or choice.leaving not in ((True, False), (False, True)):
        return
    staying = choice.arms[choice.leaving.index(False)].nodes[-1]
    assert isinstance(staying, Move)
    for carried, first, source in zip(node.carried, node.enter.sources, move.sources, strict=True):
        if source not in choice.outputs or not isinstance(first, Const) or first.shape:
            continue
        place = choice.outputs.index(source)
        again = staying.sources[place]
        if isinstance(again, Const) and again.dtype == first.dtype and repr(again.value) == repr(first.value):
            staying.sources = (*staying.sources[:place], carried, *staying.sources[place + 1 :])
            carried.readers.append(staying)


def _without(items: tuple[Any, ...], place: int) -> tuple[Any, ...]:
    return (*items[:place], *items[place + 1 :])


def _can_leave(block: Block, flag: Operand) -> bool:
    """Whether the last thing a block does, but for moves and entries of stacks, is a branch that sets the flag."""
    choice = _last_choice(block)
    if choice is None or flag not in choice.outputs:
        return False
    place = choice.outputs.index(flag)
    kinds: list[bool | None] = []
    for arm in choice.arms:
        move = arm.nodes[-1]
        assert isinstance(move, Move)
        source = move.sources[place]
        if isinstance(source, Const):
            kinds.append(bool(source.value))
        elif source.readers == [move] and _can_leave(arm, source):
            kinds.append(None)
        else:
            return False
    return kinds not in ([True, True], [False, False])


def _set_leaving(block: Block, flag: Operand, kept: bool) -> None:
    """Mark the branches that set the flag, and take the flag from their results unless it is kept."""
    choice = _last_choice(block)
    assert choice is not None and isinstance(flag, Value)
    place = choice.outputs.index(flag)
    leaving: list[bool | None] = []
    for arm in choice.arms:
        move = arm.nodes[-1]
        assert isinstance(move, Move)
        source = move.sources[place]
        if not kept:
            move.targets, move.sources = _without(move.targets, place), _without(move.sources, place)
        if isinstance(source, Const):
            leaving.append(bool(source.value))
        else:
            leaving.append(None)
            _set_leaving(arm, source, kept)
    choice.leaving = (leaving[0], leaving[1])
    if not kept:
        choice.outputs = _without(choice.outputs, place)


def _last_choice(block: Block) -> Choice | None:
    for node in reversed(block.nodes):
        if isinstance(node, Choice):
            return node
        if not isinstance(node, (Push, Move)):
            return None
    return None


def leaving_choice(block: Block) -> int | None:
    """Where in a block the branch stands in which its loop is left."""
    places = [
        k for k, node in enumerate(block.nodes) if isinstance(node, Choice) and node.leaving is not None
    ]
    return places[-1] if places else None
