"""The state of the keys of a group: one list for each key, made when the key comes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Any, final

from rivulet.core.checks import unhashable
from rivulet.core.time import FOREVER

__all__ = ["Groups"]


@final
class Groups:
    """A list ``[key, call or cell, on_end, passes, ...]`` for each key.

    Args:
        make: makes the list of a new key.
        max_keys: the key unused for longest is spare when there are more.
        idle: seconds after which a key without items is idle.
        now: the run's clock.
        wake: asks for a look at the idle ones at a time.
    """

    def __init__(
        self,
        make: Callable[[Any], list[Any]],
        *,
        max_keys: int | None,
        idle: float | None,
        now: Callable[[], float],
        wake: Callable[[float], None],
    ) -> None:
        self._make = make
        self._max_keys = max_keys
        self._wait = idle
        self._now = now
        self._wake = wake
        self._groups: OrderedDict[Any, list[Any]] = OrderedDict()
        self._heard: dict[Any, float] = {}
        self._held: list[_Held] = []

    def passes(self, slot: int) -> Callable[[int], int]:
        """A function that says how far a watermark passes what a stage holds for all keys."""
        held = _Held(slot)
        self._held.append(held)
        return held.passes

    def getter(self) -> Callable[[Any], list[Any]]:
        """A function that gives the state of a key."""
        state = self._getter()
        if not self._held:
            return state
        touched = [held.touched for held in self._held]

        def state_touched(key: Any) -> list[Any]:
            group = state(key)
            for groups in touched:
                groups[key] = group
            return group

        return state_touched

    def _getter(self) -> Callable[[Any], list[Any]]:
        groups, make = self._groups, self._make
        get, to_end = groups.get, groups.move_to_end
        ordered, wait = self._max_keys is not None, self._wait

        def state(key: Any) -> list[Any]:
            try:
                group = get(key)
            except TypeError:
                raise unhashable(key) from None
            if group is None:
                group = groups[key] = make(key)
            elif ordered:
                to_end(key)
            return group

        def state_heard(key: Any) -> list[Any]:
            assert wait is not None
            now = self._now()
            if not self._heard:
                self._wake(now + wait)
            self._heard[key] = now
            return state(key)

        return state if wait is None else state_heard

    def spare(self) -> Iterator[list[Any]]:
        """Give up keys until there are as many as allowed."""
        assert self._max_keys is not None
        while len(self._groups) > self._max_keys:
            key, group = self._groups.popitem(last=False)
            self._heard.pop(key, None)
            self._forget(key)
            yield group

    def idle(self, now: float) -> Iterator[list[Any]]:
        """Give up the keys that were silent for long."""
        assert self._wait is not None
        for key, heard in list(self._heard.items()):
            if now - heard >= self._wait - 1e-6:
                del self._heard[key]
                self._forget(key)
                yield self._groups.pop(key)
        if self._heard:
            self._wake(min(self._heard.values()) + self._wait)

    def all(self) -> Iterator[list[Any]]:
        """Give up all keys, in the order in which they came or were last used."""
        while self._groups:
            yield self._groups.popitem(last=False)[1]

    def _forget(self, key: Any) -> None:
        for held in self._held:
            held.forget(key)


@final
class _Held:
    """The least stamp that a stage holds for any key; looks only at keys that had an item.

    Args:
        slot: where the lists of the keys keep the stage.

    Attributes:
        touched: the keys that had an item since the last look.
    """

    def __init__(self, slot: int) -> None:
        self.touched: dict[Any, list[Any]] = {}
        self._slot = slot
        self._stamps: list[tuple[int, int, Any]] = []
        self._newest: dict[Any, int] = {}
        self._numbers = count()

    def passes(self, watermark: int) -> int:
        """The watermark, or the least stamp held, if that is lower."""
        for key, group in self.touched.items():
            stamp = group[self._slot + 2](FOREVER)
            self._newest.pop(key, None)
            if stamp < FOREVER:
                number = self._newest[key] = next(self._numbers)
                heappush(self._stamps, (stamp, number, key))
        self.touched.clear()
        stamps = self._stamps
        while stamps and self._newest.get(stamps[0][2]) != stamps[0][1]:
            heappop(stamps)
        return min(watermark, stamps[0][0]) if stamps else watermark

    def forget(self, key: Any) -> None:
        """The key is gone."""
        self.touched.pop(key, None)
        self._newest.pop(key, None)
