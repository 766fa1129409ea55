"""The journal: what was acknowledged is there after any death of the process."""

from __future__ import annotations

import errno
import os
import random
import re
import stat
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import rivulet
from rivulet.errors import StorageError
from rivulet.state.journal import Journal

KEYS = st.binary(max_size=4)
VALUES = st.none() | st.binary(max_size=20) | st.binary(min_size=5000, max_size=5000)
BATCHES = st.lists(st.tuples(KEYS, VALUES), max_size=4)
STEPS = st.lists(
    st.tuples(st.just("append"), st.tuples(KEYS, VALUES))
    | st.tuples(st.just("batch"), BATCHES)
    | st.tuples(st.just("drop"), st.integers(0, 10))
    | st.tuples(st.sampled_from(["rotate", "reopen", "sync"]), st.none()),
    max_size=30,
)
SAMPLE = [
    [(b"a", b"first")],
    [(b"b", b"second"), (b"a", None), (b"c", b"")],
    [(b"", b"x" * 40)],
    [(b"d", None)],
]


def opened(folder):
    """A journal that can be written to, and what was in it."""
    journal = Journal(folder)
    return journal, list(journal.replay())


def content(folder):
    journal, batches = opened(folder)
    journal.close()
    return batches


def segment(folder, number=1):
    return folder / f"journal-{number:08}"


def write_sample(folder):
    """The sample in one segment; gives the offset where each record ends."""
    journal, _ = opened(folder)
    ends = [journal.size]
    for batch in SAMPLE:
        journal.append_batch(batch)
        ends.append(journal.size)
    journal.close()
    return ends


def whole_before(ends, offset):
    """How many records of the sample end at an offset or before it."""
    return sum(end <= offset for end in ends[1:])


def told_offset(error):
    assert type(error) is StorageError
    return int(re.search(r"damaged at offset (\d+)", str(error))[1])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journal"


# What it holds


@given(steps=STEPS)
@settings(deadline=None)
def test_it_replays_what_a_list_would_hold(steps):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "journal"
        journal, found = opened(folder)
        assert found == []
        number, model = 1, {1: []}
        for step, argument in steps:
            match step:
                case "append":
                    journal.append(*argument)
                    model[number].append([argument])
                case "batch":
                    journal.append_batch(argument)
                    # An empty batch is nothing to remember.
                    model[number] += [argument] if argument else []
                case "rotate":
                    assert journal.rotate() == number
                    number += 1
                    model[number] = []
                case "drop":
                    journal.drop(argument)
                    model = {n: part for n, part in model.items() if n > argument or n == number}
                case "reopen":
                    journal.close()
                    journal, found = opened(folder)
                    assert found == sum(model.values(), [])
                case "sync":
                    journal.sync()
        journal.close()
        assert content(folder) == sum(model.values(), [])


def test_a_rotation_tells_the_number_of_the_sealed_segment(folder):
    journal, _ = opened(folder)
    assert [journal.rotate(), journal.rotate()] == [1, 2]
    journal.close()
    journal, _ = opened(folder)
    assert journal.rotate() == 3
    journal.close()


def test_the_size_is_that_of_the_segment_that_is_written_to(folder):
    journal, _ = opened(folder)
    empty = journal.size
    journal.append(b"key", b"value")
    assert journal.size == segment(folder).stat().st_size > empty
    journal.rotate()
    assert journal.size == empty
    journal.close()


def test_a_drop_never_takes_the_segment_that_is_written_to(folder):
    journal, _ = opened(folder)
    journal.append(b"a", b"1")
    journal.rotate()
    journal.append(b"b", b"2")
    journal.drop(99)
    journal.append(b"c", b"3")
    journal.close()
    assert content(folder) == [[(b"b", b"2")], [(b"c", b"3")]]


