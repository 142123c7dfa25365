"""`.backward()`: the graph below a tensor, reversed by cached programs; leaves, accumulation, hooks.

The nodes are cut into segments (`graph.py`), each segment is a trace, and a program that pulls cotangents back through
it is kept by the trace's structure (`engine.py`). With `create_graph` the backward runs on tensors, so that its steps
are recorded in turn.

What users see of a complex value is its gradient, df/dx + i df/dy, as in PyTorch: the conjugate of the cotangent that
the sweeps carry. It is conjugated here, on the way in and on the way out. Begin with `run_backward`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tracegrad.errors import BackwardError, InPlaceError, NotScalarError, ShapeError
from tracegrad.ops.arithmetic import positive_
from tracegrad.ops.families import conj
from tracegrad.record.frames import user_location
from tracegrad.record.node import AccumulateGrad, Input, Node, Output, Released
from tracegrad.tensor.eager import accumulator
from tracegrad.tensor.engine import Interpreted, program_for
from tracegrad.tensor.graph import Place, Segment, collect, leading_to, release, segments
from tracegrad.tensor.modes import enable_grad, no_grad


def place_of(tensor: Any) -> Place:
    """Where the cotangent of a tensor belongs."""
    tensor._current()
    return accumulator(tensor) if tensor.node is None else (tensor.node, tensor.index)


def seeds(tensors: Sequence[Any], gradients: Sequence[Any], make: type, recorded: bool) -> dict[Place, Any]:
    """The cotangents a backward starts from, checked: by place, arrays or (where recorded) tensors."""
    found: dict[Place, Any] = {}
    for k, (tensor, gradient) in enumerate(zip(tensors, gradients, strict=True)):
        if not tensor._current().active:
            raise BackwardError(
                f"element {k} of tensors does not require grad and does not have a grad_fn.",
                user_location(),
                "make a tensor it is computed from with requires_grad=True, outside no_grad()",
            )
        value = tensor.value
        if gradient is None:
            if value.size != 1:
                raise NotScalarError(
                    f"grad can be implicitly created only for scalar outputs; this one has shape {value.shape}.",
                    user_location(),
                    "pass the cotangent, `y.backward(tracegrad.ones_like(y))`, or reduce first, `y.sum().backward()`",
                )
            if value.dtype.kind == "c":
                raise NotScalarError(
                    f"grad can be implicitly created only for real scalar outputs but got {value.dtype}.",
                    user_location(),
                    "pass the gradient, or take a real number first, `y.real.backward()`, `y.abs().backward()`",
                )
            gradient = np.ones_like(value)
        if not isinstance(gradient, make):
            gradient = make(np.array(gradient))
        given: Any = gradient
        if given.value.shape != value.shape:
            raise ShapeError(
                f"Mismatch in shape: grad_output[{k}] has a shape of {given.value.shape} and output[{k}] has a shape "
                f"of {value.shape}.",
                user_location(),
                "give a gradient with the shape of the output",
            )
        if given.is_complex() and value.dtype.kind != "c":
            raise ShapeError(
                f"grad_output[{k}] is {given.dtype}, but output[{k}] is real.",
                user_location(),
                "give a gradient of the dtype of the output",
            )
        given = conj(given.to(value.dtype))
        _add(found, place_of(tensor), given if recorded else given.value)
    return found


def _add(sums: dict[Place, Any], place: Place, term: Any) -> None:
    before = sums.get(place)
    sums[place] = term if before is None else before + term


def run_backward(
    cotangents: dict[Place, Any],
    targets: Sequence[Any] | None,
    make: type,
    keep: bool = False,
    recorded: bool = False,
) -> dict[Place, Any]:
    """Carry cotangents down the graph.

    Parameters
    ----------
    cotangents : dict of Place to ndarray, or to Tensor where `recorded`
        Where to start; becomes the dictionary of all sums.
    targets : sequence of Tensor or None
        What to stop at; None: every leaf.
    make : type
        The class of tensors.
    keep : bool
        Leave the values in the graph for another backward.
    recorded : bool
        Record the steps of the backward, so that its results can be differentiated.

    Returns
    -------
    dict of Place to ndarray or Tensor
        The gradient of each target (of each leaf) that a path reaches.

    Raises
    ------
    BackwardError : a value that is needed was let go by an earlier backward
    InPlaceError : a value that is needed was overwritten
    NotDifferentiableError : an op on the way has no derivative
    """
    wanted = None if targets is None else {place_of(t) for t in targets}
    nodes = collect(place[0] for place in cotangents if isinstance(place, tuple))
    if wanted is not None:
        nodes = leading_to(nodes, wanted)
    in_graph = set(nodes)

    def is_active(place: Place) -> bool:
        if isinstance(place, tuple):
            return place[0] in in_graph or (wanted is not None and place in wanted)
        return wanted is None or place in wanted

    found: dict[Place, Any] = {}
    with enable_grad() if recorded else no_grad():
        for run in reversed(segments(nodes, wanted or ())):
            outputs = [(n, k) for n in run for k in range(len(n.outputs)) if (n, k) in cotangents]
            if not outputs:
                continue
            last = run[-1]
            for k in range(len(last.outputs)):
                if (last, k) in cotangents:
                    _show(last, k, cotangents, make, recorded)
            if last.pull is not None:
                _pull(last, cotangents, make, recorded, is_active)
                continue
            segment = Segment(run, outputs, is_active)
            segment, kept = program_for(segment, recorded)
            values = [_value(segment, number, make, recorded) for number in kept.numbers]
            bars = kept.program.run(values, [cotangents[place] for place in outputs])
            for place, bar in zip(segment.places, bars, strict=True):
                if bar is not None:
                    _add(cotangents, place, _as_tensor(bar, make) if recorded else bar)
        for place in _leaves(nodes):
            if place not in cotangents and is_active(place):
                zero = np.zeros_like(place.variable.value)
                cotangents[place] = make(zero) if recorded else zero
        for place, bar in cotangents.items():
            if place in wanted if wanted is not None else isinstance(place, AccumulateGrad):
                if isinstance(place, AccumulateGrad):
                    bar = _after_hooks(place.variable.hooks, bar, make, recorded)
                found[place] = conj(bar)
    if not keep:
        release(nodes)
    return found


def _leaves(nodes: Sequence[Node]) -> list[AccumulateGrad]:
    """The leaves that some op reads; a zero gradient is a gradient too."""
    found = {
        i.source: None
        for n in nodes
        if n.pull is None
        for i in n.inputs
        if isinstance(i.source, AccumulateGrad)
    }
    return list(found)


def _show(node: Node, k: int, cotangents: dict[Place, Any], make: type, recorded: bool) -> None:
    """Let hooks see the cotangent of a result, and keep it where `retain_grad` asked for it."""
    cotangents[node, k] = _after_hooks((node.hooks or {}).get(k), cotangents[node, k], make, recorded)
    reference = (node.retained or {}).get(k)
    tensor = reference() if reference is not None else None
    if tensor is not None and place_of(tensor) == (node, k):
        _accumulate(tensor, conj(cotangents[node, k]), make, recorded)


def _after_hooks(hooks: Any, bar: Any, make: type, recorded: bool) -> Any:
    for hook in list(hooks or ()):
        changed = hook(_as_tensor(conj(bar), make))
        if changed is not None:
            bar = conj(changed if recorded else changed.value)
    return bar


def _pull(
    node: Node, cotangents: dict[Place, Any], make: type, recorded: bool, is_active: Callable[[Place], bool]
) -> None:
    """Reverse an `autograd.Function` by the user's own rule."""
    assert node.pull is not None
    given = [cotangents.get((node, k)) for k in range(len(node.outputs))]
    found = node.pull(tuple(None if g is None else _as_tensor(conj(g), make) for g in given))
    for item, bar in zip(node.inputs, found, strict=True):
        source = item.source
        if source is None or bar is None:
            continue
        place = source if isinstance(source, AccumulateGrad) else (source, item.index)
        if is_active(place):
            _add(cotangents, place, conj(bar if recorded else bar.value))


