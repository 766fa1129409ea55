"""A journal of writes: what was appended outlives the process, whenever that is killed.

It is a folder of numbered segments. A segment is a header and then records, one for each batch::

    header     magic with the version, number, size of the segment before, mark, seed, CRC
    record     mark, CRC of all that follows, length of the operations, operations
    operation  size of the key, size of the value (or that there is none), key, value

Mark and seed are random for each segment, and the checksum of a record begins with the seed plus
the place of the record, so that no record counts in another file or at another place.

What is not a whole record is one of two things. A **torn tail** comes of a write that was cut short
and so was never acknowledged: it is in the last segment, and nowhere behind it is there a whole
record. It is cut off. All else is **damage**, after which acknowledged writes would be missing:
there is a whole record behind it, or the segment ends before the size that the next one tells, or a
segment is missing. It is an error. Damage to the very last record looks like a torn tail. Writes
that were not synced can look damaged after a loss of power.

The segment that is written to is mapped into memory. What was copied into the map belongs to the
system, and so it outlives the process. Room on the disk is reserved before it is mapped, a step
ahead: a full disk is an error of the write that needs more room. So there are zeros behind the
records. They are cut off when the segment is sealed or closed, and one that was left with them
after a crash is read all the same. Where room can't be reserved for a map, or nothing be mapped,
every record is written by a call.

Every write says its place in the file, so what an interrupted one has left is written over. What
was left by another process is cut off before the first write.
"""

from __future__ import annotations

import errno
import os
import re
import struct
import sys
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Final, final
from zlib import crc32

from rivulet.errors import StorageError
from rivulet.state.store import Operation

__all__ = ["Journal"]

VERSION: Final = 1
MAGIC: Final = b"rivulet" + bytes([VERSION])

_HEADER: Final = struct.Struct("<8sIQ4sI")
_CHECKSUM: Final = struct.Struct("<I")
_START: Final = _HEADER.size + _CHECKSUM.size
_FRAME: Final = struct.Struct("<4sI")
_FRAME_SIZE: Final = _FRAME.size
_LENGTH: Final = struct.Struct("<I")
_OPERATION: Final = struct.Struct("<II")
_ONE: Final = struct.Struct("<III")
_NO_VALUE: Final = 2**32 - 1

_pack_frame: Final = _FRAME.pack
_pack_one: Final = _ONE.pack

_LEAST_STEP: Final = 64 * 2**10
_MOST_STEP: Final = 4 * 2**20

