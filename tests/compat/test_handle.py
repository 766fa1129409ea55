"""What ``handle`` binds, and what ``stream()`` does with it."""

from __future__ import annotations

import asyncio
import inspect
from functools import partial

import pytest
from asyncstdlib import accumulate, pairwise

from rivulet import GraphError, Stream
from rivulet.compat import Cache, ICache, handle, stream
from rivulet.testing import assert_closed


async def numbers(n=3, pause=0.0):
    for i in range(n):
        await asyncio.sleep(pause)
        yield i


# Handler functions


def plain(n):
    return n + 1


async def coroutine(n):
    await asyncio.sleep(0)
    return n + 1


def generator(n):
    yield n + 1


async def async_generator(n):
    await asyncio.sleep(0)
    yield n + 1


def gives_a_generator(n):
    return generator(n)


async def awaits_a_generator(n):
    return async_generator(n)


class Adding:
    def method(self, n):
        return n + 1

    def __call__(self, n):
        return n + 1


class AddingLater:
    async def __call__(self, n):
        return n + 1


KINDS = {
    "function": plain,
    "coroutine function": coroutine,
    "generator": generator,
    "async generator": async_generator,
    "function that gives a generator": gives_a_generator,
    "coroutine function that gives a generator": awaits_a_generator,
    "lambda": lambda n: n + 1,
    "lambda that gives a coroutine": lambda n: coroutine(n),
    "bound method": Adding().method,
    "callable object": Adding(),
    "async callable object": AddingLater(),
    "partial": partial(lambda more, n: n + more, 1),
    "builtin": (1).__add__,
}


@pytest.mark.parametrize("kind", KINDS)
async def test_anything_callable_is_a_handler(kind):
    seen = []
    handle(numbers(), sink=[seen.append])(KINDS[kind])
    await stream()
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("value", [None, [1, 2], (1, 2), "text", {"a": 1}, range(2)])
async def test_what_is_returned_is_one_item(value):
    seen = []
    handle([0], sink=[seen.append])(lambda _: value)
    await stream()
    assert seen == [value]


async def test_a_sink_has_an_item_before_the_generator_goes_on():
    journal = []

    @handle([1], sink=[lambda item: journal.append(("sink", item))])
    def handler(n):
        for i in range(2):
            yield i
            journal.append(("after", i))

    await stream()
    assert journal == [("sink", 0), ("after", 0), ("sink", 1), ("after", 1)]


async def test_a_handler_without_parameters_is_called_without_the_message():
    seen = []
    handle([1, 2], sink=[seen.append])(lambda: "tick")
    await stream()
    assert seen == ["tick", "tick"]


async def test_the_keywords_of_stream_go_to_handlers_that_take_any():
    seen = []

    @handle([1])
    def all_of_them(n, **kwargs):
        seen.append((n, kwargs))

    @handle([2])
    def one_with_a_name(n, env=None):
        seen.append((n, env))

    @handle([3])
    async def none(n):
        seen.append((n, None))

    @handle([4])
    def only_keywords(**kwargs):
        seen.append(kwargs)

    await stream(env="prod")
    assert seen == [(1, {"env": "prod"}), (2, None), (3, None), {"env": "prod"}]
    seen.clear()
    await stream(env="test")
    assert seen[0] == (1, {"env": "test"})


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (lambda a, b: None, r"needs 2 arguments \(a, b\), but is called with the message alone"),
        (lambda a, *, env: None, r"needs env=: the keywords of stream\(\) come as \*\*kwargs"),
        (3, r"handle\(handler\) needs a function, not 3"),
    ],
)
def test_a_handler_that_can_not_be_called_is_refused_when_it_is_bound(fn, message):
    with pytest.raises(GraphError, match=message):
        handle([1])(fn)


# What handle gives back


async def test_it_can_still_be_called_and_feeds_its_sinks():
    seen = []

    @handle([1], sink=[seen.append])
    def handler(msg, **kwargs):
        """Say it twice."""
        yield msg
        yield kwargs.get("env", msg)

    await handler("by hand", env="test")
    assert seen == ["by hand", "test"]
    assert handler.__name__ == "handler"
    assert handler.__doc__ == "Say it twice."
    assert str(inspect.signature(handler)) == "(msg, **kwargs)"
    with pytest.raises(TypeError, match="handler takes one message, and got 2"):
        await handler(1, 2)
    with pytest.raises(TypeError, match="handler takes one message, and got 0"):
        await handler()


@pytest.mark.parametrize(
    ("kind", "name"),
    [("partial", "partial(<lambda>)"), ("callable object", "Adding"), ("bound method", "method")],
)
def test_it_has_a_name_whatever_it_is(kind, name):
    assert handle([1])(KINDS[kind]).__name__ == name


