"""What was acknowledged is there: after any end of the process, on a full disk, from all threads."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
import stat
import subprocess
import sys
import threading
import warnings
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import pytest

import rivulet
from rivulet import Cache, StorageError
from rivulet.state import opened
from rivulet.state.disk import Tables
from rivulet.state.durable import DurableStore
from rivulet.state.keys import encode

needs_rocksdict = pytest.mark.skipif(
    find_spec("rocksdict") is None and os.environ.get("CI") != "true",
    reason="rocksdict can't be imported: pip install -e '.[test]'",
)


def in_rocks(*arguments):
    return pytest.param("rocksdb", *arguments, marks=needs_rocksdict)


in_every_store = pytest.mark.parametrize("kind", ["diskcache", in_rocks()])
KILLS = int(os.environ.get("RIVULET_KILLS", "12"))


def process(script, *arguments, before=()):
    """Another Python that runs a script."""
    root = Path(rivulet.__file__).parent.parent
    return subprocess.Popen(
        [*before, sys.executable, "-W", "error", "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(root)},
        text=True,
        start_new_session=True,
    )


def output(script, *arguments, before=(), code=0):
    """What a script says, which must come to its end without a complaint."""
    with process(script, *arguments, before=before) as running:
        try:
            said, complaint = running.communicate(timeout=40)
        except BaseException:
            os.killpg(running.pid, signal.SIGKILL)
            raise
    assert complaint == ""
    assert running.returncode == code
    return said


# Killed processes

WRITER = '''
import json, os, random, sys
from functools import partial
from rivulet import Cache
from rivulet.state import opened
from rivulet.state.durable import DurableStore

opened._stores["diskcache"] = partial(DurableStore, most_bytes=100_000)


def writes(number):
    """What step number does: a list of (key, value); None removes."""
    rng = random.Random(number)
    size = rng.choice([0, 10, 100, 1000, 10_000])
    count = rng.choice([1, 1, 1, 2, 20])
    return [
        (rng.randrange(200), None if rng.random() < 0.2 else [number, index, "x" * size])
        for index in range(count)
    ]


def write(cache, number):
    rows = writes(number)
    if len(rows) > 1:
        with cache.batch() as batch:
            for key, value in rows:
                if value is None:
                    del batch[key]
                else:
                    batch[key] = value
    elif rows[0][1] is None:
        del cache[rows[0][0]]
    else:
        cache[rows[0][0]] = rows[0][1]
    if number % 50 == 0:
        cache.flush(sync=number % 100 == 0)


if __name__ == "__main__":
    folder, kind, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
    os.write(1, b"opening\\n")
    cache = Cache(folder, store=kind)
    while True:
        os.write(1, b"%d\\n" % number)
        write(cache, number)
        number += 1
'''


@pytest.fixture(scope="module")
def steps():
    """What the writer writes, in a module of its own."""
    module = {"__name__": "steps"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened, "_stores", dict(opened._stores))
        exec(WRITER, module)
    return module["writes"]


def done(model, rows):
    """What a dict is after some writes."""
    model = dict(model)
    for key, value in rows:
        if value is None:
            model.pop(key, None)
        else:
            model[key] = value
    return model


@pytest.mark.slow
@pytest.mark.timeout(60 + 5 * KILLS)
@in_every_store
def test_a_process_that_is_killed_at_any_moment_loses_no_write_and_does_none_by_halves(
    tmp_path, steps, kind
):
    """The writer says the number of each step before it does it; so the one before is done."""
    rounds = KILLS if kind == "diskcache" else KILLS // 2
    pick, model, number = random.Random(KILLS), {}, 0
    for _ in range(rounds):
        lines = pick.choice([1, 2, pick.randrange(100), pick.randrange(2000)])
        with process(WRITER, tmp_path, kind, number) as writer:
            said = [writer.stdout.readline() for _ in range(lines)]
            writer.kill()
            said += writer.stdout.readlines()
            assert writer.stderr.read() == ""
        for last in range(number, number + len(said) - 2):
            model = done(model, steps(last))
        # The last that was said may be done or not.
        number += max(0, len(said) - 2)
        after = done(model, steps(number))
        with Cache(tmp_path, store=kind) as cache:
            found = dict(cache.items())
            assert len(cache) == len(found)
            assert all(cache[key] == value for key, value in found.items())
        assert found in (model, after) if len(said) > 1 else found == model
        model, number = (after, number + 1) if found == after else (model, number)
    assert number > 20 * rounds


# Full disks

FULL = """
import os, pickle, random, resource, signal, subprocess, sys
from contextlib import suppress
from functools import partial
from rivulet import Cache, StorageError
from rivulet.state import opened
from rivulet.state.durable import DurableStore

