"""The five tutorials of define-by-run autograd: each code cell, unchanged but for the import, prints what they print.

A tutorial is a list of (cell, what it shows): what it prints, and the value of its last expression. Differences that
are allowed, and normalised away here alone: the address of an object; the spelling of a `grad_fn` (old PyTorch wrote
`AddBackward`, `MeanBackward1` where today's writes `AddBackward0`, `MeanBackward0`); spaces inside brackets, and
suffixes, that the oldest printing did not have; random numbers, and what follows from them, which are written RANDOM.
The last tutorial has cells that only say in a comment what to do: they are filled in as told.
"""

from __future__ import annotations

import ast
import contextlib
import io
import math
import re

import pytest

import tracegrad

Cells = list[tuple[str, str]]

FIRST: Cells = [
    (
        "import torch\nx = torch.ones(2, 2, requires_grad=True)\nprint(x)",
        "tensor([[1., 1.],\n        [1., 1.]], requires_grad=True)",
    ),
    (
        "y = x + 2\nprint(y)\nprint(y.grad_fn)\nz = y * y * 3\nout = z.mean()\nprint(z, out)",
        "tensor([[3., 3.],\n"
        "        [3., 3.]], grad_fn=<AddBackward>)\n"
        "<AddBackward object at 0x7f6ee07730f0>\n"
        "tensor([[27., 27.],\n"
        "        [27., 27.]], grad_fn=<MulBackward>) tensor(27., grad_fn=<MeanBackward1>)",
    ),
    (
        "a = torch.randn(2, 2)\n"
        "a = ((a * 3) / (a - 1))\n"
        "print(a.requires_grad)\n"
        "b = (a * a).sum()\n"
        "print(b.grad_fn)\n"
        "a.requires_grad_(True)\n"
        "print(a.requires_grad)\n"
        "b = (a * a).sum()\n"
        "print(b.grad_fn)",
        "False\nNone\nTrue\n<SumBackward0 object at 0x7f6ee076a668>",
    ),
    (
        "# to compute the derivative of all ops on the tensor call .backward()\n"
        "# the result is shown in the original tensor as .grad\n"
        "out.backward()\n"
        "print(out.grad)\n"
        "print(z.grad)\n"
        "print(y.grad)\n"
        "print(x.grad)",
        "None\nNone\nNone\ntensor([[4.5000, 4.5000],\n        [4.5000, 4.5000]])",
    ),
    (
        "# vector jacobian product\n"
        "x = torch.randn(3, requires_grad=True)\n"
        "\n"
        "y = x * 2\n"
        "while y.data.norm() < 1000:\n"
        "    y = y * 2\n"
        "\n"
        "print(y)",
        "tensor([RANDOM], grad_fn=<MulBackward>)",
    ),
    (
        "# y is no longer a scalar so cannot compute full Jacobian directly, \n"
        "# if we just wan the vector Jacobian product, simply pass the vetor to backward as argument\n"
        "\n"
        "v = torch.tensor([0.1,1.0, 0.0001], dtype=torch.float)\n"
        "y.backward(v)\n"
        "print(x.grad)",
        "tensor([RANDOM])",
    ),
    (
        "print(x.requires_grad)\n"
        "print((x ** 2).requires_grad)\n"
        "\n"
        "with torch.no_grad():\n"
        "    print((x ** 2).requires_grad)",
        "True\nTrue\nFalse",
    ),
]

