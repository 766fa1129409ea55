"""``Window``: what came of the items of one stretch of time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Generic, TypeVar, final

__all__ = ["Window"]

K_co = TypeVar("K_co", covariant=True)
V_co = TypeVar("V_co", covariant=True)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@final
class Window(Generic[K_co, V_co]):
    """What came of the items of one window.

    Attributes:
        key: the key of its items; None where windows have no keys.
        value: the result; None in a correction that takes back what was given before, as when a
            session has become a part of another.
        revision: how often a result of this window was given before.
        final: whether it won't be given again.
    """

    __slots__ = ("_end", "_start", "_tz", "final", "key", "revision", "value")

    def __init__(
        self,
        key: K_co,
        start: int | None,
        end: int | None,
        value: V_co,
        revision: int = 0,
        final: bool = True,
        tz: tzinfo = UTC,
    ) -> None:
        self.key = key
        self._start = start
        self._end = end
        self.value = value
        self.revision = revision
        self.final = final
        self._tz = tz

    @property
    def start(self) -> datetime | None:
        """Where it begins, that moment included; None if its items have no time."""
        return None if self._start is None else _moment(self._start, self._tz)

    @property
    def end(self) -> datetime | None:
        """Where it ends, that moment excluded; of a sliding window, its last moment."""
        return None if self._end is None else _moment(self._end, self._tz)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Window) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((self.key, self._start, self._end, self.revision))

    def _fields(self) -> tuple[Any, ...]:
        return (self.key, self._start, self._end, self.value, self.revision, self.final)

    def __reduce__(self) -> tuple[Any, ...]:
        return Window, (*self._fields(), self._tz)

    def __repr__(self) -> str:
        key = "" if self.key is None else f"{self.key!r}, "
        state = "" if self.final else ", not final"
        revision = f", revision {self.revision}" if self.revision else ""
        span = "" if self._start is None else f"{_text(self.start)} to {_text(self.end)}, "
        return f"Window({key}{span}{self.value!r}{revision}{state})"


def _moment(stamp: int, tz: tzinfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=stamp)).astimezone(tz)


def _text(moment: datetime | None) -> str:
    assert moment is not None
    return moment.replace(tzinfo=None).isoformat(" ") if moment.tzinfo is UTC else str(moment)
