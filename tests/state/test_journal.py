"""The journal: what was acknowledged is there after any death of the process."""

from __future__ import annotations

import errno
import importlib.util
import mmap
import os
import random
import re
import shutil
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
from rivulet.state import journal as module
from rivulet.state.journal import Journal

KIB, MIB = 2**10, 2**20
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


def as_after_a_kill(folder):
    """A copy of the folder as it is now."""
    return Path(shutil.copytree(folder, folder.parent / "copy", dirs_exist_ok=True))


def told_offset(error):
    assert type(error) is StorageError
    return int(re.search(r"damaged at offset (\d+)", str(error))[1])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def mapped(monkeypatch):
    """Write through maps, whatever disk the tests are on."""
    monkeypatch.setattr(module, "_NEVER_IN_PLACE", ())


@pytest.fixture
def unmapped(monkeypatch):
    monkeypatch.setattr(module, "_kind_of_disk", lambda fd: "btrfs")


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
    size = journal.size
    assert size == empty + 20 + len(b"keyvalue")
    journal.rotate()
    assert journal.size == empty
    journal.append(b"", b"value")
    journal.close()
    assert [segment(folder, n).stat().st_size for n in (1, 2)] == [size, size - 3]


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


def test_where_fsync_may_not_see_a_map_it_is_flushed_before(folder, monkeypatch, mapped):
    journal, _ = opened(folder)
    journal.append(b"a", b"1" * 100)
    journal.rotate()
    journal.append(b"b", b"2")
    done = []

    class Flushed(mmap.mmap):
        def flush(self):
            done.append(len(self))
            super().flush()

    monkeypatch.setattr(module, "_FSYNC_WRITES_MAPS", False)
    monkeypatch.setattr(module, "mmap", Flushed)
    monkeypatch.setattr(os, "fsync", lambda fd: done.append("fsync"))
    # As the next one is for a moment while it is begun.
    segment(folder, 3).touch()
    journal.sync()
    size = segment(folder).stat().st_size
    assert done == [size, "fsync", 64 * KIB, "fsync", "fsync", "fsync", "fsync"]
    journal.close()


def test_it_can_be_imported_where_files_cant_be_written_this_way(monkeypatch):
    for owner, name in (
        (os, "pwrite"),
        (os, "posix_fallocate"),
        (mmap, "MAP_SHARED"),
        (mmap, "PROT_WRITE"),
    ):
        monkeypatch.delattr(owner, name, raising=False)
    spec = importlib.util.spec_from_file_location("elsewhere", module.__file__)
    elsewhere = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "elsewhere", elsewhere)
    spec.loader.exec_module(elsewhere)
    assert elsewhere.Journal


# Room ahead


def test_room_is_reserved_in_steps_that_double_up_to_four_mebibytes(folder, mapped):
    journal, _ = opened(folder)
    sizes, written = [], []
    while journal.size < 9 * MIB:
        written.append((b"%d" % len(written), random.Random(len(written)).randbytes(30_000)))
        journal.append(*written[-1])
        if sizes[-1:] != [size := segment(folder).stat().st_size]:
            sizes.append(size)
    assert sizes == [n * KIB for n in (64, 128, 256, 512, 1024, 2048, 4096, 8192, 12288)]
    assert content(as_after_a_kill(folder)) == [[operation] for operation in written]
    end = journal.size
    journal.close()
    assert segment(folder).stat().st_size == end
    assert content(folder) == [[operation] for operation in written]


@pytest.mark.parametrize("size", [64 * KIB - 60, 64 * KIB, 100_000, 9 * MIB + 1])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_record_that_needs_more_than_a_step_has_it(folder, mapped, size, number):
    journal, _ = opened(folder)
    small = [(b"%d" % n, b"s") for n in range(number)]
    for operation in small:
        journal.append(*operation)
    journal.append_batch([(b"large", bytes(size)), (b"more", b"m")])
    reserved = segment(folder).stat().st_size
    assert journal.size <= reserved < journal.size + 64 * KIB
    assert reserved % (64 * KIB) == 0
    journal.append(b"last", b"l")
    journal.close()
    assert content(folder) == [
        *([operation] for operation in small),
        [(b"large", bytes(size)), (b"more", b"m")],
        [(b"last", b"l")],
    ]


