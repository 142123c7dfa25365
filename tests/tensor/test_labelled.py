"""Containers with labels as arguments and from outside: pandas' Series and DataFrame, xarray's DataArray and Dataset.

Each program runs unchanged on the containers themselves: its value has to be theirs, its gradient that of differences,
in the container of the argument. Begin with `check`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tracegrad as tg
from tracegrad import tree
from tracegrad.errors import ArgumentError, InPlaceError, LeakError, NotScalarError, UnsupportedError

pd = pytest.importorskip("pandas")
xr = pytest.importorskip("xarray")

SERIES = pd.Series([1.0, 2.0, 3.5], index=list("abc"), name="q")
FRAME = pd.DataFrame(np.arange(6.0).reshape(3, 2) + 0.5, columns=["u", "v"], index=list("abc"))
MIXED = pd.DataFrame(
    {"y": [1.0, 2.2, 3.0, 4.5], "x": [0.5, 0.1, 0.2, 0.9], "g": list("aabb"), "n": [1, 2, 3, 4]}
)
PLANE = xr.DataArray(
    np.arange(6.0).reshape(3, 2) + 0.7,
    dims=("t", "k"),
    coords={"t": [10, 20, 30], "far": ("t", [1.5, 2.5, 3.5])},
    name="z",
    attrs={"unit": "m"},
)
SET = xr.Dataset({"a": PLANE, "b": ("t", np.array([1.0, 2.0, 3.0]))}, attrs={"source": "here"})


@pytest.fixture(autouse=True)
def readable_text() -> Iterator[None]:
    with tg.config.using(jit="python"):
        yield


def differences(function: Callable[..., Any], args: tuple[Any, ...], step: float = 1e-6) -> list[Any]:
    """The gradient by the first argument from the function on plain containers, leaf by leaf."""
    leaves, structure = tree.flatten(args[0])
    found = []
    for place, leaf in enumerate(leaves):
        gradient = np.zeros(np.shape(leaf))
        for index in np.ndindex(np.shape(leaf)):
            ends = []
            for way in (step, -step):
                moved = [np.array(x) for x in leaves]
                moved[place][index] += way
                ends.append(float(function(tree.unflatten(structure, moved), *args[1:])))
            gradient[index] = (ends[0] - ends[1]) / (2 * step)
        found.append(gradient)
    return found


def check(function: Callable[..., Any], *args: Any) -> None:
    """Value as on plain containers, gradient as from differences, labels as the argument's; one capture."""
    derivative = tg.value_and_grad(function)
    wanted = differences(function, args)
    for _ in range(2):
        value, gradient = derivative(*args)
        np.testing.assert_allclose(float(value), float(function(*args)), rtol=1e-12)
        leaves, structure = tree.flatten(gradient)
        assert type(gradient) is type(args[0])
        assert structure == tree.flatten(args[0])[1]
        for part, expected in zip(leaves, wanted, strict=True):
            np.testing.assert_allclose(part, expected, rtol=2e-6, atol=2e-7)
    assert derivative.stats.captures == 1


def of_labels(s: Any) -> Any:
    return s["a"] ** 2 * s.b + s.iloc[2] + s.loc["c"] * s.iloc[-1] + s[["a", "c"]].prod() + s["a":"b"].sum()


def of_numpy(s: Any) -> Any:
    return (
        np.exp(s).mean()
        + s.values @ np.ones(3)
        + s.to_numpy()[0]
        + np.sum(s) * np.dot(s, s)
        + np.linalg.norm(s)
    )


def of_ufuncs(s: Any) -> Any:
    return (
        np.hypot(s, s + 1).sum()
        + np.maximum(s, 1.7).sum()
        + np.arctan2(s.to_numpy(), s).sum()
        + (-s).abs().sum()
    )


def of_moments(s: Any) -> Any:
    return s.std() + s.var(ddof=0) + s.median() + s.quantile(0.3) + s.max() * s.min() + s.sem() + s.prod()


def of_neighbours(s: Any) -> Any:
    later = s.diff().fillna(0.0) ** 2
    return (
        later.sum()
        + s.shift(1).sum()
        + s.cumsum().iloc[-1]
        + s.pct_change().sum()
        + (1 + s).cumprod().iloc[-1]
    )


def of_choices(s: Any) -> Any:
    return s.where(s > 1.5, 0.5).sum() + (s.clip(1.2, 2.5) ** 2).sum() + s[s > 1.5].prod() + s[s.idxmax()]