def test_a_drop_that_was_cut_short_leaves_the_newest(folder, monkeypatch):
    journal, _ = opened(folder)
    for number in range(4):
        journal.append(b"%d" % number, b"")
        journal.rotate()
    unlink, gone = Path.unlink, []

    def dying(path, missing_ok=False):
        if len(gone) == 2:
            broken()
        gone.append(path.name)
        unlink(path)

    monkeypatch.setattr(Path, "unlink", dying)
    with pytest.raises(StorageError, match="can't delete segments"):
        journal.drop(4)
    monkeypatch.undo()
    journal.close()
    assert content(folder) == [[(b"2", b"")], [(b"3", b"")]]


def test_only_the_owner_may_read_it(folder):
    journal, _ = opened(folder)
    journal.rotate()
    journal.close()
    modes = [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()]
    assert modes == [0o600, 0o600]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_other_files_in_the_folder_are_left_alone(folder):
    write_sample(folder)
    (folder / "journal-00000002.copy").write_bytes(b"mine")
    assert content(folder) == SAMPLE
    assert (folder / "journal-00000002.copy").read_bytes() == b"mine"


# How it is used


def test_it_has_to_be_replayed_to_its_end_before_it_is_written_to(folder):
    write_sample(folder)
    journal = Journal(folder)
    for use in (lambda: journal.append(b"", b""), journal.rotate, journal.sync):
        with pytest.raises(StorageError, match="not replayed"):
            use()
    replay = journal.replay()
    next(replay)
    with pytest.raises(StorageError, match="not replayed to its end"):
        journal.append(b"", b"")
    for _ in replay:
        pass
    journal.append(b"e", b"")
    with pytest.raises(StorageError, match="replayed or closed already"):
        next(journal.replay())
    journal.close()


def test_a_closed_journal_says_so_and_can_be_closed_again(folder):
    journal, _ = opened(folder)
    journal.close()
    journal.close()
    for use in (
        lambda: journal.append(b"", b""),
        lambda: journal.append_batch([(b"", b"")]),
        journal.rotate,
        lambda: journal.drop(1),
        journal.sync,
        lambda: journal.size,
        lambda: next(journal.replay()),
    ):
        with pytest.raises(StorageError, match="closed"):
            use()


def test_a_folder_that_cant_be_made_is_an_error_that_names_it(tmp_path):
    with pytest.raises(StorageError, match="can't make .*/absent/journal: No such file"):
        Journal(tmp_path / "absent" / "journal")


def test_what_is_no_bytes_is_refused_and_nothing_is_written(folder):
    journal, _ = opened(folder)
    before = journal.size
    with pytest.raises(TypeError):
        journal.append("key", b"value")
    with pytest.raises(TypeError):
        journal.append_batch([(b"good", b""), (b"key", "value")])
    assert journal.size == before == segment(folder).stat().st_size
    journal.close()
    assert content(folder) == []


def test_threads_that_write_at_once_lose_nothing_and_keep_their_order(folder):
    journal, _ = opened(folder)
    gate = threading.Barrier(3)

    def write(name):
        gate.wait()
        for number in range(2000):
            if number % 3:
                journal.append(name, b"%d" % number)
            else:
                journal.append_batch([(name, b"%d" % number), (name, None)])

    def turn():
        gate.wait()
        for _ in range(10):
            journal.rotate()
            journal.sync()

    threads = [threading.Thread(target=write, args=(name,)) for name in (b"a", b"b")]
    threads.append(threading.Thread(target=turn))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    batches = content(folder)
    for name in (b"a", b"b"):
        assert [int(batch[0][1]) for batch in batches if batch[0][0] == name] == [*range(2000)]


def test_a_sync_reaches_all_segments_and_both_folders(folder, monkeypatch):
    journal, _ = opened(folder)
    journal.rotate()
    synced = set()
    monkeypatch.setattr(os, "fsync", lambda fd: synced.add(os.fstat(fd).st_ino))
    journal.sync()
    paths = [segment(folder, 1), segment(folder, 2), folder, folder.parent]
    assert synced == {path.stat().st_ino for path in paths}
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(StorageError, match=f"can't sync {folder}: Input/output error"):
        journal.sync()
    journal.close()


