"""``ttl=`` and ``size_limit=``: the oldest entries go, and nothing else does."""

from __future__ import annotations

import os
from contextlib import suppress
from copy import deepcopy
from types import SimpleNamespace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rivulet import Cache, StorageError
from rivulet.state import limits
from rivulet.state.entry import PLAIN, payload_of, stamp_of
from rivulet.state.limits import FIRST, Limited
from rivulet.state.memory import MemoryStore

EXAMPLES = int(os.environ.get("RIVULET_EXAMPLES", "150"))
STAMP = 8
KEYS = st.sampled_from([FIRST + bytes([number]) for number in range(8)])
VALUES = st.integers(0, 30).map(lambda size: b"x" * size)
WRITES = st.lists(st.tuples(KEYS, st.none() | VALUES), max_size=8)
TTLS = st.none() | st.sampled_from([1e-9, 3e-9, 10e-9, 40e-9])
SIZES = st.none() | st.integers(1, 200)


class Clock:
    """Goes only when it is told to, also back."""

    def __init__(self):
        self.now = 1000

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(limits, "time", SimpleNamespace(time_ns=clock))
    return clock


@pytest.fixture(params=["folder", ":memory:"])
def place(request, tmp_path):
    return tmp_path / "cache" if request.param == "folder" else ":memory:"


def entry(value):
    return PLAIN + value


def checked(inner):
    """What a store holds, by age, after its index and its size were found to be right."""
    found = {key: data for key, data in inner.list(FIRST)}
    index = {key: data for key, data in inner.list(b"\x02", b"\x03")}
    assert {key: int.from_bytes(at[1:], "big") for at, key in index.items()} == {
        key: stamp_of(data) for key, data in found.items()
    }
    assert len(index) == len(found)
    size = sum(len(key) + len(data) for key, data in found.items())
    assert int.from_bytes(inner.get(b"\x01size"), "big") == size
    return {key: payload_of(found[key]) for key in index.values()}


class Model:
    """Keys to stamps and values, in the order of writing."""

    def __init__(self):
        self.entries = {}
        self.ttl = self.size_limit = None
        self.last = 0
        self.expired = self.evicted = 0

    def room_of(self, key, value):
        return len(key) + len(entry(value)) + STAMP

    def refuses(self, writes):
        return self.size_limit is not None and any(
            value is not None and self.room_of(key, value) > self.size_limit
            for key, value in writes
        )

    def write(self, writes, now):
        for key, value in writes:
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries.pop(key, None)
                self.last = max(self.last + 1, now)
                self.entries[key] = self.last, value

    def is_over(self, key, now):
        return self.ttl is not None and self.entries[key][0] + self.ttl <= now

    def purge(self, now):
        for key in [*self.entries]:
            if not self.is_over(key, now):
                break
            del self.entries[key]
            self.expired += 1
        while self.size_limit is not None and self.size_limit < sum(
            self.room_of(key, value) for key, (_, value) in self.entries.items()
        ):
            del self.entries[next(iter(self.entries))]
            self.evicted += 1

    def limit(self, ttl, size_limit):
        self.ttl = None if ttl is None else round(ttl * 1e9)
        self.size_limit = size_limit

    def forget_last(self):
        """An opened store knows the stamps that it finds."""
        self.last = max((stamp for stamp, _ in self.entries.values()), default=0)

    def values(self):
        return {key: value for key, (_, value) in self.entries.items()}


