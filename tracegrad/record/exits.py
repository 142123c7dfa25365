"""Early exits become arms and flags, so that a block which was left in the middle ends at its end.

In: the body of a user's function. Out: a body that does the same in plain Python, statement by statement in
the same order, in which `break`, `continue` and `return` inside loops and branches are gone wherever these may
be generalised (`certificate.py`):

    for x in xs:                          __tg_stop1 = False
        if x < 0:                         for x in xs:
            continue                          __tg_stop1 = False
        if s > 9:                             if x < 0:
            return s                              pass
        s = s + x                             elif s > 9:
    return -s                                     __tg_value = s; __tg_stop1 = True
                                              else:
                                                  s = s + x
                                              if __tg_stop1: break
                                          if __tg_stop1: pass
                                          else: __tg_value = -s
                                          return __tg_value

The rest of a block moves into the arm that goes on; only where both arms may or may not leave, a flag is asked
before the rest. `if flag: break` at the end of a body is the one exit a loop keeps. What cannot be generalised
keeps its exits, and so does everything around it that they leave. Begin with `Exits.arms`.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tracegrad.record.certificate import FLAG, Structure, unfit

VALUE = f"{FLAG}value"
_DEEPEST = 40  # arms inside arms; a longer chain of exits stays a path
_BREAK, _CONTINUE, _RETURN = "break", "continue", "return"


class Blocked(Exception):
    """Something cannot be an arm; its text says what."""


class _Returned(ast.Pass):
    """A `return` whose value a loop inside has stored already."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a block stands.

    `stop` and `returned` are the flags of the loop around it, `loop` whether there is one; `left` are flags that
    every exit sets, since they are asked before the rest of a block.
    """

    loop: bool = False
    stop: str = ""
    returned: str = ""
    left: tuple[str, ...] = ()
    depth: int = 0


class Exits:
    """Rewrites one function.

    Parameters
    ----------
    outside : names that a `global` or `nonlocal` statement gives away
    texts : dict of a structure that the user did not write to what it asks; more are added

    Attributes
    ----------
    reasons : dict of a structure that keeps its exits to the reason
    """

    def __init__(self, outside: Collection[str], texts: dict[ast.AST, str]) -> None:
        self.outside = outside
        self.reasons: dict[ast.AST, str] = {}
        self.texts = texts
        self.fresh = 0

    def function(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        return self._kept(body, True)

    def _name(self, kind: str) -> str:
        self.fresh += 1
        return f"{FLAG}{kind}{self.fresh}"

    # --- where exits stay

    def _kept(self, nodes: Sequence[ast.stmt], tail: bool) -> list[ast.stmt]:
        """A block that may be left as it stands; `tail`: the function ends where it ends."""
        out: list[ast.stmt] = []
        for i, node in enumerate(nodes):
            last = i == len(nodes) - 1
            if not isinstance(node, Structure):
                out.append(self._inside(node, tail and last))
                continue
            rest = list(nodes[i:])
            value = placed_like(ast.Return(value=ast.Name(id=VALUE, ctx=ast.Load())), node)
            reason = ""
            try:
                leaving = leaves([node])
                if not leaving:
                    out.extend(self.arms([node], _Place()))
                    continue
                if leaving == {_RETURN} and (tail or ends(rest)):
                    if not ends(rest):
                        rest.append(placed_like(ast.Return(value=None), node))
                    return [*out, *self.arms(rest, _Place()), value]
            except Blocked as found:
                reason = f"line {node.lineno} is left early, and what follows cannot be an arm: {found}"
            if isinstance(node, (ast.For, ast.While)):
                try:
                    made, behind = self._loop(node, 0)
                    returned = [_with_return(s, value) for s in behind]
                    return [*out, *made, *self._kept([*returned, *rest[1:]], tail)]
                except Blocked as found:
                    reason = str(found)
            stays = self._inside(node, tail and last)
            if reason:
                self.reasons[stays] = reason
            out.append(stays)
        return out

    def _inside(self, node: Any, tail: bool) -> Any:
        """A statement that keeps its own exits, with the blocks inside it rewritten where they may be."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return node
        made: dict[str, Any] = {}
        tail = tail and isinstance(node, (ast.If, ast.With))
        for field, value in ast.iter_fields(node):
            if field in ("body", "orelse", "finalbody") and isinstance(value, list):
                value = self._kept(value, tail)
            elif field == "handlers":
                value = [
                    placed_like(ast.ExceptHandler(h.type, h.name, self._kept(h.body, False)), h)
                    for h in value
                ]
            elif field == "cases":
                value = [ast.match_case(c.pattern, c.guard, self._kept(c.body, False)) for c in value]
            made[field] = value
        return ast.copy_location(type(node)(**made), node)

    # --- where exits become arms

    def arms(self, nodes: Sequence[ast.stmt], place: _Place) -> list[ast.stmt]:
        """A block that is left only at its end.

        Raises
        ------
        Blocked : something in it cannot be an arm
        """
        if place.depth > _DEEPEST:
            raise Blocked(f"line {nodes[0].lineno}: more than {_DEEPEST} arms inside each other")
        out: list[ast.stmt] = []
        todo = list(nodes)
        while todo:
            node = todo.pop(0)
            if isinstance(node, (ast.Break, ast.Continue, ast.Return, _Returned)):
                return [*out, *self._exit(node, place)]
            if isinstance(node, ast.Raise):
                return [*out, node]
            if isinstance(node, ast.If):
                if not leaves([node]):
                    out.append(self._if(node, node.body, node.orelse, place))
                    continue
                return [*out, *self._leaving(node, todo, place)]
            if isinstance(node, (ast.For, ast.While)):
                made, behind = self._loop(node, place.depth)
                out.extend(made)
                todo = [*behind, *todo]
                continue
            reason = unfit([node], "loop" if place.loop else "branch", self.outside)
            if reason:
                raise Blocked(reason)
            out.append(node)
        return out

    def _if(
        self, node: ast.If, body: Sequence[ast.stmt], orelse: Sequence[ast.stmt], place: _Place
    ) -> ast.If:
        inner = replace(place, depth=place.depth + 1)
        made = ast.If(
            test=node.test,
            body=self.arms(body, inner) or [placed_like(ast.Pass(), node)],
            orelse=self.arms(orelse, inner),
        )
        if node in self.texts:
            self.texts[made] = self.texts[node]
        return ast.copy_location(made, node)

    def _leaving(self, node: ast.If, rest: list[ast.stmt], place: _Place) -> list[ast.stmt]:
        """A branch with exits, and what stands behind it in its block."""
        if not rest or (ends(node.body) and ends(node.orelse)):
            return [self._if(node, node.body, node.orelse, place)]
        if ends(node.body):
            return [self._if(node, node.body, [*node.orelse, *rest], place)]
        if ends(node.orelse):
            return [self._if(node, [*node.body, *rest], node.orelse, place)]
        kinds = leaves([node])
        before: list[ast.stmt] = []
        if place.stop and _CONTINUE not in kinds:
            flag, inner = place.stop, place
        else:
            flag = self._name("left")
            inner = replace(place, left=(*place.left, flag))
            before = [_set(flag, False, node)]
        going = ast.If(test=_not(flag), body=rest, orelse=[])
        self.texts[going] = "not left by " + " or ".join(f"`{k}`" for k in sorted(kinds))
        asked = self._if(placed_like(going, node), rest, [], place)
        return [*before, self._if(node, node.body, node.orelse, inner), asked]

    def _exit(self, node: ast.stmt, place: _Place) -> list[ast.stmt]:
        """What an exit leaves to do: its value, and the flags."""
        out: list[ast.stmt] = []
        if isinstance(node, (ast.Break, ast.Continue)) and not place.loop:
            raise Blocked(f"line {node.lineno}: `{type(node).__name__.lower()}` leaves the block early")
        if isinstance(node, ast.Return):
            value = node.value or placed_like(ast.Constant(value=None), node)
            store = ast.Assign(targets=[ast.Name(id=VALUE, ctx=ast.Store())], value=value)
            out.append(placed_like(store, node))
        if place.loop and not isinstance(node, ast.Continue):
            out.append(_set(place.stop, True, node))
            if place.returned and not isinstance(node, ast.Break):
                out.append(_set(place.returned, True, node))
        return [*out, *(_set(flag, True, node) for flag in place.left)]

    def _loop(self, node: ast.For | ast.While, depth: int) -> tuple[list[ast.stmt], list[ast.stmt]]:
        """A loop without exits but `if flag: break` at its end; and what follows it, whose exits are still there."""
        kinds = leaves(node.body)
        stop = self._name("stop") if kinds & {_BREAK, _RETURN} else ""
        returned = self._name("returned") if {_BREAK, _RETURN} <= kinds else ""
        body = self.arms(node.body, _Place(True, stop, returned, depth=depth + 1))
        flags = [_set(f, False, node) for f in (stop, returned) if f]
        if stop:
            test = ast.Name(id=stop, ctx=ast.Load())
            body = [
                *flags,
                *body,
                placed_like(ast.If(test=test, body=[ast.Break()], orelse=[]), node),
            ]
        made: Any
        if isinstance(node, ast.For):
            made = ast.For(target=node.target, iter=node.iter, body=body, orelse=[])
        else:
            made = ast.While(test=node.test, body=body, orelse=[])
        ast.copy_location(made, node)
        if node in self.texts:
            self.texts[made] = self.texts[node]
        reason = unfit([made], "loop", self.outside)
        if reason:
            raise Blocked(reason)
        behind: list[ast.stmt] = []
        if _RETURN in kinds:
            over = placed_like(_Returned(), node)
            if _endless(node) and _BREAK not in kinds:
                behind.append(over)
            else:
                test = ast.Name(id=returned or stop, ctx=ast.Load())
                asked = ast.If(test=test, body=[over], orelse=[])
                self.texts[asked] = "left by `return`"
                behind.append(placed_like(asked, node))
        if node.orelse and _BREAK in kinds:
            asked = ast.If(test=_not(stop), body=node.orelse, orelse=[])
            self.texts[asked] = "not left by `break`"
            behind.append(placed_like(asked, node.orelse[0]))
        else:
            behind.extend(node.orelse)
        return [*(_set(f, False, node) for f in (stop, returned) if f), made], behind


