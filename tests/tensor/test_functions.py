"""Functions and methods under PyTorch's names: their values against NumPy, their derivatives against differences."""

import numpy as np
import pytest
import scipy.linalg
import scipy.special

import tracegrad as tg
from tracegrad.errors import ShapeError, UnsupportedError

rng = np.random.default_rng(3)
A = rng.uniform(0.2, 0.9, (3, 3))
V = rng.uniform(0.2, 0.9, 3)
B = rng.uniform(0.2, 0.9, (2, 3, 3))
CONTEXT = {"T": tg, "np": np, "scipy": scipy, "A": A, "V": V, "B": B}

# What is written with tensors (x is A, v is V, b is B), and the same in NumPy.
SAME = {
    "x.sum(1)": "A.sum(1)",
    "x.sum(dim=(0, 1))": "A.sum()",
    "x.sum(0, keepdim=True)": "A.sum(0, keepdims=True)",
    "b.mean(dim=(0, 2))": "B.mean((0, 2))",
    "x.prod(0)": "A.prod(0)",
    "x.std()": "A.std(ddof=1)",
    "x.std(0)": "A.std(0, ddof=1)",
    "x.std(unbiased=False)": "A.std()",
    "x.var(False)": "A.var()",
    "x.var(1, correction=0, keepdim=True)": "A.var(1, keepdims=True)",
    "x.max()": "A.max()",
    "x.max(1).values": "A.max(1)",
    "x.min(0, keepdim=True).values": "A.min(0, keepdims=True)",
    "x.max(1 - x)": "np.maximum(A, 1 - A)",
    "x.amin(1)": "A.min(1)",
    "x.norm()": "np.sqrt((A * A).sum())",
    "x.norm(1, dim=0)": "np.abs(A).sum(0)",
    "x.norm(3)": "(A**3).sum() ** (1 / 3)",
    "x.norm(float('inf'))": "A.max()",
    "x.norm(-float('inf'))": "A.min()",
    "b.norm(dim=(0, -1), keepdim=True)": "np.sqrt((B * B).sum((0, 2), keepdims=True))",
    "x.logsumexp(0)": "np.log(np.exp(A).sum(0))",
    "x.softmax(-1)": "np.exp(A) / np.exp(A).sum(1, keepdims=True)",
    "x.log_softmax(0)": "A - np.log(np.exp(A).sum(0))",
    "x.cumsum(1)": "A.cumsum(1)",
    "x.cumprod(0)": "A.cumprod(0)",
    "T.dot(v, v)": "V @ V",
    "T.mv(x, v)": "A @ V",
    "x.mm(x)": "A @ A",
    "b.bmm(b)": "B @ B",
    "v.outer(v)": "np.outer(V, V)",
    "v.inner(v)": "V @ V",
    "T.einsum('bij,j->bi', b, v)": "B @ V",
    "x.trace()": "np.trace(A)",
    "x.diag(1)": "np.diag(A, 1)",
    "x.tril(-1) + x.triu()": "A",
    "x.det()": "np.linalg.det(A)",
    "x.inverse()": "np.linalg.inv(A)",
    "x.clamp(0.3, 0.6)": "A.clip(0.3, 0.6)",
    "x.clamp(max=0.5)": "A.clip(None, 0.5)",
    "T.where(x > 0.5, x, x * 2)": "np.where(A > 0.5, A, A * 2)",
    "x.where(x > 0.5, 1 - x)": "np.where(A > 0.5, A, 1 - A)",
    "x.masked_fill(x > 0.5, 0.0)": "np.where(A > 0.5, 0, A)",
    "(x - 0.5).relu()": "np.maximum(A - 0.5, 0)",
    "x.sigmoid()": "1 / (1 + np.exp(-A))",
    "T.softplus(x)": "np.log1p(np.exp(A))",
    "x.rsqrt()": "1 / np.sqrt(A)",
    "x.add(v, alpha=3)": "A + 3 * V",
    "T.sub(x, v, alpha=2)": "A - 2 * V",
    "x.div(v)": "A / V",
    "x.lerp(x * x, 0.25)": "A + 0.25 * (A * A - A)",
    "x.pow(3)": "A**3",
    "x.atan2(v)": "np.arctan2(A, V)",
    "x.hypot(v)": "np.hypot(A, V)",
    "x.fmod(0.3)": "np.fmod(A, 0.3)",
    "x.reshape(1, -1)": "A.reshape(1, -1)",
    "x.view((9,))": "A.ravel()",
    "b.flatten(1)": "B.reshape(2, 9)",
    "b.flatten(0, 1)": "B.reshape(6, 3)",
    "x[None].squeeze(0).unsqueeze(-1)": "A[:, :, None]",
    "b.squeeze()": "B",
    "b.permute(2, 0, 1)": "B.transpose(2, 0, 1)",
    "b.transpose(0, -1)": "B.swapaxes(0, 2)",
    "b.movedim(0, 2)": "np.moveaxis(B, 0, 2)",
    "x.t() + x.T + x.mT": "3 * A.T",
    "v.expand(2, -1)": "np.stack([V, V])",
    "v.expand_as(x)": "np.stack([V, V, V])",
    "x.view_as(b[0])": "A",
    "v.repeat(2, 2)": "np.tile(V, (2, 2))",
    "v.tile((2,))": "np.tile(V, 2)",
    "x.flip(0, 1)": "A[::-1, ::-1]",
    "x.roll(1, 0)": "np.roll(A, 1, 0)",
    "T.cat((x, x), dim=1)": "np.hstack([A, A])",
    "T.stack([v, v], dim=-1)": "np.stack([V, V], -1)",
    "x.split([1, 2], dim=1)[1]": "A[:, 1:]",
    "v.split(2)[1]": "V[2:]",
    "T.chunk(v, 2)[0]": "V[:2]",
    "x.unbind(1)[2]": "A[:, 2]",
    "x.gather(1, T.tensor([[0], [2], [1]]))": "A[[0, 1, 2], [0, 2, 1]][:, None]",
    "x.index_select(0, T.tensor([2, 0, 2]))": "A[[2, 0, 2]]",
    "x[T.tensor([1, 2]), 0]": "A[[1, 2], 0]",
    "x[x > 0.5]": "A[A > 0.5]",
    "x[..., ::2]": "A[..., ::2]",
    "x.sort(0).values": "np.sort(A, 0)",
    "x.sort(1, descending=True).values": "-np.sort(-A, 1)",
    "x.clone().contiguous()": "A",
    "x.erf().erfc().lgamma().digamma() * 0 + x": "A",
    "x.select(1, 2) * x.narrow(0, 1, 1)": "A[:, 2] * A[1:2]",
    "b.take(T.tensor([0, 5, 17]))": "B.ravel()[[0, 5, 17]]",
    "x.take_along_dim(x.argsort(0), 0)": "np.sort(A, 0)",
    "x.masked_select(v > 0.5)": "A[:, V > 0.5].ravel()",
    "x[x.nonzero(as_tuple=True)] * 2": "A.ravel() * 2",
    "x.diagonal() + x[:2].diagonal(1).sum()": "np.diag(A) + np.diag(A[:2], 1).sum()",
    "b.diagonal(-1, 1, 2)": "np.diagonal(B, -1, 1, 2)",
    "x.unfold(0, 2, 1)": "np.lib.stride_tricks.sliding_window_view(A, 2, 0)",
    "v.unfold(0, 2, 1).unflatten(1, (-1, 2))": "np.lib.stride_tricks.sliding_window_view(V, 2).reshape(2, 1, 2)",
    "x.repeat_interleave(2, dim=1)": "np.repeat(A, 2, 1)",
    "v.tensor_split(2)[0]": "V[:2]",
    "x.topk(2).values": "-np.sort(-A, 1)[:, :2]",
    "x.topk(2, 0, largest=False).values": "np.sort(A, 0)[:2]",
    "x.kthvalue(2, 0, keepdim=True).values": "np.sort(A, 0)[1:2]",
    "x.median() + x.median(1).values": "np.median(A) + np.median(A, 1)",
    "x[:, :2].median(1).values": "A[:, :2].min(1)",
    "x.cummax(0).values - x.cummin(1).values": "np.maximum.accumulate(A, 0) - np.minimum.accumulate(A, 1)",
    "x.scatter(1, T.tensor([[0], [2]]), v[:2, None])": "np.where([[1, 0, 0], [0, 0, 1], [0, 0, 0]], V[:, None], A)",
    "x.scatter_add(0, T.tensor([[0, 1, 1], [0, 1, 0]]), (x * x)[:2])": (
        "A + np.stack([[1, 0, 0], [0, 1, 1], [0, 0, 0]]) * (A * A)[0] + "
        "np.stack([[1, 0, 1], [0, 1, 0], [0, 0, 0]]) * (A * A)[1]"
    ),
    "x.index_add(0, T.tensor([1, 1]), b[0, :2], alpha=2.0)": "A + np.outer([0, 1, 0], 2 * B[0, :2].sum(0))",
    "x.index_copy(1, T.tensor([2]), v[:, None])": "np.where([0, 0, 1], V[:, None], A)",
    "x.index_fill(1, T.tensor([2]), 0.5)": "np.where([0, 0, 1], 0.5, A)",
    "x.index_put((T.tensor([0, 0]), T.tensor([1, 1])), v[:2], accumulate=True)": (
        "A + np.outer([1, 0, 0], [0, V[:2].sum(), 0])"
    ),
    "x.clone().fill_diagonal_(0.5)": "np.where(np.eye(3), 0.5, A)",
    "v.addmv(x, v, beta=2, alpha=3) + x.addmm(x, x)": "2 * V + 3 * A @ V + A + A @ A",
    "b.baddbmm(b, b)": "B + B @ B",
    "v.addcmul(x, v, value=2) - v.addcdiv(x, v)": "V + 2 * A * V - V - A / V",
    "x.cross(b[0], dim=1)": "np.cross(A, B[0])",
    "x.kron(v[None]) + v.vdot(v)": "np.kron(A, V[None]) + V @ V",
    "T.tensordot(b, x, dims=([1], [0]))": "np.tensordot(B, A, ([1], [0]))",
    "x.matrix_power(3)": "A @ A @ A",
    "(0.1 * x).matrix_exp()": "scipy.linalg.expm(0.1 * A)",
    "(x @ x.T + 0.1 * v.diag()).logdet() + x.slogdet()[1]": (
        "np.log(np.linalg.det(A @ A.T + 0.1 * np.diag(V))) + np.log(abs(np.linalg.det(A)))"
    ),
    "x.aminmax()[1] - x.aminmax(dim=0)[0]": "A.max() - A.min(0)",
    "x.nansum(0) * x.nanmean()": "A.sum(0) * A.mean()",
    "x.quantile(0.3, dim=1)": "np.quantile(A, 0.3, axis=1)",
    "T.var_mean(x, 0)[0] + T.std_mean(x)[1]": "A.var(0, ddof=1) + A.mean()",
    "x.xlogy(v) + x.logit() + (x - 0.5).erfinv()": (
        "A * np.log(V) + np.log(A / (1 - A)) + scipy.special.erfinv(A - 0.5)"
    ),
    "(3 * x).frac() + x.sinc() + x.deg2rad().rad2deg()": "(3 * A) % 1 + np.sinc(A) + A",
    "x.copysign(v - 0.5) + x.fmax(v) - x.fmin(v)": "np.copysign(A, V - 0.5) + np.fmax(A, V) - np.fmin(A, V)",
    "x.clone().sub_(v).sin_()": "np.sin(A - V)",
    "x.clone().lerp_(v, 0.5).masked_fill_(x > 0.5, 0.25).log_()": (
        "np.log(np.where(A > 0.5, 0.25, 0.5 * A + 0.5 * V))"
    ),
    "x.clone().tril_().add_(v).clamp_(max=0.7)": "np.minimum(np.tril(A) + V, 0.7)",
}


