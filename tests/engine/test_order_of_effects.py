"""Inside a region, side effects happen item by item, depth first, as in a hand-written loop.

Random trees of stages are run, and pushed through a plain recursive interpreter; both keep a
journal of every call of a user's function, and the journals must be the same.
"""

from __future__ import annotations

import asyncio

import asyncstdlib
from hypothesis import given
from hypothesis import strategies as st

import rivulet
from rivulet import Stream, testing
from tests.examples import examples

KINDS = ("plain", "async", "ready", "coroutine")


def as_kind(fn, kind):
    """The function as it is, as a coroutine function, or as one that gives a coroutine."""

    async def waiting(*args):
        result = fn(*args)
        await asyncio.sleep(0.01)
        return result

    async def ready(*args):
        return fn(*args)

    return {
        "plain": fn,
        "async": waiting,
        "ready": ready,
        "coroutine": lambda *args: waiting(*args),
    }[kind]


def spec(depth):
    """A list of branches: (operator, kind of function, branches below)."""
    if not depth:
        return st.just([])
    operators = st.sampled_from(
        [
            "map",
            "filter",
            "flat_map",
            "agen",
            "tap",
            "scan",
            "partition",
            "pairwise",
            "pipe",
            "batch",
            "to",
            "on_error",
            "take",
        ]
    )
    return st.lists(
        st.tuples(operators, st.sampled_from(KINDS), st.deferred(lambda: spec(depth - 1))),
        max_size=3 if depth > 2 else 2,
    )


class Journal(list):
    def logged(self, name, fn):
        def call(*args):
            self.append((name, *args))
            return fn(*args)

        return call


def number(x):
    return x if isinstance(x, int) else sum(map(number, x))


def keep(x):
    return number(x) % 3 != 0


def grow(x):
    return [number(x) * 2 + i for i in range(number(x) % 3)]


def plus(a, b):
    return number(a) + number(b)


def build(stream, branches, journal, path="s"):
    """The targets of a graph."""
    targets = []
    for i, (operator, kind, below) in enumerate(branches):
        name = f"{path}.{operator}{i}"

        def fn(f, name=name, kind=kind):
            return as_kind(journal.logged(name, f), kind)

        others = None
        match operator:
            case "map":
                out = stream.map(fn(lambda x: number(x) + 1))
            case "filter":
                out = stream.filter(fn(keep))
            case "flat_map":
                out = stream.flat_map(fn(grow))
            case "agen":
                log = journal.logged(name, grow)

                async def agen(x, log=log):
                    for y in log(x):
                        await asyncio.sleep(0)
                        yield y

                out = stream.flat_map(agen)
            case "tap" | "to":
                out = getattr(stream, operator)(fn(lambda x: None))
            case "scan":
                out = stream.scan(fn(plus), 0)
            case "partition":
                out, others = stream.partition(fn(keep))
            case "pairwise":
                out = stream.pairwise()
            case "pipe":
                out = stream.pipe(asyncstdlib.pairwise)
            case "batch":
                out = stream.batch(2)
            case "on_error":
                out = stream.map(fn(lambda x: 1 // (number(x) % 2) and x)).on_error("skip")
            case "take":
                out = stream.take(2)
        leaf = journal.logged(f"{name}!", lambda x: None)
        targets.append(out.to(leaf))
        targets += build(out, below, journal, name)
        if others is not None:
            targets.append(others.to(journal.logged(f"{name}?", lambda x: None)))
    return targets


class Reference:
    """The same branches, pushed through by recursion."""

    def __init__(self, branches, journal, path="s"):
        self.stages = [Stage(b, journal, f"{path}.{b[0]}{i}") for i, b in enumerate(branches)]

    def push(self, x):
        for stage in self.stages:
            if not stage.over:
                stage.push(x)

    def end(self):
        for stage in self.stages:
            stage.end()

    @property
    def over(self):
        return all(stage.over for stage in self.stages)


class Stage:
    def __init__(self, branch, journal, name):
        self.operator, _, below = branch
        self.name, self.journal = name, journal
        self.below = Reference(below, journal, name)
        self.before, self.acc, self.held, self.left, self.ended = [], 0, [], 2, False

    def log(self, *args):
        self.journal.append((self.name, *args))

    def out(self, x):
        self.journal.append((f"{self.name}!", x))
        self.below.push(x)

    @property
    def over(self):
        return self.operator == "take" and not self.left

    def push(self, x):
        match self.operator:
            case "map":
                self.log(x)
                self.out(number(x) + 1)
            case "filter":
                self.log(x)
                if keep(x):
                    self.out(x)
            case "flat_map" | "agen":
                self.log(x)
                for y in grow(x):
                    self.out(y)
            case "tap" | "to":
                self.log(x)
                self.out(x)
            case "scan":
                self.log(self.acc, x)
                self.acc = plus(self.acc, x)
                self.out(self.acc)
            case "partition":
                self.log(x)
                if keep(x):
                    self.out(x)
                else:
                    self.journal.append((f"{self.name}?", x))
            case "pairwise" | "pipe":
                before, self.before = self.before, [x]
                if before:
                    self.out((before[0], x))
            case "batch":
                self.held.append(x)
                if len(self.held) == 2:
                    self.flush()
            case "on_error":
                self.log(x)
                if number(x) % 2:
                    self.out(x)
            case "take":
                self.left -= 1
                self.out(x)

    def flush(self):
        held, self.held = self.held, []
        self.out(held)

    def end(self):
        if self.ended:
            return
        self.ended = True
        if self.held:
            self.flush()
        self.below.end()


def hand_written(rows, branches):
    journal = Journal()
    root = Reference(branches, journal)
    for x in rows:
        root.push(x)
        # A branch that has had enough is ended between two items.
        close(root)
        if root.over:
            break
    root.end()
    return journal


def close(reference):
    for stage in reference.stages:
        if stage.over:
            stage.end()
        else:
            close(stage.below)


async def suspending(rows):
    for x in rows:
        await asyncio.sleep(0.1)
        yield x


@examples(375)
@given(st.lists(st.integers(0, 9), max_size=8), spec(3), st.booleans())
def test_side_effects_come_in_the_order_of_a_hand_written_loop(rows, branches, waits):
    if not branches:
        return
    journal = Journal()
    source = (lambda: suspending(rows)) if waits else rows

    async def main():
        targets = build(Stream(source), branches, journal)
        await rivulet.run(*targets)
        testing.assert_closed()

    testing.run(main())
    assert journal == hand_written(rows, branches)
