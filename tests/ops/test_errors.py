"""``.errors``: the items that failed, as a stream."""

from __future__ import annotations

import pytest

import rivulet
from rivulet import EndlessError, Failure, GraphError, Stream
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed


def half(x):
    """Fails on 0."""
    return 8 // x


async def test_a_failure_tells_item_error_and_operator():
    (failure,) = await Stream.of(1, 0).map(half).on_error("skip").errors.collect()
    assert isinstance(failure, Failure)
    assert failure.item == 0
    assert isinstance(failure.error, ZeroDivisionError)
    assert failure.operator == "map(half)"
    assert repr(failure).startswith("Failure(item=0, error=ZeroDivisionError(")


async def test_it_needs_no_reader_of_the_stream_itself():
    stream = Stream.of(0, 1, 0).map(half).on_error("skip")
    assert len(await stream.errors.collect()) == 2


async def test_both_in_one_run_read_the_source_once():
    source = RecordingSource([2, 0, 4])
    stream = Stream(source).map(half).on_error("skip")
    good, bad = [], []
    await rivulet.run(stream.to(good), stream.errors.to(bad))
    assert good == [4, 2]
    assert [failure.item for failure in bad] == [0]
    assert source.opened == 1
    assert_closed(source)


async def test_both_can_be_merged_in_the_order_of_the_items():
    stream = Stream.of(2, 0, 4).map(half).on_error("skip")
    rows = stream.merge(stream.errors.map(lambda failure: f"no {failure.item}"))
    assert await rows.collect() == [4, "no 0", 2]


async def test_a_failure_comes_when_it_happens_with_the_time_of_its_item():
    stream = marbles("--0-a|", values={"0": 0, "a": 1}).map(half).on_error("skip")
    assert [at for at, _ in await timed(stream.errors)] == [2.0]
    rows = Stream([(0, 5.0), (1, 6.0)]).event_time(1).map(lambda row: 8 // row[0])
    ((failure, at),) = await stamps(rows.on_error("skip").errors)
    assert (failure.item, at) == ((0, 5.0), 5.0)


async def test_what_fails_below_it_is_a_failure_of_its_own():
    stream = Stream.of(0).map(half).on_error("skip").errors.map(lambda failure: failure.item + "")
    with pytest.raises(TypeError) as caught:
        await stream.collect()
    assert "Failure(item=0" in caught.value.__notes__[0]


async def test_it_is_as_endless_as_its_source():
    with pytest.raises(EndlessError):
        await Stream.timer(1).map(half).on_error("skip").errors.collect()


def test_it_needs_a_policy_right_before():
    with pytest.raises(GraphError, match=r"the operator right before is map\(half\): write"):
        _ = Stream.of(1).map(half).errors
    with pytest.raises(GraphError, match="right before"):
        _ = Stream.of(1).map(half).on_error("skip").map(str).errors
