"""A very long block is cut into stretches: with the same digits, and no number in a register from one to the next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.compiler.test_translation import TEXTS, X86, assert_means_what_python_means, compiled
from tracegrad.compiler import stretches
from tracegrad.compiler.numba_backend import compile_native
from tracegrad.config import config
from tracegrad.ir.source import Source


@pytest.fixture(autouse=True)
def nothing_is_kept(tmp_path: Path) -> Iterator[None]:
    with config.using(cache_dir=str(tmp_path / "cache")):
        yield


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Blocks of three instructions are cut into stretches of two; the texts that come out of that."""
    found: list[str] = []
    cut = stretches.in_stretches

    def kept(text: str) -> str:
        found.append(cut(text))
        return found[-1]

    monkeypatch.setattr(stretches, "LONG", 2)
    monkeypatch.setattr(stretches, "STRETCH", 2)
    monkeypatch.setattr(stretches, "in_stretches", kept)
    return found


@pytest.mark.parametrize("name", TEXTS)
def test_every_text_in_stretches(name: str, everywhere: list[str]) -> None:
    text, given = TEXTS[name]
    assert_means_what_python_means(name, f"{text}# in stretches\n", given)  # machine code of a text is kept
    assert everywhere


BEFORE = """
define i32 @f(ptr noalias %out, double %x, float noundef %y) {
entry:
  %.1 = fmul contract double %x, 2.000000e+00
  %room = alloca [2 x double], align 8
  %.2 = tail call contract double @llvm.sin.f64(double %.1)
  %.3 = call double @tanh(double %.2)
  %.4 = fpext float %y to double
  %.5 = fadd double %.1, %.4
  %.6 = fmul double %.1, %.5
  %.7 = tail call contract double @llvm.cos.f64(double %.1)
  %.8 = fcmp olt double %.7, %.3
  br i1 %.8, label %then, label %end

then:                                             ; preds = %entry
  br label %end

end:                                              ; preds = %then, %entry
  %.9 = phi double [ %.6, %entry ], [ %x, %then ]
  store double %.9, ptr %out, align 8
  ret i32 0
}

define double @short(double %x) {
entry:
  ret double %x
}
"""
AFTER = """
define i32 @f(ptr noalias %out, double %x, float noundef %y) {
far.entry:
  %far.0 = alloca float
  %far.1 = alloca double
  %far.2 = alloca double
  %far.3 = alloca double
  %far.never = alloca i1
  store i1 false, ptr %far.never
  store float %y, ptr %far.0
  %room = alloca [2 x double], align 8
  %.1 = fmul contract double %x, 2.000000e+00
  store double %.1, ptr %far.1
  %.2 = tail call contract double @llvm.sin.f64(double %.1)
  %.7 = tail call contract double @llvm.cos.f64(double %.1)
  store double %.7, ptr %far.2
  %.3 = call double @tanh(double %.2)
  store double %.3, ptr %far.3
  %far.never.1 = load volatile i1, ptr %far.never
  br i1 %far.never.1, label %far.end, label %far.stretch.1
far.stretch.1:
  %far.load.1 = load float, ptr %far.0
  %.4 = fpext float %far.load.1 to double
  %far.load.2 = load double, ptr %far.1
  %.5 = fadd double %far.load.2, %.4
  %far.load.3 = load double, ptr %far.1
  %.6 = fmul double %far.load.3, %.5
  %far.never.2 = load volatile i1, ptr %far.never
  br i1 %far.never.2, label %far.end, label %entry
entry:
  %far.load.4 = load double, ptr %far.2
  %far.load.5 = load double, ptr %far.3
  %.8 = fcmp olt double %far.load.4, %far.load.5
  br i1 %.8, label %then, label %end
far.end:
  unreachable
"""


def test_what_is_read_in_a_later_stretch_is_stored_and_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "LONG", 5)
    monkeypatch.setattr(stretches, "STRETCH", 5)
    behind = BEFORE[BEFORE.index("\nthen:") :]
    assert stretches.in_stretches(BEFORE) == AFTER + behind
    monkeypatch.setattr(stretches, "STRETCH", 50)
    assert stretches.in_stretches(BEFORE) == BEFORE
    monkeypatch.setattr(stretches, "STRETCH", 5)
    monkeypatch.setattr(stretches, "LONG", 50)
    assert stretches.in_stretches(BEFORE) == BEFORE


def test_the_same_digits_and_no_long_block(everywhere: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "LONG", 100)
    monkeypatch.setattr(stretches, "STRETCH", 30)
    lines = ["def f(x, y):", "    a0, b0 = x, 0.5 * y"]
    for k in range(60):
        lines.append(f"    a{k + 1} = b{k} + {0.1 + k / 999} / (1.0 + a{k} * a{k // 2} + b{k // 3} * x)")
        lines.append(f"    b{k + 1} = a{k} - b{k // 2} * y + a{k + 1} * {0.9 - k / 777}")
    text = "\n".join([*lines, "    return -1, a60 * b60, a60, b31", ""])
    names: dict[str, Any] = {"np": np}
    exec(text, names)
    made = compile_native(Source(text, ("f",), (), contract=False), "same_digits", (0.3, 0.7))
    assert not isinstance(made, str), made
    for x, y in ((0.3, 0.7), (-1.2, 0.4), (1e-3, 2.5)):
        assert made["f"](x, y) == names["f"](x, y)
    (cut,) = [t for t in everywhere if "far.stretch.1:" in t]
    blocks = re.split(r"\n(?=[-\w.$]+:)", cut[: cut.index("\n}")])
    assert len(blocks) > 8
    assert all(block.count("\n") < 75 for block in blocks[2:])


def test_sine_and_cosine_of_an_angle_are_one_call(
    everywhere: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not X86:
        pytest.skip("reads machine code of x86")
    monkeypatch.setattr(stretches, "STRETCH", 6)
    lines = ["def f(x):", "    a0 = x", *(f"    a{k + 1} = np.sin(a{k}) * {0.3 + k / 9}" for k in range(5))]
    lines += ["    s = a5", *(f"    s = s + np.cos(a{k}) * {0.5 - k / 9}" for k in range(5))]
    text = "\n".join([*lines, "    return -1, s, a5", ""])
    assert_means_what_python_means("angles", text, (0.3,))
    assert any("far.stretch.1:" in t for t in everywhere)
    (code,) = compiled(text, "angles", (0.3,)).inspect_asm().values()
    called = re.findall(r"\$(sincos|sin|cos)\b", code)
    assert called and set(called) == {"sincos"}
