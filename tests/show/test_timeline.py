"""``timeline``: what happened in time, as text and as marbles."""

from __future__ import annotations

import asyncio
from datetime import datetime as dt
from textwrap import dedent
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rivulet
from rivulet import (
    Cache,
    Checkpoint,
    Dependency,
    EndlessError,
    GraphError,
    Stream,
    Timeline,
    testing,
)
from rivulet.aggregators import Count, Counts, Mean
from rivulet.testing import marbles
from tests.ops.cases import CASES, MANY

MESSAGES = [
    ("🏆", 0.0),
    ("📞", 0.5),
    ("🐟", 1.0),
    ("👌", 2.0),
    ("🏆", 3.5),
    ("📞", 4.0),
    ("🐟", 5.0),
    ("👌", 5.5),
]
WEATHER = [
    {"timestamp": dt(2023, 1, 1, 10), "value": "sun"},
    {"timestamp": dt(2023, 1, 1, 11), "value": "clouds"},
    {"timestamp": dt(2023, 1, 1, 12), "value": "showers"},
    {"timestamp": dt(2023, 1, 1, 13), "value": "rain"},
]
ACTIVITIES = [
    {"timestamp": dt(2023, 1, 1, 10, 30), "value": "swimming"},
    {"timestamp": dt(2023, 1, 1, 11, 30), "value": "walking home"},
    {"timestamp": dt(2023, 1, 1, 12, 30), "value": "shopping"},
    {"timestamp": dt(2023, 1, 1, 13, 10), "value": "lunch"},
]


def same(timeline, text):
    assert dedent(str(timeline)) == dedent(text).strip("\n")


def drawn(timeline, text):
    assert timeline.marbles() == dedent(text).strip("\n")


def seconds(*times, **more):
    return Stream(times).event_time(lambda t: t, **more)


def notes(timeline, kind="window"):
    """What is said at the end of each line of a kind."""
    lines = zip(str(timeline).splitlines(), timeline.events, strict=False)
    return [line.split("  ")[-1].strip() for line, event in lines if event.kind == kind]


def kinds(timeline):
    return [event.kind for event in timeline.events]


# Windows


async def test_the_sliding_window_of_the_cookbook():
    messages = Stream(MESSAGES).event_time(1)
    windows = messages.window(sliding=3).agg(counts=Counts(0))
    timeline = await windows.timeline()
    same(
        timeline,
        """
         #1  00:00:00.0  item    🏆                                              watermark 00:00:00.0
         #2  00:00:00.0  window  23:59:57.0-00:00:00.0 → 🏆=1                    by #1
         #3  00:00:00.5  item    📞                                              watermark 00:00:00.5
         #4  00:00:00.5  window  23:59:57.5-00:00:00.5 → 🏆=1, 📞=1              by #3
         #5  00:00:01.0  item    🐟                                              watermark 00:00:01.0
         #6  00:00:01.0  window  23:59:58.0-00:00:01.0 → 🏆=1, 📞=1, 🐟=1        by #5
         #7  00:00:02.0  item    👌                                              watermark 00:00:02.0
         #8  00:00:02.0  window  23:59:59.0-00:00:02.0 → 🏆=1, 📞=1, 🐟=1, 👌=1  by #7
         #9  00:00:03.5  item    🏆                                              watermark 00:00:03.5
        #10  00:00:03.5  window  00:00:00.5-00:00:03.5 → 📞=1, 🐟=1, 👌=1, 🏆=1  by #9
        #11  00:00:04.0  item    📞                                              watermark 00:00:04.0
        #12  00:00:04.0  window  00:00:01.0-00:00:04.0 → 🐟=1, 👌=1, 🏆=1, 📞=1  by #11
        #13  00:00:05.0  item    🐟                                              watermark 00:00:05.0
        #14  00:00:05.0  window  00:00:02.0-00:00:05.0 → 👌=1, 🏆=1, 📞=1, 🐟=1  by #13
        #15  00:00:05.5  item    👌                                              watermark 00:00:05.5
        #16  00:00:05.5  window  00:00:02.5-00:00:05.5 → 🏆=1, 📞=1, 🐟=1, 👌=1  by #15
        """,
    )
    drawn(
        timeline,
        """
        messages                                 -🏆------📞----🐟----👌----🏆-----📞-----🐟-----👌-----|
        window(sliding=3).agg(counts=Counts(0))  ----🏆=1----#4----#6----#8----#10----#12----#14----#16-|
        """,
    )