_NAME: Final = re.compile(r"journal-([0-9]{8,})")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_CANT_RESERVE: Final = (errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
_CANT_MAP: Final = (errno.EINVAL, errno.ENODEV)
# What is written again goes to another place there, which can't be reserved. If there is none left,
# a write through a map ends the process, or is lost.
_NEVER_IN_PLACE: Final = ("btrfs", "bcachefs", "zfs")
# Elsewhere it is not said that it does.
_FSYNC_WRITES_MAPS: Final = sys.platform == "linux"


@dataclass(frozen=True, slots=True)
class _Header:
    """How a segment begins.

    Attributes:
        before: the size of the segment before when this one was begun; 0 if there was none.
    """

    number: int
    before: int
    mark: bytes
    seed: int

    def packed(self) -> bytes:
        packed = _HEADER.pack(MAGIC, self.number, self.before, self.mark, self.seed)
        return packed + _CHECKSUM.pack(crc32(packed))


class _Unmapped:
    """In place of a map: what is set is written."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd

    def __setitem__(self, place: slice[int, int, None], record: bytes) -> None:
        try:
            written = os.pwrite(self._fd, record, place.start)
            if written < len(record):
                _write_at(self._fd, place.start + written, record[written:])
        except OSError as error:
            # What can't be cut off is no whole record, and is written over.
            with suppress(OSError):
                os.ftruncate(self._fd, place.start)
            raise _not_written(self._path, error) from error

    def close(self) -> None:
        """The file is closed by the segment."""


@dataclass(slots=True)
class _Segment:
    """The segment that is written to.

    Attributes:
        size: where the next record begins.
        reserved: up to where there is room for records.
        pages: what records are copied into: the file up to there.
    """

    path: Path
    fd: int
    number: int
    mark: bytes
    seed: int
    size: int
    reserved: int
    pages: mmap | _Unmapped

    def grow(self, end: int) -> None:
        """Reserve room up to a place at least.

        Raises:
            StorageError: there is as much as before.
        """
        before = self.reserved
        target = max(end, min(2 * before, before + _MOST_STEP))
        target += -target % _LEAST_STEP
        try:
            _reserve(self.fd, before, target)
            pages = mmap(self.fd, target)
        except OSError as error:
            # Zeros that can't be cut off do no harm, and are reserved by the next attempt.
            with suppress(OSError):
                os.ftruncate(self.fd, before)
            raise _not_written(self.path, error) from error
        old, self.pages = self.pages, pages
        self.reserved = target
        old.close()

    def close(self) -> None:
        """Write no more, and give back the room that was not needed."""
        self.pages.close()
        # Zeros that can't be cut off are no records, and what can't be closed is written.
        with suppress(OSError):
            os.ftruncate(self.fd, self.size)
        with suppress(OSError):
            os.close(self.fd)


@final
class Journal:
    """Batches of operations in a folder. Several threads may write to it, but one process only.

    Args:
        folder: where the segments are. It is made if need be, but not the folder that it is in.

    Raises:
        StorageError: the folder can't be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._segment: _Segment | None = None
        self._replayed = False
        self._lock = threading.Lock()
        with _telling(f"make {folder}"):
            folder.mkdir(mode=0o700, exist_ok=True)

    @property
    def size(self) -> int:
        """How many bytes are in the segment that is written to."""
        return self._open_segment().size

    # Reading

    def replay(self) -> Iterator[list[Operation]]:
        """All batches in order. It has to be read to its end once, before anything is written.

        Raises:
            StorageError: what is there can't be read, is no journal of this version, or is damaged.
        """
        if self._replayed:
            raise StorageError(f"the journal in {self._folder} was replayed or closed already")
        self._replayed = True
        headers = self._headers()
        end = 0
        for index, header in enumerate(headers):
            least = headers[index + 1].before if index + 1 < len(headers) else 0
            end = yield from self._batches(header, least)
        with _telling(f"write to {self._folder}"):
            self._segment = self._continue(headers[-1], end) if headers else self._begin(1, 0)

    def _headers(self) -> list[_Header]:
        """The headers of all segments, after a last segment that was never begun is removed."""
        numbers = self._numbers()
        headers: list[_Header] = []
        for index, number in enumerate(numbers):
            path = self._path(number)
            if headers and number != headers[-1].number + 1:
                raise StorageError(
                    f"{self._path(headers[-1].number + 1)} is missing, and acknowledged writes "
                    f"with it: restore it from a copy"
                )
            with _telling(f"read {path}"):
                header = _header_of(path, number, last=index == len(numbers) - 1)
                if header is None:
                    path.unlink()
                else:
                    headers.append(header)
        return headers

    def _batches(self, header: _Header, least: int) -> Generator[list[Operation], None, int]:
        """The batches of a segment, which are whole up to ``least`` at least; gives their end."""
        path = self._path(header.number)
        with _telling(f"read {path}"):
            data = path.read_bytes()
        view = memoryview(data)
        at = _START
        while (record := _record_at(data, view, header, at)) is not None:
            operations, at = record
            yield operations
        if at < least or _has_record_after(data, view, header, at):
            raise StorageError(
                f"{path} is damaged at offset {at}, and acknowledged writes would be missing: "
                f"restore it from a copy. To do without all that follows, cut it off at {at} and "
                f"remove the segments after it"
            )
        return at

    # Writing

    def append(self, key: bytes, value: bytes | None) -> None:
        """Write one operation; None deletes. It outlives the process when this has returned.

        Raises:
            StorageError: it was not written. The next one can be.
        """
        # The same as append_batch with one operation, but this is called for every item.
        size = len(key)
        try:
            if value is None:
                body = _pack_one(size + 8, size, _NO_VALUE) + key
            else:
                count = len(value)
                body = _pack_one(size + count + 8, size, count) + key + value
        except struct.error:
            raise _too_large() from None
        with self._lock:
            segment = self._segment
            if segment is None:
                raise self._not_open()
            at = segment.size
            end = at + _FRAME_SIZE + len(body)
            if end > segment.reserved:
                segment.grow(end)
            segment.pages[at:end] = _pack_frame(segment.mark, crc32(body, segment.seed + at)) + body
            segment.size = end

    def append_batch(self, operations: Iterable[Operation]) -> None:
        """Write operations of which all or none are there after a crash. None at all do nothing.

        Raises:
            StorageError: they were not written. The next ones can be.
        """
        parts = [b""]
        try:
            for key, value in operations:
                if value is None:
                    parts += (_OPERATION.pack(len(key), _NO_VALUE), key)
                else:
                    parts += (_OPERATION.pack(len(key), len(value)), key, value)
            parts[0] = _LENGTH.pack(sum(map(len, parts)))
        except struct.error:
            raise _too_large() from None
        if len(parts) > 1:
            self._write(b"".join(parts))

    def _write(self, body: bytes) -> None:
        with self._lock:
            segment = self._open_segment()
            at = segment.size
            end = at + _FRAME_SIZE + len(body)
            if end > segment.reserved:
                segment.grow(end)
            segment.pages[at:end] = _pack_frame(segment.mark, crc32(body, segment.seed + at)) + body
            segment.size = end

    # Segments

    def rotate(self) -> int:
        """Begin a new segment.

        Returns:
            The number of the one before, to drop it when its operations are kept elsewhere.

        Raises:
            StorageError: it can't be begun. The one before is still written to.
        """
        with self._lock:
            sealed = self._open_segment()
            self._segment = self._begin(sealed.number + 1, sealed.size)
        sealed.close()
        return sealed.number

    def drop(self, upto: int) -> None:
        """Delete the segments up to a number, save the one that is written to.

        Raises:
            StorageError: they can't be deleted.
        """
        current = self._open_segment().number
        with _telling(f"delete segments in {self._folder}"):
            # The oldest first: no newer one may be missing behind an older one.
            for number in self._numbers():
                if number <= upto and number < current:
                    self._path(number).unlink(missing_ok=True)
            _sync(self._folder)

    def sync(self) -> None:
        """See what was written past a loss of power. Others can write meanwhile.

        Raises:
            StorageError: it can't be said that it is.
        """
        self._open_segment()
        with _telling(f"sync {self._folder}"):
            for number in self._numbers():
                # It may be dropped meanwhile.
                with suppress(FileNotFoundError):
                    _sync_segment(self._path(number))
            _sync(self._folder)
            _sync(self._folder.parent)

    def close(self) -> None:
        """Write no more. A second time does nothing."""
        with self._lock:
            segment, self._segment = self._segment, None
            self._replayed = True
        if segment is not None:
            segment.close()

    def _begin(self, number: int, before: int) -> _Segment:
        salt = os.urandom(8)
        header = _Header(number, before, salt[:4], int.from_bytes(salt[4:], "little"))
        path = self._path(number)
        fd = -1
        try:
            # One that is there is empty: its beginning was interrupted.
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
            _write_at(fd, 0, header.packed())
            return _opened(path, fd, header, _START)
        except BaseException as error:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            if fd >= 0:
                os.close(fd)
            if isinstance(error, OSError):
                raise _not_written(path, error) from error
            raise

    def _continue(self, header: _Header, end: int) -> _Segment:
        path = self._path(header.number)
        fd = os.open(path, os.O_RDWR)
        try:
            os.ftruncate(fd, end)
            return _opened(path, fd, header, end)
        except BaseException:
            os.close(fd)
            raise

    def _path(self, number: int) -> Path:
        return self._folder / f"journal-{number:08}"

    def _numbers(self) -> list[int]:
        with _telling(f"read {self._folder}"):
            names = [path.name for path in self._folder.iterdir()]
        return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))

    def _open_segment(self) -> _Segment:
        if self._segment is None:
            raise self._not_open()
        return self._segment

    def _not_open(self) -> StorageError:
        return StorageError(
            f"the journal in {self._folder} is not open: it was closed, or not replayed to its end"
        )


