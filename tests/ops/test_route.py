"""``route``: items to the first way that wants them."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rivulet
from rivulet import GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps

SETS = st.dictionaries(
    st.sampled_from(["a", "b", "c", "d"]), st.sets(st.integers(0, 5)), min_size=1
)


@given(st.lists(st.integers(0, 5)), SETS, st.booleans())
def test_each_item_comes_in_the_first_way_that_wants_it_or_in_rest(items, sets, later):
    def condition(wanted):
        async def wants(x):
            await asyncio.sleep(0.1)
            return x in wanted

        return wants if later else wanted.__contains__

    wanted = {name: [] for name in [*sets, "rest"]}
    for x in items:
        wanted[next((name for name in sets if x in sets[name]), "rest")].append(x)

    async def main():
        ways = Stream(items).route(**{name: condition(s) for name, s in sets.items()})
        got = {name: [] for name in ways}
        await rivulet.run(*(way.to(got[name]) for name, way in ways.items()))
        alone = {name: await way.collect() for name, way in ways.items()}
        return got, alone

    assert testing.run(main()) == (wanted, wanted)


async def test_conditions_are_looked_at_once_in_order_until_one_holds():
    calls = []

    def wants(name, *numbers):
        return lambda x: calls.append((name, x)) or x in numbers

    ways = Stream([1, 2, 3]).route(first=wants("first", 1), second=wants("second", 1, 2))
    assert list(ways) == ["first", "second", "rest"]
    await rivulet.run(*ways.values())
    assert calls == [("first", 1), ("first", 2), ("second", 2), ("first", 3), ("second", 3)]


async def test_ways_can_meet_again():
    ways = Stream(range(6)).route(small=lambda x: x < 2, large=lambda x: x > 3)
    tagged = [way.map(lambda x, name=name: f"{name} {x}") for name, way in ways.items()]
    rows = await tagged[0].merge(*tagged[1:]).collect()
    assert rows == ["small 0", "small 1", "rest 2", "rest 3", "large 4", "large 5"]


async def test_the_source_is_read_once_and_closed_when_no_way_wants_more():
    source = RecordingSource(range(100), silent=True)
    ways = Stream(source).route(low=lambda x: x < 50)
    low, rest = [], []
    await rivulet.run(ways["low"].take(2).to(low), ways["rest"].take(2).to(rest))
    assert (low, rest, source.opened) == ([0, 1], [50, 51], 1)
    assert_closed(source)


async def test_a_condition_that_fails_is_named():
    ways = Stream([1, None]).route(big=lambda x: x > 9)
    with pytest.raises(TypeError, match="not supported") as caught:
        await ways["rest"].collect()
    assert "in route(big=<lambda>)" in caught.value.__notes__[0]
    assert "on item None" in caught.value.__notes__[0]


async def test_items_keep_their_time():
    ways = marbles("ab|", event="b-a").route(a=lambda x: x == "a")
    assert await stamps(ways["a"]) == [("a", 2.0)]
    assert await stamps(ways["rest"]) == [("b", 0.0)]


def test_wrong_arguments_are_refused_when_built():
    stream = Stream.of(1)
    with pytest.raises(GraphError, match="route needs at least one way"):
        stream.route()
    with pytest.raises(GraphError, match="what no way wants 'rest': give that way another name"):
        stream.route(rest=bool)
    with pytest.raises(GraphError, match=r"route\(big\) needs a function, not 9"):
        stream.route(big=9)
