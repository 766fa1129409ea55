"""A log in a folder: what survives, and whose it is."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys

import pytest

from rivulet import Cache, StorageError, Stream, Topic, TopicError
from rivulet.io.file import FileStorage, open_log
from rivulet.io.file import close_log as give_back


@pytest.fixture
def conf(tmp_path):
    return {"bootstrap_servers": f"file:{tmp_path / 'log'}", "auto_offset_reset": "earliest"}


def topic(conf, name="t", group=None, **more):
    conf = conf if group is None else {**conf, "group_id": group}
    return Topic(name, conf, end="drained", **more)


async def test_records_and_offsets_are_there_when_the_log_is_opened_again(conf, tmp_path):
    await Stream([(f"k{i}", f"v{i}") for i in range(10)]).to(topic(conf, partitions=3)).run()
    got = await Stream(topic(conf, group="g")).take(4).collect()
    assert not FileStorage(tmp_path / "log").close()  # nobody has it open any more
    rest = await Stream(topic(conf, group="g")).collect()
    assert sorted(r.value for r in got + rest) == [f"v{i}" for i in range(10)]
    assert sum((await topic(conf, group="g").committed()).values()) == 10


WRITER = """
import asyncio, sys
from rivulet import Stream, Topic
topic = Topic("t", {"bootstrap_servers": sys.argv[1]}, partitions=2)

async def numbers():
    i = 0
    while True:
        yield f"k{i % 7}", str(i)
        i += 1

async def main():
    async with topic:
        async for key, value in numbers():
            await topic(key, value)
            print(value, flush=True)

asyncio.run(main())
"""


async def test_what_was_written_survives_a_kill(conf):
    acknowledged = -1
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, conf["bootstrap_servers"]],
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in process.stdout:
            if int(line) >= 200:
                break
        process.kill()
        rest = [line for line in process.stdout.read().split("\n")[:-1] if line]
        process.wait()
        process.stdout.close()
        acknowledged = int(rest[-1]) if rest else int(line)
        records = await Stream(topic(conf)).collect()
        numbers = [int(r.value) for r in records]
        last = numbers[::-1].index(0) if 0 in numbers else 0
        assert set(range(acknowledged + 1)) <= set(numbers), last
        for partition in (0, 1):
            offsets = [r.offset for r in records if r.partition == partition]
            assert offsets == list(range(len(offsets)))


HOLDER = """
import asyncio, sys
from rivulet import Stream, Topic
topic = Topic("t", {"bootstrap_servers": sys.argv[1]})

async def main():
    run = Stream(topic).to([]).start()
    while not topic.positions():
        await asyncio.sleep(0.01)
    print("open", flush=True)
    await run

asyncio.run(main())
"""


async def test_another_process_can_not_open_it_meanwhile_and_is_told_whose_it_is(conf):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, conf["bootstrap_servers"]],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "open\n"
        with pytest.raises(StorageError, match=f"in use by process {process.pid}"):
            await Stream(topic(conf)).collect()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert await Stream(topic(conf)).collect() == []


async def test_a_folder_of_something_else_is_refused(conf, tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"isn't empty .*notes\.txt"):
        await Stream(topic(conf)).collect()
    Cache(tmp_path / "cache").close()
    with pytest.raises(StorageError, match="codec"):
        await Stream(topic({"bootstrap_servers": f"file:{tmp_path / 'cache'}"})).collect()
    with pytest.raises(StorageError, match="codec"):
        await Stream([("a", "b")]).to(topic({"bootstrap_servers": f"file:{tmp_path / 'l'}"})).run()
        Cache(tmp_path / "l")


async def test_a_damaged_log_is_an_error_that_names_it(conf, tmp_path):
    await Stream([("a", "b")]).to(topic(conf)).run()
    (tmp_path / "log" / "topics.db").write_bytes(b"no database" * 100)
    with pytest.raises(StorageError, match=f"{tmp_path / 'log'} can't be opened"):
        await Stream(topic(conf)).collect()


async def test_a_write_that_fails_is_an_error_and_nothing_of_it_is_kept(conf, tmp_path):
    await Stream([("a", "b")]).to(topic(conf)).run()
    log = open_log(tmp_path / "log")
    try:
        log.storage._db.execute("PRAGMA query_only=1")
        with pytest.raises(TopicError, match="can't be used"):
            await Stream([("a", "c")]).to(topic(conf)).run()
        log.storage._db.execute("PRAGMA query_only=0")
    finally:
        give_back(tmp_path / "log")
    assert [r.value for r in await Stream(topic(conf)).collect()] == ["b"]


async def test_nothing_counts_as_read_when_what_was_made_of_it_can_not_be_written(conf, tmp_path):
    source = {"bootstrap_servers": "memory://failing", "auto_offset_reset": "earliest"}
    read = Topic("s", {**source, "group_id": "g"}, end="drained")
    await Stream([("a", "b"), ("a", "c")]).to(read).run()
    await Stream([("x", "y")]).to(topic(conf)).run()
    log = open_log(tmp_path / "log")
    try:
        log.storage._db.execute("PRAGMA query_only=1")
        with pytest.raises(TopicError, match="can't be used"):
            await Stream(read).map(lambda r: (r.key, r.value)).to(topic(conf)).run()
        assert await read.committed() == {0: None}
        log.storage._db.execute("PRAGMA query_only=0")
    finally:
        give_back(tmp_path / "log")
    await Stream(read).map(lambda r: (r.key, r.value)).to(topic(conf)).run()
    assert [r.value for r in await Stream(topic(conf)).collect()] == ["y", "b", "c"]
    assert await read.committed() == {0: 2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
async def test_a_forked_process_leaves_the_log_to_its_parent(conf, tmp_path):
    log = open_log(tmp_path / "log")
    try:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                open_log(tmp_path / "log")
            except StorageError:
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        log.require("t", 1)
        assert log.write([("t", 0, 1, None, b"v", ())]) == [0]
    finally:
        give_back(tmp_path / "log")


def test_the_file_is_an_ordinary_database(conf, tmp_path):
    storage = FileStorage(tmp_path / "log")
    storage.create("t", 1)
    storage.write([("t", 0, 5, b"k", b"v", (("h", b"x"),))], ("g", "t", {0: 1}))
    storage.close()
    db = sqlite3.connect(tmp_path / "log" / "topics.db")
    try:
        assert db.execute("SELECT part, place, time, key, value FROM records").fetchall() == [
            (0, 0, 5, b"k", b"v")
        ]
        assert db.execute("SELECT name, part, place FROM reached").fetchall() == [("g", 0, 1)]
    finally:
        db.close()
