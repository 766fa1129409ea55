"""``count``: how many items there were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import EndlessError, Stream, testing
from rivulet.testing import RecordingSource, marbles, timed
from tests.ops.cases import check_resuming


@given(st.lists(st.none()))
def test_it_is_the_length_of_a_list(items):
    stream = Stream(items).count()
    assert testing.run(stream.collect()) == [len(items)]
    check_resuming(stream, items)


async def test_it_can_be_awaited_again_and_again():
    number = Stream("abc").count()
    assert await number == await number == 3
    assert await Stream.empty().count() == 0


async def test_the_number_comes_once_at_the_end():
    assert await timed(marbles("a-b-|").count()) == [(4, 2)]


async def test_each_key_can_be_counted():
    stream = Stream("abca").group_by(lambda x: x).count().items()
    assert await stream.collect() == [("a", 2), ("b", 1), ("c", 1)]


async def test_a_source_that_fails_is_not_counted():
    rows = []
    with pytest.raises(ValueError):
        await Stream(RecordingSource([1], error=ValueError())).count().to(rows).run()
    assert rows == []


async def test_what_never_ends_is_not_counted():
    with pytest.raises(EndlessError, match=r"timer\(1\) never ends"):
        await Stream.timer(1).count()
