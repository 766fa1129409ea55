"""``Cache``: keys and values in order, in a folder or in memory."""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast, final
from warnings import warn

from rivulet.codecs import Codec, MsgpackCodec
from rivulet.core.checks import check_choice, check_whole
from rivulet.core.durations import Duration, seconds
from rivulet.core.text import shortened
from rivulet.errors import CodecError, GraphError, RunError, SinkError
from rivulet.state.entry import PLAIN, header_of, key_of, payload_of
from rivulet.state.keys import Key, encode, prefix_range
from rivulet.state.limits import FIRST, Limited
from rivulet.state.opened import Kind, Opened, open_folder, open_memory, unusable
from rivulet.state.store import Operation
from rivulet.state.updates import Overflow, Updates

__all__ = ["Batch", "Cache", "CacheStats"]

MEMORY: Final = ":memory:"
_LISTING = "use items, keys or values, with from_key= and prefix="
_NO_COLUMNS = "keep what belongs together under tuples as keys, or in a cache of its own"
_NOT_NEEDED = "nothing like it is needed here"
_ELSEWHERE: Final = {
    **dict.fromkeys(("iter", "columns", "entities"), _LISTING),
    **dict.fromkeys(("put_entity", "get_entity"), "put a dict as the value"),
    **dict.fromkeys(
        (
            *("create_column_family", "drop_column_family", "get_column_family"),
            *("get_column_family_handle", "list_cf"),
        ),
        _NO_COLUMNS,
    ),
    "key_may_exist": "use key in cache",
    "snapshot": "a listing sees the cache as it was when it was made",
    "write": "use batch()",
    "ingest_external_file": "put the entries in a batch()",
    "flush_wal": "use flush(sync=True)",
    "path": "use name",
    **dict.fromkeys(
        ("property_value", "property_int_value", "latest_sequence_number", "live_files"),
        "use stats()",
    ),
    **dict.fromkeys(("set_dumps", "set_loads"), "give Cache a codec="),
    **dict.fromkeys(
        (
            *("compact_range", "repair", "try_catch_up_with_primary", "cancel_all_background"),
            *("set_options", "set_read_options", "set_write_options"),
        ),
        _NOT_NEEDED,
    ),
}
"""What only RocksDB has, and what to use instead."""
WAITING: Final = 1024
"""So many updates may wait for one reader, where nothing else is said."""
_SHORT: Final = (str, int)
"""Keys of these classes come back as they are."""


