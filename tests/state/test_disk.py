"""``Tables``: byte strings in the tables of diskcache."""

from __future__ import annotations

import pickle
import sqlite3
import tempfile
import threading
from pathlib import Path

import diskcache
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rivulet.errors import StorageError
from rivulet.state.disk import SETTINGS, Tables

KEYS = st.binary(max_size=3)
ROWS = st.dictionaries(KEYS, st.binary(max_size=3), max_size=20)
BOUNDS = st.none() | KEYS


@pytest.fixture
def tables(tmp_path):
    tables = Tables(tmp_path)
    yield tables
    tables.close()


def listed(tables, start=None, stop=None, *, backwards=False):
    return list(tables.list(start, stop, backwards=backwards))


def between(model, start, stop, backwards):
    rows = [
        (key, value)
        for key, value in sorted(model.items())
        if (start is None or key >= start) and (stop is None or key < stop)
    ]
    return rows[::-1] if backwards else rows


@given(st.lists(st.dictionaries(KEYS, st.none() | st.binary(max_size=3))), BOUNDS, BOUNDS)
@settings(max_examples=30, deadline=None)
def test_they_hold_what_a_dict_would_in_the_order_of_keys(batches, start, stop):
    model = {}
    with tempfile.TemporaryDirectory() as folder:
        tables = Tables(Path(folder))
        for batch in batches:
            tables.write(batch.items())
            model.update(batch)
        model = {key: value for key, value in model.items() if value is not None}
        for backwards in (False, True):
            expected = between(model, start, stop, backwards)
            assert listed(tables, start, stop, backwards=backwards) == expected
        assert tables.count()[0] == len(model)
        assert all(tables.get(key) == model.get(key) for batch in batches for key in batch)
        tables.close()


def test_a_listing_of_many_rows_comes_in_pages(tables):
    keys = [number.to_bytes(2, "big") for number in range(1500)]
    tables.write((key, b"") for key in keys)
    assert [key for key, _ in listed(tables)] == keys
    assert [key for key, _ in listed(tables, keys[3], keys[1200])] == keys[3:1200]
    assert [key for key, _ in listed(tables, backwards=True)] == keys[::-1]


def test_a_listing_sees_nothing_that_is_written_later(tables):
    tables.write([(b"a", b"1"), (b"b", b"2")])
    rows = tables.list(None, None, backwards=False)
    assert next(rows) == (b"a", b"1")
    writer = threading.Thread(target=tables.write, args=([(b"b", b"3"), (b"c", b"4")],))
    writer.start()
    writer.join()
    second = tables.list(None, None, backwards=True)
    assert list(rows) == [(b"b", b"2")]
    assert [value for _, value in second] == [b"4", b"3", b"1"]
    third = tables.list(None, None, backwards=False)
    next(third)
    third.close()
    assert list(third) == []
    assert len(listed(tables)) == 3


def test_they_are_there_when_the_folder_is_opened_again(tmp_path):
    for number in range(3):
        tables = Tables(tmp_path)
        tables.write([(b"%d" % number, b"x" * 100_000)])
        assert tables.count()[0] == number + 1
        tables.close()
    assert {file.name for file in tmp_path.iterdir()} == {"cache.db"}


def test_nothing_is_evicted_and_no_files_are_made(tables, tmp_path):
    tables.write((number.to_bytes(2, "big"), bytes(600)) for number in range(30_001))
    assert tables.count()[0] == 30_001
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        found = dict(connection.execute("SELECT key, value FROM Settings"))
    connection.close()
    assert {name: found[name] for name in SETTINGS} == SETTINGS


@pytest.mark.parametrize("mode", [0, 2, 3, 4])
def test_a_value_that_was_put_there_by_others_is_refused_and_not_unpickled(tables, tmp_path, mode):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    tables.write([(b"a", b"1")])
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        connection.execute("UPDATE Cache SET mode = ?, value = ?", (mode, pickle.dumps(Trap())))
    connection.close()
    with pytest.raises(StorageError, match=r"the value of b'a' wasn't written by rivulet"):
        tables.get(b"a")
    with pytest.raises(StorageError, match=r"the value of b'a' wasn't written by rivulet"):
        listed(tables)


def test_other_keys_of_diskcache_are_not_listed(tables, tmp_path):
    tables.write([(b"a", b"1")])
    with diskcache.Cache(tmp_path) as cache:
        cache["text"] = cache[5] = cache[(1, 2)] = b"2"
    assert listed(tables) == listed(tables, b"") == [(b"a", b"1")]
    assert listed(tables, backwards=True) == [(b"a", b"1")]


def test_a_failed_write_leaves_all_as_it_was(tables):
    tables.write([(b"a", b"1")])
    with pytest.raises(StorageError, match="can't write to .*cache.db"):
        tables.write([(b"a", b"2"), (b"b", sqlite3)])
    assert listed(tables) == [(b"a", b"1")]


def test_tables_of_another_shape_are_refused(tmp_path):
    Tables(tmp_path).close()
    with sqlite3.connect(tmp_path / "cache.db") as connection:
        connection.execute("ALTER TABLE Cache ADD COLUMN colour TEXT")
    connection.close()
    with pytest.raises(StorageError, match="has the columns .* value colour, not rowid key"):
        Tables(tmp_path)
