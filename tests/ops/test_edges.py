"""The page on edges is a table of tests: each row's function is run at its point, in all tiers and both modes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import tracegrad as tg

PAGE = Path(__file__).resolve().parents[2] / "docs" / "edges.md"
ROWS = re.findall(
    r"^\| `(.*?)` \| `(.*?)` \| `(.*?)` \| `(.*?)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
)
OF_ARRAYS_ALONE = ("scipy.special.logsumexp", "softmax", "np.nan_to_num", "Rotation")
"""SciPy's own Python code, which asks a tensor for an array."""
COMPILED = (
    "maximum(x, 0)",
    "clip",
    "np.hypot",
    "arctan2",
    "logaddexp",
    "np.std",
    "np.prod(x)",
    "where",
    "norm(x, 3)",
)
"""What has a form of its own in compiled code, or an edge that loops over elements could lose."""


def number(text):
    return np.array(eval(text, {"nan": np.nan, "inf": np.inf}), dtype=float)


@pytest.fixture(scope="module")
def functions(tmp_path_factory):
    """The rows as functions with source text, so that they are captured as anybody's are."""
    file = tmp_path_factory.mktemp("edges") / "edges_of_the_page.py"
    lines = [f"def row_{k}(x):\n    return {row[0]}\n" for k, row in enumerate(ROWS)]
    file.write_text("import numpy as np\nimport scipy.special\n\n\n" + "\n\n".join(lines), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("edges_of_the_page", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [getattr(module, f"row_{k}") for k in range(len(ROWS))]


def agrees(found, wanted):
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-15)


EACH = pytest.mark.parametrize("k", range(len(ROWS)), ids=[f"{row[0]} at {row[1]}" for row in ROWS])


def test_the_page_has_rows():
    assert len(ROWS) > 180


@EACH
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_reverse_and_forward(functions, k):
    _, at, value, gradient = (number(text) if j else text for j, text in enumerate(ROWS[k]))
    at = float(at) if not at.ndim else at
    both = tg.value_and_grad(functions[k], jit="python")
    for _ in range(2):  # the first call, then the text
        found, bar = both(at)
        agrees(found, value)
        agrees(bar, gradient)
        assert np.shape(bar) == np.shape(gradient)
    for j, slope in enumerate(np.ravel(gradient)):
        along = np.eye(np.size(at))[j].reshape(np.shape(at))[()]
        agrees(tg.jvp(functions[k], (at,), (along,), jit="python")[1], slope)


@EACH
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_tensors(functions, k):
    code, at, value, gradient = (number(text) if j else text for j, text in enumerate(ROWS[k]))
    if any(word in code for word in OF_ARRAYS_ALONE):
        pytest.skip("SciPy's own Python code asks a tensor for an array")
    x = tg.tensor(at, requires_grad=True)
    result = functions[k](x)
    agrees(result.item(), value)
    result.backward()
    agrees(x.grad.numpy(), gradient)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_compiled_code(functions):
    """In one program, which is compiled once."""
    rows = [k for k, row in enumerate(ROWS) if any(word in row[0] for word in COMPILED) and row[1] != "[]"]
    points = [number(ROWS[k][1]) for k in rows]

    def everything(*points):
        return tuple(functions[k](x) for k, x in zip(rows, points, strict=True))

    with tg.config.using(jit="native"):
        transformed = tg.vjp(everything)
        values, pullback = transformed(*points)
        bars = pullback((1.0,) * len(rows))
    assert transformed.stats.compiles, transformed.explain()
    for k, value, bar in zip(rows, values, bars, strict=True):
        agrees(value, number(ROWS[k][2]))
        agrees(bar, number(ROWS[k][3]))
