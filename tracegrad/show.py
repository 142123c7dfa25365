"""`tracegrad show FILE.py:function --args "3.0, [1, 2]"`: value, gradient and sources of a user's
function.

Floats and lists of numbers are differentiated; a list of numbers becomes a float64 array. Ints, strings,
bools and None are passed on as they are. Begin with `run`.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import tracegrad as tg
from tracegrad.errors import ArgumentError
from tracegrad.report.terminal import Screen


def load_function(target: str) -> Callable[..., Any]:
    """The function that `FILE.py:function` names."""
    file, colon, name = target.rpartition(":")
    if not colon or not file or not name:
        raise ArgumentError(f"{target!r} does not name a function.", do="write it as FILE.py:function")
    path = Path(file).resolve()
    if not path.is_file():
        raise ArgumentError(f"There is no file {file}.", do="give a path from the current directory")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ArgumentError(f"{file} is not a Python file.", do="give a file that ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        own = [
            key
            for key, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == path.stem
        ]
        there = f"it has {', '.join(own)}" if own else "it has none"
        raise ArgumentError(f"{file} has no function {name!r}.", do=f"name one of its functions; {there}")
    return function


def read_arguments(text: str) -> list[Any]:
    """The values written in `--args`, lists of numbers as float64 arrays."""
    try:
        values = ast.literal_eval(f"({text},)") if text.strip() else ()
    except (SyntaxError, ValueError) as error:
        raise ArgumentError(
            f"--args {text!r} cannot be read: {error}.", do='write Python values, as in --args "3.0, [1, 2]"'
        ) from error
    return [as_array(value) for value in values]


def as_array(value: Any) -> Any:
    """A list of numbers as an array, anything else as it is."""
    if not isinstance(value, list):
        return value
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"The list {value!r} is not an array of numbers.", do="use a tuple for values of several kinds"
        ) from error
    return array


def check_fit(function: Callable[..., Any], values: list[Any]) -> None:
    """Refuse arguments that the function cannot be called with."""
    signature = inspect.signature(function)
    try:
        signature.bind(*values)
    except TypeError as error:
        name = getattr(function, "__name__", "the function")
        raise ArgumentError(
            f"--args do not fit {name}{signature}: {error}.", do="give one value for each parameter"
        ) from error


def differentiated(values: list[Any]) -> tuple[int, ...]:
    """Which arguments have a derivative: floats and arrays."""
    found = tuple(i for i, value in enumerate(values) if isinstance(value, float | np.ndarray))
    if not found:
        raise ArgumentError("No argument can be differentiated.", do="write numbers as floats: 3.0, not 3")
    return found


def run(target: str, text: str, screen: Screen) -> None:
    """Print value, gradient and sources of the function at the arguments."""
    function = load_function(target)
    values = read_arguments(text)
    check_fit(function, values)
    argnums = differentiated(values)
    program = tg.value_and_grad(function, argnums=argnums)
    value, gradients = program(*values)

    screen.heading(f"{target} at {text}")
    screen.say(f"value: {value}")
    for position, gradient in zip(argnums, gradients, strict=True):
        screen.say(f"gradient of argument {position}: {gradient}")
    screen.heading("Forward source")
    screen.code(program.forward_source)
    screen.heading("Backward source")
    screen.code(program.backward_source)
