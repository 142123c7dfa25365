"""One library in a process of its own, kept alive and asked in turn.

`python -m tests.benchmarks.worker PEER WAY` reads one JSON object a line and answers with one; what the library
prints goes to the standard error. `processes.py` is the other end. Begin with `Worker`, whose methods are
what it can be asked.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .peaks import peak
from .peers import load
from .peers.way import Way
from .workloads import WORKLOADS, Arguments

Answer = dict[str, Any]
LONG = 0.05  # seconds: a call that needs no other before it to be timed


class Worker:
    """A peer, and the workload it works on.

    Attributes
    ----------
    calls : dict of str to callable
        By kind: "own" arrays, from "numpy" to NumPy, the "value" alone; where NumPy's arrays are the library's own,
        "numpy" and "value".
    given : dict of str to list of tuple
        What each of them is called with.
    """

    def __init__(self, peer: str, way: str) -> None:
        self.peer, self.way_name = load(peer), way
        self.peer.warm_up(way)
        self.way: Way | None = None
        self.calls: dict[str, Callable[..., Any]] = {}
        self.given: dict[str, list[Arguments]] = {}
        self.cycles: dict[str, int] = {}

    def build(self, workload: str, results: str) -> Answer:
        """The first call, timed from the definition; value and gradients of every input go to the file `results`."""
        self.way, self.calls, self.given, self.cycles = None, {}, {}, {}
        gc.collect()
        chosen = WORKLOADS[workload]
        inputs = chosen.make()
        began = time.perf_counter()
        way = self.way = self.peer.build(chosen, self.way_name)
        if way is None:
            return {"able": False}
        compiled = way.compiling() if way.compiling else 0.0
        own = [way.prepare(inputs[0]) if way.prepare else inputs[0]]
        found = [way.wait(way.call(*own[0]))]
        first = time.perf_counter() - began
        answer: Answer = {"able": True, "first": first}
        if way.compiling:
            answer["compiling"] = way.compiling() - compiled
        own += [way.prepare(x) if way.prepare else x for x in inputs[1:]]
        found += [way.wait(way.call(*x)) for x in own[1:]]
        if found[0] is not None:  # a floor has no result
            Path(results).write_bytes(pickle.dumps([way.result(x) for x in found]))
        if way.prepare:
            self.calls["own"] = lambda *x: way.wait(way.call(*x))
        self.calls["numpy"] = way.from_numpy if way.prepare else way.call
        if way.value is not None:
            value = way.value
            self.calls["value"] = (lambda *x: way.wait(value(*x))) if way.prepare else value
        self.given = {kind: inputs if kind == "numpy" else own for kind in self.calls}
        return answer | {"kinds": list(self.calls)}

    def sample(self, kind: str, seconds: float) -> Answer:
        """Seconds a call, of so many rounds through the inputs that they take about `seconds`."""
        call, given = self.calls[kind], self.given[kind]
        if kind not in self.cycles:
            for _ in range(3):
                took = round_through(call, given)
                if took > LONG:
                    break
            self.cycles[kind] = max(1, round(seconds / max(took, 1e-7)))
            again = took < LONG
        else:
            again = self.cycles[kind] > 1 or seconds < LONG
        if again:  # others have run since: the caches are theirs
            round_through(call, given)
        cycles = self.cycles[kind]
        return {"seconds": round_through(call, given * cycles) / (cycles * len(given))}

    def peak(self) -> Answer:
        """Bytes that one call holds at most above what the process held."""
        assert self.way is not None
        return {"bytes": peak(self.calls["numpy"], self.given["numpy"][0], self.way.forget)}


def round_through(call: Callable[..., Any], inputs: list[Arguments]) -> float:
    began = time.perf_counter()
    for arguments in inputs:
        call(*arguments)
    return time.perf_counter() - began


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(*sys.argv[1:3])
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = getattr(worker, asked.pop("ask"))(**asked)
        except Exception as error:  # whatever a library raises is its answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
