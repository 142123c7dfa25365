"""Looking inside: what is shown is what runs, alone, in the user's names, marked with the user's lines."""

from __future__ import annotations

import importlib.util
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.special

import tracegrad as tg
from tracegrad.testing.golden import compare

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(autouse=True)
def readable_text() -> Iterator[None]:
    with tg.config.using(jit="python"):
        yield


def rosen(x: Any) -> Any:
    return (1.0 - x[0]) ** 2 + 100.0 * (x[1] - x[0] ** 2) ** 2


def logistic(w: Any, X: Any, y: Any) -> Any:
    z = X @ w
    return np.mean(np.log1p(np.exp(z)) - y * z)


def tutorial(a: Any) -> Any:
    b = a * 2
    while np.linalg.norm(b) < 1000:
        b = b * 2
    if np.sum(b) > 0:
        c = b
    else:
        c = 100 * b
    return np.sum(c)


def chained(x: Any, y: Any = 2.0) -> Any:
    u = np.sin(x) * y
    v = u * u + x
    return np.sum(v * np.exp(u))


DATA = np.random.default_rng(0).standard_normal((5, 3))
LABELS = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
CASES = [
    (rosen, (np.array([-1.2, 1.0]),)),
    (logistic, (np.array([0.1, 0.2, 0.3]), DATA, LABELS)),
    (tutorial, (np.array([0.3, -0.1, 2.0]),)),
    (tutorial, (np.array([-0.3, -0.1, 0.2]),)),
    (chained, (np.array([0.1, 0.2]), 3.0)),
]
NAMES = [f"{f.__name__}-{k}" for k, (f, _) in enumerate(CASES)]


def code(text: str) -> list[str]:
    """The lines of a function without header, comments and blank lines."""
    lines = text.split("\n")
    start = next(i for i, line in enumerate(lines) if line.startswith("def "))
    return [line for line in lines[start + 1 :] if line.strip() and not line.strip().startswith("#")]


# --- the text runs alone


@pytest.mark.parametrize(("function", "args"), CASES, ids=NAMES)
def test_the_emitted_text_alone_gives_the_same_gradient(function: Any, args: Any) -> None:
    vg = tg.value_and_grad(function)
    value, gradient = vg(*args)
    text = vg.source(*args)
    assert "tracegrad" not in re.sub(r'^""".*?"""', "", text, flags=re.DOTALL)
    assert re.findall(r"^(?:import|from) .*", text, flags=re.MULTILINE) == ["import numpy as np"]
    space: dict[str, Any] = {}
    exec(compile(text, "<alone>", "exec"), space)
    result, residuals = space[f"{function.__name__}_forward"](*args)
    assert result == value
    np.testing.assert_array_equal(space[f"{function.__name__}_backward"](residuals), gradient)


def test_a_half_imports_what_it_needs_itself() -> None:
    g = tg.grad(lambda x: scipy.special.expit(x))  # whose derivative is made of its value
    assert g(0.0) == 0.25
    assert "import scipy.special\n" in g.forward_source
    assert "import scipy.special\n" not in g.backward_source and "expit" in g.backward_source


@pytest.mark.parametrize(("function", "args"), CASES, ids=NAMES)
def test_the_halves_shown_are_the_halves_of_the_source(function: Any, args: Any) -> None:
    g = tg.grad(function)
    text = g.source(*args)
    for half in (g.forward_source, g.backward_source):
        compile(half, "<half>", "exec")
        assert "\n".join(half.split("\ndef ")[1].splitlines()[1:]).rstrip() in text
    assert max(map(len, text.split("\n"))) <= 88
    assert f"def {function.__name__}_forward(" in g.forward_source
    assert f"def {function.__name__}_backward(" in g.backward_source
    assert f"def {function.__name__}" in g.native_source
    assert isinstance(g.trace, str) and f"trace {function.__name__}(" in g.trace


def test_backward_text_is_short() -> None:
    for function, args in CASES[:2]:
        g = tg.grad(function)
        g(*args)
        assert len(code(g.backward_source)) <= 15


def test_backward_text_is_shown_for_vjp_and_its_pullback() -> None:
    made = tg.vjp(chained)
    _, pullback = made(np.ones(2), 2.0)
    assert "def chained_backward(residuals, out_bar):" in made.backward_source
    assert pullback.backward_source == made.backward_source


def test_what_there_is_not() -> None:
    g = tg.grad(rosen)
    for name in ("forward_source", "backward_source", "native_source", "trace"):
        with pytest.raises(AttributeError, match="has not been called yet"):
            getattr(g, name)
    assert "Nothing was captured yet" in g.explain()
    made = tg.jit(rosen)
    made(np.ones(2))
    with pytest.raises(AttributeError, match="no backward function"):
        _ = made.backward_source
    assert "def rosen_forward" in made.forward_source