def of_order(s: Any) -> Any:
    down = s.sort_values(ascending=False).to_numpy()
    return (
        down @ np.array([1.0, 2.0, 3.0])
        + s.sort_values().iloc[0] ** 2
        + s.sort_index(ascending=False).iloc[0]
    )


def of_items(s: Any) -> Any:
    total = 0.0
    for label, value in s.items():
        total = total + value ** (2 if label == "a" else 3)
    return total + sum(v**2 for v in s) + s.map(lambda v: math.sin(v)).sum()


def of_matched_labels(s: Any) -> Any:
    other = pd.Series([1.0, 2.0], index=["c", "a"])
    joined = pd.concat([s, s**2], axis=1).sum(axis=1)
    return (
        (s * other).sum() + (s + other).fillna(0.0).prod() + joined.prod() + s.reindex(["c", "z", "a"]).sum()
    )


def of_products(s: Any) -> Any:
    return (
        s.dot(s.to_numpy())
        + s @ FRAME @ np.ones(2)
        + (s * FRAME["u"]).sum()
        + s.cov(FRAME.v**2)
        + s.corr(FRAME.u**2)
        + np.nan_to_num(s.cov(FRAME.v, min_periods=9), nan=5.0)
        + np.nan_to_num(s.corr(FRAME.v, min_periods=9), nan=5.0)
    )


def of_missing(s: Any) -> Any:
    gaps = pd.Series([1.0, np.nan, 2.0], index=list("abc"))
    kept = s[gaps.notna()].dropna()
    return (
        (gaps * s).sum() * (gaps * s).mean()
        + (gaps + s).count()
        + (gaps * s).fillna(s**2).sum()
        + (gaps * s).to_numpy(na_value=7.0).prod()
        + s.where(gaps.notna()).to_frame().to_numpy(na_value=7.0).prod()
        + kept.prod()
    )


@pytest.mark.parametrize(
    "function",
    [of_labels, of_numpy, of_ufuncs, of_moments, of_neighbours, of_choices, of_order, of_items, of_matched_labels,
     of_products, of_missing],
)  # fmt: skip
def test_programs_of_a_series(function: Callable[..., Any]) -> None:
    check(function, SERIES)


def frame_columns(d: Any) -> Any:
    return (d["u"] * d["v"]).sum() + (d.to_numpy() ** 2).sum() + d.u @ d.v + d[["v"]].to_numpy().sum()


def frame_places(d: Any) -> Any:
    return (
        d.loc["a", "u"] * d.iloc[1, 1]
        + d.loc["b"].sum()
        + d.T.loc["u"].mean()
        + d.iloc[1:].sum().prod()
        + d.at["c", "v"]
    )


def frame_standard(d: Any) -> Any:
    z = (d - d.mean()) / d.std()
    return (
        (z**3).sum().sum()
        + z.iloc[0, 0]
        + d.sub(d["u"], axis=0).to_numpy().sum()
        + (2.0 - d / 3 + d * d).sum().sum()
    )


def frame_products(d: Any) -> Any:
    return (
        ((d @ np.array([1.0, 2.0])) ** 2).sum()
        + (d.T @ d).to_numpy().sum()
        + d.dot(pd.Series([1.0, 3.0], index=["v", "u"])).prod()
    )


def frame_new_columns(d: Any) -> Any:
    d = d.assign(w=d.u * d.v, k=2.0)
    d["half"] = d["w"] / 2
    d.loc["a", "half"] = 3.0
    return (d["w"] ** 2).sum() + d["half"].max() + d.sum(axis=1).prod() + d.drop(columns="w").mean().sum()


def frame_rows(d: Any) -> Any:
    total = sum(row["u"] * row["v"] for _, row in d.iterrows()) + sum(r.u / r.v for r in d.itertuples())
    return (
        total
        + d.apply(lambda row: row["u"] ** row["v"], axis=1).sum()
        + d.apply(lambda c: (c**2).sum()).prod()
    )


def frame_shapes(d: Any) -> Any:
    return (
        (d.melt()["value"] ** 2).sum()
        + (d.stack() ** 3).sum()
        + pd.concat([d, d * 2]).prod().sum()
        + d.eval("u * v").sum()
    )


def frame_moments(d: Any) -> Any:
    return (
        d.cov().to_numpy().sum()
        + d.corr().loc["u", "v"]
        + d.agg("std").sum()
        + d.max(axis=1).sum()
        + d.var().sum()
        + d.corr(min_periods=9).fillna(1.0).sum().sum()
        + d.cov(min_periods=9).fillna(1.0).sum().sum()
    )