async def test_it_has_a_stream_for_each_source_to_go_on_with():
    seen = []

    @handle([1, 2], [3], sink=[seen.append])
    def doubled(n):
        return 2 * n

    one, other = doubled.streams
    assert await one.map(str).collect() == ["2", "4"]
    assert seen == [2, 4]
    assert await other.collect() == [6]
    with pytest.raises(GraphError, match=r"doubled has 2 sources.*use \.streams"):
        _ = doubled.stream


async def test_one_source_has_one_stream_that_can_be_explained_and_tested():
    @handle([1, 2, 3], pipe=[accumulate, pairwise], sink=[print])
    def difference(pair):
        return pair[1] - pair[0]

    assert isinstance(difference.stream, Stream)
    # What has an operator is that operator, which isn't stepped by hand.
    assert difference.explain().splitlines() == [
        "#1 Stream([1, 2, 3])",
        "└─ #2 pipe(accumulate)  (opaque, stepped in place)",
        "   └─ #3 pairwise()",
        "      └─ #4 handler(difference)",
        "         └─ #5 to(print)",
    ]
    assert repr(difference).startswith("<handler difference: ")


# Sinks


async def test_sinks_are_fed_in_order_and_awaited():
    journal = []

    async def slow(item):
        await asyncio.sleep(1)
        journal.append(("slow", item))

    handle([1, 2], sink=[slow, lambda item: journal.append(("fast", item))])(lambda n: n)
    await stream()
    assert journal == [("slow", 1), ("fast", 1), ("slow", 2), ("fast", 2)]


async def test_a_pair_is_one_argument_for_a_function_and_two_for_a_cache(tmp_path):
    seen = []
    with Cache(tmp_path / "c") as cache:
        handle([("a", 1)], sink=[cache, seen.append])(lambda pair: pair)
        await stream()
        assert seen == [("a", 1)]
        assert cache["a"] == 1


class Shelf(ICache):
    def __init__(self):
        self.rows = {}

    def __contains__(self, key):
        return key in self.rows

    def __delitem__(self, key):
        del self.rows[key]

    def __getitem__(self, key):
        return self.rows.get(key)

    def __setitem__(self, key, val):
        self.rows[key] = val


@pytest.mark.parametrize("item", [1, [1, 2], "ab", None, (1, 2, 3)])
@pytest.mark.parametrize("of", ["Cache", "ICache"])
async def test_a_cache_that_gets_no_pair_names_the_handler(tmp_path, of, item):
    with Cache(tmp_path / "c") as kept:
        handle([0], sink=[kept if of == "Cache" else Shelf()])(lambda _: item)
        with pytest.raises(TypeError, match=r"takes .*\(key, value\)") as caught:
            await stream()
    assert "<lambda>" in str(caught.value) + str(caught.value.__notes__)


@pytest.mark.parametrize("sink", [3, "text", None])
def test_a_sink_that_takes_nothing_is_refused_when_it_is_bound(sink):
    with pytest.raises(GraphError):
        handle([1], sink=[sink])(plain)


@pytest.mark.parametrize("argument", ["sink", "pipe"])
def test_one_function_in_place_of_a_list_is_refused(argument):
    with pytest.raises(GraphError, match=rf"handle\({argument}\) must be a list"):
        handle([1], **{argument: print})


# Sources


async def test_several_sources_run_side_by_side():
    seen = []
    handle(numbers(2, 1.0), numbers(2, 1.5), sink=[seen.append])(lambda n: n)
    await stream()
    assert seen == [0, 0, 1, 1]


async def test_plain_iterables_give_each_other_turns():
    seen = []
    handle([0] * 600)(lambda _: seen.append("a"))
    handle([0] * 600)(lambda _: seen.append("b"))
    await stream()
    assert len(seen) == 1200
    assert "".join(seen) != "a" * 600 + "b" * 600


async def test_handlers_of_one_source_get_each_message_in_turn():
    journal, source = [], numbers()

    @handle(source)
    async def slow(n):
        await asyncio.sleep(1)
        journal.append(("slow", n))

    @handle(source)
    def fast(n):
        journal.append(("fast", n))

    await stream()
    assert journal == [(name, n) for n in range(3) for name in ("slow", "fast")]


async def test_a_handler_may_be_bound_to_several_sources_by_several_decorators():
    seen = []

    def handler(n):
        seen.append(n)

    handle([1])(handler)
    handle([2])(handler)
    await stream()
    assert sorted(seen) == [1, 2]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((), "at least one source"),
        ((3,), "a stream needs an iterable"),
        ((plain,), "with its source in brackets"),
    ],
)
def test_what_can_not_be_read_is_refused_when_it_is_bound(source, message):
    with pytest.raises(GraphError, match=message):
        handle(*source)(plain)


