"""Functions that read something from outside, and what changes there between two processes: the table of the matrix.

Each `Change` is a module `f(x)`, text to replace in it (or in `helper.py` beside it), and code that runs in the later
process before the first call. `kept` says whether a process in an unchanged world finds the program on disk, `reads`
that the program of the first process also answers in the changed world, as what changed is an input.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD = "import numpy as np\nimport math\n"


@dataclass(frozen=True)
class Change:
    name: str
    text: str
    old: str = ""
    new: str = ""
    helper: str = ""
    run: str = ""
    kept: bool = True
    reads: bool = False


CHANGES = [
    Change("global_float", "K = 2.0\ndef f(x):\n    return K * x * x\n", run="module.K = 5.0", reads=True),
    Change("global_float_in_text", "K = 2.0\ndef f(x):\n    return K * x * x\n", "K = 2.0", "K = 3.0"),
    Change("global_int", "K = 2\ndef f(x):\n    return x ** K\n", run="module.K = 3"),
    Change("global_int_becomes_float", "K = 2\ndef f(x):\n    return x ** K\n", run="module.K = 2.5"),
    Change("global_bool", "B = True\ndef f(x):\n    return x * x if B else x\n", run="module.B = False"),
    Change("global_name", "M = 'a'\ndef f(x):\n    return x * x if M == 'a' else x\n", run="module.M = 'b'"),
    Change(
        "global_none", "M = None\ndef f(x):\n    return x * x if M is None else M * x\n", run="module.M = 4.0"
    ),
    Change(
        "global_deleted",
        "K = 2\ndef f(x):\n    try:\n        return x ** K\n    except NameError:\n        return x\n",
        run="del module.K",
    ),
    Change(
        "global_appears",
        "def f(x):\n    try:\n        return x * K\n    except NameError:\n        return x\n",
        run="module.K = 7",
    ),
    Change(
        "array_contents",
        "W = np.ones(3)\ndef f(x):\n    return np.sum(W * x)\n",
        run="module.W[:] = 4.0",
        reads=True,
    ),
    Change(
        "array_shape", "W = np.ones(3)\ndef f(x):\n    return np.sum(W * x)\n", run="module.W = np.ones(5)"
    ),
    Change(
        "array_dtype",
        "W = np.ones(3)\ndef f(x):\n    return np.sum(W * x) + len(W)\n",
        run="module.W = np.full(3, 2, np.int32)",
    ),
    Change(
        "array_of_names",
        "W = np.array(['a', 'b'])\ndef f(x):\n    return x * x if W[0] == 'a' else x\n",
        run="module.W[0] = 'c'",
    ),
    Change("numpy_scalar", "K = np.int64(2)\ndef f(x):\n    return x ** K\n", run="module.K = np.int64(3)"),
    Change(
        "dtype",
        "D = np.float64\ndef f(x):\n    return np.sum(np.full(3, 0.5).astype(D) * x)\n",
        run="module.D = np.int64",
    ),
    Change(
        "closure_int",
        "def make(k):\n    def f(x):\n        return x ** k\n    return f\nf = make(2)\n",
        "make(2)",
        "make(3)",
    ),
    Change(
        "closure_changed",
        "def make(k):\n    def f(x):\n        return x ** k\n    return f\nf = make(2)\n",
        run="module.f.__closure__[0].cell_contents = 4",
    ),
    Change(
        "closure_float",
        "def make(k):\n    def f(x):\n        return x * k\n    return f\nf = make(2.0)\n",
        run="module.f.__closure__[0].cell_contents = 4.0",
        reads=True,
    ),
    Change(
        "closure_function",
        "def make(g):\n    def f(x):\n        return g(x)\n    return f\nf = make(lambda x: x * x)\n",
        "lambda x: x * x",
        "lambda x: x * x * x",
    ),
    Change("default_int", "def f(x, k=2):\n    return x ** k\n", run="module.f.__defaults__ = (3,)"),
    Change("default_float", "def f(x, k=2.0):\n    return x * k\n", run="module.f.__defaults__ = (3.0,)"),
    Change(
        "default_keyword", "def f(x, *, k=2):\n    return x ** k\n", run="module.f.__kwdefaults__ = {'k': 3}"
    ),
    Change(
        "default_of_helper",
        "def g(x, k=2):\n    return x ** k\ndef f(x):\n    return g(x)\n",
        run="module.g.__defaults__ = (3,)",
    ),
    Change("own_text", "def f(x):\n    return x * x\n", "return x * x", "return x * x * x"),
    Change(
        "own_code",
        "def f(x):\n    return x * x\ndef g(x):\n    return x\n",
        run="module.f.__code__ = module.g.__code__",
    ),
    Change(
        "helper_text",
        "def g(x):\n    return x * x\ndef f(x):\n    return g(x)\n",
        "return x * x",
        "return x * x + 1",
    ),
    Change(
        "helper_replaced",
        "def g(x):\n    return x * x\ndef f(x):\n    return g(x)\n",
        run="module.g = lambda x: 3 * x",
    ),
    Change(
        "helper_of_helper",
        "def h(x):\n    return x\ndef g(x):\n    return h(x) * x\ndef f(x):\n    return g(x)\n",
        run="module.h = math.sin",
    ),
    Change(
        "helper_elsewhere",
        "import HELPER as helper\ndef f(x):\n    return helper.g(x)\n",
        "return x * x",
        "return x * x * x",
        helper="def g(x):\n    return x * x\n",
    ),
    Change(
        "number_elsewhere",
        "import HELPER as helper\ndef f(x):\n    return x ** helper.K\n",
        "K = 2",
        "K = 3",
        helper="K = 2\n",
    ),
    Change(
        "remembered_elsewhere",
        "import HELPER as helper\ndef f(x):\n    return helper.g(x)\n",
        "return x * x",
        "return x * x * x",
        helper="import functools\n@functools.lru_cache\ndef g(x):\n    return x * x\n",
    ),
    Change(
        "remembered_replaced",
        "import functools\n@functools.lru_cache\ndef g(x):\n    return x * x\n"
        "@functools.lru_cache\ndef h(x):\n    return x * x * x\ndef f(x):\n    return g(x)\n",
        run="module.g = module.h",
    ),
    Change(
        "imported_inside",
        "def f(x):\n    from HELPER import g\n    return g(x)\nimport HELPER\n",
        "return x * x",
        "return x * x * x",
        helper="def g(x):\n    return x * x\n",
    ),
    Change(
        "method_text",
        "class M:\n    def g(self, x):\n        return x * x\nm = M()\ndef f(x):\n    return m.g(x)\n",
        "return x * x",
        "return x * x * x",
    ),
    Change(
        "method_replaced",
        "class M:\n    def g(self, x):\n        return x * x\nm = M()\ndef f(x):\n    return m.g(x)\n"
        "def other(self, x):\n    return 5 * x\n",
        run="module.M.g = module.other",
    ),
    Change(
        "attribute_int",
        "class M:\n    def __init__(self):\n        self.k = 2\nm = M()\ndef f(x):\n    return x ** m.k\n",
        run="module.m.k = 3",
    ),
    Change(
        "attribute_of_class",
        "class M:\n    k = 2\nm = M()\ndef f(x):\n    return x ** m.k\n",
        run="module.M.k = 3",
    ),
    Change(
        "attribute_in_base",
        "class A:\n    k = 2\nclass B:\n    k = 3\nclass M(A):\n    pass\nm = M()\ndef f(x):\n    return x ** m.k\n",
        "class M(A)",
        "class M(B)",
    ),
    Change(
        "instance_of_base",
        "class A: pass\nclass B: pass\nclass M(A):\n    pass\nm = M()\n"
        "def f(x):\n    return x * x if isinstance(m, A) else x\n",
        "class M(A)",
        "class M(B)",
    ),
    Change(
        "property_text",
        "class M:\n    @property\n    def k(self):\n        return 2\nm = M()\ndef f(x):\n    return x ** m.k\n",
        "return 2",
        "return 3",
    ),
    Change(
        "static_method",
        "class M:\n    @staticmethod\n    def g(x):\n        return x * x\ndef f(x):\n    return M.g(x)\n",
        run="module.M.g = staticmethod(lambda x: 4 * x)",
    ),
    Change(
        "class_method",
        "class M:\n    k = 2\n    @classmethod\n    def g(cls, x):\n        return x ** cls.k\n"
        "def f(x):\n    return M.g(x)\n",
        run="module.M.k = 3",
    ),
    Change(
        "call_method",
        "class M:\n    def __call__(self, x):\n        return x * x\nf = M()\n",
        "return x * x",
        "return x * x * x",
    ),
    Change(
        "operator_method",
        "class M:\n    def __mul__(self, x):\n        return x * x\nm = M()\ndef f(x):\n    return m * x\n",
        "return x * x",
        "return x * x * x",
    ),
    Change(
        "bound_method",
        "class M:\n    k = 2\n    def f(self, x):\n        return x ** self.k\nm = M()\nf = m.f\n",
        run="module.m.k = 3",
    ),
    Change(
        "another_class",
        "class M:\n    k = 2\nclass N:\n    k = 3\nm = M()\ndef f(x):\n    return x ** m.k\n",
        run="module.m = module.N()",
    ),
    Change("list_item", "L = [1, 2]\ndef f(x):\n    return x ** L[1]\n", run="module.L[1] = 3"),
    Change(
        "list_length", "L = [1, 2]\ndef f(x):\n    return x * sum(L) * len(L)\n", run="module.L.append(3)"
    ),
    Change("dict_item", "D = {'k': 2}\ndef f(x):\n    return x ** D['k']\n", run="module.D['k'] = 3"),
    Change("dict_keys", "D = {'k': 2}\ndef f(x):\n    return x * sum(D.values())\n", run="module.D['l'] = 3"),
    Change("dict_absent", "D = {'k': 2}\ndef f(x):\n    return x * D.get('l', 1)\n", run="module.D['l'] = 3"),
    Change(
        "tuple_default",
        "def f(x, k=(2, 1)):\n    return x ** k[0] + k[1]\n",
        run="module.f.__defaults__ = ((3, 1),)",
    ),
    Change(
        "frozen_set",
        "S = frozenset([1, 2])\ndef f(x):\n    return x * len(S)\n",
        run="module.S = frozenset([1])",
    ),
    Change(
        "enum_value",
        "import enum\nclass E(enum.Enum):\n    A = 2\n    B = 3\ne = E.A\ndef f(x):\n    return x ** e.value\n",
        run="module.e = module.E.B",
    ),
    Change(
        "enum_text",
        "import enum\nclass E(enum.Enum):\n    A = 2\n    B = 3\ne = E.A\n"
        "def f(x):\n    return x * x if e is E.A else x\n",
        "e = E.A",
        "e = E.B",
    ),
    Change(
        "named_tuple",
        "import collections\nP = collections.namedtuple('P', 'k l')\np = P(2, 3)\ndef f(x):\n    return x ** p.k\n",
        run="module.p = module.P(3, 3)",
    ),
    Change(
        "data_class",
        "import dataclasses\n@dataclasses.dataclass\nclass P:\n    k: int = 2\np = P()\n"
        "def f(x):\n    return x ** p.k\n",
        run="module.p.k = 3",
    ),
    Change(
        "fraction",
        "import fractions\nF = fractions.Fraction(1, 2)\ndef f(x):\n    return x * float(F)\n",
        run="module.F = fractions.Fraction(1, 3)",
    ),
    Change("numpy_patched", "def f(x):\n    return np.exp(x) * x\n", run="np.exp = lambda x: x * x"),
    Change("numpy_function_patched", "def f(x):\n    return np.sum(x) * x\n", run="np.sum = lambda x: x * x"),
    Change(
        "submodule_patched",
        "def f(x):\n    return np.linalg.norm(np.stack([x, x]))\n",
        run="np.linalg.norm = lambda v: v[0] * v[1]",
    ),
    Change("math_patched", "def f(x):\n    return math.sin(x) * x\n", run="math.sin = lambda x: x * x"),
    Change("number_patched", "def f(x):\n    return math.pi * x\n", run="math.pi = 3.0"),
    Change("builtin_patched", "def f(x):\n    return abs(x) * x\n", run="builtins.abs = lambda x: x * x"),
    Change("builtin_hidden", "def f(x):\n    return abs(x) * x\n", run="module.abs = lambda x: 3 * x"),
    Change(
        "name_imported",
        "from numpy import exp\ndef f(x):\n    return exp(x) * x\n",
        run="module.exp = np.sin",
    ),
    Change(
        "one_object_twice",
        "A = [2]\nB = A\ndef f(x):\n    return x ** A[0] + (x if A is B else 0.0)\n",
        run="module.B = [2]",
    ),
    Change(
        "two_objects_alike",
        "A = [2]\nB = [2]\ndef f(x):\n    return x ** (A[0] + B[0]) + (x if A is B else 0.0)\n",
        run="module.B = module.A",
    ),
    Change(
        "two_functions_alike",
        "def g(x):\n    return x\nh = lambda x: x\ndef f(x):\n    return g(x) * h(x) + (x if g is h else 0.0)\n",
        run="module.h = module.g",
    ),
    Change(
        "sentinel",
        "A = object()\nB = A\ndef f(x):\n    return x * x if A is B else x\n",
        run="module.B = object()",
        kept=False,
    ),
    Change(
        "environment",
        "import os\ndef f(x):\n    return x * x if os.environ.get('TG_MODE', 'a') == 'a' else x\n",
        run="os.environ['TG_MODE'] = 'b'",
        kept=False,
    ),
    Change(
        "wrapped",
        "import functools\ndef twice(g):\n    @functools.wraps(g)\n    def w(x):\n        return 2 * g(x)\n"
        "    return w\n"
        "@twice\ndef f(x):\n    return x * x\n",
        "2 * g(x)",
        "3 * g(x)",
    ),
    Change(
        "partial",
        "import functools\ndef g(k, x):\n    return x ** k\nh = functools.partial(g, 2)\ndef f(x):\n    return h(x)\n",
        run="module.h = functools.partial(module.g, 3)",
    ),
    Change(
        "partial_itself",
        "import functools\ndef g(k, x):\n    return x ** k\nf = functools.partial(g, 2)\n",
        "(g, 2)",
        "(g, 3)",
    ),
    Change(
        "nested_function",
        "def f(x):\n    def g(y):\n        return y * y\n    return g(x) + g(2 * x)\n",
        "return y * y",
        "return y * y * y",
    ),
    Change(
        "comprehension", "N = 3\ndef f(x):\n    return sum([x * k for k in range(N)])\n", run="module.N = 4"
    ),
    Change(
        "loop_count",
        "N = 30\ndef f(x):\n    for _ in range(N):\n        x = x * 1.01\n    return x\n",
        run="module.N = 40",
    ),
    Change("large_constant", "def f(x):\n    return np.sum(np.arange(1500.0) * x)\n", "1500.0", "1600.0"),
    Change(
        "large_global",
        "W = np.arange(1500.0)\ndef f(x):\n    return np.sum(W * x)\n",
        run="module.W += 1",
        reads=True,
    ),
    Change(
        "large_names",
        "W = np.array(['a'] * 1500)\ndef f(x):\n    return x * np.sum(W == 'a')\n",
        run="module.W[7] = 'b'",
    ),
    Change("what_is_printed", "def f(x):\n    print(x)\n    return x * x\n", "x * x", "x", kept=False),
    Change("random_global", "def f(x):\n    return x * np.random.normal()\n", "x * np", "x * x * np"),
    Change(
        "random_generator",
        "rng = np.random.default_rng(3)\ndef f(x):\n    return x * rng.normal() + rng.uniform(0.0, 1.0)\n",
        "x * rng",
        "x * x * rng",
    ),
    Change(
        "random_seeded",
        "def f(x):\n    return x * np.random.default_rng(3).normal(size=4).sum()\n",
        "default_rng(3)",
        "default_rng(4)",
    ),
    Change(
        "op_of_ours",
        "from tracegrad.ops import elementary\nh = elementary.sin\ndef f(x):\n    return h(x)\n",
        "elementary.sin",
        "elementary.exp",
        kept=False,
    ),
    Change(
        "derivative_of_another",
        "import tracegrad\nh = tracegrad.elementwise_grad(np.sin)\ndef f(x):\n    return h(x) * x\n",
        "(np.sin)",
        "(np.exp)",
        kept=False,
    ),
    Change(
        "derivative_given",
        "import tracegrad\nh = tracegrad.jacobian(np.sin)\ndef g(x, k):\n    return k(x) * x\n"
        "def f(x):\n    return g(x, h)\n",
        "(np.sin)",
        "(np.exp)",
        kept=False,
    ),
    Change(
        "vectorized",
        "def g(x):\n    return x * x\ndef k(x):\n    return x * x * x\nh = np.vectorize(g)\n"
        "def f(x):\n    return h(x) * x\n",
        "vectorize(g)",
        "vectorize(k)",
    ),
    Change(
        "spline",
        "import scipy.interpolate as si\nt = np.linspace(0.0, 2.0, 9)\nh = si.CubicSpline(t, t**2)\n"
        "def f(x):\n    return h(x) * x\n",
        "t**2",
        "t**3",
        kept=False,
    ),
]
