"""How a stream shows itself: text, code, a picture. Showing runs nothing.

Planner and drawing are imported when something is shown, so that ``import rivulet`` stays light.
"""

from __future__ import annotations

import sys
from collections.abc import Coroutine, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from rivulet.core.checks import check_choice, check_whole
from rivulet.core.node import Node, ancestors, is_endless
from rivulet.errors import EndlessError, GraphError

if TYPE_CHECKING:
    from rivulet.notebook.timeline import Timeline
    from rivulet.stream import Stream

__all__ = ["explain", "explain_streams", "repr_mimebundle", "repr_text", "svg", "timeline"]

What = Literal["graph", "code"]

AT_ENDS = 4
"""A line shows so many operators at its beginning and at its end."""
LONGEST = 80
"""So many characters of each."""


def explain(source: Stream[Any], what: What = "graph", /) -> str:
    """The graph as a tree, or the loops that it is compiled to.

    Args:
        what: ``"graph"`` or ``"code"``. The code is that of a run in which functions that can't be
            known to be async by looking at them give plain values.

    Raises:
        GraphError: ``what`` is neither, or the graph can't work.

    Example:
        >>> def double(x):
        ...     return x * 2
        >>> stream = Stream([1, 2, 3]).map(double).filter(bool).to(print)
        >>> print(stream.explain())
        #1 Stream([1, 2, 3])
        └─ #2 map(double)
           └─ #3 filter(bool)
              └─ #4 to(print)
        >>> print(stream.explain("code"))
        # map_2 = double
        # filter_3 = bool
        # to_4 = print
        async def loop(source):
            while True:
                x = END
                for x in islice(source, turn.items):
                    x = map_2(x)
                    if filter_3(x):
                        to_4(x)
                    if asked and await between(): return
                if x is END: break
                if await turn(): return
    """
    return explain_streams(source, what=what)


def explain_streams(*streams: Stream[Any], what: What = "graph") -> str:
    """What ``Stream.explain`` gives, for several streams that are run together.

    Args:
        streams: at least one.
        what: ``"graph"`` or ``"code"``.

    Raises:
        GraphError: no stream is given, or ``what`` isn't known.
    """
    check_choice(what, "explain", "what", ("graph", "code"))
    if not streams:
        raise GraphError("explain needs at least one stream")
    from rivulet.plan.explain import tree
    from rivulet.plan.graph import plan

    planned = plan(*(stream.node for stream in streams))
    if what == "graph":
        return tree(planned)
    from rivulet.notebook.listing import listing

    return listing(planned)


def repr_text(source: Stream[Any], /) -> str:
    """The stream as one line."""
    node: Node = source.node
    chain = [node]
    while len(node.inputs()) == 1:
        node = node.inputs()[0]
        chain.append(node)
    chain.reverse()
    if (left_out := len(chain) - 2 * AT_ENDS) > 0:
        text = f"{_line(chain[:AT_ENDS])} ... {left_out} more ... .{_line(chain[-AT_ENDS:])}"
    else:
        text = _line(chain)
    others = len(ancestors(source.node)) - len(chain)
    more = f", made of {others} more operators" if others else ""
    return f"<{text}{more}: not running>"


def _line(chain: Sequence[Node]) -> str:
    labels = (node.label.lstrip(".") for node in chain)
    return ".".join(x if len(x) <= LONGEST else f"{x[: LONGEST - 3]}..." for x in labels)


def svg(source: Stream[Any], /) -> str:
    """The graph as a picture, in SVG, drawn without further libraries.

    Example:
        >>> Stream([1, 2]).map(str).svg()[:4]
        '<svg'
    """
    from rivulet.notebook.svg import draw
    from rivulet.plan.graph import plan

    return draw(plan(source.node))


def timeline(
    source: Stream[Any], /, *beside: Stream[Any], limit: int | None = 50
) -> Coroutine[Any, Any, Timeline]:
    """Run the stream and give what happened in time: as text, marbles, a picture or a table.

    It shows the items in the order in which they came, their times and the watermark; each window
    with when and why it closed; the items that were late; of joins, which items were matched and
    how far apart they were; of gates, what was held, why and for how long. Lanes are called as the
    variables of the streams. What is below runs as ever, its sinks too.

    Args:
        beside: streams that are run together with this one, such as those that a gate waits for.
        limit: how many items of each input are read; None for all. Inputs are streams with
            ``event_time``, and those that have a ``gate`` or a ``beat``; what a join reads on the
            right as long as the left goes on isn't limited. Without any, it is how many come out.

    Raises:
        GraphError: if ``limit`` is less than 1.
        EndlessError: if it is None, and a stream is known never to end.

    Example:
        >>> clicks = Stream.of(1, 3, 2, 11, 4).event_time(lambda t: t, max_delay=1)
        >>> print(await clicks.window(tumbling=10).count().timeline())
          #1  00:00:01  item    1                      watermark 00:00:00
          #2  00:00:03  item    3                      watermark 00:00:02
          #3  00:00:02  item    2                      watermark 00:00:02
          #4  00:00:11  item    11                     watermark 00:00:10
          #5  00:00:09  window  00:00:00-00:00:10 → 3  closed by #4
          #6  00:00:04  item    4                      watermark 00:00:10
          #7  00:00:04  late    4                      by 6 s, #6
          #8  00:00:19  window  00:00:10-00:00:20 → 1  closed at the end

    Source: ours; no other library records this.
    """
    from rivulet.notebook.timeline import record

    if limit is not None:
        check_whole(limit, "timeline", "limit")
    elif any(is_endless(stream.node) for stream in (source, *beside)):
        raise EndlessError("what never ends has no timeline: use limit=")
    return record([source, *beside], limit, _variables(type(source), sys._getframe(1)))


def _variables(kind: type[Stream[Any]], frame: FrameType) -> dict[Node, str]:
    """What streams are called where they are used."""
    names: dict[Node, str] = {}
    for scope in (frame.f_locals, frame.f_globals):
        for name, value in list(scope.items()):
            if isinstance(value, kind) and not name.startswith("_"):
                names.setdefault(value.node, name)
    return names


def repr_mimebundle(source: Stream[Any], /, **_: Any) -> dict[str, str]:
    """What a notebook shows: text, and a picture that needs no trust in the notebook."""
    from rivulet.notebook.svg import as_image, draw
    from rivulet.plan.explain import tree
    from rivulet.plan.graph import plan

    planned = plan(source.node)
    text = tree(planned)
    return {"text/plain": text, "text/html": as_image(draw(planned), alt=text)}
