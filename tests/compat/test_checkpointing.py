"""Checkpoints of ported scripts: what they print, without the original's faults."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from rivulet.compat import (
    Cache,
    Checkpoint,
    Dependency,
    PausableStream,
    Signal,
    Topic,
    handle,
    stream,
)
from rivulet.compat.core import READ_FROM_END
from rivulet.compat.registry import Registry
from rivulet.testing import assert_closed

CONF = {"auto_offset_reset": "earliest", "group_id": "g"}


def at(hour):
    return datetime(2023, 1, 1, hour)


def clock():
    return round(asyncio.get_running_loop().time(), 3)


async def timed(*pairs):
    """Items, each after so many seconds."""
    for pause, item in pairs:
        await asyncio.sleep(pause)
        yield item


class Script:
    """A dependent stream and its dependencies, bound as ported scripts do it."""

    def __init__(self, dependent, dependencies, threshold=1, **more):
        self.seen = []
        self.told = []
        self.checkpoint = Checkpoint(
            "acts",
            dependent=dependent,
            dependencies=[
                Dependency(name, source, downtime_threshold=timedelta(hours=threshold))
                for name, source in dependencies.items()
            ],
            downtime_callback=lambda c, d: self.told.append((clock(), "down", d.name)),
            recovery_callback=lambda c, d: self.told.append(
                (clock(), "up", d.name, dict(d.checkpoint_state))
            ),
            **more,
        )
        for name, source in dependencies.items():
            self.bind_dependency(name, source)

        @handle(dependent)
        async def acts(hour):
            late = await self.checkpoint.check_pulse(at(hour), n=hour)
            self.seen.append((clock(), hour, late))

    def bind_dependency(self, name, source):
        @handle(source)
        async def beat(hour):
            await self.checkpoint.heartbeat(at(hour), name)


async def test_the_item_that_shows_a_downtime_passes_and_the_next_waits_for_the_recovery():
    """Nothing is read meanwhile, so the second that the source takes begins afterwards."""
    weather = timed((0, 10), (10, 14))
    script = Script(timed((1, 10), (1, 12), (1, 13), (1, 14)), {"weather": weather})
    await stream()
    assert script.seen == [
        (1, 10, None),
        (2, 12, timedelta(hours=2)),
        (11, 13, None),
        (12, 14, None),
    ]
    assert script.told == [(2, "down", "weather"), (10, "up", "weather", {"n": 12})]
    assert_closed()


async def test_a_recovery_knows_the_first_item_that_went_out_too_early():
    """Fault 3: with pause_dependent=False items go on, and the state isn't overwritten."""
    weather = timed((0, 10), (10, 16))
    script = Script(
        timed((1, 12), (1, 13), (1, 14), (9, 15)), {"weather": weather}, pause_dependent=False
    )
    await stream()
    assert [hour for _, hour, _ in script.seen] == [12, 13, 14, 15]
    assert script.told == [(1, "down", "weather"), (10, "up", "weather", {"n": 12})]


async def test_an_outage_outlives_a_restart(tmp_path):
    """Fault 4."""
    with Registry(), Cache(tmp_path / "kept") as cache:
        first = Script(timed((1, 10), (1, 12)), {"weather": timed((0, 10), (90, 0))}, cache=cache)
        task = asyncio.create_task(stream())
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.wait([task])
        assert first.told == [(2, "down", "weather")]
    with Registry(), Cache(tmp_path / "kept") as cache:
        begun = clock()
        weather = timed((7, 14))
        second = Script(timed((1, 13)), {"weather": weather}, cache=cache)
        await stream()
        assert second.told == [(begun + 7, "up", "weather", {"n": 12})]
        assert second.seen == [(begun + 8, 13, None)]


async def test_a_paused_stream_goes_on_when_its_dependency_has_ended():
    """Fault 8."""
    script = Script(timed((1, 10), (1, 12), (1, 13)), {"weather": timed((0, 10), (5, 10))})
    await stream()
    assert [(when, hour) for when, hour, _ in script.seen] == [(1, 10), (2, 12), (6, 13)]


async def test_a_stream_can_be_paused_before_its_first_message():
    """Fault 9."""
    source = PausableStream(timed((1, "a")))
    source.send_signal(Signal.PAUSE)
    seen = []
    handle(source)(lambda item: seen.append((clock(), item)))
    asyncio.get_running_loop().call_later(5, source.send_signal, Signal.RESUME)
    await stream()
    assert seen == [(6, "a")]


async def test_one_dependency_that_is_up_does_not_hide_one_that_is_down():
    """Fault 13."""
    down, up = timed((0, 10), (9, 13)), timed((0, 13))
    script = Script(timed((1, 10), (1, 12)), {"down": down, "up": up})
    await stream()
    assert script.seen[1] == (2, 12, timedelta(hours=2))


async def test_a_downtime_is_told_once():
    """Fault 14."""
    weather = timed((0, 10), (20, 20))
    script = Script(
        timed(*[(1, hour) for hour in range(12, 18)]), {"weather": weather}, pause_dependent=False
    )
    await stream()
    assert [what for _, what, *_ in script.told] == ["down", "up"]


@pytest.mark.parametrize("pause", [0.5, 1.0, 2.5, 3.2])
async def test_a_topic_resumes_at_once(pause):
    """Faults 15 and 16: it is held without leaving its group, and goes on by an event."""
    acts = Topic("acts", {**CONF, "bootstrap_servers": f"memory://resumes-{pause}"})
    for hour in 10, 12, 13:
        await acts(None, str(hour))
    weather, seen = timed((1, 10), (1 + pause, 14)), []
    checkpoint = Checkpoint(
        "acts", acts, [Dependency("weather", weather, downtime_threshold=timedelta(hours=1))]
    )

    @handle(weather)
    async def beat(hour):
        await checkpoint.heartbeat(at(hour))

    @handle(acts)
    async def act(record):
        await asyncio.sleep(1)
        await checkpoint.check_pulse(at(int(record.value)))
        seen.append((clock(), record.value))
        if len(seen) == 3:
            task.cancel()

    task = asyncio.create_task(stream())
    await asyncio.wait([task])
    assert [value for _, value in seen] == ["10", "12", "13"]
    assert seen[2][0] == pytest.approx(3 + pause if pause > 1 else 4, abs=1.01)
    assert acts.stats().rebalances <= 1


class Empty(dict):
    def __bool__(self):
        return False


async def test_a_cache_of_length_0_is_a_cache():
    """Fault 18."""
    kept = Empty()
    script = Script(timed((1, 10)), {"weather": timed((0, 10))}, cache=kept)
    await stream()
    assert kept["__acts__state_marker"] == at(10)
    assert script.checkpoint.state_marker == at(10)


async def test_heartbeat_tells_how_things_are_and_names_what_it_does_not_know():
    checkpoint = Checkpoint("acts", None, [Dependency("a", None), Dependency("b", None)])
    with pytest.raises(ValueError, match="name"):
        await checkpoint.heartbeat(at(10))
    with pytest.raises(KeyError, match="c"):
        await checkpoint.heartbeat(at(10), "c")
    told = await checkpoint.heartbeat(at(10), "a")
    assert set(told) == {"is_late", "dependent_marker", "dependency_marker"}
    assert checkpoint["a"].checkpoint_marker == at(10)
    assert READ_FROM_END == -1
