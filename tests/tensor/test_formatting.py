"""A tensor prints as PyTorch prints it: these strings were recorded from PyTorch 2.13, its default dtype float64.

The one change: `torch.` is spelt `tracegrad.` in a dtype.
"""

import pytest

import tracegrad

EXPECTED = {
    "T.tensor(3.5)": ("tensor(3.5000)"),
    "T.tensor(7)": ("tensor(7)"),
    "T.tensor(True)": ("tensor(True)"),
    "T.tensor([1.0, 2.0])": ("tensor([1., 2.])"),
    "T.tensor([1, -20, 300])": ("tensor([  1, -20, 300])"),
    "T.tensor([True, False])": ("tensor([ True, False])"),
    "T.tensor([0.5, 100.25, -3.0])": ("tensor([  0.5000, 100.2500,  -3.0000])"),
    "T.tensor([1.0, 0.0001])": ("tensor([1.0000e+00, 1.0000e-04])"),
    "T.tensor([1e-5, 1.0])": ("tensor([1.0000e-05, 1.0000e+00])"),
    "T.tensor([1e9, 1.0])": ("tensor([1.0000e+09, 1.0000e+00])"),
    "T.tensor([123456.0, 2.0, 7.0])": ("tensor([1.2346e+05, 2.0000e+00, 7.0000e+00])"),
    "T.tensor([1e8, 1.0])": ("tensor([1.0000e+08, 1.0000e+00])"),
    "T.tensor([100000001.0])": ("tensor([1.0000e+08])"),
    "T.tensor([float('nan'), 1.0])": ("tensor([nan, 1.])"),
    "T.tensor([float('inf'), -float('inf'), 2.5])": ("tensor([   inf,   -inf, 2.5000])"),
    "T.tensor([0.0, -0.0])": ("tensor([0., -0.])"),
    "T.tensor([])": ("tensor([])"),
    "T.zeros(0, 3)": ("tensor([], size=(0, 3))"),
    "T.tensor([], dtype=T.int64)": ("tensor([], dtype=tracegrad.int64)"),
    "T.ones(2, 2)": ("tensor([[1., 1.],\n        [1., 1.]])"),
    "T.ones(1, 1, 1)": ("tensor([[[1.]]])"),
    "T.arange(8.0).reshape(2, 2, 2)": (
        "tensor([[[0., 1.],\n         [2., 3.]],\n\n        [[4., 5.],\n         [6., 7.]]])"
    ),
    "T.arange(24).reshape(2, 3, 4)": (
        "tensor([[[ 0,  1,  2,  3],\n"
        "         [ 4,  5,  6,  7],\n"
        "         [ 8,  9, 10, 11]],\n"
        "\n"
        "        [[12, 13, 14, 15],\n"
        "         [16, 17, 18, 19],\n"
        "         [20, 21, 22, 23]]])"
    ),
    "T.arange(30)": (
        "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
        "        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29])"
    ),
    "T.arange(30.0) / 7": (
        "tensor([0.0000, 0.1429, 0.2857, 0.4286, 0.5714, 0.7143, 0.8571, 1.0000, 1.1429,\n"
        "        1.2857, 1.4286, 1.5714, 1.7143, 1.8571, 2.0000, 2.1429, 2.2857, 2.4286,\n"
        "        2.5714, 2.7143, 2.8571, 3.0000, 3.1429, 3.2857, 3.4286, 3.5714, 3.7143,\n"
        "        3.8571, 4.0000, 4.1429])"
    ),
    "T.arange(40).reshape(2, 20) * 1000": (
        "tensor([[    0,  1000,  2000,  3000,  4000,  5000,  6000,  7000,  8000,  9000,\n"
        "         10000, 11000, 12000, 13000, 14000, 15000, 16000, 17000, 18000, 19000],\n"
        "        [20000, 21000, 22000, 23000, 24000, 25000, 26000, 27000, 28000, 29000,\n"
        "         30000, 31000, 32000, 33000, 34000, 35000, 36000, 37000, 38000, 39000]])"
    ),
    "T.arange(1001)": ("tensor([   0,    1,    2,  ...,  998,  999, 1000])"),
    "T.arange(1001.0)": ("tensor([   0.,    1.,    2.,  ...,  998.,  999., 1000.])"),
    "T.arange(1200.0).reshape(40, 30)": (
        "tensor([[0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 2.7000e+01, 2.8000e+01,\n"
        "         2.9000e+01],\n"
        "        [3.0000e+01, 3.1000e+01, 3.2000e+01,  ..., 5.7000e+01, 5.8000e+01,\n"
        "         5.9000e+01],\n"
        "        [6.0000e+01, 6.1000e+01, 6.2000e+01,  ..., 8.7000e+01, 8.8000e+01,\n"
        "         8.9000e+01],\n"
        "        ...,\n"
        "        [1.1100e+03, 1.1110e+03, 1.1120e+03,  ..., 1.1370e+03, 1.1380e+03,\n"
        "         1.1390e+03],\n"
        "        [1.1400e+03, 1.1410e+03, 1.1420e+03,  ..., 1.1670e+03, 1.1680e+03,\n"
        "         1.1690e+03],\n"
        "        [1.1700e+03, 1.1710e+03, 1.1720e+03,  ..., 1.1970e+03, 1.1980e+03,\n"
        "         1.1990e+03]])"
    ),
    "T.arange(2000).reshape(20, 10, 10)": (
        "tensor([[[   0,    1,    2,  ...,    7,    8,    9],\n"
        "         [  10,   11,   12,  ...,   17,   18,   19],\n"
        "         [  20,   21,   22,  ...,   27,   28,   29],\n"
        "         ...,\n"
        "         [  70,   71,   72,  ...,   77,   78,   79],\n"
        "         [  80,   81,   82,  ...,   87,   88,   89],\n"
        "         [  90,   91,   92,  ...,   97,   98,   99]],\n"
        "\n"
        "        [[ 100,  101,  102,  ...,  107,  108,  109],\n"
        "         [ 110,  111,  112,  ...,  117,  118,  119],\n"
        "         [ 120,  121,  122,  ...,  127,  128,  129],\n"
        "         ...,\n"
        "         [ 170,  171,  172,  ...,  177,  178,  179],\n"
        "         [ 180,  181,  182,  ...,  187,  188,  189],\n"
        "         [ 190,  191,  192,  ...,  197,  198,  199]],\n"
        "\n"
        "        [[ 200,  201,  202,  ...,  207,  208,  209],\n"
        "         [ 210,  211,  212,  ...,  217,  218,  219],\n"
        "         [ 220,  221,  222,  ...,  227,  228,  229],\n"
        "         ...,\n"
        "         [ 270,  271,  272,  ...,  277,  278,  279],\n"
        "         [ 280,  281,  282,  ...,  287,  288,  289],\n"
        "         [ 290,  291,  292,  ...,  297,  298,  299]],\n"
        "\n"
        "        ...,\n"
        "\n"
        "        [[1700, 1701, 1702,  ..., 1707, 1708, 1709],\n"
        "         [1710, 1711, 1712,  ..., 1717, 1718, 1719],\n"
        "         [1720, 1721, 1722,  ..., 1727, 1728, 1729],\n"
        "         ...,\n"
        "         [1770, 1771, 1772,  ..., 1777, 1778, 1779],\n"
        "         [1780, 1781, 1782,  ..., 1787, 1788, 1789],\n"
        "         [1790, 1791, 1792,  ..., 1797, 1798, 1799]],\n"
        "\n"
        "        [[1800, 1801, 1802,  ..., 1807, 1808, 1809],\n"
        "         [1810, 1811, 1812,  ..., 1817, 1818, 1819],\n"
        "         [1820, 1821, 1822,  ..., 1827, 1828, 1829],\n"
        "         ...,\n"
        "         [1870, 1871, 1872,  ..., 1877, 1878, 1879],\n"
        "         [1880, 1881, 1882,  ..., 1887, 1888, 1889],\n"
        "         [1890, 1891, 1892,  ..., 1897, 1898, 1899]],\n"
        "\n"
        "        [[1900, 1901, 1902,  ..., 1907, 1908, 1909],\n"
        "         [1910, 1911, 1912,  ..., 1917, 1918, 1919],\n"
        "         [1920, 1921, 1922,  ..., 1927, 1928, 1929],\n"
        "         ...,\n"
        "         [1970, 1971, 1972,  ..., 1977, 1978, 1979],\n"
        "         [1980, 1981, 1982,  ..., 1987, 1988, 1989],\n"
        "         [1990, 1991, 1992,  ..., 1997, 1998, 1999]]])"
    ),
    "T.arange(1002.0) / 3": (
        "tensor([0.0000e+00, 3.3333e-01, 6.6667e-01,  ..., 3.3300e+02, 3.3333e+02,\n        3.3367e+02])"
    ),
    "T.ones(2, dtype=T.float32)": ("tensor([1., 1.], dtype=tracegrad.float32)"),
    "T.tensor([1.5], dtype=T.float16)": ("tensor([1.5000], dtype=tracegrad.float16)"),
    "T.ones(2, dtype=T.int32)": ("tensor([1, 1], dtype=tracegrad.int32)"),
    "T.ones(3, dtype=T.uint8)": ("tensor([1, 1, 1], dtype=tracegrad.uint8)"),
    "T.tensor(2.0, dtype=T.float32)": ("tensor(2., dtype=tracegrad.float32)"),
    "T.tensor([1 + 2j, 3.5 - 1j])": ("tensor([1.0000+2.j, 3.5000-1.j])"),
    "T.ones(2, requires_grad=True)": ("tensor([1., 1.], requires_grad=True)"),
    "T.ones(2, 2, requires_grad=True)": ("tensor([[1., 1.],\n        [1., 1.]], requires_grad=True)"),
    "T.tensor(2.0, requires_grad=True) * 3": ("tensor(6., grad_fn=<MulBackward0>)"),
    "T.ones(2, 2, requires_grad=True) + 2": ("tensor([[3., 3.],\n        [3., 3.]], grad_fn=<AddBackward0>)"),
    "T.ones(12, requires_grad=True) / 3": (
        "tensor([0.3333, 0.3333, 0.3333, 0.3333, 0.3333, 0.3333, 0.3333, 0.3333, 0.3333,\n"
        "        0.3333, 0.3333, 0.3333], grad_fn=<DivBackward0>)"
    ),
    "T.ones(2, dtype=T.float32, requires_grad=True)": (
        "tensor([1., 1.], dtype=tracegrad.float32, requires_grad=True)"
    ),
    "T.ones(2, dtype=T.float32, requires_grad=True) * 2": (
        "tensor([2., 2.], dtype=tracegrad.float32, grad_fn=<MulBackward0>)"
    ),
    "T.full((7,), 1234.5678, requires_grad=True)": (
        "tensor([1234.5678, 1234.5678, 1234.5678, 1234.5678, 1234.5678, 1234.5678,\n"
        "        1234.5678], requires_grad=True)"
    ),
    "T.full((9,), -1234.5678, requires_grad=True).exp()": (
        "tensor([0., 0., 0., 0., 0., 0., 0., 0., 0.], grad_fn=<ExpBackward0>)"
    ),
    "T.linspace(0.0, 1.0, 5)": ("tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])"),
    "T.tensor([[1e-3, 1.0], [2.0, 999.0]])": (
        "tensor([[1.0000e-03, 1.0000e+00],\n        [2.0000e+00, 9.9900e+02]])"
    ),
    "T.tensor([[-1.0, 2.0], [3.0, -4.0]])": ("tensor([[-1.,  2.],\n        [ 3., -4.]])"),
    "T.eye(3)": ("tensor([[1., 0., 0.],\n        [0., 1., 0.],\n        [0., 0., 1.]])"),
    "T.tensor(1e-10)": ("tensor(1.0000e-10)"),
    "T.tensor(12345678.9)": ("tensor(12345678.9000)"),
    "T.tensor(-0.00012)": ("tensor(-0.0001)"),
    "T.tensor(99999.99999)": ("tensor(100000.0000)"),
}


@pytest.mark.parametrize("expression", EXPECTED)
def test_prints_as_pytorch(expression):
    value = eval(expression, {"T": tracegrad})
    assert repr(value) == str(value) == EXPECTED[expression]


def test_another_default_dtype_moves_the_suffix():
    before = tracegrad.get_default_dtype()
    tracegrad.set_default_dtype(tracegrad.float32)
    try:
        assert repr(tracegrad.ones(2)) == "tensor([1., 1.])"
        assert repr(tracegrad.ones(2, dtype=tracegrad.float64)) == "tensor([1., 1.], dtype=tracegrad.float64)"
    finally:
        tracegrad.set_default_dtype(before)


def test_a_number_can_be_formatted():
    assert f"{tracegrad.tensor(2.5):.2f}" == "2.50"
    assert f"{tracegrad.tensor([2.5])}" == "tensor([2.5000])"
    assert str(tracegrad.ones(2, 3).shape) == "tracegrad.Size([2, 3])"
