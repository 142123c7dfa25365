"""Native text becomes machine code without Numba's analyses: with Python's values, and every array given back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tests.benchmarks.workloads import WORKLOADS
from tests.emit.kernel_patterns import X86
from tracegrad.compiler.numba_backend import compile_native
from tracegrad.compiler.outlook import look_ahead
from tracegrad.config import config
from tracegrad.ir.source import Source


@pytest.fixture(autouse=True)
def nothing_is_kept(tmp_path: Path) -> Iterator[None]:
    with config.using(cache_dir=str(tmp_path / "cache")):
        yield


HEAD = "import numpy as np\n\n\n"

TEXTS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "loops": (
        """def f(x, n):
    total = 0.0
    for i in range(n):
        if i == 2:
            continue
        if total > 50.0:
            break
        total += x[i] * i
    k = 0
    while True:
        k += 1
        if k >= 3 and not total < -100.0 or k > 10:
            break
    for j in range(n - 1, -1, -1):
        total = total - 0.25 * x[j] ** 3
    return -1, total, k
""",
        (np.array([1.0, -2.0, 3.5, 8.0, 0.5]), 5),
    ),
    "a name that one arm binds anew and the other reads": (
        """def f(x, c):
    y = x * 2.0
    if c > 0.0:
        y = x * 3.0
        z = y + 1.0
    else:
        z = y + 2.0
    return -1, z
""",
        (1.5, -1.0),
    ),
    "indices from the end": (
        """def f(x):
    out = np.zeros((2, 3))
    for i in range(3):
        k = -1 - i
        out[-1, k] = x[i]
        out[0, i] = x[k] if k > -3 else 0.0
    return -1, out, x[-1]
""",
        (np.array([1.0, 2.0, 4.0]),),
    ),
    "arrays that change hands": (
        """def f(x, n):
    a = x.copy()
    b = np.empty(3)
    for i in range(n):
        for j in range(3):
            b[j] = 2.0 * a[j] + i
        a, b = b, a
        if a[0] > 1e6:
            return 3, np.empty(0), np.empty(0)
    c = a
    a = np.full(3, 7.0)
    return -1, c, a
""",
        (np.array([1.0, 2.0, 4.0]), 4),
    ),
    "an early end": (
        """def f(x, n):
    a = x.copy()
    for i in range(n):
        b = a.copy()
        if i == 3:
            return 3, np.empty(0), np.empty(0)
        a = b
    return -1, a, a
""",
        (np.array([1.0, 2.0, 4.0]), 9),
    ),
    "parts of arrays": (
        """def f(x):
    total = 0.0
    y = np.empty((2, 2))
    for i in range(x.shape[0]):
        row = x[i]
        for j in range(row.size):
            total += row[j]
        y[i, 0], y[i, 1] = total, row[1]
    return -1, total, y, x.T[2, 1], y.reshape((4,)), y.reshape(1, 4)
""",
        (np.arange(6.0).reshape(2, 3),),
    ),
    "functions of the text": (
        """def doubled(x):
    out = np.empty(x.shape, x.dtype)
    for i in range(x.size):
        out[i] = 2 * x[i]
    return out


def both(x, y):
    return doubled(x), y


def f(x, y):
    a, b = both(doubled(x), y)
    c = both(a, b)
    return -1, c[0], b, len(c[0])
""",
        (np.array([1.0, 2.0]), 0.5),
    ),
    "numbers of several kinds": (
        """def f(x, n):
    small = np.float32(x)
    flag = 0.0 < x < 2.0 <= n
    parts = np.array([[x, 2.0], [x * x, -x]])
    whole = np.array([n, 2 * n])
    return -1, small * small, n // 2, n % 3, n / 2, flag, x**-2, -n, min(n, 3), parts, whole, abs(-x)
""",
        (0.75, 7),
    ),
    "stacks that grow": (
        """def f(x):
    stack = np.empty(2)
    steps = 0
    while x < 100.0:
        if steps == len(stack):
            stack = np.concatenate((stack, np.empty_like(stack)))
        stack[steps] = x
        x = 2.0 * x
        steps += 1
    total = 0.0
    for k in range(steps - 1, -1, -1):
        total = total + stack[k] / (k + 1)
    return -1, total, steps
