"""``join``: pairs of items that are in the same window."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rivulet import GraphError, Stream
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed


def itself(x):
    return x


def together(left, right, **options):
    return Stream(left).join(right, on=itself, **options)


@pytest.mark.parametrize(
    ("window", "wanted"),
    [
        (5, [(1, 4), (3, 4), (11, 12)]),
        ("10s", [(1, 4), (1, 5), (3, 4), (3, 5), (11, 12)]),
        ({"tumbling": 5, "origin": 3}, [(3, 4), (3, 5), (11, 12)]),
        ({"hopping": 4, "every": 2}, [(3, 4), (3, 5), (11, 12)]),
        ({"hopping": 10, "every": 10}, [(1, 4), (1, 5), (3, 4), (3, 5), (11, 12)]),
        ({"calendar": "day"}, [(a, b) for a in (1, 3, 11) for b in (4, 5, 12)]),
    ],
)
async def test_windows_are_of_several_kinds(window, wanted):
    assert sorted(await together([1, 3, 11], [4, 5, 12], window=window).collect()) == wanted


async def test_a_pair_in_several_windows_comes_once_for_each():
    joined = together([10], [11], window={"hopping": 6, "every": 2})
    assert await stamps(joined) == [((10, 11), t - 1e-6) for t in (12.0, 14.0, 16.0)]


async def test_days_are_those_of_the_time_zone():
    left = [datetime(2024, 3, 30, 23, 30, tzinfo=UTC)]
    right = [datetime(2024, 3, 31, 1, tzinfo=UTC)]
    amsterdam = {"calendar": "day", "tz": "Europe/Amsterdam"}
    assert await together(left, right, window=amsterdam).collect() == [(left[0], right[0])]
    assert await together(left, right, window={"calendar": "day"}).collect() == []


@pytest.mark.parametrize(
    ("how", "wanted"),
    [
        ("inner", [(1, 4)]),
        ("left", [(1, 4), (11, None)]),
        ("right", [(1, 4), (None, 7)]),
        ("outer", [(1, 4), (None, 7), (11, None)]),
    ],
)
async def test_items_without_a_partner_are_given_on_the_outer_sides(how, wanted):
    assert await together([1, 11], [4, 7], window=5, how=how).collect() == wanted


async def test_only_items_of_equal_key_are_paired():
    left, right = [(1, "x"), (2, "y")], [{"t": 3, "k": "y"}]
    joined = Stream(left).join(right, window=5, on=(0, "t"), by=(1, "k"), how="left")
    assert await joined.collect() == [((1, "x"), None), ((2, "y"), {"t": 3, "k": "y"})]


async def test_a_window_closes_when_both_clocks_are_past_it():
    left = marbles("a--b---c|", event="-a----b-----c")
    right = marbles("-x---y--|", event="---x-------y")
    assert await timed(left.join(right, window=5)) == [(5.0, ("a", "x")), (8.0, ("c", "y"))]


async def test_the_order_within_a_window_is_that_of_time():
    left = marbles("ab|", event="-ba", max_delay=5)
    right = marbles("xy|", event="--yx", max_delay=5)
    assert await left.join(right, window=5).collect() == [
        ("b", "y"), ("b", "x"), ("a", "y"), ("a", "x"),
    ]  # fmt: skip


async def test_windows_after_it_lose_nothing():
    joined = together(range(100), range(100), window=2, by=itself)
    counts = await joined.window(tumbling=10).count().collect()
    assert [w.value for w in counts] == [10] * 10


async def test_late_items_are_dropped_and_counted():
    left = marbles("a-b-c-d|", event="-ac---------b-d")
    right = marbles("x-y|", event="---x---------y")
    run = left.join(right, window=5).start()
    await run
    assert run.last() == [("a", "x"), ("b", "y"), ("d", "y")]
    assert [one.late for one in run.stats().operators if one.late] == [1]


async def test_it_ends_when_one_has_ended_and_its_windows_are_closed():
    endless = Stream.timer(1).event_time(itself)
    short = Stream.of(1, 6).event_time(itself)
    assert await timed(short.join(endless, window=2)) == [
        (3.0, (1, 0)), (3.0, (1, 1)), (9.0, (6, 6)), (9.0, (6, 7)),
    ]  # fmt: skip


async def test_a_failing_side_raises_and_the_other_is_closed():
    other = RecordingSource([1, 2], silent=True)
    with pytest.raises(ConnectionError):
        await together(Stream(other), marbles("-#", error=ConnectionError()), window=5).collect()
    assert_closed(other)


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (0, r"join\(window: tumbling\) must be more than zero"),
        ("soon", r"join\(window: tumbling\) must be a duration"),
        (None, r"join\(window: tumbling\) must be a duration"),
        ({"hopping": 5}, "how often a hopping window begins: every"),
        ({"hopping": 5, "every": 6}, "leave gaps"),
        ({"session": 5}, r'join\(window\) must be a duration, or a dict such as {"hopping"'),
        ({"tumbling": 5, "every": 6}, r"join\(window\) must be a duration, or a dict"),
        ({"tumbling": 5, "origin": "x"}, r"join\(window: origin\): an event time must be"),
        ({"calendar": "eon"}, "must be one of 'hour', 'day'"),
        ({"calendar": "day", "tz": "Here"}, "must be a time zone"),
    ],
)
def test_other_windows_are_refused_when_it_is_built(window, message):
    with pytest.raises(GraphError, match=message):
        together([1], [1], window=window)


def test_what_can_t_work_is_refused_when_it_is_built():
    with pytest.raises(GraphError, match="right side has none"):
        Stream.of(1).event_time(itself).join([1], window=5)
    with pytest.raises(GraphError, match=r"join\(how\) must be one of 'inner', 'left'"):
        together([1], [1], window=5, how="cross")


async def test_a_key_that_isn_t_hashable_raises_and_names_the_item():
    with pytest.raises(TypeError, match="must be hashable") as caught:
        await together([1], [1], window=5, by=lambda n: [n]).collect()
    assert "join(" in caught.value.__notes__[0]
    assert "on item 1" in caught.value.__notes__[0]