def test_the_program_used_last_is_the_one_shown() -> None:
    def f(x: Any) -> Any:
        kept = []
        if x > 0.0:
            kept.append(np.sin(x))
        else:
            kept.append(np.cos(x))
            kept.append(x)
        return sum(kept)

    g = tg.grad(f)
    for x in (1.0, -1.0, 2.0, -2.0):
        g(x)
        assert ("np.sin(x)" in g.forward_source) == (x > 0)
        g.source(-x)
        assert ("np.sin(x)" in g.forward_source) == (x < 0)


# --- lines


def group_lines(text: str) -> dict[str, str]:
    """The code of each group, by the user's line that its comment names."""
    found: dict[str, list[str]] = {}
    now = ""
    for line in text.split("\n"):
        comment = re.search(r"# line (\d+)", line)
        if comment:
            now = comment[1]
            line = line[: comment.start()]
        if now and line.strip():
            found.setdefault(now, []).append(line.strip())
    return {k: "\n".join(v) for k, v in found.items()}


def nameless(text: str) -> str:
    """Code without names: what an invented name says may change with what it stands for."""
    return re.sub(r"\b\w*[a-z_]\w*\b", "v", text)


PLAIN = """
import numpy as np

def f(x, y):
    a = np.sin(x) * 1.5
    b = a * a + y
    c = np.exp(b) * 0.25
    d = c * y
    return np.sum(d)
"""


@pytest.mark.parametrize(
    ("line", "before", "after"),
    [
        (5, "1.5", "1.75"),
        (7, "0.25", "0.125"),
        (7, "np.exp", "np.tanh"),
        (6, "a * a", "a * a * a"),
        (8, "c * y", "c / y"),
    ],
)
def test_changing_one_statement_changes_the_groups_marked_with_its_line(
    line: int, before: str, after: str, tmp_path: Path
) -> None:
    def halves(source: str, name: str) -> list[dict[str, str]]:
        path = tmp_path / f"{name}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        g = tg.grad(module.f, argnums=(0, 1))
        g(np.array([0.1, 0.2]), 2.0)
        return [group_lines(g.forward_source), group_lines(g.backward_source)]

    lines = PLAIN.split("\n")
    assert before in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(before, after)
    first, second = halves(PLAIN, "first"), halves("\n".join(lines), "second")
    changed = set()
    for one, other in zip(first, second, strict=True):
        assert set(one) == set(other)
        changed |= {k for k in one if nameless(one[k]) != nameless(other[k])}
    assert changed == {str(line)} or (changed > {str(line)} and after in ("np.tanh", "a * a * a", "c / y"))
    assert str(line) in first[1]


def test_every_group_names_a_line_of_the_user() -> None:
    g = tg.grad(tutorial)
    g(np.array([0.3, -0.1, 2.0]))
    lines = Path(__file__).read_text().split("\n")
    for half in (g.forward_source, g.backward_source):
        for number, shown in re.findall(r"# line (\d+): (.*)", half):
            assert lines[int(number) - 1].strip().startswith(shown.strip().rstrip(".")[:40])


# --- paths and the story


def branchy(x: Any, limit: Any = 2.0) -> Any:
    kept = []
    if x > 0:
        kept.append(np.sin(x))
    if x > limit:
        kept.append(x * x)
    kept.append(x)
    return sum(kept)


def test_paths_are_told_with_the_users_conditions() -> None:
    g = tg.grad(branchy)
    for x in (1.0, 3.0, -1.0, 1.0):
        g(x)
    assert "if x > 0:" in g.paths and "if x > limit:" in g.paths
    assert "otherwise program 2" in g.paths
    assert [line for line in g.paths.splitlines() if line.startswith("program")] == [
        f"program {n} (x: f8[], limit: f8[]), NumPy so far" for n in (1, 2, 3)
    ]


def test_the_story_of_a_branchy_function(refresh_golden: bool) -> None:
    g = tg.grad(branchy)
    for x in (1.0, 3.0, -1.0, 1.0, 3.0):
        g(x)
    told = re.sub(r"(line |\.py:)\d+", r"\1N", g.explain())
    compare(told, GOLDEN / "branchy.explain.txt", refresh_golden)


def test_why_a_program_stays_numpy_is_told() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.sort(x) * x)

    g = tg.grad(f, jit="native")
    g(np.array([2.0, 1.0]))
    if "no native text" in g.native_source:
        assert "stays NumPy" in g.explain()


def test_a_module_is_a_file_with_its_lines() -> None:
    g = tg.grad(rosen)
    g(np.ones(2))
    forward = g.last.built.forward
    assert Path(forward.__code__.co_filename).read_text() == g.last.built.source.text
    assert textwrap.dedent(forward.__module__).startswith("tracegrad_rosen_")