def _as_tensor(value: Any, make: type) -> Any:
    return value if isinstance(value, make) else make(np.asarray(value))


def _value(segment: Segment, number: int, make: type, recorded: bool) -> Any:
    """The value of a variable, if it is still what it was; as a tensor in its place of the graph where
    `recorded`.
    """
    holder = segment.holders[number]
    if isinstance(holder.value, Released):
        raise gone(_location(segment, number))
    version = holder.version
    if version is not None and version.count != holder.seen:
        raise InPlaceError(
            "one of the variables needed for gradient computation has been modified by an inplace operation: an array "
            f"of shape {holder.value.shape} and dtype {holder.value.dtype} is at version {version.count}; expected "
            f"version {holder.seen} instead.",
            _location(segment, number),
            "write out of place (`x = x + 1` instead of `x += 1`), or clone() the tensor before it is changed",
        )
    if not recorded:
        return holder.value
    place = segment.origins[number]
    if isinstance(place, AccumulateGrad) and version is not None:
        return place.variable
    tensor: Any = make(holder.value)
    if isinstance(place, AccumulateGrad):  # written since, with what it was kept aside
        outputs = (Output(holder.value, tensor.version),)
        tensor.node = Node(positive_, {}, (Input(holder.value, None, place),), outputs, user_location())
        tensor.active = True
    elif place is not None:
        tensor.version, tensor.active = version or tensor.version, True
        tensor.node, tensor.index = place
    return tensor


