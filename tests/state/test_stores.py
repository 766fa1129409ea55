"""What every store promises."""

from __future__ import annotations

import os
import tempfile
import threading
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rivulet.state.durable import DurableStore
from rivulet.state.memory import MemoryStore
from rivulet.state.rocks import RocksStore
from rivulet.state.store import Store


class Temporary:
    """A store in a folder of its own, which is removed when it is closed."""

    def __init__(self, make, **options):
        self._folder = tempfile.TemporaryDirectory()
        self._store = make(Path(self._folder.name), **options)

    def __getattr__(self, name):
        return getattr(self._store, name)

    def __len__(self):
        return len(self._store)

    def __contains__(self, key):
        return key in self._store

    def close(self):
        self._store.close()
        self._folder.cleanup()


STORES = {
    "memory": MemoryStore,
    "durable": partial(Temporary, DurableStore),
    "durable, small memory": partial(Temporary, DurableStore, most_bytes=2000),
    "rocksdb": partial(Temporary, RocksStore),
}

KEYS = st.binary(max_size=3)
VALUES = st.binary(max_size=3)
OPERATIONS = st.lists(st.tuples(KEYS, st.none() | VALUES), max_size=30)
BOUNDS = st.none() | KEYS

no_rocksdict = pytest.mark.skipif(
    find_spec("rocksdict") is None and os.environ.get("CI") != "true",
    reason="rocksdict is not installed: pip install -e '.[test]'",
)
every_store = pytest.mark.parametrize(
    "make",
    [
        pytest.param(make, id=name, marks=[no_rocksdict] if name == "rocksdb" else [])
        for name, make in STORES.items()
    ],
)


def applied(operations):
    """What a dict holds after some operations."""
    model = {}
    for key, value in operations:
        if value is None:
            model.pop(key, None)
        else:
            model[key] = value
    return model


def between(model, start, stop, backwards):
    rows = [
        (key, model[key])
        for key in sorted(model)
        if (start is None or key >= start) and (stop is None or key < stop)
    ]
    return rows[::-1] if backwards else rows


@every_store
def test_it_has_all_that_a_store_has(make):
    store: Store = make()
    names = [name for name in vars(Store) if callable(vars(Store)[name]) and name[0] != "_"]
    assert names
    assert all(callable(getattr(store, name)) for name in names)
    store.close()


@every_store
@given(operations=OPERATIONS, start=BOUNDS, stop=BOUNDS, backwards=st.booleans())
@settings(max_examples=15, deadline=None)
def test_it_holds_what_a_dict_would_and_lists_it_in_order(make, operations, start, stop, backwards):
    one_by_one, at_once, model = make(), make(), applied(operations)
    for key, value in operations:
        if value is None:
            one_by_one.delete(key)
        else:
            one_by_one.put(key, value)
    at_once.write(operations)
    for store in one_by_one, at_once:
        assert list(store.list(start, stop, backwards=backwards)) == between(
            model, start, stop, backwards
        )
        assert len(store) == len(model)
        for key, _ in operations:
            assert (key in store) == (key in model)
            assert store.get(key) == model.get(key)
        store.close()


@every_store
def test_delete_tells_whether_the_key_was_there(make):
    store = make()
    store.put(b"a", b"")
    assert [store.delete(b"a"), store.delete(b"a")] == [True, False]
    store.close()


@every_store
@given(before=OPERATIONS, after=OPERATIONS, backwards=st.booleans(), read=st.integers(0, 5))
@settings(max_examples=15, deadline=None)
def test_a_listing_shows_what_was_there_when_it_was_made(make, before, after, backwards, read):
    store = make()
    store.write(before)
    rows = store.list(backwards=backwards)
    seen = [row for _, row in zip(range(read), rows, strict=False)]
    store.write(after)
    store.flush()
    assert [*seen, *rows] == between(applied(before), None, None, backwards)
    store.close()


@every_store
def test_threads_lose_no_write(make):
    store = make()

    def write(thread):
        for number in range(300):
            store.put(b"%d.%d" % (thread, number), b"%d" % number)
            if number % 3 == 0:
                store.delete(b"%d.%d" % (thread, number))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store) == len(list(store.list())) == 2000
    store.close()
