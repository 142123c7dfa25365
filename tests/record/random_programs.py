"""Random programs over scalar locals, as Python source: nested `if`, `while`, `for`, and whatever may stand
inside.

`write(random, size)` gives the text of a function `f(x, y)`. Every program ends: a `while` runs on a
counter that grows. A name may be unbound on some path; then plain Python raises, and so must we.
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
        self.indices: list[str] = []

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
        if r < 0.86 and self.indices:
            return self.random.choice(self.indices)
        if r < 0.90:
            return "n"
        return self.random.choice(("0.5", "1.5", "-0.7", "2", "0.25", "RATE"))

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
            return f"helper({one}, {self.atom()})"
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
        if r < 0.12:
            return f"0.0 < {self.atom()} < 1.0"
        if r < 0.2:
            return f"{self.atom()} > 0.1 and {self.atom()} < 0.9"
        if r < 0.26 and self.indices:
            return f"{self.random.choice(self.indices)} % 2 == 0"
        if r < 0.3:
            return f"not {self.atom()} > 0.3"
        if r < 0.34:
            return "n < 2"
        sign, bound = (
            self.random.choice(("<", ">", "<=", ">=")),
            self.random.choice(("0.0", "0.4", self.atom())),
        )
        return f"{self.expression(1)} {sign} {bound}"

    # --- statements

    def assign(self, depth: int) -> None:
        name = self.random.choice(NAMES)
        r = self.random.random()
        if r < 0.12:
            self.line(depth, f"{name} {self.random.choice(('+=', '-=', '*='))} 0.5 * {self.atom()}")
        elif r < 0.2:
            other = self.random.choice(NAMES)
            self.line(depth, f"{name}, {other} = {self.expression()}, {self.expression(1)}")
        elif r < 0.25:
            self.line(depth, f"{name} = {self.random.choice(NAMES)}")
        elif r < 0.29:
            self.line(depth, "n = n + 1")
        elif r < 0.32:
            self.line(depth, f"h.append({self.atom()})")
        elif r < 0.35:
            self.line(depth, f"v[{self.random.randrange(3)}] = {self.expression(1)}")
        elif r < 0.38:
            self.line(depth, f"{name} = v[{self.random.randrange(3)}] + 0.5 * {self.atom()}")
        else:
            self.line(depth, f"{name} = {self.expression()}")

    def block(self, depth: int, count: int) -> None:
        for _ in range(count):
            self.statement(depth)

    def statement(self, depth: int) -> None:
        self.left -= 1
        r = self.random.random()
        if self.left <= 0 or depth >= 4 or r < 0.45:
            self.assign(depth)
        elif r < 0.68:
            self.branch(depth)
        elif r < 0.82:
            self.loop_for(depth)
        elif r < 0.95:
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
        i = f"i{self.fresh}"
        over_values = self.chance(0.2)
        if over_values:
            self.line(depth, f"for {i} in ({self.atom()}, {self.atom()}, {self.atom()}):")
        else:
            self.line(depth, f"for {i} in range({self.random.randint(0, 4)}):")
        used = not over_values and self.chance(0.4)
        if used:
            self.indices.append(i)
        self.loops += 1
        self.block(depth + 1, self.random.randint(1, 3))
        self.loops -= 1
        if used:
            self.indices.pop()

    def loop_while(self, depth: int) -> None:
        self.fresh += 1
        w = f"w{self.fresh}"
        self.line(depth, f"{w} = abs({self.atom()}) + 0.1")
        extra = f" and {self.condition()}" if self.chance(0.15) else ""
        self.line(depth, f"while {w} < {self.random.choice(('0.5', '1.0', '3.0'))}{extra}:")
        self.loops += 1
        at_start = self.chance(0.4)
        grow = f"{w} = {w} * 1.5 + 0.1"
        if at_start:
            self.line(depth + 1, grow)
        self.block(depth + 1, self.random.randint(1, 3))
        if not at_start:
            # A `continue` before the growth would never end.
            self.line(depth + 1, grow)
        self.loops -= 1

    def odd(self, depth: int) -> None:
        r = self.random.random()
        if self.loops and r < 0.4:
            self.line(depth, f"if {self.condition()}:")
            self.line(depth + 1, "break")
        elif r < 0.6:
            self.line(depth, f"if {self.condition()}:")
            self.line(depth + 1, f"return {self.expression(1)} + 0.0 * x")
        elif r < 0.8:
            self.line(depth, "try:")
            self.block(depth + 1, 1)
            self.line(depth, "except ZeroDivisionError:")
            self.line(depth + 1, "pass")
        else:
            name = self.random.choice(NAMES)
            self.line(depth, f"{name} = sum([{self.atom()} * t for t in ({self.atom()}, {self.atom()})])")


HELPER = """\
def helper(p, q):
    if p > q:
        p = p * 0.5
        while p > 0.6:
            p = p * 0.7 + 0.05
    else:
        p = p + 0.1 * q
    return p

"""


def write(random: _random.Random, size: int) -> str:
    """The text of a module with a function `f(x, y)`."""
    writer = _Writer(random, size)
    writer.line(0, "import numpy as np\n")
    writer.line(0, "RATE = 0.3\n\n")
    writer.line(0, HELPER)
    writer.line(0, "def f(x, y):")
    starts = random.choice(("x", "y", "0.5", "x * y", "0", "x"))
    writer.line(1, f"a = {starts}")
    writer.line(1, f"b = {random.choice(('y', '1.0', 'x'))}")
    writer.line(1, f"c = {random.choice(('0.2', '1', 'x - y'))}")
    if random.random() < 0.8:
        writer.line(1, "d = y")
    writer.line(1, "n, h, v = 0, [], np.zeros(3)")
    while writer.left > 0:
        writer.statement(1)
    writer.line(1, "return a + 0.5 * b - 0.25 * c + 0.1 * d * x + sum(h) + v[0] - 0.5 * v[2] + 0.0 * n")
    return "\n".join(writer.lines) + "\n"