async def test_windows_with_keys_that_close_and_an_item_that_is_late():
    readings = [(0, "attic", 20), (4, "attic", 22), (12, "cellar", 9), (3, "attic", 24)]
    stamped = Stream(readings).event_time(0, max_delay=1)
    same(
        await stamped.window(tumbling=10, by=1).agg(n=Count(), mean=Mean(2)).timeline(),
        """
        #1  00:00:00  item    attic · 20                              watermark 23:59:59
        #2  00:00:04  item    attic · 22                              watermark 00:00:03
        #3  00:00:12  item    cellar · 9                              watermark 00:00:11
        #4  00:00:09  window  attic 00:00:00-00:00:10 → n=2, mean=21  closed by #3
        #5  00:00:03  item    attic · 24                              watermark 00:00:11
        #6  00:00:03  late    attic · 24                              by 8 s, #5
        #7  00:00:19  window  cellar 00:00:10-00:00:20 → n=1, mean=9  closed at the end
        """,
    )


async def test_early_results_and_updates_say_so():
    timeline = await seconds(1, 2, 12).window(tumbling=10, emit="update").count().timeline()
    assert notes(timeline) == [
        "so far, by #1",
        "so far, by #3",
        "closed by #5",
        "so far, by #5",
        "closed at the end",
    ]


async def test_a_session_that_goes_into_another_is_taken_back():
    stamped = seconds(1, 20, 10, max_delay=30)
    timeline = await stamped.window(session=10.5, emit="update").count().timeline()
    assert notes(timeline)[2:] == ["taken back, by #5", "so far, by #5", "closed at the end"]


async def test_what_is_closed_by_silence_says_so():
    async def quiet():
        yield 1
        yield 2
        await asyncio.sleep(30)

    stamped = Stream(quiet).event_time(lambda t: t, idle=2, on_idle="advance")
    assert notes(await stamped.window(tumbling=5).count().timeline()) == ["closed by silence"]


async def test_windows_of_windows_name_the_item_that_closed_both():
    counts = seconds(1, 2, 11, 25).window(tumbling=5).count()
    timeline = await counts.window(tumbling=20).collect().timeline()
    closed = [event for event in timeline.events if event.kind == "window"]
    assert [(e.lane.split("=")[1][:2], e.cause and e.cause.item) for e in closed] == [
        ("5)", 11),
        ("5)", 25),
        ("20", 25),
        ("5)", None),
        ("20", None),
    ]


@pytest.mark.parametrize("kind", ["buffered", "merged"])
async def test_behind_a_boundary_a_window_still_names_the_item_that_closed_it(kind):
    stamped = seconds(1, 11, 12, 25)
    if kind == "buffered":
        timeline = await stamped.buffer(3).window(tumbling=10).count().timeline()
    else:
        other = seconds(2, 3, 15, 26)
        timeline = await stamped.merge(other).window(tumbling=10).count().timeline()
    closed = [event.cause and event.cause.item for event in timeline.events if event.why == ""]
    assert [item for item in closed if item] == ([11, 25] if kind == "buffered" else [15, 26])
    assert notes(timeline)[-1] == "closed at the end"


async def test_windows_by_count_show_what_came_in_its_order():
    same(
        await Stream("abc").window(count=2).collect().timeline(),
        """
        #1    item    a
        #2    item    b
        #3    window  → a, b  closed by #2
        #4    item    c
        #5    window  → c     closed at the end
        """,
    )


async def test_windows_by_the_wall_clock_are_shown_where_it_was():
    async def ticks():
        for n in range(3):
            yield n
            await asyncio.sleep(4)

    timeline = await Stream(ticks).window(tumbling=5, time="processing").count().timeline()
    assert kinds(timeline).count("item") == 3
    first, _, last = [event for event in timeline.events if event.kind == "item"]
    assert last.time - first.time == 8_000_000


# Joins


