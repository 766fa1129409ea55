"""``to``: items into sinks."""

from __future__ import annotations

import asyncio
from collections import UserDict, UserList, deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, SinkError, Stream, maybe_async, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, timed


def clock():
    return asyncio.get_running_loop().time()


class Slow:
    """An async sink that takes a second and counts how many items are on their way into it."""

    def __init__(self, fails=()):
        self.rows = []
        self.under_way = self.most = 0
        self.fails = fails

    async def __call__(self, item):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(1)
            if item in self.fails:
                raise OSError("disk full")
            self.rows.append(item)
        finally:
            self.under_way -= 1


@pytest.mark.parametrize("sink", [[], set(), deque(), UserList(), bytearray()])
async def test_collections_take_items(sink):
    assert await Stream.of(1, 2, 1).to(sink).collect() == [1, 2, 1]
    assert list(sink) == ([1, 2] if isinstance(sink, set) else [1, 2, 1])


@pytest.mark.parametrize("sink", [{}, UserDict()])
async def test_a_mapping_takes_pairs(sink):
    assert await Stream.of(("a", 1), ("b", 2), ("a", 3)).to(sink).count().collect() == [3]
    assert sink == {"a": 3, "b": 2}


@pytest.mark.parametrize("item", ["ab", ["a", 1], ("a",), ("a", 1, 2), 5])
async def test_a_mapping_refuses_what_is_no_pair_and_names_it(item):
    with pytest.raises(SinkError, match=r"a dict takes pairs \(key, value\), not ") as caught:
        await Stream.of(("a", 1), item).to(sink := {}).run()
    assert str(caught.value).endswith(f"not {item!r}")
    assert "to(dict)" in caught.value.__notes__[0]
    assert sink == {"a": 1}


def test_its_label_names_the_sink_and_not_what_that_holds():
    def write(item):
        """Take an item."""

    labels = [Stream([1]).to(sink).node.label for sink in ([1, 2], {1: 2}, deque([1]), write)]
    assert labels == ["to(list)", "to(dict)", "to(deque)", "to(write)"]
    assert Stream([1]).to(write, concurrency=4).node.label == "to(write, concurrency=4)"


async def test_functions_methods_partials_and_objects_with_send_take_items():
    rows = []

    class Connection:
        async def send(self, item):
            await asyncio.sleep(0)
            rows.append(item)

    async def later(item):
        rows.append(item)

    sinks = [
        rows.append,
        later,
        lambda x: later(x + 0),
        maybe_async(later),
        Connection(),
        Connection().send,
    ]
    await Stream.of(1).to(*sinks).run()
    assert rows == [1] * 6


async def test_a_queue_that_is_full_holds_the_stream():
    queue, source = asyncio.Queue(2), RecordingSource(range(9))
    run = Stream(source).to(queue).start()
    await asyncio.sleep(1)
    assert source.read == [0, 1, 2]
    assert [await queue.get() for _ in range(9)] == list(range(9))
    await run


async def test_a_channel_is_a_sink_and_says_when_it_is_closed():
    inbox = Stream.channel(3)
    await Stream.of(1, 2).to(inbox).run()
    inbox.close()
    assert await inbox.stream.collect(limit=9) == [1, 2]
    with pytest.raises(SinkError, match="the channel is closed and can't take 1"):
        await Stream.of(1).to(inbox).run()


async def test_each_sink_takes_an_item_in_turn_before_the_next_is_read():
    log, source = [], RecordingSource("ab")

    async def slow(item):
        await asyncio.sleep(1)
        log.append(f"slow {item}, {len(source.read)} read")

    await Stream(source).to(lambda x: log.append(f"first {x}"), slow).to(log.append).run()
    assert log == [
        "first a", "slow a, 1 read", "a", "first b", "slow b, 2 read", "b",
    ]  # fmt: skip


async def test_items_go_on_when_all_have_taken_them():
    slow = Slow()
    assert await timed(Stream("ab").to(slow, slow)) == [(2.0, "a"), (4.0, "b")]


# In lists


@given(st.lists(st.integers(), max_size=12), st.integers(1, 4), st.integers(1, 3))
def test_lists_go_into_the_sinks_and_items_go_on(items, batch, concurrency):
    async def main():
        lists = []
        stream = Stream(items).to(lists, batch=batch, concurrency=concurrency)
        return await stream.collect(), lists

    assert testing.run(main()) == (
        items,
        [items[i : i + batch] for i in range(0, len(items), batch)],
    )