@pytest.mark.parametrize(
    "function",
    [frame_columns, frame_places, frame_standard, frame_products, frame_new_columns, frame_rows, frame_shapes,
     frame_moments],
)  # fmt: skip
def test_programs_of_a_frame(function: Callable[..., Any]) -> None:
    check(function, FRAME)


def groups(d: Any) -> Any:
    grouped = (d["x"] * d["y"]).groupby(MIXED["g"])
    centred = d["x"] - d["x"].groupby(MIXED["g"]).transform("mean")
    return grouped.mean().pow(2).sum() + grouped.sum().prod() + grouped.std().sum() + (centred * d["y"]).sum()


def masked_rows(d: Any) -> Any:
    return (d[d["y"] > 2.0]["x"] ** 2).sum() + d.loc[d["y"] < 4.0, "x"].sum() + d.query("y > 2.5")["y"].prod()


def frame_of_two_dtypes(d: Any) -> Any:
    return (d["x"] * d["n"]).sum() + (d[["x", "n"]].to_numpy() ** 2).sum()


@pytest.mark.parametrize("function", [groups, masked_rows])
def test_programs_that_choose_rows(function: Callable[..., Any]) -> None:
    check(function, MIXED[["y", "x"]])


def test_a_frame_of_two_dtypes_has_a_leaf_a_column() -> None:
    table = MIXED[["x", "n"]].astype({"n": np.float32})
    found = tg.grad(frame_of_two_dtypes)(table)
    assert list(found.dtypes) == [np.float64, np.float32]
    x, n = table["x"].to_numpy(), table["n"].to_numpy()
    np.testing.assert_allclose(found["x"], n + 2 * x)
    np.testing.assert_allclose(found["n"], x + 2 * n, rtol=1e-6)


def array_sums(d: Any) -> Any:
    return (
        (d**2).sum()
        + ((d - d.mean("t")) ** 2).sum("t").mean()
        + d.std()
        + d.max()
        + d.median()
        + d.prod("k").mean()
    )


def array_places(d: Any) -> Any:
    return (
        d.sel(t=20).isel(k=0) * d.sum()
        + float(d[0, 0])
        + d.isel(t=slice(1, None)).prod()
        + d.where(d > 2.0, 0.5).sum()
    )


def array_numpy(d: Any) -> Any:
    return (
        np.exp(d * 0.1).sum()
        + d.to_numpy().sum()
        + d.values[0, 0] ** 2
        + np.asarray(d)[0, 1]
        + d[1, 1].item() ** 3
    )


def array_products(d: Any) -> Any:
    gram = xr.dot(d, d, dim="k")
    return gram.prod() + (d @ xr.DataArray([1.0, 2.0], dims="k")).sum() + d.T.stack(z=("t", "k")).sum() ** 2


def array_neighbours(d: Any) -> Any:
    moved = d.shift(t=1).fillna(0.0) + d.diff("t").reindex(t=d.t, fill_value=1.0) + d.cumsum("t") * d.far
    return (
        (moved * d.t).sum()
        + xr.concat([d, 2 * d], "t").mean()
        + (d.groupby("t").mean() ** 2).sum()
        + d.rolling(t=2).mean().sum()
    )


@pytest.mark.parametrize(
    "function", [array_sums, array_places, array_numpy, array_products, array_neighbours]
)
def test_programs_of_a_data_array(function: Callable[..., Any]) -> None:
    check(function, PLANE)


def test_programs_of_a_dataset() -> None:
    check(
        lambda d: (d["a"] * d.b).sum() + (d**2).to_array().sum() * d.a.mean() + d.assign(c=d.a * 3).c.sum(),
        SET,
    )


def test_containers_beside_what_is_differentiated() -> None:
    def loss(w: Any, d: Any, plane: Any) -> Any:
        return (
            ((d @ w) ** 2).sum()
            + (w * d["u"].to_numpy()[:2]).sum()
            + (plane * w).sum()
            + (w * plane).mean().values
        )

    check(loss, np.array([1.0, 2.0]), FRAME, PLANE)

    def scaled(x: Any, s: Any) -> Any:
        return (x * s).sum() + (s / x).mean() + np.maximum(x * 2, s).sum() + np.dot(s, x) + (x < s).sum()

    check(scaled, np.array([1.1, 1.2, 1.3]), SERIES)


def test_made_inside_of_traced_numbers() -> None:
    def made(x: Any) -> Any:
        labelled = pd.Series(x, index=list("abc"))
        table = pd.DataFrame({"a": x, "b": [1.0, 2.0, 3.0]}) ** 2
        square = pd.DataFrame(np.outer(x, x), columns=list("xyz"))
        few = pd.Series([x[0], 2.0, x[1] * x[2]])
        plane = xr.DataArray(np.outer(x, x), dims=("p", "q"))
        return (
            (labelled * SERIES).sum()
            + table.sum().prod()
            + square["y"].mean()
            + few.prod()
            + plane.sum("q").prod()
        )

    check(made, np.array([0.5, 1.5, 2.5]))


