"""A source can wait until all that was made of its items has left the loops below it."""

import asyncio

import pytest

from rivulet import Stream
from rivulet.core.logic import Context
from rivulet.core.node import Leaf, frozen
from rivulet.core.stage import Produce


@frozen
class Settling(Leaf):
    """Node: some numbers, and after each one a note of what had come out by then."""

    found: list
    out: list

    def stage(self):
        return Produce(open=self.open)

    def open(self, context: Context):
        async def numbers():
            for number in range(4):
                yield number
                await context.settle()
                assert context.is_settled
                self.found.append((context.hands_on, sorted(self.out)))

        return numbers()


async def slow(number):
    await asyncio.sleep(5 - number)
    return number


GRAPHS = {
    "one loop": (False, lambda s: s.map(slow)),
    "a buffer": (True, lambda s: s.buffer(10).map(slow)),
    "work at once": (True, lambda s: s.map(slow, concurrency=3)),
    "work by key": (True, lambda s: s.map(slow, concurrency=3, by=lambda n: n % 2)),
    "a delay": (True, lambda s: s.delay(3)),
    "two boundaries": (True, lambda s: s.buffer(3).map(slow, concurrency=2)),
    "two inputs": (True, lambda s: s.map(slow).merge(Stream([]))),
    "a stepped pipe": (False, lambda s: s.pipe(lambda items: items).map(slow)),
    "one that wants no more": (True, lambda s: s.buffer(3).take(9).map(slow)),
}


@pytest.mark.parametrize("name", GRAPHS)
async def test_all_that_was_made_of_an_item_has_left_every_loop(name):
    hands_on, build = GRAPHS[name]
    found, out = [], []
    await build(Stream(Settling(found, out))).to(out).run()
    assert found == [(hands_on, list(range(n + 1))) for n in range(4)]


async def test_a_branch_that_has_ended_keeps_nobody_waiting():
    found, out = [], []
    await Stream(Settling(found, out)).buffer(2).take(2).to(out).run()
    assert found == [(True, [0]), (True, [0, 1])]


async def test_an_iterating_consumer_is_waited_for():
    found, out = [], []
    async for number in Stream(Settling(found, out)).buffer(2):
        await asyncio.sleep(1)
        out.append(number)
    assert found == [(True, list(range(n + 1))) for n in range(4)]