@pytest.mark.parametrize("expression", SAME)
def test_value_and_gradient(expression):
    leaves = {name: tg.tensor(array, requires_grad=True) for name, array in (("x", A), ("v", V), ("b", B))}
    y = eval(expression, CONTEXT | leaves)
    np.testing.assert_allclose(y.detach().numpy(), eval(SAME[expression], CONTEXT), rtol=1e-12)
    weights = np.random.default_rng(0).uniform(0.5, 1.5, tuple(y.shape))
    y.backward(weights)
    for name, leaf in leaves.items():
        if leaf.grad is None:
            continue
        direction, step = np.random.default_rng(1).normal(size=leaf.value.shape), 1e-6
        ends = []
        for sign in (1, -1):
            moved = leaves | {name: tg.tensor(leaf.value + sign * step * direction)}
            ends.append((eval(expression, CONTEXT | moved).detach().numpy() * weights).sum())
        slope = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose((leaf.grad.numpy() * direction).sum(), slope, rtol=1e-6, atol=1e-7)


def test_pytorch_computes_the_same():
    torch = pytest.importorskip("torch")
    for expression in SAME:
        if "softplus" in expression:
            continue  # it is in torch.nn.functional
        found = []
        for library in (tg, torch):
            leaves = [library.tensor(array, requires_grad=True) for array in (A, V, B)]
            y = eval(expression, {"T": library, **dict(zip("xvb", leaves, strict=True))})
            (y * y).sum().backward()
            found.append([y.tolist(), *(0.0 if t.grad is None else t.grad.tolist() for t in leaves)])
        for ours, theirs in zip(*found, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12, err_msg=expression)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("exp", np.exp), ("exp2", np.exp2), ("expm1", np.expm1), ("log", np.log), ("log2", np.log2),
        ("log10", np.log10), ("log1p", np.log1p), ("sin", np.sin), ("cos", np.cos), ("tan", np.tan),
        ("asin", np.arcsin), ("acos", np.arccos), ("atan", np.arctan), ("sinh", np.sinh), ("cosh", np.cosh),
        ("tanh", np.tanh), ("asinh", np.arcsinh), ("atanh", np.arctanh), ("sqrt", np.sqrt), ("square", np.square),
        ("reciprocal", np.reciprocal), ("neg", np.negative), ("abs", np.abs), ("sign", np.sign), ("floor", np.floor),
        ("ceil", np.ceil), ("trunc", np.trunc), ("round", np.rint), ("isnan", np.isnan), ("isfinite", np.isfinite),
        ("isinf", np.isinf), ("logical_not", np.logical_not),
    ],
)  # fmt: skip
def test_functions_of_one_argument_as_function_and_as_method(name, function):
    x = tg.tensor(A)
    np.testing.assert_allclose(getattr(tg, name)(x).numpy(), function(A))
    np.testing.assert_allclose(getattr(x, name)().numpy(), function(A))


