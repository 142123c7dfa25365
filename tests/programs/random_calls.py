"""Random programs of NumPy calls on arrays of random shapes: reductions, changes of shape, indices, writes, loops.

Each statement is tried on plain arrays while the program is written, and left out where NumPy refuses it or its values
grow. `write(random, size)` gives the text of a function `f(x, y, t)` of two arrays and a number, and the shapes of the
arrays.
"""

from __future__ import annotations

import random as _random
import warnings
from typing import Any

import numpy as np

HEAD = """\
import math

import numpy as np


def weighed(v, k):
    return np.sum(v * np.cos(np.arange(np.size(v)) * 1.3 + k).reshape(np.shape(v)))


def halved(v, n=2):
    if n <= 0 or np.sum(np.abs(v)) < 0.7:
        return v
    return halved(v * 0.5 + 0.1, n - 1)


def item_or_sum(v, k):
    try:
        return v[k]
    except IndexError:
        return 0.3 * np.sum(v)


def running(v):
    total = 0.0
    for e in np.ravel(v):
        if abs(e) > 1.2:
            continue
        total = total * 0.8 + e
        yield total


"""
SHAPES = ((3,), (2, 3), (1, 3), (3, 1), (2, 1, 3), (), (1,), (0, 3), (4,))
CONSTANTS = ("0.3", "-0.7", "2", "1.5", "t")
SLICES = (":", "::-1", "1:", ":-1", "::2", "-2:", ":0:-1", "...", "None", "[0, -1, 0]", "3:")
ELEMENTWISE = [
    "sin",
    "tanh",
    "arctan",
    "square",
    "abs",
    "exp",
    "expm1",
    "cbrt",
    "sinc",
    "cosh",
    "negative",
    "nan_to_num",
]
OF_TWO = [
    "add",
    "multiply",
    "subtract",
    "maximum",
    "minimum",
    "hypot",
    "arctan2",
    "logaddexp",
    "copysign",
    "fmod",
]
REDUCTIONS = [
    "sum",
    "mean",
    "prod",
    "max",
    "min",
    "var",
    "std",
    "ptp",
    "median",
    "nansum",
    "linalg.norm",
    "cumsum",
    "cumprod",
    "sort",
    "argsort",
    "any",
]
SHAPED = (
    "np.ravel({a})", "{a}.T", "np.flip({a})", "np.roll({a}, {k})", "np.repeat({a}, 2)", "np.tile({a}, {k})",
    "np.diff({a})", "np.atleast_2d({a})", "np.expand_dims({a}, 0)", "np.squeeze({a})",
    "np.moveaxis({a}, 0, -1)", "np.pad({a}, 1)", "np.tril({a})", "np.diag({a})", "np.trace({a})",
    "np.append({a}, {b})", "np.reshape({a}, (-1, 1))", "np.concatenate([{a}, {b}])",
    "np.stack([{a}, {a} * {c}])", "np.broadcast_to({a}, (2, *np.shape({a})))", "np.outer({a}, {b})",
    "{a} @ {b}", "{a} @ np.swapaxes({a}, 0, -1)", "np.kron({a}, {b})", "np.tensordot({a}, {b}, 1)",
    "np.einsum('...i,...i->...', {a}, {b})", "np.convolve(np.ravel({a}), [0.5, t])", "np.gradient({a})[0]",
    "np.interp({a}, [-1.0, 0.0, 2.0], [0.1, t, -0.4])", "np.trapezoid({a})", "np.vander(np.ravel({a}), 3)",
    "np.take({a}, [0, 0, -1])", "np.take_along_axis({a}, np.argsort({a}, axis=-1), -1)",
    "np.partition({a}, 1)[..., :1]", "np.linalg.solve({a} @ {a}.T + 3 * np.eye(len({a})), {a})",
    "np.quantile({a}, 0.4, axis={axis})",
)  # fmt: skip
PYTHON = (
    "({a} + {b})", "({b} * {a})", "{a} / (2.0 + {b} ** 2)", "{a} ** 2 % 0.7", "({a} > {c}) * {b}", "-{a}",
    "abs({a})", "np.where({a} > {c}, {a}, {b})", "np.clip({a}, -0.5, {c})",
    "np.select([{a} > 0.5, {a} < 0], [{a}, t], {c})", "({a} if np.sum({a}) > {c} else {b})",
    "np.array([e * {c} for e in {a}])", "sum(running({a}))", "halved({a}, n={k})", "item_or_sum({a}, {k})",
    "math.sin(t) * {a}", "np.full(np.shape({a}), t)", "[*{a}][-1]", "max(t, float(np.sum({a})))",
    "np.array([np.sum({a}), t, 0.5])", "{{'p': {a}, 'q': {b}}}['p']", "(lambda v, by=t: v * by)({a})",
    "np.maximum.accumulate({a})", "np.add.reduce({a}, axis={axis})", "np.multiply.outer({a}, {b})",
    "np.sin({a}, where={a} > 0, out={a} * 0.5)", "np.sum({a}, where={a} > {c}, axis={axis})",
    "np.max({a}, axis={axis}, initial=0.3)", "np.float64(t) * {a}",
    "np.vectorize(lambda q: q * q if q > 0 else q)({a})",
)  # fmt: skip
WRITES = (
    "{w}{i} {op} {b}", "{w}[{w} > {c}] {op} t", "{w} {op} {b}", "{w}[...] = {b}",
    "np.add.at({w}, [0, 0, -1], {c})", "{w}.sort()", "{w}.fill(t)", "{w}.T[0] = {c}",
    "{w}.reshape(-1)[-1] *= t", "np.multiply({w}, {b}, out={w})",
)  # fmt: skip


