"""Records of a topic, in the shape that aiokafka gives them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from rivulet.core.text import shortened

__all__ = ["READ_FROM_END", "READ_FROM_START", "OffsetAndTimestamp", "Record", "RecordMetadata"]

READ_FROM_START: Final = -2
"""As an offset: from the first record that is kept."""
READ_FROM_END: Final = -1
"""As an offset: only what comes from now on."""

Headers = tuple[tuple[str, bytes], ...]


class Record(NamedTuple):
    """One record of a topic.

    Attributes:
        topic: the topic's name.
        partition: which part of the topic it is in.
        offset: its place there.
        timestamp: milliseconds since 1970.
        timestamp_type: 0 for the time that its producer gave, 1 for that of the broker.
        key: decoded; None where it has none.
        value: decoded; None where it has none.
        checksum: always None.
        serialized_key_size: bytes of the key, -1 for None.
        serialized_value_size: bytes of the value, -1 for None.
        headers: names and bytes.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    key: Any
    value: Any
    checksum: int | None
    serialized_key_size: int
    serialized_value_size: int
    headers: Headers

    def __repr__(self) -> str:
        more = f", headers={self.headers!r}" if self.headers else ""
        return (
            f"Record({self.topic!r}, partition={self.partition}, offset={self.offset}, "
            f"timestamp={self.timestamp}, key={shortened(self.key, 60)}, "
            f"value={shortened(self.value, 120)}{more})"
        )


class RecordMetadata(NamedTuple):
    """Where a record was written.

    Attributes:
        topic: the topic's name.
        partition: which part of it.
        offset: its place there.
        timestamp: milliseconds since 1970.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int | None


class OffsetAndTimestamp(NamedTuple):
    """The first record at or after a time.

    Attributes:
        offset: its place in its partition.
        timestamp: its own time in milliseconds since 1970.
    """

    offset: int
    timestamp: int | None
