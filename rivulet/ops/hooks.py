"""``hooks``: functions called when a stream begins and ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rivulet.core.callables import check_callable
from rivulet.core.logic import Context, Logic
from rivulet.core.node import Unary, frozen
from rivulet.core.stage import Effect
from rivulet.errors import GraphError

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")


@frozen
class Hooks(Unary):
    """Node: items; functions are called around them."""

    start: Callable[[], Any] | None = None
    end: Callable[[], Any] | None = None
    error: Callable[[BaseException], Any] | None = None

    def stage(self) -> Effect:
        return Effect(make=self.make)

    def make(self, _: Context) -> Logic:
        """The functions, called around one run."""

        def close(failure: BaseException | None) -> Any:
            if failure is not None:
                return None if self.error is None else self.error(failure)
            return None if self.end is None else self.end()

        return Logic(call=_nothing, open=self.start, close=close)


def _nothing(_: Any) -> None:
    pass


def hooks(
    source: Stream[T],
    /,
    *,
    start: Callable[[], object] | None = None,
    end: Callable[[], object] | None = None,
    error: Callable[[BaseException], object] | None = None,
) -> Stream[T]:
    """Call functions, sync or async, when the stream begins and when it is over.

    To hold a resource while a source is read, ``Stream.using`` is shorter.

    Emits:      each item, at once.
    Waits:      for ``start`` before the source is opened.
    Completes:  when the source does.
    State:      none.
    Time:       none; items keep their time.

    Args:
        start: called before the first item.
        end: called once when the stream is over without an error: at its end, when its reader
            leaves, or when the run is stopped or cancelled.
        error: called with the exception instead, if the run failed.

    Raises:
        GraphError: at build, if none is given or one isn't callable.

    Example:
        >>> log = []
        >>> begin, end = lambda: log.append("start"), lambda: log.append("end")
        >>> await Stream.of(1, 2).hooks(start=begin, end=end).tap(log.append).run()
        >>> log
        ['start', 1, 2, 'end']

    Source: ``doFirst`` and ``doFinally`` of Reactor.
    """
    if start is None and end is None and error is None:
        raise GraphError("hooks needs start=, end= or error=")
    for hook, name in ((start, "start"), (end, "end"), (error, "error")):
        if hook is not None:
            check_callable(hook, "hooks", name)
    return source.via(Hooks(source.node, start, end, error))
