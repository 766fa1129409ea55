"""Joins below and above boundaries: the graph may be cut anywhere, results stay the same."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rivulet import testing
from rivulet.testing import assert_closed
from tests.examples import examples
from tests.joins.tables import asof, bag, in_windows, interval, sides, stream, whole


async def slowly(x):
    await asyncio.sleep(0.05 if x.at % 2 else 0.7)
    return x


PATHS = {
    "nothing": lambda s: s,
    "map": lambda s: s.map(lambda x: x),
    "async map": lambda s: s.map(slowly),
    "concurrent": lambda s: s.map(slowly, concurrency=3),
    "unordered": lambda s: s.map(slowly, concurrency=3, ordered=False),
    "buffer": lambda s: s.buffer(2),
    "share": lambda s: s.share(),
    "flat_map": lambda s: s.flat_map(lambda x: [x]),
    "delay": lambda s: s.delay(0.5),
    "group": lambda s: s.group_by(lambda x: x.key).map(lambda x: x).values(),
    "retry": lambda s: s.retry(1),
    "it + nothing": lambda s: s.concat(s.filter(lambda x: False)),
    "merge": lambda s: s.filter(lambda x: True).merge(s.filter(lambda x: False)),
    "take_last": lambda s: s.take_last(1000),
    "on_error": lambda s: s.map(lambda x: x).on_error("skip"),
}
JOINS = {
    "asof": (
        lambda a, b: a.join_asof(b, by="key", wait="watermark"),
        lambda a, b: asof(a, b, direction="backward"),
    ),
    "nearest": (
        lambda a, b: a.join_asof(b, by="key", wait="watermark", direction="nearest", tolerance=3),
        lambda a, b: asof(a, b, direction="nearest", tolerance=3),
    ),
    "interval": (
        lambda a, b: a.join_interval(b, by="key", before=2, after=1, how="outer"),
        lambda a, b: interval(a, b, before=2, after=1, how="outer"),
    ),
    "window": (
        lambda a, b: a.join(b, by="key", window=4, how="outer"),
        lambda a, b: in_windows(a, b, lambda t: ((t // 4 * 4, t // 4 * 4 + 4),), how="outer"),
    ),
}
paths = st.sampled_from(list(PATHS))


def seen(name, pairs):
    """Results without what depends on the order of arrival: which of several with one time."""
    if name in ("asof", "nearest"):
        return sorted(((a.name, b and b.at) for a, b in pairs), key=repr)
    return bag(pairs)


@examples(200)
@given(sides(), st.sampled_from(list(JOINS)), paths, paths, st.tuples(st.booleans(), st.booleans()))
def test_a_join_of_what_comes_through_boundaries(both, name, one, other, waits):
    join, oracle = JOINS[name]

    async def main():
        left, right = (stream(side, waits=w) for side, w in zip(both, waits, strict=True))
        rows = await join(PATHS[one](left), PATHS[other](right)).collect()
        assert_closed()
        return rows

    assert seen(name, testing.run(main())) == seen(name, oracle(*map(whole, both)))


@examples(200)
@given(sides(most=6), st.sampled_from(list(JOINS)), paths, st.booleans())
def test_a_join_of_one_source_with_itself(both, name, path, waits):
    rows, join, oracle = whole(both[0]), *JOINS[name]

    async def main():
        source = stream(both[0], waits=waits)
        rows = await join(source, PATHS[path](source)).collect()
        assert_closed()
        return rows

    assert seen(name, testing.run(main())) == seen(name, oracle(rows, rows))


@examples(200)
@given(sides(), st.sampled_from(list(JOINS)), paths, st.booleans())
def test_windows_after_a_join_never_call_its_results_late(both, name, path, waits):
    join, oracle = JOINS[name]
    late = []

    async def main():
        left, right = (stream(side, waits=waits) for side in both)
        joined = join(left, right).map(lambda pair: pair[0] or pair[1])
        windows = PATHS[path](joined).window(tumbling=5)
        counts = await windows.count().collect()
        late.extend(await windows.late.collect())
        assert_closed()
        return {window.end.second: window.value for window in counts}

    def time(pair):
        left, right = pair
        if name == "window":
            return (left or right).at // 4 * 4 + 3
        return left.at if name != "interval" or right is None else max(x.at for x in pair if x)

    wanted = Counter(int(time(pair) // 5 * 5 + 5) for pair in oracle(*map(whole, both)))
    assert testing.run(main()) == wanted
    assert not late
