"""The memory of value and gradient at its peak, beside what must live: a program a row, in arrays of 8 MB.

`python -m tests.benchmarks --memory` prints the table, `--memory cumsum,sort` some rows of it. What must live is said
beside each program, with the reason: its gradients, and what no order of the same steps could do without. Scalars,
rows and columns count nothing. Begin with `PROGRAMS` and `figures`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tracegrad as tg
from tracegrad import tree
from tracegrad.compiler import pool

from . import learning, pieces, stepping
from .peaks import peak
from .pieces import laplacian

SIDE = 1000
ARRAY = SIDE * SIDE * 8  # bytes
ALLOWED = 1.10  # times what must live
EPS = 1e-3
STEPS = 6
MANY = 1000  # steps of a loop whose residuals are held within a budget
BUDGET = 40  # arrays

Function = Callable[..., Any]


@dataclass(frozen=True)
class Program:
    """A function, what it is called with, and how many arrays beside that must live.

    Attributes
    ----------
    function : of arrays, to a number
    must : float
        Arrays at the same time, beside the inputs.
    why : str
        What they are, where they are not gradients alone.
    make : callable
        The arguments.
    wrt : int
        So many of the first arguments are differentiated.
    way : str
        "gradient", "hvp" for its product with another array as large, "jvp"
    memory : int or None
        The budget of a loop, in arrays.
    """

    function: Function
    must: float
    why: str = ""
    make: Callable[[], tuple[Any, ...]] = lambda: (square(0),)
    wrt: int = 1
    way: str = "gradient"
    memory: int | None = None


# --- what they are called with


def square(seed: int) -> Any:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, (SIDE, SIDE))


def vector(seed: int) -> Any:
    return square(seed).ravel()


def squares(count: int) -> Callable[[], tuple[Any, ...]]:
    return lambda: tuple(square(seed) for seed in range(count))


def one_vector() -> tuple[Any, ...]:
    return (vector(0),)


def picked() -> tuple[Any, ...]:
    """A vector, and as many places of it, with repeats."""
    return vector(0), places(SIDE * SIDE, SIDE * SIDE)


def places(count: int, length: int) -> Any:
    return np.random.default_rng(1).integers(0, length, count)


def of_two_layers() -> tuple[Any, ...]:
    return square(0) * 0.05, square(1) * 0.05, square(2)


def of_layers() -> tuple[Any, ...]:
    """Three matrices with small numbers, and the data."""
    return (*(square(seed) * 0.05 for seed in range(3)), square(3))


# --- the functions


def variation(x: Any) -> Any:
    across, down = x[:-1, 1:] - x[:-1, :-1], x[1:, :-1] - x[:-1, :-1]
    return np.sum(np.sqrt(down**2 + across**2 + EPS))


def covariance(x: Any) -> Any:
    return np.sum(np.cov(x, rowvar=False) ** 2)


def rolled(u: Any) -> Any:
    return np.roll(u, 1, 0) + np.roll(u, -1, 0) + np.roll(u, 1, 1) + np.roll(u, -1, 1) - 4.0 * u


def blurred(x: Any) -> Any:
    inner = (x[:-2] + 2.0 * x[1:-1] + x[2:]) / 4.0
    inner = (inner[:, :-2] + 2.0 * inner[:, 1:-1] + inner[:, 2:]) / 4.0
    return np.sum((x[1:-1, 1:-1] - inner) ** 2)


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return np.sum((e / np.sum(e, axis=1, keepdims=True)) ** 2)


def logsumexp(x: Any) -> Any:
    top = np.max(x, axis=1, keepdims=True)
    return np.sum(np.log(np.sum(np.exp(x - top), axis=1, keepdims=True)) + top)


def log_likelihood(x: Any, labels: Any) -> Any:
    top = np.max(x, axis=1, keepdims=True)
    logs = x - top - np.log(np.sum(np.exp(x - top), axis=1, keepdims=True))
    return -np.mean(logs[np.arange(len(labels)), labels])


def mixture(x: Any, means: Any, widths: Any) -> Any:
    z = (x[:, None] - means) / widths
    logs = -0.5 * z * z - np.log(widths)
    top = np.max(logs, axis=1, keepdims=True)
    return np.sum(np.log(np.sum(np.exp(logs - top), axis=1)) + top[:, 0])


def normed(x: Any, axis: int) -> Any:
    centred = x - np.mean(x, axis=axis, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=axis, keepdims=True) + EPS)


def layer_norm(x: Any) -> Any:
    return np.sum(np.tanh(normed(x, 1)))


def batch_norm(x: Any) -> Any:
    return np.sum(np.tanh(normed(x, 0)))


def written(x: Any) -> Any:
    a = x * 1.0
    a[1:-1] += 0.1 * (x[2:] - 2 * x[1:-1] + x[:-2])
    return np.sum(a * a)


def relaxed(x: Any) -> Any:
    a = x.copy()
    for _ in range(STEPS):
        a[1:-1, 1:-1] += 0.1 * laplacian(a)
    return np.sum(a * a)


def diffused(u: Any) -> Any:
    for _ in range(STEPS):
        u = u + 0.1 * rolled(u)
    return np.sum(u * u)


def reacted(u: Any) -> Any:
    for _ in range(STEPS):
        u = u + 0.1 * (u - u**3)
    return np.sum(u * u)


def waves(u: Any) -> Any:
    old = u
    for _ in range(STEPS):
        old, u = u, 2.0 * u - old + 0.1 * rolled(u)
    return np.sum(u * u)


def recurred(x: Any) -> Any:
    old, y = x, 0.9 * x
    for _ in range(STEPS):
        old, y = y, 0.9 * y - 0.2 * old
    return np.sum(y * y)


def steered(u: Any) -> Any:
    for _ in range(MANY):
        u = u + 1e-3 * np.sin(u)
    return np.sum(u * u)


def added_at(x: Any, i: Any) -> Any:
    a = np.zeros_like(x)
    np.add.at(a, i, x * x)
    return np.sum(a * x)


def network(a: Any, b: Any, c: Any, x: Any) -> Any:
    return np.sum(np.tanh(np.tanh(np.tanh(x @ a) @ b) @ c) ** 2)


def chain(x: Any) -> Any:
    return np.sum(np.sin(x) * np.exp(-x * x) + x**3)


def edges(x: Any) -> Any:
    down = x[2:, :-2] - x[:-2, :-2] + 2.0 * (x[2:, 1:-1] - x[:-2, 1:-1]) + x[2:, 2:] - x[:-2, 2:]
    across = x[:-2, 2:] - x[:-2, :-2] + 2.0 * (x[1:-1, 2:] - x[1:-1, :-2]) + x[2:, 2:] - x[2:, :-2]
    return np.sum(np.sqrt(down * down + across * across + EPS))


def huber(x: Any, y: Any, weights: Any) -> Any:
    far = np.abs(x - y)
    return np.sum(np.where(far <= 1.0, 0.5 * far * far, far - 0.5) * weights) / np.sum(weights)


def entropy(x: Any) -> Any:
    p = np.exp(x - np.max(x, axis=1, keepdims=True))
    p = p / np.sum(p, axis=1, keepdims=True)
    return -np.sum(p * np.log(p + EPS))


def stepped(x: Any) -> Any:
    a = x.copy()
    a[1:-1, 1:-1] = x[1:-1, 1:-1] + 0.1 * laplacian(x)
    return np.sum(a * a)


def distances(x: Any, y: Any) -> Any:
    squares = np.sum(x * x, axis=1)[:, None] + np.sum(y * y, axis=1)[None, :] - 2 * x @ y.T
    return np.sum(np.sqrt(np.maximum(squares, 0) + EPS))


def averaged(x: Any) -> Any:
    sums = np.cumsum(x)
    return np.sum(((sums[50:] - sums[:-50]) / 50) ** 2)


def windowed(x: Any, k: Any) -> Any:
    return np.sum(np.einsum("ijkl,kl->ij", np.lib.stride_tricks.sliding_window_view(x, k.shape), k) ** 2)


def repeated_ends(x: Any) -> Any:
    return np.sum(np.diff(np.concatenate([x[:1], x, x[-1:]]), 2) ** 2)


def bordered(x: Any) -> Any:
    a = x * 1.0
    a[0] = a[-1] = 0.0
    a[:, 0] = a[:, -1] = 1.0
    return np.sum(laplacian(a) ** 2)


def slopes(x: Any) -> Any:
    down, across = np.gradient(x)
    return np.sum(np.sqrt(down * down + across * across + EPS))


def around(x: Any) -> Any:
    p = np.concatenate([x[-1:], x, x[:1]])
    return np.sum((p[2:] - 2.0 * p[1:-1] + p[:-2]) ** 2)


PROGRAMS: dict[str, Program] = {
    "chain": Program(chain, 1),
    "chain of three": Program(lambda x, y, z: np.sum(np.tanh(x * y) + y / (1 + z * z)), 3, "", squares(3), 3),
    "where, clip": Program(lambda x: np.sum(np.where(x > 0.3, x * x, -x) * np.clip(x, 0.1, 0.8)), 1),
    "mask": Program(lambda x: np.sum(x[x > 0.2] ** 2), 1),
    "variance, norm": Program(lambda x: np.var(x) + np.linalg.norm(x), 1),
    "sums along axes": Program(
        lambda x: np.sum(np.sum(x * x, axis=0) ** 2) + np.sum(np.exp(np.sum(x, axis=1) * 1e-3)), 1
    ),
    "maxima along axes": Program(
        lambda x: np.sum(np.max(x, axis=0) ** 2) + np.sum(np.max(x, axis=1) ** 2), 1
    ),
    "outer": Program(lambda x: np.sum(np.outer(x[0], x[1]) * x), 1),
    "total variation": Program(variation, 1),
    "five points": Program(lambda x: np.sum(laplacian(x) ** 2), 1),
    "blur": Program(blurred, 1),
    "rolled": Program(lambda x: np.sum(rolled(x) ** 2), 1),
    "transposed": Program(lambda x: np.sum(np.tanh(x.T) * x), 1),
    "symmetric": Program(lambda x: np.sum(np.tanh((x + x.T) / 2) ** 2), 1),
    "softmax": Program(softmax, 1),
    "logsumexp": Program(logsumexp, 1),
    "labels": Program(log_likelihood, 1, make=lambda: (square(0), places(SIDE, SIDE))),
    "mixture": Program(
        mixture, 1, make=lambda: (vector(0), np.linspace(-1, 1, 8), np.linspace(1, 2, 8)), wrt=3
    ),
    "layer norm": Program(layer_norm, 1),
    "batch norm": Program(batch_norm, 1),
    "cumsum": Program(lambda x: np.sum(np.cumsum(x) ** 2), 1, make=one_vector),
    "cumsum, axis 0": Program(lambda x: np.sum(np.cumsum(x, axis=0) ** 2), 1),
    "diff": Program(lambda x: np.sum(np.diff(x) ** 2), 1, make=one_vector),
    "sort": Program(lambda x: np.sum(np.sort(x) * x), 2, "the order", make=one_vector),
    "concatenate": Program(
        lambda x, y: np.sum(np.concatenate([x, y * y], axis=0) ** 2), 2, "", squares(2), 2
    ),
    "stack": Program(lambda x, y: np.sum(np.stack([x, y * y], axis=1) ** 2), 2, "", squares(2), 2),
    "pad": Program(lambda x: np.sum(np.pad(x, 1) ** 2), 1),
    "written": Program(written, 1),
    "inside written": Program(stepped, 1),
    "repeated ends": Program(repeated_ends, 1, make=one_vector),
    "borders written": Program(bordered, 1),
    "padded stencil": Program(lambda x: np.sum(laplacian(np.pad(x, 1)) ** 2), 1),
    "slopes": Program(slopes, 1),
    "periodic ends": Program(around, 1, make=one_vector),
    "appended": Program(lambda x: np.sum(np.diff(np.append(x, 0.0)) ** 2), 1, make=one_vector),
    "block sums": Program(lambda x: np.sum(np.sum(x.reshape(-1, 10), axis=1) ** 2), 1, make=one_vector),
    "downsampled": Program(lambda x: np.sum(np.mean(x.reshape(500, 2, 500, 2), axis=(1, 3)) ** 2), 1),
    **{name: Program(function, 1) for name, function in pieces.FUNCTIONS.items()},
    **{name: Program(*how) for name, how in stepping.FUNCTIONS.items()},
    "edges": Program(edges, 1),
    "robust loss": Program(huber, 2, "", squares(3), 2),
    "entropy": Program(entropy, 1),
    "gather": Program(lambda x, i: np.sum(x[i] * x), 1, make=picked),
    "add.at": Program(added_at, 1, make=picked),
    "interp": Program(
        lambda x: np.sum(np.interp(x, np.linspace(-1, 1, 17), np.linspace(-1, 1, 17) ** 2)),
        1,
        make=one_vector,
    ),
    "convolution": Program(
        lambda x, k: np.sum(np.convolve(x, k, mode="same") ** 2),
        2,
        "the convolution",
        lambda: (vector(0), vector(1)[:50]),
        2,
    ),
    "moving average": Program(averaged, 2, "the running sums", one_vector),
    "windows": Program(windowed, 1, "", lambda: (square(0), square(1)[:3, :3]), 2),
    "convolution by FFT": Program(
        lambda x, k: np.sum(np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(k)) ** 2),
        4,
        "both spectra",
        lambda: (vector(0), vector(1)),
        2,
    ),
    "rfft": Program(lambda x: np.sum(np.abs(np.fft.rfft(x)) ** 2), 2, "the spectrum", one_vector),
    "covariance": Program(covariance, 2, "the centred columns, or the covariance"),
    "distances": Program(distances, 3, "the product: its gradient stands there", squares(2), 2),
    "distances of one": Program(lambda x: distances(x, x), 2, "the product: its gradient stands there"),
    "matrix products": Program(
        lambda x, y, z: np.sum((x @ y @ z) ** 2),
        4,
        "one more product: a gradient stands where another was",
        squares(3),
        3,
    ),
    "network": Program(
        network, 5, "what two layers make: a gradient stands where the third was", of_layers, 3
    ),
    "attention": Program(
        learning.attention, 4, "scores and probabilities, as the gradient of v is made", squares(3), 3
    ),
    "dropout": Program(
        learning.dropout,
        4,
        "two layers: a gradient stands where one was",
        lambda: (*of_two_layers(), (square(3) > 0) * 1.0),
        2,
    ),
    "layer norm, products": Program(
        learning.normed_rows, 4, "two layers: a gradient stands where one was", of_two_layers, 2
    ),
    "batch norm, relu": Program(
        learning.normed_columns, 4, "two layers: a gradient stands where one was", of_two_layers, 2
    ),
    "gelu": Program(learning.gelu, 4, "two layers: a gradient stands where one was", of_two_layers, 2),
    "autoencoder": Program(
        learning.autoencoder, 4, "two layers: a gradient stands where one was", of_two_layers, 2
    ),
    "residual blocks": Program(
        learning.residual_blocks,
        5,
        "two layers, what goes around the second, and a gradient",
        of_two_layers,
        2,
    ),
    "embedding": Program(
        learning.embedding, 3, "what is picked", lambda: (*of_two_layers()[:2], places(SIDE, SIDE)), 2
    ),
    "cross entropy": Program(
        learning.cross_entropy,
        2,
        "the scores",
        lambda: (*of_two_layers()[1:], np.eye(SIDE)[places(SIDE, SIDE)]),
    ),
    "factors": Program(
        learning.factors, 3, "the residual", lambda: (*squares(3)(), (square(3) > 0) * 1.0), 2
    ),
    "Adam step": Program(
        learning.adam_step,
        3,
        "the first gradient and what the loss reads",
        lambda: (*squares(4)(), np.abs(square(4))),
    ),
    "kernel matrix": Program(learning.kernel, 2, "the kernel", lambda: (square(0), np.array(20.0)), 2),
    "Sinkhorn": Program(learning.sinkhorn, 2, "the kernel", lambda: (np.abs(square(0)),)),
    "Sinkhorn of logarithms": Program(
        learning.log_sinkhorn,
        2.04,
        "weights of the columns: read after their sums; potentials of 20 steps",
        lambda: (np.abs(square(0)),),
    ),
    "repeated": Program(lambda x: np.sum(np.repeat(x, 2) ** 2), 1, make=one_vector),
    "repeated along axes": Program(
        lambda x: np.sum(np.tanh(np.repeat(np.repeat(x, 2, axis=0), 2, axis=1))), 1
    ),
    "tiled": Program(lambda x: np.sum(np.tile(x, (2, 2)) ** 2), 1),
    "Kronecker product": Program(
        lambda x, y: np.sum(np.kron(x, y) ** 2), 1, "", lambda: (square(0), square(1)[:2, :2]), 2
    ),
    "mixture of vectors": Program(
        learning.mixture,
        1,
        "",
        lambda: (square(0).reshape(-1, 10), square(1)[:8, :10], square(2)[0, :8], square(3)[0, :8]),
        4,
    ),
    "covariance, few columns": Program(
        covariance, 2, "the centred columns", lambda: (square(0).reshape(-1, 100),)
    ),
    "correlations": Program(
        lambda x: np.sum(np.corrcoef(x, rowvar=False) ** 2), 2, "the centred columns, or the covariance"
    ),
    "quadratic form": Program(
        lambda a, x: np.sum(x * (a @ x)) + np.trace(a),
        2,
        "a @ x stands where the gradient of x comes",
        squares(2),
        2,
    ),
    "in place, in a loop": Program(relaxed, 2, "a part of the step before: linear, no residuals"),
    "diffusion": Program(diffused, 2, "the step before: linear, no residuals"),
    "reaction": Program(reacted, 1),
    "waves": Program(waves, 2, "the step before: linear, no residuals"),
    "recurrence": Program(recurred, 1),
    "hvp of a chain": Program(chain, 1, "", squares(2), way="hvp"),
    "hvp of total variation": Program(variation, 1, "", squares(2), way="hvp"),
    "jvp of a chain": Program(
        lambda x: np.sin(x) * np.exp(x), 2, "value and tangent, no gradient", squares(2), way="jvp"
    ),
    "jvp of diffusion": Program(
        diffused, 3, "value and tangent, and one of them of the step before", squares(2), way="jvp"
    ),
    "1000 steps": Program(
        steered, BUDGET, f"as told, {BUDGET} arrays", memory=BUDGET, make=lambda: (square(0)[:100],)
    ),
}


def product(function: Function, tier: str) -> Function:
    """The Hessian times an array."""
    gradient = tg.grad(function)
    return tg.grad(lambda x, v: np.sum(gradient(x) * v), jit=tier)


def transformed(program: Program, tier: str) -> Function:
    """What is called: value and gradient, or what the program asks for."""
    if program.way == "jvp":
        forward = tg.jvp(program.function, jit=tier)
        return lambda x, v: forward((x,), (v,))
    if program.way == "hvp":
        return product(program.function, tier)
    memory = program.memory and program.memory * program.make()[0].nbytes
    return tg.value_and_grad(program.function, argnums=tuple(range(program.wrt)), jit=tier, memory=memory)


def measured(program: Program) -> float | str:
    """Arrays at the peak of a call beside its arguments, or why there is no figure; both tiers agree."""
    arguments = program.make()
    native, array = (transformed(program, tier) for tier in ("native", "python"))
    before = [a.copy() for a in arguments]
    for found, wanted in zip(*(tree.flatten(f(*arguments))[0] for f in (native, array)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7 * np.max(np.abs(wanted)))
    for given, same in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(given, same)
    del array, found, wanted, before
    return peak(native, arguments, pool.forget) / arguments[0].nbytes


def figures(say: Callable[[str], None], only: Sequence[str] = ()) -> str:
    """The table, what is farthest from what must live first."""
    rows: dict[str, float] = {}
    for name, program in PROGRAMS.items():
        if only and not any(part in name for part in only):
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows[name] = measured(program)
        say(f"{name}: {rows[name]:.2f} of {program.must:g}")
    lines = [
        "Memory at the peak of a call above what the process held, arguments among that: in arrays as large as the",
        "first argument, mostly of 8 MB. What must live are the gradients, and what is said.",
        "",
        "| program | must live | beside gradients | peak | |",
        "|---|---:|---|---:|---|",
    ]
    for name in sorted(rows, key=lambda n: PROGRAMS[n].must / rows[n]):
        program = PROGRAMS[name]
        met = "met" if rows[name] <= ALLOWED * program.must else "**no**"
        lines.append(f"| {name} | {program.must:g} | {program.why} | {rows[name]:.2f} | {met} |")
    over = sum(rows[n] > ALLOWED * PROGRAMS[n].must for n in rows)
    lines += ["", f"{len(rows)} programs; above {ALLOWED} of what must live: {over}."]
    return "\n".join(lines) + "\n"