async def test_the_weather_join_of_the_cookbook():
    weather = Stream(WEATHER)
    activities = Stream(ACTIVITIES)
    timeline = await activities.join_asof(weather, on="timestamp").timeline()
    same(
        timeline,
        """
         #1  10:00  weather     sun                          watermark 10:00
         #2  10:30  activities  swimming                     watermark 10:30
         #3  10:30  match       #2 swimming ← #1 sun         30 min old
         #4  11:00  weather     clouds                       watermark 11:00
         #5  11:30  activities  walking home                 watermark 11:30
         #6  11:30  match       #5 walking home ← #4 clouds  30 min old
         #7  12:00  weather     showers                      watermark 12:00
         #8  12:30  activities  shopping                     watermark 12:30
         #9  12:30  match       #8 shopping ← #7 showers     30 min old
        #10  13:00  weather     rain                         watermark 13:00
        #11  13:10  activities  lunch                        watermark 13:10
        #12  13:10  match       #11 lunch ← #10 rain         10 min old
        """,
    )
    drawn(
        timeline,
        """
        weather      -sun-------clouds-------#7-------rain-----------|
        activities   -----#2-----------#5-------#8---------lunch-----|
        join_asof()  --------#3-----------#6-------#9------------#12-|
        """,
    )


async def test_a_match_that_was_waited_for_names_what_made_it_certain():
    weather = Stream(WEATHER)
    activities = Stream(ACTIVITIES)
    joined = activities.join_asof(
        weather, on="timestamp", direction="nearest", wait="watermark", tolerance="25m"
    )
    same(
        await joined.timeline(),
        """
         #1  10:00  weather     sun                        watermark 10:00
         #2  10:30  activities  swimming                   watermark 10:30
         #3  11:00  weather     clouds                     watermark 11:00
         #4  10:30  alone       #2 swimming ← nothing      by #3
         #5  11:30  activities  walking home               watermark 11:30
         #6  12:00  weather     showers                    watermark 12:00
         #7  11:30  alone       #5 walking home ← nothing  by #6
         #8  12:30  activities  shopping                   watermark 12:30
         #9  13:00  weather     rain                       watermark 13:00
        #10  12:30  alone       #8 shopping ← nothing      by #9
        #11  13:10  activities  lunch                      watermark 13:10
        #12  13:10  match       #11 lunch ← #9 rain        10 min old, as weather ended
        """,
    )


async def test_a_correction_tells_what_was_given_before():
    trades = marbles("--t---|", event="---t")
    prices = marbles("a---b|", event="a-b")
    same(
        await trades.join_asof(prices, revise=True).timeline(),
        """
        #1  00:00:00  prices    a                            watermark 00:00:00
        #2  00:00:03  trades    t                            watermark 00:00:03
        #3  00:00:03  match     #2 t ← #1 a                  3 s old
        #4  00:00:02  prices    b                            watermark 00:00:02
        #5  00:00:03  revision  #2 t ← #4 b instead of #1 a  1 s old, by #4
        """,
    )


async def test_a_match_after_a_wait_that_was_too_long_says_so():
    late = marbles("---p|", event="-p")
    early = marbles("-t---|", event="--t")
    timeline = await early.join_asof(late, wait=1.0).timeline()
    assert notes(timeline, "alone") == ["as it had waited"]


async def test_what_others_have_put_into_the_cache_is_matched_with_its_age():
    cache = Cache(":memory:")
    before = {"timestamp": dt(2023, 1, 1, 9), "value": "moon"}
    cache.put(before["timestamp"].timestamp(), before)
    early = Stream([{"timestamp": dt(2023, 1, 1, 9, 30), "value": "running"}, *ACTIVITIES[:1]])
    with_weather = await early.join_asof(Stream(WEATHER), cache, on="timestamp").timeline()
    assert notes(with_weather, "match") == ["30 min old", "30 min old"]
    alone = await early.join_asof(None, cache, on="timestamp").timeline()
    same(
        alone,
        """
        #1  09:30  item   running            watermark 09:30
        #2  09:30  match  #1 running ← moon  30 min old
        #3  10:30  item   swimming           watermark 10:30
        #4  10:30  match  #3 swimming ← sun  30 min old
        """,
    )