# Torn tails and damage


def test_a_journal_cut_at_any_offset_gives_what_was_whole_and_goes_on(folder):
    ends = write_sample(folder)
    data = segment(folder).read_bytes()
    assert ends[-1] == len(data)
    for offset in range(len(data) + 1):
        segment(folder).write_bytes(data[:offset])
        journal, found = opened(folder)
        assert found == SAMPLE[: whole_before(ends, offset)]
        assert journal.size == segment(folder).stat().st_size
        journal.append(b"next", b"n" * (offset % 50))
        journal.close()
        assert content(folder) == [*found, [(b"next", b"n" * (offset % 50))]]


def test_a_tail_of_zeros_is_cut_off(folder):
    ends = write_sample(folder)
    data = segment(folder).read_bytes()
    for offset in range(len(data)):
        for more in (0, 1, 5000):
            segment(folder).write_bytes(data[:offset] + bytes(len(data) - offset + more))
            found = segment(folder).read_bytes()
            whole = sum(found[:end] == data[:end] for end in ends)
            # Something of the header was written, but not all of it.
            if not whole and any(found):
                with pytest.raises(StorageError, match=str(segment(folder))):
                    content(folder)
            else:
                assert content(folder) == SAMPLE[: max(whole - 1, 0)]


def test_a_flipped_byte_is_told_with_its_place_or_costs_the_last_record_only(folder):
    ends = write_sample(folder)
    data = segment(folder).read_bytes()
    for offset in range(len(data)):
        for bit in (0x01, 0x80, 0xFF):
            flipped = bytearray(data)
            flipped[offset] ^= bit
            segment(folder).write_bytes(flipped)
            if offset >= ends[-2]:
                assert content(folder) == SAMPLE[:-1]
                continue
            with pytest.raises(StorageError) as caught:
                content(folder)
            assert str(segment(folder)) in str(caught.value)
            assert segment(folder).read_bytes() == flipped
            if offset >= ends[0]:
                assert told_offset(caught.value) == max(e for e in ends if e <= offset)


def test_a_segment_that_lost_its_header_only_is_an_error(folder):
    ends = write_sample(folder)
    segment(folder).write_bytes(bytes(ends[0]) + segment(folder).read_bytes()[ends[0] :])
    with pytest.raises(StorageError, match=f"{segment(folder)} doesn't begin as a journal"):
        content(folder)


def test_what_is_before_damage_is_given_before_the_error(folder):
    ends = write_sample(folder)
    data = bytearray(segment(folder).read_bytes())
    data[ends[2]] ^= 1
    segment(folder).write_bytes(data)
    replay = Journal(folder).replay()
    assert [next(replay), next(replay)] == SAMPLE[:2]
    with pytest.raises(StorageError) as caught:
        next(replay)
    assert told_offset(caught.value) == ends[2]


def test_a_sealed_segment_cut_anywhere_is_an_error(folder):
    ends = write_sample(folder)
    journal, _ = opened(folder)
    journal.rotate()
    journal.append(b"later", b"")
    journal.close()
    data = segment(folder).read_bytes()
    for offset in range(len(data)):
        segment(folder).write_bytes(data[:offset])
        with pytest.raises(StorageError) as caught:
            content(folder)
        assert str(segment(folder)) in str(caught.value)
        if offset >= ends[0]:
            assert told_offset(caught.value) == max(end for end in ends if end <= offset)
    segment(folder).write_bytes(data)
    assert content(folder) == [*SAMPLE, [(b"later", b"")]]


def test_a_missing_segment_is_an_error_that_names_it(folder):
    journal, _ = opened(folder)
    journal.rotate()
    journal.rotate()
    journal.close()
    segment(folder, 2).unlink()
    with pytest.raises(StorageError, match="journal-00000002 is missing"):
        content(folder)


