"""Programs that use the rest of Python: functions of every kind, containers, exceptions, classes, outside
values.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import functools
import math
import operator
import typing

import numpy as np

from tests.programs.program import X, program

RATE = 1.5
MATRIX = np.array([[2.0, 1, 0], [1, 3, 1], [0, 1, 4]])
COUNT = 3
MODE = "square"
TABLE = {"scale": 2.0, "shift": np.array([0.1, 0.2, 0.3]), "names": ["a", "b"]}


@program(1.3, -0.3)
def globals_of_every_kind(x):
    y = x**2 if MODE == "square" else x
    for _ in range(COUNT):
        y = y * RATE
    return y + (TABLE["shift"] * x).sum() * TABLE["scale"] + len(TABLE["names"])


@program()
def matrix_from_outside(x):
    return x @ MATRIX @ x + MATRIX[1, 2] * x[0]


def helper(a, k=2.0):
    if a > 0:
        return a * k
    return -a


@program()
def helper_with_a_default(x):
    return helper(x[0]) + helper(-x[1]) + helper(x[2], k=3.0)


class Model:
    bias = 0.5

    def __init__(self, weight):
        self.weight = weight
        self.layers = [1.0, 2.0]

    def __call__(self, x):
        return self.go(x) + self.bias

    def go(self, x):
        return self.weight * x.sum() + self.layers[1] * x[0] + self.scaled * x[1] + self.static(x)

    @property
    def scaled(self):
        return self.weight * 2

    @staticmethod
    def static(x):
        return x[2] ** 2

    @classmethod
    def made(cls, x):
        return cls(x[0] * 2)


MODEL = Model(1.7)


@program()
def method_of_an_object(x):
    return MODEL.go(x)


@program()
def callable_object(x):
    return MODEL(x)


@program()
def object_made_inside(x):
    model = Model.made(x)
    model.layers[1] = x[1]
    model.extra = x[2]
    return model(x) * model.extra


def scaled_by(k):
    def scale(x):
        return k * x

    return scale


DOUBLE = scaled_by(2.0)


@program(1.5)
def closure(x):
    offset = x * 2

    def shifted(t):
        return t + offset

    return shifted(x) * DOUBLE(x) + scaled_by(x)(3.0)


@program(1.5, 0.2)
def nonlocal_counter(x):
    total = 0.0

    def add(t):
        nonlocal total
        total = total + t

    add(x)
    add(x**2)
    return total


@program(1.2, 2.3)
def recursion(x):
    def power(t, n):
        return 1.0 if n == 0 else t * power(t, n - 1)

    return power(x, 4) + fibonacci(x, 5)


def fibonacci(x, n):
    if n < 2:
        return x
    return fibonacci(x, n - 1) + fibonacci(x, n - 2) * 0.5


@program(1.2, 9.0)
def recursion_on_the_value(x):
    return halved(x) * x


def halved(x):
    if x > 1:
        return halved(x / 2)
    return x


@program(1.5)
def lambdas(x):
    square, add = lambda t: t * t, lambda a, b: a + b
    return add(square(x), (lambda t: 3 * t)(x))


@program(1.5)
def partial(x):
    f = functools.partial(helper, k=x)
    g = functools.partial(operator.mul, 3.0)
    return f(x) + g(x)


def doubled(function):
    @functools.wraps(function)
    def wrapper(*args, **keywords):
        return 2 * function(*args, **keywords)

    return wrapper


@doubled
def decorated_helper(x, p=1.0):
    return x**2 * p


@program(1.5)
def decorator(x):
    return decorated_helper(x) + decorated_helper(x, p=x)


@program(1.5)
@doubled
def decorated(x):
    return x**3


@program((1.5, 2.0, 3.0))
def starred(x, *rest):
    def total(*args, **keywords):
        return sum(args) * keywords["k"]

    first, *others = [x, x**2, *rest]
    return total(first, *others, k=x)


@program(1.5, 0.3)
def generator(x):
    def terms(n):
        y = x
        for _ in range(n):
            y = y * 0.5
            yield y

    return sum(terms(3)) + max(t for t in terms(2))


@program(1.5, 0.3)
def containers(x):
    d = {"a": x, "b": [x, x * 2]}
    d["c"] = d["a"] * d["b"][1]
    (p, q), r = d["b"], d["c"]
    total = 0.0
    for key, value in d.items():
        total = total + (value if key != "b" else value[0])
    return total + p * q + r + sum(v for v in (p, q, r)) + len(d)


@program(X, -X)
def unpacking(x):
    a, b, c = x
    first, *_ = x
    return a * b + max(b, c) + first


@program(X)
def iteration(x):
    total = 0
    for i, (xi, w) in enumerate(zip(x, [1.0, 2.0, 3.0], strict=True)):
        total += w * xi ** (i + 1)
    for xi in reversed(list(x)):
        total += np.sin(xi)
    return total + sum(map(math.sin, x)) + functools.reduce(operator.mul, x)


@program(X, -X)
def sorting(x):
    low, middle, _ = sorted(x)
    return low**2 + 3 * middle + min(x) * max(x, key=abs)


@program(1.5, -0.5)
def exceptions(x):
    try:
        if x < 0:
            raise ValueError("negative")
        y = 1 / x
    except ValueError:
        y = 2 * x
    finally:
        x = x + 1
    return y * x


@program(1.5, -2.0)
def exception_in_a_helper(x):
    total = 0.0
    for sign in (1, -1):
        try:
            total = total + refused(sign * x)
        except ValueError:
            total = total + 0.5 * x
    return total


def refused(x):
    if x < 0:
        raise ValueError(f"{x} is negative")
    return x**2


@program(1.5, 0.4)
def context_manager(x):
    with np.errstate(all="ignore"):
        y = np.log(x)
    return y * x


@program((1.5, "square"), (1.5, "cube"), (1.5, ("scaled", 3)), (1.5, None))
def match_statement(x, how):
    match how:
        case "square":
            return x**2
        case "cube":
            return x**3
        case ("scaled", k):
            return x * k
        case _:
            return x


Point = collections.namedtuple("Point", "x y")


class Named(typing.NamedTuple):
    a: float
    b: float


@dataclasses.dataclass
class Weights:
    w: np.ndarray
    b: float


@program(Point(1.2, 0.3), Point(-1.2, 0.3))
def namedtuple_argument(p):
    q = Named(p.x * 2, b=p.y)
    return q.a**2 * q.b + p[0]


@program((Weights(X, 0.5),), (Weights(-X, 0.5),))
def dataclass_argument(m):
    return (m.w**2).sum() * m.b


@program({"w": X, "b": [0.1, 0.2]}, {"w": 2 * X, "b": [0.1, -0.2]})
def nested_argument(p):
    return p["w"].sum() * p["b"][0] + p["b"][1] ** 2


@program([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])
def list_argument(x):
    total = 0
    for xi in x:
        total += xi**2
    return total + np.sum(x) * len(x) + np.array(x) @ np.array([1.0, 2.0, 3.0])


@program((1.5, 2), (1.5, 3))
def integer_argument(x, n):
    return x**n + n * x


@program(2)
def integer_that_counts_as_float(x):
    return x**2 + 1 / x


@program((1.5, np.array([1, 2, 0])), (1.5, np.array([2, 2, 1])))
def integer_array_argument(x, index):
    return (np.array([x, x**2, x**3])[index] * index).sum()


@program((1.5, True), (1.5, False))
def bool_argument(x, flag):
    return x**2 if flag else x


@program((1.5, np.sin), (1.5, np.cos), (1.5, math.exp), (1.5, helper))
def function_argument(x, f):
    return f(x) * x


@program(1.3, 0.2)
def math_functions(x):
    y = (
        math.exp(x) * math.cos(x)
        + math.atan2(x, 2)
        + math.sqrt(x)
        + math.log(x, 2)
        + math.erf(x)
        + math.hypot(x, 1)
    )
    return y + math.pow(x, 3) + math.tanh(x) + math.pi + math.lgamma(x) + math.degrees(x)


@program(1.3, 2.7, -1.2)
def rounding(x):
    return x * math.floor(x) + x * round(x) + x * int(x) + abs(x) + divmod(x, 1.0)[1]


@program(1.3)
def casts(x):
    return float(x) * 2 + float(np.sum(np.array([x, x]))) + np.float64(x) + np.asarray(x).item()


@program(1.3, -1.3)
def questions_about_types(x):
    y = x * 2 if isinstance(x, float) else x
    z = np.array([x, y])
    if isinstance(z, np.ndarray) and z.ndim == 1 and np.ndim(x) == 0 and hasattr(z, "shape") and len(z) == 2:
        return (z**2).sum()
    return x


@program(1.3)
def text_and_printing(x):
    label = f"{x:.3f} {x}"
    return x * len(label.split())


@program((1.3, 0.4))
def augmented_names(x, y):
    z = x
    z += y
    z *= x
    z -= 0.5
    z /= y + 1
    z **= 2
    return z


@program((1.3, 0.4))
def itertools_products(x, y):
    total = 0.0
    for a, b in [(a, b) for a in (x, y) for b in (x, 2.0)]:
        total += a * b
    return total


@program(1.3)
def star_expression(x):
    values = [*(x * k for k in range(3)), x]
    return sum(values) + np.hypot(*values[1:3])


@program(1.3, 0.2)
def cached_property_like(x):
    store = {}
    for name in ("a", "b", "a"):
        if name not in store:
            store[name] = x * (len(store) + 1)
    return sum(store.values())


@program(1.3)
def set_and_global_constants(x):
    allowed = {1, 2, 3}
    return sum(x**k for k in sorted(allowed)) + (x if 2 in allowed else 0)


NOTHING: list[float] = []


def looked_up(table, name, otherwise=[]):  # noqa: B006
    found = table.get(name, otherwise)
    return 2.0 if found is otherwise else found


@program(1.3)
def lists_that_stand_for_nothing(x):
    known = {"a": x}
    kept = []
    kept.append(NOTHING)
    seen = known.setdefault("b", NOTHING) is NOTHING and kept[0] is NOTHING
    return looked_up(known, "a") * looked_up(known, "c") + (x if seen else x**3)


class Ball:
    bounces = 3

    def __init__(self, place, speed):
        self.place = place
        self.speed = speed


@program()
def deep_copies(x):
    state = Ball(x * 1.0, x[0])
    before, pair = copy.deepcopy(state), copy.deepcopy((state.place, [x[1], 2.0]))
    state.place[0] = x[1] * 2.0
    pair[0][1] = 0.5
    return np.sum(before.place * state.place) + np.sum(pair[0]) * pair[1][0] + copy.copy(state).speed


@program()
def attributes_as_a_dict(x):
    ball = Ball(x, x[1])
    ball.__dict__.update(speed=ball.speed * 2.0)
    named = hasattr(ball, "__name__") or hasattr(ball, "__mro__")
    return sum(np.sum(v) for v in vars(ball).values()) * len(ball.__dict__) + (x[2] if named else x[0])


@program((np.zeros((2, 0)), 1.3), (np.zeros((0, 2)), 0.4), argnums=1)
def rows_without_items(x, y):
    rows = np.array([row * y for row in x])
    stacked = []
    for j in range(3):
        stacked.append(x * y * j)
    return np.sum(rows.reshape(-1)) + np.sum(np.array(stacked).reshape(-1)) + y * rows.shape[0]


@program((np.array([[0.4, -0.2], [0.3, 1.2]]),))
def items_by_one_number(x):
    return x.item(3) * x.item(0, 1) + x.item((1, 0)) ** 2


@program((np.array([1.3, 0.4]), -0.7))
def progressions_of_one_number(x, y):
    return np.sum(np.geomspace(x, y, num=1, endpoint=False) * x)
