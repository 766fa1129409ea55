"""``Stream.of``: the arguments."""

from __future__ import annotations

from rivulet import Stream


async def test_arguments_come_in_order_whatever_they_are():
    things = [0, None, "ab", [1, 2], Stream([1]), ValueError("x")]
    rows = await Stream.of(*things).collect()
    assert all(row is thing for row, thing in zip(rows, things, strict=True))


async def test_without_arguments_it_is_empty():
    assert await Stream.of().collect() == []


async def test_it_can_be_run_many_times_and_used_in_several_places():
    numbers = Stream.of(1, 2)
    assert await numbers.collect() == await numbers.collect() == [1, 2]
    assert await numbers.zip(numbers).collect() == [(1, 1), (2, 2)]


def test_it_is_shown_as_it_was_written():
    assert Stream.of(1, "a").node.label == "of(1, 'a')"
