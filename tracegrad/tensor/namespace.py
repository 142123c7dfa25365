"""What the marks in a clone call: reads from outside, calls, stores, and the edges of loops and branches.

One `Marks` object serves one running clone; all of a capture share a `Session`. A call of a user's function
runs that function's own marked clone; a stand-in answers for what would lose the trace; anything known to
have no memory is called as it is. What could make the next call differ in a way no guard can see makes the
run *not repeatable*: the function then runs on the tape. Begin with `Marks.call`.
"""

from __future__ import annotations

import functools
import itertools
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tracegrad.config import config
from tracegrad.errors import DepthError, LeakError, UnsupportedError
from tracegrad.ir.location import Location
from tracegrad.record.marks import Marked, clone, is_marked, mark
from tracegrad.record.raising import catches
from tracegrad.record.recording import Recording
from tracegrad.record.tape import Tape
from tracegrad.tensor.callables import (
    CALL_BACK,
    COMPARES,
    FUNCTIONS,
    ITERATE,
    MAKES_ARRAYS,
    MOVES,
    MUTATORS,
    PURE,
    handed_on_from,
    has_own_making,
    holds_traced,
    is_dispatching,
    is_empty,
    is_in,
    is_of_library,
    is_of_numba,
    is_of_package,
    is_plain_class,
    is_pure,
    is_users,
    is_vectorized_by_numba,
    is_written_in_python,
    may_clone,
    module_of,
    our_method,
    our_op,
    written_by,
)
from tracegrad.tensor.captured import solver_of
from tracegrad.tensor.draws import Draws
from tracegrad.tensor.edges import Edges
from tracegrad.tensor.folds import FOLDS, fold_of
from tracegrad.tensor.item_loops import item_loop_of
from tracegrad.tensor.iterators import Iterators
from tracegrad.tensor.labelled import Labelled
from tracegrad.tensor.lookups import GlobalsView, Lookups, Seeing, Seen, UfuncView
from tracegrad.tensor.numpy_protocol import spelling, unsupported
from tracegrad.tensor.outside import CONTAINERS, Reads, Unread
from tracegrad.tensor.reads import BY_IDENTITY, BY_VALUE, MISSING
from tracegrad.tensor.sequences import LATER, Sequences
from tracegrad.tensor.showing import show, shows
from tracegrad.tensor.special_methods import BY_NAME, WITHOUT_PARTS, Operators
from tracegrad.tensor.standins import StandIns, is_traced
from tracegrad.tensor.stores import Stores
from tracegrad.tensor.traced import strong

_CALL = "__call__"


