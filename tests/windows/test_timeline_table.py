"""The table of a timeline: a row for each event, as a polars DataFrame."""

from __future__ import annotations

import sys
from datetime import UTC, timedelta
from datetime import datetime as dt

import polars as pl
import pytest

from rivulet import MissingExtraError, Stream
from rivulet.aggregators import Count
from rivulet.testing import marbles

COLUMNS = {
    "number": pl.Int64,
    "kind": pl.String,
    "lane": pl.String,
    "item": pl.String,
    "time": pl.Datetime("us", "UTC"),
    "watermark": pl.Datetime("us", "UTC"),
    "at": pl.Duration("us"),
    "cause": pl.Int64,
    "why": pl.String,
    "key": pl.String,
    "start": pl.Datetime("us", "UTC"),
    "end": pl.Datetime("us", "UTC"),
    "late": pl.Duration("us"),
    "left": pl.Int64,
    "right": pl.Int64,
    "age": pl.Duration("us"),
    "held": pl.Duration("us"),
}


def second(n):
    return dt(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=n)


async def test_windows_have_their_bounds_their_key_and_what_closed_them():
    readings = [(0, "attic"), (12, "cellar"), (3, "attic")]
    stamped = Stream(readings).event_time(0)
    windows = stamped.window(tumbling=10, by=1).agg(n=Count())
    frame = (await windows.timeline()).polars()
    assert dict(frame.schema) == COLUMNS
    assert frame["kind"].to_list() == ["item", "item", "window", "item", "late", "window"]
    closed = frame.filter(pl.col.kind == "window")
    assert closed.select("key", "item", "start", "end", "cause", "why").rows() == [
        ("attic", "n=1", second(0), second(10), 2, None),
        ("cellar", "n=1", second(10), second(20), None, "end"),
    ]
    late = frame.filter(pl.col.kind == "late")
    assert late.select("item", "late", "cause").rows() == [("attic", timedelta(seconds=9), 4)]
    items = frame.filter(pl.col.kind == "item")
    assert items["watermark"].to_list() == [second(0), second(12), second(12)]


async def test_matches_name_both_sides_and_their_age():
    trades, prices = Stream([(1, "t"), (5, "u")]), Stream([(2, "p")])
    frame = (await trades.join_asof(prices, on=0).timeline()).polars()
    given = frame.filter(pl.col.kind.is_in(["match", "alone"]))
    assert given.select("left", "right", "age").rows() == [
        (1, None, None),
        (4, 3, timedelta(seconds=3)),
    ]
    assert frame.filter(pl.col.number == 3).select("lane", "item", "time").row(0) == (
        "prices",
        "p",
        second(2),
    )


async def test_holds_have_their_length():
    weather = marbles("a--b|", values={"a": 10, "b": 12})
    walks = marbles("-x|", values={"x": 11})
    frame = (await walks.gate(on=weather, marker=lambda hour: hour).timeline()).polars()
    assert frame["kind"].to_list() == ["beat", "item", "hold", "beat", "pass"]
    passed = frame.filter(pl.col.kind == "pass")
    assert passed.select("left", "cause", "held", "at").row(0) == (
        2,
        4,
        timedelta(seconds=2),
        timedelta(seconds=3),
    )


async def test_of_nothing_there_is_an_empty_table():
    frame = (await Stream.empty().timeline()).polars()
    assert dict(frame.schema) == COLUMNS
    assert frame.is_empty()


async def test_without_polars_it_says_what_to_install(monkeypatch):
    timeline = await Stream([1]).timeline()
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingExtraError, match="polars"):
        timeline.polars()