SECOND: Cells = [
    (
        "import torch",
        "",
    ),
    (
        "x = torch.ones(2, 2, requires_grad=True)\nprint(x) # Note the argument",
        "tensor([[1., 1.],\n        [1., 1.]], requires_grad=True)",
    ),
    (
        "print(x.grad_fn)",
        "None",
    ),
    (
        "y = x + 3.\ny",
        "tensor([[4., 4.],\n        [4., 4.]], grad_fn=<AddBackward>)",
    ),
    (
        "print(y.grad_fn)",
        "<AddBackward object at 0x7f22c74f2668>",
    ),
    (
        "z = y * y * 3\n\nout = z.mean()\n\n# Note the automatic attribute `.grad_fn`\nprint(z)\nprint(out)",
        "tensor([[48., 48.],\n"
        "        [48., 48.]], grad_fn=<MulBackward>)\n"
        "tensor(48., grad_fn=<MeanBackward1>)",
    ),
    (
        "a = torch.randn(2, 2) # by default, requires_grad is False\n"
        "a = ((a * 3) / (a - 1))\n"
        "print(a.requires_grad)\n"
        "\n"
        "a.requires_grad_(True)\n"
        "print(a.requires_grad)\n"
        "\n"
        "b = (a * a).sum()\n"
        "print(b.grad_fn)",
        "False\nTrue\n<SumBackward0 object at 0x7f21d6aa8a58>",
    ),
    (
        "out.backward()",
        "",
    ),
    (
        "print(x.grad) # gradients d(out)/dx",
        "tensor([[6., 6.],\n        [6., 6.]])",
    ),
    (
        "x = torch.randn(3, requires_grad=True)\n\ny = x * 2",
        "",
    ),
    (
        "while y.data.norm() < 1000: \n"
        "    y = y * 2 # Keep squaring y as long as its norm is below 1000, if not exit loop\n"
        "\n"
        "print(y)",
        "tensor([RANDOM], grad_fn=<MulBackward>)",
    ),
    (
        "y.data.norm()",
        "tensor(RANDOM)",
    ),
    (
        "gradients = torch.tensor([0.1, 1.0, 0.0001], dtype=torch.float)",
        "",
    ),
    (
        "y.backward(gradient = gradients) \nprint(x.grad)",
        "tensor([RANDOM])",
    ),
    (
        "print(x.requires_grad)\nprint((x ** 2).requires_grad)",
        "True\nTrue",
    ),
    (
        "with torch.no_grad():\n    print((x ** 2).requires_grad)",
        "False",
    ),
    (
        "x",
        "tensor([RANDOM], requires_grad=True)",
    ),
    (
        "c = x.detach()\n"
        "x.detach() # returns a new tensor with same values, but no gradient computation on it",
        "tensor([RANDOM])",
    ),
    (
        "print(x.grad)",
        "tensor([RANDOM])",
    ),
    (
        "print(c.grad) # is detached from the graph and we cannot compute gradient with respect to this ",
        "None",
    ),
]

THIRD: Cells = [
    (
        "import torch",
        "",
    ),
    (
        "x = torch.ones(2, 2, requires_grad=True)\nprint(x)",
        "tensor([[ 1., 1.],\n[ 1., 1.]])",
    ),
    (
        "y = x + 2\nprint(y)",
        "tensor([[ 3., 3.],\n[ 3., 3.]])",
    ),
    (
        "print(y.grad_fn)",
        "<AddBackward0 object at 0x7fb9f73ea518>",
    ),
    (
        "z = y * y * 3\nout = z.mean()\nprint(z, out)",
        "tensor([[ 27., 27.],\n[ 27., 27.]]) tensor(27.)",
    ),
    (
        "a = torch.randn(2, 2)\n"
        "a = ((a * 3) / (a - 1))\n"
        "print(a.requires_grad)\n"
        "a.requires_grad_(True)\n"
        "print(a.requires_grad)\n"
        "b = (a * a).sum()\n"
        "print(b.grad_fn)",
        "False\nTrue\n<SumBackward0 object at 0x7fb9f74f1a58>",
    ),
    (
        "out.backward()",
        "",
    ),
    (
        "print(x.grad)",
        "tensor([[ 4.5000, 4.5000],\n[ 4.5000, 4.5000]])",
    ),
    (
        "x = torch.randn(3, requires_grad=True)\n"
        "y = x * 2\n"
        "while y.data.norm() < 1000:\n"
        "    y = y * 2\n"
        "print(y)",
        "tensor([RANDOM])",
    ),
    (
        "gradients = torch.tensor([0.1, 1.0, 0.0001], dtype=torch.float)\n"
        "y.backward(gradients)\n"
        "print(x.grad)",
        "tensor([RANDOM])",
    ),
    (
        "print(x.requires_grad)\n"
        "print((x ** 2).requires_grad)\n"
        "with torch.no_grad():\n"
        "    print((x ** 2).requires_grad)",
        "True\nTrue\nFalse",
    ),
]