async def test_an_interval_join_shows_each_pair_and_what_stays_alone():
    weather = Stream(WEATHER[:2])
    activities = Stream(ACTIVITIES[:2])
    joined = activities.join_interval(
        weather, on="timestamp", before="20m", after="30m", how="outer"
    )
    same(
        await joined.timeline(),
        """
        #1  10:00  weather     sun                        watermark 10:00
        #2  10:30  activities  swimming                   watermark 10:30
        #3  10:00  alone       nothing ← #1 sun           by #2
        #4  11:00  weather     clouds                     watermark 11:00
        #5  11:00  match       #2 swimming ← #4 clouds    30 min ahead
        #6  11:30  activities  walking home               watermark 11:30
        #7  11:30  alone       #6 walking home ← nothing  as weather ended
        """,
    )


async def test_a_join_in_windows_names_what_closed_them():
    weather = Stream(WEATHER[:2])
    activities = Stream(ACTIVITIES[:2])
    timeline = await activities.join(weather, window="1h", on="timestamp").timeline()
    assert notes(timeline, "match") == ["30 min old, by #4", "30 min old, as activities ended"]


async def test_equal_items_are_told_apart_by_their_times():
    left = Stream([("x", 1), ("x", 3)]).event_time(1)
    both = [("y", 0), ("y", 2)]
    right = Stream(both).event_time(1)
    timeline = await left.map(lambda pair: "x").join_asof(right.map(lambda pair: "y")).timeline()
    matches = [event for event in timeline.events if event.kind == "match"]
    assert [(e.left.time, e.right.time, e.age) for e in matches] == [
        (1_000_000, 0, 1_000_000),
        (3_000_000, 2_000_000, 1_000_000),
    ]


async def test_a_window_that_is_joined_is_shown_once():
    stamped = seconds(1, 2, 11, 12)
    counts = stamped.window(tumbling=10).count()
    timeline = await stamped.join_asof(counts).timeline()
    assert kinds(timeline).count("item") == 4
    assert kinds(timeline).count("window") == 2
    matches = [event for event in timeline.events if event.kind == "match"]
    assert {event.right.kind for event in matches} == {"window"}


async def test_windows_after_a_join_name_the_item_that_closed_them():
    left, right = seconds(1, 4, 6, 12), seconds(0, 5, 10)
    timeline = await left.join_asof(right).window(tumbling=5).count().timeline()
    assert notes(timeline) == ["closed by #7", "closed by #11", "closed at the end"]


# Gates


def gated(hold, **more):
    """The cookbook's synchronization, with a source of activities that can go back."""
    cache = Cache(":memory:")
    checkpoint = Checkpoint(
        "activity",
        dependencies=[Dependency("weather", downtime_threshold="1h" if hold == "after" else 0)],
    )

    def enrich(message):
        at = message[1]["timestamp"].timestamp()
        return next(cache.values(backwards=True, from_key=at))["value"]

    beats = Stream(weather_with_an_outage).beat(checkpoint, marker="timestamp")
    kept = beats.map(lambda w: (w["timestamp"].timestamp(), w)).to(cache)
    activities = Stream(Log(ACTIVITIES))
    passed = activities.gate(checkpoint, marker=lambda m: m[1]["timestamp"], hold=hold, **more)
    return passed.map(enrich).timeline(kept)


async def weather_with_an_outage():
    for row in WEATHER:
        await asyncio.sleep(1)
        yield row
        if row["value"] == "clouds":
            await asyncio.sleep(5)


class Log:
    """Rows, one a second, with their offsets."""

    def __init__(self, rows):
        self.rows, self.position = rows, 0

    async def __aiter__(self):
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while self.position < len(self.rows):
            await asyncio.sleep(max(0, begun + self.position + 1.1 - loop.time()))
            self.position += 1
            yield self.position - 1, self.rows[self.position - 1]

    async def seek(self, offsets):
        self.position = offsets["0"]


