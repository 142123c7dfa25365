"""Programs as people write them who never heard of differentiation: statistics, learning, physics, finance, vision.

Plain NumPy with loops, branches, lists, dicts, dataclasses, generators, closures, recursion. Each takes eight or nine
numbers and returns one. Begin with `PROGRAMS`.
"""

import math
from dataclasses import dataclass, field

import numpy as np


def kmeans_step(x):
    pts = x.reshape(-1, 2)
    centers = [pts[0], pts[3]]
    for _ in range(2):
        groups = {0: [], 1: []}
        for p in pts:
            d = [np.sum((p - c) ** 2) for c in centers]
            groups[int(np.argmin(d))].append(p)
        centers = [np.mean(groups[k], axis=0) if groups[k] else centers[k] for k in groups]
    return sum(np.sum((p - centers[0]) ** 2) for p in pts)


@dataclass
class Kalman:
    F: np.ndarray
    H: np.ndarray
    Q: np.ndarray
    R: float
    state: np.ndarray = field(default_factory=lambda: np.zeros(2))
    P: np.ndarray = field(default_factory=lambda: np.eye(2))

    def predict(self):
        self.state = self.F @ self.state
        self.P = self.F @ self.P @ self.F.T + self.Q

    def update(self, z):
        S = self.H @ self.P @ self.H.T + self.R
        K = self.P @ self.H.T / S
        r = z - self.H @ self.state
        self.state = self.state + K * r
        self.P = (np.eye(2) - np.outer(K, self.H)) @ self.P
        return -0.5 * (r**2 / S + np.log(2 * np.pi * S))


def kalman(x):
    k = Kalman(np.array([[1.0, x[0]], [0.0, 1.0]]), np.array([1.0, 0.0]), np.eye(2) * x[1] ** 2, x[2] ** 2)
    ll = 0.0
    for z in x[3:]:
        k.predict()
        ll += k.update(z)
    return ll


def hmm_forward(x):
    A = np.exp(x[:4].reshape(2, 2))
    A = A / A.sum(axis=1, keepdims=True)
    mu = x[4:6]
    obs = [0.1, 1.2, 0.3, 0.9]
    alpha = np.array([0.5, 0.5]) * np.exp(-0.5 * (obs[0] - mu) ** 2)
    logz = 0.0
    for o in obs[1:]:
        c = alpha.sum()
        logz += np.log(c)
        alpha = (alpha / c) @ A * np.exp(-0.5 * (o - mu) ** 2)
    return logz + np.log(alpha.sum())


def gauss_newton(x):
    t = np.linspace(0, 1, 5)
    y = 2.0 * np.exp(-1.3 * t) + 0.01 * x[2]
    p = x[:2].copy()
    for _it in range(3):
        r = p[0] * np.exp(-p[1] * t) - y
        J = np.stack([np.exp(-p[1] * t), -p[0] * t * np.exp(-p[1] * t)], axis=1)
        p = p - np.linalg.solve(J.T @ J, J.T @ r)
        if np.linalg.norm(r) < 1e-12:
            break
    return p @ np.array([1.0, 2.0])


def heat(x):
    u = np.zeros((6, 6))
    u[2:4, 2:4] = x[0]
    k = 0.1 * x[1] ** 2
    for _n in range(5):
        un = u.copy()
        u[1:-1, 1:-1] = un[1:-1, 1:-1] + k * (
            un[2:, 1:-1] + un[:-2, 1:-1] + un[1:-1, 2:] + un[1:-1, :-2] - 4 * un[1:-1, 1:-1]
        )
    return np.sum(u**2)


