"""Node: one executed op, which a tensor shows as its `grad_fn`.

A node keeps what the backward program may read (the values that went in and came out, with the version they had then),
and where its inputs came from. Nodes form the graph below a tensor; `tensor/graph.py` turns that graph into a trace.
Begin with `Node`.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tracegrad.ir.location import Location
from tracegrad.ir.types import type_of
from tracegrad.ops.index import index_set
from tracegrad.ops.op import Op

_executed = itertools.count()


class Version:
    """Counts the writes into a piece of memory; shared by every tensor that looks at it.

    `recorded` is the count after the last write that is itself part of a graph, and 0 where there is none. `readers`
    are what keeps a value in this memory and is to have it after a write: see `Node.watch`.
    """

    __slots__ = ("count", "readers", "recorded")

    def __init__(self) -> None:
        self.count = 0
        self.recorded = 0
        self.readers: list[weakref.ref[Input | Output]] | None = None

    def rescue(self) -> None:
        """Give what keeps a value in this memory a copy of its own, before a write."""
        copies: dict[int, tuple[Any, Any]] = {}
        for reference in self.readers or ():
            item = reference()
            if item is None or item.version is not self or item.seen != self.count:
                continue
            if isinstance(item.value, np.ndarray):
                _, item.value = copies.setdefault(id(item.value), (item.value, item.value.copy()))
                item.version = None
        self.readers = None


class Released:
    """Stands where a value was that a backward has let go."""

    __slots__ = ("dtype", "shape")

    def __init__(self, value: Any) -> None:
        self.shape, self.dtype = value.shape, value.dtype


class Input:
    """One argument of a node: the value it had, and the node (or leaf) it came from; `source` None is a constant."""

    __slots__ = ("__weakref__", "index", "seen", "source", "value", "version")

    def __init__(
        self,
        value: Any,
        version: Version | None = None,
        source: Node | AccumulateGrad | None = None,
        index: int = 0,
    ) -> None:
        self.value = value
        self.version = version
        self.seen = version.count if version is not None else 0
        self.source = source
        self.index = index


class Output:
    """One result of a node: its value while the graph is alive, then what it was."""

    __slots__ = ("__weakref__", "seen", "value", "version")

    def __init__(self, value: np.ndarray[Any, Any], version: Version) -> None:
        self.value: Any = value
        self.version: Version | None = version
        self.seen = version.count


class AccumulateGrad:
    """The end of the graph at a leaf: what arrives here is added to `variable.grad`."""

    __slots__ = ("__weakref__", "variable")

    def __init__(self, variable: Any) -> None:
        self.variable = variable

    def name(self) -> str:
        return "struct torch::autograd::AccumulateGrad"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return ()

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self):#x}>"


class Node:
    """One executed op.

    Parameters
    ----------
    op : Op or None
        None where `pull` stands for it: an `autograd.Function`.
    params : mapping
    inputs, outputs : tuples of Input and Output
    location : Location or None
    pull : callable or None
        `pull(cotangents) -> gradients`, on tensors: the user's own backward.
    label : str
        The name shown; default: PyTorch's name of the op.

    Attributes
    ----------
    number : int
        Counts executed nodes: the order of execution.
    released : bool
        A backward went through and the values are gone.
    hooks : dict of int to list of callable
        What to call with the cotangent of an output, before it goes further.
    retained : dict of int to weak reference to Tensor
        Outputs whose cotangent is to be kept as `.grad`.
    """

    __slots__ = (
        "__weakref__",
        "hooks",
        "inputs",
        "label",
        "location",
        "number",
        "op",
        "outputs",
        "params",
        "pull",
        "released",
        "retained",
    )

    def __init__(
        self,
        op: Op | None,
        params: Mapping[str, Any],
        inputs: tuple[Input, ...],
        outputs: tuple[Output, ...],
        location: Location | None,
        pull: Callable[..., Any] | None = None,
        label: str = "",
    ) -> None:
        self.op = op
        self.params = params
        self.inputs = inputs
        self.outputs = outputs
        self.location = location
        self.pull = pull
        self.label = label
        self.number = next(_executed)
        self.released = False
        self.hooks: dict[int, list[Any]] | None = None
        self.retained: dict[int, Any] | None = None

    @property
    def is_cut(self) -> bool:
        """Whether a backward has to stop here: somebody wants to see the cotangent, or only Python knows the rule."""
        return self.pull is not None or bool(self.hooks) or bool(self.retained)

    def watch(self) -> None:
        """Have the values that a derivative of this node may read copied before they are overwritten."""
        moves = self.op is not None and self.op.view is not None
        read: list[Input | Output] = [] if moves or self.op is index_set else [*self.outputs]
        for item in self.inputs[self.op is index_set :]:
            read.append(item.source.outputs[item.index] if isinstance(item.source, Node) else item)
        for kept in read:
            if kept.version is not None:
                kept.version.readers = kept.version.readers or []
                kept.version.readers.append(weakref.ref(kept))

    def name(self) -> str:
        """PyTorch's name, `MulBackward0`."""
        return self.label or backward_name(self)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """Where each tensor argument came from, and which result of it; `(None, 0)` for one without a gradient."""
        return tuple(
            (i.source, i.index) for i in self.inputs if i.source is not None or i.version is not None
        )

    def __repr__(self) -> str:
        return f"<{self.name()} object at {id(self):#x}>"


