"""`grad_fn` is named as PyTorch 2.13 names it: the names below were recorded from there."""

import pytest

import tracegrad
from tracegrad.record.node import Version

NAMES = {
    "x + 1": "AddBackward0",
    "x - 1": "SubBackward0",
    "1 - x": "RsubBackward1",
    "x * 2": "MulBackward0",
    "x / 2": "DivBackward0",
    "2 / x": "MulBackward0",
    "x ** 2": "PowBackward0",
    "2 ** x": "PowBackward2",
    "x ** x": "PowBackward1",
    "-x": "NegBackward0",
    "abs(x)": "AbsBackward0",
    "x.sum()": "SumBackward0",
    "x.sum(0)": "SumBackward1",
    "x.mean()": "MeanBackward0",
    "x.mean(0)": "MeanBackward1",
    "x.max()": "MaxBackward1",
    "x.max(0).values": "MaxBackward0",
    "x.min()": "MinBackward1",
    "x.amax(0)": "AmaxBackward0",
    "x.norm()": "LinalgVectorNormBackward0",
    "x.norm(dim=0)": "LinalgVectorNormBackward0",
    "x.norm(p=1)": "LinalgVectorNormBackward0",
    "x.std()": "StdBackward0",
    "x.var(0)": "VarBackward0",
    "x.prod()": "ProdBackward0",
    "v @ v": "DotBackward0",
    "x @ v": "MvBackward0",
    "x @ x": "MmBackward0",
    "T.dot(v, v)": "DotBackward0",
    "T.mm(x, x)": "MmBackward0",
    "T.mv(x, v)": "MvBackward0",
    "b.bmm(b)": "BmmBackward0",
    "T.outer(v, v)": "MulBackward0",
    "x[0]": "SelectBackward0",
    "x[1:]": "SliceBackward0",
    "x[[0, 1]]": "IndexBackward0",
    "x[x > 0]": "IndexBackward0",
    "x[None]": "UnsqueezeBackward0",
    "x.t()": "TBackward0",
    "x.T": "PermuteBackward0",
    "x.transpose(0, 1)": "TransposeBackward0",
    "x.permute(1, 0)": "PermuteBackward0",
    "x.reshape(9)": "ViewBackward0",
    "x.view(9)": "ViewBackward0",
    "x.flatten()": "ViewBackward0",
    "x.squeeze()": "SqueezeBackward0",
    "x.unsqueeze(0)": "UnsqueezeBackward0",
    "v.expand(3, 3)": "ExpandBackward0",
    "T.cat([x, x])": "CatBackward0",
    "T.stack([v, v])": "StackBackward0",
    "T.where(x > 0, x, x)": "WhereBackward0",
    "x.clamp(0.1, 0.9)": "ClampBackward1",
    "T.minimum(x, x * 2)": "MinimumBackward0",
    "T.maximum(x, x * 2)": "MaximumBackward0",
    "x.exp()": "ExpBackward0",
    "x.log()": "LogBackward0",
    "x.sqrt()": "SqrtBackward0",
    "x.sin()": "SinBackward0",
    "x.cos()": "CosBackward0",
    "x.tan()": "TanBackward0",
    "x.tanh()": "TanhBackward0",
    "x.sigmoid()": "SigmoidBackward0",
    "x.relu()": "ReluBackward0",
    "x.float()": "ToCopyBackward0",
    "x.clone()": "CloneBackward0",
    "x.cumsum(0)": "CumsumBackward0",
    "x.square()": "PowBackward0",
    "x.rsqrt()": "RsqrtBackward0",
    "x.reciprocal()": "ReciprocalBackward0",
    "x.log1p()": "Log1PBackward0",
    "x.expm1()": "Expm1Backward0",
    "x.atan()": "AtanBackward0",
    "x.asin()": "AsinBackward0",
    "x.acos()": "AcosBackward0",
    "T.atan2(x, x)": "Atan2Backward0",
    "x.erf()": "ErfBackward0",
    "x % 2": "RemainderBackward0",
    "x.fmod(2)": "FmodBackward0",
    "T.logsumexp(x, 0)": "LogsumexpBackward0",
    "x.softmax(0)": "SoftmaxBackward0",
    "x.log_softmax(0)": "LogSoftmaxBackward0",
    "x.trace()": "TraceBackward0",
    "x.tril()": "TrilBackward0",
    "x.det()": "LinalgDetBackward0",
    "x.inverse()": "LinalgInvExBackward0",
    "x.split(1)[0]": "SplitBackward0",
    "x.chunk(3)[0]": "SplitBackward0",
    "x.unbind(0)[0]": "UnbindBackward0",
    "x.repeat(2, 1)": "RepeatBackward0",
    "x.flip(0)": "FlipBackward0",
    "x.roll(1, 0)": "RollBackward0",
    "x.gather(0, T.zeros(1, 3, dtype=T.int64))": "GatherBackward0",
    "x.index_select(0, T.tensor([0]))": "IndexSelectBackward0",
    "T.hypot(x, x)": "HypotBackward0",
    "T.logaddexp(x, x)": "LogaddexpBackward0",
    "x.lerp(x, 0.5)": "LerpBackward0",
    "x.masked_fill(x > 0, 0.0)": "MaskedFillBackward0",
    "x.floor()": "FloorBackward0",
    "x.sign()": "SignBackward0",
    "x.sort().values": "SortBackward0",
    "x.lgamma()": "LgammaBackward0",
}


@pytest.mark.parametrize("expression", NAMES)
def test_a_node_is_named_as_in_pytorch(expression):
    x = tracegrad.eye(3).add(0.5).requires_grad_()
    v = tracegrad.ones(3, requires_grad=True)
    b = tracegrad.ones(2, 3, 3, requires_grad=True)
    y = eval(expression, {"x": x, "v": v, "b": b, "T": tracegrad})
    assert y.grad_fn.name() == NAMES[expression]
    assert repr(y.grad_fn).startswith(f"<{NAMES[expression]} object at 0x")


def test_an_op_without_a_name_in_pytorch_gets_one_from_its_own():
    import numpy as np

    x = tracegrad.ones(3, 3, requires_grad=True)
    assert np.kron(x, x).grad_fn.name().endswith("Backward0")
    assert np.logaddexp2(x, x).grad_fn.name() == "Logaddexp2Backward0"


def test_nodes_are_numbered_in_the_order_of_execution():
    x = tracegrad.ones(1, requires_grad=True)
    first, second = x * 2, x * 3
    assert first.grad_fn.number < second.grad_fn.number
    assert first.grad_fn.location.line == second.grad_fn.location.line


def test_a_version_starts_at_zero():
    version = Version()
    assert version.count == version.recorded == 0