async def test_the_downtime_of_the_cookbook():
    timeline = await gated("after", state=lambda m: {"0": m[0]}, replay=True)
    same(
        timeline,
        """
         #1  10:00  weather     sun
         #2  10:30  activities  0 · swimming
         #3         out         sun
         #4  11:00  weather     clouds
         #5  11:30  activities  1 · walking home
         #6         out         clouds
         #7  12:30  activities  2 · shopping
         #8         out         clouds
         #9  12:30  down        2 · shopping      paused after #7: weather is 1 h 30 min behind
        #10  12:00  weather     showers
        #11  13:00  weather     rain
        #12  12:30  up          2 · shopping      paused for 5.9 s, until #11
        #13  12:30  activities  2 · shopping
        #14         out         showers
        #15  13:10  activities  3 · lunch
        #16         out         rain
        """,
    )
    drawn(
        timeline,
        """
        weather     -sun--------clouds-----------------------#10-rain--------------------|
        activities  -----#2------------#5--------#7--------~~~~~~~~~~~--#13-----#15------|
        out         --------sun-----------clouds----clouds------------------#14-----rain-|
        """,
    )


async def test_a_gate_that_holds_says_what_for_and_how_long():
    timeline = await gated("ahead")
    same(
        timeline,
        """
         #1  10:00  weather     sun
         #2  10:30  activities  0 · swimming
         #3  10:30  hold        0 · swimming      #2, until weather is as far: it is at 10:00
         #4  11:00  weather     clouds
         #5  10:30  pass        0 · swimming      #2 held for 900 ms, until #4
         #6         out         sun
         #7  11:30  activities  1 · walking home
         #8  11:30  hold        1 · walking home  #7, until weather is as far: it is at 11:00
         #9  12:00  weather     showers
        #10  11:30  pass        1 · walking home  #7 held for 5.9 s, until #9
        #11         out         clouds
        #12  12:30  activities  2 · shopping
        #13  12:30  hold        2 · shopping      #12, until weather is as far: it is at 12:00
        #14  13:00  weather     rain
        #15  12:30  pass        2 · shopping      #12 held for 1 s, until #14
        #16         out         showers
        #17  13:10  activities  3 · lunch
        #18         out         rain
        """,
    )


async def test_the_short_form_of_a_gate():
    weather = marbles("a--b--|", values={"a": 10, "b": 12})
    walks = marbles("-xyz|", values={"x": 9, "y": 11, "z": 13})
    timeline = await walks.gate(on=weather, marker=lambda hour: hour).timeline()
    same(
        timeline,
        """
        #1  00:00:10  weather  10
        #2  00:00:09  walks    9
        #3  00:00:11  walks    11
        #4  00:00:11  hold     11  #3, until weather is as far: it is at 00:00:10
        #5  00:00:12  weather  12
        #6  00:00:11  pass     11  #3 held for 1 s, until #5
        #7  00:00:13  walks    13
        #8  00:00:13  hold     13  #7, until weather is as far: it is at 00:00:12
        #9  00:00:13  pass     13  #7 held for 3 s, until weather ended
        """,
    )
    drawn(
        timeline,
        """
        weather  -10--------12------------|
        walks    ----9-11-~~~~~11-13-~~13-|
        """,
    )


async def test_what_a_gate_gave_up_says_so():
    timeline = await marbles("ab|").gate(on=Stream.never(), marker=len, max_hold=3).stale.timeline()
    assert notes(timeline, "hold") == [
        "#1, until never() is as far: it has not spoken",
        "#4, until never() is as far: it has not spoken",
    ]
    assert notes(timeline, "stale") == ["#1 held for 3 s, too long", "#4 held for 3 s, too long"]


async def test_markers_that_are_no_times_are_shown_without():
    def behind(c, d):
        return c.state_marker > d.checkpoint_marker

    checks = {"downtime_check": behind, "recovery_check": lambda c, d: not behind(c, d)}
    checkpoint = Checkpoint("gate", dependencies=[Dependency("letters", None, **checks)])
    beats = marbles("a--c|").beat(checkpoint, marker=lambda letter: letter)
    timeline = await marbles("-b|").gate(checkpoint, marker=str).timeline(beats)
    same(
        timeline,
        """
        #1    letters         a
        #2    marbles('-b|')  b
        #3    hold            b  #2, until letters is as far
        #4    letters         c
        #5    pass            b  #2 held for 2 s, until #4
        """,
    )


# Names, limits


async def test_lanes_are_called_as_the_variables_of_the_streams():
    clicks = Stream([1, 2]).event_time(lambda t: t)
    counts = clicks.window(tumbling=10).count()
    assert list((await counts.timeline()).lanes)[0] == "clicks"
    task = asyncio.create_task(counts.timeline())
    assert list((await task).lanes)[0] == "clicks"


