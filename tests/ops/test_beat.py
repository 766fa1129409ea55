"""``beat``: say how far a stream has come, to those that depend on it."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

import rivulet
from rivulet import Checkpoint, Dependency, GraphError, Stream
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps
from tests.ops.cases import every_kind


def itself(x):
    return x


def checkpoint(*names, **more):
    return Checkpoint("c", dependencies=[Dependency(name) for name in names or ("d",)], **more)


def clock():
    return asyncio.get_running_loop().time()


@every_kind
async def test_a_marker_is_taken_by_any_kind_of_function(kind):
    c = checkpoint()
    assert await Stream([(1, "a"), (2, "b")]).beat(c, marker=kind(lambda row: row[0])).count() == 2
    assert c["d"].checkpoint_marker == 2


@pytest.mark.parametrize("marker", [0, "at", lambda row: row["at"]])
async def test_a_marker_is_a_field(marker):
    c = checkpoint()
    row = {"at": datetime(2023, 1, 1), 0: datetime(2023, 1, 1)}
    assert await Stream([row]).beat(c, marker=marker).collect() == [row]
    assert c["d"].checkpoint_marker == row["at"]


async def test_it_takes_effect_when_its_item_has_left_what_comes_after():
    c, log = checkpoint(), []

    async def slow(x):
        await asyncio.sleep(1)
        log.append((x, c["d"].checkpoint_marker))

    seen = []
    c.watch(lambda: seen.append((clock(), c["d"].checkpoint_marker)))
    await Stream([1, 2]).beat(c, marker=itself).to(slow).filter(lambda x: x > 1).to(slow).run()
    assert log == [(1, None), (2, 1), (2, 1)]
    assert seen == [(1, 1), (3, 2), (3, 2)]


async def test_it_takes_effect_with_branches_after_each_of_them():
    c, log = checkpoint(), []
    stream = Stream([1, 2]).beat(c, marker=itself)
    look = lambda x: log.append((x, c["d"].checkpoint_marker))  # noqa: E731
    await rivulet.run(stream.to(look), stream.map(lambda x: -x).to(look))
    assert log == [(1, None), (-1, None), (2, 1), (-2, 1)]


async def test_a_boundary_takes_an_item_out_of_it():
    c, log = checkpoint(), []

    async def slow(x):
        await asyncio.sleep(1)
        log.append((x, c["d"].checkpoint_marker))

    await Stream([1]).beat(c, marker=itself).buffer(5).to(slow).run()
    assert log == [(1, 1)]
    c = checkpoint()
    await Stream([1]).to(slow, concurrency=3).beat(c, marker=itself).run()
    assert log == [(1, 1), (1, None)]


async def test_items_of_one_item_each_take_effect():
    c, log = checkpoint(), []
    stream = Stream([3, 6]).flat_map(lambda x: [x, x + 1]).beat(c, marker=itself)
    await stream.to(lambda x: log.append((x, c["d"].checkpoint_marker))).run()
    assert log == [(3, None), (4, 3), (6, 4), (7, 6)]


async def test_an_item_that_fails_below_has_left_all_the_same():
    c = checkpoint()
    stream = Stream([1, 0, 5]).beat(c, marker=itself).map(lambda x: 1 // x).on_error("skip")
    assert await stream.collect() == [1, 0]
    assert c["d"].checkpoint_marker == 5


async def test_a_marker_that_fails_is_no_beat():
    c = checkpoint()
    stream = Stream([{"at": 1}, {}]).beat(c, marker="at")
    with pytest.raises(KeyError) as caught:
        await stream.run()
    assert "in beat(c, name='d')" in caught.value.__notes__[0]
    assert await stream.on_error("skip").collect() == [{"at": 1}]
    assert c["d"].checkpoint_marker == 1
    with pytest.raises(TypeError, match="markers must be datetimes, or numbers") as caught:
        await Stream([None]).beat(checkpoint(), marker=itself).run()
    assert caught.value.__notes__[0].endswith("on item None")


async def test_a_dependency_is_named():
    c = checkpoint("a", "b")
    await Stream([1]).beat(c, marker=itself, name="b").run()
    assert (c["a"].checkpoint_marker, c["b"].checkpoint_marker) == (None, 1)
    with pytest.raises(GraphError, match=r"'c' has several dependencies, .*one of 'a', 'b'"):
        Stream([1]).beat(c, marker=itself)
    with pytest.raises(GraphError, match=r"'c' has no dependency 'x', only 'a', 'b'"):
        Stream([1]).beat(c, marker=itself, name="x")


async def test_the_end_of_its_source_is_its_end_and_a_stop_isnt():
    c = checkpoint()
    await Stream([1]).beat(c, marker=itself).run()
    assert c["d"].has_ended
    source = RecordingSource([1], silent=True)
    run = Stream(source).beat(c, marker=itself).start()
    await asyncio.sleep(1)
    assert not c["d"].has_ended
    await run.stop()
    assert not c["d"].has_ended
    run = Stream(source).beat(c, marker=itself).start()
    await asyncio.sleep(1)
    await run.stop(drain=True)
    assert c["d"].has_ended
    run = Stream(source).beat(c, marker=itself).start()
    await asyncio.sleep(1)
    await run.cancel()
    assert not c["d"].has_ended
    with pytest.raises(ZeroDivisionError):
        await Stream([1, 0]).beat(c, marker=itself).map(lambda x: 1 / x).run()
    assert not c["d"].has_ended
    assert_closed(source)


@pytest.mark.parametrize(
    "use",
    [
        lambda s: s.take(1),
        lambda s: s.filter(bool).buffer(3).take(1),
        lambda s: s.zip([1]),
        lambda s: s.take_until(lambda x: x == 1),
    ],
)
async def test_it_ends_when_nothing_below_wants_more(use):
    c = checkpoint()
    other = RecordingSource(range(5), every=1, silent=True)
    stream = Stream(other)
    run = rivulet.start(use(stream.beat(c, marker=itself)), stream.filter(lambda x: False))
    await asyncio.sleep(10)
    assert run.state == "running"
    assert c["d"].has_ended
    await run.stop()
    assert_closed(other)


async def test_items_keep_their_time():
    c = checkpoint()
    assert await stamps(marbles("a-b|", event="ab").beat(c, marker=ord)) == [("a", 0.0), ("b", 1.0)]


async def test_a_recovery_is_waited_for():
    async def recover(c, d):
        await asyncio.sleep(5)

    c = checkpoint(recovery_callback=recover)
    await c.heartbeat(0)
    await c.check_pulse(1000)
    rows = []
    await Stream([999, 1001, 1002]).beat(c, marker=itself).to(lambda x: rows.append(clock())).run()
    assert rows == [0, 0, 5]


@pytest.mark.parametrize("what", [None, "c", Dependency("d")])
def test_what_is_no_checkpoint_is_refused(what):
    with pytest.raises(GraphError, match=r"beat\(checkpoint\) must be a Checkpoint, not "):
        Stream([1]).beat(what, marker=itself)


def test_what_is_no_marker_is_refused():
    with pytest.raises(GraphError, match=r"beat\(marker\) needs a function, a key or"):
        Stream([1]).beat(checkpoint(), marker=None)


def test_a_beat_behind_its_own_gate_is_refused():
    c = checkpoint("a", "b")
    gated = Stream([1]).gate(c, marker=itself).map(itself)
    with pytest.raises(GraphError, match=r"beat\(c, name='b'\) comes after gate\(c, marker=itself"):
        gated.beat(c, marker=itself, name="b")
    gated.beat(checkpoint(), marker=itself)
