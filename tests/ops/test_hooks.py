"""``hooks``: called when a stream begins, and once when it is over, however it ends."""

from __future__ import annotations

import asyncio

import pytest

import rivulet
from rivulet import GraphError, Stream
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps


class Log(list):
    """Hooks that write down when they are called."""

    def on(self, stream, *, later=False):
        def hook(name):
            async def slow(*args):
                await asyncio.sleep(1)
                self.append(name)

            return slow if later else lambda *args: self.append(name)

        return stream.hooks(start=hook("start"), end=hook("end"), error=hook("error"))


BELOW = {
    "nothing": lambda s: s,
    "buffer": lambda s: s.buffer(2),
    "merge": lambda s: s.merge([]),
    "timer": lambda s: s.batch(5, within=1).flatten(),
    "concat": lambda s: s + [],
    "share": lambda s: s.share(),
    "concurrent": lambda s: s.map(lambda x: x, concurrency=2),
}
below = pytest.mark.parametrize("below", BELOW.values(), ids=BELOW)
later = pytest.mark.parametrize("later", [False, True], ids=["plain", "async"])


@below
@later
async def test_at_the_end(below, later):
    log = Log()
    assert await below(log.on(Stream.of(1, 2), later=later)).collect() == [1, 2]
    assert log == ["start", "end"]


@below
@later
async def test_after_a_failure_above(below, later):
    log = Log()
    with pytest.raises(ConnectionError):
        await below(log.on(marbles("a#", error=ConnectionError()), later=later)).run()
    assert log == ["start", "error"]


@pytest.mark.parametrize("name", BELOW)
@later
async def test_after_a_failure_below(name, later):
    log, source = Log(), RecordingSource([1, 0], silent=True)
    with pytest.raises(ZeroDivisionError):
        await BELOW[name](log.on(Stream(source), later=later)).map(lambda x: 1 / x).run()
    # What is read by itself, or by others as well, only sees its reader leave.
    assert log == ["start", "end" if name in {"concat", "share"} else "error"]
    assert_closed(source)


@below
@later
async def test_when_nothing_below_wants_more(below, later):
    log, source = Log(), RecordingSource([1, 2, 3], silent=True)
    assert await below(log.on(Stream(source), later=later)).take(2).collect() == [1, 2]
    assert log == ["start", "end"]
    assert_closed(source)


@below
@later
async def test_when_its_reader_leaves(below, later):
    log, source = Log(), RecordingSource([1, 2, 3], silent=True)
    async with below(log.on(Stream(source), later=later)).open() as items:
        assert await anext(items) == 1
    assert log == ["start", "end"]
    assert_closed(source)


@below
@later
@pytest.mark.parametrize("how", ["stop", "drain", "cancel"])
async def test_when_the_run_is_stopped_or_cancelled(below, later, how):
    log, source = Log(), RecordingSource([1, 2, 3], silent=True)
    run = below(log.on(Stream(source), later=later)).start()
    await asyncio.sleep(5)
    if how == "cancel":
        await run.cancel().wait()
    else:
        await run.stop(drain=how == "drain")
    assert log == ["start", "end"]
    assert_closed(source)


async def test_the_error_is_given_to_the_hook():
    errors = []
    stream = Stream.of(0).map(lambda x: 1 / x).hooks(error=errors.append)
    with pytest.raises(ZeroDivisionError) as caught:
        await stream.run()
    assert errors == [caught.value]


async def test_start_is_called_before_the_source_is_opened_and_end_before_it_is_closed():
    log = []

    async def source():
        log.append("opened")
        try:
            yield 1
            yield 2
        finally:
            log.append("closed")

    stream = Stream(source).hooks(start=lambda: log.append("start"), end=lambda: log.append("end"))
    await stream.take(1).run()
    assert log == ["start", "opened", "end", "closed"]


async def test_each_of_several_is_called_once():
    log = []
    stream = Stream.of(1)
    first = stream.hooks(end=lambda: log.append("a")).hooks(end=lambda: log.append("b"))
    await rivulet.run(first, first.map(str), stream.hooks(end=lambda: log.append("c")))
    assert sorted(log) == ["a", "b", "c"]


async def test_they_are_called_for_each_reading():
    log = Log()
    await log.on(Stream.of(1)).repeat(2).run()
    assert log == ["start", "end"] * 2
    log.clear()
    with pytest.raises(ConnectionError):
        await log.on(Stream.fail(ConnectionError())).retry(1).run()
    assert log == ["start", "error"] * 2


async def test_a_start_that_fails_opens_nothing():
    source = RecordingSource([1])

    def start():
        raise PermissionError

    with pytest.raises(PermissionError) as caught:
        await Stream(source).hooks(start=start).run()
    assert "hooks(start)" in caught.value.__notes__[0]
    assert source.opened == 0


async def test_a_hook_that_fails_at_the_end_is_raised_and_all_is_closed():
    source = RecordingSource([1])

    async def end():
        raise PermissionError

    with pytest.raises(PermissionError):
        await Stream(source).hooks(end=end).run()
    assert_closed(source)


async def test_a_hook_that_fails_on_an_error_is_raised_beside_it():
    def error(_):
        raise PermissionError

    with pytest.raises(ExceptionGroup) as caught:
        await Stream.fail(ConnectionError()).hooks(error=error).run()
    assert {type(e) for e in caught.value.exceptions} == {ConnectionError, PermissionError}


async def test_items_go_on_unchanged_and_keep_their_time():
    rows = marbles("ab|", event="b-a").hooks(end=lambda: None)
    assert await stamps(rows) == [("a", 2.0), ("b", 0.0)]


def test_wrong_arguments_are_refused_when_built():
    with pytest.raises(GraphError, match="hooks needs start=, end= or error="):
        Stream.of(1).hooks()
    for name in ("start", "end", "error"):
        with pytest.raises(GraphError, match=rf"hooks\({name}\) needs a function, not 3"):
            Stream.of(1).hooks(**{name: 3})