def backward_name(node: Node) -> str:
    """What PyTorch calls the backward of this op, on these arguments."""
    op = node.op
    assert op is not None
    special = _SPECIAL.get(op.name)
    if special is not None:
        return special(node)
    name = _NAMES.get(op.name)
    return name or "".join(part.capitalize() for part in op.name.split("_")) + "Backward0"


def _is_number(item: Input) -> bool:
    return item.version is None and type_of(item.value).shape == ()


def _power(node: Node) -> str:
    base, exponent = node.inputs
    if _is_number(exponent):
        return "PowBackward0"
    return "PowBackward2" if _is_number(base) else "PowBackward1"


def _product(node: Node) -> str:
    left, right = node.inputs
    dims = _ndim(left), _ndim(right)
    return {
        (1, 1): "DotBackward0",
        (2, 1): "MvBackward0",
        (2, 2): "MmBackward0",
        (1, 2): "SqueezeBackward4",
    }.get(dims, "UnsafeViewBackward0")


def _ndim(item: Input) -> int:
    if isinstance(item.source, Node):
        return len(item.source.outputs[item.index].value.shape)
    if isinstance(item.source, AccumulateGrad):
        return int(item.source.variable.value.ndim)
    return int(np.ndim(item.value))


def _reduction(name: str, whole: int, along: int) -> Callable[[Node], str]:
    """One suffix for the reduction over everything, another for one over some axes."""

    def spell(node: Node) -> str:
        axis = node.params.get("axis")
        given = _ndim(node.inputs[0])
        everything = axis is None or (isinstance(axis, tuple) and len(axis) == given)
        everything = everything and not node.params.get("keepdims", False)
        return f"{name}Backward{whole if everything else along}"

    return spell


def _item(node: Node) -> str:
    if len(node.inputs) > 1:
        return "IndexBackward0"
    parts = node.params["index"]
    last = parts[-1] if parts else slice(None)
    if last is None:
        return "UnsqueezeBackward0"
    whole = [p for p in parts if not (isinstance(p, slice) and p == slice(None))]
    return "SelectBackward0" if whole and isinstance(whole[-1], int) else "SliceBackward0"


def _divide(node: Node) -> str:
    return "MulBackward0" if _is_number(node.inputs[0]) else "DivBackward0"


def _subtract(node: Node) -> str:
    return "RsubBackward1" if _is_number(node.inputs[0]) else "SubBackward0"


_SPECIAL: dict[str, Callable[[Node], str]] = {
    "power": _power,
    "divide": _divide,
    "dot": _product,
    "matmul": _product,
    "subtract": _subtract,
    "prod": _reduction("Prod", 0, 1),
    "sum": _reduction("Sum", 0, 1),
    "mean": _reduction("Mean", 0, 1),
    "max": _reduction("Max", 1, 0),
    "min": _reduction("Min", 1, 0),
    "getitem": _item,
}
_NAMES = {
    "multiply": "MulBackward0",
    "norm": "LinalgVectorNormBackward0",
    "outer": "MulBackward0",
    "negative": "NegBackward0",
    "absolute": "AbsBackward0",
    "square": "PowBackward0",
    "arcsin": "AsinBackward0",
    "arccos": "AcosBackward0",
    "arctan": "AtanBackward0",
    "arctan2": "Atan2Backward0",
    "arcsinh": "AsinhBackward0",
    "arccosh": "AcoshBackward0",
    "arctanh": "AtanhBackward0",
    "log1p": "Log1PBackward0",
    "expit": "SigmoidBackward0",
    "gammaln": "LgammaBackward0",
    "astype": "ToCopyBackward0",
    "reshape": "ViewBackward0",
    "transpose": "PermuteBackward0",
    "broadcast_to": "ExpandBackward0",
    "expand_dims": "UnsqueezeBackward0",
    "concatenate": "CatBackward0",
    "clip": "ClampBackward1",
    "tile": "RepeatBackward0",
    "index_set": "CopySlices",
    "index_add": "IndexPutBackward0",
    "det": "LinalgDetBackward0",
    "inv": "LinalgInvExBackward0",
    "solve": "LinalgSolveExBackward0",
    "slogdet": "LinalgSlogdetBackward0",
    "cholesky": "LinalgCholeskyExBackward0",
    "positive": "AliasBackward0",
    "rint": "RoundBackward0",
    "where": "WhereBackward0",
}
