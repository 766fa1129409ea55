"""The picture of a timeline: what is in it, and that it stays readable."""

from __future__ import annotations

import base64
import re
from datetime import datetime as dt
from xml.etree import ElementTree as ET

import pytest

from rivulet import Cache, Checkpoint, Dependency, Stream
from rivulet.aggregators import Count
from rivulet.notebook.brief import brief, columns, cut, lasting
from rivulet.notebook.canvas import WIDTH
from rivulet.notebook.strokes import DEFINITIONS, STYLE, width_of
from rivulet.testing import marbles

SVG = "{http://www.w3.org/2000/svg}"


class Picture:
    """A picture, taken apart."""

    def __init__(self, timeline):
        self.source = timeline.svg()
        self.root = ET.fromstring(self.source)

    def count(self, tag, style):
        return len(self.all(tag, style))

    def all(self, tag, style=None):
        found = self.root.iter(f"{SVG}{tag}")
        return [e for e in found if style is None or style in (e.get("class") or "").split()]

    @property
    def texts(self):
        return [words(text) for text in self.all("text")]

    @property
    def size(self):
        return float(self.root.get("width")), float(self.root.get("height"))


def words(element):
    """A text without its title."""
    parts = [element.text, *(t for e in element for t in (words_of(e), e.tail))]
    return "".join(part or "" for part in parts).strip()


def words_of(element):
    return "" if element.tag == f"{SVG}title" else element.text


def seconds(*times, **more):
    return Stream(times).event_time(lambda t: t, **more)


