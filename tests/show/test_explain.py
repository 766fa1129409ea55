"""``explain``: the graph as a tree, and the loops that it is compiled to."""

from __future__ import annotations

import time
from operator import add

import pytest

import rivulet
from rivulet import GraphError, Stream
from rivulet.notebook.show import explain_streams
from rivulet.testing import RecordingSource


def double(x):
    return 2 * x


def odd(x):
    return x % 2


def big(x):
    return x > 9


def tree(stream):
    return stream.explain().split("\n")


# The tree


def test_a_chain_goes_down_from_its_source():
    stream = Stream([1, 2]).map(double).filter(odd).take(3).to(print)
    assert tree(stream) == [
        "#1 Stream([1, 2])",
        "└─ #2 map(double)",
        "   └─ #3 filter(odd)",
        "      └─ #4 take(3)",
        "         └─ #5 to(print)",
    ]
    assert stream.explain("graph") == stream.explain()


def test_what_has_several_inputs_stands_below_the_first_and_is_named_at_the_others():
    one, two, three = Stream([1]), Stream([2]), Stream([3])
    assert tree(one.zip(two.map(double), three).map(add)) == [
        "#1 Stream([1])",
        "└─ #5 zip()  (what follows runs in a task of its own)",
        "   └─ #6 map(add)",
        "#2 Stream([2])",
        "└─ #4 map(double)",
        "   └─ → #5 zip(), as input 2",
        "#3 Stream([3])",
        "└─ → #5 zip(), as input 3",
    ]


def test_what_reads_a_stream_several_times_is_named_with_all_its_inputs():
    one, two = Stream([1]), Stream([2])
    assert tree(one.zip(two, two)) == [
        "#1 Stream([1])",
        "└─ #3 zip()  (what follows runs in a task of its own)",
        "#2 Stream([2])",
        "└─ → #3 zip(), as input 2 and 3",
    ]


def test_branches_of_one_stream_stand_side_by_side():
    shared = Stream([1]).map(double)
    assert tree(shared.filter(odd).to(print).merge(shared.to(list))) == [
        "#1 Stream([1])",
        "└─ #2 map(double)",
        "   ├─ #3 filter(odd)",
        "   │  └─ #4 to(print)",
        "   │     └─ #6 merge()  (what follows runs in a task of its own)",
        "   └─ #5 to(list)",
        "      └─ → #6 merge(), as input 2",
    ]


def test_several_streams_that_are_run_together_are_one_graph():
    yes, no = Stream([1]).partition(odd)
    assert explain_streams(yes.to(print), no.to(list)).split("\n") == [
        "#1 Stream([1])",
        "└─ #2 partition(odd)",
        "   ├─ #3 .no",
        "   │  └─ #5 to(list)",
        "   └─ #4 to(print)",
    ]
    with pytest.raises(GraphError, match="needs at least one stream"):
        explain_streams()


def test_an_output_that_nothing_reads_is_said_to_be_dropped():
    yes, no = Stream([1]).partition(odd)
    guarded = Stream([1]).map(double).on_error("skip")
    routes = Stream([1]).route(odd=odd, big=big)
    assert tree(yes)[1] == "└─ #2 partition(odd)  (no: dropped, nothing reads it)"
    assert tree(guarded)[2].endswith("on_error('skip')  (errors: dropped, nothing reads it)")
    assert "dropped" not in yes.merge(no).explain()
    assert "dropped" not in guarded.errors.explain()
    assert "dropped" not in routes["rest"].explain()


def test_a_graph_that_is_read_by_itself_stands_inside_with_numbers_of_its_own():
    stream = (Stream([1]).map(double) + Stream([2])).retry(2).filter(odd)
    assert tree(stream) == [
        "#1 retry(2)",
        "┆  reads by itself:",
        "┆  #1 concat(map(double), Stream([2]))",
        "┆  ┆  reads by itself:",
        "┆  ┆  #1 Stream([1])",
        "┆  ┆  └─ #2 map(double)",
        "┆  ┆  reads by itself:",
        "┆  ┆  #1 Stream([2])",
        "└─ #2 filter(odd)",
    ]


