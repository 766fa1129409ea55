"""Running: in the foreground, in the background, from plain code; stopping, pausing, failing."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

import rivulet
from rivulet import EmptyError, EndlessError, GraphError, RunError, SourceError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed


async def slowly(x):
    await asyncio.sleep(0.4)
    return x


async def test_collect_gives_all_items_and_head_closes_after_the_first():
    source = RecordingSource(range(10))
    assert await Stream(source).collect() == list(range(10))
    assert await Stream(source).head(3) == [0, 1, 2]
    assert len(source.read) == 10 + 3
    assert_closed(source)


async def test_collect_stops_at_its_limit_or_when_its_time_is_up():
    assert await Stream.timer(1).collect(limit=2) == [0, 1]
    assert await Stream.timer(1).collect(timeout="3.5s") == [0, 1, 2]
    assert await Stream.timer(1).collect(limit=9, timeout=1.5) == [0]


@pytest.mark.parametrize(
    "stream",
    [
        Stream.timer(1),
        Stream.timer(1).map(str).batch(3),
        Stream(itertools.count()),
        Stream(itertools.repeat(1)),
        Stream.never().merge([1]),
        Stream.of(1).repeat(),
        Stream.of(1) + Stream.timer(1),
        Stream.timer(1).retry(),
        Stream.timer(1).share(),
        Stream(asyncio.Queue()),
        Stream.channel().stream,
    ],
    ids=lambda s: s.node.label,
)
async def test_collecting_a_stream_known_to_be_endless_says_so(stream):
    with pytest.raises(
        EndlessError, match=r"never ends, so neither would this: use collect\(limit"
    ):
        await stream.collect()
    with pytest.raises(EndlessError, match="take"):
        await stream


@pytest.mark.parametrize(
    "stream",
    [
        Stream.timer(1).take(1),
        Stream.timer(1).take_while(lambda n: n < 1),
        Stream.timer(1).take_until(1.5),
        Stream.timer(1)[:1],
        Stream.timer(1).zip([1]).map(lambda pair: pair[0]),
        Stream(itertools.repeat(0, 1)),
        Stream.of(0).with_latest_from(Stream.timer(1).start_with(0)).map(lambda pair: 0),
    ],
    ids=lambda s: s.node.label,
)
async def test_a_stream_that_ends_though_its_source_doesn_t_can_be_collected(stream):
    assert await stream.collect() in ([0], [])


async def test_awaiting_a_stream_gives_its_last_item():
    assert await Stream.of(1, 2, 3) == 3
    assert await Stream.of("a", "b").first() == "a"
    with pytest.raises(EmptyError, match=r"ended without an item: give one with .default"):
        await Stream.empty().first()


async def test_a_stream_may_be_run_many_times_and_used_in_several_places():
    numbers = Stream([1, 2, 3])
    assert await numbers.collect() == await numbers.collect() == [1, 2, 3]
    odd, all_ = [], []
    await rivulet.run(numbers.filter(lambda x: x % 2).to(odd), numbers.to(all_))
    assert (odd, all_) == ([1, 3], [1, 2, 3])


async def test_what_two_streams_of_one_run_have_in_common_is_read_once():
    source = RecordingSource(range(5), every=1)
    shared = Stream(source).map(lambda x: x + 1)
    await rivulet.run(shared.to([]), shared.map(str).to([]), shared.filter(bool).to([]))
    assert source.opened == 1


async def test_the_slower_of_two_branches_holds_the_faster():
    times = []
    loop = asyncio.get_running_loop()
    source = Stream(range(3))
    await rivulet.run(source.map(slowly), source.to(lambda x: times.append(loop.time())))
    assert times == pytest.approx([0.4, 0.8, 1.2])


async def test_run_refuses_what_is_no_stream():
    with pytest.raises(GraphError, match="at least one stream"):
        await rivulet.run()
    with pytest.raises(GraphError, match=r"run needs streams, not \[1\]"):
        await rivulet.run([1])


async def test_whether_a_stream_ends_is_known_at_once_however_often_it_meets_itself():
    stream = Stream([1])
    for _ in range(50):
        stream = stream.merge(stream)
    stream = stream.merge(Stream.timer(1))
    with pytest.raises(EndlessError, match=r"timer\(1\) never ends"):
        await stream.collect()


async def test_several_streams_can_run_in_the_background():
    numbers = Stream(range(4))
    odd, all_ = [], []
    run = rivulet.start(numbers.filter(lambda x: x % 2).to(odd), numbers.to(all_))
    assert run.state == "running"
    await run
    assert (odd, all_, sorted(run.last())) == ([1, 3], [0, 1, 2, 3], [0, 1, 1, 2, 3, 3])
    with pytest.raises(GraphError, match="start needs at least one stream"):
        rivulet.start()
    with pytest.raises(GraphError, match=r"start needs streams, not \[1\]"):
        rivulet.start([1])


async def test_a_run_can_t_be_run_again():
    run = Stream.timer(1).start()
    with pytest.raises(RunError, match="runs already"):
        await rivulet.run(run)
    await run.stop()


# Iterating


async def test_leaving_an_opened_stream_closes_it_at_once():
    source = RecordingSource(range(100), every=1)
    for stream in (Stream(source), Stream(source).map(slowly, concurrency=2)):
        async with stream.open() as items:
            async for item in items:
                if item == 2:
                    break
        assert_closed(source)


async def test_a_failure_in_the_body_of_a_loop_closes_the_stream():
    source = RecordingSource(range(9), every=1)
    with pytest.raises(KeyError):
        async with Stream(source).buffer(2).open() as items:
            async for item in items:
                raise KeyError(item)
    assert_closed(source)


async def test_a_stream_is_an_async_iterable_for_other_libraries():
    import aiostream
    import asyncstdlib

    assert await asyncstdlib.list(asyncstdlib.map(str, Stream([1, 2]))) == ["1", "2"]
    assert await aiostream.stream.list(aiostream.stream.take(Stream([1, 2, 3]), 2)) == [1, 2]


# Stopping


async def test_stop_cuts_the_wait_for_a_silent_source():
    source = RecordingSource(silent=True)
    run = Stream(source).start()
    await asyncio.sleep(1)
    await run.stop()
    assert run.state == "finished"
    assert_closed(source)


async def test_stop_lets_the_item_in_hand_go_through():
    source, done = RecordingSource(range(9)), []
    run = Stream(source).map(slowly).to(done).start()
    await asyncio.sleep(1)
    await run.stop()
    assert done == [0, 1, 2]
    assert source.read == [0, 1, 2]
    assert_closed(source)


async def test_stop_sends_on_what_was_read_through_boundaries_and_batches():
    source, done = RecordingSource(itertools.count(), every=0.1), []
    run = Stream(source).map(slowly, concurrency=4).batch(100).to(done).start()
    await asyncio.sleep(2.05)
    await run.stop(drain=True)
    assert done == [source.read]
    assert_closed(source)


async def test_stop_called_by_a_handler_ends_after_its_item():
    for rows in (range(1000), RecordingSource(range(1000))):
        seen = []

        def handle(x):
            seen.append(x)
            if x == 5:
                run.stop()

        run = Stream(rows).to(handle).start()
        await run
        assert seen == [0, 1, 2, 3, 4, 5]


async def spread(x):
    for part in range(3):
        await asyncio.sleep(0.3)
        yield x, part


@pytest.mark.parametrize("make", [spread, lambda x: [(x, part) for part in range(3)]])
async def test_stop_finishes_the_item_in_hand_with_all_that_is_made_of_it(make):
    source, seen = RecordingSource(range(9)), []

    async def handle(pair):
        seen.append(pair)
        if pair == (2, 0):
            run.stop()

    run = Stream(source).flat_map(make).to(handle).start()
    await run
    assert seen == list(itertools.product(range(3), range(3)))
    assert_closed(source)


@pytest.mark.parametrize("counts", [itertools.count, lambda x: Stream.timer(1)])
async def test_stop_cancels_an_item_of_which_things_are_made_for_ever(counts):
    source = RecordingSource([1])
    run = Stream(source).flat_map(counts).rate_limit(10).start()
    await asyncio.sleep(2)
    await run.stop(timeout=3)
    assert run.state == "cancelled"
    assert_closed(source)


async def test_stop_cancels_what_doesn_t_end_within_its_time():
    async def for_ever(x):
        await asyncio.get_running_loop().create_future()

    source = RecordingSource([1])
    run = Stream(source).map(for_ever).start()
    await asyncio.sleep(1)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await run.stop(timeout="3s")
    assert loop.time() - begun == 3
    assert run.state == "cancelled"
    assert_closed(source)


async def test_leaving_the_block_of_a_run_stops_it():
    source = RecordingSource(itertools.count(), every=1)
    async with Stream(source).start() as run:
        await asyncio.sleep(2.5)
    assert run.state == "finished"
    assert run.last() == [0, 1]
    assert_closed(source)


async def test_cancelling_a_foreground_run_closes_everything():
    source = RecordingSource(itertools.count(), every=1)
    for stream in (Stream(source), Stream(source).map(slowly, concurrency=3).batch(2, within=5)):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3.5):
                await stream.run()
        assert_closed(source)


# Pausing


async def test_a_paused_run_lets_no_item_pass_until_it_is_resumed():
    loop = asyncio.get_running_loop()
    times = []
    run = Stream.timer(1).to(lambda n: times.append((n, loop.time()))).start()
    await asyncio.sleep(2.5)
    run.pause()
    assert run.state == "paused"
    await asyncio.sleep(3)
    assert times == [(0, 1.0), (1, 2.0)]
    run.resume()
    await asyncio.sleep(1)
    await run.stop()
    assert times[:3] == [(0, 1.0), (1, 2.0), (2, 5.5)]


async def test_a_source_that_is_always_ready_can_be_paused():
    seen = []
    run = Stream(itertools.count()).to(seen).start()
    await asyncio.sleep(0)
    run.pause()
    for _ in range(20):
        await asyncio.sleep(0)
    held = len(seen)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(seen) == held
    run.resume()
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(seen) > held
    await run.stop()


async def test_a_pause_doesn_t_stop_timers():
    loop = asyncio.get_running_loop()
    times = []
    batches = Stream.timer(1).batch(100, within=2.5).to(lambda b: times.append((loop.time(), b)))
    run = batches.start()
    await asyncio.sleep(2.2)
    run.pause()
    await asyncio.sleep(5)
    assert times == [(3.5, [0, 1])]
    await run.stop()


async def test_a_paused_run_can_be_stopped():
    source = RecordingSource(itertools.count(), every=1)
    run = Stream(source).start()
    await asyncio.sleep(1.5)
    run.pause()
    await asyncio.sleep(3)
    await run.stop()
    assert run.state == "finished"
    assert_closed(source)


async def test_a_run_that_has_ended_can_t_be_paused():
    run = Stream.of(1).start()
    await run
    for action in (run.pause, run.resume):
        with pytest.raises(RunError, match=r"a run that has ended \(finished\): start it again"):
            action()


# Looking at it


async def test_stats_count_what_each_operator_gave():
    odd, even = Stream(range(10)).map(lambda x: x + 1).partition(lambda x: x % 2)
    merged = odd.merge(even.flat_map(lambda x: [x, x])).filter(lambda x: x < 5)
    run = merged.start()
    await run
    counts = {op.operator: op.items for op in run.stats().operators}
    assert counts == {
        "Stream(range(0, 10))": 10,
        "map(<lambda>)": 10,
        "partition(<lambda>)": 5,
        ".no": 5,
        "flat_map(<lambda>)": 10,
        "merge()": 15,
        "filter(<lambda>)": 6,
    }
    assert run.stats().items == 10
    assert "finished" in str(run.stats())


async def test_stats_count_what_was_dropped_and_what_failed():
    dropping = Stream(range(10)).buffer(2, overflow="drop_newest")
    run = dropping.map(lambda x: 1 // (x % 2)).on_error("skip").start()
    await run
    assert run.stats().dropped == 8
    assert run.stats().failed == 1


async def test_last_gives_the_newest_results():
    run = Stream(range(500)).start()
    await run
    assert run.last(3) == [497, 498, 499]
    assert len(run.last(1000)) == 100
    assert run.last(0) == []


async def test_the_repr_of_a_run_says_how_it_goes():
    run = Stream.timer(1).map(str).start()
    await asyncio.sleep(2.5)
    assert repr(run).startswith("<Run map(str) running after")
    assert repr(run).endswith("2 items read>")
    await run.stop()
    assert "finished" in repr(run)


async def test_wait_may_have_a_limit_and_the_run_goes_on():
    run = Stream.timer(1).start()
    with pytest.raises(TimeoutError, match="still running after 3 s"):
        await run.wait(timeout=3)
    assert run.state == "running"
    await run.stop()


# Failing


async def test_a_run_that_fails_in_the_background_raises_when_it_is_awaited():
    run = Stream.of(1, 0).map(lambda x: 1 // x).start()
    await asyncio.sleep(1)
    assert run.state == "failed"
    assert isinstance(run.exception(), ZeroDivisionError)
    assert "ZeroDivisionError" in repr(run)
    assert "on item 0" in repr(run)
    with pytest.raises(ZeroDivisionError):
        await run


async def test_a_failure_that_nobody_awaits_is_reported():
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    Stream.of(0).map(lambda x: 1 // x).start()
    await asyncio.sleep(1)
    gc.collect()
    (report,) = reports
    assert "nobody awaited it" in report["message"]
    assert isinstance(report["exception"], ZeroDivisionError)


async def test_a_run_that_was_awaited_isn_t_reported():
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    run = Stream.of(0).map(lambda x: 1 // x).start()
    with pytest.raises(ZeroDivisionError):
        await run
    del run
    gc.collect()
    assert not reports


async def test_a_one_shot_source_that_was_read_says_what_to_pass():
    def rows():
        yield 1

    stream = Stream(rows())
    assert await stream.collect() == [1]
    with pytest.raises(
        SourceError, match=r"can be read only once: pass the\s+function that makes it"
    ):
        await stream.collect()
    again = Stream(rows)
    assert await again.collect() == await again.collect() == [1]


async def test_two_streams_over_one_iterator_are_refused():
    rows = iter([1, 2, 3])
    with pytest.raises(GraphError, match="make one Stream of it and use that twice"):
        await Stream(rows).merge(Stream(rows)).collect()


# From plain code


def test_run_sync_runs_where_no_loop_runs():
    seen = []
    Stream.of(1, 2).to(seen).run_sync()
    assert seen == [1, 2]


@pytest.mark.real_time
def test_an_error_of_run_sync_has_no_other_before_it():
    with pytest.raises(ZeroDivisionError) as caught:
        Stream.of(0).map(lambda x: 1 // x).run_sync()
    assert caught.value.__context__ is None


async def test_run_sync_inside_a_running_loop_runs_in_a_thread_of_its_own():
    threads = []
    Stream.of(1).to(lambda _: threads.append(threading.current_thread())).run_sync()
    assert threads != [threading.current_thread()]
    with pytest.raises(ZeroDivisionError):
        Stream.of(0).map(lambda x: 1 // x).run_sync()


SCRIPT = """
import asyncio, sys
from rivulet import Stream