class Ageing(RuleBasedStateMachine):
    """Writes, and a clock that goes as it likes."""

    def __init__(self):
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.clock = Clock()
        self.patch.setattr(limits, "time", SimpleNamespace(time_ns=self.clock))
        self.patch.setattr(limits, "_AT_ONCE", 3)
        self.inner = MemoryStore()
        self.store = Limited(self.inner)
        self.model = Model()
        self.listings = []

    def teardown(self):
        for rows, expected in self.listings:
            assert [*rows] == expected
        self.patch.undo()

    @rule(writes=WRITES)
    def write(self, writes):
        writes = [(key, None if value is None else entry(value)) for key, value in writes]
        plain = [(key, None if value is None else value[1:]) for key, value in writes]
        if self.model.refuses(plain):
            with pytest.raises(StorageError, match=r"bytes can't be kept where all may take"):
                self.store.write(writes)
            self.model.last = self.store._last
        else:
            self.store.write(writes)
            self.model.write(plain, self.clock.now)

    @rule(key=KEYS, value=VALUES)
    def put(self, key, value):
        if self.model.refuses([(key, value)]):
            with pytest.raises(StorageError, match=r"give a larger size_limit"):
                self.store.put(key, entry(value))
            self.model.last = self.store._last
        else:
            self.store.put(key, entry(value))
            self.model.write([(key, value)], self.clock.now)

    @rule(key=KEYS)
    def delete(self, key):
        there = key in self.model.entries and not self.model.is_over(key, self.clock.now)
        assert self.store.delete(key) == there
        if there:
            del self.model.entries[key]

    @rule(step=st.sampled_from([1, 2, 5, 20, 100]) | st.integers(-50, 50))
    def pass_time(self, step):
        """What is over is not found, also before it is removed."""
        self.clock.now += step
        for key in self.model.entries:
            assert (key in self.store) == (not self.model.is_over(key, self.clock.now))

    @rule(ttl=TTLS, size_limit=SIZES)
    def limit(self, ttl, size_limit):
        self.store.limit(ttl, size_limit)
        self.model.limit(ttl, size_limit)

    @rule(ttl=TTLS, size_limit=SIZES)
    def reopen(self, ttl, size_limit):
        assert Limited.is_used_in(self.inner)
        self.store = Limited(self.inner, ttl=ttl, size_limit=size_limit)
        self.model.forget_last()
        self.model.limit(ttl, size_limit)
        self.model.expired = self.model.evicted = 0

    @precondition(lambda self: len(self.listings) < 3)
    @rule(
        start=st.none() | KEYS,
        stop=st.none() | KEYS,
        backwards=st.booleans(),
        read=st.integers(0, 3),
    )
    def list(self, start, stop, backwards, read):
        """It stays as it was when it was made, whatever ends meanwhile."""
        self.model.purge(self.clock.now)
        rows = self.store.list(start, stop, backwards=backwards)
        expected = [
            (key, value)
            for key, value in sorted(self.model.values().items(), reverse=backwards)
            if (start is None or key >= start) and (stop is None or key < stop)
        ]
        rows = ((key, payload_of(data)) for key, data in rows)
        for row in expected[:read]:
            assert next(rows) == row
        self.listings.append((rows, expected[read:]))

    @invariant()
    def it_holds_what_the_model_does_and_its_index_is_right(self):
        model, store = self.model, self.store
        model.purge(self.clock.now)
        assert len(store) == len(model.entries)
        assert checked(self.inner) == model.values()
        assert [(key, payload_of(data)) for key, data in store.list()] == sorted(
            model.values().items()
        )
        assert all(payload_of(store.get(key)) == value for key, value in model.values().items())
        assert (store.expired, store.evicted) == (model.expired, model.evicted)


Ageing.TestCase.settings = settings(
    max_examples=EXAMPLES // 2, stateful_step_count=40, deadline=None
)
TestAgeing = Ageing.TestCase


class Stops(Exception):
    """The process was killed here."""


class Mortal:
    """A store that does so many writes and no more."""

    def __init__(self, inner, writes):
        self._inner = inner
        self.left = writes

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def __len__(self):
        return len(self._inner)

    def __contains__(self, key):
        return key in self._inner

    def _count(self):
        if not self.left:
            raise Stops
        self.left -= 1

    def put(self, key, value):
        self._count()
        self._inner.put(key, value)

    def delete(self, key):
        self._count()
        return self._inner.delete(key)

    def write(self, operations):
        self._count()
        self._inner.write(operations)


STEPS = st.lists(
    st.tuples(st.just("write"), WRITES)
    | st.tuples(st.just("limit"), st.tuples(TTLS, SIZES))
    | st.tuples(st.just("reopen"), st.tuples(TTLS, SIZES))
    | st.tuples(st.just("pass"), st.integers(-5, 20)),
    max_size=10,
)


def lives(inner, steps, clock, model):
    """Do steps on a limited store; gives what each is about to write.

    The model has what was there before the step, and the limits that hold with it.
    """
    store = Limited(inner)
    for step, argument in steps:
        writes = []
        match step:
            case "write" if not model.refuses(argument):
                yield (writes := argument)
                store.write([(k, None if v is None else entry(v)) for k, v in writes])
            case "pass":
                clock.now += argument
            case "limit":
                model.limit(*argument)
                yield []
                store.limit(*argument)
            case "reopen":
                model.limit(*argument)
                yield []
                store = Limited(inner, ttl=argument[0], size_limit=argument[1])
        yield writes
        len(store)
        model.write(writes, clock.now)
        model.purge(clock.now)
        if step == "reopen":
            model.forget_last()


