"""Compiled programs beside their array text, at three sizes: a family of functions a row, value and gradient.

`python -m tests.benchmarks --sizes` prints the table, `--sizes cumsum,sort` some rows of it. Both tiers are called in
turn and agree before they are timed. Vectors have so many elements, matrices about so many. Begin with `figures`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import tracegrad as tg

from . import timing

SIZES = (10, 1_000, 100_000)
SLOWER = 1.1  # of the array text's time: measured again, and said
KERNEL = np.array([0.1, 0.2, 0.4, 0.2, 0.1])
KNOTS = np.linspace(-1.0, 2.0, 17)


def positions(x: Any) -> Any:
    """As many indices of the first axis as it has elements, with repeats."""
    return np.random.default_rng(0).integers(-len(x), len(x), len(x))


def regular(x: Any) -> Any:
    return x + 2 * len(x) * np.eye(len(x))


def added_at(x: Any, i: Any) -> Any:
    a = np.zeros_like(x)
    np.add.at(a, i, x * x)
    return np.sum(a * x)


def written_at(x: Any, i: Any) -> Any:
    a = x * 1.0
    a[i] = x * x
    return np.sum(a * x)


def binned(x: Any, i: Any) -> Any:
    a = np.zeros(7)
    np.add.at(a, np.abs(i) % 7, x * x)
    return np.sum(a * a)


def softmax(x: Any) -> Any:
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return np.sum((e / np.sum(e, axis=1, keepdims=True)) ** 2)


def attention(x: Any) -> Any:
    """Three heads side by side, each with its softmax."""
    heads = np.stack([x, 0.5 * x, np.sin(x)], axis=1).transpose(1, 0, 2)
    scores = heads @ heads.swapaxes(-1, -2) / np.sqrt(x.shape[1])
    e = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    return np.sum((e / np.sum(e, axis=-1, keepdims=True) @ heads).transpose(1, 0, 2).reshape(len(x), -1) ** 2)


def smoothed(x: Any) -> Any:
    a = x * 1.0
    a[1:-1] += 0.1 * (x[2:] - 2 * x[1:-1] + x[:-2])
    return np.sum(a * a)


VECTORS: dict[str, Callable[..., Any]] = {
    "arithmetic": lambda x, i: np.sum(x * x + 2.0 * x / (1.0 + x * x)),
    "exp, log, sin": lambda x, i: np.sum(np.exp(x) * np.sin(x) + np.log(x + 2.0)),
    "power": lambda x, i: np.sum((x + 2.0) ** 1.7),
    "where, clip": lambda x, i: np.sum(np.where(x > 0.3, x * x, -x) * np.clip(x, 0.1, 0.8)),
    "max, min": lambda x, i: np.max(x) * np.min(x),
    "mean, var, norm": lambda x, i: np.mean(x) * np.var(x) + np.linalg.norm(x),
    "prod": lambda x, i: np.prod(1.0 + 1e-3 * x),
    "logsumexp": lambda x, i: np.log(np.sum(np.exp(x - np.max(x)))),
    "dot": lambda x, i: x @ x,
    "cumsum": lambda x, i: np.sum(np.cumsum(x) * x),
    "cumprod": lambda x, i: np.sum(np.cumprod(1.0 + 1e-4 * x)),
    "maximum.accumulate": lambda x, i: np.sum(np.maximum.accumulate(x) * x),
    "diff": lambda x, i: np.sum(np.diff(x) ** 2),
    "gradient": lambda x, i: np.sum(np.gradient(x) ** 2),
    "sort": lambda x, i: np.sum(np.sort(x) * x),
    "argsort as index": lambda x, i: np.sum(x[np.argsort(x)] * x),
    "median": lambda x, i: np.median(x) * x[0],
    "quantile": lambda x, i: np.sum(np.quantile(x, [0.1, 0.6])) * x[0],
    "items picked": lambda x, i: np.sum(x[i] * x[i]),
    "items picked, exp": lambda x, i: np.sum(np.exp(x[i]) * x),
    "items written": written_at,
    "items added": added_at,
    "mask": lambda x, i: np.sum(x[i > 2] ** 2),
    "mask of x": lambda x, i: np.sum(x[x > 0.2] ** 2),
    "bins added": binned,
    "maximum, minimum": lambda x, i: np.sum(np.maximum(x, 0.5) * np.minimum(x, x[::-1])),
    "logaddexp": lambda x, i: np.sum(np.logaddexp(x, x[::-1])),
    "complex abs": lambda x, i: np.sum(np.abs(x * (1 + 1j * x))),
    "complex exp": lambda x, i: np.sum(np.real(np.exp(1j * x) * x)),
    "rfft, abs": lambda x, i: np.sum(np.abs(np.fft.rfft(x))),
    "bincount": lambda x, i: np.sum(np.bincount(np.abs(i), weights=x * x) ** 2),
    "digitize": lambda x, i: np.sum(np.digitize(x, KNOTS) * x * x),
    "searchsorted": lambda x, i: np.sum(np.searchsorted(KNOTS, x) * x * x),
    "interp": lambda x, i: np.sum(np.interp(x, KNOTS, KNOTS * KNOTS)),
    "histogram": lambda x, i: np.sum(np.histogram(KNOTS, 5, weights=KNOTS)[0]) * np.sum(x),
    "convolve": lambda x, i: np.sum(np.convolve(x, KERNEL) ** 2),
    "convolve, 3 taps": lambda x, i: np.sum(np.convolve(x, KERNEL[1:4]) ** 2),
    "polyval": lambda x, i: np.sum(np.polyval(KERNEL, x)),
    "flip, roll": lambda x, i: np.sum(x[::-1] * np.roll(x, 2)),
    "concatenate": lambda x, i: np.sum(np.concatenate([x, x * x]) ** 2),
    "repeat, tile": lambda x, i: np.sum(np.repeat(x, 2) * np.tile(x, 2)),
    "pad": lambda x, i: np.sum(np.pad(x, 2) ** 2),
    "stencil in place": lambda x, i: smoothed(x),
}

MATRICES: dict[str, Callable[..., Any]] = {
    "sum, axis 0": lambda x, i: np.sum(np.sum(x, axis=0) ** 2),
    "sum, axis 1": lambda x, i: np.sum(np.sum(x, axis=1) ** 2),
    "prod, axis 1": lambda x, i: np.sum(np.prod(1.0 + 1e-2 * x, axis=1)),
    "norm, axis 1": lambda x, i: np.sum(np.linalg.norm(x, axis=1)),
    "rows beside": lambda x, i: np.sum((x - x[0]) ** 2),
    "columns beside": lambda x, i: np.sum((x * x[:, :1]) ** 2),
    "var, axis 0": lambda x, i: np.sum(np.var(x, axis=0)),
    "max, axis 0": lambda x, i: np.sum(np.max(x, axis=0) ** 2),
    "max, axis 1": lambda x, i: np.sum(np.max(x, axis=1) ** 2),
    "argmax, axis 0": lambda x, i: np.sum(np.argmax(x, axis=0) * x),
    "cumsum, axis 0": lambda x, i: np.sum(np.cumsum(x, axis=0) * x),
    "cumsum, axis 1": lambda x, i: np.sum(np.cumsum(x, axis=1) * x),
    "sort, axis 0": lambda x, i: np.sum(np.sort(x, axis=0) * x),
    "sort, axis 1": lambda x, i: np.sum(np.sort(x, axis=1) * x),
    "softmax": lambda x, i: softmax(x),
    "attention": lambda x, i: attention(x),
    "transpose": lambda x, i: np.sum(x.T * x[0]),
    "exp of x.T": lambda x, i: np.sum(np.exp(x.T)),
    "einsum ij->ji": lambda x, i: np.sum(np.einsum("ij->ji", x) * x),
    "cov": lambda x, i: np.sum(np.cov(x) ** 2),
    "x @ x": lambda x, i: np.sum(x @ x),
    "x.T @ x": lambda x, i: np.sum((x.T @ x) ** 2),
    "x @ v": lambda x, i: np.sum((x @ x[0]) ** 2),
    "v @ x": lambda x, i: np.sum((x[0] @ x) ** 2),
    "outer": lambda x, i: np.sum(np.outer(x[0], x[1]) * x),
    "einsum ij,ij->i": lambda x, i: np.sum(np.einsum("ij,ij->i", x, x) ** 2),
    "einsum ij,kj->ik": lambda x, i: np.sum(np.einsum("ij,kj->ik", x, x)),
    "rows picked": lambda x, i: np.sum(x[i] * x),
    "columns picked": lambda x, i: np.sum(x[:, i] * x),
    "pairs picked": lambda x, i: np.sum(x[i, i[::-1]] ** 2),
    "open grid": lambda x, i: np.sum(x[np.ix_(i, i)] * x),
    "concatenate, axis 1": lambda x, i: np.sum(np.concatenate([x, x * x], axis=1) ** 2),
    "stack, axis 1": lambda x, i: np.sum(np.stack([x, x * x], axis=1) ** 2),
    "tril, trace": lambda x, i: np.sum(np.tril(x) ** 2) + np.trace(x),
    "diagonal": lambda x, i: np.sum(np.diag(x) ** 2),
    "solve": lambda x, i: np.sum(np.linalg.solve(regular(x), x[0])),
    "solve, matrix": lambda x, i: np.sum(np.linalg.solve(regular(x), x) ** 2),
    "inv": lambda x, i: np.sum(np.linalg.inv(regular(x))),
    "slogdet": lambda x, i: np.linalg.slogdet(regular(x))[1],
    "cholesky": lambda x, i: np.sum(np.linalg.cholesky(regular(x @ x.T))),
}


def given(name: str, size: int) -> tuple[Any, Any]:
    """The array that is differentiated, and indices of its first axis."""
    generator = np.random.default_rng(1)
    side = max(3, round(size**0.5))
    x = generator.uniform(-1.0, 1.0, size if name in VECTORS else (side, side))
    return x, positions(x)


def measured(name: str, size: int, rounds: int) -> float | str:
    """The compiled program's time as a multiple of the array text's, or why there is none."""
    function = VECTORS.get(name) or MATRICES[name]
    arguments = given(name, size)
    native, array = (tg.value_and_grad(function, jit=tier) for tier in ("native", "python"))
    for _ in range(2):
        (value, bar), (wanted, wanted_bar) = native(*arguments), array(*arguments)
        np.testing.assert_allclose(value, wanted, rtol=1e-8)
        np.testing.assert_allclose(bar, wanted_bar, rtol=1e-6, atol=1e-7 * np.max(np.abs(wanted_bar)))
    if not native.stats.compiles and not native.stats.loads:
        return "NumPy"
    times = timing.interleaved({"native": native, "array": array}, [arguments], rounds)
    return times["native"] / times["array"]


def figures(rounds: int, say: Callable[[str], None], only: Sequence[str] = ()) -> str:
    """The table, the slowest first; a figure above `SLOWER` is the smaller one of two measurements."""
    names = [n for n in (*VECTORS, *MATRICES) if not only or any(part in n for part in only)]
    rows: dict[str, list[float | str]] = {}
    for name in names:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [measured(name, size, rounds) for size in SIZES]
            for k, size in enumerate(SIZES):
                first = found[k]
                if isinstance(first, float) and first > SLOWER:
                    again = measured(name, size, 2 * rounds)
                    found[k] = min(first, again) if isinstance(again, float) else again
        rows[name] = found
        say(f"{name}: {found}")
    worst = {n: max((f for f in found if isinstance(f, float)), default=0.0) for n, found in rows.items()}
    lines = [
        "Time of a compiled program, value and gradient, as a multiple of its array text's; medians of calls in turn.",
        "",
        "| program | " + " | ".join(f"{size:,}" for size in SIZES) + " |",
        "|---|" + "---:|" * len(SIZES),
    ]
    for name in sorted(rows, key=lambda n: -worst[n]):
        cells = (f if isinstance(f, str) else f"{f:.2f}" for f in rows[name])
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    slower = sum(f > SLOWER for found in rows.values() for f in found if isinstance(f, float))
    numpy = sum(f == "NumPy" for found in rows.values() for f in found)
    lines += [
        "",
        f"{len(rows) * len(SIZES)} programs; slower than the array text: {slower}; not compiled: {numpy}.",
    ]
    return "\n".join(lines) + "\n"
