"""How far a stream has come that another one depends on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol, final

from rivulet.core.callables import check_callable, is_awaitable
from rivulet.core.durations import seconds
from rivulet.errors import GraphError

if TYPE_CHECKING:
    from rivulet.gates.checkpoint import Checkpoint

__all__ = ["Check", "Dependency", "Memory", "check_name", "given", "kept"]

Check = Callable[["Checkpoint", "Dependency"], Any]


class Memory(Protocol):
    """What a checkpoint is kept in: a ``Cache``, a dict, or whatever has these methods."""

    def __contains__(self, key: Any, /) -> bool: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def __setitem__(self, key: Any, value: Any, /) -> None: ...


@final
class Dependency:
    """A stream that another one depends on, and how far it has come.

    Its marker is how far it has come: a ``datetime``, or a number such as POSIX seconds. It only
    moves forward; a late marker changes nothing. With checks of its own it can be anything, and is
    the last that was given.

    Args:
        name: under which it is kept; not to be changed once it is.
        dependency: the stream itself; only kept here.
        downtime_threshold: how far it may be behind the dependent stream before it is down:
            seconds, a ``timedelta`` or text such as ``"10m"``.
        downtime_check: called with the checkpoint and this to see whether it is down, sync or
            async; gives how far it is behind, or something falsy.
        recovery_check: called in the same way while it is down, to see whether it is up again.

    Attributes:
        checkpoint_marker: how far it has come; None if it has not spoken.
        checkpoint_state: the state of the dependent stream when it last spoke; while it is down,
            that at the first item for which it was.
        is_down: it is too far behind.
        is_assumed: it has not spoken, and is taken to be as far as the dependent stream was.
        has_ended: nothing more will come of it, so that it holds nothing back.

    Raises:
        GraphError: an argument isn't any of these.

    Example:
        >>> Dependency("weather", downtime_threshold="1h")
        {'checkpoint_state': None, 'checkpoint_marker': None}

    Source: ``Dependency`` of Slipstream, whose names these are.
    """

    def __init__(
        self,
        name: str,
        dependency: object = None,
        downtime_threshold: Any = timedelta(minutes=10),
        downtime_check: Check | None = None,
        recovery_check: Check | None = None,
    ) -> None:
        check_name(name, "Dependency")
        for check, argument in (
            (downtime_check, "downtime_check"),
            (recovery_check, "recovery_check"),
        ):
            if check is not None:
                check_callable(check, "Dependency", argument)
        if downtime_check is None:
            seconds(downtime_threshold, "Dependency(downtime_threshold)", zero=True)
        self.name = name
        self.dependency = dependency
        self.downtime_threshold = downtime_threshold
        self.downtime_check: Check = downtime_check or _downtime
        self.recovery_check: Check = recovery_check or _recovery
        self.checkpoint_state: Any = None
        self.checkpoint_marker: Any = None
        self.is_down = False
        self.has_ended = False
        self.is_assumed = False

    @property
    def compares(self) -> bool:
        """Whether its markers are compared here, and not by a check of the user."""
        return self.downtime_check is _downtime and self.recovery_check is _recovery

    @property
    def has_recovery_check(self) -> bool:
        """Whether a check of the user says when it is up again."""
        return self.recovery_check is not _recovery

    def move(self, marker: Any) -> None:
        """It has come as far as a marker.

        Raises:
            TypeError: the marker is neither a ``datetime`` nor a number, or not what others were.
        """
        before = marker if self.checkpoint_marker is None else self.checkpoint_marker
        ahead = not self.compares or _is_ahead(_distance(marker, before))
        if ahead or self.checkpoint_marker is None or self.is_assumed:
            self.checkpoint_marker = marker
        self.has_ended = self.is_assumed = False

    def assume(self, marker: Any) -> None:
        """Take it to be as far as the dependent stream, until it speaks."""
        self.checkpoint_marker = marker
        self.is_assumed = True

    def save(
        self, cache: Memory, cache_key_prefix: str, checkpoint_state: Any, checkpoint_marker: Any
    ) -> None:
        """Keep a state and a marker."""
        key = f"{cache_key_prefix}{self.name}_"
        cache[f"{key}checkpoint_state"] = checkpoint_state
        cache[f"{key}checkpoint_marker"] = checkpoint_marker

    def save_flags(self, cache: Memory, cache_key_prefix: str) -> None:
        """Keep whether it is down, and whether it has not spoken."""
        key = f"{cache_key_prefix}{self.name}_"
        cache[f"{key}is_down"] = self.is_down
        cache[f"{key}is_assumed"] = self.is_assumed

    def load(self, cache: Memory, cache_key_prefix: str) -> None:
        """Take what was kept."""
        key = f"{cache_key_prefix}{self.name}_"
        self.checkpoint_state = kept(cache, f"{key}checkpoint_state")
        self.checkpoint_marker = kept(cache, f"{key}checkpoint_marker")
        self.is_down = bool(kept(cache, f"{key}is_down"))
        self.is_assumed = bool(kept(cache, f"{key}is_assumed"))

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """State and marker, for ``dict``."""
        yield "checkpoint_state", self.checkpoint_state
        yield "checkpoint_marker", self.checkpoint_marker

    def __repr__(self) -> str:
        return repr(dict(self))


def check_name(name: object, what: str) -> None:
    """Refuse what can't be part of a key.

    Raises:
        GraphError: it is no text, or empty.
    """
    if not isinstance(name, str) or not name:
        raise GraphError(f"{what}(name) must be some text, not {name!r}")


async def given(result: Any) -> Any:
    """What a function gave, sync or async."""
    return await result if is_awaitable(result) else result


def kept(cache: Memory, key: str) -> Any:
    """What is kept under a key; None if there is nothing."""
    if key not in cache:
        return None
    return cache[key]


def _downtime(c: Checkpoint, d: Dependency) -> Any:
    """How far a dependency is behind, if that is more than its threshold."""
    gap = _distance(c.state_marker, d.checkpoint_marker)
    limit: Any = d.downtime_threshold
    if not (isinstance(gap, timedelta) and isinstance(limit, timedelta)):
        limit = seconds(limit, "downtime_threshold", zero=True)
        limit = timedelta(seconds=limit) if isinstance(gap, timedelta) else limit
    return gap if gap > limit else None


def _recovery(c: Checkpoint, d: Dependency) -> bool:
    """Whether a dependency has come further than the dependent stream."""
    return _is_ahead(_distance(d.checkpoint_marker, c.state_marker))


def _distance(one: Any, other: Any) -> Any:
    """How far one marker is ahead of another."""
    if isinstance(one, datetime) and isinstance(other, datetime):
        if (one.tzinfo is None) != (other.tzinfo is None):
            one, other = _aware(one), _aware(other)
        return one - other
    if _is_number(one) and _is_number(other):
        gap = one - other
        if gap == gap:  # noqa: PLR0124  # NaN is as far as nothing
            return gap
    raise TypeError(
        f"markers must be datetimes, or numbers such as POSIX seconds, not {one!r:.100} and "
        f"{other!r:.100}: take such a field as marker=, or give the Dependency a downtime_check= "
        f"and a recovery_check="
    )


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real)


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _is_ahead(gap: Any) -> bool:
    return gap > (timedelta() if isinstance(gap, timedelta) else 0)
