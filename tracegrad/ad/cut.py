"""A minimum cut: the cheapest edges that part what is given from what is wanted.

Edges with capacities go in, the nodes on the sink's side come out; where several cuts are equally cheap, the one
nearest to the sink. Begin with `Network.cut`.

The algorithm is Dinic's, "Algorithm for solution of a problem of maximum flow in networks with power estimation",
Soviet Math. Doklady 11, 1970; that the largest flow is the smallest cut is Ford and Fulkerson, "Maximal flow through a
network", Canadian J. Math. 8, 1956.
"""

from __future__ import annotations

from collections import deque

INFINITE = 1 << 60


class Network:
    """Nodes are numbers, handed out by `node`; capacities are whole numbers."""

    def __init__(self) -> None:
        self.source, self.sink = 0, 1
        self._edges: list[list[int]] = [[], []]  # the numbers of the edges that leave a node
        self._head: list[int] = []
        self._room: list[int] = []  # edge k ^ 1 goes back along edge k

    def node(self) -> int:
        """A new node."""
        self._edges.append([])
        return len(self._edges) - 1

    def edge(self, tail: int, head: int, capacity: int) -> None:
        """An edge from `tail` to `head`."""
        self._edges[tail].append(len(self._head))
        self._edges[head].append(len(self._head) + 1)
        self._head += (head, tail)
        self._room += (capacity, 0)

    def cut(self) -> set[int]:
        """The nodes that are on the sink's side, as few as a minimum cut allows."""
        while True:
            distance = self._distances()
            if distance[self.source] < 0:
                break
            self._fill(distance)
        return {node for node, steps in enumerate(distance) if steps >= 0}

    def _distances(self) -> list[int]:
        """How many edges with room lead from each node to the sink; -1 where none do."""
        distance = [-1] * len(self._edges)
        distance[self.sink] = 0
        waiting = deque([self.sink])
        while waiting:
            node = waiting.popleft()
            for edge in self._edges[node]:
                before = self._head[edge]
                if distance[before] < 0 and self._room[edge ^ 1] > 0:
                    distance[before] = distance[node] + 1
                    waiting.append(before)
        return distance

    def _fill(self, distance: list[int]) -> None:
        """Send along shortest paths what they take."""
        tried = [0] * len(self._edges)
        path: list[int] = []
        node = self.source
        while True:
            if node == self.sink:
                flow = min(self._room[edge] for edge in path)
                for edge in path:
                    self._room[edge] -= flow
                    self._room[edge ^ 1] += flow
                full = next(k for k, edge in enumerate(path) if self._room[edge] == 0)
                node = self._head[path[full] ^ 1]
                del path[full:]
                continue
            edges = self._edges[node]
            while tried[node] < len(edges):
                edge = edges[tried[node]]
                if self._room[edge] > 0 and distance[self._head[edge]] == distance[node] - 1:
                    break
                tried[node] += 1
            else:
                if not path:
                    return
                node = self._head[path.pop() ^ 1]
                tried[node] += 1
                continue
            path.append(edges[tried[node]])
            node = self._head[path[-1]]
