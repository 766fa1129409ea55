"""``DurableStore``: what was written is there again, whatever happens to the process."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from rivulet.errors import StorageError
from rivulet.state.durable import DurableStore

KEYS = st.binary(max_size=2)
VALUES = st.binary(max_size=40)


class Life(RuleBasedStateMachine):
    """Any writes, flushes, re-openings and crashes; a dict is the model."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.generation = 0
        self.path = Path(self.folder.name, "0")
        self.path.mkdir()
        self.store = self.opened()
        self.model = {}

    def opened(self):
        return DurableStore(self.path, most_bytes=1000)

    @rule(key=KEYS, value=VALUES)
    def put(self, key, value):
        self.store.put(key, value)
        self.model[key] = value

    @rule(key=KEYS)
    def delete(self, key):
        assert self.store.delete(key) == (self.model.pop(key, None) is not None)

    @rule(operations=st.lists(st.tuples(KEYS, st.none() | VALUES), max_size=12))
    def write(self, operations):
        self.store.write(operations)
        for key, value in operations:
            if value is None:
                self.model.pop(key, None)
            else:
                self.model[key] = value

    @rule(sync=st.booleans())
    def flush(self, sync):
        self.store.flush(sync=sync)

    @rule()
    def reopen(self):
        self.store.close()
        self.store = self.opened()

    @rule()
    def crash(self):
        """What the folder holds at this moment is all that is left."""
        self.generation += 1
        left = Path(self.folder.name, str(self.generation))
        with self.store._lock:
            # Files can't be copied as they are at one moment while SQLite writes them.
            self.store._wait_until_moved()
            shutil.copytree(self.path, left)
        self.store.close()
        self.path = left
        self.store = self.opened()

    @rule(start=st.none() | KEYS, stop=st.none() | KEYS, backwards=st.booleans())
    def list(self, start, stop, backwards):
        rows = [
            (key, value)
            for key, value in sorted(self.model.items(), reverse=backwards)
            if (start is None or key >= start) and (stop is None or key < stop)
        ]
        assert [*self.store.list(start, stop, backwards=backwards)] == rows

    @invariant()
    def it_is_what_a_dict_would_be(self):
        assert len(self.store) == len(self.model)
        assert all(self.store.get(key) == value for key, value in self.model.items())

    def teardown(self):
        self.store.close()
        self.folder.cleanup()


Life.TestCase.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase


WRITER = """
import itertools, os, sys
from pathlib import Path
from rivulet.state.durable import DurableStore

store = DurableStore(Path(sys.argv[1]), most_bytes=20_000)
for number in itertools.count(int(sys.argv[2])):
    key = (number * 7919 % 1000).to_bytes(2, "big")
    if number % 10:
        store.put(key, b"%d" % number * 20)
    else:
        store.write([(key, b"%d" % number * 20), (b"last", b"%d" % number)])
    os.write(1, b"%d\\n" % number)
"""


@pytest.mark.parametrize("seed", range(2))
def test_no_acknowledged_write_is_lost_when_the_process_is_killed(tmp_path, seed):
    """The writer says each number when its write has returned; it is killed after some of them."""
    pick, model, begin = random.Random(seed), {}, 0
    for _ in range(4):
        command = [sys.executable, "-c", WRITER, str(tmp_path), str(begin)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            said = [int(writer.stdout.readline()) for _ in range(pick.randrange(1, 800))]
            writer.kill()
            said += [int(line) for line in writer.stdout.read().split(b"\n")[:-1]]
        for number in said:
            model[(number * 7919 % 1000).to_bytes(2, "big")] = number
        begin = said[-1] + 1
        store = DurableStore(tmp_path)
        for key, number in model.items():
            # The one that was under way when it was killed may be there.
            assert store.get(key) in (b"%d" % number * 20, b"%d" % begin * 20)
        assert int(store.get(b"last")) in (said[-1] - said[-1] % 10, begin)
        assert store.get((begin * 7919 % 1000).to_bytes(2, "big")) != b""
        store.delete((begin * 7919 % 1000).to_bytes(2, "big"))
        model.pop((begin * 7919 % 1000).to_bytes(2, "big"), None)
        store.close()
        begin += 1


def test_a_listing_stays_as_it_was_while_memory_is_moved_away_under_it(tmp_path):
    store = DurableStore(tmp_path, most_bytes=1000)
    before = {number.to_bytes(2, "big"): b"a" * 50 for number in range(300)}
    store.write([*before.items()])
    rows = store.list()
    seen = [next(rows) for _ in range(5)]
    for number in range(600):
        store.put(number.to_bytes(2, "big"), b"b" * 50)
        if number % 100 == 0:
            store.flush()
    assert [*seen, *rows] == [*before.items()]
    assert {value for _, value in store.list()} == {b"b" * 50}
    store.close()


def test_when_memory_can_t_be_moved_that_is_said_and_nothing_is_lost(tmp_path, monkeypatch):
    store = DurableStore(tmp_path, most_bytes=1000)
    whole = store._tables.write

    def full(operations):
        raise StorageError("the disk is full")

    monkeypatch.setattr(type(store._tables), "write", lambda self, operations: full(operations))
    written = {}
    with pytest.raises(StorageError, match="the disk is full"):
        for number in range(100):
            store.put(b"%03d" % number, b"x" * 50)
            written[b"%03d" % number] = b"x" * 50
    with pytest.raises(StorageError, match="the disk is full"):
        store.flush()
    assert dict(store.list()) == written
    monkeypatch.setattr(type(store._tables), "write", lambda self, operations: whole(operations))
    store.put(b"more", b"")
    store.flush()
    assert dict(store.list()) == {**written, b"more": b""}
    store.close()


def test_a_store_that_is_closed_says_so_and_leaves_no_thread(tmp_path):
    before = set(threading.enumerate())
    store = DurableStore(tmp_path)
    store.put(b"a", b"1")
    store.close()
    store.close()
    with pytest.raises(StorageError, match="is closed: open it again"):
        store.put(b"a", b"2")
    with pytest.raises(StorageError, match="is closed: open it again"):
        store.list()
    assert set(threading.enumerate()) <= before


def test_a_journal_that_can_t_be_dropped_now_is_dropped_later(tmp_path, monkeypatch):
    store = DurableStore(tmp_path)
    failed = []

    def fails(journal, upto):
        failed.append(upto)
        raise StorageError("can't delete")

    with monkeypatch.context() as patch:
        patch.setattr(type(store._journal), "drop", fails)
        for number in range(3):
            store.put(b"a", b"%d" % number)
            store.flush()
    store.put(b"b", b"")
    store.flush()
    store.close()
    assert len(failed) >= 2
    store = DurableStore(tmp_path)
    assert list(store.list()) == [(b"a", b"2"), (b"b", b"")]
    store.close()
