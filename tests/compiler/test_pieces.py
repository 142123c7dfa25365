"""A long function is cut into pieces: with the same digits, every array given back, and its text as it was."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.compiler.test_translation import TEXTS, assert_means_what_python_means, compiled, passes
from tests.passes.written import read
from tracegrad.compiler import direct, pieces
from tracegrad.compiler.numba_backend import compile_native
from tracegrad.compiler.outlook import Names
from tracegrad.config import config
from tracegrad.emit.module import emit_native
from tracegrad.ir.source import Source
from tracegrad.passes.pipeline import for_loops, plan_gradient


@pytest.fixture(autouse=True)
def nothing_is_kept(tmp_path: Path) -> Iterator[None]:
    with config.using(cache_dir=str(tmp_path / "cache")):
        yield


@pytest.fixture
def in_single_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LONG", "PIECE", "SHORT"):
        monkeypatch.setattr(pieces, name, -1 if name != "PIECE" else 0)


MORE: dict[str, tuple[str, tuple[Any, ...]]] = {
    "what a round hands to the next": (
        """def f(x, n):
    total = 0.0
    before = 1.0
    small = np.zeros(3)
    kept = np.zeros(n)
    for k in range(n):
        now = x[k] * before
        for j in range(3):
            small[j] = small[j] * 0.5 + now
        if now > 2.0:
            late = now
            before = 0.25
        else:
            late = -now
            before = now + 1.0
        kept[k] = small[k % 3] + late
        total += late
        if total > 40.0:
            break
    return -1, total, before, kept, small[0] + small[2]
""",
        (np.array([1.0, -2.0, 3.5, 8.0, 0.5]), 5),
    ),
    "two names of one array": (
        """def f(x, n):
    a = x.copy()
    for i in range(n):
        a[i] = a[i] + 1.0
    first = a[:2]
    for i in range(2):
        first[i] = 10.0 * a[i]
    b = a
    for i in range(n):
        b[i] = b[i] - a[0]
    turned = a.reshape((n, 1))
    for i in range(n):
        turned[i, 0] += first[1]
    return -1, a, b[1], turned[2, 0]
""",
        (np.array([1.0, -2.0, 3.5]), 3),
    ),
    "counters with one name, arrays made again": (
        """def f(x, n):
    a = np.empty(4)
    s = 0.0
    for i in range(4):
        a[i] = x[i] * 2.0
        s = s + a[i]
    c = np.empty(n)
    for i in range(n):
        c[i] = a[i] - s
    a = np.empty(4)
    s = 0.0
    for i in range(4):
        a[i] = c[3 - i] * c[i]
        s = s + a[i]
    c = np.zeros(n)
    for i in range(n):
        c[i] += a[i] / s
    return -1, s, c
""",
        (np.array([1.0, -2.0, 3.5, 8.0]), 4),
    ),
}


@pytest.mark.usefixtures("in_single_statements")
@pytest.mark.parametrize("name", [*TEXTS, *MORE])
def test_each_statement_as_a_function(name: str) -> None:
    assert_means_what_python_means(name, *(TEXTS | MORE)[name])


@pytest.mark.usefixtures("in_single_statements")
def test_an_error_in_a_piece_reaches_the_caller() -> None:
    text = """from numpy.linalg import LinAlgError


def f(x, n):
    a = x.copy()
    for k in range(n):
        if a[k] < 0.0:
            raise LinAlgError(k)
    return -1, a
