"""Short loops in lanes have Python's digits; those whose rounds depend on each other are not done so."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.compiler.test_translation import passes
from tests.emit.kernel_patterns import X86, machine_code
from tracegrad.compiler.lanes import Lanes, find_lanes, sharing
from tracegrad.compiler.numba_backend import compile_native
from tracegrad.compiler.outlook import look_ahead
from tracegrad.config import config
from tracegrad.ir.source import Source

HEAD = """import numpy as np
from tracegrad.kernels.exponential import exp
from tracegrad.kernels.trigonometric import sin


def added(total, x):
    return total + x


"""
DRAWN = np.random.default_rng(3)
SHAPES = {"a": (5, 3), "b": (5, 3), "c": (5, 5), "d": (7,), "e": (3, 6), "w": (5,)}
GIVEN = tuple(DRAWN.uniform(0.5, 2.0, shape) for shape in SHAPES.values())

IN_LANES: dict[str, str] = {
    "elements": """
    r = np.empty((5, 3))
    for i in range(5):
        for j in range(3):
            r[i, j] = -(a[i, j] * 0.5 - b[i, j]) / (b[i, j] + 2.0) + a[i, j] ** 2
""",
    "pairs, sums in the order of either axis": """
    r = np.empty((5, 3))
    s = np.zeros((5, 3))
    d_1 = np.empty(3)
    for i in range(5):
        for l in range(3):
            r[i, l] = 0.0
        for j in range(5):
            square = 0.05
            for l in range(3):
                d_1[l] = a[j, l] - a[i, l]
                square += d_1[l] * d_1[l]
            for l in range(3):
                part = w[j] * d_1[l] / (square * np.sqrt(square))
                r[i, l] += part
                s[j, l] += part
""",
    "what the last round leaves": """
    u = np.empty(3)
    last = 7.0
    for i in range(5):
        for l in range(3):
            u[l] = a[i, l] / (b[i, l] + 1.0)
        last = u[0] + u[1] * u[2]
    s = last + i + l + u[1]
