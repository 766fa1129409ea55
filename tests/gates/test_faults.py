"""Faults of the original, by number, that operators don't have; see ``test_checkpoint`` as well."""

from __future__ import annotations

import asyncio

import pytest

import rivulet
from rivulet import Cache, Checkpoint, Dependency, Stream
from rivulet.testing import RecordingSource, assert_closed, marbles


def itself(x):
    return x


def ignore(x):
    """A sink."""


def clock():
    return asyncio.get_running_loop().time()


def hours(text):
    return marbles(text, values={name: int(name) for name in "0123456789"})


class Told(list):
    """Records callbacks, with the state that they were told."""

    def checkpoint(self, *names, **more):
        def tell(what):
            return lambda c, d: self.append((what, d.name, d.checkpoint_state))

        dependencies = [Dependency(name, None, 0) for name in names or ("d",)]
        return Checkpoint("c", None, dependencies, tell("down"), tell("up"), **more)


def pulses(source, c, **more):
    return source.gate(c, marker=itself, state=lambda x: {"at": x}, hold="after", **more)


async def test_fault_3_a_recovery_knows_the_first_item_that_went_out_too_early():
    told = Told()
    c = told.checkpoint(pause_dependent=False)
    await rivulet.run(
        hours("1-----9|").beat(c, marker=itself), pulses(hours("12345|"), c).to(ignore)
    )
    assert told == [("down", "d", {"at": 2}), ("up", "d", {"at": 2})]


@pytest.mark.parametrize("hold", ["ahead", "after"])
async def test_fault_4_an_outage_outlives_a_restart(hold):
    told, kept, seen = Told(), Cache(":memory:"), []
    for items in [1, 5], [5, 6] if hold == "ahead" else [6]:
        c = told.checkpoint(cache=kept)
        if not told:
            await c.heartbeat(1)
        gated = Stream(items).gate(c, marker=itself, state=lambda x: {"at": x}, hold=hold)
        run = gated.to(seen).start()
        await asyncio.sleep(1)
        if len(told) == 1 and items[-1] == 5:
            await run.cancel()
    await c.heartbeat(6)
    await run
    assert seen == [1, 5, 6]
    assert told == [("down", "d", {"at": 5}), ("up", "d", {"at": 5})]


async def test_fault_7_a_branch_that_ends_early_blocks_no_other():
    told, seen, others = Told(), [], []
    c = told.checkpoint()
    source = RecordingSource([1, 2, 3, 4], every=1)
    stream = Stream(source)
    await rivulet.run(
        stream.gate(c, marker=itself).take(2).to(seen),
        stream.to(others),
        hours("9|").beat(c, marker=itself),
    )
    assert (seen, others) == ([1, 2], [1, 2, 3, 4])
    assert_closed(source)


async def test_fault_7_a_dependency_whose_branch_ends_early_releases():
    c, seen = Told().checkpoint(), []
    weather = Stream(RecordingSource([1, 2, 3, 4], every=1))
    await rivulet.run(
        weather.beat(c, marker=itself).take(2),
        weather,
        hours("19|").gate(c, marker=itself).to(lambda x: seen.append((clock(), x))),
    )
    assert seen == [(1, 1), (2, 9)]


@pytest.mark.parametrize("hold", ["ahead", "after"])
async def test_fault_8_a_paused_stream_goes_on_when_its_dependency_has_ended(hold):
    told, seen = Told(), []
    c = told.checkpoint()
    await rivulet.run(
        hours("1---|").beat(c, marker=itself),
        Stream([1, 5, 6, 7])
        .gate(c, marker=itself, hold=hold)
        .to(lambda x: seen.append((clock(), x))),
    )
    first = 4 if hold == "ahead" else 0
    assert seen == [(0, 1), (first, 5), (4, 6), (4, 7)]
    assert [what for what, _, _ in told] == ["down", "up"]


async def test_fault_9_a_stream_is_paused_before_its_first_item():
    told, kept, seen = Told(), {}, []
    c = told.checkpoint(cache=kept)
    await c.heartbeat(1)
    await c.check_pulse(5)
    for again in c, told.checkpoint(cache=kept):
        source = RecordingSource([6, 7])
        run = pulses(Stream(source), again).to(seen).start()
        await asyncio.sleep(5)
        assert seen == source.read == []
        await run.stop()
    run = pulses(Stream(source), again).to(seen).start()
    await asyncio.sleep(5)
    await again.heartbeat(9)
    await run
    assert seen == [6, 7]
    assert_closed(source)


async def test_fault_13_one_dependency_that_is_up_doesnt_hide_one_that_is_down():
    told, seen = Told(), []
    c = told.checkpoint("a", "b")
    await rivulet.run(
        hours("1--9|").beat(c, marker=itself, name="a"),
        hours("9|").beat(c, marker=itself, name="b"),
        pulses(hours("-567|"), c).to(lambda x: seen.append((clock(), x))),
    )
    assert seen == [(1, 5), (3, 6), (3, 7)]


async def test_fault_14_a_downtime_is_told_once():
    told = Told()
    c = told.checkpoint(pause_dependent=False)
    await rivulet.run(
        hours("1----6---9|").beat(c, marker=itself), pulses(hours("-2345--78|"), c).to(ignore)
    )
    assert told == [
        ("down", "d", {"at": 2}),
        ("up", "d", {"at": 2}),
        ("down", "d", {"at": 7}),
        ("up", "d", {"at": 7}),
    ]


@pytest.mark.parametrize("hold", ["ahead", "after"])
async def test_fault_15_a_resume_is_an_event(hold):
    for pause in 0.5, 1.0, 2.5, 3.2, 1000.1:
        c, seen, begun = Told().checkpoint(), [], clock()
        await c.heartbeat(1)
        gated = Stream([1, 5, 6]).gate(c, marker=itself, hold=hold)
        run = gated.to(lambda x: seen.append(round(clock() - begun, 6))).start()
        await asyncio.sleep(pause)
        await c.heartbeat(9)
        await run
        assert seen == [0, pause if hold == "ahead" else 0, pause]


class Consumer:
    """A source that drops out of its group if it isn't polled for 5 minutes."""

    def __init__(self, items):
        self.items = items
        self.polled = 0.0
        self.polling = None
        self.calls = []

    async def __aiter__(self):
        for item in self.items:
            self.poll()
            yield item

    def poll(self):
        assert clock() - self.polled < 300, "dropped out of the group"
        self.polled = clock()

    async def pause(self):
        self.calls.append("pause")

        async def poll():
            while True:
                self.poll()
                await asyncio.sleep(100)

        self.polling = asyncio.create_task(poll())

    async def resume(self):
        self.calls.append("resume")
        self.polling.cancel()
        await asyncio.wait([self.polling])


@pytest.mark.parametrize("hold", ["ahead", "after"])
async def test_fault_16_a_source_that_can_pause_goes_on_being_polled(hold):
    c, source = Told().checkpoint(), Consumer([1, 5, 6])
    await c.heartbeat(1)
    run = Stream(source).gate(c, marker=itself, hold=hold).start()
    await asyncio.sleep(3600)
    await c.heartbeat(9)
    await run
    assert run.last() == [1, 5, 6]
    assert source.calls == ["pause", "resume"]


async def test_fault_18_a_cache_of_length_0_is_a_cache():
    with Cache(":memory:") as kept:
        assert len(kept) == 0
        c = Told().checkpoint(cache=kept)
        await Stream([1]).beat(c, marker=itself).run()
        assert kept["__c_d_checkpoint_marker"] == 1
        assert Told().checkpoint(cache=kept)["d"].checkpoint_marker == 1
