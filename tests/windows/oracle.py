"""What windows should give, by going through all data, and orders in which items may come."""

from __future__ import annotations

from hypothesis import strategies as st

from rivulet import Stream, testing

SECOND = 1_000_000
EVENTS = st.lists(
    st.tuples(st.integers(-20, 60), st.sampled_from("ab"), st.integers(-3, 9)), max_size=25
)
DELAY = 7
"""Items come at most so many seconds later than others that happened after them."""


@st.composite
def arrivals(draw, events=EVENTS, delay=DELAY):
    """Events in an order in which none is late."""
    rows = draw(events)
    delays = draw(st.lists(st.integers(0, delay), min_size=len(rows), max_size=len(rows)))
    order = sorted(range(len(rows)), key=lambda i: rows[i][0] + delays[i])
    return [rows[i] for i in order]


def timed(rows, **options):
    return Stream(rows).event_time(lambda row: row[0], **options)


def run(stream):
    return testing.run(stream.collect())


def plain(window):
    """Key, start and end in seconds, and value."""
    return (window.key, window._start / SECOND, window._end / SECOND, window.value)


def ordered(results):
    return sorted(results, key=repr)


def tumbling(rows, size, origin=0):
    return hopping(rows, size, size, origin)


def hopping(rows, size, every, origin=0):
    """For each key and window that has items: the items by time, then by arrival."""
    found = {}
    for t, key, x in rows:
        start = t - (t - origin) % every
        while start > t - size:
            found.setdefault((key, start, start + size), []).append((t, x))
            start -= every
    return by_time(found)


def by_time(found):
    return {
        bounds: [x for _, x in sorted(items, key=lambda item: item[0])]
        for bounds, items in found.items()
    }


def sessions(rows, gap):
    found = {}
    for key in {key for _, key, _ in rows}:
        items = sorted(((t, x) for t, k, x in rows if k == key), key=lambda item: item[0])
        run_ = []
        for t, x in items:
            if run_ and t >= run_[-1][0] + gap:
                found[(key, run_[0][0], run_[-1][0] + gap)] = [x for _, x in run_]
                run_ = []
            run_.append((t, x))
        found[(key, run_[0][0], run_[-1][0] + gap)] = [x for _, x in run_]
    return found


def sliding(rows, size):
    """For each item: key, bounds and the items of its key in them."""
    found = []
    for t, key, _ in rows:
        inside = [(u, x) for u, k, x in rows if k == key and t - size <= u <= t]
        found.append((key, t - size, t, [x for _, x in sorted(inside, key=lambda i: i[0])]))
    return found
