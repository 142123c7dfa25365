"""Which statements may become a loop or a branch of the trace: a judgement on the user's AST alone.

In: a statement, after its early exits became arms (`exits.py`). Out: why it cannot be generalised, or what
is known of it, a `Form`. The certificate asks that a body is made of simple statements, loops and branches
and is left only at its end; what the names hold, what is written and what is called is checked while the
body runs (`branches.py`, `loops.py`). Without certificate the statement runs as it stands: each run is a path of its
own, and right all the same. Begin with `refusal`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Structure = ast.If | ast.While | ast.For

MARKS = "__tg__"
FLAG = "__tg_"  # names the user did not write begin so
STOP = f"{FLAG}stop"  # the flag of a loop begins so; `if flag: break` ends the body
_PLAIN = (
    ast.Assign,
    ast.AugAssign,
    ast.AnnAssign,
    ast.Expr,
    ast.Pass,
    ast.Assert,
    ast.Delete,
    ast.Raise,
    ast.FunctionDef,
)
_METHODS = {
    "extend", "pop", "popitem", "popleft", "insert", "clear", "sort", "reverse", "update", "setdefault", "add",
    "discard", "remove", "fill", "put", "appendleft", "extendleft", "rotate", "partition", "itemset", "resize",
    "setfield", "setflags", "byteswap", "difference_update", "intersection_update", "move_to_end",
    "symmetric_difference_update", "__setitem__", "__delitem__", "__setattr__", "__iadd__", "shuffle",
}  # fmt: skip
_FILLED_FIRST = {
    "copyto",
    "put",
    "place",
    "putmask",
    "fill_diagonal",
    "put_along_axis",
    "setitem",
    "delitem",
    "at",
}
_SHORTS = {
    "AugAssign": "assignment",
    "AsyncFor": "async for",
    "AsyncWith": "async with",
    "ClassDef": "class",
    "TryStar": "try",
    "ImportFrom": "import",
    "AsyncFunctionDef": "async def",
}


Pattern: TypeAlias = "tuple[Pattern, ...]"


@dataclass(frozen=True, slots=True)
class Form:
    """What is known of a structure that may be generalised.

    Attributes
    ----------
    kind : "if", "for", "while", or "choice" for a conditional expression, `and`, `or`, a chained comparison
    names : local names stored inside that may be read later, in the next step of a loop or after it
    after : those of them that may be read after the structure
    written : how the object under a local name is written inside. "item": `a[i] = v`, `del a[i]`, `out=a`;
        "attr": `a.x = v`; "append"; "update": `a += v`; "method": any other method that changes it. "deep" is
        among them when it is something inside that object that is written: `a[i].x = v`, `a[i][j] = v`
    stop : the name of the flag that says a loop was left by `break` or `return`, or None
    line, text : where and what the user's condition or header reads
    truth : of a choice, whether only the truth of its value is asked
    bare : an `if` without `else`
    loads, targets : names read inside, and of a `for` those of its targets
    pattern : how a `for` takes its items apart, see `pattern_of`
    """

    kind: str
    names: tuple[str, ...]
    after: frozenset[str]
    written: Mapping[str, frozenset[str]]
    stop: str | None
    line: int
    text: str
    truth: bool = False
    bare: bool = False
    loads: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    pattern: Pattern = ()


def refusal(node: Structure, outside: Collection[str] = ()) -> str | None:
    """Why this statement stays a path, in the user's terms; None if it may be generalised.

    `outside` are the names that a `global` or `nonlocal` statement gives away.
    """
    if isinstance(node, ast.If):
        return unfit([*node.body, *node.orelse], "branch", outside) or _left_early(node, "branch")
    return unfit([node], "loop", outside) or _left_early(node, "loop")


def unfit(nodes: Iterable[ast.stmt], where: str, outside: Collection[str]) -> str | None:
    """The first statement that cannot stand inside a loop or branch, exits aside; None if all can."""
    for node in nodes:
        if isinstance(node, (ast.Break, ast.Continue, ast.Return)):
            continue
        stores: ast.AST = node
        if isinstance(node, Structure):
            reason = unfit([*node.body, *node.orelse], where, outside)
            if reason:
                return reason
            stores = node.target if isinstance(node, ast.For) else node.test
        elif not isinstance(node, _PLAIN):
            kind = type(node).__name__
            return f"line {node.lineno}: `{_SHORTS.get(kind, kind.lower())}` inside the {where}"
        for name in assigned_names([stores]) if outside else ():
            if name in outside:
                return f"line {node.lineno}: stores `{name}`, which is not local to the function"
    return None


def _left_early(node: Structure, where: str) -> str | None:
    """The first statement that leaves the structure, or a loop inside it, before its end."""
    todo: list[ast.stmt] = [node]
    while todo:
        inner = todo.pop(0)
        if isinstance(inner, (ast.Break, ast.Continue, ast.Return)):
            return f"line {inner.lineno}: `{type(inner).__name__.lower()}` leaves the {where} early"
        if isinstance(inner, Structure):
            body = inner.body if stop_flag(inner) is None else inner.body[:-1]
            todo = [*body, *inner.orelse, *todo]
    return None


def stop_flag(node: ast.stmt) -> str | None:
    """The flag of a loop whose body ends in `if flag: break`, as `exits.py` leaves it; None for any other."""
    if not isinstance(node, (ast.For, ast.While)) or not node.body:
        return None
    last = node.body[-1]
    if isinstance(last, ast.If) and isinstance(last.test, ast.Name) and last.test.id.startswith(STOP):
        return last.test.id if isinstance(last.body[0], ast.Break) else None
    return None


def unfit_choice(arms: Sequence[ast.expr]) -> str | None:
    """Why a conditional expression, `and`, `or` or chained comparison stays a path; None if it may become a
    branch.
    """
    for arm in arms:
        for inner in ast.walk(arm):
            if isinstance(inner, ast.NamedExpr):
                return f"line {inner.lineno}: `:=` inside a conditional expression"
            if isinstance(inner, (ast.Yield, ast.YieldFrom, ast.Await)):
                return f"line {inner.lineno}: a generator is suspended inside a conditional expression"
    return None


# --- what is stored, read and written


def statements(nodes: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node below, without going into nested functions, classes and comprehensions' own targets."""
    todo = list(nodes)[::-1]
    while todo:
        node = todo.pop()
        yield node
        if isinstance(node, ast.comprehension):
            todo.extend((*node.ifs[::-1], node.iter))
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            todo.extend([*ast.iter_child_nodes(node)][::-1])