"""
    given = (np.array([1.0, 2.0, -3.0]), 3)
    function = compiled(text, "pieces_raise", given)
    assert passes(function) == ["tracegrad"]
    with pytest.raises(np.linalg.LinAlgError, match="2"):
        function(*given)


def layers(count: int) -> Source:
    """The native text of a network of many layers."""
    lines = [f"p{k} = matmul(w, a{k})\n  a{k + 1} = tanh(p{k})" for k in range(count)]
    head = "trace(a0: f8[12], w: f8[12,12]):\n  "
    end = f"\n  r = sum(a{count}, axis=(0,), keepdims=False)\n  return r"
    joint = plan_gradient(read(head + "\n  ".join(lines) + end), (0, 1), (0,)).joint
    made = emit_native("gradient", for_loops(joint), contract=False)
    assert isinstance(made, Source)
    return made


def written(source: Source, given: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[int]]:
    """The compiled function, and how many instructions LLVM is given for each of its pieces and what is around."""
    found: list[int] = []
    add = direct.Library.add_ir_module

    def counted(self: Any, code: Any) -> None:
        found.extend(
            sum(len(b.instructions) for b in f.blocks)
            for f in code.functions
            if f.blocks and ("piece" in f.name or f is code.functions[0])
        )
        add(self, code)

    with monkeypatch.context() as patch:
        patch.setattr(direct.Library, "add_ir_module", counted)
        functions = compile_native(source, "layers", given)
    assert not isinstance(functions, str), functions
    return functions[source.entries[0]], found


def test_many_loops_are_several_functions_of_bounded_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    given = rng.normal(size=12), rng.normal(size=(12, 12)) / 4
    monkeypatch.setattr(pieces, "LONG", 400)
    monkeypatch.setattr(pieces, "PIECE", 200)
    sizes = {}
    for count in (12, 24):
        source = layers(count)
        function, sizes[count] = written(source, given, monkeypatch)
        with monkeypatch.context() as patch:
            patch.setattr(pieces, "LONG", 10**9)
            whole, one = written(replace(source, text=source.text + "#\n"), given, monkeypatch)
        assert len(one) == 1
        for x, y in zip(function(*given), whole(*given), strict=True):
            np.testing.assert_array_equal(x, y)
    assert len(sizes[24]) > 1.7 * len(sizes[12])
    assert max(sizes[24]) < 1.3 * max(sizes[12])
    assert sum(sizes[24]) < 2.2 * sum(sizes[12])


def test_where_a_function_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LONG", 60)
    monkeypatch.setattr(pieces, "PIECE", 40)
    monkeypatch.setattr(pieces, "SHORT", 0)
    text = """def f(x, n):
    y = np.empty(n)
    for i in range(n):
        y[i] = x[i] * 2.0 + x[i] * x[i] - 1.0
    s = 0.0
    for i in range(n):
        s = added(s, y[i] * x[i] + 3.0 * x[i])
    for i in range(n):
        s = added(s, y[i] * x[i] + 2.0 * x[i])
    return -1, s
"""
    tree = ast.parse(text).body[0]
    assert isinstance(tree, ast.FunctionDef)
    found = pieces.cut(tree, {}, Names())
    assert [len(p.body) for p in found.body if isinstance(p, pieces.Piece)] == [3, 1, 2]
    assert {"x", "n", "y", "s"} <= found.shared and "i" not in found.shared


def test_llvm_is_told_how_much_it_may_compare_to_order_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once in a process, before the first function is compiled."""
    told: list[str] = []
    monkeypatch.setattr(direct.llvm, "set_option", lambda _, option: told.append(option))
    direct.bound_scheduling.cache_clear()
    for name in ("first", "second"):
        compiled("def f(x):\n    return -1, x + 1.0\n", f"told_{name}", (1.5,))
    assert told == [f"-dag-maps-huge-region={direct.HUGE}"]


@pytest.mark.parametrize(
    ("text", "apart"),
    [
        ("for i in range(9):\n    a = x[3, i]\n    x[5, i] = a", True),
        ("for i in range(9):\n    a = x[i, 3]\n    x[i, 5] = a", False),
        ("for i in range(9):\n    a = x[i + 1]\n    x[i] = a", False),
        ("for i in range(9):\n    a = x[i]\n    x[i] = a", True),
        ("for i in range(9):\n    a = x[5, i]\n    x[5, i + 1] = a", False),
    ],
)
def test_which_rounds_llvm_may_do_at_once(text: str, apart: bool) -> None:
    loop = ast.parse(text).body[0]
    assert isinstance(loop, ast.For)
    assert pieces._rounds_may_be_apart(loop, Names()) == apart