def is_between(found, model, now):
    """Whether only the oldest were dropped, and no more than had to be."""
    rows, most = [*found.items()], [*model.values().items()]
    model.purge(now)
    least = [*model.values().items()]
    return rows == most[len(most) - len(rows) :] and least == rows[len(rows) - len(least) :]


@given(before=st.dictionaries(KEYS, VALUES), steps=STEPS)
@example(before={FIRST + bytes([n]): b"x" for n in range(8)}, steps=[])
@settings(max_examples=EXAMPLES, deadline=None)
def test_a_crash_between_any_two_writes_loses_and_invents_nothing(before, steps):
    """``before`` is what a store without limits held when it got them."""
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(limits, "time", SimpleNamespace(time_ns=clock))
        patch.setattr(limits, "_AT_ONCE", 3)
        for count in range(60):
            clock.now = 1000
            inner, model, under_way = MemoryStore(), Model(), []
            for key, value in before.items():
                inner.put(key, entry(value))
            model.write(sorted(before.items()), clock.now)
            died = True
            with suppress(Stops):
                for under_way in lives(Mortal(inner, count), steps, clock, model):
                    pass
                died = False
            if not Limited.is_used_in(inner):
                assert {key: payload_of(data) for key, data in inner.list()} == before
            # Opened again, whatever was left half done is completed.
            again = Limited(inner)
            found = checked(inner)
            assert len(again) == len(found)
            after = deepcopy(model)
            after.write(under_way if died else [], clock.now)
            assert is_between(found, model, clock.now) or is_between(found, after, clock.now)
            if not died:
                break
        else:
            raise AssertionError("it wrote more often than it was thought to")


# A cache with limits


def test_entries_end_after_their_time(place, clock):
    with Cache(place, ttl=10e-9) as cache:
        cache["a"], cache["b"] = 1, 2
        clock.now += 5
        cache["b"] = 3
        clock.now += 4
        assert list(cache.items()) == [("a", 1), ("b", 3)]
        clock.now += 1
        assert ("a" in cache, cache["a"], cache.get("a", "gone")) == (False, None, "gone")
        assert list(cache.items()) == [("b", 3)]
        assert len(cache) == 1
        clock.now += 10
        assert list(cache) == list(cache.items(prefix="b")) == []
        assert len(cache) == 0
        assert cache.stats().expired == 2
        assert cache.stats().evicted == 0


def test_the_entries_that_were_written_longest_ago_give_way(place):
    with Cache(place, size_limit=1000) as cache:
        for number in range(100):
            cache[number] = b"x" * 80
            cache["first"] = 0
        kept = [key for key in cache if key != "first"]
        assert 5 < len(kept) < 12
        assert kept == [*range(100 - len(kept), 100)]
        assert cache["first"] == 0
        assert len(cache) == len(kept) + 1
        assert cache.stats().evicted == 100 - len(kept)


def test_a_batch_over_the_limit_keeps_what_was_written_last(place):
    with Cache(place, size_limit=500) as cache:
        cache["old"] = 1
        with cache.batch() as batch:
            for number in range(50):
                batch[number] = b"x" * 80
            batch[0] = b"y" * 80
        kept = list(cache)
        assert kept == [0, *range(50 - len(kept) + 1, 50)]
        assert 3 < len(kept) < 6
        assert cache[0] == b"y" * 80


def test_an_entry_that_is_larger_than_the_limit_is_refused_and_nothing_is_changed(place):
    with Cache(place, size_limit=500) as cache:
        cache["a"], cache["b"] = 1, 2
        with pytest.raises(StorageError, match=r"can't be kept where all may take 500: give a"):
            cache["a"] = b"x" * 500
        with pytest.raises(StorageError, match="give a larger size_limit"), cache.batch() as batch:
            del batch["b"]
            batch["c"] = 3
            batch["d"] = b"x" * 500
        assert list(cache.items()) == [("a", 1), ("b", 2)]
        assert cache.stats().evicted == 0


