"""Marbles: streams drawn as text, read and drawn again."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, StuckError, testing
from rivulet.testing import MarbleError, Marbles, marbles, stamps, timed, to_marbles

# Reading


@pytest.mark.parametrize(
    ("text", "items", "end", "failed"),
    [
        ("", [], None, False),
        ("|", [], 0, False),
        ("#", [], 0, True),
        ("--", [], None, False),
        ("-a", [(1, "a")], None, False),
        ("ab|", [(0, "a"), (1, "b")], 2, False),
        ("aa#", [(0, "a"), (1, "a")], 2, True),
        ("a-b--(cd)|", [(0, "a"), (2, "b"), (5, "c"), (5, "d")], 6, False),
        ("(a|)", [(0, "a")], 0, False),
        ("-(ab#)", [(1, "a"), (1, "b")], 1, True),
        ("(a)(b)|", [(0, "a"), (1, "b")], 2, False),
        (" a - ( b c )\n\t| ", [(0, "a"), (2, "b"), (2, "c")], 3, False),
        ("é*1|", [(0, "é"), (1, "*"), (2, "1")], 3, False),
    ],
)
def test_a_drawing_says_what_comes_when_and_how_it_ends(text, items, end, failed):
    assert Marbles.parse(text) == Marbles(tuple(items), end, failed)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a|b", r"character 3, 'b', comes after the end: put \| or # last"),
        ("a|-", "character 3, '-', comes after the end"),
        ("a #|", r"character 4, '\|', comes after the end: .* once"),
        ("(a|b)", "character 4, 'b', comes after the end"),
        ("(a|)b", "character 5, 'b', comes after the end"),
        ("-(ab", r"character 2, '\(', is never closed: put \) after the last"),
        ("ab)", r"character 3, '\)', closes nothing: put \( before"),
        ("a|)", r"character 3, '\)', closes nothing"),
        ("(a(b))", r"character 3, '\(', is inside of a bracket: close that with \)"),
        ("(a-b)", "character 3, '-', is inside of a bracket, which is one frame: take it out"),
        ("-()", r"character 2, '\(', opens a bracket without items: write - for silence"),
        ("-( )", "character 2, .* without items"),
    ],
)
def test_what_can_t_be_read_is_refused_when_built_with_the_place_and_what_would_do(text, what):
    with pytest.raises(GraphError, match=f"can't read the drawing .*: its {what}") as caught:
        marbles(text)
    assert repr(text) in str(caught.value)
    with pytest.raises(GraphError, match=what):
        marbles("|", event=text)


@pytest.mark.parametrize("text", [None, 3, ["a"]])
def test_what_is_no_text_is_refused(text):
    with pytest.raises(GraphError, match=r"a drawing is text such as 'a-b--\(cd\)\|', not "):
        marbles(text)


@pytest.mark.parametrize("tick", [0, -1, "fast", None, float("inf")])
async def test_a_frame_has_to_take_some_time(tick):
    with pytest.raises(GraphError, match=r"^marbles\(tick\) must be "):
        marbles("a|", tick=tick)
    with pytest.raises(GraphError, match=r"^to_marbles\(tick\) must be "):
        await to_marbles(Stream.of(1), tick=tick)


# Streams


async def test_items_come_in_their_frames():
    stream = marbles("-a-(bc)--d-|")
    assert await timed(stream) == [(1.0, "a"), (3.0, "b"), (3.0, "c"), (6.0, "d")]
    begun = asyncio.get_running_loop().time()
    assert await stream.count() == 4
    assert asyncio.get_running_loop().time() - begun == 8


@pytest.mark.parametrize(("tick", "seconds"), [(0.1, 0.1), ("1m", 60.0), ("1h", 3600.0)])
async def test_a_frame_is_as_long_as_asked(tick, seconds):
    rows = await timed(marbles("a--------b|", tick=tick))
    assert rows == [(0.0, "a"), (pytest.approx(9 * seconds), "b")]


async def test_values_stand_for_characters():
    values = {"a": None, "b": [1, 2], "z": "not drawn"}
    assert await marbles("abc|", values=values).collect() == [None, [1, 2], "c"]


async def test_a_hash_raises_what_is_given_or_an_error_that_shows_the_drawing():
    with pytest.raises(MarbleError, match="^the # in 'ab#'"):
        await marbles("ab#").collect()
    with pytest.raises(ConnectionError):
        await marbles("#", error=ConnectionError("gone")).collect()
    seen = []
    with pytest.raises(MarbleError):
        await marbles("a(b#)").to(seen).run()
    assert seen == ["a", "b"]


async def test_without_an_end_it_is_silent_for_good():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1e6):
            await marbles("ab-").run()
    assert await marbles("ab-").collect(timeout="1h") == ["a", "b"]


async def test_an_item_that_is_held_up_delays_none_that_come_later():
    async def slow(x):
        await asyncio.sleep(2.5)
        return x

    assert await timed(marbles("ab-------c|").map(slow)) == [(2.5, "a"), (5.0, "b"), (11.5, "c")]


async def test_a_drawing_can_be_run_again_and_in_several_places():
    stream = marbles("ab|")
    assert await stream.collect() == await stream.collect() == ["a", "b"]
    assert await to_marbles(stream + stream) == "abab|"


def test_a_drawing_is_shown_as_it_was_drawn():
    assert repr(marbles("a-b|").map(str)) == "<Stream(marbles('a-b|')).map(str): not running>"


# Event time


async def test_a_second_drawing_says_when_items_happened():
    assert await stamps(marbles("abc|", event="b-(ac)|")) == [("a", 2.0), ("b", 0.0), ("c", 2.0)]
    assert await stamps(marbles("ab|", event="-ba", tick="1m")) == [("a", 120.0), ("b", 60.0)]
    assert await stamps(marbles("aa|", event="-a")) == [("a", 1.0), ("a", 1.0)]


async def test_what_happened_may_never_arrive_and_values_keep_their_time():
    stream = marbles("ca|", event="abc", values={"a": [1], "c": {}}, max_delay=2)
    assert await stamps(stream) == [({}, 2.0), ([1], 0.0)]


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ("a", "event='a' doesn't say when b, c happened"),
        ("", "event='' doesn't say when a, b, c happened"),
        ("abca", "event='abca' says twice when a happened"),
    ],
)
def test_an_event_time_that_is_missing_or_there_twice_is_refused(event, message):
    with pytest.raises(GraphError, match=message):
        marbles("abc|", event=event)


def test_a_delay_without_event_time_is_refused():
    with pytest.raises(GraphError, match=r"marbles\(max_delay=3\) needs event="):
        marbles("abc|", max_delay=3)


# Drawing


@pytest.mark.parametrize(
    ("items", "names", "drawn"),
    [
        ([], None, "|"),
        ([1, 2], None, "(12|)"),
        (["a", 10, ""], None, "(a<10><>|)"),
        (["-", "|", "#", "(", ")", " ", "<", "\n"], None, "(<-><|><#><(><)>< ><<><\n>|)"),
        ([1, 2, None], {1: "x", None: "n"}, "(x2n|)"),
        ([1], {1: "one"}, "(<one>|)"),
        ([[1], {}], {2: "x"}, "(<[1]><{}>|)"),
    ],
)
async def test_items_are_drawn_by_name_and_in_brackets_where_they_would_mislead(
    items, names, drawn
):
    assert await to_marbles(Stream(items), names=names) == drawn


async def test_the_time_begins_with_the_run():
    await asyncio.sleep(7)
    assert await to_marbles(marbles("-a-|")) == "-a-|"
    assert await timed(marbles("-a|")) == [(1.0, "a")]


async def test_frames_are_as_long_as_asked():
    stream = marbles("a---b---|", tick=0.5)
    assert await to_marbles(stream, tick=0.5) == "a---b---|"
    assert await to_marbles(stream, tick=1) == "a-b-|"
    assert await to_marbles(stream, tick="2s") == "ab|"


async def test_any_error_is_drawn_but_not_one_of_the_graph():
    assert await to_marbles(Stream.of(1, 0).map(lambda x: 1 // x)) == "(1#)"
    with pytest.raises(GraphError, match="same iterator"):
        once = iter([1])
        await to_marbles(Stream(once).merge(Stream(once)))


def test_a_stream_that_never_ends_is_a_hang_and_no_drawing():
    with pytest.raises(StuckError, match=r"the loop of Stream\(marbles\('a-'\)\) waits"):
        testing.run(to_marbles(marbles("a-")))


frames = st.one_of(
    st.just("-"),
    st.sampled_from("abcé1*"),
    st.lists(st.sampled_from("abc"), min_size=2, max_size=3).map(lambda xs: f"({''.join(xs)})"),
)
ends = st.tuples(st.text("abc", max_size=2), st.sampled_from("|#")).map(
    lambda end: f"({end[0]}{end[1]})" if end[0] else end[1]
)


@given(st.lists(frames, max_size=12).map("".join), ends, st.sampled_from([0.1, 1, 3600]))
def test_what_is_drawn_is_read_back(body, end, tick):
    drawing = body + end
    assert testing.run(to_marbles(marbles(drawing, tick=tick), tick=tick)) == drawing


@given(st.text("ab-|#() ", max_size=10))
def test_any_text_is_read_or_refused_and_drawn_in_the_same_frames(text):
    try:
        parsed = Marbles.parse(text)
    except GraphError:
        return
    if parsed.end is not None:
        assert Marbles.parse(testing.run(to_marbles(marbles(text)))) == parsed
