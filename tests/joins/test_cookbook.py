"""What Slipstream's cookbook prints of joins and of synchronization, character for character."""

from __future__ import annotations

import asyncio
from datetime import datetime as dt
from datetime import timedelta

import pytest

import rivulet
from rivulet import Cache, Checkpoint, Dependency, Stream

WEATHER = [
    {"timestamp": dt(2023, 1, 1, 10), "value": "🌞"},
    {"timestamp": dt(2023, 1, 1, 11), "value": "⛅"},
    {"timestamp": dt(2023, 1, 1, 12), "value": "🌦️"},
    {"timestamp": dt(2023, 1, 1, 13), "value": "🌧"},
]
ACTIVITIES = [
    {"timestamp": dt(2023, 1, 1, 10, 30), "value": "swimming"},  # 🌞
    {"timestamp": dt(2023, 1, 1, 11, 30), "value": "walking home"},  # ⛅
    {"timestamp": dt(2023, 1, 1, 12, 30), "value": "shopping"},  # 🌦️
    {"timestamp": dt(2023, 1, 1, 13, 10), "value": "lunch"},  # 🌧
]
OF_ACTIVITIES = """\
The weather during swimming was 🌞
The weather during walking home was ⛅
The weather during shopping was 🌦️
The weather during lunch was 🌧
"""
PRICES = [
    {"at": dt(2024, 3, 1, 9), "price": 101},
    {"at": dt(2024, 3, 1, 10), "price": 99},
    {"at": dt(2024, 3, 1, 11), "price": 104},
    {"at": dt(2024, 3, 1, 12), "price": 107},
]
TRADES = [
    {"at": dt(2024, 3, 1, 8, 30), "who": "ana"},  # before any price
    {"at": dt(2024, 3, 1, 10, 15), "who": "bo"},  # 99
    {"at": dt(2024, 3, 1, 11), "who": "cy"},  # 104, same instant
    {"at": dt(2024, 3, 1, 12, 59), "who": "dee"},  # 107
]
OF_TRADES = """\
('ana', 'no price yet')
bo traded at 99
cy traded at 104
dee traded at 107
"""


def of_activity(activity, weather):
    if weather is None:
        return activity["value"], "?"
    return f"The weather during {activity['value']} was {weather['value']}"


def of_trade(trade, price):
    if price is None:
        return trade["who"], "no price yet"
    return f"{trade['who']} traded at {price['price']}"


def paced(items, every):
    async def source():
        for item in items:
            await asyncio.sleep(every)
            yield item

    return Stream(source)


# Joins

RECIPES = pytest.mark.parametrize(
    ("left", "right", "on", "every", "told", "printed"),
    [
        (ACTIVITIES, WEATHER, "timestamp", 0.01, of_activity, OF_ACTIVITIES),
        (TRADES, PRICES, "at", 0.05, of_trade, OF_TRADES),
    ],
    ids=["activities", "trades"],
)


@RECIPES
@pytest.mark.parametrize("wait", [0, "1h", "watermark"])
async def test_each_item_gets_what_held_at_its_time(
    left, right, on, every, told, printed, wait, capsys
):
    joined = paced(left, every).join_asof(paced(right, every), on=on, wait=wait, select=told)
    await joined.to(print).run()
    assert capsys.readouterr().out == printed


@RECIPES
async def test_so_it_does_of_lists(left, right, on, every, told, printed, capsys):
    await Stream(left).join_asof(right, on=on, select=told).to(print).run()
    assert capsys.readouterr().out == printed


@RECIPES
async def test_what_held_can_be_kept_in_a_cache(
    left, right, on, every, told, printed, tmp_path, capsys
):
    with Cache(tmp_path) as cache:
        joined = paced(left, every).join_asof(paced(right, every), cache, on=on, select=told)
        await joined.to(print).run()
    assert capsys.readouterr().out == printed


@RECIPES
async def test_another_stream_can_fill_the_cache(
    left, right, on, every, told, printed, tmp_path, capsys
):
    """As the cookbook does, which keeps each item under its POSIX seconds."""

    def seconds(item):
        return item[on].timestamp()

    with Cache(tmp_path) as cache:
        kept = paced(right, every).map(lambda item: (seconds(item), item)).to(cache)
        joined = paced(left, every).join_asof(None, cache, on=seconds, select=told)
        await rivulet.run(kept, joined.to(print))
        assert list(cache.items()) == [(seconds(item), item) for item in right]
    assert capsys.readouterr().out == printed


