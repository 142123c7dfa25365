"""Random programs over scalar locals, as Python source: nested `if`, `while`, `for` over everything, left by
`break`, `continue` and `return`, with states, lists, stores and helpers inside.

`write(random, size)` gives the text of a function `f(x, y, m)` of two floats and an integer from 0 to 4. Every
program ends: a `while` runs on a counter that grows before anything can `continue`. A name may be unbound on some
path; then plain Python raises, and so must we.
"""

from __future__ import annotations

import random as _random

NAMES = ("a", "b", "c", "d")


class _Writer:
    def __init__(self, random: _random.Random, size: int) -> None:
        self.random = random
        self.left = size
        self.lines: list[str] = []
        self.fresh = 0
        self.loops = 0
        self.indices: list[str] = []  # whole numbers from 0 to 4
        self.items: list[str] = []  # numbers that a `for` runs over
        self.plain = random.random() < 0.5  # stores nothing but local names

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def chance(self, p: float) -> bool:
        return self.random.random() < p

    # --- expressions

    def atom(self) -> str:
        r = self.random.random()
        if r < 0.62:
            return self.random.choice(NAMES)
        if r < 0.78:
            return self.random.choice(("x", "y"))
        if r < 0.83 and self.indices:
            return self.random.choice(self.indices)
        if r < 0.86 and self.items:
            return self.random.choice(self.items)
        if r < 0.88:
            return self.item()
        if r < 0.90:
            return self.random.choice(("n", "m"))
        return self.random.choice(("0.5", "1.5", "-0.7", "2", "0.25", "RATE"))

    def index(self) -> str:
        """Something from 0 to 2."""
        if self.indices and self.chance(0.7):
            i = self.random.choice(self.indices)
            return self.random.choice(
                (f"{i} % 3", f"({i} + 1) % 3", f"{i} // 2", f"2 - {i} % 3", f"({i} - 1) % 3")
            )
        return self.random.choice(("0", "1", "2", "-1", "m % 3"))

    def item(self) -> str:
        r = self.random.random()
        if r < 0.45:
            return f"{self.random.choice('wv')}[{self.index()}]"
        if r < 0.6:
            return f"A[{self.index()}, {self.index()}]"
        if r < 0.7:
            return f"TABLE[{self.index()}]"
        return self.random.choice(("s[0]", "s[1]", "p['a']", "p['b']", "o.value"))

    def expression(self, depth: int = 2) -> str:
        if depth == 0 or self.chance(0.2):
            return self.atom()
        r = self.random.random()
        one = self.expression(depth - 1)
        if r < 0.25:
            return f"np.sin({one})"
        if r < 0.32:
            return f"np.tanh({one})"
        if r < 0.36:
            return f"{self.random.choice(HELPERS)}({one}, {self.atom()})"
        if r < 0.37:
            return f"({self.atom()} {self.random.choice(('and', 'or'))} {one})"
        if r < 0.40:
            return f"({one} if {self.condition()} else {self.expression(depth - 1)})"
        if r < 0.43:
            return f"max({one}, {self.expression(depth - 1)})"
        two = self.expression(depth - 1)
        if r < 0.65:
            return f"({one} + {two})"
        if r < 0.78:
            return f"({one} - {two})"
        if r < 0.92:
            return f"0.5 * {one} * {two}"
        return f"{one} / (2.0 + {two} * {two})"

    def condition(self) -> str:
        r = self.random.random()
        if r < 0.1:
            return f"0.0 < {self.atom()} < {self.random.choice(('1.0', self.atom()))}"
        if r < 0.16:
            return f"{self.atom()} > 0.1 and {self.atom()} < 0.9"
        if r < 0.2:
            return f"({self.atom()} > 0.5 or {self.atom()} < 0.1) and not {self.atom()} < -0.5"
        if r < 0.26 and self.indices:
            i = self.random.choice(self.indices)
            return self.random.choice((f"{i} % 2 == 0", f"{i} > 1", f"{i} == 2 and {self.atom()} > 0.0"))
        if r < 0.3:
            return f"not {self.atom()} > 0.3"
        if r < 0.34:
            return self.random.choice(("n < 2", "m > 1"))
        sign, bound = (
            self.random.choice(("<", ">", "<=", ">=")),
            self.random.choice(("0.0", "0.4", self.atom())),
        )
        return f"{self.expression(1)} {sign} {bound}"

    # --- statements

    def assign(self, depth: int) -> None:
        name = self.random.choice(NAMES)
        r = self.random.random()
        if self.plain and 0.29 <= r < 0.51:
            r += 0.3
        if r < 0.12:
            self.line(depth, f"{name} {self.random.choice(('+=', '-=', '*='))} 0.5 * {self.atom()}")
        elif r < 0.2:
            # CPython before 3.11.4 stores `a, a = 1, 2` the wrong way round.
            other = self.random.choice([n for n in NAMES if n != name])
            self.line(depth, f"{name}, {other} = {self.expression()}, {self.expression(1)}")
        elif r < 0.25:
            self.line(depth, f"{name} = {self.random.choice(NAMES)}")
        elif r < 0.29:
            self.line(depth, "n = n + 1")
        elif r < 0.32:
            self.line(depth, f"h.append({self.atom()})")
        elif r < 0.37:
            self.line(depth, f"v[{self.index()}] {self.random.choice(('=', '=', '+='))} {self.expression(1)}")
        elif r < 0.42:
            self.line(depth, f"{name} = {self.item()} + 0.5 * {self.atom()}")
        elif r < 0.45:
            self.line(depth, f"s = ({self.expression(1)}, 0.5 * s[0] + {self.atom()})")
        elif r < 0.47:
            self.line(depth, f"p['{self.random.choice('ab')}'] = {self.expression(1)}")
        elif r < 0.49:
            self.line(
                depth, f"o.value = {self.random.choice(('o.value', '0.5 * o.value'))} + 0.5 * {self.atom()}"
            )
        elif r < 0.50:
            self.line(depth, f"o.add({self.atom()})")
        elif r < 0.52:
            self.line(depth, f"{name} = local({self.atom()})")
        elif r < 0.55:
            self.line(depth, f"{name} = {self.comprehension()}")
        else:
            self.line(depth, f"{name} = {self.expression()}")

    def comprehension(self) -> str:
        self.indices.append("t")
        made = self.random.choice(
            (
                f"sum([{self.expression(1)} * 0.5 for t in range(3)])",
                f"sum({self.expression(1)} * 0.5 for t in range(m))",
                f"sum([0.5 * {self.expression(1)} for t in range(4) if t % 2])",
            )
        )
        self.indices.pop()
        if self.chance(0.3):
            made = f"sum([q * {self.atom()} for q in ({self.atom()}, {self.atom()}) if q > 0])"
        return made

    def block(self, depth: int, count: int) -> None:
        for _ in range(count):
            self.statement(depth)

    def statement(self, depth: int) -> None:
        self.left -= 1
        r = self.random.random()
        if self.left <= 0 or depth >= 4 or r < 0.45:
            self.assign(depth)
        elif r < 0.62:
            self.branch(depth)
        elif r < 0.79:
            self.loop_for(depth)
        elif r < 0.88 or (not self.loops and r < 0.93):
            self.loop_while(depth)
        else:
            self.odd(depth)

    def branch(self, depth: int) -> None:
        self.line(depth, f"if {self.condition()}:")
        self.block(depth + 1, self.random.randint(1, 2))
        if self.chance(0.15):
            self.line(depth, f"elif {self.condition()}:")
            self.block(depth + 1, 1)
        if self.chance(0.55):
            self.line(depth, "else:")
            self.block(depth + 1, self.random.randint(1, 2))

    def loop_for(self, depth: int) -> None:
        self.fresh += 1
        i, q, r = f"i{self.fresh}", f"q{self.fresh}", self.random.random()
        counters: list[str] = []
        items: list[str] = []
        if r < 0.35:
            head, counters = f"{i} in range({self.random.randint(0, 5)})", [i]
        elif r < 0.45:
            head, counters = f"{i} in range(m)", [i]
        elif r < 0.52:
            head, counters = (
                f"{i} in {self.random.choice(('range(4, -1, -2)', 'range(1, 5)', 'reversed(range(4))'))}",
                [i],
            )
        elif r < 0.62:
            head, items = f"{q} in ({self.atom()}, {self.atom()}, {self.atom()})", [q]
        elif r < 0.70:
            head, items = (
                f"{q} in {self.random.choice(('w', 'TABLE', 'reversed(TABLE)', 'w[1:]', '[a, b, 0.5]'))}",
                [q],
            )
        elif r < 0.80:
            head, counters, items = (
                f"{i}, {q} in enumerate({self.random.choice(('w', 'TABLE', '[c, a]'))})",
                [i],
                [q],
            )
        elif r < 0.88:
            head, items = (
                f"{q}, {i} in zip(w, {self.random.choice(('TABLE', 'w[::-1]', '[b, a, b]'))})",
                [q, i],
            )
        elif r < 0.94:
            head, items = f"{i}, {q} in {{'a': {self.atom()}, 'b': {self.atom()}}}.items()", [q, f"p[{i}]"]
        else:
            head, items = f"{q} in list(h)", [q]
        self.line(depth, f"for {head}:")
        if self.chance(0.25):  # nobody reads them
            counters, items = [], []
        self.indices += counters
        self.items += items
        self.inside(depth)
        self.indices = self.indices[: len(self.indices) - len(counters)]
        self.items = self.items[: len(self.items) - len(items)]
        self.loop_else(depth)

    def inside(self, depth: int) -> None:
        self.loops += 1
        self.block(depth + 1, self.random.randint(1, 3))
        self.loops -= 1

    def loop_else(self, depth: int) -> None:
        if self.chance(0.12):
            self.line(depth, "else:")
            self.block(depth + 1, 1)

    def loop_while(self, depth: int) -> None:
        self.fresh += 1
        w = f"w{self.fresh}"
        if self.chance(0.3):
            self.line(depth, f"{w} = 0")
            forever = self.chance(0.4)
            self.line(
                depth, "while True:" if forever else f"while {w} < {self.random.choice(('3', 'm', '4'))}:"
            )
            self.line(depth + 1, f"{w} += 1")
            if forever:
                self.line(depth + 1, f"if {w} > 4 or {self.condition()}:")
                self.line(depth + 2, "break")
            self.items.append(w)
            self.inside(depth)
            self.items.pop()
        else:
            self.line(depth, f"{w} = abs({self.atom()}) + 0.1")
            extra = f" and {self.condition()}" if self.chance(0.15) else ""
            self.line(depth, f"while {w} < {self.random.choice(('0.5', '1.0', '3.0'))}{extra}:")
            self.line(depth + 1, f"{w} = {w} * 1.5 + 0.1")
            self.inside(depth)
        self.loop_else(depth)

    def odd(self, depth: int) -> None:
        r = self.random.random()
        if self.loops and r < 0.65:
            self.line(depth, f"if {self.condition()}:")
            if self.chance(0.3):
                self.assign(depth + 1)
            self.line(depth + 1, "break" if r < 0.35 else "continue")
            if self.chance(0.2):
                self.line(depth, "else:")
                self.assign(depth + 1)
        elif r < 0.85:
            self.line(depth, f"if {self.condition()}:")
            self.line(depth + 1, f"return {self.expression(1)} + 0.0 * x")
        else:
            self.line(depth, "try:")
            self.block(depth + 1, 1)
            self.line(depth, "except ZeroDivisionError:")
            self.line(depth + 1, "pass")


