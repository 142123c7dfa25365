"""The warm call: a generated function from the user's arguments straight to the native program and back.

For a path whose arguments are plain numbers and arrays, `make_entry` writes a function that checks exactly what the
signature and the reads ask for, calls the native program, and returns the result; anything unexpected returns
`MISS`, and the general way in `dispatcher.py` decides. Begin with `make_entry`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tracegrad.dispatch.tree import Path
from tracegrad.tensor.capture import Leaf, Static
from tracegrad.tensor.reads import MISSING, Argument, Read, follow, holds, same_kind

MISS = object()


def make_entry(path: Path, leaves: list[Leaf], gradients: list[int], single: bool, with_value: bool) -> Any:
    """A function of the positional arguments, or None where the general way has to do it.

    Parameters
    ----------
    path : Path, with a native program
    leaves : the flattened arguments: here each argument is one leaf
    gradients : for a gradient, the argument of each; empty for a value program
    single : return the one gradient itself instead of a tuple
    with_value : return the value too
    """
    captured, built = path.captured, path.built
    names = [f"a{i}" for i in range(len(leaves))]
    scope: dict[str, Any] = {
        "ndarray": np.ndarray,
        "MISS": MISS,
        "MISSING": MISSING,
        "native": built.native,
        "float64": np.float64,
        "follow": follow,
        "holds": holds,
        "same_kind": same_kind,
    }
    lines: list[str] = []
    for i, leaf in enumerate(leaves):
        lines.extend(_argument_check(i, leaf, scope))
    for i, read in enumerate(captured.guards):
        if isinstance(read.root, Argument):
            return None
        lines.extend(_guard_check(i, read, scope))
    given: list[str] = []
    for i, source in enumerate(captured.sources):
        if isinstance(source, int):
            given.append(names[source])
        elif isinstance(source, Read):
            if isinstance(source.root, Argument):
                return None
            lines.extend(_input_check(i, source, scope))
            given.append(f"r{i}")
        else:
            scope[f"r{i}"] = source
            given.append(f"r{i}")
    if captured.structure is not None or any(isinstance(r, Static) for r in captured.results):
        return None
    lines.append(f"out = native({', '.join(given)})")
    lines.append("if out[0] != -1: return MISS")
    value = _result("out[1]", captured.trace.outputs[0].type, captured.weak[0], scope)
    parts = [_gradient(f"out[{2 + k}]", leaves[place], scope) for k, place in enumerate(gradients)]
    if not gradients:
        lines.append(f"return {value}")
    else:
        gradient = parts[0] if single else f"({', '.join(parts)},)"
        lines.append(f"return {value}, {gradient}" if with_value else f"return {gradient}")
    text = f"def entry({', '.join(names)}):\n" + "".join(f"    {line}\n" for line in lines)
    exec(compile(text, "<tracegrad entry>", "exec"), scope)
    made: Callable[..., Any] = scope["entry"]
    return made


def _argument_check(i: int, leaf: Leaf, scope: dict[str, Any]) -> list[str]:
    name, value = f"a{i}", leaf.value
    if isinstance(value, np.ndarray):
        scope[f"d{i}"] = value.dtype
        test = f"type({name}) is not ndarray or {name}.dtype is not d{i} or {name}.shape != {value.shape!r}"
        if value.ndim:
            return [f"if {test} or not {name}.flags.c_contiguous: return MISS"]
        return [f"if {test}: return MISS", f"{name} = {name}.item()"]
    if leaf.role == "static":
        scope[f"s{i}"] = value
        return [f"if {name} is not s{i}: return MISS"]
    scope[f"t{i}"] = type(value)
    lines = [f"if type({name}) is not t{i}: return MISS"]
    if isinstance(value, np.float64):
        lines.append(f"{name} = float({name})")
    return lines


def _reading(i: int, read: Read, scope: dict[str, Any]) -> str:
    """An expression for what stands at the end of the path now."""
    scope[f"g{i}"] = read.root
    if len(read.path) == 1:
        how, key = read.path[0]
        if how == "global":
            return f"g{i}.get({key!r}, MISSING)"
        if how == "attr" and key == "cell_contents":
            return f"g{i}.cell_contents"
    scope[f"p{i}"] = read.path
    return f"follow(g{i}, p{i})"


def _guard_check(i: int, read: Read, scope: dict[str, Any]) -> list[str]:
    name = f"k{i}"
    now = _reading(10_000 + i, read, scope)
    scope[name] = read.found
    if read.kind == "identity":
        return [f"if {now} is not {name}: return MISS"]
    if read.kind == "type":
        return [f"if type({now}) is not {name}: return MISS"]
    scope[f"q{i}"] = read
    if read.kind == "value":
        return [f"v = {now}", f"if v is not {name} and not holds(q{i}, v): return MISS"]
    return [f"if not holds(q{i}, {now}): return MISS"]


def _input_check(i: int, read: Read, scope: dict[str, Any]) -> list[str]:
    lines = [f"r{i} = {_reading(i, read, scope)}"]
    if isinstance(read.found, np.ndarray):
        scope[f"f{i}"] = read.found
        lines.append(f"if not same_kind(r{i}, f{i}) or not r{i}.flags.c_contiguous: return MISS")
        if not read.found.ndim:
            lines.append(f"r{i} = r{i}.item()")
        return lines
    scope[f"f{i}"] = type(read.found)
    lines.append(f"if type(r{i}) is not f{i}: return MISS")
    return lines


def _result(text: str, type: Any, weak: bool, scope: dict[str, Any]) -> str:
    if type.shape or weak:
        return text
    if type.dtype == np.float64:
        return f"float64({text})"
    scope["result_type"] = type.dtype.type
    return f"result_type({text})"


def _gradient(text: str, leaf: Leaf, scope: dict[str, Any]) -> str:
    value = leaf.value
    if isinstance(value, np.ndarray):
        if value.ndim:
            return text
        scope["asarray"] = np.asarray
        scope[f"e_{leaf.name}"] = value.dtype
        return f"asarray({text}, e_{leaf.name})"
    if isinstance(value, np.generic):
        scope[f"e_{leaf.name}"] = type(value)
        return f"e_{leaf.name}({text})"
    return text
