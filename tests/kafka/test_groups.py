"""Members that join, leave and are killed while 100,000 records flow."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest

from rivulet import Stream, Topic

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

RECORDS = 100_000
PARTITIONS = 6
STAGES = 10


class Members:
    """Processes that read a topic together."""

    def __init__(self, servers, name, folder):
        self.conf = {
            "bootstrap_servers": servers,
            "group_id": f"group-{name}",
            "auto_offset_reset": "earliest",
            "session_timeout_ms": 3000,
            "heartbeat_interval_ms": 300,
        }
        self.name = name
        self.folder = folder
        self.processes = {}
        self.killed = set()

    def start(self, who):
        arguments = [json.dumps(self.conf), self.name, str(self.folder / who)]
        command = [sys.executable, "-m", "tests.kafka.member", *arguments]
        output = (self.folder / f"{who}.output").open("wb")
        with output:
            self.processes[who] = subprocess.Popen(
                command, cwd=Path(__file__).parents[2], stdout=output, stderr=output
            )

    def stop(self, who):
        process = self.processes.pop(who)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 128 + signal.SIGTERM, self.output(who)

    def kill(self, who):
        self.killed.add(who)
        process = self.processes.pop(who)
        process.kill()
        process.wait()

    def output(self, who):
        return (self.folder / f"{who}.output").read_text()[-3000:]

    def unseen(self):
        """Those that have handled nothing yet."""
        files = [self.folder / who for who in self.processes]
        return [file for file in files if not file.exists() or not file.stat().st_size]

    def handled(self):
        """By record, the members that handled it."""
        found = defaultdict(list)
        for file in self.folder.iterdir():
            if file.suffix != ".output":
                # What a killed process was writing may end in the middle of a line.
                for line in file.read_text().split("\n")[:-1]:
                    found[tuple(map(int, line.split()))].append(file.name)
        return found

    def wait(self, n, limit=60):
        end = time.monotonic() + limit
        while len(self.handled()) < n:
            for who, process in self.processes.items():
                assert process.poll() is None, self.output(who)
            assert time.monotonic() < end, f"{len(self.handled())} of {n} were handled in time"
            time.sleep(0.1)

    def close(self):
        for who in list(self.processes):
            self.stop(who)


def flow(servers, name, folder, events):
    """Write the records in stages; in each, do what is to be done with the members.

    Of a stage one half is written at once, so that the change comes while records flow, and the
    other bit by bit, until whoever was started has handled something.
    """
    members = Members(servers, name, folder)
    topic = Topic(name, {"bootstrap_servers": servers}, partitions=PARTITIONS)
    numbers = iter(range(RECORDS))

    async def write(n):
        items = [(f"key {i}", str(i)) for i in itertools.islice(numbers, n)]
        await Stream(items).to(topic).run()
        return len(items)

    async def play():
        for stage in range(STAGES):
            left = RECORDS // STAGES
            left -= await write(left // 2)
            for what, who in events.get(stage, ()):
                getattr(members, what)(who)
            while members.unseen() and left:
                left -= await write(min(left, 20))
            await write(left)

    try:
        asyncio.run(play())
        members.wait(RECORDS)
        members.close()
    finally:
        for process in members.processes.values():
            process.kill()
            process.wait()
    return members


def test_members_that_join_and_leave_lose_nothing_and_repeat_nothing(servers, tmp_path):
    events = {
        0: [("start", "one")],
        2: [("start", "two")],
        3: [("start", "three")],
        5: [("stop", "one")],
        7: [("start", "four")],
        8: [("stop", "two")],
    }
    members = flow(servers, f"calm-{tmp_path.name}", tmp_path, events)
    handled = members.handled()
    assert len(handled) == RECORDS
    assert {who for by in handled.values() for who in by} == {"one", "two", "three", "four"}
    assert {len(by) for by in handled.values()} == {1}


def test_after_a_kill_nothing_is_lost_and_only_what_the_killed_had_comes_again(servers, tmp_path):
    events = {
        0: [("start", "one"), ("start", "two")],
        2: [("start", "three")],
        4: [("kill", "one")],
        5: [("start", "four")],
        6: [("kill", "two"), ("kill", "three")],
        7: [("start", "five")],
        8: [("stop", "four")],
    }
    members = flow(servers, f"rough-{tmp_path.name}", tmp_path, events)
    handled = members.handled()
    assert len(handled) == RECORDS
    again = [by for by in handled.values() if len(by) > 1]
    print(f"{len(again)} of {RECORDS} records came again after three kills")
    assert all(set(by) & members.killed for by in again)
    # A second is committed at a time, and a killed member had no more than what it could read.
    assert len(again) < RECORDS / 2
