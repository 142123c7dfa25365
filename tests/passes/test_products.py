"""Products as loops and as products of matrices give what NumPy's give."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tracegrad.ir.interpret import interpret
from tracegrad.ir.trace import Instr, Trace, Var
from tracegrad.ir.types import ArrayType, array_type
from tracegrad.ir.verify import verify
from tracegrad.ops.contraction import einsum
from tracegrad.ops.elementary import exp
from tracegrad.ops.families import broadcast_to
from tracegrad.ops.index import index_add, read, zeros_like
from tracegrad.ops.linalg import dot, matmul, outer
from tracegrad.ops.op import Op
from tracegrad.ops.reduce import sum_
from tracegrad.ops.shape import copy, reshape, transpose
from tracegrad.ops.symbol import Builder
from tracegrad.passes.pipeline import for_loops, optimised
from tracegrad.passes.spell_out import spell_out


def one_step(op: Op, *values: Any, **params: Any) -> Trace:
    builder = Builder()
    inputs = [builder.input(array_type(v.shape, v.dtype), f"x{k}") for k, v in enumerate(values)]
    return builder.trace(inputs, [op(*inputs, **params)])


def names(trace: Trace) -> list[str]:
    return [step.op.name for step in trace.steps if isinstance(step, Instr)]


def spelled(op: Op, *shapes: tuple[int, ...], dtype: Any = np.float64, **params: Any) -> list[str]:
    """The ops that the step becomes; its value and type are checked."""
    g = np.random.default_rng(0)
    values = [g.uniform(-1, 1, shape).astype(dtype) for shape in shapes]
    trace = one_step(op, *values, **params)
    written = for_loops(trace)
    verify(written)
    assert [v.type for v in written.outputs] == [v.type for v in trace.outputs]
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    found, wanted = interpret(written, values)[0], interpret(trace, values)[0]
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
    return names(written)


@pytest.mark.parametrize("op", [matmul, dot])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "shapes",
    [((5,), (5,)), ((2, 3), (3, 4)), ((8, 8), (8, 8)), ((30, 20), (20,)), ((20,), (20, 30))],
    ids=str,
)
def test_small_products_are_sums(op: Op, dtype: Any, shapes: Any) -> None:
    found = spelled(op, *shapes, dtype=dtype)
    assert found[-1] == "sum" and "multiply" in found and op.name not in found


@pytest.mark.parametrize("shapes", [((2, 3), (3, 4)), ((5,), (5,)), ((30, 20), (20,))], ids=str)
def test_so_are_small_products_with_a_known_array(shapes: Any) -> None:
    left, right = (np.random.default_rng(0).uniform(-1, 1, shape) for shape in shapes)
    builder = Builder()
    x = builder.input(array_type(left.shape, np.float64), "x")
    trace = builder.trace([x], [matmul(x, right)])
    assert any(not isinstance(a, Var) for a in trace.steps[0].inputs)
    written = for_loops(trace)
    verify(written)
    assert names(written)[-1] == "sum" and "matmul" not in names(written)
    np.testing.assert_allclose(interpret(written, [left])[0], left @ right, rtol=1e-12)


@pytest.mark.parametrize(
    "shapes",
    [((2, 3, 4), (2, 4, 2)), ((3, 4), (2, 4, 2)), ((2, 1, 3, 2), (3, 2, 2)), ((2, 3, 4), (4, 2))],
    ids=str,
)
def test_stacks_of_tiny_matrices_are_sums_of_broadcast_products(shapes: Any) -> None:
    found = spelled(matmul, *shapes)
    assert found[-1] == "sum" and "matmul" not in found


@pytest.mark.parametrize(
    "shapes",
    [((9, 2), (2, 2)), ((300, 400), (400,)), ((400,), (400, 300)), ((9, 3, 10), (9, 10, 4))],
    ids=str,
)
def test_larger_products_stay(shapes: Any) -> None:
    assert spelled(matmul, *shapes) == ["matmul"]


@pytest.mark.parametrize(
    ("summed", "wanted"), [((), ["einsum"]), ((0,), ["einsum"]), ((1,), ["einsum", "sum"])]
)
def test_products_of_stacks_are_of_what_they_view_and_written_as_wanted(
    summed: Any, wanted: list[str]
) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (3, 17, 2, 20))
    builder = Builder()
    symbol = builder.input(array_type(x.shape, x.dtype), "x")
    turned = transpose(symbol, axes=(0, 2, 1, 3))
    product = transpose(matmul(turned, transpose(turned, axes=(0, 1, 3, 2))), axes=(0, 2, 1, 3))
    trace = builder.trace([symbol], [sum_(product, axis=summed, keepdims=False) if summed else product])
    written = for_loops(trace)
    verify(written)
    assert names(written) == wanted
    np.testing.assert_allclose(interpret(written, [x])[0], interpret(trace, [x])[0], rtol=1e-12)


def test_a_stack_times_one_matrix_is_one_product() -> None:
    assert spelled(matmul, (4, 5, 20), (20, 3)) == ["reshape", "matmul", "reshape"]


def test_an_empty_stack_and_numbers_of_other_kinds_stay() -> None:
    assert spelled(matmul, (0, 5, 20), (20, 3)) == ["matmul"]
    assert spelled(matmul, (2, 3), (3, 2), dtype=np.int64) == ["matmul"]
    assert spelled(matmul, (2, 0), (0, 2)) == ["expand_dims", "expand_dims", "multiply", "sum"]


def test_an_outer_product_is_a_product_of_elements() -> None:
    assert spelled(outer, (3,), (4,)) == ["expand_dims", "multiply"]


LARGE = [
    ("ij,jk->ik", (20, 30), (30, 25), ["matmul"]),
    ("ij,kj->ik", (20, 30), (25, 30), ["transpose", "matmul"]),
    ("ji,jk->ik", (30, 20), (30, 25), ["transpose", "matmul"]),
    ("ij,jk->ki", (20, 30), (30, 25), ["transpose", "transpose", "matmul"]),
    ("ijk,kl->ijl", (4, 5, 30), (30, 25), ["reshape", "matmul", "reshape"]),
    ("ijk,jkl->il", (10, 5, 6), (5, 6, 25), ["reshape", "reshape", "matmul"]),
    ("ijk,kjl->il", (10, 5, 6), (6, 5, 25), ["reshape", "transpose", "reshape", "matmul"]),
    ("bij,bjk->bik", (3, 10, 30), (3, 30, 20), ["einsum"]),
    ("bij,bkj->bik", (3, 10, 30), (3, 20, 30), ["einsum"]),
    ("abij,abjk->abik", (3, 2, 10, 30), (3, 2, 30, 20), ["einsum"]),
    ("ij,j->i", (200, 300), (300,), ["matmul"]),
    ("ij,ijk->k", (20, 30), (20, 30, 20), ["reshape", "reshape", "matmul"]),
    ("ijk,k->ij", (20, 30, 20), (20,), ["reshape", "matmul", "reshape"]),
    ("ikl,jkl->ij", (20, 5, 6), (25, 5, 6), ["reshape", "reshape", "transpose", "matmul"]),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("subscripts", "left", "right"),
    [
        ("bij,bj->bi", (30, 20, 25), (30, 25)),
        ("bij,bi->bj", (30, 20, 25), (30, 20)),
        ("bi,bij->bj", (30, 20), (30, 20, 25)),
        ("bij,bi->bj", (300, 4, 25), (300, 4)),
        ("bij,ib->jb", (30, 20, 25), (20, 30)),
        ("abij,abj->bai", (5, 6, 20, 25), (5, 6, 25)),
        ("abij,aj->abi", (5, 6, 20, 25), (5, 25)),
        ("bi,bi->b", (300, 20), (300, 20)),
        ("bij,bij->", (30, 20, 25), (30, 20, 25)),
        ("bij,bj->", (30, 20, 25), (30, 25)),
        ("bij,j->bi", (3000, 2, 3), (3,)),
        ("bi,bj->bij", (30, 20), (30, 25)),
        ("bi,bj->jib", (30, 20), (30, 25)),
        ("bi,cj->bjic", (1, 20), (30, 25)),
    ],
)
def test_stacks_of_matrices_times_vectors_are_loops_over_elements(
    subscripts: str, left: Any, right: Any, dtype: Any
) -> None:
    found = spelled(einsum, left, right, subscripts=subscripts, dtype=dtype)
    assert "multiply" in found and not {"einsum", "matmul"}.intersection(found)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((30, 20, 25), (30, 25, 1)),
        ((30, 1, 20), (30, 20, 25)),
        ((30, 20, 1), (30, 1, 25)),
        ((30, 20, 25), (25, 1)),
        ((20,), (30, 20, 25)),
        ((6, 1, 20, 25), (6, 5, 25, 1)),
        ((2000, 3), (3, 1)),
        ((1, 2000), (2000, 3)),
        ((2000, 1), (1, 3)),
        ((1, 2000), (2000, 1)),
    ],
)
def test_so_are_columns_and_rows(left: Any, right: Any) -> None:
    found = spelled(matmul, left, right)
    assert found.count("matmul") == (1 if right == (25, 1) else 0)


def test_large_columns_and_rows_are_vectors() -> None:
    assert spelled(matmul, (300, 400), (400, 1)) == ["reshape", "matmul", "reshape"]
    assert spelled(matmul, (1, 300), (300, 400)) == ["reshape", "matmul", "reshape"]


@pytest.mark.parametrize("shape", [(200,), (200, 1), (1, 200)], ids=str)
@pytest.mark.parametrize("index", [(slice(None), None), (None, Ellipsis), (Ellipsis, None)], ids=str)
def test_new_axes_are_no_parts(index: Any, shape: Any) -> None:
    builder = Builder()
    x = builder.input(array_type(shape, np.float64), "x")
    seen = read(x, index)
    column = read(seen, (Ellipsis, 0)) if seen.shape[-1] == 1 else seen
    back = index_add(zeros_like(x), seen, index=index)
    trace = builder.trace([x], [exp(column), back])
    written = for_loops(optimised(trace))
    verify(written)
    assert not {"getitem", "index_add"}.intersection(names(written))
    value = np.random.default_rng(0).uniform(-1, 1, shape)
    for found, wanted in zip(interpret(written, [value]), interpret(trace, [value]), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("subscripts", "left", "right", "wanted"), LARGE, ids=[case[0] for case in LARGE])
def test_large_contractions_are_products_of_matrices(
    subscripts: str, left: Any, right: Any, wanted: list[str]
) -> None:
    assert spelled(einsum, left, right, subscripts=subscripts) == wanted


@pytest.mark.parametrize(
    ("subscripts", "left", "right"),
    [
        ("ij,jk->ik", (2, 3), (3, 4)),
        ("ij,jk->ki", (2, 3), (3, 4)),
        ("bij,jb->bi", (2, 3, 4), (4, 2)),
        ("ij,ij->ij", (70, 80), (70, 80)),
        ("ij,ji->ij", (70, 80), (80, 70)),
        ("i,j->ji", (70,), (80,)),
        ("ij,jk->k", (3, 4), (4, 5)),
        ("ij,ij->", (3, 4), (3, 4)),
        (",i->i", (), (4,)),
    ],
)
def test_small_contractions_are_sums_of_elements(subscripts: str, left: Any, right: Any) -> None:
    found = spelled(einsum, left, right, subscripts=subscripts)
    assert "einsum" not in found or left == ()


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk->k", ((30, 40), (40, 50))),
        ("ii,ij->j", ((90, 90), (90, 90))),
        ("ij,ij->", ((1, 3), (2, 3))),
        ("ibj,bjk->ibk", ((10, 3, 30), (3, 30, 20))),
        ("ii->i", ((3, 3),)),
        ("ij,jk->ik", ((0, 4), (4, 5))),
    ],
)
def test_other_contractions_stay(subscripts: str, shapes: Any) -> None:
    assert spelled(einsum, *shapes, subscripts=subscripts) == ["einsum"]


@pytest.mark.parametrize(
    ("subscripts", "wanted"),
    [("ijk->kij", ["transpose"]), ("ijk->kj", ["sum", "transpose"]), ("ijk->j", ["sum"])],
)
def test_a_contraction_of_one_array_is_its_sum_transposed(subscripts: str, wanted: list[str]) -> None:
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    trace = one_step(einsum, x, subscripts=subscripts)
    spelled_out = spell_out(trace)
    assert names(spelled_out) == wanted
    np.testing.assert_allclose(interpret(spelled_out, [x])[0], np.einsum(subscripts, x), rtol=1e-14)


def test_three_operands_are_contracted_in_the_cheapest_order() -> None:
    shapes = ((30, 40), (40, 50), (50,))
    assert "einsum" not in spelled(einsum, *shapes, subscripts="ij,jk,k->i")
    written = spell_out(
        one_step(einsum, *(np.ones(s) for s in ((9, 5), (5, 7), (7, 2))), subscripts="ij,jk,kl->il")
    )
    between = next(
        step.outputs[0] for step in written.steps if isinstance(step, Instr) and step.op.name == "sum"
    )
    assert between.shape == (5, 2)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128, np.int64], ids=str)
@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk,kl,l->i", ((3, 4), (4, 5), (5, 6), (6,))),
        ("ij,jk,kl,li->", ((3, 4), (4, 5), (5, 6), (6, 3))),
        ("i,i,jk->j", ((3,), (3,), (4, 5))),
        ("ij,ij,kl,mk->lm", ((3, 4), (3, 4), (2, 5), (6, 2))),
        ("i,j,ij,jk,ik->k", ((3,), (4,), (3, 4), (4, 5), (3, 5))),
        ("ab,bc,cd,de,ef,fg,gh,hi,ij,jk->ka", ((2, 2),) * 10),
    ],
)
def test_more_operands_are_multiplied_two_by_two(
    subscripts: str, shapes: tuple[tuple[int, ...], ...], dtype: type
) -> None:
    generator = np.random.default_rng(0)
    turn = 1 + 0.5j if dtype is np.complex128 else 1
    operands = [(generator.uniform(-9, 9, shape) * turn).astype(dtype) for shape in shapes]
    trace = one_step(einsum, *operands, subscripts=subscripts)
    found = spell_out(trace)
    several = [step for step in found.steps if isinstance(step, Instr) and len(step.inputs) > 2]
    assert not several
    wanted = np.einsum(subscripts, *operands)
    tolerance = 1e-5 if dtype is np.float32 else 1e-13
    (value,) = interpret(found, operands)
    assert value.dtype == wanted.dtype
    np.testing.assert_allclose(value, wanted, rtol=tolerance, atol=tolerance * np.max(np.abs(wanted)))


def test_a_product_of_many_takes_the_fewest_multiplications() -> None:
    shapes = ((80, 81), (81, 82), (82, 83), (83,))
    written = spell_out(one_step(einsum, *(np.ones(s) for s in shapes), subscripts="ij,jk,kl,l->i"))
    assert names(written) == ["matmul"] * 3
    assert [step.outputs[0].shape for step in written.steps if isinstance(step, Instr)] == [
        (82,),
        (81,),
        (80,),
    ]


def test_a_product_that_nobody_else_reads_is_not_copied() -> None:
    builder = Builder()
    x = builder.input(ArrayType((20, 30), np.dtype(np.float64)), "x")
    y = builder.input(ArrayType((30, 40), np.dtype(np.float64)), "y")
    z = x @ y
    assert "copy" not in names(for_loops(builder.trace([x, y], [copy(reshape(z, shape=(10, 80)))])))
    builder = Builder()
    x = builder.input(ArrayType((20, 30), np.dtype(np.float64)), "x")
    y = builder.input(ArrayType((30, 40), np.dtype(np.float64)), "y")
    z = x @ y
    assert "copy" in names(for_loops(builder.trace([x, y], [copy(z), z])))


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(("op", "shape"), [(transpose, (20, 30)), (broadcast_to, (30,))], ids=str)
def test_what_a_loop_writes_is_not_copied(op: Op, shape: tuple[int, ...], flat: bool) -> None:
    builder = Builder()
    x = builder.input(ArrayType(shape, np.dtype(np.float64)), "x")
    z = op(x, **({"axes": (1, 0)} if op is transpose else {"shape": (20, 30)}))
    found = names(for_loops(builder.trace([x], [copy(reshape(z, shape=(600,)) if flat else z)])))
    assert ("copy" in found) == (
        flat and op is transpose
    )  # of a matrix with one row that is the matrix itself


def test_elements_of_transposed_arrays_are_computed_as_they_lie() -> None:
    builder = Builder()
    x, y = (builder.input(ArrayType((20, 30), np.dtype(np.float64)), n) for n in "xy")
    turned = exp(transpose(x, axes=(1, 0)) * transpose(y, axes=(1, 0)) * 2.0)
    trace = builder.trace([x, y], [sum_(turned, axis=(0, 1), keepdims=False), transpose(turned, axes=(1, 0))])
    found = for_loops(trace)
    assert "transpose" not in names(found)
    values = np.random.default_rng(0).normal(size=(2, 20, 30))
    for got, wanted in zip(interpret(found, values), interpret(trace, values), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-14)


def test_two_results_that_become_one_step_have_memory_of_their_own() -> None:
    builder = Builder()
    x = builder.input(ArrayType((20, 30), np.dtype(np.float64)), "x")
    one, other = exp(transpose(x, axes=(1, 0))), transpose(exp(x), axes=(1, 0))
    found = for_loops(builder.trace([x], [one, copy(other)]))
    assert names(found).count("exp") == 1
    assert found.outputs[0] is not found.outputs[1]
