"""Windows and aggregates against polars, which has the whole table at once."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from rivulet.aggregators import Collect, Count, Max, Mean, Min, Sum
from tests.examples import examples
from tests.windows.oracle import DELAY, arrivals, run, timed

many = examples(100)


@many
@given(arrivals(), st.integers(1, 30), st.integers(1, 30))
def test_aggregates_are_those_of_polars(rows, a, b):
    size, every = max(a, b), min(a, b)
    windows = timed(rows, max_delay=DELAY).window(hopping=size, every=every, by=1)
    found = run(
        windows.agg(
            n=Count(), sum=Sum(2), mean=Mean(2), least=Min(2), most=Max(2), all=Collect(2)
        ).map(lambda w: (w.key, w._start // 1_000_000, *w.value.values()))
    )
    table = pl.DataFrame(
        {"t": [t for t, _, _ in rows], "k": [k for _, k, _ in rows], "x": [x for *_, x in rows]},
        schema={"t": pl.Int64, "k": pl.String, "x": pl.Int64},
    )
    x = pl.col("x")
    oracle = (
        table.sort("t", maintain_order=True)
        .group_by_dynamic("t", every=f"{every}i", period=f"{size}i", group_by="k")
        .agg(
            pl.len(),
            x.sum().alias("s"),
            x.mean().alias("m"),
            x.min().alias("a"),
            x.max().alias("b"),
            x.alias("l"),
        )
        .select("k", "t", "len", "s", "m", "a", "b", "l")
        .rows()
    )
    # polars begins with the window that begins last before the first item.
    first = {k: min(t for t, key, _ in rows if key == k) // every * every for _, k, _ in rows}
    assert sorted(row for row in found if row[1] >= first[row[0]]) == sorted(oracle)


@many
@given(arrivals(), st.integers(1, 30))
def test_sliding_windows_are_those_of_polars(rows, size):
    found = run(
        timed(rows, max_delay=DELAY)
        .window(sliding=size, by=1, emit="close")
        .agg(sum=Sum(2), most=Max(2))
        .map(lambda w: (w.key, w._end // 1_000_000, *w.value.values()))
    )
    table = pl.DataFrame(
        {"t": [t for t, _, _ in rows], "k": [k for _, k, _ in rows], "x": [x for *_, x in rows]},
        schema={"t": pl.Int64, "k": pl.String, "x": pl.Int64},
    )
    oracle = (
        table.sort("t")
        .rolling("t", period=f"{size}i", closed="both", group_by="k")
        .agg(pl.col("x").sum().alias("s"), pl.col("x").max().alias("m"))
        .rows()
    )
    assert sorted(found) == sorted(oracle)
