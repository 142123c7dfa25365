"""A stand-in for the marks of a capture: every mark does what Python does, and what the certificate claims is
put to the test.

In: a function. Out: `plain_clone`, its marked clone with a `PlainMarks`. A name that a structure stored, and
that its `Form` says nobody reads later, is taken away at the edge where it is dead: a wrong claim is then a
`NameError`. Begin with `PlainMarks.join`.
"""

from __future__ import annotations

import ast
import builtins
import ctypes
import operator
import sys

from tracegrad.record.marks import clone, mark

BINARY = {
    "Add": operator.add, "Sub": operator.sub, "Mult": operator.mul, "Div": operator.truediv, "Mod": operator.mod,
    "FloorDiv": operator.floordiv, "Pow": operator.pow, "MatMult": operator.matmul, "BitAnd": operator.and_,
    "BitOr": operator.or_, "BitXor": operator.xor, "LShift": operator.lshift, "RShift": operator.rshift,
}  # fmt: skip
UPDATE = {
    "Add": operator.iadd, "Sub": operator.isub, "Mult": operator.imul, "Div": operator.itruediv,
    "Mod": operator.imod, "FloorDiv": operator.ifloordiv, "Pow": operator.ipow, "MatMult": operator.imatmul,
    "BitAnd": operator.iand, "BitOr": operator.ior, "BitXor": operator.ixor, "LShift": operator.ilshift,
    "RShift": operator.irshift,
}  # fmt: skip
UNARY = {"USub": operator.neg, "UAdd": operator.pos, "Invert": operator.invert}
COMPARE = {
    "Lt": operator.lt, "LtE": operator.le, "Gt": operator.gt, "GtE": operator.ge, "Eq": operator.eq,
    "NotEq": operator.ne, "Is": operator.is_, "IsNot": operator.is_not,
    "In": lambda a, b: a in b, "NotIn": lambda a, b: a not in b,
}  # fmt: skip
GONE = object()


class PlainMarks:
    """What Python does, mark by mark."""

    undefined = type("Undefined", (), {})()
    slice = slice

    def __init__(self, function, marked):
        self.globals = function.__globals__
        self.structures = marked.structures
        self.open_structures = []
        self.firsts, self.seconds = {}, {}

    # --- reads, calls, operators, stores

    def glob(self, name):
        if name in self.globals:
            return self.globals[name]
        try:
            return getattr(builtins, name)
        except AttributeError:
            raise NameError(f"name {name!r} is not defined") from None

    def free(self, name, value):
        return value

    def call(self, function, /, *args, **keywords):
        return function(*args, **keywords)

    def name(self, name, value):
        return value

    whole = made = shown = asked = generator = iterate = entered = staticmethod(lambda value: value)
    attr = staticmethod(getattr)
    item = staticmethod(operator.getitem)
    binary = staticmethod(lambda name, a, b: BINARY[name](a, b))
    unary = staticmethod(lambda name, a: UNARY[name](a))
    compare = staticmethod(lambda name, a, b: COMPARE[name](a, b))
    update = staticmethod(lambda value, name, other: UPDATE[name](value, other))
    negated = staticmethod(operator.not_)
    set_attr, set_item = staticmethod(setattr), staticmethod(operator.setitem)
    del_attr, del_item = staticmethod(delattr), staticmethod(operator.delitem)

    def update_attr(self, target, name, op, other):
        setattr(target, name, UPDATE[op](getattr(target, name), other))

    def update_item(self, target, key, op, other):
        target[key] = UPDATE[op](target[key], other)

    def imported(self, module, level, name, value):
        return value

    def blind(self, name, result):
        return result

    def is_builtin(self, name):
        return self.glob(name) is getattr(builtins, name)

    def stores_outer(self, *names):
        for entry in self.open_structures:  # what they claim of these names does not count
            entry[1] = None

    def alternatives(self):
        pass

    # --- structures

    def _top(self, key):
        """The open structure with this key; an exception may have left others open above it."""
        while self.open_structures[-1][0] != key:
            self.open_structures.pop()
        return self.open_structures[-1]

    def _edge(self, key, before, local, kept, own=frozenset()):
        """The values of the structure's names; what it stored besides, and nobody is to read, is gone."""
        frame = sys._getframe(2)
        seen = frame.f_locals
        for n, v in local.items():
            if v is not before.get(n, GONE) and n not in kept and n not in own and not _is_temporary(n):
                seen[n] = GONE
        if sys.version_info < (3, 13):
            ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
        form = self.structures[key]
        return tuple(local.get(n, self.undefined) if n in kept else self.undefined for n in form.names)

    def test(self, key, condition, local):
        self.open_structures.append([key, dict(local)])
        return bool(condition)

    def join(self, key, local):
        before = self._top(key)[1]
        self.open_structures.pop()
        return self._edge(key, before or local, local, self.structures[key].names)

    def enter(self, key):
        self.open_structures.append([key, None])

    def enter_for(self, key, iterated):
        iterated = iter(iterated)
        self.open_structures.append([key, None])
        return iterated

    def header(self, key, local):
        entry = self._top(key)
        before, entry[1] = entry[1], dict(local)
        form = self.structures[key]
        own = _targets(form) if form.kind == "for" else set()
        return self._edge(key, before or local, local, form.names, own)

    def proceed(self, key, condition):
        return bool(condition)

    def stopped(self, key, flag):
        assert flag is True or flag is False
        return flag

    def leave(self, key, local):
        before = self._top(key)[1]
        self.open_structures.pop()
        form = self.structures[key]
        kept = form.after if before else form.names  # it never ran: nothing was stored
        return self._edge(key, before or local, local, kept)

    # --- choices

    def open(self, key, condition):
        self.firsts.setdefault(key, []).append(condition)
        return bool(condition)

    def open_compare(self, key, op, left, right):
        self.seconds.setdefault(key, []).append(right)
        return self.open(key, COMPARE[op](left, right))

    def second(self, key):
        return self.seconds[key][-1]

    def close(self, key, value):
        self.kept(key)
        return value

    def kept(self, key):
        if self.seconds.get(key):
            self.seconds[key].pop()
        return self.firsts[key].pop()


def _targets(form):
    target = ast.parse(f"{form.text}: pass").body[0].target
    return {n.id for n in ast.walk(target) if isinstance(n, ast.Name)}


def _is_temporary(name):
    return name.startswith("__tg_") and name[5:].isdigit()


def plain_clone(function):
    """The marked clone of a function; each mark does what Python does."""
    marked = mark(function.__code__)
    assert marked is not None, "no source"
    return clone(function, marked, PlainMarks(function, marked))
