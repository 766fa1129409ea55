"""``timeout``: an error when nothing comes in time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivulet import GraphError, Stream, testing
from rivulet.testing import RecordingSource, assert_closed, marbles, stamps, to_marbles


async def slow(x):
    await asyncio.sleep(10)
    return x


def clock():
    return asyncio.get_running_loop().time()


@given(
    st.lists(st.sampled_from("---ab"), max_size=15).map("".join),
    st.sampled_from([1.5, 2.5]),
    st.sampled_from([None, 0.5, 3.5]),
    st.sampled_from([None, 4.5, 20]),
)
def test_it_equals_a_simulation_by_hand(drawing, idle, first, total):
    frames = [frame for frame, x in enumerate(drawing) if x != "-"]
    late, since, patience = [], 0.0, first or idle
    for frame in [*frames, len(drawing)]:
        if frame > since + patience:
            late.append(since + patience)
            break
        since, patience = float(frame), idle
    if total is not None and len(drawing) > total:
        late.append(total)

    async def main():
        seen = []
        try:
            limited = marbles(drawing + "|").timeout(idle, first=first, total=total)
            await limited.to(lambda _: seen.append(clock())).run()
        except TimeoutError:
            return seen, clock()
        return seen, None

    seen, failed = testing.run(main())
    assert failed == min(late, default=None)
    assert seen == [frame for frame in frames if failed is None or frame < failed]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"idle": 2}, "no item for 2 s"),
        ({"first": "500ms"}, "no first item in 0.5 s"),
        ({"idle": 9, "first": 0.5}, "no first item in 0.5 s"),
        ({"idle": 0.5}, "no first item in 0.5 s"),
        ({"total": 4}, "not at its end after 4 s"),
    ],
)
async def test_the_error_says_what_was_late_and_names_the_operator(options, message):
    source = RecordingSource("a", every=1, silent=True)
    with pytest.raises(TimeoutError, match=f"^{message}\n") as caught:
        await Stream(source).timeout(options.pop("idle", None), **options).collect()
    assert "in timeout(" in caught.value.__notes__[0]
    assert_closed(source)


async def test_time_spent_below_does_not_count():
    assert await Stream(RecordingSource("abc", every=1)).timeout(3).map(slow).collect() == [
        "a", "b", "c",
    ]  # fmt: skip


async def test_time_spent_in_a_stage_above_does():
    with pytest.raises(TimeoutError, match="no first item in 5 s"):
        await Stream.of("a").map(slow).timeout(5).collect()
    assert clock() == 5
    assert await Stream.of("a").map(slow).timeout(11).collect() == ["a"]


async def test_the_total_is_looked_at_when_the_item_in_hand_is_finished():
    seen = []
    with pytest.raises(TimeoutError, match="not at its end after 5 s"):
        await Stream.of("a", "b").timeout(total=5).map(slow).to(seen).run()
    assert (seen, clock()) == (["a"], 10)


async def test_the_total_interrupts_a_stage_above():
    with pytest.raises(TimeoutError, match="not at its end"):
        await Stream.of("a").map(slow).timeout(total=5).collect()
    assert clock() == 5


async def test_an_item_in_time_and_the_end_in_time_are_no_error():
    assert await to_marbles(marbles("-a-b-|").timeout(3)) == "-a-b-|"
    assert await to_marbles(marbles("-a----b|").timeout(3)) == "-a--#"


async def test_several_each_have_a_time_of_their_own():
    with pytest.raises(TimeoutError, match="no item for 2 s"):
        await marbles("ab----|").timeout(2).timeout(5, total=10).collect()
    both = marbles("a------|")
    with pytest.raises(TimeoutError, match="no item for 3 s"):
        await both.timeout(6).merge(both.timeout(3)).collect()


async def test_it_is_a_failure_of_the_stream_which_catch_and_retry_take():
    attempts = iter(["a----|", "-bc|"])
    source = Stream(lambda: marbles(next(attempts))).timeout(2)
    assert await to_marbles(source.retry(1)) == "a--bc|"
    assert await marbles("a---b|").timeout(2).catch(["late"]).collect() == ["a", "late"]
    with pytest.raises(TimeoutError):
        await marbles("a---b|").timeout(2).on_error("skip").collect()


async def test_leaving_early_and_stopping_set_no_alarm_off():
    source = RecordingSource("ab", every=1, silent=True)
    async with Stream(source).timeout(5, total=60).open() as items:
        assert await anext(items) == "a"
    assert_closed(source)
    run = Stream(source).timeout(5).start()
    await asyncio.sleep(4)
    await run.stop()
    await asyncio.sleep(10)
    assert run.last() == ["a", "b"]
    assert_closed(source)


async def test_a_pause_of_the_run_is_not_a_silence_of_the_source():
    source = RecordingSource("abc", every=1)
    run = Stream(source).timeout(3).start()
    await asyncio.sleep(1.5)
    run.pause()
    await asyncio.sleep(10)
    assert run.state == "paused"
    run.resume()
    await run
    assert run.last() == ["a", "b", "c"]


async def test_an_item_keeps_its_time():
    assert await stamps(marbles("ab|", event="b-a").timeout(7)) == [("a", 2.0), ("b", 0.0)]


def test_wrong_arguments_are_refused_when_built():
    with pytest.raises(GraphError, match="timeout needs idle, first= or total="):
        Stream.of(1).timeout()
    with pytest.raises(GraphError, match=r"timeout\(idle\) must be more than zero, not 0"):
        Stream.of(1).timeout(0)
    with pytest.raises(GraphError, match=r"timeout\(first\) must be a duration, not 'x'"):
        Stream.of(1).timeout(first="x")
    with pytest.raises(GraphError, match=r"timeout\(total\) must be more than zero, not -1"):
        Stream.of(1).timeout(total=-1)