def _header_of(path: Path, number: int, *, last: bool) -> _Header | None:
    """The header of a segment; None if it is the last one and its header was not written fully."""
    with path.open("rb") as file:
        start = file.read(_START)
        if last and len(start) < _START and MAGIC.startswith(start[: len(MAGIC)]):
            return None
        # After a loss of power a file can have its size, but not what is in it.
        if last and not any(start) and not any(file.read()):
            return None
    if not start.startswith(MAGIC[:-1]):
        raise StorageError(
            f"{path} doesn't begin as a journal of rivulet: move it away if it is something else, "
            f"or else restore it from a copy"
        )
    if start[: len(MAGIC)] != MAGIC:
        found = start[len(MAGIC) - 1 : len(MAGIC)].hex()
        raise StorageError(
            f"{path} has format {found}, and this version of rivulet reads {VERSION:02x}: open it "
            f"with the version that wrote it"
        )
    if len(start) < _START or _CHECKSUM.unpack_from(start, _HEADER.size)[0] != crc32(start[:-4]):
        raise StorageError(f"{path} is damaged at offset 0: restore it from a copy")
    _, found, before, mark, seed = _HEADER.unpack_from(start)
    if found != number:
        raise StorageError(f"{path} was journal-{found:08}: give it its name back")
    return _Header(number, before, mark, seed)


