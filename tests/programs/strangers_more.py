"""More programs as people write them who never heard of differentiation: sequences, mechanics, fields, sampling.

Plain NumPy with loops, branches, lists, dicts, dataclasses, generators, closures, recursion. Each takes eight or nine
numbers and returns one. Begin with `PROGRAMS`.
"""

import itertools
import math

import numpy as np


def crf_loglik(x):
    em = x[:6].reshape(3, 2)
    tr = np.outer(x[:2], x[2:4])
    tags = [0, 1, 1]
    score = sum(em[i, t] for i, t in enumerate(tags)) + sum(tr[a, b] for a, b in itertools.pairwise(tags))
    alpha = em[0]
    for t in range(1, 3):
        alpha = np.array([np.logaddexp.reduce(alpha + tr[:, j]) for j in range(2)]) + em[t]
    return score - np.logaddexp.reduce(alpha)


def soft_viterbi(x):
    best = x[:2]
    for t in range(1, 4):
        s = best[:, None] + np.array([[0.1, 0.5], [0.3, 0.2]]) * x[t]
        best = np.max(s, axis=0) + x[2 * t : 2 * t + 2]
    return best.max()


def levmar(x):
    t = np.arange(4.0)
    y = np.array([1.0, 0.6, 0.4, 0.2]) + 0.01 * x[2]
    p, lam = x[:2] * 1, 1e-1

    def cost(p):
        return np.sum((y - p[0] * np.exp(-p[1] * t)) ** 2)

    for _k in range(4):
        e = np.exp(-p[1] * t)
        r = y - p[0] * e
        J = np.c_[-e, p[0] * t * e]
        H = J.T @ J
        step = np.linalg.solve(H + lam * np.diag(np.diag(H)), -J.T @ r)
        if cost(p + step) < cost(p):
            p, lam = p + step, lam / 3
        else:
            lam *= 3
    return p.sum()


def garch(x):
    omega, alpha, beta = np.exp(x[:3]) / np.array([10, 5, 3])
    ret = x[3:]
    s2 = np.var(ret)
    ll = 0
    for r in ret:
        ll += -0.5 * (np.log(2 * np.pi) + np.log(s2) + r**2 / s2)
        s2 = omega + alpha * r**2 + beta * s2
    return ll


def arma(x):
    phi, theta = np.tanh(x[0]), np.tanh(x[1])
    y = x[2:]
    eps = np.zeros_like(y)
    for t in range(len(y)):
        eps[t] = y[t] - (phi * y[t - 1] + theta * eps[t - 1] if t > 0 else 0)
    return -0.5 * np.dot(eps, eps)


class Quaternion:
    def __init__(self, w, x, y, z):
        self.q = (w, x, y, z)

    def __mul__(self, o):
        a, b, c, d = self.q
        e, f, g, h = o.q
        return Quaternion(
            a * e - b * f - c * g - d * h,
            a * f + b * e + c * h - d * g,
            a * g - b * h + c * e + d * f,
            a * h + b * g - c * f + d * e,
        )

    def conj(self):
        w, x, y, z = self.q
        return Quaternion(w, -x, -y, -z)

    @property
    def norm(self):
        return math.sqrt(sum(v * v for v in self.q))


def quaternion(x):
    q = Quaternion(*x[:4])
    n = q.norm
    q = Quaternion(*(v / n for v in q.q))
    p = q * Quaternion(0.0, *x[4:7]) * q.conj()
    return p.q[1] * 1 + p.q[2] * 2 + p.q[3] * 3


def rodrigues(x):
    v = x[:3]
    th = np.linalg.norm(v)
    k = v / th
    K = np.array([[0, -k[2], k[1]], [k[2], 0, -k[0]], [-k[1], k[0], 0]])
    R = np.eye(3) + np.sin(th) * K + (1 - np.cos(th)) * K @ K
    return (R @ np.array([1.0, 2.0, 3.0]))[0] + np.trace(R)


def inverse_kinematics(x):
    q = np.array([0.3, 0.4, 0.5])
    target = np.array([1.2, 0.8]) + 0.1 * x[:2]
    L = [1.0, 0.8, 0.5]
    for _it in range(5):
        c = np.cumsum(q)
        pos = np.array(
            [
                sum(l * np.cos(a) for l, a in zip(L, c, strict=False)),
                sum(l * np.sin(a) for l, a in zip(L, c, strict=False)),
            ]
        )
        J = np.array(
            [
                [-sum(L[j] * np.sin(c[j]) for j in range(i, 3)) for i in range(3)],
                [sum(L[j] * np.cos(c[j]) for j in range(i, 3)) for i in range(3)],
            ]
        )
        q = q + J.T @ np.linalg.solve(J @ J.T + 0.01 * np.eye(2), target - pos)
    return q @ q


def sinkhorn(x):
    C = (x[:3, None] - x[None, 3:6]) ** 2
    K = np.exp(-C)
    u = np.ones(3)
    for _ in range(10):
        v = (1 / 3) / (K.T @ u)
        u = (1 / 3) / (K @ v)
    return np.sum(u[:, None] * K * v * C)


def gp_loglik(x):
    ls, sf = np.exp(x[0]), np.exp(x[1])
    X = np.arange(5.0)
    y = x[2:7]
    K = sf**2 * np.exp(-0.5 * np.subtract.outer(X, X) ** 2 / ls**2) + 0.1 * np.eye(5)
    L = np.linalg.cholesky(K)
    a = np.linalg.solve(L.T, np.linalg.solve(L, y))
    return -0.5 * y @ a - np.log(np.diag(L)).sum()


