"""``python -m benchmarks``: measure, print tables, check limits."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import (
    boundaries,
    cache,
    cache_bounds,
    chains,
    compat,
    joins,
    operators,
    processes,
    report,
    templates,
    topic,
    windows,
)
from benchmarks.measure import Group, Result, Settings
from benchmarks.stores import Stores

Measured = (
    Group
    | Stores
    | cache_bounds.Opening
    | cache_bounds.Lag
    | cache_bounds.KeyMemory
    | processes.Memory
    | processes.Import
    | topic.Copying
)

ALL: tuple[Measured, ...] = (
    *chains.GROUPS,
    *templates.GROUPS,
    *operators.GROUPS,
    *boundaries.GROUPS,
    *windows.GROUPS,
    *joins.GROUPS,
    *cache.GROUPS,
    *cache_bounds.GROUPS,
    *topic.GROUPS,
    *compat.GROUPS,
    *processes.GROUPS,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the groups whose names begin with one of those given; without names, all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="CPU time of rivulet and its peers beside hand-written loops.",
        epilog=f"groups: {', '.join(group.name for group in ALL)}",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a group, or how names begin")
    parser.add_argument("--rounds", type=int, default=7, help="default: 7")
    parser.add_argument("--quick", action="store_true", help="only see that everything runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write a table of one line each"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is passed")
    options = parser.parse_args(arguments)
    if options.quick and options.check:
        parser.error("--quick measures too little for --check")
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    for name in options.names:
        if not any(group.name.startswith(name) for group in ALL):
            parser.error(f"no group begins with {name!r}; {parser.epilog}")
    settings = Settings(rounds=3 if options.quick else options.rounds, quick=options.quick)
    results: list[Result] = []
    for group in ALL:
        if not options.names or group.name.startswith(tuple(options.names)):
            results.append(group.measure(settings))
            print(report.table(results[-1]), end="\n\n", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(report.data(results, settings), indent=2) + "\n")
    if options.markdown is not None:
        options.markdown.write_text(report.markdown(results))
    over = [f"{r.name}: {row.contender}" for r in results for row in r.rows if row.is_over]
    if over:
        print(f"over the limit: {'; '.join(over)}")
    return int(options.check and bool(over))


if __name__ == "__main__":
    sys.exit(main())
