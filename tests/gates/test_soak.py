"""Many items, many outages, killed and started again, with what it remembers on disk."""

from __future__ import annotations

import asyncio
import random
from contextlib import closing

import pytest

import rivulet
from rivulet import Cache, Checkpoint, Dependency, Stream, testing
from rivulet.testing import assert_closed

ITEMS = 100_000
KILLS = 20
THRESHOLD = 5
NAMES = ("a", "b")


class Log:
    """Markers 0, 1, 2, ..., in bursts; each burst after a wait."""

    def __init__(self, seed, outages):
        self.random = random.Random(seed)
        self.position = 0
        self.outages = outages

    async def __aiter__(self):
        while self.position < ITEMS:
            long = self.random.random() < self.outages
            await asyncio.sleep(self.random.uniform(50, 500) if long else self.random.random())
            for _ in range(self.random.randrange(200)):
                if self.position < ITEMS:
                    self.position += 1
                    yield self.position - 1


@pytest.mark.slow
@pytest.mark.parametrize("hold", ["ahead", "after"])
def test_nothing_is_lost_and_nothing_is_stale(hold, tmp_path):
    logs = {name: Log(name, 0.1) for name in NAMES}
    dependent = Log("dependent", 0)
    passed, far, told = [], dict.fromkeys(NAMES, -1), []
    kills = sorted(random.Random(1).sample(range(1, ITEMS), KILLS))

    def tell(what):
        return lambda c, d: told.append((what, d.name))

    async def run(cache):
        dependencies = [Dependency(name, None, THRESHOLD) for name in NAMES]
        checkpoint = Checkpoint(
            "dependent", None, dependencies, tell("down"), tell("up"), cache=cache
        )
        # What was read and not finished is read again.
        dependent.position = len(passed)
        for name in NAMES:
            logs[name].position = far[name] + 1
        killed = asyncio.Event()

        def take(x):
            if hold == "ahead":
                assert all(far[name] >= x - THRESHOLD for name in NAMES)
            passed.append(x)
            if kills and len(passed) == kills[0]:
                kills.pop(0)
                killed.set()

        def beats(name):
            stream = Stream(logs[name]).beat(checkpoint, marker=lambda x: x, name=name)
            return stream.to(lambda x: far.__setitem__(name, x))

        gated = Stream(dependent).gate(checkpoint, marker=lambda x: x, hold=hold).to(take)
        task = asyncio.create_task(rivulet.run(gated, *map(beats, NAMES)))
        kill = asyncio.create_task(killed.wait())
        await asyncio.wait([task, kill], return_when=asyncio.FIRST_COMPLETED)
        over = task.done()
        for each in task, kill:
            each.cancel()
        await asyncio.wait([task, kill])
        if over:
            task.result()
        assert_closed()
        return over

    for _ in range(KILLS + 1):
        with closing(Cache(tmp_path / "checkpoints")) as cache:
            over = testing.run(run(cache))
    assert over
    assert not kills
    assert passed == list(range(ITEMS))
    assert far == dict.fromkeys(NAMES, ITEMS - 1)
    down = set()
    for what, name in told:
        if what == "down":
            assert name not in down
            down.add(name)
        else:
            assert name in down
            down.clear()
    assert len(told) > 100