def test_records_of_another_file_dont_count_at_their_place(folder, tmp_path):
    ends = write_sample(folder)
    write_sample(tmp_path / "old")
    mine, old = segment(folder).read_bytes(), segment(tmp_path / "old").read_bytes()
    for kept, end in enumerate(ends):
        segment(folder).write_bytes(mine[:end] + old[end:])
        assert content(folder) == SAMPLE[:kept]


def test_a_record_doesnt_count_at_another_place_of_its_file(folder):
    ends = write_sample(folder)
    data = segment(folder).read_bytes()
    first = data[ends[0] : ends[1]]
    segment(folder).write_bytes(data + first)
    assert content(folder) == SAMPLE


def test_a_journal_kept_as_a_value_is_not_taken_for_records(folder):
    write_sample(folder)
    inner = segment(folder).read_bytes()
    journal, _ = opened(folder)
    journal.append(b"copy", inner)
    end = journal.size
    journal.close()
    os.truncate(segment(folder), end - 1)
    assert content(folder) == SAMPLE


def test_a_segment_whose_beginning_was_cut_short_counts_as_none(folder):
    write_sample(folder)
    journal, _ = opened(folder)
    journal.rotate()
    journal.close()
    header = segment(folder, 2).read_bytes()
    for part in [header[:size] for size in range(len(header))] + [bytes(len(header)), bytes(4096)]:
        segment(folder, 2).write_bytes(part)
        journal, found = opened(folder)
        assert found == SAMPLE
        assert journal.rotate() == 1
        journal.close()
        assert content(folder) == SAMPLE


@pytest.mark.parametrize(
    ("content_", "message"),
    [
        (b"hello", "doesn't begin as a journal of rivulet"),
        (b"SQLite format 3\0" * 100, "doesn't begin as a journal of rivulet"),
        (b"rivulet\x02" + b"x" * 100, "has format 02, and this version of rivulet reads 01"),
        (b"rivulet\x01" + b"x" * 100, "is damaged at offset 0"),
    ],
)
def test_a_file_that_isnt_ours_is_refused_and_left_as_it_is(folder, content_, message):
    write_sample(folder)
    segment(folder, 2).write_bytes(content_)
    with pytest.raises(StorageError, match=f"{segment(folder, 2)} {message}"):
        content(folder)
    assert segment(folder, 2).read_bytes() == content_


def test_a_segment_with_anothers_name_is_refused(folder):
    write_sample(folder)
    segment(folder).rename(segment(folder, 7))
    with pytest.raises(StorageError, match="journal-00000007 was journal-00000001"):
        content(folder)


@given(data=st.binary(max_size=300), keep=st.integers(0, 200), last=st.booleans())
@settings(deadline=None, max_examples=300)
def test_random_bytes_are_a_prefix_or_the_documented_error(data, keep, last):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "journal"
        write_sample(folder)
        if not last:
            journal, _ = opened(folder)
            journal.rotate()
            journal.close()
        segment(folder).write_bytes(segment(folder).read_bytes()[:keep] + data)
        told = found = None
        try:
            found = content(folder)
        except StorageError as error:
            told = str(error)
        if told is not None:
            assert str(segment(folder)) in told
        else:
            assert found == SAMPLE[: len(found)]
            assert content(folder) == found


@given(payload=st.binary(max_size=40))
@example(payload=struct.pack("<II", 3, 0) + b"ab")
@example(payload=struct.pack("<II", 1, 3) + b"ab")
@settings(deadline=None)
def test_a_record_that_is_whole_but_holds_no_operations_is_not_read(payload):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "journal"
        journal, _ = opened(folder)
        journal._write(len(payload).to_bytes(4, "little") + payload)
        journal.close()
        for batch in content(folder):
            assert batch
            parts = [
                struct.pack("<II", len(key), 2**32 - 1 if value is None else len(value))
                + key
                + (value or b"")
                for key, value in batch
            ]
            assert b"".join(parts) == payload


