"""The recording of one run: every op computed with NumPy at once, and written down as a step.

In: calls of ops on traced values (`apply`), questions to them that Python code decides on (`truth`,
`number`, `array`: guards), writes in place (`assign`, `update`), the marks of loops and branches
(`structures`). Out: `linearize.py` makes a `Trace` of it.

A traced value has `data` (what NumPy computed), `atom` (its variable or constant here), `weak` (it is a
Python number) and `requires_grad` (it depends on something that is differentiated). Begin with
`Recording.apply`.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import LeakError, UnsupportedError
from tracegrad.ir.location import Location
from tracegrad.ir.trace import Atom, Const, Guard, Instr, Step, Var
from tracegrad.ir.types import WEAK, ArrayType, is_number, is_weak, promote, type_of
from tracegrad.ops.compare import not_equal
from tracegrad.ops.families import astype, cast
from tracegrad.ops.functions import FUNCTIONS
from tracegrad.ops.index import zeros
from tracegrad.ops.op import Op
from tracegrad.record.frames import user_location
from tracegrad.record.known import KnownLoops
from tracegrad.record.loops import Structures
from tracegrad.record.numbers import (
    COUNTING,
    OPERATORS,
    ORDERING,
    WHOLE,
    is_of_complex,
    python_kind,
    refuse_as_operator,
    taken_dtype,
)
from tracegrad.record.raising import Raising
from tracegrad.record.writes import Writes

LITERAL = 16  # constants of at most so many elements are written into the text
SMALL = 2**31  # Python ints that are arguments are smaller
INT64 = 2**63
_NUMBERS = (float, int, complex, np.inexact, np.integer, np.bool_)
_USUAL = {float, int, bool, complex, np.ndarray, np.float64, np.float32, np.int64, np.bool_, np.complex128}


class Recording(Raising, Writes):
    """Steps and guards of one run, in order.

    Parameters
    ----------
    make : callable
        `make(data, recorder=..., atom=..., weak=..., requires_grad=...)`: the class of traced values.
    level : int, of one that is over infinite
        Higher than that of every recorder whose values may be met inside; theirs become inputs.
    loops : KnownLoops, optional
        Those of earlier recordings of the same function.
    """

    def __init__(self, make: Callable[..., Any], level: int, loops: KnownLoops | None = None) -> None:
        Raising.__init__(self)
        Writes.__init__(self)
        self.make = make
        self.level: float = level
        self.steps: list[Step] = []
        self.inputs: list[Var] = []
        self.lifted: dict[int, tuple[Any, Any]] = {}
        self.hoisted: dict[Var, np.ndarray[Any, Any]] = {}
        self.structures = Structures(self, KnownLoops() if loops is None else loops)
        self.watched: dict[Var, Any] | None = None  # values that steps read, while somebody wants them
        self._bounds: dict[Atom, int] = {}  # of Python ints
        self._snapshots: dict[int, tuple[Any, np.ndarray[Any, Any], Atom]] = {}
        self._data: dict[tuple[str, tuple[int, ...], bytes], Var] = {}

    # --- values ----------------------------------------------------------------------------------

    def location(self) -> Location | None:
        return user_location()

    def wrap(self, data: Any, atom: Atom, weak: bool = False, active: bool = False) -> Any:
        """A traced value of this recording."""
        return self.make(data, recorder=self, atom=atom, weak=weak, requires_grad=active)

    def input(self, data: Any, name: str | None = None, weak: bool = False, active: bool = False) -> Any:
        """A new input of the trace."""
        if isinstance(data, np.ndarray):
            self.borrow(data, name)
        elif not weak:
            data = np.asarray(data)[()]
        variable = Var(type_of(data), name)
        self.inputs.append(variable)
        return self.wrap(data, variable, weak, active)

    def lift(self, outer: Any) -> Any:
        """A value of an outer recorder as an input of this trace; one of a run that is over is a constant."""
        if outer.recorder.level > self.level:
            if outer.requires_grad and outer.recorder.level < np.inf:
                raise self.leak(
                    "a value that a function inside left behind is used outside of its derivative"
                )
            return self.wrap(outer.value, self.constant(outer.value), is_weak(outer.value))
        found = self.lifted.get(id(outer))
        if found is None:
            traced = self.input(
                outer.value, _name_of(outer), bool(getattr(outer, "weak", False)), outer.requires_grad
            )
            found = self.lifted[id(outer)] = (outer, traced)
        return found[1]

    def traced(self, value: Any) -> Any:
        """The traced value, or None for anything that is not one; values of outer recorders are lifted."""
        recorder = getattr(value, "recorder", None)
        if recorder is self:
            if self.lost and value.atom in self.lost:
                self.find(value)
            return value
        return None if recorder is None else self.lift(value)

    def number_as_traced(self, value: Any) -> Any:
        """A traced value, a number or truth value made one, or None."""
        if isinstance(value, _NUMBERS) and (value.__class__ is not int or -INT64 <= value < INT64):
            return self.wrap(value, Const(value), is_weak(value))
        return self.traced(value)

    def constant(self, value: Any) -> Atom:
        """A constant; an array is copied, since its owner may write into it later, and a large one becomes
        an input.
        """
        if value.__class__ is int and not -INT64 <= value < INT64:
            return Const(float(value))
        if isinstance(value, enum.IntEnum):
            return Const(int(value))
        if not isinstance(value, np.ndarray):
            return Const(value)
        if not value.ndim:
            return Const(value[()])  # unlike a Python number, it has a dtype that counts
        found = self._snapshots.get(id(value))
        if found is None or not np.array_equal(found[1], value, equal_nan=value.dtype.kind in "fc"):
            copy = value.copy()
            atom = self._hoisted(copy) if copy.size > LITERAL else Const(copy)
            found = self._snapshots[id(value)] = (value, copy, atom)
        return found[2]

    def _hoisted(self, array: np.ndarray[Any, Any]) -> Var:
        """The input that an array becomes: one for equal arrays, as an iteration may make the same one each time."""
        key = array.dtype.str, array.shape, hashlib.sha256(array.tobytes()).digest()
        variable = self._data.get(key)
        if variable is None:
            variable = self._data[key] = Var(type_of(array), "data")
            self.inputs.append(variable)
            self.hoisted[variable] = array
        return variable

    def as_operand(self, value: Any) -> Any:
        """A value that meets a traced one, as NumPy takes it: what it makes arrays of, as arrays.

        Raises
        ------
        UnsupportedError : it computes by rules of its own, with labels or a mask
        """
        if value.__class__ in _USUAL or isinstance(value, (np.generic, *WEAK)):
            return value
        kind = type(value).__name__
        if hasattr(value, "to_numpy"):
            raise UnsupportedError(
                f"a traced value meets a {kind}, whose labels it does not have.",
                self.location(),
                "take its values, `.to_numpy()`",
            )
        if isinstance(value, (np.ma.MaskedArray, np.matrix)):
            raise UnsupportedError(
                f"a traced value meets a {kind}, which computes by rules of its own.",
                self.location(),
                "take its array, `np.asarray(...)`, and of a masked one the mask beside it",
            )
        if isinstance(value, np.ndarray):
            return value
        made = np.asarray(value)
        return made if is_number(made.dtype) else value

    def zeros(self, array: np.ndarray[Any, Any]) -> Any:
        """An array of zeros, made inside, as a step."""
        variable = Var(type_of(array))
        params = {"shape": array.shape, "dtype": array.dtype}
        self.steps.append(Instr(zeros, (), (variable,), params, self.location()))
        return self.wrap(array, variable)

    def as_array(self, data: Any) -> Any:
        """A nested sequence as one array, traced if there is a traced value in it."""
        if not isinstance(data, (list, tuple)):
            return data
        column = self._from_stacks(data)
        if column is not None:
            return column
        parts = [self.as_array(part) for part in data]
        if not any(self.traced(part) is not None for part in parts):
            return np.array(parts)
        if any((isinstance(p, np.ndarray) and p.dtype.kind == "O") or p is None for p in parts):
            raise self.leak("a traced value is put into an array of objects")
        dtype = promote(*(getattr(p, "dtype", None) or np.asarray(p).dtype for p in parts))
        return FUNCTIONS[np.stack](
            [np.asarray(p, dtype) if self.traced(p) is None else cast(p, dtype) for p in parts]
        )

    def _from_stacks(self, data: Any) -> Any:
        """A list that a loop appended to, as the loop's stack; None for any other."""
        if not data or not any(hasattr(part, "item_of") for part in (data[-1], *_first_of(data[-1]))):
            return None
        if isinstance(data[-1], (list, tuple)):
            width = len(data[-1])
            if any(not isinstance(row, (list, tuple)) or len(row) != width for row in data):
                return None
            columns = [self.as_array([row[j] for row in data]) for j in range(width)]
            if any(self.traced(c) is None or c.shape != columns[0].shape for c in columns):
                return None
            return FUNCTIONS[np.stack](columns, axis=1)
        column, last = data[-1].item_of
        before = data[: len(data) - column.shape[0]]
        run = data[len(before) :]
        if last != len(run) - 1 or any(
            getattr(part, "item_of", None) is None or part.item_of[0] is not column or part.item_of[1] != i
            for i, part in enumerate(run)
        ):
            return None
        return column if not before else FUNCTIONS[np.concatenate]([self.as_array(before), column])

    # --- ops -------------------------------------------------------------------------------------

    def apply(self, op: Op, args: Sequence[Any], params: Mapping[str, Any]) -> Any:
        """Compute `op(*args, **params)` and write it down."""
        values, atoms, weaks = [], [], []
        active, constant = False, True
        for arg in args:
            recorder = getattr(arg, "recorder", None)
            if recorder is not None:
                if recorder is not self:
                    arg = self.lift(arg)
                if self.lost and arg.atom in self.lost:
                    self.demand(arg)
                values.append(arg.value)
                atoms.append(arg.atom)
                weaks.append(arg.weak)
                active = active or arg.requires_grad
                constant = constant and isinstance(arg.atom, Const)
                if self.watched is not None:
                    self.watched[arg.atom] = arg.value
            else:
                if isinstance(arg, (list, tuple)):
                    arg = self.as_array(arg)
                    if getattr(arg, "recorder", None) is self:
                        values.append(arg.value)
                        atoms.append(arg.atom)
                        weaks.append(False)
                        active = active or arg.requires_grad
                        constant = constant and isinstance(arg.atom, Const)
                        continue
                arg = self.as_operand(arg)
                values.append(arg)
                atoms.append(self.constant(arg))
                weaks.append(is_weak(arg))
        if op.name in COUNTING and all(weaks) and any(v.__class__ is bool for v in values):
            try:
                return self.apply(op, [self._counted(arg) for arg in args], params)
            except TypeError:
                refuse_as_operator(op, values)
                raise
        if op.name in ORDERING and all(weaks) and any(v.__class__ is complex for v in values):
            refuse_as_operator(op, values)
        is_whole = op.name in WHOLE and all(v.__class__ is int for v in values)
        bound = self._bound(op, atoms, values) if is_whole else 0
        if bound >= INT64:
            return self._exact(op, args, values)
        try:
            if self.watchers and all(weaks):
                self.as_python(op.name, values)
            result = op.evaluate(*values, **params)
        except TypeError:
            refuse_as_operator(op, values)
            raise
        except Exception:
            self.refused(op, args, values, all(weaks))
            raise
        weak = op.family == "elementwise" and (all(weaks) or is_of_complex(op, values))
        if op.n_outputs != 1:
            several = self._several(op, atoms, params, result, active)
            if self.watchers:
                self.checked(op, args, several[0], False)
            return several
        if isinstance(result, np.ndarray) and not result.shape:
            result = result[()]
        self.check_number(op, result)
        if weak and isinstance(result, np.generic) and result.dtype.kind in "ficb":
            result = result.item()
        else:
            weak = False
        type = type_of(result)
        active = active and type.is_inexact and not op.passes_zero
        if constant and type.size <= LITERAL:
            traced = self.wrap(result, self.constant(result), weak, False)
            if op.view and type.shape:
                self.remember_view(traced, args, op, params)
            elif type.shape:
                self.made_inside(result)
            return traced
        if any(weaks) and not all(weaks):
            atoms = self._strengthened(op, atoms, weaks, params, type)
        variable = Var(type)
        if bound:
            self._bounds[variable] = bound
        self.steps.append(Instr(op, tuple(atoms), (variable,), params, self.location()))
        traced = self.wrap(result, variable, weak, active)
        if op.view and type.shape:
            self.remember_view(traced, args, op, params)
        if self.watchers:
            self.checked(op, args, traced, all(weaks))
        return traced

    def _counted(self, arg: Any) -> Any:
        """A truth value of Python's as the number it is; anything else as it is."""
        if arg.__class__ is bool:
            return int(arg)
        traced = self.traced(arg)
        if traced is None or traced.value.__class__ is not bool:
            return arg
        return self.wrap(int(traced.value), astype(traced, dtype=np.dtype(np.int64)).atom, True)

    def check_number(self, op: Op, result: Any) -> None:
        """Refuse what computes with objects, records, or numbers wider than those of compiled programs."""
        if isinstance(result, (np.ndarray, np.generic)) and not is_number(result.dtype):
            raise UnsupportedError(
                f"`{op.name}` of traced values would give {result.dtype}, which has no derivative and no program.",
                self.location(),
                "make the arrays of a number type of NumPy first, np.asarray(a, float)",
            )

    def _bound(self, op: Op, atoms: Sequence[Atom], values: Sequence[int]) -> int:
        """How large the result of Python ints may get, for any arguments that the same program serves."""
        left, right = (
            abs(v) if isinstance(a, Const) else max(self._bounds.get(a, SMALL), abs(v))
            for a, v in zip(atoms, values, strict=True)
        )
        if op.name in ("power", "left_shift", "right_shift"):
            if not isinstance(atoms[1], Const) or not 0 <= values[1] < 64:
                return INT64
            return left if op.name == "right_shift" else int(OPERATORS[op.name](left, values[1]))
        return left * right if op.name == "multiply" else left + right

    def _exact(self, op: Op, args: Sequence[Any], values: Sequence[int]) -> Any:
        """The result of Python ints by Python's own rules, where int64 could not hold it: their values are
        guarded.
        """
        for arg in args:
            traced = self.traced(arg)
            if traced is not None:
                self.number(traced, int)
        result = OPERATORS[op.name](*values)
        atom = self.constant(result)
        return self.wrap(atom.value if isinstance(atom, Const) else result, atom, True)

    def _several(
        self, op: Op, atoms: Sequence[Atom], params: Mapping[str, Any], results: Any, active: bool
    ) -> Any:
        stacked = op.family == "control"  # the length of what a loop stacks is not part of its type
        types = op.result_types(atoms, params) if stacked else map(type_of, results)
        variables = tuple(Var(t) for t in types)
        self.steps.append(Instr(op, tuple(atoms), variables, params, self.location()))
        active = active and not op.passes_zero
        return tuple(
            self.wrap(r, v, False, active and v.type.is_inexact)
            for r, v in zip(results, variables, strict=True)
        )

    def _strengthened(
        self, op: Op, atoms: list[Atom], weaks: Sequence[bool], params: Mapping[str, Any], type: ArrayType
    ) -> list[Atom]:
        """Python numbers that are variables, cast where NumPy let them take the dtype of the arrays beside
        them.
        """
        weak_variables = [a for a, weak in zip(atoms, weaks, strict=True) if weak and isinstance(a, Var)]
        if all(a.type.dtype == type.dtype for a in weak_variables):
            return atoms
        with contextlib.suppress(TypeError):  # NumPy has no loop for int64 beside uint64
            if op.result_types(atoms, params)[0].dtype == type.dtype:
                return atoms
        strong = [a.type.dtype for a, weak in zip(atoms, weaks, strict=True) if not weak]
        kinds = [python_kind(a) for a, weak in zip(atoms, weaks, strict=True) if weak]
        common = promote(*strong, *kinds)
        out: list[Atom] = []
        for k, (atom, weak) in enumerate(zip(atoms, weaks, strict=True)):
            dtype = taken_dtype(op, atoms, weaks, k) if op.name == "ldexp" else common
            if weak and isinstance(atom, Var) and atom.type.dtype != dtype:
                fresh = Var(ArrayType(atom.type.shape, dtype))
                self.steps.append(Instr(astype, (atom,), (fresh,), {"dtype": dtype}, self.location()))
                atom = fresh
            out.append(atom)
        return out

    # --- guards: what Python code decides on -----------------------------------------------------

    def condition(self, traced: Any) -> Atom:
        """The atom of a value's truth.

        Raises
        ------
        ValueError : NumPy's, for an array that has not just one item
        """
        bool(traced.value)
        if traced.atom.type.dtype.kind != "b":
            traced = not_equal(traced, 0)
        atom: Atom = traced.reshape(()).atom if traced.atom.type.shape else traced.atom
        return atom

    def truth(self, traced: Any) -> bool:
        """`bool(x)`: a guard on the outcome."""
        outcome = bool(traced.value)
        if isinstance(traced.atom, Var):
            self.steps.append(Guard(self.condition(traced), outcome, self.location()))
        return outcome

    def number(self, traced: Any, kind: Any) -> Any:
        """`int(x)`, `float(x)`, use as an index: a guard on the value. `x.item()` stays traced.

        Raises
        ------
        LeakError : `float` of a value with a derivative, asked for by code that is not recorded
        """
        if kind == "item":
            value = traced.value.item() if hasattr(traced.value, "item") else traced.value
            traced = cast(traced, np.asarray(value).dtype)  # Python has one width of each kind
            atom = traced.atom
            if traced.atom.type.shape:
                atom = traced.reshape(()).atom
            return self.wrap(value, atom, True, traced.requires_grad)
        number: Any = self.calling(operator.index if kind == "index" else kind, traced.value)
        if isinstance(traced.atom, Const):
            return number
        if kind in (float, complex):
            if traced.requires_grad:
                raise self.leak(f"`{kind.__name__}()` of a traced value")
            self._guard(traced, number)
        elif traced.atom.type.dtype.kind in "iub":
            self._guard(traced, number)
        else:
            self._guard(astype(traced, dtype=np.dtype(np.int64)), number)
        return number

    def text(self, traced: Any) -> Any:
        """The plain value of one that becomes text or the key of a dict: a guard on it."""
        if isinstance(traced.atom, Var):
            plain = traced.value
            if traced.atom.type.shape:
                self.not_repeatable("makes text of an array, which looks as np.set_printoptions says")
            elif plain == 0 and traced.atom.type.is_inexact:  # 0.0 and -0.0 are equal, and look different
                sign = FUNCTIONS[np.copysign](1.0, traced)
                self._guard(sign, sign.value)
            self._guard(traced, plain.copy() if isinstance(plain, np.ndarray) else plain)
        return traced.value

    def _guard(self, traced: Any, expected: Any) -> None:
        self.steps.append(Guard(traced.atom, expected, self.location()))

    def array(self, traced: Any) -> np.ndarray[Any, Any]:
        """The plain array of a value without derivative, with a guard on its contents.

        Raises
        ------
        LeakError : the value has a derivative, which a plain array would drop
        """
        if traced.requires_grad:
            raise self.leak("a traced value became a plain array")
        value = np.array(traced.value)
        if isinstance(traced.atom, Var):
            self._guard(traced, value.copy())
        return self.lend(traced, value)

    def leak(self, what: str) -> LeakError:
        """The error for a value that reaches a place where its derivative would be lost."""
        return LeakError(
            f"{what}; its derivative would be lost there.",
            self.location(),
            "use a NumPy function, store it into an array made inside the function, or take it out of the derivative "
            "with tracegrad.stop_gradient(x)",
        )


def _first_of(value: Any) -> tuple[Any, ...]:
    return tuple(value[:1]) if isinstance(value, (list, tuple)) else ()


def _name_of(outer: Any) -> str | None:
    name: str | None = getattr(getattr(outer, "atom", None), "name", None)
    return name
