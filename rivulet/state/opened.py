"""The stores that are open in this process: a folder that is opened again is the same store."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal, cast, final

from rivulet.errors import RunError, StorageError
from rivulet.state.folder import Folder
from rivulet.state.limits import Limited
from rivulet.state.memory import MemoryStore
from rivulet.state.store import Store
from rivulet.state.updates import Publisher, wake

__all__ = ["Kind", "Opened", "open_folder", "open_memory", "unusable"]

Kind = Literal["diskcache", "rocksdb"]
MOVER: Final = "rivulet-state"
"""The name of the threads that work for stores."""

_Task = asyncio.Task[Any] | None


@final
class Opened:
    """A store and what all that use it have in common.

    Attributes:
        path: its folder; None in memory.
        codec: the name of the codec of its values.
        store: where the entries are, with the limits that were given last.
        publisher: hands out what is published.
    """

    def __init__(self, store: Store, path: Path | None, codec: str, folder: Folder | None) -> None:
        self.path = path
        self.codec = codec
        self.base = self.store = store
        self.publisher = Publisher()
        self.users = 0
        self._folder = folder
        self._is_destroyed = False
        self._guard = threading.Lock()
        self._locks: dict[bytes, _KeyLock] = {}

    def limit(self, ttl: float | None, size_limit: int | None) -> None:
        """Keep to limits from now on; None for both leaves things as they are."""
        if ttl is None and size_limit is None:
            return
        if isinstance(self.store, Limited):
            self.store.limit(ttl, size_limit)
            return
        try:
            self.store = Limited(self.base, ttl=ttl, size_limit=size_limit)
        except StorageError as error:
            if Limited.is_used_in(self.base):  # and the next opening has to do the rest
                self.store = _unusable(f"{self.path} could not be limited: {error}")
            raise

    @asynccontextmanager
    async def lock(self, key: bytes, name: object) -> AsyncGenerator[None]:
        """Hold the lock of a key, in whichever thread and event loop others wait for it.

        Raises:
            RunError: the task holds it already, so it would wait for itself for ever.
        """
        task, waiter = asyncio.current_task(), None
        with self._guard:
            lock = self._locks.get(key)
            if lock is None:
                lock = self._locks[key] = _KeyLock(task)
            elif lock.owner is task:
                raise RunError(
                    f"this task is in a transaction of {name!r} already: leave that one before it "
                    f"begins another, or do both in one"
                )
            else:
                waiter = asyncio.get_running_loop().create_future()
                lock.waiting.append((task, waiter))
        try:
            if waiter is not None:
                await waiter
            yield
        finally:
            with self._guard:
                if waiter is not None and lock.owner is not task:  # it has waited in vain
                    lock.waiting.remove((task, waiter))
                elif not lock.pass_on():
                    del self._locks[key]

    def close(self) -> None:
        """Close the store, and let the folder go."""
        self.publisher.close()
        try:
            self.base.close()
        finally:
            if self._folder is not None:
                self._folder.close()

    def destroy(self) -> None:
        """Close the store for all that use it, and remove what it kept.

        Raises:
            StorageError: it can't be removed.
        """
        with _lock:
            if self._is_destroyed:
                return
            if self.path is not None and self._folder is None:
                raise self._not_ours()
            self._forget()
            self._is_destroyed = True
            self.publisher.close()
            with suppress(StorageError):  # what can't be moved any more needn't be
                self.base.close()
            self.store = self.base = _unusable(f"the cache in {self.path} was destroyed")
            if self._folder is not None:
                self._folder.destroy()

    def release(self) -> None:
        """Give it back; when nobody uses it any more, it is closed."""
        with _lock:
            self.users -= 1
            if not self.users:
                self._forget()
                self.close()

    def let_go(self) -> None:
        """Give it back when nobody refers to it any more.

        That is noticed in any thread, in the middle of anything: also in the one that moves memory
        of this very store, which must not wait for itself, or while another one opens or closes.
        """
        if threading.current_thread().name == MOVER or not _lock.acquire(blocking=False):
            with suppress(RuntimeError):  # this process ends; what was written outlives it
                threading.Thread(target=self.release, name="rivulet-state-close").start()
            return
        try:
            self.release()
        finally:
            _lock.release()

    def leave(self) -> None:
        """Leave it to the process that this one was forked from."""
        # What it has open must not be closed here, not even when this process ends.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.base))
        self.store = self.base = _unusable(str(self._not_ours()))
        self.users += 1  # so that it is never closed here
        if self._folder is not None:
            self._folder.leave()
            self._folder = None

    def _not_ours(self) -> StorageError:
        return StorageError(
            f"{self.path} was opened before this process was forked, and belongs to its parent: "
            f"open caches in the process that uses them"
        )

    def _forget(self) -> None:
        if self.path is not None and _folders.get(self.path) is self:
            del _folders[self.path]


@final
class _Unusable:
    """In place of a store that can't be used any more: everything raises ``StorageError``."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def __getattr__(self, name: str) -> Any:
        raise StorageError(self._reason)

    def __len__(self) -> int:
        raise StorageError(self._reason)

    def __contains__(self, key: object) -> bool:
        raise StorageError(self._reason)