async def test_a_stream_is_a_source():
    seen = []
    handle(Stream([1, 2, 3]).filter(lambda n: n > 1), sink=[seen.append])(lambda n: n)
    await stream()
    assert seen == [2, 3]


# Pipes


async def test_pipes_are_applied_from_left_to_right():
    seen = []
    handle(numbers(4), pipe=[accumulate, pairwise], sink=[seen.append])(lambda pair: pair)
    await stream()
    assert seen == [(0, 1), (1, 3), (3, 6)]


@pytest.mark.parametrize("n", range(4))
async def test_pairwise_gives_what_asyncstdlibs_own_gives(n):
    seen = []
    handle(numbers(n), pipe=[pairwise], sink=[seen.append])(lambda pair: pair)
    await stream()
    assert seen == [pair async for pair in pairwise(numbers(n))]


async def test_piped_and_plain_handlers_of_one_source_go_in_step():
    seen, source = [], numbers(3)
    handle(source, pipe=[pairwise])(lambda pair: seen.append(pair))
    handle(source)(lambda n: seen.append(n))
    await stream()
    assert seen == [0, (0, 1), 1, (1, 2), 2]


async def test_a_pipe_may_give_more_when_its_input_has_ended():
    async def totals(items):
        total = 0
        async for item in items:
            total += item
        yield total

    seen = []
    handle(numbers(4), pipe=[totals], sink=[seen.append])(lambda total: total)
    await stream()
    assert seen == [6]


async def test_a_pipe_that_ends_early_blocks_no_other_handler():
    """Fault 7."""

    async def two(items):
        n = 0
        async for item in items:
            yield item
            n += 1
            if n == 2:
                return

    seen, source = [], numbers(4)
    handle(source, pipe=[two])(lambda n: seen.append(("two", n)))
    handle(source)(lambda n: seen.append(("all", n)))
    await stream()
    assert [n for name, n in seen if name == "all"] == [0, 1, 2, 3]
    assert [n for name, n in seen if name == "two"] == [0, 1]


async def test_a_piped_handler_on_two_sources_reads_both():
    """Fault 10."""
    seen = []
    handle(numbers(2), numbers(3), pipe=[pairwise], sink=[seen.append])(lambda pair: pair)
    await stream()
    assert sorted(seen) == [(0, 1), (0, 1), (1, 2)]


# Ends


async def test_an_error_comes_out_as_it_is_with_the_handler_and_the_message(capsys):
    left = []

    async def other():
        try:
            while True:
                await asyncio.sleep(0.1)
                left.append("read")
                yield 0
        finally:
            left.append("closed")

    @handle(numbers(9, 0.3))
    def handler(n):
        if n == 2:
            raise KeyError("two")

    handle(other())(lambda n: None)
    with pytest.raises(KeyError, match="two") as caught:
        await stream()
    (note,) = caught.value.__notes__
    assert "handler(handler)" in note
    assert note.endswith("on item 2")
    # Fault 5: the other sources are stopped and closed.
    assert left[-1] == "closed"
    count = len(left)
    await asyncio.sleep(1)
    assert len(left) == count
    assert_closed()
    # It is raised, and not logged as well.
    printed = capsys.readouterr()
    assert printed.out + printed.err == ""


async def test_cancellation_closes_sources_and_reaches_handlers():
    seen = []

    async def source():
        try:
            yield 1
        finally:
            seen.append("closed")

    @handle(source())
    async def handler(n):
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.create_task(stream())
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled", "closed"]
    assert_closed()


async def test_a_second_run_reads_again_what_can_be_read_again():
    """Fault 21."""
    seen = []
    handle([1, 2], sink=[seen.append])(lambda n: n)
    handle(numbers(1), sink=[seen.append])(lambda n: "once")
    await stream()
    assert sorted(map(str, seen)) == ["1", "2", "once"]
    seen.clear()
    await stream()
    assert seen == [1, 2]


async def test_sources_that_have_ended_end_a_second_run_at_once_and_that_is_said():
    handle(numbers(2))(lambda n: None)
    await stream()
    with pytest.warns(UserWarning, match="have been read to the end"):
        await stream()


async def test_what_has_been_read_to_the_end_is_not_begun_again_beside_others():
    """``accumulate`` refuses an empty source, as which it would see the second run."""
    seen = []
    handle(numbers(3), pipe=[accumulate], sink=[seen.append])(lambda n: n)
    await stream()
    handle(["later"], sink=[seen.append])(lambda word: word)
    await stream()
    assert seen == [0, 1, 3, "later"]
