"""``Checkpoint`` and ``Dependency`` by hand: the interface of old scripts, without its faults."""

from __future__ import annotations

import asyncio
import itertools
import pickle
from datetime import UTC, datetime, timedelta

import pytest

from rivulet import Cache, Checkpoint, Dependency, GraphError, RunError


def at(hour, minute=0, second=0):
    return datetime(2025, 1, 1, hour, minute, second)


def simple(**more):
    return Checkpoint("test", None, [Dependency("dependency")], **more)


class Calls(list):
    """Records calls of a callback: who was told of, and with which state."""

    def __call__(self, c, d):
        self.append((d.name, d.checkpoint_state))

    def waiting(self):
        async def callback(c, d):
            await asyncio.sleep(1)
            self(c, d)

        return callback


class OldCache:
    """The least that a cache of an old script has; its length is 0."""

    def __init__(self):
        self.kept = {}

    def __contains__(self, key):
        return key in self.kept

    def __getitem__(self, key):
        return self.kept.get(key)

    def __setitem__(self, key, value):
        self.kept[key] = pickle.loads(pickle.dumps(value))

    def __delitem__(self, key):
        del self.kept[key]

    def __len__(self):
        return 0


# As it was


def test_a_dependency_begins_with_nothing():
    d = Dependency("emoji")
    assert (d.name, d.dependency, d.downtime_threshold) == ("emoji", None, timedelta(minutes=10))
    assert (d.checkpoint_state, d.checkpoint_marker, d.is_down) == (None, None, False)
    assert dict(d) == {"checkpoint_state": None, "checkpoint_marker": None}
    assert repr(d) == str(d) == "{'checkpoint_state': None, 'checkpoint_marker': None}"


def test_a_checkpoint_begins_with_nothing():
    dependent, dependency = object(), object()
    c = Checkpoint("c", dependent, [Dependency("d", dependency)])
    assert (c.name, c.dependent, c["d"].dependency) == ("c", dependent, dependency)
    assert list(c.dependencies) == ["d"]
    assert (c.state, c.state_marker, c.pause_dependent) == ({}, None, True)
    assert dict(c) == {
        "state": {},
        "state_marker": None,
        "checkpoints": {"d": {"checkpoint_state": None, "checkpoint_marker": None}},
    }
    assert repr(c) == str(dict(c))


def test_arguments_can_be_given_by_place_as_before():
    down, up = Calls(), Calls()
    never = lambda c, d: None  # noqa: E731
    d = Dependency("d", None, timedelta(hours=1), never, never)
    assert (d.downtime_check, d.recovery_check) == (never, never)
    c = Checkpoint("c", None, [d], down, up, OldCache(), "!", False)
    assert c.pause_dependent is False


def test_a_dependency_keeps_and_takes_what_it_is_told():
    cache = OldCache()
    Dependency("emoji").save(cache, "_prefix_", {"offset": 1}, at(10))
    assert cache.kept == {
        "_prefix_emoji_checkpoint_state": {"offset": 1},
        "_prefix_emoji_checkpoint_marker": at(10),
    }
    loaded = Dependency("emoji")
    loaded.load(cache, "_prefix_")
    assert (loaded.checkpoint_state, loaded.checkpoint_marker) == ({"offset": 1}, at(10))
    assert loaded.is_down is False


async def test_the_first_pulse_gives_a_dependency_its_marker():
    c = simple()
    assert await c.check_pulse(at(10), offset=8) is None
    assert c.state_marker == at(10)
    assert c["dependency"].checkpoint_marker == at(10)
    assert c["dependency"].checkpoint_state == c.state == {"offset": 8}


async def test_the_documented_course_of_things():
    c = simple()
    await c.check_pulse(at(10), offset=8)
    assert await c.heartbeat(at(10, 30)) == {
        "is_late": False,
        "dependent_marker": at(10),
        "dependency_marker": at(10, 30),
    }
    assert await c.check_pulse(at(11), offset=9) == timedelta(minutes=30)
    assert c["dependency"].is_down
    late = await c.heartbeat(at(10, 45))
    assert late == {
        "is_late": True,
        "dependent_marker": at(11),
        "dependency_marker": at(10, 45),
    }
    assert (await c.heartbeat(at(11)))["is_late"]
    assert (await c.heartbeat(at(11, 1)))["is_late"] is False
    assert not c["dependency"].is_down