folder, disk, way = sys.argv[1:]
opened._stores["diskcache"] = partial(DurableStore, most_bytes=300_000)
rng = random.Random(7)


def has_room(megabytes):
    if disk == "limit":
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (megabytes * 2**20, hard))
    else:
        command = ["mount", "-o", f"remount,size={megabytes}m", disk]
        subprocess.run(command, check=True)


def check(cache, done):
    assert len(cache) == len(done), (len(cache), len(done))
    assert dict(cache.items()) == done
    assert all(cache[key] == value for key, value in done.items())
    assert [*cache.keys(backwards=True)] == sorted(done, reverse=True)


def rows(step):
    count = 5 if step % 5 == 0 else 1
    return {rng.randrange(5000): rng.randbytes(rng.choice([10, 1000, 5000])) for _ in range(count)}


def fill(cache):
    "Write until it fails and long after; what was acknowledged, and what was said."
    done, errors = {}, []
    for step in range(20_000):
        some = rows(step)
        try:
            if len(some) > 1:
                with cache.batch() as batch:
                    for key, value in some.items():
                        batch[key] = value
            else:
                ((key, value),) = some.items()
                cache[key] = value
            done.update(some)
        except StorageError as error:
            errors.append(str(error))
            if len(errors) == 1:
                check(cache, done)
            if len(errors) == 60:
                break
    assert len(errors) == 60
    assert len(done) > 100, len(done)
    check(cache, done)
    for use in (cache.flush, lambda: cache.flush(sync=True)):
        try:
            use()
        except StorageError as error:
            errors.append(str(error))
    check(cache, done)
    for error in errors:
        assert "full" in error, error
    return done


def leave(room):
    "Take all other room of a real disk."
    if disk != "limit":
        with suppress(OSError), open(os.path.join(disk, "filler"), "ab", buffering=0) as filler:
            for size in (65536, 512, 1):
                with suppress(OSError):
                    while True:
                        filler.write(bytes(size))
            filler.truncate(max(0, filler.tell() - room))


def close(cache):
    try:
        cache.close()
    except StorageError as error:
        assert "full" in str(error), error


has_room(4)
if way == "it is killed":
    ours, its = os.pipe()
    if child := os.fork():
        os.close(its)
        with open(ours, "rb") as pipe:
            done = pickle.load(pipe)
        os.waitpid(child, 0)
    else:
        with open(its, "wb") as pipe:
            cache = Cache(folder)
            pickle.dump(fill(cache), pipe)
        os.kill(os.getpid(), signal.SIGKILL)
else:
    limits = {"ttl": "1d", "size_limit": 2**30} if way == "there are limits" else {}
    cache = Cache(folder, **limits)
    done = fill(cache)
    if way != "it goes on":
        close(cache)
    if way == "it is opened on the full disk":
        for room in range(0, 200_000, 8192):
            leave(room)
            try:
                cache = Cache(folder)
            except StorageError as error:
                assert "full" in str(error), error
            else:
                check(cache, done)
                close(cache)
has_room(64)
if way != "it goes on":
    cache = Cache(folder)
check(cache, done)
for step in range(1000):
    some = rows(step)
    done.update(some)
    for key, value in some.items():
        cache[key] = value
