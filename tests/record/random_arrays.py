"""Random programs over three arrays that are written in place, viewed, exchanged, and taken through loops and branches.

`write(random, size)` gives the text of a function `f(x)` of an array of three.
"""

from __future__ import annotations

import random as _random

HEAD = """\
import numpy as np

K = 0.7
M = np.array([[0.5, -0.2, 1.0], [0.3, 0.8, -0.6], [-1.1, 0.4, 0.2]])


def helper(p):
    if p[0] > p[1]:
        p = p * 0.5
    while p.sum() > 2.0:
        p = p * 0.6
    return p


def store(p, q):
    p[1] = q


def f(x):
    a = x * 1.0
"""


class _Writer:
    def __init__(self, random: _random.Random, size: int) -> None:
        self.random = random
        self.left = size
        self.lines: list[str] = []
        self.fresh = 0
        self.counters: list[str] = []
        self.loops = 0

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def name(self) -> str:
        return self.random.choice("abc")

    def index(self) -> str:
        """Something from -1 to 2."""
        if self.counters and self.random.random() < 0.6:
            i = self.random.choice(self.counters)
            return self.random.choice(
                [f"{i} % 3", f"({i} + 1) % 3", f"{i} // 2", f"2 - {i} % 3", f"{i} % 3 - 1"]
            )
        return str(self.random.randrange(3))

    def vector(self, depth: int = 2) -> str:
        r = self.random.random()
        if depth == 0 or r < 0.25:
            return self.random.choice(["a", "b", "c", "x", "a", "b", "c", "a[::-1]", "b.copy()"])
        r, one = self.random.random(), self.vector(depth - 1)
        if r < 0.2:
            return f"np.sin({one})"
        if r < 0.3:
            return f"np.where({one} > 0.2, {self.vector(depth - 1)}, {one})"
        if r < 0.35:
            return f"np.concatenate([{one}[1:], {self.vector(0)}[:1]])"
        if r < 0.42:
            return f"helper(1.0 * {one})"
        if r < 0.6:
            return f"({one} + {self.vector(depth - 1)})"
        if r < 0.75:
            return f"({one} - {self.scalar()})"
        if r < 0.9:
            return f"0.5 * {one} * {self.scalar()}"
        return f"{one} / (1.5 + {self.vector(0)} ** 2)"

    def scalar(self) -> str:
        r = self.random.random()
        if r < 0.3:
            return self.random.choice(["s", "t"])
        if r < 0.55:
            return f"{self.name()}[{self.index()}]"
        if r < 0.65:
            return f"{self.name()}.sum()"
        if r < 0.75:
            return f"np.tanh({self.vector(0)} @ {self.vector(0)})"
        return self.random.choice(["0.5", "1.5", "K"])

    def condition(self) -> str:
        bound = self.random.choice(["0.0", "0.3", self.scalar()])
        return f"{self.scalar()} {self.random.choice('<>')} {bound}"

    def block(self, depth: int) -> None:
        for _ in range(self.random.randint(1, 2)):
            self.statement(depth)

    def statement(self, depth: int) -> None:
        self.left -= 1
        r, name = self.random.random(), self.name()
        if self.left <= 0 or depth > 3 or r < 0.40:
            self.line(depth, f"{name} = {self.vector()}")
        elif r < 0.48:
            self.line(depth, f"{self.random.choice('st')} = np.sin({self.scalar()}) + 0.1 * {self.scalar()}")
        elif r < 0.55:
            self.line(depth, f"{name} = {self.name()}")
        elif r < 0.60:
            self.line(depth, f"{name}[{self.index()}] {self.random.choice(['=', '=', '+='])} {self.scalar()}")
        elif r < 0.63:
            self.line(depth, f"{name}[1:] = {self.name()}[:2] * 1.0")
        elif r < 0.66:
            self.line(depth, f"{name} {self.random.choice(['+=', '*=', '-='])} 0.3 * {self.vector(0)}")
        elif r < 0.68:
            self.line(depth, f"{name}[{name} > 0.3] = 0.25")
        elif r < 0.72:
            self.line(depth, f"v = {name}[1:]")
            self.line(depth, f"v[{self.random.randrange(2)}] = {self.scalar()}")
        elif r < 0.74:
            self.line(depth, f"store({name}, {self.scalar()})")
        elif r < 0.79:
            self.several(depth)
        elif r < 0.87:
            self.line(depth, f"if {self.condition()}:")
            self.block(depth + 1)
            if self.random.random() < 0.6:
                self.line(depth, "else:")
                self.block(depth + 1)
        elif r < 0.89 and self.loops:
            self.line(depth, f"if {self.condition()}:")
            self.line(depth + 1, self.random.choice(["break", "continue"]))
        else:
            self.loop(depth)

    def several(self, depth: int) -> None:
        """Arrays in a list, tuple or dict: what is written there is written under their own names."""
        one, two, kind = self.name(), self.name(), self.random.randrange(5)
        self.fresh += 1
        y, items = f"y{self.fresh}", f"items{self.fresh}"
        if kind == 0:
            self.line(depth, f"for {y} in ({one}, {two}):")
            self.line(depth + 1, self.random.choice([f"{y} *= 0.8", f"{y}[0] = {self.scalar()}"]))
        elif kind == 1:
            self.line(depth, f"for {y}, w in zip([{one}, {two}, {one}], [{self.vector(1)}, {one}, {two}]):")
            self.line(depth + 1, f"{y} -= 0.3 * w")
        elif kind == 2:
            self.line(depth, f"{items} = {{'p': {one}, 'q': {two}}}")
            self.line(depth, f"{items}['p'] += {self.vector(1)}")
            self.line(depth, f"{items}['q'][1] *= {self.scalar()}")
        elif kind == 3:
            self.line(depth, f"{items} = []")
            self.line(depth, f"for {y} in range({self.random.randint(1, 4)}):")
            self.line(depth + 1, f"{items}.append({self.random.choice([one, f'{one}[1:]', f'{one} * 0.5'])})")
            self.line(depth + self.random.randrange(2), f"{two} *= 0.8")
            self.line(depth, f"s = s + 0.1 * sum(v.sum() * v[0] for v in {items})")
        else:
            self.line(depth, f"v = {one}[:2]")
            self.line(depth, f"for {y} in range({self.random.randint(1, 4)}):")
            self.line(depth + 1, f"{two} *= 0.7")
            self.line(depth + 1, "s = s + v[0] * v[1]")
            self.line(depth + 1, f"v = {two}[{y} % 2 :][:2]")

    def loop(self, depth: int) -> None:
        self.fresh += 1
        i, r = f"i{self.fresh}", self.random.random()
        if r < 0.6:
            self.line(depth, f"for {i} in range({self.random.randint(0, 5)}):")
            self.counters.append(i)
        elif r < 0.8:
            self.line(depth, f"for s in {self.random.choice(['a', 'x', 'b * 1.0', 'M[1]'])}:")
        else:
            self.line(depth, f"for {i}, row in enumerate(M):")
            self.line(depth + 1, f"{self.name()} = row * {self.random.choice(['s', 'x', 'a'])}")
            self.counters.append(i)
        self.loops += 1
        self.block(depth + 1)
        self.loops -= 1
        if i in self.counters:
            self.counters.remove(i)


def write(random: _random.Random, size: int) -> str:
    """The text of a module with a function `f(x)`; it may end in an exception, as any program may."""
    writer = _Writer(random, size)
    writer.line(1, f"b = {random.choice(['np.zeros(3)', 'x + 0.5', 'a', 'np.ones(3) * x[0]'])}")
    writer.line(1, f"c = {random.choice(['np.arange(3.0)', 'x * 2', 'b'])}")
    writer.line(1, "s, t = x[0], 0.5")
    writer.line(1, "v = b[1:]")
    while writer.left > 0:
        writer.statement(1)
    writer.line(1, "return (a * b).sum() + 0.3 * c.sum() + s * t + v.sum()")
    return HEAD + "\n".join(writer.lines) + "\n"
