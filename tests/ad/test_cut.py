"""Minimum cuts, against all cuts there are."""

from __future__ import annotations

import itertools
import random

import pytest

from tracegrad.ad.cut import INFINITE, Network


def network_of(edges: list[tuple[int, int, int]], nodes: int) -> Network:
    network = Network()
    for _ in range(nodes):
        network.node()
    for tail, head, capacity in edges:
        network.edge(tail, head, capacity)
    return network


def capacity_of(edges: list[tuple[int, int, int]], sink_side: set[int]) -> int:
    return sum(c for tail, head, c in edges if tail not in sink_side and head in sink_side)


@pytest.mark.parametrize("seed", range(60))
def test_no_cut_is_cheaper_and_none_as_cheap_is_nearer_to_the_sink(seed: int) -> None:
    rng = random.Random(seed)
    nodes = rng.randrange(1, 7)
    names = range(nodes + 2)
    edges = [
        (rng.choice(names), rng.choice(names), rng.choice([0, 1, 2, 3, 5, 9]))
        for _ in range(rng.randrange(18))
    ]
    edges = [e for e in edges if e[0] != e[1]]
    found = network_of(edges, nodes).cut()
    assert 1 in found and 0 not in found
    inner = range(2, nodes + 2)
    every = [{1, *part} for k in range(nodes + 1) for part in itertools.combinations(inner, k)]
    best = min(capacity_of(edges, side) for side in every)
    assert capacity_of(edges, found) == best
    assert all(found <= side for side in every if capacity_of(edges, side) == best)


def test_ten_thousand_steps_in_a_row() -> None:
    """Each needs the one before, every third is wanted, and each costs a little to compute again."""
    network, before = Network(), 0
    seen = 0

    class Counted(Network):
        def _fill(self, distance: list[int]) -> None:
            nonlocal seen
            seen += 1
            super()._fill(distance)

    network = Counted()
    for k in range(10_000):
        step, value = network.node(), network.node()
        network.edge(before, step, INFINITE)
        network.edge(network.source, step, 16)
        network.edge(step, value, 800)
        if k % 3 == 0:
            network.edge(value, network.sink, INFINITE)
        before = value
    network.cut()
    assert seen < 300  # rounds, of a few walks over the graph each: not one for each step
