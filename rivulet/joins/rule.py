"""Which right item an as-of join takes for a left one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rivulet.core.time import FOREVER

__all__ = ["FAR", "Direction", "Rule"]

Direction = Literal["backward", "forward", "nearest"]

FAR: Final = 2**65
"""As a tolerance: none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Which right item is taken, by its time alone. All times are in microseconds.

    Attributes:
        direction: the last one before, the first one after, or the nearest; the earlier of two.
        reach: how far from the left item it may be.
        exact: one of the same time will do.
    """

    direction: Direction
    reach: int
    exact: bool

    def finder(self) -> Callable[[Sequence[int], int], int]:
        """A function that gives the place of the match among sorted times, or -1."""
        reach = self.reach
        before = bisect_right if self.exact else bisect_left
        after = bisect_left if self.exact else bisect_right

        def backward(times: Sequence[int], t: int) -> int:
            # Mostly it comes after all that there is.
            i = (len(times) if times and times[-1] < t else before(times, t)) - 1
            return i if i >= 0 and t - times[i] <= reach else -1

        def forward(times: Sequence[int], t: int) -> int:
            i = after(times, t)
            return i if i < len(times) and times[i] - t <= reach else -1

        def nearest(times: Sequence[int], t: int) -> int:
            i, j = backward(times, t), forward(times, t)
            if i < 0 or j < 0:
                return max(i, j)
            return i if t - times[i] <= times[j] - t else j

        return {"backward": backward, "forward": forward, "nearest": nearest}[self.direction]

    def better(self, t: int, new: int, old: int | None) -> bool:
        """Whether a right item that has come is to be taken rather than the match before."""
        distance = abs(t - new)
        if distance > self.reach or (new == t and not self.exact):
            return False
        match self.direction:
            case "backward":
                return new <= t and (old is None or new >= old)
            case "forward":
                return new >= t and (old is None or new <= old)
            case "nearest":
                return old is None or (distance, new) <= (abs(t - old), old)

    def certain(self, t: int, found: int | None) -> int:
        """The watermark of the right from which on the match of a left item is certain.

        Args:
            t: when the left item happened.
            found: when the best match so far did.
        """
        if self.direction == "backward":
            return t + self.exact
        if found is None:
            return min(t + self.reach + 1, FOREVER)
        return found + 1 if found >= t else 2 * t - found
