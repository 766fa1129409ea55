"""``lookup``: each item with what is found under its key."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from types import MappingProxyType
from weakref import WeakSet

import pytest

from rivulet import Cache, GraphError, Stream
from rivulet.testing import marbles, stamps, timed
from tests.ops.cases import KINDS, ByHand, check_resuming

NAMES = {1: "ana", 2: "bo"}
FOUND = [(2, "bo"), (3, None), (1, "ana"), (2, "bo")]
ITEMS = [2, 3, 1, 2]

every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def itself(x):
    return x


class Asked:
    """A function that notes what it was asked for."""

    def __init__(self, pause=0.0):
        self.keys = []
        self.pause = pause
        self.under_way = self.most = 0

    async def __call__(self, key):
        self.keys.append(key)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(self.pause)
        self.under_way -= 1
        if isinstance(key, list):
            return [NAMES.get(one) for one in key]
        return NAMES.get(key)


# Where


@pytest.mark.parametrize("make", [dict, lambda d: defaultdict(str, d), MappingProxyType])
async def test_in_a_mapping(make):
    assert await Stream(ITEMS).lookup(make(NAMES), itself).collect() == FOUND


async def test_in_a_cache():
    cache = Cache(":memory:")
    for key, name in NAMES.items():
        cache.put(key, name)
    assert await Stream(ITEMS).lookup(cache, itself).collect() == FOUND


async def test_what_is_there_when_the_item_comes_counts():
    cache = Cache(":memory:")
    keep = marbles("-1-2-|").map(lambda c: ("k", c)).to(cache)
    looked = marbles("a-b-c|").lookup(cache, lambda _: "k")
    results = []
    await asyncio.gather(keep.run(), looked.to(results).run())
    assert results == [("a", None), ("b", "1"), ("c", "2")]


@every_kind
@pytest.mark.parametrize(
    "options", [{}, {"concurrency": 3}, {"ttl": 1}, {"concurrency": 2, "ttl": 5}]
)
async def test_by_a_function_of_every_kind(kind, options):
    assert await Stream(ITEMS).lookup(kind(NAMES.get), itself, **options).collect() == FOUND


@every_kind
@pytest.mark.parametrize("options", [{}, {"concurrency": 3}, {"ttl": 1}])
@pytest.mark.parametrize("make", [list, dict])
async def test_by_a_function_of_many_keys(kind, options, make):
    def find(keys):
        found = {key: NAMES[key] for key in keys if key in NAMES}
        return found if make is dict else [found.get(key) for key in keys]

    for n in 1, 2, 10:
        stream = Stream(ITEMS).lookup(kind(find), itself, batch=n, **options)
        assert await stream.collect() == FOUND


async def test_the_key_is_a_field_an_attribute_or_a_function():
    assert await Stream.of({"id": 1}).lookup(NAMES, "id").collect() == [({"id": 1}, "ana")]
    assert await Stream.of((7, 2)).lookup(NAMES, 1).collect() == [((7, 2), "bo")]
    assert await Stream.of(2 + 1j).lookup(NAMES, "real").collect() == [(2 + 1j, "bo")]


@pytest.mark.parametrize("options", [{}, {"batch": 3}, {"ttl": 5}, {"concurrency": 2}])
async def test_inner_drops_what_isn_t_found(options):
    stream = Stream(ITEMS).lookup(Asked(), itself, how="inner", **options)
    assert await stream.collect() == [pair for pair in FOUND if pair[1]]


# Several at once


async def test_so_many_calls_are_under_way_at_once_and_the_order_is_kept():
    asked = Asked(pause=1)
    rows = await timed(Stream(ITEMS).lookup(asked, itself, concurrency=2))
    assert rows == [(1.0, FOUND[0]), (1.0, FOUND[1]), (2.0, FOUND[2]), (2.0, FOUND[3])]
    assert asked.most == 2


async def test_a_batch_is_what_is_there_and_each_key_is_asked_for_once():
    asked = Asked()
    source = marbles("(2232)--(1)-(31231)|").map(int)
    rows = await timed(source.lookup(asked, itself, batch=3))
    assert asked.keys == [[2, 3], [2], [1], [3, 1, 2], [3, 1]]
    assert [t for t, _ in rows] == [0.0] * 4 + [3.0] + [5.0] * 5
    assert [pair[0] for _, pair in rows] == [2, 2, 3, 2, 1, 3, 1, 2, 3, 1]


async def test_what_comes_during_a_call_is_the_next_batch():
    asked = Asked(pause=2.5)
    queue = asyncio.Queue()

    async def fill():
        for n in range(8):
            await queue.put(n)
            await asyncio.sleep(1)

    filling = asyncio.create_task(fill())
    await Stream(queue).lookup(asked, itself, batch=10).take(8).collect()
    assert asked.keys == [[0], [1, 2], [3, 4, 5], [6, 7]]
    await filling


async def test_batches_are_looked_up_side_by_side():
    asked = Asked(pause=1)
    rows = await timed(Stream(range(6)).lookup(asked, itself, batch=2, concurrency=3))
    assert [t for t, _ in rows] == [1.0] * 6
    assert asked.most == 3


@pytest.mark.parametrize("options", [{}, {"batch": 2}, {"concurrency": 2}, {"batch": 2, "ttl": 5}])
async def test_items_keep_their_own_time(options):
    source = marbles("(ab)-c--d|", event="-b-a-dc", max_delay=5)
    looked = source.lookup(Asked(), itself, **options)
    assert [t for _, t in await stamps(looked)] == [3.0, 1.0, 6.0, 5.0]
    counts = await looked.window(tumbling=2).count().collect()
    assert [w.value for w in counts] == [1, 1, 1, 1]


# Time to live


async def test_what_was_found_is_used_again_for_so_long():
    asked = Asked()
    items = marbles("1-1-1-1-1--1|").map(int)
    await items.lookup(asked, itself, ttl=3).run()
    # At 0 s, and after 3 s: at 4, 8 and 11 s.
    assert len(asked.keys) == 4


async def test_that_nothing_was_found_is_used_again_too():
    asked = Asked()
    await Stream.of(3, 3, 3).lookup(asked, itself, ttl=3).run()
    await Stream.of(3, 1, 3).lookup(asked, itself, ttl=3, batch=2).run()
    assert asked.keys == [3, [3, 1]]


async def test_calls_for_one_key_wait_for_each_other_so_that_it_is_asked_for_once():
    asked = Asked(pause=1)
    stream = Stream([1, 1, 2, 1, 2]).lookup(asked, itself, concurrency=5, ttl=10)
    assert await timed(stream) == [(1.0, (n, NAMES[n])) for n in (1, 1, 2, 1, 2)]
    assert asked.keys == [1, 2]


async def test_each_run_begins_with_nothing():
    asked = Asked()
    stream = Stream.of(1, 1).lookup(asked, itself, ttl=100)
    await stream.run()
    await stream.run()
    assert asked.keys == [1, 1]


async def test_what_has_had_its_time_is_dropped():
    class Row:
        pass

    rows, counts = WeakSet(), []

    def find(_):
        row = Row()
        rows.add(row)
        return row

    looked = Stream.timer(1).take(200).lookup(find, itself, ttl=10).map(lambda pair: pair[0])
    await looked.to(lambda _: counts.append(len(rows))).run()
    assert max(counts) <= 12


# What is wrong


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda s: s.lookup(3, itself), "lookup needs a Cache, a dict or a function of the key"),
        (lambda s: s.lookup(NAMES, 1.5), r"lookup\(key\) needs a function, a key or an attrib"),
        (lambda s: s.lookup(NAMES, itself, how="outer"), "one of 'left', 'inner', not 'outer'"),
        (lambda s: s.lookup(Asked(), itself, concurrency=0), r"lookup\(concurrency\) must be a wh"),
        (lambda s: s.lookup(Asked(), itself, batch=0), r"lookup\(batch\) must be a whole number"),
        (lambda s: s.lookup(Asked(), itself, ttl=0), r"lookup\(ttl\) must be more than zero"),
        (
            lambda s: s.lookup(NAMES, itself, concurrency=2),
            r"concurrency=\) is for a function: a d",
        ),
        (lambda s: s.lookup(NAMES, itself, ttl=2), r"lookup\(ttl=\) is for a function"),
        (
            lambda s: s.lookup(Cache(":memory:"), itself, batch=2),
            r"batch=\) is for a .* Cache answ",
        ),
    ],
)
def test_what_can_t_work_is_refused_when_it_is_built(use, message):
    with pytest.raises(GraphError, match=message):
        use(Stream.of(1))


def test_an_async_key_is_refused():
    async def key(x):
        return x

    with pytest.raises(GraphError, match=r"lookup\(key\) must be a plain function"):
        Stream.of(1).lookup(NAMES, key)


@pytest.mark.parametrize("options", [{"ttl": 1}, {"batch": 2}, {"ttl": 1, "concurrency": 2}])
async def test_a_key_that_isn_t_hashable_raises_and_names_the_item(options):
    for where, more in [(NAMES, {}), (Asked(), options)]:
        with pytest.raises(TypeError, match="hashable|unhashable") as caught:
            await Stream.of(7).lookup(where, lambda n: [n], **more).collect()
        assert "lookup" in caught.value.__notes__[0]
        assert "7" in caught.value.__notes__[0]


async def test_a_batch_that_gives_something_else_raises():
    with pytest.raises(TypeError, match="must give a dict, or a list in the order .* gave None"):
        await Stream.of(1).lookup(lambda _: None, itself, batch=2).collect()
    with pytest.raises(ValueError, match="was asked for 2 keys and gave a list of 1"):
        await Stream.of(1, 2).lookup(lambda _: ["ana"], itself, batch=2).collect()


async def test_failures_are_handled_below():
    def find(n):
        return 6 // n

    stream = Stream.of(1, 0, 3).lookup(find, itself).on_error("skip")
    assert await stream.collect() == [(1, 6), (3, 2)]
    (failure,) = await stream.errors.collect()
    assert (failure.item, failure.operator) == (0, "lookup(find, itself)")


async def test_what_failed_is_asked_for_again():
    calls = []

    def find(n):
        calls.append(n)
        if len(calls) == 1:
            raise ConnectionError
        return n

    stream = Stream.of(1, 1, 1).lookup(find, itself, ttl=5).on_error("skip")
    assert await stream.collect() == [(1, 1), (1, 1)]
    assert calls == [1, 1]


# State


def test_gathering_is_resumed_as_if_nothing_had_been():
    node = Stream.of(1).lookup(Asked(), itself, batch=3).node
    gather = Stream(node.up.up)
    assert gather.node.name == "gather"
    check_resuming(gather, [1, 2, 3, 4, 5])
    by_hand = ByHand(gather)
    by_hand.logic.call("late", 7)
    by_hand.logic.call("later", 9)
    assert [by_hand.logic.passes(t) for t in (5, 8)] == [5, 7]
    assert [t for _, t in by_hand.logic.on_end()] == [7]


def test_it_is_shown_as_it_was_written():
    stream = Stream.of({"id": 1}).lookup(Asked(), "id", batch=3, ttl="1m")
    assert stream.node.up.label.endswith(", 'id', batch=3, ttl='1m')")
    assert (
        Stream.of(1).lookup({n: n for n in range(999)}, itself).node.label == "lookup(dict, itself)"
    )
