"""The benchmark itself, on little work: whole runs, refusals, and the arithmetic of its tables."""

from __future__ import annotations

import ast
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tracegrad.config import config

from . import capture, chart, floors, growth, measuring, memory, report, sizes
from .measuring import Figures, Measured
from .peers import FLOOR, PEERS, floor_peer, hand_arrays
from .processes import Failed, Process
from .workloads import MILLION, TILE, WORKLOADS

ROSEN = WORKLOADS["rosen2"]


def right(arguments):
    (x,) = arguments
    a, b = 1.0 - x[0], x[1] - x[0] ** 2
    return ROSEN.function(x), (np.array([-2 * a - 400 * b * x[0], 200 * b]),)


def figures(warm, **more):
    value = more.pop("value", None)
    samples = {"numpy": [warm, warm * 2, warm / 2]} | ({"value": [value]} if value else {})
    return Figures(first=1.0, samples=samples, **more)


def invented(name, **ways):
    return Measured(WORKLOADS[name], {way.replace("_", "."): f for way, f in ways.items()})


def test_a_workload_is_measured_by_processes_that_agree():
    processes = {
        n: Process(*n.split("."), 1, 120) for n in ("tracegrad.native", "numba.plain", "numba.packed")
    }
    try:
        found = measuring.measure(ROSEN, processes, 2, print)
    finally:
        for process in processes.values():
            process.end()
    assert list(found.figures) == ["tracegrad.native", "numba.plain"] and not found.failed
    for measured in found.figures.values():
        assert measured.first > measured.warm > 0
        assert [len(s) for s in measured.samples.values()] == [2, 2]
    assert 0 < found.figures["tracegrad.native"].compiling < found.figures["tracegrad.native"].first
    assert "rosen2: to hand-written Numba" in floors.asked([found])
    assert "tracegrad.native" in report.every_way([found])


def test_a_process_that_cannot_answer_says_why_and_goes_on():
    process = Process("numba", "plain", 1, 120)
    try:
        with pytest.raises(Failed, match="no_such_workload"):
            process.ask("build", workload="no_such_workload", results="")
        assert process.ask("build", workload="branchy", results="/dev/null")["able"]
        assert process.ask("peak")["bytes"] >= 0
        process.limit = 0.0
        with pytest.raises(Failed, match="no answer in 0 s"):
            process.ask("sample", kind="numpy", seconds=1.0)
    finally:
        process.end()


def test_gradients_are_compared_before_anything_is_timed():
    results = [right(x) for x in ROSEN.make()]
    measuring.differentiated(ROSEN, results)
    measuring.compare(ROSEN, results, results)
    wrong = [results[0], (results[1][0], (results[1][1][0] * (1 + 1e-3),))]
    with pytest.raises(AssertionError):
        measuring.differentiated(ROSEN, wrong)
    with pytest.raises(AssertionError):
        measuring.compare(ROSEN, wrong, results)
    with pytest.raises(AssertionError, match="shape"):
        measuring.compare(ROSEN, [(v, (g[:1],)) for v, (g,) in results], results)


def test_the_floor_of_arithmetic_is_the_share_of_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that shares out what is one thread's share already would do a quarter of the work with two threads."""
    asked, done = [], []

    def written(packed: bool, parallel: bool):
        asked.append((packed, parallel))
        return done.append, None

    monkeypatch.setattr(hand_arrays, "sum_sq_chain", written)
    monkeypatch.setattr("numba.config.NUMBA_NUM_THREADS", 2)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "2")
    way = floor_peer.build(WORKLOADS["sum_sq_chain"], "hand")
    done.clear()
    way.call()
    assert asked == [(True, False)]
    assert 2 * TILE * len(done) == MILLION


