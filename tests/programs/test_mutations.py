"""Never stale: everything a function may read from outside is rebound, changed in place, deleted or replaced by
another kind between two calls, and each call must answer what plain Python answers.
"""

from __future__ import annotations

import decimal
import os
import re
import warnings

import numpy as np
import pytest

import tests.programs.outside as outside
import tracegrad as tg
from tests.programs.mutations import CASES, REFUSED, TAPE
from tracegrad.dispatch import shelf
from tracegrad.errors import TracegradError

X = np.array([1.5, 2.25, 3.5])


@pytest.fixture(autouse=True)
def as_it_was():
    """Whatever a case changes of the process is put back."""
    errors, printing, environment = np.geterr(), np.get_printoptions(), dict(os.environ)
    outside.reset()
    with warnings.catch_warnings(), decimal.localcontext():
        warnings.simplefilter("ignore")
        yield
    np.seterr(**errors)
    np.set_printoptions(**printing)
    os.environ.clear()
    os.environ.update(environment)
    outside.reset()


def outcome(function, x):
    """What a call gives, and its derivative; or the kind of its error."""
    try:
        return function(x.copy())
    except Exception as error:
        return error


def plainly(function, x):
    def complex_free(x):
        return float(np.asarray(function(x)).sum())

    value = outcome(complex_free, x)
    if isinstance(value, Exception):
        return value
    slopes = []
    for k in range(x.size):
        step = np.zeros(x.size)
        step[k] = 1e-6
        slopes.append((complex_free(x + step) - complex_free(x - step)) / 2e-6)
    return value, np.array(slopes)


def traced(gradient, x):
    found = outcome(gradient, x)
    return found if isinstance(found, Exception) else (float(np.asarray(found[0]).sum()), found[1])


def agree(function, gradient, x, when):
    wanted, found = plainly(function, x), traced(gradient, x)
    if isinstance(wanted, Exception):
        assert isinstance(found, type(wanted)), (when, wanted, found)
        return
    assert not isinstance(found, Exception), (when, wanted, found)
    assert found[0] == pytest.approx(wanted[0], rel=1e-12, abs=1e-300, nan_ok=True), when
    assert found[1] == pytest.approx(wanted[1], rel=1e-6, abs=1e-6, nan_ok=True), when


def run(function, changes, jit, calls):
    """`calls` before the first change and two after each; then the same with a side exit on the way."""
    leaves_at = X + 1.0

    def program(x):
        return function(x) * (1 + int(x[2]))

    gradient = tg.value_and_grad(program, jit=jit)
    for k in range(calls):
        agree(program, gradient, X, f"call {k}")
    for number, change in enumerate(changes):
        change()
        for k in range(2):
            agree(program, gradient, X, f"change {number}, call {k}")
        agree(program, gradient, leaves_at, f"change {number}, side exit")
    return gradient


def run_twice(make, jit):
    """Plain Python and a program side by side: each has a state of its own, that every call moves on."""
    plain = make()
    gradient = tg.value_and_grad(make(), jit=jit)
    for k in range(6):
        wanted, found = plain(X + k % 2), gradient(X + k % 2)[0]
        assert float(found) == pytest.approx(float(wanted), rel=1e-12), f"call {k}"
    return gradient


def tried(name, jit, calls):
    """Run a case in a tier; returns why it runs on the tape, or None."""
    function, *changes = CASES[name]()
    gradient = run_twice(*changes, jit) if function == "twice" else run(function, changes, jit, calls)
    return next((known.on_tape for known in gradient.trees.values() if known.on_tape), None)


@pytest.mark.parametrize("calls", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_a_change_outside_is_seen(name, calls):
    if name in REFUSED:
        with pytest.raises((TracegradError, AssertionError), match=re.escape(REFUSED[name])):
            tried(name, "python", calls)
        return
    reason = tried(name, "python", calls)
    if name in TAPE:
        assert TAPE[name] in str(reason)
    else:
        assert reason is None


NATIVE = (
    "global float", "global int", "global NumPy scalar", "global NumPy int", "array rebound", "array changed in place",
    "strided array", "0-d array", "array of bools as a mask", "list of numbers run over", "closure over an array",
    "default argument", "attribute of self", "object reached by two ways",
)  # fmt: skip


@pytest.mark.parametrize("name", NATIVE)
def test_a_change_outside_is_seen_by_a_native_program(name):
    assert tried(name, "native", 3) is None


@pytest.mark.parametrize(
    "name", ["exec and eval", "global statement", "nonlocal statement", "gen.send", "queue"]
)
def test_what_runs_on_the_tape_says_so_once_with_the_line(name, caplog):
    with caplog.at_level("WARNING", logger="tracegrad"):
        assert tried(name, "python", 3) is not None
    (said,) = [r.getMessage() for r in caplog.records if "runs on the tape" in r.getMessage()]
    assert re.search(r"\.py:\d+, in ", said)


def flushed():
    """What waits for the end of the process is on disk."""
    for waiting in list(shelf._behind):
        waiting.put_now()


@pytest.mark.parametrize("name", [n for n in CASES if n not in REFUSED])
def test_a_change_is_seen_by_a_program_from_disk(name, tmp_path):
    """A new transform for each call, as in a new process: it may take what was kept before the change."""
    with tg.config.using(cache="all", cache_dir=str(tmp_path / "cache")):
        function, *changes = CASES[name]()
        if function == "twice":
            return
        leaves_at, loads = X + 1.0, 0

        def program(x):
            return function(x) * (1 + int(x[2]))

        for number, change in enumerate((lambda: None, *changes)):
            change()
            for k, x in enumerate((X, X, leaves_at, X)):
                gradient = tg.value_and_grad(program, jit="python")
                agree(program, gradient, x, f"change {number}, call {k}")
                loads += gradient.stats.loads
                flushed()
        known = [tree for tree in gradient.trees.values() if tree.paths]
        if known and all(tree.shelf.why_not is None and tree.on_tape is None for tree in known):
            assert loads > 0
