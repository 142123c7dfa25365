"""Products of matrices in tiles: NumPy's values for every size, order and register, and when they are used."""

from __future__ import annotations

import ctypes

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir

import tracegrad as tg
from tracegrad.compiler import blas_threads, tiles

SIZES = [
    (1, 1, 1),
    (2, 3, 4),
    (13, 5, 33),
    (12, 1, 32),
    (25, 257, 65),
    (500, 30, 40),
    (7, 300, 100),
    (17, 70, 530),
    (6, 20, 16),
    (40, 50, 1),
]
FEATURE = {64: "avx512f", 32: "avx2"}


@pytest.fixture(scope="module", params=[(w, d) for w in FEATURE for d in (np.float32, np.float64)], ids=str)
def products(request):
    """The functions for one length of register and one dtype, by which operand is transposed."""
    width, dtype = request.param
    if not llvm.get_host_cpu_features().get(FEATURE[width]):
        pytest.skip("the processor has no such registers")
    module = ir.Module()
    module.triple = llvm.get_process_triple()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiles, "register_bytes", lambda: width)
        made = tiles.Tiles(module, ir.FloatType() if dtype == np.float32 else ir.DoubleType())
        names = {(x, y): made.whole(x, y).name for x in (False, True) for y in (False, True)}
    for function in module.functions:
        if function.linkage:
            function.linkage = "external"
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    machine = llvm.Target.from_default_triple().create_target_machine(features=features)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(str(module)), machine)
    engine.finalize_object()
    whole, pointer = ctypes.c_int64, ctypes.c_void_p
    kind = ctypes.CFUNCTYPE(None, *[whole] * 3, *[pointer, whole] * 3, ctypes.c_bool)
    found = {turned: kind(engine.get_function_address(name)) for turned, name in names.items()}
    yield dtype, found
    del engine


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_every_size_and_order(products, sizes):
    dtype, functions = products
    rows, length, columns = sizes
    g = np.random.default_rng(3)
    x, y = g.uniform(-1, 1, (rows, length)).astype(dtype), g.uniform(-1, 1, (length, columns)).astype(dtype)
    before = g.uniform(-1, 1, (rows, columns)).astype(dtype)
    for (x_turned, y_turned), function in functions.items():
        left = np.ascontiguousarray(x.T) if x_turned else x
        right = np.ascontiguousarray(y.T) if y_turned else y
        for added in (False, True):
            wide = columns + 3 * added  # the result may be part of a larger matrix
            room = np.full(rows * wide + 64, np.nan, dtype)  # NaN: what was there before must not count
            out = room[: rows * wide].reshape(rows, wide)[:, :columns]
            if added:
                out[...] = before
            steps = left.shape[1], right.shape[1]
            given = (left.ctypes.data, steps[0], right.ctypes.data, steps[1], out.ctypes.data, wide)
            function(*sizes, *given, added)
            expected = x.astype(float) @ y.astype(float) + (before if added else 0)
            np.testing.assert_allclose(out, expected, atol=8 * length * np.finfo(dtype).eps)
            assert np.isnan(room).sum() == room.size - rows * columns


@pytest.mark.parametrize("width", FEATURE)
def test_only_short_registers_are_stored_without_masks(monkeypatch, width):
    monkeypatch.setattr(tiles, "register_bytes", lambda: width)
    stores = [
        instruction
        for block in tiles.Tiles(ir.Module(), ir.DoubleType()).tile(6, False).blocks
        for instruction in block.instructions
        if isinstance(instruction, ir.StoreInstr)
    ]
    assert len(stores) == (2 * 6 * tiles.REGISTERS if width == 32 else 0)


def perceptron(w, x):
    return np.sum(np.tanh(np.dot(x, w)))


@pytest.mark.parametrize("threads", [1, 2, None])
def test_tiles_where_blas_has_one_thread(monkeypatch, threads):
    if not tiles.register_bytes():
        pytest.skip("the processor has no such registers")
    asked = []

    @ctypes.CFUNCTYPE(ctypes.c_int)
    def count():
        asked.append(threads)
        return threads

    blas_threads.know()
    address = None if threads is None else ctypes.cast(count, ctypes.c_void_p).value
    before = blas_threads._asked.value
    blas_threads._asked.value = address
    try:
        g = np.random.default_rng(5)
        w, x = g.uniform(-0.1, 0.1, (200, 96)), g.uniform(-1, 1, (96, 200))
        value, w_bar = tg.value_and_grad(perceptron, jit="native")(w, x)
    finally:
        blas_threads._asked.value = before
    h = np.tanh(x @ w)
    np.testing.assert_allclose(value, h.sum(), rtol=1e-12)
    np.testing.assert_allclose(w_bar, x.T @ (1 - h * h), rtol=1e-12, atol=1e-12)
    assert bool(asked) == (threads is not None)


def test_numpys_blas_is_asked():
    blas_threads.know()
    if blas_threads._asked.value is None:
        pytest.skip("NumPy came with another BLAS than OpenBLAS")
    count = ctypes.CFUNCTYPE(ctypes.c_int)(blas_threads._asked.value)()
    assert 1 <= count <= 1024
