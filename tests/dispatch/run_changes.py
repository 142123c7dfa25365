"""Runs the functions of `changes.py` in one process, and says what each answered: a script of `test_kept.py`.

python -m tests.dispatch.run_changes DIRECTORY JIT [changed]
"""

from __future__ import annotations

import builtins
import contextlib
import fractions
import functools
import importlib
import io
import json
import math
import os
import sys
from typing import Any

import numpy as np

import tracegrad as tg
from tests.dispatch.changes import CHANGES

AT = 1.25
PATCHED = ((np, "exp"), (np, "sum"), (np.linalg, "norm"), (math, "sin"), (math, "pi"), (builtins, "abs"))


def seeded(module: Any) -> None:
    """Every draw begins anew."""
    np.random.seed(5)
    if hasattr(module, "rng"):
        module.rng = np.random.default_rng(3)


def differences(module: Any, h: float) -> float:
    """The derivative of the plain function."""
    found = []
    for x in (AT + h, AT - h):
        seeded(module)
        found.append(float(module.f(x)))
    return (found[0] - found[1]) / (2 * h)


def answer(change: Any, jit: str, changed: bool) -> dict[str, Any]:
    """What the gradient of one function answers, what plain Python does, and what happened."""
    module = importlib.import_module(change.name)
    if changed and change.run:
        names = {"module": module, "np": np, "math": math, "builtins": builtins, "os": os}
        exec(change.run, {**names, "fractions": fractions, "functools": functools})
    gradient = tg.value_and_grad(module.f, jit=jit)
    answers = []
    for _ in range(2):
        seeded(module)
        answers.append([float(v) for v in gradient(AT)])
    seeded(module)
    plain = float(module.f(AT))
    return {
        "answers": answers,
        "plain": [plain, differences(module, 1e-5)],
        "loads": gradient.stats.loads,
        "captures": gradient.stats.captures,
        "compiles": gradient.stats.compiles,
        "events": [[event.kind, event.text] for event in gradient.events],
    }


def main(directory: str, jit: str, changed: bool) -> None:
    """All of them, as JSON."""
    sys.path.insert(0, directory)
    found = {}
    for change in CHANGES:
        genuine = [getattr(module, name) for module, name in PATCHED]
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                found[change.name] = answer(change, jit, changed)
        except Exception as error:
            found[change.name] = {"error": repr(error)}
        finally:
            for (module, name), value in zip(PATCHED, genuine, strict=True):
                setattr(module, name, value)
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:] == ["changed"])