def test_comparisons():
    x, y = tg.tensor([1.0, 2.0, 3.0]), tg.tensor([2.0, 2.0, 2.0])
    assert x.lt(y).tolist() == [True, False, False] and x.ge(2).tolist() == [False, True, True]
    assert tg.eq(x, y).tolist() == [False, True, False] and x.ne(y).tolist() == [True, False, True]
    assert tg.le(x, y).tolist() == [True, True, False] and x.gt(y).tolist() == [False, False, True]
    assert x.logical_and(y > 5).tolist() == [False] * 3 and x.logical_xor(y).tolist() == [False] * 3
    assert tg.any(x > 2).item() is True and (x > 2).all().item() is False
    assert tg.equal(x, x.clone()) and not tg.equal(x, y) and not x.equal(x[:2])
    assert tg.allclose(x, x + 1e-9) and not x.allclose(y)


def test_indices_of_extremes():
    x = tg.tensor([[1.0, 5.0], [7.0, 2.0]])
    assert (
        x.argmax().item() == 2
        and x.argmin(1).tolist() == [0, 1]
        and x.argmax(0, keepdim=True).tolist() == [[1, 0]]
    )
    values, indices = x.max(0)
    assert values.tolist() == [7.0, 5.0] and indices.tolist() == [1, 0]
    assert x.argsort(1, descending=True).tolist() == [[1, 0], [0, 1]] and x.sort().indices.tolist() == [
        [0, 1],
        [1, 0],
    ]