# --- what leaves a block


def leaves(nodes: Sequence[ast.stmt]) -> set[str]:
    """The kinds of exit by which these statements may leave the block they stand in."""
    kinds: set[str] = set()
    for node in nodes:
        if isinstance(node, (ast.Break, ast.Continue)):
            kinds.add(type(node).__name__.lower())
        elif isinstance(node, (ast.Return, _Returned)):
            kinds.add(_RETURN)
        elif isinstance(node, (ast.For, ast.While, ast.AsyncFor)):
            kinds |= leaves(node.body) & {_RETURN}
            kinds |= leaves(node.orelse)
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for field in ("body", "orelse", "finalbody"):
                kinds |= leaves(getattr(node, field, ()))
            for part in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
                kinds |= leaves(part.body)
    return kinds


def ends(nodes: Sequence[ast.stmt]) -> bool:
    """Whether no run through these statements comes out at their end."""
    for node in nodes:
        if isinstance(node, (ast.Break, ast.Continue, ast.Return, ast.Raise, _Returned)):
            return True
        if isinstance(node, ast.If) and ends(node.body) and ends(node.orelse):
            return True
        if isinstance(node, ast.While) and _endless(node) and _BREAK not in leaves(node.body):
            return True
    return False


def _endless(node: ast.stmt) -> bool:
    return isinstance(node, ast.While) and isinstance(node.test, ast.Constant) and bool(node.test.value)


# --- small pieces


def placed_like(made: Any, node: ast.AST) -> Any:
    """A new node where the user wrote another one."""
    for new in ast.walk(made):
        if isinstance(new, (ast.stmt, ast.expr)) and not hasattr(new, "lineno"):
            ast.copy_location(new, node)
    return made if hasattr(made, "lineno") else ast.copy_location(made, node)


def _set(name: str, value: bool, node: ast.AST) -> ast.stmt:
    made = ast.Assign(targets=[ast.Name(id=name, ctx=ast.Store())], value=ast.Constant(value=value))
    stored: ast.stmt = placed_like(made, node)
    return stored


def _with_return(node: ast.stmt, value: ast.stmt) -> ast.stmt:
    """What follows a loop, where a `return` stays one: it hands on what the loop stored."""
    if isinstance(node, _Returned):
        return value
    if isinstance(node, ast.If) and isinstance(node.body[0], _Returned):
        return placed_like(ast.If(test=node.test, body=[value], orelse=[]), node)
    return node


def _not(flag: str) -> ast.expr:
    return ast.UnaryOp(op=ast.Not(), operand=ast.Name(id=flag, ctx=ast.Load()))