""",
        (1.5,),
    ),
    "arrays behind one another": (
        """def f(x, n):
    turned = np.concatenate((x[0, ::-1], x[1], x[:, n]))
    rows = np.concatenate((x.T, x.T[::2], np.zeros((1, 2))))
    return -1, turned, rows, np.concatenate((turned[::2], turned[n:n]))
""",
        (np.arange(6.0).reshape(2, 3), 1),
    ),
    "small arrays that stay": (
        """def f(x):
    total = 0.0
    for i in range(3):
        part = np.zeros(2)
        flags = np.empty(2, np.bool_)
        for j in range(2):
            part[j] += x[i] * (j + 1)
            flags[j] = part[j] > 2.0
        total += part[0] * part[1] + (1.0 if flags[1] else 0.5)
    return -1, total
""",
        (np.array([1.0, 2.0, 4.0]),),
    ),
    "views by slices": (
        """def f(x, y):
    a = y[::-1].copy()
    b = np.ascontiguousarray(x[1:, ::2])
    c = x[-1, 2:0:-1]
    d = y[7:2]
    e = x[:, -2:9].T
    k = a.size - 8
    g = x[k, ::3]
    return -1, a, b, c, d, e, g, y[-9:-1:2], np.array([[1, 2], [3, 4]], np.float32), np.array([True], np.bool_)
""",
        (np.arange(12.0).reshape(3, 4), np.arange(6.0)),
    ),
    "rows whose arrays stay, and others; small arrays that are returned": (
        """def f(x):
    stack = np.empty((3, 2, 2))
    small = np.zeros((3, 2))
    for k in range(3):
        for i in range(2):
            for j in range(2):
                stack[k, i, j] = x[i, j] * (k + 1.0)
                small[k, j] += x[i, j]
    q = x.copy()
    total = q[0, 0]
    for k in range(2, -1, -1):
        q = stack[k]
        row = q[1]
        for i in range(2):
            total += row[i] * (k + 1)
    y = x.copy()
    kept = y[1]
    y = np.full((2, 2), 3.0)
    other = np.full((2, 2), 5.0)
    last = stack[1]
    return -1, total, kept[0], small, y, other, last, small
""",
        (np.array([[1.0, -2.0], [3.5, 8.0]]),),
    ),
    "products": (
        """def f(a, b, v):
    c = np.empty((2, 2))
    np.dot(a, b, c)
    d = np.empty((3, 3))
    np.dot(a.T, b.T, d)
    e = a @ v
    g = np.empty(3)
    np.dot(e, a, g)
    return -1, c, d, e, g, np.dot(b.T, v), np.dot(np.empty((2, 0)), np.empty((0, 3)))
""",
        (np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(3, 2) - 2.0, np.array([1.0, -2.0, 0.5])),
    ),
    "parts of what a call that writes returns": (
        """def grown(x):
    for i in range(2):
        x[i, i] += 1.0
    return x


def f(x):
    y = x.copy()
    first = grown(y)[0].copy()
    corner = grown(y)[1, 1]
    column = grown(y)[:, 1].copy()
    c = np.empty((2, 2))
    np.dot(grown(y)[:, 0:2], x, c)
    return -1, first, corner, column, c, y
""",
        (np.array([[1.0, -2.0], [3.5, 8.0]]),),
    ),
}


def compiled(text: str, name: str, given: tuple[Any, ...]) -> Any:
    functions = compile_native(Source(HEAD + text, ("f",), ()), name, given)
    assert not isinstance(functions, str), functions
    return functions["f"]


def passes(function: Any) -> list[str]:
    """By which passes of Numba's each signature was compiled."""
    return [n for o in function.overloads.values() for n in o.metadata["pipeline_times"]]


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_means_what_python_means_and_gives_back_all_memory(name: str) -> None:
    assert_means_what_python_means(name, *TEXTS[name])


