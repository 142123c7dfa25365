"""The marked clone of a function, every mark doing what Python does, is the function: same values, same errors on
the same lines, same order of evaluation. And what the certificate says of a structure.
"""

# ruff: noqa: B007, C416, C420, F821, F841

from __future__ import annotations

import linecache
import random
import sys
import traceback

import pytest

import tracegrad as tg
from tests.record import control_flow, random_control
from tests.record.plain_marks import plain_clone
from tracegrad.record.marks import mark


def outcome(function, name, *args):
    """What a call does: its value or its error, the lines the error passed in this function, and the log."""
    log = []
    try:
        result = ("value", repr(function(log, *args)))
    except Exception as error:
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.name == name]
        result = ("error", type(error), lines, error.args if type(error) is not UnboundLocalError else ())
    return result, log


@pytest.mark.parametrize("function", control_flow.FUNCTIONS, ids=lambda f: f.__name__)
def test_the_clone_of_a_handwritten_function_does_the_same(function):
    clone = plain_clone(function)
    for n in range(-2, 8):
        expected = outcome(function, function.__name__, n)
        assert outcome(clone, function.__name__, n) == expected, n


@pytest.mark.parametrize("seed", range(80))
def test_the_clone_of_a_random_program_does_the_same(seed):
    draws = random.Random(seed)
    text = random_control.write(draws, draws.choice((8, 16, 24)))
    function = compiled(text, f"<random control {seed}>")
    if function is None:
        return  # two rules of Python's that the writer does not know: names in patterns, `:=` and `for` targets
    clone = plain_clone(function)
    for n in (-1, 0, 1, 2, 5):
        assert outcome(clone, "f", n) == outcome(function, "f", n), text


def compiled(text, file):
    """The function `f` of a program, its source where `inspect` finds it; None where Python refuses the text."""
    try:
        code = compile(text, file, "exec")
    except SyntaxError:
        return None
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    scope = {"seen": control_flow.seen, "contextlib": control_flow.contextlib}
    exec(code, scope)
    return scope["f"]


def test_most_random_programs_are_programs_and_have_certificates():
    made, forms = 0, 0
    for seed in range(40):
        function = compiled(random_control.write(random.Random(seed), 16), f"<random count {seed}>")
        made += function is not None
        forms += len(mark(function.__code__).structures) if function else 0
    assert made > 32 and forms > 10 * made


# --- what the certificate says


def forms(function):
    marked = mark(function.__code__)
    return [*marked.structures.values()]


def form(function, kind):
    (found,) = [f for f in forms(function) if f.kind == kind]
    return found


def reasons(function):
    return mark(function.__code__).refusals


def test_names_are_what_may_be_read_later():
    def function(x, n):
        kept = dead = 0.0
        for i in range(n):
            square = x * x  # dead at the next step
            kept = kept + square
            last = square
            dead = i
        return kept + last

    found = form(function, "for")
    assert found.names == ("kept", "last")
    assert found.after == {"kept", "last"}
    assert (found.line - function.__code__.co_firstlineno, found.text) == (2, "for i in range(n)")


def test_a_carried_name_need_not_be_read_after_the_loop():
    def function(x):
        a, b = x, 1.0
        while b < 9:
            a, b = b, a + b
        return a

    found = form(function, "while")
    assert set(found.names) == {"a", "b"} and found.after == {"a"} and found.text == "b < 9"


def test_the_target_of_a_for_is_a_name_where_it_is_read_later():
    def function(n):
        for i in range(n):
            pass
        for j in range(n):
            k = j
        return i + k

    first, second = forms(function)
    assert first.names == ("i",) and second.names == ("k",)


def test_what_a_handler_or_a_nested_function_reads_is_alive():
    def function(x):
        try:
            if x > 0:
                caught = x
            y = 1 / x
        except ZeroDivisionError:
            return caught
        if y > 1:
            shared = y
            lost = y
        return lambda: shared

    found = {f.line - function.__code__.co_firstlineno: f.names for f in forms(function)}
    assert found[2] == ("caught",) and found[7] == ("shared",)


def test_flags_of_early_exits():
    def function(xs):
        for x in xs:
            if x > 1:
                break
            if x < 0:
                return x
        return 0.0

    loop = form(function, "for")
    assert loop.stop is not None and loop.stop in loop.names
    tests = [f.text for f in forms(function) if f.kind == "if"]
    assert tests == ["x > 1", "x < 0", "left by `return`"]
    assert not reasons(function)


