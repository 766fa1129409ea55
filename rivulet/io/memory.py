"""A log in memory: what notebooks and tests use in place of a broker."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final, final

from rivulet.io.embedded import Commit, Entry, Log, sizes
from rivulet.io.records import OffsetAndTimestamp, Record

__all__ = ["MemoryStorage", "memory_log"]

_logs: Final[dict[str, Log]] = {}
_lock: Final = threading.Lock()


def memory_log(name: str) -> Log:
    """The log of a name: one for the whole process, for as long as it lasts."""
    with _lock:
        if name not in _logs:
            _logs[name] = Log(f"memory://{name}", MemoryStorage())
        return _logs[name]


@final
class MemoryStorage:
    """Records in lists, one for each partition."""

    gathers = False

    def __init__(self) -> None:
        self._topics: dict[str, list[list[Record]]] = {}
        self._groups: dict[tuple[str, str], dict[int, int]] = {}

    def partitions(self, topic: str, /) -> int:
        """How many partitions a topic has."""
        return len(self._topics.get(topic, ()))

    def create(self, topic: str, partitions: int, /) -> None:
        """Make a topic, or give it more partitions."""
        lists = self._topics.setdefault(topic, [])
        lists.extend([] for _ in range(partitions - len(lists)))

    def write(self, entries: Sequence[Entry], commit: Commit | None = None, /) -> list[int]:
        """Append records, and keep a group's offsets."""
        offsets: list[int] = []
        for topic, partition, timestamp, key, value, headers in entries:
            records = self._topics[topic][partition]
            offset = len(records)
            offsets.append(offset)
            a, b = sizes(key, value)
            records.append(
                Record(topic, partition, offset, timestamp, 0, key, value, None, a, b, headers)
            )
        if commit is not None:
            group, topic, reached = commit
            self._groups.setdefault((group, topic), {}).update(reached)
        return offsets

    def read(self, topic: str, partition: int, offset: int, limit: int, /) -> list[Record]:
        """A slice of a list."""
        return self._topics[topic][partition][offset : offset + limit]

    def bounds(self, topic: str, partition: int, /) -> tuple[int, int]:
        """Nothing is ever dropped."""
        return 0, len(self._topics[topic][partition])

    def at_time(self, topic: str, partition: int, time: int, /) -> OffsetAndTimestamp | None:
        """The first record at or after a time, of whichever order they are."""
        for record in self._topics[topic][partition]:
            if record.timestamp >= time:
                return OffsetAndTimestamp(record.offset, record.timestamp)
        return None

    def committed(self, group: str, topic: str, /) -> dict[int, int]:
        """The offsets of a group."""
        return dict(self._groups.get((group, topic), {}))

    def close(self) -> None:
        """Nothing is held outside of this process."""