async def test_exactly_at_its_threshold_a_dependency_is_up():
    c = simple()
    await c.heartbeat(at(10))
    assert await c.check_pulse(at(10, 10)) is None
    assert await c.check_pulse(at(10, 10, 1)) == timedelta(minutes=10, seconds=1)


async def test_state_accumulates():
    c = simple()
    await c.check_pulse(at(10), a=1)
    await c.check_pulse(at(10), b=2)
    await c.check_pulse(at(10), a=3)
    assert c.state == {"a": 3, "b": 2}


async def test_one_of_several_dependencies_has_to_be_named():
    c = Checkpoint("c", None, [Dependency("a"), Dependency("b")])
    with pytest.raises(ValueError, match=r"'c' has several .* dependency_name: 'a', 'b'"):
        await c.heartbeat(at(10))
    with pytest.raises(KeyError, match=r"no dependency 'x', only 'a', 'b'"):
        await c.heartbeat(at(10), "x")
    await c.heartbeat(at(10), "b")
    assert (c["a"].checkpoint_marker, c["b"].checkpoint_marker) == (None, at(10))
    with pytest.raises(KeyError):
        c["x"]


@pytest.mark.parametrize("wait", [False, True], ids=["plain", "async"])
async def test_callbacks_are_plain_or_async(wait):
    down, up = Calls(), Calls()
    c = simple(
        downtime_callback=down.waiting() if wait else down,
        recovery_callback=up.waiting() if wait else up,
    )
    await c.check_pulse(at(10), n=0)
    await c.check_pulse(at(11), n=1)
    assert down == [("dependency", {"n": 1})]
    await c.heartbeat(at(11, 1))
    assert up == [("dependency", {"n": 1})]


@pytest.mark.parametrize("wait", [False, True], ids=["plain", "async"])
async def test_checks_of_the_user_are_plain_or_async_and_markers_anything(wait):
    def down(c, d):
        return "down" if len(c.state_marker) - len(d.checkpoint_marker) > 1 else ""

    def up(c, d):
        return d.checkpoint_marker == c.state_marker

    def async_(fn):
        async def check(*args):
            await asyncio.sleep(1)
            return fn(*args)

        return check

    checks = [async_(down), async_(up)] if wait else [down, up]
    c = Checkpoint("c", None, [Dependency("d", None, "any", *checks)])
    await c.heartbeat("a")
    assert await c.check_pulse("aa") is None
    assert await c.check_pulse("aaa") == "down"
    assert (await c.heartbeat("aaaa"))["is_late"]
    assert (await c.heartbeat("aaa"))["is_late"] is False
    assert c["d"].checkpoint_marker == "aaa"


def test_it_is_kept_under_the_same_keys():
    cache = OldCache()
    cache.kept = {
        "__c__state": {"0": 5},
        "__c__state_marker": at(11),
        "__c_d_checkpoint_state": {"0": 3},
        "__c_d_checkpoint_marker": at(10),
    }
    c = Checkpoint("c", None, [Dependency("d")], cache=cache)
    assert (c.state, c.state_marker) == ({"0": 5}, at(11))
    assert (c["d"].checkpoint_state, c["d"].checkpoint_marker) == ({"0": 3}, at(10))
    assert not c.is_down
    other = Checkpoint("c", None, [Dependency("d")], cache=cache, cache_key_prefix="x")
    assert (other.state, other.state_marker) == ({}, None)


async def test_every_change_is_kept():
    cache = OldCache()
    c = simple(cache=cache)
    await c.check_pulse(at(10), n=0)
    await c.heartbeat(at(10, 5))
    await c.check_pulse(at(11), n=1)
    assert cache.kept == {
        "__test__state": {"n": 1},
        "__test__state_marker": at(11),
        "__test__outage": ["dependency"],
        "__test__gated": False,
        "__test_dependency_checkpoint_state": {"n": 1},
        "__test_dependency_checkpoint_marker": at(10, 5),
        "__test_dependency_is_down": True,
        "__test_dependency_is_assumed": False,
    }


@pytest.mark.parametrize(
    "make", [OldCache, dict, lambda: Cache(":memory:")], ids=["old", "dict", "Cache"]
)
async def test_what_was_kept_is_all_there_is(make):
    cache = make()
    c = simple(cache=cache)
    await c.check_pulse(at(10), n=0)
    await c.heartbeat(at(10, 5))
    await c.check_pulse(at(11), n=1)
    again = simple(cache=cache)
    assert again.snapshot() == c.snapshot()


# Markers