@final
class Cache:
    """Keys and values in order, in a folder or in memory: state that outlives the process.

    Keys are numbers, str, bytes, datetimes, dates, None and tuples of these, in this order of
    types: None, numbers by value, str, bytes, naive datetimes, aware ones, dates, tuples. Equal
    numbers are one key, as in a dict.

    A write has outlived the process when it returns; after ``flush(sync=True)`` it has outlived a
    loss of power too. One process at a time can have a folder open. Opened again there, it is the
    same store, with the limits that were given last. Threads may share a cache.

    As a stream, ``Stream(cache)``, it gives the updates that are published from then on, each
    ``(key, value)``. As a sink, ``.to(cache)``, it takes such pairs, stores and publishes them.

    Args:
        path: the folder, made if need be; ``":memory:"`` for none.
        codec: how values become bytes; ``MsgpackCodec()`` if not given. Only with
            ``PickleCodec()`` is anything ever unpickled.
        ttl: how long an entry is there after it was last written.
        size_limit: how many bytes the keys and values may take: when they take more, the entries
            that were written longest ago are dropped. Nothing is dropped unless this is given.
        store: what keeps the folder: ``"diskcache"``, or ``"rocksdb"`` (extra ``rocksdb``).
        target_table_size: for ported scripts; has no effect.
        number_of_locks: for ported scripts; has no effect.

    Raises:
        StorageError: another process has the folder open, or it holds something else: what plain
            diskcache wrote, another codec's values, another format.
        GraphError: an argument isn't any of these.
        MissingExtraError: rocksdict is needed and not installed.

    Example:
        >>> from rivulet import Cache
        >>> with Cache(":memory:") as prices:
        ...     prices[9.0] = {"price": 101}
        ...     prices[10.5] = {"price": 99}
        ...     prices[12] = {"price": 104}
        ...     list(prices.values(backwards=True, from_key=11.0))
        [{'price': 99}, {'price': 101}]

    Source: the interface of Slipstream's ``Cache``; what differs is in the guide to porting.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        codec: Codec | None = None,
        ttl: Duration | None = None,
        size_limit: int | None = None,
        store: Kind = "diskcache",
        target_table_size: int | None = None,
        number_of_locks: int | None = None,
    ) -> None:
        self.name = fspath(path)
        self._codec: Codec = MsgpackCodec() if codec is None else codec
        _check_codec(self._codec)
        self._encode, self._decode = self._codec.encode, self._codec.decode
        check_choice(store, "Cache", "store", ("diskcache", "rocksdb"))
        limit = None if ttl is None else seconds(ttl, "Cache(ttl)")
        if size_limit is not None:
            check_whole(size_limit, "Cache", "size_limit")
        _warn_of("target_table_size", target_table_size, "nothing is dropped by size")
        _warn_of("number_of_locks", number_of_locks, "each key has a lock of its own")
        self._kind: Kind = store
        self._opened = self._open()
        self._release = weakref.finalize(self, Opened.let_go, self._opened)
        try:
            self._opened.limit(limit, size_limit)
        except BaseException:
            self.close()
            raise

    def _open(self) -> Opened:
        codec = type(self._codec).__qualname__
        if self.name == MEMORY:
            return open_memory(codec)
        return open_folder(Path(self.name), codec, self._kind)

    def __repr__(self) -> str:
        if not self._release.alive:
            return f"<Cache {self.name!r}, closed>"
        return f"<Cache {self.name!r}, {len(self):,} keys>"

    # One key

    def put(self, key: Key, value: Any) -> None:
        """Set the value of a key. It has outlived the process when this returns.

        Raises:
            TypeError, ValueError: it can't be a key.
            CodecError: the codec can't keep the value.
            StorageError: it can't be written; nothing has changed.
        """
        raw = encode(key)
        header = PLAIN if type(key) in _SHORT else header_of(key)
        try:
            data = header + self._encode(value)
        except CodecError as error:
            self._note(error, key)
            raise
        self._opened.store.put(raw, data)

    __setitem__ = put

    def get(self, key: Key | list[Any], default: Any = None) -> Any:
        """The value of a key, or ``default``; of a list of keys, a list of values."""
        if isinstance(key, list):
            return [self.get(one, default) for one in key]
        data = self._opened.store.get(encode(key))
        return default if data is None else self._value(data, key)

    def __getitem__(self, key: Key | list[Any]) -> Any:
        """The value of a key; None if there is none. Of a list of keys, a list of values."""
        return self.get(key)

    def delete(self, key: Key) -> None:
        """Remove a key. One that isn't there is no error."""
        self._opened.store.delete(encode(key))

    __delitem__ = delete

    def __contains__(self, key: Key) -> bool:
        """Whether a key is there: also one whose value is None."""
        return encode(key) in self._opened.store

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._opened.store)

    def _value(self, data: bytes, key: object) -> Any:
        try:
            return self._decode(data[1:] if data and data[0] == 0 else payload_of(data))
        except CodecError as error:
            self._note(error, key)
            raise

    def _note(self, error: CodecError, key: object) -> None:
        error.add_note(f"The value of the key {key!r:.100} in the cache {self.name!r}")

    # Listings

    def items(
        self,
        backwards: bool = False,
        from_key: Key | None = None,
        *,
        prefix: str | bytes | tuple[Key, ...] | None = None,
    ) -> Iterator[tuple[Any, Any]]:
        """Keys and values in the order of keys, as they are now, whatever is written meanwhile.

        Args:
            backwards: from the last key to the first.
            from_key: begin at this key; if it isn't there, at the next in the direction.
            prefix: only keys that begin with this: a str for str, bytes for bytes, a tuple for
                tuples that begin with its elements.
        """
        rows = self._rows(backwards, from_key, prefix)
        return ((key := key_of(raw, data), self._value(data, key)) for raw, data in rows)

    def keys(
        self,
        backwards: bool = False,
        from_key: Key | None = None,
        *,
        prefix: str | bytes | tuple[Key, ...] | None = None,
    ) -> Iterator[Any]:
        """Keys in order; as with ``items``."""
        return (key_of(raw, data) for raw, data in self._rows(backwards, from_key, prefix))

    def values(
        self,
        backwards: bool = False,
        from_key: Key | None = None,
        *,
        prefix: str | bytes | tuple[Key, ...] | None = None,
    ) -> Iterator[Any]:
        """Values in the order of their keys; as with ``items``."""
        rows = self._rows(backwards, from_key, prefix)
        return (self._value(data, raw) for raw, data in rows)

    def __iter__(self) -> Iterator[Any]:
        """Keys in order."""
        return self.keys()

    def _rows(
        self, backwards: bool, from_key: Key | None, prefix: str | bytes | tuple[Key, ...] | None
    ) -> Iterator[tuple[bytes, bytes]]:
        start, stop = (FIRST, None) if prefix is None else prefix_range(prefix)
        if from_key is not None:
            first = encode(from_key)
            if backwards:
                after = first + b"\0"
                stop = after if stop is None else min(stop, after)
            else:
                start = max(start, first)
        return self._opened.store.list(start, stop, backwards=backwards)

    # Several keys

    def delete_range(self, start: Key, stop: Key) -> None:
        """Remove the keys from ``start`` up to before ``stop``, all of them or none."""
        rows = self._opened.store.list(encode(start), encode(stop))
        self._opened.store.write([(key, None) for key, _ in rows])

    def batch(self) -> Batch:
        """Writes that are done together when the block ends, all of them or none.

        Example:
            >>> from rivulet import Cache
            >>> accounts = Cache(":memory:")
            >>> with accounts.batch() as batch:
            ...     batch["ana"] = 90
            ...     batch["bo"] = 10
            >>> list(accounts.items())
            [('ana', 90), ('bo', 10)]
        """
        return Batch(self)

    @asynccontextmanager
    async def transaction(self, key: Key) -> AsyncGenerator[Self]:
        """Hold the lock of a key, so that one task at a time reads and changes it.

        There is no rollback (``batch`` is what is done as a whole), and code that asks for no
        transaction isn't held up. Any number of keys can be held at once.

        Raises:
            RunError: this task holds the key's lock already.
        """
        async with self._opened.lock(encode(key), key):
            yield self

    # Updates

    async def __call__(self, key: Key, value: Any) -> None:
        """Set the value of a key, and publish it to all that read the updates."""
        self.put(key, value)
        self._opened.publisher.publish((key, value))

    def take_item(self, item: Any) -> None:
        """Store and publish a pair, as a sink.

        Raises:
            SinkError: it is no pair.
        """
        pair = cast("tuple[Any, ...]", item)
        if not isinstance(item, tuple) or len(pair) != 2:
            raise SinkError(f"{self!r} takes pairs (key, value), not {shortened(pair)}")
        key, value = pair
        self.put(key, value)
        self._opened.publisher.publish((key, value))

    def updates(self, size: int = WAITING, overflow: Overflow = "drop_oldest") -> Updates:
        """The pairs that are published from when they are asked for, for ``async for`` or a Stream.

        Args:
            size: how many may wait for a reader.
            overflow: what becomes of an update that finds so many waiting: ``"drop_oldest"`` and
                ``"drop_newest"`` drop one and count it (``stats().dropped``); ``"error"`` raises
                ``BufferFullError`` in the reader.

        Raises:
            GraphError: an argument isn't any of these.
        """
        return Updates(self._opened.publisher, size, overflow)

    def __aiter__(self) -> AsyncIterator[tuple[Any, Any]]:
        """The updates, as ``updates()`` gives them."""
        return aiter(self.updates())

    @property
    def endless(self) -> bool:
        """Whether the end of its updates isn't known: it is open."""
        return self.updates().endless

    # The whole

    def flush(self, *, sync: bool = False) -> None:
        """Move what was written into the tables; with ``sync``, past a loss of power.

        Raises:
            StorageError: it can't be. Nothing is lost, and the next flush tries again.
        """
        self._opened.store.flush(sync=sync)

    def stats(self) -> CacheStats:
        """Counts, as they are now."""
        store, base = self._opened.store, self._opened.base
        return CacheStats(
            keys=len(store),
            readers=len(self._opened.publisher),
            dropped=self._opened.publisher.dropped,
            expired=store.expired if isinstance(store, Limited) else 0,
            evicted=store.evicted if isinstance(store, Limited) else 0,
            waits=getattr(base, "waits", 0),
        )

    def close(self) -> None:
        """Flush, and end the readers of updates. A second time does nothing.

        Where the folder was opened several times in this process, the last one does this.
        """
        if self._release.detach() is None:
            return
        opened = self._opened
        self._opened = unusable(f"the cache {self.name!r} is closed: open it again")
        opened.release()

    def destroy(self) -> None:
        """Close it, for all that use it in this process, and remove what it kept.

        Raises:
            StorageError: it can't be removed.
        """
        opened = self._opened
        if self._release.detach() is None:
            opened = self._open()
        self._opened = unusable(f"the cache {self.name!r} was destroyed: make it again")
        opened.destroy()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name in _ELSEWHERE:
            raise AttributeError(
                f"Cache has no {name}, which is RocksDB's: {_ELSEWHERE[name]}",
                name=name,
                obj=self,
            )
        raise AttributeError(f"Cache has no {name}", name=name, obj=self)


