"""What stores cost that do the same work, as ratios to the first of them."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import Any, Literal

from benchmarks.measure import ChecksumError, Result, Row, Settings

Clock = Literal["CPU", "wall"]
Costs = dict[str, list[float]]


def no_check(store: Any, data: Any) -> object:
    """For work whose own checksum says enough."""


@dataclass(frozen=True)
class Side:
    """A store that does the work of a group.

    Attributes:
        name: as in the table.
        open: opens it, given a folder of its own, which is there, and the data; this isn't timed.
        work: takes the store and the data, and gives a checksum.
        limit: the ratio to the base that is allowed.
        needs: the package without which it is left out.
    """

    name: str
    open: Callable[[Path, Any], AbstractContextManager[Any]]
    work: Callable[[Any, Any], object]
    limit: float | None = None
    needs: str = "rivulet"


@dataclass(frozen=True)
class Stores:
    """Stores that do the same work; the first is the base of the ratios.

    Attributes:
        name: for the command line.
        title: the work.
        data: makes what the work takes, of a number of items and that of the round; not timed.
        n: how many items.
        sides: the base first.
        clock: the time that counts. The other one is told in a note.
        quick: a quick run has so many times fewer items.
        rounds: how many at most.
        once: they are opened once for all rounds, with the data of the first, not for each anew.
        check: gives a further checksum, of what is in the store after a round; not timed.
    """

    name: str
    title: str
    data: Callable[[int, int], Any]
    n: int
    sides: tuple[Side, ...]
    clock: Clock = "CPU"
    quick: int = 50
    rounds: int = 7
    once: bool = False
    check: Callable[[Any, Any], object] = no_check

    def measure(self, settings: Settings) -> Result:
        """Time all sides in interleaved rounds."""
        sides = [side for side in self.sides if find_spec(side.needs) is not None]
        missing = {side.needs: None for side in self.sides if side not in sides}
        notes = [f"left out, not installed: {package}" for package in missing]
        rows: list[Row] = []
        if self.sides[0] in sides:
            n = self.n // (self.quick if settings.quick else 1)
            with ExitStack() as kept:
                first = self.data(n, 0) if self.once else None
                stores = {
                    side.name: kept.enter_context(opened(side, first))
                    for side in sides
                    if self.once
                }
                rounds = [
                    self._round(sides if number % 2 == 0 else sides[::-1], stores, n, number)
                    for number in range(min(settings.rounds, self.rounds))
                ]
            other: Clock = "wall" if self.clock == "CPU" else "CPU"
            costs: dict[Clock, Costs] = {
                clock: {side.name: [r[side.name][clock] for r in rounds] for side in sides}
                for clock in ("CPU", "wall")
            }
            rows = [self._row(side, n, costs[self.clock], settings) for side in sides]
            beside = [self._row(side, n, costs[other], settings) for side in sides]
            told = [f"{row.contender} {row.value:.2f} ({row.beside:.2f} x)" for row in beside]
            notes.append(f"{other} us/item: {', '.join(told)}")
        unit = f"{self.clock} us/item"
        return Result(self.name, self.title, unit, "x base", tuple(rows), tuple(notes))

    def _round(
        self, sides: list[Side], stores: dict[str, Any], n: int, number: int
    ) -> dict[str, dict[Clock, float]]:
        data = self.data(n, number)
        costs: dict[str, dict[Clock, float]] = {}
        sums: dict[str, object] = {}
        for side in sides:
            with ExitStack() as stack:
                store = stores[side.name] if self.once else stack.enter_context(opened(side, data))
                cpu, wall, checksum = timed(side, store, data)
                sums[side.name] = checksum, self.check(store, data)
            costs[side.name] = {"CPU": max(cpu, 1e-9) / n * 1e6, "wall": wall / n * 1e6}
        base = self.sides[0].name
        for name, found in sums.items():
            if found != sums[base]:
                raise ChecksumError(f"{self.name}: {name} came to {found}, {base} to {sums[base]}")
        return costs

    def _row(self, side: Side, n: int, costs: Costs, settings: Settings) -> Row:
        mine, base = costs[side.name], costs[self.sides[0].name]
        ratio = median(a / b for a, b in zip(mine, base, strict=True))
        return Row(side.name, n, median(mine), ratio, None if settings.quick else side.limit)


@contextmanager
def opened(side: Side, data: Any) -> Iterator[Any]:
    """The store of a side, in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder, side.open(Path(folder), data) as store:
        yield store


def timed(side: Side, store: Any, data: Any) -> tuple[float, float, object]:
    """CPU seconds and seconds on the clock of one run, and its checksum."""
    gc.collect()
    gc.freeze()  # what others left in memory costs this one nothing
    try:
        begin, cpu = perf_counter(), process_time()
        checksum = side.work(store, data)
        return process_time() - cpu, perf_counter() - begin, checksum
    finally:
        gc.unfreeze()