async def test_a_list_goes_in_time_though_the_source_is_silent():
    lists = []
    stream = marbles("ab------c|").to(lambda rows: lists.append((clock(), rows)), within=2)
    assert await timed(stream) == [(2.0, "a"), (2.0, "b"), (9.0, "c")]
    assert lists == [(2.0, ["a", "b"]), (9.0, ["c"])]


async def test_the_last_list_goes_at_a_stop():
    lists, source = [], RecordingSource("abc", silent=True)
    run = Stream(source).to(lists, batch=2).start()
    await asyncio.sleep(1)
    await run.stop()
    assert lists == [["a", "b"], ["c"]]
    assert_closed(source)


# Side by side


@pytest.mark.parametrize("concurrency", [1, 2, 3, 50])
async def test_no_more_than_so_many_are_under_way(concurrency):
    slow = Slow()
    assert await Stream(range(7)).to(slow, concurrency=concurrency).collect() == list(range(7))
    assert slow.most == min(7, concurrency)
    assert sorted(slow.rows) == list(range(7))
    assert clock() == -(-7 // concurrency)


async def test_several_sinks_take_an_item_in_turn_also_side_by_side():
    log = []
    slow = Slow()
    await Stream("ab").to(log.append, slow, log.append, concurrency=2).run()
    assert log == ["a", "b", "a", "b"]
    assert (clock(), slow.most) == (1, 2)


async def test_lists_can_go_side_by_side():
    slow = Slow()
    assert await Stream(range(6)).to(slow, batch=2, concurrency=3).collect() == list(range(6))
    assert (clock(), slow.rows) == (1, [[0, 1], [2, 3], [4, 5]])


@pytest.mark.parametrize(
    "options", [{}, {"concurrency": 2}, {"batch": 1}, {"batch": 1, "concurrency": 2}]
)
async def test_a_sink_that_fails_is_named_and_a_policy_takes_the_item(options):
    source = RecordingSource([1, 2, 3])
    fails = ([2],) if "batch" in options else (2,)
    slow = Slow([*fails])
    with pytest.raises(OSError, match="disk full") as caught:
        await Stream(source).to(slow, **options).run()
    assert "in to(Slow" in caught.value.__notes__[0]
    assert f"on item {fails[0]}" in caught.value.__notes__[0]
    assert slow.under_way == 0
    assert_closed(source)
    stream = Stream(source).to(slow, **options).on_error("skip")
    assert await stream.collect() == [1, 3]
    assert [failure.item for failure in await stream.errors.collect()] == [*fails]


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_sink_that_is_tried_again_leaves_the_sinks_before_it_alone(concurrency):
    first, tries = [], []

    def second(item):
        tries.append(item)
        if len(tries) < 3:
            raise OSError

    stream = Stream.of(1).to(first, second, concurrency=concurrency)
    await stream.on_error("raise", retries=2).run()
    assert (first, tries) == ([1], [1, 1, 1])


async def test_leaving_early_cancels_what_is_under_way():
    slow, source = Slow(), RecordingSource(range(9))
    async with Stream(source).to(slow, concurrency=4).open() as items:
        assert await anext(items) == 0
        await asyncio.sleep(0.5)
    assert slow.under_way == 0
    assert_closed(source)


async def test_items_keep_their_time():
    stream = marbles("ab|", event="b-a")
    assert await stamps(stream.to([])) == [("a", 2.0), ("b", 0.0)]
    assert await stamps(stream.to([], concurrency=2)) == [("a", 2.0), ("b", 0.0)]
    assert await stamps(stream.to([], batch=2)) == [("a", 2.0), ("b", 2.0)]


@pytest.mark.parametrize(
    ("sinks", "options", "message"),
    [
        ((), {}, r"to needs at least one sink, as in to\(print\)"),
        ((None,), {}, r"a sink must be a function, a list, .* not None \(NoneType\)"),
        (("file.txt",), {}, r"a sink must be a function, a list, .* not 'file.txt' \(str\)"),
        ((print, 3), {}, r"not 3 \(int\)"),
        ((range(3),), {}, r"not range\(0, 3\) \(range\)"),
        ((print,), {"batch": 0}, r"to\(batch\) must be a whole number of at least 1, not 0"),
        ((print,), {"within": "x"}, r"to\(within\) must be a duration, not 'x'"),
        ((print,), {"concurrency": 0}, r"to\(concurrency\) must be a whole number of at least 1"),
    ],
)
def test_wrong_arguments_are_refused_when_built(sinks, options, message):
    with pytest.raises(GraphError, match=message):
        Stream.of(1).to(*sinks, **options)


def test_a_coroutine_says_to_pass_the_function():
    async def write(item):
        pass

    with pytest.raises(GraphError, match="not the coroutine .* pass .*write without calling it"):
        Stream.of(1).to(write(1))
