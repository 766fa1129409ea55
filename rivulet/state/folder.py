"""The folder of a store: whose it is, and what is in it."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, final

from rivulet.errors import StorageError

if os.name == "posix":
    import fcntl

__all__ = ["FORMAT", "Folder"]

FORMAT: Final = 1
MARKER: Final = "rivulet.json"
OWNER: Final = "owner"
NEW: Final = "rivulet.json.new"
_OURS: Final = (
    *("cache.db", "cache.db-wal", "cache.db-shm", "journal", "rocks"),
    *(NEW, MARKER, OWNER),
)
"""What is in it, in the order in which it is removed."""


@final
class Folder:
    """A folder that this process owns until ``close``; made if it isn't there, for its user alone.

    Args:
        path: where.
        codec: the name of what encodes the values.
        store: the name of the kind of store.

    Raises:
        StorageError: another process has it; or it isn't a folder of a rivulet store, is one of
            another format, or was written with another codec or kind of store.
    """

    def __init__(self, path: Path, *, codec: str, store: str) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError as error:
            raise StorageError(f"{path} is a file, not a folder") from error
        self._owner = os.open(path / OWNER, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock()
            self._check(codec, store)
        except BaseException:
            self.close()
            raise

    def _lock(self) -> None:
        if os.name != "posix":
            return
        try:
            fcntl.flock(self._owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.read(self._owner, 32).decode(errors="replace").strip() or "unknown"
            raise StorageError(
                f"{self.path} is in use by process {pid}: one process at a time can have it open"
            ) from error
        os.ftruncate(self._owner, 0)
        os.pwrite(self._owner, str(os.getpid()).encode(), 0)

    def _check(self, codec: str, store: str) -> None:
        marker = self.path / MARKER
        if not marker.exists():
            self._check_new()
            self._mark({"format": FORMAT, "codec": codec, "store": store})
            return
        try:
            found: Any = json.loads(marker.read_bytes())
            version = found["format"]
            if version != FORMAT:
                raise StorageError(
                    f"{self.path} has format {version}, and this version of rivulet reads format "
                    f"{FORMAT}: open it with the version that wrote it"
                )
            written, kind = found["codec"], found["store"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StorageError(f"{marker} can't be read: {error!r}") from error
        if written != codec:
            raise StorageError(
                f"{self.path} was written with the codec {written}, not {codec}: open it with that "
                f"one, or use another folder"
            )
        if kind != store:
            raise StorageError(
                f"{self.path} was written with the store {kind!r}, not {store!r}: open it with "
                f"Cache(..., store={kind!r}), or use another folder"
            )

    def _check_new(self) -> None:
        others = sorted(file.name for file in self.path.iterdir() if file.name not in (OWNER, NEW))
        if "cache.db" in others:
            raise StorageError(
                f"{self.path} was written by diskcache itself, whose values could run code when "
                f"they are read: copy what you need into a new folder"
            )
        if others:
            raise StorageError(
                f"{self.path} isn't empty and no folder of rivulet: it holds "
                f"{', '.join(others[:3])}"
            )

    def _mark(self, content: dict[str, object]) -> None:
        """Write the marker as a whole or not at all."""
        new = self.path / NEW
        with open(new, "wb", opener=_private) as file:
            file.write(json.dumps(content).encode())
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path / MARKER)

    def destroy(self) -> None:
        """Remove what belongs to the store, and the folder if nothing else is in it.

        Raises:
            StorageError: it can't be removed.
        """
        try:
            for name in _OURS:
                path = self.path / name
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"can't remove {self.path}: {error}") from error
        finally:
            self.close()
        with suppress(OSError):  # something else is in it
            self.path.rmdir()

    def close(self) -> None:
        """Let another process have it."""
        if self._owner >= 0 and os.name == "posix":
            # A process that was just forked may have the file open too, which would keep the lock.
            fcntl.flock(self._owner, fcntl.LOCK_UN)
        self.leave()

    def leave(self) -> None:
        """Forget it in a process that was forked: it stays its parent's."""
        owner, self._owner = self._owner, -1
        if owner >= 0:
            os.close(owner)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