def test_rows_of_what_stays_are_not_counted() -> None:
    """A loop that reads rows of an array, which is there all the time, holds none of them."""
    text = """def f(x, w):
    stack = x.copy()
    total = 0.0
    for k in range(w.size):
        row = stack[k]
        for i in range(w.size):
            total += row[i] * w[i]
    return -1, total
"""
    if not X86:
        pytest.skip("reads machine code of x86")
    given = (np.arange(9.0).reshape(3, 3), np.array([1.0, 0.5, -2.0]))
    counting = re.compile(r"\$NRT_incref")
    (code,) = compiled(text, "rows", given).inspect_asm().values()
    assert not counting.search(code)
    again = text.replace("    total = 0.0\n", "    stack = stack.copy()\n    total = 0.0\n")
    (code,) = compiled(again, "rows", given).inspect_asm().values()
    assert counting.search(code)


PRODUCT = """def product(x, y):
    out = np.full((x.shape[0], y.shape[1]), 0.0)
    for i in range(x.shape[0]):
        for k in range(x.shape[1]):
            for j in range(y.shape[1]):
                out[i, j] += x[i, k] * y[k, j]
    return out


"""


@pytest.mark.parametrize("count", [2, 9])
def test_loops_in_loops_are_copied_to_few_calls_alone(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """LLVM would write them out at each call, for the sizes there, which takes it more time than all the rest."""
    from tracegrad.compiler import direct
    from tracegrad.compiler.printing import text_of

    calls = "    x = product(x, y)\n" * count
    text = f"{PRODUCT}def f(x, y):\n{calls}    return -1, x\n"
    given = (np.arange(9.0).reshape(3, 3) / 7, np.eye(3)[::-1].copy())
    written: list[str] = []
    add = direct.Library.add_ir_module

    def kept(self: Any, code: Any) -> None:
        written.append(text_of(code))
        add(self, code)

    monkeypatch.setattr(direct.Library, "add_ir_module", kept)
    assert_means_what_python_means("many calls", text, given)
    lines = [line for text in written for line in text.splitlines()]
    (head,) = [line for line in lines if re.match(r"define.*\.product\b", line)]
    assert ("noinline" in head) == (count > 4)


def assert_means_what_python_means(name: str, text: str, given: tuple[Any, ...]) -> None:
    """Compiled the short way, the same values as Python's, and no memory held."""
    from numba.core.runtime import _nrt_python, rtsys

    _nrt_python.memsys_enable_stats()
    if name == "products":
        text = text.replace(", np.dot(b.T, v)", ", a @ v")
    names: dict[str, Any] = {"np": np}
    exec(text, names)
    wanted = names["f"](*given)
    function = compiled(text, "translated", given)
    assert passes(function) == ["tracegrad"]
    before = rtsys.get_allocation_stats()
    found = function(*given)
    assert len(found) == len(wanted)
    for x, y in zip(found, wanted, strict=True):
        assert np.shape(x) == np.shape(y)
        assert np.asarray(x).dtype.kind == np.asarray(y).dtype.kind
        np.testing.assert_allclose(x, y, rtol=1e-6 if isinstance(y, np.float32) else 1e-14)
    del found, x, y
    after = rtsys.get_allocation_stats()
    assert after.mi_alloc - before.mi_alloc == after.mi_free - before.mi_free


def test_what_is_not_translated_is_compiled_by_numba() -> None:
    text = """def f(x):
    total = 0.0
    for i, item in enumerate(x):
        total += i * item
    return -1, total
"""
    function = compiled(text, "enumerated", (np.arange(4.0),))
    assert passes(function) == ["nopython"]
    assert function(np.arange(4.0)) == (-1, 14.0)


def test_a_name_of_two_types_is_left_to_numba() -> None:
    text = """def f(x):
    a = 1
    a = a / 2
    return -1, a * x
"""
    function = compiled(text, "two_types", (3.0,))
    assert passes(function) == ["nopython"]
    assert function(3.0) == (-1, 1.5)


def test_an_error_in_a_function_of_the_text_reaches_the_caller() -> None:
    from tracegrad.kernels.items import OutOfBounds

    x, where = np.arange(5.0), np.array([1, 9])
    f = tg.value_and_grad(lambda x: np.sum(x[where] * 2.0), jit="native")
    with pytest.raises(IndexError, match="index 9 is out of bounds for axis 0 with size 5"):
        f(x)
    assert issubclass(OutOfBounds, IndexError)


@pytest.mark.parametrize("name", ["rosen1k", "while_norm", "nbody", "logreg", "mlp_f32", "sum_sq_chain"])
def test_workloads_take_the_short_way(name: str) -> None:
    workload = WORKLOADS[name]
    arguments = workload.make()[0]
    f = tg.value_and_grad(workload.function, argnums=workload.argnums, jit="python")
    f(*arguments)
    built = f.last.built
    source = built.native_source()
    functions = compile_native(source, name, built._parameters)
    assert not isinstance(functions, str), functions
    assert passes(functions[source.entries[0]]) == ["tracegrad"]


def test_translation_grows_with_the_text_and_no_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Straight text of n and of 4 n steps, numbers and writes into an array: lines of LLVM's."""
    from tracegrad.compiler import direct

    written: list[int] = []
    add = direct.Library.add_ir_module
    monkeypatch.setattr(
        direct.Library,
        "add_ir_module",
        lambda self, code: (written.append(str(code).count("\n")), add(self, code))[1],
    )
    counts = []
    for n in (20, 80):
        steps = "".join(f"    x{k + 1} = x{k} * x{k} + 0.5\n    a[{k}] = x{k + 1}\n" for k in range(n))
        text = f"def f(x0):\n    a = np.empty({n})\n{steps}    return -1, x{n}, a\n"
        written.clear()
        compiled(text, "straight", (0.25,))
        counts.append(max(written))
    assert counts[1] < 4.2 * counts[0]
    assert outlook_work(800) <= 2 * 801  # each name once, and once more when the one before it is known


def test_products_of_known_sizes_are_not_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """LLVM copies them to their calls, where it knows how many rounds each loop has."""
    from tracegrad.compiler import direct

    def flow(w: Any, v: Any, x: Any) -> Any:
        for _ in range(20):
            x = x + 0.05 * (np.tanh(x @ w) @ v)
        return np.sum(x * x)

    lines: list[int] = []
    optimise = direct.Library._optimize_final_module
    monkeypatch.setattr(
        direct.Library,
        "_optimize_final_module",
        lambda self: (optimise(self), lines.append(str(self._final_module).count("\n")))[0],
    )
    numbers = np.random.default_rng(0).normal
    w, v, x = numbers(size=(2, 16)), numbers(size=(16, 2)), numbers(size=(5, 2))
    found = tg.value_and_grad(flow, (0, 1), jit="native")(w, v, x)
    wanted = tg.value_and_grad(flow, (0, 1), jit="python")(w, v, x)
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-12)
    for gradient, expected in zip(found[1], wanted[1], strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-10)
    assert 500 < max(lines) < 5000, lines