def rows(*values, start=10):
    at = [dt(2023, 1, 1, start + i // 2, 30 * (i % 2)) for i in range(len(values))]
    return [{"at": time, "value": value} for time, value in zip(at, values, strict=True)]


async def windows():
    readings = [(0, "attic"), (4, "attic"), (12, "cellar"), (7, "attic"), (26, "attic"), (3, "x")]
    stamped = Stream(readings).event_time(0, max_delay=5)
    return await stamped.window(tumbling=10, by=1).agg(n=Count()).timeline()


async def test_items_are_steps_under_which_the_watermark_sweeps():
    picture = Picture(await windows())
    assert picture.count("circle", "item") == 5
    assert picture.count("circle", "late") == 1
    assert picture.count("line", "lateness") == 1
    assert picture.count("path", "mark") == picture.count("path", "past") == 1
    heights = [float(circle.get("cy")) for circle in picture.all("circle")]
    assert heights == sorted(heights)
    assert "#4 attic" in picture.texts
    assert any(text.endswith("late by 18 s") for text in picture.texts)


async def test_a_window_is_a_bar_with_its_result_and_what_closed_it():
    picture = Picture(await windows())
    bars = [bar for bar in picture.all("rect") if bar.get("rx") == "4.5"]
    assert len(bars) == 3
    assert [text for text in picture.texts if text.startswith("n=")] == [
        "n=3  #5",
        "n=1  end",
        "n=1  #5",
    ]
    assert {"attic", "cellar"} <= set(picture.texts)


async def test_keys_have_colours_of_their_own():
    picture = Picture(await windows())
    assert picture.count("circle", "c0") == 4
    assert picture.count("circle", "c1") == 1
    assert picture.count("rect", "k0") == 3
    assert picture.count("rect", "k1") == 2


async def test_many_keys_share_the_colour_and_are_named_in_their_bars():
    stamped = Stream([(i, f"key {i}") for i in range(30)]).event_time(0)
    picture = Picture(await stamped.window(tumbling=60, by=1).count().timeline())
    assert picture.count("circle", "c0") == 0
    assert "key 7: 1  end" in picture.texts


async def test_results_that_are_not_final_or_taken_back_are_dashed():
    open_ones = seconds(1, 2).window(tumbling=10, emit="update").count()
    picture = Picture(await open_ones.timeline())
    assert picture.count("rect", "open") == 0
    assert "2  end, 3 results" in picture.texts
    merged = seconds(1, 20, 10, max_delay=30).window(session=10.5, emit="update").count()
    assert Picture(await merged.timeline()).count("rect", "gone") == 1


async def test_an_arrow_leads_from_each_left_item_to_its_match_and_tells_its_age():
    early = {"at": dt(2023, 1, 1, 9), "value": "early"}
    left = Stream([early, *rows("a", "b", "c")])
    right = Stream(rows("sun", start=10))
    picture = Picture(await left.join_asof(right, on="at").timeline())
    assert picture.count("path", "match") == 3
    assert picture.count("circle", "hollow") == 1
    assert picture.count("circle", "item") == 3
    assert picture.count("circle", "right") == 1
    assert {"0 s", "30 min", "1 h", "left", "right"} <= set(picture.texts)
    assert "2023-01-01 UTC" in picture.texts


async def test_what_was_given_before_a_correction_is_dashed():
    trades, prices = marbles("--t---|", event="---t"), marbles("a---b|", event="a-b")
    picture = Picture(await trades.join_asof(prices, revise=True).timeline())
    assert picture.count("path", "before") == picture.count("path", "match") == 1


async def test_matches_of_the_same_key_have_its_colour():
    left = Stream([(1, "x"), (2, "y")]).event_time(0)
    right = Stream([(0, "x"), (0, "y")]).event_time(0)
    picture = Picture(await left.join_asof(right, by=1).timeline())
    assert picture.count("path", "a0") == picture.count("path", "a1") == 1
    assert [path.get("marker-end") for path in picture.all("path", "match")] == [
        "url(#c0)",
        "url(#c1)",
    ]


async def test_what_was_in_the_cache_before_is_shown_below():
    cache = Cache(":memory:")
    cache.put(dt(2023, 1, 1, 9).timestamp(), "moon")
    timeline = await Stream(rows("a", "b")).join_asof(None, cache, on="at").timeline()
    picture = Picture(timeline)
    assert picture.count("circle", "kept") == 1
    assert picture.count("path", "match") == 2
    assert {"in the cache", "moon"} <= set(picture.texts)


async def test_watermarks_that_lag_behind_the_items_of_a_join_are_shown():
    left, right = seconds(5, 6, max_delay=2), seconds(1, 4)
    picture = Picture(await left.join_asof(right).timeline())
    assert picture.count("line", "mark") == 2


async def test_a_gate_that_holds_shades_the_stretch_that_was_missing():
    weather = marbles("a--b--|", values={"a": 10, "b": 12})
    walks = marbles("-xyz|", values={"x": 9, "y": 11, "z": 13})
    picture = Picture(await walks.gate(on=weather, marker=lambda hour: hour).timeline())
    assert picture.count("rect", "hold") == picture.count("rect", "gap") == 2
    assert picture.count("circle", "hollow") == 2
    assert picture.count("path", "beat") == 2
    assert picture.count("path", "release") == 1
    assert {"#3 held 1 s, until #5", "#7 held 3 s, until weather ended"} <= set(picture.texts)
    gap, hold = picture.all("rect", "gap")[0], picture.all("rect", "hold")[0]
    assert gap.get("x") == hold.get("x")
    x = picture.all("path", "beat")[0].get("d").partition(",")[0].removeprefix("M")
    assert float(hold.get("x")) == float(x)


async def test_an_outage_is_red():
    checkpoint = Checkpoint("walks", dependencies=[Dependency("weather", None, 1)])
    weather = marbles("a--b---c|", values={"a": 10, "b": 12, "c": 17})
    walks = marbles("-xyz|", values={"x": 9, "y": 14, "z": 15})
    beats = weather.beat(checkpoint, marker=lambda hour: hour)
    gated = walks.gate(checkpoint, marker=lambda hour: hour, hold="after")
    picture = Picture(await gated.timeline(beats))
    assert picture.count("rect", "down") == picture.count("rect", "wound") == 1
    assert "#3 paused 5 s, until #6" in picture.texts


async def test_what_waits_to_the_end_or_is_given_up_is_shown():
    gated = marbles("ab|").gate(on=Stream.never(), marker=lambda _: 5, max_hold=3)
    picture = Picture(await gated.stale.timeline())
    assert sum("given up after 3 s" in text for text in picture.texts) == 2


async def test_what_comes_out_is_a_lane_and_without_times_it_is_in_its_order():
    picture = Picture(await Stream("abc").map(str.upper).timeline())
    assert picture.count("circle", "out") == 3
    assert {"#2 B", "in the order in which it came"} <= set(picture.texts)
    places = [float(circle.get("cx")) for circle in picture.all("circle")]
    assert places == sorted(places)
    assert len(set(places)) == 3


async def test_of_nothing_there_is_a_picture_too():
    width, height = Picture(await Stream.empty().timeline()).size
    assert width == WIDTH
    assert height < 100


@pytest.mark.parametrize("count", [1, 2, 30, 300, 3000])
async def test_however_many_there_are_it_stays_on_a_page(count):
    stamped = Stream([(i * 7 % count, f"an item called {i}") for i in range(count)])
    windows = stamped.event_time(0, max_delay=count).window(tumbling=7).count()
    picture = Picture(await windows.timeline(limit=None))
    width, height = picture.size
    assert width == WIDTH
    assert height < 1700


async def test_of_very_many_windows_on_top_of_each_other_it_says_how_many_more_there_are():
    windows = seconds(*range(100)).window(sliding=200).count()
    picture = Picture(await windows.timeline(limit=None))
    assert sum(1 for bar in picture.all("rect") if bar.get("rx") == "4.5") == 40
    assert "and 60 more" in picture.texts


async def test_however_many_matches_there_are_it_stays_on_a_page():
    left = seconds(*(n / 10 for n in range(500)))
    picture = Picture(await left.join_asof(seconds(*range(50))).timeline(limit=None))
    assert picture.count("path", "match") == 500
    assert picture.size[1] < 400


async def crowded():
    names = ["a rather long name", "another long one", "short", "the third long name"]
    left = Stream([(i * 3, names[i % 4]) for i in range(24)]).event_time(0)
    right = Stream([(i * 10, names[i % 3]) for i in range(8)]).event_time(0)
    return await left.join_asof(right).timeline()


@pytest.mark.parametrize("make", [windows, crowded])
async def test_no_text_lies_on_another_or_is_cut_off(make):
    picture = Picture(await make())
    width, height = picture.size
    boxes = [box(text) for text in picture.all("text")]
    for number, (x, y, wide, high, text) in enumerate(boxes):
        assert x >= 0, text
        assert x + wide <= width, text
        assert high <= y <= height, text
        for left, top, w, h, other in boxes[:number]:
            apart = x >= left + w or left >= x + wide or y - high >= top or top - h >= y
            assert apart, (text, other)


def box(element):
    """About where a text is: its left, its base line, its width and height."""
    text = words(element)
    size = float(element.get("font-size"))
    wide = width_of(text, size) * 0.8
    x = float(element.get("x"))
    x -= {"start": 0, "middle": wide / 2, "end": wide}[element.get("text-anchor")]
    return x, float(element.get("y")), wide, size * 0.8, text


@pytest.mark.parametrize("value", ["<&>\"'", "]]>", "\x00\x1b\ud800", "\u202e", "👩‍👩‍👧", "ा"])
async def test_whatever_items_are_the_picture_is_well_formed(value):
    stamped = Stream([(1, value), (2, value)]).event_time(0)
    timeline = await stamped.window(tumbling=10, by=1).collect().timeline()
    Picture(timeline)
    assert timeline.marbles()


async def test_it_says_no_more_styles_than_it_has_and_has_those_of_light_and_dark():
    assert STYLE.count("{") == STYLE.count("}")
    light, dark = STYLE.split("@media (prefers-color-scheme:dark){")
    assert set(re.findall(r"\.([a-z]+\d?)\{", dark)) <= set(re.findall(r"\.([a-z]+\d?)\{", light))
    used = set()
    for make in (windows, crowded):
        for element in Picture(await make()).root.iter():
            used.update((element.get("class") or "").split())
    assert used <= set(re.findall(r"\.([a-z]+\d?)\{", light))
    assert set(re.findall(r"url\(#(\w+)\)", STYLE)) <= set(re.findall(r'id="(\w+)"', DEFINITIONS))


async def test_a_notebook_gets_the_picture_with_the_text_in_its_place():
    timeline = await windows()
    bundle = timeline._repr_mimebundle_()
    assert bundle["text/plain"] == str(timeline)
    found = re.fullmatch(
        r'<img src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]+)">', bundle["text/html"], re.S
    )
    assert base64.b64decode(found[1]).decode() == timeline.svg()
    assert found[2].startswith("  #1  ")


# Words


@pytest.mark.parametrize(
    ("item", "t", "shown"),
    [
        ("a  b\nc", None, "a b c"),
        ("", None, "''"),
        (None, None, "none"),
        (1.23456, None, "1.235"),
        (True, 1_000_000, "True"),
        ((5, "a", 7), 5_000_000, "a · 7"),
        ((5, "a", 7), None, "5 · a · 7"),
        ({"at": dt(2023, 1, 1), "value": "sun"}, 0, "sun"),
        ({"at": "2023-01-01 10:00:00", "value": "sun"}, 0, "sun"),
        ({"at": "2023 and more of it", "value": 1}, 0, "at=2023 and more of it, value=1"),
        ({"n": 3, "mean": 2.5}, None, "n=3, mean=2.5"),
        ({"n": {"a": 1}}, None, "a=1"),
        ({}, None, "{}"),
        ([], None, "[]"),
        ([(1, "a"), (2, "b")], None, "1 · a, 2 · b"),
        ((5,), 5_000_000, "5"),
        (dt(2023, 1, 1), 0, "2023-01-01 00:00:00"),
        ("x" * 100, None, "x" * 59 + "…"),
    ],
)
def test_an_item_is_shown_in_brief(item, t, shown):
    assert brief(item, t) == shown


def test_a_value_whose_repr_fails_is_shown_all_the_same():
    class Broken:
        def __repr__(self):
            raise ValueError

    assert "Broken" in brief(Broken())


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "0 s"),
        (1500, "1.5 ms"),
        (2_500_000, "2.5 s"),
        (-60_000_000, "1 min"),
        (5_400_000_000, "1 h 30 min"),
        (3_600_000_000, "1 h"),
        (90_061_000_000, "1 d 1 h"),
        (86_400_000_000, "1 d"),
        (86_460_000_000, "1 d"),
    ],
)
def test_how_long_something_takes_is_told_in_its_two_largest_units(micros, shown):
    assert lasting(micros) == shown


def test_wide_characters_take_two_columns():
    assert [columns(text) for text in ("ab", "🏆", "🌦️", "日本", "é", "")] == [2, 2, 2, 4, 1, 0]
    assert cut("日本語", 4) == "日…"