def test_how_objects_are_written():
    def function(a, b, c, d, e, f, g, h, s):
        for i in range(3):
            a[i] = 1.0
            a[i] += 2.0
            b.rate = i
            c.append(i)
            d += 1
            e.sort()
            del f[i]
            g[0].append(i)
            np.add(a, 1.0, out=h)
            seen(s, i)
            FACTORS[i] = 2
        return d

    assert form(function, "for").written == {
        "a": {"item"},
        "b": {"attr"},
        "c": {"append"},
        "d": {"update"},
        "e": {"method"},
        "f": {"item"},
        "g": {"method", "deep"},
        "h": {"item"},
    }


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("try: s += x\n        except ValueError: s = 0", "line 4: `try` inside the loop"),
        ("with open(s) as f: s = f", "line 4: `with` inside the loop"),
        ("import math", "line 4: `import` inside the loop"),
        ("class A: pass", "line 4: `class` inside the loop"),
        ("match x:\n            case 1: break", "line 4: `match` inside the loop"),
        ("if x:\n            try: return s\n            finally: s = 1", "line 5: `try` inside the loop"),
        ("OUTER = x", "line 4: stores `OUTER`, which is not local to the function"),
    ],
)
def test_reasons_name_the_line_and_what_it_does(statement, reason):
    text = f"def f(xs, s):\n    global OUTER\n    for x in xs:\n        {statement}\n    return s\n"
    function = compiled(text, f"<reason {statement}>")
    assert not forms(function) or "if" in {f.kind for f in forms(function)}
    assert reasons(function)[0] == reason


def test_an_error_in_an_arm_costs_a_loop_nothing():
    def function(xs):
        s = 0.0
        for x in xs:
            if x < 0:
                raise ValueError(x)
            assert x < 9
            s += x
        return s

    assert {f.kind for f in forms(function)} == {"for", "if"} and not reasons(function)


def test_a_try_costs_only_what_contains_it():
    def function(xs):
        s = 0.0
        for x in xs:
            while s < x:
                s += 1
            try:
                s = s / x
            except ZeroDivisionError:
                s = s if s > 1 else 1
        if s > 2:
            return s
        return -s

    assert [f.kind for f in forms(function)] == ["while", "choice", "if"]
    assert len(reasons(function)) == 1


def test_choices_say_whether_only_their_truth_is_asked():
    def function(a, b, c):
        if a and not (b or c):
            return a and b
        return a < b < c

    found = {f.text: f.truth for f in forms(function) if f.kind == "choice"}
    assert found == {"a and (not (b or c))": True, "b or c": True, "a and b": False, "a < b < c": False}


def test_nested_functions_have_structures_of_their_own_and_generators_none():
    def function(xs):
        def inner(x):
            total = 0
            while x > 0:
                total = total + x
                x = x - 1
            return total

        def steps():
            for x in xs:
                yield x if x > 0 else -x

        return inner(steps), (lambda x: x and 1)(2)

    assert [f.kind for f in forms(function)] == ["while", "choice"]
    assert all("generator" in reason for reason in reasons(function)) and len(reasons(function)) == 2


def test_comprehensions_are_loops_where_a_function_can_stand():
    def moved(xs, a):
        y = [a * x for x in xs if x > 0]
        return y, any(x > a for x in xs), sum(x for x in y), max(x for x in y)

    def stays(xs, a):
        shadowed = [last := x for x in xs]
        one = (lambda: [x * a for x in xs])()
        two = [sorted(locals()) for x in xs]
        return shadowed, one, two, {x for x in xs}, {x: a for x in xs}, (x for x in xs)

    assert [f.text for f in forms(moved)] == [
        "for x in xs",
        "x > 0",
        "for x in xs",
        "x > a",
        "left by `return`",
        "for x in y",
        "for x in y",
    ]
    assert forms(moved)[0].written == {"__tg_made": {"append"}}
    assert not forms(stays)


def test_another_sum_gets_the_generator():
    text = "def f(log, n):\n    return sum(x for x in range(n)), any(x for x in range(n)), max(x for x in range(9))\n"
    function = compiled(text, "<another sum>")
    function.__globals__.update(sum=lambda g: type(g).__name__, max=lambda g: next(g))
    assert plain_clone(function)([], 3) == function([], 3) == ("generator", True, 0)