class Session:
    """What the clones of one capture share.

    Parameters
    ----------
    recording : Recording
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.straight = isinstance(recording, Tape)
        self.reads = Unread(recording) if self.straight else Reads(recording)
        self.stand_ins = StandIns(recording)
        self.draws = Draws(recording, self.reads, self.stand_ins.array)
        self.iterators = Iterators(recording.structures)
        self.sequences = Sequences(recording)
        self.depth = 0
        self.refusals: list[str] = []
        self.serial = itertools.count()

    def call(self, function: Callable[..., Any], args: Any, keywords: Mapping[str, Any]) -> Any:
        """Call the function that is captured, whatever kind of callable it is."""
        self.reads.track(function, function, ())
        written = getattr(function, "__func__", function)
        self.reads.code(written, written, ())
        if isinstance(function, types.MethodType):
            self.reads.track(function.__self__, function.__self__, ())
        return Marks(self, _no_function, None).call(function, *args, **keywords)

    def run(self, function: Any, args: Any, keywords: Mapping[str, Any]) -> Any:
        """Run the marked clone of a user's function; the function itself where there is no source to mark."""
        marked = mark(function.__code__, self.straight)
        self.reads.files.add(function.__code__.co_filename)
        if self.depth >= config.max_recursion:
            raise DepthError(
                f"`{function.__qualname__}` calls itself more than {config.max_recursion} deep while it is captured.",
                self.recording.location(),
                "raise tracegrad.config.max_recursion, or write it as a loop",
            )
        structures = self.recording.structures
        depth = len(structures.frames)
        watches = catches(function.__code__)
        self.depth += 1
        self.recording.watchers += watches
        try:
            if marked is None:
                marks = Marks(self, function, None)
                given = {k: marks.unseen(v) for k, v in keywords.items()}
                return self._without_source(function, marks)(*map(marks.unseen, args), **given)
            if marked.writes_outside:
                code = function.__code__
                where = Location(code.co_filename, marked.writes_outside, code.co_name)
                self.recording.not_repeatable("writes a global or nonlocal name", where)
            self.refusals.extend(r for r in marked.refusals if r not in self.refusals)
            for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
                if is_empty(cell):
                    self.reads.absent(cell, (("free", name),))
            return clone(self._with_read_defaults(function), marked, Marks(self, function, marked))(
                *args, **keywords
            )
        except BaseException:
            structures.unwind(depth)
            raise
        finally:
            self.depth -= 1
            self.recording.watchers -= watches

    def unwinding(self, function: Any, args: Any, keywords: Mapping[str, Any]) -> Any:
        """Call a function that has marks already; the structures an exception leaves open are closed."""
        depth = len(self.recording.structures.frames)
        watches = catches(function.__code__)
        self.recording.watchers += watches
        try:
            return function(*args, **keywords)
        except BaseException:
            self.recording.structures.unwind(depth)
            raise
        finally:
            self.recording.watchers -= watches

    def _with_read_defaults(self, function: Any) -> Any:
        """The function with the defaults of its parameters read: an array among them is an input."""
        defaults, keyword_defaults = function.__defaults__, function.__kwdefaults__
        if not defaults and not keyword_defaults:
            return function
        read = self.reads.read
        made = types.FunctionType(
            function.__code__, function.__globals__, function.__name__, defaults, function.__closure__
        )
        made.__qualname__ = function.__qualname__
        made.__module__ = function.__module__
        if defaults:
            made.__defaults__ = tuple(
                read(v, function, (("attr", "__defaults__"), ("item", i))) for i, v in enumerate(defaults)
            )
        if keyword_defaults:
            made.__kwdefaults__ = {
                k: read(v, function, (("attr", "__kwdefaults__"), ("item", k)))
                for k, v in keyword_defaults.items()
            }
        return made

    def _without_source(self, function: Any, marks: Marks) -> Any:
        """The function seeing its globals and free variables through reads (DESIGN: no marks, straight paths)."""
        cells = []
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            try:
                cells.append(types.CellType(marks.unseen(marks.free(name, cell.cell_contents))))
            except ValueError:  # an empty cell
                cells.append(cell)
        view = GlobalsView(marks)
        defaults = None if function.__defaults__ is None else tuple(map(marks.unseen, function.__defaults__))
        made = types.FunctionType(function.__code__, view, function.__name__, defaults, tuple(cells))
        made.__kwdefaults__ = {k: marks.unseen(v) for k, v in (function.__kwdefaults__ or {}).items()}
        return made


def _no_function() -> None:
    """Stands for the caller of the captured function."""


