"""A trace as text, and back, exactly: what tests compare and people read.

    trace(x: f8[], v: f8[3]):
      p = greater(x, 0.0)
      guard p is True
      y = branch(p, x, names=('y',)):
        true = trace(x: f8[]):
          return x
        false = None
      return y

Names are the user's; when two variables have one name the later are `y__2`, `y__3`; without a name they are `_1`,
`_2`. A Python number stands as it is, a NumPy scalar is `f8(2.0)`, an array `f8[2]([1.0, 2.0])`. A variable's type
is written where it is an input, or where its op would give another. Begin with `text`; `parse` takes the table of
ops, as `ir` knows none.
"""

from __future__ import annotations

import ast
import dataclasses
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import REFUSALS, InternalError
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Trace, Var
from tracegrad.ir.types import WEAK, ArrayType

LARGEST = 1000
"""Arrays with more items than this are written by shape alone; such a text is parsed with the arrays beside it."""

_ARMS = ("true", "false")
_BUILTIN_TYPES = {t.__name__: t for t in WEAK}
_DTYPE = re.compile(r"[biufc]\d+$|[SU]\d+$")


# --- writing ----------------------------------------------------------------------------------------------------------


def text(trace: Trace, locations: bool = False, arrays: list[np.ndarray[Any, Any]] | None = None) -> str:
    """The trace as text, without a last newline.

    Parameters
    ----------
    trace : Trace
    locations : bool
        Add to each step the user's line it comes from.
    arrays : list, optional
        Gets the arrays that are too large to be written out; the text says their places in it.
    """
    return "\n".join(_Writer(locations, arrays).lines(trace, ""))


class _Names:
    """One name a variable, in the order in which they are asked for."""

    def __init__(self) -> None:
        self._of: dict[Var, str] = {}
        self._counts: dict[str, int] = {}
        self._taken: set[str] = set()

    def __getitem__(self, variable: Var) -> str:
        found = self._of.get(variable)
        if found is None:
            name = re.sub(r"\W", "_", variable.name or "")
            while found is None or found in self._taken:
                count = self._counts[name] = self._counts.get(name, 0) + 1
                found = name if name and count == 1 else f"{name}__{count}" if name else f"_{count}"
            self._taken.add(found)
            self._of[variable] = found
        return found


class _Writer:
    def __init__(self, locations: bool, arrays: list[np.ndarray[Any, Any]] | None) -> None:
        self.locations, self.arrays = locations, arrays

    def lines(self, trace: Trace, lead: str) -> Iterator[str]:
        names = _Names()
        inputs = ", ".join(f"{names[v]}: {v.type}" for v in trace.inputs)
        yield f"trace{'' if trace.name == 'f' else ' ' + trace.name}({inputs}):"
        indent = lead + "  "
        for step in trace.steps:
            where = f"  # {_where(step.location)}" if self.locations and step.location else ""
            if isinstance(step, Guard):
                sign = "is" if isinstance(step.expected, (bool, np.bool_)) else "=="
                expected = self.value(bool(step.expected) if sign == "is" else step.expected)
                yield f"{indent}guard {self.atom(step.condition, names)} {sign} {expected}{where}"
            else:
                yield from self.instr(step, names, indent, where)
        outputs = ", ".join(self.atom(a, names) for a in trace.outputs)
        yield f"{indent}return {outputs}".rstrip()

    def instr(self, step: Instr, names: _Names, indent: str, where: str) -> Iterator[str]:
        arguments = [self.atom(a, names) for a in step.inputs]
        blocks: list[tuple[str, Trace | None]] = []
        for key, value in step.params.items():
            if isinstance(value, Trace):
                blocks.append((key, value))
            elif key == "arms":
                blocks.extend(zip(_ARMS, value, strict=True))
            else:
                arguments.append(f"{key}={self.value(value)}")
        as_computed = _computed_types(step) == tuple(v.type for v in step.outputs)
        results = ", ".join(names[v] if as_computed else f"{names[v]}: {v.type}" for v in step.outputs)
        colon = ":" if blocks else ""
        yield f"{indent}{results}{' ' if results else ''}= {step.op.name}({', '.join(arguments)}){colon}{where}"
        for key, inner in blocks:
            if inner is None:
                yield f"{indent}  {key} = None"
            else:
                first, *rest = self.lines(inner, indent + "  ")
                yield f"{indent}  {key} = {first}"
                yield from rest

    def atom(self, atom: Atom, names: _Names) -> str:
        return names[atom] if isinstance(atom, Var) else self.value(atom.value)

    def value(self, value: Any) -> str:
        """A constant or a static parameter."""
        if isinstance(value, np.ndarray):
            items = self._items(value)
            return f"{value.dtype.str[1:]}[{','.join(map(str, value.shape))}]({items})"
        if isinstance(value, np.generic):
            return f"{value.dtype.str[1:]}({self.value(value.item())})"
        if isinstance(value, np.dtype):
            return value.str[1:]
        if isinstance(value, complex):
            return f"complex({self.value(value.real)}, {self.value(value.imag)})"
        if type(value) is tuple:
            return f"({', '.join(map(self.value, value))}{',' if len(value) == 1 else ''})"
        if isinstance(value, list):
            return f"[{', '.join(map(self.value, value))}]"
        if isinstance(value, slice):
            return f"slice({self.value(value.start)}, {self.value(value.stop)}, {self.value(value.step)})"
        if isinstance(value, type):
            return value.__name__
        if value is Ellipsis:
            return "..."
        if dataclasses.is_dataclass(value):
            parts = (self.value(getattr(value, field.name)) for field in dataclasses.fields(value))
            return f"{type(value).__name__}({', '.join(parts)})"
        return repr(value)

    def _items(self, value: np.ndarray[Any, Any]) -> str:
        if value.size <= LARGEST:
            return self.value(value.tolist())
        if self.arrays is None:
            return "..."
        self.arrays.append(value)
        return f"array({len(self.arrays) - 1})"


