"""The pass lists: the only file that knows an order. Begin with `optimised`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tracegrad.ir.dce import drop_unused
from tracegrad.ir.trace import Atom, Trace, Var
from tracegrad.ir.verify import verify
from tracegrad.ir.walk import has_control
from tracegrad.passes.accumulate import accumulate
from tracegrad.passes.added_products import add_products
from tracegrad.passes.arms import settle_sums
from tracegrad.passes.checkpoint import checkpointed
from tracegrad.passes.cse import share, share_conditions
from tracegrad.passes.differentiate import forward_mode, jacobians, reverse_mode
from tracegrad.passes.factor_once import factor_once
from tracegrad.passes.fold import fold
from tracegrad.passes.hoist import hoist
from tracegrad.passes.lower import lower_branches, no_output_twice, own_outputs
from tracegrad.passes.masks import at_their_places
from tracegrad.passes.multiples import carry_multiplied
from tracegrad.passes.overlays import in_falling_order, overlays, own_parts_first
from tracegrad.passes.parts import in_parts
from tracegrad.passes.product_order import least_memory_first
from tracegrad.passes.put_together import put_together
from tracegrad.passes.repeats import without_repeats
from tracegrad.passes.residuals import split
from tracegrad.passes.scaled_products import scale_products
from tracegrad.passes.simplify import simplify, simplify_exactly
from tracegrad.passes.spell_out import spell_out
from tracegrad.passes.summing import forwards, together
from tracegrad.passes.unroll import unroll

LARGE = 256  # numbers in factors of matrices that are kept rather than found again
ROUNDS = 8  # each round makes the trace smaller or more canonical; few traces need more than three


@dataclass(frozen=True, slots=True)
class Plan:
    """The traces of one program.

    Attributes
    ----------
    kind : "value", "gradient", "gradient alone" or "vjp"
    joint : Trace
        Everything in one trace: what the native text is made of (for all but "vjp"). Of "gradient alone" it does not
        give the results.
    forward, backward : Trace, and Trace or None
        The two halves: what the array text is made of, and what runs for "vjp".
    outputs : int
        How many of the forward outputs are results.
    native_halves : two of Trace, or None
        What the native text of "vjp" is made of, None for all else. The forward half may keep more than `forward`
        does: what both keep comes first.
    """

    kind: str
    joint: Trace
    forward: Trace
    backward: Trace | None
    outputs: int
    native_halves: tuple[Trace, Trace] | None = None


def optimised(trace: Trace, once: bool = False) -> Trace:
    """Smaller, same meaning; of a trace that runs once only what nobody reads is dropped."""
    if once:
        return drop_unused(trace)
    trace = drop_unused(trace)  # dead readers would keep the rules from values that are read once
    for _ in range(ROUNDS):
        before = trace
        trace = drop_unused(accumulate(settle_sums(share(hoist(fold(simplify(trace)))))))
        if trace is before:
            break
    trace = forwards(trace)
    verify(trace)
    return trace


def _optimised_exactly(trace: Trace) -> Trace:
    """Smaller, and no value is rounded in another way."""
    trace = drop_unused(trace)
    for _ in range(ROUNDS):
        before = trace
        trace = drop_unused(share(fold(simplify_exactly(trace))))
        if trace is before:
            break
    verify(trace)
    return trace


def prepared(trace: Trace, once: bool = False) -> Trace:
    """A trace to be differentiated: without one-armed branches, with loops or branches optimised, else with each
    condition computed once.

    Inside them a value that is computed twice would get its cotangents twice, and a carried value that stays as it
    is would be stacked.
    """
    trace = lower_branches(trace)
    if once:
        return share_conditions(trace)
    trace = put_together(trace)
    return optimised(trace) if has_control(trace) else share_conditions(trace)


def within(trace: Trace, memory: int | None) -> Trace:
    """The trace with loops whose reverse keeps no more than these bytes; None: any number."""
    return trace if memory is None else checkpointed(trace, memory)


def for_loops(trace: Trace) -> Trace:
    """The same program as the native text writes it: what can be a loop over elements is made of such steps.

    What is made element by element rounds as in the array text, which keeps the loops that are written out here. Sums
    may round in another way, of what masks pick and of products, and so may what is computed of the factors of a
    matrix.
    """
    written_out = unroll(trace)
    if written_out is not trace:
        trace = _optimised_exactly(written_out)
    while (joined := together(trace)) is not trace:
        trace = _optimised_exactly(joined)
    trace = drop_unused(in_parts(carry_multiplied(trace)))
    trace = scale_products(factor_once(share(without_repeats(spell_out(trace)))))
    there = at_their_places(trace)
    trace = least_memory_first(drop_unused(overlays(trace if there is trace else share(there))))
    return no_output_twice(drop_unused(add_products(trace)))


def in_order(trace: Trace) -> Trace:
    """The trace with additions to parts of arrays in the order in which native text needs the least memory."""
    return own_parts_first(in_falling_order(trace))


def plan_value(trace: Trace, once: bool = False) -> Plan:
    """A program that computes what the function computes."""
    trace = optimised(lower_branches(trace), once)
    trace = own_outputs(trace, len(trace.outputs))
    return Plan("value", trace, trace, None, len(trace.outputs))


def plan_gradient(
    trace: Trace,
    wrt: Sequence[int],
    seeded: Sequence[int],
    once: bool = False,
    memory: int | None = None,
    valued: bool = True,
) -> Plan:
    """Value and gradient of the scalar output `seeded[0]`.

    `memory`: bytes that loops may keep, None for any number. Without `valued` the joint trace computes the gradient
    alone; the forward half always tells the value, as a person expects of it.
    """
    trace = within(prepared(trace, once), memory)
    outputs = len(trace.outputs)
    joint = in_order(optimised(reverse_mode(trace, wrt, seeded, unit_seed=True), once))
    forward, backward = split(joint, outputs, 0)
    if not valued:
        joint = drop_unused(replace(joint, outputs=joint.outputs[outputs:]))
    return Plan(
        "gradient" if valued else "gradient alone",
        own_outputs(joint, len(joint.outputs)),
        own_outputs(forward, outputs),
        own_outputs(backward, len(backward.outputs)),
        outputs,
    )


def plan_vjp(
    trace: Trace, wrt: Sequence[int], seeded: Sequence[int], once: bool = False, memory: int | None = None
) -> Plan:
    """A forward program that keeps residuals, and a backward program that takes a cotangent for each of `seeded`.

    The residuals outlive the call, so they have memory that neither the caller nor the results share.
    """
    trace = within(prepared(trace, once), memory)
    joint = in_order(optimised(reverse_mode(trace, wrt, seeded), once))
    outputs = len(trace.outputs)
    halves = split(joint, outputs, len(seeded))
    owned = _with_own_outputs(halves)
    further = None if once else _keeping_factors(joint, halves[0].outputs[outputs:], outputs, len(seeded))
    return Plan("vjp", joint, *owned, outputs, owned if further is None else _with_own_outputs(further))


def _with_own_outputs(halves: tuple[Trace, Trace]) -> tuple[Trace, Trace]:
    forward, backward = halves
    return own_outputs(forward, len(forward.outputs)), own_outputs(backward, len(backward.outputs))


def _keeping_factors(
    joint: Trace, residuals: Sequence[Atom], outputs: int, cotangents: int
) -> tuple[Trace, Trace] | None:
    """The halves of "vjp" where a matrix that both factor is large: its factors are further residuals, behind the rest.

    The rest stays: a pullback of tensors goes on from what the native program leaves.
    """
    known, gradients = joint.outputs[:outputs], joint.outputs[outputs:]
    joint = replace(joint, outputs=(*known, *residuals, *gradients))
    factored = factor_once(joint)
    if factored is joint:
        return None
    forward, backward = split(factored, outputs + len(residuals), cotangents)
    kept = forward.outputs[outputs : outputs + len(residuals)]
    further = [v for v in backward.inputs[: len(backward.inputs) - cotangents] if v not in kept]
    if sum(v.type.size for v in further) < LARGE:
        return None
    taken = (v if isinstance(v, Var) and v not in kept[:k] else Var(v.type) for k, v in enumerate(kept))
    bars = backward.inputs[len(backward.inputs) - cotangents :]
    return (
        replace(forward, outputs=(*forward.outputs[:outputs], *kept, *further)),
        replace(backward, inputs=(*taken, *further, *bars)),
    )


def plan_plainly(mode: str, trace: Trace, wrt: Sequence[int], seeded: Sequence[int]) -> Plan:
    """The derivative as the calculus writes it, by no pass that could be left out: for where one of them fails.

    The backward half of "vjp" computes again what it needs. Results may share memory with inputs.
    """
    trace = lower_branches(trace)
    outputs = len(trace.outputs)
    if mode == "vjp":
        joint = reverse_mode(trace, wrt, seeded)
        forward = replace(trace, outputs=(*trace.outputs, *trace.inputs))
        halves = forward, replace(joint, outputs=joint.outputs[outputs:])
        return Plan("vjp", joint, *halves, outputs, halves)
    if mode == "gradient":
        joint = reverse_mode(trace, wrt, seeded, unit_seed=True)
        return Plan("gradient", joint, joint, None, outputs)
    if mode == "jacobian":
        trace = jacobians(trace, wrt, seeded)
    joint = forward_mode(trace, wrt) if mode == "jvp" else trace
    return Plan("value", joint, joint, None, len(joint.outputs))


def plan_jvp(trace: Trace, wrt: Sequence[int], once: bool = False) -> Plan:
    """Value and tangent, from the inputs and a tangent for each of `wrt`."""
    joint = optimised(forward_mode(prepared(trace, once), wrt), once)
    joint = own_outputs(joint, len(joint.outputs))
    return Plan("value", joint, joint, None, len(joint.outputs))


def plan_jacobian(
    trace: Trace, wrt: Sequence[int], seeded: Sequence[int], once: bool = False, memory: int | None = None
) -> Plan:
    """Value, and the derivatives of each item of the output `seeded[0]` by each item of the inputs."""
    trace = within(prepared(trace, once), memory)
    joint = optimised(jacobians(trace, wrt, seeded), once)
    joint = own_outputs(joint, len(joint.outputs))
    return Plan("value", joint, joint, None, len(joint.outputs))