class Marks(Lookups, Operators, Edges, Stores, Labelled):
    """The `__tg__` of one clone; see `record/marks.py` for where each method is called."""

    slice = staticmethod(slice)

    def __init__(self, session: Session, function: Any, marked: Marked | None) -> None:
        self.session = session
        self.recording = session.recording
        self.reads = session.reads
        self.structures = session.recording.structures
        self.function = function
        scope = function.__globals__
        self.globals: dict[str, Any] = scope.names if isinstance(scope, GlobalsView) else scope
        self.marked = marked
        self.number = next(session.serial) * 100_000  # keys of structures are unique to one running clone

    # --- calls -----------------------------------------------------------------------------------

    def call(self, function: Any, /, *args: Any, **keywords: Any) -> Any:
        """A call the user's code makes."""
        for argument in args:
            self.session.iterators.used(argument)
        return self.session.iterators.made(self._call(function, args, keywords))

    def _call(self, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Who answers: a function of ours, a clone, or the function itself.

        Clones are run here and in no function further down: recursion of the user's has only so many frames.
        """
        args = tuple(a.args[0] if type(a) is Seeing else a for a in args)
        keywords = {k: v.args[0] if type(v) is Seeing else v for k, v in keywords.items()}
        labelled = self.labelled(function, args, keywords)
        if labelled is not MISSING:
            return labelled
        traced = holds_traced(args) or holds_traced(keywords.values())
        by_items = item_loop_of(function, args, keywords, self.attr) if traced else None
        if by_items is not None:
            return by_items(self.session.run)
        solver = solver_of(function)
        if solver is not None:
            # Whatever it is handed it asks again at each call: the guards are that these are the same objects.
            named = {k: self.reads.contents(v, "same") for k, v in keywords.items()}
            given = (self.reads.contents(a, "same") for a in args)
            return self.recording.calling(solver, *given, **named)
        ours = our_op(function, traced)
        if ours is not None:
            takes_functions = getattr(ours, "takes_functions", False)
            args = tuple(self._given(x, takes_functions) for x in args)
            keywords = {k: self._given(v, takes_functions) for k, v in keywords.items()}
            return strong(ours(*args, **keywords))
        method = our_method(function) if traced else None
        if method is not None:
            owner, ours = method
            args = tuple(map(self.whole, args))
            return strong(ours(Seen(self, owner), *args, **keywords))
        if shows(function):
            self.structures.showing()
            return show(function, map(self.whole, args), keywords, self.recording.location())
        drawn = self.session.draws.call(function, args, keywords)
        if drawn is not MISSING:
            return drawn
        if isinstance(function, types.FunctionType):
            if is_marked(function):
                return self.session.unwinding(function, args, keywords)
            answered = is_of_library(function) and self.session.stand_ins.find(function) is not None
            if may_clone(function) and not answered and (traced or not is_of_package(function)):
                self.reads.track(function, function, ())
                if is_of_package(function):
                    return self._of_package(function, function, args, keywords)
                return self.session.run(function, args, keywords)
        elif isinstance(function, types.MethodType):
            of_users = isinstance(function.__func__, types.FunctionType) and may_clone(function.__func__)
            if of_users and (traced or not is_of_package(function.__func__)):
                return self.session.run(function.__func__, (function.__self__, *args), keywords)
        elif isinstance(function, type):
            self.members_of_making(function)
            if is_plain_class(function):
                made: Any = object.__new__(function)
                self.session.run(
                    vars(type(made)).get("__init__") or type(made).__init__, (made, *args), keywords
                )
                return made
        elif isinstance(function, functools._lru_cache_wrapper):
            answer = MISSING if traced else self.session.draws.remembered(function, args, keywords)
            if answer is not MISSING:
                return answer
            # Its memory would hand traced values of this run to the next.
            return self.call(self.attr(function, "__wrapped__"), *args, **keywords)
        elif traced and is_of_numba(function):
            return self.call(self.attr(function, "py_func"), *args, **keywords)
        elif traced and is_vectorized_by_numba(function):
            own = self.attr(self.attr(function, "_dispatcher"), "py_func")
            return self.call(np.vectorize(own), *args, **keywords)
        elif isinstance(function, functools.partial):
            parts = self.reads.contents(self.attr(function, "args"))
            named = self.reads.contents(self.attr(function, "keywords"))
            return self.call(self.attr(function, "func"), *parts, *args, **{**named, **keywords})
        else:
            own_call = self.own_method(function, _CALL)
            if own_call is not None:
                return own_call(function, *args, **keywords)
        answer = self._of_iterables(function, args, keywords)
        return self._as_it_is(function, args, keywords, traced) if answer is MISSING else answer

    def _of_iterables(self, function: Any, args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """What asks, folds, runs over or gets items of what is recorded; MISSING for anything else."""
        if is_dispatching(function):
            return self._dispatched(function, args, keywords)
        if is_in(function, BY_NAME):
            answer = self.asked_by_name(function, args, keywords)
            if answer is not MISSING:
                return answer
        if is_in(function, FOLDS) and not keywords:
            folded = fold_of(function, tuple(map(self.whole, args)), self.session.run)
            if folded is not None:
                return folded
        if (
            is_in(function, LATER)
            and args
            and LATER[function].issuperset(keywords)
            and all(map(self._is_plain_iterable, args))
        ):
            return self.session.sequences.later(function, tuple(map(self.whole, args)), keywords)
        if isinstance(function, types.BuiltinFunctionType) and function.__name__ == "get" and not keywords:
            return self.got(function.__self__, args)
        return MISSING

    def _as_it_is(self, function: Any, args: tuple[Any, ...], keywords: dict[str, Any], traced: bool) -> Any:
        """A stand-in's answer, or that of the function itself, which is given what it may read."""
        function = self._of_contents(function)
        objects = self._use_of_objects(function)
        if is_in(function, ITERATE):
            args = tuple(self._run_over(function, place, a) for place, a in enumerate(args))
        elif function is reversed:
            args = tuple(map(self.whole, args))
        given, named = args, keywords
        as_they_are = handed_on_from(function)
        args = tuple(
            a if as_they_are is not None and place >= as_they_are else self.reads.contents(a, objects)
            for place, a in enumerate(args)
        )
        if keywords:
            keywords = {k: self.reads.contents(v, objects) for k, v in keywords.items()}
        calls_back = is_in(function, CALL_BACK)
        view = self.callable_view if calls_back else self._users_view
        if calls_back or module_of(function).split(".")[0] in ("numpy", "scipy"):
            args, given = tuple(map(view, args)), tuple(map(view, given))
            keywords, named = ({k: view(v) for k, v in some.items()} for some in (keywords, named))
        stand_in = self.session.stand_ins.find(function)
        if stand_in is not None:
            return stand_in(*args, **keywords)
        if traced and is_written_in_python(function):
            return self._of_package(function, function.__wrapped__, args, keywords)
        if not self._is_known(function, args, keywords):  # it may write what it is given
            args, keywords = given, named
        with self.recording.lending(function):
            result = function(*args, **keywords)
        if (
            type(result) is np.ndarray
            and not is_traced(result)
            and module_of(function).startswith(MAKES_ARRAYS)
        ):
            return self.session.stand_ins.fresh(result)
        return result

    def _given(self, value: Any, takes_functions: bool) -> Any:
        """An argument of a function of ours, which makes an array of it, or calls it."""
        called = takes_functions and (callable(value) or isinstance(value, CONTAINERS))
        return self._users_views(self.reads.contents(value, "parts" if called else "whole"))

    def _run_over(self, function: Any, place: int, value: Any) -> Any:
        """An argument that a function of Python's runs over; the one it calls stays."""
        called = is_in(function, CALL_BACK) and (place == 0) is (function is not itertools.accumulate)
        return value if called or isinstance(value, CONTAINERS) else self.iterate(value)

    def _is_plain_iterable(self, value: Any) -> bool:
        return type(value) in WITHOUT_PARTS or self.own_method(value, "__iter__") is None

    def _use_of_objects(self, function: Any) -> str:
        """What a callable without marks does with the objects it is given; see `Reads.contents`."""
        owner = getattr(function, "__self__", None)
        if is_in(function, MOVES) or (
            isinstance(owner, CONTAINERS)
            and function.__name__ in MUTATORS
            and self.reads.path_of(owner) is None
        ):
            return "parts"
        return "same" if is_in(function, COMPARES) or isinstance(owner, (*CONTAINERS, set)) else "whole"

    def _dispatched(self, function: Any, args: Any, keywords: Mapping[str, Any]) -> Any:
        """A call of a `singledispatch` function: what it chooses by the class of the first argument."""
        self.recording.not_repeatable(
            f"calls `{function.__name__}`, which chooses by the class of its argument"
        )
        return self.call(function.dispatch(self.session.stand_ins.type_of(args[0])), *args, **keywords)

    def _of_package(self, function: Any, code: Any, args: Any, keywords: Mapping[str, Any]) -> Any:
        """A function of NumPy's or SciPy's that has no op, by what it does with those that have one.

        Many leave them for compiled code. Where it fails, the error is its own if plain arrays make it fail as well.
        """
        try:
            return self.session.run(code, args, keywords)
        except (TypeError, ValueError, AttributeError, LookupError, LeakError, UnsupportedError) as error:
            plain = self.session.stand_ins.values
            function(*plain(args), **dict(zip(keywords, plain(tuple(keywords.values())), strict=True)))
            raise unsupported(spelling(function)) from error

    def _of_contents(self, function: Any) -> Any:
        """A method of a container from outside, `table.items`, as that of its contents; one that changes it stays."""
        owner = getattr(function, "__self__", None)
        if (
            owner is None
            or type(function) is not types.BuiltinFunctionType
            or self.reads.path_of(owner) is None
        ):
            return function
        name = function.__name__
        if name in MUTATORS or isinstance(owner, types.ModuleType):
            return function
        contents = self.whole(owner)
        return function if contents is owner else getattr(contents, name)

    def alternatives(self) -> None:
        """A class pattern of numbers among alternatives, `float() | int()`: it would not know a traced value."""
        raise UnsupportedError(
            "`match` asks for the class of a number among alternatives.",
            self.recording.location(),
            "write one `case` for each class, or `if isinstance(...)`",
        )

    def callable_view(self, value: Any) -> Any:
        """A callable that calls through the marks, for code without marks: `map`, `sorted`, what has no source."""
        if isinstance(value, np.ufunc):
            return UfuncView(value, self)
        if isinstance(value, FUNCTIONS) or (
            isinstance(value, type) and self.session.stand_ins.find(value) is not None
        ):
            return Seeing(self.call, value)
        return value

    def _users_view(self, value: Any) -> Any:
        """A function of the user's that calls through the marks, for NumPy; what is NumPy's own stays."""
        return self.callable_view(value) if is_users(value) else value

    def _users_views(self, value: Any) -> Any:
        """The same for an argument that may be a list of functions."""
        return [self._users_view(v) for v in value] if type(value) is list else self._users_view(value)

    def unseen(self, value: Any) -> Any:
        """A value that code without marks gets from outside: a container is read, a callable called with marks.

        What such code reads of any other object is not seen.
        """
        value = self.whole(value)
        if isinstance(value, (types.ModuleType, type, *FUNCTIONS, np.ufunc)) or type(value) in WITHOUT_PARTS:
            return self.callable_view(value)
        if type(value) not in CONTAINERS and self.reads.path_of(value) is not None:
            self.recording.not_repeatable(
                f"`{self.function.__name__}` has no source to mark, and reads a {type(value).__name__} from outside"
            )
        return value

    def _is_known(self, function: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> bool:
        """Whether calling `function` again does the same; the run is not repeatable if not."""
        module = module_of(function)
        owner = getattr(function, "__self__", None)
        if is_traced(owner):
            return True
        if type(function).__module__.startswith("tracegrad") or module.startswith("tracegrad"):
            self.reads.pin(function)  # what an object of ours computes, another of its class does not
            self.reads.pin(owner)
            return True
        name = getattr(function, "__name__", type(function).__name__)
        if owner is not None and not isinstance(owner, types.ModuleType):
            if name in MUTATORS:
                what = f"`{name}` changes a {type(owner).__name__} that outlives the"
                if self.reads.outlives(owner):
                    self.recording.not_repeatable(f"{what} call")
                    return False
                if name == "append" and type(owner) is list:
                    self.structures.appending(owner, f"{what} block")
                else:
                    self.structures.changing(owner, f"{what} block")
                return True
            written = isinstance(function, types.MethodType) and self.reads.path_of(owner) is not None
            if isinstance(owner, (list, tuple, dict, set, frozenset)) and not written:
                return True  # a method in Python, of a class made of these, looks at more than what was read
            if isinstance(owner, (np.ndarray, type, *BY_VALUE)):
                return True
            if isinstance(owner, np.ufunc) and name != "at" and is_pure(owner, "numpy"):
                return True
        elif isinstance(function, type):
            raising = function is np.errstate and not {"raise", "call"}.isdisjoint(keywords.values())
            if not has_own_making(function) and not raising:
                return True
        elif module.split(".")[0] in PURE and is_pure(function, module):
            held = function if owner is None else owner
            outside = self.reads.path_of(held) is not None and not isinstance(held, BY_IDENTITY)
            if not outside and not self.reads.outlives(written_by(function, args, keywords)):
                return True
        self.recording.not_repeatable(f"calls `{name}`, which may answer differently each time")
        return False
