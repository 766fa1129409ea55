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
LONGEST = 300
"""How many items an outage lasts where all come from one source."""


def marker(x):
    return x


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

    def seek(self, state):
        self.position = state["n"]


class Soak:
    """Runs until all is read, killed again and again while items come out of the gate.

    Attributes:
        passed: what came out, and how far each dependency was behind it.
        far: the newest marker of each dependency that has left its sink.
        told: which callbacks were called.
    """

    def __init__(self, folder):
        self.folder = folder
        self.passed = []
        self.far = dict.fromkeys(NAMES, -1)
        self.told = []
        self.kills = sorted(random.Random(1).sample(range(1, ITEMS), KILLS))

    def run(self, streams):
        for _ in range(KILLS + 1):
            with closing(Cache(self.folder / "checkpoints")) as cache:
                over = testing.run(self.run_once(streams, cache))
        assert over
        assert not self.kills
        self.check_callbacks()

    async def run_once(self, streams, cache):
        dependencies = [Dependency(name, None, THRESHOLD) for name in NAMES]
        checkpoint = Checkpoint(
            "dependent", None, dependencies, self.tell("down"), self.tell("up"), cache=cache
        )
        self.killed = asyncio.Event()
        task = asyncio.create_task(rivulet.run(*streams(checkpoint)))
        kill = asyncio.create_task(self.killed.wait())
        await asyncio.wait([task, kill], return_when=asyncio.FIRST_COMPLETED)
        over = task.done()
        for each in task, kill:
            each.cancel()
        await asyncio.wait([task, kill])
        if over:
            task.result()
        assert_closed()
        return over

    def tell(self, what):
        return lambda c, d: self.told.append((what, d.name))

    def take(self, x):
        self.passed.append((x, x - min(self.far.values())))
        if self.kills and len(self.passed) == self.kills[0]:
            self.kills.pop(0)
            self.killed.set()

    def beaten(self, name):
        def far(x):
            self.far[name] = max(self.far[name], x)

        return far

    def check_callbacks(self):
        """One for each downtime, and one when all are up."""
        down = set()
        for what, name in self.told:
            if what == "down":
                assert name not in down
                down.add(name)
            else:
                assert name in down
                down.clear()
        assert len(self.told) > 100

    @property
    def items(self):
        return [x for x, _ in self.passed]

    @property
    def stale(self):
        return [x for x, behind in self.passed if behind > THRESHOLD]


def from_several(soak, **gate):
    """A source for each stream."""
    logs = {name: Log(name, 0.1) for name in NAMES}
    dependent = Log("dependent", 0)

    def streams(checkpoint):
        # What was read and not finished is read again.
        dependent.position = soak.items[-1] + 1 if soak.items else 0
        for name in NAMES:
            logs[name].position = soak.far[name] + 1
            beats = Stream(logs[name]).beat(checkpoint, marker=marker, name=name)
            yield beats.to(soak.beaten(name))
        yield Stream(dependent).gate(checkpoint, marker=marker, **gate).to(soak.take)

    return streams


@pytest.mark.slow
@pytest.mark.parametrize("hold", ["ahead", "after"])
def test_nothing_is_lost_and_ahead_nothing_is_stale(hold, tmp_path):
    soak = Soak(tmp_path)
    soak.run(from_several(soak, hold=hold))
    assert soak.items == list(range(ITEMS))
    assert soak.far == dict.fromkeys(NAMES, ITEMS - 1)
    assert bool(soak.stale) == (hold == "after")


@pytest.mark.slow
def test_all_that_went_out_too_early_is_corrected_by_replay(tmp_path):
    soak = Soak(tmp_path)
    soak.run(from_several(soak, hold="after", state=lambda x: {"n": x}, replay=True))
    at_last = dict(soak.passed)
    assert sorted(at_last) == list(range(ITEMS))
    assert len(soak.stale) > 100
    assert max(at_last.values()) <= THRESHOLD


def in_one_log():
    """All streams in one: after an item its beats, but for outages."""
    chance = random.Random(7)
    silent = dict.fromkeys(NAMES, 0)
    for x in range(ITEMS):
        yield "dependent", x
        for name in NAMES:
            if not silent[name] and chance.random() < 0.003:
                silent[name] = chance.randrange(LONGEST)
            silent[name] = max(silent[name] - 1, 0)
            if not silent[name] or x == ITEMS - 1:
                yield name, x


@pytest.mark.slow
@pytest.mark.parametrize("hold", ["ahead", "after"])
def test_so_it_is_where_all_come_from_one_source(hold, tmp_path):
    soak = Soak(tmp_path)
    log = list(in_one_log())
    place = {row: number for number, row in enumerate(log)}

    def streams(checkpoint):
        done = [("dependent", soak.items[-1])] if soak.items else []
        done += [(name, soak.far[name]) for name in NAMES if soak.far[name] >= 0]
        first = min(map(place.__getitem__, done)) if len(done) == 3 else 0
        rows = Stream(log[first:])
        for name in NAMES:
            beats = rows.filter(lambda row, name=name: row[0] == name)
            beats = beats.map(lambda row: row[1])
            yield beats.beat(checkpoint, marker=marker, name=name).to(soak.beaten(name))
        dependent = rows.filter(lambda row: row[0] == "dependent").map(lambda row: row[1])
        room = dependent.buffer(2 * LONGEST)
        yield room.gate(checkpoint, marker=marker, hold=hold).to(soak.take)

    soak.run(streams)
    assert sorted(set(soak.items)) == list(range(ITEMS))
    assert bool(soak.stale) == (hold == "after")
