"""Programs that need something of other libraries at run time, in one process: a script of `test_kept_families.py`.

python -m tests.dispatch.run_families
"""

from __future__ import annotations

import json

import numpy as np
import scipy.fft
import scipy.linalg
import scipy.special

import tracegrad as tg

generator = np.random.default_rng(0)
A, B = generator.normal(size=(3, 3)) + 3 * np.eye(3), generator.normal(size=3)
LARGE = generator.normal(size=(130, 130))


def solve(a, b):
    return np.sum(np.linalg.solve(a, b))


def cholesky(a, b):
    return np.sum(np.linalg.cholesky(a @ a.T + np.eye(3))) + np.linalg.det(a) * np.sum(b)


def product(a, b):
    return np.sum(np.tanh(LARGE.T @ LARGE @ LARGE[:, :3] @ a) @ b)


def special(a, b):
    total = 0.0
    for k in range(3):
        total = total + np.sum(scipy.special.jv(1.5, b * b + k) * scipy.special.dawsn(a))
    return total


def called_out(a, b):
    total = 0.0
    for k in range(3):
        total = total + np.sum(scipy.fft.dct(b + k) * np.sin(b) * np.cos(b) + b**3)
    return total


def transforms(a, b):
    return np.sum(np.abs(np.fft.fft(b)) ** 2) + np.sum(np.fft.irfft(np.fft.rfft(a), 4) ** 2)


def matrices(a, b):
    return np.sum(scipy.linalg.expm(0.1 * a) @ b) + np.sum(np.abs(np.linalg.eigvals(a)))


def vectors(a, b):
    values, turned = np.linalg.eigh(a @ a.T)
    left, sizes, right = np.linalg.svd(a)
    q, r = np.linalg.qr(a)
    found = turned * turned + left * left @ right * right + q @ q * r + np.linalg.pinv(a)
    return np.sum(found @ b * values * sizes) * np.linalg.det(a) + np.linalg.slogdet(a)[1]


def main() -> None:
    """Say what each answered, and what it took."""
    found = {}
    for function in (solve, cholesky, product, special, called_out, transforms, matrices, vectors):
        gradient = tg.value_and_grad(function, (0, 1), jit="native")
        value, bars = gradient(A, B)
        stats = gradient.stats
        digits = [float(value).hex(), *(np.asarray(bar).tobytes().hex() for bar in bars)]
        found[function.__name__] = {
            "digits": digits,
            "counts": [stats.loads, stats.captures, stats.compiles],
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