def gmm(x):
    w = np.exp(x[:2]) / np.exp(x[:2]).sum()
    mu = x[2:4]
    data = [0.1, 1.0, -0.3]
    return sum(
        math.log(sum(wi * math.exp(-0.5 * (d - m) ** 2) for wi, m in zip(w, mu, strict=False))) for d in data
    )


def newton_sqrt(x):
    def gen(a):
        y = a
        while True:
            yield y
            y = 0.5 * (y + a / y)

    for k, y in enumerate(gen(x[0] ** 2 + 1)):
        if k > 20 or abs(y * y - (x[0] ** 2 + 1)) < 1e-14:
            break
    return y + x[1]


def power_iteration(x):
    A = np.outer(x[:3], x[:3]) + np.diag([3.0, 2.0, 1.0])
    v = np.ones(3)
    for _ in range(30):
        v = A @ v
        v /= np.sqrt(v @ v)
    return v @ A @ v


def gram_schmidt(x):
    V = [x[0:3], x[3:6], x[1:4] * x[2:5]]
    Q = []
    for v in V:
        for q in Q:
            v = v - (q @ v) * q
        Q.append(v / np.linalg.norm(v))
    return Q[1][0] + Q[2][1] * 2


def horner_dict(x):
    coeffs = {"a": x[0], "b": x[1], "c": x[2]}
    r = 0.0
    for _name, c in sorted(coeffs.items()):
        r = r * x[3] + c
    s = f"{len(coeffs)} terms"
    return r * len(s)


def rk45_adaptive(x):
    def f(t, y):
        return np.array([y[1], -(x[0] ** 2) * y[0] - 0.1 * y[1]])

    t, y, h = 0.0, np.array([1.0, x[1]]), 0.1
    while t < 1.0:
        h = min(h, 1.0 - t)
        k1 = f(t, y)
        k2 = f(t + h / 2, y + h / 2 * k1)
        k3 = f(t + h, y - h * k1 + 2 * h * k2)
        err = np.max(np.abs(h * (k1 - 2 * k2 + k3) / 6))
        if err < 1e-3:
            y = y + h / 6 * (k1 + 4 * k2 + k3)
            t += h
        h *= 0.9 if err > 5e-4 else 1.2
    return y[0]


def game_of_payoffs(x):
    P = x[:4].reshape(2, 2)
    p = np.array([0.5, 0.5])
    for _ in range(5):
        fit = P @ p
        avg = p @ fit
        p = p * np.exp(fit - avg)
        p = p / np.sum(p)
    return p[0]


def pagerank(x):
    A = np.abs(x[:9].reshape(3, 3)) + 0.1
    M = A / A.sum(axis=0)
    r = np.full(3, 1 / 3)
    for _i in range(20):
        r = 0.85 * M @ r + 0.05
    return r[0] - r[2]


def batchnorm_net(x):
    params = [(x[:4].reshape(2, 2), x[4:6]), (x[2:6].reshape(2, 2), x[6:8])]
    h = np.array([[1.0, -1.0], [0.5, 2.0], [0.1, 0.2]])
    for i, (W, b) in enumerate(params):
        h = h @ W + b
        h = (h - h.mean(0)) / np.sqrt(h.var(0) + 1e-5)
        if i < len(params) - 1:
            h = np.where(h > 0, h, 0.1 * h)
    return np.sum(h[:, 0] * np.array([1.0, 2.0, 3.0]))


def string_wave(x):
    u0, u1 = np.sin(np.pi * np.linspace(0, 1, 8)) * x[0], None
    u1 = u0.copy()
    c2 = 0.3 * np.cos(x[1]) ** 2
    for _ in range(6):
        u2 = np.zeros_like(u1)
        u2[1:-1] = 2 * u1[1:-1] - u0[1:-1] + c2 * np.diff(u1, 2)
        u0, u1 = u1, u2
    return u1 @ u1


def monte_carlo(x):
    r = np.random.default_rng(0)
    z = r.standard_normal(16)
    s = 100 * np.exp((0.05 - 0.5 * x[0] ** 2) + x[0] * z)
    return np.mean(np.maximum(s - 100 * x[1] ** 2, 0))


def beam_fem(x):
    n = 4
    K = np.zeros((n + 1, n + 1))
    EA = 1 + x[:n] ** 2
    for e in range(n):
        K[np.ix_([e, e + 1], [e, e + 1])] += EA[e] * np.array([[1, -1], [-1, 1]])
    free = np.arange(1, n + 1)
    f = np.zeros(n + 1)
    f[-1] = x[4]
    u = np.zeros(n + 1)
    u[free] = np.linalg.solve(K[np.ix_(free, free)], f[free])
    return u @ f


def fir_filter(x):
    taps, sig = x[:3], np.sin(np.arange(10) * x[3])
    buf, out = [0.0] * 3, []
    for s in sig:
        buf = [s] + buf[:-1]
        out.append(sum(t * b for t, b in zip(taps, buf, strict=False)))
    return np.var(out)


def edit_like(x):
    memo = {}

    def go(i, j):
        if (i, j) in memo:
            return memo[i, j]
        if i == 0 or j == 0:
            r = 0.3 * (i + j)
        else:
            r = min(go(i - 1, j) + 0.3, go(i, j - 1) + 0.3, go(i - 1, j - 1) + (x[i] - x[4 + j]) ** 2)
        memo[i, j] = r
        return r

    return go(3, 3)


PROGRAMS = [
    function
    for name, function in list(globals().items())
    if getattr(function, "__module__", None) == __name__ and hasattr(function, "__code__")
]
