"""The generated loops of a graph, as one would read them."""

from __future__ import annotations

import asyncio

from rivulet.core.stage import Produce
from rivulet.plan.code import Code, write
from rivulet.plan.graph import Plan
from rivulet.plan.writer import base
from rivulet.run.execution import Execution

__all__ = ["listing"]


def listing(planned: Plan) -> str:
    """The loops of a plan as text, each with what its names stand for."""

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
        # A label may be several calls, as of a window and what comes of it.
        arguments = node.label if ")." in node.label else node.label.partition("(")[2][:-1]
        used = any(bound == name or bound.startswith(f"{name}_") for bound in code.names)
        if used and arguments:
            lines.append(f"# {name} = {arguments}\n")
    return "".join(lines)


def _functions(code: Code) -> str:
    """The functions as they stand in the code, without the frame that binds their names."""
    body = [line.removeprefix("    ") for line in code.text.splitlines()[1:-1]]
    text = "\n".join(body)
    empty = "async def finish():\n    pass"
    return text.replace("\n" + empty, "").strip()
