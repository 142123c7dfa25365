"""Losses of machine learning as NumPy users write them, for the table of memory."""

from __future__ import annotations

from typing import Any

import numpy as np


def attention(q: Any, k: Any, v: Any) -> Any:
    s = q @ k.T / np.sqrt(q.shape[1])
    e = np.exp(s - np.max(s, axis=1, keepdims=True))
    return np.sum((e / np.sum(e, axis=1, keepdims=True) @ v) ** 2)


def dropout(a: Any, b: Any, x: Any, mask: Any) -> Any:
    return np.sum((np.maximum(x @ a, 0.0) * mask / 0.5 @ b) ** 2)


def normed_rows(a: Any, b: Any, x: Any) -> Any:
    h = x @ a
    centred = h - np.mean(h, axis=1, keepdims=True)
    return np.sum((centred / np.sqrt(np.var(h, axis=1, keepdims=True) + 1e-5) @ b) ** 2)


def normed_columns(a: Any, b: Any, x: Any) -> Any:
    h = x @ a
    h = (h - np.mean(h, axis=0)) / np.sqrt(np.var(h, axis=0) + 1e-5)
    return np.sum((np.maximum(h, 0.0) @ b) ** 2)


def gelu(a: Any, b: Any, x: Any) -> Any:
    h = x @ a
    h = 0.5 * h * (1.0 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    return np.sum((h @ b) ** 2)


def residual_blocks(a: Any, b: Any, x: Any) -> Any:
    h = x + np.tanh(x @ a)
    h = h + np.tanh(h @ b)
    return np.sum(h**2)


def embedding(table: Any, w: Any, i: Any) -> Any:
    return np.sum(np.tanh(table[i] @ w))


def cross_entropy(w: Any, x: Any, y: Any) -> Any:
    z = x @ w
    top = np.max(z, axis=1, keepdims=True)
    logs = z - top - np.log(np.sum(np.exp(z - top), axis=1, keepdims=True))
    return -np.mean(np.sum(y * logs, axis=1))


def autoencoder(a: Any, b: Any, x: Any) -> Any:
    return np.mean((np.tanh(x @ a) @ b - x) ** 2)


def factors(u: Any, v: Any, r: Any, mask: Any) -> Any:
    return np.sum((mask * (u @ v.T - r)) ** 2) + 0.1 * (np.sum(u**2) + np.sum(v**2))


def adam_step(w: Any, x: Any, y: Any, m: Any, s: Any) -> Any:
    g = x.T @ (x @ w - y) / len(x)
    m = 0.9 * m + 0.1 * g
    s = 0.999 * s + 0.001 * g * g
    w = w - 0.01 * m / (np.sqrt(s) + 1e-8)
    return np.mean((x @ w - y) ** 2)


def kernel(x: Any, width: Any) -> Any:
    squares = np.sum(x * x, axis=1)
    apart = squares[:, None] + squares - 2.0 * x @ x.T
    return np.sum(np.exp(-apart / (2 * width**2)))


def sinkhorn(cost: Any) -> Any:
    a = b = np.full(len(cost), 1.0 / len(cost))
    k, v = np.exp(-cost / 0.5), np.ones(len(cost))
    for _ in range(20):
        u = a / (k @ v)
        v = b / (k.T @ u)
    return np.sum(u[:, None] * k * v * cost)


def log_sinkhorn(cost: Any) -> Any:
    size, width = len(cost), 0.5
    f, g = np.zeros(size), np.zeros(size)
    for _ in range(20):
        f = -width * (_logsumexp((g[None, :] - cost) / width, 1) + np.log(size))
        g = -width * (_logsumexp((f[:, None] - cost) / width, 0) + np.log(size))
    return np.sum(np.exp((f[:, None] + g[None, :] - cost) / width) * cost)


def _logsumexp(x: Any, axis: int) -> Any:
    top = np.max(x, axis=axis, keepdims=True)
    return np.squeeze(top, axis) + np.log(np.sum(np.exp(x - top), axis=axis))


def mixture(x: Any, means: Any, shares: Any, widths: Any) -> Any:
    squares = np.sum(x**2, axis=1)[:, None] + np.sum(means**2, axis=1) - 2 * x @ means.T
    logs = shares - 0.5 * squares / np.exp(2 * widths) - x.shape[1] * widths
    return -np.mean(_logsumexp(logs, 1))
