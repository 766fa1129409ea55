"""What is kept for a key: the codec's bytes, and in front of them what the key alone can't tell.

====  ======================================================================
1     flags
8     the stamp, where `STAMPED` is set: when it was written, in nanoseconds
4, n  length and MessagePack of the key as it was given, where `EXACT` is set
rest  the value
====  ======================================================================

Equal keys are one key, so ``1.0`` is found as ``1``; a listing gives it back as it was put.
"""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime
from typing import Any, Final, cast

from rivulet.codecs import MsgpackCodec
from rivulet.errors import CodecError, StorageError
from rivulet.state import keys
from rivulet.state.keys import Key

__all__ = ["EXACT", "PLAIN", "STAMPED", "header_of", "key_of", "payload_of", "stamp_of", "stamped"]

EXACT: Final = 1
STAMPED: Final = 2
PLAIN: Final = b"\0"
"""The header of an entry without any of these."""

_CODEC: Final = MsgpackCodec()
_stamp: Final = struct.Struct(">Q")
_length: Final = struct.Struct(">I")
_AS_WRITTEN: Final = frozenset({type(None), str, bytes, int, date})


def header_of(key: Key) -> bytes:
    """What comes in front of the value of a key."""
    if _comes_back(key):
        return PLAIN
    try:
        exact = _CODEC.encode(key)
    except CodecError:
        return PLAIN  # a subclass that isn't registered, which comes back as its plain value
    return bytes((EXACT,)) + _length.pack(len(exact)) + exact


def _comes_back(key: Any) -> bool:
    """Whether the key's own bytes give it back with its type."""
    kind = cast("type[Any]", type(key))
    if kind in _AS_WRITTEN:
        return True
    if kind is float:
        return not key.is_integer()
    if kind is datetime:
        return not key.fold and (key.tzinfo is None or key.tzinfo is UTC)
    return kind is tuple and all(map(_comes_back, key))


def stamped(data: bytes, stamp: int) -> bytes:
    """The same entry with a stamp."""
    rest = data[9:] if data[0] & STAMPED else data[1:]
    return bytes((data[0] | STAMPED,)) + _stamp.pack(stamp) + rest


def stamp_of(data: bytes) -> int | None:
    """When an entry was written, if it says so."""
    try:
        return cast("int", _stamp.unpack_from(data, 1)[0]) if data[0] & STAMPED else None
    except (IndexError, struct.error) as error:
        raise _no_entry(data) from error


def payload_of(data: bytes) -> bytes:
    """The value in an entry."""
    return data[1:] if data and data[0] == 0 else data[_split(data)[1] :]


def key_of(key: bytes, data: bytes) -> Key:
    """The key of an entry, as it was put."""
    if data and not data[0] & EXACT:
        return keys.decode(key)
    start, end = _split(data)
    return _CODEC.decode(data[start:end])


def _split(data: bytes) -> tuple[int, int]:
    """Where the exact key begins and where the value does."""
    try:
        flags = data[0]
        start = end = 9 if flags & STAMPED else 1
        if flags & EXACT:
            start += 4
            (size,) = _length.unpack_from(data, end)
            end = start + size
        if end <= len(data) and flags <= EXACT | STAMPED:
            return start, end
    except (IndexError, struct.error) as error:
        raise _no_entry(data) from error
    raise _no_entry(data)


def _no_entry(data: bytes) -> StorageError:
    return StorageError(f"{data!r:.100} is no entry of a cache")