def _record_at(
    data: bytes, view: memoryview, header: _Header, at: int
) -> tuple[list[Operation], int] | None:
    """The operations of a record and where it ends; None if there is no whole one."""
    body = at + _FRAME_SIZE
    here = body + _LENGTH.size
    if here > len(data):
        return None
    mark, checksum = _FRAME.unpack_from(data, at)
    end = here + _LENGTH.unpack_from(data, body)[0]
    if mark != header.mark or end > len(data):
        return None
    if crc32(view[body:end], header.seed + at) != checksum:
        return None
    operations: list[Operation] = []
    while here < end:
        if here + _OPERATION.size > end:
            return None
        size, count = _OPERATION.unpack_from(data, here)
        here += _OPERATION.size
        key, here = data[here : here + size], here + size
        value = None
        if count != _NO_VALUE:
            value, here = data[here : here + count], here + count
        operations.append((key, value))
    return (operations, end) if operations and here == end else None


def _has_record_after(data: bytes, view: memoryview, header: _Header, at: int) -> bool:
    while (at := data.find(header.mark, at + 1)) >= 0:
        if _record_at(data, view, header, at) is not None:
            return True
    return False


def _opened(path: Path, fd: int, header: _Header, size: int) -> _Segment:
    """A segment to write to, in which so much is written."""
    pages, reserved = _Unmapped(path, fd), sys.maxsize
    if _kind_of_disk(fd) not in _NEVER_IN_PLACE:
        try:
            pages, reserved = mmap(fd, size), size
        except OSError as error:
            if error.errno not in _CANT_MAP:
                raise
    return _Segment(path, fd, header.number, header.mark, header.seed, size, reserved, pages)


def _kind_of_disk(fd: int) -> str:
    """The kind of the file system that a file is in; empty where the system doesn't tell."""
    try:
        file = Path(f"/proc/self/fdinfo/{fd}").read_text("ascii")
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "replace")
    except OSError:
        return ""
    mount = re.search(r"^mnt_id:\s*([0-9]+)$", file, re.MULTILINE)
    kind = mount and re.search(rf"^{mount[1]} .* - (\S+) ", mounts, re.MULTILINE)
    return kind[1] if kind else ""


def _reserve(fd: int, start: int, end: int) -> None:
    """Extend a file by zeros that have their room on the disk."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(fd, start, end - start)
        except OSError as error:
            if error.errno not in _CANT_RESERVE:
                raise
    # Also where that is done: what was written is mapped and synced for less.
    _write_at(fd, start, bytes(end - start))


def _write_at(fd: int, at: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, at)
        if not written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        rest = rest[written:]
        at += written


def _sync_segment(path: Path) -> None:
    if not _FSYNC_WRITES_MAPS:
        # One that is just begun may be empty, and can't be mapped.
        with path.open("r+b") as file, suppress(ValueError), mmap(file.fileno(), 0) as pages:
            pages.flush()
    _sync(path)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _telling(doing: str) -> Generator[None, None, None]:
    """Errors of the system as errors of ours."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(f"can't {doing}: {error.strerror}") from error


def _not_written(path: Path, error: OSError) -> StorageError:
    if error.errno in _FULL:
        return StorageError(
            f"the disk is full, so this write was not made: make room and write again ({path}: "
            f"{error.strerror})"
        )
    return StorageError(f"this write was not made: {path}: {error.strerror}")


def _too_large() -> StorageError:
    return StorageError("this write was not made: one write takes less than 4 GiB")