def test_what_is_asked_is_computed_from_the_medians():
    fast = invented(
        "branchy",
        tracegrad_native=figures(1e-6, value=5e-7, compiling=0.5),
        numba_plain=figures(1e-6, value=4e-7),
        jax_jit=figures(9e-6),
        jax_where=figures(8e-6),
        autograd_tape=figures(1e-3),
    )
    slow = invented(
        "black_scholes_1m",
        tracegrad_native=figures(4e-2, compiling=3.0),
        jax_jit=figures(2e-2),
        floor_memory=figures(1e-2),
        floor_arithmetic=figures(2e-2),
    )
    table = floors.asked([fast, slow])
    for line in (
        "| branchy: times ahead of the best peer, jax.where | at least 1 | 8.00 | yes |",
        "| black_scholes_1m: times ahead of the best peer, jax.jit | at least 1 | 0.50 | **no** |",
        "| the same, geometric mean of 2 of the 12 |  | 2.00 |  |",
        "| branchy: to hand-written Numba | at most 1.15 | 1.00 | yes |",
        "| branchy: gradient to the fastest compiled value | at most 3 | 2.50 (to our own 2.00) | yes |",
        "| branchy: first compile, seconds | at most 0.6 | 0.50 | yes |",
        "| black_scholes_1m: to the floor of arithmetic | at most 1.5 | 2.00 (of 20 ms) | **no** |",
    ):
        assert line in table
    every = [invented(n, tracegrad_native=figures(1.0), jax_jit=figures(2.0)) for n in WORKLOADS]
    assert "| the same, geometric mean | at least 3 | 2.00 | **no** |" in floors.asked(every)
    assert [line.split("|")[1].strip() for line in floors.gaps([fast, slow]).splitlines()[4:]] == [
        "black_scholes_1m",
        "branchy",
    ]
    assert "| branchy | 1 µs | 1 µs (1.00) | 8 µs (8.00) | 1 ms (1000.00) |" in report.tables([fast])[0]


def test_the_faster_of_own_arrays_and_numpy_counts():
    found = Figures(first=1.0, samples={"own": [3.0, 1.0, 2.0], "numpy": [1.5, 9.0, 1.0], "value": [0.1]})
    assert found.warm == 1.5


@pytest.mark.parametrize("peer", (*PEERS, FLOOR))
def test_every_peer_offers_what_is_asked_of_it(peer):
    """Read, not imported: the libraries are large, and may be missing."""
    module = ast.parse(
        Path(__file__).with_name("peers").joinpath(f"{peer}_peer.py").read_text(encoding="utf-8")
    )
    assigned = {ast.unparse(t) for n in module.body if isinstance(n, ast.Assign) for t in n.targets}
    defined = {n.name: len(n.args.args) for n in module.body if isinstance(n, ast.FunctionDef)}
    assert "WAYS" in assigned and defined["warm_up"] == 1 and defined["build"] == 2


def test_the_plot_is_the_same_for_the_same_figures(tmp_path):
    pytest.importorskip("matplotlib")
    measured = [invented("rosen2", tracegrad_native=figures(1e-6), jax_jit=figures(5e-6))]
    chart.draw(measured, tmp_path / "one.svg")
    chart.draw(measured, tmp_path / "other.svg")
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "other.svg").read_text() and "Rosenbrock, 2 variables" in text


def test_what_a_capture_costs() -> None:
    table = capture.cost(1)
    assert "straight, 30 operations" in table
    assert "loop, 401 operations" in table


def test_compiled_programs_stand_beside_their_array_text() -> None:
    said: list[str] = []
    table = sizes.figures(1, said.append, ["x @ v"])
    assert "| x @ v |" in table
    assert "3 programs" in table and "not compiled: 0" in table
    assert len(said) == 1


def test_memory_at_the_peak_is_counted_in_arrays_and_compared_with_what_must_live():
    chain = memory.PROGRAMS["chain of three"]
    assert 2.9 <= memory.measured(chain) <= memory.ALLOWED * chain.must  # a few pages were there before
    assert "chain of three | 3 |" in memory.figures(print, ["chain of three"])