FOURTH: Cells = [
    (
        "import torch",
        "",
    ),
    (
        "x = torch.arange(4.0)\nx",
        "tensor([0., 1., 2., 3.])",
    ),
    (
        "# Can also create x = torch.arange(4.0, requires_grad=True)\n"
        "x.requires_grad_(True)\n"
        "x.grad  # The gradient is None by default",
        "",
    ),
    (
        "y = 2 * torch.dot(x, x)\ny",
        "tensor(28., grad_fn=<MulBackward0>)",
    ),
    (
        "y.backward()\nx.grad",
        "tensor([ 0.,  4.,  8., 12.])",
    ),
    (
        "x.grad == 4 * x",
        "tensor([True, True, True, True])",
    ),
    (
        "x.grad.zero_()  # Reset the gradient\ny = x.sum()\nprint(y)\ny.backward()\nx.grad",
        "tensor(6., grad_fn=<SumBackward0>)\ntensor([1., 1., 1., 1.])",
    ),
    (
        "x.grad.zero_()\n"
        "y = x * x\n"
        "y.backward(gradient=torch.ones(len(y)))  # Faster: y.sum().backward()\n"
        "print(x.grad)\n"
        "\n"
        "x.grad.zero_()\n"
        "y = x * x\n"
        "y.sum().backward()\n"
        "print(x.grad)",
        "tensor([0., 2., 4., 6.])\ntensor([0., 2., 4., 6.])",
    ),
    (
        "x.grad.zero_()\ny = x * x\nu = y.detach()\nz = u * x\n\nz.sum().backward()\nx.grad == u",
        "tensor([True, True, True, True])",
    ),
    (
        "x.grad.zero_()\ny.sum().backward()\nx.grad == 2 * x",
        "tensor([True, True, True, True])",
    ),
    (
        "def f(a):\n"
        "    b = a * 2\n"
        "    while b.norm() < 1000:\n"
        "        b = b * 2\n"
        "    if b.sum() > 0:\n"
        "        c = b\n"
        "    else:\n"
        "        c = 100 * b\n"
        "    return c",
        "",
    ),
    (
        "a = torch.randn(size=(), requires_grad=True)\nprint(a)\nd = f(a)\nprint(d)\nd.backward()\na.grad",
        "tensor(RANDOM, requires_grad=True)\ntensor(RANDOM, grad_fn=<MulBackward0>)\ntensor(RANDOM)",
    ),
    (
        "a.grad == d / a",
        "tensor(True)",
    ),
]

FIFTH: Cells = [
    (
        "import torch\nfrom torch.autograd import Variable",
        "",
    ),
    (
        "#Variable(<tensor>, optional <requires_grad>)\n"
        "x = Variable(torch.ones(2, 2), requires_grad=True)\n"
        "print(x.creator)",
        "None",
    ),
    (
        "# add 2\ny = x + 2\nprint(y.data)",
        "tensor([[3., 3.],\n        [3., 3.]])",
    ),
    (
        "#creator\nprint(y.creator)",
        "<AddBackward0 object at 0x0>",
    ),
    (
        "# z = 3(x + 2)^2\nz = y * y * 3\n#out = z.mean()\nout = z.mean()\n# print(z, out)\nprint(z, out)",
        "tensor([[27., 27.],\n"
        "        [27., 27.]], grad_fn=<MulBackward0>) tensor(27., grad_fn=<MeanBackward0>)",
    ),
    (
        "# use backward()\nout.backward()",
        "",
    ),
    (
        "# use grad on x\nx.grad",
        "tensor([[4.5000, 4.5000],\n        [4.5000, 4.5000]])",
    ),
    (
        "x.grad = None\ny = x * 2\ny.backward(torch.ones(2, 2))\nx.grad",
        "tensor([[2., 2.],\n        [2., 2.]])",
    ),
]