def _unusable(reason: str) -> Store:
    return cast("Store", _Unusable(reason))


@final
class _KeyLock:
    """The lock of one key, while somebody holds it."""

    def __init__(self, owner: _Task) -> None:
        self.owner = owner
        self.waiting: deque[tuple[_Task, asyncio.Future[None]]] = deque()

    def pass_on(self) -> bool:
        """Give it to the first that waits; tells whether one does."""
        while self.waiting:
            self.owner, waiter = self.waiting.popleft()
            with suppress(RuntimeError):  # its loop is closed, so it doesn't wait any more
                wake(waiter)
                return True
        return False


_folders: Final[dict[Path, Opened]] = {}
_lock: Final = threading.RLock()


def unusable(reason: str) -> Opened:
    """In place of what is closed."""
    opened = Opened(_unusable(reason), None, "", None)
    opened.publisher.close()
    return opened


def open_memory(codec: str) -> Opened:
    """A store of its own in memory."""
    opened = Opened(MemoryStore(), None, codec, None)
    opened.users = 1
    return opened


def open_folder(path: Path, codec: str, kind: Kind) -> Opened:
    """The store of a folder, made where there is none. To be given back by ``release``.

    Raises:
        StorageError: the folder can't be used, or is open with another codec or kind of store.
    """
    path = path.expanduser().resolve()
    with _lock:
        opened = _folders.get(path)
        if opened is None:
            folder = Folder(path, codec=codec, store=kind)
            try:
                opened = Opened(_stores[kind](path), path, codec, folder)
            except BaseException:
                folder.close()
                raise
            try:
                if Limited.is_used_in(opened.base):
                    opened.store = Limited(opened.base)
            except BaseException:
                opened.close()
                raise
            _folders[path] = opened
        elif opened.codec != codec:
            raise StorageError(
                f"{path} is open in this process with the codec {opened.codec}, not {codec}: "
                f"close it first"
            )
        opened.users += 1
        return opened


def _after_fork() -> None:
    """Leave the folders to the process that has them open."""
    for opened in _folders.values():
        opened.leave()
    _folders.clear()
    _lock.release()


if hasattr(os, "register_at_fork"):
    # No other thread may be about to change what is open.
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_after_fork
    )


def _durable(path: Path) -> Store:
    from rivulet.state.durable import DurableStore

    return DurableStore(path)


def _rocks(path: Path) -> Store:
    from rivulet.state.rocks import RocksStore

    return RocksStore(path)


_stores: Final[dict[Kind, Callable[[Path], Store]]] = {"diskcache": _durable, "rocksdb": _rocks}
