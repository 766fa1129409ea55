"""``RocksStore``: what the stores don't have in common."""

from __future__ import annotations

import os
import pickle
import random
import stat
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path

import pytest

from rivulet.errors import MissingExtraError, StorageError
from rivulet.state.rocks import RocksStore

START = """
import os, sys
from pathlib import Path
from rivulet.errors import StorageError
from rivulet.state.rocks import RocksStore

folder = Path(sys.argv[1])
"""


@pytest.fixture
def folder(tmp_path):
    """For a store; in CI rocksdict may not be missing."""
    try:
        import_module("rocksdict")
    except ImportError as error:
        what = f"rocksdict can't be imported ({error}): pip install -e '.[test]'"
        if os.environ.get("CI") == "true":
            pytest.fail(what)
        pytest.skip(what)
    return tmp_path


@pytest.fixture
def store(folder):
    store = RocksStore(folder)
    yield store
    store.close()


def run(code, *arguments):
    command = [sys.executable, "-c", START + code, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=50)


def test_without_rocksdict_the_extra_is_named_and_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rocksdict", None)
    with pytest.raises(MissingExtraError, match=r"rocksdict .*rivulet-streams\[rocksdb\]"):
        RocksStore(tmp_path)
    assert not list(tmp_path.iterdir())


def test_rocksdict_is_imported_with_the_first_store_only(folder):
    code = "print('rocksdict' in sys.modules); RocksStore(folder).close()"
    code += "; print('rocksdict' in sys.modules)"
    assert run(code, folder).stdout.split() == ["False", "True"]


# The folder


def test_it_is_kept_for_its_user_alone_and_no_old_logs_pile_up(folder):
    for number in range(5):
        store = RocksStore(folder)
        assert len(store) == number
        store.put(b"%d" % number, b"")
        store.close()
    assert [path.name for path in folder.iterdir()] == ["rocks"]
    assert stat.S_IMODE((folder / "rocks").stat().st_mode) == 0o700
    assert len(list((folder / "rocks").glob("LOG*"))) == 1


def test_a_folder_that_can_t_be_made_is_told(folder):
    with pytest.raises(StorageError, match="can't open .*missing.*rocks: "):
        RocksStore(folder / "missing")
    (folder / "rocks").write_bytes(b"")
    with pytest.raises(StorageError, match="can't open .*rocks: "):
        RocksStore(folder)


def test_a_second_process_is_refused_and_the_first_goes_on(folder, store):
    store.put(b"a", b"1")
    code = """
try:
    RocksStore(folder)
except StorageError as error:
    print(error)
"""
    assert run(code, folder).stdout.startswith(f"can't open {folder / 'rocks'}: ")
    with pytest.raises(StorageError, match="can't open "):
        RocksStore(folder)
    store.put(b"b", b"2")
    assert list(store.list()) == [(b"a", b"1"), (b"b", b"2")]


# Values


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


def test_nothing_is_unpickled_whoever_wrote_it(folder):
    rocksdict = import_module("rocksdict")
    with rocksdict.Rdict(str(folder / "rocks")) as others:
        others[b"theirs"] = Trap()
    store = RocksStore(folder)
    store.put(b"ours", pickle.dumps(Trap()))
    entries = dict(store.list())
    assert entries[b"ours"] == store.get(b"ours") == pickle.dumps(Trap())
    assert len(entries) == 2
    assert all(type(value) is bytes for value in entries.values())
    store.close()


@pytest.mark.parametrize(("key", "value"), [("a", b""), (b"a", "1"), (1, b""), (b"a", Trap())])
def test_what_isn_t_bytes_is_refused_and_changes_nothing(store, key, value):
    store.put(b"a", b"0")
    for _ in range(2):
        with pytest.raises(StorageError, match="can't (write to|read) .*rocks: "):
            store.put(key, value)
        with pytest.raises(StorageError, match="can't write to .*rocks: "):
            store.write([(b"b", b"1"), (key, value)])
        assert len(store) == 1
    assert list(store.list()) == [(b"a", b"0")]


# The count


def test_the_count_stays_exact_whatever_several_threads_do(store):
    store.write([(b"%d" % number, b"") for number in range(50)])
    assert len(store) == 50

    def write(seed):
        pick = random.Random(seed)
        for _ in range(300):
            keys = [b"%d" % pick.randrange(100) for _ in range(4)]
            store.put(keys[0], b"")
            store.delete(keys[1])
            store.write([(keys[2], b""), (keys[3], None), (keys[2], None), (keys[3], b"")])
            if pick.randrange(50) == 0:
                len(store)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store) == len(list(store.list()))


