"""The table of functions, made from the declarations: NumPy's name, its derivative, whether it compiles, its edge.

A function's program of `calls.py` is captured with its gradient. What compiles is what the native text is written for;
where there is no derivative, the ops of its trace say what is promised. Begin with `rows`.
"""

from __future__ import annotations

import re
import warnings

import numpy as np

import tracegrad as tg
from tests.ops.calls import CALLS
from tests.ops.test_composites import weighted
from tests.ops.test_coverage import WITHOUT_DERIVATIVE
from tracegrad.ops.functions import FUNCTIONS
from tracegrad.ops.op import REGISTRY

HEADING = "| function | derivative | compiled | where there is none |\n|---|---|---|---|"


def names_in(module, prefix):
    """The public names of a NumPy namespace under which a known function is found."""
    known = {id(function) for function in FUNCTIONS}
    public = (name for name in dir(module) if not name.startswith("_"))
    return [prefix + name for name in sorted(public) if id(getattr(module, name)) in known]


def program_of(name):
    """The program of a function, by the name that `calls.py` has for it."""
    wanted = (name, name.removeprefix("linalg."))
    return next((call for key, call in CALLS.items() if key.split("-")[0] in wanted), None)


def facts(name):
    """Whether the program of a function compiles, and what its ops promise where they have no derivative."""
    function, x = program_of(name)
    made = tg.value_and_grad(weighted(function), jit="python")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made(x)
    ops = dict.fromkeys(re.findall(r"\b(\w+)\(", made.trace))
    edges = dict.fromkeys(REGISTRY[op].edge for op in ops if op in REGISTRY and REGISTRY[op].edge)
    text = made.native_source
    called = dict.fromkeys(re.findall(r"called_out\(python_(\w+?)(?:_\d+)?,", text))
    return sorted(called), list(edges), text.startswith("# no native text")


WHOLE = ("bitwise", "invert", "nanarg", "left_shift", "right_shift", "gcd", "lcm")


def row(name):
    """A line of the table; what has no program in `calls.py` has tests of its own."""
    if program_of(name) is None:
        return f"| `np.{name}` | both modes | not in this table |  |"
    called, edges, stays = facts(name)
    carries = name not in WITHOUT_DERIVATIVE and not name.startswith(WHOLE)
    derivative = "both modes" if carries else "0, passed through"
    compiled = "no" if stays else f"calls NumPy: {', '.join(called)}" if called else "yes"
    return f"| `np.{name}` | {derivative} | {compiled} | {'; '.join(edges) if carries else ''} |"


def rows():
    """All lines of the table."""
    return [
        row(name) for name in (*names_in(np, ""), *names_in(np.linalg, "linalg."), *names_in(np.fft, "fft."))
    ]
