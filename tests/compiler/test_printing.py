"""Modules as text: LLVM reads what `compiler/printing.py` prints as it reads what llvmlite prints."""

from __future__ import annotations

from typing import Any

from llvmlite import binding, ir

from tracegrad.compiler.printing import LINES, text_of

WORD, NUMBER, BIT = ir.IntType(64), ir.DoubleType(), ir.IntType(1)
LANES = ir.VectorType(NUMBER, 4)


def module() -> Any:
    """All kinds of instructions, with flags, alignments and branch weights."""
    made = ir.Module("all kinds of é")
    outside = ir.Function(made, ir.FunctionType(NUMBER, [NUMBER]), "outside")
    function = ir.Function(made, ir.FunctionType(NUMBER, [NUMBER, WORD, NUMBER.as_pointer()]), "f")
    function.attributes.add("nounwind")
    x, n, p = function.args
    start, arm, end = (function.append_basic_block(name) for name in ("start", "an arm", "end"))
    builder = ir.IRBuilder(start)
    room = builder.alloca(ir.ArrayType(NUMBER, 4), name="room")
    place = builder.gep(room, [WORD(0), builder.add(n, WORD(1), flags=("nsw",))], inbounds=True)
    builder.store(x, place, align=8)
    found = builder.load(builder.gep(p, [n]), align=16)
    found.set_metadata("range_of", made.add_metadata([WORD(3)]))
    found = builder.fadd(found, builder.fneg(builder.load(place)), flags=("contract", "reassoc"))
    number = builder.sitofp(builder.ptrtoint(builder.bitcast(p, WORD.as_pointer()), WORD), NUMBER)
    lanes = builder.insert_element(ir.Constant(LANES, ir.Undefined), number, ir.IntType(32)(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), 4), [0] * 4)
    lanes = builder.shuffle_vector(lanes, ir.Constant(LANES, ir.Undefined), mask)
    one = builder.extract_element(lanes, ir.IntType(32)(2))
    less = builder.fcmp_ordered("<", one, NUMBER(float("inf")), flags=("contract",))
    both = builder.and_(less, builder.icmp_signed("!=", n, WORD(-3)))
    chosen = builder.select(both, found, NUMBER(0.1), flags=("contract",))
    pair = builder.insert_value(ir.Constant(ir.LiteralStructType([NUMBER, BIT]), ir.Undefined), chosen, 0)
    builder.cbranch(both, arm, end).set_weights([99, 1])
    builder.position_at_end(arm)
    called = builder.call(outside, [builder.extract_value(pair, 0)], fastmath=("nsz",))
    builder.cbranch(less, arm, end)
    builder.position_at_end(end)
    value = builder.phi(NUMBER, flags=("contract",))
    value.add_incoming(chosen, start)
    value.add_incoming(called, arm)
    last = function.append_basic_block("last")
    builder.branch(last)
    builder.position_at_end(last)
    builder.ret(value)
    return made


def test_what_is_printed_is_the_module() -> None:
    made = module()
    steps = {type(s) for f in made.functions for b in f.blocks for s in b.instructions}
    assert set(LINES) <= steps
    by_llvmlite, ours = (
        binding.parse_assembly(text.encode().decode("latin1")) for text in (str(made), text_of(made))
    )
    ours.verify()
    assert str(ours) == str(by_llvmlite)


def of_parts(count: int) -> Any:
    """Each part of a structure is written and read."""
    kind = ir.LiteralStructType([WORD, *[NUMBER] * count])
    made = ir.Module("wide")
    function = ir.Function(made, ir.FunctionType(NUMBER, [kind.as_pointer()]), "f")
    builder = ir.IRBuilder(function.append_basic_block("start"))
    room = builder.alloca(kind)
    total: Any = NUMBER(0.0)
    for k in range(count):
        number = ir.IntType(32)(1 + k)
        given = builder.load(builder.gep(function.args[0], [ir.IntType(32)(0), number], inbounds=True))
        place = builder.gep(room, [ir.IntType(32)(0), number], inbounds=True)
        builder.store(given, place)
        total = builder.fadd(total, builder.load(place))
    builder.store(builder.load(room), function.args[0])
    builder.ret(total)
    return made


def test_the_text_of_a_wide_structure_grows_as_its_parts() -> None:
    few, many = (len(text_of(of_parts(count))) for count in (50, 200))
    assert many < 4.4 * few  # 11 times, where each step says the whole type
    assert len(text_of(of_parts(200))) < len(str(of_parts(200))) / 5


def test_a_wide_structure_has_a_name_and_nothing_else_changes() -> None:
    made = of_parts(40)
    by_llvmlite, ours = (str(binding.parse_assembly(text)) for text in (str(made), text_of(made)))
    name, kind = next(line for line in ours.splitlines() if " = type " in line).split(" = type ")
    said = ours.replace(f"{name} = type {kind}\n", "").replace(name, kind)
    assert said.split() == by_llvmlite.split()
    assert kind not in by_llvmlite.partition("define")[0]
