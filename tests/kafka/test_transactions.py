"""Consume, transform, produce: killed between any two steps, each result is seen exactly once."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import signal
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path

import pytest

from rivulet import Stream, Topic

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

RECORDS = 10_000
ROUNDS = 30
STEPS = {
    "start": 1,
    "begin_transaction": 4,
    "put": 300,
    "send_batch": 8,
    "flush": 4,
    "send_offsets_to_transaction": 4,
    "commit_transaction": 4,
}
"""The calls of a producer in their order, and how many times each may happen before it is fatal."""


def copy(conf, source, results, death):
    arguments = [json.dumps(x) for x in (conf, source, results, death)]
    return subprocess.run(
        [sys.executable, "-m", "tests.kafka.copier", *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def read(servers, name, **conf):
    conf = {"bootstrap_servers": servers, "auto_offset_reset": "earliest", **conf}
    return asyncio.run(collected(Stream(Topic(name, conf, end="drained"))))


async def collected(stream):
    return await stream.collect()


def test_each_result_is_seen_exactly_once_through_30_kills(servers):
    source, results = (f"x-{uuid.uuid4().hex[:8]}" for _ in range(2))
    conf = {"bootstrap_servers": servers}

    async def prepare():
        items = [(f"key {i}", str(i)) for i in range(RECORDS)]
        await Stream(items).to(Topic(source, conf, partitions=3)).run()
        async with Topic(results, conf, partitions=3) as topic:
            await topic("first", "x", partition=0)

    asyncio.run(prepare())
    chance = random.Random(5)
    deaths = itertools.cycle(itertools.product(STEPS, ("before", "after")))
    for step, when in itertools.islice(deaths, ROUNDS):
        death = (step, when, chance.randint(1, STEPS[step]))
        done = copy(conf, source, results, death)
        assert done.returncode == -signal.SIGKILL, (death, done.stderr[-3000:])
    done = copy(conf, source, results, None)
    assert done.returncode == 0, done.stderr[-3000:]

    expected = {f"{r.partition} {r.offset}" for r in read(servers, source)}
    seen = Counter(r.value for r in read(servers, results, isolation_level="read_committed"))
    del seen["x"]
    assert len(expected) == RECORDS
    assert seen.keys() == expected
    assert set(seen.values()) == {1}
    # Without the transactions it would have been otherwise: some were begun in vain.
    assert len(read(servers, results)) > RECORDS + 1
