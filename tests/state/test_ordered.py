"""``OrderedMap``: order, and listings that see the map as it was when they began."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from rivulet.state.ordered import OrderedMap

KEYS = st.binary(max_size=2)
BOUNDS = st.none() | KEYS


def expected(model, start, stop, backwards):
    """What a listing of a dict would be."""
    rows = [
        (key, value)
        for key, value in sorted(model.items())
        if (start is None or key >= start) and (stop is None or key < stop)
    ]
    return rows[::-1] if backwards else rows


class Listings(RuleBasedStateMachine):
    """Any writes, with any number of listings open at any place."""

    listings = Bundle("listings")

    def __init__(self):
        super().__init__()
        self.map = OrderedMap()
        self.model = {}

    @rule(key=KEYS, value=st.integers())
    def put(self, key, value):
        self.map.put(key, value)
        self.model[key] = value

    @rule(keys=st.lists(KEYS, max_size=30))
    def put_many(self, keys):
        for key in keys:
            self.put(key, len(self.model))

    @rule(key=KEYS)
    def delete(self, key):
        assert self.map.delete(key) == (self.model.pop(key, None) is not None)

    @rule()
    def clear(self):
        self.map.clear()
        self.model.clear()

    @rule(target=listings, start=BOUNDS, stop=BOUNDS, backwards=st.booleans())
    def begin(self, start, stop, backwards):
        listing = self.map.list(start, stop, backwards=backwards)
        return listing, expected(self.model, start, stop, backwards)

    @rule(pair=listings, count=st.integers(1, 5))
    def read(self, pair, count):
        listing, rest = pair
        for _ in range(count):
            assert next(listing, None) == (rest.pop(0) if rest else None)

    @rule(pair=consumes(listings))
    def read_to_the_end(self, pair):
        listing, rest = pair
        assert list(listing) == rest

    @rule(pair=consumes(listings))
    def close(self, pair):
        pair[0].close()
        assert next(pair[0], None) in (None, *pair[1])

    @invariant()
    def lookups_agree(self):
        assert len(self.map) == len(self.model)
        assert all(self.map.get(key) == value for key, value in self.model.items())


Listings.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestListings = Listings.TestCase


@given(st.dictionaries(KEYS, st.integers()), BOUNDS, BOUNDS, st.booleans())
def test_a_listing_is_sorted_and_between_its_bounds(model, start, stop, backwards):
    found = OrderedMap()
    for key, value in model.items():
        found.put(key, value)
    assert list(found.list(start, stop, backwards=backwards)) == expected(
        model, start, stop, backwards
    )


def test_a_missing_key_is_none_and_not_in_it():
    found = OrderedMap()
    found.put(b"a", 0)
    assert (found.get(b"a"), found.get(b"b")) == (0, None)
    assert (b"a" in found, b"b" in found) == (True, False)
    assert not found.delete(b"b")


def test_a_listing_that_writes_in_front_of_itself_ends():
    found = OrderedMap()
    for number in range(100):
        found.put(number.to_bytes(2, "big"), number)
    seen = 0
    for key, value in found.list():
        found.put((value + 1000).to_bytes(2, "big"), value)
        found.delete(key)
        seen += 1
    assert seen == len(found) == 100


@pytest.mark.parametrize("how", ["end", "close", "drop"])
def test_a_listing_that_is_over_keeps_nothing(how):
    found = OrderedMap()
    found.put(b"a", 1)
    listing = found.list()
    found.put(b"a", 2)
    if how == "end":
        assert list(listing) == [(b"a", 1)]
    elif how == "close":
        listing.close()
    else:
        del listing
    assert found._seen == []


def test_threads_lose_no_write_and_listings_stay_whole():
    found = OrderedMap()
    barrier = threading.Barrier(4)
    broken = []

    def write(thread):
        barrier.wait()
        for number in range(500):
            found.put(b"%d.%04d" % (thread, number), number)
            if number % 50 == 0:
                keys = [key for key, _ in found.list(b"%d" % thread, b"%d" % (thread + 1))]
                if keys != [b"%d.%04d" % (thread, n) for n in range(number + 1)]:
                    broken.append(keys)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2000
    assert not broken
