"""``.stale``: what a gate held for too long."""

from __future__ import annotations

import pytest

import rivulet
from rivulet import Checkpoint, Dependency, GraphError, Stream
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed


def gated(source, **more):
    return source.gate(on=Stream.never(), marker=len, max_hold=2, **more)


async def test_it_needs_no_reader_of_the_stream_itself():
    assert await timed(gated(marbles("a--b|")).stale) == [(2, "a"), (5, "b")]


async def test_both_in_one_run_read_the_source_once():
    source = RecordingSource(["a", "b"])
    stream = gated(Stream(source))
    good, bad = [], []
    await rivulet.run(stream.to(good), stream.stale.to(bad))
    assert (good, bad) == ([], ["a", "b"])
    assert source.opened == 1
    assert_closed(source)


async def test_with_a_checkpoint():
    c = Checkpoint("c", dependencies=[Dependency("d")])
    stream = marbles("ab|").gate(c, marker=len, max_hold="1s")
    assert await timed(stream.stale) == [(1, "a"), (2, "b")]


async def test_items_keep_their_time():
    assert await stamps(gated(marbles("ab|", event="-ba")).stale) == [("a", 2.0), ("b", 1.0)]


async def test_what_fails_below_it_is_a_failure_of_its_own():
    with pytest.raises(ZeroDivisionError) as caught:
        await gated(Stream(["a"])).stale.map(lambda x: 1 / 0).run()
    assert "on item 'a'" in caught.value.__notes__[0]


def test_it_is_of_a_gate_that_has_a_limit():
    c = Checkpoint("c", dependencies=[Dependency("d")])
    with pytest.raises(GraphError, match=r"the operator right before is Stream\(\[1\]\): write"):
        _ = Stream([1]).stale
    for stream in Stream([1]).gate(c, marker=len), Stream([1]).gate(on=[1], marker=len):
        with pytest.raises(GraphError, match=r"gate\(.*holds items for as long as it takes: give"):
            _ = stream.stale
    with pytest.raises(GraphError, match="right before is map"):
        _ = gated(Stream([1])).map(len).stale


def test_it_is_drawn_by_its_name():
    assert ".stale" in gated(Stream([1])).stale.explain()
