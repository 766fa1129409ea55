"""``retry``: a stream again when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.checks import backoff_of, check_types, check_whole
from rivulet.core.durations import Duration
from rivulet.core.logic import Context
from rivulet.core.node import Leaf, Node, frozen
from rivulet.core.stage import Produce
from rivulet.errors import GraphError, SourceError

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Retry(Leaf):
    """Node: a stream, again when it fails."""

    part: Node
    times: int | None = 3
    backoff: Duration | Callable[[int], float] | None = None
    jitter: float = 0.0
    types: tuple[type[BaseException], ...] = (Exception,)

    def stage(self) -> Produce:
        return Produce(open=self.open, nested=(self.part,))

    async def open(self, context: Context) -> AsyncGenerator[Any, None]:
        """The items, read anew after each failure."""
        import random

        pause = backoff_of(self.backoff, "retry")
        failure: BaseException | None = None
        for attempt in count(1):
            try:
                async with aclosing(context.subscribe(self.part)) as items:
                    async for item in items:
                        yield item
                return
            except SourceError as error:
                # A source that can be read only once: what ended the attempt before matters more.
                raise error if failure is None else failure from error
            except self.types as error:
                if self.times is not None and attempt > self.times:
                    raise
                failure = error
            if pause is not None:
                spread = 1 + self.jitter * (2 * random.random() - 1)  # noqa: S311  # no secret
                await asyncio.sleep(pause(attempt) * spread)

    def endless(self, inputs: Sequence[bool]) -> bool:
        return any(inputs)


def retry(
    source: Stream[T],
    times: int | None = 3,
    /,
    *,
    backoff: Duration | Callable[[int], float] | None = None,
    jitter: float = 0.0,
    types: type[Exception] | tuple[type[Exception], ...] = Exception,
) -> Stream[T]:
    """Read the whole stream anew when it fails.

    For a source that breaks off, such as a connection. Items given before the failure come again if
    the source gives them again. To try one call again, use ``on_error(..., retries=)``.

    Emits:      every item of every attempt.
    Waits:      between attempts.
    Completes:  when an attempt comes to its end.
    State:      a count.
    Time:       processing time for ``backoff``; items keep their own.

    Args:
        times: how often to try again, 0 or more; None for ever.
        backoff: the pause before the first new attempt, doubling with each up to a minute; or a
            function of the number of the attempt that gives seconds.
        jitter: by which share, 0 to 1, pauses vary at random.
        types: which errors; others end the run, as does the last one.

    Raises:
        GraphError: at build, if an argument is wrong.

    Example:
        >>> attempts = iter([ConnectionError("lost"), None])
        >>> async def connection():
        ...     yield "hello"
        ...     if error := next(attempts):
        ...         raise error
        ...     yield "bye"
        >>> await Stream(connection).retry(backoff="1s").collect()
        ['hello', 'hello', 'bye']

    Source: ``retry`` of ReactiveX; ``Retry.backoff`` of Reactor for the pauses.
    """
    if times is not None:
        check_whole(times, "retry", "times", least=0)
    _check_share(jitter)
    backoff_of(backoff, "retry")
    return source.via(Retry(source.node, times, backoff, jitter, check_types(types, "retry")))


def _check_share(jitter: object) -> None:
    if not isinstance(jitter, int | float) or not 0 <= jitter <= 1:
        raise GraphError(f"retry(jitter) must be a share between 0 and 1, not {jitter!r}")