def _computed_types(step: Instr) -> Any:
    try:
        return step.op.result_types(step.inputs, step.params)
    except REFUSALS:
        return None


def _where(location: Location) -> str:
    return f"{location.file}:{location.line}, in {location.function}"


# --- reading ----------------------------------------------------------------------------------------------------------


def parse(
    text: str,
    ops: Mapping[str, Any],
    classes: Sequence[type] = (),
    arrays: Sequence[np.ndarray[Any, Any]] = (),
) -> Trace:
    """The trace that `text` describes.

    Parameters
    ----------
    text : str
        Written by `text`, or by hand.
    ops : mapping of name to op
    classes : sequence of type
        Dataclasses that occur among parameters, such as `Slot` of an index.
    arrays : sequence
        The large arrays that stand beside the text.

    Raises
    ------
    InternalError : the text is not a trace
    """
    lines = [line for line in text.splitlines() if line.strip()]
    trace, rest = _Parser(ops, {c.__name__: c for c in classes}, arrays).trace(lines, 0)
    if rest != len(lines):
        raise InternalError(f"the text goes on after the trace: {lines[rest]!r}")
    return trace


class _Parser:
    def __init__(
        self, ops: Mapping[str, Any], classes: Mapping[str, type], arrays: Sequence[np.ndarray[Any, Any]]
    ) -> None:
        self.ops = ops
        self.classes = classes
        self.arrays = arrays

    def trace(self, lines: Sequence[str], at: int) -> tuple[Trace, int]:
        """The trace whose head is line `at`, and the number of the line after it."""
        head = re.search(r"trace ?([^\s(]*)\((.*)\):$", lines[at].rstrip())
        if head is None:
            raise InternalError(f"not the head of a trace: {lines[at]!r}")
        known: dict[str, Var] = {}
        inputs = tuple(
            self._variable(known, name, _type(dtype, shape))
            for name, dtype, shape in re.findall(r"(\w+): (\w+)\[([-\d,]*)\]", head[2])
        )
        steps: list[Instr | Guard] = []
        while True:
            at += 1
            if at >= len(lines):
                raise InternalError("the trace has no return")
            line, location = _split_location(lines[at].strip())
            if line == "return" or line.startswith("return "):
                outputs = _expression(f"({line[7:]},)" if line[7:] else "()").elts
                return Trace(
                    inputs, tuple(steps), tuple(self._atom(known, a) for a in outputs), head[1] or "f"
                ), at + 1
            if line.startswith("guard "):
                test = _expression(line[6:])
                expected = self._value(test.comparators[0])
                steps.append(Guard(self._atom(known, test.left), expected, location))
                continue
            step, at = self._instr(known, lines, at, line, location)
            steps.append(step)

    def _instr(
        self, known: dict[str, Var], lines: Sequence[str], at: int, line: str, location: Location | None
    ) -> tuple[Instr, int]:
        results, _, right = line.partition("= ")
        call = _expression(right.removesuffix(":"))
        op = self.ops.get(call.func.id)
        if op is None:
            raise InternalError(f"there is no op {call.func.id!r}")
        inputs = tuple(self._atom(known, a) for a in call.args)
        params = {keyword.arg: self._value(keyword.value) for keyword in call.keywords}
        if line.endswith(":"):
            at = self._blocks(lines, at, params)
        wanted = re.findall(r"(\w+)(?:: (\w+)\[([-\d,]*)\])?", results)
        computed = None if wanted and wanted[0][1] else op.result_types(inputs, params)
        types = computed or tuple(_type(dtype, shape) for _, dtype, shape in wanted)
        pairs = zip(wanted, types, strict=True)
        return Instr(
            op, inputs, tuple(self._variable(known, n[0], t) for n, t in pairs), params, location
        ), at

    def _blocks(self, lines: Sequence[str], at: int, params: dict[str, Any]) -> int:
        """Put the traces written below line `at` into `params`; returns the last line of the blocks."""
        depth = _depth(lines[at])
        next_line = at + 1
        while next_line < len(lines) and _depth(lines[next_line]) > depth:
            key, _, right = lines[next_line].strip().partition(" = ")
            inner: Trace | None = None
            if right == "None":
                next_line += 1
            else:
                inner, next_line = self.trace(lines, next_line)
            if key in _ARMS:
                params["arms"] = (*params.get("arms", ()), inner)
            else:
                params[key] = inner
        return next_line - 1

    def _variable(self, known: dict[str, Var], written: str, type: ArrayType) -> Var:
        if written in known:
            raise InternalError(f"{written!r} is assigned twice")
        name = None if re.fullmatch(r"_\d+", written) else re.sub(r"__\d+$", "", written)
        known[written] = Var(type, name)
        return known[written]

    def _atom(self, known: Mapping[str, Var], node: Any) -> Atom:
        if isinstance(node, ast.Name) and node.id in known:
            return known[node.id]
        return Const(self._value(node))

    def _value(self, node: Any) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.UnaryOp):
            return -self._value(node.operand)
        if isinstance(node, ast.Tuple):
            return tuple(map(self._value, node.elts))
        if isinstance(node, ast.List):
            return list(map(self._value, node.elts))
        if isinstance(node, ast.Name):
            return self._named(node.id)
        if isinstance(node, ast.Call):
            arguments = list(map(self._value, node.args))
            if isinstance(node.func, ast.Subscript):
                shape = ast.unparse(node.func.slice).strip("()")
                type = _type(node.func.value.id, shape)  # type: ignore[attr-defined]
                return np.array(arguments[0], type.dtype).reshape(type.shape)
            name = node.func.id  # type: ignore[attr-defined]
            if _DTYPE.match(name) or name == "b1":
                return np.dtype(name).type(arguments[0])
            makers: dict[str, Any] = {
                "slice": slice,
                "complex": complex,
                "array": self.arrays.__getitem__,
                **self.classes,
            }
            if name in makers:
                return makers[name](*arguments)
        raise InternalError(f"cannot be read as a value: {ast.unparse(node)}")

    def _named(self, name: str) -> Any:
        if name in ("nan", "inf"):
            return math.nan if name == "nan" else math.inf
        if name in _BUILTIN_TYPES:
            return _BUILTIN_TYPES[name]
        if _DTYPE.match(name):
            return np.dtype(name)
        raise InternalError(f"{name!r} is read before it is assigned")


def _expression(source: str) -> Any:
    try:
        # `f8[]` is a type of NumPy scalars and 0-d arrays, not an expression of Python.
        return ast.parse(re.sub(r"\b([a-z]\d+)\[\]", r"\1[()]", source), mode="eval").body
    except SyntaxError as error:
        raise InternalError(f"cannot be read: {source!r}") from error


def _split_location(line: str) -> tuple[str, Location | None]:
    found = re.search(r"  # (.*):(\d+), in (.*)$", line)
    if found is None:
        return line, None
    return line[: found.start()].rstrip(), Location(found[1], int(found[2]), found[3])


def _type(dtype: str, shape: str) -> ArrayType:
    return ArrayType(tuple(int(n) for n in shape.split(",") if n.strip()), np.dtype(dtype))


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
