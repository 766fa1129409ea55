"""What of ``Cache`` has a bound by itself: opening, the event loop's lag, memory for a key."""

from __future__ import annotations

import asyncio
import gc
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

from benchmarks import peers
from benchmarks.cache import Pairs, folder_of, put_all, reading, readings, shuffled_trades, trades
from benchmarks.measure import Result, Row, Settings
from benchmarks.processes import output_of
from rivulet import Cache
from rivulet.codecs import MsgpackCodec
from rivulet.state.durable import OVERHEAD
from rivulet.state.keys import encode


@dataclass(frozen=True)
class Opening:
    """The time to open a folder, beside that of diskcache."""

    name: str = "cache_open"
    title: str = "open a large folder"
    n: int = 1_000_000
    unmoved: int = 100_000
    limit: float = 200.0

    def measure(self, settings: Settings) -> Result:
        scale = 10 if settings.quick else 1
        folder = folder_of(self.n // scale)
        times: dict[str, list[float]] = {"diskcache": [], "rivulet": [], "rivulet, killed": []}
        with tempfile.TemporaryDirectory() as name:
            killed = Path(name) / "killed"
            with Cache(Path(name) / "open") as store:
                put_all(store, readings(self.unmoved // scale))
                # What a process would leave that is killed now.
                shutil.copytree(Path(name) / "open", killed)
            for number in range(settings.rounds):
                again = Path(name) / str(number)
                shutil.copytree(killed, again)
                opened = [
                    ("diskcache", lambda: peers.diskcache.Cache(str(folder.diskcache))),
                    ("rivulet", lambda: Cache(folder.rivulet)),
                    ("rivulet, killed", lambda again=again: Cache(again)),
                ]
                for kind, open_ in opened if number % 2 == 0 else opened[::-1]:
                    times[kind].append(_seconds_of(open_) * 1000)
        rows: list[Row] = []
        for kind, n in zip(times, (self.n, self.n, self.unmoved), strict=True):
            beside = median(a - b for a, b in zip(times[kind], times["diskcache"], strict=True))
            rows.append(Row(kind, n // scale, median(times[kind]), beside))
        if not settings.quick:
            rows[1] = replace(rows[1], limit=self.limit)
        note = f"killed: a process was, before its newest {self.unmoved // scale:,} entries moved"
        return Result(self.name, self.title, "wall ms", "ms more", tuple(rows), (note,))


def _seconds_of(open_: Any) -> float:
    begin = perf_counter()
    store = open_()
    seconds = perf_counter() - begin
    store.close()
    return seconds


@dataclass(frozen=True)
class Lag:
    """By how much a task that sleeps for 1 ms wakes too late, while the same loop writes."""

    name: str = "cache_lag"
    title: str = "lag of an event loop that writes 50,000 new keys a second"
    rate: int = 50_000
    seconds: int = 10
    limit: float = 20.0

    def measure(self, settings: Settings) -> Result:
        n = self.rate * (self.seconds // 5 if settings.quick else self.seconds)
        limit = None if settings.quick else self.limit
        rows = [_lag_row("no writes", asyncio.run(heartbeat(n / self.rate)))]
        notes: list[str] = []
        for order, pairs in (("in order", trades(n)), ("in no order", shuffled_trades(n))):
            gc.collect()
            gc.freeze()
            with tempfile.TemporaryDirectory() as folder, Cache(folder) as store:
                lags, written = asyncio.run(burst(store, pairs, self.rate))
                waits = store.stats().waits
            gc.unfreeze()
            rows.append(_lag_row(f"rivulet, keys {order}", lags, limit))
            notes.append(
                f"keys {order}: {written:,} of {n:,} writes, {waits} of them had to wait; at most "
                f"{max(lags):.1f} ms; a timer at any moment: {_most(moments(lags)):.1f} ms"
            )
        return Result(self.name, self.title, "median ms", "ms in 99.9 %", tuple(rows), tuple(notes))


async def burst(store: Any, pairs: Pairs, rate: int) -> tuple[list[float], int]:
    """Write in slices, of what is due, and tell the lags and how much was written."""
    begin = perf_counter()
    beats = asyncio.create_task(heartbeat(len(pairs) / rate))
    written = 0
    while not beats.done():
        due = int((perf_counter() - begin) * rate)
        some = pairs[written:due]
        put_all(store, some)
        written += len(some)
        await asyncio.sleep(0.001)
    return beats.result(), written


async def heartbeat(seconds: float) -> list[float]:
    """How many ms later than after 1 ms a sleep of 1 ms ended, again and again."""
    lags: list[float] = []
    end = perf_counter() + seconds
    while (begin := perf_counter()) < end:
        await asyncio.sleep(0.001)
        lags.append((perf_counter() - begin) * 1000 - 1)
    return lags


def moments(lags: list[float]) -> list[float]:
    """The lags of timers for each ms: a long one has kept up many of them."""
    return [lag - passed for lag in lags for passed in range(int(max(lag, 0)) + 1)]


def _most(lags: list[float]) -> float:
    """What 99.9 % of them are below."""
    return quantiles(lags, n=1000)[-1]


def _lag_row(name: str, lags: list[float], limit: float | None = None) -> Row:
    return Row(name, len(lags), median(lags), _most(lags), limit)


ENTRY = len(encode("sensor-000000")) + 1 + len(MsgpackCodec().encode(reading(0)))

MEMORY = """
import gc, tempfile, tracemalloc
from pathlib import Path
from benchmarks.cache import reading
from rivulet import Cache

status = Path("/proc/self/status")

def memory():
    gc.collect()
    if status.exists():
        return int(status.read_text().split("RssAnon:")[1].split()[0]) * 1024
    return tracemalloc.get_traced_memory()[0]

if not status.exists():
    tracemalloc.start()
with tempfile.TemporaryDirectory() as folder, Cache(folder) as store:
    store["first"] = reading(0)
    store.flush()
    before = memory()
    for i in range({n}):
        store[f"sensor-{i:06}"] = reading(i)
    {then}
    print((memory() - before) / {n})
"""

STATES = {"new": "", "new and listed": "next(store.items())", "moved": "store.flush()"}


@dataclass(frozen=True)
class KeyMemory:
    """What an entry in memory takes beside its bytes, in fresh processes."""

    name: str = "cache_memory"
    title: str = "memory for an entry beside the bytes of its key and value"
    n: int = 90_000
    limit: float = OVERHEAD

    def measure(self, settings: Settings) -> Result:
        n = self.n // 10 if settings.quick else self.n
        limit = None if settings.quick else self.limit
        rows: list[Row] = []
        for name, then in STATES.items():
            program = MEMORY.replace("{n}", str(n)).replace("{then}", then)
            taken = float(output_of(program))
            rows.append(Row(name, n, taken, taken - ENTRY, limit))
        return Result(self.name, self.title, "bytes/entry", "bytes more", tuple(rows))


GROUPS = (Opening(), Lag(), KeyMemory())
