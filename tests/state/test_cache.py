"""``Cache``: what its interface promises."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import pickle
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import diskcache
import pytest

import rivulet
from rivulet import (
    BufferFullError,
    Cache,
    CodecError,
    EndlessError,
    GraphError,
    RunError,
    SinkError,
    StorageError,
    Stream,
)
from rivulet.codecs import JsonCodec, PickleCodec


@pytest.fixture(params=["folder", ":memory:"])
def cache(request, tmp_path):
    with Cache(tmp_path / "cache" if request.param == "folder" else ":memory:") as cache:
        yield cache


# One key


def test_a_value_is_read_back_and_a_missing_one_is_none(cache):
    cache["a"] = {"x": (1, 2)}
    cache.put("b", None)
    assert cache["a"] == {"x": (1, 2)}
    assert cache["b"] is None
    assert cache["c"] is None
    assert cache.get("c", 5) == 5
    assert cache.get("b", 5) is None
    assert ("b" in cache, "c" in cache) == (True, False)
    assert len(cache) == 2


def test_a_list_of_keys_gives_a_list_of_values(cache):
    cache["a"], cache["b"] = 1, 2
    assert cache[["a", "x", "b"]] == [1, None, 2]
    assert cache.get(["x", "b"], 0) == [0, 2]
    assert cache[[]] == []


def test_a_missing_key_can_be_deleted(cache):
    cache["a"] = 1
    del cache["a"]
    del cache["a"]
    cache.delete("a")
    assert "a" not in cache
    assert len(cache) == 0


def test_what_was_read_can_be_changed_without_changing_what_is_kept(cache):
    cache["a"] = given = [1]
    given.append(2)
    cache["a"].append(3)
    assert cache["a"] == [1]


def test_equal_numbers_are_one_key_and_listed_as_put_last(cache):
    cache[1], cache[1.0], cache[2.0], cache[(3.0, True)] = "a", "b", "c", "d"
    assert cache[True] == "b"
    assert len(cache) == 3
    assert repr(list(cache)) == "[1.0, 2.0, (3.0, True)]"
    cache[1] = "e"
    assert repr(list(cache.keys())) == "[1, 2.0, (3.0, True)]"
    zone = timezone(timedelta(hours=2))
    cache[datetime(2024, 1, 1, 2, tzinfo=zone)] = 1
    assert datetime(2024, 1, 1, tzinfo=UTC) in cache
    (key,) = [key for key in cache if isinstance(key, datetime)]
    assert key.utcoffset() == timedelta(hours=2)


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (math.nan, ValueError, "can't be NaN"),
        ({"a": 1}, TypeError, "not dict: use a tuple"),
        (("a", [1]), TypeError, "not list: use a tuple"),
        (object(), TypeError, "not object"),
    ],
)
def test_what_cannot_be_a_key_is_refused(cache, key, error, message):
    for use in (
        lambda: cache.put(key, 1),
        lambda: cache.get(key),
        lambda: cache.delete(key),
        lambda: key in cache,
        lambda: cache.items(from_key=key),
    ):
        with pytest.raises(error, match=message):
            use()
    assert len(cache) == 0


def test_what_cannot_be_kept_is_refused_and_says_for_which_key(cache):
    @dataclass
    class Point:
        x: int

    cache["a"] = 1
    with pytest.raises(CodecError, match=r"Point.*register") as caught:
        cache["a"] = [Point(1)]
    assert "The value of the key 'a'" in caught.value.__notes__[0]
    assert cache["a"] == 1


# Listings

KEYS = [None, -math.inf, -2.5, -1, 0, 0.5, 2**70, math.inf, "", "a", "ab", "b", b"", b"a"]
MORE = [datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), date(2024, 1, 1), (), ("a", 1)]


def test_keys_are_listed_in_order_of_types_and_values(cache):
    for key in reversed(KEYS + MORE):
        cache[key] = repr(key)
    assert list(cache.keys()) == list(cache) == KEYS + MORE
    assert list(cache.keys(backwards=True)) == (KEYS + MORE)[::-1]
    assert list(cache.values()) == [repr(key) for key in KEYS + MORE]
    assert list(cache.items())[3] == (-1, "-1")


def test_a_listing_begins_at_the_key_or_at_the_next_in_its_direction(cache):
    for key in (1, 2.5, 4, "a"):
        cache[key] = key
    assert list(cache.keys(from_key=2.5)) == [2.5, 4, "a"]
    assert list(cache.keys(from_key=2)) == [2.5, 4, "a"]
    assert list(cache.keys(True, 2.5)) == [2.5, 1]
    assert list(cache.keys(backwards=True, from_key=3)) == [2.5, 1]
    assert list(cache.keys(backwards=True, from_key=0)) == []
    assert next(cache.values(backwards=True, from_key=1e9)) == 4


def test_a_prefix_is_one_of_text_bytes_or_elements(cache):
    for key in ("a", "ab", "b", b"ab", ("a", 1), ("a", 2, "x"), ("ab", 1), "a\U0010ffff", 1):
        cache[key] = None
    assert list(cache.keys(prefix="a")) == ["a", "ab", "a\U0010ffff"]
    assert list(cache.keys(prefix=b"a")) == [b"ab"]
    assert list(cache.keys(prefix=("a",))) == [("a", 1), ("a", 2, "x")]
    assert list(cache.keys(True, ("a", 1.5), prefix=("a",))) == [("a", 1)]
    assert list(cache.keys(prefix="a", from_key="aa")) == ["ab", "a\U0010ffff"]
    with pytest.raises(TypeError, match="a prefix must be a str, bytes or a tuple, not int"):
        cache.items(prefix=1)


def test_a_listing_shows_the_cache_as_it_was_when_it_was_made(cache):
    for number in range(5):
        cache[number] = number
    listing = cache.items()
    assert next(listing) == (0, 0)
    for key, value in listing:
        cache[key + 1], cache[value] = "new", "changed"
        cache.delete(3)
    assert list(cache) == [0, 1, 2, 4, 5]
    assert cache[5] == "new"


def test_a_listing_that_is_left_early_holds_nothing(tmp_path):
    cache = Cache(tmp_path)
    cache["a"], cache["b"] = 1, 2
    cache.flush()
    for _ in cache.items():
        break
    gc.collect()
    cache.close()


def test_a_range_is_deleted_without_its_end(cache):
    for number in range(6):
        cache[number] = number
    cache["a"] = 1
    cache.delete_range(1, 4.5)
    assert list(cache) == [0, 5, "a"]
    cache.delete_range(9, 1)
    assert len(cache) == 3


# Several keys


def test_a_batch_is_done_at_its_end_or_not_at_all(cache):
    cache["a"] = 1
    with cache.batch() as batch:
        batch["b"] = 2
        batch.put("c", 3)
        del batch["a"]
        batch.delete("c")
        assert list(cache.items()) == [("a", 1)]
    assert list(cache.items()) == [("b", 2)]
    with pytest.raises(ZeroDivisionError), cache.batch() as batch:
        batch["d"] = 1 / 1
        batch["e"] = 1 / 0
    assert list(cache) == ["b"]
    with pytest.raises(RunError, match=r"with cache.batch\(\) as batch"):
        batch["d"] = 1
    with cache.batch():
        pass


async def test_a_transaction_lets_one_task_at_a_time_change_a_key(cache):
    cache["a"] = 0

    async def add():
        async with cache.transaction("a") as same:
            assert same is cache
            count = cache["a"]
            await asyncio.sleep(1)
            cache["a"] = count + 1

    await asyncio.gather(add(), add(), add())
    assert cache["a"] == 3
    assert asyncio.get_running_loop().time() == pytest.approx(3)


async def test_transactions_of_different_keys_are_independent_and_one_of_its_own_is_refused(cache):
    async with cache.transaction("a"), cache.transaction("b"):
        with pytest.raises(RunError, match="in a transaction of 'a' already"):
            async with cache.transaction("a"):
                pass
    async with cache.transaction("a"):
        pass

    async def fail():
        async with cache.transaction("a"):
            cache["a"] = 1
            raise ValueError

    with pytest.raises(ValueError):
        await fail()
    assert cache["a"] == 1
    waiter = asyncio.ensure_future(fail())
    async with cache.transaction("a"):
        await asyncio.sleep(0)
        waiter.cancel()
    async with cache.transaction("a"):
        pass
    with pytest.raises(asyncio.CancelledError):
        await waiter
    assert not cache._opened._locks


# Updates


async def test_a_call_stores_and_publishes_to_all_that_listen(cache):
    first, second = aiter(cache), aiter(cache)
    await cache("a", 1)
    cache["b"] = 2
    await cache("c", [3])
    late = aiter(cache)
    assert [await anext(first), await anext(first)] == [("a", 1), ("c", [3])]
    assert await anext(second) == ("a", 1)
    assert cache["a"] == 1
    assert cache.stats().readers == 3
    del first, second, late
    gc.collect()
    assert cache.stats().readers == 0


async def test_a_reader_that_waits_is_woken_and_ends_when_the_cache_is_closed(cache):
    async def read():
        return [update async for update in cache]

    task = asyncio.create_task(read())
    await asyncio.sleep(1)
    await cache("a", 1)
    await asyncio.sleep(1)
    await cache("b", 2)
    cache.close()
    assert await task == [("a", 1), ("b", 2)]


async def test_a_slow_reader_misses_the_oldest_updates_and_they_are_counted(cache):
    newest, oldest = aiter(cache.updates(2)), aiter(cache.updates(2, "drop_newest"))
    for number in range(5):
        await cache("a", number)
    assert [await anext(newest) for _ in range(2)] == [("a", 3), ("a", 4)]
    assert [await anext(oldest) for _ in range(2)] == [("a", 0), ("a", 1)]
    assert (newest.dropped, oldest.dropped, cache.stats().dropped) == (3, 3, 6)


async def test_a_slow_reader_that_must_miss_nothing_gets_an_error(cache):
    reader = aiter(cache.updates(2, "error"))
    for number in range(5):
        await cache("a", number)
    assert [await anext(reader) for _ in range(2)] == [("a", 0), ("a", 1)]
    with pytest.raises(BufferFullError, match="2 updates of the cache were waiting"):
        await anext(reader)
    assert cache.stats().dropped == 0


def test_how_updates_wait_is_checked(cache):
    with pytest.raises(GraphError, match=r"updates\(size\) must be a whole number"):
        cache.updates(0)
    with pytest.raises(GraphError, match=r"updates\(overflow\) must be one of"):
        cache.updates(1, "wait")


@pytest.mark.real_time
async def test_readers_in_other_threads_get_updates(cache):
    ready, got = threading.Event(), []

    async def read():
        reader = aiter(cache)
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)
        ready.set()
        got.append(await waiting)

    thread = threading.Thread(target=asyncio.run, args=(read(),))
    thread.start()
    await asyncio.to_thread(ready.wait)
    await cache("a", 1)
    await asyncio.to_thread(thread.join)
    assert got == [("a", 1)]


async def test_a_stream_of_a_cache_is_the_stream_of_its_updates(cache):
    async with Stream(cache).map(lambda pair: pair[1]).take(2).open() as updates:
        task = asyncio.ensure_future(anext(updates))
        await asyncio.sleep(1)
        await Stream.of(("a", 1), ("b", 2), ("c", 3)).to(cache).run()
        assert await task == 1
        assert [item async for item in updates] == [2]
    with pytest.raises(EndlessError):
        await Stream(cache).collect()
    assert list(cache.items()) == [("a", 1), ("b", 2), ("c", 3)]


async def test_the_stream_ends_with_the_cache(cache):
    run = Stream(cache).to(got := []).start()
    await asyncio.sleep(1)
    await cache("a", 1)
    cache.close()
    await run
    assert got == [("a", 1)]


def test_graphs_name_it_briefly(cache):
    assert Stream(cache).to(cache).explain().count("Cache") == 2


@pytest.mark.parametrize("item", [5, "ab", ["a", 1], ("a", 1, 2)])
async def test_a_sink_takes_pairs_only_and_names_itself_and_the_item(cache, item):
    with pytest.raises(SinkError, match=r"<Cache .*> takes pairs \(key, value\), not") as caught:
        await Stream.of(("a", 1), item).to(cache).run()
    assert str(caught.value).endswith(repr(item))
    assert "to(Cache)" in caught.value.__notes__[0]
    assert list(cache.items()) == [("a", 1)]


# The folder


def test_entries_outlive_the_cache(tmp_path):
    with Cache(tmp_path / "deep" / "down") as cache:
        cache["a"] = 1
    with Cache(str(tmp_path / "deep" / "down")) as cache:
        assert dict(cache.items()) == {"a": 1}
        cache["b"] = 2
        cache.flush(sync=True)
    assert {path.name for path in (tmp_path / "deep" / "down").iterdir()} == {
        "cache.db",
        "journal",
        "owner",
        "rivulet.json",
    }


async def test_the_same_folder_is_the_same_store(tmp_path, monkeypatch):
    first = Cache(tmp_path / "x")
    monkeypatch.chdir(tmp_path)
    second = Cache("x")
    second["a"] = 1
    assert first["a"] == 1
    reader = aiter(first)
    await second("b", 2)
    assert await anext(reader) == ("b", 2)
    first.close()
    first.close()
    assert second["a"] == 1
    for use in (first.stats, lambda: first["a"], lambda: first.put("a", 1), first.items):
        with pytest.raises(StorageError, match=r"x' is closed: open it again"):
            use()
    assert repr(first) == f"<Cache {str(tmp_path / 'x')!r}, closed>"
    with pytest.raises(StorageError, match="open in this process with the codec MsgpackCodec"):
        Cache("x", codec=JsonCodec())
    second.close()
    Cache("x").close()


def test_a_cache_that_is_forgotten_gives_its_folder_back(tmp_path):
    cache = Cache(tmp_path)
    cache["a"] = 1
    del cache
    gc.collect()
    done = subprocess.run(
        [sys.executable, "-c", f"import rivulet; print(rivulet.Cache({str(tmp_path)!r})['a'])"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"


def test_it_is_destroyed_with_all_that_it_kept(tmp_path):
    path = tmp_path / "x"
    for closed in (False, True):
        cache, other = Cache(path), Cache(path)
        cache["a"] = 1
        if closed:
            cache.close()
        cache.destroy()
        assert not path.exists()
        with pytest.raises(StorageError, match="was destroyed"):
            other["a"]
        with pytest.raises(StorageError, match="was destroyed"):
            cache["a"]
        other.close()
    cache = Cache(path)
    (path / "letter.txt").write_text("mine")
    cache.destroy()
    assert [file.name for file in path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("other", [PickleCodec(), JsonCodec()])
def test_another_codec_is_refused_by_name(tmp_path, other):
    Cache(tmp_path).close()
    with pytest.raises(StorageError, match=rf"codec MsgpackCodec, not {type(other).__name__}"):
        Cache(tmp_path, codec=other)


def test_the_codec_can_be_chosen(tmp_path):
    with Cache(tmp_path / "j", codec=JsonCodec(default=str)) as cache:
        cache["a"] = {"at": datetime(2024, 1, 1)}
        assert cache["a"] == {"at": "2024-01-01 00:00:00"}
    with Cache(tmp_path / "p", codec=PickleCodec()) as cache:
        cache["a"] = Path("x")
        assert cache["a"] == Path("x")


def test_nothing_is_unpickled_that_was_not_asked_for(tmp_path):
    with diskcache.Cache(str(tmp_path)) as plain:
        plain["a"] = {1, 2}
    with pytest.raises(StorageError, match="was written by diskcache itself"):
        Cache(tmp_path)


def test_a_folder_of_another_format_is_refused(tmp_path):
    Cache(tmp_path).close()
    (tmp_path / "rivulet.json").write_text(json.dumps({"format": 7}))
    with pytest.raises(StorageError, match="has format 7"):
        Cache(tmp_path)


# Arguments


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codec": JsonCodec}, r"must be an object, not a class: JsonCodec\(\)"),
        ({"codec": pickle}, "must have the methods encode and decode"),
        ({"ttl": -1}, r"Cache\(ttl\) must be more than zero"),
        ({"size_limit": 0}, r"Cache\(size_limit\) must be a whole number"),
        ({"store": "sqlite"}, r"Cache\(store\) must be one of 'diskcache', 'rocksdb'"),
    ],
)
def test_arguments_are_checked_before_anything_is_made(tmp_path, options, message):
    with pytest.raises(GraphError, match=message):
        Cache(tmp_path / "x", **options)
    assert not (tmp_path / "x").exists()


def test_what_has_no_effect_any_more_is_said_once_for_each(cache):
    with pytest.warns(UserWarning, match="target_table_size=1000") as caught:
        Cache(":memory:", target_table_size=1000)
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("name", "instead"),
    [("put_entity", "put a dict"), ("create_column_family", "tuples"), ("write", r"batch\(\)")],
)
def test_what_only_rocksdb_has_says_what_to_use(cache, name, instead):
    with pytest.raises(
        AttributeError, match=f"Cache has no {name}, which is RocksDB's: .*{instead}"
    ):
        getattr(cache, name)
    assert not hasattr(cache, "nonsense")


def test_it_tells_how_it_is(cache):
    cache["a"] = 1
    assert repr(cache) == f"<Cache {cache.name!r}, 1 keys>"
    assert cache.stats() == rivulet.CacheStats(
        keys=1, readers=0, dropped=0, expired=0, evicted=0, waits=0
    )
    assert repr(cache.batch()).startswith("<Batch of 0 writes to <Cache")
    assert repr(cache.updates()) == "<Updates, 1024 waiting at most, drop_oldest>"