def test_a_folder_gets_other_limits_and_none_and_limits_again(tmp_path, clock):
    with Cache(tmp_path) as cache:
        for number in range(10):
            cache[number] = number
    clock.now += 100
    with Cache(tmp_path, ttl=10e-9) as cache:
        assert list(cache) == [*range(10)]
        clock.now += 5
        cache["new"] = 1
    with Cache(tmp_path) as cache:
        clock.now += 1000
        assert list(cache) == [*range(10), "new"]
        assert len(cache) == 11
        cache["newer"] = 2
        del cache[0]
        assert repr(cache.stats()).startswith("CacheStats(keys=11,")
    with Cache(tmp_path, size_limit=40) as cache:
        assert list(cache) == ["new", "newer"]
        with Cache(tmp_path, ttl=10e-9) as second:
            assert list(second) == list(cache) == ["newer"]
        with Cache(tmp_path) as second:
            clock.now += 10
            assert list(second) == list(cache) == []
    with Cache(tmp_path) as cache:
        assert len(cache) == 0


def test_limits_hold_for_what_is_already_there(tmp_path):
    with Cache(tmp_path) as cache:
        for number in range(3000):
            cache[number] = number
        with Cache(tmp_path, size_limit=2000) as second:
            assert list(cache) == list(second) == [*range(3000 - len(cache), 3000)]
            assert 50 < len(cache) < 100


def test_a_clock_that_goes_back_ends_nothing_early_and_keeps_the_order(place, clock):
    with Cache(place, ttl=100e-9) as cache:
        cache["a"] = 1
        clock.now -= 500
        cache["b"] = 2
        assert list(cache) == ["a", "b"]
        clock.now += 100
        assert list(cache) == ["a", "b"]
        clock.now += 501
        assert list(cache) == []
        assert len(cache) == 0
    with Cache(place, size_limit=30) as cache:
        cache["a"] = 1
        clock.now -= 500
        cache["b"] = 2
        clock.now -= 500
        cache["c"] = 3
        assert list(cache) == ["b", "c"]


def test_an_entry_of_an_emptied_cache_ends_in_time_when_the_clock_was_put_back(place, clock):
    with Cache(place, ttl=100e-9) as cache:
        assert len(cache) == 0
        clock.now -= 500
        cache["a"] = 1
        clock.now += 100
        assert "a" not in cache
        assert list(cache) == []
        assert len(cache) == 0


def test_what_can_t_be_removed_is_not_seen_either(tmp_path, clock, monkeypatch):
    """On a full disk what is left can still be read."""
    with Cache(tmp_path, ttl=100e-9) as cache:
        cache["a"] = 1
        clock.now += 50
        cache["b"] = 2
        clock.now += 50
        with monkeypatch.context() as patch:
            base = cache._opened.base

            def full(operations):
                raise StorageError("the disk is full")

            patch.setattr(base._journal, "append_batch", full)
            assert list(cache.items()) == [("b", 2)]
            assert list(cache.keys(backwards=True)) == ["b"]
            assert len(cache) == 1
            with pytest.raises(StorageError, match="the disk is full"):
                cache["c"] = 3
            assert list(cache) == ["b"]
            assert cache.stats().expired == 0
        assert list(cache) == ["b"]
        assert cache.stats().expired == 1


def test_a_write_that_was_done_is_no_error_because_others_could_not_be_dropped(
    tmp_path, monkeypatch
):
    """Its room is made in the same batch, so it is there or it isn't."""
    with Cache(tmp_path, size_limit=200) as cache:
        done = {}
        for number in range(50):
            base = cache._opened.base
            with monkeypatch.context() as patch:
                if number % 3:
                    append, left = base._journal.append_batch, [1]

                    def once(operations, append=append, left=left):
                        if not left:
                            raise StorageError("the disk is full")
                        left.pop()
                        append(operations)

                    patch.setattr(base._journal, "append_batch", once)
                cache[number] = b"x" * 40
                done[number] = b"x" * 40
                assert list(cache.items()) == [*done.items()][-len(cache) :]
                assert len(cache) <= 3


def test_limits_that_can_t_be_brought_in_leave_nothing_half_done(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_AT_ONCE", 3)
    first = Cache(tmp_path)
    for number in range(20):
        first[number] = number
    base = first._opened.base
    append, left = base._journal.append_batch, [1] * 4

    def some(operations):
        if not left:
            raise StorageError("the disk is full")
        left.pop()
        append(operations)

    with monkeypatch.context() as patch:
        patch.setattr(base._journal, "append_batch", some)
        with pytest.raises(StorageError, match="the disk is full"):
            Cache(tmp_path, ttl=1000)
    with pytest.raises(StorageError, match=r"could not be limited: the disk is full"):
        first["a"] = 1
    first.close()
    with Cache(tmp_path) as cache:
        assert list(cache.items()) == [(number, number) for number in range(20)]
        assert len(cache) == 20
        checked(cache._opened.base)