# Synchronization

SYNCHRONIZED = """\
The weather during swimming was 🌞
\tKilling weather stream on purpose
The weather during walking home was ⛅
\tThe stream is automatically paused.
\tDowntime detected: 1:30:00, (could cause faulty enrichment)
The weather during shopping was ⛅
\tRecovering the weather stream
\tDowntime resolved, going back to offset {'0': 2} for reprocessing.
The weather during shopping was 🌦️
The weather during lunch was 🌧
"""
NEVER_STALE = """\
The weather during swimming was 🌞
\tKilling weather stream on purpose
The weather during walking home was ⛅
\tThe stream is automatically paused.
\tRecovering the weather stream
The weather during shopping was 🌦️
\tThe stream is automatically paused.
The weather during lunch was 🌧
"""


class Topic:
    """A topic with one partition, in memory: it is read from an offset that can be set."""

    def __init__(self):
        self.values = []
        self.offset = 0
        self.changed = asyncio.Event()

    def send(self, value):
        self.values.append(value)
        self.changed.set()

    async def __aiter__(self):
        while True:
            while self.offset < len(self.values):
                self.offset += 1
                yield self.offset - 1, self.values[self.offset - 1]
            self.changed.clear()
            await self.changed.wait()

    async def seek(self, offsets):
        self.offset = offsets["0"]
        self.changed.set()


async def weather_stream():
    for row in WEATHER:
        await asyncio.sleep(1)
        yield row
        if row["value"] == "⛅":
            print("\tKilling weather stream on purpose")
            await asyncio.sleep(5)
            print("\tRecovering the weather stream")


def seconds(row):
    return row["timestamp"].timestamp()


def time_of(message):
    return message[1]["timestamp"]


def told(message, weather):
    return of_activity(message[1], weather)


async def synchronize(checkpoint, activity, **how):
    """The cookbook's streams, until nothing more comes."""
    weather_cache = Cache(":memory:")
    weather = Stream(weather_stream).beat(checkpoint, marker="timestamp")
    activities = Stream(activity).gate(checkpoint, marker=time_of, **how)
    enriched = activities.join_asof(
        None, weather_cache, on=lambda message: seconds(message[1]), select=told
    )
    run = rivulet.start(
        weather.map(lambda row: (seconds(row), row)).to(weather_cache),
        paced(ACTIVITIES, 1).to(activity.send),
        enriched.to(print),
    )
    await asyncio.sleep(20)
    await run.stop()


async def test_a_downtime_is_told_and_what_was_stale_is_corrected(capsys):
    def on_down(c, d):
        print("\tThe stream is automatically paused.")
        downtime = c.state_marker - d.checkpoint_marker
        print(f"\tDowntime detected: {downtime}, (could cause faulty enrichment)")

    def on_recover(c, d):
        offsets = d.checkpoint_state
        print(f"\tDowntime resolved, going back to offset {offsets} for reprocessing.")

    activity = Topic()
    checkpoint = Checkpoint(
        "activity",
        dependent=activity,
        dependencies=[Dependency("weather_stream", downtime_threshold=timedelta(hours=1))],
        downtime_callback=on_down,
        recovery_callback=on_recover,
        cache=Cache(":memory:"),
    )
    await synchronize(
        checkpoint,
        activity,
        state=lambda message: {"0": message[0]},
        hold="after",
        replay=True,
    )
    assert capsys.readouterr().out == SYNCHRONIZED


async def test_nothing_stale_goes_out_where_items_are_held_before_they_pass(capsys):
    activity = Topic()
    checkpoint = Checkpoint(
        "activity",
        dependent=activity,
        dependencies=[Dependency("weather_stream", downtime_threshold=timedelta(hours=1))],
        downtime_callback=lambda c, d: print("\tThe stream is automatically paused."),
        cache=Cache(":memory:"),
    )
    await synchronize(checkpoint, activity)
    assert capsys.readouterr().out == NEVER_STALE
