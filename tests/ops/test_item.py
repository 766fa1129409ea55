"""``stream["field"]`` and ``stream[2:10:2]``: fields of items, and items by position."""

from __future__ import annotations

from types import MappingProxyType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import EmptyError, EndlessError, GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed
from tests.ops.cases import ByHand, check_resuming

POSITIONS = st.one_of(st.none(), st.integers(0, 8))


# Fields


async def test_a_name_is_a_key_or_an_attribute():
    items = [{"x": 1}, SimpleNamespace(x=2), MappingProxyType({"x": 3}), {"x": None}]
    assert await Stream(items)["x"].collect() == [1, 2, 3, None]


async def test_a_missing_field_names_operator_and_item():
    for item, kind in ({"y": 1}, KeyError), (SimpleNamespace(), AttributeError):
        with pytest.raises(kind) as caught:
            await Stream([item])["x"].run()
        (note,) = caught.value.__notes__
        assert "item['x']" in note
        assert note.endswith(f"on item {item}")


async def test_fields_have_the_time_of_their_items():
    assert await stamps(Stream([{"x": 1, "at": 5}]).event_time("at")["x"]) == [(1, 5.0)]


# Positions


@given(st.lists(st.integers(), max_size=12), POSITIONS, POSITIONS, st.integers(1, 4))
def test_a_slice_is_that_of_a_list(items, start, stop, step):
    stream = Stream(items)[start:stop:step]
    assert testing.run(stream.collect()) == items[start:stop:step]
    check_resuming(stream, items)


@given(st.lists(st.integers(), min_size=1), st.data())
def test_a_position_is_that_of_a_list(items, data):
    position = data.draw(st.integers(0, len(items) - 1))
    assert testing.run(Stream(items)[position].collect()) == [items[position]]


async def test_one_item_can_be_awaited():
    assert await Stream("abc")[1] == "b"


@pytest.mark.parametrize(
    ("index", "read"), [(slice(2), 2), (slice(1, 8, 3), 8), (3, 4), (slice(5, 3), 0)], ids=str
)
async def test_it_ends_with_its_last_position_and_reads_no_further(index, read):
    source = RecordingSource(range(99), silent=True)
    await Stream(source)[index].run()
    # The last of 1, 4, 7 is known to be the last.
    assert source.read == [*range(read)]
    assert_closed(source)


async def test_it_ends_when_its_last_position_comes():
    assert await timed(marbles("a-b-----c|")[:2]) == [(0, "a"), (2, "b")]


def test_a_saved_position_at_the_end_is_the_end():
    run = ByHand(Stream([])[2:4])
    run.logic.restore(3)
    assert run.context.ended


@pytest.mark.parametrize("items", ["", "ab"])
async def test_a_position_behind_the_end_is_an_error(items):
    message = f"there is no item 2: the stream ended after {len(items)}"
    with pytest.raises(EmptyError, match=message):
        await Stream(items)[2]
    with pytest.raises(EmptyError, match=message):
        await Stream(items)[2].collect()


async def test_an_open_slice_of_an_endless_stream_is_endless():
    with pytest.raises(EndlessError):
        await Stream.timer(1)[2::2].collect()
    assert await Stream.timer(1)[2:5:2].collect() == [2, 4]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (-1, r"end isn't known .* stream\[-1\] can't count from it: use take_last\(n\)"),
        (slice(-2, None), r"stream\[-2:\] can't count from it"),
        (slice(None, -1), r"stream\[:-1\] can't count from it"),
        (slice(None, None, 0), "a step must be 1 or more, not 0"),
        (slice(None, None, -1), "a step must be 1 or more, not -1"),
        (slice("a", "b"), r"positions are whole numbers, not 'a' in stream\['a':'b'\]"),
        (slice(1.5), r"positions are whole numbers, not 1.5 in stream\[:1.5\]"),
        (True, "positions are whole numbers, not True"),
        (1.5, r"takes a name, a position or a slice of positions, not 1.5"),
        (None, r"takes a name, a position or a slice of positions, not None"),
    ],
    ids=str,
)
def test_what_is_no_index_is_refused(index, message):
    with pytest.raises(GraphError, match=message):
        Stream([1])[index]


def test_having_positions_does_not_make_a_stream_a_plain_sequence():
    with pytest.raises(TypeError, match="not iterable"):
        iter(Stream([1]))