""",
    "what the last round leaves, of eight": """
    u = np.empty((1, 3))
    for i in range(8):
        for l in range(3):
            u[0, l] = a[l, l] / d[l] + a[i // 2, l] / 3.0
        for l in range(3):
            u[0, l] = u[0, l] / d[6]
    s = u[0, 0] + u[0, 2]
""",
    "a sum of rounds": """
    s = 1.0
    r = 0.0
    for i in range(7):
        s += d[i] / (d[i] + 1.0)
        r = added(r, d[i])
""",
    "rest of two": """
    r = np.empty((3, 6))
    for j in range(6):
        for i in range(3):
            r[i, j] = np.sqrt(e[i, j]) / e[2 - i, j]
""",
    "rest of three, functions and choices": """
    r = np.empty(7)
    for i in range(7):
        r[i] = exp(d[i]) * 0.5 if d[i] > 1.0 else exp(-d[6 - i])
""",
    "rare arguments": """
    r = np.empty((2, 7))
    for i in range(7):
        r[0, i] = sin(d[i])
        r[1, i] = sin(d[i] * 1e9 if d[i] > 1.0 else d[i])
""",
    "many rounds": """
    r = np.empty((32, 2))
    for i in range(32):
        for j in range(2):
            r[i, j] = a[j, 0] / (b[j, 1] + w[j])
    s = np.empty((32, 2))
    for i in range(32):
        for j in range(2):
            s[i, j] = r[i, j] * r[i, 1 - j] + r[i, j] / 3.0
""",
    "the diagonal": """
    r = np.empty(5)
    for i in range(5):
        r[i] = c[i, i] * c[0, i] + c[i, 4] / w[i]
""",
}

APART: dict[str, str] = {
    "a round reads what the one before wrote": """
    r = np.zeros(6)
    for i in range(5):
        r[i + 1] = r[i] * w[i] + 1.0 / w[i]
""",
    "a round reads what a later one writes": """
    r = w.copy()
    for i in range(5):
        for j in range(5):
            r[i] = r[i] + r[j] / w[i]
""",
    "a number handed on": """
    r = np.empty(5)
    s = 1.0
    for i in range(5):
        r[i] = s / w[i]
        s = s * w[i]
""",
    "one place of an array handed on": """
    r = np.zeros(3)
    s = np.empty(5)
    for i in range(5):
        s[i] = r[0] / w[i]
        r[0] = s[i] * w[i]
""",
    "two names of one array": """
    r = w.copy()
    s = r
    for i in range(5):
        r[i] = s[4 - i] / w[i]
""",
    "a part of an array": """
    r = c.copy()
    s = r[0]
    for i in range(5):
        r[0, i] = s[4 - i] / w[i]
""",
    "a sum in the order of an inner loop": """
    s = 0.0
    for i in range(5):
        for j in range(3):
            s += a[i, j] / b[i, j]
""",
    "a sum that is read": """
    r = np.empty(5)
    s = 0.0
    for i in range(5):
        s += w[i] / 3.0
        r[i] = s
""",
    "two sums in one number": """
    s = 0.0
    for i in range(5):
        s += w[i] / 3.0
        s += w[i] * w[i] / 7.0
""",
    "an array of which only a part is written first": """
    r = np.ones(3)
    s = np.empty(5)
    for i in range(5):
        for l in range(2):
            r[l] = w[i] / 3.0
        s[i] = r[0] * r[1] / r[2]
        r[2] = s[i]
""",
    "a written index": """
    r = np.empty(5)
    k = 0
    for i in range(5):
        r[k] = w[i] / 3.0
        k = k + 1
""",
    "an end": """
    r = np.zeros(5)
    for i in range(5):
        if w[i] > 1.0:
            break
        r[i] = 1.0 / w[i]
""",
}


@pytest.fixture(autouse=True)
def nothing_is_kept(tmp_path: Path) -> Iterator[None]:
    with config.using(cache_dir=str(tmp_path / "cache")):
        yield


def whole(text: str) -> str:
    """A function that does this twice."""
    results = [n for n in ("r", "s") if re.search(rf"^    {n} = ", text, re.M)]
    text = text.replace("\n    ", "\n        ").rstrip(" ")
    return f"def f({', '.join(SHAPES)}):\n    for k in range(2):{text}    return -1, {', '.join(results)}\n"


def loops_in_lanes(text: str) -> list[Lanes]:
    (tree,) = ast.parse(whole(text)).body
    assert isinstance(tree, ast.FunctionDef)
    return list(find_lanes(tree, look_ahead(tree), frozenset({"added"}), sharing(tree, True))[0].values())


def assert_same_digits(text: str) -> Any:
    """Compiled without fused multiply-add, and as Python runs it."""
    names: dict[str, Any] = {}
    exec(HEAD + text, names)
    wanted = names["f"](*GIVEN)
    functions = compile_native(Source(HEAD + text, ("f",), contract=False), "lanes", GIVEN)
    assert not isinstance(functions, str), functions
    assert passes(functions["f"]) == ["tracegrad"]
    for x, y in zip(functions["f"](*GIVEN), wanted, strict=True):
        np.testing.assert_array_equal(x, y)
    return functions["f"]


@pytest.mark.parametrize("name", IN_LANES)
def test_in_lanes(name: str) -> None:
    assert loops_in_lanes(IN_LANES[name])
    assert_same_digits(whole(IN_LANES[name].replace("r = 0.0", "r = 0.0 * d[0]")))


def test_of_the_round_left_over_the_inner_loop_is_in_lanes() -> None:
    """What all rounds add to a whole array is added to several elements at once; to a part of it, one by one."""
    outer, inner = loops_in_lanes(IN_LANES["pairs, sums in the order of either axis"])
    assert (outer.counter, inner.counter) == ("i", "j")
    assert (outer.filled, inner.filled) == ({"s"}, set())


def test_what_is_in_lanes_is_packed() -> None:
    if not X86:
        pytest.skip("reads machine code of x86")
    function = assert_same_digits(whole(IN_LANES["pairs, sums in the order of either axis"]))
    (code,) = function.inspect_asm().values()
    assert re.search(r"\bv?divpd\b", code)
    assert re.search(r"\bv?sqrtpd\b", code)


@pytest.mark.parametrize("name", APART)
def test_one_round_after_the_other(name: str) -> None:
    assert not loops_in_lanes(APART[name])
    assert_same_digits(whole(APART[name]))


@pytest.mark.parametrize("seed", range(3))
def test_random_loops(seed: int) -> None:
    """Loops whose rounds may depend on each other in any way: whatever is done in lanes has Python's digits."""
    draw = random.Random(seed)
    arrays = {"p": (5, 3), "q": (5, 3), "r": (5,), "s": (3,), "t": (5, 5)}
    lines = [f"{name} = np.full({shape}, {k + 1}.25)" for k, (name, shape) in enumerate(arrays.items())]
    lines += ["x = 0.5", "y = 1.5", "z = 2.5"]
    names = {**arrays, **SHAPES, "e": (3, 5), "d": (5,)}
    for _ in range(25):
        body: list[str] = []
        for _ in range(draw.randint(1, 3)):
            depth = draw.choice([0, 0, 1, 2])
            counters = [("i", 5), *[("j", 5), ("l", 3)][2 - depth :]]
            if depth == 1 and draw.random() < 0.3:
                counters = [("i", 5), ("j", 5)]
            indent = ""
            for name, n in counters[1:]:
                body.append(f"{indent}for {name} in range({n}):")
                indent += "    "
            for _ in range(draw.randint(1, 3)):
                body.append(indent + statement(draw, names, list(arrays), counters))
        lines += ["for k in range(2):", "    for i in range(5):", *(f"        {line}" for line in body)]
    text = "".join(f"    {line}\n" for line in lines)
    text = f"def f({', '.join(SHAPES)}):\n{text}    return -1, {', '.join(arrays)}, x, y, z\n"
    (tree,) = ast.parse(text).body
    assert isinstance(tree, ast.FunctionDef)
    in_lanes = len(find_lanes(tree, look_ahead(tree), frozenset({"added"}), sharing(tree, True))[0])
    assert 3 < in_lanes < 25
    assert_same_digits(text)


def statement(
    draw: random.Random,
    names: dict[str, tuple[int, ...]],
    written: list[str],
    counters: list[tuple[str, int]],
) -> str:
    def element(name: str) -> str:
        places = []
        for n in names[name]:
            fitting = [c for c, rounds in counters if rounds <= n] + (["4 - i"] if n == 5 else [])
            places.append(draw.choice([*fitting * 4, str(draw.randrange(n))] if fitting else [str(n - 1)]))
        return f"{name}[{', '.join(places)}]"

    def operand() -> str:
        chosen = draw.random()
        if chosen < 0.3:
            return draw.choice(["x", "y", "z", "0.75"])
        return element(draw.choice(list(names)))

    target = draw.choice(["x", "y", "z"]) if draw.random() < 0.4 else element(draw.choice(written))
    value = f"({operand()} {draw.choice('+-*')} {operand()}) / (2.0 + {operand()} * {operand()})"
    if draw.random() < 0.3:
        return f"{target} += {value}"
    return f"{target} = {value}"


def test_five_bodies_are_packed() -> None:
    """Distances of all pairs, small arrays in a loop: several pairs at once, the same numbers as array by array."""

    def moved(q: Any, m: Any) -> Any:
        for _ in range(3):
            d = q[None, :, :] - q[:, None, :]
            w = m[None, :] * (np.sum(d * d, axis=2) + 0.05) ** -1.5
            q = q + 0.1 * np.sum(w[:, :, None] * d, axis=1)
        return np.sum(q * q)

    q, m = DRAWN.standard_normal((5, 3)), DRAWN.uniform(0.5, 1.5, 5)
    native = tg.value_and_grad(moved, argnums=(0, 1), jit="native")
    value, bars = native(q, m)
    wanted, wanted_bars = tg.value_and_grad(moved, argnums=(0, 1), jit="python")(q, m)
    np.testing.assert_allclose(value, wanted, rtol=1e-13)
    for bar, other in zip(bars, wanted_bars, strict=True):
        np.testing.assert_allclose(bar, other, rtol=1e-11, atol=1e-12)
    if X86:
        code = machine_code(native)
        assert len(re.findall(r"\bv?divpd\b", code)) > 1 and len(re.findall(r"\bv?sqrtpd\b", code)) > 1
