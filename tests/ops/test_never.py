"""``Stream.never``: silence without end."""

from __future__ import annotations

import asyncio

import pytest

from rivulet import EndlessError, Stream
from rivulet.testing import assert_closed


async def test_it_is_silent_until_something_else_ends_the_stream():
    assert await Stream.never().take_until("1h").collect() == []
    assert asyncio.get_running_loop().time() == 3600
    assert_closed()


@pytest.mark.parametrize(
    "stream",
    [Stream.never(), Stream.never().map(str), Stream.never().merge([1])],
    ids=["alone", "in a chain", "merged"],
)
async def test_a_list_of_all_items_is_refused(stream):
    with pytest.raises(EndlessError, match=r"never\(\) never ends"):
        await stream.collect()
    with pytest.raises(EndlessError, match=r"never\(\) never ends"):
        await stream


async def test_the_wait_can_be_cancelled_again_and_again():
    stream = Stream.never()
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.run(), 5)
        assert_closed()


async def test_nothing_of_it_is_nothing():
    assert await Stream.never().take(0).collect() == []