cache.flush(sync=True)
check(cache, done)
cache.close()
cache = Cache(folder)
check(cache, done)
cache.close()
"""
IN_TMPFS = 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"'


def can_mount():
    test = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(test, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize(
    "way",
    [
        "it goes on",
        "it is closed",
        "it is opened on the full disk",
        "it is killed",
        "there are limits",
    ],
)
@pytest.mark.parametrize("disk", ["disk", "limit"] if can_mount() else ["limit"])
def test_on_a_full_disk_nothing_is_lost_and_when_there_is_room_it_goes_on(tmp_path, disk, way):
    if disk == "limit":
        output(FULL, tmp_path, "limit", way)
    else:
        # In a name space of its own, which takes the disk with it.
        before = ["unshare", "-rm", "sh", "-c", IN_TMPFS, tmp_path]
        output(FULL, tmp_path / "cache", tmp_path, way, before=before)


# Several processes

SECOND = """
import sys
from rivulet import Cache, StorageError
try:
    Cache(sys.argv[1], store=sys.argv[2])
except StorageError as error:
    print(error)
"""


@in_every_store
def test_a_second_process_is_told_at_once_who_has_the_folder(tmp_path, kind):
    with Cache(tmp_path, store=kind) as cache:
        cache["a"] = 1
        said = output(SECOND, tmp_path, kind)
        assert said.startswith(f"{tmp_path} is in use by process {os.getpid()}: one process")
        assert cache["a"] == 1
    assert output(SECOND, tmp_path, kind) == ""


def test_the_folder_is_for_its_user_alone(tmp_path):
    with Cache(tmp_path / "a" / "b") as cache:
        cache["a"] = 1
        cache.flush()
        assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


FORK = """
import gc, os, subprocess, sys, warnings
from rivulet import Cache, StorageError

folder, kind, way, second = sys.argv[1:]
cache, same = Cache(folder, store=kind, size_limit=2**20), Cache(folder, store=kind)
memory = Cache(":memory:")
done = {number: number for number in range(2000)}
for key, value in done.items():
    cache[key] = memory[key] = value
cache.flush()
for key in range(1000):
    cache[key] = done[key] = "new"
listing = cache.items()
next(listing)
batch = cache.batch()
batch.__enter__()
batch["a"] = 1
USES = [
    lambda: cache["a"],
    lambda: cache.put("a", 1),
    lambda: cache.delete(1),
    lambda: 1 in cache,
    lambda: len(cache),
    lambda: cache.items(),
    lambda: cache.delete_range(0, 10),
    lambda: cache.flush(),
    lambda: cache.stats(),
    lambda: same[1],
    lambda: repr(same),
    lambda: batch.__exit__(None, None, None),
    lambda: same.destroy(),
]


def use_all(uses=USES):
    for use in uses:
        try:
            use()
        except StorageError as error:
            assert "before this process was forked, and belongs to its parent" in str(error), error
        else:
            raise AssertionError(USES.index(use))


def in_child():
    use_all()
    try:
        Cache(folder, store=kind)
    except StorageError as error:
        assert f"is in use by process {os.getppid()}:" in str(error), error
    else:
        raise AssertionError("it has two owners")
    assert len(memory) == 2000
    # RocksDB has no threads in a process that was forked.
    with Cache(folder + "/its own") as own:
        own["a"] = 1


def end_of_child():
    global cache, same, listing, batch
    if way == "it reads a listing to its end":
        list(listing)
    listing.close()
    if way == "it closes the cache":
        cache.close()
        same.close()
    if way == "it forgets the cache":
        USES.clear()
        del cache, same, listing, batch
        gc.collect()
    if way == "it is killed":
        os.kill(os.getpid(), 9)


told, tell = os.pipe()
with warnings.catch_warnings(action="ignore"):
    child = os.fork()
if not child:
    os.close(tell)
    in_child()
    if way == "it lives on":
        os.read(told, 1)
        use_all(USES[:5])
        if kind != "rocksdb":
            assert Cache(folder)[1] == "new"
    end_of_child()
    sys.exit()

os.close(told)
if way == "it lives on":
    with batch:
        pass
    cache.close()
    same.close()
    # Its folder is free, though the child still has what it had open.
    subprocess.run([sys.executable, "-c", second, folder, kind], check=True)
    os.close(tell)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
assert code == (-9 if way == "it is killed" else 0), code
if way != "it lives on":
    assert dict(cache.items()) == done
    assert dict(listing) == {key: done[key] for key in range(1, 2000)}
    batch.__exit__(None, None, None)
    done["a"] = 1
    for key in range(500, 1500):
        cache[key] = done[key] = "newer"
    cache.flush(sync=True)
    assert dict(cache.items()) == done
    cache.close()
    same.close()
