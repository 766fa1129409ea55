"""The cookbook's synchronization, three ways: each ends with the same lines."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

import rivulet
from rivulet import Cache, Checkpoint, Dependency, JsonCodec, Stream, Topic
from tests.compat.scripts import execute, text_of

FINAL = [
    "The weather during swimming was 🌞",
    "The weather during walking home was ⛅",
    "The weather during shopping was 🌦️",
    "The weather during lunch was 🌧",
]
WRONG = "The weather during shopping was ⛅"


def at(hour, minute=0):
    return datetime(2023, 1, 1, hour, minute)


WEATHER = [(at(10), "🌞"), (at(11), "⛅"), (at(12), "🌦️"), (at(13), "🌧")]
ACTIVITIES = [
    (at(10, 30), "swimming"),
    (at(11, 30), "walking home"),
    (at(12, 30), "shopping"),
    (at(13, 10), "lunch"),
]


async def each_second(rows):
    for row in rows:
        await asyncio.sleep(1)
        yield row


async def with_an_outage():
    async for time, weather in each_second(WEATHER):
        if time == at(12):
            await asyncio.sleep(5)
        yield {"time": time, "weather": weather}


def time_of(record):
    return datetime.fromisoformat(record.value["time"])


class Fluent:
    """The recipe with operators: activities go through a topic, and are held by a gate."""

    def __init__(self, name, **gate):
        self.lines = []
        self.cache = Cache(":memory:")
        conf = {
            "bootstrap_servers": f"memory://{name}",
            "auto_offset_reset": "earliest",
            "group_id": "activity",
        }
        self.topic = Topic("activity", conf, codec=JsonCodec())
        self.checkpoint = Checkpoint(
            "activity",
            dependencies=[Dependency("weather", None, downtime_threshold=timedelta(hours=1))],
        )
        self.gate = gate

    def told(self, record):
        weather = next(self.cache.values(backwards=True, from_key=time_of(record).timestamp()))
        return f"The weather during {record.value['what']} was {weather}"

    async def run(self):
        weather = (
            Stream(with_an_outage)
            .beat(self.checkpoint, marker="time")
            .map(lambda row: (row["time"].timestamp(), row["weather"]))
            .to(self.cache)
        )
        sent = (
            Stream(each_second(ACTIVITIES))
            .map(lambda row: (None, {"time": row[0].isoformat(), "what": row[1]}))
            .to(self.topic)
        )
        lines = (
            Stream(self.topic)
            .gate(self.checkpoint, marker=time_of, **self.gate)
            .map(self.told)
            .to(self.lines)
        )
        task = asyncio.create_task(rivulet.run(weather, sent, lines))
        await asyncio.wait([task], timeout=30)
        task.cancel()
        await asyncio.wait([task])
        return self.lines


def by_the_script():
    changes = [("localhost:29091", "memory://three-ways")]
    printed, _ = execute(text_of("synchronization", changes), seconds=20)
    return [line for line in printed.splitlines() if line.startswith("The ")]


async def with_replay():
    return await Fluent(
        "replay", hold="after", replay=True, state=lambda record: {record.partition: record.offset}
    ).run()


async def by_default():
    return await Fluent("default").run()


def last_of_each(lines):
    return list({line.partition(" was ")[0]: line for line in lines}.values())


@pytest.mark.filterwarnings("ignore:Cache.target_table_size")
def test_the_ported_script_corrects_the_line_that_was_wrong():
    lines = by_the_script()
    assert lines.index(WRONG) < lines.index(FINAL[2])
    assert last_of_each(lines) == FINAL


async def test_a_gate_that_goes_back_corrects_it_by_itself():
    lines = await with_replay()
    assert lines == [*FINAL[:2], WRONG, *FINAL[2:]]
    assert last_of_each(lines) == FINAL


async def test_a_gate_never_lets_the_wrong_line_out():
    assert await by_default() == FINAL
