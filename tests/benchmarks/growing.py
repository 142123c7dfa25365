"""Families of programs that grow: what `growth.py` measures, one function for each, called with the number of steps.

A family gives what is called and its arguments. The texts of straight programs are written to a file, as a user's
are: their lines are looked up. Begin with `FAMILIES`.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tracegrad as tg

Program = tuple[Callable[..., Any], tuple[Any, ...]]
"""What is called, with which arguments."""

STATEMENTS = (
    "{new} = {old} * {c} + np.sin({older})",
    "{new} = {old} - {older} * {c} * {x}",
    "{new} = {old} / (1.0 + {older} * {older}) + {c}",
    "{new} = np.tanh({old} + {c} * {older})",
    "{new} = {x} * {c} - {old} * {older}",
)
INNER = 20  # trips of a loop inside of another
WIDTHS = (16, 17, 19, 18, 15, 20, 21)  # no two layers in a row are alike: nothing can be rolled


@dataclass(frozen=True, slots=True)
class Family:
    """One row of the summary.

    Attributes
    ----------
    title : str, with the unit of its sizes
    sizes : sizes that are measured, in order; the last is compared with four programs of a quarter of it
    make : from a size to the program
    kind : "compiled", or "eager" where `make` gives a call that makes a graph, and one that goes back through it
    step : sizes of which the second is made in another way than the first, once and for all
    way : which way that is. Growth is asked of sizes made in one way, the step is told beside it.
    """

    title: str
    sizes: tuple[int, ...]
    make: Callable[[int, Path], Any]
    kind: str = "compiled"
    step: tuple[int, ...] = ()
    way: str = ""

    @property
    def turns(self) -> int:
        """The size by which programs are made in another way, or 0."""
        return self.step[-1] if self.step else 0


def written(text: str, folder: Path) -> Callable[..., Any]:
    """The function `f` of a module with this text."""
    name = f"growing_{abs(hash(text))}"
    file = folder / f"{name}.py"
    file.write_text(f"import numpy as np\n\n\n{text}", encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    found: Callable[..., Any] = module.f
    return found


def statements(n: int, x: str = "x", first: str = "v") -> list[str]:
    """So many different statements, each of what the one before and one further up made."""
    lines = [f"    {first}0 = {x} * 0.7"]
    for k in range(1, n):
        form = STATEMENTS[k % len(STATEMENTS)]
        names = {"new": f"{first}{k}", "old": f"{first}{k - 1}", "older": f"{first}{max(0, k - 7)}", "x": x}
        lines.append("    " + form.format(c=0.1 + 0.8 * k / n, **names))
    return lines


def straight(n: int, reduced: bool) -> str:
    end = f"v{n - 1}"
    return "\n".join(["def f(x):", *statements(n), f"    return {f'np.sum({end})' if reduced else end}", ""])


def gradient(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    return tg.value_and_grad(function, jit="native", **options)


def scalars(n: int, folder: Path) -> Program:
    return gradient(written(straight(n, False), folder)), (0.37,)


def fused(n: int, folder: Path) -> Program:
    return gradient(written(straight(n, True), folder)), (np.linspace(0.1, 0.9, 1000),)


def arrays(n: int, folder: Path) -> Program:
    """Reversed in between: no loop over elements holds two of the statements."""
    lines = ["def f(x):", "    a = x", "    s = 0.0"]
    for k in range(n):
        lines.append(f"    a = np.tanh(a[::-1] * {0.5 + k / n} + x)")
        lines.append(f"    s = s + {0.1 + k / n} * a[{k}]")
    return gradient(written("\n".join([*lines, "    return s", ""]), folder)), (np.linspace(0.1, 0.9, 1000),)


def layers(n: int, folder: Path) -> Program:
    draws = np.random.default_rng(0)
    sides = [WIDTHS[k % len(WIDTHS)] for k in range(n + 1)]
    w = [draws.normal(size=(o, i)) / 4 for i, o in itertools.pairwise(sides)]
    b = [0.1 * draws.normal(size=o) for o in sides[1:]]

    def network(w: Any, b: Any, h: Any) -> Any:
        for wk, bk in zip(w, b, strict=True):
            h = np.tanh(wk @ h + bk)
        return np.sum(h * h)

    return gradient(network, argnums=(0, 1)), (w, b, draws.normal(size=sides[0]))


def arguments(n: int, folder: Path) -> Program:
    names = [f"p{k}" for k in range(n)]
    lines = [f"def f({', '.join(names)}):", "    s = 0.0"]
    lines += [f"    s = s + {name} * {name}" for name in names]
    call = gradient(written("\n".join([*lines, "    return s", ""]), folder), argnums=tuple(range(n)))
    return call, tuple(np.linspace(0.1, 0.9, n).tolist())


def in_a_list(n: int, folder: Path) -> Program:
    def squares(p: Any) -> Any:
        s = 0.0
        for a in p:
            s = s + np.sum(a * a)
        return s

    return gradient(squares), ([np.linspace(0.1, 0.9, 3 + k % 5) for k in range(n)],)


def in_a_dict(n: int, folder: Path) -> Program:
    def squares(p: Any) -> Any:
        s = 0.0
        for name, a in p.items():
            s = s + a * a * len(name)
        return s

    return gradient(squares), ({f"leaf{k}": 0.1 + k / n for k in range(n)},)


def outside(n: int, folder: Path) -> Program:
    """So many values of a dictionary outside, each of them asked."""
    lines = [f"config = {{{', '.join(f'{chr(39)}k{k}{chr(39)}: {k % 7}' for k in range(n))}}}", "", ""]
    lines += ["def f(x):", "    s = x"]
    for k in range(n):
        lines += [f"    if config['k{k}'] > 3:", f"        s = s * 0.9 + {k / n}"]
    return gradient(written("\n".join([*lines, "    return s * s", ""]), folder)), (0.4,)


def branches(n: int, folder: Path) -> Program:
    """So many conditions on the argument; of two calls each sees the other arms, all of them."""
    lines = ["def f(x):", "    s = x * 1.0"]
    for k in range(n):
        lines += [f"    if (s * s + {0.1 + k / n / 10}) * x > 0.0:", f"        s = s * 0.9 + {k / n}"]
        lines += ["    else:", f"        s = s + 0.7 * np.sin(x) - {k / n}"]
    both = gradient(written("\n".join([*lines, "    return s * s", ""]), folder))

    def call(x: float) -> Any:
        return both(x), both(-x)

    return call, (3.0,)


def helpers(n: int, folder: Path) -> Program:
    lines = []
    for k in range(n):
        lines += [f"def h{k}(x):", f"    return x * {0.5 + k / n / 10} + np.sin(x)", "", ""]
    lines += ["def f(x):", "    s = x"]
    lines += [f"    s = h{k}(s)" for k in range(n)]
    return gradient(written("\n".join([*lines, "    return s", ""]), folder)), (0.4,)


def depth(n: int, folder: Path) -> Program:
    lines = ["def h0(x):", "    return x * 0.9", "", ""]
    for k in range(1, n):
        lines += [f"def h{k}(x):", f"    return h{k - 1}(x) * {0.5 + k / n / 10} + x", "", ""]
    lines += ["def f(x):", f"    return h{n - 1}(np.sin(x))", ""]
    return gradient(written("\n".join(lines), folder)), (0.4,)


def unrolled(n: int, folder: Path) -> Program:
    """A loop that no certificate covers: it takes what it does from a list that it empties."""

    def emptied(x: Any) -> Any:
        todo, s = [0.1 + k / n for k in range(n)], x
        while todo:
            try:
                c = todo.pop()
            except IndexError:
                break
            s = s * c + np.sin(s) * x
        return s

    return gradient(emptied), (0.4,)


def rolled(n: int, folder: Path) -> Program:
    def loop(x: Any, trips: int) -> Any:
        s = x
        for k in range(trips):
            s = s * 0.99 + 0.01 * np.sin(s * k) * x
        return s

    return gradient(loop), (0.4, n)


def nested(n: int, folder: Path) -> Program:
    def loops(x: Any, trips: int) -> Any:
        s = x
        for i in range(trips):
            t = s
            for j in range(INNER):
                t = t * 0.99 + 0.01 * np.sin(t * j) * x
            s = 0.5 * s + 0.5 * t + i * 1e-6
        return s

    return gradient(loops), (0.4, n)


def hessians(n: int, folder: Path) -> Program:
    """Of two arguments, so that only the text grows."""
    function = written(
        "\n".join(
            ["def f(p):", "    x = p[0] * p[1]", *statements(n), f"    return v{n - 1} * v{n // 2}", ""]
        ),
        folder,
    )
    return native(tg.hessian(function)), (np.array([0.3, 0.8]),)


def products(n: int, folder: Path) -> Program:
    """A Hessian times a vector, of a network."""
    _, (w, b, h) = layers(n, folder)

    def network(start: Any) -> Any:
        h = start
        for wk, bk in zip(w, b, strict=True):
            h = np.tanh(wk @ h + bk)
        return np.sum(h * h)

    return native(tg.hessian_vector_product(network)), (h, np.ones_like(h))


def native(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        with tg.config.using(jit="native"):
            return function(*args)

    return call


def rows(n: int, folder: Path) -> Program:
    def curve(x: Any) -> Any:
        return np.sin(np.linspace(0.0, 1.0, n) * x[0]) * x[1]

    return native(tg.jacobian(curve)), (np.array([0.3, 0.8]),)


def distinct_rows(n: int, folder: Path) -> Program:
    """As many results as statements: a row for each."""
    made = ", ".join(f"v{k}" for k in range(n))
    function = written(
        "\n".join(["def f(x):", *statements(n, "x[0] * x[1]"), f"    return np.array([{made}])", ""]), folder
    )
    return native(tg.jacobian(function)), (np.array([0.3, 0.8]),)


def tape(n: int, folder: Path) -> Program:
    """On the tape: random numbers that the function seeds itself are no program's business."""
    one = unrolled(n, folder)[0].__wrapped__

    def seeded(x: Any) -> Any:
        np.random.seed(0)
        return one(x)

    return gradient(seeded), (0.4,)


