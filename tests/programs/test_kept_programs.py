"""Every program of the corpus, taken from disk: the same answers to the bit, with no capture where it could be kept."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tests.programs.algorithms
import tests.programs.aliases
import tests.programs.arrays
import tests.programs.filled
import tests.programs.inplace
import tests.programs.lists_of_lists
import tests.programs.loops
import tests.programs.python  # noqa: F401  (registers its programs, as those above)
import tracegrad as tg
from tests.programs.program import PROGRAMS, Program
from tracegrad import tree
from tracegrad.config import config
from tracegrad.dispatch import shelf


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[None]:
    with config.using(cache_dir=str(tmp_path / "cache"), cache="all"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def answers(gradient: Any, program: Program) -> list[Any]:
    """Values and gradients at all inputs, as bytes."""
    found: list[Any] = []
    for args in (*program.inputs, program.inputs[0]):
        leaves, structure = tree.flatten(gradient(*args))
        # A program that has grown by an arm gives NumPy's float64, and before perhaps Python's float: no other number.
        kinds = [float if isinstance(v, float) else type(v) for v in leaves]
        found.append((structure, kinds, [np.asarray(v).tobytes() for v in leaves]))
    return found


@pytest.mark.parametrize("program", PROGRAMS, ids=[p.name for p in PROGRAMS])
def test_a_program_from_disk_answers_the_same(
    program: Program, cache: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "tracegrad"):
        first = tg.value_and_grad(program.function, argnums=program.argnums, jit="python")
        answers(first, program)  # programs grow by arms, and may then add in another order
        wanted = answers(first, program)
        for waiting in list(shelf._behind):
            waiting.put_now()
        second = tg.value_and_grad(program.function, argnums=program.argnums, jit="python")
        assert answers(second, program) == wanted
    assert not [r for r in caplog.records if "kept" in r.message]
    programs = [path for known in first.trees.values() for path in known.paths]
    kept = [known for known in first.trees.values() if known.paths and known.shelf.why_not is None]
    if programs and len(kept) == len(first.trees) and all(k.on_tape is None for k in kept):
        assert (second.stats.captures, second.stats.loads) == (0, len(programs))
