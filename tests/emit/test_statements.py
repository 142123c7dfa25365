"""What a step becomes: names, nesting, writes in place, side exits, loops and branches, each by its text."""

from __future__ import annotations

import ast

import numpy as np

from tests.emit.programs import Recorder as _Recorder
from tests.emit.programs import guard, if_, named, while_
from tracegrad.emit.module import emit_array, emit_native
from tracegrad.emit.names import identifier
from tracegrad.emit.printer import print_node
from tracegrad.ir.source import Source
from tracegrad.ir.types import array_type
from tracegrad.ops.arithmetic import negative
from tracegrad.ops.elementary import exp
from tracegrad.ops.index import getitem, index_add, index_set, zeros
from tracegrad.ops.symbol import Builder, Symbol


def body(builder: Builder, inputs: list[Symbol], *outputs: object, native: bool = False) -> list[str]:
    """The lines of the emitted function, without comments."""
    trace = builder.trace(inputs, outputs)
    source = emit_native("value", trace) if native else emit_array(trace, None, len(outputs))
    assert isinstance(source, Source)
    text = source.text
    lines = text[text.index("def f(" if native else "def f_forward(") :].splitlines()[1:]
    return [line[4:] for line in lines if line.strip() and not line.strip().startswith("#")]


def vector(builder: Builder, name: str, dtype: str = "f8") -> Symbol:
    return builder.input(array_type((3,), dtype), name)


def scalar(builder: Builder, name: str, dtype: str = "f8") -> Symbol:
    return builder.input(array_type((), dtype), name)


def fresh(builder: Builder) -> Symbol:
    made: Symbol = builder.apply(zeros, (), {"shape": (3,), "dtype": np.dtype(float)})
    return made


# --- expressions and names --------------------------------------------------------------------------------------------


def test_a_value_read_once_is_nested_and_one_read_twice_is_named() -> None:
    b = Builder()
    x, w = vector(b, "x"), vector(b, "w")
    once = exp(x * w)
    twice = x + w
    assert body(b, [x, w], once, twice, twice * twice) == [
        "x_plus_w = x + w",
        "return (np.exp(x * w), x_plus_w, x_plus_w * x_plus_w), ()",
    ]


def test_a_name_of_the_user_keeps_its_line() -> None:
    b = Builder()
    x = vector(b, "x")
    z = named("z", x * 2.0)
    assert body(b, [x], exp(z)) == ["z = x * 2.0", "return np.exp(z), ()"]


def test_a_name_is_taken_again_when_its_value_is_dead_and_numbered_when_not() -> None:
    b = Builder()
    x = vector(b, "x")
    z = named("z", x * 2.0)
    again = named("z", exp(z))
    assert body(b, [x], again) == ["z = x * 2.0", "z = np.exp(z)", "return z, ()"]
    assert body(b, [x], again, z) == ["z = x * 2.0", "z_1 = np.exp(z)", "return (z_1, z), ()"]


def test_signs_are_written_as_a_person_writes_them() -> None:
    b = Builder()
    x, y = vector(b, "x"), vector(b, "y")
    assert body(b, [x, y], x + -y, x - -y, -x + y, -1 * x, negative(negative(x))) == [
        "return (x - y, x + y, y - x, -x, x), ()"
    ]


def test_constants_are_plain_unless_promotion_would_differ() -> None:
    b = Builder()
    x, y = vector(b, "x"), vector(b, "y", "f4")
    two = np.float64(2.0)
    assert body(b, [x, y], x * two, y * two, y * 2.0, x * 2) == [
        "return (x * 2.0, y * np.float64(2.0), y * 2.0, x * 2.0), ()"
    ]


def test_native_text_casts_what_numba_would_widen() -> None:
    b = Builder()
    y = vector(b, "y", "f4")
    assert body(b, [y], y * 2.0, native=True) == [
        "value = np.empty(3, np.float32)",
        "for i in range(3):",
        "    value[i] = y[i] * np.float32(2.0)",
        "return -1, value",
    ]


def test_identifiers() -> None:
    assert identifier("<lambda>") == "lambda_"
    assert identifier("Model.loss") == "Model_loss"
    assert identifier("p['W']_bar") == "p_W_bar"
    assert identifier("2x") == "value_2x"
    assert identifier("sum") == "sum_"
    assert identifier("_") == "unused"


def test_python_numbers_where_they_mean_the_same_and_numpys_where_not() -> None:
    def lines(factor: object) -> list[str]:
        b = _Recorder()
        n = scalar(b, "n", "i8")
        y = b.constant(0.0)
        (y,) = while_(None, lambda k, y: y / y if factor == "/" else y + 1.0, {"y": y}, limit=n)
        return body(b, [n], y)

    assert lines("+")[0] == "y = 0.0"
    assert lines("/")[0] == "y = np.float64(0.0)"


# --- writing into arrays ----------------------------------------------------------------------------------------------


def test_the_first_write_into_zeros_is_an_assignment() -> None:
    b = Builder()
    a, c = scalar(b, "a"), scalar(b, "c")
    x = index_add(fresh(b), a, index=(0,))
    x = index_add(x, c, index=(1,))
    x = named("x_bar", index_add(x, a, index=(0,)))
    assert body(b, [a, c], x) == [
        "x_bar = np.zeros(3)",
        "x_bar[0] = a",
        "x_bar[1] = c",
        "x_bar[0] += a",
        "return x_bar, ()",
    ]


def test_an_argument_is_copied_before_it_is_written() -> None:
    b = Builder()
    x = vector(b, "x")
    y = named("y", index_set(x, 1.0, index=(0,)))
    assert body(b, [x], y) == ["y = x.copy()", "y[0] = 1.0", "return y, ()"]