with Cache(folder, store=kind) as cache:
    assert dict(cache.items()) == done
    assert len(cache) == len(done)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process forks here")
@pytest.mark.parametrize(
    ("kind", "way"),
    [
        ("diskcache", "it ends"),
        ("diskcache", "it is killed"),
        ("diskcache", "it closes the cache"),
        ("diskcache", "it forgets the cache"),
        ("diskcache", "it reads a listing to its end"),
        ("diskcache", "it lives on"),
        in_rocks("it forgets the cache"),
        in_rocks("it lives on"),
    ],
)
def test_a_forked_child_can_t_use_the_cache_of_its_parent_and_harms_nothing(tmp_path, kind, way):
    assert output(FORK, tmp_path, kind, way, SECOND) == ""


FORKS_AMONG_THREADS = """
import os, sys, threading, warnings
from rivulet import Cache

folder, over = sys.argv[1], threading.Event()


def open_and_close():
    while not over.is_set():
        with Cache(folder + "/a") as cache:
            cache[1] = 1


threads = [threading.Thread(target=open_and_close) for _ in range(3)]
for thread in threads:
    thread.start()
warnings.simplefilter("ignore")
for number in range(10):
    if not (child := os.fork()):
        with Cache(f"{folder}/{number}") as cache:
            cache[1] = 1
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
over.set()
for thread in threads:
    thread.join()
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no process forks here")
def test_a_child_that_is_forked_while_a_thread_opens_a_cache_can_open_its_own(tmp_path):
    assert output(FORKS_AMONG_THREADS, tmp_path) == ""


END = """
import os, sys
from rivulet import Cache

folder, kind, way = sys.argv[1:]
cache = Cache(folder, store=kind)
listing = cache.items()
with cache.batch() as batch:
    for number in range(1000):
        batch[number] = number
listing = cache.items()
next(listing)
for number in range(500, 1500):
    cache[number] = "new"
for number in range(0, 1500, 10):
    del cache[number]
if way == "exit":
    sys.exit()
if way == "_exit":
    os._exit(0)
if way == "abort":
    os.kill(os.getpid(), 15)