async def test_markers_are_numbers_too_and_thresholds_then_seconds():
    c = Checkpoint("c", None, [Dependency("d", None, "1m")])
    await c.heartbeat(1000)
    assert await c.check_pulse(1060) is None
    assert await c.check_pulse(1060.5) == 60.5
    assert (await c.heartbeat(1060.5))["is_late"]
    assert (await c.heartbeat(1061))["is_late"] is False


async def test_zero_is_a_marker():
    c = Checkpoint("c", None, [Dependency("d", None, 0)])
    await c.heartbeat(0)
    assert await c.check_pulse(1) == 1
    assert c["d"].checkpoint_marker == 0


async def test_a_time_without_a_zone_is_read_in_utc_beside_one_with_a_zone():
    c = simple()
    await c.heartbeat(at(10).replace(tzinfo=UTC))
    assert await c.check_pulse(at(10, 5)) is None
    assert await c.check_pulse(at(10, 15)) == timedelta(minutes=15)


@pytest.mark.parametrize(
    "pair",
    [
        ("10", "11"),
        (at(10), 10),
        (None, at(10)),
        (True, False),
        (float("nan"), 1.0),
        (timedelta(1), timedelta(2)),
    ],
    ids=str,
)
async def test_other_markers_are_refused_with_what_would_do(pair):
    c = simple()
    with pytest.raises(TypeError, match="markers must be datetimes, or numbers .*downtime_check="):
        for one, other in itertools.permutations(pair):
            await c.heartbeat(one)
            await c.check_pulse(other)


async def test_a_late_marker_takes_nothing_back():
    c = simple()
    await c.heartbeat(at(12))
    beat = await c.heartbeat(at(11))
    assert beat["dependency_marker"] == at(12)
    assert await c.check_pulse(at(12)) is None


async def test_what_was_only_assumed_is_taken_back():
    for restart in False, True:
        cache = OldCache()
        c = simple(cache=cache)
        await c.check_pulse(at(12))
        if restart:
            c = simple(cache=cache)
        assert (await c.heartbeat(at(11)))["dependency_marker"] == at(11)
        assert (await c.heartbeat(at(10)))["dependency_marker"] == at(11)


# Faults of the original, by number


async def outage(c, markers, n=itertools.count):
    for number, marker in zip(n(), markers):
        await c.check_pulse(marker, offset=number)


async def test_fault_3_a_recovery_knows_what_went_out_first():
    up = Calls()
    c = simple(recovery_callback=up, pause_dependent=False)
    await c.heartbeat(at(10))
    await outage(c, [at(10), at(10, 10), at(10, 20), at(10, 30), at(10, 40)])
    await c.heartbeat(at(10, 15))
    await outage(c, [at(10, 50)], lambda: itertools.count(5))
    await c.heartbeat(at(10, 51))
    assert up == [("dependency", {"offset": 2})]
    assert c.state == {"offset": 5}


async def test_fault_3_states_are_copies():
    c = simple()
    await c.check_pulse(at(10), offsets={0: 1})
    await c.heartbeat(at(10))
    c.state["offsets"][0] = 2
    assert c["dependency"].checkpoint_state == {"offsets": {0: 1}}


@pytest.mark.parametrize("when", ["before any heartbeat", "while it catches up"])
async def test_fault_4_an_outage_outlives_a_restart(when):
    cache, down, up = OldCache(), Calls(), Calls()

    def make():
        return simple(cache=cache, downtime_callback=down, recovery_callback=up)

    c = make()
    await c.heartbeat(at(10))
    await outage(c, [at(10), at(11)])
    if when == "while it catches up":
        await c.heartbeat(at(10, 30))
    c = make()
    assert c["dependency"].is_down
    assert c.paused
    await c.heartbeat(at(10, 45))
    c = make()
    await c.heartbeat(at(11, 1))
    assert make().is_down is False
    assert down == up == [("dependency", {"offset": 1})]


async def test_fault_13_the_verdict_is_that_of_the_furthest_behind():
    for order in itertools.permutations("abc"):
        c = Checkpoint("c", None, [Dependency(name) for name in order])
        for name, marker in ("a", at(10)), ("b", at(9)), ("c", at(11)):
            await c.heartbeat(marker, name)
        assert await c.check_pulse(at(11)) == timedelta(hours=2)
        assert [d.name for d in c.behind()] == [name for name in order if name != "c"]


