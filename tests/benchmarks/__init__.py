"""Benchmarks: tracegrad beside its peers, as ratios within one run.

`python -m tests.benchmarks` prints the tables; `--write` puts them, and a plot, into `docs/benchmarks/`. Begin with
`__main__.py`; `workloads.py` holds what is computed, `peers/` how each library does it, `worker.py` and
`processes.py` run a library in a process of its own, `measuring.py` compares and times, `floors.py` says what has to
be reached. `control.py`, `capture.py` and `fresh.py` measure loops, captures and whole processes;
`sizes.py` and `memory.py` time and memory of many small programs, `growth.py` first calls of ever longer ones.
"""
