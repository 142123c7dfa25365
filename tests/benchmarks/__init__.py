"""Benchmarks: tracegrad beside its peers, as ratios within one run.

`python -m tests.benchmarks` prints the tables; `--write` puts them into `docs/benchmarks/`. Begin with
`__main__.py`; `workloads.py` holds what is computed, `peers/` how each library does it, `timing.py` how
it is timed.
"""