# Writes that fail


def broken(*_):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def failing_writes(monkeypatch, results):
    """Let writes take so many bytes, or fail; afterwards they work again."""
    write = os.pwrite

    def pwrite(fd, data, at):
        if not results:
            return write(fd, data, at)
        result = results.pop(0)
        if isinstance(result, BaseException):
            raise result
        return write(fd, bytes(data)[:result], at)

    monkeypatch.setattr(os, "pwrite", pwrite)


@pytest.mark.parametrize("sizes", [[3], [1, 1, 1], [20, 5]])
def test_a_short_write_is_completed(folder, monkeypatch, sizes):
    journal, _ = opened(folder)
    failing_writes(monkeypatch, [*sizes])
    journal.append(b"key", b"value" * 10)
    journal.close()
    assert content(folder) == [[(b"key", b"value" * 10)]]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize("written", [[], [1], [30], [30, 0]])
def test_a_write_on_a_full_disk_is_undone_and_the_next_one_works(
    folder, monkeypatch, code, cut, written
):
    journal, _ = opened(folder)
    journal.append(b"a", b"1")
    before = journal.size
    failing_writes(monkeypatch, [*written, OSError(code, os.strerror(code))])
    if not cut:
        monkeypatch.setattr(os, "ftruncate", broken)
    with pytest.raises(StorageError, match="disk is full, so this write was not made") as caught:
        journal.append_batch([(b"b", b"2" * 40), (b"c", b"3" * 40)])
    assert str(segment(folder)) in str(caught.value)
    assert journal.size == before
    if cut:
        assert segment(folder).stat().st_size == before
    copy = folder.parent / "copy"
    copy.mkdir()
    segment(copy).write_bytes(segment(folder).read_bytes())
    monkeypatch.undo()
    assert content(copy) == [[(b"a", b"1")]]
    journal.append(b"d", b"4")
    journal.rotate()
    journal.append(b"e", b"5")
    journal.close()
    assert content(folder) == [[(b"a", b"1")], [(b"d", b"4")], [(b"e", b"5")]]


def test_another_failure_of_a_write_says_what_it_was(folder, monkeypatch):
    journal, _ = opened(folder)
    failing_writes(monkeypatch, [OSError(errno.EIO, os.strerror(errno.EIO))])
    with pytest.raises(StorageError, match="this write was not made: .*: Input/output error"):
        journal.append(b"a", b"1")
    journal.append(b"b", b"2")
    journal.close()
    assert content(folder) == [[(b"b", b"2")]]


@pytest.mark.parametrize("written", [1, 30, 1000])
@pytest.mark.parametrize("size", [0, 5, 100])
def test_a_write_that_was_interrupted_is_written_over(folder, monkeypatch, written, size):
    journal, _ = opened(folder)
    journal.append(b"a", b"1")
    write = os.pwrite

    def interrupted(fd, data, at):
        write(fd, data[:written], at)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "pwrite", interrupted)
    with pytest.raises(KeyboardInterrupt):
        journal.append(b"b", b"2" * 50)
    monkeypatch.undo()
    journal.append(b"c", b"3" * size)
    journal.rotate()
    journal.append(b"d", b"4")
    journal.close()
    assert content(folder) == [[(b"a", b"1")], [(b"c", b"3" * size)], [(b"d", b"4")]]


def test_a_rotation_that_fails_leaves_the_journal_as_it_was(folder, monkeypatch):
    journal, _ = opened(folder)
    failing_writes(monkeypatch, [7, OSError(errno.ENOSPC, "full")])
    with pytest.raises(StorageError, match="disk is full"):
        journal.rotate()
    assert [path.name for path in folder.iterdir()] == ["journal-00000001"]
    journal.append(b"a", b"1")
    assert journal.rotate() == 1
    journal.append(b"b", b"2")
    journal.close()
    assert content(folder) == [[(b"a", b"1")], [(b"b", b"2")]]