async def numbers():
    try:
        for n in range(10**6):
            yield n
            await asyncio.sleep(0.01)
    finally:
        print("closed", flush=True)

async def slowly(n):
    print("begin", n, flush=True)
    await asyncio.sleep(0.2)
    return n

try:
    Stream(numbers).map(slowly).to(lambda n: print("done", n, flush=True)).run_sync()
finally:
    print("end", flush=True)
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)]
)
def test_a_signal_stops_a_script_in_order(number, code, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    lines = [process.stdout.readline().strip() for _ in range(3)]
    assert lines == ["begin 0", "done 0", "begin 1"]
    process.send_signal(number)
    rest, errors = process.communicate(timeout=20)
    # The item in hand is finished, the source is closed, and the script ends as it would have.
    assert rest.split("\n")[:3] == ["done 1", "closed", "end"]
    assert process.returncode in (code, 130), errors


def test_an_interrupt_while_run_sync_is_in_a_thread_ends_it(tmp_path):
    script = tmp_path / "script.py"
    body = textwrap.indent(textwrap.dedent(SCRIPT), "    ")
    script.write_text(
        "import asyncio\nasync def main():\n"
        + body.replace("import asyncio, sys", "import sys")
        + "\nasyncio.run(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stdout.readline().strip() == "begin 0"
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=20)
    assert "closed" in rest
    assert "end" in rest
    assert process.returncode != 0, errors


def test_explaining_needs_no_loop_and_runs_nothing():
    calls = []
    stream = Stream(lambda: calls.append(1) or [1]).map(lambda x: calls.append(x))
    assert "map_2" in stream.explain("code")
    assert "#2 map" in stream.explain()
    assert not calls
    with pytest.raises(
        GraphError, match=r"explain\(what\) must be one of 'graph', 'code', not 'plan'"
    ):
        stream.explain("plan")


def test_a_stream_can_t_be_changed():
    stream = Stream([1])
    with pytest.raises(AttributeError, match="can't be changed"):
        stream.node = None


def test_tests_in_virtual_time_take_no_time():
    assert testing.run(Stream.timer("1h").collect(limit=3)) == [0, 1, 2]
