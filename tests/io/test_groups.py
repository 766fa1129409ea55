"""Groups of an embedded log, where members are slow, gone or doubled."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rivulet import Stream, Topic, TopicError, testing
from tests.io.contract import until


def topic_of(name, group="g", **conf):
    servers = {"bootstrap_servers": f"memory://{name}", "auto_offset_reset": "earliest"}
    return Topic("t", {**servers, "group_id": group, **conf}, partitions=3, commit_interval=1)


def unique():
    return uuid.uuid4().hex


async def write(name, n):
    conf = {"bootstrap_servers": f"memory://{name}"}
    await Stream([(f"k{i}", str(i)) for i in range(n)]).to(Topic("t", conf, partitions=3)).run()


async def test_a_member_that_does_not_hand_over_in_time_is_left_behind():
    name = unique()
    await write(name, 9)
    slow = topic_of(name, rebalance_timeout_ms=2000)
    held, got = asyncio.Event(), []

    async def hold(record):
        await held.wait()

    run = Stream(slow).to(hold).start()
    await until(lambda: slow.positions())
    other = topic_of(name, rebalance_timeout_ms=2000)
    second = Stream(other).to(got).start()
    await until(lambda: len(got) == 9)
    held.set()
    # It comes back as a new member, and they share what comes.
    await until(lambda: slow.stats().rebalances >= 1)
    await write(name, 30)
    await until(lambda: sum((other.positions() | slow.positions()).values()) == 39)
    await run.stop()
    await second.stop()


async def test_two_readers_with_one_instance_id_are_told():
    name = unique()
    one = Stream(topic_of(name, group_instance_id="same")).to([]).start()
    await asyncio.sleep(1)
    other = Stream(topic_of(name, group_instance_id="same")).to([]).start()
    await asyncio.sleep(5)
    with pytest.raises(TopicError, match="another reader uses group_instance_id='same'"):
        await one
    await other.stop()


async def test_a_static_member_that_stays_away_is_missed_in_the_end():
    name = unique()
    await write(name, 9)
    got = []
    away = Stream(topic_of(name, group_instance_id="away", session_timeout_ms=3000)).to([]).start()
    await asyncio.sleep(1)
    await away.stop()
    stays = topic_of(name)
    run = Stream(stays).to(got).start()
    await asyncio.sleep(0.1)
    await write(name, 30)
    await until(lambda: len(stays.positions()) == 3, 60)
    await until(lambda: sum(stays.positions().values()) == 39)
    await run.stop()


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.sampled_from(["start", "stop", "cancel"]), st.integers(0, 2)), max_size=12
    )
)
def test_whatever_members_do_nothing_is_lost_and_only_cancelled_ones_repeat(events):
    handled = testing.run(played(events))
    assert set(handled) == set(range(100 + 20 * len(events)))
    if not any(what == "cancel" for what, _ in events):
        assert set(handled.values()) == {1}


async def played(events):
    """Members come and go while records are written; how often each record was handled."""
    name, handled = unique(), Counter()
    conf = {"bootstrap_servers": f"memory://{name}"}
    written = 0

    async def more(n):
        nonlocal written
        items = [(f"k{i}", str(i)) for i in range(written, written + n)]
        written += n
        await Stream(items).to(Topic("t", conf, partitions=3)).run()

    async def handle(record):
        await asyncio.sleep(0.01)
        handled[int(record.value)] += 1

    def member():
        return Stream(topic_of(name)).to(handle).start()

    await more(100)
    runs = {None: member()}
    for what, who in events:
        await asyncio.sleep(0.1)
        run = runs.pop(who, None)
        if what == "start" and run is None:
            runs[who] = member()
        elif run is not None and what == "stop":
            await run.stop()
        elif run is not None:
            run.cancel()
            await asyncio.wait([run._task])
        await more(20)
    await until(lambda: len(handled) == written, 600)
    for run in runs.values():
        await run.stop()
    return handled