def test_what_grows_faster_than_the_program_is_named() -> None:
    whole = dict.fromkeys(growth.PHASES, 1.0)
    smaller = {**whole, "passes": 0.25, "emission": 1e-3}
    linear = growth.Measured(
        {10: whole}, whole, {**whole, "emission": 1e-2}, [{"capture": 5e3}, {"capture": 2e4}]
    )
    assert set(linear.growth.values()) == {4.0} and "emission" not in linear.growth
    assert linear.counted == {"capture": 4.0}
    faster = replace(linear, smaller=smaller)
    counted = replace(linear, calls=[{"passes": 5e3, growth.LINES: 100}, {"passes": 4e4, growth.LINES: 420}])
    late = growth.Measured({10: whole})
    uncounted = replace(linear, calls=[])
    families = {"scalars": linear, "rolled": faster, "fused": counted, "nested": late, "arrays": uncounted}
    table = growth.asked(families)
    _, _, _, _, said, of_passes, of_calls, of_nothing, of_no_calls, *_ = table.splitlines()
    assert "| capture 4.0 |" in said and said.endswith("| yes |")
    assert "| passes 16.0 |" in of_passes and of_passes.endswith("| **no** |")
    assert "| passes 8.0 |" in of_calls and of_calls.endswith("| **no** |")
    assert "100 take longer than 120 s" in of_nothing and of_nothing.endswith("| **no** |")
    assert "more than can be counted" in of_no_calls and of_no_calls.endswith("| **no** |")
    assert "several loops" in table and "not counted" in table


def test_a_step_is_told_and_growth_is_that_on_one_side_of_it() -> None:
    families = growth.FAMILIES
    assert growth.counted_sizes(families["fused"]) == (300, 1200)  # beyond it
    assert growth.counted_sizes(families["products"]) == (7, 28)  # before it
    family = families["fused"]
    shorter, longer = family.step
    calls = [{"passes": 1e4, growth.LINES: 100}, {"passes": 4e4, growth.LINES: 420}]
    step = [{"passes": 1e4, growth.LINES: 100}, {"passes": 6e4, growth.LINES: 720}]
    alone = {size: dict.fromkeys(growth.PHASES, 1.0) for size in family.sizes[:-1]}
    found = growth.Measured(alone, calls=calls, step=step)
    assert f"{longer} beside {shorter}, calls grow more, once: passes 6.0" in growth.asked({"fused": found})
    assert f"| calls across the step, {longer} beside {shorter} |  | 6.0 |" in growth.table(family, found)


def test_both_arms_of_all_branches_are_seen(tmp_path: Path) -> None:
    call, args = growth.FAMILIES["branches"].make(9, tmp_path)
    with config.using(cache="none"):
        call(*args)
    (both,) = (cell.cell_contents for cell in call.__closure__)
    assert both.native_source.count("else") >= 9


def test_a_program_is_compared_with_four_others_of_its_length() -> None:
    assert sum(growth.quarters(80)) == 80 and len({20, *growth.quarters(80)}) == 5
    assert growth.counted_sizes(growth.FAMILIES["distinct"]) == (25, 100)
    assert growth.counted_sizes(growth.FAMILIES["dict"]) == (50, 200)
    smaller, whole = growth.one("arguments", 16, "beside")
    assert list(smaller) == list(whole)
    assert min(smaller[phase] for phase in growth.PHASES[:4]) > 0
    with config.using(cache="none"):
        (fewer,), (more,) = growth.one("depth", 12, "calls"), growth.one("depth", 48, "calls")
    assert 2.5 < more["passes"] / fewer["passes"] < 5
    assert 1.5 < more[growth.LINES] / fewer[growth.LINES] < 5


def test_the_phases_of_a_first_call_make_it_up(tmp_path: Path) -> None:
    found = growth.compiled(growth.FAMILIES["arguments"], 2, tmp_path, time.process_time)
    assert list(found) == [*growth.PHASES, growth.LINES]
    assert sum(found[phase] for phase in growth.PHASES[:6]) == pytest.approx(found["first call"])
    assert min(found[phase] for phase in growth.PHASES[:4]) > 0
    assert growth.dispatcher.Dispatcher._captured.__name__ == "_captured"
    eager = growth.eager(growth.FAMILIES["eager"], 9, tmp_path, time.process_time)
    assert list(eager) == list(growth.EAGER) and min(eager.values()) > 0
