"""``Cache`` beside rocksdict, diskcache and a plain table of sqlite3."""

from __future__ import annotations

import atexit
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import peers
from benchmarks.stores import Side, Stores
from rivulet import Cache
from rivulet.codecs import MsgpackCodec

Pairs = list[tuple[Any, Any]]
Store = AbstractContextManager[Any]

PLACES = ("hall", "roof", "yard", "gate")
HOT = [f"sensor-{i}" for i in range(1000)]

decode = MsgpackCodec().decode


# Data


def reading(i: int) -> dict[str, Any]:
    """Six fields, 100 bytes as MessagePack."""
    return {
        "reading": 100_000 + i,
        "temperature": i * 0.37 % 60 - 20,
        "humidity": i * 0.11 % 1 + 0.001,
        "alarm": i % 97 == 0,
        "confirmed": i % 3 == 0,
        "place": f"building {i % 90 + 10}, the {PLACES[i % 4]}",
    }


def trade(i: int) -> dict[str, Any]:
    """A small dict."""
    return {"price": i * 0.25, "size": i % 500}


@cache
def names(n: int) -> list[str]:
    """Keys that are text, in no order."""
    return random.Random(n).sample([f"sensor-{i:06}" for i in range(n)], n)


@cache
def times(n: int) -> list[float]:
    """Keys that are seconds, in order."""
    steps = random.Random(n)
    now = 1_700_000_000_000
    return [(now := now + steps.randrange(1, 2000)) / 1000 for _ in range(n)]


def readings(n: int, number: int = 0) -> Pairs:
    return [(name, reading(i)) for i, name in enumerate(names(n))]


def trades(n: int, number: int = 0) -> Pairs:
    return [(time, trade(i)) for i, time in enumerate(times(n))]


def shuffled_trades(n: int, number: int = 0) -> Pairs:
    return random.Random(number).sample(trades(n), n)


def hot(n: int, number: int) -> list[str]:
    """Some of few keys, each about as often."""
    return random.Random(number).choices(HOT, k=n)


# Stores


def by_rivulet(folder: Path, data: Any) -> Store:
    return Cache(folder)


def by_rocksdict(folder: Path, data: Any) -> Store:
    return peers.rocksdict.Rdict(str(folder))


def by_diskcache(folder: Path, data: Any) -> Store:
    return peers.diskcache.Cache(str(folder))


def holding(
    open_: Callable[[Path, Any], Store], pairs: Callable[[Any], Pairs]
) -> Callable[[Path, Any], Store]:
    """Opens a store that has entries already, which the data tells."""

    @contextmanager
    def opened(folder: Path, data: Any) -> Iterator[Any]:
        with open_(folder, data) as store:
            put_all(store, pairs(data))
            yield store

    return opened


def flushed(open_: Callable[[Path, Any], Store]) -> Callable[[Path, Any], Store]:
    """Flushes a store that was opened."""

    @contextmanager
    def opened(folder: Path, data: Any) -> Iterator[Any]:
        with open_(folder, data) as store:
            store.flush()
            yield store

    return opened


# Work while it is warm


def put_all(store: Any, pairs: Pairs) -> None:
    for key, value in pairs:
        store[key] = value


def put_and_flush(store: Any, pairs: Pairs) -> None:
    put_all(store, pairs)
    store.flush()


def count(store: Any, keys: list[str]) -> None:
    for key in keys:
        store[key] = store[key] + 1


def update(store: Any, keys: list[str]) -> None:
    for key in keys:
        value = store[key]
        value["size"] += 1
        store[key] = value


def get_all(store: Any, keys: list[Any]) -> int:
    total = 0
    get = store.get
    for key in keys:
        total += get(key)["reading"]
    return total


def some_values(store: Any, pairs: Pairs) -> list[Any]:
    return [store[key] for key, _ in pairs[::101]]


def hot_values(store: Any, keys: list[str]) -> list[Any]:
    return [store[key] for key in HOT]


# Look-ups in a large folder that was just opened


@dataclass(frozen=True)
class Folder:
    """The same entries for each kind of store."""

    times: list[float]
    rivulet: Path
    diskcache: Path
    sqlite: Path


@cache
def folder_of(n: int) -> Folder:
    """So many entries, written once."""
    place = _place() / str(n)
    folder = Folder(times(n), place / "rivulet", place / "diskcache", place / "sqlite.db")
    folder.diskcache.mkdir(parents=True)
    with Cache(folder.rivulet) as store:
        put_all(store, trades(n))
    # Its tables are diskcache's, and so it can open them.
    shutil.copy(folder.rivulet / "cache.db", folder.diskcache)
    encode = MsgpackCodec().encode
    with closing(sqlite3.connect(folder.sqlite)) as table, table:
        table.execute("PRAGMA journal_mode = WAL")
        table.execute("CREATE TABLE t (key REAL PRIMARY KEY, value BLOB) WITHOUT ROWID")
        rows = ((key, encode(value)) for key, value in trades(n))
        table.executemany("INSERT INTO t VALUES (?, ?)", rows)
    return folder


@cache
def _place() -> Path:
    kept = tempfile.TemporaryDirectory()
    atexit.register(kept.cleanup)
    return Path(kept.name)


@dataclass(frozen=True)
class Asked:
    """What is looked up in a folder."""

    folder: Folder
    keys: list[float]


def keys_in(n: int, number: int) -> Asked:
    """Keys of a folder of 50 times as many, others in each round."""
    folder = folder_of(50 * n)
    return Asked(folder, _in_no_order(50 * n)[n * number : n * (number + 1)])