def test_the_largest_along_a_dimension_gives_its_derivative_to_one_of_several():
    x = tg.tensor([[2.0, 2.0]], requires_grad=True)
    x.max(1).values.backward()
    assert sorted(x.grad.tolist()[0]) == [0.0, 1.0]
    x.grad = None
    x.max().backward()
    assert x.grad.tolist() == [[0.5, 0.5]]


def test_relu_and_abs_at_zero():
    x = tg.zeros(1, requires_grad=True)
    (x.relu() + x.abs()).backward()
    assert x.grad.tolist() == [0.0]
    assert np.isnan(tg.tensor(float("nan")).relu().item())


def test_places_beside_pytorch():
    x = tg.tensor([[3.0, 1.0, 2.0], [0.0, 5.0, 5.0]])
    assert x.nonzero().tolist() == [[0, 0], [0, 1], [0, 2], [1, 1], [1, 2]]
    assert x.topk(2).indices.tolist() == [[0, 2], [1, 2]] and x.kthvalue(2).indices.tolist() == [2, 1]
    assert x.cummax(1).indices.tolist() == [[0, 0, 0], [0, 1, 2]]
    assert x.cummin(1).indices.tolist() == [[0, 1, 1], [0, 0, 0]]
    assert x.median().item() == 2.0 and x.median(1).values.tolist() == [2.0, 5.0]
    assert (x > 1).count_nonzero(1).tolist() == [2, 2] and x.signbit().any().item() is False