"""


@pytest.mark.parametrize(
    ("way", "code"), [("its end", 0), ("exit", 0), ("_exit", 0), ("abort", -signal.SIGTERM)]
)
@in_every_store
def test_a_process_that_ends_without_closing_loses_nothing(tmp_path, kind, way, code):
    assert output(END, tmp_path, kind, way, code=code) == ""
    expected = {number: number if number < 500 else "new" for number in range(1500)}
    with Cache(tmp_path, store=kind) as cache:
        assert dict(cache.items()) == {key: expected[key] for key in expected if key % 10}


# Threads


@pytest.fixture(params=["diskcache", "diskcache, little memory", in_rocks(), ":memory:"])
def cache(request, tmp_path, monkeypatch):
    kind, _, little = request.param.partition(", ")
    if little:
        monkeypatch.setitem(opened._stores, kind, partial(DurableStore, most_bytes=5000))
    with Cache(":memory:") if kind == ":memory:" else Cache(tmp_path, store=kind) as cache:
        yield cache


def in_threads(*functions):
    errors = []

    def run(function):
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert errors == []


def test_ten_threads_lose_no_write_and_see_no_half_of_a_batch(cache):
    writing = [True] * 8

    def write(thread):
        try:
            for number in range(100):
                cache[thread, number] = number
                with cache.batch() as batch:
                    batch["pair", thread] = number
                    batch["riap", thread] = number
                if number % 3 == 0:
                    del cache[thread, number]
                assert cache[thread, number] == (number if number % 3 else None)
        finally:
            writing[thread] = False

    def read():
        while any(writing):
            rows = [(key, value) for key, value in cache.items(from_key=("pair",))]
            half = len(rows) // 2
            assert [value for _, value in rows[:half]] == [value for _, value in rows[half:]]
            keys = [encode(key) for key in cache.keys(backwards=True)]
            assert keys == sorted(set(keys), reverse=True)
            assert len(cache) <= 8 * 102

    in_threads(*(partial(write, thread) for thread in range(8)), read, read)
    expected = {(thread, number): number for thread in range(8) for number in range(100)}
    expected = {key: number for key, number in expected.items() if number % 3}
    expected |= {(name, thread): 99 for name in ("pair", "riap") for thread in range(8)}
    assert dict(cache.items()) == expected
    assert len(cache) == len(expected)


def test_ten_threads_that_open_and_close_one_folder_lose_no_write(tmp_path):
    def write(thread):
        for number in range(20):
            with Cache(tmp_path) as cache:
                cache[thread, number] = number
                assert cache[thread, number] == number

    in_threads(*(partial(write, thread) for thread in range(10)))
    with Cache(tmp_path) as cache:
        assert list(cache) == [(thread, number) for thread in range(10) for number in range(20)]


def test_a_cache_that_is_closed_while_threads_use_it_loses_nothing_that_was_acknowledged(tmp_path):
    done, begun = [-1] * 6, threading.Event()
    cache = Cache(tmp_path)

    def write(thread):
        with pytest.raises(StorageError, match="closed"):
            for number in count():
                cache[thread, number] = number
                done[thread] = number
                if number == 50:
                    begun.set()

    def read():
        with pytest.raises(StorageError, match="closed"):
            while True:
                assert all(cache[key] == key[1] for key in cache.keys(True, (3, 20)))
                len(cache)

    def close():
        begun.wait()
        cache.close()

    in_threads(*(partial(write, thread) for thread in range(6)), read, read, close)
    with Cache(tmp_path) as again:
        for thread, last in enumerate(done):
            assert [*again.values(prefix=(thread,))][: last + 1] == [*range(last + 1)]


def test_transactions_of_one_key_exclude_each_other_across_threads_and_event_loops(cache):
    cache["count"] = 0

    async def add(number):
        async with cache.transaction("count"):
            before = cache["count"]
            await asyncio.sleep(0)
            cache["count"] = before + 1
            if number % 3 == 0:
                raise KeyError(number)

    async def add_many():
        tasks = [asyncio.create_task(add(number)) for number in range(12)]
        await asyncio.sleep(0)
        # It may have the lock, wait for it, or have been given it just now.
        given_up = [task.cancel() for task in tasks[1::4]]
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        counted.append(len(tasks) - sum(isinstance(e, asyncio.CancelledError) for e in errors))
        assert len(given_up) == 3

    counted = []
    in_threads(*(partial(asyncio.run, add_many()) for _ in range(8)))
    assert cache["count"] == sum(counted) >= 8 * 9
    assert cache._opened._locks == {}


def test_a_cache_that_is_forgotten_is_closed_wherever_that_is_noticed(tmp_path, monkeypatch):
    """Also in the thread that moves its memory, which can't wait for itself."""

    class Circle:
        def __init__(self):
            self.itself, self.cache = self, Cache(tmp_path)

    circle, collected, write = Circle(), threading.Event(), Tables.write
    for number in range(100):
        circle.cache[number] = number
    store = circle.cache._opened.base

    def collect(tables, operations):
        if not collected.is_set():
            gc.collect()
            collected.set()
        write(tables, operations)

    gc.disable()
    monkeypatch.setattr(Tables, "write", collect)
    try:
        with store._lock:
            store._seal()
            del circle
        collected.wait()
        store._mover.join()
    finally:
        gc.enable()
    # Another thread closes it, and is done when the folder is free.
    for thread in threading.enumerate():
        if thread.name == "rivulet-state-close":
            thread.join()
    with Cache(tmp_path) as cache:
        assert cache._opened.base is not store
        assert list(cache.items()) == [(number, number) for number in range(100)]


# Many entries


def test_nothing_is_dropped_for_its_size(tmp_path):
    with (
        warnings.catch_warnings(record=True, action="always") as caught,
        Cache(tmp_path, target_table_size=1_000_000) as cache,
    ):
        assert len(caught) == 1
        for number in range(30_001):
            cache[number] = b"%d" % number * (600 // len(b"%d" % number))
    with Cache(tmp_path) as cache:
        assert len(cache) == 30_001
        for at, (number, value) in enumerate(cache.items()):
            assert at == number
            assert value == b"%d" % number * (600 // len(b"%d" % number))
