"""Copies a topic in transactions, in a process of its own, and is killed where it is told to be."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from aiokafka import AIOKafkaProducer

from rivulet import Stream, Topic
from rivulet.io.kafka import KafkaProducer


def kill_at(step, when, count):
    """Die before or after the given call of a method of a producer, ours or aiokafka's."""
    owner = KafkaProducer if step in ("put", "flush") else AIOKafkaProducer
    method, calls = getattr(owner, step), 0

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def put(*args):
        nonlocal calls
        calls += 1
        if calls == count and when == "before":
            die()
        result = method(*args)
        if calls == count:
            die()
        return result

    async def called(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == count and when == "before":
            die()
        result = await method(*args, **kwargs)
        if calls == count:
            die()
        return result

    setattr(owner, step, put if step == "put" else called)


def main():
    conf, source, results, death = (json.loads(argument) for argument in sys.argv[1:])
    if death is not None:
        kill_at(*death)
    reading = {
        **conf,
        "group_id": f"group-{source}",
        "group_instance_id": "copier",
        "auto_offset_reset": "earliest",
        "max_poll_records": 50,
    }
    one = Topic(source, reading, end="drained", commit_interval=0.05)
    other = Topic(results, {**conf, "transactional_id": f"copier-{source}"})

    async def transform(record):
        if death is not None:  # not so fast that the end is reached before
            await asyncio.sleep(0.0005)
        return record.key, f"{record.partition} {record.offset}"

    Stream(one).map(transform).to(other).run_sync()


if __name__ == "__main__":
    main()
