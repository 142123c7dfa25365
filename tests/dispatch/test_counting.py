"""What `explain()` counts is what plain Python does, in every tier, through merges and in nested structures."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import numpy as np
import pytest

import tracegrad as tg

SEEN: Counter[str] = Counter()


def see(name: str) -> None:
    SEEN[name] += 1


def nested(x: Any, a: Any, n: Any) -> Any:
    s = 0.0
    for _ in range(20):
        if x > 0.5:
            if a * x > 2.6:
                x = 0.3 * x + 0.1
            else:
                x = a * x * (1.0 - x)
        else:
            while x < 0.4:
                x = x + 0.125
                if s > 3.0:
                    s = s - 0.25
                else:
                    s = s + 0.5
            x = x * 1.2
        s = s + x * x
    if s > 10.0:
        s = 0.1 * s
    return s


def nested_with_counters(x: float, a: float, n: int) -> float:
    s = 0.0
    for _ in range(20):
        see("for")
        if x > 0.5:
            see("x > 0.5")
            if a * x > 2.6:
                see("a * x > 2.6")
                x = 0.3 * x + 0.1
            else:
                see("not a * x > 2.6")
                x = a * x * (1.0 - x)
        else:
            see("not x > 0.5")
            while x < 0.4:
                see("while")
                x = x + 0.125
                if s > 3.0:
                    see("s > 3.0")
                    s = s - 0.25
                else:
                    see("not s > 3.0")
                    s = s + 0.5
            x = x * 1.2
        s = s + x * x
    if s > 10.0:
        see("s > 10.0")
        s = 0.1 * s
    else:
        see("not s > 10.0")
    return s


def row(text: str, code: str) -> str:
    """What stands behind a line of the user's in `explain()`."""
    found = re.search(rf"^  line \d+ +{re.escape(code)} +(.*)$", text, flags=re.MULTILINE)
    assert found, text
    return found[1]


def inputs(count: int) -> list[tuple[float, float, int]]:
    draw = np.random.default_rng(5)
    return [(draw.uniform(0, 1), draw.uniform(2.4, 3.9), k) for k in range(count)]


@pytest.mark.parametrize("jit", ["python", "auto"])
def test_counts_are_those_of_plain_python(jit: str) -> None:
    f = tg.value_and_grad(nested, jit=jit)
    calls = inputs(60)
    for arguments in calls[:20]:  # a program is known, and answers by the fast way: not counted
        f(*arguments)
    SEEN.clear()
    with f.counting():
        for arguments in calls:
            value, _ = f(*arguments)
            assert value == pytest.approx(nested_with_counters(*arguments), rel=1e-12)
    told = f.explain()
    assert ", counted in 60 calls" in told
    for code, name in (
        ("if x > 0.5:", "x > 0.5"),
        ("if a * x > 2.6:", "a * x > 2.6"),
        ("if s > 3.0:", "s > 3.0"),
        ("if s > 10.0:", "s > 10.0"),
    ):
        assert row(told, code) == f"True {SEEN[name]:,}, False {SEEN['not ' + name]:,}"
    assert row(told, "while x < 0.4:") == f"{SEEN['while']:,} steps in {SEEN['not x > 0.5']:,} runs"
    assert row(told, "for _ in range(20):") == "20 steps"
    before = told
    f(*calls[0])
    assert row(f.explain(), "if x > 0.5:") == row(before, "if x > 0.5:")  # outside of the block: not counted


def test_counts_go_on_when_an_arm_joins() -> None:
    f = tg.grad(nested, jit="python")
    SEEN.clear()
    calls = inputs(30)
    with f.counting():
        for arguments in calls:
            f(*arguments)
            nested_with_counters(*arguments)
    told = f.explain()
    assert f.stats.captures > 1 and "joins program 1" in told
    assert "program 2" not in told and "counted in 30 calls" in told
    assert row(told, "if x > 0.5:") == f"True {SEEN['x > 0.5']:,}, False {SEEN['not x > 0.5']:,}"


def test_several_branches_of_one_line_are_counted_together() -> None:
    def clipped(x: Any) -> Any:
        if x > 1.0:
            x = 1.0 + 0.1 * x
        return x

    @tg.grad(jit="python")
    def f(x: Any) -> Any:
        return clipped(x) + clipped(2.0 * x) * clipped(3.0 * x)

    draws = np.random.default_rng(0).uniform(0, 1.5, 50)
    with f.counting():
        for x in draws:
            f(float(x))
    above = sum(bool(k * x > 1.0) for x in draws for k in (1, 2, 3))
    does = re.search(r"in clipped +if x > 1.0: +(.*)", f.explain())
    assert does and does[1] == f"True {above}, False {150 - above}, 3 times in a row"


def test_a_program_with_nothing_to_count() -> None:
    f = tg.grad(lambda x: x * x, jit="python")
    with f.counting():
        f(1.0)
        f(2.0)
    assert "counted in 2 calls" in f.explain()
    with pytest.raises(ZeroDivisionError), f.counting():
        raise ZeroDivisionError
    f(3.0)
    f(3.0)
    assert "counted in 2 calls" in f.explain()