def run(cell: str, names: dict[str, object]) -> str:
    """What a notebook would show for a cell."""
    cell = cell.replace("import torch\n", "import tracegrad as torch\n").replace(
        "from torch.", "from tracegrad."
    )
    if cell == "import torch":
        cell = "import tracegrad as torch"
    tree = ast.parse(cell)
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "<cell>", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
            if value is not None:
                print(value)
    return shown.getvalue()


def normal(text: str) -> str:
    text = re.sub(r"0x[0-9a-f]+", "ADDRESS", text)
    text = text.replace("AddBackward>", "AddBackward0>").replace("AddBackward ", "AddBackward0 ")
    text = text.replace("MulBackward>", "MulBackward0>").replace("MeanBackward1", "MeanBackward0")
    return re.sub(r"(?<=\[)\s+|(?<=,)\s+", " ", text.strip()).replace("[ ", "[")


def without_suffixes(text: str) -> str:
    return re.sub(r", (requires_grad=True|grad_fn=<\w+>)\)", ")", text)


def without_numbers(text: str) -> str:
    return re.sub(r"tensor\((\[[^]]*\]|[-\d.e+]+)", "tensor(RANDOM", text)


@pytest.mark.parametrize("number", range(5))
def test_the_tutorial_prints_what_it_says(number: int) -> None:
    cells = [FIRST, SECOND, THIRD, FOURTH, FIFTH][number]
    tracegrad.manual_seed(7)
    names: dict[str, object] = {}
    for cell, expected in cells:
        shown, wanted = normal(run(cell, names)), normal(expected)
        if cells is THIRD:
            shown = without_suffixes(shown)
        if "RANDOM" in wanted:
            shown, wanted = without_numbers(shown), wanted.replace("[RANDOM]", "RANDOM")
        assert shown == wanted, cell


def test_the_random_cells_say_what_follows_from_their_numbers() -> None:
    """The vector-Jacobian product of a doubling loop is the vector times a power of two."""
    names: dict[str, object] = {}
    tracegrad.manual_seed(3)
    for cell, _ in FIRST[:1] + FIRST[4:6]:
        run(cell, names)
    x, y = names["x"], names["y"]
    factor = (y.detach() / x.detach())[0].item()
    assert factor == 2 ** round(math.log2(factor))
    assert y.detach().norm() >= 1000
    v = tracegrad.tensor([0.1, 1.0, 0.0001], dtype=tracegrad.float)
    assert tracegrad.equal(x.grad, v.double() * factor)


def test_the_gradient_of_the_branching_function_is_d_over_a_for_many_inputs() -> None:
    names: dict[str, object] = {"torch": tracegrad}
    run(FOURTH[10][0], names)
    tracegrad.manual_seed(0)
    for _ in range(200):
        a = tracegrad.randn(size=(), requires_grad=True)
        d = names["f"](a)
        d.backward()
        assert tracegrad.allclose(a.grad, d / a, rtol=1e-14)


def test_grad_of_the_branching_function_captures_it_once_an_arm() -> None:
    """The tutorial's `f`, as a plain function of a number: a thousand inputs, and no retrace for another trip count."""

    def f(a):  # type: ignore[no-untyped-def]
        b = a * 2
        while b.norm() < 1000:
            b = b * 2
        if b.sum() > 0:
            c = b
        else:
            c = 100 * b
        return c

    slope = tracegrad.grad(f)
    tracegrad.manual_seed(1)
    for a in tracegrad.randn(1000).tolist():
        d = f(tracegrad.tensor(a)).item()
        assert math.isclose(slope(a), d / a, rel_tol=1e-14)
    assert slope.stats.captures <= 3
