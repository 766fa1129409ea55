"""``retry``: the whole stream again when it fails."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, SourceError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps


class Lost(Exception):
    pass


class Connection:
    """Breaks the given number of times; remembers when it was opened."""

    def __init__(self, breaks, error=Lost):
        self.breaks = breaks
        self.error = error
        self.opened = []

    async def __call__(self):
        self.opened.append(asyncio.get_running_loop().time())
        yield len(self.opened)
        if len(self.opened) <= self.breaks:
            raise self.error


async def test_items_of_every_attempt_come():
    connection = Connection(2)
    assert await Stream(connection).retry().collect() == [1, 2, 3]


@pytest.mark.parametrize("times", [0, 1, 5])
async def test_after_so_many_attempts_the_last_error_is_raised(times):
    connection, seen = Connection(99), []
    with pytest.raises(Lost):
        await Stream(connection).retry(times).to(seen).run()
    assert seen == list(range(1, times + 2))


async def test_none_tries_for_ever():
    assert await Stream(Connection(200)).retry(None).take(150).count() == 150
    assert (await Stream(Connection(50)).retry(None).collect())[-1] == 51


async def test_only_the_given_types_are_tried_again():
    connection = Connection(1)
    with pytest.raises(Lost):
        await Stream(connection).retry(3, types=(ValueError, KeyError)).collect()
    assert len(connection.opened) == 1


async def pauses(breaks, **options):
    connection = Connection(breaks)
    await Stream(connection).retry(None, **options).run()
    return [round(b - a, 6) for a, b in pairwise(connection.opened)]


@pytest.mark.parametrize(
    ("backoff", "wanted"),
    [
        (None, [0, 0, 0, 0]),
        (1, [1, 2, 4, 8]),
        ("500ms", [0.5, 1, 2, 4]),
        (lambda attempt: attempt * 10, [10, 20, 30, 40]),
        (20, [20, 40, 60, 60]),
        (0, [0, 0, 0, 0]),
    ],
)
async def test_pauses_double_up_to_a_minute_or_are_what_a_function_gives(backoff, wanted):
    assert await pauses(4, backoff=backoff) == wanted


@given(st.sampled_from([0.1, 0.5, 1.0]))
def test_jitter_stays_within_its_share_and_varies(jitter):
    waits = testing.run(pauses(12, backoff=8, jitter=jitter))
    for wait, even in zip(waits, [8, 16, 32, *[60] * 9]):
        assert even * (1 - jitter) <= wait <= even * (1 + jitter)
    assert len(set(waits)) > 6


async def test_attempts_are_counted_over_the_whole_run_also_after_a_long_success():
    connection = Connection(3)
    with pytest.raises(Lost):
        await Stream(connection).retry(2).collect()


async def test_state_below_goes_on_and_state_inside_begins_anew():
    connection = Connection(1)
    stream = Stream(connection).enumerate()
    assert await stream.retry().collect() == [(0, 1), (0, 2)]
    assert await Stream(Connection(1)).retry().enumerate().collect() == [(0, 1), (1, 2)]
    assert await Stream(Connection(1)).batch(2).retry().collect() == [[2]]


async def test_each_attempt_closes_all_that_it_opened():
    sources = RecordingSource([1, 0]), RecordingSource([5], silent=True)
    stream = Stream(sources[0]).delay(1).map(lambda x: 1 / x).merge(sources[1])
    with pytest.raises(ZeroDivisionError):
        await stream.retry(2).collect()
    assert [source.opened for source in sources] == [3, 3]
    assert_closed(*sources)


async def test_a_source_that_can_be_read_once_raises_its_own_error():
    def once():
        yield 1
        raise Lost

    with pytest.raises(Lost) as caught:
        await Stream(once()).retry(3).collect()
    assert isinstance(caught.value.__cause__, SourceError)


async def test_a_failure_below_is_not_tried_again():
    connection = Connection(0)
    with pytest.raises(ZeroDivisionError):
        await Stream(connection).retry().map(lambda x: 1 / (x - 1)).collect()
    assert len(connection.opened) == 1


@pytest.mark.parametrize("drain", [False, True])
async def test_a_stop_ends_a_pause_and_begins_no_attempt(drain):
    connection, loop = Connection(99), asyncio.get_running_loop()
    run = Stream(connection).retry(None, backoff=50).start()
    await asyncio.sleep(1)
    await run.stop(drain=drain)
    assert (run.last(), loop.time(), run.state) == ([1], 1.0, "finished")


async def test_leaving_early_and_cancelling_end_it():
    source = RecordingSource([1], error=Lost())
    async with Stream(source).retry(None).open() as items:
        assert [await anext(items) for _ in range(3)] == [1, 1, 1]
    assert_closed(source)
    run = Stream(source).retry(None, backoff=5).start()
    await asyncio.sleep(1)
    await run.cancel().wait()
    assert_closed(source)


async def test_items_keep_their_time():
    rows = marbles("a|", event="--a").retry()
    assert await stamps(rows) == [("a", 2.0)]


async def no_pause(attempt):
    return 0.0


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((-1,), {}, r"retry\(times\) must be a whole number of at least 0, not -1"),
        ((1.5,), {}, r"retry\(times\) must be a whole number"),
        ((1,), {"backoff": -1}, r"retry\(backoff\) must be zero or more, not -1"),
        ((1,), {"backoff": "soon"}, r"retry\(backoff\) must be a duration, not 'soon'"),
        ((1,), {"backoff": no_pause}, r"retry\(backoff\) must be a plain function"),
        ((1,), {"jitter": 1.5}, r"retry\(jitter\) must be a share between 0 and 1, not 1.5"),
        ((1,), {"jitter": "0.1"}, r"retry\(jitter\) must be a share between 0 and 1, not '0.1'"),
        ((1,), {"types": 3}, r"retry\(types\) must be an exception class"),
    ],
)
def test_wrong_arguments_are_refused_when_built(args, options, message):
    with pytest.raises(GraphError, match=message):
        Stream.of(1).retry(*args, **options)