def natural_spline(x):
    n = 5
    t = np.arange(n) * 1.0
    y = x[:n]
    h = np.diff(t)
    A = np.zeros((n, n))
    b = np.zeros(n)
    A[0, 0] = A[-1, -1] = 1
    for i in range(1, n - 1):
        A[i, i - 1], A[i, i], A[i, i + 1] = h[i - 1], 2 * (h[i - 1] + h[i]), h[i]
        b[i] = 3 * ((y[i + 1] - y[i]) / h[i] - (y[i] - y[i - 1]) / h[i - 1])
    c = np.linalg.solve(A, b)
    return c @ c


def ising_energy(x):
    s = np.tanh(x.reshape(3, 3))
    e = 0.0
    for i in range(3):
        for j in range(3):
            nb = s[(i + 1) % 3, j] + s[i, (j + 1) % 3]
            e -= s[i, j] * nb
    return e


def log_posterior(x):
    mu, logs = x[0], x[1]
    data = x[2:]

    def prior(m, ls):
        return -0.5 * m**2 / 10 - 0.5 * ls**2

    def like(m, ls):
        return sum(-0.5 * ((d - m) / np.exp(ls)) ** 2 - ls for d in data)

    try:
        lp = prior(mu, logs) + like(mu, logs)
    except FloatingPointError:
        return -np.inf
    return lp


def pca_loss(x):
    X = x.reshape(4, 2)
    Xc = X - X.mean(axis=0)
    _U, S, Vt = np.linalg.svd(Xc, full_matrices=False)
    rec = (Xc @ Vt[:1].T) @ Vt[:1]
    return np.sum((Xc - rec) ** 2) + S[0]


def softmax_regression(x):
    W = x[:6].reshape(2, 3)
    X = np.array([[1.0, 2.0], [0.3, -1.0], [-1.0, 0.5]])
    y = np.array([0, 2, 1])
    z = X @ W
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
    return -np.mean(np.log(p[np.arange(3), y])) + 1e-2 * np.sum(W**2)


def conv_by_strides(x):
    img = np.arange(16.0).reshape(4, 4) / 16 * x[4]
    k = x[:4].reshape(2, 2)
    win = np.lib.stride_tricks.sliding_window_view(img, (2, 2))
    return np.sum(np.maximum(np.einsum("ijkl,kl->ij", win, k), 0) ** 2)


def im2col_conv(x):
    img = np.arange(16.0).reshape(4, 4) / 16 * x[4]
    k = x[:4].reshape(2, 2)
    cols = np.array([img[i : i + 2, j : j + 2].ravel() for i in range(3) for j in range(3)])
    return np.tanh(cols @ k.ravel()).sum()


def rnn(x):
    Wh, Wx, b = x[:4].reshape(2, 2), x[4:6], x[6:8]
    h = np.zeros(2)
    outs = []
    for _t, v in enumerate([0.5, -1.0, 0.3]):
        h = np.tanh(Wh @ h + Wx * v + b)
        outs.append(h)
    return np.sum(np.stack(outs) ** 2)


def lstm(x):
    def sig(z):
        return 1 / (1 + np.exp(-z))

    W = np.resize(x, (4, 3))
    h = c = 0.0
    for v in (0.5, -1.0, 0.3):
        i, f, o, g = W @ np.array([h, v, 1.0])
        c = sig(f) * c + sig(i) * np.tanh(g)
        h = sig(o) * np.tanh(c)
    return h


def attention(x):
    q = x[:4].reshape(2, 2)
    k = x[2:6].reshape(2, 2)
    v = x[4:8].reshape(2, 2)
    s = q @ k.T / math.sqrt(k.shape[-1])
    mask = np.tril(np.ones((2, 2), bool))
    s = np.where(mask, s, -1e9)
    w = np.exp(s - s.max(-1, keepdims=True))
    w /= w.sum(-1, keepdims=True)
    return np.sum((w @ v) ** 2)


