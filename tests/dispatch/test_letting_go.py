"""What a call was given and what it returned is the caller's: nothing of it stays behind in a program."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad.config import config
from tracegrad.dispatch import shelf

SCALE = np.ones(5)


def function(x: Any, w: Any) -> Any:
    return np.sum(np.tanh(x * w) * SCALE), x * 2.0


TRANSFORMS: dict[str, Callable[..., Any]] = {
    "value_and_grad": lambda **options: tg.value_and_grad(function, has_aux=True, **options),
    "grad": lambda **options: tg.grad(function, argnums=(0, 1), has_aux=True, **options),
    "jit": lambda **options: tg.jit(function, **options),
    "vjp": lambda **options: tg.vjp(function, **options),
    "jvp": lambda **options: lambda x, w: tg.jvp(function, **options)((x, w), (w, x)),
}


@pytest.mark.parametrize("jit", ["python", "native"])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_arguments_and_results_are_let_go(
    name: str, jit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "SCALE", np.ones(5))
    monkeypatch.setattr(shelf, "_behind", {})
    with config.using(cache_dir=str(tmp_path / "cache"), cache="all"):
        made = TRANSFORMS[name](jit=jit)
        kept: list[Any] = []
        for _ in range(3):
            x, w = np.full(5, 0.5), np.full(5, 2.0)
            result = made(x, w)
            arrays = [x, w, *(part for part in _parts(result) if isinstance(part, np.ndarray))]
            kept += map(weakref.ref, arrays)
        before = weakref.ref(globals()["SCALE"])
        globals()["SCALE"] = np.full(5, 3.0)
        made(x, w)  # another array outside takes the place of the first
        del x, w, result, arrays
        gc.collect()
        assert [ref() for ref in kept if ref() is not None] == []
        assert before() is None


def _parts(result: Any) -> list[Any]:
    return [p for part in result for p in _parts(part)] if isinstance(result, tuple) else [result]
