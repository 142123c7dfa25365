"""Instructions that are not written, because their result is there already; and that what is written is right."""

from __future__ import annotations

from typing import Any

import pytest
from llvmlite import ir

from tracegrad.compiler.builder import BIT, WORD, Builder, Parts, prune, whole

NUMBER = ir.DoubleType()
PAIR = ir.LiteralStructType([WORD, ir.ArrayType(WORD, 2)])


@pytest.fixture
def builder() -> Builder:
    module = ir.Module("known")
    function = ir.Function(module, ir.FunctionType(WORD, [WORD, WORD, NUMBER.as_pointer()]), "f")
    return Builder(function.append_basic_block("entry"))


def written(builder: Builder) -> int:
    return sum(len(block.instructions) for block in builder.function.blocks)


def test_arithmetic_of_known_numbers_is_done_here(builder: Builder) -> None:
    n, _, place = builder.function.args
    two, three, most = WORD(2), WORD(3), WORD(2**63 - 1)
    assert [whole(f(two, three)) for f in (builder.add, builder.sub, builder.mul)] == [5, -1, 6]
    assert builder.add(n, WORD(0)) is builder.add(WORD(0), n) is builder.sub(n, WORD(0)) is n
    assert builder.mul(n, WORD(1)) is builder.mul(WORD(1), n) is n
    assert builder.gep(place, [WORD(0)]) is place
    assert whole(builder.mul(n, WORD(0))) == whole(builder.mul(WORD(0), n)) == 0
    assert builder.select(builder.icmp_signed("<", WORD(2**64 - 1), WORD(0)), n, two) is n
    assert builder.select(BIT(0), n, two) is two
    assert written(builder) == 0
    builder.add(most, two)  # what does not fit is left to the processor
    assert written(builder) == 1


def test_what_a_block_has_it_does_not_compute_again(builder: Builder) -> None:
    n, k, _ = builder.function.args
    first = builder.add(builder.mul(n, WORD(3)), k)
    assert builder.add(builder.mul(n, WORD(3)), k) is first
    assert builder.mul(n, WORD(3), flags=("nsw",)) is not builder.mul(n, WORD(3))
    assert written(builder) == 3
    other = builder.function.append_basic_block("other")
    builder.branch(other)
    builder.position_at_end(other)
    assert builder.add(builder.mul(n, WORD(3)), k) is not first


def test_parts_of_a_structure_are_what_was_put_in(builder: Builder) -> None:
    n, k, _ = builder.function.args
    made: Any = ir.Constant(PAIR, ir.Undefined)
    for path, value in (([0], n), ([1, 0], k), ([1, 1], WORD(7))):
        made = builder.insert_value(made, value, path)
    assert builder.extract_value(made, [1, 0]) is k and builder.extract_value(made, 0) is n
    assert whole(builder.extract_value(made, (1, 1))) == 7
    assert written(builder) == 3
    row = builder.extract_value(made, 1)  # put together of several: this one is written
    again = builder.insert_value(made, row, [1])
    assert builder.extract_value(builder.extract_value(again, 1), 0) is builder.extract_value(row, 0)
    builder.store(row, builder.alloca(row.type))
    builder.ret(k)
    prune(
        builder.function
    )  # the last structure is read by nobody, nor the part of `row`, those before them by `row`
    assert [type(i).__name__ for i in builder.function.blocks[0].instructions] == [
        *["InsertValue"] * 3,
        "ExtractValue",
        "AllocaInstr",
        "StoreInstr",
        "Ret",
    ]


def test_parts_are_written_when_they_are_asked_for(builder: Builder) -> None:
    n, k, _ = builder.function.args
    asked: list[Any] = []

    def part(path: tuple[int, ...]) -> Any:
        asked.append(path)
        return {(0,): n}.get(path)

    def whole_pair() -> Any:
        asked.append("whole")
        made: Any = ir.Constant(PAIR, ir.Undefined)
        for path, value in (([0], n), ([1, 0], k), ([1, 1], WORD(7))):
            made = builder.insert_value(made, value, path)
        return made

    pair = Parts(PAIR, part, whole_pair)
    assert builder.extract_value(pair, 0) is n
    assert asked == [(0,)] and written(builder) == 0
    assert builder.extract_value(pair, (1, 0)) is k
    again = builder.insert_value(pair, WORD(3), [1, 1])  # takes the whole, which is there
    assert builder.extract_value(again, 0) is n and whole(builder.extract_value(again, [1, 1])) == 3
    assert asked.count("whole") == 1 and written(builder) == 4
    builder.store(again, builder.alloca(PAIR))
    builder.ret(k)
    prune(builder.function)
    assert written(builder) == 7
    assert pair.get_reference() in str(again)


def test_who_takes_parts_whole_has_them_written_before(builder: Builder) -> None:
    n = builder.function.args[0]
    entry, body = builder.block, builder.function.append_basic_block("body")

    def whole_pair() -> Any:
        with builder.goto_entry_block():
            return builder.insert_value(ir.Constant(PAIR, ir.Undefined), n, [0])

    builder.position_at_end(body)
    builder.store(Parts(PAIR, lambda path: None, whole_pair), builder.alloca(PAIR))
    builder.ret(n)
    builder.position_at_end(entry)
    builder.branch(body)
    prune(builder.function)
    assert [type(i).__name__ for i in entry.instructions] == ["InsertValue", "Branch"]


def test_a_pointer_under_another_type_is_no_instruction(builder: Builder) -> None:
    place = builder.alloca(WORD)
    seen = builder.bitcast(place, ir.DoubleType().as_pointer())
    assert seen.type.pointee == ir.DoubleType() and seen.get_reference() == place.get_reference()
    unread = builder.load(seen)
    builder.store(ir.DoubleType()(1.0), seen)
    builder.ret(builder.function.args[0])
    assert unread in builder.function.blocks[0].instructions
    prune(builder.function)
    assert [type(i).__name__ for i in builder.function.blocks[0].instructions] == [
        "AllocaInstr",
        "StoreInstr",
        "Ret",
    ]


def test_a_loop_of_one_round_is_none(builder: Builder) -> None:
    with builder.counted(1) as counter:
        assert whole(counter) == 0
    assert len(builder.function.blocks) == 1
    with builder.counted(3) as counter:
        assert whole(counter) is None
    builder.ret(WORD(0))
    assert len(builder.function.blocks) == 3