def test_an_array_read_later_is_copied() -> None:
    b = Builder()
    x = vector(b, "x")
    y = named("y", x * 2.0)
    z = named("z", index_set(y, 1.0, index=(0,)))
    assert body(b, [x], z + y) == ["y = x * 2.0", "z = y.copy()", "z[0] = 1.0", "return z + y, ()"]


def test_an_array_of_which_a_view_is_read_later_is_copied() -> None:
    b = Builder()
    x = vector(b, "x")
    y = named("y", x * 2.0)
    part = named("part", getitem(y, index=(slice(1, None),)))
    z = named("z", index_set(y, 1.0, index=(0,)))
    lines = body(b, [x], z, part)
    assert "z = y.copy()" in lines


def test_a_chain_of_writes_copies_once() -> None:
    b = Builder()
    x = vector(b, "x")
    y = index_set(x, 1.0, index=(0,))
    y = named("y", index_add(y, 2.0, index=(1,)))
    assert body(b, [x], y) == ["y = x.copy()", "y[0] = 1.0", "y[1] += 2.0", "return y, ()"]


def test_repeated_indices_add_up() -> None:
    b = Builder()
    x, i = vector(b, "x"), b.input(array_type((3,), "i8"), "i")
    y = named("y", getitem(fresh(b) + x, i, index=(_slot(),)))
    z = named("z", index_add(fresh(b), i, y, index=(_slot(),)))
    assert "np.add.at(z, i, y)" in body(b, [x, i], z)


def test_a_mask_is_no_repeat() -> None:
    b = Builder()
    x, m = scalar(b, "x"), b.input(array_type((3,), "b1"), "m")
    z = named("z", index_add(named("z", fresh(b) + x), m, x, index=(_slot(),)))
    assert "z[m] += x" in body(b, [x, m], z)


def _slot() -> object:
    from tracegrad.ops.index import Slot

    return Slot(0)


# --- control ----------------------------------------------------------------------------------------------------------


def test_guards_are_never_turned_into_the_opposite_comparison() -> None:
    b = _Recorder()
    x = scalar(b, "x")
    n = scalar(b, "n", "i8")
    guard(x > 0.0, True)
    guard(x > 9.0, False)
    guard(n, 3)
    assert body(b, [x, n], x) == [
        "if not x > 0.0:",
        "    return None, 0  # side exit 0",
        "if x > 9.0:",
        "    return None, 1  # side exit 1",
        "if n != 3:",
        "    return None, 2  # side exit 2",
        "return x, ()",
    ]


def test_an_arm_that_changes_nothing_is_left_out() -> None:
    b = _Recorder()
    x = scalar(b, "x")
    y = named("y", x * 2.0)
    (y,) = (if_(x > 0.0, lambda y: y, lambda y: y * 3.0, "y", y),)
    assert body(b, [x], y) == ["y = x * 2.0", "if not x > 0.0:", "    y = y * 3.0", "return y, ()"]


def test_carried_values_are_updated_at_once() -> None:
    b = _Recorder()
    x, y, n = scalar(b, "x"), scalar(b, "y"), scalar(b, "n", "i8")
    p, q = while_(None, lambda k, p, q: (q, p), {"p": x, "q": y}, limit=n)
    assert body(b, [x, y, n], p, q) == [
        "p = x",
        "q = y",
        "for _ in range(n):",
        "    p, q = q, p",
        "return (p, q), ()",
    ]


def test_an_argument_of_the_same_name_is_carried_on() -> None:
    b = _Recorder()
    x, n = scalar(b, "x"), scalar(b, "n", "i8")
    (x_final,) = while_(None, lambda k, x: x * 0.5, {"x": x}, limit=n)
    assert body(b, [x, n], x_final) == ["for _ in range(n):", "    x = x * 0.5", "return x, ()"]
    assert body(b, [x, n], x_final, x)[0] == "x_1 = x"


def test_steps_are_counted_only_where_they_are_read() -> None:
    b = _Recorder()
    x = scalar(b, "x")
    (y,) = while_(lambda k, y: y < 10.0, lambda k, y: y * 2.0, {"y": x})
    assert body(b, [x], y) == ["y = x", "while y < 10.0:", "    y = y * 2.0", "return y, ()"]
    steps = b.symbol(b.steps[-1].outputs[0])
    assert body(b, [x], y, steps) == [
        "y = x",
        "steps = 0",
        "while y < 10.0:",
        "    y = y * 2.0",
        "    steps += 1",
        "return (y, steps), ()",
    ]


def test_very_many_results_are_broken_into_lines() -> None:
    b = Builder()
    x = scalar(b, "x")
    many = [named(f"y{k}", x * float(k)) for k in range(100)]
    trace = b.trace([x], [x, *many])
    text = emit_array(trace, None, 1).text
    assert max(map(len, text.splitlines())) <= 88
    namespace: dict[str, object] = {}
    exec(text, namespace)
    value, residuals = namespace["f_forward"](2.0)  # type: ignore[operator]
    assert value == 2.0 and residuals == tuple(2.0 * k for k in range(100))


def test_very_many_names_unpacked_are_broken_into_lines_that_parse() -> None:
    names = [ast.Name(id=f"value_{'x' * (k % 7)}{k}", ctx=ast.Store()) for k in range(200)]
    for pad in range(90):  # wherever the last line happens to end
        last = ast.Name(id="y" * (pad + 1), ctx=ast.Store())
        target = ast.Tuple(elts=[*names, last], ctx=ast.Store())
        value = ast.Name(id="residuals", ctx=ast.Load())
        node = ast.Assign(targets=[target], value=value)
        text = "\n".join(print_node(node))
        assert ast.dump(ast.parse(text).body[0]) == ast.dump(node)