class _Writer:
    def __init__(self, random: _random.Random) -> None:
        self.random = random
        self.shapes = random.choice(SHAPES[:4]), random.choice(SHAPES)
        self.groups = [["v0 = x * 1.0"]]  # the statements, each with what belongs to it
        self.scope: dict[str, Any] = {}
        self.fresh = 0
        self.run()

    def run(self) -> None:
        """The names as they are after all statements."""
        draws = np.random.default_rng(1)
        self.scope = {k: draws.uniform(-1.5, 1.5, s) for k, s in zip("xy", self.shapes, strict=True)}
        self.scope |= {"t": 0.6}
        exec(HEAD, self.scope)
        for group in self.groups:
            exec("\n".join(group), self.scope)

    def names(self) -> list[str]:
        return [n for n in self.scope if n in ("x", "y", "t") or (n[0] == "v" and n[1:].isdigit())]

    def array(self, own: bool = False) -> str:
        """A name, later ones more often; one made inside if it is to be written."""
        found = [n for n in self.names() if np.ndim(self.scope[n]) and not (own and n in "xy")]
        return self.random.choice(found[-4:] + found)

    def index(self, name: str) -> str:
        ndim = np.ndim(self.scope.get(name, ()))
        return "[" + ", ".join(self.random.choice((*SLICES, "0", "-1")) for _ in range(max(1, ndim))) + "]"

    def filled(self, form: str) -> str:
        pick = self.random.choice
        a, w = self.array(), self.array(own=True)
        b = pick((self.array(), self.array(), pick(CONSTANTS), a + self.index(a), f"np.sin({self.array()})"))
        axis = pick(("None", "0", "-1", "(0, 1)"))
        index, op, k = self.index(w), pick(("=", "+=", "*=", "-=")), pick("012")
        return form.format(a=a, b=b, w=w, axis=axis, i=index, op=op, k=k, c=pick(CONSTANTS))

    def expression(self) -> str:
        r, pick = self.random.random(), self.random.choice
        if r < 0.12:
            return self.filled(f"np.{pick(ELEMENTWISE)}({{a}})")
        if r < 0.22:
            return self.filled(f"np.{pick(OF_TWO)}({{a}}, {{b}})")
        if r < 0.40:
            options = pick(("", ", axis={axis}", ", axis={axis}", ", axis={axis}, keepdims=True"))
            return self.filled(f"np.{pick(REDUCTIONS)}({{a}}{options})")
        if r < 0.52:
            name = self.array()
            return name + self.index(name)
        return self.filled(pick(SHAPED if r < 0.76 else PYTHON))

    def statement(self) -> list[str]:
        self.fresh += 1
        name, value, r = f"v{self.fresh}", self.expression(), self.random.random()
        if r < 0.55:
            return [f"{name} = {value}"]
        if r < 0.72:
            return [self.filled(self.random.choice(WRITES))]
        if r < 0.80:
            return [f"if {self.filled('np.sum({a}) > {c}')}:", f"    {name} = {value}", "else:"] + [
                f"    {name} = {self.array()} * 0.5"
            ]
        if r < 0.90:
            left = [f"    if {self.filled('np.sum({a}) * j > {c}')}:", "        break"]
            head = [f"{name} = {self.array()} * 1.0", f"for j in range({self.random.choice('023')}):"]
            return [
                *head,
                *left[: 2 * self.random.randrange(2)],
                f"    {name} = 0.5 * {name} + 0.3 * {value}",
            ]
        how = self.random.choice(("np.array({})", "sum({})", "np.stack({})[-1]")).format(name)
        return [
            f"{name} = []",
            "for j in range(3):",
            f"    {name}.append({value} * (j + 1))",
            f"{name} = {how}",
        ]

    def attempt(self) -> None:
        """One statement more, if plain NumPy takes it."""
        group = self.statement()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                exec("\n".join(group), self.scope)
                values = [np.asarray(self.scope[n]) for n in self.names()]
            tame = all(v.dtype.kind in "fib" and v.size < 40 and np.all(np.abs(v) < 30) for v in values)
        except Exception:
            tame = False
        if tame:
            self.groups.append(group)
        else:
            self.run()


def write(random: _random.Random, size: int) -> tuple[str, tuple[tuple[int, ...], tuple[int, ...]]]:
    """The text of a module with a function `f(x, y, t)`, and the shapes of `x` and `y`."""
    writer = _Writer(random)
    while len(writer.groups) <= size:
        writer.attempt()
    lines = ["def f(x, y, t):", *("    " + line for group in writer.groups for line in group)]
    lines += ["    return " + " + ".join(f"weighed({n}, {k})" for k, n in enumerate(writer.names()))]
    return HEAD + "\n".join(lines) + "\n", writer.shapes
