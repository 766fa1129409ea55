"""How a stream shows itself: text, code, a picture. Showing runs nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

from rivulet.core.checks import check_choice
from rivulet.core.node import Node, ancestors
from rivulet.core.stage import Produce
from rivulet.errors import GraphError
from rivulet.plan.code import Code, write
from rivulet.plan.explain import tree
from rivulet.plan.graph import Plan, plan
from rivulet.plan.writer import base
from rivulet.run.execution import Execution

if TYPE_CHECKING:
    from rivulet.stream import Stream

__all__ = ["explain", "explain_streams", "repr_mimebundle", "repr_text", "svg"]

What = Literal["graph", "code"]


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
    planned = plan(*(stream.node for stream in streams))
    return tree(planned) if what == "graph" else _code(planned)


def _code(planned: Plan) -> str:
    async def dry() -> str:
        return _written(planned)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(dry())
    return _written(planned)


def _written(planned: Plan) -> str:
    execution = Execution(planned)
    execution.prepare()
    texts: list[str] = []
    for loop in execution.loops:
        shape = loop.shape
        stage = planned.stages[loop.region.root]
        if isinstance(stage, Produce) and not stage.sharing:
            shape.source = "async" if stage.is_async else "sync"
        elif isinstance(stage, Produce):
            shape.source = "inbox"
        for name, mode in shape.modes.items():
            if mode == "unknown":
                shape.modes[name] = "sync"
        code = write(planned, loop.region, shape)
        heading = f"# reads {loop.region.root.label}\n" if len(execution.loops) > 1 else ""
        texts.append(heading + _legend(planned, code) + _functions(code))
    return "\n\n".join(texts)


def _legend(planned: Plan, code: Code) -> str:
    lines: list[str] = []
    for node in planned.nodes:
        name = base(planned, node)
        if name in code.names and "(" in node.label:
            lines.append(f"# {name} = {node.label.partition('(')[2][:-1]}\n")
    return "".join(lines)


def _functions(code: Code) -> str:
    """The functions as they stand in the code, without the frame that binds their names."""
    body = [line.removeprefix("    ") for line in code.text.splitlines()[1:-1]]
    text = "\n".join(body)
    empty = "async def finish():\n    pass"
    return text.replace("\n" + empty, "").strip()


def repr_text(source: Stream[Any], /) -> str:
    """The stream as one line."""
    node: Node = source.node
    chain = [node]
    while len(node.inputs()) == 1:
        node = node.inputs()[0]
        chain.append(node)
    text = ".".join(n.label.lstrip(".") for n in reversed(chain))
    others = len(ancestors(source.node)) - len(chain)
    more = f", made of {others} more operators" if others else ""
    return f"<{text}{more}: not running>"


def svg(source: Stream[Any], /) -> str:
    """The graph as a picture, in SVG, drawn without further libraries.

    Example:
        >>> Stream([1, 2]).map(str).svg()[:4]
        '<svg'
    """
    from rivulet.notebook.svg import draw

    return draw(plan(source.node))


def repr_mimebundle(source: Stream[Any], /, **_: Any) -> dict[str, str]:
    """What a notebook shows: text, and a picture that needs no trust in the notebook."""
    from rivulet.notebook.svg import as_image, draw

    planned = plan(source.node)
    text = tree(planned)
    return {"text/plain": text, "text/html": as_image(draw(planned), alt=text)}