def _location(segment: Segment, number: int) -> Any:
    """The user's line whose derivative reads a value: found by writing the backward once more, for the message."""
    trace, variables = segment.trace({})
    backward = Interpreted(trace, segment.flags).trace
    return next((step.location for step in backward.steps if variables[number] in step.inputs), None)


def gone(where: Any) -> BackwardError:
    return BackwardError(
        "Trying to backward through the graph a second time: the saved values were let go when .backward() or "
        "autograd.grad() ran the first time.",
        where or user_location(),
        "say retain_graph=True in the first backward, or compute the value again",
    )


def accumulate(found: dict[Place, Any], make: type, recorded: bool) -> None:
    """Add gradients to `.grad` of the leaves they belong to."""
    for place, bar in found.items():
        if isinstance(place, AccumulateGrad):
            _accumulate(place.variable, bar, make, recorded)


def _accumulate(tensor: Any, bar: Any, make: type, recorded: bool) -> None:
    before = tensor.grad
    if recorded:
        tensor.grad = bar.clone() if before is None else before + bar
    elif before is None:
        tensor.grad = make(np.array(bar, dtype=tensor.value.dtype, order="C"))
    else:
        np.add(before.value, bar, out=before.value, casting="same_kind")
        before.version.count += 1


def backward_source(tensor: Any) -> str:
    """The text of the programs that `tensor.backward()` runs, the first one first."""
    if tensor._current().node is None:
        raise BackwardError(
            "a tensor without a grad_fn has no backward.",
            user_location(),
            "ask a tensor computed from others",
        )
    texts, reached = [], {place_of(tensor)}
    for run in reversed(segments(collect([tensor.node]), ())):
        outputs = [(n, k) for n in run for k in range(len(n.outputs)) if (n, k) in reached]
        if run[-1].pull is not None:
            texts.append(f"# {run[-1].name()}: the user's own backward")
            reached.update((i.source, i.index) for i in run[-1].inputs if isinstance(i.source, Node))
            continue
        segment = Segment(run, outputs, lambda place: True)
        segment, kept = program_for(segment, False)
        texts.append(kept.program.source)
        reached.update(segment.places)
    return "\n\n".join(texts)