@pytest.mark.parametrize("rest", [0, 1, 19, 20])
def test_records_fill_the_room_to_its_last_byte(folder, mapped, rest):
    journal, _ = opened(folder)
    journal.append(b"", bytes(64 * KIB - journal.size - 20 - rest))
    assert segment(folder).stat().st_size == 64 * KIB
    journal.append(b"", b"")
    assert segment(folder).stat().st_size == (64 if rest == 20 else 128) * KIB
    journal.close()
    assert content(folder)[1:] == [[(b"", b"")]]


def test_a_journal_that_is_gone_on_with_has_its_room_reserved_again(folder, mapped):
    for number in range(5):
        journal, found = opened(folder)
        assert found == [[(b"%d" % n, b"x" * 20_000)] for n in range(number)]
        before = journal.size
        assert segment(folder).stat().st_size == before
        journal.append(b"%d" % number, b"x" * 20_000)
        assert segment(folder).stat().st_size >= max(64 * KIB, before)
        journal.close()


@pytest.mark.parametrize("way", ["absent", errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_room_cant_be_reserved_zeros_are_written(folder, monkeypatch, mapped, way):
    if way == "absent":
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", failing(way), raising=False)
    journal, _ = opened(folder)
    failing_writes(monkeypatch, [1000])
    journal.append(b"a", b"1" * 100_000)
    assert segment(folder).stat().st_size == 128 * KIB
    journal.close()
    assert content(folder) == [[(b"a", b"1" * 100_000)]]


def test_a_write_takes_less_than_four_gibibytes(folder):
    class Huge(bytes):
        def __len__(self):
            return 2**32

    journal, _ = opened(folder)
    for use in (
        lambda: journal.append(b"", Huge()),
        lambda: journal.append(Huge(), None),
        lambda: journal.append_batch([(b"a", b""), (Huge(), b"")]),
        lambda: journal.append_batch([(b"a", bytes(8)), (b"b", Huge())]),
    ):
        with pytest.raises(StorageError, match="one write takes less than 4 GiB"):
            use()
    journal.close()
    assert content(folder) == []


# Disks that aren't written to through a map


@pytest.mark.parametrize("code", [errno.ENODEV, errno.EINVAL])
def test_what_cant_be_mapped_is_written_by_calls(folder, monkeypatch, mapped, code):
    write_sample(folder)
    monkeypatch.setattr(module, "mmap", failing(code))
    journal, found = opened(folder)
    assert found == SAMPLE
    journal.append(b"e", b"5")
    assert journal.size == segment(folder).stat().st_size
    journal.rotate()
    journal.append_batch([(b"f", b"6"), (b"g", b"7")])
    assert journal.size == segment(folder, 2).stat().st_size
    journal.close()
    monkeypatch.undo()
    assert content(folder) == [*SAMPLE, [(b"e", b"5")], [(b"f", b"6"), (b"g", b"7")]]


def test_a_disk_on_which_nothing_is_written_in_place_is_not_mapped(folder, monkeypatch, unmapped):
    monkeypatch.setattr(module, "mmap", broken)
    journal, _ = opened(folder)
    journal.append(b"a", b"1")
    journal.close()
    assert content(folder) == [[(b"a", b"1")]]


@pytest.mark.parametrize("written", [True, False])
def test_another_failure_of_a_map_is_told(folder, monkeypatch, mapped, written):
    if written:
        write_sample(folder)
    monkeypatch.setattr(module, "mmap", failing(errno.ENOMEM))
    with pytest.raises(StorageError, match=f"{folder}.*: Cannot allocate memory"):
        opened(folder)
    monkeypatch.undo()
    assert content(folder) == (SAMPLE if written else [])


@pytest.mark.skipif(sys.platform != "linux", reason="is told on Linux only")
def test_the_kind_of_a_disk_is_known_where_the_system_tells_it(tmp_path, monkeypatch):
    kinds = Path("/proc/filesystems").read_text().split()
    with (tmp_path / "file").open("wb") as file, Path("/proc/self/stat").open() as told:
        assert module._kind_of_disk(file.fileno()) in kinds
        assert module._kind_of_disk(told.fileno()) == "proc"
        monkeypatch.setattr(Path, "read_text", failing(errno.ENOENT))
        assert module._kind_of_disk(file.fileno()) == ""
        monkeypatch.setattr(Path, "read_text", lambda *_: "something else")
        assert module._kind_of_disk(file.fileno()) == ""


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


def test_whatever_is_left_of_a_torn_record_is_cut_off(folder, mapped):
    ends = write_sample(folder)
    data = segment(folder).read_bytes()
    start, end = ends[-2:]
    for at in range(start, end):
        lefts = [
            data[:at] + bytes(end - at),
            data[:start] + bytes(at + 1 - start) + data[at + 1 :],
            data[:at] + b"\0" + data[at + 1 :],
        ]
        for left in lefts:
            if left == data:
                continue
            segment(folder).write_bytes(left + bytes(1000))
            journal, found = opened(folder)
            assert found == SAMPLE[:-1]
            assert segment(folder).read_bytes() == data[:start]
            # Shorter, as long, and longer than what was there.
            for size in (0, end - start - 20, end - start):
                journal.append(b"", b"n" * size)
            expected = [*found, *([(b"", b"n" * n)] for n in (0, end - start - 20, end - start))]
            copy = as_after_a_kill(folder)
            journal.close()
            assert content(copy) == content(folder) == expected


def test_a_record_of_which_any_page_is_missing_is_a_torn_tail(folder, mapped):
    journal, _ = opened(folder)
    journal.append(b"a", b"1")
    start = journal.size
    journal.append(b"b", random.Random(1).randbytes(20_000))
    pages = -(-journal.size // 4096)
    data = segment(folder).read_bytes()
    journal.close()
    for there in range(2**pages - 1):
        left = bytearray(data)
        for page in range(pages):
            if not there >> page & 1:
                place = slice(max(start, page * 4096), (page + 1) * 4096)
                left[place] = bytes(len(left[place]))
        segment(folder).write_bytes(left)
        assert content(folder) == [[(b"a", b"1")]]


def test_a_segment_that_was_not_cut_is_read(folder, monkeypatch, mapped):
    journal, _ = opened(folder)
    for batch in SAMPLE:
        journal.append_batch(batch)
    end = journal.size
    monkeypatch.setattr(os, "ftruncate", broken)
    assert journal.rotate() == 1
    journal.append(b"later", b"")
    journal.close()
    monkeypatch.undo()
    data = segment(folder).read_bytes()
    assert len(data) == segment(folder, 2).stat().st_size == 64 * KIB
    for left in (b"", data[end - 50 : end], b"\xff" * 100):
        segment(folder).write_bytes(data[:end] + left + data[end + len(left) :])
        assert content(folder) == [*SAMPLE, [(b"later", b"")]]
    for at in range(end):
        segment(folder).write_bytes(data[:at] + bytes(end - at) + data[end:])
        if segment(folder).read_bytes() != data:
            with pytest.raises(StorageError, match=str(segment(folder))):
                content(folder)


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
@settings(deadline=None, max_examples=120)
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


def failing(code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    return fail


broken = failing(errno.EIO)


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
def test_a_short_write_is_completed(folder, monkeypatch, unmapped, sizes):
    journal, _ = opened(folder)
    failing_writes(monkeypatch, [*sizes])
    journal.append(b"key", b"value" * 10)
    journal.close()
    assert content(folder) == [[(b"key", b"value" * 10)]]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize("written", [[], [1], [30], [30, 0]])
def test_a_write_on_a_full_disk_is_undone_and_the_next_one_works(
    folder, monkeypatch, unmapped, code, cut, written
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
    copy = as_after_a_kill(folder)
    monkeypatch.undo()
    assert content(copy) == [[(b"a", b"1")]]
    journal.append(b"d", b"4")
    journal.rotate()
    journal.append(b"e", b"5")
    journal.close()
    assert content(folder) == [[(b"a", b"1")], [(b"d", b"4")], [(b"e", b"5")]]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOMEM])
@pytest.mark.parametrize("cut", [True, False])
@pytest.mark.parametrize("step", ["reserve", "write", "map"])
def test_a_failed_growth_leaves_the_journal_as_it_was(folder, monkeypatch, mapped, code, cut, step):
    journal, _ = opened(folder)
    journal.append(b"a", b"1")
    before = journal.size
    fail = failing(code)

    def partly(fd, start, size):
        os.truncate(fd, start + size // 2)
        fail()

    match step:
        case "reserve":
            monkeypatch.setattr(os, "posix_fallocate", partly, raising=False)
        case "write":
            failing_writes(monkeypatch, [1000, OSError(code, os.strerror(code))])
        case "map":
            monkeypatch.setattr(module, "mmap", fail)
    if not cut:
        monkeypatch.setattr(os, "ftruncate", broken)
    full = "the disk is full, so " if code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else ""
    with pytest.raises(StorageError, match=f"^{full}this write was not made") as caught:
        journal.append(b"b", b"2" * 64 * KIB)
    assert str(segment(folder)) in str(caught.value)
    assert os.strerror(code) in str(caught.value)
    assert journal.size == before
    assert not any(segment(folder).read_bytes()[before:])
    if cut:
        assert segment(folder).stat().st_size == 64 * KIB
    # There is room for this one.
    journal.append_batch([(b"c", b"3"), (b"d", b"4")])
    copy = as_after_a_kill(folder)
    monkeypatch.undo()
    expected = [[(b"a", b"1")], [(b"c", b"3"), (b"d", b"4")]]
    assert content(copy) == expected
    journal.append(b"e", b"5" * 200_000)
    journal.rotate()
    journal.append(b"f", b"6")
    journal.close()
    assert content(folder) == [*expected, [(b"e", b"5" * 200_000)], [(b"f", b"6")]]


def test_a_growth_that_was_interrupted_is_made_again(folder, monkeypatch, mapped):
    journal, _ = opened(folder)
    write = os.pwrite

    def interrupted(fd, data, at):
        write(fd, data, at)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "pwrite", interrupted)
    with pytest.raises(KeyboardInterrupt):
        journal.append(b"a", b"1" * 200_000)
    monkeypatch.undo()
    journal.append(b"b", b"2")
    end = journal.size
    journal.close()
    assert segment(folder).stat().st_size == end
    assert content(folder) == [[(b"b", b"2")]]


def test_another_failure_of_a_write_says_what_it_was(folder, monkeypatch, unmapped):
    journal, _ = opened(folder)
    failing_writes(monkeypatch, [OSError(errno.EIO, os.strerror(errno.EIO))])
    with pytest.raises(StorageError, match="this write was not made: .*: Input/output error"):
        journal.append(b"a", b"1")
    journal.append(b"b", b"2")
    journal.close()
    assert content(folder) == [[(b"b", b"2")]]


class Interrupted:
    """In place of a map: copies so many bytes, and is interrupted."""

    def __init__(self, pages, most):
        self.pages, self.most = pages, most

    def __setitem__(self, place, record):
        part = record[: self.most]
        self.pages[place.start : place.start + len(part)] = part
        raise KeyboardInterrupt


@pytest.mark.parametrize("way", ["mapped", "unmapped"])
@pytest.mark.parametrize("written", [1, 30, 1000])
@pytest.mark.parametrize("size", [0, 5, 100])
def test_a_write_that_was_interrupted_is_written_over(folder, request, way, written, size):
    request.getfixturevalue(way)
    journal, _ = opened(folder)
    journal.append(b"a", b"1")
    pages = journal._segment.pages
    journal._segment.pages = Interrupted(pages, written)
    with pytest.raises(KeyboardInterrupt):
        journal.append(b"b", b"2" * 50)
    journal._segment.pages = pages
    journal.append(b"c", b"3" * size)
    copy = as_after_a_kill(folder)
    journal.rotate()
    journal.append(b"d", b"4")
    journal.close()
    assert content(copy) == [[(b"a", b"1")], [(b"c", b"3" * size)]]
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
    journal._begin(2, journal.size).close()
    journal.append(b"b", b"2")
    copy = as_after_a_kill(folder)
    journal.close()
    assert content(copy) == [[(b"a", b"1")], [(b"b", b"2")]]
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


FULL_DISK = (
    START
    + """
disk = os.statvfs(sys.argv[1])
assert disk.f_blocks * disk.f_frsize == 512 * 1024, "not the small disk"
child = os.fork()
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    journal = Journal(Path(sys.argv[1]))
    found = list(journal.replay())
    journal.close()
    print(len(found), found[-1] == [(b"room", b"x" * 100_000)])
    sys.exit()
journal.append(b"first", b"")
with open(sys.argv[1] + "/other", "wb", buffering=0) as other:
    try:
        while other.write(bytes(4096)):
            pass
    except OSError:
        pass
done = failures = 0
while failures < 50:
    try:
        journal.append(b"key", b"x" * 997)
        done += 1
    except StorageError as error:
        assert "the disk is full, so this write was not made" in str(error), error
        failures += 1
os.unlink(sys.argv[1] + "/other")
journal.append(b"room", b"x" * 100_000)
assert done == (64 * 1024 - 100) // 1020, done
os.kill(os.getpid(), 9)
"""
)

UNCUT = (
    START
    + """
journal.append(b"a", b"1")
os.ftruncate = lambda *_: os.kill(os.getpid(), 9)
journal.rotate()
"""
)


def child(script, *arguments, within=()):
    path = Path(rivulet.__file__).parent.parent
    return subprocess.Popen(
        [*within, sys.executable, "-c", script, *map(str, arguments)],
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
        data = newest.read_bytes()
        found = numbers_of(content(folder))
        torn += newest.exists() and any(data[newest.stat().st_size :].strip(b"\0"))
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


def test_a_full_disk_ends_no_process_that_writes_through_a_map(tmp_path):
    """On a small disk of its own, where that can be mounted."""
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-ec"]
    mount = 'mount -t tmpfs -o size=512k none "$0"; '
    if shutil.which("unshare") is None:
        pytest.skip("no disk can be mounted here")
    tried = subprocess.run([*namespace, mount, tmp_path], check=False, stderr=subprocess.DEVNULL)
    if tried.returncode:
        pytest.skip("no disk can be mounted here")
    within = [*namespace, mount + 'exec "$@"', str(tmp_path)]
    with child(FULL_DISK, tmp_path / "journal", within=within) as process:
        assert process.stdout.read() == b"66 True\n"
    assert process.returncode == 0


def test_a_process_killed_before_a_sealed_segment_was_cut_loses_nothing(folder):
    with child(UNCUT, folder) as process:
        pass
    assert process.returncode == -9
    assert segment(folder, 2).exists()
    journal, found = opened(folder)
    assert found == [[(b"a", b"1")]]
    assert journal.rotate() == 2
    journal.close()
    assert content(folder) == found