@final
class Batch:
    """Writes to a cache that are done together, in their order, when the block ends.

    When it ends by an exception, none is done. What reads the cache sees them only then.
    """

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._operations: list[Operation] | None = None

    def __repr__(self) -> str:
        return f"<Batch of {len(self._operations or ())} writes to {self._cache!r}>"

    def put(self, key: Key, value: Any) -> None:
        """Set the value of a key, as ``Cache.put`` does."""
        cache = self._cache
        raw = encode(key)
        try:
            data = header_of(key) + cache._encode(value)
        except CodecError as error:
            cache._note(error, key)
            raise
        self._add((raw, data))

    __setitem__ = put

    def delete(self, key: Key) -> None:
        """Remove a key. One that isn't there is no error."""
        self._add((encode(key), None))

    __delitem__ = delete

    def _add(self, operation: Operation) -> None:
        if self._operations is None:
            raise RunError("writes of a batch go into its block: with cache.batch() as batch: ...")
        self._operations.append(operation)

    def __enter__(self) -> Self:
        self._operations = []
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        operations, self._operations = self._operations, None
        if kind is None and operations:
            self._cache._opened.store.write(operations)


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What a cache counts.

    Attributes:
        keys: how many keys there are.
        readers: how many read its updates.
        dropped: updates that readers missed because they were too slow.
        expired: entries that ended because of ``ttl``, since it was opened.
        evicted: entries that gave way because of ``size_limit``, since it was opened.
        waits: how often a write had to wait until memory was moved into the folder.
    """

    keys: int
    readers: int
    dropped: int
    expired: int
    evicted: int
    waits: int


def _check_codec(codec: object) -> None:
    if not (callable(getattr(codec, "encode", None)) and callable(getattr(codec, "decode", None))):
        raise GraphError(
            f"Cache(codec) must have the methods encode and decode, as MsgpackCodec() has, and "
            f"{codec!r} ({type(codec).__name__}) doesn't"
        )
    if isinstance(codec, type):
        raise GraphError(f"Cache(codec) must be an object, not a class: {codec.__name__}()")


def _warn_of(name: str, value: object, reason: str) -> None:
    if value is not None:
        warn(f"Cache({name}={value!r}) has no effect: {reason}", UserWarning, stacklevel=3)