def test_groups_are_entered_and_left():
    stream = Stream([1]).group_by(odd).scan(add).items()
    assert tree(stream) == [
        "#1 Stream([1])",
        "└─ #2 group_by(odd)",
        "   └─ #3 scan(add)",
        "      └─ #4 items()",
    ]


@pytest.mark.parametrize(
    ("stream", "remark"),
    [
        (Stream.timer(1), "never ends"),
        (Stream(iter([1])), "can be read once"),
        (Stream([1]).buffer(2), "what follows runs in a task of its own"),
        (Stream([1]).map(double, concurrency=2), "what follows runs in a task of its own"),
        (Stream([1]).event_time(double), "nothing below needs it"),
        (Stream([1]).pipe(list), "opaque, stepped in place"),
    ],
)
def test_what_is_to_be_known_of_an_operator_stands_beside_it(stream, remark):
    assert tree(stream)[-1].endswith(f"  ({remark})")


def test_event_time_that_something_needs_has_no_remark():
    text = rivulet.testing.Recorder().watch(Stream([1]).event_time(double)).explain()
    assert "nothing below needs it" not in text


# The code


def test_the_code_of_a_branch_is_in_the_same_loop():
    yes, no = Stream([1]).partition(odd)
    assert (
        explain_streams(yes.to(print), no.to(repr), what="code")
        == """\
# partition_2 = odd
# to_4 = print
# to_5 = repr
async def loop(source):
    while True:
        x = END
        for x in islice(source, turn.items):
            if partition_2(x):
                to_4(x)
            else:
                to_5(x)
            if asked and await between(): return
        if x is END: break
        if await turn(): return"""
    )


def test_each_loop_is_headed_by_what_it_reads():
    headings = [
        line
        for line in Stream([1]).merge(Stream([2])).map(double).explain("code").split("\n")
        if line.startswith("#")
    ]
    assert headings == [
        "# reads Stream([1])",
        "# reads Stream([2])",
        "# reads merge()",
        "# map_4 = double",
    ]


@pytest.mark.parametrize("what", ["plan", "Code", "", None, 3])
def test_anything_else_is_refused(what):
    with pytest.raises(GraphError, match=r"explain\(what\) must be one of 'graph', 'code', not "):
        Stream([1]).explain(what)


async def test_it_works_inside_of_a_loop_too_and_opens_nothing():
    source = RecordingSource([1])
    stream = Stream(source).map(double).merge([2])
    assert "map_2 = double" in stream.explain("code")
    assert "map(double)" in stream.explain()
    assert source.opened == 0


def test_a_graph_that_can_t_work_says_so():
    once = iter([1])
    stream = Stream(once).merge(Stream(once))
    for what in ("graph", "code"):
        with pytest.raises(GraphError, match="read the same iterator"):
            stream.explain(what)


# Large graphs


def chain(length):
    stream = Stream([1])
    for _ in range(length - 1):
        stream = stream.map(double)
    return stream


def braid(length):
    """Each stream is made of the one before in two ways."""
    stream = Stream([1])
    for _ in range(length // 3):
        stream = stream.map(double).merge(stream.filter(odd))
    return stream


def fan(length):
    source = Stream([1])
    return source.merge(*(source.map(double) for _ in range(length - 2)))


@pytest.mark.parametrize("graph", [chain, braid, fan])
@pytest.mark.parametrize("what", ["graph", "code"])
def test_a_graph_of_300_operators_is_shown_at_once(graph, what):
    stream = graph(300)
    begun = time.process_time()
    text = stream.explain(what)
    assert time.process_time() - begun < 5
    assert text.count("map") >= 98


def test_the_tree_of_300_operators_has_each_once():
    assert [line.strip(" └─").partition(" ")[0] for line in tree(chain(300))] == [
        f"#{number}" for number in range(1, 301)
    ]
    lines = tree(braid(300))
    assert sum("→" not in line for line in lines) == 301
    assert sum("→" in line and line.endswith(("input 1", "input 2")) for line in lines) == 100
