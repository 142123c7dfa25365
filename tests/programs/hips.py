"""Programs as people write them for HIPS autograd, each a function of that library's modules.

`PROGRAMS` maps a name to `make(lib)`, which builds the program on `lib.np`, `lib.grad` and their kind and returns its
numbers; `lib` is either library. Written for these tests.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as onp
import scipy.optimize

PROGRAMS: dict[str, Callable[[Any], Any]] = {}
DATA = onp.random.default_rng(7)
INPUTS = DATA.standard_normal((12, 3))
LABELS = (INPUTS @ onp.array([1.0, -2.0, 0.5]) > 0).astype(float)
TARGETS = onp.sin(INPUTS[:, :1]) + 0.1 * DATA.standard_normal((12, 1))


def program(make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    PROGRAMS[make.__name__] = make
    return make


@program
def tanh_derivatives(lib: Any) -> Any:
    f, x, found = lib.np.tanh, onp.linspace(-2.0, 2.0, 7), []
    for _ in range(6):
        f = lib.elementwise_grad(f)
        found.append(f(x))
    return found


@program
def logistic_regression(lib: Any) -> Any:
    np = lib.np

    def sigmoid(x):
        return 0.5 * (np.tanh(x / 2.0) + 1)

    def loss(weights):
        preds = sigmoid(np.dot(INPUTS, weights))
        chances = preds * LABELS + (1 - preds) * (1 - LABELS)
        return -np.sum(np.log(chances))

    weights, gradient = onp.zeros(3), lib.grad(loss)
    for _ in range(20):
        weights = weights - gradient(weights) * 0.05
    return weights, loss(weights)


@program
def neural_net(lib: Any) -> Any:
    np = lib.np
    draws = onp.random.RandomState(0)
    sizes = [3, 8, 8, 1]
    params = [(0.5 * draws.randn(m, n), 0.5 * draws.randn(n)) for m, n in itertools.pairwise(sizes)]

    def predict(params, inputs):
        for w, b in params:
            outputs = np.dot(inputs, w) + b
            inputs = np.tanh(outputs)
        return outputs

    def l2_norm(params):
        if lib.isinstance(params, dict):
            return l2_norm(params.values())
        flattened, _ = lib.flatten(params)
        return np.dot(flattened, flattened)

    def objective(params, i):
        return np.mean((predict(params, INPUTS) - TARGETS) ** 2) + 1e-3 * l2_norm(params)

    trained = lib.adam(lib.grad(objective), params, step_size=0.05, num_iters=15)
    return lib.flatten(trained)[0], objective(trained, 0)


@program
def gaussian_process(lib: Any) -> Any:
    np, x, y = lib.np, INPUTS[:, :1], TARGETS[:, 0]

    def kernel(params, x, z):
        scale, lengths = np.exp(params[0]), np.exp(params[1:])
        away = np.expand_dims(x / lengths, 1) - np.expand_dims(z / lengths, 0)
        return scale * np.exp(-0.5 * np.sum(away**2, axis=2))

    def minus_log_likelihood(params):
        mean, noise, rest = params[0], np.exp(params[1]) + 1e-3, params[2:]
        covariance = kernel(rest, x, x) + noise * np.eye(len(y))
        return -lib.multivariate_normal.logpdf(y, mean * np.ones(len(y)), covariance)

    start = onp.array([0.1, -1.0, 0.2, 0.3])
    found = scipy.optimize.minimize(
        lib.value_and_grad(minus_log_likelihood), start, jac=True, method="CG", options={"maxiter": 4}
    )
    return found.x, found.fun


@program
def lotka_volterra(lib: Any) -> Any:
    np = lib.np

    def slope(y, alpha, beta, delta, gamma):
        return np.array([alpha * y[0] - beta * y[0] * y[1], delta * y[0] * y[1] - gamma * y[1]])

    def loss(params):
        y, h, total = np.array([1.0, 0.6]), 0.1, 0.0
        for _ in range(15):
            k1 = slope(y, *params)
            k2 = slope(y + h / 2 * k1, *params)
            k3 = slope(y + h / 2 * k2, *params)
            k4 = slope(y + h * k3, *params)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            total = total + np.sum((y - 1.0) ** 2)
        return total

    return lib.grad(loss)(onp.array([1.1, 0.7, 0.9, 1.3]))


@program
def rosenbrock(lib: Any) -> Any:
    def f(x):
        return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2

    start = onp.array([-1.0, 1.5])
    quasi = scipy.optimize.minimize(lib.value_and_grad(f), start, jac=True, method="BFGS")
    newton = scipy.optimize.minimize(f, start, method="Newton-CG", jac=lib.grad(f), hess=lib.hessian(f))
    return quasi.x, newton.x, lib.hessian(f)(start)


@program
def mixture_of_gaussians(lib: Any) -> Any:
    np = lib.np

    def unpack(params):
        return (
            params["log proportions"] - lib.logsumexp(params["log proportions"]),
            params["means"],
            params["roots"],
        )

    def log_likelihood(params):
        logs = []
        for proportion, mean, root in zip(*unpack(params), strict=True):
            away = np.dot(INPUTS - mean, root)
            logdet = np.linalg.slogdet(root)[1]
            logs.append(proportion - 0.5 * np.sum(away**2, axis=1) + logdet)
        return np.sum(lib.logsumexp(np.vstack(logs), axis=0))

    draws = onp.random.RandomState(1)
    start = {
        "log proportions": draws.randn(3) * 0.1,
        "means": draws.randn(3, 3),
        "roots": [onp.eye(3) + 0.1 * draws.randn(3, 3) for _ in range(3)],
    }
    flat, unflatten = lib.flatten(start)

    def objective(x):
        return -log_likelihood(unflatten(x))

    product = lib.hessian_vector_product(objective)
    found = scipy.optimize.minimize(
        lib.value_and_grad(objective),
        flat,
        jac=True,
        hessp=product,
        method="trust-ncg",
        options={"maxiter": 3},
    )
    return product(flat, onp.ones(len(flat))), found.fun


@program
def variational_inference(lib: Any) -> Any:
    np = lib.np

    def log_density(x):
        mu, log_sigma = x[:, 0], x[:, 1]
        prior = lib.norm.logpdf(log_sigma, 0, 1.35)
        return prior + lib.norm.logpdf(mu, 0, np.exp(log_sigma))

    def bound(params, t):
        mean, log_std = params[:2], params[2:]
        noise = onp.random.RandomState(t).randn(20, 2)
        samples = noise * np.exp(log_std) + mean
        entropy = 0.5 * 2 * (1.0 + np.log(2 * np.pi)) + np.sum(log_std)
        return -(entropy + np.mean(log_density(samples)))

    start = onp.concatenate([-onp.ones(2), -5 * onp.ones(2)])
    return lib.adam(lib.grad(bound), start, step_size=0.1, num_iters=10)


def recurrent(np: Any, gates: int) -> Any:
    """Runs a cell over a sequence: its state, and what it says at each time."""

    def step(x, state, cell, w):
        every = np.dot(np.hstack([x, state]), w)
        forget, take, give, change = np.split(every, 4, axis=1)
        cell = cell / (1 + np.exp(-forget)) + np.tanh(change) / (1 + np.exp(-take))
        return np.tanh(cell) / (1 + np.exp(-give)), cell

    def run(params, sequence):
        state = np.zeros((sequence.shape[1], gates))
        cell, said = state, []
        for x in sequence:
            state, cell = step(x, state, cell, params["gates"])
            said.append(np.dot(state, params["out"]))
        return said

    return run


@program
def lstm(lib: Any) -> Any:
    np = lib.np
    draws = onp.random.RandomState(2)
    params = {"gates": 0.3 * draws.randn(3 + 4, 16), "out": draws.randn(4, 3)}
    sequence, run = draws.randn(5, 2, 3), recurrent(np, 4)

    def loss(params):
        said = run(params, sequence[:-1])
        total = 0.0
        for out, wanted in zip(said, sequence[1:], strict=True):
            total = total + np.sum((out - lib.logsumexp(out, axis=1, keepdims=True)) * wanted)
        return -total

    found = lib.grad(loss)(params)
    return found["gates"], found["out"]


@program
def convolutional_net(lib: Any) -> Any:
    np = lib.np
    draws = onp.random.RandomState(3)
    pictures, kernel = draws.randn(2, 6, 6), draws.randn(3, 3)

    def convolved(picture, kernel):
        rows = []
        for i in range(4):
            rows.append(np.array([np.sum(picture[i : i + 3, j : j + 3] * kernel) for j in range(4)]))
        return np.stack(rows)

    def pooled(x):
        return np.max(np.max(np.reshape(x, (2, 2, 2, 2)), axis=3), axis=1)

    def loss(kernel):
        return sum(np.sum(np.tanh(pooled(convolved(p, kernel))) ** 2) for p in pictures)

    def one_dimensional(kernel):
        return np.sum(lib.convolve(pictures[0, 0], kernel[0], mode="valid") ** 2)

    return lib.grad(loss)(kernel), lib.grad(one_dimensional)(kernel)


@program
def fluid(lib: Any) -> Any:
    np = lib.np
    draws = onp.random.RandomState(4)
    target = draws.rand(6, 6)

    def project(vx, vy):
        p = np.zeros(vx.shape)
        h = 1.0 / vx.shape[0]
        div = (
            np.roll(vx, -1, axis=0)
            - np.roll(vx, 1, axis=0)
            + np.roll(vy, -1, axis=1)
            - np.roll(vy, 1, axis=1)
        )
        div = -0.5 * h * div
        for _ in range(4):
            p = (div + np.roll(p, 1, 0) + np.roll(p, -1, 0) + np.roll(p, 1, 1) + np.roll(p, -1, 1)) / 4.0
        vx = vx - 0.5 * (np.roll(p, -1, axis=0) - np.roll(p, 1, axis=0)) / h
        return vx, vy - 0.5 * (np.roll(p, -1, axis=1) - np.roll(p, 1, axis=1)) / h

    def advect(f, vx, vy):
        rows, cols = f.shape
        ys, xs = np.meshgrid(np.arange(rows), np.arange(cols))
        cx, cy = np.ravel(xs - vx), np.ravel(ys - vy)
        left, top = np.floor(cx).astype(int), np.floor(cy).astype(int)
        rw, bw = cx - left, cy - top
        right, bottom = np.mod(left + 1, rows), np.mod(top + 1, cols)
        left, top = np.mod(left, rows), np.mod(top, cols)
        flat = (1 - rw) * ((1 - bw) * f[left, top] + bw * f[left, bottom])
        flat = flat + rw * ((1 - bw) * f[right, top] + bw * f[right, bottom])
        return np.reshape(flat, (rows, cols))

    def simulate(vx, vy, smoke):
        for _ in range(3):
            vx, vy = project(advect(vx, vx, vy), advect(vy, vx, vy))
            smoke = advect(smoke, vx, vy)
        return smoke

    def objective(params):
        vx, vy = np.reshape(params, (2, 6, 6))
        return np.mean((simulate(vx, vy, target) - target.T) ** 2)

    return lib.grad(objective)(0.1 * draws.randn(72))


@program
def deep_kernel(lib: Any) -> Any:
    np = lib.np
    draws = onp.random.RandomState(5)
    flat, unflatten = lib.flatten({"w": [draws.randn(3, 4), draws.randn(4, 2)], "log noise": -1.0})

    def loss(x):
        params = unflatten(x)
        features = INPUTS
        for w in params["w"]:
            features = np.tanh(np.dot(features, w))
        gram = np.dot(features, features.T) + (np.exp(params["log noise"]) + 1e-2) * np.eye(12)
        y = TARGETS[:, 0]
        return np.dot(y, np.linalg.solve(gram, y)) + np.linalg.slogdet(gram)[1]

    return lib.value_and_grad(loss)(flat)


@program
def own_primitive(lib: Any) -> Any:
    np = lib.np

    @lib.primitive
    def logsumexp(x):
        top = onp.max(x)
        return top + onp.log(onp.sum(onp.exp(x - top)))

    lib.defvjp(logsumexp, lambda ans, x: lambda g: np.full(x.shape, g) * np.exp(x - np.full(x.shape, ans)))

    def loss(y):
        return logsumexp(y**2) * np.sin(y[0])

    x = onp.array([1.5, -0.4, 0.9])
    return lib.grad(loss)(x), lib.jacobian(lib.grad(loss))(x)


@program
def beta_and_gamma(lib: Any) -> Any:
    np = lib.np
    data = onp.random.RandomState(6).beta(2.0, 3.0, 30)

    def loss(params):
        a, b = np.exp(params)
        likelihood = (a - 1) * np.log(data) + (b - 1) * np.log(1 - data)
        return -np.sum(likelihood - lib.gammaln(a) - lib.gammaln(b) + lib.gammaln(a + b))

    found = scipy.optimize.minimize(lib.value_and_grad(loss), onp.zeros(2), jac=True)
    return found.x, lib.hessian(loss)(found.x)


@program
def gauss_newton(lib: Any) -> Any:
    np = lib.np

    def model(p):
        return p[0] * np.exp(-p[1] * INPUTS[:, 0] ** 2) + p[2]

    p = onp.array([1.0, 0.4, -0.2])
    product = lib.make_ggnvp(model)(p)
    matrix = onp.stack([product(v) for v in onp.eye(3)])
    pull, value = lib.make_vjp(model)(p)
    return (
        matrix,
        lib.jacobian(model)(p).T @ lib.jacobian(model)(p),
        pull(value),
        lib.make_jvp(model)(p)(p)[1],
    )
