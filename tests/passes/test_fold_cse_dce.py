"""fold, share and drop_unused, by text: the trace before, the trace after."""

from __future__ import annotations

from tests.passes.written import read, shown, steps
from tracegrad.ir.dce import drop_unused
from tracegrad.ir.text import text
from tracegrad.ir.trace import Trace
from tracegrad.passes.cse import share
from tracegrad.passes.fold import fold


def same(found: Trace, wanted: Trace) -> None:
    assert text(found) == text(wanted)


# --- fold -------------------------------------------------------------------------------------------------------------


def test_a_step_on_constants_is_computed() -> None:
    assert shown(fold(steps("a = multiply(2.0, 3.0); b = add(a, x); b"))) == "b = add(f8(6.0), x); b"


def test_a_folded_number_keeps_the_dtype_of_its_variable() -> None:
    assert shown(fold(steps("a = add(1.0, 1.0); b = multiply(h, a); b"))) == "b = multiply(h, f8(2.0)); b"


def test_a_small_array_is_computed_and_a_larger_one_is_not() -> None:
    assert shown(fold(steps("a = multiply(f8[2]([1.0, 2.0]), 2.0); a"))) == "f8[2]([2.0, 4.0])"
    before = f"a = multiply(f8[17]({[1.0] * 17}), 2.0); a"
    assert shown(fold(steps(before))) == before


def test_what_only_repeats_a_number_stays_a_step() -> None:
    for before in ("a = broadcast_to(1.0, shape=(3,)); a", "a = zeros(shape=(3,), dtype=f8); a"):
        assert shown(fold(steps(before))) == before


def test_a_guard_on_a_constant_goes_only_if_it_holds() -> None:
    before = steps("q = greater(1.0, 0.0); guard q is True; guard False is True; guard 3 == 3; x")
    assert shown(fold(before)) == "guard False is True; x"


BRANCH = """
    trace(x: f8[], p: b1[]):
      a = branch({condition}, x, names=('a',)):
        true = trace(x: f8[]):
          b = multiply(x, 2.0)
          return b
        false = trace(x: f8[]):
          b = multiply(2.0, 3.0)
          return b
      c = add(a, 1.0)
      return c
"""


def test_a_decided_branch_is_replaced_by_its_arm() -> None:
    same(
        fold(read(BRANCH.format(condition="True"))),
        read("trace(x: f8[], p: b1[]):\n  b = multiply(x, 2.0)\n  c = add(b, 1.0)\n  return c"),
    )
    same(fold(read(BRANCH.format(condition="False"))), read("trace(x: f8[], p: b1[]):\n  return f8(7.0)"))


def test_arms_are_folded() -> None:
    found = text(fold(read(BRANCH.format(condition="p"))))
    assert "return f8(6.0)" in found


# --- share ------------------------------------------------------------------------------------------------------------


def test_the_same_step_is_done_once() -> None:
    before = steps("a = sin(v); b = sin(v); c = add(a, b); c")
    assert shown(share(before)) == "a = sin(v); c = add(a, a); c"


def test_steps_that_become_the_same_are_done_once() -> None:
    before = steps("a = sin(v); b = sin(v); c = exp(a); d = exp(b); c, d")
    assert shown(share(before)) == "a = sin(v); c = exp(a); c, c"


def test_parameters_and_constants_count_by_value_and_type() -> None:
    before = "a = getitem(v, index=(0,)); b = getitem(v, index=(1,)); c = add(k, 1); d = add(k, 1.0); a, b"
    assert shown(share(steps(before))) == before
    before = "a = getitem(v, index=(slice(0, 2, None),)); b = getitem(v, index=(slice(0, 2, None),)); a, b"
    assert shown(share(steps(before))) == "a = getitem(v, index=(slice(0, 2, None),)); a, a"


def test_the_users_name_is_kept() -> None:
    before = steps("_1 = sin(v); speed = sin(v); a = add(_1, speed); a")
    assert shown(share(before)) == "speed = sin(v); a = add(speed, speed); a"


def test_fresh_memory_is_not_shared() -> None:
    before = "a = zeros(shape=(3,), dtype=f8); b = zeros(shape=(3,), dtype=f8); c = copy(v); d = copy(v); a, b, c, d"
    assert shown(share(steps(before))) == before


def test_a_guard_is_checked_once() -> None:
    assert (
        shown(share(steps("guard p is True; a = sin(x); guard p is True; a")))
        == "guard p is True; a = sin(x); a"
    )


