"""Both tiers run the same program: what Numba compiled gives what NumPy gives, and its failures stay inside."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.emit.programs import PROGRAMS, capture, joint, pair
from tracegrad.compiler import disk_cache
from tracegrad.compiler.numba_backend import compile_native, prepare
from tracegrad.compiler.python_backend import compile_python
from tracegrad.config import config
from tracegrad.emit.module import emit_array, emit_native
from tracegrad.ir.source import Source
from tracegrad.ir.types import array_type


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "cache"
    with config.using(cache_dir=str(place)):
        yield place


def native(kind: str, *traces: Any) -> Source:
    source = emit_native(kind, *traces)
    assert isinstance(source, Source)
    return source


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n not in ("logistic", "single", "chosen")])
def test_both_tiers_agree(name: str) -> None:
    function, values = PROGRAMS[name]
    trace = capture(function, values)
    array = compile_python(emit_array(*pair(trace), 1), name)
    value, residuals = array[f"{name}_forward"](*values)
    gradients = array[f"{name}_backward"](residuals)
    functions = compile_native(native("gradient", joint(trace)), name, values)
    assert not isinstance(functions, str)
    code, *results = functions[f"{name}_value_and_grad"](*values)
    assert code == -1
    expected = [value, *(gradients if isinstance(gradients, tuple) else (gradients,))]
    tolerance = 1e-13 if values[0].dtype == np.float64 else 1e-6
    for got, want in zip(results, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=tolerance)


def test_single_precision_stays_single() -> None:
    function, values = PROGRAMS["single"]
    trace = capture(function, values)
    array = compile_python(emit_array(*pair(trace), 1), "single")
    _, residuals = array["single_forward"](*values)
    x_bar, w_bar = array["single_backward"](residuals)
    functions = compile_native(native("gradient", joint(trace)), "single", values)
    assert not isinstance(functions, str)
    _, _, x_native, w_native = functions["single_value_and_grad"](*values)
    assert x_native.dtype == w_native.dtype == x_bar.dtype == np.float32
    np.testing.assert_allclose(x_native, x_bar, rtol=1e-6)
    np.testing.assert_allclose(w_native, w_bar, rtol=1e-6)


def test_side_exits_and_division_by_zero() -> None:
    function, _ = PROGRAMS["guarded"]
    trace = capture(function, (np.float64(2.5),))
    functions = compile_native(native("value", trace), "guarded", (array_type((), float),))
    assert not isinstance(functions, str)
    assert [functions["guarded"](x)[0] for x in (1.0, 2.5, 4.0, float("nan"))] == [0, -1, 1, 0]


def test_a_pair_of_forward_and_backward(cache: Path) -> None:
    function, values = PROGRAMS["tutorial"]
    forward, backward = pair(capture(function, values))
    functions = compile_native(native("vjp", forward, backward), "tutorial", values)
    assert not isinstance(functions, str)
    code, value, *residuals = functions["tutorial_forward"](*values)
    assert code == -1
    assert prepare(functions["tutorial_backward"], residuals) is None
    x_bar, v_bar = functions["tutorial_backward"](*residuals)
    np.testing.assert_allclose(np.dot(x_bar, values[0]), value)
    np.testing.assert_allclose(np.dot(v_bar, values[1]), value)


def test_what_numba_refuses_is_a_reason_said_once(
    cache: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_cache, "_said", set())
    source = Source("import numpy as np\n\n\ndef f(x):\n    return np.fft.fft(x)\n", ("f",))
    with caplog.at_level(logging.WARNING, "tracegrad"):
        for _ in range(2):
            reason = compile_native(source, "refused", (np.ones(3),))
            assert isinstance(reason, str)
            assert "`f`" in reason
    assert len(caplog.records) == 1
    reason = compile_native(Source("def f(:\n", ("f",)), "broken")
    assert isinstance(reason, str)
