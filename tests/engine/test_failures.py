"""A user's exception comes out as it is, with a note, behind the items before it; all is closed."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rivulet
from rivulet import GraphError, SourceError, StrayAwaitableError, Stream, maybe_async
from rivulet.testing import RecordingSource, assert_closed, run
from tests.examples import examples


class Boom(Exception):
    pass


def failing(at, kind):
    """A function that raises for one item, in several guises."""

    def check(x, *rest):
        if x == at:
            raise Boom(x)
        return x

    async def waiting(x, *rest):
        await asyncio.sleep(0.01)
        return check(x)

    async def ready(x, *rest):
        return check(x)

    return {
        "plain": check,
        "waiting": waiting,
        "ready": ready,
        "coroutine": lambda x, *r: waiting(x),
        "maybe": maybe_async(lambda x, *r: waiting(x) if x % 2 else check(x)),
    }[kind]


KINDS = ["plain", "waiting", "ready", "coroutine", "maybe"]

FAILING = {
    "map": lambda s, f: s.map(f),
    "starmap": lambda s, f: s.map(lambda x: (x,)).starmap(f),
    "filter": lambda s, f: (
        s.map(lambda x: x + 1).filter(lambda x: f(x - 1) is not None).map(lambda x: x - 1)
    ),
    "tap": lambda s, f: s.tap(f),
    "to": lambda s, f: s.to(f),
    "flat_map": lambda s, f: s.map(f).flat_map(lambda x: [x]),
    "distinct": lambda s, f: s.distinct(f),
    "take_while": lambda s, f: (
        s.map(lambda x: x + 1).take_while(lambda x: f(x - 1) is not None).map(lambda x: x - 1)
    ),
    "concurrent": lambda s, f: s.map(f, concurrency=3),
    "concurrent by": lambda s, f: s.map(f, concurrency=3, by=lambda x: x % 2),
    "keyed": lambda s, f: s.group_by(lambda x: x % 2).map(f).values(),
    "group_by": lambda s, f: s.group_by(f).map(lambda x: x).values(),
}
PASSING = {
    "nothing": lambda s: s,
    "map": lambda s: s.map(lambda x: x),
    "async": lambda s: s.map(failing(None, "waiting")),
    "buffer": lambda s: s.buffer(3),
    "share": lambda s: s.share(),
    "concurrent": lambda s: s.map(failing(None, "waiting"), concurrency=2),
    "flat_map": lambda s: s.flat_map(lambda x: [x]),
    "timeout": lambda s: s.timeout(100),
    "delay": lambda s: s.delay(1),
    "pipe": lambda s: s.pipe(passing),
    "concat": lambda s: s.concat([]),
    "merge": lambda s: s.merge([]),
    "counted": lambda s: s.enumerate().starmap(lambda n, x: x),
}


async def passing(items):
    async for item in items:
        yield item


@examples(200)
@given(
    st.sampled_from(list(FAILING)),
    st.sampled_from(KINDS),
    st.lists(st.sampled_from(list(PASSING)), max_size=2),
    st.lists(st.sampled_from(list(PASSING)), max_size=2),
    st.integers(0, 6),
    st.sampled_from([0, 0.1]),
    st.sampled_from(["run", "iterate", "start"]),
)
def test_a_failure_anywhere_comes_out_behind_the_items_before_it(
    name, kind, before, after, at, every, way
):
    source = RecordingSource(range(8), every=every)
    reached = []
    if name in ("filter", "take_while") and kind != "plain":
        kind = "plain"

    async def main():
        stream = Stream(source)
        for step in before:
            stream = PASSING[step](stream)
        stream = FAILING[name](stream, failing(at, kind))
        for step in after:
            stream = PASSING[step](stream)
        with pytest.raises(Boom) as caught:
            if way == "run":
                await stream.to(reached).run()
            elif way == "start":
                await stream.to(reached).start()
            else:
                async with stream.open() as items:
                    async for item in items:
                        reached.append(item)
        assert caught.value.args == (at,)
        (note,) = caught.value.__notes__
        assert note.startswith("rivulet: in ")
        assert f"on item {at}" in note or f"on item {at + 1}" in note or "on item (" in note
        assert_closed(source)

    run(main())
    assert reached == list(range(at))


async def test_the_note_names_the_operator_as_it_was_written_and_where():
    with pytest.raises(Boom) as caught:
        await Stream([1, 2]).map(failing(2, "plain")).filter(bool).run()
    (note,) = caught.value.__notes__
    assert "map(failing" not in note
    assert note.startswith("rivulet: in map(check) [#2, ")
    assert "test_failures.py:" in note
    assert note.endswith("on item 2")


async def test_the_item_in_a_note_is_cut_and_its_repr_may_fail():
    class Odd:
        def __repr__(self):
            raise ValueError("no repr")

    with pytest.raises(ZeroDivisionError) as caught:
        await Stream(["x" * 1000]).map(lambda x: 1 // 0).run()
    assert len(caught.value.__notes__[0]) < 400
    with pytest.raises(ZeroDivisionError) as caught:
        await Stream([Odd()]).map(lambda x: 1 // 0).run()
    assert "on item <Odd instance at" in caught.value.__notes__[0]


async def test_a_failing_source_is_named():
    async def lines():
        yield 1
        raise Boom("lost")

    got = []
    with pytest.raises(Boom) as caught:
        await Stream(lines).to(got).run()
    assert got == [1]
    assert caught.value.__notes__[0].startswith("rivulet: reading Stream(lines) [#1, ")


async def test_a_source_that_can_t_be_opened_is_named():
    def broken():
        raise Boom("no")

    with pytest.raises(Boom) as caught:
        await Stream(broken).collect()
    assert caught.value.__notes__[0].startswith("rivulet: opening Stream(broken")


async def test_a_failing_branch_stops_the_others_and_their_sources():
    left, right = (
        RecordingSource(itertools.count(), every=1),
        RecordingSource(itertools.count(), every=1),
    )
    good = []
    with pytest.raises(Boom):
        await rivulet.run(
            Stream(left).map(failing(3, "plain")),
            Stream(right).map(failing(None, "waiting"), concurrency=2).to(good),
        )
    assert_closed(left, right)
    assert good == [0, 1, 2]


async def test_several_failures_at_once_come_as_a_group():
    async def fails(x):
        await asyncio.sleep(1)
        raise Boom(x)

    with pytest.raises(ExceptionGroup) as caught:
        await rivulet.run(Stream([1]).map(fails), Stream([2]).map(fails))
    assert sorted(error.args[0] for error in caught.value.exceptions) == [1, 2]


async def test_the_cause_that_the_user_gave_stays():
    def fails(x):
        try:
            1 // x
        except ZeroDivisionError as error:
            raise Boom(x) from error

    with pytest.raises(Boom) as caught:
        await Stream([0]).map(fails).buffer(1).run()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


@pytest.mark.parametrize("boundary", [False, True])
async def test_a_cancellation_that_nobody_asked_for_is_an_error_and_no_short_success(boundary):
    def cancels(x):
        if x == 2:
            raise asyncio.CancelledError
        return x

    stream = Stream(range(5)).buffer(2) if boundary else Stream(range(5))
    with pytest.raises(RuntimeError, match="nobody cancelled the run"):
        await stream.map(cancels).run()
    with pytest.raises(RuntimeError, match="nobody cancelled the run"):
        await Stream(range(5)).map(failing(None, "waiting")).map(cancels, concurrency=2).run()


async def test_stop_iteration_from_a_function_is_an_error():
    with pytest.raises(RuntimeError, match="StopIteration"):
        await Stream([1]).map(lambda x: next(iter(()))).run()


async def test_a_source_that_fails_in_closing_is_heard():
    async def source():
        try:
            yield 1
            yield 2
        finally:
            raise Boom("closing")

    with pytest.raises(Boom, match="closing"):
        await Stream(source).take(1).run()


async def test_a_failure_and_another_in_closing_come_as_a_group():
    async def source():
        try:
            yield 1
            yield 2
        finally:
            raise Boom("closing")

    with pytest.raises(ExceptionGroup) as caught:
        await Stream(source).map(lambda x: 1 // 0).run()
    assert {type(error) for error in caught.value.exceptions} == {Boom, ZeroDivisionError}


async def test_a_coroutine_in_place_of_a_value_names_the_function_and_what_to_do():
    async def fetch(x):
        return x

    def cached(x):
        return x if x < 3 else fetch(x)

    with pytest.raises(
        StrayAwaitableError, match=r"cached.* gave plain values at first .* maybe_async"
    ):
        await Stream([1, 2, 3]).map(cached).to(lambda x: None).run()
    with pytest.raises(StrayAwaitableError, match="cached"):
        await Stream([1, 2, 3]).filter(cached).collect()
    assert await Stream([1, 2, 3]).map(maybe_async(cached)).collect() == [1, 2, 3]


async def test_falsy_results_settle_nothing():
    async def fetch(x):
        return x * 10

    assert await Stream([0, None, 3]).map(lambda x: x and fetch(x)).collect() == [0, None, 30]


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Stream(5), GraphError, r"not 5 \(int\)"),
        (lambda: Stream(failing), GraphError, r"needs arguments \(at, kind\)"),
        (lambda: Stream([1]).map(3), GraphError, r"map\(fn\) needs a function, not 3"),
        (
            lambda: Stream([1]).take(-1),
            GraphError,
            r"take\(n\) must be a whole number of at least 0, not -1",
        ),
        (
            lambda: Stream([1]).batch(0),
            GraphError,
            r"batch\(n\) must be a whole number of at least 1, not 0",
        ),
        (
            lambda: Stream([1]).debounce("soon"),
            GraphError,
            r"debounce must be a duration, not 'soon': give seconds",
        ),
        (lambda: Stream([1]).delay(-1), GraphError, "delay must be more than zero, not -1"),
        (lambda: Stream([1]).to(5), GraphError, "a sink must be a function"),
        (lambda: Stream([1]).to(), GraphError, "at least one sink"),
        (lambda: Stream([1]).event_time("at", tz="Mars/Base"), GraphError, "time zone"),
        (lambda: Stream([1]).errors, GraphError, r'write .on_error\("skip"\).errors'),
        (lambda: Stream([1])[-1], GraphError, "take_last"),
        (
            lambda: Stream([1]).buffer(1, overflow="spill"),
            GraphError,
            "'wait', 'drop_oldest', 'drop_newest', 'error'",
        ),
    ],
)
def test_bad_input_is_refused_when_the_graph_is_built(build, error, message):
    with pytest.raises(error, match=message):
        build()


async def test_a_coroutine_where_its_function_was_meant_is_refused_and_closed():
    async def fetch(x=1):
        return x

    with pytest.raises(GraphError, match=r"pass .*fetch without calling it"):
        Stream([1]).map(fetch())


async def test_a_function_that_gives_nothing_to_iterate_is_refused_when_the_run_starts():
    async def rows():
        return 5

    with pytest.raises(SourceError, match=r"rows\(\) gave 5, which can't be iterated"):
        await Stream(rows).collect()


async def test_zip_strict_says_which_input_was_shorter():
    with pytest.raises(ValueError, match="input 2 ended after 2 items, while input 1 has more"):
        await Stream([1, 2, 3]).zip([1, 2], strict=True).collect()


async def test_a_stop_iteration_of_a_function_names_operator_and_item():
    """Python itself makes a RuntimeError of it."""
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        await Stream([7]).map(lambda x: next(iter([]))).run()
    assert isinstance(caught.value.__cause__, StopIteration)
    assert "in map(<lambda>)" in caught.value.__notes__[0]
    assert caught.value.__notes__[0].endswith("on item 7")


async def test_the_end_of_an_input_is_no_item():
    with pytest.raises(ValueError, match="input 2 ended after 1 items") as caught:
        await Stream([1, 2]).zip([1], strict=True).collect()
    (note,) = caught.value.__notes__
    assert note.startswith("rivulet: reading zip(strict=True) [#3")
    assert "on item" not in note
