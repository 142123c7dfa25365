"""A walk through eager tensors: what is remembered, how it is pulled back, what is forgotten on purpose.

The story of PyTorch's autograd tutorials, told with tracegrad under PyTorch's name. Every operation runs
at once and leaves a node behind; `.backward()` turns the nodes into a program, runs it, and keeps it for
the next time.
"""

import numpy as np

import tracegrad as torch


def title(text):
    print(f"\n{text}\n{'-' * len(text)}")


title("A tensor that asks for its gradient remembers what is done with it")
x = torch.ones(2, 2, requires_grad=True)
y = x + 2
z = y * y * 3
out = z.mean()
print(x)
print(z)
print("out:", out)
print("x was made by you, so there is nothing to go back to:", x.grad_fn)
node, chain = out.grad_fn, []
while node is not None:
    chain.append(type(node).__name__)
    node = node.next_functions[0][0] if node.next_functions else None
print("from out back to x:", " -> ".join(chain))

title("Going back: out is the mean of 3 (x + 2)^2, so each entry should get 3/2 (x + 2) = 4.5")
out.backward()
print(x.grad)
print("only leaves keep a gradient:", x.is_leaf, y.is_leaf)

title("The program that went back can be read")
print(out.backward_source())

title("Gradients add up until you clear them")
x = torch.arange(4.0, requires_grad=True)
for _ in range(2):
    y = 2 * torch.dot(x, x)
    y.backward()
    print(x.grad)
x.grad.zero_()
x.sum().backward()
print(x.grad)

title("A result with several entries wants a vector to pull back")
x = torch.tensor([0.5, -1.0, 2.0], requires_grad=True)
y = x * 2
while y.data.norm() < 1000:
    y = y * 2
v = torch.tensor([0.1, 1.0, 0.0001], dtype=torch.double)
y.backward(v)
print("y was doubled until it was long:", y)
print("so the pull of v came back as often doubled:", x.grad)

title("Cutting the memory: detach treats a value as given, no_grad remembers nothing")
x = torch.arange(4.0, requires_grad=True)
y = x * x
u = y.detach()
(u * x).sum().backward()
print("with u given, d(u x)/dx is u:", np.array_equal(x.grad.numpy(), u.numpy()))
with torch.no_grad():
    print("is x**2 remembered inside no_grad?", (x**2).requires_grad)
print("and outside?", (x**2).requires_grad)

title("Python decides, the gradient follows")


def f(a):
    b = a * 2
    while b.norm() < 1000:
        b = b * 2
    if b.sum() > 0:
        c = b
    else:
        c = 100 * b
    return c


for start in (0.3, -0.3, 12.5):
    a = torch.tensor(start, requires_grad=True)
    d = f(a)
    d.backward()
    print(f"f({start}) = {d.item():10.1f}   gradient {a.grad.item():8.1f}   = f / a? {bool(a.grad == d / a)}")

title("Teaching it a function of your own, and learning with it")


class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return 3 * x * x * grad_output


root = torch.tensor(1.0, requires_grad=True)
for _ in range(30):
    loss = (Cube.apply(root) - 2.0) ** 2
    loss.backward()
    with torch.no_grad():
        root -= 0.02 * root.grad
        root.grad.zero_()
print(f"the cube root of 2, found by going downhill: {root.item():.6f} (NumPy says {np.cbrt(2.0):.6f})")