async def test_lanes_without_a_variable_are_called_as_their_source():
    def readings():
        return [1, 2]

    stamped = Stream(readings).event_time(lambda t: t).window(tumbling=10)
    assert list((await stamped.count().timeline()).lanes)[0] == "readings"
    of = Stream.of(1, 2).event_time(lambda t: t).window(tumbling=10)
    assert list((await of.count().timeline()).lanes)[0] == "of(1, 2)"
    plain = Stream([1, 2]).event_time(lambda t: t).window(tumbling=10)
    assert list((await plain.count().timeline()).lanes)[0] == "items"


async def test_no_more_than_the_limit_is_read_of_each_input_and_that_is_said():
    read = []
    ticks = Stream.timer(1).tap(read.append).event_time(lambda t: t)
    timeline = await ticks.window(tumbling=2).count().timeline(limit=3)
    assert read == [0, 1, 2]
    assert str(timeline).splitlines()[-1] == "      ticks: no more than 3 were read, by limit="


async def test_the_right_side_of_a_join_is_read_as_long_as_the_left_goes_on():
    left = seconds(100, 101, 102, 103)
    right = seconds(*range(200))
    timeline = await left.join_asof(right).timeline(limit=2)
    assert notes(timeline, "match") == ["at the same time", "at the same time"]
    assert len(timeline) == 6
    assert sorted(str(timeline).splitlines()[-2:]) == [
        "      left: no more than 2 were read, by limit=",
        "      right: 101 more, which nothing was matched with",
    ]


async def test_without_inputs_that_are_recorded_the_limit_is_of_what_comes_out():
    ticks = Stream.timer(1).map(str)
    same(
        await ticks.timeline(limit=2),
        """
        #1    out  0
        #2    out  1
        """,
    )


def test_what_never_ends_needs_a_limit():
    with pytest.raises(EndlessError, match="use limit="):
        Stream.timer(1).timeline(limit=None)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "2"])
def test_a_limit_has_to_be_a_number_of_items(limit):
    with pytest.raises(GraphError, match="limit"):
        Stream([1]).timeline(limit=limit)


async def test_of_nothing_it_is_said_that_nothing_happened():
    assert str(await seconds().window(tumbling=1).count().timeline()) == "nothing happened"
    assert (await Stream.empty().timeline()).marbles() == ""


# What is run


async def test_sinks_are_run_as_ever_and_what_comes_out_is_shown():
    seen, beside = [], []
    doubled = Stream([1, 2]).map(lambda n: 2 * n).to(seen)
    timeline = await doubled.timeline(Stream("ab").to(beside))
    assert seen == [2, 4]
    assert beside == ["a", "b"]
    assert [event.item for event in timeline.events] == [2, 4]
    assert isinstance(timeline, Timeline)


async def test_a_stream_is_as_it_was_after_its_timeline():
    stamped = seconds(1, 2, 11)
    counts = stamped.window(tumbling=10).count()
    before = counts.explain(), await counts.collect()
    await counts.timeline()
    assert (counts.explain(), await counts.collect()) == before
    assert "record" not in before[0]


async def test_an_error_comes_out_as_it_is_and_names_the_operator():
    bad = Stream(["1", "x"]).map(int).event_time(lambda t: t).window(tumbling=1).count()
    with pytest.raises(ValueError, match="invalid literal") as caught:
        await bad.timeline()
    assert "in map(int)" in caught.value.__notes__[0]


async def test_a_time_that_is_none_is_refused_as_ever():
    with pytest.raises(rivulet.SourceError, match="must be a datetime or POSIX seconds"):
        await Stream(["x"]).event_time(lambda t: t).window(tumbling=1).count().timeline()


async def test_parts_that_are_subscribed_to_by_themselves_are_shown_too():
    first, second = seconds(1, 2), seconds(11, 12)
    timeline = await (first + second).window(tumbling=10).count().timeline()
    assert [(e.lane, e.item) for e in timeline.events if e.kind == "item"] == [
        ("first", 1),
        ("first", 2),
        ("second", 11),
        ("second", 12),
    ]