def test_a_rotation_that_was_interrupted_loses_nothing_that_is_written_later(folder):
    journal, _ = opened(folder)
    journal.append(b"a", b"1")
    # As it is left when neither the rotation nor its undoing came to their end.
    os.close(journal._begin(2, journal.size).fd)
    journal.append(b"b", b"2")
    journal.close()
    assert content(folder) == [[(b"a", b"1")], [(b"b", b"2")]]


# Other processes

START = """
import os, random, resource, sys
from pathlib import Path
from rivulet.errors import StorageError
from rivulet.state.journal import Journal
journal = Journal(Path(sys.argv[1]))
found = list(journal.replay())
"""

WRITER = (
    START
    + """
rng = random.Random(int(sys.argv[2]))
number = found[-1][0][1] if found else b"0"
number = int(number[:10]) + 1
sealed = []
while True:
    value = b"%010d" % number + b"x" * rng.choice([0, 10, 100, 5000, 200_000])
    if rng.random() < 0.5:
        journal.append(b"key", value)
    else:
        journal.append_batch([(b"key", value), (b"more", value), (b"gone", None)])
    os.write(1, b"%010d\\n" % number)
    number += 1
    if rng.random() < 0.02:
        sealed.append(journal.rotate())
        if len(sealed) > 3:
            journal.drop(sealed.pop(0))
"""
)

FULL = (
    START
    + """
limit = 100_000
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
done = []
failures = 0
for number in range(300):
    try:
        journal.append(b"%d" % number, b"x" * 997)
        done.append(number)
    except StorageError as error:
        assert "the disk is full, so this write was not made" in str(error), error
        failures += 1
assert len(done) > 50 and failures > 50, (len(done), failures)
journal.append(b"small", b"")
resource.setrlimit(resource.RLIMIT_FSIZE, (2 * limit, hard))
journal.append(b"room", b"x" * 997)
print(len(done), flush=True)
os.kill(os.getpid(), 9)
"""
)


def child(script, *arguments):
    path = Path(rivulet.__file__).parent.parent
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(path)},
    )


def numbers_of(batches):
    for batch in batches:
        value = batch[0][1]
        if len(batch) > 1:
            assert batch == [(b"key", value), (b"more", value), (b"gone", None)]
        assert value[10:].strip(b"x") == b""
    return [int(batch[0][1][:10]) for batch in batches]


def kill_rounds(folder, rounds, seed):
    """Kill writers; gives how many writes they acknowledged in all and how many tails were torn."""
    rng = random.Random(seed)
    last = torn = 0
    for number in range(rounds):
        with child(WRITER, folder, rng.randrange(2**32)) as process:
            reports = b"".join(process.stdout.readline() for _ in range(rng.randrange(1, 300)))
            process.kill()
            reports += process.stdout.read()
        acknowledged = int(reports.split()[-1])
        assert acknowledged > last
        newest = max(folder.iterdir())
        size = newest.stat().st_size
        found = numbers_of(content(folder))
        torn += newest.exists() and newest.stat().st_size != size
        assert found == [*range(found[0], found[-1] + 1)]
        assert found[-1] in (acknowledged, acknowledged + 1)
        last = found[-1]
    return last, torn


def test_a_killed_process_loses_nothing_that_it_acknowledged(folder):
    kill_rounds(folder, 10, seed=1)


def test_a_full_disk_loses_nothing_that_was_acknowledged(folder):
    with child(FULL, folder) as process:
        done = int(process.stdout.read())
    assert process.returncode == -9
    batches = content(folder)
    assert len(batches) == done + 2
    assert [batch[0][0] for batch in batches[-2:]] == [b"small", b"room"]
    assert all(batch[0][1] == b"x" * 997 for batch in batches[:-2])