def test_functions_of_numbers_are_no_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba writes each as a loop of one round, and LLVM takes the square of the number of loops."""
    from tracegrad.compiler import direct

    written: list[str] = []
    add = direct.Library.add_ir_module
    monkeypatch.setattr(
        direct.Library, "add_ir_module", lambda self, code: (written.append(str(code)), add(self, code))[1]
    )
    text = """def f(x, n, z):
    a = np.sin(x) + np.maximum(x, 0.25) * np.sqrt(n)
    b = np.exp(z) * np.sign(x) + np.remainder(n, 3) + np.floor_divide(x, 0.4)
    return -1, a, b, np.isnan(a), np.logical_and(x, n), np.arctan2(a, n)
"""
    given = -1.5, 7, 0.5 + 2.0j
    found = compiled(text, "functions", given)
    assert passes(found) == ["tracegrad"]
    (code,) = (c for c in written if "define i32" in c)
    assert "loop.index" not in code
    names: dict[str, Any] = {"np": np}
    exec(text, names)
    for x, y in zip(found(*given), names["f"](*given), strict=True):
        assert np.asarray(x).dtype.kind == np.asarray(y).dtype.kind
        np.testing.assert_allclose(x, y, rtol=1e-14)


def test_complex_products_and_quotients_are_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numba compiles Python for each, and raises where a quotient is not finite."""
    from numba.core.base import BaseContext

    inner: list[Any] = []
    compile_inner = BaseContext.compile_subroutine
    monkeypatch.setattr(
        BaseContext,
        "compile_subroutine",
        lambda self, builder, impl, *rest: (
            inner.append(impl),
            compile_inner(self, builder, impl, *rest),
        )[1],
    )
    text = """def f(x, z, w):
    return -1, z * w, z / w, x * z, x / w, w * z * w, np.multiply(z, x), np.divide(z, w), 1 / w
"""
    function = compiled(text, "complex", (-1.5, 0.5 + 2.0j, 1j))
    assert passes(function) == ["tracegrad"]
    assert not inner
    special = [0j, -0.0 + 0j, 0.75 - 2j, -3 + 0.125j, 1e300 + 1e300j, complex("inf-1j"), complex("nan+2j")]
    names: dict[str, Any] = {"np": np}
    exec(text, names)
    for z in special:
        for w in special:
            with np.errstate(all="ignore"):
                wanted = names["f"](np.float64(-1.5), np.complex128(z), np.complex128(w))
            for k, (x, y) in enumerate(zip(function(-1.5, z, w), wanted, strict=True)):
                np.testing.assert_allclose(x, y, rtol=1e-14, err_msg=f"{k}: {z} {w}")