class Model:
    def __init__(self, table: Any) -> None:
        self.table = table

    def loss(self, beta: Any) -> Any:
        return ((self.table["y"] - self.table[["x", "n"]] @ beta) ** 2)[self.table["g"] == "a"].mean()


def test_what_is_read_outside_is_never_stale() -> None:
    model = Model(MIXED.copy())
    beta = np.array([0.3, 0.7])
    gradient = tg.grad(model.loss)

    def wanted() -> Any:
        rows = (model.table["g"] == "a").to_numpy()
        a = model.table[["x", "n"]].to_numpy()[rows]
        return 2 * a.T @ (a @ beta - model.table["y"].to_numpy()[rows]) / rows.sum()

    np.testing.assert_allclose(gradient(beta), wanted())
    model.table.loc[0, "x"] = 3.0
    np.testing.assert_allclose(gradient(beta), wanted())
    model.table["y"] = np.array([5.0, 6.0, 7.0, 8.0])
    np.testing.assert_allclose(gradient(beta), wanted())
    assert gradient.stats.captures == 1  # other numbers are other inputs
    model.table.loc[2, "g"] = "a"
    np.testing.assert_allclose(gradient(beta), wanted())
    model.table = model.table.iloc[::-1].reset_index(drop=True)
    np.testing.assert_allclose(gradient(beta), wanted())


def test_another_argument_with_the_same_labels_is_no_new_program() -> None:
    gradient = tg.grad(lambda x, s, p: (x * s).sum() + (p * x[0]).sum())
    x = np.ones(3)
    for factor in (1.0, 2.0, 3.0):
        found = gradient(x, SERIES * factor, xr.DataArray(PLANE * factor, attrs=PLANE.attrs))
        np.testing.assert_allclose(
            found, SERIES.to_numpy() * factor + np.array([float(PLANE.sum()) * factor, 0, 0])
        )
    assert gradient.stats.captures == 1


def test_labels_are_compared_at_each_call() -> None:
    by_label = tg.grad(lambda x, s: x * (s["a"] + s.attrs["unit"] + (s.name == "q") + (s.index.name == "i")))
    s = SERIES.copy()
    s.attrs["unit"] = 10.0
    assert by_label(1.0, s) == 12.0
    assert by_label(1.0, s.set_axis(list("bac"))) == 13.0
    s.attrs["unit"] = 20.0
    assert by_label(1.0, s) == 22.0
    s.name = "other"
    assert by_label(1.0, s) == 21.0
    s.index.name = "i"
    assert by_label(1.0, s) == 22.0
    by_coordinate = tg.grad(lambda x, d: x * (d * d.far).sum() * (2 if d.attrs["unit"] == "m" else 1))
    plane = PLANE.copy(deep=True)
    assert by_coordinate(1.0, plane) == pytest.approx(2 * float((plane * plane.far).sum()))
    plane.coords["far"].values[0] = 7.0
    assert by_coordinate(1.0, plane) == pytest.approx(2 * float((plane * plane.far).sum()))
    plane.attrs["unit"] = "km"
    assert by_coordinate(1.0, plane) == pytest.approx(float((plane * plane.far).sum()))


def test_results_have_labels() -> None:
    value, pull = tg.vjp(lambda s: s**2, SERIES)
    pd.testing.assert_series_equal(value, SERIES**2)
    pd.testing.assert_series_equal(pull(SERIES), 2 * SERIES**2)
    value, tangent = tg.jvp(lambda d: np.exp(d["u"]), (FRAME,), (FRAME * 2,))
    pd.testing.assert_series_equal(value, np.exp(FRAME["u"]))
    pd.testing.assert_series_equal(tangent, np.exp(FRAME["u"]) * 2 * FRAME["u"])
    pd.testing.assert_frame_equal(tg.jit(lambda d: d * 2 + 1)(FRAME), FRAME * 2 + 1)
    xr.testing.assert_identical(
        tg.jit(lambda d: d.sum("k", keep_attrs=True))(PLANE), PLANE.sum("k", keep_attrs=True)
    )
    nested = tg.grad(lambda p: (p["s"] * p["w"]).sum() * p["d"]["u"].sum())(
        {"s": SERIES, "w": np.ones(3), "d": FRAME}
    )
    pd.testing.assert_series_equal(nested["s"], SERIES * 0 + FRAME["u"].sum())
    second = tg.grad(lambda s: (tg.grad(lambda q: (q**3).sum())(s) ** 2).sum())(SERIES)
    pd.testing.assert_series_equal(second, 36 * SERIES**3)


