"""``on_error``: what becomes of items that fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from rivulet.core.checks import backoff_of, check_choice, check_types, check_whole
from rivulet.core.durations import Duration
from rivulet.core.entries import Failure
from rivulet.core.node import Node, Output, Unary, frozen
from rivulet.core.stage import Guard
from rivulet.errors import GraphError
from rivulet.ops.to import Sink, writer

if TYPE_CHECKING:
    from rivulet.stream import Stream

T = TypeVar("T")

Policy = Literal["raise", "skip"]


@frozen
class OnError(Unary):
    """Node: items that failed above are handled here."""

    policy: Policy | Sink
    types: tuple[type[BaseException], ...] = (Exception,)
    retries: int = 0
    backoff: Duration | Callable[[int], float] | None = None

    def stage(self) -> Guard:
        return Guard(
            types=self.types,
            handle=None if isinstance(self.policy, str) else writer(cast("Any", self.policy)),
            raises=self.policy == "raise",
            retries=self.retries,
            backoff=backoff_of(self.backoff, "on_error"),
        )

    def ports(self) -> tuple[str, ...]:
        return ("errors",)

    def applies(self) -> bool:
        return True


def on_error(
    source: Stream[T],
    policy: Policy | Callable[[Failure[Any]], object] | Sink,
    /,
    *,
    types: type[Exception] | tuple[type[Exception], ...] = Exception,
    retries: int = 0,
    backoff: Duration | Callable[[int], float] | None = None,
) -> Stream[T]:
    """Say what becomes of an item on which an operator above failed.

    It holds for every operator between here and the source or the ``on_error`` before, for their
    own calls and not for what is below them. An operator with several branches below needs it in
    each of them, as the others would get a gap without knowing. ``catch`` and ``retry`` are for a
    source that fails as a whole.

    Emits:      each item that didn't fail. ``.errors`` is a stream of the ``Failure`` of each that
                did.
    Waits:      between retries; for an async handler.
    Completes:  when the source does.
    State:      a count.
    Time:       processing time for ``backoff``; items keep their own.

    Args:
        policy: ``"skip"`` drops the item; a function or another sink is given a
            ``Failure(item, error, operator)`` and the item is dropped; ``"raise"`` ends the run, as
            without ``on_error``.
        types: which errors; others end the run.
        retries: how often a failed call is tried again before.
        backoff: the pause before the first retry, doubling with each; or a function of the number
            of the retry that gives seconds.

    Raises:
        GraphError: at build, if an argument is wrong.

    Example:
        >>> numbers = Stream.of("1", "x", "3").map(int).on_error("skip")
        >>> await numbers.collect()
        [1, 3]
        >>> for failure in await numbers.errors.collect():
        ...     print(failure)
        map(int) failed on 'x': ValueError("invalid literal for int() with base 10: 'x'")

    Source: supervision of Pekko (resume); failures as a stream after Flink's side outputs.
    """
    if isinstance(policy, str):
        check_choice(policy, "on_error", "policy", ("raise", "skip"))
    else:
        writer(policy)
    check_whole(retries, "on_error", "retries", least=0)
    backoff_of(backoff, "on_error")
    kinds = check_types(types, "on_error")
    return source.via(OnError(source.node, cast("Any", policy), kinds, retries, backoff))


def errors(source: Stream[Any], /) -> Stream[Failure[Any]]:
    """The failures that the ``on_error`` right before took, as a stream.

    Emits:      one ``Failure(item, error, operator)`` per item that failed.
    Waits:      with the stream itself, where both are used in one run.
    Completes:  when the source does.
    State:      none.
    Time:       a failure has the time of its item.

    Raises:
        GraphError: at build, if there is no ``on_error`` right before.

    Example:
        >>> halves = Stream.of(2, 0, 4).map(lambda x: 8 / x).on_error("skip")
        >>> bad, good = [], []
        >>> await rivulet.run(halves.to(good), halves.errors.to(bad))
        >>> good, [failure.item for failure in bad]
        ([4.0, 2.0], [0])

    Source: side outputs of Flink.
    """
    node: Node = source.node
    if not isinstance(node, OnError):
        raise GraphError(
            f".errors is a stream of what on_error took, but the operator right before is "
            f'{node.label}: write .on_error("skip").errors'
        )
    return source.via(cast("Any", Output(node, "errors")))
