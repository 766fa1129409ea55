"""``beat``: say how far a stream has come, to those that depend on it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, final

from rivulet.core.callables import Selector, selector
from rivulet.core.durations import Duration
from rivulet.core.entries import UNSET
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Node, Unary, ancestors, frozen
from rivulet.core.stage import Effect, Step, Test
from rivulet.errors import GraphError
from rivulet.gates.checkpoint import Checkpoint
from rivulet.gates.dependency import Dependency

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = ["Beat", "Life", "OfRun", "beat"]

T = TypeVar("T")

ONLY = "on"


@final
@dataclass(frozen=True, slots=True, eq=False)
class OfRun:
    """A checkpoint with one dependency, made for each run."""

    threshold: Duration = 0

    def of(self, context: Context) -> Checkpoint:
        """That of a run."""
        return context.common(self, self._make)

    def _make(self) -> Checkpoint:
        return Checkpoint("gate", dependencies=[Dependency(ONLY, None, self.threshold)])

    def signals(self, _: str | None = None) -> tuple[object, ...]:
        """What stands for its dependency in every run."""
        return (self,)

    def __repr__(self) -> str:
        return "on=..."


@final
@dataclass(frozen=True, slots=True, eq=False)
class OfUser:
    """A checkpoint that the user made."""

    checkpoint: Checkpoint

    def of(self, _: Context) -> Checkpoint:
        """The same in every run."""
        return self.checkpoint

    def signals(self, name: str | None = None) -> tuple[object, ...]:
        """Its dependencies, or one of them."""
        found = self.checkpoint.dependencies
        return tuple(found.values()) if name is None else (found[name],)

    def __repr__(self) -> str:
        return self.checkpoint.name


@final
@dataclass(slots=True)
class Life:
    """Whether a dependency is in this run, and whether it has come to its end there."""

    is_here: bool = False
    has_ended: bool = False

    @classmethod
    def of(cls, dependency: Dependency, context: Context) -> Life:
        """That of a dependency."""
        return context.common(dependency, cls)

    def show(self, dependency: Dependency) -> None:
        """What ended in a run before has begun again in this one."""
        if self.is_here:
            dependency.has_ended = self.has_ended


@frozen
class Beat(Unary):
    """Node: items; how far they are is said when they have left what comes after."""

    at: OfRun | OfUser
    marker: Selector[Any]
    dependency: str
    silent: bool = False

    def stage(self) -> Effect | Test:
        kind = Test if self.silent else Effect
        return kind(
            make=self.make,
            select=(selector(self.marker, "beat", "marker"),),
            awaits=True,
            signals=self.at.signals(self.dependency),
        )

    def make(self, context: Context) -> Logic:
        """The state of one run."""
        checkpoint, name = self.at.of(context), self.dependency
        dependency = checkpoint[name]
        life = Life.of(dependency, context)
        life.is_here = True
        marker: Any = UNSET
        over = False

        def call(_: Any, given: Any) -> None:
            nonlocal marker
            marker = given

        def after() -> Coroutine[Any, Any, Any] | None:
            nonlocal marker
            given, marker = marker, UNSET
            # An item may be on its way when nothing below wants more.
            return None if given is UNSET or over else checkpoint.heartbeat(given, name)

        def left() -> None:
            nonlocal over
            if not context.stopping:
                over = life.has_ended = True
                checkpoint.end(name)

        def on_end() -> Iterable[Any]:
            left()
            return ()

        return Logic(
            call=call,
            after=after,
            left=left,
            on_end=on_end,
            open=lambda: life.show(dependency),
            close=lambda _: checkpoint.settle() if over else None,
        )

    @property
    def label(self) -> str:
        return "beat()" if self.silent else f"beat({self.at!r}, name={self.dependency!r})"


def check_checkpoint(checkpoint: object, operator: str) -> Checkpoint:
    """Refuse what is no checkpoint.

    Raises:
        GraphError: it isn't.
    """
    if isinstance(checkpoint, Checkpoint):
        return checkpoint
    raise GraphError(f"{operator}(checkpoint) must be a Checkpoint, not {checkpoint!r:.100}")


def check_circle(node: Node, signals: Iterable[object], operator: str) -> None:
    """Refuse a beat that comes only when its own gate has let its item pass.

    Raises:
        GraphError: it would.
    """
    wanted = set(signals)
    for up in ancestors(node):
        stage = up.stage()
        if isinstance(stage, Step) and wanted.intersection(stage.waits):
            raise GraphError(
                f"{operator} comes after {up.label}, which waits for it: put it before that"
            )


def beat(
    source: Stream[T],
    checkpoint: Checkpoint,
    /,
    *,
    marker: Selector[T] | Callable[[T], Any],
    name: str | None = None,
) -> Stream[T]:
    """Tell a checkpoint how far this stream has come, for the stream that ``gate`` holds.

    Put it before the sinks that the dependent stream looks things up in: what it says takes effect
    when the item has left them. It doesn't wait for what is done in another task (``buffer``,
    ``to(concurrency=)``): put it behind that.

    Emits:      each item, at once.
    Waits:      for the recovery callback, when there is one.
    Completes:  when the source does; then it holds nobody back any more. A run that is stopped or
                cancelled doesn't end it.
    State:      none; the checkpoint has a marker.
    Time:       none; items keep their time.

    Args:
        checkpoint: what is told.
        marker: how far an item is: a selector, sync or async, that gives a ``datetime`` or a number
            such as POSIX seconds. A late one changes nothing.
        name: which dependency of the checkpoint this is; not needed if it has only one.

    Raises:
        GraphError: at build, if the dependency isn't known or comes after its own gate.
        TypeError: while running, if a marker is neither a ``datetime`` nor a number.

    Example:
        >>> checkpoint = Checkpoint("activity", dependencies=[Dependency("weather")])
        >>> weather = Stream([{"at": 10, "sky": "sun"}, {"at": 11, "sky": "rain"}])
        >>> await weather.beat(checkpoint, marker="at").to({}.update).run()
        >>> checkpoint["weather"].checkpoint_marker
        11

    Source: ``heartbeat`` of Slipstream's ``Checkpoint``, which takes effect before the sinks.
    """
    at = OfUser(check_checkpoint(checkpoint, "beat"))
    selector(marker, "beat", "marker")
    names = list(checkpoint.dependencies)
    if name is None and len(names) > 1:
        raise GraphError(
            f"the checkpoint {checkpoint.name!r} has several dependencies, so beat needs name=: "
            f"one of {', '.join(map(repr, names))}"
        )
    known = names[0] if name is None else name
    if known not in checkpoint.dependencies:
        raise GraphError(
            f"the checkpoint {checkpoint.name!r} has no dependency {known!r}, only "
            f"{', '.join(map(repr, names))}"
        )
    node = Beat(source.node, at, marker, known)
    check_circle(source.node, at.signals(known), node.label)
    return source.via(node)
