"""Fit a predator-prey model to the pelts of hare and lynx that the Hudson's Bay Company bought, 1900-1920.

Lotka and Volterra's equations say how hares (prey) and lynx (predators) change:

    hare' =  alpha * hare - beta * hare * lynx
    lynx' = -gamma * lynx + delta * hare * lynx

Nothing here was written for tracegrad: the model is a Python loop over scalars with a classical
Runge-Kutta step, and the loss compares logarithms with the counts. `tg.value_and_grad` differentiates
through all the steps of the solver, and SciPy's optimiser gets value and exact gradient from one call.

Counts (thousands of pelts) as tabulated by Hewitt (1921) and Howard (2009); the fit follows Carpenter's
case study "Predator-prey population dynamics: the Lotka-Volterra model in Stan" (2018), whose posterior
means stand beside ours.
"""

import time

import numpy as np
from scipy.optimize import minimize

import tracegrad as tg

COUNTS = np.array(
    [  # year, hare, lynx
        [1900, 30.0, 4.0],
        [1901, 47.2, 6.1],
        [1902, 70.2, 9.8],
        [1903, 77.4, 35.2],
        [1904, 36.3, 59.4],
        [1905, 20.6, 41.7],
        [1906, 18.1, 19.0],
        [1907, 21.4, 13.0],
        [1908, 22.0, 8.3],
        [1909, 25.4, 9.1],
        [1910, 27.1, 7.4],
        [1911, 40.3, 8.0],
        [1912, 57.0, 12.3],
        [1913, 76.6, 19.5],
        [1914, 52.3, 45.7],
        [1915, 19.5, 51.1],
        [1916, 11.2, 29.7],
        [1917, 7.6, 15.8],
        [1918, 14.6, 9.7],
        [1919, 16.2, 10.1],
        [1920, 24.7, 8.6],
    ]
)
LOG_COUNTS = np.log(COUNTS[:, 1:])
STEPS_PER_YEAR = 20


def rates(hare, lynx, alpha, beta, gamma, delta):
    """How fast the two populations change."""
    return alpha * hare - beta * hare * lynx, delta * hare * lynx - gamma * lynx


def one_year(hare, lynx, *rules):
    """Runge and Kutta's fourth-order step, taken often enough to cover a year."""
    h = 1.0 / STEPS_PER_YEAR
    for _ in range(STEPS_PER_YEAR):
        hare1, lynx1 = rates(hare, lynx, *rules)
        hare2, lynx2 = rates(hare + h / 2 * hare1, lynx + h / 2 * lynx1, *rules)
        hare3, lynx3 = rates(hare + h / 2 * hare2, lynx + h / 2 * lynx2, *rules)
        hare4, lynx4 = rates(hare + h * hare3, lynx + h * lynx3, *rules)
        hare = hare + h / 6 * (hare1 + 2 * hare2 + 2 * hare3 + hare4)
        lynx = lynx + h / 6 * (lynx1 + 2 * lynx2 + 2 * lynx3 + lynx4)
    return hare, lynx


def loss(log_parameters):
    """Squared error of the logarithms; the parameters are positive, so their logarithms are fitted."""
    alpha, beta, gamma, delta, hare, lynx = np.exp(log_parameters)
    total = 0.0
    counts = LOG_COUNTS
    for _ in range(len(LOG_COUNTS)):
        total = total + (np.log(hare) - counts[0, 0]) ** 2 + (np.log(lynx) - counts[0, 1]) ** 2
        hare, lynx = one_year(hare, lynx, alpha, beta, gamma, delta)
        counts = np.roll(counts, -1, axis=0)  # the next year's row comes up: every year is the same step
    return total


def main():
    value_and_gradient = tg.value_and_grad(loss)
    start = np.log([0.5, 0.025, 0.8, 0.025, 30.0, 4.0])

    began = time.perf_counter()
    value, gradient = value_and_gradient(start)
    first = time.perf_counter() - began
    nudge = 1e-6 * np.eye(6)
    differences = [(loss(start + e) - loss(start - e)) / 2e-6 for e in nudge]
    print(f"first value and gradient: {first:.2f} s; loss {value:.4f}")
    print(f"largest distance from central differences: {np.max(np.abs(gradient - differences)):.1e}\n")

    began = time.perf_counter()
    fit = minimize(value_and_gradient, start, jac=True, method="BFGS", options={"gtol": 1e-6})
    seconds = time.perf_counter() - began
    print(f"BFGS: {fit.nit} iterations, {fit.nfev} gradients in {seconds:.2f} s; loss {fit.fun:.4f}\n")

    names = ("alpha", "beta", "gamma", "delta", "hare 1900", "lynx 1900")
    published = ("0.55", "0.028", "0.80", "0.024", "34", "5.9")
    print(f"{'':12}{'fitted':>8}{'Stan 2018':>12}")
    for name, ours, theirs in zip(names, np.exp(fit.x), published, strict=True):
        print(f"{name:12}{ours:8.3g}{theirs:>12}")

    print("\nyear   hare  model    lynx  model")
    alpha, beta, gamma, delta, hare, lynx = np.exp(fit.x)
    for year, hares_counted, lynx_counted in COUNTS:
        print(f"{year:.0f} {hares_counted:6.1f} {hare:6.1f}  {lynx_counted:6.1f} {lynx:6.1f}")
        hare, lynx = one_year(hare, lynx, alpha, beta, gamma, delta)


if __name__ == "__main__":
    main()