def test_a_diagonal_is_written():
    x = tg.tensor(A, requires_grad=True)
    y = x * 1
    y.diagonal().mul_(x[0])
    y[1:].diagonal().zero_()
    y.sum().backward()
    wanted = np.ones((3, 3)) - np.diag([1, 1], -1) - np.eye(3) + np.diag(A[0])
    wanted[0] += np.diag(A)
    np.testing.assert_allclose(x.grad.numpy(), wanted)


def test_tensors_like_another():
    x = tg.tensor(A, dtype=tg.float32)
    for made in (x.new_zeros(2, 3), x.new_ones((2, 3)), x.new_full((2, 3), 7.0), x.new_empty(2, 3)):
        assert made.shape == (2, 3) and made.dtype == tg.float32
    assert x.new_tensor([1, 2]).dtype == tg.float32 and x.element_size() == 4
    assert x.stride() == (3, 1) and x.t().stride(0) == 1 and x.cpu() is x
    assert x.to("cpu") is x
    generator = tg.Generator().manual_seed(3)
    drawn = tg.zeros(1000).normal_(2.0, 0.5, generator=generator)
    assert abs(drawn.mean().item() - 2) < 0.1 and abs(drawn.std().item() - 0.5) < 0.1
    assert 1 <= drawn.uniform_(1, 3).min().item() < 1.2
    y = tg.tensor(A, requires_grad=True) * 2
    assert not y.retains_grad
    y.retain_grad()
    assert y.retains_grad


def test_rounding_division():
    x = tg.tensor([7.0, -7.0])
    assert x.div(2, rounding_mode="trunc").tolist() == [3.0, -3.0]
    assert tg.div(x, 2, rounding_mode="floor").tolist() == [3.0, -4.0]
    assert tg.tensor([1.25, 1.35]).round(decimals=1).tolist() == [1.2, 1.4]


def test_what_does_not_fit():
    x, v = tg.tensor(A), tg.tensor(V)
    for wrong in (
        lambda: tg.dot(x, v),
        lambda: x.mm(v),
        lambda: v.mv(x),
        lambda: x.bmm(x),
        lambda: tg.ones(2, 2, 2).t(),
    ):
        with pytest.raises(ValueError):
            wrong()
    with pytest.raises(ShapeError, match="do:    make the shapes fit"):
        x + tg.ones(4)
    with pytest.raises(ValueError):
        x.clamp()
    with pytest.raises(UnsupportedError):
        np.packbits(x > 0)


def test_methods_about_the_tensor():
    x = tg.tensor(B)
    assert x.dim() == x.ndim == x.ndimension() == 3 and x.numel() == x.nelement() == tg.numel(x) == 18
    assert (
        x.shape.numel() == 18 and x.is_floating_point() and not tg.ones(1, dtype=tg.int64).is_floating_point()
    )
    assert x.double() is x and x.float().dtype == tg.float32 and x.half().dtype == tg.float16
    assert (
        x.long().dtype == x.to(tg.int64).dtype == tg.int64
        and x.int().dtype == tg.int32
        and x.bool().dtype == tg.bool
    )
    assert x.type(tg.float32).dtype == tg.float32 and x.type() == "tracegrad.float64"
    assert x.type_as(tg.ones(1, dtype=tg.float32)).dtype == tg.float32
    assert x.output_nr == 0 and x.permute(2, 1, 0).contiguous().value.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool, np.float64])
def test_descending_order_of_any_dtype(dtype):
    numbers = np.array([0, 5, 3, 5, 1]).astype(dtype)
    found = tg.sort(tg.tensor(numbers), descending=True, stable=True)
    np.testing.assert_array_equal(found.values.numpy(), np.sort(numbers)[::-1])
    assert found.indices.tolist() == sorted(range(5), key=lambda k: -float(numbers[k]))
