"""How far event time is on the two sides of a join."""

from __future__ import annotations

from rivulet.core.entries import IDLE
from rivulet.core.time import FOREVER, NEVER

__all__ = ["Sides"]


class Sides:
    """Two clocks. A side that is left out for its silence counts as far as the other.

    Args:
        gives_up: when the left has ended, a right that is left out counts as ended too.

    Attributes:
        left: no smaller stamp is expected on the left.
        right: no smaller one is expected on the right.
    """

    __slots__ = ("_gives_up", "_idle", "_marks", "left", "right")

    def __init__(self, *, gives_up: bool = False) -> None:
        self._gives_up = gives_up
        self._marks = [NEVER, NEVER]
        self._idle = [False, False]
        self.left = NEVER
        self.right = NEVER

    def told(self, side: int, watermark: int) -> None:
        """The watermark of a side, or ``IDLE``."""
        self._idle[side] = watermark == IDLE
        if watermark != IDLE:
            self._marks[side] = watermark
        left, right = self._marks
        if self._idle == [True, False] and right != FOREVER:
            left = max(left, right)
        elif self._idle == [False, True] and (left != FOREVER or self._gives_up):
            right = max(left, right)
        self.left, self.right = left, right

    def is_idle(self, side: int) -> bool:
        """Whether a side is left out."""
        return self._idle[side]

    def has_ended(self, side: int) -> bool:
        """Whether nothing more comes on a side."""
        return self._marks[side] == FOREVER

    @property
    def watermark(self) -> int:
        """The watermark of both together; ``NEVER`` when both have ended, which is told apart."""
        watermark = min(self.left, self.right)
        return NEVER if watermark == FOREVER else watermark

    def snapshot(self) -> tuple[list[int], list[bool]]:
        """Both clocks as plain data."""
        return list(self._marks), list(self._idle)

    def restore(self, state: tuple[list[int], list[bool]]) -> None:
        """Take what ``snapshot`` gave."""
        self._marks[:], self._idle[:] = state
        self.told(0, IDLE if self._idle[0] else self._marks[0])
