"""Whatever bytes are found where a cache keeps its own: the documented errors, or what was kept."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rivulet import Cache, CodecError, StorageError
from rivulet.codecs import MsgpackCodec
from rivulet.state.entry import header_of, key_of, payload_of, stamp_of, stamped
from rivulet.state.journal import Journal
from rivulet.state.keys import decode, encode

EXAMPLES = int(os.environ.get("RIVULET_EXAMPLES", "250"))
CODEC = MsgpackCodec()
KEYS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.binary(max_size=5)
    | st.datetimes(min_value=datetime(2, 1, 1))
    | st.datetimes(min_value=datetime(2, 1, 1), timezones=st.just(UTC))
    | st.dates(),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)
VALUES = st.recursive(
    KEYS | st.floats() | st.decimals() | st.timedeltas() | st.times() | st.uuids() | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | st.frozensets(st.integers(), max_size=3)
        | st.sets(st.text(max_size=3), max_size=3)
    ),
    max_leaves=6,
)
PLAIN = (
    *(type(None), bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset),
    *(datetime, date, time, timedelta, tzinfo, Decimal, UUID),
)


def tries(share):
    return settings(
        max_examples=max(10, int(EXAMPLES * share)),
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )


@st.composite
def spoiled(draw, whole):
    """Bytes that were right, with some flipped, cut out or put in."""
    data = bytearray(draw(whole) if isinstance(whole, st.SearchStrategy) else whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["flip", "set", "cut", "put", "end"])):
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
            case "set":
                data[at : at + 1] = draw(st.sampled_from([b"\0", b"\xff", b"\xc1", b"\x7f"]))
            case "cut":
                del data[at : at + draw(st.integers(1, 9))]
            case "put":
                data[at:at] = draw(st.binary(min_size=1, max_size=9))
            case "end":
                del data[at:]
    return bytes(data)


# One key, one value, one entry


@given(data=st.binary(max_size=40) | spoiled(KEYS.map(encode)))
@example(data=b"")
@tries(2)
def test_any_bytes_are_a_key_that_gives_them_again_or_no_key(data):
    with suppress(ValueError):
        key = decode(data)
        assert encode(key) == data


def parts(value):
    yield value
    if isinstance(value, dict):
        for pair in value.items():
            yield from parts(pair)
    elif isinstance(value, list | tuple | set | frozenset):
        for part in value:
            yield from parts(part)


@given(data=st.binary(max_size=60) | spoiled(VALUES.map(CODEC.encode)))
@example(data=b"")
@tries(2)
def test_any_bytes_are_a_plain_value_or_none(data):
    with suppress(CodecError):
        assert all(isinstance(part, PLAIN) for part in parts(CODEC.decode(data)))


@st.composite
def entries(draw):
    key = draw(KEYS)
    data = header_of(key) + CODEC.encode(draw(VALUES))
    return stamped(data, draw(st.integers(0, 2**64 - 1))) if draw(st.booleans()) else data


@given(
    key=st.binary(max_size=20) | KEYS.map(encode), data=st.binary(max_size=60) | spoiled(entries())
)
@example(key=b"", data=b"")
@example(key=b"\x10", data=b"\x01")
@example(key=b"\x10", data=b"\x02")
@example(key=b"\x10", data=b"\x04")
@example(key=b"\x10", data=b"\x01\xff\xff\xff\xff\xc0")
@tries(2)
def test_any_bytes_are_an_entry_or_none(key, data):
    for read in (payload_of, stamp_of):
        with suppress(StorageError):
            read(data)
    with suppress(StorageError, CodecError, ValueError):
        key_of(key, data)


# The journal

KIND = ["flip", "cut", "insert", "double", "swap", "end", "zeros"]


@pytest.fixture(scope="module")
def segments():
    """Segments of a journal as a killed process leaves them, and what was acknowledged."""
    with tempfile.TemporaryDirectory() as name:
        journal = Journal(Path(name, "journal"))
        assert [*journal.replay()] == []
        batches = []
        for number in range(12):
            operations = [(b"%d" % number, b"x" * 7 * number), (b"gone", None)][: 1 + number % 2]
            journal.append_batch(operations)
            batches.append(operations)
            if number % 5 == 4:
                journal.rotate()
        files = {path.name: path.read_bytes() for path in Path(name, "journal").iterdir()}
        journal.close()
        # Behind the last record there is room, of which a little does.
        last = max(files)
        files[last] = files[last].rstrip(b"\0") + bytes(100)
    return files, batches


@given(data=st.data())
@tries(0.5)
def test_a_spoiled_journal_gives_what_was_acknowledged_up_to_there_or_an_error(segments, data):
    files, batches = segments
    files = dict(files)
    for _ in range(data.draw(st.integers(1, 2))):
        name = data.draw(st.sampled_from(sorted(files)))
        match data.draw(st.sampled_from(["bytes", "bytes", "remove", "other", "copy"])):
            case "bytes":
                files[name] = data.draw(spoiled(files[name]))
            case "remove" if len(files) > 1:
                del files[name]
            case "other":
                files[name] = data.draw(st.binary(max_size=50))
            case "copy":
                files[name] = files[data.draw(st.sampled_from(sorted(files)))]
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        journal, found = Journal(Path(folder)), []
        try:
            found.extend(journal.replay())
        except StorageError:
            pass
        else:
            journal.append(b"it", b"goes on")
        journal.close()
    # What was moved into the tables may be missing at the beginning, as whole segments.
    assert found in [batches[a:][: len(found)] for a in (0, 5, 10)]


# The folder


class Trap:
    """What a pickle can do when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture(scope="module")