def eager(n: int, folder: Path) -> tuple[Callable[[], Any], Callable[[Any], Any]]:
    """A graph of tensors, and its backward."""
    x = tg.tensor([0.3, 0.5, 0.7], requires_grad=True)

    def forward() -> Any:
        y = x
        for _ in range(n // 3):
            y = (y * 0.999 + 0.001).sin()
        return y.sum()

    return forward, lambda y: y.backward()


PIECES = "several functions of machine code, which hand on in memory what they make"

FAMILIES: dict[str, Family] = {
    "scalars": Family(
        "(a) statements over numbers",
        (150, 300, 600, 1200, 2400),
        scalars,
        step=(300, 1200),
        way="from between 600 and 1,200 statements on, a block that is cut before it becomes machine code",
    ),
    "arrays": Family(
        "(b) loops over arrays of 1,000",
        (10, 20, 40, 80, 160),
        arrays,
        step=(10, 40),
        way=f"from between 20 and 40 loops on, {PIECES}",
    ),
    "layers": Family(
        "(c) layers of a network, of different widths",
        (7, 15, 28, 60),
        layers,
        step=(15, 60),
        way=f"from between 40 and 50 layers on, {PIECES}",
    ),
    "arguments": Family("(d) arguments of a function", (50, 100, 200, 400), arguments),
    "list": Family("(d) arrays in a list", (17, 35, 70), in_a_list),
    "dict": Family("(d) numbers in a dict", (50, 200), in_a_dict),
    "outside": Family("(e) values from outside in conditions", (20, 80, 160, 320), outside),
    "branches": Family("(e) branches in a row, both arms seen", (10, 20, 40, 80), branches),
    "eager": Family("(f) nodes of an eager graph", (500, 2_000, 8_000, 32_000), eager, "eager"),
    "tape": Family("(f) steps on the tape", (250, 500, 1_000, 2_000), tape),
    "unrolled": Family("(g) trips of a loop that is written out", (125, 250, 500, 1000), unrolled),
    "rolled": Family("(h) trips of a loop", (10, 1_000, 250_000, 1_000_000), rolled),
    "nested": Family("(h) trips of a loop around another", (10, 100, 2_500, 10_000), nested),
    "helpers": Family("(i) functions called in a row", (25, 50, 100, 200, 400), helpers),
    "depth": Family("(i) functions that call each other", (12, 45, 90, 180), depth),
    "hessians": Family("(j) statements over numbers, Hessian", (40, 80, 160, 320), hessians),
    "products": Family(
        "(j) layers of a network, Hessian times a vector",
        (7, 15, 28, 60),
        products,
        step=(15, 60),
        way=f"from between 30 and 60 layers on, {PIECES} (more than 60 have too many arguments)",
    ),
    "rows": Family("(k) rows of a Jacobian, from one array", (50, 200, 400, 800), rows),
    "distinct": Family("(k) rows of a Jacobian, a statement each", (25, 50, 100, 200), distinct_rows),
    "fused": Family(
        "(l) statements of one loop over elements",
        (100, 200, 300, 400, 1200, 1600),
        fused,
        step=(75, 300),
        way="from between 200 and 300 statements on, several loops over 64 elements that hand numbers on in an array",
    ),
}