def test_compiled_programs_take_containers() -> None:
    with tg.config.using(jit="native"):
        gradient = tg.grad(lambda d, s: ((d @ np.array([1.0, 2.0])) * s).sum())
        for factor in (1.0, 2.0, 3.0):
            found = gradient(FRAME, SERIES * factor)
            wanted = np.outer(SERIES.to_numpy() * factor, [1.0, 2.0])
            pd.testing.assert_frame_equal(found, pd.DataFrame(wanted, FRAME.index, FRAME.columns))


def test_the_text_is_that_of_arrays() -> None:
    text = tg.grad(lambda d: ((d - d.mean(skipna=False)) ** 2).to_numpy().sum()).source(FRAME)
    assert "d - np.sum(d, axis=0) / 3" in text or "np.mean(d, axis=0)" in text
    assert "pandas" not in text


@pytest.mark.parametrize(
    "write",
    [
        lambda d: d.__setitem__("z", d.u),
        lambda d: d.loc.__setitem__(("a", "u"), 1.0),
        lambda d: d.update(d * 2),
        lambda d: d.insert(0, "z", 1.0),
        lambda d: d.__delitem__("u"),
    ],
)
def test_the_caller_s_container_is_not_written_into(write: Callable[[Any], Any]) -> None:
    def function(d: Any) -> Any:
        write(d)
        return d.v.sum()

    with pytest.raises(InPlaceError, match=r"(?s)written in place.*test_labelled\.py.*copy"):
        tg.grad(function)(FRAME)


def test_statements_that_write_into_the_caller_s_container() -> None:
    def column(d: Any) -> Any:
        d["z"] = d.u * 2
        return d.z.sum()

    def names(d: Any) -> Any:
        d.columns = ["p", "q"]
        return d.p.sum()

    def item(d: Any) -> Any:
        d[0, 0] = 2.0
        return d.sum()

    def variable(d: Any) -> Any:
        d["n"] = d["a"] * 2
        return d["n"].sum()

    for function, given in ((column, FRAME), (names, FRAME), (item, PLANE), (variable, SET)):
        with pytest.raises(
            InPlaceError, match=r"(?s)caller's is written in place.*test_labelled\.py.*\.copy\(\)"
        ):
            tg.grad(function)(given)


def test_what_pandas_computes_with_plain_numbers_is_refused() -> None:
    for function in (
        lambda d: d.u.rank().sum(),
        lambda d: d.rolling(2).mean().sum().sum(),
        lambda d: d.u.ewm(span=2).mean().sum(),
        lambda d: d.u.kurt(),
        lambda d: d.corr(method="spearman").sum().sum(),
        lambda d: d.u.nlargest(2).sum(),
        lambda d: d.describe().sum().sum(),
    ):
        with pytest.raises((UnsupportedError, LeakError), match=r"(?s)test_labelled\.py.*do:"):
            tg.grad(function)(FRAME)
    with pytest.raises(LeakError, match=r"(?s)test_labelled\.py"):
        tg.grad(lambda d: d.interp(t=15).sum())(PLANE)


def test_what_has_no_derivative_is_named() -> None:
    with pytest.raises(ArgumentError, match=r"`d\['n'\]` .* is an array of int64"):
        tg.grad(lambda d: d.x.sum())(MIXED[["x", "n"]])
    with pytest.raises(ArgumentError, match=r"`d\['g'\]` .* no numbers"):
        tg.grad(lambda d: d.x.sum())(MIXED[["x", "g"]])
    with pytest.raises(ArgumentError, match=r"(?s)is a Own; .*\.to_numpy\(\)"):
        tg.grad(lambda d: d.sum())(type("Own", (pd.Series,), {})([1.0]))
    with pytest.raises(NotScalarError, match="returns an array of shape"):
        tg.grad(lambda s: s**2)(SERIES)
    with pytest.raises(ArgumentError, match=r"(?s)labels of its argument.*\.to_numpy\(\)"):
        tg.jacobian(lambda s: (s**2).to_numpy())(SERIES)
    with pytest.raises(ArgumentError, match=r"returns a Series"):
        tg.jacobian(lambda x: x * SERIES)(np.ones(3))


def test_tensors_meet_containers_by_their_values() -> None:
    x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (x * SERIES.to_numpy()).sum().backward()
    np.testing.assert_array_equal(x.grad, SERIES)
