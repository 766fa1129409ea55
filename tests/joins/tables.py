"""Two tables that arrive in any order that a delay allows, and what joins of the whole give."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import strategies as st

from rivulet import Stream

DELAY = 3
"""By how many seconds an item may come later than one that happened after it."""


@dataclass(frozen=True)
class Row:
    """An item of one side: what it is called, its key, and when it happened."""

    name: str
    key: str
    at: int


@st.composite
def sides(draw, most=10, keys="ab", delay=DELAY):
    """Both sides in the order of arrival, each row with the pause before it comes."""
    return tuple(draw(rows(side, most, keys, delay)) for side in "lr")


@st.composite
def rows(draw, side, most, keys, delay):
    times = sorted(draw(st.lists(st.integers(0, 20), max_size=most)))
    keys_of = [draw(st.sampled_from(keys)) for _ in times]
    order = sorted(range(len(times)), key=lambda i: times[i] + draw(st.integers(0, delay)))
    pauses = st.sampled_from([0, 0, 0.5, 2])
    return [(draw(pauses), Row(f"{side}{n}", keys_of[i], times[i])) for n, i in enumerate(order)]


def stream(arrivals, *, waits=True, delay=DELAY, way="one"):
    """A stream of one side: of one source, of two, or of one with partitions.

    Partitions have all spoken before.
    """

    def when(row):
        return row.at

    match way:
        case "merge":
            one, other = (stream(arrivals[i::2], waits=waits, delay=delay) for i in (0, 1))
            return one.merge(other)
        case "partitions":
            begin = [(0, Row(part, None, -(10**6))) for part in ("0", "1")]
            source = source_of([*begin, *arrivals], waits=waits)
            stamped = source.event_time(
                when, max_delay=delay, partition=lambda row: int(row.name[-1]) % 2
            )
            return stamped.filter(lambda row: row.key is not None)
        case _:
            return source_of(arrivals, waits=waits).event_time(when, max_delay=delay)


def source_of(arrivals, *, waits):
    """A stream of rows that have no time yet."""

    async def spaced():
        for pause, row in arrivals:
            if pause:
                await asyncio.sleep(pause)
            yield row

    return Stream(spaced) if waits else Stream([row for _, row in arrivals])


def whole(arrivals):
    """A side without its pauses."""
    return [row for _, row in arrivals]


def names(pair):
    """A result by the names of its items."""
    left, right = pair
    return left and left.name, right and right.name


def bag(pairs):
    """Results without their order."""
    return sorted(map(names, pairs), key=repr)


def asof(left, right, *, direction, tolerance=None, exact=True, by=True, how="left"):
    """An as-of join of two whole tables, by looking at every pair."""
    latest = {}
    for row in right:
        latest[row.key if by else None, row.at] = row
    found = []
    for row in left:
        near = [
            other
            for other in latest.values()
            if (not by or other.key == row.key)
            and (tolerance is None or abs(other.at - row.at) <= tolerance)
            and (exact or other.at != row.at)
            and (direction != "backward" or other.at <= row.at)
            and (direction != "forward" or other.at >= row.at)
        ]
        best = min(near, key=lambda other: (abs(other.at - row.at), other.at), default=None)
        if best is not None or how == "left":
            found.append((row, best))
    return found


def interval(left, right, *, before, after, by=True, how="inner"):
    """An interval join of two whole tables."""
    return _outer(
        left,
        right,
        [
            (row, other)
            for row in left
            for other in right
            if (not by or row.key == other.key) and -before <= other.at - row.at <= after
        ],
        how,
    )


def in_windows(left, right, spans, *, by=True, how="inner"):
    """A join of two whole tables within windows; a row may be in several."""
    found = []
    for span in sorted({span for row in (*left, *right) for span in spans(row.at)}):
        ours = [row for row in left if span in spans(row.at)]
        theirs = [row for row in right if span in spans(row.at)]
        pairs = [(a, b) for a in ours for b in theirs if not by or a.key == b.key]
        found += _outer(ours, theirs, pairs, how)
    return found


def _outer(left, right, pairs, how):
    lefts = {row for row, _ in pairs}
    rights = {row for _, row in pairs}
    found = list(pairs)
    if how in ("left", "outer"):
        found += [(row, None) for row in left if row not in lefts]
    if how in ("right", "outer"):
        found += [(None, row) for row in right if row not in rights]
    return found


def corrected(results):
    """What is left after all corrections."""
    from rivulet import GONE, Revision

    kept = []
    for result in results:
        if isinstance(result, Revision):
            kept.remove(result.old)
            if result.new is GONE:
                continue
            result = result.new
        kept.append(result)
    return kept