async def test_fault_13_verdicts_that_can_not_be_compared():
    d = Dependency("a", downtime_check=lambda c, d: {"late"})
    e = Dependency("b", downtime_check=lambda c, d: {"later": 1})
    assert await Checkpoint("c", None, [d, e]).check_pulse(at(10)) == {"late"}


async def test_fault_14_a_downtime_is_told_once():
    down, up = Calls(), Calls()
    c = simple(downtime_callback=down, recovery_callback=up, pause_dependent=False)
    for hour in 10, 12:
        await c.heartbeat(at(hour))
        await outage(c, [at(hour), at(hour, 30), at(hour, 40), at(hour, 50)])
        assert await c.check_pulse(at(hour, 55)) == timedelta(minutes=55)
        await c.heartbeat(at(hour, 56))
        await c.heartbeat(at(hour, 57))
    assert [name for name, _ in down] == ["dependency"] * 2
    assert up == down


async def test_fault_18_a_cache_of_length_0_is_a_cache():
    cache = OldCache()
    await simple(cache=cache).check_pulse(at(10), n=1)
    assert simple(cache=cache).state == {"n": 1}
    with Cache(":memory:") as real:
        assert not len(real)
        await simple(cache=real).check_pulse(at(10), n=1)
        assert simple(cache=real).state == {"n": 1}


async def test_fault_8_a_dependency_that_has_ended_is_not_down():
    up = Calls()
    c = simple(recovery_callback=up)
    await c.heartbeat(at(10))
    await outage(c, [at(10), at(11)])
    c.end()
    await c.settle()
    assert not c.paused
    assert up == [("dependency", {"offset": 1})]
    assert await c.check_pulse(at(12)) == timedelta(hours=2)
    assert not c.paused
    await c.heartbeat(at(12))
    assert not c["dependency"].has_ended


# Several dependencies


def two(**more):
    return Checkpoint("c", None, [Dependency("a"), Dependency("b")], pause_dependent=False, **more)


async def test_the_recovery_is_told_when_all_are_up_with_the_first_that_was_down():
    for restart in False, True:
        cache, up = OldCache(), Calls()
        c = two(recovery_callback=up, cache=cache)
        await c.heartbeat(at(10), "a")
        await c.heartbeat(at(10, 20), "b")
        await outage(c, [at(10), at(10, 10), at(10, 20), at(10, 30), at(10, 40)])
        assert (c["a"].checkpoint_state, c["b"].checkpoint_state) == ({"offset": 2}, {"offset": 4})
        await c.heartbeat(at(11), "a")
        assert not up
        if restart:
            c = two(recovery_callback=up, cache=cache)
        await c.heartbeat(at(11, 5), "a")
        assert (c["a"].is_down, c.is_down) == (False, True)
        await c.heartbeat(at(11), "b")
        assert up == [("a", {"offset": 2})]
        assert not c.is_down


async def test_of_several_with_one_state_the_last_to_come_back_is_told():
    for names in ("a", "b"), ("b", "a"):
        up = Calls()
        c = two(recovery_callback=up)
        for name in names:
            await c.heartbeat(at(10), name)
        await outage(c, [at(10), at(11)])
        for name in names:
            await c.heartbeat(at(12), name)
        assert up == [(names[1], {"offset": 1})]


async def test_one_that_goes_down_again_within_an_outage_keeps_its_first_state():
    down, up = Calls(), Calls()
    c = two(downtime_callback=down, recovery_callback=up)
    for name in "ab":
        await c.heartbeat(at(10), name)
    await outage(c, [at(10), at(11)])
    await c.heartbeat(at(11, 1), "a")
    await c.check_pulse(at(12), offset=2)
    assert [name for name, _ in down] == ["a", "b", "a"]
    await c.heartbeat(at(13), "b")
    await c.heartbeat(at(13), "a")
    assert up == [("a", {"offset": 1})]


# Callbacks that wait or fail


async def test_a_recovery_that_fails_is_told_again():
    cache, tries = OldCache(), []

    def fails(c, d):
        tries.append(d.checkpoint_state)
        if len(tries) < 3:
            raise OSError("no broker")

    for restart in False, True:
        tries.clear()
        c = simple(recovery_callback=fails, cache=cache)
        await c.heartbeat(at(10))
        await outage(c, [at(11)])
        for _ in range(2):
            with pytest.raises(OSError, match="no broker"):
                await c.heartbeat(at(12))
            assert c.paused
            if restart:
                c = simple(recovery_callback=fails, cache=cache)
                assert c.paused
        await c.heartbeat(at(12))
        assert not c.paused
        assert tries == [{"offset": 0}] * 3
        cache = OldCache()


