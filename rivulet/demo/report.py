"""What the demo shows: progress while it runs, and tables at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from datetime import date
from zoneinfo import ZoneInfo

from rivulet.demo.data import Row
from rivulet.demo.figures import Figures, Found
from rivulet.demo.pipeline import NEW_YORK, measure
from rivulet.errors import MissingExtraError

try:
    from rich.box import SIMPLE_HEAD, Box
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Table
except ModuleNotFoundError as error:
    raise MissingExtraError("rich", "demo") from error

__all__ = ["demo", "progress", "show"]

DAYS = 365
WIDTH = 8

Bar = Callable[[float], str]


def demo(*, plain: bool = False) -> None:
    """Run the pipeline and show what it found.

    Args:
        plain: without progress and colours, in ASCII. Output that goes to no terminal has neither
            progress nor colours anyway.
    """
    console = Console(
        highlight=False, force_terminal=False if plain else None, no_color=plain or None
    )
    with progress(console) if console.is_terminal else nullcontext() as watch:
        figures = asyncio.run(measure(watch))
    show(figures, console, ascii_only=plain or console.options.ascii_only)


@contextmanager
def progress(console: Console) -> Generator[Callable[[tuple[int, Row]], None]]:
    """Show how far in the year the flights are; give a function that takes the newest."""
    columns = (
        TextColumn("{task.description:>12}"),
        BarColumn(bar_width=40),
        TextColumn("{task.fields[flights]:>7,} flights"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=DAYS, flights=0)

        def watch(newest: tuple[int, Row]) -> None:
            number, row = newest
            day = date(int(row["year"]), int(row["month"]), int(row["day"]))
            name = f"{day.day} {day:%B}"
            bar.update(task, description=name, completed=day.timetuple().tm_yday, flights=number)

        yield watch


def show(figures: Figures, console: Console, *, ascii_only: bool = False) -> None:
    """Print the figures as tables."""
    box = Box(str(SIMPLE_HEAD).replace("─", "-"), ascii=True) if ascii_only else SIMPLE_HEAD
    bar = _ascii_bar if ascii_only else _bar
    tables = (
        _weather(figures, bar),
        _airlines(figures, bar),
        _days(figures, bar),
        _busiest(figures),
        _gaps(figures),
        _rejected(figures),
    )
    for table in tables:
        table.box = box
        console.print(table)
        console.print()
    console.print(
        f"{figures.rows:,} rows in {figures.seconds:.1f} s: "
        f"[bold]{figures.rows_per_second:,.0f} rows a second[/]"
    )


def _table(title: str, *columns: str) -> Table:
    """A table with words in the first columns and numbers in those that have a name."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for column in columns:
        if column:
            table.add_column(column, justify="right", no_wrap=True)
        else:
            table.add_column()
    return table


def _weather(figures: Figures, bar: Bar) -> Table:
    table = _table(
        "Delays in minutes by the weather at departure; late is 15 or more", "", "", "Flights"
    )
    _add_delay_columns(table)
    parts = {"Wind": figures.wind, "Rain": figures.rain, "Visibility": figures.visibility}
    most = max(found["mean"] for part in parts.values() for found in part.values())
    for name, part in parts.items():
        heading = name
        for label, found in part.items():
            table.add_row(heading, label, f"{found['flights']:,}", *_delay_cells(found, most, bar))
            heading = ""
        table.add_section()
    everything = figures.departures
    cells = _delay_cells(everything, most, bar)
    table.add_row("All", "", f"{everything['flights']:,}", *cells)
    return table


def _airlines(figures: Figures, bar: Bar) -> Table:
    table = _table("Delays in minutes by airline", "", "Flights", "Cancelled")
    _add_delay_columns(table)
    airlines = sorted(figures.airlines.items(), key=lambda item: item[1]["mean"], reverse=True)
    most = airlines[0][1]["mean"]
    for name, found in airlines:
        cancelled = figures.cancelled.get(name, 0)
        cells = _delay_cells(found, most, bar)
        table.add_row(name, f"{found['flights']:,}", f"{cancelled:,}", *cells)
    return table


def _days(figures: Figures, bar: Bar) -> Table:
    table = _table("Mean delays in a plane's day, in minutes", "Departures", "Days", "First")
    table.add_column(style="cyan", width=WIDTH)
    table.add_column("Last", justify="right", no_wrap=True)
    table.add_column(style="cyan", width=WIDTH)
    most = max(max(found["first"], found["last"]) for found in figures.days.values())
    for departures, found in figures.days.items():
        first, last = found["first"], found["last"]
        cells = f"{first:.1f}", bar(first / most), f"{last:.1f}", bar(last / most)
        table.add_row(str(departures), f"{found['days']:,}", *cells)
    return table


def _busiest(figures: Figures) -> Table:
    title = "Busiest times by airport (New York's time)"
    table = _table(title, "", "", "from", "Flights", "Mean delay", "Late")
    for airport in sorted(figures.busiest_hour):
        heading = airport
        for name, busiest in (
            ("hour", figures.busiest_hour),
            ("60 minutes", figures.busiest_60_minutes),
        ):
            window = busiest[airport]
            found = window.value
            table.add_row(
                heading,
                name,
                f"{window.start:%Y-%m-%d %H:%M}",
                f"{found['flights']:,}",
                f"{found['mean']:.1f}",
                f"{found['late'] / found['flights']:.1%}",
            )
            heading = ""
    return table


def _add_delay_columns(table: Table) -> None:
    table.add_column("Mean", justify="right", no_wrap=True)
    table.add_column(style="cyan", width=WIDTH)
    table.add_column("Late", justify="right", no_wrap=True)
    table.add_column("Longest", justify="right", no_wrap=True)


def _delay_cells(found: Found, most: float, bar: Bar) -> tuple[str, str, str, str]:
    late = found["late"] / found["flights"]
    mean, longest = found["mean"], found["longest"]
    return f"{mean:.1f}", bar(mean / most), f"{late:.1%}", f"{longest:,}"


def _bar(share: float) -> str:
    full, eighths = divmod(round(max(0, share) * WIDTH * 8), 8)
    return "█" * full + "▏▎▍▌▋▊▉"[eighths - 1 : eighths]


def _ascii_bar(share: float) -> str:
    return "#" * round(share * WIDTH)


def _gaps(figures: Figures) -> Table:
    title = "Minutes between departures by airport (New York's time)"
    local = ZoneInfo(NEW_YORK)
    table = _table(title, "", "Gaps", "Mean", "Same minute", "Longest", "since")
    for airport, found in sorted(figures.gaps.items()):
        number, longest = found["gaps"], found["longest"]
        table.add_row(
            airport,
            f"{number:,}",
            f"{found['mean']:.2f}",
            f"{found['same_minute'] / number:.1%}",
            f"{longest.minutes:,}",
            f"{longest.since.astimezone(local):%Y-%m-%d %H:%M}",
        )
    return table


def _rejected(figures: Figures) -> Table:
    table = _table("Rows that could not be used (dead letters)", "", "Rows")
    for reason, count in sorted(figures.rejected.items(), key=lambda item: item[1], reverse=True):
        table.add_row(reason, f"{count:,}")
    table.add_section()
    table.add_row("All", f"{sum(figures.rejected.values()):,}")
    return table
