"""``Cache`` through any life: writes, listings, several handles, re-openings and crashes."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from functools import partial
from importlib.util import find_spec
from itertools import islice
from math import inf, nan
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rivulet import Cache, CodecError, StorageError
from rivulet.state import opened
from rivulet.state.durable import DurableStore

NOON = datetime(2024, 1, 1, 12)
EAST = timezone(timedelta(hours=2))
KNOWN = [
    *(None, False, 0, -0.0, 1, True, 1.0, -1, -1.5, 2.5, 2**53 + 1, 10**400, -inf, inf),
    *("", "\0", "a", "a\0", "ab", "b", "é", "\U0010ffff"),
    *(b"", b"\0", b"a", b"ab", b"\xff", b"\xff\xff"),
    *(NOON, NOON.replace(fold=1), datetime.min, date(2024, 1, 1), date.max),
    *(NOON.replace(tzinfo=UTC), NOON.replace(hour=14, tzinfo=EAST)),
    *((), ("a",), ("a", 1), ("a", 1.0), ("a", True, "x"), ("a", 10), ("a", 1, ()), (("a",),)),
    *((None,), ("a\0",), (b"\xff",), ((1, (2.0, "b")), NOON), (NOON.replace(tzinfo=EAST), -0.0)),
]
SINGLE = (
    st.sampled_from(KNOWN)
    | st.integers(-3, 3)
    | st.sampled_from([-2.0, -0.5, 0.5, 2.0])
    | st.text(alphabet="\0ab\U0010ffff", max_size=3)
    | st.binary(max_size=2)
)
KEYS = SINGLE | st.lists(SINGLE, max_size=3).map(tuple)
VALUES = st.recursive(
    SINGLE | st.floats(allow_nan=False) | st.binary(min_size=200, max_size=200),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=4,
)
PREFIXES = (
    st.sampled_from(["", "a", "a\0", "ab", b"", b"a", b"\xff", (), ("a",), ("a", 1), (("a",),)])
    | st.text(alphabet="\0ab\U0010ffff", max_size=2)
    | st.lists(SINGLE, max_size=2).map(tuple)
)
LISTINGS = st.fixed_dictionaries(
    {"backwards": st.booleans(), "from_key": st.none() | KEYS, "prefix": st.none() | PREFIXES}
)
WRITES = st.lists(
    st.tuples(st.just("put"), KEYS, VALUES) | st.tuples(st.just("delete"), KEYS, st.none()),
    max_size=12,
)
WHICH = st.integers(0, 5)
KINDS = (str, bytes)


def place(key):
    """What Python itself sorts as keys are to be sorted; equal where keys are one."""
    match key:
        case None:
            return (0,)
        case bool() | int() | float():
            return 1, key
        case str():
            return 2, key
        case bytes():
            return 3, key
        case datetime():
            return (4 if key.tzinfo is None else 5), key
        case date():
            return 6, key
        case _:
            return 7, tuple(map(place, key))


def begins(key, prefix):
    if type(key) is not type(prefix):
        return False
    if isinstance(key, tuple):
        return place(key)[1][: len(prefix)] == place(prefix)[1]
    return key.startswith(prefix)


def listed(model, backwards, from_key, prefix):
    """What a listing has to give, found without any index."""
    found = [model[at] for at in sorted(model, reverse=backwards)]
    if prefix is not None:
        found = [row for row in found if begins(row[0], prefix)]
    if from_key is not None and backwards:
        found = [row for row in found if place(row[0]) <= place(from_key)]
    elif from_key is not None:
        found = [row for row in found if place(row[0]) >= place(from_key)]
    return found


class Life(RuleBasedStateMachine):
    """Any use of a cache in a folder; the model is a dict from places to keys and values."""

    kind = "diskcache"

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.generation = 0
        self.path = Path(self.folder.name, "0")
        self.model = {}
        self.listings = []
        self.left = []
        self.caches = [self.opened()]

    def opened(self):
        return Cache(self.path, store=self.kind)

    def cache(self, which):
        return self.caches[which % len(self.caches)]

    @property
    def is_kept(self):
        return self.kind != ":memory:"

    # Writes

    @rule(which=WHICH, key=KEYS, value=VALUES)
    def put(self, which, key, value):
        self.cache(which)[key] = value
        self.model[place(key)] = key, value

    @rule(which=WHICH, key=KEYS)
    def delete(self, which, key):
        del self.cache(which)[key]
        self.model.pop(place(key), None)

    @rule(which=WHICH, start=KEYS, stop=KEYS)
    def delete_range(self, which, start, stop):
        self.cache(which).delete_range(start, stop)
        for at in [at for at in self.model if place(start) <= at < place(stop)]:
            del self.model[at]

    @rule(which=WHICH, writes=WRITES)
    def batch(self, which, writes):
        with self.cache(which).batch() as batch:
            self.write_all(batch, writes)
            assert list(self.cache(which)) == [key for key, _ in self.rows()]
        for what, key, value in writes:
            if what == "put":
                self.model[place(key)] = key, value
            else:
                self.model.pop(place(key), None)

    @rule(
        which=WHICH,
        writes=WRITES,
        bad=st.sampled_from([(1, object()), (nan, 1), ([], 1), ("\ud800", 1), ("a", "\ud800")]),
    )
    def batch_that_raises(self, which, writes, bad):
        with (
            suppress(CodecError, ValueError, TypeError),
            self.cache(which).batch() as batch,
        ):
            self.write_all(batch, writes)
            batch.put(*bad)
            raise AssertionError("it was taken")

    def write_all(self, batch, writes):
        for what, key, value in writes:
            if what == "put":
                batch[key] = value
            else:
                del batch[key]

    @rule(which=WHICH, sync=st.booleans())
    def flush(self, which, sync):
        self.cache(which).flush(sync=sync)

    # Look-ups

    @rule(which=WHICH, keys=st.lists(KEYS, max_size=4))
    def look_up(self, which, keys):
        cache = self.cache(which)
        found = [self.model.get(place(key), (None, "none"))[1] for key in keys]
        assert repr(cache.get(keys, "none")) == repr(found)
        assert [key in cache for key in keys] == [place(key) in self.model for key in keys]
        for key in keys:
            assert repr(cache[key]) == repr(self.model.get(place(key), (None, None))[1])

    @rule(which=WHICH, options=LISTINGS)
    def list(self, which, options):
        cache, rows = self.cache(which), listed(self.model, **options)
        assert repr([*cache.items(**options)]) == repr(rows)
        assert repr([*cache.keys(**options)]) == repr([key for key, _ in rows])
        assert repr([*cache.values(**options)]) == repr([value for _, value in rows])

    @rule(which=WHICH, options=LISTINGS)
    def begin_a_listing(self, which, options):
        self.listings.append((self.cache(which).items(**options), listed(self.model, **options)))

    @precondition(lambda self: self.listings)
    @rule(which=WHICH, count=st.integers(1, 20))
    def read_on(self, which, count):
        """What was written since it began doesn't show."""
        rows, expected = self.listings[which % len(self.listings)]
        assert repr([*islice(rows, count)]) == repr(expected[:count])
        del expected[:count]

    def finish_listings(self):
        for rows, expected in self.listings:
            assert repr([*rows]) == repr(expected)
        self.listings.clear()

    # The folder

    @precondition(lambda self: self.is_kept and len(self.caches) < 3)
    @rule()
    def open_again(self):
        self.caches.append(self.opened())

    @precondition(lambda self: len(self.caches) > 1)
    @rule(which=WHICH)
    def close_one(self, which):
        self.caches.pop(which % len(self.caches)).close()

    @precondition(lambda self: self.is_kept)
    @rule(finished=st.booleans())
    def reopen(self, finished):
        """A listing that was open goes on as it was, or says that the cache is closed."""
        if finished:
            self.finish_listings()
        for cache in self.caches:
            cache.close()
        for rows, expected in self.listings:
            with suppress(StorageError):
                for row in rows:
                    assert repr(row) == repr(expected.pop(0))
                assert not expected
        self.listings.clear()
        self.caches = [self.opened()]

    @precondition(lambda self: self.is_kept)
    @rule()
    def crash(self):
        """What the folder holds at this moment is all that is left."""
        self.generation += 1
        left = Path(self.folder.name, str(self.generation))
        self.copy(left)
        self.close()
        self.path = left
        self.caches = [self.opened()]

    def copy(self, target):
        store = self.caches[0]._opened.base
        with store._lock:
            # Files can't be copied as they are at one moment while SQLite writes them.
            store._wait_until_moved()
            copied(self.path, target)

    @precondition(lambda self: self.is_kept)
    @rule(which=WHICH)
    def destroy(self, which):
        self.finish_listings()
        self.cache(which).destroy()
        assert not self.path.exists()
        self.close()
        self.model.clear()
        self.caches = [self.opened()]

    def close(self):
        self.finish_listings()
        for cache in self.caches:
            cache.close()

    # What always holds

    def rows(self):
        return listed(self.model, backwards=False, from_key=None, prefix=None)

    @invariant()
    def it_is_what_the_model_is(self):
        for cache in self.caches:
            assert len(cache) == len(self.model)
            assert repr([*cache.items()]) == repr(self.rows())

    def teardown(self):
        self.close()
        self.folder.cleanup()


