"""A module of llvmlite as the text that LLVM reads: the same text that llvmlite prints, in half of the time.

A module goes in, text comes out. The instructions that programs are full of are printed here, each by one line of
code; what else there is llvmlite prints itself. Begin with `text_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from llvmlite.ir import instructions as given
from llvmlite.ir.types import LiteralStructType
from llvmlite.ir.values import Function

WIDE = 16  # parts of a structure, from which on it is said by a name


def text_of(module: Any) -> str:
    """All of a module."""
    head = [
        f'; ModuleID = "{module.name}"',
        f'target triple = "{module.triple}"',
        f'target datalayout = "{module.data_layout}"',
        "",
        *(kind.get_declaration() for kind in module.get_identified_types().values()),
    ]
    lines: list[str] = []
    kinds: set[str] = set()
    for value in module.globals.values():
        if isinstance(value, Function) and value.blocks:
            lines.append(_function(value))
            kinds |= _wide_types(value)
        else:
            lines.append(str(value))
    text = "\n".join([*lines, *module._get_metadata_lines()])
    for number, kind in enumerate(sorted(kinds, key=lambda k: (-len(k), k))):
        name = f'%"wide.{number}"'
        head.append(f"{name} = type {kind}")
        text = text.replace(kind, name)
    return "\n".join([*head, text])


def _wide_types(function: Any) -> set[str]:
    """Structures of many parts. They get a name: each step that finds the place of a part says the type of the whole,
    which would be the square of their number to write and to read."""
    kinds = {
        id(step.source_etype): step.source_etype
        for block in function.blocks
        for step in block.instructions
        if type(step) is given.GEPInstr
    }
    return {str(k) for k in kinds.values() if isinstance(k, LiteralStructType) and len(k.elements) > WIDE}


def _function(function: Any) -> str:
    found: list[str] = []
    function.descr_prototype(found)
    found.append("{\n")
    for block in function.blocks:
        found.append(f"{block._format_name()}:\n")
        for step in block.instructions:
            line = None if step.metadata else LINES.get(type(step))
            found.append(f"  {step}\n" if line is None else line(step))
    found.append("}\n")
    return "".join(found)


def _typed(values: Iterable[Any]) -> str:
    """Operands with their types; one pointer is like another."""
    return ", ".join(
        [
            f"ptr {v.get_reference()}" if v.type.is_pointer else f"{v.type!s} {v.get_reference()}"
            for v in values
        ]
    )


def _plain(step: Any) -> str:
    name = " ".join([step.opname, *step.flags]) if step.flags else step.opname
    operands = ", ".join([v.get_reference() for v in step.operands])
    return f"  {step.get_reference()} = {name} {step.type} {operands}\n"


def _of_typed(step: Any) -> str:
    return f"  {step.get_reference()} = {step.opname} {_typed(step.operands)}\n"


def _leave(step: Any) -> str:
    return f"  {step.opname} {_typed(step.operands)}\n"


def _comparison(step: Any) -> str:
    name = " ".join([step.opname, *step.flags, step.op])
    x, y = step.operands
    return f"  {step.get_reference()} = {name} {x.type} {x.get_reference()}, {y.get_reference()}\n"


def _choice(step: Any) -> str:
    return f"  {step.get_reference()} = {' '.join(['select', *step.flags])} {_typed(step.operands)}\n"


def _cast(step: Any) -> str:
    (x,) = step.operands
    return f"  {step.get_reference()} = {step.opname} {x.type} {x.get_reference()} to {step.type}\n"


def _load(step: Any) -> str:
    align = "" if step.align is None else f", align {step.align}"
    return f"  {step.get_reference()} = load {step.type}, {_typed(step.operands)}{align}\n"


def _store(step: Any) -> str:
    align = "" if step.align is None else f", align {step.align}"
    return f"  store {_typed(step.operands)}{align}\n"


def _place(step: Any) -> str:
    name = "getelementptr inbounds" if step.inbounds else "getelementptr"
    return f"  {step.get_reference()} = {name} {step.source_etype}, {_typed((step.pointer, *step.indices))}\n"


def _phi(step: Any) -> str:
    name = " ".join(["phi", *step.flags])
    before = ", ".join([f"[{v.get_reference()}, {b.get_reference()}]" for v, b in step.incomings])
    return f"  {step.get_reference()} = {name} {step.type} {before}\n"


LINES: dict[type, Callable[[Any], str]] = {
    given.Instruction: _plain,
    given.ICMPInstr: _comparison,
    given.FCMPInstr: _comparison,
    given.SelectInstr: _choice,
    given.CastInstr: _cast,
    given.LoadInstr: _load,
    given.StoreInstr: _store,
    given.GEPInstr: _place,
    given.PhiInstr: _phi,
    given.ExtractElement: _of_typed,
    given.InsertElement: _of_typed,
    given.ShuffleVector: _of_typed,
    given.Branch: _leave,
    given.ConditionalBranch: _leave,
}
