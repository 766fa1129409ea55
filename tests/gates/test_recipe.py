"""The cookbook's synchronization, with streams in memory: its lines, and better ones."""

from __future__ import annotations

import asyncio
from datetime import datetime as dt
from datetime import timedelta

import pytest

import rivulet
from rivulet import Cache, Checkpoint, Dependency, Stream

TARIFFS = [
    {"at": dt(2024, 5, 1, 6), "cents": 18},
    {"at": dt(2024, 5, 1, 7), "cents": 24},
    {"at": dt(2024, 5, 1, 8), "cents": 31},
    {"at": dt(2024, 5, 1, 9), "cents": 27},
]
USAGE = [
    {"at": dt(2024, 5, 1, 6, 30), "device": "heater"},  # 18
    {"at": dt(2024, 5, 1, 7, 30), "device": "kettle"},  # 24
    {"at": dt(2024, 5, 1, 8, 30), "device": "oven"},  # 31, first seen as 24
    {"at": dt(2024, 5, 1, 9, 10), "device": "washer"},  # 27
]
AS_IN_THE_COOKBOOK = """\
heater at 18 cents
  tariff source stops
kettle at 24 cents
  usage waits for tariff
  late by 1:30:00
oven at 24 cents
  tariff source starts again
  tariff is back, rereading from [2]
oven at 31 cents
washer at 27 cents
"""
AHEAD = """\
heater at 18 cents
  tariff source stops
kettle at 24 cents
  usage waits for tariff
  tariff source starts again
  tariff is back
oven at 31 cents
washer at 27 cents
"""


class Topic:
    """A topic in memory: it is read from a position that can be set."""

    def __init__(self):
        self.rows = []
        self.position = 0
        self.changed = asyncio.Event()

    def send(self, row):
        self.rows.append(row)
        self.changed.set()

    async def __aiter__(self):
        while True:
            while self.position < len(self.rows):
                self.position += 1
                yield self.position - 1, self.rows[self.position - 1]
            self.changed.clear()
            await self.changed.wait()

    async def seek(self, offsets):
        await asyncio.sleep(0)
        self.position = offsets["0"]
        self.changed.set()


class Recipe:
    """The two sources, which wait for each other where the cookbook sleeps."""

    def __init__(self):
        self.usage = Topic()
        self.tariffs = Cache(":memory:")
        self.checkpoints = Cache(":memory:")
        self.billed = {row["device"]: asyncio.Event() for row in USAGE}
        self.stopped, self.outage_seen = asyncio.Event(), asyncio.Event()

    async def tariff_source(self):
        yield TARIFFS[0]
        await self.billed["heater"].wait()
        yield TARIFFS[1]
        print("  tariff source stops")
        self.stopped.set()
        await self.outage_seen.wait()
        await asyncio.sleep(0.5)
        print("  tariff source starts again")
        for row in TARIFFS[2:]:
            yield row

    async def usage_source(self):
        await asyncio.sleep(6)
        yield USAGE[0]
        await self.stopped.wait()
        for row in USAGE[1:]:
            yield row

    def checkpoint(self, on_recovery, *, says_late=True, **more):
        def on_down(c, d):
            print(f"  {c.name} waits for {d.name}")
            if says_late:
                print(f"  late by {c.state_marker - d.checkpoint_marker}")
            else:
                self.outage_seen.set()

        return Checkpoint(
            "usage",
            dependent=self.usage,
            dependencies=[Dependency("tariff", downtime_threshold=timedelta(hours=1))],
            downtime_callback=on_down,
            recovery_callback=on_recovery,
            cache=self.checkpoints,
            **more,
        )

    def bill(self, message):
        _, row = message
        found = self.tariffs.values(backwards=True, from_key=row["at"].timestamp())
        return row["device"], next(found)["cents"]

    def show(self, bill):
        device, cents = bill
        print(f"{device} at {cents} cents")
        self.billed[device].set()
        if device == "oven":
            self.outage_seen.set()

    async def run(self, *streams):
        """Until the last is billed and some time after."""
        publish = Stream(self.usage_source).to(self.usage.send)
        run = rivulet.start(publish, *streams)
        await self.billed["washer"].wait()
        await asyncio.sleep(0.5)
        await run.stop()

    def kept(self, tariffs):
        return tariffs.map(lambda row: (row["at"].timestamp(), row)).to(self.tariffs)

    async def told(self, c, d):
        offsets = d.checkpoint_state
        print(f"  {d.name} is back, rereading from {list(offsets.values())}")


