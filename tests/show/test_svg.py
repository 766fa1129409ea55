"""``svg`` and what a notebook shows: well-formed, escaped, folded where it would be too wide."""

from __future__ import annotations

import base64
import time
from html.parser import HTMLParser
from operator import add
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream
from rivulet.testing import RecordingSource

SVG = "{http://www.w3.org/2000/svg}"
WIDEST = 960


class Odd:
    """A source, function and sink whose repr is what it is given."""

    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text

    def __iter__(self):
        return iter([1])

    def __call__(self, x):
        return x


class Picture:
    """What an SVG document shows."""

    def __init__(self, stream):
        self.root = ET.fromstring(stream.svg())
        self.groups = self.root.findall(f"{SVG}g")
        self.titles = [group.findtext(f"{SVG}title") for group in self.groups]
        self.labels = [group.findtext(f"{SVG}text") for group in self.groups]
        self.boxes = [
            tuple(float(group.find(f"{SVG}rect").get(key)) for key in ("x", "y", "width", "height"))
            for group in self.groups
        ]
        self.arrows = [path for path in self.root.findall(f"{SVG}path") if path.get("marker-end")]
        self.size = tuple(float(self.root.get(key)) for key in ("width", "height"))


def overlap(one, two):
    (x1, y1, w1, h1), (x2, y2, w2, h2) = one, two
    return x1 < x2 + w2 and x2 < x1 + w1 and y1 < y2 + h2 and y2 < y1 + h1


def chain(length):
    stream = Stream([1])
    for _ in range(length - 1):
        stream = stream.map(str)
    return stream


def branched():
    yes, no = Stream([1]).partition(bool)
    return yes.map(str).merge(no.map(repr)).zip(Stream([2])).group_by(0).scan(add).items()


def nested():
    return (Stream([1]).map(str) + Stream([2]).filter(bool)).retry(2).map(repr)


GRAPHS = {
    "one operator": lambda: Stream([1]),
    "chain": lambda: chain(4),
    "long chain": lambda: chain(60),
    "branches": branched,
    "nested": nested,
    "itself": lambda: (lambda s: s.zip(s, s.map(str)))(Stream([1])),
    "policy": lambda: (lambda s: s.merge(s.errors))(Stream([1]).map(str).on_error("skip")),
    "fan": lambda: (lambda s: s.merge(*(s.map(str) for _ in range(20))))(Stream([1])),
}


@pytest.mark.parametrize("make", GRAPHS.values(), ids=GRAPHS)
def test_boxes_lie_in_the_picture_and_apart(make):
    picture = Picture(make())
    width, height = picture.size
    for position, (x, y, w, h) in enumerate(picture.boxes):
        assert 0 <= x < x + w <= width
        assert 0 <= y < y + h <= height
        assert not any(overlap(picture.boxes[position], box) for box in picture.boxes[:position])


def test_every_operator_has_a_box_and_every_input_an_arrow():
    picture = Picture(Stream([1]).zip(Stream([2])).map(str))
    assert picture.labels == ["Stream([1])", "Stream([2])", "zip()", "map(str)"]
    assert len(picture.arrows) == 3


def test_a_graph_that_is_read_by_itself_is_drawn_as_an_input():
    picture = Picture(nested())
    assert sorted(picture.labels) == sorted(
        [
            "Stream([1])",
            "map(str)",
            "Stream([2])",
            "filter(bool)",
            "concat()",
            "retry(2)",
            "map(repr)",
        ]
    )
    assert len(picture.arrows) == 6


TEXTS = {
    "markup": "<b>&amp;</b>",
    "quotes": "\"'`",
    "end of a part": "]]> -->",
    "newline": "a\nb\tc",
    "control characters": "\x00\x1b[31mred\x7f",
    "half of a pair": "\ud800",
    "wide": "日本語",
    "emoji": "🎉",
    "empty": "",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_label_can_be_drawn(text):
    picture = Picture(Stream([1]).map(Odd(text)).to(Odd(text)))
    assert len(picture.labels) == 3
    if text.isprintable():
        assert picture.labels[1] == f"map({text})"
        assert picture.titles[1] == f"map({text})"


@given(st.text(max_size=20))
def test_any_text_at_all_is_well_formed(text):
    stream = Stream(Odd(text)).map(Odd(text))
    assert len(Picture(stream).labels) == 2
    stream._repr_mimebundle_()["text/html"].encode()


def test_a_long_label_is_shortened_and_is_whole_in_its_title():
    picture = Picture(Stream([1]).start_with(*range(100)))
    assert picture.labels[1] == "start_with(0, 1, 2, 3, 4, 5, 6, 7, …"
    assert picture.titles[1] == f"start_with({', '.join(map(str, range(100)))})"
    assert picture.size[0] <= WIDEST


def test_a_picture_that_would_be_too_wide_goes_on_below():
    short, long = Picture(chain(5)), Picture(chain(50))
    assert len({y for _, y, _, _ in short.boxes}) == 1
    assert len({y for _, y, _, _ in long.boxes}) > 1
    assert long.size[0] <= WIDEST
    assert long.size[1] > short.size[1]


@pytest.mark.parametrize("label", ["x" * 200, "日本語" * 30])
def test_long_labels_fold_it_too(label):
    stream = Stream([1])
    for _ in range(12):
        stream = stream.map(Odd(label))
    assert Picture(stream).size[0] <= WIDEST


def test_a_graph_of_300_operators_is_drawn_at_once():
    begun = time.process_time()
    picture = Picture(chain(300))
    assert time.process_time() - begun < 5
    assert len(picture.labels) == 300
    assert picture.size[0] <= WIDEST


def test_drawing_opens_nothing_and_refuses_what_can_t_work():
    source, once = RecordingSource([1]), iter([1])
    Stream(source).map(str).svg()
    assert source.opened == 0
    with pytest.raises(GraphError, match="read the same iterator"):
        Stream(once).merge(Stream(once)).svg()


# What a notebook shows


class Images(HTMLParser):
    """The images of some HTML, and whatever else is in it."""

    def __init__(self, html):
        super().__init__()
        self.images, self.rest = [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        (self.images if tag == "img" else self.rest).append(dict(attrs))

    def handle_data(self, data):
        self.rest.append(data)


@pytest.mark.parametrize("text", ["plain", "<script>&\"'>"])
def test_a_notebook_shows_the_tree_as_text_and_the_picture_as_an_image(text):
    stream = Stream([1]).map(Odd(text))
    bundle = stream._repr_mimebundle_()
    assert bundle.keys() == {"text/plain", "text/html"}
    assert bundle["text/plain"] == stream.explain()
    html = Images(bundle["text/html"])
    assert html.rest == []
    [image] = html.images
    assert image["alt"] == stream.explain()
    head, _, data = image["src"].partition(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(data, validate=True).decode() == stream.svg()


def test_it_takes_what_ipython_passes():
    bundle = Stream([1])._repr_mimebundle_(include=None, exclude={"text/html"})
    assert "text/plain" in bundle
