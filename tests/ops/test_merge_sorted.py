"""``merge_sorted``: sorted streams become one sorted stream."""

from __future__ import annotations

import asyncio
import heapq
from operator import itemgetter
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.core.entries import CLOSED
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed

ROWS = st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0, 0.1, 0.4])), max_size=8).map(
    lambda rows: sorted(rows, key=itemgetter(0))
)
SIDES = st.lists(ROWS, min_size=1, max_size=4)


def same(x):
    return x


async def spaced(rows):
    for row in rows:
        await asyncio.sleep(row[1])
        yield row


@given(SIDES)
def test_it_equals_heapq_merge_whenever_items_come(sides):
    tagged = [[(x, pause, n) for x, pause in side] for n, side in enumerate(sides)]

    async def main():
        streams = [Stream(lambda side=side: spaced(side)) for side in tagged]
        rows = await streams[0].merge_sorted(*streams[1:], key=0).collect()
        assert_closed()
        return rows

    assert testing.run(main()) == list(heapq.merge(*tagged, key=itemgetter(0)))


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda n: {"at": n}, "at"),
        (lambda n: (n, "x"), 0),
        (lambda n: complex(n, 1), "real"),
        (same, lambda n: n),
    ],
)
async def test_keys_are_fields_attributes_or_functions(make, key):
    odd, even = [make(n) for n in (1, 3, 9)], [make(n) for n in (2, 4)]
    rows = await Stream(odd).merge_sorted(even, key=key).collect()
    assert rows == [make(n) for n in (1, 2, 3, 4, 9)]


async def test_the_key_may_be_async():
    async def key(n):
        await asyncio.sleep(0.1)
        return -n

    assert await Stream.of(5, 2).merge_sorted([4, 1], key=key).collect() == [5, 4, 2, 1]


def test_wrong_arguments_are_refused_when_built():
    stream = Stream.of(1)
    with pytest.raises(GraphError, match=r"merge_sorted\(key\) needs a function, a key"):
        stream.merge_sorted([2], key=1.5)
    with pytest.raises(GraphError, match=r"merge_sorted\(wait\) must be more than zero, not 0"):
        stream.merge_sorted([2], key=same, wait=0)
    with pytest.raises(GraphError, match=r"merge_sorted\(wait\) must be a duration, not 'soon'"):
        stream.merge_sorted([2], key=same, wait="soon")
    with pytest.raises(GraphError, match="a stream needs an iterable"):
        stream.merge_sorted(2, key=same)
    with pytest.raises(TypeError, match="key"):
        stream.merge_sorted([2])


async def test_keys_that_can_t_be_compared_raise_and_name_the_operator():
    with pytest.raises(TypeError, match="not supported between") as caught:
        await Stream.of(1).merge_sorted(["a"], key=same).collect()
    assert "merge_sorted" in caught.value.__notes__[0]


async def test_an_item_waits_until_every_open_side_has_one():
    left = marbles("a--d--|")
    right = marbles("----b-c|")
    assert await timed(left.merge_sorted(right, key=same)) == [
        (4.0, "a"), (4.0, "b"), (6.0, "c"), (7.0, "d"),
    ]  # fmt: skip


async def test_silent_sides_are_waited_for_no_longer_than_wait():
    left, right = marbles("ad-------|"), marbles("-----bc--|")
    rows = await timed(left.merge_sorted(right, key=same, wait=2))
    # "a" and then "d" go on alone, each after 2 s, so that "b" comes out of order.
    assert rows == [(2.0, "a"), (4.0, "d"), (7.0, "b"), (9.0, "c")]


async def test_the_wait_begins_anew_for_each_item():
    async def slow(x):
        await asyncio.sleep(5)
        return x

    silent = Stream.never()
    stream = Stream("ab").merge_sorted(silent, key=same, wait=1).map(slow).take(2)
    assert await timed(stream) == [(6.0, "a"), (12.0, "b")]


async def test_a_timer_and_the_loop_never_give_items_at_the_same_time():
    inside, most = 0, 0

    async def slow(_):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(5)
        inside -= 1

    # "a" goes on alone at 1 s; while it is worked on, "b" may go too.
    left, right = marbles("a--c-------|"), marbles("--b--------|")
    assert await left.merge_sorted(right, key=same, wait=1).to(slow).collect() == ["a", "b", "c"]
    assert most == 1


async def test_only_the_head_of_each_side_is_held():
    def once(read, items):
        for x in items:
            read.append(x)
            yield x

    left, right = [], []
    stream = Stream(once(left, range(100))).merge_sorted(once(right, [50]), key=same)
    async with stream.open() as items:
        async for x in items:
            if x == 3:
                break
    assert right == [50]
    # 0 to 3 were given; one is the head, one is compared, one waits for each reader on the way.
    assert len(left) <= 8


async def test_a_stop_gives_what_is_held_in_order():
    sides = RecordingSource("bd", silent=True), RecordingSource("ac", silent=True)
    run = Stream(sides[0]).merge_sorted(*sides[1:], key=same).start()
    await asyncio.sleep(1)
    assert run.last() == ["a", "b", "c"]
    await run.stop()
    assert run.last() == ["a", "b", "c", "d"]
    assert_closed(*sides)


async def test_a_failing_side_raises_and_the_others_are_closed():
    other = RecordingSource("ac", silent=True)
    with pytest.raises(ConnectionError):
        await marbles("b#", error=ConnectionError()).merge_sorted(other, key=same).collect()
    assert_closed(other)


async def test_items_keep_their_time():
    left, right = marbles("ac|", event="a---c"), marbles("b|", event="-------b")
    assert await stamps(left.merge_sorted(right, key=same)) == [("a", 0.0), ("b", 7.0), ("c", 4.0)]


def test_the_clock_goes_on_up_to_what_is_held_and_no_further():
    logic = Stream.of().merge_sorted([], key=0).node.stage().make(Mock(now=lambda: 0.0))
    assert logic.passes(9) == 9
    list(logic.call(0, "a", 5, "a"))
    assert (logic.passes(3), logic.passes(9)) == (3, 5)


@given(SIDES, st.data())
def test_a_restored_state_goes_on_as_if_uninterrupted(sides, data):
    node = Stream.of().merge_sorted(*([] for _ in sides[1:]), key=0).node
    calls = [(n, row, None, row[0]) for n, side in enumerate(sides) for row in side]
    calls = data.draw(st.permutations(calls)) + [(n, CLOSED, None, None) for n in range(len(sides))]
    cut = data.draw(st.integers(0, len(calls)))

    def logic():
        return node.stage().make(Mock())

    whole, first, second = logic(), logic(), logic()
    wanted = [list(whole.call(*call)) for call in calls]
    got = [list(first.call(*call)) for call in calls[:cut]]
    second.restore(first.snapshot())
    assert got + [list(second.call(*call)) for call in calls[cut:]] == wanted