def test_a_branch_takes_and_gives_each_value_once() -> None:
    before = read("""
        trace(x: f8[], p: b1[]):
          a, b = branch(p, x, x, names=('a', 'b')):
            true = trace(y: f8[], z: f8[]):
              c = multiply(y, z)
              d = multiply(z, y)
              return c, c
            false = trace(y: f8[], z: f8[]):
              return y, z
          e = branch(p, x, names=('e',)):
            true = trace(y: f8[]):
              c = multiply(y, y)
              return c
            false = trace(y: f8[]):
              return y
          return a, b, e
    """)
    after = read("""
        trace(x: f8[], p: b1[]):
          a = branch(p, x, names=('a',)):
            true = trace(y: f8[]):
              c = multiply(y, y)
              return c
            false = trace(y: f8[]):
              return y
          return a, a, a
    """)
    same(drop_unused(share(drop_unused(share(before)))), after)


# --- drop_unused ------------------------------------------------------------------------------------------------------


def test_a_result_read_only_by_a_guard_stays() -> None:
    before = read("trace(x: f8[]):\n  p = greater(x, 0.0)\n  a = exp(x)\n  guard p is True\n  return x")
    after = read("trace(x: f8[]):\n  p = greater(x, 0.0)\n  guard p is True\n  return x")
    same(drop_unused(before), after)


def test_unused_results_and_operands_of_a_branch_go() -> None:
    before = read("""
        trace(x: f8[], y: f8[], p: b1[]):
          a, b = branch(p, x, y, names=('a', 'b')):
            true = trace(x: f8[], y: f8[]):
              c = sin(y)
              return x, c
            false = trace(x: f8[], y: f8[]):
              return 1.0, y
          return a
    """)
    after = read("""
        trace(x: f8[], y: f8[], p: b1[]):
          a = branch(p, x, names=('a',)):
            true = trace(x: f8[]):
              return x
            false = trace(x: f8[]):
              return 1.0
          return a
    """)
    same(drop_unused(before), after)


def test_what_is_carried_for_nothing_goes() -> None:
    """`b` needs `c`, and nobody needs `b`; the stack of `a` is read, that of `b` is not."""
    before = read("""
        trace(x: f8[], y: f8[]):
          n, a, b, c, s, t = loop(3, x, x, x, y, carried=3, sliced=0, reverse=False, names=('a', 'b', 'c'), stop=None, condition=None):
            body = trace(i: i8[], a: f8[], b: f8[], c: f8[], y: f8[]):
              d = sin(a)
              e = add(b, c)
              f = multiply(c, y)
              return d, e, f, b, a
          m, g = loop(n, 0.0, t, s, carried=1, sliced=2, reverse=True, names=('g',), stop=None, condition=None):
            body = trace(i: i8[], g: f8[], k: f8[], l: f8[]):
              h = add(g, k)
              return h
          return g
    """)  # noqa: E501
    after = read("""
        trace(x: f8[], y: f8[]):
          n, a, t = loop(3, x, carried=1, sliced=0, reverse=False, names=('a',), stop=None, condition=None):
            body = trace(i: i8[], a: f8[]):
              d = sin(a)
              return d, a
          m, g = loop(n, 0.0, t, carried=1, sliced=1, reverse=True, names=('g',), stop=None, condition=None):
            body = trace(i: i8[], g: f8[], k: f8[]):
              h = add(g, k)
              return h
          return g
    """)
    same(drop_unused(before), after)


def test_what_the_condition_reads_stays() -> None:
    written = """
        trace(x: f8[], y: f8[]):
          n, a, b = loop(-1, x, y, carried=2, sliced=0, reverse=False, names=('a', 'b'), stop=None):
            condition = trace(i: i8[], a: f8[], b: f8[]):
              p = less(b, 10.0)
              return p
            body = trace(i: i8[], a: f8[], b: f8[]):
              c = sin(a)
              d = add(b, 1.0)
              return c, d
          return a
    """
    same(drop_unused(read(written)), read(written))


def test_a_loop_goes_unless_it_guards_something() -> None:
    written = """
        trace(x: f8[]):
          n, a = loop(3, x, carried=1, sliced=0, reverse=False, names=('a',), stop=None, condition=None):
            body = trace(i: i8[], a: f8[]):
              b = add(a, 1.0)
              p = less(b, 10.0)
              {guard}
              return b
          return x
    """
    guarded = read(written.format(guard="guard p is True"))
    same(drop_unused(guarded), guarded)
    same(drop_unused(read(written.format(guard="q = logical_not(p)"))), read("trace(x: f8[]):\n  return x"))


def test_a_branch_never_seen_is_dropped_with_its_results() -> None:
    before = read("""
        trace(x: f8[], p: b1[]):
          a = branch(p, x, names=('a',)):
            true = None
            false = trace(x: f8[]):
              return x
          return x
    """)
    same(drop_unused(before), read("trace(x: f8[], p: b1[]):\n  return x"))
