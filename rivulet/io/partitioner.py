"""Keys to partitions, the same in all transports and in every client of Kafka."""

from __future__ import annotations

import struct
from functools import lru_cache

__all__ = ["murmur2", "partition_of"]

_WORD = 0xFFFFFFFF
_MIX = 0x5BD1E995
_SEED = 0x9747B28C


def murmur2(data: bytes) -> int:
    """The hash of Kafka's default partitioner, as a 32-bit number without sign."""
    length = len(data)
    whole = length & ~3
    h = _SEED ^ length
    for k in struct.unpack_from(f"<{whole >> 2}I", data):
        k = k * _MIX & _WORD
        k = (k ^ k >> 24) * _MIX & _WORD
        h = h * _MIX & _WORD ^ k
    if whole < length:
        h = (h ^ int.from_bytes(data[whole:], "little")) * _MIX & _WORD
    h = (h ^ h >> 13) * _MIX & _WORD
    return h ^ h >> 15


@lru_cache(maxsize=8192)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key among so many."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions
