"""Native text as LLVM instructions, in one walk over the text.

The AST of a function and the types of its arguments go in, a function of an LLVM module and its return type come out.
Types run forward, statement by statement: native text binds a name to values of one type, so there is nothing to infer.
What an operation is and means is asked of Numba (its types, and the instructions it writes); it is its analyses of
Python's bytecode that are left out, which take most of the time of a compile. Where the text has something that is not
known here, `Unknown` is raised, and Numba compiles the function in its own way. Begin with `translate`.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from tracegrad.compiler.arrays import copy, count, fill, part_type
from tracegrad.compiler.builder import WORD, prune, whole
from tracegrad.compiler.lanes import SUMMED, rounds_of
from tracegrad.compiler.outlook import filled, integer
from tracegrad.compiler.piece_code import PieceCode
from tracegrad.compiler.pieces import Piece
from tracegrad.compiler.values import Module, OnStack, Unknown, Value, done

WRITTEN_OUT = 64  # rounds of a loop, those of loops inside counted, that LLVM may write one after the other
IN_A_ROW = 16  # of an innermost loop: LLVM compares all loads and stores of what is written out
OUT_OF_REACH = 512  # rounds of an innermost loop of which LLVM writes only a few, which is quick


@dataclass(slots=True)
class Loop:
    """Where `continue` and `break` go."""

    following: Any
    end: Any


def translate(
    module: Module, tree: ast.FunctionDef, arguments: tuple[Any, ...], symbol: str, internal: bool
) -> tuple[Any, Any]:
    """A function of the text as a function of the module, and what it returns."""
    return Translation(module, tree, arguments, symbol, internal).function()


class Translation(PieceCode):
    """One function on its way."""

    def function(self) -> tuple[Any, Any]:
        """Write the function; what it is, and what it returns."""
        convention, builder = self.context.call_conv, self.builder
        entry = builder.basic_block
        first = self.code.append_basic_block("body")
        self.leaving = self.code.append_basic_block("leaving")
        builder.position_at_end(first)
        given = convention.decode_arguments(builder, self.arguments, self.code)
        for name, type, code in zip((a.arg for a in self.tree.args.args), self.arguments, given, strict=True):
            self.frame.given[name] = code
            variable = self._variable(name, type)
            if variable.is_settled:
                variable.code = code
                continue
            if variable.counted:
                count(self.context, builder, variable.type, code, True)
            self._share(variable, code)
        self.block(self.cut.body)
        if not builder.block.is_terminated:
            if self.returns not in (None, types.none):
                raise Unknown("a function that ends without a result")
            self.returns = types.none
            builder.branch(self.leaving)
        for end, status in ((self.leaving, done(self.returns)), (self.failing, None)):
            if end is None:
                continue
            builder.position_at_end(end)
            self.drop_all()
            builder.ret(builder.load(self.failed) if status is None else status)
        builder.position_at_end(entry)
        builder.branch(first)
        prune(self.code)
        return self.code, self.returns

    def block(self, statements: Sequence[ast.stmt]) -> None:
        """Statements in their order; what stands behind a leave is not written."""
        for statement in statements:
            if self.builder.block.is_terminated:
                return
            method: Callable[[Any], None] | None = getattr(self, f"_{type(statement).__name__.lower()}", None)
            if method is None:
                raise Unknown(ast.unparse(statement))
            method(statement)
            if not self.builder.block.is_terminated:
                self._release()
            self.pending = []

    def _expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.value(node.value)

    def _pass(self, node: ast.Pass) -> None:
        pass

    def _piece(self, node: Piece) -> None:
        self.piece(node)

    def _assign(self, node: ast.Assign) -> None:
        if len(node.targets) != 1:
            raise Unknown(ast.unparse(node))
        (target,) = node.targets
        if isinstance(target, ast.Name) and target.id in self.outlook.stays:
            self._make_on_stack(target.id, node.value)
        elif isinstance(target, ast.Name):
            self._bind(target.id, self.value(node.value), self._is_lent(node.value))
        elif isinstance(target, ast.Tuple):
            values = self._parts(self.value(node.value), len(target.elts))
            for item, value in zip(target.elts, values, strict=True):
                self._store(item, value)
        else:
            self._store(target, self.value(node.value))

    def _augassign(self, node: ast.AugAssign) -> None:
        target = node.target
        if isinstance(target, ast.Subscript):
            array, indices = self._element(target)
            before = Value(array.type.dtype, array.load(indices))
            after = self.binary(node.op, before, self.value(node.value))
            array.store(indices, self._cast(after, array.type.dtype))
        elif isinstance(target, ast.Name):
            before = self.value(ast.Name(target.id, ast.Load()))
            if isinstance(before.type, types.Array) and self._add_product(before, node):
                return
            self._bind(target.id, self.binary(node.op, before, self.value(node.value)))
        else:
            raise Unknown(ast.unparse(node))

    def _is_lent(self, node: ast.expr) -> bool:
        """Whether it is a part of what a name holds for as long as it is read: counting its memory would take longer
        than a short loop with its elements."""
        while isinstance(node, ast.Subscript):
            node = node.value
            if isinstance(node, ast.Name):
                return node.id in self.outlook.lasting
        return False

    def _store(self, target: ast.expr, value: Value) -> None:
        if isinstance(target, ast.Name):
            self._bind(target.id, value)
        elif isinstance(target, ast.Subscript):
            array, indices = self._element(target)
            if isinstance(value.type, types.Array):
                self._store_part(array, indices, value)
            elif len(indices) == array.type.ndim:
                array.store(indices, self._cast(value, array.type.dtype))
            else:
                raise Unknown(ast.unparse(target))
        else:
            raise Unknown(ast.unparse(target))

    def _store_part(self, array: Any, indices: Sequence[Any], value: Value) -> None:
        """`out[k] = row`: a contiguous part, of an array of the same dtype and of as many axes."""
        kind = part_type(array.type, len(indices))
        alike = value.type.ndim == kind.ndim and value.type.dtype == kind.dtype
        if not alike or kind.layout != "C" or isinstance(array, OnStack):
            raise Unknown("an array written into a part")
        part = self._array(Value(kind, array.part(indices)))
        copy(self.context, self.builder, self._array(value), part)

    def _make_on_stack(self, name: str, made: ast.expr) -> None:
        """An array that never leaves is room on the stack; made again, it is the same room."""
        assert isinstance(made, ast.Call)
        shape = self.outlook.shapes[name]
        dtype, value = self._filling(made)
        variable = self._variable(name, types.Array(dtype, len(shape), "C"), stays=True)
        if filled(made):
            data = cgutils.gep(self.builder, variable.place, 0, 0)
            fill(self.context, self.builder, dtype, data, WORD(math.prod(shape)), value)

    def _if(self, node: ast.If) -> None:
        condition = self._truth(self.value(node.test))
        self._release()
        builder = self.builder
        then, end = (self.code.append_basic_block(n) for n in ("then", "end"))
        other = self.code.append_basic_block("else") if node.orelse else end
        builder.cbranch(condition, then, other)
        reached = not node.orelse
        for start, body in ((then, node.body), (other, node.orelse)):
            if body:
                builder.position_at_end(start)
                self.block(body)
                if not builder.block.is_terminated:
                    builder.branch(end)
                    reached = True
        builder.position_at_end(end)
        if not reached:
            builder.unreachable()

    def _while(self, node: ast.While) -> None:
        if node.orelse:
            raise Unknown(ast.unparse(node))
        builder = self.builder
        test, body, end = (self.code.append_basic_block(n) for n in ("test", "body", "end"))
        builder.branch(test)
        builder.position_at_end(test)
        condition = self._truth(self.value(node.test))
        self._release()
        builder.cbranch(condition, body, end)
        self._body(node.body, body, Loop(test, end))
        builder.position_at_end(end)

    def _for(self, node: ast.For) -> None:
        lanes = self.side_by_side.get(node)
        if lanes is not None and self.fits(node, lanes):
            self.in_lanes(node, lanes, self._rounds)
        else:
            self._rounds(node)

    def _rounds(self, node: ast.For, first: int = 0) -> None:
        """`for i in range(start, stop, step)`, with a counter of its own, which begins at `first`."""
        match node.iter:
            case ast.Call(func=ast.Name(id="range"), args=args, keywords=[]) if not node.orelse:
                pass
            case _:
                raise Unknown(ast.unparse(node.iter))
        if not isinstance(node.target, ast.Name) or "range" in self.module.names:
            raise Unknown(ast.unparse(node.target))
        step = integer(args[2]) if len(args) == 3 else 1
        if not step:
            raise Unknown(ast.unparse(node.iter))
        bounds = [self._integer(self.value(a)) for a in args[:2]]
        start, stop = bounds if len(bounds) == 2 else (WORD(first), bounds[0])
        self._release()
        builder, symbol = self.builder, "<" if step > 0 else ">"
        first_known, last_known = whole(start), whole(stop)
        rounds = 0  # none of which it is known
        if first_known is not None and last_known is not None:
            rounds = len(range(first_known, last_known, step))
        before = builder.block
        body, following, end = (self.code.append_basic_block(n) for n in ("body", "following", "end"))
        if rounds == 1:
            builder.branch(body)
            builder.position_at_end(body)
            self._bind(node.target.id, Value(types.int64, start))
            self._body(node.body, body, Loop(following, end))
            builder.position_at_end(following)
            builder.branch(end)
            builder.position_at_end(end)
            return
        test = body if rounds else self.code.append_basic_block("test")
        builder.branch(test)
        builder.position_at_end(test)
        counter = builder.phi(WORD)
        counter.add_incoming(start, before)
        if not rounds:
            builder.cbranch(builder.icmp_signed(symbol, counter, stop), body, end)
            builder.position_at_end(body)
        self._bind(node.target.id, Value(types.int64, counter))
        self._body(node.body, body, Loop(following, end))
        builder.position_at_end(following)
        after = builder.add(counter, WORD(step), flags=("nsw",))
        counter.add_incoming(after, following)
        if rounds:  # the first one is sure: what decides on the next ones stands at the end
            back = builder.cbranch(builder.icmp_signed(symbol, after, stop), body, end)
        else:
            back = builder.branch(test)
        is_sum = self._is_sum(rounds, node.body)
        if is_sum or _stays_rolled(rounds, _rounds_inside(node.body)):
            back.set_metadata("llvm.loop", self._rolled(2 ** min(rounds // 32, 2) if is_sum else 1))
        builder.position_at_end(end)

    def _is_sum(self, rounds: int, body: Sequence[ast.stmt]) -> bool:
        """Whether a loop adds terms in any order, of which LLVM takes several at once if it is not written out."""
        calls = (s.value.func for s in body if isinstance(s, ast.Assign) and isinstance(s.value, ast.Call))
        return SUMMED < rounds <= OUT_OF_REACH and any(
            isinstance(f, ast.Name) and f.id in self.module.any_order for f in calls
        )

    def _rolled(self, together: int) -> Any:
        """What tells LLVM not to write a loop out, and how many vectors to take; it names the loop by beginning
        with itself."""
        module = self.module.code
        said = [module.add_metadata(["llvm.loop.unroll.disable"])]
        if together > 1:
            said.append(module.add_metadata(["llvm.loop.interleave.count", ir.IntType(32)(together)]))
        which = ir.MDValue(module, said, name=str(len(module.metadata)))
        which.operands = (which, *said)
        return which

    def _body(self, statements: Sequence[ast.stmt], start: Any, loop: Loop) -> None:
        self.loops.append(loop)
        self.builder.position_at_end(start)
        self.block(statements)
        if not self.builder.block.is_terminated:
            self.builder.branch(loop.following)
        self.loops.pop()

    def _break(self, node: ast.Break) -> None:
        self.builder.branch(self.loops[-1].end)

    def _continue(self, node: ast.Continue) -> None:
        self.builder.branch(self.loops[-1].following)

    def _return(self, node: ast.Return) -> None:
        if node.value is None:
            raise Unknown("a return without a result")
        value = self.value(node.value)
        if value.type is None:
            raise Unknown(ast.unparse(node))
        if self.returns is None:
            self.returns = types.unliteral(value.type)
        kind = self.context.get_return_type(self.returns)
        self._give(value, self.returns, self.builder.bitcast(self.code.args[0], kind.as_pointer()))
        self._release()
        self.builder.branch(self.leaving)

    def _give(self, value: Value, kind: Any, place: Any) -> None:
        """Store a result. Parts of a tuple are stored one by one: to put together a value of many parts, LLVM takes the
        square of their number."""
        parts = getattr(kind, "types", ())
        if value.items and len(value.items) == len(parts):
            for k, (item, part) in enumerate(zip(value.items, parts, strict=True)):
                self._give(item, part, cgutils.gep_inbounds(self.builder, place, 0, k))
            return
        value = self._whole(value)
        code = self._cast(value, kind)
        self._hold(value, code)
        self.builder.store(self.context.get_return_value(self.builder, kind, code), place)

    def _raise(self, node: ast.Raise) -> None:
        """An error with numbers in it; references that are held then stay held, as in all of Numba."""
        match node.exc:
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if node.cause is None:
                pass
            case _:
                raise Unknown(ast.unparse(node))
        kind = self.module.names.get(name)
        given = [self.value(a) for a in args]
        if not isinstance(kind, type) or any(v.type is None for v in given):
            raise Unknown(ast.unparse(node))
        codes = [self._cast(v, types.unliteral(v.type)) for v in given]
        self.context.call_conv.return_dynamic_user_exc(
            self.builder,
            kind,
            tuple(codes),
            tuple(types.unliteral(v.type) for v in given),
            func_name=self.tree.name,
        )


def _stays_rolled(rounds: int, inside: float) -> bool:
    """Whether LLVM would write so much out that a compile takes seconds: rows of ten, each a loop over elements. Rounds
    that are not known here, it knows where it copies a product of matrices to its call."""
    if not rounds:
        return inside > 1
    if inside > 1:
        return rounds * inside > WRITTEN_OUT
    return IN_A_ROW < rounds <= OUT_OF_REACH


def _rounds_inside(body: Sequence[ast.stmt]) -> float:
    """How often the innermost statements run in one round of a loop; not known counts as many."""
    most = 1.0
    for statement in body:
        match statement:
            case ast.For(body=inner):
                rounds = rounds_of(statement)
                most = max(most, _rounds_inside(inner) * (math.inf if rounds is None else rounds))
            case ast.If(body=inner, orelse=others):
                most = max(most, _rounds_inside(inner), _rounds_inside(others))
            case ast.While():
                most = math.inf
    return most