def binomial_tree(x):
    S, K, r, sig, T, n = x[0] * 10 + 100, 100.0, 0.05, 0.2 + 0.01 * x[1], 1.0, 6
    dt = T / n
    u = np.exp(sig * np.sqrt(dt))
    d = 1 / u
    p = (np.exp(r * dt) - d) / (u - d)
    v = np.array([max(K - S * u**j * d ** (n - j), 0.0) for j in range(n + 1)])
    for i in range(n - 1, -1, -1):
        cont = np.exp(-r * dt) * (p * v[1 : i + 2] + (1 - p) * v[: i + 1])
        spot = S * u ** np.arange(i + 1) * d ** np.arange(i, -1, -1)
        v = np.maximum(cont, K - spot)
    return v[0]


def leapfrog_orbit(x):
    pos, vel = np.array([1.0 + x[0] * 0.1, 0.0]), np.array([0.0, 1.0 + x[1] * 0.1])

    def acc(r):
        return -r / np.linalg.norm(r) ** 3

    a = acc(pos)
    for _ in range(10):
        vel = vel + 0.05 * a
        pos = pos + 0.1 * vel
        a = acc(pos)
        vel = vel + 0.05 * a
    return 0.5 * vel @ vel - 1 / np.hypot(*pos)


def fdtd(x):
    ez, hy = np.zeros(20), np.zeros(20)
    for t in range(15):
        hy[:-1] += 0.5 * (ez[1:] - ez[:-1])
        ez[1:] += 0.5 * (hy[1:] - hy[:-1])
        ez[5] += x[0] * np.exp(-(((t - 5) / (2 + x[1] ** 2)) ** 2))
    return np.sum(ez**2 + hy**2)


def lattice_boltzmann(x):
    w = np.array([4 / 9] + [1 / 9] * 4 + [1 / 36] * 4)
    cx = [0, 1, 0, -1, 0, 1, -1, -1, 1]
    cy = [0, 0, 1, 0, -1, 1, 1, -1, -1]
    f = w[:, None, None] * (1 + 0.1 * np.sin(x[0] + np.arange(9).reshape(3, 3)))[None]
    for _ in range(2):
        for i in range(9):
            f[i] = np.roll(np.roll(f[i], cx[i], axis=0), cy[i], axis=1)
        rho = f.sum(0)
        ux = sum(cx[i] * f[i] for i in range(9)) / rho
        uy = sum(c * fi for c, fi in zip(cy, f, strict=False)) / rho
        for i in range(9):
            cu = 3 * (cx[i] * ux + cy[i] * uy)
            f[i] += -(1 / (1 + x[1] ** 2)) * (
                f[i] - rho * w[i] * (1 + cu + 0.5 * cu**2 - 1.5 * (ux**2 + uy**2))
            )
    return np.sum(ux**2 + uy**2) + np.sum(rho[0])


def ray_sphere(x):
    def hit(o, d, c, r):
        oc = o - c
        b = 2 * oc @ d
        cc = oc @ oc - r * r
        disc = b * b - 4 * (d @ d) * cc
        if disc < 0:
            return None
        return (-b - np.sqrt(disc)) / (2 * d @ d)

    total = 0.0
    for u in (-0.2, 0.1, 2.0):
        d = np.array([u, 0.1, 1.0])
        d = d / np.linalg.norm(d)
        t = hit(np.zeros(3), d, np.array([x[0] * 0.1, x[1] * 0.1, 5.0]), 1.0)
        if t is None:
            total += 0.1
            continue
        n = d * t - np.array([x[0] * 0.1, x[1] * 0.1, 5.0])
        total += max(0.0, -n @ d)
    return total


def dtw(x):
    a, b = x[:4], x[4:]
    n, m = len(a), len(b)
    D = np.full((n + 1, m + 1), np.inf)
    D[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            D[i, j] = abs(a[i - 1] - b[j - 1]) + min(D[i - 1, j], D[i, j - 1], D[i - 1, j - 1])
    return D[n, m]


PROGRAMS = [
    function
    for name, function in list(globals().items())
    if getattr(function, "__module__", None) == __name__ and hasattr(function, "__code__")
]
