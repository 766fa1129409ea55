"""What is measured in fresh processes: peak memory, and the time that the import takes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks.measure import Result, Row, Settings

ROOT = Path(__file__).parents[1]

CHAIN = """
import asyncio
from benchmarks.chains import THREE, by_rivulet
from benchmarks.work import generated, generator
asyncio.run(by_rivulet(THREE, {source}({n})))
"""

MERGE = """
import asyncio
from benchmarks.boundaries import by_rivulet
from benchmarks.work import generated, summing, two
asyncio.run(by_rivulet("merge", summing, two(generated)({n})))
"""

# The peak of this process alone: what getrusage gives begins with that of the parent.
PEAK = """
from pathlib import Path
status = Path("/proc/self/status")
if status.exists():
    print(int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024)
else:
    import resource, sys
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak / (2**20 if sys.platform == "darwin" else 2**10))
"""

IMPORT = """
import time
begin = time.process_time()
import {module}
print((time.process_time() - begin) * 1000)
"""

HEAVY = ("IPython", "aiokafka", "diskcache", "pandas")

LOADED = "import sys, rivulet; print(*sys.modules)"


def output_of(program: str, cache: str | None = None) -> str:
    """What a program prints in a process of its own; ``cache`` is where its bytecode is kept."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([*filter(None, sys.path), str(ROOT)])}
    if cache is not None:
        env.pop("PYTHONDONTWRITEBYTECODE", None)
        env["PYTHONPYCACHEPREFIX"] = cache
    command = [sys.executable, "-c", program]
    return subprocess.run(
        command, env=env, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def heavy_modules() -> list[str]:
    """Those of the heavy modules that ``import rivulet`` loads; there should be none."""
    return sorted(set(HEAVY) & set(output_of(LOADED).split()))


@dataclass(frozen=True)
class Memory:
    """Peak memory of runs that differ only in the number of items.

    Attributes:
        growth: by how many MB the longest run may be above the shortest.
    """

    name: str
    title: str
    program: str
    sizes: tuple[int, ...]
    growth: float = 5.0

    def measure(self, settings: Settings) -> Result:
        sizes = [n // 100 for n in self.sizes] if settings.quick else self.sizes
        rows: list[Row] = []
        for n in sizes:
            peak = float(output_of(self.program.replace("{n}", str(n)) + PEAK))
            beside = peak - rows[0].value if rows else 0.0
            limit = self.growth if rows and not settings.quick else None
            rows.append(Row(f"{n:,} items", n, peak, beside, limit))
        return Result(self.name, self.title, "peak MB", "MB more", tuple(rows))


@dataclass(frozen=True)
class Import:
    """The CPU time of an import, beside that of asyncio, with bytecode at hand."""

    name: str = "import"
    title: str = "import in a fresh process; rivulet loads nothing heavy"
    modules: tuple[str, ...] = ("asyncio", "rivulet", "aiostream", "asyncstdlib", "reactivex")
    limit: float = 40.0
    rounds: int = 15

    def measure(self, settings: Settings) -> Result:
        times: defaultdict[str, list[float]] = defaultdict(list)
        notes: list[str] = []
        modules = list(self.modules)
        with tempfile.TemporaryDirectory() as cache:
            for module in self.modules:
                try:
                    output_of(IMPORT.format(module=module), cache)
                except subprocess.CalledProcessError:
                    modules.remove(module)
                    notes.append(f"left out, not installed: {module}")
            for number in range(settings.rounds if settings.quick else self.rounds):
                for module in modules if number % 2 == 0 else modules[::-1]:
                    times[module].append(float(output_of(IMPORT.format(module=module), cache)))
        rows: list[Row] = []
        for module in modules:
            beside = median(a - b for a, b in zip(times[module], times["asyncio"], strict=True))
            rows.append(Row(module, 1, median(times[module]), beside))
        if not settings.quick:
            rows = [replace(r, limit=self.limit) if r.contender == "rivulet" else r for r in rows]
        heavy = heavy_modules()
        rows.append(Row("heavy modules in rivulet", len(HEAVY), len(heavy), len(heavy), 0))
        notes += [f"import rivulet loads {module}" for module in heavy]
        return Result(self.name, self.title, "CPU ms", "ms more", tuple(rows), tuple(notes))


GROUPS = (
    Memory(
        "memory_agen",
        "map, filter, map into a sum, from an async generator",
        CHAIN.replace("{source}", "generated"),
        (1_000_000, 10_000_000),
    ),
    Memory(
        "memory_generator",
        "the same from a generator",
        CHAIN.replace("{source}", "generator"),
        (1_000_000, 10_000_000),
    ),
    Memory("memory_merge", "merge of two async generators", MERGE, (1_000_000, 10_000_000)),
    Import(),
)
