"""CPU time of contenders that do the same work, as ratios to the first of them."""

from __future__ import annotations

import asyncio
import gc
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from time import process_time
from typing import Any

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class ChecksumError(Exception):
    """A contender didn't do the work that the base did."""


@dataclass(frozen=True)
class Contender:
    """Something that does the work of a group.

    Attributes:
        name: as in the table.
        run: takes the source and gives the checksum.
        limit: the ratio to the base that is allowed.
        needs: the package without which it is left out.
        slow: it runs the smaller number of items.
    """

    name: str
    run: Callable[[Any], Awaitable[object]]
    limit: float | None = None
    needs: str = "rivulet"
    slow: bool = False


def peer(package: str, run: Callable[[Any], Awaitable[object]], what: str = "") -> Contender:
    """A contender from another package."""
    return Contender(f"{package} {what}".strip(), run, needs=package, slow=True)


@dataclass(frozen=True)
class Settings:
    """How thoroughly to measure; a quick run shows only that everything runs."""

    rounds: int = 7
    quick: bool = False


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        contender: its name.
        n: how many items went through it.
        value: the median, in the unit of the group.
        beside: how it compares to the base, in the group's unit of comparison.
        limit: what that may be at most.
    """

    contender: str
    n: int
    value: float
    beside: float | None = None
    limit: float | None = None

    @property
    def is_over(self) -> bool:
        return self.limit is not None and self.beside is not None and self.beside > self.limit


@dataclass(frozen=True)
class Result:
    """The table of a group."""

    name: str
    title: str
    unit: str
    compared: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Contenders that do the same work; the first is the base of the ratios.

    Attributes:
        name: for the command line.
        title: the work.
        source: makes what the contenders read, of a number of items; this isn't timed.
        n: how many items.
        slow_n: how many for slow contenders, which are compared to the base at that number.
        contenders: the base first.
    """

    name: str
    title: str
    source: Callable[[int], Any]
    n: int
    slow_n: int
    contenders: tuple[Contender, ...]

    def present(self) -> tuple[list[Contender], list[str]]:
        """The contenders whose packages are installed, and what is missing."""
        found = [c for c in self.contenders if find_spec(c.needs) is not None]
        missing = {c.needs: None for c in self.contenders if c not in found}
        return found, [f"left out, not installed: {package}" for package in missing]

    def checksums(self, n: int, loop_factory: LoopFactory | None = None) -> dict[str, object]:
        """What each contender comes to, without timing."""
        sums: dict[str, object] = {}
        source = self.source(n)
        for contender in self.present()[0]:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                sums[contender.name] = runner.run(_summed(contender, source))
        return sums

    def measure(self, settings: Settings) -> Result:
        """Time all contenders in interleaved rounds."""
        contenders, notes = self.present()
        base = self.contenders[0]
        if base not in contenders:
            return self._result((), notes)
        scale = 50 if settings.quick else 1
        n, slow_n = max(self.n // scale, 100), max(self.slow_n // scale, 100)
        runs = [(c, slow_n if c.slow else n) for c in contenders]
        if any(c.slow for c in contenders):
            first_slow = next(i for i, (c, _) in enumerate(runs) if c.slow)
            runs.insert(first_slow, (base, slow_n))
        self.checksums(100)  # for what happens the first time only
        costs: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
        sources = {size: self.source(size) for size in (n, slow_n)}
        for number in range(settings.rounds):
            sums: dict[int, tuple[object, str]] = {}
            for contender, size in runs if number % 2 == 0 else runs[::-1]:
                seconds, checksum = timed(contender, sources[size])
                costs[contender.name, size].append(max(seconds, 1e-9) / size * 1e6)
                expected, by = sums.setdefault(size, (checksum, contender.name))
                if checksum != expected:
                    raise ChecksumError(
                        f"{self.name}: {contender.name} came to {checksum} with {size:,} items, "
                        f"{by} to {expected}"
                    )
        rows: list[Row] = []
        for contender, size in runs:
            mine, other = costs[contender.name, size], costs[base.name, size]
            ratio = median(a / b for a, b in zip(mine, other, strict=True))
            limit = None if settings.quick else contender.limit
            rows.append(Row(contender.name, size, median(mine), ratio, limit))
        return self._result(tuple(rows), notes)

    def _result(self, rows: tuple[Row, ...], notes: list[str]) -> Result:
        return Result(self.name, self.title, "CPU us/item", "x base", rows, tuple(notes))


async def _summed(contender: Contender, source: Any) -> object:
    return await contender.run(source)


async def _timed(contender: Contender, source: Any) -> tuple[float, object]:
    begin = process_time()
    checksum = await contender.run(source)
    return process_time() - begin, checksum


def timed(contender: Contender, source: Any) -> tuple[float, object]:
    """CPU seconds of one run in an event loop of its own, and its checksum."""
    gc.collect()
    gc.freeze()  # what others left in memory costs this one nothing
    try:
        with asyncio.Runner() as runner:
            return runner.run(_timed(contender, source))
    finally:
        gc.unfreeze()
