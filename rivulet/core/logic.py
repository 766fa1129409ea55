"""What a stage does in one run, apart from what it is.

A node holds arguments and is shared by all runs; a ``Logic`` holds the state of one run and is
made afresh for each. It knows no task and no loop, so it can be tested by calling it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Coroutine, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from rivulet.core.callables import Mode
from rivulet.core.time import Watermark

if TYPE_CHECKING:
    from asyncio import Event

    from rivulet.core.node import Node

__all__ = ["Context", "Logic"]

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Logic:
    """The hot path of a stage and what goes with it; each part but the first may be missing.

    Attributes:
        call: the hot path, a closure over its state (a bound method costs more).
        mode: how the results of ``call`` are taken; only logic that calls the user's functions
            itself gives anything to await.
        cell: what the loop itself works on: the state of an accumulating stage, a list which is
            empty before the first item; or what the ``lines`` of a stage are about.
        on_start: outputs before the first item.
        again: items to take in once more before the first one: what was in hand when the state that
            was restored was saved.
        on_time: outputs that a watermark releases (event time).
        on_timer: outputs that are due now (processing time, in the seconds of ``Context.now``).
        on_end: outputs at the end of input.
        after: called when an item has gone through everything below this stage; it may give
            something to await where the stage ``awaits``.
        left: called when nothing below wants more items.
        passes: the watermark to pass on for one received, where the stage keeps items back.
        deadline: the watermark at which ``on_time`` is needed next.
        late: how many items came too late.
        wants: of a selective combining stage, the inputs that it wants an item of; of a stepped
            one, those that it can take items of now.
        on_mark: of a stepped combining stage, outputs that the watermark of one input releases:
            ``IDLE`` while that is left out, ``FOREVER`` at its end. ``passes`` is asked after it.
        snapshot: the state as plain data.
        restore: take a state that ``snapshot`` gave.
        open: called once before the first item; may give something to await.
        close: called once when the stage is over, with the error that ended the run or None; may
            give something to await.

    Outputs are items for a stage that keeps stamps and ``(item, stamp)`` pairs for one that gives
    its own, with ``None`` as stamp where stamps aren't carried.
    """

    call: Callable[..., Any] | None = None
    mode: Mode = "sync"
    cell: Any = None
    on_start: Callable[[], Iterable[Any]] | None = None
    again: Callable[[], Iterable[tuple[Any, Any]]] | None = None
    on_time: Callable[[int], Iterable[Any]] | None = None
    on_timer: Callable[[float], Iterable[Any]] | None = None
    on_end: Callable[[], Iterable[Any]] | None = None
    after: Callable[[], Any] | None = None
    left: Callable[[], None] | None = None
    passes: Callable[[int], int] | None = None
    deadline: Callable[[], int] | None = None
    late: Callable[[], int] | None = None
    wants: Callable[[], Iterable[int]] | None = None
    on_mark: Callable[[int, int], Iterable[Any]] | None = None
    snapshot: Callable[[], Any] | None = None
    restore: Callable[[Any], None] | None = None
    open: Callable[[], Any] | None = None
    close: Callable[[BaseException | None], Any] | None = None


class Context(Protocol):
    """What the run offers to a logic."""

    @property
    def stamped(self) -> bool:
        """Whether stamps are carried here."""
        ...

    @property
    def stopping(self) -> bool:
        """Whether the end of input is a stop rather than the end."""
        ...

    @property
    def paused(self) -> bool:
        """Whether the run is held between two items."""
        ...

    @property
    def clock(self) -> Watermark:
        """The event clock that this stage is under."""
        ...

    def wall(self) -> float:
        """The time of day in POSIX seconds."""
        ...

    def now(self) -> float:
        """The run's clock in seconds (processing time); only differences mean something."""
        ...

    def wake_at(self, when: float) -> None:
        """Have ``on_timer`` called at this time of the run's clock, or earlier if asked before."""
        ...

    def end(self) -> None:
        """Say that this stage wants no more input."""
        ...

    def spawn(self, work: Callable[[], Coroutine[Any, Any, None]], /) -> None:
        """Run something beside the loop until the run is over."""
        ...

    @property
    def source(self) -> Any:
        """What the loop reads, as it was opened; None while it isn't, and behind a boundary."""
        ...

    @property
    def hands_on(self) -> bool:
        """Whether items go on from this loop to other loops."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether the loops below have done with all that this one has handed on."""
        ...

    async def settle(self) -> None:
        """Wait until they have."""
        ...

    async def hold(self, event: Event, signals: Collection[object], /) -> bool:
        """Wait inside of a stage for an event, which stages that have these ``signals`` bring.

        Gives False when it isn't to be waited for, as the run is being stopped.

        Raises:
            StuckError: they wait for this one.
            BaseException: what they have failed with.
        """
        ...

    def common(self, key: object, make: Callable[[], T], /) -> T:
        """What several stages of one run have in common, made by the first that asks."""
        ...

    def subscribe(self, node: Node, /) -> AsyncGenerator[Any, None]:
        """Run a nested graph and give its entries; to be closed by who asked for it."""
        ...
