"""Find loops that wait for each other, so that such a graph fails instead of hanging."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol, final

from rivulet.errors import StuckError

__all__ = ["Hold", "Inlet", "Outlet", "Party", "check_stuck"]


class Party:
    """A loop that reads from boundaries and writes to them.

    Attributes:
        waits_for_room: the end of a boundary that it waits to write to.
        waits_for_items: the end of a boundary that it waits to read from.
        waits_for_signals: what a stage of it waits for.
        failure: what it has failed with.
    """

    waits_for_room: Inlet | None = None
    waits_for_items: Outlet | None = None
    waits_for_signals: Hold | None = None
    failure: BaseException | None = None


@final
class Hold:
    """A stage that waits for what other stages do.

    Args:
        title: what to call it in an error.
        event: what it waits for.
        awaited: for each thing that has to happen first, the loops that may bring it, each with the
            title of the stage that does; none where it comes from outside.
    """

    def __init__(
        self, title: str, event: asyncio.Event, awaited: Sequence[Sequence[tuple[str, Party]]]
    ) -> None:
        self.title = title
        self.event = event
        self.awaited = awaited

    @property
    def failure(self) -> BaseException | None:
        """Why something won't come any more."""
        for bringing in self.awaited:
            failures = [party.failure for _, party in bringing]
            if failures and all(failures):
                return failures[0]
        return None


class Inlet(Protocol):
    """The end of a boundary that one loop writes to."""

    @property
    def title(self) -> str:
        """What to call it in an error."""
        ...

    @property
    def writer(self) -> Party | None:
        """The loop that writes; None for something outside."""
        ...

    @property
    def reader(self) -> Party | None:
        """The loop that reads at the other end; None for something outside."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether its writer can go on."""
        ...

    @property
    def has_items(self) -> bool:
        """Whether its reader can go on."""
        ...


class Outlet(Protocol):
    """The end of a boundary that one loop reads from."""

    @property
    def busy(self) -> bool:
        """Whether something is on its way that needs no loop to go on."""
        ...

    def awaited(self) -> Sequence[Inlet]:
        """The ends from which an item would let the reader go on."""
        ...


def check_stuck(party: Party) -> None:
    """Called when a loop begins to wait for another.

    Raises:
        StuckError: what it waits for can only come from loops that wait for it.
    """
    if not _goes_on(party, frozenset()):
        raise StuckError(_message(party))


def _goes_on(party: Party | None, above: frozenset[Party]) -> bool:
    """Whether a loop can go on by itself, or by others that can."""
    if party is None:
        return True
    if party in above:
        return False
    above |= {party}
    if (hold := party.waits_for_signals) is not None:
        return hold.event.is_set() or all(
            not bringing or any(_goes_on(other, above) for _, other in bringing)
            for bringing in hold.awaited
        )
    if (inlet := party.waits_for_room) is not None:
        return inlet.has_room or _goes_on(inlet.reader, above)
    if (outlet := party.waits_for_items) is not None:
        awaited = outlet.awaited()
        # Without one that could still bring something, the end is on its way.
        return (
            not awaited
            or outlet.busy
            or any(inlet.has_items or _goes_on(inlet.writer, above) for inlet in awaited)
        )
    return True


def _message(party: Party) -> str:
    full: dict[str, None] = {}
    empty: dict[str, None] = {}
    held: dict[str, None] = {}
    seen: set[Party] = set()
    todo: list[Party | None] = [party]
    while todo:
        at = todo.pop()
        if at is None or at in seen:
            continue
        seen.add(at)
        if (inlet := at.waits_for_room) is not None:
            full[inlet.title] = None
            todo.append(inlet.reader)
        elif (outlet := at.waits_for_items) is not None:
            for inlet in outlet.awaited():
                empty[inlet.title] = None
                todo.append(inlet.writer)
        elif (hold := at.waits_for_signals) is not None:
            for title, other in (pair for bringing in hold.awaited for pair in bringing):
                held[f"{hold.title} waits for {title}"] = None
                todo.append(other)
    waiting = [*([f"{' and '.join(empty)} is empty"] if empty else []), *held]
    if not full:
        return f"nothing can go on: {', and '.join(waiting)}"
    return (
        f"nothing can go on: {' and '.join(full)} is full while {' and '.join(waiting)}, "
        f"and each waits for the other. Put .buffer(n) in front of the full one, with room for "
        f"as many items as one branch may be ahead of the other"
    )