def assigned_names(nodes: Iterable[ast.AST]) -> list[str]:
    """Local names stored or deleted in these nodes, in order of appearance."""
    return names_stored_by(statements(nodes))


def names_stored_by(nodes: Iterable[ast.AST]) -> list[str]:
    """Local names stored or deleted by these nodes themselves, without those below."""
    names: dict[str, None] = {}
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names[node.id] = None
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names[node.name] = None
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((a.asname or a.name.split(".")[0], None) for a in node.names)
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            names[node.name] = None
        elif isinstance(node, ast.MatchMapping) and node.rest:
            names[node.rest] = None
    return list(names)


def pattern_of(target: ast.AST) -> Pattern:
    """How a target takes apart what it gets: `a, (b, c)` has the pattern `((), ((), ()))`, a name keeps it whole."""
    if isinstance(target, (ast.Tuple, ast.List)):
        return tuple(pattern_of(part) for part in target.elts)
    return ()


def depth_of(pattern: Pattern) -> int:
    """How many levels of lists everything is out of that a pattern takes apart: nobody has those lists then."""
    return 1 + min(map(depth_of, pattern)) if pattern else 0


def loaded_names(nodes: Iterable[ast.AST]) -> set[str]:
    """Names read in these nodes, nested functions included."""
    found = set()
    for node in nodes:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Store):
                found.add(inner.id)
            elif isinstance(inner, ast.AugAssign) and isinstance(inner.target, ast.Name):
                found.add(inner.target.id)
    return found


def written_objects(nodes: Iterable[ast.AST], local: Container[str]) -> dict[str, frozenset[str]]:
    """How the objects under local names are written in these nodes; see `Form.written`."""
    found: dict[str, frozenset[str]] = {}

    def note(target: ast.AST, kind: str, deep: bool = False) -> None:
        while isinstance(target, (ast.Subscript, ast.Attribute, ast.Starred)):
            target, deep = target.value, True
        if isinstance(target, ast.Name) and target.id in local:
            kinds = {"method" if kind == "append" else kind, "deep"} if deep else {kind}
            found[target.id] = found.get(target.id, frozenset()) | kinds

    for node in statements(nodes):
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            note(node.value, "item")
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            note(node.value, "attr")
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            note(node.target, "update")
        elif isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "out":
                    for part in getattr(keyword.value, "elts", [keyword.value]):
                        note(part, "item")
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if isinstance(node.func, ast.Attribute):
                if called == "append":
                    note(node.func.value, "append")
                elif called in _METHODS or (called.endswith("_") and not called.startswith("_")):
                    note(node.func.value, "method")
            if called in _FILLED_FIRST and node.args:
                note(node.args[0], "item")
            elif called in ("setattr", "delattr") and node.args:
                note(node.args[0], "attr")
    return found
