"""What Slipstream's cookbook prints of windows and aggregations, character for character."""

from __future__ import annotations

import asyncio
from collections import Counter
from operator import add

import pytest
from asyncstdlib import accumulate, pairwise

from rivulet import Cache, Stream
from rivulet.aggregators import Count, Counts


def paced(items, every):
    async def source():
        for item in items:
            await asyncio.sleep(every)
            yield item

    return Stream(source)


# Aggregations: a sliding window

EMOJIS = paced(
    [
        ("🏆", 0.0), ("📞", 0.5), ("🐟", 1.0), ("👌", 2.0),
        ("🏆", 3.5), ("📞", 4.0), ("🐟", 5.0), ("👌", 5.5),
    ],
    every=0.1,
)  # fmt: skip
OF_EMOJIS = """\
Sliding window ending at 0.0: {'🏆': 1}
Sliding window ending at 0.5: {'🏆': 1, '📞': 1}
Sliding window ending at 1.0: {'🏆': 1, '📞': 1, '🐟': 1}
Sliding window ending at 2.0: {'🏆': 1, '📞': 1, '🐟': 1, '👌': 1}
Sliding window ending at 3.5: {'📞': 1, '🐟': 1, '👌': 1, '🏆': 1}
Sliding window ending at 4.0: {'🐟': 1, '👌': 1, '🏆': 1, '📞': 1}
Sliding window ending at 5.0: {'👌': 1, '🏆': 1, '📞': 1, '🐟': 1}
Sliding window ending at 5.5: {'🏆': 1, '📞': 1, '🐟': 1, '👌': 1}
"""
CLICKS = paced(
    [
        ("play", 0.0), ("stop", 0.5), ("play", 1.5), ("next", 2.0),
        ("next", 3.0), ("stop", 4.5), ("play", 4.5), ("next", 9.0),
    ],
    every=0.02,
)  # fmt: skip
OF_CLICKS = """\
-2.0..0.0: {'play': 1}
-1.5..0.5: {'play': 1, 'stop': 1}
-0.5..1.5: {'play': 2, 'stop': 1}
0.0..2.0: {'play': 2, 'stop': 1, 'next': 1}
1.0..3.0: {'play': 1, 'next': 2}
2.5..4.5: {'next': 1, 'stop': 1}
2.5..4.5: {'next': 1, 'stop': 1, 'play': 1}
7.0..9.0: {'next': 1}
"""


def of_emojis(window, counts):
    return f"Sliding window ending at {window.end.timestamp()}: {counts}"


def of_clicks(window, counts):
    return f"{window.start.timestamp():.1f}..{window.end.timestamp():.1f}: {counts}"


RECIPES = pytest.mark.parametrize(
    ("events", "span", "line", "printed"),
    [(EMOJIS, 3.0, of_emojis, OF_EMOJIS), (CLICKS, 2.0, of_clicks, OF_CLICKS)],
    ids=["emojis", "clicks"],
)


@RECIPES
async def test_a_sliding_window_counts_symbols(events, span, line, printed, capsys):
    counts = events.event_time(1).window(sliding=span).agg(counts=Counts(0))
    await counts.map(lambda w: line(w, w.value["counts"])).to(print).run()
    assert capsys.readouterr().out == printed


@RECIPES
async def test_so_does_a_function_of_its_items(events, span, line, printed, capsys):
    windows = events.event_time(1).window(sliding=span)
    counts = windows.apply(lambda items: dict(Counter(symbol for symbol, _ in items)))
    await counts.map(lambda w: line(w, w.value)).to(print).run()
    assert capsys.readouterr().out == printed


@RECIPES
async def test_a_window_that_waits_has_both_of_two_items_with_one_time(
    events, span, line, printed, capsys
):
    counts = events.event_time(1).window(sliding=span, emit="close").agg(counts=Counts(0))
    await counts.map(lambda w: line(w, w.value["counts"])).to(print).run()
    first, both = "{'next': 1, 'stop': 1}\n", "{'next': 1, 'stop': 1, 'play': 1}\n"
    assert capsys.readouterr().out == printed.replace(first, both)


# Pipe

READINGS = paced(range(0, 18, 3), every=0.01)
NUMBERS = paced(range(5), every=0.1)


async def test_pairs(capsys):
    of_two = NUMBERS.window(count=2, every=1).apply(tuple).map(lambda w: w.value)
    for pairs in (NUMBERS.pairwise(), NUMBERS.pipe(pairwise), of_two.skip(1)):
        await pairs.to(print).run()
        assert capsys.readouterr().out == "(0, 1)\n(1, 2)\n(2, 3)\n(3, 4)\n"
    await READINGS.pairwise().to(print).run()
    assert capsys.readouterr().out == "(0, 3)\n(3, 6)\n(6, 9)\n(9, 12)\n(12, 15)\n"


@pytest.mark.parametrize(
    ("numbers", "printed"),
    [(NUMBERS, "0\n1\n3\n6\n10\n"), (READINGS, "0\n3\n9\n18\n30\n45\n")],
    ids=["numbers", "readings"],
)
async def test_running_totals(numbers, printed, capsys):
    for totals in (numbers.scan(add), numbers.pipe(accumulate)):
        await totals.to(print).run()
        assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("numbers", "printed"),
    [
        (NUMBERS, "(0, 1)\n(1, 3)\n(3, 6)\n(6, 10)\n"),
        (READINGS, "(0, 3)\n(3, 9)\n(9, 18)\n(18, 30)\n(30, 45)\n"),
    ],
    ids=["numbers", "readings"],
)
async def test_pairs_of_running_totals(numbers, printed, capsys):
    for pairs in (numbers.scan(add).pairwise(), numbers.pipe(accumulate, pairwise)):
        await pairs.to(print).run()
        assert capsys.readouterr().out == printed


# Sink: counts of all data so far

EMOJIS_TWICE = ["🏆", "📞", "🐟", "👌"] * 2
VISITS = ["lisbon", "oslo", "quito"] * 2 + ["oslo"]


@pytest.mark.parametrize(
    ("messages", "keys", "printed"),
    [
        # Redis gives keys in no order; this is the one in the cookbook.
        (EMOJIS_TWICE, "👌🏆📞🐟", "{'👌': 2, '🏆': 2, '📞': 2, '🐟': 2}\n"),
        (VISITS, ["lisbon", "oslo", "quito"], "{'lisbon': 2, 'oslo': 3, 'quito': 2}\n"),
    ],
    ids=["emojis", "visits"],
)
async def test_counts_that_are_kept_outside(messages, keys, printed, capsys):
    grouped = Stream(messages).group_by(lambda message: message)
    for counts in (
        grouped.scan(Count()),
        grouped.scan(lambda count, _: count + 1, 0),
        grouped.count(),
        grouped.agg(n=Count()).map(lambda found: found["n"]),
    ):
        db = Cache(":memory:")
        await counts.items().to(db).run()
        print({key: db[key] for key in keys})
        assert capsys.readouterr().out == printed
        assert len(db) == len(keys)