HELPERS = ("helper", "bent", "sought", "twice")
HELPER = """\
def helper(p, q):
    if p > q:
        p = p * 0.5
        while p > 0.6:
            p = p * 0.7 + 0.05
    else:
        p = p + 0.1 * q
    return p


def bent(p, q):
    if p < -0.5:
        return 0.5 * p + q * 0.1
    if q > p or p > 2.0:
        return q - 0.3 * p
    return np.sin(p) if q > 0 else p


def sought(p, q):
    for k in range(5):
        p = 0.6 * p + 0.1 * k
        if p > q:
            return p * q
        if k > 2 and p < 0:
            continue
        q = 0.7 * q
    return p - q


def twice(p, q):
    return bent(sought(p, q), p) + p * 0.5


class Holder:
    def __init__(self, value):
        self.value = value

    def add(self, more):
        if more > 0:
            self.value = self.value + 0.5 * more
        else:
            self.value = self.value * 0.5

"""


def write(random: _random.Random, size: int) -> str:
    """The text of a module with a function `f(x, y, m)`."""
    writer = _Writer(random, size)
    writer.line(0, "import numpy as np\n")
    writer.line(0, "RATE = 0.3")
    writer.line(0, "TABLE = [0.5, -1.5, 0.25]")
    writer.line(0, "A = np.array([[0.5, -0.2, 1.0], [0.3, 0.8, -0.6], [-1.1, 0.4, 0.2]])\n\n")
    writer.line(0, HELPER)
    writer.line(0, "def f(x, y, m):")
    starts = random.choice(("x", "y", "0.5", "x * y", "0", "x"))
    writer.line(1, f"a = {starts}")
    writer.line(1, f"b = {random.choice(('y', '1.0', 'x'))}")
    writer.line(1, f"c = {random.choice(('0.2', '1', 'x - y'))}")
    if random.random() < 0.8:
        writer.line(1, "d = y")
    writer.line(1, "n, h, v, w = 0, [], np.zeros(3), np.array([x, 0.5 * y, x * y])")
    writer.line(1, "s, p, o = (x, y), {'a': y, 'b': 0.5}, Holder(0.5 * x)")
    writer.line(1, "def local(z):")
    writer.line(2, f"if {writer.random.choice(('z > a', 'z * y > 0.2', 'b < z'))}:")
    writer.line(3, f"return {writer.random.choice(('z * y', '0.5 * z + a', 'bent(z, b)'))}")
    writer.line(2, "return z * 0.7")
    while writer.left > 0:
        writer.statement(1)
    writer.line(1, "stacked = np.sum(np.array(h)) if h else 0.0")
    writer.line(1, "a = a + 0.5 * b - 0.25 * c + 0.1 * d * x + sum(h) - 0.3 * stacked + 0.0 * n")
    writer.line(
        1, "return a + v[0] - 0.5 * v[2] + 0.25 * (s[0] - s[1]) + 0.5 * p['a'] + p['b'] * 0.3 + o.value"
    )
    return "\n".join(writer.lines) + "\n"