def copied(path, target):
    """Copy a folder; a segment of the journal that isn't needed any more may go meanwhile."""
    while True:
        try:
            shutil.copytree(path, target)
            return
        except shutil.Error:
            shutil.rmtree(target)


class LifeInLittleMemory(Life):
    """Memory is moved into the tables all the time."""

    def __init__(self):
        self.patch = pytest.MonkeyPatch()
        small = partial(DurableStore, most_bytes=500)
        self.patch.setitem(opened._stores, "diskcache", small)
        super().__init__()

    def teardown(self):
        super().teardown()
        self.patch.undo()


class LifeInMemory(Life):
    """Without a folder."""

    kind = ":memory:"

    def opened(self):
        return Cache(":memory:")


class LifeInRocks(Life):
    """In the files of RocksDB."""

    kind = "rocksdb"

    def copy(self, target):
        copied(self.path, target)


LIVES = int(os.environ.get("RIVULET_LIVES", "6"))
"""How many of each kind are tried; one in memory costs far less."""

for machine, lives in (
    (Life, LIVES),
    (LifeInLittleMemory, LIVES),
    (LifeInMemory, 5 * LIVES),
    (LifeInRocks, LIVES),
):
    machine.TestCase.settings = settings(max_examples=lives, stateful_step_count=30, deadline=None)

TestLife = Life.TestCase
TestLifeInLittleMemory = LifeInLittleMemory.TestCase
TestLifeInMemory = LifeInMemory.TestCase

TestLifeInRocks = pytest.mark.skipif(
    find_spec("rocksdict") is None and os.environ.get("CI") != "true",
    reason="rocksdict can't be imported: pip install -e '.[test]'",
)(LifeInRocks.TestCase)
