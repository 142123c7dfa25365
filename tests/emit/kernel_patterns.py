"""Programs whose loops must be vectorised, and what reads their machine code. Begin with `PATTERNS`."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tracegrad as tg

X86 = platform.machine().lower() in ("x86_64", "amd64")
PACKED = re.compile(r"\tv?(?:add|sub|mul|div|sqrt|min|max|and|blendv?|fn?m(?:add|sub)\d*)p[ds]\b")
GATHERS = re.compile(r"\tv?p?gather\w*\b")


def machine_code(function: Any) -> str:
    """The assembly of the program that a transformed function used last."""
    compiled = function.last.built.compiled
    assert compiled is not None, function.last.built.reasons
    (code,) = compiled.inspect_asm().values()
    return str(code)


def compiled(function: Callable[..., Any], *args: Any, transform: Any = tg.value_and_grad) -> Any:
    """The function, transformed with respect to all arguments and called once in machine code."""
    wrt = {} if transform is tg.jit or len(args) == 1 else {"argnums": tuple(range(len(args)))}
    made = transform(function, jit="native", **wrt)
    with tg.config.using(cache="none"):  # code that was read from a file cannot be looked into
        made(*args)
    return made


def assert_packed(function: Any, at_least: int = 2) -> None:
    """The loops work on several elements at once, and read them side by side."""
    if not X86:
        pytest.skip("the instructions are those of x86-64")
    code = machine_code(function)
    found = PACKED.findall(code)
    assert len(found) >= at_least, f"{len(found)} packed instructions in\n{function.native_source}"
    assert not GATHERS.search(code), f"elements are gathered one by one in\n{function.native_source}"


def numbers(*shape: int, dtype: Any = np.float64, seed: int = 1) -> Any:
    """Random numbers between 0.5 and 1.5."""
    return np.random.default_rng(seed).uniform(0.5, 1.5, shape).astype(dtype)
