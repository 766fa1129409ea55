"""The handlers that ``stream()`` runs, and what belongs to them."""

from __future__ import annotations

import asyncio
import inspect
import signal
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import FrameType
from typing import Any, Protocol, Self, cast, final
from warnings import warn
from weakref import WeakSet

from rivulet.compat.handler import Handler, planned_with
from rivulet.compat.pausing import Bound
from rivulet.compat.places import Place, place_of
from rivulet.core.callables import check_callable, name_of
from rivulet.errors import GraphError, RunError
from rivulet.gates.checkpoint import Checkpoint
from rivulet.gates.dependency import given
from rivulet.ops.source import node_of
from rivulet.plan.graph import plan
from rivulet.run.execution import Execution
from rivulet.run.handle import PATIENCE
from rivulet.run.interrupt import interruptible

__all__ = ["Registry", "registry"]

TERMINATED = 128 + signal.SIGTERM


class Closable(Protocol):
    """What is closed when a run is over."""

    async def exit_hook(self) -> None:
        """Let everything go."""
        ...


@final
class Registry:
    """Handlers in the order in which they were bound, their sources, settings and exit hooks.

    There is one for the process; ``with Registry():`` puts another one in its place for the block.

    Attributes:
        handlers: what ``stream()`` runs.
        bounds: the sources, by the keys of ``Conf``.
        conf: the settings of ``Conf``.
        exit_hooks: what is called when a run is over, in this order.
        checkpoints: those that were made.
        closing: what is closed when a run is over.
    """

    def __init__(self) -> None:
        self.handlers: list[Handler] = []
        self.bounds: dict[str, Bound] = {}
        self.conf: dict[str, Any] = {}
        self.exit_hooks: list[Callable[[], Any]] = []
        self.checkpoints: WeakSet[Checkpoint] = WeakSet()
        self.closing: WeakSet[Closable] = WeakSet()
        self._places: dict[Handler, Place] = {}
        self._running = False
        self._unwatch: list[Callable[[], None]] = []
        self._tokens: list[Token[Registry]] = []

    def __enter__(self) -> Self:
        self._tokens.append(_current.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        _current.reset(self._tokens.pop())

    def __repr__(self) -> str:
        names = ", ".join(handler.call.name for handler in self.handlers)
        return f"<Registry of {len(self.handlers)} handlers: {names}>"

    # Handlers

    def handle(
        self,
        fn: Callable[..., Any],
        sources: Sequence[Any],
        pipe: Sequence[Any],
        sink: Sequence[Any],
        frame: FrameType,
    ) -> Handler:
        """Bind a handler to sources and sinks."""
        bounds = [self.find(source) or Bound(source) for source in sources]
        handler = Handler(fn, bounds, pipe, sink)
        self.add(handler, place_of(frame, name_of(fn)))
        return handler

    def add(self, handler: Handler, place: Place) -> None:
        """Have a handler run from the next ``stream()`` on; an earlier self of it is replaced."""
        replaced = [other for other in self.handlers if place.replaces(self._places[other])]
        if any(place.is_guessed(self._places[other]) for other in replaced):
            warn(
                f"this handler {place.name} replaces the one of an earlier cell: give them "
                f"different names to keep both",
                UserWarning,
                stacklevel=4,
            )
        for other in replaced:
            self.remove(other)
        self.handlers.append(handler)
        self._places[handler] = place
        for bound in handler.bounds:
            if bound not in self.bounds.values():
                self.bounds[str(id(bound.source))] = bound
        if self._running:
            warn(
                f"stream() runs already, without the handler {place.name}: that begins with the "
                f"next stream()",
                UserWarning,
                stacklevel=4,
            )

    def remove(self, handler: Handler) -> None:
        """Run a handler no more."""
        self.handlers.remove(handler)
        del self._places[handler]
        used = {bound for other in self.handlers for bound in other.bounds}
        for key, bound in list(self.bounds.items()):
            if bound in handler.bounds and bound not in used:
                del self.bounds[key]

    def clear(self) -> None:
        """Forget all handlers and sources."""
        self.handlers.clear()
        self.bounds.clear()
        self._places.clear()

    def find(self, source: Any) -> Bound | None:
        """The source as handlers have it already."""
        return next((bound for bound in self.bounds.values() if bound.source is source), None)

    def name_source(self, key: str, source: Any) -> None:
        """Give a source a key of the user's."""
        self.bounds[key] = self.find(source) or Bound(source)

    def watch(self, checkpoint: Checkpoint) -> None:
        """Have a checkpoint hold its dependent source, for as long as anything refers to it."""
        self.checkpoints.add(checkpoint)
        if self._running:
            for bound in self._bounds():
                if bound.source is checkpoint.dependent:
                    bound.holding.append(checkpoint)
                    self._unwatch.append(checkpoint.watch(bound.signal))

    def _bounds(self) -> list[Bound]:
        return list(dict.fromkeys(self.bounds.values()))

    def register_hook(self, hook: Callable[[], Any]) -> None:
        """Call a function when a run is over; each once."""
        check_callable(hook, "register_exit_hook", "exit_hook")
        if hook not in self.exit_hooks:
            self.exit_hooks.append(hook)

    # Running

    async def start(self, keywords: Mapping[str, Any]) -> None:
        """Run all handlers until all sources have ended, and then the exit hooks.

        Raises:
            RunError: it runs already; that run goes on.
            BaseException: what a source, a pipe, a handler, a sink or a hook failed with.
        """
        if self._running:
            raise RunError(
                "stream() runs already, and reads the same sources: await that run, or cancel it, "
                "before the next"
            )
        self._running = True
        try:
            try:
                terminated = await self._run(keywords)
            except BaseException as error:
                await self._shut_down(error)
                raise
            await self._shut_down(None)
        finally:
            self._running = False
        if terminated:
            await _leave()

    async def _run(self, keywords: Mapping[str, Any]) -> bool:
        """Run to the end; tells whether SIGTERM has come."""
        # What has been read to the end isn't read again: a pipe would see an empty source.
        nodes = [
            stream.node
            for handler in self.handlers
            for bound, stream in zip(handler.bounds, handler.streams, strict=True)
            if not _is_used_up(bound.source)
        ]
        if not self._has_messages():
            return False
        for bound in self._bounds():
            self._watch(bound)
        try:
            with planned_with(keywords):
                execution = Execution(plan(*nodes), held=True)
            execution.prepare()
            for bound in self._bounds():
                for loop in execution.loops:
                    if bound.mark in loop.region.nodes:
                        bound.attach(loop)
            return await _to_the_end(execution)
        finally:
            while self._unwatch:
                self._unwatch.pop()()
            for bound in self._bounds():
                bound.pausable.detach()

    def _has_messages(self) -> bool:
        """Whether there is anything to run; what is probably a mistake is said."""
        if not self.handlers:
            warn(
                "stream() has nothing to run: no handler is bound, as with @handle(source)",
                UserWarning,
                stacklevel=3,
            )
            return False
        sources = [bound.source for handler in self.handlers for bound in handler.bounds]
        if all(_is_used_up(source) for source in sources):
            names = ", ".join(dict.fromkeys(name_of(source) for source in sources))
            warn(
                f"stream() has nothing to run: {names} have been read to the end; bind handlers "
                f"to functions that make them, as in @handle({names.partition(',')[0]}), to read "
                f"them again",
                UserWarning,
                stacklevel=3,
            )
            return False
        return True

    def _watch(self, bound: Bound) -> None:
        bound.bind(self.checkpoints)
        self._unwatch += [checkpoint.watch(bound.signal) for checkpoint in bound.holding]
        bound.signal()

    async def _shut_down(self, error: BaseException | None) -> None:
        """Call all exit hooks; what they fail with never takes the place of what ended the run."""
        failures: list[Exception] = []
        hooks = [*self.exit_hooks, *(closable.exit_hook for closable in self.closing)]
        for hook in hooks:
            try:
                await given(hook())
            except Exception as failure:  # noqa: BLE001  # the others are to be called as well
                failure.add_note(f"rivulet: in the exit hook {name_of(hook)}")
                failures.append(failure)
        if not failures:
            return
        if error is None:
            several = len(failures) > 1
            raise ExceptionGroup("exit hooks failed", failures) if several else failures[0]
        for failure in failures:
            error.add_note(f"rivulet: afterwards an exit hook failed too: {failure!r}")


_default = Registry()
_current: ContextVar[Registry] = ContextVar("the registry of handlers", default=_default)


def registry() -> Registry:
    """The one that counts here."""
    return _current.get()


def check_sources(sources: Sequence[Any]) -> None:
    """Refuse what can't be a source.

    Raises:
        GraphError: there is none, or one isn't anything that can be read.
    """
    if not sources:
        raise GraphError("handle needs at least one source, as in @handle(source)")
    for source in sources:
        try:
            node_of(source)
        except GraphError as error:
            hint = ""
            if inspect.isfunction(source) and len(sources) == 1:
                hint = "; a handler is bound by @handle(source), with its source in brackets"
            raise GraphError(f"in handle: {error}{hint}") from None


def check_several(given: Any, argument: str) -> Sequence[Any]:
    """Refuse what is no list of functions.

    Raises:
        GraphError: it isn't.
    """
    if isinstance(given, list | tuple | set | frozenset):
        return tuple(cast("Sequence[Any]", given))
    raise GraphError(
        f"handle({argument}) must be a list, as in {argument}=[...], not {given!r:.100}"
    )


def _is_used_up(source: Any) -> bool:
    frames = ("ag_frame", "gi_frame", "cr_frame")
    return any(getattr(source, frame, source) is None for frame in frames)


# One run


async def _to_the_end(execution: Execution) -> bool:
    """Run to the end; on SIGTERM, stop in order and say so."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(execution.run())
    with interruptible(), _terminable(execution, task) as received:
        try:
            await task
        except asyncio.CancelledError as error:
            if not (received and task.cancelled()):
                # Without the frames in which the run was waiting.
                raise asyncio.CancelledError(*error.args) from None
    return bool(received)


async def _leave() -> None:
    """End the process by a ``SystemExit`` of the event loop.

    One that a task raises is reported as lost where that task is awaited beside others.
    """
    loop = asyncio.get_running_loop()
    loop.call_soon(sys.exit, TERMINATED)
    await loop.create_future()


@contextmanager
def _terminable(execution: Execution, task: asyncio.Task[None]) -> Generator[list[int]]:
    """Have SIGTERM stop a run, where nothing else takes it; gives what has come."""
    received: list[int] = []
    loop = asyncio.get_running_loop()

    def stop() -> None:
        received.append(signal.SIGTERM)
        if len(received) > 1:
            task.cancel()
            return
        execution.resume()
        execution.stop()
        loop.call_later(PATIENCE, task.cancel)

    free = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        and "ipykernel" not in sys.modules
    )
    if free:
        try:
            loop.add_signal_handler(signal.SIGTERM, stop)
        except NotImplementedError:
            free = False
    ours = signal.getsignal(signal.SIGTERM)
    try:
        yield received
    finally:
        # Something else, such as a web server, may have taken it meanwhile.
        if free and signal.getsignal(signal.SIGTERM) is ours:
            loop.remove_signal_handler(signal.SIGTERM)
