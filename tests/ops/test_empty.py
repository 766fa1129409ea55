"""``Stream.empty``: no items, and an end at once."""

from __future__ import annotations

import asyncio

import pytest

from rivulet import EmptyError, Stream


async def test_it_ends_at_once_each_time():
    nothing = Stream.empty()
    for _ in range(2):
        assert await nothing.collect() == []
    assert asyncio.get_running_loop().time() == 0


async def test_nothing_below_is_called():
    calls = []
    await Stream.empty().map(calls.append).to(calls.append).run()
    assert calls == []


async def test_its_last_item_is_asked_for_in_vain():
    with pytest.raises(EmptyError, match=r"empty\(\) ended without an item.*default"):
        await Stream.empty()