async def test_it_stays_paused_while_a_recovery_is_told():
    seen = []

    async def slow(c, d):
        seen.append(c.paused)
        await asyncio.sleep(1)
        seen.append(c.paused)

    c = simple(recovery_callback=slow)
    await c.heartbeat(at(10))
    await outage(c, [at(11)])
    await asyncio.gather(c.heartbeat(at(12)), c.heartbeat(at(12, 1)), c.settle())
    assert seen == [True, True]
    assert not c.paused


async def test_what_goes_down_while_a_recovery_is_told_is_an_outage_of_its_own():
    down, up = Calls(), Calls()
    c = two(downtime_callback=down, recovery_callback=up.waiting())
    for name in "ab":
        await c.heartbeat(at(10), name)
    await c.heartbeat(at(11), "b")
    await outage(c, [at(11)])

    async def meanwhile():
        await asyncio.sleep(0.5)
        await c.check_pulse(at(12, 15), offset=7)
        await c.heartbeat(at(13), "b")
        await c.heartbeat(at(13), "a")

    await asyncio.gather(c.heartbeat(at(12), "a"), meanwhile())
    assert [name for name, _ in down] == ["a", "a", "b"]
    assert [name for name, _ in up] == ["a", "a"]
    assert not c.is_down


async def test_those_who_watch_are_told_and_can_leave():
    c, told = simple(), []
    stop = c.watch(lambda: told.append(c.is_down))
    await c.heartbeat(at(10))
    await c.check_pulse(at(11))
    await c.heartbeat(at(12))
    c.end()
    stop()
    await c.heartbeat(at(13))
    assert told == [False, True, False, False]


# Snapshot


async def test_a_snapshot_is_plain_data_and_goes_on_where_it_was():
    up = Calls()
    c = two(recovery_callback=up)
    for name in "ab":
        await c.heartbeat(at(10), name)
    await outage(c, [at(11)])
    await c.heartbeat(at(12), "a")
    state = pickle.loads(pickle.dumps(c.snapshot()))
    await c.heartbeat(at(12), "b")
    other = two(recovery_callback=up)
    other.restore(state)
    assert other.snapshot() == state
    assert (other["a"].is_down, other["b"].is_down) == (False, True)
    await other.heartbeat(at(12), "b")
    assert up == [("b", {"offset": 0})] * 2
    other.state["x"] = 1
    assert state["state"] == {"offset": 0}


# Errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dependency(""), r"Dependency\(name\) must be some text, not ''"),
        (lambda: Dependency(None), r"Dependency\(name\) must be some text, not None"),
        (lambda: Dependency("d", None, "soon"), r"Dependency\(downtime_threshold\) must be a dura"),
        (lambda: Dependency("d", None, -1), r"downtime_threshold\) must be zero or more, not -1"),
        (lambda: Dependency("d", downtime_check=1), r"Dependency\(downtime_check\) needs a func"),
        (lambda: Dependency("d", recovery_check=1), r"Dependency\(recovery_check\) needs a func"),
        (lambda: Checkpoint(1), r"Checkpoint\(name\) must be some text, not 1"),
        (lambda: Checkpoint("c"), r"'c' needs at least one dependency, as in "),
        (lambda: Checkpoint("c", None, Dependency("d")), r"must be a list of Dependency, not "),
        (lambda: Checkpoint("c", None, ["d"]), r"must be a list of Dependency, not of 'd'"),
        (
            lambda: Checkpoint("c", None, [Dependency("d"), Dependency("d")]),
            r"two dependencies of the checkpoint 'c' are called 'd'",
        ),
        (lambda: simple(downtime_callback=1), r"Checkpoint\(downtime_callback\) needs a function"),
        (lambda: simple(recovery_callback=1), r"Checkpoint\(recovery_callback\) needs a function"),
        (lambda: simple(cache="state"), r"Checkpoint\(cache\) must be a Cache, a dict, or "),
    ],
)
def test_wrong_arguments_say_what_would_do(make, message):
    with pytest.raises(GraphError, match=message):
        make()


def test_one_gate_uses_a_checkpoint():
    c, gate, other = simple(), object(), object()
    c.attach(gate)
    with pytest.raises(RunError, match="'test' is used by a gate that runs already"):
        c.attach(other)
    c.detach(other)
    with pytest.raises(RunError):
        c.attach(other)
    c.detach(gate)
    c.attach(other)
