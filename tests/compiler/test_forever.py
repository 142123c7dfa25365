"""Memory and functions that machine code reads by their address are there as long as the process."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import pytest

from tracegrad.compiler import forever

SCRIPT = """
import threading
import time

import numpy as np

import tracegrad as tg


def f(x):
    return np.sum(np.tanh(x @ x.T) * x) + np.linalg.slogdet(x @ x.T + 9.0 * np.eye(300))[1]


x = np.linspace(0.1, 1.0, 90_000).reshape(300, 300)
gradient = tg.value_and_grad(f, jit="native")
gradient(x)


def go_on():
    while True:
        gradient(x)


for _ in range(3):
    threading.Thread(target=go_on, daemon=True).start()
time.sleep(0.2)
"""
THREE = ctypes.CFUNCTYPE(ctypes.c_int64)(lambda: 3)


def test_machine_code_finds_what_nobody_holds_any_more() -> None:
    cell = (ctypes.c_int64 * 4)(1, 2, 3, 4)
    alive, address = weakref.ref(cell), ctypes.addressof(cell)
    forever.tell("tracegrad_test_cell", cell)
    del cell
    gc.collect()
    assert alive() is not None
    assert llvm.address_of_symbol("tracegrad_test_cell") == address
    assert list((ctypes.c_int64 * 4).from_address(address)) == [1, 2, 3, 4]


def test_machine_code_finds_the_code_of_a_function_not_its_memory() -> None:
    forever.tell("tracegrad_test_three", THREE)
    address = llvm.address_of_symbol("tracegrad_test_three")
    assert ctypes.CFUNCTYPE(ctypes.c_int64)(address)() == 3


@pytest.mark.parametrize("value", [object, list, lambda: lambda: None])
def test_what_is_kept_is_never_given_back(value: Any) -> None:
    made = value()
    before = sys.getrefcount(made)
    forever.keep(made)
    assert sys.getrefcount(made) == before + 1


def test_threads_that_outlive_the_modules_run_their_programs(tmp_path: Path) -> None:
    file = tmp_path / "script.py"
    file.write_text(textwrap.dedent(SCRIPT))
    for _ in range(3):
        ended = subprocess.run(
            [sys.executable, str(file)],
            env={**os.environ, "TRACEGRAD_CACHE_DIR": str(tmp_path / "cache"), "TRACEGRAD_THREADS": "2"},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr
