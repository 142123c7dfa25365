"""Random programs over control flow, as Python source: every exit, handler, choice and nested scope.

`write(random, size)` gives the text of a function `f(log, n)`; every program ends, and `log` keeps the order in
which it evaluates. Names may be unbound, numbers may be divided by zero: then the error is the outcome.
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
        self.loops = 0  # around, in this function
        self.functions: list[str] = []
        self.nested = False

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def chance(self, p: float) -> bool:
        return self.random.random() < p

    def name(self) -> str:
        return self.random.choice(NAMES)

    def new(self, kind: str) -> str:
        self.fresh += 1
        return f"{kind}{self.fresh}"

    # --- expressions

    def atom(self) -> str:
        return self.random.choice((*NAMES, *NAMES, "n", "0", "1", "2", "-1"))

    def value(self, depth: int = 2) -> str:
        """An expression; most of the time a number."""
        if depth == 0 or self.chance(0.25):
            return self.atom()
        one, two = (lambda: self.value(depth - 1)), (lambda: self.condition(depth - 1))
        kind = self.random.randrange(14)
        if kind < 4:
            return f"({one()} {self.random.choice('+-*')} {one()})"
        if kind == 4:
            return f"({one()} {self.random.choice(('%', '//'))} {one()})"
        if kind == 5:
            return f"({one()} if {two()} else {one()})"
        if kind == 6:
            return f"({one()} {self.random.choice(('and', 'or'))} {one()})"
        if kind == 7:
            return f"seen(log, {one()})"
        if kind == 8:
            v = self.random.choice(("v", self.name()))
            test = f" if {self.condition(depth - 1)}" if self.chance(0.4) else ""
            made = f"{self.value(depth - 1)} + {v} for {v} in range({self.random.randrange(4)}){test}"
            return f"sum([{made}])" if self.chance(0.6) else f"sum({made})"
        if kind == 9 and self.functions:
            return f"{self.random.choice(self.functions)}({one()})"
        if kind == 10:
            return f"(lambda k: {one()} + (k if {two()} else -k))({one()})"
        if kind == 11 and self.chance(0.5):
            return f"({self.name()} := {one()})"
        return f"int({two()})"

    def condition(self, depth: int = 2) -> str:
        if depth == 0:
            return f"{self.atom()} {self.random.choice(('<', '>', '==', '!=', '<='))} {self.atom()}"
        one, two = (lambda: self.value(depth - 1)), (lambda: self.condition(depth - 1))
        kind = self.random.randrange(10)
        if kind < 3:
            return f"{one()} {self.random.choice(('<', '>', '=='))} {one()}"
        if kind == 3:
            return f"{one()} < {one()} <= {one()}"
        if kind == 4:
            return f"seen(log, {one()}) != {one()} > {one()} < {one()}"
        if kind < 7:
            return f"({two()} {self.random.choice(('and', 'or'))} {two()})"
        if kind == 7:
            return f"({two()} and {two()} or {one()})"
        if kind == 8:
            return f"not {two()}"
        return one()

    # --- statements

    def block(self, depth: int) -> None:
        for _ in range(self.random.randrange(1, 4)):
            self.statement(depth)

    def statement(self, depth: int) -> None:
        self.left -= 1
        deep = depth > 6 or self.left < 0
        kind = self.random.randrange(24)
        if kind < 6 or (deep and kind < 15):
            self.line(depth, f"{self.name()} = {self.value()}")
        elif kind < 8:
            self.line(depth, f"{self.name()} {self.random.choice(('+=', '-=', '*='))} {self.value(1)}")
        elif kind == 8:
            self.line(depth, f"log.append({self.value()})")
        elif kind < 12 and not deep:
            self.branch(depth)
        elif kind < 15:
            self.loop(depth)
        elif kind < 20:
            self.exit(depth)
        elif deep:
            self.line(depth, f"{self.name()}, {self.name()} = {self.value(1)}, {self.value(1)}")
        elif kind == 20:
            self.attempt(depth)
        elif kind == 21:
            self.rare(depth)
        elif kind == 22:
            self.function(depth)
        else:
            self.line(depth, f"items[{self.value(1)} % 3] += {self.value(1)}")

    def branch(self, depth: int) -> None:
        self.line(depth, f"if {self.condition()}:")
        self.block(depth + 1)
        while self.chance(0.25):
            self.line(depth, f"elif {self.condition(1)}:")
            self.block(depth + 1)
        if self.chance(0.5):
            self.line(depth, "else:")
            self.block(depth + 1)

    def loop(self, depth: int) -> None:
        i = self.random.choice((self.new("i"), self.name()))
        kind = self.random.randrange(5)
        if kind == 0:
            self.line(depth, f"for {i} in range({self.random.randrange(5)}):")
        elif kind == 1:
            self.line(depth, f"for {i} in [{self.atom()}, {self.atom()}, {self.atom()}]:")
        elif kind == 2:
            self.line(depth, f"for {i}, {self.name()} in enumerate(items):")
        else:
            k = self.new("k")
            self.line(depth, f"{k} = 0")
            asked = f"{k} < {self.random.randrange(5)}" if self.chance(0.8) else "True"
            self.line(depth, f"while {asked}{f' and {self.condition(1)}' if self.chance(0.3) else ''}:")
            self.line(depth + 1, f"{k} += 1")
            if asked == "True":
                self.line(depth + 1, f"if {k} > 3: break")
        self.loops += 1
        self.block(depth + 1)
        self.loops -= 1
        if self.chance(0.3):
            self.line(depth, "else:")
            self.block(depth + 1)

    def exit(self, depth: int) -> None:
        kinds = ["break", "continue", "break"] if self.loops else []
        kinds.append(f"return {self.random.choice(('', self.value()))}")
        if self.chance(0.2):
            kinds = [f"raise ValueError({self.value(1)})"]
        made = self.random.choice(kinds)
        if self.chance(0.15):
            self.line(depth, made)
            return
        self.line(depth, f"if {self.condition(1)}:")
        if self.chance(0.4):
            self.statement(depth + 1)
        self.line(depth + 1, made)
        if self.chance(0.25):
            self.line(depth, "else:")
            self.block(depth + 1)

    def attempt(self, depth: int) -> None:
        self.line(depth, "try:")
        self.block(depth + 1)
        if self.chance(0.8):
            self.line(depth, "except (ZeroDivisionError, NameError) as error:")
            self.line(depth + 1, "log.append(type(error).__name__)")
            self.block(depth + 1)
            if self.chance(0.3):
                self.line(depth, "else:")
                self.block(depth + 1)
            if self.chance(0.6):
                return
        self.line(depth, "finally:")
        self.line(depth + 1, f"log.append({self.atom()})")

    def rare(self, depth: int) -> None:
        kind = self.random.randrange(5)
        if kind == 0:
            self.line(depth, "with contextlib.suppress(ValueError):")
            self.block(depth + 1)
        elif kind == 1:
            self.line(depth, f"match {self.value(1)}:")
            self.line(depth + 1, "case 0 | 1:")
            self.block(depth + 2)
            self.line(depth + 1, f"case {self.name()}:")
            self.block(depth + 2)
        elif kind == 2:
            self.line(depth, f"del {self.name()}")
        elif kind == 3:
            self.line(depth, f"assert {self.condition()}, seen(log, {self.atom()})")
        else:
            v, w = self.name(), self.new("g")
            self.line(depth, f"{w} = ({self.value(1)} + {v} for {v} in range(3))")
            self.block(depth)
            self.line(depth, f"log.append(list({w}))")

    def function(self, depth: int) -> None:
        if self.nested:
            return
        g = self.new("g")
        loops, self.loops, self.nested = self.loops, 0, True
        self.line(depth, f"def {g}({self.random.choice(('x', 'a', 'b'))}, most=[3]):")
        self.line(depth + 1, "most[0] -= 1")
        self.line(depth + 1, "if most[0] < 0: return 7")
        if self.chance(0.3):
            self.line(depth + 1, f"nonlocal {self.random.choice(('c', 'd'))}")
        self.block(depth + 1)
        self.block(depth + 1)
        self.loops, self.nested = loops, False
        self.functions.append(g)


def write(random: _random.Random, size: int) -> str:
    """The source of `f(log, n)`."""
    writer = _Writer(random, size)
    writer.line(0, "def f(log, n):")
    writer.line(1, "items = [n, 1, 2]")
    writer.line(1, "a, b, c = n, 1, n - 1")
    if writer.chance(0.8):
        writer.line(1, "d = 2")
    else:
        writer.line(1, "if n > 7: d = 2")
    while writer.left > 0:
        writer.statement(1)
    if writer.chance(0.7):
        writer.line(1, "return a, b, items")
    return "\n".join(writer.lines) + "\n"
