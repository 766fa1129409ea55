"""``switch_map``: the items of what a function gives for the newest item."""

from __future__ import annotations

import asyncio

import pytest

from rivulet import GraphError, Stream
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed, to_marbles
from tests.ops.cases import every_kind, turning


async def thrice(name):
    """The name as a letter of its own, three times, one a second."""
    for _ in range(3):
        yield name
        await asyncio.sleep(1)


async def test_a_new_item_ends_the_result_before():
    assert await to_marbles(marbles("a-b----c|").switch_map(thrice)) == "aabbb--ccc|"


async def test_the_last_result_comes_to_its_end():
    assert await to_marbles(marbles("a|").switch_map(thrice)) == "aaa|"


@every_kind
async def test_every_kind_of_function_will_do(kind):
    stream = marbles("a--b|").switch_map(kind(lambda name: [name, name.upper()]))
    assert await stream.collect() == ["a", "A", "b", "B"]
    assert_closed()


async def test_a_function_may_turn_to_coroutines():
    with turning(list) as fn:
        assert await marbles("a--b|").switch_map(fn).collect() == ["a", "b"]


async def test_a_result_that_was_left_is_closed_before_the_next_gives_items():
    inner = {name: RecordingSource(name * 9, every=1) for name in "ab"}
    rows = await timed(marbles("a--b-----------------|").switch_map(inner.__getitem__))
    assert rows[:3] == [(1, "a"), (2, "a"), (4, "b")]
    assert inner["a"].closed == 1
    assert_closed(*inner.values())


async def test_cleaning_up_may_take_its_time():
    log = []

    async def watched(name):
        try:
            yield name
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(1)
            log.append(name)

    assert await marbles("a--b|").switch_map(watched).take(2).collect() == ["a", "b"]
    assert log == ["a", "b"]
    assert_closed()


async def test_a_ready_source_is_not_held_by_its_results():
    assert (await Stream("abc").switch_map(thrice).collect())[-3:] == ["c", "c", "c"]
    assert asyncio.get_running_loop().time() == 3


async def test_a_silent_result_holds_nothing():
    stream = marbles("a--b|").switch_map(lambda name: Stream.never() if name == "a" else [name])
    assert await timed(stream) == [(3, "b")]


async def test_a_result_that_fails_names_operator_and_item():
    async def failing(name):
        yield name
        raise ValueError(name)

    rows = []
    with pytest.raises(ValueError, match="a") as caught:
        await marbles("a--b|").switch_map(failing).to(rows).run()
    (note,) = caught.value.__notes__
    assert "switch_map(failing)" in note
    assert note.endswith("on item 'a'")
    assert rows == ["a"]
    assert_closed()


async def test_what_cannot_be_iterated_is_an_error():
    with pytest.raises(TypeError, match="an iterable is needed, not 5"):
        await Stream([5]).switch_map(lambda x: x).run()


async def test_results_have_the_time_of_their_item():
    stream = marbles("a--b|", event="ab").switch_map(thrice)
    assert await stamps(stream) == [("a", 0)] * 3 + [("b", 1)] * 3


def test_what_is_no_function_is_refused():
    with pytest.raises(GraphError, match=r"switch_map\(fn\) needs a function, not \[\]"):
        Stream([1]).switch_map([])