def test_tracebacks_call_comprehensions_what_python_calls_them():
    def function(log, n):
        return [1 / (n - i) for i in range(3)], sum(1 / (n - i - 3) for i in range(3))

    for n in (1, 4):
        names = []
        for made in (function, plain_clone(function)):
            with pytest.raises(ZeroDivisionError) as found:
                made([], n)
            frames = traceback.extract_tb(found.value.__traceback__)[1:]
            names.append([(f.name, f.lineno) for f in frames if f.filename == __file__])
        assert names[0] == names[1]


def test_what_makes_a_function_write_outside():
    def shares():
        count = 0

        def step():
            nonlocal count
            count += 1

        step()
        return count

    count = 0

    def writes():
        nonlocal count
        count += 1

    def suspended():
        count = 0

        def steps():
            nonlocal count
            count += 1
            yield count

        return list(steps())

    def method():
        count = 0

        class Step:
            def __call__(self):
                nonlocal count
                count += 1

        return Step()()

    first = [mark(f.__code__).writes_outside for f in (shares, writes, suspended, method)]
    assert first[0] == 0 and all(first[1:])


def test_functions_are_found_however_they_are_made():
    def decorated(function):
        return function

    @decorated
    @decorated
    def below_decorators(x):
        return x if x > 0 else -x

    two = [lambda x: x and 1, lambda x: x or 2]

    class Model:
        def method(self, x):
            return 0 < x < 1

    for function in (below_decorators, *two, Model.method):
        assert [f.kind for f in forms(function)] == ["choice"]
    cell = compiled("def f(log, n):\n    return n and 1\n", "<ipython-input-1>")
    assert [f.kind for f in forms(cell)] == ["choice"]


def test_a_long_chain_of_exits_stays_a_path_and_compiles():
    lines = "".join(f"    if n == {i}:\n        return {i * i}\n" for i in range(400))
    function = compiled(f"def f(log, n):\n{lines}    return -1\n", "<long chain>")
    clone = plain_clone(function)
    assert [clone([], n) for n in (0, 7, 399, 400)] == [0, 49, 399 * 399, -1]
    assert any("more than" in reason for reason in reasons(function))


def test_lines_that_run_are_the_user_s():
    """Coverage and debuggers see a line when it runs, and no other."""

    def function(log, n):
        for i in range(3):
            if i == n:
                return (
                    i,
                    "found",
                )
            log.append(i)
        return "none"

    def lines(function, n):
        ran = set()

        def trace(frame, event, arg):
            if frame.f_code.co_name == "function":
                ran.add(frame.f_lineno)
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            function([], n)
        finally:
            sys.settrace(before)
        first = function.__code__.co_firstlineno
        return {line - first for line in ran if line > first}

    for n in (1, 5):
        assert lines(plain_clone(function), n) == lines(function, n) - {4, 5} | (lines(function, n) & {4, 5})


class Safe:
    """Private names wherever Python's compiler rewrites them."""

    def __init__(self, rate):
        self.__rate = rate

    def __twice(self, x):
        return 2 * x * self.__rate

    def method(self, x, *, __bias=3.0):
        __sum = self.__twice(x) + __bias

        def add(__more):
            nonlocal __sum
            __sum += __more
            return __sum

        return add(x) * self.__rate

    def inner(self, __k):
        def function(x, *, __scale=2.0):
            return x * self.__rate * __scale + __k

        return function

    def two_on_a_line(self):
        return (lambda x: x * self.__rate), (lambda x: x + self.__rate + 7.0)


def test_private_names_are_those_of_the_class_a_function_is_written_in():
    safe = Safe(1.5)
    for function in (safe.inner(4.0), *safe.two_on_a_line()):
        assert plain_clone(function)(5.0) == function(5.0)
    assert plain_clone(Safe.method)(safe, 5.0) == safe.method(5.0)
    assert tg.grad(safe.method)(5.0) == (2 * 1.5 + 1) * 1.5
    assert tg.grad(safe.inner(4.0))(5.0) == 1.5 * 2.0
    assert [tg.grad(f)(5.0) for f in safe.two_on_a_line()] == [1.5, 1.0]


def test_a_decorator_may_hand_on_more_defaults_than_it_has_parameters():
    def wrapped(x, rate=2.0, power=3):
        return rate * x**power

    def wrapper(*args):
        return wrapped(*args)

    wrapper.__defaults__ = wrapped.__defaults__  # as networkx does
    g = tg.grad(lambda x: wrapper(x))
    assert g(2.0) == 24.0
    wrapper.__defaults__ = (1.0, 1)
    assert g(2.0) == 24.0