def test_one_thread_at_most_is_told_that_it_deleted_a_key(store):
    keys = [b"%d" % number for number in range(500)]
    store.write([(key, b"") for key in keys])
    told = []

    def delete():
        told.extend(key for key in keys if store.delete(key))

    threads = [threading.Thread(target=delete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == sorted(keys)
    assert len(store) == 0


# Failures


def test_entries_that_can_t_be_read_are_told_and_are_not_the_end_of_a_listing(folder):
    store = RocksStore(folder)
    store.write(
        [(b"%05d" % number, random.Random(number).randbytes(100)) for number in range(9999)]
    )
    store.close()
    table = max((folder / "rocks").glob("*.sst"), key=lambda path: path.stat().st_size)
    raw = bytearray(table.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 8000] = bytes(8000)
    table.write_bytes(raw)
    store = RocksStore(folder)
    for backwards in (False, True):
        rows = store.list(backwards=backwards)
        with pytest.raises(StorageError, match="can't read .*rocks: Corruption"):
            list(rows)
        assert list(rows) == []
    with pytest.raises(StorageError, match="can't read .*rocks: Corruption"):
        len(store)
    with pytest.raises(StorageError, match="can't read .*rocks: Corruption"):
        [store.get(b"%05d" % number) for number in range(9999)]
    assert len(list(store.list(None, b"00100"))) == 100
    store.close()


FULL_DISK = """
import resource

store = RocksStore(folder)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, most))
done = len(store)
try:
    while done < 10_000:
        store.put(b"%d" % done, b"x" * 100)
        done += 1
except StorageError as error:
    print(error)
assert len(store) == len(list(store.list())) == done
try:
    store.write([(b"a", b""), (b"b", b"")])
except StorageError as error:
    print(error)
try:
    store.close()
except StorageError as error:
    print(error)
store.close()
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
store = RocksStore(folder)
assert len(store) == len(list(store.list())) == done
assert store.get(b"%d" % (done - 1)) == b"x" * 100
store.put(b"more", b"")
store.close()
"""


def test_a_full_disk_is_told_and_what_was_written_before_stays(folder):
    pytest.importorskip("resource")
    writer = run(FULL_DISK, folder)
    assert writer.returncode == 0, writer.stderr
    told = [line.partition(str(folder))[0] for line in writer.stdout.splitlines()]
    assert told == ["can't write to ", "can't write to ", "can't close "]


WRITER = """
import itertools

store = RocksStore(folder)
for number in itertools.count(int(sys.argv[2])):
    if number % 10:
        store.put(b"%d" % number, b"%d" % number * 20)
    else:
        store.write([(b"%d" % number, b"%d" % number * 20), (b"last", b"%d" % number)])
    os.write(1, b"%d\\n" % number)
"""


def test_no_acknowledged_write_is_lost_when_the_process_is_killed(folder):
    """The writer says each number when its write has returned; it is killed after some of them."""
    pick, begin = random.Random(1), 0
    for _ in range(4):
        command = [sys.executable, "-c", START + WRITER, str(folder), str(begin)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            said = [int(writer.stdout.readline()) for _ in range(pick.randrange(1, 800))]
            writer.kill()
            said += [int(line) for line in writer.stdout.read().split(b"\n")[:-1]]
        assert said == list(range(begin, begin + len(said)))
        begin += len(said)
        store = RocksStore(folder)
        for number in range(begin):
            assert store.get(b"%d" % number) == b"%d" % number * 20
        # The one that was under way when it was killed may be there, all of it.
        under_way = store.get(b"%d" % begin)
        assert under_way in (None, b"%d" % begin * 20)
        begin += under_way is not None
        assert int(store.get(b"last")) == begin - 1 - (begin - 1) % 10
        assert len(store) == begin + 1
        store.close()


FORK = """
for number, leave in enumerate((os._exit, sys.exit)):
    store = RocksStore(folder)
    store.put(b"%d" % number, b"")
    rows = store.list()
    child = os.fork()
    if not child:
        del store, rows
        leave(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    store.put(b"more", b"")
    store.flush(sync=True)
    assert len(list(rows)) == (1, 3)[number]
    store.close()
store = RocksStore(folder)
print(*(key.decode() for key, _ in store.list()))
store.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_leaves_it_to_its_parent(folder):
    forking = run(FORK, folder)
    assert (forking.returncode, forking.stdout) == (0, "0 1 more\n"), forking.stderr


# Closing

USES = {
    "len": len,
    "in": lambda store: b"a" in store,
    "get": lambda store: store.get(b"a"),
    "put": lambda store: store.put(b"a", b""),
    "delete": lambda store: store.delete(b"a"),
    "write": lambda store: store.write([(b"a", b"")]),
    "write nothing": lambda store: store.write([]),
    "list": lambda store: store.list(),
    "flush": lambda store: store.flush(),
    "flush with sync": lambda store: store.flush(sync=True),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_store_that_is_closed_says_so(store, use):
    store.put(b"a", b"")
    assert len(store) == 1
    store.close()
    store.close()
    with pytest.raises(StorageError, match="^the store is closed: open it again$"):
        use(store)


def test_a_listing_that_was_open_does_not_seem_to_be_at_its_end(store):
    store.write([(b"a", b"1"), (b"b", b"2")])
    begun, fresh, ended, closed = (store.list() for _ in range(4))
    assert next(begun) == next(closed) == (b"a", b"1")
    assert len(list(ended)) == 2
    closed.close()
    store.close()
    for rows in (begun, fresh):
        for _ in range(2):
            with pytest.raises(StorageError, match="^the store is closed: open it again$"):
                next(rows)
    for rows in (ended, closed, begun):
        rows.close()
    assert list(ended) == list(closed) == []


def test_it_can_be_closed_and_opened_again_while_others_use_it(folder):
    entries = [(b"%05d" % number, b"x" * 50) for number in range(2000)]
    unexpected = []
    for _ in range(5):
        store = RocksStore(folder)
        store.write(entries)

        def use(doing, store=store):
            try:
                while True:
                    doing(store)
            except StorageError as error:
                if str(error) != "the store is closed: open it again":
                    unexpected.append(error)
            except BaseException as error:
                unexpected.append(error)

        doings = [lambda store: list(store.list()), USES["get"], USES["put"], USES["flush"]]
        users = [threading.Thread(target=use, args=(doing,)) for doing in doings]
        for user in users:
            user.start()
        store.flush(sync=True)
        store.close()
        RocksStore(folder).close()
        for user in users:
            user.join()
    assert unexpected == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_no_file_stays_open(folder):
    store = RocksStore(folder)
    store.write([(b"a", b""), (b"b", b"")])
    rows = store.list()
    next(rows)
    assert opened(folder)
    store.close()
    assert opened(folder) == []


def opened(folder):
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(descriptor.readlink()))
        except OSError:  # the one that lists them
            continue
    return [path for path in found if path.startswith(str(folder))]