def at(message):
    return message[1]["at"]


def offset(message):
    return {"0": message[0]}


@pytest.fixture
def recipe():
    return Recipe()


async def test_operators_that_pause_and_a_callback_that_goes_back(recipe, capsys):
    async def on_recovery(c, d):
        await recipe.told(c, d)
        await recipe.usage.seek(d.checkpoint_state)

    c = recipe.checkpoint(on_recovery)
    await recipe.run(
        recipe.kept(Stream(recipe.tariff_source).beat(c, marker="at")),
        Stream(recipe.usage)
        .gate(c, marker=at, state=offset, hold="after")
        .map(recipe.bill)
        .to(recipe.show),
    )
    assert capsys.readouterr().out == AS_IN_THE_COOKBOOK


async def test_operators_that_pause_and_go_back_by_themselves(recipe, capsys):
    c = recipe.checkpoint(recipe.told)
    await recipe.run(
        recipe.kept(Stream(recipe.tariff_source).beat(c, marker="at")),
        Stream(recipe.usage)
        .gate(c, marker=at, state=offset, hold="after", replay=True)
        .map(recipe.bill)
        .to(recipe.show),
    )
    assert capsys.readouterr().out == AS_IN_THE_COOKBOOK


async def test_handlers_that_call_the_checkpoint(recipe, capsys):
    """As in an old script; the pause is what its layer does with what it is told."""

    async def on_recovery(c, d):
        await recipe.told(c, d)
        await recipe.usage.seek(d.checkpoint_state)

    c = recipe.checkpoint(on_recovery, says_late=False)
    recipe.outage_seen = asyncio.Event()
    seen, recipe.outage_seen.set = recipe.outage_seen.set, lambda: None
    changed = asyncio.Event()
    c.watch(changed.set)

    async def handle_tariff(row):
        await c.heartbeat(row["at"])
        return row

    async def handle_usage(message):
        if late := await c.check_pulse(at(message), **offset(message)):
            print(f"  late by {late}")
        bill = recipe.bill(message)
        recipe.show(bill)
        if bill[0] == "oven":
            seen()
        while c.paused:
            changed.clear()
            await changed.wait()

    await recipe.run(
        recipe.kept(Stream(recipe.tariff_source).map(handle_tariff)),
        Stream(recipe.usage).to(handle_usage),
    )
    assert capsys.readouterr().out == AS_IN_THE_COOKBOOK


async def test_ahead_nothing_is_billed_twice(recipe, capsys):
    c = recipe.checkpoint(lambda c, d: print(f"  {d.name} is back"), says_late=False)
    await recipe.run(
        recipe.kept(Stream(recipe.tariff_source).beat(c, marker="at")),
        Stream(recipe.usage).gate(c, marker=at).map(recipe.bill).to(recipe.show),
    )
    assert capsys.readouterr().out == AHEAD
    assert recipe.checkpoints["__usage_tariff_checkpoint_marker"] == TARIFFS[3]["at"]


async def test_the_short_form(recipe, capsys):
    def stops(row):
        if row["cents"] == 24:
            recipe.outage_seen.set()

    tariffs = recipe.kept(Stream(recipe.tariff_source).tap(stops)).map(lambda pair: pair[1])
    gated = Stream(recipe.usage).gate(on=tariffs, marker=(at, "at"), threshold="1h")
    await recipe.run(gated.map(recipe.bill).to(recipe.show))
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line[0] != " "] == [
        line for line in AHEAD.splitlines() if line[0] != " "
    ]