SETTLED = """def f(x, n):
    a = x[0]
    a = a + 1.0
    total = 0.0
    for i in range(n):
        square = x[i] * x[i]
        total += square
        if square > 2.0:
            only_here = square
            total += only_here
            maybe = 1.0
            kept = last if i else 0.0
        else:
            maybe = 2.0
        last = square + maybe
        x = x[::-1]
    return -1, total, a, i
"""


def test_names_whose_reads_see_one_binding_stand_nowhere() -> None:
    """What is read after a loop or an arm that binds it, or a round later, has a place; all else is a value."""
    (tree,) = ast.parse(SETTLED).body
    assert isinstance(tree, ast.FunctionDef)
    assert look_ahead(tree).settled == {"a", "n", "square", "only_here", "kept"}


def test_structures_and_known_numbers_are_not_written() -> None:
    """How many instructions LLVM is given for five bodies: 1658; 4477 with a place for every name."""
    from tracegrad.compiler import direct

    written: list[int] = []
    add = direct.Library.add_ir_module

    def counted(self: Any, code: Any) -> None:
        written.append(sum(len(block.instructions) for f in code.functions[:1] for block in f.blocks))
        add(self, code)

    workload = WORKLOADS["nbody"]
    f = tg.value_and_grad(workload.function, argnums=workload.argnums, jit="python")
    f(*workload.make()[0])
    built = f.last.built
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(direct.Library, "add_ir_module", counted)
        source = built.native_source()
        source = replace(
            source, text=f"{source.text}# counted\n"
        )  # a text of its own, not compiled by others
        assert not isinstance(compile_native(source, "nbody", built._parameters), str)
    assert 500 < max(written) < 1900


def outlook_work(n: int) -> int:
    """How often a binding is looked at, for a chain in which each name hangs on the one before."""
    from tracegrad.compiler import outlook

    looked = [0]
    original = outlook._is_natural

    def counted(*args: Any) -> bool:
        looked[0] += 1
        return original(*args)

    steps = "".join(f"    x{k + 1} = x{k} * x{k}\n" for k in range(n))
    (tree,) = ast.parse(f"def f(x):\n    x0 = x\n{steps}    return x{n}\n").body
    assert isinstance(tree, ast.FunctionDef)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outlook, "_is_natural", counted)
        assert not look_ahead(tree).natural
    return looked[0]
