"""Random outages, and what has to come of them, found by brute force."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field

from hypothesis import strategies as st

import rivulet
from rivulet import Checkpoint, Dependency, Stream

NAMES = ("a", "b")
LATEST = 30
FOREVER = float("inf")


@dataclass
class Case:
    """A dependent stream and two dependencies: for each item its time and its marker.

    Attributes:
        items: of the dependent stream.
        beats: of each dependency.
        ends: when each dependency ends; for ever if it goes silent.
        thresholds: how far each may be behind.
        slow: how long each dependency's sink takes.
    """

    items: list[tuple[int, int]]
    beats: dict[str, list[tuple[int, int]]]
    ends: dict[str, float]
    thresholds: dict[str, int]
    slow: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))


def rows(offset, **more):
    """Times, not two at once, and markers that mostly rise; ``offset`` keeps streams apart."""
    pairs = st.tuples(st.integers(0, LATEST), st.integers(0, LATEST))
    return st.lists(pairs, unique_by=lambda row: row[0], **more).map(
        lambda found: sorted((3 * time + offset, marker) for time, marker in found)
    )


@st.composite
def cases(draw, sorted_markers=None):
    def stream(offset):
        found = draw(rows(offset, max_size=8))
        if draw(st.booleans()) if sorted_markers is None else sorted_markers:
            markers = sorted(marker for _, marker in found)
            return [(time, marker) for (time, _), marker in zip(found, markers, strict=True)]
        return found

    beats = {name: stream(offset) for offset, name in enumerate(NAMES, 1)}
    ends = {
        name: draw(st.sampled_from([FOREVER, 3 * LATEST + 3 + offset]))
        for offset, name in enumerate(NAMES, 1)
    }
    for name, end in ends.items():
        if end < FOREVER and draw(st.booleans()):
            ends[name] = max([time for time, _ in beats[name]], default=0) + 3
    return Case(stream(0), beats, ends, {name: draw(st.integers(0, 6)) for name in NAMES})


def dependencies(case):
    return [Dependency(name, None, case.thresholds[name]) for name in NAMES]


def clock():
    return asyncio.get_running_loop().time()


class Timed:
    """A source that gives items at their times, and can go on elsewhere, also while it waits."""

    def __init__(self, pairs, end=0, turns=0):
        self.pairs = pairs
        self.end = end
        self.turns = turns
        self.position = 0
        self.sought = asyncio.Event()

    async def __aiter__(self):
        while True:
            at, here = self.position, self.position < len(self.pairs)
            self.sought.clear()
            await self.until(self.pairs[at][0] if here else self.end)
            if self.sought.is_set():
                continue
            if not here:
                return
            self.position += 1
            yield at, self.pairs[at][1]

    async def until(self, time):
        """Wait until a time, or until it is to go on elsewhere."""
        for _ in range(self.turns):
            await asyncio.sleep(0)
        if time > clock():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if time == FOREVER else time - clock()):
                    await self.sought.wait()

    def seek(self, state):
        self.position = state["n"]
        self.sought.set()


def marker(row):
    return row[1]


def state(row):
    return {"n": row[0]}


class World:
    """The sources of a case, and runs over them until a time, one after another.

    Attributes:
        passed: when which item came out of the gate.
        told: which callbacks were called when, and with which state.
        finished: when which beats had left their sinks.
    """

    def __init__(self, case, turns=(0, 0, 0), end=0, **gate):
        self.case = case
        self.gate = gate
        self.dependent = Timed(case.items, end, turns[0])
        self.sources = {
            name: Timed(case.beats[name], case.ends[name], turns=turns[number])
            for number, name in enumerate(NAMES, 1)
        }
        self.kept = {}
        self.finished = {name: [] for name in NAMES}
        self.passed = []
        self.told = []

    def checkpoint(self, **more):
        def tell(what):
            return lambda c, d: self.told.append((clock(), what, d.name, d.checkpoint_state))

        return Checkpoint(
            "dependent",
            None,
            dependencies(self.case),
            tell("down"),
            tell("up"),
            cache=self.kept,
            **more,
        )

    async def run_until(self, time, **more):
        """Run, and be killed at a time."""
        checkpoint = self.checkpoint(**more)
        streams = [self.beats(checkpoint, name) for name in NAMES]
        streams.append(
            Stream(self.dependent)
            .gate(checkpoint, marker=marker, state=state, **self.gate)
            .to(lambda row: self.passed.append((clock(), row[0])))
        )
        task = asyncio.create_task(rivulet.run(*streams))
        await asyncio.wait([task], timeout=time - clock())
        # What was in hand has not been committed: it is read again.
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.result()
        self.dependent.position = len({number for _, number in self.passed})
        for name in NAMES:
            self.sources[name].position = len(self.finished[name])

    def beats(self, checkpoint, name):
        slow = self.case.slow[name]

        async def sink(row):
            if slow:
                await asyncio.sleep(slow)
            self.finished[name].append((clock(), row[1]))

        return Stream(self.sources[name]).beat(checkpoint, marker=marker, name=name).to(sink)


def reached(case, name, marker):
    """When a dependency is as far as an item needs it to be."""
    done = 0
    for time, at in case.beats[name]:
        done = max(done, time) + case.slow[name]
        if at >= marker - case.thresholds[name]:
            return done
    return max(done, case.ends[name])


def ahead(case):
    """When each item passes; those that never do are left out."""
    passed, now = [], 0
    for number, (time, marker) in enumerate(case.items):
        now = max(now, time, *(reached(case, name, marker) for name in NAMES))
        if now == FOREVER:
            break
        passed.append((now, number))
    return passed


class Original:
    """What the original did, without its faults: a pulse for each item, then a pause."""

    def __init__(self, case, *, pauses=True):
        self.case = case
        self.pauses = pauses
        self.markers = dict.fromkeys(NAMES)
        self.assumed = set()
        self.down = {}
        self.ended = set()
        self.outage = []
        self.state_marker = None
        self.passed = []
        self.told = []

    def run(self):
        case = self.case
        waiting = list(enumerate(case.items))
        for now in range(3 * LATEST + 20):
            for name in NAMES:
                for time, at in case.beats[name]:
                    if time == now:
                        self.beat(now, name, at)
                if case.ends[name] == now:
                    self.end(now, name)
            while waiting and waiting[0][1][0] <= now and not (self.pauses and self.outage):
                number, (_, at) = waiting.pop(0)
                self.pulse(now, number, at)
        return self

    def beat(self, now, name, at):
        before = self.markers[name]
        if before is None or name in self.assumed or at > before:
            self.markers[name] = at
        self.assumed.discard(name)
        if name in self.down and self.markers[name] > self.state_marker:
            self.rise(now, name)

    def end(self, now, name):
        self.ended.add(name)
        if name in self.down:
            self.rise(now, name)

    def rise(self, now, name):
        del self.down[name]
        if not self.down:
            first = min(self.outage, key=lambda row: row[1])
            last = max(row[1] for row in self.outage if row[0] == name)
            self.told.append((now, "up", name if last == first[1] else first[0], {"n": first[1]}))
            self.outage.clear()

    def pulse(self, now, number, at):
        self.passed.append((now, number))
        self.state_marker = at
        for name in NAMES:
            if self.markers[name] is None:
                self.markers[name] = at
                self.assumed.add(name)
            late = at - self.markers[name] > self.case.thresholds[name]
            if late and name not in self.down and name not in self.ended:
                known = [row for row in self.outage if row[0] == name]
                self.down[name] = number
                if not known:
                    self.outage.append((name, number))
                self.told.append((now, "down", name, {"n": known[0][1] if known else number}))