async def test_branches_keep_their_order():
    seen = []
    source = Stream([1, 2])
    early = source.tap(lambda n: seen.append(("early", n)))
    stamped = source.event_time(lambda t: t).tap(lambda n: seen.append(("late", n)))
    await stamped.window(tumbling=10).count().timeline(early)
    assert seen == [("early", 1), ("late", 1), ("early", 2), ("late", 2)]


@st.composite
def windowed(draw):
    """Windows of some kind over some items."""
    kinds = {
        "tumbling": st.just({}),
        "hopping": st.just({"every": 3}),
        "sliding": st.sampled_from([{}, {"emit": "close"}]),
        "session": st.just({}),
        "count": st.sampled_from([{}, {"every": 2}]),
        "calendar": st.just({}),
    }
    kind = draw(st.sampled_from(sorted(kinds)))
    more = dict(draw(kinds[kind]))
    if kind not in ("sliding", "count"):
        more["emit"] = draw(st.sampled_from(["close", "update", 2]))
    if draw(st.booleans()):
        more["by"] = lambda t: t % 3
    if kind != "count":
        more["grace"] = draw(st.sampled_from([0, 4]))
    size = "hour" if kind == "calendar" else 7
    stamped = seconds(*draw(times), max_delay=draw(st.sampled_from([0, 5, 60])))
    windows = stamped.window(**{kind: size}, **more)
    return windows.count() if kind == "count" else windows.collect()


times = st.lists(st.integers(0, 60), max_size=12)


@given(times, times, st.sampled_from(["backward", "nearest"]), st.sampled_from([0, "watermark"]))
def test_the_matches_of_a_timeline_are_those_of_a_run(lefts, rights, direction, wait):
    async def both():
        left = Stream(list(enumerate(lefts))).event_time(1, max_delay=60)
        right = Stream(list(enumerate(rights))).event_time(1, max_delay=60)
        joined = left.join_asof(right, direction=direction, wait=wait)
        timeline = await joined.timeline()
        pairs = [e for e in timeline.events if e.kind in ("match", "alone")]
        for event in pairs:
            assert event.item == (event.left.item, event.right and event.right.item)
        return [event.item for event in pairs], await joined.collect()

    shown, given_out = testing.run(both())
    # Without a wait a late item may come before or after what it would have been matched with.
    assert len(shown) == len(given_out)
    if wait:
        assert sorted(shown, key=repr) == sorted(given_out, key=repr)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_every_operator_gives_the_same_while_it_is_recorded(case):
    seen = []
    timeline = await case.use(Stream(MANY)).to(seen, **sink_of(case)).timeline()
    assert seen == case.many
    assert str(timeline)
    ET.fromstring(timeline.svg())


def sink_of(case):
    corrected = case.use(Stream(MANY)).node.has_revisions
    return {"revisions": "both"} if corrected else {}


@given(windowed())
def test_every_kind_of_window_gives_the_same_while_it_is_recorded(windows):
    def of(window):
        return window.key, window.value, window.revision, window.final

    async def both():
        timeline = await windows.timeline(limit=None)
        shown = [event.item for event in timeline.events if event.kind == "window"]
        ET.fromstring(timeline.svg())
        return shown, await windows.collect()

    shown, given_out = testing.run(both())
    assert list(map(of, shown)) == list(map(of, given_out))


async def test_policies_and_further_outputs_work_while_they_are_recorded():
    parsed = Stream(["1", "x", "3"]).map(int).on_error("skip")
    stamped = parsed.event_time(lambda t: t)
    bad = []
    timeline = await stamped.window(tumbling=10).count().timeline(parsed.errors.to(bad))
    assert [event.item for event in timeline.events if event.kind == "item"] == [1, 3]
    assert [failure.item for failure in bad] == ["x"]
    late = seconds(5, 20, 1).window(tumbling=10).late
    assert kinds(await late.timeline()) == ["item", "item", "item", "out"]


async def test_items_without_a_time_are_left_to_their_policy():
    stamped = Stream([1, None, 3]).event_time(lambda t: t).on_error("skip")
    timeline = await stamped.window(tumbling=10).collect().timeline()
    assert [event.item for event in timeline.events if event.kind == "item"] == [1, 3]
