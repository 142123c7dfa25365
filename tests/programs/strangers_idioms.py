"""What stands around the numbers in programs of strangers: messages, clocks, copies, tables, heaps, attributes by name.

Each function takes eight numbers and returns one. Those in `PROGRAMS` become programs; those in `ON_THE_TAPE` do
something that a program cannot repeat, and run as they stand.
"""

import bisect
import copy
import heapq
import logging
import math
import pprint
import sys
import time
import warnings

import numpy as np

log = logging.getLogger("a.stranger")
ALTITUDE = [0.0, 0.5, 0.8, 1.1]
LAPSE = (-6.5, 0.0, 1.0, 2.8)


def says_what_it_does(x):
    start = time.time()
    y = 0.0
    for step in range(4):
        y = y * x[0] + x[step]
        log.info("step %d: y = %g", step, y)
    print("y = " + str(y), "{:.3f} {}".format(y, x), [y, {"x": x}], file=sys.stderr)  # noqa: UP032
    sys.stdout.write("%-8s %8.3f %s\n" % ("y", y, x.shape))  # noqa: UP031
    pprint.pprint({"y": y})
    print("took %.3f s" % (time.perf_counter() - start))
    return y * x[7]


def warns(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if np.any(x > 0):
            warnings.warn("positive values: %g" % x.max(), RuntimeWarning, stacklevel=2)  # noqa: UP031
        return np.log(x).sum()


def where_alone(x):
    (above,) = np.where(x > 0.6)
    rows, columns = np.where(x.reshape(2, 4) > 0.5)
    return x[above].sum() * len(above) + x.reshape(2, 4)[rows, columns].prod()


def clipped_numbers(x):
    h = np.sin((x[0] - x[1]) / 2) ** 2 + np.clip(x[2] * x[3], 0, 1)
    return np.arcsin(np.sqrt(np.clip(h, 0, 0.9))) + np.clip(x[4], x[5], 1.1)


class Settings:
    unit = 2.0

    def __init__(self, **values):
        self.__dict__.update(values)

    def scaled(self):
        return {name: self.unit * value for name, value in vars(self).items() if not name.startswith("_")}


def settings(x):
    found = Settings(rate=x[0], shift=x[1], _hidden=0.0).scaled()
    return found["rate"] * x[2] + found["shift"]


def one_based(x):
    """As in Numerical Recipes."""
    n = 6
    xa = [None] + [float(i) for i in range(n)]
    ya = [None] + [x[i] for i in range(n)]
    y2, u = [0] * (n + 1), [0] * (n + 1)
    for i in range(2, n):
        sig = (xa[i] - xa[i - 1]) / (xa[i + 1] - xa[i - 1])
        p = sig * y2[i - 1] + 2.0
        y2[i] = (sig - 1.0) / p
        u[i] = ya[i + 1] - 2 * ya[i] + ya[i - 1] - sig * u[i - 1] / p
    for k in range(n - 1, 0, -1):
        y2[k] = y2[k] * y2[k + 1] + u[k]
    return y2[1] + x[6] * y2[3]


def looked_up(x):
    total = 0.0
    for height in (0.2, 0.7, 1.0):
        i = bisect.bisect_right(ALTITUDE, height * x[0]) - 1
        total += LAPSE[i] * (height * x[0] - ALTITUDE[i]) + math.exp(-x[1] * i)
    return total + bisect.bisect_left([0.1, 0.2, 2.0], x[2], 1, 3) * x[3]


def copies(x):
    start = {"p": x[0], "l": [x[1], 2.0]}
    later = copy.deepcopy(start)
    later["l"][0] = 3 * later["l"][0]
    y = copy.copy(x)
    y[0] = 5 * y[1]
    return start["l"][0] + later["l"][0] * later["p"] + np.sum(y * x)


def smallest_first(x):
    heap = []
    for k, v in enumerate(x):
        heapq.heappush(heap, (v * v, k))
    first, place = heapq.heappop(heap)
    return first * x[place - 1] + heapq.nlargest(2, list(x))[1]


def labelled(x):
    table = {}
    for v in x[:3]:
        table["%.1f" % v] = v * v  # noqa: UP031
    return sum(table.values()) + len("{:.2f}".format(x[3]))  # noqa: UP032


PROGRAMS = [
    says_what_it_does,
    warns,
    where_alone,
    clipped_numbers,
    settings,
    one_based,
    looked_up,
    copies,
    labelled,
]
ON_THE_TAPE = [smallest_first]