def kept():
    """A folder with some entries in its tables."""
    with tempfile.TemporaryDirectory() as name:
        with Cache(Path(name, "kept")) as cache:
            for number in range(20):
                cache[number, 1.0] = [number, {"a": b"x"}]
            cache["a"] = 1
        yield Path(name, "kept")


ERRORS = (StorageError, CodecError, ValueError)


def use(cache):
    """Read all that can be read; errors that are documented are none."""
    for read in (
        lambda: len(cache),
        lambda: [*cache.items()],
        lambda: [*cache.keys(backwards=True)],
        lambda: [*cache.values(prefix=())],
        lambda: [cache[number, 1] for number in range(20)],
        lambda: cache["a"],
        lambda: "a" in cache,
        lambda: cache.put("b", 1),
        lambda: cache.delete_range(None, ()),
        lambda: cache.flush(),
    ):
        with suppress(*ERRORS):
            read()


CELLS = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5).filter(lambda text: "\0" not in text)
    | st.binary(max_size=20)
    | entries()
    | st.just("trap")
)


@given(
    key=st.none() | KEYS.map(encode) | st.binary(max_size=5) | CELLS,
    raw=st.sampled_from([0, 1, 1, 1]),
    mode=st.sampled_from([0, 1, 1, 1, 2, 3, 4, 5, None]),
    value=CELLS,
    filename=st.sampled_from([None, "../../etc/passwd", "journal", "/dev/null"]),
    limits=st.sampled_from([{}, {"ttl": 1000}, {"size_limit": 100}]),
)
@tries(0.05)
def test_a_row_that_was_tampered_with_is_refused_and_runs_nothing(
    kept, key, raw, mode, value, filename, limits
):
    with tempfile.TemporaryDirectory() as name:
        folder, ran = Path(name, "cache"), Path(name, "ran")
        shutil.copytree(kept, folder)
        trap = pickle.dumps(Trap(str(ran)))
        value = trap if value == "trap" else value
        key = trap if key == "trap" else key
        with closing(sqlite3.connect(folder / "cache.db")) as tables:
            if key is None:
                tables.execute(
                    "UPDATE Cache SET raw = ?, mode = ?, value = ?, filename = ? WHERE key >= ?",
                    (raw, mode, value, filename, encode("a")),
                )
            else:
                tables.execute(
                    "INSERT OR REPLACE INTO Cache (key, raw, store_time, access_time, mode, value,"
                    " filename) VALUES (?, ?, 0, 0, ?, ?, ?)",
                    (key, raw, mode, value, filename),
                )
            tables.commit()
        with suppress(StorageError), closing(Cache(folder, **limits)) as cache:
            use(cache)
        assert not ran.exists()


@given(
    name=st.sampled_from(
        ["count", "size", "close", "disk", "disk_x", "disk_min_file_size", "eviction_policy"]
        + ["cull_limit", "sqlite_mmap_size", "sqlite_journal_mode", "sqlite_x; DROP", "", "_con"]
    )
    | st.text(max_size=5).filter(lambda text: "\0" not in text),
    value=CELLS.filter(lambda value: value != "trap") | st.just("gone"),
)
@example(name="count", value="gone")
@example(name="count", value="many")
@example(name="close", value="now")
@example(name="disk_x", value=1)
@tries(0.05)
def test_settings_of_the_tables_that_were_tampered_with_are_refused_or_used(kept, name, value):
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "cache")
        shutil.copytree(kept, folder)
        with closing(sqlite3.connect(folder / "cache.db")) as tables:
            tables.execute("DELETE FROM Settings WHERE key = ?", (name,))
            if value != "gone":
                tables.execute("INSERT INTO Settings VALUES (?, ?)", (name, value))
            tables.commit()
        with suppress(StorageError), closing(Cache(folder)) as cache:
            use(cache)


@given(data=st.data())
@tries(0.05)
def test_tables_with_other_bytes_are_refused_or_read(kept, data):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "cache")
        shutil.copytree(kept, folder)
        tables = folder / "cache.db"
        tables.write_bytes(
            data.draw(st.binary(max_size=100) | spoiled(tables.read_bytes()), label="tables")
        )
        with suppress(StorageError), closing(Cache(folder)) as cache:
            use(cache)


NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
MARKERS = st.fixed_dictionaries(
    {},
    optional={
        "format": st.sampled_from([1, 2, 0, "1", True, None, 1.0]) | NESTED,
        "codec": st.sampled_from(["MsgpackCodec", "PickleCodec", "msgpack", None]) | NESTED,
        "store": st.sampled_from(["diskcache", "rocksdb", "memory", None]) | NESTED,
    },
)


@given(
    marker=st.binary(max_size=50)
    | spoiled(json.dumps({"format": 1, "codec": "MsgpackCodec", "store": "diskcache"}).encode())
    | MARKERS.map(lambda found: json.dumps(found).encode())
)
@example(marker=b"")
@example(marker=b"[" * 5000)
@example(marker=b'{"format": ' + b"9" * 5000 + b"}")
@tries(0.05)
def test_a_marker_with_other_bytes_is_an_error_or_the_same(kept, marker):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "cache")
        shutil.copytree(kept, folder)
        (folder / "rivulet.json").write_bytes(marker)
        with suppress(StorageError), closing(Cache(folder)) as cache:
            found = json.loads(marker)
            assert found["codec"] == "MsgpackCodec"
            assert (found["format"], found["store"]) == (1, "diskcache")
            assert cache["a"] == 1
        # Nobody has it now.
        (folder / "rivulet.json").write_text(
            json.dumps({"format": 1, "codec": "MsgpackCodec", "store": "diskcache"})
        )
        with Cache(folder) as cache:
            assert len(cache) == 21