@cache
def _in_no_order(n: int) -> list[float]:
    return random.Random(n).sample(times(n), n)


def keys_between(n: int, number: int) -> Asked:
    """Times between the first and the last of a folder of 50 times as many."""
    folder = folder_of(50 * n)
    some = random.Random(number).uniform
    return Asked(folder, [some(folder.times[0], folder.times[-1]) for _ in range(n)])


def all_keys(n: int, number: int) -> Asked:
    return Asked(folder_of(n), [])


def in_rivulet(folder: Path, asked: Asked) -> Store:
    return Cache(asked.folder.rivulet)


def in_sqlite(folder: Path, asked: Asked) -> Store:
    return closing(sqlite3.connect(asked.folder.sqlite))


def get_from_cache(store: Any, asked: Asked) -> int:
    total = 0
    for key in asked.keys:
        total += store.get(key)["size"]
    return total


def get_from_table(table: Any, asked: Asked) -> int:
    total = 0
    for key in asked.keys:
        ((data,),) = table.execute("SELECT value FROM t WHERE key = ?", (key,))
        total += decode(data)["size"]
    return total


def newest_in_cache(store: Any, asked: Asked) -> int:
    total = 0
    for key in asked.keys:
        total += next(store.values(backwards=True, from_key=key))["size"]
    return total


def newest_in_table(table: Any, asked: Asked) -> int:
    total = 0
    query = "SELECT value FROM t WHERE key <= ? ORDER BY key DESC LIMIT 1"
    for key in asked.keys:
        ((data,),) = table.execute(query, (key,))
        total += decode(data)["size"]
    return total


def list_cache(store: Any, asked: Asked) -> int:
    total = 0
    for _, value in store.items():
        total += value["size"]
    return total


def list_table(table: Any, asked: Asked) -> int:
    total = 0
    for _, data in table.execute("SELECT key, value FROM t ORDER BY key"):
        total += decode(data)["size"]
    return total


def large(
    name: str,
    title: str,
    data: Callable[[int, int], Asked],
    n: int,
    by_cache: Callable[[Any, Asked], int],
    by_table: Callable[[Any, Asked], int],
    rounds: int = 7,
) -> Stores:
    """A group for one kind of query."""
    return Stores(
        name,
        f"{title} in a large folder that was just opened",
        data,
        n,
        (
            Side("sqlite3", in_sqlite, by_table),
            Side("rivulet", in_rivulet, by_cache, 2.0),
        ),
        quick=10,
        rounds=rounds,
    )


def counts(keys: list[str]) -> Pairs:
    return [(key, 0) for key in HOT]


def first_trades(keys: list[str]) -> Pairs:
    return [(key, trade(i)) for i, key in enumerate(HOT)]


def its_readings(keys: list[str]) -> Pairs:
    return readings(len(keys))


def names_of(n: int, number: int) -> list[str]:
    return names(n)


GROUPS = (
    Stores(
        "cache_put",
        "put dicts of 100 bytes",
        readings,
        100_000,
        (
            Side("rocksdict", by_rocksdict, put_all, needs="rocksdict"),
            Side("rivulet", by_rivulet, put_all, 1.25),
        ),
        clock="wall",
        check=some_values,
    ),
    Stores(
        "cache_count",
        "add 1 to one of 1,000 counts",
        hot,
        100_000,
        (
            Side("rocksdict", holding(by_rocksdict, counts), count, needs="rocksdict"),
            Side("rivulet", holding(by_rivulet, counts), count, 1.0),
        ),
        check=hot_values,
    ),
    Stores(
        "cache_update",
        "change a field of one of 1,000 small dicts",
        hot,
        100_000,
        (
            Side("rocksdict", holding(by_rocksdict, first_trades), update, needs="rocksdict"),
            Side("rivulet", holding(by_rivulet, first_trades), update, 1.0),
        ),
        check=hot_values,
    ),
    Stores(
        "cache_get",
        "get a dict of 100 bytes that is in memory",
        names_of,
        100_000,
        (
            Side("diskcache", holding(by_diskcache, its_readings), get_all, needs="diskcache"),
            Side("rivulet", holding(by_rivulet, its_readings), get_all, 1 / 3),
            Side("rivulet, moved", flushed(holding(by_rivulet, its_readings)), get_all, 1 / 3),
            Side("rocksdict", holding(by_rocksdict, its_readings), get_all, needs="rocksdict"),
        ),
        once=True,
    ),
    large("cache_cold_get", "get", keys_in, 20_000, get_from_cache, get_from_table),
    large(
        "cache_cold_newest",
        "the newest value up to a time",
        keys_between,
        20_000,
        newest_in_cache,
        newest_in_table,
    ),
    large("cache_cold_list", "list all entries", all_keys, 1_000_000, list_cache, list_table, 3),
    Stores(
        "cache_fill",
        "put new keys in order and flush",
        trades,
        1_000_000,
        (
            Side("rocksdict", by_rocksdict, put_and_flush, needs="rocksdict"),
            Side("rivulet", by_rivulet, put_and_flush, 1 / 0.3),
        ),
        clock="wall",
        quick=10,
        rounds=3,
        check=some_values,
    ),
    Stores(
        "cache_fill_shuffled",
        "put new keys in no order and flush",
        shuffled_trades,
        1_000_000,
        (
            Side("rocksdict", by_rocksdict, put_and_flush, needs="rocksdict"),
            Side("rivulet", by_rivulet, put_and_flush, 1 / 0.3),
        ),
        clock="wall",
        quick=10,
        rounds=3,
        check=some_values,
    ),
)
