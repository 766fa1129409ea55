"""Results as tables for reading and as data."""

from __future__ import annotations

import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.measure import Result, Row, Settings


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        "processor": _processor(),
        "cpus": os.cpu_count(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def table(result: Result) -> str:
    """One group, readable in a terminal."""
    head = ("contender", "N", result.unit, result.compared, "limit", "")
    lines = [head, *(_cells(row) for row in result.rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    text = [f"{result.name}: {result.title}"]
    for line in lines:
        name, *others = (
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        text.append("  ".join(["", name, *others]).rstrip())
    text += [f"  {note}" for note in result.notes]
    return "\n".join(text)


def _cells(row: Row) -> tuple[str, ...]:
    beside = "" if row.beside is None else f"{row.beside:.2f}"
    limit = "" if row.limit is None else f"{row.limit:.2f}"
    verdict = "" if row.limit is None else "over" if row.is_over else "ok"
    value = f"{row.value:.3f}" if row.value < 10 else f"{row.value:.1f}"
    return row.contender, f"{row.n:,}", value, beside, limit, verdict


def markdown(results: list[Result]) -> str:
    """One line per group, for the README."""
    lines = ["| group | base | others, beside it |", "|---|---|---|"]
    for result in results:
        if result.rows:
            base = result.rows[0]
            others = [_beside(row) for row in result.rows if row.contender != base.contender]
            first = f"{base.contender}: {base.value:.3g} {result.unit}"
            lines.append(f"| {result.name} | {first} | {', '.join(others)} {result.compared} |")
    return "\n".join(lines) + "\n"


def _beside(row: Row) -> str:
    text = f"{row.contender} {row.beside:.2f}"
    if row.limit is None:
        return text
    return f"**{text}** ({'over ' if row.is_over else ''}limit {row.limit:g})"


def data(results: list[Result], settings: Settings) -> dict[str, Any]:
    """Everything, for ``--json``."""
    groups = [
        {
            **asdict(result),
            "rows": [{**asdict(row), "over": row.is_over} for row in result.rows],
        }
        for result in results
    ]
    return {"machine": machine(), **asdict(settings), "groups": groups}
